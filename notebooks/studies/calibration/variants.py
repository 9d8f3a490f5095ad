"""Variants of a run's trainings, each a change to that of one of its models."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from galcfm.paths import survey_folder
from galcfm.posterior import Posterior
from galcfm.provenance import digest
from galcfm.simulate import simulate_survey
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train
from studies.frame import kept_catalogue

TRAINING_SEED = 607  # of galaxies that variants train on instead of the run's


@dataclass(frozen=True)
class Variant:
    """A way to get a posterior, as a change to that of the run.

    Arguments:
        label: Words that tables show for it.
        model: `"photometry"` or `"image"`, the model whose training it varies.
        settings: Changed training settings.
        architecture: Changed arguments of `Posterior`.
        encoder: Changed arguments of its `ImageEncoder`.
        warm_start: Whether an image model starts from the photometry model of the run.
        members: Number of trainings with other seeds, the run's own among them, whose densities
            are averaged.
        n_galaxies: Number of galaxies to simulate and train on; 0 for the run's own survey.
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


def members_of(variant: Variant, run: Path, survey: Survey, progress: bool = True) -> list:
    """Return the models of a variant, trained where that has not been done.

    Arguments:
        variant: One of `VARIANTS`.
        run: Folder of the run; models that are trained go to its `variants`.
        survey: Survey of the run.
        progress: Whether bars are shown.
    """
    base = Posterior.load(run / variant.model)
    settings = base.metadata["settings"]
    if variant.n_galaxies and base.uses_images:
        place = survey_folder(f"training-{variant.n_galaxies}")
        survey = simulate_survey(place, variant.n_galaxies, TRAINING_SEED, replace=True)
    elif variant.n_galaxies:
        survey = kept_catalogue(variant.n_galaxies, TRAINING_SEED)
    members = [base] if variant.is_the_runs_own else []
    architecture = {**base.architecture, **variant.architecture}
    if variant.encoder:
        architecture["encoder"] = {**architecture["encoder"], **variant.encoder}
    warm_start = None
    if variant.model == "image" and variant.warm_start:
        warm_start = Posterior.load(run / "photometry")
    for k in range(len(members), variant.members):
        changed = {**settings, **variant.settings, "seed": settings["seed"] + k}
        key = digest([architecture, changed, variant.warm_start, survey.name, base.metadata])
        members.append(
            train(
                Posterior(**architecture),
                survey,
                run / "variants" / f"{variant.model}-{key}",
                TrainingSettings(**changed),
                warm_start=warm_start,
                progress=progress,
            )
        )
    return members
