"""The figures of the study."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from galcfm.figures import style
from galcfm.figures.tables.words import number
from galcfm.properties import PROPERTIES
from studies.figures import mean_over_seeds
from studies.other_methods.rows import ROWS
from studies.other_methods.tables import gain_beside, interval

# What methods see, by the book's model with the same inputs.
SEES = {
    "photometry": ("magnitudes", style.OTHER[0]),
    "image": ("image and magnitudes", style.OTHER[1]),
    "photometry_told": ("magnitudes, errors and redshift", style.OTHER[3]),
}
# Gains [nat] that the axis shows; those below it are in the broken part.
REACH = (-0.65, 0.35)


def look_of(row: Mapping) -> style.Look:
    """Return colour and marker of a row: of the book's model, or of the inputs."""
    ours = {ROWS["photometry"].label: style.PHOTOMETRY, ROWS["image"].label: style.IMAGE}
    return ours.get(row["row"]["label"], SEES[row["row"]["beside"]][1])


def _in_groups(rows: Mapping[str, Mapping], sees: Sequence[str], over: str) -> list[tuple]:
    """Return the heading of each group, and label, gain and row of its methods, the best first."""
    lines = []
    for beside in sees:
        gains = [
            (gain_beside(row, over), row)
            for row in rows.values()
            if row["row"]["beside"] == beside and gain_beside(row, over)
        ]
        gains.sort(key=lambda found: -found[0]["gain"])
        if gains:
            lines.append((SEES[beside][0], None, None))
            lines += [(row["row"]["label"], gain, row) for gain, row in gains]
    return lines


def _draw_gains(broken: Axes, axes: Axes, lines: Sequence[tuple], over: str) -> None:
    """Draw gains of one facet: on its axis, or in the broken part at its left."""
    labels = broken.set_yticks(-np.arange(len(lines)), [label for label, _, _ in lines])
    for tick, (_, gain, row) in zip(labels, lines, strict=True):
        if row is None:
            tick.label1.set_fontweight("bold")
            continue
        (_, place), look = tick.label1.get_position(), look_of(row)
        part = axes if gain["gain"] > REACH[0] else broken
        mark = {"fmt": look.marker, "ms": 5.5, "color": look.colour, "capsize": 2}
        part.errorbar(gain["gain"], place, xerr=interval(gain, row), **mark)
        seconds = f"{mean_over_seeds(row, 'seconds_a_galaxy'):.2g} s"
        axes.text(1.04, place, seconds, transform=axes.get_yaxis_transform(), va="center")
    for part in (broken, axes):
        part.axvline(0, color=style.MEASURED.colour, lw=1)
        part.set_ylim(0.6 - len(lines), 0.6)
        part.tick_params(axis="y", length=0)
        part.spines["left"].set_visible(False)
        part.grid(axis="x", alpha=0.25)
    axes.set_title(f"gain over the {over} [nat]", fontsize=9)


