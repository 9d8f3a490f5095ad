"""A run: the folder in which the notebooks leave what they make, and the parameters they had.

`data/runs/PROFILE[-RUN]/` holds the models, posteriors, metrics, figures and executed chapters of
one pass through the notebooks. Each notebook opens it with its parameters; a run that was made
with others is refused, so that results of different settings never mix.
"""

import ast
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from galcfm.paths import (
    MODEL_FILES,
    SURVEY_FILES,
    disk_errors_in_a_sentence,
    hold,
    let_go,
    published_folder,
    remove_own,
    repository_root,
    require_own_files,
    run_folder,
    survey_folder,
    write_json,
)
from galcfm.provenance import (
    CHANGES_NOTHING,
    code_digest,
    digest,
    files_digest,
    provenance,
    rooms_of,
)

__all__ = [
    "NOTEBOOKS",
    "OUTPUTS",
    "PAPER",
    "RunError",
    "check_parameters",
    "code_shown",
    "drop_outdated",
    "open_run",
    "output_files",
    "parameter_defaults",
    "profile_parameters",
    "profiles",
    "published_read",
    "published_with_changes",
    "set_outdated_aside",
    "wipe",
]

# Chapters show what is refused of a table, but nothing else of what changes no result.
NOT_SHOWN = tuple(name for name in CHANGES_NOTHING if name != "galcfm.survey.intake.")
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
    "12_other_methods": (),
    "13_what_matters": (),
    "14_at_the_papers_size": (),
    "15_surveys_past_one_machine": (),
    "16_what_a_picture_is_worth": (),
    "20_your_own_galaxies": (),
}
NOTEBOOKS = tuple(OUTPUTS)
# The notebooks of the paper, each of which reads what those before it leave; the others read these
# alone, and in any order.
PAPER = NOTEBOOKS[:5]
# Notebooks import `studies`, which the installed package leaves out, from whatever folder they are
# opened in.
sys.path.append(str(repository_root() / "notebooks"))
# All that a run may hold, as patterns of paths below its folder.
RUN_FILES = (
    *(f"parameters/{name}{end}" for name in NOTEBOOKS for end in (".json", ".lock")),
    *(f"{part}/{name}.ipynb" for name in NOTEBOOKS for part in ("chapters", "failed", "made")),
    *(name for names in OUTPUTS.values() for name in names if "." in name),
    *(f"{model}/{name}" for model in OUTPUTS["02_training"] for name in MODEL_FILES),
    *(f"variants/*/{name}" for name in MODEL_FILES),
    *(f"figures/*.{end}" for end in ("pdf", "png")),
    "studies/*",
)
# What was set aside of a notebook.
ASIDE_FILES = (
    *(f"{name}.json" for name in NOTEBOOKS),
    *(f"survey/{name}" for name in SURVEY_FILES),
    *RUN_FILES,
)


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
    something else.

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
    record = _record(notebook, parameters)
    path = _record_path(folder, notebook)
    if notebook not in PAPER:
        # A study keeps what it makes by its settings, and processes may share its work.
        write_json(path, record)
        return folder
    if not path.exists():
        _require_nothing(notebook, folder)
    else:
        noted = json.loads(path.read_text())
        before = noted["parameters"]
        if before != parameters:
            changed = sorted(
                k for k in {*before, *parameters} if before.get(k) != parameters.get(k)
            )
            raise RunError(
                f"{folder} was made with another {', '.join(changed)}: name another run "
                f"(-p run NAME), or delete the folder"
            )
        if any(path.exists() for path in _outputs(notebook, folder, parameters["survey"]).values()):
            # What is there is of what it was made with, until the build sets it aside.
            record |= {name: noted.get(name) for name in ("code", "survey")}
    _lock(folder, notebook)
    write_json(path, record)
    return folder


def profile_parameters(profile: str) -> dict[str, dict]:
    """Parameters of each notebook in a profile.

    They are the notebook's own, but for `profile` and `survey`, which are called as the profile
    is, and for those that `notebooks/parameters/PROFILE/NOTEBOOK.yaml` names.

    Raises:
        RunError: the profile is unknown, or a file names a parameter that its notebook lacks.
    """
    found = {}
    for notebook in NOTEBOOKS:
        path = repository_root() / "notebooks" / "parameters" / profile / f"{notebook}.yaml"
        given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        check_parameters(notebook, profile, given)
        own = parameter_defaults(notebook)
        named = {name: profile for name in ("profile", "survey") if name in own}
        found[notebook] = own | named | given
    return found


def output_files(notebook: str, parameters: Mapping) -> list[Path]:
    """The files by which later notebooks see that this one has changed something."""
    folder = run_folder(parameters["profile"], parameters["run"])
    if notebook == NOTEBOOKS[0]:
        return [survey_folder(parameters["survey"]) / "survey.json"]
    files = [folder / name for name in OUTPUTS[notebook] if name != "figures"]
    return [path if path.suffix else path / "model.safetensors" for path in files]


