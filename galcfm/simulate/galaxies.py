"""Galaxies: what the relations say of them, their stars, and what a photometer sees of these."""

from functools import cache
from types import SimpleNamespace

import numpy as np

from galcfm.properties import BANDS
from galcfm.simulate.histories import RECENT, star_formation_history
from galcfm.simulate.instruments import SDSS, Instrument
from galcfm.simulate.labels import look_through_fibre
from galcfm.simulate.relations import (
    ACTIVE_NUCLEI,
    ATTENUATION_CURVE,
    ATTENUATION_INCLINATION,
    ATTENUATION_MASS,
    BIRTH_CLOUDS,
    BULGES,
    CLUMPS,
    CLUSTERING,
    EARLY_BULGES,
    EVOLUTION,
    FRAMES,
    FUNDAMENTAL_METALLICITY,
    GALACTIC_EXTINCTION,
    GREEN_VALLEY,
    HISTORIES,
    IONISATION,
    MAIN_SEQUENCE,
    MASS_FUNCTION,
    MASS_METALLICITY,
    PHOTOMETRIC_ERRORS,
    QUIESCENT_DUST,
    QUIESCENT_HISTORIES,
    QUIESCENT_METALLICITY,
    QUIESCENT_RATES,
    SIZE_METALLICITY,
    STAR_FORMING,
    STELLAR_METALLICITY,
    YOUNG_METALLICITY,
    ZERO_POINTS,
)
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
    forming = np.asarray(log_sfr) - log_stellar_mass > STAR_FORMING["log_ssfr_min"]
    return forming & ~np.asarray(active, dtype=bool)


def before_noise(
    rng, n: int, instrument: Instrument = SDSS, without: tuple[str, ...] = ()
) -> tuple[SimpleNamespace, dict[str, np.ndarray], SimpleNamespace]:
    """Galaxies of all types, the fluxes of their parts, and what a photometer sees on average.

    Arguments:
        rng: whose `uniform` and `normal` are drawn from.
        n: number of galaxies.
        instrument: galaxies that are too faint for it whatever their stars are not drawn.
        without: names of `TIES` that are switched off.

    Returns:
        The galaxies of `draw_galaxies` with their `labels`, what would be measured of them
        without errors; fluxes in nanomaggies by part, `(n, 5)`; and `magnitudes` without noise,
        the standard deviations `drawn` of the noise and `errors` that are quoted, `(n, 5)`, with
        `radii` and `ebv`.
    """
    g = draw_galaxies(rng, n, instrument, without)
    templates = load_templates(instrument.redshift_range[1])
    stars = _make_stars(rng, g, templates)
    fluxes = _shine(rng, g, stars, templates, without)
    seen = _look(rng, g, sum(fluxes.values()), instrument.depth)
    look_through_fibre(g, seen.radii, without, instrument.magnitude_limit)
    return g, fluxes, seen


