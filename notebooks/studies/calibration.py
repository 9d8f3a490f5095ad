r"""Calibration: do posteriors contain the truth as often as they say?

Three tests share one form: the rank of the truth among a galaxy's draws by some order, which is
uniform over :math:`0 … S` when the posterior is calibrated.

- Simulation-based calibration orders draws by one property (Talts et al. 2018, arXiv 1804.06788).
- Highest-density regions order them by their density, which looks at all properties together.
- TARP orders them by their distance to a reference point (Lemos et al. 2023, arXiv 2302.03026).

`python -m studies.calibration` simulates galaxies for this alone, ranks them under the
models of a run and under variants of their training, and writes `data/published/calibration.json`
and `calibration.parquet`; called again, it goes on where it was stopped.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from galcfm.flow import FAST_STEPS
from galcfm.metrics import rank_statistics
from galcfm.paths import replacing, run_folder, survey_folder
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import array_digest, digest
from galcfm.simulate import simulate_survey
from studies.stored import kept_catalogue, key_of, read_command, store, stored
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train

__all__ = [
    "QUANTITIES",
    "VARIANTS",
    "Variant",
    "band",
    "compare_variants",
    "covariates_under",
    "departure",
    "departures",
    "deviations",
    "hpd_ranks",
    "members_of",
    "rank_galaxies",
    "rank_shares",
    "ranks_under",
    "reference_points",
    "run",
    "tarp_ranks",
]

QUANTITIES = ("hpd", "tarp", *PROPERTY_NAMES)
CONFIDENCE = 0.95
COVARIATES = ("log_stellar_mass", "redshift", "mag_r")
MASS = PROPERTY_NAMES.index("log_stellar_mass")
MODELS = ("prior", "photometry", "image")
DRAWS_AGAINST_PRIOR = 8
# Recipes were chosen on other galaxies, those of seed 606.
N_GALAXIES, SEED = 5000, 608
TRAINING_SEED = 607  # of galaxies that variants train on instead of the run's


# Ranks, and how far they may be from uniform


def hpd_ranks(log_prob, log_prob_truth) -> np.ndarray:
    r"""Number of a galaxy's draws that are denser than the truth.

    Divided by :math:`S`, the level of the smallest highest-density region that holds the truth.

    Arguments:
        log_prob: log-density of the draws, `(n, S)`.
        log_prob_truth: log-density of the truth, `(n,)`.

    Returns:
        Integers from 0 to :math:`S`, `(n,)`; high ones are truths in the outskirts.

    >>> hpd_ranks([[-1.0, -2.0, -5.0]], [-3.0])
    array([2])
    """
    return np.sum(np.asarray(log_prob) > np.asarray(log_prob_truth)[:, None], axis=1)


def tarp_ranks(samples, truth, references) -> np.ndarray:
    r"""Number of a galaxy's draws that are nearer to its reference point than the truth is.

    Arguments:
        samples: posterior draws `(n, S, d)`, scaled so that distances mean something.
        truth: `(n, d)`.
        references: a point a galaxy, chosen without looking at its truth, `(n, d)`.

    Returns:
        Integers from 0 to :math:`S`, `(n,)`.

    >>> tarp_ranks([[[1.0], [2.0], [5.0]]], [[3.0]], [[0.0]])
    array([2])
    """
    samples, truth, references = (np.asarray(x) for x in (samples, truth, references))
    distance = np.linalg.norm(samples - references[:, None], axis=2)
    return np.sum(distance < np.linalg.norm(truth - references, axis=1)[:, None], axis=1)


def reference_points(truth, seed: int = 0) -> np.ndarray:
    """Reference points of `tarp_ranks`: the truth of another galaxy, drawn at random.

    Arguments:
        truth: `(n, d)`.
        seed: of the order.
    """
    truth = np.asarray(truth)
    order = np.random.default_rng(seed).permutation(len(truth))
    references = np.empty_like(truth)
    # Along one cycle through all of them, so that none gets its own.
    references[order] = truth[np.roll(order, 1)]
    return references


def rank_shares(ranks, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Share of galaxies whose rank is at most j, beside the share when uniform.

    Arguments:
        ranks: integers from 0 to `n_draws`, `(n,)`.
        n_draws: draws a galaxy, :math:`S`.

    Returns:
        :math:`(j + 1) / (S + 1)` for j from 0 to :math:`S - 1`, and what was found, each `(S,)`.

    >>> rank_shares([0, 1, 1, 2], n_draws=2)
    (array([0.33333333, 0.66666667]), array([0.25, 0.75]))
    """
    ranks = np.asarray(ranks)
    if ranks.size == 0 or ranks.min() < 0 or ranks.max() > n_draws:
        raise ValueError(f"ranks among {n_draws} draws lie between 0 and {n_draws}, and are some")
    counts = np.bincount(ranks, minlength=n_draws + 1)[:-1]
    return np.arange(1, n_draws + 1) / (n_draws + 1), np.cumsum(counts) / len(ranks)


