"""Tempered sequential Monte Carlo over latents with a standard normal prior, and its densities."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from galcfm.metrics import effective_sample_size

Likelihood = Callable[[np.ndarray], np.ndarray]


def temper(
    log_likelihood: Likelihood,
    n_particles: int,
    dim: int,
    rng: np.random.Generator,
    *,
    moves: int = 10,
    last_moves: int = 40,
    kept: int = 1,
) -> np.ndarray:
    r"""Sample :math:`\mathcal N(x; 0, I)\, L(x)` by tempered sequential Monte Carlo.

    The likelihood is raised to powers that rise from 0 to 1, each so that half of the particles
    count (Del Moral, Doucet & Jasra 2006). After each resampling they move by a preconditioned
    Crank-Nicolson step about their own mean and covariance (Rudolf & Sprungk 2018), which leaves
    a normal distribution as it is however long the step; its length is adapted.

    Arguments:
        log_likelihood: Function of points `(n, dim)` that returns their log-likelihood, `(n,)`;
            minus infinity is allowed.
        n_particles: Number of particles.
        dim: Number of dimensions.
        rng: Random generator.
        moves: Number of steps at each power.
        last_moves: Number of steps at power 1.
        kept: Number of times that particles are kept, evenly spread over the later half of these.

    Returns:
        Particles of equal weight, shape `(kept * n_particles, dim)`.

    Raises:
        RuntimeError: No particle has a finite log-likelihood.
    """
    x = rng.standard_normal((n_particles, dim))
    log_l = log_likelihood(x)
    if not np.isfinite(log_l).any():
        raise RuntimeError(
            "no particle of the prior has a finite log-likelihood: use more particles"
        )
    power, length = 0.0, 0.7
    states = []
    while power < 1:
        step = _next_step(log_l, 1 - power)
        weights = np.exp(step * (log_l - log_l.max()))
        power = 1.0 if step >= 1 - power else power + step
        rows = _resample(weights, rng)
        x, log_l = x[rows], log_l[rows]
        n_moves = last_moves if power == 1 else moves
        keep = np.linspace(n_moves / 2, n_moves, kept + 1)[1:].round() if power == 1 else ()
        for move in range(1, n_moves + 1):
            # The reference is found on one half and moves the other, so that no particle steers
            # its own proposal.
            order = rng.permutation(n_particles)
            for moved, others in (np.array_split(order, 2), np.array_split(order, 2)[::-1]):
                mean, root = _normal_of(x[others])
                accepted = _move(x, log_l, moved, mean, root, length, power, log_likelihood, rng)
            length = float(np.clip(length * np.exp(accepted - 0.3), 0.05, 1.0))
            if move in keep:
                states.append(x.copy())
    return np.concatenate(states)


def _next_step(log_l: np.ndarray, rest: float) -> float:
    """Return the largest rise of the power, at most `rest`, that leaves half of the particles."""
    wanted = len(log_l) / 2
    if effective_sample_size(rest * log_l) >= wanted:
        return rest
    low, high = 0.0, rest
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if effective_sample_size(middle * log_l) >= wanted else (low, middle)
        )
    return high


def _resample(weights: np.ndarray, rng) -> np.ndarray:
    """Return row numbers, systematically resampled."""
    n = len(weights)
    edges = np.cumsum(weights) / weights.sum()
    return np.searchsorted(edges, (np.arange(n) + rng.uniform()) / n).clip(max=n - 1)


def _normal_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and the Cholesky root of a covariance shrunk a little to its diagonal."""
    covariance = np.cov(x.T).reshape(x.shape[1], -1)
    shrink = x.shape[1] / (x.shape[1] + len(x))
    mixed = (1 - shrink) * covariance + shrink * np.diag(np.diag(covariance))
    return x.mean(axis=0), np.linalg.cholesky(mixed + 1e-9 * np.eye(len(mixed)))


def _move(x, log_l, rows, mean, root, length, power, log_likelihood, rng) -> float:
    """Move the particles `rows` by one step, in place; return the share that is accepted."""
    inverse = np.linalg.inv(root).T
    whitened = (x[rows] - mean) @ inverse
    # Some steps are short, for places where the reference fits badly.
    length = length * rng.choice([1.0, 0.5, 0.2], size=(len(rows), 1))
    proposed = np.sqrt(1 - length**2) * whitened + length * rng.standard_normal(whitened.shape)
    places = proposed @ root.T + mean
    found = log_likelihood(places)

    def target(x, log_l, whitened):
        return power * log_l - 0.5 * (x**2).sum(axis=1) + 0.5 * (whitened**2).sum(axis=1)

    ratio = target(places, found, proposed) - target(x[rows], log_l[rows], whitened)
    accepted = np.log(rng.uniform(size=len(rows))) < ratio
    x[rows[accepted]], log_l[rows[accepted]] = places[accepted], found[accepted]
    return float(accepted.mean())


def kernel_log_density(
    points: np.ndarray, particles: np.ndarray, log_weights: np.ndarray, widths: np.ndarray
) -> np.ndarray:
    r"""Return the log-density of particles that are blurred by a normal kernel.

    :math:`\log \sum_i w_i\, \mathcal N(\theta; \theta_i, \mathrm{diag}(h^2)) / \sum_i w_i`

    Arguments:
        points: Points at which the density is evaluated, shape `(m, d)`.
        particles: Particles, shape `(n, d)`.
        log_weights: Logarithms of their weights, shape `(n,)`.
        widths: Standard deviations of the kernel, shape `(d,)`, or for each particle, `(n, d)`.

    Returns:
        Log-densities [nat per unit volume], shape `(m,)`.

    >>> at = kernel_log_density([[0.0]], np.array([[0.0]]), np.zeros(1), np.array([2.0]))
    >>> float(at[0].round(4))
    -1.6121
    """
    scaled = (np.asarray(points)[:, None] - particles) / widths
    kernel = -0.5 * (scaled**2).sum(axis=-1) - np.log(widths).sum(axis=-1)
    kernel -= 0.5 * particles.shape[-1] * np.log(2 * np.pi)
    return logsumexp(kernel + log_weights, axis=1) - logsumexp(log_weights)
