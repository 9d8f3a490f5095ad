"""One partition of a catalogue: read, checked, inferred and written, completely or not at all.

The record of a partition is written last: if it exists, the partition is done.
"""

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from galcfm.catalogue.embeddings import read_some
from galcfm.catalogue.files import RECORD
from galcfm.catalogue.plan import SETTINGS, Plan
from galcfm.catalogue.sources import Partition, read_partition
from galcfm.catalogue.summaries import EMBEDDING, LENGTH, arrow_table, summarise
from galcfm.paths import replacing
from galcfm.posterior import Posterior
from galcfm.survey import SurveyError
from galcfm.survey.intake import read_columns, storable
from galcfm.survey.photometry import to_magnitudes
from galcfm.survey.rules import image_kind
from galcfm.survey.tables import SourceTable

# Numbers of galaxies that are written together, without and with cutouts; a cutout takes 200 kB
# while it is resampled to 128 × 128 pixels.
ROWS_AT_ONCE, CUTOUTS_AT_ONCE = 4096, 256
# Columns of the table of rejected rows, and their types in Arrow.
REJECTED = {"file": "string", "row": "int64", "object_id": "string", "reason": "string"}


def read_record(plan: Plan, partition: Partition) -> dict | None:
    """Return the record of a partition if its result is complete and fits the plan and source."""
    try:
        record = RECORD.read(plan.path("records", partition, ".json"))
        sizes = {name: os.stat(plan.destination / name).st_size for name in record["files"]}
        same = record["key"] == plan.key_of(partition) and sizes == record["files"]
    except (OSError, ValueError):
        return None
    return record if same else None


def infer_partition(
    partition: Partition, plan: Plan, each: Callable[[int], None] | None = None
) -> dict:
    """Infer the galaxies of a partition and write their rows and its record.

    Arguments:
        partition: Partition to infer.
        plan: Plan of the inference.
        each: Function that is called with the number of newly finished rows; it may raise a
            `BaseException` to end the work.

    Returns:
        Record of the partition. If the partition cannot be read, the record has only `partition`
        and `failed`, the reason, and is not written.

    Raises:
        OSError: The result cannot be written.
    """
    import torch

    # One thread per worker: workers share the cores, and results do not depend on the number of
    # threads.
    torch.set_num_threads(1)
    started = time.thread_time()
    # Dask repeats a finished task if the worker died before it could report.
    if (record := read_record(plan, partition)) is not None:
        return record
    # The key is computed before reading, so that a change of the file during the work is noticed.
    record = {"partition": partition.name, "key": plan.key_of(partition)}
    try:
        record |= _infer(plan, partition, each or (lambda n: None))
    except SurveyError as error:
        return {"partition": partition.name, "failed": str(error)}
    except OSError:
        raise
    # An unexpected error in one partition does not stop the others.
    except Exception as error:
        reason = f"{partition.where}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return {"partition": partition.name, "failed": reason}
    # CPU time of this thread, which does not include other work of the machine.
    record["core_seconds"] = round(time.thread_time() - started, 3)
    RECORD.write(plan.path("records", partition, ".json"), record)
    return record


