"""The commands for a GPU, rehearsed small: they chain, stop in time, and go on."""

import json
import shutil
import signal

import numpy as np
import pytest

from galcfm.figures import tables
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.training import RECIPES, TrainingSettings
from studies import paper_scale
from studies.paper_scale import OUT_OF_TIME, extrapolated, load_scale, main


def rehearse(stage, folder, *options):
    return main([stage, "--rehearse", "--folder", str(folder), *options])


def test_defaults_of_training_are_those_of_the_paper():
    paper, defaults = RECIPES["paper"].settings("image"), TrainingSettings()
    differing = {k for k, v in vars(paper).items() if v != vars(defaults)[k]}
    assert differing == {"seed"}


def test_the_stages_chain(survey, tmp_path, monkeypatch):
    survey.save(tmp_path / "survey")
    for stage in ("train", "seeds", "throughput", "sample", "summarise"):
        assert rehearse(stage, tmp_path) == 0
    published = tmp_path / "published"
    monkeypatch.setattr(paper_scale, "published_folder", lambda: published)
    results, table, draws, shown, images = load_scale("rehearsal")
    assert results["sampling"]["image"]["galaxies_per_second"] > 0
    assert results["throughput"]["images_per_second"]["float32"] > 0
    assert {"kde", "exact", "exact_kde_prior"} == set(results["image"]["delta_log_p"])
    assert results["image"]["training"]["history"]["epoch"] == [0, 1]
    assert set(results["gain"]["log_p_photometry"]) == {"1", "2", "3"}
    assert results["command"].endswith("summarise --recipe rehearsal")
    model = Posterior.load(published / "models" / "image")
    trained = json.loads((tmp_path / "rehearsal" / "image" / "model.json").read_text())
    description = json.loads((published / "models" / "image" / "model.json").read_text())
    assert description["provenance"] == trained["provenance"]
    assert description["metadata"]["command"].endswith("train --recipe rehearsal")
    test = survey.split("test").select(range(paper_scale.REHEARSAL["n_test"]))
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
    beside = tables.beside_the_paper(results)
    assert beside.loc["W of A_V [mag]", ("Paper, SDSS", "image")] == "0.1937"
    distance = results["photometry"]["wasserstein"]["a_v"]["posterior_mean"]
    ours = beside.loc["W of A_V [mag]", ("simulated survey", "photometry")]
    assert float(ours) == pytest.approx(distance, abs=5e-5)
    assert tables.trainings(results).loc["epochs at most"].to_list() == [2, 2]
    assert list(tables.histories(results)["model"]) == ["photometry"] * 2 + ["image"] * 2
    rate = results["sampling"]["image"]["galaxies_per_second"]
    of = tables.costs({"small": results}).loc["image, 40 draws, 10 steps [galaxies/s]", "small"]
    assert float(of) == pytest.approx(rate, abs=0.005)


def test_draws_are_known_by_the_weights_of_their_model(survey, tmp_path, monkeypatch):
    survey.save(tmp_path / "survey")
    for stage in ("train", "sample"):
        assert rehearse(stage, tmp_path) == 0
    drawn = [tmp_path / "rehearsal" / f"posteriors_{name}.nc" for name in ("photometry", "image")]
    before = [path.stat().st_mtime_ns for path in drawn]
    folder = tmp_path / "rehearsal" / "image"
    model = Posterior.load(folder)
    model.flow.network.output.bias.data += 0.1
    model.save(folder)
    with pytest.raises(ValueError, match="draws of another image model: call sample first"):
        rehearse("summarise", tmp_path)
    assert rehearse("sample", tmp_path) == 0
    after = [path.stat().st_mtime_ns for path in drawn]
    assert (after[0] == before[0], after[1] > before[1]) == (True, True)


