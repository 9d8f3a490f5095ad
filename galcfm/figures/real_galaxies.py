"""Figures of real galaxies: masses against another method, what is out of range, cutouts."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LABELS, limits, new_figure, styled

__all__ = ["cutout_comparison", "mass_differences", "outside_shares"]


@styled
def mass_differences(found: Mapping[str, np.ndarray], reference, *, source: str) -> Figure:
    """Log masses by each model less those by another method, against the latter.

    Lines are the median and the 16th and 84th percentile in bins of equally many galaxies.

    Arguments:
        found: log masses [dex, M☉] `(n,)` by the name of the model.
        reference: log masses by the other method [dex, M☉], `(n,)`.
        source: what the galaxies are.
    """
    reference = np.asarray(reference)
    differences = {name: np.asarray(mass) - reference for name, mass in found.items()}
    figure = new_figure(4 * len(found), 3.4, source)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, difference) in zip(panels, differences.items(), strict=True):
        axes.plot(reference, difference, ".", ms=2, color="#888888", alpha=0.4, rasterized=True)
        bins = np.array_split(np.argsort(reference), max(1, min(12, len(reference) // 20)))
        middles = [np.median(reference[rows]) for rows in bins]
        low, middle, high = np.transpose(
            [np.percentile(difference[rows], [16, 50, 84]) for rows in bins]
        )
        axes.plot(middles, middle, color=COLOURS["image"], lw=2)
        axes.fill_between(middles, low, high, color=COLOURS["image"], alpha=0.25, lw=0)
        axes.axhline(0, color=COLOURS["truth"], lw=1)
        axes.set(xlabel=f"{LABELS['log_stellar_mass']}, kcorrect", title=name)
        axes.grid(alpha=0.25)
    panels[0].set(
        ylabel="posterior median − kcorrect [dex]", ylim=limits(*differences.values(), inside=98)
    )
    return figure


@styled
def outside_shares(
    outside, columns: Mapping[str, np.ndarray], *, level: float, source: str
) -> Figure:
    """Share of galaxies that are flagged as outside the training range, along some quantities.

    Bars are the uncertainty of a share, one standard deviation; bins hold equally many galaxies.

    Arguments:
        outside: the flag, `(n,)`.
        columns: quantity `(n,)` by its label.
        level: share of galaxies like those of the training set that is flagged.
        source: what the galaxies are.
    """
    outside = np.asarray(outside)
    figure = new_figure(2.8 * len(columns), 2.7, source)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(panels, columns.items(), strict=True):
        _share_along(axes, np.asarray(values), outside)
        axes.axhline(level, color=COLOURS["truth"], lw=1, ls="--")
        axes.set_xlabel(label)
        axes.grid(alpha=0.25)
    panels[0].set(ylabel="share flagged as out of range", ylim=(-0.03, 1.03))
    return figure


def _share_along(axes: Axes, values: np.ndarray, outside: np.ndarray) -> None:
    bins = np.array_split(np.argsort(values), max(1, min(15, len(values) // 20)))
    shares = np.array([outside[rows].mean() for rows in bins])
    # Laplace's rule keeps the bar of an empty or full bin from vanishing.
    counts = np.array([len(rows) for rows in bins])
    smooth = (shares * counts + 1) / (counts + 2)
    axes.errorbar(
        [np.median(values[rows]) for rows in bins],
        shares,
        np.sqrt(smooth * (1 - smooth) / counts),
        fmt="o-",
        ms=4,
        color=COLOURS["image"],
    )


CUTOUT_STATISTICS = {
    "sky": "sky, mean of the channels",
    "sky_red": "sky, first channel",
    "sky_blue": "sky, last channel",
    "noise": "noise of the sky",
    "texture": "noise between neighbouring pixels",
    "red": "first over middle channel",
    "blue": "last over middle channel",
    "red_blue": "first less last channel, centre",
    "centre": "brightness of the centre",
    "radius": "half-light radius",
    "axis_ratio": "axis ratio",
    "bright": "share of bright pixels",
}


@styled
def cutout_comparison(statistics: Mapping, *, source: str) -> Figure:
    """Background, noise, colours and shapes of real and simulated cutouts.

    Arguments:
        statistics: the 10th, 50th and 90th percentile in `real` and in `simulated` of each
            statistic of `galcfm.studies.realism.cutout_statistics`, as `compare_cutouts` there
            gives them.
        source: what the galaxies are.
    """
    names = [name for name in CUTOUT_STATISTICS if name in statistics]
    figure = new_figure(7, 0.9 + 0.34 * len(names), source)
    axes = figure.subplots()
    rows = np.arange(len(names))[::-1]
    for row, name in zip(rows, names, strict=True):
        low, middle, high = statistics[name]["real"]
        deviation = (high - low) / 2.563  # of a Gaussian with these percentiles
        for kind, colour, shift in (
            ("real", COLOURS["truth"], 0.16),
            ("simulated", COLOURS["image"], -0.16),
        ):
            start, centre, end = (np.array(statistics[name][kind]) - middle) / deviation
            axes.plot([start, end], [row + shift] * 2, color=colour, lw=4, alpha=0.4)
            label = kind if name == names[0] else None
            axes.plot(centre, row + shift, "o", color=colour, label=label)
    axes.axvline(0, color=COLOURS["truth"], lw=0.8)
    axes.set_yticks(rows, [CUTOUT_STATISTICS[name] for name in names])
    axes.set(
        xlabel="difference from the real median [real standard deviations]",
        ylim=(-0.7, len(names) - 0.3),
    )
    axes.grid(axis="x", alpha=0.25)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
