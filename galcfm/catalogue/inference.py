"""Inference over a catalogue that no single machine need hold, on Dask.

The partitions of the source are independent: a scheduler hands them to workers, and whatever is
killed, the next call does what is not done yet.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.catalogue.partitions import (
    PLANS,
    Stopped,
    Task,
    choose,
    infer_partition,
    is_done,
    sources_of,
)
from galcfm.catalogue.pictures import open_pictures
from galcfm.catalogue.sources import (
    CatalogueError,
    Source,
    UnreadableError,
    blocks,
    find_source,
    without_rows,
)
from galcfm.catalogue.summaries import columns_of, schema_of
from galcfm.flow import FAST_STEPS
from galcfm.paths import (
    disk_errors_in_a_sentence,
    hold,
    let_go,
    replacing,
    require_disk_space,
    require_own_files,
    write_json,
)
from galcfm.posterior import Posterior
from galcfm.posterior.inputs import whole_number
from galcfm.properties import MAGNITUDES, PROPERTIES
from galcfm.provenance import array_digest, code_digest, digest, provenance
from galcfm.survey.images import PIXEL_SCALE
from galcfm.survey.intake import check_declared, check_unit, declared_unit, read_columns

__all__ = ["CATALOGUE_FILES", "InferredCatalogue", "infer_catalogue"]

SCHEMA_VERSION = 1
DESCRIPTION = "inference.json"
# What the folder of a result holds.
CATALOGUE_FILES = (
    DESCRIPTION,
    ".lock",
    *(
        f"{kind}/{folders}*.{end}"
        for kind, end in (("dataset", "parquet"), ("rejected", "parquet"), ("records", "json"))
        for folders in ("", "Norder=*/Dir=*/", "Norder=*/Dir=*/Npix=*/")
    ),
    "dataset/_metadata",
    "dataset/_common_metadata",
    "hats.properties",
    "properties",
    "partition_info.csv",
)
# Rows by which the unit of a whole source is judged.
ROWS_JUDGED = 1000
BYTES_A_ROW = 250  # of the result, without draws


@dataclass(frozen=True)
class InferredCatalogue:
    """What `infer_catalogue` made, and where.

    Arguments:
        folder: the result: `dataset/` of Parquet files, `rejected/` of the rows that could not be
            used, `inference.json`.
        rows: of the source.
        used: that were inferred.
        rejected: that could not be used.
        failed: why partitions could not be read, by their names; a later call tries them again.
    """

    folder: Path
    rows: int
    used: int
    rejected: int
    failed: Mapping[str, str] = field(default_factory=dict)

    def table(self, columns=None) -> pd.DataFrame:
        """The whole result in memory, or some columns of it, by the names of its files."""
        return _read(self.folder / "dataset", columns)

    def rejected_rows(self) -> pd.DataFrame:
        """`file`, `row`, `object_id` and `reason` of each row that could not be used."""
        return _read(self.folder / "rejected", None)


def _read(folder: Path, columns) -> pd.DataFrame:
    files = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("."))
    # One by one: the folders of HATS are no columns.
    parts = [pd.read_parquet(path, columns=columns, partitioning=None) for path in files]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def infer_catalogue(
    model: Posterior | Path | str,
    source,
    destination: Path | str,
    *,
    client=None,
    columns: Mapping[str, str | None] | None = None,
    unit: str | None = None,
    total: bool | None = None,
    dereddened: bool | None = None,
    cutouts: Path | str | None = None,
    pixel_scale: float | None = None,
    n_samples: int = 1000,
    steps: int = FAST_STEPS,
    seed: int = 0,
    n_draws: int = 0,
    rows_a_partition: int = 20_000,
    replace: bool = False,
    progress: bool = True,
) -> InferredCatalogue:
    """Infer the posteriors of all galaxies of a catalogue of any size, and keep their summaries.

    Called again, whatever ended it before, it does what is not done yet: each row stands once, and
    is the same however the catalogue was cut and however many workers there were. Rows are judged
    as `Survey.from_table` does, but each by itself: the unit of the source by its first 1,000
    rows, and identifiers are not compared.

    Example:
        ::

            from galcfm.catalogue import infer_catalogue

            made = infer_catalogue(
                "data/published/models/photometry", "galaxies/*.parquet", "posteriors",
                unit="AB", total=True, dereddened=True,
            )
            print(made.used, made.rejected_rows())

    Arguments:
        model: a trained model, or its folder.
        source: folder of a HATS catalogue or collection, a catalogue that LSDB has open, the
            folder of a survey of galcfm, a file (Parquet, FITS, CSV, ECSV, VOTable), a folder of
            files, or a pattern of their paths. Workers must see it under the same path.
        destination: folder of the result: a HATS catalogue of the same pixels where the source is
            one, otherwise Parquet files in `dataset/`.
        client: a client of `dask.distributed`; by default the one that is active, otherwise the
            threads of this process, as many as there are cores or as Dask's `num_workers` says.
        columns, unit, total, dereddened: as `Survey.from_table` has them; a survey of galcfm needs
            none.
        cutouts: for an image model: a folder of ID.jpg and its kin, as `Survey.from_table` takes;
            a Zarr, HDF5 or NumPy file of uint8 `(n, height, width, 3)`, channels i, r, g, in the
            order of the rows, whose `object_id` is compared if it has one; or the name of a column
            that holds JPEG, PNG or pixels.
        pixel_scale: of the cutouts [arcsec/pixel].
        n_samples, steps, seed: as `Posterior.sample` takes them.
        n_draws: draws a galaxy that are kept beside the summaries, in a nested column.
        rows_a_partition: rows of a file that are inferred together at most: what a killed worker
            loses. A result is written and the progress seen after as many. With another number,
            what was done before is done again.
        replace: a result of another model, source or settings is removed first.
        progress: show a bar.

    Raises:
        CatalogueError: there is nothing to read, model and source do not fit, the destination
            holds anything else, or a scheduler was lost.
        SurveyError: a column is missing, or the numbers are not in the unit that is declared.
        OSError: the destination cannot be written.
    """
    destination = Path(os.path.realpath(destination))
    for name, number, least in (
        ("n_samples", n_samples, 2),
        ("steps", steps, 1),
        ("seed", seed, 0),
        ("n_draws", n_draws, 0),
        ("rows_a_partition", rows_a_partition, 1),
    ):
        whole_number(name, number, least)
    if n_draws > n_samples:
        raise CatalogueError(f"n_draws is {n_draws} of {n_samples} samples: keep as many at most")
    _require_dask()
    client = _active_client() if client is None else client
    if not isinstance(model, Posterior):
        model = Posterior.load(model, device=None if client is None else "cpu")
    found = find_source(source, rows_a_partition)
    _require_apart(found, destination)
    declared = found.declared | {
        key: value
        for key, value in (("unit", unit), ("total", total), ("dereddened", dereddened))
        if value is not None
    }
    task = _task(model, found, destination, columns, declared, cutouts, pixel_scale)
    settings = {"n_samples": n_samples, "steps": steps, "seed": seed, "n_draws": n_draws}
    task = _with_result(task, model, found, settings)
    with _opened(task, found, replace) as records:
        _require_disk(task, found, records)
        made = _run(task, found, records, model, client, progress)
        return _finish(task, found, made)


def _require_dask() -> None:
    for name in ("dask", "astropy"):
        if find_spec(name) is None:
            raise CatalogueError(f'{name} is missing: pip install "galcfm[catalogue]"')


def _active_client():
    """The client that a user has open, as Dask itself would take it."""
    try:
        from distributed import default_client
    except ImportError:
        return None
    with contextlib.suppress(ValueError):
        return default_client()
    return None


def _require_apart(source: Source, destination: Path) -> None:
    for partition in source.partitions:
        for path in partition.files:
            if Path(path).resolve().is_relative_to(destination):
                raise CatalogueError(
                    f"{destination} holds the source {path}: name another folder for the result"
                )
    inside = source.kind == "files" and Path(source.name).is_dir()
    if inside and destination.is_relative_to(Path(source.name).resolve()):
        raise CatalogueError(
            f"{destination} lies in the source, of which it would be a part: name another folder"
        )


def _task(model, source: Source, destination, columns, declared, cutouts, pixel_scale) -> Task:
    missing = [name for name in ("unit", "total", "dereddened") if name not in declared]
    if missing:
        raise CatalogueError(
            f"{source.name} does not say {', '.join(missing)}: declare unit ('AB', 'nanomaggy', "
            "'Jy', 'asinh' or 'Vega'), total=True if these are fluxes of whole galaxies, and "
            "dereddened (whether the Galaxy's extinction is removed)"
        )
    if source.kind == "survey" and model.uses_images and cutouts is None:
        cutouts, pixel_scale = Path(source.name) / "images.npy", PIXEL_SCALE
    if model.uses_images and cutouts is None:
        raise CatalogueError("this is an image model: give cutouts and their pixel_scale")
    if not model.uses_images and cutouts is not None:
        raise CatalogueError("this is a photometry model: leave cutouts out, or use an image model")
    unit = declared.pop("unit")
    declared_unit(unit)
    declared |= {"columns": columns, "strict": False, "cutouts": cutouts}
    pixel_scale = check_declared(**declared, pixel_scale=pixel_scale)
    pictures = None
    if cutouts is not None:
        pictures = open_pictures(cutouts, pixel_scale, source)
    mapped = {k: v for k, v in source.columns.items() if v is not None} | dict(columns or {})
    is_survey = source.kind == "survey"
    return Task("", str(destination), mapped, unit, declared["dereddened"], pictures, is_survey)


def _with_result(task: Task, model: Posterior, source: Source, settings: dict) -> Task:
    """The task with its result's columns and its key, judged by the first rows that can be read."""
    carried, has_index = _carried(task, model, source)
    result = columns_of(model, carried, settings["n_draws"], has_index)
    ranges = {
        part: [array_digest(x) for x in vars(known).values()]
        for part, known in model.ranges.items()
    }
    identity = {
        "schema_version": SCHEMA_VERSION,
        "model": digest([model.architecture, model.weights_digest, ranges]),
        "columns": {k: task.columns[k] for k in sorted(task.columns)},
        "unit": task.unit,
        "dereddened": task.dereddened,
        "cutouts": _cutouts(task),
        "carried": carried,
        "source": source.token or os.path.abspath(source.name),
        "code": code_digest("galcfm.catalogue.partitions"),
        **settings,
    }
    jumps, steps = model.flow.jumps, settings["steps"]
    made = f"{jumps} jumps of a student" if jumps else f"{steps} Runge-Kutta steps"
    description = (
        "Posteriors of galaxies inferred by conditional flow matching (galcfm, after arXiv "
        f"2512.05078): summaries of {settings['n_samples']} draws by {made}, seed "
        f"{settings['seed']}"
    )
    schema = schema_of(result, description)
    return changed(task, key=digest(identity), schema=schema, settings=settings)


