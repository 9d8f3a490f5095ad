"""The paper's sizes: 106,800 galaxies, and 1,000 draws for each of 1,000 test galaxies.

Here is what a chapter needs that only reads results; `making` trains and draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.stored_posteriors import load_posteriors
from studies import frame
from studies.frame import Result, Study

NOTEBOOK = "07_at_the_papers_size"
STUDY = Study("paper_scale", NOTEBOOK)
PAPERS_RECIPE = Study("papers_recipe", NOTEBOOK, parameter="results_paper")
WITH_REDSHIFT = Study("image_redshift", NOTEBOOK, parameter="results_redshift")
MODELS = ("photometry", "image")


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Recipe, numbers of galaxies and numbers of draws.

    Arguments:
        recipe: Name of the recipe of both models, see `galcfm.training.RECIPES`.
        max_epochs: Largest number of epochs of the image model; None for the recipe's.
        use_redshift: Whether both models have the redshift as input.
        n_galaxies: Number of simulated galaxies, a tenth of them test galaxies.
        seeds: Seeds of further photometry models.
        n_test: Number of test galaxies with posteriors.
        n_samples: Draws per galaxy; 0 for trainings without posteriors.
        n_kept: Draws per galaxy that are stored.
        n_kl_samples: Draws per galaxy with exact densities.
        steps: Runge-Kutta steps of the draws.
    """

    recipe: str = "tuned_cpu"
    max_epochs: int | None = None
    use_redshift: bool = False
    n_galaxies: int = 106_800
    seeds: Sequence[int] = (2, 3)
    n_test: int = 1000
    n_samples: int = 1000
    n_kept: int = 100
    n_kl_samples: int = 50
    steps: int = 100

    def training_only(self, recipe: str, **changes) -> "Plan":
        """Return a plan of one training of each model with another recipe, without posteriors.

        Arguments:
            recipe: Name of the recipe.
            changes: Further fields that differ, e.g. `max_epochs`.
        """
        alone = {"max_epochs": None, "use_redshift": False, "seeds": (), "n_samples": 0}
        return replace(self, recipe=recipe, **alone | changes)


def find(study: Study, results: str, run: Path, plan: Plan) -> Result:
    """Return a result of one of the studies of this chapter, read or made.

    Arguments:
        study: `STUDY`, `PAPERS_RECIPE` or `WITH_REDSHIFT`.
        results: Parameter of the notebook, one of `studies.frame.RESULTS`.
        run: Folder of the run.
        plan: Settings with which it is made.
    """

    def make(place):
        # Those who only read need no torch.
        from studies.paper_scale import making

        making.make(study, place, plan)

    return study.find(results, run, plan.settings, make)


def load_draws(result: Result) -> tuple[pd.DataFrame, dict, dict, np.ndarray]:
    """Return the test galaxies of a result and their posteriors.

    Returns:
        Table of the test galaxies with one column `MODEL/METRIC/KIND` [nat] per metric; by model
        the draws of all galaxies, and those of the galaxies that are shown; cutouts
        `(n, 128, 128, 3)`, black where none is kept.
    """
    table = result.table()
    draws, shown = (
        {name: load_posteriors(result.beside(f"_{name}{part}.nc")) for name in MODELS}
        for part in ("", "_shown")
    )
    with np.load(result.beside("_pictures.npz")) as pictures:
        images = np.zeros((len(table), *pictures["images"].shape[1:]), np.uint8)
        images[pictures["rows"]] = pictures["images"]
    return table, draws, shown, images
