"""How the method works and how fast it is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from scipy.stats import norm

from galcfm.figures.style import (
    BAND_COLOURS,
    COLOURS,
    LIGHT,
    cutout,
    new_figure,
    styled,
    tag,
    text_colour,
)
from galcfm.properties import BANDS

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


def schematic_flow(n_paths: int, n_times: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact flow from N(0, 1) to a mixture of two Gaussians: times, paths, end density's samples.

    The velocity is the mean of θ_1 − θ_0 among all straight lines through a point, which is what
    a perfectly trained network gives.
    """
    weight, mean, width = np.array([0.68, 0.32]), np.array([0.9, -0.75]), np.array([0.28, 0.35])

    def velocity(t, x):
        variance = (1 - t) ** 2 + (t * width) ** 2
        offset = x[:, None] - t * mean
        share = weight * np.exp(-0.5 * offset**2 / variance) / np.sqrt(variance)
        each = mean + (t * width**2 - (1 - t)) / variance * offset
        return (share * each).sum(axis=1) / share.sum(axis=1)

    times = np.linspace(0, 1, n_times)
    paths = [norm.ppf((np.arange(n_paths) + 0.5) / n_paths)]
    step = times[1]
    for t in times[:-1]:
        middle = paths[-1] + 0.5 * step * velocity(t, paths[-1])
        paths.append(paths[-1] + step * velocity(t + 0.5 * step, middle))
    heights = np.linspace(-2.6, 2.6, 300)
    end = (weight * norm.pdf(heights[:, None], mean, width)).sum(axis=1)
    return times, np.array(paths), np.stack([heights, norm.pdf(heights), end])


@styled
def method_schematic(image: np.ndarray, magnitudes: np.ndarray, *, source: str) -> Figure:
    """Draw the method: cutout and magnitudes condition a flow from noise to the posterior.

    Arguments:
        image: one cutout, uint8 `(128, 128, 3)`.
        magnitudes: its magnitudes in u, g, r, i, z [AB mag], `(5,)`.
        source: what the galaxy is.
    """
    figure = Figure(figsize=(10, 4.1), dpi=150)
    tag(figure, source)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 10), ylim=(0, 4.1))
    canvas.set_axis_off()

    def arrow(start, end):
        canvas.annotate(
            "",
            end,
            start,
            arrowprops={
                "arrowstyle": "-|>",
                "lw": 1.5,
                "color": COLOURS["truth"],
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )

    def label(x, y, text, **options):
        canvas.text(x, y, text, ha="center", va="center", **{"fontsize": 10, **options})

    cutout(figure.add_axes((0.02, 0.47, 0.168, 0.41)), image)
    label(1.04, 3.78, "$gri$ cutout, 128 × 128")
    photometry = figure.add_axes((0.05, 0.17, 0.138, 0.2))
    photometry.plot(range(5), magnitudes, color=LIGHT, lw=1, zorder=1)
    photometry.scatter(range(5), magnitudes, s=34, c=BAND_COLOURS, zorder=2)
    photometry.set_xticks(range(5), [f"${band}$" for band in BANDS])
    photometry.set(xlim=(-0.5, 4.5), ylabel="AB mag")
    photometry.yaxis.set_major_locator(MaxNLocator(2))
    photometry.margins(y=0.3)
    photometry.invert_yaxis()
    label(1.2, 0.24, "$ugriz$ magnitudes")

    blue, orange = COLOURS["image"], COLOURS["photometry"]
    canvas.add_patch(
        Polygon(
            [(2.3, 3.55), (3.25, 3.1), (3.25, 2.4), (2.3, 1.95)], fc=blue, alpha=0.16, ec="none"
        )
    )
    label(2.77, 2.75, "image\nencoder", color=blue)
    arrow((1.93, 2.75), (2.28, 2.75))
    arrow((3.27, 2.75), (3.58, 2.75))
    arrow((1.93, 1.1), (3.58, 1.1))
    for bottom, cells, colour, name in (
        (1.95, 12, blue, "256 image\nfeatures"),
        (0.72, 5, orange, "5 magnitudes,\nstandardised"),
    ):
        shades = 0.25 + 0.6 * np.random.default_rng(5).random(cells)
        for k, shade in enumerate(shades):
            height = (1.6 if cells == 12 else 0.76) / cells
            canvas.add_patch(
                FancyBboxPatch(
                    (3.63, bottom + k * height),
                    0.16,
                    height * 0.82,
                    boxstyle="square,pad=0",
                    fc=colour,
                    alpha=shade,
                    lw=0,
                )
            )
        label(
            3.71,
            bottom - 0.24 if cells == 5 else 3.82,
            name,
            fontsize=9,
            color=text_colour("photometry" if cells == 5 else "image"),
        )
    arrow((3.86, 2.6), (4.33, 2.25))
    arrow((3.86, 1.15), (4.33, 1.75))
    canvas.add_patch(
        FancyBboxPatch(
            (4.42, 1.5),
            1.36,
            1.0,
            boxstyle="round,pad=0.06",
            fc="#eeeeee",
            ec=COLOURS["truth"],
            lw=1.2,
        )
    )
    label(5.1, 2.24, "velocity network")
    label(5.1, 1.8, r"$v_\phi(t,\,\theta_t,\,\mathcal{D})$", fontsize=13)
    arrow((5.86, 2.0), (6.3, 2.0))

    times, paths, (heights, noise, posterior) = schematic_flow(60, 60)
    flow = figure.add_axes((0.715, 0.19, 0.185, 0.62))
    flow.add_collection(
        LineCollection(
            np.stack([np.broadcast_to(times[:, None], paths.shape), paths], -1).transpose(1, 0, 2),
            colors=blue,
            lw=0.8,
            alpha=0.5,
        )
    )
    flow.set(xlim=(0, 1), ylim=(-2.6, 2.6), xlabel="time $t$", xticks=[0, 1], yticks=[])
    left = figure.add_axes((0.645, 0.19, 0.065, 0.62), sharey=flow)
    right = figure.add_axes((0.905, 0.19, 0.085, 0.62), sharey=flow)
    for axes, height, colour in ((left, -noise, LIGHT), (right, posterior, blue)):
        axes.fill_betweenx(heights, 0, height, color=colour, alpha=0.35, lw=0)
        axes.plot(height, heights, color=colour, lw=1.6)
        axes.set_axis_off()
    flow.spines["left"].set_visible(False)
    label(6.8, 3.55, r"noise $\theta_0$")
    label(8.07, 3.55, r"$\mathrm{d}\theta_t/\mathrm{d}t = v_\phi$")
    label(9.4, 3.55, r"posterior $\theta_1$", color=blue)
    return figure


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