def _carried(task: Task, model: Posterior, source: Source) -> tuple[tuple[str, ...], bool]:
    """Columns of the source that go into the result, and whether it has a spatial index.

    The first rows are judged as a whole.
    """
    unit, _ = declared_unit(task.unit)
    five, errors, chosen, has_index, n = [], [], None, False, 0
    for k, partition in enumerate(source.partitions):
        try:
            frame = None
            if source.frames is not None:
                frame = source.frames[k].compute(scheduler="threads")
            block = without_rows(partition, frame)
            wanted = None if block is None else sources_of(choose(block, task, model))
            block = next(blocks(partition, ROWS_JUDGED, columns=wanted, frame=frame), None)
        except UnreadableError as error:
            errors.append(str(error))
            continue
        if block is not None:
            chosen = chosen or choose(block, task, model)
            has_index |= block.healpix is not None
            chosen_here = choose(block, task, model)
            values, _, _ = read_columns(block.table, chosen_here, unit, model.missing_bands)
            five.append(np.stack([values[name] for name in MAGNITUDES])[:, : ROWS_JUDGED - n])
            n += five[-1].shape[1]
        if n >= ROWS_JUDGED:
            break
    if chosen is None and errors:
        raise CatalogueError(f"no partition of {source.name} can be read: {errors[0]}")
    if chosen is None:
        raise CatalogueError(f"{source.name} holds no rows: nothing to infer")
    # However it is cut: the first of its rows that can be read are the same.
    magnitudes = dict(zip(MAGNITUDES, np.concatenate(five, axis=1), strict=True))
    check_unit(magnitudes, unit, source.name)
    needed = [name for name in ("ra", "dec") if name not in chosen]
    if source.kind == "hats" and needed:
        raise CatalogueError(f"{source.name} needs {' and '.join(needed)}: map columns to them")
    return tuple(name for name in ("ra", "dec", "redshift") if name in chosen), has_index


