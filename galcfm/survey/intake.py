"""Anyone's galaxies: a table and cutouts become a survey, and each row refused says why.

`Survey.from_table` is the way in. A row is never repaired: it is used as it stands, converted to
the units of `galcfm.properties`, or listed with the reason.
"""

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from galcfm.properties import (
    BANDS,
    EXTINCTION,
    MAGNITUDE_ERRORS,
    MAGNITUDES,
    PROPERTIES,
    PROPERTY_NAMES,
)
from galcfm.survey.conventions import propose_columns
from galcfm.survey.cutouts import collect_cutouts, warn_of_reversed_channels
from galcfm.survey.rules import SPLITS, SurveyError, assign_split, require_booleans
from galcfm.survey.tables import INVERSE_VARIANCES, SourceTable

__all__ = [
    "SOFTENING",
    "UNITS",
    "VEGA_OFFSET",
    "check_declared",
    "check_unit",
    "choose_columns",
    "declared_unit",
    "read_columns",
    "require_extinction",
    "storable",
    "take_in",
    "to_magnitudes",
]

# Magnitude of one unit of flux (Oke & Gunn 1983, ApJ 266, 713: 0 mag AB is 3631 Jy).
FLUXES = {"nanomaggy": 22.5, "Jy": 2.5 * np.log10(3631)}
# Softening of SDSS's asinh magnitudes, in units of 3631 Jy (Lupton, Gunn & Szalay 1999, AJ 118,
# 1406; https://www.sdss.org/dr17/algorithms/magnitudes, "asinh magnitude softening parameters").
SOFTENING = dict(zip(BANDS, (1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10), strict=True))
# m_AB - m_Vega of SDSS's bands: Blanton & Roweis (2007, AJ 133, 734), table 1.
VEGA_OFFSET = dict(zip(BANDS, (0.91, -0.08, 0.16, 0.37, 0.54), strict=True))
# Units, and for magnitudes of these kinds a number a band.
UNITS = {"AB": None, "nanomaggy": None, "Jy": None, "asinh": SOFTENING, "Vega": VEGA_OFFSET}
LABELS = (*PROPERTY_NAMES, *(f"{name}_err" for name in PROPERTY_NAMES), "a_v_balmer")
# Of half of the galaxies of a table, at most: median magnitudes in r, and the median u − z.
BRIGHTEST, FAINTEST, BLUEST = 6.0, 30.0, 0.35
PROPERTY_ERRORS = tuple(f"{name}_err" for name in PROPERTY_NAMES)
NEEDED = ("object_id", *MAGNITUDES)
FILLED = ("ra", "dec", "redshift", "ebv")
# What a column may hold, inclusive; codes for missing values such as -9999, -99 and 99 lie outside.
RANGES = (
    {"ra": (-180.0, 360.0), "dec": (-90.0, 90.0), "redshift": (-0.01, 20.0), "ebv": (0.0, 10.0)}
    | {p.name: p.plausible for p in PROPERTIES}
    | {f"{p.name}_err": (0.0, 20.0) for p in PROPERTIES}
)
MISSING_CODES = {-9999.0, -999.0, -99.0, -9.0, 99.0, 999.0, 9999.0, -99.9, 99.9, -32768.0}
# Galaxies may be called 99, but not -99. The longest are what integers make of a NaN.
MISSING_IDS = {"null", "none", "nan", "na", "n/a", "<na>", "-", "--", "-9", "-99", "-999", "-9999"}
MISSING_IDS |= {"-9999.0", "-32768", "-2147483648", "-9223372036854775808"}
# 1.23765e+18 and 1237648704043942144.0 were floats, of which 16 digits are right.
LOST_DIGITS = re.compile(r"[+-]?(\d[.,]\d+[eE][+-]?\d+|\d[eE]\+\d+|\d{16,}[.,]0*)", re.ASCII)


