"""What matters: one part of the image model, its inputs or its training exchanged at a time.

Flow matching with photometry and image is trained on the survey of `studies.picture_worth` with
all ties, for the same number of steps at each point. A point is compared with the reference by the
log-density of the measured properties, galaxy by galaxy and seed by seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from galcfm.figures.tables.words import number
from studies.figures import forest
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
        alignment_epochs: Largest number of epochs of the alignment of images with spectra.
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


def draw(points: Mapping[str, Mapping], *, source: str) -> Figure:
    """Draw the gains over the reference of all points except those of Runge-Kutta steps.

    Arguments:
        points: Points of the result by name.
        source: What the galaxies are, for the corner of the figure.
    """
    groups = {}
    for name, point in points.items():
        axis = name.split("/")[0]
        if "gain" in point and axis != "steps":
            label = POINTS[name].label if name in POINTS else point["point"]["label"]
            groups.setdefault(AXES[axis], {})[label] = point
    image = points.get("inputs/photometry", {}).get("gain")
    band = (image, 0, f"worth of the whole image: {number(-image)} nat") if image else None
    return forest(groups, source=source, xlabel="gain over the reference [nat]", band=band)
