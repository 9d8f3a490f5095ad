"""A model as a folder: its weights, its training range and their description.

Arrays are written as safetensors and the description as JSON; nothing is unpickled.
"""

import os
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
import torch
from msgspec import Meta
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as arrays_bytes
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes

from galcfm.json_files import JsonFile, object_of
from galcfm.paths import MODEL_FILES, damage_in_a_sentence, replacing, require_own_files, user_path
from galcfm.posterior.inputs import ModelError, default_device
from galcfm.posterior.published import model_folder
from galcfm.posterior.training_range import UNKNOWN, QuiescentClass, RangeOfBands, TrainingRange
from galcfm.properties import Declaration
from galcfm.provenance import provenance

SCHEMA_VERSION = 1
POSITIVE = ("_std", "softening")  # endings of the names of values by which is divided
# No network is larger; a wrong number must not fill the memory.
Size = Annotated[int, Meta(ge=1, le=16_384)]

# Arguments of `ImageEncoder`, `VelocityNetwork` and `Posterior`.
Encoder = object_of(
    n_features=NotRequired[Size],
    widths=NotRequired[list[Size]],
    crop=NotRequired[Size],
    bin_factor=NotRequired[Size],
    channels=NotRequired[Size],
    linear=NotRequired[bool],
)
Network = object_of(width=NotRequired[Size], depth=NotRequired[Size])
Architecture = object_of(
    features=NotRequired[str],
    use_redshift=NotRequired[bool],
    use_magnitude_errors=NotRequired[bool],
    missing_bands=NotRequired[bool],
    encoder=NotRequired[Encoder | None],
    network=NotRequired[Network],
    sigma=NotRequired[Annotated[float, Meta(ge=0, le=10)]],
    jumps=NotRequired[Annotated[int, Meta(ge=0, le=1000)]],
    declaration=NotRequired[Declaration],
    label_blocks=NotRequired[list[list[str]]],
)
# Result of `galcfm.posterior.hub.measure`, at three levels.
Share = Annotated[float, Meta(ge=0, le=1)]
Shares = tuple[Share, Share, Share]
Evaluation = object_of(
    survey=str,
    n=Size,
    levels=Shares,
    coverage=Annotated[dict[str, Shares], Meta(min_length=1)],
    log_prob=NotRequired[float],
    log_prob_error=NotRequired[float],
    n_labels=NotRequired[dict[str, int]],
)
# Metadata of a training that are read again; others are allowed.
Metadata = object_of(
    settings=NotRequired[dict[str, Any]],
    survey=NotRequired[str],
    knows=NotRequired[str],
    evaluation=NotRequired[Evaluation],
)
Description = object_of(
    schema_version=int,
    properties=list[str],
    bands=list[str],
    architecture=Architecture,
    metadata=Metadata,
    provenance=NotRequired[dict[str, Any]],
)
MODEL = JsonFile("model.json", Description, "Fetch or train the model again.")


