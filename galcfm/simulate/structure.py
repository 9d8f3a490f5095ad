"""Structure: sizes, bulges, bars, arms and whatever else a picture shows of a galaxy.

What a fibre or a photometer depends on is drawn with the galaxy's light; what only a picture
shows comes last.
"""

from types import SimpleNamespace

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtr

from galcfm.simulate.relations import (
    AGE_COMPACTNESS,
    ARMS,
    BARS,
    BULGE_SEQUENCE,
    BULGE_SHAPES,
    CLUMPS,
    COMPANIONS,
    DISC_GRADIENTS,
    DISC_SHAPES,
    DUST_LANES,
    EARLY_SIZES,
    FRAMES,
    LOPSIDEDNESS,
    RINGS,
    SIZE_SEQUENCE,
    SIZES,
)
from galcfm.simulate.spectra import load_templates

RENDERED_BANDS = ("g", "r", "i")
BAND_WAVELENGTHS = np.array([4770.0, 6231.0, 7625.0])  # effective, Å (Fukugita et al. 1996)
SCALE_LENGTHS = 1.678  # in a half-light radius of an exponential disc
MEAN_RADIUS = 2 / SCALE_LENGTHS  # of its light, in half-light radii


def size_scatter(m: np.ndarray) -> np.ndarray:
    """Scatter of ln R at log mass `m`: Shen et al. (2003, MNRAS 343, 978)."""
    return SIZES["sigma_2"] + (SIZES["sigma_1"] - SIZES["sigma_2"]) / (
        1 + (10**m / SIZES["m0"]) ** 2
    )


def draw_structure(rng, m, sequence, distance, without) -> SimpleNamespace:
    """Radii and bulges of galaxies, and how compact they are; each attribute is `(n,)`.

    Arguments:
        rng: whose `uniform` and `normal` are drawn from.
        m: log10 of the stellar mass in M☉, `(n,)`.
        sequence: 0 on the main sequence, 1 in the green valley, 2 quiescent, `(n,)`.
        distance: of the lasting history from the main sequence, dex, `(n,)`.
        without: names of `TIES` that are switched off.

    Returns:
        `kpc` and `early_kpc`, half-light radii of the disc and of an early type of this mass and
        deviation; `size`, the radius's deviation from the median in its scatter; `bulge_residual`,
        dex; `bulge_ratio` of the radii of bulge and disc scale length; `classical`, 1 where the
        bulge is a de Vaucouleurs one; `age`, a normal deviate of the formation time.
    """
    n = len(m)
    size, bulge, ratio, age = rng.normal(size=(4, n))
    index = rng.uniform(size=n)
    x = 10**m / SIZES["m0"]
    late = SIZES["gamma"] * 10 ** (m * SIZES["alpha"])
    late *= SIZES["circular_to_major"] * (1 + x) ** (SIZES["beta"] - SIZES["alpha"])
    early = EARLY_SIZES["circular_to_major"] * EARLY_SIZES["b"] * 10 ** (m * EARLY_SIZES["a"])
    on_sequence = sequence == 0
    off = np.abs(distance).clip(max=1)
    if "sizes" not in without:
        late = late * 10 ** np.where(on_sequence, -SIZE_SEQUENCE["curvature"] * off**2, 0)
    deviation = np.exp(size_scatter(m) * size)
    # A green-valley galaxy is still a disc, half-way to the size of an early type.
    kpc = np.choose(sequence, [late, np.sqrt(late * early), early * EARLY_SIZES["disc"]])
    more = np.zeros(n)
    if "bulges" not in without:
        more = np.where(on_sequence, off - BULGE_SEQUENCE["middle"], 0)
    if "ages" not in without:
        by_bulge, by_size = AGE_COMPACTNESS["bulge"], AGE_COMPACTNESS["size"]
        own = np.sqrt(1 - by_bulge**2 - by_size**2)
        age = by_bulge * bulge + by_size * size + own * age
    share = BULGE_SHAPES["de_vaucouleurs_share"] + BULGE_SEQUENCE["index_slope"] * more
    return SimpleNamespace(
        kpc=kpc * deviation,
        early_kpc=early * deviation,
        size=size,
        bulge_scatter=bulge,
        bulge_residual=BULGE_SEQUENCE["slope"] * more,
        bulge_ratio=np.exp(BULGE_SHAPES["scatter"] * ratio) * BULGE_SHAPES["radius_ratio"],
        classical=((index < share) | (sequence == 2)).astype(float),
        age=age,
    )


