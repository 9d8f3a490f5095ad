"""What ties a galaxy's picture, photometry and measurements to its physics, by name.

Each is a published relation that can be switched off: `without=("fibre", …)`. The same seed then
gives the same galaxies but for what that relation does.
"""

from collections.abc import Collection

from galcfm.simulate.picture_relations import (
    ARMS,
    BARS,
    COLOUR_GRADIENTS,
    COMPANIONS,
    DUST_LANES,
    FRAME_NOISE,
    LOPSIDEDNESS,
    PSF_WINGS,
    REGISTRATION,
    RINGS,
    SKY_RESIDUALS,
)
from galcfm.simulate.relations import (
    AGE_COMPACTNESS,
    ATTENUATION_INCLINATION,
    BULGE_SEQUENCE,
    CLUMPS,
    DISC_GRADIENTS,
    EVOLUTION,
    FIBRE,
    LABEL_ERRORS,
    LINE_RATE,
    LINES,
    MASS_ERRORS,
    SIZE_METALLICITY,
    SIZE_SEQUENCE,
    Relation,
)

TIES: dict[str, tuple[str, tuple[Relation, ...]]] = {
    "inclined_dust": ("dust dims inclined discs more", (ATTENUATION_INCLINATION,)),
    "evolution": ("the main sequence rises with redshift", (EVOLUTION,)),
    "sizes": (
        "radius goes with star formation rate and O/H at one mass",
        (SIZE_SEQUENCE, SIZE_METALLICITY),
    ),
    "bulges": ("bulges grow off the main sequence", (BULGE_SEQUENCE,)),
    "ages": ("compact galaxies formed earlier", (AGE_COMPACTNESS,)),
    "gradients": ("dust and colour change along the disc", (DISC_GRADIENTS, COLOUR_GRADIENTS)),
    "dust_lanes": ("edge-on massive discs have dust lanes", (DUST_LANES,)),
    "features": ("bars, rings and arms go with mass and star formation", (BARS, RINGS, ARMS)),
    "clumps": ("young stars are clumpier where more form", (CLUMPS,)),
    "asymmetry": (
        "lopsided discs and companions go with star formation",
        (LOPSIDEDNESS, COMPANIONS),
    ),
    "fibre": ("Dn(4000), O/H and A_V are those in a fibre", (FIBRE,)),
    "lines": ("galaxies count whose emission lines are seen", (LINES,)),
    "line_rate": ("the star formation rate is that of emission lines in the fibre", (LINE_RATE,)),
    "error_spread": ("label errors differ from galaxy to galaxy", (LABEL_ERRORS,)),
    "mass_errors": ("mass errors share the noise of the magnitudes", (MASS_ERRORS,)),
    "varied_sky": (
        "sky, noise and places of the bands vary from frame to frame",
        (SKY_RESIDUALS, FRAME_NOISE, REGISTRATION, PSF_WINGS),
    ),
}


def require_ties(without: Collection[str]) -> tuple[str, ...]:
    """The names of `TIES` to do without, sorted.

    Raises:
        ValueError: a name is not among `TIES`, or `without` is one word.
    """
    if isinstance(without, str):
        raise ValueError(f"without is {without!r}: give a list of names, [{without!r}]")
    unknown = sorted(set(without) - set(TIES))
    if unknown:
        raise ValueError(f"without names {', '.join(unknown)}: choose from {', '.join(TIES)}")
    return tuple(sorted(set(without)))
