"""A fast imitation of the simulator's photometry, which guides the search but no result."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from studies.exact.latents import Light, star_forming

WIDTH = 96
# From r and the differences of the other bands to it, which are predicted, to ugriz.
MAGNITUDES_OF = np.eye(5) + (np.arange(5) == 2)[:, None] * (np.arange(5) != 2)


class Emulator(nn.Module):
    """Magnitudes and their noise from latents: a linear fit and a small network on top.

    Arguments:
        n_features: Number of columns that `star_forming` returns.
    """

    def __init__(self, n_features: int):
        super().__init__()
        layers = []
        for n_in in (n_features, WIDTH, WIDTH):
            layers += [nn.Linear(n_in, WIDTH), nn.SiLU()]
        self.network = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
        shapes = {"mean": (n_features,), "std": (n_features,), "linear": (n_features + 1, 10)}
        shapes |= {"residual": (10,), "grey": (), "spread": (5,)}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return whether galaxies belong to the survey `(n,)`, magnitudes and errors `(n, 5)`.

        Arguments:
            x: Standard normal numbers, shape `(n, n_latents())`.
        """
        kept, features = star_forming(x)
        scaled = self.scaled(features)
        out = self.base(scaled) + self.network(scaled.float()).double() * self.residual
        out = out.numpy()
        return kept, out[:, :5] @ MAGNITUDES_OF, np.exp(out[:, 5:])

    def log_likelihood(self, x: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of observed magnitudes, with the emulator's own scatter.

        Arguments:
            x: Standard normal numbers, shape `(n, n_latents())`.
            magnitudes: Observed magnitudes, shape `(5,)`, NaN where a band is missing.

        Returns:
            One value per galaxy, shape `(n,)`.
        """
        kept, expected, errors = self(x)
        known = ~np.isnan(magnitudes)
        grey = self.grey.item() ** 2
        variance = (errors**2 + self.spread.numpy() ** 2)[:, known]
        wrong = (magnitudes - expected)[:, known]
        # The covariance is diagonal but for a constant: Sherman & Morrison (1950).
        shared = 1 + grey * (1 / variance).sum(axis=1)
        chi_squared = (wrong**2 / variance).sum(axis=1)
        chi_squared -= grey * (wrong / variance).sum(axis=1) ** 2 / shared
        found = -0.5 * (chi_squared + np.log(variance).sum(axis=1) + np.log(shared))
        return np.where(kept, found, -np.inf)

    def scaled(self, features: np.ndarray) -> Tensor:
        """Return standardised features."""
        return (torch.from_numpy(features) - self.mean) / self.std

    def base(self, scaled: Tensor) -> Tensor:
        """Return the linear fit."""
        return scaled @ self.linear[1:] + self.linear[0]

    @classmethod
    def of(cls, weights: Mapping[str, np.ndarray]) -> "Emulator":
        """Return the emulator with the weights of a `state_dict`."""
        emulator = cls(len(weights["mean"]))
        emulator.load_state_dict({name: torch.from_numpy(of) for name, of in weights.items()})
        return emulator.eval()


def train_emulator(x: np.ndarray, light: Light, *, n_steps: int, seed: int = 0) -> Emulator:
    """Train an emulator on simulated galaxies, and measure its error on the last tenth of them.

    Arguments:
        x: Standard normal numbers, shape `(n, n_latents())`.
        light: Galaxies that `shine` makes of them.
        n_steps: Number of training steps, each of 512 galaxies.
        seed: Seed of weights and batches.

    Returns:
        The emulator. Its magnitudes scatter about the simulator's by `grey` in all bands at once
        and by `spread` in each.
    """
    torch.manual_seed(seed)
    features = star_forming(x)[1]
    n_train = len(x) - len(x) // 10
    emulator = Emulator(features.shape[1])
    std = features.std(axis=0)
    emulator.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    emulator.std.copy_(torch.from_numpy(np.where(std > 0, std, 1.0)))
    colours = light.magnitudes @ np.linalg.inv(MAGNITUDES_OF)
    targets = torch.from_numpy(np.concatenate([colours, np.log(light.errors)], axis=1))
    scaled = emulator.scaled(features)
    design = torch.cat([torch.ones_like(scaled[:, :1]), scaled], 1)
    emulator.linear.copy_(torch.linalg.lstsq(design, targets, driver="gelsd").solution)
    rest = targets - emulator.base(scaled)
    emulator.residual.copy_(rest.std(dim=0))
    inputs, outputs = scaled.float(), (rest / emulator.residual).float()
    optimiser = torch.optim.AdamW(emulator.network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, n_steps)
    for _ in range(n_steps):
        rows = torch.randint(n_train, (512,))
        loss = (emulator.network(inputs[rows]) - outputs[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    emulator.eval()
    wrong = emulator(x[n_train:])[1] - light.magnitudes[n_train:]
    grey = wrong.mean(axis=1)
    emulator.grey.copy_(torch.tensor(grey.std()))
    emulator.spread.copy_(torch.from_numpy((wrong - grey[:, None]).std(axis=0)))
    return emulator
