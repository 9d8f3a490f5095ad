"""Models to and from the Hugging Face Hub, with a card that says what they are for.

A model on the Hub is the folder that `Posterior.save` writes, and a README, which is its card. What
is loaded from there is JSON and arrays, never code: nothing is unpickled.
"""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from galcfm.metrics import coverage
from galcfm.posterior.inputs import ModelError
from galcfm.properties import BANDS, PROPERTIES
from galcfm.survey.cards import BIBTEX, TAGS, card, library, table

__all__ = ["download", "measure", "model_card", "push", "write_card"]

FILES = ("model.json", "model.safetensors", "range.safetensors")
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
    """Turn the errors of the Hub into one that says what to do."""
    from huggingface_hub import errors

    # The first that fits is taken: special ones stand above general ones.
    remedies = {
        errors.GatedRepoError: "its owner must grant access: ask on its page, and give token",
        errors.RevisionNotFoundError: "there is no such revision: name a branch, tag or commit",
        errors.RepositoryNotFoundError: "there is none of this name, or it is not yours to see: "
        "check the name, and give token",
        errors.HFValidationError: 'that is no name on the Hub: write "owner/name"',
        errors.LocalTokenNotFoundError: "you are not logged in: run `hf auth login`, or give token",
        errors.LocalEntryNotFoundError: "the Hub cannot be reached, and no copy is here: check the "
        "network",
    }
    remote = (errors.HTTPError, ConnectionError, TimeoutError)
    try:
        yield
    except tuple(remedies) as error:
        remedy = next(text for kind, text in remedies.items() if isinstance(error, kind))
        raise ModelError(f"{what}: {remedy}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refused = "give a token that allows it" if status in (401, 403) else "try again later"
        raise ModelError(f"{what}: the Hub answers {status}: {refused}") from error
    except remote as error:
        raise ModelError(f"{what}: the Hub cannot be reached: check the network") from error


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
    """The card of a model in the Hub's format: intended use, population, calibration, limits.

    Arguments:
        posterior: the model; its `metadata` say how it was trained and, as `evaluation`, what
            `measure` found.
        name: of the model; on the Hub `"owner/name"`.

    Returns:
        Markdown with a head of YAML.
    """
    known = posterior.metadata
    short = name.rpartition("/")[2]
    source = f'from_hub("{name}")' if "/" in name else f'load("data/published/models/{name}")'
    settings = posterior.architecture | known.get("settings", {})
    made = [f"`{known[k]}`" for k in ("command", "date") if k in known]
    return card(
        _facts(short, known.get("evaluation")),
        f"# {short}",
        f"The joint posterior of five galaxy properties given {_inputs(posterior)}: a conditional "
        "flow of galcfm, the companion to *Improving Posterior Inference of Galaxy Properties with "
        "Image-Based Conditional Flow Matching* ([arXiv 2512.05078]"
        "(https://arxiv.org/abs/2512.05078)).",
        "## Intended use",
        "```python\nfrom galcfm import Posterior\n\n"
        f"posterior = Posterior.{source}\n"
        f"samples = posterior.sample({_arguments(posterior)})  # (n, 1000, 5)\n```",
        f"Magnitudes are AB, of whole galaxies, with Galactic extinction removed, in "
        f"{', '.join(BANDS)}."
        + " One that is NaN is missing; one whose error is infinite is an upper limit of the flux."
        * (posterior.missing_bands and posterior.use_magnitude_errors)
        + " Cutouts are uint8, 128×128 pixels of 0.396″, channels i, r, g." * posterior.uses_images
        + " `posterior.out_of_range` says of each galaxy whether it is like those of the training."
        * bool(posterior.ranges),
        "It is meant for learning the method, for comparing it with others, and for trying an "
        "analysis before it meets real data. It is not meant for galaxies unlike those of the "
        "training, nor, where these are simulated, for measuring real galaxies.",
        "## Population",
        f"It was trained on {known.get('n_train', 'an unknown number of')} galaxies of "
        f"`{known.get('survey', 'a survey without a name')}`. Their mean and standard deviation:",
        table(
            ["property", "unit", "mean", "deviation", "meaning"],
            [
                [f"`{p.name}`", p.unit, f"{mean:.2f}", f"{std:.2f}", p.description]
                for p, mean, std in zip(
                    PROPERTIES, posterior.property_mean, posterior.property_std, strict=True
                )
            ],
        ),
        "## Calibration",
        *_calibration(known.get("evaluation")),
        "## Limits",
        "The population of the training is the prior: elsewhere the model extrapolates, and its "
        "posteriors do not show it. The flow's path has a width, by which its posteriors are those "
        f"of a perfect flow blurred by {posterior.architecture['sigma']:g} of the deviations above."
        " Errors of the magnitudes beyond those of the training galaxies are not in its posteriors."
        " It was trained once: another training gives slightly other posteriors.",
        "## Training",
        table(["setting", "value"], [[f"`{k}`", f"`{v}`"] for k, v in settings.items()]),
        f"Made by {', '.join(made)}. " * bool(made)
        + "`model.json` names the commit, the versions and the machine.",
        "## Licence and citation",
        "BSD 3-Clause. To cite this model, cite the paper and the software:",
        BIBTEX,
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


def _calibration(found: dict | None) -> list[str]:
    if found is None:
        return ["It was not measured: try the model on galaxies with known properties before use."]
    errors = [(level * (1 - level) / found["n"]) ** 0.5 for level in found["levels"]]
    return [
        f"Measured on {found['n']} galaxies of `{found['survey']}` that it was not trained on. "
        + (
            f"The mean exact log-density of their truths is {found['log_prob']:.2f} ± "
            f"{found['log_prob_error']:.2f} nat, per unit of each property. "
            if "log_prob" in found
            else "Its draws have no density: it is a student, which makes them in few jumps. "
        )
        + "Shares of the truths in "
        "the central credible intervals, which are the levels themselves where a model is "
        "calibrated:",
        table(
            ["property", *(f"{100 * level:.0f} %" for level in found["levels"])],
            [
                *(
                    [f"`{name}`", *(f"{100 * share:.1f} %" for share in shares)]
                    for name, shares in found["coverage"].items()
                ),
                ["error by numbers", *(f"{100 * error:.1f} %" for error in errors)],
            ],
        ),
        f"Measured on {found['date']}, with the galaxies that galcfm gave then: what has changed "
        "in them since the training is in these numbers."
        if "date" in found
        else "",
    ]


def _facts(name: str, found: dict | None):
    """What the Hub itself reads of a card."""
    hub = library("huggingface_hub", ModelError)
    results = {} if found is None else {"model_name": name, "eval_results": []}
    for kind, label, value in _numbers(found):
        results["eval_results"].append(
            hub.EvalResult(
                task_type="tabular-regression",
                task_name="posterior inference",
                dataset_type="galcfm",
                dataset_name=found["survey"],
                metric_type=kind,
                metric_name=label,
                metric_value=value,
            )
        )
    return hub.ModelCardData(
        license="bsd-3-clause",
        library_name="galcfm",
        pipeline_tag="tabular-regression",
        tags=TAGS,
        **results,
    )


def _numbers(found: dict | None):
    if found is not None:
        if "log_prob" in found:
            yield "log_prob", "mean log-density of the truth [nat]", found["log_prob"]
        worst = max(
            abs(share - level)
            for shares in found["coverage"].values()
            for share, level in zip(shares, found["levels"], strict=True)
        )
        yield "coverage", "largest departure of a coverage from its level", round(worst, 3)
