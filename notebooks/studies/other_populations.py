"""Models on galaxies that the paper left out, or that lie beyond those they were trained on.

The photometry and the image model are trained on star-forming galaxies, on the parent population
(quiescent galaxies and those of low surface brightness included), and on near galaxies alone, and
are tested on each class of galaxies.

The gas of a galaxy that is not star-forming has no measured abundance. There the label is a draw
from those of the training galaxies that have one, so that a model trained on it gives nothing but
the population.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from galcfm.figures.tables.words import SYMBOLS
from galcfm.metrics import coverage, point_estimates, summarise
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.galaxies import is_star_forming
from galcfm.survey import Survey
from studies.frame import ModelPlan, Place, Study

STUDY = Study("other_populations", "08_what_matters", parameter="results_populations")

LEVELS = (0.68, 0.95)
STEPS = 24  # Runge-Kutta steps of densities; draws take half as many
NEAR, FAR = 0.1, 0.15
FAINT = 23.0  # mag/arcsec², mean surface brightness in r within the half-light radius
FEWEST = 20  # labels that a share is made of
ABUNDANCE = "oxygen_abundance"
NAMES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
CLASSES, TRAININGS = NAMES["classes"], NAMES["trainings"]


@dataclass(frozen=True)
class Plan(ModelPlan):
    """The sizes of the study, whose survey is of the parent population.

    Arguments:
        of_class: Largest number of test galaxies of each class, the first ones of the split.
        n_draws: Number of draws per posterior; with 199 the 95 % intervals end at draws.
    """

    n_galaxies: int = 20_000
    survey_seed: int = 71
    validation_fraction: float = 0.1
    test_fraction: float = 0.4
    of_class: int = 500
    n_draws: int = 199


def classes_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which galaxies belong to each of `CLASSES`, shape (n,); some belong to several."""
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
    """Return the catalogue with an abundance for all, drawn from those of the training split."""
    known = table[ABUNDANCE].notna()
    drawn = table.loc[known & (table["split"] == "train"), ABUNDANCE].to_numpy()
    rng = np.random.default_rng([seed, 1])
    return table.assign(**{ABUNDANCE: table[ABUNDANCE].where(known, rng.choice(drawn, len(table)))})


def evaluate(model, test: Survey, measured: pd.DataFrame, plan: Plan) -> dict:
    """Return how a model does on the galaxies of each class.

    Arguments:
        model: Photometry or image model, a `galcfm.posterior.Posterior`.
        test: Test galaxies of all classes.
        measured: Their catalogue, in which abundances that are not measured are missing.
        plan: Sizes of the study.

    Returns:
        By class the number `n` of galaxies; `outside`, the share whose magnitudes or images are
        outside the training range, without the test for quiescent galaxies; `log_prob` of the
        labels where all are measured [nat]; and by property `coverage` of the central intervals of
        `LEVELS`, `bias`, `scatter` and `n`.
    """
    groups = {
        name: rows & (np.cumsum(rows) <= plan.of_class)
        for name, rows in classes_of(measured).items()
    }
    used = np.flatnonzero(np.any(list(groups.values()), axis=0))
    test, measured = test.select(used), measured.iloc[used]
    condition = model.encode_survey(test)
    draws = model.sample_from(
        condition, test.object_id, plan.n_draws, STEPS // 2, plan.survey_seed
    ).numpy()
    log_prob = model.log_prob_from(test.properties, condition, STEPS).double().numpy()
    flags = model.out_of_range_from(condition)
    # The range alone: what looks quiescent is not counted here.
    outside = flags.filter(regex="^(photometry|image)_outside").any(axis=1).to_numpy()
    labels, found = measured[list(PROPERTY_NAMES)].to_numpy(), {}
    for name, of_all in groups.items():
        rows = of_all[used]
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


