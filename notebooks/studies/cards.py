"""The cards of the published models and of the book's survey, in the format of the Hub.

`python -m studies.cards` measures the calibration of each model in `data/published/models/`
on galaxies that none was trained on, notes it in its `model.json`, and writes the cards: README.md
beside each model, and that of the survey in `data/published/surveys/`. A model that was measured is
not measured again.
"""

import json
from datetime import date
from pathlib import Path

from galcfm.paths import replacing, write_json
from galcfm.posterior import Posterior
from galcfm.posterior.hub import measure, write_card
from studies.stored import BOOK_SURVEY, kept_catalogue, kept_pictures, key_of, read_command
from galcfm.survey import Survey
from galcfm.survey.datasets import data_card

__all__ = ["main", "measure_model", "write_survey_card"]

N_GALAXIES, SEED = 1200, 62


def measure_model(folder: Path, survey: Survey) -> None:
    """Note a model's calibration in its `model.json`, unless it stands there, and write its card.

    Arguments:
        folder: of the model.
        survey: simulated galaxies that it was not trained on.
    """
    posterior = Posterior.load(folder, "cpu")
    settings = [survey.name, posterior.weights_digest]
    code = ("galcfm.posterior.model", "galcfm.posterior.hub", "galcfm.simulate.population")
    key = key_of(settings, *code)
    if posterior.metadata.get("evaluation", {}).get("key") != key:
        found = measure(posterior, survey) | {"key": key, "date": str(date.today())}
        posterior.metadata["evaluation"] = found
        # All else, commit and machine included, is as it was when the model was trained.
        description = json.loads((folder / "model.json").read_text())
        description["metadata"] = posterior.metadata
        write_json(folder / "model.json", description)
    write_card(posterior, folder, folder.name)


def write_survey_card(path: Path, settings: dict) -> None:
    """Write the data card of a simulated survey with these settings, from its catalogue."""
    survey = kept_catalogue(**settings)
    survey.parameters = {"kind": "simulated", **settings}
    with replacing(path) as temporary:
        temporary.write_text(data_card(survey, path.parent.name))


def main(arguments: list[str] | None = None) -> None:
    options = read_command("cards", __doc__, arguments)
    n = 60 if options.smoke else N_GALAXIES
    survey = kept_catalogue(n, SEED)
    pictured = kept_pictures("cards", survey.catalogue, SEED, n)
    pictured.name = survey.name
    for description in sorted((options.folder / "models").glob("*/model.json")):
        measure_model(description.parent, pictured)
    settings = BOOK_SURVEY | ({"n_galaxies": 160} if options.smoke else {})
    write_survey_card(options.folder / "surveys" / "quick" / "README.md", settings)


if __name__ == "__main__":
    main()
