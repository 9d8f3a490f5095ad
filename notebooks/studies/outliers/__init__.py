"""Truths that are less likely under the posterior than under the prior, and degeneracies.

Pure functions of arrays, beside `galcfm.metrics`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import sem

from galcfm.metrics import LogDensities
from galcfm.properties import PROPERTY_NAMES


def shares_below_zero(densities: LogDensities) -> dict:
    r"""Return the share of truths, and of draws, that are less dense than under the prior.

    A calibrated posterior has truths that are like its own draws, and some of those lie where the
    prior is denser: the share of draws is the share of truths to expect.

    Arguments:
        densities: Exact log-densities of one model; some galaxies may have none at draws.

    Returns:
        `observed` and `expected` [%], their `standard_error` and `expected_standard_error` (over
        galaxies), and `n`, the number of truths.
    """
    observed = 100 * (densities.posterior_truth < densities.prior_truth)
    expected = 100 * (densities.posterior_samples < densities.prior_samples).mean(axis=1)
    return {
        "observed": observed.mean(),
        "standard_error": sem(observed),
        "expected": expected.mean(),
        "expected_standard_error": sem(expected),
        "n": len(observed),
    }


def label_error_size(catalogue: pd.DataFrame) -> np.ndarray:
    r"""Return how far measurement errors moved the five properties of simulated galaxies, `(n,)`.

    It is the root mean square of (measured − true)/error over the properties: 1 is typical.

    Arguments:
        catalogue: Catalogue of a simulated survey with label errors.
    """
    errors = [
        (catalogue[p] - catalogue[f"{p}_true"]) / catalogue[f"{p}_err"] for p in PROPERTY_NAMES
    ]
    return np.sqrt(np.mean(np.square(errors), axis=0))


def degeneracy(samples, scale) -> dict[str, np.ndarray]:
    r"""Return direction and length of each posterior's longest axis in a plane.

    They follow from the covariance :math:`C` of the draws, each property in units of `scale`.

    Arguments:
        samples: Draws of two properties, shape `(n, S, 2)`.
        scale: Unit of each property, for instance the spread of the population, shape `(2,)`.

    Returns:
        Each `(n,)`: `correlation`; `angle` of the longest axis against the first property
        [degrees, −90 to 90]; `length` and `width`, the square roots of the larger and smaller
        eigenvalue of :math:`C`.
    """
    centred = (samples - samples.mean(axis=1, keepdims=True)) / scale
    covariance = np.einsum("nsi,nsj->nij", centred, centred) / (samples.shape[1] - 1)
    values, vectors = np.linalg.eigh(covariance)
    x, y = vectors[:, :, 1].T
    spread = np.sqrt(covariance[:, [0, 1], [0, 1]])
    return {
        "correlation": covariance[:, 0, 1] / spread.prod(axis=1),
        "angle": np.degrees(np.arctan(y / np.where(x == 0, 1e-300, x))),
        "length": np.sqrt(values[:, 1]),
        "width": np.sqrt(values[:, 0]),
    }


def outliers_by_variant(variants: Mapping[str, dict], galaxies: pd.DataFrame) -> pd.DataFrame:
    r"""Return shares of negative Δlog p under each variant of `studies.calibration`.

    Arguments:
        variants: `recipes` of `calibration.json`.
        galaxies: Table of `calibration.parquet`.

    Returns:
        By model and label the share `below zero`, the share `expected` from draws, their
        `difference` and its `error` (over galaxies), the `lowest 0.1 %` quantile and `mean` of
        Δlog p [nat].
    """
    rows = {}
    for name, variant in variants.items():
        columns = [f"{name}/{column}" for column in ("log_prob", "log_prior", "below_prior")]
        log_prob, log_prior, expected = galaxies[columns].to_numpy(np.float64).T
        below = log_prob < log_prior
        rows[variant["model"], variant["label"]] = {
            "below zero": below.mean(),
            "expected": expected.mean(),
            "difference": (below - expected).mean(),
            "error": sem(below - expected),
            "lowest 0.1 %": np.quantile(log_prob - log_prior, 0.001),
            "mean": (log_prob - log_prior).mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
