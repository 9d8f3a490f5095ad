"""Cutouts: bulge, disc, bar, ring, spiral arms and knots through the atmosphere onto frames.

Light is added up in Fourier space, where profiles have simple forms: each component once, then
one sum per band. Pixel noise is added last, followed by SkyServer's colours and JPEG.
"""

from functools import cache

import numpy as np
from scipy import special

from galcfm.simulate.frames import (
    KX,
    KY,
    STAMP,
    Frame,
    K,
    add_noise,
    draw_frame,
    draw_neighbours,
    exponential,
    plain_frame,
    plane_waves,
    points,
    to_stamps,
)
from galcfm.simulate.instruments import SDSS, Instrument
from galcfm.simulate.picture_relations import (
    BAR_SHAPES,
    COMPANION_LOOKS,
    COMPLEXES,
    LANE_SHAPES,
    RING_STARS,
)
from galcfm.simulate.relations import CLUSTERING, GALACTIC_EXTINCTION
from galcfm.simulate.structure import RENDERED_BANDS
from galcfm.survey.images import PIXEL_SCALE, decode_jpeg, encode_jpeg, lupton_rgb

N_ARM_POINTS = 200


def catalogue_fluxes(row) -> np.ndarray:
    """Return the fluxes in g, r, i of a cutout of this galaxy, nanomaggies, `(3,)`.

    Galactic extinction is put back into the observed magnitudes, as cutouts are not dereddened.
    The coefficients are from Schlafly & Finkbeiner (2011, ApJ 737, 103).
    """
    return np.array(
        [
            10 ** (0.4 * (22.5 - row[f"mag_{b}"] - GALACTIC_EXTINCTION[b] * row["ebv"]))
            for b in RENDERED_BANDS
        ]
    )


# Columns of angles, in arcsec.
ANGLES = (
    "disc_radius",
    *(f"disc_radius_{band}" for band in RENDERED_BANDS),
    "bulge_radius",
    "bar_length",
    "companion_separation",
    "seeing",
)


def render(
    catalogue, seed: int, *, instrument: Instrument = SDSS, varied_sky: bool = True
) -> np.ndarray:
    """Return cutouts of simulated galaxies.

    Arguments:
        catalogue: Rows of `galcfm.simulate.simulate_catalogue`.
        seed: Seed of the survey. The image of a galaxy depends only on the seed and on the number
            at the end of `object_id`.
        instrument: Instrument of the observation.
        varied_sky: Whether frames differ in residual sky and alignment of the bands.

    Returns:
        uint8 `(n, 128, 128, 3)`, channels i, r, g, after a JPEG round trip.
    """
    images = np.empty((len(catalogue), STAMP, STAMP, 3), dtype=np.uint8)
    for image, row in zip(images, catalogue.to_dict("records"), strict=True):
        number = int(row["object_id"].rsplit("-", 1)[1])
        rng = np.random.default_rng([seed, 2, number])
        image[:] = render_galaxy(row, rng, instrument=instrument, varied_sky=varied_sky)
    return images


def render_galaxy(
    row, rng: np.random.Generator, *, instrument: Instrument = SDSS, varied_sky: bool = True
) -> np.ndarray:
    """Return the cutout of one galaxy (a mapping of columns), uint8 `(128, 128, 3)`."""
    row = dict(row) | {name: instrument.zoom * row[name] for name in ANGLES if name in row}
    # Separate generators, so that one more arm does not change the neighbours.
    of_galaxy, of_others, of_frame = rng.spawn(3)
    frame = draw_frame(row, of_frame, instrument) if varied_sky else plain_frame(row, instrument)
    others = draw_neighbours(of_others, instrument)
    if np.isfinite(row["companion_magnitude"]):
        others += draw_companion(row, of_others)
    stamps = draw_galaxy(row, of_galaxy, frame) + np.maximum(to_stamps(others * frame.response), 0)
    g, r, i = add_noise(stamps, of_frame, frame) * np.float32(
        instrument.stretch * instrument.zoom**2
    )
    return decode_jpeg(encode_jpeg(lupton_rgb(i, r, g)))


