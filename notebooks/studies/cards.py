"""The cards of the published models and of the book's survey, in the format of the Hub.

The calibration of each model in `data/published/models` is measured on galaxies that none was
trained on and noted in its `model.json`; its card is the README.md beside it. That of the survey
is in `data/published/surveys`. Chapter 15 writes them, after all that train models.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from galcfm.paths import published_folder, replacing
from galcfm.posterior import Posterior
from galcfm.posterior.files import MODEL
from galcfm.posterior.hub import measure, write_card
from galcfm.survey.datasets import data_card
from studies import frame
from studies.frame import BOOK_SURVEY, Place, Result, Study, kept_catalogue, kept_pictures

STUDY = Study("cards", "15_your_own_galaxies", parameter="results_cards")
SEED = 62


@dataclass(frozen=True)
class Plan(frame.Plan):
    """The galaxies that models are measured on, and the survey.

    Arguments:
        n_measured: Number of simulated galaxies on which calibration is measured.
        n_book: Number of galaxies in the book's survey.
    """

    n_measured: int = 1200
    n_book: int = BOOK_SURVEY["n_galaxies"]


def find(results: str, run: Path, plan: Plan) -> Result:
    """Return what is published of the models' calibration, or measure it: see `Study.find`."""
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place))


def make(plan: Plan, place: Place) -> None:
    """Measure the published models that were not measured yet, and write all cards."""
    catalogue = kept_catalogue(plan.n_measured, SEED)
    galaxies = kept_pictures("cards", catalogue.catalogue, SEED, plan.n_measured)
    galaxies.name = catalogue.name
    evaluations = {}
    for path in sorted((published_folder() / "models").glob("*/model.json")):
        model = Posterior.load(path.parent, "cpu")
        key = STUDY.key(plan.n_measured, model.weights_digest)
        if model.metadata.get("evaluation", {}).get("key") != key:
            found = measure(model, galaxies) | {"key": key, "date": str(date.today())}
            model.metadata["evaluation"] = found
        name = path.parent.name
        evaluations[name] = model.metadata["evaluation"]
        # All else, commit and machine included, is as it was when the model was trained.
        description = MODEL.read(path)
        folder = place.folder / "models" / name
        MODEL.write(folder / "model.json", description | {"metadata": model.metadata})
        write_card(model, folder, name)
    settings = BOOK_SURVEY | {"n_galaxies": plan.n_book}
    survey = kept_catalogue(**settings)
    survey.parameters = {"kind": "simulated", **settings}
    with replacing(place.folder / "surveys" / "quick" / "README.md") as temporary:
        temporary.write_text(data_card(survey, "quick"), encoding="utf-8")
    keys = [evaluation["key"] for evaluation in evaluations.values()]
    STUDY.store(place.folder, {"models": evaluations}, STUDY.key(plan.settings, *keys))
