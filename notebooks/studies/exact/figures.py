"""Figures and tables of exact posteriors and of the flows beside them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LABELS, LIGHT, histogram, limits, new_figure, styled
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from studies.figures import formatted, gain_bar, label_bars
from studies.frame import rows_of

TABLES = rows_of(dict, Path(__file__).with_name("tables.yaml"))
LOOKS = {"book": (COLOURS["photometry"], "solid"), "many": ("#009E73", "dashed")}


@styled
def marginals(
    draws: pd.DataFrame, table: pd.DataFrame, names: Mapping[str, str], *, source: str
) -> Figure:
    """Draw marginals of some galaxies: the exact posterior filled, flows and label as lines.

    Arguments:
        draws: Draws from each posterior: the five properties, `object_id` and `posterior`.
        table: One row per galaxy with `object_id`, `mag_r` and `<property>_label`.
        names: Words for the posteriors `exact`, `book` and `many`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    galaxies = list(dict.fromkeys(draws["object_id"]))
    rows = table.set_index("object_id").loc[galaxies]
    figure = new_figure(8.2, 1.55 * len(galaxies) + 0.7, source)
    grid = figure.subplots(len(galaxies), len(PROPERTY_NAMES), sharex="col", squeeze=False)
    for column, name in enumerate(PROPERTY_NAMES):
        low, high = limits(draws[name].to_numpy())
        measured = rows[f"{name}_label"]
        low, high = min(low, measured.min() - 0.02), max(high, measured.max() + 0.02)
        bins = np.linspace(low, high, 41)
        for axes, galaxy in zip(grid[:, column], galaxies, strict=True):
            part = draws[draws["object_id"] == galaxy].groupby("posterior")[name]
            for model, (colour, line) in {"exact": ("#777777", None), **LOOKS}.items():
                look = {"ls": line} if line else {"filled": True}
                values = part.get_group(model).to_numpy()
                histogram(axes, values, bins, colour, label=names[model], **look)
            axes.axvline(measured[galaxy], color=COLOURS["line"], lw=1, label="measured value")
            axes.set(yticks=[], xlim=(low, high))
            axes.spines["left"].set_visible(False)
        grid[-1, column].set_xlabel(LABELS[name])
    for axes, galaxy in zip(grid[:, 0], galaxies, strict=True):
        axes.set_ylabel(f"$r$ = {rows.loc[galaxy, 'mag_r']:.2f}")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


@styled
def gaps(table: pd.DataFrame, names: Mapping[str, str], *, source: str) -> Figure:
    """Draw how far each flow lies below the exact log-density, galaxy by galaxy.

    Arguments:
        table: One row per galaxy: log-densities at the measured properties by the `exact`
            posterior and the flows `book` and `many` [nat].
        names: Words for the flows.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = new_figure(7.2, 3.3, source)
    left, right = figure.subplots(1, 2, width_ratios=[1.4, 1])
    below = {model: (table["exact"] - table[model]).to_numpy() for model in LOOKS}
    reach = limits(*below.values(), inside=97)
    bins = np.linspace(*reach, 31)
    for model, (colour, line) in LOOKS.items():
        marker = "o" if model == "book" else "x"
        shown = below[model].clip(*reach)
        left.scatter(table["exact"], shown, s=16, c=colour, marker=marker, lw=1, alpha=0.8)
        histogram(right, shown, bins, colour, ls=line)
        mean = below[model].mean()
        error = below[model].std() / np.sqrt(len(table))
        right.axvline(mean, color=colour, lw=1.2, ls=line)
        text = f"{names[model]}: mean {mean:.2f} ± {error:.2f}".replace("-", "−")
        right.plot([], [], color=colour, ls=line, marker=marker, label=text)
    left.axhline(0, color=COLOURS["line"], lw=1)
    edge = 1.05 * np.abs(reach).max()
    left.set(xlabel="exact $\\log p$ [nat]", ylabel="exact less flow [nat]", ylim=(-edge, edge))
    right.set(xlabel="exact less flow [nat]", ylabel="share of galaxies", xlim=reach)
    right.axvline(0, color=COLOURS["line"], lw=1)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def information_bars(
    information: Mapping[str, Mapping], label: str, *, ceiling: str, source: str
) -> Figure:
    """Draw information about one property by different methods, as bars with their errors.

    Arguments:
        information: Its `mean` and `standard_error` by method [nat].
        label: Label of the property.
        ceiling: Name of the method that is drawn as a line because no other can pass it.
        source: Words in the figure's corner that say what the galaxies are.
    """
    bars = {name: of for name, of in information.items() if name != ceiling}
    figure = new_figure(7, 1.0 + 0.4 * len(bars), source)
    axes = figure.subplots()
    for place, (name, of) in enumerate(bars.items()):
        colour = LIGHT if "exact" in name else COLOURS["photometry"]
        gain_bar(axes, -place, {"gain": of["mean"], **of}, colour=colour)
    most = information[ceiling]["mean"]
    axes.axvline(most, color=COLOURS["line"], ls="dashed", lw=1.2)
    axes.text(most, 1.02, ceiling, transform=axes.get_xaxis_transform(), ha="right", fontsize=9)
    axes.axvline(0, color=COLOURS["line"], lw=1)
    label_bars(axes, list(bars), f"information on {label} [nat] ± 2 standard errors")
    return figure


def check_table(result: Mapping) -> pd.DataFrame:
    """Return how far exact posteriors agree with themselves and with examples of the prior.

    Arguments:
        result: Result of `summary.summarise`.
    """
    brute_force = result["sampler"]["brute_force"]
    rows = formatted(TABLES["checks"], result)
    if brute_force["n_galaxies"]:
        rows |= formatted(TABLES["brute_force"], brute_force)
    return pd.Series(rows, name="value").to_frame()


def gap_table(result: Mapping, names: Mapping[str, str]) -> pd.DataFrame:
    """Return log-density, gap and classifier accuracy of each posterior, and the flows' widths.

    Arguments:
        result: Result of `summary.summarise`.
        names: Words for the posteriors.
    """
    rows = {}
    for model, name in names.items():
        shown = ("log_density", "gap", "extrapolated_gap", "c2st")
        numbers = {number: result[number].get(model) for number in shown}
        rows[name] = formatted(TABLES["exact" if model == "exact" else "flow"], numbers)
        for p in PROPERTIES:
            ratio = result["properties"][p.name]["width_ratio"].get(model, {"mean": 1})
            rows[name][f"width of {p.plain_symbol}"] = f"{ratio['mean']:.2f}"
    return pd.DataFrame.from_dict(rows, orient="index")


def information_table(result: Mapping) -> pd.DataFrame:
    """Return the information on each property, and how narrow the exact posterior is.

    Arguments:
        result: Result of `summary.summarise`.
    """
    rows = {
        p.symbol_with_unit: formatted(TABLES["information"], result["properties"][p.name])
        for p in PROPERTIES
    }
    return pd.DataFrame.from_dict(rows, orient="index")
