"""Ranks of the measured values among posterior draws, and how far they may be from uniform."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from galcfm.properties import PROPERTY_NAMES

QUANTITIES = ("hpd", "tarp", *PROPERTY_NAMES)
CONFIDENCE = 0.95


def hpd_ranks(log_prob, log_prob_truth) -> np.ndarray:
    r"""Return the number of a galaxy's draws that are denser than the measured values.

    Divided by :math:`S`, it is the level of the smallest highest-density region that
    contains the measured values.

    Arguments:
        log_prob: Log-density of the draws, shape `(n, S)`.
        log_prob_truth: Log-density of the measured values, shape `(n,)`.

    Returns:
        Integers from 0 to :math:`S`, shape `(n,)`; high ones are measured values in
        the outskirts.

    >>> hpd_ranks([[-1.0, -2.0, -5.0]], [-3.0])
    array([2])
    """
    return np.sum(np.asarray(log_prob) > np.asarray(log_prob_truth)[:, None], axis=1)


def tarp_ranks(samples, truth, references) -> np.ndarray:
    r"""Return the number of a galaxy's draws that are nearer to its reference point than it is.

    Arguments:
        samples: Posterior draws, scaled so that distances mean something, shape `(n, S, d)`.
        truth: Measured properties, shape `(n, d)`.
        references: One point per galaxy, chosen without regard to its properties, shape `(n, d)`.

    Returns:
        Integers from 0 to :math:`S`, shape `(n,)`.

    >>> tarp_ranks([[[1.0], [2.0], [5.0]]], [[3.0]], [[0.0]])
    array([2])
    """
    samples, truth, references = (np.asarray(x) for x in (samples, truth, references))
    distance = np.linalg.norm(samples - references[:, None], axis=2)
    return np.sum(distance < np.linalg.norm(truth - references, axis=1)[:, None], axis=1)


def reference_points(truth, seed: int = 0) -> np.ndarray:
    """Return reference points for `tarp_ranks`: the properties of another galaxy, at random.

    Arguments:
        truth: Measured properties, shape `(n, d)`.
        seed: Seed of the order.
    """
    truth = np.asarray(truth)
    order = np.random.default_rng(seed).permutation(len(truth))
    references = np.empty_like(truth)
    # Along one cycle through all of them, so that none gets its own.
    references[order] = truth[np.roll(order, 1)]
    return references


def _levels(n_draws: int) -> np.ndarray:
    return np.arange(1, n_draws + 1) / (n_draws + 1)


def rank_shares(ranks, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the share of galaxies whose rank is at most j, beside the share when uniform.

    Arguments:
        ranks: Integers from 0 to `n_draws`, shape `(n,)`.
        n_draws: Number of draws per galaxy, :math:`S`.

    Returns:
        :math:`(j + 1) / (S + 1)` for j from 0 to :math:`S - 1`, and what was found, each of shape
        `(S,)`.

    >>> rank_shares([0, 1, 1, 2], n_draws=2)
    (array([0.33333333, 0.66666667]), array([0.25, 0.75]))
    """
    ranks = np.asarray(ranks)
    if ranks.size == 0 or ranks.min() < 0 or ranks.max() > n_draws:
        raise ValueError(
            f"ranks of {ranks.size} galaxies among {n_draws} draws: each must lie between 0 and "
            f"{n_draws}, and there must be at least one"
        )
    counts = np.bincount(ranks, minlength=n_draws + 1)[:-1]
    return _levels(n_draws), np.cumsum(counts) / len(ranks)


