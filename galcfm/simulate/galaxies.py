"""Galaxies: what the relations say of them, their stars, and what a photometer sees of these."""

from functools import cache

import numpy as np

from galcfm.properties import BANDS
from galcfm.simulate import relations as rel
from galcfm.simulate.histories import RECENT, star_formation_history
from galcfm.simulate.instruments import SDSS, Instrument
from galcfm.simulate.labels import seen_through_fibre
from galcfm.simulate.spectra import (
    BIRTH_TIME,
    Templates,
    birth_cloud_curve,
    break_weights,
    diffuse_curve,
    dn4000,
    load_templates,
    window_weights,
)
from galcfm.simulate.stages import Galaxies, Light, Observed, Photometry, Stars
from galcfm.simulate.structure import (
    BAND_WAVELENGTHS,
    apparent_radii,
    draw_structure,
    formation_share,
    knot_share,
    size_scatter,
)

MAGNITUDE_LIMIT = SDSS.magnitude_limit
# No blue or red galaxy is brighter in r for its mass; fainter candidates are not drawn at all.
LOG_MASS_TO_LIGHT_MIN = {"blue": -0.75, "red": -0.35}
DWARFS = 0.15  # dex less in surveys that see fainter ones
SUN_R = 4.65  # absolute AB magnitude (Willmer 2018, ApJS 236, 47)


def is_star_forming(log_stellar_mass, log_sfr, active) -> np.ndarray:
    """Whether a galaxy forms stars, and its lines come from that alone, which the survey asks for.

    Its specific star formation rate exceeds 10^−10.8/yr, the upper edge of the green valley
    (Salim 2014, SerAJ 189, 1), and it has no active nucleus. That stands for the emission-line
    classification of real samples (Baldwin, Phillips & Terlevich 1981, PASP 93, 5).

    Arguments:
        log_stellar_mass: log10 of M☉, without measurement errors, `(n,)`.
        log_sfr: log10 of M☉/yr, without measurement errors, `(n,)`.
        active: whether an active nucleus contributes to the lines, `(n,)`.

    >>> is_star_forming(np.full(3, 10.5), np.array([0.3, 0.3, -1.4]), [0, 1, 0]).tolist()
    [True, False, False]
    """
    forming = np.asarray(log_sfr) - log_stellar_mass > rel.STAR_FORMING["log_ssfr_min"]
    return forming & ~np.asarray(active, dtype=bool)


def before_noise(
    rng, n: int, instrument: Instrument = SDSS, without: tuple[str, ...] = ()
) -> Observed:
    """Return galaxies of all types, and what a survey sees of them on average.

    Arguments:
        rng: Generator whose `uniform` and `normal` are drawn from.
        n: Number of galaxies.
        instrument: Instrument; galaxies that are too faint for it whatever their stars are not
            drawn.
        without: Names of `TIES` that are switched off.
    """
    g = draw_galaxies(rng, n, instrument, without)
    templates = load_templates(instrument.redshift_range[1])
    stars = _make_stars(rng, g, templates)
    light, fluxes = _shine(rng, g, stars, templates, without)
    photometry = _look(rng, g, fluxes, instrument.depth)
    labels, lines_seen = seen_through_fibre(
        g, stars.s_lines, light, photometry.radii, without, instrument.magnitude_limit
    )
    return Observed(g, stars, light, photometry, labels, lines_seen)


