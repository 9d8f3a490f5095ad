"""Sources of a large catalogue: how galaxies are found and read.

A source is a HATS catalogue, a catalogue or DataFrame that LSDB or Dask has open, a survey of
galcfm, or files of tables. It is divided into partitions: one task infers one partition and writes
one file of the result. Partitions of Parquet and plain FITS files are ranges of rows; text files,
compressed files and partitions that Dask computes are read as a whole.
"""

import contextlib
import glob
import os
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.paths import user_path
from galcfm.provenance import digest
from galcfm.survey import SurveyError
from galcfm.survey.cutouts import STACKS
from galcfm.survey.intake import storable
from galcfm.survey.tables import (
    ASTROPY_METADATA,
    FORMATS,
    SourceTable,
    read_table,
    readable,
    with_range_index,
)

__all__ = [
    "Partition",
    "Source",
    "and_more",
    "find_source",
    "read_partition",
    "source_of",
    "stamp_of",
]

# Text and compressed files are read as a whole and take about ten times their size in memory.
LARGEST_WHOLE_FILE = 512 << 20
LONGEST_LABEL = 150
# Bytes of a column that are read at once, which limits the memory for large row groups.
BUFFER = 1 << 20
# Rows that are decoded at once, for the same reason.
ROWS_AT_ONCE = 1024
NO_TABLE = -1  # used as number of rows
USELESS = {0: "it has no rows", NO_TABLE: "it contains images and no table"}
# A folder of Parquet files with one of these files is a HATS catalogue or collection.
HATS_FILES = ("hats.properties", "collection.properties", "properties")


@dataclass(frozen=True)
class Partition:
    """Range of rows of a source.

    Arguments:
        name: Name of the files of its result, without ending.
        file: File with the rows; empty for a partition that Dask computes.
        start, stop: Range of rows of the file; all rows if `stop` is `None`.
        frame: Delayed DataFrame of Dask, for a partition of an open catalogue.
    """

    name: str
    file: str = ""
    start: int = 0
    stop: int | None = None
    frame: object = None

    @property
    def where(self) -> str:
        """Name in messages."""
        return self.file or f"partition {self.name}"


def stamp_of(path: str | os.PathLike) -> list | None:
    """Return size and modification time of a file or folder, or `None` if it is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class Source:
    """Partitions of a catalogue, with its name and its declared columns.

    Arguments:
        name: Name in messages.
        identity: Absolute path, or the token that Dask gives to an open catalogue.
        partitions: Partitions in the order of the rows.
        columns: Dictionary from names in a survey to names in the source, if the source declares
            them.
        is_survey: Whether the source is a survey of galcfm.
        left_out: One sentence per reason why files are left out.
    """

    name: str
    identity: str
    partitions: tuple[Partition, ...]
    columns: dict = field(default_factory=dict)
    is_survey: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def rows(self) -> int | None:
        """Number of rows, if known before they are read."""
        if any(partition.stop is None for partition in self.partitions):
            return None
        return sum(partition.stop - partition.start for partition in self.partitions)


def find_source(source, destination: Path, rows_a_partition: int) -> Source:
    """Return the partitions of a source; files are opened only to count their rows.

    Arguments:
        source: Source as in `infer_catalogue`.
        destination: Folder of the result; its files are not part of the source.
        rows_a_partition: Largest number of rows of a file that are inferred together.

    Raises:
        CatalogueError, SurveyError: Nothing can be read, or all files are in the destination.
    """
    if hasattr(source, "to_delayed"):
        return _opened(source)
    if not isinstance(source, str | os.PathLike):
        raise CatalogueError(
            "the source is not a catalogue on disk: give a path, or a catalogue that Dask or LSDB "
            "has open; for tables in memory use galcfm.Survey.from_table"
        )
    path, columns = user_path(source, "the source", CatalogueError), {}
    tables, is_survey = path, (path / "survey.json").is_file()
    if is_survey:
        tables = path / "catalogue.parquet"
    elif any((path / name).is_file() for name in HATS_FILES):
        tables, columns = _hats(path)
    files, left_out = _tables(tables, destination)
    partitions = _cut(files, rows_a_partition, left_out)
    told = [storable(f"{and_more(some)} left out: {reason}") for reason, some in left_out.items()]
    if not files:
        nothing = f"{path} contains no table: give files with the endings {', '.join(FORMATS)}"
        raise CatalogueError("; ".join([nothing, *told]))
    return Source(str(path), os.path.abspath(path), partitions, columns, is_survey, tuple(told))


def and_more(names: Sequence) -> str:
    """Return the first of several names and the number of the others."""
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else str(names[0])


def _hats(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the folders with the files of a HATS catalogue, and its columns of positions."""
    with readable(folder, "a HATS catalogue", "check that it is whole"):
        import hats

        found = hats.read_hats(folder)
        # Only the main catalogue of a collection contains galaxies.
        found = getattr(found, "main_catalog", found)
        # A thumbnail next to these folders repeats some of the rows.
        place = Path(str(found.catalog_path)) / "dataset" / "Norder=*"
        info = found.catalog_info
        return place, {"ra": info.ra_column, "dec": info.dec_column}


