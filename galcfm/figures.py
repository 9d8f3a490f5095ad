"""The figures of the book: one function a figure.

Each function returns a `matplotlib.figure.Figure` that pyplot does not know of, so nothing has to
be closed and nothing is shown by itself. In a notebook, `%matplotlib inline` displays it; to a
file, `figure.savefig(path)` writes it. Colours are fixed and colour-blind safe: truth dark grey,
photometry model orange, image model blue. `source` is printed in the figure's upper right corner
and says what the galaxies are, e.g. `"simulated survey"` or `"SDSS"`.

Posteriors are passed as `{"photometry": dataset, "image": dataset}`, each an `xarray.Dataset`
with a variable a property of dimensions `chain`, `draw`, `object_id`, in physical units. Truths
are a catalogue or an array `(n, 5)` in the order of `galcfm.properties`, of the same galaxies.
"""

import functools
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.ticker import MaxNLocator, NullFormatter
from scipy.stats import binom, gaussian_kde, norm

from galcfm.metrics import coverage, rank_statistics, wasserstein
from galcfm.paths import replacing
from galcfm.properties import BANDS, PROPERTIES, PROPERTY_NAMES
from galcfm.sampling import samples_array

__all__ = [
    "COLOURS",
    "calibration",
    "colour_comparison",
    "contact_sheet",
    "control_gains",
    "dust_age",
    "galaxy_corner",
    "how_fast",
    "method_schematic",
    "model_comparison",
    "pathways",
    "percentile_offsets",
    "posterior_mean_distributions",
    "save",
    "scaling_relations",
    "survey_overview",
    "training_curves",
    "truth_recovery",
    "wasserstein_chart",
]

COLOURS = {"truth": "#333333", "photometry": "#E69F00", "image": "#0072B2"}
TITLES = {"truth": "Truth", "photometry": "Photometry model", "image": "Image model"}
MODELS = ("photometry", "image")
LIGHT = "#9a9a9a"
BAND_COLOURS = ("#CC79A7", "#0072B2", "#009E73", "#E69F00", "#D55E00")
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
# DejaVu Sans draws \star no larger than a dot.
LABELS = {p.name: p.label.replace(r"\star", r"\bigstar") for p in PROPERTIES}
# Density contours need no more galaxies than this, and their time grows with the number.
KDE_GALAXIES = 3000
KDE_FEWEST = 20


def styled(function):
    """Let a figure function draw with the book's fonts and lines, and leave `rcParams` alone."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, source: str) -> Figure:
    """Empty figure of this size [inch] with the source in its upper right corner."""
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


def truth_array(truth) -> np.ndarray:
    """True properties `(n, 5)`, from an array or from the columns of a catalogue."""
    if isinstance(truth, pd.DataFrame):
        truth = truth[list(PROPERTY_NAMES)]
    values = np.asarray(truth, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(PROPERTIES) or len(values) == 0:
        raise ValueError(f"truth has shape {values.shape}, expected (n, 5) with n at least 1")
    return values


def aligned(truth, posteriors: Mapping) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """True properties `(n, 5)` and samples `(n, S, 5)` a model, of the same galaxies.

    Raises:
        ValueError: a model is unknown, or truth and a posterior do not hold the same galaxies.
    """
    values = truth_array(truth)
    samples = {}
    for model in posteriors_in_order(posteriors):
        dataset = posteriors[model]
        samples[model] = samples_array(dataset)
        if len(samples[model]) != len(values):
            raise ValueError(
                f"the {model} posterior holds {len(samples[model])} galaxies and truth "
                f"{len(values)}: select the same ones"
            )
        if isinstance(truth, pd.DataFrame) and "object_id" in truth:
            ours, theirs = truth["object_id"].to_numpy(), dataset["object_id"].values
            if not (ours.astype(str) == theirs.astype(str)).all():
                raise ValueError(
                    f"the {model} posterior and truth hold different galaxies, or the same in "
                    "another order: select by object_id"
                )
    return values, samples


def posteriors_in_order(models: Mapping) -> list[str]:
    """The known models among the keys, photometry first."""
    unknown = set(models) - set(MODELS)
    if unknown or not models:
        raise ValueError(f"models are called {sorted(models)}, expected {' and '.join(MODELS)}")
    return [model for model in MODELS if model in models]


def limits(*values: np.ndarray, inside: float = 99.0) -> tuple[float, float]:
    """Axis limits that hold the central `inside` percent of all values, with a margin."""
    pooled = np.concatenate([np.ravel(v) for v in values])
    low, high = np.nanpercentile(pooled, [50 - inside / 2, 50 + inside / 2])
    margin = 0.08 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def density(
    axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, *, filled=True, masses=(0.5, 0.9)
) -> None:
    """Draw contours that enclose these fractions of the points, filled or as lines.

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
    at_points = kde(kde.dataset)
    levels = np.quantile(at_points, 1 - np.sort(masses)[::-1])
    if filled:
        axes.scatter(x, y, s=3, color=colour, alpha=0.35, lw=0, rasterized=True, zorder=1)
        axes.contourf(
            grid_x,
            grid_y,
            height,
            [*levels, np.inf],
            colors=[colour] * len(levels),
            alpha=0.35,
            zorder=2,
        )
    axes.contour(
        grid_x,
        grid_y,
        height,
        levels,
        colors=colour,
        linewidths=1.2,
        zorder=4,
        linestyles="solid" if filled else "dashed",
    )


