"""The account: what the picture is worth beside photometry, and what that depends on.

Each row changes one thing: a tie of the simulated survey, what counts as photometry, what the
models are told, or how they are trained. `python -m studies.account` makes the surveys,
trains both models with three seeds a row and writes `data/published/account.json` and, galaxy by
galaxy, `account.parquet`; called again, it goes on where it was stopped. Several processes can
share the work, each with some `--rows`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from galcfm.flow import FAST_STEPS
from galcfm.metrics import information_gain, kde_log_density, wasserstein
from galcfm.paths import run_folder
from galcfm.posterior import Posterior
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.provenance import array_digest, digest
from galcfm.simulate import TIES
from galcfm.simulate.galaxies import magnitude_error
from galcfm.simulate.relations import FIBRE, PHOTOMETRIC_ERRORS
from galcfm.simulate.structure import within_aperture
from studies.stored import KeptTrainings, kept_catalogue, kept_pictures, key_of, read_command
from studies.training_seeds import over_trainings
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe, train, train_models

__all__ = ["LADDER", "ROWS", "Row", "measured_photometry", "run", "survey_of"]

# They change labels and nothing that a photometer or a camera sees.
OF_LABELS = ("error_spread", "fibre", "line_rate", "mass_errors")
OLD = tuple(name for name in TIES if name != "inclined_dust")
# As in the profile `quick`, but for pixels of 1.2″, about the seeing, of the central 38″: with
# these a hundred trainings take hours, not days.
RECIPE = replace(RECIPES["quick"], image_crop=96, image_bin=3)
PHOTOMETRY = ("model", "twice", "four times", "Petrosian", "fibre")


@dataclass(frozen=True)
class Row:
    """One line of the account.

    Arguments:
        label: in words.
        without: names of `TIES` that the survey lacks.
        photometry: what both models see, of `PHOTOMETRY`; see `measured_photometry`.
        redshift: whether both are told the redshift.
        leak: whether pictures hold the true fluxes, not the observed ones.
        balmer: A_V is that of the Balmer decrement.
        recipe: changes of `RECIPE`.
        kernels: the paper's Δlog p by kernel densities too.
    """

    label: str
    without: tuple[str, ...] = ()
    photometry: str = "model"
    redshift: bool = False
    leak: bool = False
    balmer: bool = False
    recipe: dict = field(default_factory=dict)
    kernels: bool = False


def _without(*given: str) -> tuple[str, ...]:
    return tuple(name for name in OLD if name not in given)


# The paper's training, but for its pixels and its 200 epochs.
PAPER_TRAINING = {
    "features": "magnitudes",
    "warm_start": False,
    "photometry_max_epochs": 60,
    "max_epochs": 60,
    "learning_rate": 5e-5,
    "encoder_batch": 0,
    "schedule": "constant",
    "draws_per_galaxy": 1,
    "average_decay": 0.0,
    "augment": False,
}
ROWS = {
    "old": Row("first survey", OLD, kernels=True),
    "all": Row("all ties", kernels=True),
    "old_fibre": Row("first survey, labels in the fibre", _without("fibre")),
    "old_told": Row("first survey, redshift told", OLD, redshift=True),
    "old_fibre_told": Row(
        "first survey, labels in the fibre, redshift told", _without("fibre"), redshift=True
    ),
    "all_whole": Row("all ties, labels of whole galaxies", ("fibre",)),
    "all_told": Row("all ties, redshift told", redshift=True),
    "all_whole_told": Row(
        "all ties, labels of whole galaxies, redshift told", ("fibre",), redshift=True
    ),
    "balmer": Row("all ties, A_V of the Balmer decrement", balmer=True),
    "balmer_petrosian": Row(
        "all ties, A_V of the Balmer decrement, Petrosian magnitudes",
        balmer=True,
        photometry="Petrosian",
        kernels=True,
    ),
    "noise_2": Row("all ties, noise of the magnitudes ×2", photometry="twice"),
    "noise_4": Row("all ties, noise of the magnitudes ×4", photometry="four times"),
    "petrosian": Row("all ties, Petrosian magnitudes", photometry="Petrosian"),
    "fibre_magnitudes": Row("all ties, fibre magnitudes", photometry="fibre"),
    "fine": Row(
        "all ties, whole cutout in pixels of 0.8″, as in the book",
        recipe={"image_crop": 128, "image_bin": 2},
    ),
    "leak": Row("all ties, pictures hold the true fluxes", leak=True),
    "paper_training": Row("all ties, the paper's training", recipe=PAPER_TRAINING),
    **{
        f"tie_{name}": Row(f"first survey, and {what}", _without(name))
        for name, (what, _) in TIES.items()
        if name not in ("inclined_dust", "fibre")
    },
}

# From the book's first survey towards the paper: each step keeps those before it.
LADDER = ("old", "old_fibre", "all", "balmer", "balmer_petrosian")


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        n_galaxies, seed, validation, test: of each survey; it has as many galaxies to train on as
            the survey `quick`.
        recipe: of the trainings.
        n_means, n_draws: galaxies of the test split and draws of each for posterior means.
        n_kernels, kernel_draws: the same for kernel densities; the paper's are 1,000 and 1,000.
        processes: that render.
    """

    n_galaxies: int = 15_500
    seed: int = 1
    validation: float = 0.078
    test: float = 0.332
    recipe: Recipe = RECIPE
    n_means: int = 2000
    n_draws: int = 64
    n_kernels: int = 1000
    kernel_draws: int = 1000
    processes: int = 2


