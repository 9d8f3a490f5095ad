"""A copy of the repository, for tests that build in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = {"_build", ".venv", ".git", "data", "chapters", "__pycache__", "build"}


def copy_repository(folder: Path) -> Path:
    """Copy what git keeps of the repository, and return where it is."""
    shutil.copytree(
        ROOT,
        folder,
        ignore=lambda path, names: {n for n in names if n in MADE or n.startswith(".doit")},
    )
    shutil.copytree(ROOT / "data" / "published", folder / "data" / "published")
    if (ROOT / "data" / "cache").exists():
        # The table of stellar populations takes a while to make and is the same each time.
        shutil.copytree(ROOT / "data" / "cache", folder / "data" / "cache")
    return folder


def doit(copy: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run doit in a copy."""
    environment = os.environ | {"PYTHONPATH": str(copy)}
    environment.pop("GALCFM_DATA", None)
    return subprocess.run(
        [sys.executable, "-m", "doit", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
