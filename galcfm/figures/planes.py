"""Galaxies in planes of two properties."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from galcfm.figures import style
from galcfm.metrics import DUST_AGE, PLANES

__all__ = ["dust_age", "scaling_relations", "spread_galaxies"]

# Width and height [pt] of one of the nine panels of relations, nearly.
PANEL = (130.0, 92.0)


@style.styled
def scaling_relations(measured, posteriors: Mapping, images=None, *, source: str) -> Figure:
    """Show relations of mass, SFR and O/H: measured values and posterior means of each model.

    Contours enclose 50 % and 90 % of the galaxies; the contours of the measured values are repeated
    as dashed lines in the models' panels. Four galaxies are numbered in all panels and shown below.
    Relations are left out if the models do not infer their properties.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        images: Cutouts, uint8 `(n, 128, 128, 3)`; without them no galaxy is numbered.
        source: Description of the galaxies, in the figure's corner.

    Raises:
        ValueError: The models infer no two properties of a relation.
    """
    shown = style.aligned(measured, posteriors)
    labels, values = shown.labels, shown.values
    relations = [plane for plane in PLANES if set(plane) <= set(labels)] or [PLANES[0]]
    places = [style.columns_of(plane, shown.properties) for plane in relations]
    points = {"measured": values} | {m: s.mean(axis=1) for m, s in shown.samples.items()}
    chosen = np.array([], dtype=int)
    if images is not None:
        style.require_images(images, len(values))
        complete = np.flatnonzero(shown.labelled(*dict.fromkeys(sum(relations, ()))))
        # Mass and SFR, if both are there.
        plane = places[relations.index(PLANES[1]) if PLANES[1] in relations else 0]
        chosen = complete[spread_galaxies(values[complete][:, plane], 4)]
    below, height = bool(len(chosen)), 0.4 + 2 * len(relations)
    figure = style.new_figure(style.COLUMN, height + 1.9 * below, source)
    parts = figure.subfigures(1 + below, 1, squeeze=False, height_ratios=[height, 1.9][: 1 + below])
    shape = len(relations), len(points)
    grid = parts[0, 0].subplots(*shape, sharex="row", sharey="row", squeeze=False)
    for axes_row, (name_x, name_y), (i, j) in zip(grid, relations, places, strict=True):
        has = shown.labelled(name_x, name_y)
        known = values[has]
        axes_row[0].set(xlim=style.limits(known[:, i]), ylim=style.limits(known[:, j]))
        axes_row[0].set_ylabel(labels[name_y])
        style.note(axes_row[0], 0.03, 0.97, style.few(has).strip())
        for axes, (kind, theta) in zip(axes_row, points.items(), strict=True):
            axes.set_xlabel(labels[name_x])
            style.density(axes, theta[has, i], theta[has, j], shown.looks[kind].colour)
            if kind != "measured":
                style.density(
                    axes, known[:, i], known[:, j], style.COLOURS["measured"], filled=False
                )
            _number_galaxies(axes, theta[np.ix_(chosen, [i, j])])
    for axes, kind in zip(grid[0], points, strict=True):
        look = shown.looks[kind]
        title = look.title + ("" if kind == "measured" else ",\nposterior means")
        axes.set_title(title, color=look.text, fontsize=10)
    if below:
        row = np.ravel(parts[1, 0].subplots(1, len(chosen)))
        for number, (axes, galaxy) in enumerate(zip(row, chosen, strict=True), 1):
            style.cutout(axes, images[galaxy], number)
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
    """Return row numbers of galaxies spread over the central 90 % of the first two properties.

    Farthest-point selection: the next galaxy has the largest distance to all chosen ones, in units
    of the standard deviations. The galaxies are ordered by the first property, e.g. mass.
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


@style.styled
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

    Raises:
        ValueError: The models do not infer both properties.
    """
    shown = style.aligned(measured, posteriors)
    has, (i, j) = shown.labelled(*DUST_AGE), style.columns_of(DUST_AGE, shown.properties)
    label_x, label_y = (shown.labels[name] for name in DUST_AGE)
    values, samples = shown.values[has], {m: s[has] for m, s in shown.samples.items()}
    figure = style.new_figure(style.COLUMN, 5.2, source)
    grid = figure.subplots(2, len(samples) + 1, squeeze=False)
    rows = {
        "posterior means": {m: s.mean(axis=1) for m, s in samples.items()},
        "one draw per galaxy": {m: s[:, 0] for m, s in samples.items()},
    }
    errors = [theta - values for row in rows.values() for theta in row.values()]
    for axes_row, (name, row) in zip(grid, rows.items(), strict=True):
        for axes, (model, theta) in zip(axes_row, row.items(), strict=False):
            axes.set(xlim=style.limits(values[:, i]), ylim=style.limits(values[:, j]))
            axes.set(xlabel=label_x, ylabel=label_y)
            look = shown.looks[model]
            style.density(axes, theta[:, i], theta[:, j], look.colour)
            style.density(axes, values[:, i], values[:, j], style.COLOURS["measured"], filled=False)
            axes.set_title(f"{look.title},\n{name}", color=look.text, fontsize=10)
        axes = axes_row[-1]
        axes.axhline(0, color=style.LIGHT, lw=0.8)
        axes.axvline(0, color=style.LIGHT, lw=0.8)
        axes.set(
            xlim=style.limits(*(e[:, i] for e in errors)),
            ylim=style.limits(*(e[:, j] for e in errors)),
            xlabel=label_x.replace("$", r"$\Delta ", 1),
            ylabel=label_y.replace("$", r"$\Delta ", 1),
        )
        axes.set_title(f"Minus measured,\n{name}{style.few(has)}", fontsize=10)
        for model, theta in row.items():
            away = theta - values
            filled, colour = model == style.MODELS[0], shown.looks[model].colour
            style.contours(axes, *away.T[[i, j]], colour, (0.5, 0.9), filled=filled)
    line = Line2D(
        [], [], color=style.COLOURS["measured"], lw=1.2, ls="--", label=style.TITLES["measured"]
    )
    grid[0, 0].legend(handles=[line], loc="upper right", handlelength=1.6)
    return figure
