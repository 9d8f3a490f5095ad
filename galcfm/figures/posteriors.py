"""Posteriors of single galaxies, and the paths of their draws."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from galcfm.figures import style
from galcfm.properties import PROPERTIES, Property

__all__ = ["galaxy_corner", "galaxy_panels", "of_one", "pathways", "plane"]

MEASURED_LINE = {"color": style.COLOURS["measured"], "lw": 1, "ls": "--", "zorder": 5}


@style.styled
def galaxy_corner(
    measured, posteriors: Mapping, images=None, *, galaxy: int, source: str
) -> Figure:
    """Show the posterior of one galaxy under each model, with its measured values and its cutout.

    Contours enclose 68 % and 95 % of the draws: filled for the photometry model, lines for the
    others, e.g. the image model. Dashed lines mark the measured values.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        galaxy: Row number of the galaxy to show.
        source: Description of the galaxies, in the figure's corner.
    """
    shown = style.aligned(measured, posteriors)
    at, draws, ranges = of_one(shown, galaxy)
    labels = [label.replace(" [", "\n[") for label in shown.labels.values()]
    # Legend and cutout need an upper right corner of three columns.
    size, columns = len(labels), max(3, len(labels))
    width = max(style.COLUMN, 1.3 * size)
    figure = Figure(figsize=(width, width * size / columns), dpi=150)
    style.tag(figure, source)
    place = {"left": 0.14, "right": 0.985, "bottom": 0.1, "top": 0.96, "wspace": 0.1, "hspace": 0.1}
    place["bottom"] *= columns / size
    grid = figure.subplots(size, columns, sharex="col", squeeze=False, gridspec_kw=place)
    for row in range(size):
        for column in range(row + 1):
            axes = grid[row, column]
            axes.set_xlim(ranges[column])
            if column == row:
                _marginal(axes, draws, at, column)
            else:
                axes.set_ylim(ranges[row])
                plane(axes, draws, at, column, row)
                axes.tick_params(labelleft=column == 0)
                axes.set_ylabel(labels[row] if column == 0 else "", fontsize=9)
            axes.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
            axes.set_xlabel(labels[column] if row == size - 1 else "", fontsize=9)
        for axes in grid[row, row + 1 :]:
            axes.set_axis_off()
    figure.align_labels()
    _legend(grid[0, 1], draws, loc="upper left")
    if images is not None:
        style.require_images(images, len(shown.values))
        corner = (0.66, 0.62, 0.32, 0.32) if size > 2 else grid[0, 2].get_position()
        style.cutout(figure.add_axes(corner), images[galaxy])
    return figure


@style.styled
def galaxy_panels(
    measured, posteriors: Mapping, images, chosen: Mapping[str, int], *, source: str
) -> Figure:
    """Show one galaxy per row: cutout, the plane of dust and age, and stellar mass.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        chosen: Row number of each galaxy, by the title of its cutout.
        source: Description of the galaxies, in the figure's corner.

    Raises:
        ValueError: The models do not infer one of these properties.
    """
    shown = style.aligned(measured, posteriors)
    labels = shown.labels
    mass, x, y = style.columns_of(("log_stellar_mass", "dn4000", "a_v"), shown.properties)
    style.require_images(images, len(shown.values))
    figure = style.new_figure(style.COLUMN, 1.75 * len(chosen) + 0.5, source)
    grid = figure.subplots(len(chosen), 3, squeeze=False, width_ratios=[0.9, 1.2, 1.2])
    for (left, middle, right), (words, galaxy) in zip(grid, chosen.items(), strict=True):
        at, draws, ranges = of_one(shown, galaxy)
        style.cutout(left, images[galaxy])
        left.set_title(words, fontsize=9)
        middle.set(xlim=ranges[x], ylim=ranges[y])
        plane(middle, draws, at, x, y)
        middle.set(ylabel=labels["a_v"])
        right.set(xlim=ranges[mass])
        _marginal(right, draws, at, mass)
    middle.set_xlabel(labels["dn4000"])
    right.set_xlabel(labels["log_stellar_mass"])
    _legend(figure, shown.samples, loc="outside upper left", ncols=3)
    return figure


def of_one(shown: style.Shown, galaxy: int):
    """Return measured values, draws by model, and ranges of the axes of one galaxy."""
    n = len(shown.values)
    if not 0 <= galaxy < n:
        raise ValueError(f"galaxy is {galaxy}, expected a row number from 0 to {n - 1}")
    at, draws = shown.values[galaxy], {model: s[galaxy] for model, s in shown.samples.items()}
    ranges = [
        style.limits(*(s[:, p] for s in draws.values()), at[p], inside=99.8) for p in range(len(at))
    ]
    return at, draws, ranges


def plane(axes: Axes, draws: Mapping, at: np.ndarray, x: int, y: int) -> None:
    """Draw contours of two properties, and dashed lines at the measured values."""
    looks = style.looks_of(draws)
    for model, of in draws.items():
        style.contours(axes, of[:, x], of[:, y], looks[model].colour, filled=model == "photometry")
    axes.axvline(at[x], **MEASURED_LINE)
    axes.axhline(at[y], **MEASURED_LINE)
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _marginal(axes: Axes, draws: Mapping, at: np.ndarray, p: int) -> None:
    """Draw the densities of one property, and a dashed line at the measured value."""
    looks = style.looks_of(draws)
    for model, of in draws.items():
        style.curve(axes, of[:, p], looks[model].colour, filled=model == "photometry")
    axes.axvline(at[p], **MEASURED_LINE)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _legend(place, models: Mapping, **options) -> None:
    line = {key: MEASURED_LINE[key] for key in ("color", "lw", "ls")}
    style.model_legend(place, models, measured=Line2D([], [], **line), **options)


@style.styled
def pathways(
    trajectories: Mapping,
    names: tuple[str, str],
    *,
    measured=None,
    properties: Sequence[Property] = PROPERTIES,
    source: str,
) -> Figure:
    """Show how the flow moves noise to one galaxy's posterior, in the plane of two properties.

    Arguments:
        trajectories: By model, positions in physical units, `(n_times, n_samples, 2)`, at equal
            steps from time 0 (noise) to 1 (posterior).
        names: Names of the two properties.
        measured: Measured values of the two properties.
        properties: Properties of the model, e.g. `posterior.declaration.properties`.
        source: Description of the galaxies, in the figure's corner.
    """
    models = style.posteriors_in_order(trajectories)
    looks = style.looks_of(models)
    labels = [
        list(style.labels_of(properties).values())[k] for k in style.columns_of(names, properties)
    ]
    paths = {model: np.asarray(trajectories[model], dtype=np.float64) for model in models}
    for model, path in paths.items():
        if path.ndim != 3 or path.shape[2] != 2 or len(path) < 2:
            raise ValueError(
                f"{model} trajectories have shape {path.shape}, expected (n_times, n_samples, 2)"
            )
    figure = style.new_figure(style.COLUMN, 1.9 * len(models) + 0.5, source)
    grid = figure.subplots(len(models), 4, sharex=True, sharey=True, squeeze=False)
    everything = np.concatenate([path.reshape(-1, 2) for path in paths.values()])
    for row, (axes_row, (model, path)) in enumerate(zip(grid, paths.items(), strict=True)):
        for axes, time in zip(axes_row, (0, 1 / 3, 2 / 3, 1), strict=True):
            now = round(time * (len(path) - 1))
            # More than some hundred lines only fill the plane.
            trails = path[: now + 1, :200].transpose(1, 0, 2)
            axes.add_collection(
                LineCollection(
                    trails, colors=looks[model].colour, lw=0.5, alpha=0.25, rasterized=True
                )
            )
            look = {"s": 5, "alpha": 0.8, "lw": 0, "zorder": 3, "rasterized": True}
            axes.scatter(*path[now].T, color=looks[model].colour, **look)
            if measured is not None:
                look = {"ms": 7, "mfc": "white", "mec": style.COLOURS["measured"], "mew": 1.5}
                axes.plot(*measured, style.MARKERS["measured"], zorder=4, **look)
            axes.set(
                xlim=style.limits(everything[:, 0], inside=99.5),
                ylim=style.limits(everything[:, 1], inside=99.5),
            )
            if row == 0:
                axes.set_title(f"$t$ = {now / (len(path) - 1):.2f}", fontsize=10)
            if row == len(models) - 1:
                axes.set_xlabel(labels[0])
        axes_row[0].set_ylabel(f"{looks[model].title}\n{labels[1]}")
    return figure
