"""Figures of how both models train and perform on many galaxies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.stats import binom

from galcfm.figures.style import (
    COLOURS,
    LABELS,
    LIGHT,
    MODELS,
    TITLES,
    aligned,
    histogram,
    limits,
    model_legend,
    new_figure,
    note,
    posteriors_in_order,
    styled,
    text_colour,
)
from galcfm.metrics import coverage, rank_statistics, wasserstein
from galcfm.properties import PROPERTIES, PROPERTY_NAMES

__all__ = [
    "calibration",
    "model_comparison",
    "posterior_mean_distributions",
    "training_curves",
    "truth_recovery",
    "wasserstein_chart",
]


@styled
def training_curves(history: pd.DataFrame, *, source: str) -> Figure:
    """Show training and validation loss of each epoch; a dot marks the epoch that is kept.

    Arguments:
        history: Columns `model`, `epoch`, `train_loss`, `validation_loss`.
    """
    models = posteriors_in_order(dict.fromkeys(history["model"]))
    figure = new_figure(8, 3.6, source)
    grid = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    losses = history.set_index("model")[["train_loss", "validation_loss"]].stack()
    low, high = losses.min(), losses.groupby("model").quantile(0.9).max()
    if high > low:
        # The first epochs of a cold start would squeeze all that follows into a line.
        grid[0].set_ylim(low - 0.1 * (high - low), high + 0.2 * (high - low))
    for axes, model in zip(grid, models, strict=True):
        table = history[history["model"] == model].sort_values("epoch")
        best = table.loc[table["validation_loss"].idxmin()]
        kept = f"kept: {best['validation_loss']:.4f}, epoch {best['epoch']:.0f}"
        for column, place, look in (
            ("train_loss", table, {"lw": 1.2, "ls": "--", "label": "training"}),
            ("validation_loss", table, {"lw": 2, "label": "validation"}),
            (
                "validation_loss",
                best,
                {"marker": "o", "ms": 7, "mec": "white", "clip_on": False, "label": kept},
            ),
        ):
            axes.plot(place["epoch"], place[column], color=COLOURS[model], **look)
        axes.set(xlabel="Epoch")
        axes.set_title(TITLES[model], color=text_colour(model))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(alpha=0.25)
        axes.legend(loc="upper right")
    grid[0].set_ylabel("Flow-matching loss [dimensionless]")
    return figure


@styled
def model_comparison(delta_log_p: Mapping, d_kl: Mapping, *, source: str) -> Figure:
    r"""Compare the two models galaxy by galaxy: Δlog p on the left, D_KL on the right.

    Above the 1:1 line the image model is higher. The axes hold 99 % of the galaxies; the number
    of those outside is printed.

    Arguments:
        delta_log_p: By model, log posterior minus log prior density at the truth [nat], `(n,)`.
        d_kl: By model, divergence of the posterior from the prior [nat], `(m,)`.
    """
    figure = new_figure(9, 4.8, source)
    quantities = ((delta_log_p, r"$\Delta \log p$"), (d_kl, r"$D_{\mathrm{KL}}$"))
    for axes, (values, symbol) in zip(figure.subplots(1, 2), quantities, strict=True):
        photometry, image = (np.asarray(values[m], dtype=np.float64) for m in MODELS)
        if photometry.shape != image.shape or photometry.ndim != 1 or len(image) == 0:
            raise ValueError(
                f"the models have values of shape {photometry.shape} and {image.shape}: both "
                "need one value for each of the same galaxies"
            )
        low, high = limits(photometry, image)
        wins = image > photometry
        for mask, model in ((~wins, "photometry"), (wins, "image")):
            look = {"s": 9, "alpha": 0.45, "lw": 0, "color": COLOURS[model]}
            axes.scatter(photometry[mask], image[mask], rasterized=True, **look)
        axes.axline((0, 0), slope=1, color=COLOURS["line"], lw=1, ls="--")
        axes.plot(photometry.mean(), image.mean(), "+", ms=15, mew=2, color=COLOURS["line"])
        axes.set(
            xlim=(low, high),
            ylim=(low, high),
            aspect="equal",
            xlabel=f"{symbol}, photometry model [nat]",
            ylabel=f"{symbol}, image model [nat]",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6))
        text = f"image higher: {100 * wins.mean():.1f} %"
        note(axes, 0.03, 0.97, text, fontsize=10, color=COLOURS["image"], fontweight="bold")
        outside = (np.minimum(photometry, image) < low) | (np.maximum(photometry, image) > high)
        text = f"n = {len(image)}" + (f", {outside.sum()} outside" if outside.any() else "")
        note(axes, 0.97, 0.03, text, ha="right", va="baseline")
        bins = np.linspace(low, high, 31)
        top = axes.inset_axes((0, 1.02, 1, 0.18), sharex=axes)
        right = axes.inset_axes((1.02, 0, 0.18, 1), sharey=axes)
        histogram(top, photometry, bins, COLOURS["photometry"], filled=True)
        histogram(right, image, bins, COLOURS["image"], filled=True, orientation="horizontal")
        top.axvline(photometry.mean(), color=COLOURS["photometry"], lw=1.8)
        right.axhline(image.mean(), color=COLOURS["image"], lw=1.8)
        for height, model in ((1.13, "photometry"), (1.04, "image")):
            text = f"mean {np.mean(values[model]):.2f}"
            note(axes, 1.01, height, text, va="baseline", color=text_colour(model))
        for marginal in (top, right):
            marginal.set_axis_off()
    return figure


@styled
def truth_recovery(truth, posteriors: Mapping, *, source: str) -> Figure:
    r"""Show posterior means against the truth, one column per property and one row per model.

    σ is the standard deviation of mean − truth, in the property's unit, and R² = 1 − σ² / variance
    of the truth (with the offset counted).
    """
    values, samples = aligned(truth, posteriors)
    figure = new_figure(10, 2.4 * len(samples) + 0.25, source)
    panels = figure.subfigures(len(samples), 1, squeeze=False)[:, 0]
    for panel, (model, draws) in zip(panels, samples.items(), strict=True):
        panel.suptitle(TITLES[model], color=text_colour(model), fontsize=11)
        for p, axes in enumerate(panel.subplots(1, len(PROPERTIES))):
            truths, mean = values[:, p], draws[..., p].mean(axis=1)
            low, high = limits(truths)
            axes.axline((low, low), slope=1, color=COLOURS["line"], lw=1, ls="--", zorder=3)
            axes.scatter(truths, mean, s=7, alpha=0.35, lw=0, color=COLOURS[model], rasterized=True)
            axes.set(
                xlim=(low, high),
                ylim=(low, high),
                aspect="equal",
                xlabel=LABELS[PROPERTY_NAMES[p]],
                ylabel="posterior mean" if p == 0 else "",
            )
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            note(axes, 0.04, 0.97, recovery_text(mean, truths), linespacing=1.2)
    return figure


def recovery_text(mean: np.ndarray, truth: np.ndarray) -> str:
    """Return scatter and R² of estimates as text; R² needs two different truths."""
    error = mean - truth
    if truth.std() == 0:
        return f"off by {error[0]:+.2f}"
    r_squared = 1 - np.mean(error**2) / truth.var()
    return f"σ = {error.std():.2f}\n$R^2$ = {r_squared:.2f}"


@styled
def posterior_mean_distributions(truth, posteriors: Mapping, *, source: str) -> Figure:
    """Show distributions of posterior means and of the truth, and their Wasserstein distance."""
    values, samples = aligned(truth, posteriors)
    means = {model: s.mean(axis=1) for model, s in samples.items()}
    distances = {model: wasserstein(mean, values) for model, mean in means.items()}
    figure = new_figure(8.4, 5.2, source)
    grid = figure.subplots(2, 3).ravel()
    for p, (axes, label) in enumerate(zip(grid, LABELS.values(), strict=False)):
        bins = np.linspace(*limits(values[:, p], inside=99.8), 36)
        histogram(axes, values[:, p], bins, COLOURS["line"], filled=True)
        for line, (model, mean) in enumerate(means.items()):
            histogram(axes, mean[:, p], bins, COLOURS[model])
            text = f"$W$ = {distances[model][p]:.4f}"
            note(axes, 0.02, 0.98 - 0.1 * line, text, color=text_colour(model))
        axes.set(xlabel=label, ylabel="Fraction of galaxies")
        # Room for the distances above the histograms.
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    grid[-1].set_axis_off()
    model_legend(
        grid[-1],
        samples,
        measured=Patch(color=COLOURS["measured"], alpha=0.25),
        loc="center",
        fontsize=10,
        title="Wasserstein distances $W$\nin the units of the axes",
    )
    return figure


@styled
def calibration(truth, posteriors: Mapping, *, source: str) -> Figure:
    """Show whether posteriors are calibrated: rank histograms and coverage of each property.

    Upper row: fraction of a posterior's draws below the truth, uniform when calibrated. Lower row:
    fraction of galaxies whose truth lies in the central interval of a nominal probability, minus
    that probability: positive when posteriors are too wide. The bands hold 95 % of the values that
    calibrated posteriors give for this number of galaxies.
    """
    values, samples = aligned(truth, posteriors)
    n, bins, nominal = len(values), 10, np.linspace(0, 1, 41)
    quantiles = {
        m: (rank_statistics(s, values) + 0.5) / (s.shape[1] + 1) for m, s in samples.items()
    }
    covered = {m: coverage(s, values, nominal) for m, s in samples.items()}
    figure = new_figure(10, 4.9, source)
    grid = figure.subplots(2, len(PROPERTIES), sharey="row")
    for p, label in enumerate(LABELS.values()):
        upper, lower = grid[:, p]
        band = binom.ppf([0.025, 0.975], n, 1 / bins) * bins / n
        upper.axhspan(*band, color=LIGHT, alpha=0.3, lw=0)
        lower.fill_between(
            nominal,
            *(binom.ppf(q, n, nominal) / n - nominal for q in (0.025, 0.975)),
            color=LIGHT,
            alpha=0.3,
            lw=0,
        )
        lower.axhline(0, color=COLOURS["line"], lw=1, ls="--")
        for model in samples:
            edges, weights = np.linspace(0, 1, bins + 1), np.full(n, bins / n)
            histogram(upper, quantiles[model][:, p], edges, COLOURS[model], weights=weights)
            lower.plot(nominal, covered[model][:, p] - nominal, color=COLOURS[model], lw=1.8)
        upper.set(xlabel="Rank of truth [fraction]", xlim=(0, 1))
        upper.set_title(label, fontsize=10)
        lower.set(xlabel="Nominal coverage", xlim=(0, 1))
    grid[0, 0].set_ylabel("Density of galaxies")
    grid[1, 0].set_ylabel("Measured − nominal coverage")
    grid[0, 0].set_ylim(bottom=0)
    reach = max(0.06, *(1.1 * abs(limit) for limit in grid[1, 0].get_ylim()))
    grid[1, 0].set_ylim(-reach, reach)
    for height, text in ((0.97, "too wide"), (0.03, "too narrow")):
        va = "top" if height > 0.5 else "bottom"
        note(grid[1, 0], 0.04, height, text, va=va, color="#666666")
    model_legend(figure, samples, loc="outside upper left", ncols=2)
    return figure


@styled
def wasserstein_chart(distances: pd.DataFrame, *, source: str) -> Figure:
    """Compare the models' Wasserstein distances of posterior means to the truth.

    Arguments:
        distances: One row per property, indexed by its name; columns `photometry`, `image` and
            `floor` (the distance of two samples of the truth), in standard deviations of the
            truth.
    """
    table = distances.loc[list(PROPERTY_NAMES), [*MODELS, "floor"]]
    figure = new_figure(7, 3.4, source)
    axes = figure.subplots()
    rows = np.arange(len(table))[::-1]
    low, high = table[list(MODELS)].min(axis=1), table[list(MODELS)].max(axis=1)
    axes.hlines(rows, low, high, color=LIGHT, lw=2, zorder=1)
    for model in MODELS:
        axes.scatter(table[model], rows, s=70, color=COLOURS[model], zorder=3, label=TITLES[model])
    look = {"marker": "|", "s": 160, "lw": 2, "color": COLOURS["line"], "zorder": 2}
    axes.scatter(table["floor"], rows, label="Finite-sample floor", **look)
    # Standardised distances have no unit: the labels drop the properties' own.
    axes.set_yticks(rows, [label.split(" [")[0] for label in LABELS.values()], fontsize=10)
    axes.set(
        xlabel="Wasserstein distance of posterior means [standard deviations of the truth]",
        ylim=(-0.6, len(table) - 0.4),
    )
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper left", ncols=3)
    return figure
