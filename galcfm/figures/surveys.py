"""What a survey holds, and how it and its models compare with the sky."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galcfm.figures.style import (
    BAND_COLOURS,
    COLOURS,
    LABELS,
    LIGHT,
    cutout,
    histogram,
    limits,
    new_figure,
    note,
    require_images,
    styled,
)
from galcfm.properties import BANDS, PROPERTIES


@styled
def contact_sheet(catalogue: pd.DataFrame, images, *, source: str) -> Figure:
    """Show cutouts with redshift, r magnitude and the five properties below each.

    Arguments:
        catalogue: The galaxies to show, one row each, at most 24. A column `delta_log_p` [nat] is
            shown where there is one.
        images: Their cutouts, uint8 `(n, 128, 128, 3)`.
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
    if "delta_log_p" in catalogue:
        numbers["delta_log_p"] = r"$\Delta \log p$ [nat]"
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
        catalogue: `redshift`, `mag_u` … `mag_z` [AB mag] and the properties, one row per galaxy.
    """
    figure = new_figure(8.6, 7.6, source)
    grid = figure.subplots(3, 3)
    magnitude = {band: catalogue[f"mag_{band}"].to_numpy() for band in BANDS}
    one_dimensional = [("redshift", "Redshift"), *LABELS.items()]
    positions = [(0, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    for (row, column), (name, label) in zip(positions, one_dimensional, strict=True):
        axes, values = grid[row, column], catalogue[name].to_numpy()
        edges = np.linspace(*limits(values, inside=99.8), 41)
        histogram(axes, values, edges, COLOURS["truth"], filled=True)
        axes.set(xlabel=label, ylabel="Fraction of galaxies")
        note(axes, 0.97, 0.95, f"median {np.median(values):.2f}", ha="right")
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
def control_gains(experiments: Mapping, *, source: str) -> Figure:
    """Gain in log-density by each control's features, with its standard error.

    Arguments:
        experiments: those of `controls.json`: `question`, `gain` and `standard_error` [nat], by
            name.
    """
    figure = new_figure(7, 0.8 + 0.42 * len(experiments), source)
    axes = figure.subplots()
    rows = np.arange(len(experiments))[::-1]
    gains = [result["gain"] for result in experiments.values()]
    errors = [2 * result["standard_error"] for result in experiments.values()]
    axes.errorbar(gains, rows, xerr=errors, fmt="o", color=COLOURS["image"], capsize=3)
    axes.axvline(0, color=COLOURS["truth"], lw=1)
    questions = [result["question"].replace("A_V", "$A_V$") for result in experiments.values()]
    axes.set_yticks(rows, questions)
    axes.set(
        xlabel="gain over photometry [nat] ± 2 standard errors", ylim=(-0.6, len(experiments) - 0.4)
    )
    axes.grid(axis="x", alpha=0.25)
    return figure


@styled
def colour_comparison(colours: Mapping, *, source: str) -> Figure:
    """Colours of real and simulated galaxies: 5, 16, 50, 84 and 95 %.

    Arguments:
        colours: the five percentiles [mag] of each colour, in `real` and in `simulated`.
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
            look = {"ha": "center", "va": "top" if below else "bottom", "fontsize": 9}
            shift = 0, -2 if below else 2
            axes.annotate(percentile, (place, 0), shift, textcoords="offset points", **look)
    axes.axhline(0, color=COLOURS["truth"], lw=1)
    axes.set_xticks(range(len(offsets)), [names[column] for column in offsets], fontsize=11)
    axes.set_ylabel("simulated − real [standard deviations]")
    axes.grid(axis="y", alpha=0.25)
    return figure


