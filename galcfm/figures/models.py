"""What the models say of galaxies: posteriors, relations, calibration, training."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import binom

from galcfm.figures.style import (
    COLOURS,
    LABELS,
    LIGHT,
    MODELS,
    TITLES,
    aligned,
    cutout,
    density,
    histogram,
    limits,
    model_legend,
    new_figure,
    note,
    posteriors_in_order,
    require_images,
    styled,
    tag,
    text_colour,
)
from galcfm.metrics import PLANES, coverage, rank_statistics, wasserstein
from galcfm.properties import PROPERTIES, PROPERTY_NAMES


@styled
def model_comparison(delta_log_p: Mapping, d_kl: Mapping, *, source: str) -> Figure:
    r"""Compare the two models galaxy by galaxy: Δlog p on the left, D_KL on the right.

    Above the 1:1 line the image model is higher. The axes hold 99 % of the galaxies; the number
    of those outside is printed.

    Arguments:
        delta_log_p: log posterior minus log prior density at the truth [nat], `(n,)` a model.
        d_kl: divergence of the posterior from the prior [nat], `(m,)` a model.
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
        axes.axline((0, 0), slope=1, color=COLOURS["truth"], lw=1, ls="--")
        axes.plot(photometry.mean(), image.mean(), "+", ms=15, mew=2, color=COLOURS["truth"])
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


def spread_galaxies(truth: np.ndarray, count: int) -> np.ndarray:
    """Row numbers of galaxies spread over mass and SFR, the densest 90 % of each only.

    Farthest-point selection: the next galaxy is the one with the largest distance to those
    already chosen, in units of the standard deviations. They are ordered by mass.
    """
    plane = (truth[:, :2] - truth[:, :2].mean(0)) / (truth[:, :2].std(0) + 1e-12)
    low, high = np.percentile(plane, [5, 95], axis=0)
    inside = np.flatnonzero(((plane >= low) & (plane <= high)).all(axis=1))
    if len(inside) < count:
        inside = np.arange(len(truth))
    plane = plane[inside]
    chosen = [int(np.argmin(plane[:, 0]))]
    while len(chosen) < min(count, len(inside)):
        distance = np.linalg.norm(plane[:, None] - plane[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(distance)))
    rows = inside[chosen]
    return rows[np.argsort(truth[rows, 0])]


