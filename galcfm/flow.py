r"""Conditional flow matching: path, loss, Runge-Kutta sampler and exact log-density.

The flow carries noise :math:`x_0 \sim \mathcal N(0, I)` at :math:`t = 0` to data :math:`x_1` at
:math:`t = 1` along :math:`x_t = (1 - t) x_0 + t x_1 + \sigma \epsilon` (arXiv 2512.05078, section
2). It knows nothing of galaxies.

Trained with :math:`\sigma > 0` from :math:`\mathcal N(0, I)`, the flow lands on the posterior
convolved with :math:`\mathcal N(0, \sigma^2 I)`, up to the mismatch of starting from variance 1
where the path has :math:`1 + \sigma^2`. `ConditionalFlow.log_prob` is the exact density of what
`ConditionalFlow.sample` draws.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.networks import VelocityField

__all__ = ["ConditionalFlow", "standard_normal"]

# Rows (galaxies times samples) integrated at once, so that the activations of a layer stay within
# the cache of a CPU core; a GPU wants blocks that fill the card.
BLOCK_ROWS = {"cpu": 2048, "cuda": 1 << 20}


class ConditionalFlow(nn.Module):
    r"""A flow from :math:`\mathcal N(0, I)` to :math:`p(x_1 \mid c)`.

    Arguments:
        network: the velocity field.
        sigma: width :math:`\sigma` of the path.

    >>> from galcfm.networks import VelocityNetwork
    >>> flow = ConditionalFlow(VelocityNetwork(dim=5, condition_dim=5))
    >>> flow.sample(torch.zeros(2, 5), n_samples=3, steps=4, seeds=[0, 1]).shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, network: VelocityField, sigma: float = 0.05):
        super().__init__()
        self.network = network
        self.dim = network.dim
        self.sigma = sigma

    def velocity(self, t: Tensor, x_t: Tensor, condition: Tensor) -> Tensor:
        """Velocity `(m, d)` at `t (m, 1)`, `x_t (m, d)`, `condition (m, c)`."""
        return self.network(t, x_t, condition)

    def path(self, x_0: Tensor, x_1: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        r""":math:`x_t = (1 - t) x_0 + t x_1 + \sigma \epsilon`, all `(m, d)` but `t (m, 1)`."""
        return (1 - t) * x_0 + t * x_1 + self.sigma * epsilon

    def loss(
        self, x_1: Tensor, condition: Tensor, t: Tensor, x_0: Tensor, epsilon: Tensor
    ) -> Tensor:
        r"""Mean squared error of the velocity against :math:`x_1 - x_0`.

        Arguments:
            x_1: data, `(m, d)`.
            condition: `(m, c)`.
            t: times in [0, 1], `(K, m, 1)` for K draws a galaxy.
            x_0: noise, `(K, m, d)`.
            epsilon: noise of the path, `(K, m, d)`.

        Returns:
            Mean over draws, rows and dimensions, a scalar.
        """
        prepared = self.network.prepare(condition)
        velocity = self.network.evaluate(t, self.path(x_0, x_1, t, epsilon), prepared)
        return (velocity - (x_1 - x_0)).square().mean()

    @torch.inference_mode()
    def sample(
        self,
        condition: Tensor,
        n_samples: int,
        steps: int = 100,
        *,
        x_0: Tensor | None = None,
        seeds=None,
    ) -> Tensor:
        """Draw from the posterior of each condition by RK4.

        Arguments:
            condition: `(n, c)`.
            n_samples: draws a condition.
            steps: Runge-Kutta steps, four velocities each.
            x_0: noise to start from, `(n, n_samples, d)`; drawn when absent.
            seeds: an integer a condition, `(n,)`: its noise depends on nothing else.

        Returns:
            `(n, n_samples, d)`.
        """
        return self._integrate_from_noise(condition, n_samples, steps, x_0, seeds, False)[0]

    @torch.inference_mode()
    def sample_with_log_prob(
        self,
        condition: Tensor,
        n_samples: int,
        steps: int = 100,
        *,
        x_0: Tensor | None = None,
        seeds=None,
    ) -> tuple[Tensor, Tensor]:
        """Draws as `sample` gives them, and their exact log-density `(n, n_samples)` in nat."""
        return self._integrate_from_noise(condition, n_samples, steps, x_0, seeds, True)

    @torch.inference_mode()
    def trajectories(self, condition: Tensor, x_0: Tensor, steps: int = 100) -> Tensor:
        """Places of noise `x_0 (n, S, d)` after each RK4 step, `(steps + 1, n, S, d)`."""
        prepared = self.network.prepare(condition).unsqueeze(1)
        places = [x_0.to(prepared)]
        for step in range(steps):
            start, end = step / steps, (step + 1) / steps
            places.append(self._rk4(places[-1], prepared, start, end, 1, False)[0])
        return torch.stack(places)

    @torch.inference_mode()
    def log_prob(self, x_1: Tensor, condition: Tensor, steps: int = 100) -> Tensor:
        r"""Exact log-density of the flow in nat, by the instantaneous change of variables.

        :math:`\log p(x_1) = \log \mathcal N(x_0; 0, I) - \int_0^1 \nabla \cdot v(t, x_t)\,
        \mathrm dt`, integrated backwards by RK4 with the full divergence (Chen et al. 2018):
        no trace estimate, no noise.

        Arguments:
            x_1: `(n, d)` or `(n, S, d)`.
            condition: `(n, c)`.
            steps: Runge-Kutta steps.

        Returns:
            `(n,)` or `(n, S)`.
        """
        squeeze = x_1.ndim == 2
        x_1 = x_1.unsqueeze(1) if squeeze else x_1
        if x_1.shape[0] != condition.shape[0] or x_1.shape[-1] != self.dim:
            raise ValueError(
                f"x_1 is {tuple(x_1.shape)} but there are {condition.shape[0]} conditions and "
                f"{self.dim} dimensions: (n, {self.dim}) or (n, S, {self.dim}) is needed"
            )
        log_prob = torch.empty(x_1.shape[:-1], dtype=x_1.dtype)
        for block, prepared in self._blocks(condition, x_1.shape[1], True):
            x_0, integral = self._rk4(x_1[block].to(prepared), prepared, 1.0, 0.0, steps, True)
            log_prob[block] = (_log_normal(x_0) + integral).to(log_prob)
        return log_prob.squeeze(1) if squeeze else log_prob

    def _integrate_from_noise(self, condition, n_samples, steps, x_0, seeds, with_log_prob):
        shape = (condition.shape[0], n_samples, self.dim)
        if x_0 is not None and x_0.shape != shape:
            raise ValueError(f"x_0 is {tuple(x_0.shape)}: {shape} is needed")
        if seeds is not None and len(seeds) != shape[0]:
            raise ValueError(f"{len(seeds)} seeds for {shape[0]} conditions: one each is needed")
        if x_0 is None:
            x_0 = (
                torch.randn(shape) if seeds is None else standard_normal(seeds, n_samples, self.dim)
            )
        x_1 = torch.empty(shape, dtype=condition.dtype)
        log_prob = torch.empty(shape[:2], dtype=condition.dtype) if with_log_prob else None
        for block, prepared in self._blocks(condition, n_samples, with_log_prob):
            start = x_0[block].to(prepared)
            x, integral = self._rk4(start, prepared, 0.0, 1.0, steps, with_log_prob)
            x_1[block] = x.to(x_1)
            if with_log_prob:
                log_prob[block] = (_log_normal(start) - integral).to(log_prob)
        return x_1, log_prob

    def _blocks(self, condition, n_samples, with_divergence):
        """Blocks (galaxies, samples) that fit the cache, with the galaxies' prepared condition."""
        budget = BLOCK_ROWS[condition.device.type]
        if with_divergence:
            # Each row carries its value and `dim` tangents.
            budget //= 1 + self.dim
        n_columns = max(1, min(n_samples, budget))
        n_rows = max(1, budget // n_columns)
        for row in range(0, condition.shape[0], n_rows):
            rows = slice(row, row + n_rows)
            prepared = self.network.prepare(condition[rows]).unsqueeze(1)
            for column in range(0, n_samples, n_columns):
                yield (rows, slice(column, column + n_columns)), prepared

    def _rk4(self, x, prepared, t_start, t_end, steps, with_divergence):
        r"""End point and :math:`\int \nabla \cdot v\, \mathrm dt` from `t_start` to `t_end`."""
        if steps < 1:
            raise ValueError(f"steps is {steps}: at least one Runge-Kutta step is needed")
        h = (t_end - t_start) / steps
        integral = torch.zeros(x.shape[:-1], dtype=x.dtype, device=x.device)

        def evaluate(t, x):
            t = torch.full((1,), t, dtype=x.dtype, device=x.device)
            if with_divergence:
                return self.network.evaluate_with_divergence(t, x, prepared)
            return self.network.evaluate(t, x, prepared), 0.0

        for step in range(steps):
            t = t_start + step * h
            k_1, d_1 = evaluate(t, x)
            k_2, d_2 = evaluate(t + h / 2, x + h / 2 * k_1)
            k_3, d_3 = evaluate(t + h / 2, x + h / 2 * k_2)
            k_4, d_4 = evaluate(t + h, x + h * k_3)
            x = x + h / 6 * (k_1 + 2 * (k_2 + k_3) + k_4)
            integral = integral + h / 6 * (d_1 + 2 * (d_2 + d_3) + d_4)
        return x, integral


def standard_normal(seeds, n_samples: int, dim: int) -> Tensor:
    """Standard normal noise `(n, n_samples, dim)`; a galaxy's own depends on its seed alone."""
    noise = torch.empty(len(seeds), n_samples, dim)
    for row, seed in zip(noise.numpy(), seeds, strict=True):
        row[...] = np.random.default_rng(int(seed)).standard_normal(row.shape)
    return noise


def _log_normal(x: Tensor) -> Tensor:
    return -0.5 * (x.square().sum(-1) + x.shape[-1] * math.log(2 * math.pi))