def histogram(axes: Axes, values: np.ndarray, bins, colour: str, *, filled=False, **options):
    """Draw a normalised histogram, as a line or filled."""
    weights = np.full(len(values), 1 / len(values))
    kind = (
        {"histtype": "stepfilled", "alpha": 0.25, "lw": 0}
        if filled
        else {"histtype": "step", "lw": 1.6}
    )
    axes.hist(values, bins, weights=weights, color=colour, **kind, **options)


def cutout(axes: Axes, image: np.ndarray, number: int | None = None) -> None:
    """Show a uint8 cutout without axes, with a number in its corner."""
    axes.imshow(image, interpolation="lanczos")
    axes.set_axis_off()
    if number is not None:
        axes.text(
            0.06,
            0.94,
            str(number),
            transform=axes.transAxes,
            color="white",
            va="top",
            fontsize=10,
            fontweight="bold",
        )


def model_legend(figure_or_axes, models, *, truth: str | None = None, **options) -> None:
    """Legend with a line a model, and one for the truth."""
    lines = [Line2D([], [], color=COLOURS[m], lw=2, label=TITLES[m]) for m in models]
    if truth:
        lines.insert(0, Line2D([], [], color=COLOURS["truth"], lw=2, label=truth))
    figure_or_axes.legend(handles=lines, **options)


