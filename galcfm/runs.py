"""A run: the folder in which the notebooks leave what they make, and the parameters they had.

`data/runs/PROFILE[-RUN]/` holds the models, posteriors, metrics, figures and executed chapters of
one pass through the notebooks. Each notebook opens it with its parameters; a run that was made
with others is refused, so that results of different settings never mix.
"""

import ast
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from galcfm.paths import hold, let_go, repository_root, run_folder, survey_folder, write_json
from galcfm.survey import provenance

__all__ = [
    "NOTEBOOKS",
    "OUTPUTS",
    "RunError",
    "check_parameters",
    "discard_outdated",
    "open_run",
    "parameter_defaults",
    "profiles",
    "rooms_of",
]

# What each notebook leaves in the run folder, in the order of execution.
OUTPUTS = {
    "01_data_curation": (),
    "02_training": ("prior", "photometry", "image"),
    "03_posterior_sampling": ("posteriors_photometry.nc", "posteriors_image.nc", "densities.npz"),
    "04_metrics": ("metrics.json",),
    "05_figures": ("figures",),
    "06_calibration": (),
    "07_exact_posteriors": (),
    "08_outliers": (),
    "09_is_the_survey_real": (),
    "10_tried_on_the_sky": (),
    "11_other_priors": (),
}
NOTEBOOKS = tuple(OUTPUTS)


class RunError(ValueError):
    """A run that cannot be opened, with the remedy."""


def profiles() -> list[str]:
    """Names of the profiles: the folders in `notebooks/parameters`."""
    folder = repository_root() / "notebooks" / "parameters"
    return sorted(p.name for p in folder.iterdir() if p.is_dir())


def parameter_defaults(notebook: str) -> dict:
    """Parameters of a notebook and their defaults, from its cell tagged `parameters`."""
    path = repository_root() / "notebooks" / f"{notebook}.ipynb"
    for cell in json.loads(path.read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            return _assignments("".join(cell["source"]))
    raise RunError(f"{path} has no cell tagged 'parameters'")


def check_parameters(notebook: str, profile: str, names) -> None:
    """Check a profile and the names of parameters before any work.

    Raises:
        RunError: the profile or a parameter is unknown.
    """
    if profile not in profiles():
        raise RunError(f"no profile called {profile!r}: choose from {', '.join(profiles())}")
    known = parameter_defaults(notebook)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise RunError(
            f"{notebook} has no parameter {', '.join(unknown)}: it takes {', '.join(known)}"
        )


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
    check_parameters(notebook, variables["profile"], [k for c in injected for k in _assignments(c)])
    parameters = {name: variables[name] for name in defaults}
    folder = run_folder(parameters["profile"], parameters["run"])
    _require_earlier(notebook, folder, parameters)
    record = _record(notebook, parameters)
    path = _record_path(folder, notebook)
    if path.exists():
        before = json.loads(path.read_text())["parameters"]
        if before != parameters:
            changed = sorted(
                k for k in {*before, *parameters} if before.get(k) != parameters.get(k)
            )
            raise RunError(
                f"{folder} was made with another {', '.join(changed)}: name another run "
                f"(-p run NAME), or delete the folder"
            )
    _lock(folder, notebook)
    write_json(path, record)
    return folder


def discard_outdated(notebook: str, profile: str, parameters: Mapping) -> None:
    """Remove what a notebook left in a run when its parameters or the code have changed since.

    What was made with the same parameters and code stays, so that interrupted work resumes.

    Raises:
        RunError: another process is at it.
    """
    folder = run_folder(profile, parameters["run"])
    path = _record_path(folder, notebook)
    if not path.exists():
        return
    before, now = json.loads(path.read_text()), _record(notebook, parameters)
    if all(before[k] == now[k] for k in ("parameters", "code")):
        return
    lock = _lock(folder, notebook)
    for output in (folder / name for name in OUTPUTS[notebook]):
        if output.is_dir():
            shutil.rmtree(output)
        else:
            output.unlink(missing_ok=True)
    if notebook == "01_data_curation":
        shutil.rmtree(survey_folder(before["parameters"]["survey"]), ignore_errors=True)
    path.unlink()
    # The notebook takes it in a process of its own.
    let_go(lock)


def rooms_of(notebook: str) -> list[Path]:
    """Files of `galcfm` that a notebook imports, directly or through others."""
    root = repository_root()
    found: set[Path] = set()
    waiting = [root / "notebooks" / f"{notebook}.py", root / "galcfm" / "__init__.py"]
    while waiting:
        tree = ast.parse(waiting.pop().read_text())
        for name in _imported_modules(tree):
            base = root.joinpath(*name.split("."))
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if path.exists() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return sorted(found)


def _imported_modules(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galcfm"):
            # `from galcfm import x`: x may be a module.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names if a.name.startswith("galcfm")}
    return names


def _assignments(source: str) -> dict:
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
    }


def _record_path(folder: Path, notebook: str) -> Path:
    return folder / "parameters" / f"{notebook}.json"


def _lock(folder: Path, notebook: str) -> Path:
    lock = _record_path(folder, notebook).with_suffix(".lock")
    hold(
        lock,
        RunError(
            f"another process runs {notebook} in {folder}: wait for it, stop it, or name another "
            "run (-p run NAME)"
        ),
    )
    return lock


def _record(notebook: str, parameters: Mapping) -> dict:
    # Figures and tables change nothing that a notebook leaves for the next one.
    rooms = [
        path
        for path in rooms_of(notebook)
        if path.parent.name != "figures" and path.stem != "tables"
    ]
    code = hashlib.sha256(b"".join(path.read_bytes() for path in rooms)).hexdigest()
    digest = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()
    return {
        "parameters": dict(parameters),
        "parameter_hash": digest,
        "code": code,
        "provenance": provenance(),
    }


def _require_earlier(notebook: str, folder: Path, parameters: Mapping) -> None:
    command = "papermill notebooks/{}.ipynb out.ipynb"
    survey = parameters["survey"]
    options = {"profile": parameters["profile"], "run": parameters["run"]}
    if notebook == NOTEBOOKS[0]:
        return
    if not (survey_folder(survey) / "survey.json").exists():
        arguments = f" -p survey {survey} -p profile {parameters['profile']}"
        raise RunError(
            f"there is no survey {survey_folder(survey)}: run "
            f"`{command.format(NOTEBOOKS[0])}{arguments}` first"
        )
    for earlier in NOTEBOOKS[1 : NOTEBOOKS.index(notebook)]:
        if not all((folder / name).exists() for name in OUTPUTS[earlier]):
            arguments = "".join(f" -p {k} {v}" for k, v in options.items() if v)
            raise RunError(
                f"{folder} lacks {', '.join(OUTPUTS[earlier])}: run "
                f"`{command.format(earlier)}{arguments}` first"
            )
