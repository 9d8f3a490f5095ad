"""Galaxies ranked under models of a run and under variants of their training."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from galcfm.flow import FAST_STEPS
from galcfm.metrics import rank_statistics
from galcfm.paths import survey_folder
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import array_digest
from galcfm.runs import RunError
from galcfm.simulate import simulate_survey
from galcfm.survey import Survey
from studies.calibration import STUDY, Plan, ranks
from studies.calibration.variants import chosen_variants, members_of
from studies.frame import Place, kept_catalogue, models_digest, survey_of_run, write_table

COVARIATES = ("log_stellar_mass", "redshift", "mag_r")
MASS = PROPERTY_NAMES.index("log_stellar_mass")
DRAWS_AGAINST_PRIOR = 8
SEED = 0  # of draws and reference points


def rank_galaxies(
    models: Sequence[Posterior], prior: Posterior, survey: Survey, n_draws: int, progress=True
) -> pd.DataFrame:
    r"""Return ranks of each galaxy's properties under a model or the mean density of several.

    Arguments:
        models: One model, or the members of an ensemble.
        prior: An unconditional flow, the model with features `"none"`.
        survey: Galaxies with known properties.
        n_draws: Number of draws per galaxy. A draw of an ensemble is one of a member that is drawn
            for it.
        progress: Whether a bar is shown.

    Returns:
        One row per galaxy: the ranks by `QUANTITIES`; `hpd_smoothed`, that of the properties with
        the flow's own :math:`\mathcal N(0, \sigma^2)` added; `log_prob` and `log_prior` of the
        properties [nat]; `below_prior`, the share of some draws that are less dense under the
        posterior than under the prior; and `mass`, the mean of measured value and draws, which
        is a fair estimate to bin by, because measured value and draws enter it alike.
    """
    truth = survey.properties
    scale = models[0].property_std.cpu().numpy()
    noise = np.random.default_rng(SEED).normal(size=truth.shape)
    smoothed = truth + models[0].architecture["sigma"] * scale * noise
    references = ranks.reference_points(truth, SEED)
    conditions = [model.encode_survey(survey, progress) for model in models]
    nothing = prior.encode(survey.magnitudes)
    some = slice(None, None, math.ceil(n_draws / DRAWS_AGAINST_PRIOR))
    found = []
    with tqdm(total=len(survey), desc="ranking", unit="galaxy", disable=not progress) as bar:
        for start in range(0, len(survey), 64):
            rows = slice(start, start + 64)
            here = [condition[rows] for condition in conditions]
            names = survey.object_id[rows]
            draws, log_prob = _draw(models, here, names, n_draws, FAST_STEPS, SEED)
            at_truth, at_smoothed = (
                _log_prob(models, theta[rows], here, FAST_STEPS) for theta in (truth, smoothed)
            )
            prior_at_draws = prior.log_prob_from(draws[:, some], nothing[rows], FAST_STEPS).numpy()
            scaled = (x / scale for x in (draws, truth[rows], references[rows]))
            columns = {
                "hpd": ranks.hpd_ranks(log_prob, at_truth),
                "tarp": ranks.tarp_ranks(*scaled),
                **dict(zip(PROPERTY_NAMES, rank_statistics(draws, truth[rows]).T, strict=True)),
                "hpd_smoothed": ranks.hpd_ranks(log_prob, at_smoothed),
                "log_prob": at_truth,
                "log_prior": prior.log_prob_from(truth[rows], nothing[rows], FAST_STEPS).numpy(),
                "mass": np.mean(np.c_[draws[..., MASS], truth[rows, MASS]], axis=1),
                "below_prior": np.mean(log_prob[:, some] < prior_at_draws, axis=1),
            }
            found.append(pd.DataFrame(columns))
            bar.update(len(draws))
    return pd.concat(found, ignore_index=True)


def _draw(models, conditions, object_id, n_draws, steps, seed) -> tuple[np.ndarray, np.ndarray]:
    """Return draws `(m, S, 5)` from the mean of the models' densities, and its log `(m, S)`."""
    if len(models) == 1:
        x, log_prob = models[0].sample_with_log_prob(conditions[0], object_id, n_draws, steps, seed)
        return x.numpy(), log_prob.double().numpy()
    each = torch.stack(
        [
            model.sample_from(condition, object_id, n_draws, steps, seed + k)
            for k, (model, condition) in enumerate(zip(models, conditions, strict=True))
        ]
    )
    # The member of each draw depends on galaxy and seed alone, as the noise does.
    generators = (np.random.default_rng([int(own), 1]) for own in galaxy_seeds(object_id, seed))
    member = np.stack([rng.integers(len(models), size=n_draws) for rng in generators])
    x = each.take_along_dim(torch.tensor(member)[None, ..., None], 0)[0]
    return x.numpy(), _log_prob(models, x, conditions, steps)


