"""Figures and tables that several studies share."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from galcfm.figures.style import (
    COLOURS,
    COLUMN,
    LIGHT,
    OTHER,
    TITLES,
    Look,
    new_figure,
    posteriors_in_order,
    styled,
)


def by_model(
    names: Iterable[str], width: float, height: float, source: str, **options
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with one panel per model, photometry first, and its axes by model.

    Arguments:
        names: Names of the models.
        width: Width of the figure [inch].
        height: Height of the figure [inch].
        source: Words in the figure's corner that say what the galaxies are.
        options: Options of `matplotlib.figure.Figure.subplots`.
    """
    models = posteriors_in_order(dict.fromkeys(names))
    figure = new_figure(width, height, source)
    grid = figure.subplots(1, len(models), squeeze=False, **options)[0]
    for axes, model in zip(grid, models, strict=True):
        axes.set_title(TITLES[model])
    return figure, dict(zip(models, grid, strict=True))


def formatted(formats: Mapping[str, str], values: Mapping) -> dict[str, str]:
    """Return a row of a table as text, with true minus signs.

    Arguments:
        formats: By column what stands there, as `str.format` has it.
        values: Values by name, also nested.

    >>> formatted({"mean [nat]": "{gain[mean]:.2f}"}, {"gain": {"mean": 0.123}})
    {'mean [nat]': '0.12'}
    """
    texts = ((column, text.format_map(values)) for column, text in formats.items())
    return {column: text.replace("-", "−") for column, text in texts}


def present(rows: Mapping[str, Mapping], names: Sequence[str]) -> dict[str, Mapping]:
    """Return the rows of these names that there are, and print the names of the others.

    A notebook that makes a part of its study shows this part alone.
    """
    missing = [name for name in names if name not in rows]
    if missing:
        print(f"not made: {', '.join(missing)}")
    return {name: rows[name] for name in names if name in rows}


def mean_over_seeds(row: Mapping, *path: str):
    """Return the mean over a row's trainings of a number, or of each number of a mapping.

    Arguments:
        row: Row of a stored result, with `seeds`.
        path: Names that lead from a training to the number.
    """
    found = list(row["seeds"].values())
    for name in path:
        found = [numbers[name] for numbers in found]
    if isinstance(found[0], Mapping):
        return {name: float(np.mean([of[name] for of in found])) for name in found[0]}
    return float(np.mean(found))


def half_width(found: Mapping[str, float]) -> float:
    """Return the half-width of the 95 % interval of a gain, by Student's t.

    Few trainings tell their scatter badly. The degrees of freedom are those of Welch (1947,
    Biometrika 34, 28) and Satterthwaite for the sum of the variances of galaxies and trainings.

    Arguments:
        found: `standard_error` and, for several trainings, `seeds` and `spread_over_trainings`.

    >>> alone = {"standard_error": 0.1}
    >>> three = alone | {"seeds": [1, 2, 3], "spread_over_trainings": 0.1 * 3**0.5}
    >>> round(half_width(alone), 3), round(half_width(three), 3)
    (0.196, 0.43)
    """
    error, n = found["standard_error"], len(found.get("seeds", "1"))
    of_trainings = found.get("spread_over_trainings", 0.0) ** 2 / n
    freedom = (n - 1) * (error**2 / of_trainings) ** 2 if n > 1 and of_trainings else np.inf
    return float(stats.t.ppf(0.975, freedom) * error)


def gain_bar(
    axes: Axes,
    place: float,
    found: Mapping[str, float],
    start: float = 0.0,
    colour: str | None = None,
) -> float:
    """Draw a gain as a horizontal bar with two standard errors, and return it.

    Arguments:
        axes: Axes to draw on.
        place: Vertical position of the bar.
        found: `gain` and `standard_error` [nat].
        start: Gain at which the bar begins [nat].
        colour: Colour of the bar; by default it shows the sign.
    """
    gain, error = found["gain"], found["standard_error"]
    by_sign = OTHER[0].colour if gain >= start else OTHER[1].colour
    axes.barh(place, gain - start, left=start, color=colour or by_sign, alpha=0.75, height=0.6)
    axes.errorbar(gain, place, xerr=2 * error, color=COLOURS["line"], capsize=3, lw=1)
    return gain


def label_bars(axes: Axes, labels: Sequence[str], xlabel: str) -> None:
    """Label horizontal bars, at 0, −1, −2 and so on, and their common axis."""
    axes.set_yticks(-np.arange(len(labels)), labels)
    axes.set(xlabel=xlabel)
    axes.grid(axis="x", alpha=0.25)


@styled
def forest(
    groups: Mapping[str, Mapping[str, Mapping]],
    *,
    source: str,
    xlabel: str,
    band: tuple[float, float, str] | None = None,
) -> Figure:
    """Draw gains with their 95 % intervals as points on one axis, in groups with headings.

    Arguments:
        groups: By heading, or by no text where there is none, what `half_width` takes and the
            `gain` [nat] by label.
        source: What the galaxies are, for the corner of the figure.
        xlabel: Label of the axis.
        band: Two gains that a shaded band joins, and its words.
    """
    rows = [
        row for heading, of in groups.items() for row in [(heading, None), *of.items()] if row[0]
    ]
    figure = new_figure(COLUMN, 0.9 + 0.25 * len(rows), source)
    axes = figure.subplots()
    for place, (_, found) in enumerate(rows):
        if found:
            gain, width = found["gain"], half_width(found)
            look = OTHER[0] if gain > width else OTHER[1] if -gain > width else Look(LIGHT, "d")
            points = {"fmt": look.marker, "color": look.colour, "ms": 6, "capsize": 3}
            axes.errorbar(gain, -place, xerr=width, **points)
    axes.axvline(0, color=COLOURS["line"], lw=1)
    if band:
        axes.axvspan(*band[:2], color=LIGHT, alpha=0.25, lw=0, label=band[2])
        figure.legend(loc="outside lower center")
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    label_bars(axes, [label.replace("A_V", "$A_V$") for label, _ in rows], xlabel)
    for text, (_, found) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("normal" if found else "bold")
    return figure


def point_gains(
    found: Mapping[str, Mapping], *, source: str, over: str = "the reference"
) -> Figure | None:
    """Draw gains in mean log-density of variants over the reference; None if there are none.

    Arguments:
        found: `gain` and `standard_error` [nat] by label.
        source: What the galaxies are, for the corner of the figure.
        over: What the reference is, for the axis.
    """
    xlabel = f"gain over {over} [nat], 95 % interval"
    return forest({"": found}, source=source, xlabel=xlabel) if found else None
