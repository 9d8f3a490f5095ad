"""The notebooks as they lie in the repository: pairs in step, clean, with known parameters."""

import ast
import json
from dataclasses import asdict, replace
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

from book import build
from galcfm import runs
from galcfm.training import RECIPES, Recipe
from studies.frame import BOOK_SURVEY

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
PARAMETER_FILES = sorted((ROOT / "notebooks" / "parameters").rglob("*.yaml"))


def test_all_notebooks_are_known():
    assert list(runs.NOTEBOOKS) == NAMES
    assert sorted(p.stem for p in (ROOT / "notebooks").glob("*.py")) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_pairs_are_in_step(path):
    notebook = nbformat.read(path, as_version=4)
    script = jupytext.read(path.with_suffix(".py"))
    kept = ("tags", "mystnb")

    def content(nb):
        return [
            (c.cell_type, c.source, {k: v for k, v in c.metadata.items() if k in kept})
            for c in nb.cells
        ]

    assert content(notebook) == content(script), f"run `make sync`: {path.name} is out of step"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_no_outputs_and_stable_ids(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    ids = [c.id for c in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert set(notebook.metadata) <= {"kernelspec", "jupytext"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_lines_fit_a_page(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            long = [line for line in cell.source.splitlines() if len(line) > 79]
            assert not long


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_every_figure_has_name_caption_and_source(path):
    for cell in nbformat.read(path, as_version=4).cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure:
            assert figure["name"].startswith("fig-")
            assert len(figure["caption"]) > 40
            # A figure of the run's survey says itself whether that is simulated or real.
            simulated = "simulated" in figure["caption"].lower()
            assert ".source" in cell.source or simulated or "source=" not in cell.source
            assert not (".source" in cell.source and simulated)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_every_figure_has_words_in_its_place(path):
    """Screen readers read alternative texts; the caption gives the meaning."""
    for cell in nbformat.read(path, as_version=4).cells:
        options = cell.metadata.get("mystnb", {})
        if "figure" in options or "display(figure)" in cell.source:
            words = options.get("image", {}).get("alt", "")
            assert len(words) > 40, f"give {cell.id} an image alt in its metadata mystnb"
            assert words != options.get("figure", {}).get("caption")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_machinery_is_folded(path):
    for cell in nbformat.read(path, as_version=4).cells:
        tags = cell.metadata.get("tags", ())
        if "parameters" in tags or cell.source.startswith("%matplotlib"):
            assert "hide-input" in tags, cell.id
        if cell.cell_type == "code" and cell.source.startswith("glue("):
            assert "remove-cell" in tags, cell.id


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n[:2] < "06" or "08" < n < "14" or n[:2] == "16"]
)
def test_two_or_three_exercises_with_folded_answers(name):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    first = next(k for k, c in enumerate(cells) if "## Exercises" in c.source.splitlines())
    exercises = cells[first:]
    prose = "\n\n".join(c.source for c in exercises if c.cell_type == "markdown")
    prose = prose[prose.index("## Exercises") :]
    assert 2 <= len([line for line in prose.split("\n\n") if line.startswith("**")]) <= 3
    answers = prose.count("<details><summary>Answer</summary>\n\n")
    assert answers == prose.count("\n\n</details>")
    code = [c for c in exercises if c.cell_type == "code"]
    assert all("hide-cell" in c.metadata["tags"] for c in code)
    assert answers + len(code) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_is_explained(name):
    """On its line, or on the line above where there is no room."""
    source = "".join(_parameters_cell(name)["source"])
    lines = ["", *source.splitlines()]
    for node in ast.parse(source).body:
        assert "  # " in lines[node.lineno] or lines[node.lineno - 1].startswith("# "), node.lineno
    assert list(runs.parameter_defaults(name))[:2] == ["profile", "run"]


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_parameter_files_hold_what_differs_and_nothing_else(path):
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = runs.parameter_defaults(path.stem)
    runs.check_parameters(path.stem, path.parent.name, given)
    assert given
    assert not {"profile", "run", "survey"} & set(given)
    assert all(value != defaults[key] for key, value in given.items())


def test_profiles_are_called_as_their_surveys():
    assert runs.profiles() == ["desi", "paper", "quick", "sdss", "smoke"]
    for profile in runs.profiles():
        for parameters in build.profile_parameters(profile).values():
            assert parameters["profile"] == profile
            # The profile adds real galaxies of DESI to the survey of the profile quick.
            survey = "quick" if profile == "desi" else profile
            assert parameters.get("survey", survey) == survey


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("quick", "quick"),
        ("paper", "paper"),
        ("sdss", "paper"),
        ("smoke", "smoke"),
        ("desi", "quick"),
    ],
)
def test_profiles_train_by_a_recipe_of_which_the_notebook_shows_each_parameter(profile, name):
    parameters = build.profile_parameters(profile)["02_training"]
    assert Recipe.of(parameters) == RECIPES[name]
    assert Recipe.of(parameters | {"max_epochs": 50}) == replace(RECIPES[name], max_epochs=50)
    others = {"profile", "run", "survey", "recipe"}
    assert set(parameters) - others == set(asdict(RECIPES[name]))


