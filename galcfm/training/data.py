"""Data of a training: splits as tensors, and the random draws of each batch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from galcfm.networks import ImageEncoder
from galcfm.posterior import Posterior
from galcfm.posterior.bands import hide_bands
from galcfm.posterior.inputs import plain_images
from galcfm.posterior.labels import whole_blocks
from galcfm.survey import Survey
from galcfm.training.loop import TrainingError


def labelled_rows(survey: Survey, split: str, columns: Sequence[list[int]] = ()) -> np.ndarray:
    """Return the row numbers of the galaxies of a split that have all properties of a block.

    Arguments:
        survey: Whole survey.
        split: Name of the split.
        columns: Numbers of the properties of each block, as `Posterior.label_columns`; without
            them, galaxies need all properties.

    Raises:
        TrainingError: There are no such galaxies, none has a block, or two blocks have no galaxy
            of the training split in common.
    """
    here = survey.catalogue["split"].to_numpy() == split
    names = survey.declaration.property_names
    known = whole_blocks(survey.properties, columns or [list(range(len(names)))])
    rows = np.flatnonzero(here & known.any(1))
    if len(rows) == 0:
        raise TrainingError(f"{survey.name} has no galaxies with labels in its {split} split")
    together = known[rows].T.astype(int) @ known[rows]
    for one, other in np.argwhere(together == 0):
        if one == other or split == "train":
            missing = " and ".join(names[columns[k][0]] for k in sorted({one, other}))
            raise TrainingError(
                f"{survey.name} has no galaxies with {missing} in its {split} split: add some, or "
                "leave a property out of the declaration"
            )
    return rows


def checked_weights(weights, survey: Survey) -> np.ndarray:
    """Return the weights of all galaxies of a survey, `(n,)`.

    Raises:
        TrainingError: There is not one weight per galaxy, or a weight is negative or not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(survey),):
        raise TrainingError(
            f"weights are {weights.shape} for {len(survey)} galaxies: one per galaxy is needed"
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        raise TrainingError(
            f"weights: row {int(np.flatnonzero(bad)[0])} is {weights[bad][0]} ({bad.sum()} such "
            "rows): they must be finite and not negative"
        )
    return weights


class TrainingData:
    """A split as tensors on the device; images stay binned until the encoder standardises them.

    Arguments:
        posterior: Model with its standardisation.
        survey: Galaxies of the split.
        device: Device of the tensors.
        weights: Relative frequency with which each galaxy is drawn, `(n,)`, in any normalisation;
            None draws each galaxy once per epoch.

    Raises:
        TrainingError: All weights are zero.
        ModelError: An image is not finite.
    """

    def __init__(self, posterior: Posterior, survey: Survey, device: torch.device, weights=None):
        self.weights = None
        if weights is not None:
            if not weights.any():
                raise TrainingError(f"{survey.name}: all weights of a split are zero")
            # Dividing by a power of two changes no digit.
            self.weights = torch.from_numpy(np.ldexp(weights, -np.frexp(weights.max())[1]))
        self.theta = posterior.property_scale.apply(survey.properties).to(device)
        self._posterior, self._device = posterior, device
        self._observation = posterior.observe(survey)
        self.f_phot = posterior.standardised_features(self._observation).to(device)
        self.images = None
        if posterior.uses_images:
            images = plain_images(survey.images, len(survey), posterior.declaration)
            self.images = binned_images(posterior.encoder, images, device)

    def __len__(self) -> int:
        return len(self.theta)

    def hide_bands(self, *key: int) -> None:
        """Hide bands of the galaxies at random, with the key as seed."""
        rng = np.random.default_rng(key)
        known = self._observation
        magnitudes, errors = hide_bands(known.magnitudes, known.magnitude_errors, rng)
        hidden = replace(known, magnitudes=magnitudes, magnitude_errors=errors)
        self.f_phot = self._posterior.standardised_features(hidden).to(self._device)

    def drawn(self, generator: torch.Generator) -> Tensor:
        """Return as many row numbers as there are rows: each row once, or drawn by the weights."""
        if self.weights is None:
            return torch.randperm(len(self), generator=generator)
        return torch.multinomial(self.weights, len(self), True, generator=generator)


def binned_images(encoder: ImageEncoder, images: np.ndarray, device: torch.device) -> Tensor:
    """Return all images as the encoder's `bin` returns them, on the device."""
    block, binned = 256, None
    for start in range(0, len(images), block):
        part = encoder.bin(torch.from_numpy(np.array(images[start : start + block])).to(device))
        if binned is None:
            binned = part.new_empty(len(images), *part.shape[1:])
        binned[start : start + block] = part
    return binned


def path_draws(n_draws: int, n: int, dim: int, generator: torch.Generator):
    """Return times, noise and path noise, each `(n_draws, n, ...)`."""
    # Stratified over the draws of each galaxy: the same expectation with a smaller variance.
    t = torch.arange(n_draws)[:, None, None] + torch.rand(n_draws, n, 1, generator=generator)
    x_0, epsilon = torch.randn(2, n_draws, n, dim, generator=generator)
    return t / n_draws, x_0, epsilon


def turned_each(images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a random symmetry of the square, one of eight, to each image `(n, H, W, c)`."""
    found = torch.empty_like(images)
    symmetry = torch.randint(8, (len(images),), generator=generator)
    for k in range(8):
        rows = torch.nonzero(symmetry == k).squeeze(1).to(images.device)
        found[rows] = turned(images[rows], k)
    return found


def turned(images: Tensor, k: int) -> Tensor:
    """Return images `(n, H, W, c)` under symmetry `k` of the square, 0 to 7."""
    images = torch.rot90(images, k % 4, (1, 2))
    return images.flip(2) if k >= 4 else images
