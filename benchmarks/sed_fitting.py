"""Time of a fit to the spectral energy distribution of one galaxy, with nested sampling.

The model uses the simulator's population templates, delayed exponential histories and dust. The
sampler is nautilus, which bagpipes also uses, with a likelihood for whole batches.
"""

import time
from importlib.metadata import version

import numpy as np
from nautilus import Prior, Sampler

from galcfm.simulate.histories import star_formation_history
from galcfm.simulate.relations import BIRTH_CLOUDS, PHOTOMETRIC_ERRORS, ZERO_POINTS
from galcfm.simulate.spectra import birth_cloud_curve, diffuse_curve, load_templates
from galcfm.survey import Survey

# Uniform priors. The redshift is known, which makes the fit easier.
PRIORS = {
    "log_stellar_mass": (8.0, 12.0),
    "log_ssfr": (-11.5, -8.6),
    "log_metallicity": (-1.5, 0.4),
    "a_v": (0.01, 2.5),
    "start": (0.3, 0.97),
    "log_flicker": (-0.6, 0.6),
}
N_LIVE, N_EFFECTIVE = 400, 1000


def magnitudes(parameters: dict, redshift: float) -> np.ndarray:
    """Return ugriz magnitudes `(n, 5)` of the model for parameters `(n,)` named in `PRIORS`."""
    templates = load_templates()
    p = {name: np.atleast_1d(value) for name, value in parameters.items()}
    n, log_z = len(p["a_v"]), p["log_metallicity"]
    mass = 10 ** p["log_stellar_mass"]
    sfr = mass * 10 ** p["log_ssfr"]
    formed = star_formation_history(
        templates.age_edges,
        templates.living_fraction(log_z),
        mass,
        sfr,
        smooth_sfr=sfr,
        start=p["start"] * np.interp(redshift, templates.redshift, templates.age_of_universe),
        recent_time=np.full(n, 3e8),
        flicker=10 ** p["log_flicker"],
    )
    old = formed.copy()
    old[:, 0] = 0
    newborn = templates.stellar_spectrum(formed - old, log_z)
    newborn = newborn + templates.nebular_spectrum(formed[:, 0], log_z, np.full(n, -3.0))
    wavelength = templates.wavelength
    dimming = (-0.4 * np.log(10) * p["a_v"][:, None]).astype(np.float32)
    diffuse = diffuse_curve(wavelength, np.zeros(1)).astype(np.float32)
    clouds = (1 / BIRTH_CLOUDS["mu"] - 1) * birth_cloud_curve(wavelength)
    through_disc = np.exp(dimming * diffuse)
    through_clouds = np.exp(dimming * (diffuse + clouds.astype(np.float32)))
    spectra = templates.stellar_spectrum(old, log_z) * through_disc + newborn * through_clouds
    flux = templates.fluxes(spectra[None], np.array([redshift]))[0]
    return 22.5 - 2.5 * np.log10(flux) + [ZERO_POINTS[band] for band in "ugriz"]


def fit(observed: np.ndarray, redshift: float, seed: int) -> dict:
    """Sample the posterior given one galaxy's magnitudes `(5,)`."""
    prior = Prior()
    for name, limits in PRIORS.items():
        prior.add_parameter(name, dist=limits)
    # 0.02 mag of model error, as is usual in such fits.
    errors = np.hypot(PHOTOMETRIC_ERRORS["calibration"], 0.02)

    def log_likelihood(parameters):
        residual = (magnitudes(parameters, redshift) - observed) / errors
        return -0.5 * (residual**2).sum(-1)

    started = time.perf_counter()
    sampler = Sampler(
        prior, log_likelihood, n_live=N_LIVE, n_networks=1, vectorized=True, seed=seed
    )
    sampler.run(n_eff=N_EFFECTIVE)
    return {
        "seconds": time.perf_counter() - started,
        "likelihoods": int(sampler.n_like),
        "effective_draws": float(sampler.n_eff),
        "best_chi_squared": float(-2 * sampler.posterior()[2].max()),
    }


def fit_some(survey: Survey, n: int) -> dict:
    """Fit the first `n` galaxies."""
    load_templates()
    rows = [fit(survey.magnitudes[k], float(survey.redshift[k]), seed=k) for k in range(n)]
    return {
        "sampler": f"nautilus {version('nautilus-sampler')}",
        "live_points": N_LIVE,
        "effective_draws_asked": N_EFFECTIVE,
        "parameters": list(PRIORS),
        "fits": rows,
    }
