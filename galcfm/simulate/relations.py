"""Published relations from which simulated galaxies, their light and their labels are drawn.

Together with the relations of `picture_relations.py` they are `RELATIONS`, which the code computes
with and the book prints: each coefficient is written once. `m` is log10 of the stellar mass in
solar masses, `s` log10 of the star formation rate in solar masses per year.
"""

from dataclasses import dataclass

import numpy as np

from galcfm.properties import EXTINCTION


@dataclass(frozen=True)
class Relation:
    """One published relation.

    Arguments:
        name: What it gives.
        formula: The relation, in plain text.
        coefficients: Its numbers by name, in the units of the formula. Five numbers are for u, g,
            r, i, z, three for g, r, i; with an entry `m`, the others are values at these masses.
        sources: BibTeX keys.
        note: Our own choices: how a number was read, combined or extrapolated.
        scatter: Scatter about it, in words.
    """

    name: str
    formula: str
    coefficients: dict[str, float | tuple[float, ...]]
    sources: tuple[str, ...]
    note: str = ""
    scatter: str = "none"

    def __getitem__(self, coefficient: str):
        value = self.coefficients[coefficient]
        return np.array(value) if isinstance(value, tuple) else value

    def at(self, m: np.ndarray, name: str) -> np.ndarray:
        """Return a coefficient interpolated at log masses `m`."""
        return np.interp(m, self["m"], self[name])


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
    ("Peng2010", "Baldry2012"),
    "φ in 10⁻³ Mpc⁻³ from Peng et al.; Baldry et al. have 30 % fewer blue galaxies. M* of "
    "10.67 is raised by 0.03 from Chabrier to Kroupa and by 0.06 to the scale of the MPA-JHU "
    "masses (ours). No evolution to z = 0.3. Blue galaxies are on the main sequence.",
)
MAIN_SEQUENCE = Relation(
    "Main sequence of star formation",
    "s = slope · m + intercept; Δ is the distance from it, of the lasting history or of today",
    {"slope": 0.76, "intercept": -7.64, "scatter": 0.30, "log_ssfr_max": -8.6},
    ("Renzini2015",),
    "Two thirds of the variance last for gigayears, one third 0.1-1 Gyr (our split).",
    scatter="0.30 dex",
)
EVOLUTION = Relation(
    "Main sequence with redshift",
    "s = … + power · log((1 + z)/(1 + z0))",
    {"power": 3.0, "z0": 0.06},
    ("Lilly2013", "Renzini2015"),
    "0.27 dex from z0, the middle of the galaxies of Renzini & Peng, to z = 0.3.",
)
GREEN_VALLEY = Relation(
    "Green valley",
    "share of the red galaxies; s = s_MS − depth, depth uniform; the past rate lies half-way; "
    "dusty: share of the red galaxies that are on the main sequence",
    {"share": 0.28, "dusty": 0.06, "depth_min": 0.2, "depth_max": 1.4},
    ("Wetzel2012", "Salim2014"),
    "Shares and depths are ours: a flat bridge between the two peaks of log SFR/M.",
    scatter="uniform",
)
QUIESCENT_RATES = Relation(
    "Star formation rate of quiescent galaxies",
    "s = m + log_ssfr + slope · (m − 10.5)",
    {"log_ssfr": -11.85, "slope": -0.2, "scatter": 0.35},
    ("Wetzel2012", "Brinchmann2004"),
    "The second peak of log SFR/M in the catalogue of Brinchmann et al., near −12, which is partly "
    "how their estimate treats galaxies without lines.",
    scatter="0.35 dex",
)
STAR_FORMING = Relation(
    "What counts as star-forming",
    "s − m > log_ssfr_min and no active nucleus",
    {"log_ssfr_min": -10.8},
    ("Salim2014", "Baldwin1981"),
    "The upper edge of the green valley; with the next relation it stands for the emission-line "
    "classification of real samples.",
)
ACTIVE_NUCLEI = Relation(
    "Emission lines not of star formation alone",
    "share of galaxies with active nuclei or composite lines: share/(1 + exp(−(m − middle)/width))",
    {"share": 0.85, "middle": 10.7, "width": 0.2},
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
    ("Carnall2019",),
    "The last 100 Myr and the stellar mass are scaled to the drawn values exactly.",
    scatter="0.20 dex between the last 10 Myr and the last 100 Myr",
)
MASS_METALLICITY = Relation(
    "Gas-phase mass-metallicity relation",
    "12+log(O/H) = a + b·m + c·m²",
    {
        "a": -1.492,
        "b": 1.847,
        "c": -0.08026,
        "m": (8.5, 9.0, 9.5, 10.0, 10.5, 11.0),
        "scatter": (0.17, 0.14, 0.11, 0.08, 0.05, 0.03),
    },
    ("Tremonti2004",),
    "Scatter: their percentiles less the measurement error and the star formation residual. "
    "Extrapolated below m = 8.5 and held at its value at m = 11.5 above.",
    scatter="0.17 dex at m = 8.5 to 0.03 dex at m = 11, and that of the star formation rate",
)
FUNDAMENTAL_METALLICITY = Relation(
    "Metallicity residual with star formation rate",
    "Δ(O/H) = F(m, s) − F(m, s_MS), F = 8.90 + 0.37x − 0.14s − 0.19x² + 0.12xs − 0.054s², x = m−10",
    {"s": -0.14, "xs": 0.12, "ss": -0.054},
    ("Mannucci2010",),
    "Only the difference from the main sequence is used; its level is that of Tremonti et al.",
)
SIZE_METALLICITY = Relation(
    "Metallicity residual with size",
    "Δ(O/H) = slope · (log R − median log R at this mass), the slope interpolated in m",
    {"m": (8.5, 9.5, 10.5, 11.0), "slope": (-0.20, -0.20, -0.10, -0.06)},
    ("Ellison2008",),
    "They find up to 0.1 dex between small and large galaxies of one mass, less at high mass; the "
    "slopes are read from that (ours). The scatter at one mass stays what it is.",
    scatter="what is left of that of the mass-metallicity relation",
)
AGE_COMPACTNESS = Relation(
    "Formation time with compactness",
    "the start of a history is later where the bulge is small for its mass and the galaxy large: "
    "correlations of the start's rank with both residuals",
    {"bulge": 0.40, "size": -0.30},
    ("Alfonzo2024", "GonzalezDelgado2015"),
    "Alfonzo et al. find that pictures tell of formation time at one mass and star formation rate; "
    "how much is ours.",
    scatter="what is left of the start's own spread",
)
QUIESCENT_HISTORIES = Relation(
    "Age of the oldest stars of quiescent galaxies",
    "share of the age of the universe: start + slope · (m − 11)",
    {"start": 0.70, "slope": 0.13, "scatter": 0.12, "start_min": 0.25, "start_max": 0.97},
    ("Gallazzi2005", "Thomas2010"),
    "Ours, so that mean ages are about 6.5 Gyr at m = 11 and 5.5 Gyr at m = 10.",
    scatter="0.12",
)
QUIESCENT_METALLICITY = Relation(
    "Stellar mass-metallicity relation of quiescent galaxies",
    "log(Z/Z☉) interpolated in m",
    {
        "m": (9.0, 9.5, 10.0, 10.5, 11.0, 11.5),
        "log_z": (-0.50, -0.35, -0.20, -0.07, 0.02, 0.06),
        "scatter": 0.10,
    },
    ("Peng2015", "Gallazzi2006"),
    "Read from a figure, to about 0.05 dex.",
    scatter="0.10 dex",
)
STELLAR_METALLICITY = Relation(
    "Stellar mass-metallicity relation of star-forming galaxies",
    "log(Z/Z☉) interpolated in m",
    {
        "m": (9.0, 9.5, 10.0, 10.5, 11.0, 11.5),
        "log_z": (-0.65, -0.68, -0.44, -0.15, 0.02, 0.10),
        "scatter": 0.15,
        "oh_residual": 1.0,
    },
    ("Peng2015", "Gallazzi2005"),
    "Medians of Gallazzi et al., less what Peng et al. find between all and star-forming galaxies; "
    "to about 0.05 dex. For stars older than 100 Myr.",
    scatter="0.15 dex and the gas-phase residual",
)
OLD_STARS = Relation(
    "Correction of the templates of old stars",
    "F_λ of stars older than age times 1 + excess · exp(−(λ − centre)²/2 width²), in Å",
    {"age": 3.0e9, "excess": 0.09, "centre": 4500.0, "width": 450.0},
    ("Maraston2009",),
    "Population models of old galaxies are too red in g−r, as Maraston et al. find. Shape and size "
    "are ours, from the median colours of one half of the bright real galaxies.",
)
YOUNG_METALLICITY = Relation(
    "Metallicity of young stars and their nebulae",
    "log(Z/Z☉) = (O/H) − 8.69 − 0.25",
    {"solar_oh": 8.69, "scale_offset": 0.25, "max": 0.40},
    ("Asplund2009", "Kewley2008"),
    "0.25 dex: the scale of Tremonti et al. above the mean of the other calibrations. Held at "
    "0.40, the last metallicity at which the grid has young stars.",
)
IONISATION = Relation(
    "Ionisation parameter of HII regions",
    "log U = a + b·log(Z/Z☉)",
    {"a": -3.15, "b": -0.50, "scatter": 0.15},
    ("Carton2017",),
    "Their −0.80 log(Z/Z☉) − 3.58 made shallower and brought to −3.15 at solar metallicity.",
    scatter="0.15 dex",
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
    ("Garn2010", "Calzetti2000"),
    "Held constant beyond 8.5 < m < 11.5. The scatter is drawn as log-normal, 0.12 dex. "
    "0.50 rather than the 0.44 of Calzetti et al. (ours, from real colours).",
    scatter="0.28 mag in A_Hα",
)
QUIESCENT_DUST = Relation(
    "Dust of galaxies that have left the main sequence",
    "mean A_V(stars) at any mass; that of quiescent galaxies does not depend on inclination",
    {"green": 0.28, "quiescent": 0.16, "log_scatter": 0.20},
    ("Salim2018",),
    "Rounded medians of their catalogue for low and intermediate log SFR/M.",
    scatter="0.20 dex",
)
ATTENUATION_INCLINATION = Relation(
    "Attenuation with inclination",
    "A(i) ∝ 1 + k [1 − cos i]^p, normalised to the mean over random orientations",
    {"disc_b": 0.99, "disc_power": 2.32, "bulge_b": 2.16, "bulge_power": 2.48, "k_disc": 1.574},
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
    ("Salim2018", "Salim2020", "Noll2009", "Calzetti2000"),
    "δ from S at the A_V of the disc, held between −0.9 and 0.3; 2.57 is the S of the curve at "
    "δ = 0. b is 0.03 below theirs (ours, from real colours). B is that of galaxies of "
    "intermediate mass, rounded.",
    scatter="0.15 in δ",
)
BIRTH_CLOUDS = Relation(
    "Birth clouds",
    "stars younger than 10 Myr and their nebulae: extra A_V (1/μ − 1), curve λ^−0.7",
    {"mu": 0.44, "power": -0.7, "scatter": 0.10, "mu_min": 0.2, "mu_max": 0.8},
    ("Charlot2000", "Calzetti2000"),
    "μ is set to the stars-to-gas ratio of Calzetti et al. rather than to 0.3.",
    scatter="0.10 in μ",
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
    ("Shen2003",),
    "1.4 brings the half-light radius of a galaxy in circular apertures, bulge and inclination "
    "included, to theirs (ours, measured on stamps).",
    scatter="0.47 to 0.34 in ln R",
)
SIZE_SEQUENCE = Relation(
    "Size with distance from the main sequence",
    "log R = … − curvature · Δ² of the lasting history, |Δ| up to 1",
    {"curvature": 0.25},
    ("Wuyts2011",),
    "Galaxies are largest on the sequence, at z = 0.1 too; read from their map (ours).",
)
EARLY_SIZES = Relation(
    "Half-light radius of early types",
    "R = b M^a kpc; scatter as that of late types",
    {"a": 0.56, "b": 2.88e-6, "bulge": 0.85, "disc": 1.35, "circular_to_major": 1.1},
    ("Shen2003", "Shen2007"),
    "b is that of the erratum. Bulge and disc have 0.85 and 1.35 times the radius of the whole "
    "(ours).",
    scatter="0.47 to 0.34 in ln R",
)
EARLY_BULGES = Relation(
    "Bulge-to-total ratio of stellar mass off the main sequence",
    "B/T = quiescent (or green) + slope · (m − 10.5), 0.1 to 0.95",
    {"quiescent": 0.65, "green": 0.40, "slope": 0.15, "scatter": 0.18, "min": 0.1, "max": 0.95},
    ("Lang2014", "Bluck2014"),
    "Ours, rounded: quiescent galaxies are dominated by their bulges, more so the massive ones.",
    scatter="0.18",
)
BULGES = Relation(
    "Bulge-to-total ratio of stellar mass",
    "log(B/T) = log(0.18) + slope · (m − 10.5), at most 0.7",
    {"log_median": -0.745, "slope": 0.35, "scatter": 0.30, "max": 0.7},
    ("Weinzirl2009", "Lang2014"),
    "Ours: most bright spirals have B/T < 0.2, and it rises with mass among star-forming galaxies.",
    scatter="0.30 dex",
)
BULGE_SEQUENCE = Relation(
    "Bulges with distance from the main sequence",
    "log(B/T) = … + slope · (|Δ| − 0.20) of the lasting history; share of de Vaucouleurs bulges = "
    "0.24 + index_slope · (|Δ| − 0.20)",
    {"slope": 0.50, "middle": 0.20, "index_slope": 0.50},
    ("Wuyts2011", "Morselli2017"),
    "Bulges and Sérsic indices are smallest on the sequence and grow to either side; slopes are "
    "read from their figures (ours). 0.20 is the mean |Δ|.",
    scatter="what is left of that of the ratio at one mass",
)
BULGE_SHAPES = Relation(
    "Bulge profiles and sizes",
    "r_e/h = 0.22 ± 0.09; Sérsic index for the 24 % of bulges above n = 2 and for the others; "
    "oblate, axis ratio q",
    {
        "radius_ratio": 0.22,
        "scatter": 0.40,
        "de_vaucouleurs_share": 0.24,
        "de_vaucouleurs_index": 4.0,
        "index": 1.3,
        "q": 0.7,
    },
    ("MacArthur2003", "Weinzirl2009"),
    "Bulges of late types are near exponential; 1.3 is rounded (ours).",
    scatter="0.40 in ln r_e",
)
DISC_SHAPES = Relation(
    "Intrinsic shapes of discs",
    "thickness ± thickness_scatter; face-on ellipticity ln ε ~ N(−2.33, 0.79)",
    {
        "thickness": 0.267,
        "thickness_scatter": 0.05,
        "ln_ellipticity": -2.33,
        "ln_ellipticity_scatter": 0.79,
    },
    ("RodriguezPadilla2013", "Padilla2008"),
    "The thickness is that of Rodríguez & Padilla, its scatter ours; ε is that of Padilla & "
    "Strauss times cos i, at most 0.5.",
    scatter="as given",
)
DISC_GRADIENTS = Relation(
    "Dust along discs",
    "A_V(r) = A_V · (1 + dust · (1.19 − r/R)), so that the disc's scale length h_b in band b obeys "
    "1/h_b = 1/h − 0.921 k_b A_V dust/R",
    {"dust": 0.35},
    ("GonzalezDelgado2015",),
    "1.19 R is the mean radius of the light. dust is read from the profiles of A_V of spirals in "
    "CALIFA (ours).",
)
CLUMPS = Relation(
    "Clumpiness with star formation",
    "share of newborn light in knots = 0.7 · (Σ_SFR/Σ0)^power, 0.3 to 0.95; number of knots = "
    "knots · SFR, 8 to 80",
    {"power": 0.24, "log_sigma_0": -1.8, "least": 0.30, "most": 0.95, "knots": 25.0},
    ("Goddard2010", "Kennicutt1989"),
    "The power is that of the share of stars that form in bound clusters; Σ0, in M☉/yr/kpc², is "
    "near the median of the survey. The number of HII regions goes with the star formation rate.",
)
CLUSTERING = Relation(
    "Dispersal of young stars",
    "share of stars of age t still in knots and arms: exp(−t/t_arm); stars < 10 Myr in knots: 0.7",
    {"arm_time": 1.75e8, "knot_share": 0.7, "luminosity_slope": 2.0},
    ("Kennicutt1989", "Bastian2009"),
    "HII-region luminosity function of slope −2; t_arm = 175 Myr; the share is ours.",
)
PHOTOMETRIC_ERRORS = Relation(
    "Photometric errors",
    "σ² = (2.5/ln 10)² (F/g + A s/g)/F², A = π (area R50)² + 10 arcsec²; added in quadrature to "
    "what is drawn, but not to the quoted error: calibration",
    {"area": (1.5, 2.15, 2.35, 2.3, 1.6), "calibration": (0.02, 0.01, 0.01, 0.01, 0.01)},
    ("Padmanabhan2008", "Gunn1998"),
    "F flux, s sky a square arcsecond, g electrons a nanomaggy. The quoted error is that of the "
    "pipeline, photon noise alone. Areas are ours, from the errors of bright real galaxies.",
    scatter="Gaussian in magnitudes",
)
ZERO_POINTS = Relation(
    "Photometric zero points",
    "magnitude = AB magnitude of the templates + offset",
    {"u": -0.015, "g": -0.015, "r": 0.0, "i": 0.003, "z": 0.042},
    ("Blanton2007",),
    "What is left of the templates' errors: fitted to the median colours of one half of the bright "
    "real galaxies, whose magnitudes were put on the AB system (−0.04 in u, 0.02 in z) before.",
)
FRAMES = Relation(
    "SDSS frames",
    "electrons a nanomaggy; sky in mag/arcsec²; seeing FWHM in g, r, i in arcsec (log-normal)",
    {
        "gain": (130.0, 1030.0, 940.0, 700.0, 130.0),
        "sky": (22.2, 21.9, 20.9, 20.2, 19.0),
        "seeing": (1.44, 1.32, 1.26),
        "seeing_scatter": 0.10,
    },
    ("Gunn1998", "Abazajian2009"),
    scatter="0.10 in ln FWHM",
)
GALACTIC_EXTINCTION = Relation(
    "Galactic extinction",
    "A_x = c_x E(B−V); E(B−V) log-normal, median 0.03",
    {**EXTINCTION, "ebv_median": 0.03, "ebv_scatter": 0.5, "ebv_max": 0.3},
    ("Schlafly2011",),
    scatter="0.5 in ln E(B−V)",
)
LABEL_ERRORS = Relation(
    "Errors of the measured properties",
    "property = true value + N(0, σ_i); σ_i = σ · exp(spread · N − spread²), its mean square σ²",
    {
        "log_stellar_mass": 0.10,
        "log_sfr": 0.20,
        "oxygen_abundance": 0.06,
        "dn4000": 0.04,
        "a_v": 0.20,
        "a_v_balmer": 0.25,
        "spread": 0.35,
    },
    ("Kauffmann2003", "Brinchmann2004", "Tremonti2004"),
    "σ is typical of the MPA-JHU catalogue; the spread from galaxy to galaxy is ours.",
    scatter="Gaussian",
)
MASS_ERRORS = Relation(
    "Errors of stellar masses by photometry",
    "of the error of log M, colour · (δg − δi) − 0.4 δi is that of the observed magnitudes, δ",
    {"colour": 0.70, "magnitude": -0.40},
    ("Taylor2011", "Salim2007"),
    "MPA-JHU masses are fits to the photometry. Mass from g−i and i as Taylor et al. have it.",
    scatter="what is left of that of the mass",
)
FIBRE = Relation(
    "Properties in a fibre",
    "Dn(4000) and A_V of the light within the aperture, dust after its gradient; O/H + oh_slope · "
    "(r/R − oh_radius), r the mean radius of the disc's light within it, R the half-light radius",
    {"radius": 1.5, "oh_slope": -0.10, "oh_radius": 0.40},
    ("York2000", "Sanchez2014"),
    "Aperture in arcsec. Bulge and disc are circularised and widened by half the seeing (ours). "
    "oh_radius is the survey's median r/R: the mass-metallicity relation was measured in fibres.",
)
LINES = Relation(
    "Emission lines that are seen",
    "Hα, Hβ, [O III] and [N II] in the fibre exceed least · error; log L(Hα) = log SFR + halpha, "
    "Hβ less by balmer, the others by polynomials in O/H; dimmed by alpha and beta · A_V(gas)",
    {
        "halpha": 41.27,
        "balmer": 2.86,
        "beta": 1.136,
        "alpha": 0.822,
        "error": 2.0e-17,
        "least": 3.0,
    },
    ("KennicuttEvans2012", "Maiolino2008", "Brinchmann2004"),
    "The cuts of the real query. beta and alpha are the attenuations at the lines over that at V "
    "(Calzetti's curve); one error in erg/s/cm² for all lines is ours.",
)
LINE_RATE = Relation(
    "Star formation rate by emission lines",
    "SFR = f · SFR(10 Myr) + (1 − f) · SFR(100 Myr), f the share of the disc's light in the fibre",
    {},
    ("Brinchmann2004", "Salim2007"),
    "The catalogue's is that of the lines in the fibre, and of the photometry outside.",
)

RELATIONS_OF_GALAXIES = (
    MASS_FUNCTION,
    MAIN_SEQUENCE,
    EVOLUTION,
    GREEN_VALLEY,
    QUIESCENT_RATES,
    STAR_FORMING,
    ACTIVE_NUCLEI,
    HISTORIES,
    QUIESCENT_HISTORIES,
    MASS_METALLICITY,
    FUNDAMENTAL_METALLICITY,
    SIZE_METALLICITY,
    AGE_COMPACTNESS,
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
    SIZE_SEQUENCE,
    EARLY_SIZES,
    BULGES,
    BULGE_SEQUENCE,
    EARLY_BULGES,
    BULGE_SHAPES,
    DISC_SHAPES,
    DISC_GRADIENTS,
    CLUMPS,
    CLUSTERING,
    PHOTOMETRIC_ERRORS,
    ZERO_POINTS,
    FRAMES,
    GALACTIC_EXTINCTION,
    LABEL_ERRORS,
    MASS_ERRORS,
    FIBRE,
    LINES,
    LINE_RATE,
)