def measured_photometry(table: pd.DataFrame, photometry: str, seed: int = 0) -> np.ndarray:
    """Magnitudes `(n, 5)` of another kind than the model magnitudes of a simulated catalogue.

    Arguments:
        table: of `simulate_catalogue`.
        photometry: `"model"`, the catalogue's own; `"twice"` and `"four times"`, the same with so
            much noise; `"fibre"`, the light within 3 arcsec; `"Petrosian"`, that within two
            Petrosian radii, 99 % of an exponential disc, 98 % of a bulge that is nearly one, and
            82 % of a de Vaucouleurs bulge (Graham & Driver 2005, PASA 22, 118).
        seed: of the noise.
    """
    rng = np.random.default_rng([seed, PHOTOMETRY.index(photometry)])
    seen = table[list(MAGNITUDES)].to_numpy()
    noiseless = table[[f"{name}_noiseless" for name in MAGNITUDES]].to_numpy()
    calibration = np.array([PHOTOMETRIC_ERRORS[f"calibration_{band}"] for band in BANDS])
    deviates = rng.standard_normal(seen.shape)
    if photometry == "model":
        return seen
    if photometry in ("twice", "four times"):
        times = {"twice": 2, "four times": 4}[photometry]
        drawn = np.hypot(table[list(MAGNITUDE_ERRORS)].to_numpy(), calibration)
        return seen + np.sqrt(times**2 - 1) * drawn * deviates
    bulge = table[[f"bulge_fraction_{band}" for band in BANDS]].to_numpy()
    classical = (table["bulge_index"] == 4).to_numpy()
    if photometry == "fibre":
        radii = {name: table[name].to_numpy() for name in ("disc_radius", "bulge_radius")}
        cosine = np.cos(np.radians(table["inclination"].to_numpy()))
        of_bulge, of_disc, _ = within_aperture(FIBRE["radius"], cosine, radii, classical)
        area = np.full((len(table), 1), np.pi * FIBRE["radius"] ** 2)
    else:
        of_bulge, of_disc = np.where(classical, 0.82, 0.98), np.full(len(table), 0.994)
        # Two Petrosian radii of an exponential disc are 4.34 half-light radii.
        area = np.pi * (4.34 * table[["disc_radius"]].to_numpy()) ** 2
    share = bulge * of_bulge[:, None] + (1 - bulge) * of_disc[:, None]
    magnitudes = noiseless - 2.5 * np.log10(share)
    flux = 10 ** (0.4 * (22.5 - magnitudes))
    noise = magnitude_error(flux, table["ebv"].to_numpy(), area)
    return magnitudes + np.hypot(noise, calibration) * deviates


