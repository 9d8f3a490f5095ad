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
# # Metrics
#
# On {glue:text}`n_test:,.0f` test galaxies (*{glue:text}`source:s`*) the image
# raises the mean log-density of the measured properties by
# {glue:text}`gain_exact:.3f` ± {glue:text}`gain_exact_error:.3f` {term}`nat`
# (exact densities, one training of each model), and
# {glue:text}`win_rate_exact:.0f` % of the galaxies have a higher density with it.
# Three trainings give {glue:text}`gain_quick_exact:.3f` ±
# {glue:text}`gain_quick_exact_error:.3f` nat. The gain is well measured, but much smaller
# than the paper's 0.91 nat; {doc}`06_what_a_picture_is_worth` examines why.
#
# The paper measures $\Delta\log p$ (accuracy), the log-density of the measured
# properties relative to the {term}`prior`; $D_\mathrm{KL}$ (informativeness),
# the distance of posterior from prior; and the Wasserstein distance between
# posterior means and measured values ({doc}`../method`). We compute the first
# two twice: by {term}`kernel density estimates <KDE>`, as we assume the paper
# does, and from the exact density of the flow.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
seed = 1  # of the bootstrap

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import figures, metrics, paths, runs, stored_posteriors
from galcfm.figures import tables
from galcfm.figures.explorer import METRICS
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from studies import training_seeds
from studies.realism import image_controls

folder = runs.open_run("04_metrics", globals())
galaxies = Survey.load(paths.survey_folder(survey))
theta_train = galaxies.split("train").properties
test = galaxies.split("test")
posteriors = {
    name: stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    for name in ("photometry", "image")
}
densities = stored_posteriors.load_densities(folder / "densities.npz")
chosen = test.select(range(posteriors["image"].sizes["object_id"]))

# %% [markdown]
# ## Both models, two kinds of density
#
# The prior is the distribution of the training galaxies: a kernel estimate, or
# the unconditional flow when densities are exact. As a control, exact
# posteriors are also compared with the kernel estimate.

# %%
results = {}
for name, dataset in posteriors.items():
    samples, exact = stored_posteriors.samples_array(dataset), densities[name]
    kde_prior = metrics.with_kde_prior(
        exact, samples, test.properties, theta_train
    )
    results[name] = metrics.evaluate(
        samples,
        chosen.properties,
        theta_train,
        {"exact": exact, "exact_kde_prior": kde_prior},
    )
comparison = metrics.compare(results["image"], results["photometry"])
METRICS.write(folder / "metrics.json", results | {"comparison": comparison})

# %% tags=["hide-input"]
tables.information(results)

# %% [markdown]
# The table gives means over test galaxies with standard errors, the scatter between
# galaxies, and the share of galaxies with $\Delta\log p < 0$, whose measured values
# are less likely under the posterior than under the prior.
#
# For a perfect posterior the means of $\Delta\log p$ and $D_\mathrm{KL}$ are
# equal; a larger $D_\mathrm{KL}$ means overconfidence. With exact densities
# the difference is {glue:text}`photometry_gap:+.3f` ±
# {glue:text}`photometry_gap_error:.3f` nat for the photometry model and
# {glue:text}`image_gap:+.3f` ± {glue:text}`image_gap_error:.3f` nat for the
# image model. Kernel estimates lower $\Delta\log p$ and raise $D_\mathrm{KL}$
# ({ref}`why <what-the-numbers-mean>`), which alone opens a gap of more than
# half a nat.

# %% [markdown]
# ## What the image adds
#
# Errors are from a bootstrap over pairs.

# %% tags=["hide-input"]
tables.comparison(comparison)

# %% mystnb={"figure": {"caption": "Image model against photometry model for each test galaxy, with exact densities: $\\Delta\\log p$ on the left, $D_\\mathrm{KL}$ on the right. Blue points: the image model is higher; cross: means. The number of galaxies outside the axes is printed.", "name": "fig-delta-log-p"}, "image": {"alt": "Two scatter plots, one point per galaxy: \u0394log p on the left, D_KL on the right. In both, most points and the mean lie above the diagonal of equality, by a small fraction of the scatter between galaxies."}} tags=["hide-input"]
figures.model_comparison(
    {
        name: results[name]["galaxies"]["delta_log_p"]["exact"]
        for name in posteriors
    },
    {name: results[name]["galaxies"]["d_kl"]["exact"] for name in posteriors},
    source=test.source,
)

# %% [markdown]
# ## How certain is the gain?
#
# Everything else in this chapter rests on one training of each model, so we
# trained both with three seeds. The last two rows are controls of
# {doc}`12_is_the_survey_real`: small flows that take numbers instead of an
# image, either six measurements of the image or three true values of the
# simulation (half-light radius, inclination and bulge fraction). They are a
# yardstick, not a ceiling: knots, arms and colours are not among these
# numbers.

