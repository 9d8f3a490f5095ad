"""What the image adds to the photometry of deeper and sharper surveys.

A survey of each of the simulator's `INSTRUMENTS` is made, and both models are trained on it as in
`studies.picture_worth`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from galcfm.figures.tables.words import SYMBOLS, with_error
from galcfm.simulate import INSTRUMENTS
from galcfm.survey import Survey
from studies.figures import mean_over_seeds
from studies.frame import Place, Result, Study, Trainings, chosen
from studies.picture_worth import Plan, Row, compare, gain_of_row

__all__ = ["STUDY", "find", "make", "survey_of", "table"]

STUDY = Study("other_instruments", "13_what_matters", parameter="results_instruments")


def survey_of(name: str, plan: Plan, progress: bool = True) -> Survey:
    """Return the survey of an instrument."""
    instrument = INSTRUMENTS[name]
    shown = plan.catalogue(instrument=instrument).catalogue
    return plan.pictures(f"instrument-{name}", shown, instrument=instrument, progress=progress)


def make(
    plan: Plan, place: Place, names: Sequence[str], seeds: Sequence[int], progress: bool = True
) -> dict:
    """Make the instruments for each seed that are missing in a place, and return the results.

    Arguments:
        plan: Sizes of the study.
        place: Where the results and the models go.
        names: Names of instruments.
        seeds: Seeds of the trainings.
        progress: Whether bars are shown.
    """

    def training(name: str, seed: int):
        survey = survey_of(name, plan, progress)
        numbers, gain = compare(Row(name), survey, plan, place.work, name, seed, progress)
        return numbers, {"instrument": asdict(INSTRUMENTS[name]), "n_test": len(gain)}, gain

    rows = {name: asdict(instrument) for name, instrument in INSTRUMENTS.items()}
    kept = Trainings(STUDY, place, plan.settings, rows, gain_of_row, group="instruments")
    return kept.make(names, seeds, training)


def find(
    results: str, run: Path, plan: Plan, names: Sequence[str] = (), seeds: Sequence[int] = (1, 2, 3)
) -> Result:
    """Return the results of the study.

    Arguments:
        results: One of `studies.frame.RESULTS`.
        run: Folder of the run.
        plan: Sizes of the study.
        names: Names of the instruments to make; none for all.
        seeds: Seeds of the trainings to make.
    """
    names = chosen(names, list(INSTRUMENTS), "instruments")
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place, names, seeds))


def table(results: Mapping) -> pd.DataFrame:
    """Return what the image adds to each instrument's photometry, and what means explain.

    Arguments:
        results: Content of the result.
    """
    rows = {}
    for name, row in results["instruments"].items():
        of = row["instrument"]
        shares = [mean_over_seeds(row, kind, "explained") for kind in ("photometry", "image")]
        rows[name] = {
            "limit in r": f"{of['magnitude_limit']:g}",
            "redshifts": "–".join(f"{z:g}" for z in of["redshift_range"]),
            "pixels": f"{of['pixel_scale']:g}″",
            "gain [nat]": with_error(row["gain"], row["standard_error"], 3, "+"),
            "trainings": len(row["seeds"]),
        } | {
            f"{symbol} explained [%]": "→".join(f"{100 * share[p]:.0f}" for share in shares)
            for p, symbol in SYMBOLS.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")
