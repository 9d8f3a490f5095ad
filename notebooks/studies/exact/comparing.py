"""Flows of photometry beside the exact posterior, galaxy by galaxy.

Each stage leaves its result in a folder of the cache and is not repeated where that is there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde
from tqdm import tqdm

from galcfm.paths import replacing
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import labels
from galcfm.simulate.galaxies import MAGNITUDE_LIMIT
from studies.exact.emulator import Emulator, train_emulator
from studies.exact.latents import Light, n_latents, shine, star_forming
from studies.exact.particles import ExactPosterior, log_likelihood
from studies.stored import BOOK_SURVEY, kept_catalogue, key_of
from galcfm.survey import Survey
from galcfm.training import RECIPES, train

SCREEN = 0.6  # mag beyond the limit: some thirty times the emulator's error
STEPS = 50  # Runge-Kutta steps of the flows


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        n_galaxies: test galaxies.
        runs: independent runs of the sampler on each.
        n_bank: galaxies of the prior for the emulator, before the star-forming rule.
        emulator_steps: training steps of the emulator.
        n_particles, moves, last_moves, kept: see `temper`.
        n_rows: galaxies for the flow that is trained on many.
        many_epochs: passes over them.
        n_draws: draws of each posterior for widths and classifiers.
        survey: the survey whose test galaxies they are, as `simulate_catalogue` takes it.
        recipe: of the book's photometry model, changes to `RECIPES["quick"]`.
        seed: of everything.
    """

    n_galaxies: int = 100
    runs: int = 2
    n_bank: int = 300_000
    emulator_steps: int = 5000
    n_particles: int = 4000
    moves: int = 6
    last_moves: int = 30
    kept: int = 2
    n_rows: int = 220_000
    many_epochs: int = 12
    n_draws: int = 1000
    survey: Mapping = field(default_factory=lambda: dict(BOOK_SURVEY))
    recipe: Mapping = field(default_factory=dict)
    seed: int = 7


