"""The paper's sizes on a GPU, in commands that each end within a time limit.

`python -m galcfm.studies.paper_scale STAGE [--recipe tuned] [--limit-seconds 570] [--rehearse]`.
The stages are `simulate` (106,800 galaxies at 128×128 pixels; needs GalSim), `train`,
`throughput`, `sample` and `summarise`, in this order. A stage that reaches its limit leaves a
checkpoint and exits with code 75: call it again until the code is 0. `--rehearse` does it all small
on any computer. No notebook and nothing of the book is needed.
"""

import argparse
import json
import math
import signal
import statistics
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from galcfm.paths import data_folder, published_folder, replacing, survey_folder, write_json

__all__ = ["OUT_OF_TIME", "main"]

OUT_OF_TIME = 75  # exit code: call again (EX_TEMPFAIL of sysexits.h)
CORE = ("torch", "lightning", "numpy", "scipy", "pandas", "pyarrow", "yaml", "safetensors", "tqdm")
MAX_BYTES = 20 << 20  # of what is published
SIZES = {
    "n_galaxies": 106_800,  # as notebook 01 has it
    "n_test": 1000,
    "n_samples": 1000,
    "steps": 100,
    "product_size": 8192,
    "throughput_images": 20_480,
}
REHEARSAL = {
    "n_galaxies": 300,
    "n_test": 8,
    "n_samples": 40,
    "steps": 10,
    "product_size": 256,
    "throughput_images": 64,
}
QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)


class OutOfTime(Exception):
    """The time limit of a command has passed."""


def simulate(folder: Path, sizes: dict, recipe: str) -> None:
    """Make the survey, or go on with it."""
    from galcfm.simulate import simulate_survey

    simulate_survey(survey_of(folder, sizes), sizes["n_galaxies"], 1)


def train(folder: Path, sizes: dict, recipe: str) -> None:
    """Train prior, photometry and image model, or go on with them."""
    from galcfm.survey import Survey
    from galcfm.training import RECIPES, train_models

    survey = Survey.load(survey_of(folder, sizes))
    for name, model in train_models(survey, folder / recipe, RECIPES[recipe]).items():
        print(f"{name}: {model.metadata}", flush=True)


def throughput(folder: Path, sizes: dict, recipe: str) -> None:
    """Training images a second of the image model, its weights left alone."""
    import numpy as np
    import torch

    from galcfm.posterior import Posterior
    from galcfm.survey import Survey
    from galcfm.training import TrainingSettings, seconds_an_epoch

    model = Posterior.load(folder / recipe / "image")
    survey = Survey.load(survey_of(folder, sizes))
    n = min(sizes["throughput_images"], len(survey))
    survey, rates = survey.select(np.arange(n)), {}
    for half_precision in (False, True) if model.device.type == "cuda" else (False,):
        settings = model.metadata["settings"] | {"half_precision": half_precision}
        seconds = seconds_an_epoch(model, survey, TrainingSettings(**settings), 4)
        rates["bfloat16" if half_precision else "float32"] = n / statistics.median(seconds[1:])
    note(folder, recipe, "throughput", {"images": n, "images_per_second": rates})
    if model.device.type == "cuda":
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def sample(folder: Path, sizes: dict, recipe: str) -> None:
    """Draw the posteriors of the test galaxies of both models, and time it."""
    import numpy as np
    import torch

    from galcfm.posterior import Posterior, default_device, galaxy_seeds

    test = test_galaxies(folder, sizes)
    peak = product_peak(default_device(), sizes["product_size"])
    found = {"product_tflops": peak / 1e12}
    for name in ("photometry", "image"):
        model = Posterior.load(folder / recipe / name)
        started = time.perf_counter()
        condition = model.encode_survey(test)
        encoding = time.perf_counter() - started
        on_device = condition.to(model.device)
        seeds = galaxy_seeds(test.object_id, 0)
        x_0 = torch.randn(len(test), sizes["n_samples"], model.flow.dim)

        def clock(n, steps, flow=model.flow, on_device=on_device, x_0=x_0):
            # The results come back to the CPU: that the device has finished is part of the time.
            started = time.perf_counter()
            flow.sample(on_device[:n], sizes["n_samples"], steps, x_0=x_0[:n])
            return time.perf_counter() - started

        clock(len(test), 1)
        seconds, alone = clock(len(test), sizes["steps"]), clock(1, sizes["steps"])
        layers = model.flow.network.hidden
        widths = [1 + model.flow.dim, *(x.out_features for x in layers), model.flow.dim]
        flops = 2 * sum(a * b for a, b in pairwise(widths))
        flops *= 4 * sizes["steps"] * len(test) * sizes["n_samples"]
        found[name] = {
            "galaxies_per_second": len(test) / seconds,
            "share_of_product_peak": flops / seconds / peak,
            "one_galaxy_seconds": alone,
            "encoding_galaxies_per_second": len(test) / encoding,
        }
        draws = model.flow.sample(on_device, sizes["n_samples"], sizes["steps"], seeds=seeds)
        with replacing(folder / recipe / f"samples_{name}.npy") as temporary:
            np.save(temporary, model.to_physical(draws).numpy())
    note(folder, recipe, "sampling", found | sizes)


