"""The study that writes the cards of what is published: small, and once more."""

import json
import re

import pytest
import torch

from galcfm import Posterior, Survey
from galcfm.posterior.hub import model_card
from galcfm.properties import MAGNITUDE_ERRORS
from studies import cards, stored
from studies.real_galaxies import MODELS


@pytest.fixture
def published(tmp_path, monkeypatch, survey):
    """A folder of published models, small and untrained, and a simulator that is a toy."""
    monkeypatch.setattr(stored, "published_folder", lambda: tmp_path)
    survey = Survey(survey.catalogue.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.02)), survey.images)
    calls = []

    def catalogue(n_galaxies, seed, **options):
        calls.append(n_galaxies)
        found = survey.select(range(n_galaxies % 90))
        found.name, found.images = f"simulate_catalogue({n_galaxies}, {seed})", None
        return found

    def pictures(name, shown, seed, key):
        return Survey(shown, survey.images[: len(shown)], name=name)

    monkeypatch.setattr(cards, "kept_catalogue", catalogue)
    monkeypatch.setattr(cards, "kept_pictures", pictures)
    encoder = {"n_features": 4, "widths": [2, 4], "crop": 64, "bin_factor": 8}
    also = {"image": {"encoder": encoder}, "student": {"jumps": 1}}
    for name, sees in (MODELS | also).items():
        model = Posterior("r_and_colours", **sees | {"network": {"width": 8, "depth": 1}})
        model.fit_standardisation(survey.split("train"))
        model.metadata = {"survey": "toys", "n_train": 72}
        model.save(tmp_path / "models" / name)
    return tmp_path


@pytest.mark.parametrize("name", ["photometry", "image", "student"])
def test_models_are_measured_once_and_keep_their_origin(published, monkeypatch, name):
    folder = published / "models" / name
    before = json.loads((folder / "model.json").read_text())
    before["provenance"]["commit"] = "of the training"
    (folder / "model.json").write_text(json.dumps(before))
    cards.main([])
    after = json.loads((folder / "model.json").read_text())
    found = after["metadata"].pop("evaluation")
    assert after == before
    assert found["survey"] == "simulate_catalogue(1200, 62)"
    model = Posterior.load(folder)
    card = model_card(model, name)
    assert (folder / "README.md").read_text() == card
    assert ("no density" in card) == (name == "student") == ("log_prob" not in found)

    def never(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(cards, "measure", never)
    cards.main([])
    # Other weights are another model.
    with torch.no_grad():
        model.flow.network.output.bias += 1
    model.save(folder)
    with pytest.raises(AssertionError, match="measured again"):
        cards.main([])


def test_the_survey_has_its_card(published):
    cards.main([])
    text = (published / "surveys" / "quick" / "README.md").read_text()
    found = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    assert found == {"kind": "simulated", **stored.BOOK_SURVEY}
