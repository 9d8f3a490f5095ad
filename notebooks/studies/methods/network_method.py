"""Methods that are a network under a condition: photometric features, and what an encoder sees."""

from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.networks import ImageEncoder
from galcfm.posterior import Standardisation, default_device
from galcfm.survey import Survey
from studies.methods.base import Method, labelled, photometry
from studies.methods.encoders import binned, embedded, make_encoder, standardised
from studies.methods.gradient_descent import Descent, descend, turned_together


class ConditionedNetwork(nn.Module):
    """A head under a condition, with or without an encoder before it.

    Arguments:
        encoder: Encoder of images, trained with the head, or None.
        head: Module that takes the condition.
    """

    def __init__(self, encoder: ImageEncoder | None, head: nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head

    def condition(self, features: Tensor, pictures: Tensor | None) -> Tensor:
        """Return the condition [f_img, f_phot], `(n, c)`."""
        if self.encoder is None:
            return features
        return torch.cat([self.encoder.encode(pictures), features], dim=1)


class NetworkMethod(Method):
    """A method whose head is trained on standardised properties under a condition.

    A subclass gives `make_head` and `loss`, and may give other `features`.

    Arguments:
        encoder: Encoder of images: a name for `make_encoder`, trained with the head; a module
            with `bin`, `encode` and `n_features` as `ImageEncoder` has them, which is trained
            already and stays as it is; or None.
        crop, bin_factor, width: Options of an encoder that is given by its name.
        frozen: Whether an encoder that is given by its name stays as it is made.
        descent: `Descent` that says how all is trained; None for its defaults.
        sees: Photometric features, `magnitudes`, `redshift`, `errors`, as `photometry` takes them.

    Raises:
        TypeError: There is no such option.
    """

    def __init__(
        self, *, encoder=None, crop=96, bin_factor=3, width=128, frozen=False, descent=None, **sees
    ):
        if unknown := ", ".join(set(sees) - {"magnitudes", "redshift", "errors"}):
            raise TypeError(f"{type(self).__name__} has no option {unknown}")
        self.sees = sees
        self.encoder, self.frozen = encoder, frozen or isinstance(encoder, nn.Module)
        self.pixels = {"crop": crop, "bin_factor": bin_factor, "width": width}
        self.descent = descent or Descent()

    def features(self, survey: Survey) -> np.ndarray:
        """Return the features beside those of the encoder, not standardised, `(n, f)`."""
        return photometry(survey, **self.sees)

    @abstractmethod
    def make_head(self, n_condition: int) -> nn.Module:
        """Return the untrained head."""

    @abstractmethod
    def loss(self, head: nn.Module, theta: Tensor, condition: Tensor, generator) -> Tensor:
        """Return the loss of each galaxy, `(n,)`, at standardised targets `theta (n, d)`."""

    def targets(self, survey: Survey) -> np.ndarray:
        """Return what the head learns, physical units, `(n, d)`."""
        return survey.properties

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Train encoder and head on the training split."""
        torch.manual_seed(self.descent.seed)
        train, validation = (labelled(survey, split) for split in ("train", "validation"))
        encoder = self.encoder
        if isinstance(encoder, str):
            encoder = standardised(make_encoder(encoder, **self.pixels), train)
        self._still, learning = (encoder, None) if self.frozen else (None, encoder)
        self.feature_scale = Standardisation.fit(self._raw(train))
        self.scale = Standardisation.fit(self.targets(train))
        n_condition = len(self.feature_scale.mean) + (learning.n_features if learning else 0)
        network = ConditionedNetwork(learning, self.make_head(n_condition))
        self.network = network.to(default_device())

        def loss(network, theta, features, *rest):
            *pictures, generator = rest
            seen = pictures[0] if pictures else None
            if network.training and seen is not None:
                seen = turned_together(seen, generator)
            return self.loss(network.head, theta, network.condition(features, seen), generator)

        data = (
            (self.scale.apply(self.targets(part)), *self._seen(part))
            for part in (train, validation)
        )
        on_device = (tuple(x.to(default_device()) for x in part) for part in data)
        self.training = descend(self.network, loss, *on_device, self.descent, progress=progress)
        self.n_parameters = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        return self

    def _raw(self, survey: Survey) -> np.ndarray:
        """Return features before standardisation, with the features of a frozen encoder."""
        features = self.features(survey)
        if self._still is None:
            return features
        return np.concatenate([embedded(self._still, binned(self._still, survey)), features], 1)

    def _seen(self, survey: Survey) -> tuple[Tensor, ...]:
        """Return standardised features, and the images for an encoder that is trained."""
        features, learning = self.feature_scale.apply(self._raw(survey)), self.network.encoder
        return (features,) if learning is None else (features, binned(learning, survey))

    @torch.no_grad()
    def conditions(self, galaxies: Survey) -> Tensor:
        """Return the condition of each galaxy, `(n, c)`, on the device."""
        self.network.eval()
        seen = (part.to(default_device()).split(256) for part in self._seen(galaxies))
        blocks = [
            self.network.condition(features, *pictures or [None])
            for features, *pictures in zip(*seen, strict=True)
        ]
        return torch.cat(blocks)