@styled
def scaling_relations(truth, posteriors: Mapping, images=None, *, source: str) -> Figure:
    r"""Show the M⋆–Z, M⋆–SFR and SFR–Z relations: truth and posterior means of each model.

    Contours enclose 50 % and 90 % of the galaxies; the truth's are repeated as dashed lines in
    the models' panels. Six galaxies are numbered in all panels and shown beside them.

    Arguments:
        images: cutouts, uint8 `(n, 128, 128, 3)`; without them no galaxy is numbered.
    """
    values, samples = aligned(truth, posteriors)
    points = {"truth": values} | {m: s.mean(axis=1) for m, s in samples.items()}
    chosen = np.array([], dtype=int)
    if images is not None:
        require_images(images, len(values))
        chosen = spread_galaxies(values, 6)
    columns = len(points)
    figure = new_figure(9.6 if len(chosen) else 8, 7.4, source)
    grid = figure.add_gridspec(
        3,
        columns + (2 if len(chosen) else 0),
        width_ratios=[2.3] * columns + ([1.15] * 2 if len(chosen) else []),
    )
    for row, (name_x, name_y) in enumerate(PLANES):
        i, j = PROPERTY_NAMES.index(name_x), PROPERTY_NAMES.index(name_y)
        first = None
        for column, (kind, theta) in enumerate(points.items()):
            axes = figure.add_subplot(grid[row, column], sharex=first, sharey=first)
            if first is None:
                first = axes
                axes.set(xlim=limits(values[:, i]), ylim=limits(values[:, j]))
                axes.set_ylabel(LABELS[name_y])
            axes.tick_params(labelleft=axes is first)
            axes.set_xlabel(LABELS[name_x])
            density(axes, theta[:, i], theta[:, j], COLOURS[kind])
            if kind != "truth":
                density(axes, values[:, i], values[:, j], COLOURS["truth"], filled=False)
            for number, galaxy in enumerate(chosen, 1):
                place, box = theta[galaxy, [i, j]], {"boxstyle": "circle,pad=0.15", "fc": "white"}
                look = {"color": COLOURS[kind], "fontsize": 9, "fontweight": "bold", "zorder": 6}
                look |= {"ha": "center", "va": "center", "bbox": box | {"ec": COLOURS[kind]}}
                axes.text(*place, str(number), clip_on=True, **look)
            if row == 0:
                name = TITLES[kind] + (", means" if kind != "truth" else "")
                axes.set_title(name, color=text_colour(kind))
    for number, galaxy in enumerate(chosen, 1):
        axes = figure.add_subplot(grid[(number - 1) // 2, columns + (number - 1) % 2])
        cutout(axes, images[galaxy], number)
    return figure


@styled
def dust_age(truth, posteriors: Mapping, *, source: str) -> Figure:
    r"""Show how far each model breaks the dust–age degeneracy, in the A_V–Dn4000 plane.

    Upper row: posterior means, which shrink towards the population's centre where the data say
    little. Lower row: one draw a galaxy, whose distribution is the truth's when the posteriors
    are right. Last column: their difference to the truth, where the degeneracy is an
    anticorrelation. Contours enclose 50 % and 90 % of the galaxies.
    """
    values, samples = aligned(truth, posteriors)
    i, j = PROPERTY_NAMES.index("dn4000"), PROPERTY_NAMES.index("a_v")
    figure = new_figure(8.4, 5.6, source)
    grid = figure.subplots(2, len(samples) + 1, squeeze=False)
    rows = {
        "posterior means": {m: s.mean(axis=1) for m, s in samples.items()},
        "one draw a galaxy": {m: s[:, 0] for m, s in samples.items()},
    }
    errors = [theta - values for row in rows.values() for theta in row.values()]
    for axes_row, (name, row) in zip(grid, rows.items(), strict=True):
        for axes, (model, theta) in zip(axes_row, row.items(), strict=False):
            axes.set(
                xlim=limits(values[:, i]),
                ylim=limits(values[:, j]),
                xlabel=LABELS["dn4000"],
                ylabel=LABELS["a_v"],
            )
            density(axes, theta[:, i], theta[:, j], COLOURS[model])
            density(axes, values[:, i], values[:, j], COLOURS["truth"], filled=False)
            axes.set_title(f"{TITLES[model]},\n{name}", color=text_colour(model))
        axes = axes_row[-1]
        axes.axhline(0, color=LIGHT, lw=0.8)
        axes.axvline(0, color=LIGHT, lw=0.8)
        axes.set(
            xlim=limits(*(e[:, i] for e in errors)),
            ylim=limits(*(e[:, j] for e in errors)),
            xlabel=r"$\Delta D_n(4000)$",
            ylabel=r"$\Delta A_V$ [mag]",
            title=f"Difference to truth,\n{name}",
        )
        for model, theta in row.items():
            difference = theta - values
            density(axes, difference[:, i], difference[:, j], COLOURS[model])
    line = Line2D([], [], color=COLOURS["truth"], lw=1.2, ls="--", label="Truth")
    grid[0, 0].legend(handles=[line], loc="upper right", handlelength=1.6)
    return figure


@styled
def galaxy_corner(truth, posteriors: Mapping, images=None, *, galaxy: int, source: str) -> Figure:
    r"""Show the posterior of one galaxy, both models overlaid, with its truth and its cutout.

    Contours enclose 68 % and 95 % of the samples; lines cross at the truth.

    Arguments:
        images: cutouts, uint8 `(n, 128, 128, 3)`.
        galaxy: row number of the galaxy to show.
    """
    with warnings.catch_warnings():
        # corner imports ArviZ, which announces its next version.
        warnings.simplefilter("ignore", FutureWarning)
        import corner

    values, samples = aligned(truth, posteriors)
    if not 0 <= galaxy < len(values):
        raise ValueError(f"galaxy is {galaxy}, expected a row number from 0 to {len(values) - 1}")
    size = len(PROPERTIES)
    figure = Figure(figsize=(8, 8), dpi=150)
    theta = {model: s[galaxy] for model, s in samples.items()}
    ranges = [
        limits(*(s[:, p] for s in theta.values()), values[galaxy, p : p + 1], inside=99.8)
        for p in range(size)
    ]
    for model, draws in theta.items():
        corner.corner(
            draws,
            fig=figure,
            range=ranges,
            bins=25,
            labels=list(LABELS.values()),
            labelpad=0.1,
            truths=values[galaxy],
            truth_color=COLOURS["truth"],
            color=COLOURS[model],
            levels=(0.68, 0.95),
            smooth=1.0,
            plot_datapoints=False,
            plot_density=False,
            fill_contours=True,
            no_fill_contours=True,
            hist_kwargs={"density": True, "lw": 1.6},
            contour_kwargs={"linewidths": 1.2},
            max_n_ticks=4,
            label_kwargs={"fontsize": 10},
        )
    figure.subplots_adjust(left=0.11, bottom=0.11, right=0.985, top=0.965, wspace=0.07, hspace=0.07)
    grid = np.array(figure.axes).reshape(size, size)
    for p in range(size):
        tallest = max(
            np.histogram(s[:, p], 25, ranges[p], density=True)[0].max() for s in theta.values()
        )
        grid[p, p].set_ylim(0, 1.15 * tallest)
    for axes in grid.ravel():
        axes.tick_params(labelsize=9)
    for p, (low, high) in enumerate(ranges):
        # Labels at the edge of a panel would meet those of its neighbour.
        ticks, margin = grid[-1, p].get_xticks(), 0.06 * (high - low)
        ticks = ticks[(ticks > low + margin) & (ticks < high - margin)]
        for axes in grid[p:, p]:
            axes.set_xticks(ticks)
        for axes in grid[p, :p]:
            axes.set_yticks(ticks)
    tag(figure, source)
    model_legend(figure, theta, truth="Truth", loc="upper right", bbox_to_anchor=(0.985, 0.965))
    if images is not None:
        require_images(images, len(values))
        box = figure.add_axes((0.70, 0.58, 0.27, 0.27))
        cutout(box, images[galaxy])
    return figure


@styled
def training_curves(history: pd.DataFrame, *, source: str) -> Figure:
    """Show training and validation loss of each epoch; a dot marks the epoch that is kept.

    Arguments:
        history: columns `model`, `epoch`, `train_loss`, `validation_loss`.
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
def truth_recovery(truth, posteriors: Mapping, *, source: str) -> Figure:
    r"""Show posterior means against the truth, a column a property and a row a model.

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
            axes.axline((low, low), slope=1, color=COLOURS["truth"], lw=1, ls="--", zorder=3)
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
    """Scatter and R² of estimates; R² needs two different truths."""
    error = mean - truth
    if truth.std() == 0:
        return f"off by {error[0]:+.2f}"
    r_squared = 1 - np.mean(error**2) / truth.var()
    return f"σ = {error.std():.2f}\n$R^2$ = {r_squared:.2f}"


@styled
def posterior_mean_distributions(truth, posteriors: Mapping, *, source: str) -> Figure:
    """Show posterior means beside the truth, with the Wasserstein distance of the two."""
    values, samples = aligned(truth, posteriors)
    means = {model: s.mean(axis=1) for model, s in samples.items()}
    distances = {model: wasserstein(mean, values) for model, mean in means.items()}
    figure = new_figure(8.4, 5.2, source)
    grid = figure.subplots(2, 3).ravel()
    for p, (axes, label) in enumerate(zip(grid, LABELS.values(), strict=False)):
        bins = np.linspace(*limits(values[:, p], inside=99.8), 36)
        histogram(axes, values[:, p], bins, COLOURS["truth"], filled=True)
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
        truth="Truth",
        loc="center",
        fontsize=10,
        title="Wasserstein distances $W$\nin the units of the axes",
    )
    return figure


@styled
def calibration(truth, posteriors: Mapping, *, source: str) -> Figure:
    """Show whether posteriors mean what they say: rank histograms and coverage of each property.

    Upper row: fraction of a posterior's draws below the truth, flat when calibrated. Lower row:
    fraction of galaxies whose truth lies in the central interval of a nominal probability, minus
    that probability: positive when posteriors are too wide. Bands hold 95 % of what calibrated
    posteriors of this many galaxies give.
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
        lower.axhline(0, color=COLOURS["truth"], lw=1, ls="--")
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
def pathways(trajectories: Mapping, names: tuple[str, str], *, truth=None, source: str) -> Figure:
    """Show how the flow carries noise to one galaxy's posterior, in the plane of two properties.

    Arguments:
        trajectories: positions in physical units, `(n_times, n_samples, 2)` a model, at equal
            steps from time 0 (noise) to 1 (posterior).
        names: the two properties, as in `PROPERTY_NAMES`.
        truth: the galaxy's true values of the two properties.
    """
    models = posteriors_in_order(trajectories)
    labels = [LABELS[name] for name in names]
    paths = {model: np.asarray(trajectories[model], dtype=np.float64) for model in models}
    for model, path in paths.items():
        if path.ndim != 3 or path.shape[2] != 2 or len(path) < 2:
            raise ValueError(
                f"{model} trajectories have shape {path.shape}, expected (n_times, n_samples, 2)"
            )
    figure = new_figure(9, 2.5 * len(models) + 0.5, source)
    grid = figure.subplots(len(models), 4, sharex=True, sharey=True, squeeze=False)
    everything = np.concatenate([path.reshape(-1, 2) for path in paths.values()])
    for row, (axes_row, (model, path)) in enumerate(zip(grid, paths.items(), strict=True)):
        for axes, time in zip(axes_row, (0, 1 / 3, 2 / 3, 1), strict=True):
            now = round(time * (len(path) - 1))
            # Lines beyond some hundreds only fill the plane.
            trails = path[: now + 1, :200].transpose(1, 0, 2)
            axes.add_collection(
                LineCollection(trails, colors=COLOURS[model], lw=0.5, alpha=0.25, rasterized=True)
            )
            axes.scatter(
                *path[now].T, s=5, color=COLOURS[model], alpha=0.8, lw=0, zorder=3, rasterized=True
            )
            if truth is not None:
                axes.plot(*truth, "+", ms=13, mew=2, color="black", zorder=4)
            axes.set(
                xlim=limits(everything[:, 0], inside=99.5),
                ylim=limits(everything[:, 1], inside=99.5),
            )
            axes.set_title(f"$t$ = {now / (len(path) - 1):.2f}", fontsize=10)
            if row == len(models) - 1:
                axes.set_xlabel(labels[0])
        axes_row[0].set_ylabel(f"{TITLES[model]}\n{labels[1]}")
    return figure


@styled
def wasserstein_chart(distances: pd.DataFrame, *, source: str) -> Figure:
    """Compare the models' Wasserstein distances of posterior means to the truth.

    Arguments:
        distances: a row a property, indexed by its name; columns `photometry`, `image` and
            `floor` (what as many draws from the truth itself give), in standard deviations of
            the truth.
    """
    table = distances.loc[list(PROPERTY_NAMES), [*MODELS, "floor"]]
    figure = new_figure(7, 3.4, source)
    axes = figure.subplots()
    rows = np.arange(len(table))[::-1]
    low, high = table[list(MODELS)].min(axis=1), table[list(MODELS)].max(axis=1)
    axes.hlines(rows, low, high, color=LIGHT, lw=2, zorder=1)
    for model in MODELS:
        axes.scatter(table[model], rows, s=70, color=COLOURS[model], zorder=3, label=TITLES[model])
    look = {"marker": "|", "s": 160, "lw": 2, "color": COLOURS["truth"], "zorder": 2}
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
