"""Runs: parameters are noted, checked, and never mixed; files are whole or not there."""

import json
import re
import subprocess
import sys

import pytest
from conftest import put_json, put_survey_json

from book import build
from galcfm import paths, runs
from galcfm.runs import RunError


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    return tmp_path


def variables(notebook, **changes):
    return runs.parameter_defaults(notebook) | changes


def make_survey(name="quick", **content):
    put_survey_json(paths.survey_folder(name), **content)


def test_a_run_notes_its_parameters(data):
    make_survey()
    folder = runs.open_run("02_training", variables("02_training", max_epochs=3))
    assert folder == data / "runs" / "quick"
    record = json.loads((folder / "parameters" / "02_training.json").read_text(encoding="utf-8"))
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
            build.set_outdated_aside("02_training", variables("02_training", width=8))
        other.kill()
    build.set_outdated_aside("02_training", variables("02_training", width=8))
    runs.open_run("02_training", variables("02_training"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    put_json(path, {"old": 1})

    def fail():
        with paths.replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(path.read_text(encoding="utf-8")) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_noticed_before_work(tmp_path):
    with pytest.raises(OSError, match=r"needs 1\.00EB but .*[TGM]B free: free some space"):
        paths.require_disk_space(tmp_path / "new" / "folder", 10**18)


def test_a_study_opens_a_run_with_other_parameters_and_needs_none_before(data, monkeypatch):
    names = {"profile": "quick", "run": "", "results": "published", "n_galaxies": 100}
    monkeypatch.setattr(runs, "_parameters_cell", lambda notebook: "")
    monkeypatch.setattr(runs, "parameter_defaults", lambda notebook: names)
    monkeypatch.setattr(runs, "_assignments", lambda source: names)
    first = runs.open_run("08_what_matters", names)
    other = runs.open_run("08_what_matters", names | {"results": "made", "n_galaxies": 50})
    assert first == other == data / "runs" / "quick"
    names["survey"] = "quick"
    with pytest.raises(
        RunError, match=r"there is no survey .*quick: run `papermill notebooks/01_d"
    ):
        runs.open_run("09_calibration", names)


@pytest.mark.parametrize("notebook", runs.SURVEY_ALONE)
def test_a_study_of_the_survey_alone_needs_no_models(data, notebook):
    with pytest.raises(
        RunError, match=r"there is no survey .*quick: run `papermill notebooks/01_d"
    ):
        runs.open_run(notebook, variables(notebook))
    make_survey()
    assert runs.open_run(notebook, variables(notebook)) == data / "runs" / "quick"
    script = runs.script_of(notebook).read_text(encoding="utf-8")
    assert not re.search(r'(?<!\.)\bfolder / "', script), "it reads what a run holds"
    with pytest.raises(RunError, match=r"lacks prior, photometry, image: run `papermill"):
        runs.open_run("09_calibration", variables("09_calibration"))


def test_studies_are_found_from_any_folder(tmp_path):
    code = "from galcfm import runs; import studies.frame"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