def take_in(
    table, columns, *, unit, total, dereddened, cutouts, pixel_scale, missing_bands, strict
) -> tuple[pd.DataFrame, np.ndarray | None, dict, str, pd.DataFrame]:
    """Catalogue, images, parameters, name and rejected rows of a table: see `Survey.from_table`."""
    unit, by_band = declared_unit(unit)
    require_booleans(SurveyError, missing_bands=missing_bands)
    pixel_scale = check_declared(total, dereddened, strict, columns, cutouts, pixel_scale)
    source = SourceTable(table)
    chosen = choose_columns(source, columns or {}, unit, missing_bands)
    require_extinction(chosen, dereddened, source.name)
    n = len(source)
    if n == 0:
        raise SurveyError(f"{source.name} holds no rows: nothing to make a survey of")

    values, reasons, no_labels = read_columns(source, chosen, unit, missing_bands)
    object_id = values["object_id"]
    check_unit(values, unit, source.name)
    to_magnitudes(values, unit, by_band, dereddened, reasons, missing_bands)
    for name in FILLED:
        values.setdefault(name, np.full(n, np.nan))
    if "split" in chosen:
        values["split"] = source.texts(chosen["split"])
        for row, split in enumerate(values["split"]):
            if split not in SPLITS:
                reasons[row].append(f"split is {split!r}, not one of {', '.join(SPLITS)}")
    images = None
    if cutouts is not None:
        positions = np.column_stack([values["ra"], values["dec"]])
        images = collect_cutouts(cutouts, pixel_scale, object_id, positions, reasons, source.name)
    # Of two rows of one galaxy the second is used where the first cannot be.
    pictured = np.array([not reason for reason in reasons])
    first_row: dict[str, int] = {}
    for row, name in enumerate(object_id):
        if not reasons[row] and first_row.setdefault(name, row) != row:
            reasons[row].append(f"object_id {name!r} occurs twice: row {first_row[name]} is used")
    rejected = _rejected(reasons, object_id, strict, source.name)
    good = np.array([not reason for reason in reasons])
    if images is not None and len(images) > good.sum():
        images = images[good[pictured]]
    _tell_of_labels(no_labels, object_id, good, strict, source.name)

    order = ("object_id", *FILLED, *MAGNITUDES, *MAGNITUDE_ERRORS)
    order += (*PROPERTY_NAMES, *PROPERTY_ERRORS, "a_v_balmer", "split")
    values["ra"] = values["ra"] % 360
    for name in {"object_id", "split"} & set(values):
        values[name] = np.array(values[name], dtype=object)
    catalogue = pd.DataFrame({name: values[name][good] for name in order if name in values})
    if images is not None:
        warn_of_reversed_channels(catalogue, images, source.name)
    if "split" not in catalogue:
        catalogue["split"] = assign_split(catalogue["object_id"], validation=0.1, test=0.1)
    parameters = {
        "kind": "table",
        "source": source.name,
        "columns": {name: str(column) for name, column in chosen.items()},
        "unit": unit if by_band in (None, UNITS[unit]) else {unit: by_band},
        "dereddened": bool(dereddened),
        "pixel_scale": pixel_scale,
        "rows": n,
        "rejected": len(rejected),
    }
    if missing_bands:
        parameters["missing_bands"] = True
    return catalogue, images, parameters, source.name, rejected


def declared_unit(unit) -> tuple[str, dict | None]:
    """Name of the unit, and the number of each band that belongs to it."""
    given = None
    if isinstance(unit, Mapping) and len(unit) == 1:
        (unit, given), *_ = unit.items()
    if str(unit) not in UNITS:
        raise SurveyError(f"unit is {unit!r}: choose from {', '.join(UNITS)}")
    unit, by_band = str(unit), UNITS[str(unit)]
    if given is None:
        return unit, by_band
    what = {"asinh": "softening b > 0", "Vega": "m_AB - m_Vega"}.get(unit)
    if what is None:
        raise SurveyError(f"unit {unit} takes no numbers: pass unit={unit!r}")
    try:
        numbers = {band: float(given[band]) for band in BANDS}
        good = set(given) == set(BANDS) and np.isfinite(list(numbers.values())).all()
    except (KeyError, TypeError, ValueError):
        good = False
    if not good or (unit == "asinh" and min(numbers.values()) <= 0):
        raise SurveyError(
            f"unit {unit} is given {given!r}: the {what} of each band is needed, such as {by_band}"
        )
    return unit, numbers


