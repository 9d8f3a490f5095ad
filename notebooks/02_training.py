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
# # Training
#
# Two conditional flow-matching models learn the posterior of the five
# properties: one from the magnitudes, one from the magnitudes and the image.
# They see the same magnitudes, and only one the image. In the profile `quick` the
# image model also starts from the trained photometry model and learns on for
# fewer epochs; in `paper` both are trained alike. A third, unconditional flow learns the distribution of
# the properties themselves, the prior against which information is measured.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
recipe = "quick"  # values where None stands below: quick, paper, smoke …
features: str = None  # photometric features; the paper's "magnitudes"
use_redshift: bool = None  # as a further feature; the paper's False
use_magnitude_errors: bool = None  # as further features; the paper's False
sigma: float = None  # width of the path, standardised; the paper's 0.05
width: int = None  # of the velocity network's layers; the paper's 256
depth: int = None  # hidden layers of that network; the paper's 3
image_crop: int = None  # central pixels kept; the paper's 128
image_bin: int = None  # pixels averaged per side; the paper's 1
encoder_widths: list = None  # channels of the blocks; the paper's end at 256
n_image_features: int = None  # width of f_img; the paper's 256
warm_start: bool = None  # image model begins as photometry's; paper's False
prior_max_epochs: int = None  # unconditional flow, at most; not in the paper
photometry_max_epochs: int = None  # at most; the paper stops early
max_epochs: int = None  # of the image model, at most; the paper stops early
patience: int = None  # epochs without improvement before stopping
learning_rate: float = None  # of AdamW; the paper's 5e-5
batch_size: int = None  # galaxies per step; the paper's 64
encoder_batch: int = None  # images encoded at once; the paper's 0, the batch
schedule: str = None  # of the learning rate; the paper's "constant"
draws_per_galaxy: int = None  # draws of time and noise; the paper's 1
average_decay: float = None  # of the moving average of weights; paper's 0
augment: bool = None  # rotated and mirrored images; not in the paper
half_precision: bool = None  # encoder in bfloat16; not in the paper
seed: int = None  # of weights, order and noise

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd

from galcfm import figures, paths, runs
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe, train_models

plan = Recipe.of(globals())
folder = runs.open_run("02_training", globals())
galaxies = Survey.load(paths.survey_folder(survey))

# %% [markdown]
# ## The recipe
#
# `recipe` names a set of values; any other parameter that is given replaces
# the one of that set. For example, `papermill notebooks/02_training.ipynb
# out.ipynb -p max_epochs 50 -p run longer` trains for up to 50 epochs with
# everything else unchanged. This run beside the paper's setting:

# %%
pd.DataFrame({"this run": vars(plan), "the paper": vars(RECIPES["paper"])})

# %% [markdown]
# ## The models
#
# The velocity network takes time, the point in property space and the
# condition; the condition is the standardised photometry, preceded in the
# image model by what the convolutional encoder makes of the cutout. With
# `use_redshift` or `use_magnitude_errors` both models are also told the
# spectroscopic redshift or the errors of the magnitudes.

# %%
names = ("prior", "photometry", "image")
pd.Series(
    {
        name: sum(p.numel() for p in plan.model(name).parameters())
        for name in names
    },
    name="trainable parameters",
).to_frame()

# %% [markdown]
# ## Training
#
# All three minimise the flow-matching loss with AdamW and keep the epoch with
# the lowest validation loss. The validation loss uses the same draws of time
# and noise in each epoch, so that epochs can be compared.

# %%
pd.DataFrame({name: vars(plan.settings(name)) for name in names})

# %% [markdown]
# With `warm_start`, the image model begins as the photometry model: the same
# flow, with zero weights on the image features. What it learns from there is
# what the picture adds.

# %%
trained = train_models(galaxies, folder, plan, names)

# %% mystnb={"figure": {"caption": "Flow-matching loss of the two models on the survey, training and validation. Most of the loss is the spread of the straight paths themselves and cannot be learned away; small differences between the curves are large differences in log-density.", "name": "fig-training"}, "image": {"alt": "Two panels, photometry model and image model: training and validation loss against epoch, with a dot at the epoch that is kept."}}
history = pd.concat(
    pd.read_csv(folder / name / "training.csv").assign(model=name)
    for name in ("photometry", "image")
)
figures.training_curves(history, source=galaxies.source)

# %%
pd.DataFrame.from_dict(
    {
        name: {
            "best epoch": model.metadata["best_epoch"],
            "validation loss": model.metadata["best_validation_loss"],
            "seconds": model.metadata["seconds"],
        }
        for name, model in trained.items()
    },
    orient="index",
).round({"validation loss": 4, "seconds": 1})

# %% [markdown]
# ## Exercises
#
# **What does a loss of 2 mean?** The loss is a mean over the five properties,
# each of unit variance. What has a network that always answers zero? And one
# that knows the population, taken to be Gaussian, and no galaxy's data?
#
# <details><summary>Answer</summary>
#
# The target $\theta_1 - \theta_0$ has the variance $1 + 1 = 2$, which is the
# loss of the network that answers zero. Where the path stands at a time $t$
# tells something of the target even without data: what is left of its variance
# is $2 - (2t-1)^2 / ((1-t)^2 + t^2)$ (for $\sigma = 0$), and its mean over $t$
# is $\pi/2 = 1.57$. So of the curves above only what they lie below about 1.57
# is owed to the data, and the scale on which models differ is that one, not
# zero.
#
# </details>
#
# **A head start.** With `warm_start` the image model begins as the photometry
# model. Why can its first validation loss be no worse? Without it, why would
# the comparison of the two models be unfair after a few epochs?
#
# <details><summary>Answer</summary>
#
# The image features enter with zero weights, so at first the image model *is*
# the photometry model. One that starts from nothing has to learn again what
# the magnitudes say while it learns to see, and is trained for fewer epochs,
# since each is dearer: stopped early it would lose by too little training, and
# one would take that for pictures without information. {doc}`09_calibration`
# has what that costs.
#
# </details>
#
# **Blur it.** What do you expect of posteriors from a path of width $\sigma =
# 0.2$ in place of 0.05? Try it: `-p sigma 0.2 -p run blurred` here, and
# `-p run blurred` alone in the two notebooks after.
#
# <details><summary>Answer</summary>
#
# They are the right posteriors convolved with a Gaussian of 0.2 standard
# deviations. One that should be 0.2 wide becomes $\sqrt{0.2^2 + 0.2^2} = 0.28$
# wide, one of 0.8 only 3 % wider. So what is known well suffers, $\Delta\log
# p$ falls, and coverage lies above its line: too wide, which is the milder
# fault.
#
# </details>
