"""A model as a folder: its weights, its training range and their description.

Arrays are written as safetensors and the description as JSON: nothing is unpickled.
"""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as arrays_bytes
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes

from galcfm.paths import MODEL_FILES, replacing, require_own_files, write_json
from galcfm.posterior.inputs import ModelError, default_device
from galcfm.posterior.published import model_folder
from galcfm.posterior.training_range import RangeOfBands, TrainingRange
from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.provenance import provenance

MADE_BY = {"schema_version": 1, "properties": list(PROPERTY_NAMES), "bands": list(BANDS)}


def require_own_model(folder: Path) -> None:
    """Refuse a folder that holds anything but a model and its training, before any work.

    Raises:
        ModelError: The folder holds a file that galcfm did not write; the message names it.
    """
    require_own_files(folder, MODEL_FILES, "a model", ModelError)
    found = [path for name in MODEL_FILES if (path := folder / name).exists()]
    # What says that a model or a training is galcfm's own: one of them at least.
    marked = [path for path in found if path.name in ("model.json", "checkpoint.pt")]
    for path in marked or found:
        # A stranger's file may break its reader in any way.
        try:
            _identity(path)
        except Exception as error:
            raise ModelError(
                f"{path} is damaged, or not one that galcfm wrote: move it away, or name another "
                "folder"
            ) from error


def _identity(path: Path) -> dict:
    """Return what a model or the checkpoint of a training says of itself."""
    if path.name == "checkpoint.pt":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["identity"]
    return _description(path)["architecture"]


def _description(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def save(posterior, folder: Path | str) -> None:
    """Write `model.safetensors`, `range.safetensors` and `model.json` to `folder`.

    A model that is there is replaced once the new one is whole.

    Raises:
        ModelError: The folder holds anything but a model and its training.
        OSError: A file cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    require_own_model(folder)
    arrays = {
        f"{part}.{name}": array
        for part, known in posterior.ranges.items()
        for name, array in vars(known).items()
    }
    description = MADE_BY | {
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
        ranged.write_bytes(arrays_bytes(arrays))
        write_json(described, description)


def load(cls, folder: Path | str, device: str | torch.device | None = None):
    """Read a model.

    Arguments:
        folder: Folder that `save` wrote, or the name of a published model, e.g. `"photometry"`.
        device: Device to compute on; by default `default_device()`. Results come back to the CPU in
            any case.

    Raises:
        ModelError: A file is missing, not whole or of another schema, the weights are of another
            architecture than `model.json` says, or the device cannot be used.
    """
    folder, device = model_folder(folder), default_device(device)
    for name in ("model.json", "model.safetensors"):
        if not (folder / name).exists():
            raise ModelError(
                f"{folder / name} is missing: this is no model; notebook 02_training makes one"
            )
    try:
        description = _description(folder / "model.json")
        made_by = {name: description[name] for name in ("schema_version", "properties", "bands")}
        if made_by != MADE_BY:
            raise ModelError(
                f"{folder / 'model.json'} is a model of {made_by}, not of {MADE_BY}: train the "
                "model again"
            )
        posterior = cls(**description["architecture"])
        posterior.load_state_dict(load_file(folder / "model.safetensors"))
        posterior.metadata = description["metadata"]
        if (folder / "range.safetensors").exists():
            parts: dict[str, dict] = {}
            for name, array in load_arrays(folder / "range.safetensors").items():
                part, _, field = name.partition(".")
                parts.setdefault(part, {})[field] = array
            for part, found in parts.items():
                kind = RangeOfBands if "training" in found else TrainingRange
                posterior.ranges[part] = kind(**found)
    except ModelError:
        raise
    except (ValueError, TypeError, LookupError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the files in {folder} are not whole, or do not belong together: fetch or train the "
            f"model again ({error!r})"
        ) from error
    return posterior.to(device).eval()
