"""Where results come from: commit and machine, and digests of code and of data."""

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from galcfm.paths import repository_root

# Folder of each package whose code counts. Studies lie beside the notebooks, not in the wheel.
FOLDERS = {
    "galcfm": Path(__file__).resolve().parent,
    "studies": repository_root() / "notebooks" / "studies",
}
# What shows, finds, notes or hands out results, or lets in other tables, and changes none that is
# made here.
CHANGES_NOTHING = (
    "galcfm.figures.",
    "galcfm.json_files.",
    "galcfm.paths.",
    "galcfm.posterior.hub.",
    "galcfm.provenance.",
    "galcfm.runs.",
    "galcfm.survey.conventions.",
    "galcfm.survey.datasets.",
    "galcfm.survey.intake.",
)


def processor() -> str:
    """Name of the processor, where the system tells it, and number of its cores."""
    description = Path("/proc/cpuinfo")
    lines = description.read_text(encoding="utf-8").splitlines() if description.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def provenance() -> dict:
    """Commit, dirty flag, software versions and machine of the code that is running."""

    def git(*arguments):
        answer = subprocess.run(
            ["git", "-C", str(repository_root()), *arguments], capture_output=True, encoding="utf-8"
        )
        return answer.stdout.strip() if answer.returncode == 0 else None

    # Stored results that are being made again are not code.
    changes = git("status", "--porcelain", "--untracked-files=no", ":/", ":!/data/published")
    return {
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "pandas", "pyarrow")},
        "machine": processor(),
    }


def digest(content) -> str:
    """Twelve hexadecimal digits of any JSON content.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def array_digest(*arrays) -> str:
    """Twelve hexadecimal digits of arrays' kinds, shapes and values; `None` counts as well."""
    found = hashlib.sha256()
    for array in (None if x is None else np.asarray(x) for x in arrays):
        if array is None:
            found.update(b"None")
            continue
        found.update(f"{array.dtype} {array.shape}".encode())
        if array.dtype == object:
            array = np.array(list(map(str, array.ravel())), dtype=np.str_)
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:12]


def code_digest(*roots: str | Path) -> str:
    """Twelve hexadecimal digits of the code in the rooms that `rooms_of` finds."""
    return files_digest(rooms_of(*roots))


def files_digest(files: Iterable[Path]) -> str:
    """Twelve hexadecimal digits of what files of code do.

    Syntax trees are compared: comments, docstrings and layout count for nothing.
    """
    # The text that `digest` would make of all in one list, of which each file's is made once.
    text = f"[{', '.join(map(_meaning, files))}]"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rooms_of(*roots: str | Path, without: tuple[str, ...] | None = None) -> list[Path]:
    """Files of `galcfm` and `studies` that modules and scripts import, directly or through others.

    What is imported from a package counts as from the module that defines it.

    Arguments:
        roots: names of modules, which are counted too, or paths of scripts.
        without: beginnings of the names of modules that are neither counted nor followed; by
            default those of `CHANGES_NOTHING`.
    """
    without = CHANGES_NOTHING if without is None else without
    waiting = [root if isinstance(root, Path) else _file_of(root) for root in roots]
    found = {_file_of(root) for root in roots if not isinstance(root, Path)}
    while waiting:
        for name in _imports(waiting.pop()):
            module = _definer(name)
            path = _file_of(module)
            if path not in (None, *found) and not f"{module}.".startswith(without):
                found.add(path)
                waiting.append(path)
    return sorted(found)


def _file_of(module: str) -> Path | None:
    package, *inside = module.split(".")
    base = FOLDERS[package].joinpath(*inside)
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()), None)


@cache
def _imports(path: Path) -> set[str]:
    """Dotted names that a file imports of `FOLDERS`: of modules, or of what they define."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] in FOLDERS}


def _definer(name: str) -> str:
    """The module behind a dotted name: itself, or where its package has it from."""
    if _file_of(name) is not None:
        return name
    package, _, wanted = name.rpartition(".")
    path = _file_of(package)
    if path is not None and path.name == "__init__.py":
        for other in _imports(path):
            if other.rpartition(".")[2] == wanted and other != name:
                return _definer(other)
    return package


@cache
def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _meaning(path: Path) -> str:
    """A file's name and syntax tree without docstrings."""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = body[1:]
    (folder,) = (folder for folder in FOLDERS.values() if path.is_relative_to(folder))
    return json.dumps([str(path.relative_to(folder)), ast.dump(tree)])