def _require_disk(task: Task, source: Source, records: Mapping) -> None:
    if source.rows is not None:
        a_row = BYTES_A_ROW + 4 * len(PROPERTIES) * task.settings["n_draws"]
        left = source.rows - sum(record["rows"] for record in records.values())
        require_disk_space(task.destination, left * a_row)


@contextlib.contextmanager
def _opened(task: Task, source: Source, replace: bool) -> Iterator[dict]:
    """The destination, for this process alone: records of what is done, by partition."""
    folder = Path(task.destination)
    patterns = CATALOGUE_FILES
    require_own_files(folder, patterns, "an inferred catalogue", CatalogueError)
    described = folder / DESCRIPTION
    content = [path.name for path in folder.iterdir()] if folder.exists() else []
    before = None
    if set(content) - {".lock"} and not described.exists():
        raise CatalogueError(
            f"{folder} holds {', '.join(sorted(content)[:3])} but no {DESCRIPTION}: it is no "
            "inferred catalogue; move it away, or name another folder"
        )
    if described.exists():
        before = _description(described)
        if before["key"] != task.key and not replace:
            others = [
                name
                for name, value in _told(task, source).items()
                if before.get("told", {}).get(name) != value
            ]
            what = ", ".join(others) or "model or code"
            raise CatalogueError(
                f"{folder} was made with another {what}: name another folder, or replace it "
                "(replace=True, --replace)"
            )
    refusal = CatalogueError(f"another process is making {folder}: wait for it, or stop it")
    with disk_errors_in_a_sentence(folder):
        hold(folder / ".lock", refusal)
    try:
        done = {p.name: is_done(task, p) for p in source.partitions}
        _drop_others(folder, {p.name for p in source.partitions}, done)
        with disk_errors_in_a_sentence(folder):
            write_json(described, _content(task, source, "unfinished"))
        yield {name: record for name, record in done.items() if record is not None}
    finally:
        let_go(folder / ".lock")


