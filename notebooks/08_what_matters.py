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
# We change one part of the image model at a time. The redshift matters most: it is
# worth {glue:text}`redshift_worth:.2f` {term}`nat` to photometry, several times as
# much as the image. Longer training adds {glue:text}`training_longer:.3f` ±
# {glue:text}`training_longer_error:.3f` nat to the image model. Colours in the image,
# the width of the path, the pooling and the way the condition enters hardly matter
# once the model is trained long enough.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in the run
axes = []  # names of studies.what_matters.AXES to make
points = []  # names of single points to make, e.g. "pixels/16"
variants = {}  # yours: options of studies.methods.FlowVariant by label
seeds = [1, 2, 3]  # one training of each point per seed
n_galaxies = 15500  # simulated galaxies
survey_seed = 1  # of the simulated galaxies
validation_fraction = 0.078  # share of galaxies
test_fraction = 0.332  # share of galaxies
max_epochs = 12  # epochs of each training; the paper stops early
batch_size = 64  # galaxies per step; the paper's 64
image_crop = 96  # central pixels of 0.4″ kept; the paper's 128
image_bin = 3  # pixels averaged per side; the paper's 1
encoder_width = 128  # channels of the encoder's last block; the paper's 256
width = 256  # of the velocity network's layers; the paper's 256
depth = 3  # hidden layers of that network; the paper's 3
alignment_epochs = 40  # of images with spectra, at most
processes = 2  # that render images
results_populations = "published"  # or "made": the section on other galaxies
populations = {"n_galaxies": 20000, "recipe": "quick"}  # its sizes
results_instruments = "published"  # or "made": the section on instruments
instruments = {"n_galaxies": 15500, "recipe": "quick"}  # its sizes

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from myst_nb import glue

from galcfm import runs
from galcfm.figures.tables.words import SYMBOLS
from studies import (
    calibration,
    figures,
    other_instruments,
    other_populations,
    picture_worth,
    what_matters,
)
from studies.calibration import ranks
from studies.frame import paired_gain

folder = runs.open_run("08_what_matters", globals())
plan = what_matters.Plan.of(globals())
found = what_matters.STUDY.result(
    results,
    folder,
    plan,
    axes=axes,
    points=points,
    seeds=seeds,
    variants=variants,
)
of_populations = other_populations.STUDY.result(
    results_populations,
    folder,
    other_populations.Plan(**populations, processes=processes),
    seeds=seeds,
)
of_instruments = other_instruments.STUDY.result(
    results_instruments,
    folder,
    picture_worth.Plan(**instruments, processes=processes),
    seeds=seeds,
)
of_trainings = calibration.STUDY.read()
point_of = found.content["points"]

# %% [markdown]
# ## Everything at once
#
# The reference is flow matching with photometry and image, 32×32 pixels of
# 1.2″, trained for twelve epochs on {glue:text}`n_train:,.0f` simulated
# galaxies of the survey of {doc}`06_what_a_picture_is_worth`. Each variant is
# trained for as many steps and tested on the same {glue:text}`n_test:,.0f`
# galaxies. A gain is the difference of the mean exact log-density, averaged
# over {glue:text}`n_seeds:.0f` trainings of each.

# %% mystnb={"figure": {"caption": "Gain of each variant over the reference (photometry and image, 12 epochs) on simulated test galaxies, with 95 % intervals (Student's $t$, three trainings). The grey band is what the whole image is worth in the reference: from photometry alone to zero. Green points gain, purple ones lose, grey ones differ from the reference by less than their interval.", "name": "fig-matters"}, "image": {"alt": "Points with error bars in groups on one axis from minus 0.6 to 0.8 nat. Only those given the redshift gain more than the width of the grey band. Longer training gains about two thirds of the band. Vision transformers, another galaxy's image and 1,500 training galaxies lose all that the image is worth; the path's width lies on zero."}} tags=["hide-input"]
what_matters.draw(point_of, source="simulated survey")

# %% [markdown]
# ## Inputs
#
# Mass and star formation rate are luminosities, which need the distance. But
# the redshift does not replace the image: given the redshift the image still
# adds {glue:text}`gain_redshift_12_epochs:.3f` ±
# {glue:text}`gain_redshift_12_epochs_error:.3f` nat, without it
# {glue:text}`gain_12_epochs:.3f` ± {glue:text}`gain_12_epochs_error:.3f`. Nor
# does the image replace magnitudes: alone it loses
# {glue:text}`image_alone:.2f` nat.

