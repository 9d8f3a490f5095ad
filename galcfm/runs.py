"""A run: the folder of the notebooks' results and of their parameters.

`data/runs/PROFILE[-RUN]/` contains the models, posteriors, metrics, figures and executed chapters
of one pass through the notebooks. Each notebook opens it with its parameters; a run that was made
with other parameters is refused, so that results of different settings never mix.
"""

import ast
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galcfm.json_files import JsonFile, object_of
from galcfm.paths import disk_errors_in_a_sentence, hold, repository_root, run_folder, survey_folder
from galcfm.provenance import code_digest, digest, provenance

__all__ = [
    "NOTEBOOKS",
    "OUTPUTS",
    "PAPER",
    "RunError",
    "check_parameters",
    "lock_run",
    "open_run",
    "outputs",
    "parameter_defaults",
    "profiles",
    "record",
    "record_path",
    "script_of",
]

# What each notebook leaves in the run folder, in the order of execution.
OUTPUTS = {
    "02_training": ("prior", "photometry", "image"),
    "03_posterior_sampling": ("posteriors_photometry.nc", "posteriors_image.nc", "densities.npz"),
    "04_metrics": ("metrics.json",),
    "05_figures": ("figures",),
}
NOTEBOOKS = tuple(sorted(path.stem for path in (repository_root() / "notebooks").glob("*.ipynb")))
# The notebooks of the paper, each of which reads what those before it leave; the others read these
# alone, and in any order.
PAPER = NOTEBOOKS[:5]
# Chapters that read the survey of the profile, and published models in place of a run's.
SURVEY_ALONE = ("17_surveys_past_one_machine", "15_your_own_galaxies")
# Notebooks import `studies`, which the installed package leaves out, from any folder.
sys.path.append(str(repository_root() / "notebooks"))


# The content that `record` returns, of which the parameters are read again.
Noted = object_of(parameters=dict[str, Any])
NOTED = JsonFile("parameters/*.json", Noted, "Delete the run, or name another (-p run NAME).")
Cell = object_of(metadata=dict[str, Any], source=str | list[str])
NOTEBOOK = JsonFile("*.ipynb", object_of(cells=list[Cell]), "Run `make sync`.")


class RunError(ValueError):
    """A run that cannot be opened, with the remedy."""


def profiles() -> list[str]:
    """Names of the profiles: `quick`, the notebooks' own, and folders in `notebooks/parameters`."""
    folder = repository_root() / "notebooks" / "parameters"
    return sorted({"quick", *(p.name for p in folder.iterdir() if p.is_dir())})


def parameter_defaults(notebook: str) -> dict:
    """Parameters of a notebook and their defaults, from its cell tagged `parameters`."""
    return _assignments(_parameters_cell(notebook))


def check_parameters(notebook: str, profile: str, parameters: Mapping) -> None:
    """Check a profile, and names and kinds of parameters, before any work.

    A number in quotes is no number, and "no" is not False: a notebook would take them for
    something else. No parameter is a negative whole number, infinite or NaN.

    Raises:
        RunError: the profile or a parameter is unknown, or a value is of another kind.
    """
    if profile not in profiles():
        raise RunError(f"no profile called {profile!r}: choose from {', '.join(profiles())}")
    cell = _parameters_cell(notebook)
    known, noted = _assignments(cell), _annotations(cell)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise RunError(
            f"{notebook} has no parameter {', '.join(unknown)}: it takes {', '.join(known)}"
        )
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
    for name, value in parameters.items():
        if value is None and known[name] is None:
            continue
        kind = noted.get(name, type(known[name]))
        # In Python, True is a whole number too.
        taken = (float, int) if kind is float else kind
        if not isinstance(value, taken) or (kind is not bool and isinstance(value, bool)):
            example = "" if known[name] is None else f", e.g. {known[name]!r}"
            raise RunError(
                f"{name} is {value!r}: {notebook} takes {words.get(kind, 'a list')}{example}"
            )
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise RunError(f"{name} is {value!r}: {notebook} takes finite numbers")
            if isinstance(number, int) and number < 0:
                raise RunError(f"{name} is {value!r}: {notebook} takes no negative whole numbers")


def open_run(notebook: str, variables: Mapping) -> Path:
    """Open the run that a notebook's parameters name, and note them there.

    Arguments:
        notebook: name without ending, e.g. `"02_training"`.
        variables: `globals()` of the notebook, after its parameters cell.

    Returns:
        Folder of the run.

    Raises:
        RunError: the profile or a parameter is unknown, the notebook before this one has not
            run, the run was made with other parameters, or another process is at it.
    """
    defaults = parameter_defaults(notebook)
    injected = [cell for cell in variables.get("In", ()) if cell.startswith("# Parameters\n")]
    given = {k: v for cell in injected for k, v in _assignments(cell).items()}
    parameters = {name: variables[name] for name in defaults}
    check_parameters(notebook, variables["profile"], parameters | given)
    folder = run_folder(parameters["profile"], parameters["run"])
    _require_earlier(notebook, folder, parameters)
    noting = record(notebook, parameters)
    path = record_path(folder, notebook)
    if notebook not in PAPER:
        # A study keeps what it makes by its settings, and processes may share its work.
        NOTED.write(path, noting)
        return folder
    if not path.exists():
        _require_nothing(notebook, folder)
    else:
        noted = NOTED.read(path, RunError)
        before = noted["parameters"]
        if before != parameters:
            changed = sorted(
                k for k in {*before, *parameters} if before.get(k) != parameters.get(k)
            )
            raise RunError(
                f"{folder} was made with another {', '.join(changed)}: name another run "
                f"(-p run NAME), or delete the folder"
            )
        if any(file.exists() for file in outputs(notebook, parameters).values()):
            # What is there is of what it was made with, until the build sets it aside.
            noting |= {name: noted.get(name) for name in ("code", "survey")}
    lock_run(folder, notebook)
    NOTED.write(path, noting)
    return folder