def check_declared(total, dereddened, strict, columns, cutouts, pixel_scale) -> float | None:
    """Refuse what is declared wrongly; the scale of the cutouts as a number."""
    require_booleans(SurveyError, total=total, dereddened=dereddened, strict=strict)
    if not total:
        raise SurveyError(
            "the models are trained on total fluxes and would take the light outside an aperture "
            "for a fainter galaxy: map model, Petrosian or Sérsic fluxes and pass total=True"
        )
    if not isinstance(columns, Mapping | None):
        raise SurveyError("columns must map names of a survey to names of the table")
    try:
        pixel_scale = None if cutouts is None else float(pixel_scale)
    except (TypeError, ValueError):
        pixel_scale = np.nan
    if cutouts is not None and not 0 < pixel_scale < 60:
        raise SurveyError("pixel_scale must be the arcsec per pixel of the cutouts, e.g. 0.396")
    return pixel_scale


def require_extinction(chosen: Mapping[str, str], dereddened: bool, where: str) -> None:
    """Refuse a table from which the Galactic extinction cannot be removed."""
    if not dereddened and "ebv" not in chosen:
        raise SurveyError(
            f"{where}: with dereddened=False the Galactic extinction is removed here, which "
            "needs E(B-V): map a column to ebv"
        )


def read_columns(
    source: SourceTable,
    chosen: Mapping[str, str],
    unit: str,
    missing_bands: bool = False,
    may_lack: Sequence[str] = LABELS,
) -> tuple:
    """Values of the chosen columns, each row judged by itself alone.

    Returns:
        The values by name, fluxes still in their unit; why each row cannot be used, a list of
        reasons a row; and the same of what it may lack, labels without which it can be inferred.
    """
    reasons: list[list[str]] = [[] for _ in range(len(source))]
    no_labels: list[list[str]] = [[] for _ in range(len(source))]
    values = {"object_id": _identifiers(source, chosen["object_id"], reasons)}
    read = {"object_id", "split"}
    if missing_bands:
        values |= _bands_with_gaps(source, chosen, unit, reasons)
        read |= {*values, *INVERSE_VARIANCES}
    for name, column in chosen.items():
        if name not in read:
            faults = no_labels if name in may_lack else reasons
            numbers, no_numbers = source.numbers(name, column, unit)
            values[name] = _judged(name, column, numbers, no_numbers, unit, faults)
    return values, reasons, no_labels


def _bands_with_gaps(source: SourceTable, chosen, unit: str, reasons) -> dict[str, np.ndarray]:
    """Magnitudes or fluxes and their errors; NaN where a band is missing, and limits.

    A flux that is not positive becomes a limit: below three times its error.
    """
    n = len(source)
    values = {}
    errors_of = {
        band: error
        for band in BANDS
        for error in (f"magerr_{band}", f"ivar_{band}")
        if error in chosen
    }
    for band in BANDS:
        name, error, limit = f"mag_{band}", errors_of.get(band), np.zeros(n, bool)
        if name not in chosen:
            values[name] = np.full(n, np.nan)
            if errors_of:
                values[f"magerr_{band}"] = np.full(n, np.nan)
            continue
        x, no_numbers = source.numbers(name, chosen[name], unit)
        # A flux of -9 or -99 may be one, if its error says so.
        codes = [code for code in MISSING_CODES if unit not in FLUXES or code <= -999]
        missing = np.isnan(x) | np.isin(x, codes)
        missing[list(no_numbers)] = False
        if error is not None:
            given, no_errors = source.numbers(error, chosen[error], unit)
            if error.startswith("ivar"):
                missing |= given == 0
                sigma = np.where(given > 0, given, np.nan) ** -0.5
            else:
                sigma = given
                limit = np.isposinf(given) & ~missing
            if unit in FLUXES:
                undetected = (x <= 0) & np.isfinite(x) & (sigma > 0) & np.isfinite(sigma)
                undetected &= ~missing
                x, limit = np.where(undetected, 3 * sigma, x), limit | undetected
            judged = _judged(
                error, chosen[error], given, no_errors, unit, reasons, skip=missing | limit
            )
            sigma = np.where(np.isnan(judged), np.nan, sigma)
            values[f"magerr_{band}"] = np.where(limit, np.inf, np.where(missing, np.nan, sigma))
        x = _judged(name, chosen[name], x, no_numbers, unit, reasons, skip=missing)
        values[name] = np.where(missing, np.nan, x)
    return values


