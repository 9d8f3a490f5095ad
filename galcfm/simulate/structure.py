"""Structure: sizes and bulges, on which fibre and photometer depend too."""

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtr

from galcfm.simulate import relations as rel
from galcfm.simulate.spectra import load_templates
from galcfm.simulate.stages import Galaxies

RENDERED_BANDS = ("g", "r", "i")
BAND_WAVELENGTHS = np.array([4770.0, 6231.0, 7625.0])  # effective, Å (Fukugita et al. 1996)
SCALE_LENGTHS = 1.678  # in a half-light radius of an exponential disc
MEAN_RADIUS = 2 / SCALE_LENGTHS  # of its light, in half-light radii


def size_scatter(m: np.ndarray) -> np.ndarray:
    """Scatter of ln R at log mass `m`: Shen et al. (2003, MNRAS 343, 978)."""
    return rel.SIZES["sigma_2"] + (rel.SIZES["sigma_1"] - rel.SIZES["sigma_2"]) / (
        1 + (10**m / rel.SIZES["m0"]) ** 2
    )


def draw_structure(rng, m, sequence, distance, without) -> dict[str, np.ndarray]:
    """Return radii and bulges of galaxies, and how compact they are, by field of `Galaxies`.

    Arguments:
        rng: Generator whose `uniform` and `normal` are drawn from.
        m: log10 of the stellar mass in M☉, `(n,)`.
        sequence: 0 on the main sequence, 1 in the green valley, 2 quiescent, `(n,)`.
        distance: Distance of the lasting history from the main sequence, dex, `(n,)`.
        without: Names of `TIES` that are switched off.

    Returns:
        `kpc`, `early_kpc`, `size`, `bulge_scatter`, `bulge_residual`, `bulge_ratio`, `classical`
        and `age`, `(n,)` each.
    """
    n = len(m)
    size, bulge, ratio, age = rng.normal(size=(4, n))
    index = rng.uniform(size=n)
    x = 10**m / rel.SIZES["m0"]
    late = rel.SIZES["gamma"] * 10 ** (m * rel.SIZES["alpha"])
    late *= rel.SIZES["circular_to_major"] * (1 + x) ** (rel.SIZES["beta"] - rel.SIZES["alpha"])
    early = (
        rel.EARLY_SIZES["circular_to_major"]
        * rel.EARLY_SIZES["b"]
        * 10 ** (m * rel.EARLY_SIZES["a"])
    )
    on_sequence = sequence == 0
    off = np.abs(distance).clip(max=1)
    if "sizes" not in without:
        late = late * 10 ** np.where(on_sequence, -rel.SIZE_SEQUENCE["curvature"] * off**2, 0)
    deviation = np.exp(size_scatter(m) * size)
    # A green-valley galaxy is still a disc, half-way to the size of an early type.
    kpc = np.choose(sequence, [late, np.sqrt(late * early), early * rel.EARLY_SIZES["disc"]])
    more = np.zeros(n)
    if "bulges" not in without:
        more = np.where(on_sequence, off - rel.BULGE_SEQUENCE["middle"], 0)
    if "ages" not in without:
        by_bulge, by_size = rel.AGE_COMPACTNESS["bulge"], rel.AGE_COMPACTNESS["size"]
        own = np.sqrt(1 - by_bulge**2 - by_size**2)
        age = by_bulge * bulge + by_size * size + own * age
    share = rel.BULGE_SHAPES["de_vaucouleurs_share"] + rel.BULGE_SEQUENCE["index_slope"] * more
    return {
        "kpc": kpc * deviation,
        "early_kpc": early * deviation,
        "size": size,
        "bulge_scatter": bulge,
        "bulge_residual": rel.BULGE_SEQUENCE["slope"] * more,
        "bulge_ratio": np.exp(rel.BULGE_SHAPES["scatter"] * ratio)
        * rel.BULGE_SHAPES["radius_ratio"],
        "classical": ((index < share) | (sequence == 2)).astype(float),
        "age": age,
    }


def apparent_radii(g: Galaxies) -> dict[str, np.ndarray]:
    """Half-light radii of disc and bulge in arcsec, `(n,)` each."""
    to_arcsec = arcsec_per_kpc(g.redshift)
    disc = g.kpc * to_arcsec
    bulge = np.where(
        g.sequence == 2,
        rel.EARLY_SIZES["bulge"] * g.early_kpc * to_arcsec,
        g.bulge_ratio * disc / SCALE_LENGTHS,
    )
    return {"disc_radius": disc, "bulge_radius": bulge.clip(0.05, disc)}


def arcsec_per_kpc(redshift: np.ndarray) -> np.ndarray:
    """Arcsec that a kiloparsec spans at `redshift`."""
    templates = load_templates()
    distance = np.interp(redshift, templates.redshift, templates.luminosity_distance)
    return np.degrees((1 + redshift) ** 2 / (distance * 1e3)) * 3600


def knot_share(g: Galaxies) -> np.ndarray:
    """Share of newborn light in knots, relative to that at the median: see `CLUMPS`."""
    log_sigma = g.s - np.log10(2 * np.pi * g.kpc**2)
    return 10 ** (rel.CLUMPS["power"] * (log_sigma - rel.CLUMPS["log_sigma_0"]))


def formation_share(age: np.ndarray, low: float, high: float) -> np.ndarray:
    """Uniform between `low` and `high`, by the rank of a normal deviate."""
    return low + (high - low) * ndtr(age)


def fraction_within(radius: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Share of the light of a Sérsic profile within `radius` half-light radii, `(n,)`."""
    return gammainc(2 * index, gammaincinv(2 * index, 0.5) * radius ** (1 / index))


def bulge_index(classical: np.ndarray) -> np.ndarray:
    """Sérsic index of bulges; `classical` is 1 where it is that of de Vaucouleurs."""
    c = rel.BULGE_SHAPES
    return np.where(np.asarray(classical) > 0, c["de_vaucouleurs_index"], c["index"])


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
    seeing = rel.FRAMES["seeing"][1] / 2
    q = np.hypot(cosine, rel.DISC_SHAPES["thickness"] * np.sqrt(1 - cosine**2))
    disc = np.hypot(radii["disc_radius"] * np.sqrt(q), seeing)
    bulge = np.hypot(radii["bulge_radius"], seeing)
    index = bulge_index(classical)
    # Mean radius of an exponential disc's light within x scale lengths, in scale lengths.
    x = SCALE_LENGTHS * radius / disc
    mean = 2 * gammainc(3, x) / gammainc(2, x)
    return (
        fraction_within(radius / bulge, index),
        fraction_within(radius / disc, np.ones(len(disc))),
        mean / SCALE_LENGTHS,
    )
