"""Training of a `Posterior` on a survey, and the recipes of the book's models."""

from galcfm.training.loop import Loop, LoopSettings, TrainingError
from galcfm.training.posterior_training import TrainingSettings, train
from galcfm.training.recipes import RECIPES, Recipe, train_models

__all__ = [
    "RECIPES",
    "Loop",
    "LoopSettings",
    "Recipe",
    "TrainingError",
    "TrainingSettings",
    "train",
    "train_models",
]
