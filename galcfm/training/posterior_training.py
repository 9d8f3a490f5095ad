"""Training of a `Posterior` on a survey.

Every random number is keyed by (seed, step), so an interrupted and resumed training ends with the
same weights as an uninterrupted one.
"""

import math
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from galcfm.paths import disk_errors_in_a_sentence, replacing, user_path
from galcfm.posterior import ModelError, Posterior, kinds, require_own_model
from galcfm.provenance import array_digest
from galcfm.survey import Survey
from galcfm.training.data import (
    TrainingData,
    checked_weights,
    labelled_rows,
    path_draws,
    turned_each,
)
from galcfm.training.loop import (
    PARTS,
    Loop,
    LoopSettings,
    keyed_generator,
    read_checkpoint,
    write_checkpoint,
)
from galcfm.training.processes import Together, others_in_a_sentence, start_fabric

if TYPE_CHECKING:
    from lightning.fabric import Fabric

HISTORY_FILE = "training.csv"
ONE_GENERATOR = threading.Lock()


@dataclass(frozen=True)
class TrainingSettings(LoopSettings):
    """Settings of the training of a model; the defaults are the paper's.

    Arguments:
        draws_per_galaxy: Number of draws of (t, x_0, ε) for each galaxy of a batch; its image is
            encoded once.
        augment: Whether images are rotated by multiples of 90° and reflected at random.
        encoder_batch: Number of galaxies of a batch that pass through the networks together, and
            over which batch normalisation takes its statistics; their gradients are added. 0 for
            the whole batch, or the share of one process. About 32 at 64×64 pixels, or 8 at
            128×128, keep the activations in the cache of a CPU.
        half_precision: Whether the encoder computes its convolutions in bfloat16; weights,
            statistics and the flow stay float32.
        hide_bands: Whether bands of galaxies are hidden, different ones in each epoch, for a model
            with `missing_bands`, see `galcfm.posterior.bands.hide_bands`.
        learning_rate, batch_size, max_epochs, patience, weight_decay, schedule: See `LoopSettings`.
        average_decay, seed: See `LoopSettings`.
    """

    draws_per_galaxy: kinds.Count = 1
    augment: kinds.Switch = False
    encoder_batch: kinds.Whole = 0
    half_precision: kinds.Switch = False
    hide_bands: kinds.Switch = False


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

    The model, its training history (`training.csv`) and the latest checkpoint are written to
    `folder`. A repeated call with the same arguments resumes an interrupted training, or returns
    the finished model. With a constant schedule, it also continues to a larger `max_epochs`.

    Arguments:
        posterior: Untrained model; its weights are initialised here from the seed.
        survey: Whole survey; only its `train` and `validation` splits are read.
        folder: Folder of the model.
        settings: Settings of the training.
        warm_start: Trained model to start from. If it has the same architecture, its weights and
            standardisation are used. For a model with images or embeddings, a photometry model with
            the same features and network width can be given; its flow is used, with zeros for the
            other columns.
        weights: Relative frequency with which each galaxy of the survey is drawn, `(n,)`, not
            negative, to train for another prior. None draws each galaxy once per epoch.

    Returns:
        The trained model, on the device of `default_device`.

    Raises:
        TrainingError: `folder` contains a training with other settings, data or architecture, a
            split is empty, the weights are not usable, the loss is not finite, or another process
            of the training has ended.
        ModelError: The folder contains other files than a model or a training, or settings, survey
            and model do not fit.
        OSError: The folder cannot be written.
    """
    folder = Path(os.path.realpath(user_path(folder)))
    require_own_model(folder)
    _require_fitting(posterior, survey, settings)
    with disk_errors_in_a_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if weights is not None:
        weights = checked_weights(weights, survey)
    if not posterior.uses_images:
        survey = survey.without_images()
    parts = {}
    for name in ("train", "validation"):
        rows = labelled_rows(survey, name, posterior.label_columns)
        parts[name] = survey.select(rows), None if weights is None else weights[rows]
    identity = _identity(posterior, parts, settings, warm_start)
    checkpoint = read_checkpoint(folder, identity, PARTS, settings.max_epochs)
    has_ended = checkpoint and settings.finished(checkpoint["epoch"], checkpoint["best_epoch"])
    if has_ended and (folder / "model.json").exists():
        return Posterior.load(folder)

    _initialise(posterior, parts["train"][0], warm_start, settings.seed)
    fabric = start_fabric()
    fabric.barrier()  # all processes read the checkpoint before the first one writes the next
    data = {
        name: TrainingData(posterior, part, fabric.device, w) for name, (part, w) in parts.items()
    }
    loop = FlowLoop(fabric, posterior, settings, data)
    if checkpoint is not None:
        loop.restore(checkpoint)

    keep = partial(loop.keep, folder, identity)
    with others_in_a_sentence(fabric, loop):
        loop.run(f"training {folder.name}", progress and fabric.is_global_zero, keep)
    posterior.fit_range(*(part for part, _ in parts.values()))
    posterior.metadata |= _metadata(loop, survey)
    if fabric.is_global_zero:
        with replacing(folder / HISTORY_FILE) as temporary:
            pd.DataFrame(loop.history).to_csv(temporary, index=False)
        posterior.save(folder)
    fabric.barrier()  # code after the training may load the model
    return posterior


def _require_fitting(posterior: Posterior, survey: Survey, settings: TrainingSettings) -> None:
    """Refuse settings that the model has no use for, and a survey of other properties."""
    if settings.hide_bands and not posterior.missing_bands:
        raise ModelError("hide_bands needs a model with missing_bands")
    if survey.declaration.properties != posterior.declaration.properties:
        ours, theirs = (
            ", ".join(d.property_names) for d in (posterior.declaration, survey.declaration)
        )
        raise ModelError(
            f"{survey.name} declares the properties {theirs}, and the model has {ours}, or their "
            "units or ranges differ: make the model with declaration=survey.declaration"
        )


def _metadata(loop: "FlowLoop", survey: Survey) -> dict:
    """Return the metadata of a training, which are stored with the model."""
    return {
        "settings": asdict(loop.settings),
        "survey": Path(survey.name).name,
        "n_train": len(loop.data["train"]),
        "n_validation": len(loop.data["validation"]),
        "best_epoch": loop.best_epoch,
        "best_validation_loss": loop.best_loss,
        "seconds": sum(row["seconds"] for row in loop.history),
        "device": str(loop.fabric.device),
    }


class FlowLoop(Loop):
    """The training of a `Posterior`, on one device or shared by several processes.

    Arguments:
        fabric: Device or processes, from `start_fabric`.
        posterior: Model with initial weights and standardisation.
        settings: Settings of the training.
        data: `TrainingData` by split; without `"validation"`, only `train_epoch` can be called.
    """

    def __init__(self, fabric: "Fabric", posterior: Posterior, settings: TrainingSettings, data):
        self.fabric, self.data = fabric, data
        posterior.to(fabric.device)
        super().__init__(posterior, settings, len(data["train"]))
        self.together = Together(fabric, posterior)
        if settings.hide_bands and "validation" in data:
            data["validation"].hide_bands(settings.seed, 5)

    def batches(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch of an epoch."""
        settings, data = self.settings, self.data["train"]
        if settings.hide_bands:
            data.hide_bands(settings.seed, 4, self.epoch)
        order = data.drawn(keyed_generator(settings.seed, 0, self.epoch))
        yield from order.split(settings.batch_size)

    def losses(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the loss of this process's parts of a batch, each weighted by its share."""
        settings = self.settings
        generator = keyed_generator(settings.seed, 1, self.step)
        draws = path_draws(settings.draws_per_galaxy, len(rows), self.network.flow.dim, generator)
        batch = self._batch(self.data["train"], rows, draws, generator, settings.augment)
        for part in self.together.mine(self._parts(*batch)):
            loss = batch_loss(self.network, *part, half_precision=settings.half_precision)
            yield loss * (len(part[0]) / len(rows))

    def keep(self, folder: Path, identity: dict) -> None:
        """Write a checkpoint, in only one of the processes."""
        if self.fabric.is_global_zero:
            write_checkpoint(folder, self.state() | {"identity": identity})

    def summed(self, total: Tensor) -> float:
        """Return the sum of a number over all processes."""
        return self.fabric.all_reduce(total, reduce_op="sum").item()

    def validation_loss(self, network: Posterior) -> float:
        """Return the mean loss of the validation split, with the same draws in each epoch."""
        data, total = self.data["validation"], 0.0
        rows_of_all = torch.arange(len(data))
        if data.weights is not None:
            rows_of_all = data.drawn(keyed_generator(self.settings.seed, 3, 0))
        for block, rows in enumerate(rows_of_all.split(256)):
            if block % self.fabric.world_size != self.fabric.global_rank:
                continue
            generator = keyed_generator(self.settings.seed, 2, block)
            draws = path_draws(32, len(rows), network.flow.dim, generator)
            batch = self._batch(data, rows, draws, generator, False)
            total += batch_loss(network, *batch).item() * len(rows)
        total = torch.tensor(total, dtype=torch.float64, device=self.fabric.device)
        return self.summed(total) / len(data)

    def _batch(self, data: TrainingData, rows: Tensor, draws, generator, augment: bool):
        device = self.fabric.device
        rows = rows.to(device)
        images = None if data.images is None else data.images[rows]
        if images is not None and augment:
            images = turned_each(images, generator)
        return data.theta[rows], data.f_phot[rows], images, *(x.to(device) for x in draws)

    def _parts(self, theta, f_phot, images, *draws):
        """Yield a batch in parts of `encoder_batch` galaxies."""
        size = self.settings.encoder_batch or math.ceil(len(theta) / self.fabric.world_size)
        for start in range(0, len(theta), size):
            rows = slice(start, start + size)
            yield (
                theta[rows],
                f_phot[rows],
                None if images is None else images[rows],
                *(x[:, rows] for x in draws),
            )


def batch_loss(
    posterior: Posterior, theta, f_phot, images, *draws, half_precision: bool = False
) -> Tensor:
    """Return the flow-matching loss of a batch.

    Arguments:
        posterior: Model.
        theta: Standardised properties, `(n, d)`, NaN where a galaxy lacks a label.
        f_phot: Standardised embeddings and photometric features, `(n, f)`.
        images: Binned images, `(n, H, W, c)`, or None.
        draws: Times, noise and path noise of `path_draws`.
        half_precision: Whether the encoder computes in bfloat16.
    """
    condition = f_phot
    if images is not None:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half_precision):
            f_img = posterior.encoder.encode(images)
        condition = torch.cat([f_img.to(f_phot), f_phot], 1)
    return posterior.flow.loss(theta, condition, *draws)


