"""Inference of catalogues of any size with Dask.

The partitions of the source are independent: threads, or the workers of a cluster, process one
after another. Repeat the call to resume an interrupted run.
"""

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tqdm import tqdm

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.cutouts import given_cutouts
from galcfm.catalogue.partitions import infer_partition
from galcfm.catalogue.plan import Plan, make_plan
from galcfm.catalogue.results import InferredCatalogue, complete_result, open_result
from galcfm.catalogue.sources import Source, find_source
from galcfm.flow import FAST_STEPS, threads_given_back
from galcfm.paths import no_bar, require_disk_space, user_path
from galcfm.posterior import Posterior
from galcfm.posterior.inputs import whole_number
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.embeddings import Embeddings

BYTES_A_ROW = 250  # size of a row of the result, without draws
WORKER_WAIT = 1800  # s without any worker of a cluster


def infer_catalogue(
    model: Posterior | Path | str,
    source,
    destination: Path | str,
    *,
    columns: Mapping[str, str | None] | None = None,
    unit: str | None = None,
    total: bool | None = None,
    dereddened: bool | None = None,
    cutouts: Path | str | Cutouts | None = None,
    pixel_scale: float | None = None,
    embeddings: Mapping[str, Embeddings] | None = None,
    n_samples: int = 1000,
    steps: int = FAST_STEPS,
    seed: int = 0,
    n_draws: int = 0,
    rows_a_partition: int = 20_000,
    progress: bool = True,
) -> InferredCatalogue:
    """Infer the posteriors of all galaxies of a catalogue of any size and store their summaries.

    The same call resumes an interrupted run. Each row is inferred once, and its result depends
    neither on the partitions nor on the number of workers. The active client of Dask does the work
    if there is one; otherwise one thread per core does it, or as many threads as Dask's
    `num_workers` states. Rows are checked as in `Survey.from_table`, but each independently: the
    unit is checked with the first rows of the first file, at most 1,000, and identifiers are not
    compared with each other.

    Example:
        ::

            made = infer_catalogue(
                "data/published/models/photometry", "galaxies/*.parquet", "posteriors",
                unit="AB", total=True, dereddened=True,
            )
            print(made.used, made.rejected_rows())

    Arguments:
        model: Trained model, or its folder.
        source: Folder of a HATS catalogue or collection, a catalogue that LSDB has open, a
            DataFrame of Dask, the folder of a survey, or a file (Parquet, FITS, CSV, ECSV, VOTable,
            HDF5), folder of files or pattern of paths that all workers find under this path.
        destination: Folder of the result; its Parquet files are in `dataset/`.
        columns, unit, total, dereddened: Declarations of a table, as in `Survey.from_table`.
        cutouts: Cutouts for an image model: a folder of files such as ID.jpg, as in
            `Survey.from_table`, or the name of a column of JPEG, PNG or pixels, or, for a model of
            linear cutouts, of fluxes or records; or a `galcfm.survey.cutouts.Cutouts` of one of
            them with the unit or the bands of its fluxes. A survey has its own images.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        embeddings: Embeddings for a model trained with them, as in `Survey.from_table`: columns, or
            files with `object_id`, which each partition reads in blocks. A survey has its own.
        n_samples, steps, seed: Settings of the draws as in `Posterior.sample`.
        n_draws: Number of draws per galaxy that are kept in a nested column.
        rows_a_partition: Largest number of rows of a file that are inferred together. A killed
            worker loses at most as many rows. Partitions of another size are inferred again.
        progress: Whether to show a progress bar.

    Raises:
        CatalogueError: Nothing can be read, model and source do not fit, the destination contains
            other files, or the scheduler was lost.
        SurveyError: A column is missing, or the numbers are not in the declared unit.
        OSError: The destination cannot be written.
    """
    settings = {"n_samples": n_samples, "steps": steps, "seed": seed, "n_draws": n_draws}
    _require_numbers(**settings, rows_a_partition=rows_a_partition)
    client = _active_client()
    if not isinstance(model, Posterior):
        model = Posterior.load(model, device=None if client is None else "cpu")
    cutouts, rows_a_partition = given_cutouts(cutouts, model, rows_a_partition)
    destination = user_path(destination, "the folder of the result", CatalogueError)
    destination = Path(os.path.realpath(destination))
    found = find_source(source, destination, rows_a_partition)
    declared = {"unit": unit, "total": total, "dereddened": dereddened, "embeddings": embeddings}
    plan = make_plan(
        model, found, destination, columns or {}, declared, cutouts, pixel_scale, settings
    )
    with open_result(plan, found) as (records, left_out):
        _run(plan, found, records, client, progress)
        return complete_result(plan, records, left_out)