def _identifiers(source: SourceTable, column: str, reasons) -> list[str]:
    """Identifiers as text; those that are none get a reason."""
    object_id = source.texts(column)
    for row, name in enumerate(object_id):
        if not name:
            reasons[row].append(f"no object_id (column {column!r})")
        elif not _is_unicode(name):
            reasons[row].append("object_id is not valid text")
        elif name.lower() in MISSING_IDS:
            reasons[row].append(f"object_id is {name!r}, a code for a missing value")
        elif LOST_DIGITS.fullmatch(name):
            reasons[row].append(f"object_id is {name}: a spreadsheet has lost its digits")
    return object_id


def _rejected(reasons, object_id, strict: bool, where: str) -> pd.DataFrame:
    """Table of the rows that cannot be used; an error if none can, or with `strict` any cannot."""
    rows = [row for row, reason in enumerate(reasons) if reason]
    rejected = pd.DataFrame(
        {
            "row": np.array(rows, dtype=int),
            "object_id": pd.Series([storable(object_id[row]) for row in rows], dtype=object),
            "reason": pd.Series([storable("; ".join(reasons[row])) for row in rows], dtype=object),
        }
    )
    some = len(rows) < len(reasons)
    if rows and (strict or not some):
        first = rejected.iloc[0]
        raise SurveyError(
            f"{where}: {len(rows)} of {len(reasons)} rows cannot be used, the first of them row "
            f"{first['row']} (object_id {first['object_id']!r}): {first['reason']}; correct or "
            "remove them" + (", or pass strict=False to leave them out" if some else "")
        )
    return rejected


def choose_columns(
    source: SourceTable, columns: Mapping[str, str | None], unit: str, missing_bands: bool = False
) -> dict[str, str]:
    """Name in galcfm to column of the table; a band that is mapped to None may be missing."""
    known = (*NEEDED, *FILLED, *MAGNITUDE_ERRORS, *INVERSE_VARIANCES)
    known += (*PROPERTY_NAMES, *PROPERTY_ERRORS, "a_v_balmer", "split")
    for name in columns:
        if name not in known:
            hint = difflib.get_close_matches(str(name), known, 1)
            raise SurveyError(
                f"columns maps {name!r}, which is no column of a survey"
                + (f": do you mean {hint[0]!r}?" if hint else f"; those are {', '.join(known)}")
            )
    chosen = {}
    for name in known:
        column = columns.get(name, name if name in source.names else None)
        if column is None:
            continue
        if not isinstance(column, str) or not source.has(column):
            lower = {str(n).lower(): str(n) for n in source.names}
            near = difflib.get_close_matches(str(column).lower(), lower, 3, 0.5)
            near = [lower[n] for n in near]
            raise SurveyError(
                f"{source.name} has no column {column!r}, which columns maps to {name}"
                + (f": do you mean {', '.join(map(repr, near))}?" if near else "")
            )
        chosen[name] = column
    left_out = {name for name in MAGNITUDES if missing_bands and columns.get(name, name) is None}
    if len(left_out) == len(MAGNITUDES):
        raise SurveyError("columns leaves out all bands: one is needed at least")
    missing = [name for name in NEEDED if name not in chosen and name not in left_out]
    if missing:
        others = [name for name in known if name not in (*missing, *chosen, *columns)]
        raise SurveyError(
            f"{source.name} has no {', '.join(missing)}: {_hint(source, missing, others)}; "
            f"it has {', '.join(map(str, source.names[:20]))}"
            + (" …" if len(source.names) > 20 else "")
            + _recognised(source)
        )
    without = {name.removeprefix("mag_") for name in left_out}
    spelt = {str(name).lower(): str(name) for name in source.names}
    passed_over = {
        name: spelt[name]
        for name in known
        if name not in (*chosen, *columns) and spelt.get(name) not in (None, *chosen.values())
    }
    if passed_over:
        raise SurveyError(
            f"{source.name} has {', '.join(map(repr, passed_over.values()))}, spelt otherwise than "
            f"in a survey: map with columns={passed_over}, or to None what is to be left out"
        )
    for names, remedy in (
        (PROPERTY_NAMES, "give all five or none; columns={'its name': None} leaves one out"),
        (MAGNITUDE_ERRORS, "give the errors of all five bands or of none"),
        (INVERSE_VARIANCES, "give those of all five bands or of none"),
    ):
        absent = [name for name in names if name not in chosen and name[-1] not in without]
        if absent and any(name in chosen for name in names):
            present = ", ".join(name for name in names if name in chosen)
            raise SurveyError(f"{source.name} has {present} but no {', '.join(absent)}: {remedy}")
    if "ivar_u" in chosen and ("magerr_u" in chosen or unit not in FLUXES):
        raise SurveyError(
            f"{source.name}: ivar_u … ivar_z are inverse variances of fluxes, in place of "
            f"magerr_u … magerr_z; the unit is {unit}: leave out one or the other"
        )
    return chosen


