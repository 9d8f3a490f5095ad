"""The paper's sizes in commands that each can be stopped, on a GPU or without one.

`python -m studies.paper_scale STAGE [--recipe tuned] [--limit-seconds 570] [--rehearse]`.
The stages are `simulate` (106,800 galaxies at 128×128 pixels; needs GalSim), `train`, `seeds`
(more photometry models), `throughput`, `sample` and `summarise`, in this order; recipes are
`tuned`, for a GPU, `tuned_cpu`, `quick` and `paper`. After `train`, `publish` is for whom the
image model and its gain are enough. A stage that reaches its limit exits with code 75: call it
again until the code is 0. `simulate`, `train` and `seeds` go on where they were, `sample` with the
next model; `throughput` and `summarise` begin again; an image model that is published and was
trained with the same settings is taken as it is. `--max-epochs` is a budget of the image model;
with the paper's recipe a larger one goes on from there. With `--redshift` both models are told the
redshift. `--rehearse` does it all small on any computer. No notebook and nothing of the book is
needed.
"""

import argparse
import json
import math
import shutil
import signal
import statistics
import sys
import time
from dataclasses import asdict, replace
from datetime import date
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from galcfm.paths import data_folder, published_folder, replacing, survey_folder, write_json

__all__ = ["OUT_OF_TIME", "extrapolated", "load_scale", "main"]

OUT_OF_TIME = 75  # exit code: call again (EX_TEMPFAIL of sysexits.h)
CORE = ("torch", "lightning", "numpy", "scipy", "pandas", "pyarrow", "yaml", "safetensors", "tqdm")
BEYOND_CORE = {
    "simulate": ("galsim", "joblib", "PIL"),
    "sample": ("xarray", "h5netcdf"),
    "summarise": ("xarray", "h5netcdf", "matplotlib"),
}
MODELS = ("photometry", "image")
SEEDS = (2, 3)  # of further photometry models
REDSHIFT = "_redshift"  # of names
N_SHOWN = 3  # galaxies of corner plots, all of whose draws are published
SIZES = {
    "n_galaxies": 106_800,  # as notebook 01 has it
    "n_test": 1000,
    "n_samples": 1000,
    "n_kept": 100,  # of the draws of each galaxy, published
    "n_kl_samples": 50,
    "steps": 100,
    "product_size": 8192,
    "throughput_images": 20_480,
}
REHEARSAL = {
    "n_galaxies": 300,
    "n_test": 8,
    "n_samples": 40,
    "n_kept": 20,
    "n_kl_samples": 20,
    "steps": 10,
    "product_size": 256,
    "throughput_images": 64,
}


class OutOfTime(Exception):
    """The time limit of a command has passed."""


def simulate(folder: Path, sizes: dict, recipe) -> None:
    """Make the survey, or go on with it."""
    from galcfm.simulate import simulate_survey

    simulate_survey(survey_of(folder, sizes), sizes["n_galaxies"], 1)


def train(folder: Path, sizes: dict, recipe) -> None:
    """Train prior, photometry and image model, or go on with them.

    The published image model is not trained again, if it was trained in this way.
    """
    from galcfm.survey import Survey
    from galcfm.training import train_models

    names = ["prior", *MODELS]
    published = published_image(folder, sizes, recipe)
    if not (folder / "image").exists() and trained_alike(published, recipe):
        copy_model(published, folder / "image")
    if trained_alike(folder / "image", recipe):
        names.remove("image")
    survey = Survey.load(survey_of(folder, sizes))
    for name, model in train_models(survey, folder, recipe, names).items():
        print(f"{name}: {model.metadata}", flush=True)


def seeds(folder: Path, sizes: dict, recipe) -> None:
    """Train photometry models with other seeds, or go on with them."""
    from galcfm.survey import Survey
    from galcfm.training import train_models

    survey = Survey.load(survey_of(folder, sizes))
    for seed in SEEDS:
        train_models(survey, seed_folder(folder, seed), replace(recipe, seed=seed), ["photometry"])