def test_a_published_image_model_is_not_trained_again(survey, tmp_path, monkeypatch):
    survey.save(tmp_path / "survey")
    for stage in ("train", "sample", "summarise"):
        assert rehearse(stage, tmp_path) == 0
    folder, published = tmp_path / "rehearsal", tmp_path / "published" / "models" / "image"
    before = Posterior.load(folder / "image").weights_digest
    # As in a fresh clone.
    shutil.rmtree(folder)
    assert rehearse("train", tmp_path) == 0
    assert Posterior.load(folder / "image").weights_digest == before
    assert not (folder / "image" / "training.csv").exists()
    assert (folder / "photometry" / "training.csv").exists()
    description = (published / "model.json").read_bytes()
    for stage in ("sample", "summarise"):
        assert rehearse(stage, tmp_path) == 0
    assert (published / "model.json").read_bytes() == description
    monkeypatch.setattr(paper_scale, "published_folder", lambda: tmp_path / "published")
    results = load_scale("rehearsal")[0]
    assert set(tables.histories(results)["model"]) == {"photometry"}
    # One that was trained otherwise is.
    shutil.rmtree(folder)
    assert rehearse("train", tmp_path, "--max-epochs", "1") == 0
    assert (folder / "image" / "training.csv").exists()


def test_a_budget_of_epochs_is_kept(survey, tmp_path):
    survey.save(tmp_path / "survey")
    assert rehearse("train", tmp_path, "--max-epochs", "1") == 0
    image = Posterior.load(tmp_path / "rehearsal" / "image")
    assert image.metadata["settings"]["max_epochs"] == 1


def test_a_stage_out_of_time_is_called_again(survey, tmp_path, monkeypatch):
    survey.save(tmp_path / "survey")

    def slow(folder, sizes, recipe):
        signal.pause()

    monkeypatch.setitem(paper_scale.STAGES, "train", slow)
    assert rehearse("train", tmp_path, "--limit-seconds", "0.05") == OUT_OF_TIME
    monkeypatch.undo()
    assert rehearse("train", tmp_path, "--limit-seconds", "600") == 0


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(paper_scale, "find_spec", lambda name: None if name == "pyarrow" else name)
    with pytest.raises(SystemExit, match="train needs pyarrow, not installed here"):
        rehearse("train", "anywhere")


def test_models_may_be_told_the_redshift(survey, tmp_path):
    survey.save(tmp_path / "survey")
    assert rehearse("train", tmp_path, "--redshift") == 0
    folder = tmp_path / "rehearsal_redshift"
    assert Posterior.load(folder / "image").use_redshift
    assert rehearse("publish", tmp_path, "--redshift") == 0
    model = Posterior.load(tmp_path / "published" / "models" / "image_redshift")
    told = "python -m studies.paper_scale train --recipe rehearsal --redshift"
    assert model.metadata["command"] == told
    test = survey.split("test")
    photometry = Posterior.load(folder / "photometry")
    of_test = [
        m.log_prob_from(test.properties, m.encode_survey(test), 48).double().mean()
        for m in (model, photometry)
    ]
    gain = float(of_test[0] - of_test[1])
    assert model.metadata["gain"]["n_test"] == len(test)
    assert model.metadata["gain"]["gain"] == pytest.approx(gain, abs=1e-5)


def test_a_learning_curve_is_extrapolated_by_its_law():
    epoch = np.arange(1, 13)
    noise = 1e-4 * np.random.default_rng(1).standard_normal(12)
    found = extrapolated({"validation_loss": 0.8 + 0.3 * epoch**-0.7 + noise}, 200)
    truth = 0.8 + 0.3 * 200**-0.7
    assert found["loss"] == pytest.approx(truth, abs=5 * found["standard_error"])
    assert found["standard_error"] < 0.003
    with pytest.raises(ValueError, match="4 epochs tell no curve"):
        extrapolated({"validation_loss": [1.0, 0.9, 0.85, 0.84]}, 200)
    assert found["still_to_fall"] == pytest.approx(found["best"] - found["loss"])
