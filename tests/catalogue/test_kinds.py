"""Whole kinds of faults, each over a registry that later additions must join."""

import ast
import contextlib
import importlib
import inspect
import os
import pkgutil
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Column, Table
from conftest import toy_survey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

pytest.importorskip("dask")

import galcfm
from galcfm import Posterior, Survey
from galcfm.catalogue import CatalogueError, command, infer_catalogue, inference, sources
from galcfm.catalogue.files import RESULT
from galcfm.catalogue.partitions import infer_partition
from galcfm.catalogue.plan import make_plan
from galcfm.catalogue.results import complete_result
from galcfm.catalogue.sources import find_source
from galcfm.figures import explorer, style
from galcfm.posterior import ModelError
from galcfm.posterior.summaries import SUMMARY_FORMATS, save_summaries, summarise
from galcfm.properties import MAGNITUDES, Declaration, Embedding
from galcfm.sdss.cutouts import Ledger
from galcfm.stored_posteriors import (
    LogDensities,
    load_densities,
    load_posteriors,
    save_densities,
    save_posteriors,
)
from galcfm.survey import SurveyError
from galcfm.survey.cutouts import CutoutFolder
from galcfm.survey.disk import read_description
from galcfm.survey.embeddings import Embeddings
from galcfm.survey.intake import storable
from galcfm.survey.tables import read_table

TOLD = {"unit": "AB", "total": True, "dereddened": True}
FEW = {"n_samples": 4, "steps": 1, "progress": False}
ROOT = Path(__file__).resolve().parents[2]
WHOLE = {"state": "finished", "identity": {}, "made": {}}
NETWORK = {"width": 8, "depth": 1}
KIND = r"Path \| str|str \| Path|PathLike"
OFTEN = settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


def galaxies(n: int = 4) -> pd.DataFrame:
    return toy_survey(n, seed=5, images=False).catalogue[["object_id", "ra", "dec", *MAGNITUDES]]


class Things:
    """What doors take besides a path, made once."""

    def __init__(self, folder: Path):
        import torch

        torch.manual_seed(0)
        self.survey, pictured = toy_survey(30, images=False), toy_survey(30)
        self.model = Posterior("magnitudes", network=NETWORK)
        self.model.fit_standardisation(self.survey.split("train"))
        self.model.fit_range(self.survey.split("train"), self.survey.split("validation"))
        self.model.eval()
        self.posteriors = self.model.infer(self.survey, n_samples=4, steps=1, progress=False)
        self.summaries = summarise(self.posteriors)
        self.densities = {"photometry": LogDensities(*np.zeros((4, 3)))}
        self.table, self.saved, self.results = folder / "t.parquet", folder / "m", folder / "r"
        galaxies().to_parquet(self.table)
        self.model.save(self.saved)
        encoder = {"n_features": 4, "widths": [4], "crop": 64, "bin_factor": 8}
        image = Posterior("magnitudes", network=NETWORK, encoder=encoder)
        image.fit_standardisation(pictured.split("train"))
        image.save(folder / "image")
        self.image = folder / "image"
        declared = Declaration(embeddings=[Embedding("image", "AION-1", 2)])
        embedded = Posterior("magnitudes", network=NETWORK, declaration=declared)
        embedded.save(folder / "embedded")
        self.embedded = folder / "embedded"
        self.survey_folder = folder / "s"
        self.survey.save(self.survey_folder)
        self.n = 0

    def infer(self, source=None, model=None, destination=None, **options):
        self.n += 1
        model = self.saved if model is None else model
        source = self.table if source is None else source
        destination = self.results / str(self.n) if destination is None else destination
        return infer_catalogue(model, source, destination, **TOLD, **FEW, **options)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return Things(tmp_path_factory.mktemp("things"))


# Paths -------------------------------------------------------------------------------------------


def _trained(things, path):
    from galcfm.training import TrainingSettings, train

    model, wanted = Posterior("magnitudes", network=NETWORK), TrainingSettings(max_epochs=1)
    train(model, things.survey, path, wanted, progress=False)


def _recipe(things, path):
    from galcfm.training import Recipe, train_models

    recipe = Recipe.of({"recipe": "rehearsal", "max_epochs": 1, "width": 8})
    train_models(things.survey, path, recipe, ["photometry"], progress=False)


def _simulated(things, path, call=None):
    from galcfm.simulate import making

    def stop(*_):
        raise ValueError(f"{path}: nothing is drawn here")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(making, "check_size", stop)
        (call or making.simulate_survey)(path, 3, 1)


def _there(make, path):
    """Make a file that is then read by its name; names that no file can have make none."""
    with contextlib.suppress(OSError, ValueError):
        make(path)
    return path


