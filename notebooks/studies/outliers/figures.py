"""Figures and tables of outliers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from galcfm.figures import style
from galcfm.figures.tables.words import number, with_error
from galcfm.properties import PROPERTY_NAMES
from studies.figures import by_model

# The plane in which posteriors of one galaxy are shown.
PLANE = ("log_stellar_mass", "log_sfr")


@style.styled
def gain_tail(observed: Mapping, expected: Mapping, *, source: str) -> Figure:
    """Draw the share of galaxies below each Δlog p: observed, and by the model's own draws.

    Galaxies left of the axes are counted in the panel.

    Arguments:
        observed: Δlog p of the galaxies by model [nat], each of shape `(n,)`.
        expected: Δlog p of draws by model [nat], of any shape.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure, panels = by_model(observed, style.COLUMN, 3.3, source, sharex=True, sharey=True)
    low = min(np.quantile(x, 0.0005) for x in (*observed.values(), *expected.values()))
    low = min(low, -1)
    for model, axes in panels.items():
        values = np.asarray(observed[model])
        own = {"lw": 1.3, "color": style.COLOURS["line"], "ls": "--"}
        axes.ecdf(values, label="galaxies", lw=2, color=style.COLOURS[model])
        axes.ecdf(np.ravel(expected[model]), label="the model's draws", **own)
        axes.axvline(0, color=style.LIGHT, lw=1)
        beyond = values[values < low]
        if len(beyond):
            words = f"{len(beyond)} further left,\nlowest {number(beyond.min(), 1)} nat"
            style.note(axes, 0.97, 0.12, words, ha="right", va="bottom")
        axes.set(
            xlabel=r"$\Delta \log p$ [nat]",
            yscale="log",
            xlim=(low, max(np.quantile(x, 0.9) for x in observed.values())),
            ylim=(0.5 / len(values), 1.2),
        )
        axes.legend(loc="upper left")
    next(iter(panels.values())).set_ylabel("Share of galaxies below")
    return figure


@style.styled
def lowest(images, gain: Mapping[str, np.ndarray], *, source: str) -> Figure:
    """Show cutouts with Δlog p under both models below each.

    Arguments:
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        gain: Δlog p of the same galaxies by model [nat], each of shape `(n,)`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure = style.new_figure(style.COLUMN, 2.2 * rows + 0.2, source)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for k, (axes, cutout) in enumerate(zip(grid, images, strict=False)):
        style.cutout(axes, cutout, k + 1)
        image, without = (number(gain[model][k], 1) for model in ("image", "photometry"))
        axes.set_title(f"{image} with image\n{without} without", y=-0.26, fontsize=9)
    return figure


@style.styled
def one_galaxy(image, training: pd.DataFrame, galaxy: pd.Series, judged, *, source: str) -> Figure:
    """Show a galaxy, and what models say about its mass and star formation rate.

    Arguments:
        image: Its cutout, uint8 `(128, 128, 3)`.
        training: Catalogue of the training galaxies.
        galaxy: Its row of the catalogue, with measured and true values.
        judged: `draws` of the models `photometry`, `image` and `redshift`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = style.new_figure(style.COLUMN, 3.4, source)
    left, axes = figure.subplots(1, 2, width_ratios=[1, 1.7])
    style.cutout(left, image)
    x, y = (training[name] for name in PLANE)
    axes.scatter(x, y, s=2, color=style.LIGHT, alpha=0.3, lw=0, rasterized=True)
    columns = [PROPERTY_NAMES.index(name) for name in PLANE]
    draws = {model: of["draws"][:, columns].T for model, of in judged.items()}
    (xs, ys), (x_label, y_label) = zip(*draws.values(), strict=True), map(style.LABELS.get, PLANE)
    axes.set(xlim=style.limits(x, *xs, inside=99.8), ylim=style.limits(y, *ys, inside=99.8))
    axes.set(xlabel=x_label, ylabel=y_label)
    titles = style.TITLES | {"redshift": "photometry and redshift"}
    colours = style.COLOURS | {"redshift": style.OTHER[0].colour}
    handles = []
    for model, of in draws.items():
        style.contours(axes, *of, colours[model], filled=model == "photometry")
        handles.append(Line2D([], [], color=colours[model], lw=2, label=titles[model]))
    for label, ending, marker in (("measured", "", "D"), ("true", "_true", "*")):
        point = [galaxy[name + ending] for name in PLANE]
        look = {"color": style.COLOURS["measured"], "marker": marker, "ls": "", "ms": 7}
        handles += axes.plot(*point, label=f"{label} values", zorder=6, **look)
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def variant_table(compared: pd.DataFrame, words: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Return shares of negative Δlog p under some trainings, one row per training.

    Arguments:
        compared: Result of `outliers_by_variant`.
        words: Words for a training by its model and label; only trainings that were made appear.
    """
    rows = {}
    for key, name in words.items():
        if key in compared.index:
            row = compared.loc[key]
            difference = with_error(100 * row["difference"], 100 * row["error"], 1, "+")
            shares = [number(100 * row[share], 1) for share in ("below zero", "expected")]
            rows[name] = [*shares, difference]
    names = ["below zero [%]", "expected from draws [%]", "difference [%]"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)
