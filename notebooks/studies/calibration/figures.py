"""Figures and tables of calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import norm

from galcfm.figures import style
from galcfm.figures.tables.words import SYMBOLS, number, with_error
from galcfm.properties import PROPERTIES
from studies.figures import by_model

# Without units: panels are wide enough for no more.
SHORT = {"hpd": "all: density (HPD)", "tarp": "all: distance (TARP)"} | {
    p.name: f"${p.symbol}$".replace(r"\star", r"\bigstar") for p in PROPERTIES
}
# Names of the tests in tables.
TESTS = {"hpd": "all: density", "tarp": "all: distance", **SYMBOLS}
# Mean and width of the draws of the cartoon, where the measured values are N(0, 1).
KINDS = {
    "calibrated": (0.0, 1.0),
    "too narrow": (0.0, 0.7),
    "too wide": (0.0, 1.5),
    "shifted to low values": (-0.4, 1.0),
}
ENDS = {
    "log_stellar_mass": ("lowest", "highest"),
    "redshift": ("nearest", "farthest"),
    "mag_r": ("brightest", "faintest"),
}


@style.styled
def rank_cartoon(*, source: str) -> Figure:
    """Draw how ranks are distributed under posteriors that are right, and wrong in three ways.

    Above, histograms of the ranks; below, the share of galaxies below each rank minus what a
    calibrated model has, as `rank_bands` shows it.

    Arguments:
        source: Words in the figure's corner that say what it shows.
    """
    places = np.linspace(0.001, 0.999, 400)
    figure = style.new_figure(style.COLUMN, 3.3, source)
    grid = figure.subplots(2, len(KINDS), sharex=True, sharey="row")
    for (upper, lower), (kind, (mean, width)) in zip(grid.T, KINDS.items(), strict=True):
        # The measured value at which this share of the draws is lower.
        value = mean + width * norm.ppf(places)
        height = width * norm.pdf(value) / norm.pdf(norm.ppf(places))
        upper.fill_between(places, height, color=style.OTHER[0].colour, alpha=0.5, lw=0)
        upper.axhline(1, color=style.COLOURS["line"], lw=1, ls="--")
        lower.plot(places, 100 * (norm.cdf(value) - places), color=style.OTHER[0].colour, lw=2)
        lower.axhline(0, color=style.COLOURS["line"], lw=1, ls="--")
        upper.set_title(kind, fontsize=10)
        upper.set(ylim=(0, 2.2), yticks=[])
        lower.set(xlabel="Rank [fraction]", xlim=(0, 1), xticks=[0, 0.5, 1])
    grid[0, 0].set_ylabel("Galaxies")
    grid[1, 0].set_ylabel("Share below\n− expected [%]")
    return figure


@style.styled
def rank_bands(deviations: Mapping[str, pd.DataFrame], band, *, source: str) -> Figure:
    """Draw rank shares of each test minus what calibrated posteriors have, with the 95 % band.

    Arguments:
        deviations: Results of `ranks.deviations` by model, one column per test.
        band: Lowest and highest deviation inside the band at these levels, each of shape `(L,)`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    models = style.posteriors_in_order(deviations)
    tests = deviations[models[0]]
    figure = style.new_figure(style.COLUMN, 3.9, source)
    grid = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for axes, name in zip(grid, tests, strict=False):
        limits = (100 * limit for limit in band)
        axes.fill_between(
            tests.index, *limits, color=style.LIGHT, alpha=0.3, lw=0, label="95 % band"
        )
        axes.axhline(0, color=style.COLOURS["line"], lw=1, ls="--")
        for model in models:
            look = {"color": style.COLOURS[model], "lw": 1.8, "label": style.TITLES[model]}
            axes.plot(tests.index, 100 * deviations[model][name], **look)
        axes.set_title(SHORT[name], fontsize=10)
        axes.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    for axes in grid[3:7]:
        axes.set_xlabel("Rank [fraction]")
        axes.tick_params(labelbottom=True)
    for axes in grid[::4]:
        axes.set_ylabel("Share below\n− expected [%]")
    grid[7].set_axis_off()
    handles = grid[0].get_legend_handles_labels()
    grid[7].legend(*handles, loc="center", handlelength=1.2, fontsize=10)
    return figure


@style.styled
def shifts_in_bins(values: Mapping[str, pd.DataFrame], *, source: str) -> Figure:
    """Draw how far the ranks are shifted in bins, as cells with numbers.

    Arguments:
        values: By model one row per bin, by name of its column and number from 1, and one column
            per test: the shift [% of the range of ranks].
        source: Words in the figure's corner that say what the galaxies are.
    """
    rows = next(iter(values.values())).index
    figure, panels = by_model(values, style.COLUMN, 1.5 + 0.25 * len(rows), source, sharey=True)
    words = {"log_stellar_mass": SHORT["log_stellar_mass"], "redshift": "$z$", "mag_r": "$r$"}
    last = max(bin_number for _, bin_number in rows)
    labels = [
        f"{words[column]}, " + {1: ENDS[column][0], last: ENDS[column][1]}.get(k, f"{k} of {last}")
        for column, k in rows
    ]
    for model, axes in panels.items():
        names = [SHORT[name].replace("all: ", "") for name in values[model]]
        table = values[model].set_axis(names, axis=1).set_axis(labels)
        words_in = table.map(lambda shift: number(shift, 0))
        look = {"cmap": "PRGn", "vmin": -15, "vmax": 15, "cbar": False, "linewidths": 0.5}
        sns.heatmap(table, ax=axes, annot=words_in, fmt="", annot_kws={"fontsize": 9}, **look)
        axes.set_xticks(axes.get_xticks(), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
    return figure


def shift_table(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return shifts and scatters of the ranks of each test, two columns per model.

    Arguments:
        found: Results of `ranks.shifts` by model.
    """
    table = {}
    for model, rows in found.items():
        title = style.TITLES[model]
        pairs = zip(rows["shift"], rows["error"], strict=True)
        table[title, "shift of the ranks [%]"] = [with_error(*pair, 1, "+") for pair in pairs]
        table[title, "variance / uniform"] = list(map(number, rows["scatter"]))
    return pd.DataFrame(table, index=[TESTS[name] for name in rows.index])


def region_table(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the share of galaxies inside highest-density regions, one row per level.

    Arguments:
        found: Results of `ranks.region_shares` by words for the model.
    """
    table = {}
    for name, rows in found.items():
        table[f"{name} [%]"] = [number(share, 1) for share in rows["found"]]
    table["standard error [%]"] = [number(error, 1) for error in rows["error"]]
    return pd.DataFrame(table, index=[f"{number(n)}\N{NO-BREAK SPACE}%" for n in rows["nominal"]])
