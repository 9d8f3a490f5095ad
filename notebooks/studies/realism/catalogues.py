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
from studies.frame import Place, Result, Study, rows_of
from studies.real_galaxies import real_galaxies
from studies.realism.samples import match, two_sample_auc

STUDY = Study("realism", "12_is_the_survey_real")
MAIN_GALAXY_SAMPLE = rows_of(dict, Path(__file__).with_name("main_galaxy_sample.yaml"))
KINDS = ("real", "simulated")
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
        "percentiles": {
            column: percentile_offsets(parent[column], published).round(4).to_dict("index")
            for column, published in MAIN_GALAXY_SAMPLE.items()
        },
        "explanations": try_explanations(parent, whole, unseen),
    }
    STUDY.store(place.folder, result, key)


def percentile_offsets(values, published: dict[str, float]) -> pd.DataFrame:
    """Return percentiles of a simulated column beside published ones.

    Arguments:
        values: Simulated column, `(n,)`; NaN is left out.
        published: Value by percentile, e.g. `{"10": 9.75, …}`, with at least 10 and 90.

    Returns:
        One row per percentile: `real`, `simulated`, and `offset`, their difference in real
        standard deviations, which are (P90 − P10) / 2.563.
    """
    table = pd.DataFrame({"real": published}).rename_axis("percentile")
    table["simulated"] = np.nanpercentile(values, table.index.astype(float))
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
    flux = np.where(flux > 0, flux, np.nan)
    bright = pd.DataFrame(22.5 - 2.5 * np.log10(flux) - extinction, columns=list(MAGNITUDES))
    bright[list(MAGNITUDE_ERRORS)] = 2.5 / np.log(10) * errors / flux
    bright["redshift"] = table["redshift"]
    kept = bright["mag_r"].between(*BRIGHT) & bright["redshift"].between(*REDSHIFTS)
    return bright[kept].dropna().reset_index(drop=True)


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
    halves, colour = {}, {}
    for name, rows in (("fitted", first), ("judged", ~first)):
        half = real[rows]
        samples = (table[["mag_r", "redshift"]].to_numpy() for table in (half, simulated))
        a, b = match(*samples, (4, 8), SPLIT_SEED)
        halves[name] = half.iloc[a], simulated.iloc[b]
        colour[name] = [-np.diff(table[list(MAGNITUDES)], axis=1) for table in halves[name]]
    zero_points = np.subtract(*(np.median(values, axis=0) for values in colour["fitted"]))
    of_real, of_simulated = colour["judged"]
    colour["judged, zero points fitted anew"] = of_real, of_simulated + zero_points
    medians = (table[list(MAGNITUDE_ERRORS)].median() for table in halves["judged"])
    errors = pd.DataFrame(dict(zip(KINDS, medians, strict=True))).set_axis(list(BANDS))
    errors["ratio"] = errors["simulated"] / errors["real"]
    return {
        "colour_auc": {name: two_sample_auc(*pair) for name, pair in colour.items()},
        "zero_points": dict(zip(COLOURS, zero_points.tolist(), strict=True)),
        "colours": {
            kind: dict(zip(COLOURS, _percentiles(values, [5, 16, 50, 84, 95]), strict=True))
            for kind, values in zip(KINDS, colour["judged"], strict=True)
        },
        "magnitude_errors": errors.to_dict("index"),
        "redshift": {
            kind: _percentiles(table["redshift"], [10, 25, 50, 75, 90])
            for kind, table in zip(KINDS, (real, simulated), strict=True)
        },
    }


def _percentiles(values, percentages: list[int]) -> list:
    """Return percentiles of each column of the values, one list per column."""
    return np.percentile(values, percentages, axis=0).T.round(4).tolist()


def try_explanations(parent: pd.DataFrame, whole: pd.DataFrame, unseen: pd.DataFrame) -> dict:
    """Return how possible reasons change the offsets of the percentiles, one reason at a time.

    Arguments:
        parent: Simulated parent catalogue.
        whole: The same catalogue with properties of whole galaxies instead of those in the fibre.
        unseen: The same catalogue with O/H also of galaxies whose lines are too faint.

    Returns:
        Offsets in real standard deviations by column, reason and percentile.
    """

    def offsets(column: str, values) -> dict[str, float]:
        found = percentile_offsets(values, MAIN_GALAXY_SAMPLE[column])["offset"]
        return found.round(3).to_dict()

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
        column: {reason: offsets(column, values) for reason, values in reasons.items()}
        for column, reasons in columns.items()
    }
