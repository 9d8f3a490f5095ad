"""What a method of inference is, and what methods share.

A method is a class in a file of its own. Its constructor takes its settings, `fit` learns from the
training split of a survey, stops by the validation split, and returns the method itself; `sample`
and `log_prob` then speak of any galaxies. Nothing else is asked of it.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from galcfm.flow import standard_normal
from galcfm.posterior import galaxy_seeds
from galcfm.properties import MAGNITUDE_ERRORS, PROPERTY_NAMES
from galcfm.survey import Survey

__all__ = ["Method", "PointMethod", "Scale", "labelled", "noise_of", "photometry"]


class Method(ABC):
    """A way from galaxies to posteriors of their properties.

    Attributes:
        properties: what it infers, in the order of its draws.
        has_density: whether `log_prob` says something.
        fits_each: whether the work is done galaxy by galaxy; a method of which this is true, or
            that measures each galaxy, has `seconds_a_galaxy`, what that took in the mean.
        n_parameters: numbers that `fit` has set.
        training: set by `fit`: its `seconds`, and what else there is to say of it.
    """

    properties: tuple[str, ...] = PROPERTY_NAMES
    has_density = True
    fits_each = False
    n_parameters = 0

    @abstractmethod
    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Learn from a survey.

        Arguments:
            survey: the whole survey; its `train` and `validation` splits alone are read.
            folder: where a method may leave what takes long, so that it goes on after a kill.
            progress: show bars.

        Returns:
            The method itself.
        """

    @abstractmethod
    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Draws of each galaxy's properties, physical units, float32 `(n_galaxies, n, d)`.

        A galaxy's draws depend on `(seed, object_id)` and on itself alone.
        """

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Log-density of what `sample` draws [nat per physical unit].

        Arguments:
            theta: properties, physical units, `(n, d)` or `(n, S, d)`.
            galaxies: whose.

        Returns:
            `(n,)` or `(n, S)`.

        Raises:
            NotImplementedError: the method has no density.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density: judge its draws")

    def predict(self, galaxies: Survey) -> np.ndarray:
        """A point estimate of each galaxy's properties, `(n, d)`: the mean of 256 draws."""
        return self.sample(galaxies, 256).mean(axis=1)


class PointMethod(Method):
    """A method that gives one value a property.

    As a posterior it is a normal distribution about that value, the same for all galaxies: its
    covariance is that of the residuals on the validation split, which were not trained on.
    """

    @abstractmethod
    def fit_point(self, survey: Survey, progress: bool) -> None:
        """Learn to `predict`."""

    @abstractmethod
    def predict(self, galaxies: Survey) -> np.ndarray:
        """The values, physical units, `(n, 5)`."""

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Learn to predict, and how far predictions are off."""
        self.fit_point(survey, progress)
        held_out = labelled(survey, "validation")
        residual = held_out.properties - self.predict(held_out)
        self.bias = residual.mean(axis=0)
        self.root = np.linalg.cholesky(np.cov(residual, rowvar=False))
        return self

    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Draws of the normal distribution about each prediction, `(n_galaxies, n, 5)`."""
        middle = self.predict(galaxies) + self.bias
        return (middle[:, None] + noise_of(galaxies, n, seed).numpy() @ self.root.T).astype("f4")

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Log-density of that normal distribution [nat], `(n,)` or `(n, S)`."""
        theta = np.asarray(theta, dtype=np.float64)
        middle = self.predict(galaxies) + self.bias
        if theta.ndim == 3:
            middle = middle[:, None]
        z = np.linalg.solve(self.root, (theta - middle)[..., None])[..., 0]
        log_volume = np.log(np.diag(self.root)).sum() + 0.5 * len(self.root) * np.log(2 * np.pi)
        return -0.5 * (z**2).sum(axis=-1) - log_volume


class Scale:
    """Mean and standard deviation of each column, of the training split.

    Arguments:
        values: `(n, k)`; a column that never changes is left as it is.
    """

    def __init__(self, values: np.ndarray):
        values = np.asarray(values, dtype=np.float64)
        std = values.std(axis=0)
        self.mean, self.std = values.mean(axis=0), np.where(std > 0, std, 1.0)

    def __call__(self, values) -> Tensor:
        """Standardised, float32."""
        return torch.from_numpy((np.asarray(values, np.float64) - self.mean) / self.std).float()

    def back(self, x: Tensor) -> np.ndarray:
        """Physical units of standardised values `(..., k)`, float32."""
        return (x.double().cpu().numpy() * self.std + self.mean).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """What a log-density of standardised values exceeds one per physical unit by [nat]."""
        return float(np.log(self.std).sum())


def labelled(survey: Survey, split: str) -> Survey:
    """The galaxies of a split that have all their labels.

    Raises:
        ValueError: there are none.
    """
    here = survey.catalogue["split"].to_numpy() == split
    rows = np.flatnonzero(here & np.isfinite(survey.properties).all(axis=1))
    if len(rows) == 0:
        raise ValueError(f"{survey.name} has no galaxies with labels in its {split} split")
    return survey.select(rows)


def photometry(
    survey: Survey, *, magnitudes: bool = True, redshift: bool = False, errors: bool = False
) -> np.ndarray:
    """Photometric features of each galaxy, not standardised, `(n, f)`.

    Arguments:
        survey: galaxies.
        magnitudes: r and the colours u−g, g−r, r−i, i−z.
        redshift: the spectroscopic one.
        errors: log10 of the errors of the five magnitudes.
    """
    blocks = [np.empty((len(survey), 0))]
    if magnitudes:
        blocks += [survey.magnitudes[:, 2:3], -np.diff(survey.magnitudes)]
    if redshift:
        blocks.append(survey.redshift[:, None])
    if errors:
        blocks.append(np.log10(survey.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(np.float64)))
    return np.concatenate(blocks, axis=1)


def noise_of(galaxies: Survey, n: int, seed: int, dim: int = len(PROPERTY_NAMES)) -> Tensor:
    """Standard normal noise `(n_galaxies, n, dim)`, of seed and `object_id` alone."""
    return standard_normal(galaxy_seeds(galaxies.object_id, seed), n, dim)
