"""The variants of the image model: how each is trained and compared with the reference."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import provenance
from galcfm.survey import Survey
from studies import methods, picture_worth
from studies.frame import Place, Trainings, paired_gain
from studies.methods import labelled
from studies.what_matters import STUDY, Plan, wanted
from studies.what_matters.axes import REFERENCE, Point, points_with
from studies.what_matters.pictures import altered, fewer


class Variants:
    """The points of the study, trained on one survey and kept in one place.

    Arguments:
        plan: Sizes of the study.
        place: Where results and models go.
        variants: Further variants, by label.
    """

    def __init__(self, plan: Plan, place: Place, variants: Mapping[str, Mapping] | None = None):
        self.plan, self.place = plan, place
        self.points = points_with(variants)
        rows = {name: asdict(replace(point, label="")) for name, point in self.points.items()}
        self.kept = Trainings(STUDY, place, plan.settings, rows, _gain)
        self.survey = cache(self._survey)
        self.reference = cache(partial(self.fitted, REFERENCE))

    def make(self, names: Sequence[str], seeds: Sequence[int]) -> dict:
        """Make the points for each seed that are missing, and return the results."""
        return self.kept.make(names, seeds, self.train)

    def _survey(self, n_galaxies: int = 0) -> Survey:
        """Return the survey with all ties, or a larger one that begins with it."""
        plan = replace(self.plan, n_galaxies=n_galaxies or self.plan.n_galaxies)
        return picture_worth.survey_of(picture_worth.ROWS["all"], plan)

    def survey_of(self, point: Point) -> Survey:
        """Return the survey that a point is trained on."""
        survey = self.survey()
        if point.n_galaxies:
            larger = self.survey(point.n_galaxies)
            judged = survey.object_id[survey.catalogue["split"] != "train"]
            # All galaxies that nothing is judged on.
            mine = np.flatnonzero(~np.isin(larger.object_id.astype(str), judged.astype(str)))
            held_out = labelled(survey, "validation")
            table = pd.concat(
                [larger.catalogue.iloc[mine].assign(split="train"), held_out.catalogue]
            )
            images = np.concatenate([larger.images[mine], held_out.images])
            survey = Survey(table, images, survey.parameters, larger.name)
        return altered(fewer(survey, point.n_train), point.pictures)

    def fitted(self, point: Point, seed: int) -> methods.Method:
        """Return the method of a point, trained."""
        plan, train = self.plan, self.survey_of(point)
        n = int((self.survey().catalogue["split"] == "train").sum())
        mine = int((train.catalogue["split"] == "train").sum())
        # As many steps, whatever the number of galaxies.
        epochs = max(1, round((point.max_epochs or plan.max_epochs) * n / mine))
        pixels = {
            "crop": plan.image_crop,
            "bin_factor": plan.image_bin,
            "width": plan.encoder_width,
            "descent": methods.Descent(
                max_epochs=epochs, patience=epochs, batch_size=plan.batch_size, seed=seed
            ),
        }
        network = {"hidden_width": plan.width, "depth": plan.depth}
        options = {"encoder": "paper", **pixels, **network, **point.options}
        if point.aligned:
            alignment = replace(
                methods.contrastive.ALIGNMENT, max_epochs=plan.alignment_epochs, seed=seed
            )
            flow = methods.AlignedFlow(alignment=alignment, **pixels)
            options["encoder"], _ = flow.aligned_encoder(train, self.place.work)
        method = methods.FlowVariant(**options).fit(train)
        method.training["n_train"] = mine
        return method

    def train(self, name: str, seed: int) -> tuple[dict, dict, pd.Series]:
        """Train and evaluate a point for a seed, and return what `Trainings.keep` takes."""
        point = self.points[name]
        whole = point == REFERENCE or point.steps
        method = self.reference(seed) if whole else self.fitted(point, seed)
        test = altered(labelled(self.survey(), "test"), point.pictures)
        if point.steps:
            method = copy(method)
            method.density_steps = method.steps = point.steps
        log_prob = method.log_prob(test.properties, test)
        some = test.select(np.arange(min(1000, len(test))))
        mean = method.sample(some, 64).mean(axis=1)
        rmse = np.sqrt(np.mean((mean - some.properties) ** 2, axis=0))
        numbers = {
            "log_prob": float(log_prob.mean()),
            "rmse": dict(zip(PROPERTY_NAMES, rmse.round(5).tolist(), strict=True)),
            "training": method.training,
            "n_parameters": method.n_parameters,
            "made": provenance(),
        }
        column = pd.Series(log_prob, index=pd.Index(test.object_id, name="object_id"))
        return numbers, {"point": asdict(point)}, column


def make(
    place: Place, run: Path, plan: Plan, axes=(), points=(), seeds=(1, 2, 3), variants=None
) -> dict:
    """Make the points for each seed that are missing in a place, and return the results.

    Arguments:
        place: Where results and models go.
        run: Folder of the run, which is not read.
        plan: Sizes of the study.
        axes: Names of the axes to make; all if neither points nor variants are named.
        points: Names of single points to make.
        seeds: Seeds of the trainings to make.
        variants: Further variants to make: options of `studies.methods.FlowVariant` by label.
    """
    names = wanted(plan, axes, points, variants)
    return Variants(plan, place, variants).make(names, seeds)


def _gain(name: str, table: pd.DataFrame) -> dict:
    """Return the gain of a point over the reference; empty for the reference itself."""
    return {} if name == "reference" else paired_gain(table, name, "reference")
