"""What matters: one part of the image model, its inputs or its training exchanged at a time.

`python -m studies.what_matters` trains flow matching with photometry and picture on the
survey of the account, three seeds a point, with a fixed number of epochs, and writes
`data/published/what_matters.json` and, galaxy by galaxy, `what_matters.parquet`; called again, it
goes on where it was stopped. Several processes can share the work, each with some `--axes`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from studies import methods
from studies.methods.base import Method, labelled
from galcfm.paths import replacing, run_folder
from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import digest, provenance
from studies import account
from studies.alterations import PICTURES, altered, fewer
from studies.stored import KeptTrainings, key_of, read_command
from studies.training_seeds import over_trainings
from galcfm.survey import Survey

__all__ = ["AXES", "REFERENCE", "Plan", "Point", "run", "summary"]


@dataclass(frozen=True)
class Point:
    """One point of an axis: the reference with one thing changed.

    Arguments:
        label: in words.
        options: changes of those of `studies.methods.FlowVariant`; `descent`, of the plan's.
        pictures: of `PICTURES`.
        n_train: galaxies of the training split, the first ones; 0 for all.
        n_galaxies: of a larger survey to train on; 0 for that of all points.
        aligned: the encoder is aligned with spectra first, and frozen.
        steps: Runge-Kutta steps of the judged density; 0 for as many as suffice. Nothing is
            trained for it.
    """

    label: str
    options: dict = field(default_factory=dict)
    pictures: str = "as they are"
    n_train: int = 0
    n_galaxies: int = 0
    aligned: bool = False
    steps: int = 0


REFERENCE = Point("photometry and picture", {})
LONGER = {"descent": {"max_epochs": 40, "patience": 40}}
# The field of view is the same: 51″.
PIXELS = {16: 8, 32: 4, 64: 2, 128: 1}
AXES: dict[str, tuple[str, dict[str, Point]]] = {
    "inputs": (
        "what is seen",
        {
            "photometry": Point("photometry alone", {"encoder": None}),
            "image": Point("picture alone", {"magnitudes": False}),
            "told": Point("and redshift", {"redshift": True}),
            "photometry_told": Point(
                "photometry and redshift", {"encoder": None, "redshift": True}
            ),
        },
    ),
    "pictures": ("what pictures hold", {name: Point(name, pictures=name) for name in PICTURES[1:]}),
    "pixels": (
        "pixels a side, of the same field",
        {
            str(n): Point(f"{n} pixels", {"crop": 128, "bin_factor": bin_factor})
            for n, bin_factor in PIXELS.items()
        },
    ),
    "pooling": ("pooling", {"max": Point("maximum pooling", {"encoder": "max_pooling"})}),
    "encoder": (
        "image encoder",
        {
            "resnet": Point("residual network", {"encoder": "resnet"}),
            "vit": Point("vision transformer", {"encoder": "vit"}),
            "aligned": Point("vision transformer aligned with spectra, frozen", aligned=True),
            "random": Point(
                "vision transformer as chance made it, frozen", {"encoder": "vit", "frozen": True}
            ),
        },
    ),
    "galaxies": (
        "galaxies to train on",
        {
            **{str(n): Point(f"{n:,}", n_train=n) for n in (1500, 3000, 6000)},
            **{str(n): Point(f"{n:,}", n_train=n, n_galaxies=67_000) for n in (30_000, 60_000)},
        },
    ),
    "sigma": (
        "width σ of the path",
        {str(s): Point(f"σ = {s}", {"sigma": s}) for s in (0.0, 0.01, 0.1)},
    ),
    "conditioning": (
        "how the condition comes in",
        {
            "modulation": Point("scaled and shifted layers", {"conditioning": "modulation"}),
            "cross_attention": Point("cross-attention", {"conditioning": "cross_attention"}),
        },
    ),
    "training": (
        "length of the training",
        {
            "longer": Point("40 epochs", LONGER),
            **{
                name: Point(f"40 epochs, {label}", {"conditioning": name, **LONGER})
                for name, label in (
                    ("modulation", "scaled and shifted layers"),
                    ("cross_attention", "cross-attention"),
                )
            },
        },
    ),
    "steps": (
        "Runge-Kutta steps",
        {str(n): Point(f"{n} steps", steps=n) for n in (2, 4, 8, 16, 100)},
    ),
}


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        survey: changes of the account's plan.
        options: of `FlowVariant` at the reference; each point trains for as many steps.
        descent: of `studies.methods.Descent`; `max_epochs` is for the whole training split, and
            points with other numbers of galaxies take as many steps.
        alignment: changes of the alignment of pictures and spectra.
    """

    survey: dict = field(default_factory=dict)
    options: dict = field(
        default_factory=lambda: {"encoder": "paper", "crop": 96, "bin_factor": 3, "width": 128}
    )
    descent: dict = field(default_factory=lambda: {"max_epochs": 12, "patience": 12})
    alignment: dict = field(default_factory=dict)


