"""Real galaxies that come with a package, and masses compared with those of another method.

The galaxies are those of kcorrect's test file: SDSS photometry and redshifts of 10,000 galaxies of
all types, most of them bright. kcorrect estimates their masses as well, by another method.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, COLUMN, LABELS, LIGHT, OTHER, limits, new_figure, styled
from galcfm.properties import AB_OFFSET, BANDS
from galcfm.survey import Survey

# log10 of the ratio of masses, 0.66/0.61 (Madau & Dickinson 2014, ARA&A 52, 415).
CHABRIER_TO_KROUPA = 0.034
# Colours of the models that are tested here, one of which has the redshift as input.
LOOKS = {"photometry": COLOURS["photometry"], "photometry_redshift": OTHER[0].colour}
NAMES = {"photometry": "photometry alone", "photometry_redshift": "photometry and redshift"}
# Extinction in r for E(B-V) = 1 by which the file's columns were made (Schlegel et al. 1998).
EXTINCTION_R = 2.751
# Errors added to those of photon noise before templates are fitted, mag: kcorrect's habit.
ERROR_FLOOR = {"u": 0.05, "g": 0.02, "r": 0.02, "i": 0.02, "z": 0.03}


def real_galaxies() -> pd.DataFrame:
    """Return the galaxies of kcorrect's test file, one row per galaxy, for `Survey.from_table`.

    Returns:
        `object_id`, `ra`, `dec` [deg], `redshift`, `ebv` [mag], and `flux_u` … `flux_z` with
        their errors `error_u` … [nanomaggies], on the AB system, not corrected for extinction;
        `extinction_u` … [mag] by which the file would correct them.

    Raises:
        FileNotFoundError: The package kcorrect is not installed.
    """
    from astropy.io import fits

    found = importlib.util.find_spec("kcorrect")
    if found is None:
        raise FileNotFoundError(
            'kcorrect, which brings the galaxies, is missing: pip install ".[studies]"'
        )
    path = Path(found.submodule_search_locations[0]) / "data" / "test" / "gst_tests_small.fits"
    data = fits.getdata(path)
    to_ab = np.array([10 ** (-0.4 * AB_OFFSET[band]) for band in BANDS])
    weight = data["MODELFLUX_IVAR"].astype(float)
    extinction = data["EXTINCTION"].astype(float)
    by_band = {
        "flux": to_ab * data["MODELFLUX"].astype(float),
        "error": to_ab / np.sqrt(np.where(weight > 0, weight, np.nan)),
        "extinction": extinction,
    }
    columns = {
        "object_id": [f"kcorrect-{k:05d}" for k in range(len(data))],
        "ra": data["RA"].astype(float),
        "dec": data["DEC"].astype(float),
        "redshift": data["Z"].astype(float),
        "ebv": extinction[:, BANDS.index("r")] / EXTINCTION_R,
    }
    for name, values in by_band.items():
        columns |= {f"{name}_{band}": values[:, k] for k, band in enumerate(BANDS)}
    return pd.DataFrame(columns)


def kcorrect_estimates(survey: Survey) -> pd.DataFrame:
    """Return kcorrect's estimates from magnitudes and redshifts, one row per galaxy.

    It fits non-negative sums of five templates (Blanton & Roweis 2007, AJ 133, 734), in our
    cosmology.

    Returns:
        `log_stellar_mass` [dex, M☉], converted to the initial mass function of Kroupa;
        `absolute_r`, absolute magnitude in r shifted to redshift 0.1 for H0 = 100, and `g_r`,
        the colour in bands shifted to the same redshift: arguments of `is_blue`.
    """
    from astropy.cosmology import FlatLambdaCDM
    from kcorrect.kcorrect import Kcorrect

    model = Kcorrect(
        responses=[f"sdss_{band}0" for band in BANDS],
        redshift_range=[0.0, float(max(survey.redshift.max(), 0.1)) + 0.01],
        nredshift=500,
        cosmo=FlatLambdaCDM(H0=70, Om0=0.3),
    )
    flux = 10 ** (-0.4 * survey.magnitudes)
    errors = survey.catalogue[[f"magerr_{band}" for band in BANDS]].to_numpy()
    errors = np.hypot(errors, [ERROR_FLOOR[band] for band in BANDS]) * flux * np.log(10) / 2.5
    redshift, flux, weight = (np.float32(x) for x in (survey.redshift, flux, errors**-2))
    observed = {"redshift": redshift, "maggies": flux, "ivar": weight}
    templates = model.fit_coeffs(**observed)
    absolute = model.absmag(**observed, coeffs=templates, band_shift=0.1)
    mass = model.derived(redshift=redshift, coeffs=templates)["mremain"]
    g, r = (BANDS.index(band) for band in "gr")
    return pd.DataFrame(
        {
            "log_stellar_mass": np.log10(mass) + CHABRIER_TO_KROUPA,
            "absolute_r": absolute[:, r] - 5 * np.log10(0.7),
            "g_r": absolute[:, g] - absolute[:, r],
        }
    )


def is_blue(absolute_r, g_r) -> np.ndarray:
    """Return whether galaxies are below the blue-red cut of Zehavi et al. (2011, ApJ 736, 59).

    Arguments:
        absolute_r: Absolute magnitude in r shifted to redshift 0.1, H0 = 100, `(n,)`.
        g_r: Colour g − r in bands shifted to the same redshift, `(n,)`.

    >>> is_blue(-20.0, np.array([0.7, 0.9])).tolist()
    [True, False]
    """
    return np.asarray(g_r) < 0.21 - 0.03 * np.asarray(absolute_r)


def compare_masses(found: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return bias and scatter of one estimate compared with another, in dex.

    Arguments:
        found: Log masses, `(n,)`.
        reference: Log masses by the other method, `(n,)`.

    Returns:
        `bias`, the median difference found − reference; `scatter`, half the distance from its
        16th to its 84th percentile.
    """
    low, middle, high = np.percentile(found - reference, [16, 50, 84])
    return {"bias": float(middle), "scatter": float(high - low) / 2}


