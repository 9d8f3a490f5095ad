"""Galaxies that the paper left out, and other instruments."""

from dataclasses import replace

import numpy as np
import pytest

from galcfm.simulate import simulate_catalogue
from galcfm.survey import Survey
from studies import other_instruments, other_populations
from studies.picture_worth import Plan, survey_of

TINY = {
    "n_galaxies": 120,
    "validation_fraction": 0.2,
    "test_fraction": 0.3,
    "recipe": "rehearsal",
    "image_crop": 128,
    "image_bin": 8,
    "processes": 1,
}


@pytest.fixture(scope="module")
def parent():
    return simulate_catalogue(400, 5, population="parent", validation=0.2, test=0.3)


def test_classes_hold_what_they_are_called(parent):
    classes = other_populations.classes_of(parent)
    assert set(classes) == set(other_populations.CLASSES)
    forming, quiescent = classes["star-forming"], classes["quiescent"]
    assert 20 < forming.sum() < 380
    assert not (forming & (quiescent | classes["active"])).any()
    rate = parent["log_sfr_true"] - parent["log_stellar_mass_true"]
    assert rate[quiescent].max() < rate[forming].median() - 1
    assert (parent["redshift"][classes["near"]] < 0.1).all()
    assert (parent["redshift"][classes["far"]] > 0.15).all()
    assert parent["oxygen_abundance"][forming].notna().all()
    assert parent["oxygen_abundance"][quiescent].isna().all()


def test_abundances_that_are_missing_are_drawn_from_the_training_split(parent):
    filled = other_populations.with_abundances(parent, 1)["oxygen_abundance"]
    known = parent["oxygen_abundance"].notna()
    assert filled.notna().all()
    assert (filled[known] == parent["oxygen_abundance"][known]).all()
    train = parent["oxygen_abundance"][known & (parent["split"] == "train")]
    assert set(filled[~known]) <= set(train)


def test_a_perfect_model_is_judged_to_be_one(parent):
    class Perfect:
        """Draws about the label, which is itself such a draw."""

        def encode_survey(self, survey):
            rng = np.random.default_rng(0)
            self.centre = survey.properties + 0.1 * rng.standard_normal((len(survey), 5))
            return self.centre

        def sample_from(self, condition, object_id, n_draws, steps, seed):
            import torch

            rng = np.random.default_rng(1)
            noise = 0.1 * rng.standard_normal((len(condition), n_draws, 5))
            return torch.from_numpy(condition[:, None] + noise)

        def log_prob_from(self, theta, condition, steps):
            import torch

            return torch.zeros(len(theta))

        def out_of_range_from(self, condition):
            import pandas as pd

            flag = np.arange(len(condition)) % 4 == 0
            return pd.DataFrame({"photometry_p": flag * 1.0, "photometry_outside": flag})

    table = other_populations.with_abundances(parent, 1)
    plan = other_populations.Plan(n_draws=200)
    found = other_populations.evaluate(Perfect(), Survey(table), parent, plan)
    for of_class in found.values():
        for numbers in of_class["properties"].values():
            allowed = 4 * np.sqrt(0.95 * 0.05 / numbers["n"])
            assert abs(numbers["coverage"][1] - 0.95) < allowed + 0.01
    assert 0.15 < found["star-forming"]["outside"] < 0.35
    # Of a split, whose rows are not counted from nought.
    half = slice(len(table) // 2, None)
    test, measured = Survey(table.iloc[half]), parent.iloc[half]
    few = other_populations.evaluate(Perfect(), test, measured, replace(plan, of_class=7))
    assert {of_class["n"] for of_class in few.values()} <= set(range(8))
    assert few["star-forming"]["n"] == few["quiescent"]["n"] == 7
    assert "oxygen_abundance" not in found["quiescent"]["properties"]
    assert "log_prob" not in found["quiescent"]
    results = {"trainings": {"parent": {"1": {"image": found}, "2": {"image": found}}}}
    means = other_populations.class_means(results, "image").loc[("parent", "quiescent")]
    mass = found["quiescent"]["properties"]["log_stellar_mass"]
    assert means["log_stellar_mass", "bias"] == mass["bias"]
    assert means["log_stellar_mass", "inside"] == mass["coverage"][1]
    shown = other_populations.table(results, "image")
    quiescent = "the parent population", "quiescent"
    assert shown.loc[quiescent, "12+log(O/H) [%]"] == ""
    assert shown.loc[quiescent, "galaxies"] == found["quiescent"]["n"]


def test_trainings_are_added_and_not_repeated(place, monkeypatch):
    plan = other_populations.Plan(**TINY | {"n_draws": 20, "of_class": 10})
    one = other_populations.make(place, None, plan, [1], ["parent"])
    assert list(one["trainings"]) == ["parent"]
    evaluated, evaluate = [], other_populations.evaluate
    monkeypatch.setattr(
        other_populations, "evaluate", lambda *a: evaluated.append(a[0]) or evaluate(*a)
    )
    two = other_populations.make(place, None, plan, [1], ["parent", "near"])
    assert len(evaluated) == 2
    assert two["trainings"]["parent"] == one["trainings"]["parent"]
    # Models of near galaxies flag far ones.
    far = two["trainings"]["near"]["1"]["image"]["far"]
    assert far["outside"] > one["trainings"]["parent"]["1"]["image"]["far"]["outside"]
    assert other_populations.make(place, None, plan, [1], ["near"]) == two
    assert len(evaluated) == 2


def test_each_instrument_has_its_own_survey(place):
    plan = Plan(**TINY, n_means=10, n_draws=8)
    results = other_instruments.make(place, None, plan, rows=["SDSS", "LSST"], seeds=[1])
    table = other_instruments.table(results)
    assert list(table.index) == ["SDSS", "LSST"]
    assert table.loc["LSST", "pixels"] == "0.2″"
    gains = {name: row["gain"] for name, row in results["instruments"].items()}
    assert len(set(gains.values())) == 2
    survey = survey_of(other_instruments.ROWS["LSST"], plan)
    assert survey.catalogue["mag_r"].max() > 19
    assert other_instruments.make(place, None, plan, rows=["SDSS", "LSST"], seeds=[1]) == results