def _description(path: Path) -> dict:
    import json

    try:
        found = json.loads(path.read_text())
        found["key"], found["settings"]
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CatalogueError(
            f"{path} is not one that galcfm wrote: move it away, or name another folder"
        ) from error


def _told(task: Task, source: Source) -> dict:
    """What a user chose, for the message that it is another."""
    return {
        "source": source.token or os.path.abspath(source.name),
        "columns": task.columns,
        "unit": task.unit,
        "dereddened": task.dereddened,
        "cutouts": _cutouts(task),
        **task.settings,
    }


def _cutouts(task: Task) -> list | None:
    """Kind, place and scale of the cutouts; that others are there now, records tell."""
    return None if task.pictures is None else list(task.pictures[:3])


def _content(task: Task, source: Source, state: str) -> dict:
    return {
        "schema_version": SCHEMA_VERSION,
        "state": state,
        "key": task.key,
        "settings": task.settings,
        "told": _told(task, source),
        "columns": {
            part.name: {k.decode(): v.decode() for k, v in part.metadata.items()}
            for part in task.schema
        },
        "made": provenance(),
    }


def _drop_others(folder: Path, names: set[str], done: Mapping) -> None:
    """Remove what no partition of this source has left, and what a killed one has not finished."""
    for kind, ending in (("records", ".json"), ("rejected", ".parquet"), ("dataset", ".parquet")):
        for path in (folder / kind).rglob("*") if (folder / kind).exists() else ():
            if path.is_dir() or path.name.startswith("_"):
                continue
            name = path.relative_to(folder / kind).as_posix().removesuffix(ending)
            if name not in names or done[name] is None or path.name.startswith("."):
                path.unlink(missing_ok=True)
    for name in ("hats.properties", "properties", "partition_info.csv", "dataset/_metadata"):
        # While it is being made it is no catalogue.
        (folder / name).unlink(missing_ok=True)


