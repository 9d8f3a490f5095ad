"""Trainings with several seeds: that they are added and never repeated."""

import json

import pytest

from studies import training_seeds
from studies.training_seeds import Plan

TINY = Plan(n_galaxies=60, recipe="rehearsal", processes=1)


def test_seeds_are_added_and_never_repeated(place, monkeypatch):
    one = training_seeds.make(place, None, TINY, [1])
    assert list(one["seeds"]) == ["1"]
    assert one["n_test"] == len(TINY.catalogue().split("test")) > 2
    with monkeypatch.context() as patch:
        patch.setattr(training_seeds, "gains", lambda *_: pytest.fail("trained twice"))
        assert training_seeds.make(place, None, TINY, [1])["seeds"] == one["seeds"]
    both = training_seeds.make(place, None, TINY, [2])
    assert list(both["seeds"]) == ["1", "2"]
    assert both["seeds"]["1"] == one["seeds"]["1"]
    means = both["gain_of_seeds"]
    assert means["1"] != means["2"]
    assert both["gain"] == pytest.approx((means["1"] + means["2"]) / 2)
    assert json.loads((place.folder / "training_seeds.json").read_text(encoding="utf-8")) == both


def test_results_of_other_settings_are_not_taken(place, monkeypatch):
    made = []
    monkeypatch.setattr(
        training_seeds, "gains", lambda *a: made.append(a[2]) or {"gain": [0.1, 0.2 + len(made)]}
    )
    monkeypatch.setattr(Plan, "pictures", lambda *_: None)
    monkeypatch.setattr(Plan, "catalogue", lambda _: TINY)
    one = training_seeds.make(place, None, TINY, [1])
    two = training_seeds.make(place, None, Plan(n_galaxies=60), [1])
    assert [(recipe.width, recipe.image_bin) for recipe in made] == [(32, 8), (256, 2)]
    assert one["key"] != two["key"]
    assert len(two["seeds"]) == 1


def test_seeds_are_compared_with_true_numbers_of_the_shape():
    results = {"gain_of_seeds": {"1": 0.1, "2": 0.2}, "gain": 0.15, "standard_error": 0.05}
    control = {"gain": 0.3, "standard_error": 0.01}
    table = training_seeds.table(results, {"picture": control, "shape": control})
    assert table.loc["image model, all seeds", "gain [nat]"] == "+0.150 ± 0.050"
    share = table["relative to the true shape [%]"]
    assert share["image model, seed 1"] == "33"
    assert share["control: three true values of the shape"] == "100"
    assert len(table) == 5
