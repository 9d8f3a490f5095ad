"""The chapter at the paper's size, made small: its steps chain, resume, and take what is there."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from galcfm import paths
from galcfm.figures.tables.words import METRICS, number
from galcfm.posterior import Posterior
from galcfm.posterior.files import MODEL
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from galcfm.training import RECIPES, TrainingSettings
from studies.frame import Place
from studies.paper_scale import (
    PAPERS_RECIPE,
    STUDY,
    WITH_REDSHIFT,
    Plan,
    load_draws,
    making,
    tables,
)

PLAN = Plan(
    recipe="rehearsal", n_galaxies=120, n_test=8, n_samples=40, n_kept=20, n_kl_samples=20, steps=10
)


def place_in(folder) -> Place:
    return Place(folder / "studies" / "one", folder / "studies" / "one" / "work")


def models_in(folder):
    (found,) = (folder / "studies").glob("paper_scale-models-*")
    return found


@pytest.fixture(scope="module")
def made(survey, tmp_path_factory):
    """A folder of data in which the result has been made."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        use(folder, survey, patch)
        making.make(STUDY, place_in(folder), PLAN)
    return folder


def use(folder, survey, patch):
    """Take `survey` for the simulated one, and `folder` for that of all data."""
    patch.setenv("GALCFM_DATA", str(folder))
    patch.setattr(making, "published_folder", lambda: folder / "published")
    survey.save(paths.survey_folder(f"paper-{PLAN.n_galaxies}"))
    patch.setattr(making, "simulate_survey", lambda path, n, seed: Survey.load(path))


@pytest.fixture
def data(made, survey, tmp_path, monkeypatch):
    """A copy of what has been made, for a test to change."""
    shutil.copytree(made / "studies", tmp_path / "studies")
    use(tmp_path, survey, monkeypatch)
    return tmp_path


def test_defaults_of_training_are_those_of_the_paper():
    paper, defaults = RECIPES["paper"].settings("image"), TrainingSettings()
    differing = {k for k, v in vars(paper).items() if v != vars(defaults)[k]}
    assert differing == {"seed"}


def test_the_steps_chain(made, survey):
    result = STUDY.read(place_in(made).folder)
    found, (table, draws, shown, images) = result.content, load_draws(result)
    assert found["sampling"]["image"]["galaxies_per_second"] > 0
    assert {"kde", "exact", "exact_kde_prior"} == set(found["image"]["delta_log_p"])
    assert found["image"]["training"]["history"]["epoch"] == [0, 1]
    assert set(found["gain"]["log_p_photometry"]) == {"1", "2", "3"}
    model = Posterior.load(result.path.parent / "models" / "image")
    trained = Posterior.load(models_in(made) / "image")
    assert model.weights_digest == trained.weights_digest
    assert model.metadata["command"] == STUDY.command
    test = survey.split("test").select(range(PLAN.n_test))
    np.testing.assert_array_equal(table["object_id"], test.object_id)
    expected = model.infer(test, n_samples=40, steps=10, progress=False)
    for name in PROPERTY_NAMES:
        spread = float(expected[name].std())
        close = {"atol": 1e-4 * spread, "rtol": 0}
        few = expected[name].isel(draw=slice(5))
        np.testing.assert_allclose(draws["image"][name], few, **close)
        of_three = expected[name].isel(object_id=slice(3))
        np.testing.assert_allclose(shown["image"][name], of_three, **close)
    np.testing.assert_array_equal(images[0], test.images[0])
    assert draws["image"]["a_v"].attrs["units"] == "mag"
    for metric in METRICS:
        kept = table[f"image/{metric}/exact"].mean()
        assert kept == pytest.approx(found["image"][metric]["exact"]["mean"])


def test_its_tables_show_it(made):
    found = STUDY.read(place_in(made).folder).content
    beside = tables.beside_the_paper(found)
    column = beside["mean Δlog p [nat] (spread)"]
    assert column["the paper, SDSS", "image"] == "2.17 (3.30)"
    ours = found["photometry"]["delta_log_p"]["kde"]
    shown = f"{number(ours['mean'])} ({number(ours['std'])})"
    assert column["simulated survey", "photometry"] == shown
    assert tables.trainings(found).loc["epochs at most"].to_list() == ["2", "2"]
    assert list(tables.histories(found)["model"]) == ["photometry"] * 2 + ["image"] * 2


