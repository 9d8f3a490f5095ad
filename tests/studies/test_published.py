"""All studies made small through their notebooks, in a copy of the repository."""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
from copied import copy_repository, doit

import studies
from galcfm import runs
from studies.frame import Study

GOLDEN = {path.stem: path for path in sorted((Path(__file__).parent / "golden").glob("*.json"))}
# It needs real cutouts, which are not in the repository: test_realism.py makes it small.
del GOLDEN["realism_cutouts"]
NOTEBOOKS = [name for name in runs.NOTEBOOKS if "results" in runs.parameter_defaults(name)]
ORIGIN = ("study", "version", "key", "command", "date", "made")


def all_studies() -> dict[str, Study]:
    names = [m.name for m in pkgutil.walk_packages(studies.__path__, "studies.")]
    modules = [importlib.import_module(name) for name in names]
    found = [value for module in modules for value in vars(module).values()]
    return {study.name: study for study in found if isinstance(study, Study)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy in which `make published PROFILE=smoke` has run."""
    folder = copy_repository(tmp_path_factory.mktemp("copy") / "galcfm")
    before = {path: path.stat().st_mtime for path in (folder / "data" / "published").rglob("*")}
    result = doit(folder, "profile=smoke", "published")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    after = {path: path.stat().st_mtime for path in (folder / "data" / "published").rglob("*")}
    assert after == before, "small results go to the run's folder"
    return folder


def made(copy: Path, name: str) -> dict:
    (path,) = (copy / "data" / "runs" / "smoke" / "studies").glob(f"{name}-*/{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def number_at(path: str, content) -> float:
    """The number at a dotted path; names of rows may have dots of their own."""
    if not path:
        return content
    if isinstance(content, list):
        first, _, rest = path.partition(".")
        return number_at(rest, content[int(first)])
    keys = [key for key in content if path == key or path.startswith(f"{key}.")]
    key = max(keys, key=len)
    return number_at(path[len(key) + 1 :], content[key])


def test_every_study_has_a_notebook_and_golden_numbers():
    found = all_studies()
    assert set(found) == {*GOLDEN, "realism_cutouts"}
    assert {study.notebook for study in found.values()} <= set(NOTEBOOKS)


@pytest.mark.parametrize("name", GOLDEN)
def test_small_runs_give_the_golden_numbers(copy, name):
    golden, result = json.loads(GOLDEN[name].read_text(encoding="utf-8")), made(copy, name)
    assert result["version"] == golden["version"], f"{GOLDEN[name]} is of another version"
    numbers = {path: number_at(path, result) for path in golden["numbers"]}
    tolerance = {key: golden[key] for key in ("relative", "absolute") if key in golden}
    wanted = pytest.approx(
        golden["numbers"], rel=tolerance.get("relative"), abs=tolerance.get("absolute")
    )
    assert numbers == wanted, (
        f"results of the study {name} have changed: raise its version and make its published "
        f"results again, or, if they have not changed, say here why these numbers do"
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_chapter_makes_is_not_what_is_published(copy, name):
    """With other parameters than its own it draws other data."""
    published = copy / "data" / "published" / f"{name}.json"
    if published.exists():
        theirs, ours = json.loads(published.read_text(encoding="utf-8")), made(copy, name)
        for key in ORIGIN:
            theirs.pop(key, None), ours.pop(key, None)
        assert ours != theirs


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_each_chapter_draws_what_it_makes(copy, notebook):
    chapter = copy / "data" / "runs" / "smoke" / "made" / f"{notebook}.ipynb"
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
