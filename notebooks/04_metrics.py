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
# How much do the posteriors tell, and can they be trusted? The paper measures
# the log-density that a posterior gives to the truth, relative to the prior
# ($\Delta\log p$, accuracy), how far it is from the prior
# ($D_\mathrm{KL}$, informativeness), and how well the population of posterior
# means matches the truth (Wasserstein distance). {doc}`../method` has the
# definitions. This chapter computes them twice: by kernel density estimates,
# as the paper does, and from the exact density of the flow.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
seed = 1  # of the bootstrap

# %% tags=["hide-input"]
# %matplotlib inline
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
# ## Both models, both ways
#
# The prior is what the training split says about the properties before any
# data are seen: a kernel estimate in the paper's way, an unconditional flow
# in the exact way, and a kernel estimate beside the exact posterior.

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

# %% [markdown]
# Means over test galaxies in nat, with their standard errors, the spread
# between galaxies, and the share of galaxies with a negative $\Delta\log p$,
# whose truth the posterior finds less likely than the prior does:

# %%
tables.information(results)

# %% [markdown]
# For a perfect posterior the mean of $\Delta\log p$ equals the mean of
# $D_\mathrm{KL}$: what the posterior claims to know is what it knows. A
# $D_\mathrm{KL}$ that exceeds $\Delta\log p$ is overconfidence, which is why
# $D_\mathrm{KL}$ alone is never a goal. The exact values decide; the kernel
# estimates lower the one and raise the other.

# %%
tables.calibration_gap(results)

# %% [markdown]
# ## What the image adds
#
# Galaxy by galaxy on the same test galaxies; errors from a paired bootstrap.

# %%
tables.comparison(comparison)

# %% mystnb={"figure": {"caption": "Information of the image against the photometry model for each test galaxy, by kernel density estimates as in the paper: \u0394log p (left) and D_KL (right). Above the diagonal the image model does better.", "name": "fig-delta-log-p"}, "image": {"alt": "Two scatter plots of image model against photometry model, a point a galaxy: \u0394log p on the left, D_KL on the right, each with the diagonal of equality, a cross at the means, the histograms of both models and the share of galaxies above the diagonal."}}
figures.model_comparison(
    {name: r["galaxies"]["delta_log_p"]["kde"] for name, r in results.items()},
    {name: r["galaxies"]["d_kl"]["kde"] for name, r in results.items()},
    source=test.source,
)

# %% [markdown]
# ## How certain is the gain?
#
# The rest of this chapter is of one training of each model, and a training is
# one draw of weights, order and noise. So we trained both models of the
# `quick` profile with three seeds, as {doc}`06_what_a_picture_is_worth` can
# repeat with `results_training_seeds`; the error holds the spread of the
# galaxies and that of the trainings. Beside them stand two controls of {doc}`12_is_the_survey_real`,
# small flows that are given numbers instead of a picture: six measurements on
# cutouts of other galaxies of the same kind, and, on the very galaxies that
# train and judge the image model, three true numbers of the shape: half-light
# radius, inclination and bulge fraction. No encoder can know these three
# better than their true values. They are a yardstick, not a ceiling: of other
# things that a picture may tell, such as knots, arms and the colours of the
# parts, they say nothing.

# %%
seeds = training_seeds.STUDY.read()
stored = seeds.content
controls = image_controls.STUDY.read().content
print(seeds.origin)
training_seeds.table(stored, controls["experiments"])

# %% [markdown]
# The means of the trainings scatter by {glue:text}`gain_spread:.3f` nat, where
# the test galaxies leave an error of {glue:text}`gain_seeds_error:.3f`: of
# this recipe, another seed tells the same. The picture is worth
# {glue:text}`gain_seeds:.3f` ± {glue:text}`gain_seeds_error:.3f` nat,
# {glue:text}`gain_share:.0f` % of what the three true numbers give to a small
# flow. {doc}`09_calibration` has what was tried to raise it, one change and
# one training each: more galaxies, longer training, smaller pixels, a wider
# encoder. Other encoders were not tried there, deeper or trained before.