def points() -> dict[str, Point]:
    """All points, by `AXIS/NAME`, the reference first."""
    of_axes = {f"{axis}/{name}": p for axis, (_, of) in AXES.items() for name, p in of.items()}
    return {"reference": REFERENCE} | of_axes


class Work:
    """The survey, the reference, and where points are kept.

    Arguments:
        folder: where `what_matters.json` and `what_matters.parquet` go.
        plan: how much of everything.
        command: that makes the results.
        progress: show bars.
    """

    def __init__(self, folder: Path, plan: Plan, command: str = "", progress: bool = True):
        self.plan, self.progress = plan, progress
        drawn = asdict(replace(account.Plan(), **plan.survey)) | {"processes": 0}
        plain = asdict(plan) | {"survey": drawn}
        key = key_of(
            plain,
            "studies.alterations",
            "studies.methods.flow_variants",
            "studies.methods.contrastive",
            "galcfm.simulate.population",
            "galcfm.simulate.rendering",
        )
        self.kept = KeptTrainings(
            folder,
            "what_matters",
            key,
            command,
            plain,
            group="points",
            row_keys={name: digest(asdict(point)) for name, point in points().items()},
        )
        self.folder = run_folder("what-matters", key)

    @cache  # noqa: B019
    def survey(self, n_galaxies: int = 0) -> Survey:
        """The survey of the account with all ties, or a larger one that begins with it."""
        plan = replace(account.Plan(), **self.plan.survey)
        plan = replace(plan, n_galaxies=n_galaxies or plan.n_galaxies)
        return account.survey_of(account.ROWS["all"], plan, self.progress)

    def survey_of(self, point: Point) -> Survey:
        """What a point is trained on."""
        survey = self.survey()
        if point.n_galaxies:
            larger = self.survey(point.n_galaxies)
            judged = survey.object_id[survey.catalogue["split"] != "train"]
            # All galaxies that nothing is judged on.
            mine = np.flatnonzero(~np.isin(larger.object_id.astype(str), judged.astype(str)))
            held_out = labelled(survey, "validation")
            table = pd.concat(
                [larger.catalogue.iloc[mine].assign(split="train"), held_out.catalogue]
            )
            images = np.concatenate([larger.images[mine], held_out.images])
            survey = Survey(table, images, survey.parameters, larger.name)
        return altered(fewer(survey, point.n_train), point.pictures)

    def fitted(self, point: Point, seed: int) -> Method:
        """The method of a point, trained."""
        train = self.survey_of(point)
        n = int((self.survey().catalogue["split"] == "train").sum())
        mine = int((train.catalogue["split"] == "train").sum())
        descent = {**self.plan.descent, **point.options.get("descent", {}), "seed": seed}
        # As many steps, whatever the number of galaxies.
        for name in ("max_epochs", "patience"):
            descent[name] = max(1, round(descent[name] * n / mine))
        options = {**self.plan.options, **point.options}
        options["descent"] = methods.Descent(**descent)
        if point.aligned:
            flow = methods.AlignedFlow(
                encoder="vit",
                alignment=replace(
                    methods.contrastive.ALIGNMENT, **{**self.plan.alignment, "seed": seed}
                ),
                **{k: v for k, v in options.items() if k in ("crop", "bin_factor", "width")},
                descent=options["descent"],
            )
            options["encoder"], _ = flow.aligned_encoder(train, self.folder, self.progress)
        method = methods.FlowVariant(**options).fit(train, progress=self.progress)
        method.training["n_train"] = mine
        return method

    def reference(self, seed: int) -> Method:
        """The reference of a seed, trained once for all processes and kept."""
        path = self.folder / f"reference-{seed}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                with replacing(path) as temporary:
                    torch.save(self.fitted(REFERENCE, seed), temporary)
        # Of this very code, which is in the folder's name.
        return torch.load(path, weights_only=False)

    def make(self, name: str, seed: int) -> None:
        """Train, judge and store a point for a seed."""
        point = points()[name]
        whole = point == REFERENCE or point.steps
        method = self.reference(seed) if whole else self.fitted(point, seed)
        test = altered(labelled(self.survey(), "test"), point.pictures)
        if point.steps:
            method.density_steps = method.steps = point.steps
        log_prob = method.log_prob(test.properties, test)
        some = test.select(np.arange(min(1000, len(test))))
        mean = method.sample(some, 64).mean(axis=1)
        rmse = np.sqrt(np.mean((mean - some.properties) ** 2, axis=0))
        numbers = {
            "log_prob": float(log_prob.mean()),
            "rmse": dict(zip(PROPERTY_NAMES, rmse.round(5).tolist(), strict=True)),
            "training": method.training,
            "n_parameters": method.n_parameters,
            "made": provenance(),
        }
        column = pd.Series(log_prob, index=pd.Index(test.object_id, name="object_id"))
        self.kept.keep(name, seed, numbers, {"point": asdict(point)}, column, summary)