def _recognised(source: SourceTable) -> str:
    """Where to find a mapping of columns, if the table is like those of a survey."""
    convention = propose_columns(source).convention
    if not convention:
        return ""
    return (
        f"; these are names of {convention}: print(galcfm.survey.propose_columns(table)) shows a "
        "mapping to confirm"
    )


def _hint(source: SourceTable, missing: list[str], others: list[str]) -> str:
    """What to do about columns that are missing; others may be missing."""
    spelt = {str(name).lower(): str(name) for name in source.names}
    if any(name in spelt for name in missing):
        near = ", ".join(repr(spelt[name]) for name in missing if name in spelt)
        columns = {name: spelt[name] for name in (*missing, *others) if name in spelt}
        return f"do you mean {near}? columns={columns}"
    hint = f"map columns of yours to them, e.g. columns={{{missing[0]!r}: 'its name in the table'}}"
    index = getattr(source.table, "index", None)
    if "object_id" in missing and not isinstance(index, pd.RangeIndex | None):
        hint += ", or name the index, if it holds them: table.rename_axis('object_id')"
    return hint


def _judged(
    name: str, column: str, values: np.ndarray, no_numbers, unit: str, reasons, skip=False
) -> np.ndarray:
    """Values of one column; those that cannot be used get a reason, but for those to `skip`."""
    low, high = RANGES.get(name, (-np.inf, np.inf))
    if name in (*MAGNITUDES, *MAGNITUDE_ERRORS, *INVERSE_VARIANCES):
        # A magnitude or flux of exactly 0, or below, is no measurement of a galaxy.
        low = np.nextafter(0, 1)
        high = np.inf if unit in FLUXES else 40.0
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
            reason = f"is {value:g}, outside [{0 if low < 1e-300 and low > 0 else low:g}, {high:g}]"
            if name.startswith("log_") and value > 1e4:
                reason += ": its logarithm is needed"
        reasons[row].append(f"{label} {reason}")
    return np.where(bad, np.nan, values)


def check_unit(values: dict, unit: str, where: str) -> None:
    """Refuse a table whose bulk no galaxies have in the unit that is declared for it."""
    five = np.stack([values[name] for name in MAGNITUDES])
    given = np.isfinite(five).any(axis=1)
    five = five[:, np.isfinite(five[given]).all(axis=0)]
    if not five.size:
        return
    are_fluxes = unit in FLUXES
    magnitudes = FLUXES[unit] - 2.5 * np.log10(five) if are_fluxes else five
    r, colour = np.median(magnitudes[2]), np.median(magnitudes[0] - magnitudes[4])
    flux, likelier = np.median(five[2]), None
    # As fluxes, magnitudes differ little from band to band, and galaxies would be bluest of all.
    if are_fluxes and 8 < flux < 32 and colour < BLUEST:
        likelier = "AB"
    elif not are_fluxes and colour < -1:
        likelier = "nanomaggy"
    elif r < BRIGHTEST - (0 if are_fluxes else 4):
        likelier = "nanomaggy" if are_fluxes else "Jy"
    elif r > FAINTEST:
        likelier = "Jy"
    if likelier is not None and likelier != unit:
        raise SurveyError(
            f"{where}: declared in {unit}, half of the galaxies have r below {r:.1f} mag and "
            f"u − z below {colour:.1f} mag, as no galaxies have; the numbers look like "
            f"{likelier}: pass unit={likelier!r}, or correct the columns"
        )


