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
# Galaxy Sample: five magnitudes, a 128×128 gri cutout, and five properties as
# catalogues of its spectra give them. This chapter makes the sample that the other
# chapters use. By default that is a *simulated* survey with a
# selection like the paper's, built from published relations, stellar population models and
# rendered images, in which nothing is real. With `source = "sdss"`, as in the
# profile `sdss`, it downloads the real galaxies. Each figure says what its
# galaxies are.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
source = "simulated"  # of the galaxies; the paper's: "sdss"
n_galaxies = 12000  # galaxies, 0 for all of SDSS; the paper has 106,800
validation_fraction = 0.10  # share of galaxies; the paper's is 0.10
test_fraction = 0.15  # share of galaxies; the paper's is 0.10
label_errors = True  # measurement errors on simulated properties
instrument = "SDSS"  # of galcfm.simulate.INSTRUMENTS, for a simulation
without = []  # names of galcfm.simulate.TIES that a simulation leaves out
plates = [266, 2974]  # of SDSS, first and last; these are all of them
cutouts_per_second = 10.0  # asked of SkyServer, at most
skyserver = "https://skyserver.sdss.org"  # address of SkyServer
seed = 1  # of everything random in the survey

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from IPython.display import display

from galcfm import figures, paths, runs
from galcfm.figures import tables
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from galcfm.sdss import download_survey
from galcfm.simulate import RELATIONS, TIES, simulate_survey

folder = runs.open_run("01_data_curation", globals())

# %% [markdown]
# ## The survey
#
# *Simulated.* A galaxy is drawn from a stellar mass function and the volume
# of its redshift, gets a star formation rate, a metallicity, a size and dust
# from published relations with their scatter, and a star formation history
# that adds up to its mass and rate. Stellar population and nebular models
# turn the history into spectra of bulge, disc and star-forming knots; filters
# turn the spectra into magnitudes. Galaxies stay that form stars, whose emission
# lines are seen in the fibre, and whose observed magnitude passes $r < 17.77$, or
# the limit of another `instrument`.
#
# *SDSS.* SQL asks SkyServer for the galaxies that pass the cuts, a hundred
# plates at a time, and for a cutout of each. What has come is never asked for
# again: a download that was interrupted goes on when this chapter is run
# again.
#
# See {doc}`../data` for definitions, cuts and file formats.

# %%
folder_of_survey = paths.survey_folder(survey)
if source == "simulated":
    galaxies = simulate_survey(
        folder_of_survey,
        n_galaxies,
        seed,
        validation=validation_fraction,
        test=test_fraction,
        label_errors=label_errors,
        instrument=instrument,
        without=without,
    )
elif source == "sdss":
    galaxies = download_survey(
        folder_of_survey,
        n_galaxies,
        seed,
        validation=validation_fraction,
        test=test_fraction,
        plates=plates,
        rate=cutouts_per_second,
        server=skyserver,
    )
else:
    raise ValueError(f"source is {source!r}: give 'simulated' or 'sdss'")
catalogue = galaxies.catalogue
catalogue["split"].value_counts().to_frame("galaxies")

# %% [markdown]
# What the galaxies were made of or chosen by: for simulated ones the
# relations, with the source of each coefficient ({doc}`../bibliography`) by
# first author and year; for
# those of SDSS the cuts, with the number of galaxies left after each, and
# the paper's number.

# %% tags=["full-width"]
with pd.option_context("display.max_colwidth", None):
    if source == "simulated":
        display(tables.relations(RELATIONS))
    else:
        display(pd.DataFrame(galaxies.parameters["cuts"]).set_index("cut"))
        left_out = len(galaxies.parameters["left_out"])
        print(
            f"{len(galaxies)} with a cutout, {left_out} without a usable one"
        )

# %% [markdown]
# Some of these relations tie a picture to the properties, or the properties
# to what a survey measures. Each has a name, by which the parameter `without`
# switches it off; the chapter {doc}`06_what_a_picture_is_worth` says what
# each is worth. One line of the table above is not as drawn: the luminosities
# of simulated knots have a slope of −3, not −2 ({doc}`../limitations`).