def made_by(declaration: Declaration) -> dict:
    """Return version, properties and bands of a model, which its description begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "properties": list(declaration.property_names),
        "bands": list(declaration.bands),
    }


def known_by(folder: Path | str) -> str:
    """Return a sentence on the training galaxies of a model, which is given by folder or name."""
    return MODEL.read(model_folder(folder) / "model.json")["metadata"].get("knows", UNKNOWN)


def require_own_model(folder: Path) -> None:
    """Refuse a folder that contains other files than a model and its training, before any work.

    Raises:
        ModelError: The folder contains a file that galcfm did not write; the message names it.
    """
    require_own_files(folder, MODEL_FILES, "a model", ModelError)
    found = [path for name in MODEL_FILES if (path := folder / name).exists()]
    # At least one of these files shows that galcfm wrote the model or the training.
    marked = [path for path in found if path.name in ("model.json", "checkpoint.pt")]
    for path in marked or found:
        # Foreign files may raise any error in their reader.
        try:
            _identity(path)
        except Exception as error:
            raise ModelError(
                f"{path} is damaged, or not one that galcfm wrote: move it away, or name another "
                "folder"
            ) from error


def _identity(path: Path) -> dict:
    """Return the description in the file of a model, or in the checkpoint of a training."""
    if path.name == "checkpoint.pt":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["identity"]
    return MODEL.read(path)["architecture"]


def range_bytes(ranges: dict) -> bytes:
    """Return the content of `range.safetensors`."""
    arrays = {
        # In row order, because safetensors writes the bytes in the order of the memory.
        f"{part}.{name}": np.ascontiguousarray(array)
        for part, known in ranges.items()
        for name, array in vars(known).items()
    }
    return arrays_bytes(arrays)


def save(posterior, folder: Path | str) -> None:
    """Write `model.safetensors`, `range.safetensors` and `model.json` to `folder`.

    An existing model is replaced once the new one is complete.

    Raises:
        ModelError: The folder contains other files than a model and its training.
        OSError: A file cannot be written.
    """
    folder = user_path(folder, "the folder of the model", ModelError)
    folder = Path(os.path.realpath(folder))
    require_own_model(folder)
    description = made_by(posterior.declaration) | {
        "architecture": posterior.architecture,
        "metadata": posterior.metadata,
        "provenance": provenance(),
    }
    with (
        replacing(folder / "model.json") as described,
        replacing(folder / "range.safetensors") as ranged,
        replacing(folder / "model.safetensors") as weighted,
    ):
        weighted.write_bytes(safetensors_bytes(posterior.state_dict()))
        ranged.write_bytes(range_bytes(posterior.ranges))
        MODEL.write(described, description)


def load(cls, folder: Path | str, device: str | torch.device | None = None):
    """Read a model.

    Arguments:
        folder: Folder that `save` wrote, or the name of a published model, e.g. `"photometry"`.
        device: Device of the computations; by default `default_device()`. Results are returned on
            the CPU.

    Raises:
        ModelError: A file is missing, damaged or of another schema, the weights have another
            architecture than `model.json` gives, or the device cannot be used.
    """
    folder, device = model_folder(folder), default_device(device)
    for name in ("model.json", "model.safetensors"):
        if not (folder / name).exists():
            raise ModelError(
                f"{folder / name} is missing, so this is no model; notebook 02_training makes one"
            )
    description = MODEL.read(folder / "model.json", ModelError)
    expected = made_by(Declaration.of(description["architecture"].get("declaration", {})))
    found = {name: description[name] for name in expected}
    if found != expected:
        raise ModelError(
            f"{folder / 'model.json'} is a model of {found}, not of {expected}: train the "
            "model again"
        )
    with damage_in_a_sentence(folder / "model.json", MODEL.remedy, ModelError):
        posterior = cls(**description["architecture"])
        posterior.metadata = description["metadata"]
    path = folder / "model.safetensors"
    with damage_in_a_sentence(path, MODEL.remedy, ModelError):
        posterior.load_state_dict(load_file(path))
    require_finite(posterior, path)
    path = folder / "range.safetensors"
    with damage_in_a_sentence(path, MODEL.remedy, ModelError):
        posterior.ranges = _ranges(load_arrays(path)) if path.exists() else {}
    return posterior.to(device).eval()


def require_finite(posterior, path: Path) -> None:
    """Refuse weights that are not finite, and standard deviations that are not positive."""
    for name, values in posterior.state_dict().items():
        if not torch.isfinite(values).all() or (name.endswith(POSITIVE) and (values <= 0).any()):
            raise ModelError(
                f"{path}: {name} contains values that are not finite or not positive. "
                f"{MODEL.remedy}"
            )


def _ranges(arrays: dict) -> dict[str, TrainingRange | RangeOfBands | QuiescentClass]:
    """Return the training range of each part of the features."""
    parts: dict[str, dict] = {}
    for name, array in arrays.items():
        # Training galaxies of a model with missing bands may lack some.
        part, _, field = name.partition(".")
        if np.isinf(array).any() or (np.isnan(array).any() and f"{part}.training" not in arrays):
            raise ValueError(f"{name} is not finite")
        parts.setdefault(part, {})[field] = array
    kinds = {"offset": QuiescentClass, "training": RangeOfBands, "centre": TrainingRange}
    return {
        part: next(kinds[field] for field in kinds if field in found)(**found)
        for part, found in parts.items()
    }
