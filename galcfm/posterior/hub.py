"""Models to and from the Hugging Face Hub, with a card that says what they are for.

A model on the Hub is the folder that `Posterior.save` writes, and a README, which is its card. What
is loaded from there is JSON and arrays, never code: nothing is unpickled.
"""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from galcfm.posterior.inputs import ModelError
from galcfm.properties import BANDS, PROPERTIES
from galcfm.survey import Survey
from galcfm.survey.cards import library, render

__all__ = ["from_hub", "measure", "model_card", "push_to_hub", "write_card"]

FILES = ("model.json", "model.safetensors", "range.safetensors")
CARD = Path(__file__).with_name("model_card.md")
LEVELS = (0.5, 0.68, 0.95)


def push_to_hub(
    posterior,
    name: str,
    *,
    test: Survey | None = None,
    private: bool = False,
    message: str = "A model of galcfm",
    **options,
) -> str:
    """Write the model and its card to the Hugging Face Hub, and return the commit's address.

    Arguments:
        name: Name on the Hub, `"owner/name"`; made if it is not there.
        test: Galaxies that the model was not trained on, to measure the calibration that the card
            states; without them, it says that none was measured, or what was before.
        private: Whether a new one can be seen by its owner alone.
        message: Message of the commit.
        options: Options of `huggingface_hub.HfApi`, e.g. `token`.

    Raises:
        ModelError: The Hub cannot be reached, or refuses.
    """
    hub = library("huggingface_hub", ModelError)
    if test is not None:
        posterior.metadata["evaluation"] = measure(posterior, test)
    with tempfile.TemporaryDirectory() as folder, _in_a_sentence(f"{name} cannot be published"):
        posterior.save(folder)
        write_card(posterior, folder, name)
        files = [hub.CommitOperationAdd(path.name, path) for path in sorted(Path(folder).iterdir())]
        api = hub.HfApi(**options)
        api.create_repo(name, private=private, exist_ok=True)
        # One commit: no one ever reads the weights of one model with the words of another.
        return str(api.create_commit(name, files, commit_message=message).commit_url)


def from_hub(cls, name: str, *, revision: str | None = None, device=None, **options):
    """Read a model from the Hugging Face Hub; nothing that is downloaded is executed.

    Arguments:
        name: Name on the Hub, `"owner/name"`.
        revision: Branch, tag or commit; by default the newest. Name one in what you publish.
        device: Device to compute on, as `load` takes it.
        options: Options of `huggingface_hub.snapshot_download`, e.g. `token`, `cache_dir` or
            `local_files_only`.

    Raises:
        ModelError: There is no such model, the Hub cannot be reached, or see `load`.
    """
    hub, options = library("huggingface_hub", ModelError), options | {"revision": revision}
    with _in_a_sentence(f"{name} cannot be loaded"):
        folder = hub.snapshot_download(name, allow_patterns=list(FILES), **options)
    return cls.load(folder, device)


@contextmanager
def _in_a_sentence(what: str):
    """Turn an error of the Hub into one that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.HTTPError, errors.HFValidationError, OSError) as error:
        said = " ".join(str(error).split())
        raise ModelError(f"{what}: check the name, the token and the network ({said})") from error


def measure(posterior, survey, n_samples: int = 199, steps: int = 25, seed: int = 0) -> dict:
    """What the card says of a model's calibration, from galaxies that it was not trained on.

    Arguments:
        posterior: the model.
        survey: galaxies with labels; of more than 1,000 the first are used.
        n_samples, steps, seed: of the draws. A truth has 200 ranks among 199, of which each level
            holds a whole number.

    Returns:
        `survey`; `n`; `log_prob`, the mean exact log-density of the truth in nat, with its standard
        error `log_prob_error`, but of a student, which has none; `coverage`, by property the shares
        of truths within the central intervals of `levels`.

    Raises:
        ModelError: fewer than two galaxies have all labels.
    """
    labelled = np.flatnonzero(np.isfinite(survey.properties).all(1))[:1000]
    if len(labelled) < 2:
        raise ModelError(f"{survey.name} has fewer than two galaxies with all labels: give others")
    name, survey = Path(survey.name).name, survey.select(labelled)
    condition = posterior.encode_survey(survey)
    samples = posterior.sample_from(condition, survey.object_id, n_samples, steps, seed)
    density = {}
    if not posterior.flow.jumps:
        log_prob = posterior.log_prob_from(survey.properties, condition, steps).double()
        density["log_prob"] = round(float(log_prob.mean()), 3)
        density["log_prob_error"] = round(float(log_prob.std()) / len(survey) ** 0.5, 3)
    from galcfm.metrics import coverage

    shares = coverage(samples.numpy(), survey.properties, LEVELS)
    return {
        "survey": name,
        "n": len(survey),
        **density,
        "levels": list(LEVELS),
        "coverage": {
            p.name: [round(float(share), 3) for share in shares[:, k]]
            for k, p in enumerate(PROPERTIES)
        },
    }


def write_card(posterior, folder: Path | str, name: str) -> None:
    """Write the card of a model beside it, as README.md."""
    (Path(folder) / "README.md").write_text(model_card(posterior, name), encoding="utf-8")


def model_card(posterior, name: str) -> str:
    """Return a model's card in the Hub's format: intended use, population, calibration, limits.

    Arguments:
        posterior: The model; its `metadata` say how it was trained and, as `evaluation`, what
            `measure` found.
        name: Name of the model; on the Hub `"owner/name"`.

    Returns:
        Markdown with a head of YAML.
    """
    known, short = posterior.metadata, name.rpartition("/")[2]
    found = known.get("evaluation")
    gaps = ", some of which may be missing" * posterior.missing_bands
    inputs = {
        f"ugriz magnitudes{gaps}": posterior.features.kind != "none",
        "their errors": posterior.use_magnitude_errors,
        "the redshift": posterior.use_redshift,
        "a gri cutout": posterior.uses_images,
    }
    arguments = {
        "magnitudes": True,
        "images": posterior.uses_images,
        "redshift=redshift": posterior.use_redshift,
        "magnitude_errors=errors": posterior.use_magnitude_errors,
    }
    return render(
        CARD,
        model=posterior,
        short=short,
        source=f'from_hub("{name}")' if "/" in name else f'load("data/published/models/{name}")',
        inputs=[text for text, is_used in inputs.items() if is_used],
        arguments=[text for text, is_used in arguments.items() if is_used],
        bands=", ".join(BANDS),
        population=zip(PROPERTIES, posterior.property_mean, posterior.property_std, strict=True),
        found=found,
        worst=_largest_departure(found) if found else None,
        settings=posterior.architecture | known.get("settings", {}),
        made=", ".join(f"`{known[k]}`" for k in ("command", "date") if k in known),
    )


def _largest_departure(found: dict) -> float:
    """Return the largest difference of a coverage from its level."""
    shares = np.array(list(found["coverage"].values()))
    return round(float(np.abs(shares - found["levels"]).max()), 3)
