"""Surveys from users' tables and cutouts; each rejected row is listed with the reason.

Call `Survey.from_table`. A row is never repaired: it is used unchanged, in the units of
`galcfm.properties`, or rejected with a reason.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from numbers import Real

import numpy as np
import pandas as pd

from galcfm.properties import SDSS, Declaration, Property
from galcfm.survey.cutouts import collect_cutouts
from galcfm.survey.embeddings import collect_embeddings
from galcfm.survey.photometry import FLUXES, SPELLINGS, check_bands, check_unit, to_magnitudes
from galcfm.survey.rules import SPLITS, SurveyError, assign_split, require_booleans
from galcfm.survey.tables import SourceTable
from galcfm.survey.values import Cells, ranges_of, usable, usable_bands

FILLED = ("ra", "dec", "redshift", "ebv")
# A galaxy may be called 99, but not -99. The longest codes are NaN converted to integers.
MISSING_IDS = {"null", "none", "nan", "na", "n/a", "<na>", "-", "--", "-9", "-99", "-999", "-9999"}
MISSING_IDS |= {"-9999.0", "-32768", "-2147483648", "-9223372036854775808"}
# 1.23765e+18 and 1237648704043942144.0 were floats, which have at most 16 correct digits.
LOST_DIGITS = re.compile(r"[+-]?(\d[.,]\d+[eE][+-]?\d+|\d[eE]\+\d+|\d{16,}[.,]0*)", re.ASCII)


def survey_of_table(
    cls,
    table,
    columns: Mapping[str, str | None] | None = None,
    *,
    unit: str,
    total: bool,
    dereddened: bool,
    bands: Sequence[str] | None = None,
    properties: Sequence[Property] | None = None,
    cutouts=None,
    pixel_scale: float | None = None,
    missing_bands: bool = False,
    embeddings: Mapping | None = None,
):
    """Make a survey of your own galaxies.

    Rows that cannot be used are left out and listed in `.rejected` with the reason. Reasons are
    values that are missing, coded as missing (such as -9999) or not plausible, fluxes that are not
    positive, cutouts or embeddings that are missing or unusable, and identifiers that occur twice.
    Positions, redshifts and properties may be missing, and E(B-V) where it is not needed.

    Example:
        ::

            survey = Survey.from_table(
                "my_galaxies.fits",
                {"object_id": "ID", "ebv": "EBV", "redshift": "Z"}
                | {f"mag_{band}": f"FLUX_{band.upper()}" for band in "ugriz"},
                unit="nanomaggy", total=True, dereddened=False,
                cutouts="my_cutouts", pixel_scale=0.396,
            )
            print(survey.rejected)
            survey.save("data/surveys/mine")
            posteriors = Posterior.load("data/runs/quick/image").infer(survey)

    Arguments:
        table: Path of a FITS, Parquet, CSV, ECSV, VOTable or HDF5 file; a DataFrame, an astropy
            Table, a FITS extension or its records, an HDF5 group or dataset, an Arrow table, a
            structured array, or a dict of arrays. Stated units and masks are used. A CSV file needs
            commas, decimal points and a header line; read other variants with `pandas.read_csv` and
            pass the DataFrame.
        columns: Dictionary from names in the survey to names in the table; `"flux[2]"` is an
            element of a column of vectors. Columns not named here are used if the table has them
            under the name in the survey; `None` leaves a column out. `object_id` and `mag_<band>`
            (magnitudes or fluxes, which may also be called `flux_<band>`) are needed. Optional are
            `ra`, `dec` [deg], `redshift`, `ebv`, `magerr_<band>` (in the unit of the fluxes) or
            instead `ivar_<band>` (inverse variances of fluxes), the properties, their
            `<property>_err`, `a_v_balmer` and `split`, which is assigned if it is missing.
            `galcfm.survey.conventions` lists the columns of SDSS, the NASA-Sloan Atlas, the Legacy
            Surveys and DESI.
        unit: Unit of magnitudes or fluxes: `"AB"`, `"nanomaggy"` (or `"nanomaggies"`, `"nmgy"`) or
            `"Jy"`, all on the AB system (the zero points of SDSS differ by −0.04 mag in u and 0.02
            mag in z); `"asinh"`, AB as well, with the softening of SDSS; or `"Vega"`, with the
            m_AB - m_Vega of Blanton & Roweis (2007, AJ 133, 734). The last two are known for u, g,
            r, i and z of SDSS.
        total: Declaration that the fluxes are total fluxes of galaxies: model, Petrosian or Sérsic.
            Aperture and fibre fluxes are refused.
        dereddened: Whether the Galactic extinction is already removed; if not, it is removed with
            `ebv`, E(B-V) on the scale of Schlegel et al. (1998), and the coefficients of Schlafly &
            Finkbeiner (2011, ApJ 737, 103) for u, g, r, i and z of SDSS, or those of the Legacy
            Surveys for W1 and W2.
        bands: Names of the bands, by default u, g, r, i, z, e.g. `("g", "r", "z", "W1")`. A model
            takes the bands on which it was trained.
        properties: Properties with a column in the table, by default the five of SDSS, which the
            table may lack. The redshift may be one of them.
        cutouts: Images, uint8 `(n, height, width, 3)` with channels i, r, g, one per row; a dict of
            such arrays by `object_id`; a folder with ID.jpg, ID.png, or ID_i.fits, ID_r.fits and
            ID_g.fits; or an HDF5 file with all of them. Images are north up, east left. FITS files
            may be compressed (.fits.gz, .fits.fz); their unit is nanomaggies per pixel unless BUNIT
            states another; they are rotated to north up with their WCS, and are refused if their
            centre is not at `ra`, `dec`. Characters that a file name cannot have are
            percent-encoded: a%2Fb.jpg is the cutout of a/b. Use `galcfm.survey.cutouts.Cutouts`
            for fluxes if the files do not state their bands, and for linear cutouts of any bands.
        pixel_scale: Scale of the cutouts [arcsec/pixel], e.g. 0.262 for the Legacy Surveys. Cutouts
            may have any size; their central part is resampled to 0.396, unless they are linear.
        missing_bands: Whether to keep galaxies without some bands (NaN, a code, or an inverse
            variance of 0) for a model with `missing_bands`; map a band that the table lacks to
            `None`. A magnitude or flux with an infinite error is an upper limit of the flux, and a
            flux that is not positive becomes an upper limit of three times its error.
        embeddings: Dictionary from names to `galcfm.survey.embeddings.Embeddings`, features that
            another model computed: a column of vectors, an array, or a file that is matched by
            `object_id`, and the name of the model.

    Raises:
        SurveyError: The table cannot be read, a column is missing or has a wrong type, or no row
            can be used.
        DeclarationError: A band, property or embedding has an impossible name, a band or property
            occurs twice, or an embedding has no name of its model.
    """
    require_booleans(SurveyError, missing_bands=missing_bands)
    declaration = _declaration(bands, properties)
    unit, pixel_scale = check_declared(unit, total, dereddened, columns, cutouts, pixel_scale)
    check_bands(declaration.bands, unit, dereddened)
    source = SourceTable(table)
    needed = () if properties is None else declaration.property_names
    chosen = choose_columns(source, columns or {}, unit, missing_bands, declaration, needed)
    require_extinction(chosen, dereddened, source.name)
    if not len(source):
        raise SurveyError(f"{source.name} has no rows: give a table with galaxies")
    may_lack = FILLED[: 4 if dereddened else 3]
    values, reasons = read_columns(source, chosen, unit, missing_bands, may_lack, declaration)
    check_unit(values, unit, source.name, declaration)
    to_magnitudes(values, unit, dereddened, reasons, missing_bands, declaration.bands)
    object_id = values["object_id"]
    for name in FILLED:
        values.setdefault(name, np.full(len(source), np.nan))
    values["ra"] = values["ra"] % 360
    if "split" in chosen:
        values["split"] = source.texts(chosen["split"])
        for row, split in enumerate(values["split"]):
            if split not in SPLITS:
                reasons[row].append(f"split is {split!r}, not one of {', '.join(SPLITS)}")
    found, features = collect_embeddings(embeddings or {}, source, object_id, reasons)
    declaration = replace(declaration, embeddings=found)
    images = None
    if cutouts is not None:
        places = np.column_stack([values["ra"], values["dec"]])
        given = cutouts, pixel_scale, object_id, places, reasons, source.name
        images, declaration = collect_cutouts(*given, declaration)
    pictured = np.array([not reason for reason in reasons])
    _refuse_repeated(object_id, reasons)
    good = np.array([not reason for reason in reasons])
    rejected = _rejected(reasons, object_id, source.name)
    known = [name for name in columns_of(declaration) if name in values]
    catalogue = pd.DataFrame({name: np.array(values[name])[good] for name in known})
    if images is not None:
        # Some rows with a cutout are rejected because they repeat a galaxy.
        images = images if good.sum() == len(images) else images[good[pictured]]
    if "split" not in catalogue:
        catalogue["split"] = assign_split(catalogue["object_id"], validation=0.1, test=0.1)
    parameters = {
        "kind": "table",
        "source": source.name,
        "columns": {name: str(column) for name, column in chosen.items()},
        "unit": unit,
        "dereddened": bool(dereddened),
        "pixel_scale": pixel_scale,
        "rows": len(source),
        "rejected": len(rejected),
    } | ({"missing_bands": True} if missing_bands else {})
    if declaration != SDSS:
        parameters["declaration"] = declaration.content
    features = {name: x if good.all() else x[good] for name, x in features.items()}
    return cls(catalogue, images, parameters, source.name, rejected, features)


def _declaration(bands, properties) -> Declaration:
    """Return what a table has.

    Raises:
        SurveyError: The bands are no names, or the properties are none.
        DeclarationError: The declaration is impossible.
    """
    given = {"bands": bands, "properties": properties}
    try:
        return Declaration(**{name: value for name, value in given.items() if value is not None})
    except (TypeError, AttributeError) as error:
        raise SurveyError(
            f"bands is {bands!r} and properties is {properties!r}: give a list of names, and a "
            "list of galcfm.properties.Property, or leave them out"
        ) from error


def labels_of(declaration: Declaration) -> tuple[str, ...]:
    """Return the columns of the properties and of their errors; A_V has a second estimate."""
    names = declaration.property_names
    return (*names, *(f"{name}_err" for name in names), *["a_v_balmer"] * ("a_v" in names))


def columns_of(declaration: Declaration) -> tuple[str, ...]:
    """Return the columns that a table may have, in the order of a catalogue."""
    of_bands = (declaration.magnitudes, declaration.magnitude_errors, declaration.inverse_variances)
    names = ("object_id", *FILLED, *chain(*of_bands), *labels_of(declaration), "split")
    # The redshift may be a property.
    return tuple(dict.fromkeys(names))


def check_declared(unit, total, dereddened, columns, cutouts, pixel_scale) -> tuple:
    """Check the declarations; return the unit by its usual name and the scale as a number.

    Raises:
        SurveyError: A declaration is missing or wrong.
    """
    given, unit = unit, SPELLINGS.get(str(unit).lower())
    if unit is None:
        known = ", ".join(dict.fromkeys(SPELLINGS.values()))
        raise SurveyError(f"unit is {given!r}: choose from {known}")
    require_booleans(SurveyError, total=total, dereddened=dereddened)
    if not total:
        raise SurveyError(
            "the models are trained on total fluxes, and aperture fluxes would look like fainter "
            "galaxies: map model, Petrosian or Sérsic fluxes and pass total=True"
        )
    if not isinstance(columns, Mapping | None):
        raise SurveyError("columns is not a dict: map names in a survey to names in the table")
    if cutouts is None:
        return unit, None
    if not isinstance(pixel_scale, Real) or not 0 < pixel_scale < 60:
        raise SurveyError("give pixel_scale, the arcsec per pixel of the cutouts, e.g. 0.396")
    return unit, float(pixel_scale)


def require_extinction(chosen: Mapping[str, str], dereddened: bool, where: str) -> None:
    """Check that the Galactic extinction is removed, or can be removed with E(B-V).

    Raises:
        SurveyError: E(B-V) is needed, but no column is mapped to it.
    """
    if not dereddened and "ebv" not in chosen:
        raise SurveyError(
            f"{where} has no E(B-V), with which the Galactic extinction is removed if "
            "dereddened=False: map a column to ebv"
        )


def choose_columns(
    source: SourceTable,
    columns: Mapping[str, str | None],
    unit: str,
    missing_bands: bool = False,
    declaration: Declaration = SDSS,
    needed: Sequence[str] = (),
) -> dict[str, str]:
    """Return the column of the table for each name in a survey.

    Arguments:
        source: Table of the user.
        columns: Dictionary from names in a survey to names in the table, or to `None` for a column
            that is left out.
        unit: Declared unit.
        missing_bands: Whether bands that are mapped to `None` may be missing.
        declaration: Bands and properties of the survey.
        needed: Names of columns that are needed, besides identifiers and magnitudes.

    Raises:
        SurveyError: A column is missing, unknown or chosen twice, or a group of columns is
            incomplete.
    """
    known, magnitudes = columns_of(declaration), declaration.magnitudes
    for name in columns:
        if name not in known:
            raise SurveyError(
                f"columns maps {name!r}, which is not a column of a survey{_near(name, known)}; "
                f"a survey has {', '.join(known)}"
            )
    chosen = {}
    for name in known:
        flux = name.replace("mag_", "flux_") if unit in FLUXES else name
        own = next((one for one in (name, flux) if one in source.names), None)
        column = columns.get(name, own)
        if column is None:
            continue
        if not isinstance(column, str) or not source.has(column):
            raise SurveyError(
                f"{source.name} has no column {column!r}, which columns maps to {name}"
                f"{_near(column, source.names)}; the table has {_listed(source.names)}"
            )
        chosen[name] = column
    left_out = {name for name in magnitudes if missing_bands and columns.get(name, name) is None}
    if len(left_out) == len(magnitudes):
        raise SurveyError("columns leaves out all bands: map at least one")
    spelt = {str(name).lower(): str(name) for name in source.names}
    other = {
        name: spelt[name.lower()]
        for name in known
        if name not in (*chosen, *columns)
        and spelt.get(name.lower()) not in (None, *chosen.values())
    }
    needed = ("object_id", *magnitudes, *needed)
    missing = [name for name in needed if name not in (*chosen, *left_out, *other)]
    if missing:
        raise SurveyError(
            f"{source.name} has no {', '.join(missing)}: map columns, or a named index, to these "
            f"names, e.g. columns={{{missing[0]!r}: 'name in the table'}}; the table has "
            f"{_listed(source.names)}"
        )
    if other:
        raise SurveyError(
            f"{source.name} has {', '.join(map(repr, other.values()))}, spelt differently than in "
            f"a survey: pass columns={other}, or map a column to None to leave it out"
        )
    _require_groups(chosen, left_out, unit, declaration, source.name)
    return chosen


def _require_groups(
    chosen: Mapping[str, str], left_out: set[str], unit: str, declaration: Declaration, where: str
) -> None:
    """Check that each group of columns is complete or absent, and that each column is used once.

    Raises:
        SurveyError: A group is incomplete, two groups exclude each other, or a column is chosen for
            two bands or properties.
    """
    magnitudes, properties = declaration.magnitudes, declaration.property_names
    errors, variances = declaration.magnitude_errors, declaration.inverse_variances
    kept = [k for k, name in enumerate(magnitudes) if name not in left_out]
    # Galaxies without labels may have a redshift, even if it is a property.
    groups = [([name for name in properties if name != "redshift"], properties)]
    groups += [(names, [names[k] for k in kept]) for names in (errors, variances)]
    for names, needed in groups:
        present = [name for name in names if name in chosen]
        absent = [name for name in needed if name not in chosen]
        if present and absent:
            raise SurveyError(
                f"{where} has {', '.join(present)} but no {', '.join(absent)}: give all of them or "
                "none; columns={'name': None} leaves a column out"
            )
    given = [name for name in variances if name in chosen]
    if given and (unit not in FLUXES or any(name in chosen for name in errors)):
        raise SurveyError(
            f"{where}: {', '.join(given)} are inverse variances of fluxes, which replace errors "
            f"(magerr_…), and the unit is {unit}: leave out one of the two groups"
        )
    used = {}
    for name in (*magnitudes, *properties):
        if name in chosen and used.setdefault(chosen[name], name) != name:
            raise SurveyError(
                f"{where}: column {chosen[name]!r} is used for {used[chosen[name]]} and for {name}:"
                " map each to a column of its own"
            )


def _listed(names: Sequence) -> str:
    return f"{', '.join(map(str, names[:20]))}{' …' * (len(names) > 20)}"


def _near(name, names) -> str:
    """Return a question with the most similar names, empty if there are none."""
    lower = {str(known).lower(): str(known) for known in names}
    near = difflib.get_close_matches(str(name).lower(), lower, 3, 0.5)
    return f": do you mean {', '.join(repr(lower[n]) for n in near)}?" if near else ""


def read_columns(
    source: SourceTable,
    chosen: Mapping[str, str],
    unit: str,
    missing_bands: bool = False,
    may_lack: Sequence[str] = (),
    declaration: Declaration = SDSS,
) -> tuple:
    """Return the values of the chosen columns, and the reasons why rows cannot be used.

    Arguments:
        source: Table of the user.
        chosen: Columns of the table by name in a survey.
        unit: Declared unit.
        missing_bands: Whether bands may be missing.
        may_lack: Names of the columns, besides labels, that may have no value in a row.
        declaration: Bands and properties of the survey.

    Returns:
        Values by name, with fluxes still in their unit; and the reasons why each row cannot be
        used, one list per row.
    """
    reasons: list[list[str]] = [[] for _ in range(len(source))]
    values = {"object_id": _identifiers(source, chosen["object_id"], reasons)}

    def read(name: str) -> Cells | None:
        if name not in chosen:
            return None
        column = chosen[name]
        numbers, no_numbers = source.numbers(name, column, unit)
        label = name if name == column else f"{name} (column {column!r})"
        return Cells(numbers, label, no_numbers)

    if missing_bands:
        values |= usable_bands(read, unit, reasons, declaration.bands)
    done = {"split", *values, *(declaration.inverse_variances if missing_bands else ())}
    may_lack, ranges = {*may_lack, *labels_of(declaration)}, ranges_of(declaration.properties)
    for name in chosen:
        if name not in done:
            column = read(name)
            gaps = column.gaps() if name in may_lack else False
            values[name] = usable(name, column, unit, reasons, gaps, ranges)
    return values, reasons


def _identifiers(source: SourceTable, column: str, reasons) -> list[str]:
    """Return identifiers as text; rows with an invalid identifier get a reason."""
    object_id = source.texts(column)
    for row, name in enumerate(object_id):
        if not name:
            reasons[row].append(f"no object_id (column {column!r})")
        elif storable(name) != name or re.search(r"[\x00-\x1f\x7f]", name):
            reasons[row].append("object_id is not valid text")
        elif name.lower() in MISSING_IDS:
            reasons[row].append(f"object_id is {name!r}, a code for a missing value")
        elif LOST_DIGITS.fullmatch(name):
            reasons[row].append(f"object_id is {name}: a spreadsheet has lost its digits")
    return object_id


def _refuse_repeated(object_id: Sequence[str], reasons) -> None:
    """Add a reason to each row that repeats the identifier of an earlier usable row."""
    first_row: dict[str, int] = {}
    for row, name in enumerate(object_id):
        if not reasons[row] and first_row.setdefault(name, row) != row:
            reasons[row].append(f"object_id {name!r} occurs twice: row {first_row[name]} is used")


def _rejected(reasons, object_id, where: str) -> pd.DataFrame:
    """Return a table of the rows that cannot be used.

    Raises:
        SurveyError: No row can be used.
    """
    rows = [
        (row, storable(object_id[row]), storable("; ".join(reason)))
        for row, reason in enumerate(reasons)
        if reason
    ]
    kinds = {"row": int, "object_id": str, "reason": str}
    rejected = pd.DataFrame(rows, columns=list(kinds)).astype(kinds)
    if len(rows) == len(reasons):
        row, name, reason = rows[0]
        raise SurveyError(
            f"{where}: {len(rows)} of {len(rows)} rows cannot be used, the first is row {row} "
            f"(object_id {name!r}): {reason}; correct the rows"
        )
    return rejected


def storable(text: str) -> str:
    """Return text that can be encoded as UTF-8; a lone surrogate is written as its code."""
    return text.encode(errors="backslashreplace").decode()
