"""Nothing of the user's is lost: each writer replaces its own kind, and nothing else."""

import contextlib
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
from fnmatch import fnmatch
from functools import partial

import numpy as np
import pandas as pd
import pytest
from conftest import put_json, put_survey_json, toy_survey
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from book import build
from galcfm import Posterior, Survey, figures, paths, runs, stored_posteriors
from galcfm.metrics import LogDensities
from galcfm.properties import MAGNITUDES
from galcfm.runs import RunError
from galcfm.sdss import DownloadError, Ledger
from galcfm.simulate import simulate_survey
from galcfm.survey import SurveyWriter
from galcfm.training import TrainingSettings, train
from studies.frame import Study

SMALLEST = toy_survey(12, images=False)
REFUSED = (ValueError, OSError, RuntimeError)
DECLARED = {"total": True, "dereddened": True}


def small_model() -> Posterior:
    return Posterior("magnitudes", network={"width": 8, "depth": 1})


SMALLEST_MODEL = small_model()


@pytest.fixture(scope="module")
def few(survey):
    return survey.select(np.arange(20))


def model(survey):
    posterior = small_model()
    posterior.fit_standardisation(survey.split("train"))
    return posterior


SEEDS = itertools.count()  # the same survey would be opened, and not written
FOLDERS = {
    "Survey.save": lambda folder, survey: survey.save(folder),
    "Posterior.save": lambda folder, survey: model(survey).save(folder),
    "train": lambda folder, survey: train(
        small_model(), survey, folder, TrainingSettings(max_epochs=1), progress=False
    ),
    "simulate_survey": lambda folder, survey: simulate_survey(
        folder, 2, next(SEEDS), processes=1, progress=False, replace=True
    ),
}
FILES = {
    "posteriors.nc": lambda path, survey: stored_posteriors.save_posteriors(
        model(survey).infer(survey, n_samples=4, steps=1, progress=False), path
    ),
    "densities.npz": lambda path, survey: stored_posteriors.save_densities(
        {"image": LogDensities(*np.zeros((2, 3)), *np.zeros((2, 3, 2)))}, path
    ),
    "figure.png": lambda path, survey: figures.save(Figure(), path.with_suffix("")),
    "figure.pdf": lambda path, survey: figures.save(Figure(), path.with_suffix("")),
    "result.json": lambda path, survey: (
        Study("result", "08_what_matters").stored(path.parent, "key"),
        Study("result", "08_what_matters").store(path.parent, {}, "key"),
    ),
    "cutouts.db": lambda path, survey: Ledger(path).__exit__(),
}


@pytest.fixture(params=FOLDERS)
def write_folder(request, few):
    return lambda folder: FOLDERS[request.param](folder, few)


@pytest.fixture(params=FILES)
def write_file(request, few):
    return lambda folder: FILES[request.param](folder / request.param, few), request.param


