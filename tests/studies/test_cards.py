"""The study that writes the cards of published models and surveys: small, and repeated."""

import json
import re

import pytest
import torch

from galcfm import Posterior, Survey
from galcfm.posterior.hub import model_card
from galcfm.properties import MAGNITUDE_ERRORS
from studies import cards, frame
from studies.photometry_models import MODELS

PLAN = cards.Plan(n_measured=40, n_book=50)


@pytest.fixture
def published(place, monkeypatch, survey):
    """A folder of published models, small and untrained, and a simulator that is a toy."""
    survey = Survey(survey.catalogue.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.02)), survey.images)

    def catalogue(n_galaxies, seed, **options):
        found = survey.select(range(n_galaxies))
        found.name, found.images = f"simulate_catalogue({n_galaxies}, {seed})", None
        return found

    def pictures(name, shown, seed, key):
        return Survey(shown, survey.images[: len(shown)], name=name)

    monkeypatch.setattr(cards, "kept_catalogue", catalogue)
    monkeypatch.setattr(cards, "kept_pictures", pictures)
    monkeypatch.setattr(cards, "published_folder", lambda: place.folder)
    encoder = {"n_features": 4, "widths": [2, 4], "crop": 64, "bin_factor": 8}
    also = {"image": {"encoder": encoder}, "student": {"jumps": 1}}
    for name, sees in (MODELS | also).items():
        model = Posterior("r_and_colours", **sees | {"network": {"width": 8, "depth": 1}})
        model.fit_standardisation(survey.split("train"))
        model.metadata = {"survey": "toys", "n_train": 72}
        model.save(place.folder / "models" / name)
    return place


@pytest.mark.parametrize("name", ["photometry", "image", "student"])
def test_models_are_measured_once_and_keep_their_origin(published, monkeypatch, name):
    folder = published.folder / "models" / name
    before = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    before["provenance"]["commit"] = "of the training"
    (folder / "model.json").write_text(json.dumps(before), encoding="utf-8")
    cards.make(PLAN, published)
    after = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    found = after["metadata"].pop("evaluation")
    assert after == before
    assert found["survey"] == "simulate_catalogue(40, 62)"
    assert cards.STUDY.read(published.folder).content["models"][name] == found
    model = Posterior.load(folder)
    card = model_card(model, name)
    assert (folder / "README.md").read_text(encoding="utf-8") == card
    assert ("no density" in card) == (name == "student") == ("log_prob" not in found)

    def never(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(cards, "measure", never)
    cards.make(PLAN, published)
    # Other weights are another model.
    with torch.no_grad():
        model.flow.network.output.bias += 1
    model.save(folder)
    with pytest.raises(AssertionError, match="measured again"):
        cards.make(PLAN, published)


def test_cards_of_a_run_leave_the_published_models_alone(published, tmp_path):
    folder = published.folder / "models" / "photometry"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    elsewhere = frame.Place(tmp_path / "run", tmp_path / "run" / "work")
    cards.make(PLAN, elsewhere)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    written = {path.name for path in (elsewhere.folder / "models" / "photometry").iterdir()}
    assert written == {"README.md", "model.json"}


def test_the_survey_has_its_card(published):
    cards.make(PLAN, published)
    path = published.folder / "surveys" / "quick" / "README.md"
    text = path.read_text(encoding="utf-8")
    found = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    assert found == {"kind": "simulated", **frame.BOOK_SURVEY, "n_galaxies": 50}
