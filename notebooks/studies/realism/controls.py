"""Controls: what a picture of the simulated survey may and may not tell, by numbers alone.

Each experiment gives a small flow a few more numbers beside the photometry and asks how much
likelier the true properties become. `python -m studies.picture_controls` makes the
catalogues, trains the flows and writes `data/published/controls.json`; called again, it goes on
where it was stopped.
"""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from galcfm.flow import ConditionalFlow
from galcfm.networks import VelocityNetwork
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import frames, render, rendering, simulate_catalogue
from studies.realism import cutout_statistics
from studies.stored import (
    BOOK_SURVEY,
    kept_catalogue,
    kept_table,
    key_of,
    read_command,
    store,
    stored,
)
from studies.training_seeds import over_trainings

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "gain",
    "log_probabilities",
    "make_features",
    "run",
]

STAMP_FLUXES = ("stamp_g", "stamp_r", "stamp_i")
PICTURE = ("centre", "red_blue", "radius", "axis_ratio", "bright", "texture")
# Half-light radius, inclination and bulge fraction in r as drawn: no picture tells these three
# numbers better, but a picture may tell of others.
SHAPE = ("log_radius", "cosine", "bulge_fraction_r")


@dataclass(frozen=True)
class Experiment:
    """One question to the simulated survey.

    Arguments:
        sample: catalogue: `"survey"`, `"blind"` (dust that knows no inclination), `"stamps"`, or
            `"book"`: the survey `quick`, whose galaxies train and judge the book's image model.
        features: columns given beside the photometry.
        properties: whose density is asked for.
        shuffled: the features are those of another galaxy.
        question: in words.
    """

    sample: str
    features: tuple[str, ...]
    question: str
    properties: tuple[str, ...] = PROPERTY_NAMES
    shuffled: bool = False


EXPERIMENTS = {
    "stamp_flux": Experiment(
        "stamps",
        STAMP_FLUXES,
        "total g, r, i fluxes measured on isolated stamps",
    ),
    "picture": Experiment(
        "stamps", PICTURE, "six simple measurements on the cutout"
    ),
    "shuffled": Experiment(
        "stamps",
        PICTURE,
        "the same six of another galaxy's cutout",
        shuffled=True,
    ),
    "inclination": Experiment(
        "survey", ("cosine",), "true inclination, for A_V", ("a_v",)
    ),
    "inclination_blind": Experiment(
        "blind",
        ("cosine",),
        "the same, where dust knows no inclination",
        ("a_v",),
    ),
    "shape": Experiment("book", SHAPE, "three true numbers of the shape"),
}


def with_shape(catalogue: pd.DataFrame) -> pd.DataFrame:
    """A simulated catalogue with the columns `SHAPE`."""
    return catalogue.assign(
        log_radius=np.log10(catalogue["disc_radius"]),
        cosine=np.cos(np.radians(catalogue["inclination"])),
    )


def features_of_book(survey: Mapping) -> tuple[pd.DataFrame, int]:
    """Photometry, properties and shapes of the galaxies of a survey that judges an image model.

    Its training galaxies come first, then those of validation, which `log_probabilities` holds
    back as far as a tenth, and last the test galaxies.

    Arguments:
        survey: as `simulate_catalogue` takes it.

    Returns:
        A row a galaxy, and the number of test galaxies.
    """
    kept = kept_catalogue(**survey)
    parts = [
        kept.split(name).catalogue for name in ("train", "validation", "test")
    ]
    table = with_shape(pd.concat(parts, ignore_index=True))
    return table[[*MAGNITUDES, *PROPERTY_NAMES, *SHAPE]], len(parts[-1])


