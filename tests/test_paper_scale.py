"""The commands for a GPU, rehearsed small: they chain, stop in time, and go on."""

import json
import signal

import pandas as pd
import pytest

from galcfm.studies import paper_scale
from galcfm.studies.paper_scale import OUT_OF_TIME, main
from galcfm.training import RECIPES, TrainingSettings


def rehearse(stage, folder, *options):
    return main([stage, "--rehearse", "--folder", str(folder), *options])


def test_defaults_of_training_are_those_of_the_paper():
    paper, defaults = RECIPES["paper"].settings("image"), TrainingSettings()
    differing = {k for k, v in vars(paper).items() if v != vars(defaults)[k]}
    assert differing == {"seed"}


def test_the_stages_chain(survey, tmp_path):
    survey.save(tmp_path / "survey")
    for stage in ("train", "throughput", "sample", "summarise"):
        assert rehearse(stage, tmp_path) == 0
    published = tmp_path / "published" / "paper_scale" / "rehearsal"
    results = json.loads((published / "metrics.json").read_text())
    assert results["sampling"]["image"]["galaxies_per_second"] > 0
    assert results["throughput"]["images_per_second"]["float32"] > 0
    assert {"kde", "exact"} == set(results["image"]["delta_log_p"])
    table = pd.read_parquet(published / "posteriors_image.parquet")
    assert len(table) == paper_scale.REHEARSAL["n_test"]
    assert (table["a_v_q05"] <= table["a_v_q95"]).all()
    assert (published / "image" / "model.safetensors").exists()


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
