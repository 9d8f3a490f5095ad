"""Models of photometry alone, small enough to publish.

They see all bands or those that there are, with or without the redshift, and are trained on a
large simulated catalogue. Chapter 13 trains them and tests two of them on real galaxies.
"""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from galcfm.posterior import Posterior
from galcfm.training import TrainingSettings, train
from studies import frame
from studies.frame import Place, Study, kept_catalogue, rows_of

STUDY = Study("photometry_models", "13_tried_on_the_sky")
MODELS = rows_of(dict, Path(__file__).with_suffix(".yaml"))
N_GALAXIES, SEED = 60_000, 61
SETTINGS = TrainingSettings(
    learning_rate=1.5e-3,
    batch_size=256,
    max_epochs=36,
    schedule="cosine",
    draws_per_galaxy=4,
    average_decay=0.998,
)


@dataclass(frozen=True)
class Plan(frame.Plan):
    """The models and their training.

    Arguments:
        any_bands: Whether models of any bands are trained too.
        n_galaxies: Number of simulated galaxies, a tenth of them each for validation and tests.
        galaxies_seed: Seed of the galaxies.
        max_epochs: Largest number of epochs; models of any bands have more, see `longer`.
    """

    any_bands: bool = True
    n_galaxies: int = N_GALAXIES
    galaxies_seed: int = SEED
    max_epochs: int = SETTINGS.max_epochs


def longer(settings: TrainingSettings) -> TrainingSettings:
    """Return how models of any bands are trained where others are trained with `settings`."""
    return replace(settings, max_epochs=settings.max_epochs * 25 // 3, hide_bands=True)


def make(place: Place, run: Path, plan: Plan) -> None:
    """Train the models that are not there yet and save each to a folder of its name; resumes."""
    # Which models are asked for changes none of them.
    common = {name: value for name, value in plan.settings.items() if name != "any_bands"}
    key = STUDY.key(common)
    found = STUDY.stored(place.folder, key) or {"models": {}}
    survey = kept_catalogue(plan.n_galaxies, plan.galaxies_seed)
    settings = replace(SETTINGS, max_epochs=plan.max_epochs)
    for name, sees in MODELS.items():
        of_any_bands = sees.get("missing_bands", False)
        if name not in found["models"] and (plan.any_bands or not of_any_bands):
            how = longer(settings) if of_any_bands else settings
            checkpoints = place.shared(STUDY.name, [STUDY.version, common]) / name
            posterior = train(Posterior("r_and_colours", **sees), survey, checkpoints, how)
            posterior.metadata |= {"command": STUDY.command, "date": str(date.today())}
            posterior.save(place.folder / "models" / name)
            numbers = ("n_train", "best_epoch", "best_validation_loss")
            found["models"][name] = {number: posterior.metadata[number] for number in numbers}
            found = STUDY.store(place.folder, found, key)
