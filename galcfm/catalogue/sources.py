"""Where the galaxies of a large catalogue are, cut into partitions that are read in blocks.

A source is a HATS catalogue, by its folder or as LSDB has it open, a survey of galcfm, or files:
one, a folder of them or a pattern. A partition is what one task infers and one file of the result
holds: some rows of a Parquet or FITS file or of a pixel of HATS, a whole file of text. Nothing is
shuffled, and no more than a block of rows is ever read at once, but of text and packed files.
"""

import contextlib
import glob
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from urllib.parse import quote

from galcfm.provenance import digest
from galcfm.survey import SurveyError
from galcfm.survey.tables import FORMATS, SourceTable, read_table

__all__ = [
    "Block",
    "CatalogueError",
    "Partition",
    "Source",
    "UnreadableError",
    "blocks",
    "find_source",
    "stamp_of",
    "without_rows",
]

# Text and packed files are read whole, about ten times their size in memory.
LARGEST_WHOLE_FILE = 512 << 20
LONGEST_LABEL = 150
# Of a column, so that a file of large row groups takes no more memory than one of small ones.
BUFFER = 1 << 20
ASTROPY_METADATA = (b"table_meta_yaml", b"IVOA.VOTable-Parquet.content")


class CatalogueError(ValueError):
    """A catalogue that cannot be inferred, with the file, row or column and the remedy."""


class UnreadableError(CatalogueError):
    """A partition that cannot be read, by the name of its file."""


@dataclass(frozen=True)
class Partition:
    """Some rows of a source.

    Arguments:
        name: of its result, a path without ending.
        files: where the rows are; none for a partition that LSDB computes.
        start, stop: rows of the file, all where `stop` is `None`.
        rows: how many, where that is known before it is read.
        first: number of the first row in the source, where that is known.
        pixel: HEALPix order and pixel, of HATS.
    """

    name: str
    files: tuple[str, ...]
    start: int = 0
    stop: int | None = None
    rows: int | None = None
    first: int | None = None
    pixel: tuple[int, int] | None = None

    @property
    def where(self) -> str:
        """What messages call it."""
        if not self.files:
            return f"partition {self.name}"
        rows = "" if self.stop is None else f", rows {self.start} to {self.stop - 1}"
        return f"{self.files[0]}{rows}"

    @property
    def stamp(self) -> list:
        """By which a changed file is noticed, or that it was cut otherwise."""
        return [self.start, self.stop, *(stamp_of(path) for path in self.files)]


