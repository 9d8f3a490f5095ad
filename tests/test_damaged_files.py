"""Files that galcfm wrote and that were damaged since: one sentence that names file and remedy.

`JSON_FILES` holds each kind of JSON file with what reads it, `OTHER_FILES` each other kind. A kind
that is added must join, see `test_every_kind_of_json_file_is_damaged_here`.
"""

import ast
import copy
import hashlib
import itertools
import json
import math
import random
import re
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import put_json, toy_survey
from PIL import Image

from book import build
from galcfm import Posterior, Survey, metrics, paths, runs, stored_posteriors
from galcfm.catalogue import CatalogueError, InferredCatalogue, command, infer_catalogue
from galcfm.catalogue.command import _address
from galcfm.catalogue.files import SCHEDULER
from galcfm.catalogue.partitions import read_record
from galcfm.catalogue.plan import make_plan
from galcfm.catalogue.results import open_result
from galcfm.catalogue.sources import find_source
from galcfm.figures.explorer import METRICS
from galcfm.json_files import KINDS
from galcfm.posterior import ModelError
from galcfm.posterior.hub import model_card
from galcfm.properties import MAGNITUDES, Declaration, Embedding
from galcfm.runs import RunError
from galcfm.sdss import CatalogueError as SkyError
from galcfm.sdss import fetch_catalogue
from galcfm.sdss.catalogue import PIECE, queries
from galcfm.survey import SurveyError, SurveyWriter
from galcfm.survey.datasets import data_card
from galcfm.survey.embeddings import Embeddings
from galcfm.training import TrainingError
from galcfm.training.loop import PARTS as CHECKPOINT_PARTS
from galcfm.training.loop import read_checkpoint, write_checkpoint
from studies import past_one_machine
from studies.frame import Place, Result, Study, Trainings
from studies.methods.contrastive import ALIGNED
from studies.paper_scale.making import SAMPLING

ROOT = Path(__file__).resolve().parent.parent
DAMAGES = 200  # of each JSON file
STUDY = Study("toy", "15_your_own_galaxies")


class Case(NamedTuple):
    """A file, what reads it, and the exceptions that its documentation names."""

    path: str
    read: object
    errors: tuple = (ValueError,)
    # Whether a damaged file is made again, or ignored, without a word.
    heals: bool = False


def shown(folder: Path) -> None:
    """Call `galcfm show`, which prints one line on stderr or describes the folder."""
    assert command.main(["show", str(folder)]) in (0, 1, 2)


def a_model(place: Path) -> None:
    shown(place / "model")
    model = Posterior.load(place / "model", "cpu")
    model_card(model, "toy")
    model.out_of_range(toy_survey(3, images=False).magnitudes)


def a_survey(place: Path) -> None:
    shown(place / "survey")
    found = Survey.load(place / "survey")
    assert found.source
    data_card(found, "toy")


def unfinished(place: Path) -> None:
    writer = SurveyWriter(place / "begun", 2, {"seed": 1})
    paths.let_go(writer._lock)


@cache
def a_plan(place: Path) -> tuple:
    """Return plan and source of the result, as `infer_catalogue` makes them."""
    source = find_source(place / "galaxies.parquet", place / "result", 20_000)
    model, settings = Posterior.load(place / "model", "cpu"), SETTINGS | {"seed": 0, "n_draws": 0}
    return make_plan(model, source, place / "result", {}, DECLARED, None, None, settings), source


def a_result(place: Path) -> None:
    shown(place / "result")
    with open_result(*a_plan(place)):
        pass


def a_record(place: Path) -> None:
    plan, source = a_plan(place)
    found = [read_record(plan, partition) for partition in source.partitions]
    assert sum(record["used"] for record in found if record) in (0, 60)


DECLARED = {"unit": "AB", "total": True, "dereddened": True}
SETTINGS = {"n_samples": 4, "steps": 1}


def sky(place: Path) -> None:
    fetch_catalogue(place / "sky", plates=(266, 266), server="http://127.0.0.1:9", attempts=0)


def a_run(place: Path) -> None:
    parameters = runs.parameter_defaults("02_training")
    runs.open_run("02_training", parameters)
    build.set_outdated_aside("02_training", parameters)


def a_study(place: Path) -> None:
    found = STUDY.read(place / "studies")
    assert found.origin
    Trainings(STUDY, Place(place / "studies", place / "a" / "b" / "work"), {}, {}, None).results()


