"""Variants of a run's trainings, each a change to that of one of its models."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from galcfm.paths import survey_folder
from galcfm.posterior import Posterior
from galcfm.provenance import digest
from galcfm.simulate import simulate_survey
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train
from studies.frame import chosen, kept_catalogue, rows_of

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


VARIANTS = rows_of(Variant, Path(__file__).with_name("variants.yaml"))


def chosen_variants(names: Sequence[str] = ()) -> dict[str, Variant]:
    """Return some variants and the run's own models that they change, by name.

    Arguments:
        names: Names of the variants; none for all.
    """
    names = chosen(names, VARIANTS, "variants")
    wanted = {*names, *(VARIANTS[name].model for name in names)}
    return {name: variant for name, variant in VARIANTS.items() if name in wanted}


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
    options = {"progress": progress}
    if variant.model == "image" and variant.warm_start:
        options["warm_start"] = Posterior.load(run / "photometry")
    for k in range(len(members), variant.members):
        changed = {**settings, **variant.settings, "seed": settings["seed"] + k}
        key = digest([architecture, changed, variant.warm_start, survey.name, base.metadata])
        folder, how = run / "variants" / f"{variant.model}-{key}", TrainingSettings(**changed)
        members.append(train(Posterior(**architecture), survey, folder, how, **options))
    return members
