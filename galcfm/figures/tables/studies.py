"""Tables of other methods."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import METRICS, SYMBOLS, with_error

__all__ = [
    "method_exact",
    "method_metrics",
    "method_notes",
    "method_properties",
    "method_verdicts",
    "methods",
]


def methods(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What each method gains in mean log-density over this paper's models [nat], and its cost.

    Arguments:
        rows: of `methods.json`.
    """
    table = {}
    for row in rows.values():
        numbers = list(row["seeds"].values())
        gains = {
            other: with_error(over["gain"], over["standard_error"], 3, "+")
            for other, over in row["over"].items()
        }
        fewer = [of["gain_of_fewer"] for of in numbers if "gain_of_fewer" in of]
        if fewer:
            gain = with_error(fewer[0]["gain"], fewer[0]["standard_error"], 3, "+")
            told = ", told redshift and errors" * row["row"]["beside"].endswith("told")
            gains["photometry"] = f"{gain} (four properties{told})"
        mean = {
            key: float(np.mean([of[key] for of in numbers]))
            for key in ("seconds_a_galaxy", "n_parameters")
        }
        table[row["row"]["label"]] = {
            "from": row["row"]["source"],
            **{
                f"{symbol} [nat]": f"{np.mean([of[metric]['mean'] for of in numbers]):.2f}"
                if metric in numbers[0]
                else ""
                for metric, symbol in METRICS.items()
            },
            "over photometry": gains.get("photometry", ""),
            "over photometry and picture": gains.get("image", ""),
            "tries": len(row["tries"]),
            "trainings": len(numbers),
            "parameters": f"{mean['n_parameters']:,.0f}",
            "training [min]": round(np.mean([of["training"]["seconds"] for of in numbers]) / 60, 1),
            "1,000 draws [s]": f"{mean['seconds_a_galaxy']:.2g}",
            "galaxies": numbers[0]["n_test"],
        }
    return pd.DataFrame.from_dict(table, orient="index")


def method_metrics(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Every metric of every property by every method, tidy: one number a row.

    Arguments:
        rows: of `methods.json`.

    Returns:
        `method`, `property`, `metric` of `studies.judging.judge`, its mean `value` over
        `trainings`, and their number.
    """
    found = []
    for row in rows.values():
        of_seeds = [of["properties"] for of in row["seeds"].values()]
        for name in (p for p in SYMBOLS if p in of_seeds[0]):
            values = pd.DataFrame([of[name] for of in of_seeds]).mean()
            numbers = values.rename_axis("metric").reset_index(name="value")
            found.append(
                numbers.assign(method=row["row"]["label"], property=name, trainings=len(of_seeds))
            )
    columns = ["method", "property", "metric", "value", "trainings"]
    return pd.concat(found, ignore_index=True)[columns]


def method_properties(rows: Mapping[str, Mapping], metric: str, digits: int = 3) -> pd.DataFrame:
    """One metric of each property, a row a method, in the mean of its trainings.

    Arguments:
        rows: of `methods.json`.
        metric: of `studies.judging.judge`, e.g. `"rmse"`.
        digits: after the point.
    """
    numbers = method_metrics(rows).query("metric == @metric")
    table = numbers.pivot(index="method", columns="property", values="value")
    table = table.reindex([row["row"]["label"] for row in rows.values()])[[*SYMBOLS]]
    table = table.map(lambda value: "" if np.isnan(value) else f"{value:.{digits}f}")
    return table.rename(columns=SYMBOLS).rename_axis(index=None, columns=None)


def method_exact(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Photometric methods beside the exact posterior: what they lack [nat], and how alike they are.

    Arguments:
        rows: of `methods.json`; those without the comparison are left out.
    """
    table = {}
    for row in rows.values():
        found = [of["against_exact"] for of in row["seeds"].values() if of.get("against_exact")]
        if found:
            error = np.mean([of["standard_error"] for of in found])
            accuracy = [of["c2st"] for of in found if of["c2st"] is not None]
            table[row["row"]["label"]] = {
                "exact less method": with_error(
                    np.mean([of["gap"] for of in found]), error, 3, "+"
                ),
                "galaxies": found[0]["n_galaxies"],
                "told apart": f"{np.mean(accuracy):.1%}" if accuracy else "",
            }
    return pd.DataFrame.from_dict(table, orient="index")


def method_notes(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What each method simplifies against the paper that it is from.

    Arguments:
        rows: of `methods.json`.
    """
    notes = {row["row"]["label"]: row["row"]["note"] for row in rows.values() if row["row"]["note"]}
    return pd.DataFrame.from_dict(notes, orient="index", columns=["what is simplified"])


def method_verdicts(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Each method beside this paper's model that sees the same [nat], those ahead at the top.

    Arguments:
        rows: of `methods.json`; those of this paper's own recipe are left out.

    Returns:
        What a method gains, and `ahead` or `behind` where that is more than two standard errors.
    """
    found = {}
    for row in rows.values():
        other = row["row"]["beside"]
        over = row["over"].get(other) or next(iter(row["seeds"].values())).get("gain_of_fewer")
        if over is None or row["row"]["method"] == "FlowMatching":
            continue
        gain, error = over["gain"], over["standard_error"]
        found[row["row"]["label"]] = {
            "beside": rows[other]["row"]["label"],
            "gain [nat]": with_error(gain, error, 3, "+"),
            "": "equal" if abs(gain) < 2 * error else ("ahead" if gain > 0 else "behind"),
            "sort": -gain,
        }
    return pd.DataFrame.from_dict(found, orient="index").sort_values("sort").drop(columns="sort")