@cache
def band(n_galaxies: int, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares between which 95 % of calibrated models stay with *all* of their ranks.

    The simultaneous band of Säilynoja et al. (2022, Statistics and Computing 32, 32), by ArviZ.

    Arguments:
        n_galaxies: Number of galaxies.
        n_draws: Number of draws per galaxy.

    Returns:
        Lower and upper limits at the levels of `rank_shares`, each of shape `(n_draws,)`.
    """
    from arviz.stats.ecdf_utils import ecdf_confidence_band

    levels = _levels(n_draws)
    return ecdf_confidence_band(n_galaxies, levels, levels, prob=CONFIDENCE, method="optimized")


def deviations(ranks: pd.DataFrame, n_draws: int) -> pd.DataFrame:
    """Return rank shares minus uniform ones, one row per level, one column per column of `ranks`.

    Arguments:
        ranks: Integers from 0 to `n_draws`, one row per galaxy.
        n_draws: Number of draws per galaxy.
    """
    levels = _levels(n_draws)
    found = {name: rank_shares(ranks[name], n_draws)[1] - levels for name in ranks}
    return pd.DataFrame(found, levels)


def shifts_in_bins(
    ranks: pd.DataFrame, n_draws: int, covariates: pd.DataFrame, n_bins: int = 5
) -> pd.DataFrame:
    """Return the shift of the ranks of each test in bins: see `shifts`.

    Arguments:
        ranks: Integers from 0 to `n_draws`, one row per galaxy, one column per test.
        n_draws: Number of draws per galaxy.
        covariates: Columns to bin the same galaxies by, one row per galaxy.
        n_bins: Number of bins with equally many galaxies.

    Returns:
        One row per bin, by the covariate's name and the bin's number from 1, and one column per
        test [% of the range of ranks].
    """
    found = {}
    for name, values in covariates.items():
        order = np.argsort(values.to_numpy(), kind="stable")
        for k, rows in enumerate(np.array_split(order, n_bins), 1):
            found[name, k] = shifts(ranks.iloc[rows], n_draws)["shift"]
    return pd.DataFrame(found).T


def shifts(ranks: pd.DataFrame, n_draws: int) -> pd.DataFrame:
    """Return how far ranks are shifted, and how widely they scatter, one row per test.

    Arguments:
        ranks: Integers from 0 to `n_draws`, one row per galaxy, one column per test.
        n_draws: Number of draws per galaxy.

    Returns:
        `shift`, the mean rank minus that of a calibrated model, and its standard `error` [% of the
        range of ranks]: a positive one means that draws are too low, or, ordered by density, that
        regions are too narrow; and `scatter`, the variance of the ranks in units of a calibrated
        model's.
    """
    places = (ranks + 0.5) / (n_draws + 1)
    uniform = (1 - 1 / (n_draws + 1) ** 2) / 12
    shift, error = 100 * (places.mean() - 0.5), 100 * places.sem()
    return pd.DataFrame({"shift": shift, "error": error, "scatter": places.var() / uniform})


def region_shares(ranks, n_draws: int, levels=(0.68, 0.81, 0.94)) -> pd.DataFrame:
    """Return the share of galaxies inside smallest highest-density regions.

    Arguments:
        ranks: Result of `hpd_ranks`, shape `(n,)`.
        n_draws: Number of draws per galaxy.
        levels: Shares that regions should contain; the nearest ones that ranks tell are taken.

    Returns:
        One row per level: the `nominal` share, the share `found` and its standard `error` if
        calibrated [%].
    """
    expected, found = rank_shares(ranks, n_draws)
    rows = [int(np.abs(expected - level).argmin()) for level in levels]
    nominal = expected[rows]
    error = np.sqrt(nominal * (1 - nominal) / len(ranks))
    return 100 * pd.DataFrame({"nominal": nominal, "found": found[rows], "error": error})


def ranks_under(variant: str, galaxies: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks by `QUANTITIES` under a variant, one row per galaxy.

    Arguments:
        variant: Name of the variant in `calibration.json`.
        galaxies: Table of `calibration.parquet`.
    """
    return galaxies[[f"{variant}/{q}" for q in QUANTITIES]].set_axis(list(QUANTITIES), axis=1)


def covariates_under(variant: str, galaxies: pd.DataFrame) -> pd.DataFrame:
    """Return the mass that a variant infers, redshift and magnitude, one row per galaxy.

    Arguments:
        variant: Name of the variant in `calibration.json`.
        galaxies: Table of `calibration.parquet`.
    """
    mass = galaxies[f"{variant}/mass"].rename("log_stellar_mass")
    return pd.concat([mass, galaxies[["redshift", "mag_r"]]], axis=1)


def gains_of_variants(variants: Mapping[str, dict], galaxies: pd.DataFrame) -> pd.DataFrame:
    """Return what each variant gains over the run's own model, one row by model and label.

    Arguments:
        variants: `recipes` of `calibration.json`.
        galaxies: Table of `calibration.parquet`.

    Returns:
        The mean `gain` in log-density of the measured values, galaxy by galaxy, its standard
        `error` [nat], and the number of galaxies `trained on`.
    """
    rows = {}
    for name, variant in variants.items():
        gain = galaxies[f"{name}/log_prob"].astype(float) - galaxies[f"{variant['model']}/log_prob"]
        rows[variant["model"], variant["label"]] = {
            "gain": gain.mean(),
            "error": gain.sem(),
            "trained on": variant["n_train"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")
