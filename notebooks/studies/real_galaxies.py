"""Real galaxies that come with a package, and models small enough to publish.

The galaxies are those of kcorrect's test file: SDSS photometry and redshifts of 10,000 galaxies of
all types, most of them bright. kcorrect estimates their masses too, by another method. The models
know photometry alone, with or without the redshift, of all bands or of those that there are, and
are trained on a large simulated catalogue:
`python -m studies.real_galaxies` makes it, trains them and writes `data/published/models/`;
called again, it goes on where it was stopped.
"""

import importlib.util
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import data_folder, published_folder
from galcfm.posterior import Posterior
from galcfm.properties import AB_OFFSET, BANDS
from studies.stored import kept_catalogue, key_of, read_command
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train

__all__ = [
    "CHABRIER_TO_KROUPA",
    "MODELS",
    "compare_masses",
    "is_blue",
    "kcorrect_estimates",
    "load_model",
    "real_galaxies",
    "train_models",
]

# log10 of the ratio of masses, 0.66/0.61 (Madau & Dickinson 2014, ARA&A 52, 415).
CHABRIER_TO_KROUPA = 0.034
# Extinction in r for E(B-V) = 1 by which the file's columns were made (Schlegel et al. 1998).
EXTINCTION_R = 2.751
# Errors added to those of photon noise before templates are fitted, mag: kcorrect's habit.
ERROR_FLOOR = {"u": 0.05, "g": 0.02, "r": 0.02, "i": 0.02, "z": 0.03}
# Which bands there are makes many models of one: it takes longer, and more weights.
ANY_BANDS = {
    "use_magnitude_errors": True,
    "missing_bands": True,
    "network": {"width": 384, "depth": 3},
}
MODELS = {
    "photometry": {"use_redshift": False},
    "photometry_redshift": {"use_redshift": True},
    "any_bands": ANY_BANDS,
    "any_bands_redshift": ANY_BANDS | {"use_redshift": True},
}
N_GALAXIES, SEED = 60_000, 61
SETTINGS = TrainingSettings(
    learning_rate=1.5e-3,
    batch_size=256,
    max_epochs=36,
    schedule="cosine",
    draws_per_galaxy=4,
    average_decay=0.998,
)


def real_galaxies() -> pd.DataFrame:
    """The galaxies of kcorrect's test file, a row a galaxy, as `Survey.from_table` takes them.

    Returns:
        `object_id`, `ra`, `dec` [deg], `redshift`, `ebv` [mag], and `flux_u` … `flux_z` with
        their errors `error_u` … [nanomaggies], on the AB system, not corrected for extinction;
        `extinction_u` … [mag] by which the file would correct them.

    Raises:
        FileNotFoundError: kcorrect is not installed.
    """
    from astropy.io import fits

    found = importlib.util.find_spec("kcorrect")
    if found is None:
        raise FileNotFoundError(
            'kcorrect, which brings the galaxies, is missing: pip install ".[studies]"'
        )
    path = Path(found.submodule_search_locations[0]) / "data" / "test" / "gst_tests_small.fits"
    with fits.open(path) as hdus:
        data = hdus[1].data
        columns = {
            "object_id": [f"kcorrect-{k:05d}" for k in range(len(data))],
            "ra": data["RA"].astype(float),
            "dec": data["DEC"].astype(float),
            "redshift": data["Z"].astype(float),
            "ebv": data["EXTINCTION"][:, BANDS.index("r")].astype(float) / EXTINCTION_R,
        }
        for k, band in enumerate(BANDS):
            to_ab = 10 ** (-0.4 * AB_OFFSET[band])
            weight = data["MODELFLUX_IVAR"][:, k].astype(float)
            columns[f"flux_{band}"] = to_ab * data["MODELFLUX"][:, k].astype(float)
            columns[f"extinction_{band}"] = data["EXTINCTION"][:, k].astype(float)
            columns[f"error_{band}"] = to_ab / np.sqrt(np.where(weight > 0, weight, np.nan))
    return pd.DataFrame(columns)


