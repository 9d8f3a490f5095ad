"""Figures of the training and performance of both models on many galaxies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import binom

from galcfm.figures import style
from galcfm.metrics import coverage, rank_statistics

__all__ = ["calibration", "model_comparison", "population_quantiles", "recovery", "training_curves"]
# Largest number of panels in a row; further properties continue below.
ACROSS = 5


@style.styled
def training_curves(history: pd.DataFrame, *, source: str) -> Figure:
    """Show training and validation loss of each epoch; a dot marks the epoch that is kept.

    Arguments:
        history: Columns `model`, `epoch`, `train_loss`, `validation_loss`.
        source: Description of the galaxies, in the figure's corner.
    """
    models = style.posteriors_in_order(dict.fromkeys(history["model"]))
    looks = style.looks_of(models)
    figure = style.new_figure(style.COLUMN, 3.4, source)
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
            axes.plot(place["epoch"], place[column], color=looks[model].colour, **look)
        axes.set(xlabel="Epoch")
        axes.set_title(looks[model].title, color=looks[model].text)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(alpha=0.25)
        axes.legend(loc="upper right")
    grid[0].set_ylabel("Flow-matching loss [dimensionless]")
    return figure


@style.styled
def model_comparison(delta_log_p: Mapping, d_kl: Mapping, *, source: str) -> Figure:
    """Compare two models galaxy by galaxy: Δlog p on the left, D_KL on the right.

    The photometry model, or else the model that is given first, is on the horizontal axis. Above
    the 1:1 line the other model is higher, e.g. the image model. The axes show 99 % of the
    galaxies; the number outside the axes is printed.

    Arguments:
        delta_log_p: By model, log posterior minus log prior density at the measured values [nat],
            `(n,)`.
        d_kl: By model, divergence of the posterior from the prior [nat], `(m,)`.
        source: Description of the galaxies, in the figure's corner.
    """
    models = style.posteriors_in_order(delta_log_p)
    if len(models) != 2:
        raise ValueError(f"this figure compares two models, not {', '.join(models)}: give two")
    below, above = (style.looks_of(models)[model] for model in models)
    words = [look.title[0].lower() + look.title[1:] for look in (below, above)]
    figure = style.new_figure(style.COLUMN, 4.0, source)
    figure.get_layout_engine().set(wspace=0.08)
    quantities = ((delta_log_p, r"$\Delta \log p$"), (d_kl, r"$D_{\mathrm{KL}}$"))
    for axes, (values, symbol) in zip(figure.subplots(1, 2), quantities, strict=True):
        x, y = (np.asarray(values[model], dtype=np.float64) for model in models)
        if x.shape != y.shape or x.ndim != 1 or len(y) == 0:
            raise ValueError(
                f"the models have values of shape {x.shape} and {y.shape}: both "
                "need one value for each of the same galaxies"
            )
        low, high = style.limits(x, y)
        wins = y > x
        for mask, colour in ((~wins, below.colour), (wins, above.colour)):
            look = {"s": 7, "alpha": 0.45, "lw": 0, "color": colour}
            axes.scatter(x[mask], y[mask], rasterized=True, **look)
        axes.axline((0, 0), slope=1, color=style.COLOURS["line"], lw=1, ls="--")
        axes.plot(x.mean(), y.mean(), "+", ms=15, mew=2, color=style.COLOURS["line"])
        axes.set(
            xlim=(low, high),
            ylim=(low, high),
            aspect="equal",
            xlabel=f"{symbol}, {words[0]} [nat]",
            ylabel=f"{symbol}, {words[1]} [nat]",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6))
        text = f"{words[1].removesuffix(' model')} higher: {100 * wins.mean():.1f} %"
        style.note(axes, 0.03, 0.97, text, color=above.colour, fontweight="bold")
        outside = (np.minimum(x, y) < low) | (np.maximum(x, y) > high)
        beyond = f",\n{outside.sum()} outside the axes" if outside.any() else ""
        text = f"{len(y):,} galaxies{beyond}"
        style.note(axes, 0.97, 0.03, text, ha="right", va="baseline")
        bins = np.linspace(low, high, 31)
        top = axes.inset_axes((0, 1.02, 1, 0.18), sharex=axes)
        right = axes.inset_axes((1.02, 0, 0.18, 1), sharey=axes)
        style.histogram(top, x, bins, below.colour, filled=True)
        style.histogram(right, y, bins, above.colour, filled=True, orientation="horizontal")
        top.axvline(x.mean(), color=below.colour, lw=1.8)
        right.axhline(y.mean(), color=above.colour, lw=1.8)
        for height, of, look in ((1.13, x, below), (1.04, y, above)):
            text = f"mean {of.mean():.2f}"
            style.note(axes, 1.01, height, text, va="baseline", color=look.text)
        for marginal in (top, right):
            marginal.set_axis_off()
    return figure


@style.styled
def recovery(measured, posteriors: Mapping, *, source: str) -> Figure:
    """Show posterior means against measured values, one column per property and one row per model.

    σ is the standard deviation of mean − measured, in the property's unit, and R² is 1 − its mean
    square / variance of the measured values.

    Arguments:
        measured: Measured properties, catalogue or array.
        posteriors: Dataset of each model.
        source: Description of the galaxies, in the figure's corner.
    """
    shown = style.aligned(measured, posteriors)
    n_rows, n = len(shown.samples), len(shown.properties)
    figure, grid, columns = _panels(n_rows, n, 2.1 * n_rows + 0.25, source)
    for row, (model, draws) in zip(grid, shown.samples.items(), strict=True):
        look = shown.looks[model]
        for p, (axes, (name, label)) in enumerate(zip(row, shown.labels.items(), strict=False)):
            has = shown.labelled(name)
            known, mean = shown.values[has, p], draws[..., p].mean(axis=1)[has]
            low, high = style.limits(known)
            axes.axline((low, low), slope=1, color=style.COLOURS["line"], lw=1, ls="--", zorder=3)
            axes.scatter(known, mean, s=5, alpha=0.35, lw=0, color=look.colour, rasterized=True)
            axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            axes.set_xlabel(label, fontsize=9)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(2))
            axes.set_title(recovery_text(mean, known) + style.few(has), fontsize=9, loc="left")
        for axes in row[::columns]:
            axes.set_ylabel(f"{look.title},\nposterior mean", color=look.text)
    return figure


def _panels(rows: int, n: int, height: float, source: str, **options):
    """Return a figure with some panels for each of n properties, in blocks below each other.

    Arguments:
        rows: Number of panels of each property.
        n: Number of properties.
        height: Height of a block [inch].
        source: Description of the galaxies.
        options: Options of `Figure.subplots`.

    Returns:
        The figure, its axes `(rows, n)` or a few more, which are hidden, and the number of columns.
    """
    blocks = -(-n // ACROSS)
    columns = -(-n // blocks)
    figure = style.new_figure(style.COLUMN, height * blocks, source)
    grid = figure.subplots(blocks * rows, columns, squeeze=False, **options)
    grid = grid.reshape(blocks, rows, columns).swapaxes(0, 1).reshape(rows, -1)
    for axes in grid[:, n:].ravel():
        axes.set_axis_off()
    return figure, grid, columns


def recovery_text(mean: np.ndarray, measured: np.ndarray) -> str:
    """Return scatter and R² of estimates as text; R² needs two different measured values."""
    error = mean - measured
    if measured.std() == 0:
        return f"off by {error[0]:+.2f}".replace("-", "−")
    r_squared = 1 - np.mean(error**2) / measured.var()
    return f"σ = {error.std():.2f}\n$R^2$ = {r_squared:.2f}"


@style.styled
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
    shown = style.aligned(measured, posteriors)
    n = len(shown.properties)
    levels, rng = np.linspace(5, 95, 46), np.random.default_rng(0)
    # The last panel is the legend.
    columns = min(3, n + 1)
    rows = -(-(n + 1) // columns)
    figure = style.new_figure(style.COLUMN, 2.5 * rows, source)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for p, (axes, (name, label)) in enumerate(zip(grid, shown.labels.items(), strict=False)):
        has = shown.labelled(name)
        known = shown.values[has, p]
        spread = known.std() or 1.0
        found = np.percentile(known, levels)
        again = rng.choice(known, (200, len(known)))
        noise = np.sqrt(2) * (np.percentile(again, levels, axis=1).T - found) / spread
        axes.fill_between(
            levels, *np.percentile(noise, [2.5, 97.5], axis=0), color=style.LIGHT, alpha=0.3
        )
        axes.axhline(0, color=style.COLOURS["line"], lw=1)
        for model, draws in shown.samples.items():
            for theta, ls in ((draws[..., p], "-"), (draws[..., p].mean(axis=1), "--")):
                away = (np.percentile(theta[has], levels) - found) / spread
                axes.plot(levels, away, color=shown.looks[model].colour, ls=ls, lw=1.6)
        axes.set_title(label.split(" [")[0] + style.few(has), fontsize=10)
    for axes in grid[max(0, n - columns) : n]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Percentile of galaxies")
    figure.supylabel("Minus measured [standard deviations]", fontsize=10)
    for axes in grid[n:]:
        axes.set_axis_off()
    handles = [
        Line2D([], [], color=look.colour, ls=ls, label=f"{look.title},\n{words}")
        for look in map(shown.looks.get, shown.samples)
        for words, ls in (("draws", "-"), ("posterior means", "--"))
    ]
    grid[-1].legend(handles=handles, loc="center", fontsize=9)
    return figure


@style.styled
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
    shown = style.aligned(measured, posteriors)
    bins, nominal, n_properties = 10, np.linspace(0, 1, 41), len(shown.properties)
    figure, grid, columns = _panels(2, n_properties, 4.2, source, sharey="row")
    for p, (name, label) in enumerate(shown.labels.items()):
        (upper, lower), has = grid[:, p], shown.labelled(name)
        n, known = has.sum(), shown.values[has, p : p + 1]
        band = binom.ppf([0.025, 0.975], n, 1 / bins) * bins / n
        upper.axhspan(*band, color=style.LIGHT, alpha=0.3, lw=0)
        lower.fill_between(
            nominal,
            *(binom.ppf(q, n, nominal) / n - nominal for q in (0.025, 0.975)),
            color=style.LIGHT,
            alpha=0.3,
            lw=0,
        )
        lower.axhline(0, color=style.COLOURS["line"], lw=1, ls="--")
        for model, draws in shown.samples.items():
            colour, draws = shown.looks[model].colour, draws[has, :, p : p + 1]
            quantiles = (rank_statistics(draws, known) + 0.5) / (draws.shape[1] + 1)
            counts, edges = np.histogram(quantiles, bins, (0, 1))
            # Without a base line, because it would fall to zero at both ends.
            upper.stairs(counts * bins / n, edges, baseline=None, color=colour, lw=1.6)
            covered = coverage(draws, known, nominal)[:, 0]
            lower.plot(nominal, covered - nominal, color=colour, lw=1.8)
        upper.set(xlim=(0, 1), xticks=(0, 0.5, 1))
        upper.set_title(label.split(" [")[0] + style.few(has), fontsize=10)
        lower.set(xlim=(0, 1), xticks=(0, 0.5, 1))
    for first in range(0, n_properties, columns):
        middle = first + min(columns, n_properties - first) // 2
        grid[0, middle].set_xlabel("Rank of the measured value among the draws [fraction]")
        grid[1, middle].set_xlabel("Nominal coverage")
        upper, lower = grid[:, first]
        upper.set_ylabel("Density")
        lower.set_ylabel("Coverage − nominal")
        upper.set_ylim(bottom=0)
        reach = max(0.06, *(1.1 * abs(limit) for limit in lower.get_ylim()))
        lower.set_ylim(-reach, reach)
        for height, text in ((0.97, "too wide"), (0.03, "too narrow")):
            va = "top" if height > 0.5 else "bottom"
            style.note(lower, 0.04, height, text, va=va, color="#666666")
    style.model_legend(figure, shown.samples, loc="outside upper left", ncols=2)
    return figure
