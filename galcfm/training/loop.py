"""Training: a survey in, a `Posterior` out.

One explicit loop under Lightning Fabric, which finds the device. Every random number is keyed by
(seed, step), so training that was killed and resumed ends with the same weights as training that
was not.

Under `torchrun` several processes, on one machine or on many, share each batch: all draw the same
numbers, each computes its parts of the batch, and gradients are summed once a step. So the losses
are those of one process, but for rounding.
"""

import math
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from galcfm.networks import ImageEncoder
from galcfm.paths import disk_errors_in_a_sentence, keep_memory, replacing
from galcfm.posterior import ModelError, Posterior, default_device, require_own_model
from galcfm.posterior.bands import hide_bands
from galcfm.provenance import array_digest
from galcfm.survey import Survey, require_booleans

if TYPE_CHECKING:
    from lightning.fabric import Fabric

HISTORY_FILE = "training.csv"
CHECKPOINT_FILE = "checkpoint.pt"


class TrainingError(RuntimeError):
    """Training that cannot go on, with the remedy."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained; the defaults are the paper's.

    Arguments:
        learning_rate: of AdamW, at its highest.
        batch_size: galaxies a step.
        max_epochs: passes over the training split at most.
        patience: epochs without a better validation loss before training stops.
        weight_decay: of AdamW.
        schedule: `"constant"`, or `"cosine"`: linear warm-up over the first twentieth of all
            steps, then half a cosine down to zero.
        draws_per_galaxy: draws of (t, x_0, ε) for each galaxy of a batch; its image is encoded
            once.
        average_decay: decay of the exponential moving average of the weights, which is then what
            is validated and kept; 0 for none.
        augment: random rotations by 90° and reflections of the images.
        encoder_batch: galaxies of a batch that pass through the networks at once, over which batch
            normalisation takes its statistics; their gradients add up. 0 for the whole batch, or
            a process's share of it; about 32 at 64×64 pixels, 8 at 128×128, let a processor keep
            the activations in its cache.
        half_precision: the encoder computes its convolutions in bfloat16; weights, statistics and
            the flow stay float32.
        hide_bands: in each epoch other bands of galaxies are hidden, for a model with
            `missing_bands`: `galcfm.posterior.bands.hide_bands`.
        seed: of initial weights, order, noise and augmentation.
    """

    learning_rate: float = 5e-5
    batch_size: int = 64
    max_epochs: int = 200
    patience: int = 10
    weight_decay: float = 0.01
    schedule: str = "constant"
    draws_per_galaxy: int = 1
    average_decay: float = 0.0
    augment: bool = False
    encoder_batch: int = 0
    half_precision: bool = False
    hide_bands: bool = False
    seed: int = 0

    def __post_init__(self):
        require_booleans(
            augment=self.augment, half_precision=self.half_precision, hide_bands=self.hide_bands
        )
        for name in ("learning_rate", "batch_size", "max_epochs", "patience", "draws_per_galaxy"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive")
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(f"schedule is {self.schedule!r}: use 'constant' or 'cosine'")
        if self.encoder_batch < 0:
            raise ValueError(f"encoder_batch is {self.encoder_batch}: it must not be negative")
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"average_decay is {self.average_decay}: it must be in [0, 1)")