@style.styled
def gains(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """Draw what each method gains, by what it sees, with the time of its draws in words.

    Methods without a redshift are compared with the photometry model, methods with a redshift
    with the flow that has the same inputs. Methods that were made without that model are left out.

    Arguments:
        rows: Rows of `methods.json`.
        source: What the galaxies are, for the corner of the figure.
    """
    told = _in_groups(rows, ("photometry_told",), "photometry_told")
    facets = {"photometry model": _in_groups(rows, ("photometry", "image"), "photometry")}
    facets |= {"photometry model with the same inputs": told}
    facets = {over: lines for over, lines in facets.items() if lines}
    sizes = [len(lines) for lines in facets.values()]
    figure = style.new_figure(style.COLUMN, 1.1 + 0.45 * len(sizes) + 0.235 * sum(sizes), source)
    ratios = {"width_ratios": (1, 4), "height_ratios": sizes}
    grid = figure.subplots(len(sizes), 2, sharex="col", sharey="row", squeeze=False, **ratios)
    for (broken, axes), (over, lines) in zip(grid, facets.items(), strict=True):
        _draw_gains(broken, axes, lines, over)
        broken.set(xlim=(-4.4, -2.4), xticks=(-4, -3))
        axes.set(xlim=REACH)
    if "image" in rows and (image := gain_beside(rows["image"], "photometry")):
        grid[0, 1].axvline(image["gain"], color=style.IMAGE.colour, lw=1, ls="--")
    grid[0, 1].text(1.02, 1.0, "1,000 draws", transform=grid[0, 1].transAxes, va="bottom")
    grid[-1, 1].set_xlabel(f"± 95 % interval; axis broken at {number(REACH[0])}")
    return figure


@style.styled
def intervals(
    draws: pd.DataFrame, rows: Mapping[str, Mapping], measured: pd.DataFrame, *, source: str
) -> Figure:
    """Draw medians, 68 and 95 % intervals of one galaxy by each method, one panel per property.

    Arguments:
        draws: Columns `row`, `object_id` and the properties.
        rows: Rows of `methods.json`; they are shown in groups of equal inputs.
        measured: Measured properties by `object_id`; the first galaxy is shown.
        source: What the galaxies are, for the corner of the figure.
    """
    galaxy = measured.iloc[0]
    draws = draws[draws["object_id"] == galaxy.name]
    rows = {n: row for sees in SEES for n, row in rows.items() if row["row"]["beside"] == sees}
    figure = style.new_figure(style.COLUMN, 1.5 + 0.21 * len(rows), source)
    panels = figure.subplots(1, len(PROPERTIES), sharey=True)
    places, looks = -np.arange(len(rows)), [look_of(row) for row in rows.values()]
    colours = [look.colour for look in looks]
    quantiles = draws.groupby("row")[[p.name for p in PROPERTIES]].quantile(
        [0.025, 0.16, 0.5, 0.84, 0.975]
    )
    for axes, p in zip(panels, PROPERTIES, strict=True):
        of = quantiles[p.name].unstack().reindex(list(rows))
        axes.hlines(places, of[0.025], of[0.975], colours, lw=1)
        axes.hlines(places, of[0.16], of[0.84], colours, lw=3)
        for place, median, look in zip(places, of[0.5], looks, strict=True):
            axes.plot(median, place, look.marker, ms=5, color=look.colour, mec="white", mew=0.6)
        axes.axvline(galaxy[p.name], color=style.MEASURED.colour, lw=1, ls="--")
        axes.grid(axis="x", alpha=0.25)
        label, _, unit = style.LABELS[p.name].partition(" [")
        axes.set_xlabel(f"{label}\n[{unit}" if unit else label)
        axes.xaxis.set_major_locator(MaxNLocator(2))
    panels[0].set_yticks(places, [row["row"]["label"] for row in rows.values()])
    looks = {"photometry model": style.PHOTOMETRY, "image model": style.IMAGE}
    for name, look in (looks | dict(SEES.values())).items():
        panels[0].plot([], [], look.marker, color=look.colour, label=name)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@style.styled
def contours(
    draws: pd.DataFrame,
    rows: Mapping[str, Mapping],
    measured: pd.DataFrame,
    names: Sequence[str],
    *,
    source: str,
    plane: tuple[str, str] = ("dn4000", "a_v"),
) -> Figure | None:
    """Draw posteriors of one galaxy by some methods over those of the model with the same inputs.

    Arguments:
        draws: Columns `row`, `object_id` and the properties.
        rows: Rows of `methods.json`.
        measured: Measured properties by `object_id`; the first galaxy is shown.
        names: Names of the rows to show, one panel each; rows that were not made are left out.
        source: What the galaxies are, for the corner of the figure.
        plane: Names of the two properties.

    Returns:
        The figure, or None where none of the rows was made.
    """
    shown = [name for name in names if name in rows and rows[name]["row"]["beside"] in rows]
    if not shown:
        return None
    galaxy, (x, y) = measured.iloc[0], plane
    draws = draws[draws["object_id"] == galaxy.name]
    lines = -(-len(shown) // 3)
    figure = style.new_figure(style.COLUMN, 0.8 + 2.0 * lines, source)
    grid = figure.subplots(lines, 3, sharex=True, sharey=True, squeeze=False)
    reach = [style.limits(draws[name].dropna(), [galaxy[name]], inside=99.8) for name in plane]
    grid[0, 0].set(xlim=reach[0], ylim=reach[1])
    for axes, name in zip(grid.flat, shown, strict=False):
        row = rows[name]["row"]
        own, reference = (draws[draws["row"] == of] for of in (name, row["beside"]))
        style.contours(axes, reference[x], reference[y], style.LIGHT, filled=True)
        style.contours(axes, own[x], own[y], look_of(rows[name]).colour, filled=False)
        axes.plot(galaxy[x], galaxy[y], "+", ms=10, mew=1.5, color=style.MEASURED.colour)
        axes.set_title(row["label"], fontsize=9)
        axes.set(xlabel=style.LABELS[x], ylabel=style.LABELS[y])
    for k, axes in enumerate(grid.flat):
        axes.set_visible(k < len(shown))
        axes.label_outer()
    return figure