def make_features(sample: str, n_galaxies: int, seed: int) -> pd.DataFrame:
    """Photometry, properties and features of simulated galaxies, a row a galaxy.

    Arguments:
        sample: see `Experiment`; `"stamps"` renders each galaxy twice, alone and as a cutout.
        n_galaxies: number of galaxies.
        seed: of the catalogue.
    """
    without = ("inclined_dust",) if sample == "blind" else ()
    table = with_shape(simulate_catalogue(n_galaxies, seed, without=without))
    kept = [*MAGNITUDES, *PROPERTY_NAMES, *SHAPE]
    if sample == "stamps":
        pictures = [
            cutout_statistics(render(table.iloc[k : k + 64], seed))
            for k in range(0, n_galaxies, 64)
        ]
        table = table.join(
            pd.concat(pictures, ignore_index=True)[list(PICTURE)]
        )
        fluxes = []
        for number, row in enumerate(table.to_dict("records")):
            rng = np.random.default_rng([seed, 3, number])
            stamp = frames.add_noise(rendering.draw_galaxy(row, rng), rng)
            fluxes.append(stamp.sum(axis=(1, 2), dtype=np.float64))
        table[list(STAMP_FLUXES)] = 22.5 - 2.5 * np.log10(
            np.maximum(fluxes, 1e-2)
        )
        kept += [*PICTURE, *STAMP_FLUXES]
    return table[kept]


