"""The published relations that the simulated survey is drawn from, in one table.

`RELATIONS` is what the code computes with and what the book prints: a coefficient stands here
and nowhere else. `m` is log10 of the stellar mass in solar masses, `s` log10 of the star
formation rate in solar masses a year.
"""

from dataclasses import dataclass

from galcfm.properties import EXTINCTION

__all__ = ["RELATIONS", "Relation"]


@dataclass(frozen=True)
class Relation:
    """One published relation.

    Arguments:
        name: what it gives.
        formula: the relation, in plain text.
        coefficients: its numbers by name, in the units of the formula.
        scatter: scatter about it, in words.
        sources: BibTeX keys.
        note: what is ours: how a number was read, combined or extrapolated.
    """

    name: str
    formula: str
    coefficients: dict[str, float]
    scatter: str
    sources: tuple[str, ...]
    note: str = ""

    def __getitem__(self, coefficient: str) -> float:
        return self.coefficients[coefficient]


MASS_FUNCTION = Relation(
    "Stellar mass function of star-forming galaxies",
    "dN/dlog M ∝ (M/M*)^(α+1) exp(−M/M*)",
    {"log_m_star": 10.72, "alpha": -1.45, "log_m_min": 7.5, "log_m_max": 12.0},
    "none",
    ("Baldry2012",),
    "Blue population, Chabrier masses taken as Kroupa; no evolution to z = 0.2.",
)
MAIN_SEQUENCE = Relation(
    "Main sequence of star formation",
    "s = slope · m + intercept",
    {"slope": 0.76, "intercept": -7.64, "scatter": 0.30, "log_ssfr_max": -8.6},
    "0.30 dex",
    ("Renzini2015",),
    "Two thirds of the variance last for gigayears, one third 0.1-1 Gyr (our split).",
)
HISTORIES = Relation(
    "Star formation histories",
    "SFR ∝ t exp(−t/τ) from 80-97 % of the age of the universe ago, τ of either sign by the SFR of "
    "today; then a burst or lull that has lasted 0.1-1 Gyr",
    {
        "start_min": 0.80,
        "start_max": 0.97,
        "log_recent_min": 8.0,
        "log_recent_max": 9.0,
        "flicker": 0.15,
    },
    "0.15 dex between the last 10 Myr and the last 100 Myr",
    ("Carnall2019",),
    "The last 100 Myr and the stellar mass are scaled to the drawn values exactly.",
)
MASS_METALLICITY = Relation(
    "Gas-phase mass-metallicity relation",
    "12+log(O/H) = a + b·m + c·m²",
    {"a": -1.492, "b": 1.847, "c": -0.08026, "scatter": 0.08},
    "0.08 dex, 0.10 dex with the star formation residual",
    ("Tremonti2004",),
    "Extrapolated below m = 8.5 and held at its value at m = 11.5 above.",
)
FUNDAMENTAL_METALLICITY = Relation(
    "Metallicity residual with star formation rate",
    "Δ(O/H) = F(m, s) − F(m, s_MS), F = 8.90 + 0.37x − 0.14s − 0.19x² + 0.12xs − 0.054s², x = m−10",
    {"s": -0.14, "xs": 0.12, "ss": -0.054},
    "none",
    ("Mannucci2010",),
    "Only the difference from the main sequence is used; its level is that of Tremonti et al.",
)
STELLAR_METALLICITY = Relation(
    "Stellar mass-metallicity relation",
    "log(Z/Z☉) interpolated in m",
    {
        "8.91": -0.60,
        "9.31": -0.65,
        "9.51": -0.61,
        "9.72": -0.52,
        "9.91": -0.41,
        "10.11": -0.23,
        "10.31": -0.11,
        "10.51": -0.01,
        "10.72": 0.04,
        "10.91": 0.07,
        "11.11": 0.10,
        "11.51": 0.13,
        "scatter": 0.15,
        "oh_residual": 1.0,
    },
    "0.15 dex and the gas-phase residual",
    ("Gallazzi2005",),
    "Medians of all types; for stars older than 100 Myr.",
)
YOUNG_METALLICITY = Relation(
    "Metallicity of young stars and their nebulae",
    "log(Z/Z☉) = (O/H) − 8.69 − 0.25",
    {"solar_oh": 8.69, "scale_offset": 0.25, "max": 0.40},
    "none",
    ("Asplund2009", "Kewley2008"),
    "0.25 dex: the scale of Tremonti et al. above the mean of the other calibrations. Held at "
    "0.40, the last metallicity at which the grid has young stars.",
)
IONISATION = Relation(
    "Ionisation parameter of HII regions",
    "log U = a + b·log(Z/Z☉)",
    {"a": -3.15, "b": -0.50, "scatter": 0.15},
    "0.15 dex",
    ("Carton2017",),
    "Their −0.80 log(Z/Z☉) − 3.58 made shallower and brought to −3.15 at solar metallicity.",
)
ATTENUATION_MASS = Relation(
    "Attenuation with stellar mass",
    "A_Hα = a + b·x + c·x² + d·x³, x = m − 10; A_V(stars) = 0.44 · (4.05/3.33) · A_Hα",
    {
        "a": 0.91,
        "b": 0.77,
        "c": 0.11,
        "d": -0.09,
        "log_scatter": 0.12,
        "stars_to_gas": 0.44,
        "k_v": 4.05,
        "k_halpha": 3.33,
    },
    "0.28 mag in A_Hα",
    ("Garn2010", "Calzetti2000"),
    "Held constant beyond 8.5 < m < 11.5. The scatter is drawn as log-normal, 0.12 dex.",
)
ATTENUATION_INCLINATION = Relation(
    "Attenuation with inclination",
    "A(i) ∝ 1 + k [1 − cos i]^p, normalised to the mean over random orientations",
    {"disc_b": 0.99, "disc_power": 2.32, "bulge_b": 2.16, "bulge_power": 2.48, "k_disc": 1.91},
    "none",
    ("Driver2007",),
    "k so that A_V rises by 0.86 × 0.99 mag from face-on to edge-on at m = 10.5 (0.86: B to V).",
)
ATTENUATION_CURVE = Relation(
    "Attenuation curve of the diffuse dust",
    "k(λ) = k_Calzetti(λ) (λ/5500 Å)^δ + bump B; log S = a log A_V + b, S = A_1500/A_V",
    {
        "a": -0.68,
        "b": 0.424,
        "calzetti_s": 2.44,
        "bump": 1.7,
        "scatter": 0.15,
        "delta_min": -0.9,
        "delta_max": 0.3,
    },
    "0.15 in δ",
    ("Salim2018", "Salim2020", "Noll2009", "Calzetti2000"),
    "δ from S at the A_V of the disc, held between −0.9 and 0.3.",
)
BIRTH_CLOUDS = Relation(
    "Birth clouds",
    "stars younger than 10 Myr and their nebulae: extra A_V (1/μ − 1), curve λ^−0.7",
    {"mu": 0.44, "power": -0.7, "scatter": 0.10, "mu_min": 0.2, "mu_max": 0.8},
    "0.10 in μ",
    ("Charlot2000", "Calzetti2000"),
    "μ is set to the stars-to-gas ratio of Calzetti et al. rather than to 0.3.",
)
SIZES = Relation(
    "Half-light radius of late types",
    "R = γ M^α (1 + M/M0)^(β−α) kpc; σ(ln R) = σ2 + (σ1 − σ2)/(1 + (M/M0)²)",
    {
        "alpha": 0.14,
        "beta": 0.39,
        "gamma": 0.10,
        "m0": 3.98e10,
        "sigma_1": 0.47,
        "sigma_2": 0.34,
        "circular_to_major": 1.2,
    },
    "0.47 to 0.34 in ln R",
    ("Shen2003",),
    "1.2: circular apertures on discs of random inclination give smaller radii (ours).",
)
BULGES = Relation(
    "Bulge-to-total ratio of stellar mass",
    "log(B/T) = log(0.18) + slope · (m − 10.5), at most 0.7",
    {"log_median": -0.745, "slope": 0.35, "scatter": 0.30, "max": 0.7},
    "0.30 dex",
    ("Weinzirl2009", "Lang2014"),
    "Ours: most bright spirals have B/T < 0.2, and it rises with mass among star-forming galaxies.",
)
BULGE_SHAPES = Relation(
    "Bulge profiles and sizes",
    "r_e/h = 0.22 ± 0.09; Sérsic n = 4 for 24 % of bulges, 2 for the others; oblate, q = 0.7",
    {"radius_ratio": 0.22, "scatter": 0.40, "de_vaucouleurs_share": 0.24, "q": 0.7},
    "0.40 in ln r_e",
    ("MacArthur2003", "Weinzirl2009"),
)
DISC_SHAPES = Relation(
    "Intrinsic shapes of discs",
    "thickness 0.21 ± 0.02; face-on ellipticity ln ε ~ N(−2.33, 0.79)",
    {
        "thickness": 0.21,
        "thickness_scatter": 0.02,
        "ln_ellipticity": -2.33,
        "ln_ellipticity_scatter": 0.79,
    },
    "as given",
    ("Padilla2008",),
    "ε times cos i, at most 0.5.",
)
CLUSTERING = Relation(
    "Dispersal of young stars",
    "share of stars of age t still in knots and arms: exp(−t/t_arm); stars < 10 Myr in knots: 0.7",
    {
        "arm_time": 1.75e8,
        "knot_share": 0.7,
        "luminosity_slope": 2.0,
        "pitch_mean": 20.0,
        "pitch_scatter": 6.0,
    },
    "pitch angle 20° ± 6°",
    ("Kennicutt1989", "Davis2017", "Bastian2009"),
    "HII-region luminosity function of slope −2; t_arm = 175 Myr; share and pitch are ours.",
)
PHOTOMETRIC_ERRORS = Relation(
    "Photometric errors",
    "σ² = floor² + (2.5/ln 10)² (F/g + A s/g)/F², A = π (2 R50)² + 10 arcsec²",
    {"floor_u": 0.05, "floor_g": 0.02, "floor_r": 0.02, "floor_i": 0.02, "floor_z": 0.03},
    "Gaussian in magnitudes",
    ("Padmanabhan2008", "Gunn1998"),
    "F flux, s sky a square arcsecond, g electrons a nanomaggy.",
)
FRAMES = Relation(
    "SDSS frames",
    "electrons a nanomaggy; sky in mag/arcsec²; seeing FWHM in arcsec (log-normal)",
    {
        "gain_u": 130.0,
        "gain_g": 1030.0,
        "gain_r": 940.0,
        "gain_i": 700.0,
        "gain_z": 130.0,
        "sky_u": 22.2,
        "sky_g": 21.9,
        "sky_r": 20.9,
        "sky_i": 20.2,
        "sky_z": 19.0,
        "seeing_g": 1.44,
        "seeing_r": 1.32,
        "seeing_i": 1.26,
        "seeing_scatter": 0.10,
    },
    "0.10 in ln FWHM",
    ("Gunn1998", "Abazajian2009"),
)
GALACTIC_EXTINCTION = Relation(
    "Galactic extinction",
    "A_x = c_x E(B−V); E(B−V) log-normal, median 0.03",
    {
        **EXTINCTION,
        "ebv_median": 0.03,
        "ebv_scatter": 0.5,
        "ebv_max": 0.3,
    },
    "0.5 in ln E(B−V)",
    ("Schlafly2011",),
)
COUNTS = Relation(
    "Chance neighbours",
    "galaxies: N(<r) = N22 · 10^(0.45 (r − 22)); stars: N22 · 10^(0.20 (r − 22)) a square degree",
    {
        "galaxies_n22": 1.2e4,
        "galaxies_slope": 0.45,
        "stars_n22": 4.5e3,
        "stars_slope": 0.20,
        "r_min": 16.0,
        "r_max": 22.5,
    },
    "Poisson",
    ("Yasuda2001", "Chen2001"),
    "Counts rounded; high Galactic latitude.",
)
LABEL_ERRORS = Relation(
    "Errors of the measured properties",
    "property = truth + N(0, σ)",
    {
        "log_stellar_mass": 0.10,
        "log_sfr": 0.20,
        "oxygen_abundance": 0.06,
        "dn4000": 0.04,
        "a_v": 0.20,
    },
    "Gaussian",
    ("Kauffmann2003", "Brinchmann2004", "Tremonti2004"),
    "Typical of the MPA-JHU catalogue.",
)

RELATIONS = (
    MASS_FUNCTION,
    MAIN_SEQUENCE,
    HISTORIES,
    MASS_METALLICITY,
    FUNDAMENTAL_METALLICITY,
    STELLAR_METALLICITY,
    YOUNG_METALLICITY,
    IONISATION,
    ATTENUATION_MASS,
    ATTENUATION_INCLINATION,
    ATTENUATION_CURVE,
    BIRTH_CLOUDS,
    SIZES,
    BULGES,
    BULGE_SHAPES,
    DISC_SHAPES,
    CLUSTERING,
    PHOTOMETRIC_ERRORS,
    FRAMES,
    GALACTIC_EXTINCTION,
    COUNTS,
    LABEL_ERRORS,
)
