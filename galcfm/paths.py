"""Folders, atomic writing of files, locks, and disk space and memory.

Paths start from the repository that contains this package, independent of the working directory, so
that notebooks in `notebooks/` and scripts in the root find the same data. `GALCFM_DATA` gives
another folder for surveys and runs. An installed package without a repository uses `./data`.
"""

import ctypes
import errno
import os
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

# Files in the folders of models, including their trainings, and of surveys.
MODEL_FILES = (
    "model.json",
    "model.safetensors",
    "range.safetensors",
    "checkpoint.pt",
    "training.csv",
    "README.md",
)
SURVEY_FILES = (
    "catalogue.parquet",
    "images.npy",
    "embedding_*.npy",
    "rejected.parquet",
    "survey.json",
    ".verified.json",
)
# Temporary files of interrupted writes, and files that file browsers create in any folder.
DROPPINGS = (".*.tmp*", ".DS_Store", "Thumbs.db", "desktop.ini")


def repository_root() -> Path:
    """Return the repository's folder, or the working directory without a repository."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "_toc.yml").exists() else Path.cwd()


def data_folder() -> Path:
    """Return the folder that contains `surveys/`, `runs/` and `cache/`."""
    folder = os.environ.get("GALCFM_DATA", repository_root() / "data")
    return user_path(folder, "GALCFM_DATA").resolve()


def published_folder() -> Path:
    """Return the folder of the small results in the repository, independent of `GALCFM_DATA`."""
    return repository_root() / "data" / "published"


def download_folder(name: str) -> Path:
    """Return the folder of downloads, which galcfm never deletes."""
    return data_folder() / "downloads" / name


def survey_folder(name: str) -> Path:
    """Return the folder of the survey called `name`."""
    return data_folder() / "surveys" / _plain("survey", name)


def run_folder(profile: str, run: str = "") -> Path:
    """Return the folder of a run: `data/runs/PROFILE`, or `data/runs/PROFILE-RUN` with a `run`."""
    return data_folder() / "runs" / _plain("run", f"{profile}-{run}" if run else profile)


def _plain(what: str, name: str) -> str:
    """Return a name, or refuse it if it could lead out of its folder."""
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"the {what} is called {name!r}: use only letters, digits and . + - _")
    return name


def user_path(path: Path | str, what: str = "the path", error=ValueError) -> Path:
    """Return a path given by a user, with `~` replaced by the home folder.

    Arguments:
        path: Path, which need not exist.
        what: Meaning of the path, for the message.
        error: Kind of the exception.

    Raises:
        Exception: The path is empty, or the system rejects the name; the kind is `error`.
    """
    text = os.fspath(path)
    try:
        if not text.strip():
            raise ValueError("it is empty")
        found = Path(text.encode().decode()).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found.lstat()
        return found
    # The name may also be no UTF-8, or name the home folder of an unknown user.
    except (ValueError, RuntimeError, OSError) as reason:
        said = getattr(reason, "strerror", None) or reason
        raise error(
            f"{what} {text[:80]!r} cannot be used ({said}): check the variable that holds it, or "
            "rename the file"
        ) from reason


@contextmanager
def replacing(path: Path | str, is_own: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    If the block fails, the temporary file is removed and `path` is unchanged. A link stays, and the
    file that it points to is replaced.

    Arguments:
        path: Path of the file.
        is_own: Function that returns whether an existing file may be replaced; by default any may
            be.

    Raises:
        OSError: The file cannot be written, or it exists and galcfm did not write it.
    """
    path = Path(os.path.realpath(user_path(path)))
    if is_own is not None and path.exists() and not (path.is_file() and _judged(is_own, path)):
        raise FileExistsError(
            f"{path} exists, and galcfm did not write it: move it away, or name another file"
        )
    # The ending is kept, because several libraries infer the format from it.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    with disk_errors_in_a_sentence(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _judged(is_own: Callable[[Path], bool], path: Path) -> bool:
    try:
        return bool(is_own(path))
    # Foreign files may raise any error in their reader.
    except Exception:
        return False


