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
    # A run is half of the particles, and the only half that shares no ancestors with the other.
    halves = table[["exact_run_0", "exact_run_1"]].mean(axis=1)
    brute = table[table["brute_effective"] >= BRUTE_FORCE]
    z = []
    for name in PROPERTY_NAMES:
        error = brute[f"{name}_std"] * np.sqrt(
            1 / brute["brute_effective"] + 1 / (brute["effective_0"] + brute["effective_1"])
        )
        z.append((brute[f"{name}_brute"] - brute[f"{name}_mean"]) / error)
    z = np.array(z)
    result = {
        "n_galaxies": len(table),
        "log_density": {name: _mean(table[name]) for name in ("exact", *MODELS)},
        "gap": {name: _mean(table["exact"] - table[name]) for name in MODELS},
        # The logarithm of a mean is too low by an amount that halves with twice the particles.
        "extrapolated_gap": {
            name: _mean(2 * table["exact"] - halves - table[name]) for name in MODELS
        },
        "finite_data": _mean(table["many"] - table["book"]),
        "smoothing": _mean(table["exact_unsmoothed"] - table["exact"]),
        "c2st": {name: _mean(table[f"c2st_{name}"]) for name in (*MODELS, "exact")},
        "sampler": {
            "effective_size": float(table[["effective_0", "effective_1"]].mean(axis=1).median()),
            "smallest_effective_size": float(table[["effective_0", "effective_1"]].min().min()),
            "halving": _mean(table["exact"] - halves),
            "between_runs": _mean(table["exact_run_0"] - table["exact_run_1"]),
            "scatter_between_runs": float((table["exact_run_0"] - table["exact_run_1"]).std()),
            "brute_force": {
                "n_galaxies": len(brute),
                "effective_size": float(brute["brute_effective"].median()) if len(brute) else None,
                "z_mean": float(z.mean()) if z.size else None,
                "z_std": float(z.std()) if z.size else None,
                "log_density": _mean(brute["brute"] - brute["exact"]) if len(brute) else None,
            },
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
