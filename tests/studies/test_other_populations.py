"""Studies of galaxies left out and of missing bands: their parts, and small runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import toy_survey

from galcfm.figures import tables
from galcfm.posterior import Posterior
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import simulate_catalogue
from galcfm.survey import Survey
from studies import account, missing_bands, other_instruments, other_populations


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
    found = other_populations.judge(Perfect(), Survey(table), parent, plan)
    for of_class in found.values():
        for numbers in of_class["properties"].values():
            allowed = 4 * np.sqrt(0.95 * 0.05 / numbers["n"])
            assert abs(numbers["coverage"][1] - 0.95) < allowed + 0.01
    assert 0.15 < found["star-forming"]["outside"] < 0.35
    # Of a split, whose rows are not counted from nought.
    half = slice(len(table) // 2, None)
    test, measured = Survey(table.iloc[half]), parent.iloc[half]
    few = other_populations.judge(Perfect(), test, measured, replace(plan, of_class=7))
    assert {of_class["n"] for of_class in few.values()} <= set(range(8))
    assert few["star-forming"]["n"] == few["quiescent"]["n"] == 7
    assert "oxygen_abundance" not in found["quiescent"]["properties"]
    assert "log_prob" not in found["quiescent"]
    results = {"trainings": {"parent": {"1": {"image": found}, "2": {"image": found}}}}
    means = tables.class_means(results, "image").loc[("parent", "quiescent")]
    mass = found["quiescent"]["properties"]["log_stellar_mass"]
    assert means["log_stellar_mass", "bias"] == mass["bias"]
    assert means["log_stellar_mass", "inside"] == mass["coverage"][1]
    shown = tables.populations(results, "image")
    assert shown.loc[("parent", "quiescent"), "Z"] == ""
    assert shown.loc[("parent", "quiescent"), "galaxies"] == found["quiescent"]["n"]


def test_sets_of_bands_and_limits():
    survey = toy_survey(40, 1, images=False)
    survey = Survey(survey.catalogue.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.02)))
    left = missing_bands.without(survey, "gri")
    assert np.isnan(left.magnitudes).all(0).tolist() == [b not in "gri" for b in BANDS]
    assert left.catalogue[list(MAGNITUDE_ERRORS)].isna().all().tolist() == [
        b not in "gri" for b in BANDS
    ]
    limit, missing = missing_bands.limits_of(survey, "u")
    assert len(limit) == 20
    assert (limit.catalogue["mag_u"] == survey.catalogue["mag_u"].median()).all()
    assert np.isposinf(limit.catalogue["magerr_u"]).all()
    assert missing.catalogue["mag_u"].isna().all()
    assert list(missing.object_id) == list(limit.object_id)
    others = list(MAGNITUDES[1:])
    assert limit.catalogue[others].equals(missing.catalogue[others])


@pytest.mark.parametrize(
    ("study", "made", "key"),
    [
        (missing_bands, "missing_bands", "sets"),
        (other_populations, "other_populations", "trainings"),
    ],
)
def test_a_second_call_makes_nothing_anew(study, made, key, tmp_path, monkeypatch):
    """What is stored under the same key is not made again."""
    path = tmp_path / f"{made}.json"
    plan = study.SMALL
    monkeypatch.setattr(study, "key_of", lambda *_: "key")
    of_model = {"coverage": {p: [0.7, 0.9] for p in PROPERTY_NAMES}, "n_drawn": 5}
    whole = {
        "missing_bands": {
            "sets": {bands: {"any": of_model} for bands in missing_bands.SETS},
            "limit": {},
            "exact": {bands: {} for bands in missing_bands.SETS[:6]},
        },
        "other_populations": {
            "trainings": {name: {"1": {}} for name in other_populations.TRAININGS}
        },
    }[made]
    path.write_text(json.dumps(whole | {"key": "key", "command": "before", "plan": {}}))
    for name in ("judge", "exact_log_probs"):
        if hasattr(study, name):
            monkeypatch.setattr(study, name, lambda *_: pytest.fail("made anew"))
    survey = toy_survey(40, 1, images=False)
    survey = Survey(survey.catalogue.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.02)))
    model = Posterior("r_and_colours", network={"width": 8, "depth": 1})
    model.fit_standardisation(survey.split("train"))
    monkeypatch.setattr(study, "kept_catalogue", lambda *_, **__: survey)
    if study is missing_bands:
        monkeypatch.setattr(study, "load_model", lambda _: model)
        monkeypatch.setattr(study, "train", lambda *_, **__: pytest.fail("trained anew"))
    if study is other_populations:
        monkeypatch.setattr(study, "classes_of", lambda _: {"near": [True], "star-forming": [True]})
        monkeypatch.setattr(study, "kept_pictures", lambda *_, **__: toy_survey(40, 1))
    assert study.run(tmp_path, plan, "again")[key] == whole[key]


def test_each_instrument_is_judged_on_its_own_survey(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    results = other_instruments.run(tmp_path, account.SMALL, [1], progress=False)
    table = tables.instruments(results)
    assert list(table.index) == ["SDSS", "Legacy", "LSST"]
    assert table.loc["LSST", "pixels"] == "0.2″"
    gains = {name: row["gain"] for name, row in results["instruments"].items()}
    assert len(set(gains.values())) == 3
    survey = other_instruments.survey_of("LSST", account.SMALL, False)
    assert survey.catalogue["mag_r"].max() > 19
    assert other_instruments.run(tmp_path, account.SMALL, [1], progress=False) == results
