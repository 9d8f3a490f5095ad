"""Trainings with several seeds: how certain is what the image adds, and what limits it?

`python -m galcfm.seeds` trains the photometry and the image model on the survey `quick` by the
recipe of notebook 02, once a seed, and then variants of the image model with the first seed. The
exact gain of each test galaxy goes to `data/published/training_seeds.json`; called again, it goes
on where it was stopped. Results repeat to the last bit only with the same number of threads.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np

from galcfm.flow import FAST_STEPS
from galcfm.paths import published_folder, run_folder, survey_folder, write_json
from galcfm.recipes import train_models
from galcfm.survey import Survey, provenance, read_description

__all__ = ["SEEDS", "VARIANTS", "compare_variants", "gains", "run", "summary"]

SEEDS = (1, 2, 3)
# What may limit the image model, as changes to the recipe.
VARIANTS = {
    "twice the epochs": {"max_epochs": 32},
    "128×128 pixels, not 64×64": {"image_bin": 1},
    "twice the channels": {"encoder_widths": [32, 64, 128, 256]},
}


def gains(survey: Survey, folder: Path, seed: int, recipe: str = "quick", **changes) -> dict:
    """Gain of one seed's image model over its photometry model on the test galaxies.

    Arguments:
        survey: the whole survey.
        folder: where the models go.
        seed: of both trainings.
        recipe: see `galcfm.recipes.train_models`, as `changes`.

    Returns:
        `gain`, the exact difference in log-density of the true properties for each test galaxy
        [nat], and what is known of the trainings.
    """
    models = train_models(
        survey, folder, recipe, names=("photometry", "image"), seed=seed, **changes
    )
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


def summary(seeds: dict) -> dict:
    """Mean gain over seeds and galaxies, and its standard error.

    Arguments:
        seeds: results of `gains` by seed.

    Returns:
        `gain` and `standard_error` in nat; the latter holds the spread of the galaxies, whose
        gains are averaged over the seeds first, and that of the trainings.
    """
    table = np.array([seeds[seed]["gain"] for seed in seeds])
    means = table.mean(axis=1)
    over_galaxies = table.mean(axis=0).std(ddof=1) / np.sqrt(table.shape[1])
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    error = float(np.hypot(over_galaxies, spread / np.sqrt(len(means))))
    return {
        "n_test": table.shape[1],
        "gain_of_seeds": dict(zip(seeds, map(float, means), strict=True)),
        "gain": float(means.mean()),
        "standard_error": error,
        "spread_over_trainings": spread,
    }


def compare_variants(seed: dict, variants: dict) -> dict:
    """Mean gain of each variant over that of the recipe, the same seed and galaxies.

    Arguments:
        seed: result of `gains` by the recipe.
        variants: results of `gains` by variants of it, by name.

    Returns:
        By name `difference` and `standard_error` in nat, and `seconds` of the image training.
    """
    found = {}
    for name, variant in variants.items():
        differences = np.subtract(variant["gain"], seed["gain"])
        found[name] = {
            "difference": float(differences.mean()),
            "standard_error": float(differences.std(ddof=1) / np.sqrt(len(differences))),
            "seconds": variant["trainings"]["image"]["seconds"],
        }
    return found


def run(
    survey_name: str,
    folder: Path,
    path: Path,
    seeds=SEEDS,
    variants=VARIANTS,
    recipe: str = "quick",
) -> dict:
    """Train and judge what `folder` does not hold yet; write all to `path`.

    Arguments:
        survey_name: folder in `data/surveys`.
        folder: for models, and results a training.
        path: JSON file of the results.
        seeds: of the trainings; variants have the first of them.
        variants: changes to the recipe by name.
        recipe: see `galcfm.recipes.RECIPES`.
    """
    where = survey_folder(survey_name)
    sums = {name: file["sha256"] for name, file in read_description(where)["files"].items()}
    survey = None
    plan = {f"seed-{seed}": (seed, {}) for seed in seeds}
    plan |= {f"variant-{k}": (seeds[0], changes) for k, changes in enumerate(variants.values())}
    known = {}
    for name, (seed, changes) in plan.items():
        result, asked = folder / f"{name}.json", {"survey_sha256": sums, "changes": changes}
        before = json.loads(result.read_text()) if result.exists() else {}
        if any(before.get(key) != value for key, value in asked.items()):
            survey = Survey.load(where) if survey is None else survey
            before = gains(survey, folder / name, seed, recipe, **changes)
            before |= asked | {"made": provenance()}
            write_json(result, before)
        known[name] = before
    by_seed = {str(seed): known[f"seed-{seed}"] for seed in seeds}
    by_variant = {name: known[f"variant-{k}"] for k, name in enumerate(variants)}
    results = summary(by_seed) | {
        "variants": compare_variants(by_seed[str(seeds[0])], by_variant),
        "command": "python -m galcfm.seeds",
        "date": str(date.today()),
        "survey": survey_name,
        "recipe": recipe,
        "seeds": by_seed,
        "made": provenance(),
    }
    write_json(path, results)
    return results


def main() -> None:
    argparse.ArgumentParser(prog="python -m galcfm.seeds", description=__doc__).parse_args()
    results = run("quick", run_folder("quick", "seeds"), published_folder() / "training_seeds.json")
    for seed, gain in results["gain_of_seeds"].items():
        print(f"seed {seed}: {gain:+.4f} nat")
    print(f"all: {results['gain']:+.4f} ± {results['standard_error']:.4f} nat")
    for name, found in results["variants"].items():
        print(f"{name}: {found['difference']:+.4f} ± {found['standard_error']:.4f} nat more")


if __name__ == "__main__":
    main()
