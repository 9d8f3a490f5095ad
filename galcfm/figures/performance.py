"""Figures of the training and performance of both models on many galaxies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import binom

from galcfm.figures.style import (
    COLOURS,
    COLUMN,
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
from galcfm.metrics import coverage, rank_statistics
from galcfm.properties import PROPERTIES, PROPERTY_NAMES

__all__ = ["calibration", "model_comparison", "population_quantiles", "recovery", "training_curves"]


@styled
def training_curves(history: pd.DataFrame, *, source: str) -> Figure:
    """Show training and validation loss of each epoch; a dot marks the epoch that is kept.

    Arguments:
        history: Columns `model`, `epoch`, `train_loss`, `validation_loss`.
        source: Description of the galaxies, in the figure's corner.
    """
    models = posteriors_in_order(dict.fromkeys(history["model"]))
    figure = new_figure(COLUMN, 3.4, source)
    grid = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    losses = history.set_index("model")[["train_loss", "validation_loss"]].stack()
    low, high = losses.min(), losses.groupby("model").quantile(0.9).max()
    if high > low:
        # The first epochs of a cold start would compress all later ones into a line.
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
    """Compare the two models galaxy by galaxy: Δlog p on the left, D_KL on the right.

    Above the 1:1 line the image model is higher. The axes show 99 % of the galaxies; the number
    outside the axes is printed.

    Arguments:
        delta_log_p: By model, log posterior minus log prior density at the measured values [nat],
            `(n,)`.
        d_kl: By model, divergence of the posterior from the prior [nat], `(m,)`.
        source: Description of the galaxies, in the figure's corner.
    """
    figure = new_figure(COLUMN, 4.0, source)
    figure.get_layout_engine().set(wspace=0.08)
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
            look = {"s": 7, "alpha": 0.45, "lw": 0, "color": COLOURS[model]}
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
        note(axes, 0.03, 0.97, text, color=COLOURS["image"], fontweight="bold")
        outside = (np.minimum(photometry, image) < low) | (np.maximum(photometry, image) > high)
        beyond = f",\n{outside.sum()} outside the axes" if outside.any() else ""
        text = f"{len(image):,} galaxies{beyond}"
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
def recovery(measured, posteriors: Mapping, *, source: str) -> Figure:
    """Show posterior means against measured values, one column per property and one row per model.

    σ is the standard deviation of mean − measured, in the property's unit, and R² is 1 − its mean
    square / variance of the measured values.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        source: Description of the galaxies, in the figure's corner.
    """
    values, samples = aligned(measured, posteriors)
    figure = new_figure(COLUMN, 2.1 * len(samples) + 0.25, source)
    grid = figure.subplots(len(samples), len(PROPERTIES), squeeze=False)
    for axes_row, (model, draws) in zip(grid, samples.items(), strict=True):
        for p, axes in enumerate(axes_row):
            known, mean = values[:, p], draws[..., p].mean(axis=1)
            low, high = limits(known)
            axes.axline((low, low), slope=1, color=COLOURS["line"], lw=1, ls="--", zorder=3)
            axes.scatter(known, mean, s=5, alpha=0.35, lw=0, color=COLOURS[model], rasterized=True)
            axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            axes.set_xlabel(LABELS[PROPERTY_NAMES[p]], fontsize=9)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(2))
            axes.set_title(recovery_text(mean, known), fontsize=9, loc="left")
        label = f"{TITLES[model]},\nposterior mean"
        axes_row[0].set_ylabel(label, color=text_colour(model))
    return figure


def recovery_text(mean: np.ndarray, measured: np.ndarray) -> str:
    """Return scatter and R² of estimates as text; R² needs two different measured values."""
    error = mean - measured
    if measured.std() == 0:
        return f"off by {error[0]:+.2f}".replace("-", "−")
    r_squared = 1 - np.mean(error**2) / measured.var()
    return f"σ = {error.std():.2f}\n$R^2$ = {r_squared:.2f}"


@styled
def population_quantiles(measured, posteriors: Mapping, *, source: str) -> Figure:
    """Show how far the distributions of draws and of posterior means are from the measured one.

    At each percentile, the figure shows the value of the draws (solid) or of the means (dashed)
    minus the measured value, in standard deviations of the measured values. Draws of calibrated
    posteriors stay within the grey band, which contains 95 % of the differences between two samples
    of this size. Means lie above zero on the left and below on the right, because they scatter
    less.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        source: Description of the galaxies, in the figure's corner.
    """
    values, samples = aligned(measured, posteriors)
    levels, rng = np.linspace(5, 95, 46), np.random.default_rng(0)
    figure = new_figure(COLUMN, 5.0, source)
    grid = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for p, (axes, label) in enumerate(zip(grid, LABELS.values(), strict=False)):
        spread = values[:, p].std() or 1.0
        found = np.percentile(values[:, p], levels)
        again = rng.choice(values[:, p], (200, len(values)))
        noise = np.sqrt(2) * (np.percentile(again, levels, axis=1).T - found) / spread
        axes.fill_between(
            levels, *np.percentile(noise, [2.5, 97.5], axis=0), color=LIGHT, alpha=0.3
        )
        axes.axhline(0, color=COLOURS["line"], lw=1)
        for model, draws in samples.items():
            for theta, ls in ((draws[..., p], "-"), (draws[..., p].mean(axis=1), "--")):
                away = (np.percentile(theta, levels) - found) / spread
                axes.plot(levels, away, color=COLOURS[model], ls=ls, lw=1.6)
        axes.set_title(label.split(" [")[0], fontsize=10)
    for axes in grid[2:5]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Percentile of galaxies")
    figure.supylabel("Minus measured [standard deviations]", fontsize=10)
    grid[-1].set_axis_off()
    handles = [
        Line2D([], [], color=COLOURS[model], ls=ls, label=f"{TITLES[model]},\n{words}")
        for model in samples
        for words, ls in (("draws", "-"), ("posterior means", "--"))
    ]
    grid[-1].legend(handles=handles, loc="center", fontsize=9)
    return figure


@styled
def calibration(measured, posteriors: Mapping, *, source: str) -> Figure:
    """Show whether posteriors are calibrated: rank histograms and coverage of each property.

    Upper row: fraction of a posterior's draws below the measured value, uniform when calibrated.
    Lower row: fraction of measured values in the central interval of a nominal probability, minus
    that probability: positive when posteriors are too wide. The bands enclose
    95 % of the values that calibrated posteriors give for this number of galaxies.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        source: Description of the galaxies, in the figure's corner.
    """
    values, samples = aligned(measured, posteriors)
    n, bins, nominal = len(values), 10, np.linspace(0, 1, 41)
    quantiles = {
        m: (rank_statistics(s, values) + 0.5) / (s.shape[1] + 1) for m, s in samples.items()
    }
    covered = {m: coverage(s, values, nominal) for m, s in samples.items()}
    figure = new_figure(COLUMN, 4.2, source)
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
            counts, edges = np.histogram(quantiles[model][:, p], bins, (0, 1))
            # Without a base line, because it would fall to zero at both ends.
            upper.stairs(counts * bins / n, edges, baseline=None, color=COLOURS[model], lw=1.6)
            lower.plot(nominal, covered[model][:, p] - nominal, color=COLOURS[model], lw=1.8)
        upper.set(xlim=(0, 1), xticks=(0, 0.5, 1))
        upper.set_title(label.split(" [")[0], fontsize=10)
        lower.set(xlim=(0, 1), xticks=(0, 0.5, 1))
    grid[0, 2].set_xlabel("Rank of the measured value among the draws [fraction]")
    grid[1, 2].set_xlabel("Nominal coverage")
    grid[0, 0].set_ylabel("Density")
    grid[1, 0].set_ylabel("Coverage − nominal")
    grid[0, 0].set_ylim(bottom=0)
    reach = max(0.06, *(1.1 * abs(limit) for limit in grid[1, 0].get_ylim()))
    grid[1, 0].set_ylim(-reach, reach)
    for height, text in ((0.97, "too wide"), (0.03, "too narrow")):
        va = "top" if height > 0.5 else "bottom"
        note(grid[1, 0], 0.04, height, text, va=va, color="#666666")
    model_legend(figure, samples, loc="outside upper left", ncols=2)
    return figure
