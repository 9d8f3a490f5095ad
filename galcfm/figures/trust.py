"""Whether the posteriors can be trusted: calibration, outliers, degeneracies, other priors."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from galcfm.figures.style import (
    BAND_COLOURS,
    COLOURS,
    LABELS,
    LIGHT,
    TITLES,
    histogram,
    limits,
    model_legend,
    new_figure,
    note,
    posteriors_in_order,
    styled,
)
from galcfm.properties import BANDS, PROPERTIES

# Without units: panels are wide enough for no more.
SHORT = {"hpd": "all: density (HPD)", "tarp": "all: distance (TARP)"} | {
    p.name: f"${p.symbol}$".replace(r"\star", r"\bigstar") for p in PROPERTIES
}
# What is not to be believed, and how far out a dot is drawn at most.
DOUBT, FARTHEST = "#b30000", 8.0


@styled
def rank_bands(deviations: Mapping[str, pd.DataFrame], band, *, source: str) -> Figure:
    """Rank shares of each test minus what calibrated posteriors have, with the 95 % band.

    Arguments:
        deviations: of `calibration.deviations`, a row a level, a column a test, by model.
        band: lowest and highest deviation inside the band at these levels, each `(L,)`.
    """
    models = posteriors_in_order(deviations)
    tests = deviations[models[0]]
    figure = new_figure(10, 5, source)
    grid = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for axes, name in zip(grid, tests, strict=False):
        axes.fill_between(tests.index, *band, color=LIGHT, alpha=0.3, lw=0)
        axes.axhline(0, color=COLOURS["truth"], lw=1, ls="--")
        for model in models:
            axes.plot(tests.index, deviations[model][name], color=COLOURS[model], lw=1.8)
        axes.set_title(SHORT[name], fontsize=10)
        axes.set(xlim=(0, 1))
    for axes in grid[3:7]:
        axes.set_xlabel("Rank of truth [fraction]")
        axes.tick_params(labelbottom=True)
    for axes in grid[::4]:
        axes.set_ylabel("Share below − expected")
    grid[7].set_axis_off()
    model_legend(grid[7], models, loc="center")
    note(grid[7], 0.5, 0.2, "grey: 95 % band", ha="center", va="baseline")
    return figure


@styled
def departures(values: Mapping[str, pd.DataFrame], *, source: str) -> Figure:
    """Largest deviation from uniform ranks in bins of galaxies, in half-widths of the band.

    Arguments:
        values: of `calibration.departures`, a row a bin, a column a test, by model.
    """
    models = posteriors_in_order(values)
    rows = values[models[0]].index
    figure = new_figure(10, 1.6 + 0.26 * len(rows), source)
    grid = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    colours = ListedColormap(["#f2f2f2", "#fdd49e", "#fc8d59", "#b30000"])
    norm = BoundaryNorm([0, 1, 1.5, 2, 3], colours.N)
    for axes, model in zip(grid, models, strict=True):
        table = values[model]
        shown = axes.imshow(table, cmap=colours, norm=norm, aspect="auto")
        for i, j in np.ndindex(table.shape):
            value = table.iloc[i, j]
            look = {"color": "white" if value > 2 else "black", "fontsize": 9}
            look["fontweight"] = "bold" if value > 1 else "normal"
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", **look)
        names = [SHORT[name].replace("all: ", "") for name in table]
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axes.set_title(TITLES[model], fontsize=10)
        axes.tick_params(length=0)
    names = {"log_stellar_mass": SHORT["log_stellar_mass"], "redshift": "$z$", "mag_r": "$r$"}
    last = max(number for _, number in rows)
    labels = [
        names[column] + {1: ": lowest", last: ": highest"}.get(number, f": {number} of {last}")
        for column, number in rows
    ]
    grid[0].set_yticks(range(len(rows)), labels)
    bar = figure.colorbar(shown, ax=list(grid), pad=0.01, fraction=0.04)
    bar.set_label("deviation [half-widths of the band]")
    return figure


@styled
def variant_gains(compared: pd.DataFrame, *, source: str) -> Figure:
    """Gain of each variant of a training over the book's own, a panel a model.

    Arguments:
        compared: of `calibration.compare_recipes`, a row a variant.
    """
    tables = {
        model: compared.loc[model].query("gain != 0").sort_values("gain")
        for model in posteriors_in_order(dict.fromkeys(compared.index.get_level_values(0)))
    }
    figure = new_figure(10, 1.1 + 0.28 * max(map(len, tables.values())), source)
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (model, table) in zip(panels, tables.items(), strict=True):
        rows = range(len(table))
        axes.axvline(0, color=COLOURS["truth"], lw=1, ls="--")
        axes.errorbar(table["gain"], rows, xerr=table["error"], fmt="o", ms=5, color=COLOURS[model])
        axes.set_yticks(rows, table.index)
        axes.set_title(TITLES[model])
        axes.set_xlabel("Gain in mean log p [nat]")
        axes.grid(axis="x", color=LIGHT, alpha=0.3)
    return figure


@styled
def gain_tail(observed: Mapping, expected: Mapping, *, source: str) -> Figure:
    """Share of galaxies below each Δlog p: observed, and by the model's own draws.

    Arguments:
        observed: Δlog p of the truths [nat], `(n,)`, by model.
        expected: Δlog p of draws [nat], any shape, by model.
    """
    models = posteriors_in_order(observed)
    figure = new_figure(8, 3.3, source)
    grid = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    low = min(np.quantile(x, 0.0005) for x in (*observed.values(), *expected.values()))
    for axes, model in zip(grid, models, strict=True):
        for values, look, label in (
            (observed[model], {"lw": 2, "color": COLOURS[model]}, "truth"),
            (expected[model], {"lw": 1.3, "color": COLOURS["truth"], "ls": "--"}, "own draws"),
        ):
            x = np.sort(np.ravel(values))
            axes.step(x, np.arange(1, len(x) + 1) / len(x), label=label, **look)
        axes.axvline(0, color=LIGHT, lw=1)
        axes.set(
            xlabel=r"$\Delta \log p$ [nat]",
            yscale="log",
            xlim=(min(low, -1), max(np.quantile(x, 0.9) for x in observed.values())),
            ylim=(0.5 / len(observed[model]), 1.2),
            title=TITLES[model],
        )
        axes.legend(loc="upper left")
    grid[0].set_ylabel("Share of galaxies below")
    return figure


@styled
def label_errors(size, delta_log_p: Mapping, *, source: str) -> Figure:
    """Δlog p against the size of the measurement errors of the true properties.

    Galaxies outside the axes are triangles at their edge.

    Arguments:
        size: of `studies.outliers.label_error_size`, `(n,)`.
        delta_log_p: [nat], `(n,)`, by model.
    """
    models = posteriors_in_order(delta_log_p)
    figure = new_figure(8, 3.2, source)
    grid = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    x_limits, y_limits = limits(size, inside=99.9), limits(*delta_log_p.values(), inside=99.6)
    for axes, model in zip(grid, models, strict=True):
        shown = np.clip(size, *x_limits), np.clip(delta_log_p[model], *y_limits)
        outside = (shown[0] != size) | (shown[1] != delta_log_p[model])
        style = {"color": COLOURS[model], "lw": 0, "rasterized": True}
        axes.scatter(*(x[~outside] for x in shown), s=5, alpha=0.4, **style)
        axes.scatter(*(x[outside] for x in shown), s=16, marker="^", clip_on=False, **style)
        axes.axhline(0, color=COLOURS["truth"], lw=1, ls="--")
        axes.set(
            xlabel="Size of the label errors [standard deviations]",
            xlim=x_limits,
            ylim=y_limits,
            title=TITLES[model],
        )
    grid[0].set_ylabel(r"$\Delta \log p$ [nat]")
    return figure


@styled
def degeneracies(found: Mapping[str, Mapping[str, Mapping]], *, source: str) -> Figure:
    """Correlation and length of posteriors in some planes, galaxy by galaxy.

    Arguments:
        found: of `diagnostics.degeneracy`, by plane and model; a plane is named by two labels
            with a comma between them.
    """
    figure = new_figure(3.3 * len(found), 5, source)
    grid = figure.subplots(2, len(found), sharey="row", squeeze=False)
    longest = max(np.quantile(r["length"], 0.995) for p in found.values() for r in p.values())
    for (upper, lower), (plane, by_model) in zip(grid.T, found.items(), strict=True):
        models = posteriors_in_order(by_model)
        for model in models:
            result = by_model[model]
            histogram(upper, result["correlation"], np.linspace(-1, 1, 41), COLOURS[model])
            histogram(lower, result["length"], np.linspace(0, longest, 41), COLOURS[model])
        upper.axvline(0, color=LIGHT, lw=1)
        upper.set_title(plane, fontsize=10)
        upper.set(xlabel="Correlation in the posterior", xlim=(-1, 1))
        lower.set(xlabel="Longest axis [population's spread]", xlim=(0, longest))
    for axes in grid[:, 0]:
        axes.set_ylabel("Share of galaxies")
    model_legend(figure, models, loc="outside upper left", ncols=2)
    return figure


@styled
def other_prior(
    masses, weights, effective: Mapping, n_draws: int, *, names: tuple[str, str], source: str
) -> Figure:
    """A population of other masses, and how many draws still count under it.

    Arguments:
        masses: of the training galaxies [dex, M☉], `(n,)`.
        weights: of these in the new population, `(n,)`.
        effective: effective sample sizes by model, each `(m,)`.
        n_draws: draws a galaxy.
        names: of the old and the new population.
    """
    old, new = names
    figure = new_figure(8, 3.2, source)
    left, right = figure.subplots(1, 2)
    bins = np.linspace(*limits(masses, inside=99.9), 31)
    histogram(left, masses, bins, LIGHT, filled=True, alpha=0.5, label=old)
    histogram(left, masses, bins, "#009E73", weights=weights / np.sum(weights), label=new)
    left.set(xlabel=LABELS["log_stellar_mass"], ylabel="Share of galaxies")
    for axes in (left, right):
        axes.margins(y=0.3)  # room for the legend
    left.legend(loc="upper left")
    for model in posteriors_in_order(effective):
        share = np.asarray(effective[model]) / n_draws
        histogram(right, share, np.linspace(0, 1, 31), COLOURS[model])
    right.set(xlabel="Effective share of the draws", ylabel="Share of galaxies", xlim=(0, 1))
    model_legend(right, posteriors_in_order(effective), loc="upper left")
    return figure


@styled
def replicated_photometry(
    replicated, checked: pd.DataFrame, *, shown: int = 6, source: str
) -> Figure:
    """Observed r and colours against those that posterior draws imply, a panel a galaxy.

    Distances are in half-widths of the 68 % of the replicated ones, so that the grey bands hold
    68 % and 95 %; what lies outside 95 % is red and has its distance in magnitudes. Where dots
    leave the bands, or the title is red, the galaxy is none that the model knows.

    Arguments:
        replicated: of `galcfm.posterior.replicated.check_photometry`, `(n, S, 5)`.
        checked: of the same, a row a galaxy.
        shown: galaxies to show, the first ones.
    """
    replicated = np.asarray(replicated)
    if replicated.ndim != 3 or len(replicated) != len(checked) or not len(checked):
        raise ValueError(
            f"{len(checked)} checked galaxies and replicated magnitudes of shape "
            f"{replicated.shape}: give both results of check_photometry"
        )

    def colours_of(magnitudes):
        # Bands share what the distance does to them: colours show what they do not.
        r = magnitudes[..., [BANDS.index("r")]]
        return np.concatenate([r, -np.diff(magnitudes, axis=-1)], axis=-1)

    names = ["r", *(f"{one}−{other}" for one, other in pairwise(BANDS))]
    residuals = checked[[f"residual_{band}" for band in BANDS]].to_numpy()
    observed = colours_of(residuals + np.median(replicated, axis=1))
    implied = colours_of(replicated)
    n = min(shown, len(checked))
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = new_figure(max(3.2 * columns, 4), 0.6 + 2.3 * rows, source)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for k, axes in enumerate(grid[:n]):
        low, lower, middle, upper, high = np.percentile(implied[k], [2.5, 16, 50, 84, 97.5], axis=0)
        away = observed[k] - middle
        width = (upper - lower) / 2
        places = np.arange(len(names))
        for alpha, bottom, top in ((0.3, low, high), (0.5, lower, upper)):
            height = (top - bottom) / width
            axes.bar(places, height, 0.5, (bottom - middle) / width, color=LIGHT, alpha=alpha)
        # Bars would end the axis where they end.
        axes.use_sticky_edges = False
        axes.axhline(0, color=COLOURS["truth"], lw=1, ls="--")
        for place in places:
            outside = not low[place] <= observed[k, place] <= high[place]
            value = np.clip(away[place] / width[place], -FARTHEST, FARTHEST)
            axes.plot(place, value, "o", ms=5, color=DOUBT if outside else "black")
            if outside:
                text = f"{away[place]:+.2f} mag"
                axes.annotate(text, (place, value), (6, 0), textcoords="offset points",
                              va="center", fontsize=9, color=DOUBT)  # fmt: skip
        row = checked.iloc[k]
        title = f"{row['object_id']}\nshare farther out: {row['share_farther']:.2f}"
        axes.set_title(title, fontsize=9, color=DOUBT if row["is_doubtful"] else "black")
        axes.set_xticks(places, names)
        axes.tick_params(labelbottom=True)
        axes.set(xlim=(-0.6, len(names) - 0.1))
    for axes in grid[n:]:
        axes.set_axis_off()
    figure.supylabel("Observed − implied [half-widths of 68 %]", fontsize=10)
    return figure


@styled
def missing_bands(results: Mapping, *, source: str) -> Figure:
    """One model of any bands against those of each set of bands, and its coverage.

    Arguments:
        results: of `missing_bands.json`.
    """
    sets = list(results["sets"])
    figure = new_figure(7, 1.4 + 0.3 * len(sets), source)
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(-0.05, 0.05, color=LIGHT, alpha=0.25, lw=0)
    n = results["sets"][sets[0]]["any"]["n_drawn"]
    chance = 1.96 * np.sqrt(0.95 * 0.05 / n)
    right.axvspan(0.95 - chance, 0.95 + chance, color=LIGHT, alpha=0.25, lw=0)
    for row, of_set in enumerate(results["sets"].values()):
        given = of_set["difference"]
        left.errorbar(
            given["mean"],
            -row,
            xerr=2 * given["standard_error"],
            fmt="o",
            color=COLOURS["image"],
            label="the model of these bands" if row == 0 else None,
        )
        for k, p in enumerate(PROPERTIES):
            covered = of_set["any"]["coverage"][p.name][1]
            label = SHORT[p.name] if row == 0 else None
            right.plot(covered, -row, "o", ms=5, color=BAND_COLOURS[k], label=label)
    for row, bands in enumerate(sets):
        if bands in results.get("exact", {}):
            given = results["exact"][bands]["difference"]
            left.errorbar(
                -given["mean"],
                -row - 0.25,
                xerr=2 * given["standard_error"],
                fmt="s",
                ms=4,
                color=COLOURS["photometry"],
                label="the exact posterior" if row == 0 else None,
            )
    left.axvline(0, color=COLOURS["truth"], lw=1)
    right.axvline(0.95, color=COLOURS["truth"], lw=1)
    left.set_yticks(-np.arange(len(sets)), [" ".join(bands) for bands in sets])
    left.set(xlabel="$\\log p$ of the one model less that of … [nat]", ylabel="bands")
    right.set(xlabel="labels inside the 95 % interval")
    right.legend(
        ncols=3, columnspacing=1, handletextpad=0.2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.25)
    return figure