def apparent_radii(g: SimpleNamespace) -> dict[str, np.ndarray]:
    """Half-light radii of disc and bulge in arcsec, `(n,)` each."""
    to_arcsec = arcsec_per_kpc(g.redshift)
    disc = g.kpc * to_arcsec
    bulge = np.where(
        g.sequence == 2,
        EARLY_SIZES["bulge"] * g.early_kpc * to_arcsec,
        g.bulge_ratio * disc / SCALE_LENGTHS,
    )
    return {"disc_radius": disc, "bulge_radius": bulge.clip(0.05, disc)}


def arcsec_per_kpc(redshift: np.ndarray) -> np.ndarray:
    """Arcsec that a kiloparsec spans at `redshift`."""
    templates = load_templates()
    distance = np.interp(redshift, templates.redshift, templates.luminosity_distance)
    return np.degrees((1 + redshift) ** 2 / (distance * 1e3)) * 3600


def draw_looks(rng, g: SimpleNamespace, without) -> dict[str, np.ndarray]:
    """What only a picture shows: shapes, orientations, bars, arms, knots, lanes, companions.

    Arguments:
        rng: a random generator.
        g: galaxies of `before_noise`.
        without: names of `TIES` that are switched off.

    Returns:
        Columns of `LATENTS`, `(n,)` each.
    """
    n, cosine = len(g.m), g.cosine
    q = BULGE_SHAPES["q"]
    scatter = DISC_SHAPES["ln_ellipticity_scatter"] * rng.normal(size=n)
    shapes = {
        "bulge_axis_ratio": np.sqrt(q**2 * (1 - cosine**2) + cosine**2),
        "bulge_index": np.where(g.classical > 0, 4.0, 2.0),
        "disc_thickness": DISC_SHAPES["thickness"]
        + DISC_SHAPES["thickness_scatter"] * rng.normal(size=n),
        "disc_ellipticity": np.exp(DISC_SHAPES["ln_ellipticity"] + scatter).clip(0, 0.5),
        "inclination": np.degrees(np.arccos(cosine)),
        "position_angle": rng.uniform(0, 180, n),
        "seeing": FRAMES["seeing_r"] * np.exp(FRAMES["seeing_scatter"] * rng.normal(size=n)),
    }
    radii = apparent_radii(g)
    return {
        **shapes,
        **_gradients(rng, g, radii["disc_radius"], "gradients" not in without),
        **_features(rng, g, radii["disc_radius"], "features" not in without),
        **_asymmetry(rng, g, "asymmetry" not in without),
        "dust_lane": _dust_lanes(g) * ("dust_lanes" not in without),
        "n_knots": knots(g) if "clumps" not in without else np.full(n, 40.0),
    }


def _gradients(rng, g, disc_radius, on: bool) -> dict[str, np.ndarray]:
    """Half-light radii of the disc in g, r and i: see `DISC_GRADIENTS`."""
    stars = DISC_GRADIENTS["stars"] + DISC_GRADIENTS["stars_scatter"] * rng.normal(size=len(g.m))
    # Relative to r, in which the sizes are.
    dust = 0.4 * np.log(10) * (g.band_dust - g.band_dust[:, 1:2]) * DISC_GRADIENTS["dust"]
    inverse = (1 - dust / SCALE_LENGTHS).clip(0.3)
    ratio = (BAND_WAVELENGTHS / BAND_WAVELENGTHS[1]) ** stars[:, None] / inverse
    radii = disc_radius[:, None] * (ratio if on else np.ones_like(ratio))
    return {f"disc_radius_{band}": radii[:, k] for k, band in enumerate(RENDERED_BANDS)}


def knot_share(g: SimpleNamespace) -> np.ndarray:
    """Share of newborn light in knots, relative to that at the median: see `CLUMPS`."""
    log_sigma = g.s - np.log10(2 * np.pi * g.kpc**2)
    return 10 ** (CLUMPS["power"] * (log_sigma - CLUMPS["log_sigma_0"]))


def knots(g: SimpleNamespace) -> np.ndarray:
    """Number of knots, which goes with the star formation rate: see `CLUMPS`."""
    return np.round(CLUMPS["knots"] * 10**g.s).clip(8, 80)


def _dust_lanes(g: SimpleNamespace) -> np.ndarray:
    c = DUST_LANES
    inclination = np.degrees(np.arccos(g.cosine))
    tilt = ((inclination - c["i_min"]) / (90 - c["i_min"])).clip(0)
    lane = c["depth"] * g.band_dust[:, 1] * tilt * (g.m > c["m_min"]) * (g.sequence < 2)
    return lane.clip(max=c["most"])


