"""Trainings with several seeds: their summary, and that they go on where they were."""

import json

import numpy as np
import pytest

from galcfm import seeds


def test_the_error_holds_galaxies_and_trainings():
    rng = np.random.default_rng(0)
    n, offsets = 4000, {"1": 0.1, "2": 0.2, "3": 0.3}
    of_galaxies = rng.normal(size=n)
    table = {k: {"gain": of_galaxies - of_galaxies.mean() + b} for k, b in offsets.items()}
    found = seeds.summary(table)
    assert found["gain"] == pytest.approx(0.2)
    assert found["gain_of_seeds"] == pytest.approx(offsets)
    # Galaxies: 1/√4000; trainings: standard deviation 0.1 over √3.
    expected = np.hypot(of_galaxies.std(ddof=1) / np.sqrt(n), 0.1 / np.sqrt(3))
    assert found["standard_error"] == pytest.approx(expected)


def test_variants_are_paired_with_their_seed():
    def training(gain):
        return {"gain": gain, "trainings": {"image": {"seconds": 9.0}}}

    found = seeds.compare_variants(training([0.1, 0.3]), {"wider": training([0.2, 0.6])})
    assert found["wider"] == pytest.approx(
        {"difference": 0.2, "standard_error": 0.1, "seconds": 9.0}
    )


def test_trainings_are_added_and_never_repeated(survey, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    survey.save(tmp_path / "surveys" / "toy")
    arguments = "toy", tmp_path / "models", tmp_path / "training_seeds.json"
    wider = {"wider": {"encoder_widths": [8, 8]}}
    one = seeds.run(*arguments, [1], wider, "rehearsal")
    assert list(one["seeds"]) == ["1"]
    assert one["n_test"] == len(survey.split("test"))
    assert one["variants"]["wider"]["difference"] != 0
    monkeypatch.setattr(seeds, "gains", lambda *_, **__: pytest.fail("trained twice"))
    again = seeds.run(*arguments, [1], wider, "rehearsal")
    assert again["seeds"] == one["seeds"]
    monkeypatch.undo()
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    both = seeds.run(*arguments, [1, 2], {}, "rehearsal")
    assert list(both["seeds"]) == ["1", "2"]
    assert both["seeds"]["1"] == one["seeds"]["1"]
    assert both["gain_of_seeds"]["1"] != both["gain_of_seeds"]["2"]
    assert json.loads((tmp_path / "training_seeds.json").read_text()) == both
