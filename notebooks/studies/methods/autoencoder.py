"""A flow on photometry and on latents of the image from an autoencoder.

After arXiv 2511.12737: a variational autoencoder (Kingma & Welling 2014) learns to reproduce the
images without any label, and a normalizing flow gives the properties from its latents and the
photometry. The question is whether features that reproduce an image also describe its physics.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.posterior import default_device
from galcfm.survey import Survey
from studies.methods.base import labelled
from studies.methods.encoders import binned, make_encoder, standardised
from studies.methods.gradient_descent import Descent, descend, turned_together
from studies.methods.spline_flow import SplineFlow

DRAWING = Descent(learning_rate=1e-3, batch_size=128, max_epochs=20, patience=20)


class Autoencoder(nn.Module):
    """A variational autoencoder of images, whose latents serve as an image encoder's features.

    Arguments:
        n_latents: Width of the latent space.
        crop, bin_factor, width: As `make_encoder` has them; `crop / bin_factor` is a multiple of 8.
    """

    def __init__(self, n_latents: int, *, crop: int, bin_factor: int, width: int):
        super().__init__()
        self.n_features = n_latents
        self.pixels = make_encoder("paper", crop=crop, bin_factor=bin_factor, width=width)
        self.latents = nn.Linear(width, 2 * n_latents)
        self.start = (64, crop // bin_factor // 8, crop // bin_factor // 8)
        layers = []
        for n_in, n_out in ((64, 32), (32, 16), (16, 16)):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(n_in, n_out, 3, padding=1), nn.SiLU()]
        self.decoder = nn.Sequential(
            nn.Linear(n_latents, int(np.prod(self.start))),
            nn.Unflatten(1, self.start),
            *layers,
            nn.Conv2d(16, 3, 3, padding=1),
        )

    def bin(self, images: Tensor) -> Tensor:
        """Do what `galcfm.networks.ImageEncoder` does under this name."""
        return self.pixels.bin(images)

    def standardise(self, images: Tensor) -> None:
        """Do what `galcfm.networks.ImageEncoder` does under this name."""
        self.pixels.standardise(images)

    def encode(self, binned: Tensor) -> Tensor:
        """Return means of the latents, `(n, n_latents)`."""
        return self.latents(self.pixels.encode(binned)).chunk(2, dim=1)[0]

    def loss(self, binned: Tensor, generator: torch.Generator) -> Tensor:
        """Return a bound on the negative log-likelihood of the pixels, up to a constant, `(n,)`."""
        mean, log_variance = self.latents(self.pixels.encode(binned)).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        drawn = self.decoder(mean + noise * (0.5 * log_variance).exp())
        misfit = 0.5 * (drawn - self.pixels.prepare(binned)).square().sum(dim=(1, 2, 3))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return misfit + divergence


class LatentFlow(SplineFlow):
    """A spline flow on photometry and the latents of an autoencoder of images.

    Arguments:
        n_latents: Width of the latent space.
        drawing: How it is trained.
        options: Options of `SplineFlow`.
    """

    def __init__(self, *, n_latents: int = 32, drawing: Descent = DRAWING, **options):
        super().__init__(frozen=True, **options)
        self.n_latents, self.drawing = n_latents, drawing

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Train the autoencoder on the images, freeze it, and train the flow."""
        torch.manual_seed(self.descent.seed)
        train, validation = (labelled(survey, split) for split in ("train", "validation"))
        encoder = Autoencoder(self.n_latents, **self.pixels)
        self.encoder = standardised(encoder, train).to(device := default_device())

        def loss(network, pictures, generator):
            seen = turned_together(pictures, generator) if network.training else pictures
            return network.loss(seen, generator)

        data = ((binned(self.encoder, part).to(device),) for part in (train, validation))
        drawn = descend(self.encoder, loss, *data, self.drawing, progress=progress)
        self.encoder.eval().requires_grad_(False)
        super().fit(survey, folder=folder, progress=progress)
        self.training["drawing"] = drawn
        self.training["seconds"] += drawn["seconds"]
        self.n_parameters += sum(p.numel() for p in self.encoder.parameters())
        return self
