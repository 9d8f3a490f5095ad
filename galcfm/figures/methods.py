"""Figures of other methods beside this paper's, and of what matters in it."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from galcfm.figures.style import BAND_COLOURS, COLOURS, LIGHT, new_figure, styled
from galcfm.properties import PROPERTIES

__all__ = ["method_costs", "method_coverage", "point_gains"]


@styled
def method_costs(found: Mapping[str, Mapping], *, source: str) -> Figure:
    """What each method gains over this paper's photometry model, against the time of its draws.

    Arguments:
        found: by label `seconds` of 1,000 draws of a galaxy, `gain` and `standard_error` [nat], and
            `pictures`, whether it sees any.
    """
    figure = new_figure(7, 3.4 + 0.19 * len(found), source)
    axes = figure.subplots()
    for number, (label, one) in enumerate(found.items()):
        colour = COLOURS["image" if one["pictures"] else "photometry"]
        axes.errorbar(
            one["seconds"], one["gain"], yerr=2 * one["standard_error"], fmt="o", color=colour
        )
        # Numbered, as names would lie on each other.
        axes.annotate(
            str(number + 1), (one["seconds"], one["gain"]), xytext=(5, 4),
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
        axes.plot([], [], " ", label=f"{number + 1}: {label}")
    axes.axhline(0, color=COLOURS["truth"], lw=1)
    axes.set(
        xscale="log",
        xlabel="time of 1,000 draws of a galaxy [s]",
        ylabel="gain over photometry [nat]",
    )
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower left", handlelength=0, handletextpad=0)
    return figure


@styled
def method_coverage(found: Mapping[str, Mapping], *, source: str) -> Figure:
    """Share of labels within the 68 and 95 % intervals of each method, property by property.

    Arguments:
        found: by label and property `coverage_68` and `coverage_95`.
    """
    figure = new_figure(7.5, 1.6 + 0.32 * len(found), source)
    levels = (0.68, 0.95)
    for axes, level in zip(figure.subplots(1, 2, sharey=True), levels, strict=True):
        for k, (p, colour) in enumerate(zip(PROPERTIES, BAND_COLOURS, strict=True)):
            places = [
                (of[p.name][f"coverage_{round(100 * level)}"], -row)
                for row, of in enumerate(found.values())
                if p.name in of
            ]
            x, y = np.array(places).T if places else ([], [])
            axes.plot(
                x, np.asarray(y) + 0.1 * (2 - k), "o", ms=4, color=colour, label=f"${p.symbol}$"
            )
        axes.axvline(level, color=COLOURS["truth"], lw=1)
        axes.set(xlabel=f"share within {level:.0%}".replace("%", " %"), xlim=(None, 1.02))
        axes.grid(axis="x", alpha=0.25)
    axes.set_yticks(-np.arange(len(found)), list(found))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(PROPERTIES))
    return figure


@styled
def point_gains(found: Mapping[str, tuple[float, float]], *, source: str) -> Figure:
    """Gain in mean log-density of variants over the reference.

    Arguments:
        found: gain and standard error [nat] by label.
    """
    figure = new_figure(7, 0.9 + 0.32 * len(found), source)
    axes = figure.subplots()
    for row, (gain, error) in enumerate(found.values()):
        colour = COLOURS["image"] if gain >= 0 else COLOURS["photometry"]
        axes.barh(-row, gain, color=colour, alpha=0.75, height=0.6)
        axes.errorbar(gain, -row, xerr=2 * error, color=COLOURS["truth"], capsize=3, lw=1)
    axes.axvline(0, color=LIGHT, lw=1)
    axes.set_yticks(-np.arange(len(found)), list(found))
    axes.set(xlabel="gain over the reference [nat] ± 2 standard errors")
    axes.grid(axis="x", alpha=0.25)
    return figure
