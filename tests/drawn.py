"""Figures that tests draw: of a few galaxies, rendered without warnings, and their texts."""

import io
import warnings
from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from galcfm.properties import BANDS, PROPERTIES, PROPERTY_NAMES

SOURCE = "simulated survey"
CENTRE = np.array([10.2, 0.1, 8.85, 1.28, 0.6])
SPREAD = np.array([0.6, 0.6, 0.17, 0.11, 0.35])


def all_texts(figure: Figure) -> list[str]:
    """Return every text in a figure, axes and subfigures included."""
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text)]


def rendered(make: Callable[[], Figure]) -> Figure:
    """Make and render a figure, and return it; any warning is an error."""
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = make()
        figure.savefig(io.BytesIO(), dpi=50)
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
    return figure


def draw(make: Callable[[], Figure]) -> Figure:
    """Render a figure of the book, and return it: it names its source, in letters of 9 points."""
    figure = rendered(make)
    assert SOURCE in all_texts(figure)
    assert min(t.get_fontsize() for t in figure.findobj(matplotlib.text.Text)) >= 9
    return figure


def make_posterior(rng, truth, width):
    """Return calibrated Gaussian posteriors of values around `CENTRE`, 4 chains of 25 draws."""
    shrink = 1 / (1 + width**2)
    noisy = truth + width * SPREAD * rng.normal(size=truth.shape)
    mean = CENTRE + shrink * (noisy - CENTRE)
    sigma = width * np.sqrt(shrink) * SPREAD
    draws = mean + sigma * rng.normal(size=(4, 25, *truth.shape))
    return xr.Dataset(
        {
            p.name: (("chain", "draw", "object_id"), draws[..., k], {"units": p.unit})
            for k, p in enumerate(PROPERTIES)
        },
        coords={"object_id": [f"galaxy-{i}" for i in range(len(truth))]},
    )


def make_data(n):
    """Return catalogue, posteriors and cutouts of `n` galaxies with correlated properties."""
    rng = np.random.default_rng(7)
    common = rng.normal(size=(n, 1))
    truth = CENTRE + SPREAD * (0.7 * common + 0.7 * rng.normal(size=(n, 5)))
    catalogue = pd.DataFrame(truth, columns=list(PROPERTY_NAMES))
    catalogue["object_id"] = [f"galaxy-{i}" for i in range(n)]
    catalogue["redshift"] = rng.uniform(0.02, 0.2, n)
    for k, band in enumerate(BANDS):
        catalogue[f"mag_{band}"] = 18 - 0.5 * k + rng.normal(0, 0.3, n)
    posteriors = {
        "photometry": make_posterior(rng, truth, 1.0),
        "image": make_posterior(rng, truth, 0.5),
    }
    images = rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)
    return catalogue, posteriors, images
