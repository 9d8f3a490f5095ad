"""One partition: read, judged, inferred and written, whole or not at all.

A worker has task and model already, in `PLANS`, and is told the partition alone. The record of a
partition is written last: where it stands, the partition is done.
"""

import contextlib
import json
import os
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from galcfm.catalogue.pictures import Pictures
from galcfm.catalogue.sources import Block, CatalogueError, Partition, blocks, without_rows
from galcfm.catalogue.summaries import summarise
from galcfm.paths import REMEDIES, write_json
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import SurveyError
from galcfm.survey.cutouts import collect_cutouts
from galcfm.survey.intake import (
    LABELS,
    choose_columns,
    declared_unit,
    read_columns,
    require_extinction,
    storable,
    to_magnitudes,
)
from galcfm.survey.tables import INVERSE_VARIANCES

__all__ = [
    "PLANS",
    "CannotWrite",
    "Stopped",
    "Task",
    "choose",
    "infer_partition",
    "is_done",
    "sources_of",
]

# Tasks and their models in this process, by key. A worker gets them once, not with each partition.
PLANS: dict[str, tuple] = {}
# Galaxies read at once: their cutouts take 200 kB each, on the way to 128 × 128 pixels.
ROWS_A_BLOCK, ROWS_A_BLOCK_OF_PICTURES = 4096, 256


@dataclass(frozen=True)
class Task:
    """What is done with each partition.

    Arguments:
        key: digest of all that the result depends on.
        destination: folder of the result.
        columns: names in a survey to names in the source, `None` for one that is left out.
        unit, dereddened: of magnitudes or fluxes, as `Survey.from_table` has them.
        pictures: arguments of `Pictures`, and a stamp by which other pictures at the same place are
            noticed, or `None`.
        is_survey: the source is a survey of galcfm, whose galaxies may lack a position, and whose
            errors tell limits from magnitudes.
        schema: of the result, of Arrow.
        settings: `n_samples`, `steps`, `seed` and `n_draws`.
    """

    key: str
    destination: str
    columns: dict
    unit: str
    dereddened: bool
    pictures: tuple | None
    is_survey: bool = False
    schema: object = None
    settings: dict = field(default_factory=dict)

    def path(self, kind: str, partition: Partition, ending: str) -> Path:
        """Where something of a partition stands."""
        return Path(self.destination) / kind / f"{partition.name}{ending}"


