"""Folder of a result: it is opened by one process at a time, completed, and read."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from galcfm import paths
from galcfm.catalogue import CatalogueError
from galcfm.catalogue.files import DESCRIPTION, RESULT
from galcfm.catalogue.partitions import REJECTED, read_record
from galcfm.catalogue.plan import Plan
from galcfm.catalogue.sources import Source, and_more, source_of
from galcfm.provenance import provenance

ENDINGS = {"dataset": ".parquet", "rejected": ".parquet", "records": ".json"}
# Ending of finished partitions whose files have left the source.
GONE = ".gone"
# Files of the folder of a result.
CATALOGUE_FILES = (DESCRIPTION, ".lock", *(f"{kind}/*{end}" for kind, end in ENDINGS.items()))
CATALOGUE_FILES += tuple(f"{kind}/.*{end}{GONE}" for kind, end in ENDINGS.items())


@dataclass(frozen=True)
class InferredCatalogue:
    """Result of `infer_catalogue`: its folder and the numbers of rows.

    Arguments:
        folder: Folder of the result. It contains the Parquet files in `dataset/`, the rows that
            could not be used in `rejected/`, and `inference.json`.
        rows: Number of rows of the source.
        used: Number of rows that were inferred.
        rejected: Number of rows that could not be used.
        failed: Reasons why partitions could not be read, by the names of the partitions; a later
            call tries again to read them.
        left_out: Sentences about files that are not part of the result.
    """

    folder: Path
    rows: int
    used: int
    rejected: int
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def table(self, columns=None) -> pd.DataFrame:
        """Return the whole result, or the columns with these names."""
        with paths.damage_in_a_sentence(self.folder / "dataset", RESULT.remedy, CatalogueError):
            return pd.read_parquet(self.folder / "dataset", columns=columns)

    def rejected_rows(self) -> pd.DataFrame:
        """Return `file`, `row`, `object_id` and `reason` of each row that could not be used."""
        with paths.damage_in_a_sentence(self.folder / "rejected", RESULT.remedy, CatalogueError):
            return pd.read_parquet(self.folder / "rejected")


@contextlib.contextmanager
def open_result(plan: Plan, source: Source) -> Iterator[tuple[dict, list[str]]]:
    """Lock the destination for one caller; yield the records of finished partitions, by name.

    The context also yields sentences about files that are not part of the result.

    Raises:
        CatalogueError: The destination contains other files, or another caller has it open.
    """
    folder, described = plan.destination, plan.destination / DESCRIPTION
    paths.require_own_files(folder, CATALOGUE_FILES, "an inferred catalogue", CatalogueError)
    if folder.exists() and any(path.name != ".lock" for path in folder.iterdir()):
        _require_same(described, plan.identity)
    refusal = CatalogueError(f"another process or thread is making {folder}: wait for it")
    with paths.disk_errors_in_a_sentence(folder):
        if not paths.hold(folder / ".lock", refusal):
            raise refusal
    try:
        found = _take_up(plan, source)
        RESULT.write(described, _description(plan, "unfinished"))
        yield found
    finally:
        paths.let_go(folder / ".lock")


def _require_same(described: Path, identity: dict) -> None:
    try:
        before = RESULT.read(described)["identity"]
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"{described.parent} is not empty but has no {DESCRIPTION} written by galcfm: move the "
            f"folder away, or name another ({error})"
        ) from error
    others = [name for name in identity if before.get(name) != identity[name]]
    if others:
        raise CatalogueError(
            f"{described.parent} was made with another {', '.join(others)}: name another folder, "
            "or delete this folder"
        )


def _take_up(plan: Plan, source: Source) -> tuple[dict, list[str]]:
    """Return the records of finished partitions, and sentences about files outside the result.

    Unfinished files are removed. Finished partitions of a file that is no longer in the source
    become hidden files, and are used again when the file is back.
    """
    folder, told = plan.destination, list(source.left_out)
    for kind, ending in ENDINGS.items():
        for path in (folder / kind).glob(f".*{ending}{GONE}"):
            path.replace(path.with_name(path.name[1:].removesuffix(GONE)))
    records = {p.name: record for p in source.partitions if (record := read_record(plan, p))}
    finished = {path.stem for path in (folder / "records").glob("[!.]*.json")}
    there = {source_of(partition.name) for partition in source.partitions}
    gone = {name for name in finished if source_of(name) not in there}
    if gone:
        names = and_more(sorted({unquote(source_of(name)) for name in gone}))
        told.append(f"{names} is no longer in the source: hidden in {folder} until it is back")
    if changed := len(finished - gone - set(records)):
        told.append(f"{changed} partitions are inferred again: their files or sizes have changed")
    for kind, ending in ENDINGS.items():
        for path in (folder / kind).glob(f"*{ending}"):
            if (name := path.name.removesuffix(ending)) in gone:
                path.replace(path.with_name(f".{path.name}{GONE}"))
            elif name not in records:
                path.unlink()
    return records, told


def _description(plan: Plan, state: str) -> dict:
    return {"state": state, "identity": plan.identity, "made": provenance()}


def complete_result(
    plan: Plan, records: Mapping[str, dict], left_out: Sequence[str]
) -> InferredCatalogue:
    """Describe the result on disk after all partitions were processed, and return it.

    Arguments:
        plan: Plan of the inference.
        records: Records of the partitions by name.
        left_out: Sentences about files that are not part of the result.
    """
    from pyarrow import parquet, schema

    folder = plan.destination
    failed = {name: r["failed"] for name, r in records.items() if "failed" in r}
    if len(failed) == len(records):
        # A result without rows has the same columns as a result with rows.
        for kind, columns in (("dataset", plan.schema), ("rejected", schema(REJECTED))):
            with paths.replacing(folder / kind / "empty.parquet") as temporary:
                parquet.write_table(columns.empty_table(), temporary)
    counts = {
        name: sum(record.get(name, 0) for record in records.values())
        for name in ("rows", "used", "rejected")
    }
    content = _description(plan, "unfinished" if failed else "finished") | counts
    RESULT.write(folder / DESCRIPTION, content | {"failed": failed, "left_out": list(left_out)})
    return InferredCatalogue(folder, **counts, failed=failed, left_out=tuple(left_out))
