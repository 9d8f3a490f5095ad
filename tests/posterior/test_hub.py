"""Models to and from the Hub, against a small Hub on this machine; cards of models and surveys."""

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from conftest import toy_survey
from hub_server import TOKEN, Hub
from huggingface_hub import ModelCard

from galcfm import Posterior
from galcfm.posterior import ModelError
from galcfm.posterior.hub import measure, model_card, write_card
from galcfm.properties import PROPERTIES, PROPERTY_NAMES, SDSS

ROOT = Path(__file__).resolve().parents[2]
NAME = "astronomer/photometry"
SMALL = {"width": 16, "depth": 1}


@pytest.fixture(scope="module")
def posterior(survey) -> Posterior:
    model = Posterior("r_and_colours", network=SMALL)
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    model.metadata = {"survey": "toy", "n_train": 72, "settings": {"learning_rate": 1e-3}}
    return model.eval()


@pytest.fixture
def hub(monkeypatch):
    # The small Hub has Git LFS, which huggingface_hub takes where there is no Xet.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with Hub() as served:
        yield served


@pytest.fixture
def options(hub, tmp_path):
    """How to reach the small Hub, for reading."""
    return {"endpoint": hub.url, "token": TOKEN, "cache_dir": tmp_path / "cache"}


@pytest.fixture
def published(hub, posterior):
    posterior.push_to_hub(NAME, endpoint=hub.url, token=TOKEN)
    return posterior


def samples(model, survey):
    return model.sample(survey.magnitudes, object_id=survey.object_id, n_samples=8, steps=4)


def test_a_model_comes_back_as_it_went(hub, posterior, survey, options):
    address = posterior.push_to_hub(NAME, endpoint=hub.url, token=TOKEN, private=True)
    assert address == f"{hub.url}/{NAME}/commit/{hub.sha(f'models/{NAME}')}"
    assert hub.private == {f"models/{NAME}"}
    assert sorted(hub.files(f"models/{NAME}")) == [
        "README.md",
        "model.json",
        "model.safetensors",
        "range.safetensors",
    ]
    found = Posterior.from_hub(NAME, **options)
    assert torch.equal(samples(found, survey), samples(posterior, survey))
    assert found.metadata == posterior.metadata
    same = found.out_of_range(survey.magnitudes), posterior.out_of_range(survey.magnitudes)
    assert same[0].equals(same[1])


def test_a_revision_stays_what_it_was(hub, published, survey, options):
    first = hub.sha(f"models/{NAME}")
    before = samples(published, survey)
    other = Posterior("r_and_colours", network=SMALL)
    other.fit_standardisation(survey.split("train"))
    other.push_to_hub(NAME, endpoint=hub.url, token=TOKEN)
    old, new = (Posterior.from_hub(NAME, revision=r, **options) for r in (first, None))
    assert torch.equal(samples(old, survey), before)
    assert torch.equal(samples(new, survey), samples(other, survey))


def test_only_arrays_and_json_are_fetched(hub, published, options):
    """Whatever else a stranger puts beside a model stays there."""
    hub.commits[f"models/{NAME}"][-1] |= {"checkpoint.pt": b"\x80", "setup.py": b"exit()"}
    Posterior.from_hub(NAME, **options)
    fetched = {line.rpartition("/")[2] for line in hub.asked if "GET" in line and "resolve" in line}
    assert fetched == {"model.json", "model.safetensors", "range.safetensors"}


def test_a_copy_is_enough_without_the_network(hub, published, survey, options):
    Posterior.from_hub(NAME, **options)
    hub.asked.clear()
    found = Posterior.from_hub(NAME, **options, local_files_only=True)
    assert torch.equal(samples(found, survey), samples(published, survey))
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("astronomer/other", {}, "name.*Repository Not Found"),
        (NAME, {"revision": "v9"}, "Revision Not Found"),
        (NAME, {"token": False}, "token.*Repository Not Found.*private"),
        ("three/part/name", {}, "in the form .* 'namespace/repo_name'"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_a_sentence(
    hub, posterior, options, name, changed, words
):
    posterior.push_to_hub(NAME, endpoint=hub.url, token=TOKEN, private=True)
    with pytest.raises(ModelError, match=words) as caught:
        Posterior.from_hub(name, **options | changed)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_what_is_no_model_is_refused(hub, published, options):
    del hub.commits[f"models/{NAME}"][-1]["model.safetensors"]
    with pytest.raises(ModelError, match=r"model\.safetensors is missing, so this is no model"):
        Posterior.from_hub(NAME, **options)


def test_without_the_hub_a_sentence(posterior, options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = options | {"endpoint": f"http://127.0.0.1:{port}"}
    with pytest.raises(
        ModelError, match=r"cannot be loaded: check .*the network .*internet connection"
    ) as caught:
        Posterior.from_hub(NAME, **nowhere)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"cannot be published: check .*the network"):
        posterior.push_to_hub(NAME, endpoint=nowhere["endpoint"], token=TOKEN)


@pytest.mark.parametrize(
    ("status", "words"), [(403, "Make sure your token"), (500, "500 Internal")]
)
def test_a_hub_that_refuses_is_named(hub, posterior, status, words):
    hub.broken = status
    with pytest.raises(ModelError, match=rf"published.*{words}"):
        posterior.push_to_hub(NAME, endpoint=hub.url, token=TOKEN)


def test_publishing_needs_a_token(hub, posterior):
    with pytest.raises(ModelError, match="token"):
        posterior.push_to_hub(NAME, endpoint=hub.url, token=False)
    assert hub.commits == {}


def test_without_the_extra_a_sentence_names_it(tmp_path):
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from galcfm import Posterior\n"
        "try:\n    Posterior.from_hub('a/b')\n"
        "except ValueError as error:\n    print(error)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert "pip install 'galcfm[hub]'" in found.stdout, found.stderr


# Cards ------------------------------------------------------------------------------------------


class Perfect:
    """A posterior that is exact: Gaussians about what the magnitudes say."""

    spread = 0.1
    flow = SimpleNamespace(jumps=0)
    label_columns = (range(5),)
    declaration = SDSS

    def __init__(self, widened=1.0):
        self.widened = widened

    def encode_survey(self, survey):
        return torch.tensor(survey.magnitudes)

    def sample_from(self, condition, object_id, n_samples, steps, seed):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(condition), n_samples, 5, generator=generator, dtype=torch.float64)
        return condition[:, None] + self.widened * self.spread * noise

    def log_prob_from(self, theta, condition, steps):
        normal = torch.distributions.Normal(condition, self.widened * self.spread)
        return normal.log_prob(torch.tensor(theta)).sum(1)