def is_done(task: Task, partition: Partition) -> dict | None:
    """Record of a partition that is done and whole, of this very task and source."""
    try:
        record = json.loads(task.path("records", partition, ".json").read_text())
        sizes = {name: os.stat(Path(task.destination) / name).st_size for name in record["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = record["key"] == task.key and record["stamp"] == _stamp(task, partition)
    return record if same and sizes == record["files"] else None


def _stamp(task: Task, partition: Partition) -> list:
    """Of the rows and of the pictures of a partition."""
    return [partition.stamp, None if task.pictures is None else task.pictures[-1]]


def choose(block: Block, task: Task, model) -> dict[str, str]:
    """Name in a survey to column of the source, with all that model and task need.

    Raises:
        SurveyError: a column is missing.
    """
    names = block.table.names
    wanted = dict.fromkeys((*LABELS, "split"))
    if not model.use_redshift:
        wanted["redshift"] = None
    if not model.use_magnitude_errors:
        wanted |= dict.fromkeys((*MAGNITUDE_ERRORS, *INVERSE_VARIANCES))
    if task.dereddened:
        wanted["ebv"] = None
    unit, _ = declared_unit(task.unit)
    chosen = choose_columns(block.table, wanted | task.columns, unit, model.missing_bands)
    require_extinction(chosen, task.dereddened, block.file)
    needed = ["redshift"] * model.use_redshift
    if model.use_magnitude_errors:
        with_error = {name[-1] for name in chosen if name.startswith(("magerr_", "ivar_"))}
        bands = [band for band in BANDS if f"mag_{band}" in chosen and band not in with_error]
        needed += [f"magerr_{band}" for band in bands]
    missing = [name for name in needed if name not in chosen]
    kept = () if task.schema is None else {"ra", "dec", "redshift"} & set(task.schema.names)
    if absent := [name for name in sorted(kept) if name not in chosen and name not in missing]:
        raise SurveyError(
            f"{block.file} has no {', '.join(absent)}, which the first file has: all files of a "
            "source need the same columns"
        )
    if missing:
        raise SurveyError(
            f"{block.file} has no {', '.join(missing)}, with which this model was trained: map "
            f"columns to them, or use another model; it has {', '.join(map(str, names[:20]))}"
        )
    return chosen


def sources_of(chosen: dict[str, str]) -> tuple[str, ...]:
    """Columns that are read: of `flux[2]` the whole vector."""
    return tuple(dict.fromkeys(c for name in chosen.values() for c in (name, name.split("[")[0])))


def infer_partition(partition: Partition, key: str, frame=None, each=None) -> dict:
    """Infer the galaxies of a partition and write their rows and its record.

    Arguments:
        partition: which.
        key: of the task in `PLANS`.
        frame: its rows, where LSDB has computed them.
        each: called with the number of galaxies that are newly done; raises `Stopped` to end the
            work.

    Returns:
        The record. One of a partition that could not be read has `failed`, the reason, and is not
        kept on disk; one whose result could not be written has `fatal`, as no other will be
        either.
    """
    import torch

    # One thread a worker: they share the cores, and results do not depend on how many there are.
    torch.set_num_threads(1)
    started, computed = time.perf_counter(), time.thread_time()
    task, model = PLANS[key]
    # Dask repeats what it cannot know to be done: its worker died a moment later.
    if (record := is_done(task, partition)) is not None:
        return record
    try:
        record = _infer(partition, task, model, frame, each)
    except Stopped:
        return {"stopped": partition.name}
    except CannotWrite as error:
        return {"fatal": str(error), "partition": partition.name}
    except (SurveyError, CatalogueError) as error:
        return {"failed": str(error), "partition": partition.name}
    # Nor does what nobody thought of end the others.
    except Exception as error:
        reason = f"{partition.where}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return {"failed": reason, "partition": partition.name}
    record["seconds"] = round(time.perf_counter() - started, 3)
    # Of this thread alone, whatever else the machine does.
    record["core_seconds"] = round(time.thread_time() - computed, 3)
    try:
        write_json(task.path("records", partition, ".json"), record)
    except OSError as error:
        return {"fatal": str(error), "partition": partition.name}
    return record


class Stopped(Exception):
    """Nobody waits for the result any more."""


class CannotWrite(OSError):
    """The destination is full or closed: no partition can be written."""


def _infer(partition: Partition, task: Task, model, frame, each) -> dict:
    stamp, destination = _stamp(task, partition), Path(task.destination)
    pictures = None if task.pictures is None else _pictures(*task.pictures)
    size = ROWS_A_BLOCK if pictures is None else ROWS_A_BLOCK_OF_PICTURES
    column = None if pictures is None else pictures.column
    writers = {
        "dataset": _Writer(task.path("dataset", partition, ".parquet"), task.schema),
        "rejected": _Writer(task.path("rejected", partition, ".parquet"), _rejected_schema()),
    }
    rows = used = 0
    wanted = _wanted(partition, task, model, frame)
    with ExitStack() as stack:
        for writer in writers.values():
            stack.enter_context(writer)
        for block in blocks(partition, size, columns=wanted, pictures=column, frame=frame):
            if each is not None:
                each(0)
            result, rejected = _infer_block(partition, block, task, model, pictures, each)
            rows += len(block.table)
            used += len(result["object_id"])
            writers["dataset"].write(result)
            writers["rejected"].write(rejected)
        for writer in writers.values():
            writer.keep()
    files = {
        str(writer.path.relative_to(destination)): writer.path.stat().st_size
        for writer in writers.values()
        if writer.rows
    }
    return {
        "partition": partition.name,
        "key": task.key,
        "stamp": stamp,
        "files": files,
        "rows": rows,
        "used": used,
        "rejected": rows - used,
    }


@lru_cache(maxsize=8)
def _pictures(kind: str, place: str, pixel_scale: float, stamp: str) -> Pictures:
    return Pictures(kind, place, pixel_scale)


def _wanted(partition, task, model, frame) -> tuple[str, ...] | None:
    """The columns of the source that are read, or all, where reading fewer saves nothing."""
    block = without_rows(partition, frame)
    if block is None:
        return None
    return sources_of(choose(block, task, model)) + MAGNITUDE_ERRORS * task.is_survey


def _judge(block: Block, task: Task, model) -> tuple[dict, list]:
    """Values of a block by name, in the units of a survey, and why each row cannot be used.

    Each row is judged by itself: whether it is used cannot depend on its neighbours.
    """
    unit, by_band = declared_unit(task.unit)
    chosen, gaps = choose(block, task, model), model.missing_bands
    may_lack = (*LABELS, "ra", "dec") if task.is_survey else LABELS
    values, reasons, _ = read_columns(block.table, chosen, unit, gaps, may_lack)
    if task.is_survey and not model.use_magnitude_errors:
        _hide_limits(values, block, reasons, gaps)
    with np.errstate(all="ignore"):
        to_magnitudes(values, unit, by_band, task.dereddened, reasons, gaps)
    if "ra" in values:
        values["ra"] = values["ra"] % 360
    return values, reasons


def _hide_limits(values: dict, block: Block, reasons, gaps: bool) -> None:
    """Limits of a survey are no magnitudes to a model that takes no errors."""
    for name, error in zip(MAGNITUDES, MAGNITUDE_ERRORS, strict=True):
        if not block.table.has(error):
            continue
        limit = np.isposinf(block.table.numbers(error, error, "AB")[0])
        values[name] = np.where(limit, np.nan, values[name])
        for row in np.flatnonzero(limit) if not gaps else ():
            reasons[row].append(f"{name} is an upper limit, which this model does not take")


def _infer_block(partition, block: Block, task: Task, model, pictures, each) -> tuple[dict, dict]:
    values, reasons = _judge(block, task, model)
    object_id, n = values["object_id"], len(reasons)
    images = None
    if pictures is not None:
        unknown = np.full(n, np.nan)
        positions = np.column_stack([values.get("ra", unknown), values.get("dec", unknown)])
        read = pictures.of(partition, block, object_id, positions)
        images = collect_cutouts(read, None, object_id, positions, reasons, block.file)
    good = np.array([not reason for reason in reasons], bool)
    bad = np.flatnonzero(~good)
    rejected = {
        "file": [storable(block.file)] * len(bad),
        "row": bad + block.start,
        "object_id": [storable(object_id[row]) for row in bad],
        "reason": [storable("; ".join(reasons[row])) for row in bad],
    }
    kept = {name: np.asarray(values[name])[good] for name in values if name != "object_id"}
    names = [name for name, ok in zip(object_id, good, strict=True) if ok]
    errors = None
    if model.use_magnitude_errors:
        errors = np.stack([kept[name] for name in MAGNITUDE_ERRORS], 1)
    result = summarise(
        model,
        np.stack([kept[name] for name in MAGNITUDES], 1),
        images,
        names,
        redshift=kept["redshift"] if model.use_redshift else None,
        magnitude_errors=errors,
        **task.settings,
        each=each,
    )
    if block.healpix is not None:
        result["_healpix_29"] = block.healpix[good]
    return kept | result | {"object_id": names}, rejected


def _rejected_schema():
    import pyarrow as pa

    kinds = {"file": pa.string(), "row": pa.int64(), "object_id": pa.string()}
    return pa.schema([*kinds.items(), ("reason", pa.string())])


class _Writer:
    """A Parquet file that grows by a block at a time and stands when it is whole.

    One without rows is not written, and one of an earlier run is removed.

    Raises:
        CannotWrite: the destination is full or closed.
    """

    def __init__(self, path: Path, schema):
        self.path, self.schema, self.rows = path, schema, 0
        self._temporary = self._file = self._parquet = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        # Of a file that is in place nothing is left to do.
        if self._file is not None and not self._file.closed:
            for file in (self._parquet, self._file):
                with contextlib.suppress(OSError, ValueError):
                    file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def write(self, columns: dict) -> None:
        """Add rows, by the names of the schema."""
        n = len(columns["object_id"])
        if not n:
            return
        table = _arrow(columns, self.schema)
        with _writing(self.path):
            if self._file is None:
                from pyarrow import parquet

                self.path.parent.mkdir(parents=True, exist_ok=True)
                name = f".{self.path.name}.{uuid.uuid4().hex[:8]}.tmp"
                self._temporary = self.path.with_name(name)
                # Opened here: pyarrow would tell a full disk without its number.
                self._file = self._temporary.open("wb")
                self._parquet = parquet.ParquetWriter(self._file, self.schema, compression="zstd")
            self._parquet.write_table(table)
        self.rows += n

    def keep(self) -> None:
        """Put the file in place."""
        with _writing(self.path):
            if self._file is None:
                self.path.unlink(missing_ok=True)
                return
            self._parquet.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._temporary, self.path)


@contextlib.contextmanager
def _writing(path: Path):
    """Tells errors of the destination from those of the source."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:200]
        remedy = REMEDIES.get(error.errno, "check the disk; running again continues")
        raise CannotWrite(f"{path} cannot be written ({reason}): {remedy}") from error


def _arrow(columns: dict, schema):
    import pyarrow as pa

    arrays = []
    for part in schema:
        if part.name != "draws":
            arrays.append(pa.array(columns[part.name], part.type))
            continue
        draws = columns["draws"]
        n, n_draws, _ = draws.shape
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_draws)
        lists = [
            pa.ListArray.from_arrays(offsets, pa.array(draws[:, :, k].ravel()))
            for k in range(len(PROPERTY_NAMES))
        ]
        arrays.append(pa.StructArray.from_arrays(lists, fields=list(part.type)))
    return pa.table(arrays, schema=schema)
