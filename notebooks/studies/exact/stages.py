"""The stages of the comparison, each of which leaves its result in the cache and resumes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.paths import data_folder, replacing
from galcfm.posterior import Posterior, galaxy_seeds
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.provenance import digest
from galcfm.simulate import labels
from galcfm.simulate.galaxies import MAGNITUDE_LIMIT
from galcfm.survey import Survey
from galcfm.training import RECIPES, train
from studies.exact import STUDY, Plan
from studies.exact.emulator import Emulator, train_emulator
from studies.exact.latents import Light, n_latents, shine, star_forming
from studies.exact.particles import ExactPosterior
from studies.frame import SIMULATOR_VERSION

SCREEN = 0.6  # mag beyond the limit: some thirty times the emulator's error


class Stages:
    """The stages of the comparison.

    Arguments:
        plan: How much of everything.
        progress: Whether bars are shown.
    """

    def __init__(self, plan: Plan, progress: bool = True):
        # More galaxies, or more draws of them, discard nothing.
        settings = {k: v for k, v in plan.settings.items() if k not in ("n_galaxies", "n_draws")}
        key = digest([STUDY.version, SIMULATOR_VERSION, settings])
        self.plan, self.progress = plan, progress
        self.folder = data_folder() / "cache" / f"exact-{key}"

    def kept(self, name: str, make: Callable[[], Mapping]) -> dict[str, np.ndarray]:
        """Return the arrays of a stage from the cache, made where they are not there."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            with replacing(path) as temporary:
                np.savez(temporary, **make())
        with np.load(path) as file:
            return dict(file)

    def rng(self, *key: int) -> np.random.Generator:
        """Return the random generator of a stage."""
        return np.random.default_rng([self.plan.seed, *key])

    def prior(self, n: int, stage: int, emulator: Emulator | None = None) -> np.ndarray:
        """Return latents of star-forming galaxies among `n` of the prior, `(k, n_latents())`.

        With an emulator, galaxies that it finds much too faint for the survey are left out.
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
        """Return the emulator, trained on galaxies of the prior, its faintest ones thinned."""

        def make():
            x = self.prior(self.plan.n_bank, 0)
            light = shine(x)
            bright = light.magnitudes[:, 2] < MAGNITUDE_LIMIT + SCREEN
            bright |= np.arange(len(x)) % 4 == 0
            light = Light(*(values[bright] for values in light))
            steps, seed = self.plan.emulator_steps, self.plan.seed
            return train_emulator(x[bright], light, n_steps=steps, seed=seed).state_dict()

        return Emulator.of(self.kept("emulator", make))

    def rows(self, emulator: Emulator) -> Light:
        """Return star-forming galaxies of the prior, as bright as the survey or a bit fainter."""

        def make():
            probe = self.prior(20_000, 1, emulator)
            n = int(20_000 * self.plan.n_rows / max(1, self._seen(shine(probe), 1)[0].sum()))
            return shine(self.prior(n, 2, emulator))._asdict()

        return Light(**self.kept("rows", make))

    def _seen(self, light: Light, stage: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which galaxies pass the noisy magnitude limit and have lines, and their noise."""
        noise = light.errors * self.rng(3, stage).standard_normal(light.magnitudes.shape)
        kept = light.seen & (light.magnitudes[:, 2] + noise[:, 2] < MAGNITUDE_LIMIT)
        return kept, noise[kept]

    def many(self, light: Light) -> Survey:
        """Return a survey of the galaxies of `rows`, with noise, one in fifty for validation."""
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
        """Return the book's photometry model, and the same network trained on many galaxies."""
        recipe = replace(RECIPES["quick"], **self.plan.recipe)
        settings = recipe.settings("photometry")
        changed = {"max_epochs": self.plan.many_epochs, "batch_size": 4 * settings.batch_size}
        changed |= {"draws_per_galaxy": 1, "average_decay": 0.999}
        many = replace(settings, **changed)
        key = digest(asdict(recipe))
        found = {}
        for name, data, how in (("book", survey, settings), ("many", self.many(light), many)):
            folder, model = self.folder / f"{name}-{key}", recipe.model("photometry")
            found[name] = train(model, data, folder, how, progress=self.progress)
        return found

    def exact(self, emulator: Emulator, survey: Survey) -> list[list[ExactPosterior]]:
        """Return the exact posterior of each galaxy, `n_runs` times."""
        tasks = [(k, run) for k in range(len(survey)) for run in range(self.plan.n_runs)]
        found = [[] for _ in range(len(survey))]
        for k, run in tqdm(tasks, desc="exact posteriors", disable=not self.progress):
            name = f"particles/{survey.object_id[k]}-{run}"
            particles = self.kept(name, partial(self._particles, emulator, survey, k, run))
            found[k].append(ExactPosterior(**particles))
        return found

    def _particles(self, emulator: Emulator, survey: Survey, k: int, run: int) -> dict:
        seed = galaxy_seeds([survey.object_id[k]], self.plan.seed)[0]
        rng = np.random.default_rng([int(seed), run])
        return vars(ExactPosterior.sample(emulator, survey.magnitudes[k], rng, self.plan))