@styled
def mass_differences(found: Mapping[str, np.ndarray], reference, *, source: str) -> Figure:
    """Log masses by each model less those by another method, against the latter.

    Lines are the median and the 16th and 84th percentile in bins of equally many galaxies.

    Arguments:
        found: log masses [dex, M☉] `(n,)` by the name of the model.
        reference: log masses by the other method [dex, M☉], `(n,)`.
    """
    reference = np.asarray(reference)
    differences = {name: np.asarray(mass) - reference for name, mass in found.items()}
    figure = new_figure(4 * len(found), 3.4, source)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, difference) in zip(panels, differences.items(), strict=True):
        axes.plot(reference, difference, ".", ms=2, color="#888888", alpha=0.4, rasterized=True)
        bins = np.array_split(np.argsort(reference), max(1, min(12, len(reference) // 20)))
        middles = [np.median(reference[rows]) for rows in bins]
        low, middle, high = np.transpose(
            [np.percentile(difference[rows], [16, 50, 84]) for rows in bins]
        )
        axes.plot(middles, middle, color=COLOURS["image"], lw=2)
        axes.fill_between(middles, low, high, color=COLOURS["image"], alpha=0.25, lw=0)
        axes.axhline(0, color=COLOURS["truth"], lw=1)
        axes.set(xlabel=f"{LABELS['log_stellar_mass']}, kcorrect", title=name)
        axes.grid(alpha=0.25)
    panels[0].set(
        ylabel="posterior median − kcorrect [dex]", ylim=limits(*differences.values(), inside=98)
    )
    return figure


@styled
def outside_shares(
    outside, columns: Mapping[str, np.ndarray], *, level: float, source: str
) -> Figure:
    """Share of galaxies that are flagged as outside the training range, along some quantities.

    Bars are the uncertainty of a share, one standard deviation; bins hold equally many galaxies.

    Arguments:
        outside: the flag, `(n,)`.
        columns: quantity `(n,)` by its label.
        level: share of galaxies like those of the training set that is flagged.
    """
    outside = np.asarray(outside)
    figure = new_figure(2.8 * len(columns), 2.7, source)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(panels, columns.items(), strict=True):
        _share_along(axes, np.asarray(values), outside)
        axes.axhline(level, color=COLOURS["truth"], lw=1, ls="--")
        axes.set_xlabel(label)
        axes.grid(alpha=0.25)
    panels[0].set(ylabel="share flagged as out of range", ylim=(-0.03, 1.03))
    return figure


def _share_along(axes: Axes, values: np.ndarray, outside: np.ndarray) -> None:
    bins = np.array_split(np.argsort(values), max(1, min(15, len(values) // 20)))
    shares = np.array([outside[rows].mean() for rows in bins])
    # Laplace's rule keeps the bar of an empty or full bin from vanishing.
    counts = np.array([len(rows) for rows in bins])
    smooth = (shares * counts + 1) / (counts + 2)
    axes.errorbar(
        [np.median(values[rows]) for rows in bins],
        shares,
        np.sqrt(smooth * (1 - smooth) / counts),
        fmt="o-",
        ms=4,
        color=COLOURS["image"],
    )


CUTOUT_STATISTICS = {
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "Gini coefficient",
    "m20": "M20",
    "size": "half-light radius, major axis",
    "ellipticity": "ellipticity",
    "red": "first over middle channel",
    "blue": "last over middle channel",
    "gradient": "colour gradient",
    "sky": "sky",
    "noise": "noise of the sky",
    "correlation": "correlation of the noise",
    "neighbours": "number of neighbours",
}


@styled
def cutout_comparison(statistics: Mapping, *, source: str) -> Figure:
    """Background, noise, colours and shapes of real and simulated cutouts.

    Arguments:
        statistics: the 10th, 50th and 90th percentile in `real` and in `simulated` of each
            statistic of `studies.morphology.measure`, as
            `studies.realism.compare_cutouts` gives them.
    """
    names = [name for name in CUTOUT_STATISTICS if name in statistics]
    figure = new_figure(7, 0.9 + 0.34 * len(names), source)
    axes = figure.subplots()
    rows = np.arange(len(names))[::-1]
    for row, name in zip(rows, names, strict=True):
        low, middle, high = statistics[name]["real"]
        deviation = (high - low) / 2.563  # of a Gaussian with these percentiles
        for kind, colour, shift in (
            ("real", COLOURS["truth"], 0.16),
            ("simulated", COLOURS["image"], -0.16),
        ):
            start, centre, end = (np.array(statistics[name][kind]) - middle) / deviation
            axes.plot([start, end], [row + shift] * 2, color=colour, lw=4, alpha=0.4)
            label = kind if name == names[0] else None
            axes.plot(centre, row + shift, "o", color=colour, label=label)
    axes.axvline(0, color=COLOURS["truth"], lw=0.8)
    axes.set_yticks(rows, [CUTOUT_STATISTICS[name] for name in names])
    axes.set(
        xlabel="difference from the real median [real standard deviations]",
        ylim=(-0.7, len(names) - 0.3),
    )
    axes.grid(axis="x", alpha=0.25)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
