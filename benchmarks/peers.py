"""Solvers of other libraries with our weights: the same network and noise, without gradients.

Each solver is a function of one galaxy's noise or properties `(S, d)` and its condition `(c,)`.
Blocks of one galaxy fit the cache, so that large batches slow no other library.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainNetwork(nn.Module):
    """The velocity network in its usual form: a multilayer perceptron on [t; x; c]."""

    def __init__(self, network):
        super().__init__()
        self.layers, self.output = network.hidden, network.output

    def forward(self, t: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        t = t.reshape(-1, 1).expand(len(x), 1)
        h = torch.cat([t, x, condition.expand(len(x), -1)], 1)
        for layer in self.layers:
            h = functional.silu(layer(h))
        return self.output(h)


def samplers(network, condition_dim: int) -> dict:
    """Return solvers from noise to posterior by library: `{name: {setting: f(x_0, condition)}}`."""
    import torchdiffeq
    from flow_matching.solver import ODESolver
    from zuko.transforms import FreeFormJacobianTransform

    plain = PlainNetwork(network)
    span = torch.tensor([0.0, 1.0])

    def diffeq(method, **options):
        def solve(x_0, condition):
            return torchdiffeq.odeint(
                lambda t, x: plain(t, x, condition), x_0, span, method=method, **options
            )[-1]

        return solve

    def meta(method, step_size, **tolerances):
        def solve(x_0, condition):
            solver = ODESolver(lambda x, t: plain(t, x, condition))
            return solver.sample(x_0, step_size, method, **tolerances)

        return solve

    def zuko(**tolerances):
        def solve(x_0, condition):
            return FreeFormJacobianTransform(lambda t, x: plain(t, x, condition), **tolerances)(x_0)

        return solve

    def sbi(**tolerances):
        ode = _sbi_ode(plain, condition_dim, network.dim)
        return lambda x_0, condition: ode(condition[None], **tolerances).transform.inv(x_0)

    tolerances = (1e-2, 1e-3, 1e-4, 1e-5)
    return {
        "torchdiffeq RK4": {
            n: diffeq("rk4", options={"step_size": 1 / n}) for n in (4, 5, 6, 7, 8, 12, 100)
        },
        "torchdiffeq dopri5": {e: diffeq("dopri5", rtol=e, atol=e) for e in tolerances},
        "flow_matching RK4": {n: meta("rk4", 1 / n) for n in (4, 5, 6, 7, 8, 12, 100)},
        "flow_matching dopri5": {
            e: meta("dopri5", None, atol=e, rtol=e) for e in (1e-3, 1e-4, 1e-5)
        },
        "zuko": {e: zuko(atol=e, rtol=e) for e in tolerances},
        "sbi": {"default": sbi()} | {e: sbi(atol=e, rtol=e) for e in (1e-3, 1e-4)},
    }


def densities(network, condition_dim: int) -> dict:
    """Return exact log-densities by library: `{name: {setting: f(x_1, condition)}}`."""
    from flow_matching.solver import ODESolver
    from zuko.transforms import FreeFormJacobianTransform

    plain = PlainNetwork(network)

    def log_normal(x):
        return -0.5 * (x.square().sum(-1) + x.shape[-1] * math.log(2 * math.pi))

    def meta(method, step_size, **tolerances):
        def evaluate(x_1, condition):
            solver = ODESolver(lambda x, t: plain(t, x, condition))
            return solver.compute_likelihood(
                x_1, log_normal, step_size, method, exact_divergence=True, **tolerances
            )[1]

        return evaluate

    def zuko(**tolerances):
        def evaluate(x_1, condition):
            transform = FreeFormJacobianTransform(
                lambda t, x: plain(t, x, condition), 1.0, 0.0, **tolerances
            )
            x_0, ladj = transform.call_and_ladj(x_1)
            return log_normal(x_0) + ladj

        return evaluate

    def sbi(**tolerances):
        ode = _sbi_ode(plain, condition_dim, network.dim)
        return lambda x_1, condition: ode(condition[None], **tolerances).log_prob(x_1)

    return {
        "flow_matching RK4": {n: meta("rk4", 1 / n) for n in (12, 14, 16)},
        "flow_matching dopri5": {e: meta("dopri5", None, atol=e, rtol=e) for e in (1e-5, 3e-6)},
        "zuko": {e: zuko(atol=e, rtol=e) for e in (1e-5, 3e-6)},
        "sbi": {"default": sbi()},
    }


def _sbi_ode(plain: PlainNetwork, condition_dim: int, dim: int):
    """Return the solver of sbi's FMPE posterior, with our velocity.

    The time of sbi runs from data (0) to noise (1), and sbi scales input and output of the network;
    the wrapper reverts both.
    """
    from sbi.inference.potentials.vector_field_potential import VectorFieldBasedPotential
    from sbi.neural_nets.estimators.flowmatching_estimator import FlowMatchingEstimator

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = plain

        def forward(self, x, condition, t):
            scale = torch.sqrt((1 - t) ** 2 + t**2 + 1e-6)[:, None]
            return self.plain(1 - t, x * scale, condition) / -math.sqrt(2)

    shapes = torch.Size([dim]), torch.Size([condition_dim])
    estimator = FlowMatchingEstimator(Wrapped(), *shapes)
    return VectorFieldBasedPotential(estimator, prior=None).neural_ode
