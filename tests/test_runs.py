"""Runs: parameters are noted, checked, and never mixed; files are whole or not there."""

import json
import subprocess
import sys

import pytest

from galcfm import paths, runs
from galcfm.runs import RunError


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    return tmp_path


def variables(notebook, **changes):
    return runs.parameter_defaults(notebook) | changes


def make_survey(name="quick", **content):
    paths.write_json(paths.survey_folder(name) / "survey.json", content)


def test_a_run_notes_its_parameters(data):
    make_survey()
    folder = runs.open_run("02_training", variables("02_training", max_epochs=3))
    assert folder == data / "runs" / "quick"
    record = json.loads((folder / "parameters" / "02_training.json").read_text())
    assert record["parameters"]["max_epochs"] == 3
    assert set(record) == {"parameters", "parameter_hash", "code", "survey", "provenance"}
    assert {"commit", "dirty"} <= set(record["provenance"])
    # The same parameters open it again.
    assert runs.open_run("02_training", variables("02_training", max_epochs=3)) == folder


def test_other_parameters_need_another_run(data):
    make_survey()
    runs.open_run("02_training", variables("02_training"))
    with pytest.raises(RunError, match=r"another max_epochs: name another run \(-p run NAME\)"):
        runs.open_run("02_training", variables("02_training", max_epochs=50))
    longer = runs.open_run("02_training", variables("02_training", max_epochs=50, run="longer"))
    assert longer == data / "runs" / "quick-longer"


def test_the_notebook_before_must_have_run(data):
    with pytest.raises(RunError, match=r"run `papermill notebooks/01_data_curation\.ipynb out"):
        runs.open_run("02_training", variables("02_training"))
    make_survey()
    with pytest.raises(RunError, match=r"02_training\.ipynb out\.ipynb -p profile quick -p run x"):
        runs.open_run("03_posterior_sampling", variables("03_posterior_sampling", run="x"))


def test_unknown_profiles_and_parameters_are_refused(data):
    make_survey()
    with pytest.raises(RunError, match=r"no profile called 'quik': choose from .*quick"):
        runs.open_run("02_training", variables("02_training", profile="quik"))
    injected = variables("02_training") | {"In": ["", "# Parameters\nmax_epoch = 3\n"]}
    with pytest.raises(RunError, match="02_training has no parameter max_epoch: it takes profile"):
        runs.open_run("02_training", injected)


def left(folder, name="image"):
    """Stand in for what a notebook leaves."""
    paths.write_json(folder / name / "model.json", {})
    return folder / name / "model.json"


def test_outdated_results_are_kept_until_there_are_new_ones(data):
    make_survey()
    old, new = variables("02_training"), variables("02_training", width=8)
    folder = runs.open_run("02_training", old)
    model, other = left(folder), folder / "metrics.json"
    paths.write_json(other, {})
    runs.set_outdated_aside("02_training", old)
    assert model.exists(), "the same parameters and code"

    runs.set_outdated_aside("02_training", new)
    assert not model.exists()
    assert other.exists()
    runs.open_run("02_training", new)
    left(folder, "photometry")
    # Changed back before the new one was whole: the old one returns.
    runs.set_outdated_aside("02_training", old)
    assert model.exists()
    assert not (folder / "photometry").exists()
    runs.open_run("02_training", old)

    runs.set_outdated_aside("02_training", new)
    runs.open_run("02_training", new)
    newer = left(folder, "photometry")
    # Killed and called again: what there is of the new one goes on.
    runs.set_outdated_aside("02_training", new)
    assert newer.exists()
    runs.drop_outdated("02_training", new)
    runs.set_outdated_aside("02_training", old)
    assert not model.exists(), "it was outdated, and the new one was whole"
    runs.set_outdated_aside("02_training", new)
    assert newer.exists()


def test_an_outdated_survey_is_kept_until_there_is_a_new_one(data):
    old, new = (variables("01_data_curation", seed=seed) for seed in (1, 2))
    runs.open_run("01_data_curation", old)
    make_survey()
    survey = paths.survey_folder("quick")
    runs.set_outdated_aside("01_data_curation", new)
    assert not survey.exists()
    runs.set_outdated_aside("01_data_curation", old)
    assert (survey / "survey.json").exists()


def test_changed_code_makes_results_outdated(data, monkeypatch):
    make_survey()
    parameters = variables("02_training")
    model = left(runs.open_run("02_training", parameters))
    runs.set_outdated_aside("02_training", parameters)
    assert model.exists()
    monkeypatch.setattr(runs, "code_digest", lambda *roots: "other")
    # By hand nothing is made anew, and what is there is not taken for what the new code makes.
    runs.open_run("02_training", parameters)
    runs.set_outdated_aside("02_training", parameters)
    assert not model.exists()


def test_a_changed_survey_makes_results_outdated(data):
    make_survey(files={"catalogue.parquet": {"sha256": "a"}})
    parameters = variables("02_training")
    model = left(runs.open_run("02_training", parameters))
    make_survey(files={"catalogue.parquet": {"sha256": "a"}}, made="again, the same")
    runs.set_outdated_aside("02_training", parameters)
    assert model.exists()
    make_survey(files={"catalogue.parquet": {"sha256": "b"}})
    runs.set_outdated_aside("02_training", parameters)
    assert not model.exists()


def test_chapters_show_all_figures_tables_and_what_takes_tables_in(monkeypatch):
    monkeypatch.setattr(runs, "files_digest", lambda files: {path.name for path in files})
    shown = runs.code_shown("20_your_own_galaxies")
    package = paths.repository_root() / "galcfm"
    assert {path.name for path in (package / "figures").rglob("*.py")} <= shown
    assert {"intake.py", "replicated.py"} <= shown
    assert not {"paths.py", "runs.py"} & shown


def test_chapters_that_read_stored_results_are_made_again_for_them():
    names = {path.name for path in runs.published_read("16_what_a_picture_is_worth")}
    assert {"account.json", "model.safetensors"} <= names
    assert runs.published_read("05_figures") == []


def test_a_run_that_another_process_works_on_is_left_alone(data, monkeypatch):
    make_survey()
    monkeypatch.setattr(paths, "LOCK_WAIT", 0.1)
    code = (
        "import sys; from galcfm import runs;"
        "runs.open_run('02_training', runs.parameter_defaults('02_training'));"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(RunError, match="another process runs 02_training in"):
            runs.open_run("02_training", variables("02_training"))
        with pytest.raises(RunError, match="another process runs 02_training in"):
            runs.set_outdated_aside("02_training", variables("02_training", width=8))
        other.kill()
    runs.set_outdated_aside("02_training", variables("02_training", width=8))
    runs.open_run("02_training", variables("02_training"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    paths.write_json(path, {"old": 1})

    def fail():
        with paths.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_noticed_before_work(tmp_path):
    with pytest.raises(OSError, match=r"needs 1000000000\.0 GB but .* GB free: free some space"):
        paths.require_disk_space(tmp_path / "new" / "folder", 10**18)