def _tables(path: Path, destination: Path) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Return the tables of a file, folder or pattern, and the files that are left out.

    Returns:
        Files by their names in the result; and lists of left-out files by the reason.
    """
    base, found = _matches(path)
    files, left_out = set(), defaultdict(list)
    for place in found:
        # Folders of Parquet files that Dask writes may be named like files.
        below = (Path(at, name) for at, _, names in os.walk(place) for name in names)
        for file in below if place.is_dir() else [place]:
            reason = _why_not(file, place, destination)
            if reason is None:
                files.add(file)
            elif reason:
                left_out[reason].append(file)
    return {_label(os.path.relpath(file, base)): file for file in sorted(files)}, left_out


def _matches(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder before a pattern, and its matches; an existing path is not a pattern."""
    if path.exists() or not glob.has_magic(str(path)):
        return path if path.is_dir() else path.parent, [path]
    # An existing folder may have brackets in its name.
    base = next(folder for folder in path.parents if folder.exists())
    pattern = str(path.relative_to(base))
    return base, [base / name for name in sorted(glob.glob(pattern, root_dir=base, recursive=True))]


def _why_not(file: Path, place: Path, destination: Path) -> str | None:
    """Return the reason why a file is left out, empty for hidden files that are not tables."""
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(place).parts)
    if _format(file) is None:
        return "" if hidden else f"{file.suffix or 'no ending'} is not an ending of a table"
    if storable(str(file)) != str(file):
        return "the name is not UTF-8: rename it"
    if file.resolve().is_relative_to(destination):
        return "it belongs to the result"
    return "the name begins with . or _" if hidden else None


def _format(path: Path) -> str | None:
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _label(path: str) -> str:
    """Return the name of a file in the result, which is neither too long nor hidden."""
    label = quote(Path(path).as_posix(), safe="+=@ ")
    # The digest distinguishes two long paths with the same end.
    plain = len(label) <= LONGEST_LABEL and not label.startswith((".", "_"))
    return label if plain else f"{digest(path)}-{label[-LONGEST_LABEL:]}"


def source_of(partition: str) -> str:
    """Return the name of a file in the result, given the name of one of its partitions."""
    return re.sub(r"-\d{12}$", "", partition)


def _cut(files: dict[str, Path], size: int, left_out: dict) -> tuple[Partition, ...]:
    """Return ranges of rows for files that state their number of rows; other files stay whole.

    If there are several files, files without rows or without a table are added to `left_out`.
    """
    # On network disks each file takes time to open.
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(_count, files.values()))
    found = []
    for (label, file), rows in zip(files.items(), counts, strict=True):
        if rows in USELESS and len(files) > 1:
            left_out[USELESS[rows]].append(file)
        elif rows in (None, NO_TABLE):
            found.append(Partition(label, str(file)))
        for start in range(0, rows or 0, size):
            name, stop = f"{label}-{start:012d}", min(start + size, rows)
            found.append(Partition(name, str(file), start, stop))
    return tuple(found)


