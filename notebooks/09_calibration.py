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
# The recipe of the `quick` profile was chosen on 5,000 other galaxies; those
# of this chapter only test it. We ranked them once, under the models of that
# profile and variants of their training, and this chapter reads the ranks.
#
# With `results = "made"` it simulates and ranks galaxies now, under the models
# of your own run: `n_galaxies` and `n_draws` set the size of the tests, and
# `variants` names the trainings that are compared, such as `image_longer`; an
# unknown name is answered with the list of all. For example, in a minute:
#
#     papermill notebooks/09_calibration.ipynb out.ipynb -p results made \
#         -p n_galaxies 500 -y "variants: [photometry]"
#
# All variants take an hour and a half on two cores.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
results = "published"  # or "made": now, as below, into the run's folder
n_galaxies = 5000  # galaxies that are simulated for the tests
n_draws = 31  # posterior draws per galaxy, at most 255
seed = 608  # seed of the galaxies
variants = []  # names of the trainings to make; none for all

# %% tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import paths, runs, stored_posteriors
from galcfm.metrics import rank_statistics
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from studies import calibration, training_seeds
from studies.calibration import figures, ranks

folder = runs.open_run("09_calibration", globals())
plan = calibration.Plan.of(globals())
result = calibration.STUDY.result(results, folder, plan, variants=variants)
galaxies, identity = result.table(), result.content["identity"]
n_draws = identity["n_draws"]
compared = result.content["recipes"]
models = [name for name in ("photometry", "image") if name in compared]
print(f"{len(galaxies)} galaxies, {n_draws} draws of each")
print(f"models of the {identity['run']} run")
print(result.origin)
of_seeds = training_seeds.STUDY.read()

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

# %% mystnb={"figure": {"caption": "Share of galaxies whose rank is below each level, minus what a calibrated model has, for simulated galaxies that no model has seen. Inside the grey band along its whole length in 95 % of cases if calibrated.", "name": "fig-calibration"}, "image": {"alt": "Seven panels, one a test: share of galaxies below each rank less what is expected, a line a model, over a grey lens-shaped band about zero."}}
found = {model: ranks.ranks_under(model, galaxies) for model in models}
low, high = ranks.band(len(galaxies), n_draws)
levels = np.arange(1, n_draws + 1) / (n_draws + 1)
figures.rank_bands(
    {model: ranks.deviations(found[model], n_draws) for model in models},
    (low - levels, high - levels),
    source="simulated survey",
)

# %% [markdown]
# The largest deviation of each line, in half-widths of the band. Up to 1 it
# is inside.

# %%
overall = {
    model: ranks.departures(found[model], n_draws).loc["all"]
    for model in models
}
for model, largest in overall.items():
    outside = ", ".join(largest.index[largest > 1]) or "none"
    print(f"outside the band under the {model} model: {outside}")
figures.departure_table(overall)

# %% [markdown]
# All lines share one sample of galaxies, which can be unlucky. So we test the
# properties once more on another sample: the test galaxies of this run, with
# as many of the draws that this run's models made for them.

