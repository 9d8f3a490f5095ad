"""The published models: in the package, in a checkout, or downloaded from the repository's release.

Small models are part of the wheel. Larger ones are downloaded once, checked against `models.txt`
and kept in the user's cache.
"""

from pathlib import Path

import galcfm
from galcfm.paths import published_folder, user_path
from galcfm.posterior.inputs import ModelError

# SHA-256 of each file below data/published/models, as pooch.make_registry writes it.
REGISTRY = Path(__file__).with_name("models.txt")
PACKAGED = Path(__file__).resolve().parent.parent / "models"
# Write the account that hosts the repository in place of OWNER.
ADDRESS = (
    f"https://raw.githubusercontent.com/OWNER/galcfm/v{galcfm.__version__}/data/published/models/"
)


def published_names() -> list[str]:
    """Return the names of the published models."""
    return sorted({file.split("/")[0] for file in _registry()})


def model_folder(name: Path | str) -> Path:
    """Return the folder of a published model by its name, or any other folder unchanged.

    The model is downloaded if it is not on this machine.

    Arguments:
        name: Folder, or one of `published_names()`. An existing folder of that name takes
            precedence.

    Raises:
        ModelError: There is neither, or the model cannot be downloaded.
    """
    folder = user_path(name, "the folder of the model", ModelError)
    if folder.exists() or str(name) != folder.name:
        return folder
    if folder.name not in published_names():
        raise ModelError(
            f"there is no folder {name} here, and no published model of this name: give the path "
            f"of a folder, or one of {', '.join(published_names())}"
        )
    places = (PACKAGED / name, published_folder() / "models" / name)
    return next((p for p in places if (p / "model.json").exists()), None) or _download(folder.name)


def _registry() -> dict[str, str]:
    lines = REGISTRY.read_text(encoding="utf-8").splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def _download(name: str) -> Path:
    import pooch

    files = {f: sha for f, sha in _registry().items() if f.startswith(f"{name}/")}
    folder = pooch.os_cache("galcfm") / galcfm.__version__
    cache = pooch.create(folder, ADDRESS, registry=files, env="GALCFM_MODELS")
    try:
        paths = [Path(cache.fetch(file)) for file in files]
    # requests' errors are OSErrors; a ValueError says that a file has another SHA-256.
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{name} cannot be downloaded from {ADDRESS}: check the network, or clone the "
            f"repository and give its folder data/published/models/{name} ({said})"
        ) from error
    return paths[0].parent
