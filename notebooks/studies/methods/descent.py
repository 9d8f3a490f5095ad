"""One way to train a network, for all methods that have one."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

__all__ = ["Descent", "descend", "turned"]

WARM_UP = 0.05  # share of all steps


@dataclass(frozen=True)
class Descent:
    """How a network is trained; by default as the book's own models are.

    Arguments:
        learning_rate: of AdamW, at its highest: a linear warm-up, then half a cosine to zero.
        batch_size: galaxies a step.
        max_epochs: passes over the training split at most.
        patience: epochs without a better validation loss before training stops.
        weight_decay: of AdamW.
        average_decay: of the moving average of the weights, which is what is validated and kept.
        seed: of initial weights, order, noise and turned pictures.
    """

    learning_rate: float = 1.5e-3
    batch_size: int = 64
    max_epochs: int = 60
    patience: int = 10
    weight_decay: float = 0.01
    average_decay: float = 0.995
    seed: int = 1


def descend(
    network: nn.Module,
    loss: Callable[..., Tensor],
    train: tuple[Tensor, ...],
    validation: tuple[Tensor, ...],
    settings: Descent,
    *,
    progress: bool = False,
) -> dict:
    """Train a network, and leave it with the weights of its best validation epoch.

    Arguments:
        network: on its device.
        loss: of `(network, *batch, generator)`, a number a galaxy, `(b,)`; `network.training` says
            whether pictures may be turned, and the generator, on the CPU, is the only source of
            chance.
        train, validation: tensors whose rows are galaxies, on the device.
        settings: how.
        progress: show a bar.

    Returns:
        `best_epoch`, `best_loss`, `epochs` and `seconds`.

    Raises:
        RuntimeError: the loss is not finite.
    """
    started = time.monotonic()
    n, size = len(train[0]), settings.batch_size
    steps = settings.max_epochs * math.ceil(n / size)
    weights = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        weights, settings.learning_rate, weight_decay=settings.weight_decay
    )
    average = AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=False
    )
    generator = torch.Generator().manual_seed(settings.seed)
    best, best_epoch, kept, step, epoch = math.inf, -1, None, 0, 0
    bar = tqdm(range(settings.max_epochs), desc="training", unit="epoch", disable=not progress)
    for epoch in bar:
        network.train()
        for rows in torch.randperm(n, generator=generator).split(size):
            # Batch normalisation knows no spread of one galaxy.
            if len(rows) < 2 <= n:
                continue
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * _share(step / steps)
            rows = rows.to(train[0].device)
            optimiser.zero_grad()
            loss(network, *(part[rows] for part in train), generator).mean().backward()
            nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()
            average.update_parameters(network)
        found = _validate(average, network, loss, validation, settings.seed)
        if not math.isfinite(found):
            raise RuntimeError(
                f"the loss is {found} after epoch {epoch}: lower learning_rate "
                f"(now {settings.learning_rate})"
            )
        bar.set_postfix_str(f"validation {found:.4f}")
        if found < best:
            best, best_epoch = found, epoch
            kept = {k: v.detach().clone() for k, v in average.module.state_dict().items()}
        elif epoch - best_epoch >= settings.patience:
            break
    network.load_state_dict(kept)
    network.eval()
    seconds = round(time.monotonic() - started, 1)
    return {"best_epoch": best_epoch, "best_loss": best, "epochs": epoch + 1, "seconds": seconds}


def _share(done: float) -> float:
    """Of the highest learning rate after this share of all steps."""
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


@torch.no_grad()
def _validate(average, network, loss, validation, seed) -> float:
    """Mean loss of the averaged weights, with the same draws each time, so that epochs compare."""
    for mine, theirs in zip(average.module.buffers(), network.buffers(), strict=True):
        mine.copy_(theirs)
    average.module.eval()
    generator = torch.Generator().manual_seed(seed + 1)
    total, n = 0.0, len(validation[0])
    for rows in torch.arange(n, device=validation[0].device).split(256):
        batch = (part[rows] for part in validation)
        total += float(loss(average.module, *batch, generator).sum())
    return total / n


def turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """A batch of pictures `(n, h, w, 3)`, all turned by the same one of the square's symmetries."""
    k = int(torch.randint(8, (1,), generator=generator))
    images = torch.rot90(images, k % 4, (1, 2))
    return images.flip(2) if k >= 4 else images
