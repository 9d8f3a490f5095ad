"""What ties a galaxy's picture, photometry and measurements to its physics, by name.

Each is a published relation that can be switched off: `without=("fibre", …)`. The same seed then
gives the same galaxies but for what that relation does.
"""

from collections.abc import Collection

from galcfm.simulate import picture_relations as pictures
from galcfm.simulate import relations as rel

TIES: dict[str, tuple[str, tuple[rel.Relation, ...]]] = {
    "inclined_dust": ("dust dims inclined discs more", (rel.ATTENUATION_INCLINATION,)),
    "evolution": ("the main sequence rises with redshift", (rel.EVOLUTION,)),
    "sizes": (
        "radius goes with star formation rate and O/H at one mass",
        (rel.SIZE_SEQUENCE, rel.SIZE_METALLICITY),
    ),
    "bulges": ("bulges grow off the main sequence", (rel.BULGE_SEQUENCE,)),
    "ages": ("compact galaxies formed earlier", (rel.AGE_COMPACTNESS,)),
    "gradients": (
        "dust and colour change along the disc",
        (rel.DISC_GRADIENTS, pictures.COLOUR_GRADIENTS),
    ),
    "dust_lanes": ("edge-on massive discs have dust lanes", (pictures.DUST_LANES,)),
    "features": (
        "bars, rings and arms go with mass and star formation",
        (pictures.BARS, pictures.RINGS, pictures.ARMS),
    ),
    "clumps": ("young stars are clumpier where more form", (rel.CLUMPS,)),
    "asymmetry": (
        "lopsided discs and companions go with star formation",
        (pictures.LOPSIDEDNESS, pictures.COMPANIONS),
    ),
    "fibre": ("Dn(4000), O/H and A_V are those in a fibre", (rel.FIBRE,)),
    "lines": ("galaxies count whose emission lines are seen", (rel.LINES,)),
    "line_rate": (
        "the star formation rate is that of emission lines in the fibre",
        (rel.LINE_RATE,),
    ),
    "error_spread": ("label errors differ from galaxy to galaxy", (rel.LABEL_ERRORS,)),
    "mass_errors": ("mass errors share the noise of the magnitudes", (rel.MASS_ERRORS,)),
    "varied_sky": (
        "sky, noise and places of the bands vary from frame to frame",
        (pictures.SKY_RESIDUALS, pictures.FRAME_NOISE, pictures.REGISTRATION, pictures.PSF_WINGS),
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
