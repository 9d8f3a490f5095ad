"""What draws cost and are worth when a student makes them in 1, 2, 4 or 8 jumps.

Students of the published photometry model are trained and held against its own draws by 100
Runge-Kutta steps, on galaxies that neither has seen; so is the model itself in few steps, which
shows what the comparison finds: `python -m studies.students` writes
`data/published/students.json` and the student of one jump, `data/published/models/student`; called
again, it goes on where it was stopped.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from tqdm import tqdm

from galcfm import metrics
from galcfm.flow import FAST_STEPS
from galcfm.paths import run_folder
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from studies.exact.comparison import classifier_accuracy
from studies.real_galaxies import N_GALAXIES, SEED, load_model
from studies.stored import kept_catalogue, key_of, read_command, store, stored
from galcfm.survey import Survey
from galcfm.training import Distillation, distil

__all__ = ["Plan", "main", "pooled_accuracy", "run"]

PAPER_STEPS = 100


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        jumps: of the students.
        steps: of the teacher, the last of which is what students are to replace.
        settings: of their training.
        n_compared: galaxies whose draws are compared.
        n_draws: draws of each.
        n_covered: galaxies that coverage is measured on.
        n_timed: galaxies that are timed, some times in turn.
        rounds: how often.
    """

    jumps: tuple[int, ...] = (1, 2, 4, 8)
    steps: tuple[int, ...] = (1, 2, FAST_STEPS)
    settings: Distillation = field(default_factory=Distillation)
    n_compared: int = 200
    n_draws: int = 1000
    n_covered: int = 5000
    n_timed: int = 200
    rounds: int = 5


def pooled_accuracy(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """Classifier two-sample test of many galaxies at once, by gradient boosting.

    Draws are whitened galaxy by galaxy with the moments of `a`, and half of the galaxies are
    learned from, the others judged.

    Arguments:
        a: draws, `(n, S, d)`.
        b: draws of the same galaxies, `(n, S, d)`.
        seed: of the classifier.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

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
    classifier = HistGradientBoostingClassifier(random_state=seed).fit(*sets[0])
    return float(classifier.score(*sets[1]))


def _draws(model: Posterior, test: Survey, n: int, steps: int, seed: int) -> np.ndarray:
    condition = model.encode_survey(test)
    return model.sample_from(condition, test.object_id, n, steps, seed).numpy()


def judge(model: Posterior, reference: np.ndarray, test: Survey, plan: Plan, steps: int) -> dict:
    """How a model's draws differ from those of the teacher by many steps, and its coverage."""
    few = test.select(np.arange(len(reference)))
    draws = _draws(model, few, plan.n_draws, steps, 1)
    pairs = zip(reference, draws, strict=True)
    each = np.array([classifier_accuracy(a, b) for a, b in tqdm(pairs, total=len(draws))])
    covered = test.select(np.arange(min(plan.n_covered, len(test))))
    of_all = _draws(model, covered, 400, steps, 2)
    shares = metrics.coverage(of_all, covered.properties, [0.68, 0.95])
    return {
        "c2st": float(each.mean()),
        "c2st_error": float(each.std(ddof=1) / np.sqrt(len(each))),
        "c2st_95": float(np.quantile(each, 0.95)),
        "c2st_pooled": pooled_accuracy(reference, draws),
        "coverage": dict(zip(PROPERTY_NAMES, shares.T.round(4).tolist(), strict=True)),
        "n_covered": len(covered),
    }


def time_all(rows: list[tuple[dict, Posterior, int]], test: Survey, plan: Plan) -> None:
    """Note the `seconds` of a galaxy's draws: the least of some rounds, in which all take turns."""
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


def run(folder: Path, plan: Plan, command: str, n_galaxies: int = N_GALAXIES) -> dict:
    """Train and judge what `folder` does not hold yet.

    Arguments:
        folder: where `students.json` and `models/student` go.
        plan: how much of everything.
        command: that makes the results.
        n_galaxies: of the catalogue that the teacher was trained on.
    """
    path = folder / "students.json"
    survey, teacher = kept_catalogue(n_galaxies, SEED), load_model("photometry")
    plain = asdict(plan) | {"n_galaxies": n_galaxies, "teacher": teacher.weights_digest}
    key = key_of(plain, "studies.students")
    results = stored(path, key) or {"student": {}, "teacher": {}, "plan": plain}
    test = survey.split("test")
    few = test.select(np.arange(min(plan.n_compared, len(test))))
    reference = _draws(teacher, few, plan.n_draws, PAPER_STEPS, 0)
    models = [("teacher", str(steps), teacher, steps) for steps in plan.steps]
    for jumps in plan.jumps:
        settings = replace(plan.settings, jumps=jumps)
        student = distil(teacher, survey, run_folder("students", key) / str(jumps), settings)
        models.append(("student", str(jumps), student, 1))
    rows = []
    for kind, name, model, steps in models:
        if name not in results[kind]:
            velocities = {"velocities": 4 * steps if kind == "teacher" else int(name)}
            results[kind][name] = velocities | judge(model, reference, test, plan, steps)
            store(path, results, key, command)
        rows.append((results[kind][name], model, steps))
    one = models[len(plan.steps)][2]
    one.metadata |= {"command": command, "date": str(date.today())}
    one.save(folder / "models" / "student")
    time_all(rows, test, plan)
    return store(path, results, key, command)


SMALL = Plan(
    jumps=(1, 2),
    steps=(1, 2),
    settings=Distillation(n_conditions=50, n_draws=8, n_steps=20, batch_size=64),
    n_compared=4,
    n_draws=60,
    n_covered=20,
    n_timed=4,
    rounds=1,
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command("students", __doc__, arguments)
    if options.smoke:
        results = run(options.folder, SMALL, options.command, n_galaxies=300)
    else:
        results = run(options.folder, Plan(), options.command)
    for kind in ("student", "teacher"):
        for name, found in results[kind].items():
            print(
                f"{kind}, {name} {'jumps' if kind == 'student' else 'steps'}: C2ST "
                f"{found['c2st']:.3f} (all at once {found['c2st_pooled']:.3f}), "
                f"{1e3 * found['seconds']:.2f} ms a galaxy"
            )


if __name__ == "__main__":
    main()
