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
galaxies instead, of which `python -m studies.priors` shows an example.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.flow import FAST_STEPS
from galcfm.metrics import effective_sample_size
from galcfm.paths import run_folder, survey_folder
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.relations import MAIN_SEQUENCE
from studies.stored import key_of, read_command, store, stored
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train

__all__ = [
    "CollapsedWeightsWarning",
    "Reweighted",
    "burst_weights",
    "density_ratio",
    "fitted_relation",
    "judge",
    "relation_ratio",
    "reweight",
    "run",
    "schechter_ratio",
    "shifted_means",
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
        """Of each galaxy, `(n,)`; see `galcfm.metrics.effective_sample_size`."""
        with np.errstate(divide="ignore"):
            return effective_sample_size(np.log(self.weights))

    @property
    def mean(self) -> np.ndarray:
        """Posterior means, `(n, d)`."""
        return np.einsum("ns,nsd->nd", self.weights, self.samples)

    @property
    def std(self) -> np.ndarray:
        """Posterior standard deviations, `(n, d)`."""
        square = np.einsum("ns,nsd->nd", self.weights, self.samples**2)
        return np.sqrt(np.maximum(square - self.mean**2, 0))


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


def fitted_relation(theta, y: str, x: str) -> tuple[Callable, float]:
    """Parabola through a population and the scatter about it, as `relation_ratio` takes them.

    Arguments:
        theta: properties, `(n, 5)`.
        y: name of the property that the relation gives.
        x: name of the property that it depends on.
    """
    x, y = (theta[:, PROPERTY_NAMES.index(name)] for name in (x, y))
    relation = np.poly1d(np.polyfit(x, y, 2))
    return relation, float(np.std(y - relation(x)))


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


# Checks in the new population, and a prior on what is not among the properties


def judge(samples, truth, log_ratio: LogRatio) -> dict:
    r"""Is the reweighted posterior the better one where its prior holds?

    Known galaxies of the old population, each counted :math:`r(\theta_*)` times, are galaxies of
    the new one. Over these the posterior under the right prior has the higher mean log-density.

    Arguments:
        samples: posterior draws under the old prior, physical units, `(n, S, d)`.
        truth: properties, `(n, d)`.
        log_ratio: see `reweight`.

    Returns:
        `gain` in mean log-density [nat] and its `standard_error`; `bias_old` and `bias_new`, mean
        of posterior mean minus truth, `(d,)`, and `bias_error`; the median `effective_share` of
        the draws, and `effective_galaxies`, that of the known galaxies.
    """
    truth = np.asarray(truth, dtype=np.float64)
    result = reweight(samples, log_ratio)
    at_truth = np.asarray(log_ratio(truth), dtype=np.float64)
    weights = np.exp(at_truth - at_truth.max())
    residuals = result.samples.mean(axis=1) - truth, result.mean - truth
    gain, gain_error = _weighted_mean(at_truth - result.log_mean_ratio, weights)
    (old, _), (new, bias_error) = (_weighted_mean(x, weights) for x in residuals)
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
    """Means of one property under both priors, by posterior, a row a galaxy.

    The same weights on draws of the exact posterior say what a flow's should have become.

    Arguments:
        draws: a row a draw, with the five properties, `object_id` and `posterior`.
        log_ratio: see `reweight`.
        name: of the property.

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


def _weighted_mean(values, weights):
    """Mean over the first axis, and its standard error."""
    weights = weights / weights.sum()
    mean = np.tensordot(weights, values, 1)
    return mean, np.sqrt(np.tensordot(weights**2, (values - mean) ** 2, 1))


def burst_weights(catalogue, shift: float, scatter: float) -> np.ndarray:
    r"""Weights that raise the recent star formation of main-sequence galaxies over their past.

    In the simulation the rate of today is that of the smooth history times a burst or lull,
    :math:`\delta \sim \mathcal N(0, s^2)` dex. The weights make it
    :math:`\mathcal N(\text{shift}, s^2)`; other galaxies keep the weight 1.

    Arguments:
        catalogue: of a simulated survey.
        shift: mean of the new :math:`\delta` [dex].
        scatter: :math:`s` [dex].
    """
    delta = catalogue["log_sfr_true"] - catalogue["log_sfr_history"]
    ratio = np.exp((shift * delta - shift**2 / 2) / scatter**2)
    return np.where(catalogue["sequence"] == 0, ratio, 1.0)


def run(
    path: Path,
    folder: Path,
    survey: Survey,
    *,
    shift: float = 0.15,
    max_epochs: int = 15,
    command: str = "",
    progress: bool = True,
) -> dict:
    """Fine-tune a run's photometry model for a prior with more recent bursts, and judge it.

    Arguments:
        path: JSON file of the result.
        folder: of the run; the fine-tuned model goes to its `variants`, and resumes there.
        survey: simulated, that the run was trained on.
        shift: of the bursts [dex].
        max_epochs: of the fine-tuning.
        command: that makes it.
    """
    scatter = float(MAIN_SEQUENCE["scatter"] / np.sqrt(3))
    weights = burst_weights(survey.catalogue, shift, scatter)
    base = Posterior.load(folder / "photometry")
    settings = base.metadata["settings"] | {"learning_rate": 3e-4, "max_epochs": max_epochs}
    key = key_of([shift, settings, base.metadata], "studies.priors")
    before = stored(path, key)
    if before is not None:
        return before
    tuned = train(
        Posterior(**base.architecture),
        survey,
        folder / "variants" / f"photometry-bursts-{key}",
        TrainingSettings(**settings),
        warm_start=base,
        weights=weights,
        progress=progress,
    )
    rows = np.flatnonzero(survey.catalogue["split"] == "test")
    test, weights = survey.select(rows), weights[rows]
    log_prob, residual = {}, {}
    for name, model in (("before", base), ("after", tuned)):
        condition = model.encode_survey(test)
        log_prob[name] = model.log_prob_from(test.properties, condition, FAST_STEPS).numpy()
        draws = model.sample_from(condition, test.object_id, 100, FAST_STEPS, 0).numpy()
        residual[name] = draws.mean(axis=1) - test.properties
    gain, error = _weighted_mean((log_prob["after"] - log_prob["before"]).astype(float), weights)
    bias = {name: _weighted_mean(x, weights) for name, x in residual.items()}
    result = {
        "shift": shift,
        "scatter": scatter,
        "effective_galaxies": float(effective_sample_size(np.log(weights))),
        "n_test": len(test),
        "gain": float(gain),
        "standard_error": float(error),
        "bias": {
            p: {name: float(mean[k]) for name, (mean, _) in bias.items()}
            | {"standard_error": float(bias["after"][1][k])}
            for k, p in enumerate(PROPERTY_NAMES)
        },
        "seconds": tuned.metadata["seconds"],
    }
    return store(path, result, key, command)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "priors",
        __doc__,
        arguments,
        run={"default": "quick", "help": "whose photometry model is fine-tuned"},
    )
    folder = run_folder("smoke" if options.smoke else options.run)
    trained_on = Posterior.load(folder / "photometry").metadata["survey"]
    run(
        options.folder / "priors.json",
        folder,
        Survey.load(survey_folder(trained_on)),
        max_epochs=2 if options.smoke else 15,
        command=f"{options.command} --run {folder.name}",
    )


if __name__ == "__main__":
    main()