def throughput(folder: Path, sizes: dict, recipe) -> None:
    """Training images a second of the image model, its weights left alone."""
    import numpy as np
    import torch

    from galcfm.posterior import Posterior
    from galcfm.survey import Survey
    from galcfm.training import TrainingSettings, seconds_an_epoch

    model = Posterior.load(folder / "image")
    survey = Survey.load(survey_of(folder, sizes))
    n = min(sizes["throughput_images"], len(survey))
    survey, rates = survey.select(np.arange(n)), {}
    for half_precision in (False, True) if model.device.type == "cuda" else (False,):
        settings = model.metadata["settings"] | {"half_precision": half_precision}
        seconds = seconds_an_epoch(model, survey, TrainingSettings(**settings), 4)
        rates["bfloat16" if half_precision else "float32"] = n / statistics.median(seconds[1:])
    note(folder, "throughput", {"images": n, "images_per_second": rates})
    if model.device.type == "cuda":
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def sample(folder: Path, sizes: dict, recipe) -> None:
    """Draw the posteriors of the test galaxies of both models, and time it."""
    from galcfm.posterior import Posterior, default_device
    from galcfm.stored_posteriors import save_posteriors

    test = test_galaxies(folder, sizes)
    peak = product_peak(default_device(), sizes["product_size"])
    done = notes_of(folder).get("sampling", {})
    for name in MODELS:
        model = Posterior.load(folder / name)
        drawn = folder / f"posteriors_{name}.nc"
        if drawn.exists() and done.get(name, {}).get("weights") == model.weights_digest:
            continue
        plan = {"n_samples": sizes["n_samples"], "steps": sizes["steps"]}
        # What a first call alone does is not timed, nor is the encoding.
        model.infer(test.select(range(2)), n_samples=4, steps=1, progress=False)
        started = time.perf_counter()
        model.encode_survey(test)
        encoding = time.perf_counter() - started
        started = time.perf_counter()
        posteriors = model.infer(test, **plan)
        seconds = time.perf_counter() - started - encoding
        started = time.perf_counter()
        model.infer(test.select(range(1)), **plan, progress=False)
        layers = model.flow.network.hidden
        widths = [1 + model.flow.dim, *(x.out_features for x in layers), model.flow.dim]
        flops = 2 * sum(a * b for a, b in pairwise(widths))
        flops *= 4 * sizes["steps"] * len(test) * sizes["n_samples"]
        found = {
            "weights": model.weights_digest,
            "galaxies_per_second": len(test) / seconds,
            "share_of_product_peak": flops / seconds / peak,
            "one_galaxy_seconds": time.perf_counter() - started,
            "encoding_galaxies_per_second": len(test) / encoding,
        }
        save_posteriors(posteriors, drawn)
        done |= {name: found, "product_tflops": peak / 1e12} | sizes
        note(folder, "sampling", done)


