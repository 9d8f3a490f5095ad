"""Instruments: depth, resolution and redshift range of a simulated survey."""

from dataclasses import dataclass

import numpy as np

from galcfm.survey.images import PIXEL_SCALE

__all__ = ["INSTRUMENTS", "SDSS", "Instrument", "instrument_of"]


@dataclass(frozen=True)
class Instrument:
    """A telescope and the galaxies that are selected from its images.

    All instruments have SDSS's filters and its fibre of 3 arcsec. In the relations only the star
    formation rate changes with redshift, which limits surveys that are deeper than SDSS.

    Arguments:
        magnitude_limit: Faintest observed r magnitude of the galaxies.
        redshift_range: Smallest and largest redshift, 0.02 to 0.6 at most.
        pixel_scale: Pixel scale of the 128×128 cutouts, arcsec.
        seeing: FWHM of the point spread function, in units of SDSS's.
        depth: Number of photons collected from a source, in units of SDSS's.
        stretch: Brightness of the colour images for a sky of given surface brightness, in units of
            SDSS's.
    """

    magnitude_limit: float = 17.77
    redshift_range: tuple[float, float] = (0.02, 0.3)
    pixel_scale: float = PIXEL_SCALE
    seeing: float = 1.0
    depth: float = 1.0
    stretch: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "redshift_range", tuple(self.redshift_range))
        low, high = self.redshift_range
        if not 0.02 <= low < high <= 0.6:
            raise ValueError(
                f"redshift_range is {self.redshift_range}: expected two numbers that rise, within "
                "0.02 to 0.6"
            )
        for name in ("magnitude_limit", "pixel_scale", "seeing", "depth", "stretch"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive")

    @property
    def zoom(self) -> float:
        """Return SDSS's pixel scale divided by the pixel scale of this instrument."""
        return PIXEL_SCALE / self.pixel_scale


SDSS = Instrument()
# A point source is detected at five standard deviations down to magnitude m in r, 22.7 for SDSS.
# Its noise is the noise of the sky under it, so that depth = (seeing · 10^(0.4 (m − 22.7)))². The
# numbers are rounded, and we chose the stretches; r < 19.5 and z < 0.6 are about the limits of
# DESI's bright galaxy survey (Hahn et al. 2023, AJ 165, 253).
INSTRUMENTS = {
    "SDSS": SDSS,
    # Dey et al. (2019, AJ 157, 168): m about 23.9, pixels of 0.262″, seeing about 1.2″.
    "Legacy": Instrument(19.5, (0.02, 0.6), 0.262, 0.9, 7.0, 1.5),
    # Ivezić et al. (2019, ApJ 873, 111): m about 27.5 after ten years, 26.25 after one; 0.2″, 0.8″.
    "LSST": Instrument(19.5, (0.02, 0.6), 0.2, 0.6, 250.0, 4.0),
}


def instrument_of(name: "str | Instrument") -> Instrument:
    """Return the instrument of this name.

    Raises:
        ValueError: No instrument has this name.
    """
    if isinstance(name, Instrument):
        return name
    if name not in INSTRUMENTS:
        raise ValueError(f"instrument is {name!r}: choose from {', '.join(INSTRUMENTS)}")
    return INSTRUMENTS[name]
