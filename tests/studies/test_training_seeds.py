"""Trainings with several seeds: their summary, and that they go on where they were."""

import json

import numpy as np
import pytest

from studies import training_seeds as seeds


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


def test_seeds_are_added_and_never_repeated(survey, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    survey.save(tmp_path / "surveys" / "toy")
    arguments = "toy", tmp_path / "models", tmp_path / "training_seeds.json"
    one = seeds.run(*arguments, [1], "rehearsal")
    assert list(one["seeds"]) == ["1"]
    assert one["n_test"] == len(survey.split("test"))
    monkeypatch.setattr(seeds, "gains", lambda *_: pytest.fail("trained twice"))
    assert seeds.run(*arguments, [1], "rehearsal")["seeds"] == one["seeds"]
    monkeypatch.undo()
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    both = seeds.run(*arguments, [2], "rehearsal")
    assert list(both["seeds"]) == ["1", "2"]
    assert both["seeds"]["1"] == one["seeds"]["1"]
    assert both["gain_of_seeds"]["1"] != both["gain_of_seeds"]["2"]
    assert json.loads((tmp_path / "training_seeds.json").read_text()) == both


def test_results_of_another_recipe_are_not_taken(survey, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    survey.save(tmp_path / "surveys" / "toy")
    made = []
    monkeypatch.setattr(
        seeds, "gains", lambda *a: made.append(a[2]) or {"gain": [0.1, 0.2 + len(made)]}
    )
    arguments = "toy", tmp_path / "models", tmp_path / "training_seeds.json"
    one = seeds.run(*arguments, [1], "rehearsal")
    two = seeds.run(*arguments, [1], "quick")
    assert [recipe.width for recipe in made] == [32, 256]
    assert one["key"] != two["key"]
    assert len(two["seeds"]) == 1
    monkeypatch.setattr("studies.stored.code_digest", lambda *rooms: "other")
    seeds.run(*arguments, [1], "quick")
    assert len(made) == 3
