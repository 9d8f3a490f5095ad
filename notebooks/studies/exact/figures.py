"""Figures and tables of exact posteriors and of the flows beside them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import (
    COLOURS,
    COLUMN,
    LABELS,
    LIGHT,
    MARKERS,
    OTHER,
    histogram,
    limits,
    new_figure,
    styled,
)
from galcfm.properties import PROPERTIES, PROPERTY_NAMES
from galcfm.simulate.labels import error_log_density
from studies.figures import formatted
from studies.frame import rows_of

TABLES = rows_of(dict, Path(__file__).with_name("tables.yaml"))
LOOKS = {"book": (COLOURS["photometry"], "solid"), "many": (OTHER[0].colour, "dashed")}


@styled
def marginals(
    draws: pd.DataFrame, table: pd.DataFrame, names: Mapping[str, str], *, source: str
) -> Figure:
    """Draw marginals of some galaxies: the exact posterior filled, flows and values as lines.

    Arguments:
        draws: Draws from each posterior: the five properties, `object_id` and `posterior`.
        table: One row per galaxy with `object_id`, `mag_r` and `<property>_label`.
        names: Words for the posteriors `exact`, `book` and `many`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    galaxies = list(dict.fromkeys(draws["object_id"]))
    rows = table.set_index("object_id").loc[galaxies]
    figure = new_figure(COLUMN, 1.35 * len(galaxies) + 0.7, source)
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
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def information(table: pd.DataFrame, result: Mapping, name: str, *, source: str) -> Figure:
    """Draw the information about each property: exact, by a flow, and the most that is possible.

    Bars are two standard errors of the difference from the exact posterior, galaxy by galaxy.

    Arguments:
        table: One row per galaxy: log-densities `<property>_exact` and `<property>_book` [nat] and
            the values `<property>_label` and `<property>_true`.
        result: Result of `summary.summarise`.
        name: Words for the flow.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = new_figure(COLUMN, 3.4, source)
    axes = figure.subplots()
    looks = {
        "book": {"label": name, "color": COLOURS["photometry"], "fmt": MARKERS["photometry"]},
        "known": {"label": "true value known", "color": COLOURS["line"], "fmt": "|", "ms": 14},
    }
    for place, p in enumerate(PROPERTIES):
        level = result["properties"][p.name]["information"]["exact"]["mean"]
        exact = table[f"{p.name}_exact"]
        error = table[f"{p.name}_label"] - table[f"{p.name}_true"]
        others = {"book": table[f"{p.name}_book"], "known": error_log_density(p.name, error)}
        axes.barh(-place, level, height=0.55, color=LIGHT, alpha=0.5, label="exact posterior")
        for kind, values in others.items():
            difference = values - exact
            at, bar = level + difference.mean(), 2 * difference.sem()
            axes.errorbar(at, -place, xerr=bar, capsize=3, **looks[kind])
        if place == 0:
            figure.legend(loc="outside lower center", ncols=3)
    symbols = [label.split(" [")[0] for label in LABELS.values()]
    axes.set_yticks(-np.arange(len(symbols)), symbols)
    axes.set(xlabel="information [nat]", xlim=(0, None))
    axes.grid(axis="x", alpha=0.25)
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
    """Return log-density, gap and classifier accuracy of each posterior.

    Arguments:
        result: Result of `summary.summarise`.
        names: Words for the posteriors.
    """
    rows = {}
    for model, name in names.items():
        shown = ("log_density", "gap", "extrapolated_gap", "c2st")
        numbers = {number: result[number].get(model) for number in shown}
        rows[name] = formatted(TABLES["exact" if model == "exact" else "flow"], numbers)
    return pd.DataFrame.from_dict(rows, orient="index")
