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
# A trained flow turns noise into posterior samples: each of the draws of a
# galaxy starts as a standard normal vector and follows the velocity field
# from $t = 0$ to $t = 1$ by fourth-order Runge-Kutta steps. This chapter
# draws the posteriors of test galaxies with both models and records the
# exact log-densities that the metrics need.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_posteriors = 500  # test galaxies with stored samples; the paper's 1,000
n_samples = 1000  # draws per galaxy; the paper's 1,000
steps = 12  # Runge-Kutta steps; the paper's 100
n_check = 8  # galaxies drawn once more with 100 steps, to compare
density_steps = 12  # Runge-Kutta steps of the exact log-density
n_kl = 200  # galaxies with exact log-densities of their samples
n_kl_samples = 50  # draws of each of these
seed = 1  # of the noise

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd

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
print(f"{len(test)} test galaxies, {len(chosen)} of them sampled")

# %% [markdown]
# ## From noise to posterior
#
# For one galaxy, the paths of 200 draws in the plane of $D_n(4000)$ and
# $A_V$. The noise is the same for both models; the velocity differs.

# %% mystnb={"figure": {"caption": "Paths of 200 draws of one galaxy from noise (start) to posterior (end), in the plane of Dn(4000) and A_V, for both models. The straight paths of the training become curved where many of them cross.", "name": "fig-trajectories"}, "image": {"alt": "Two rows of panels, photometry and image model, from left to right at times 0, 1/3, 2/3 and 1: 200 points in the plane of Dn(4000) and A_V, which begin as round noise and end as the posterior; a cross marks the measured values."}}
plane = ("dn4000", "a_v")
columns = [PROPERTY_NAMES.index(name) for name in plane]
first = test.select([0])
figures.pathways(
    {
        name: stored_posteriors.pathways(model, first, 200, steps, seed)[
            ..., columns
        ]
        for name, model in models.items()
    },
    plane,
    truth=first.properties[0, columns],
    source=test.source,
)

# %% [markdown]
# ## Posterior samples
#
# The draws of a galaxy depend on its identifier and the seed alone, so the
# same galaxy gets the same posterior in whatever company it is drawn.

# %%
for name, model in models.items():
    posteriors = model.infer(
        chosen, n_samples=n_samples, steps=steps, seed=seed
    )
    stored_posteriors.save_posteriors(
        posteriors, folder / f"posteriors_{name}.nc"
    )
posteriors

# %% [markdown]
# ## How many steps are enough?
#
# The same noise, drawn with fewer steps and with the paper's 100. The
# differences are in units of the survey's own spread of each property, to be
# held against the path width $\sigma = 0.05$ below which the flow does not
# resolve anything.

# %%
check = test.select(range(n_check))
pd.DataFrame(
    {
        name: {
            "maximum difference to 100 steps": error.max(),
            "mean difference to 100 steps": error.mean(),
        }
        for name, model in models.items()
        for error in [stored_posteriors.step_error(model, check, 100, steps)]
    }
).map("{:.1e}".format)

# %% [markdown]
# ## Exact log-densities
#
# The flow gives the density of a point exactly: it is carried back to the
# noise, and the divergence of the velocity along the way says how much space
# was stretched. The truth of each test galaxy is evaluated under both models
# and under the prior; so are some draws of some galaxies, for the exact
# information gain.

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

# %% mystnb={"figure": {"caption": "Posterior of one test galaxy under both models, with its true (measured) properties and its cutout.", "name": "fig-corner"}, "image": {"alt": "Corner plot of the five properties of one galaxy: histograms on the diagonal and contours below, photometry model in orange, image model in blue, lines at the measured values, and the cutout in the upper right."}}
posteriors = {
    name: stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    for name in models
}
figures.galaxy_corner(
    chosen.catalogue, posteriors, chosen.images, galaxy=0, source=test.source
)

# %% [markdown]
# ## Exercises
#
# **From draws to a sentence.** State the stellar mass of the first sampled
# galaxy, with its central 68 % interval, by each model.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
pd.DataFrame(
    {
        name: p["log_stellar_mass"]
        .isel(object_id=0)
        .quantile([0.16, 0.5, 0.84])
        .to_series()
        for name, p in posteriors.items()
    }
).round(2)

# %% [markdown]
# **How many draws?** With $S$ independent draws of a Gaussian posterior of
# width $s$, how well is its mean known, and how well its upper 97.5 % bound?
# Are 1,000 enough?
#
# <details><summary>Answer</summary>
#
# The mean to $s/\sqrt S$, with 1,000 draws to $0.03\,s$. A quantile $q$ to
# $\sqrt{q(1-q)/S}$ over the density there, for the bound $2.7\,s/\sqrt S$,
# with 1,000 draws $0.08\,s$. That is enough for a catalogue, and not for
# statements about one case in a thousand: for these use the exact log-density.
#
# </details>
#
# **Straight and curved.** Training joins noise and galaxies by straight lines.
# Why are the paths of the figure curved all the same, and why do they never
# cross?
#
# <details><summary>Answer</summary>
#
# Many of the straight lines pass through one point at one time, bound for
# different ends. The network learns their mean velocity, which changes along
# the way as it becomes clear where one is going. A velocity field has one
# value at each place and time, so two paths that met would be one path. This
# is what makes the flow invertible, and its density exact.
#
# </details>
