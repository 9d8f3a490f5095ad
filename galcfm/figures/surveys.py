"""Figures of what a survey holds."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import (
    COLOURS,
    LABELS,
    OTHER,
    cutout,
    histogram,
    limits,
    new_figure,
    note,
    require_images,
    styled,
)
from galcfm.properties import BANDS


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
        histogram(axes, values, edges, COLOURS["line"], filled=True)
        axes.set(xlabel=label, ylabel="Fraction of galaxies")
        note(axes, 0.97, 0.95, f"median {np.median(values):.2f}", ha="right")
        # Room for the median above the histogram.
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    bins = np.linspace(*limits(*magnitude.values(), inside=99.8), 61)
    for band, colour in zip(BANDS, OTHER, strict=False):
        histogram(grid[0, 1], magnitude[band], bins, colour.colour)
        grid[0, 1].plot([], [], color=colour.colour, lw=2, label=f"${band}$")
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
