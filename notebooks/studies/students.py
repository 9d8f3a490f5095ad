"""Students of the published photometry model, which draw in 1, 2, 4 or 8 jumps.

Their draws are compared with the model's own by 100 Runge-Kutta steps, for galaxies that neither
has seen. So are the draws of the model itself in few steps, which shows what the comparison finds.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from tqdm import tqdm

from galcfm import metrics
from galcfm.flow import FAST_STEPS
from galcfm.paths import published_folder
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.runs import RunError
from galcfm.survey import Survey
from studies import frame
from studies.distillation import Distillation, distil
from studies.exact.comparison import classifier_accuracy
from studies.frame import Place, Study, kept_catalogue

STUDY = Study("students", "17_surveys_past_one_machine", module="studies.students")
PAPER_STEPS = 100


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Numbers of jumps, steps, galaxies and draws.

    Arguments:
        jumps: Numbers of jumps, one student each; that of the fewest jumps is published.
        teacher_steps: Numbers of steps of the teacher; students are to replace the last.
        n_galaxies: Galaxies of the catalogue that the teacher was trained on.
        survey_seed: Seed of that catalogue.
        n_conditions: Conditions for which the teacher draws what students learn from.
        n_pairs: Draws for each of these conditions.
        n_steps: Batches of the training of a student.
        batch_size: Draws per batch.
        n_compared: Galaxies whose draws are compared.
        n_draws: Draws for each of these galaxies.
        n_covered: Galaxies that measure coverage.
        n_timed: Galaxies whose draws are timed.
        rounds: Rounds of timing, in which all models take turns.
    """

    jumps: Sequence[int] = (1, 2, 4, 8)
    teacher_steps: Sequence[int] = (1, 2, FAST_STEPS)
    n_galaxies: int = 60_000
    survey_seed: int = 61
    n_conditions: int = 60_000
    n_pairs: int = 24
    n_steps: int = 30_000
    batch_size: int = 2048
    n_compared: int = 200
    n_draws: int = 1000
    n_covered: int = 5000
    n_timed: int = 200
    rounds: int = 5

    def distillation(self, jumps: int) -> Distillation:
        """Return the settings of the training of one student."""
        return Distillation.of(asdict(self) | {"jumps": jumps, "n_draws": self.n_pairs})


def make(place: Place, run: Path, plan: Plan) -> dict:
    """Train and evaluate what is not there yet, and return the result.

    Arguments:
        place: Folders of the result and of what a later call resumes from.
        run: Folder of the run, which is not read.
        plan: Numbers of jumps, steps, galaxies and draws.

    Raises:
        RunError: No number of jumps is given.
    """
    if not plan.jumps:
        raise RunError("jumps is empty: give at least one number of jumps, e.g. [1]")
    survey = kept_catalogue(plan.n_galaxies, plan.survey_seed)
    teacher = Posterior.load(published_folder() / "models" / "photometry")
    key = STUDY.key(plan.settings, teacher.weights_digest)
    empty = {"student": {}, "teacher": {}, "plan": plan.settings}
    results = STUDY.stored(place.folder, key) or empty
    test = survey.split("test")
    few = test.select(np.arange(min(plan.n_compared, len(test))))
    reference = draws_of(teacher, few, plan.n_draws, PAPER_STEPS, 0)
    models = [("teacher", str(steps), teacher, steps) for steps in plan.teacher_steps]
    trained = {}
    for jumps in plan.jumps:
        settings = plan.distillation(jumps)
        known = [plan.n_galaxies, teacher.weights_digest, asdict(settings)]
        folder = place.shared("students-models", known)
        trained[jumps] = distil(teacher, survey, folder, settings)
        models.append(("student", str(jumps), trained[jumps], 1))
    rows = []
    for kind, name, model, steps in models:
        if name not in results[kind]:
            velocities = {"velocities": 4 * steps if kind == "teacher" else int(name)}
            results[kind][name] = velocities | judge(model, reference, test, plan, steps)
            STUDY.store(place.folder, results, key)
        rows.append((results[kind][name], model, steps))
    published = trained[min(trained)]
    published.metadata |= {"command": STUDY.command, "date": str(date.today())}
    published.save(place.folder / "models" / "student")
    time_all(rows, test, plan)
    return STUDY.store(place.folder, results, key)