def _table(things, path):
    return _there(lambda p: Path(p).write_bytes(things.table.read_bytes()), f"{path}.parquet")


def _vectors(path):
    return _there(lambda p: np.save(p, np.ones((4, 2))), f"{path}.npy")


def _cutouts(things, path):
    things.infer(model=things.image, cutouts=_there(os.mkdir, path), pixel_scale=0.396)


def _figure():
    from matplotlib.figure import Figure

    return Figure()


def _run(*words):
    """Call the command, whose messages are then those of the exception."""
    words = [str(word) for word in words]
    code = command.main(words)
    if code not in (0, 3):
        raise ValueError(f"the command ended with {code}")


def _infer_words(things, source=None, model=None, out=None, *more):
    things.n += 1
    where = ["--model", things.saved if model is None else model]
    where += ["--out", things.results / str(things.n) if out is None else out]
    few = ["--samples", 4, "--steps", 1, "--quiet", "--unit", "AB", "--total", "--dereddened"]
    # A name that begins with a dash is no option behind two of them.
    return ["infer", *where, *few, *more, "--", things.table if source is None else source]


MAKER = ("--embedding-model", "image=AION-1")
SMALL = ("--models", "photometry", "--recipe", "rehearsal", "--set", "width=8")


def _simulated_by_command(things, path):
    _simulated(things, path, lambda *_: _run("simulate", "--galaxies", 3, "--out", path))


# Each door that takes a path, by the function and its argument, or the command and its.
DOORS = {
    "catalogue.inference.infer_catalogue:source": lambda t, p: t.infer(_table(t, p) if p else p),
    "catalogue.inference.infer_catalogue:model": lambda t, p: t.infer(model=p),
    "catalogue.inference.infer_catalogue:destination": lambda t, p: t.infer(destination=p),
    "catalogue.inference.infer_catalogue:cutouts": _cutouts,
    "figures.explorer.write_explorer:folder": lambda t, p: explorer.write_explorer(
        {"galaxies": [], "models": []}, {}, [], p
    ),
    "figures.explorer.write_explorer_of_run:run": lambda t, p: explorer.write_explorer_of_run(
        p, t.saved, t.results
    ),
    "figures.style.save:path": lambda t, p: style.save(_figure(), p),
    "json_files.JsonFile.write:path": lambda t, p: RESULT.write(p, WHOLE),
    "posterior.files.save:folder": lambda t, p: t.model.save(p),
    "posterior.files.load:folder": lambda t, p: Posterior.load(p),
    "posterior.summaries.save_summaries:path": lambda t, p: save_summaries(
        t.summaries, f"{p}.ecsv" if p else p
    ),
    "sdss.cutouts.Ledger.__init__:path": lambda t, p: Ledger(p),
    "simulate.making.simulate_survey:folder": _simulated,
    "stored_posteriors.save_posteriors:path": lambda t, p: save_posteriors(t.posteriors, p),
    "stored_posteriors.load_posteriors:path": lambda t, p: load_posteriors(p),
    "stored_posteriors.save_densities:path": lambda t, p: save_densities(
        t.densities, f"{p}.npz" if p else p
    ),
    "stored_posteriors.load_densities:path": lambda t, p: load_densities(p),
    "survey.cutouts.CutoutFolder.__init__:folder": lambda t, p: CutoutFolder(p),
    "survey.datasets.from_datasets:source": lambda t, p: Survey.from_datasets(
        _there(os.mkdir, p), local_files_only=True
    ),
    "survey.datasets.to_datasets:folder": lambda t, p: t.survey.to_datasets(p),
    "survey.disk.SurveyWriter.__init__:folder": lambda t, p: t.survey.save(p),
    "survey.disk.read_description:folder": lambda t, p: read_description(p),
    "survey.survey.Survey.load:folder": lambda t, p: Survey.load(p),
    "survey.tables.read_table:path": lambda t, p: read_table(_table(t, p) if p else p),
    "survey.intake.survey_of_table:table": lambda t, p: Survey.from_table(
        _table(t, p) if p else p, **TOLD
    ),
    "survey.embeddings.Embeddings.__init__:source": lambda t, p: Survey.from_table(
        galaxies(), **TOLD, embeddings={"image": Embeddings(_vectors(p) if p else p, "AION-1")}
    ),
    "training.posterior_training.train:folder": _trained,
    "training.recipes.train_models:folder": _recipe,
    "infer:source": lambda t, p: _run(*_infer_words(t, _table(t, p) if p else p)),
    "infer:model": lambda t, p: _run(*_infer_words(t, None, p)),
    "infer:destination": lambda t, p: _run(*_infer_words(t, None, None, p)),
    "infer:cutouts": lambda t, p: _run(
        *_infer_words(t, None, t.image, None, "--cutouts", p, "--pixel-scale", 0.396)
    ),
    "infer:sources": lambda t, p: _run(
        *_infer_words(t, None, t.embedded, None, *MAKER, "--embedding", f"image={p}")
    ),
    "infer:scheduler": lambda t, p: _run(
        *_infer_words(t, None, None, None, "--scheduler", f"{p}.json" if p else p)
    ),
    "simulate:folder": _simulated_by_command,
    "train:survey": lambda t, p: _run("train", "--out", t.results, "--", p),
    "train:out": lambda t, p: _run("train", t.survey_folder, *SMALL, "--quiet", "--out", p),
    "show:folder": lambda t, p: _run("show", "--", p),
}
# Arguments that look like paths of users, and why they are none or are checked elsewhere.
INSIDE = {
    "catalogue.sources.stamp_of:path": "takes what find_source found",
    "figures.explorer.write_explorer_of_run:survey": "goes to Survey.load",
    "figures.explorer.write_explorer_of_run:folder": "goes to write_explorer",
    "paths.replacing:path": "is the end of each writer",
    "paths.damage_in_a_sentence:path": "names it",
    "paths.require_disk_space:folder": "takes what was checked",
    "paths.disk_errors_in_a_sentence:path": "names it",
    "paths.user_path:path": "is the check",
    "json_files.JsonFile.read:path": "takes what a door has checked",
    "posterior.files.known_by:folder": "takes what infer and show have checked",
    "posterior.published.model_folder:name": "is the beginning of Posterior.load",
    "posterior.hub.write_card:folder": "takes the folder of push_to_hub",
    "sdss.catalogue.fetch_catalogue:folder": "needs a server; checked first",
    "sdss.making.download_survey:folder": "needs a server; checked first",
    "sdss.making._require_parameters:folder": "takes what was checked",
    "sdss.making.make_survey:folder": "goes to SurveyWriter",
    "survey.survey.Survey.save:folder": "is SurveyWriter",
}
# Texts that the command takes and that are no paths.
NO_PATHS = {
    "infer": {"unit", "columns", "makers", "cutout_bands", "cutout_unit"},
    "simulate": {"instrument"},
    "show": {"object_id"},
}
NO_PATHS |= {"train": {"models", "recipe", "values"}}