def draw_galaxy(row, rng: np.random.Generator, frame: Frame | None = None) -> np.ndarray:
    """Return noise-free stamps of one galaxy; in each band they sum to `catalogue_fluxes`.

    The sum is the *observed* flux, noise included. With the true flux, the image would be a second
    measurement that reduces the noise of the catalogue.

    Arguments:
        row: Mapping of catalogue columns.
        rng: Random generator of centring, knots and arms.
        frame: Frame of the observation; by default a plain one.

    Returns:
        g, r, i in nanomaggies per pixel, `(3, 128, 128)`, float32.
    """
    frame = frame or plain_frame(row)
    # From the plane of the disc to the sky: intrinsic ellipticity, which fades with inclination.
    angle, cosine = np.radians(row["position_angle"]), np.cos(np.radians(row["inclination"]))
    own = _sheared(1 - row["disc_ellipticity"] * cosine, rng.uniform(0, np.pi))
    plane = _rotation(angle) @ own
    parts = {
        "disc": _disc(row, plane),
        "bulge": _bulge(row, angle),
        **_young_stars(row, rng, plane),
    }
    centre = plane_waves(*rng.uniform(-0.5, 0.5, (2, 1)) * PIXEL_SCALE)
    shares = {
        part: np.array([row[f"{part}_fraction_{band}"] for band in RENDERED_BANDS], np.float32)
        for part in ("bulge", "arm", "knot")
    }
    shares["disc"] = 1 - sum(shares.values())
    spectra = sum(share[:, None, None] * parts[part] for part, share in shares.items())
    stamps = to_stamps(spectra * frame.response * points(np.ones(1), centre))
    # Removes ringing of the Fourier series, far below the noise.
    np.maximum(stamps, 0, out=stamps)
    return stamps * (catalogue_fluxes(row) / stamps.sum(axis=(1, 2), dtype=np.float64))[
        :, None, None
    ].astype(np.float32)


def draw_companion(row, rng: np.random.Generator) -> np.ndarray:
    """Return Fourier transforms of a companion with about the galaxy's colour and brightness.

    Returns:
        g, r, i in nanomaggies per pixel, `(3, ky, kx)`, complex64.
    """
    x, y = row["companion_separation"] * _rotation(np.radians(row["companion_angle"]))[:, 0]
    colours = COMPANION_LOOKS["colour_scatter"] * rng.normal(size=3) * [1, 0, 1]
    fluxes = catalogue_fluxes(row) * 10 ** (-0.4 * (row["companion_magnitude"] + colours))
    radius = row["disc_radius"] * 10 ** (-0.2 * row["companion_magnitude"])
    shape = exponential(radius, rng.uniform(COMPANION_LOOKS["q_min"], 1), rng.uniform(0, np.pi))
    spectrum = points(np.ones(1), plane_waves([x], [y])) * shape
    return fluxes.astype(np.float32)[:, None, None] * spectrum


def _disc(row, plane: np.ndarray) -> np.ndarray:
    """Return the Fourier transform of the smooth disc with bar and dust lane, `(3, ky, kx)`.

    The disc is GalSim's `InclinedExponential`: an exponential of sech² thickness.
    """
    inclination = np.radians(row["inclination"])
    radius = np.array([row[f"disc_radius_{band}"] for band in RENDERED_BANDS])
    h = (radius / 1.678).astype(np.float32)[:, None, None]
    kx, ky = _seen_in(plane)
    kx, ky = h * kx, h * ky
    inclined, upright = np.float32(np.cos(inclination)), np.float32(np.sin(inclination))
    ky_plane = inclined * ky
    squared = 1 + kx * kx + ky_plane * ky_plane
    flat = 1 / (squared * np.sqrt(squared))

    def thick(scale_height):
        x = np.float32(0.5 * np.pi * scale_height) * upright * np.abs(ky) + np.float32(1e-6)
        return x / np.sinh(np.minimum(x, 80))

    thickness = thick(row["disc_thickness"])
    disc = flat * thickness
    if row["bar_fraction"] > 0:
        half_length = np.float32(row["bar_length"]) / h
        turned = _rotation(-np.radians(row["bar_angle"])).astype(np.float32)
        along = half_length * (turned[0, 0] * kx + turned[0, 1] * ky_plane)
        across = half_length * (turned[1, 0] * kx + turned[1, 1] * ky_plane)
        across *= np.float32(BAR_SHAPES["q"])
        bar = _looked_up("bar", 1, np.sqrt(along[1] ** 2 + across[1] ** 2)) * thickness[1]
        disc = disc + np.float32(row["bar_fraction"]) * (bar - disc)
    if row["dust_lane"] > 0:
        lane = flat * thick(LANE_SHAPES["thickness"] * row["disc_thickness"])
        relative = [GALACTIC_EXTINCTION[b] / GALACTIC_EXTINCTION["r"] for b in RENDERED_BANDS]
        share = (row["dust_lane"] * np.array(relative, np.float32))[:, None, None]
        disc = (disc - share * lane) / (1 - share)
    if row["lopsidedness"] > 0:
        # The disc times 1 + A1 r/2h cos(φ − φ1): A1 is the value at two scale lengths, and a
        # factor of x is a derivative in Fourier space.
        towards = np.radians(row["lopsided_angle"])
        k = np.float32(np.cos(towards)) * kx + np.float32(np.sin(towards)) * ky_plane
        slope = np.float32(1.5 * row["lopsidedness"])
        disc = disc - 1j * slope * k * flat / squared * thickness
    return disc


def _bulge(row, angle: float) -> np.ndarray:
    kx, ky = _seen_in(_rotation(angle) @ _sheared(row["bulge_axis_ratio"], 0))
    k = np.float32(row["bulge_radius"]) * np.sqrt(kx * kx + ky * ky)
    return _looked_up("sersic", round(float(row["bulge_index"]), 1), k)


