# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data curation
#
# The paper learns from 106,800 bright star-forming galaxies of the SDSS Main
# Galaxy Sample: five magnitudes, a 128×128 gri cutout, and five properties
# measured from the spectrum. This chapter makes the sample that the other
# chapters use: a *simulated* survey with the same selection, built from
# published relations, stellar population models and rendered images. Nothing
# in it is real, and each figure says so.

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick or paper
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_galaxies = 12000  # galaxies; the paper has 106,800
validation_fraction = 0.10  # share of galaxies; the paper's is 0.10
test_fraction = 0.15  # share of galaxies; the paper's is 0.10
label_errors = True  # measurement errors on the properties, as spectra have
seed = 1  # of everything random in the survey

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import display

from galcfm import figures, paths, runs, tables
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from galcfm.simulate import RELATIONS, simulate_survey

folder = runs.open_run("01_data_curation", globals())

# %% [markdown]
# ## The survey
#
# A galaxy is drawn from a stellar mass function and the volume of its
# redshift, gets a star formation rate, a metallicity, a size and dust from
# published relations with their scatter, and a star formation history that
# adds up to its mass and rate. Stellar population and nebular models turn
# the history into spectra of bulge, disc and star-forming knots; filters
# turn the spectra into magnitudes. Galaxies whose observed magnitude passes
# $r < 17.77$ stay. See {doc}`../data` for definitions and file formats.

# %%
galaxies = simulate_survey(
    paths.survey_folder(survey),
    n_galaxies,
    seed,
    validation=validation_fraction,
    test=test_fraction,
    label_errors=label_errors,
)
catalogue = galaxies.catalogue
catalogue["split"].value_counts().to_frame("galaxies")

# %% [markdown]
# The relations, with the source of each coefficient ({doc}`../bibliography`):

# %% tags=["full-width"]
with pd.option_context("display.max_colwidth", None):
    display(tables.relations(RELATIONS))

# %% [markdown]
# ## What was drawn
#
# The flux limit decides what the survey holds: massive galaxies are seen far
# away, small ones only nearby. That is why magnitudes alone already say much
# about mass once colours fix the mass-to-light ratio.

# %% mystnb={"figure": {"caption": "The simulated survey: redshift, magnitude, colours and the five properties. The flux limit at r = 17.77 cuts the magnitudes sharply and ties stellar mass to redshift.", "name": "fig-survey"}}
figures.survey_overview(catalogue, source="simulated survey")

# %% [markdown]
# Percentiles of the five properties, as a catalogue would give them (with
# measurement errors where `label_errors` is set):

# %%
table = catalogue[list(PROPERTY_NAMES)].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
units = pd.Series({p.name: p.unit for p in PROPERTIES}, name="unit")
table.T.round(2).join(units)

# %% [markdown]
# ## The pictures
#
# Each cutout is rendered with GalSim from the components' fluxes, blurred by
# the atmosphere, given sky and photon noise, turned into colour by the recipe
# of the SDSS SkyServer, and stored through a JPEG round trip as the real ones
# are. Its noise-free flux equals the *catalogued* flux of that band, noise
# included: the picture shows where the light is, and is not a second
# photometer that would undo the catalogue's noise.

# %% mystnb={"figure": {"caption": "Simulated gri cutouts of 12 galaxies in order of stellar mass. Small galaxies are blue and knotty, massive ones have a redder bulge; edge-on discs are reddened by dust.", "name": "fig-contact-sheet"}}
shown = catalogue.sample(12, random_state=seed)
shown = shown.sort_values("log_stellar_mass")
figures.contact_sheet(
    shown, galaxies.images[shown.index], source="simulated survey"
)
