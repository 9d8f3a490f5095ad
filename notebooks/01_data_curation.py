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
# This chapter makes the sample for all chapters of this run:
# {glue:text}`n_galaxies:,.0f` galaxies (*{glue:text}`source:s`*), each with
# five magnitudes, a 128×128 *gri* image and five measured properties. The
# sample is limited in $r$ magnitude, so that massive galaxies are seen far away
# and low-mass galaxies only nearby: the median redshift rises from
# {glue:text}`redshift_light:.3f` in the fifth of lowest mass to
# {glue:text}`redshift_heavy:.3f` in the fifth of highest mass.
#
# The paper uses 106,800 bright star-forming galaxies of the SDSS Main Galaxy
# Sample. By default this book uses a *simulated* survey instead, with a
# selection like the paper's. With `source = "sdss"`, as in the {term}`profile`
# `sdss`, the chapter downloads the real galaxies. Each figure says which of
# the two it shows.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
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

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]
import pandas as pd
from IPython.display import display
from myst_nb import glue

from galcfm import figures, paths, runs
from galcfm.figures import tables
from galcfm.properties import PROPERTIES
from galcfm.sdss import download_survey
from galcfm.simulate import RELATIONS, TIES, simulate_survey

folder = runs.open_run("01_data_curation", globals())

# %% [markdown]
# ## How the sample is built
#
# *Simulated.* We draw a stellar mass from a mass function and a redshift from
# the volume, then a star formation rate, a metallicity, a size and dust from
# published relations with their scatter, and a star formation history that adds
# up to this mass and rate. Stellar population and nebular models turn the history
# into spectra of bulge, disc and star-forming knots; filters turn the spectra
# into magnitudes. We keep star-forming galaxies whose emission lines are detected
# in the fibre and whose observed magnitude passes $r < 17.77$, or the limit of
# another `instrument`.
#
# *SDSS.* We ask SkyServer by SQL for the galaxies that pass the cuts, and for
# an image of each. An interrupted download resumes when this chapter is run
# again.
#
# {doc}`../data` gives definitions, cuts and file formats.

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
counts = catalogue["split"].value_counts().map("{:,}".format)
counts.to_frame("galaxies").rename_axis(None)

# %% [markdown]
# The next table shows how the sample was built: for the simulation each
# relation with its source ({doc}`../bibliography`), for SDSS each cut with the
# number of galaxies left and the paper's number.

# %% mystnb={"code_prompt_show": "Show the relations or cuts", "code_prompt_hide": "Hide"} tags=["hide-cell", "full-width"]
with pd.option_context("display.max_colwidth", None):
    if source == "simulated":
        display(tables.relations(RELATIONS))
    else:
        cuts = pd.DataFrame(galaxies.parameters["cuts"]).set_index("cut")
        display(cuts.rename_axis(None))
        left_out = len(galaxies.parameters["left_out"])
        print(f"{len(galaxies)} with an image, {left_out} without one")

# %% [markdown]
# Some relations link the images, or what a survey measures, to the properties.
# Each of these {term}`ties <tie>` has a name, by which the parameter `without`
# switches it off.

# %% mystnb={"code_prompt_show": "Show the ties", "code_prompt_hide": "Hide"} tags=["hide-cell", "full-width"]
with pd.option_context("display.max_colwidth", None):
    if source == "simulated":
        display(tables.ties(TIES, galaxies.parameters["without"]))

# %% [markdown]
# ## The galaxies
#
# SkyServer sends an SDSS image as a JPEG. A simulated image is rendered with
# GalSim from the fluxes of the components, blurred by the atmosphere, given
# sky and photon noise, turned into colour by the recipe of SkyServer, and
# stored as JPEG too. Its noise-free flux equals the *catalogued* flux of the
# band, noise included, so the image shows where the light is and is no second
# measurement of the magnitudes.

# %% mystnb={"figure": {"caption": "The survey. Top: $r$ magnitude against redshift, $u-g$ against $g-r$, and $12+\\log(\\mathrm{O/H})$ against $\\log M_\\star$; darker cells have more galaxies. The limit in $r$ removes low-mass galaxies at high redshift. Bottom: images of eight galaxies at their place in the plane of $\\log M_\\star$ and $\\log\\,$SFR. Galaxies below the sequence are redder and smoother, those above it bluer and knottier.", "name": "fig-survey"}, "image": {"alt": "Three density maps in grey, of r magnitude against redshift with a sharp lower edge at the survey limit, of two colours, and of oxygen abundance rising with stellar mass; below them the star formation rate rising with stellar mass, with eight galaxy images from blue dwarfs on the left to red discs on the right."}} tags=["hide-input"]
figures.survey_overview(catalogue, galaxies.images, source=galaxies.source)

# %% [markdown]
# Percentiles of the five properties. They are measured values, with errors of
# measurement, unless a simulation has `label_errors` switched off.

# %% tags=["hide-input"]
names = {p.name: p.symbol_with_unit for p in PROPERTIES}
shares = [0.05, 0.25, 0.5, 0.75, 0.95]
percentiles = catalogue[list(names)].quantile(shares).T.round(2)
percentiles.columns = [f"{100 * share:.0f} %" for share in shares]
percentiles.rename(names)

# %% tags=["remove-cell"]
fifth = pd.qcut(catalogue["log_stellar_mass"], 5, labels=False) + 1
by_mass = catalogue.groupby(fifth)["redshift"].median()
glue("n_galaxies", float(len(catalogue)))
glue("source", galaxies.source)
glue("redshift_light", float(by_mass.iloc[0]))
glue("redshift_heavy", float(by_mass.iloc[-1]))

# %% [markdown]
# ## What to take away
#
# - The sample is limited in $r$: at low mass we see only nearby galaxies, and
#   magnitude, redshift and mass are therefore correlated.
# - The image shows where the light is; it is no second photometry.
# - In the simulation every link between image and properties has a name and can be
#   switched off, which the real sky does not allow.

# %% [markdown]
# ## Exercises
#
# **Near and far.** At what distances do we see low-mass galaxies? Compare the
# median redshift of the fifths of the survey by stellar mass.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
by_mass.rename_axis(None).round(3).to_frame("median redshift")

# %% [markdown]
# **Still in the survey?** A galaxy of $r = 17.0$ at $z = 0.05$ is moved to $z
# = 0.10$, and nothing else about it changes. Does the survey still include it?
#
# <details><summary>Answer</summary>
#
# No. Its luminosity distance grows from 222 to 460 Mpc, so it becomes
# $5\log_{10}(460/222) = 1.6$ mag fainter, to $r = 18.6$ before any change in
# the part of its spectrum that the band covers. The limit is 17.77: of two equal
# galaxies, a flux-limited survey includes the nearer one. This selection
# correlates magnitude with mass.
#
# </details>
#
# **Take something away.** How would you make a survey in which dust does not
# depend on inclination, and train on it, without losing the survey you have?
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
# The same seed draws the same candidates, but dust changes which galaxies pass the
# limit in $r$, and galaxies are numbered after that. Compare the two gains as
# means with their errors, not galaxy by galaxy.
#
# </details>