def summarise(folder: Path, sizes: dict, recipe) -> None:
    """Metrics, some draws and pictures of the test posteriors, and the image model, to publish.

    Densities are integrated in twice the steps that suffice (`galcfm.flow.FAST_STEPS`).
    """
    import numpy as np

    from galcfm import metrics
    from galcfm.figures.models import spread_galaxies
    from galcfm.flow import FAST_STEPS
    from galcfm.posterior import Posterior
    from galcfm.stored_posteriors import exact_log_densities, load_posteriors, samples_array
    from studies.stored import key_of, store
    from galcfm.survey import Survey
    from galcfm.survey.disk import read_description

    survey = Survey.load(survey_of(folder, sizes))
    theta_train = survey.properties[(survey.catalogue["split"] == "train").to_numpy()]
    test = test_galaxies(folder, sizes)
    target = published_of(folder, sizes)
    prior = Posterior.load(folder / "prior")
    results, table = {}, test.catalogue.drop(columns="split")
    for name in MODELS:
        model = Posterior.load(folder / name)
        if notes_of(folder)["sampling"].get(name, {}).get("weights") != model.weights_digest:
            raise ValueError(f"{folder} has draws of another {name} model: call sample first")
        posteriors = load_posteriors(folder / f"posteriors_{name}.nc")
        exact = exact_log_densities(
            model,
            prior,
            test,
            n_kl=len(test),
            n_kl_samples=sizes["n_kl_samples"],
            steps=2 * FAST_STEPS,
        )
        samples = samples_array(posteriors)
        densities = {
            "exact": exact,
            "exact_kde_prior": metrics.with_kde_prior(exact, samples, test.properties, theta_train),
        }
        results[name] = metrics.evaluate(samples, test.properties, theta_train, densities)
        results[name]["log_p"] = float(exact.posterior_truth.mean())
        results[name]["training"] = trained(folder / name, model)
        keep_draws(posteriors, target / "paper_scale", f"{folder.name}_{name}", sizes["n_kept"])
    comparison = metrics.compare(results["image"], results["photometry"])
    for name in MODELS:
        galaxies = results[name].pop("galaxies")
        for metric in ("delta_log_p", "d_kl"):
            for kind, values in galaxies[metric].items():
                table[f"{name}/{metric}/{kind}"] = values
    results["gain"] = gain(folder, survey.split("test"))
    if recipe.warm_start:  # the paper's starts cold
        publish_image(folder, sizes, recipe, results["gain"])
    results |= {"comparison": comparison, "recipe": asdict(recipe), "sizes": sizes}
    results |= notes_of(folder)
    results["survey"] = read_description(survey_of(folder, sizes)).get("provenance")
    key = key_of([asdict(recipe), sizes], "studies.paper_scale")
    path = target / "paper_scale" / f"{folder.name}.json"
    store(path, results, key, command_of("summarise", folder))
    with replacing(target / "paper_scale" / f"{folder.name}.parquet") as temporary:
        table.to_parquet(temporary, compression="zstd")
    shown = sorted({*range(N_SHOWN), *spread_galaxies(test.properties, 6).tolist()})
    with replacing(target / "paper_scale" / "pictures.npz") as temporary:
        np.savez_compressed(temporary, rows=shown, images=test.images[shown])


def publish(folder: Path, sizes: dict, recipe) -> None:
    """The image model, with what it adds to the photometry model, to publish."""
    from galcfm.survey import Survey

    test = Survey.load(survey_of(folder, sizes)).split("test")
    publish_image(folder, sizes, recipe, gain(folder, test))


def publish_image(folder: Path, sizes: dict, recipe, gain: dict) -> None:
    """Copy the image model to where it is published, unless it came from there."""
    published = published_image(folder, sizes, recipe)
    if not trained_alike(published, recipe):
        told = {"command": command_of("train", folder), "date": str(date.today()), "gain": gain}
        copy_model(folder / "image", published, **told)


def command_of(stage: str, folder: Path) -> str:
    """The command that does a stage in a folder of models."""
    name, told, _ = folder.name.partition(REDSHIFT)
    options = f"--recipe {name}" + " --redshift" * bool(told)
    return f"python -m studies.paper_scale {stage} {options}"


def published_image(folder: Path, sizes: dict, recipe) -> Path:
    """Where the image model goes once it is summarised."""
    name = "image" + REDSHIFT * recipe.use_redshift
    return published_of(folder, sizes) / "models" / name


def trained_alike(model: Path, recipe) -> bool:
    """Whether a model's training is finished, and was of the recipe's image model."""
    if not (model / "model.json").exists():
        return False
    settings = json.loads((model / "model.json").read_text())["metadata"].get("settings")
    return settings == asdict(recipe.settings("image"))


def copy_model(source: Path, target: Path, **metadata) -> None:
    """Copy a model, whose commit and machine stay those of its training, and say more of it."""
    description = json.loads((source / "model.json").read_text())
    description["metadata"] |= metadata
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.safetensors"):
        with replacing(target / file.name) as temporary:
            shutil.copyfile(file, temporary)
    write_json(target / "model.json", description)


