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
# They differ in nothing but the image, so what the second knows more is what
# the picture holds. A third, unconditional flow learns the distribution of
# the properties themselves, the prior against which information is measured.

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
features = "r_and_colours"  # photometric features; the paper's: "magnitudes"
use_redshift = False  # as a further feature; the paper's False
use_magnitude_errors = False  # as further features; the paper's False
sigma = 0.05  # width of the path, standardised units; the paper's 0.05
width = 256  # of the velocity network's layers; the paper's 256
depth = 3  # hidden layers of the velocity network; the paper's 3
image_crop = 128  # central pixels kept; the paper's 128
image_bin = 2  # pixels averaged per side; the paper's 1
encoder_widths = [16, 32, 64, 128]  # channels of the blocks; ends at 256 there
n_image_features = 256  # width of f_img; the paper's 256
warm_start = True  # image model starts from the photometry model; not there
prior_max_epochs = 20  # of the unconditional flow, at most; not in the paper
photometry_max_epochs = 60  # at most; the paper stops early
max_epochs = 16  # of the image model, at most; the paper stops early
patience = 10  # epochs without improvement before stopping
learning_rate = 1.5e-3  # of AdamW; the paper's 5e-5
batch_size = 64  # galaxies a step; the paper's 64
encoder_batch = 32  # images encoded at once; the paper's: the whole batch, 0
schedule = "cosine"  # of the learning rate; the paper's "constant"
draws_per_galaxy = 8  # draws of time and noise a galaxy; the paper's 1
average_decay = 0.995  # of the moving average of weights; the paper's 0
augment = True  # rotated and mirrored images; not in the paper
seed = 1  # of weights, order and noise

# %%
# %matplotlib inline
import pandas as pd

from galcfm import figures, paths, runs
from galcfm.survey import Survey
from galcfm.training import Recipe, train_models

folder = runs.open_run("02_training", globals())
galaxies = Survey.load(paths.survey_folder(survey))
recipe = Recipe.of(globals())

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
        name: sum(p.numel() for p in recipe.model(name).parameters())
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
pd.DataFrame({name: vars(recipe.settings(name)) for name in names})

# %% [markdown]
# With `warm_start`, the image model begins as the photometry model: the same
# flow, with zero weights on the image features. What it learns from there is
# what the picture adds.

# %%
trained = train_models(galaxies, folder, recipe, names)

# %% mystnb={"figure": {"caption": "Flow-matching loss of the two models on the survey, training and validation. Most of the loss is the spread of the straight paths themselves and cannot be learned away; small differences between the curves are large differences in log-density.", "name": "fig-training"}}
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