@pytest.fixture(scope="module")
def galaxies():
    """Galaxies whose properties are the magnitudes and Gaussian errors."""
    found = toy_survey(1500, 3, images=False)
    noise = np.random.default_rng(0).normal(0, Perfect.spread, (len(found), 5))
    shift = found.magnitudes.mean(0) - found.properties.mean(0)
    columns = dict(zip(PROPERTY_NAMES, (found.magnitudes - shift + noise).T, strict=True))
    found = type(found)(found.catalogue.assign(**columns), None, {"kind": "toy"}, "far/away/toys")
    return found, shift


@pytest.mark.parametrize(("widened", "lower", "upper"), [(1.0, 0.65, 0.71), (2.0, 0.94, 0.97)])
def test_measured_calibration_is_that_of_the_model(galaxies, widened, lower, upper):
    survey, shift = galaxies
    model = Perfect(widened)
    model.encode_survey = lambda s: torch.tensor(s.magnitudes - shift)
    found = measure(model, survey)
    assert (found["survey"], found["n"]) == ("toys", 1000)
    # The central 68 % of a Gaussian twice as wide contain 95 %.
    middle = [shares[found["levels"].index(0.68)] for shares in found["coverage"].values()]
    assert lower < np.mean(middle) < upper
    if widened == 1:
        entropy = 5 * (-0.5 * np.log(2 * np.pi * np.e) - np.log(Perfect.spread))
        assert abs(found["log_prob"] - entropy) < 4 * found["log_prob_error"]


def test_galaxies_without_labels_measure_nothing(posterior, survey):
    bare = survey.select(np.arange(5))
    bare.catalogue["a_v"] = np.nan
    with pytest.raises(ModelError, match="fewer than two galaxies with all labels"):
        measure(posterior, bare)


def read(card: str) -> dict:
    head = card.split("---\n")[1]
    return yaml.safe_load(head)


def test_a_card_says_what_a_user_must_know(posterior):
    text = model_card(posterior, NAME)
    for heading in ("Intended use", "Population", "Calibration", "Limits", "Licence and citation"):
        assert f"\n## {heading}\n" in text
    assert f'Posterior.from_hub("{NAME}")' in text
    assert "not measured" in text
    assert "2512.05078" in text
    for p, mean in zip(PROPERTIES, posterior.property_mean, strict=True):
        assert f"| `{p.name}` | {p.unit} | {mean:.2f} |" in text
    facts = read(text)
    assert facts["license"] == "bsd-3-clause"
    assert facts["library_name"] == "galcfm"
    assert "model-index" not in facts


def test_pushing_with_test_galaxies_states_the_calibration(hub, posterior, survey, options):
    posterior.push_to_hub(NAME, test=survey.split("test"), endpoint=hub.url, token=TOKEN)
    found = Posterior.from_hub(NAME, **options).metadata["evaluation"]
    del posterior.metadata["evaluation"]
    text = hub.files(f"models/{NAME}")["README.md"].decode()
    assert f"measured on {found['n']} galaxies" in text
    (result,) = ModelCard(text).data.eval_results[:1]
    assert result.metric_value == found["log_prob"]
    worst = max(
        abs(share - level)
        for shares in found["coverage"].values()
        for share, level in zip(shares, found["levels"], strict=True)
    )
    assert ModelCard(text).data.eval_results[1].metric_value == pytest.approx(worst, abs=6e-4)


@pytest.mark.parametrize(
    ("sees", "words", "call"),
    [
        ({}, "given ugriz magnitudes: ", "sample(magnitudes)"),
        (
            {"use_redshift": True, "use_magnitude_errors": True},
            "given ugriz magnitudes, the redshift and magnitude errors: ",
            "sample(magnitudes, redshift=redshift, magnitude_errors=errors)",
        ),
        (
            {"encoder": {"n_features": 4, "widths": [4], "bin_factor": 8}},
            "given ugriz magnitudes and a gri cutout: ",
            "sample(magnitudes, images)",
        ),
    ],
)
def test_a_card_names_what_the_model_sees(sees, words, call):
    text = model_card(Posterior("magnitudes", network=SMALL, **sees), NAME)
    assert words in text
    assert call in text
    assert ("Cutouts are" in text) == ("encoder" in sees)


PUBLISHED = sorted((ROOT / "data" / "published" / "models").glob("*/model.json"))


@pytest.mark.parametrize("folder", [path.parent for path in PUBLISHED], ids=lambda path: path.name)
def test_published_models_have_their_cards(folder):
    """Chapter 15 writes them."""
    assert (folder / "README.md").read_text(encoding="utf-8") == model_card(
        Posterior.load(folder), folder.name
    )


def test_a_card_beside_a_model_is_no_strangers_file(posterior, tmp_path):
    posterior.save(tmp_path / "model")
    write_card(posterior, tmp_path / "model", "model")
    posterior.save(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").exists()
