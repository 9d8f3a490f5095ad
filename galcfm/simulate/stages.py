"""Simulated galaxies at each stage: drawn, shining, seen by a photometer, observed by a survey."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Galaxies", "Light", "Observed", "Photometry", "Stars"]


@dataclass(frozen=True)
class Galaxies:
    """What the relations say of galaxies; each field is `(n,)`.

    Arguments:
        sequence: 0 on the main sequence, 1 in the green valley, 2 quiescent.
        active: Whether there is an active nucleus.
        redshift: Redshift.
        m: log10 of the stellar mass in M☉.
        s: log10 of the star formation rate in M☉/yr, mean of the last 100 Myr.
        s_history: The same of the smooth history, before the recent burst or lull.
        distance: Distance of the smooth history from the main sequence, dex.
        distance_today: The same of `s`.
        start: Age of the oldest stars over that of the Universe.
        oh: Gas-phase oxygen abundance, 12+log(O/H).
        log_z_young: log10(Z/Z☉) of the young stars and of the gas.
        log_z_old: The same of the old stars.
        log_u: log10 of the ionisation parameter.
        bulge: Share of the stellar mass in the bulge, if there are old stars for it.
        dust: Mean attenuation at 5500 Å, mag.
        dust_scatter: Scatter of its decimal logarithm.
        cosine: Cosine of the inclination.
        kpc: Half-light radius of the disc.
        early_kpc: Half-light radius of an early type of this mass and deviation.
        size: Deviation of the radius from the median in units of its scatter.
        bulge_scatter: Normal deviate of the bulge.
        bulge_residual: Excess of the bulge off the main sequence, dex.
        bulge_ratio: Radius of the bulge over the scale length of the disc.
        classical: 1 where the bulge has the profile of de Vaucouleurs, else 0.
        age: Normal deviate of the formation time.
    """

    sequence: np.ndarray
    active: np.ndarray
    redshift: np.ndarray
    m: np.ndarray
    s: np.ndarray
    s_history: np.ndarray
    distance: np.ndarray
    distance_today: np.ndarray
    start: np.ndarray
    oh: np.ndarray
    log_z_young: np.ndarray
    log_z_old: np.ndarray
    log_u: np.ndarray
    bulge: np.ndarray
    dust: np.ndarray
    dust_scatter: np.ndarray
    cosine: np.ndarray
    kpc: np.ndarray
    early_kpc: np.ndarray
    size: np.ndarray
    bulge_scatter: np.ndarray
    bulge_residual: np.ndarray
    bulge_ratio: np.ndarray
    classical: np.ndarray
    age: np.ndarray


@dataclass(frozen=True)
class Stars:
    """Unattenuated spectra of the parts of galaxies, L☉/Å, `(n, p)`.

    Arguments:
        bulge, disc, arms: Old stars in the bulge and in the disc, and younger ones in arms.
        newborn, nebulae: Stars younger than 10 Myr, and the gas that they ionise.
        bulge_mass: Share of the stellar mass that the bulge has, `(n,)`.
        s_lines: log10 of the star formation rate of the newborn stars in M☉/yr, `(n,)`.
    """

    bulge: np.ndarray
    disc: np.ndarray
    arms: np.ndarray
    newborn: np.ndarray
    nebulae: np.ndarray
    bulge_mass: np.ndarray
    s_lines: np.ndarray


@dataclass(frozen=True)
class Light:
    """The light of galaxies and what their dust does to it.

    Arguments:
        a_bulge, a_disc, a_clouds: Attenuation of bulge, disc and birth clouds at 5500 Å, mag,
            `(n,)`.
        band_dust: Attenuation of the disc in g, r and i, mag, `(n, 3)`.
        visual: Unattenuated light at 5500 Å of bulge, disc and newborn stars, `(n, 3)`.
        a_v: Attenuation of the whole galaxy's starlight at 5500 Å, mag, `(n,)`.
        dn4000: Narrow 4000 Å break of the whole galaxy, `(n,)`.
        break_light: What bulge and disc add to either side of that break, `(n, 2)` each.
    """

    a_bulge: np.ndarray
    a_disc: np.ndarray
    a_clouds: np.ndarray
    band_dust: np.ndarray
    visual: np.ndarray
    a_v: np.ndarray
    dn4000: np.ndarray
    break_light: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Photometry:
    """What a photometer sees of galaxies, before noise.

    Arguments:
        fluxes: Fluxes in ugriz by part (`bulge`, `disc`, `arm`, `knot`), nanomaggies, `(n, 5)`.
        radii: Half-light radii of `apparent_radii`, arcsec, `(n,)`.
        ebv: Galactic E(B−V), mag, `(n,)`.
        magnitudes: AB magnitudes without noise, `(n, 5)`.
        drawn: Standard deviations of the noise of the magnitudes, `(n, 5)`.
        errors: Standard deviations that are quoted, `(n, 5)`.
    """

    fluxes: dict[str, np.ndarray]
    radii: dict[str, np.ndarray]
    ebv: np.ndarray
    magnitudes: np.ndarray
    drawn: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class Observed:
    """Galaxies as a survey sees them, before noise.

    Arguments:
        galaxies: What the relations say of them.
        stars: Their stars.
        light: Their dust and what it lets through.
        photometry: What a photometer sees of them.
        labels: Properties as the survey measures them, without errors, by name of `MEASURED`.
        lines_seen: Whether the emission lines that classify a galaxy are seen, `(n,)`.
    """

    galaxies: Galaxies
    stars: Stars
    light: Light
    photometry: Photometry
    labels: dict[str, np.ndarray]
    lines_seen: np.ndarray
