"""The rows of the study: what each of them changes."""

from dataclasses import dataclass, field

from galcfm.simulate import TIES

__all__ = ["LADDER", "ROWS", "Row"]

OLD = tuple(name for name in TIES if name != "inclined_dust")


@dataclass(frozen=True)
class Row:
    """One row of the study.

    Arguments:
        label: Label in words.
        without: Names of `galcfm.simulate.TIES` that the survey lacks.
        photometry: Kind of the magnitudes of both models, one of those of `measured_photometry`.
        redshift: Whether both models have the redshift as input.
        leak: Whether pictures show the true fluxes and not the observed ones.
        balmer: Whether A_V is that of the Balmer decrement.
        training: Fields of `galcfm.training.Recipe` that differ from the plan's.
        kernels: Whether the paper's Δlog p by kernel densities is measured too.
        instrument: Name of the instrument in `galcfm.simulate.INSTRUMENTS`.
    """

    label: str
    without: tuple[str, ...] = ()
    photometry: str = "model"
    redshift: bool = False
    leak: bool = False
    balmer: bool = False
    training: dict = field(default_factory=dict)
    kernels: bool = False
    instrument: str = "SDSS"


def _without(*given: str) -> tuple[str, ...]:
    return tuple(name for name in OLD if name not in given)


# The paper's training, except for its pixels and its 200 epochs.
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
        training={"image_crop": 128, "image_bin": 2},
    ),
    "leak": Row("all ties, pictures hold the true fluxes", leak=True),
    "paper_training": Row("all ties, the paper's training", training=PAPER_TRAINING),
    **{
        f"tie_{name}": Row(f"first survey, and {what}", _without(name))
        for name, (what, _) in TIES.items()
        if name not in ("inclined_dust", "fibre")
    },
}

# From the book's first survey towards the paper: each step keeps those before it.
LADDER = ("old", "old_fibre", "all", "balmer", "balmer_petrosian")
