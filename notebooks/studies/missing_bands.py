"""Missing bands: one model for all sets of bands compared with one model for each set.

The published model `any_bands` was trained with bands hidden at random. For some sets of bands
another model is trained for that set alone, as the published photometry model was, with magnitude
errors, and both are tested on galaxies that neither has seen. A model of any bands without errors
is compared with the exact posterior of the same bands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from galcfm import metrics
from galcfm.figures.style import COLOURS, COLUMN, LIGHT, OTHER, new_figure, styled
from galcfm.paths import published_folder
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES
from galcfm.survey import Survey
from galcfm.training import train
from studies import exact, frame
from studies.exact.particles import ExactPosterior
from studies.exact.stages import Stages
from studies.figures import label_bars
from studies.frame import Place, Result, Study, chosen, kept_catalogue
from studies.photometry_models import MODELS, N_GALAXIES, SEED, SETTINGS, longer

STUDY = Study("missing_bands", "15_your_own_galaxies")
# Bands that are left: all, all but one, and those of surveys of fewer bands.
SETS = ("ugriz", "griz", "uriz", "ugiz", "ugrz", "ugri", "grz", "gri")
# Those whose exact posteriors are computed.
EXACT_SETS = SETS[:6]
LEVEL = 0.95
STEPS = 50


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Sets of bands, trainings and tests.

    Arguments:
        sets: Names of the sets of bands, of `SETS`.
        n_galaxies: Number of galaxies in the simulated catalogue, a tenth of them for tests; by
            default the catalogue is that of the published models.
        max_epochs: Largest number of epochs of models of one set of bands; that of any bands is
            trained `longer`.
        n_draws: Number of draws of each posterior, for coverage.
        n_drawn: Number of galaxies for coverage.
        n_exact: Number of galaxies whose exact posterior is computed for each set of bands.
        sampler: Settings of these that differ from the defaults of `studies.exact.Plan`.
    """

    sets: Sequence[str] = SETS
    n_galaxies: int = N_GALAXIES
    max_epochs: int = SETTINGS.max_epochs
    n_draws: int = 400
    n_drawn: int = 1000
    n_exact: int = 100
    sampler: Mapping[str, int] = field(default_factory=dict)


def find(results: str, run: Path, plan: Plan) -> Result:
    """Return the published comparison, or make one: see `Study.find`."""
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place))


def without(survey: Survey, bands: str) -> Survey:
    """Return the survey with magnitudes, and their errors, of these bands alone."""
    catalogue = survey.catalogue.copy()
    for band, *columns in zip(BANDS, MAGNITUDES, MAGNITUDE_ERRORS, strict=True):
        if band not in bands:
            catalogue[columns] = np.nan
    return Survey(catalogue, None, survey.parameters | {"missing_bands": True}, survey.name)


def limits_of(survey: Survey, band: str) -> tuple[Survey, Survey]:
    """Return the galaxies fainter than the median in a band, with this as their limit, or without.

    Arguments:
        survey: Galaxies with magnitudes in all bands.
        band: The band in which they have a limit, or which is missing.
    """
    magnitudes = survey.catalogue[f"mag_{band}"]
    fainter = survey.select(np.flatnonzero(magnitudes > magnitudes.median()))
    missing = without(fainter, "".join(set(BANDS) - {band}))
    limit = {f"mag_{band}": magnitudes.median(), f"magerr_{band}": np.inf}
    limited = fainter.catalogue.assign(**limit)
    return Survey(limited, None, missing.parameters, survey.name), missing


def make(plan: Plan, place: Place) -> None:
    """Train and test the models of the sets that are not there yet."""
    sets = chosen(plan.sets, SETS, "sets")
    model = Posterior.load(published_folder() / "models" / "any_bands")
    # Which sets are asked for changes none of them.
    common = {name: value for name, value in plan.settings.items() if name != "sets"}
    key = STUDY.key(common, model.weights_digest)
    results = STUDY.stored(place.folder, key) or {"sets": {}, "plan": common, "exact": {}}
    survey = kept_catalogue(plan.n_galaxies, SEED)
    test = survey.split("test")
    settings = replace(SETTINGS, max_epochs=plan.max_epochs)
    models = place.shared(STUDY.name, [STUDY.version, plan.n_galaxies, plan.max_epochs])
    for bands in sets:
        if bands not in results["sets"]:
            own = Posterior("r_and_colours", use_magnitude_errors=True, missing_bands=True)
            own = train(own, without(survey, bands), models / f"own-{bands}", settings)
            left = without(test, bands)
            results["sets"][bands] = compare({"any": (model, left), "own": (own, left)}, plan)
            results = STUDY.store(place.folder, results, key)
    if "limit" not in results:
        limit, missing = limits_of(test, "u")
        results["limit"] = {
            "band": "u",
            "depth": float(test.catalogue["mag_u"].median()),
            **compare({"limit": (model, limit), "missing": (model, missing)}, plan),
        }
        results = STUDY.store(place.folder, results, key)
    asked = [bands for bands in sets if bands in EXACT_SETS and bands not in results["exact"]]
    if asked and plan.n_exact:
        sees = MODELS["any_bands"] | {"use_magnitude_errors": False}
        plain = train(Posterior("r_and_colours", **sees), survey, models / "any", longer(settings))
        for bands in asked:
            left = without(test.select(np.arange(plan.n_exact)), bands)
            results["exact"][bands] = compare_with_exact(plain, left, plan)
            results = STUDY.store(place.folder, results, key)


