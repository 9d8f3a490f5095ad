"""Frames: the atmosphere, other objects on the sky, the sky level, and pixel noise.

Light is added up in Fourier space, at the wave numbers `KX` and `KY`; positions are in arcsec from
the middle of the stamp. Both refer to SDSS's pixels. For other instruments, angles are scaled to
these pixels, that is, multiplied by `Instrument.zoom`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import fft

from galcfm.simulate.instruments import SDSS, Instrument
from galcfm.simulate.picture_relations import (
    COUNTS,
    FRAME_NOISE,
    NEIGHBOURS,
    PSF_WINGS,
    REGISTRATION,
    SKY_RESIDUALS,
)
from galcfm.simulate.relations import FRAMES
from galcfm.survey.images import PIXEL_SCALE

STAMP = 128  # pixels
PADDED = 160  # the Fourier grid is larger, so that little light wraps around
STEP = 2 * np.pi / (PADDED * PIXEL_SCALE)
PSF_RATIOS = FRAMES["seeing"] / FRAMES["seeing"][1]

# Wave numbers in 1/arcsec in the order of `irfft2`: ky along rows, from zero up and then the
# negative ones, and kx of half a plane.
KX = (STEP * np.arange(PADDED // 2 + 1)).astype(np.float32)
KY = (PADDED * STEP * fft.fftfreq(PADDED)).astype(np.float32)[:, None]
K = np.hypot(KX, KY)
K_SEEING = K ** np.float32(5 / 3)
# Two bilinear interpolations (bands onto one grid, frames onto the cutout), averaged over random
# shifts.
INTERPOLATION = (1 / 6, 2 / 3, 1 / 6)
GAIN, SKY_PIXEL = (
    np.array(values, dtype=np.float32)[:, None, None]
    for values in (
        FRAMES["gain"][1:4],
        [10 ** (0.4 * (22.5 - sky)) * PIXEL_SCALE**2 for sky in FRAMES["sky"][1:4].tolist()],
    )
)


@dataclass(frozen=True)
class Frame:
    """Effects of telescope and atmosphere on a cutout, independent of its objects; bands g, r, i.

    Arguments:
        response: Fourier transform of the point spread function at the position of each band,
            `(3, ky, kx)`.
        sky: Sky that is left after subtraction, nanomaggies per pixel: its level, and the excess at
            the right and at the upper edge, `(3, 3)`.
        noise: Ratio of the noise to photon noise, after interpolation, `(3,)`.
        passes: Number of interpolations that smoothed the noise.
        instrument: Instrument of the observation.
    """

    response: np.ndarray
    sky: np.ndarray
    noise: np.ndarray
    passes: int
    instrument: Instrument = SDSS


def plain_frame(row, instrument: Instrument = SDSS) -> Frame:
    """Return a frame with the seeing of `row`, aligned bands, no sky left and photon noise."""
    return Frame(seeing(row), np.zeros((3, 3)), np.full(3, _left(1)), 1, instrument)


def draw_frame(row, rng: np.random.Generator, instrument: Instrument = SDSS) -> Frame:
    """Draw a frame from `REGISTRATION`, `SKY_RESIDUALS` and `FRAME_NOISE`.

    The standard deviation of the sky residuals scales as the photon noise does.
    """
    widths = REGISTRATION["width"]
    offsets = widths[:, None] * rng.uniform(-0.5, 0.5, (3, 2)) * PIXEL_SCALE
    share, skew = SKY_RESIDUALS["common"], SKY_RESIDUALS["skew"]
    common, own = (np.expm1(skew * rng.normal(size=size)) / skew for size in (3, (3, 3)))
    deviates = np.sqrt(share) * common + np.sqrt(1 - share) * own
    brightness = SKY_RESIDUALS["level"]
    level = 10 ** (0.4 * (22.5 - brightness)) * PIXEL_SCALE**2
    scale = np.array([1, SKY_RESIDUALS["gradient"], SKY_RESIDUALS["gradient"]])
    sky = level[:, None] * scale * deviates
    sky[:, 0] += SKY_RESIDUALS["offset"]
    sky /= instrument.zoom**2 * np.sqrt(instrument.depth)
    noise = FRAME_NOISE["left"]
    shape = FRAME_NOISE["shape"]
    noise *= np.exp(FRAME_NOISE["scatter"] * (rng.gamma(shape) - shape) / np.sqrt(shape))
    response = seeing(row) * _wings(instrument.zoom) * displacement(*offsets.T)
    return Frame(response, sky, noise, int(FRAME_NOISE["passes"]), instrument)


@cache
def _wings(zoom: float) -> np.ndarray:
    """Return the Fourier factor of `PSF_WINGS`, `(ky, kx)`."""
    share, scale = np.float32(PSF_WINGS["share"]), np.float32(zoom * PSF_WINGS["scale"])
    return 1 - share * (1 - np.exp(-scale * K))


def seeing(row) -> np.ndarray:
    """Return the Fourier transform of the point spread function in g, r, i, `(3, ky, kx)`.

    Kolmogorov turbulence, exp(−(k/k0)^(5/3)): Fried (1966, JOSA 56, 1372).
    """
    # FWHM = 0.975865 λ/r0, as in GalSim.
    k0 = 2 * np.pi * 0.975865 / (row["seeing"] * PSF_RATIOS) / 3.44 ** (3 / 5)
    return np.exp((-(k0 ** (-5 / 3))[:, None, None]).astype(np.float32) * K_SEEING)


def displacement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Fourier factors of displacements x, y in arcsec, `(n, ky, kx)`."""
    along_x = np.exp(-1j * np.multiply.outer(x, KX)).astype(np.complex64)
    along_y = np.exp(-1j * np.multiply.outer(y, KY[:, 0])).astype(np.complex64)
    return along_y[:, :, None] * along_x[:, None, :]


