"""Sources of large catalogues, and how they are divided and read.

A source is a HATS catalogue, a catalogue or DataFrame opened by LSDB or Dask, a survey of galcfm,
or files of tables. It is divided into partitions; one task infers a partition, and one file of the
result contains it. Partitions of Parquet and plain FITS files are ranges of rows. Text and
compressed files, and partitions that Dask computes, are read as a whole.
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

# Text and compressed files are read as a whole, which takes about ten times their size in memory.
LARGEST_WHOLE_FILE = 512 << 20
LONGEST_LABEL = 150
# Bytes of a column that are read at once, so that large row groups take no more memory.
BUFFER = 1 << 20
# Rows that are decoded at once, for the same reason.
ROWS_AT_ONCE = 1024
NO_TABLE = -1  # instead of a number of rows
USELESS = {0: "it contains no rows", NO_TABLE: "it contains images and no table"}
# Files that mark a folder of Parquet files as a HATS catalogue or collection.
HATS_FILES = ("hats.properties", "collection.properties", "properties")


@dataclass(frozen=True)
class Partition:
    """Some rows of a source.

    Arguments:
        name: Name of the partition's result, a file name without ending.
        file: File with the rows; empty for a partition that Dask computes.
        start, stop: Range of rows of the file; all rows if `stop` is `None`.
        frame: Dask's task for a partition of an open catalogue.
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
    """The partitions of a catalogue, and its known properties.

    Arguments:
        name: Name for messages.
        identity: Absolute path, or the token that Dask gives to an open catalogue.
        partitions: Partitions in the order of the rows.
        columns: Names in a survey to names in the source, if the source declares them.
        is_survey: Whether the source is a survey of galcfm.
        left_out: One sentence per kind of file that is left out.
    """

    name: str
    identity: str
    partitions: tuple[Partition, ...]
    columns: dict = field(default_factory=dict)
    is_survey: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def rows(self) -> int | None:
        """Number of rows, if it is known before reading them."""
        if any(partition.stop is None for partition in self.partitions):
            return None
        return sum(partition.stop - partition.start for partition in self.partitions)