def draw_galaxies(
    rng, n: int, instrument: Instrument = SDSS, without: tuple[str, ...] = ()
) -> SimpleNamespace:
    """What the relations say of `n` galaxies; each attribute is `(n,)`."""
    redshift, m, red = _draw_redshift_and_mass(rng, n, instrument)
    u = rng.uniform(size=n)
    green = red & (u < GREEN_VALLEY["share"])
    quiescent = red & (u > GREEN_VALLEY["share"] + GREEN_VALLEY["dusty"])
    sequence = np.where(green, 1, np.where(quiescent, 2, 0))

    def by_sequence(main, green, quiescent):
        return np.choose(sequence, [main, green, quiescent])

    lasting, recent = MAIN_SEQUENCE["scatter"] * np.sqrt([2 / 3, 1 / 3])
    s_main = MAIN_SEQUENCE["slope"] * m + MAIN_SEQUENCE["intercept"]
    if "evolution" not in without:
        s_main = s_main + EVOLUTION["power"] * np.log10((1 + redshift) / (1 + EVOLUTION["z0"]))
    s_history = s_main + lasting * rng.normal(size=n)
    s = s_history + recent * rng.normal(size=n)
    s_green = s_main - rng.uniform(GREEN_VALLEY["depth_min"], GREEN_VALLEY["depth_max"], n)
    s_quiescent = m + QUIESCENT_RATES["log_ssfr"] + QUIESCENT_RATES["slope"] * (m - 10.5)
    s_quiescent = s_quiescent + QUIESCENT_RATES["scatter"] * rng.normal(size=n)
    s = by_sequence(np.minimum(s, m + MAIN_SEQUENCE["log_ssfr_max"]), s_green, s_quiescent)
    s_history = by_sequence(s_history, (s_main + s_green) / 2, s_quiescent)
    structure = draw_structure(rng, m, sequence, s_history - s_main, without)

    # Galaxies that have left the main sequence have the gas they had on it.
    s_gas = by_sequence(s, s_main, s_main)
    scatter, by_size = np.interp(m, *_nodes(MASS_METALLICITY)), 0.0
    if "sizes" not in without:
        by_size = np.interp(m, *_nodes(SIZE_METALLICITY)) * size_scatter(m) / np.log(10)
        scatter = np.sqrt(np.maximum(scatter**2 - by_size**2, 0))
    oh = mass_metallicity(m, s_gas) + scatter * rng.normal(size=n) + by_size * structure.size
    log_z_young = oh - YOUNG_METALLICITY["solar_oh"] - YOUNG_METALLICITY["scale_offset"]
    residual = STELLAR_METALLICITY["oh_residual"] * (oh - mass_metallicity(m, s_main))
    z_scatter = rng.normal(size=n)
    log_z_main, log_z_quiescent = (
        np.interp(m, *_nodes(relation)) + relation["scatter"] * z_scatter
        for relation in (STELLAR_METALLICITY, QUIESCENT_METALLICITY)
    )
    log_z_main = log_z_main + residual
    log_z_old = by_sequence(log_z_main, (log_z_main + log_z_quiescent) / 2, log_z_quiescent)
    log_z_young = np.minimum(log_z_young, YOUNG_METALLICITY["max"])
    log_bulge = BULGES["log_median"] + BULGES["slope"] * (m - 10.5) + structure.bulge_residual
    b_scatter = structure.bulge_scatter
    early_bulge = (
        by_sequence(0, EARLY_BULGES["green"], EARLY_BULGES["quiescent"])
        + EARLY_BULGES["slope"] * (m - 10.5)
        + EARLY_BULGES["scatter"] * b_scatter
    ).clip(EARLY_BULGES["min"], EARLY_BULGES["max"])
    bulge = np.minimum(10 ** (log_bulge + BULGES["scatter"] * b_scatter), BULGES["max"])
    start = by_sequence(
        *[formation_share(structure.age, HISTORIES["start_min"], HISTORIES["start_max"])] * 2,
        (
            QUIESCENT_HISTORIES["start"]
            + QUIESCENT_HISTORIES["slope"] * (m - 11)
            + QUIESCENT_HISTORIES["scatter"] * structure.age
        ).clip(QUIESCENT_HISTORIES["start_min"], QUIESCENT_HISTORIES["start_max"]),
    )
    share = ACTIVE_NUCLEI["share"] / (
        1 + np.exp((ACTIVE_NUCLEI["middle"] - m) / ACTIVE_NUCLEI["width"])
    )
    return SimpleNamespace(
        sequence=sequence,
        active=rng.uniform(size=n) < share,
        redshift=redshift,
        m=m,
        s=s,
        s_history=s_history,
        distance=s_history - s_main,
        distance_today=s - s_main,
        start=start,
        oh=oh,
        log_z_young=log_z_young,
        log_z_old=np.minimum(log_z_old, YOUNG_METALLICITY["max"]),
        log_u=IONISATION["a"]
        + IONISATION["b"] * log_z_young
        + IONISATION["scatter"] * rng.normal(size=n),
        bulge=by_sequence(bulge, early_bulge, early_bulge),
        dust=by_sequence(mean_attenuation(m), QUIESCENT_DUST["green"], QUIESCENT_DUST["quiescent"]),
        dust_scatter=by_sequence(
            ATTENUATION_MASS["log_scatter"], *[QUIESCENT_DUST["log_scatter"]] * 2
        ),
        cosine=rng.uniform(0, 1, n),
        **vars(structure),
    )


def _nodes(relation) -> np.ndarray:
    """Values of a relation that is a table, `(2, k)`: those coefficients named by a number."""
    pairs = [(float(k), v) for k, v in relation.coefficients.items() if k[0].isdigit()]
    return np.transpose(pairs)