def draw_galaxies(
    rng, n: int, instrument: Instrument = SDSS, without: tuple[str, ...] = ()
) -> Galaxies:
    """Return what the relations say of `n` galaxies."""
    redshift, m, red = _draw_redshift_and_mass(rng, n, instrument)
    u = rng.uniform(size=n)
    green = red & (u < rel.GREEN_VALLEY["share"])
    quiescent = red & (u > rel.GREEN_VALLEY["share"] + rel.GREEN_VALLEY["dusty"])
    sequence = np.where(green, 1, np.where(quiescent, 2, 0))
    s_main, s_history, s = _draw_rates(rng, m, redshift, sequence, without)
    structure = draw_structure(rng, m, sequence, s_history - s_main, without)
    oh, log_z_young, log_z_old = _draw_metallicities(
        rng, m, s, s_main, sequence, structure["size"], without
    )
    early = rel.QUIESCENT_HISTORIES["start"] + rel.QUIESCENT_HISTORIES["slope"] * (m - 11)
    early = early + rel.QUIESCENT_HISTORIES["scatter"] * structure["age"]
    early = early.clip(rel.QUIESCENT_HISTORIES["start_min"], rel.QUIESCENT_HISTORIES["start_max"])
    late = formation_share(structure["age"], rel.HISTORIES["start_min"], rel.HISTORIES["start_max"])
    share = rel.ACTIVE_NUCLEI["share"] / (
        1 + np.exp((rel.ACTIVE_NUCLEI["middle"] - m) / rel.ACTIVE_NUCLEI["width"])
    )
    dust_scatter = rel.ATTENUATION_MASS["log_scatter"], *[rel.QUIESCENT_DUST["log_scatter"]] * 2
    dust = mean_attenuation(m), rel.QUIESCENT_DUST["green"], rel.QUIESCENT_DUST["quiescent"]
    return Galaxies(
        sequence=sequence,
        active=rng.uniform(size=n) < share,
        redshift=redshift,
        m=m,
        s=s,
        s_history=s_history,
        distance=s_history - s_main,
        distance_today=s - s_main,
        start=np.choose(sequence, [late, late, early]),
        oh=oh,
        log_z_young=log_z_young,
        log_z_old=log_z_old,
        log_u=rel.IONISATION["a"]
        + rel.IONISATION["b"] * log_z_young
        + rel.IONISATION["scatter"] * rng.normal(size=n),
        bulge=_bulge_mass(m, sequence, structure),
        dust=np.choose(sequence, dust),
        dust_scatter=np.choose(sequence, dust_scatter),
        cosine=rng.uniform(0, 1, n),
        **structure,
    )


def _draw_rates(rng, m, redshift, sequence, without) -> tuple[np.ndarray, ...]:
    """Return log SFR of the main sequence, of the smooth history and of today, `(n,)` each."""
    n = len(m)
    lasting, recent = rel.MAIN_SEQUENCE["scatter"] * np.sqrt([2 / 3, 1 / 3])
    s_main = rel.MAIN_SEQUENCE["slope"] * m + rel.MAIN_SEQUENCE["intercept"]
    if "evolution" not in without:
        s_main = s_main + rel.EVOLUTION["power"] * np.log10(
            (1 + redshift) / (1 + rel.EVOLUTION["z0"])
        )
    s_history = s_main + lasting * rng.normal(size=n)
    s = s_history + recent * rng.normal(size=n)
    s_green = s_main - rng.uniform(rel.GREEN_VALLEY["depth_min"], rel.GREEN_VALLEY["depth_max"], n)
    s_quiescent = m + rel.QUIESCENT_RATES["log_ssfr"] + rel.QUIESCENT_RATES["slope"] * (m - 10.5)
    s_quiescent = s_quiescent + rel.QUIESCENT_RATES["scatter"] * rng.normal(size=n)
    s = np.minimum(s, m + rel.MAIN_SEQUENCE["log_ssfr_max"])
    return (
        s_main,
        np.choose(sequence, [s_history, (s_main + s_green) / 2, s_quiescent]),
        np.choose(sequence, [s, s_green, s_quiescent]),
    )


def _draw_metallicities(rng, m, s, s_main, sequence, size, without) -> tuple[np.ndarray, ...]:
    """Return 12+log(O/H) and log10(Z/Z☉) of young and of old stars, `(n,)` each."""
    # Galaxies that have left the main sequence have the gas they had on it.
    s_gas = np.where(sequence == 0, s, s_main)
    scatter, by_size = rel.MASS_METALLICITY.at(m, "scatter"), 0.0
    if "sizes" not in without:
        by_size = rel.SIZE_METALLICITY.at(m, "slope") * size_scatter(m) / np.log(10)
        scatter = np.sqrt(np.maximum(scatter**2 - by_size**2, 0))
    oh = mass_metallicity(m, s_gas) + scatter * rng.normal(size=len(m)) + by_size * size
    log_z_young = oh - rel.YOUNG_METALLICITY["solar_oh"] - rel.YOUNG_METALLICITY["scale_offset"]
    residual = rel.STELLAR_METALLICITY["oh_residual"] * (oh - mass_metallicity(m, s_main))
    z_scatter = rng.normal(size=len(m))
    main, quiescent = (
        relation.at(m, "log_z") + relation["scatter"] * z_scatter
        for relation in (rel.STELLAR_METALLICITY, rel.QUIESCENT_METALLICITY)
    )
    main = main + residual
    log_z_old = np.choose(sequence, [main, (main + quiescent) / 2, quiescent])
    largest = rel.YOUNG_METALLICITY["max"]
    return oh, np.minimum(log_z_young, largest), np.minimum(log_z_old, largest)