# %% tags=["hide-input"]
seeds = training_seeds.STUDY.read()
stored = seeds.content
controls = image_controls.STUDY.read().content
training_seeds.table(stored, controls["experiments"])

# %% [markdown]
# The gains of the trainings scatter by {glue:text}`gain_spread:.3f` nat, less
# than the error of {glue:text}`gain_quick_exact_error:.3f` nat that the number
# of test galaxies leaves: another seed would give the same result. The mean
# gain is {glue:text}`gain_share:.0f` % of the gain from the three true shape
# values.

# %% [markdown]
# ## Dust and age together
#
# A dusty young galaxy and a dust-free old one have similar colours, so that
# $A_V$ and $D_n(4000)$ are anticorrelated within a posterior
# ({numref}`fig-dust-age`). Does the image loosen this {term}`degeneracy`? We
# compute $\Delta\log p$ of the two properties jointly, by kernel estimates,
# which are nearly unbiased in two dimensions, and the correlation within the
# posteriors.

# %% tags=["hide-input"]
tables.dust_age(results, comparison)

# %% [markdown]
# For the pair the image adds {glue:text}`dust_age_gain:.3f` ±
# {glue:text}`dust_age_gain_error:.3f` nat, and
# {glue:text}`dust_age_wins:.0f` % of the galaxies have a higher density with
# it. The median correlation changes from {glue:text}`photometry_dust_age_correlation:.2f` to
# {glue:text}`image_dust_age_correlation:.2f`. The pair is known better, but
# the degeneracy remains.

# %% [markdown]
# ## The population
#
# The paper compares the posterior means of all test galaxies with the measured
# values by their {term}`Wasserstein distance` $W$, property by property. It is
# not zero even for a perfect posterior, because means scatter less than the
# galaxies ({ref}`why <what-the-numbers-mean>`). The columns "if perfect" give
# the distance for perfect posteriors that are as informative as ours, with
# the scatter for this number of galaxies.

# %% tags=["hide-input"]
tables.wasserstein(results)

# %% [markdown]
# Of the {glue:text}`n_distances:.0f` distances, {glue:text}`n_perfect:.0f` are
# within two standard deviations of a perfect posterior. So $W$ says how much
# of a property's variance the means explain, and is no further mark of
# quality. For mass it falls from
# {glue:text}`photometry_wasserstein_log_stellar_mass:.3f` to
# {glue:text}`image_wasserstein_log_stellar_mass:.3f` dex with the image; in
# the paper, from 0.0547 to 0.0264 dex. {doc}`06_what_a_picture_is_worth` turns
# $W$ into a gain for each property and compares these gains with the paper's.

# %% mystnb={"figure": {"caption": "Distributions of draws (solid) and of posterior means (dashed) minus that of the measured values, at each percentile of the test galaxies. Draws stay within the grey band, which contains 95 % of the differences between two samples of this size; means scatter less.", "name": "fig-population"}, "image": {"alt": "Five panels, one per property. Solid lines of both models stay near zero within a grey band; dashed lines of posterior means fall from above zero at low percentiles to below zero at high ones, most steeply for dust and star formation rate."}} tags=["hide-input"]
figures.population_quantiles(chosen.catalogue, posteriors, source=test.source)

# %% [markdown]
# ## Point estimates
#
# The posterior mean of the stellar mass explains
# {glue:text}`photometry_r2_log_stellar_mass:.2f` of the variance of the measured
# values without the image and {glue:text}`image_r2_log_stellar_mass:.2f` with it; for
# dust it explains {glue:text}`photometry_r2_a_v:.2f` and {glue:text}`image_r2_a_v:.2f`.

# %% mystnb={"figure": {"caption": "Posterior mean against measured value of each test galaxy, photometry model above and image model below. $\\sigma$ is the standard deviation of their difference in the unit of the axis, $R^2$ the share of the variance that the means explain. Errors of the measured values are part of \u03c3.", "name": "fig-recovery"}, "image": {"alt": "Ten scatter plots of posterior mean against measured value around the diagonal, five properties for each model. Stellar mass is tightest and dust widest; with the image \u03c3 is slightly smaller for every property."}} tags=["hide-input"]
figures.recovery(chosen.catalogue, posteriors, source=test.source)

# %% [markdown]
# ## Calibration
#
# The paper does not examine calibration. A first look: the {term}`rank` of the
# measured value among the draws of a galaxy is uniform for a calibrated
# posterior. {doc}`09_calibration` tests both models on more galaxies and on
# joint regions.

# %% mystnb={"figure": {"caption": "Calibration on the test galaxies. Top: rank of the measured value among the draws, flat if calibrated. Bottom: coverage of central intervals minus their nominal level, zero if calibrated and positive if posteriors are too wide. Calibrated posteriors stay within the grey band in 95 % of cases.", "name": "fig-coverage"}, "image": {"alt": "Two rows of five panels, one per property. Rank histograms of both models are flat within a grey band, and their coverage differs from the nominal level by less than 0.06."}} tags=["hide-input"]
figures.calibration(chosen.catalogue, posteriors, source=test.source)