def train(
    posterior: Posterior,
    survey: Survey,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    warm_start: Posterior | None = None,
    weights: np.ndarray | None = None,
    progress: bool = True,
) -> Posterior:
    """Train `posterior` on the training split and keep its best validation epoch.

    The model, its training history (`training.csv`) and the latest checkpoint go to `folder`.
    Called again with the same arguments, training resumes after a kill, and returns the model when
    it had ended; where the schedule is constant, it goes on to a larger `max_epochs`.

    Arguments:
        posterior: an untrained model; its weights are initialised here from the seed.
        survey: the whole survey; only its `train` and `validation` splits are read.
        folder: where the model goes.
        settings: how to train.
        warm_start: a trained model to start from: one of the same architecture, whose weights and
            standardisation are taken as they are; or, for an image model, a photometry model with
            the same features and network width, whose flow it takes, its image columns zero.
        weights: how often each galaxy of the survey is drawn, relative to the others, `(n,)`, not
            negative: training for another prior. None for once an epoch.

    Returns:
        The trained model, where `default_device` says.

    Raises:
        TrainingError: `folder` holds a run with other settings, data or architecture, a split is
            empty, the weights are not usable, the loss is not finite, or another process of the
            training has ended.
        ModelError: the folder holds what is no model and no training, or bands are to be hidden
            from a model without `missing_bands`.
        OSError: it cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    require_own_model(folder)
    if settings.hide_bands and not posterior.missing_bands:
        raise ModelError("hide_bands needs a model with missing_bands")
    with disk_errors_in_a_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if weights is not None:
        weights = _checked_weights(weights, survey)
    parts = _splits(posterior, survey, weights)
    identity = _identity(posterior, parts, settings, warm_start)
    checkpoint = _read_checkpoint(folder, identity, settings.max_epochs)
    if (
        checkpoint is not None
        and _finished(checkpoint["epoch"], checkpoint["best_epoch"], settings)
        and (folder / "model.json").exists()
    ):
        return Posterior.load(folder)

    torch.manual_seed(settings.seed)
    _initialise(posterior, parts["train"][0], warm_start)
    fabric = _fabric()
    fabric.barrier()  # all have read the checkpoint before the first writes the next
    loop = _Loop(fabric, posterior, settings, _on_device(posterior, parts, fabric.device))
    if checkpoint is not None:
        loop.restore(checkpoint)
    # A bar over all epochs, so that the time left is that of the whole training.
    bar = tqdm(
        total=settings.max_epochs,
        initial=loop.epoch,
        desc=f"training {folder.name}",
        unit="epoch",
        disable=not progress or not fabric.is_global_zero,
    )
    with bar, _others_in_a_sentence(fabric, loop):
        while not loop.finished:
            loop.run_epoch()
            latest = loop.history[-1]
            bar.set_postfix_str(
                f"loss {latest['train_loss']:.4f}, validation {latest['validation_loss']:.4f}"
            )
            bar.update()
            if fabric.is_global_zero:
                _write_checkpoint(folder, loop.state() | {"identity": identity})
    posterior.load_state_dict(loop.best_weights)
    posterior.to(fabric.device).eval()
    posterior.fit_range(*(part for part, _ in parts.values()))
    posterior.metadata = {
        "settings": asdict(settings),
        "survey": Path(survey.name).name,
        "n_train": len(parts["train"][0]),
        "n_validation": len(parts["validation"][0]),
        "best_epoch": loop.best_epoch,
        "best_validation_loss": loop.best_loss,
        "seconds": sum(row["seconds"] for row in loop.history),
        "device": str(fabric.device),
    }
    if fabric.is_global_zero:
        with replacing(folder / HISTORY_FILE) as temporary:
            pd.DataFrame(loop.history).to_csv(temporary, index=False)
        posterior.save(folder)
    fabric.barrier()  # what comes next may load the model
    return posterior


def seconds_an_epoch(
    posterior: Posterior, survey: Survey, settings: TrainingSettings, n_epochs: int
) -> list[float]:
    """Seconds that each of some epochs takes, validation left out.

    Arguments:
        posterior: a model with its standardisation; its weights change.
        survey: galaxies that are all trained on.
        settings: how to train.
        n_epochs: how often.
    """
    fabric = _fabric()
    data = {"train": _Data(posterior, survey, fabric.device)}
    loop = _Loop(fabric, posterior, settings, data)
    seconds = []
    for _ in range(n_epochs):
        started = time.perf_counter()
        loop.train_epoch()
        seconds.append(time.perf_counter() - started)
    return seconds


def _fabric() -> "Fabric":
    """Where to compute: one device, or those of all processes that `torchrun` has started."""
    # Not where no training is: the import takes longer than all others together.
    from lightning.fabric import Fabric
    from lightning.fabric.strategies import DDPStrategy

    n, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    kind = default_device().type
    if kind == "cpu":
        keep_memory()
    if n == 1:
        return Fabric(accelerator=kind, devices=1)
    # Without broadcasts before a step, for which a process without a part would be waited in vain.
    strategy = DDPStrategy(broadcast_buffers=False)
    fabric = Fabric(accelerator=kind, devices=here, num_nodes=n // here, strategy=strategy)
    fabric.launch()
    return fabric


@contextmanager
def _others_in_a_sentence(fabric: "Fabric", loop: "_Loop"):
    """Say what to do when another process of the training has ended."""
    if fabric.world_size == 1:
        yield
        return

    def stop(number, frame):
        raise RuntimeError("this one was told to stop")

    # `torchrun` stops the others, and may be faster than the connection that breaks.
    is_main = threading.current_thread() is threading.main_thread()
    after = signal.signal(signal.SIGTERM, stop) if is_main else None
    try:
        yield
    except RuntimeError as error:
        # Until the sentence is said.
        after = signal.SIG_IGN
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(
            f"another process of the training has ended in epoch {loop.epoch}; the same command "
            f"goes on from there ({str(error).splitlines()[0]})"
        ) from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, after or signal.SIG_DFL)


def _splits(posterior: Posterior, survey: Survey, weights) -> dict[str, tuple[Survey, np.ndarray]]:
    """Training and validation split, without images where none are read, and their weights."""
    if not posterior.uses_images:
        survey = Survey(survey.catalogue, None, survey.parameters, survey.name)
    parts = {}
    for name in ("train", "validation"):
        # A galaxy without one of its properties can be inferred, and not be learned from.
        labelled = np.isfinite(survey.properties).all(1)
        rows = np.flatnonzero((survey.catalogue["split"].to_numpy() == name) & labelled)
        if len(rows) == 0:
            raise TrainingError(f"{survey.name} has no galaxies with labels in its {name} split")
        parts[name] = survey.select(rows), None if weights is None else weights[rows]
    return parts


def _on_device(posterior: Posterior, parts, device: torch.device) -> dict[str, "_Data"]:
    return {name: _Data(posterior, part, device, w) for name, (part, w) in parts.items()}


class _Data:
    """A split as tensors on the device; images stay integers, which the encoder standardises."""

    def __init__(self, posterior: Posterior, survey: Survey, device: torch.device, weights=None):
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.theta = posterior.property_scale.apply(survey.properties).to(device)
        self._posterior, self._device = posterior, device
        self._observation = posterior.observe(survey)
        self.f_phot = posterior.standardised_features(self._observation).to(device)
        self.images = None
        if posterior.uses_images:
            self.images = _binned(posterior.encoder, survey.images, device)

    def __len__(self) -> int:
        return len(self.theta)

    def hide_bands(self, *key: int) -> None:
        """Hide bands of the galaxies, others for another key."""
        rng = np.random.default_rng(key)
        known = self._observation
        magnitudes, errors = hide_bands(known.magnitudes, known.magnitude_errors, rng)
        hidden = replace(known, magnitudes=magnitudes, magnitude_errors=errors)
        self.f_phot = self._posterior.standardised_features(hidden).to(self._device)

    def drawn(self, generator: torch.Generator) -> Tensor:
        """As many row numbers as there are rows: each once, or drawn by the weights."""
        if self.weights is None:
            return torch.randperm(len(self), generator=generator)
        return torch.multinomial(self.weights, len(self), True, generator=generator)


def _binned(encoder: ImageEncoder, images: np.ndarray, device: torch.device) -> Tensor:
    """What the encoder's `bin` makes of all images, on the device."""
    block, binned = 256, None
    for start in range(0, len(images), block):
        part = encoder.bin(torch.from_numpy(np.array(images[start : start + block])).to(device))
        if binned is None:
            binned = part.new_empty(len(images), *part.shape[1:])
        binned[start : start + block] = part
    return binned


