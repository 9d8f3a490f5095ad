"""Tables as surveys publish them: which of their columns could be what, to be looked at.

`propose_columns` reads the names of a table and nothing else, and proposes; nobody but you
confirms. `Survey.from_table` never takes a column by a name that is not its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from galcfm.properties import BANDS, MAGNITUDES
from galcfm.survey.tables import SourceTable

__all__ = ["Proposal", "propose_columns"]


@dataclass(frozen=True)
class _Photometry:
    """Names of the columns of one kind of flux or magnitude.

    `{b}` stands for the band, `{k}` for its place in ugriz, `{f}` for that in FNugriz. Plain names
    are anybody's, and count where another column marks the table.
    """

    what: str
    name: str
    error: str
    unit: str
    dereddened: bool
    inverse_variance: bool = False
    is_plain: bool = False


@dataclass(frozen=True)
class _Convention:
    """How the tables of a survey name what is asked for here; the first that is there counts."""

    title: str
    marks: tuple[str, ...]  # names of which one is there, if no photometry is
    photometry: tuple[_Photometry, ...]
    object_id: tuple[str, ...]
    redshift: tuple[str, ...]
    ebv: tuple[str, ...] = ("ebv", "e_bv", "sfd_ebv")
    notes: tuple[str, ...] = ()


def _fluxes(what, name, error, dereddened=False, **more):
    return _Photometry(what, name, error, "nanomaggy", dereddened, inverse_variance=True, **more)


# https://www.sdss.org/dr17/manga/manga-target-selection/nsa; columns of the catalogue's tables.
NSA = _Convention(
    "the NASA-Sloan Atlas",
    ("nsaid",),
    (
        _fluxes("elliptical Petrosian fluxes", "elpetro_nmgy[{f}]", "elpetro_nmgy_ivar[{f}]", True),
        _fluxes("elliptical Petrosian fluxes", "elpetro_nmgy_{b}", "elpetro_nmgy_ivar_{b}", True),
        _fluxes("Sérsic fluxes", "sersic_nmgy[{f}]", "sersic_nmgy_ivar[{f}]", True),
        _fluxes("Sérsic fluxes", "sersic_nmgy_{b}", "sersic_nmgy_ivar_{b}", True),
        _fluxes("Sérsic fluxes", "nmgy[{f}]", "nmgy_ivar[{f}]", True),
        _fluxes("elliptical Petrosian fluxes", "elpetro_flux[{f}]", "elpetro_flux_ivar[{f}]"),
        _fluxes("Sérsic fluxes", "sersicflux[{f}]", "sersicflux_ivar[{f}]"),
        _fluxes("Petrosian fluxes", "petroflux[{f}]", "petroflux_ivar[{f}]"),
    ),
    ("nsaid", "nsa_nsaid", "iauname"),
    ("z",),
    notes=("z is heliocentric; zdist is a distance, not a redshift to infer with",),
)
# https://skyserver.sdss.org/dr17, schema browser: PhotoObjAll, SpecObjAll; photoObj files.
SDSS = _Convention(
    "SDSS",
    ("specobjid", "fibermag_r"),
    (
        _fluxes("model fluxes", "modelflux_{b}", "modelfluxivar_{b}"),
        _fluxes("model fluxes", "modelflux[{k}]", "modelflux_ivar[{k}]"),
        _fluxes("cmodel fluxes", "cmodelflux_{b}", "cmodelfluxivar_{b}"),
        _fluxes("cmodel fluxes", "cmodelflux[{k}]", "cmodelflux_ivar[{k}]"),
        _fluxes("Petrosian fluxes", "petroflux_{b}", "petrofluxivar_{b}"),
        _fluxes("Petrosian fluxes", "petroflux[{k}]", "petroflux_ivar[{k}]"),
        _Photometry("dereddened model magnitudes", "dered_{b}", "modelmagerr_{b}", "asinh", True),
        _Photometry("model magnitudes", "modelmag_{b}", "modelmagerr_{b}", "asinh", False),
        _Photometry("cmodel magnitudes", "cmodelmag_{b}", "cmodelmagerr_{b}", "asinh", False),
        _Photometry("Petrosian magnitudes", "petromag_{b}", "petromagerr_{b}", "asinh", False),
        _Photometry("model magnitudes", "{b}", "err_{b}", "asinh", False, is_plain=True),
    ),
    ("objid", "bestobjid", "specobjid", "obj_id"),
    ("redshift", "specz", "z_spec", "z"),
    notes=("zero points of SDSS itself are off AB by -0.04 mag in u and 0.02 mag in z",),
)
# https://www.legacysurvey.org/dr10/catalogs: Tractor catalogues; NOIRLab's and DESI's own names.
LEGACY = _Convention(
    "the Legacy Surveys",
    ("brickid", "ls_id", "targetid", "mw_transmission_r", "flux_w1"),
    (
        _fluxes("Tractor fluxes", "flux_{b}", "flux_ivar_{b}", is_plain=True),
        _Photometry("dereddened Tractor magnitudes", "dered_mag_{b}", "", "AB", True),
    ),
    ("ls_id", "targetid", "target_id"),
    ("z_spec", "z"),
    notes=(
        "objid is unique within a brick alone: make one identifier of release, brickid and objid",
        "its g, r, i and z are those of DECam, or of BASS and MzLS, not SDSS's",
    ),
)
# https://galex.stsci.edu/GR6, schema browser: PhotoObjAll; and the source catalogues at MAST.
GALEX = _Convention(
    "GALEX",
    ("fuv_mag", "nuv_mag", "fuv_flux", "nuv_flux", "fuvmag", "nuvmag"),
    (),
    ("galex_id", "objid", "ggoid"),
    (),
    notes=("FUV and NUV are taken by no model of ugriz: match the galaxies with a table of these",),
)
CONVENTIONS = (NSA, SDSS, LEGACY, GALEX)
# What measures a part of a galaxy, or a point.
APERTURES = re.compile(r"(?i)(fiber|fibre|psf|aper|apflux|apmag)")
# The letter of a band that stands alone: mag_u, uMag, MAG_U, magU.
U_ALONE = re.compile(
    r"(?<![A-Za-z])[uU](?![A-Za-z])|(?<![A-Za-z])u(?=[A-Z])|(?<=[a-z])U(?![A-Za-z])"
)
NO_PHOTOMETRY = re.compile(r"(?i)(err|ivar|sig|unc|^e_|ext|magk|kcorr|snr|flag|absmag|_abs)")


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
        table: what the table is called.
        convention: whose names these are; empty if they are nobody's that is known here.
        columns: name in a survey to name in the table.
        declared: `unit`, `total` and `dereddened`, as far as the names say them.
        missing: what `from_table` needs and the table does not show.
        notes: what a name cannot say, and what else is there.
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
    """Propose a mapping of columns, from the names in a table alone; nothing is taken by it.

    The names of SDSS (CasJobs and photoObj files), the NASA-Sloan Atlas, the Legacy Surveys
    (Tractor, NOIRLab, DESI) and GALEX are known, in any case of letters. Of other tables, five
    columns are proposed that differ in a u, g, r, i and z alone.

    Arguments:
        table: as `Survey.from_table` takes it.

    Raises:
        SurveyError: the table cannot be read.
    """
    source = table if isinstance(table, SourceTable) else SourceTable(table)
    spelt = {str(name).lower(): str(name) for name in source.names}
    notes, found = [], None
    candidates = [_matches(convention, spelt, source) for convention in CONVENTIONS]
    known = [c for c in candidates if c is not None]
    if known:
        # The one with the most bands; marks alone are none.
        found = max(known, key=lambda match: len(match[1][0][1]) if match[1] else 0)
    if found is None:
        title = ""
        columns, declared, more = {name: name for name in MAGNITUDES}, {}, []
        if not set(MAGNITUDES) <= set(source.names):
            columns, declared, more = _five_alike(source)
        ids, redshifts, ebvs = ("object_id", "id"), ("redshift",), ("ebv", "e_bv")
    else:
        convention, photometry = found
        title = convention.title
        ids, redshifts, ebvs = convention.object_id, convention.redshift, convention.ebv
        columns, declared, more = _of_convention(photometry)
        notes += convention.notes
        notes += [
            f"it has names of {other.title} too" for other, _ in known if other is not convention
        ]
    taken = {column.lower() for column in columns.values()}
    first = {
        name: next((spelt[c] for c in choices if c in spelt and c not in taken), None)
        for name, choices in (
            ("object_id", ids),
            ("ra", ("ra",)),
            ("dec", ("dec",)),
            ("redshift", redshifts),
            ("ebv", ebvs),
        )
    }
    columns = {name: column for name, column in first.items() if column} | columns
    if "z" in taken and first["redshift"] is None:
        notes.append(f"{spelt['z']} is the magnitude in z here, not the redshift")
    if declared.get("dereddened") is False and not first["ebv"]:
        notes.append("Galactic extinction is in the fluxes: E(B-V) is needed as ebv")
    partial = [spelt[name] for name in spelt if APERTURES.search(name)]
    if partial:
        shown = ", ".join(partial[:3]) + (" …" if len(partial) > 3 else "")
        notes.append(f"not of whole galaxies, and not proposed: {shown}")
    missing = [name for name in ("object_id", *MAGNITUDES) if name not in columns]
    if 0 < len(set(MAGNITUDES) & set(missing)) < len(MAGNITUDES):
        absent = ", ".join(name[-1] for name in MAGNITUDES if name in missing)
        left_out = ", ".join(f"{name!r}: None" for name in MAGNITUDES if name in missing)
        notes.append(
            f"it has no {absent}, which models of ugriz need: match it with one that has, or add "
            f"{{{left_out}}} to the columns, with missing_bands=True, for a model of any bands"
        )
    order = dict.fromkeys(("object_id", "ra", "dec", "redshift", "ebv", *MAGNITUDES))
    columns = {name: columns[name] for name in {**order, **columns} if name in columns}
    return Proposal(source.name, title, columns, declared, tuple(missing), (*more, *notes))


def _matches(convention: _Convention, spelt: Mapping, source: SourceTable):
    """The convention and the photometry that is there, most bands first; or `None`."""
    there = []
    for kind in convention.photometry:
        bands = {b: c for b in BANDS if (c := _column(kind.name, b, spelt, source))}
        if len(bands) >= 3:
            errors = {b: c for b in bands if (c := _column(kind.error, b, spelt, source))}
            there.append((kind, bands, errors if len(errors) == len(bands) else {}))
    there.sort(key=lambda match: -len(match[1]))
    is_marked = any(mark in spelt for mark in convention.marks)
    if not is_marked and convention.object_id[0] not in spelt:
        there = [match for match in there if not match[0].is_plain]
    return (convention, there) if there or is_marked else None


def _column(template: str, band: str, spelt: Mapping, source: SourceTable) -> str | None:
    """Name in the table of a template's column for one band, as `from_table` takes it."""
    name, _, index = template.partition("[")
    name = spelt.get(name.format(b=band))
    if name is None:
        return None
    if not index:
        return name if source.length(name) is None else None
    length = 7 if "{f}" in index else 5
    k = BANDS.index(band)
    found = source.length(name) == length
    return f"{name}[{k + length - 5}]" if found else None