# %%
test = Survey.load(paths.survey_folder(survey)).split("test")
again = {}
for name in models:
    draws = stored_posteriors.samples_array(
        stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    )
    draws = draws[:, :: max(1, draws.shape[1] // n_draws)][:, :n_draws]
    places = rank_statistics(draws, test.properties[: len(draws)])
    places = pd.DataFrame(places, columns=PROPERTY_NAMES)
    again[name] = ranks.departures(places, draws.shape[1]).loc["all"]
print(f"{len(draws)} test galaxies")
figures.departure_table(again)

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


# %% mystnb={"figure": {"caption": "Largest deviation of the ranks from uniform for a fifth of the simulated galaxies at a time, in half-widths of their 95 % band. Bins of redshift select by what the models do not see.", "name": "fig-calibration-bins"}, "image": {"alt": "Two tables of coloured cells, photometry and image model: a row a fifth of the galaxies in mass, redshift or magnitude, a column a test; numbers above 1 are orange to red, and most of them stand in the rows of redshift."}}
figures.departures(
    {
        model: ranks.departures(
            found[model], n_draws, ranks.covariates_under(model, galaxies)
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
# numbers of the tests are largest deviations in half-widths of the band;
# *gain* is in mean log p of the truth over the run's own model, galaxy by
# galaxy [nat].
#
# - *Training.* The paper's has a small, constant learning rate, one draw of
#   time and noise a galaxy, weights that are not averaged, and stops early.
#   The others are ours, longer or shorter.
# - *Smoothing.* With a path of width $\sigma = 0.05$ the flow learns the
#   posterior convolved with a Gaussian of that width. *Density, smoothed* tests
#   that target: the truth is given the same noise.
# - *Data, capacity, luck*: more galaxies, a deeper network, several trainings.
# - *Pictures*: how the image model is started, how many draws of time and noise
#   an image is worth, whether it is turned and mirrored, its pixels, and the
#   width of its encoder.
#
# The photometry model:

# %%
table = ranks.compare_variants(compared, galaxies, n_draws)
figures.variant_table(table, "photometry")

# %% [markdown]
# The image model:

# %%
figures.variant_table(table, "image")

# %% [markdown]
# The photometry model stays inside the band in all tests but that of
# $D_n(4000)$ ({glue:text}`photometry_dn4000:.2f`). No photometry model stays
# inside there, not with 60,000 galaxies ({glue:text}`more_dn4000:.2f`), and on
# the test galaxies above this one has {glue:text}`again_dn4000:.2f`: so much
# is luck of the galaxies that all of them are judged on.
#
# The image model is too narrow, by a little: it leaves the band in density
# ({glue:text}`image_hpd:.2f`) and in four of five properties. The number of
# epochs does not decide it: with a quarter of them the density is almost right
# ({glue:text}`image_shorter_hpd:.2f`), at a great cost in $\log p$, and with
# twice as many it is nearer than with ours
# ({glue:text}`image_longer_hpd:.2f`). The mean of two trainings helps some
# ({glue:text}`image_ensemble_hpd:.2f`). With 36,000 galaxies in place of
# {glue:text}`n_train:.0f` all tests are inside the band
# ({glue:text}`image_more_hpd:.2f` in density) but that of $D_n(4000)$, where
# the model is as far off as photometry is.
#
# The paper's training, tried for photometry on this survey, leaves the band as
# well ({glue:text}`paper_hpd:.2f` in density), and is too narrow because the
# flow is undertrained: a quarter of our epochs go the same way
# ({glue:text}`shorter_hpd:.2f`). The paper has some nine times as many galaxies,
# and with them nine times as many steps an epoch: of its own models this says
# nothing. A path without width changes the mean $\log p$ by
# {glue:text}`sharp_gain:+.3f` nat, five layers instead of three by
# {glue:text}`deeper_gain:+.3f` nat; other widths of the path and other depths
# were not tried.
#
# ## What was tried to do better
#
# The same variants by what they gain, one training each.

# %% mystnb={"figure": {"caption": "Mean log p of the truth under each variant of the training, minus that of this book's own, galaxy by galaxy on the same simulated galaxies; bars are standard errors over galaxies. Right of the dashed line the variant is better.", "name": "fig-variants"}, "image": {"alt": "Two panels, photometry and image model: a dot with its error bar for each variant of the training, right of a dashed line at zero if it is better than the book's own."}}
figures.variant_gains(table, source="simulated survey")

# %% [markdown]
# More galaxies help most, and the image model more than photometry: at 36,000
# galaxies each, four times as many, in 1.7 times as many steps, it gains
# {glue:text}`image_more_gain:.3f` nat where photometry gains
# {glue:text}`as_many_gain:.3f`. So the lead of the image model widens by
# {glue:text}`lead_gain:.3f` nat: what the picture is worth here is limited by the
# number of galaxies to learn it from, and by the steps, as twice the epochs
# alone add {glue:text}`longer_gain:.3f` nat. Photometry is near its end: with
# 60,000 galaxies it gains {glue:text}`more_gain:.3f` nat.
#
# Of other changes to the image model the central half of the picture in small
# pixels gains {glue:text}`centre_gain:+.3f` nat. The whole picture in pixels of
# half the size ({glue:text}`finer_gain:+.3f` nat) and an encoder of twice the
# width ({glue:text}`wider_gain:+.3f` nat) do worse than the recipe in as many
# epochs; their best epoch was the last one, so more epochs might turn that. The
# error of each number is about {glue:text}`variant_error:.3f` nat, and another
# seed of the training moves it by about {glue:text}`seed_spread:.3f` nat
# ({doc}`04_metrics`). Of the encoder only the width was varied: a deeper one,
# another kind, or one that has learned from other pictures may see more.
#
# What the recipe owes its choices to, again by one training each: starting
# from the photometry model is worth {glue:text}`cold_cost:.3f` nat at this
# number of epochs, eight draws of time and noise an image instead of one
# {glue:text}`one_draw_cost:.3f` nat, and turning and mirroring
# {glue:text}`unturned_cost:.3f` nat.

# %% tags=["remove-cell"]
for name, row in overall.items():
    glue(f"{name}_departure", float(row.max()))
glue("n_calibration", float(len(galaxies)))
glue("again_dn4000", float(again[models[0]]["dn4000"]))
for key, row, column in (
    ("photometry_dn4000", ("photometry", "this book's training"), "dn4000"),
    ("more_dn4000", ("photometry", "60,000 galaxies"), "dn4000"),
    ("image_hpd", ("image", "this book's training"), "hpd"),
    ("n_train", ("image", "this book's training"), "trained on"),
    ("image_shorter_hpd", ("image", "a quarter of the epochs"), "hpd"),
    ("image_longer_hpd", ("image", "twice the epochs"), "hpd"),
    ("image_ensemble_hpd", ("image", "mean density of two trainings"), "hpd"),
    ("image_more_hpd", ("image", "36,000 galaxies"), "hpd"),
    ("paper_hpd", ("photometry", "the paper's training"), "hpd"),
    ("shorter_hpd", ("photometry", "a quarter of the epochs"), "hpd"),
    ("sharp_gain", ("photometry", "path without width, σ = 0"), "gain"),
    ("deeper_gain", ("photometry", "five hidden layers, not three"), "gain"),
    ("more_gain", ("photometry", "60,000 galaxies"), "gain"),
    ("as_many_gain", ("photometry", "36,000 galaxies"), "gain"),
    ("image_more_gain", ("image", "36,000 galaxies"), "gain"),
    ("longer_gain", ("image", "twice the epochs"), "gain"),
):
    if row in table.index:
        glue(key, float(table.loc[row, column]))
both = [(model, "36,000 galaxies") for model in ("photometry", "image")]
if all(row in table.index for row in both):
    photometry, image = table.loc[both, "gain"]
    glue("lead_gain", float(image - photometry))
for key, label, sign in (
    ("finer_gain", "pixels of 0.4″, not 0.8″", 1),
    ("wider_gain", "encoder twice as wide", 1),
    ("centre_gain", "central 25″ in pixels of 0.4″", 1),
    ("cold_cost", "not started from the photometry model", -1),
    ("one_draw_cost", "one draw of time and noise", -1),
    ("unturned_cost", "images neither turned nor mirrored", -1),
):
    if ("image", label) in table.index:
        glue(key, sign * float(table.loc[("image", label), "gain"]))
glue("variant_error", float(table.loc[models[-1], "error"].median()))
glue("seed_spread", of_seeds.content["spread_over_trainings"])

# %% [markdown]
# ## Exercises
#
# **Read the shape.** Sketch the histogram of ranks for posteriors that are too
# narrow, too wide, and shifted to low values.
#
# <details><summary>Answer</summary>
#
# Too narrow: a U, as truths fall outside the draws on both sides. Too wide: a
# hill in the middle. Shifted to low values: rising, as most draws lie below
# the truth. The curves of the first figure are running sums of such
# histograms: too narrow is first above zero and then below it, too wide the
# other way round, and a shift is one bow to one side, here below.
#
# </details>
#
# **A share with an error.** What share of the galaxies has its mass inside the
# central 90 % of the photometry model's draws, as far as so few draws can
# place it? What would a calibrated model have, and how far from that by
# chance?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rank = found[models[0]]["log_stellar_mass"]
place = pd.Series(np.arange(n_draws + 1) + 0.5) / (n_draws + 1)
places = place.between(0.05, 0.95)
share, expected = places[rank].mean(), places.mean()
error = np.sqrt(expected * (1 - expected) / len(rank))
print(f"{share:.3f}, if calibrated {expected:.3f} ± {error:.3f}")

# %% [markdown]
# **Calibrated and useless.** Which model passes every test of this chapter
# without having seen any galaxy's data? Which row of the tables would betray
# it?
#
# <details><summary>Answer</summary>
#
# One that answers with the prior: truth and draws are exchangeable then, too.
# No rank betrays it. The gain in mean $\log p$ does, which is why each table
# has it beside the tests.
#
# </details>
