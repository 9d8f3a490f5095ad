"""Training: a survey in, a `Posterior` out; and the recipes by which the book's models are made."""

from galcfm.training.distillation import Distillation, distil
from galcfm.training.loop import TrainingError, TrainingSettings, seconds_an_epoch, train
from galcfm.training.recipes import RECIPES, Recipe, train_models

__all__ = [
    "RECIPES",
    "Distillation",
    "Recipe",
    "TrainingError",
    "TrainingSettings",
    "distil",
    "seconds_an_epoch",
    "train",
    "train_models",
]
