"""Fitting of spectral energy distributions: galaxy by galaxy, by nested sampling.

As an astronomer would without a survey to learn from (Conroy 2013, ARA&A 51, 393): the galaxy model
of bagpipes (Carnall et al. 2018, MNRAS 480, 4379) with its usual priors, sampled by nautilus (Lange
2023, MNRAS 525, 3181). bagpipes is licensed GPL-3, is imported only where a fit is made, and takes
some seconds to import.
"""

import contextlib
import io
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from tqdm import tqdm

from galcfm.paths import data_folder, replacing
from galcfm.posterior import galaxy_seeds
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, PROPERTY_NAMES
from galcfm.provenance import digest
from galcfm.survey import Survey
from studies.frame import rows_of
from studies.methods.base import Method

# 22.5 AB mag is a nanomaggy, 3.631 μJy.
MICROJANSKY = 3.631
# Of zero points and of the models: added to the quoted errors.
FLOOR = 0.02  # mag
KEPT = 250  # equally weighted draws a fit


class SedFitting(Method):
    """Four properties by fits of five magnitudes; stars say nothing of the gas's O/H.

    The star formation history is a delayed exponential, stellar populations, nebulae, initial mass
    function (Kroupa) and cosmology are those of the survey, the attenuation curve has a free slope
    (Salim, Boquien & Lee 2018, ApJ 859, 11), and birth clouds have twice the dust. The survey's own
    histories, metallicities and dust are drawn otherwise, its A_V and Dn(4000) are those in a
    fibre, and its star formation rate is mostly that of the last 10 Myr: prior and definitions
    differ, as they do for real galaxies. Labels are measured: their errors are added to draws, and
    are the kernel of the density.

    Arguments:
        redshift: Whether it is known; otherwise its prior is that of the training split.
        n_live: Number of live points of nautilus.
        n_effective: Number of effective draws at which a fit ends.
        processes: Number of processes that fit, one galaxy each.
    """

    fits_each = True
    properties = tuple(name for name in PROPERTY_NAMES if name != "oxygen_abundance")

    def __init__(self, *, redshift=True, n_live=250, n_effective=1000, processes=1):
        self.redshift, self.processes = redshift, processes
        self.n_live, self.n_effective = n_live, n_effective

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Take note of the redshifts of the training split; nothing else is learned."""
        self.redshifts = np.sort(survey.split("train").redshift)
        self.training, self._progress = {"seconds": 0.0}, progress
        settings = [self.redshift, self.n_live, self.n_effective]
        if not self.redshift:
            settings.append(self.redshifts.tolist())
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory()
            folder = Path(self._temporary.name)
        self._folder = folder / f"fits-{digest(settings)}"
        return self

    def posteriors(self, galaxies: Survey) -> np.ndarray:
        """Return draws without label noise, `(n_galaxies, KEPT, 4)`; no fit is made twice.

        Each fit is kept in the folder of `fit` as soon as it is there.
        """
        from joblib import Parallel, delayed

        n = len(galaxies)
        todo = (delayed(self._kept_fit)(galaxies.select([k])) for k in range(n))
        found = Parallel(self.processes, return_as="generator", pre_dispatch="2*n_jobs")(todo)
        bar = tqdm(found, "fits", n, unit="galaxy", disable=not self._progress)
        draws, seconds = zip(*bar, strict=True)
        self.seconds_a_galaxy = float(np.mean(seconds))
        return np.stack(draws)

    def _kept_fit(self, galaxy: Survey) -> tuple[np.ndarray, float]:
        path = self._folder / f"{galaxy.object_id[0]}.npz"
        if not path.exists():
            started = time.monotonic()
            draws = self._fit_one(galaxy)
            with replacing(path) as temporary:
                np.savez(temporary, draws=draws, seconds=time.monotonic() - started)
        with np.load(path) as file:
            return file["draws"], float(file["seconds"])

    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws as a measurement would give them, `(n_galaxies, n, 4)`."""
        draws = []
        for own, of in zip(
            galaxy_seeds(galaxies.object_id, seed), self.posteriors(galaxies), strict=True
        ):
            rng = np.random.default_rng(int(own))
            chosen = of[rng.permutation(len(of))[np.arange(n) % len(of)]]
            draws.append(chosen + self._errors(rng, n))
        return np.array(draws, dtype=np.float32)

    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the log-density of measured labels [nat]: that of their errors, over all draws."""
        from galcfm.simulate.labels import error_log_density

        theta = np.asarray(theta, dtype=np.float64)
        several = theta.ndim == 3
        theta = theta if several else theta[:, None]
        found = []
        for of, at in zip(self.posteriors(galaxies), theta, strict=True):
            error = at[:, None] - of[None]
            parts = sum(
                error_log_density(name, error[..., k]) for k, name in enumerate(self.properties)
            )
            found.append(logsumexp(parts, axis=1) - np.log(len(of)))
        log_prob = np.array(found)
        return log_prob if several else log_prob[:, 0]

    def _errors(self, rng: np.random.Generator, n: int) -> np.ndarray:
        from galcfm.simulate.labels import error_sizes

        sizes = error_sizes(rng, n)
        return np.stack([sizes[name] * rng.normal(size=n) for name in self.properties], axis=1)

    def _fit_one(self, galaxy: Survey) -> np.ndarray:
        from nautilus import Sampler

        pipes = _bagpipes()
        fluxes = MICROJANSKY * 10 ** (0.4 * (22.5 - galaxy.magnitudes[0]))
        quoted = galaxy.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(np.float64)[0]
        errors = fluxes * np.hypot(quoted, FLOOR) * np.log(10) / 2.5
        measured = pipes.galaxy(
            "0",
            lambda _: np.c_[fluxes, errors],
            filt_list=_filters(),
            spectrum_exists=False,
            phot_units="mujy",
        )
        known = float(galaxy.redshift[0]) if self.redshift else (0.001, 1.0)
        oldest = pipes.utils.cosmo.age(known if self.redshift else self.redshifts[0]).value
        fitted = pipes.fitting.fitted_model(measured, _instructions(known, oldest))
        free = [k for k, name in enumerate(fitted.params) if name == "redshift"]

        def transform(cube):
            values = fitted.prior.transform(np.array(cube))
            for k in free:
                values[k] = np.quantile(self.redshifts, cube[k])
            return values

        seed = int(galaxy_seeds(galaxy.object_id, 0)[0] % (1 << 31))
        sampler = Sampler(
            transform,
            fitted.lnlike,
            n_dim=fitted.ndim,
            n_live=self.n_live,
            # Four take most of the time of a fit.
            n_networks=1,
            seed=seed,
        )
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # Of histories that begin before the Universe, which have no likelihood.
            warnings.simplefilter("ignore")
            sampler.run(n_eff=self.n_effective)
        points, log_weight, _ = sampler.posterior()
        rng = np.random.default_rng(seed)
        weight = np.exp(log_weight - log_weight.max())
        chosen = rng.choice(len(points), KEPT, p=weight / weight.sum())
        return np.array([_read(fitted, points[k]) for k in chosen], dtype=np.float32)


def _instructions(redshift, oldest: float = 13.4) -> dict:
    """Return the model and its priors.

    Arguments:
        redshift: Known redshift, or limits.
        oldest: Age of the Universe, Gyr.
    """
    model = rows_of(dict, Path(__file__).with_name("sed_model.yaml"))
    model["delayed"]["age"] = (0.1, oldest)
    return {"redshift": redshift, **model}


def _read(fitted, point: np.ndarray) -> list[float]:
    """Return the four properties of the model galaxy at a point, as the survey defines them.

    Dn(4000) and A_V are of starlight, without nebulae, in the rest frame.
    """
    from galcfm.simulate.spectra import dn4000, window_weights

    fitted._update_model_components(point)
    of_stars = {k: v for k, v in fitted.model_components.items() if k != "nebular"}
    of_stars["redshift"] = 0.0
    dusty, clear = _star_models()
    dusty.update(of_stars)
    clear.update(of_stars | {"dust": of_stars["dust"] | {"Av": 0.0}})
    wavelength, spectrum = dusty.spectrum.T
    visual = window_weights(wavelength, 5450, 5550)
    return [
        float(dusty.sfh.stellar_mass),
        float(np.log10(max(dusty.sfh.sfr, 1e-6))),
        float(dn4000(wavelength, spectrum)),
        float(-2.5 * np.log10((spectrum @ visual) / (clear.spectrum[:, 1] @ visual))),
    ]


@cache
def _star_models() -> tuple:
    """Return two model galaxies that give fine spectra of stars about 4000 and 5500 Å."""
    pipes = _bagpipes()
    wavelength = np.geomspace(3800.0, 5600.0, 320)
    start = _instructions(0.0)
    del start["nebular"]
    start["delayed"] |= {"age": 5.0, "tau": 2.0, "massformed": 10.0, "metallicity": 1.0}
    start["dust"] |= {"Av": 0.5, "delta": 0.0}
    return tuple(pipes.model_galaxy(start, spec_wavs=wavelength) for _ in range(2))


@cache
def _bagpipes():
    """Return the package, set to the redshifts of the survey, which makes it faster."""
    with contextlib.redirect_stdout(io.StringIO()):
        import bagpipes

    bagpipes.config.max_redshift = 1.0
    return bagpipes


def _filters() -> list[str]:
    """Return files of the filter curves of speclite, as bagpipes reads them."""
    from speclite.filters import load_filters

    folder = data_folder() / "cache" / "filters"
    paths = [folder / f"sdss2010-{band}.dat" for band in BANDS]
    for path in paths:
        if not path.exists():
            (curve,) = load_filters(path.stem)
            with replacing(path) as temporary:
                np.savetxt(temporary, np.c_[curve.wavelength, curve.response], encoding="utf-8")
    return [str(path) for path in paths]
