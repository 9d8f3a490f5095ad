"""Published relations of the appearance of galaxies, which total magnitudes do not show.

Together with the relations of `relations.py` they are `RELATIONS`, the table that the book prints.
"""

from galcfm.simulate.relations import RELATIONS_OF_GALAXIES, Relation

COLOUR_GRADIENTS = Relation(
    "Colour gradients of discs",
    "R_b ∝ λ^stars, beside what dust does",
    {"stars": -0.04, "scatter": 0.22},
    ("Kelvin2012", "GonzalezDelgado2015"),
    "With the dust's, the median radius of discs falls as λ^−0.19, as Kelvin et al. find. Many "
    "discs have blue middles; the scatter is ours, from one half of 400 real cutouts.",
    scatter="0.22 in the exponent",
)
DUST_LANES = Relation(
    "Dust lanes",
    "share of the disc's light in r that a lane takes: depth · A_V · (i − i_min)/(90° − i_min), up "
    "to 0.4, in galaxies above m_min",
    {"m_min": 9.9, "i_min": 75.0, "depth": 0.30, "most": 0.40},
    ("Dalcanton2004",),
    "Lanes are in all edge-on discs that turn faster than 120 km/s, and in none that turn slower; "
    "m_min is that speed by the Tully-Fisher relation, the depth ours.",
)

BARS = Relation(
    "Bars",
    "share of galaxies = share + mass · (m − 10.25) + sequence · Δ, 0.05 to 0.7; a bar has light · "
    "10^(0.2 N) of the smooth disc's, and is length · h long",
    {
        "share": 0.45,
        "mass": 0.18,
        "sequence": -0.30,
        "light": 0.12,
        "light_scatter": 0.20,
        "light_max": 0.35,
        "length": 1.0,
        "length_scatter": 0.15,
    },
    ("Masters2011", "Masters2012", "Gadotti2011", "Erwin2005"),
    "29 % of discs have a strong bar, more where they are massive and red; half as many again have "
    "a weak one. Slopes are read from figures (ours).",
    scatter="0.20 dex in light, 0.15 dex in length",
)

RINGS = Relation(
    "Rings of young stars",
    "share of galaxies = share + mass · (m − 9.5), 0.03 to 0.3; radius 1.2 to 2.2 h",
    {"share": 0.08, "mass": 0.12, "radius_min": 1.2, "radius_max": 2.2},
    ("NairAbraham2010",),
    "Shares are read from their table of bright spirals (ours).",
    scatter="uniform",
)

ARMS = Relation(
    "Spiral arms",
    "flocculent share = share + mass · (m − 10.25), 0.2 to 0.8; pitch angle = pitch + pitch_mass · "
    "(m − 10.25) ± 6°; the others have 2 to 4 arms",
    {
        "share": 0.50,
        "mass": -0.15,
        "pitch": 20.0,
        "pitch_mass": -4.0,
        "pitch_scatter": 6.0,
        "width": 0.30,
        "flocculent_width": 1.0,
    },
    ("Elmegreen2011", "YuHo2019", "Davis2017"),
    "Half of the spirals of S4G are flocculent. Arms are as wide in azimuth, in radians, as said "
    "(ours).",
    scatter="6° in pitch angle",
)

LOPSIDEDNESS = Relation(
    "Lopsidedness",
    "log A1 = log_median + rate · Δ of today + mass · (m − 10.25), A1 up to 0.4",
    {"log_median": -0.9, "rate": 0.40, "mass": -0.15, "scatter": 0.20, "most": 0.40},
    ("Reichard2009",),
    "Discs that form more stars than others of their mass are more lopsided, and light ones are; "
    "slopes are read from their figures (ours).",
    scatter="0.20 dex",
)

COMPANIONS = Relation(
    "Companions",
    "share of galaxies with one = share · 10^(rate Δ) for Δ of today, up to 0.3; 10-35 kpc away, "
    "0.3-2.5 mag fainter",
    {
        "share": 0.018,
        "rate": 1.5,
        "most": 0.30,
        "kpc_min": 10.0,
        "kpc_max": 35.0,
        "mag_min": 0.3,
        "mag_max": 2.5,
    },
    ("EllisonPairs2008",),
    "Star formation is enhanced in close pairs, up to 70 % within 30 kpc; the share by Δ that "
    "gives so much, about 3 % of galaxies having one, is ours.",
    scatter="uniform",
)

COUNTS = Relation(
    "Chance neighbours",
    "galaxies: N(<r) = N22 · 10^(0.45 (r − 22)); stars: N22 · 10^(0.20 (r − 22)) a square degree",
    {
        "galaxies_n22": 1.2e4,
        "galaxies_slope": 0.45,
        "stars_n22": 6.5e3,
        "stars_slope": 0.20,
        "galaxies_r_min": 16.0,
        "stars_r_min": 10.0,
        "r_max": 22.8,
    },
    ("Yasuda2001", "Chen2001", "Juric2008"),
    "Counts rounded. Star counts lie between the Galactic pole's (4,500 at r < 22) and the "
    "mean of the imaging (48 million at r < 21.5 in 6,500 square degrees, 9,300 at r < 22), since "
    "spectra were taken at high latitudes; where between was chosen with one half of 400 real "
    "cutouts in view.",
    scatter="Poisson",
)

