"""The points of the study: the reference, and what each axis exchanges in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AXES", "OWN", "PICTURES", "POINTS", "REFERENCE", "Point", "points_with"]

CHANNELS = {"only i": 0, "only r": 1, "only g": 2}
PICTURES = ("as they are", "grey", *CHANNELS, "blurred", "another galaxy's")
OWN = "own"  # axis of the variants that a notebook's parameter adds


@dataclass(frozen=True)
class Point:
    """One point of an axis: the reference with one thing changed.

    Arguments:
        label: Label in words.
        options: Options of `studies.methods.FlowVariant` that differ from the plan's.
        pictures: One of `PICTURES`.
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


REFERENCE = Point("photometry and picture")
AXES = {
    "inputs": "what is seen",
    "pictures": "what pictures hold",
    "pixels": "pixels a side, of the same field",
    "pooling": "pooling",
    "encoder": "image encoder",
    "galaxies": "galaxies to train on",
    "sigma": "width σ of the path",
    "conditioning": "how the condition comes in",
    "training": "length of the training",
    "steps": "Runge-Kutta steps",
    OWN: "variants of your own",
}
WAYS = {"modulation": "scaled and shifted layers", "cross_attention": "cross-attention"}
POINTS = {
    "reference": REFERENCE,
    "inputs/photometry": Point("photometry alone", {"encoder": None}),
    "inputs/image": Point("picture alone", {"magnitudes": False}),
    "inputs/told": Point("and redshift", {"redshift": True}),
    "inputs/photometry_told": Point("photometry and redshift", {"encoder": None, "redshift": True}),
    **{f"pictures/{name}": Point(name, pictures=name) for name in PICTURES[1:]},
    **{
        f"pixels/{128 // n}": Point(f"{128 // n} pixels", {"crop": 128, "bin_factor": n})
        for n in (8, 4, 2, 1)
    },
    "pooling/max": Point("maximum pooling", {"encoder": "max_pooling"}),
    "encoder/resnet": Point("residual network", {"encoder": "resnet"}),
    "encoder/vit": Point("vision transformer", {"encoder": "vit"}),
    "encoder/aligned": Point("vision transformer aligned with spectra, frozen", aligned=True),
    "encoder/random": Point(
        "vision transformer as chance made it, frozen", {"encoder": "vit", "frozen": True}
    ),
    **{f"galaxies/{n}": Point(f"{n:,}", n_train=n) for n in (1500, 3000, 6000)},
    **{f"galaxies/{n}": Point(f"{n:,}", n_train=n, n_galaxies=67_000) for n in (30_000, 60_000)},
    **{f"sigma/{sigma}": Point(f"σ = {sigma}", {"sigma": sigma}) for sigma in (0.0, 0.01, 0.1)},
    **{f"conditioning/{way}": Point(name, {"conditioning": way}) for way, name in WAYS.items()},
    "training/longer": Point("40 epochs", max_epochs=40),
    **{
        f"training/{way}": Point(f"40 epochs, {name}", {"conditioning": way}, max_epochs=40)
        for way, name in WAYS.items()
    },
    **{f"steps/{n}": Point(f"{n} steps", steps=n) for n in (2, 4, 8, 16, 100)},
}


def points_with(variants: Mapping[str, Mapping] | None = None) -> dict[str, Point]:
    """Return all points by `AXIS/NAME`, the reference first.

    Arguments:
        variants: Further variants: options of `studies.methods.FlowVariant` by label.
    """
    own = (variants or {}).items()
    return POINTS | {f"{OWN}/{name}": Point(name, dict(options)) for name, options in own}
