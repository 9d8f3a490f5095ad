"""Tables as surveys publish them: a mapping of their columns, proposed for you to confirm.

`propose_columns` reads the names of a table and nothing else. `Survey.from_table` never takes a
column by a name that is not its own.
"""

from collections.abc import Mapping

from galcfm.properties import BANDS
from galcfm.survey.tables import SourceTable

# The names of identifiers, one of which marks a survey's tables; then for each kind of photometry
# what it is, its columns and those of its errors (inverse variances of fluxes), and whether it is
# dereddened; the first with the most bands is proposed.
# `{b}` stands for the band, `{k}` for its place in ugriz, `{f}` for that in FNugriz.
CONVENTIONS = {
    # https://www.sdss.org/dr17/manga/manga-target-selection/nsa; columns of the catalogue's tables.
    "the NASA-Sloan Atlas": (
        ("nsaid", "nsa_nsaid"),
        ("elliptical Petrosian fluxes", "elpetro_nmgy[{f}]", "elpetro_nmgy_ivar[{f}]", True),
        ("elliptical Petrosian fluxes", "elpetro_flux[{f}]", "elpetro_flux_ivar[{f}]", False),
        ("Sérsic fluxes", "nmgy[{f}]", "nmgy_ivar[{f}]", True),
        ("Sérsic fluxes", "sersicflux[{f}]", "sersicflux_ivar[{f}]", False),
        ("Petrosian fluxes", "petroflux[{f}]", "petroflux_ivar[{f}]", False),
    ),
    # https://skyserver.sdss.org/dr17, schema browser: PhotoObjAll, SpecObjAll; photoObj files.
    "SDSS": (
        ("objid", "bestobjid", "specobjid", "obj_id"),
        ("model fluxes", "modelflux_{b}", "modelfluxivar_{b}", False),
        ("model fluxes", "modelflux[{k}]", "modelflux_ivar[{k}]", False),
        ("Petrosian fluxes", "petroflux_{b}", "petrofluxivar_{b}", False),
        ("Petrosian fluxes", "petroflux[{k}]", "petroflux_ivar[{k}]", False),
        ("dereddened model magnitudes (asinh)", "dered_{b}", "modelmagerr_{b}", True),
        ("model magnitudes (asinh)", "modelmag_{b}", "modelmagerr_{b}", False),
        ("Petrosian magnitudes (asinh)", "petromag_{b}", "petromagerr_{b}", False),
        ("model magnitudes (asinh)", "{b}", "err_{b}", False),
    ),
    # https://www.legacysurvey.org/dr10/catalogs: Tractor catalogues; names of NOIRLab and DESI.
    "the Legacy Surveys": (
        ("ls_id", "targetid", "brickid"),
        ("Tractor fluxes", "flux_{b}", "flux_ivar_{b}", False),
    ),
}


def propose_columns(table) -> dict:
    """Propose what `Survey.from_table` is to be told of a table, from the names of its columns.

    The names of SDSS (CasJobs and photoObj files), the NASA-Sloan Atlas and the Legacy Surveys
    (Tractor, NOIRLab, DESI) are known, in upper or lower case. What a name cannot say: the redshift
    of the Atlas is heliocentric; zero points of SDSS itself are off AB by -0.04 mag in u and 0.02
    mag in z; g, r, i and z of the Legacy Surveys are those of DECam, or of BASS and MzLS, and their
    objid is unique within a brick alone.

    Example:
        ::

            proposal = propose_columns("nsa_v1_0_1.fits")
            print(proposal)  # look at it; then confirm, or correct what is wrong
            survey = Survey.from_table("nsa_v1_0_1.fits", **proposal)

    Arguments:
        table: As `Survey.from_table` takes it.

    Returns:
        `columns`, names in a survey to names in the table, and `unit`, `total` and `dereddened`;
        empty if no photometry of these surveys is there.

    Raises:
        SurveyError: The table cannot be read.
    """
    source = table if isinstance(table, SourceTable) else SourceTable(table)
    spelt = {str(name).lower(): str(name) for name in source.names}
    found = _photometry(spelt, source)
    if not found:
        return {}
    ids, what, photometry, dereddened = found[0]
    columns = {}
    for name, choices in {
        "object_id": [name for name in ids if name != "brickid"],
        "ra": ("ra",),
        "dec": ("dec",),
        "redshift": ("redshift", "specz", "z_spec", "z"),
        "ebv": ("ebv", "e_bv", "sfd_ebv"),
    }.items():
        own = [spelt[c] for c in choices if c in spelt and spelt[c] not in photometry.values()]
        columns |= {name: own[0]} if own else {}
    return {
        "columns": columns | photometry,
        "unit": "asinh" if "asinh" in what else "nanomaggy",
        "total": True,
        "dereddened": dereddened,
    }


def _photometry(spelt: Mapping[str, str], source: SourceTable) -> list[tuple]:
    """Return the photometry that is there, most bands first: ids, kind, columns, dereddened."""
    found = []
    for ids, *kinds in CONVENTIONS.values():
        for what, name, error, dereddened in kinds if any(i in spelt for i in ids) else ():
            columns = _columns(name, "mag", spelt, source)
            prefix = "magerr" if "asinh" in what else "ivar"
            errors = _columns(error, prefix, spelt, source)
            if len(columns) >= 3:
                errors = errors if len(errors) == len(columns) else {}
                found.append((ids, what, columns | errors, dereddened))
    return sorted(found, key=lambda match: -len({name[-1] for name in match[2]}))


def _columns(template: str, prefix: str, spelt: Mapping, source: SourceTable) -> dict[str, str]:
    """Return the columns of a template by their names in a survey."""
    columns = {}
    for k, band in enumerate(BANDS):
        name, _, place = template.format(b=band, k=k, f=k + 2).partition("[")
        length = {"{k}": 5, "{f}": 7}.get(template[-4:-1])
        if name in spelt and source.length(spelt[name]) == length:
            columns[f"{prefix}_{band}"] = spelt[name] + f"[{place}" * bool(place)
    return columns
