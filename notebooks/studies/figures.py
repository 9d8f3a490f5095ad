"""Figures and tables that several studies share."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LIGHT, new_figure, styled

__all__ = ["made_of_rows", "mean_over_seeds", "point_gains", "present"]


def present(rows: Mapping[str, Mapping], names: Sequence[str]) -> dict[str, Mapping]:
    """Return the rows of these names that there are, and print the names of the others.

    A notebook that makes a part of its study shows this part alone.
    """
    missing = [name for name in names if name not in rows]
    if missing:
        print(f"not made: {', '.join(missing)}")
    return {name: rows[name] for name in names if name in rows}


def mean_over_seeds(row: Mapping, *path: str):
    """Return the mean over a row's trainings of a number, or of each number of a mapping.

    Arguments:
        row: Row of a stored result, with `seeds`.
        path: Names that lead from a training to the number.
    """
    found = list(row["seeds"].values())
    for name in path:
        found = [numbers[name] for numbers in found]
    if isinstance(found[0], Mapping):
        return {name: float(np.mean([of[name] for of in found])) for name in found[0]}
    return float(np.mean(found))


@styled
def point_gains(found: Mapping[str, Mapping], *, source: str) -> Figure | None:
    """Draw gains in mean log-density of variants over the reference; None if there are none.

    Arguments:
        found: `gain` and `standard_error` [nat] by label.
        source: What the galaxies are, for the corner of the figure.
    """
    if not found:
        return None
    figure = new_figure(7, 0.9 + 0.32 * len(found), source)
    axes = figure.subplots()
    for row, of in enumerate(found.values()):
        gain, error = of["gain"], of["standard_error"]
        colour = COLOURS["image"] if gain >= 0 else COLOURS["photometry"]
        axes.barh(-row, gain, color=colour, alpha=0.75, height=0.6)
        axes.errorbar(gain, -row, xerr=2 * error, color=COLOURS["truth"], capsize=3, lw=1)
    axes.axvline(0, color=LIGHT, lw=1)
    axes.set_yticks(-np.arange(len(found)), list(found))
    axes.set(xlabel="gain over the reference [nat] ± 2 standard errors")
    axes.grid(axis="x", alpha=0.25)
    return figure


def made_of_rows(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return commit, machine and time of each row's trainings.

    Arguments:
        rows: Rows by label, whose trainings have `made` and `training`.
    """
    table = {}
    for label, row in rows.items():
        seeds = list(row["seeds"].values())
        table[label] = {
            "trainings": len(seeds),
            "commits": ", ".join(dict.fromkeys(of["made"]["commit"][:7] for of in seeds)),
            "machines": ", ".join(dict.fromkeys(of["made"]["machine"] for of in seeds)),
            "training [min]": ", ".join(f"{of['training']['seconds'] / 60:.1f}" for of in seeds),
        }
    return pd.DataFrame.from_dict(table, orient="index")