def stamp_of(path: str | os.PathLike) -> list | None:
    """Size and time of a file or folder, or `None` where it is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class Source:
    """The partitions of a catalogue, and what is known of it.

    Arguments:
        name: what messages call it.
        partitions: in the order of the rows.
        rows: how many there are, where that is known.
        kind: `"hats"`, `"survey"` or `"files"`.
        columns: names in a survey to names in the source, where the source says so itself.
        declared: unit and state of the magnitudes, where the source says so itself.
        frames: the partitions as Dask computes them, for a catalogue that LSDB has open.
        token: by which Dask tells one such catalogue from another.
    """

    name: str
    partitions: tuple[Partition, ...]
    rows: int | None
    kind: str
    columns: dict
    declared: dict
    frames: tuple | None = None
    token: str | None = None


def find_source(source, rows_a_partition: int) -> Source:
    """The partitions of a source; files are opened for their number of rows alone.

    Arguments:
        source: folder of a HATS catalogue or collection, a catalogue that LSDB has open, folder of
            a survey, a file, a folder of files, or a pattern of paths.
        rows_a_partition: rows of a file that are inferred together at most.

    Raises:
        CatalogueError: there is nothing that can be read.
    """
    if hasattr(source, "hc_structure") and hasattr(source, "to_delayed"):
        return _opened(source)
    if not isinstance(source, str | os.PathLike):
        raise CatalogueError(
            f"a {type(source).__name__} is no catalogue on disk: give a path, or a catalogue of "
            "LSDB; galcfm.Survey.from_table takes tables in memory"
        )
    path = Path(source)
    names = ("hats.properties", "collection.properties", "properties")
    if any((path / name).is_file() for name in names):
        return _hats(path, rows_a_partition)
    if (path / "survey.json").is_file():
        partitions = _of_files([path / "catalogue.parquet"], path, rows_a_partition)
        declared = {"unit": "AB", "total": True, "dereddened": True}
        return Source(str(path), partitions, _total(partitions), "survey", {}, declared)
    if path.is_dir():
        base = path
        tables = (p for p in path.rglob("*") if _is_table(p.relative_to(path)))
        # Dask's folders of Parquet files have names as files have.
        files = [p for p in tables if not p.is_dir()]
    elif path.is_file() or not glob.has_magic(str(source)):
        base, files = path.parent, [path]
    else:
        base = Path(os.path.dirname(str(source)[: re.search(r"[*?\[]", str(source)).start()]))
        files = [Path(p) for p in glob.glob(str(source), recursive=True) if Path(p).is_file()]
    endings = ", ".join(FORMATS)
    if not files:
        raise CatalogueError(f"{source} holds no tables: files that end in {endings} are read")
    for file in files:
        if not file.is_file():
            raise CatalogueError(f"{file} is missing or not a file: check the path")
        if _format(file) is None:
            raise CatalogueError(f"{file}: this ending is unknown; use one of {endings}")
    partitions = _of_files(sorted(files), base, rows_a_partition)
    return Source(str(source), partitions, _total(partitions), "files", {}, {})


def _is_table(path: Path) -> bool:
    """Neither hidden nor, as `_metadata` is, a file about others."""
    return _format(path) is not None and not any(p.startswith((".", "_")) for p in path.parts)


def _format(path: Path) -> str | None:
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _total(partitions: Sequence[Partition]) -> int | None:
    counts = [partition.rows for partition in partitions]
    return None if None in counts else sum(counts)


def _counts(files: Sequence[Path]) -> list[int | None]:
    """Rows of each file, where it says how many; on network disks the waiting adds up."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(_count, files))


def _of_files(files, base: Path, rows_a_partition: int) -> tuple[Partition, ...]:
    found, first = [], 0
    for path, rows in zip(files, _counts(files), strict=True):
        label = _label(Path(os.path.relpath(path, base)).as_posix())
        if rows is None:
            found.append(Partition(label, (str(path),), first=first))
            first = None
            continue
        for start, stop in _cut(rows, rows_a_partition):
            number = None if first is None else first + start
            name = f"{label}-{start:012d}"
            found.append(Partition(name, (str(path),), start, stop, stop - start, number))
        first = None if first is None else first + rows
    return tuple(found)


def _label(path: str) -> str:
    """A file's name in the result, which is neither too long nor hidden."""
    label = quote(path, safe="+=@ ")
    # The digest tells two long paths apart that end alike.
    plain = len(label) <= LONGEST_LABEL and not label.startswith((".", "_"))
    return label if plain else f"{digest(path)}-{label[-LONGEST_LABEL:]}"


def _cut(rows: int, rows_a_partition: int) -> list[tuple[int, int]]:
    return [(a, min(a + rows_a_partition, rows)) for a in range(0, rows, rows_a_partition)]


def _count(path: Path) -> int | None:
    """Number of rows where the file says so; a damaged file is found out when it is read."""
    try:
        if _format(path) == "parquet":
            from pyarrow import parquet

            return parquet.read_metadata(path).num_rows
        if _format(path) == "fits" and path.suffix.lower() in (".fits", ".fit"):
            from astropy.io import fits

            with fits.open(path, memmap=True) as hdus:
                tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
                return tables[0].header["NAXIS2"] if len(tables) == 1 else None
    # Of a damaged file a reader may raise anything.
    except Exception:
        return None
    return None


