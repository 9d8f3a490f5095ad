"""Catalogues of simulated galaxies beside those of real ones.

The real galaxies are the bright ones of the kcorrect package, and published percentiles of the
Main Galaxy Sample of the SDSS.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.simulate import Instrument, simulate_catalogue
from studies import frame
from studies.frame import Place, Result, Study
from studies.real_galaxies import real_galaxies
from studies.realism.samples import match, two_sample_auc

__all__ = ["MAIN_GALAXY_SAMPLE", "STUDY", "Plan", "bright_galaxies", "find", "make"]

STUDY = Study("realism", "09_is_the_survey_real")
# Percentiles of 657,057 galaxies of the Main Galaxy Sample in the MPA-JHU catalogue of data release
# 8, rounded, at 10, 25, 50, 75 and 90 %, as the galaxy-manifold project lists them on GitHub; the
# abundances are those of its 147,799 star-forming galaxies.
PERCENTILES = ("10", "25", "50", "75", "90")
MAIN_GALAXY_SAMPLE = {
    column: dict(zip(PERCENTILES, values, strict=True))
    for column, values in {
        "log_stellar_mass": (9.752, 10.281, 10.702, 11.026, 11.272),
        "log_sfr": (-1.442, -1.130, -0.511, 0.192, 0.580),
        "oxygen_abundance": (8.589, 8.777, 8.950, 9.052, 9.110),
        "dn4000": (1.236, 1.354, 1.634, 1.863, 1.952),
        "a_v": (0.057, 0.229, 0.484, 0.885, 1.329),
        "redshift": (0.042, 0.068, 0.100, 0.139, 0.178),
    }.items()
}
COLOURS = ("u−g", "g−r", "r−i", "i−z")
BRIGHT = (15.0, 16.3)  # r: there the 2MASS match of the real galaxies is complete
REDSHIFTS = (0.02, 0.2)
SPLIT_SEED = 11


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Simulated galaxies that are compared.

    Arguments:
        n_bright: Number of galaxies to r = 16.3, for colours, errors and redshifts.
        n_parent: Number of galaxies to the survey's limit, for percentiles and explanations.
        seed: Seed of the bright galaxies; the others have the next one.
    """

    n_bright: int = 12_000
    n_parent: int = 20_000
    seed: int = 21


def find(results: str, run: Path, plan: Plan) -> Result:
    """Return the published comparison, or make one: see `Study.find`."""
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place))


def make(plan: Plan, place: Place) -> None:
    """Compare simulated catalogues with real ones, unless the result is there."""
    key = STUDY.key(plan.settings)
    if STUDY.stored(place.folder, key):
        return
    instrument = Instrument(magnitude_limit=BRIGHT[1])
    bright = simulate_catalogue(
        plan.n_bright, plan.seed, population="parent", instrument=instrument
    )
    parent, whole, unseen = (
        simulate_catalogue(plan.n_parent, plan.seed + 1, population="parent", without=without)
        for without in ((), ("fibre",), ("lines",))
    )
    result = {
        "catalogues": compare_catalogues(bright_galaxies(), bright[bright["mag_r"] > BRIGHT[0]]),
        "percentiles": compare_percentiles(parent),
        "explanations": try_explanations(parent, whole, unseen),
    }
    STUDY.store(place.folder, result, key)


def colours(magnitudes: np.ndarray) -> np.ndarray:
    """Return u−g, g−r, r−i, i−z of ugriz magnitudes `(n, 5)`, `(n, 4)`."""
    return -np.diff(np.asarray(magnitudes), axis=1)