def gain(folder: Path, test) -> dict:
    """What the image adds on these galaxies, over each photometry model that there is [nat]."""
    from galcfm.flow import FAST_STEPS
    from galcfm.posterior import Posterior
    from studies.training_seeds import over_trainings

    folders = {"1": folder / "photometry"}
    folders |= {str(seed): seed_folder(folder, seed) / "photometry" for seed in SEEDS}
    log_prob = {}
    for name, where in ({"image": folder / "image"} | folders).items():
        if (where / "model.json").exists():
            model = Posterior.load(where)
            found = model.log_prob_from(test.properties, model.encode_survey(test), 2 * FAST_STEPS)
            log_prob[name] = found.double().numpy()
    image = log_prob.pop("image")
    return {
        "n_test": len(test),
        "log_p_image": float(image.mean()),
        "log_p_photometry": {seed: float(values.mean()) for seed, values in log_prob.items()},
        **over_trainings([image - values for values in log_prob.values()]),
    }


def trained(folder: Path, model) -> dict:
    """How a model came about: metadata, settings, size and, of one trained here, its history."""
    import pandas as pd

    history = folder / "training.csv"
    return {
        **model.metadata,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "history": pd.read_csv(history).to_dict("list") if history.exists() else {},
    }


def keep_draws(posteriors, folder: Path, name: str, n_kept: int) -> None:
    """Write the first draws of all galaxies, and all draws of the first galaxies, as integers.

    Each property's range is divided into 65,000 steps: 10⁻⁴ of its spread.
    """
    from galcfm.stored_posteriors import save_posteriors

    folder.mkdir(parents=True, exist_ok=True)
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
        save_posteriors(of_part, folder / f"{name}{part}.nc")


def load_scale(recipe: str):
    """What `summarise` published of a recipe.

    Returns:
        The results; the table of test galaxies; by model the draws of all galaxies and those of
        the galaxies shown; and cutouts `(n, 128, 128, 3)`, black where none is kept.
    """
    import numpy as np
    import pandas as pd

    from galcfm.stored_posteriors import load_posteriors

    folder = published_folder() / "paper_scale"
    table = pd.read_parquet(folder / f"{recipe}.parquet")
    draws, shown = (
        {name: load_posteriors(folder / f"{recipe}_{name}{part}.nc") for name in MODELS}
        for part in ("", "_shown")
    )
    with np.load(folder / "pictures.npz") as pictures:
        images = np.zeros((len(table), *pictures["images"].shape[1:]), np.uint8)
        images[pictures["rows"]] = pictures["images"]
    return json.loads((folder / f"{recipe}.json").read_text()), table, draws, shown, images


def extrapolated(history: dict, epochs: int) -> dict[str, float]:
    """Where a validation loss would be after more epochs of a constant learning rate.

    A power law of the epoch with a floor, L = a + b epoch^-c, is fitted by least squares.

    Arguments:
        history: of a training, with `validation_loss`.
        epochs: how many.

    Returns:
        `loss` at `epochs` with the `standard_error` of the fit alone; `best` of those measured;
        `still_to_fall`, their difference.

    Raises:
        ValueError: there are fewer than five epochs, too few for three coefficients.
    """
    import numpy as np
    from scipy.optimize import curve_fit

    losses = np.asarray(history["validation_loss"])
    if len(losses) < 5:
        raise ValueError(f"{len(losses)} epochs tell no curve: train for five at least")
    epoch = np.arange(1.0, len(losses) + 1)

    def law(epoch, floor, height, power):
        return floor + height * epoch**-power

    start = losses.min(), max(np.ptp(losses), 1e-6), 0.5
    bounds = (-np.inf, 0, 0.01), (np.inf, np.inf, 5)
    found, covariance = curve_fit(law, epoch, losses, start, bounds=bounds, max_nfev=20_000)
    loss = law(epochs, *found)
    height, power = found[1:]
    gradient = np.array([1, epochs**-power, -height * np.log(epochs) * epochs**-power])
    error = float(np.sqrt(gradient @ covariance @ gradient))
    best = float(losses.min())
    return {
        "best": best,
        "loss": float(loss),
        "standard_error": error,
        "still_to_fall": best - float(loss),
    }