BAR_SHAPES = Relation(
    "Shape of bars",
    "surface brightness 1 − (r/length)² in the plane of the disc, axis ratio q",
    {"q": 0.35},
    ("Gadotti2011",),
    "Their median ellipticity is 0.6 to 0.7; the flat profile is that of a Ferrers bar (ours).",
)

RING_STARS = Relation(
    "Young stars in rings",
    "share of arm and knot light in the ring of a ringed galaxy; width over radius",
    {"share": 0.6, "width": 0.08},
    ("Grouchy2010",),
    "Ours: most of the star formation of a ringed galaxy is in its ring.",
    scatter="width 8 %",
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
    ("Elmegreen1983", "Efremov1995", "Kennicutt1989"),
    "Rounded (ours): few young stars in the middle, none beyond the edge of star formation, and "
    "complexes of a few hundred parsecs strung along the arms. Chosen with one half of 400 real "
    "cutouts in view.",
    scatter="as given",
)

LANE_SHAPES = Relation(
    "Shape of dust lanes",
    "a disc of negative light, of thickness × that of the stars; its strength goes as the Galaxy's "
    "extinction from band to band",
    {"thickness": 0.5},
    ("Xilouris1999",),
)

COMPANION_LOOKS = Relation(
    "Look of companions",
    "colour of the galaxy ± scatter; surface brightness of the galaxy; apparent axis ratio from "
    "q_min to 1",
    {"colour_scatter": 0.15, "q_min": 0.3},
    ("Holmberg1958",),
    "Members of a pair have alike colours; the scatter is ours.",
    scatter="0.15 mag in g−r and in r−i",
)

NEIGHBOURS = Relation(
    "Look of chance galaxies",
    "half-light radius: radius · 10^(slope (r − 21)) arcsec; axis ratio from q_min to 1; round and "
    "Gaussian beyond r_round",
    {"radius": 0.9, "slope": -0.1, "scatter": 0.3, "q_min": 0.3, "r_round": 21.5},
    ("Shen2003",),
    "Rounded (ours).",
    scatter="0.3 in ln radius",
)

REGISTRATION = Relation(
    "Bands out of place",
    "g and i displaced from r by up to width/2 pixels in either direction, uniform",
    {"width": (1.1, 0.0, 0.8)},
    ("Pier2003",),
    "Astrometry is good to 0.1 arcsec; colour images are aligned to the nearest pixel "
    "(ours, from one half of 400 real cutouts).",
    scatter="uniform",
)

SKY_RESIDUALS = Relation(
    "Sky that its subtraction leaves",
    "offset, nanomaggies per pixel, and beside it level · (e^(skew N) − 1)/skew, level in "
    "mag/arcsec², by band; share of it common to the bands; gradient: how much of it more at the "
    "edge of a cutout than in the middle",
    {
        "offset": (0.0017, 0.0014, 0.0047),
        "level": (27.8, 27.4, 26.8),
        "skew": 0.8,
        "common": 0.5,
        "gradient": 0.5,
    },
    ("Blanton2011",),
    "All are ours, from one half of 400 real cutouts. Scattered light of bright stars and the "
    "outskirts of galaxies make the tail, which is to bright skies.",
    scatter="as given",
)

PSF_WINGS = Relation(
    "Wings of the point spread function",
    "share of the light in an aureole (1 + r²/scale²)^(−3/2), scale in arcsec",
    {"share": 0.04, "scale": 4.0},
    ("King1971", "Sandin2014"),
    "Rounded (ours).",
)

FRAME_NOISE = Relation(
    "Noise of frames",
    "share of the photon noise that interpolation leaves, e^(scatter (Γ(shape) − shape)/√shape) "
    "times as much; as correlated as by so many passes of two bilinear interpolations",
    {"left": (0.348, 0.328, 0.368), "scatter": 0.10, "shape": 2.0, "passes": 4},
    ("Gunn1998",),
    "Ours, from amplitude and correlation of the noise in one half of 400 real cutouts. Four "
    "passes alone would leave 0.24 of the photon noise; why there is more is not known.",
    scatter="0.10 in ln, skewed to noisy frames",
)

RELATIONS = (
    *RELATIONS_OF_GALAXIES,
    COLOUR_GRADIENTS,
    DUST_LANES,
    BARS,
    RINGS,
    ARMS,
    LOPSIDEDNESS,
    COMPANIONS,
    COUNTS,
    BAR_SHAPES,
    RING_STARS,
    COMPLEXES,
    LANE_SHAPES,
    COMPANION_LOOKS,
    NEIGHBOURS,
    REGISTRATION,
    SKY_RESIDUALS,
    PSF_WINGS,
    FRAME_NOISE,
)
