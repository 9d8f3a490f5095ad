"""What a model makes of galaxies of which bands are missing.

The published model `any_bands` was trained with bands hidden at random. For some sets of bands
another is trained for that set alone, as the published photometry model was, magnitude errors
included: `python -m studies.missing_bands` holds the two against each other on galaxies that
neither has seen, and a model of any bands without errors against the exact posterior of the same
bands, and writes `data/published/missing_bands.json`; called again, it goes on where it was
stopped.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from galcfm import metrics
from galcfm.paths import run_folder
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from studies import exact
from studies.exact.particles import ExactPosterior
from studies.exact.stages import Stages
from studies.real_galaxies import ANY_BANDS, N_GALAXIES, SEED, SETTINGS, load_model, longer
from studies.stored import kept_catalogue, key_of, read_command, store, stored
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train

__all__ = ["SETS", "Plan", "main", "run", "without"]

# Bands that are left: all, all but one, and what surveys of fewer bands have.
SETS = ("ugriz", "griz", "uriz", "ugiz", "ugrz", "ugri", "grz", "gri")
LEVEL = 0.95
STEPS = 50


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        n_galaxies, seed: of the simulated catalogue, a tenth of it for tests: by default that of
            the published models.
        settings: of the models of one set of bands; that of any bands is trained `longer`.
        n_draws: draws of each posterior, for coverage.
        n_drawn: galaxies that coverage is measured on.
        n_exact: galaxies whose exact posterior is computed for each set of bands.
        sampler: how it is computed.
    """

    n_galaxies: int = N_GALAXIES
    seed: int = SEED
    settings: TrainingSettings = SETTINGS
    n_draws: int = 400
    n_drawn: int = 1000
    n_exact: int = 100
    sampler: exact.Plan = field(default_factory=lambda: exact.Plan(n_runs=1))


def without(survey: Survey, bands: str) -> Survey:
    """The survey with magnitudes, and their errors, of these bands alone."""
    catalogue = survey.catalogue.copy()
    for band, *columns in zip(BANDS, MAGNITUDES, MAGNITUDE_ERRORS, strict=True):
        if band not in bands:
            catalogue[columns] = np.nan
    return Survey(catalogue, None, survey.parameters | {"missing_bands": True}, survey.name)


def judge(model: Posterior, survey: Survey, plan: Plan) -> tuple[dict, np.ndarray]:
    """Coverage of central intervals of a model, and its log-density of each label [nat]."""
    condition = model.encode_survey(survey)
    log_prob = model.log_prob_from(survey.properties, condition, STEPS).double().numpy()
    few = slice(plan.n_drawn)
    draws = model.sample_from(condition[few], survey.object_id[few], plan.n_draws, 12, plan.seed)
    covered = metrics.coverage(draws.numpy(), survey.properties[few], [0.68, LEVEL])
    numbers = {
        "log_prob": float(log_prob.mean()),
        "coverage": dict(zip(PROPERTY_NAMES, np.asarray(covered).T.round(4).tolist(), strict=True)),
        "n_drawn": len(draws),
        "seconds": round(model.metadata["seconds"]),
    }
    return numbers, log_prob


def exact_log_probs(
    survey: Survey, smoothing: np.ndarray, plan: Plan, stages: Stages
) -> np.ndarray:
    """Log-density of the labels under the exact posterior of the magnitudes that are there."""
    emulator, found = stages.emulator(), []
    for k in tqdm(range(len(survey)), desc="exact posteriors"):
        rng = np.random.default_rng([int(galaxy_seeds([survey.object_id[k]], plan.seed)[0]), 1])
        particles = ExactPosterior.sample(
            emulator,
            survey.magnitudes[k],
            rng,
            plan.sampler.n_particles,
            moves=plan.sampler.moves,
            last_moves=plan.sampler.last_moves,
            kept=plan.sampler.kept,
        )
        found.append(particles.log_prob(survey.properties[k], smoothing))
    return np.array(found)


def _paired(difference: np.ndarray) -> dict[str, float]:
    """Mean of a difference over galaxies and its standard error [nat]."""
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return {"mean": float(difference.mean()), "standard_error": float(error)}


