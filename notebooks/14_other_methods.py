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
# # Other methods
#
# With the same inputs, none of the other methods tested here beats flow
# matching. The mean log-density of spline flows differs by
# {glue:text}`npe_photometry` nat from the photometry model and by
# {glue:text}`npe_image` nat from the image model. What a method sees matters
# more than how it infers: the image adds
# {glue:text}`06_what_a_picture_is_worth.ipynb::gain_32px:.3f` ±
# {glue:text}`06_what_a_picture_is_worth.ipynb::gain_32px_half_width:.3f` nat,
# redshift and magnitude errors {glue:text}`photometry_told_photometry` nat.
#
# The paper compares itself with seven other approaches and runs none of them.
# We trained small versions of each on the same simulated galaxies and tested
# them on the same test galaxies; the last table says what each leaves out. For
# each method that learns, the best of three settings on the validation split
# is used.
#
# A {term}`gain` is the mean difference of exact log-densities of the measured
# properties, galaxy by galaxy. Intervals of 95 % include the scatter between
# galaxies and, where there are three trainings, that between trainings by
# Student's t. Rows with one training get no verdict. The survey is the one of
# {doc}`06_what_a_picture_is_worth` with all relations switched on, with pixels
# of 1.2″.
#
# With `results = "published"` this page shows stored results, and sizes below
# change nothing. With `results = "made"` it trains the methods that `rows`
# names: `papermill notebooks/14_other_methods.ipynb out.ipynb -p results made
# -p n_galaxies 2000 -y "rows: [photometry, npe, boosting]"` takes some minutes
# on two cores; all rows with three seeds take some hours.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in the run
rows = []  # names of studies.other_methods.ROWS to make; all if none
seeds = [1, 2, 3]  # one training of each row per seed
n_galaxies = 15500  # simulated galaxies
survey_seed = 1  # of the simulated galaxies
validation_fraction = 0.078  # share of galaxies
test_fraction = 0.332  # share of galaxies
recipe = "quick"  # of the book's models: quick, paper, tuned …
image_crop = 96  # central pixels of 0.4″ kept; the paper's 128
image_bin = 3  # pixels averaged per side; the paper's 1
max_epochs: int = None  # of every network, at most; None: as in its row
photometry_max_epochs: int = None  # of the photometry model; None: recipe's
batch_size: int = None  # galaxies per step; None: as in its row, 64
network = {}  # crop, bin_factor, width, hidden of other methods' networks
n_tries = 3  # settings that are tried of each row
n_means = 2000  # test galaxies of which draws are taken
n_draws = 128  # draws per galaxy
n_divergence = 300  # galaxies for the divergence from the prior
n_exact = 1000  # draws compared with those of the exact posterior
n_spectra = 1024  # spectra per galaxy in densities of the row "spectra"
n_fits = 100  # test galaxies that are fitted by sampling
n_live = 250  # live points of these fits
n_effective = 1000  # effective draws of these fits
n_shown = 3  # test galaxies whose draws are kept
n_shown_draws = 500  # draws of each
processes = 2  # that render pictures, measure and fit them

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import paths, runs
from studies import other_methods
from studies.other_methods import figures, tables
from studies.other_methods.rows import described

folder = runs.open_run("14_other_methods", globals())
plan = other_methods.Plan.of(globals())
found = other_methods.STUDY.result(
    results, folder, plan, rows=rows, seeds=seeds
)
known = described(found.content["rows"])
source = "simulated survey"
draws = found.table("_draws.parquet")
measured = draws[draws["row"] == other_methods.LABEL].set_index("object_id")
draws = draws[draws["row"].isin(known)]
pd.set_option("display.max_colwidth", None)
for name, value in tables.numbers_in_text(known, found.table()).items():
    glue(name, value, display=False)

# %% [markdown]
# ## What each method gains

# %% mystnb={"figure": {"caption": "What each method gains, grouped by what it sees (simulated test galaxies). Above, without a redshift: gains over the photometry model; the dashed line is the gain of the image model. Below, with redshift and magnitude errors: gains over the photometry model with these inputs. SED fits are so far below that they need a broken axis; they have four properties and are compared in these four. Right: time of 1,000 draws of one galaxy on one core.", "name": "fig-method-gains"}, "image": {"alt": "Dots with error bars in three groups. With magnitudes alone, splines and gradient boosting lie 0.05 and 0.4 nat below the photometry model. With the image, all methods lie between 0.6 nat below the photometry model and the image model, which gains 0.28 nat. With the redshift, the autoregressive flow lies 0.3 nat below the flow with the same inputs. SED fits lie 3 nat below either."}} tags=["hide-input"]
figures.gains(known, source=source)

