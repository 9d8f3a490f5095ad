"""The training of a network, by the loop that also trains the models of the paper."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from galcfm.training import Loop, LoopSettings
from galcfm.training.data import turned

LARGEST_GRADIENT = 5.0  # norm at which the gradient of a step is clipped


@dataclass(frozen=True)
class Descent(LoopSettings):
    """How a network is trained: by default as the models of the profile `quick`."""

    learning_rate: float = 1.5e-3
    max_epochs: int = 60
    schedule: str = "cosine"
    average_decay: float = 0.995
    seed: int = 1


class NetworkLoop(Loop):
    """The training of a network whose loss and data are given, as `descend` takes them."""

    def __init__(self, network: nn.Module, loss, train, validation, settings: Descent):
        super().__init__(network, settings, len(train[0]))
        self.loss, self.train, self.validation = loss, train, validation
        self.generator = torch.Generator().manual_seed(settings.seed)

    def batches(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch of an epoch."""
        order = torch.randperm(self.n_train, generator=self.generator)
        for rows in order.split(self.settings.batch_size):
            # Batch normalisation needs the spread of at least two galaxies.
            if len(rows) > 1 or self.n_train == 1:
                yield rows.to(self.train[0].device)

    def losses(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the mean loss of a batch."""
        yield self.loss(self.network, *(part[rows] for part in self.train), self.generator).mean()
        # The loop asks for another part when it has the gradients of this one.
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)

    def validation_loss(self, network: nn.Module) -> float:
        """Return the mean loss of the validation split, with the same draws in each epoch."""
        generator, total = torch.Generator().manual_seed(self.settings.seed + 1), 0.0
        for batch in zip(*(part.split(256) for part in self.validation), strict=True):
            total += float(self.loss(network, *batch, generator).sum())
        return total / len(self.validation[0])


def descend(
    network: nn.Module, loss: Callable, train, validation, settings: Descent, *, progress=False
) -> dict:
    """Train a network, and leave it with the weights of its best validation epoch.

    Arguments:
        network: Network on its device.
        loss: Function of `(network, *batch, generator)` that returns one number per galaxy,
            `(b,)`; `network.training` says whether pictures may be turned, and the generator, on
            the CPU, is the only source of chance.
        train, validation: Tensors whose rows are galaxies, on the device.
        settings: How the network is trained.
        progress: Whether a bar is shown.

    Returns:
        `best_epoch`, `best_loss`, `epochs` and `seconds`.

    Raises:
        TrainingError: The loss is not finite.
    """
    started = time.monotonic()
    loop = NetworkLoop(network, loss, tuple(train), tuple(validation), settings)
    loop.run("training", progress)
    return {
        "best_epoch": loop.best_epoch,
        "best_loss": loop.best_loss,
        "epochs": loop.epoch,
        "seconds": round(time.monotonic() - started, 1),
    }


def turned_together(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return a batch of images `(n, h, w, 3)`, all under one random symmetry of the square."""
    return turned(images, int(torch.randint(8, (1,), generator=generator)))
