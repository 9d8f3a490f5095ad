"""Tables as surveys publish them: a mapping of their columns, proposed for you to confirm.

`propose_columns` reads the names of a table and nothing else. `Survey.from_table` never takes a
column by a name that is not its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from galcfm.properties import BANDS, MAGNITUDES
from galcfm.survey.tables import SourceTable

__all__ = ["Proposal", "propose_columns"]

# What identifies a survey's tables; then for each kind of photometry what it is, the names of its
# columns and of their errors (inverse variances of fluxes), its unit, and whether it is dereddened.
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
NOTES = {
    "the NASA-Sloan Atlas": "z is heliocentric; zdist is a distance, not a redshift to infer with",
    "SDSS": "zero points of SDSS itself are off AB by -0.04 mag in u and 0.02 mag in z",
    "the Legacy Surveys": "its g, r, i and z are those of DECam, or of BASS and MzLS, not SDSS's; "
    "objid is unique within a brick alone: make one identifier of release, brickid and objid",
}


@dataclass(frozen=True)
class Proposal:
    """Columns that could be the ones that `Survey.from_table` asks for. Print it to read it.

    Example:
        ::

            proposal = propose_columns("nsa_v1_0_1.fits")
            print(proposal)  # look at it; then confirm, or correct what is wrong
            survey = Survey.from_table(
                "nsa_v1_0_1.fits", proposal.columns, **proposal.declared
            )

    Arguments:
        table: Name of the table.
        convention: Survey whose names these are; empty if no known survey uses them.
        columns: Names in a survey to names in the table.
        declared: `unit`, `total` and `dereddened`, as far as the names say them.
        missing: What `from_table` needs and the table does not show.
        notes: What a name cannot say, and what else is there.
    """

    table: str
    convention: str
    columns: Mapping[str, str]
    declared: Mapping[str, object]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        names = f"the names of {self.convention}" if self.convention else "no names known here"
        lines = [f"{self.table} has {names}. To be confirmed:"]
        lines += [f"  {name:17s} is  {column}" for name, column in self.columns.items()]
        lines += [f"  {name} = {value!r}" for name, value in self.declared.items()]
        lines += [f"- not found: {', '.join(self.missing)}"] if self.missing else []
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def propose_columns(table) -> Proposal:
    """Propose a mapping of columns, from the names in a table alone; it takes nothing.

    The names of SDSS (CasJobs and photoObj files), the NASA-Sloan Atlas and the Legacy Surveys
    (Tractor, NOIRLab, DESI) are known, in upper or lower case.

    Arguments:
        table: As `Survey.from_table` takes it.

    Raises:
        SurveyError: The table cannot be read.
    """
    source = table if isinstance(table, SourceTable) else SourceTable(table)
    spelt = {str(name).lower(): str(name) for name in source.names}
    columns = {name: name for name in MAGNITUDES if name in source.names}
    title, ids, declared, notes = "", ("object_id",), {}, []
    if not columns and (found := _photometry(spelt, source)):
        title, what, columns, dereddened = found[0]
        ids = CONVENTIONS[title][0]
        ids = ids[:2] if title == "the Legacy Surveys" else ids
        unit = "asinh" if "asinh" in what else "nanomaggy"
        declared = {"unit": unit, "total": True, "dereddened": dereddened}
        notes = [f"these are {what}", NOTES[title]]
        others = dict.fromkeys(f"{kind} ({c.get('mag_r')})" for _, kind, c, _ in found[1:])
        notes += [f"there are also {', '.join(others)}"] if others else []
    names = {"redshift": ("redshift", "specz", "z_spec", "z"), "ra": ("ra",), "dec": ("dec",)}
    for name, choices in ({"object_id": ids, "ebv": ("ebv", "e_bv", "sfd_ebv")} | names).items():
        own = [spelt[c] for c in choices if c in spelt and spelt[c] not in columns.values()]
        columns |= {name: own[0]} if own else {}
    if declared.get("dereddened") is False and "ebv" not in columns:
        notes.append("Galactic extinction is in the fluxes: E(B-V) is needed as ebv")
    order = ("object_id", "ra", "dec", "redshift", "ebv", *MAGNITUDES)
    columns = {name: columns[name] for name in dict.fromkeys((*order, *columns)) if name in columns}
    missing = tuple(name for name in ("object_id", *MAGNITUDES) if name not in columns)
    absent = [name for name in missing if name in MAGNITUDES]
    if 0 < len(absent) < len(MAGNITUDES):
        notes.append(
            f"it has no {', '.join(name[-1] for name in absent)}: add {dict.fromkeys(absent)} to "
            "the columns, with missing_bands=True, for a model of any bands"
        )
    return Proposal(source.name, title, columns, declared, missing, tuple(notes))


def _photometry(spelt: Mapping[str, str], source: SourceTable) -> list[tuple]:
    """Return the photometry that is there, most bands first: survey, kind, columns, dereddened."""
    found = []
    for title, (marks, *kinds) in CONVENTIONS.items():
        for what, name, error, dereddened in kinds if any(m in spelt for m in marks) else ():
            columns = _columns(name, "mag", spelt, source)
            prefix = "magerr" if "asinh" in what else "ivar"
            errors = _columns(error, prefix, spelt, source)
            if len(columns) >= 3:
                errors = errors if len(errors) == len(columns) else {}
                found.append((title, what, columns | errors, dereddened))
    return sorted(found, key=lambda match: -len(match[2]))


def _columns(template: str, prefix: str, spelt: Mapping, source: SourceTable) -> dict[str, str]:
    """Return the columns of a template by their names in a survey."""
    columns = {}
    for k, band in enumerate(BANDS):
        name, _, place = template.format(b=band, k=k, f=k + 2).partition("[")
        length = {"{k}": 5, "{f}": 7}.get(template[-4:-1])
        if name in spelt and source.length(spelt[name]) == length:
            columns[f"{prefix}_{band}"] = spelt[name] + f"[{place}" * bool(place)
    return columns
