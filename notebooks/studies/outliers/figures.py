"""Figures and tables of outliers and of degeneracies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import (
    COLOURS,
    LIGHT,
    TITLES,
    histogram,
    limits,
    model_legend,
    new_figure,
    posteriors_in_order,
    styled,
)
from galcfm.figures.tables.words import with_error


@styled
def gain_tail(observed: Mapping, expected: Mapping, *, source: str) -> Figure:
    """Draw the share of galaxies below each Δlog p: observed, and by the model's own draws.

    Arguments:
        observed: Δlog p of the truths by model [nat], each of shape `(n,)`.
        expected: Δlog p of draws by model [nat], of any shape.
        source: Words in the figure's corner that say what the galaxies are.
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
            axes.ecdf(np.ravel(values), label=label, **look)
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
    """Draw Δlog p against the size of the measurement errors of the properties.

    Galaxies outside the axes are triangles at their edge.

    Arguments:
        size: Result of `label_error_size`, shape `(n,)`.
        delta_log_p: Δlog p by model [nat], each of shape `(n,)`.
        source: Words in the figure's corner that say what the galaxies are.
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
    """Draw correlation and length of posteriors in some planes, galaxy by galaxy.

    Arguments:
        found: Results of `degeneracy` by plane and model. A plane is named by two labels with a
            comma between them.
        source: Words in the figure's corner that say what the galaxies are.
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


def share_table(gain: Mapping[str, np.ndarray], shares: Mapping[str, dict]) -> pd.DataFrame:
    """Return the share of galaxies with negative Δlog p beside that expected, one row per model.

    Arguments:
        gain: Δlog p of all galaxies by model [nat], each of shape `(n,)`.
        shares: Results of `shares_below_zero` by model.
    """
    rows = {}
    for model, share in shares.items():
        below = 100 * (gain[model] < 0)
        expected = 100 * share["expected"], 100 * share["expected_standard_error"]
        rows[model] = {
            "truths below zero [%]": with_error(below.mean(), below.std() / len(below) ** 0.5, 1),
            "expected from draws [%]": with_error(*expected, 1),
            "truths": len(below),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def label_error_table(size: np.ndarray, gain: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the median size of the label errors of all galaxies and of outliers, by model.

    Arguments:
        size: Result of `label_error_size`, shape `(n,)`.
        gain: Δlog p of the same galaxies by model [nat], each of shape `(n,)`.
    """
    rows = {
        model: {
            "all galaxies": np.median(size),
            "negative Δlog p": np.median(size[values < 0]),
            "lowest 1 %": np.median(size[values <= np.quantile(values, 0.01)]),
        }
        for model, values in gain.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("median size of the label errors").round(2)


def kernel_table(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return shares with negative Δlog p by exact densities and by kernels, one row per model.

    Arguments:
        results: Results of `metrics.evaluate` by model, with `galaxies`.
    """
    rows = {}
    for model, result in results.items():
        kde = np.array(result["galaxies"]["delta_log_p"]["kde"])
        exact = np.array(result["galaxies"]["delta_log_p"]["exact"])[: len(kde)]
        rows[model] = {"galaxies": len(kde)}
        for kind, values in (("exact", exact), ("KDE", kde)):
            rows[model] |= {
                f"below zero, {kind} [%]": f"{100 * np.mean(values < 0):.1f}",
                f"lowest, {kind} [nat]": f"{values.min():.1f}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def degeneracy_table(found: Mapping[str, Mapping[str, dict]]) -> pd.DataFrame:
    """Return medians over galaxies of how two properties trade off, by plane and model.

    Arguments:
        found: Results of `degeneracy` by plane and model.
    """
    rows = {
        (plane.replace("$", ""), model): {
            "median correlation": np.median(result["correlation"]),
            "median angle [deg]": np.median(result["angle"]),
            "median length": np.median(result["length"]),
            "median width": np.median(result["width"]),
        }
        for plane, by_model in found.items()
        for model, result in by_model.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").round(2)