# %% [markdown]
# ## Dust and age together
#
# The claim that the picture loosens the degeneracy of dust and age is one of a
# pair. So $\Delta\log p$ once more, of the joint density of $A_V$ and
# $D_n(4000)$ alone, by kernel estimates, the paper's way, which in two
# dimensions are nearly free of bias; and the correlation of the two within the
# posteriors, which is what the degeneracy is. {numref}`fig-dust-age` shows the
# plane.

# %%
tables.dust_age(results, comparison)

# %% [markdown]
# The picture is worth {glue:text}`dust_age_gain:.3f` ±
# {glue:text}`dust_age_gain_error:.3f` nat on the pair (paired bootstrap, one
# training), and the image model is the better one for
# {glue:text}`dust_age_wins:.0f` % of the galaxies. The median correlation goes
# from {glue:text}`photometry_dust_age_correlation:.2f` to
# {glue:text}`image_dust_age_correlation:.2f`. A gain says that the pair is
# known better, be it because of dust, of age or of how they go together; a
# degeneracy that is lifted would show in a correlation near zero.

# %% [markdown]
# ## The population
#
# Wasserstein distance between the posterior means of the test galaxies and
# their true values, property by property, in physical units. It is not zero
# even for a perfect posterior: the variance of the truth is that of the means
# *plus* the mean variance of the posteriors, so that means spread less than
# the truth wherever the data do not decide. How far would a perfect posterior
# be that tells as much as this one? Then the truth would be like one draw a
# galaxy, and the distance of the means to such draws is the second column; its
# ± is how far chance takes it with as many galaxies. In closed form, for a
# Gaussian truth of spread $\sigma$ and means with the share $R^2$ of its
# variance,
#
# $$W = \sigma\,(1 - R)\sqrt{2/\pi}.$$
#
# What the measured distance has more than that is miscalibration of the
# population. The last columns ask for the same with one draw instead of the
# means, of which a calibrated model has only the distance of a finite sample.

# %%
tables.wasserstein(results)

# %% [markdown]
# Of the {glue:text}`n_distances:.0f` distances of both models,
# {glue:text}`n_perfect:.0f` lie within two of these errors of that of a
# perfect posterior of the same information. Where a distance does, it is no
# further mark of quality: it says once more, in other units, how much of a
# property's variance the means explain. For mass it is
# {glue:text}`photometry_wasserstein_log_stellar_mass:.4f` without and
# {glue:text}`image_wasserstein_log_stellar_mass:.4f` with the picture, where
# perfect posteriors would have
# {glue:text}`photometry_perfect_log_stellar_mass:.4f` and
# {glue:text}`image_perfect_log_stellar_mass:.4f`.
#
# In the paper the picture halves the distance of mass, from 0.0547 to 0.0264,
# and nearly those of star formation rate and metallicity. Were its posteriors
# perfect and its masses spread as they are here, by
# {glue:text}`mass_spread:.2f` dex, these would be means that explain
# {glue:text}`paper_photometry_explained:.0f` % (photometry) and
# {glue:text}`paper_image_explained:.0f` % (image) of the variance of mass;
# here they explain {glue:text}`photometry_explained:.0f` and
# {glue:text}`image_explained:.0f` %. There is another way to a large distance.
# A model that is trained too little has means that stay too near the middle of
# the population, nearer than its information asks: they are narrower, and the
# distance is larger than that of a perfect posterior. If this befell the
# paper's photometry model more than its image model, a part of the halving
# would be training and not picture. The paper's table alone cannot tell; one
# draw per galaxy would.

# %% mystnb={"figure": {"caption": "Wasserstein distance between posterior means and truth, in units of each property's spread. The floor is the distance of two independent samples of the same size.", "name": "fig-wasserstein"}, "image": {"alt": "A row a property: an orange dot for the photometry model and a blue one for the image model at their distances, and a short vertical line at the floor of a finite sample."}}
distances = pd.DataFrame(
    {
        name: {
            p: result["wasserstein_standardised"][p]["posterior_mean"]
            for p in PROPERTY_NAMES
        }
        for name, result in results.items()
    }
)
distances["floor"] = [
    results["image"]["wasserstein_standardised"][p]["floor"]
    for p in PROPERTY_NAMES
]
figures.wasserstein_chart(distances, source=test.source)