def numbers(place: Path) -> None:
    results = METRICS.read(place / "metrics.json")
    [np.array(results[name]["galaxies"]["delta_log_p"], dtype=object) for name in MODELS]
    [results[name]["point_estimates"].items() for name in MODELS]


MODELS = ("photometry", "image")
JSON_FILES = {
    "model.json": Case("model/model.json", a_model, (ModelError,)),
    "survey.json": Case("survey/survey.json", a_survey, (SurveyError,)),
    ".verified.json": Case("survey/.verified.json", a_survey, heals=True),
    "identity.json": Case(".begun.partial/identity.json", unfinished, heals=True),
    "dataset.json": Case(
        "set/dataset.json", lambda place: Survey.from_datasets(place / "set"), (SurveyError,)
    ),
    "inference.json": Case("result/inference.json", a_result, (CatalogueError,)),
    "records/*.json": Case("result/records/*.json", a_record, heals=True),
    "plates-*.json": Case("sky/plates-*.json", sky, (SkyError,)),
    "parameters/*.json": Case("data/runs/quick/parameters/02_training.json", a_run, (RunError,)),
    "*.ipynb": Case("02.ipynb", lambda place: runs.NOTEBOOK.read(place / "02.ipynb")),
    "metrics.json": Case("metrics.json", numbers),
    "data/published/*.json": Case("studies/toy.json", a_study, (RunError, FileExistsError)),
    "*.json": Case("any.json", lambda place: build.PUBLISHED.read(place / "any.json")),
    "catalogue.json": Case(
        "catalogue.json", lambda place: past_one_machine.MEASURED.read(place / "catalogue.json")
    ),
    "benchmarks.json": Case(
        "benchmarks.json", lambda place: build.PUBLISHED.read(place / "benchmarks.json")
    ),
    "sampling.json": Case("sampling.json", lambda place: SAMPLING.read(place / "sampling.json")),
    # What Dask wrote.
    "scheduler.json": Case("scheduler.json", lambda place: _address(place / "scheduler.json")),
    "encoder-*.json": Case("encoder-1.json", lambda place: ALIGNED.read(place / "encoder-1.json")),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with a whole file of each kind."""
    place = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    survey = toy_survey(60)
    model = Posterior("magnitudes", network={"width": 4, "depth": 1})
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    model.metadata = {"settings": {"seed": 1}, "survey": "toy"}
    shares = [0.5, 0.7, 0.9]
    found = {"survey": "toy", "n": 9, "levels": shares, "coverage": {"log_sfr": shares}}
    model.metadata["evaluation"] = found
    model.eval().save(place / "model")
    vectors = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    declared = Declaration(embeddings=[Embedding("image", "AION-1", 3)])
    few = survey.select(range(4))
    few.images[..., 0] //= 2  # grey images are refused
    described = few.parameters | {"declaration": declared.content}
    few = Survey(few.catalogue, few.images, described, "few", embeddings={"image": vectors})
    np.save(place / "vectors.npy", vectors)
    found = pd.DataFrame({"object_id": few.object_id, "image": [*vectors]})
    found.to_parquet(place / "vectors.parquet")
    few.rejected = pd.DataFrame({"row": [7], "reason": ["faint"]})
    few.save(place / "survey")
    few.to_datasets(place / "set")
    frame = survey.catalogue[["object_id", "ra", "dec", *MAGNITUDES]]
    frame.to_parquet(place / "galaxies.parquet")
    how = DECLARED | SETTINGS | {"progress": False}
    infer_catalogue(place / "model", place / "galaxies.parquet", place / "result", **how)
    writer = SurveyWriter(place / "begun", 2, {"seed": 1})
    writer.note_done(writer.partial, 0)
    paths.let_go(writer._lock)
    key = hashlib.sha256("".join(queries(266, 266)).encode()).hexdigest()[:12]
    stem = f"plates-0266-0266-{key}"
    (place / "sky").mkdir()
    pd.DataFrame({"objID": [1]}).to_parquet(place / "sky" / f"{stem}.parquet")
    counts = [1] * len(PIECE.schema.__annotations__["counts"].__args__)
    PIECE.write(place / "sky" / f"{stem}.json", {"counts": counts, "sql": "SELECT"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GALCFM_DATA", str(place / "data"))
        shutil.copytree(place / "survey", paths.survey_folder("quick"))
        runs.open_run("02_training", runs.parameter_defaults("02_training"))
        paths.let_go(
            runs.record_path(paths.run_folder("quick"), "02_training").with_suffix(".lock")
        )
    shutil.copy(ROOT / "notebooks" / "02_training.ipynb", place / "02.ipynb")
    (place / "studies").mkdir()
    rows = {"row": {"seeds": {"1": {"gain": 0.5}}, "row_key": "a"}}
    STUDY.store(place / "studies", {"rows": rows, "nothing": float("nan")}, STUDY.key({}))
    draws = np.random.default_rng(0).normal(size=(6, 30, 5)) + survey.properties[:6, None]
    evaluated = metrics.evaluate(draws, survey.properties[:6], survey.properties)
    both = dict.fromkeys(MODELS, evaluated)
    METRICS.write(place / "metrics.json", both | {"comparison": metrics.compare(*both.values())})
    for name in ("catalogue.json", "benchmarks.json"):
        shutil.copy(ROOT / "data" / "published" / name, place / name)
    shutil.copy(ROOT / "data" / "published" / "cards.json", place / "any.json")
    SAMPLING.write(place / "sampling.json", {"n_samples": 4, "image": {"weights": "a"}})
    ALIGNED.write(place / "encoder-1.json", {"seconds": 1.5, "found": 0.25})
    posteriors = model.infer(few, n_samples=8, steps=1, progress=False)
    stored_posteriors.save_posteriors(posteriors, place / "posteriors_image.nc")
    densities = metrics.LogDensities(*(np.zeros(shape) for shape in (3, 3, (2, 4), (2, 4))))
    stored_posteriors.save_densities({"image": densities}, place / "densities.npz")
    pd.DataFrame({"row/1": [0.5]}).to_parquet(place / "studies" / "toy.parquet")
    (place / "pictures").mkdir()
    for k in range(2):
        Image.fromarray(few.images[k]).save(place / "pictures" / f"toy-0-{k}.png")
    content = dict.fromkeys(CHECKPOINT_PARTS, 1.5) | {"model": model.state_dict(), "epoch": 1}
    write_checkpoint(place, content | {"identity": {"seed": 1}})
    SCHEDULER.write(place / "scheduler.json", {"address": "tcp://127.0.0.1:9", "workers": {}})
    return place


# Damages -----------------------------------------------------------------------------------------

ODD = [None, True, 0, -1, 1.5, 10**30, -(10**30), math.nan, math.inf, "", "x", "é⋆", [], {}]
ODD += [[1], [[]], {"a": 1}, {"schema_version": 99}, [None], "../../etc"]


def places_in(content, place=()) -> list[tuple]:
    """Return the place of each value of a JSON content, as keys and indices."""
    items = content if isinstance(content, dict) else {}
    if isinstance(content, list):
        items = dict(enumerate(content))
    found = [place]
    for key, value in items.items():
        found += places_in(value, (*place, key))
    return found


def at(content, place):
    for key in place:
        content = content[key]
    return content


def changed(content, rng: random.Random):
    """Return the content with one value deleted, replaced, renamed or swapped with another."""
    content = copy.deepcopy(content)
    # Values that lie deep are many: choose the depth first.
    places = places_in(content)
    depth = rng.choice(sorted({len(place) for place in places}))
    places = [place for place in places if len(place) == depth]
    place = rng.choice(places)
    if not place:
        return rng.choice(ODD)
    parent, key = at(content, place[:-1]), place[-1]
    what = rng.choice(("delete", "replace", "replace", "swap", "rename"))
    if what == "delete" or (what == "rename" and isinstance(parent, list)):
        del parent[key]
    elif what == "rename":
        parent[f"{key}_"] = parent.pop(key)
    elif what == "swap":
        other = rng.choice(places)
        ours, theirs = parent[key], at(content, other)
        at(content, other[:-1])[other[-1]], parent[key] = ours, theirs
    else:
        parent[key] = copy.deepcopy(rng.choice(ODD))
    return content


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes that are cut, flipped, filled or those of something else."""
    what = rng.choice(("cut", "flip", "flip", "flip", "zero", "noise", "empty", "twice"))
    if what == "cut":
        return data[: rng.randrange(len(data))]
    if what == "empty":
        return b""
    if what == "noise":
        return rng.randbytes(rng.randrange(1, 400))
    if what == "twice":
        return data + data
    found = bytearray(data)
    for _ in range(rng.randrange(1, 9)):
        start = rng.randrange(len(found))
        if what == "flip":
            found[start] ^= 1 << rng.randrange(8)
        else:
            end = min(len(found), start + rng.randrange(1, 64))
            found[start:end] = bytes(end - start)
    return bytes(found)


WRITTEN_OTHERWISE = (
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("latin-1", "replace") + b"\xe9",
    lambda text: b"[" * 100_000,
    lambda text: b'{"a":' * 100_000,
    lambda text: text.replace("1", "1" * 5000, 1).encode(),
    lambda text: text.replace(": ", ": -", 1).encode(),
)


def damages_of_json(data: bytes, rng: random.Random):
    """Yield damaged files: other encodings first, then changed values and damaged bytes."""
    text = data.decode("utf-8")
    content = json.loads(text)
    yield from (write(text) for write in WRITTEN_OTHERWISE)
    yield from (json.dumps(odd).encode() for odd in ODD)
    while True:
        yield json.dumps(changed(content, rng)).encode()
        yield damaged_bytes(data, rng)


def is_a_sentence(path: Path, message: str) -> bool:
    """Say whether a message names the file or its folder, and what to do."""
    named = any(str(place) in message for place in (path, *path.parents[:2]))
    return named and message.rstrip(")").rstrip()[-1] not in "'," and len(message.split()) > 5


def refusals(case, whole: Path, kept: Path, rng: random.Random, damages) -> int:
    """Return how many damages of a file are refused, each in one sentence; the file is restored.

    `damages` makes damaged contents of the file's bytes.
    """
    shutil.copytree(whole, kept)
    path = min(whole.glob(case.path))
    data = path.read_bytes()
    case.read(whole)
    refused = 0
    for damaged in damages(data, rng):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged)
        try:
            case.read(whole)
        except case.errors as error:
            refused += 1
            sentence = str(error)
        else:
            continue
        assert is_a_sentence(path, sentence), f"{damaged[:300]!r}: {sentence}"
    shutil.rmtree(whole)
    shutil.copytree(kept, whole)
    return refused