def share_within(draws: np.ndarray, reference: np.ndarray, level: float = 0.68) -> np.ndarray:
    """Return whether values lie inside the central interval of the draws, `(n,)`.

    Arguments:
        draws: Posterior draws of one quantity, shape `(n, S)`.
        reference: Values of it by another method, `(n,)`.
        level: Share of the draws in the interval.
    """
    rank = (np.asarray(draws) < np.asarray(reference)[:, None]).mean(axis=1)
    return np.abs(rank - 0.5) < level / 2


@styled
def mass_differences(found: Mapping[str, np.ndarray], reference, *, source: str) -> Figure:
    """Draw log masses by each model minus those by another method, against the latter.

    Lines are the median and the 16th and 84th percentile in bins of equally many galaxies.

    Arguments:
        found: Log masses [dex, M☉] `(n,)` by the name of the model.
        reference: Log masses by the other method [dex, M☉], `(n,)`.
        source: Words in the figure's corner that say what the galaxies are.
    """
    differences = {name: np.asarray(mass) - reference for name, mass in found.items()}
    figure = new_figure(COLUMN, 3.4, source)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    middles = _middles_of_bins(reference, 12)
    line = {"estimator": "median", "errorbar": ("pi", 68), "lw": 2}
    shown = limits(*differences.values(), inside=98)
    for axes, (name, difference) in zip(panels, differences.items(), strict=True):
        axes.plot(reference, difference, ".", ms=2, color=LIGHT, alpha=0.4, rasterized=True)
        sns.lineplot(x=middles, y=difference, ax=axes, color=LOOKS[name], **line)
        axes.axhline(0, color=COLOURS["line"], lw=1)
        axes.set(xlabel=f"{LABELS['log_stellar_mass']}, kcorrect", title=NAMES[name])
        axes.grid(alpha=0.25)
    panels[0].set(ylabel="posterior median − kcorrect [dex]", ylim=shown)
    return figure


@styled
def outside_shares(
    outside, columns: Mapping[str, np.ndarray], *, level: float, source: str
) -> Figure:
    """Draw the share of galaxies flagged as outside the training range, along some quantities.

    Bars are one standard deviation of a share; bins hold equally many galaxies.

    Arguments:
        outside: Flag of each galaxy, `(n,)`.
        columns: Quantity `(n,)` by its label.
        level: Share of galaxies like those of the training set that is flagged.
        source: Words in the figure's corner that say what the galaxies are.
    """
    figure = new_figure(COLUMN, 2.7, source)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(panels, columns.items(), strict=True):
        bins = pd.Series(outside).groupby(_middles_of_bins(np.asarray(values), 15))
        shares, counts = bins.mean(), bins.size()
        # Laplace's rule keeps the bar of an empty or full bin from vanishing.
        smooth = (shares * counts + 1) / (counts + 2)
        errors = np.sqrt(smooth * (1 - smooth) / counts)
        look = {"fmt": f"{OTHER[0].marker}-", "ms": 4, "color": LOOKS["photometry_redshift"]}
        axes.errorbar(shares.index, shares, errors, **look)
        axes.axhline(level, color=COLOURS["line"], lw=1, ls="--")
        axes.set_xlabel(label)
        axes.grid(alpha=0.25)
    panels[0].set(ylabel="share flagged as out of range", ylim=(-0.03, 1.03))
    return figure


def _middles_of_bins(values: np.ndarray, most: int) -> np.ndarray:
    """Return the median of the bin that each value is in.

    Arguments:
        values: Values, `(n,)`.
        most: Largest number of bins, which hold equally many values, 20 or more if possible.
    """
    middles = np.empty(len(values))
    for rows in np.array_split(np.argsort(values), max(1, min(most, len(values) // 20))):
        middles[rows] = np.median(values[rows])
    return middles