def find_source(source, destination: Path, rows_a_partition: int) -> Source:
    """Return the partitions of a source; files are opened only to count their rows.

    Arguments:
        source: Source, see `infer_catalogue`.
        destination: Folder of the result; its files are left out of folders and patterns.
        rows_a_partition: Largest number of rows of a file that are inferred together.

    Raises:
        CatalogueError, SurveyError: Nothing can be read, or the source lies in the destination.
    """
    if hasattr(source, "to_delayed"):
        return _opened(source)
    if not isinstance(source, str | os.PathLike):
        raise CatalogueError(
            "the source is no catalogue on disk: give a path, or an object of Dask or LSDB; "
            "galcfm.Survey.from_table takes tables in memory"
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
        nothing = f"{path} contains no tables, which end in {', '.join(FORMATS)}"
        raise CatalogueError("; ".join([nothing, *told]))
    return Source(str(path), os.path.abspath(path), partitions, columns, is_survey, tuple(told))


def and_more(names: Sequence) -> str:
    """Return the first of some names, and the number of the others."""
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else str(names[0])


def _hats(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the folders of the files of a HATS catalogue, and the columns of its positions."""
    with readable(folder, "a HATS catalogue", "check that it is whole"):
        import hats

        found = hats.read_hats(folder)
        # The other parts of a collection belong to it.
        found = getattr(found, "main_catalog", found)
        # Next to these folders, a thumbnail repeats some of the rows.
        place = Path(str(found.catalog_path)) / "dataset" / "Norder=*"
        info = found.catalog_info
        return place, {"ra": info.ra_column, "dec": info.dec_column}


def _tables(path: Path, destination: Path) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Return the tables of a file, folder or pattern, and the files that are left out.

    Returns:
        The files by their names in the result; and lists of the other files by the reason.
    """
    base, found = _matches(path)
    files, left_out = set(), defaultdict(list)
    for place in found:
        # Dask's folders of Parquet files have names like files.
        below = (Path(at, name) for at, _, names in os.walk(place) for name in names)
        for file in below if place.is_dir() else [place]:
            reason = _why_not(file, place, destination)
            if reason is None:
                files.add(file)
            elif reason:
                left_out[reason].append(file)
    return {_label(os.path.relpath(file, base)): file for file in sorted(files)}, left_out


def _matches(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder before a pattern, and its matches; an existing path is no pattern."""
    if path.exists() or not glob.has_magic(str(path)):
        return path if path.is_dir() else path.parent, [path]
    # The name of an existing folder may contain brackets.
    base = next(folder for folder in path.parents if folder.exists())
    pattern = str(path.relative_to(base))
    return base, [base / name for name in sorted(glob.glob(pattern, root_dir=base, recursive=True))]


def _why_not(file: Path, place: Path, destination: Path) -> str | None:
    """Return why a file is left out; the reason is empty for hidden files that are no tables."""
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(place).parts)
    if _format(file) is None:
        return "" if hidden else f"{file.suffix or 'no ending'} is no ending of a table"
    if storable(str(file)) != str(file):
        return "the name is not UTF-8: rename it"
    if file.resolve().is_relative_to(destination):
        return "it belongs to the result"
    return "the name begins with . or _" if hidden else None


def _format(path: Path) -> str | None:
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _label(path: str) -> str:
    """Return a file's name in the result, which is neither too long nor hidden."""
    label = quote(Path(path).as_posix(), safe="+=@ ")
    # The digest distinguishes two long paths with the same end.
    plain = len(label) <= LONGEST_LABEL and not label.startswith((".", "_"))
    return label if plain else f"{digest(path)}-{label[-LONGEST_LABEL:]}"


def source_of(partition: str) -> str:
    """Return the name of a file in the result, given one of its partitions."""
    return re.sub(r"-\d{12}$", "", partition)


def _cut(files: dict[str, Path], size: int, left_out: dict) -> tuple[Partition, ...]:
    """Return ranges of rows of files with a stated number of rows, and other files as a whole.

    Files without rows, and files without a table among others, are added to `left_out`.
    """
    # In parallel, because on network disks the waiting times add up.
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

    A damaged file raises its error later, when it is read.
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
    """Return the records of the only table of a FITS file; columns are read when they are used."""
    from astropy.io import fits

    with fits.open(path, memmap=True, character_as_bytes=True) as hdus:
        (table,) = (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
        return table.data


def _opened(catalogue) -> Source:
    """Return a catalogue opened by LSDB or Dask, including its pending operations."""
    import dask

    # Each partition has its own part of the graph, which tasks carry to the workers.
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
    """Return the rows of a partition, and the column of cutouts, one entry per row, or `None`.

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
                f"{name} is larger than {LARGEST_WHOLE_FILE / 1e9:.1f} GB, and text and packed "
                "files are read whole: write it as Parquet or plain FITS, or open it with Dask"
            )
        return read_table(name)
    if _format(Path(name)) == "parquet":
        return _read_parquet(partition, columns, cutouts)
    return _records(name)[partition.start : partition.stop]


def _read_parquet(partition: Partition, columns, cutouts):
    """Return the Arrow table of some rows, reading only the necessary row groups."""
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetFile(partition.file, pre_buffer=False, buffer_size=BUFFER) as file:
        schema = file.schema_arrow
        wanted = schema.names if columns is None else {*columns, cutouts}
        # astropy reads the units only if all columns are read.
        if any(key in (schema.metadata or {}) for key in ASTROPY_METADATA):
            wanted = schema.names
        start, stop, parts = partition.start, min(partition.stop, file.metadata.num_rows), []
        ends = np.cumsum([file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)])
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        row = ends[first - 1] if first else 0
        options = {"row_groups": range(first, last + 1), "use_threads": False}
        options["columns"] = [name for name in schema.names if name in wanted]
        for batch in file.iter_batches(ROWS_AT_ONCE, **options):
            # A slice without rows would keep the whole table in memory.
            if row < stop and row + len(batch) > start:
                parts.append(batch[max(start - row, 0) : stop - row])
            row += len(batch)
        table = pyarrow.Table.from_batches(parts)
        return with_range_index(table, start, file.metadata.num_rows)
