"""Trains and scores the models of the chapter on declared surveys."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from galcfm.paths import published_folder
from galcfm.posterior import Posterior
from galcfm.posterior.inputs import Observation
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from galcfm.training import RECIPES, train_models
from studies.declared import LACKING, REFERENCE, ROWS, STUDY, Plan, Row
from studies.declared.galaxies import with_image_features
from studies.frame import Place, kept_catalogue, over_trainings

EMBEDDED = "image_embedding"
EMBEDDED_SPLITS = {"validation": 0.05, "test": 0.05}
RECIPE = replace(RECIPES["quick"], batch_size=256)


def make(place: Place, run: Path, plan: Plan) -> dict:
    """Train and score what is not there yet, and return the result.

    Arguments:
        place: Folders of the result and of what a later call resumes from.
        run: Folder of the run, which is not read.
        plan: Galaxies and trainings.
    """
    model = Posterior.load(published_folder() / "models" / "image")
    key = STUDY.key(plan.settings, model.weights_digest)
    empty = {"embedding": {}, "labels": {}, "plan": plan.settings}
    empty["n_train_of_image_model"] = model.metadata["n_train"]
    results = STUDY.stored(place.folder, key) or empty
    for size in plan.training_sizes:
        if str(size) not in results["embedding"]:
            results["embedding"][str(size)] = embedded(place, plan, model, size)
            STUDY.store(place.folder, results, key)
    if set(results["labels"]) != set(ROWS):
        results["labels"] = with_missing_labels(place, plan)
    return STUDY.store(place.folder, results, key)


def embedded(place: Place, plan: Plan, model: Posterior, size: int) -> dict:
    """Train on the image features of a model, and return the gain over that model by split.

    Arguments:
        place: Where features and models are kept.
        plan: Galaxies and trainings.
        model: The image model.
        size: Number of training galaxies.
    """
    known = [plan.n_embedded, plan.embedded_seed]
    whole = with_features(place, plan, model, *known)
    split = whole.catalogue["split"].to_numpy()
    trained = np.flatnonzero(split == "train")[:size]
    survey = whole.select(np.concatenate([trained, np.flatnonzero(split != "train")]))
    recipe = replace(RECIPE, photometry_max_epochs=plan.embedded_epochs)
    used = [*known, model.weights_digest, size, asdict(recipe)]
    folder = place.shared("declared-embedded", used)
    own = train_models(survey, folder, recipe, ("photometry", EMBEDDED))[EMBEDDED]
    found = {"n_train": len(trained), "best_epoch": own.metadata["best_epoch"]}
    parts = {name: survey.split(name) for name in EMBEDDED_SPLITS}
    parts["new"] = with_features(place, plan, model, plan.n_new, plan.new_seed)
    for name, part in parts.items():
        f_img = torch.from_numpy(part.embeddings["image"])
        f_phot = model.standardised_features(Observation(part.magnitudes))
        ours = own.log_prob_from(part.properties, own.encode_survey(part), plan.steps)
        condition = torch.cat([f_img, f_phot], dim=1)
        theirs = model.log_prob_from(part.properties, condition, plan.steps)
        found[name] = over_trainings((ours - theirs).double()[None]) | {"n": len(part)}
    return found


def with_features(place: Place, plan: Plan, model: Posterior, n: int, seed: int) -> Survey:
    """Return n simulated galaxies with the image features of a model, which are kept."""
    catalogue = kept_catalogue(n, seed, **EMBEDDED_SPLITS)
    folder = place.shared("declared-features", [n, seed, model.weights_digest])
    return with_image_features(catalogue, seed, model, folder, plan.processes)


def with_missing_labels(place: Place, plan: Plan) -> dict:
    """Train with missing labels, and return gain and bias of each row.

    Arguments:
        place: Where models are kept.
        plan: Galaxies and trainings.
    """
    known = [plan.n_galaxies, plan.galaxies_seed]
    survey = kept_catalogue(*known, validation=0.1, test=0.1)
    recipe = replace(RECIPE, photometry_max_epochs=plan.max_epochs)
    is_test = survey.catalogue["split"].to_numpy() == "test"
    test = survey.select(np.flatnonzero(is_test))
    log_prob, found = {}, {}
    for name, row in tqdm(ROWS.items(), desc="rows with missing labels"):
        seen = with_labels_of(survey, row, plan)
        densities, means = [], []
        for seed in plan.seeds:
            used = [*known, plan.share, asdict(row), asdict(recipe), seed]
            folder = place.shared("declared-labels", used)
            own = replace(recipe, seed=seed)
            model = train_models(seen, folder, own, ("photometry",))["photometry"]
            condition = model.encode_survey(test)
            densities.append(model.log_prob_from(test.properties, condition, plan.steps).numpy())
            drawn = test.object_id, plan.n_draws, plan.steps, seed
            means.append(model.sample_from(condition, *drawn).numpy().mean(axis=1))
        log_prob[name] = np.array(densities, dtype=np.float64)
        found[name] = {}
        wrong = np.mean(means, axis=0) - test.properties
        lacking = lacking_of(survey, row.missing or "class", plan)[is_test]
        for group, rows in {"having": ~lacking, "lacking": lacking}.items():
            gain = over_trainings((log_prob[name] - log_prob[REFERENCE])[:, rows])
            found[name][group] = {"n": int(rows.sum()), "gain": gain} | bias_of(wrong[rows])
    return found


def lacking_of(survey: Survey, missing: str, plan: Plan) -> np.ndarray:
    """Return a mask of the galaxies that lack the oxygen abundance.

    Arguments:
        survey: The whole survey, with all labels.
        missing: `"class"` for the lowest specific star formation rates, or `"random"`.
        plan: Share of the galaxies that lack it.
    """
    if missing == "class":
        score = (survey.catalogue["log_sfr"] - survey.catalogue["log_stellar_mass"]).to_numpy()
    else:
        score = np.random.default_rng(plan.galaxies_seed).random(len(survey))
    return score < np.quantile(score, plan.share)


def with_labels_of(survey: Survey, row: Row, plan: Plan) -> Survey:
    """Return the survey with the labels of a row.

    Arguments:
        survey: Galaxies with all labels.
        row: Which labels are missing, and whether incomplete galaxies lose all labels.
        plan: Share of the galaxies that lack the oxygen abundance.
    """
    if not row.missing:
        return survey
    catalogue = survey.catalogue.copy()
    lacking = lacking_of(survey, row.missing, plan)
    catalogue.loc[lacking, list(PROPERTY_NAMES) if row.complete else LACKING] = np.nan
    return Survey(catalogue, None, survey.parameters, survey.name)


def bias_of(wrong: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the mean of posterior mean minus measured value by property, with its error.

    Arguments:
        wrong: Differences, `(n, 5)`.
    """
    errors = wrong.std(axis=0, ddof=1) / np.sqrt(len(wrong))
    return {
        "bias": dict(zip(PROPERTY_NAMES, wrong.mean(axis=0).tolist(), strict=True)),
        "bias_error": dict(zip(PROPERTY_NAMES, errors.tolist(), strict=True)),
    }
