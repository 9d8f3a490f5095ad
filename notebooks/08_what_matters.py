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
# One part of the image model is exchanged at a time: what it sees, its encoder,
# its training. The reference is flow matching with photometry and picture,
# 32×32 pixels of 1.2″, trained for twelve epochs on
# {glue:text}`n_train:,.0f` simulated galaxies; each variant is trained for as
# many steps and tried on the same {glue:text}`n_test:,.0f`. A bar is the
# difference of the mean exact log-density of the measured properties, galaxy by
# galaxy, in the mean of {glue:text}`n_seeds:.0f` trainings of each; its error
# holds the scatter of galaxies and of trainings. The survey is that of
# {doc}`06_what_a_picture_is_worth` with all ties.
#
# With `results = "published"` this page shows the stored results. With
# `results = "made"` it trains the points that the parameters `axes`, `points` and
# `variants` name, at the sizes given below, and shows these instead; a later call
# adds points and seeds to those that are there. For example, `papermill
# notebooks/08_what_matters.ipynb out.ipynb -p results made -p n_galaxies 2000 -y
# "axes: [pixels]"` takes about ten minutes on two cores, and `-y "points:
# [pixels/16]"` one. Several processes may run it at once and share the work.

# %% tags=["parameters", "hide-input"]
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
alignment_epochs = 40  # of pictures with spectra, at most
processes = 2  # that render pictures
results_populations = "published"  # or "made": the section on other galaxies
populations = {"n_galaxies": 20000, "recipe": "quick"}  # its sizes
results_instruments = "published"  # or "made": the section on instruments
instruments = {"n_galaxies": 15500, "recipe": "quick"}  # its sizes

# %% tags=["hide-input"]
# %matplotlib inline
from functools import partial

import pandas as pd
from myst_nb import glue

from galcfm import runs
from studies import (
    figures,
    other_instruments,
    other_populations,
    picture_worth,
    what_matters,
)

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
for result in (found, of_populations, of_instruments):
    print(result.origin)
point_of = found.content["points"]
draw = partial(what_matters.draw, point_of, source="simulated survey")


# %% tags=["remove-cell"]
gain = {"reference": 0.0}
for name, point in point_of.items():
    if "gain" in point:
        gain[name] = point["gain"]
        name = name.replace("/", "_").replace(" ", "_").replace("'", "")
        glue(name, float(point["gain"]), display=False)
        glue(f"{name}_error", float(point["standard_error"]), display=False)
for name, one, other in (
    ("worth_told", "inputs/told", "inputs/photometry_told"),
    ("redshift_worth", "inputs/photometry_told", "inputs/photometry"),
    ("worse_than_none", "inputs/photometry", "pictures/another galaxy's"),
):
    if {one, other} <= set(gain):
        glue(name, float(gain[one] - gain[other]), display=False)
reference = next(iter(point_of["reference"]["seeds"].values()))
glue("n_train", float(reference["training"]["n_train"]), display=False)
glue("n_test", float(len(found.table())), display=False)
n_seeds = min(len(point["seeds"]) for point in point_of.values())
glue("n_seeds", float(n_seeds), display=False)
trainings = of_populations.content["trainings"]
n_populations = len(next(iter(trainings.values())))
glue("n_populations", float(n_populations), display=False)
for kind in ("photometry", "image"):
    means = other_populations.class_means(of_populations.content, kind)
    for (training, of_class), row in means.iterrows():
        stem = f"{training}_{kind}_{of_class}"
        glue(f"{stem}_flagged", float(row["flagged", ""]), display=False)
        for p in ("log_stellar_mass", "log_sfr"):
            for what in ("bias", "inside"):
                glue(f"{stem}_{p}_{what}", float(row[p, what]), display=False)

# %% [markdown]
# ## What is seen

# %% mystnb={"figure": {"caption": "Photometry alone, the picture alone, and both with the redshift: gain over photometry and picture, on simulated test galaxies. Bars here and below are two standard errors.", "name": "fig-matters-inputs"}, "image": {"alt": "Four horizontal bars: photometry alone loses two tenths of a nat and the picture alone half a nat; with the redshift both together gain three quarters of a nat, photometry and redshift without a picture six tenths."}}
draw("inputs")