def plane_waves(x, y) -> tuple[np.ndarray, np.ndarray]:
    """Return factors of exp(−i k·x) for points at x, y: `(points, kx)` and `(ky, points)`."""
    along_x, along_y = (_powers(np.exp(-1j * STEP * np.asarray(place))) for place in (x, y))
    # The last is both +PADDED/2 and −PADDED/2.
    along_y = np.concatenate([along_y, along_y[:, -2:0:-1].conj()], axis=1)
    return along_x, along_y.T


def _powers(base: np.ndarray) -> np.ndarray:
    """Return powers 0 to PADDED/2 of `base`, by doubling, complex64 `(n, PADDED // 2 + 1)`."""
    powers = np.ones((len(base), PADDED // 2 + 1), dtype=np.complex64)
    done = 1
    while done < powers.shape[1]:
        more = min(done, powers.shape[1] - done)
        factor = (base**done).astype(np.complex64)[:, None]
        np.multiply(powers[:, :more], factor, out=powers[:, done : done + more])
        done += more
    return powers


def points(light: np.ndarray, waves) -> np.ndarray:
    """Return the Fourier transform of points with `light` `(n,)` and `waves` of `plane_waves`."""
    along_x, along_y = waves
    return (along_y * light.astype(np.float32)) @ along_x


def exponential(radius: float, q: float, angle: float) -> np.ndarray:
    """Return the Fourier transform of an elliptical exponential disc.

    Arguments:
        radius: Half-light radius, arcsec.
        q: Axis ratio.
        angle: Position angle, rad.
    """
    h = np.float32(radius / 1.678)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = h * (cosine * KX + sine * KY), h * np.float32(q) * (cosine * KY - sine * KX)
    squared = 1 + along * along + across * across
    return 1 / (squared * np.sqrt(squared))


def to_stamps(spectra: np.ndarray) -> np.ndarray:
    """Return images `(*, 128, 128)` from Fourier transforms `(*, ky, kx)`."""
    half = STAMP // 2
    columns = fft.ifft(spectra, axis=-2, overwrite_x=True)
    columns = np.concatenate([columns[..., -half:, :], columns[..., :half, :]], axis=-2)
    rows = fft.irfft(columns, n=PADDED, axis=-1, overwrite_x=True)
    return np.concatenate([rows[..., -half:], rows[..., :half]], axis=-1)


def draw_neighbours(rng: np.random.Generator, instrument: Instrument = SDSS) -> np.ndarray:
    """Return Fourier transforms of unrelated stars and galaxies, drawn from their counts.

    Galaxies are Gaussians, as the seeing makes faint ones round. Deeper images show fainter ones.

    Returns:
        g, r, i in nanomaggies per pixel, `(3, ky, kx)`, complex64.
    """
    r_star, r_galaxy = (_counted(kind, rng, instrument) for kind in ("stars", "galaxies"))
    colours = np.concatenate([_star_colours(r_star, rng), _galaxy_colours(len(r_galaxy), rng)], 1)
    r = np.concatenate([r_star, r_galaxy])
    x, y = rng.uniform(-0.5, 0.5, (2, len(r))) * STAMP * PIXEL_SCALE
    radius = NEIGHBOURS["radius"] * 10 ** (NEIGHBOURS["slope"] * (r_galaxy - 21))
    radius *= instrument.zoom
    radius *= np.exp(NEIGHBOURS["scatter"] * rng.normal(size=len(radius)))
    q, angle = rng.uniform(NEIGHBOURS["q_min"], 1, len(radius)), rng.uniform(0, np.pi, len(radius))
    fluxes = 10 ** (0.4 * (22.5 - np.stack([r + colours[0], r, r - colours[1]])))

    along_x, along_y = plane_waves(x, y)
    faint = r_galaxy > NEIGHBOURS["r_round"]
    # The half-light radius of a Gaussian is 1.1774 σ.
    sigma = np.concatenate([np.zeros(len(r_star)), np.where(faint, radius, 0) / 1.1774])
    exponent = (-0.5 * sigma**2).astype(np.float32)
    along_x *= np.exp(exponent[:, None] * KX**2)
    along_y = along_y * np.exp(exponent * KY**2)
    shaped = len(r_star) + np.flatnonzero(~faint)
    alone = fluxes.copy()
    alone[:, shaped] = 0
    spectra = np.stack([points(light, (along_x, along_y)) for light in alone])
    for k in shaped:
        shape = (each[k - len(r_star)] for each in (radius, q, angle))
        one = points(np.ones(1), (along_x[k : k + 1], along_y[:, k : k + 1])) * exponential(*shape)
        spectra += fluxes[:, k, None, None].astype(np.float32) * one
    return spectra


def _counted(kind: str, rng, instrument: Instrument = SDSS) -> np.ndarray:
    """Return r magnitudes of the stars or galaxies on a stamp, drawn from `COUNTS`."""
    slope = COUNTS[f"{kind}_slope"]
    r_max = COUNTS["r_max"] + 1.25 * np.log10(instrument.depth)
    bright, faint = 10 ** (slope * (np.array([COUNTS[f"{kind}_r_min"], r_max]) - 22))
    square_degrees = (STAMP * instrument.pixel_scale / 3600) ** 2
    n = rng.poisson(COUNTS[f"{kind}_n22"] * (faint - bright) * square_degrees)
    return 22 + np.log10(rng.uniform(bright, faint, n)) / slope


def _star_colours(r: np.ndarray, rng) -> np.ndarray:
    """Return g−r and r−i of stars, `(2, n)`; half of the stars of r = 21 are M dwarfs."""
    n = len(r)
    dwarf = rng.uniform(size=n) < 0.1 * (r - 16)
    g_r = np.where(dwarf, 1.4, rng.normal(0.55, 0.15, n))
    return np.stack([g_r, np.where(dwarf, rng.uniform(0.5, 1.6, n), 0.4 * g_r)])


def _galaxy_colours(n: int, rng) -> np.ndarray:
    """Return g−r and r−i of galaxies, `(2, n)`."""
    return np.stack([rng.normal(0.8, 0.3, n), rng.normal(0.35, 0.12, n)])


def add_noise(stamps: np.ndarray, rng: np.random.Generator, frame: Frame | None = None):
    """Return stamps with the photon noise of objects and sky, smoothed by interpolation.

    The noise is Gaussian, which a sky of hundreds of electrons per pixel makes indistinguishable
    from Poisson noise. Interpolation smooths only the noise: the measured seeing includes it.

    Arguments:
        stamps: g, r, i in nanomaggies per pixel, `(3, h, w)`.
        rng: Random generator of the noise.
        frame: Frame whose sky and noise to add; photon noise alone by default.

    Returns:
        Frames in nanomaggies per pixel, `(3, h, w)`, float32.
    """
    instrument = SDSS if frame is None else frame.instrument
    sky, gain = np.float32(instrument.zoom**-2) * SKY_PIXEL, np.float32(instrument.depth) * GAIN
    noise = rng.standard_normal(stamps.shape, dtype=np.float32)
    noise *= np.sqrt((stamps + sky) / gain)
    if frame is None:
        return stamps + _interpolated(noise)
    noise *= (frame.noise / _left(frame.passes)).astype(np.float32)[:, None, None]
    for _ in range(frame.passes):
        noise = _interpolated(noise)
    height, width = stamps.shape[1:]
    x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in (width, height))
    level, right, up = frame.sky.T.astype(np.float32)[:, :, None, None]
    return stamps + noise + (level + right * x) + up * y[:, None]


def _left(passes: int) -> float:
    """Return the share of the standard deviation of white noise left by `passes` interpolations."""
    kernel = np.ones(1)
    for _ in range(passes):
        kernel = np.convolve(kernel, INTERPOLATION)
    return float(kernel @ kernel)


def _interpolated(frames: np.ndarray) -> np.ndarray:
    """Return `frames` smoothed by `INTERPOLATION` along rows and columns; edges are repeated."""
    side, middle = np.float32(INTERPOLATION[0]), np.float32(INTERPOLATION[1])
    for _ in range(2):
        smooth = middle * frames
        smooth[:, 1:] += side * frames[:, :-1]
        smooth[:, :-1] += side * frames[:, 1:]
        smooth[:, 0] += side * frames[:, 0]
        smooth[:, -1] += side * frames[:, -1]
        # Columns next, and back again.
        frames = smooth.swapaxes(1, 2)
    return frames