def compare(pairs: Mapping[str, tuple[Posterior, Survey]], plan: Plan) -> dict:
    """Compare two models on the same galaxies, or one model on two surveys of these.

    Arguments:
        pairs: Two models with their galaxies, by name.
        plan: Numbers of draws and of galaxies.

    Returns:
        The numbers of `evaluate` by name, and `difference`, the first log-density minus the second
        [nat], of `n` galaxies.
    """
    evaluated = {name: evaluate(*pair, plan) for name, pair in pairs.items()}
    log_prob, other = (log_probs for _, log_probs in evaluated.values())
    difference = metrics.summarise(log_prob - other)
    numbers = {name: of_model for name, (of_model, _) in evaluated.items()}
    return numbers | {"difference": difference, "n": len(other)}


def evaluate(model: Posterior, survey: Survey, plan: Plan) -> tuple[dict, np.ndarray]:
    """Return a model's coverage and mean log-density, and its log-density of each label [nat]."""
    condition = model.encode_survey(survey)
    log_prob = model.log_prob_from(survey.properties, condition, STEPS).double().numpy()
    few = slice(plan.n_drawn)
    draws = model.sample_from(condition[few], survey.object_id[few], plan.n_draws, 12, SEED)
    covered = metrics.coverage(draws.numpy(), survey.properties[few], [0.68, LEVEL])
    return {
        "log_prob": float(log_prob.mean()),
        "coverage": dict(zip(PROPERTY_NAMES, np.asarray(covered).T.round(4).tolist(), strict=True)),
        "n_drawn": len(draws),
    }, log_prob


def compare_with_exact(model: Posterior, survey: Survey, plan: Plan) -> dict:
    """Compare a model with the exact posteriors of the magnitudes that are there.

    Arguments:
        model: Model of any bands without magnitude errors.
        survey: Galaxies of which bands are missing.
        plan: Settings of the exact posteriors.
    """
    condition = model.encode_survey(survey)
    found = model.log_prob_from(survey.properties, condition, STEPS).double().numpy()
    exactly = exact_log_probs(survey, model.flow.sigma * model.property_std.numpy(), plan)
    difference = metrics.summarise(exactly - found)
    return {"log_prob": float(exactly.mean()), "difference": difference, "n": len(survey)}


def exact_log_probs(survey: Survey, smoothing: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the log-density of the labels under the exact posterior, smoothed as the flow's."""
    sampler = exact.Plan(n_runs=1, **plan.sampler)
    emulator, found = Stages(sampler).emulator(), []
    for k in tqdm(range(len(survey)), desc="exact posteriors"):
        rng = np.random.default_rng([int(galaxy_seeds([survey.object_id[k]], SEED)[0]), 1])
        particles = ExactPosterior.sample(emulator, survey.magnitudes[k], rng, sampler)
        found.append(particles.log_prob(survey.properties[k], smoothing))
    return np.array(found)


@styled
def draw(results: Mapping, *, source: str) -> Figure:
    """Draw one model of any bands beside those of each set of bands, and its coverage.

    Arguments:
        results: Content of `missing_bands.json`.
        source: What the galaxies are, for the corner of the figure.
    """
    sets = results["sets"]
    rows = {bands: -row for row, bands in enumerate(sets)}
    figure = new_figure(COLUMN, 1.7 + 0.3 * len(sets), source)
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(-0.05, 0.05, color=LIGHT, alpha=0.25, lw=0)
    n = next(iter(sets.values()))["any"]["n_drawn"]
    chance = 1.96 * np.sqrt(LEVEL * (1 - LEVEL) / n)
    right.axvspan(LEVEL - chance, LEVEL + chance, color=LIGHT, alpha=0.25, lw=0)
    for label, found, sign, shift, look in (
        ("the model of these bands", sets, 1, 0, OTHER[0]),
        # Stored the other way round: the exact posterior minus the model.
        ("the exact posterior", results["exact"], -1, -0.25, OTHER[1]),
    ):
        if found:
            means = [sign * of["difference"]["mean"] for of in found.values()]
            errors = [1.96 * of["difference"]["standard_error"] for of in found.values()]
            mark = {"fmt": look.marker, "ms": 5, "color": look.colour, "label": label}
            left.errorbar(means, [rows[bands] + shift for bands in found], xerr=errors, **mark)
    for k, (p, look) in enumerate(zip(PROPERTIES, OTHER, strict=False)):
        covered = [of["any"]["coverage"][p.name][1] for of in sets.values()]
        places = np.array(list(rows.values())) + 0.12 * (2 - k)
        mark = {"ms": 4, "color": look.colour, "label": f"${p.symbol}$"}
        right.plot(covered, places, look.marker, **mark)
    left.axvline(0, color=COLOURS["line"], lw=1)
    right.axvline(LEVEL, color=COLOURS["line"], lw=1)
    labels = [" ".join(bands) for bands in sets]
    label_bars(left, labels, "difference in mean log-density [nat]")
    label_bars(right, labels, "share inside the 95 % interval")
    left.set_ylabel("bands")
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    left.legend(title="any_bands minus …", **above)
    right.legend(ncols=3, columnspacing=1, handletextpad=0.2, **above)
    return figure
