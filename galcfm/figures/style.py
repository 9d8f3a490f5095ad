"""Colours, sizes, checks of the input and other parts that all figures share."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import gaussian_kde

from galcfm.paths import replacing, user_path
from galcfm.properties import PROPERTIES, Declaration, Property
from galcfm.stored_posteriors import samples_array


class Look(NamedTuple):
    """Colour, marker and, for a model, title of one kind of element in all figures."""

    colour: str
    marker: str
    title: str = ""

    @property
    def text(self) -> str:
        """Colour of text about it; orange is darkened on white."""
        return "#8a5f00" if self.colour == PHOTOMETRY.colour else self.colour


IMAGE = Look("#0072B2", "o", "Image model")
PHOTOMETRY = Look("#E69F00", "s", "Photometry model")
MEASURED = Look("#333333", "D", "Measured")
# Models of photometry and an embedding. Other names take the last look, or a free one.
EMBEDDINGS = {
    "image_embedding": Look("#7900F2", "^", "Image embedding model"),
    "spectrum_embedding": Look("#CC3300", "v", "Spectrum embedding model"),
    "": Look("#995F4C", "P"),
}
LOOKS = {"measured": MEASURED, "photometry": PHOTOMETRY, "image": IMAGE}
# All elements except models and measured values: other methods, categories, gain and loss,
# simulated and real. None is blue or orange. The schemes of Paul Tol (2021) are distinguishable
# with each kind of colour blindness.
OTHER = (
    Look("#117733", "^"),
    Look("#AA4499", "v"),
    Look("#999933", "P"),
    Look("#44AA99", "X"),
    Look("#882255", "<"),
    Look("#CC6677", ">"),
)
# "line" is for axes and lines of reference.
COLOURS = {kind: look.colour for kind, look in LOOKS.items()} | {"line": "#333333"}
MARKERS = {kind: look.marker for kind, look in LOOKS.items()}
TITLES = {kind: look.title for kind, look in LOOKS.items()}
MODELS = ("photometry", "image")
LIGHT = "#9a9a9a"
PROGRAM = "galcfm.figures"
# Figure width [inch] that fills the text column of a page; text is readable up to this width.
COLUMN = 7.0
STYLE = {
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 11,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "savefig.dpi": 150,
}
# Density contours need no more galaxies, and their time grows with the number.
KDE_GALAXIES = 3000
KDE_FEWEST = 20


def labels_of(properties: Sequence[Property]) -> dict[str, str]:
    """Return the axis label of each property, by name."""
    # DejaVu Sans draws \star no larger than a dot.
    return {p.name: p.label.replace(r"\star", r"\bigstar") for p in properties}


LABELS = labels_of(PROPERTIES)


def styled(function):
    """Apply the book's fonts and lines to a figure function, without a change of `rcParams`."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, source: str) -> Figure:
    """Return an empty figure of this size [inch] with the source in its upper right corner."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    strip = 0.22 / height
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - strip))
    tag(figure, source)
    return figure


def tag(figure: Figure, source: str) -> None:
    """Print the source of the galaxies in the upper right corner."""
    figure.text(
        0.995, 0.995, source, ha="right", va="top", fontsize=9, style="italic", color="#666666"
    )


@dataclass(frozen=True)
class Shown:
    """Measured values and draws of the same galaxies, and how a figure shows them.

    Arguments:
        properties: The d properties that are inferred.
        values: Measured properties, `(n, d)`, NaN where a galaxy has no label.
        samples: Draws of each model, `(n, S, d)`, in the order of `posteriors_in_order`.
    """

    properties: Sequence[Property]
    values: np.ndarray
    samples: Mapping[str, np.ndarray]

    @cached_property
    def labels(self) -> dict[str, str]:
        """Axis label of each property."""
        return labels_of(self.properties)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Look of each model, and of measured values."""
        return looks_of(self.samples)

    def labelled(self, *names: str) -> np.ndarray:
        """Return which galaxies have measured values of these properties, `(n,)`.

        Raises:
            ValueError: No galaxy has, or a property is not inferred.
        """
        has = np.isfinite(self.values[:, columns_of(names, self.properties)]).all(axis=1)
        if not has.any():
            raise ValueError(
                f"no galaxy has a measured {' and '.join(names)}: select galaxies that have"
            )
        return has


