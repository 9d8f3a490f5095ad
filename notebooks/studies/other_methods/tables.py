"""The tables of the study, one function per table, and the numbers that its text quotes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import number, with_error
from galcfm.properties import PROPERTIES
from studies.figures import half_width, mean_over_seeds
from studies.frame import paired_gain
from studies.other_methods.rows import FITTED, ROWS


def gain_beside(row: Mapping, other: str) -> Mapping | None:
    """Return `gain` and `standard_error` [nat] of a row over one of the book's models.

    Arguments:
        row: Row of `methods.json`; one of fewer properties is always compared with the model that
            has the same inputs.
        other: Name of the row of the book's model.

    Returns:
        None where it is not known, as the other row was not made.
    """
    if row["row"]["label"] == ROWS[other].label:
        return {"gain": 0.0, "standard_error": 0.0}
    return row["over"].get(other) or next(iter(row["seeds"].values())).get("gain_of_fewer")


def interval(gain: Mapping, row: Mapping) -> float:
    """Return the half-width of the 95 % interval of a row's gain [nat] over its trainings."""
    return half_width({**gain, "seeds": row["seeds"]})


def _in_words(gain: Mapping, row: Mapping, sign: str = "") -> str:
    """Return a gain with half of its 95 % interval, which no line break separates."""
    words = with_error(gain["gain"], interval(gain, row), sign=sign)
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def verdict(row: Mapping, gain: Mapping) -> str:
    """Return `ahead`, `behind` or `equal`, or `one training` where the trainings cannot say."""
    trained = row["row"]["method"] not in FITTED
    if trained and len(row["seeds"]) == 1:
        return "one training"
    if abs(gain["gain"]) < interval(gain, row):
        return "equal"
    return "ahead" if gain["gain"] > 0 else "behind"


def every_method(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return each method's gain over the book's model with the same inputs, and its cost.

    Arguments:
        rows: Rows of `methods.json`; rows of the book's own recipe are left out.

    Returns:
        One row per method, in groups of equal inputs, the best first.
    """
    found = {}
    for row in rows.values():
        beside = row["row"]["beside"]
        if row["row"]["method"] == "FlowMatching" or not (gain := gain_beside(row, beside)):
            continue
        fewer = " (four properties)" * ("gain_of_fewer" in next(iter(row["seeds"].values())))
        found[row["row"]["label"]] = {
            "based on": row["row"]["source"],
            "compared with the": ROWS[beside].label + fewer,
            "gain [nat] ± 95 %": _in_words(gain, row, "+"),
            "verdict": verdict(row, gain),
            "trainings": len(row["seeds"]),
            "training [min]": _minutes(mean_over_seeds(row, "training", "seconds")),
            "order": (list(ROWS).index(beside), -gain["gain"]),
        }
    in_order = dict(sorted(found.items(), key=lambda item: item[1].pop("order")))
    return pd.DataFrame.from_dict(in_order, orient="index")


def _minutes(seconds: float) -> str:
    """Return a time in minutes; methods without training have none."""
    return "" if not seconds else "< 0.1" if seconds < 6 else number(seconds / 60, 1)


def all_metrics(rows: Mapping[str, Mapping]) -> pd.Series:
    """Return the mean over trainings of every metric, by metric, method and property.

    Arguments:
        rows: Rows of `methods.json`.
    """
    found = {
        (metric, row["row"]["label"], name): value
        for row in rows.values()
        for name in next(iter(row["seeds"].values()))["properties"]
        for metric, value in mean_over_seeds(row, "properties", name).items()
    }
    return pd.Series(found)


def by_property(rows: Mapping[str, Mapping], metric: str, digits: int = 3) -> pd.DataFrame:
    """Return one metric of each property, one line per method, in the mean of its trainings.

    Arguments:
        rows: Rows of `methods.json`.
        metric: Name of the metric, in the units of the property, e.g. `"rmse"`.
        digits: Number of digits after the point.
    """
    labels = [row["row"]["label"] for row in rows.values()]
    names = {p.name: p.symbol_with_unit for p in PROPERTIES}
    table = all_metrics(rows)[metric].unstack().reindex(index=labels, columns=list(names))
    table = table.map(lambda value: "" if np.isnan(value) else number(value, digits))
    return table.rename(columns=names)


def simplifications(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return what each method simplifies compared with the paper that it follows.

    Arguments:
        rows: Rows of `methods.json`.
    """
    notes = {row["row"]["label"]: row["row"]["note"] for row in rows.values() if row["row"]["note"]}
    return pd.DataFrame.from_dict(notes, orient="index", columns=["what is simplified"])


def numbers_in_text(rows: Mapping[str, Mapping], table: pd.DataFrame) -> dict[str, str]:
    """Return the numbers that the chapter's text quotes, by the names under which it does.

    Arguments:
        rows: Rows of `methods.json`.
        table: Log-densities of `methods.parquet`.

    Returns:
        For each row its gain over the image model under its own name, over another model under
        both names, over the splines that see no image under `NAME_added`; times, errors, biases
        and coverage.
    """
    found = {}
    for name, row in rows.items():
        first = next(iter(row["seeds"].values()))
        gains = {name if k == "image" else f"{name}_{k}": over for k, over in row["over"].items()}
        if "gain_of_fewer" in first:
            gains = {name: first["gain_of_fewer"]}
        if row["row"]["beside"] == "image" and (added := paired_gain(table, name, "npe")):
            gains[f"{name}_added"] = added
        found |= {stem: _in_words(over, row) for stem, over in gains.items()}
        found[f"{name}_seconds"] = number(mean_over_seeds(row, "seconds_a_galaxy"), 0)
        found |= {f"{name}_gap": _gap(row)} if "against_exact" in first else {}
        for p in first["properties"]:
            of = mean_over_seeds(row, "properties", p)
            found[f"{name}_{p}_rmse"] = number(of["rmse"], 3)
            found[f"{name}_{p}_bias"] = number(of["bias"], sign="+")
            found[f"{name}_{p}_held"] = f"{of['coverage_95']:.0%}".replace("%", " %")
    return found | _shares(rows, table)


def _gap(row: Mapping) -> str:
    """Return what a method lacks to the exact posterior of five magnitudes [nat], in words."""
    found = [of["against_exact"] for of in row["seeds"].values() if of["against_exact"]]
    if not found:
        return "not known"
    gap, error = (np.mean([of[key] for of in found]) for key in ("gap", "standard_error"))
    return with_error(gap, error)


def _shares(rows: Mapping[str, Mapping], table: pd.DataFrame) -> dict[str, str]:
    """Return what morphology adds of what the encoder adds, and the coverage of what learns."""
    learned = {name: row for name, row in rows.items() if row["row"]["method"] not in FITTED}
    held = all_metrics(learned)["coverage_95"]
    shares = {"lowest_held": f"{held.min():.1%}", "highest_held": f"{held.max():.1%}"}
    added = [paired_gain(table, name, "npe") for name in ("morphology", "npe_image")]
    if all(added):
        shares["morphology_share"] = f"{added[0]['gain'] / added[1]['gain']:.0%}"
    return {name: share.replace("%", " %") for name, share in shares.items()}
