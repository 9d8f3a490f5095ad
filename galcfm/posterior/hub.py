"""Models to and from the Hugging Face Hub, with a card that says what they are for.

A model on the Hub is the folder that `Posterior.save` writes, and a README, which is its card. What
is loaded from there is JSON and arrays, never code: nothing is unpickled.
"""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jinja2 import Environment  # PyTorch brings it

from galcfm.metrics import coverage
from galcfm.posterior.inputs import ModelError
from galcfm.properties import BANDS, PROPERTIES
from galcfm.survey.cards import BIBTEX, TAGS, library

__all__ = ["download", "measure", "model_card", "push", "write_card"]

FILES = ("model.json", "model.safetensors", "range.safetensors")
CARD = Path(__file__).with_name("model_card.md")
LEVELS = (0.5, 0.68, 0.95)


def push(posterior, name: str, test, private: bool, message: str, options: dict) -> str:
    """Write a model and its card to the Hub: `Posterior.push_to_hub`."""
    hub = library("huggingface_hub", ModelError)
    api = hub.HfApi(**options)
    if test is not None:
        posterior.metadata["evaluation"] = measure(posterior, test)
    with tempfile.TemporaryDirectory() as folder:
        posterior.save(folder)
        write_card(posterior, folder, name)
        files = [hub.CommitOperationAdd(path.name, path) for path in sorted(Path(folder).iterdir())]
        with _in_a_sentence(f"{name} cannot be published"):
            api.create_repo(name, private=private, exist_ok=True)
            # One commit: no one ever reads the weights of one model with the words of another.
            found = api.create_commit(name, files, commit_message=message)
    return str(found.commit_url)


def download(name: str, revision: str | None, options: dict) -> str:
    """Return the folder of a model that was fetched from the Hub: `Posterior.from_hub`."""
    hub = library("huggingface_hub", ModelError)
    with _in_a_sentence(f"{name} cannot be loaded"):
        folder = hub.snapshot_download(
            name, revision=revision, allow_patterns=list(FILES), **options
        )
    missing = [file for file in FILES[:2] if not (Path(folder) / file).exists()]
    if missing:
        raise ModelError(f"{name} on the Hub lacks {', '.join(missing)}: it is no model of galcfm")
    return folder


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
    environment = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = environment.from_string(CARD.read_text(encoding="utf-8"))
    return template.render(
        facts=_facts(short, found).to_yaml(line_break="\n"),
        short=short,
        source=f'from_hub("{name}")' if "/" in name else f'load("data/published/models/{name}")',
        inputs=_inputs(posterior),
        arguments=_arguments(posterior),
        bands=", ".join(BANDS),
        model=posterior,
        population=zip(PROPERTIES, posterior.property_mean, posterior.property_std, strict=True),
        found=found,
        settings=posterior.architecture | known.get("settings", {}),
        made=", ".join(f"`{known[k]}`" for k in ("command", "date") if k in known),
        bibtex=BIBTEX,
    )


def _inputs(posterior) -> str:
    magnitudes = "ugriz magnitudes" + ", some of which may be missing" * posterior.missing_bands
    seen = [magnitudes] * (posterior.features.kind != "none")
    seen += ["their errors"] * posterior.use_magnitude_errors
    seen += ["the redshift"] * posterior.use_redshift
    seen += ["a gri cutout"] * posterior.uses_images
    return " and ".join([*([", ".join(seen[:-1])] if seen[1:] else []), *seen[-1:]]) or "nothing"


def _arguments(posterior) -> str:
    return ", ".join(
        ["magnitudes"]
        + ["images"] * posterior.uses_images
        + ["redshift=redshift"] * posterior.use_redshift
        + ["magnitude_errors=errors"] * posterior.use_magnitude_errors
    )


def _facts(name: str, found: dict | None):
    """Return what the Hub itself reads of a card."""
    hub = library("huggingface_hub", ModelError)
    numbers = []
    if found is not None:
        off = np.array(list(found["coverage"].values())) - found["levels"]
        numbers.append(
            ("coverage", "largest departure of a coverage from its level", round(abs(off).max(), 3))
        )
        if "log_prob" in found:
            numbers.insert(
                0, ("log_prob", "mean log-density of the truth [nat]", found["log_prob"])
            )
    results = [
        hub.EvalResult(
            task_type="tabular-regression",
            task_name="posterior inference",
            dataset_type="galcfm",
            dataset_name=found["survey"],
            metric_type=kind,
            metric_name=label,
            metric_value=float(value),
        )
        for kind, label, value in numbers
    ]
    return hub.ModelCardData(
        license="bsd-3-clause",
        library_name="galcfm",
        pipeline_tag="tabular-regression",
        tags=TAGS,
        **({"model_name": name, "eval_results": results} if results else {}),
    )