def require_own_files(folder: Path, own: Iterable[str], what: str, error=FileExistsError) -> None:
    """Refuse a folder that contains files that galcfm did not write, before any work.

    Arguments:
        folder: Folder, which need not exist.
        own: Names of galcfm's files, or patterns of paths below the folder.
        what: Intended content of the folder, e.g. "a model", for the message.
        error: Kind of the exception.

    Raises:
        Exception: There is a foreign file, which the message names; the kind is `error`.
    """
    if folder.exists() and not folder.is_dir():
        raise error(f"{folder} is a file, but {what} needs a folder: name another")
    folders = {str(parent) for pattern in own for parent in Path(pattern).parents}
    found = []
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        name = path.relative_to(folder).as_posix()
        patterns = (*folders, *own) if path.is_dir() else own
        known = any(fnmatch(name, pattern) for pattern in patterns)
        known |= any(fnmatch(path.name, pattern) for pattern in DROPPINGS)
        if path.is_symlink() or not known:
            found.append(name)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise error(
            f"{folder} contains {', '.join(found[:3])}{more}, which is no part of {what} and would "
            "be lost: move it away, or name another folder"
        )


def remove_own(folder: Path, own: Iterable[str], what: str, error=FileExistsError) -> None:
    """Delete a folder that contains only galcfm's files; refuse others as `require_own_files`."""
    require_own_files(folder, own, what, error)
    if folder.exists():
        shutil.rmtree(folder)


def require_disk_space(folder: Path | str, n_bytes: int) -> None:
    """Raise `OSError` before long work if `folder` has less than `n_bytes` of free space."""
    folder = Path(folder).resolve()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise OSError(
            f"{folder} needs {tqdm.format_sizeof(n_bytes, 'B')} but {existing} has "
            f"{tqdm.format_sizeof(free, 'B')} free: free some space, or set GALCFM_DATA to a "
            "folder on a larger disk"
        )


FULL = "free some space, or set GALCFM_DATA to a folder on a larger disk; running again continues"
CLOSED = "name a folder that can be written, or set GALCFM_DATA to one"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.EROFS: CLOSED,
    errno.ENOTDIR: "a part of the path is a file: name another folder",
    errno.EEXIST: "a part of the path is a file: name another folder",
    errno.EISDIR: "there is a folder of this name: name another file",
}


@contextmanager
def disk_errors_in_a_sentence(path: Path | str) -> Iterator[None]:
    """Replace the error of a full or read-only disk by one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        reason = os.strerror(error.errno)
        raise OSError(f"{path} cannot be written ({reason}): {REMEDIES[error.errno]}") from error


@contextmanager
def damage_in_a_sentence(
    path: Path | str, remedy: str, error: type[Exception] = ValueError
) -> Iterator[None]:
    """Replace any error that a damaged file raises in its reader by one error.

    Arguments:
        path: Path of the file.
        remedy: What to do about a damaged file, as a sentence.
        error: Type of the exception.

    Raises:
        Exception: The file is damaged; the message names it, the reason and the remedy.
        FileNotFoundError: The file does not exist.
    """
    try:
        yield
    except Exception as reason:
        if isinstance(reason, FileNotFoundError):
            raise
        said = " ".join(f"{type(reason).__name__} {reason}".split())[:300]
        raise error(f"{path} is damaged, or from another folder ({said}). {remedy}") from reason


# The kernel of a killed process may end a moment later.
LOCK_WAIT = 5.0  # s
# Each lock with the thread that holds it.
_held: dict[Path, tuple[FileLock, threading.Thread]] = {}


def hold(path: Path, refusal: Exception) -> bool:
    """Lock `path` for this thread until `let_go`, or until the process ends for any reason.

    Returns:
        Whether this call locked it; False if this thread, or one that has ended, had locked it.

    Raises:
        Exception: Another process or thread has the lock; the exception is `refusal`.
    """
    path, caller = path.absolute(), threading.current_thread()
    if path in _held:
        lock, owner = _held[path]
        if owner is not caller and owner.is_alive():
            raise refusal
        _held[path] = lock, caller
        return False
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=LOCK_WAIT)
    except Timeout:
        raise refusal from None
    except NotImplementedError:
        # Some network disks have no locks.
        return True
    _held[path] = lock, caller
    return True


def let_go(path: Path) -> None:
    """Release a lock of `hold` and remove its file."""
    path = path.absolute()
    if path in _held:
        path.unlink(missing_ok=True)
        _held.pop(path)[0].release()


def no_bar(progress: bool) -> bool:
    """Return whether to hide progress bars: they are not wanted, or stderr is closed."""
    return not progress or sys.stderr is None


def keep_memory() -> None:
    """Let freed memory stay with the process, where the C library is glibc.

    Otherwise each large temporary array is returned to the system and allocated again page by page,
    which takes a third more time for training on images of 128×128 pixels and for the spectra of a
    simulated catalogue.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        # M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD: see mallopt(3).
        for parameter, value in ((-4, 0), (-1, (1 << 31) - 1), (-2, 64 << 20)):
            mallopt(parameter, value)
