"""How fast: error against time of each solver, and time against the number of galaxies."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from galcfm.figures.style import COLOURS, LIGHT, new_figure, styled

# Colour and marker of the solvers that the benchmarks compare.
SOLVERS = {
    "galcfm": (COLOURS["image"], "o"),
    "torchdiffeq RK4": ("#E69F00", "s"),
    "torchdiffeq dopri5": ("#E69F00", "v"),
    "flow_matching RK4": ("#009E73", "s"),
    "flow_matching dopri5": ("#009E73", "v"),
    "zuko": ("#CC79A7", "D"),
    "sbi": ("#333333", "<"),
}


@styled
def how_fast(results: Mapping) -> Figure:
    """Show error against time of each solver, and time against the number of galaxies.

    Arguments:
        results: what `make bench` writes to `data/published/benchmarks.json`.
    """
    figure = new_figure(11, 4.4, results["machine"]["processor"])
    axes = figure.subplots(1, 3)
    handles = {}
    for panel, part, label in (
        (axes[0], "sampling_image", "Largest error of a sample [spreads]"),
        (axes[1], "density", "Largest error of a log-density [nat]"),
    ):
        rows = pd.DataFrame(results[part]["solvers"])
        for solver, group in rows.groupby("solver", sort=False):
            colour, marker = SOLVERS[solver]
            group = group.sort_values("max_error")
            handles[solver] = panel.loglog(
                group["seconds"],
                group["max_error"],
                color=colour,
                marker=marker,
                lw=2 if solver == "galcfm" else 1,
                label=solver,
            )[0]
        panel.axhline(results[part]["tolerance"], color=LIGHT, ls=":")
        n_draws = results[part]["galaxies"] * results[part]["samples"]
        panel.set(xlabel=f"Seconds for {n_draws:,} draws", ylabel=label)
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        panel.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
    figure.legend(handles=handles.values(), loc="outside lower left", ncols=7)
    rows = pd.DataFrame(results["scaling"]["rows"])
    axes[2].loglog(
        rows["galaxies"], rows["seconds"], "o-", color=COLOURS["image"], label="measured"
    )
    line = rows["seconds"].iloc[-1] * rows["galaxies"] / rows["galaxies"].iloc[-1]
    axes[2].loglog(rows["galaxies"], line, ":", color=LIGHT, label="proportional")
    axes[2].set(xlabel="Galaxies", ylabel="Seconds")
    axes[2].legend()
    return figure
