"""Embeddings for surveys and catalogues: features of each galaxy that another model computed.

They are a column of vectors, an array, or a file. Files and arrays are read in blocks of rows and
matched by `object_id`, so that they may be larger than the memory and in any order.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import compute, parquet

from galcfm.paths import user_path
from galcfm.properties import Embedding
from galcfm.survey.rules import SurveyError
from galcfm.survey.tables import FORMATS, SourceTable, readable

BLOCK = 4096  # rows of a file that are in memory at once
BUFFER = 1 << 20  # bytes of a column that are read at once, for files with large row groups


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of the galaxies of a table, and the model that made them.

    Example:
        ::

            embeddings = {"image": Embeddings("embeddings.h5", model="AION-1 base")}
            survey = Survey.from_table(..., embeddings=embeddings)

    Arguments:
        source: Name of a column of vectors (lists of Parquet, vectors of FITS or HDF5); an array or
            a list of vectors, also of HDF5 or Zarr; a dict, a DataFrame, or a group of HDF5 or Zarr
            with such a column; or the path of a .npy, .parquet, .h5 or .zarr file.
        model: Name of the model that made them, with its version. A trained model refuses the
            embeddings of another one.
        column: Column of the vectors in a file or group, by default the name of the embedding.
        object_id: Identifiers of the vectors; by default the column `object_id` of the file or
            group. Without identifiers, the vectors have the order of the table.
    """

    source: object
    model: str
    column: str | None = None
    object_id: Sequence | None = None


def collect_embeddings(
    embeddings: Mapping[str, Embeddings], table: SourceTable, object_id: Sequence[str], reasons
) -> tuple[tuple[Embedding, ...], dict[str, np.ndarray]]:
    """Return the declarations of embeddings, and their values as in `read_embedding`.

    Arguments:
        embeddings: Embeddings by name, as in `Survey.from_table`.
        table, object_id, reasons: Table, identifiers and reasons as in `read_embedding`.
    """
    require_embeddings(embeddings)
    found = {n: read_embedding(e, n, table, object_id, reasons) for n, e in embeddings.items()}
    return tuple(Embedding(n, embeddings[n].model, x.shape[1]) for n, x in found.items()), found


def require_embeddings(embeddings) -> None:
    """Check that embeddings are a dict of `Embeddings`.

    Raises:
        SurveyError: They are something else.
    """
    given = embeddings.values() if isinstance(embeddings, Mapping) else [embeddings]
    if not all(isinstance(one, Embeddings) for one in given):
        raise SurveyError(
            "embeddings are not a dict of Embeddings: give a dict such as "
            "{'image': Embeddings('name of a column', model='AION-1 base')}"
        )


def read_embedding(
    given: Embeddings,
    name: str,
    table: SourceTable,
    object_id: Sequence[str],
    reasons: list[list[str]],
    length: int | None = None,
) -> np.ndarray:
    """Return an embedding of galaxies; rows without a usable vector get a reason.

    Arguments:
        given: Source of the vectors.
        name: Name of the embedding.
        table: Table of the galaxies.
        object_id: Identifiers of the galaxies, `(n,)`.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        length: Number of features; by default the most frequent one.

    Returns:
        Features, float32 `(n, length)`, NaN in rows with a reason.

    Raises:
        SurveyError: The source cannot be read, or its rows cannot be matched.
    """
    is_path = isinstance(given.source, str | os.PathLike)
    where = str(given.source) if is_path else f"the embedding {name}"
    with ExitStack() as files, readable(where, "embeddings", "check that it is complete"):
        n, blocks, ids = _opened(given, name, table, where, files)
        rows = np.array([row for row, reason in enumerate(reasons) if not reason], int)
        places, found = _places(n, ids, object_id, rows, where), {}
        for row in rows[places < 0]:
            reasons[row].append(f"embedding {name}: there is none for {object_id[row]}")
        order = np.argsort(places, kind="stable")[np.sum(places < 0) :]
        rows, places = rows[order], places[order]
        for start, block in blocks(places):
            here = slice(*np.searchsorted(places, [start, start + len(block)]))
            for row, place in zip(rows[here], places[here], strict=True):
                found[row] = _vector(block[place - start])
    sizes = Counter(vector.size for vector in found.values() if vector.size)
    length = length or max(sizes, key=sizes.get, default=1)
    values = np.full((len(reasons), length), np.nan, np.float32)
    for row, vector in found.items():
        if vector.size != length:
            reasons[row].append(f"embedding {name}: it has {vector.size} numbers, not {length}")
        elif not np.isfinite(vector).all():
            reasons[row].append(f"embedding {name}: it has numbers that are not finite")
        else:
            values[row] = vector
    return values


