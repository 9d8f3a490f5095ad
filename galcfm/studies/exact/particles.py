"""The exact posterior of a galaxy as weighted particles, and the likelihood that weighs them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from galcfm.metrics import effective_sample_size
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.relations import LABEL_ERRORS
from galcfm.studies.exact.emulator import Emulator
from galcfm.studies.exact.latents import Light, n_latents, shine
from galcfm.studies.exact.sampler import kernel_log_density, temper


def label_errors() -> np.ndarray:
    """Standard deviations of the errors of the measured properties, `(5,)`."""
    return np.array([LABEL_ERRORS[name] for name in PROPERTY_NAMES])


@dataclass(frozen=True)
class ExactPosterior:
    """Weighted particles of a galaxy's exact posterior.

    Arguments:
        properties: without measurement errors, `(n, 5)`.
        log_weights: `(n,)`; they undo what the emulator did wrong.
    """

    properties: np.ndarray
    log_weights: np.ndarray

    @classmethod
    def sample(
        cls, emulator: Emulator, magnitudes, rng, n_particles: int, **moves: int
    ) -> "ExactPosterior":
        """Search with the emulator, judge with the simulator.

        Arguments:
            emulator: of `train_emulator`.
            magnitudes: observed, `(5,)`.
            rng: random numbers.
            n_particles: number of particles.
            moves: `moves`, `last_moves` and `kept` of `temper`.
        """
        x = temper(
            lambda x: emulator.log_likelihood(x, magnitudes), n_particles, n_latents(), rng, **moves
        )
        light = shine(x)
        log_weights = log_likelihood(light, magnitudes) - emulator.log_likelihood(x, magnitudes)
        return cls(light.properties, log_weights)

    @property
    def effective_size(self) -> float:
        """Effective number of particles."""
        return float(effective_sample_size(self.log_weights))

    @property
    def weights(self) -> np.ndarray:
        """Weights that sum to 1, `(n,)`."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return weights / weights.sum()

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of the properties, `(5,)` each."""
        mean = self.weights @ self.properties
        return mean, np.sqrt(self.weights @ (self.properties - mean) ** 2)

    def log_prob(self, theta, widths, columns=slice(None)) -> float:
        """Log-density at `theta (5,)` of the posterior blurred by a normal kernel, in nat.

        Arguments:
            theta: properties, `(5,)`.
            widths: standard deviations of the kernel, `(5,)`.
            columns: the properties whose joint density is asked for; by default all.
        """
        found = kernel_log_density(
            theta[None, columns], self.properties[:, columns], self.log_weights, widths[columns]
        )
        return float(found[0])

    def draws(self, n: int, widths, rng) -> np.ndarray:
        """Draws of the posterior blurred by a normal kernel, `(n, 5)`."""
        rows = rng.choice(len(self.weights), n, p=self.weights)
        return self.properties[rows] + widths * rng.standard_normal((n, len(widths)))

    @staticmethod
    def joined(parts: list["ExactPosterior"]) -> "ExactPosterior":
        """Independent runs of the sampler as one, each with the same total weight."""
        return ExactPosterior(
            np.concatenate([part.properties for part in parts]),
            np.concatenate([part.log_weights - logsumexp(part.log_weights) for part in parts]),
        )


def log_likelihood(light: Light, magnitudes) -> np.ndarray:
    """Log-likelihood of observed magnitudes `(5,)` for each galaxy, up to a constant, `(n,)`."""
    wrong = (magnitudes - light.magnitudes) / light.errors
    return -0.5 * (wrong**2).sum(axis=1) - np.log(light.errors).sum(axis=1)
