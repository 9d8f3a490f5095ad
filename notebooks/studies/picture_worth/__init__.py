"""What the image adds to photometry in the simulated survey, and what that depends on.

Each row changes one thing: a tie of the simulated survey, what counts as photometry, what the
models have as input, or how they are trained. Both models of a row are trained for each seed on a
survey of its own, and their exact log-densities are compared galaxy by galaxy.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.metrics import information_gain, kde_log_density, wasserstein
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import INSTRUMENTS
from galcfm.survey import Survey
from studies.frame import ModelPlan, Place, Study, Trainings, chosen, paired_gain
from studies.picture_worth.rows import ROWS
from studies.picture_worth.surveys import survey_of

STUDY = Study("account", "06_what_a_picture_is_worth", module="studies.picture_worth")


@dataclass(frozen=True)
class Plan(ModelPlan):
    """The sizes of the study.

    Arguments:
        n_means: Number of test galaxies whose posterior means are compared with the labels.
        n_draws: Number of draws per galaxy for these means.
        n_kernels: Number of test galaxies of the kernel densities; the paper's is 1,000.
        kernel_draws: Number of draws per galaxy for these densities; the paper's is 1,000.
    """

    n_means: int = 2000
    n_draws: int = 64
    n_kernels: int = 1000
    kernel_draws: int = 1000


def evaluate(model, test: Survey, labels, plan: Plan, kernels: bool) -> tuple[np.ndarray, dict]:
    """Return what a model says of the test galaxies.

    Arguments:
        model: Photometry or image model, a `galcfm.posterior.Posterior`.
        test: Test galaxies.
        labels: Measured properties of the training galaxies, shape (m, 5).
        plan: Numbers of galaxies and draws.
        kernels: Whether the paper's Δlog p by kernel densities is measured.

    Returns:
        The exact log-density of the measured properties [nat], shape (n,); and numbers: by property
        the share of the labels' variance that posterior means explain, and the Wasserstein distance
        of the means' distribution to that of the labels.
    """
    from galcfm.flow import FAST_STEPS

    condition = model.encode_survey(test)

    def draws_of(n: int, n_draws: int) -> np.ndarray:
        n, seed = min(n, len(test)), plan.survey_seed
        return model.sample_from(
            condition[:n], test.object_id[:n], n_draws, FAST_STEPS, seed
        ).numpy()

    exact = model.log_prob_from(test.properties, condition, 2 * FAST_STEPS).double().numpy()
    draws = draws_of(plan.n_means, plan.n_draws)
    means, truth = draws.mean(axis=1), test.properties[: len(draws)]
    spread = truth.std(axis=0)
    # The draws of a mean scatter it by their own spread over their number.
    of_means = means.var(axis=0) - draws.var(axis=1, ddof=1).mean(axis=0) / plan.n_draws
    by_property = {
        "explained": (of_means / spread**2).round(4),
        "wasserstein": wasserstein(means, truth).round(5),
        "spread": spread.round(4),
    }
    numbers = {
        "log_prob": float(exact.mean()),
        **pd.DataFrame(by_property, index=PROPERTY_NAMES).to_dict(),
        "best_epoch": model.metadata["best_epoch"],
        "seconds": round(model.metadata["seconds"]),
    }
    if kernels:
        draws = draws_of(plan.n_kernels, plan.kernel_draws)
        truth = test.properties[: len(draws)]
        posterior = np.concatenate(
            [kde_log_density(of, at[None]) for of, at in zip(draws, truth, strict=True)]
        )
        gain = information_gain(posterior, kde_log_density(labels, truth))
        numbers["delta_log_p_kernels"] = float(gain.mean())
    return exact, numbers


def gain_of_row(name: str, gains: pd.DataFrame) -> dict:
    """Return a row's gain with its error, and the number of its trainings.

    Arguments:
        name: Name of the row.
        gains: Gain of each test galaxy [nat], one column `ROW/SEED` per training.
    """
    n = sum(column.rpartition("/")[0] == name for column in gains)
    return paired_gain(gains, name) | {"trainings": n}


def make(
    place: Place, run: Path, plan: Plan, rows: Sequence, seeds: Sequence, study=STUDY, known=ROWS
) -> dict:
    """Make the rows for each seed that are missing in a place, and return the results.

    Arguments:
        place: Where the results and the models go.
        run: Folder of the run, which is not read.
        plan: Sizes of the study.
        rows: Names of the rows to make; none for all.
        seeds: Seeds of the trainings.
        study: The study.
        known: Its rows by name.
    """

    def training(name: str, seed: int):
        from galcfm.training import train_models

        row, folder = known[name], place.work / f"{name}-{seed}"
        survey = survey_of(row, plan)
        test, labels = survey.split("test"), survey.split("train").properties
        recipe = plan.training(seed=seed, use_redshift=row.redshift, **row.training)
        models = train_models(survey, folder, recipe, ("photometry", "image"))
        log_prob, numbers = {}, {}
        for kind, model in models.items():
            log_prob[kind], numbers[kind] = evaluate(model, test, labels, plan, row.kernels)
        gain = pd.Series(log_prob["image"] - log_prob["photometry"])
        return numbers, {"row": asdict(row), "n_test": len(test)}, gain

    contents = {
        name: [asdict(replace(row, label="")), asdict(INSTRUMENTS[row.instrument])]
        for name, row in known.items()
    }
    kept = Trainings(study, place, plan.settings, contents, gain_of_row)
    return kept.make(chosen(rows, list(known), study.group), seeds, training)
