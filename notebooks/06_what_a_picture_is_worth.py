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
# 5,000 simulated test galaxies and of three trainings of each model. Pixels are 1.2″ wide, those of
# the book's own models 0.8″. The relations that tie pictures to properties
# were chosen, with their numbers, before any of these gains was known. After the
# gains of two rows were known, skies, stars and colour gradients were brought
# nearer to real cutouts, with nothing but those cutouts in view
# ({doc}`12_is_the_survey_real`). All rows were then retrained, and nothing has
# changed since.
#
# With `results = "published"` this page shows the stored results. With
# `results = "made"` it makes the rows of the parameter `rows` at the sizes given
# below and shows these instead; a later call adds rows and seeds to those that
# are there. For example, `papermill notebooks/06_what_a_picture_is_worth.ipynb
# out.ipynb -p results made -p n_galaxies 2000 -y "rows: [old, all]" -y "seeds:
# [1]"` takes a few minutes on two cores. Several processes may run it at once and
# share the work.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in the run
rows = []  # names of studies.picture_worth.ROWS to make; [] for all
seeds = [1, 2, 3]  # one training of each model per seed
n_galaxies = 15500  # simulated galaxies of each row's survey
survey_seed = 1  # of the simulated galaxies
validation_fraction = 0.078  # share of galaxies
test_fraction = 0.332  # share of galaxies
recipe = "quick"  # of galcfm.training.RECIPES, but for the next four values
image_crop = 96  # central pixels of 0.4″ kept; the paper's 128
image_bin = 3  # pixels averaged per side; the paper's 1
photometry_max_epochs: int = None  # at most; None for the recipe's
max_epochs: int = None  # of the image model, at most; None for the recipe's
n_means = 2000  # test galaxies of posterior means
n_draws = 64  # draws per galaxy for these means
n_kernels = 1000  # test galaxies of kernel densities; the paper's 1,000
kernel_draws = 1000  # draws per galaxy for these; the paper's 1,000
processes = 2  # that render pictures
results_training_seeds = "published"  # or "made", for chapters 04 and 06
training_seeds = {"n_galaxies": 12000, "recipe": "quick"}  # its sizes

# %% tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import runs
from studies import picture_worth
from studies import training_seeds as of_seeds
from studies.figures import mean_over_seeds, present
from studies.picture_worth import shown

folder = runs.open_run("06_what_a_picture_is_worth", globals())
plan = picture_worth.Plan.of(globals())
found = picture_worth.STUDY.result(
    results, folder, plan, rows=rows, seeds=seeds
)
print(found.origin)
row_of = found.content["rows"]
source = "simulated survey"
PAPER = 2.17 - 1.26

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
shown.ladder(present(row_of, shown.LADDER).values(), PAPER, source=source)

# %% [markdown]
# ## Every row
#
# Errors hold the scatter of galaxies and that of trainings. That of the paper's
# recipe is the largest: from galaxy to galaxy its two models differ nearly twice
# as much as ours do, which more trainings would not mend.

# %% tags=["full-width"]
shown.gains(row_of)

# %% [markdown]
# ## Which properties
#
# The share of the variance of each measured property that posterior means
# explain. What is left is errors of the labels, which no model can tell, and
# what photometry or picture do not tell.

# %% tags=["full-width"]
named = ("old", "old_fibre", "all", "all_told", "balmer", "noise_4")
shown.explained(present(row_of, named))

# %% [markdown]
# ## By kernel densities
#
# The paper estimates posterior densities by a Gaussian kernel estimate of
# 1,000 draws. So do these rows, on the first 1,000 test galaxies, with draws
# by 12 Runge-Kutta steps, not 100.

# %%
shown.kernel_gains(row_of)

# %% [markdown]
# ## The Wasserstein table
#
# In the paper the picture halves the distance between the distribution of
# posterior means and that of the labels, for mass from 0.055 to 0.026 dex.
# Here it goes from {glue:text}`distance_photometry:.3f` to
# {glue:text}`distance_image:.3f` dex. Even a perfect posterior has such a
# distance: means spread less than what they are means of. For a Gaussian it is
#
# $$ W = \sigma \,(1 - R)\, \sqrt{2/\pi}, $$
#
# with $R^2$ the share of the variance that the means explain. The rows *if
# perfect* have this number for the $R^2$ that was measured.

# %%
shown.distances(row_of, "all")

# %% [markdown]
# So the distance is no fault of either model, and no measure of honesty: it is
# small where much is known, and both models are near what perfect posteriors
# that know as much would have. Told the redshift, photometry alone brings that
# of mass to {glue:text}`distance_told:.3f` dex. It then explains more of mass than
# the image model that is not told, and as much as the image model that is: what
# the picture does for mass is to tell distances.
#
# The paper's distances of $A_V$, 0.26 without and 0.19 with the picture, are
# more than twice those above. With the $A_V$ of the Balmer decrement as label,
# and Petrosian magnitudes, they are
# {glue:text}`balmer_photometry:.2f` and {glue:text}`balmer_image:.2f`, nearer to
# the paper's. Its $A_V$ may be that of the lines; noisier labels or too little
# training would enlarge the distance as well.

# %%
shown.distances(row_of, "balmer_petrosian")