@cache
def band(n_galaxies: int, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares between which 95 % of calibrated models stay with *all* of their rank shares.

    The simultaneous band of Säilynoja et al. (2022, Statistics and Computing 32, 32), by ArviZ.

    Arguments:
        n_galaxies: number of galaxies.
        n_draws: draws a galaxy.

    Returns:
        Lower and upper limits at the levels of `rank_shares`, each `(n_draws,)`.
    """
    from arviz.stats.ecdf_utils import ecdf_confidence_band

    levels = np.arange(1, n_draws + 1) / (n_draws + 1)
    return ecdf_confidence_band(n_galaxies, levels, levels, prob=CONFIDENCE, method="optimized")


def deviations(ranks: pd.DataFrame, n_draws: int) -> pd.DataFrame:
    """Rank shares minus uniform ones, a row a level, a column each column of `ranks`.

    Arguments:
        ranks: integers from 0 to `n_draws`, a row a galaxy.
        n_draws: draws a galaxy.
    """
    shares = {name: rank_shares(ranks[name], n_draws) for name in ranks}
    levels = np.arange(1, n_draws + 1) / (n_draws + 1)
    return pd.DataFrame({name: found - levels for name, (_, found) in shares.items()}, levels)


def departure(ranks, n_draws: int) -> float:
    """Largest deviation of the rank shares from uniform, in half-widths of the `band`.

    Up to 1 the ranks are inside the band.

    Arguments:
        ranks: integers from 0 to `n_draws`, `(n,)`.
        n_draws: draws a galaxy.
    """
    levels, found = rank_shares(ranks, n_draws)
    low, high = band(len(ranks), n_draws)
    allowed = np.where(found > levels, high - levels, levels - low)
    return float(np.max(np.abs(found - levels) / allowed))


def departures(
    ranks: pd.DataFrame, n_draws: int, covariates: pd.DataFrame | None = None, n_bins: int = 5
) -> pd.DataFrame:
    """`departure` of each column of ranks, of all galaxies or in bins of covariates.

    Arguments:
        ranks: integers from 0 to `n_draws`, a row a galaxy.
        n_draws: draws a galaxy.
        covariates: columns to bin the same galaxies by, a row a galaxy.
        n_bins: bins of equally many galaxies.

    Returns:
        A row named `"all"`; or a row a bin, by the column's name and the bin's number from 1.
    """
    bins = {"all": slice(None)}
    if covariates is not None:
        bins = {}
        for name, values in covariates.items():
            order = np.argsort(values.to_numpy(), kind="stable")
            bins |= {(name, k): rows for k, rows in enumerate(np.array_split(order, n_bins), 1)}
    return pd.DataFrame.from_dict(
        {
            name: {column: departure(ranks[column].to_numpy()[rows], n_draws) for column in ranks}
            for name, rows in bins.items()
        },
        orient="index",
    )


def ranks_under(variant: str, galaxies: pd.DataFrame) -> pd.DataFrame:
    """Ranks by `QUANTITIES` under a variant, a row a galaxy.

    Arguments:
        variant: name among those of `calibration.json`.
        galaxies: `calibration.parquet`.
    """
    return galaxies[[f"{variant}/{q}" for q in QUANTITIES]].set_axis(list(QUANTITIES), axis=1)


def covariates_under(variant: str, galaxies: pd.DataFrame) -> pd.DataFrame:
    """Stellar mass as the variant's posteriors have it, redshift and magnitude, a row a galaxy.

    Arguments:
        variant: name among those of `calibration.json`.
        galaxies: `calibration.parquet`.
    """
    mass = galaxies[f"{variant}/mass"].rename("log_stellar_mass")
    return pd.concat([mass, galaxies[["redshift", "mag_r"]]], axis=1)


def compare_variants(variants: Mapping[str, dict], galaxies: pd.DataFrame, n_draws: int):
    """Calibration and quality of each variant, a row a variant, by model and label.

    Arguments:
        variants: `recipes` of `calibration.json`.
        galaxies: `calibration.parquet`.
        n_draws: draws a galaxy.

    Returns:
        DataFrame of the `departure` of each test and of `hpd_smoothed`; `mean log p` of the truth
        [nat]; its `gain` on the run's own model, galaxy by galaxy, with the `error` of that; and
        galaxies `trained on`.
    """
    tests = (*QUANTITIES, "hpd_smoothed")
    rows = {}
    for name, variant in variants.items():
        log_prob = galaxies[f"{name}/log_prob"].astype(float)
        gain = log_prob - galaxies.get(f"{variant['model']}/log_prob", np.nan)
        rows[variant["model"], variant["label"]] = {
            **{test: departure(galaxies[f"{name}/{test}"], n_draws) for test in tests},
            "mean log p": log_prob.mean(),
            "gain": gain.mean(),
            "error": gain.sem(),
            "trained on": variant["n_train"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


# Galaxies under a model


def rank_galaxies(
    models: Sequence[Posterior],
    prior: Posterior,
    survey: Survey,
    *,
    n_draws: int,
    steps: int = FAST_STEPS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    r"""Ranks of each galaxy's properties under a model or the mean density of several.

    Arguments:
        models: one model, or the members of an ensemble.
        prior: an unconditional flow, the model with features `"none"`.
        survey: galaxies with known properties.
        n_draws: draws a galaxy; a draw of an ensemble is one of a member that is drawn for it.
        steps: Runge-Kutta steps.
        seed: of the draws and reference points.

    Returns:
        A row a galaxy: the ranks by `QUANTITIES`; `hpd_smoothed`, that of the properties with
        the flow's own :math:`\mathcal N(0, \sigma^2)` added; `log_prob` and `log_prior` of the
        properties [nat]; and `below_prior`, the share of some draws that are less dense under the
        posterior than under the prior; and `mass`, the mean of truth and draws, which is a fair
        estimate to bin by: truth and draws enter it alike.
    """
    truth = survey.properties
    scale = models[0].property_std.cpu().numpy()
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    smoothed = truth + models[0].architecture["sigma"] * scale * noise
    references = reference_points(truth, seed)
    conditions = [model.encode_survey(survey, progress) for model in models]
    nothing = prior.encode(survey.magnitudes)
    some = slice(None, None, math.ceil(n_draws / DRAWS_AGAINST_PRIOR))
    found = []
    with tqdm(total=len(survey), desc="ranking", unit="galaxy", disable=not progress) as bar:
        for start in range(0, len(survey), 64):
            rows = slice(start, start + 64)
            here = [condition[rows] for condition in conditions]
            draws, log_prob = _draw(models, here, survey.object_id[rows], n_draws, steps, seed)
            at_truth, at_smoothed = (
                _mean_log_prob(
                    [
                        m.log_prob_from(theta[rows], c, steps)
                        for m, c in zip(models, here, strict=True)
                    ]
                )
                for theta in (truth, smoothed)
            )
            prior_at_draws = prior.log_prob_from(draws[:, some], nothing[rows], steps).numpy()
            scaled = (x / scale for x in (draws, truth[rows], references[rows]))
            columns = {
                "hpd": hpd_ranks(log_prob, at_truth),
                "tarp": tarp_ranks(*scaled),
                **dict(zip(PROPERTY_NAMES, rank_statistics(draws, truth[rows]).T, strict=True)),
                "hpd_smoothed": hpd_ranks(log_prob, at_smoothed),
                "log_prob": at_truth,
                "log_prior": prior.log_prob_from(truth[rows], nothing[rows], steps).numpy(),
                "mass": np.mean(np.c_[draws[..., MASS], truth[rows, MASS]], axis=1),
                "below_prior": np.mean(log_prob[:, some] < prior_at_draws, axis=1),
            }
            found.append(pd.DataFrame(columns))
            bar.update(len(draws))
    return pd.concat(found, ignore_index=True)


def _draw(models, conditions, object_id, n_draws, steps, seed) -> tuple[np.ndarray, np.ndarray]:
    """Draws `(m, S, 5)` of the mean of the models' densities, and its log `(m, S)`."""
    if len(models) == 1:
        x, log_prob = models[0].sample_with_log_prob(conditions[0], object_id, n_draws, steps, seed)
        return x.numpy(), _mean_log_prob([log_prob])
    each = torch.stack(
        [
            model.sample_from(condition, object_id, n_draws, steps, seed + k)
            for k, (model, condition) in enumerate(zip(models, conditions, strict=True))
        ]
    )
    # The member of each draw depends on galaxy and seed alone, as the noise does.
    member = torch.tensor(
        np.stack(
            [
                np.random.default_rng([int(own), 1]).integers(len(models), size=n_draws)
                for own in galaxy_seeds(object_id, seed)
            ]
        )
    )
    x = each.take_along_dim(member[None, ..., None], 0)[0]
    log_prob = [
        model.log_prob_from(x, condition, steps)
        for model, condition in zip(models, conditions, strict=True)
    ]
    return x.numpy(), _mean_log_prob(log_prob)


def _mean_log_prob(log_prob: list[torch.Tensor]) -> np.ndarray:
    return (torch.stack(log_prob).double().logsumexp(0) - np.log(len(log_prob))).numpy()


# The models of a run and variants of their training


@dataclass(frozen=True)
class Variant:
    """A way to get a posterior, as a change to that of the run.

    Arguments:
        label: in words, as tables show it.
        model: `"photometry"` or `"image"`, whose training it varies.
        settings: changed training settings.
        architecture: changed arguments of `Posterior`.
        encoder: changed arguments of its `ImageEncoder`.
        warm_start: whether an image model starts from the photometry model of the run.
        members: trainings with other seeds, the run's own among them, whose densities are averaged.
        n_galaxies: galaxies to simulate and train on instead of the run's survey; 0 for that.
    """

    label: str
    model: str
    settings: dict = field(default_factory=dict)
    architecture: dict = field(default_factory=dict)
    encoder: dict = field(default_factory=dict)
    warm_start: bool = True
    members: int = 1
    n_galaxies: int = 0

    @property
    def is_the_runs_own(self) -> bool:
        """Whether the model of the run is the first member."""
        changed = self.settings or self.architecture or self.encoder or self.n_galaxies
        return self.warm_start and not changed


# The defaults are the paper's.
PAPER = {name: value for name, value in asdict(TrainingSettings()).items() if name != "seed"}
VARIANTS = {
    "photometry": Variant("this book's training", "photometry"),
    "image": Variant("this book's training", "image"),
    "photometry_paper": Variant(
        "the paper's training", "photometry", PAPER, {"features": "magnitudes"}
    ),
    "photometry_shorter": Variant("a quarter of the epochs", "photometry", {"max_epochs": 15}),
    "photometry_more": Variant(
        "60,000 galaxies", "photometry", {"max_epochs": 15}, n_galaxies=75_000
    ),
    # As many as the image model has at most, so that the two can be compared.
    "photometry_as_many": Variant(
        "36,000 galaxies", "photometry", {"max_epochs": 25}, n_galaxies=45_000
    ),
    "photometry_ensemble": Variant("mean density of three trainings", "photometry", members=3),
    "photometry_sharp": Variant("path without width, σ = 0", "photometry", {}, {"sigma": 0.0}),
    "photometry_deeper": Variant(
        "five hidden layers, not three", "photometry", {}, {"network": {"width": 256, "depth": 5}}
    ),
    "image_shorter": Variant("a quarter of the epochs", "image", {"max_epochs": 4}),
    "image_longer": Variant("twice the epochs", "image", {"max_epochs": 32}),
    "image_ensemble": Variant("mean density of two trainings", "image", members=2),
    "image_more": Variant("36,000 galaxies", "image", {"max_epochs": 7}, n_galaxies=45_000),
    "image_cold": Variant("not started from the photometry model", "image", warm_start=False),
    "image_unturned": Variant("images neither turned nor mirrored", "image", {"augment": False}),
    "image_one_draw": Variant("one draw of time and noise", "image", {"draws_per_galaxy": 1}),
    "image_centre": Variant(
        "central 25″ in pixels of 0.4″", "image", encoder={"crop": 64, "bin_factor": 1}
    ),
    "image_finer": Variant("pixels of 0.4″, not 0.8″", "image", encoder={"bin_factor": 1}),
    "image_wider": Variant(
        "encoder twice as wide", "image", encoder={"widths": (32, 64, 128, 256)}
    ),
}


def members_of(variant: Variant, folder: Path, survey: Survey, progress: bool = True) -> list:
    """The models of a variant, trained where that has not been done.

    Arguments:
        variant: see `VARIANTS`.
        folder: of the run; what is trained goes to its `variants`.
        survey: of the run.
    """
    base = Posterior.load(folder / variant.model)
    settings = base.metadata["settings"]
    if variant.n_galaxies and base.uses_images:
        where = survey_folder(f"training-{variant.n_galaxies}")
        survey = simulate_survey(where, variant.n_galaxies, TRAINING_SEED, replace=True)
    elif variant.n_galaxies:
        survey = kept_catalogue(variant.n_galaxies, TRAINING_SEED)
    members = [base] if variant.is_the_runs_own else []
    architecture = {**base.architecture, **variant.architecture}
    if variant.encoder:
        architecture["encoder"] = {**architecture["encoder"], **variant.encoder}
    warm_start = None
    if variant.model == "image" and variant.warm_start:
        warm_start = Posterior.load(folder / "photometry")
    for k in range(len(members), variant.members):
        changed = {**settings, **variant.settings, "seed": settings["seed"] + k}
        of = [architecture, changed, variant.warm_start, survey.name, base.metadata]
        members.append(
            train(
                Posterior(**architecture),
                survey,
                folder / "variants" / f"{variant.model}-{key_of(of, 'galcfm.training')}",
                TrainingSettings(**changed),
                warm_start=warm_start,
                progress=progress,
            )
        )
    return members


def run(
    path: Path,
    folder: Path,
    survey: Survey,
    galaxies: Survey,
    variants: Mapping[str, Variant],
    *,
    n_draws: int = 31,
    command: str = "",
    progress: bool = True,
) -> dict:
    """Rank `galaxies` under each variant; those that `path` holds for these models are kept.

    Arguments:
        path: JSON file of the results; the ranks go to a Parquet file beside it.
        folder: of the run.
        survey: that the run was trained on.
        galaxies: simulated for this, never trained on.
        variants: what to judge.
        n_draws: draws a galaxy, at most 255.
        command: that makes the results.
    """
    ranks_path = path.with_suffix(".parquet")
    prior = Posterior.load(folder / "prior")
    identity = {
        "run": folder.name,
        "n_galaxies": len(galaxies),
        "n_draws": n_draws,
        "galaxies": array_digest(galaxies.properties),
        "models": digest(
            [(folder / name / "model.safetensors").read_bytes().hex() for name in MODELS]
        ),
    }
    key = key_of(identity, "studies.calibration")
    results, table = stored(path, key), galaxies.catalogue[list(COVARIATES)].astype(np.float32)
    if results is not None:
        table = pd.read_parquet(ranks_path)
    else:
        results = {
            "recipes": {},
            "identity": identity,
            "references": "measured properties of another galaxy, distances in units of the "
            "training split's spread",
        }
    for name, variant in variants.items():
        if name in results["recipes"]:
            continue
        members = members_of(variant, folder, survey, progress)
        start = time.monotonic()
        found = rank_galaxies(members, prior, galaxies, n_draws=n_draws, progress=progress)
        results["recipes"][name] = {
            "label": variant.label,
            "model": variant.model,
            "sigma": members[0].architecture["sigma"],
            "members": len(members),
            "n_train": members[0].metadata["n_train"],
            "best_epochs": [member.metadata["best_epoch"] for member in members],
            "training_seconds": round(sum(m.metadata["seconds"] for m in members), 1),
            "ranking_seconds": round(time.monotonic() - start, 1),
        }
        ranks = dict.fromkeys((*QUANTITIES, "hpd_smoothed"), np.uint8)
        for column, values in found.astype(ranks).items():
            if column not in ranks:
                values = values.astype(np.float32)
            table[f"{name}/{column}"] = values
        with replacing(ranks_path) as temporary:
            table.to_parquet(temporary, index=False)
        results = store(path, results, key, command)
    return results


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "calibration",
        __doc__,
        arguments,
        run={"default": "quick", "help": "whose models are judged"},
        variants={"nargs": "*", "default": list(VARIANTS), "choices": list(VARIANTS)},
    )
    folder = run_folder("smoke" if options.smoke else options.run)
    trained_on = Posterior.load(folder / "photometry").metadata["survey"]
    if options.smoke:
        galaxies, names = kept_catalogue(60, SEED), ["photometry", "photometry_ensemble"]
    else:
        where = survey_folder("calibration")
        galaxies = simulate_survey(where, N_GALAXIES, SEED, replace=True)
        names = options.variants
    run(
        options.folder / "calibration.json",
        folder,
        Survey.load(survey_folder(trained_on)),
        galaxies,
        {name: VARIANTS[name] for name in names},
        command=f"{options.command} --run {folder.name}",
    )


if __name__ == "__main__":
    main()