def _make_stars(rng, g: SimpleNamespace, templates: Templates) -> SimpleNamespace:
    """Unattenuated spectra, `(n, p)`: old bulge, disc, arms of younger stars, and newborn stars
    with their nebulae. `g.bulge` becomes what there are old stars for."""
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
        recent_time=10 ** rng.uniform(HISTORIES["log_recent_min"], HISTORIES["log_recent_max"], n),
        flicker=10 ** (HISTORIES["flicker"] * rng.normal(size=n)),
    )

    # The bulge takes stars of all ages above 100 Myr, the oldest first.
    age = (edges[1:] + edges[:-1]) / 2
    bulge_share = np.where(young, 0, (age / start[:, None]).clip(0, 1) ** 2)
    bulge_share *= (g.bulge * 10**g.m / (bulge_share * formed * living).sum(axis=1))[:, None]
    bulge_share = np.minimum(bulge_share, 0.9)
    g.bulge = (bulge_share * formed * living).sum(axis=1) / 10**g.m
    g.s_lines = np.log10(formed[:, 0] / BIRTH_TIME)
    arm_share = np.where(newborn, 0, (1 - bulge_share) * np.exp(-age / CLUSTERING["arm_time"]))
    disc_share = np.where(newborn, 0, 1 - bulge_share - arm_share)

    def spectrum(share):
        light = templates.stellar_spectrum(np.where(young, 0, formed * share), g.log_z_old)
        return light + templates.stellar_spectrum(np.where(young, formed * share, 0), g.log_z_young)

    return SimpleNamespace(
        bulge=templates.stellar_spectrum(formed * bulge_share, g.log_z_old),
        disc=spectrum(disc_share),
        arms=spectrum(arm_share),
        newborn=templates.stellar_spectrum(np.where(newborn, formed, 0), g.log_z_young),
        nebulae=templates.nebular_spectrum(formed[:, 0], g.log_z_young, g.log_u),
    )