def make(place: Place, run: Path, plan: Plan, seeds: Sequence[int], names=TRAININGS) -> dict:
    """Make the trainings for each seed that are missing in a place, and return the results.

    Arguments:
        place: Where the results and the models go.
        run: Folder of the run, which is not read.
        plan: Sizes of the study.
        seeds: Seeds of the trainings.
        names: Names of `TRAININGS`.
    """
    key = STUDY.key(plan.settings)
    results = STUDY.stored(place.folder, key) or {"trainings": {}, "plan": plan.settings}
    for seed, name in product(seeds, names):
        of_training = results["trainings"].setdefault(name, {})
        if str(seed) not in of_training:
            of_training[str(seed)] = train_and_evaluate(name, seed, plan, place.work)
            results = STUDY.store(place.folder, results, key)
    return results


def train_and_evaluate(name: str, seed: int, plan: Plan, folder: Path) -> dict:
    """Return the numbers of `evaluate` by model, both of which are trained or resumed.

    Arguments:
        name: Name of the galaxies to train on, of `TRAININGS`.
        seed: Seed of both trainings.
        plan: Sizes of the study.
        folder: Folder of the models.
    """
    from galcfm.training import train_models

    measured = plan.catalogue(population="parent").catalogue
    pictures = plan.pictures("parent", measured)
    table = with_abundances(measured, plan.survey_seed)
    survey = Survey(table, pictures.images, {"kind": "simulated"}, pictures.name)
    # All galaxies, if they are not those of a class.
    mine = classes_of(measured).get(name, np.ones(len(table), bool))
    models = train_models(
        survey.select(np.flatnonzero(mine)),
        folder / f"{name}-{seed}",
        plan.training(seed=seed),
        ("photometry", "image"),
    )
    test, measured = survey.split("test"), measured[measured["split"] == "test"]
    return {kind: evaluate(model, test, measured, plan) for kind, model in models.items()}


def class_means(results: Mapping, kind: str) -> pd.DataFrame:
    """Return how models do on each class of galaxies, averaged over their trainings.

    Arguments:
        results: Content of the result.
        kind: `"photometry"` or `"image"`.

    Returns:
        One row per training and class: `galaxies`, the share `flagged` as outside the range, and of
        each property the number `n` of labels, the share `inside` 95 % intervals, and the `bias` of
        posterior means [unit of the property], in columns `(property, what)`.
    """
    rows = {}
    for training, seeds in results["trainings"].items():
        for of_class, first in next(iter(seeds.values()))[kind].items():
            found = [of[kind][of_class] for of in seeds.values()]
            row = rows[training, of_class] = {
                ("galaxies", ""): first["n"],
                ("flagged", ""): np.mean([one["outside"] for one in found]),
            }
            for name in first["properties"]:
                of_property = [one["properties"][name] for one in found]
                row[name, "n"] = of_property[0]["n"]
                row[name, "inside"] = np.mean([one["coverage"][1] for one in of_property])
                row[name, "bias"] = np.mean([one["bias"] for one in of_property])
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(["trained on", "galaxies of"])


def table(results: Mapping, kind: str) -> pd.DataFrame:
    """Return the share of labels inside 95 % intervals by class of galaxies, over all trainings.

    An asterisk marks shares that differ from 95 % by more than two standard errors; shares of
    fewer than `FEWEST` galaxies are left out.

    Arguments:
        results: Content of the result.
        kind: `"photometry"` or `"image"`.
    """
    means = class_means(results, kind)
    table = pd.DataFrame(index=means.index)
    table["galaxies"] = means["galaxies"]
    table["flagged [%]"] = (100 * means["flagged"]).map("{:.1f}".format)
    for name, symbol in SYMBOLS.items():
        n, inside = means[name, "n"], means[name, "inside"]
        off = (inside - 0.95).abs() > 2 * np.sqrt(0.95 * 0.05 / n)
        shown = (100 * inside).map("{:.1f}".format) + off.map({True: "*", False: ""})
        table[f"{symbol} [%]"] = shown.where(n >= FEWEST, "")
    table = table.rename(index=TRAININGS, level=0).rename(index=CLASSES, level=1)
    return table.rename_axis([None, None])
