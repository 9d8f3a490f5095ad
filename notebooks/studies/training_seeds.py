"""Trainings with several seeds: how certain is what the image adds?

`python -m studies.training_seeds` trains the photometry and the image model on the survey
`quick` by its recipe, once a seed, and writes the exact gain of each test galaxy to
`data/published/training_seeds.json`; called again, it goes on where it was stopped. `--seed 2`
trains one seed alone, so that several processes can share the work. Results repeat to the last
bit only with the same number of threads.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from galcfm.flow import FAST_STEPS
from galcfm.paths import run_folder, survey_folder, write_json
from studies.stored import key_of, read_command, store, stored
from galcfm.survey import Survey, read_description
from galcfm.training import RECIPES, Recipe, train_models

__all__ = ["gains", "over_trainings", "run", "summary"]


def gains(survey: Survey, folder: Path, recipe: Recipe) -> dict:
    """Gain of a recipe's image model over its photometry model on the test galaxies.

    Arguments:
        survey: the whole survey.
        folder: where the models go.
        recipe: of both trainings.

    Returns:
        `gain`, the exact difference in log-density of the true properties for each test galaxy
        [nat], and what is known of the trainings.
    """
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


def over_trainings(differences) -> dict[str, float]:
    """Mean gain of some trainings over galaxies, and its standard error.

    Arguments:
        differences: gain [nat] of each galaxy by training, `(trainings, n)`.

    Returns:
        `gain` and `standard_error` in nat; the latter holds the spread of the galaxies, whose
        gains are averaged over the trainings first, and `spread_over_trainings`.
    """
    table = np.asarray(differences)
    means = table.mean(axis=1)
    over_galaxies = table.mean(axis=0).std(ddof=1) / np.sqrt(table.shape[1])
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return {
        "gain": float(means.mean()),
        "standard_error": float(np.hypot(over_galaxies, spread / np.sqrt(len(means)))),
        "spread_over_trainings": spread,
    }


def summary(seeds: dict) -> dict:
    """`over_trainings` of the results of `gains` by seed, and the mean gain of each."""
    table = np.array([found["gain"] for found in seeds.values()])
    means = map(float, table.mean(axis=1))
    gain_of_seeds = dict(zip(seeds, means, strict=True))
    return {"n_test": table.shape[1], "gain_of_seeds": gain_of_seeds} | over_trainings(table)


def run(
    survey_name: str, folder: Path, path: Path, seeds, recipe: str = "quick", command: str = ""
) -> dict:
    """Train and judge each seed that `folder` does not hold yet; write all there are to `path`.

    Results of another recipe, another survey or other code are left alone and not counted.

    Arguments:
        survey_name: folder in `data/surveys`.
        folder: for models, and results a seed.
        path: JSON file of the results.
        seeds: which.
        recipe: see `galcfm.training.RECIPES`.
        command: that makes them.
    """
    where = survey_folder(survey_name)
    sums = {name: file["sha256"] for name, file in read_description(where)["files"].items()}
    key = key_of([sums, asdict(replace(RECIPES[recipe], seed=0))], "studies.training_seeds")
    folder, survey = folder / key, None
    for seed in seeds:
        result = folder / f"seed-{seed}.json"
        if not result.exists():
            survey = Survey.load(where) if survey is None else survey
            found = gains(survey, folder / f"seed-{seed}", replace(RECIPES[recipe], seed=seed))
            write_json(result, found)
    known = {
        file.stem.removeprefix("seed-"): json.loads(file.read_text())
        for file in sorted(folder.glob("seed-*.json"))
    }
    before = stored(path, key)
    if before is not None:
        known = before["seeds"] | known
    result = summary(known) | {"survey": survey_name, "recipe": recipe, "seeds": known}
    return store(path, result, key, command)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "training_seeds",
        __doc__,
        arguments,
        seed={"type": int, "nargs": "*", "default": [1, 2, 3], "help": "which seeds"},
    )
    profile, recipe = ("smoke", "rehearsal") if options.smoke else ("quick", "quick")
    results = run(
        profile,
        run_folder(profile, "seeds"),
        options.folder / "training_seeds.json",
        options.seed,
        recipe,
        options.command,
    )
    for seed, gain in results["gain_of_seeds"].items():
        print(f"seed {seed}: {gain:+.4f} nat")
    print(f"all: {results['gain']:+.4f} ± {results['standard_error']:.4f} nat")


if __name__ == "__main__":
    main()
