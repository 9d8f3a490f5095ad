"""Figures of how real the simulated survey is."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LABELS, LIGHT, new_figure, styled

__all__ = ["colour_comparison", "control_gains", "cutout_comparison", "percentile_offsets"]

KINDS = {"real": COLOURS["truth"], "simulated": COLOURS["image"]}
STATISTICS = {
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "Gini coefficient",
    "m20": "M20",
    "size": "half-light radius, major axis",
    "ellipticity": "ellipticity",
    "red": "first over middle channel",
    "blue": "last over middle channel",
    "gradient": "colour gradient",
    "sky": "sky",
    "noise": "noise of the sky",
    "correlation": "correlation of the noise",
    "neighbours": "number of neighbours",
}


@styled
def colour_comparison(colours: Mapping, *, source: str) -> Figure:
    """Draw colours of real and simulated galaxies: medians, 16 to 84 % and 5 to 95 %.

    Arguments:
        colours: Five percentiles [mag] of each colour, in `real` and in `simulated`.
    """
    names = list(colours["real"])
    figure = new_figure(7, 2.6, source)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for row, (kind, colour) in enumerate(KINDS.items()):
            low, start, middle, end, high = colours[kind][name]
            axes.plot([low, high], [-row, -row], color=colour, lw=1)
            axes.plot([start, end], [-row, -row], color=colour, lw=5, alpha=0.5)
            axes.plot(middle, -row, "o", color=colour)
        axes.set_yticks([0, -1], list(KINDS) if axes.get_subplotspec().is_first_col() else [])
        axes.set(xlabel=f"${name.replace('−', '-')}$ [mag]", ylim=(-1.6, 0.6))
        axes.grid(axis="x", alpha=0.25)
    return figure


@styled
def percentile_offsets(offsets: Mapping, *, allowed: float, source: str) -> Figure:
    """Draw percentiles of simulated properties minus the real ones.

    Arguments:
        offsets: `offset` in standard deviations of the real galaxies, by column and percentile.
        allowed: Half-width of the shaded band.
    """
    figure = new_figure(9, 3.8, source)
    axes = figure.subplots()
    axes.axhspan(-allowed, allowed, color=LIGHT, alpha=0.25, lw=0)
    names = {name: label.split(" [")[0] for name, label in LABELS.items()} | {"redshift": "$z$"}
    width = 0.18
    for k, rows in enumerate(offsets.values()):
        x = k + width * (np.arange(len(rows)) - (len(rows) - 1) / 2)
        heights = [row["offset"] for row in rows.values()]
        axes.bar(x, heights, 0.8 * width, color=COLOURS["image"])
        for place, percentile, height in zip(x, rows, heights, strict=True):
            # On the other side of the line than the bar.
            side, shift = ("top", -2) if height > 0 else ("bottom", 2)
            look = {"ha": "center", "va": side, "fontsize": 9}
            axes.annotate(percentile, (place, 0), (0, shift), textcoords="offset points", **look)
    axes.axhline(0, color=COLOURS["truth"], lw=1)
    axes.set_xticks(range(len(offsets)), [names[column] for column in offsets], fontsize=11)
    axes.set_ylabel("simulated − real [standard deviations]")
    axes.grid(axis="y", alpha=0.25)
    return figure


@styled
def cutout_comparison(statistics: Mapping, *, source: str) -> Figure:
    """Draw background, noise, colours and shapes of real and simulated cutouts.

    Arguments:
        statistics: 10th, 50th and 90th percentile in `real` and in `simulated` of each statistic,
            of `studies.realism.cutouts.compare_cutouts`.
    """
    names = [name for name in STATISTICS if name in statistics]
    figure = new_figure(7, 0.9 + 0.34 * len(names), source)
    axes = figure.subplots()
    rows = np.arange(len(names))[::-1]
    low, middle, high = np.transpose([statistics[name]["real"] for name in names])
    deviation = (high - low) / 2.563  # of a Gaussian with these percentiles
    for kind, colour in KINDS.items():
        places = rows + (0.16 if kind == "real" else -0.16)
        shown = np.transpose([statistics[name][kind] for name in names])
        start, centre, end = (shown - middle) / deviation
        axes.hlines(places, start, end, color=colour, lw=4, alpha=0.4)
        axes.plot(centre, places, "o", color=colour, label=kind)
    axes.axvline(0, color=COLOURS["truth"], lw=0.8)
    axes.set_yticks(rows, [STATISTICS[name] for name in names])
    axes.set(
        xlabel="difference from the real median [real standard deviations]",
        ylim=(-0.7, len(names) - 0.3),
    )
    axes.grid(axis="x", alpha=0.25)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@styled
def control_gains(experiments: Mapping, *, source: str) -> Figure:
    """Draw the gain in log-density by each control's features, with its standard error.

    Arguments:
        experiments: Those of `controls.json`: `question`, `gain` and `standard_error` [nat], by
            name.
    """
    figure = new_figure(7, 0.8 + 0.42 * len(experiments), source)
    axes = figure.subplots()
    rows = np.arange(len(experiments))[::-1]
    gains = [result["gain"] for result in experiments.values()]
    errors = [2 * result["standard_error"] for result in experiments.values()]
    axes.errorbar(gains, rows, xerr=errors, fmt="o", color=COLOURS["image"], capsize=3)
    axes.axvline(0, color=COLOURS["truth"], lw=1)
    axes.set_yticks(rows, [r["question"].replace("A_V", "$A_V$") for r in experiments.values()])
    axes.set(
        xlabel="gain over photometry [nat] ± 2 standard errors", ylim=(-0.6, len(experiments) - 0.4)
    )
    axes.grid(axis="x", alpha=0.25)
    return figure
