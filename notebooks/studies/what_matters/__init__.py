"""What matters: one part of the image model, its inputs or its training exchanged at a time.

Flow matching with photometry and picture is trained on the survey of `studies.picture_worth` with
all ties, for the same number of steps at each point. A point is compared with the reference by the
log-density of the measured properties, galaxy by galaxy and seed by seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.tables.words import with_error
from studies.figures import point_gains, present
from studies.frame import Study, SurveyPlan, chosen
from studies.what_matters.axes import AXES, OWN, POINTS, points_with

STUDY = Study(
    "what_matters", "08_what_matters", group="points", module="studies.what_matters.variants"
)


@dataclass(frozen=True)
class Plan(SurveyPlan):
    """The sizes of the study.

    Arguments:
        max_epochs: Number of epochs of the whole training split; a point with another number of
            training galaxies has as many steps.
        batch_size: Number of galaxies per step.
        image_crop: Width of the central part of the cutouts that is used [pixels of 0.4″].
        image_bin: Number of pixels along each axis that are averaged into one.
        encoder_width: Number of channels of the encoder's last block.
        width: Width of the layers of the velocity network.
        depth: Number of layers of the velocity network.
        alignment_epochs: Largest number of epochs of the alignment of pictures with spectra.
    """

    max_epochs: int = 12
    batch_size: int = 64
    image_crop: int = 96
    image_bin: int = 3
    encoder_width: int = 128
    width: int = 256
    depth: int = 3
    alignment_epochs: int = 40


def wanted(plan: Plan, axes=(), points=(), variants: Mapping | None = None) -> list[str]:
    """Return the names of the points to make: the reference, and all if none is chosen.

    Points for which there are too few galaxies are left out, with a printed line.

    Arguments:
        plan: Sizes of the study.
        axes: Names of `AXES`.
        points: Names of single points, `AXIS/NAME`.
        variants: Further variants, by label.

    Raises:
        RunError: An axis or a point is unknown.
    """
    known = points_with(variants)
    for names, there, what in ((axes, AXES, "axes"), (points, known, "points")):
        chosen(names, list(there), what)
    everything = not (axes or points or variants)
    taken = {"reference", OWN, *(AXES if everything else axes)}
    judged = plan.n_galaxies * (plan.validation_fraction + plan.test_fraction)
    names = [name for name in known if name in points or name.split("/")[0] in taken]
    for name in tuple(names):
        there = (known[name].n_galaxies or plan.n_galaxies) - judged
        if known[name].n_train > there:
            print(f"not made: {name}, as there are {there:,.0f} galaxies to train on")
            names.remove(name)
    return names


def draw(points: Mapping[str, Mapping], *axes: str, source: str) -> Figure | None:
    """Draw the gains of the points of some axes, and print which were not made.

    Arguments:
        points: Points of the result by name.
        axes: Names of `AXES`.
        source: What the galaxies are, for the corner of the figure.
    """
    names = [name for name in POINTS | points if name.split("/")[0] in axes]
    found = present(points, names).values()
    return point_gains({point["point"]["label"]: point for point in found}, source=source)


def table(points: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return each point's gain over the reference [nat], by what is exchanged.

    Arguments:
        points: Points of the result by name.
    """
    rows = {}
    for name, point in points.items():
        if "gain" in point:
            axis = name.split("/")[0]
            rows[AXES.get(axis, axis), point["point"]["label"]] = {
                "over the reference": with_error(point["gain"], point["standard_error"], 3, "+"),
                "trainings": len(point["seeds"]),
                "parameters": f"{next(iter(point['seeds'].values()))['n_parameters']:,}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")
