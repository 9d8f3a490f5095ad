"""Small data that tests share. Nothing here needs a network, a GPU or real galaxies."""

import json
import os
from pathlib import Path

# Plots never open windows, and two test workers do not fight over the cores.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from drawn import all_texts, rendered
from hypothesis import settings

from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import Survey, assign_split
from studies.frame import Place

# The same examples each time, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def toy_survey(n: int, seed: int = 0, *, images: bool = True) -> Survey:
    """Galaxies whose properties are linear in the magnitudes and in one feature of the image.

    The image is a flat patch whose brightness is the latent that the magnitudes do not hold, so an
    image model can learn what a photometry model cannot.
    """
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, 6))
    properties = np.array([10.0, 0.0, 8.9, 1.4, 0.8]) + 0.2 * (
        latent[:, :5] + 0.5 * rng.standard_normal((n, 5))
    )
    properties[:, 4] += 0.4 * latent[:, 5]
    magnitudes = np.array([18.5, 17.5, 17.0, 16.7, 16.5]) + 0.3 * latent[:, :5]
    object_id = [f"toy-{seed}-{k}" for k in range(n)]
    catalogue = pd.DataFrame(
        {
            "object_id": object_id,
            "ra": rng.uniform(0, 360, n),
            "dec": rng.uniform(-10, 60, n),
            "redshift": rng.uniform(0.02, 0.2, n),
            "ebv": rng.uniform(0, 0.1, n),
            **dict(zip(MAGNITUDES, magnitudes.T, strict=True)),
            **dict(zip(PROPERTY_NAMES, properties.T, strict=True)),
            "split": assign_split(object_id, validation=0.2, test=0.2),
        }
    )
    pictures = None
    if images:
        level = np.clip(120 + 40 * latent[:, 5], 0, 255)
        noise = rng.normal(0, 5, (n, 128, 128, 1))
        pictures = np.clip(level[:, None, None, None] + noise, 0, 255).astype(np.uint8)
        pictures = np.repeat(pictures, 3, 3)
    return Survey(catalogue, pictures, {"kind": "toy"}, "toy survey")


def learned(flow, steps, draw):
    """Train a flow on data and conditions that `draw` gives."""
    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        x_1, condition = draw()
        x_0, epsilon = torch.randn(2, 8, *x_1.shape)
        loss = flow.loss(x_1, condition, torch.rand(8, len(x_1), 1), x_0, epsilon)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return flow


def write_votable(table, path) -> None:
    """Write a VOTable of text by the Python code of astropy.

    Its C code harms the process if a row has 256 bytes; see galcfm.posterior.summaries.
    """
    from astropy.io.votable import from_table

    from_table(table).to_xml(str(path), _debug_python_based_parser=True)


def put_json(path: Path, content) -> Path:
    """Write any JSON content, whether or not galcfm would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def put_survey_json(folder: Path, sha256: str = "a", **content) -> Path:
    """Write the description of a survey whose other files are not there."""
    files = {"catalogue.parquet": {"sha256": sha256, "bytes": 1}}
    described = {"schema_version": 1, "parameters": {}, "files": files}
    return put_json(folder / "survey.json", described | content)


@pytest.fixture(scope="session")
def survey() -> Survey:
    return toy_survey(120)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """A place for a study's results, with a data folder of its own."""
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path / "data"))
    return Place(tmp_path / "found", tmp_path / "found" / "work")


@pytest.fixture
def texts_of():
    """Return a function that draws its figure and returns the texts; warnings are errors."""
    return lambda make: all_texts(rendered(make))


def pytest_collection_modifyitems(items: list[pytest.Item]):
    """The book first, as it takes longest: one worker builds it while the other does the rest."""
    items.sort(key=lambda item: item.path.name != "test_book.py")


@pytest.fixture(autouse=True)
def _one_seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def no_scheduler_left():
    """Reset Dask's scheduler after each module.

    Clients that are closed in the order in which they were opened leave the setting of the second
    one behind.
    """
    yield
    if "dask" in sys.modules:
        sys.modules["dask"].config.config.pop("scheduler", None)