def columns_of(names: Sequence[str], properties: Sequence[Property]) -> list[int]:
    """Return the place of each property that a figure needs.

    Raises:
        ValueError: One of them is not inferred.
    """
    found = [p.name for p in properties]
    if missing := [name for name in names if name not in found]:
        raise ValueError(
            f"this figure shows {', '.join(names)}, and the posteriors have no "
            f"{', '.join(missing)}: draw another figure of {', '.join(found)}"
        )
    return [found.index(name) for name in names]


def measured_array(measured, names: Sequence[str]) -> np.ndarray:
    """Return measured properties `(n, d)`, NaN without a label, from an array or a catalogue."""
    if isinstance(measured, pd.DataFrame):
        if missing := [name for name in names if name not in measured]:
            raise ValueError(f"the catalogue has no column {', '.join(missing)}: add it")
        measured = measured[list(names)]
    values, d = np.asarray(measured, dtype=np.float64), len(names)
    if values.ndim != 2 or values.shape[1] != d or len(values) == 0:
        raise ValueError(f"measured has shape {values.shape}, expected (n, {d}) with n at least 1")
    return values


def aligned(measured, posteriors: Mapping) -> Shown:
    """Return measured properties and draws of the same galaxies.

    Raises:
        ValueError: A model is unknown, a posterior has other galaxies, or the models infer
            different properties.
    """
    models = posteriors_in_order(posteriors)
    declared = Declaration.of_posteriors(posteriors[models[0]])
    names = declared.property_names
    values, samples = measured_array(measured, names), {}
    for model in models:
        dataset = posteriors[model]
        if (others := Declaration.of_posteriors(dataset).property_names) != names:
            words = f"{', '.join(names)}; the {model} model infers {', '.join(others)}"
            raise ValueError(f"the {models[0]} model infers {words}: draw them apart")
        samples[model] = samples_array(dataset)
        if len(samples[model]) != len(values):
            raise ValueError(
                f"the {model} posterior has {len(samples[model])} galaxies, the measured values "
                f"{len(values)}: select the same ones"
            )
        if isinstance(measured, pd.DataFrame) and "object_id" in measured:
            ours, theirs = measured["object_id"].to_numpy(), dataset["object_id"].values
            if not (ours.astype(str) == theirs.astype(str)).all():
                raise ValueError(
                    f"the {model} posterior and the measured values are of different galaxies, or "
                    "in another order: select by object_id"
                )
    return Shown(declared.properties, values, samples)


def few(has: np.ndarray) -> str:
    """Return the number of labelled galaxies as a line of text, if not all galaxies are."""
    return "" if has.all() else f"\n{has.sum():,} galaxies"


def posteriors_in_order(models: Mapping) -> list[str]:
    """Return the names of the models, photometry first; an unknown name is a `ValueError`."""
    unknown = [m for m in models if m not in MODELS and not m.endswith("_embedding")]
    if unknown or not models:
        expected = f"{' and '.join(MODELS)}, or NAME_embedding"
        raise ValueError(f"models are called {sorted(models)}, expected {expected}")
    return [m for m in MODELS if m in models] + [m for m in models if m not in MODELS]


def looks_of(models: Iterable[str]) -> dict[str, Look]:
    """Return the look of each model, and of measured values.

    Raises:
        ValueError: There are more models with embeddings than colours.
    """
    known = LOOKS | EMBEDDINGS
    others = [model for model in models if model not in known]
    free = [look for name, look in reversed(EMBEDDINGS.items()) if name not in models]
    if len(others) > len(free):
        raise ValueError(f"{', '.join(others)} need more colours than there are: draw fewer models")
    titles = [f"{name[0].upper()}{name[1:].replace('_', ' ')} model" for name in others]
    pairs = zip(others, free, titles, strict=False)
    return known | {name: look._replace(title=title) for name, look, title in pairs}


def limits(*values: np.ndarray, inside: float = 99.0) -> tuple[float, float]:
    """Return axis limits that include the central `inside` percent of all values, with a margin."""
    pooled = np.concatenate([np.ravel(v) for v in values])
    low, high = np.nanpercentile(pooled, [50 - inside / 2, 50 + inside / 2])
    margin = 0.08 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def density(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, *, filled=True) -> None:
    """Draw galaxies as dots with filled contours of 50 % and 90 % of them, or as dashed lines."""
    if filled:
        axes.scatter(x, y, s=3, color=colour, alpha=0.35, lw=0, rasterized=True, zorder=1)
    contours(axes, x, y, colour, (0.5, 0.9), filled=filled, ls="solid" if filled else "dashed")