def test_the_exact_posterior_is_of_the_books_survey():
    p = build.profile_parameters("quick")["01_data_curation"]
    found = {
        "n_galaxies": p["n_galaxies"],
        "seed": p["seed"],
        "validation": p["validation_fraction"],
        "test": p["test_fraction"],
    }
    assert found == BOOK_SURVEY


def test_the_profile_paper_holds_the_papers_setting():
    curation, training, sampling, *_ = build.profile_parameters("paper").values()
    values = curation | asdict(Recipe.of(training)) | sampling
    expected = {
        "n_galaxies": 106800,
        "validation_fraction": 0.1,
        "test_fraction": 0.1,
        "features": "magnitudes",
        "sigma": 0.05,
        "width": 256,
        "depth": 3,
        "image_crop": 128,
        "image_bin": 1,
        "learning_rate": 5e-5,
        "batch_size": 64,
        "schedule": "constant",
        "draws_per_galaxy": 1,
        "average_decay": 0.0,
        "augment": False,
        "warm_start": False,
        "n_image_features": 256,
        "steps": 100,
        "n_samples": 1000,
        "n_posteriors": 1000,
    }
    assert {k: values[k] for k in expected} == expected


def test_the_profile_sdss_is_the_papers_with_other_galaxies():
    paper, sdss = (build.profile_parameters(profile) for profile in ("paper", "sdss"))
    changes = {"profile": "sdss", "survey": "sdss", "source": "sdss", "n_galaxies": 0}
    for name in NAMES[:5]:
        assert sdss[name] == paper[name] | {k: v for k, v in changes.items() if k in paper[name]}


@pytest.mark.parametrize("name", [n for n in NAMES if n[:2] > "05" and n[:2] != "15"])
def test_every_study_can_be_made_by_its_notebook(name):
    parameters = runs.parameter_defaults(name)
    assert parameters["results"] == "published"
    assert len(parameters) >= 5, "nothing to change"


def test_notebooks_hold_no_machinery():
    """A function or class in a notebook is out of reach of the tests."""
    for name in NAMES:
        tree = ast.parse(
            (ROOT / "notebooks" / f"{name}.py")
            .read_text(encoding="utf-8")
            .replace("# %matplot", "#")
        )
        kinds = (ast.FunctionDef, ast.ClassDef, ast.While, ast.Try)
        assert not [n for n in ast.walk(tree) if isinstance(n, kinds)], name


def _parameters_cell(name):
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return next(c for c in cells if "parameters" in c["metadata"].get("tags", ()))


@pytest.mark.parametrize("name", NAMES)
def test_papermill_reads_every_parameter(name):
    """It passes over a line whose comment holds an equals sign, for instance."""
    found = papermill.inspect_notebook(ROOT / "notebooks" / f"{name}.ipynb")
    assert list(found) == list(runs.parameter_defaults(name))
