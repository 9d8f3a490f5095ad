"""Cutouts: bulge, disc, spiral arms and knots through the atmosphere onto an SDSS frame.

Light is added up in Fourier space, where GalSim gives the profiles: each component once, then
one sum a band. Pixel noise comes last, and then SkyServer's colours and JPEG.
"""

import numpy as np
from scipy import fft, ndimage

from galcfm.images import PIXEL_SCALE, decode_jpeg, encode_jpeg, lupton_rgb
from galcfm.simulate.population import RENDERED_BANDS
from galcfm.simulate.relations import CLUSTERING, COUNTS, FRAMES, GALACTIC_EXTINCTION

STAMP = 128  # pixels
PADDED = 192  # the Fourier grid is larger, so that little light wraps around
STEP = 2 * np.pi / (PADDED * PIXEL_SCALE)
N_KNOTS, N_ARM_POINTS = 40, 120
# Two bilinear interpolations (bands onto one grid, frames onto the cutout), the mean over random
# shifts.
INTERPOLATION = (1 / 6, 2 / 3, 1 / 6)
PSF_RATIOS = tuple(FRAMES[f"seeing_{band}"] / FRAMES["seeing_r"] for band in RENDERED_BANDS)


def catalogue_fluxes(row) -> np.ndarray:
    """Fluxes in g, r, i that a cutout of this galaxy holds, nanomaggies, `(3,)`.

    The observed magnitudes with the Galaxy's extinction put back: cutouts are not dereddened.
    The coefficients are those of Schlafly & Finkbeiner (2011, ApJ 737, 103).
    """
    return np.array(
        [
            10 ** (0.4 * (22.5 - row[f"mag_{b}"] - GALACTIC_EXTINCTION[b] * row["ebv"]))
            for b in RENDERED_BANDS
        ]
    )


def render(catalogue, seed: int) -> np.ndarray:
    """Cutouts of simulated galaxies.

    Arguments:
        catalogue: rows of `galcfm.simulate.simulate_catalogue`.
        seed: seed of the survey; the picture of a galaxy depends on it and on the number at the
            end of `object_id` alone.

    Returns:
        uint8 `(n, 128, 128, 3)`, channels i, r, g, after a JPEG round trip.
    """
    images = np.empty((len(catalogue), STAMP, STAMP, 3), dtype=np.uint8)
    for image, row in zip(images, catalogue.to_dict("records"), strict=True):
        number = int(row["object_id"].rsplit("-", 1)[1])
        image[:] = render_galaxy(row, np.random.default_rng([seed, 2, number]))
    return images


def render_galaxy(row, rng: np.random.Generator) -> np.ndarray:
    """Cutout of one galaxy (a mapping of catalogue columns), uint8 `(128, 128, 3)`."""
    stamps = draw_galaxy(row, rng) + draw_neighbours(row, rng)
    g, r, i = add_noise(stamps, rng)
    return decode_jpeg(encode_jpeg(lupton_rgb(i, r, g)))


