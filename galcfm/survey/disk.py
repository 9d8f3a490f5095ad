"""A survey on disk: a folder of a few files.

`catalogue.parquet` (one row per galaxy), `images.npy` (uint8, `(n, 128, 128, 3)`, channels i, r, g,
or linear cutouts as declared), `embedding_NAME.npy` (float32, `(n, length)`) and `survey.json`
(schema version, parameters with the declaration, software versions, shapes and SHA-256 sums).
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import pandas as pd
from msgspec import Meta

from galcfm.json_files import Count, JsonFile, object_of
from galcfm.paths import (
    SURVEY_FILES,
    damage_in_a_sentence,
    disk_errors_in_a_sentence,
    hold,
    let_go,
    remove_own,
    require_own_files,
    user_path,
)
from galcfm.properties import SDSS, Declaration
from galcfm.provenance import provenance
from galcfm.survey.rules import SurveyError, check_survey, image_kind

SCHEMA_VERSION = 1
HASHED_FILES = ("catalogue.parquet", "images.npy", "rejected.parquet")
EMBEDDING_FILE = "embedding_{}.npy"
PARTIAL_FILES = (*SURVEY_FILES, "identity.json", "done.txt")
IMAGES_A_BLOCK = 256

# Parameters of a survey that are read later; other parameters are allowed.
Parameters = object_of(
    kind=NotRequired[str],
    source=NotRequired[str],
    missing_bands=NotRequired[bool],
    declaration=NotRequired[Declaration],
)
Hashed = object_of(sha256=str, bytes=Count)
Files = Annotated[dict[str, Hashed], Meta(min_length=1)]
Description = object_of(schema_version=Literal[SCHEMA_VERSION], parameters=Parameters, files=Files)
Stamp = Annotated[list[int], Meta(min_length=2, max_length=2)]
Verified = object_of(stamp=Stamp, sha256=str)
SURVEY = JsonFile("survey.json", Description, "Restore it, or make the survey in another folder.")
IDENTITY = JsonFile(
    "identity.json", dict[str, Any], "Delete its folder, and make the survey again."
)
VERIFIED = JsonFile(".verified.json", dict[str, Verified], "Delete it.")


def read_description(folder: Path | str) -> dict:
    """Return the content of `survey.json` in `folder`.

    Raises:
        SurveyError: The file is missing or damaged, or has another schema.
    """
    path = user_path(folder, "the folder of the survey", SurveyError) / "survey.json"
    if not path.exists():
        raise SurveyError(
            f"{path} is missing: the folder is not a survey; notebook 01_data_curation makes one"
        )
    return SURVEY.read(path, SurveyError)


def hashed_files(declaration: Declaration) -> tuple[str, ...]:
    """Return the names of the files that a survey may have besides `survey.json`."""
    return (*HASHED_FILES, *(EMBEDDING_FILE.format(each.name) for each in declaration.embeddings))


def verify(folder: Path, description: dict) -> None:
    """Check that the files of a survey agree with `description`.

    Raises:
        SurveyError: A file is missing or altered.
    """
    if absent := {HASHED_FILES[0]} - description["files"].keys():
        raise SurveyError(f"{folder / 'survey.json'} does not list {absent.pop()}. {SURVEY.remedy}")
    for name, expected in description["files"].items():
        if not (folder / name).exists():
            raise SurveyError(f"{folder / name} is missing: make the survey again")
        if not _is_file_of(folder / name, expected["sha256"]):
            raise SurveyError(
                f"{folder / name} is not the file that survey.json describes (its SHA-256 "
                "differs): restore it or make the survey again"
            )


def require_own_survey(folder: Path) -> None:
    """Check, before any work, that a folder is empty or contains only a survey.

    Raises:
        SurveyError: The folder contains other files, which the message names.
    """
    require_own_files(folder, SURVEY_FILES, "a survey", SurveyError)
    present = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    try:
        if present:
            SURVEY.read(folder / "survey.json")
    except (OSError, ValueError) as error:
        raise SurveyError(
            f"{folder} contains {', '.join(present)} but no survey.json written by galcfm: move "
            f"the folder away, or name another ({error})"
        ) from error


def _read_if_whole(kind: JsonFile, path: Path) -> dict:
    """Return the content of an optional file, empty if it is missing or damaged."""
    try:
        return kind.read(path)
    except (OSError, ValueError):
        return {}


class SurveyWriter:
    """Writer of a survey, which fills a temporary folder and moves it into place when finished.

    Arguments:
        folder: Folder of the survey.
        n_images: Number of images; 0 for a catalogue without cutouts.
        identity: Description of the origin of the images, as JSON content. Images from an
            interrupted writer with the same identity are kept; without an identity, none is kept.
        declaration: What the survey has.

    Attributes:
        images: Memory map of the images that `put` has written, uint8 `(n_images, 128, 128, 3)`
            or as declared; `None` without images.
        partial: Temporary folder, which other processes pass to `put`.
        done: Blocks that were passed to `note_done`, including those of an interrupted writer.

    Raises:
        SurveyError: Another process is writing this survey, or the folder contains other files.
        OSError: The disk is full, or cannot be written.
    """

    def __init__(
        self,
        folder: Path | str,
        n_images: int,
        identity: dict | None = None,
        declaration: Declaration = SDSS,
    ):
        # A symbolic link is followed and kept.
        folder = user_path(folder, "the folder of the survey", SurveyError)
        self.folder = Path(os.path.realpath(folder))
        self.partial, self._lock = beside(self.folder, "partial"), beside(self.folder, "lock")
        self.images, self.done, self.declaration = None, set(), declaration
        require_own_survey(self.folder)
        with disk_errors_in_a_sentence(self.folder):
            hold(
                self._lock,
                SurveyError(f"another process or thread is making {self.folder}: wait for it"),
            )
        try:
            with disk_errors_in_a_sentence(self.folder):
                self._begin(n_images, identity)
        except (OSError, SurveyError):
            let_go(self._lock)
            raise

    def _begin(self, n_images: int, identity: dict | None) -> None:
        """Resume from the files of an interrupted writer with the same identity, or start again."""
        require_own_files(self.partial, PARTIAL_FILES, "an unfinished survey", SurveyError)
        recover(self.folder, SURVEY_FILES, "a survey")
        images, done = self.partial / "images.npy", self.partial / "done.txt"
        left = _read_if_whole(IDENTITY, self.partial / "identity.json")
        if identity is not None and left == identity and images.exists():
            with damage_in_a_sentence(done, IDENTITY.remedy, SurveyError):
                lines = done.read_text(encoding="utf-8").split("\n")
                # The last line may be incomplete.
                self.done = {int(line) for line in lines[:-1]}
            done.write_text("".join(f"{k}\n" for k in sorted(self.done)), encoding="utf-8")
        else:
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir(parents=True)
            if n_images:
                shape, dtype = image_kind(self.declaration)
                np.lib.format.open_memmap(images, "w+", dtype, (n_images, *shape))
            if identity is not None:
                done.touch()
                IDENTITY.write(self.partial / "identity.json", identity)
        if images.exists():
            with damage_in_a_sentence(images, IDENTITY.remedy, SurveyError):
                self.images = np.load(images, mmap_mode="r")

    @staticmethod
    def put(partial: Path, start: int, images: np.ndarray) -> None:
        """Write images, beginning with row `start`.

        Raises:
            OSError: The disk is full.
        """
        path = partial / "images.npy"
        target = np.load(path, mmap_mode="r")
        # Written to the file, as a full disk would kill a process that writes a memory map.
        with disk_errors_in_a_sentence(path), path.open("r+b") as file:
            file.seek(target.offset + start * target[:1].nbytes)
            file.write(np.ascontiguousarray(images, dtype=target.dtype))
            os.fsync(file.fileno())

    @staticmethod
    def note_done(partial: Path, block: int) -> None:
        """Record that a block of images is on disk, so that it is not made again."""
        # Several processes may append; such a short line is written at once.
        with (partial / "done.txt").open("a", encoding="utf-8") as file:
            file.write(f"{block}\n")

    def finish(
        self,
        catalogue: pd.DataFrame,
        parameters: dict,
        code: str | None = None,
        rejected: pd.DataFrame | None = None,
        embeddings: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Validate and describe the survey, and move it into place.

        Arguments:
            catalogue: Table with one row per galaxy.
            parameters: Parameters that made the survey.
            code: Digest of the code that made it.
            rejected: Rows that could not be used.
            embeddings: Embeddings by name, float32 `(n, length)`.

        Raises:
            SurveyError: The content is not valid; the survey is then not moved into place.
            OSError: The disk is full.
        """
        try:
            with disk_errors_in_a_sentence(self.folder):
                self._finish(catalogue, parameters, code, rejected, embeddings or {})
        finally:
            let_go(self._lock)

    def _finish(self, catalogue: pd.DataFrame, parameters, code, rejected, embeddings) -> None:
        missing_bands = parameters.get("missing_bands", False)
        check_survey(
            catalogue, self.images, str(self.folder), missing_bands, self.declaration, embeddings
        )
        for name, values in embeddings.items():
            np.save(self.partial / EMBEDDING_FILE.format(name), values)
        parameters = parameters | (
            {"declaration": self.declaration.content} if self.declaration.content else {}
        )
        catalogue.to_parquet(self.partial / "catalogue.parquet", index=False)
        if rejected is not None:
            rejected.to_parquet(self.partial / "rejected.parquet", index=False)
        files = {
            path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size}
            for path in (self.partial / name for name in hashed_files(self.declaration))
            if path.exists()
        }
        SURVEY.write(
            self.partial / "survey.json",
            {
                "schema_version": SCHEMA_VERSION,
                "parameters": parameters,
                "code": code,
                "n_galaxies": len(catalogue),
                "image_shape": None if self.images is None else list(self.images.shape),
                "files": files,
                "provenance": provenance(),
            },
        )
        self.images = None
        for name in ("identity.json", "done.txt"):
            (self.partial / name).unlink(missing_ok=True)
        for path in (self.partial / name for name in files):
            _remember(path, files[path.name]["sha256"])
        # Checked again, as files may have been added while the survey was made.
        require_own_survey(self.folder)
        put_in_place(self.partial, self.folder, SURVEY_FILES, "a survey")


