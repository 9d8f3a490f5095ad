"""Make the results at the paper's size: simulate, train, draw, evaluate.

Each step keeps what it made, so the same call resumes after an interruption.
"""

import shutil
import time
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from galcfm import metrics, stored_posteriors
from galcfm.figures.planes import spread_galaxies
from galcfm.flow import FAST_STEPS
from galcfm.json_files import JsonFile
from galcfm.paths import published_folder, replacing, survey_folder
from galcfm.posterior import Posterior
from galcfm.posterior.files import MODEL
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import simulate_survey
from galcfm.survey import Survey, read_description
from galcfm.training import Recipe, train_models
from studies.frame import Place, Study, over_trainings, write_table
from studies.paper_scale import MODELS, STUDY, WITH_REDSHIFT, Plan

PAPERS_GALAXIES = 106_800
N_SHOWN = 3  # galaxies of corner plots, all of whose draws are stored
# Models that are published, by study.
PUBLISHED_MODELS = {STUDY.name: "image", WITH_REDSHIFT.name: "image_redshift"}
SAMPLING = JsonFile("sampling.json", dict[str, Any], "Delete it: the next call measures again.")


def make(study: Study, place: Place, plan: Plan) -> None:
    """Make a result, or resume.

    Arguments:
        study: Study of the result.
        place: Folders to write to.
        plan: Recipe, numbers of galaxies and numbers of draws.
    """
    key = study.key(plan.settings)
    if study.stored(place.folder, key):
        return
    recipe = Recipe.of(plan.settings)
    survey = simulate_survey(survey_of(plan.n_galaxies), plan.n_galaxies, 1)
    folder = trained_models(study, place, plan, recipe, survey)
    test = survey.split("test")
    log_p = log_densities(folder, plan, test)
    image = log_p.pop("image")
    results = {
        "gain": {
            "n_test": len(test),
            "log_p_image": float(image.mean()),
            "log_p_photometry": {seed: float(values.mean()) for seed, values in log_p.items()},
            **over_trainings([image - values for values in log_p.values()]),
        },
        "recipe": asdict(recipe),
        "plan": plan.settings,
        "survey": read_description(survey_of(plan.n_galaxies)).get("provenance"),
    }
    models = {name: Posterior.load(folder / name) for name in MODELS}
    test = test.select(range(min(plan.n_test, len(test))))
    for name, values in (("photometry", log_p["1"]), ("image", image)):
        results[name] = {
            "log_p": float(values[: len(test)].mean()),
            "training": training_of(folder / name, models[name]),
        }
    if plan.n_samples:
        results["sampling"] = sample(models, test, plan, place.work)
        prior = Posterior.load(folder / "prior")
        evaluate(results, study, place, plan, survey, test, models, prior)
    if study.name in PUBLISHED_MODELS:
        target = place.folder / "models" / PUBLISHED_MODELS[study.name]
        if not trained_alike(target, recipe, survey):
            origin = {"command": study.command, "date": str(date.today())}
            copy_model(folder / "image", target, **origin, gain=results["gain"])
    study.store(place.folder, results, key)


def survey_of(n_galaxies: int) -> Path:
    """Return the folder of the survey: at the paper's size that of the profile `paper`."""
    return survey_folder("paper" if n_galaxies == PAPERS_GALAXIES else f"paper-{n_galaxies}")


def trained_models(study, place, plan, recipe: Recipe, survey: Survey) -> Path:
    """Train prior, photometry and image model, and photometry models with the further seeds.

    A published image model with the same training is taken as it is.

    Returns:
        Folder of the models. A training at a constant learning rate resumes there with more epochs.
    """
    known = asdict(recipe)
    if recipe.schedule == "constant":
        known["max_epochs"] = None
    folder = place.shared("paper_scale-models", [plan.n_galaxies, known])
    image = folder / "image"
    published = published_folder() / "models" / PUBLISHED_MODELS.get(study.name, "none")
    if not image.exists() and trained_alike(published, recipe, survey):
        copy_model(published, image)
    names = ["prior", *MODELS] if plan.n_samples else list(MODELS)
    if trained_alike(image, recipe, survey):
        names.remove("image")
    train_models(survey, folder, recipe, names)
    for seed in plan.seeds:
        train_models(survey, folder / f"seed-{seed}", replace(recipe, seed=seed), ["photometry"])
    return folder


def trained_alike(model: Path, recipe: Recipe, survey: Survey) -> bool:
    """Return whether a folder has the finished image model of this recipe and survey."""
    if not (model / "model.json").exists():
        return False
    found = MODEL.read(model / "model.json")
    same_survey = found["metadata"].get("survey") == Path(survey.name).name
    return same_survey and found["metadata"].get("settings") == asdict(recipe.settings("image"))


def copy_model(source: Path, target: Path, **metadata) -> None:
    """Copy a model, whose commit and machine stay those of its training, and add metadata."""
    description = MODEL.read(source / "model.json")
    description["metadata"] |= metadata
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.safetensors"):
        with replacing(target / file.name) as temporary:
            shutil.copyfile(file, temporary)
    MODEL.write(target / "model.json", description)


