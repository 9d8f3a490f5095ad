"""Folders, how files are written, whole or not at all, and what disk and memory give.

All paths come from the repository that holds this package, whatever the working directory, so
that a notebook finds its data from `notebooks/` as from the root. `GALCFM_DATA` names another
folder for surveys and runs; an installed package without a repository uses `./data`.
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

# What the folders of models, with their trainings, and of surveys hold.
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
    "rejected.parquet",
    "survey.json",
    ".verified.json",
)
# What a killed write leaves, and what file browsers put into any folder.
DROPPINGS = (".*.tmp*", ".DS_Store", "Thumbs.db", "desktop.ini")


def repository_root() -> Path:
    """Folder of the repository, or the working directory when galcfm is installed without one."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "_toc.yml").exists() else Path.cwd()


def data_folder() -> Path:
    """Folder that holds `surveys/`, `runs/` and `cache/`."""
    folder = os.environ.get("GALCFM_DATA", repository_root() / "data")
    return user_path(folder, "GALCFM_DATA").resolve()


def published_folder() -> Path:
    """Folder of the small results that are kept in the repository, wherever `GALCFM_DATA` is."""
    return repository_root() / "data" / "published"


def download_folder(name: str) -> Path:
    """Folder of what came over the network, which nothing here ever deletes."""
    return data_folder() / "downloads" / name


def survey_folder(name: str) -> Path:
    """Folder of the survey called `name`."""
    return data_folder() / "surveys" / _plain("survey", name)


def run_folder(profile: str, run: str = "") -> Path:
    """Folder of a run: `data/runs/PROFILE`, or `data/runs/PROFILE-RUN` when `run` is given."""
    return data_folder() / "runs" / _plain("run", f"{profile}-{run}" if run else profile)


def _plain(what: str, name: str) -> str:
    """A name that cannot lead out of its folder."""
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"the {what} is called {name!r}: use letters, digits and . + - _ alone")
    return name


def user_path(path: Path | str, what: str = "the path", error=ValueError) -> Path:
    """Return a path that a user gave, in which `~` stands for the home folder.

    Arguments:
        path: Path; nothing need be there.
        what: Meaning of the path, for the message.
        error: Kind of the exception.

    Raises:
        Exception: `error`, when the path is empty, or the system takes no such name.
    """
    text = os.fspath(path)
    try:
        if not text.strip():
            raise ValueError("it is empty")
        found = Path(text.encode().decode()).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found.lstat()
        return found
    # Also a name that is not UTF-8, or the home folder of nobody.
    except (ValueError, RuntimeError, OSError) as reason:
        said = getattr(reason, "strerror", None) or reason
        raise error(
            f"{what} {text[:80]!r} cannot be used ({said}): check the variable that holds it, or "
            "rename the file"
        ) from reason


@contextmanager
def replacing(path: Path | str, is_own: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    When the block fails, the temporary file is removed and `path` is left as it was. A link is
    followed, and stays.

    Arguments:
        path: where the file goes.
        is_own: whether a file that is there is one that may be replaced; without it, any is.

    Raises:
        OSError: the file cannot be written, or one is there that galcfm did not write.
    """
    path = Path(os.path.realpath(user_path(path)))
    if is_own is not None and path.exists() and not (path.is_file() and _judged(is_own, path)):
        raise FileExistsError(
            f"{path} is there, and galcfm did not write it: move it away, or name another file"
        )
    # The ending is kept: several libraries choose the format by it.
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
    # A stranger's file may break its reader in any way.
    except Exception:
        return False


def require_own_files(folder: Path, own: Iterable[str], what: str, error=FileExistsError) -> None:
    """Refuse a folder that holds what galcfm did not write, before any work.

    Arguments:
        folder: need not be there.
        own: names of files that are galcfm's, or patterns of paths below the folder.
        what: the folder is to hold, for the message.
        error: kind of the exception.

    Raises:
        Exception: `error`, by the name of what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise error(f"{folder} is a file, where {what} needs a folder: name another")
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
            f"{folder} holds {', '.join(found[:3])}{more}, which is no part of {what} and would be "
            "lost: move it away, or name another folder"
        )


def remove_own(folder: Path, own: Iterable[str], what: str, error=FileExistsError) -> None:
    """Delete a folder that holds nothing but galcfm's files; refuses as `require_own_files`."""
    require_own_files(folder, own, what, error)
    if folder.exists():
        shutil.rmtree(folder)


def require_disk_space(folder: Path | str, n_bytes: int) -> None:
    """Raise `OSError` before long work when `folder` has less than `n_bytes` free."""
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
    """Turn the error of a disk that is full or closed into one that says what to do."""
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
    """Turn whatever a damaged file does to its reader into one error.

    Arguments:
        path: Path of the file.
        remedy: What to do about a damaged file, as a sentence.
        error: Type of the exception.

    Raises:
        Exception: `error`, which names the file, the reason and the remedy.
        FileNotFoundError: The file does not exist.
    """
    try:
        yield
    except Exception as reason:
        if isinstance(reason, FileNotFoundError):
            raise
        said = " ".join(f"{type(reason).__name__} {reason}".split())[:300]
        raise error(f"{path} is damaged, or from another folder ({said}). {remedy}") from reason


# A process that was killed may leave a kernel that ends itself a moment later.
LOCK_WAIT = 5.0  # s
# Each lock with the thread that works under it.
_held: dict[Path, tuple[FileLock, threading.Thread]] = {}


def hold(path: Path, refusal: Exception) -> bool:
    """Lock `path` for this thread until `let_go`, or until the process ends, however it ends.

    Returns:
        Whether this call locked it; False if this thread, or one that has ended, held it before.

    Raises:
        Exception: `refusal`, when another process or thread holds it.
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
        # Some network disks know no locks.
        return True
    _held[path] = lock, caller
    return True


def let_go(path: Path) -> None:
    """Release a lock of `hold`, and remove its file."""
    path = path.absolute()
    if path in _held:
        path.unlink(missing_ok=True)
        _held.pop(path)[0].release()


def no_bar(progress: bool) -> bool:
    """Return whether no progress bar is shown: it is not wanted, or stderr is closed."""
    return not progress or sys.stderr is None


def keep_memory() -> None:
    """Let freed memory stay with the process, where the C library is glibc.

    Else each large temporary goes back to the system and comes page by page anew: a third more time
    for a training on images of 128×128 pixels, or for the spectra of a simulated catalogue.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        # M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD: see mallopt(3).
        for parameter, value in ((-4, 0), (-1, (1 << 31) - 1), (-2, 64 << 20)):
            mallopt(parameter, value)