# %% mystnb={"figure": {"caption": "Distributions of posterior means and of the truth over the test galaxies. Where the data say little, the means crowd around the middle.", "name": "fig-posterior-means"}, "image": {"alt": "Five panels, one a property: a grey histogram of the measured values, with outlines of the posterior means of the photometry model in orange and of the image model in blue, and the distances W in figures."}}
figures.posterior_mean_distributions(
    chosen.catalogue, posteriors, source=test.source
)

# %% [markdown]
# ## Point estimates
#
# Bias and scatter of the posterior mean against the measured value, and the
# share of the variance it explains:

# %%
tables.point_estimates(results)

# %% mystnb={"figure": {"caption": "Posterior mean against measured value for the test galaxies, photometry and image model. Measurement errors of the labels are part of the scatter.", "name": "fig-recovery"}, "image": {"alt": "Scatter plots of posterior mean against measured value, a column a property, photometry model above and image model below, each with the diagonal of equality, the scatter and R\u00b2."}}
figures.truth_recovery(chosen.catalogue, posteriors, source=test.source)

# %% [markdown]
# ## Calibration
#
# The paper does not examine calibration. A first look: the ranks of the truth
# among a galaxy's draws, which are uniform when the posterior is calibrated,
# and the share of truths inside central credible intervals.

# %% mystnb={"figure": {"caption": "Calibration on the test galaxies: ranks of the truth among the draws (uniform if calibrated), and coverage of central intervals minus their level (on the zero line if calibrated, above it if the posterior is too wide).", "name": "fig-coverage"}, "image": {"alt": "Two rows of panels, a column a property: histograms of the rank of the truth above, coverage less its nominal value below; both models as lines over the grey band in which calibrated models stay."}}
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
glue("gain_seeds", stored["gain"])
glue("gain_seeds_error", stored["standard_error"])
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
mass = PROPERTY_NAMES[0]
spread = float(chosen.properties[:, 0].std())
glue("mass_spread", spread)
for name, distance in (("photometry", 0.0547), ("image", 0.0264)):
    r = 1 - distance / spread / np.sqrt(2 / np.pi)
    glue(f"paper_{name}_explained", float(100 * r**2))
    explained = results[name]["point_estimates"][mass]["r2"]
    glue(f"{name}_explained", 100 * explained)
glue("n_test", float(len(test)))
glue("source", test.source)
glue("n_metrics", float(len(chosen)))

# %% [markdown]
# ## Exercises
#
# **Know nothing, honestly.** Which $\Delta\log p$, $D_\mathrm{KL}$ and
# coverage has a model that answers each galaxy with the prior?
#
# <details><summary>Answer</summary>
#
# $\Delta\log p = 0$ and $D_\mathrm{KL} = 0$ for each galaxy, and perfect
# coverage. Calibration says that a posterior may be believed, not that it says
# anything: both kinds of numbers are needed.
#
# </details>
#
# **Twice as sure as one may be.** One property, a posterior that should be a
# Gaussian of width $s$, much narrower than the prior. A model gives the right
# middle, and half the width. What happens to its mean $\Delta\log p$ and to
# its $D_\mathrm{KL}$?
#
# <details><summary>Answer</summary>
#
# $\Delta\log p$ changes by $\ln 2 - \tfrac12 (2^2 - 1) = -0.81$ nat, as the
# truth lies twice as many of the claimed widths away; $D_\mathrm{KL}$, which
# never looks at the truth, rises by $\ln 2 = 0.69$ nat. Their difference of
# 1.5 nat is what gives the model away.
#
# </details>
#
# **Mean or median?** Is the gain of the picture one that most galaxies have,
# or one that few have? Compare its mean and its median, and the galaxies that
# gain most.

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
        "of the gain, by the best tenth": upper.sum() / change.sum(),
    }
).round(3).to_frame("exact, this run")