def _initialise(posterior: Posterior, survey: Survey, warm_start, seed: int) -> None:
    # All trainings in a process draw their initial weights from one generator.
    with ONE_GENERATOR:
        torch.manual_seed(seed)
        for module in posterior.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    if warm_start is not None and warm_start.architecture == posterior.architecture:
        posterior.load_state_dict(warm_start.state_dict())
        return
    posterior.fit_standardisation(survey)
    if warm_start is None:
        return
    if warm_start.label_columns != posterior.label_columns:
        raise ModelError(
            "the warm start has other label_blocks than the model: train it on the same survey"
        )
    weights = warm_start.flow.state_dict()
    first = "network.hidden.0.weight"
    head = 1 + posterior.flow.dim
    columns = weights[first]
    # Features of an image or embedding stand before the photometry.
    n_more = posterior.flow.network.hidden[0].weight.shape[1] - columns.shape[1]
    weights[first] = torch.cat(
        [columns[:, :head], columns.new_zeros(len(columns), max(n_more, 0)), columns[:, head:]], 1
    )
    try:
        posterior.flow.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the warm start has another network or other features than the model: {error}"
        ) from error


def _identity(posterior: Posterior, parts, settings: TrainingSettings, warm_start) -> dict:
    """Return all inputs of the training; a checkpoint is resumed only if they agree."""
    read = {}
    for name, (part, weights) in parts.items():
        observation = posterior.observe(part)
        features = posterior.raw_features(observation)
        read[name] = array_digest(
            part.properties, features, part.images, weights, *observation.embeddings.values()
        )
    kept = asdict(settings)
    if settings.schedule == "constant":
        del kept["max_epochs"]  # a larger number of epochs continues a smaller one
    return {
        "architecture": posterior.architecture,
        "settings": kept,
        "data": read,
        "warm_start": None if warm_start is None else warm_start.weights_digest,
    }