def script_of(notebook: str) -> Path:
    """Return the path of the notebook as Python."""
    return repository_root() / "notebooks" / f"{notebook}.py"


def _require_nothing(notebook: str, folder: Path) -> None:
    """Refuse a run that has the results of a notebook which has not run there."""
    present = [name for name in OUTPUTS.get(notebook, ()) if (folder / name).exists()]
    if present:
        raise RunError(
            f"{folder} holds {', '.join(present)}, but {notebook} has not run there: move it "
            "away, or name another run (-p run NAME)"
        )


def outputs(notebook: str, parameters: Mapping) -> dict[str, Path]:
    """Return what a notebook leaves, by name; the survey of the first is no part of a run."""
    if notebook == NOTEBOOKS[0]:
        return {"survey": survey_folder(parameters["survey"])}
    folder = run_folder(parameters["profile"], parameters["run"])
    return {name: folder / name for name in OUTPUTS.get(notebook, ())}


def _parameters_cell(notebook: str) -> str:
    path = repository_root() / "notebooks" / f"{notebook}.ipynb"
    for cell in NOTEBOOK.read(path, RunError)["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            return "".join(cell["source"])
    raise RunError(f"{path} has no cell tagged 'parameters'")


def _assignments(source: str) -> dict:
    """Return the values of `name = value` and of `name: kind = value`."""
    return {
        ast.unparse(getattr(node, "target", None) or node.targets[0]): ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
    }


def _annotations(source: str) -> dict[str, type]:
    """Return the kinds of `name: kind = value`, whose default may be None."""
    kinds = {kind.__name__: kind for kind in (bool, int, float, str, list, dict)}
    return {
        node.target.id: kinds[node.annotation.id]
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
    }


def record_path(folder: Path, notebook: str) -> Path:
    """Return the path of the note of a notebook's parameters in a run."""
    return folder / "parameters" / f"{notebook}.json"


def lock_run(folder: Path, notebook: str) -> Path:
    """Lock a notebook of a run for this process, and return the path of the lock.

    Raises:
        RunError: Another process runs it.
    """
    lock = record_path(folder, notebook).with_suffix(".lock")
    refusal = RunError(
        f"another process runs {notebook} in {folder}: wait for it, stop it, or name another run "
        "(-p run NAME)"
    )
    with disk_errors_in_a_sentence(folder):
        hold(lock, refusal)
    return lock


def record(notebook: str, parameters: Mapping) -> dict:
    """Return what a run notes of a notebook: parameters, digests of code and survey, origin."""
    return {
        "parameters": dict(parameters),
        "parameter_hash": digest(dict(parameters)),
        "code": code_digest(script_of(notebook)),
        "survey": _survey_read(notebook, parameters),
        "provenance": provenance(),
    }


def _survey_read(notebook: str, parameters: Mapping) -> str | None:
    """Digest of the content of the files of the survey that a notebook reads."""
    if notebook == NOTEBOOKS[0] or "survey" not in parameters:
        return None
    from galcfm.survey import read_description

    folder = survey_folder(parameters["survey"])
    made = (folder / "survey.json").exists()
    return digest(read_description(folder)["files"]) if made else None


def _require_earlier(notebook: str, folder: Path, parameters: Mapping) -> None:
    # A notebook without the parameter `survey` reads neither a survey nor a run's models.
    if notebook == NOTEBOOKS[0] or "survey" not in parameters:
        return
    command = "papermill notebooks/{}.ipynb out.ipynb"
    survey = parameters["survey"]
    options = {"profile": parameters["profile"], "run": parameters["run"]}
    if not (survey_folder(survey) / "survey.json").exists():
        arguments = f" -p survey {survey} -p profile {parameters['profile']}"
        raise RunError(
            f"there is no survey {survey_folder(survey)}: run "
            f"`{command.format(NOTEBOOKS[0])}{arguments}` first"
        )
    needed = () if notebook in SURVEY_ALONE else [name for name in OUTPUTS if name < notebook]
    for earlier in needed:
        if not all((folder / name).exists() for name in OUTPUTS[earlier]):
            arguments = "".join(f" -p {k} {v}" for k, v in options.items() if v)
            raise RunError(
                f"{folder} lacks {', '.join(OUTPUTS[earlier])}: run "
                f"`{command.format(earlier)}{arguments}` first"
            )