def _bulge_mass(m, sequence, structure: dict[str, np.ndarray]) -> np.ndarray:
    """Return the share of the stellar mass in the bulge, `(n,)`."""
    deviate = structure["bulge_scatter"]
    log_late = (
        rel.BULGES["log_median"] + rel.BULGES["slope"] * (m - 10.5) + structure["bulge_residual"]
    )
    late = np.minimum(10 ** (log_late + rel.BULGES["scatter"] * deviate), rel.BULGES["max"])
    early = np.choose(sequence, [0, rel.EARLY_BULGES["green"], rel.EARLY_BULGES["quiescent"]])
    early = early + rel.EARLY_BULGES["slope"] * (m - 10.5) + rel.EARLY_BULGES["scatter"] * deviate
    return np.where(
        sequence == 0, late, early.clip(rel.EARLY_BULGES["min"], rel.EARLY_BULGES["max"])
    )


def _make_stars(rng, g: Galaxies, templates: Templates) -> Stars:
    n, edges = len(g.m), templates.age_edges
    young = edges[:-1] < RECENT
    newborn = np.arange(len(young)) == 0
    living = np.where(
        young, templates.living_fraction(g.log_z_young), templates.living_fraction(g.log_z_old)
    )
    start = np.interp(g.redshift, templates.redshift, templates.age_of_universe)
    start = start * g.start
    formed = star_formation_history(
        edges,
        living,
        10**g.m,
        10**g.s,
        smooth_sfr=10**g.s_history,
        start=start,
        recent_time=10
        ** rng.uniform(rel.HISTORIES["log_recent_min"], rel.HISTORIES["log_recent_max"], n),
        flicker=10 ** (rel.HISTORIES["flicker"] * rng.normal(size=n)),
    )

    # The bulge takes stars of all ages above 100 Myr, the oldest first.
    age = (edges[1:] + edges[:-1]) / 2
    bulge_share = np.where(young, 0, (age / start[:, None]).clip(0, 1) ** 2)
    bulge_share *= (g.bulge * 10**g.m / (bulge_share * formed * living).sum(axis=1))[:, None]
    bulge_share = np.minimum(bulge_share, 0.9)
    arm_share = np.where(newborn, 0, (1 - bulge_share) * np.exp(-age / rel.CLUSTERING["arm_time"]))
    disc_share = np.where(newborn, 0, 1 - bulge_share - arm_share)

    def spectrum(share):
        light = templates.stellar_spectrum(np.where(young, 0, formed * share), g.log_z_old)
        return light + templates.stellar_spectrum(np.where(young, formed * share, 0), g.log_z_young)

    return Stars(
        bulge=templates.stellar_spectrum(formed * bulge_share, g.log_z_old),
        disc=spectrum(disc_share),
        arms=spectrum(arm_share),
        newborn=templates.stellar_spectrum(np.where(newborn, formed, 0), g.log_z_young),
        nebulae=templates.nebular_spectrum(formed[:, 0], g.log_z_young, g.log_u),
        bulge_mass=(bulge_share * formed * living).sum(axis=1) / 10**g.m,
        s_lines=np.log10(formed[:, 0] / BIRTH_TIME),
    )


