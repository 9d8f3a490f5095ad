"""Figures of the content of a survey."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from galcfm.figures import style
from galcfm.figures.planes import spread_galaxies
from galcfm.figures.tables.words import number
from galcfm.properties import SDSS, Declaration


@style.styled
def contact_sheet(
    catalogue: pd.DataFrame, images, *, source: str, declaration: Declaration = SDSS
) -> Figure:
    """Show cutouts with redshift, a magnitude (r) and the properties below each.

    Arguments:
        catalogue: Galaxies to show, one row each, at most 24. A column `delta_log_p` [nat] is shown
            if it exists.
        images: Cutouts of the galaxies, uint8 `(n, 128, 128, 3)`.
        source: Description of the galaxies, in the figure's corner.
        declaration: Properties and bands of the survey.
    """
    n = len(catalogue)
    if not 1 <= n <= 24:
        raise ValueError(f"a contact sheet shows 1 to 24 galaxies, not {n}: select fewer rows")
    style.require_images(images, n)
    band = declaration.bands[declaration.reference]
    names = {"redshift": "Redshift", f"mag_{band}": f"${band}$ [AB mag]"}
    names |= style.labels_of(declaration.properties)
    if "delta_log_p" in catalogue:
        names["delta_log_p"] = r"$\Delta \log p$ [nat]"
    columns = min(n, 4)
    rows = -(-n // columns)
    figure = style.new_figure(1.35 * columns + 1.4, 2.6 * rows + 0.25, source)
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
        style.cutout(grid[2 * row, column + 1], image)
        texts = [
            "–" if pd.isna(galaxy[name]) else number(galaxy[name], 3 if name == "redshift" else 2)
            for name in names
        ]
        column_of(grid[2 * row + 1, column + 1], texts, 0.5, "center")
    return figure


@style.styled
def survey_overview(catalogue: pd.DataFrame, images, *, source: str) -> Figure:
    """Show a survey: planes of redshift, colours and properties, and some cutouts.

    Arguments:
        catalogue: `redshift`, `mag_u` … `mag_z` [AB mag] and the properties, one row per galaxy.
        images: Cutouts, uint8 `(n, 128, 128, 3)`.
        source: Description of the galaxies, in the figure's corner.

    Raises:
        ValueError: The survey has no such column, or no galaxy has all three properties.
    """
    style.require_images(images, len(catalogue))
    names = ["log_stellar_mass", "log_sfr", "oxygen_abundance"]
    values = style.measured_array(catalogue, ["redshift", "mag_u", "mag_g", "mag_r", *names])
    rows = np.flatnonzero(np.isfinite(values[:, 4:]).all(axis=1))
    if not len(rows):
        raise ValueError(f"no galaxy has {', '.join(names)}: select galaxies that have")
    redshift, u, g, r, mass, sfr, metals = values[rows].T
    figure = style.new_figure(style.COLUMN, 7.0, source)
    grid = figure.add_gridspec(2, 3, height_ratios=[1, 2.1])
    planes = (
        (redshift, r, "Redshift", "$r$ [AB mag]"),
        (g - r, u - g, "$g - r$ [mag]", "$u - g$ [mag]"),
        (mass, metals, style.LABELS["log_stellar_mass"], style.LABELS["oxygen_abundance"]),
    )
    for column, (x, y, label_x, label_y) in enumerate(planes):
        axes = figure.add_subplot(grid[0, column])
        window = (*style.limits(x, inside=99.8), *style.limits(y, inside=99.8))
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
    below.set(xlim=style.limits(mass), ylim=style.limits(sfr, inside=99.8))
    below.set(xlabel=style.LABELS["log_stellar_mass"], ylabel=style.LABELS["log_sfr"])
    below.plot(mass, sfr, ".", ms=1.5, color="#b0b0b0", rasterized=True, zorder=1)
    for row in spread_galaxies(np.stack([mass, sfr], 1), 8):
        picture = OffsetImage(images[rows[row]], zoom=0.42, interpolation="lanczos")
        box = AnnotationBbox(picture, (mass[row], sfr[row]), frameon=False, zorder=3)
        below.add_artist(box)
    return figure
