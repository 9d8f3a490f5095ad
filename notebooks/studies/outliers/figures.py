"""Figures and tables of outliers and of degeneracies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures import style
from studies.figures import by_model, formatted


@style.styled
def gain_tail(observed: Mapping, expected: Mapping, *, source: str) -> Figure:
    """Draw the share of galaxies below each Δlog p: observed, and by the model's own draws.

    Arguments:
        observed: Δlog p of the truths by model [nat], each of shape `(n,)`.
        expected: Δlog p of draws by model [nat], of any shape.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure, panels = by_model(observed, 8, 3.3, source, sharex=True, sharey=True)
    low = min(np.quantile(x, 0.0005) for x in (*observed.values(), *expected.values()))
    for model, axes in panels.items():
        own = {"lw": 1.3, "color": style.COLOURS["line"], "ls": "--"}
        axes.ecdf(observed[model], label="truth", lw=2, color=style.COLOURS[model])
        axes.ecdf(np.ravel(expected[model]), label="own draws", **own)
        axes.axvline(0, color=style.LIGHT, lw=1)
        axes.set(
            xlabel=r"$\Delta \log p$ [nat]",
            yscale="log",
            xlim=(min(low, -1), max(np.quantile(x, 0.9) for x in observed.values())),
            ylim=(0.5 / len(observed[model]), 1.2),
        )
        axes.legend(loc="upper left")
    next(iter(panels.values())).set_ylabel("Share of galaxies below")
    return figure


@style.styled
def label_errors(size, delta_log_p: Mapping, *, source: str) -> Figure:
    """Draw Δlog p against the size of the measurement errors of the properties.

    Galaxies outside the axes are triangles at their edge.

    Arguments:
        size: Result of `label_error_size`, shape `(n,)`.
        delta_log_p: Δlog p by model [nat], each of shape `(n,)`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure, panels = by_model(delta_log_p, 8, 3.2, source, sharex=True, sharey=True)
    x_limits = style.limits(size, inside=99.9)
    y_limits = style.limits(*delta_log_p.values(), inside=99.6)
    for model, axes in panels.items():
        shown = np.clip(size, *x_limits), np.clip(delta_log_p[model], *y_limits)
        outside = (shown[0] != size) | (shown[1] != delta_log_p[model])
        look = {"color": style.COLOURS[model], "lw": 0, "rasterized": True}
        axes.scatter(*(x[~outside] for x in shown), s=5, alpha=0.4, **look)
        axes.scatter(*(x[outside] for x in shown), s=16, marker="^", clip_on=False, **look)
        axes.axhline(0, color=style.COLOURS["line"], lw=1, ls="--")
        axes.set(xlabel="Size of the label errors [standard deviations]")
        axes.set(xlim=x_limits, ylim=y_limits)
    next(iter(panels.values())).set_ylabel(r"$\Delta \log p$ [nat]")
    return figure


@style.styled
def degeneracies(found: Mapping[str, Mapping[str, Mapping]], *, source: str) -> Figure:
    """Draw correlation and length of posteriors in some planes, galaxy by galaxy.

    Arguments:
        found: Results of `degeneracy` by plane and model. A plane is named by two labels with a
            comma between them.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = style.new_figure(3.3 * len(found), 5, source)
    grid = figure.subplots(2, len(found), sharey="row", squeeze=False)
    longest = max(np.quantile(r["length"], 0.995) for p in found.values() for r in p.values())
    for (upper, lower), (plane, results) in zip(grid.T, found.items(), strict=True):
        models = style.posteriors_in_order(results)
        for model in models:
            correlation, length = (results[model][name] for name in ("correlation", "length"))
            colour = style.COLOURS[model]
            style.histogram(upper, correlation, np.linspace(-1, 1, 41), colour)
            style.histogram(lower, length, np.linspace(0, longest, 41), colour)
        upper.axvline(0, color=style.LIGHT, lw=1)
        upper.set_title(plane, fontsize=10)
        upper.set(xlabel="Correlation in the posterior", xlim=(-1, 1))
        lower.set(xlabel="Longest axis [population's spread]", xlim=(0, longest))
    for axes in grid[:, 0]:
        axes.set_ylabel("Share of galaxies")
    style.model_legend(figure, models, loc="outside upper left", ncols=2)
    return figure


def share_table(shares: Mapping[str, dict]) -> pd.DataFrame:
    """Return the share of galaxies with negative Δlog p beside that expected, one row per model.

    Arguments:
        shares: Results of `shares_below_zero` by model.
    """
    texts = {
        "truths below zero [%]": "{observed:.1f} ± {standard_error:.1f}",
        "expected from draws [%]": "{expected:.1f} ± {expected_standard_error:.1f}",
        "truths": "{n}",
    }
    return pd.DataFrame({model: formatted(texts, of) for model, of in shares.items()}).T


def label_error_table(size: np.ndarray, gain: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the median size of the label errors of all galaxies and of outliers, by model.

    Arguments:
        size: Result of `label_error_size`, shape `(n,)`.
        gain: Δlog p of the same galaxies by model [nat], each of shape `(n,)`.
    """
    table = {}
    for model, values in gain.items():
        lowest = values <= np.quantile(values, 0.01)
        chosen = {"all galaxies": ..., "negative Δlog p": values < 0, "lowest 1 %": lowest}
        table[model] = {name: np.median(size[rows]) for name, rows in chosen.items()}
    return pd.DataFrame(table).T.rename_axis("median size of the label errors").round(2)
