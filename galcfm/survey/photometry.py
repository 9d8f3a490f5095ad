"""Conversion of fluxes and magnitudes to AB magnitudes without Galactic extinction."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from galcfm.properties import BANDS, EXTINCTION, SDSS, Declaration
from galcfm.survey.rules import SurveyError

# Magnitude of one unit of flux (Oke & Gunn 1983, ApJ 266, 713: 0 mag AB is 3631 Jy).
FLUXES = {"nanomaggy": 22.5, "Jy": 2.5 * np.log10(3631)}
# Softening of SDSS's asinh magnitudes, in units of 3631 Jy (Lupton, Gunn & Szalay 1999, AJ 118,
# 1406; https://www.sdss.org/dr17/algorithms/magnitudes, "asinh magnitude softening parameters").
SOFTENING = dict(zip(BANDS, (1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10), strict=True))
# m_AB - m_Vega of the SDSS bands: Blanton & Roweis (2007, AJ 133, 734), table 1.
VEGA_OFFSET = dict(zip(BANDS, (0.91, -0.08, 0.16, 0.37, 0.54), strict=True))
# Extinction by band; W1 and W2 of WISE: https://www.legacysurvey.org/dr9/catalogs, "Galactic
# Extinction Coefficients", on the same scale.
EXTINCTIONS = EXTINCTION | {"W1": 0.184, "W2": 0.113}
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
# Limits of the medians of a table: magnitudes, and the colour u - z.
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
    elif name.startswith("ivar_"):
        wanted = wanted**-2
    elif not name.startswith(("mag_", "magerr_")):
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


def check_bands(bands: Sequence[str], unit: str, dereddened: bool) -> None:
    """Check that each band has the constants that its conversion to AB magnitudes needs.

    Arguments:
        bands: Names of the bands.
        unit: Declared unit of magnitudes or fluxes.
        dereddened: Whether the Galactic extinction is already removed.

    Raises:
        SurveyError: A constant is unknown.
    """
    offsets = {"asinh": SOFTENING, "Vega": VEGA_OFFSET}.get(unit, bands)
    extinctions = bands if dereddened else EXTINCTIONS
    for what, known in ((f"unit={unit!r}", offsets), ("dereddened=False", extinctions)):
        if unknown := [band for band in bands if band not in known]:
            raise SurveyError(
                f"{what} is possible for the bands {', '.join(known)}, whose constants are known, "
                f"not for {', '.join(unknown)}: convert all bands to dereddened AB magnitudes"
            )


def check_unit(values: dict, unit: str, where: str, declaration: Declaration = SDSS) -> None:
    """Raise an error if the median magnitude or colour is implausible in the declared unit.

    The magnitude is that of the reference band, and the colour that of the bluest and the reddest
    of u, g, r, i and z, if there are two of them.

    Arguments:
        values: Magnitudes or fluxes by name, each `(n,)`.
        unit: Declared unit.
        where: Name of the table.
        declaration: Bands of the table.

    Raises:
        SurveyError: Another unit is more likely.
    """
    given = np.stack([values[name] for name in declaration.magnitudes])
    measured = np.isfinite(given).any(axis=1)
    given = given[:, np.isfinite(given[measured]).all(axis=0)]
    if not given.size:
        return
    are_fluxes, bands, reference = unit in FLUXES, declaration.bands, declaration.reference
    magnitudes = FLUXES[unit] - 2.5 * np.log10(given) if are_fluxes else given
    middle, flux = np.median(magnitudes[reference]), np.median(given[reference])
    said = f"the median {bands[reference]} is {middle:.1f} mag"
    colour, bluest, likelier = 0.0, 0.0, None
    places = [BANDS.index(band) for band in bands if band in BANDS]
    if len(places) > 1:
        blue, red = BANDS[min(places)], BANDS[max(places)]
        colour = np.median(magnitudes[bands.index(blue)] - magnitudes[bands.index(red)])
        bluest = BLUEST * (max(places) - min(places)) / (len(BANDS) - 1)
        said += f" and the median {blue} − {red} is {colour:.1f} mag"
    # Magnitudes read as fluxes differ little between bands, so that galaxies would look very blue.
    if are_fluxes and 8 < flux < 32 and colour < bluest:
        likelier = "AB"
    elif not are_fluxes and colour < -1:
        likelier = "nanomaggy"
    elif middle < BRIGHTEST - (0 if are_fluxes else 4):
        likelier = "nanomaggy" if are_fluxes else "Jy"
    elif middle > FAINTEST:
        likelier = "Jy"
    if likelier is not None and likelier != unit:
        raise SurveyError(
            f"{where}: in the declared unit {unit}, {said}, which is not plausible; the numbers "
            f"look like {likelier}: pass unit={likelier!r}, or correct the columns"
        )


def to_magnitudes(
    values: dict, unit: str, dereddened: bool, reasons, missing_bands: bool = False, bands=BANDS
) -> None:
    """Convert magnitudes and fluxes to AB magnitudes without Galactic extinction, in place.

    Arguments:
        values: Values by name, each `(n,)`; errors or inverse variances are converted as well.
        unit: Declared unit of the values.
        dereddened: Whether the extinction is already removed; otherwise `ebv` is needed.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        missing_bands: Whether bands may be missing and magnitudes may be limits.
        bands: Names of the bands, see `check_bands`.
    """
    for band in bands:
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
            values[name] = values[name] - EXTINCTIONS[band] * values["ebv"]
        # Comparisons with NaN are false: these rows already have a reason.
        for row in np.flatnonzero((values[name] <= 0) | (values[name] > 40)):
            reasons[row].append(
                f"{name} becomes {values[name][row]:.1f} mag: correct the value or the unit {unit}"
            )
    if missing_bands:
        require_measured(values, reasons, bands)


def require_measured(values: Mapping[str, np.ndarray], reasons, bands: Sequence[str]) -> None:
    """Add a reason to each usable row in which all bands are missing or limits."""
    measured = [
        np.isfinite(values[f"mag_{band}"]) & ~np.isposinf(values.get(f"magerr_{band}", 0.0))
        for band in bands
    ]
    for row in np.flatnonzero(~np.any(measured, axis=0)):
        if not reasons[row]:
            reasons[row].append("no band is measured")


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
