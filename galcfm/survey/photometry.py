"""Conversion of fluxes and magnitudes to AB magnitudes without Galactic extinction."""

import re
from collections.abc import Mapping

import numpy as np

from galcfm.properties import BANDS, EXTINCTION, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey.rules import SurveyError

# Names under which a table may give 1/error² of fluxes instead of errors.
INVERSE_VARIANCES = tuple(f"ivar_{band}" for band in BANDS)
# Magnitude of one unit of flux (Oke & Gunn 1983, ApJ 266, 713: 0 mag AB is 3631 Jy).
FLUXES = {"nanomaggy": 22.5, "Jy": 2.5 * np.log10(3631)}
# Softening of SDSS's asinh magnitudes, in units of 3631 Jy (Lupton, Gunn & Szalay 1999, AJ 118,
# 1406; https://www.sdss.org/dr17/algorithms/magnitudes, "asinh magnitude softening parameters").
SOFTENING = dict(zip(BANDS, (1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10), strict=True))
# m_AB - m_Vega of the SDSS bands: Blanton & Roweis (2007, AJ 133, 734), table 1.
VEGA_OFFSET = dict(zip(BANDS, (0.91, -0.08, 0.16, 0.37, 0.54), strict=True))
UNITS = ("AB", *FLUXES, "asinh", "Vega")
# Common spellings, in small letters.
SPELLINGS = {name.lower(): name for name in UNITS}
SPELLINGS |= dict.fromkeys(["nanomaggies", "nmgy"], "nanomaggy")
# Spellings of the units of magnitudes in tables, without blanks and brackets.
MAGNITUDE_SPELLINGS = {
    "AB": ("mag", "abmag", "magab"),
    "asinh": ("mag", "asinhmag", "magasinh", "luptitude", "luptitudes"),
    "Vega": ("mag", "vegamag", "magvega"),
}
# Limits of the medians of a table: magnitudes in r, and the colour u - z.
BRIGHTEST, FAINTEST, BLUEST = 6.0, 30.0, 0.35


def flux_unit(text: str):
    """Return the astropy unit of a flux from its spelling in a file, including nanomaggies.

    Raises:
        ValueError: The unit is unknown or logarithmic.
    """
    from astropy import units as u

    text = re.sub(r"nano-?magg(?:y|ies)|nmgy", "nmgy", text.strip(), flags=re.IGNORECASE)
    unit = u.Unit(re.sub(r"[{}]", "", text))
    # Logarithmic units convert too, but not by a factor.
    if not isinstance(unit, u.UnitBase):
        raise ValueError(f"{unit} is not a unit of flux")
    return unit


def unit_factor(unit, name: str, declared: str, where: str) -> float:
    """Return the factor from the unit that a table states to the unit that the user declares.

    Arguments:
        unit: Unit that the table states, as astropy represents it.
        name: Name of the column in a survey; the factor is 1 for columns other than positions,
            magnitudes and their errors.
        declared: Declared unit of magnitudes or fluxes.
        where: Table and column in messages.

    Raises:
        SurveyError: The units do not agree.
    """
    from astropy import units as u

    wanted = {"Jy": u.Jy, "nanomaggy": u.nmgy}.get(declared, u.mag)
    if name in ("ra", "dec"):
        wanted, declared = u.deg, "degrees"
    elif name in INVERSE_VARIANCES:
        wanted = wanted**-2
    elif name not in (*MAGNITUDES, *MAGNITUDE_ERRORS):
        return 1.0
    spelt = re.sub(r"[ _()]", "", str(unit)).lower()
    if unit == u.dimensionless_unscaled or spelt in MAGNITUDE_SPELLINGS.get(declared, ()):
        return 1.0
    try:
        if wanted == u.mag:
            raise u.UnitConversionError
        return float(flux_unit(str(unit)).to(wanted))
    except (u.UnitsError, TypeError, ValueError) as error:
        raise SurveyError(
            f"{where} for {name} is in {str(unit)!r}, not in {declared}: convert it, or correct "
            "the declared unit"
        ) from error