def draws_of(model: Posterior, test: Survey, n: int, steps: int, seed: int) -> np.ndarray:
    """Return draws of each galaxy's posterior, shape `(n_galaxies, n, 5)`."""
    condition = model.encode_survey(test)
    return model.sample_from(condition, test.object_id, n, steps, seed).numpy()


def judge(model: Posterior, reference: np.ndarray, test: Survey, plan: Plan, steps: int) -> dict:
    """Return how a model's draws differ from the reference, and their coverage.

    Arguments:
        model: A student, or the teacher.
        reference: Draws of the teacher in many steps for the first galaxies, `(n, S, 5)`.
        test: Test galaxies.
        plan: Numbers of galaxies and draws.
        steps: Runge-Kutta steps of the model's draws.
    """
    few = test.select(np.arange(len(reference)))
    draws = draws_of(model, few, plan.n_draws, steps, 1)
    pairs = zip(reference, draws, strict=True)
    each = np.array([classifier_accuracy(a, b) for a, b in tqdm(pairs, total=len(draws))])
    covered = test.select(np.arange(min(plan.n_covered, len(test))))
    of_all = draws_of(model, covered, 400, steps, 2)
    shares = metrics.coverage(of_all, covered.properties, [0.68, 0.95])
    return {
        "c2st": float(each.mean()),
        "c2st_error": float(each.std(ddof=1) / np.sqrt(len(each))),
        "c2st_95": float(np.quantile(each, 0.95)),
        "c2st_pooled": pooled_accuracy(reference, draws),
        "coverage": dict(zip(PROPERTY_NAMES, shares.T.round(4).tolist(), strict=True)),
        "n_covered": len(covered),
    }


def pooled_accuracy(a: np.ndarray, b: np.ndarray) -> float:
    """Return the accuracy of a classifier two-sample test of many galaxies at once.

    Draws are whitened galaxy by galaxy with the moments of `a`; gradient boosting learns from half
    of the galaxies and is tested on the others.

    Arguments:
        a: Draws, `(n, S, d)`.
        b: Draws of the same galaxies, `(n, S, d)`.
    """
    whitened = [[], []]
    for one, other in zip(a.astype(float), b.astype(float), strict=True):
        root = np.linalg.cholesky(np.cov(one.T) + 1e-9 * np.diag(one.var(0)))
        for kind, draws in enumerate((one, other)):
            whitened[kind].append(np.linalg.solve(root, (draws - one.mean(0)).T).T)
    half = len(a) // 2
    sets = [
        (
            np.concatenate([np.concatenate(kind[rows]) for kind in whitened]),
            np.repeat([0, 1], [sum(map(len, kind[rows])) for kind in whitened]),
        )
        for rows in (slice(half), slice(half, None))
    ]
    classifier = HistGradientBoostingClassifier(random_state=0).fit(*sets[0])
    return float(classifier.score(*sets[1]))


def time_all(rows: list[tuple[dict, Posterior, int]], test: Survey, plan: Plan) -> None:
    """Add `seconds`, the least time of one galaxy's draws in some rounds, to each row.

    Arguments:
        rows: Numbers, model and Runge-Kutta steps of each row.
        test: Test galaxies.
        plan: Numbers of galaxies, draws and rounds.
    """
    few = test.select(np.arange(plan.n_timed))
    best = np.full(len(rows), np.inf)
    for _ in range(plan.rounds):
        for k, (_, model, steps) in enumerate(rows):
            condition = model.encode_survey(few)
            started = time.perf_counter()
            model.sample_from(condition, few.object_id, plan.n_draws, steps, 0)
            best[k] = min(best[k], (time.perf_counter() - started) / len(few))
    for (row, _, _), seconds in zip(rows, best.tolist(), strict=True):
        row["seconds"] = seconds