def percentile_offsets(values, published: dict[str, float]) -> pd.DataFrame:
    """Return percentiles of a simulated column beside published ones.

    Arguments:
        values: Simulated column, `(n,)`; NaN is left out.
        published: Value by percentile, e.g. `{"10": 9.75, …}`, with at least 10 and 90.

    Returns:
        One row per percentile: `real`, `simulated`, and `offset`, their difference in real
        standard deviations, which are (P90 − P10) / 2.563.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    table = pd.DataFrame({"real": published}).rename_axis("percentile")
    table["simulated"] = [np.percentile(values, float(p)) for p in table.index]
    deviation = (published["90"] - published["10"]) / 2.563
    table["offset"] = (table["simulated"] - table["real"]) / deviation
    return table


def bright_galaxies() -> pd.DataFrame:
    """Return the bright ones of `real_galaxies`: `mag_*`, `magerr_*` and `redshift`.

    Model magnitudes on the AB system, corrected for Galactic extinction, 15 < r < 16.3 and
    0.02 < z < 0.2.
    """
    table = real_galaxies()
    flux, errors, extinction = (
        table[[f"{what}_{band}" for band in BANDS]].to_numpy()
        for what in ("flux", "error", "extinction")
    )
    good = (flux > 0).all(axis=1) & np.isfinite(errors).all(axis=1)
    flux, errors, extinction = flux[good], errors[good], extinction[good]
    bright = pd.DataFrame(22.5 - 2.5 * np.log10(flux) - extinction, columns=list(MAGNITUDES))
    bright[list(MAGNITUDE_ERRORS)] = 2.5 / np.log(10) * errors / flux
    bright["redshift"] = table["redshift"][good].to_numpy()
    kept = bright["mag_r"].between(*BRIGHT) & bright["redshift"].between(*REDSHIFTS)
    return bright[kept].reset_index(drop=True)


def compare_catalogues(real: pd.DataFrame, simulated: pd.DataFrame) -> dict:
    """Compare colours, errors and redshifts of two samples, matched in r and redshift.

    The real galaxies are split at random. The zero points of the simulation were fitted to the
    first half, and colours are compared on the second; zero points fitted again to the first half
    are tested on the second too.

    Arguments:
        real: `mag_*`, `magerr_*` and `redshift` of real galaxies.
        simulated: The same columns of simulated galaxies.
    """
    first = np.random.default_rng(SPLIT_SEED).uniform(size=len(real)) < 0.5
    matched_by = ["mag_r", "redshift"]
    halves = {}
    for name, rows in (("fitted", first), ("judged", ~first)):
        half = real[rows]
        a, b = match(
            half[matched_by].to_numpy(), simulated[matched_by].to_numpy(), (4, 8), SPLIT_SEED
        )
        halves[name] = half.iloc[a], simulated.iloc[b]
    colour = {
        name: [colours(table[list(MAGNITUDES)].to_numpy()) for table in pair]
        for name, pair in halves.items()
    }
    medians = [np.median(values, axis=0) for values in colour["fitted"]]
    zero_points = medians[0] - medians[1]
    colour["judged, zero points fitted anew"] = (
        colour["judged"][0], colour["judged"][1] + zero_points
    )  # fmt: skip
    errors = {}
    for band, column in zip(BANDS, MAGNITUDE_ERRORS, strict=True):
        of_real, of_simulated = (float(table[column].median()) for table in halves["judged"])
        ratio = of_simulated / of_real
        errors[band] = {"real": of_real, "simulated": of_simulated, "ratio": ratio}
    return {
        "colour_auc": {name: two_sample_auc(*pair) for name, pair in colour.items()},
        "zero_points": dict(zip(COLOURS, zero_points.tolist(), strict=True)),
        "colours": {
            kind: {
                name: np.percentile(values[:, k], [5, 16, 50, 84, 95]).round(4).tolist()
                for k, name in enumerate(COLOURS)
            }
            for kind, values in zip(("real", "simulated"), colour["judged"], strict=True)
        },
        "magnitude_errors": errors,
        "redshift": {
            kind: np.percentile(table["redshift"], [10, 25, 50, 75, 90]).round(4).tolist()
            for kind, table in (("real", real), ("simulated", simulated))
        },
    }


def compare_percentiles(parent: pd.DataFrame) -> dict:
    """Compare percentiles of a simulated parent catalogue with those of `MAIN_GALAXY_SAMPLE`."""
    return {
        column: percentile_offsets(parent[column], published).round(4).to_dict("index")
        for column, published in MAIN_GALAXY_SAMPLE.items()
    }


def try_explanations(parent: pd.DataFrame, whole: pd.DataFrame, unseen: pd.DataFrame) -> dict:
    """Return how possible reasons change the offsets of the percentiles, one reason at a time.

    Arguments:
        parent: Simulated parent catalogue.
        whole: The same catalogue with properties of whole galaxies instead of those in the fibre.
        unseen: The same catalogue with O/H also of galaxies whose lines are too faint.

    Returns:
        Offsets in real standard deviations by column, reason and percentile.
    """
    deviates = np.random.default_rng(0).normal(size=len(parent))
    a_v = parent["a_v_true"].to_numpy()
    columns = {
        "a_v": {
            "as it is": parent["a_v"],
            "errors of 0.4 mag": a_v + 0.4 * deviates,
            "stars behind the dust of the gas": 2 * a_v + 0.2 * deviates,
            "both": 2 * a_v + 0.4 * deviates,
            "of the whole galaxy": whole["a_v"],
            "of the emission lines": parent["a_v_balmer"],
        },
        "oxygen_abundance": {
            "as it is": parent["oxygen_abundance"],
            "of the whole galaxy": whole["oxygen_abundance"],
            "whatever lines are seen": unseen["oxygen_abundance"],
        },
        "dn4000": {"as it is": parent["dn4000"], "of the whole galaxy": whole["dn4000"]},
    }
    return {
        column: {
            reason: percentile_offsets(values, MAIN_GALAXY_SAMPLE[column])["offset"]
            .round(3)
            .to_dict()
            for reason, values in reasons.items()
        }
        for column, reasons in columns.items()
    }
