r"""What the image adds to each property, read from a table of Wasserstein distances.

A calibrated posterior has means that spread less than the measured values, so the Wasserstein
distance between the two says which share :math:`R^2` of the variance the means explain. For
Gaussian values it is :math:`W = \sigma (1 - R) \sqrt{2 / \pi}`
(`galcfm.metrics.wasserstein_gaussian`). For other values it is simulated here: a noisy observation
of each value, at some noise, has an exact posterior mean under the population of the values.
Two models that explain :math:`R^2_1` and :math:`R^2_2` differ by
:math:`\frac{1}{2} \ln [(1 - R^2_1) / (1 - R^2_2)]` nat in what they tell of the property.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax

from galcfm.metrics import kde_log_density
from galcfm.properties import PROPERTY_NAMES

MODELS = ("photometry", "image")
NOISES = np.geomspace(0.05, 8, 48)  # in units of the values' standard deviation
N_SETS = 100  # simulated test sets


class Channel:
    """Values that are observed with Gaussian noise, and what such observations tell of them.

    Arguments:
        values: Sample of the population of a property, shape (m,).
        n: Number of galaxies of a test set.
        seed: Seed of the test sets, which are the same for each noise.
    """

    def __init__(self, values: np.ndarray, n: int, seed: int = 0):
        self.values, self.spread = np.asarray(values, dtype=np.float64), np.std(values)
        rng = np.random.default_rng(seed)
        self.truth = rng.choice(self.values, (N_SETS, n))
        self.noise, self.more_noise = rng.standard_normal((2, N_SETS, n))
        found = [
            [noise, *map(np.mean, self._observed(noise, self.truth + noise * self.noise))]
            for noise in NOISES * self.spread
        ]
        self.curve = pd.DataFrame(found, columns=["noise", "distance", "explained"])

    def _posterior_mean(self, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a grid of observations and the posterior mean of the value given each."""
        low, high = self.values.min() - 4 * noise, self.values.max() + 4 * noise
        grid = np.linspace(low, high, 400)
        weights = softmax(-0.5 * ((grid[:, None] - self.values) / noise) ** 2, axis=1)
        return grid, weights @ self.values

    def _observed(self, noise: float, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Wasserstein distance and share explained of each test set, shape (N_SETS,)."""
        means = np.interp(observed, *self._posterior_mean(noise))
        gaps = np.sort(means, axis=1) - np.sort(self.truth, axis=1)
        return np.abs(gaps).mean(axis=1), means.var(axis=1) / self.spread**2

    def explained(self, distance, what: str = "explained"):
        """Return the share of the variance that means at these distances explain."""
        return np.interp(distance, self.curve["distance"], self.curve[what])

    def gain(self, distances: Mapping[str, float]) -> dict[str, float]:
        """Return the gain of the image model and its error, from the distances of both models.

        The error is the scatter over test sets: the image model observes each galaxy with some
        noise, the photometry model the same with more.

        Arguments:
            distances: Wasserstein distance of each of `MODELS` [unit of the property].

        Returns:
            `photometry` and `image`, the shares of the variance that they explain, with
            `photometry_error` and `image_error`; `gain` [nat] with its `standard_error`.
        """
        found = {model: float(self.explained(distances[model])) for model in MODELS}
        noise = [float(self.explained(distances[model], "noise")) for model in MODELS]
        seen = self.truth + noise[1] * self.noise
        seen_less = seen + np.sqrt(max(noise[0] ** 2 - noise[1] ** 2, 0)) * self.more_noise
        again = {
            model: self.explained(self._observed(level, observed)[0])
            for model, level, observed in zip(MODELS, noise, (seen_less, seen), strict=True)
        }
        errors = {f"{model}_error": float(shares.std()) for model, shares in again.items()}
        error = float(gaussian_gain(again).std())
        return found | errors | {"gain": float(gaussian_gain(found)), "standard_error": error}


def gaussian_gain(explained: Mapping):
    """Return the gain [nat] that shares of explained variance mean for a Gaussian property.

    >>> round(float(gaussian_gain({"photometry": 0.5, "image": 0.75})), 3)
    0.347
    """
    return 0.5 * np.log((1 - explained["photometry"]) / (1 - explained["image"]))


def by_distance(
    truth: np.ndarray, distances: Mapping[str, Sequence[float]], n: int, spread: float = 1.0
) -> pd.DataFrame:
    """Return what `Channel.gain` finds of each property, one row per property.

    Arguments:
        truth: Measured values of a survey, shape (m, 5): their distribution is taken.
        distances: Wasserstein distances by model, one per property.
        n: Number of test galaxies of these distances.
        spread: Factor on the standard deviation of the measured values.
    """
    rows = [
        Channel(spread * values, n).gain(dict(zip(distances, of_models, strict=True)))
        for values, *of_models in zip(truth.T, *distances.values(), strict=True)
    ]
    return pd.DataFrame(rows, index=PROPERTY_NAMES)


def by_density(samples: Mapping[str, np.ndarray], truth: np.ndarray) -> pd.DataFrame:
    """Return the gain in the marginal density of each property, by kernels of the draws [nat].

    Arguments:
        samples: Draws by model, shape (n, S, 5).
        truth: Measured values, shape (n, 5).

    Returns:
        `gain` and `standard_error` (over galaxies), one row per property.
    """
    log_p = {
        model: [
            [kde_log_density(of[:, [k]], at[None, [k]])[0] for k in range(len(at))]
            for of, at in zip(draws, truth, strict=True)
        ]
        for model, draws in samples.items()
    }
    return _gains(log_p)


def chained(samples: Mapping[str, np.ndarray], truth: np.ndarray) -> pd.DataFrame:
    """Return the gain in each property given those before it, by the chain rule [nat].

    Each posterior is taken for a Gaussian with the mean and the covariance of its draws: with the
    covariance :math:`L L^T` and :math:`z = L^{-1} (\\theta - \\mu)`, the log-density of a property
    given those before it is :math:`-z_k^2 / 2 - \\ln L_{kk}` up to a constant.

    Arguments:
        samples: Draws by model, shape (n, S, 5).
        truth: Measured values, shape (n, 5).
    """
    log_p = {}
    for model, draws in samples.items():
        centred = draws - draws.mean(axis=1, keepdims=True)
        factor = np.linalg.cholesky(centred.transpose(0, 2, 1) @ centred / (draws.shape[1] - 1))
        off = np.linalg.solve(factor, (truth - draws.mean(axis=1))[..., None])[..., 0]
        log_p[model] = -0.5 * off**2 - np.log(np.diagonal(factor, axis1=1, axis2=2))
    return _gains(log_p)


def _gains(log_p: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return mean and error over galaxies of the gain, from log-densities (n, 5) by model."""
    gain = pd.DataFrame(np.subtract(log_p["image"], log_p["photometry"]), columns=PROPERTY_NAMES)
    return pd.DataFrame({"gain": gain.mean(), "standard_error": gain.sem()})
