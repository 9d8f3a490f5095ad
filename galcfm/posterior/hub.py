"""Models to and from the Hugging Face Hub, with a card that describes their use.

A model on the Hub is the folder that `Posterior.save` writes, and a README, its card. Downloads are
read as JSON and arrays; nothing is unpickled or executed.
"""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from galcfm.paths import user_path
from galcfm.posterior.inputs import ModelError
from galcfm.posterior.labels import whole_blocks
from galcfm.posterior.training_range import UNKNOWN
from galcfm.survey import Survey
from galcfm.survey.cards import library, render

FILES = ("model.json", "model.safetensors", "range.safetensors")
LEVELS = (0.5, 0.68, 0.95)


def push_to_hub(
    posterior, name: str, *, test: Survey | None = None, private: bool = False, **options
) -> str:
    """Write the model and its card to the Hugging Face Hub, and return the commit's address.

    Arguments:
        name: Name on the Hub, `"owner/name"`; created if it does not exist.
        test: Galaxies that the model was not trained on, to measure the calibration for the card.
            Without them, the card gives an earlier measurement or says that there is none.
        private: Whether a new model is visible only to its owner.
        options: Options of `huggingface_hub.HfApi`, e.g. `token`.

    Raises:
        ModelError: The Hub cannot be reached, or refuses the model.
    """
    hub = library("huggingface_hub", ModelError)
    if test is not None:
        posterior.metadata["evaluation"] = measure(posterior, test)
    with tempfile.TemporaryDirectory() as folder, _in_a_sentence(f"{name} cannot be published"):
        posterior.save(folder)
        write_card(posterior, folder, name)
        api = hub.HfApi(**options)
        api.create_repo(name, private=private, exist_ok=True)
        # One commit, so that weights never appear with the card of another model.
        made = api.upload_folder(repo_id=name, folder_path=folder, commit_message="A galcfm model")
    return str(made.commit_url)


def from_hub(cls, name: str, *, revision: str | None = None, device=None, **options):
    """Read a model from the Hugging Face Hub; nothing that is downloaded is executed.

    Arguments:
        name: Name on the Hub, `"owner/name"`.
        revision: Branch, tag or commit; by default the newest. Give one in publications.
        device: Device of the computations, see `load`.
        options: Options of `huggingface_hub.snapshot_download`, e.g. `token`, `cache_dir` or
            `local_files_only`.

    Raises:
        ModelError: There is no such model, or the Hub cannot be reached; or see `load`.
    """
    hub, options = library("huggingface_hub", ModelError), options | {"revision": revision}
    with _in_a_sentence(f"{name} cannot be loaded"):
        folder = hub.snapshot_download(name, allow_patterns=list(FILES), **options)
    return cls.load(folder, device)


@contextmanager
def _in_a_sentence(what: str):
    """Replace an error of the Hub by one that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.HTTPError, errors.HFValidationError, OSError) as error:
        said = " ".join(str(error).split())
        raise ModelError(f"{what}: check the name, the token and the network ({said})") from error


def measure(posterior, survey, n_samples: int = 199, steps: int = 25, seed: int = 0) -> dict:
    """Return the calibration of a model, as given in its card.

    Arguments:
        posterior: The model.
        survey: Galaxies with measured properties that the model was not trained on; the first 1,000
            are used.
        n_samples, steps, seed: Number of draws, number of Runge-Kutta steps, and seed of the draws.
            Among 199 draws a measured value has 200 possible ranks; each level contains a whole
            number of ranks.

    Returns:
        `survey`; `n`; `log_prob`, the mean exact log-density of the measured values [nat], and its
        standard error `log_prob_error`, except for a student, which has no density; `coverage`, by
        property the shares of measured values within the central intervals of `levels`; and, if
        some galaxies lack labels, `n_labels`, the number of galaxies with a label of each property.

    Raises:
        ModelError: Fewer than two galaxies have all measured properties, or those of a block of a
            model with `label_blocks`.
    """
    known = whole_blocks(survey.properties, posterior.label_columns)
    n_labels = known @ [len(block) for block in posterior.label_columns]
    is_whole = np.isfinite(survey.properties).sum(1) == n_labels
    labelled = np.flatnonzero(known.any(1) & is_whole)[:1000]
    if known[labelled].sum(0).min() < 2:
        raise ModelError(f"{survey.name} has fewer than two galaxies with all labels: give others")
    name, survey = Path(survey.name).name, survey.select(labelled)
    condition = posterior.encode_survey(survey)
    samples = posterior.sample_from(condition, survey.object_id, n_samples, steps, seed)
    found = {"survey": name, "n": len(survey)}
    if not posterior.flow.jumps:
        log_prob = posterior.log_prob_from(survey.properties, condition, steps).double()
        found["log_prob"] = round(float(log_prob.mean()), 3)
        found["log_prob_error"] = round(float(log_prob.std()) / len(survey) ** 0.5, 3)
    from galcfm.metrics import coverage

    shares = coverage(samples.numpy(), survey.properties, LEVELS)
    names = posterior.declaration.property_names
    coverages = dict(zip(names, shares.T.round(3).tolist(), strict=True))
    n_labels = np.isfinite(survey.properties).sum(0)
    if min(n_labels) < len(survey):
        found["n_labels"] = dict(zip(names, n_labels.tolist(), strict=True))
    return found | {"levels": list(LEVELS), "coverage": coverages}


def write_card(posterior, folder: Path | str, name: str) -> None:
    """Write the card of a model to its folder as README.md."""
    (user_path(folder) / "README.md").write_text(model_card(posterior, name), encoding="utf-8")


def model_card(posterior, name: str) -> str:
    """Return a model's card in the Hub's format: intended use, population, calibration, limits.

    Arguments:
        posterior: The model. Its `metadata` describe the training and, as `evaluation`, the result
            of `measure`.
        name: Name of the model; on the Hub `"owner/name"`.

    Returns:
        Markdown with a YAML header.
    """
    found = posterior.metadata.get("evaluation")
    worst = None
    if found:
        shares = np.array(list(found["coverage"].values()))
        worst = round(float(np.abs(shares - found["levels"]).max()), 3)
    declared, settings = posterior.declaration, posterior.metadata.get("settings", {})
    fitted = posterior.property_mean, posterior.property_std
    shown = {k: v for k, v in posterior.architecture.items() if k != "declaration"}
    return render(
        Path(__file__).with_name("model_card.md"),
        model=posterior,
        name=name,
        unknown=UNKNOWN,
        population=list(zip(declared.properties, *fitted, strict=True)),
        found=found,
        worst=worst,
        settings=shown | settings,
    )
