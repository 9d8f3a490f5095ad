"""Anyone's galaxies: a table and cutouts become a survey, and each row refused says why.

`Survey.from_table` is the way in. A row is never repaired: it is used as it stands, converted to
the units of `galcfm.properties`, or listed with the reason.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pandas as pd

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES
from galcfm.survey.cutouts import collect_cutouts
from galcfm.survey.photometry import FLUXES, INVERSE_VARIANCES, UNITS, check_unit, to_magnitudes
from galcfm.survey.rules import SPLITS, SurveyError, assign_split, require_booleans
from galcfm.survey.tables import SourceTable

PROPERTY_ERRORS = tuple(f"{name}_err" for name in PROPERTY_NAMES)
LABELS = (*PROPERTY_NAMES, *PROPERTY_ERRORS, "a_v_balmer")
NEEDED = ("object_id", *MAGNITUDES)
FILLED = ("ra", "dec", "redshift", "ebv")
KNOWN = ("object_id", *FILLED, *MAGNITUDES, *MAGNITUDE_ERRORS, *INVERSE_VARIANCES, *LABELS, "split")
# What a column may hold, inclusive; codes for missing values such as -9999, -99 and 99 lie outside.
RANGES = (
    {"ra": (-180.0, 360.0), "dec": (-90.0, 90.0), "redshift": (-0.01, 20.0), "ebv": (0.0, 10.0)}
    | {p.name: p.plausible for p in PROPERTIES}
    | dict.fromkeys(PROPERTY_ERRORS, (0.0, 20.0))
)
MISSING_CODES = {-9999.0, -999.0, -99.0, -9.0, 99.0, 999.0, 9999.0, -99.9, 99.9, -32768.0}
# Galaxies may be called 99, but not -99. The longest are what integers make of a NaN.
MISSING_IDS = {"null", "none", "nan", "na", "n/a", "<na>", "-", "--", "-9", "-99", "-999", "-9999"}
MISSING_IDS |= {"-9999.0", "-32768", "-2147483648", "-9223372036854775808"}
# 1.23765e+18 and 1237648704043942144.0 were floats, of which 16 digits are right.
LOST_DIGITS = re.compile(r"[+-]?(\d[.,]\d+[eE][+-]?\d+|\d[eE]\+\d+|\d{16,}[.,]0*)", re.ASCII)


def survey_of_table(
    cls,
    table,
    columns: Mapping[str, str | None] | None = None,
    *,
    unit: str,
    total: bool,
    dereddened: bool,
    cutouts=None,
    pixel_scale: float | None = None,
    missing_bands: bool = False,
):
    """Make a survey of your own galaxies.

    Rows that cannot be used are left out and listed in `.rejected` with the reason: values that are
    missing, coded as missing (such as -9999) or not plausible, fluxes that are not positive,
    cutouts that are missing or wrong, and identifiers that occur twice.

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
            structured array, or a dict of arrays. Units and gaps that it declares count. CSV has
            commas, decimal points and a header line; read other dialects with `pandas.read_csv` and
            pass the DataFrame.
        columns: Names in the survey to names in the table; `"flux[2]"` is an element of a column of
            vectors. Columns not named here are taken if the table has them under the survey's own
            name; `None` leaves one out. `object_id` and `mag_u` … `mag_z` (magnitudes or fluxes)
            are needed. Optional are `ra`, `dec` [deg], `redshift`, `ebv`, `magerr_u` … `magerr_z`
            (in the unit of the fluxes) or in their place `ivar_u` … `ivar_z` (inverse variances of
            fluxes), the five properties, their `<property>_err`, `a_v_balmer` and `split`, which is
            assigned if it is missing. `galcfm.survey.conventions` has
            the columns of SDSS, the NASA-Sloan Atlas and the Legacy Surveys.
        unit: Unit of magnitudes or fluxes: `"AB"`, `"nanomaggy"` or `"Jy"`, all on the AB system
            (the zero points of SDSS differ by -0.04 mag in u and 0.02 mag in z); `"asinh"`, AB as
            well, with the softening of SDSS; or `"Vega"`, with the m_AB - m_Vega of Blanton &
            Roweis (2007, AJ 133, 734).
        total: Declaration that the fluxes are those of whole galaxies: model, Petrosian or Sérsic.
            Aperture and fibre fluxes are refused.
        dereddened: Whether the extinction by the Galaxy is already removed; if not, it is removed
            with `ebv`, E(B-V) on the scale of Schlegel et al. (1998), and the coefficients of
            Schlafly & Finkbeiner (2011, ApJ 737, 103).
        cutouts: uint8 `(n, height, width, 3)` with channels i, r, g, one per row; a dict of such
            arrays by `object_id`; a folder with ID.jpg, ID.png, or ID_i.fits, ID_r.fits and
            ID_g.fits; or an HDF5 file with all of them. FITS files may be packed (.fits.gz,
            .fits.fz); they hold nanomaggies per pixel, or as BUNIT says, are turned north up by
            their WCS, and are refused where their middle is not at `ra`, `dec`. Pictures are north
            up, east left. Characters that a file name cannot have are percent-encoded: a%2Fb.jpg is
            the cutout of a/b. Where fluxes do not say their bands, `galcfm.survey.cutouts.Cutouts`
            does.
        pixel_scale: Scale of the cutouts [arcsec/pixel], e.g. 0.262 for the Legacy Surveys; they
            may have any size, and their middle is resampled to 0.396.
        missing_bands: Whether to keep galaxies without some bands (NaN, a code, or an inverse
            variance of 0) for a model with `missing_bands`; a band that the table lacks is mapped
            to `None`. A magnitude or flux with an infinite error is an upper limit of the flux, and
            a flux that is not positive becomes one, at three times its error.

    Raises:
        SurveyError: The table cannot be read, lacks a column or has one of a wrong kind, or no row
            can be used.
    """
    require_booleans(SurveyError, missing_bands=missing_bands)
    pixel_scale = check_declared(unit, total, dereddened, columns, cutouts, pixel_scale)
    source = SourceTable(table)
    chosen = choose_columns(source, columns or {}, unit, missing_bands)
    require_extinction(chosen, dereddened, source.name)
    if not len(source):
        raise SurveyError(f"{source.name} holds no rows: nothing to make a survey of")
    values, reasons = read_columns(source, chosen, unit, missing_bands)
    check_unit(values, unit, source.name)
    to_magnitudes(values, unit, dereddened, reasons, missing_bands)
    object_id = values["object_id"]
    for name in FILLED:
        values.setdefault(name, np.full(len(source), np.nan))
    values["ra"] = values["ra"] % 360
    if "split" in chosen:
        values["split"] = source.texts(chosen["split"])
        for row, split in enumerate(values["split"]):
            if split not in SPLITS:
                reasons[row].append(f"split is {split!r}, not one of {', '.join(SPLITS)}")
    images = None
    if cutouts is not None:
        places = np.column_stack([values["ra"], values["dec"]])
        images = collect_cutouts(cutouts, pixel_scale, object_id, places, reasons, source.name)
    pictured = np.array([not reason for reason in reasons])
    _refuse_repeated(object_id, reasons)
    good = np.array([not reason for reason in reasons])
    rejected = _rejected(reasons, object_id, source.name)
    catalogue = pd.DataFrame({n: np.array(values[n])[good] for n in KNOWN if n in values})
    if images is not None:
        # Some rows with a cutout are refused as the second of one galaxy.
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
    return cls(catalogue, images, parameters, source.name, rejected)


def check_declared(unit, total, dereddened, columns, cutouts, pixel_scale) -> float | None:
    """Refuse wrong declarations; return the scale of the cutouts as a number."""
    if unit not in UNITS:
        raise SurveyError(f"unit is {unit!r}: choose from {', '.join(UNITS)}")
    require_booleans(SurveyError, total=total, dereddened=dereddened)
    if not total:
        raise SurveyError(
            "the models are trained on total fluxes and would take the light outside an aperture "
            "for a fainter galaxy: map model, Petrosian or Sérsic fluxes and pass total=True"
        )
    if not isinstance(columns, Mapping | None):
        raise SurveyError("columns must map names of a survey to names of the table")
    if cutouts is None:
        return None
    if not isinstance(pixel_scale, Real) or not 0 < pixel_scale < 60:
        raise SurveyError("pixel_scale must be the arcsec per pixel of the cutouts, e.g. 0.396")
    return float(pixel_scale)


def require_extinction(chosen: Mapping[str, str], dereddened: bool, where: str) -> None:
    """Refuse a table from which the Galactic extinction cannot be removed."""
    if not dereddened and "ebv" not in chosen:
        raise SurveyError(
            f"{where}: with dereddened=False the Galactic extinction is removed here, which "
            "needs E(B-V): map a column to ebv"
        )


def choose_columns(
    source: SourceTable, columns: Mapping[str, str | None], unit: str, missing_bands: bool = False
) -> dict[str, str]:
    """Return the column of the table for each name in a survey.

    Arguments:
        source: The table.
        columns: Names in a survey to names in the table, `None` for what is left out.
        unit: Declared unit.
        missing_bands: Bands that are mapped to `None` may be missing.

    Raises:
        SurveyError: A column is missing, unknown, or of a group that is not whole.
    """
    for name in columns:
        if name not in KNOWN:
            raise SurveyError(
                f"columns maps {name!r}, which is no column of a survey{_near(name, KNOWN)}"
            )
    chosen = {}
    for name in KNOWN:
        column = columns.get(name, name if name in source.names else None)
        if column is None:
            continue
        if not isinstance(column, str) or not source.has(column):
            raise SurveyError(
                f"{source.name} has no column {column!r}, which columns maps to {name}"
                f"{_near(column, source.names)}"
            )
        chosen[name] = column
    left_out = {name for name in MAGNITUDES if missing_bands and columns.get(name, name) is None}
    if len(left_out) == len(MAGNITUDES):
        raise SurveyError("columns leaves out all bands: one is needed at least")
    spelt = {str(name).lower(): str(name) for name in source.names}
    other = {
        name: spelt[name]
        for name in KNOWN
        if name not in (*chosen, *columns) and spelt.get(name) not in (None, *chosen.values())
    }
    missing = [name for name in NEEDED if name not in (*chosen, *left_out, *other)]
    if missing:
        raise SurveyError(
            f"{source.name} has no {', '.join(missing)}: map columns of yours, or a named index, "
            f"to them, e.g. columns={{{missing[0]!r}: 'its name in the table'}}; it has "
            f"{', '.join(map(str, source.names[:20]))}{' …' * (len(source.names) > 20)}"
        )
    if other:
        raise SurveyError(
            f"{source.name} has {', '.join(map(repr, other.values()))}, spelt otherwise than in a "
            f"survey: map with columns={other}, or to None what is to be left out"
        )
    without = {name[-1] for name in left_out}
    for names in (PROPERTY_NAMES, MAGNITUDE_ERRORS, INVERSE_VARIANCES):
        present = [name for name in names if name in chosen]
        absent = [name for name in names if name not in chosen and name[-1] not in without]
        if present and absent:
            raise SurveyError(
                f"{source.name} has {', '.join(present)} but no {', '.join(absent)}: give all five "
                "or none; columns={'its name': None} leaves one out"
            )
    if "ivar_u" in chosen and ("magerr_u" in chosen or unit not in FLUXES):
        raise SurveyError(
            f"{source.name}: ivar_u … ivar_z are inverse variances of fluxes, in place of "
            f"magerr_u … magerr_z; the unit is {unit}: leave out one or the other"
        )
    return chosen


def _near(name, names) -> str:
    """Return a question that names what could be meant."""
    lower = {str(known).lower(): str(known) for known in names}
    near = difflib.get_close_matches(str(name).lower(), lower, 3, 0.5)
    return f": do you mean {', '.join(repr(lower[n]) for n in near)}?" if near else ""


def read_columns(
    source: SourceTable,
    chosen: Mapping[str, str],
    unit: str,
    missing_bands: bool = False,
    may_lack: Sequence[str] = LABELS,
) -> tuple:
    """Return the values of the chosen columns, and why single rows cannot be used.

    Arguments:
        source: The table.
        chosen: Columns of the table by name in a survey.
        unit: Declared unit.
        missing_bands: Whether bands may be missing.
        may_lack: Names of the columns that may have no value in a row.

    Returns:
        The values by name, fluxes still in their unit; and why each row cannot be used, one list of
        reasons per row.
    """
    reasons: list[list[str]] = [[] for _ in range(len(source))]
    values = {"object_id": _identifiers(source, chosen["object_id"], reasons)}
    read = {"object_id", "split"}
    if missing_bands:
        values |= _bands_with_gaps(source, chosen, unit, reasons)
        read |= {*values, *INVERSE_VARIANCES}
    for name, column in chosen.items():
        if name not in read:
            numbers, no_numbers = source.numbers(name, column, unit)
            gaps = _gaps(numbers, no_numbers, MISSING_CODES) if name in may_lack else False
            values[name] = _usable(name, column, numbers, no_numbers, unit, reasons, gaps)
    return values, reasons


def _gaps(values: np.ndarray, no_numbers, codes) -> np.ndarray:
    """Return which rows have no value, or a code for a missing one."""
    gaps = np.isnan(values) | np.isin(values, list(codes))
    gaps[list(no_numbers)] = False
    return gaps


def _bands_with_gaps(source: SourceTable, chosen, unit: str, reasons) -> dict[str, np.ndarray]:
    """Return magnitudes or fluxes and their errors, NaN where a band is missing.

    The error of an upper limit of the flux is infinite. A flux that is not positive becomes such a
    limit: below three times its error.
    """
    values = {}
    errors = [name for name in (*INVERSE_VARIANCES, *MAGNITUDE_ERRORS) if name in chosen]
    error_of = {name[-1]: name for name in errors}
    for band in BANDS:
        name, error = f"mag_{band}", error_of.get(band)
        limit = np.zeros(len(source), bool)
        values[name] = np.full(len(source), np.nan)
        if errors:
            values[f"magerr_{band}"] = np.full(len(source), np.nan)
        if name not in chosen:
            continue
        x, no_numbers = source.numbers(name, chosen[name], unit)
        # A flux of -9 or -99 may be one, if its error says so.
        codes = [code for code in MISSING_CODES if unit not in FLUXES or code <= -999]
        missing = _gaps(x, no_numbers, codes)
        if error is not None:
            given, no_errors = source.numbers(error, chosen[error], unit)
            sigma = given
            if error.startswith("ivar"):
                missing |= given == 0
                sigma = np.where(given > 0, given, np.nan) ** -0.5
            else:
                limit = np.isposinf(given) & ~missing
            if unit in FLUXES:
                undetected = (x <= 0) & np.isfinite(x) & (sigma > 0) & np.isfinite(sigma) & ~missing
                x, limit = np.where(undetected, 3 * sigma, x), limit | undetected
            skip = missing | limit
            usable = _usable(error, chosen[error], given, no_errors, unit, reasons, skip)
            sigma = np.where(np.isnan(usable), np.nan, sigma)
            values[f"magerr_{band}"] = np.where(limit, np.inf, sigma)
        values[name] = _usable(name, chosen[name], x, no_numbers, unit, reasons, missing)
    return values


def _identifiers(source: SourceTable, column: str, reasons) -> list[str]:
    """Return identifiers as text; those that are none get a reason."""
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


def _usable(
    name: str, column: str, values: np.ndarray, no_numbers, unit: str, reasons, skip=False
) -> np.ndarray:
    """Return the values of a column, NaN where they cannot be used or skipped; add the reasons.

    Arguments:
        name: Name of the column in a survey.
        column: Name of the column in the table.
        values: Its numbers, `(n,)`.
        no_numbers: Text by row of those that are no numbers.
        unit: Declared unit.
        reasons: One list per row.
        skip: Rows that get no reason, `(n,)`.
    """
    low, high = RANGES.get(name, (-np.inf, np.inf))
    if name in (*MAGNITUDES, *MAGNITUDE_ERRORS, *INVERSE_VARIANCES):
        # A magnitude or flux of exactly 0, or below, is no measurement of a galaxy.
        low, high = np.nextafter(0, 1), np.inf if unit in FLUXES else 40.0
    bad = ~(np.isfinite(values) & (values >= low) & (values <= high)) & ~np.asarray(skip)
    label = name if name == column else f"{name} (column {column!r})"
    for row in np.flatnonzero(bad):
        value = values[row]
        if row in no_numbers:
            reason = f"is {no_numbers[row]!r}, not a number"
        elif np.isnan(value):
            reason = "has no value"
        elif value in MISSING_CODES:
            reason = f"is {value:g}, a code for a missing value"
        elif name in MAGNITUDES and unit in FLUXES:
            reason = f"is {value:g} {unit}: a flux must be positive and finite"
        elif not np.isfinite(high):
            reason = f"is {value:g}: it must be positive and finite"
        else:
            reason = f"is {value:g}, outside [{0 if 0 < low < 1e-300 else low:g}, {high:g}]"
            if name.startswith("log_") and value > 1e4:
                reason += ": its logarithm is needed"
        reasons[row].append(f"{label} {reason}")
    return np.where(bad | skip, np.nan, values)


def _refuse_repeated(object_id: Sequence[str], reasons) -> None:
    """Add a reason to the second row of a galaxy, unless the first one cannot be used."""
    first_row: dict[str, int] = {}
    for row, name in enumerate(object_id):
        if not reasons[row] and first_row.setdefault(name, row) != row:
            reasons[row].append(f"object_id {name!r} occurs twice: row {first_row[name]} is used")


def _rejected(reasons, object_id, where: str) -> pd.DataFrame:
    """Return the rows that cannot be used; raise if none can."""
    rows = [
        (row, storable(object_id[row]), storable("; ".join(reason)))
        for row, reason in enumerate(reasons)
        if reason
    ]
    rejected = pd.DataFrame(rows, columns=["row", "object_id", "reason"]).astype({"row": int})
    if len(rows) == len(reasons):
        row, name, reason = rows[0]
        raise SurveyError(
            f"{where}: {len(rows)} of {len(rows)} rows cannot be used, the first of them row {row} "
            f"(object_id {name!r}): {reason}; correct them"
        )
    return rejected


def storable(text: str) -> str:
    """Return text that a file takes: a half of a character is written as its code."""
    return text.encode(errors="backslashreplace").decode()
