"""Figures of the content of a survey."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from galcfm.figures.planes import spread_galaxies
from galcfm.figures.style import COLUMN, LABELS, cutout, limits, new_figure, require_images, styled
from galcfm.figures.tables.words import number
from galcfm.properties import PROPERTY_NAMES


@styled
def contact_sheet(catalogue: pd.DataFrame, images, *, source: str) -> Figure:
    """Show cutouts with redshift, r magnitude and the five properties below each.

    Arguments:
        catalogue: Galaxies to show, one row each, at most 24. A column `delta_log_p` [nat] is shown
            if it exists.
        images: Cutouts of the galaxies, uint8 `(n, 128, 128, 3)`.
        source: Description of the galaxies, in the figure's corner.
    """
    n = len(catalogue)
    if not 1 <= n <= 24:
        raise ValueError(f"a contact sheet shows 1 to 24 galaxies, not {n}: select fewer rows")
    require_images(images, n)
    names = {"redshift": "Redshift", "mag_r": "$r$ [AB mag]"} | LABELS
    if "delta_log_p" in catalogue:
        names["delta_log_p"] = r"$\Delta \log p$ [nat]"
    columns = min(n, 4)
    rows = -(-n // columns)
    figure = new_figure(1.35 * columns + 1.4, 2.6 * rows + 0.25, source)
    shape = {"height_ratios": [1.25, 1.2] * rows, "width_ratios": [1.2, *[1.3] * columns]}
    grid = figure.subplots(2 * rows, columns + 1, squeeze=False, **shape)
    for axes in grid.ravel():
        axes.set_axis_off()

    def column_of(axes, texts, x, align):
        for line, text in enumerate(texts):
            axes.text(x, 0.98 - 0.13 * line, text, ha=align, va="top", fontsize=9)

    for row in range(rows):
        column_of(grid[2 * row + 1, 0], names.values(), 1, "right")
    for k, (image, (_, galaxy)) in enumerate(zip(images, catalogue.iterrows(), strict=True)):
        row, column = divmod(k, columns)
        cutout(grid[2 * row, column + 1], image)
        texts = [number(galaxy[name], 3 if name == "redshift" else 2) for name in names]
        column_of(grid[2 * row + 1, column + 1], texts, 0.5, "center")
    return figure


@styled
def survey_overview(catalogue: pd.DataFrame, images, *, source: str) -> Figure:
    """Show a survey: planes of redshift, colours and properties, and some cutouts.

    Arguments:
        catalogue: `redshift`, `mag_u` … `mag_z` [AB mag] and the properties, one row per galaxy.
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        source: Description of the galaxies, in the figure's corner.
    """
    require_images(images, len(catalogue))
    u, g, r = (catalogue[f"mag_{band}"].to_numpy() for band in "ugr")
    measured = catalogue[list(PROPERTY_NAMES)].to_numpy()
    mass, sfr, metals = measured.T[:3]
    figure = new_figure(COLUMN, 7.0, source)
    grid = figure.add_gridspec(2, 3, height_ratios=[1, 2.1])
    planes = (
        (catalogue["redshift"].to_numpy(), r, "Redshift", "$r$ [AB mag]"),
        (g - r, u - g, "$g - r$ [mag]", "$u - g$ [mag]"),
        (mass, metals, LABELS["log_stellar_mass"], LABELS["oxygen_abundance"]),
    )
    for column, (x, y, label_x, label_y) in enumerate(planes):
        axes = figure.add_subplot(grid[0, column])
        window = (*limits(x, inside=99.8), *limits(y, inside=99.8))
        look = {
            "cmap": "Greys",
            "bins": "log",
            "vmin": 0.3,
            "lw": 0.1,
            "mincnt": 1,
            "rasterized": True,
        }
        axes.hexbin(x, y, gridsize=30, extent=window, **look)
        axes.set(xlabel=label_x, ylabel=label_y)
        if column == 0:
            axes.invert_yaxis()
    below = figure.add_subplot(grid[1, :])
    below.set(xlim=limits(mass), ylim=limits(sfr, inside=99.8))
    below.set(xlabel=LABELS["log_stellar_mass"], ylabel=LABELS["log_sfr"])
    below.plot(mass, sfr, ".", ms=1.5, color="#b0b0b0", rasterized=True, zorder=1)
    for row in spread_galaxies(measured, 8):
        picture = OffsetImage(images[row], zoom=0.42, interpolation="lanczos")
        box = AnnotationBbox(picture, (mass[row], sfr[row]), frameon=False, zorder=3)
        below.add_artist(box)
    return figure