def beside(folder: Path, what: str) -> Path:
    """Return the path of a temporary file or folder next to a folder."""
    return folder.with_name(f".{folder.name}.{what}")


def put_in_place(partial: Path, folder: Path, own, what: str) -> None:
    """Replace a folder by its finished new version; the arguments are as in `recover`."""
    if folder.exists():
        os.replace(folder, beside(folder, "replaced"))
    os.replace(partial, folder)
    recover(folder, own, what)


def recover(folder: Path, own, what: str) -> None:
    """Restore a folder after an interrupted replacement, and remove its replaced version.

    Arguments:
        folder: Folder of a survey or data set.
        own: Names of its files, see `require_own_files`.
        what: Content of the folder in messages.

    Raises:
        SurveyError: The replaced version contains other files.
    """
    replaced = beside(folder, "replaced")
    if replaced.exists() and not folder.exists():
        os.replace(replaced, folder)
    remove_own(replaced, own, f"{what} that was replaced", SurveyError)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _remember(path: Path, digest: str) -> None:
    memory = path.with_name(".verified.json")
    known = _read_if_whole(VERIFIED, memory)
    VERIFIED.write(memory, known | {path.name: {"stamp": _stamp(path), "sha256": digest}})


def _is_file_of(path: Path, expected: str) -> bool:
    """Return whether a file has this SHA-256, computed once per size and time stamp."""
    known = _read_if_whole(VERIFIED, path.with_name(".verified.json")).get(path.name)
    if known == {"stamp": _stamp(path), "sha256": expected}:
        return True
    digest = _sha256(path)
    # A read-only survey is verified each time.
    if os.access(path.parent, os.W_OK):
        _remember(path, digest)
    return digest == expected
