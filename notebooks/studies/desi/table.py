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

from galcfm.paths import (
    damage_in_a_sentence,
    download_folder,
    hold,
    let_go,
    replacing,
    require_disk_space,
    user_path,
)
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
    local = user_path(source, "table", RunError)
    if local.exists():
        files = sorted(local.rglob("*.parquet")) if local.is_dir() else [local]
        readers = {path.name: (lambda path=path: averaged(path)) for path in files}
        return _first(source, readers, n_galaxies, progress)
    folder = download_folder(source.replace("/", "--"))
    lock = folder / "lock"
    hold(lock, RunError(f"another process fetches {source} to {folder}: wait for it"))
    try:
        return _first(source, _on_the_hub(source, folder, options), n_galaxies, progress)
    finally:
        let_go(lock)


def _first(source: str, readers: dict, n_galaxies: int, progress: bool) -> pa.Table:
    """Read files until there are enough galaxies, and return these."""
    if not readers:
        raise RunError(f"{source} has no Parquet files: give the folder that contains them")
    parts, n_read = [], 0
    order = sorted(readers, key=lambda name: sha256(name.encode()).digest())
    for name in tqdm(order, desc="files of the table", disable=not progress):
        parts.append(readers[name]())
        n_read += len(parts[-1])
        if n_galaxies and n_read >= n_galaxies:
            break
    table = pa.concat_tables(parts)
    return table[: n_galaxies or None]


def _on_the_hub(source: str, folder: Path, options: dict) -> dict[str, Callable[[], pa.Table]]:
    """Return for each file of the data set a function that returns its galaxies."""
    hub = library("huggingface_hub", RunError)
    api = hub.HfApi(**options)
    with _in_a_sentence(source):
        revision = api.dataset_info(source).sha
        tree = api.list_repo_tree(source, repo_type="dataset", revision=revision, recursive=True)
        sizes = {file.path: file.size for file in tree if file.path.endswith(".parquet")}

    def read(name: str) -> pa.Table:
        kept = folder / revision[:12] / name.replace("/", "--")
        if not kept.exists():
            require_disk_space(folder, sizes[name] + SPARE_BYTES)
            arriving = folder / "arriving"
            with _in_a_sentence(source):
                path = api.hf_hub_download(
                    source, name, repo_type="dataset", revision=revision, local_dir=arriving
                )
            with replacing(kept) as temporary:
                pq.write_table(averaged(Path(path)), temporary)
            shutil.rmtree(arriving)
        with damage_in_a_sentence(kept, AGAIN, RunError):
            return pq.read_table(kept)

    return {name: (lambda name=name: read(name)) for name in sizes}


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
    with damage_in_a_sentence(path, "Fetch it again, or leave it out.", RunError):
        file = pq.ParquetFile(path)
        names = set(file.schema_arrow.names)
    if missing := [name for name in (*NUMBERS, *EMBEDDINGS) if name not in names]:
        raise RunError(
            f"{path} has no column {', '.join(missing)}: give the files of the data set "
            "EiffL/desi_x_ls_aion, or a table with its columns"
        )
    columns = [*NUMBERS, *EMBEDDINGS, *({IDENTIFIER} & names)]
    with damage_in_a_sentence(path, "Fetch it again, or leave it out.", RunError):
        parts = [
            _averaged_rows(pa.Table.from_batches([batch]))
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns)
        ]
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