# %% [markdown]
# The redshift of a galaxy is worth {glue:text}`redshift_worth:.2f` nat to
# photometry, several times what its picture is (without it,
# {glue:text}`inputs_photometry:+.3f` ± {glue:text}`inputs_photometry_error:.3f`),
# for mass and star formation are luminosities. But it does not replace the
# picture, which is worth {glue:text}`worth_told:.2f` nat to who knows the
# redshift. Nor does the picture replace magnitudes: alone it is
# {glue:text}`inputs_image:+.3f` nat off.

# %% [markdown]
# ## What pictures hold
#
# Here the pictures of all galaxies, trained on or tested, are altered in the
# same way.

# %% mystnb={"figure": {"caption": "The picture grey, of one band, blurred, or another galaxy's: gain over the picture as it is, on simulated test galaxies.", "name": "fig-matters-pictures"}, "image": {"alt": "Six horizontal bars: grey pictures and those of a single band are within two hundredths of a nat of the reference; blurred ones lose some, another galaxy's picture loses more than all that pictures are worth."}}
draw("pictures")

# %% [markdown]
# Beside photometry the picture's colours are worth nothing: grey pictures are
# {glue:text}`pictures_grey:+.3f` ± {glue:text}`pictures_grey_error:.3f` nat from
# coloured ones, and $r$ alone {glue:text}`pictures_only_r:+.3f` ±
# {glue:text}`pictures_only_r_error:.3f`. What it adds is shape, and most of that
# is coarse: blurred by 2″ it loses {glue:text}`pictures_blurred:+.3f` nat.
# Another galaxy's picture is worse than none, by
# {glue:text}`worse_than_none:.3f` nat: a network that is given noise makes
# something of it.
#
# That colour gradients add nothing is said of the simulated galaxies, whose
# gradients are tied to age and metallicity with published scatter
# ({doc}`06_what_a_picture_is_worth`).

# %% [markdown]
# ## Pixels
#
# The same field of 51″ in fewer and more pixels; the reference sees the central
# 38″ of it.

# %% mystnb={"figure": {"caption": "16, 32, 64 and 128 pixels a side of the same field: gain over the central 38\u2033 in 32 pixels, on simulated test galaxies.", "name": "fig-matters-pixels"}, "image": {"alt": "Four horizontal bars, all to the left of zero: 32 pixels lose least, 128 most."}}
draw("pixels")

# %% [markdown]
# None is ahead. Sixteen pixels of 3.2″ still give most of what the picture is
# worth, so coarse is what the network reads; and at full pixels it is
# {glue:text}`pixels_128:+.3f` ± {glue:text}`pixels_128_error:.3f` nat off, no
# better than at sixteen: we take it that twelve epochs are too short for it. What
# full pixels are worth to who trains for long, as the paper does, this does not
# say.

# %% [markdown]
# ## The encoder

# %% mystnb={"figure": {"caption": "Maximum pooling in the paper's encoder for its mean, and other encoders: gain over the paper's, on simulated test galaxies.", "name": "fig-matters-encoder"}, "image": {"alt": "Five horizontal bars: maximum pooling is level with the reference, the residual network a little behind it; the vision transformers are far behind, the one aligned with spectra least."}}
draw("pooling", "encoder")

# %% [markdown]
# Whether the picture's last layer is averaged or its maximum taken makes hardly a
# difference, and a residual network with three times the parameters is
# {glue:text}`encoder_resnet:+.3f` ± {glue:text}`encoder_resnet_error:.3f` nat off.
# A vision transformer from nothing makes nothing of 9,000 pictures: it is
# {glue:text}`encoder_vit:+.3f` ± {glue:text}`encoder_vit_error:.3f` nat off, where
# photometry alone is {glue:text}`inputs_photometry:+.3f`. Aligned with spectra
# first, and then frozen, it is {glue:text}`encoder_aligned:+.3f` ±
# {glue:text}`encoder_aligned_error:.3f` nat off, and frozen as chance made it
# {glue:text}`encoder_random:+.3f` ± {glue:text}`encoder_random_error:.3f`.