def set_outdated_aside(notebook: str, parameters: Mapping) -> None:
    """Move what a notebook left with other parameters, code or survey out of its way, and keep it.

    What was made with the same stays, so that interrupted work resumes; what
    was set aside before and is wanted again returns. `drop_outdated` deletes it once the notebook
    has made the new one.

    Raises:
        RunError: another process is at it.
    """
    folder = run_folder(parameters["profile"], parameters["run"])
    record, now = _record_path(folder, notebook), _record(notebook, parameters)
    aside = _aside(folder, notebook)

    def is_current(path: Path) -> bool:
        before = json.loads(path.read_text()) if path.exists() else {}
        return all(before.get(k) == now[k] for k in ("parameters", "code", "survey"))

    if is_current(record) or not (record.exists() or aside.exists()):
        return
    lock = _lock(folder, notebook)
    for name in OUTPUTS[notebook]:
        if (folder / name).is_dir():
            own = [p.removeprefix(f"{name}/") for p in RUN_FILES if p.startswith(f"{name}/")]
            require_own_files(folder / name, own, "a rerun", RunError)
    if record.exists():
        survey = json.loads(record.read_text())["parameters"].get("survey", "")
        # Of two that are outdated the older is whole: had the newer been, it would be alone.
        kept = not aside.exists()
        for name, path in _outputs(notebook, folder, survey).items():
            _move(path, aside / name if kept else None)
        _move(record, aside / record.name if kept else None)
    if is_current(aside / record.name):
        for name, path in _outputs(notebook, folder, parameters.get("survey", "")).items():
            _move(aside / name, path)
        _move(aside / record.name, record)
        shutil.rmtree(aside)
    # The notebook takes it in a process of its own.
    let_go(lock)


def drop_outdated(notebook: str, parameters: Mapping) -> None:
    """Delete what `set_outdated_aside` kept of a notebook: it has made the new one."""
    folder = run_folder(parameters["profile"], parameters["run"])
    remove_own(_aside(folder, notebook), ASIDE_FILES, "what is outdated", RunError)


def wipe(parameters: Mapping[str, Mapping]) -> None:
    """Delete the run and the survey of a profile.

    Arguments:
        parameters: of each notebook, of `profile_parameters`.

    Raises:
        RunError: one of the folders holds anything else; nothing is deleted then.
    """
    first = parameters[NOTEBOOKS[0]]
    run = run_folder(first["profile"], first["run"])
    whole = (*RUN_FILES, *(f"outdated/*/{pattern}" for pattern in ASIDE_FILES))
    survey = survey_folder(first["survey"])
    for act in (require_own_files, remove_own):
        act(run, whole, "this profile", RunError)
        act(survey, SURVEY_FILES, "this profile", RunError)


def code_shown(notebook: str) -> str:
    """Digest of all code whose results or words a notebook shows, figures and tables included."""
    figures = sorted((repository_root() / "galcfm" / "figures").rglob("*.py"))
    return files_digest([*rooms_of(script_of(notebook), without=NOT_SHOWN), *figures])


def published_read(notebook: str) -> list[Path]:
    """Stored results that a notebook may read: all, where it reads any."""
    script = script_of(notebook).read_text(encoding="utf-8")
    if "published_folder" not in script and "from studies" not in script:
        return []
    kinds = {".json", ".parquet", ".safetensors", ".nc", ".npz"}
    return sorted(path for path in published_folder().rglob("*") if path.suffix in kinds)


def published_with_changes() -> list[str]:
    """Names of the published results that code with uncommitted changes has made, in whole or part.

    The commit that such a result names does not hold all of the code that made it.
    """

    def dirty(content) -> bool:
        if isinstance(content, Mapping):
            return content.get("dirty") is True or any(map(dirty, content.values()))
        return isinstance(content, list) and any(map(dirty, content))

    files = sorted(published_folder().glob("*.json"))
    return [path.name for path in files if dirty(json.loads(path.read_text(encoding="utf-8")))]


def script_of(notebook: str) -> Path:
    """The notebook as Python."""
    return repository_root() / "notebooks" / f"{notebook}.py"


def _require_nothing(notebook: str, folder: Path) -> None:
    """Refuse a run that holds what a notebook leaves although it has not run there."""
    present = [name for name in OUTPUTS[notebook] if (folder / name).exists()]
    if present:
        raise RunError(
            f"{folder} holds {', '.join(present)}, but {notebook} has not run there: move it "
            "away, or name another run (-p run NAME)"
        )


def _aside(folder: Path, notebook: str) -> Path:
    return folder / "outdated" / notebook


def _outputs(notebook: str, folder: Path, survey: str) -> dict[str, Path]:
    """What a notebook leaves, by its name: the first one a survey, which is no part of a run."""
    if notebook == NOTEBOOKS[0]:
        return {"survey": survey_folder(survey)}
    return {name: folder / name for name in OUTPUTS[notebook]}


def _move(path: Path, target: Path | None) -> None:
    """Move what is there, or delete it where there is no target."""
    if not path.exists():
        return
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _parameters_cell(notebook: str) -> str:
    path = repository_root() / "notebooks" / f"{notebook}.ipynb"
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
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


def _record_path(folder: Path, notebook: str) -> Path:
    return folder / "parameters" / f"{notebook}.json"


def _lock(folder: Path, notebook: str) -> Path:
    lock = _record_path(folder, notebook).with_suffix(".lock")
    refusal = RunError(
        f"another process runs {notebook} in {folder}: wait for it, stop it, or name another run "
        "(-p run NAME)"
    )
    with disk_errors_in_a_sentence(folder):
        hold(lock, refusal)
    return lock


def _record(notebook: str, parameters: Mapping) -> dict:
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
    path = survey_folder(parameters["survey"]) / "survey.json"
    return digest(json.loads(path.read_text()).get("files")) if path.exists() else None


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
    for earlier in NOTEBOOKS[1 : NOTEBOOKS.index(notebook)]:
        if not all((folder / name).exists() for name in OUTPUTS[earlier]):
            arguments = "".join(f" -p {k} {v}" for k, v in options.items() if v)
            raise RunError(
                f"{folder} lacks {', '.join(OUTPUTS[earlier])}: run "
                f"`{command.format(earlier)}{arguments}` first"
            )
