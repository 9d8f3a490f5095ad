"""Speed of sampler, density and training, compared with other libraries.

Run `make bench PROFILE=quick` when the models of this profile are trained. Each number is the
median ratio of pairs of times that are measured in turn in this run. Results are written to
data/published/benchmarks.json, with figures next to it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import figure
import numpy as np
import peers
import torch
from lightning.fabric import Fabric
from scipy import stats
from torch.utils.data import DataLoader, Dataset

from galcfm import figures, metrics, paths
from galcfm.flow import CPU_BLOCK_ROWS, FAST_STEPS, ConditionalFlow
from galcfm.json_files import JsonFile
from galcfm.networks import VelocityNetwork
from galcfm.posterior import Posterior
from galcfm.provenance import processor, provenance
from galcfm.survey import Survey
from galcfm.training import TrainingSettings
from galcfm.training.data import TrainingData, path_draws
from galcfm.training.loop import keyed_generator
from galcfm.training.posterior_training import FlowLoop

PAIRS = int(os.environ.get("BENCH_PAIRS", 7))
BENCHMARKS = JsonFile("benchmarks.json", dict[str, Any], "Run `make bench` again.")
TOLERANCE = 1e-4  # of samples, standardised, and of log-densities [nat]: "equal accuracy"
N_GALAXIES, N_SAMPLES = 1, 1000
MEMORY_RESOLUTION = 2  # MiB
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
OUR_STEPS = (4, 5, 6, 7, 8, 12, 24)


def clock(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def alternate(functions: dict, pairs: int = PAIRS) -> dict:
    """Return seconds of each function, `pairs` times in turn, after one unmeasured call."""
    for function in functions.values():
        function()
    seconds = {name: [] for name in functions}
    for _ in range(pairs):
        for name, function in functions.items():
            seconds[name].append(clock(function))
    return seconds


def ratio(seconds: dict, a, b) -> float:
    """Return the median over the pairs of the time of `a` divided by the time of `b`."""
    return statistics.median(x / y for x, y in zip(seconds[a], seconds[b], strict=True))


def product_flops(size: int = 1024, repeats: int = 10):
    a, b, c = torch.randn(3, size, size)

    def multiply():
        for _ in range(repeats):
            torch.mm(a, b, out=c)

    return multiply, 2 * size**3 * repeats


def velocity_flops(network) -> int:
    """Return the necessary operations of one velocity: all products except the condition's."""
    widths = [1 + network.dim, *(layer.out_features for layer in network.hidden), network.dim]
    return 2 * sum(a * b for a, b in pairwise(widths))


def per_galaxy(solve, inputs, condition) -> torch.Tensor:
    return torch.stack([solve(x, c) for x, c in zip(inputs, condition, strict=True)])


def compare(ours: dict, theirs: dict, reference) -> dict:
    """Return error and time of each solver and setting, and the fastest at equal accuracy."""
    functions = {("galcfm", k): f for k, f in ours.items()}
    functions |= {(name, k): f for name, group in theirs.items() for k, f in group.items()}
    functions = {key: f for key, f in functions.items() if key[1] != 100}  # compared before
    errors = {key: (f() - reference).abs().max().item() for key, f in functions.items()}
    seconds = alternate(functions)
    rows = [
        {
            "solver": name,
            "setting": str(setting),
            "max_error": errors[name, setting],
            "seconds": statistics.median(seconds[name, setting]),
        }
        for name, setting in functions
    ]

    def fastest(keys):
        good = [key for key in keys if errors[key] <= TOLERANCE]
        return min(good, key=lambda key: statistics.median(seconds[key])) if good else None

    best_ours = fastest(k for k in functions if k[0] == "galcfm")
    best_peer = fastest(k for k in functions if k[0] != "galcfm")
    result = {"solvers": rows, "tolerance": TOLERANCE, "fastest": list(map(str, best_ours))}
    if best_peer is not None:
        result["fastest_peer"] = list(map(str, best_peer))
        result["times_faster_than_fastest_peer"] = ratio(seconds, best_peer, best_ours)
    for key in functions:
        if key == ("sbi", "default"):
            result["times_faster_than_sbi_default"] = ratio(seconds, key, best_ours)
    return result


