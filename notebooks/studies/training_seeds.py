"""Trainings with several seeds: how certain is what the image adds?

Both models are trained by the recipe of the profile `quick` on the same galaxies as there, once for
each seed. Results repeat to the last bit only with the same number of threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import number, with_error
from galcfm.survey import Survey
from studies.frame import BOOK_SURVEY, ModelPlan, Place, Study, over_trainings

STUDY = Study("training_seeds", "06_what_a_picture_is_worth", parameter="results_training_seeds")


@dataclass(frozen=True)
class Plan(ModelPlan):
    """The survey and the recipe of the profile `quick`."""

    n_galaxies: int = BOOK_SURVEY["n_galaxies"]
    survey_seed: int = BOOK_SURVEY["seed"]
    validation_fraction: float = BOOK_SURVEY["validation"]
    test_fraction: float = BOOK_SURVEY["test"]
    image_crop: int = 128
    image_bin: int | None = None


def gains(survey: Survey, folder: Path, recipe) -> dict:
    """Return the gain of the image model over the photometry model on the test galaxies.

    Arguments:
        survey: The whole survey.
        folder: Folder of the models.
        recipe: `galcfm.training.Recipe` of both.

    Returns:
        `gain`, the exact difference in log-density of the measured properties of each test galaxy
        [nat], and `trainings`, what is known of each.
    """
    from galcfm.flow import FAST_STEPS
    from galcfm.training import train_models

    models = train_models(survey, folder, recipe, ("photometry", "image"))
    test = survey.split("test")
    log_prob = {
        name: model.log_prob_from(test.properties, model.encode_survey(test), 2 * FAST_STEPS)
        for name, model in models.items()
    }
    gain = (log_prob["image"] - log_prob["photometry"]).double().numpy()
    kept = ("best_epoch", "best_validation_loss", "seconds", "device", "n_train")
    return {
        "gain": [round(float(x), 4) for x in gain],
        "trainings": {name: {k: m.metadata[k] for k in kept} for name, m in models.items()},
    }


def make(place: Place, run: Path, plan: Plan, seeds: Sequence[int]) -> dict:
    """Make the seeds that are missing in a place, and return the results.

    Arguments:
        place: Where the results and the models go.
        run: Folder of the run, which is not read.
        plan: Survey and recipe.
        seeds: Seeds of the trainings.
    """
    key = STUDY.key(plan.settings)
    results = STUDY.stored(place.folder, key) or {"seeds": {}}
    for seed in seeds:
        if str(seed) not in results["seeds"]:
            survey = plan.pictures("book", plan.catalogue().catalogue)
            found = gains(survey, place.work / f"seed-{seed}", plan.training(seed=seed))
            known = results["seeds"] | {str(seed): found}
            table = np.array([of_seed["gain"] for of_seed in known.values()])
            results = over_trainings(table) | {
                "n_test": table.shape[1],
                "gain_of_seeds": dict(zip(known, table.mean(axis=1).tolist(), strict=True)),
                "plan": plan.settings,
                "seeds": known,
            }
            results = STUDY.store(place.folder, results, key)
    return results


def table(results: Mapping, experiments: Mapping) -> pd.DataFrame:
    """Return what the image adds over photometry [nat], training by training, and two controls.

    Arguments:
        results: Content of the result.
        experiments: `experiments` of the result of `studies.picture_controls`.
    """
    shape = experiments["shape"]["gain"]
    rows = {
        f"image model, seed {seed}": (gain, number(gain, 3, "+"))
        for seed, gain in results["gain_of_seeds"].items()
    }
    rows |= {
        name: (found["gain"], with_error(found["gain"], found["standard_error"], sign="+"))
        for name, found in {
            "image model, all seeds": results,
            "control: six measurements of the image": experiments["picture"],
            "control: three true values of the shape": experiments["shape"],
        }.items()
    }
    columns = {
        name: {"gain [nat]": text, "relative to the true shape [%]": number(100 * gain / shape, 0)}
        for name, (gain, text) in rows.items()
    }
    return pd.DataFrame.from_dict(columns, orient="index")
