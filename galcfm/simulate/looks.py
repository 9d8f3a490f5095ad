"""Looks: what only a picture shows of a galaxy, such as bars, arms, dust lanes and companions."""

import numpy as np

from galcfm.simulate.picture_relations import (
    ARMS,
    BARS,
    COLOUR_GRADIENTS,
    COMPANIONS,
    DUST_LANES,
    LOPSIDEDNESS,
    RINGS,
)
from galcfm.simulate.relations import BULGE_SHAPES, CLUMPS, DISC_GRADIENTS, DISC_SHAPES, FRAMES
from galcfm.simulate.stages import Galaxies
from galcfm.simulate.structure import (
    BAND_WAVELENGTHS,
    RENDERED_BANDS,
    SCALE_LENGTHS,
    apparent_radii,
    arcsec_per_kpc,
    bulge_index,
)


def draw_looks(
    rng, g: Galaxies, band_dust: np.ndarray, without, seeing: float = 1.0
) -> dict[str, np.ndarray]:
    """What only a picture shows: shapes, orientations, bars, arms, knots, lanes, companions.

    Arguments:
        rng: a random generator.
        g: Galaxies.
        band_dust: Attenuation of their discs in g, r and i, mag, `(n, 3)`.
        without: names of `TIES` that are switched off.
        seeing: in units of that of SDSS.

    Returns:
        Columns of `LATENTS`, `(n,)` each.
    """
    n, cosine = len(g.m), g.cosine
    q = BULGE_SHAPES["q"]
    scatter = DISC_SHAPES["ln_ellipticity_scatter"] * rng.normal(size=n)
    shapes = {
        "bulge_axis_ratio": np.sqrt(q**2 * (1 - cosine**2) + cosine**2),
        "bulge_index": bulge_index(g.classical),
        "disc_thickness": (
            DISC_SHAPES["thickness"] + DISC_SHAPES["thickness_scatter"] * rng.normal(size=n)
        ).clip(0.1),
        "disc_ellipticity": np.exp(DISC_SHAPES["ln_ellipticity"] + scatter).clip(0, 0.5),
        "inclination": np.degrees(np.arccos(cosine)),
        "position_angle": rng.uniform(0, 180, n),
        "seeing": seeing
        * FRAMES["seeing"][1]
        * np.exp(FRAMES["seeing_scatter"] * rng.normal(size=n)),
    }
    radii = apparent_radii(g)
    return {
        **shapes,
        **_gradients(rng, band_dust, radii["disc_radius"], "gradients" not in without),
        **_features(rng, g, radii["disc_radius"], "features" not in without),
        **_asymmetry(rng, g, "asymmetry" not in without),
        "dust_lane": _dust_lanes(g, band_dust) * ("dust_lanes" not in without),
        "n_knots": knots(g) if "clumps" not in without else np.full(n, 40.0),
    }


def _gradients(rng, band_dust, disc_radius, on: bool) -> dict[str, np.ndarray]:
    """Half-light radii of the disc in g, r and i: see `DISC_GRADIENTS` and `COLOUR_GRADIENTS`."""
    stars = COLOUR_GRADIENTS["stars"] + COLOUR_GRADIENTS["scatter"] * rng.normal(
        size=len(band_dust)
    )
    # Relative to r, in which the sizes are.
    dust = 0.4 * np.log(10) * (band_dust - band_dust[:, 1:2]) * DISC_GRADIENTS["dust"]
    inverse = (1 - dust / SCALE_LENGTHS).clip(0.3)
    ratio = (BAND_WAVELENGTHS / BAND_WAVELENGTHS[1]) ** stars[:, None] / inverse
    radii = disc_radius[:, None] * (ratio if on else np.ones_like(ratio))
    return {f"disc_radius_{band}": radii[:, k] for k, band in enumerate(RENDERED_BANDS)}


def knots(g: Galaxies) -> np.ndarray:
    """Number of knots, which goes with the star formation rate: see `CLUMPS`."""
    return np.round(CLUMPS["knots"] * 10**g.s).clip(8, 80)


def _dust_lanes(g: Galaxies, band_dust: np.ndarray) -> np.ndarray:
    c = DUST_LANES
    inclination = np.degrees(np.arccos(g.cosine))
    tilt = ((inclination - c["i_min"]) / (90 - c["i_min"])).clip(0)
    lane = c["depth"] * band_dust[:, 1] * tilt * (g.m > c["m_min"]) * (g.sequence < 2)
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
