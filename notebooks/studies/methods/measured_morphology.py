"""Inference from measured morphology: the numbers that astronomers measure on an image.

Alfonzo et al. (2024, ApJ 967, 152) ask which features of gri images reveal the star formation
history, by a convolutional network that they take apart; that network is `PictureRegression`. Here
the features are given: concentration, asymmetry, smoothness, Gini, M20, size, ellipticity and a
Sérsic fit by statmorph (Rodriguez-Gomez et al. 2019, MNRAS 483, 4140).
"""

import warnings
from functools import cache

import numpy as np
import pandas as pd

from galcfm.survey import Survey
from galcfm.survey.images import PIXEL_SCALE
from studies.methods.annuli import decoded
from studies.methods.measured_features import MeasuredFlow

NAMES = (
    "concentration",
    "asymmetry",
    "smoothness",
    "gini",
    "m20",
    "rhalf_ellip",
    "ellipticity_asymmetry",
    "sersic_n",
    "sersic_rhalf",
)
RADII = ("rhalf_ellip", "sersic_rhalf")
THRESHOLD = 1.5  # of the galaxy above the sky, in its standard deviations, in the smoothed picture


@cache
def _measuring() -> type:
    """Return statmorph's measurement of `NAMES` alone, which halves the time."""
    import statmorph

    class Measured(statmorph.SourceMorphology):
        def _calculate_morphology(self):
            for name in NAMES:
                getattr(self, name)

    return Measured


def morphology(image: np.ndarray) -> dict[str, float]:
    """Return statistics of the galaxy in the middle of a cutout, on its decoded fluxes in r.

    Arguments:
        image: Cutout, uint8 `(h, w, 3)`, channels i, r, g.

    Returns:
        Statistics in the order of `NAMES`, radii in arcsec; NaN where statmorph finds nothing.
    """
    from scipy import ndimage

    # In half as many pixels statmorph is four times as fast, and the seeing leaves nothing finer.
    size = len(image) // 2
    flux = decoded(image[None])[0, ..., 1].reshape(size, 2, size, 2).mean(axis=(1, 3))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    border = np.maximum(np.abs(x), np.abs(y)) > 0.45 * size
    low, sky = np.percentile(flux[border], [16, 50])
    noise = max(sky - low, 1e-4)
    smooth = ndimage.gaussian_filter(flux, 1.0)
    objects, _ = ndimage.label(smooth > sky + THRESHOLD * noise)
    middle = objects[size // 2, size // 2]
    galaxy = objects == middle if middle else np.hypot(x, y) < size / 16
    measured = _measuring()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = measured(
                flux - sky,
                galaxy.astype(int),
                1,
                mask=(objects > 0) & ~galaxy,
                weightmap=np.full(flux.shape, noise),
            )
        values = {name: float(getattr(found, name)) for name in NAMES}
        for name in RADII:
            values[name] *= 2 * PIXEL_SCALE
    # On pictures without a galaxy its fits fail in many ways.
    except Exception:
        return dict.fromkeys(NAMES, np.nan)
    # Its codes of failure.
    return {name: np.nan if value <= -5 else value for name, value in values.items()}


class MorphologyFlow(MeasuredFlow):
    """`SplineFlow` that sees measured morphology beside photometry.

    Arguments:
        options: Options of `MeasuredFlow`.
    """

    def measure(self, part: Survey) -> pd.DataFrame:
        """Return shapes, and logarithms of radii and Sérsic index."""
        table = pd.DataFrame([morphology(image) for image in part.images])
        for name in ("sersic_n", *RADII):
            table[name] = np.log10(table[name].where(table[name] > 0))
        # Wild fits say no more than that they are wild.
        return table.clip(lower=-5, upper=5)