class _Loop:
    """State of a training run, advanced epoch by epoch."""

    def __init__(self, fabric, posterior, settings, data):
        self.fabric, self.settings, self.data = fabric, settings, data
        self.model = posterior
        # Trainable weights only: the standardisation buffers stay as fitted.
        optimiser = torch.optim.AdamW(
            posterior.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.module, self.optimiser = fabric.setup(
            _FlowLoss(posterior, settings.half_precision), optimiser
        )
        self.together = _Together(fabric, posterior)
        self.average = None
        if settings.average_decay:
            self.average = AveragedModel(
                posterior,
                multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay),
                use_buffers=False,
            )
        self.epoch, self.step = 0, 0
        self.best_loss, self.best_epoch, self.best_weights = math.inf, -1, None
        self.history: list[dict] = []
        self.n_steps = settings.max_epochs * math.ceil(len(data["train"]) / settings.batch_size)
        if settings.hide_bands and "validation" in data:
            data["validation"].hide_bands(settings.seed, 5)

    @property
    def finished(self) -> bool:
        return _finished(self.epoch, self.best_epoch, self.settings)

    def train_epoch(self) -> float:
        """Take a step a batch; the mean loss."""
        settings, data = self.settings, self.data["train"]
        if settings.hide_bands:
            data.hide_bands(settings.seed, 4, self.epoch)
        order = data.drawn(_generator(settings.seed, 0, self.epoch))
        self.model.train()
        total = torch.zeros((), device=self.fabric.device)
        for rows in order.split(settings.batch_size):
            for group in self.optimiser.param_groups:
                group["lr"] = self._learning_rate()
            generator = _generator(settings.seed, 1, self.step)
            draws = _draws(settings.draws_per_galaxy, len(rows), self.model.flow.dim, generator)
            self.optimiser.zero_grad()
            parts = self._parts(*self._batch(data, rows, draws, generator, settings.augment))
            with self.fabric.no_backward_sync(self.module, enabled=self.fabric.world_size > 1):
                for part in self.together.mine(parts):
                    loss = self.module(*part) * (len(part[0]) / len(rows))
                    self.fabric.backward(loss)
                    total += loss.detach() * len(rows)
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.model)
            self.step += 1
        return self.fabric.all_reduce(total, reduce_op="sum").item() / len(data)

    def run_epoch(self) -> None:
        """Train an epoch, validate, and remember the weights if they are the best so far."""
        started = time.perf_counter()
        train_loss = self.train_epoch()
        validation_loss = self._validate()
        if not math.isfinite(validation_loss):
            raise TrainingError(
                f"the loss is {validation_loss} after epoch {self.epoch}: lower learning_rate "
                f"(now {self.settings.learning_rate})"
            )
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch = validation_loss, self.epoch
            self.best_weights = {
                k: v.detach().cpu().clone() for k, v in self._evaluated.state_dict().items()
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

    @property
    def _evaluated(self) -> Posterior:
        return self.model if self.average is None else self.average.module

    @torch.no_grad()
    def _validate(self) -> float:
        """Loss on the validation split with the same draws each time, so that epochs compare."""
        module = _FlowLoss(self._evaluated).eval()
        if self.average is not None:
            # The running statistics of batch normalisation are averages already.
            for mine, theirs in zip(
                self.average.module.buffers(), self.model.buffers(), strict=True
            ):
                mine.copy_(theirs)
        data, total = self.data["validation"], 0.0
        rows_of_all = torch.arange(len(data))
        if data.weights is not None:
            rows_of_all = data.drawn(_generator(self.settings.seed, 3, 0))
        for block, rows in enumerate(rows_of_all.split(256)):
            if block % self.fabric.world_size != self.fabric.global_rank:
                continue
            generator = _generator(self.settings.seed, 2, block)
            draws = _draws(32, len(rows), self.model.flow.dim, generator)
            total += module(*self._batch(data, rows, draws, generator, False)).item() * len(rows)
        total = torch.tensor(total, dtype=torch.float64, device=self.fabric.device)
        return self.fabric.all_reduce(total, reduce_op="sum").item() / len(data)

    def _batch(self, data: _Data, rows: Tensor, draws, generator, augment: bool):
        device = self.fabric.device
        rows = rows.to(device)
        images = None if data.images is None else data.images[rows]
        if images is not None and augment:
            images = _rotate(images, generator)
        return data.theta[rows], data.f_phot[rows], images, *(x.to(device) for x in draws)

    def _parts(self, theta, f_phot, images, *draws):
        """A batch in parts of `encoder_batch` galaxies."""
        size = self.settings.encoder_batch or math.ceil(len(theta) / self.fabric.world_size)
        for start in range(0, len(theta), size):
            rows = slice(start, start + size)
            yield (
                theta[rows],
                f_phot[rows],
                None if images is None else images[rows],
                *(x[:, rows] for x in draws),
            )

    def _learning_rate(self) -> float:
        peak, done = self.settings.learning_rate, (self.step + 1) / self.n_steps
        if self.settings.schedule == "constant":
            return peak
        warm_up = 0.05
        if done < warm_up:
            return peak * done / warm_up
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))

    def state(self) -> dict:
        return {
            "epoch": self.epoch,
            "step": self.step,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "history": self.history,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict) -> None:
        for name in ("epoch", "step", "best_loss", "best_epoch", "best_weights", "history"):
            setattr(self, name, state[name])
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


