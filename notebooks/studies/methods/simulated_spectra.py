"""Spectra of simulated galaxies, compressed: what the survey has and its catalogue does not keep.

The simulator adds up rest-frame spectra only to look at them through five filters. Here it makes
the same galaxies again, from the same random numbers, and the spectra are caught on their way to
the filters: stars, nebulae and dust of the whole galaxy, without noise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from unittest import mock

import numpy as np
from tqdm import tqdm

from galcfm.paths import replacing
from galcfm.properties import MAGNITUDES
from galcfm.simulate import galaxies as simulated
from galcfm.simulate.population import candidates
from galcfm.simulate.spectra import Templates, load_templates
from galcfm.survey import Survey

__all__ = ["Components", "simulated_spectra", "spectra_of"]

# Rest frame, Å: within SDSS's spectrographs for all redshifts of the survey.
WAVELENGTHS = (3700.0, 6900.0)


@contextmanager
def _caught() -> Iterator[list[np.ndarray]]:
    """The spectra `(n, p)`, L☉/Å, of each batch of candidates that is made within the block."""
    kept: list[np.ndarray] = []

    class Catching(Templates):
        def fluxes(self, spectra, redshift):
            kept.append(spectra.sum(axis=1))
            return super().fluxes(spectra, redshift)

    templates = load_templates()
    catching = Catching(**{f.name: getattr(templates, f.name) for f in fields(Templates)})
    with mock.patch.object(simulated, "load_templates", return_value=catching):
        yield kept


def simulated_spectra(
    n_galaxies: int, seed: int, *, progress: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra of the first galaxies of a simulated survey.

    Arguments:
        n_galaxies, seed: as `galcfm.simulate.simulate_catalogue` takes them.
        progress: show a bar.

    Returns:
        Wavelengths in Å, rest frame, `(p,)`; log10 of the luminosity in L☉/Å, float32 `(n, p)`; and
        observed magnitudes `(n, 5)`, by which the galaxies can be known again.
    """
    wavelength = load_templates().wavelength
    window = (wavelength > WAVELENGTHS[0]) & (wavelength < WAVELENGTHS[1])
    spectra, magnitudes, n = [], [], 0
    with _caught() as kept, tqdm(total=n_galaxies, desc="spectra", disable=not progress) as bar:
        for batch in count():
            table = candidates(seed, batch)
            found = kept.pop()[table.index.to_numpy()]
            spectra.append(np.log10(found[:, window]).astype(np.float32))
            magnitudes.append(table[list(MAGNITUDES)].to_numpy())
            n += len(table)
            bar.update(min(len(table), n_galaxies - bar.n))
            if n >= n_galaxies:
                break
    first = slice(0, n_galaxies)
    return wavelength[window], np.concatenate(spectra)[first], np.concatenate(magnitudes)[first]


def spectra_of(survey: Survey, *, folder: Path | None = None, progress: bool = False) -> np.ndarray:
    """Spectra of the galaxies of a simulated survey, log10 L☉/Å, float32 `(n, p)`.

    Arguments:
        survey: simulated, or some galaxies of it.
        folder: where they are kept.
        progress: show a bar.

    Raises:
        ValueError: a galaxy is not one of the simulator's, or is another than it makes now.
    """
    parts = [str(name).split("-") for name in survey.object_id]
    if any(len(p) != 3 or p[0] != "sim" or p[1] != parts[0][1] for p in parts):
        raise ValueError(
            f"{survey.name} is no simulated survey of one seed: only the simulator knows spectra"
        )
    seed, number = int(parts[0][1]), np.array([int(p[2]) for p in parts])
    path = None if folder is None else Path(folder) / f"spectra-{seed}.npz"
    n = int(number.max()) + 1
    if path is not None and path.exists():
        with np.load(path) as file:
            spectra, magnitudes = file["spectra"], file["magnitudes"]
    if path is None or not path.exists() or len(spectra) < n:
        _, spectra, magnitudes = simulated_spectra(n, seed, progress=progress)
        if path is not None:
            with replacing(path) as temporary:
                np.savez(temporary, spectra=spectra, magnitudes=magnitudes)
    if not np.allclose(magnitudes[number], survey.magnitudes, atol=1e-4):
        raise ValueError(
            f"{survey.name} holds other galaxies than the simulator makes of seed {seed} now: "
            "simulate the survey again"
        )
    return spectra[number]


@dataclass
class Components:
    """Principal components of log spectra, of the training split.

    Arguments:
        mean: `(p,)`.
        basis: orthonormal rows, `(k, p)`.
        explained: share of the variance that they hold.
    """

    mean: np.ndarray
    basis: np.ndarray
    explained: float

    @classmethod
    def of(cls, spectra: np.ndarray, n_components: int) -> "Components":
        """The first components of spectra `(n, p)`."""
        mean = spectra.mean(axis=0, dtype=np.float64)
        centred = spectra - mean
        # p is smaller than n: the covariance is the smaller matrix.
        values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
        basis = vectors[:, ::-1].T[: min(n_components, len(spectra))]
        return cls(mean, basis, float(values[::-1][: len(basis)].sum() / values.sum()))

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Coefficients `(n, k)`."""
        return (spectra - self.mean) @ self.basis.T
