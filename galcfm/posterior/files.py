"""A model as a folder: its weights, its training range and their description.

Arrays are written as safetensors and the description as JSON: nothing is unpickled.
"""

import json
import os
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as arrays_bytes
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes

from galcfm.paths import MODEL_FILES, replacing, require_own_files, write_json
from galcfm.posterior.inputs import ModelError
from galcfm.posterior.training_range import RangeOfBands, TrainingRange
from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.provenance import provenance

__all__ = ["read_model", "require_own_model", "write_model"]

SCHEMA_VERSION = 1


def require_own_model(folder: Path) -> None:
    """Refuse a folder that holds anything but a model and its training, before any work.

    Raises:
        ModelError: The folder holds a file that galcfm did not write; the message names it.
    """
    require_own_files(folder, MODEL_FILES, "a model", ModelError)
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present & set(MODEL_FILES) and not present & {"model.json", "checkpoint.pt"}:
        raise ModelError(
            f"{folder} holds {', '.join(sorted(present))} but neither model.json nor checkpoint.pt:"
            " it is no model of galcfm; move it away, or name another folder"
        )
    for name, read, part in (
        ("model.json", _description, "architecture"),
        ("checkpoint.pt", _checkpoint, "identity"),
    ):
        try:
            own = name not in present or part in read(folder / name)
        # A stranger's file may break its reader in any way.
        except Exception:
            own = False
        if not own:
            raise ModelError(
                f"{folder / name} is damaged, or not one that galcfm wrote: move it away, or name "
                "another folder"
            )


def _description(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _checkpoint(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def write_model(posterior, folder: Path | str) -> None:
    """Write a model to a folder: `Posterior.save`."""
    folder = Path(os.path.realpath(folder))
    require_own_model(folder)
    arrays = {
        f"{part}.{field.name}": getattr(known, field.name)
        for part, known in posterior.ranges.items()
        for field in fields(known)
    }
    description = {
        "schema_version": SCHEMA_VERSION,
        "properties": list(PROPERTY_NAMES),
        "bands": list(BANDS),
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


def read_model(cls, folder: Path | str):
    """Read the model of a folder, on the CPU: `Posterior.load`, whose class is `cls`."""
    folder = Path(folder)
    for name in ("model.json", "model.safetensors"):
        if not (folder / name).exists():
            raise ModelError(
                f"{folder / name} is missing: no model there; notebook 02_training makes one"
            )
    description = _checked_description(folder / "model.json")
    try:
        posterior = cls(**description["architecture"])
        posterior.load_state_dict(load_file(folder / "model.safetensors"))
        if (folder / "range.safetensors").exists():
            parts: dict[str, dict] = {}
            for name, array in load_arrays(folder / "range.safetensors").items():
                part, _, field = name.partition(".")
                parts.setdefault(part, {})[field] = array
            posterior.ranges = {
                part: (RangeOfBands if "training" in found else TrainingRange)(**found)
                for part, found in parts.items()
            }
    except SafetensorError as error:
        raise ModelError(
            f"the weights in {folder} are not whole ({error}): fetch or train the model again"
        ) from error
    except (TypeError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{folder / 'model.safetensors'} and the architecture in model.json do not "
            f"belong together: train the model again ({error})"
        ) from error
    posterior.metadata = description["metadata"]
    return posterior


def _checked_description(path: Path) -> dict:
    try:
        description = _description(path)
        found = description.get("schema_version")
        made_of = [description[name] for name in ("properties", "bands")] if found else []
    except (ValueError, AttributeError, KeyError) as error:
        raise ModelError(
            f"{path} is not one that galcfm wrote, or not whole: fetch or train the model again"
        ) from error
    if found != SCHEMA_VERSION:
        raise ModelError(
            f"{path} has schema version {found}, this galcfm reads {SCHEMA_VERSION}: train the "
            "model again"
        )
    if made_of != [list(PROPERTY_NAMES), list(BANDS)]:
        raise ModelError(
            f"{path} is a model of {made_of[0]} from {made_of[1]}, not of {list(PROPERTY_NAMES)} "
            f"from {list(BANDS)}"
        )
    return description
