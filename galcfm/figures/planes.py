"""Galaxies in planes of two properties."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from galcfm.figures.style import (
    COLOURS,
    LABELS,
    LIGHT,
    TITLES,
    aligned,
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


@styled
def scaling_relations(truth, posteriors: Mapping, images=None, *, source: str) -> Figure:
    r"""Show the M⋆–Z, M⋆–SFR and SFR–Z relations: truth and posterior means of each model.

    Contours enclose 50 % and 90 % of the galaxies; the truth's are repeated as dashed lines in
    the models' panels. Six galaxies are numbered in all panels and shown beside them.

    Arguments:
        images: Cutouts, uint8 `(n, 128, 128, 3)`; without them no galaxy is numbered.
    """
    values, samples = aligned(truth, posteriors)
    points = {"measured": values} | {m: s.mean(axis=1) for m, s in samples.items()}
    chosen = np.array([], dtype=int)
    if images is not None:
        require_images(images, len(values))
        chosen = spread_galaxies(values, 6)
    columns = len(points)
    figure = new_figure(9.6 if len(chosen) else 8, 7.4, source)
    grid = figure.add_gridspec(
        3,
        columns + (2 if len(chosen) else 0),
        width_ratios=[2.3] * columns + ([1.15] * 2 if len(chosen) else []),
    )
    for row, (name_x, name_y) in enumerate(PLANES):
        i, j = PROPERTY_NAMES.index(name_x), PROPERTY_NAMES.index(name_y)
        first = None
        for column, (kind, theta) in enumerate(points.items()):
            axes = figure.add_subplot(grid[row, column], sharex=first, sharey=first)
            if first is None:
                first = axes
                axes.set(xlim=limits(values[:, i]), ylim=limits(values[:, j]))
                axes.set_ylabel(LABELS[name_y])
            axes.tick_params(labelleft=axes is first)
            axes.set_xlabel(LABELS[name_x])
            density(axes, theta[:, i], theta[:, j], COLOURS[kind])
            if kind != "measured":
                density(axes, values[:, i], values[:, j], COLOURS["line"], filled=False)
            for number, galaxy in enumerate(chosen, 1):
                place, box = theta[galaxy, [i, j]], {"boxstyle": "circle,pad=0.15", "fc": "white"}
                look = {"color": COLOURS[kind], "fontsize": 9, "fontweight": "bold", "zorder": 6}
                look |= {"ha": "center", "va": "center", "bbox": box | {"ec": COLOURS[kind]}}
                axes.text(*place, str(number), clip_on=True, **look)
            if row == 0:
                name = TITLES[kind] + (", means" if kind != "measured" else "")
                axes.set_title(name, color=text_colour(kind))
    for number, galaxy in enumerate(chosen, 1):
        axes = figure.add_subplot(grid[(number - 1) // 2, columns + (number - 1) % 2])
        cutout(axes, images[galaxy], number)
    return figure


def spread_galaxies(truth: np.ndarray, count: int) -> np.ndarray:
    """Return row numbers of galaxies spread over the central 90 % of mass and of SFR.

    Farthest-point selection: the next galaxy is the one with the largest distance to those
    already chosen, in units of the standard deviations. They are ordered by mass.
    """
    plane = (truth[:, :2] - truth[:, :2].mean(0)) / (truth[:, :2].std(0) + 1e-12)
    low, high = np.percentile(plane, [5, 95], axis=0)
    inside = np.flatnonzero(((plane >= low) & (plane <= high)).all(axis=1))
    if len(inside) < count:
        inside = np.arange(len(truth))
    plane = plane[inside]
    chosen = [int(np.argmin(plane[:, 0]))]
    while len(chosen) < min(count, len(inside)):
        distance = np.linalg.norm(plane[:, None] - plane[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(distance)))
    rows = inside[chosen]
    return rows[np.argsort(truth[rows, 0])]


@styled
def dust_age(truth, posteriors: Mapping, *, source: str) -> Figure:
    r"""Show how far each model breaks the dust–age degeneracy, in the A_V–Dn4000 plane.

    Upper row: posterior means, which shrink towards the population's centre where the data say
    little. Lower row: one draw per galaxy, distributed as the truth if the posteriors are
    correct. Last column: their difference to the truth, where the degeneracy is an
    anticorrelation. Contours enclose 50 % and 90 % of the galaxies.
    """
    values, samples = aligned(truth, posteriors)
    i, j = PROPERTY_NAMES.index("dn4000"), PROPERTY_NAMES.index("a_v")
    figure = new_figure(8.4, 5.6, source)
    grid = figure.subplots(2, len(samples) + 1, squeeze=False)
    rows = {
        "posterior means": {m: s.mean(axis=1) for m, s in samples.items()},
        "one draw per galaxy": {m: s[:, 0] for m, s in samples.items()},
    }
    errors = [theta - values for row in rows.values() for theta in row.values()]
    for axes_row, (name, row) in zip(grid, rows.items(), strict=True):
        for axes, (model, theta) in zip(axes_row, row.items(), strict=False):
            axes.set(
                xlim=limits(values[:, i]),
                ylim=limits(values[:, j]),
                xlabel=LABELS["dn4000"],
                ylabel=LABELS["a_v"],
            )
            density(axes, theta[:, i], theta[:, j], COLOURS[model])
            density(axes, values[:, i], values[:, j], COLOURS["line"], filled=False)
            axes.set_title(f"{TITLES[model]},\n{name}", color=text_colour(model))
        axes = axes_row[-1]
        axes.axhline(0, color=LIGHT, lw=0.8)
        axes.axvline(0, color=LIGHT, lw=0.8)
        axes.set(
            xlim=limits(*(e[:, i] for e in errors)),
            ylim=limits(*(e[:, j] for e in errors)),
            xlabel=r"$\Delta D_n(4000)$",
            ylabel=r"$\Delta A_V$ [mag]",
            title=f"Difference to measured,\n{name}",
        )
        for model, theta in row.items():
            difference = theta - values
            density(axes, difference[:, i], difference[:, j], COLOURS[model])
    line = Line2D([], [], color=COLOURS["line"], lw=1.2, ls="--", label=TITLES["measured"])
    grid[0, 0].legend(handles=[line], loc="upper right", handlelength=1.6)
    return figure
