"""The published relations that the simulated survey is drawn from, in one table.

`RELATIONS` is what the code computes with and what the book prints: a coefficient stands here
and nowhere else. `m` is log10 of the stellar mass in solar masses, `s` log10 of the star
formation rate in solar masses a year.
"""

from dataclasses import dataclass

from galcfm.properties import EXTINCTION


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
    "Stellar mass functions of blue and red galaxies",
    "dN/dlog M ∝ φ (M/M*)^(α+1) exp(−M/M*); red galaxies have two such terms",
    {
        "log_m_star": 10.76,
        "blue_phi": 1.014,
        "blue_alpha": -1.40,
        "red_phi_1": 3.247,
        "red_alpha_1": -0.45,
        "red_phi_2": 0.214,
        "red_alpha_2": -1.40,
        "log_m_min": 7.5,
        "log_m_max": 12.0,
    },
    "none",
    ("Peng2010", "Baldry2012"),
    "φ in 10⁻³ Mpc⁻³, those of Peng et al.; Baldry et al. have 30 % fewer blue galaxies. M* of "
    "10.67 is raised by 0.03 from Chabrier to Kroupa and by 0.06 to the scale of the MPA-JHU "
    "masses (ours). No evolution to z = 0.3. Blue galaxies are on the main sequence.",
)
MAIN_SEQUENCE = Relation(
    "Main sequence of star formation",
    "s = slope · m + intercept",
    {"slope": 0.76, "intercept": -7.64, "scatter": 0.30, "log_ssfr_max": -8.6},
    "0.30 dex",
    ("Renzini2015",),
    "Two thirds of the variance last for gigayears, one third 0.1-1 Gyr (our split).",
)
GREEN_VALLEY = Relation(
    "Green valley",
    "share of the red galaxies; s = s_MS − depth, depth uniform; the past rate lies half-way; "
    "dusty: share of the red galaxies that are on the main sequence",
    {"share": 0.28, "dusty": 0.06, "depth_min": 0.2, "depth_max": 1.4},
    "uniform",
    ("Wetzel2012", "Salim2014"),
    "Shares and depths are ours: a flat bridge between the two peaks of log SFR/M.",
)
QUIESCENT_RATES = Relation(
    "Star formation rate of quiescent galaxies",
    "s = m + log_ssfr + slope · (m − 10.5)",
    {"log_ssfr": -11.85, "slope": -0.2, "scatter": 0.35},
    "0.35 dex",
    ("Wetzel2012", "Brinchmann2004"),
    "The second peak of log SFR/M in the catalogue of Brinchmann et al., near −12, which is partly "
    "how their estimate treats galaxies without lines.",
)
STAR_FORMING = Relation(
    "What counts as star-forming",
    "s − m > log_ssfr_min and no active nucleus",
    {"log_ssfr_min": -10.8},
    "none",
    ("Salim2014", "Baldwin1981"),
    "The upper edge of the green valley; with the next relation it stands for the emission-line "
    "classification of real samples.",
)
ACTIVE_NUCLEI = Relation(
    "Emission lines not of star formation alone",
    "share of galaxies with active nuclei or composite lines: share/(1 + exp(−(m − middle)/width))",
    {"share": 0.85, "middle": 10.7, "width": 0.2},
    "none",
    ("KauffmannAGN2003", "Brinchmann2004"),
    "Rounded: almost none below m = 10, most above m = 11, a quarter of emission-line galaxies.",
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
        "flicker": 0.20,
    },
    "0.20 dex between the last 10 Myr and the last 100 Myr",
    ("Carnall2019",),
    "The last 100 Myr and the stellar mass are scaled to the drawn values exactly.",
)
MASS_METALLICITY = Relation(
    "Gas-phase mass-metallicity relation",
    "12+log(O/H) = a + b·m + c·m²",
    {
        "a": -1.492,
        "b": 1.847,
        "c": -0.08026,
        "8.5": 0.17,
        "9.0": 0.14,
        "9.5": 0.11,
        "10.0": 0.08,
        "10.5": 0.05,
        "11.0": 0.03,
    },
    "0.17 dex at m = 8.5 to 0.03 dex at m = 11, and that of the star formation rate",
    ("Tremonti2004",),
    "Scatter: their percentiles less the measurement error and the star formation residual. "
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
QUIESCENT_HISTORIES = Relation(
    "Age of the oldest stars of quiescent galaxies",
    "share of the age of the universe: start + slope · (m − 11)",
    {"start": 0.70, "slope": 0.13, "scatter": 0.12, "start_min": 0.25, "start_max": 0.97},
    "0.12",
    ("Gallazzi2005", "Thomas2010"),
    "Ours, so that mean ages are about 6.5 Gyr at m = 11 and 5.5 Gyr at m = 10.",
)
QUIESCENT_METALLICITY = Relation(
    "Stellar mass-metallicity relation of quiescent galaxies",
    "log(Z/Z☉) interpolated in m",
    {
        "9.0": -0.50,
        "9.5": -0.35,
        "10.0": -0.20,
        "10.5": -0.07,
        "11.0": 0.02,
        "11.5": 0.06,
        "scatter": 0.10,
    },
    "0.10 dex",
    ("Peng2015", "Gallazzi2006"),
    "Read from a figure, to about 0.05 dex.",
)
STELLAR_METALLICITY = Relation(
    "Stellar mass-metallicity relation of star-forming galaxies",
    "log(Z/Z☉) interpolated in m",
    {
        "9.0": -0.65,
        "9.5": -0.68,
        "10.0": -0.44,
        "10.5": -0.15,
        "11.0": 0.02,
        "11.5": 0.10,
        "scatter": 0.15,
        "oh_residual": 1.0,
    },
    "0.15 dex and the gas-phase residual",
    ("Peng2015", "Gallazzi2005"),
    "Medians of Gallazzi et al., less what Peng et al. find between all and star-forming galaxies; "
    "to about 0.05 dex. For stars older than 100 Myr.",
)
OLD_STARS = Relation(
    "Correction of the templates of old stars",
    "F_λ of stars older than age times 1 + excess · exp(−(λ − centre)²/2 width²), in Å",
    {"age": 3.0e9, "excess": 0.09, "centre": 4500.0, "width": 450.0},
    "none",
    ("Maraston2009",),
    "Population models of old galaxies are too red in g−r, as Maraston et al. find. Shape and size "
    "are ours, from the median colours of one half of the bright real galaxies.",
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
    "A_Hα = a + b·x + c·x² + d·x³, x = m − 10; A_V(stars) = 0.50 · (4.05/3.33) · A_Hα",
    {
        "a": 0.91,
        "b": 0.77,
        "c": 0.11,
        "d": -0.09,
        "log_scatter": 0.12,
        "stars_to_gas": 0.50,
        "k_v": 4.05,
        "k_halpha": 3.33,
    },
    "0.28 mag in A_Hα",
    ("Garn2010", "Calzetti2000"),
    "Held constant beyond 8.5 < m < 11.5. The scatter is drawn as log-normal, 0.12 dex. "
    "0.50 rather than the 0.44 of Calzetti et al. (ours, from real colours).",
)
QUIESCENT_DUST = Relation(
    "Dust of galaxies that have left the main sequence",
    "mean A_V(stars) at any mass; that of quiescent galaxies does not depend on inclination",
    {"green": 0.28, "quiescent": 0.16, "log_scatter": 0.20},
    "0.20 dex",
    ("Salim2018",),
    "Rounded medians of their catalogue for low and intermediate log SFR/M.",
)
ATTENUATION_INCLINATION = Relation(
    "Attenuation with inclination",
    "A(i) ∝ 1 + k [1 − cos i]^p, normalised to the mean over random orientations",
    {"disc_b": 0.99, "disc_power": 2.32, "bulge_b": 2.16, "bulge_power": 2.48, "k_disc": 1.574},
    "none",
    ("Driver2007",),
    "k so that A_V rises by 0.86 × 0.99 mag from face-on to edge-on at m = 10.5, where the mean is "
    "0.80 mag (0.86: B to V by λ^−0.7).",
)
ATTENUATION_CURVE = Relation(
    "Attenuation curve of the diffuse dust",
    "k(λ) = k_Calzetti(λ) (λ/5500 Å)^δ + bump B; log S = a log A_V + b, S = A_1500/A_V",
    {
        "a": -0.68,
        "b": 0.396,
        "calzetti_s": 2.57,
        "bump": 1.7,
        "scatter": 0.15,
        "delta_min": -0.9,
        "delta_max": 0.3,
    },
    "0.15 in δ",
    ("Salim2018", "Salim2020", "Noll2009", "Calzetti2000"),
    "δ from S at the A_V of the disc, held between −0.9 and 0.3; 2.57 is the S of the curve at "
    "δ = 0. b is 0.03 below theirs (ours, from real colours). B is that of galaxies of "
    "intermediate mass, rounded.",
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
        "circular_to_major": 1.4,
    },
    "0.47 to 0.34 in ln R",
    ("Shen2003",),
    "1.4 brings the half-light radius of a galaxy in circular apertures, bulge and inclination "
    "included, to theirs (ours, measured on stamps).",
)
EARLY_SIZES = Relation(
    "Half-light radius of early types",
    "R = b M^a kpc; scatter as that of late types",
    {"a": 0.56, "b": 2.88e-6, "bulge": 0.85, "disc": 1.35, "circular_to_major": 1.1},
    "0.47 to 0.34 in ln R",
    ("Shen2003", "Shen2007"),
    "b is that of the erratum. Bulge and disc have 0.85 and 1.35 times the radius of the whole "
    "(ours).",
)
EARLY_BULGES = Relation(
    "Bulge-to-total ratio of stellar mass off the main sequence",
    "B/T = quiescent (or green) + slope · (m − 10.5), 0.1 to 0.95",
    {"quiescent": 0.65, "green": 0.40, "slope": 0.15, "scatter": 0.18, "min": 0.1, "max": 0.95},
    "0.18",
    ("Lang2014", "Bluck2014"),
    "Ours, rounded: quiescent galaxies are dominated by their bulges, more so the massive ones.",
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
    "r_e/h = 0.22 ± 0.09; Sérsic n = 4 for the 24 % of bulges above n = 2, 2 for the others; "
    "oblate, q = 0.7",
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
    "σ² = (2.5/ln 10)² (F/g + A s/g)/F², A = π (area R50)² + 10 arcsec²; added in quadrature to "
    "what is drawn, but not to the quoted error: calibration",
    {
        "area_u": 1.5,
        "area_g": 2.15,
        "area_r": 2.35,
        "area_i": 2.3,
        "area_z": 1.6,
        "calibration_u": 0.02,
        "calibration_g": 0.01,
        "calibration_r": 0.01,
        "calibration_i": 0.01,
        "calibration_z": 0.01,
    },
    "Gaussian in magnitudes",
    ("Padmanabhan2008", "Gunn1998"),
    "F flux, s sky a square arcsecond, g electrons a nanomaggy. The quoted error is that of the "
    "pipeline, photon noise alone. Areas are ours, from the errors of bright real galaxies.",
)
ZERO_POINTS = Relation(
    "Photometric zero points",
    "magnitude = AB magnitude of the templates + offset",
    {"u": -0.015, "g": -0.015, "r": 0.0, "i": 0.003, "z": 0.042},
    "none",
    ("Blanton2007",),
    "What is left of the templates' errors: fitted to the median colours of one half of the bright "
    "real galaxies, whose magnitudes were put on the AB system (−0.04 in u, 0.02 in z) before.",
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
    {**EXTINCTION, "ebv_median": 0.03, "ebv_scatter": 0.5, "ebv_max": 0.3},
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
        "r_max": 22.8,
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

FIBRE = Relation(
    "Properties in a fibre, where asked for",
    "Dn(4000) of the light within the aperture; O/H + slope · (r/R − 1), r the mean radius of the "
    "disc's light within it, R the half-light radius",
    {"radius": 1.5, "oh_slope": -0.10},
    "none",
    ("York2000", "Sanchez2014"),
    "Aperture in arcsec. Bulge and disc are circularised and widened by half the seeing (ours).",
)

BARS = Relation(
    "Shape of bars",
    "surface brightness 1 − (r/length)² in the plane of the disc, axis ratio q",
    {"q": 0.35},
    "none",
    ("Gadotti2011",),
    "Their median ellipticity is 0.6 to 0.7; the flat profile is that of a Ferrers bar (ours).",
)
RINGS = Relation(
    "Young stars in rings",
    "share of arm and knot light in the ring of a ringed galaxy; width over radius",
    {"share": 0.6, "width": 0.08},
    "width 8 %",
    ("Grouchy2010",),
    "Ours: most of the star formation of a ringed galaxy is in its ring.",
)
COMPLEXES = Relation(
    "Places of young stars",
    "radius of the gamma distribution of shape and scale, up to end; share of them in complexes, "
    "number and size of these; all in disc scale lengths. Arms are smoothed by a Gaussian, in "
    "half-light radii of the disc",
    {
        "shape": 3.0,
        "scale": 0.75,
        "end": 3.3,
        "number": 12,
        "share": 0.4,
        "size": 0.15,
        "smoothing": 0.15,
    },
    "as given",
    ("Elmegreen1983", "Efremov1995", "Kennicutt1989"),
    "Rounded (ours): few young stars in the middle, none beyond the edge of star formation, and "
    "complexes of a few hundred parsecs strung along the arms. Chosen with one half of 400 real "
    "cutouts in view.",
)
DUST_LANES = Relation(
    "Dust lanes",
    "a disc of negative light, of thickness × that of the stars; its strength goes as the Galaxy's "
    "extinction from band to band",
    {"thickness": 0.5},
    "none",
    ("Xilouris1999",),
)
COMPANIONS = Relation(
    "Look of companions",
    "colour of the galaxy ± scatter; surface brightness of the galaxy; apparent axis ratio from "
    "q_min to 1",
    {"colour_scatter": 0.15, "q_min": 0.3},
    "0.15 mag in g−r and in r−i",
    ("Holmberg1958",),
    "Members of a pair have alike colours; the scatter is ours.",
)
NEIGHBOURS = Relation(
    "Look of chance galaxies",
    "half-light radius: radius · 10^(slope (r − 21)) arcsec; axis ratio from q_min to 1; round and "
    "Gaussian beyond r_round",
    {"radius": 0.9, "slope": -0.1, "scatter": 0.3, "q_min": 0.3, "r_round": 21.5},
    "0.3 in ln radius",
    ("Shen2003",),
    "Rounded (ours).",
)
REGISTRATION = Relation(
    "Bands out of place",
    "g and i displaced from r by up to width/2 pixels in either direction, uniform",
    {"width_g": 1.1, "width_i": 0.8},
    "uniform",
    ("Pier2003",),
    "Astrometry is good to 0.1 arcsec; colour pictures are put together to the nearest pixel "
    "(ours, from one half of 400 real cutouts).",
)
SKY_RESIDUALS = Relation(
    "Sky that its subtraction leaves",
    "nanomaggies per pixel on average, and scale of Student's t of 3 degrees of freedom in "
    "mag/arcsec², by band; share of it common to the bands; gradient: how much of it more at the "
    "edge of a cutout than in the middle",
    {
        "mean_g": 0.0022,
        "mean_r": 0.0019,
        "mean_i": 0.006,
        "level_g": 27.8,
        "level_r": 27.4,
        "level_i": 26.8,
        "freedom": 3.0,
        "common": 0.5,
        "gradient": 0.5,
    },
    "as given",
    ("Blanton2011",),
    "All are ours, from one half of 400 real cutouts. Scattered light of bright stars and the "
    "outskirts of galaxies make the tails.",
)
PSF_WINGS = Relation(
    "Wings of the point spread function",
    "share of the light in an aureole (1 + r²/scale²)^(−3/2), scale in arcsec",
    {"share": 0.04, "scale": 4.0},
    "none",
    ("King1971", "Sandin2014"),
    "Rounded (ours).",
)
FRAME_NOISE = Relation(
    "Noise of frames",
    "share of the photon noise that interpolation leaves, log-normal; as correlated as by so many "
    "passes of two bilinear interpolations",
    {"left_g": 0.355, "left_r": 0.335, "left_i": 0.375, "scatter": 0.10, "passes": 4},
    "0.10 in ln",
    ("Gunn1998",),
    "Ours, from amplitude and correlation of the noise in one half of 400 real cutouts. Four "
    "passes alone would leave 0.24 of the photon noise; why there is more is not known.",
)

RELATIONS = (
    MASS_FUNCTION,
    MAIN_SEQUENCE,
    GREEN_VALLEY,
    QUIESCENT_RATES,
    STAR_FORMING,
    ACTIVE_NUCLEI,
    HISTORIES,
    QUIESCENT_HISTORIES,
    MASS_METALLICITY,
    FUNDAMENTAL_METALLICITY,
    STELLAR_METALLICITY,
    QUIESCENT_METALLICITY,
    OLD_STARS,
    YOUNG_METALLICITY,
    IONISATION,
    ATTENUATION_MASS,
    QUIESCENT_DUST,
    ATTENUATION_INCLINATION,
    ATTENUATION_CURVE,
    BIRTH_CLOUDS,
    SIZES,
    EARLY_SIZES,
    BULGES,
    EARLY_BULGES,
    BULGE_SHAPES,
    DISC_SHAPES,
    CLUSTERING,
    PHOTOMETRIC_ERRORS,
    ZERO_POINTS,
    FRAMES,
    GALACTIC_EXTINCTION,
    COUNTS,
    LABEL_ERRORS,
    FIBRE,
    BARS,
    RINGS,
    COMPLEXES,
    DUST_LANES,
    COMPANIONS,
    NEIGHBOURS,
    REGISTRATION,
    SKY_RESIDUALS,
    PSF_WINGS,
    FRAME_NOISE,
)