# %% [markdown]
# ## How many galaxies
#
# Fewer galaxies are seen more often, more galaxies less: 60,000 of them twice.

# %% mystnb={"figure": {"caption": "Training galaxies: gain over 9,220 of them, in as many steps, on simulated test galaxies.", "name": "fig-matters-galaxies"}, "image": {"alt": "Five horizontal bars: 1,500 galaxies lose three tenths of a nat, 3,000 less than a tenth, 6,000 hardly anything; 30,000 and 60,000 both gain about a twentieth."}}
draw("galaxies")

# %% [markdown]
# With 1,500 galaxies the image model is worse than photometry alone with 9,220.
# With 60,000 it gains {glue:text}`galaxies_60000:+.3f` ±
# {glue:text}`galaxies_60000_error:.3f` nat over 9,220, and
# {glue:text}`galaxies_30000:+.3f` ± {glue:text}`galaxies_30000_error:.3f` with
# half as many.

# %% [markdown]
# ## The flow

# %% mystnb={"figure": {"caption": "Width \u03c3 of the path from noise to properties, 0.05 in the paper, and other ways for the condition to come in than beside the other inputs: gain over the paper's, on simulated test galaxies.", "name": "fig-matters-flow"}, "image": {"alt": "Five horizontal bars: those of other widths are nearly too short to see; scaled and shifted layers and cross-attention each gain about a tenth of a nat."}}
draw("sigma", "conditioning")

# %% [markdown]
# The width does not matter where it is small beside a posterior. How the
# condition comes in does: a network whose layers it scales and shifts gains
# {glue:text}`conditioning_modulation:+.3f` ±
# {glue:text}`conditioning_modulation_error:.3f` nat, and one that attends to it
# {glue:text}`conditioning_cross_attention:+.3f` ±
# {glue:text}`conditioning_cross_attention_error:.3f`, nearly half of what the
# whole picture is worth. They have two and a half and four times the parameters,
# and twelve epochs are short. Do they stay ahead?

# %% mystnb={"figure": {"caption": "The reference and the two other ways for the condition to come in, all trained for 40 epochs: gain over the reference trained for 12, on simulated test galaxies.", "name": "fig-matters-training"}, "image": {"alt": "Three horizontal bars, each about 0.13 nat long, level within their errors."}}
draw("training")

# %% [markdown]
# They do not: at 40 epochs scaled and shifted layers gain
# {glue:text}`training_modulation:+.3f` ± {glue:text}`training_modulation_error:.3f`
# nat, cross-attention {glue:text}`training_cross_attention:+.3f` ±
# {glue:text}`training_cross_attention_error:.3f`, and the reference
# {glue:text}`training_longer:+.3f` ± {glue:text}`training_longer_error:.3f`.
# They are there sooner, and no further: concatenation suffices, as the paper
# says. What a variant gains or loses in a short training
# may be haste; that goes for encoders and pixels, too.

# %% [markdown]
# ## Steps
#
# Nothing is trained here: the reference's density is integrated in fewer or more
# Runge-Kutta steps.

# %% mystnb={"figure": {"caption": "Log-densities of the reference integrated in 2 to 100 Runge-Kutta steps, less those in as many as suffice, on simulated test galaxies.", "name": "fig-matters-steps"}, "image": {"alt": "Five horizontal bars: two steps seem to gain a quarter of a nat; four are a little off and all others too short to see."}}
draw("steps")

# %% [markdown]
# Eight steps are as good as a hundred. Two seem to gain
# {glue:text}`steps_2:+.3f` nat, but that is no gain: what so few steps integrate
# is not the density of anything, and need not integrate to one. A method that is
# compared by its density has to show that its integral has converged.

# %% [markdown]
# ## Every variant

# %%
what_matters.table(point_of)

# %% [markdown]
# ## Other galaxies
#
# The paper's galaxies are star-forming and near. Here models are trained on such
# galaxies, on the whole population, or on near ones alone, and tried on all. The
# numbers are labels inside 95 % intervals, of photometry models first; a star
# marks shares outside what 95 % is by numbers, at two standard errors. *Flagged*
# are galaxies whose data lie outside those trained on. Numbers are means of
# {glue:text}`n_populations:.0f` trainings.

