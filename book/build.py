"""What the build of the book sets aside, deletes and shows: called by `dodo.py`."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from galcfm.json_files import JsonFile
from galcfm.paths import (
    MODEL_FILES,
    SURVEY_FILES,
    let_go,
    published_folder,
    remove_own,
    repository_root,
    require_own_files,
    run_folder,
    survey_folder,
)
from galcfm.provenance import CHANGES_NOTHING, files_digest, rooms_of
from galcfm.runs import (
    NOTEBOOKS,
    NOTED,
    OUTPUTS,
    PAPER,
    RunError,
    check_parameters,
    lock_run,
    outputs,
    parameter_defaults,
    record,
    record_path,
    script_of,
)

# Chapters show what is taken and refused of a table, but nothing else of what changes no result.
SHOWN = ("galcfm.survey.conventions.", "galcfm.survey.intake.")
NOT_SHOWN = tuple(name for name in CHANGES_NOTHING if name not in SHOWN)
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
# Profiles that use the survey of another: what they change does not depend on it.
SURVEYS = {"desi": "quick"}
PUBLISHED = JsonFile("*.json", dict[str, Any], "Restore it from git.")
# What was set aside of a notebook.
ASIDE_FILES = (
    *(f"{name}.json" for name in NOTEBOOKS),
    *(f"survey/{name}" for name in SURVEY_FILES),
    *RUN_FILES,
)


def profile_parameters(profile: str) -> dict[str, dict]:
    """Parameters of each notebook in a profile.

    They are the notebook's own, except for `profile` and `survey`, which are called as the profile
    is unless `SURVEYS` names another survey, and for those that
    `notebooks/parameters/PROFILE/NOTEBOOK.yaml` names.

    Raises:
        RunError: the profile is unknown, or a file names a parameter that its notebook lacks.
    """
    found = {}
    for notebook in NOTEBOOKS:
        path = repository_root() / "notebooks" / "parameters" / profile / f"{notebook}.yaml"
        given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        check_parameters(notebook, profile, given)
        own = parameter_defaults(notebook)
        named = {"profile": profile, "survey": SURVEYS.get(profile, profile)}
        named = {name: value for name, value in named.items() if name in own}
        found[notebook] = own | named | given
    return found


def output_files(notebook: str, parameters: Mapping) -> list[Path]:
    """The files by which later notebooks see that this one has changed something."""
    first = {"survey": "survey.json"}
    return [
        path if path.suffix else path / first.get(name, "model.safetensors")
        for name, path in outputs(notebook, parameters).items()
        if name != "figures"
    ]


def set_outdated_aside(notebook: str, parameters: Mapping) -> None:
    """Move what a notebook left with other parameters, code or survey out of its way, and keep it.

    What was made with the same stays, so that interrupted work resumes; what
    was set aside before and is wanted again returns. `drop_outdated` deletes it once the notebook
    has made the new one.

    Raises:
        RunError: another process is at it.
    """
    if notebook not in PAPER:
        return  # A study keeps what it makes by its settings.
    folder = run_folder(parameters["profile"], parameters["run"])
    noted, now = record_path(folder, notebook), record(notebook, parameters)
    aside = _aside(folder, notebook)

    def is_current(path: Path) -> bool:
        before = NOTED.read(path, RunError) if path.exists() else {}
        return all(before.get(k) == now[k] for k in ("parameters", "code", "survey"))

    if is_current(noted) or not (noted.exists() or aside.exists()):
        return
    lock = lock_run(folder, notebook)
    for name in OUTPUTS.get(notebook, ()):
        if (folder / name).is_dir():
            own = [p.removeprefix(f"{name}/") for p in RUN_FILES if p.startswith(f"{name}/")]
            require_own_files(folder / name, own, "a rerun", RunError)
    if noted.exists():
        before = NOTED.read(noted, RunError)["parameters"]
        # Of two that are outdated the older is whole: had the newer been, it would be alone.
        kept = not aside.exists()
        for name, path in outputs(notebook, before).items():
            _move(path, aside / name if kept else None)
        _move(noted, aside / noted.name if kept else None)
    if is_current(aside / noted.name):
        for name, path in outputs(notebook, parameters).items():
            _move(aside / name, path)
        _move(aside / noted.name, noted)
        shutil.rmtree(aside)
    # The notebook takes it in a process of its own.
    let_go(lock)


def drop_outdated(notebook: str, parameters: Mapping) -> None:
    """Delete what `set_outdated_aside` kept of a notebook: it has made the new one."""
    folder = run_folder(parameters["profile"], parameters["run"])
    remove_own(_aside(folder, notebook), ASIDE_FILES, "what is outdated", RunError)


def wipe(parameters: Mapping[str, Mapping]) -> None:
    """Delete the run and the survey of a profile; a survey that is another's stays.

    Arguments:
        parameters: of each notebook, of `profile_parameters`.

    Raises:
        RunError: one of the folders holds anything else; nothing is deleted then.
    """
    first = parameters[NOTEBOOKS[0]]
    run = run_folder(first["profile"], first["run"])
    whole = (*RUN_FILES, *(f"outdated/*/{pattern}" for pattern in ASIDE_FILES))
    folders = {run: whole}
    if first["profile"] not in SURVEYS:
        folders[survey_folder(first["survey"])] = SURVEY_FILES
    for act in (require_own_files, remove_own):
        for folder, own in folders.items():
            act(folder, own, "this profile", RunError)


def code_shown(notebook: str) -> str:
    """Digest of all code whose results or words a notebook shows, figures and tables included."""
    figures = sorted((repository_root() / "galcfm" / "figures").rglob("*.py"))
    return files_digest([*rooms_of(script_of(notebook), without=NOT_SHOWN), *figures])


def rows_read(notebook: str) -> list[Path]:
    """Files beside the studies that a notebook imports in which these describe their rows."""
    folders = {path.parent for path in rooms_of(script_of(notebook)) if "studies" in path.parts}
    return sorted(path for folder in folders for path in folder.glob("*.yaml"))


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
    return [path.name for path in files if dirty(PUBLISHED.read(path))]


def _aside(folder: Path, notebook: str) -> Path:
    return folder / "outdated" / notebook


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