def _infer(plan: Plan, partition: Partition, each) -> dict:
    """Write the rows of a partition; return the numbers of rows and the sizes of the files."""
    from pyarrow import parquet, schema, table

    column = plan.cutouts.column if plan.cutouts else None
    rows, cells = read_partition(partition, plan.columns_read, column)
    values, reasons = _check(plan, rows, [column] if column and cells is None else [])
    for one in plan.model.declaration.embeddings:
        options = values["object_id"], reasons, partition.start, one.length
        given = plan.embeddings[one.name]
        values[EMBEDDING.format(one.name)] = read_some(given, one.name, rows, *options)
    settings = {name: plan.identity[name] for name in SETTINGS}
    size, read = ROWS_AT_ONCE, None
    if plan.cutouts is not None:
        size, read = CUTOUTS_AT_ONCE, plan.cutouts.reader(partition, values, cells)
    paths = [plan.path(kind, partition, ".parquet") for kind in ("dataset", "rejected")]
    longest = str(max(map(len, values["object_id"]), default=1))
    described = plan.schema.with_metadata(plan.schema.metadata | {LENGTH: longest})
    with replacing(paths[0]) as temporary, temporary.open("wb") as file:
        with parquet.ParquetWriter(file, described, compression="zstd") as writer:
            for start in range(0, len(reasons), size):
                each(0)
                here = range(start, min(start + size, len(reasons)))
                images = None if read is None else _images(read, here, reasons, plan.model)
                good = [row for row in here if not reasons[row]]
                each(len(here) - len(good))
                if good:
                    some = {name: x[good] for name, x in values.items()}
                    some |= summarise(plan.model, some, images, each, **settings)
                    writer.write_table(arrow_table(some, plan.schema))
        file.flush()
        os.fsync(file.fileno())
    bad = [row for row, reason in enumerate(reasons) if reason]
    rejected = {
        "file": [storable(rows.name)] * len(bad),
        "row": [partition.start + row for row in bad],
        "object_id": [storable(values["object_id"][row]) for row in bad],
        "reason": [storable("; ".join(reasons[row])) for row in bad],
    }
    with replacing(paths[1]) as temporary:
        parquet.write_table(table(rejected, schema(REJECTED)), temporary)
    sizes = {str(path.relative_to(plan.destination)): path.stat().st_size for path in paths}
    n, n_bad = len(reasons), len(bad)
    return {"files": sizes, "rows": n, "used": n - n_bad, "rejected": n_bad}


def _check(plan: Plan, table: SourceTable, absent: Sequence[str] = ()) -> tuple[dict, list]:
    """Return values by name, in the units of a survey, and the reasons why rows cannot be used.

    Each row is checked independently: whether it is used cannot depend on other rows.

    Raises:
        SurveyError: The table lacks a column that the first file has.
    """
    columns, dereddened = plan.identity["columns"], plan.identity["dereddened"]
    needed = [*columns.values(), *(e.source for e in plan.embeddings.values())]
    needed = [column for column in needed if isinstance(column, str)]
    absent = [*absent, *(column for column in needed if not table.has(column))]
    if absent:
        raise SurveyError(
            f"{table.name} has no column {', '.join(absent)}, which the first file has: all files "
            "of a source need the same columns"
        )
    unit, gaps, used = plan.identity["unit"], plan.model.missing_bands, plan.model.declaration
    values, reasons = read_columns(table, columns, unit, gaps, ("ra", "dec"), used)
    if plan.is_survey and not plan.model.use_magnitude_errors:
        _hide_limits(values, table, reasons, plan.model)
    with np.errstate(all="ignore"):
        to_magnitudes(values, unit, dereddened, reasons, gaps, used.bands)
    if "ra" in values:
        values["ra"] = values["ra"] % 360
    return {name: np.asarray(column) for name, column in values.items()}, reasons


def _hide_limits(values: dict, table: SourceTable, reasons, model: Posterior) -> None:
    """Replace upper limits of a survey by missing magnitudes, for a model without errors."""
    used = model.declaration
    for name, error in zip(used.magnitudes, used.magnitude_errors, strict=True):
        if table.has(error):
            limit = np.isposinf(table.numbers(error, error, "AB")[0])
            values[name] = np.where(limit, np.nan, values[name])
            for row in np.flatnonzero(limit) if not model.missing_bands else ():
                reasons[row].append(f"{name} is an upper limit, which this model cannot use")


def _images(read: Callable, rows: range, reasons, model: Posterior) -> np.ndarray:
    """Return the cutouts of the usable rows; a row without a cutout gets a reason."""
    images = []
    for row in rows:
        if not reasons[row]:
            try:
                images.append(read(row))
            except ValueError as error:
                reasons[row].append(f"cutout: {error}")
    shape, dtype = image_kind(model.declaration)
    return np.array(images, dtype).reshape(-1, *shape)
