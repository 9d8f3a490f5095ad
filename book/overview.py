"""Draw the method: a cutout and magnitudes condition a flow from noise to the posterior.

`python book/overview.py` makes `book/_static/overview.png` of a simulated galaxy.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from galcfm.figures.style import COLOURS, IMAGE, LIGHT, OTHER, PHOTOMETRY, cutout, styled, tag
from galcfm.paths import replacing
from galcfm.properties import BANDS, MAGNITUDES
from galcfm.simulate import render, simulate_catalogue

PICTURE = Path(__file__).parent / "_static" / "overview.png"
BLUE, ORANGE, DARK = COLOURS["image"], COLOURS["photometry"], COLOURS["line"]


def schematic_flow(n_paths: int, n_times: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the exact flow from N(0, 1) to a mixture of two Gaussians.

    The velocity is the mean of θ_1 − θ_0 over all straight lines through a point, as a perfectly
    trained network gives it.

    Arguments:
        n_paths: Number of paths.
        n_times: Number of times.

    Returns:
        Times `(n_times,)`; paths `(n_times, n_paths)`; heights and both densities `(3, 300)`.
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
def draw(image: np.ndarray, magnitudes: np.ndarray, source: str) -> Figure:
    """Return the whole figure.

    Arguments:
        image: Cutout of a galaxy, uint8 `(128, 128, 3)`.
        magnitudes: Its magnitudes in u, g, r, i, z [AB mag], `(5,)`.
        source: Kind of the galaxy, printed in the corner.
    """
    figure = Figure(figsize=(10, 4.1), dpi=150)
    tag(figure, source)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 10), ylim=(0, 4.1))
    canvas.set_axis_off()
    draw_inputs(figure, canvas, image, magnitudes)
    draw_networks(canvas)
    draw_flow(figure, canvas)
    return figure


def arrow(canvas: Axes, start: tuple, end: tuple) -> None:
    style = {"arrowstyle": "-|>", "lw": 1.5, "color": DARK, "shrinkA": 0, "shrinkB": 0}
    canvas.annotate("", end, start, arrowprops=style)


def label(canvas: Axes, x: float, y: float, text: str, **options) -> None:
    canvas.text(x, y, text, ha="center", va="center", **{"fontsize": 10, **options})


def draw_inputs(figure: Figure, canvas: Axes, image: np.ndarray, magnitudes: np.ndarray) -> None:
    cutout(figure.add_axes((0.02, 0.47, 0.168, 0.41)), image)
    label(canvas, 1.04, 3.78, "$gri$ cutout, 128 × 128")
    axes = figure.add_axes((0.05, 0.17, 0.138, 0.2))
    axes.plot(range(5), magnitudes, color=LIGHT, lw=1, zorder=1)
    axes.scatter(range(5), magnitudes, s=34, c=[look.colour for look in OTHER[:5]], zorder=2)
    axes.set_xticks(range(5), [f"${band}$" for band in BANDS])
    axes.set(xlim=(-0.5, 4.5), ylabel="AB mag")
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    axes.margins(y=0.3)
    axes.invert_yaxis()
    label(canvas, 1.2, 0.24, "$ugriz$ magnitudes")


def draw_networks(canvas: Axes) -> None:
    corners = [(2.3, 3.55), (3.25, 3.1), (3.25, 2.4), (2.3, 1.95)]
    canvas.add_patch(Polygon(corners, fc=BLUE, alpha=0.16, ec="none"))
    label(canvas, 2.77, 2.75, "image\nencoder", color=BLUE)
    arrow(canvas, (1.93, 2.75), (2.28, 2.75))
    arrow(canvas, (3.27, 2.75), (3.58, 2.75))
    arrow(canvas, (1.93, 1.1), (3.58, 1.1))
    for bottom, height, cells, colour in ((1.95, 1.6, 12, BLUE), (0.72, 0.76, 5, ORANGE)):
        step = height / cells
        for k, shade in enumerate(0.25 + 0.6 * np.random.default_rng(5).random(cells)):
            corner = (3.63, bottom + k * step)
            cell = Rectangle(corner, 0.16, 0.82 * step, fc=colour, alpha=shade, lw=0)
            canvas.add_patch(cell)
    label(canvas, 3.71, 3.82, "256 image\nfeatures", fontsize=9, color=IMAGE.text)
    name = "5 magnitudes,\nstandardised"
    label(canvas, 3.71, 0.48, name, fontsize=9, color=PHOTOMETRY.text)
    arrow(canvas, (3.86, 2.6), (4.33, 2.25))
    arrow(canvas, (3.86, 1.15), (4.33, 1.75))
    box = {"boxstyle": "round,pad=0.06", "fc": "#eeeeee", "ec": DARK, "lw": 1.2}
    canvas.add_patch(FancyBboxPatch((4.42, 1.5), 1.36, 1.0, **box))
    label(canvas, 5.1, 2.24, "velocity network")
    label(canvas, 5.1, 1.8, r"$v_\phi(t,\,\theta_t,\,\mathcal{D})$", fontsize=13)
    arrow(canvas, (5.86, 2.0), (6.3, 2.0))


def draw_flow(figure: Figure, canvas: Axes) -> None:
    times, paths, (heights, noise, posterior) = schematic_flow(60, 60)
    flow = figure.add_axes((0.715, 0.19, 0.185, 0.62))
    lines = np.stack([np.broadcast_to(times[:, None], paths.shape), paths], -1).swapaxes(0, 1)
    flow.add_collection(LineCollection(lines, colors=BLUE, lw=0.8, alpha=0.5))
    flow.set(xlim=(0, 1), ylim=(-2.6, 2.6), xlabel="time $t$", xticks=[0, 1], yticks=[])
    flow.spines["left"].set_visible(False)
    left = figure.add_axes((0.645, 0.19, 0.065, 0.62), sharey=flow)
    right = figure.add_axes((0.905, 0.19, 0.085, 0.62), sharey=flow)
    for axes, height, colour in ((left, -noise, LIGHT), (right, posterior, BLUE)):
        axes.fill_betweenx(heights, 0, height, color=colour, alpha=0.35, lw=0)
        axes.plot(height, heights, color=colour, lw=1.6)
        axes.set_axis_off()
    label(canvas, 6.8, 3.55, r"noise $\theta_0$")
    label(canvas, 8.07, 3.55, r"$\mathrm{d}\theta_t/\mathrm{d}t = v_\phi$")
    label(canvas, 9.4, 3.55, r"posterior $\theta_1$", color=BLUE)


def main() -> None:
    galaxies = simulate_catalogue(2000, 1)
    # A bright spiral with young arms that is seen nearly face-on.
    shown = galaxies[(galaxies["inclination"] < 40) & galaxies["disc_radius"].between(5, 9)]
    shown = shown[shown["knot_fraction_g"] > 0.15].nsmallest(1, "mag_r")
    image = render(shown, seed=1)[0]
    with replacing(PICTURE) as temporary:
        draw(image, shown[list(MAGNITUDES)].to_numpy()[0], "simulated galaxy").savefig(
            temporary, dpi=135
        )


if __name__ == "__main__":
    main()
