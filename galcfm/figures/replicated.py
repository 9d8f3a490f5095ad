"""A figure of the photometry that posteriors imply."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, COLUMN, LIGHT, new_figure, styled
from galcfm.figures.tables.words import number
from galcfm.properties import Declaration

# Colour of deviations that the model does not explain, and largest distance at which a dot is
# drawn.
DOUBT, FARTHEST = "#b30000", 8.0


@styled
def replicated_photometry(
    replicated, checked: pd.DataFrame, *, shown: int = 6, source: str
) -> Figure:
    """Draw observed r and colours against implied ones, with one panel per galaxy.

    Without a band r, the middle band takes its place.

    Distances are in half-widths of the central 68 % of the implied values, so that the grey bands
    contain 68 % and 95 %; an observed value outside 95 % is red and has its distance in magnitudes.
    If dots leave the bands, or the title is red, the galaxy is unlike the training galaxies.

    Arguments:
        replicated: Magnitudes from `galcfm.posterior.replicated.check_photometry`, `(n, S, 5)`.
        checked: Table from `check_photometry`, one row per galaxy.
        shown: Number of galaxies to draw, from the first.
        source: Description of the galaxies, in the figure's corner.

    Raises:
        ValueError: `replicated` and `checked` contain different galaxies.
    """
    replicated = np.asarray(replicated)
    if replicated.ndim != 3 or len(replicated) != len(checked) or not len(checked):
        raise ValueError(
            f"{len(checked)} checked galaxies and replicated magnitudes of shape "
            f"{replicated.shape}: give both results of check_photometry"
        )

    columns = [name for name in checked if name.startswith("residual_")]
    bands = [name.removeprefix("residual_") for name in columns]
    reference = Declaration(bands=bands).reference

    def colours_of(magnitudes):
        # The distance changes all bands in the same way; colours show the other differences.
        r = magnitudes[..., [reference]]
        return np.concatenate([r, -np.diff(magnitudes, axis=-1)], axis=-1)

    names = [bands[reference], *(f"{one}−{other}" for one, other in pairwise(bands))]
    residuals = checked[columns].to_numpy()
    observed = colours_of(residuals + np.median(replicated, axis=1))
    implied = colours_of(replicated)
    n = min(shown, len(checked))
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = new_figure(min(COLUMN, max(3.2 * columns, 4)), 0.6 + 2.3 * rows, source)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for k, axes in enumerate(grid[:n]):
        _colours_of_a_galaxy(axes, observed[k], implied[k])
        row = checked.iloc[k]
        title = f"{row['object_id']}\nshare farther out: {row['share_farther']:.2f}"
        axes.set_title(title, fontsize=9, color=DOUBT if row["is_doubtful"] else "black")
        axes.set_xticks(range(len(names)), names)
        axes.tick_params(labelbottom=True)
        axes.set(xlim=(-0.6, len(names) - 0.1))
    for axes in grid[n:]:
        axes.set_axis_off()
    figure.supylabel("Observed − implied [half-widths of 68 %]", fontsize=10)
    return figure


def _colours_of_a_galaxy(axes: Axes, observed: np.ndarray, implied: np.ndarray) -> None:
    """Draw observed values `(k,)` as dots over the intervals of implied values `(S, k)`."""
    low, lower, middle, upper, high = np.percentile(implied, [2.5, 16, 50, 84, 97.5], axis=0)
    away, width = observed - middle, (upper - lower) / 2
    for alpha, bottom, top in ((0.3, low, high), (0.5, lower, upper)):
        places, height = np.arange(len(away)), (top - bottom) / width
        axes.bar(places, height, 0.5, (bottom - middle) / width, color=LIGHT, alpha=alpha)
    # Bars would limit the axis to their own range.
    axes.use_sticky_edges = False
    axes.axhline(0, color=COLOURS["line"], lw=1, ls="--")
    outside = (observed < low) | (observed > high)
    for place, value in enumerate(np.clip(away / width, -FARTHEST, FARTHEST)):
        axes.plot(place, value, "o", ms=5, color=DOUBT if outside[place] else "black")
        if outside[place]:
            text = f"{number(away[place], sign='+')} mag"
            look = {"va": "center", "fontsize": 9, "color": DOUBT}
            axes.annotate(text, (place, value), (6, 0), textcoords="offset points", **look)
