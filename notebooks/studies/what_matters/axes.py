"""The points of the study: the reference, and what each axis exchanges in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from studies.frame import rows_of

OWN = "own"  # axis of the variants that a notebook's parameter adds


@dataclass(frozen=True)
class Point:
    """One point of an axis: the reference with one thing changed.

    Arguments:
        label: Label in words.
        options: Options of `studies.methods.FlowVariant` that differ from the plan's.
        pictures: One of `studies.what_matters.pictures.PICTURES`.
        n_train: Number of galaxies of the training split, the first ones; 0 for all.
        n_galaxies: Number of galaxies of a larger survey to train on; 0 for that of all points.
        aligned: Whether the encoder is aligned with spectra first, and frozen.
        max_epochs: Number of epochs; 0 for the plan's.
        steps: Number of Runge-Kutta steps of the evaluated density; 0 for as many as suffice.
            Nothing is trained for a point with steps.
    """

    label: str
    options: dict = field(default_factory=dict)
    pictures: str = "as they are"
    n_train: int = 0
    n_galaxies: int = 0
    aligned: bool = False
    max_epochs: int = 0
    steps: int = 0


POINTS = rows_of(Point, Path(__file__).with_name("points.yaml"))
REFERENCE = POINTS["reference"]
AXES = yaml.safe_load(Path(__file__).with_name("axes.yaml").read_text(encoding="utf-8"))


def points_with(variants: Mapping[str, Mapping] | None = None) -> dict[str, Point]:
    """Return all points by `AXIS/NAME`, the reference first.

    Arguments:
        variants: Further variants: options of `studies.methods.FlowVariant` by label.
    """
    own = (variants or {}).items()
    return POINTS | {f"{OWN}/{name}": Point(name, dict(options)) for name, options in own}
