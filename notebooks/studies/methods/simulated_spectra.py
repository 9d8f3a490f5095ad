"""Spectra of simulated galaxies, compressed: what the survey has and its catalogue does not keep.

The simulator adds up rest-frame spectra only to look at them through five filters. Here it makes
the same galaxies again, from the same random numbers, and the spectra are caught on their way to
the filters: stars, nebulae and dust of the whole galaxy, without noise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import count
from unittest import mock

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.properties import MAGNITUDES
from galcfm.provenance import digest
from galcfm.simulate import galaxies as simulated
from galcfm.simulate.population import candidates
from galcfm.simulate.spectra import Templates, load_templates
from galcfm.survey import Survey
from studies.frame import SIMULATOR_VERSION, kept_table

# Rest frame, Å: within SDSS's spectrographs for all redshifts of the survey.
WAVELENGTHS = (3700.0, 6900.0)
ROUND = 1000  # galaxies
N_COMPONENTS = 40  # principal components by which methods know a spectrum


@contextmanager
def _caught() -> Iterator[list[np.ndarray]]:
    """Yield the spectra `(n, p)`, L☉/Å, of each batch of candidates made within the block."""
    kept: list[np.ndarray] = []

    class Catching(Templates):
        def fluxes(self, spectra, redshift):
            kept.append(spectra.sum(axis=1))
            return super().fluxes(spectra, redshift)

    templates = load_templates()
    catching = Catching(**{f.name: getattr(templates, f.name) for f in fields(Templates)})
    with mock.patch.object(simulated, "load_templates", return_value=catching):
        yield kept


def simulated_spectra(n_galaxies: int, seed: int, *, progress: bool = False) -> pd.DataFrame:
    """Return spectra of the first galaxies of a simulated survey.

    Arguments:
        n_galaxies, seed: As `galcfm.simulate.simulate_catalogue` takes them.
        progress: Whether a bar is shown.

    Returns:
        One row per galaxy: log10 of the luminosity [L☉/Å], float32, in columns that are called by
        the rest-frame wavelength [Å]; and the observed magnitudes, which identify the galaxy.
    """
    wavelength = load_templates().wavelength
    window = (wavelength > WAVELENGTHS[0]) & (wavelength < WAVELENGTHS[1])
    tables, n = [], 0
    with _caught() as kept, tqdm(total=n_galaxies, desc="spectra", disable=not progress) as bar:
        for batch in count():
            table = candidates(seed, batch)
            found = np.log10(kept.pop()[table.index.to_numpy()][:, window]).astype(np.float32)
            spectra = pd.DataFrame(found, table.index, wavelength[window].astype(str))
            tables.append(spectra.join(table[list(MAGNITUDES)]))
            n += len(table)
            bar.update(min(len(table), n_galaxies - bar.n))
            if n >= n_galaxies:
                return pd.concat(tables, ignore_index=True)[:n_galaxies]


def spectra_of(survey: Survey, *, progress: bool = False) -> np.ndarray:
    """Return spectra of galaxies of a simulated survey, log10 L☉/Å, float32 `(n, p)`.

    Arguments:
        survey: Simulated survey, or some galaxies of it.
        progress: Whether a bar is shown.

    Raises:
        ValueError: A galaxy is not one of the simulator's, or the simulator makes another now.
    """
    parts = [str(name).split("-") for name in survey.object_id]
    if any(len(p) != 3 or p[0] != "sim" or p[1] != parts[0][1] for p in parts):
        raise ValueError(
            f"{survey.name} is no simulated survey of one seed: only the simulator knows spectra"
        )
    seed, number = int(parts[0][1]), np.array([int(p[2]) for p in parts])
    # The splits of a survey share the table, as its length is a round number.
    n = (int(number.max()) // ROUND + 1) * ROUND
    key = digest([SIMULATOR_VERSION, seed, n])
    table = kept_table("spectra", key, lambda: simulated_spectra(n, seed, progress=progress))
    found, names = table.iloc[number], list(MAGNITUDES)
    if not np.allclose(found[names], survey.magnitudes, atol=1e-4):
        raise ValueError(
            f"{survey.name} holds other galaxies than the simulator makes of seed {seed} now: "
            "simulate the survey again"
        )
    return found.drop(columns=names).to_numpy()


@dataclass
class Components:
    """Principal components of log spectra, of the training split.

    Arguments:
        mean: Mean spectrum, `(p,)`.
        basis: Orthonormal rows, `(k, p)`.
    """

    mean: np.ndarray
    basis: np.ndarray

    @classmethod
    def of(cls, spectra: np.ndarray, n_components: int) -> "Components":
        """Return the first components of spectra `(n, p)`."""
        mean = spectra.mean(axis=0, dtype=np.float64)
        centred = spectra - mean
        # p is smaller than n: the covariance is the smaller matrix.
        _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        return cls(mean, vectors[:, ::-1].T[: min(n_components, len(spectra))])

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Return coefficients `(n, k)`."""
        return (spectra - self.mean) @ self.basis.T
