"""The recipes by which the book's models are made: by its notebooks and by its studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from galcfm.posterior import Posterior
from galcfm.survey import Survey
from galcfm.training.posterior_training import TrainingSettings, train


@dataclass(frozen=True)
class Recipe:
    """How prior, photometry and image model are made; by default as in the profile `quick`.

    Arguments:
        features, use_redshift, use_magnitude_errors: what both models see, as `Posterior` has it.
        sigma: width of the path, standardised units.
        width, depth: of the velocity network.
        image_crop, image_bin, encoder_widths, n_image_features: of the image encoder.
        warm_start: whether the image model starts from the photometry model.
        prior_max_epochs, photometry_max_epochs, max_epochs: at most, of prior, photometry and
            image model.
        patience, learning_rate, batch_size, schedule, draws_per_galaxy, average_decay, seed: as
            `TrainingSettings` has them, of all three.
        augment, encoder_batch, half_precision: the same, of the image model.
    """

    features: str = "r_and_colours"
    use_redshift: bool = False
    use_magnitude_errors: bool = False
    sigma: float = 0.05
    width: int = 256
    depth: int = 3
    image_crop: int = 128
    image_bin: int = 2
    encoder_widths: Sequence[int] = (16, 32, 64, 128)
    n_image_features: int = 256
    warm_start: bool = True
    prior_max_epochs: int = 20
    photometry_max_epochs: int = 60
    max_epochs: int = 16
    patience: int = 10
    learning_rate: float = 1.5e-3
    batch_size: int = 64
    encoder_batch: int = 32
    schedule: str = "cosine"
    draws_per_galaxy: int = 8
    average_decay: float = 0.995
    augment: bool = True
    half_precision: bool = False
    seed: int = 1

    @classmethod
    def of(cls, parameters: Mapping) -> "Recipe":
        """Return the recipe of a notebook's parameters.

        Arguments:
            parameters: `recipe`, a name in `RECIPES`, and the fields that differ from it; None
                leaves a field as it is. Other names do not matter, so it may be `globals()`.

        Raises:
            ValueError: There is no such recipe.
        """
        name, names = parameters["recipe"], [field.name for field in fields(cls)]
        if name not in RECIPES:
            raise ValueError(f"no recipe called {name!r}: choose from {', '.join(RECIPES)}")
        given = {key: parameters[key] for key in names if parameters.get(key) is not None}
        return replace(RECIPES[name], **given)

    def model(self, name: str) -> Posterior:
        """The untrained `"prior"`, `"photometry"` or `"image"` model."""
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
        return Posterior(
            **sees,
            encoder=encoder if name == "image" else None,
            network={"width": self.width, "depth": self.depth},
            sigma=self.sigma,
        )

    def settings(self, name: str) -> TrainingSettings:
        """Return how the model of this name is trained."""
        names = {f.name for f in fields(self)} & {f.name for f in fields(TrainingSettings)}
        found = TrainingSettings(**{key: getattr(self, key) for key in names})
        if name == "image":
            return found
        of_image = {"augment": False, "encoder_batch": 0, "half_precision": False}
        return replace(found, max_epochs=getattr(self, f"{name}_max_epochs"), **of_image)


RECIPES = {
    "quick": Recipe(),
    "paper": Recipe(
        features="magnitudes",
        image_bin=1,
        encoder_widths=(32, 64, 128, 256),
        warm_start=False,
        prior_max_epochs=200,
        photometry_max_epochs=200,
        max_epochs=200,
        learning_rate=5e-5,
        encoder_batch=0,
        schedule="constant",
        draws_per_galaxy=1,
        average_decay=0.0,
        augment=False,
    ),
    # The paper's pixels and channels; nine times the galaxies need fewer epochs, and a GPU larger
    # batches.
    "tuned": Recipe(
        image_bin=1,
        encoder_widths=(32, 64, 128, 256),
        encoder_batch=0,
        batch_size=256,
        photometry_max_epochs=30,
        max_epochs=12,
        half_precision=True,
    ),
    # The same pixels where there is no GPU: half the channels, batches as small as the book's;
    # two cores take five minutes an epoch.
    "tuned_cpu": Recipe(image_bin=1, max_epochs=20),
    # Small enough for any computer; the numbers of these two mean nothing.
    "smoke": Recipe(
        width=64,
        depth=2,
        image_bin=4,
        encoder_widths=(8, 16),
        n_image_features=16,
        prior_max_epochs=6,
        photometry_max_epochs=6,
        max_epochs=2,
        learning_rate=1e-3,
        batch_size=32,
        encoder_batch=16,
        average_decay=0.99,
    ),
    "rehearsal": Recipe(
        width=32,
        depth=2,
        image_bin=8,
        encoder_widths=(4, 8),
        n_image_features=8,
        prior_max_epochs=2,
        photometry_max_epochs=2,
        max_epochs=2,
        batch_size=32,
    ),
}


def train_models(
    survey: Survey,
    folder: Path | str,
    recipe: Recipe,
    names: Sequence[str] = ("prior", "photometry", "image"),
    *,
    progress: bool = True,
) -> dict[str, Posterior]:
    """Train models of a recipe, or go on with it.

    Arguments:
        survey: the whole survey.
        folder: where the models go, each to a folder of its name.
        recipe: how.
        names: which models, in this order; with a warm start the image model needs the photometry
            model, of this call or in `folder`.

    Returns:
        The models by name.
    """
    folder, models = Path(folder), {}
    for name in names:
        start = None
        if name == "image" and recipe.warm_start:
            start = models.get("photometry") or Posterior.load(folder / "photometry")
        models[name] = train(
            recipe.model(name),
            survey,
            folder / name,
            recipe.settings(name),
            warm_start=start,
            progress=progress,
        )
    return models
