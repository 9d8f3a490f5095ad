"""The folder of a result: opened by one process at a time, completed, and read."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.files import DESCRIPTION, RESULT
from galcfm.catalogue.partitions import read_record
from galcfm.catalogue.plan import Plan
from galcfm.catalogue.sources import Source
from galcfm.paths import (
    damage_in_a_sentence,
    disk_errors_in_a_sentence,
    hold,
    let_go,
    require_own_files,
)
from galcfm.provenance import provenance

ENDINGS = {"dataset": ".parquet", "rejected": ".parquet", "records": ".json"}
# What the folder of a result holds.
CATALOGUE_FILES = (DESCRIPTION, ".lock", *(f"{kind}/*{end}" for kind, end in ENDINGS.items()))


@dataclass(frozen=True)
class InferredCatalogue:
    """What `infer_catalogue` made, and where.

    Arguments:
        folder: Folder of the result: `dataset/` of Parquet files, `rejected/` of the rows that
            could not be used, `inference.json`.
        rows: Number of rows of the source.
        used: Number of rows that were inferred.
        rejected: Number of rows that could not be used.
        failed: Why partitions could not be read, by their names; a later call tries them again.
    """

    folder: Path
    rows: int
    used: int
    rejected: int
    failed: Mapping[str, str] = field(default_factory=dict)

    def table(self, columns=None) -> pd.DataFrame:
        """Return the whole result, or the columns with these names."""
        with damage_in_a_sentence(self.folder / "dataset", RESULT.remedy, CatalogueError):
            return pd.read_parquet(self.folder / "dataset", columns=columns)

    def rejected_rows(self) -> pd.DataFrame:
        """Return `file`, `row`, `object_id` and `reason` of each row that could not be used."""
        with damage_in_a_sentence(self.folder / "rejected", RESULT.remedy, CatalogueError):
            return pd.read_parquet(self.folder / "rejected")


@contextlib.contextmanager
def open_result(plan: Plan, source: Source) -> Iterator[dict]:
    """Hold the destination for one caller alone; yield records of what is done, by partition.

    Raises:
        CatalogueError: The destination holds anything else, or another caller has it open.
    """
    folder, described = plan.destination, plan.destination / DESCRIPTION
    require_own_files(folder, CATALOGUE_FILES, "an inferred catalogue", CatalogueError)
    if folder.exists() and any(path.name != ".lock" for path in folder.iterdir()):
        _require_same(described, plan.identity)
    refusal = CatalogueError(f"another process or thread is making {folder}: wait for it")
    with disk_errors_in_a_sentence(folder):
        if not hold(folder / ".lock", refusal):
            raise refusal
    try:
        records = {p.name: record for p in source.partitions if (record := read_record(plan, p))}
        _drop_others(folder, records)
        RESULT.write(described, _description(plan, "unfinished"))
        yield records
    finally:
        let_go(folder / ".lock")


def _require_same(described: Path, identity: dict) -> None:
    try:
        before = RESULT.read(described)["identity"]
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"{described.parent} is not empty but has no {DESCRIPTION} that galcfm wrote: move it "
            f"away, or name another folder ({error})"
        ) from error
    others = [name for name in identity if before.get(name) != identity[name]]
    if others:
        raise CatalogueError(
            f"{described.parent} was made with another {', '.join(others)}: name another folder, "
            "or delete this one"
        )


def _drop_others(folder: Path, done: Collection[str]) -> None:
    """Remove what is not done."""
    for kind, ending in ENDINGS.items():
        for path in (folder / kind).glob(f"*{ending}"):
            if path.name.removesuffix(ending) not in done:
                path.unlink()


def _description(plan: Plan, state: str) -> dict:
    return {"state": state, "identity": plan.identity, "made": provenance()}


def complete_result(plan: Plan, records: Mapping[str, dict]) -> InferredCatalogue:
    """Write down that all partitions are done, and return the result."""
    folder = plan.destination
    failed = {name: r["failed"] for name, r in records.items() if "failed" in r}
    counts = {
        name: sum(record.get(name, 0) for record in records.values())
        for name in ("rows", "used", "rejected")
    }
    content = _description(plan, "unfinished" if failed else "finished")
    RESULT.write(folder / DESCRIPTION, content | counts | {"failed": failed})
    return InferredCatalogue(folder, **counts, failed=failed)