def sampling(flow, condition) -> dict:
    """Compare RK4-100 with other libraries and the product peak, then time against accuracy."""
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.randn(N_GALAXIES, N_SAMPLES, flow.dim, generator=generator)
    condition = condition[:N_GALAXIES]

    def ours(steps):
        return lambda: flow.sample(condition, N_SAMPLES, steps, x_0=x_0)

    solvers = peers.samplers(flow.network, condition.shape[1])
    theirs = {
        name: {k: lambda f=f: per_galaxy(f, x_0, condition) for k, f in group.items()}
        for name, group in solvers.items()
    }
    multiply, flops = product_flops()
    names = ("torchdiffeq RK4", "flow_matching RK4")
    functions = {"galcfm": ours(100)} | {name: theirs[name][100] for name in names}
    in_bfloat16 = torch.autocast("cpu", torch.bfloat16)
    cast = {f"{name}, bfloat16": in_bfloat16(function) for name, function in functions.items()}
    moved = {
        name: (function() - functions["galcfm"]()).square().mean().sqrt().item()
        for name, function in cast.items()
    }
    seconds = alternate({"product": multiply} | functions | cast)
    work = 400 * N_GALAXIES * N_SAMPLES * velocity_flops(flow.network)

    def median(name):
        return statistics.median(seconds[name])

    best = min(names, key=median)
    best_cast = min((f"{name}, bfloat16" for name in names), key=median)
    reference = sample_in_float64(flow, condition, x_0)
    return {
        "galaxies": N_GALAXIES,
        "samples": N_SAMPLES,
        "rk4_100": {
            "seconds": {name: statistics.median(s) for name, s in seconds.items()},
            "share_of_best_peer": ratio(seconds, "galcfm", best),
            "best_peer": best,
            "product_gflops": flops / median("product") / 1e9,
            "share_of_product_peak": work / flops * ratio(seconds, "product", "galcfm"),
            "bfloat16": {
                "share_of_float32": ratio(seconds, "galcfm, bfloat16", "galcfm"),
                "share_of_best_peer": ratio(seconds, "galcfm, bfloat16", best_cast),
                "best_peer": best_cast.removesuffix(", bfloat16"),
                "moves_draws_by": {
                    "galcfm": moved["galcfm, bfloat16"],
                    "best_peer": moved[best_cast],
                },
            },
        },
        **compare({k: ours(k) for k in OUR_STEPS}, theirs, reference),
    }


def beside_work(flow, condition) -> dict:
    """Return times of a short integration with and without another busy process, in turn."""
    x_0 = torch.randn(N_GALAXIES, N_SAMPLES, flow.dim, generator=torch.Generator().manual_seed(2))
    condition = condition[:N_GALAXIES]
    solvers = peers.samplers(flow.network, condition.shape[1])
    functions = {"galcfm": lambda: flow.sample(condition, N_SAMPLES, FAST_STEPS, x_0=x_0)} | {
        name: lambda f=solvers[name][FAST_STEPS]: per_galaxy(f, x_0, condition)
        for name in ("torchdiffeq RK4", "flow_matching RK4")
    }
    slower = {name: [] for name in functions}
    for _ in range(PAIRS):
        alone = alternate(functions, 1)
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
            try:
                beside = alternate(functions, 1)
            finally:
                busy.kill()
        for name in functions:
            slower[name].append(beside[name][0] / alone[name][0])
    return {
        "steps": FAST_STEPS,
        "cores": os.cpu_count(),
        "times_slower": {name: statistics.median(times) for name, times in slower.items()},
    }


def sample_in_float64(flow, condition, x_0):
    twin = doubled(flow)
    return twin.sample(condition.double(), x_0.shape[1], 100, x_0=x_0.double())


def doubled(flow) -> ConditionalFlow:
    network = flow.network
    twin = VelocityNetwork(
        network.dim, network.condition_dim, network.output.in_features, len(network.hidden)
    )
    twin.load_state_dict(network.state_dict())
    return ConditionalFlow(twin.double(), flow.sigma)