def contours(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    colour: str,
    shares: tuple[float, float] = (0.68, 0.95),
    *,
    filled: bool,
    ls: str = "solid",
) -> None:
    """Draw contours that enclose two shares of the points, as lines and, if asked, filled.

    With fewer than 20 points there is nothing to estimate a density from, and the points
    themselves are drawn: dots for filled contours, crosses for lines.
    """
    if len(x) < KDE_FEWEST:
        axes.plot(x, y, "o" if filled else "x", ms=5, color=colour, zorder=3)
        return
    kde = gaussian_kde(np.stack([x, y])[:, :KDE_GALAXIES])
    grid_x = np.linspace(*axes.get_xlim(), 70)
    grid_y = np.linspace(*axes.get_ylim(), 70)
    height = kde(np.stack(np.meshgrid(grid_x, grid_y)).reshape(2, -1)).reshape(70, 70)
    surface = grid_x, grid_y, height
    levels = np.quantile(kde(kde.dataset), [1 - max(shares), 1 - min(shares)])
    if filled:
        axes.contourf(*surface, [*levels, np.inf], colors=[colour] * 2, alpha=0.35, zorder=2)
    width = 0.8 if filled else 1.3
    axes.contour(*surface, levels, colors=colour, linewidths=width, linestyles=ls, zorder=4)


def curve(axes: Axes, values: np.ndarray, colour: str, *, filled: bool) -> None:
    """Draw the smooth density of draws of one property over the axes' horizontal range."""
    if len(values) < KDE_FEWEST or np.ptp(values) == 0:
        axes.plot(values, np.zeros(len(values)), "|", ms=12, color=colour)
        return
    grid = np.linspace(*axes.get_xlim(), 200)
    height = gaussian_kde(values)(grid)
    axes.plot(grid, height, color=colour, lw=1.6)
    if filled:
        axes.fill_between(grid, height, color=colour, alpha=0.35, lw=0)


def histogram(axes: Axes, values: np.ndarray, bins, colour: str, *, filled=False, **options):
    """Draw a normalised histogram, as a line or filled."""
    weights = np.full(len(values), 1 / len(values))
    look = {"histtype": "step", "lw": 1.6}
    if filled:
        look = {"histtype": "stepfilled", "alpha": 0.25, "lw": 0}
    axes.hist(values, bins, **{"weights": weights, "color": colour} | look | options)


def cutout(axes: Axes, image: np.ndarray, number: int | None = None) -> None:
    """Show a uint8 cutout without axes, with a number in its corner."""
    axes.imshow(image, interpolation="lanczos")
    axes.set_axis_off()
    if number is not None:
        note(axes, 0.06, 0.94, str(number), color="white", fontsize=10, fontweight="bold")


def note(axes: Axes, x: float, y: float, text: str, **options) -> None:
    """Write small text at a place given in fractions of the axes, its top there."""
    axes.text(x, y, text, transform=axes.transAxes, **{"va": "top", "fontsize": 9} | options)


def model_legend(figure_or_axes, models, *, measured=None, **options) -> None:
    """Add a legend with one line per model.

    Arguments:
        figure_or_axes: Figure or axes of the legend.
        models: Names of the models.
        measured: Artist of the measured values, which come first in the legend.
        options: Options of the legend.
    """
    looks = looks_of(models)
    lines = [Line2D([], [], color=looks[m].colour, lw=2, label=looks[m].title) for m in models]
    if measured is not None:
        measured.set_label(TITLES["measured"])
        lines.insert(0, measured)
    figure_or_axes.legend(handles=lines, **options)


def require_images(images, n: int) -> None:
    """Raise `ValueError` unless there are `n` colour cutouts."""
    good = images.ndim == 4 and images.shape[-1] == 3 and len(images) == n
    if not good or images.dtype != np.uint8:
        raise ValueError(
            f"images are {images.dtype} and have shape {images.shape}, expected uint8 "
            f"({n}, height, width, 3)"
        )


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as PDF and PNG, completely or not at all; an earlier one is replaced.

    Arguments:
        figure: The figure.
        path: File name without its ending.

    Raises:
        OSError: The file cannot be written, or it exists and `save` did not write it.
    """
    # Each format has a field for the program's name, which identifies these files.
    for ending, place in ((".pdf", "Creator"), (".png", "Software")):
        with replacing(f"{user_path(path)}{ending}", _is_saved) as temporary:
            figure.savefig(temporary, dpi=200, metadata={place: PROGRAM})


def _is_saved(path: Path) -> bool:
    return PROGRAM.encode() in path.read_bytes()
