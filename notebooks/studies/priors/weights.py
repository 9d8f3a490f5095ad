r"""Posteriors under another prior, as weights of draws under the old one.

A `log_ratio` is any function of properties `(..., 5)` that gives :math:`\log r`, `(...)`, the
logarithm of the new prior over the old one up to a constant: `schechter_ratio` and
`relation_ratio` make some. The properties are those that the model infers, measurement errors
included: a mass function is that of the *measured* masses.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax

from galcfm.metrics import effective_sample_size
from galcfm.properties import PROPERTY_NAMES

LogRatio = Callable[[np.ndarray], np.ndarray]
# Fewer effective draws than this are too few for a mean and a width.
FEWEST = 50


class CollapsedWeightsWarning(UserWarning):
    """So few draws carry all the weight that a reweighted posterior says little."""


@dataclass(frozen=True)
class Reweighted:
    """Posteriors under another prior, as weights of the draws under the old one.

    Arguments:
        samples: Draws under the old prior, shape `(n, S, d)`.
        weights: Their weights, which sum to 1 for each galaxy, shape `(n, S)`.
        log_mean_ratio: Logarithm of the mean of the unnormalised weights, shape `(n,)`. New
            log-densities are old ones plus `log_ratio` minus this.
    """

    samples: np.ndarray
    weights: np.ndarray
    log_mean_ratio: np.ndarray

    @property
    def effective_sample_size(self) -> np.ndarray:
        """Effective number of draws of each galaxy, shape `(n,)`."""
        with np.errstate(divide="ignore"):
            return effective_sample_size(np.log(self.weights))

    @property
    def mean(self) -> np.ndarray:
        """Posterior means, shape `(n, d)`."""
        return np.einsum("ns,nsd->nd", self.weights, self.samples)

    @property
    def std(self) -> np.ndarray:
        """Posterior standard deviations, shape `(n, d)`."""
        square = np.einsum("ns,nsd->nd", self.weights, self.samples**2)
        return np.sqrt(np.maximum(square - self.mean**2, 0))


def reweight(samples, log_ratio: LogRatio) -> Reweighted:
    r"""Return posteriors under the prior that is :math:`r(\theta)` times the old one.

    Arguments:
        samples: Posterior draws in physical units, shape `(n, S, d)`.
        log_ratio: Function of properties `(..., d)` that returns :math:`\log r`, `(...)`, up to a
            constant.

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
    log_mean_ratio = logsumexp(log_weights, axis=1) - np.log(samples.shape[1])
    if np.isneginf(log_mean_ratio).any():
        row = int(np.flatnonzero(np.isneginf(log_mean_ratio))[0])
        raise ValueError(f"the new prior is zero at all draws of the galaxy in row {row}")
    result = Reweighted(samples, softmax(log_weights, axis=1), log_mean_ratio)
    few = result.effective_sample_size < min(FEWEST, samples.shape[1] / 2)
    if few.any():
        warnings.warn(
            f"{few.sum()} of {len(few)} galaxies have fewer than {FEWEST} effective draws under "
            "the new prior: take more draws, or train for this prior",
            CollapsedWeightsWarning,
            stacklevel=2,
        )
    return result


# Ratios of priors


def schechter_ratio(new: tuple[float, float], old: tuple[float, float]) -> LogRatio:
    r"""Return the ratio of two Schechter mass functions.

    Each is :math:`(M/M^*)^{\alpha+1} e^{-M/M^*}` per dex.

    Arguments:
        new: :math:`\log M^*` [dex, M☉] and :math:`\alpha` of the new prior.
        old: Both numbers of the population that the model was trained on.

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
    r"""Return the ratio of two Gaussian relations, :math:`y \sim \mathcal N(f(x), s^2)`.

    The distribution of x is unchanged.

    Arguments:
        y: Name of the property that the relation gives.
        x: Name of the property that it depends on.
        new: :math:`f` and :math:`s` of the new prior.
        old: Both of the population that the model was trained on. As the properties are measured
            ones, :math:`s` includes their errors.

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