def contents(folder):
    """All files below a folder and what is in them."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# Folders


STRANGE = ["thesis.txt", "chapters/one.txt"]  # and files of another program with our names
STRANGE += ["survey.json", "model.json", "checkpoint.pt", "images.npy"]


@pytest.mark.parametrize("name", STRANGE)
def test_a_folder_with_a_strangers_file_is_refused_by_name(write_folder, tmp_path, name):
    folder = tmp_path / "mydata"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text('{"of": "another program"}', encoding="utf-8")
    before = contents(tmp_path)
    with pytest.raises(REFUSED, match=f"mydata.*{name}"):
        write_folder(folder)
    assert contents(tmp_path) == before


def test_its_own_kind_is_replaced(write_folder, tmp_path):
    write_folder(tmp_path / "ours")
    names = set(contents(tmp_path / "ours"))
    (tmp_path / "ours" / ".DS_Store").touch()  # a file browser looked in
    write_folder(tmp_path / "ours")
    assert set(contents(tmp_path / "ours")) - {".DS_Store"} == names
    assert {p.name for p in tmp_path.iterdir()} == {"ours"}


def test_a_link_is_followed_and_stays(write_folder, tmp_path):
    """Also a link to a folder that is not there yet."""
    large, link = tmp_path / "large disk", tmp_path / "link"
    link.symlink_to(large)
    write_folder(link)
    write_folder(link)
    assert link.is_symlink()
    assert contents(large)
    (large / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(REFUSED, match=r"large disk contains thesis\.txt"):
        write_folder(link)
    assert (large / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_link_inside_is_a_strangers(write_folder, tmp_path):
    write_folder(tmp_path / "ours")
    name = next(iter(contents(tmp_path / "ours")))
    shutil.move(tmp_path / "ours" / name, tmp_path / "elsewhere")
    (tmp_path / "ours" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(REFUSED, match="which is no part of"):
        write_folder(tmp_path / "ours")
    assert (tmp_path / "elsewhere").exists()


def test_a_file_is_no_folder(write_folder, write_file, tmp_path):
    (tmp_path / "file").write_text("years of work", encoding="utf-8")
    for path, message in (("file", "is a file"), ("file/below", "part of the path is a file")):
        with pytest.raises(REFUSED, match=message):
            write_folder(tmp_path / path)
    with pytest.raises(REFUSED, match="part of the path is a file"):
        write_file[0](tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "years of work"


@pytest.mark.skipif(not os.path.ismount("/sys"), reason="needs a folder closed even to root")
def test_a_closed_folder_is_named(write_folder, write_file, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", "/sys/galcfm")
    with pytest.raises(OSError, match="/sys/galcfm/runs/quick cannot be written"):
        opened("01_data_curation")
    for write in (write_folder, write_file[0]):
        with pytest.raises(REFUSED, match="/sys/galcfm") as caught:
            write(paths.Path("/sys/galcfm"))
        remedies = ("cannot be written", "check that", "free some space")
        assert any(remedy in str(caught.value) for remedy in remedies)


def test_a_survey_is_never_gone(few, tmp_path, monkeypatch):
    """Killed between the old one's leaving and the new one's coming, the old one returns."""
    few.save(tmp_path / "ours")
    real, calls = os.replace, []

    def killed(source, target):
        if str(target).endswith("ours"):
            calls.append(source)
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        few.select(np.arange(5)).save(tmp_path / "ours")
    monkeypatch.undo()
    assert calls
    SurveyWriter(tmp_path / "ours", 0)
    assert len(Survey.load(tmp_path / "ours")) == 20
    # Killed a moment later, the new one stands and the old one is still to go.
    shutil.copytree(tmp_path / "ours", tmp_path / ".ours.replaced")
    few.select(np.arange(5)).save(tmp_path / "ours")
    assert len(Survey.load(tmp_path / "ours")) == 5
    assert not (tmp_path / ".ours.replaced").exists()


def test_what_was_rejected_is_kept(few, tmp_path):
    table = few.catalogue.assign(mag_u=np.where(np.arange(20) == 3, np.nan, few.magnitudes[:, 0]))
    survey = Survey.from_table(table, unit="AB", **DECLARED)
    survey.save(tmp_path / "kept")
    rejected = Survey.load(tmp_path / "kept").rejected
    assert rejected.to_dict() == survey.rejected.to_dict()
    assert rejected["reason"].tolist() == ["mag_u has no value"]


OUR_NAMES = ("survey.json", "catalogue.parquet", "model.json", "model.safetensors", "checkpoint.pt")
NAMES = st.one_of(
    st.sampled_from(OUR_NAMES), st.text("abcXYZ._- é", min_size=1, max_size=8)
).filter(lambda name: name.strip(". ") and not fnmatch(name, ".*.tmp*"))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=4
)


@settings(max_examples=200)
@given(tree=TREES, first=st.sampled_from([None, "survey", "model"]), second=st.booleans())
def test_whatever_a_folder_holds_nothing_of_a_stranger_goes(tree, first, second):
    """A folder of any files, over one of ours or alone: refused and as it was, or all ours."""
    writers = {"survey": SMALLEST.save, "model": SMALLEST_MODEL.save}
    name = "survey" if second else "model"
    with tempfile.TemporaryDirectory() as place:
        folder = paths.Path(place) / "mydata"
        if first:
            writers[first](folder)
        strange = []
        for path, content in tree.items():
            with contextlib.suppress(OSError):  # below a file
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                if not (folder / path).exists():
                    (folder / path).write_bytes(content)
                    strange.append(path)
        before = contents(paths.Path(place))
        try:
            writers[name](folder)
        except ValueError:
            assert contents(paths.Path(place)) == before
        else:
            assert not strange
            assert first in (None, name)
            assert len(Survey.load(folder) if second else Posterior.load(folder).property_mean)


# Files


def test_only_its_own_file_is_replaced(write_file, tmp_path):
    write, name = write_file
    write(tmp_path)
    write(tmp_path)
    assert (tmp_path / name).stat().st_size > 0
    (tmp_path / name).write_text("years of work", encoding="utf-8")
    (tmp_path / "thesis.txt").write_text("more", encoding="utf-8")
    with pytest.raises((OSError, DownloadError), match=name.replace(".", r"\.")) as caught:
        write(tmp_path)
    assert "move it away" in str(caught.value)
    assert (tmp_path / name).read_text(encoding="utf-8") == "years of work"
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "more"


def test_another_programs_database_is_no_ledger(tmp_path):
    with sqlite3.connect(tmp_path / "mine.db") as mine:
        mine.execute("CREATE TABLE notes (text)")
    before = (tmp_path / "mine.db").read_bytes()
    with pytest.raises(DownloadError, match="no ledger of cutouts"):
        Ledger(tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_bytes() == before


# Runs


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path / "data"))
    put_survey_json(paths.survey_folder("quick"))
    return tmp_path / "data"


def opened(notebook, **changes):
    return runs.open_run(notebook, runs.parameter_defaults(notebook) | changes)


@pytest.mark.parametrize("notebook", [n for n in runs.NOTEBOOKS if n in runs.OUTPUTS])
def test_a_notebook_replaces_only_what_it_left(data, notebook):
    run = data / "runs" / "quick"
    for earlier in runs.NOTEBOOKS[: runs.NOTEBOOKS.index(notebook)]:
        for name in runs.OUTPUTS.get(earlier, ()):
            put_json(run / name, {})
    name = runs.OUTPUTS[notebook][0]
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("years of work", encoding="utf-8")
    (run / "thesis.txt").write_text("more", encoding="utf-8")
    with pytest.raises(RunError, match=f"holds {name}, but {notebook} has not run there"):
        opened(notebook)
    (run / name).unlink()
    assert opened(notebook) == run
    assert (run / "thesis.txt").read_text(encoding="utf-8") == "more"


def test_what_is_set_aside_is_ours(data):
    run = opened("02_training")
    put_json(run / "image" / "model.json", {})
    (run / "image" / "thesis.txt").write_text("years of work", encoding="utf-8")
    changed = runs.parameter_defaults("02_training") | {"width": 8}
    with pytest.raises(RunError, match=r"image contains thesis\.txt, which is no part of"):
        build.set_outdated_aside("02_training", changed)
    assert (run / "image" / "thesis.txt").exists()


def test_wiping_deletes_nothing_of_a_stranger(data):
    parameters = build.profile_parameters("quick")
    run, survey = opened("02_training"), paths.survey_folder("quick")
    put_json(run / "variants" / "image-1" / "model.json", {})
    put_json(run / "outdated" / "02_training" / "prior" / "model.json", {})
    for place in (run / "thesis.txt", run / "image" / "thesis.txt", survey / "thesis.txt"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("years of work", encoding="utf-8")
        before = contents(data)
        with pytest.raises(RunError, match=r"(holds|contains) .*thesis\.txt"):
            build.wipe(parameters)
        assert contents(data) == before
        place.unlink()
    build.wipe(parameters)
    assert not run.exists()
    assert not survey.exists()


def test_wiping_leaves_the_survey_of_another_profile(data):
    survey, run = paths.survey_folder("quick"), paths.run_folder("desi")
    for folder in (survey, run / "studies" / "desi-1" / "survey"):
        put_survey_json(folder)
    build.wipe(build.profile_parameters("desi"))
    assert not run.exists()
    assert (survey / "survey.json").exists()


@pytest.mark.parametrize("name", ["../../mine", "/mine", "a/b", "", ".hidden"])
def test_names_cannot_lead_elsewhere(data, name):
    with pytest.raises(ValueError, match="use only letters, digits"):
        paths.survey_folder(name)
    if name:
        with pytest.raises(ValueError, match="use only letters, digits"):
            paths.run_folder("quick", name + "/")


def test_a_run_can_be_a_link_and_no_file(data):
    (data / "runs").mkdir()
    (data.parent / "large disk").mkdir()
    (data / "runs" / "quick").symlink_to(data.parent / "large disk")
    assert (opened("02_training") / "parameters" / "02_training.json").exists()
    assert (data / "runs" / "quick").is_symlink()
    (data / "runs" / "quick-x").write_text("years of work", encoding="utf-8")
    with pytest.raises(OSError, match="part of the path is a file"):
        opened("02_training", run="x")
    assert (data / "runs" / "quick-x").read_text(encoding="utf-8") == "years of work"


# Parameters of notebooks and calls


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("use_redshift", "no", "True or False"),
        ("augment", 0, "True or False"),
        ("max_epochs", "50", "a whole number"),
        ("max_epochs", 1.5, "a whole number"),
        ("max_epochs", True, "a whole number"),
        ("learning_rate", "1e-3", "a number"),
        ("features", 3, "text"),
        ("encoder_widths", "16, 32", "a list"),
    ],
)
def test_parameters_are_of_their_kind(data, name, value, kind):
    with pytest.raises(RunError, match=f"{name} is {value!r}: 02_training takes {kind}"):
        opened("02_training", **{name: value})
    assert not (data / "runs").exists()
    assert opened("02_training", learning_rate=1), "a whole number is a number"


@pytest.mark.parametrize("value", ["no", "False", 0, 1, None, "True"])
def test_booleans_are_booleans(few, value):
    table = partial(Survey.from_table, few.catalogue, unit="AB", **DECLARED)
    for call, names in (
        (table, ("total", "dereddened", "missing_bands")),
        (Posterior, ("use_redshift", "use_magnitude_errors")),
        (TrainingSettings, ("augment", "half_precision")),
        (partial(simulate_survey, "nowhere", 2, 1), ("label_errors", "replace")),
    ):
        for name in names:
            with pytest.raises(ValueError, match=f"{name} is {value!r}: give True or False"):
                call(**{name: value})


# Units by their looks, labels


M = np.array([[18.9, 17.6, 17.1, 16.8, 16.6], [19.5, 18.0, 17.2, 16.9, 16.7]])


UNITS = {
    "AB": lambda m: m,
    "nanomaggy": lambda m: 10 ** (9 - 0.4 * m),
    "Jy": lambda m: 3631 * 10 ** (-0.4 * m),
}


def of_table(values, unit):
    table = pd.DataFrame(values, columns=list(MAGNITUDES)).assign(
        object_id=list("abcdefgh")[: len(values)]
    )
    return Survey.from_table(table, unit=unit, **DECLARED)


@pytest.mark.parametrize(
    ("magnitudes", "unit", "declared"),
    [
        (M, "AB", "nanomaggy"),
        (M, "AB", "Jy"),
        (M, "nanomaggy", "Jy"),
        (M + 3.5, "nanomaggy", "AB"),
        (M, "Jy", "AB"),
        (M, "Jy", "nanomaggy"),
        (np.full((3, 5), 20.0), "AB", "nanomaggy"),
    ],
)
def test_a_table_that_no_galaxies_have_is_refused_with_the_likelier_unit(
    magnitudes, unit, declared
):
    with pytest.raises(ValueError, match=f"pass unit='{unit}'"):
        of_table(UNITS[unit](magnitudes), declared)


@pytest.mark.parametrize("shift", [-6, -3, 0, 3, 6])
@pytest.mark.parametrize("unit", UNITS)
def test_galaxies_bright_and_faint_are_taken_in_each_unit(unit, shift):
    found = of_table(UNITS[unit](M + shift), unit).magnitudes
    np.testing.assert_allclose(found, M + shift)


def test_a_galaxy_with_a_bad_label_is_inferred_and_not_trained_on(survey, tmp_path):
    labels = survey.catalogue.drop(columns="split")
    labels.loc[5, "a_v"] = -9999
    declared = {"unit": "AB"} | DECLARED
    found = Survey.from_table(labels, **declared)
    assert len(found) == 120
    assert np.isnan(found.properties[5, 4])
    # Also where no galaxy has the label, but not where the column is another quantity.
    assert len(Survey.from_table(labels.assign(a_v=np.nan), **declared)) == 120
    with pytest.raises(ValueError, match=r"120 of 120 rows cannot be used, .*a_v is .*, outside"):
        Survey.from_table(labels.assign(a_v=77.0), **declared)
    found.catalogue["split"] = np.where(np.arange(120) % 5 == 4, "validation", "train")
    settings = TrainingSettings(max_epochs=1)
    trained = train(small_model(), found, tmp_path, settings, progress=False)
    assert trained.metadata["n_train"] == 95
    draws = trained.infer(found, n_samples=4, steps=2, progress=False)
    assert np.isfinite(draws["a_v"].sel(object_id="toy-0-5")).all()


# The hand-over, opened by its receivers


def test_catalogues_and_posteriors_are_opened_by_their_receivers(few, tmp_path):
    import arviz
    import astropy.table
    import xarray

    posteriors = model(few).infer(few, n_samples=8, steps=2, progress=False)
    posteriors.to_netcdf(tmp_path / "as_shown.nc")
    stored_posteriors.save_posteriors(posteriors, tmp_path / "saved.nc")
    for name in ("as_shown.nc", "saved.nc"):
        found = arviz.from_netcdf(tmp_path / name)
        assert found.posterior["a_v"].shape == (4, 2, 20)
        assert len(arviz.summary(found.posterior.isel(object_id=0), kind="stats")) == 5
        again = xarray.open_dataset(tmp_path / name, group="posterior", engine="h5netcdf")
        np.testing.assert_array_equal(again["a_v"], posteriors["a_v"])
        assert again["a_v"].attrs["units"] == "mag"
        assert (stored_posteriors.load_posteriors(tmp_path / name) == posteriors).all()
    part = posteriors.isel(object_id=slice(3))
    part.to_netcdf(tmp_path / "part.nc")
    assert arviz.from_netcdf(tmp_path / "part.nc").posterior.sizes["object_id"] == 3
    few.save(tmp_path / "ours")
    found = astropy.table.Table.read(tmp_path / "ours" / "catalogue.parquet")
    np.testing.assert_array_equal(found["mag_r"], few.magnitudes[:, 2])
    images = np.load(tmp_path / "ours" / "images.npy", allow_pickle=False)
    np.testing.assert_array_equal(images, few.images)
    assert (
        json.loads((tmp_path / "ours" / "survey.json").read_text(encoding="utf-8"))["n_galaxies"]
        == 20
    )
