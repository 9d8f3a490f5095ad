"""Figures of other methods beside this paper's, and of what matters in it."""

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from galcfm.figures.style import (
    BAND_COLOURS,
    COLOURS,
    LABELS,
    density,
    histogram,
    limits,
    new_figure,
    styled,
)
from galcfm.properties import PROPERTIES

__all__ = ["method_corner", "method_costs", "method_coverage", "method_intervals"]


# What a method sees, by the model of this paper that sees the same: words and colour.
SEES = {
    "photometry": ("photometry", COLOURS["photometry"]),
    "photometry_told": ("photometry, its errors and redshift", "#009E73"),
    "image": ("the picture", COLOURS["image"]),
}


def _legend(figure: Figure, seen: Iterable[str], **options) -> None:
    """Name the colours of what methods see, those that are shown."""
    seen = set(seen)
    lines = [
        Line2D([], [], color=colour, lw=2, label=label)
        for name, (label, colour) in SEES.items()
        if name in seen
    ]
    figure.legend(handles=lines, **options)


@styled
def method_costs(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """What each method gains over this paper's photometry model, beside the time of its draws.

    Arguments:
        rows: of `methods.json`. The best stands at the top; methods of fewer properties are held
            against the model that sees the same.
    """
    figure = new_figure(8.4, 1.7 + 0.27 * len(rows), source)
    axes_gain, axes_seconds = figure.subplots(1, 2, sharey=True)
    nothing = {"gain": 0.0, "standard_error": 0.0}
    gains = {
        name: row["over"].get("photometry")
        or next(iter(row["seeds"].values())).get("gain_of_fewer", nothing)
        for name, row in rows.items()
    }
    by_gain = sorted(rows, key=lambda name: -gains[name]["gain"])
    for place, name in enumerate(by_gain):
        row, of = rows[name], gains[name]
        mark = {"fmt": "o", "ms": 5, "color": SEES[row["row"]["beside"]][1]}
        axes_gain.errorbar(of["gain"], -place, xerr=2 * of["standard_error"], **mark)
        seconds = np.mean([of_seed["seconds_a_galaxy"] for of_seed in row["seeds"].values()])
        axes_seconds.errorbar(seconds, -place, **mark)
    axes_gain.axvline(0, color=COLOURS["truth"], lw=1)
    axes_gain.set_yticks(-np.arange(len(rows)), [rows[name]["row"]["label"] for name in by_gain])
    axes_gain.set(xlabel="gain over photometry [nat]")
    axes_seconds.set(xscale="log", xlabel="1,000 draws of a galaxy [s]")
    for axes in (axes_gain, axes_seconds):
        axes.grid(alpha=0.25)
    seen = (row["row"]["beside"] for row in rows.values())
    _legend(figure, seen, loc="outside lower center", ncols=3)
    return figure


@styled
def method_coverage(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """Share of labels within the 68 and 95 % intervals of each method, property by property.

    Arguments:
        rows: of `methods.json`; shares are means over trainings.
    """
    figure = new_figure(7.5, 1.6 + 0.32 * len(rows), source)
    levels = (0.68, 0.95)
    trainings = [[of["properties"] for of in row["seeds"].values()] for row in rows.values()]
    for axes, level in zip(figure.subplots(1, 2, sharey=True), levels, strict=True):
        share = f"coverage_{round(100 * level)}"
        for k, (p, colour) in enumerate(zip(PROPERTIES, BAND_COLOURS, strict=True)):
            places = [
                (np.mean([of[p.name][share] for of in seeds]), 0.1 * (2 - k) - row)
                for row, seeds in enumerate(trainings)
                if p.name in seeds[0]
            ]
            x, y = np.array(places).T if places else ([], [])
            axes.plot(x, y, "o", ms=4, color=colour, label=f"${p.symbol}$")
        axes.axvline(level, color=COLOURS["truth"], lw=1)
        axes.set(xlabel=f"share within {level:.0%}".replace("%", " %"))
        axes.grid(axis="x", alpha=0.25)
    axes.set_yticks(-np.arange(len(rows)), [row["row"]["label"] for row in rows.values()])
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(PROPERTIES))
    return figure


@styled
def method_intervals(
    draws: pd.DataFrame, labels: Mapping[str, tuple[str, str]], truth: pd.DataFrame, *, source: str
) -> Figure:
    """Medians, 68 and 95 % intervals of single galaxies by each method, a row of panels a galaxy.

    Arguments:
        draws: `row`, `object_id` and the properties, of the galaxies to show.
        labels: by row, in the order to show them, what it is called and what it sees, of `SEES`.
        truth: the measured properties, by `object_id`.
    """
    galaxies = list(dict.fromkeys(draws["object_id"]))
    figure = new_figure(10, 1.1 + len(galaxies) * (0.5 + 0.17 * len(labels)), source)
    grid = figure.subplots(len(galaxies), len(PROPERTIES), sharex="col", sharey=True, squeeze=False)
    places = -np.arange(len(labels))
    for axes_row, galaxy in zip(grid, galaxies, strict=True):
        for axes, p in zip(axes_row, PROPERTIES, strict=True):
            for place, (row, (_, sees)) in zip(places, labels.items(), strict=True):
                of = draws[(draws["row"] == row) & (draws["object_id"] == galaxy)][p.name].dropna()
                if of.empty:
                    continue
                colour = SEES[sees][1]
                low, lower, middle, upper, high = np.quantile(of, (0.025, 0.16, 0.5, 0.84, 0.975))
                axes.plot([low, high], [place, place], color=colour, lw=1)
                axes.plot([lower, upper], [place, place], color=colour, lw=3)
                axes.plot(middle, place, "o", ms=4, color=colour, mec="white", mew=0.6)
            axes.axvline(truth.loc[galaxy, p.name], color=COLOURS["truth"], lw=1, ls="--")
            axes.grid(axis="x", alpha=0.25)
        axes_row[0].set_yticks(places, [label for label, _ in labels.values()])
    for axes, p in zip(grid[-1], PROPERTIES, strict=True):
        axes.set_xlabel(LABELS[p.name])
        axes.xaxis.set_major_locator(MaxNLocator(3))
    _legend(figure, (sees for _, sees in labels.values()), loc="outside lower center", ncols=3)
    return figure


@styled
def method_corner(
    draws: pd.DataFrame,
    labels: Mapping[str, tuple[str, str]],
    truth: pd.DataFrame,
    *,
    galaxy: str,
    source: str,
) -> Figure:
    """Posteriors of one galaxy by all methods: each line holds 68 % of the draws of one.

    Arguments:
        draws, labels, truth: as `method_intervals` takes them.
        galaxy: its `object_id`.
    """
    names = list(LABELS)
    of_galaxy = draws[draws["object_id"] == galaxy]
    figure = new_figure(8.6, 8.6, source)
    grid = figure.subplots(len(names), len(names))
    reach = {
        name: limits(of_galaxy[name].dropna(), truth.loc[[galaxy], name], inside=99)
        for name in names
    }
    for i, j in product(range(len(names)), repeat=2):
        grid[i, j].set_xlim(reach[names[j]])
        if j < i:
            grid[i, j].set_ylim(reach[names[i]])
    for row, (_, sees) in labels.items():
        of = of_galaxy[of_galaxy["row"] == row]
        colour = SEES[sees][1]
        known = [name for name in names if of[name].notna().all() and len(of)]
        for i, j in product(range(len(names)), repeat=2):
            if j > i or not {names[i], names[j]} <= set(known):
                continue
            if i == j:
                bins = np.linspace(*reach[names[i]], 19)
                histogram(grid[i, i], of[names[i]], bins, colour, lw=0.8)
            else:
                options = {"filled": False, "masses": (0.68,), "line": "solid", "width": 0.8}
                density(grid[i, j], of[names[j]], of[names[i]], colour, **options)
    for i, j in product(range(len(names)), repeat=2):
        axes = grid[i, j]
        if j > i:
            axes.set_axis_off()
            continue
        axes.axvline(truth.loc[galaxy, names[j]], color=COLOURS["truth"], lw=1, ls="--")
        if j < i:
            axes.axhline(truth.loc[galaxy, names[i]], color=COLOURS["truth"], lw=1, ls="--")
        axes.tick_params(labelleft=j == 0 and i > 0, labelbottom=i == len(names) - 1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        if i == len(names) - 1:
            axes.set_xlabel(LABELS[names[j]])
        if j == 0 and i > 0:
            axes.set_ylabel(LABELS[names[i]])
    place = {"loc": "upper right", "bbox_to_anchor": (0.99, 0.95)}
    _legend(figure, (sees for _, sees in labels.values()), **place)
    return figure
