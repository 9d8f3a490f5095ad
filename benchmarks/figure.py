"""Speed: error against time of each solver, and time against the number of galaxies."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from galcfm.figures.style import COLUMN, LIGHT, OTHER, new_figure, styled

# Colour and marker of the solvers that the benchmarks compare.
SOLVERS = {
    "galcfm": (OTHER[0].colour, "o"),
    "torchdiffeq RK4": (OTHER[1].colour, "s"),
    "torchdiffeq dopri5": (OTHER[1].colour, "v"),
    "flow_matching RK4": (OTHER[2].colour, "s"),
    "flow_matching dopri5": (OTHER[2].colour, "v"),
    "zuko": (OTHER[3].colour, "D"),
    "sbi": (OTHER[4].colour, "<"),
}
DRAWS = 1000  # number of draws for which all times are given


def _draw_solvers(axes: Axes, part: Mapping, ylabel: str) -> dict:
    """Draw the solvers of one part, and return one line per solver by its name."""
    lines = {}
    scale = DRAWS / (part["galaxies"] * part["samples"])
    for solver, group in pd.DataFrame(part["solvers"]).groupby("solver", sort=False):
        colour, marker = SOLVERS[solver]
        group = group.sort_values("max_error")
        look = {"color": colour, "marker": marker, "ms": 5, "label": solver}
        width = 2 if solver == "galcfm" else 1
        times, errors = scale * group["seconds"], group["max_error"]
        lines[solver] = axes.loglog(times, errors, lw=width, **look)[0]
    axes.axhline(part["tolerance"], color=LIGHT, ls=":")
    axes.set(xlabel=f"time of {DRAWS:,} draws [s]", ylabel=ylabel)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(NullLocator())
    return lines


@styled
def errors(results: Mapping) -> Figure:
    """Draw the largest error against the time of each solver, for samples and log-densities.

    Arguments:
        results: Results that `make bench` writes to `data/published/benchmarks.json`.
    """
    figure = new_figure(COLUMN, 4.2, results["machine"]["processor"])
    left, right = figure.subplots(1, 2)
    lines = _draw_solvers(left, results["sampling_image"], "largest error of a sample [σ]")
    lines |= _draw_solvers(right, results["density"], "largest error of a log-density [nat]")
    figure.legend(handles=lines.values(), loc="outside lower center", ncols=4)
    return figure


@styled
def scaling(results: Mapping) -> Figure:
    """Draw the time against the number of galaxies.

    Arguments:
        results: Results that `make bench` writes to `data/published/benchmarks.json`.
    """
    of, (colour, marker) = results["scaling"], SOLVERS["galcfm"]
    figure = new_figure(0.6 * COLUMN, 3.2, results["machine"]["processor"])
    axes = figure.subplots()
    rows = pd.DataFrame(of["rows"])
    axes.loglog(rows["galaxies"], rows["seconds"], marker=marker, color=colour, label="measured")
    line = rows["seconds"].iloc[-1] * rows["galaxies"] / rows["galaxies"].iloc[-1]
    axes.loglog(rows["galaxies"], line, ":", color=LIGHT, label="proportional")
    axes.set(xlabel="number of galaxies", ylabel=f"time of {of['samples']} draws each [s]")
    axes.legend()
    return figure