# %% [markdown]
# ## What is accounted for, and what is not
#
# **Accounted for: {glue:text}`gain_last:.2f` of 0.91 nat.** The first survey
# has {glue:text}`gain_first:.2f`. Labels that are measured in a fibre of 3″ are
# the one large step, to {glue:text}`gain_fibre:.2f`: they are of the middle,
# whose colour the picture shows and the total magnitudes do not. All other
# ties together leave {glue:text}`gain_ties:.2f`, as they teach photometry too.
# The $A_V$ of the Balmer decrement and Petrosian magnitudes, if the paper has
# these, make it {glue:text}`gain_last:.2f`. No row has more than
# {glue:text}`gain_most:.2f`.
#
# **Where the rest is.** By kernel densities, as the paper has them, our image
# model knows {glue:text}`kernels_image:.2f` nat, the paper's 2.17. Our
# photometry model knows {glue:text}`kernels_photometry:.2f`, the paper's 1.26.
# With these labels the models with pictures agree, and photometry is found to
# know more than the paper's. With the $A_V$ of the Balmer decrement and Petrosian
# magnitudes ours know {glue:text}`kernels_balmer_image:.2f` and
# {glue:text}`kernels_balmer_photometry:.2f` nat: then half of the missing
# {glue:text}`missing:.2f` nat is with the image model and half with photometry.
# Magnitudes with four times the noise take {glue:text}`noise_loss:.2f` nat from
# photometry, but from the image model, too, which leaves a gain of
# {glue:text}`gain_noise:.2f`: poor photometry alone does not do it. Training
# may. By the paper's recipe, within 60 epochs of these few galaxies, photometry
# loses {glue:text}`training_loss:.2f` nat. Our image model, trained by our own
# recipe, would be {glue:text}`unequal:.2f` nat above that, most of what the paper
# has. But with both models by the paper's recipe the picture adds
# {glue:text}`gain_paper_training:+.2f` nat: only *unequal* training makes a large
# gain. Whether the paper's was unequal, it does not say; and its 85,440 galaxies
# give a recipe of small steps nine times as many as ours.
#
# **What would decide it.** The paper's own galaxies, by `PROFILE=sdss`: train
# photometry until more epochs change nothing, and look at its $\Delta\log p$.
# If it stays near 1.26, real magnitudes tell less than simulated ones, and the
# picture is worth what the paper says. If it rises towards
# {glue:text}`kernels_photometry:.2f`, the difference was in the training.

# %% tags=["remove-cell"]
named = (*shown.LADDER, "all_told", "noise_4", "paper_training")
if set(named) <= set(row_of):
    gains = {name: row["gain"] for name, row in row_of.items()}
    known = {
        name: mean_over_seeds(row_of[name], "photometry", "log_prob")
        for name in ("all", "noise_4", "paper_training")
    }
    image = mean_over_seeds(row_of["all"], "image", "log_prob")
    numbers = {
        "gain_first": gains["old"],
        "gain_fibre": gains["old_fibre"],
        "gain_ties": gains["all"],
        "gain_last": gains["balmer_petrosian"],
        "gain_noise": gains["noise_4"],
        "gain_most": max(gains.values()),
        "gain_paper_training": gains["paper_training"],
        "missing": PAPER - gains["balmer_petrosian"],
        "noise_loss": known["all"] - known["noise_4"],
        "training_loss": known["all"] - known["paper_training"],
        "unequal": image - known["paper_training"],
    }
    for model in ("photometry", "image"):
        for name, row in (("", "all"), ("_balmer", "balmer_petrosian")):
            kernels = row_of[row], model, "delta_log_p_kernels"
            numbers[f"kernels{name}_{model}"] = mean_over_seeds(*kernels)
        for name, row, p in (
            ("distance", "all", "log_stellar_mass"),
            ("balmer", "balmer_petrosian", "a_v"),
        ):
            distance = row_of[row], model, "wasserstein", p
            numbers[f"{name}_{model}"] = mean_over_seeds(*distance)
    numbers["distance_told"] = mean_over_seeds(
        row_of["all_told"], "photometry", "wasserstein", "log_stellar_mass"
    )
    for name, value in numbers.items():
        glue(name, float(value), display=False)

# %% [markdown]
# ## With other seeds
#
# {doc}`04_metrics` shows how much the gain of the book's own models depends on the
# seed of their training. With `results_training_seeds = "made"` these models are
# trained here.

# %%
seeds_found = of_seeds.STUDY.result(
    results_training_seeds,
    folder,
    of_seeds.Plan(**training_seeds, processes=processes),
    seeds=seeds,
)
print(seeds_found.origin)
pd.Series(seeds_found.content["gain_of_seeds"], name="gain [nat]")

# %% [markdown]
# ## Exercises
#
# **The distance of a perfect posterior.** Derive the formula of the Wasserstein
# table, and try it: properties of unit spread, of which posterior means explain
# a share $R^2 = 0.75$.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rng = np.random.default_rng(0)
mean = np.sqrt(0.75) * rng.standard_normal(100_000)
label = mean + np.sqrt(0.25) * rng.standard_normal(100_000)
found = np.abs(np.sort(mean) - np.sort(label)).mean()
print(f"{found:.4f}, by the formula {0.134 * np.sqrt(2 / np.pi):.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# In one dimension the distance is the mean gap of sorted values. Both
# distributions are Gaussian about the same mean, of widths $\sigma$ and
# $R\,\sigma$, so the gap is $\sigma (1 - R) |z|$, and
# $\mathrm{E}\,|z| = \sqrt{2/\pi}$.
#
# </details>
#
# **Pairs.** The gain's standard error is that of the difference galaxy by
# galaxy. How large would it be, were the two models tried on different
# galaxies? In five dimensions $\log p$ of a Gaussian posterior scatters by
# $\sqrt{5/2}$ nat about its mean, from truth to truth.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
gain = row_of.get("all", next(iter(row_of.values())))
print(
    f"paired {gain['standard_error']:.3f} nat, "
    f"unpaired {np.sqrt(5 / 2 * 2 / gain['n_test']):.3f} nat at least"
)
