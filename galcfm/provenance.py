"""Provenance of results: commit and machine, and digests of code and of data."""

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
import yaml

from galcfm.paths import repository_root

# Folder of each package that is part of the digests. The wheel does not contain the studies.
FOLDERS = {
    "galcfm": Path(__file__).resolve().parent,
    "studies": repository_root() / "notebooks" / "studies",
}
# Modules that display, find, annotate or export results, or import other tables; they do not change
# results made here.
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
    """Return the name of the processor, if the system gives it, and the number of its cores."""
    description = Path("/proc/cpuinfo")
    lines = description.read_text(encoding="utf-8").splitlines() if description.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def provenance() -> dict:
    """Return commit, dirty flag, software versions and machine of the running code."""

    def git(*arguments):
        answer = subprocess.run(
            ["git", "-C", str(repository_root()), *arguments], capture_output=True, encoding="utf-8"
        )
        return answer.stdout.strip() if answer.returncode == 0 else None

    # Stored results that are being remade are not code.
    changes = git("status", "--porcelain", "--untracked-files=no", ":/", ":!/data/published")
    return {
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "pandas", "pyarrow")},
        "machine": processor(),
    }


def digest(content) -> str:
    """Return twelve hexadecimal digits of any JSON content.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def array_digest(*arrays) -> str:
    """Return twelve hexadecimal digits of types, shapes and values of arrays, including `None`."""
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
    """Return twelve hexadecimal digits of the code in the rooms that `rooms_of` finds."""
    return files_digest(rooms_of(*roots))


def files_digest(files: Iterable[Path]) -> str:
    """Return twelve hexadecimal digits of the effective code in files.

    Syntax trees are compared, so that comments, docstrings and layout do not matter.
    """
    # The text that `digest` would make of one list of all files; the part of each file is cached.
    text = f"[{', '.join(map(_meaning, files))}]"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rooms_of(*roots: str | Path, without: tuple[str, ...] | None = None) -> list[Path]:
    """Return files of `galcfm` and `studies` that modules and scripts import, also indirectly.

    A name imported from a package belongs to the module that defines it.

    Arguments:
        roots: Names of modules, which are included, or paths of scripts.
        without: Prefixes of names of modules that are neither included nor followed; by default
            `CHANGES_NOTHING`.
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
    """Return dotted names that a file imports from `FOLDERS`: modules, or names defined there."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] in FOLDERS}


def _definer(name: str) -> str:
    """Return the module of a dotted name: itself, or the one from which its package imports it."""
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
    """Return a file's name, its syntax tree without docstrings, and the data in its YAML file."""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = body[1:]
    (folder,) = (folder for folder in FOLDERS.values() if path.is_relative_to(folder))
    parts = [str(path.relative_to(folder)), ast.dump(tree)]
    if (data := path.with_suffix(".yaml")).exists():
        parts.append(yaml.safe_load(data.read_text(encoding="utf-8")))
    return json.dumps(parts)
