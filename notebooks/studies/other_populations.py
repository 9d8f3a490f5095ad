"""Models on galaxies that the paper left out, or that lie beyond those they were trained on.

The photometry and the image model are trained on star-forming galaxies, on the parent population
(quiescent galaxies and those of low surface brightness included), and on near galaxies alone, and
tried on each class of galaxies: `python -m studies.other_populations` writes
`data/published/other_populations.json`; called again, it goes on where it was stopped.

The gas of a galaxy that is not star-forming has no measured abundance. There the label is a draw
from those of the training galaxies that have one, so that a model trained on it says what it knows:
nothing but the population.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.metrics import coverage, point_estimates, summarise
from galcfm.paths import run_folder
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.galaxies import is_star_forming
from studies import account
from studies.stored import kept_catalogue, kept_pictures, key_of, read_command, store, stored
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe, train_models

__all__ = ["CLASSES", "TRAININGS", "Plan", "classes_of", "main", "run", "with_abundances"]

LEVELS = (0.68, 0.95)
STEPS = 24
NEAR, FAR = 0.1, 0.15
FAINT = 23.0  # mag/arcsec², mean surface brightness in r within the half-light radius
ABUNDANCE = "oxygen_abundance"
CLASSES = {
    "star-forming": "star-forming",
    "green": "green valley",
    "quiescent": "quiescent",
    "active": "with an active nucleus",
    "diffuse": f"of surface brightness below {FAINT:g} mag/arcsec²",
    "near": f"star-forming, z < {NEAR:g}",
    "far": f"star-forming, z > {FAR:g}",
}
TRAININGS = {
    "star-forming": "star-forming galaxies, as in the paper",
    "parent": "the parent population",
    "near": f"star-forming galaxies at z < {NEAR:g}",
}


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        n_galaxies, seed, validation, test: of the parent population that is simulated.
        recipe: of all trainings, but for the seed.
        seeds: of the trainings.
        of_class: galaxies of each class to judge at most, the first ones of the test split.
        n_draws: draws of each posterior; with 199 the 95 % intervals end at draws.
        processes: that render.
    """

    n_galaxies: int = 20_000
    seed: int = 71
    validation: float = 0.1
    test: float = 0.4
    recipe: Recipe = account.RECIPE
    seeds: tuple[int, ...] = (1, 2, 3)
    of_class: int = 500
    n_draws: int = 199
    processes: int = 2


def classes_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which galaxies belong to each of `CLASSES`, `(n,)` booleans; they may belong to several."""
    active = table["active"].to_numpy() == 1
    forming = is_star_forming(
        table["log_stellar_mass_true"].to_numpy(), table["log_sfr_true"].to_numpy(), active
    )
    forming &= table["lines_seen"].to_numpy() == 1
    sequence, redshift = table["sequence"].to_numpy(), table["redshift"].to_numpy()
    # Of the disc, and of the bulge where there is hardly a disc.
    radius = np.maximum(table["disc_radius"], table["bulge_radius"])
    faint = table["mag_r"] + 2.5 * np.log10(2 * np.pi * radius**2) > FAINT
    return {
        "star-forming": forming,
        "green": (sequence == 1) & ~active,
        "quiescent": (sequence == 2) & ~active,
        "active": active,
        "diffuse": faint.to_numpy(),
        "near": forming & (redshift < NEAR),
        "far": forming & (redshift > FAR),
    }


def with_abundances(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The catalogue with an abundance for all, drawn from those of the training split."""
    known = table[ABUNDANCE].notna()
    drawn = table.loc[known & (table["split"] == "train"), ABUNDANCE].to_numpy()
    rng = np.random.default_rng([seed, 1])
    return table.assign(**{ABUNDANCE: table[ABUNDANCE].where(known, rng.choice(drawn, len(table)))})