def density(flow, condition) -> dict:
    """Compare the exact log-density with exact densities of other libraries."""
    n, s = N_GALAXIES, 250
    condition = condition[:n]
    x_0 = torch.randn(n, s, flow.dim, generator=torch.Generator().manual_seed(1))
    x_1 = flow.sample(condition, s, 12, x_0=x_0)
    reference = doubled(flow).log_prob(x_1.double(), condition.double(), 60)
    theirs = {
        name: {k: lambda f=f: per_galaxy(f, x_1, condition).detach() for k, f in group.items()}
        for name, group in peers.densities(flow.network, condition.shape[1]).items()
    }
    ours = {k: lambda k=k: flow.log_prob(x_1, condition, k) for k in (8, 10, 12, 14, 16, 20, 24)}
    with torch.no_grad():
        result = compare(ours, theirs, reference)
    seconds = alternate(
        {
            "alone": lambda: flow.sample(condition, s, 24, x_0=x_0),
            "with density": lambda: flow.sample_with_log_prob(condition, s, 24, x_0=x_0),
        }
    )
    return {
        "galaxies": n,
        "samples": s,
        "sampling_with_density_over_sampling": ratio(seconds, "with density", "alone"),
        **result,
    }


def sed_fitting(models: dict, survey: Survey, n: int = 2) -> dict:
    """Return seconds per galaxy of a fit by nested sampling, and of 1,000 posterior draws."""
    import sed_fitting as fits

    some = survey.select(np.arange(n))
    seconds = alternate(
        {
            f"{name}, {steps} steps": lambda model=model, steps=steps: model.sample(
                some.magnitudes, some.images if model.uses_images else None, steps=steps
            )
            for name, model in models.items()
            for steps in (FAST_STEPS, 100)
        }
    )
    found = fits.fit_some(survey, n)
    a_fit = statistics.median(fit["seconds"] for fit in found["fits"])
    ours = {name: statistics.median(s) / n for name, s in seconds.items()}
    return found | {
        "seconds_a_fit": a_fit,
        "seconds_a_galaxy": ours,
        "times_faster": {name: a_fit / s for name, s in ours.items()},
    }


def scaling(flow, condition) -> dict:
    """Return seconds against the number of galaxies, for two samples and one step each."""
    rows = []
    for n in (10, 100, 1000, 10_000, 100_000):
        many = condition[torch.arange(n) % len(condition)]
        seconds = [
            clock(lambda many=many, n=n: flow.sample(many, 2, 1, seeds=range(n)))
            for _ in range(PAIRS if n < 10_000 else 1)
        ]
        rows.append({"galaxies": n, "seconds": statistics.median(seconds)})
    return {"samples": 2, "steps": 1, "rows": rows}


def memory() -> dict:
    """Return the peak memory beyond samples and conditions, for 10³ to 10⁵ galaxies."""
    rows = []
    for n in (1000, 10_000, 100_000):
        command = [sys.executable, __file__, "--memory", str(n)]
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        rows.append({"galaxies": n, "mebibytes": float(answer.stdout)})
    return {"samples": 100, "width": 32, "rows": rows}


def print_memory(n: int) -> None:
    flow = ConditionalFlow(VelocityNetwork(5, 5, width=32))
    flow.sample(torch.zeros(1000, 5), 100, 1, seeds=range(1000))
    condition = torch.zeros(n, 5)
    before = peak_mebibytes()
    x_1 = flow.sample(condition, 100, 1, seeds=range(n))
    print(peak_mebibytes() - before - x_1.nbytes / 2**20)


