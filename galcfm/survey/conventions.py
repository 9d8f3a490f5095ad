"""Arguments of `Survey.from_table` for published tables of several surveys.

Call `Survey.from_table("nsa_v1_0_1.fits", **NSA)`; look at `NSA["columns"]` first. Note that the
redshifts of the NASA-Sloan Atlas are heliocentric; that the zero points of SDSS differ from AB by
−0.04 mag in u and 0.02 mag in z; and that g, r and z of the Legacy Surveys are bands of DECam, or
of BASS and MzLS, from which the extinction of the bands of SDSS is removed.
"""

from galcfm.properties import BANDS

__all__ = ["CASJOBS", "DESI", "DESI_WISE", "LEGACY", "NSA", "PHOTOOBJ"]


def _arguments(
    unit: str, dereddened: bool, flux: str, error: str, bands=BANDS, lacking=(), **columns
) -> dict:
    """Return arguments of `Survey.from_table`.

    Arguments:
        unit: Unit of the photometry.
        dereddened: Whether Galactic extinction is removed.
        flux: Template of the names of the photometry columns: `{b}` is the band, `{B}` its capital
            letter, `{k}` its place in `bands` and `{f}` its place in FNugriz.
        error: Template of the names of the columns of errors, or of inverse variances of fluxes.
        bands: Bands of the survey.
        lacking: Bands without a column in the table.
        columns: Further columns, by their names in a survey.
    """
    prefix = "ivar" if unit == "nanomaggy" else "magerr"
    for k, band in enumerate(bands):
        place = {"b": band, "B": band.upper(), "k": k, "f": k + 2}
        for name, template in (("mag", flux), (prefix, error)):
            columns[f"{name}_{band}"] = None if band in lacking else template.format(**place)
    declared = {"unit": unit, "total": True, "dereddened": dereddened, "bands": bands}
    return {"columns": columns} | declared


SKY = {"ra": "RA", "dec": "DEC"}
# https://www.sdss.org/dr17/manga/manga-target-selection/nsa: elliptical Petrosian fluxes.
NSA = _arguments(
    "nanomaggy",
    True,
    "ELPETRO_NMGY[{f}]",
    "ELPETRO_NMGY_IVAR[{f}]",
    object_id="NSAID",
    redshift="Z",
    **SKY,
)
# https://skyserver.sdss.org/dr17, schema browser: model magnitudes of PhotoObjAll, and photoObj
# files. Add a column of E(B-V) as `ebv`.
CASJOBS = _arguments(
    "asinh", False, "modelMag_{b}", "modelMagErr_{b}", object_id="objID", ra="ra", dec="dec"
)
PHOTOOBJ = _arguments(
    "nanomaggy", False, "MODELFLUX[{k}]", "MODELFLUX_IVAR[{k}]", object_id="OBJID", **SKY
)
# https://www.legacysurvey.org/dr10/catalogs, with the names of DESI, for models of ugriz; needs
# `missing_bands=True`.
FLUXES = ("nanomaggy", False, "FLUX_{B}", "FLUX_IVAR_{B}")
LEGACY = _arguments(*FLUXES, lacking=("u", "i"), object_id="TARGETID", ebv="EBV", **SKY)
# https://desidatamodel.readthedocs.io, zall-pix and ztile files: redshifts of DESI with fluxes of
# the Legacy Surveys, in which those of WISE are on the AB system too.
TARGETS = {"object_id": "TARGETID", "ra": "TARGET_RA", "dec": "TARGET_DEC"}
TARGETS |= {"redshift": "Z", "ebv": "EBV"}
DESI = _arguments(*FLUXES, ("g", "r", "z"), **TARGETS)
DESI_WISE = _arguments(*FLUXES, ("g", "r", "z", "W1", "W2"), **TARGETS)