def judge(model: Posterior, test: Survey, measured: pd.DataFrame, plan: Plan) -> dict:
    """What a model makes of the galaxies of each class.

    Arguments:
        model: a photometry or an image model.
        test: galaxies of all classes.
        measured: the same, abundances missing where none is measured.
        plan: number of galaxies and draws.

    Returns:
        By class `n`; `outside`, the share that is flagged as out of range; `log_prob` of the labels
        where all are measured [nat]; and by property `coverage`, of the central intervals of
        `LEVELS`, `bias`, `scatter` and `n`.
    """
    groups = {
        name: rows & (np.cumsum(rows) <= plan.of_class)
        for name, rows in classes_of(measured).items()
    }
    judged = np.flatnonzero(np.any(list(groups.values()), axis=0))
    test, measured = test.select(judged), measured.iloc[judged]
    condition = model.encode_survey(test)
    draws = model.sample_from(condition, test.object_id, plan.n_draws, 12, plan.seed).numpy()
    log_prob = model.log_prob_from(test.properties, condition, STEPS).double().numpy()
    flags = model.out_of_range_from(condition)
    outside = flags.filter(like="_outside").any(axis=1).to_numpy()
    labels, found = measured[list(PROPERTY_NAMES)].to_numpy(), {}
    for name, of_all in groups.items():
        rows = of_all[judged]
        if not rows.any():
            continue
        of_class = {"n": int(rows.sum()), "outside": float(outside[rows].mean()), "properties": {}}
        whole = rows & np.isfinite(labels).all(1)
        if whole.sum() > 1:
            of_class["log_prob"] = summarise(log_prob[whole])
        for k, p in enumerate(PROPERTY_NAMES):
            here = rows & np.isfinite(labels[:, k])
            if not here.any():
                continue
            theta, truth = draws[here][:, :, [k]], labels[here][:, [k]]
            estimates = point_estimates(theta.mean(1), truth)
            of_class["properties"][p] = {
                "n": int(here.sum()),
                "coverage": coverage(theta, truth, LEVELS)[:, 0].round(4).tolist(),
                "bias": round(float(estimates["bias"][0]), 4),
                "scatter": round(float(estimates["scatter"][0]), 4),
            }
        found[name] = of_class
    return found


def run(folder: Path, plan: Plan, command: str) -> dict:
    """Train and judge what `folder` does not hold yet.

    Arguments:
        folder: where `other_populations.json` goes.
        plan: how much of everything.
        command: that makes the results.
    """
    path, plain = folder / "other_populations.json", asdict(plan) | {"processes": 0}
    key = key_of(plain, "studies.other_populations")
    results = stored(path, key) or {"trainings": {}, "plan": plain}
    drawn = {"population": "parent", "validation": plan.validation, "test": plan.test}
    measured = kept_catalogue(plan.n_galaxies, plan.seed, **drawn).catalogue
    pictures = kept_pictures(
        "parent", measured, plan.seed, [plan.n_galaxies, drawn], processes=plan.processes
    )
    table = with_abundances(measured, plan.seed)
    survey = Survey(table, pictures.images, {"kind": "simulated"}, pictures.name)
    tested = np.flatnonzero(table["split"] == "test")
    groups = classes_of(measured)
    trained_on = {
        "star-forming": groups["star-forming"],
        "parent": np.ones(len(table), bool),
        "near": groups["near"],
    }
    for seed in plan.seeds:
        for name, rows in trained_on.items():
            of_training = results["trainings"].setdefault(name, {})
            if str(seed) in of_training:
                continue
            recipe = replace(plan.recipe, seed=seed)
            here = run_folder("other_populations", key) / f"{name}-{seed}"
            models = train_models(
                survey.select(np.flatnonzero(rows)), here, recipe, ("photometry", "image")
            )
            of_training[str(seed)] = {
                kind: judge(model, survey.select(tested), measured.iloc[tested], plan)
                for kind, model in models.items()
            }
            store(path, results, key, command)
    return results


SMALL = Plan(
    n_galaxies=240, validation=0.2, recipe=RECIPES["rehearsal"], seeds=(1,), n_draws=20, processes=1
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command("other_populations", __doc__, arguments)
    results = run(options.folder, SMALL if options.smoke else Plan(), options.command)
    for name, seeds in results["trainings"].items():
        for kind, classes in next(iter(seeds.values())).items():
            for of, found in classes.items():
                low = min(p["coverage"][1] for p in found["properties"].values())
                print(
                    f"{name:13} {kind:10} {of:13} {found['n']:5} galaxies, {found['outside']:.1%} "
                    f"flagged, 95 % intervals hold {low:.1%} at least"
                )


if __name__ == "__main__":
    main()
