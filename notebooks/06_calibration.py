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
# # Calibration
#
# A posterior that says 68 % should hold the truth in 68 of 100 cases. The
# paper does not examine whether its posteriors do. A simulated survey can:
# as many galaxies as needed are made for this alone, which no model has ever
# seen, and the truth of each is known as it would be measured.
#
# The galaxies were ranked once, under the models of the `quick` profile and
# variants of their training, by the command
# `python -m galcfm.calibration`; this chapter reads the ranks and tests them.

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick or paper
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %%
# %matplotlib inline
import json

import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import calibration, figures, paths, runs, tables

folder = runs.open_run("06_calibration", globals())
published = paths.published_folder() / "calibration.json"
stored = json.loads(published.read_text())
galaxies = pd.read_parquet(published.with_suffix(".parquet"))
n_draws = stored["identity"]["n_draws"]
models = ("photometry", "image")
print(f"{len(galaxies)} galaxies, {n_draws} draws of each")
print(f"models of the {stored['identity']['run']} run")
print(tables.made_by(stored))

# %% [markdown]
# ## Three tests
#
# Each test puts a galaxy's draws in an order and asks at which rank the truth
# stands. When the posterior is calibrated, truth and draws are exchangeable,
# and every rank is as likely as any other.
#
# - *One property*: draws are ordered by it, which is simulation-based
#   calibration {cite:p}`Talts2018`.
# - *All properties, by density*: draws are ordered by their exact log-density,
#   so that the rank is the level of the smallest highest-density region that
#   holds the truth. A share below zero means too narrow posteriors.
# - *All properties, by distance* {cite:p}`Lemos2023`: draws are ordered by
#   their distance to a reference point. Here that point is the measured
#   properties of another galaxy, drawn at random, and distances are in units
#   of the training split's spread.
#
# The grey band is simultaneous {cite:p}`Sailynoja2022`: a calibrated model
# stays inside it along its whole length in 95 of 100 cases. With seven tests
# of two models, none of which is independent of the others, one line that
# leaves it slightly would be no surprise.

# %% mystnb={"figure": {"caption": "Share of galaxies whose rank is below each level, minus what a calibrated model has, for simulated galaxies that no model has seen. Inside the grey band along its whole length in 95 % of cases if calibrated.", "name": "fig-calibration"}}
ranks = {model: calibration.ranks_under(model, galaxies) for model in models}
low, high = calibration.band(len(galaxies), n_draws)
levels = np.arange(1, n_draws + 1) / (n_draws + 1)
figures.rank_bands(
    {model: calibration.deviations(ranks[model], n_draws) for model in models},
    (low - levels, high - levels),
    source="simulated survey",
)

# %% [markdown]
# The largest deviation of each line, in half-widths of the band. Up to 1 it
# is inside.

# %%
overall = {
    model: calibration.departures(ranks[model], n_draws).loc["all"]
    for model in models
}
for model, largest in overall.items():
    outside = ", ".join(largest.index[largest > 1]) or "none"
    print(f"outside the band under the {model} model: {outside}")
pd.DataFrame(overall).T.round(2)

# %% [markdown]
# ## Among galaxies of one kind
#
# Errors of opposite sign can cancel over a whole survey. So the same tests
# once more, for a fifth of the galaxies at a time. An exact posterior is
# uniform in bins of anything that follows from its own data, such as the
# magnitude or the mass that it infers. (It is not in bins of the true mass:
# among galaxies chosen for being massive, the posterior looks too low. So
# mass here is the mean of truth and draws, in which all are alike.) Redshift
# is not given to the models, and need not leave them uniform: a deviation
# there says what spectroscopy would add.


# %% mystnb={"figure": {"caption": "Largest deviation of the ranks from uniform for a fifth of the simulated galaxies at a time, in half-widths of their 95 % band. Bins of redshift select by what the models do not see.", "name": "fig-calibration-bins"}}
figures.departures(
    {
        model: calibration.departures(
            ranks[model],
            n_draws,
            calibration.covariates_under(model, galaxies),
        )
        for model in models
    },
    source="simulated survey",
)

# %% [markdown]
# ## Variants of the training
#
# What makes a model calibrated, and what spoils it? Each variant changes one
# thing in the training, or averages the densities of several trainings. The
# numbers of the seven tests are largest deviations in half-widths of the
# band; higher log p of the truth [nat] is better.
#
# - The paper's training has a small, constant learning rate, one draw of time
#   and noise a galaxy, weights that are not averaged, and stops early. What
#   it deviates more is undertraining.
# - With a path of width $\sigma = 0.05$ the flow learns the posterior
#   convolved with a Gaussian of that width. `hpd_smoothed` tests that target:
#   the truth is given the same noise. Where it is inside the band and `hpd`
#   is not, the width is the cause, and the row with $\sigma = 0$ the remedy.
# - More galaxies, more epochs, a deeper network and several trainings say
#   whether data, training, capacity or luck set the limit.

# %%
compared = calibration.compare_recipes(stored["recipes"], galaxies, n_draws)
compared.round(2)

# %% tags=["remove-cell"]
for name, row in overall.items():
    for test, value in row.items():
        glue(f"{name}_{test}_departure", float(value))
    glue(f"{name}_departure", float(row.max()))
glue("n_calibration", float(len(galaxies)))