# %% [markdown]
# ## Contents of the image
#
# These variants alter all images, in training and testing. Beside photometry,
# colours in the image add nothing here: grey images differ from coloured ones
# by {glue:text}`pictures_grey:.3f` ± {glue:text}`pictures_grey_error:.3f` nat.
# Most of the information is coarse: blurred by 2″ the image loses
# {glue:text}`blurred:.2f` nat. Another galaxy's image is worse than none, by
# {glue:text}`worse_than_none:.2f` nat; we suspect that the network fits its
# noise.
#
# This says little about real galaxies: colour gradients of the simulation are
# not tied to age and metallicity, so an image cannot show either by its
# gradients.

# %% [markdown]
# ## Pixels and encoders
#
# Sixteen pixels of 3.2″ keep most of the gain, and at full resolution the
# model loses {glue:text}`lost_pixels_128:.3f` ±
# {glue:text}`pixels_128_error:.3f` nat. Whether finer pixels pay off after
# longer training, as in the paper, this test cannot say.
#
# Maximum in place of mean pooling makes hardly a difference, and neither does a
# residual network of three times the parameters. A vision transformer trained
# from random weights on these few galaxies loses
# {glue:text}`lost_encoder_vit:.3f` ± {glue:text}`encoder_vit_error:.3f` nat, all that
# the image is worth. First aligned with spectra, as in AstroCLIP
# {cite:p}`Parker2024`, and then frozen, it loses
# {glue:text}`lost_encoder_aligned:.3f` ± {glue:text}`encoder_aligned_error:.3f` nat;
# randomly initialised and frozen {glue:text}`lost_encoder_random:.3f` ±
# {glue:text}`encoder_random_error:.3f`.

# %% [markdown]
# ## More galaxies, or longer training?
#
# The gain from more galaxies depends on how the number of steps grows with
# them:
#
# | galaxies | steps | gain of the image model [nat] | where |
# |---|---|---|---|
# | {glue:text}`n_train:,.0f` → 60,000 | the same | {glue:text}`galaxies_60000:.3f` ± {glue:text}`galaxies_60000_error:.3f` | here |
# | {glue:text}`n_quick:,.0f` → 36,000 | 1.7 times | {glue:text}`more:.3f` ± {glue:text}`more_error:.3f` | one training, 5,000 galaxies of {doc}`09_calibration` |
# | {glue:text}`n_quick:,.0f` | 2 times | {glue:text}`twice:.3f` ± {glue:text}`twice_error:.3f` | likewise |
# | {glue:text}`n_train:,.0f` | 3.3 times | {glue:text}`training_longer:.3f` ± {glue:text}`training_longer_error:.3f` | here |
#
# At a fixed number of steps six times as many galaxies add little. More steps
# add more, even on the same galaxies, and both together bring the gain of the
# image to {glue:text}`06_what_a_picture_is_worth.ipynb::gain_paper_size:.3f`
# nat ({doc}`07_at_the_papers_size`). Photometry, near its ceiling, gains
# {glue:text}`more_photometry:.3f` nat with 60,000 galaxies.

# %% [markdown]
# ## The flow and the recipe
#
# The width of the path does not matter where it is small. Two other ways for
# the condition to enter seem better after twelve epochs: scaled and shifted
# layers by {glue:text}`conditioning_modulation:.3f` ±
# {glue:text}`conditioning_modulation_error:.3f` nat, and cross-attention by
# {glue:text}`conditioning_cross_attention:.3f` ±
# {glue:text}`conditioning_cross_attention_error:.3f`. After 40 epochs all
# three are level: concatenation suffices, as the paper says. A gain or loss of
# an encoder or of pixels after a short training may be no more than that, too.
#
# For the book's own models, trained once each, starting the image model from
# the photometry model adds {glue:text}`warm:.3f` nat, eight draws of time and
# noise per image in place of one {glue:text}`draws:.3f` nat, and turning and
# mirroring images {glue:text}`turned:.3f` nat. The central half of the image
# in small pixels gains {glue:text}`centre:.3f` nat; all of it in small pixels
# loses {glue:text}`finer:.3f` and an encoder of twice the width
# {glue:text}`wider:.3f` nat in as many epochs. Errors over galaxies are about
# {glue:text}`variant_error:.3f` nat.
#
# Eight Runge-Kutta steps are as good as a hundred. Two steps seem to gain
# {glue:text}`steps_2:.2f` nat, but what they integrate is not a density.

