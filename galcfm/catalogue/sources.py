"""Where the galaxies of a large catalogue are, and how they are read.

A source is a HATS catalogue, a catalogue or DataFrame that LSDB or Dask has open, a survey of
galcfm, or files of tables. It is divided into partitions: a partition is what one task infers and
what one file of the result holds. Partitions of Parquet and plain FITS files are ranges of rows;
text and packed files, and partitions that Dask computes, are read whole.
"""

import glob
import os
import re
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.provenance import digest
from galcfm.survey import SurveyError
from galcfm.survey.tables import (
    ASTROPY_METADATA,
    FORMATS,
    SourceTable,
    read_table,
    readable,
    with_range_index,
)

__all__ = ["Partition", "Source", "find_source", "read_partition", "stamp_of"]

# Text and packed files are read whole, about ten times their size in memory.
LARGEST_WHOLE_FILE = 512 << 20
LONGEST_LABEL = 150
# Bytes of a column that are read at once, so that large row groups take no more memory.
BUFFER = 1 << 20
# Rows that are decoded at once, for the same reason.
ROWS_AT_ONCE = 1024
# Files that make a folder of Parquet files a HATS catalogue or collection.
HATS_FILES = ("hats.properties", "collection.properties", "properties")


@dataclass(frozen=True)
class Partition:
    """Some rows of a source.

    Arguments:
        name: Name of its result, the name of a file without ending.
        file: File that holds the rows; empty for a partition that Dask computes.
        start, stop: Range of rows of the file; all rows if `stop` is `None`.
        frame: What Dask computes for the partition of a catalogue that it has open.
    """

    name: str
    file: str = ""
    start: int = 0
    stop: int | None = None
    frame: object = None

    @property
    def where(self) -> str:
        """Name for messages."""
        return self.file or f"partition {self.name}"


def stamp_of(path: str | os.PathLike) -> list | None:
    """Return size and time of a file or folder, or `None` if it is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class Source:
    """The partitions of a catalogue, and what is known about it.

    Arguments:
        name: Name for messages.
        identity: Absolute path, or the token that Dask gives to an open catalogue.
        partitions: Partitions in the order of the rows.
        columns: Names in a survey to names in the source, if the source declares them.
        is_survey: Whether the source is a survey of galcfm.
    """

    name: str
    identity: str
    partitions: tuple[Partition, ...]
    columns: dict = field(default_factory=dict)
    is_survey: bool = False

    @property
    def rows(self) -> int | None:
        """Number of rows, if known before they are read."""
        if any(partition.stop is None for partition in self.partitions):
            return None
        return sum(partition.stop - partition.start for partition in self.partitions)


def find_source(source, destination: Path, rows_a_partition: int) -> Source:
    """Return the partitions of a source; files are opened only to count their rows.

    Arguments:
        source: Source as `infer_catalogue` takes it.
        destination: Folder of the result, which is no part of a folder or pattern around it.
        rows_a_partition: Largest number of rows of a file that are inferred together.

    Raises:
        CatalogueError, SurveyError: There is nothing that can be read, or it lies in the
            destination.
    """
    if hasattr(source, "to_delayed"):
        return _opened(source)
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise CatalogueError(
            "the source is no catalogue on disk: give a path, or what Dask or LSDB has open; "
            "galcfm.Survey.from_table takes tables in memory"
        )
    path, columns = Path(source).expanduser(), {}
    tables, is_survey = path, (path / "survey.json").is_file()
    if is_survey:
        tables = path / "catalogue.parquet"
    elif any((path / name).is_file() for name in HATS_FILES):
        tables, columns = _hats(path)
    files = _tables(tables, destination)
    if any(file.resolve().is_relative_to(destination) for file in files.values()):
        raise CatalogueError(f"{destination} holds {path}: name another folder for the result")
    partitions = _cut(files, rows_a_partition)
    return Source(str(path), os.path.abspath(path), partitions, columns, is_survey)


def _hats(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder of the files of a HATS catalogue, and the columns of its positions."""
    with readable(folder, "a HATS catalogue", "check that it is whole"):
        import hats

        found = hats.read_hats(folder)
        # Of a collection, whose other parts belong to it.
        found = getattr(found, "main_catalog", found)
        place = Path(str(found.catalog_path)) / "dataset"
        return place, _positions(found.catalog_info)


def _positions(info) -> dict[str, str]:
    return {"ra": info.ra_column, "dec": info.dec_column}


def _tables(path: Path, destination: Path) -> dict[str, Path]:
    """Return each table of a file, folder or pattern by its name in the result."""
    pattern = str(path)
    if path.exists() or not glob.has_magic(pattern):
        base, found = path if path.is_dir() else path.parent, [path]
    else:
        base = Path(os.path.dirname(pattern[: re.search(r"[*?\[]", pattern).start()]))
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]
    files = set()
    for place in found:
        # Dask's folders of Parquet files have names as files have.
        below = [p for p in place.rglob("*") if _is_table(p.relative_to(place)) and p.is_file()]
        files |= set(below if place.is_dir() else [place])
    if path not in files:
        files = {file for file in files if not file.resolve().is_relative_to(destination)}
    if not files:
        raise CatalogueError(f"{path} holds no tables, which end in {', '.join(FORMATS)}")
    return {_label(os.path.relpath(file, base)): file for file in sorted(files)}