def kcorrect_estimates(survey: Survey) -> pd.DataFrame:
    """What kcorrect makes of magnitudes and redshifts, a row a galaxy.

    Non-negative sums of five templates (Blanton & Roweis 2007, AJ 133, 734), in our cosmology.

    Returns:
        `log_stellar_mass` [dex, M☉], converted to the initial mass function of Kroupa;
        `absolute_r`, absolute magnitude in r shifted to redshift 0.1 for H0 = 100, and `g_r`,
        colour in bands shifted so: what `is_blue` takes.
    """
    from astropy.cosmology import FlatLambdaCDM
    from kcorrect.kcorrect import Kcorrect

    cosmology = FlatLambdaCDM(H0=70, Om0=0.3)
    model = Kcorrect(
        responses=[f"sdss_{band}0" for band in BANDS],
        redshift_range=[0.0, float(max(survey.redshift.max(), 0.1)) + 0.01],
        nredshift=500,
        cosmo=cosmology,
    )
    flux = 10 ** (-0.4 * survey.magnitudes)
    errors = survey.catalogue[[f"magerr_{band}" for band in BANDS]].to_numpy()
    errors = np.hypot(errors, [ERROR_FLOOR[band] for band in BANDS]) * flux * np.log(10) / 2.5
    redshift, flux, weight = (np.float32(x) for x in (survey.redshift, flux, errors**-2))
    templates = model.fit_coeffs(redshift=redshift, maggies=flux, ivar=weight)
    absolute = model.absmag(
        redshift=redshift, maggies=flux, ivar=weight, coeffs=templates, band_shift=0.1
    )
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
    """Whether galaxies lie below the cut between blue and red of Zehavi et al. (2011, ApJ 736, 59).

    Arguments:
        absolute_r: absolute magnitude in r shifted to redshift 0.1, H0 = 100, `(n,)`.
        g_r: colour g − r in bands shifted so, `(n,)`.

    >>> is_blue(-20.0, np.array([0.7, 0.9])).tolist()
    [True, False]
    """
    return np.asarray(g_r) < 0.21 - 0.03 * np.asarray(absolute_r)


def compare_masses(found: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Bias and scatter of one estimate against another, in dex.

    Arguments:
        found: log masses, `(n,)`.
        reference: log masses by the other method, `(n,)`.

    Returns:
        `bias`, the median difference found − reference; `scatter`, half the distance from its
        16th to its 84th percentile; `outliers`, the share further than 0.3 dex from the median;
        `n`.
    """
    low, middle, high = np.percentile(found - reference, [16, 50, 84])
    return {
        "bias": float(middle),
        "scatter": float(high - low) / 2,
        "outliers": float((np.abs(found - reference - middle) > 0.3).mean()),
        "n": len(found),
    }


def load_model(name: str) -> Posterior:
    """A published model: one of `MODELS`."""
    return Posterior.load(published_folder() / "models" / name)


def longer(settings: TrainingSettings) -> TrainingSettings:
    """How models of any bands are trained where others are trained with `settings`."""
    return replace(settings, max_epochs=settings.max_epochs * 25 // 3, hide_bands=True)


def train_models(folder: Path, n_galaxies: int, settings: TrainingSettings, command: str) -> None:
    """Make the catalogue, train `MODELS` on it and publish them; goes on where it was stopped.

    Arguments:
        folder: where the models go, each to a folder of its name.
        n_galaxies: simulated galaxies, a tenth of them for validation and for tests each.
        settings: how to train.
        command: that makes them.
    """
    key = key_of([n_galaxies, SEED, asdict(settings)], "studies.real_galaxies")
    survey = kept_catalogue(n_galaxies, SEED)
    for name, sees in MODELS.items():
        cache = data_folder() / "cache" / f"models-{key}" / name
        how = settings if "missing_bands" not in sees else longer(settings)
        posterior = train(Posterior("r_and_colours", **sees), survey, cache, how)
        posterior.metadata |= {"command": command, "date": str(date.today())}
        posterior.save(folder / name)


def main(arguments: list[str] | None = None) -> None:
    options = read_command("real_galaxies", __doc__, arguments)
    n_galaxies = 300 if options.smoke else N_GALAXIES
    settings = replace(SETTINGS, max_epochs=2) if options.smoke else SETTINGS
    train_models(options.folder / "models", n_galaxies, settings, options.command)


if __name__ == "__main__":
    main()
