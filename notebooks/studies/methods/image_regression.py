"""A convolutional network that predicts one value per property from the image.

Wu & Boada (2019, MNRAS 484, 4683) did so for O/H with a residual network, and Alfonzo et al. (2024,
ApJ 967, 152) for the star formation history, both from gri cutouts alone.
"""

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.survey import Survey
from studies.methods.base import PointMethod
from studies.methods.network_method import NetworkMethod


class PictureRegression(PointMethod, NetworkMethod):
    """Least squares on standardised properties behind an image encoder.

    Arguments:
        magnitudes: Whether photometry is a further input, as in neither of the two papers.
        encoder: As `NetworkMethod` has it.
        options: Options of `NetworkMethod`.
    """

    def __init__(self, *, magnitudes: bool = False, encoder: str | None = "resnet", **options):
        super().__init__(magnitudes=magnitudes, encoder=encoder, **options)

    def fit_point(self, survey: Survey, progress: bool) -> None:
        """Train encoder and head."""
        NetworkMethod.fit(self, survey, progress=progress)

    def make_head(self, n_condition: int) -> nn.Module:
        """Return a network with one hidden layer."""
        width = 128
        return nn.Sequential(
            nn.Linear(n_condition, width), nn.SiLU(), nn.Linear(width, len(self.properties))
        )

    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the mean squared error over the properties."""
        return (head(condition) - theta).square().mean(dim=1)

    @torch.no_grad()
    def predict(self, galaxies: Survey) -> np.ndarray:
        """Return the values, physical units, `(n, 5)`."""
        return self.scale.invert(self.network.head(self.conditions(galaxies))).numpy()