# %% tags=["full-width"]
with pd.option_context("display.max_colwidth", None):
    if source == "simulated":
        display(tables.ties(TIES, galaxies.parameters["without"]))

# %% [markdown]
# ## What was drawn
#
# The flux limit decides what the survey holds: massive galaxies are seen far
# away, small ones only nearby. That is why magnitudes alone already say much
# about mass once colours fix the mass-to-light ratio.

# %% mystnb={"figure": {"caption": "The survey: redshift, magnitude, colours and the five properties. The survey's limit in r cuts the magnitudes and ties stellar mass to redshift.", "name": "fig-survey"}, "image": {"alt": "Nine panels: histograms of redshift, of the five magnitudes and of each of the five properties with its median, and scatter plots of u\u2212g against g\u2212r and of g\u2212r against r."}}
figures.survey_overview(catalogue, source=galaxies.source)

# %% [markdown]
# Percentiles of the five properties, as a catalogue gives them: measured
# values, not true ones, unless a simulation has `label_errors` switched off:

# %%
table = catalogue[list(PROPERTY_NAMES)].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
units = pd.Series({p.name: p.unit for p in PROPERTIES}, name="unit")
table.T.round(2).join(units)

# %% [markdown]
# ## The pictures
#
# A cutout of SDSS is the JPEG that SkyServer sends. A simulated one is
# rendered with GalSim from the components' fluxes, blurred by
# the atmosphere, given sky and photon noise, turned into colour by the recipe
# of the SDSS SkyServer, and stored through a JPEG round trip as the real ones
# are. Its noise-free flux equals the *catalogued* flux of that band, noise
# included: the picture shows where the light is, and is not a second
# photometer that would undo the catalogue's noise.

# %% mystnb={"figure": {"caption": "gri cutouts of 12 galaxies in order of stellar mass. Small galaxies are blue and knotty, massive ones have a redder bulge; edge-on discs are reddened by dust.", "name": "fig-contact-sheet"}, "image": {"alt": "Twelve colour cutouts in three rows, each with redshift, r magnitude and the five properties written below it."}}
shown = catalogue.sample(min(12, len(catalogue)), random_state=seed)
shown = shown.sort_values("log_stellar_mass")
figures.contact_sheet(
    shown, galaxies.images[shown.index], source=galaxies.source
)

# %% [markdown]
# ## Exercises
#
# **Near and far.** Among which galaxies are you looking when you look at low
# masses? Compare the median redshift of the lightest and of the heaviest fifth
# of the survey.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
fifth = pd.qcut(catalogue["log_stellar_mass"], 5, labels=False) + 1
catalogue.groupby(fifth)["redshift"].median().round(3).to_frame()

# %% [markdown]
# **Still in the survey?** A galaxy of $r = 17.0$ at $z = 0.05$ is moved to $z
# = 0.10$, and nothing else about it changes. Does the survey still hold it?
#
# <details><summary>Answer</summary>
#
# No. Its luminosity distance goes from 222 to 460 Mpc, so it gets
# $5\log_{10}(460/222) = 1.6$ mag fainter, to $r = 18.6$ before any change of
# what the band sees of its spectrum. The limit is 17.77: of two equal galaxies
# a survey limited in flux holds the nearer one, and this is how magnitude and
# mass come to tell of each other.
#
# </details>
#
# **Take something away.** How would you make a survey in which dust does not
# know the inclination, and train on it, without losing the survey you have?
#
# <details><summary>Answer</summary>
#
# Give the survey and the run names of their own, and name the tie that
# `without` leaves out:
#
# ```bash
# papermill notebooks/01_data_curation.ipynb out.ipynb \
#   -p survey untied -p run untied -y "without: [inclined_dust]"
# papermill notebooks/02_training.ipynb out.ipynb \
#   -p survey untied -p run untied
# ```
#
# The same seed draws the same candidates. But dust changes who passes the limit
# in $r$, and galaxies are numbered after that: compare the two gains as means,
# each with its error, not galaxy by galaxy.
#
# </details>