def check_unit(values: dict, unit: str, where: str) -> None:
    """Raise an error if the median magnitude or colour is implausible in the declared unit.

    Arguments:
        values: Magnitudes or fluxes by name, each `(n,)`.
        unit: Declared unit.
        where: Name of the table.

    Raises:
        SurveyError: Another unit is more likely.
    """
    five = np.stack([values[name] for name in MAGNITUDES])
    given = np.isfinite(five).any(axis=1)
    five = five[:, np.isfinite(five[given]).all(axis=0)]
    if not five.size:
        return
    are_fluxes = unit in FLUXES
    magnitudes = FLUXES[unit] - 2.5 * np.log10(five) if are_fluxes else five
    r, colour = np.median(magnitudes[2]), np.median(magnitudes[0] - magnitudes[4])
    flux, likelier = np.median(five[2]), None
    # Magnitudes read as fluxes differ little between bands, so that galaxies would look very blue.
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
            f"{where}: in the declared unit {unit}, the median r is {r:.1f} mag and the median "
            f"u − z is {colour:.1f} mag, which is not plausible; the numbers look like "
            f"{likelier}: pass unit={likelier!r}, or correct the columns"
        )


def to_magnitudes(
    values: dict, unit: str, dereddened: bool, reasons, missing_bands: bool = False
) -> None:
    """Convert magnitudes and fluxes to AB magnitudes without Galactic extinction, in place.

    Arguments:
        values: Values by name, each `(n,)`; `magerr_u` … or `ivar_u` … are converted as well.
        unit: Declared unit of the values.
        dereddened: Whether the extinction is already removed; otherwise `ebv` is needed.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        missing_bands: Whether bands may be missing and magnitudes may be limits.
    """
    for band in BANDS:
        name, error = f"mag_{band}", f"magerr_{band}"
        if f"ivar_{band}" in values:
            values[error] = values.pop(f"ivar_{band}") ** -0.5
        if unit == "asinh":
            dimmest = _from_asinh(values, name, error, SOFTENING[band], missing_bands)
            for row, magnitude in dimmest.items():
                reasons[row].append(f"{name} is {magnitude:g} asinh mag: its flux is not positive")
        elif unit == "Vega":
            values[name] = values[name] + VEGA_OFFSET[band]
        elif unit in FLUXES:
            if error in values:
                values[error] = 2.5 / np.log(10) * values[error] / values[name]
            values[name] = FLUXES[unit] - 2.5 * np.log10(values[name])
        if not dereddened:
            values[name] = values[name] - EXTINCTION[band] * values["ebv"]
        # Comparisons with NaN are false: these rows already have a reason.
        for row in np.flatnonzero((values[name] <= 0) | (values[name] > 40)):
            reasons[row].append(
                f"{name} becomes {values[name][row]:.1f} mag: correct the value or the unit {unit}"
            )
    if missing_bands:
        for row in np.flatnonzero(~is_measured(values).any(axis=1)):
            if not reasons[row]:
                reasons[row].append("no band is measured")


def is_measured(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a mask `(n, 5)` of the magnitudes that are measured, neither missing nor limits."""
    limits = [np.isposinf(values.get(name, 0.0)) for name in MAGNITUDE_ERRORS]
    known = [np.isfinite(values[name]) for name in MAGNITUDES]
    return np.stack([a & ~b for a, b in zip(known, limits, strict=True)], axis=1)


def _from_asinh(
    values: dict, name: str, error: str, b: float, missing_bands: bool
) -> dict[int, float]:
    r"""Convert asinh magnitudes to Pogson magnitudes, in place.

    With :math:`\sinh x = f / 2b`, where :math:`x = -m \ln 10 / 2.5 - \ln b` (Lupton, Gunn & Szalay
    1999, AJ 118, 1406), an error :math:`\sigma` of the asinh magnitude becomes
    :math:`\sigma / \tanh x`. If bands may be missing, a magnitude without a positive flux becomes
    an upper limit of three times the error of the flux.

    Returns:
        Asinh magnitudes without a positive flux, by row.
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