def peak_mebibytes() -> float:
    """Return the peak memory of this process (`getrusage` would include its parent's)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def kernel_density() -> dict:
    """Time 10⁵ points with 85,000 centres, and SciPy on some of these points."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(85_000, 5)) @ rng.normal(size=(5, 5))
    points = centres[rng.integers(len(centres), size=100_000)] + 0.1
    few = points[:200]
    theirs = stats.gaussian_kde(centres.T)
    error = np.abs(metrics.kde_log_density(centres, few) - theirs.logpdf(few.T)).max()
    seconds = alternate(
        {
            "galcfm": lambda: metrics.kde_log_density(centres, few),
            "scipy": lambda: theirs.logpdf(few.T),
        }
    )
    return {
        "centres": len(centres),
        "points": len(points),
        "seconds": clock(lambda: metrics.kde_log_density(centres, points)),
        "times_faster_than_scipy": ratio(seconds, "scipy", "galcfm"),
        "max_error": float(error),
    }


class Pictures(Dataset):
    """Images for a plain loop: decoded to float and turned one by one."""

    def __init__(self, data: TrainingData, images: np.ndarray):
        self.data, self.images = data, images

    def __len__(self):
        return len(self.data)

    def __getitem__(self, row):
        image = torch.from_numpy(self.images[row]).permute(2, 0, 1).float()
        symmetry = int(torch.randint(8, ()))
        image = torch.rot90(image, symmetry % 4, (1, 2))
        if symmetry >= 4:
            image = image.flip(2)
        return self.data.theta[row], self.data.f_phot[row], image


def alone(part: str, profile: str) -> dict:
    """Run a part in its own process, as for a real training.

    Memory left by other parts would save page faults in the loops.
    """
    command = [sys.executable, __file__, "--profile", profile, "--only", part]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    return json.loads(answer[answer.index("{") :])


def all_pixels(posterior: Posterior) -> Posterior:
    """Return a model with the same weights on pixels that are not binned."""
    encoder = posterior.architecture["encoder"] | {"bin_factor": 1}
    twin = Posterior(**posterior.architecture | {"encoder": encoder})
    twin.load_state_dict(posterior.state_dict())
    return twin


def training(
    posterior: Posterior, survey: Survey, n: int, encoder_batch: int, batch_size: int = 64
) -> dict:
    """Return images per second of our loop and of a plain float32 DataLoader loop.

    Both use the same network. Our loop is also timed with the encoder in bfloat16, with which twice
    as many galaxies fit into the cache.
    """
    survey = survey.select(np.arange(min(n, len(survey))))
    data = TrainingData(posterior, survey, torch.device("cpu"))
    encoder, flow = posterior.encoder, posterior.flow
    optimiser = torch.optim.AdamW(posterior.parameters(), 1e-4)
    settings = TrainingSettings(
        batch_size=batch_size, draws_per_galaxy=8, augment=True, encoder_batch=encoder_batch
    )
    fabric = Fabric(accelerator="cpu", devices=1)

    def ours(half_precision):
        size = encoder_batch * (2 if half_precision else 1)
        how = replace(settings, half_precision=half_precision, encoder_batch=size)
        loop = FlowLoop(fabric, posterior, how, {"train": data})
        return loop.train_epoch  # the plain loop has no validation either

    def plain(workers):
        pictures = Pictures(data, np.ascontiguousarray(survey.images))
        loader = DataLoader(
            pictures, batch_size, True, num_workers=workers, persistent_workers=workers > 0
        )
        return lambda: plain_epoch(loader)

    def plain_epoch(loader):
        posterior.train()
        for theta, f_phot, images in loader:
            # Preprocessing as in the network, on float images in PyTorch's default memory format.
            edge = (images.shape[2] - encoder.crop) // 2
            x = images[:, :, edge : edge + encoder.crop, edge : edge + encoder.crop]
            if encoder.bin_factor > 1:
                x = torch.nn.functional.avg_pool2d(x, encoder.bin_factor)
            x = (x - encoder.pixel_mean[:, None, None]) / encoder.pixel_std[:, None, None]
            f_img = encoder.head(encoder.blocks(x.contiguous()).mean((2, 3)))
            draws = path_draws(8, len(theta), flow.dim, keyed_generator(0, 1, 0))
            loss = flow.loss(theta, torch.cat([f_img, f_phot], 1), *draws)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    seconds = alternate(
        {"galcfm": ours(False), "galcfm, bfloat16": ours(True)}
        | {f"plain, {k} workers": plain(k) for k in (0, 2)}
    )
    best = min(list(seconds)[2:], key=lambda name: statistics.median(seconds[name]))
    return {
        "images": len(data),
        "pixels": encoder.crop // encoder.bin_factor,
        "encoder_batch": encoder_batch,
        "images_per_second": {k: len(data) / statistics.median(s) for k, s in seconds.items()},
        "best_plain": best,
        "times_faster_than_plain": ratio(seconds, best, "galcfm"),
        "bfloat16_times_faster_than_plain": ratio(seconds, best, "galcfm, bfloat16"),
    }