def _is_table(path: Path) -> bool:
    """Return whether a file below a folder is a table: not hidden, and not like `_metadata`."""
    return _format(path) is not None and not any(p.startswith((".", "_")) for p in path.parts)


def _format(path: Path) -> str | None:
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _label(path: str) -> str:
    """Return a file's name in the result, which is neither too long nor hidden."""
    label = quote(Path(path).as_posix(), safe="+=@ ")
    # The digest distinguishes two long paths with the same end.
    plain = len(label) <= LONGEST_LABEL and not label.startswith((".", "_"))
    return label if plain else f"{digest(path)}-{label[-LONGEST_LABEL:]}"


def _cut(files: dict[str, Path], size: int) -> tuple[Partition, ...]:
    """Return ranges of rows of files that state their number of rows, and the others whole."""
    # On network disks the waiting adds up.
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(_count, files.values()))
    found = []
    for (label, file), rows in zip(files.items(), counts, strict=True):
        if rows is None:
            found.append(Partition(label, str(file)))
        for start in range(0, rows or 0, size):
            name, stop = f"{label}-{start:012d}", min(start + size, rows)
            found.append(Partition(name, str(file), start, stop))
    return tuple(found)


def _count(path: Path) -> int | None:
    """Return the number of rows if the file states it; a damaged file shows when it is read."""
    try:
        if _format(path) == "parquet":
            from pyarrow import parquet

            return parquet.read_metadata(path).num_rows
        return len(_records(path)) if path.suffix.lower() in (".fits", ".fit") else None
    # A damaged file can raise any error.
    except Exception:
        return None


def _records(path):
    """Return the records of the one table of a FITS file; those that are used are read."""
    from astropy.io import fits

    with fits.open(path, memmap=True, character_as_bytes=True) as hdus:
        (table,) = (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
        return table.data


def _opened(catalogue) -> Source:
    """Return a catalogue that LSDB or Dask has open, with everything that was done to it."""
    import dask

    # Each with its own part of the graph: tasks carry them to the workers.
    frames = [dask.optimize(frame)[0] for frame in catalogue.to_delayed()]
    identity = dask.base.tokenize([frame.key for frame in frames])
    found = tuple(Partition(f"part-{k:06d}", frame=frame) for k, frame in enumerate(frames))
    if not hasattr(catalogue, "hc_structure"):
        return Source("the Dask DataFrame", identity, found)
    info = catalogue.hc_structure.catalog_info
    return Source(info.catalog_name, identity, found, _positions(info))


def read_partition(
    partition: Partition, columns: Collection[str] | None, cutouts: str | None
) -> tuple[SourceTable, Sequence | None]:
    """Return the rows of a partition, and the column of cutouts, one entry per row, or `None`.

    Arguments:
        partition: Partition to read.
        columns: Names of the columns to read; by default all but the cutouts.
        cutouts: Name of the column of cutouts.

    Raises:
        SurveyError: The file cannot be read.
    """
    name = partition.where
    with readable(name, "a table", "check that it is whole"):
        table = _read(partition, columns, cutouts)
        column = None if cutouts is None or columns is None else table[cutouts]
        if column is not None and hasattr(table, "drop_columns"):
            table = table.drop_columns([cutouts])
        source = SourceTable(table, name)
    return source, column


def _read(partition: Partition, columns, cutouts):
    """Return the rows of a partition as a table of the library that reads them."""
    name = partition.where
    if partition.frame is not None:
        import pyarrow

        return pyarrow.Table.from_pandas(partition.frame.compute(scheduler="synchronous"))
    if partition.stop is None:
        if os.path.isfile(name) and os.path.getsize(name) > LARGEST_WHOLE_FILE:
            raise SurveyError(
                f"{name} is larger than {LARGEST_WHOLE_FILE / 1e9:.1f} GB, and text and packed "
                "files are read whole: write it as Parquet or plain FITS, or open it with Dask"
            )
        return read_table(name)
    if _format(Path(name)) == "parquet":
        return _read_parquet(partition, columns, cutouts)
    return _records(name)[partition.start : partition.stop]


def _read_parquet(partition: Partition, columns, cutouts):
    """Return the Arrow table of some rows, of which no more row groups than needed are read."""
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetFile(partition.file, pre_buffer=False, buffer_size=BUFFER) as file:
        schema = file.schema_arrow
        wanted = set(schema.names) - {cutouts} if columns is None else {*columns, cutouts}
        # astropy needs the units of all columns, or reads none.
        if any(key in (schema.metadata or {}) for key in ASTROPY_METADATA):
            wanted = schema.names
        start, stop, parts = partition.start, min(partition.stop, file.metadata.num_rows), []
        ends = np.cumsum([file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)])
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        row = ends[first - 1] if first else 0
        options = {"row_groups": range(first, last + 1), "use_threads": False}
        options["columns"] = [name for name in schema.names if name in wanted]
        for batch in file.iter_batches(ROWS_AT_ONCE, **options):
            # What is cut off would stay in memory with a part without rows.
            if row < stop and row + len(batch) > start:
                parts.append(batch[max(start - row, 0) : stop - row])
            row += len(batch)
        table = pyarrow.Table.from_batches(parts)
        return with_range_index(table, start, file.metadata.num_rows)