def arguments_that_are_paths() -> set[str]:
    found = set()
    for known in pkgutil.walk_packages(galcfm.__path__, "galcfm."):
        module = importlib.import_module(known.name)
        own = [x for x in vars(module).values() if getattr(x, "__module__", "") == known.name]
        functions = [x for x in own if inspect.isfunction(x)]
        for kind in (x for x in own if inspect.isclass(x)):
            functions += [getattr(kind, name) for name in vars(kind) if name != "__class__"]
        for function in (x for x in functions if inspect.isfunction(x) or inspect.ismethod(x)):
            for argument in inspect.signature(function).parameters.values():
                if {"Path | str", "str | Path", "PathLike"} & set(re.findall(KIND, str(argument))):
                    place = function.__module__.removeprefix("galcfm.")
                    found.add(f"{place}.{function.__qualname__}:{argument.name}")
    for name, one in command.commands.commands.items():
        texts = {o.name for o in one.params if isinstance(o.type, click.types.StringParamType)}
        texts |= {o.name for o in one.params if isinstance(o.type, click.Path | click.Choice)}
        texts |= {o.name for o in one.params if "Path" in repr(o.type)}
        found |= {f"{name}:{text}" for text in texts - NO_PATHS.get(name, set())}
    return found


def test_every_door_is_in_the_registry():
    found = arguments_that_are_paths()
    assert found - set(DOORS) - set(INSIDE) == set()
    # These say nothing of the kind of their argument.
    silent = {"catalogue.inference.infer_catalogue:source", "survey.intake.survey_of_table:table"}
    silent |= {"survey.embeddings.Embeddings.__init__:source"}
    assert set(INSIDE) | set(DOORS) <= found | silent | {"survey.datasets.from_datasets:source"}