def _shine(
    rng, g: Galaxies, stars: Stars, templates: Templates, without: tuple[str, ...]
) -> tuple[Light, dict[str, np.ndarray]]:
    """Return light and dust, and the fluxes of each part through its dust [nanomaggies]."""
    n = len(g.m)
    mean = g.dust * 10 ** (g.dust_scatter * rng.normal(size=n))
    blind = (g.sequence == 2) | ("inclined_dust" in without)
    a_disc, a_bulge = (
        mean * np.where(blind, 1.0, inclination_factor(g.cosine, part))
        for part in ("disc", "bulge")
    )
    mu = rel.BIRTH_CLOUDS["mu"] + rel.BIRTH_CLOUDS["scatter"] * rng.normal(size=n)
    a_clouds = mean * (1 / mu.clip(rel.BIRTH_CLOUDS["mu_min"], rel.BIRTH_CLOUDS["mu_max"]) - 1)
    delta = curve_slope(a_disc) + rel.ATTENUATION_CURVE["scatter"] * rng.normal(size=n)
    delta = delta.clip(rel.ATTENUATION_CURVE["delta_min"], rel.ATTENUATION_CURVE["delta_max"])
    curve = diffuse_curve(templates.wavelength, delta)
    at_rest = BAND_WAVELENGTHS / (1 + g.redshift[:, None])
    pixels = np.searchsorted(templates.wavelength, at_rest)
    band_dust = a_disc[:, None] * np.take_along_axis(curve, pixels, axis=1)

    def transmission(a_v, shape):
        return np.exp(np.multiply(-0.4 * np.log(10) * a_v[:, None], shape, dtype=np.float32))

    through_disc = transmission(a_disc, curve)
    through_clouds = transmission(a_clouds, birth_cloud_curve(templates.wavelength)) * through_disc
    bulge = stars.bulge * transmission(a_bulge, curve)
    disc, arms = stars.disc * through_disc, stars.arms * through_disc
    newborn = stars.newborn * through_clouds

    starlight = bulge + disc + arms + newborn
    window = window_weights(templates.wavelength, 5450, 5550)
    visual = np.stack(
        [part @ window for part in (stars.bulge, stars.disc + stars.arms, stars.newborn)], axis=1
    )
    sides = break_weights(templates.wavelength)
    light = Light(
        a_bulge=a_bulge,
        a_disc=a_disc,
        a_clouds=a_clouds,
        band_dust=band_dust,
        visual=visual,
        a_v=-2.5 * np.log10((starlight @ window) / visual.sum(axis=1)),
        dn4000=dn4000(templates.wavelength, starlight),
        break_light=(bulge @ sides, (disc + arms + newborn) @ sides),
    )

    youngest = newborn + stars.nebulae * through_clouds
    share = np.full((n, 1), rel.CLUSTERING["knot_share"])
    if "clumps" not in without:
        share = (share * knot_share(g)[:, None]).clip(rel.CLUMPS["least"], rel.CLUMPS["most"])
    parts = {
        "bulge": bulge,
        "disc": disc + (1 - share) * youngest,
        "arm": arms,
        "knot": share * youngest,
    }
    fluxes = templates.fluxes(np.stack(list(parts.values()), axis=1), g.redshift)
    return light, {part: fluxes[:, k] for k, part in enumerate(parts)}


def _look(rng, g: Galaxies, fluxes: dict[str, np.ndarray], depth: float) -> Photometry:
    radii, total = apparent_radii(g), sum(fluxes.values())
    ebv = rel.GALACTIC_EXTINCTION["ebv_median"] * np.exp(
        rel.GALACTIC_EXTINCTION["ebv_scatter"] * rng.normal(size=len(total))
    )
    ebv = np.minimum(ebv, rel.GALACTIC_EXTINCTION["ebv_max"])
    reach = np.multiply.outer(radii["disc_radius"], rel.PHOTOMETRIC_ERRORS["area"])
    errors = magnitude_error(total, ebv, np.pi * reach**2 + 10) / np.sqrt(depth)
    drawn = np.hypot(errors, rel.PHOTOMETRIC_ERRORS["calibration"])
    magnitudes = 22.5 - 2.5 * np.log10(total) + [rel.ZERO_POINTS[band] for band in BANDS]
    return Photometry(fluxes, radii, ebv, magnitudes, drawn, errors)


@cache
def _redshift_and_mass_tables(instrument: Instrument) -> tuple[np.ndarray, ...]:
    """Redshifts, cumulative counts of candidates `(2, z)`, masses, cumulative mass functions
    `(2, m)`; blue galaxies first, then red ones."""
    templates, c = load_templates(), rel.MASS_FUNCTION
    low, high = instrument.redshift_range
    redshift = np.linspace(low, high, 1 + round(2000 * (high - low)))
    log_mass = np.linspace(c["log_m_min"], c["log_m_max"], 2001)
    x = 10 ** (log_mass - c["log_m_star"])
    blue = c["blue_phi"] * x ** (c["blue_alpha"] + 1)
    red = c["red_phi_1"] * x ** (c["red_alpha_1"] + 1) + c["red_phi_2"] * x ** (
        c["red_alpha_2"] + 1
    )
    numbers = np.cumsum([blue, red] * np.exp(-x), axis=1)
    volume = np.interp(redshift, templates.redshift, templates.volume)
    above = [
        total[-1] - np.interp(_mass_limit(redshift, colour, instrument), log_mass, total)
        for colour, total in zip(("blue", "red"), numbers, strict=True)
    ]
    density = volume * np.array(above)
    middle = (density[:, 1:] + density[:, :-1]) / 2
    counts = np.concatenate([np.zeros((2, 1)), middle.cumsum(axis=1)], axis=1)
    return redshift, counts, log_mass, numbers / numbers[:, -1:]


