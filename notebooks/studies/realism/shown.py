"""Figures and tables of how real the simulated survey is."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, COLUMN, LABELS, LIGHT, MEASURED, OTHER, new_figure, styled
from galcfm.figures.tables.words import number
from studies.realism.measurements import GROUPS

KINDS = {"real": MEASURED, "simulated": OTHER[0]}
# Other assumptions that were tried, in words.
REASONS = {
    "errors of 0.4 mag": "errors of 0.4 mag",
    "stars behind the dust of the gas": "stars behind the gas's dust",
    "of the emission lines": "dust of the emission lines",
    "of the whole galaxy": "whole galaxy, no fibre",
    "whatever lines are seen": "no lines required",
}
# Panels of `percentile_offsets`; the second row has other assumptions.
PANELS = ("log_stellar_mass", "log_sfr", "redshift", "oxygen_abundance", "dn4000", "a_v")


@styled
def colour_comparison(colours: Mapping, *, source: str) -> Figure:
    """Draw colours of real and simulated galaxies: medians, 16 to 84 % and 5 to 95 %.

    Arguments:
        colours: Five percentiles [mag] of each colour, in `real` and in `simulated`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    names = list(colours["real"])
    figure = new_figure(COLUMN, 2.2, source)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for row, (kind, look) in enumerate(KINDS.items()):
            low, start, middle, end, high = colours[kind][name]
            bars = {"color": look.colour, "lw": [1, 5], "alpha": 0.5}
            axes.hlines([-row] * 2, [low, start], [high, end], **bars)
            axes.plot(middle, -row, look.marker, color=look.colour)
        axes.set_yticks([0, -1], list(KINDS) if axes.get_subplotspec().is_first_col() else [])
        axes.set(xlabel=f"${name.replace('−', '-')}$ [mag]", ylim=(-1.6, 0.6))
        axes.grid(axis="x", alpha=0.25)
    return figure


@styled
def percentile_offsets(
    offsets: Mapping, reasons: Mapping, *, allowed: float, source: str
) -> Figure:
    """Draw percentiles of simulated properties minus the real ones, one panel per property.

    Arguments:
        offsets: `offset` in standard deviations of the real galaxies, by column and percentile.
        reasons: Offsets by column, name of another assumption and percentile, of
            `try_explanations`.
        allowed: Half-width of the shaded band.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = new_figure(COLUMN, 5.4, source)
    grid = figure.subplots(2, 3, sharex=True, sharey="row").ravel()
    looks = dict(zip(REASONS, OTHER[1:], strict=True))
    for axes, column in zip(grid, PANELS, strict=True):
        axes.axhspan(-allowed, allowed, color=LIGHT, alpha=0.25, lw=0)
        axes.axhline(0, color=COLOURS["line"], lw=1)
        for name in sorted(reasons.get(column, {})):
            if name in looks:
                _line(axes, reasons[column][name], looks[name], lw=1.2, ms=4, label=REASONS[name])
        found = {percent: row["offset"] for percent, row in offsets[column].items()}
        _line(axes, found, KINDS["simulated"], lw=2.2, ms=6, label="simulated survey")
        axes.set_title((LABELS | {"redshift": "redshift"})[column].split(" [")[0], fontsize=10)
    for axes in grid[3:]:
        axes.set_xlabel("percentile")
    for axes in grid[::3]:
        axes.set_ylabel("simulated − real [std. dev.]")
    handles = {}
    for axes in grid:
        handles |= {line.get_label(): line for line in axes.get_lines()[1:]}
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=3)
    return figure


def _line(axes, by_percentile: Mapping[str, float], look, **options) -> None:
    percents = list(map(int, by_percentile))
    values = list(by_percentile.values())
    axes.plot(percents, values, color=look.colour, marker=look.marker, **options)
    axes.set_xticks(percents)


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
            f"{number(middle)} ({number(low)} to {number(high)})"
            for low, middle, high in table[kind]
        ]
    return table.assign(AUC=[number(value) for value in table["AUC"]])
