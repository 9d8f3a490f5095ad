"""Bands that are missing: sets of bands, limits, and that nothing is made twice."""

import json

import numpy as np
import pytest
from conftest import toy_survey

from galcfm.posterior import Posterior
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import Survey
from studies import missing_bands, other_populations


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
