"""Figures that teach: how a flow is trained, and how a posterior is read."""

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from galcfm.figures.posteriors import MEASURED_LINE, of_one, plane
from galcfm.figures.style import (
    COLOURS,
    COLUMN,
    LABELS,
    LIGHT,
    OTHER,
    aligned,
    curve,
    limits,
    new_figure,
    styled,
)
from galcfm.properties import PROPERTY_NAMES


@styled
def how_to_read(measured, posteriors: Mapping, *, galaxy: int, source: str) -> Figure:
    """Show how to read a posterior: a histogram and contours of one galaxy's draws, with notes.

    Arguments:
        measured: Measured properties, as all figures take them.
        posteriors: Dataset of each model; that of the image model is shown.
        galaxy: Row number of the galaxy to show.
        source: Words in the figure's corner that say what the galaxies are.
    """
    shown = aligned(measured, {"image": posteriors["image"]})
    galaxies, (at, draws, ranges) = shown.values, of_one(shown, galaxy)
    sfr, x, y = (PROPERTY_NAMES.index(name) for name in ("log_sfr", "dn4000", "a_v"))
    of, colour = draws["image"], COLOURS["image"]
    figure = new_figure(COLUMN, 3.6, source)
    left, right = figure.subplots(1, 2)
    left.set(xlim=limits(galaxies[:, sfr], at[sfr]), xlabel=LABELS["log_sfr"], ylabel="Density")
    curve(left, galaxies[:, sfr], LIGHT, filled=True)
    left.lines[0].set_label("all galaxies (the prior)")
    left.hist(of[:, sfr], 25, density=True, color=colour, alpha=0.45, label="draws of this one")
    top, interval = 1.05 * left.get_ylim()[1], np.percentile(of[:, sfr], [16, 84])
    left.plot(interval, [top] * 2, color=colour, lw=3, label="central 68 % of the draws")
    left.axvline(at[sfr], label="measured value", **MEASURED_LINE)
    right.set(xlim=ranges[x], ylim=ranges[y], xlabel=LABELS["dn4000"], ylabel=LABELS["a_v"])
    right.scatter(of[:, x], of[:, y], s=4, color=colour, alpha=0.35, lw=0, label="draws")
    plane(right, draws, at, x, y)
    right.lines[0].set_label("measured values")
    right.plot([], [], color=colour, label="68 % of the draws inside (outer: 95 %)")
    for axes in (left, right):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


@styled
def flow_of_one_property(*, n_paths: int = 40, seed: int = 0, source: str) -> Figure:
    """Show the straight paths of the training and the paths of the velocity learned from them.

    The posterior of one property is a sum of two Gaussians here, whose velocity is known.

    Arguments:
        n_paths: Number of paths.
        seed: Seed of the noise and of the ends of the straight paths.
        source: Words in the figure's corner that say what is shown.
    """
    middles, widths = np.array([-1.3, 1.1]), np.array([0.3, 0.2])
    rng, times = np.random.default_rng(seed), np.linspace(0, 1, 201)
    noise, which = rng.normal(size=n_paths), rng.integers(2, size=n_paths)
    ends = rng.normal(middles[which], widths[which])
    places = [noise]
    for t in times[:-1]:
        # For each Gaussian, the mean velocity of the straight paths through these places.
        variance = (1 - t) ** 2 + (t * widths) ** 2
        away = places[-1][:, None] - t * middles
        weights = np.exp(-(away**2) / variance / 2) / np.sqrt(variance)
        velocity = middles + (t * widths**2 - (1 - t)) / variance * away
        velocity = (weights * velocity).sum(axis=1) / weights.sum(axis=1)
        places.append(places[-1] + velocity * (times[1] - times[0]))
    straight = noise + times[:, None] * (ends - noise)
    figure = new_figure(COLUMN, 3, source)
    titles = ("Training: straight paths cross", "Trained: their mean velocity, no crossing")
    shown = zip(figure.subplots(1, 2, sharey=True), titles, (straight, places), strict=True)
    for axes, title, paths in shown:
        axes.plot(times, paths, color=OTHER[0].colour, lw=0.8, alpha=0.7)
        axes.plot(np.zeros(n_paths), noise, "o", ms=3, color=LIGHT, clip_on=False)
        axes.plot(np.ones(n_paths), paths[-1], "o", ms=3, color=OTHER[0].colour, clip_on=False)
        axes.set(xlim=(0, 1), xlabel="Time $t$, from noise (0) to posterior (1)")
        axes.set_title(title, fontsize=10)
    figure.axes[0].set_ylabel(r"One property $\theta_t$, standardised")
    return figure


def embedded(figure: Figure, words: str) -> str:
    """Return a figure as an HTML image, for a page other than the chapter that makes it.

    Arguments:
        figure: The figure.
        words: Alternative text.
    """
    with io.BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{data}">'
