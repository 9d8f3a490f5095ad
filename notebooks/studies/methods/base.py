"""What a method of inference is, and what methods share.

A method is a class in a file of its own. Its constructor takes its settings, `fit` learns from the
training split of a survey, stops by the validation split, and returns the method itself; `sample`
and `log_prob` then give posteriors of any galaxies. Nothing else is asked of it.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal
from torch import Tensor

from galcfm.flow import standard_normal
from galcfm.posterior import galaxy_seeds, photometric_features
from galcfm.properties import MAGNITUDE_ERRORS, PROPERTY_NAMES
from galcfm.survey import Survey
from galcfm.training.data import labelled_rows


class Method(ABC):
    """A way from galaxies to posteriors of their properties.

    Attributes:
        version: Raised by hand when the method gives other results for the same settings.
        properties: Names of the properties that it infers, in the order of its draws.
        has_density: Whether it has `log_prob`.
        fits_each: Whether the work is done galaxy by galaxy. Such a method, and one that measures
            each galaxy, has `seconds_a_galaxy`, the mean time that this took.
        n_parameters: Number of parameters that `fit` has set.
        training: Set by `fit`: its `seconds`, and what else is known of it.
    """

    version = 1
    properties: tuple[str, ...] = PROPERTY_NAMES
    has_density = True
    fits_each = False
    n_parameters = 0

    @abstractmethod
    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Learn from a survey.

        Arguments:
            survey: Whole survey; only its `train` and `validation` splits are read.
            folder: Folder in which a method may keep what takes long, to resume after a kill.
            progress: Whether bars are shown.

        Returns:
            The method itself.
        """

    @abstractmethod
    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws of each galaxy's properties, physical units, float32 `(n_galaxies, n, d)`.

        A galaxy's draws depend on `(seed, object_id)` and on its data alone.
        """

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the log-density of what `sample` draws [nat per physical unit].

        Arguments:
            theta: Properties, physical units, `(n, d)` or `(n, S, d)`.
            galaxies: Galaxies whose posteriors are evaluated.

        Returns:
            `(n,)` or `(n, S)`.

        Raises:
            NotImplementedError: The method has no density.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density: evaluate its draws")

    def predict(self, galaxies: Survey) -> np.ndarray:
        """Return a point estimate of each galaxy's properties, `(n, d)`: the mean of 256 draws."""
        return self.sample(galaxies, 256).mean(axis=1)


class PointMethod(Method):
    """A method that gives one value per property.

    As a posterior it is a normal distribution about that value, the same for all galaxies: its
    covariance is that of the residuals on the validation split, which were not trained on.
    """

    @abstractmethod
    def fit_point(self, survey: Survey, progress: bool) -> None:
        """Learn to `predict`."""

    @abstractmethod
    def predict(self, galaxies: Survey) -> np.ndarray:
        """Return the values, physical units, `(n, 5)`."""

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Learn to predict, and how far predictions are off."""
        self.fit_point(survey, progress)
        held_out = labelled(survey, "validation")
        residual = held_out.properties - self.predict(held_out)
        self.bias, self.covariance = residual.mean(axis=0), np.cov(residual, rowvar=False)
        return self

    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws of the normal distribution about each prediction, `(n_galaxies, n, 5)`."""
        middle, root = self.predict(galaxies) + self.bias, np.linalg.cholesky(self.covariance)
        return (middle[:, None] + noise_of(galaxies, n, seed).numpy() @ root.T).astype("f4")

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the log-density of that normal distribution [nat], `(n,)` or `(n, S)`."""
        theta, middle = np.asarray(theta, dtype=np.float64), self.predict(galaxies)
        off = theta - (middle[:, None] if theta.ndim == 3 else middle)
        found = multivariate_normal.logpdf(off, self.bias, self.covariance)
        return np.reshape(found, theta.shape[:-1])


def labelled(survey: Survey, split: str) -> Survey:
    """Return the galaxies of a split that have all their labels.

    Raises:
        TrainingError: There are none.
    """
    return survey.select(labelled_rows(survey, split))


def photometry(
    survey: Survey, *, magnitudes: bool = True, redshift: bool = False, errors: bool = False
) -> np.ndarray:
    """Return the photometric features of each galaxy, not standardised, `(n, f)`.

    Arguments:
        survey: Galaxies.
        magnitudes: Whether r and the colours u−g, g−r, r−i, i−z are among them.
        redshift: Whether the spectroscopic redshift is.
        errors: Whether log10 of the errors of the five magnitudes are.
    """
    of_errors = survey.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(np.float64) if errors else None
    return photometric_features(
        survey.magnitudes,
        "r_and_colours" if magnitudes else "none",
        redshift=survey.redshift if redshift else None,
        magnitude_errors=of_errors,
    )


def noise_of(galaxies: Survey, n: int, seed: int, dim: int = len(PROPERTY_NAMES)) -> Tensor:
    """Return standard normal noise `(n_galaxies, n, dim)` that seed and `object_id` decide."""
    return standard_normal(galaxy_seeds(galaxies.object_id, seed), n, dim)