def _young_stars(row, rng, plane: np.ndarray) -> dict[str, np.ndarray]:
    """Return Fourier transforms of arms and knots, by name, `(ky, kx)`.

    Arms are logarithmic spirals of some width with random phases. They contain HII regions, whose
    number brighter than L is proportional to L⁻²: a luminosity function of slope −3, steeper than
    the published −2. Arms begin at the end of a bar, some HII regions lie in the ring, and a
    lopsided disc has more of them on one side.
    """
    n_knots = int(row["n_knots"])
    n = n_knots + N_ARM_POINTS
    scale_length = row["disc_radius"] / 1.678
    radius = rng.gamma(COMPLEXES["shape"], COMPLEXES["scale"], n).clip(0.2, COMPLEXES["end"])
    radius *= scale_length
    if row["bar_fraction"] > 0:
        radius = np.where(radius < row["bar_length"], radius + row["bar_length"], radius)
    winding = np.log(radius / scale_length) / np.tan(np.radians(row["pitch_angle"]))
    arm = 2 * np.pi * rng.integers(0, int(row["n_arms"]), n) / row["n_arms"]
    azimuth = winding + arm + rng.uniform(0, 2 * np.pi) + rng.normal(0, row["arm_width"], n)
    if row["ring_radius"] > 0:
        in_ring = rng.uniform(size=n) < RING_STARS["share"]
        width = 1 + RING_STARS["width"] * rng.normal(size=n)
        radius = np.where(in_ring, row["ring_radius"] * scale_length * width, radius)
        azimuth = np.where(in_ring, rng.uniform(0, 2 * np.pi, n), azimuth)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    # The first regions of the list are centres of complexes; the others surround them.
    heart = rng.integers(0, int(COMPLEXES["number"]), n)
    about = COMPLEXES["size"] * scale_length * rng.normal(size=(2, n))
    gathered = rng.uniform(size=n) < COMPLEXES["share"]
    x = np.where(gathered, x[heart] + about[0], x)
    y = np.where(gathered, y[heart] + about[1], y)

    luminosity = rng.uniform(0.02, 1, n_knots) ** (-1 / CLUSTERING["luminosity_slope"])
    light = np.concatenate([np.ones(N_ARM_POINTS), luminosity])
    towards = np.radians(row["lopsided_angle"])
    one_sided = x * np.cos(towards) + y * np.sin(towards)
    light *= (1 + row["lopsidedness"] * one_sided / (2 * scale_length)).clip(0.05, 2)
    x, y = plane @ [x, y * np.cos(np.radians(row["inclination"]))]
    along_x, along_y = plane_waves(x, y)
    of = {"arm": slice(None, N_ARM_POINTS), "knot": slice(N_ARM_POINTS, None)}
    young = {
        name: points(light[k] / light[k].sum(), (along_x[k], along_y[:, k]))
        for name, k in of.items()
    }
    young["arm"] *= np.exp(
        np.float32(-0.5 * (COMPLEXES["smoothing"] * row["disc_radius"]) ** 2) * K * K
    )
    return young


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _sheared(q: float, angle: float) -> np.ndarray:
    """Return the matrix that turns circles into ellipses of axis ratio `q` and equal area."""
    turned = _rotation(angle)
    return turned @ np.diag([q**-0.5, q**0.5]) @ turned.T


def _seen_in(matrix: np.ndarray) -> np.ndarray:
    """Return wave numbers in coordinates that `matrix` transforms to the sky, `(2, ky, kx)`."""
    (xx, xy), (yx, yy) = matrix.T.astype(np.float32)
    return np.stack([xx * KX + xy * KY, yx * KX + yy * KY])


def _looked_up(kind: str, index: float, k: np.ndarray) -> np.ndarray:
    """Return the Fourier transform of a round profile of unit flux, interpolated in a table.

    Arguments:
        kind: `"sersic"`, with unit half-light radius, or `"bar"`, with unit radius.
        index: Sérsic index.
        k: Wave numbers in inverse radii.
    """
    table = _table(kind, index)
    place = np.log1p(k * np.float32(TABLE_SCALE)) * np.float32(TABLE_STEPS)
    whole = np.minimum(place.astype(np.int32), len(table) - 2)
    return table[whole] + (place - whole) * (table[whole + 1] - table[whole])


# Tables are even in log(1 + TABLE_SCALE k).
TABLE_SCALE, TABLE_STEPS, TABLE_LENGTH = 50.0, 100.0, 1100


@cache
def _table(kind: str, index: float) -> np.ndarray:
    k = np.expm1(np.arange(TABLE_LENGTH) / TABLE_STEPS) / TABLE_SCALE
    if kind == "bar":
        # 1 − r² within a radius of 1: a Ferrers bar of index 1 seen from above.
        x = np.maximum(k, 1e-3)
        return (8 * special.jv(2, x) / x**2).astype(np.float32)
    import galsim

    profile = galsim.Sersic(index, half_light_radius=1)
    return np.array([profile.kValue(each, 0).real for each in k], dtype=np.float32)