def classifier_accuracy(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """Classifier two-sample test: how often a classifier says rightly which sample a draw is of.

    Logistic regression on all products of two properties, the best classifier of two normal
    distributions, cross-validated (Lopez-Paz & Oquab 2017). 0.5 is guessing.

    Arguments:
        a: draws, `(n, d)`.
        b: draws, `(m, d)`.
        seed: of the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    classifier = make_pipeline(
        StandardScaler(), PolynomialFeatures(2, include_bias=False), LogisticRegression()
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    label = np.repeat([0, 1], [len(a), len(b)])
    return float(cross_val_score(classifier, np.concatenate([a, b]), label, cv=folds).mean())


class Work:
    """The stages of the comparison and where they leave what they make.

    Arguments:
        plan: how much of everything.
        cache: folder under which a folder of this plan and this code is made.
    """

    def __init__(self, plan: Plan, cache: Path, progress: bool = True):
        # More galaxies, or more draws of them, discard nothing.
        stages = {k: v for k, v in asdict(plan).items() if k not in ("n_galaxies", "n_draws")}
        key = key_of(stages, "studies.exact.particles")
        self.plan, self.progress = plan, progress
        self.folder = cache / f"exact-{key}"

    def rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.plan.seed, *key])

    def prior(self, n: int, stage: int, emulator: Emulator | None = None) -> np.ndarray:
        """Latents of star-forming galaxies among `n` of the prior, `(k, n_latents())`.

        With an emulator, those that it finds much too faint for the survey are left out.
        """
        kept = []
        starts = range(0, n, 10_000)
        for block in tqdm(starts, desc="prior", disable=not self.progress):
            x = self.rng(stage, block).standard_normal((min(10_000, n - block), n_latents()))
            if emulator is None:
                kept.append(x[star_forming(x)[0]])
            else:
                forming, magnitudes, _ = emulator(x)
                kept.append(x[forming & (magnitudes[:, 2] < MAGNITUDE_LIMIT + SCREEN)])
        return np.concatenate(kept)

    def emulator(self) -> Emulator:
        """The emulator, trained on galaxies of the prior, of which the faintest are thinned."""
        path = self.folder / "emulator.safetensors"
        if not path.exists():
            x = self.prior(self.plan.n_bank, 0)
            light = shine(x)
            bright = light.magnitudes[:, 2] < MAGNITUDE_LIMIT + SCREEN
            bright |= np.arange(len(x)) % 4 == 0
            emulator = train_emulator(
                x[bright],
                Light(*(values[bright] for values in light)),
                n_steps=self.plan.emulator_steps,
                seed=self.plan.seed,
            )
            emulator.save(path)
        return Emulator.load(path)

    def rows(self, emulator: Emulator) -> Light:
        """Star-forming galaxies of the prior as bright as the survey, or a little fainter."""
        path = self.folder / "rows.npz"
        if not path.exists():
            probe = self.prior(20_000, 1, emulator)
            n = int(20_000 * self.plan.n_rows / max(1, self._seen(shine(probe), 1)[0].sum()))
            with replacing(path) as temporary:
                np.savez(temporary, **shine(self.prior(n, 2, emulator))._asdict())
        with np.load(path) as file:
            return Light(**file)

    def _seen(self, light: Light, stage: int) -> tuple[np.ndarray, np.ndarray]:
        """Who is bright enough with noise and has lines, and their noise."""
        noise = light.errors * self.rng(3, stage).standard_normal(light.magnitudes.shape)
        kept = light.seen & (light.magnitudes[:, 2] + noise[:, 2] < MAGNITUDE_LIMIT)
        return kept, noise[kept]

    def catalogue(self) -> Survey:
        """The book's survey without its pictures."""
        return kept_catalogue(**self.plan.survey)

    def many(self, light: Light) -> Survey:
        """A survey of the galaxies of `rows`, with noise, one in fifty for validation."""
        kept, noise = self._seen(light, 2)
        truth = dict(zip(PROPERTY_NAMES, light.properties[kept].T, strict=True))
        measured, _ = labels.measure(self.rng(4), truth, noise, light.errors[kept])
        table = pd.DataFrame(light.magnitudes[kept] + noise, columns=list(MAGNITUDES))
        table[list(PROPERTY_NAMES)] = np.stack(list(measured.values()), axis=1)
        table["object_id"] = [f"row-{k}" for k in range(len(table))]
        table[["ra", "dec", "redshift", "ebv"]] = np.nan
        table["split"] = np.where(np.arange(len(table)) % 50 == 0, "validation", "train")
        return Survey(table)

    def flows(self, survey: Survey, light: Light) -> dict[str, Posterior]:
        """The book's photometry model, and the same network trained on many galaxies."""
        recipe = replace(RECIPES["quick"], **self.plan.recipe)
        settings = recipe.settings("photometry")
        many = replace(
            settings,
            max_epochs=self.plan.many_epochs,
            batch_size=4 * settings.batch_size,
            draws_per_galaxy=1,
            average_decay=0.999,
        )
        key = key_of(asdict(recipe), "galcfm.training")
        return {
            name: train(
                recipe.model("photometry"),
                data,
                self.folder / f"{name}-{key}",
                how,
                progress=self.progress,
            )
            for name, data, how in (("book", survey, settings), ("many", self.many(light), many))
        }

    def exact(self, emulator: Emulator, survey: Survey) -> list[list[ExactPosterior]]:
        """The exact posterior of each galaxy, `runs` times."""
        tasks = [(k, run) for k in range(len(survey)) for run in range(self.plan.runs)]
        found = [[] for _ in range(len(survey))]
        for k, run in tqdm(tasks, desc="exact posteriors", disable=not self.progress):
            path = self.folder / "particles" / f"{survey.object_id[k]}-{run}.npz"
            if not path.exists():
                seed = galaxy_seeds([survey.object_id[k]], self.plan.seed)[0]
                rng = np.random.default_rng([int(seed), run])
                particles = ExactPosterior.sample(
                    emulator,
                    survey.magnitudes[k],
                    rng,
                    self.plan.n_particles,
                    moves=self.plan.moves,
                    last_moves=self.plan.last_moves,
                    kept=self.plan.kept,
                )
                with replacing(path) as temporary:
                    np.savez(temporary, **vars(particles))
            with np.load(path) as file:
                found[k].append(ExactPosterior(**file))
        return found


def compare(
    survey: Survey,
    exact: list[list[ExactPosterior]],
    flows: Mapping[str, Posterior],
    light: Light,
    plan: Plan,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the flows and the exact posterior say of each galaxy.

    Arguments:
        survey: the galaxies, with `<property>_true`.
        exact: runs of the sampler a galaxy.
        flows: models by name.
        light: galaxies of the prior, for importance sampling without sampler or emulator.
        plan: number of draws, and the seed.

    Returns:
        A row a galaxy of numbers, and draws of some galaxies.
    """
    theta, truths = survey.properties, survey.catalogue
    sigma = flows["book"].flow.sigma * flows["book"].property_std.numpy()
    draws, densities = {}, {}
    for name, flow in flows.items():
        condition = flow.encode_survey(survey)
        draws[name] = flow.sample_from(
            condition, survey.object_id, plan.n_draws, STEPS, plan.seed
        ).numpy()
        densities[name] = flow.log_prob_from(theta, condition, STEPS).numpy()
    table, shown = [], []
    for k, runs in enumerate(tqdm(exact, desc="comparing")):
        rng = np.random.default_rng([plan.seed, 5, k])
        whole = ExactPosterior.joined(runs)
        row = {"object_id": survey.object_id[k], "mag_r": survey.magnitudes[k, 2]}
        row["exact"] = whole.log_prob(theta[k], sigma)
        row["exact_unsmoothed"] = whole.log_prob(theta[k])
        for number, run in enumerate(runs):
            row[f"exact_run_{number}"] = run.log_prob(theta[k], sigma)
            row[f"effective_{number}"] = run.effective_size
            mean, _ = run.moments()
            row |= {f"{p}_mean_{number}": m for p, m in zip(PROPERTY_NAMES, mean, strict=True)}
        mean, std = whole.moments()
        reference = [run.draws(plan.n_draws, sigma, rng) for run in runs]
        for name in flows:
            row[name] = densities[name][k]
            row[f"c2st_{name}"] = classifier_accuracy(draws[name][k], reference[0])
        row["c2st_exact"] = classifier_accuracy(reference[1], reference[0])
        seen = survey.magnitudes[k]
        brute = ExactPosterior.of(light, seen, log_likelihood(light, seen), rng)
        row["brute_effective"] = brute.effective_size
        row["brute"] = brute.log_prob(theta[k], sigma)
        brute_mean, _ = brute.moments()
        for j, p in enumerate(PROPERTY_NAMES):
            row[f"{p}_label"], row[f"{p}_true"] = theta[k, j], truths[f"{p}_true"].iloc[k]
            row[f"{p}_mean"], row[f"{p}_std"] = mean[j], std[j]
            row[f"{p}_brute"] = brute_mean[j]
            row[f"{p}_exact"] = whole.log_prob(theta[k], columns=[j])
            row[f"{p}_width_exact"] = np.concatenate(reference)[:, j].std()
            for name in flows:
                values = draws[name][k, :, j]
                row[f"{p}_{name}"] = gaussian_kde(values).logpdf(theta[k, j])[0]
                row[f"{p}_width_{name}"] = values.std()
        table.append(row)
        if k < 4:
            of = {"exact": np.concatenate(reference)[: plan.n_draws]} | {
                name: draws[name][k] for name in flows
            }
            for name, values in of.items():
                part = pd.DataFrame(values.astype(np.float32), columns=list(PROPERTY_NAMES))
                shown.append(part.assign(object_id=survey.object_id[k], posterior=name))
    return pd.DataFrame(table), pd.concat(shown, ignore_index=True)