def _drawing_rows(results: dict) -> list[tuple]:
    """Return measured quantity, comparison and result for drawing samples."""
    models = {"image": results["sampling_image"], "photometry": results["sampling_photometry"]}
    rows = [
        (f"100 steps, {name} model", part["rk4_100"]["best_peer"], _share(part["rk4_100"]))
        for name, part in models.items()
    ]
    alone, image = (models[name]["rk4_100"] for name in ("photometry", "image"))
    products = alone["share_of_product_peak"] * alone["share_of_best_peer"]
    cast, beside = alone["bfloat16"], results["beside_work"]
    moved = cast["moves_draws_by"]
    return [
        *rows,
        (
            "100 steps, photometry model, matrix products alone at their peak",
            alone["best_peer"],
            f"{products:.2f} of its time",
        ),
        (
            "100 steps, image model",
            f"float32 product peak ({image['product_gflops']:.0f} GFLOP/s)",
            f"{image['share_of_product_peak']:.2f} of the peak",
        ),
        (
            "100 steps, photometry model, bfloat16",
            "the same in float32",
            f"{cast['share_of_float32']:.2f} of its time",
        ),
        (
            "100 steps, photometry model, bfloat16: rms change of the draws "
            f"{moved['galcfm']:.1e} σ",
            f"{cast['best_peer']} in bfloat16 (its own change: {moved['best_peer']:.1e} σ)",
            _share(cast),
        ),
        *(
            (
                f"{beside['steps']} steps, image model, another process on one of "
                f"{beside['cores']} cores: {name}",
                "the same alone",
                f"{times:.2f} of its time",
            )
            for name, times in beside["times_slower"].items()
        ),
        (
            "samples at equal accuracy",
            "sbi's default",
            _faster(models["image"].get("times_faster_than_sbi_default")),
        ),
        ("samples at equal accuracy", "the fastest peer", _faster(_over_peer(models["image"]))),
    ]


def _share(part: dict) -> str:
    return f"{part['share_of_best_peer']:.2f} of its time"


def _over_peer(part: dict) -> float | None:
    return part.get("times_faster_than_fastest_peer")


def _faster(times: float | None) -> str:
    # Possibly no other library reached the accuracy with any tested setting.
    return "no peer is as accurate" if times is None else f"{times:.2f} times faster"


def _other_rows(results: dict) -> list[tuple]:
    """Return measured quantity, comparison and result for everything except drawing samples."""
    exact, kernels, sed = (results[k] for k in ("density", "kernel_density", "sed_fitting"))
    trainings = (
        (
            f"training, {part['pixels']}×{part['pixels']} pixels{how}, "
            f"{part['images_per_second'][name]:.0f} images per second",
            "a plain loop in float32",
            _faster(part[times]),
        )
        for part in (results["training"], results["training_all_pixels"])
        for name, how, times in (
            ("galcfm", "", "times_faster_than_plain"),
            ("galcfm, bfloat16", ", encoder in bfloat16", "bfloat16_times_faster_than_plain"),
        )
    )
    fits = (
        (
            f"1,000 draws of the {name.replace(',', ' model,')}",
            f"a fit of five magnitudes by {sed['sampler']} ({sed['seconds_a_fit']:.0f} s)",
            f"{times:.0f} times faster",
        )
        for name, times in sed["times_faster"].items()
    )
    # The system counts pages of threads and caches slightly differently each time.
    memory = (
        (
            f"memory beyond the results, {row['galaxies']:,} galaxies",
            "",
            f"{row['mebibytes']:.2f} MiB"
            if row["mebibytes"] > MEMORY_RESOLUTION
            else f"below {MEMORY_RESOLUTION} MiB",
        )
        for row in results["memory"]["rows"]
    )
    return [
        ("exact log-density at equal accuracy", "the fastest peer", _faster(_over_peer(exact))),
        (
            "sampling with log-density",
            "sampling alone",
            f"{exact['sampling_with_density_over_sampling']:.2f} of its time",
        ),
        ("kernel density", "SciPy", _faster(kernels["times_faster_than_scipy"])),
        (
            f"kernel density, {kernels['points']:,} points at {kernels['centres']:,} centres",
            "",
            f"{kernels['seconds']:.1f} s",
        ),
        *trainings,
        *fits,
        *memory,
    ]