def draw_galaxy(row, rng: np.random.Generator) -> np.ndarray:
    """Noise-free stamps of one galaxy; in each band they sum to `catalogue_fluxes`.

    The sum is the *observed* flux, noise and all: were it the true one, the picture would be a
    second photometer that undoes the noise of the catalogue.

    Arguments:
        row: a mapping of catalogue columns.
        rng: draws centring, knots and arms.

    Returns:
        g, r, i in nanomaggies per pixel, `(3, 128, 128)`, float32.
    """
    import galsim

    inclination = row["inclination"] * galsim.degrees
    angle = row["position_angle"] * galsim.degrees
    disc = galsim.InclinedExponential(
        inclination, half_light_radius=row["disc_radius"], scale_h_over_r=row["disc_thickness"]
    )
    bulge = galsim.Sersic(row["bulge_index"], half_light_radius=row["bulge_radius"], trunc=0).shear(
        q=row["bulge_axis_ratio"], beta=0 * galsim.degrees
    )
    # The disc's own ellipticity, which fades as the disc is inclined.
    cosine = np.cos(inclination.rad)
    own = galsim.Shear(
        q=1 - row["disc_ellipticity"] * cosine, beta=rng.uniform(0, 180) * galsim.degrees
    )
    parts = {
        "disc": _profile(disc.shear(own).rotate(angle)),
        "bulge": _profile(bulge.rotate(angle)),
    }
    x, y, arm, knot = _young_stars(row, rng)
    x, y = own.getMatrix() @ [x, y * cosine]
    x, y = _rotated(x, y, angle.rad)
    waves = _plane_waves(x, y)
    parts["arm"] = _points(arm, waves) * _gaussian(0.06 * row["disc_radius"])
    parts["knot"] = _points(knot, waves)

    centre = _plane_waves(*rng.uniform(-0.5, 0.5, (2, 1)) * PIXEL_SCALE)
    placed = _points(np.ones(1), centre)
    spectra = []
    for band, psf in zip(RENDERED_BANDS, _psfs(row), strict=True):
        shares = {part: row[f"{part}_fraction_{band}"] for part in ("bulge", "arm", "knot")}
        shares["disc"] = 1 - sum(shares.values())
        spectra.append(sum(share * parts[part] for part, share in shares.items()) * psf * placed)
    stamps = _to_stamps(np.stack(spectra))
    # Ringing of the Fourier series, far below the noise.
    np.maximum(stamps, 0, out=stamps)
    return stamps * (catalogue_fluxes(row) / stamps.sum(axis=(1, 2), dtype=np.float64))[
        :, None, None
    ].astype(np.float32)


def draw_neighbours(row, rng: np.random.Generator) -> np.ndarray:
    """Chance stars and galaxies, by their counts at high latitude, seen as `row` is.

    Returns:
        g, r, i in nanomaggies per pixel, `(3, 128, 128)`, float32.
    """
    psfs = _psfs(row)
    spectra = np.zeros((3, *psfs[0].shape), dtype=np.complex64)
    square_degrees = (STAMP * PIXEL_SCALE / 3600) ** 2
    for kind in ("stars", "galaxies"):
        slope = COUNTS[f"{kind}_slope"]
        bright, faint = 10 ** (slope * (np.array([COUNTS["r_min"], COUNTS["r_max"]]) - 22))
        n = rng.poisson(COUNTS[f"{kind}_n22"] * (faint - bright) * square_degrees)
        if n == 0:
            continue
        r = 22 + np.log10(rng.uniform(bright, faint, n)) / slope
        x, y = rng.uniform(-0.5, 0.5, (2, n)) * STAMP * PIXEL_SCALE
        if kind == "stars":
            # M dwarfs are as many as all others at r = 21.
            dwarf = rng.uniform(size=n) < 0.1 * (r - 16)
            g_r = np.where(dwarf, 1.4, rng.normal(0.55, 0.15, n))
            r_i = np.where(dwarf, rng.uniform(0.5, 1.6, n), 0.4 * g_r)
            profiles = [1.0] * n
        else:
            g_r, r_i = rng.normal(0.8, 0.3, n), rng.normal(0.35, 0.12, n)
            radius = 0.9 * 10 ** (-0.1 * (r - 21)) * np.exp(0.3 * rng.normal(size=n))
            q, angle = rng.uniform(0.3, 1, n), rng.uniform(0, np.pi, n)
            profiles = [_exponential(*shape) for shape in zip(radius, q, angle, strict=True)]
        fluxes = 10 ** (0.4 * (22.5 - np.stack([r + g_r, r, r - r_i])))
        for k, profile in enumerate(profiles):
            point = _points(np.ones(1), _plane_waves(x[k : k + 1], y[k : k + 1])) * profile
            spectra += fluxes[:, k, None, None].astype(np.float32) * point
    return np.maximum(_to_stamps(spectra * np.stack(psfs)), 0)