class _Together:
    """Processes that share batches as if they were one."""

    def __init__(self, fabric: "Fabric", model: nn.Module):
        self.fabric = fabric
        self.parameters = list(model.parameters())
        self.norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]

    def mine(self, parts):
        """This process's parts of a batch; after the last, gradients are those of all parts.

        So are the running statistics of batch normalisation, which r ← (1 − m) r + m s after each
        of K parts makes (1 − m)^K r + Σ m (1 − m)^(K − 1 − k) s_k.
        """
        size, rank = self.fabric.world_size, self.fabric.global_rank
        if size == 1:
            yield from parts
            return
        parts = list(parts)
        momenta = [norm.momentum for norm in self.norms]
        before = [each.clone() for each in self._statistics()]
        sums = [torch.zeros_like(each) for each in before]
        for norm in self.norms:
            norm.momentum = 1.0  # leaves the statistics of the latest part
        for k in range(rank, len(parts), size):
            yield parts[k]
            later = len(parts) - 1 - k
            for m, total, latest in zip(self._each(momenta), sums, self._statistics(), strict=True):
                total += m * (1 - m) ** later * latest
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._add_up([*(parameter.grad for parameter in self.parameters), *sums])
        for norm, momentum in zip(self.norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked += len(parts) - len(range(rank, len(parts), size))
        for m, now, old, total in zip(
            self._each(momenta), self._statistics(), before, sums, strict=True
        ):
            now.copy_((1 - m) ** len(parts) * old + total)

    def _statistics(self) -> list[Tensor]:
        return [each for norm in self.norms for each in (norm.running_mean, norm.running_var)]

    @staticmethod
    def _each(momenta) -> list[float]:
        return [momentum for momentum in momenta for _ in range(2)]

    def _add_up(self, tensors: list[Tensor]) -> None:
        """Sum over processes, in place and in one message."""
        flat = torch.cat([each.flatten() for each in tensors])
        flat = self.fabric.all_reduce(flat, reduce_op="sum")
        for each, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            each.copy_(part.view_as(each))


class _FlowLoss(nn.Module):
    """The loss as one module call, which is what Fabric wraps."""

    def __init__(self, posterior: Posterior, half_precision: bool = False):
        super().__init__()
        self.posterior = posterior
        self.half_precision = half_precision

    def forward(self, theta, f_phot, images, t, x_0, epsilon) -> Tensor:
        condition = f_phot
        if images is not None:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self.half_precision):
                f_img = self.posterior.encoder.encode(images)
            condition = torch.cat([f_img.to(f_phot), f_phot], 1)
        return self.posterior.flow.loss(theta, condition, t, x_0, epsilon)