# %% tags=["remove-cell"]
for name, result in results.items():
    for kind in ("kde", "exact"):
        glue(f"{name}_delta_log_p_{kind}", result["delta_log_p"][kind]["mean"])
        glue(f"{name}_d_kl_{kind}", result["d_kl"][kind]["mean"])
    glue(f"{name}_delta_log_p_kde_std", result["delta_log_p"]["kde"]["std"])
    glue(f"{name}_d_kl_kde_std", result["d_kl"]["kde"]["std"])
    for p in PROPERTY_NAMES:
        distance = result["wasserstein"][p]
        glue(f"{name}_wasserstein_{p}", distance["posterior_mean"])
        glue(f"{name}_perfect_{p}", distance["perfect"])
    correlation = result["dust_age"]["correlation"]
    glue(f"{name}_dust_age_correlation", correlation)
change = comparison["delta_log_p"]["exact"]
glue("gain_exact", change["difference"])
glue("gain_exact_error", change["standard_error"])
for metric in ("delta_log_p", "d_kl"):
    wins = comparison[metric]["kde"]["wins"]["win_rate"]
    glue(f"win_rate_{metric}", 100 * wins)
shape = controls["experiments"]["shape"]["gain"]
glue("gain_quick_exact", stored["gain"])
glue("gain_quick_exact_error", stored["standard_error"])
glue("gain_spread", stored["spread_over_trainings"])
glue("gain_share", 100 * stored["gain"] / shape)
pair = comparison["dust_age"]
glue("dust_age_gain", pair["difference"])
glue("dust_age_gain_error", pair["standard_error"])
glue("dust_age_wins", 100 * pair["wins"]["win_rate"])
distances = [d for r in results.values() for d in r["wasserstein"].values()]
within = [
    abs(d["posterior_mean"] - d["perfect"]) < 2 * d["perfect_spread"]
    for d in distances
]
glue("n_distances", float(len(within)))
glue("n_perfect", float(sum(within)))
for name, result in results.items():
    gap = result["delta_log_p_minus_d_kl"]["exact"]
    glue(f"{name}_gap", gap["difference"])
    glue(f"{name}_gap_error", gap["standard_error"])
    for p in PROPERTY_NAMES:
        glue(f"{name}_r2_{p}", result["point_estimates"][p]["r2"])
wins = comparison["delta_log_p"]["exact"]["wins"]["win_rate"]
glue("win_rate_exact", 100 * wins)
glue("n_test", float(len(test)))
glue("source", test.source)
glue("n_metrics", float(len(chosen)))


# %% [markdown]
# ## What to take away
#
# - The image adds about a quarter of a nat to the mean log-density of the
#   measured properties, with any seed.
# - Exact densities show nearly equal $\Delta\log p$ and $D_\mathrm{KL}$; the gap that
#   kernel estimates show is mostly their own bias.
# - Compare draws, not means, with a population: means scatter less than the
#   galaxies.

# %% [markdown]
# ## Exercises
#
# **A model that knows nothing.** Which $\Delta\log p$, $D_\mathrm{KL}$ and coverage
# has a model that answers each galaxy with the prior?
#
# <details><summary>Answer</summary>
#
# $\Delta\log p = 0$ and $D_\mathrm{KL} = 0$ for each galaxy, and perfect coverage.
# Calibration says that a posterior can be trusted, not that it is informative: both
# kinds of numbers are needed.
#
# </details>
#
# **Twice as sure as it should be.** Take one property and a posterior that should be a
# Gaussian of width $s$, much narrower than the prior. A model gives the right mean
# and half the width. What happens to its mean $\Delta\log p$ and to its
# $D_\mathrm{KL}$?
#
# <details><summary>Answer</summary>
#
# $\Delta\log p$ changes by $\ln 2 - \tfrac12 (2^2 - 1) = -0.81$ nat, as the
# measured value lies twice as many of the claimed widths away; $D_\mathrm{KL}$, which
# does not use the measured value, rises by $\ln 2 = 0.69$ nat. The difference of
# the two, $1.5$ nat, exposes the model.
#
# </details>
#
# **Mean or median?** Do most galaxies gain from the image, or only a few? Compare the
# mean and the median gain, and the galaxies that gain most.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
change = np.subtract(
    *(
        results[name]["galaxies"]["delta_log_p"]["exact"]
        for name in ("image", "photometry")
    )
)
upper = np.sort(change)[-len(change) // 10 :]
pd.Series(
    {
        "mean gain [nat]": change.mean(),
        "median gain [nat]": np.median(change),
        "share of galaxies that gain": (change > 0).mean(),
        "share of the gain from the best tenth": upper.sum() / change.sum(),
    }
).round(3).to_frame("exact densities")
