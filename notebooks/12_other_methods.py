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
# The paper sets itself beside seven other ways from galaxies to their
# properties, and runs none of them. Here each is run: on the same simulated
# survey, trained on the same galaxies, tried on the same test galaxies. Of each
# method that learns, three settings are tried on the validation split.
#
# Gains are differences of the exact log-density of the measured properties,
# galaxy by galaxy, from one of this paper's two models. Their errors hold the
# scatter of galaxies and, where there is more than one training, of trainings.
# Pixels are 1.2″ wide, the galaxies those of {doc}`16_what_a_picture_is_worth`
# with all ties.
#
# The results are stored; `python -m studies.other_methods` makes them
# again, in some hours.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %% tags=["hide-input"]
# %matplotlib inline
import inspect
import json

import numpy as np
import pandas as pd
from myst_nb import glue
from sklearn.neighbors import KNeighborsRegressor

from galcfm import Survey, figures, paths, runs
from galcfm.figures import tables
from studies.methods.base import labelled, photometry
from studies.methods.neighbours import Neighbours
from studies.judging import judge
from studies.other_methods import LABEL, gain_over

folder = runs.open_run("12_other_methods", globals())
published = paths.published_folder()
found = json.loads((published / "methods.json").read_text())
draws = pd.read_parquet(published / "methods_draws.parquet")
rows = found["rows"]
source = "simulated survey"
READ_BY_SPLINES = (
    "npe_image",
    "morphology",
    "aligned",
    "annuli",
    "annuli_stamps",
    "latents",
    "aligned_random",
)
pd.set_option("display.max_colwidth", None)
print(tables.made_by(found))

# %% [markdown]
# ## Every method
#
# $\Delta\log p$ and $D_\text{KL}$ are exact, against the prior flow of this
# paper. *Over photometry* and *over photometry and picture* are the gains over
# this paper's two models. Rows that are told the redshift know more than
# either, whatever they do with it.

# %% tags=["full-width"]
tables.methods(rows)

# %% [markdown]
# ## Beside the model that sees the same
#
# *Ahead* and *behind* are by more than two standard errors. Methods that are
# ahead of this paper's would stand at the top.

# %%
tables.method_verdicts(rows)

# %% [markdown]
# ## Accuracy against cost

# %% mystnb={"figure": {"caption": "What each method gains over this paper's photometry model, and the time that 1,000 draws of one simulated galaxy take on one core. Bars are two standard errors, mostly smaller than the points; colours say what a method sees beside photometry. Fits of four properties are held against the same four of the model that sees what they see.", "name": "fig-method-costs"}, "image": {"alt": "Two panels, a row a method, the best at the top. On the left gains: those that are told the redshift stand first, then the image model and its like, then photometry; fits by sampling stand last. On the right times on a logarithmic axis, from less than a millisecond for regression to tens of seconds for fits by sampling."}}
figures.method_costs(rows, source=source)