@styled
def model_comparison(delta_log_p: Mapping, d_kl: Mapping, *, source: str) -> Figure:
    r"""Compare the two models galaxy by galaxy: Δlog p on the left, D_KL on the right.

    Above the 1:1 line the image model is higher. The axes hold 99 % of the galaxies; the number
    of those outside is printed.

    Arguments:
        delta_log_p: log posterior minus log prior density at the truth [nat], `(n,)` a model.
        d_kl: divergence of the posterior from the prior [nat], `(m,)` a model.
        source: what the galaxies are.
    """
    figure = new_figure(9, 4.8, source)
    quantities = (
        (delta_log_p, r"$\Delta \log p$"),
        (d_kl, r"$D_{\mathrm{KL}}$"),
    )
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
            axes.scatter(
                photometry[mask],
                image[mask],
                s=9,
                alpha=0.45,
                lw=0,
                color=COLOURS[model],
                rasterized=True,
            )
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
        axes.text(
            0.03,
            0.97,
            f"image higher: {100 * wins.mean():.1f} %",
            transform=axes.transAxes,
            va="top",
            color=COLOURS["image"],
            fontweight="bold",
        )
        outside = (np.minimum(photometry, image) < low) | (np.maximum(photometry, image) > high)
        note = f"n = {len(image)}" + (f", {outside.sum()} outside" if outside.any() else "")
        axes.text(0.97, 0.03, note, transform=axes.transAxes, ha="right", fontsize=9)
        bins = np.linspace(low, high, 31)
        top = axes.inset_axes((0, 1.02, 1, 0.18), sharex=axes)
        right = axes.inset_axes((1.02, 0, 0.18, 1), sharey=axes)
        histogram(top, photometry, bins, COLOURS["photometry"], filled=True)
        histogram(right, image, bins, COLOURS["image"], filled=True, orientation="horizontal")
        top.axvline(photometry.mean(), color=COLOURS["photometry"], lw=1.8)
        right.axhline(image.mean(), color=COLOURS["image"], lw=1.8)
        for height, model in ((1.13, "photometry"), (1.04, "image")):
            axes.text(
                1.01,
                height,
                f"mean {np.mean(values[model]):.2f}",
                fontsize=9,
                transform=axes.transAxes,
                color=text_colour(model),
            )
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
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        images: cutouts, uint8 `(n, 128, 128, 3)`; without them no galaxy is numbered.
        source: what the galaxies are.
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
    planes = (
        ("log_stellar_mass", "oxygen_abundance"),
        ("log_stellar_mass", "log_sfr"),
        ("log_sfr", "oxygen_abundance"),
    )
    for row, (name_x, name_y) in enumerate(planes):
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
                axes.text(
                    theta[galaxy, i],
                    theta[galaxy, j],
                    str(number),
                    ha="center",
                    va="center",
                    fontsize=9,
                    fontweight="bold",
                    clip_on=True,
                    zorder=6,
                    color=COLOURS[kind],
                    bbox={
                        "boxstyle": "circle,pad=0.15",
                        "fc": "white",
                        "ec": COLOURS[kind],
                        "lw": 1,
                    },
                )
            if row == 0:
                name = TITLES[kind] + (", means" if kind != "truth" else "")
                axes.set_title(name, color=text_colour(kind))
    for number, galaxy in enumerate(chosen, 1):
        axes = figure.add_subplot(grid[(number - 1) // 2, columns + (number - 1) % 2])
        cutout(axes, images[galaxy], number)
    return figure


def text_colour(kind: str) -> str:
    """Colour of text about the truth or a model: orange is darkened to be readable on white."""
    return "#8a5f00" if kind == "photometry" else COLOURS[kind]


def require_images(images, n: int) -> None:
    """Raise `ValueError` unless there are `n` colour cutouts."""
    if images.ndim != 4 or images.shape[-1] != 3 or len(images) != n:
        raise ValueError(f"images have shape {images.shape}, expected ({n}, height, width, 3)")


@styled
def dust_age(truth, posteriors: Mapping, *, source: str) -> Figure:
    r"""Show how far each model breaks the dust–age degeneracy, in the A_V–Dn4000 plane.

    Upper row: posterior means, which shrink towards the population's centre where the data say
    little. Lower row: one draw a galaxy, whose distribution is the truth's when the posteriors
    are right. Last column: their difference to the truth, where the degeneracy is an
    anticorrelation. Contours enclose 50 % and 90 % of the galaxies.

    Arguments:
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        source: what the galaxies are.
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
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        images: cutouts, uint8 `(n, 128, 128, 3)`.
        galaxy: row number of the galaxy to show.
        source: what the galaxies are.
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
    tag(figure, source)
    model_legend(figure, theta, truth="Truth", loc="upper right", bbox_to_anchor=(0.985, 0.965))
    if images is not None:
        require_images(images, len(values))
        box = figure.add_axes((0.70, 0.58, 0.27, 0.27))
        cutout(box, images[galaxy])
    return figure


@styled
def contact_sheet(catalogue: pd.DataFrame, images, *, source: str) -> Figure:
    """Show cutouts with redshift, r magnitude and the five properties below each.

    Arguments:
        catalogue: the galaxies to show, a row each, at most 24.
        images: their cutouts, uint8 `(n, 128, 128, 3)`.
        source: what the galaxies are.
    """
    n = len(catalogue)
    if not 1 <= n <= 24:
        raise ValueError(f"a contact sheet holds 1 to 24 galaxies, not {n}: select fewer rows")
    require_images(images, n)
    columns = min(n, 4)
    rows = -(-n // columns)
    figure = new_figure(2.05 * columns, 3.1 * rows + 0.25, source)
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2, 1.1] * rows)
    for axes in grid.ravel():
        axes.set_axis_off()
    numbers = {"redshift": "Redshift", "mag_r": "$r$ [AB mag]"} | LABELS
    for k, (image, (_, galaxy)) in enumerate(zip(images, catalogue.iterrows(), strict=True)):
        row, column = divmod(k, columns)
        cutout(grid[2 * row, column], image)
        for line, (name, label) in enumerate(numbers.items()):
            number = f"{galaxy[name]:.{3 if name == 'redshift' else 2}f}".replace("-", "−")
            for x, text, align in ((0.02, label, "left"), (0.98, number, "right")):
                grid[2 * row + 1, column].text(
                    x, 0.98 - 0.152 * line, text, ha=align, va="top", fontsize=9
                )
    return figure


@styled
def survey_overview(catalogue: pd.DataFrame, *, source: str) -> Figure:
    """Show a survey: redshifts, magnitudes, colours and the five properties.

    Arguments:
        catalogue: `redshift`, `mag_u` … `mag_z` [AB mag] and the properties, a row a galaxy.
        source: what the galaxies are.
    """
    figure = new_figure(8.6, 7.6, source)
    grid = figure.subplots(3, 3)
    magnitude = {band: catalogue[f"mag_{band}"].to_numpy() for band in BANDS}
    one_dimensional = [("redshift", "Redshift"), *LABELS.items()]
    positions = [(0, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    for (row, column), (name, label) in zip(positions, one_dimensional, strict=True):
        axes, values = grid[row, column], catalogue[name].to_numpy()
        histogram(
            axes,
            values,
            np.linspace(*limits(values, inside=99.8), 41),
            COLOURS["truth"],
            filled=True,
        )
        axes.set(xlabel=label, ylabel="Fraction of galaxies")
        axes.text(
            0.97,
            0.95,
            f"median {np.median(values):.2f}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=9,
        )
        # Room for the median above the histogram.
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    bins = np.linspace(*limits(*magnitude.values(), inside=99.8), 61)
    for band, colour in zip(BANDS, BAND_COLOURS, strict=True):
        histogram(grid[0, 1], magnitude[band], bins, colour)
        grid[0, 1].plot([], [], color=colour, lw=2, label=f"${band}$")
    grid[0, 1].set(xlabel="Magnitude [AB mag]", ylabel="Fraction of galaxies")
    grid[0, 1].legend(loc="upper left", handlelength=1)
    colours = {pair: magnitude[pair[0]] - magnitude[pair[1]] for pair in ("ug", "gr")}
    planes = (
        (grid[0, 2], colours["gr"], colours["ug"], "$g - r$ [mag]", "$u - g$ [mag]"),
        (grid[1, 0], magnitude["r"], colours["gr"], "$r$ [AB mag]", "$g - r$ [mag]"),
    )
    for axes, x, y, label_x, label_y in planes:
        window = (*limits(x, inside=99.8), *limits(y, inside=99.8))
        axes.hexbin(
            x, y, gridsize=35, extent=window, mincnt=1, cmap="Greys", bins="log", vmin=0.3, lw=0.1
        )
        axes.set(xlabel=label_x, ylabel=label_y)
    return figure


@styled
def training_curves(history: pd.DataFrame, *, source: str) -> Figure:
    """Show training and validation loss of each epoch; a dot marks the epoch that is kept.

    Arguments:
        history: columns `model`, `epoch`, `train_loss`, `validation_loss`.
        source: what the galaxies are.
    """
    models = posteriors_in_order(dict.fromkeys(history["model"]))
    figure = new_figure(8, 3.6, source)
    grid = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    losses = history[["train_loss", "validation_loss"]].to_numpy()
    low, high = losses.min(), np.quantile(losses, 0.9)
    if high > low:
        # The first epochs of a cold start would squeeze all that follows into a line.
        grid[0].set_ylim(low - 0.1 * (high - low), high + 0.2 * (high - low))
    for axes, model in zip(grid, models, strict=True):
        table = history[history["model"] == model].sort_values("epoch")
        best = table.loc[table["validation_loss"].idxmin()]
        axes.plot(
            table["epoch"],
            table["train_loss"],
            color=COLOURS[model],
            lw=1.2,
            ls="--",
            label="training",
        )
        axes.plot(
            table["epoch"], table["validation_loss"], color=COLOURS[model], lw=2, label="validation"
        )
        axes.plot(
            best["epoch"],
            best["validation_loss"],
            "o",
            ms=7,
            color=COLOURS[model],
            mec="white",
            clip_on=False,
            label=f"kept: {best['validation_loss']:.4f}, epoch {best['epoch']:.0f}",
        )
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

    Arguments:
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        source: what the galaxies are.
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
            axes.text(
                0.04,
                0.97,
                recovery_text(mean, truths),
                va="top",
                fontsize=9,
                transform=axes.transAxes,
                linespacing=1.2,
            )
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
    """Show how posterior means are distributed beside the truth, with their Wasserstein distance.

    Arguments:
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        source: what the galaxies are.
    """
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
            axes.text(
                0.02,
                0.98 - 0.1 * line,
                f"$W$ = {distances[model][p]:.4f}",
                transform=axes.transAxes,
                va="top",
                color=text_colour(model),
                fontsize=9,
            )
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

    Arguments:
        truth: catalogue or array `(n, 5)`.
        posteriors: samples a model, of the same galaxies.
        source: what the galaxies are.
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
            upper.hist(
                quantiles[model][:, p],
                np.linspace(0, 1, bins + 1),
                weights=np.full(n, bins / n),
                histtype="step",
                lw=1.6,
                color=COLOURS[model],
            )
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
        grid[1, 0].text(
            0.04,
            height,
            text,
            transform=grid[1, 0].transAxes,
            fontsize=9,
            va="top" if height > 0.5 else "bottom",
            color="#666666",
        )
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
        source: what the galaxies are.
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
        source: what the galaxies are.
    """
    table = distances.loc[list(PROPERTY_NAMES), [*MODELS, "floor"]]
    figure = new_figure(7, 3.4, source)
    axes = figure.subplots()
    rows = np.arange(len(table))[::-1]
    axes.hlines(
        rows,
        table[list(MODELS)].min(axis=1),
        table[list(MODELS)].max(axis=1),
        color=LIGHT,
        lw=2,
        zorder=1,
    )
    for model in MODELS:
        axes.scatter(table[model], rows, s=70, color=COLOURS[model], zorder=3, label=TITLES[model])
    axes.scatter(
        table["floor"],
        rows,
        marker="|",
        s=160,
        lw=2,
        color=COLOURS["truth"],
        zorder=2,
        label="Finite-sample floor",
    )
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


@styled
def control_gains(experiments: Mapping, *, source: str) -> Figure:
    """Gain in log-density by each control's features, with its standard error.

    Arguments:
        experiments: those of `controls.json`: `question`, `gain` and `standard_error` [nat], by
            name.
        source: what the galaxies are.
    """
    figure = new_figure(7, 0.8 + 0.42 * len(experiments), source)
    axes = figure.subplots()
    rows = np.arange(len(experiments))[::-1]
    for row, result in zip(rows, experiments.values(), strict=True):
        axes.errorbar(
            result["gain"],
            row,
            xerr=2 * result["standard_error"],
            fmt="o",
            color=COLOURS["image"],
            capsize=3,
        )
    axes.axvline(0, color=COLOURS["truth"], lw=1)
    axes.set_yticks(rows, [result["question"] for result in experiments.values()])
    axes.set(
        xlabel="gain over photometry [nat] ± 2 standard errors",
        ylim=(-0.6, len(experiments) - 0.4),
    )
    axes.grid(axis="x", alpha=0.25)
    return figure


@styled
def colour_comparison(colours: Mapping, *, source: str) -> Figure:
    """Colours of real and simulated galaxies: 5, 16, 50, 84 and 95 %.

    Arguments:
        colours: the five percentiles [mag] of each colour, in `real` and in `simulated`.
        source: what the galaxies are.
    """
    names = list(colours["real"])
    figure = new_figure(7, 2.6, source)
    looks = {"real": COLOURS["truth"], "simulated": COLOURS["image"]}
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for row, (kind, colour) in enumerate(looks.items()):
            low, start, middle, end, high = colours[kind][name]
            axes.plot([low, high], [-row, -row], color=colour, lw=1)
            axes.plot([start, end], [-row, -row], color=colour, lw=5, alpha=0.5)
            axes.plot(middle, -row, "o", color=colour)
        axes.set_yticks([0, -1], list(looks) if axes.get_subplotspec().is_first_col() else [])
        axes.set(xlabel=f"${name.replace('−', '-')}$ [mag]", ylim=(-1.6, 0.6))
        axes.grid(axis="x", alpha=0.25)
    return figure


@styled
def percentile_offsets(offsets: Mapping, *, allowed: float, source: str) -> Figure:
    """Percentiles of simulated properties less the real ones.

    Arguments:
        offsets: `offset` in standard deviations of the real galaxies, by column and percentile.
        allowed: half-width of the shaded band.
        source: what the galaxies are.
    """
    figure = new_figure(9, 3.8, source)
    axes = figure.subplots()
    axes.axhspan(-allowed, allowed, color=LIGHT, alpha=0.25, lw=0)
    names = {p.name: LABELS[p.name].split(" [")[0] for p in PROPERTIES} | {"redshift": "$z$"}
    width = 0.18
    for k, rows in enumerate(offsets.values()):
        x = k + width * (np.arange(len(rows)) - (len(rows) - 1) / 2)
        axes.bar(x, [r["offset"] for r in rows.values()], 0.8 * width, color=COLOURS["image"])
        for place, (percentile, row) in zip(x, rows.items(), strict=True):
            # On the other side of the line than the bar.
            below = row["offset"] > 0
            axes.annotate(
                percentile,
                (place, 0),
                (0, -2 if below else 2),
                textcoords="offset points",
                ha="center",
                va="top" if below else "bottom",
                fontsize=9,
            )
    axes.axhline(0, color=COLOURS["truth"], lw=1)
    axes.set_xticks(range(len(offsets)), [names[column] for column in offsets], fontsize=11)
    axes.set_ylabel("simulated − real [standard deviations]")
    axes.grid(axis="y", alpha=0.25)
    return figure


def schematic_flow(n_paths: int, n_times: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact flow from N(0, 1) to a mixture of two Gaussians: times, paths, end density's samples.

    The velocity is the mean of θ_1 − θ_0 among all straight lines through a point, which is what
    a perfectly trained network gives.
    """
    weight, mean, width = np.array([0.68, 0.32]), np.array([0.9, -0.75]), np.array([0.28, 0.35])

    def velocity(t, x):
        variance = (1 - t) ** 2 + (t * width) ** 2
        offset = x[:, None] - t * mean
        share = weight * np.exp(-0.5 * offset**2 / variance) / np.sqrt(variance)
        each = mean + (t * width**2 - (1 - t)) / variance * offset
        return (share * each).sum(axis=1) / share.sum(axis=1)

    times = np.linspace(0, 1, n_times)
    paths = [norm.ppf((np.arange(n_paths) + 0.5) / n_paths)]
    step = times[1]
    for t in times[:-1]:
        middle = paths[-1] + 0.5 * step * velocity(t, paths[-1])
        paths.append(paths[-1] + step * velocity(t + 0.5 * step, middle))
    heights = np.linspace(-2.6, 2.6, 300)
    end = (weight * norm.pdf(heights[:, None], mean, width)).sum(axis=1)
    return times, np.array(paths), np.stack([heights, norm.pdf(heights), end])


@styled
def method_schematic(image: np.ndarray, magnitudes: np.ndarray, *, source: str) -> Figure:
    """Draw the method: cutout and magnitudes condition a flow from noise to the posterior.

    Arguments:
        image: one cutout, uint8 `(128, 128, 3)`.
        magnitudes: its magnitudes in u, g, r, i, z [AB mag], `(5,)`.
        source: what the galaxy is.
    """
    figure = Figure(figsize=(10, 4.1), dpi=150)
    tag(figure, source)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 10), ylim=(0, 4.1))
    canvas.set_axis_off()

    def arrow(start, end):
        canvas.annotate(
            "",
            end,
            start,
            arrowprops={
                "arrowstyle": "-|>",
                "lw": 1.5,
                "color": COLOURS["truth"],
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )

    def label(x, y, text, **options):
        canvas.text(x, y, text, ha="center", va="center", **{"fontsize": 10, **options})

    cutout(figure.add_axes((0.02, 0.47, 0.168, 0.41)), image)
    label(1.04, 3.78, "$gri$ cutout, 128 × 128")
    photometry = figure.add_axes((0.05, 0.17, 0.138, 0.2))
    photometry.plot(range(5), magnitudes, color=LIGHT, lw=1, zorder=1)
    photometry.scatter(range(5), magnitudes, s=34, c=BAND_COLOURS, zorder=2)
    photometry.set_xticks(range(5), [f"${band}$" for band in BANDS])
    photometry.set(xlim=(-0.5, 4.5), ylabel="AB mag")
    photometry.yaxis.set_major_locator(MaxNLocator(2))
    photometry.margins(y=0.3)
    photometry.invert_yaxis()
    label(1.2, 0.24, "$ugriz$ magnitudes")

    blue, orange = COLOURS["image"], COLOURS["photometry"]
    canvas.add_patch(
        Polygon(
            [(2.3, 3.55), (3.25, 3.1), (3.25, 2.4), (2.3, 1.95)], fc=blue, alpha=0.16, ec="none"
        )
    )
    label(2.77, 2.75, "image\nencoder", color=blue)
    arrow((1.93, 2.75), (2.28, 2.75))
    arrow((3.27, 2.75), (3.58, 2.75))
    arrow((1.93, 1.1), (3.58, 1.1))
    for bottom, cells, colour, name in (
        (1.95, 12, blue, "256 image\nfeatures"),
        (0.72, 5, orange, "5 magnitudes,\nstandardised"),
    ):
        shades = 0.25 + 0.6 * np.random.default_rng(5).random(cells)
        for k, shade in enumerate(shades):
            height = (1.6 if cells == 12 else 0.76) / cells
            canvas.add_patch(
                FancyBboxPatch(
                    (3.63, bottom + k * height),
                    0.16,
                    height * 0.82,
                    boxstyle="square,pad=0",
                    fc=colour,
                    alpha=shade,
                    lw=0,
                )
            )
        label(
            3.71,
            bottom - 0.24 if cells == 5 else 3.82,
            name,
            fontsize=9,
            color=text_colour("photometry" if cells == 5 else "image"),
        )
    arrow((3.86, 2.6), (4.33, 2.25))
    arrow((3.86, 1.15), (4.33, 1.75))
    canvas.add_patch(
        FancyBboxPatch(
            (4.42, 1.5),
            1.36,
            1.0,
            boxstyle="round,pad=0.06",
            fc="#eeeeee",
            ec=COLOURS["truth"],
            lw=1.2,
        )
    )
    label(5.1, 2.24, "velocity network")
    label(5.1, 1.8, r"$v_\phi(t,\,\theta_t,\,\mathcal{D})$", fontsize=13)
    arrow((5.86, 2.0), (6.3, 2.0))

    times, paths, (heights, noise, posterior) = schematic_flow(60, 60)
    flow = figure.add_axes((0.715, 0.19, 0.185, 0.62))
    flow.add_collection(
        LineCollection(
            np.stack([np.broadcast_to(times[:, None], paths.shape), paths], -1).transpose(1, 0, 2),
            colors=blue,
            lw=0.8,
            alpha=0.5,
        )
    )
    flow.set(xlim=(0, 1), ylim=(-2.6, 2.6), xlabel="time $t$", xticks=[0, 1], yticks=[])
    left = figure.add_axes((0.645, 0.19, 0.065, 0.62), sharey=flow)
    right = figure.add_axes((0.905, 0.19, 0.085, 0.62), sharey=flow)
    for axes, height, colour in ((left, -noise, LIGHT), (right, posterior, blue)):
        axes.fill_betweenx(heights, 0, height, color=colour, alpha=0.35, lw=0)
        axes.plot(height, heights, color=colour, lw=1.6)
        axes.set_axis_off()
    flow.spines["left"].set_visible(False)
    label(6.8, 3.55, r"noise $\theta_0$")
    label(8.07, 3.55, r"$\mathrm{d}\theta_t/\mathrm{d}t = v_\phi$")
    label(9.4, 3.55, r"posterior $\theta_1$", color=blue)
    return figure


@styled
def how_fast(results: Mapping) -> Figure:
    """Show error against time of each solver, and time against the number of galaxies.

    Arguments:
        results: what `make bench` writes to `data/published/benchmarks.json`.
    """
    figure = new_figure(11, 4, results["machine"]["processor"])
    axes = figure.subplots(1, 3)
    for panel, part, label in (
        (axes[0], "sampling_image", "Largest error of a sample [spreads]"),
        (axes[1], "density", "Largest error of a log-density [nat]"),
    ):
        rows = pd.DataFrame(results[part]["solvers"])
        for k, (solver, group) in enumerate(rows.groupby("solver", sort=False)):
            group = group.sort_values("seconds")
            style = {"color": COLOURS["image"], "lw": 2} if solver == "galcfm" else {"lw": 1}
            panel.loglog(
                group["seconds"], group["max_error"], marker="osv^D<"[k % 6], label=solver, **style
            )
        panel.axhline(results[part]["tolerance"], color=LIGHT, ls=":")
        n_draws = results[part]["galaxies"] * results[part]["samples"]
        panel.set(xlabel=f"Seconds for {n_draws:,} draws", ylabel=label)
        panel.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
        panel.legend(fontsize=7)
    rows = pd.DataFrame(results["scaling"]["rows"])
    axes[2].loglog(
        rows["galaxies"], rows["seconds"], "o-", color=COLOURS["image"], label="measured"
    )
    line = rows["seconds"].iloc[-1] * rows["galaxies"] / rows["galaxies"].iloc[-1]
    axes[2].loglog(rows["galaxies"], line, ":", color=LIGHT, label="proportional")
    axes[2].set(xlabel="Galaxies", ylabel="Seconds")
    axes[2].legend()
    return figure


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as PDF and as PNG beside it, whole or not at all.

    Arguments:
        figure: the figure.
        path: file name without ending.
    """
    for ending in (".pdf", ".png"):
        with replacing(f"{path}{ending}") as temporary:
            figure.savefig(temporary, dpi=200)