def _initialise(posterior: Posterior, survey: Survey, warm_start: Posterior | None) -> None:
    for module in posterior.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    if warm_start is not None and warm_start.architecture == posterior.architecture:
        posterior.load_state_dict(warm_start.state_dict())
        return
    posterior.fit_standardisation(survey)
    if warm_start is None:
        return
    weights = warm_start.flow.state_dict()
    first = "network.hidden.0.weight"
    n_image = posterior.encoder.n_features if posterior.uses_images else 0
    head = 1 + posterior.flow.dim
    columns = weights[first]
    weights[first] = torch.cat(
        [columns[:, :head], columns.new_zeros(len(columns), n_image), columns[:, head:]], 1
    )
    try:
        posterior.flow.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the warm start has another network or other features than the model: {error}"
        ) from error


def _finished(epoch: int, best_epoch: int, settings: TrainingSettings) -> bool:
    waited = epoch - 1 - best_epoch
    return epoch >= settings.max_epochs or (epoch > 0 and waited >= settings.patience)


def _generator(seed: int, purpose: int, index: int) -> torch.Generator:
    """Random numbers that depend on (seed, purpose, index) alone; always drawn on the CPU."""
    key = np.random.SeedSequence([seed, purpose, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(key >> np.uint64(1)))


def _draws(n_draws: int, n: int, dim: int, generator: torch.Generator):
    """Times, noise and path noise, each `(n_draws, n, ...)`."""
    # Stratified over the draws of a galaxy: the same expectation, less variance.
    t = torch.arange(n_draws)[:, None, None] + torch.rand(n_draws, n, 1, generator=generator)
    x_0, epsilon = torch.randn(2, n_draws, n, dim, generator=generator)
    return t / n_draws, x_0, epsilon


def _rotate(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn each image `(n, H, W, 3)` by one of the eight symmetries of the square."""
    turned = torch.empty_like(images)
    symmetry = torch.randint(8, (len(images),), generator=generator)
    for k in range(8):
        rows = torch.nonzero(symmetry == k).squeeze(1).to(images.device)
        block = torch.rot90(images[rows], k % 4, (1, 2))
        turned[rows] = block.flip(2) if k >= 4 else block
    return turned


def _checked_weights(weights, survey: Survey) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(survey),):
        raise TrainingError(
            f"weights are {weights.shape} for {len(survey)} galaxies: one a galaxy is needed"
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        raise TrainingError(
            f"weights: row {int(np.flatnonzero(bad)[0])} is {weights[bad][0]} ({bad.sum()} such "
            "rows): they must be finite and not negative"
        )
    return weights


def _identity(posterior: Posterior, parts, settings: TrainingSettings, warm_start) -> dict:
    """What a checkpoint must agree with to be resumed: all that the training reads."""
    read = {}
    for name, (part, weights) in parts.items():
        features = posterior.raw_features(posterior.observe(part))
        read[name] = array_digest(part.properties, features, part.images, weights)
    kept = asdict(settings)
    if settings.schedule == "constant":
        del kept["max_epochs"]  # more epochs go on where fewer ended
    return {
        "architecture": posterior.architecture,
        "settings": kept,
        "data": read,
        "warm_start": None if warm_start is None else warm_start.weights_digest,
    }


def _read_checkpoint(folder: Path, identity: dict, max_epochs: int) -> dict | None:
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    differing = [k for k in identity if checkpoint["identity"].get(k) != identity[k]]
    if checkpoint["epoch"] > max_epochs:
        differing.append("max_epochs")
    if differing:
        raise TrainingError(
            f"{path} belongs to training with another {', '.join(differing)}: train into another "
            "folder (name another run), or delete it"
        )
    return checkpoint


def _write_checkpoint(folder: Path, content: dict) -> None:
    with replacing(folder / CHECKPOINT_FILE) as temporary:
        torch.save(content, temporary)