# %% [markdown]
# ## What each row says
#
# **Is it flow matching, or the picture?** Splines behind this paper's encoder
# {cite:p}`HahnMelchior2022` are {glue:text}`npe_image:+.3f` ±
# {glue:text}`npe_image_error:.3f` nat from the image model; flow matching, when
# it is trained as the splines are, {glue:text}`cold:+.3f` ±
# {glue:text}`cold_error:.3f`. The two ways of inference differ by less than two
# ways of training one of them do. Without the picture flow matching is
# {glue:text}`photometry:+.3f` nat off. It is the picture.
#
# **More inputs beat better methods.** A masked autoregressive flow with the
# inputs of SEDflow {cite:p}`HahnMelchior2022`, which are magnitudes, their
# errors and the redshift, gains {glue:text}`sedflow_photometry:+.2f` nat over
# photometry, more than any picture here. This paper's flow, told the same,
# gains {glue:text}`told_photometry:+.2f`. On this paper's own inputs the splines
# are {glue:text}`npe_photometry:+.3f` ± {glue:text}`npe_photometry_error:.3f`
# nat from its photometry model.
#
# **Through a spectrum.** Diffusion of the spectrum from picture and photometry,
# then properties from spectra {cite:p}`Doorenbos2024`, is
# {glue:text}`spectra:+.3f` ± {glue:text}`spectra_error:.3f` nat from the image
# model, and {glue:text}`spectra_photometry:+.3f` from photometry. Given each
# galaxy's *true* spectrum, with 0.02 dex of noise, its second step alone has
# {glue:text}`true_spectra:.2f` nat, against {glue:text}`spectra_log_prob:.2f` by
# way of generated ones and {glue:text}`image_log_prob:.2f` of the image model.
# So a spectrum tells far more than picture and magnitudes do, but the detour by
# way of one costs more than the picture brings.
#
# **Rings** {cite:p}`IglesiasNavarro2025` of the JPEG cutout are
# {glue:text}`annuli:+.3f` ± {glue:text}`annuli_error:.3f` nat from the image
# model and {glue:text}`annuli_photometry:+.3f` from photometry; rings of the
# simulator's own pixels are {glue:text}`annuli_stamps:+.3f` from the image
# model. The eight bits of the colours cost nothing that rings could have used.
#
# **Measured morphology**, nine statistics by statmorph
# {cite:p}`RodriguezGomez2019`, for the idea of {cite:t}`Alfonzo2024`:
# {glue:text}`morphology:+.3f` ± {glue:text}`morphology_error:.3f` nat from the
# image model, {glue:text}`morphology_photometry:+.3f` from photometry: nearly
# half of what the image model takes from pictures, and no network sees one.
#
# **Regression.** A residual network on the picture alone
# {cite:p}`WuBoada2019,Alfonzo2024`, as a posterior one normal distribution for
# all galaxies, is {glue:text}`regression:+.2f` nat from the image model, with
# photometry beside it {glue:text}`regression_told:+.2f`. Gradient boosting on
# magnitudes and colours, which nobody should lose to, is
# {glue:text}`boosting_photometry:+.2f` nat from this paper's photometry model.
#
# **Alignment** of pictures and spectra, then a frozen encoder
# {cite:p}`Parker2024`, is {glue:text}`aligned:+.3f` ±
# {glue:text}`aligned_error:.3f` nat from the image model; the same network as
# chance made it {glue:text}`aligned_random:+.3f` ±
# {glue:text}`aligned_random_error:.3f`. The difference is what the alignment
# taught, on 9,000 pairs; that of millions of real galaxies cannot be had here.
#
# **Latents** of an autoencoder of pictures {cite:p}`Siddiqa2025` are
# {glue:text}`latents:+.3f` ± {glue:text}`latents_error:.3f` nat from the image
# model and {glue:text}`latents_photometry:+.3f` ±
# {glue:text}`latents_photometry_error:.3f` from photometry. What rebuilds a
# picture best need not be what tells of stars and dust.
#
# ### What a picture adds to the same splines
#
# Seven rows differ in how the picture is put into numbers, and in nothing else:
# one spline flow reads them, beside the same photometry. What they gain over
# that flow without a picture:

# %% mystnb={"figure": {"caption": "What the picture adds to photometry on simulated galaxies, by what it is turned into before the same spline flow reads it. The reference is that flow without a picture; bars are two standard errors.", "name": "fig-added"}, "image": {"alt": "Seven horizontal bars: the paper's encoder, trained with the flow, adds most, then measured morphology and the network aligned with spectra; rings and latents add less; the random network takes away."}}
table = pd.read_parquet(published / "methods.parquet")
added = {
    rows[name]["row"]["label"]: gain_over(rows, table, name, "npe")
    for name in READ_BY_SPLINES
}
figures.point_gains(added, source=source)

# %% tags=["remove-cell"]
for name, row in rows.items():
    for other, over in row["over"].items():
        stem = name if other == "image" else f"{name}_{other}"
        glue(stem, float(over["gain"]), display=False)
        glue(f"{stem}_error", float(over["standard_error"]), display=False)
