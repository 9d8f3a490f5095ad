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
# # Posterior sampling
#
# We draw {glue:text}`n_samples:,.0f` posterior samples for each of
# {glue:text}`n_sampled:,.0f` test galaxies with both models, and compute exact
# log-densities for all {glue:text}`n_test:,.0f` test galaxies. A draw starts as
# Gaussian noise and follows the learned velocity from $t = 0$ to $t = 1$ in
# {glue:text}`steps:.0f` Runge-Kutta steps, where the paper takes 100. The fewer
# steps move no draw by more than 1/{glue:text}`step_ratio:,.0f` of the path width
# $\sigma = 0.05$, below which the flow resolves nothing.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_posteriors = 500  # test galaxies with stored samples; the paper's 1,000
n_samples = 1000  # draws per galaxy; the paper's 1,000
steps = 12  # Runge-Kutta steps; the paper's 100
n_check = 8  # galaxies drawn again with 100 steps, to compare
density_steps = 12  # Runge-Kutta steps of the exact log-density
n_kl = 200  # galaxies with exact log-densities of their samples
n_kl_samples = 50  # draws of each of these
seed = 1  # of the noise

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import figures, paths, runs, stored_posteriors
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey

folder = runs.open_run("03_posterior_sampling", globals())
test = Survey.load(paths.survey_folder(survey)).split("test")
models = {
    name: Posterior.load(folder / name) for name in ("photometry", "image")
}
prior = Posterior.load(folder / "prior")
stored_posteriors.check_plan(len(test), globals())
chosen = test.select(range(min(n_posteriors, len(test))))

# %% [markdown]
# ## Draws
#
# The draws of a galaxy depend only on its identifier and the seed, not on the
# other galaxies in the call. `infer` returns an `xarray.Dataset`, with one
# variable per property and the dimensions `chain`, `draw` and `object_id`,
# which ArviZ reads.

# %%
posteriors = {
    name: model.infer(chosen, n_samples=n_samples, steps=steps, seed=seed)
    for name, model in models.items()
}
for name, dataset in posteriors.items():
    stored_posteriors.save_posteriors(
        dataset, folder / f"posteriors_{name}.nc"
    )

# %% [markdown]
# ## Exact log-densities
#
# The flow also gives the density of any point exactly ({ref}`how
# <exact-density>`). We evaluate the measured values of each test galaxy under
# both models and under the prior, and some draws of {glue:text}`n_kl:.0f`
# galaxies for the exact information gain.

# %%
densities = {
    name: stored_posteriors.exact_log_densities(
        model,
        prior,
        test,
        n_kl=n_kl,
        n_kl_samples=n_kl_samples,
        steps=density_steps,
        seed=seed,
    )
    for name, model in models.items()
}
stored_posteriors.save_densities(densities, folder / "densities.npz")

# %% [markdown]
# ## One galaxy's posterior
#
# We take the brightest of the twentieth of the galaxies whose {term}`gain` is
# nearest the median. Its gain is {glue:text}`example_gain:.2f` nat.