def survey_of(row: Row, plan: Plan, progress: bool = True) -> Survey:
    """The survey of a row, its pictures shared with rows that differ in labels alone."""
    make = partial(
        kept_catalogue, plan.n_galaxies, plan.seed, validation=plan.validation, test=plan.test
    )
    camera = tuple(sorted({*row.without, *OF_LABELS}))
    table, shown = make(without=row.without).catalogue, make(without=camera).catalogue
    noisy = row.photometry in ("twice", "four times")
    names = list(MAGNITUDES)
    if noisy:
        # What the picture shows is what the noisier photometer saw.
        shown[names] = measured_photometry(shown, row.photometry)
    if row.leak:
        shown[names] = shown[[f"{name}_noiseless" for name in names]].to_numpy()
    table[names] = measured_photometry(table, row.photometry)
    if row.balmer:
        table["a_v"] = table["a_v_balmer"]
    drawn = [plan.n_galaxies, plan.seed, plan.validation, plan.test]
    pictured = kept_pictures(
        "account",
        shown,
        plan.seed,
        [drawn, row.photometry if noisy else row.leak],
        without=camera,
        processes=plan.processes,
        progress=progress,
    )
    return Survey(table, pictured.images, {"kind": "simulated"}, pictured.name)


def trained(
    survey: Survey, folder: Path, name: str, recipe: Recipe, progress: bool = True
) -> dict[str, Posterior]:
    """Photometry and image model of a row; rows with the same catalogue share the former.

    Arguments:
        survey: the row's.
        folder: where models go.
        name: of the row and the seed.
        recipe: of both trainings.
        progress: show bars.
    """
    seen = [survey.magnitudes, survey.properties, survey.redshift]
    of = [array_digest(*seen), asdict(recipe.settings("photometry")), recipe.use_redshift]
    shared = folder / f"photometry-{digest([*of, recipe.features])}"
    # Without pictures, so that the rows' differ in nothing.
    catalogue = Survey(survey.catalogue, None, survey.parameters, "catalogue of the account")
    shared.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{shared}.lock"):
        models = train_models(catalogue, shared, recipe, ("photometry",), progress=progress)
    models["image"] = train(
        recipe.model("image"),
        survey,
        folder / name,
        recipe.settings("image"),
        warm_start=models["photometry"] if recipe.warm_start else None,
        progress=progress,
    )
    return models


def judge(row: Row, models: dict[str, Posterior], survey: Survey, plan: Plan) -> dict:
    """What a row's models say of the test galaxies.

    Arguments:
        row: of the account.
        models: `"photometry"` and `"image"`.
        survey: the row's.
        plan: how many galaxies and draws.

    Returns:
        `log_prob`, exact, at the measured properties, by model `(n,)` in nat; and `numbers`: for
        each model and property the share of the labels' variance that posterior means explain,
        and the Wasserstein distance of their distribution to that of the labels; for rows with
        kernels the paper's Δlog p.
    """
    test, train_labels = survey.split("test"), survey.split("train").properties
    some = np.arange(min(plan.n_means, len(test)))
    few = np.arange(min(plan.n_kernels, len(test)))
    log_prob, numbers = {}, {}
    for name, model in models.items():
        condition = model.encode_survey(test)
        exact = model.log_prob_from(test.properties, condition, 2 * FAST_STEPS)
        log_prob[name] = exact.double().numpy()
        draws = model.sample_from(
            condition[some], test.object_id[some], plan.n_draws, FAST_STEPS, plan.seed
        ).numpy()
        means, labels = draws.mean(axis=1), test.properties[some]
        spread = labels.std(axis=0)
        # The draws of a mean scatter it by their own spread over their number.
        of_means = means.var(axis=0) - draws.var(axis=1, ddof=1).mean(axis=0) / plan.n_draws
        numbers[name] = {
            "log_prob": float(log_prob[name].mean()),
            "explained": dict(
                zip(PROPERTY_NAMES, (of_means / spread**2).round(4).tolist(), strict=True)
            ),
            "wasserstein": dict(
                zip(PROPERTY_NAMES, wasserstein(means, labels).round(5).tolist(), strict=True)
            ),
            "spread": dict(zip(PROPERTY_NAMES, spread.round(4).tolist(), strict=True)),
            "best_epoch": model.metadata["best_epoch"],
            "seconds": round(model.metadata["seconds"]),
        }
        if row.kernels:
            draws = model.sample_from(
                condition[few], test.object_id[few], plan.kernel_draws, FAST_STEPS, plan.seed
            ).numpy()
            theta = test.properties[few]
            posterior = np.concatenate(
                [kde_log_density(of, at[None]) for of, at in zip(draws, theta, strict=True)]
            )
            prior = kde_log_density(train_labels, theta)
            gain = information_gain(posterior, prior)
            numbers[name]["delta_log_p_kernels"] = float(gain.mean())
    return {"log_prob": log_prob, "numbers": numbers}


