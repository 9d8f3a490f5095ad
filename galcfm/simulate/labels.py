"""Labels: the properties as a survey measures them, in a fibre and with errors."""

from collections.abc import Mapping

import numpy as np
from scipy.special import logsumexp

from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.simulate.instruments import SDSS
from galcfm.simulate.relations import DISC_GRADIENTS, FIBRE, LABEL_ERRORS, LINES, MASS_ERRORS
from galcfm.simulate.spectra import MEGAPARSEC, load_templates
from galcfm.simulate.stages import Galaxies, Light
from galcfm.simulate.structure import MEAN_RADIUS, within_aperture

MEASURED = (*PROPERTY_NAMES, "a_v_balmer")


def seen_through_fibre(
    g: Galaxies,
    s_lines: np.ndarray,
    light: Light,
    radii: Mapping[str, np.ndarray],
    without,
    magnitude_limit: float = SDSS.magnitude_limit,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return what the survey would measure without errors, and whether the lines are seen.

    Dn(4000), O/H and both A_V are those within the fibre, and the star formation rate is that of
    emission lines there and of the photometry outside: see `FIBRE`, `DISC_GRADIENTS` and
    `LINE_RATE`.

    Arguments:
        g: Galaxies.
        s_lines: log10 of the star formation rate of their newborn stars, `(n,)`.
        light: Their light and dust.
        radii: Radii that `apparent_radii` gave.
        without: Names of `TIES` that are switched off.
        magnitude_limit: Limit of the survey. Spectra of a survey fainter than SDSS are deeper by as
            much.

    Returns:
        Labels `(n,)` by name of `MEASURED`, and whether the lines are seen, `(n,)`.
    """
    in_bulge, in_disc, mean_radius = within_aperture(FIBRE["radius"], g.cosine, radii, g.classical)
    labels = {
        "log_stellar_mass": g.m,
        "log_sfr": g.s,
        "oxygen_abundance": g.oh,
        "dn4000": light.dn4000,
        "a_v": light.a_v,
        "a_v_balmer": light.a_disc + light.a_clouds,
    }
    if "line_rate" not in without:
        labels["log_sfr"] = np.log10(in_disc * 10**s_lines + (1 - in_disc) * 10**g.s)
    dust = light.a_disc
    if "gradients" not in without:
        dust = dust * (1 + DISC_GRADIENTS["dust"] * (MEAN_RADIUS - mean_radius))
    if "fibre" not in without:
        of_bulge, of_disc = light.break_light
        above, below = (in_bulge[:, None] * of_bulge + in_disc[:, None] * of_disc).T
        labels["dn4000"] = above / below
        labels["oxygen_abundance"] = g.oh + FIBRE["oh_slope"] * (mean_radius - FIBRE["oh_radius"])
        parts = light.visual * np.stack([in_bulge, in_disc, in_disc], axis=1)
        a_v = np.stack([light.a_bulge, dust, dust + light.a_clouds], axis=1)
        seen = (parts * 10 ** (-0.4 * a_v)).sum(axis=1)
        labels["a_v"] = -2.5 * np.log10(seen / parts.sum(axis=1))
        labels["a_v_balmer"] = dust + light.a_clouds
    return labels, _lines_seen(g, s_lines, in_disc, dust + light.a_clouds, magnitude_limit)


def _lines_seen(
    g: Galaxies, s_lines: np.ndarray, in_fibre: np.ndarray, a_v: np.ndarray, magnitude_limit: float
) -> np.ndarray:
    """Return whether the four lines of the classification are seen in the fibre, `(n,)`: `LINES`.

    Arguments:
        g: Galaxies.
        s_lines: log10 of the star formation rate of their newborn stars, `(n,)`.
        in_fibre: Share of the disc's light in the fibre, `(n,)`.
        a_v: Attenuation of the lines in the fibre at 5500 Å, mag, `(n,)`.
        magnitude_limit: Limit of the survey.
    """
    c, templates = LINES, load_templates()
    distance = np.interp(g.redshift, templates.redshift, templates.luminosity_distance)
    dilution = np.log10(4 * np.pi) + 2 * np.log10(distance * MEGAPARSEC)
    hydrogen = s_lines + np.log10(in_fibre) + c["halpha"] - dilution
    alpha = hydrogen - 0.4 * c["alpha"] * a_v
    beta = hydrogen - np.log10(c["balmer"]) - 0.4 * c["beta"] * a_v
    # Maiolino et al. (2008, A&A 488, 463), table 4.
    x = g.oh - 8.69
    oxygen = beta + np.polyval([-0.0297, -0.9790, -1.5031, 0.1549], x)
    nitrogen = alpha + np.polyval([-0.3330, -0.7201, -0.2811, 1.2357, -0.7732], x)
    faintest = np.minimum.reduce([alpha, beta, oxygen, nitrogen])
    fainter = max(magnitude_limit - SDSS.magnitude_limit, 0.0)
    return faintest > np.log10(c["least"] * c["error"]) - 0.4 * fainter


def error_sizes(rng, n: int, without=()) -> dict[str, np.ndarray]:
    """Draw standard deviations of the errors of `n` galaxies from `LABEL_ERRORS`, by name."""
    spread = 0.0 if "error_spread" in without else LABEL_ERRORS["spread"]
    deviates = rng.normal(size=(len(MEASURED), n))
    return {
        name: LABEL_ERRORS[name] * np.exp(spread * deviates[k] - spread**2)
        for k, name in enumerate(MEASURED)
    }


def mass_error_by_noise(noise: np.ndarray, without=()) -> np.ndarray:
    """Return the error of log M caused by noise of the magnitudes `(n, 5)`, dex: `MASS_ERRORS`."""
    if "mass_errors" in without:
        return np.zeros(len(noise))
    return noise @ _mass_weights()


def mass_error_left(size: np.ndarray, drawn: np.ndarray, without=()) -> np.ndarray:
    """Return the standard deviation of the error of log M without photometric noise, dex, `(n,)`.

    Arguments:
        size: Standard deviation of the whole error, `(n,)`.
        drawn: Standard deviations of the noise of the magnitudes, `(n, 5)`.
        without: Names of `TIES` that are switched off.
    """
    if "mass_errors" in without:
        return size
    shared = (np.asarray(drawn) ** 2) @ _mass_weights() ** 2
    return np.sqrt(np.maximum(size**2 - shared, (0.3 * size) ** 2))


def _mass_weights() -> np.ndarray:
    """Return the derivative of log M with respect to each magnitude, dex/mag, `(5,)`."""
    weights = dict.fromkeys(BANDS, 0.0)
    weights["g"] = MASS_ERRORS["colour"]
    weights["i"] = MASS_ERRORS["magnitude"] - MASS_ERRORS["colour"]
    return np.array([weights[band] for band in BANDS])


def measure(
    rng, truth: Mapping[str, np.ndarray], noise: np.ndarray, drawn: np.ndarray, without=()
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return properties with measurement errors, and the standard deviations of the errors.

    Arguments:
        rng: Random generator.
        truth: Values without errors, `(n,)` by name, some of `MEASURED`.
        noise: Noise of the observed magnitudes, `(n, 5)`.
        drawn: Standard deviations of this noise, `(n, 5)`.
        without: Names of `TIES` that are switched off.

    Returns:
        Measured values and standard deviations of their errors, `(n,)` by name.
    """
    sizes = error_sizes(rng, len(noise), without)
    deviates = rng.normal(size=(len(MEASURED), len(noise)))
    own = dict(sizes)
    own["log_stellar_mass"] = mass_error_left(sizes["log_stellar_mass"], drawn, without)
    measured = {
        name: values + own[name] * deviates[MEASURED.index(name)] for name, values in truth.items()
    }
    measured["log_stellar_mass"] = measured["log_stellar_mass"] + mass_error_by_noise(
        noise, without
    )
    return measured, sizes


def error_log_density(name: str, error: np.ndarray) -> np.ndarray:
    """Return the log-density of an error of unknown size, a scale mixture of normals, in nat.

    Arguments:
        name: Name of the property, one of `MEASURED`.
        error: Measured minus true value, any shape.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = LABEL_ERRORS["spread"]
    sizes = LABEL_ERRORS[name] * np.exp(spread * nodes - spread**2)
    parts = -0.5 * (np.asarray(error)[..., None] / sizes) ** 2 - np.log(sizes)
    return logsumexp(parts, axis=-1, b=weights / (2 * np.pi))
