"""What the build of the book sets aside and shows: nothing outdated passes for current."""

from types import SimpleNamespace

import pytest
from conftest import put_json, put_survey_json

from book import accessible, build
from galcfm import paths, runs


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    return tmp_path


def variables(notebook, **changes):
    return runs.parameter_defaults(notebook) | changes


def make_survey(name="quick", **content):
    put_survey_json(paths.survey_folder(name), **content)


def left(folder, name="image"):
    """Write files in place of a notebook's."""
    put_json(folder / name / "model.json", {})
    return folder / name / "model.json"


def test_outdated_results_are_kept_until_there_are_new_ones(data):
    make_survey()
    old, new = variables("02_training"), variables("02_training", width=8)
    folder = runs.open_run("02_training", old)
    model, other = left(folder), folder / "metrics.json"
    put_json(other, {})
    build.set_outdated_aside("02_training", old)
    assert model.exists(), "the same parameters and code"

    build.set_outdated_aside("02_training", new)
    assert not model.exists()
    assert other.exists()
    runs.open_run("02_training", new)
    left(folder, "photometry")
    # Changed back before the new one was whole: the old one returns.
    build.set_outdated_aside("02_training", old)
    assert model.exists()
    assert not (folder / "photometry").exists()
    runs.open_run("02_training", old)

    build.set_outdated_aside("02_training", new)
    runs.open_run("02_training", new)
    newer = left(folder, "photometry")
    # Killed and called again: what there is of the new one goes on.
    build.set_outdated_aside("02_training", new)
    assert newer.exists()
    build.drop_outdated("02_training", new)
    build.set_outdated_aside("02_training", old)
    assert not model.exists(), "it was outdated, and the new one was whole"
    build.set_outdated_aside("02_training", new)
    assert newer.exists()


def test_an_outdated_survey_is_kept_until_there_is_a_new_one(data):
    old, new = (variables("01_data_curation", seed=seed) for seed in (1, 2))
    runs.open_run("01_data_curation", old)
    make_survey()
    survey = paths.survey_folder("quick")
    build.set_outdated_aside("01_data_curation", new)
    assert not survey.exists()
    build.set_outdated_aside("01_data_curation", old)
    assert (survey / "survey.json").exists()


def test_changed_code_makes_results_outdated(data, monkeypatch):
    make_survey()
    parameters = variables("02_training")
    model = left(runs.open_run("02_training", parameters))
    build.set_outdated_aside("02_training", parameters)
    assert model.exists()
    monkeypatch.setattr(runs, "code_digest", lambda *roots: "other")
    # By hand nothing is made again, and what is there is not taken for what the new code makes.
    runs.open_run("02_training", parameters)
    build.set_outdated_aside("02_training", parameters)
    assert not model.exists()


def test_a_changed_survey_makes_results_outdated(data):
    make_survey(sha256="a")
    parameters = variables("02_training")
    model = left(runs.open_run("02_training", parameters))
    make_survey(sha256="a", made="again, the same")
    build.set_outdated_aside("02_training", parameters)
    assert model.exists()
    make_survey(sha256="b")
    build.set_outdated_aside("02_training", parameters)
    assert not model.exists()


def test_chapters_show_all_figures_tables_and_what_takes_tables_in(monkeypatch):
    monkeypatch.setattr(build, "files_digest", lambda files: {path.name for path in files})
    shown = build.code_shown("15_your_own_galaxies")
    package = paths.repository_root() / "galcfm"
    assert {path.name for path in (package / "figures").rglob("*.py")} <= shown
    assert {"intake.py", "replicated.py"} <= shown
    assert not {"paths.py", "runs.py"} & shown


def test_chapters_are_made_again_for_other_rows_of_their_studies():
    names = {path.name for path in build.rows_read("12_is_the_survey_real")}
    assert {"image_controls.yaml", "main_galaxy_sample.yaml", "measurements.yaml"} <= names
    assert build.rows_read("02_training") == []


def test_chapters_that_read_stored_results_are_made_again_for_them():
    names = {path.name for path in build.published_read("06_what_a_picture_is_worth")}
    assert {"account.json", "model.safetensors"} <= names
    assert build.published_read("03_posterior_sampling") == []


def test_results_made_with_uncommitted_changes_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "published_folder", lambda: tmp_path)
    made = {"commit": "a", "dirty": False}
    put_json(tmp_path / "clean.json", {"made": made, "rows": {"a": {"made": made}}})
    row = {"seeds": {"1": {"made": made | {"dirty": True}}}}
    put_json(tmp_path / "row.json", {"made": made, "rows": {"a": row}})
    put_json(tmp_path / "whole.json", {"made": made | {"dirty": True}})
    assert build.published_with_changes() == ["row.json", "whole.json"]


def test_pages_have_indices_scopes_and_figures_that_are_links():
    connected = []
    app = SimpleNamespace(connect=lambda event, function: connected.append(function))
    accessible.setup(app)
    table = (
        "<thead><tr><th>A_V [mag]</th></tr></thead><tbody><tr><th>a</th><td>-1</td></tr></tbody>"
    )
    figure = '<img alt="words" src="../_images/a.svg" />'
    context = {"body": f'{table}{figure}<a href="elsewhere">{figure}</a>'}
    for function in connected:
        function(app, "page", "page.html", context, None)
    assert context["body"] == (
        '<thead><tr><th scope="col">A<sub>V</sub> [mag]</th></tr></thead>'
        '<tbody><tr><th scope="row">a</th><td>−1</td></tr></tbody>'
        f'<a class="figure" href="../_images/a.svg">{figure}</a><a href="elsewhere">{figure}</a>'
    )
