"""From image to spectrum to properties.

After Doorenbos et al. (2024, ApJ 977, 131): a conditional diffusion model generates spectra of a
galaxy from its image, and the properties are read off these. Here it generates the principal
components of the simulator's rest-frame spectra, by the scheduler of the diffusers package (Song,
Meng & Ermon 2021; predicting velocities, Salimans & Ho 2022), and a spline flow gives the
properties of a spectrum. Both uncertainties go into the draws: each is of a spectrum of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.networks import VelocityNetwork
from galcfm.posterior import default_device
from galcfm.survey import Survey
from studies.methods.base import noise_of
from studies.methods.network_method import NetworkMethod
from studies.methods.simulated_spectra import N_COMPONENTS, Components, spectra_of
from studies.methods.spline_flow import SplineFlow

TIMES = 1000  # of the diffusion
BLOCK = 32  # galaxies whose spectra are generated at once


class SpectraToProperties(SplineFlow):
    """A spline flow on the coefficients of spectra, trained on true spectra with noise.

    Arguments:
        coefficients: Function of a survey that returns the coefficients, `(n, k)`.
        noise: Standard deviation of the noise of each coefficient.
        options: Options of `SplineFlow`.
    """

    def __init__(self, coefficients: Callable[[Survey], np.ndarray], noise: float, **options):
        super().__init__(**options)
        self.features, self.noise = coefficients, noise

    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the negative log-density of the properties, given spectra with noise."""
        spread = (self.noise / self.feature_scale.std).to(condition)
        noise = torch.randn(condition.shape, generator=generator).to(theta)
        return super().loss(head, theta, condition + spread * noise, generator)


class SpectralDiffusion(NetworkMethod):
    """Spectra by diffusion, properties by a flow on spectra.

    Arguments:
        noise: Noise of the spectra that the second flow is trained on [dex per pixel].
        steps: Steps of the sampler.
        hidden_width: Width of the network of the diffusion.
        epochs: Largest number of epochs of the second flow's training; the rest is as `descent`
            says.
        options: Options of `NetworkMethod`; and `kind`, `transforms` and `hidden` of the second
            flow, as `SplineFlow` has them.

    Attributes:
        n_spectra: Number of spectra that are generated per galaxy for a density, which is the mean
            of those given each; too few make it too low.
    """

    n_spectra = 64

    def __init__(self, *, noise=0.02, steps=50, hidden_width=256, epochs=60, **options):
        names = ("kind", "transforms", "hidden")
        of_flow = {name: options.pop(name) for name in names if name in options}
        super().__init__(**options)
        self.steps, self.hidden_width = steps, hidden_width
        # Noise of a pixel is noise of a coefficient: the components are orthonormal.
        descent = replace(self.descent, max_epochs=epochs)
        self.reading = SpectraToProperties(self.targets, noise, descent=descent, **of_flow)

    def spectra(self, survey: Survey) -> np.ndarray:
        """Return log spectra of simulated galaxies, `(n, p)`."""
        return spectra_of(survey)

    def targets(self, survey: Survey) -> np.ndarray:
        """Return coefficients `(n, k)` of the spectra in the components of the training split."""
        spectra = self.spectra(survey)
        if self.components is None:
            # `fit` asks for the training split first.
            self.components = Components.of(spectra, N_COMPONENTS)
        return self.components(spectra)

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Train the diffusion, then the flow on true spectra."""
        from diffusers import DDIMScheduler

        self.components = None
        self.scheduler = DDIMScheduler(
            TIMES,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            clip_sample=False,
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
        )
        super().fit(survey, folder=folder, progress=progress)
        self.reading.fit(survey, progress=progress)
        self.training["seconds"] += self.reading.training["seconds"]
        self.n_parameters += self.reading.n_parameters
        return self

    def make_head(self, n_condition: int) -> nn.Module:
        """Return the network that predicts the velocity of the diffusion."""
        return VelocityNetwork(len(self.scale.mean), n_condition, self.hidden_width)

    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the squared error of the velocity at four random times per galaxy."""
        total = 0.0
        for _ in range(4):
            t = torch.randint(TIMES, (len(theta),), generator=generator).to(theta.device)
            epsilon = torch.randn(theta.shape, generator=generator).to(theta)
            x = self.scheduler.add_noise(theta, epsilon, t)
            velocity = head(t[:, None] / TIMES, x, condition)
            wanted = self.scheduler.get_velocity(theta, epsilon, t)
            total = total + (velocity - wanted).square().mean(dim=1)
        return total / 4

    @torch.no_grad()
    def generate(self, galaxies: Survey, n: int, seed: int = 0) -> Tensor:
        """Return standardised coefficients of generated spectra, `(n_galaxies, n, k)`."""
        x = noise_of(galaxies, n, seed, len(self.scale.mean))
        conditions, found = self.conditions(galaxies), []
        self.scheduler.set_timesteps(self.steps)
        for c, z in zip(conditions.split(BLOCK), x.split(BLOCK), strict=True):
            prepared, z = self.network.head.prepare(c)[:, None], z.to(c)
            for t in self.scheduler.timesteps:
                time = torch.full((1,), float(t) / TIMES, device=c.device)
                velocity = self.network.head.evaluate(time, z, prepared)
                z = self.scheduler.step(velocity, t, z).prev_sample
            found.append(z.cpu())
        return torch.cat(found)

    @torch.no_grad()
    def sample(self, galaxies: Survey, n: int, seed: int = 0) -> np.ndarray:
        """Return draws, each of a spectrum of its own, physical units, `(n_galaxies, n, 5)`."""
        # Other noise than that of the spectra.
        noise = noise_of(galaxies, n, seed + 1_000_003).split(BLOCK)
        spectra, draws = self.generate(galaxies, n, seed).split(BLOCK), []
        for coefficients, z in zip(spectra, noise, strict=True):
            flow = self.reading.network.head(coefficients.to(default_device()))
            draws.append(flow.transform.inv(z.to(default_device())).cpu())
        return self.reading.scale.invert(torch.cat(draws)).numpy()

    @torch.no_grad()
    def log_prob(self, theta, galaxies: Survey) -> np.ndarray:
        """Return the log of the mean density given each of `n_spectra` spectra [nat]."""
        x, found = self.reading.scale.apply(theta), []
        spectra = self.generate(galaxies, self.n_spectra, 1).to(default_device())
        for coefficients, of in zip(spectra, x.to(default_device()), strict=True):
            # One row per spectrum, one column per point.
            log_prob = self.reading.network.head(coefficients[:, None]).log_prob(
                of.reshape(1, -1, of.shape[-1]).expand(self.n_spectra, -1, -1)
            )
            found.append((log_prob.logsumexp(0) - np.log(self.n_spectra)).cpu())
        log_prob = torch.stack(found).double().numpy() - self.reading.scale.log_volume
        return log_prob.reshape(x.shape[:-1])

    def log_prob_of_true_spectra(self, galaxies: Survey) -> np.ndarray:
        """Return the log-density of the labels given each galaxy's true spectrum [nat], `(n,)`.

        It exceeds `log_prob` by what the image does not say about the spectrum and by what the
        generation loses.
        """
        return self.reading.log_prob(galaxies.properties, galaxies)
