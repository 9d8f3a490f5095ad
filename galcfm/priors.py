r"""Other priors: what the posteriors would be, were the galaxies another population.

A model learns the posterior under the population it was trained on. For another prior of the same
five properties, with everything else about a galaxy of given properties unchanged, the posterior
follows without training:

.. math:: p_\text{new}(\theta | D) \propto p(\theta | D)\, r(\theta), \quad
    r(\theta) = p_\text{new}(\theta) / p(\theta)

Draws get the weights :math:`r(\theta)`; the fewer of them count, the less the result can be
trusted, which the effective sample size tells. A `log_ratio` is any function of properties
`(..., 5)` that gives :math:`\log r` `(...)`, up to a constant: `schechter_ratio`,
`relation_ratio` and `density_ratio` make some.

The properties are those that the model infers, measurement errors included: a mass function is
that of the *measured* masses. What is not among the properties, such as the star formation
history, cannot be weighted in draws; `galcfm.training.train` takes weights of the training
galaxies instead, of which `python -m galcfm.priors` shows an example.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galcfm.properties import PROPERTY_NAMES

__all__ = [
    "CollapsedWeightsWarning",
    "Reweighted",
    "density_ratio",
    "effective_sample_size",
    "relation_ratio",
    "reweight",
    "schechter_ratio",
]

LogRatio = Callable[[np.ndarray], np.ndarray]
# Fewer effective draws than this are too few for a mean and a width.
FEWEST = 50


class CollapsedWeightsWarning(UserWarning):
    """So few draws carry all the weight that a reweighted posterior says little."""


@dataclass(frozen=True)
class Reweighted:
    """Posteriors under another prior, as weights of the draws under the old one.

    Arguments:
        samples: draws under the old prior, `(n, S, d)`.
        weights: their weights, which sum to 1 for each galaxy, `(n, S)`.
        log_mean_ratio: log of the mean of the unnormalised weights, `(n,)`: new log-densities are
            old ones plus `log_ratio` minus this.
    """

    samples: np.ndarray
    weights: np.ndarray
    log_mean_ratio: np.ndarray

    @property
    def effective_sample_size(self) -> np.ndarray:
        """Of each galaxy, `(n,)`; see `effective_sample_size`."""
        return effective_sample_size(self.weights)

    @property
    def mean(self) -> np.ndarray:
        """Posterior means, `(n, d)`."""
        return np.einsum("ns,nsd->nd", self.weights, self.samples)

    @property
    def std(self) -> np.ndarray:
        """Posterior standard deviations, `(n, d)`."""
        square = np.einsum("ns,nsd->nd", self.weights, self.samples**2)
        return np.sqrt(np.maximum(square - self.mean**2, 0))

    def resample(self, n_samples: int, seed: int = 0) -> np.ndarray:
        """Draws of equal weight, with replacement, `(n, n_samples, d)`."""
        rng = np.random.default_rng(seed)
        return np.stack(
            [
                draws[rng.choice(len(draws), n_samples, p=weights)]
                for draws, weights in zip(self.samples, self.weights, strict=True)
            ]
        )


def reweight(samples, log_ratio: LogRatio) -> Reweighted:
    r"""Posteriors under the prior that is :math:`r(\theta)` times the old one.

    Arguments:
        samples: posterior draws, physical units, `(n, S, d)`.
        log_ratio: :math:`\log r` of properties `(..., d)`, up to a constant.

    Returns:
        The weighted draws. Where fewer than 50 effective draws are left, a
        `CollapsedWeightsWarning` says for how many galaxies.

    Raises:
        ValueError: `log_ratio` gives another shape, NaN or +inf, or a galaxy has no draw that the
            new prior allows.

    >>> draws = np.array([[[0.0], [1.0]]])
    >>> reweight(draws, lambda theta: np.where(theta[..., 0] > 0.5, 0.0, -np.inf)).weights
    array([[0., 1.]])
    """
    samples = np.asarray(samples, dtype=np.float64)
    log_weights = np.asarray(log_ratio(samples), dtype=np.float64)
    if log_weights.shape != samples.shape[:2]:
        raise ValueError(f"log_ratio gave {log_weights.shape}, expected {samples.shape[:2]}")
    if np.isnan(log_weights).any() or np.isposinf(log_weights).any():
        raise ValueError("log_ratio gave NaN or +inf: the new prior must be finite at each draw")
    largest = log_weights.max(axis=1, keepdims=True)
    if np.isneginf(largest).any():
        row = int(np.flatnonzero(np.isneginf(largest))[0])
        raise ValueError(f"the new prior is zero at all draws of the galaxy in row {row}")
    weights = np.exp(log_weights - largest)
    result = Reweighted(
        samples,
        weights / weights.sum(axis=1, keepdims=True),
        np.log(weights.mean(axis=1)) + largest[:, 0],
    )
    few = result.effective_sample_size < min(FEWEST, samples.shape[1] / 2)
    if few.any():
        warnings.warn(
            f"{few.sum()} of {len(few)} galaxies have fewer than {FEWEST} effective draws under "
            "the new prior: take more draws, or train for this prior",
            CollapsedWeightsWarning,
            stacklevel=2,
        )
    return result


def effective_sample_size(weights) -> np.ndarray:
    r"""Number of equal weights that would be as good: :math:`(\sum w)^2 / \sum w^2`.

    Kong (1992). Equal weights have all of them, a single one that is not zero has 1.

    Arguments:
        weights: not negative, `(..., S)`.

    >>> effective_sample_size([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    array([4., 1.])
    """
    weights = np.asarray(weights, dtype=np.float64)
    return weights.sum(axis=-1) ** 2 / np.square(weights).sum(axis=-1)


# ---------------------------------------------------------------------------------------------
# Ratios of priors


def schechter_ratio(new: tuple[float, float], old: tuple[float, float]) -> LogRatio:
    r"""Ratio of two Schechter mass functions, :math:`(M/M^*)^{\alpha+1} e^{-M/M^*}` per dex.

    Arguments:
        new: :math:`\log M^*` [dex, M☉] and :math:`\alpha` of the new prior.
        old: the same of the population that the model was trained on.

    >>> steeper = schechter_ratio(new=(10.7, -1.5), old=(10.7, -1.4))
    >>> steeper(np.array([[9.7, 0, 8.8, 1.2, 0.3], [10.7, 0, 9.0, 1.3, 0.5]])).round(3) + 0.0
    array([0.23, 0.  ])
    """

    def log_density(mass, log_m_star, alpha):
        x = (mass - log_m_star) * np.log(10)
        return (alpha + 1) * x - np.exp(x)

    column = PROPERTY_NAMES.index("log_stellar_mass")
    return lambda theta: (
        log_density(theta[..., column], *new) - log_density(theta[..., column], *old)
    )


def relation_ratio(
    y: str, x: str, *, new: tuple[Callable, float], old: tuple[Callable, float]
) -> LogRatio:
    r"""Ratio of two Gaussian relations, :math:`y \sim \mathcal N(f(x), s^2)`; p(x) is unchanged.

    Arguments:
        y: name of the property that the relation gives.
        x: name of the property that it depends on.
        new: :math:`f` and :math:`s` of the new prior.
        old: the same of the population that the model was trained on; as the properties are
            measured ones, :math:`s` holds their errors.

    >>> metal_poor = relation_ratio(
    ...     "oxygen_abundance",
    ...     "log_stellar_mass",
    ...     new=(lambda m: 8.6 + 0.3 * (m - 10), 0.1),
    ...     old=(lambda m: 8.8 + 0.3 * (m - 10), 0.1),
    ... )
    >>> metal_poor(np.array([[10.0, 0, 8.6, 1.3, 0.5], [10.0, 0, 8.8, 1.3, 0.5]])).round(6)
    array([ 2., -2.])
    """
    i, j = PROPERTY_NAMES.index(y), PROPERTY_NAMES.index(x)

    def log_density(theta, relation, scatter):
        return -0.5 * ((theta[..., i] - relation(theta[..., j])) / scatter) ** 2 - np.log(scatter)

    return lambda theta: log_density(theta, *new) - log_density(theta, *old)


def density_ratio(log_density: Callable, prior, *, steps: int) -> LogRatio:
    r"""Ratio of any density to the population's own, as the unconditional flow knows it.

    The flow is least certain where galaxies are rare, and there the ratio is largest: watch the
    effective sample size.

    Arguments:
        log_density: of the new prior, properties `(..., 5)` to `(...)`, up to a constant.
        prior: a `Posterior` with features `"none"`.
        steps: Runge-Kutta steps of the flow's log-density.
    """

    def log_ratio(theta):
        theta = np.asarray(theta, dtype=np.float64)
        flat = theta.reshape(1, -1, theta.shape[-1])
        old = prior.log_prob_from(flat, prior.encode(np.zeros((1, 5))), steps)
        return log_density(theta) - old.double().numpy().reshape(theta.shape[:-1])

    return log_ratio
