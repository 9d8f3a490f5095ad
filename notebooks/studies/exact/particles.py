"""The exact posterior of a galaxy as weighted particles, and the likelihood behind the weights."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp, softmax

from galcfm.metrics import effective_sample_size
from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.simulate import labels
from galcfm.simulate.galaxies import MAGNITUDE_LIMIT
from studies.exact import Plan
from studies.exact.emulator import Emulator
from studies.exact.latents import Light, n_latents, shine
from studies.exact.sampler import kernel_log_density, temper


@dataclass(frozen=True)
class ExactPosterior:
    """Weighted particles of a galaxy's exact posterior.

    Arguments:
        properties: Properties without measurement errors, shape `(n, 5)`.
        log_weights: Logarithms of the weights, which correct the emulator's error, shape `(n,)`.
        measured: Mean of the measured properties, given the noise that the observed magnitudes
            then have, shape `(n, 5)`.
        errors: Standard deviations about this mean, shape `(n, 5)`.
    """

    properties: np.ndarray
    log_weights: np.ndarray
    measured: np.ndarray
    errors: np.ndarray

    @classmethod
    def sample(cls, emulator: Emulator, magnitudes, rng, plan: Plan) -> "ExactPosterior":
        """Sample with the emulator and weight with the simulator.

        Arguments:
            emulator: The emulator that guides the search.
            magnitudes: Observed magnitudes, shape `(5,)`, NaN where a band is missing.
            rng: Random generator.
            plan: Number of particles and of their moves.
        """
        guide = partial(emulator.log_likelihood, magnitudes=magnitudes)
        moves = {"moves": plan.moves, "last_moves": plan.last_moves, "kept": plan.kept}
        x = temper(guide, plan.n_particles, n_latents(), rng, **moves)
        light = shine(x)
        log_weights = log_likelihood(light, magnitudes) - guide(x)
        return cls.of(light, magnitudes, log_weights, rng)

    @classmethod
    def of(cls, light: Light, magnitudes, log_weights: np.ndarray, rng) -> "ExactPosterior":
        """Return particles from galaxies, each with measurement errors of a size drawn for it.

        Arguments:
            light: The galaxies.
            magnitudes: Observed magnitudes, shape `(5,)`, NaN where a band is missing.
            log_weights: Logarithms of their weights, shape `(n,)`.
            rng: Random generator of the sizes of the errors and the noise of missing bands.
        """
        sizes = labels.error_sizes(rng, len(log_weights))
        mass = PROPERTY_NAMES.index("log_stellar_mass")
        measured, noise = light.properties.copy(), magnitudes - light.magnitudes
        if np.isnan(magnitudes).any():
            drawn = light.errors * rng.standard_normal(noise.shape)
            noise = np.where(np.isnan(noise), drawn, noise)
            # The galaxy is in the survey, whether its r is known or not.
            r = BANDS.index("r")
            bright = light.magnitudes[:, r] + noise[:, r] < MAGNITUDE_LIMIT
            log_weights = np.where(bright, log_weights, -np.inf)
        measured[:, mass] += labels.mass_error_by_noise(noise)
        sizes["log_stellar_mass"] = labels.mass_error_left(sizes["log_stellar_mass"], light.errors)
        errors = np.stack([sizes[name] for name in PROPERTY_NAMES], axis=1)
        return cls(light.properties, log_weights, measured, errors)

    @property
    def effective_size(self) -> float:
        """Effective number of particles."""
        return float(effective_sample_size(self.log_weights))

    @property
    def weights(self) -> np.ndarray:
        """Weights that sum to 1, `(n,)`."""
        return softmax(self.log_weights)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations of the properties, each of shape `(5,)`."""
        mean = self.weights @ self.properties
        return mean, np.sqrt(self.weights @ (self.properties - mean) ** 2)

    def log_prob(self, theta, smoothing=0.0, columns=slice(None)) -> float:
        """Return the log-density at measured properties [nat].

        Arguments:
            theta: Measured properties, shape `(5,)`.
            smoothing: Standard deviations by which the density is blurred, shape `(5,)`.
            columns: Columns of the properties whose joint density is returned; by default all.
        """
        widths = np.hypot(self.errors, smoothing)[:, columns]
        found = kernel_log_density(
            theta[None, columns], self.measured[:, columns], self.log_weights, widths
        )
        return float(found[0])

    def draws(self, n: int, smoothing, rng) -> np.ndarray:
        """Return draws of measured properties, blurred by a normal kernel, shape `(n, 5)`."""
        rows = rng.choice(len(self.weights), n, p=self.weights)
        widths = np.hypot(self.errors[rows], smoothing)
        return self.measured[rows] + widths * rng.standard_normal(widths.shape)

    @staticmethod
    def joined(parts: list["ExactPosterior"]) -> "ExactPosterior":
        """Return independent runs of the sampler as one, each with the same total weight."""
        log_weights = [part.log_weights - logsumexp(part.log_weights) for part in parts]
        whole = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("properties", "measured", "errors")
        }
        return ExactPosterior(log_weights=np.concatenate(log_weights), **whole)


def log_likelihood(light: Light, magnitudes) -> np.ndarray:
    """Return the log-likelihood of observed magnitudes for each galaxy, up to a constant.

    It is minus infinity where the lines are not seen: such a galaxy is not in the survey.

    Arguments:
        light: The galaxies.
        magnitudes: Observed magnitudes, shape `(5,)`, NaN where a band is missing.

    Returns:
        One value per galaxy, shape `(n,)`.
    """
    known = ~np.isnan(magnitudes)
    errors = light.errors[:, known]
    wrong = (magnitudes - light.magnitudes)[:, known] / errors
    found = -0.5 * (wrong**2).sum(axis=1) - np.log(errors).sum(axis=1)
    return np.where(light.seen, found, -np.inf)
