"""Published models by name: in the checkout, in the wheel, or downloaded and checked."""

import functools
import http.server
import threading
from pathlib import Path

import pooch
import pytest

from galcfm import Posterior
from galcfm.posterior import ModelError, published

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data" / "published" / "models"


def test_the_registry_is_that_of_the_models_in_the_repository(tmp_path):
    pooch.make_registry(MODELS, tmp_path / "models.txt")
    wanted = (tmp_path / "models.txt").read_text(encoding="utf-8")
    assert published.REGISTRY.read_text(encoding="utf-8") == wanted, (
        "write it again: python -c \"import pooch; pooch.make_registry('data/published/models', "
        "'galcfm/posterior/models.txt')\""
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A copy of the published photometry model behind HTTP, and no model on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    served = tmp_path / "served"
    (served / "photometry").mkdir(parents=True)
    for path in (MODELS / "photometry").iterdir():
        (served / "photometry" / path.name).write_bytes(path.read_bytes())
    handler = functools.partial(Quiet, directory=str(served))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setattr(published, "ADDRESS", f"http://127.0.0.1:{running.server_port}/")
    monkeypatch.setattr(published, "PACKAGED", tmp_path / "nowhere")
    monkeypatch.setattr(published, "published_folder", lambda: tmp_path / "nowhere")
    monkeypatch.setenv("GALCFM_MODELS", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield served / "photometry"
    running.shutdown()
    running.server_close()


def test_a_model_is_downloaded_once(server):
    assert Posterior.load("photometry").metadata
    for path in server.iterdir():
        path.unlink()
    assert Posterior.load("photometry").metadata


def damaged(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("spoil", [damaged, Path.unlink])
def test_what_is_not_whole_is_refused_and_fetched_again(server, spoil):
    weights = server / "model.safetensors"
    content = weights.read_bytes()
    spoil(weights)
    with pytest.raises(ModelError, match="photometry cannot be downloaded from http"):
        Posterior.load("photometry")
    weights.write_bytes(content)
    assert Posterior.load("photometry").metadata


def test_an_unknown_name_is_told_the_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no folder photometri here.*image.*photometry"):
        Posterior.load("photometri")


def test_a_folder_of_the_same_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Posterior.load(MODELS / "photometry_redshift").save("photometry")
    assert Posterior.load("photometry").use_redshift
