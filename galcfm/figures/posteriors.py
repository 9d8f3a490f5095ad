"""Posteriors of single galaxies, and how the flow draws them."""

import warnings
from collections.abc import Mapping

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from galcfm.figures.style import (
    COLOURS,
    LABELS,
    TITLES,
    aligned,
    cutout,
    limits,
    model_legend,
    new_figure,
    posteriors_in_order,
    require_images,
    styled,
    tag,
)
from galcfm.properties import PROPERTIES

__all__ = ["galaxy_corner", "pathways"]


@styled
def galaxy_corner(truth, posteriors: Mapping, images=None, *, galaxy: int, source: str) -> Figure:
    r"""Show the posterior of one galaxy, both models overlaid, with its truth and its cutout.

    Contours enclose 68 % and 95 % of the samples; lines cross at the truth.

    Arguments:
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        galaxy: Row number of the galaxy to show.
    """
    with warnings.catch_warnings():
        # corner imports ArviZ, which announces its next version.
        warnings.simplefilter("ignore", FutureWarning)
        import corner

    values, samples = aligned(truth, posteriors)
    if not 0 <= galaxy < len(values):
        raise ValueError(f"galaxy is {galaxy}, expected a row number from 0 to {len(values) - 1}")
    size = len(PROPERTIES)
    figure = Figure(figsize=(8, 8), dpi=150)
    theta = {model: s[galaxy] for model, s in samples.items()}
    ranges = [
        limits(*(s[:, p] for s in theta.values()), values[galaxy, p : p + 1], inside=99.8)
        for p in range(size)
    ]
    for model, draws in theta.items():
        corner.corner(
            draws,
            fig=figure,
            range=ranges,
            bins=25,
            labels=list(LABELS.values()),
            labelpad=0.1,
            truths=values[galaxy],
            truth_color=COLOURS["line"],
            color=COLOURS[model],
            levels=(0.68, 0.95),
            smooth=1.0,
            plot_datapoints=False,
            plot_density=False,
            fill_contours=True,
            no_fill_contours=True,
            hist_kwargs={"density": True, "lw": 1.6},
            contour_kwargs={"linewidths": 1.2},
            max_n_ticks=4,
        )
    figure.subplots_adjust(left=0.11, bottom=0.11, right=0.985, top=0.965, wspace=0.07, hspace=0.07)
    grid = np.array(figure.axes).reshape(size, size)
    for p in range(size):
        tallest = max(
            np.histogram(s[:, p], 25, ranges[p], density=True)[0].max() for s in theta.values()
        )
        grid[p, p].set_ylim(0, 1.15 * tallest)
    for p, (low, high) in enumerate(ranges):
        # Labels at the edge of a panel would meet those of its neighbour.
        ticks, margin = grid[-1, p].get_xticks(), 0.06 * (high - low)
        ticks = ticks[(ticks > low + margin) & (ticks < high - margin)]
        for axes in grid[p:, p]:
            axes.set_xticks(ticks)
        for axes in grid[p, :p]:
            axes.set_yticks(ticks)
    tag(figure, source)
    cross = Line2D([], [], color=COLOURS["measured"], lw=1)
    model_legend(figure, theta, measured=cross, loc="upper right", bbox_to_anchor=(0.985, 0.965))
    if images is not None:
        require_images(images, len(values))
        cutout(figure.add_axes((0.70, 0.58, 0.27, 0.27)), images[galaxy])
    return figure


@styled
def pathways(trajectories: Mapping, names: tuple[str, str], *, truth=None, source: str) -> Figure:
    """Show how the flow carries noise to one galaxy's posterior, in the plane of two properties.

    Arguments:
        trajectories: By model, positions in physical units, `(n_times, n_samples, 2)`, at equal
            steps from time 0 (noise) to 1 (posterior).
        names: Names of the two properties, as in `PROPERTY_NAMES`.
        truth: True values of the two properties.
    """
    models = posteriors_in_order(trajectories)
    labels = [LABELS[name] for name in names]
    paths = {model: np.asarray(trajectories[model], dtype=np.float64) for model in models}
    for model, path in paths.items():
        if path.ndim != 3 or path.shape[2] != 2 or len(path) < 2:
            raise ValueError(
                f"{model} trajectories have shape {path.shape}, expected (n_times, n_samples, 2)"
            )
    figure = new_figure(9, 2.5 * len(models) + 0.5, source)
    grid = figure.subplots(len(models), 4, sharex=True, sharey=True, squeeze=False)
    everything = np.concatenate([path.reshape(-1, 2) for path in paths.values()])
    for row, (axes_row, (model, path)) in enumerate(zip(grid, paths.items(), strict=True)):
        for axes, time in zip(axes_row, (0, 1 / 3, 2 / 3, 1), strict=True):
            now = round(time * (len(path) - 1))
            # Lines beyond some hundreds only fill the plane.
            trails = path[: now + 1, :200].transpose(1, 0, 2)
            axes.add_collection(
                LineCollection(trails, colors=COLOURS[model], lw=0.5, alpha=0.25, rasterized=True)
            )
            axes.scatter(
                *path[now].T, s=5, color=COLOURS[model], alpha=0.8, lw=0, zorder=3, rasterized=True
            )
            if truth is not None:
                axes.plot(*truth, "+", ms=13, mew=2, color="black", zorder=4)
            axes.set(
                xlim=limits(everything[:, 0], inside=99.5),
                ylim=limits(everything[:, 1], inside=99.5),
            )
            axes.set_title(f"$t$ = {now / (len(path) - 1):.2f}", fontsize=10)
            if row == len(models) - 1:
                axes.set_xlabel(labels[0])
        axes_row[0].set_ylabel(f"{TITLES[model]}\n{labels[1]}")
    return figure