def _of_convention(photometry) -> tuple[dict, dict, list[str]]:
    """Columns, what is declared and notes, for the photometry that is there."""
    if not photometry:
        return {}, {}, []
    kind, bands, errors = photometry[0]
    columns = {f"mag_{band}": column for band, column in bands.items()}
    prefix = "ivar" if kind.inverse_variance else "magerr"
    columns |= {f"{prefix}_{band}": column for band, column in errors.items()}
    declared = {"unit": kind.unit, "total": True, "dereddened": kind.dereddened}
    notes = [f"these are {kind.what}"]
    others = dict.fromkeys(
        f"{other.what} ({bands.get('r', next(iter(bands.values())))})"
        for other, bands, _ in photometry[1:]
    )
    notes += [f"there are also {', '.join(others)}"] if others else []
    return columns, declared, notes


def _five_alike(source: SourceTable) -> tuple[dict, dict, list[str]]:
    """Five columns that differ in the letter of the band alone, of a table of unknown names."""
    names = [str(name) for name in source.names]
    found = []
    for name in names:
        for match in U_ALONE.finditer(name):
            start, letter = match.start(), match[0]
            five = {
                band: name[:start] + (band if letter == "u" else band.upper()) + name[start + 1 :]
                for band in BANDS
            }
            if all(names.count(column) == 1 for column in five.values()):
                found.append(five)
    usable = [
        five
        for five in found
        if not APERTURES.search(five["u"]) and not NO_PHOTOMETRY.search(five["u"])
    ]
    if len(usable) != 1:
        several = ", ".join(five["r"] for five in usable)
        return {}, {}, [f"several could be the photometry: {several}"] if several else []
    columns = {f"mag_{band}": column for band, column in usable[0].items()}
    return columns, {}, ["unit, total and dereddened cannot be known from these names"]