def _mass_limit(
    redshift: np.ndarray, colour: str = "blue", instrument: Instrument = SDSS
) -> np.ndarray:
    """Log mass below which no blue or red galaxy is brighter than the limit."""
    templates = load_templates()
    distance = np.interp(redshift, templates.redshift, templates.luminosity_distance)
    absolute = instrument.magnitude_limit - 5 * np.log10(distance) - 25
    ratio = LOG_MASS_TO_LIGHT_MIN[colour]
    if instrument.magnitude_limit > MAGNITUDE_LIMIT:
        ratio -= DWARFS
    return 0.4 * (SUN_R - absolute) + ratio


def _draw_redshift_and_mass(rng, n: int, instrument: Instrument) -> tuple[np.ndarray, ...]:
    """Redshifts by volume, masses by the mass function above `_mass_limit`, and who is red."""
    redshift, counts, log_mass, numbers = _redshift_and_mass_tables(instrument)
    red = rng.uniform(size=n) < counts[1, -1] / counts[:, -1].sum()
    u_redshift, u_mass = rng.uniform(size=(2, n))
    z, m = np.empty(n), np.empty(n)
    for k, colour in enumerate(("blue", "red")):
        of = red == bool(k)
        z[of] = np.interp(u_redshift[of], counts[k] / counts[k, -1], redshift)
        floor = np.interp(_mass_limit(z[of], colour, instrument), log_mass, numbers[k])
        m[of] = np.interp(floor + (1 - floor) * u_mass[of], numbers[k], log_mass)
    return z, m, red


def mass_metallicity(m: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Median gas-phase 12+log(O/H) at log mass `m` and log SFR `s`, `(n,)`.

    Tremonti et al. (2004, ApJ 613, 898), with the dependence on the star formation rate at
    fixed mass of Mannucci et al. (2010, MNRAS 408, 2115).
    """
    x = m - 10
    main_sequence = rel.MAIN_SEQUENCE["slope"] * m + rel.MAIN_SEQUENCE["intercept"]

    def fundamental(rate):
        c = rel.FUNDAMENTAL_METALLICITY
        return c["s"] * rate + c["xs"] * x * rate + c["ss"] * rate**2

    held = np.minimum(m, 11.5)
    tremonti = (
        rel.MASS_METALLICITY["a"]
        + rel.MASS_METALLICITY["b"] * held
        + rel.MASS_METALLICITY["c"] * held**2
    )
    return tremonti + fundamental(s) - fundamental(main_sequence)


def mean_attenuation(m: np.ndarray) -> np.ndarray:
    """Mean stellar A_V in mag at log mass `m`: Garn & Best (2010, MNRAS 409, 421)."""
    x = np.clip(m, 8.5, 11.5) - 10
    c = rel.ATTENUATION_MASS
    halpha = c["a"] + c["b"] * x + c["c"] * x**2 + c["d"] * x**3
    return c["stars_to_gas"] * c["k_v"] / c["k_halpha"] * halpha


def inclination_factor(cosine: np.ndarray, component: str) -> np.ndarray:
    """Attenuation of the disc or bulge at an inclination, relative to the disc's mean.

    Driver et al. (2007, MNRAS 379, 1022).
    """
    c = rel.ATTENUATION_INCLINATION
    k = c["k_disc"] * c[f"{component}_b"] / c["disc_b"]
    mean = 1 + c["k_disc"] / (c["disc_power"] + 1)
    return (1 + k * (1 - cosine) ** c[f"{component}_power"]) / mean


def curve_slope(a_v: np.ndarray) -> np.ndarray:
    """Slope δ of the attenuation curve at `a_v` mag: Salim & Narayanan (2020, ARA&A 58, 529)."""
    c = rel.ATTENUATION_CURVE
    steepness = 10 ** (c["a"] * np.log10(a_v) + c["b"])
    return np.log(steepness / c["calzetti_s"]) / np.log(1500 / 5500)


def magnitude_error(flux: np.ndarray, ebv: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Standard deviation of the observed magnitudes by photon noise.

    Arguments:
        flux: ugriz in nanomaggies, Galactic extinction removed, `(n, 5)`.
        ebv: Galactic E(B−V), mag, `(n,)`.
        area: of sky that counts, arcsec², `(n, 5)` or `(n, 1)`.

    Returns:
        Magnitudes, `(n, 5)`.
    """

    dimmed = flux * 10 ** (
        -0.4 * np.multiply.outer(ebv, [rel.GALACTIC_EXTINCTION[band] for band in BANDS])
    )
    sky = 10 ** (0.4 * (22.5 - rel.FRAMES["sky"]))
    photons = np.sqrt((dimmed + area * sky) / rel.FRAMES["gain"]) / dimmed
    return 2.5 / np.log(10) * photons
