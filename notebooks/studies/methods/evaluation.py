"""How methods are compared: the same numbers for all, on the same galaxies."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from galcfm.metrics import coverage, point_estimates, summarise, wasserstein
from galcfm.paths import published_folder
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from galcfm.survey import Survey
from studies.exact.comparison import classifier_accuracy
from studies.methods.base import Method

LEVELS = (0.68, 0.95)
DIVERGENCE_DRAWS = 32  # of each galaxy, for the divergence from the prior


def labels_of(method: Method, galaxies: Survey) -> np.ndarray:
    """Return the labels of the properties that a method infers, `(n, d)`."""
    return galaxies.properties[:, [PROPERTY_NAMES.index(name) for name in method.properties]]


def timed_draws(method: Method, galaxies: Survey, n: int, seed: int) -> tuple[np.ndarray, float]:
    """Return draws, float64 `(n_galaxies, n, d)`, and the seconds that 1,000 draws take per galaxy.

    The time includes what is measured or fitted for these draws, now or before.
    """
    if hasattr(method, "features"):
        # What is measured is measured before the clock runs, and has a clock of its own.
        method.features(galaxies)
    started = time.perf_counter()
    method.sample(galaxies, 1, seed)
    one = time.perf_counter() - started
    started = time.perf_counter()
    draws = method.sample(galaxies, n, seed).astype(np.float64)
    # What is done once per galaxy, and 999 times what a further draw takes.
    each = max(0.0, time.perf_counter() - started - one) / max(1, n - 1)
    own = getattr(method, "seconds_a_galaxy", 0.0)
    return draws, own if method.fits_each else own + (one + 999 * each) / len(galaxies)


def by_property(method: Method, galaxies: Survey, draws: np.ndarray) -> dict[str, dict]:
    """Return point estimates and coverage of each property, as `evaluate` has them."""
    truth = labels_of(method, galaxies)
    # Methods that predict values are evaluated by these, the others by the mean of their draws.
    point = hasattr(method, "fit_point")
    mean = method.predict(galaxies).astype(np.float64) if point else draws.mean(axis=1)
    columns = point_estimates(mean, truth)
    columns["rmse"] = np.sqrt(np.mean((mean - truth) ** 2, axis=0))
    columns["wasserstein"] = wasserstein(mean, truth)
    columns["one_draw"] = wasserstein(draws[:, 0], truth)
    for level, shares in zip(LEVELS, coverage(draws, truth, LEVELS), strict=True):
        if hasattr(method, "intervals"):
            low, high = np.moveaxis(method.intervals(galaxies, level), -1, 0)
            shares = np.mean((low <= truth) & (truth <= high), axis=0)
        columns[f"coverage_{round(100 * level)}"] = shares
    levels = np.arange(0.05, 1, 0.05)
    columns["miscalibration"] = np.abs(coverage(draws, truth, levels) - levels[:, None]).mean(0)
    return {
        name: {key: round(float(values[k]), 5) for key, values in columns.items()}
        for k, name in enumerate(method.properties)
    }


def evaluate(
    method: Method, test: Survey, *, n_means: int, n_draws: int, n_divergence=0, prior=None, seed=0
) -> tuple[np.ndarray | None, dict]:
    r"""Return what a method says of test galaxies.

    Arguments:
        method: Method after `fit`.
        test: Test galaxies.
        n_means: Number of galaxies, the first ones, of which draws are taken.
        n_draws: Number of draws per galaxy.
        n_divergence: Number of galaxies whose Kullback-Leibler divergence from the prior is
            estimated.
        prior: Method that gives the same properties without data, with a density; None for a
            method of fewer properties.
        seed: Seed of the draws.

    Returns:
        The log-density at the labels [nat], `(n,)`, or None; and summaries of it, `log_prob`, and
        of `delta_log_p`; `d_kl`; `seconds_a_galaxy`, of 1,000 draws and what is measured or fitted
        for them, and `seconds_of_densities`, of one density; and under `properties`, by property,
        `bias`, `scatter`, `nmad`, `r2` and `rmse` of the point estimate, `wasserstein` of it and of
        `one_draw`, `coverage_68` and `coverage_95`, of the method's own intervals where it has some
        and else of the central ones, and `miscalibration`, the mean distance of coverage to level
        over all levels.
    """
    some = test.select(np.arange(min(n_means, len(test))))
    draws, seconds = timed_draws(method, some, n_draws, seed)
    numbers = {"seconds_a_galaxy": seconds, "properties": by_property(method, some, draws)}
    if not method.has_density:
        return None, numbers
    labels, started = labels_of(method, test), time.perf_counter()
    log_prob = method.log_prob(labels, test)
    numbers["seconds_of_densities"] = (time.perf_counter() - started) / len(test)
    numbers["log_prob"] = summarise(log_prob)
    if prior is not None:
        numbers["delta_log_p"] = summarise(log_prob - prior.log_prob(labels, test))
    if prior is not None and n_divergence:
        few = test.select(np.arange(min(n_divergence, len(test))))
        theta = draws[: len(few), :DIVERGENCE_DRAWS]
        excess = method.log_prob(theta, few) - prior.log_prob(theta, few)
        numbers["d_kl"] = summarise(excess.mean(axis=1))
    return log_prob, numbers


def marginal_log_prob(method: Method, properties: Sequence[str], galaxies: Survey) -> np.ndarray:
    """Return the log-density at four of the labels [nat], the fifth integrated out, `(n,)`.

    Arguments:
        method: Method of all five properties, after `fit`.
        properties: Names of the four.
        galaxies: Galaxies with labels.
    """
    (k,) = (k for k, name in enumerate(PROPERTY_NAMES) if name not in properties)
    # Finer than any posterior is narrow.
    values, step = np.linspace(*PROPERTIES[k].plausible, 401, retstep=True)
    theta = np.repeat(galaxies.properties[:, None], len(values), axis=1)
    theta[..., k] = values
    return logsumexp(method.log_prob(theta, galaxies), axis=1) + np.log(step)


def compare_with_exact(method: Method, test: Survey, n_draws: int) -> dict | None:
    """Compare a photometric posterior with the exact one, for galaxies whose exact one is stored.

    Arguments:
        method: Method with a density, after `fit`.
        test: Test galaxies.
        n_draws: Number of draws of each posterior, which a classifier is to tell apart.

    Returns:
        `gap`, by how much the exact log-density at the labels is higher [nat], its
        `standard_error` and number of galaxies; and `c2st`, the mean accuracy of a classifier that
        tells draws of the two apart. None with fewer than two such galaxies.
    """
    paths = [published_folder() / f"exact_{name}.parquet" for name in ("posteriors", "draws")]
    if not all(path.exists() for path in paths):
        return None
    table, draws = (pd.read_parquet(path) for path in paths)
    labels = pd.DataFrame(test.properties, index=test.object_id)
    table = table[table["object_id"].isin(labels.index)]
    stored = table[[f"{name}_label" for name in PROPERTY_NAMES]]
    # Galaxies of another survey may have the same names.
    table = table[np.isclose(stored, labels.loc[table["object_id"]], atol=1e-4).all(axis=1)]
    if len(table) < 2:
        return None
    galaxies = test.select(pd.Index(test.object_id).get_indexer(table["object_id"]))
    gap = table["exact_unsmoothed"].to_numpy() - method.log_prob(galaxies.properties, galaxies)
    exact = draws[draws["posterior"] == "exact"].groupby("object_id")[list(PROPERTY_NAMES)]
    accuracies = []
    for k, name in enumerate(galaxies.object_id):
        if name in exact.groups:
            theirs = exact.get_group(name).to_numpy()[:n_draws]
            ours = method.sample(galaxies.select([k]), len(theirs))[0]
            accuracies.append(classifier_accuracy(ours, theirs))
    return {
        "gap": float(gap.mean()),
        "standard_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
        "n_galaxies": len(gap),
        "c2st": float(np.mean(accuracies)) if accuracies else None,
        "n_c2st": len(accuracies),
    }
