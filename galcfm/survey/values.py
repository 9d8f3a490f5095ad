"""Rules for usable values, the same for tables and for arrays that a model is given.

A value is never repaired: it is used unchanged, or it is missing, or its row gets a reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from galcfm.properties import BANDS, PROPERTIES, Property
from galcfm.survey.photometry import FLUXES, require_measured

# Inclusive ranges of columns; codes for missing values such as -9999, -99 and 99 are outside.
RANGES = {"ra": (-180, 360), "dec": (-90, 90), "redshift": (-0.01, 20), "ebv": (0, 10)}
LARGEST_ERROR = 20.0  # of a property, unless its plausible range is wider
OF_BANDS = ("mag_", "magerr_", "ivar_")  # beginnings of the columns of bands
FAINTEST = 40.0  # mag, limit of a magnitude or its error
MISSING_CODES = {-9999.0, -999.0, -99.0, -9.0, 99.0, 999.0, 9999.0, -99.9, 99.9, -32768.0}


@dataclass(frozen=True)
class Cells:
    """Values of a column.

    Arguments:
        numbers: Values, float64 `(n,)`, NaN where there is no number.
        label: Name in messages.
        no_numbers: Text by row of the cells that are not numbers.
    """

    numbers: np.ndarray
    label: str
    no_numbers: Mapping[int, str] = field(default_factory=dict)

    def gaps(self, codes=MISSING_CODES) -> np.ndarray:
        """Return a mask of the rows with no value or a code for a missing value."""
        gaps = np.isnan(self.numbers) | np.isin(self.numbers, list(codes))
        gaps[list(self.no_numbers)] = False
        return gaps


def ranges_of(properties: Sequence[Property] = PROPERTIES) -> dict[str, tuple[float, float]]:
    """Return the inclusive ranges of all columns except those of bands, by name."""
    errors = {f"{p.name}_err": (0.0, max(LARGEST_ERROR, np.ptp(p.plausible))) for p in properties}
    return RANGES | {p.name: p.plausible for p in properties} | errors


def checked_photometry(
    magnitudes, errors=None, *, missing_bands: bool = False, bands: Sequence[str] = BANDS
) -> tuple:
    """Return AB magnitudes and errors after the checks that `Survey.from_table` makes.

    Arguments:
        magnitudes: AB magnitudes, float64, one column per band, `(n, 5)` by default.
        errors: Errors of the magnitudes, float64, of the same shape, or `None`.
        missing_bands: Whether bands may be missing (NaN or a code such as -9999 or 99) and errors
            may be infinite, which marks an upper limit of the flux.
        bands: Names of the bands, by default u, g, r, i, z.

    Returns:
        Magnitudes, NaN where a band is missing; errors or `None`; and a dictionary of the reasons
        why rows cannot be used, by row.
    """
    columns, of_errors = ([f"{kind}_{band}" for band in bands] for kind in ("mag", "magerr"))
    given = dict(zip(columns, magnitudes.T, strict=True))
    given |= {} if errors is None else dict(zip(of_errors, errors.T, strict=True))
    # This test is fast in the usual case of complete photometry.
    if all(((x > 0) & (x <= FAINTEST)).all() for x in given.values()):
        return magnitudes, errors, {}
    reasons: list[list[str]] = [[] for _ in magnitudes]
    cells = {name: Cells(x, name) for name, x in given.items()}
    if missing_bands:
        values = usable_bands(cells.get, "AB", reasons, bands)
        require_measured(values, reasons, bands)
    else:
        values = {name: usable(name, column, "AB", reasons) for name, column in cells.items()}
    magnitudes = np.stack([values[name] for name in columns], axis=1)
    if errors is not None:
        errors = np.stack([values[name] for name in of_errors], axis=1)
    return magnitudes, errors, {row: "; ".join(said) for row, said in enumerate(reasons) if said}


def usable_bands(
    read: Callable[[str], Cells | None], unit: str, reasons: list[list[str]], bands=BANDS
) -> dict[str, np.ndarray]:
    """Return magnitudes or fluxes and their errors, NaN where a band is missing.

    The error of an upper limit of the flux is infinite. A flux that is not positive becomes an
    upper limit of three times its error.

    Arguments:
        read: Function that returns a column by its name in a survey, `None` if it is missing.
        unit: Declared unit of magnitudes or fluxes.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        bands: Names of the bands.
    """
    values, n, has_errors = {}, len(reasons), False
    for band in bands:
        name, names = f"mag_{band}", (f"ivar_{band}", f"magerr_{band}")
        error, of_error = next(((e, c) for e in names if (c := read(e)) is not None), (None, None))
        values[name], values[names[1]] = np.full((2, n), np.nan)
        if (column := read(name)) is None:
            continue
        x, limit = column.numbers, np.zeros(n, bool)
        # A flux of -9 or -99 may be a measured value.
        codes = [code for code in MISSING_CODES if unit not in FLUXES or code <= -999]
        missing = column.gaps(codes)
        if error is not None:
            has_errors = True
            given = sigma = of_error.numbers
            if error.startswith("ivar"):
                missing |= given == 0
                sigma = np.where(given > 0, given, np.nan) ** -0.5
            else:
                limit = np.isposinf(given) & ~missing
            if unit in FLUXES:
                undetected = (x <= 0) & np.isfinite(x) & (sigma > 0) & np.isfinite(sigma) & ~missing
                x, limit = np.where(undetected, 3 * sigma, x), limit | undetected
            good = usable(error, of_error, unit, reasons, missing | limit)
            sigma = np.where(np.isnan(good), np.nan, sigma)
            values[names[1]] = np.where(limit, np.inf, sigma)
        column = Cells(x, column.label, column.no_numbers)
        values[name] = usable(name, column, unit, reasons, missing)
    return {name: x for name, x in values.items() if has_errors or name.startswith("mag_")}


def usable(
    name: str, column: Cells, unit: str, reasons: list[list[str]], skip=False, ranges=RANGES
) -> np.ndarray:
    """Return the values of a column, NaN where they are skipped or unusable, and add the reasons.

    Arguments:
        name: Name of the column in a survey.
        column: Values of the column.
        unit: Declared unit of magnitudes or fluxes.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        skip: Mask of the rows that get no reason, `(n,)`.
        ranges: Inclusive ranges of columns by name; the others may have any finite value.
    """
    values, (low, high) = column.numbers, ranges.get(name, (-np.inf, np.inf))
    if name.startswith(OF_BANDS):
        # A magnitude or flux of exactly 0, or below, is not a measurement of a galaxy.
        low, high = np.nextafter(0, 1), np.inf if unit in FLUXES else FAINTEST
    bad = ~(np.isfinite(values) & (values >= low) & (values <= high)) & ~np.asarray(skip)
    for row in np.flatnonzero(bad):
        value = values[row]
        if row in column.no_numbers:
            reason = f"is {column.no_numbers[row]!r}, not a number"
        elif np.isnan(value):
            reason = "has no value"
        elif value in MISSING_CODES:
            reason = f"is {value:g}, a code for a missing value"
        elif name.startswith("mag_") and unit in FLUXES:
            reason = f"is {value:g} {unit}: a flux must be positive and finite"
        elif not np.isfinite(high):
            reason = f"is {value:g}: it must be positive and finite"
        else:
            reason = f"is {value:g}, outside {'(0' if 0 < low < 1e-300 else f'[{low:g}'}, {high:g}]"
            if name.startswith("log_") and value > 1e4:
                reason += ": give the logarithm"
        reasons[row].append(f"{column.label} {reason}")
    return np.where(bad | skip, np.nan, values)