def one_sentence(things, door, name, told) -> None:
    """Check that a door takes a path, or refuses it in one sentence that names it."""
    refused = None
    try:
        DOORS[door](things, name)
    except (ValueError, OSError, RuntimeError) as error:
        refused = error
    printed = told()
    if refused is not None:
        is_command = str(refused).startswith("the command ended")
        sentence = printed if is_command else str(refused)
        assert not isinstance(refused, UnicodeError)
        assert not is_command or len(sentence.splitlines()) == 1
        said = (name, repr(name)[1:-1], ascii(name)[1:-1], " ".join(name.splitlines()))
        assert any(part[:40].strip() in sentence for part in said), sentence


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """An empty working folder, in a folder that stays empty otherwise."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["", "a\0b", "gal\udcff", "x" * 300, "~nobody-of-this-name/x"])
def test_a_path_that_is_none_is_refused(things, here, capsys, door, name):
    with pytest.raises((ValueError, OSError, RuntimeError)) as refused:
        DOORS[door](things, name)
    sentence = str(refused.value)
    if sentence.startswith("the command ended"):
        sentence = capsys.readouterr().err
        assert len(sentence.splitlines()) == 1
    assert "cannot be used" in sentence
    assert repr(name)[1:-1][:40] in sentence
    assert sorted(p.name for p in here.iterdir()) == ["here", "home"]
    # What was made here for a door has the name that is refused.
    assert not [p.name for p in (here / "here").iterdir() if not p.name.startswith(name or "x")]


NAMES = st.text(
    st.one_of(
        st.sampled_from("[]*?~ -'\"#%&{}()=+,;\n\t\\$!.…"),
        st.characters(exclude_characters="/\0", codec="utf-8"),
        st.characters(categories=["Cs"]),
    ),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip(". \n\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"))


@OFTEN
@example("survey.intake.survey_of_table:table", "a[1]b")
@example("infer:source", "-dash [x]*?")
@example("infer:destination", "two\nlines")
@given(st.sampled_from(sorted(DOORS)), NAMES)
def test_any_name_is_taken_or_refused_in_a_sentence(things, here, capsys, door, name):
    one_sentence(things, door, name, lambda: capsys.readouterr().err.strip())
    # A name that a shell gives as it is leads nowhere else.
    assert sorted(p.name for p in here.iterdir()) == ["here", "home"]


# Sources that are left out -----------------------------------------------------------------------


def _image(path):
    fits.writeto(path, np.zeros((4, 4)))


def _pictures(path):
    import h5py

    with h5py.File(path, "w") as file:
        file["image_array"] = np.zeros((2, 8, 8, 3), np.uint8)
        file["object_id"] = ["a", "b"]


# Files beside tables, by their names, and why each is left out.
BESIDE = {
    "frame-i.fits": (_image, "contains images and no table"),
    "frame.fits.gz": (_image, "contains images and no table"),
    "cutouts.h5": (_pictures, "contains images and no table"),
    "empty.parquet": (lambda p: galaxies()[:0].to_parquet(p), "has no rows"),
    "README.txt": (lambda p: Path(p).write_text("", encoding="utf-8"), "not an ending of a table"),
    "NOTES": (lambda p: Path(p).write_text("", encoding="utf-8"), "no ending is not an ending"),
    "_old.parquet": (lambda p: galaxies().to_parquet(p), "begins with . or _"),
    "post/dataset/a.parquet": (lambda p: galaxies().to_parquet(p), "it belongs to the result"),
    "gal\udcff.csv": (lambda p: Path(p).write_text("", encoding="utf-8"), "not UTF-8"),
}
# What a folder holds that is no source, and goes unnamed.
UNNAMED = ("_metadata", ".DS_Store", "_SUCCESS")


# Tables, some in folders that have names as files have.
TABLES = ["a.parquet", "b.csv", "c.fits", "d.parquet/part.0.parquet", "e/f [1].parquet"]
READ = settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Path:
    """A folder with each table and each file beside tables."""
    folder = tmp_path_factory.mktemp("pieces")
    for name in (*TABLES, *BESIDE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make = BESIDE[name][0] if name in BESIDE else _table_of
        make(folder / name)
    return folder


def _table_of(path):
    table = Table.from_pandas(galaxies())
    table.write(path, format={".csv": "ascii.csv"}.get(path.suffix))


@READ
@given(
    st.sets(st.sampled_from(TABLES), min_size=1),
    st.sets(st.sampled_from(sorted(BESIDE))),
    st.sets(st.sampled_from(UNNAMED)),
    st.sampled_from(["", "*", "**"]),
)
def test_what_is_left_out_is_named(pieces, tmp_path_factory, tables, beside, unnamed, pattern):
    folder = tmp_path_factory.mktemp("left")
    for name in (*tables, *beside):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(pieces / name, folder / name)
    for name in unnamed:
        (folder / name).touch()
    found = find_source(folder / pattern, folder / "post", 3)
    told = "\n".join(found.left_out)
    # A name that a pattern matches is not hidden from it.
    named = beside - {"_old.parquet"} if pattern else beside
    read = {str(folder / name) for name in {*tables, *(beside - named)}}
    assert {partition.file for partition in found.partitions} == read
    assert all(BESIDE[name][1] in told for name in named)
    assert not any(name in told for name in UNNAMED if not pattern)
    if len(named) == 1:
        assert all(storable(str(folder / name)) in told for name in named)
    if found.rows is not None:
        assert found.rows == 4 * len(read)


def test_the_registry_holds_all_reasons_to_leave_a_file_out():
    """Whatever `_why_not` and `_count` say has a file in `BESIDE`."""
    tree = ast.parse(inspect.getsource(sources._why_not)).body[0]
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value]
    said = {text.strip() for text in texts if isinstance(text, str) and " " in text.strip()}
    said -= {ast.get_docstring(tree, clean=False)}
    shown = [reason for _, reason in BESIDE.values()]
    for reason in {*said, *sources.USELESS.values()}:
        assert any(each in reason or reason in each for each in shown), reason
    assert set(sources.USELESS) == {0, sources.NO_TABLE}


def test_what_is_left_out_is_named_with_the_result(things, pieces):
    made = things.infer(source=pieces)
    # The result is elsewhere here.
    assert (made.used, made.failed) == (4 * len(TABLES) + 4, {})
    reasons = {reason for _, reason in BESIDE.values()} - {"it belongs to the result"}
    assert all(reason in "\n".join(made.left_out) for reason in reasons)


def test_rows_of_a_file_that_left_are_kept_until_it_is_back(things, tmp_path):
    for k, name in enumerate("ab"):
        galaxies()[2 * k : 2 * k + 2].to_parquet(tmp_path / f"{name}.parquet")
    out = tmp_path / "out"
    things.infer(source=tmp_path / "*.parquet", destination=out)
    before = {path: path.read_bytes() for path in (out / "dataset").iterdir()}
    (tmp_path / "a.parquet").rename(tmp_path / "away")
    for _ in range(2):
        made = things.infer(source=tmp_path / "*.parquet", destination=out)
        assert list(made.table()["object_id"]) == list(galaxies()["object_id"][2:])
        assert "a.parquet is no longer in the source" in "".join(made.left_out)
    assert len(list(out.rglob("*.gone"))) == 3
    (tmp_path / "away").rename(tmp_path / "a.parquet")
    made = things.infer(source=tmp_path / "*.parquet", destination=out)
    assert (made.used, made.left_out, list(out.rglob("*.gone"))) == (4, (), [])
    assert before == {path: path.read_bytes() for path in (out / "dataset").iterdir()}


def test_partitions_that_are_inferred_again_are_counted(things, tmp_path):
    galaxies().to_parquet(tmp_path / "a.parquet")
    for size, told in ((2, ()), (3, ("2 partitions are inferred again",)), (3, ())):
        options = {"rows_a_partition": size, "destination": tmp_path / "out"}
        made = things.infer(source=tmp_path / "a.parquet", **options)
        assert [words[:31] for words in made.left_out] == list(told)


def test_a_thumbnail_of_hats_is_no_second_source(things, tmp_path):
    lsdb = pytest.importorskip("lsdb")
    frame = galaxies(12)
    catalogue = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec")
    catalogue.write_catalog(tmp_path / "hats", catalog_name="toy", progress_bar=False)
    (place,) = (tmp_path / "hats").glob("toy/dataset")
    frame[:3].to_parquet(place / "data_thumbnail.parquet")
    assert things.infer(source=tmp_path / "hats").used == 12


# Empty results -----------------------------------------------------------------------------------


def _unreadable(things, folder):
    """Infer a table whose first rows alone are whole."""
    path = folder / "cut.csv"
    galaxies().to_csv(path, index=False)
    with pytest.MonkeyPatch.context() as patched:
        read = inference.infer_partition
        failed = {"partition": "cut.csv", "failed": "not read"}
        patched.setattr(inference, "infer_partition", lambda *a: failed if a else read(*a))
        return things.infer(source=path, destination=folder / "out")


def _unusable(things, folder):
    galaxies().assign(mag_u=-9999.0).to_parquet(folder / "bad.parquet")
    return things.infer(source=folder / "bad.parquet", destination=folder / "out")


def _some(things, folder):
    frame = galaxies()
    frame.loc[1, "mag_u"] = -9999.0
    frame.to_parquet(folder / "some.parquet")
    return things.infer(source=folder / "some.parquet", destination=folder / "full")


def _saved(table, folder, ending):
    save_summaries(table, path := folder / f"{len(table)}{ending}")
    return Table.read(path, format=SUMMARY_FORMATS[ending])


# What can be empty: a full result and empty ones, each a function of things and a folder.
RESULTS = {
    "table": (lambda t, f: _some(t, f).table(), lambda t, f: _unreadable(t, f).table()),
    "table of rejected": (lambda t, f: _some(t, f).table(), lambda t, f: _unusable(t, f).table()),
    "rejected_rows": (
        lambda t, f: _some(t, f).rejected_rows(),
        lambda t, f: t.infer(destination=f / "out").rejected_rows(),
    ),
    "rejected_rows of nothing": (
        lambda t, f: _some(t, f).rejected_rows(),
        lambda t, f: _unreadable(t, f).rejected_rows(),
    ),
    "rejected of a survey": (
        lambda t, f: Survey.from_table(galaxies().replace({"toy-5-1": ""}), **TOLD).rejected,
        lambda t, f: Survey.from_table(galaxies(), **TOLD).rejected,
    ),
    "summaries": (
        lambda t, f: summarise(t.posteriors).to_pandas(),
        lambda t, f: summarise(t.none).to_pandas(),
    ),
}
RESULTS |= {
    f"saved summaries {ending}": (
        lambda t, f, e=ending: _saved(t.summaries, f, e).to_pandas(),
        lambda t, f, e=ending: _saved(summarise(t.none), f, e).to_pandas(),
    )
    for ending in SUMMARY_FORMATS
}


@pytest.mark.parametrize("name", RESULTS)
def test_an_empty_result_has_the_columns_and_kinds_of_a_full_one(things, tmp_path, name):
    things.none = things.posteriors.isel(object_id=slice(0, 0))
    full, empty = (make(things, tmp_path) for make in RESULTS[name])
    assert len(full) > 0 == len(empty)
    assert list(empty.columns) == list(full.columns)
    assert empty.dtypes.map(str).to_dict() == full.dtypes.map(str).to_dict()


KINDS_OF_RESULTS = ["table", "rejected_rows", "survey", "summaries", *SUMMARY_FORMATS]


@pytest.fixture(scope="module")
def fulls(things, tmp_path_factory):
    """A result of each kind with a good and a bad row."""
    place = tmp_path_factory.mktemp
    return {k: _of_rows(things, place("full"), ["good", "bad"], k) for k in KINDS_OF_RESULTS}


@pytest.fixture
def without_fsync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)


@READ
@given(st.lists(st.sampled_from(["good", "bad"]), max_size=4), st.sampled_from(KINDS_OF_RESULTS))
def test_any_number_of_rows_gives_the_same_columns(
    things, fulls, without_fsync, tmp_path_factory, rows, kind
):
    """However many rows are good or bad, also none of either."""
    found, full = _of_rows(things, tmp_path_factory.mktemp("rows"), rows, kind), fulls[kind]
    assert len(found) == rows.count("bad" if kind in ("rejected_rows", "survey") else "good")
    assert list(found.columns) == list(full.columns)
    assert found.dtypes.map(str).to_dict() == full.dtypes.map(str).to_dict()


def _of_rows(things, folder, rows, kind):
    """Return a result of rows, or the rows that could not be used."""
    if kind in ("summaries", *SUMMARY_FORMATS):
        some = summarise(things.posteriors.isel(object_id=slice(0, rows.count("good"))))
        return (some if kind == "summaries" else _saved(some, folder, kind)).to_pandas()
    frame = galaxies(5)[: len(rows)]
    frame["mag_u"] = np.where(np.array(rows) == "bad", -9999.0, frame["mag_u"])
    # One more, so that a survey has a galaxy.
    more = galaxies(5)[4:].assign(object_id="more")
    if kind == "survey":
        return Survey.from_table(pd.concat([frame, more]), **TOLD).rejected
    plan, found = _planned(things, folder, frame if rows else more)
    done = {p.name: infer_partition(p, plan) for p in found.partitions if rows}
    made = complete_result(plan, done, ())
    return made.table() if kind == "table" else made.rejected_rows()


@pytest.fixture(scope="module")
def planned(things, tmp_path_factory):
    return _planned(things, tmp_path_factory.mktemp("planned"), galaxies(6))


def _planned(things, folder, frame):
    frame.to_parquet(folder / "a.parquet")
    found = find_source(folder / "a.parquet", folder / "out", 2)
    settings = {"n_samples": 4, "steps": 1, "seed": 0, "n_draws": 0}
    plan = make_plan(things.model, found, folder / "out", {}, TOLD, None, None, settings)
    return plan, found


def test_astropy_reads_an_empty_result(things, tmp_path):
    made = _unreadable(things, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (path,) = (made.folder / "dataset").glob("*.parquet")
        assert len(Table.read(path)) == 0


# Units and identifiers ---------------------------------------------------------------------------


def _as_votable(path, form):
    """The VOTable of a file: itself, or the metadata of a VOParquet file."""
    metadata = parquet.read_schema(path).metadata if form == "parquet" else {}
    return metadata.get(b"IVOA.VOTable-Parquet.content") or Path(path).read_bytes()


@pytest.mark.parametrize("ending", ["result", *SUMMARY_FORMATS])
def test_nobody_warns_of_our_units(things, tmp_path, ending):
    from io import BytesIO

    from astropy import units
    from astropy.io import votable

    path = tmp_path / f"s{ending}"
    if ending == "result":
        made = things.infer(destination=tmp_path / "out")
        (path,) = (made.folder / "dataset").glob("*.parquet")
    else:
        save_summaries(summarise(things.posteriors, things.survey), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # VOParquet has a tag of its own, and astropy writes no namespace into it.
        warnings.filterwarnings("ignore", message="(?s).*(W10: Unknown tag 'PARQUET'|W42)")
        table = Table.read(path, format=SUMMARY_FORMATS.get(ending, "parquet"))
        if path.suffix in (".parquet", ".vot"):
            content = _as_votable(path, path.suffix[1:])
            found = votable.parse(BytesIO(content), verify="warn")
            dal = pytest.importorskip("pyvo.dal")
            columns = dal.DALResults(found).to_table().columns.values()
            assert {str(c.unit) for c in columns} == {str(c.unit) for c in table.columns.values()}
        used = {column.unit for column in table.columns.values()} - {None}
        for unit in used:
            for form in ("vounit", "fits", "cds"):
                assert units.Unit(unit.to_string(form), format=form) == unit
    assert used >= {units.mag}


IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1)


@OFTEN
@example("Ωé", ".fits")
@given(IDS.map(str.strip).filter(bool), st.sampled_from(sorted(SUMMARY_FORMATS)))
def test_identifiers_come_back_or_are_refused(things, tmp_path_factory, name, ending):
    table = things.summaries[:2]
    described = {"description": "identifier", "meta": {"ucd": "meta.id;meta.main"}}
    table["object_id"] = Column([name, "b"], **described)
    table.meta["SURVEY"] = name
    path = tmp_path_factory.mktemp("ids") / f"s{ending}"
    if ending == ".fits" and not name.isascii():
        with pytest.raises(
            ModelError, match=r"row 0: FITS stores only ASCII.*\.parquet, \.ecsv, \.vot"
        ):
            save_summaries(table, path)
        return
    save_summaries(table, path)
    again = Table.read(path, format=SUMMARY_FORMATS[ending])
    assert list(again["object_id"]) == [name, "b"]


# State that calls share --------------------------------------------------------------------------


@READ
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=4))
def test_partitions_go_to_their_own_results_in_any_order(
    planned, without_fsync, tmp_path_factory, order
):
    """Three calls for the same galaxies, whose partitions two threads take as they come."""
    (plan, found), folder = planned, tmp_path_factory.mktemp("order")
    plans = {name: replace(plan, destination=folder / name) for name in "abc"}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: infer_partition(found.partitions[one[1]], plans[one[0]]), order))
    for name, own in plans.items():
        numbers = sorted({number for each, number in order if each == name})
        for kind in ("dataset", "records"):
            files = sorted(path.name for path in (own.destination / kind).glob("*"))
            ending = ".parquet" if kind == "dataset" else ".json"
            assert files == [f"{found.partitions[number].name}{ending}" for number in numbers]
        for number in numbers:
            partition = found.partitions[number]
            rows = pd.read_parquet(own.path("dataset", partition, ".parquet"))
            assert list(rows["object_id"]) == [f"toy-5-{2 * number + k}" for k in range(2)]


def test_two_clients_of_one_cluster_make_their_own_results(things, tmp_path):
    distributed = pytest.importorskip("distributed")
    galaxies(40).to_parquet(tmp_path / "g.parquet")

    def infer(name, address):
        with distributed.Client(address, set_as_default=False) as client, client.as_current():
            return things.infer(
                source=tmp_path / "g.parquet", destination=tmp_path / name, rows_a_partition=2
            )

    options = {"n_workers": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(infer, name, cluster.scheduler_address) for name in "ab"]
        for run in runs:
            assert list(run.result().table()["object_id"]) == list(galaxies(40)["object_id"])


def test_the_number_of_threads_comes_back_after_overlapping_calls():
    import torch

    from galcfm.flow import threads_given_back

    before, entered, left = torch.get_num_threads(), threading.Event(), threading.Event()

    def inner():
        with threads_given_back():
            torch.set_num_threads(1)
            entered.set()
            left.wait(10)

    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(1) as pool:
            with threads_given_back():
                torch.set_num_threads(1)
                run = pool.submit(inner)
                entered.wait(10)
            left.set()
            run.result()
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_a_survey_is_written_by_one_thread_alone(things, tmp_path):
    from galcfm.survey import SurveyWriter

    writer = SurveyWriter(tmp_path / "s", 0)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(SurveyError, match="another process or thread is making"):
            pool.submit(things.survey.save, tmp_path / "s").result()
        # The same thread, whose first attempt was interrupted, may try again.
        SurveyWriter(tmp_path / "s", 0)
        writer.finish(things.survey.catalogue, things.survey.parameters)
        pool.submit(things.survey.save, tmp_path / "s").result()


def test_two_trainings_at_once_are_those_of_one(things, tmp_path, monkeypatch):
    import torch

    from galcfm.training import TrainingSettings, train

    seed = torch.manual_seed
    # Long enough for the other training to draw in between, if it could.
    monkeypatch.setattr(torch, "manual_seed", lambda number: (seed(number), time.sleep(0.2)))

    def weights(name, model):
        wanted = TrainingSettings(max_epochs=1)
        made = train(model, things.survey, tmp_path / name, wanted, progress=False)
        return torch.cat([w.flatten() for w in made.parameters()])

    models = [Posterior("magnitudes", network=NETWORK) for _ in range(3)]
    alone = weights("alone", models[0])
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(weights, "ab", models[1:]):
            assert torch.equal(found, alone)


# Waits and streams -------------------------------------------------------------------------------


def test_a_worker_that_never_comes_is_not_waited_for(things, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(inference, "WORKER_WAIT", 1)
    options = {"n_workers": 0, "processes": False, "dashboard_address": None}
    with (
        distributed.Client(**options, set_as_default=False) as client,
        client.as_current(),
        pytest.raises(CatalogueError, match=r"had no worker for .* run again to resume"),
    ):
        things.infer(destination=tmp_path / "out")


def test_a_scheduler_that_does_not_answer_is_named(things, tmp_path, capsys):
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        words = _infer_words(things, None, None, None, "--scheduler", "tcp://127.0.0.1:9")
        assert command.main([str(word) for word in words]) == 1
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err.splitlines()[-1]


def run_in_shell(words, redirect="", **environment):
    line = " ".join(["exec", sys.executable, "-m", "galcfm.catalogue.command", '"$@"', redirect])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        ["bash", "-c", line, "bash", *map(str, words)], start_new_session=True, **options
    )


def test_ctrl_c_with_workers_is_one_sentence_and_ends_them(things, tmp_path):
    galaxies(400).to_parquet(tmp_path / "g.parquet")
    where = ["--model", things.saved, "--out", tmp_path / "out", "--workers", 2, "--rows", 4]
    words = ["infer", tmp_path / "g.parquet", *where, "--samples", 400, "--steps", 40]
    words += ["--quiet", "--unit", "AB", "--total", "--dereddened"]
    process = run_in_shell(words)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("out/records/[!.]*")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    # After ^C begins a new line.
    lines = [line for line in told.decode().splitlines() if line]
    # Dask may say before that the port of its dashboard is in use.
    (first,) = (k for k, line in enumerate(lines) if line.startswith("dashboard: "))
    assert lines[first + 1 :] == ["galcfm: interrupted: repeat the call to resume"]
    end = time.monotonic() + 30
    while (
        subprocess.run(["pgrep", "-g", str(process.pid)], stdout=subprocess.DEVNULL).returncode == 0
    ):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.1)


def test_no_bar_is_shown_where_stderr_is_closed():
    """As in programs with windows: tqdm would write to None."""
    for path in Path(galcfm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm":
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options["disable"].startswith("no_bar("), f"{path}, line {node.lineno}"


@pytest.mark.parametrize("redirect", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", sorted(command.commands.commands))
def test_every_command_works_with_closed_streams(things, tmp_path, name, redirect):
    few = ["--samples", 4, "--steps", 1, "--unit", "AB", "--total", "--dereddened"]
    out = tmp_path / "out"
    words = {
        "infer": ["infer", things.table, "--model", things.saved, "--out", out, *few],
        "train": ["train", things.survey_folder, "--out", out, *SMALL],
        "simulate": ["simulate", "--out", things.survey_folder, "--galaxies", 3],
        "show": ["show", things.survey_folder],
    }[name]
    process = run_in_shell(words, redirect)
    process.communicate(timeout=120)
    # The folder of the survey holds another one, which is refused.
    assert process.returncode == (1 if name == "simulate" else 0)
    assert name not in ("infer", "train") or any((tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_a_terminal_cannot_print_is_replaced(tmp_path, encoding):
    import json

    (tmp_path / "inference.json").write_text(
        json.dumps({"state": "finished", "identity": {"⋆": "Ωé"}, "made": {}}, ensure_ascii=False),
        encoding="utf-8",
    )
    process = run_in_shell(["show", tmp_path], PYTHONIOENCODING=encoding)
    shown, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, b"")
    assert b'"?": "?' in shown