def _require_numbers(**numbers: int) -> None:
    least = {"n_samples": 2, "steps": 1, "rows_a_partition": 1}
    for name, number in numbers.items():
        whole_number(name, number, least.get(name, 0))
    kept, drawn = numbers["n_draws"], numbers["n_samples"]
    if kept > drawn:
        raise CatalogueError(f"n_draws is {kept}, more than the {drawn} samples: keep fewer draws")


def _active_client():
    """Return the client of Dask that the user has open, or `None`."""
    try:
        from distributed import default_client

        client = default_client()
    except ModuleNotFoundError as error:
        raise CatalogueError(f'{error}: pip install "galcfm[catalogue]"') from error
    except ValueError:
        return None
    if client.asynchronous:
        raise CatalogueError("the active Dask client is asynchronous: open a synchronous client")
    return client


def _watch(client, futures, bar, stop: threading.Event) -> None:
    """Report when the cluster has no worker, and cancel the work after `WORKER_WAIT` without one.

    Arguments:
        client: Client of Dask.
        futures: Futures of the partitions.
        bar: Progress bar, which shows the message.
        stop: Event that ends the watch.
    """
    last = time.monotonic()
    # If the scheduler is lost, the work ends without help.
    with contextlib.suppress(Exception):
        while not stop.wait(1) and time.monotonic() - last < WORKER_WAIT:
            there = client.scheduler_info(n_workers=1)["workers"]
            bar.set_postfix_str("" if there else "waiting for a worker")
            last = time.monotonic() if there else last
        if not stop.is_set():
            client.cancel(futures, force=True)


class _Stopped(BaseException):
    """The result is no longer needed."""


def _run(plan: Plan, source: Source, records: dict, client, progress: bool) -> None:
    """Infer all partitions that are not done, and add their records to `records`."""
    import dask
    import distributed
    from dask.system import CPU_COUNT

    done = sum(record["rows"] for record in records.values())
    if source.rows is not None:
        a_row = BYTES_A_ROW + 4 * len(plan.model.declaration.properties) * plan.identity["n_draws"]
        require_disk_space(plan.destination, (source.rows - done) * a_row)
    stop = threading.Event()
    # Rows that are already done must not count in the speed.
    options = {"initial": done, "smoothing": 0.05, "total": source.rows, "unit": "galaxy"}
    bar = tqdm(desc="inferring", disable=no_bar(progress), **options)
    with threads_given_back(), bar:

        def each(n):
            if stop.is_set():
                raise _Stopped
            with bar.get_lock():
                bar.update(n)

        if client is None:
            pool = ThreadPoolExecutor(dask.config.get("num_workers", CPU_COUNT))
            submit, given, completed = pool.submit, (plan, each), as_completed
        else:
            submit = partial(client.submit, pure=False)
            # Dask sends the plan to each worker once, and again if the workers that have it die.
            given, completed = (submit(lambda: plan), None), distributed.as_completed
        todo = [partition for partition in source.partitions if partition.name not in records]
        waiting = {submit(infer_partition, one, *given): one for one in todo}
        if client is not None and waiting:
            watch = partial(_watch, client, list(waiting), bar, stop)
            threading.Thread(target=watch, daemon=True).start()
        try:
            for future in completed(list(waiting)):
                partition = waiting.pop(future)
                try:
                    record = future.result()
                except distributed.KilledWorker:
                    reason = "its workers died repeatedly: give them more memory"
                    record = {"failed": f"{partition.where}: {reason}"}
                records[partition.name] = record
                if client is not None:
                    bar.update(record.get("rows", 0))
        # Finished results also come through the scheduler.
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise CatalogueError(
                f"the scheduler was lost, or had no worker for {WORKER_WAIT // 60} minutes, while "
                f"{len(waiting) + 1} partitions were left: start workers, and run again to resume"
            ) from error
        finally:
            stop.set()
            if client is None:
                pool.shutdown(cancel_futures=True)
            else:
                with contextlib.suppress(Exception):
                    client.cancel([*waiting, given[0]], force=True)
