"""The gains and the table of the study."""

from collections.abc import Mapping

import pandas as pd

from galcfm.figures.tables.words import with_error
from studies.figures import present
from studies.what_matters.axes import AXES, POINTS

__all__ = ["gains", "table"]


def gains(points: Mapping[str, Mapping], *axes: str) -> dict[str, Mapping]:
    """Return the points of some axes by their labels, and print which were not made.

    Arguments:
        points: Points of the result by name.
        axes: Names of `AXES`.
    """
    known = [*POINTS, *(name for name in points if name not in POINTS)]
    names = [name for name in known if name.split("/")[0] in axes]
    return {point["point"]["label"]: point for point in present(points, names).values()}


def table(points: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return each point's gain over the reference [nat], by what is exchanged.

    Arguments:
        points: Points of the result by name.
    """
    rows = {}
    for name, point in points.items():
        if "gain" in point:
            axis = name.split("/")[0]
            rows[AXES.get(axis, axis), point["point"]["label"]] = {
                "over the reference": with_error(point["gain"], point["standard_error"], 3, "+"),
                "trainings": len(point["seeds"]),
                "parameters": f"{next(iter(point['seeds'].values()))['n_parameters']:,}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")
