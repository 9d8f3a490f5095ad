"""Flows of photometry beside the exact posterior, galaxy by galaxy."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde
from tqdm import tqdm

from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.runs import RunError
from galcfm.survey import Survey
from studies.exact import DRAWS, STUDY, Plan
from studies.exact.latents import Light
from studies.exact.particles import ExactPosterior, log_likelihood
from studies.exact.stages import Stages
from studies.exact.summary import summarise
from studies.frame import Place, kept_catalogue, write_table

STEPS = 50  # Runge-Kutta steps of the flows
N_SHOWN = 4  # galaxies whose draws are kept


def classifier_accuracy(a: np.ndarray, b: np.ndarray) -> float:
    """Return how often a classifier names the right one of two samples for a draw.

    Logistic regression on all products of two properties, the best classifier of two normal
    distributions, cross-validated: the classifier two-sample test (Lopez-Paz & Oquab 2017). 0.5 is
    guessing.

    Arguments:
        a: Draws, shape `(n, d)`.
        b: Draws, shape `(m, d)`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    classifier = make_pipeline(
        StandardScaler(), PolynomialFeatures(2, include_bias=False), LogisticRegression()
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    label = np.repeat([0, 1], [len(a), len(b)])
    return float(cross_val_score(classifier, np.concatenate([a, b]), label, cv=folds).mean())


def compare(
    survey: Survey,
    exact: list[list[ExactPosterior]],
    flows: Mapping[str, Posterior],
    light: Light,
    plan: Plan,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the flows and the exact posterior say about each galaxy.

    Arguments:
        survey: Galaxies with `<property>_true`.
        exact: Runs of the sampler for each galaxy.
        flows: Models by name.
        light: Galaxies of the prior, for importance sampling without sampler or emulator.
        plan: Number of draws, and the seed.
        progress: Whether a bar is shown.

    Returns:
        One row of numbers per galaxy, and draws of some galaxies.
    """
    theta = survey.properties
    sigma = flows["book"].flow.sigma * flows["book"].property_std.numpy()
    draws, densities = {}, {}
    for name, flow in flows.items():
        condition = flow.encode_survey(survey)
        draws[name] = flow.sample_from(
            condition, survey.object_id, plan.n_draws, STEPS, plan.seed
        ).numpy()
        densities[name] = flow.log_prob_from(theta, condition, STEPS).numpy()
    table, shown = [], []
    for k, runs in enumerate(tqdm(exact, desc="galaxies compared", disable=not progress)):
        rng = np.random.default_rng([plan.seed, 5, k])
        row = {"object_id": survey.object_id[k], "mag_r": survey.magnitudes[k, 2]}
        row |= _of_sampler(runs, theta[k], sigma)
        reference = [run.draws(plan.n_draws, sigma, rng) for run in runs]
        for name in flows:
            row[name] = densities[name][k]
            row[f"c2st_{name}"] = classifier_accuracy(draws[name][k], reference[0])
        row["c2st_exact"] = classifier_accuracy(reference[1], reference[0])
        seen = survey.magnitudes[k]
        brute = ExactPosterior.of(light, seen, log_likelihood(light, seen), rng)
        row |= {"brute_effective": brute.effective_size, "brute": brute.log_prob(theta[k], sigma)}
        brute_mean, _ = brute.moments()
        of = {"exact": np.concatenate(reference)} | {name: draws[name][k] for name in flows}
        for j, p in enumerate(PROPERTY_NAMES):
            row[f"{p}_label"] = theta[k, j]
            row[f"{p}_true"] = survey.catalogue[f"{p}_true"].iloc[k]
            row[f"{p}_brute"] = brute_mean[j]
            for name, values in of.items():
                row[f"{p}_width_{name}"] = values[:, j].std()
                if name != "exact":
                    row[f"{p}_{name}"] = gaussian_kde(values[:, j]).logpdf(theta[k, j])[0]
        table.append(row)
        for name, values in of.items() if k < N_SHOWN else ():
            values = values[: plan.n_draws].astype(np.float32)
            part = pd.DataFrame(values, columns=list(PROPERTY_NAMES))
            shown.append(part.assign(object_id=survey.object_id[k], posterior=name))
    return pd.DataFrame(table), pd.concat(shown, ignore_index=True)


def _of_sampler(runs: list[ExactPosterior], theta: np.ndarray, sigma: np.ndarray) -> dict:
    """Return the numbers of one galaxy's exact posterior and of its runs."""
    whole = ExactPosterior.joined(runs)
    row = {"exact": whole.log_prob(theta, sigma), "exact_unsmoothed": whole.log_prob(theta)}
    for number, run in enumerate(runs):
        row[f"exact_run_{number}"] = run.log_prob(theta, sigma)
        row[f"effective_{number}"] = run.effective_size
    for j, (p, mean, std) in enumerate(zip(PROPERTY_NAMES, *whole.moments(), strict=True)):
        row |= {f"{p}_mean": mean, f"{p}_std": std}
        row[f"{p}_exact"] = whole.log_prob(theta, columns=[j])
    return row


def make(place: Place, run: Path, plan: Plan, progress: bool = True) -> dict:
    """Run all stages that are not done and write the three files of the chapter.

    Arguments:
        place: Folder of `exact_posteriors.json`, `exact_posteriors.parquet` and
            `exact_draws.parquet`.
        run: Folder of the run, which is not read.
        plan: How much of everything.
        progress: Whether bars are shown.

    Returns:
        The content of the JSON file.
    """
    if plan.n_runs < 2:
        raise RunError(f"n_runs is {plan.n_runs}: the runs are compared, give at least 2")
    started = time.monotonic()
    key = STUDY.key(plan.settings)
    STUDY.stored(place.folder, key)  # refuses a file that it may not replace
    stages = Stages(plan, progress)
    emulator = stages.emulator()
    survey = kept_catalogue(**plan.simulated)
    test = survey.split("test")
    test = test.select(np.arange(min(plan.n_galaxies, len(test))))
    exact = stages.exact(emulator, test)
    light = stages.rows(emulator)
    flows = stages.flows(survey, light)
    table, draws = compare(test, exact, flows, light, plan, progress)
    result = summarise(table, survey.split("train").properties)
    result |= {
        "trained_on": {name: flow.metadata["n_train"] for name, flow in flows.items()},
        "emulator": {"grey": emulator.grey.item(), "spread": emulator.spread.tolist()},
        "plan": plan.settings,
        "seconds": round(time.monotonic() - started),
    }
    for name, content in {f"{STUDY.name}.parquet": table, DRAWS: draws}.items():
        numbers = content.select_dtypes("float64").columns
        write_table(place.folder / name, content.astype(dict.fromkeys(numbers, "float32")))
    return STUDY.store(place.folder, result, key)
