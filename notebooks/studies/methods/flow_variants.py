"""Flow matching with one part exchanged: encoder, pooling, or how the condition comes in.

With the paper's parts it is the model of `FlowMatching`, trained from nothing as the other methods
are: so differences between variants are differences between their parts.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galcfm.flow import FAST_STEPS, ConditionalFlow
from galcfm.networks import VelocityField, VelocityNetwork
from galcfm.posterior import galaxy_seeds
from galcfm.survey import Survey
from galcfm.training.data import path_draws
from studies.methods.network_method import NetworkMethod

TOKENS = 8  # into which cross-attention cuts the condition
DRAWS = 8  # of time and noise for each galaxy of a batch


class ModulatedNetwork(VelocityField):
    """A velocity whose layers are scaled and shifted by the condition (Perez et al. 2018, FiLM).

    Arguments:
        dim, condition_dim, width, depth: As `VelocityNetwork` has them.
    """

    def __init__(self, dim: int, condition_dim: int, width: int = 256, depth: int = 3):
        super().__init__(dim)
        self.first = nn.Linear(1 + dim, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.output = nn.Linear(width, dim)
        self.modulation = nn.Sequential(
            nn.Linear(condition_dim, width), nn.SiLU(), nn.Linear(width, 2 * depth * width)
        )

    def prepare(self, condition: Tensor) -> Tensor:
        """Return scales and shifts of all layers, `(..., 2 depth width)`."""
        return self.modulation(condition)

    def evaluate(self, t: Tensor, x: Tensor, prepared: Tensor) -> Tensor:
        """Return the velocity `(..., d)`."""
        t, x = torch.broadcast_tensors(t, x)
        h = self.first(torch.cat([t[..., :1], x], dim=-1))
        layers = prepared.chunk(1 + len(self.hidden), dim=-1)
        for k, both in enumerate(layers):
            scale, shift = both.chunk(2, dim=-1)
            h = functional.silu((1 + scale) * (h if k == 0 else self.hidden[k - 1](h)) + shift)
        return self.output(h)


class CrossAttentionNetwork(VelocityField):
    """A velocity that asks the condition, in tokens, by attention (Vaswani et al. 2017).

    The condition becomes some tokens; each hidden layer adds what a query made of it finds there,
    in four heads.

    Arguments:
        dim, condition_dim, width, depth: As `VelocityNetwork` has them.
    """

    def __init__(self, dim: int, condition_dim: int, width: int = 256, depth: int = 3):
        super().__init__(dim)
        self.heads = 4
        self.first = nn.Linear(1 + dim, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.query = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.merge = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.output = nn.Linear(width, dim)
        self.tokens = nn.Linear(condition_dim, TOKENS * width)
        self.keys_and_values = nn.Linear(width, 2 * width)

    def prepare(self, condition: Tensor) -> Tensor:
        """Return keys and values of the tokens, `(..., TOKENS 2 width)`."""
        tokens = functional.silu(self.tokens(condition)).unflatten(-1, (TOKENS, -1))
        return self.keys_and_values(tokens).flatten(-2)

    def evaluate(self, t: Tensor, x: Tensor, prepared: Tensor) -> Tensor:
        """Return the velocity `(..., d)`."""
        t, x = torch.broadcast_tensors(t, x)
        h = self.first(torch.cat([t[..., :1], x], dim=-1))
        keys, values = prepared.unflatten(-1, (TOKENS, 2, self.heads, -1)).unbind(-3)
        for query, merge, layer in zip(self.query, self.merge, self.hidden, strict=True):
            q = query(h).unflatten(-1, (self.heads, -1)).unsqueeze(-3)
            weights = (q * keys).sum(-1, keepdim=True) / math.sqrt(q.shape[-1])
            found = (weights.softmax(dim=-3) * values).sum(dim=-3).flatten(-2)
            h = h + merge(found)
            h = h + layer(functional.silu(h))
        return self.output(functional.silu(h))


CONDITIONINGS = {
    "concatenation": VelocityNetwork,
    "modulation": ModulatedNetwork,
    "cross_attention": CrossAttentionNetwork,
}


class FlowVariant(NetworkMethod):
    """Conditional flow matching, its parts chosen.

    Arguments:
        conditioning: Name in `CONDITIONINGS`; the paper's is `"concatenation"`.
        sigma: Width of the path, standardised units.
        hidden_width, depth: Size of the velocity network.
        options: Options of `NetworkMethod`.

    Attributes:
        steps: Number of Runge-Kutta steps of draws.
        density_steps: Number of those of densities.

    Raises:
        ValueError: There is no such conditioning.
    """

    steps, density_steps = FAST_STEPS, 2 * FAST_STEPS

    def __init__(
        self, *, conditioning="concatenation", sigma=0.05, hidden_width=256, depth=3, **options
    ):
        if conditioning not in CONDITIONINGS:
            raise ValueError(
                f"no conditioning called {conditioning!r}: choose from {', '.join(CONDITIONINGS)}"
            )
        super().__init__(**options)
        self.conditioning, self.sigma = conditioning, sigma
        self.network_size = {"width": hidden_width, "depth": depth}

    def make_head(self, n_condition: int) -> nn.Module:
        """Return the untrained flow."""
        network = CONDITIONINGS[self.conditioning]
        d = len(self.properties)
        return ConditionalFlow(network(d, n_condition, **self.network_size), self.sigma)

    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the squared error of the velocity, mean over draws and properties."""
        draws = path_draws(DRAWS, *theta.shape, generator)
        t, x_0, epsilon = (x.to(theta) for x in draws)
        prepared = head.network.prepare(condition)
        velocity = head.network.evaluate(t, head.path(x_0, theta, t, epsilon), prepared)
        return (velocity - (theta - x_0)).square().mean(dim=(0, 2))

    @torch.no_grad()
    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws, physical units, `(n_galaxies, n, 5)`."""
        seeds = galaxy_seeds(galaxies.object_id, seed)
        flow = self.network.head
        draws = flow.sample(self.conditions(galaxies), n, self.steps, seeds=seeds)
        return self.scale.invert(draws).numpy()

    @torch.no_grad()
    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the exact log-density [nat per physical unit], `(n,)` or `(n, S)`."""
        found = self.network.head.log_prob(
            self.scale.apply(theta), self.conditions(galaxies), self.density_steps
        )
        return found.double().cpu().numpy() - self.scale.log_volume
