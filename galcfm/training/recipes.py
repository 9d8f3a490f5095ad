"""The recipes of the book's models, shared by its notebooks and studies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, get_type_hints

import yaml

from galcfm.paths import user_path
from galcfm.posterior import Posterior, kinds
from galcfm.posterior.labels import blocks_of
from galcfm.properties import SDSS, Declaration
from galcfm.survey import Survey
from galcfm.training.posterior_training import TrainingSettings, train

MODELS = ("prior", "photometry", "image")  # each may start from the previous one
EMBEDDING = "_embedding"  # NAME_embedding is the model of photometry and the embedding NAME
# Fields that only one or two of the models read.
OF_PRIOR, OF_PHOTOMETRY, OF_BOTH, OF_IMAGE = MODELS[:1], MODELS[1:2], MODELS[1:], MODELS[2:]


@dataclass(frozen=True)
class Recipe:
    """Settings of the prior, photometry and image model; the defaults are the profile `quick`.

    Arguments:
        features, use_redshift, use_magnitude_errors: Inputs of both models, see `Posterior`.
        sigma: Width of the path, in standardised units.
        width, depth: Size of the velocity network.
        image_crop, image_bin, encoder_widths, n_image_features: Size of the image encoder.
        warm_start: Whether the image model, or a model with an embedding, starts from the
            photometry model.
        prior_max_epochs, photometry_max_epochs, max_epochs: Largest number of epochs of the prior,
            of the photometry model and models with embeddings, and of the image model.
        patience, learning_rate, batch_size, schedule, draws_per_galaxy, average_decay, seed:
            Settings of all three models, see `TrainingSettings`.
        augment, encoder_batch, half_precision: Settings of the image model, see
            `TrainingSettings`.
    """

    features: Annotated[kinds.Features, OF_BOTH] = "r_and_colours"
    use_redshift: Annotated[kinds.Switch, OF_BOTH] = False
    use_magnitude_errors: Annotated[kinds.Switch, OF_BOTH] = False
    sigma: kinds.Positive = 0.05
    width: kinds.Count = 256
    depth: kinds.Count = 3
    image_crop: Annotated[kinds.Count, OF_IMAGE] = 128
    image_bin: Annotated[kinds.Count, OF_IMAGE] = 2
    encoder_widths: Annotated[kinds.Counts, OF_IMAGE] = (16, 32, 64, 128)
    n_image_features: Annotated[kinds.Count, OF_IMAGE] = 256
    warm_start: Annotated[kinds.Switch, OF_IMAGE] = True
    prior_max_epochs: Annotated[kinds.Count, OF_PRIOR] = 20
    photometry_max_epochs: Annotated[kinds.Count, OF_PHOTOMETRY] = 60
    max_epochs: Annotated[kinds.Count, OF_IMAGE] = 16
    patience: kinds.Count = 10
    learning_rate: kinds.Positive = 1.5e-3
    batch_size: kinds.Count = 64
    encoder_batch: Annotated[kinds.Whole, OF_IMAGE] = 32
    schedule: kinds.Schedule = "cosine"
    draws_per_galaxy: kinds.Count = 8
    average_decay: kinds.Share = 0.995
    augment: Annotated[kinds.Switch, OF_IMAGE] = True
    half_precision: Annotated[kinds.Switch, OF_IMAGE] = False
    seed: kinds.Whole = 1

    def __post_init__(self):
        kinds.require_kinds(type(self), vars(self))

    @classmethod
    def of(cls, parameters: Mapping) -> "Recipe":
        """Return the recipe in the parameters of a notebook.

        Arguments:
            parameters: `recipe`, a name in `RECIPES`, and fields that differ from it; None leaves a
                field unchanged. Other names are ignored, so that `globals()` can be given.

        Raises:
            ValueError: There is no such recipe, or a value is outside its field's range.
        """
        name, names = parameters["recipe"], [field.name for field in fields(cls)]
        if name not in RECIPES:
            raise ValueError(f"no recipe called {name!r}: choose from {', '.join(RECIPES)}")
        given = {key: parameters[key] for key in names if parameters.get(key) is not None}
        return replace(RECIPES[name], **given)

    @classmethod
    def readers(cls, name: str) -> tuple[str, ...]:
        """Return the names of the models that read a field."""
        _, *some = get_type_hints(cls, include_extras=True)[name].__metadata__
        return some[0] if some else MODELS

    @classmethod
    def require_effect(cls, names: Iterable[str], models: Sequence[str]) -> None:
        """Refuse fields that no model to be trained reads.

        Arguments:
            names: Names of fields that were given.
            models: Names of the models to train.

        Raises:
            ValueError: A field belongs only to models that are not trained.
        """
        models = [kind_of(model) for model in models]
        for name in names:
            if set(readers := cls.readers(name)) & set(models):
                continue
            remedy = f"train the {' or '.join(readers)} model"
            if name.endswith("max_epochs"):
                theirs = (other for other in vars(cls()) if other.endswith("max_epochs"))
                fitting = [other for other in theirs if set(cls.readers(other)) & set(models)]
                remedy += f", or give {' or '.join(fitting)}"
            raise ValueError(f"{name} has no effect on the {' and '.join(models)} model: {remedy}")

    def model(
        self, name: str, declaration: Declaration = SDSS, label_blocks: Sequence[Sequence[str]] = ()
    ) -> Posterior:
        """Return an untrained model.

        Arguments:
            name: `"prior"`, `"photometry"`, `"image"`, or `"NAME_embedding"` for the photometry
                and an embedding.
            declaration: What the survey has. If its linear cutouts are smaller than `image_crop`,
                the crop is the largest part of them that the bins and poolings divide without
                remainder.
            label_blocks: Properties that its galaxies have together, see `Posterior`.

        Raises:
            DeclarationError: The survey has no such embedding.
            ValueError: The linear cutouts are too small for the bins and poolings.
        """
        used = replace(declaration, embeddings=(), cutouts=None)
        if name == "image":
            used = replace(used, cutouts=declaration.cutouts)
        elif name.endswith(EMBEDDING):
            embedding = declaration.embedding(name.removesuffix(EMBEDDING))
            used = replace(used, embeddings=(embedding,))
        sees = {"features": "none"}
        if name != "prior":
            names = ("features", "use_redshift", "use_magnitude_errors")
            sees = {key: getattr(self, key) for key in names}
        encoder = {
            "n_features": self.n_image_features,
            "widths": list(self.encoder_widths),
            "crop": self.image_crop,
            "bin_factor": self.image_bin,
        }
        if (cutouts := used.cutouts) is not None:
            encoder |= {"channels": len(cutouts.bands), "linear": True}
            if cutouts.size < self.image_crop:
                step = self.image_bin * 2 ** len(self.encoder_widths)
                encoder["crop"] = cutouts.size // step * step or cutouts.size
        return Posterior(
            **sees,
            encoder=encoder if name == "image" else None,
            network={"width": self.width, "depth": self.depth},
            sigma=self.sigma,
            declaration=used,
            label_blocks=label_blocks,
        )

    def settings(self, name: str) -> TrainingSettings:
        """Return the settings of the training of a model."""
        names = {f.name for f in fields(self)} & {f.name for f in fields(TrainingSettings)}
        found = TrainingSettings(**{key: getattr(self, key) for key in names})
        if name == "image":
            return found
        of_image = {"augment": False, "encoder_batch": 0, "half_precision": False}
        return replace(found, max_epochs=getattr(self, f"{kind_of(name)}_max_epochs"), **of_image)


def kind_of(name: str) -> str:
    """Return the model of `MODELS` whose settings a model takes: photometry with embeddings."""
    return "photometry" if name.endswith(EMBEDDING) else name


def _read_recipes() -> dict[str, Recipe]:
    content = yaml.safe_load(Path(__file__).with_name("recipes.yaml").read_text(encoding="utf-8"))
    for values in content.values():
        if "encoder_widths" in values:
            values["encoder_widths"] = tuple(values["encoder_widths"])
    return {name: Recipe(**values) for name, values in content.items()}


RECIPES = _read_recipes()


def train_models(
    survey: Survey,
    folder: Path | str,
    recipe: Recipe,
    names: Sequence[str] = MODELS,
    *,
    progress: bool = True,
) -> dict[str, Posterior]:
    """Train models of a recipe, or resume their training.

    Arguments:
        survey: Whole survey.
        folder: Folder of the models, each in a folder of its name.
        recipe: Recipe of the models.
        names: Names of the models, see `Recipe.model`, in this order; with a warm start, the image
            model and models with embeddings need the photometry model, from this call or from
            `folder`.

    Returns:
        The models by name.
    """
    folder, models, label_blocks = user_path(folder), {}, blocks_of(survey)
    for name in names:
        start = None
        if (name == "image" or name.endswith(EMBEDDING)) and recipe.warm_start:
            start = models.get("photometry") or Posterior.load(folder / "photometry")
        models[name] = train(
            recipe.model(name, survey.declaration, label_blocks),
            survey,
            folder / name,
            recipe.settings(name),
            warm_start=start,
            progress=progress,
        )
    return models
