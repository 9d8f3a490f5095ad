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

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
seed = 1  # of the bootstrap

# %%
# %matplotlib inline
import json

import pandas as pd
from myst_nb import glue

from galcfm import figures, metrics, paths, runs, stored_posteriors, tables
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey

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
paths.write_json(folder / "metrics.json", results | {"comparison": comparison})

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

# %% mystnb={"figure": {"caption": "Information of the image against the photometry model for each test galaxy, by kernel density estimates as in the paper: \u0394log p (left) and D_KL (right). Above the diagonal the image model does better.", "name": "fig-delta-log-p"}}
figures.model_comparison(
    {name: r["galaxies"]["delta_log_p"]["kde"] for name, r in results.items()},
    {name: r["galaxies"]["d_kl"]["kde"] for name, r in results.items()},
    source=test.source,
)

# %% [markdown]
# ## How certain is the gain?
#
# A training is one draw of weights, order and noise. So the command
# `python -m galcfm.studies.training_seeds` trained both models of the
# `quick` profile with three seeds; the error holds the spread of the galaxies
# and that of the trainings. Beside them stand two controls of
# {doc}`09_is_the_survey_real`, small flows that are given numbers instead of
# a picture. No encoder can know the half-light radius, the inclination and
# the bulge fraction better than their true values; of other things that a
# picture may tell they say nothing.

# %%
stored = json.loads(
    (paths.published_folder() / "training_seeds.json").read_text()
)
controls = json.loads((paths.published_folder() / "controls.json").read_text())
print(tables.made_by(stored))
tables.training_seeds(stored, controls["experiments"])

# %% [markdown]
# The seed hardly matters: the trainings differ by far less than the error
# that the number of test galaxies leaves. The picture is worth
# {glue:text}`gain_seeds:.3f` ± {glue:text}`gain_seeds_error:.3f` nat,
# {glue:text}`gain_share:.0f` % of what these three true numbers give to a small
# flow. In
# {doc}`06_calibration` neither longer training, nor smaller pixels, nor a
# wider encoder does better. More galaxies do, but for the photometry model
# nearly as much as for the image model: what separates the two is not known
# to grow.

# %% [markdown]
# ## The population
#
# Wasserstein distance between the posterior means of the test galaxies and
# their true values, property by property, in physical units. Posterior means
# spread less than the truth wherever the data do not decide, so their
# distance is not zero even for a perfect model; one draw a galaxy has the
# distance that a calibrated model would have with as few galaxies.

# %%
tables.wasserstein(results)

# %% mystnb={"figure": {"caption": "Wasserstein distance between posterior means and truth, in units of each property's spread. The floor is the distance of two independent samples of the same size.", "name": "fig-wasserstein"}}
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

# %% mystnb={"figure": {"caption": "Distributions of posterior means and of the truth over the test galaxies. Where the data say little, the means crowd around the middle.", "name": "fig-posterior-means"}}
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

# %% mystnb={"figure": {"caption": "Posterior mean against measured value for the test galaxies, photometry and image model. Measurement errors of the labels are part of the scatter.", "name": "fig-recovery"}}
figures.truth_recovery(chosen.catalogue, posteriors, source=test.source)

# %% [markdown]
# ## Calibration
#
# The paper does not examine calibration. A first look: the ranks of the truth
# among a galaxy's draws, which are uniform when the posterior is calibrated,
# and the share of truths inside central credible intervals.

# %% mystnb={"figure": {"caption": "Calibration on the test galaxies: ranks of the truth among the draws (uniform if calibrated), and coverage of central intervals minus their level (on the zero line if calibrated, above it if the posterior is too wide).", "name": "fig-coverage"}}
figures.calibration(chosen.catalogue, posteriors, source=test.source)

# %% tags=["remove-cell"]
for name, result in results.items():
    for kind in ("kde", "exact"):
        glue(f"{name}_delta_log_p_{kind}", result["delta_log_p"][kind]["mean"])
        glue(f"{name}_d_kl_{kind}", result["d_kl"][kind]["mean"])
    glue(f"{name}_delta_log_p_kde_std", result["delta_log_p"]["kde"]["std"])
    glue(f"{name}_d_kl_kde_std", result["d_kl"]["kde"]["std"])
    for p in PROPERTY_NAMES:
        distance = result["wasserstein"][p]["posterior_mean"]
        glue(f"{name}_wasserstein_{p}", distance)
change = comparison["delta_log_p"]["exact"]
glue("gain_exact", change["difference"])
glue("gain_exact_error", change["standard_error"])
for metric in ("delta_log_p", "d_kl"):
    wins = comparison[metric]["kde"]["wins"]["win_rate"]
    glue(f"win_rate_{metric}", 100 * wins)
oracle = controls["experiments"]["oracle"]["gain"]
glue("gain_seeds", stored["gain"])
glue("gain_seeds_error", stored["standard_error"])
glue("gain_share", 100 * stored["gain"] / oracle)
glue("n_test", float(len(test)))
glue("source", test.source)
glue("n_metrics", float(len(chosen)))