def add_noise(stamps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photon noise of objects and sky, as sky-subtracted SDSS frames have it, interpolated.

    Gaussian, which a sky of hundreds of electrons a pixel makes indistinguishable from Poisson.

    Arguments:
        stamps: g, r, i in nanomaggies per pixel, `(3, h, w)`.
        rng: draws the noise.
    """
    gain = np.array([FRAMES[f"gain_{band}"] for band in RENDERED_BANDS], dtype=np.float32)
    sky = np.array(
        [10 ** (0.4 * (22.5 - FRAMES[f"sky_{band}"])) for band in RENDERED_BANDS], dtype=np.float32
    )
    variance = (stamps + (sky * PIXEL_SCALE**2)[:, None, None]) / gain[:, None, None]
    frames = stamps + np.sqrt(variance) * rng.standard_normal(stamps.shape, dtype=np.float32)
    for axis in (1, 2):
        frames = ndimage.convolve1d(frames, INTERPOLATION, axis=axis, mode="nearest")
    return frames


def _young_stars(row, rng) -> tuple[np.ndarray, ...]:
    """Places in the plane of the disc, arcsec, with shares of the arm and of the knot light.

    Logarithmic spirals from random phases, with a width; HII regions of a luminosity function
    of slope -2 among them.
    """
    n = N_KNOTS + N_ARM_POINTS
    scale_length = row["disc_radius"] / 1.678
    radius = rng.gamma(2.0, scale_length, n).clip(0.2 * scale_length, 6 * scale_length)
    winding = np.log(radius / scale_length) / np.tan(np.radians(row["pitch_angle"]))
    arm = 2 * np.pi * rng.integers(0, int(row["n_arms"]), n) / row["n_arms"]
    azimuth = winding + arm + rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.35, n)
    luminosity = rng.uniform(0.02, 1, N_KNOTS) ** (-1 / CLUSTERING["luminosity_slope"])
    light_arm, light_knot = np.zeros(n), np.zeros(n)
    light_knot[:N_KNOTS] = luminosity / luminosity.sum()
    light_arm[N_KNOTS:] = 1 / N_ARM_POINTS
    return radius * np.cos(azimuth), radius * np.sin(azimuth), light_arm, light_knot


def _rotated(x, y, angle):
    return np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y


def _frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers in 1/arcsec, as `irfft2` wants them: kx of half a plane, and ky."""
    kx = STEP * np.arange(PADDED // 2 + 1)
    ky = STEP * np.arange(-PADDED // 2, PADDED // 2)
    return kx, ky


KX, KY = _frequencies()


def _profile(profile) -> np.ndarray:
    """Fourier transform of a GalSim profile, `(ky, kx)`."""
    import galsim

    bounds = galsim.BoundsI(0, PADDED // 2, -PADDED // 2, PADDED // 2 - 1)
    return profile.drawKImage(galsim.ImageCF(bounds, scale=STEP), recenter=False).array


def _psfs(row) -> list[np.ndarray]:
    import galsim

    return [_profile(galsim.Kolmogorov(fwhm=row["seeing"] * ratio)).real for ratio in PSF_RATIOS]


def _plane_waves(x, y) -> tuple[np.ndarray, np.ndarray]:
    """Factors of exp(−i k·x) for points at x, y in arcsec: `(points, kx)` and `(ky, points)`."""
    along_x = np.exp(-1j * np.multiply.outer(x, KX)).astype(np.complex64)
    along_y = np.exp(-1j * np.multiply.outer(KY, y)).astype(np.complex64)
    return along_x, along_y


def _points(light: np.ndarray, waves) -> np.ndarray:
    along_x, along_y = waves
    return (along_y * light.astype(np.float32)) @ along_x


def _gaussian(sigma: float) -> np.ndarray:
    along_x, along_y = np.exp(-0.5 * (sigma * KX) ** 2), np.exp(-0.5 * (sigma * KY) ** 2)
    return np.multiply.outer(along_y, along_x).astype(np.float32)


def _exponential(radius: float, q: float, angle: float) -> np.ndarray:
    """Fourier transform of an elliptical exponential disc of half-light radius `radius`."""
    kx, ky = _rotated(KX[None, :], KY[:, None], -angle)
    h = radius / 1.678
    return ((1 + (h * kx) ** 2 + (h * q * ky) ** 2) ** -1.5).astype(np.float32)


def _to_stamps(spectra: np.ndarray) -> np.ndarray:
    """Images `(*, 128, 128)` from Fourier transforms `(*, ky, kx)`; the origin is central."""
    images = fft.irfft2(fft.ifftshift(spectra, axes=-2), s=(PADDED, PADDED))
    images = fft.fftshift(images, axes=(-2, -1))
    start = (PADDED - STAMP) // 2
    return images[..., start : start + STAMP, start : start + STAMP]
