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
# # What matters
#
# One part of the image model is exchanged at a time: its inputs, its pictures,
# its encoder, its training. The reference is flow matching with photometry and
# picture, 32×32 pixels of 1.2″, trained for twelve epochs on some 9,000
# galaxies; each point trains for as many steps, three times, and is tried on
# the same 5,000 test galaxies. A bar is the difference of the mean exact
# log-density of the measured properties, galaxy by galaxy; its error holds the
# scatter of galaxies and of trainings.
#
# The results are stored; `python -m galcfm.studies.what_matters` makes them
# again, in some hours, and the tables at the end are of
# `galcfm.studies.other_populations` and `galcfm.studies.other_instruments`.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %% tags=["hide-input"]
# %matplotlib inline
import json

from myst_nb import glue

from galcfm import figures, paths, runs
from galcfm.figures import tables

folder = runs.open_run("13_what_matters", globals())
published = paths.published_folder()
found = json.loads((published / "what_matters.json").read_text())
populations = json.loads((published / "other_populations.json").read_text())
instruments = json.loads((published / "other_instruments.json").read_text())
points = found["points"]
source = "simulated survey"
for stored in (found, populations, instruments):
    print(tables.made_by(stored))


def of_axis(axis):
    return {
        point["point"]["label"]: (point["gain"], point["standard_error"])
        for name, point in points.items()
        if name.startswith(f"{axis}/")
    }


# %% [markdown]
# ## What is seen

# %% mystnb={"figure": {"caption": "Photometry alone, picture alone, and both with the redshift: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-inputs"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("inputs"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## What pictures hold

# %% mystnb={"figure": {"caption": "The picture grey, in one band, blurred, and another galaxy's: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-pictures"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("pictures"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## Pixels

# %% mystnb={"figure": {"caption": "16, 32, 64 and 128 pixels a side of the same field: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-pixels"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("pixels"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## Pooling

# %% mystnb={"figure": {"caption": "Maximum pooling for the paper's average pooling: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-pooling"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("pooling"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## The encoder

# %% mystnb={"figure": {"caption": "A residual network, a vision transformer, the same aligned with spectra, and as chance made it: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-encoder"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("encoder"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## How many galaxies

# %% mystnb={"figure": {"caption": "From 1,500 to 60,000 training galaxies, in as many steps: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-galaxies"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("galaxies"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## The width of the path

# %% mystnb={"figure": {"caption": "Σ of 0, 0.01 and 0.1 for the paper's 0.05: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-sigma"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("sigma"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## How the condition comes in

# %% mystnb={"figure": {"caption": "Scaled and shifted layers, and cross-attention, for concatenation: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-conditioning"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("conditioning"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## Steps of the sampler

# %% mystnb={"figure": {"caption": "Densities by 2 to 100 Runge-Kutta steps: gain over the reference on simulated test galaxies. Bars are two standard errors.", "name": "fig-matters-steps"}, "image": {"alt": "Horizontal bars: TODO"}}
figures.point_gains(of_axis("steps"), source=source)

# %% [markdown]
# TODO: what an astronomer should conclude.

# %% [markdown]
# ## Every point

# %%
tables.what_matters(points)

# %% [markdown]
# ## Other galaxies
#
# Photometry models, then image models: labels inside the 95 % intervals. A star
# marks shares outside what 95 % is by numbers, at two standard errors.

# %% tags=["full-width"]
tables.populations(populations, "photometry")

# %% tags=["full-width"]
tables.populations(populations, "image")

# %% [markdown]
# ## Other instruments

# %% tags=["full-width"]
tables.instruments(instruments)

# %% [markdown]
# ## Who made which point

# %% tags=["full-width"]
tables.made_of_rows({p["point"]["label"]: p for p in points.values()})

# %% [markdown]
# ## Exercises