# %% tags=["full-width"]
other_populations.table(of_populations.content, "photometry")

# %% tags=["full-width"]
other_populations.table(of_populations.content, "image")

# %% [markdown]
# A model of star-forming galaxies is sure of itself, and wrong, where galaxies are
# of another kind. Quiescent ones it has form stars
# {glue:text}`star-forming_image_quiescent_log_sfr_bias:.1f` dex too fast in the
# mean, and its 95 % intervals hold
# {glue:text}`star-forming_image_quiescent_log_sfr_inside:.0%` of their rates; the
# picture does not save it, for without one it is
# {glue:text}`star-forming_photometry_quiescent_log_sfr_inside:.0%`. The flag
# catches {glue:text}`star-forming_image_quiescent_flagged:.0%` of them: colours
# alone do not give them away. Trained on the whole population, the same network
# holds {glue:text}`parent_image_quiescent_log_sfr_inside:.0%` of them, and is as
# honest of star-forming ones as before: whoever does not know what a galaxy is
# should train on all. Trained nearer than $z = 0.1$, it is
# {glue:text}`near_image_far_log_stellar_mass_bias:+.1f` dex off in the mass of
# galaxies beyond 0.15, of which its intervals hold
# {glue:text}`near_image_far_log_stellar_mass_inside:.0%` and its flag catches
# {glue:text}`near_image_far_flagged:.0%`.

# %% [markdown]
# ## Other instruments
#
# The same relations, as other telescopes would see them: galaxies to
# $r = 19.5$ and redshift 0.6, with seven times SDSS's photons and the pixels and
# seeing of the Legacy Surveys, and with 250 times its photons and those of
# Rubin's LSST. What the picture adds to each survey's own photometry, and the
# share of the labels' variance that posterior means explain without and with it:

# %% tags=["full-width"]
other_instruments.table(of_instruments.content)

# %% [markdown]
# Deeper surveys gain half as much from pictures as SDSS does. Their galaxies are
# fainter and farther, and smaller on the sky; and LSST's pictures, twice as sharp
# as SDSS's, add no more to its photometry than those of the Legacy Surveys do.
# The encoder sees the central 96 pixels of each, three by three, as was chosen
# for SDSS: whether another crop would find more was not tried.

# %% [markdown]
# ## Exercises
#
# **More galaxies, or more of each?** How much does the doubling from 30,000 to
# 60,000 training galaxies gain, and how many more doublings of that gain would
# bring photometry and picture to where photometry and redshift are?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
needed = ("galaxies/30000", "galaxies/60000", "inputs/photometry_told")
if len(figures.present(gain, needed)) == 3:
    doubling = gain["galaxies/60000"] - gain["galaxies/30000"]
    missing = gain["inputs/photometry_told"] - gain["galaxies/60000"]
    print(f"{doubling:+.3f} nat; {missing / doubling:.0f} doublings")

# %% [markdown]
# <details><summary>Answer</summary>
#
# More than there are galaxies for, and gains fall with each doubling, towards
# what the data can tell at most. Numbers do not replace an input.
#
# </details>
#
# **Which properties does the picture tell of?** The stored points have the root
# mean square error of each property. By what part does the picture reduce it?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rmse = {
    name: pd.Series(figures.mean_over_seeds(point, "rmse"))
    for name, point in figures.present(
        point_of, ("inputs/photometry", "reference")
    ).items()
}
if len(rmse) == 2:
    part = rmse["reference"] / rmse["inputs/photometry"] - 1
    print(part.map("{:+.1%}".format))

# %% [markdown]
# **A variant of your own.** Give the velocity network half its width. Which
# command trains it?
#
# <details><summary>Answer</summary>
#
# `papermill notebooks/08_what_matters.ipynb out.ipynb -p results made -y
# "variants: {half the width: {hidden_width: 128}}"` trains it and the reference,
# and it stands in the tables and in the figure below.
#
# </details>

# %% mystnb={"code_prompt_hide": "Figure", "code_prompt_show": "Figure"} tags=["hide-cell"]
draw(what_matters.OWN)
