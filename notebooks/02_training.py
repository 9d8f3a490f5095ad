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
# We train three flows on the galaxies of {doc}`01_data_curation`: a *photometry
# model* and an *image model*, which learn the posterior of the five properties
# with the same magnitudes as input, and an unconditional flow of the properties
# alone, the {term}`prior`. On the validation galaxies the image model reaches a
# loss of {glue:text}`loss_image:.4f` and the photometry model
# {glue:text}`loss_photometry:.4f`, after {glue:text}`minutes:.1f` minutes of
# training in all.
#
# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
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

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]
import pandas as pd
from myst_nb import glue

from galcfm import figures, paths, runs
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe, train_models

folder = runs.open_run("02_training", globals())
galaxies = Survey.load(paths.survey_folder(survey))
plan = Recipe.of(globals())

# %% [markdown]
# ## The recipe
#
# `recipe` names a set of settings; any other parameter that is given replaces
# one of them. For example, `papermill notebooks/02_training.ipynb out.ipynb -p
# max_epochs 50 -p run longer` trains for up to 50 epochs. The folded table
# compares this run with the paper's setting.

# %% mystnb={"code_prompt_show": "Show the recipe", "code_prompt_hide": "Hide"} tags=["hide-cell"]
pd.DataFrame({"this run": vars(plan), "the paper": vars(RECIPES["paper"])})

# %% [markdown]
# ## The models
#
# The velocity network takes the time, the point in property space and a
# {term}`condition`: the standardised photometry and, in the image model, the
# features that a convolutional encoder computes from the image. With
# `use_redshift` or `use_magnitude_errors` both models also take the redshift
# or the magnitude errors as input. All flows minimise the flow-matching loss
# ({doc}`../method`) with AdamW; the epoch of the lowest validation loss is
# kept.
#
# With `warm_start`, as in `quick`, the image model begins as the photometry
# model, with zero weights on the image features, and is trained for fewer
# epochs. Whatever it gains from there comes from the image.

# %%
names = ("prior", "photometry", "image")
trained = train_models(galaxies, folder, plan, names)

# %% tags=["hide-input"]
pd.DataFrame.from_dict(
    {
        name: {
            "parameters": f"{sum(p.numel() for p in parameters):,}",
            "epochs at most": plan.settings(name).max_epochs,
            "best epoch": model.metadata["best_epoch"],
            "validation loss": f"{model.metadata['best_validation_loss']:.4f}",
            "training [min]": f"{model.metadata['seconds'] / 60:.1f}",
        }
        for name, model in trained.items()
        for parameters in [list(plan.model(name).parameters())]
    },
    orient="index",
)

# %% mystnb={"figure": {"caption": "Flow-matching loss of the two models, training (dashed) and validation (solid); the dot is the epoch that is kept. The image model starts where the photometry model ended and falls below it. Most of the loss is the spread of the straight paths themselves and cannot be learned away, so small differences in loss are large differences in log-density.", "name": "fig-training"}, "image": {"alt": "Two panels of loss against epoch. The photometry model levels off; the image model starts at that level and falls further. A dot marks the epoch that is kept, with its validation loss."}} tags=["hide-input"]
history = pd.concat(
    pd.read_csv(folder / name / "training.csv").assign(model=name)
    for name in ("photometry", "image")
)
figures.training_curves(history, source=galaxies.source)

# %% tags=["remove-cell"]
losses = {n: m.metadata["best_validation_loss"] for n, m in trained.items()}
glue("loss_image", losses["image"])
glue("loss_photometry", losses["photometry"])
seconds = sum(model.metadata["seconds"] for model in trained.values())
glue("minutes", seconds / 60)

# %% [markdown]
# ## What to take away
#
# - Both models have the same magnitudes and training galaxies, so a difference
#   between them comes from the image, provided both are fully trained.
# - A small difference in loss is a large difference in log-density: the loss of a
#   perfect model is far from zero.
# - Each setting of the recipe is a parameter.

# %% [markdown]
# ## Exercises
#
# **What does a loss of 2 mean?** The loss is a mean over the five properties,
# each of unit variance. Which loss has a network that always answers zero? And
# one that knows the population, assumed Gaussian, but no galaxy's data?
#
# <details><summary>Answer</summary>
#
# The target $\theta_1 - \theta_0$ has the variance $1 + 1 = 2$, the loss of the
# network that answers zero. The position of a path at time $t$ carries some
# information on the target even without data: the remaining variance is
# $2 - (2t-1)^2 / ((1-t)^2 + t^2)$ (for $\sigma = 0$), and its mean over $t$ is
# $\pi/2 = 1.57$. So only the part of the curves below about 1.57 is due to the
# data, and differences between models should be compared with that part, not with
# the whole loss.
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
# the photometry model. A model that starts from random weights has to learn again
# what the magnitudes say while its encoder is still learning, and it is trained
# for fewer epochs, since each is more expensive. Stopped early, it would lose by
# too little training, which could be mistaken for images without information.
# {doc}`09_calibration` measures how much that costs.
#
# </details>
#
# **Blur it.** What do you expect of posteriors from a path of width $\sigma =
# 0.2$ instead of 0.05? Try it: `-p sigma 0.2 -p run blurred` here, and
# `-p run blurred` alone in the next two notebooks.
#
# <details><summary>Answer</summary>
#
# They are the right posteriors convolved with a Gaussian of 0.2 standard
# deviations. One that should be 0.2 wide becomes $\sqrt{0.2^2 + 0.2^2} = 0.28$
# wide, one of 0.8 only 3 % wider. So well-constrained properties suffer,
# $\Delta\log p$ falls, and coverage lies above its line: the posteriors are too
# wide.
#
# </details>