# %% [markdown]
# ## Other galaxies
#
# The paper's galaxies are star-forming and near. We train on such galaxies, on
# the whole simulated population, or on galaxies nearer than $z = 0.1$, and
# test on all. The table lists the share of measured values inside 95 %
# intervals of the image model, averaged over {glue:text}`n_populations:.0f`
# trainings; an asterisk marks coverage that differs from 95 % by more than two
# standard errors. *Flagged* are galaxies whose magnitudes or images lie
# outside the training range; the test for quiescent galaxies ([Tested on real
# galaxies](13_tried_on_the_sky.ipynb)) is newer and not counted.

# %% tags=["hide-input"]
other_populations.table(of_populations.content, "image")

# %% [markdown]
# For quiescent galaxies the model of star-forming ones overestimates the star
# formation rate by {glue:text}`star-forming_image_quiescent_log_sfr_bias:.1f`
# dex on average, and its 95 % intervals contain the measured rate in
# {glue:text}`quiescent_inside:.0f` % of cases
# ({glue:text}`quiescent_inside_photometry:.0f` % without the image). Only
# {glue:text}`quiescent_flagged:.0f` % of them are flagged by the first range
# test. Trained on the whole population, the same network contains
# {glue:text}`parent_inside:.0f` % of the rates and is as well calibrated for
# star-forming galaxies as before.
#
# Trained nearer than $z = 0.1$, the model underestimates the mass of galaxies
# beyond $z = 0.15$ by {glue:text}`far_bias:.1f` dex; its intervals contain {glue:text}`far_inside:.0f` % of the
# masses, and {glue:text}`far_flagged:.0f` % of the galaxies are flagged.

# %% [markdown]
# ## Other instruments
#
# We observe the same simulated relations with other telescopes: galaxies to
# $r = 19.5$ and redshift 0.6, with seven times the photons of SDSS and the pixels
# and seeing of the Legacy Surveys, and with 250 times its photons and the pixels
# and seeing of Rubin's LSST. The last columns are the share of the variance that
# posterior means explain, without and with the image.

# %% tags=["hide-input"]
other_instruments.table(of_instruments.content)

# %% [markdown]
# The image adds half as much to the deeper surveys, whose galaxies are
# fainter, farther and smaller on the sky, as to SDSS. LSST, with images twice
# as sharp as those of SDSS, gains no more than the Legacy Surveys. In the
# Legacy survey the image model explains slightly *less* of the mass than
# photometry, in SDSS given the redshift likewise: we suspect that training an
# encoder costs a little where it has nothing to add. The encoder sees the
# central 96 pixels of each survey, three by three, as chosen for SDSS; another
# crop may find more.

# %% [markdown]
# ## What to take away
#
# - The redshift is worth several images, and neither replaces the other.
# - More steps and more galaxies together help the image model, while encoder,
#   pixels, path width and conditioning change little.
# - Outside its training population the model is wrong with confidence; train on
#   the whole population if the kind of galaxy is unknown.

# %% tags=["remove-cell"]
numbers = {}
for name, point in point_of.items():
    if "gain" in point:
        name = name.replace("/", "_").replace(" ", "_").replace("'", "")
        numbers[name] = point["gain"]
        numbers[f"lost_{name}"] = -point["gain"]
        numbers[f"{name}_error"] = point["standard_error"]
table = found.table()
for name, *pair in (
    ("gain_12_epochs", "reference", "inputs/photometry"),
    ("gain_redshift_12_epochs", "inputs/told", "inputs/photometry_told"),
    ("redshift_worth", "inputs/photometry_told", "inputs/photometry"),
    ("worse_than_none", "inputs/photometry", "pictures/another galaxy's"),
    ("image_alone", "reference", "inputs/image"),
    ("blurred", "reference", "pictures/blurred"),
):
    gain = paired_gain(table, *pair)
    if gain:
        numbers[name] = gain["gain"]
        numbers[f"{name}_error"] = gain["standard_error"]
