"""The table of real galaxies: its files, one by one, with each embedding averaged over its tokens.

The data set of the Hugging Face Hub has about 96,000 galaxies in 117 GB, nearly all of it tokens of
AION-1: 576 of the image and 273 of the spectrum per galaxy, with 768 features each. Only the mean
over the tokens is kept, 6 kB per galaxy. A file is fetched, averaged and deleted before the next
one is fetched, so that one file at a time needs room on the disk.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from galcfm import paths
from galcfm.runs import RunError
from galcfm.survey.cards import library

EMBEDDINGS = ("embedding_image", "embedding_spectrum")
IDENTIFIER = "object_id_provabgs"
OF_GALAXIES = ("ra", "dec", "Z_HP", "MAG_G", "MAG_R", "MAG_Z")
LABELS = ("LOG_MSTAR", "AVG_SFR", "Z_MW", "TAGE_MW")
NUMBERS = tuple(f"{name}_provabgs" for name in (*OF_GALAXIES, *LABELS))
ROWS_AT_ONCE = 64  # their tokens are in memory at once
SPARE_BYTES = 1 << 30
AGAIN = "Delete it: the next call fetches it again."


def read_table(source: str, n_galaxies: int, progress: bool = True, **options) -> pa.Table:
    """Return galaxies of the table, with embeddings averaged over their tokens.

    Files are taken in an order that their names fix, as neighbouring files may hold neighbouring
    galaxies. A larger number of galaxies begins with those of a smaller one.

    Arguments:
        source: `"owner/name"` of the data set on the Hugging Face Hub, or a folder of Parquet files
            or one such file with the same columns.
        n_galaxies: Number of galaxies; 0 for all.
        progress: Whether to show a progress bar.
        options: Options of `huggingface_hub.HfApi`, e.g. `token` or `endpoint`.

    Raises:
        RunError: The data set cannot be read or fetched, a column is missing, or another process
            fetches it.
        OSError: The disk is too small.
    """
    local = paths.user_path(source, "table", RunError)
    if local.exists():
        files = sorted(local.rglob("*.parquet")) if local.is_dir() else [local]
        return _first({path.name: path for path in files}, averaged, source, n_galaxies, progress)
    folder = paths.download_folder(source.replace("/", "--"))
    lock = folder / "lock"
    paths.hold(lock, RunError(f"another process fetches {source} to {folder}: wait for it"))
    api = library("huggingface_hub", RunError).HfApi(**options)
    try:
        with _in_a_sentence(source):
            commit = api.dataset_info(source).sha
            tree = api.list_repo_tree(source, repo_type="dataset", revision=commit, recursive=True)
            files = {file.path: file for file in tree if file.path.endswith(".parquet")}

        def read(file) -> pa.Table:
            return _fetched(api, source, file, commit, folder)

        return _first(files, read, source, n_galaxies, progress)
    finally:
        paths.let_go(lock)


def _first(files: dict, read: Callable, source: str, n_galaxies: int, progress: bool) -> pa.Table:
    """Read files until there are enough galaxies, and return these."""
    if not files:
        raise RunError(f"{source} has no Parquet files: give the folder that contains them")
    parts, n_read = [], 0
    order = sorted(files, key=lambda name: sha256(name.encode()).digest())
    for name in tqdm(order, desc="files of the table", disable=not progress):
        parts.append(read(files[name]))
        n_read += len(parts[-1])
        if n_galaxies and n_read >= n_galaxies:
            break
    return pa.concat_tables(parts)[: n_galaxies or None]


def _fetched(api, source: str, file, commit: str, folder: Path) -> pa.Table:
    """Return the galaxies of a file of the data set, which is fetched and averaged once."""
    kept = folder / commit[:12] / file.path.replace("/", "--")
    if not kept.exists():
        paths.require_disk_space(folder, file.size + SPARE_BYTES)
        place = {"revision": commit, "local_dir": folder / "arriving"}
        with _in_a_sentence(source):
            path = api.hf_hub_download(source, file.path, repo_type="dataset", **place)
        with paths.replacing(kept) as temporary:
            pq.write_table(averaged(Path(path)), temporary)
        shutil.rmtree(folder / "arriving")
    with paths.damage_in_a_sentence(kept, AGAIN, RunError):
        return pq.read_table(kept)


@contextmanager
def _in_a_sentence(source: str) -> Iterator[None]:
    """Replace an error of the Hub by one that says what to do."""
    from httpx import HTTPError
    from huggingface_hub import errors

    try:
        yield
    except (errors.HfHubHTTPError, errors.HFValidationError, HTTPError, OSError) as error:
        if getattr(error, "errno", None) is not None and not isinstance(error, ConnectionError):
            raise  # of the disk
        said = " ".join(str(error).split())[:300]
        raise RunError(
            f"{source} cannot be fetched: check the name and the network; running again continues, "
            f"or give a folder that has the files ({said})"
        ) from error


def averaged(path: Path) -> pa.Table:
    """Return the galaxies of a file, each embedding averaged over its tokens.

    Galaxies without the column of identifiers are called by the file and their row in it.

    Raises:
        RunError: The file is damaged or lacks a column.
    """
    with paths.damage_in_a_sentence(path, "Fetch it again, or leave it out.", RunError):
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        columns = [name for name in (IDENTIFIER, *NUMBERS, *EMBEDDINGS) if name in names]
        batches = file.iter_batches(ROWS_AT_ONCE, columns=columns)
        lacking = {*NUMBERS, *EMBEDDINGS} - {*names}
        parts = [] if lacking else [_averaged_rows(pa.table(batch)) for batch in batches]
    if lacking:
        raise RunError(
            f"{path} has no column {', '.join(sorted(lacking))}: give the files of the data set "
            "EiffL/desi_x_ls_aion, or a table with its columns"
        )
    table = pa.concat_tables(parts)
    if IDENTIFIER not in names:
        rows = [f"{path.stem}-{row}" for row in range(len(table))]
        table = table.append_column(IDENTIFIER, pa.array(rows))
    return table.select([IDENTIFIER, *NUMBERS, *EMBEDDINGS])


def _averaged_rows(rows: pa.Table) -> pa.Table:
    for name in EMBEDDINGS:
        means = mean_over_tokens(rows[name].combine_chunks())
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(means.ravel()), means.shape[1])
        rows = rows.set_column(rows.column_names.index(name), name, vectors)
    return rows


def mean_over_tokens(lists: pa.Array) -> np.ndarray:
    """Return the mean vector of each galaxy, float32 `(n, length)`; NaN where it has no tokens.

    Arguments:
        lists: One list of tokens per galaxy, each token a list of features; or one list of features
            per galaxy, which is returned.

    Raises:
        ValueError: Tokens have different numbers of features.
    """
    inner, counts = pc.list_flatten(lists), pc.fill_null(pc.list_value_length(lists), 0)
    if not pa.types.is_nested(inner.type):
        inner, counts = lists.drop_null(), pc.cast(lists.is_valid(), pa.int64())
    counts = counts.to_numpy(zero_copy_only=False)
    lengths = pc.unique(pc.list_value_length(inner)).to_pylist()
    if len(lengths) != 1:
        raise ValueError(f"tokens have {' or '.join(map(str, lengths)) or 'no'} features")
    tokens = pc.list_flatten(inner).to_numpy(zero_copy_only=False)
    tokens = tokens.astype(np.float32).reshape(-1, lengths[0])
    means = np.full((len(lists), tokens.shape[1]), np.nan, dtype=np.float32)
    some = counts > 0
    starts = np.concatenate([[0], np.cumsum(counts[some])[:-1]]).astype(int)
    means[some] = np.add.reduceat(tokens, starts, axis=0) / counts[some, None]
    return means