def fitted_relation(theta, y: str, x: str) -> tuple[Callable, float]:
    """Return a parabola through a population and the scatter about it, for `relation_ratio`.

    Arguments:
        theta: Properties, shape `(n, 5)`.
        y: Name of the property that the relation gives.
        x: Name of the property that it depends on.
    """
    x, y = (theta[:, PROPERTY_NAMES.index(name)] for name in (x, y))
    relation = np.poly1d(np.polyfit(x, y, 2))
    return relation, float(np.std(y - relation(x)))


def shifted_ratio(theta, y: str, x: str, shift: float) -> LogRatio:
    """Return the ratio of priors that shifts one property of a population at a given other one.

    Arguments:
        theta: Properties of the population that the model was trained on, shape `(n, 5)`.
        y: Name of the property that is shifted.
        x: Name of the property at which it is.
        shift: The shift, in the unit of y.
    """
    relation, scatter = fitted_relation(theta, y, x)
    new = (lambda at: relation(at) + shift, scatter)
    return relation_ratio(y, x, new=new, old=(relation, scatter))


# Checks in the new population


def reweighted_gain(samples, truth, log_ratio: LogRatio) -> dict:
    r"""Return by how much the reweighted posterior is better where its prior holds.

    Known galaxies of the old population, each counted :math:`r(\theta_*)` times, are galaxies of
    the new one. Over these the posterior under the right prior has the higher mean log-density.

    Arguments:
        samples: Posterior draws under the old prior in physical units, shape `(n, S, d)`.
        truth: Properties, shape `(n, d)`.
        log_ratio: Ratio of the priors, as in `reweight`.

    Returns:
        `gain` in mean log-density [nat] and its `standard_error`; `bias_old` and `bias_new`, the
        mean of posterior mean minus measured value, `(d,)`, and `bias_error`; the median
        `effective_share` of the draws; and `effective_galaxies`, the effective number of known
        galaxies.
    """
    truth = np.asarray(truth, dtype=np.float64)
    result = reweight(samples, log_ratio)
    at_truth = np.asarray(log_ratio(truth), dtype=np.float64)
    weights = np.exp(at_truth - at_truth.max())
    residuals = result.samples.mean(axis=1) - truth, result.mean - truth
    gain, gain_error = weighted_mean(at_truth - result.log_mean_ratio, weights)
    (old, _), (new, bias_error) = (weighted_mean(x, weights) for x in residuals)
    return {
        "gain": float(gain),
        "standard_error": float(gain_error),
        "bias_old": old,
        "bias_new": new,
        "bias_error": bias_error,
        "effective_share": float(np.median(result.effective_sample_size) / result.samples.shape[1]),
        "effective_galaxies": float(effective_sample_size(at_truth)),
    }


def shifted_means(draws: pd.DataFrame, log_ratio: LogRatio, name: str) -> pd.DataFrame:
    """Return means of one property under both priors, by posterior, one row per galaxy.

    The same weights on draws from the exact posterior say what a flow's should have become.

    Arguments:
        draws: One row per draw, with the five properties, `object_id` and `posterior`.
        log_ratio: Ratio of the priors, as in `reweight`.
        name: Name of the property.

    Returns:
        For each posterior the mean under the `old` and the `new` prior and the standard `error`
        of the latter, from its effective number of draws.
    """
    k, rows = PROPERTY_NAMES.index(name), {}
    for (object_id, posterior), part in draws.groupby(["object_id", "posterior"], sort=False):
        values = part[list(PROPERTY_NAMES)].to_numpy(np.float64)
        result = reweight(values[None], log_ratio)
        rows.setdefault(object_id, {}).update(
            {
                (posterior, "old"): values[:, k].mean(),
                (posterior, "new"): result.mean[0, k],
                (posterior, "error"): result.std[0, k] / np.sqrt(result.effective_sample_size[0]),
            }
        )
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def weighted_mean(values, weights):
    """Return the mean over the first axis, and its standard error."""
    weights = weights / weights.sum()
    mean = np.tensordot(weights, values, 1)
    return mean, np.sqrt(np.tensordot(weights**2, (values - mean) ** 2, 1))