def _shine(
    rng, g: SimpleNamespace, stars: SimpleNamespace, templates: Templates, without: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Fluxes `(n, 5)` in nanomaggies of each part through its dust.

    Sets `g.a_v` and `g.dn4000` of the whole galaxy; `g.break_light`, what bulge and disc add to
    either side of the 4000 Å break, `(n, 2)` each; `g.visual`, the unattenuated light of bulge,
    disc and newborn stars at 5500 Å, `(n, 3)`; `g.a_bulge`, `g.a_disc` and `g.a_clouds`, their
    attenuations; and `g.band_dust`, that of the disc in g, r and i, `(n, 3)`.
    """
    n = len(g.m)
    mean = g.dust * 10 ** (g.dust_scatter * rng.normal(size=n))
    blind = (g.sequence == 2) | ("inclined_dust" in without)
    a_disc, a_bulge = (
        mean * np.where(blind, 1.0, inclination_factor(g.cosine, part))
        for part in ("disc", "bulge")
    )
    mu = BIRTH_CLOUDS["mu"] + BIRTH_CLOUDS["scatter"] * rng.normal(size=n)
    a_clouds = mean * (1 / mu.clip(BIRTH_CLOUDS["mu_min"], BIRTH_CLOUDS["mu_max"]) - 1)
    delta = curve_slope(a_disc) + ATTENUATION_CURVE["scatter"] * rng.normal(size=n)
    delta = delta.clip(ATTENUATION_CURVE["delta_min"], ATTENUATION_CURVE["delta_max"])
    curve = diffuse_curve(templates.wavelength, delta)
    at_rest = BAND_WAVELENGTHS / (1 + g.redshift[:, None])
    pixels = np.searchsorted(templates.wavelength, at_rest)
    g.a_bulge, g.a_disc, g.a_clouds = a_bulge, a_disc, a_clouds
    g.band_dust = a_disc[:, None] * np.take_along_axis(curve, pixels, axis=1)

    def transmission(a_v, shape):
        return np.exp(np.multiply(-0.4 * np.log(10) * a_v[:, None], shape, dtype=np.float32))

    through_disc = transmission(a_disc, curve)
    through_clouds = transmission(a_clouds, birth_cloud_curve(templates.wavelength)) * through_disc
    bulge = stars.bulge * transmission(a_bulge, curve)
    disc, arms = stars.disc * through_disc, stars.arms * through_disc
    newborn = stars.newborn * through_clouds

    starlight = bulge + disc + arms + newborn
    visual = window_weights(templates.wavelength, 5450, 5550)
    g.visual = np.stack(
        [part @ visual for part in (stars.bulge, stars.disc + stars.arms, stars.newborn)], axis=1
    )
    g.a_v = -2.5 * np.log10((starlight @ visual) / g.visual.sum(axis=1))
    g.dn4000 = dn4000(templates.wavelength, starlight)
    sides = break_weights(templates.wavelength)
    g.break_light = bulge @ sides, (disc + arms + newborn) @ sides

    youngest = newborn + stars.nebulae * through_clouds
    share = np.full((n, 1), CLUSTERING["knot_share"])
    if "clumps" not in without:
        share = (share * knot_share(g)[:, None]).clip(CLUMPS["least"], CLUMPS["most"])
    parts = {
        "bulge": bulge,
        "disc": disc + (1 - share) * youngest,
        "arm": arms,
        "knot": share * youngest,
    }
    fluxes = templates.fluxes(np.stack(list(parts.values()), axis=1), g.redshift)
    return {part: fluxes[:, k] for k, part in enumerate(parts)}


def _look(rng, g: SimpleNamespace, total: np.ndarray, depth: float) -> SimpleNamespace:
    """Sizes, Galactic extinction, magnitudes before noise and their errors."""
    radii = apparent_radii(g)
    ebv = GALACTIC_EXTINCTION["ebv_median"] * np.exp(
        GALACTIC_EXTINCTION["ebv_scatter"] * rng.normal(size=len(total))
    )
    ebv = np.minimum(ebv, GALACTIC_EXTINCTION["ebv_max"])
    reach = np.multiply.outer(radii["disc_radius"], _each(PHOTOMETRIC_ERRORS, "area_"))
    errors = magnitude_error(total, ebv, np.pi * reach**2 + 10) / np.sqrt(depth)
    calibration = _each(PHOTOMETRIC_ERRORS, "calibration_")
    return SimpleNamespace(
        radii=radii,
        ebv=ebv,
        errors=errors,
        drawn=np.hypot(errors, calibration),
        magnitudes=22.5 - 2.5 * np.log10(total) + [ZERO_POINTS[band] for band in BANDS],
    )


@cache
def _redshift_and_mass_tables(instrument: Instrument) -> tuple[np.ndarray, ...]:
    """Redshifts, cumulative counts of candidates `(2, z)`, masses, cumulative mass functions
    `(2, m)`; blue galaxies first, then red ones."""
    templates, c = load_templates(), MASS_FUNCTION
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
    main_sequence = MAIN_SEQUENCE["slope"] * m + MAIN_SEQUENCE["intercept"]

    def fundamental(rate):
        c = FUNDAMENTAL_METALLICITY
        return c["s"] * rate + c["xs"] * x * rate + c["ss"] * rate**2

    held = np.minimum(m, 11.5)
    tremonti = (
        MASS_METALLICITY["a"] + MASS_METALLICITY["b"] * held + MASS_METALLICITY["c"] * held**2
    )
    return tremonti + fundamental(s) - fundamental(main_sequence)


def mean_attenuation(m: np.ndarray) -> np.ndarray:
    """Mean stellar A_V in mag at log mass `m`: Garn & Best (2010, MNRAS 409, 421)."""
    x = np.clip(m, 8.5, 11.5) - 10
    c = ATTENUATION_MASS
    halpha = c["a"] + c["b"] * x + c["c"] * x**2 + c["d"] * x**3
    return c["stars_to_gas"] * c["k_v"] / c["k_halpha"] * halpha


def inclination_factor(cosine: np.ndarray, component: str) -> np.ndarray:
    """Attenuation of the disc or bulge at an inclination, relative to the disc's mean.

    Driver et al. (2007, MNRAS 379, 1022).
    """
    c = ATTENUATION_INCLINATION
    k = c["k_disc"] * c[f"{component}_b"] / c["disc_b"]
    mean = 1 + c["k_disc"] / (c["disc_power"] + 1)
    return (1 + k * (1 - cosine) ** c[f"{component}_power"]) / mean


def curve_slope(a_v: np.ndarray) -> np.ndarray:
    """Slope δ of the attenuation curve at `a_v` mag: Salim & Narayanan (2020, ARA&A 58, 529)."""
    c = ATTENUATION_CURVE
    steepness = 10 ** (c["a"] * np.log10(a_v) + c["b"])
    return np.log(steepness / c["calzetti_s"]) / np.log(1500 / 5500)


def _each(relation, name: str) -> np.ndarray:
    """The coefficients of this name in the five bands, `(5,)`."""
    return np.array([relation[f"{name}{band}"] for band in BANDS])


def magnitude_error(flux: np.ndarray, ebv: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Standard deviation of the observed magnitudes by photon noise.

    Arguments:
        flux: ugriz in nanomaggies, Galactic extinction removed, `(n, 5)`.
        ebv: Galactic E(B−V), mag, `(n,)`.
        area: of sky that counts, arcsec², `(n, 5)` or `(n, 1)`.

    Returns:
        Magnitudes, `(n, 5)`.
    """

    dimmed = flux * 10 ** (-0.4 * np.multiply.outer(ebv, _each(GALACTIC_EXTINCTION, "")))
    sky = 10 ** (0.4 * (22.5 - _each(FRAMES, "sky_")))
    photons = np.sqrt((dimmed + area * sky) / _each(FRAMES, "gain_")) / dimmed
    return 2.5 / np.log(10) * photons