def log_densities(folder: Path, plan: Plan, test: Survey) -> dict[str, np.ndarray]:
    """Return the exact log-density [nat] of each test galaxy, by `"image"` and photometry seed."""
    folders = {"image": folder / "image", "1": folder / "photometry"}
    folders |= {str(seed): folder / f"seed-{seed}" / "photometry" for seed in plan.seeds}
    found = {}
    for name, where in folders.items():
        model = Posterior.load(where)
        values = model.log_prob_from(test.properties, model.encode_survey(test), 2 * FAST_STEPS)
        found[name] = values.double().numpy()
    return found


def training_of(folder: Path, model: Posterior) -> dict:
    """Return metadata, size and, if it was trained here, history of a model."""
    history = folder / "training.csv"
    return {
        **model.metadata,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "history": pd.read_csv(history).to_dict("list") if history.exists() else {},
    }


def device_name() -> dict[str, str]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": device, "torch": torch.__version__}


def sample(models: dict[str, Posterior], test: Survey, plan: Plan, work: Path) -> dict:
    """Draw the posteriors of the test galaxies, keep them in `work`, and measure the speed."""
    notes = work / "sampling.json"
    settings = {"n_samples": plan.n_samples, "steps": plan.steps}
    done = SAMPLING.read(notes) if notes.exists() else dict(settings)
    for name, model in models.items():
        drawn = work / f"posteriors_{name}.nc"
        if drawn.exists() and done.get(name, {}).get("weights") == model.weights_digest:
            continue
        # What a first call alone does is not timed, nor is the encoding.
        model.infer(test.select(range(2)), n_samples=4, steps=1, progress=False)
        encoding, _ = timed(model.encode_survey, test)
        seconds, posteriors = timed(model.infer, test, **settings)
        one_galaxy, _ = timed(model.infer, test.select(range(1)), **settings, progress=False)
        stored_posteriors.save_posteriors(posteriors, drawn)
        done[name] = {
            "weights": model.weights_digest,
            "galaxies_per_second": len(test) / (seconds - encoding),
            "one_galaxy_seconds": one_galaxy,
            "encoding_galaxies_per_second": len(test) / encoding,
        }
        SAMPLING.write(notes, done)
    return done | device_name()


def timed(function, *arguments, **options):
    """Return the seconds that a call takes, and what it returns."""
    started = time.perf_counter()
    found = function(*arguments, **options)
    return time.perf_counter() - started, found


def evaluate(results: dict, study, place, plan, survey, test, models, prior) -> None:
    """Add the metrics to `results`; write the table of galaxies, some draws and some pictures.

    Densities are integrated in twice the steps that suffice (`galcfm.flow.FAST_STEPS`).
    """
    theta_train = survey.split("train").properties
    for name, model in models.items():
        posteriors = stored_posteriors.load_posteriors(place.work / f"posteriors_{name}.nc")
        exact = stored_posteriors.exact_log_densities(
            model, prior, test, n_kl=len(test), n_kl_samples=plan.n_kl_samples, steps=2 * FAST_STEPS
        )
        samples = stored_posteriors.samples_array(posteriors)
        densities = {
            "exact": exact,
            "exact_kde_prior": metrics.with_kde_prior(exact, samples, test.properties, theta_train),
        }
        results[name] |= metrics.evaluate(samples, test.properties, theta_train, densities)
        keep_draws(posteriors, place.folder / f"{study.name}_{name}", plan.n_kept)
    results["comparison"] = metrics.compare(results["image"], results["photometry"])
    table = test.catalogue[["object_id", "redshift", *PROPERTY_NAMES]].copy()
    for name in MODELS:
        galaxies = results[name].pop("galaxies")
        for metric in ("delta_log_p", "d_kl"):
            for kind, values in galaxies[metric].items():
                table[f"{name}/{metric}/{kind}"] = values
    write_table(place.folder / f"{study.name}.parquet", table)
    shown = sorted({*range(N_SHOWN), *spread_galaxies(test.properties, 6).tolist()})
    with replacing(place.folder / f"{study.name}_pictures.npz") as temporary:
        np.savez_compressed(temporary, rows=shown, images=test.images[shown])


def keep_draws(posteriors, stem: Path, n_kept: int) -> None:
    """Write the first draws of all galaxies, and all draws of the first galaxies, as integers.

    Each property's range is divided into 65,000 steps: 10⁻⁴ of its spread.

    Arguments:
        posteriors: Dataset of `Posterior.infer`.
        stem: Path of both files without `.nc` and `_shown.nc`.
        n_kept: Draws per galaxy in the first file.
    """
    few = posteriors.isel(draw=slice(n_kept // posteriors.sizes["chain"]))
    for part, of_part in (("", few), ("_shown", posteriors.isel(object_id=slice(N_SHOWN)))):
        of_part = of_part.copy()
        for variable in of_part.data_vars.values():
            low, high = float(variable.min()), float(variable.max())
            variable.encoding = {
                "dtype": "int16",
                "scale_factor": (high - low) / 65_000,
                "add_offset": (high + low) / 2,
                "_FillValue": -(1 << 15),
                "zlib": True,
                "shuffle": True,
            }
        stored_posteriors.save_posteriors(of_part, stem.with_name(f"{stem.name}{part}.nc"))