def _hats(folder: Path, rows_a_partition: int) -> Source:
    """A HATS catalogue, or the main one of a collection, by what stands on disk."""
    try:
        import hats
    except ImportError as error:
        raise _no_lsdb() from error
    try:
        catalogue = hats.read_hats(folder)
        catalogue = getattr(catalogue, "main_catalog", catalogue)
        pixels, info = catalogue.get_healpix_pixels(), catalogue.catalog_info
    except Exception as error:
        raise CatalogueError(
            f"{folder} cannot be read as a HATS catalogue ({' '.join(str(error).split())[:200]}): "
            "check that it is whole"
        ) from error
    root, files, places = Path(str(catalogue.catalog_path)), [], []
    for pixel in pixels:
        one = root / "dataset" / f"{_pixel_name(pixel)}{info.npix_suffix.rstrip('/')}"
        own = sorted(one.rglob("*.parquet")) if one.is_dir() else [one]
        files += own
        places += [pixel] * len(own)
    pieces = [
        (pixel, path, start, stop, rows)
        for pixel, path, rows in zip(places, files, _counts(files), strict=True)
        for start, stop in ([(0, None)] if rows is None else _cut(rows, rows_a_partition))
    ]
    # HATS has a file a pixel, or a folder of them.
    is_cut, found = len(pieces) > len(pixels), []
    for pixel, path, start, stop, rows in pieces:
        name = _pixel_name(pixel) + f"/{path.stem}-{start:012d}" * is_cut
        rows = None if rows is None else stop - start
        place = (pixel.order, pixel.pixel)
        found.append(Partition(name, (str(path),), start, stop, rows, pixel=place))
    columns = {"ra": info.ra_column, "dec": info.dec_column}
    return Source(str(folder), tuple(found), _total(found), "hats", columns, {})


def _opened(catalogue) -> Source:
    """A catalogue that LSDB has open: partitions are computed with all that was done to it."""
    import dask

    info, frames = catalogue.hc_structure.catalog_info, tuple(catalogue.to_delayed())
    partitions = tuple(
        Partition(_pixel_name(pixel), (), pixel=(pixel.order, pixel.pixel))
        for pixel in catalogue.get_healpix_pixels()
    )
    columns = {"ra": info.ra_column, "dec": info.dec_column}
    token = dask.base.tokenize([frame.key for frame in frames])
    return Source(info.catalog_name, partitions, None, "hats", columns, {}, frames, token)


def _pixel_name(pixel) -> str:
    return f"Norder={pixel.order}/Dir={pixel.dir}/Npix={pixel.pixel}"


def _no_lsdb() -> CatalogueError:
    return CatalogueError('HATS catalogues need LSDB: pip install "galcfm[catalogue]"')


# Blocks


@dataclass(frozen=True)
class Block:
    """Some rows of a partition.

    Arguments:
        start: the first one, in its file.
        first: the same in the partition.
        file: where they are.
        table: their columns.
        pictures: the column of cutouts, one entry a row, or `None`.
        healpix: the spatial index of HATS, or `None`.
    """

    start: int
    first: int
    file: str
    table: SourceTable
    pictures: Sequence | None = None
    healpix: Sequence | None = None


def blocks(
    partition: Partition,
    rows_a_block: int,
    *,
    columns: Sequence[str] | None = None,
    pictures: str | None = None,
    frame=None,
) -> Iterator[Block]:
    """The rows of a partition, some at a time.

    Arguments:
        partition: which.
        rows_a_block: how many rows at a time, at most.
        columns: that are needed, or all.
        pictures: name of a column of cutouts.
        frame: the partition itself, where LSDB has computed it.

    Raises:
        UnreadableError: a file cannot be read.
    """
    done = 0
    names = (partition.name,) if frame is not None else partition.files
    for name in names:
        reader, source = _READERS[_kind(name, partition, frame)], name if frame is None else frame
        rows = reader(source, partition, rows_a_block, columns, pictures)
        while True:
            with _readable(name):
                found = next(rows, None)
                if found is None:
                    break
                start, table = found
                block = _block(name, start, done, table, pictures, partition.pixel is not None)
            done += len(block.table)
            yield block


def without_rows(partition: Partition, frame=None) -> Block | None:
    """The columns of a partition without its rows, where they can be read without them."""
    name = partition.files[0] if partition.files else partition.name
    kind = _kind(name, partition, frame)
    if kind == "frame":
        return Block(0, 0, name, SourceTable(frame.iloc[:0]))
    if kind != "parquet":
        return None
    from pyarrow import parquet

    with _readable(name):
        return Block(0, 0, name, SourceTable(parquet.read_schema(name).empty_table()))