# Running


def _run(task: Task, source: Source, records: dict, model, client, progress: bool) -> dict:
    """Records of all partitions; what is done already is counted and not done again."""
    todo = [k for k, p in enumerate(source.partitions) if p.name not in records]
    in_rows = source.rows is not None
    total = source.rows if in_rows else len(source.partitions)
    unit = "galaxy" if in_rows else "partition"
    done = sum(r["rows"] for r in records.values()) if in_rows else len(records)
    # What was done before says nothing of the speed.
    options = {"initial": done, "total": total, "unit": unit, "smoothing": 0.05}
    by_name = {partition.name: partition for partition in source.partitions}
    seen = dict.fromkeys(by_name, 0)
    with tqdm(desc="inferring", disable=not progress, **options) as bar:
        run = _on_threads if client is None else _on_cluster
        with contextlib.closing(run(task, source, todo, model, client)) as arriving:
            for record in arriving:
                if isinstance(record, tuple):
                    # Some galaxies of a partition that is not done yet.
                    name, n = record
                    seen[name] += n
                    bar.update(n * in_rows)
                    continue
                if "fatal" in record:
                    raise OSError(record["fatal"])
                name = record["partition"]
                records[name] = record
                rows = by_name[name].rows if "failed" in record else record["rows"]
                bar.update((rows or 0) - seen[name] if in_rows else 1)
    return records


def _on_threads(task: Task, source: Source, todo: list[int], model, client) -> Iterator:
    """Records as they come, from the threads of this process, and how many galaxies are done."""
    import queue

    import dask
    import torch
    from dask.system import CPU_COUNT

    arriving: queue.SimpleQueue = queue.SimpleQueue()
    stop, threads = threading.Event(), torch.get_num_threads()
    PLANS[task.key] = task, model

    def work(partition, frame):
        def each(n):
            if stop.is_set():
                raise Stopped
            if n:
                arriving.put((partition.name, n))

        if not stop.is_set():
            arriving.put(infer_partition(partition, task.key, frame, each))

    tasks = [
        dask.delayed(work, pure=False)(
            source.partitions[k], None if source.frames is None else source.frames[k]
        )
        for k in todo
    ]

    # Dask itself takes four threads more, called from a thread that is not the main one.
    n_threads = dask.config.get("num_workers", CPU_COUNT)

    def compute():
        try:
            dask.compute(*tasks, scheduler="threads", num_workers=n_threads)
        except BaseException as error:
            arriving.put(error)

    # So that records arrive here while others are made, and Ctrl-C is heard at once.
    thread = threading.Thread(target=compute, daemon=True)
    try:
        thread.start()
        left = len(todo)
        while left:
            record = arriving.get()
            if isinstance(record, BaseException):
                raise record
            left -= isinstance(record, dict)
            yield record
    finally:
        stop.set()
        thread.join()
        torch.set_num_threads(threads)
        PLANS.pop(task.key, None)


class _PlanOnWorkers:
    """Plugin of Dask that brings task and model to each worker once, also to those that come later.

    A model that is scattered would be lost with the workers that hold it.
    """

    def __init__(self, task: Task, model: Posterior):
        self.plan = task, model

    def setup(self, worker):
        PLANS[self.plan[0].key] = self.plan

    def teardown(self, worker):
        PLANS.pop(self.plan[0].key, None)