over = rows["photometry_told"]["over"]["photometry"]
glue("told_photometry", float(over["gain"]), display=False)
of = next(iter(rows["spectra"]["seeds"].values()))
glue("true_spectra", float(of["log_prob_of_true_spectra"]), display=False)
glue("spectra_log_prob", float(of["log_prob"]["mean"]), display=False)
of = rows["image"]["seeds"].values()
image = np.mean([of_seed["log_prob"]["mean"] for of_seed in of])
glue("image_log_prob", float(image), display=False)
for name in ("sed", "sed_free"):
    of = next(iter(rows[name]["seeds"].values()))
    gain = of["gain_of_fewer"]
    glue(name, float(gain["gain"]), display=False)
    glue(f"{name}_error", float(gain["standard_error"]), display=False)
    glue(f"{name}_seconds", float(of["seconds_a_galaxy"]), display=False)
    for p in ("log_stellar_mass", "log_sfr", "dn4000"):
        for key in ("bias", "coverage_68", "coverage_95"):
            value = float(of["properties"][p][key])
            glue(f"{name}_{p}_{key}", value, display=False)
regression = tables.method_properties(rows, "rmse").iloc[:, 2]
label = rows["regression"]["row"]["label"]
glue("regression_oxygen", float(regression[label]), display=False)

# %% [markdown]
# ## Fits by sampling
#
# SED fitting {cite:p}`Conroy2013` learns nothing from the survey: bagpipes'
# galaxies {cite:p}`Carnall2018` under its usual priors, sampled by nautilus
# {cite:p}`Lange2023`, {glue:text}`sed_seconds:.0f` s a galaxy. Stars say
# nothing of the gas, so there are four properties. With the redshift known the
# four are {glue:text}`sed:+.2f` ± {glue:text}`sed_error:.2f` nat from this
# paper's flow that is told redshift and errors; with the redshift free,
# {glue:text}`sed_free:+.2f` ± {glue:text}`sed_free_error:.2f` from the
# photometry model.
#
# With the redshift known the star formation rate is off by
# {glue:text}`sed_log_sfr_bias:+.2f` dex in the mean, and the 95 % intervals hold
# {glue:text}`sed_log_sfr_coverage_95:.0%` of the labels; mass is off by
# {glue:text}`sed_log_stellar_mass_bias:+.2f` dex, with
# {glue:text}`sed_log_stellar_mass_coverage_95:.0%` inside; $D_n(4000)$ by
# {glue:text}`sed_dn4000_bias:+.2f`, with
# {glue:text}`sed_dn4000_coverage_95:.0%` inside. We take that for priors and
# definitions rather than for sampling, though no row here shows it: fits assume
# one delayed exponential, which is not how these galaxies formed, and labels
# are of a fibre and of emission lines. A network trained on the survey has the
# survey's prior and definitions, which are right by construction; on the sky
# nobody's are.

# %% [markdown]
# ## Point estimates
#
# Methods that give a value are judged by how far it is off: the root mean
# square, in dex, in $D_n(4000)$ and in mag. {cite:t}`WuBoada2019` have 0.085
# dex in O/H from pictures of real galaxies; the residual network here, trained
# on a tenth as many and in pixels three times as wide, has
# {glue:text}`regression_oxygen:.3f` dex of simulated ones.

# %%
tables.method_properties(rows, "rmse")

# %% [markdown]
# Of it the bias, the mean of estimate less label,

# %%
tables.method_properties(rows, "bias")

# %% [markdown]
# and the scatter about it:

# %%
tables.method_properties(rows, "scatter")

# %% [markdown]
# The Wasserstein distance of means, as in the paper's Table 2, rewards who
# knows more ({doc}`16_what_a_picture_is_worth`):

# %%
tables.method_properties(rows, "wasserstein", 4)

# %% [markdown]
# All metrics of all properties, to sort and to plot as you like:

# %%
tidy = tables.method_metrics(rows)
tidy

# %% [markdown]
# ## Honesty

# %% mystnb={"figure": {"caption": "Share of the measured properties of simulated test galaxies inside each method's 68 and 95 % intervals; lines: what it should be. Gradient boosting is shown with its split-conformal intervals, SED fits with label noise added to their draws.", "name": "fig-method-coverage"}, "image": {"alt": "Two panels of coloured points, a row a method: nearly all lie at the lines of 68 and 95 %; those of SED fitting are spread far to the left of them."}}
figures.method_coverage(rows, source=source)

# %% [markdown]
# ## The ceiling of photometry
#
# For some of the test galaxies the exact posterior of five magnitudes is known
# ({doc}`07_exact_posteriors`). No method that sees magnitudes alone can do
# better in the mean. *Told apart* is how often a classifier knows a method's
# draws from exact ones; 50 % is chance.