@contextlib.contextmanager
def _readable(name: str):
    """Readers raise dozens of kinds of errors, few of which name the file."""
    try:
        yield
    except (ImportError, CatalogueError):
        raise
    except SurveyError as error:
        raise UnreadableError(str(error)) from error
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise UnreadableError(
            f"{name} cannot be read ({type(error).__name__}: {what}): check that it is whole"
        ) from error


def _kind(name: str, partition: Partition, frame) -> str:
    if frame is not None:
        return "frame"
    form = "parquet" if partition.pixel is not None else _format(Path(name))
    if form == "parquet":
        return form
    return "fits" if form == "fits" and partition.stop is not None else "whole"


def _block(name, start, done, table, pictures, is_hats) -> Block:
    column, healpix = None, None
    if pictures is not None:
        names = getattr(table, "column_names", None) or getattr(table, "names", None) or []
        if pictures not in names:
            raise CatalogueError(f"{name} has no column {pictures!r} of cutouts")
        column = table[pictures]
        if hasattr(table, "drop_columns"):
            table = table.drop_columns([pictures])
    if is_hats and "_healpix_29" in table.column_names:
        healpix = table["_healpix_29"].to_numpy()
    source = SourceTable(table)
    source.name = name
    return Block(start, done, name, source, column, healpix)


def _parquet_blocks(path, partition, rows_a_block, columns, pictures):
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
        # Units of astropy are kept for all columns or none.
        names, metadata = file.schema_arrow.names, file.schema_arrow.metadata or {}
        wanted = None
        if columns is not None and not any(key in metadata for key in ASTROPY_METADATA):
            wanted = [n for n in names if n in {*columns, pictures, "_healpix_29"}]
        sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        edges = list(pairwise(accumulate(sizes, initial=0)))
        last = file.metadata.num_rows if partition.stop is None else partition.stop
        groups = [k for k, (a, b) in enumerate(edges) if a < last and b > partition.start]
        row = edges[groups[0]][0] if groups else 0
        options = {"row_groups": groups, "columns": wanted, "use_threads": False}
        for batch in file.iter_batches(rows_a_block, **options):
            first, stop = max(row, partition.start), min(row + len(batch), last)
            if first < stop:
                kept = batch.slice(first - row, stop - first)
                yield first, pyarrow.Table.from_batches([kept])
            row += len(batch)


def _fits_blocks(path, partition, rows_a_block, columns, pictures):
    from astropy.io import fits

    with fits.open(path, memmap=True, character_as_bytes=True) as hdus:
        kinds = (fits.BinTableHDU, fits.TableHDU)
        number = next(k for k, hdu in enumerate(hdus) if isinstance(hdu, kinds))
        for start in range(partition.start, partition.stop, rows_a_block):
            yield start, hdus[number].data[start : min(start + rows_a_block, partition.stop)]


def _whole_blocks(path, partition, rows_a_block, columns, pictures):
    size = Path(path).stat().st_size
    if size > LARGEST_WHOLE_FILE:
        raise SurveyError(
            f"{path} has {size / 1e9:.1f} GB, and text and packed files are read whole: write it "
            "as Parquet or plain FITS, or split it into files of less than "
            f"{LARGEST_WHOLE_FILE >> 20} MB"
        )
    if pictures is not None:
        raise CatalogueError(f"{path}: cutouts are columns of Parquet and plain FITS files alone")
    table = read_table(path)
    for start in range(0, len(table), rows_a_block):
        rows = slice(start, start + rows_a_block)
        # A Table of astropy has an `iloc` too, of another kind.
        yield start, table[rows] if hasattr(table, "colnames") else table.iloc[rows]


def _frame_blocks(frame, partition, rows_a_block, columns, pictures):
    import pyarrow

    if frame.index.name is not None:
        frame = frame.reset_index()
    if columns is not None:
        frame = frame[[n for n in frame.columns if n in {*columns, pictures, "_healpix_29"}]]
    for start in range(0, len(frame), rows_a_block):
        part = frame.iloc[start : start + rows_a_block]
        yield start, pyarrow.Table.from_pandas(part, preserve_index=False)


_READERS = {
    "parquet": _parquet_blocks,
    "fits": _fits_blocks,
    "whole": _whole_blocks,
    "frame": _frame_blocks,
}