def _log_prob(models, theta, conditions, steps) -> np.ndarray:
    """Return the logarithm of the mean of the models' densities."""
    each = [
        model.log_prob_from(theta, condition, steps)
        for model, condition in zip(models, conditions, strict=True)
    ]
    return (torch.stack(each).double().logsumexp(0) - np.log(len(each))).numpy()


def make(place: Place, run: Path, plan: Plan, variants: Sequence[str] = (), progress=True) -> None:
    """Rank simulated galaxies under variants, and write the results to a folder; resumes.

    Arguments:
        place: Folder of `calibration.json` and `calibration.parquet`.
        run: Folder of the run whose models are tested.
        plan: Size of the tests.
        variants: Names of `VARIANTS`; none for all. More are added to what is there.
        progress: Whether bars are shown.

    Raises:
        RunError: There are too many draws, or a variant is unknown.
    """
    if plan.n_draws > 255:
        raise RunError(f"n_draws is {plan.n_draws}: ranks are kept in one byte, at most 255 draws")
    chosen = chosen_variants(variants)
    if "image" in chosen:
        where = survey_folder(f"calibration-{plan.n_galaxies}")
        galaxies = simulate_survey(
            where, plan.n_galaxies, plan.seed, replace=True, progress=progress
        )
    else:
        galaxies = kept_catalogue(plan.n_galaxies, plan.seed)
    add_variants(place.folder, run, survey_of_run(run), galaxies, chosen, plan, progress)


def add_variants(folder, run, survey, galaxies, variants, plan, progress=True) -> dict:
    """Rank galaxies under the variants that a folder lacks for these models.

    Arguments:
        folder: Folder of `calibration.json` and `calibration.parquet`.
        run: Folder of the run whose models are tested.
        survey: Survey that the run was trained on.
        galaxies: Galaxies simulated for the tests, on which no model was trained.
        variants: Each `Variant` by its name.
        plan: Size of the tests.
        progress: Whether bars are shown.

    Returns:
        The content of `calibration.json`.
    """
    table_path = STUDY.path(folder).with_suffix(".parquet")
    prior = Posterior.load(run / "prior")
    identity = {
        "run": run.name,
        "n_galaxies": len(galaxies),
        "n_draws": plan.n_draws,
        "galaxies": array_digest(galaxies.properties),
        "models": models_digest(run),
    }
    key = STUDY.key(plan.settings, identity["models"])
    results, table = STUDY.stored(folder, key), galaxies.catalogue[list(COVARIATES)]
    table = table.astype(np.float32) if results is None else pd.read_parquet(table_path)
    results = results or {
        "recipes": {},
        "identity": identity,
        "references": "measured properties of another galaxy, distances in units of the "
        "training split's spread",
    }
    for name, variant in variants.items():
        if name in results["recipes"]:
            continue
        members = members_of(variant, run, survey, progress)
        start = time.monotonic()
        found = rank_galaxies(members, prior, galaxies, plan.n_draws, progress)
        results["recipes"][name] = {
            "label": variant.label,
            "model": variant.model,
            "sigma": members[0].architecture["sigma"],
            "members": len(members),
            "n_train": members[0].metadata["n_train"],
            "best_epochs": [member.metadata["best_epoch"] for member in members],
            "training_seconds": round(sum(m.metadata["seconds"] for m in members), 1),
            "ranking_seconds": round(time.monotonic() - start, 1),
            "mean_log_prob": float(found["log_prob"].mean()),
            "mean_ranks": found[list(ranks.QUANTITIES)].mean().to_dict(),
        }
        integers = (*ranks.QUANTITIES, "hpd_smoothed")
        for column, values in found.items():
            kind = np.uint8 if column in integers else np.float32
            table[f"{name}/{column}"] = values.astype(kind)
        write_table(table_path, table)
        results = STUDY.store(folder, results, key)
    return results