def summary(
    results: dict, gains: pd.DataFrame, group: str = "rows", order: Sequence[str] = tuple(ROWS)
) -> dict:
    """Each row's gain with its error over galaxies and trainings.

    Arguments:
        results: as stored, rows by name.
        gains: gain [nat] of each test galaxy, a column `ROW/SEED` a training.
        group: what rows are called in `results`.
        order: of all rows.
    """
    rows = {}
    for name in (name for name in order if name in results[group]):
        row = results[group][name]
        columns = [f"{name}/{seed}" for seed in row["seeds"]]
        table = gains[columns].to_numpy(dtype=float).T
        rows[name] = row | over_trainings(table) | {"trainings": len(columns)}
    return results | {group: rows}


def compare(
    row: Row, survey: Survey, plan: Plan, folder: Path, name: str, seed: int, progress: bool = True
) -> tuple[dict, pd.Series]:
    """Train both models of a row, and judge them.

    Arguments:
        row: of the account.
        survey: the row's.
        plan: how much of everything.
        folder: where models go.
        name: of the row.
        seed: of both trainings.
        progress: show bars.

    Returns:
        The `numbers` of `judge`; and what the picture adds for each test galaxy [nat].
    """
    recipe = replace(plan.recipe, seed=seed, use_redshift=row.redshift, **row.recipe)
    models = trained(survey, folder, f"{name}-{seed}", recipe, progress)
    found = judge(row, models, survey, plan)
    log_prob = found["log_prob"]
    return found["numbers"], pd.Series(log_prob["image"] - log_prob["photometry"])


def run(
    folder: Path,
    plan: Plan,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    command: str = "",
    progress: bool = True,
) -> dict:
    """Train and judge the rows for each seed that `folder` does not hold yet.

    Arguments:
        folder: where `account.json` and `account.parquet` go.
        plan: how much of everything.
        names: of `ROWS`.
        seeds: of the trainings.
        command: that makes the results.
        progress: show bars.
    """
    plain = asdict(plan) | {"processes": 0}
    key = key_of(plain, "studies.account")
    kept = KeptTrainings(folder, "account", key, command, plain)
    for name, seed in kept.missing(names, seeds):
        row = ROWS[name]
        survey = survey_of(row, plan, progress)
        where = run_folder("account", key)
        numbers, gain = compare(row, survey, plan, where, name, seed, progress)
        of_row = {"row": asdict(row), "n_test": len(gain)}
        kept.keep(name, seed, numbers, of_row, gain, summary)
    return kept.results()


SMALL = Plan(
    n_galaxies=120,
    validation=0.2,
    test=0.3,
    recipe=RECIPES["rehearsal"],
    n_means=10,
    n_draws=8,
    n_kernels=10,
    kernel_draws=30,
    processes=1,
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "account",
        __doc__,
        arguments,
        rows={"nargs": "*", "default": None, "choices": list(ROWS), "help": "which"},
        seed={"type": int, "nargs": "*", "default": [1, 2, 3], "help": "which seeds"},
    )
    names = options.rows or (["old", "leak"] if options.smoke else list(ROWS))
    seeds = options.seed[:1] if options.smoke else options.seed
    plan = SMALL if options.smoke else Plan()
    results = run(options.folder, plan, names, seeds, command=options.command)
    for name, row in results["rows"].items():
        print(f"{name:20} {row['gain']:+.3f} ± {row['standard_error']:.3f} nat")


if __name__ == "__main__":
    main()
