"""Labels: the properties as a survey measures them, within a fibre and with errors."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
from scipy.special import logsumexp

from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.simulate.instruments import SDSS
from galcfm.simulate.relations import DISC_GRADIENTS, FIBRE, LABEL_ERRORS, LINES, MASS_ERRORS
from galcfm.simulate.spectra import MEGAPARSEC, load_templates
from galcfm.simulate.structure import MEAN_RADIUS, within_aperture

MEASURED = (*PROPERTY_NAMES, "a_v_balmer")


def look_through_fibre(
    g: SimpleNamespace,
    radii: Mapping[str, np.ndarray],
    without,
    magnitude_limit: float = SDSS.magnitude_limit,
) -> None:
    """Set `g.labels`, what the survey would measure without errors, `(n,)` by name of `MEASURED`,
    and `g.lines_seen`.

    Dn(4000), O/H and both A_V are those within the fibre, and the star formation rate is that of
    emission lines there and of the photometry outside: see `FIBRE`, `DISC_GRADIENTS` and
    `LINE_RATE`.

    Arguments:
        g: galaxies with their light: `break_light`, `visual`, `a_disc`, `a_bulge`, `a_clouds`.
        radii: of `apparent_radii`.
        without: names of `TIES` that are switched off.
        magnitude_limit: of the survey; one that is fainter than SDSS's has spectra so much better.
    """
    in_bulge, in_disc, mean_radius = within_aperture(FIBRE["radius"], g.cosine, radii, g.classical)
    labels = {
        "log_stellar_mass": g.m,
        "log_sfr": g.s,
        "oxygen_abundance": g.oh,
        "dn4000": g.dn4000,
        "a_v": g.a_v,
        "a_v_balmer": g.a_disc + g.a_clouds,
    }
    if "line_rate" not in without:
        rate = in_disc * 10**g.s_lines + (1 - in_disc) * 10**g.s
        labels["log_sfr"] = np.log10(rate)
    dust = g.a_disc
    if "gradients" not in without:
        dust = dust * (1 + DISC_GRADIENTS["dust"] * (MEAN_RADIUS - mean_radius))
    if "fibre" not in without:
        shares = in_bulge[:, None], in_disc[:, None]
        above, below = sum(
            share * light for share, light in zip(shares, g.break_light, strict=True)
        ).T
        labels["dn4000"] = above / below
        labels["oxygen_abundance"] = g.oh + FIBRE["oh_slope"] * (mean_radius - FIBRE["oh_radius"])
        bulge, disc, newborn = (
            share * light
            for share, light in zip((in_bulge, in_disc, in_disc), g.visual.T, strict=True)
        )
        seen = sum(
            light * 10 ** (-0.4 * a)
            for light, a in zip(
                (bulge, disc, newborn), (g.a_bulge, dust, dust + g.a_clouds), strict=True
            )
        )
        labels["a_v"] = -2.5 * np.log10(seen / (bulge + disc + newborn))
        labels["a_v_balmer"] = dust + g.a_clouds
    g.labels = labels
    g.lines_seen = _lines_seen(g, in_disc, dust + g.a_clouds, magnitude_limit)


def _lines_seen(
    g: SimpleNamespace,
    in_fibre: np.ndarray,
    a_v: np.ndarray,
    magnitude_limit: float = SDSS.magnitude_limit,
) -> np.ndarray:
    """Whether the four lines of the classification are seen in the fibre, `(n,)`: see `LINES`.

    Arguments:
        g: galaxies.
        in_fibre: share of the disc's light in the fibre, `(n,)`.
        a_v: attenuation of the lines there at 5500 Å, mag, `(n,)`.
        magnitude_limit: of the survey.
    """
    c, templates = LINES, load_templates()
    distance = np.interp(g.redshift, templates.redshift, templates.luminosity_distance)
    dilution = np.log10(4 * np.pi) + 2 * np.log10(distance * MEGAPARSEC)
    hydrogen = g.s_lines + np.log10(in_fibre) + c["halpha"] - dilution
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
    """Standard deviations of the errors of `n` galaxies, by name of `MEASURED`: `LABEL_ERRORS`."""
    spread = 0.0 if "error_spread" in without else LABEL_ERRORS["spread"]
    deviates = rng.normal(size=(len(MEASURED), n))
    return {
        name: LABEL_ERRORS[name] * np.exp(spread * deviates[k] - spread**2)
        for k, name in enumerate(MEASURED)
    }


def mass_error_by_noise(noise: np.ndarray, without=()) -> np.ndarray:
    """The error of log M that noise of the magnitudes `(n, 5)` makes, dex: `MASS_ERRORS`."""
    if "mass_errors" in without:
        return np.zeros(len(noise))
    return noise @ _mass_weights()


def mass_error_left(size: np.ndarray, drawn: np.ndarray, without=()) -> np.ndarray:
    """Standard deviation of what is left of the error of log M, dex, `(n,)`.

    Arguments:
        size: standard deviation of the whole error, `(n,)`.
        drawn: standard deviations of the noise of the magnitudes, `(n, 5)`.
        without: names of `TIES` that are switched off.
    """
    if "mass_errors" in without:
        return size
    shared = (np.asarray(drawn) ** 2) @ _mass_weights() ** 2
    return np.sqrt(np.maximum(size**2 - shared, (0.3 * size) ** 2))


def _mass_weights() -> np.ndarray:
    """What a magnitude's noise adds to log M, dex/mag, `(5,)`."""
    weights = dict.fromkeys(BANDS, 0.0)
    weights["g"] = MASS_ERRORS["colour"]
    weights["i"] = MASS_ERRORS["magnitude"] - MASS_ERRORS["colour"]
    return np.array([weights[band] for band in BANDS])


def measure(
    rng, truth: Mapping[str, np.ndarray], noise: np.ndarray, drawn: np.ndarray, without=()
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Properties with measurement errors, and the sizes of these.

    Arguments:
        rng: a random generator.
        truth: without errors, `(n,)` by name, some of `MEASURED`.
        noise: of the observed magnitudes, `(n, 5)`.
        drawn: its standard deviations, `(n, 5)`.
        without: names of `TIES` that are switched off.

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
    """Log-density of an error of unknown size, a scale mixture of normal ones, in nat.

    Arguments:
        name: of `MEASURED`.
        error: measured less true value, any shape.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = LABEL_ERRORS["spread"]
    sizes = LABEL_ERRORS[name] * np.exp(spread * nodes - spread**2)
    parts = -0.5 * (np.asarray(error)[..., None] / sizes) ** 2 - np.log(sizes)
    return logsumexp(parts, axis=-1, b=weights / (2 * np.pi))
