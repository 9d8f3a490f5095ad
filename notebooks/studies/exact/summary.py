"""The numbers of the chapter on exact posteriors, from the table of all galaxies."""

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde

from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.labels import error_log_density
from galcfm.simulate.relations import LABEL_ERRORS

MODELS = ("book", "many")
BRUTE_FORCE = 50  # effective galaxies of the prior that a comparison with them takes


def _mean(values) -> dict[str, float]:
    """Return the mean over galaxies with its standard error by bootstrap."""
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(2000, len(values)))].mean(axis=1)
    return {"mean": float(values.mean()), "standard_error": float(means.std(ddof=1))}


def summarise(table: pd.DataFrame, labels: np.ndarray) -> dict:
    """Return gaps, widths, information and checks of the sampler.

    Arguments:
        table: One row per galaxy, from `compare`.
        labels: Measured properties of the survey's training split, shape `(n, 5)`, from which the
            prior's densities and spreads come.

    Returns:
        Means in nat with standard errors by bootstrap over galaxies.
    """
    exact, runs = table["exact"], table.filter(regex="^exact_run_")
    effective = table.filter(regex="^effective_")
    # The logarithm of a mean is too low by an amount that falls as one over the number of
    # particles; runs share no ancestors with each other.
    halving = exact - runs.mean(axis=1)
    extrapolated = exact + halving / (runs.shape[1] - 1)
    between = runs["exact_run_0"] - runs["exact_run_1"]
    result = {
        "n_galaxies": len(table),
        "log_density": {name: _mean(table[name]) for name in ("exact", *MODELS)},
        "gap": {name: _mean(exact - table[name]) for name in MODELS},
        "extrapolated_gap": {name: _mean(extrapolated - table[name]) for name in MODELS},
        "finite_data": _mean(table["many"] - table["book"]),
        "smoothing": _mean(table["exact_unsmoothed"] - exact),
        "c2st": {name: _mean(table[f"c2st_{name}"]) for name in (*MODELS, "exact")},
        "sampler": {
            "effective_size": float(effective.mean(axis=1).median()),
            "smallest_effective_size": float(effective.min().min()),
            "halving": _mean(halving),
            "between_runs": _mean(between),
            "scatter_between_runs": float(between.std()),
            "brute_force": _brute_force(table[table["brute_effective"] >= BRUTE_FORCE]),
        },
        "properties": {},
    }
    for j, name in enumerate(PROPERTY_NAMES):
        at, truth = table[f"{name}_label"], table[f"{name}_true"]
        prior = gaussian_kde(labels[:, j]).logpdf(at)
        variance = labels[:, j].var() - LABEL_ERRORS[name] ** 2
        result["properties"][name] = {
            "information": {
                source: _mean(table[f"{name}_{source}"] - prior) for source in ("exact", *MODELS)
            }
            | {"known": _mean(error_log_density(name, at - truth) - prior)},
            "prior_std": float(np.sqrt(variance)),
            "posterior_std": float(np.sqrt((table[f"{name}_std"] ** 2).mean())),
            "scatter_of_truth": float(
                np.sqrt((((truth - table[f"{name}_mean"]) / table[f"{name}_std"]) ** 2).mean())
            ),
            "explained": _mean(1 - table[f"{name}_std"] ** 2 / variance),
            "width_ratio": {
                model: _mean(table[f"{name}_width_{model}"] / table[f"{name}_width_exact"])
                for model in MODELS
            },
        }
    return result


def _brute_force(table: pd.DataFrame) -> dict:
    """Return how importance sampling from the prior agrees with the exact posterior."""
    if table.empty:
        return {"n_galaxies": 0}
    particles = table.filter(regex="^effective_").sum(axis=1)
    z = [
        (table[f"{name}_brute"] - table[f"{name}_mean"])
        / (table[f"{name}_std"] * np.sqrt(1 / table["brute_effective"] + 1 / particles))
        for name in PROPERTY_NAMES
    ]
    return {
        "n_galaxies": len(table),
        "effective_size": float(table["brute_effective"].median()),
        "z_mean": float(np.mean(z)),
        "z_std": float(np.std(z)),
        "log_density": _mean(table["brute"] - table["exact"]),
    }