def log_probabilities(
    features: np.ndarray,
    properties: np.ndarray,
    *,
    n_test: int,
    start: ConditionalFlow | None = None,
    n_steps: int = 1500,
    batch_size: int = 512,
    width: int = 96,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[np.ndarray, ConditionalFlow]:
    """Log-density in nat of the true properties of the last `n_test` galaxies.

    A flow is trained on the galaxies before them: AdamW with a cosine schedule, averaged weights.
    With `start` it goes on from that flow, to which new columns are nothing at first, and the
    weights that a tenth of the training galaxies, held back, like best are kept, those of `start`
    among them: columns that tell nothing then change nothing.

    Arguments:
        features: the condition, `(n, c)`.
        properties: `(n, d)`.
        n_test: galaxies judged on.
        start: flow on the first columns of `features`, from an earlier call.
        n_steps: training steps.
        batch_size: galaxies a step.
        width: of the three hidden layers.
        seed: of weights and batches.
        device: where to train.

    Returns:
        Per standardised unit, which cancels in a difference, `(n_test,)`; and the flow.
    """
    n_train = len(features) - n_test
    condition, theta = (
        torch.tensor(
            _standardised(x, n_train), dtype=torch.float32, device=device
        )
        for x in (features, properties)
    )
    held_back = slice(n_train - n_train // 10, n_train)
    torch.manual_seed(seed)
    dim = theta.shape[1]
    flow = ConditionalFlow(VelocityNetwork(dim, condition.shape[1], width)).to(
        device
    )
    if start is not None:
        weights = start.state_dict()
        first = next(
            name for name in weights if name.endswith("hidden.0.weight")
        )
        weights[first] = functional.pad(
            weights[first],
            (0, flow.state_dict()[first].shape[1] - weights[first].shape[1]),
        )
        flow.load_state_dict(weights)
    averaged = torch.optim.swa_utils.AveragedModel(
        flow,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(
            0.998 if start is None else 0.99
        ),
    )
    optimiser = torch.optim.AdamW(
        flow.parameters(),
        lr=2e-3 if start is None else 1e-3,
        weight_decay=1e-4,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)

    def liking():
        return averaged.module.log_prob(
            theta[held_back], condition[held_back], steps=20
        ).mean()

    if start is not None:
        best, kept = liking(), copy.deepcopy(averaged.module.state_dict())
    for step in range(1, n_steps + 1):
        rows = torch.randint(held_back.start, (batch_size,), device=device)
        t = torch.rand(1, batch_size, 1, device=device)
        noise = torch.randn(2, batch_size, dim, device=device)
        loss = flow.loss(theta[rows], condition[rows], t, noise[:1], noise[1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        averaged.update_parameters(flow)
        if start is not None and step % max(n_steps // 5, 1) == 0:
            likes = liking()
            if likes > best:
                best, kept = likes, copy.deepcopy(averaged.module.state_dict())
    trained = averaged.module
    if start is not None:
        trained.load_state_dict(kept)
    found = trained.log_prob(theta[-n_test:], condition[-n_test:], steps=40)
    return found.cpu().double().numpy(), trained


def _standardised(x: np.ndarray, n_train: int) -> np.ndarray:
    return (x - x[:n_train].mean(axis=0)) / x[:n_train].std(axis=0)


def gain(
    table: pd.DataFrame,
    experiment: Experiment,
    *,
    n_test: int,
    seeds: int = 3,
    baselines: dict | None = None,
    **settings,
) -> dict:
    """Mean gain in log-density by an experiment's features over photometry alone.

    Arguments:
        table: of `make_features`.
        experiment: what to ask.
        n_test: galaxies judged on.
        seeds: trainings of each flow.
        baselines: what photometry alone gave before, a flow to start from and log-densities, by
            sample, properties and seed; new ones are added.
        settings: of `log_probabilities`.

    Returns:
        `gain` and `standard_error` in nat, `spread_over_trainings`, and the numbers of galaxies.
    """
    magnitudes = table[list(MAGNITUDES)].to_numpy()
    photometry = np.c_[magnitudes[:, 2], -np.diff(magnitudes, axis=1)]
    extra = table[list(experiment.features)].to_numpy()
    if experiment.shuffled:
        extra = np.random.default_rng(0).permutation(extra)
    properties = table[list(experiment.properties)].to_numpy()
    baselines = {} if baselines is None else baselines
    differences = []
    for seed in range(seeds):

        def train(features, start=None, seed=seed):
            return log_probabilities(
                features,
                properties,
                n_test=n_test,
                start=start,
                seed=seed,
                **settings,
            )

        key = experiment.sample, experiment.properties, seed
        if key not in baselines:
            _, start = train(photometry)
            baselines[key] = start, train(photometry, start)[0]
        start, alone = baselines[key]
        differences.append(train(np.c_[photometry, extra], start)[0] - alone)
    return {
        "question": experiment.question,
        "properties": list(experiment.properties),
        **over_trainings(differences),
        "n_train": len(table) - n_test,
        "n_test": n_test,
        "trainings": seeds,
    }


def run(
    path: Path,
    sizes: dict[str, int],
    *,
    n_test: int,
    book: Mapping = BOOK_SURVEY,
    seed: int = 101,
    features_only: bool = False,
    device: str = "cpu",
    command: str = "",
    **settings,
) -> dict:
    """All experiments; those that `path` holds under the same settings and code are kept.

    Arguments:
        path: JSON file of the results.
        sizes: galaxies in each sample but the book's.
        n_test: galaxies judged on in these.
        book: the survey of the sample `"book"`, which judges on its own test galaxies.
        seed: of the catalogues.
        features_only: make the catalogues and stop.
        device: where to train.
        command: that makes them.
        settings: of `gain`.
    """
    module = "studies.picture_controls"
    tables = {
        sample: kept_table(
            f"controls-{sample}",
            key_of([n, seed], module),
            lambda sample=sample, n=n: make_features(sample, n, seed),
        )
        for sample, n in sizes.items()
    }
    judged = dict.fromkeys(sizes, n_test)
    tables["book"], judged["book"] = features_of_book(book)
    if features_only:
        return {}
    key = key_of([sizes, n_test, dict(book), seed, settings], module)
    results = stored(path, key) or {
        "experiments": {},
        "seed": seed,
        "device": device,
    }
    baselines = {}
    for name, experiment in EXPERIMENTS.items():
        if name in results["experiments"]:
            continue
        start = time.monotonic()
        results["experiments"][name] = gain(
            tables[experiment.sample],
            experiment,
            n_test=judged[experiment.sample],
            baselines=baselines,
            device=device,
            **settings,
        )
        results["experiments"][name]["seconds"] = round(
            time.monotonic() - start, 1
        )
        results = store(path, results, key, command)
    return results


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "picture_controls",
        __doc__,
        arguments,
        features_only={
            "action": "store_true",
            "help": "make the catalogues and stop",
        },
        device={"default": "cuda" if torch.cuda.is_available() else "cpu"},
    )
    sizes, small = {"survey": 40000, "blind": 40000, "stamps": 12000}, {}
    if options.smoke:
        sizes = dict.fromkeys(sizes, 120)
        small = {
            "book": BOOK_SURVEY | {"n_galaxies": 120},
            "seeds": 1,
            "n_steps": 20,
        }
    results = run(
        options.folder / "controls.json",
        sizes,
        n_test=40 if options.smoke else 4000,
        features_only=options.features_only,
        device=options.device,
        command=options.command,
        **small,
    )
    for name, result in results.get("experiments", {}).items():
        print(
            f"{name:18} {result['gain']:+.3f} ± {result['standard_error']:.3f} nat"
        )


if __name__ == "__main__":
    main()