# %% [markdown]
# *Ahead* and *behind* mean that the 95 % interval excludes zero.

# %% tags=["hide-input", "full-width"]
tables.every_method(known)

# %% [markdown]
# ## What we learn from each
#
# **Flow matching or splines.** Neural spline flows {cite:p}`Durkan2019` with
# the encoder of the image model differ from it by {glue:text}`npe_image` nat,
# flow matching trained in the same way as the splines by {glue:text}`cold`
# nat. The choice of flow matters no more than how it is trained.
#
# **More inputs.** A masked autoregressive flow with the inputs of SEDflow
# {cite:p}`HahnMelchior2022` (magnitudes, errors, redshift) gains
# {glue:text}`sedflow_photometry` nat over the photometry model. Flow matching
# with the same inputs gains {glue:text}`photometry_told_photometry` nat. Both
# gain more than any use of the image.
#
# **Measured morphology.** Nine statistics of statmorph
# {cite:p}`RodriguezGomez2019`, an idea of {cite:t}`Alfonzo2024`, gain
# {glue:text}`morphology_added` nat over the same splines without an image; the
# encoder of the paper gains {glue:text}`npe_image_added` nat there. The nine
# numbers thus contain {glue:text}`morphology_share` of what this encoder
# extracts (one training).
#
# **Other ways to encode the image** for these splines: fluxes in rings of the
# JPEG cutout {cite:p}`IglesiasNavarro2025` gain {glue:text}`annuli_added` nat,
# and {glue:text}`annuli_stamps_added` nat from the pixels before compression.
# Latents of an autoencoder {cite:p}`Siddiqa2025` gain
# {glue:text}`latents_added` nat. An encoder aligned with spectra, as in
# AstroCLIP {cite:p}`Parker2024`, gains {glue:text}`aligned_added` nat when
# frozen; the same network randomly initialised and frozen gains
# {glue:text}`aligned_random_added` nat. The difference is what alignment on
# 9,000 pairs taught. We did not run foundation models such as AION-1
# {cite:p}`AION2025` and Zoobot {cite:p}`Walmsley2023`, which are trained on
# millions of real galaxies.
#
# **Through a spectrum.** Diffusion of the spectrum from image and photometry,
# then properties from spectra {cite:p}`Doorenbos2024`, differs by
# {glue:text}`spectra` nat from the image model. The generated spectra are of
# the whole galaxy and three of the labels of a fibre, so this row does not say
# what a spectrum is worth.
#
# **Regression.** A residual network on the image alone
# {cite:p}`WuBoada2019,Alfonzo2024` differs by {glue:text}`regression` nat from
# the image model, and by {glue:text}`regression_told` nat with photometry as
# further input. Gradient boosting, a baseline that any method should beat,
# differs by {glue:text}`boosting_photometry` nat from the photometry model.
# Regression gives a value and not a posterior: we add one normal distribution,
# the same for all galaxies. This handicaps it in log-density (second
# exercise). In root mean square, below, the residual network with photometry
# is close to the image model.

# %% tags=["hide-input"]
tables.by_property(known, "rmse").rename_axis("root mean square error", axis=1)

# %% [markdown]
# {cite:t}`WuBoada2019` reach 0.085 dex in O/H from images of real galaxies. The
# residual network here reaches
# {glue:text}`regression_oxygen_abundance_rmse` dex for simulated ones, from a
# tenth as many and in pixels three times as wide.
#
# ## SED fits
#
# Codes such as Prospector {cite:p}`Johnson2021`, PROVABGS
# {cite:p}`HahnPROVABGS2023` and bagpipes {cite:p}`Carnall2018` fit a physical
# model to each galaxy {cite:p}`Conroy2013` and learn nothing from a survey. We
# ran bagpipes under its usual priors with the sampler nautilus
# {cite:p}`Lange2023`: {glue:text}`sed_seconds` s per galaxy.
# ({doc}`../how_fast` has fewer, with a likelihood evaluated in batches.) Stars
# say nothing about the gas, so there are four properties. From the flow with
# the same inputs, a fit differs by {glue:text}`sed` nat with the redshift and
# by {glue:text}`sed_free` nat without it.
#
# With the redshift known, the SFR is off by {glue:text}`sed_log_sfr_bias` dex
# on average, and the 95 % intervals contain {glue:text}`sed_log_sfr_held` of
# the measured values; $\log M_\star$ is off by
# {glue:text}`sed_log_stellar_mass_bias` dex
# ({glue:text}`sed_log_stellar_mass_held`), $D_n(4000)$ by
# {glue:text}`sed_dn4000_bias` ({glue:text}`sed_dn4000_held`). We suspect
# priors and definitions rather than sampling: a fit assumes one delayed
# exponential history, and the labels are those of a fibre and of emission
# lines. A network trained on the survey has the survey's own prior and
# definitions. The intervals of the methods that learn contain between
# {glue:text}`lowest_held` and {glue:text}`highest_held` of the measured
# values.