reference = next(iter(point_of["reference"]["seeds"].values()))
numbers["n_train"] = reference["training"]["n_train"]
numbers["n_test"] = len(table)
numbers["n_seeds"] = min(len(point["seeds"]) for point in point_of.values())
compared = ranks.gains_of_variants(
    of_trainings.content["recipes"], of_trainings.table()
)
of_image = compared.loc["image"]
numbers["n_quick"] = of_image["trained on"].iloc[0]
numbers["variant_error"] = of_image["error"].median()
photometry = compared.loc["photometry", "gain"]
numbers["more_photometry"] = photometry["60,000 galaxies"]
for name, label, sign in (
    ("more", "36,000 galaxies", 1),
    ("twice", "twice the epochs", 1),
    ("warm", "not started from the photometry model", -1),
    ("draws", "one draw of time and noise", -1),
    ("turned", "images neither turned nor mirrored", -1),
    ("centre", "central 25″ in pixels of 0.4″", 1),
    ("finer", "pixels of 0.4″, not 0.8″", -1),
    ("wider", "encoder twice as wide", -1),
):
    numbers[name] = sign * of_image.loc[label, "gain"]
    numbers[f"{name}_error"] = of_image.loc[label, "error"]
trainings = of_populations.content["trainings"]
numbers["n_populations"] = len(next(iter(trainings.values())))
means = {
    kind: other_populations.class_means(of_populations.content, kind)
    for kind in ("photometry", "image")
}
for kind, of in means.items():
    for (training, of_class), row in of.iterrows():
        stem = f"{training}_{kind}_{of_class}"
        for p in ("log_stellar_mass", "log_sfr"):
            for what in ("bias", "inside"):
                numbers[f"{stem}_{p}_{what}"] = row[p, what]
for name, kind, key, column in (
    ("quiescent_inside", "image", "star-forming quiescent", "log_sfr"),
    ("parent_inside", "image", "parent quiescent", "log_sfr"),
    ("far_inside", "image", "near far", "log_stellar_mass"),
    ("quiescent_flagged", "image", "star-forming quiescent", "flagged"),
    ("far_flagged", "image", "near far", "flagged"),
    (
        "quiescent_inside_photometry",
        "photometry",
        "star-forming quiescent",
        "log_sfr",
    ),
):
    what, row = "" if column == "flagged" else "inside", tuple(key.split())
    if row in means[kind].index:
        numbers[name] = 100 * means[kind].loc[row, (column, what)]
if ("near", "far") in means["image"].index:
    far = means["image"].loc[("near", "far"), ("log_stellar_mass", "bias")]
    numbers["far_bias"] = -far
for name, value in numbers.items():
    glue(name, float(value), display=False)

# %% [markdown]
# ## Exercises
#
# **More galaxies, or more of each?** How much does the doubling from 30,000 to
# 60,000 training galaxies gain, and how many more doublings of that gain would
# bring photometry and image to where photometry and redshift are?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
needed = ("galaxies/30000", "galaxies/60000", "inputs/photometry_told")
gains = [of["gain"] for of in figures.present(point_of, needed).values()]
if len(gains) == 3:
    doubling = gains[1] - gains[0]
    print(f"{doubling:+.3f} nat; {(gains[2] - gains[1]) / doubling:.0f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# More than there are galaxies for: they do not replace an input.
#
# </details>
#
# **Which properties does the image inform?** The stored points have the root mean
# square error of each property. By what fraction does the image reduce it?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rmse = {
    name: pd.Series(figures.mean_over_seeds(point, "rmse"))
    for name, point in figures.present(
        point_of, ("inputs/photometry", "reference")
    ).items()
}
if len(rmse) == 2:
    part = 100 * (1 - rmse["reference"] / rmse["inputs/photometry"])
    display(part.rename(SYMBOLS).round(1).to_frame("reduction [%]"))

# %% [markdown]
# **A variant of your own.** Give the velocity network half its width. Which
# command trains it?
#
# <details><summary>Answer</summary>
#
# `papermill notebooks/08_what_matters.ipynb out.ipynb -p results made -y
# "variants: {half the width: {hidden_width: 128}}"` trains it and the reference,
# and adds it to the figure above.
#
# </details>
#
# ## Make these results yourself
#
# `papermill notebooks/08_what_matters.ipynb out.ipynb -p results made -p
# n_galaxies 2000 -y "axes: [pixels]"` takes about ten minutes on two cores,
# and `-y "points: [pixels/16]"` one. Without `results made` the sizes change
# nothing. A later call adds points and seeds.