def _on_cluster(task: Task, source: Source, todo: list[int], model, client) -> Iterator[dict]:
    """Records as they come, from the workers of a client."""
    import dask
    from distributed import CancelledError, as_completed
    from distributed.comm import CommClosedError
    from distributed.diagnostics.plugin import WorkerPlugin

    plugin = type("PlanOnWorkers", (_PlanOnWorkers, WorkerPlugin), {})(task, model)
    name = f"galcfm-{task.key}"
    # It holds the futures, and lets each go once it has come.
    arriving, waiting, done = as_completed(loop=client.loop), {}, 0
    try:
        client.register_plugin(plugin, name=name)
        for k in todo:
            partition = source.partitions[k]
            if source.frames is None:
                future = client.submit(infer_partition, partition, task.key, pure=False)
            else:
                work = dask.delayed(infer_partition, pure=False)
                future = client.compute(work(partition, task.key, source.frames[k]))
            waiting[future.key] = partition
            arriving.add(future)
            del future
        for future in arriving:
            # Its worker died before the record came here: it is made again.
            if future.status in ("lost", "pending"):
                arriving.add(future)
                continue
            record = _record_of(future, waiting.pop(future.key))
            done += 1
            yield record
    # Also a result that is made comes through the scheduler.
    except (CancelledError, CommClosedError) as error:
        raise CatalogueError(
            f"the scheduler was lost or stopped while {len(todo) - done} partitions were left: "
            "run again to go on"
        ) from error
    finally:
        with contextlib.suppress(Exception):
            client.cancel(list(arriving.futures), force=True)
        with contextlib.suppress(Exception):
            client.unregister_worker_plugin(name)


def _record_of(future, partition) -> dict:
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if isinstance(error, KilledWorker):
            reason = "its workers died, time and again: have they enough memory?"
        return {"failed": f"{partition.where}: {reason}", "partition": partition.name}
    raise CancelledError(future.status)


# The end


def _finish(task: Task, source: Source, records: dict) -> InferredCatalogue:
    folder = Path(task.destination)
    failed = {name: r["failed"] for name, r in records.items() if "failed" in r}
    made = [r for r in records.values() if "failed" not in r]
    counts = {name: sum(r[name] for r in made) for name in ("rows", "used", "rejected")}
    with disk_errors_in_a_sentence(folder):
        if source.kind == "hats" and counts["used"]:
            _write_hats(folder, source, records, counts["used"])
        elif counts["used"]:
            from pyarrow import parquet

            with replacing(folder / "dataset" / "_common_metadata") as temporary:
                parquet.write_metadata(task.schema, temporary)
        content = _content(task, source, "unfinished" if failed else "finished")
        write_json(folder / DESCRIPTION, content | counts | {"failed": failed})
    return InferredCatalogue(folder, **counts, failed=failed)


def _write_hats(folder: Path, source: Source, records: dict, rows: int) -> None:
    """What makes the files a HATS catalogue, `hats.properties` last."""
    from hats.catalog import PartitionInfo, TableProperties
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.pixel_math import HealpixPixel

    used = [p for p in source.partitions if records[p.name].get("used")]
    pixels = [HealpixPixel(*place) for place in dict.fromkeys(p.pixel for p in used)]
    in_folders = Path(used[0].name).parent.name.startswith("Npix=")
    info = PartitionInfo.from_healpix(pixels)
    info.write_to_file(catalog_path=folder)
    write_parquet_metadata(folder)
    has_index = any(column == "_healpix_29" for column in _names(folder))
    properties = TableProperties(
        catalog_name=folder.name,
        catalog_type="object",
        total_rows=rows,
        ra_column="ra",
        dec_column="dec",
        **({"healpix_column": "_healpix_29", "healpix_order": 29} if has_index else {}),
        npix_suffix="/" if in_folders else ".parquet",
        hats_order=str(info.get_highest_order()),
        hats_builder="galcfm",
    )
    properties.to_properties_file(folder)


def _names(folder: Path) -> list[str]:
    from pyarrow import parquet

    return parquet.read_schema(folder / "dataset" / "_common_metadata").names
