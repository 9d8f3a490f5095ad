"""A photometry model that is fine-tuned for a prior with more recent bursts of star formation."""

from pathlib import Path

import numpy as np

from galcfm.flow import FAST_STEPS
from galcfm.metrics import effective_sample_size
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate.relations import MAIN_SEQUENCE
from galcfm.training import TrainingSettings, train
from studies.frame import Place, models_digest, survey_of_run
from studies.priors import STUDY, Plan
from studies.priors.weights import weighted_mean

N_DRAWS = 100  # per test galaxy, for posterior means


def burst_weights(catalogue, shift: float, scatter: float) -> np.ndarray:
    r"""Return weights that raise the recent star formation of main-sequence galaxies.

    In the simulation the rate of today is that of the smooth history times a burst or lull,
    :math:`\delta \sim \mathcal N(0, s^2)` dex. The weights make it
    :math:`\mathcal N(\text{shift}, s^2)`; other galaxies keep the weight 1.

    Arguments:
        catalogue: Catalogue of a simulated survey.
        shift: Mean of the new :math:`\delta` [dex].
        scatter: Scatter :math:`s` [dex].
    """
    delta = catalogue["log_sfr_true"] - catalogue["log_sfr_history"]
    ratio = np.exp((shift * delta - shift**2 / 2) / scatter**2)
    return np.where(catalogue["sequence"] == 0, ratio, 1.0)


def make(place: Place, run: Path, plan: Plan, progress: bool = True) -> None:
    """Fine-tune a run's photometry model for the other prior and compare both on test galaxies.

    Arguments:
        place: Folder of `priors.json`.
        run: Folder of the run; the fine-tuned model goes to its `variants`, and resumes there.
        plan: The prior, and how long the model is trained.
        progress: Whether bars are shown.
    """
    key = STUDY.key(plan.settings, models_digest(run))
    if STUDY.stored(place.folder, key):
        return
    survey = survey_of_run(run)
    scatter = float(MAIN_SEQUENCE["scatter"] / np.sqrt(3))
    weights = burst_weights(survey.catalogue, plan.burst_shift, scatter)
    base = Posterior.load(run / "photometry")
    changed = {"learning_rate": plan.learning_rate, "max_epochs": plan.max_epochs}
    settings = TrainingSettings(**base.metadata["settings"] | changed)
    folder = run / "variants" / f"photometry-bursts-{key}"
    options = {"warm_start": base, "weights": weights, "progress": progress}
    tuned = train(Posterior(**base.architecture), survey, folder, settings, **options)
    rows = np.flatnonzero(survey.catalogue["split"] == "test")
    test, weights = survey.select(rows), weights[rows]
    log_prob, residual = {}, {}
    for name, model in (("before", base), ("after", tuned)):
        condition = model.encode_survey(test)
        log_prob[name] = model.log_prob_from(test.properties, condition, FAST_STEPS).numpy()
        draws = model.sample_from(condition, test.object_id, N_DRAWS, FAST_STEPS, 0).numpy()
        residual[name] = draws.mean(axis=1) - test.properties
    gain, error = weighted_mean((log_prob["after"] - log_prob["before"]).astype(float), weights)
    bias = {name: weighted_mean(x, weights) for name, x in residual.items()}
    result = {
        "shift": plan.burst_shift,
        "scatter": scatter,
        "effective_galaxies": float(effective_sample_size(np.log(weights))),
        "n_test": len(test),
        "gain": float(gain),
        "standard_error": float(error),
        "bias": {
            p: {name: float(mean[k]) for name, (mean, _) in bias.items()}
            | {"standard_error": float(bias["after"][1][k])}
            for k, p in enumerate(PROPERTY_NAMES)
        },
        "seconds": tuned.metadata["seconds"],
    }
    STUDY.store(place.folder, result, key)
