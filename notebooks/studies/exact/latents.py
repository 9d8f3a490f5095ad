"""The simulator as a function of standard normal numbers.

What the simulator draws from a random generator are its latents: redshift, mass, dust and all else
that a galaxy's light depends on. `Replay` passes given numbers instead, so the simulator becomes a
deterministic function of a vector whose prior is N(0, I), without a second copy of its code.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.galaxies import before_noise, draw_galaxies, is_star_forming

BLOCK = 512  # galaxies simulated at once: their spectra stay in the processor's cache


class Replay:
    """A stand-in for a random generator, whose draws are the columns of a matrix, in order.

    Arguments:
        x: Standard normal numbers, shape `(n, d)`. A uniform draw is their cumulative probability.

    >>> rng = Replay(np.zeros((2, 3)))
    >>> rng.normal(size=2).tolist(), rng.uniform(2, 4, 2).tolist(), rng.used
    ([0.0, 0.0], [3.0, 3.0], 2)
    """

    def __init__(self, x: np.ndarray):
        self.x = x
        self.used = 0

    def normal(self, size) -> np.ndarray:
        """Return the next columns; `size` is `n` or `(k, n)`."""
        columns = self.x[:, self.used : self.used + np.prod(size) // len(self.x)].T
        self.used += len(columns)
        return columns.reshape(size)

    def uniform(self, low=0.0, high=1.0, size=None) -> np.ndarray:
        """Return the next columns as uniform numbers between `low` and `high`."""
        return low + (high - low) * ndtr(self.normal(size))


class Light(NamedTuple):
    """Galaxies and their photometry without noise.

    Arguments:
        properties: Properties as the survey measures them, without errors, shape `(n, 5)`.
        magnitudes: AB magnitudes without noise, shape `(n, 5)`.
        errors: Standard deviations of the noise [mag], shape `(n, 5)`.
        seen: Whether the emission lines that the survey requires are seen, shape `(n,)`.
    """

    properties: np.ndarray
    magnitudes: np.ndarray
    errors: np.ndarray
    seen: np.ndarray


@cache
def n_latents() -> int:
    """Return how many random numbers the light of a galaxy depends on."""
    replay = Replay(np.zeros((1, 1000)))
    before_noise(replay, 1)
    return replay.used


def shine(x: np.ndarray) -> Light:
    """Simulate galaxies.

    Arguments:
        x: Standard normal numbers, shape `(n, n_latents())`.
    """
    parts = []
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        galaxies = before_noise(Replay(block), len(block))
        properties = np.stack([galaxies.labels[name] for name in PROPERTY_NAMES], axis=1)
        seen = galaxies.photometry
        parts.append((properties, seen.magnitudes, seen.drawn, galaxies.lines_seen))
    return Light(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def star_forming(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether galaxies form stars, and features of them for the emulator.

    Arguments:
        x: Standard normal numbers, shape `(n, n_latents())`.

    Returns:
        Booleans `(n,)`, and features `(n, k)`: all results of `draw_galaxies`, log10 of the
        redshift, and the numbers that it has not used.
    """
    replay = Replay(x)
    g = draw_galaxies(replay, len(x))
    said = np.stack([*vars(g).values(), np.log10(g.redshift)], axis=1, dtype=float)
    rest = x[:, replay.used :]
    return is_star_forming(g.m, g.s, g.active), np.concatenate([said, rest], axis=1)