def table(results: dict) -> str:
    """Return the results as a Markdown table, which the book includes."""
    rows = [*_drawing_rows(results), *_other_rows(results)]
    lines = ["| measured | compared with | result |", "|---|---|---|"]
    lines += [
        f"| {what} | {other} | {found.replace(' ', NO_BREAK_SPACE)} |"
        for what, other, found in rows
    ]
    provenance, where = results["provenance"], results["machine"]
    return (
        "\n".join(lines)
        + f"\n\n{where['processor']}, {where['threads']} threads; {results['date'][:10]}, commit "
        f"`{(provenance['commit'] or 'unknown')[:7]}`, PyTorch {provenance['versions']['torch']}, "
        f"medians of {results['pairs']} pairs; made by `{results['command']}`.\n"
    )


def publish(results: dict) -> None:
    """Write the table and the figures of the results next to them."""
    folder = paths.data_folder() / "published"
    figures.save(figure.errors(results), folder / "how_fast_errors")
    figures.save(figure.scaling(results), folder / "how_fast_scaling")
    with paths.replacing(folder / "how_fast.md") as temporary:
        temporary.write_text(table(results), encoding="utf-8")


def machine() -> dict:
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--only", nargs="*", help="parts to run, without writing results")
    parser.add_argument("--memory", type=int, help="used by the benchmark itself")
    options = parser.parse_args()
    if options.memory:
        return print_memory(options.memory)

    run = paths.run_folder(options.profile)
    models = {name: Posterior.load(run / name, "cpu") for name in ("image", "photometry")}
    survey = Survey.load(paths.survey_folder(options.profile)).split("test")
    some = survey.select(np.arange(min(64, len(survey))))
    conditions = {name: model.encode_survey(some) for name, model in models.items()}
    image, condition = models["image"], conditions["image"]
    parts = {
        "sampling_image": lambda: sampling(image.flow, condition),
        "sampling_photometry": lambda: sampling(
            models["photometry"].flow, conditions["photometry"]
        ),
        "beside_work": lambda: beside_work(image.flow, condition),
        "density": lambda: density(image.flow, condition),
        "scaling": lambda: scaling(image.flow, condition),
        "memory": memory,
        "kernel_density": kernel_density,
        # The number of images that keep the processor's cache busy.
        "training": lambda: training(image, survey, 512, 32),
        "training_all_pixels": lambda: training(all_pixels(image), survey, 256, 8),
        "sed_fitting": lambda: sed_fitting(models, survey),
    }
    results = {
        "command": f"make bench PROFILE={options.profile}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "provenance": provenance(),
        "pairs": PAIRS,
        "block_rows": CPU_BLOCK_ROWS,
    }
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        started = time.perf_counter()
        separate = name.startswith("training") and not options.only
        results[name] = alone(name, options.profile) if separate else part()
        print(
            f"{name}: {time.perf_counter() - started:.0f} s", json.dumps(results[name]), flush=True
        )
    if not options.only:
        folder = paths.data_folder() / "published"
        BENCHMARKS.write(folder / "benchmarks.json", results)
        publish(results)


if __name__ == "__main__":
    main()