def _tell_of_labels(no_labels, object_id, good, strict: bool, where: str) -> None:
    """Warn of galaxies that can be inferred, but not be learned from or compared with."""
    rows = [row for row, faults in enumerate(no_labels) if faults and good[row]]
    if not rows:
        return
    row = rows[0]
    text = (
        f"{where}: {len(rows)} of {good.sum()} galaxies lack a label, the first of them row {row} "
        f"(object_id {object_id[row]!r}): {'; '.join(no_labels[row])}"
    )
    text = storable(text)
    gaps = ("has no value", "a code for a missing value")
    implausible = [row for row in rows if not all(f.endswith(gaps) for f in no_labels[row])]
    if len(implausible) == good.sum():
        raise SurveyError(f"{text}; correct the columns, or leave them out: columns={{name: None}}")
    if strict:
        raise SurveyError(f"{text}; correct the labels, or pass strict=False to infer them alone")
    warnings.warn(f"{text}; they are inferred, and not trained on", stacklevel=4)


def to_magnitudes(
    values: dict, unit: str, by_band, dereddened: bool, reasons, missing_bands: bool = False
) -> None:
    """Turn what a table has into AB magnitudes without Galactic extinction, in place."""
    for band in BANDS:
        name, error = f"mag_{band}", f"magerr_{band}"
        if f"ivar_{band}" in values:
            values[error] = values.pop(f"ivar_{band}") ** -0.5
        if unit == "asinh":
            dimmest = _from_asinh(values, name, error, by_band[band], missing_bands)
            for row, magnitude in dimmest.items():
                reasons[row].append(f"{name} is {magnitude:g} asinh mag, which is no positive flux")
        elif unit == "Vega":
            values[name] = values[name] + by_band[band]
        elif unit in FLUXES:
            if error in values:
                values[error] = 2.5 / np.log(10) * values[error] / values[name]
            values[name] = FLUXES[unit] - 2.5 * np.log10(values[name])
        if not dereddened:
            values[name] = values[name] - EXTINCTION[band] * values["ebv"]
        # Comparisons with NaN are false: those rows have their reason already.
        for row in np.flatnonzero((values[name] <= 0) | (values[name] > 40)):
            reasons[row].append(
                f"{name} becomes {values[name][row]:.1f} mag: the unit {unit} cannot be right"
            )
    if missing_bands:
        measured = [
            np.isfinite(values[f"mag_{band}"]) & ~np.isposinf(values.get(f"magerr_{band}", 0.0))
            for band in BANDS
        ]
        for row in np.flatnonzero(~np.any(measured, axis=0)):
            if not reasons[row]:
                reasons[row].append("no band is measured")


def _from_asinh(
    values: dict, name: str, error: str, b: float, missing_bands: bool
) -> dict[int, float]:
    r"""Turn asinh magnitudes into those of Pogson, in place; those without a flux by row.

    With :math:`\sinh x = f / 2b`, where :math:`x = -m \ln 10 / 2.5 - \ln b` (Lupton, Gunn & Szalay
    1999, AJ 118, 1406), an error :math:`\sigma` of the asinh magnitude is one of
    :math:`\sigma / \tanh x` of the other. Where bands may be missing, one without a flux becomes a
    limit, below three times the error of the flux.
    """
    magnitudes = values[name]
    x = -np.log(10) / 2.5 * magnitudes - np.log(b)
    no_flux = x <= 0
    flux = 2 * b * np.sinh(np.where(no_flux, np.nan, x))
    if error in values:
        sigma = values[error]
        values[error] = sigma / np.tanh(np.where(no_flux, np.nan, x))
        if missing_bands:
            limit = no_flux & (sigma > 0) & np.isfinite(sigma)
            flux_error = 2 * b * np.cosh(x) * np.log(10) / 2.5 * sigma
            flux = np.where(limit, 3 * flux_error, flux)
            values[error] = np.where(limit, np.inf, values[error])
            no_flux &= ~limit
    values[name] = -2.5 * np.log10(flux)
    return {int(row): magnitudes[row] for row in np.flatnonzero(no_flux)}


def storable(text: str) -> str:
    """Text that a file takes: a half of a character is written as its code."""
    return text.encode(errors="backslashreplace").decode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    # Nor do files take control characters.
    return not re.search(r"[\x00-\x1f\x7f]", text)