STAGES = {f.__name__: f for f in (simulate, train, seeds, throughput, publish, sample, summarise)}


def published_of(folder: Path, sizes: dict) -> Path:
    """Folder of what is published."""
    return published_folder() if sizes is SIZES else folder.parent / "published"


def survey_of(folder: Path, sizes: dict) -> Path:
    """Folder of the survey: that of the profile `paper`, which the notebooks use as well."""
    return survey_folder("paper") if sizes is SIZES else folder.parent / "survey"


def seed_folder(folder: Path, seed: int) -> Path:
    """Folder of the models of another seed."""
    return folder / f"seed-{seed}"


def test_galaxies(folder: Path, sizes: dict):
    """The first test galaxies of the survey."""
    import numpy as np

    from galcfm.survey import Survey

    survey = Survey.load(survey_of(folder, sizes))
    rows = np.flatnonzero(survey.catalogue["split"].to_numpy() == "test")
    return survey.select(rows[: sizes["n_test"]])


def product_peak(device, size: int) -> float:
    """Operations a second of float32 matrix products on the device, the best of ten."""
    import torch

    a, b, c = torch.randn(3, size, size, device=device)
    best = math.inf
    for _ in range(10):
        started = time.perf_counter()
        torch.mm(a, b, out=c)
        c[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def note(folder: Path, name: str, content: dict) -> None:
    """Keep a measurement of a stage, with the device that it was made on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    content = content | {"device": device, "torch": torch.__version__}
    print(json.dumps({name: content}, indent=2), flush=True)
    write_json(folder / "notes.json", notes_of(folder) | {name: content})


def notes_of(folder: Path) -> dict:
    """What stages have measured so far."""
    path = folder / "notes.json"
    return json.loads(path.read_text()) if path.exists() else {}


def require(stage: str) -> None:
    """Say in one sentence what is not installed."""
    needed = (*CORE, *BEYOND_CORE.get(stage, ()))
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"{stage} needs {', '.join(missing)}, not installed here: pip install them, or unpack "
            "their wheels into a folder that PYTHONPATH names"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; 0 when it is complete, `OUT_OF_TIME` when it must be called again."""
    parser = argparse.ArgumentParser(prog="python -m studies.paper_scale")
    parser.add_argument("stage", choices=STAGES)
    recipes = ("tuned", "tuned_cpu", "quick", "paper")
    parser.add_argument("--recipe", choices=recipes, default="tuned")
    parser.add_argument("--folder", type=Path, help="for models and samples")
    parser.add_argument(
        "--max-epochs", type=int, help="of the image model, instead of the recipe's"
    )
    parser.add_argument("--redshift", action="store_true", help="both models are told it")
    parser.add_argument("--limit-seconds", type=float, help="stop with code 75 after this long")
    parser.add_argument("--rehearse", action="store_true", help="small, to see that all runs")
    options = parser.parse_args(arguments)
    require(options.stage)
    from galcfm.training import RECIPES

    name = "rehearsal" if options.rehearse else "paper_scale"
    folder = (options.folder or data_folder() / "runs" / name).resolve()
    recipe_name = "rehearsal" if options.rehearse else options.recipe
    recipe = RECIPES[recipe_name]
    if options.redshift:
        recipe, recipe_name = replace(recipe, use_redshift=True), recipe_name + REDSHIFT
    if options.max_epochs is not None:
        recipe = replace(recipe, max_epochs=options.max_epochs)

    def stop(signal_number, frame):
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, options.limit_seconds or 0)
    try:
        sizes = REHEARSAL if options.rehearse else SIZES
        STAGES[options.stage](folder / recipe_name, sizes, recipe)
    except OutOfTime:
        print(f"{options.stage}: out of time, call it again", file=sys.stderr)
        return OUT_OF_TIME
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return 0


if __name__ == "__main__":
    sys.exit(main())