# %% tags=["hide-input"]
gain = np.subtract(
    *(densities[name].posterior_truth for name in ("image", "photometry"))
)[: len(chosen)]
nearest = np.argsort(np.abs(gain - np.median(gain)))
nearest = nearest[: max(1, len(chosen) // 20)]
example = int(nearest[chosen.catalogue["mag_r"].iloc[nearest].argmin()])

# %% mystnb={"figure": {"caption": "Posterior of one test galaxy whose gain is near the median. Contours enclose 68 % and 95 % of the draws: filled for the photometry model, blue lines for the image model. Dashed lines mark the measured values. Where the image helps, the blue contours are smaller than the orange areas.", "name": "fig-corner"}, "image": {"alt": "Corner plot of the five properties of one galaxy: smooth densities on the diagonal and contours below, orange areas for the photometry model and blue lines for the image model, which are slightly narrower; dashed lines at the measured values, and the galaxy's image in the upper right."}} tags=["hide-input"]
figures.galaxy_corner(
    chosen.catalogue,
    posteriors,
    chosen.images,
    galaxy=example,
    source=test.source,
)

# %% [markdown]
# {numref}`fig-trajectories` shows how its draws arise, in the plane of
# $D_n(4000)$ and $A_V$. The noise is the same for both models; the velocity
# differs.

# %% mystnb={"figure": {"caption": "Paths of 200 draws of the same galaxy from noise ($t = 0$) to posterior ($t = 1$), photometry model above and image model below. The diamond marks the measured values. Paths become curved where many training paths cross.", "name": "fig-trajectories"}, "image": {"alt": "Two rows of panels, photometry and image model, from left to right at times 0, 1/3, 2/3 and 1: 200 points in the plane of D_n(4000) and A_V begin as round noise and end as a compact posterior around a diamond at the measured values."}} tags=["hide-input"]
plane = ("dn4000", "a_v")
columns = [PROPERTY_NAMES.index(name) for name in plane]
galaxy = test.select([example])
figures.pathways(
    {
        name: stored_posteriors.pathways(model, galaxy, 200, steps, seed)[
            ..., columns
        ]
        for name, model in models.items()
    },
    plane,
    measured=galaxy.properties[0, columns],
    source=test.source,
)

# %% [markdown]
# ## How many steps are enough?
#
# We repeat the draws of {glue:text}`n_check:.0f` galaxies with the paper's 100
# steps and the same noise. σ is the standard deviation of each property over
# the survey.

# %% tags=["hide-input"]
check = test.select(range(min(n_check, len(test))))
moved = {
    name: stored_posteriors.step_error(model, check, 100, steps)
    for name, model in models.items()
}
pd.DataFrame(
    {
        f"{name} model": {
            "largest difference [10⁻⁶ σ]": f"{1e6 * error.max():,.1f}",
            "mean difference [10⁻⁶ σ]": f"{1e6 * error.mean():,.1f}",
        }
        for name, error in moved.items()
    }
)

# %% tags=["remove-cell"]
glue("n_samples", float(n_samples))
glue("n_sampled", float(len(chosen)))
glue("n_test", float(len(test)))
glue("n_kl", float(min(n_kl, len(test))))
glue("n_check", float(len(check)))
glue("steps", float(steps))
largest = max(float(error.max()) for error in moved.values())
glue("step_ratio", 0.05 / max(largest, 1e-9))
glue("example_gain", float(gain[example]))

# %% [markdown]
# ## What to take away
#
# - A posterior is a set of draws: carry noise along the learned velocity, and count.
# - A few Runge-Kutta steps are enough: a hundred move draws by less than the
#   flow resolves.
# - The same flow gives exact log-densities, which need no kernel estimate.

# %% [markdown]
# ## Exercises
#
# **From draws to a sentence.** State the stellar mass of the example galaxy,
# with its central 68 % interval, under each model.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
pd.DataFrame(
    {
        f"{name} model": p["log_stellar_mass"]
        .isel(object_id=example)
        .quantile([0.16, 0.5, 0.84])
        .to_series()
        for name, p in posteriors.items()
    }
).rename_axis(None).round(2)

# %% [markdown]
# **How many draws?** With $S$ independent draws of a Gaussian posterior of
# width $s$, how precisely do you know its mean, and how precisely its upper
# 97.5 % bound? Are 1,000 draws enough?
#
# <details><summary>Answer</summary>
#
# The mean is known to $s/\sqrt S$, with 1,000 draws to $0.03\,s$. A quantile $q$
# is known to $\sqrt{q(1-q)/S}$ divided by the density there: for the bound
# $2.7\,s/\sqrt S$, with 1,000 draws $0.08\,s$. That is enough for a catalogue, but
# not for statements about one case in a thousand; for these use the exact
# log-density.
#
# </details>
#
# **Straight and curved.** Training connects noise and galaxies by straight lines.
# Why are the paths of {numref}`fig-trajectories` curved nevertheless, and why do
# they never cross?
#
# <details><summary>Answer</summary>
#
# Many of the straight lines pass through one point at one time on their way to
# different ends. The network learns their mean velocity, which changes along the
# way as the possible ends become fewer. A velocity field has one value at each
# place and time, so two paths that met would be one path. In two of five
# dimensions they may seem to cross. Because paths never cross, the flow is
# invertible and its density exact.
#
# </details>