# %%
tables.method_exact(rows)

# %% [markdown]
# ## Three galaxies, by all

# %% mystnb={"figure": {"caption": "Medians, 68 and 95 % intervals of the first three simulated test galaxies by each method; dashed: the measured value. Colours say what a method sees.", "name": "fig-method-intervals"}, "image": {"alt": "Three rows of five panels; in each a horizontal interval a method, coloured by what it sees, about a dashed line at the measured value. Intervals of rows that are told the redshift are the narrowest in mass."}}
truth = draws[draws["row"] == LABEL].set_index("object_id")
labels = {
    name: (row["row"]["label"], row["row"]["beside"])
    for name, row in rows.items()
}
shown = draws[draws["row"].isin(rows)]
figures.method_intervals(shown, labels, truth, source=source)

# %% mystnb={"figure": {"caption": "The first of these simulated galaxies: each line holds 68 % of one method's draws; dashed: the measured values.", "name": "fig-method-corner-1"}, "image": {"alt": "Corner plot of five properties with one closed line a method, coloured by what it sees; most lines lie on each other, those of methods that are told the redshift enclose less."}}
figures.method_corner(
    shown, labels, truth, galaxy=truth.index[0], source=source
)

# %% mystnb={"figure": {"caption": "The second of the simulated galaxies, by the same methods.", "name": "fig-method-corner-2"}, "image": {"alt": "The same corner plot of the second galaxy."}}
figures.method_corner(
    shown, labels, truth, galaxy=truth.index[1], source=source
)

# %% mystnb={"figure": {"caption": "The third of the simulated galaxies, by the same methods.", "name": "fig-method-corner-3"}, "image": {"alt": "The same corner plot of the third galaxy."}}
figures.method_corner(
    shown, labels, truth, galaxy=truth.index[2], source=source
)

# %% [markdown]
# ## What is simplified
#
# No row is the other paper's code, data or size. What is left out:

# %% tags=["words"]
tables.method_notes(rows)

# %% [markdown]
# ## A method of your own
#
# A method is a class with `fit`, `sample` and, where it can, `log_prob`. One
# that gives a value a property inherits the rest: a normal distribution about
# it, as wide as it is wrong on validation. Here the mean of the nearest
# neighbours in colour and magnitude, tried on this run's own survey. In a file
# of `galcfm/methods`, with a row in `studies.other_methods.ROWS`, it
# would stand in the tables above.

# %%
print(inspect.getsource(Neighbours))

# %%
galaxies = Survey.load(paths.survey_folder(survey))
mine = Neighbours().fit(galaxies)
test = labelled(galaxies, "test")
judged = judge(mine, test, n_means=500, n_draws=100)["numbers"]
shown_of = ["rmse", "coverage_68", "coverage_95"]
pd.DataFrame(judged["properties"]).loc[shown_of].round(3)

# %% [markdown]
# ## Who made which row

# %% tags=["full-width"]
tables.made_of_rows({row["row"]["label"]: row for row in rows.values()})

# %% [markdown]
# ## Exercises
#
# **Neighbours in more colours.** Give `Neighbours` the redshift
# (`photometry(galaxies, redshift=True)`). Which property gains most, and why?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
train = labelled(galaxies, "train")
told = KNeighborsRegressor(min(30, len(train)))
told.fit(photometry(train, redshift=True), train.properties)
error = told.predict(photometry(test, redshift=True)) - test.properties
print(np.sqrt((error**2).mean(axis=0)).round(3))

# %% [markdown]
# <details><summary>Answer</summary>
#
# Mass, where there are neighbours enough: it is a luminosity, and the
# magnitude alone leaves the distance open. The features are not standardised,
# so that of a redshift, which is small, hardly counts as a distance: dividing
# each by its spread helps further.
#
# </details>
#
# **What a mean cannot say.** A point method's normal distribution is the same
# for all galaxies. By how much would its mean log-density rise, in one
# dimension, were half of the galaxies known to 0.1 and half to 0.3, and were
# it told which?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
widths = np.array([0.1, 0.3])
common = np.sqrt((widths**2).mean())
print(f"{np.log(common) - np.log(widths).mean():.2f} nat")