@pytest.mark.parametrize("name", JSON_FILES)
def test_a_damaged_json_file_gives_one_sentence(whole, tmp_path, name, monkeypatch):
    case = JSON_FILES[name]
    monkeypatch.setattr(runs, "provenance", dict)
    monkeypatch.setenv("GALCFM_DATA", str(whole / "data"))

    def damages(data, rng):
        return itertools.islice(damages_of_json(data, rng), DAMAGES)

    refused = refusals(case, whole, tmp_path / "kept", random.Random(name), damages)
    assert refused == 0 if case.heals else refused > DAMAGES / 5, refused


def test_every_kind_of_json_file_is_damaged_here():
    """Another kind needs another line in `JSON_FILES`."""
    folders = ("galcfm", "notebooks", "book", "benchmarks")
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    calls = [
        (path, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    made = [node for _, node in calls if ast.unparse(node.func) == "JsonFile"]
    names = {ast.unparse(node.args[0]).strip("'") for node in made}
    assert {"inference.json" if name == "DESCRIPTION" else name for name in names} == set(
        JSON_FILES
    )
    assert set(KINDS) <= set(JSON_FILES)
    # Nothing else reads or writes such files: what is here writes texts, or reads a process.
    used = {
        f"{path.relative_to(ROOT)} {ast.unparse(node.func)}"
        for path, node in calls
        if re.fullmatch(r"json\.\w+", ast.unparse(node.func))
    }
    assert used <= USES_OF_JSON, used - USES_OF_JSON


USES_OF_JSON = {
    "galcfm/json_files.py json.loads",
    "galcfm/json_files.py json.dumps",
    # Texts that are hashed, shown or a script.
    "galcfm/provenance.py json.dumps",
    "galcfm/simulate/spectra.py json.dumps",
    # An attribute of netCDF, which properties.py reads.
    "galcfm/posterior/draws.py json.dumps",
    "galcfm/figures/explorer.py json.dumps",
    "galcfm/survey/datasets.py json.dumps",
    "book/findings.py json.dumps",
    # What another process of the benchmark prints.
    "benchmarks/quiescent.py json.dumps",
    "benchmarks/catalogue.py json.dumps",
    "benchmarks/catalogue.py json.loads",
    "benchmarks/run.py json.dumps",
    "benchmarks/run.py json.loads",
}


@pytest.mark.parametrize("name", ["model.json", "survey.json", "dataset.json", "metrics.json"])
def test_a_field_that_is_missing_or_of_another_type_is_named(whole, tmp_path, name):
    case = JSON_FILES[name]
    content = json.loads((whole / case.path).read_text(encoding="utf-8"))
    schema = KINDS[name].schema
    assert schema.__required_keys__
    for key in schema.__required_keys__:
        left = {k: v for k, v in content.items() if k != key}
        for changed_content, field in ((left, f"`{key}`"), (content | {key: 1.5}, f": {key}:")):
            path = put_json(tmp_path / name, changed_content)
            with pytest.raises(RunError, match=rf"{re.escape(str(path))} is damaged.*{field}"):
                KINDS[name].read(path, RunError)


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"model\.json is not written: .*`schema_version`"):
        KINDS["model.json"].write(tmp_path / "model.json", {"bands": []})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", CHECKPOINT_PARTS)
def test_a_checkpoint_without_a_part_is_refused(tmp_path, part):
    content = {name: 1 for name in CHECKPOINT_PARTS if name != part} | {"identity": {}}
    write_checkpoint(tmp_path, content)
    with pytest.raises(TrainingError, match=f"checkpoint.pt is damaged.* it has no {part}"):
        read_checkpoint(tmp_path, {}, CHECKPOINT_PARTS)


# Other files -------------------------------------------------------------------------------------


def loaded(place: Path) -> None:
    # Finite numbers that are wrong look like others.
    Posterior.load(place / "model", "cpu")


def a_set(place: Path) -> None:
    Survey.from_datasets(place / "set")


def found_rows(place: Path) -> None:
    made = InferredCatalogue(place / "result", 60, 60, 0)
    made.table()
    made.rejected_rows()
    shown(place / "result")


def a_checkpoint(place: Path) -> None:
    read_checkpoint(place, {"seed": 1}, CHECKPOINT_PARTS)


def pictures(place: Path) -> None:
    table = pd.read_parquet(place / "galaxies.parquet").iloc[:2]
    cutouts = {"cutouts": place / "pictures", "pixel_scale": 0.396}
    Survey.from_table(table, **DECLARED, **cutouts, missing_bands=False)


def of_vectors(ending: str):
    def read(place: Path) -> None:
        table = pd.read_parquet(place / "survey" / "catalogue.parquet")
        given = {"image": Embeddings(place / f"vectors.{ending}", "AION-1")}
        Survey.from_table(table, **DECLARED, embeddings=given)

    return read


OTHER_FILES = {
    "weights": Case("model/model.safetensors", loaded, (ModelError,)),
    "range": Case("model/range.safetensors", loaded, (ModelError,)),
    "images": Case("survey/images.npy", a_survey, (SurveyError,)),
    "embedding": Case("survey/embedding_image.npy", a_survey, (SurveyError,)),
    "vectors": Case("vectors.npy", of_vectors("npy"), (SurveyError,)),
    "vectors by identifier": Case("vectors.parquet", of_vectors("parquet"), (SurveyError,)),
    "catalogue": Case("survey/catalogue.parquet", a_survey, (SurveyError,)),
    "rejected rows": Case("survey/rejected.parquet", a_survey, (SurveyError,)),
    "unfinished images": Case(".begun.partial/images.npy", unfinished, (SurveyError,)),
    "unfinished blocks": Case(".begun.partial/done.txt", unfinished, (SurveyError,)),
    "data set": Case("set/data/train-00000-of-00001.parquet", a_set, (SurveyError,)),
    "result": Case("result/dataset/*.parquet", found_rows, (CatalogueError,)),
    "rejected rows of a result": Case("result/rejected/*.parquet", found_rows, (CatalogueError,)),
    "piece of the sky": Case("sky/plates-*.parquet", sky, (SkyError,)),
    "posteriors": Case(
        "posteriors_image.nc",
        lambda place: stored_posteriors.load_posteriors(place / "posteriors_image.nc"),
    ),
    "densities": Case(
        "densities.npz", lambda place: stored_posteriors.load_densities(place / "densities.npz")
    ),
    "checkpoint": Case("checkpoint.pt", a_checkpoint, (TrainingError,)),
    "table of a study": Case("studies/toy.parquet", lambda place: a_table(place), (RunError,)),
    # Its row alone is rejected.
    "picture": Case("pictures/toy-0-0.png", pictures, heals=True),
}


def a_table(place: Path) -> None:
    Result(STUDY, STUDY.path(place / "studies"), {}).table()


@pytest.mark.parametrize("name", OTHER_FILES)
def test_another_damaged_file_gives_one_sentence(whole, tmp_path, name):
    case = OTHER_FILES[name]

    def damages(data, rng):
        for _ in range(30):
            # HDF5 takes flipped bytes for numbers, or ends the process: it is only cut.
            cut = name == "posteriors"
            yield data[: rng.randrange(len(data))] if cut else damaged_bytes(data, rng)

    refused = refusals(case, whole, tmp_path / "kept", random.Random(name), damages)
    assert refused == 0 if case.heals else refused > 3
