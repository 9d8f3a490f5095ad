"""Gradient descent, epoch by epoch, until the validation loss no longer improves.

The loop is independent of galaxies and flows: a subclass defines the batches and the loss.
`galcfm.training.posterior_training` trains the paper's models with it.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from galcfm.paths import damage_in_a_sentence, no_bar, replacing
from galcfm.posterior import kinds

CHECKPOINT_FILE = "checkpoint.pt"
WARM_UP = 0.05  # share of all steps over which the learning rate rises


class TrainingError(RuntimeError):
    """Training cannot continue; the message gives the remedy."""


@dataclass(frozen=True)
class LoopSettings:
    """Settings of the training of a network; the defaults are the paper's.

    Arguments:
        learning_rate: Largest learning rate of AdamW.
        batch_size: Number of galaxies per step.
        max_epochs: Largest number of passes over the training split.
        patience: Number of epochs without a better validation loss before training stops.
        weight_decay: Weight decay of AdamW.
        schedule: `"constant"`, or `"cosine"`: linear warm-up over the first twentieth of all steps,
            then half a cosine down to zero.
        average_decay: Decay of the exponential moving average of the weights; if positive, the
            average is validated and kept.
        seed: Seed of initial weights, order, noise and augmentation.
    """

    learning_rate: kinds.Positive = 5e-5
    batch_size: kinds.Count = 64
    max_epochs: kinds.Count = 200
    patience: kinds.Count = 10
    weight_decay: kinds.NotNegative = 0.01
    schedule: kinds.Schedule = "constant"
    average_decay: kinds.Share = 0.0
    seed: kinds.Whole = 0

    def __post_init__(self):
        kinds.require_kinds(type(self), vars(self))

    def learning_rate_at(self, done: float) -> float:
        """Return the learning rate after a share of all steps."""
        peak = self.learning_rate
        if self.schedule == "constant":
            return peak
        if done < WARM_UP:
            return peak * done / WARM_UP
        return peak * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))

    def finished(self, epoch: int, best_epoch: int) -> bool:
        """Return whether training ends before this epoch."""
        waited = epoch - 1 - best_epoch
        return epoch >= self.max_epochs or (epoch > 0 and waited >= self.patience)


class Loop(ABC):
    """State of a training, advanced epoch by epoch.

    Arguments:
        network: Network to train, on its device.
        settings: Settings of the training.
        n_train: Number of galaxies of the training split.
    """

    def __init__(self, network: nn.Module, settings: LoopSettings, n_train: int):
        self.network, self.settings = network, settings
        weights = [each for each in network.parameters() if each.requires_grad]
        self.optimiser = torch.optim.AdamW(
            weights, settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.average = None
        if settings.average_decay:
            decay = get_ema_multi_avg_fn(settings.average_decay)
            self.average = AveragedModel(network, multi_avg_fn=decay, use_buffers=False)
        self.epoch, self.step, self.n_train = 0, 0, n_train
        self.best_loss, self.best_epoch, self.best_weights = math.inf, -1, None
        self.history: list[dict] = []
        self.n_steps = settings.max_epochs * math.ceil(n_train / settings.batch_size)

    @abstractmethod
    def batches(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch of an epoch."""

    @abstractmethod
    def losses(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the loss of each part of a batch; their sum is the mean loss of its galaxies."""

    @abstractmethod
    def validation_loss(self, network: nn.Module) -> float:
        """Return the mean loss of the validation split, with the same draws in each epoch."""

    def summed(self, total: Tensor) -> float:
        """Return the sum of a number over all processes."""
        return total.item()

    def train_epoch(self) -> float:
        """Take one step per batch and return the mean loss."""
        self.network.train()
        total = torch.zeros((), device=next(self.network.parameters()).device)
        for rows in self.batches():
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.learning_rate_at((self.step + 1) / self.n_steps)
            self.optimiser.zero_grad()
            for loss in self.losses(rows):
                loss.backward()
                total += loss.detach() * len(rows)
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.network)
            self.step += 1
        return self.summed(total) / self.n_train

    @torch.no_grad()
    def _validate(self) -> tuple[nn.Module, float]:
        network = self.network
        if self.average is not None:
            network = self.average.module
            # The running statistics of batch normalisation are averages already.
            for mine, theirs in zip(network.buffers(), self.network.buffers(), strict=True):
                mine.copy_(theirs)
        return network, self.validation_loss(network.eval())

    def run_epoch(self) -> None:
        """Train one epoch, validate, and store the weights if they are the best so far."""
        started = time.perf_counter()
        train_loss = self.train_epoch()
        network, validation_loss = self._validate()
        if not math.isfinite(validation_loss):
            raise TrainingError(
                f"the loss is {validation_loss} after epoch {self.epoch}: lower learning_rate "
                f"(now {self.settings.learning_rate})"
            )
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch = validation_loss, self.epoch
            self.best_weights = {
                k: v.detach().cpu().clone() for k, v in network.state_dict().items()
            }
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "learning_rate": self.optimiser.param_groups[0]["lr"],
                "seconds": time.perf_counter() - started,
            }
        )
        self.epoch += 1

    def run(self, title: str, progress: bool, after_epoch: Callable[[], None] | None = None):
        """Train to the end, and leave the network with the weights of its best epoch.

        Arguments:
            title: Text before the progress bar.
            progress: Whether to show a progress bar over all epochs.
            after_epoch: Function called after each epoch.
        """
        epochs = self.settings.max_epochs
        with tqdm(
            total=epochs, initial=self.epoch, desc=title, unit="epoch", disable=no_bar(progress)
        ) as bar:
            while not self.settings.finished(self.epoch, self.best_epoch):
                self.run_epoch()
                latest = self.history[-1]
                bar.set_postfix_str(
                    f"loss {latest['train_loss']:.4f}, validation {latest['validation_loss']:.4f}"
                )
                bar.update()
                if after_epoch is not None:
                    after_epoch()
        self.network.load_state_dict(self.best_weights)
        self.network.eval()

    def state(self) -> dict:
        """Return the state that a later call needs to resume."""
        return {
            **{name: getattr(self, name) for name in RESUMED},
            "model": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict) -> None:
        """Resume from a state that `state` returned."""
        for name in RESUMED:
            setattr(self, name, state[name])
        self.network.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


RESUMED = ("epoch", "step", "best_loss", "best_epoch", "best_weights", "history")
PARTS = (*RESUMED, "model", "average", "optimiser")


def read_checkpoint(
    folder: Path, identity: dict, parts: Sequence[str], max_epochs: float = math.inf
) -> dict | None:
    """Return the checkpoint in a folder, or None.

    Arguments:
        folder: Folder of the training.
        identity: All inputs of the training.
        parts: Names of the parts that the training reads.
        max_epochs: Largest number of epochs.

    Raises:
        TrainingError: The checkpoint is damaged, or belongs to another training or to a longer one.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    with damage_in_a_sentence(path, "Delete it, and train again.", TrainingError):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        differing = [k for k in identity if checkpoint["identity"].get(k) != identity[k]]
        if missing := [k for k in parts if k not in checkpoint and not differing]:
            raise ValueError(f"it has no {', '.join(missing)}")
        differing += ["max_epochs"] if checkpoint.get("epoch", 0) > max_epochs else []
    if differing:
        raise TrainingError(
            f"{path} belongs to training with another {', '.join(differing)}: train into another "
            "folder (name another run), or delete it"
        )
    return checkpoint


def write_checkpoint(folder: Path, content: dict) -> None:
    """Write a checkpoint, completely or not at all."""
    with replacing(folder / CHECKPOINT_FILE) as temporary:
        torch.save(content, temporary)


def keyed_generator(*key: int) -> torch.Generator:
    """Return a random number generator on the CPU that depends only on the key."""
    number = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(number >> np.uint64(1)))
