"""Inference from resolved photometry: fluxes in rings about the middle of the cutout.

After Iglesias-Navarro et al. (2025, SBIPIX), who infer the properties of each pixel from its
fluxes and add them up. Here the resolved fluxes condition one posterior of the whole galaxy: the
labels are those of whole galaxies and of one fibre, and no pixel has its own. Where the analogy
ends: three bands, not twenty, and pixels that a JPEG has rounded; `source="stamps"` takes them from
the simulator instead, before the colours are compressed.
"""

import numpy as np
import pandas as pd

from galcfm.survey import Survey
from galcfm.survey.images import PIXEL_SCALE, RGB_NONLINEARITY, RGB_SCALES
from studies.methods.measured_features import MeasuredFlow

RADII = (1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0)  # arcsec
SOFTENING = 0.2  # nanomaggies; what the sky's noise adds to a ring of some arcsec
SOURCES = ("cutout", "stamps")


def decoded(images: np.ndarray) -> np.ndarray:
    r"""Return the fluxes that a cutout was made of, as far as it holds them.

    The inverse of `galcfm.survey.images.lupton_rgb`: with :math:`s` the sum of the three channels,
    :math:`R = \sinh(2.25 s) / 2.25`. What was negative is zero, and saturated pixels have the
    least flux that saturates.

    Arguments:
        images: Cutouts, uint8 `(n, h, w, 3)`, channels i, r, g.

    Returns:
        Nanomaggies per pixel, i, r, g, `(n, h, w, 3)`.
    """
    shown = (np.asarray(images, np.float64) + 0.5) / 256
    total = shown.sum(axis=-1, keepdims=True)
    return shown * np.sinh(RGB_NONLINEARITY * total) / (RGB_NONLINEARITY * total) / RGB_SCALES


def annulus_fluxes(fluxes: np.ndarray) -> np.ndarray:
    """Return fluxes in the rings between `RADII`, less the sky of the border.

    Arguments:
        fluxes: Flux per pixel, `(n, h, w, 3)`.

    Returns:
        `(n, rings, 3)`, in the unit of the fluxes.
    """
    height, width = fluxes.shape[1:3]
    y, x = np.indices((height, width))
    distance = PIXEL_SCALE * np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    ring = np.searchsorted(RADII, distance)
    border = (np.maximum(np.abs(y - (height - 1) / 2), np.abs(x - (width - 1) / 2))) > 0.45 * width
    sky = np.median(fluxes[:, border], axis=1)
    light = fluxes - sky[:, None, None]
    return np.stack([light[:, ring == k].sum(axis=1) for k in range(len(RADII))], axis=1)


class AnnulusFlow(MeasuredFlow):
    """`SplineFlow` that sees the fluxes of rings in i, r and g beside photometry.

    Arguments:
        source: `"cutout"`, or `"stamps"` for the simulator's pixels, with noise, before the JPEG.
        options: Options of `MeasuredFlow`.

    Raises:
        ValueError: There is no such source.
    """

    def __init__(self, *, source: str = "cutout", **options):
        if source not in SOURCES:
            raise ValueError(f"no source called {source!r}: choose from {', '.join(SOURCES)}")
        super().__init__(**options)
        self.source = source

    def measure(self, part: Survey) -> pd.DataFrame:
        """Return inverse hyperbolic sines of the fluxes, rings by bands."""
        fluxes = decoded(part.images) if self.source == "cutout" else _stamps(part)
        values = np.arcsinh(annulus_fluxes(fluxes) / SOFTENING)
        names = [f"{band}_{radius}" for radius in RADII for band in "irg"]
        return pd.DataFrame(values.reshape(len(part), -1), columns=names)


def _stamps(part: Survey) -> np.ndarray:
    """Return noisy pixels of simulated galaxies, as `galcfm.simulate.render` has them."""
    from galcfm.simulate.frames import add_noise, draw_frame, draw_neighbours, to_stamps
    from galcfm.simulate.rendering import draw_companion, draw_galaxy

    found = []
    for row in part.catalogue.to_dict("records"):
        _, seed, number = row["object_id"].rsplit("-", 2)
        of_galaxy, of_others, of_frame = np.random.default_rng([int(seed), 2, int(number)]).spawn(3)
        frame = draw_frame(row, of_frame)
        others = draw_neighbours(of_others)
        if np.isfinite(row["companion_magnitude"]):
            others += draw_companion(row, of_others)
        shown = np.maximum(to_stamps(others * frame.response), 0)
        stamps = draw_galaxy(row, of_galaxy, frame) + shown
        found.append(np.moveaxis(add_noise(stamps, of_frame, frame)[::-1], 0, -1))
    return np.stack(found).astype(np.float64)
