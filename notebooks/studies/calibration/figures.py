"""Figures and tables of calibration."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from galcfm.figures import style
from galcfm.figures.tables.words import SYMBOLS, with_error
from galcfm.properties import PROPERTIES
from studies.figures import by_model

# Without units: panels are wide enough for no more.
SHORT = {"hpd": "all: density (HPD)", "tarp": "all: distance (TARP)"} | {
    p.name: f"${p.symbol}$".replace(r"\star", r"\bigstar") for p in PROPERTIES
}
# Names of the tests in tables.
TESTS = {"hpd": "density", "tarp": "distance", **SYMBOLS, "hpd_smoothed": "density, smoothed"}


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
    figure = style.new_figure(10, 5, source)
    grid = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for axes, name in zip(grid, tests, strict=False):
        axes.fill_between(tests.index, *band, color=style.LIGHT, alpha=0.3, lw=0)
        axes.axhline(0, color=style.COLOURS["line"], lw=1, ls="--")
        for model in models:
            axes.plot(tests.index, deviations[model][name], color=style.COLOURS[model], lw=1.8)
        axes.set_title(SHORT[name], fontsize=10)
        axes.set(xlim=(0, 1))
    for axes in grid[3:7]:
        axes.set_xlabel("Rank of truth [fraction]")
        axes.tick_params(labelbottom=True)
    for axes in grid[::4]:
        axes.set_ylabel("Share below − expected")
    grid[7].set_axis_off()
    style.model_legend(grid[7], models, loc="center")
    style.note(grid[7], 0.5, 0.2, "grey: 95 % band", ha="center", va="baseline")
    return figure


@style.styled
def departures(values: Mapping[str, pd.DataFrame], *, source: str) -> Figure:
    """Draw the largest deviation from uniform ranks in bins, in half-widths of the band.

    Arguments:
        values: Results of `ranks.departures` by model, one row per bin, one column per test.
        source: Words in the figure's corner that say what the galaxies are.
    """
    rows = next(iter(values.values())).index
    figure, panels = by_model(values, 10, 1.6 + 0.26 * len(rows), source, sharey=True)
    colours = ListedColormap(["#f2f2f2", "#fee0b6", "#fdae61", "#b30000"])
    norm = BoundaryNorm([0, 1, 1.5, 2, 3], colours.N)
    words = {"log_stellar_mass": SHORT["log_stellar_mass"], "redshift": "$z$", "mag_r": "$r$"}
    last = max(number for _, number in rows)
    labels = [
        words[column] + {1: ": lowest", last: ": highest"}.get(number, f": {number} of {last}")
        for column, number in rows
    ]
    for model, axes in panels.items():
        names = [SHORT[name].replace("all: ", "") for name in values[model]]
        table = values[model].set_axis(names, axis=1).set_axis(labels)
        sns.heatmap(table, ax=axes, cmap=colours, norm=norm, annot=True, fmt=".1f", cbar=False)
        axes.set_xticks(axes.get_xticks(), names, rotation=40, ha="right")
        axes.tick_params(length=0)
    grid = list(panels.values())
    bar = figure.colorbar(grid[0].collections[0], ax=grid, pad=0.01, fraction=0.04)
    bar.set_label("deviation [half-widths of the band]")
    return figure


@style.styled
def variant_gains(compared: pd.DataFrame, *, source: str) -> Figure | None:
    """Draw the gain of each variant of a training over the book's own, one panel per model.

    Arguments:
        compared: Result of `ranks.compare_variants`, with a gain in each row.
        source: Words in the figure's corner that say what the galaxies are.
    """
    shown = compared.query("gain != 0").sort_values("gain")
    if shown.empty:
        return print("not made: other variants than the run's own models")
    most = shown.groupby(level=0).size().max()
    figure, panels = by_model(compared.index.levels[0], 10, 1.1 + 0.28 * most, source)
    for model, axes in panels.items():
        table = shown[shown.index.get_level_values(0) == model].droplevel(0)
        rows, look = range(len(table)), {"fmt": "o", "ms": 5, "color": style.COLOURS[model]}
        axes.axvline(0, color=style.COLOURS["line"], lw=1, ls="--")
        axes.errorbar(table["gain"], rows, xerr=table["error"], **look)
        axes.set_yticks(rows, table.index)
        axes.set_xlabel("Gain in mean log p [nat]")
        axes.grid(axis="x", color=style.LIGHT, alpha=0.3)
    return figure


def departure_table(departures: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return the largest deviation of each test in half-widths of the band, one row per model.

    Arguments:
        departures: A row of `ranks.departures` by model.
    """
    return pd.DataFrame(departures).T.rename(columns=TESTS).round(2)


def variant_table(compared: pd.DataFrame, model: str) -> pd.DataFrame | None:
    """Return the tests, and the gain in log p over the run's own model, one row per variant.

    Arguments:
        compared: Result of `ranks.compare_variants`.
        model: Name of the model, whose variants may not have been made.
    """
    if model not in compared.index:
        return print(f"not made: variants of the {model} model")
    compared = compared.loc[model]
    tests = [name for name in TESTS if name in compared]
    table = compared[tests].rename(columns=TESTS).round(2)
    table["gain [nat]"] = [
        # In one line, however narrow the page.
        with_error(gain, error, 3, "+").replace(" ", "\N{NO-BREAK SPACE}")
        for gain, error in zip(compared["gain"], compared["error"], strict=True)
    ]
    return table
