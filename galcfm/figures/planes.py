"""Galaxies in planes of two properties."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from galcfm.figures.style import (
    COLOURS,
    COLUMN,
    LABELS,
    LIGHT,
    MODELS,
    TITLES,
    aligned,
    contours,
    cutout,
    density,
    limits,
    new_figure,
    require_images,
    styled,
    text_colour,
)
from galcfm.metrics import PLANES
from galcfm.properties import PROPERTY_NAMES

__all__ = ["dust_age", "scaling_relations", "spread_galaxies"]

# Width and height [pt] of one of the nine panels of relations, nearly.
PANEL = (130.0, 92.0)


@styled
def scaling_relations(measured, posteriors: Mapping, images=None, *, source: str) -> Figure:
    """Show relations of mass, SFR and O/H: measured values and posterior means of each model.

    Contours enclose 50 % and 90 % of the galaxies; the contours of the measured values are repeated
    as dashed lines in the models' panels. Four galaxies are numbered in all panels and shown below.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        images: Cutouts, uint8 `(n, 128, 128, 3)`; without them no galaxy is numbered.
        source: Description of the galaxies, in the figure's corner.
    """
    values, samples = aligned(measured, posteriors)
    points = {"measured": values} | {m: s.mean(axis=1) for m, s in samples.items()}
    chosen = np.array([], dtype=int)
    if images is not None:
        require_images(images, len(values))
        chosen = spread_galaxies(values, 4)
    shown = bool(len(chosen))
    figure = new_figure(COLUMN, 6.4 + 1.9 * shown, source)
    parts = figure.subfigures(1 + shown, 1, squeeze=False, height_ratios=[6.4, 1.9][: 1 + shown])
    grid = parts[0, 0].subplots(3, len(points), sharex="row", sharey="row", squeeze=False)
    for axes_row, (name_x, name_y) in zip(grid, PLANES, strict=True):
        i, j = PROPERTY_NAMES.index(name_x), PROPERTY_NAMES.index(name_y)
        axes_row[0].set(xlim=limits(values[:, i]), ylim=limits(values[:, j]))
        axes_row[0].set_ylabel(LABELS[name_y])
        for axes, (kind, theta) in zip(axes_row, points.items(), strict=True):
            axes.set_xlabel(LABELS[name_x])
            density(axes, theta[:, i], theta[:, j], COLOURS[kind])
            if kind != "measured":
                density(axes, values[:, i], values[:, j], COLOURS["measured"], filled=False)
            _number_galaxies(axes, theta[np.ix_(chosen, [i, j])])
    for axes, kind in zip(grid[0], points, strict=True):
        title = TITLES[kind] + ("" if kind == "measured" else ",\nposterior means")
        axes.set_title(title, color=text_colour(kind), fontsize=10)
    if shown:
        below = np.ravel(parts[1, 0].subplots(1, len(chosen)))
        for number, (axes, galaxy) in enumerate(zip(below, chosen, strict=True), 1):
            cutout(axes, images[galaxy], number)
    return figure


def _number_galaxies(axes: Axes, points: np.ndarray, apart: float = 14.0) -> None:
    """Number points `(n, 2)` from 1; numbers nearer than `apart` [pt] move aside, with a line."""
    unit = np.diff([axes.get_xlim(), axes.get_ylim()])[:, 0] / PANEL
    places = points / unit
    for one, other in 20 * list(combinations(places, 2)):
        away = np.hypot(*(one - other)) or 1.0
        push = (one - other) / away * max(0.0, apart - away) / 2
        one += push
        other -= push
    look = {"fontsize": 10, "fontweight": "bold", "ha": "center", "va": "center", "zorder": 6}
    look |= {"arrowprops": {"arrowstyle": "-", "lw": 0.8}, "annotation_clip": True, "clip_on": True}
    for number, (point, place) in enumerate(zip(points, places * unit, strict=True), 1):
        text = axes.annotate(str(number), point, place, **look)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def spread_galaxies(measured: np.ndarray, count: int) -> np.ndarray:
    """Return row numbers of galaxies spread over the central 90 % of mass and of SFR.

    Farthest-point selection: the next galaxy has the largest distance to all chosen ones, in units
    of the standard deviations. The galaxies are ordered by mass.
    """
    plane = (measured[:, :2] - measured[:, :2].mean(0)) / (measured[:, :2].std(0) + 1e-12)
    low, high = np.percentile(plane, [5, 95], axis=0)
    inside = np.flatnonzero(((plane >= low) & (plane <= high)).all(axis=1))
    if len(inside) < count:
        inside = np.arange(len(measured))
    plane = plane[inside]
    chosen = [int(np.argmin(plane[:, 0]))]
    while len(chosen) < min(count, len(inside)):
        distance = np.linalg.norm(plane[:, None] - plane[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(distance)))
    rows = inside[chosen]
    return rows[np.argsort(measured[rows, 0])]


@styled
def dust_age(measured, posteriors: Mapping, *, source: str) -> Figure:
    """Show dust attenuation against the age indicator, and deviations from the measured values.

    Upper row: posterior means, which shift towards the population's centre where the data carry
    little information. Lower row: one draw per galaxy, distributed as the measured values if the
    posteriors are correct. Last column: difference from the measured values; a slope down to the
    right shows the degeneracy. Contours enclose 50 % and 90 % of the galaxies.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        source: Description of the galaxies, in the figure's corner.
    """
    values, samples = aligned(measured, posteriors)
    i, j = PROPERTY_NAMES.index("dn4000"), PROPERTY_NAMES.index("a_v")
    figure = new_figure(COLUMN, 5.2, source)
    grid = figure.subplots(2, len(samples) + 1, squeeze=False)
    rows = {
        "posterior means": {m: s.mean(axis=1) for m, s in samples.items()},
        "one draw per galaxy": {m: s[:, 0] for m, s in samples.items()},
    }
    errors = [theta - values for row in rows.values() for theta in row.values()]
    for axes_row, (name, row) in zip(grid, rows.items(), strict=True):
        for axes, (model, theta) in zip(axes_row, row.items(), strict=False):
            axes.set(xlim=limits(values[:, i]), ylim=limits(values[:, j]))
            axes.set(xlabel=LABELS["dn4000"], ylabel=LABELS["a_v"])
            density(axes, theta[:, i], theta[:, j], COLOURS[model])
            density(axes, values[:, i], values[:, j], COLOURS["measured"], filled=False)
            axes.set_title(f"{TITLES[model]},\n{name}", color=text_colour(model), fontsize=10)
        axes = axes_row[-1]
        axes.axhline(0, color=LIGHT, lw=0.8)
        axes.axvline(0, color=LIGHT, lw=0.8)
        axes.set(
            xlim=limits(*(e[:, i] for e in errors)),
            ylim=limits(*(e[:, j] for e in errors)),
            xlabel=r"$\Delta D_n(4000)$",
            ylabel=r"$\Delta A_V$ [mag]",
        )
        axes.set_title(f"Minus measured,\n{name}", fontsize=10)
        for model, theta in row.items():
            away = theta - values
            contours(axes, *away.T[[i, j]], COLOURS[model], (0.5, 0.9), filled=model == MODELS[0])
    line = Line2D([], [], color=COLOURS["measured"], lw=1.2, ls="--", label=TITLES["measured"])
    grid[0, 0].legend(handles=[line], loc="upper right", handlelength=1.6)
    return figure