def _features(rng, g, disc_radius, on: bool) -> dict[str, np.ndarray]:
    """Bars, rings and arms: see `BARS`, `RINGS` and `ARMS`."""
    n, u = len(g.m), rng.uniform(size=(5, len(g.m)))
    light, length, pitch = rng.normal(size=(3, n))
    barred = u[0] < bar_share(g.m, g.distance)
    ringed = u[1] < (RINGS["share"] + RINGS["mass"] * (g.m - 9.5)).clip(0.03, 0.3)
    flocculent = u[2] < (ARMS["share"] + ARMS["mass"] * (g.m - 10.25)).clip(0.2, 0.8)
    ring = RINGS["radius_min"] + (RINGS["radius_max"] - RINGS["radius_min"]) * u[3]
    bar = BARS["light"] * 10 ** (BARS["light_scatter"] * light)
    angle = ARMS["pitch"] + ARMS["pitch_scatter"] * pitch
    if on:
        angle = angle + ARMS["pitch_mass"] * (g.m - 10.25)
    else:
        barred = ringed = flocculent = np.zeros(n, dtype=bool)
    return {
        "bar_fraction": np.where(barred, bar.clip(max=BARS["light_max"]), 0),
        "bar_length": BARS["length"]
        * 10 ** (BARS["length_scatter"] * length)
        * disc_radius
        / SCALE_LENGTHS,
        "bar_angle": 180 * u[4],
        "ring_radius": np.where(ringed, ring, 0),
        "n_arms": rng.choice([2.0, 3.0, 4.0], size=n, p=[0.6, 0.2, 0.2]),
        "arm_width": np.where(flocculent, ARMS["flocculent_width"], ARMS["width"]),
        "pitch_angle": angle.clip(6, 45) * rng.choice([-1, 1], size=n),
    }


def bar_share(m: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Share of galaxies with a bar at log mass `m` and a distance from the main sequence, dex."""
    c = BARS
    share = c["share"] + c["mass"] * (m - 10.25) + c["sequence"] * np.clip(distance, -1, 1)
    return share.clip(0.05, 0.7)


def _asymmetry(rng, g, on: bool) -> dict[str, np.ndarray]:
    """Lopsidedness and companions: see `LOPSIDEDNESS` and `COMPANIONS`."""
    n, c = len(g.m), COMPANIONS
    normal, u = rng.normal(size=n), rng.uniform(size=(5, n))
    today = g.distance_today.clip(-1, 1)
    log_a1 = LOPSIDEDNESS["log_median"] + LOPSIDEDNESS["scatter"] * normal
    log_a1 += LOPSIDEDNESS["rate"] * today + LOPSIDEDNESS["mass"] * (g.m - 10.25)
    has = u[1] < np.minimum(c["share"] * 10 ** (c["rate"] * today), c["most"])
    fainter = c["mag_min"] + (c["mag_max"] - c["mag_min"]) * u[2]
    kpc = c["kpc_min"] + (c["kpc_max"] - c["kpc_min"]) * u[3]
    return {
        "lopsidedness": np.minimum(10**log_a1, LOPSIDEDNESS["most"]) * on,
        "lopsided_angle": 360 * u[0],
        "companion_magnitude": np.where(has & on, fainter, np.nan),
        "companion_separation": kpc * arcsec_per_kpc(g.redshift),
        "companion_angle": 360 * u[4],
    }


def formation_share(age: np.ndarray, low: float, high: float) -> np.ndarray:
    """Uniform between `low` and `high`, by the rank of a normal deviate."""
    return low + (high - low) * ndtr(age)


def fraction_within(radius: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Share of the light of a Sérsic profile within `radius` half-light radii, `(n,)`."""
    return gammainc(2 * index, gammaincinv(2 * index, 0.5) * radius ** (1 / index))


def within_aperture(
    radius: float, cosine: np.ndarray, radii: dict[str, np.ndarray], classical: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a round aperture sees of bulge and disc, circularised and blurred by the seeing.

    Arguments:
        radius: of the aperture, arcsec.
        cosine: of the inclination, `(n,)`.
        radii: of `apparent_radii`.
        classical: 1 where the bulge is a de Vaucouleurs one, `(n,)`.

    Returns:
        Shares of the light of bulge and of disc, and the mean radius of the disc's light within,
        in half-light radii, `(n,)` each.
    """
    seeing = FRAMES["seeing_r"] / 2
    q = np.hypot(cosine, DISC_SHAPES["thickness"] * np.sqrt(1 - cosine**2))
    disc = np.hypot(radii["disc_radius"] * np.sqrt(q), seeing)
    bulge = np.hypot(radii["bulge_radius"], seeing)
    index = np.where(np.asarray(classical) > 0, 4.0, 2.0)
    # Mean radius of an exponential disc's light within x scale lengths, in scale lengths.
    x = SCALE_LENGTHS * radius / disc
    mean = 2 * gammainc(3, x) / gammainc(2, x)
    return (
        fraction_within(radius / bulge, index),
        fraction_within(radius / disc, np.ones(len(disc))),
        mean / SCALE_LENGTHS,
    )
