"""The models of this book: flow matching given photometry, or photometry and image."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from galcfm.flow import FAST_STEPS
from galcfm.posterior import Posterior
from galcfm.provenance import digest
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe, train_models
from studies.methods.base import Method


class FlowMatching(Method):
    """The models of this book, by their own training.

    Arguments:
        model: `"prior"`, `"photometry"` or `"image"`.
        recipe: How it is made.
    """

    def __init__(self, model: str = "image", recipe: Recipe | None = None):
        self.model, self.recipe = model, recipe or RECIPES["quick"]

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Train the model, and before an image model the photometry model that it starts from."""
        names = [self.model]
        if self.model == "image" and self.recipe.warm_start:
            names.insert(0, "photometry")
        if folder is None:
            with tempfile.TemporaryDirectory() as temporary:
                return self.fit(survey, folder=Path(temporary), progress=progress)
        key = digest(asdict(self.recipe))
        models = train_models(survey, folder / key, self.recipe, names, progress=progress)
        self.posterior: Posterior = models[self.model]
        # That of the model which it starts from, too.
        self.training = {
            "best_epoch": self.posterior.metadata["best_epoch"],
            "seconds": sum(model.metadata["seconds"] for model in models.values()),
        }
        self.n_parameters = sum(p.numel() for p in self.posterior.parameters())
        return self

    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws, physical units, `(n_galaxies, n, 5)`."""
        condition = self.posterior.encode_survey(galaxies)
        draws = self.posterior.sample_from(condition, galaxies.object_id, n, FAST_STEPS, seed)
        return draws.numpy()

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the exact log-density [nat per physical unit], `(n,)` or `(n, S)`."""
        condition = self.posterior.encode_survey(galaxies)
        found = self.posterior.log_prob_from(theta, condition, 2 * FAST_STEPS)
        return found.double().numpy()
