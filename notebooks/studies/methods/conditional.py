"""Methods that are a network under a condition: photometric features, and what an encoder sees."""

from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from studies.methods.base import Method, Scale, labelled, photometry
from studies.methods.descent import Descent, descend, turned
from studies.methods.encoders import binned, embedded, make_encoder
from galcfm.networks import ImageEncoder
from galcfm.posterior import default_device
from galcfm.survey import Survey

__all__ = ["Conditional", "Conditioned"]


class Conditioned(nn.Module):
    """A head under a condition, and an encoder before it or none.

    Arguments:
        encoder: of pictures, trained with the head, or `None`.
        head: what takes the condition.
    """

    def __init__(self, encoder: ImageEncoder | None, head: nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head

    def condition(self, features: Tensor, pictures: Tensor | None) -> Tensor:
        """The condition [f_img, f_phot], `(n, c)`."""
        if self.encoder is None:
            return features
        return torch.cat([self.encoder.encode(pictures), features], dim=1)


class Conditional(Method):
    """A method whose head is trained on standardised properties under a condition.

    A subclass gives `make_head` and `loss`, and may give other `features`.

    Arguments:
        magnitudes, redshift, errors: which photometric features are seen.
        encoder: what looks at pictures: a name for `make_encoder`, trained with the head; a module
            with `bin`, `encode` and `n_features` as `ImageEncoder` has them, which is trained
            already and stays as it is; or `None`.
        crop, bin_factor, width: of the encoder, where it is a name.
        frozen: an encoder of a name stays as it is made.
        descent: how all is trained.
    """

    def __init__(
        self,
        *,
        magnitudes: bool = True,
        redshift: bool = False,
        errors: bool = False,
        encoder: str | nn.Module | None = None,
        crop: int = 96,
        bin_factor: int = 3,
        width: int = 128,
        frozen: bool = False,
        descent: Descent | None = None,
    ):
        self.sees = {"magnitudes": magnitudes, "redshift": redshift, "errors": errors}
        self.encoder, self.frozen = encoder, frozen or isinstance(encoder, nn.Module)
        self.pixels = {"crop": crop, "bin_factor": bin_factor, "width": width}
        self.descent = descent or Descent()

    def features(self, survey: Survey) -> np.ndarray:
        """Features beside those of the encoder, not standardised, `(n, f)`."""
        return photometry(survey, **self.sees)

    @abstractmethod
    def make_head(self, n_condition: int) -> nn.Module:
        """The untrained head."""

    @abstractmethod
    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Loss a galaxy, `(n,)`, at standardised targets `theta (n, d)`."""

    def targets(self, survey: Survey) -> np.ndarray:
        """What the head learns, physical units, `(n, d)`."""
        return survey.properties

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Train encoder and head on the training split."""
        torch.manual_seed(self.descent.seed)
        train, validation = (labelled(survey, split) for split in ("train", "validation"))
        encoder = self.encoder
        if isinstance(encoder, str):
            encoder = make_encoder(encoder, **self.pixels)
            some = np.linspace(0, len(train) - 1, min(len(train), 2048)).astype(int)
            encoder.standardise(torch.from_numpy(np.array(train.images[some])))
        self._still, learning = (encoder, None) if self.frozen else (None, encoder)
        self.feature_scale = Scale(self._raw(train))
        self.scale = Scale(self.targets(train))
        n_condition = len(self.feature_scale.mean) + (learning.n_features if learning else 0)
        network = Conditioned(learning, self.make_head(n_condition))
        self.network = network.to(default_device())

        def loss(network, theta, features, *rest):
            *pictures, generator = rest
            seen = pictures[0] if pictures else None
            if network.training and seen is not None:
                seen = turned(seen, generator)
            return self.loss(network.head, theta, network.condition(features, seen), generator)

        data = ((self.scale(self.targets(part)), *self._seen(part)) for part in (train, validation))
        on_device = (tuple(x.to(default_device()) for x in part) for part in data)
        self.training = descend(self.network, loss, *on_device, self.descent, progress=progress)
        self.n_parameters = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        return self

    def _raw(self, survey: Survey) -> np.ndarray:
        """Features before standardisation, those of an encoder that stays as it is among them."""
        features = self.features(survey)
        if self._still is None:
            return features
        return np.concatenate([embedded(self._still, binned(self._still, survey)), features], 1)

    def _seen(self, survey: Survey) -> tuple[Tensor, ...]:
        """Standardised features, and the pictures that a trained encoder looks at."""
        features = self.feature_scale(self._raw(survey))
        learning = None if self.frozen else self.encoder
        return (features,) if learning is None else (features, self._binned(survey))

    def _binned(self, survey: Survey) -> Tensor:
        return binned(self.network.encoder, survey)

    @torch.no_grad()
    def conditions(self, galaxies: Survey) -> Tensor:
        """The condition of each galaxy, `(n, c)`, on the device."""
        self.network.eval()
        device, blocks = default_device(), []
        features, *pictures = self._seen(galaxies)
        for rows in torch.arange(len(features)).split(256):
            seen = pictures[0][rows].to(device) if pictures else None
            blocks.append(self.network.condition(features[rows].to(device), seen))
        return torch.cat(blocks)
