"""Figures and tables of how real the simulated survey is."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LABELS, LIGHT, new_figure, styled
from galcfm.figures.tables.words import with_error
from studies.realism.measurements import GROUPS

KINDS = {"real": COLOURS["line"], "simulated": COLOURS["image"]}


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
            axes.hlines([-row] * 2, [low, start], [high, end], color=colour, lw=[1, 5], alpha=0.5)
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
    table = pd.DataFrame(offsets).T.map(lambda row: row["offset"])
    table = table.rename(index=names, columns="{} %".format)
    table.plot.bar(ax=axes, rot=0, width=0.8, colormap="viridis")
    axes.axhline(0, color=COLOURS["line"], lw=1)
    axes.set(xlabel="", ylabel="simulated − real [standard deviations]")
    axes.grid(axis="y", alpha=0.25)
    return figure


def percentiles(columns: Mapping[str, dict]) -> pd.DataFrame:
    """Return percentiles of real and simulated galaxies, one row per property.

    Arguments:
        columns: `real` and `simulated` by property and percentile.
    """
    table = pd.DataFrame(columns).T.map("{0[real]:.2f} / {0[simulated]:.2f}".format)
    return table.rename(columns="{} %".format).rename_axis("real / simulated")


def explanations(reasons: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return the offsets of the percentiles of one column, one row per reason.

    Arguments:
        reasons: Offsets by reason and percentile, of `try_explanations`.
    """
    table = pd.DataFrame(reasons).T.map("{:+.2f}".format)
    return table.rename(columns="{} %".format).rename_axis("offset in standard deviations")


def cutout_statistics(statistics: Mapping[str, dict]) -> pd.DataFrame:
    """Return medians of the measurements on real and simulated cutouts, one row per measurement.

    The 10th and the 90th percentile follow in parentheses.

    Arguments:
        statistics: 10th, 50th and 90th percentile of `real` and `simulated`, and the `auc`.
    """
    words = {name: word for group in GROUPS.values() for name, word in group.items()}
    table = pd.DataFrame(statistics).T.rename(index=words, columns={"auc": "AUC"})
    for kind in KINDS:
        table[kind] = [
            f"{middle:.2f} ({low:.2f} to {high:.2f})" for low, middle, high in table[kind]
        ]
    return table.astype({"AUC": float}).round(2)


def control_gains(experiments: Mapping[str, dict]) -> pd.DataFrame:
    """Return the gain of each control over photometry alone [nat], one row per control.

    Arguments:
        experiments: Those of `controls.json`.
    """
    table = pd.DataFrame(experiments).T.set_index("question")
    table["gain"] = [
        with_error(gain, error, 3, "+")
        for gain, error in zip(table["gain"], table["standard_error"], strict=True)
    ]
    names = {"n_test": "galaxies", "trainings": "trainings"}
    return table[["gain", *names]].rename(columns=names).rename_axis("given beside the photometry")