def summary(results: dict, table: pd.DataFrame) -> dict:
    """Each point's difference to the reference, with its error over galaxies and trainings.

    Arguments:
        results: as stored, `points` by name.
        table: log-density [nat] of each test galaxy, a column `POINT/SEED`.
    """
    # Points of another version stay as they are.
    known = [*points(), *results["points"]]
    found, order = {}, sorted(results["points"], key=known.index)
    reference = results["points"].get("reference", {"seeds": {}})["seeds"]
    for name in order:
        point = results["points"][name]
        seeds = [seed for seed in point["seeds"] if seed in reference]
        if name != "reference" and seeds:
            differences = [table[f"{name}/{s}"] - table[f"reference/{s}"] for s in seeds]
            point = point | over_trainings(np.array(differences, dtype=np.float64))
        found[name] = point
    return results | {"points": found, "axes": {axis: label for axis, (label, _) in AXES.items()}}


def run(
    folder: Path,
    plan: Plan,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    command: str = "",
    progress: bool = True,
) -> dict:
    """Train and judge the points for each seed that `folder` does not hold yet.

    Arguments:
        folder: where `what_matters.json` and `what_matters.parquet` go.
        plan: how much of everything.
        names: of `points`.
        seeds: of the trainings.
        command: that makes the results.
        progress: show bars.
    """
    work = Work(folder, plan, command, progress)
    for name, seed in work.kept.missing(names, seeds):
        work.make(name, seed)
    return work.kept.results()


SMALL = Plan(
    survey={"n_galaxies": 80, "validation": 0.2, "test": 0.3, "processes": 1},
    options={
        "encoder": "paper",
        "crop": 96,
        "bin_factor": 6,
        "width": 16,
        "hidden_width": 16,
        "depth": 2,
    },
    descent={"max_epochs": 2, "patience": 2, "batch_size": 32},
    alignment={"max_epochs": 2, "batch_size": 32},
)
SMOKE = (
    "reference",
    "inputs/photometry",
    "pictures/grey",
    "pictures/another galaxy's",
    "pixels/16",
    "conditioning/cross_attention",
    "steps/4",
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "what_matters",
        __doc__,
        arguments,
        axes={"nargs": "*", "default": list(AXES), "choices": list(AXES), "help": "which"},
        seed={"type": int, "nargs": "*", "default": [1, 2, 3], "help": "which seeds"},
    )
    plan = SMALL if options.smoke else Plan()
    names = [n for n in points() if n == "reference" or n.split("/")[0] in options.axes]
    names = [n for n in names if n in SMOKE] if options.smoke else names
    seeds = options.seed[:1] if options.smoke else options.seed
    results = run(options.folder, plan, names, seeds, command=options.command)
    for name, point in results["points"].items():
        if "gain" in point:
            print(f"{name:32} {point['gain']:+.3f} ± {point['standard_error']:.3f} nat")


if __name__ == "__main__":
    main()