def _opened(given: Embeddings, name: str, table: SourceTable, where: str, files: ExitStack):
    """Return the number of vectors, a function that yields blocks of them, and identifiers."""
    source, ids = given.source, given.object_id
    if isinstance(source, str) and source in table.names:
        source = table.table[source]
    elif isinstance(source, str | os.PathLike):
        source = _opened_file(source, table, files)
    is_parquet = isinstance(source, parquet.ParquetFile)
    if is_parquet or (hasattr(source, "keys") and not isinstance(source, pd.Series)):
        columns = source.schema_arrow.names if is_parquet else list(source.keys())
        column = given.column or name
        if column not in columns:
            raise SurveyError(
                f"{where} has no column {column!r}: name the one of the vectors, as "
                f"Embeddings(…, column='…'); it has {', '.join(map(str, columns[:20]))}"
            )
        if ids is None and "object_id" in columns:
            ids = source.read(["object_id"])[0] if is_parquet else source["object_id"]
        if is_parquet:
            return source.metadata.num_rows, partial(_parquet_blocks, source, column), ids
        source = source[column]
    source = source.to_numpy() if isinstance(source, pd.Series) else source
    # Arrays of Zarr have no length.
    n = source.shape[0] if hasattr(source, "shape") else len(source)
    return n, partial(_array_blocks, source), ids


def _opened_file(given, table: SourceTable, files: ExitStack):
    """Return an array, a Parquet file, or a group of HDF5 or Zarr."""
    path = user_path(given, "the embeddings", SurveyError)
    form = FORMATS.get(path.suffix.lower(), path.suffix.lower())
    if not path.exists():
        raise SurveyError(
            f"{given} is neither a column of {table.name} nor a file of embeddings: correct it"
        )
    if form == ".npy":
        return np.load(path, mmap_mode="r")
    if form == "parquet":
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        return files.enter_context(file)
    if form == "hdf5":
        import h5py

        return files.enter_context(h5py.File(path, "r"))
    if form == ".zarr":
        try:
            import zarr
        except ModuleNotFoundError as error:
            raise SurveyError(f"{path} needs zarr: pip install zarr") from error
        return zarr.open(path, mode="r")
    raise SurveyError(f"{path}: this ending is unknown; use .npy, .parquet, .h5 or .zarr")


def _parquet_blocks(file: parquet.ParquetFile, column: str, wanted) -> Iterator[tuple]:
    """Yield the first row and the cells of all blocks of a column."""
    start = 0
    for batch in file.iter_batches(BLOCK, columns=[column]):
        yield start, batch[0].to_numpy(zero_copy_only=False)
        start += len(batch)


def _array_blocks(array, wanted: np.ndarray) -> Iterator[tuple]:
    """Yield the first row and the cells of each block that has one of the wanted rows."""
    for start in (np.unique(wanted // BLOCK) * BLOCK).tolist():
        block = array[start : start + BLOCK]
        yield start, block.to_numpy() if isinstance(block, pyarrow.ChunkedArray) else block


def _places(n: int, ids, object_id: Sequence[str], rows: np.ndarray, where: str) -> np.ndarray:
    """Return the place of some galaxies among n vectors, -1 if there is none.

    Raises:
        SurveyError: There are not as many vectors as rows or identifiers, or an identifier is a
            float or occurs twice.
    """
    ids = None if ids is None else pyarrow.table({"object_id": ids[:]})["object_id"]
    known = len(object_id if ids is None else ids)
    if known != n:
        raise SurveyError(
            f"{where} has {n} vectors for {known} rows or identifiers: give one each, or "
            "object_id, the identifiers of the vectors"
        )
    if ids is None:
        return rows
    if pyarrow.types.is_floating(ids.type):
        raise SurveyError(f"{where}: object_id are floats, which lose digits: give text")
    ids = compute.utf8_trim_whitespace(ids.cast(pyarrow.string()))
    names, counts = ids.value_counts().flatten()
    if n and (most := compute.max(counts).as_py()) > 1:
        name = names[counts.index(most).as_py()]
        raise SurveyError(f"{where}: object_id {name} occurs {most} times: keep one of the rows")
    wanted = pyarrow.array([object_id[row] for row in rows], pyarrow.string())
    return compute.index_in(wanted, ids).fill_null(-1).to_numpy()


def _vector(cell) -> np.ndarray:
    """Return a cell as float32 `(k,)`, NaN for masked numbers; empty if it is no vector."""
    try:
        vector = np.ma.asarray(cell)
        if vector.dtype.kind in "iufO" and vector.ndim == 1:
            with np.errstate(over="ignore"):
                return vector.astype(np.float32).filled(np.nan)
    except (TypeError, ValueError):
        pass
    return np.empty(0, np.float32)
