"""How the models of the book are made, for commands that train them outside the notebooks."""

from pathlib import Path

import yaml

from galcfm.paths import repository_root
from galcfm.posterior import Posterior
from galcfm.runs import parameter_defaults
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train

__all__ = ["RECIPES", "parameters", "train_models"]

NOTEBOOK = "02_training"
# Changes to the parameters of notebook 02, which are the recipe `quick`.
CHANGES = {
    # The paper's pixels and channels; nine times the galaxies need fewer epochs, and a GPU larger
    # batches.
    "tuned": {
        "image_bin": 1,
        "encoder_widths": [32, 64, 128, 256],
        "encoder_batch": 0,
        "batch_size": 256,
        "photometry_max_epochs": 30,
        "max_epochs": 12,
        "half_precision": True,
    },
    # Small enough for any computer; its numbers mean nothing.
    "rehearsal": {
        "width": 32,
        "depth": 2,
        "image_bin": 8,
        "encoder_widths": [4, 8],
        "n_image_features": 8,
        "prior_max_epochs": 2,
        "photometry_max_epochs": 2,
        "max_epochs": 2,
        "batch_size": 32,
    },
}
RECIPES = ("quick", "paper", *CHANGES)


def parameters(recipe: str) -> dict:
    """Parameters of notebook 02 under a recipe, and `half_precision`.

    Arguments:
        recipe: one of `RECIPES`; `"quick"` and `"paper"` are the profiles.
    """
    defaults = {"half_precision": False} | parameter_defaults(NOTEBOOK)
    if recipe != "paper":
        return defaults | CHANGES.get(recipe, {})
    path = repository_root() / "notebooks" / "parameters" / "paper" / f"{NOTEBOOK}.yaml"
    return defaults | yaml.safe_load(path.read_text())


def train_models(
    survey: Survey, folder: Path, recipe: str = "quick", *, names=None, **changes
) -> dict[str, Posterior]:
    """Train prior, photometry and image model as notebook 02 does, or go on with it.

    Arguments:
        survey: the whole survey.
        folder: where the models go, each to a folder of its name.
        recipe: one of `RECIPES`.
        names: which of the three, in this order; the image model needs the photometry model.
        changes: to the parameters of notebook 02.

    Returns:
        The models by name.
    """
    p = parameters(recipe) | changes
    network = {"width": p["width"], "depth": p["depth"]}
    encoder = {
        "n_features": p["n_image_features"],
        "widths": p["encoder_widths"],
        "crop": p["image_crop"],
        "bin_factor": p["image_bin"],
    }
    common = {
        key: p[key]
        for key in (
            "learning_rate",
            "batch_size",
            "patience",
            "schedule",
            "draws_per_galaxy",
            "average_decay",
            "seed",
        )
    }
    image = {key: p[key] for key in ("augment", "encoder_batch", "half_precision")}
    sees = {key: p[key] for key in ("features", "use_redshift", "use_magnitude_errors")}
    plan = {
        "prior": ({"features": "none"}, p["prior_max_epochs"], {}),
        "photometry": (sees, p["photometry_max_epochs"], {}),
        "image": (sees | {"encoder": encoder}, p["max_epochs"], image),
    }
    models: dict[str, Posterior] = {}
    for name in names or plan:
        model, max_epochs, further = plan[name]
        models[name] = train(
            Posterior(**model, network=network, sigma=p["sigma"]),
            survey,
            Path(folder) / name,
            TrainingSettings(max_epochs=max_epochs, **common, **further),
            warm_start=models["photometry"] if name == "image" and p["warm_start"] else None,
        )
    return models
