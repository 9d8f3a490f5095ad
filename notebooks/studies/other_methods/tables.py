"""The tables of the study, one function per table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import METRICS, SYMBOLS, with_error
from studies.figures import mean_over_seeds
from studies.other_methods.rows import ROWS


def gain_beside(row: Mapping, other: str) -> Mapping | None:
    """Return `gain` and `standard_error` [nat] of a row over a row of this paper.

    Arguments:
        row: Row of `methods.json`; one of fewer properties is compared with the model that sees
            the same, whatever is asked for.
        other: Name of the row of this paper.

    Returns:
        None where it is not known, as the other row was not made.
    """
    if row["row"]["label"] == ROWS[other].label:
        return {"gain": 0.0, "standard_error": 0.0}
    return row["over"].get(other) or next(iter(row["seeds"].values())).get("gain_of_fewer")


def _in_words(gain: Mapping | None) -> str:
    return with_error(gain["gain"], gain["standard_error"], 3, "+") if gain else ""


def every_method(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return each method's gain in mean log-density over this paper's models [nat], and its cost.

    Arguments:
        rows: Rows of `methods.json`.
    """
    table = {}
    for row in rows.values():
        first = next(iter(row["seeds"].values()))
        gains = {other: _in_words(row["over"].get(other)) for other in ("photometry", "image")}
        if "gain_of_fewer" in first:
            told = ", told redshift and errors" * row["row"]["beside"].endswith("told")
            gains["photometry"] = f"{_in_words(first['gain_of_fewer'])} (four properties{told})"
        metrics = {
            f"{symbol} [nat]": f"{mean_over_seeds(row, key, 'mean'):.2f}" if key in first else ""
            for key, symbol in METRICS.items()
        }
        table[row["row"]["label"]] = {
            "from": row["row"]["source"],
            **metrics,
            "over photometry": gains["photometry"],
            "over photometry and picture": gains["image"],
            "tries": len(row["tries"]),
            "trainings": len(row["seeds"]),
            "parameters": f"{mean_over_seeds(row, 'n_parameters'):,.0f}",
            "training [min]": round(mean_over_seeds(row, "training", "seconds") / 60, 1),
            "1,000 draws [s]": f"{mean_over_seeds(row, 'seconds_a_galaxy'):.2g}",
            "galaxies": first["n_test"],
        }
    return pd.DataFrame.from_dict(table, orient="index")


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
        metric: Name of the metric, e.g. `"rmse"`.
        digits: Number of digits after the point.
    """
    labels = [row["row"]["label"] for row in rows.values()]
    table = all_metrics(rows)[metric].unstack().reindex(index=labels, columns=list(SYMBOLS))
    table = table.map(lambda value: "" if np.isnan(value) else f"{value:.{digits}f}")
    return table.rename(columns=SYMBOLS)


def exact_gaps(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return what photometric methods lack to the exact posterior [nat], and how alike they are.

    Arguments:
        rows: Rows of `methods.json`; those without the comparison are left out.
    """
    table = {}
    for row in rows.values():
        found = [of["against_exact"] for of in row["seeds"].values() if of.get("against_exact")]
        if found:
            gap, error = (np.mean([of[key] for of in found]) for key in ("gap", "standard_error"))
            accuracy = [of["c2st"] for of in found if of["c2st"] is not None]
            table[row["row"]["label"]] = {
                "exact less method": with_error(gap, error, 3, "+"),
                "galaxies": found[0]["n_galaxies"],
                "told apart": f"{np.mean(accuracy):.1%}" if accuracy else "",
            }
    return pd.DataFrame.from_dict(table, orient="index")


def simplifications(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return what each method simplifies against the paper that it is from.

    Arguments:
        rows: Rows of `methods.json`.
    """
    notes = {row["row"]["label"]: row["row"]["note"] for row in rows.values() if row["row"]["note"]}
    return pd.DataFrame.from_dict(notes, orient="index", columns=["what is simplified"])


def verdicts(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return each method's gain over this paper's model that sees the same [nat], the best first.

    Arguments:
        rows: Rows of `methods.json`; those of this paper's own recipe are left out.

    Returns:
        What a method gains, and `ahead` or `behind` where that is more than two standard errors.
    """
    found = {}
    for row in rows.values():
        other = row["row"]["beside"]
        if row["row"]["method"] != "FlowMatching" and (over := gain_beside(row, other)):
            gain, error = over["gain"], over["standard_error"]
            found[row["row"]["label"]] = {
                "beside": ROWS[other].label,
                "gain [nat]": _in_words(over),
                "": "equal" if abs(gain) < 2 * error else ("ahead" if gain > 0 else "behind"),
                "sort": -gain,
            }
    best_first = dict(sorted(found.items(), key=lambda item: item[1].pop("sort")))
    return pd.DataFrame.from_dict(best_first, orient="index")


def numbers_in_text(rows: Mapping[str, Mapping]) -> dict[str, float]:
    """Return the numbers that the chapter's text quotes, by the names under which it does.

    Arguments:
        rows: Rows of `methods.json`.
    """
    found = {}
    for name, row in rows.items():
        first = next(iter(row["seeds"].values()))
        gains = {name if k == "image" else f"{name}_{k}": over for k, over in row["over"].items()}
        if "gain_of_fewer" in first:
            gains = {name: first["gain_of_fewer"]}
        for stem, over in gains.items():
            found |= {stem: over["gain"], f"{stem}_error": over["standard_error"]}
        found[f"{name}_log_prob"] = mean_over_seeds(row, "log_prob", "mean")
        found[f"{name}_seconds"] = mean_over_seeds(row, "seconds_a_galaxy")
        if "log_prob_of_true_spectra" in first:
            found["true_spectra"] = first["log_prob_of_true_spectra"]
        if name in ("sed", "sed_free", "regression"):
            for p in first["properties"]:
                for key in ("rmse", "bias", "coverage_68", "coverage_95"):
                    found[f"{name}_{p}_{key}"] = mean_over_seeds(row, "properties", p, key)
    return {name: float(value) for name, value in found.items()}
