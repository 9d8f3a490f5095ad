"""How a method is judged: the same numbers for all, on the same galaxies.

Apart from the studies that use it, so that their stored rows outlive the arrival of others.
"""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from studies.methods.base import Method
from galcfm.metrics import coverage, point_estimates, summarise, wasserstein
from galcfm.paths import published_folder
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from studies.exact.comparison import classifier_accuracy
from galcfm.survey import Survey

__all__ = ["LEVELS", "against_exact", "judge", "of_fewer", "of_properties"]

LEVELS = (0.68, 0.95)


def of_properties(method: Method, galaxies: Survey) -> np.ndarray:
    """The labels that a method speaks of, `(n, d)`."""
    return galaxies.properties[:, [PROPERTY_NAMES.index(name) for name in method.properties]]


def judge(
    method: Method,
    test: Survey,
    *,
    n_means: int,
    n_draws: int,
    n_divergence: int = 0,
    prior: Method | None = None,
    seed: int = 0,
) -> dict:
    r"""What a method says of test galaxies.

    Arguments:
        method: after `fit`.
        test: the test galaxies.
        n_means: of how many, the first ones, draws are taken.
        n_draws: of each.
        n_divergence: of how many the Kullback-Leibler divergence from the prior is estimated.
        prior: the same properties without data, with a density; `None` for a method of fewer.
        seed: of the draws.

    Returns:
        `log_prob`, at the labels [nat], `(n,)`, or `None`; `mean`, the point estimates of the first
        galaxies `(m, d)`; and `numbers`: summaries of `log_prob` and `delta_log_p`; `d_kl`, from 32
        draws a galaxy; `seconds_a_galaxy`, of 1,000 draws and what is measured or fitted for them,
        and `seconds_of_densities`, of one; and by property `bias`, `scatter`, `nmad`, `r2` and
        `rmse` of the point estimate, `wasserstein` of it and of `one_draw`, `coverage_68` and
        `coverage_95`, of the method's own intervals where it has some and else of the central ones,
        and `miscalibration`, the mean distance of coverage to level over all levels.
    """
    some = test.select(np.arange(min(n_means, len(test))))
    truth, labels = of_properties(method, some), of_properties(method, test)
    if hasattr(method, "features"):
        # What is measured is measured before the clock runs, and has a clock of its own.
        method.features(some)
    started = time.perf_counter()
    method.sample(some, 1, seed)
    one = time.perf_counter() - started
    started = time.perf_counter()
    draws = method.sample(some, n_draws, seed).astype(np.float64)
    # What is done once a galaxy, and 999 times what a further draw takes.
    each = max(0.0, time.perf_counter() - started - one) / max(1, n_draws - 1)
    seconds = (one + 999 * each) / len(some)
    # Of a method that fits or measures each galaxy, be it now or before.
    own = getattr(method, "seconds_a_galaxy", 0.0)
    numbers = {"seconds_a_galaxy": own if method.fits_each else seconds + own}
    # One that speaks for itself is not asked by way of its draws.
    point = hasattr(method, "fit_point")
    mean = method.predict(some).astype(np.float64) if point else draws.mean(axis=1)
    columns = point_estimates(mean, truth)
    columns["rmse"] = np.sqrt(np.mean((mean - truth) ** 2, axis=0))
    columns["wasserstein"] = wasserstein(mean, truth)
    columns["one_draw"] = wasserstein(draws[:, 0], truth)
    for level, shares in zip(LEVELS, coverage(draws, truth, LEVELS), strict=True):
        if hasattr(method, "intervals"):
            low, high = np.moveaxis(method.intervals(some, level), -1, 0)
            shares = np.mean((low <= truth) & (truth <= high), axis=0)
        columns[f"coverage_{round(100 * level)}"] = shares
    levels = np.arange(0.05, 1, 0.05)
    columns["miscalibration"] = np.abs(coverage(draws, truth, levels) - levels[:, None]).mean(0)
    numbers["properties"] = {
        name: {key: round(float(values[k]), 5) for key, values in columns.items()}
        for k, name in enumerate(method.properties)
    }
    log_prob = None
    if method.has_density:
        started = time.perf_counter()
        log_prob = method.log_prob(labels, test)
        numbers["seconds_of_densities"] = (time.perf_counter() - started) / len(test)
        numbers["log_prob"] = summarise(log_prob)
        if prior is not None:
            numbers["delta_log_p"] = summarise(log_prob - prior.log_prob(labels, test))
        if prior is not None and n_divergence:
            few = test.select(np.arange(min(n_divergence, len(test))))
            theta = draws[: len(few), :32]
            excess = method.log_prob(theta, few) - prior.log_prob(theta, few)
            numbers["d_kl"] = summarise(excess.mean(axis=1))
    return {"log_prob": log_prob, "mean": mean, "numbers": numbers}


def of_fewer(method: Method, properties: Sequence[str], galaxies: Survey) -> np.ndarray:
    """Log-density of a method of five at four of the labels [nat], one integrated out, `(n,)`.

    Arguments:
        method: after `fit`, of all five properties.
        properties: the four.
        galaxies: whose labels.
    """
    (k,) = (k for k, name in enumerate(PROPERTY_NAMES) if name not in properties)
    # Finer than any posterior is narrow.
    values, step = np.linspace(*PROPERTIES[k].plausible, 401, retstep=True)
    theta = np.repeat(galaxies.properties[:, None], len(values), axis=1)
    theta[..., k] = values
    return logsumexp(method.log_prob(theta, galaxies), axis=1) + np.log(step)


def against_exact(method: Method, test: Survey, n_draws: int) -> dict | None:
    """A photometric posterior beside the exact one, where there is one for these galaxies.

    Arguments:
        method: after `fit`, with a density.
        test: the test galaxies.
        n_draws: of each posterior, which a classifier is to tell apart.

    Returns:
        `gap`, by how much the exact log-density at the labels is higher [nat], its
        `standard_error` and number of galaxies; and `c2st`, the mean accuracy of a classifier that
        tells draws of the two apart. `None` without a galaxy whose exact posterior is stored.
    """
    paths = [published_folder() / f"exact_{name}.parquet" for name in ("posteriors", "draws")]
    if not all(path.exists() for path in paths):
        return None
    table, draws = (pd.read_parquet(path) for path in paths)
    labels = pd.DataFrame(test.properties, index=test.object_id)
    table = table[table["object_id"].isin(labels.index)].reset_index(drop=True)
    same = np.isclose(
        table[[f"{name}_label" for name in PROPERTY_NAMES]],
        labels.loc[table["object_id"]],
        atol=1e-4,
    ).all(axis=1)
    table = table[same]
    if len(table) < 2:
        return None
    place = pd.Index(test.object_id)
    galaxies = test.select(place.get_indexer(table["object_id"]))
    gap = table["exact_unsmoothed"].to_numpy() - method.log_prob(galaxies.properties, galaxies)
    accuracies = []
    for name, of in draws[draws["posterior"] == "exact"].groupby("object_id"):
        if name in set(table["object_id"]):
            galaxy = test.select(place.get_indexer([name]))
            ours = method.sample(galaxy, min(n_draws, len(of)))[0]
            theirs = of[list(PROPERTY_NAMES)].to_numpy()[: len(ours)]
            accuracies.append(classifier_accuracy(ours, theirs))
    return {
        "gap": float(gap.mean()),
        "standard_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
        "n_galaxies": len(gap),
        "c2st": float(np.mean(accuracies)) if accuracies else None,
        "n_c2st": len(accuracies),
    }