def _count(path: Path) -> int | None:
    """Return the number of rows if the file states it, or `NO_TABLE`.

    A damaged file causes an error only when it is read.
    """
    from astropy.io import fits
    from h5py import File
    from pyarrow import parquet

    form, rows = _format(path), None
    # A damaged file can raise any error.
    with contextlib.suppress(Exception):
        if form == "parquet":
            rows = parquet.read_metadata(path).num_rows
        elif form == "hdf5":
            with File(path) as file:
                rows = NO_TABLE if set(file) <= {*STACKS, "object_id"} else None
        elif form == "fits":
            with fits.open(path) as hdus:
                if not any(isinstance(hdu, fits.BinTableHDU | fits.TableHDU) for hdu in hdus):
                    return NO_TABLE
            rows = len(_records(path)) if path.suffix.lower() in (".fits", ".fit") else None
    return rows


def _records(path):
    """Return the memory-mapped records of the only table of a FITS file."""
    from astropy.io import fits

    with fits.open(path, memmap=True, character_as_bytes=True) as hdus:
        (table,) = (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
        return table.data


def _opened(catalogue) -> Source:
    """Return the source of a catalogue that LSDB or Dask has open, with all its operations."""
    import dask

    # Each partition has its own part of the graph, which its task carries to the worker.
    frames = [dask.optimize(frame)[0] for frame in catalogue.to_delayed()]
    identity = dask.base.tokenize([frame.key for frame in frames])
    found = tuple(Partition(f"part-{k:06d}", frame=frame) for k, frame in enumerate(frames))
    if not hasattr(catalogue, "hc_structure"):
        return Source("the Dask DataFrame", identity, found)
    info = catalogue.hc_structure.catalog_info
    columns = {"ra": info.ra_column, "dec": info.dec_column}
    return Source(info.catalog_name, identity, found, columns)


def read_partition(
    partition: Partition, columns: Collection[str] | None, cutouts: str | None
) -> tuple[SourceTable, Sequence | None]:
    """Return the rows of a partition, and its column of cutouts with one entry per row, or `None`.

    Arguments:
        partition: Partition to read.
        columns: Names of the columns to read; by default all.
        cutouts: Name of the column of cutouts.

    Raises:
        SurveyError: The file cannot be read.
    """
    name = partition.where
    with readable(name, "a table", "check that it is whole"):
        table = _read(partition, columns, cutouts)
        column = None
        if cutouts is not None:
            with contextlib.suppress(KeyError):
                column = table[cutouts]
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
                f"{name} is larger than {LARGEST_WHOLE_FILE / 1e9:.1f} GB, and text and compressed "
                "files are read as a whole: write it as Parquet or plain FITS, or open it with Dask"
            )
        return read_table(name)
    if _format(Path(name)) == "parquet":
        return _read_parquet(partition, columns, cutouts)
    return _records(name)[partition.start : partition.stop]


def _read_parquet(partition: Partition, columns, cutouts):
    """Return the rows of a partition as an Arrow table; only the needed row groups are read."""
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetFile(partition.file, pre_buffer=False, buffer_size=BUFFER) as file:
        schema = file.schema_arrow
        wanted = schema.names if columns is None else {*columns, cutouts}
        # astropy reads units only if all columns are present.
        if any(key in (schema.metadata or {}) for key in ASTROPY_METADATA):
            wanted = schema.names
        start, stop, parts = partition.start, min(partition.stop, file.metadata.num_rows), []
        ends = np.cumsum([file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)])
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        row = ends[first - 1] if first else 0
        options = {"row_groups": range(first, last + 1), "use_threads": False}
        options["columns"] = [name for name in schema.names if name in wanted]
        for batch in file.iter_batches(ROWS_AT_ONCE, **options):
            # A part without rows would keep its whole batch in memory.
            if row < stop and row + len(batch) > start:
                parts.append(batch[max(start - row, 0) : stop - row])
            row += len(batch)
        table = pyarrow.Table.from_batches(parts)
        return with_range_index(table, start, file.metadata.num_rows)
