"""The tables and the figures of the study."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galcfm.figures.style import (
    COLOURS,
    COLUMN,
    IMAGE,
    LABELS,
    LIGHT,
    OTHER,
    PHOTOMETRY,
    TITLES,
    new_figure,
    styled,
)
from galcfm.figures.tables.words import METRICS
from studies.figures import forest, gain_bar, label_bars
from studies.picture_worth.by_property import MODELS
from studies.picture_worth.rows import ROWS

# From the book's first survey to all relations: each step keeps those before it.
LADDER = ("old", "old_fibre", "all")
GROUPS = yaml.safe_load(Path(__file__).with_name("groups.yaml").read_text(encoding="utf-8"))
EARLY = "early survey and "  # begins the labels of single relations, under a heading that says it
LOOKS = {"photometry": PHOTOMETRY, "image": IMAGE}


@styled
def ladder(steps: Mapping[str, Mapping], paper: float, *, source: str) -> Figure:
    """Draw what the image adds to photometry, step by step towards the paper's number.

    Arguments:
        steps: `gain` and `standard_error` [nat] by label, each with the changes of those before it.
        paper: Gain of the paper [nat].
        source: What the galaxies are, for the corner of the figure.
    """
    figure = new_figure(COLUMN, 1.0 + 0.45 * (len(steps) + 2), source)
    axes = figure.subplots()
    before, labels = 0.0, []
    for place, (label, step) in enumerate(steps.items()):
        gain = gain_bar(axes, -place, step, before)
        axes.plot([gain, gain], [-place - 0.3, -place - 1], color=LIGHT, lw=0.8)
        labels.append(textwrap.fill(f"{label}: {gain:.2f}", 38))
        before = gain
    last = len(steps)
    axes.barh(-last, paper - before, left=before, color="none", edgecolor=LIGHT, hatch="///")
    labels.append(f"not accounted for: {paper - before:+.2f}")
    axes.barh(-last - 1, paper, color=COLOURS["line"], alpha=0.75, height=0.6)
    labels.append(f"the paper: {paper:.2f}")
    axes.axvline(0, color=COLOURS["line"], lw=1)
    label_bars(axes, labels, "gain of the image model over photometry [nat]")
    return figure


def all_gains(rows: Mapping[str, Mapping], *, source: str) -> Figure:
    """Draw what the image adds to photometry in each row.

    Arguments:
        rows: Rows of the study by name.
        source: What the galaxies are, for the corner of the figure.
    """
    groups = {}
    for heading, names in GROUPS.items():
        made = {ROWS[name].label.split(EARLY)[-1]: rows[name] for name in names if name in rows}
        groups |= {heading: made} if made else {}
    return forest(groups, source=source, xlabel="gain of the image [nat]")


def _dumbbell(axes: Axes, place: float, of: Mapping[str, float], face: str | None = None) -> None:
    """Draw the numbers of both models at a height, joined by a line."""
    axes.plot([of[model] for model in MODELS], [place] * 2, color=LIGHT, lw=2, zorder=1)
    for model, look in LOOKS.items():
        colours = {"color": look.colour, "markerfacecolor": face or look.colour}
        label = TITLES[model] if place == 0 else None
        axes.plot(of[model], place, look.marker, ms=8, **colours, label=label)


@styled
def standing(models: Mapping[str, Mapping[str, Mapping[str, float]]], *, source: str) -> Figure:
    """Draw where pairs of models stand: mean Δlog p on the left, mean D_KL on the right.

    Arguments:
        models: By label of the pair and name of the model, the mean of each metric [nat].
        source: What the galaxies are, for the corner of the figure.
    """
    figure = new_figure(COLUMN, 1.3 + 0.4 * len(models), source)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, symbol in zip(panels, METRICS, (r"$\Delta\log p$", "$D_{KL}$"), strict=True):
        for place, of in enumerate(models.values()):
            if metric in of["image"]:
                _dumbbell(axes, -place, {model: of[model][metric] for model in MODELS})
        label_bars(axes, list(models), f"mean {symbol} [nat]")
        axes.set_ylim(-len(models) + 0.4, 0.6)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def properties(
    paper: pd.DataFrame, ours: pd.DataFrame, direct: pd.DataFrame, *, source: str
) -> Figure:
    """Draw the share of each property that means explain, and what the image adds to it.

    Arguments:
        paper: Table of `by_property.by_distance` of the paper's distances.
        ours: The same of this book's.
        direct: Table of `by_property.by_density` of this book.
        source: What the galaxies are, for the corner of the figure.
    """
    figure = new_figure(COLUMN, 4.8, source)
    left, right = figure.subplots(1, 2, sharey=True)
    places = -np.arange(len(paper))
    for step, (table, face) in enumerate(((paper, None), (ours, "white"))):
        for place, (_, row) in zip(places - 0.25 * step, table.iterrows(), strict=True):
            _dumbbell(left, place, row, face)
    names = "the paper, from W", "this book, from W", "this book, directly"
    for step, (name, table, look) in enumerate(
        zip(names, (paper, ours, direct), OTHER, strict=False)
    ):
        points = {"fmt": look.marker, "color": look.colour, "ms": 7, "capsize": 3, "label": name}
        gain, error = table["gain"], table["standard_error"]
        right.errorbar(gain, places - 0.25 * step, xerr=error, **points)
    right.axvline(0, color=COLOURS["line"], lw=1)
    label_bars(left, [LABELS[p] for p in direct.index], "share of variance explained, $R^2$")
    right.set_xlabel("gain of the image [nat]")
    right.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
