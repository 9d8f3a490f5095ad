"""Neural posterior estimation: a normalizing flow of the zuko package under a condition.

With magnitudes, their errors and redshift as condition this is SEDflow (Hahn & Melchior 2022, ApJ
938, 11), trained on the survey's own population. Splines are those of Durkan et al. (2019). With
an image encoder in front they separate the effect of flow matching from that of the image.
"""

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.survey import Survey
from studies.methods.base import noise_of
from studies.methods.network_method import NetworkMethod

BLOCK = 128  # galaxies at a time


class SplineFlow(NetworkMethod):
    """Posterior by a normalizing flow, trained by maximum likelihood.

    Arguments:
        kind: `"spline"`, rational-quadratic splines (Durkan et al. 2019), or `"affine"`, the
            masked autoregressive flow of SEDflow (Papamakarios et al. 2017).
        transforms: Number of transforms in a row; every second has the properties in reverse.
        hidden: Widths of the layers of each.
        options: Options of `NetworkMethod`.
    """

    def __init__(
        self, *, kind: str = "spline", transforms: int = 3, hidden: tuple = (128, 128), **options
    ):
        super().__init__(**options)
        self.kind, self.transforms, self.hidden = kind, transforms, tuple(hidden)

    def make_head(self, n_condition: int) -> nn.Module:
        """Return the untrained flow."""
        import zuko

        kinds = {"spline": zuko.flows.NSF, "affine": zuko.flows.MAF}
        if self.kind not in kinds:
            raise ValueError(f"no flow called {self.kind!r}: choose from {', '.join(kinds)}")
        options = {"transforms": self.transforms, "hidden_features": self.hidden}
        return kinds[self.kind](len(self.properties), n_condition, **options)

    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the negative log-density of the properties."""
        return -head(condition).log_prob(theta)

    @torch.no_grad()
    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws, physical units, `(n_galaxies, n, 5)`."""
        conditions, draws = self.conditions(galaxies), []
        noise = noise_of(galaxies, n, seed)
        for c, z in zip(conditions.split(BLOCK), noise.split(BLOCK), strict=True):
            flow = self.network.head(c[:, None].expand(-1, n, -1))
            draws.append(flow.transform.inv(z.to(c)).cpu())
        return self.scale.invert(torch.cat(draws)).numpy()

    @torch.no_grad()
    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the log-density [nat per physical unit], `(n,)` or `(n, S)`."""
        x, found = self.scale.apply(theta), []
        for c, part in zip(self.conditions(galaxies).split(BLOCK), x.split(BLOCK), strict=True):
            if part.ndim == 3:
                c = c[:, None].expand(-1, part.shape[1], -1)
            found.append(self.network.head(c).log_prob(part.to(c)).cpu())
        return torch.cat(found).double().numpy() - self.scale.log_volume
