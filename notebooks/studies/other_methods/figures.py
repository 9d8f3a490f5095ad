"""The figures of the study."""

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from galcfm.figures.style import COLOURS, LABELS, OTHER, limits, new_figure, styled
from galcfm.properties import PROPERTIES
from studies.figures import mean_over_seeds
from studies.other_methods.tables import all_metrics, gain_beside

# What a method sees, by the model of this paper that sees the same: words and colour.
SEES = {
    "photometry": ("photometry", COLOURS["photometry"]),
    "photometry_told": ("photometry, its errors and redshift", "#009E73"),
    "image": ("the picture", COLOURS["image"]),
}


def _legend(figure: Figure, rows: Iterable[Mapping], **options) -> None:
    """Name the colours of what the shown methods see."""
    seen = {row["row"]["beside"] for row in rows}
    lines = [
        Line2D([], [], color=colour, lw=2, label=label)
        for name, (label, colour) in SEES.items()
        if name in seen
    ]
    figure.legend(handles=lines, **options)


def _colour(row: Mapping) -> str:
    return SEES[row["row"]["beside"]][1]


def _labels(rows: Mapping[str, Mapping]) -> list[str]:
    return [row["row"]["label"] for row in rows.values()]


@styled
def costs(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """Draw what each method gains over this paper's photometry model, and the time of its draws.

    Arguments:
        rows: Rows of `methods.json`. The best stands at the top; methods of fewer properties are
            compared with the model that sees the same. Methods that were made without the
            photometry model are left out.
        source: What the galaxies are, for the corner of the figure.
    """
    gains = {name: gain_beside(row, "photometry") for name, row in rows.items()}
    gains = {name: gain for name, gain in gains.items() if gain}
    by_gain = {name: rows[name] for name in sorted(gains, key=lambda name: -gains[name]["gain"])}
    figure = new_figure(8.4, 1.7 + 0.27 * len(by_gain), source)
    axes_gain, axes_seconds = figure.subplots(1, 2, sharey=True)
    for place, (name, row) in enumerate(by_gain.items()):
        of, mark = gains[name], {"fmt": "o", "ms": 5, "color": _colour(row)}
        axes_gain.errorbar(of["gain"], -place, xerr=2 * of["standard_error"], **mark)
        axes_seconds.errorbar(mean_over_seeds(row, "seconds_a_galaxy"), -place, **mark)
    axes_gain.axvline(0, color=COLOURS["line"], lw=1)
    axes_gain.set_yticks(-np.arange(len(by_gain)), _labels(by_gain))
    axes_gain.set(xlabel="gain over photometry [nat]")
    axes_seconds.set(xscale="log", xlabel="1,000 draws of a galaxy [s]")
    for axes in (axes_gain, axes_seconds):
        axes.grid(alpha=0.25)
    _legend(figure, rows.values(), loc="outside lower center", ncols=3)
    return figure


@styled
def coverage(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """Draw the share of labels within the 68 and 95 % intervals of each method, by property.

    Arguments:
        rows: Rows of `methods.json`; shares are means over trainings.
        source: What the galaxies are, for the corner of the figure.
    """
    figure = new_figure(7.5, 1.6 + 0.32 * len(rows), source)
    numbers = all_metrics(rows)
    for axes, level in zip(figure.subplots(1, 2, sharey=True), (0.68, 0.95), strict=True):
        shares = numbers[f"coverage_{round(100 * level)}"].unstack().reindex(_labels(rows))
        for k, (p, look) in enumerate(zip(PROPERTIES, OTHER, strict=False)):
            y = 0.1 * (2 - k) - np.arange(len(rows))
            style = {"marker": look.marker, "color": look.colour, "label": f"${p.symbol}$"}
            axes.plot(shares.get(p.name, np.nan * y), y, ls="", ms=4, **style)
        axes.axvline(level, color=COLOURS["line"], lw=1)
        axes.set(xlabel=f"share within {level:.0%}".replace("%", " %"))
        axes.grid(axis="x", alpha=0.25)
    axes.set_yticks(-np.arange(len(rows)), _labels(rows))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(PROPERTIES))
    return figure


@styled
def intervals(
    draws: pd.DataFrame, rows: Mapping[str, Mapping], truth: pd.DataFrame, *, source: str
) -> Figure:
    """Draw medians, 68 and 95 % intervals of single galaxies by each method.

    Arguments:
        draws: Columns `row`, `object_id` and the properties, of the galaxies to show.
        rows: Rows of `methods.json`, in the order to show them.
        truth: Measured properties, by `object_id`.
        source: What the galaxies are, for the corner of the figure.
    """
    galaxies = list(dict.fromkeys(draws["object_id"]))
    figure = new_figure(10, 1.1 + len(galaxies) * (0.5 + 0.17 * len(rows)), source)
    grid = figure.subplots(len(galaxies), len(PROPERTIES), sharex="col", sharey=True, squeeze=False)
    places, colours = -np.arange(len(rows)), [_colour(row) for row in rows.values()]
    quantiles = draws.groupby(["object_id", "row"])[[p.name for p in PROPERTIES]].quantile(
        [0.025, 0.16, 0.5, 0.84, 0.975]
    )
    for axes_row, galaxy in zip(grid, galaxies, strict=True):
        for axes, p in zip(axes_row, PROPERTIES, strict=True):
            of = quantiles.loc[galaxy, p.name].unstack().reindex(list(rows))
            axes.hlines(places, of[0.025], of[0.975], colours, lw=1)
            axes.hlines(places, of[0.16], of[0.84], colours, lw=3)
            axes.scatter(of[0.5], places, s=16, c=colours, ec="white", lw=0.6, zorder=3)
            axes.axvline(truth.loc[galaxy, p.name], color=COLOURS["line"], lw=1, ls="--")
            axes.grid(axis="x", alpha=0.25)
        axes_row[0].set_yticks(places, _labels(rows))
    for axes, p in zip(grid[-1], PROPERTIES, strict=True):
        axes.set_xlabel(LABELS[p.name])
        axes.xaxis.set_major_locator(MaxNLocator(3))
    _legend(figure, rows.values(), loc="outside lower center", ncols=3)
    return figure


@styled
def corner(
    draws: pd.DataFrame, rows: Mapping[str, Mapping], truth: pd.DataFrame, *, source: str
) -> Figure:
    """Draw posteriors of the first galaxy by all methods: each line holds 68 % of one's draws.

    Arguments:
        draws, rows, truth, source: As `intervals` takes them.
    """
    names, at = list(LABELS), truth.iloc[0]
    draws = draws[draws["object_id"] == at.name]
    figure = new_figure(8.6, 8.6, source)
    grid = figure.subplots(len(names), len(names))
    reach = {x: limits(draws[x].dropna(), [at[x]], inside=99) for x in names}
    look = {
        "data": draws[draws["row"].isin(rows)].reset_index(),
        "hue": "row",
        "palette": {name: _colour(row) for name, row in rows.items()},
        "legend": False,
        "common_norm": False,
    }
    steps = {"element": "step", "fill": False, "stat": "probability", "linewidth": 0.8}
    mass = {"levels": [0.32], "gridsize": 40, "linewidths": 0.8}
    for i, j in product(range(len(names)), repeat=2):
        axes, x, y = grid[i, j], names[j], names[i]
        if j > i:
            axes.set_axis_off()
            continue
        axes.set_xlim(reach[x])
        if j < i:
            axes.set_ylim(reach[y])
        if i == j:
            sns.histplot(x=x, ax=axes, bins=18, binrange=reach[x], **look, **steps)
        else:
            sns.kdeplot(x=x, y=y, ax=axes, **look, **mass)
        axes.axvline(at[x], color=COLOURS["line"], lw=1, ls="--")
        if j < i:
            axes.axhline(at[y], color=COLOURS["line"], lw=1, ls="--")
        axes.tick_params(labelleft=j == 0 and i > 0, labelbottom=i == len(names) - 1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel(LABELS[x] if i == len(names) - 1 else "")
        axes.set_ylabel(LABELS[y] if j == 0 and i > 0 else "")
    _legend(figure, rows.values(), loc="upper right", bbox_to_anchor=(0.99, 0.95))
    return figure