def limits_of(survey: Survey, band: str) -> tuple[Survey, Survey]:
    """The galaxies fainter than the median in a band, which is their limit there, or missing."""
    magnitudes = survey.catalogue[f"mag_{band}"]
    fainter = survey.select(np.flatnonzero(magnitudes > magnitudes.median()))
    missing = without(fainter, "".join(set(BANDS) - {band}))
    catalogue = fainter.catalogue.assign(
        **{f"mag_{band}": magnitudes.median(), f"magerr_{band}": np.inf}
    )
    return Survey(catalogue, None, missing.parameters, survey.name), missing


def run(folder: Path, plan: Plan, command: str) -> dict:
    """Train and judge what `folder` does not hold yet.

    Arguments:
        folder: where `missing_bands.json` goes.
        plan: how much of everything.
        command: that makes the results.
    """
    path = folder / "missing_bands.json"
    plain = asdict(plan)
    module = "studies.missing_bands"
    models = run_folder("missing_bands", key_of(plain, module))
    model = load_model("any_bands")
    key = key_of([plain, model.weights_digest], module)
    results = stored(path, key) or {"sets": {}, "plan": plain}
    survey = kept_catalogue(plan.n_galaxies, plan.seed)
    test = survey.split("test")

    def trained(name: str, survey: Survey, settings: TrainingSettings, **sees) -> Posterior:
        return train(Posterior("r_and_colours", **sees), survey, models / name, settings)

    def keep() -> None:
        store(path, results, key, command)

    with_errors = {"use_magnitude_errors": True, "missing_bands": True}
    for bands in SETS:
        if bands in results["sets"]:
            continue
        own = trained(f"own-{bands}", without(survey, bands), plan.settings, **with_errors)
        left = without(test, bands)
        of_model, log_prob = judge(model, left, plan)
        of_own, log_prob_own = judge(own, left, plan)
        results["sets"][bands] = {
            "any": of_model,
            "own": of_own,
            "difference": _paired(log_prob - log_prob_own),
            "n": len(left),
        }
        keep()
    if "limit" not in results:
        limit, missing = (judge(model, one, plan) for one in limits_of(test, "u"))
        results["limit"] = {
            "band": "u",
            "depth": float(test.catalogue["mag_u"].median()),
            "limit": limit[0],
            "missing": missing[0],
            "difference": _paired(limit[1] - missing[1]),
            "n": len(limit[1]),
        }
        keep()
    exact_sets = results.setdefault("exact", {})
    if left_out := [bands for bands in SETS[:6] if bands not in exact_sets]:
        without_errors = ANY_BANDS | {"use_magnitude_errors": False}
        plain_model = trained("any", survey, longer(plan.settings), **without_errors)
        smoothing = plain_model.flow.sigma * plain_model.property_std.numpy()
        work, few = (
            Stages(plan.sampler),
            test.select(np.arange(plan.n_exact)),
        )
        for bands in left_out:
            left = without(few, bands)
            condition = plain_model.encode_survey(left)
            found = plain_model.log_prob_from(left.properties, condition, STEPS).double().numpy()
            exactly = exact_log_probs(left, smoothing, plan, work)
            exact_sets[bands] = {
                "log_prob": float(exactly.mean()),
                "difference": _paired(exactly - found),
                "n": len(left),
            }
            keep()
    return results


SMALL = Plan(
    n_galaxies=300,
    settings=replace(SETTINGS, max_epochs=1),
    n_draws=20,
    n_drawn=10,
    n_exact=2,
    sampler=exact.Plan(
        n_runs=1, n_bank=3000, emulator_steps=30, n_particles=60, moves=1, last_moves=2
    ),
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command("missing_bands", __doc__, arguments)
    plan = SMALL if options.smoke else Plan()
    results = run(options.folder, plan, options.command)
    for bands, of_set in results["sets"].items():
        difference = of_set["difference"]
        print(
            f"{bands:6} {difference['mean']:+.3f} ± {difference['standard_error']:.3f} nat over "
            "the model of these bands alone"
        )


if __name__ == "__main__":
    main()
