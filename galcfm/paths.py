"""Folders, and how files are written: whole or not at all.

All paths come from the repository that holds this package, whatever the working directory, so
that a notebook finds its data from `notebooks/` as from the root. `GALCFM_DATA` names another
folder for surveys and runs; an installed package without a repository uses `./data`.
"""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = [
    "data_folder",
    "download_folder",
    "full_disk_in_a_sentence",
    "hold",
    "let_go",
    "published_folder",
    "replacing",
    "repository_root",
    "require_disk_space",
    "run_folder",
    "survey_folder",
    "write_json",
]


def repository_root() -> Path:
    """Folder of the repository, or the working directory when galcfm is installed without one."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "_toc.yml").exists() else Path.cwd()


def data_folder() -> Path:
    """Folder that holds `surveys/`, `runs/` and `cache/`."""
    return Path(os.environ.get("GALCFM_DATA", repository_root() / "data")).resolve()


def published_folder() -> Path:
    """Folder of the small results that are kept in the repository, wherever `GALCFM_DATA` is."""
    return repository_root() / "data" / "published"


def download_folder(name: str) -> Path:
    """Folder of what came over the network, which nothing here ever deletes."""
    return data_folder() / "downloads" / name


def survey_folder(name: str) -> Path:
    """Folder of the survey called `name`."""
    return data_folder() / "surveys" / name


def run_folder(profile: str, run: str = "") -> Path:
    """Folder of a run: `data/runs/PROFILE`, or `data/runs/PROFILE-RUN` when `run` is given."""
    return data_folder() / "runs" / (f"{profile}-{run}" if run else profile)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    When the block fails, the temporary file is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept: several libraries choose the format by it.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path | str, content: dict) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def require_disk_space(folder: Path | str, n_bytes: int) -> None:
    """Raise `OSError` before long work when `folder` has less than `n_bytes` free."""
    folder = Path(folder).resolve()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise OSError(
            f"{folder} needs {n_bytes / 1e9:.1f} GB but {existing} has {free / 1e9:.1f} GB free: "
            "free some space, or set GALCFM_DATA to a folder on a larger disk"
        )


@contextmanager
def full_disk_in_a_sentence(path: Path | str) -> Iterator[None]:
    """Turn the error of a disk, quota or file size at its limit into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(
            f"{path} cannot be written ({os.strerror(error.errno)}): free some space, or set "
            "GALCFM_DATA to a folder on a larger disk; running again continues"
        ) from error


# A process that was killed may leave a kernel that ends itself a moment later.
LOCK_WAIT = 5.0  # s
_held: dict[Path, FileLock] = {}


def hold(path: Path, refusal: Exception) -> None:
    """Lock `path` for this process until `let_go`, or until the process ends, however it ends.

    Raises:
        Exception: `refusal`, when another process holds it.
    """
    path = path.absolute()
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=LOCK_WAIT)
    except Timeout:
        raise refusal from None
    except NotImplementedError:
        # Some network disks know no locks.
        return
    _held[path] = lock


def let_go(path: Path) -> None:
    """Release a lock of `hold`, and remove its file."""
    path = path.absolute()
    if path in _held:
        path.unlink(missing_ok=True)
        _held.pop(path).release()