def summarise(folder: Path, sizes: dict, recipe: str) -> None:
    """Metrics, weights and summaries of the test posteriors, in the folder to publish."""
    import numpy as np
    import pandas as pd

    from galcfm import metrics
    from galcfm.posterior import Posterior
    from galcfm.properties import PROPERTY_NAMES
    from galcfm.provenance import provenance
    from galcfm.stored_posteriors import exact_log_densities
    from galcfm.survey import Survey

    survey = Survey.load(survey_of(folder, sizes))
    theta_train = survey.properties[(survey.catalogue["split"] == "train").to_numpy()]
    test = test_galaxies(folder, sizes)
    target = (published_folder() if sizes is SIZES else folder / "published") / "paper_scale"
    prior = Posterior.load(folder / recipe / "prior")
    results = {}
    for name in ("photometry", "image"):
        model = Posterior.load(folder / recipe / name)
        samples = np.load(folder / recipe / f"samples_{name}.npy")
        exact = exact_log_densities(
            model, prior, test, n_kl=len(test), n_kl_samples=50, steps=sizes["steps"]
        )
        results[name] = metrics.evaluate(samples, test.properties, theta_train, {"exact": exact})
        model.save(target / recipe / name)
        table = pd.DataFrame({"object_id": test.object_id})
        for column, p in enumerate(PROPERTY_NAMES):
            draws = samples[..., column]
            table[f"{p}_measured"] = test.properties[:, column]
            table[f"{p}_mean"], table[f"{p}_std"] = draws.mean(1), draws.std(1)
            for q, values in zip(QUANTILES, np.quantile(draws, QUANTILES, axis=1), strict=True):
                table[f"{p}_q{100 * q:02.0f}"] = values
        with replacing(target / recipe / f"posteriors_{name}.parquet") as temporary:
            table.astype({c: "float32" for c in table.columns[1:]}).to_parquet(temporary)
    comparison = metrics.compare(results["image"], results["photometry"])
    for result in results.values():
        del result["galaxies"]  # the table has them
    notes = folder / recipe / "notes.json"
    results |= {"comparison": comparison, "recipe": recipe, "provenance": provenance()}
    results |= json.loads(notes.read_text())
    write_json(target / recipe / "metrics.json", results)
    n_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {n_bytes / 2**20:.1f} MiB")
    if n_bytes > MAX_BYTES:
        raise SystemExit(f"{target} is larger than {MAX_BYTES >> 20} MiB: too much for git")


STAGES = {f.__name__: f for f in (simulate, train, throughput, sample, summarise)}


def survey_of(folder: Path, sizes: dict) -> Path:
    """Folder of the survey: that of the profile `paper`, which the notebooks use as well."""
    return survey_folder("paper") if sizes is SIZES else folder / "survey"


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


def note(folder: Path, recipe: str, name: str, content: dict) -> None:
    """Keep a measurement of a stage, with the device that it was made on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    content = content | {"device": device, "torch": torch.__version__}
    print(json.dumps({name: content}, indent=2), flush=True)
    path = folder / recipe / "notes.json"
    notes = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, notes | {name: content})


def require(stage: str) -> None:
    """Say in one sentence what is not installed."""
    needed = (*CORE, "galsim", "joblib", "PIL") if stage == "simulate" else CORE
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"{stage} needs {', '.join(missing)}, not installed here: pip install them, or unpack "
            "their wheels into a folder that PYTHONPATH names"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; 0 when it is complete, `OUT_OF_TIME` when it must be called again."""
    parser = argparse.ArgumentParser(prog="python -m galcfm.studies.paper_scale")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--recipe", choices=("tuned", "tuned_cpu", "paper"), default="tuned")
    parser.add_argument("--folder", type=Path, help="for models and samples")
    parser.add_argument("--limit-seconds", type=float, help="stop with code 75 after this long")
    parser.add_argument("--rehearse", action="store_true", help="small, to see that all runs")
    options = parser.parse_args(arguments)
    require(options.stage)
    name = "rehearsal" if options.rehearse else "paper_scale"
    folder = (options.folder or data_folder() / "runs" / name).resolve()

    def stop(signal_number, frame):
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, options.limit_seconds or 0)
    try:
        STAGES[options.stage](
            folder,
            REHEARSAL if options.rehearse else SIZES,
            "rehearsal" if options.rehearse else options.recipe,
        )
    except OutOfTime:
        print(f"{options.stage}: out of time, call it again", file=sys.stderr)
        return OUT_OF_TIME
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return 0


if __name__ == "__main__":
    sys.exit(main())