# %% mystnb={"figure": {"caption": "One simulated test galaxy: medians, 68 % (thick) and 95 % intervals (thin) by each method. Dashed: the measured value.", "name": "fig-method-intervals"}, "image": {"alt": "Five panels, one per property, with one interval per method around the measured value. Intervals of methods with the redshift are the narrowest in mass and star formation rate; SED fits miss the measured star formation rate or break strength."}} tags=["hide-input"]
figures.intervals(draws, known, measured, source=source)

# %% mystnb={"figure": {"caption": "The same simulated galaxy: contours of 68 % and 95 % of the draws of six methods in the plane of $D_n(4000)$ and $A_V$, over those of the model of this book with the same inputs (grey, filled). Cross: the measured values.", "name": "fig-method-contours"}, "image": {"alt": "Six panels. The contours of spline flows and of the residual network lie nearly on the grey ones; the contours through a spectrum are wider; the contours of the SED fit lie at a weaker break, off the measured values."}} tags=["hide-input"]
six = ["npe", "npe_image", "regression_told", "spectra", "sedflow", "sed"]
figures.contours(draws, known, measured, six, source=source)

# %% [markdown]
# ## The ceiling of photometry
#
# For some of the test galaxies we know the exact posterior given five
# magnitudes ({doc}`10_exact_posteriors`). The photometry model falls
# {glue:text}`photometry_gap` nat short of it (± standard error), the splines
# {glue:text}`npe_gap` nat and gradient boosting {glue:text}`boosting_gap` nat.
#
# ## What is simplified

# %% tags=["hide-input", "words"]
tables.simplifications(known)

# %% [markdown]
# ## A method of your own
#
# A method is a class with `fit`, `sample` and, where it can, `log_prob`. Below
# is the mean of the nearest neighbours in colour and magnitude. Put the class
# into a file of `notebooks/studies/methods` and add a row to
# `notebooks/studies/other_methods/rows.yaml`; with `results = "made"` it
# appears in the tables.

# %%
example = paths.repository_root() / "notebooks/studies/methods/neighbours.py"
print(example.read_text(encoding="utf-8"))

# %%
if results != "published":
    from studies.methods import Neighbours, labelled
    from studies.methods.evaluation import evaluate

    galaxies = other_methods.survey_of(plan)
    mine = Neighbours().fit(galaxies)
    test = labelled(galaxies, "test")
    _, judged = evaluate(mine, test, n_means=500, n_draws=100)
    shown_of = ["rmse", "coverage_68", "coverage_95"]
    display(pd.DataFrame(judged["properties"]).loc[shown_of].round(3))

# %% [markdown]
# ## What to take away
#
# - The redshift is worth several images, and an image several choices of
#   method.
# - Spline flows and flow matching differ by about as much as two ways to train
#   one of them.
# - These are small versions on simulated galaxies; the ranking may differ at
#   their own size and on the sky.

# %% [markdown]
# ## Exercises
#
# **Neighbours in more colours.** Give `Neighbours` the redshift
# (`photometry(galaxies, redshift=True)`), and run this page with 2,000
# galaxies. Which property gains most, and why?
#
# <details><summary>Answer</summary>
#
# Mass, if there are enough neighbours: it is a luminosity, and the magnitude
# alone leaves the distance open. The features are not standardised, so a
# redshift, which is a small number, hardly contributes to the distance;
# dividing each feature by its scatter helps further.
#
# </details>
#
# **What a mean cannot say.** The normal distribution of a regression is the
# same for all galaxies. By how much would its mean log-density rise, in one
# dimension, if half of the galaxies were known to 0.1 and half to 0.3, and the
# method knew which?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
widths = np.array([0.1, 0.3])
common = np.sqrt((widths**2).mean())
print(f"{np.log(common) - np.log(widths).mean():.2f} nat")