def test_what_was_interrupted_resumes(data):
    """Neither models nor draws are made again, unless their model is another."""
    place, models = place_in(data), models_in(data)
    before = STUDY.read(place.folder).content
    drawn = [place.work / f"posteriors_{name}.nc" for name in ("photometry", "image")]

    def times(files):
        return [path.stat().st_mtime_ns for path in files]

    kept = [*models.rglob("training.csv"), *drawn]
    assert len(kept) == 7
    done = times([*kept, STUDY.path(place.folder)])
    making.make(STUDY, place, PLAN)
    assert times([*kept, STUDY.path(place.folder)]) == done
    STUDY.path(place.folder).unlink()
    making.make(STUDY, place, PLAN)
    assert times(kept) == done[:-1]
    after = STUDY.read(place.folder).content
    for name in ("gain", "comparison", "sampling", "image"):
        assert after[name] == before[name]
    model = Posterior.load(models / "image")
    model.flow.network.output.bias.data += 0.1
    model.save(models / "image")
    STUDY.path(place.folder).unlink()
    making.make(STUDY, place, PLAN)
    changed = np.array(times(drawn)) > np.array(done[-3:-1])
    assert changed.tolist() == [False, True]


def test_other_numbers_of_draws_train_nothing(data):
    before = [path.stat().st_mtime_ns for path in models_in(data).rglob("*.safetensors")]
    place = Place(data / "studies" / "two", data / "studies" / "two" / "work")
    making.make(STUDY, place, replace(PLAN, n_samples=24))
    assert STUDY.read(place.folder).content["sampling"]["n_samples"] == 24
    after = [path.stat().st_mtime_ns for path in models_in(data).rglob("*.safetensors")]
    assert after == before


def test_a_published_image_model_is_not_trained_again(data):
    place, models = place_in(data), models_in(data)
    shutil.copytree(place.folder / "models", data / "published" / "models")
    published = Posterior.load(data / "published" / "models" / "image").weights_digest
    # As in a fresh clone.
    shutil.rmtree(data / "studies")
    making.make(STUDY, place, PLAN)
    assert Posterior.load(models / "image").weights_digest == published
    assert not (models / "image" / "training.csv").exists()
    assert (models / "photometry" / "training.csv").exists()
    found = STUDY.read(place.folder).content
    assert set(tables.histories(found)["model"]) == {"photometry"}
    # One that was trained otherwise, or on another survey, is.
    recipe = RECIPES["rehearsal"]
    survey = Survey.load(paths.survey_folder(f"paper-{PLAN.n_galaxies}"))
    folder = data / "published" / "models" / "image"
    assert making.trained_alike(folder, recipe, survey)
    assert not making.trained_alike(folder, replace(recipe, max_epochs=1), survey)
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    description["metadata"]["survey"] = "another"
    MODEL.write(folder / "model.json", description)
    assert not making.trained_alike(folder, recipe, survey)


def test_a_training_alone_has_its_budget_and_draws_nothing(data):
    plan = PLAN.training_only("rehearsal", max_epochs=1)
    place = Place(data / "studies" / "own", data / "studies" / "own" / "work")
    making.make(PAPERS_RECIPE, place, plan)
    found = PAPERS_RECIPE.read(place.folder).content
    assert found["image"]["training"]["history"]["epoch"] == [0]
    assert found["photometry"]["training"]["history"]["epoch"] == [0, 1]
    assert [path.name for path in place.folder.iterdir()] == ["papers_recipe.json"]
    assert tables.trainings(found).loc["epochs at most"].to_list() == ["2", "1"]


def test_the_redshift_may_be_an_input(data, survey):
    without, plan = models_in(data), PLAN.training_only("rehearsal", use_redshift=True)
    place = Place(data / "studies" / "z", data / "studies" / "z" / "work")
    making.make(WITH_REDSHIFT, place, plan)
    model = Posterior.load(place.folder / "models" / "image_redshift")
    assert model.use_redshift
    test = survey.split("test")
    (folder,) = {*(data / "studies").glob("paper_scale-models-*")} - {without}
    photometry = Posterior.load(folder / "photometry")
    of_test = [
        m.log_prob_from(test.properties, m.encode_survey(test), 48).double().mean()
        for m in (model, photometry)
    ]
    gain = WITH_REDSHIFT.read(place.folder).content["gain"]
    assert model.metadata["gain"] == gain
    assert gain["n_test"] == len(test)
    assert gain["gain"] == pytest.approx(float(of_test[0] - of_test[1]), abs=1e-5)
