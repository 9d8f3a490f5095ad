"""Devices of a training: one device, or several processes that share each batch.

Under `torchrun` several processes, on one or several machines, share each batch: all draw the same
random numbers, each computes its parts of the batch, and gradients are summed once per step. The
losses therefore equal the losses of one process, except for rounding.
"""

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from galcfm.paths import keep_memory
from galcfm.posterior import default_device
from galcfm.training.loop import Loop, TrainingError

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def start_fabric() -> "Fabric":
    """Return the devices of the computation: one, or one per process under `torchrun`."""
    # Imported only for training: this import takes longer than all others together.
    from lightning.fabric import Fabric

    n, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    kind = default_device().type
    if kind == "cpu":
        keep_memory()
    if n == 1:
        return Fabric(accelerator=kind, devices=1)
    fabric = Fabric(accelerator=kind, devices=here, num_nodes=n // here, strategy="ddp")
    fabric.launch()
    return fabric


@contextmanager
def others_in_a_sentence(fabric: "Fabric", loop: Loop):
    """Raise an error that says what to do when another process of the training has ended."""
    if fabric.world_size == 1:
        yield
        return

    def stop(number, frame):
        raise RuntimeError("this process was stopped")

    # `torchrun` stops the other processes, possibly before their connection breaks.
    is_main = threading.current_thread() is threading.main_thread()
    after = signal.signal(signal.SIGTERM, stop) if is_main else None
    try:
        yield
    except RuntimeError as error:
        # Ignored until the error is raised.
        after = signal.SIG_IGN
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(
            f"another process of the training has ended in epoch {loop.epoch}; run the same "
            f"command to continue ({str(error).splitlines()[0]})"
        ) from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, after or signal.SIG_DFL)


class Together:
    """Processes that share batches and give the result of a single process.

    Arguments:
        fabric: Fabric that started the processes.
        model: Model to train, on the device of this process.
    """

    def __init__(self, fabric: "Fabric", model: nn.Module):
        self.fabric, self.parameters = fabric, list(model.parameters())
        self.norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
        self.momenta = [norm.momentum for norm in self.norms for _ in range(2)]

    def mine(self, parts):
        """Yield this process's parts of a batch; afterwards, gradients are summed over all parts.

        The running statistics of batch normalisation are combined, too: updates
        r ← (1 − m) r + m s after each of K parts give (1 − m)^K r + Σ m (1 − m)^(K − 1 − k) s_k.
        """
        size, rank = self.fabric.world_size, self.fabric.global_rank
        if size == 1:
            yield from parts
            return
        parts = list(parts)
        statistics = [each for norm in self.norms for each in (norm.running_mean, norm.running_var)]
        before = [each.clone() for each in statistics]
        sums = [torch.zeros_like(each) for each in before]
        for norm in self.norms:
            norm.momentum = 1.0  # keeps the statistics of the latest part
        for k in range(rank, len(parts), size):
            yield parts[k]
            for m, total, latest in zip(self.momenta, sums, statistics, strict=True):
                total += m * (1 - m) ** (len(parts) - 1 - k) * latest
        for each in self.parameters:
            each.grad = torch.zeros_like(each) if each.grad is None else each.grad
        self._add_up([*(each.grad for each in self.parameters), *sums])
        for norm, m in zip(self.norms, self.momenta[::2], strict=True):
            norm.momentum = m
            norm.num_batches_tracked += len(parts) - len(range(rank, len(parts), size))
        for m, now, old, total in zip(self.momenta, statistics, before, sums, strict=True):
            now.copy_((1 - m) ** len(parts) * old + total)

    def _add_up(self, tensors: list[Tensor]) -> None:
        """Sum tensors over all processes, in place and in one message."""
        flat = torch.cat([each.flatten() for each in tensors])
        flat = self.fabric.all_reduce(flat, reduce_op="sum")
        for each, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            each.copy_(part.view_as(each))
