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
# # What a picture is worth
#
# In the paper the picture is worth 0.91 nat: the mean $\Delta\log p$ rises
# from 1.26 to 2.17 when the model sees the cutout beside the photometry. On
# the first survey of this book it was worth a sixth of that. This chapter
# asks why, by experiment: each row below changes one thing and trains both
# models again.
#
# Each gain is the difference of the exact log-densities of the measured
# properties, image model less photometry model, in the mean of more than
# 5,000 simulated test galaxies and of the trainings that the table counts:
# three of each model where it is complete. Pixels are 1.2″ wide, those of
# the book's own models 0.8″. The relations that tie pictures to properties
# were chosen, with their numbers, before any of these gains was known. When two
# were, skies, stars and colour gradients were brought nearer to real cutouts,
# by these alone ({doc}`09_is_the_survey_real`), and all rows were made anew;
# nothing was changed since.
#
# The results are stored; `python -m galcfm.studies.account` makes them again.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %% tags=["hide-input"]
# %matplotlib inline
import json

from galcfm import figures, paths, runs
from galcfm.figures import tables
from galcfm.studies.account import LADDER

folder = runs.open_run("16_what_a_picture_is_worth", globals())
published = paths.published_folder()
account = json.loads((published / "account.json").read_text())
rows = account["rows"]
source = "simulated survey"
print(tables.made_by(account))

# %% [markdown]
# ## The gap
#
# From the book's first survey, as near as today's simulator makes it, towards
# the paper. In it sizes and bulges went with mass, young stars were blue and
# dust knew the inclination; of the named ties it had this last one. Then:
# labels measured in the fibre; all other ties; and two changes that we do not know
# the paper to have, the $A_V$ of the Balmer decrement as label and Petrosian
# magnitudes as photometry.

# %% mystnb={"figure": {"caption": "What the picture adds to photometry in the simulated survey, exact, in steps that each keep those before. Bars are two standard errors. The last two rows are the paper's number, by kernel densities on real galaxies, and what is left to it.", "name": "fig-picture-worth"}, "image": {"alt": "Horizontal bars that build on each other, from the book's first survey by steps to all ties; a hatched bar for what is not accounted for, and a dark one for the paper's number."}}
PAPER = 2.17 - 1.26
steps = [
    (
        rows[name]["row"]["label"],
        rows[name]["gain"],
        rows[name]["standard_error"],
    )
    for name in LADDER
    if name in rows
]
figures.picture_worth(steps, PAPER, source=source)

# %% [markdown]
# ## Every row
#
# Rows that are not here have not been trained yet.

# %% tags=["full-width"]
tables.account(rows)

# %% [markdown]
# ## Which properties
#
# The share of the variance of each measured property that posterior means
# explain. What is left is errors of the labels, which no model can tell, and
# what photometry or picture do not tell.

# %% tags=["full-width"]
named = ("old", "old_fibre", "all", "all_told", "balmer", "noise_4")
tables.account_explained({name: rows[name] for name in named if name in rows})

# %% [markdown]
# ## By kernel densities
#
# The paper estimates posterior densities by a Gaussian kernel estimate of
# 1,000 draws. So do these rows, on the first 1,000 test galaxies, with draws
# by 12 Runge-Kutta steps, not 100.

# %%
tables.account_kernels(rows)

# %% [markdown]
# ## The Wasserstein table
#
# In the paper the picture halves the distance between the distribution of
# posterior means and that of the labels, for mass from 0.055 to 0.026. Even a
# perfect posterior has such a distance: means spread less than what they are
# means of. For a Gaussian it is
#
# $$ W = \sigma \,(1 - R)\, \sqrt{2/\pi}, $$
#
# with $R^2$ the share of the variance that the means explain. The rows *if
# perfect* have this number for the $R^2$ that was measured.

# %%
tables.account_distances(rows["all"])
