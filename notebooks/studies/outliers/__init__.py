"""Galaxies whose measured properties are less likely under the posterior than under the prior."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import sem

from galcfm.metrics import LogDensities
from galcfm.properties import PROPERTY_NAMES
from galcfm.stored_posteriors import samples_array
from galcfm.survey import Survey


def shares_below_zero(densities: LogDensities) -> dict:
    r"""Return the share of galaxies, and of draws, that are less dense than under the prior.

    Under a calibrated posterior measured values are like its own draws, and some draws lie where
    the prior is denser: the share of draws is the share of galaxies to expect.

    Arguments:
        densities: Exact log-densities of one model; some galaxies may have none at draws.

    Returns:
        `observed` and `expected` [%], and the `standard_error` of the first (over galaxies).
    """
    observed = 100 * (densities.posterior_truth < densities.prior_truth)
    expected = 100 * (densities.posterior_samples < densities.prior_samples).mean()
    return {"observed": observed.mean(), "standard_error": sem(observed), "expected": expected}


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


def judge_again(
    galaxy: Survey, training: Survey, folders: Mapping[str, Path], n_draws: int = 1000
) -> dict[str, dict]:
    """Return what models say about one simulated galaxy.

    Arguments:
        galaxy: A survey of one galaxy.
        training: Galaxies that tell which magnitudes the drawn properties imply.
        folders: Folder of each model by its name.
        n_draws: Number of draws per model, at least 100.

    Returns:
        By model the `draws`, shape `(n_draws, 5)`; the log-density at the `measured` and at the
        `true` values [nat]; `range_p`, the share of held-out galaxies whose photometry lies at
        least as far out; and `replicated_p`, the share of replicated magnitudes that lie at least
        as far out as the observed ones.
    """
    from galcfm.flow import FAST_STEPS
    from galcfm.posterior import Posterior
    from galcfm.posterior.replicated import MagnitudeModel, check_photometry
    from galcfm.posterior.training_range import out_of_range_from

    true = galaxy.catalogue[[f"{p}_true" for p in PROPERTY_NAMES]].to_numpy(dtype=float)
    magnitudes, found = MagnitudeModel.fit(training), {}
    for name, folder in folders.items():
        model = Posterior.load(folder)
        condition = model.encode_survey(galaxy, progress=False)
        posterior = model.infer(galaxy, n_samples=n_draws, steps=FAST_STEPS, progress=False)
        flags = out_of_range_from(model, condition)
        found[name] = {
            "draws": samples_array(posterior)[0],
            "measured": float(model.log_prob_from(galaxy.properties, condition, FAST_STEPS)),
            "true": float(model.log_prob_from(true, condition, FAST_STEPS)),
            "range_p": float(flags["photometry_p"].iloc[0]),
            "replicated_p": check_photometry(posterior, galaxy, magnitudes)[1]["share_farther"][0],
        }
    return found


def nearest_in_colour(galaxy: Survey, training: Survey, n: int = 20) -> np.ndarray:
    """Return the rows of the training galaxies whose four colours are most like a galaxy's.

    Arguments:
        galaxy: A survey of one galaxy.
        training: The training galaxies.
        n: Number of rows.
    """
    colours, own = (np.diff(survey.magnitudes, axis=1) for survey in (training, galaxy))
    distance = np.linalg.norm((colours - own) / colours.std(axis=0), axis=1)
    return np.argsort(distance)[:n]


def outliers_by_variant(variants: Mapping[str, dict], galaxies: pd.DataFrame) -> pd.DataFrame:
    r"""Return shares of negative Δlog p under each variant of `studies.calibration`.

    Arguments:
        variants: `recipes` of `calibration.json`.
        galaxies: Table of `calibration.parquet`.

    Returns:
        By model and label the share `below zero`, the share `expected` from draws, and their
        `difference` with its `error` (over galaxies).
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
        }
    return pd.DataFrame.from_dict(rows, orient="index")
