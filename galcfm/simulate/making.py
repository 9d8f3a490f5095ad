"""Simulate a whole survey on disk, with several processes."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.paths import keep_memory, no_bar, require_disk_space, user_path
from galcfm.provenance import code_digest
from galcfm.simulate.instruments import SDSS, Instrument, instrument_of
from galcfm.simulate.population import assemble, candidates, check_size
from galcfm.simulate.rendering import render
from galcfm.simulate.spectra import load_templates
from galcfm.simulate.ties import require_ties
from galcfm.survey import (
    Survey,
    SurveyError,
    SurveyWriter,
    assign_split,
    read_description,
    require_booleans,
)
from galcfm.survey.images import IMAGE_SHAPE

BLOCK = 64  # galaxies rendered by one task
BYTES_A_ROW = 1000  # of the catalogue, generously


def simulate_survey(
    folder: Path | str,
    n_galaxies: int,
    seed: int,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    processes: int | None = None,
    label_errors: bool = True,
    instrument: str | Instrument = SDSS,
    without: Collection[str] = (),
    replace: bool = False,
    progress: bool = True,
) -> Survey:
    """Simulate a survey, write it to `folder` and open it.

    The result does not depend on the number of processes, and the first `n` galaxies of a larger
    survey with the same seed are the same. A complete survey in `folder` is opened if it was made
    with the same parameters by the same code; an interrupted one is resumed.

    Arguments:
        folder: Folder of the survey.
        n_galaxies: Number of galaxies, at least 1.
        seed: Seed of the survey, not negative.
        validation: Fraction of galaxies in the validation split.
        test: Fraction of galaxies in the test split.
        processes: Number of worker processes; by default one per core. With 1 the work is done in
            this process. A script that uses more needs an `if __name__ == "__main__":` guard.
        label_errors, instrument, without: See `simulate_catalogue`.
        replace: Whether to replace a survey of other parameters or code once the new one is
            complete.

    Returns:
        The survey, its images memory-mapped.

    Raises:
        ValueError: A number is out of range.
        SurveyError: `folder` contains a survey made with other parameters or by other code.
        FileNotFoundError: Neither the population grids nor their cache are installed.
        ModuleNotFoundError: GalSim or Pillow is not installed.
        OSError: The disk is too small.
    """
    folder = user_path(folder)
    check_size(n_galaxies, seed)
    require_booleans(label_errors=label_errors, replace=replace)
    without, instrument = require_ties(without), instrument_of(instrument)
    assign_split([], validation, test)
    parameters = {
        "kind": "simulated",
        "n_galaxies": n_galaxies,
        "seed": seed,
        "validation": validation,
        "test": test,
        "label_errors": label_errors,
        "without": list(without),
        "instrument": asdict(instrument) | {"redshift_range": list(instrument.redshift_range)},
    }
    code = code_digest("galcfm.simulate.population", "galcfm.simulate.rendering")
    if _holds(folder, parameters, code, replace):
        return Survey.load(folder)
    processes = _usable_processes(processes)
    require_disk_space(folder, n_galaxies * (int(np.prod(IMAGE_SHAPE)) + BYTES_A_ROW))
    # Computed or read once here, not by each worker.
    load_templates()
    # Packages that draw and render: with other versions, an interrupted survey is remade.
    versions = {package: version(package) for package in ("numpy", "scipy", "galsim", "pillow")}
    identity = {"parameters": parameters, "code": code, "versions": versions}
    writer = SurveyWriter(folder, n_galaxies, identity)
    wanted = ("star-forming", instrument, without)
    with tqdm(total=n_galaxies, desc="catalogue", unit="gal", disable=no_bar(progress)) as bar:
        batches = _batches(seed, wanted, processes, bar)
        table = assemble(batches, n_galaxies, seed, label_errors, validation, test)
    options = {"without": without, "processes": processes, "progress": progress}
    render_into(writer, table, seed, instrument=instrument, **options)
    writer.finish(table, parameters, code)
    return Survey.load(folder)


def _usable_processes(processes: int | None) -> int:
    """Return the number of processes, by default that of the cores, if all packages are there."""
    for package in ("galsim", "joblib", "PIL"):
        if find_spec(package) is None:
            raise ModuleNotFoundError(f'{package} is missing: pip install "galcfm[simulate]"')
    from joblib import cpu_count

    if processes is not None and processes < 1:
        raise ValueError(f"processes is {processes}: at least one is needed")
    return processes or cpu_count()


def _batches(seed: int, wanted: tuple, processes: int, bar: tqdm) -> Iterator[pd.DataFrame]:
    """Yield the batches of `candidates` in order, some computed at once."""
    for first in count(0, 4 * processes):
        tasks = ((seed, k, *wanted) for k in range(first, first + 4 * processes))
        # A list, because joblib warns when its results are not read to the end.
        for batch in list(_in_order(_candidates, tasks, processes)):
            bar.update(min(len(batch), bar.total - bar.n))
            yield batch


def render_into(
    writer: SurveyWriter,
    shown: pd.DataFrame,
    seed: int,
    *,
    instrument: Instrument = SDSS,
    without: Collection[str] = (),
    processes: int = 1,
    progress: bool = True,
) -> None:
    """Render the galaxies of a survey that is being written, over some processes.

    Arguments:
        writer: Writer of the survey; images that it has already are not rendered again.
        shown: Rows of `simulate_catalogue`.
        seed: Seed of the images.
        instrument: Instrument of the observation.
        without: Names of `TIES` that are switched off.
        processes: Number of processes.
        progress: Whether to show a progress bar.
    """
    n, options = len(shown), {"varied_sky": "varied_sky" not in without}
    with tqdm(total=n, desc="images", unit="gal", disable=no_bar(progress)) as bar:
        bar.update(min(BLOCK * len(writer.done), n))
        blocks = (
            (writer.partial, start, shown.iloc[start : start + BLOCK], seed, instrument, options)
            for start in range(0, n, BLOCK)
            if start not in writer.done
        )
        for done in _in_order(_render_block, blocks, processes):
            bar.update(done)


def _in_order(function, tasks: Iterable[tuple], processes: int) -> Iterator:
    """Yield results of `function(*task)` in the order of the tasks, with few of them waiting."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", inner_max_num_threads=1):
        parallel = Parallel(processes, return_as="generator", pre_dispatch=3 * processes)
        yield from parallel(delayed(function)(*task) for task in tasks)


def _holds(folder: Path, parameters: dict, code: str, replace: bool) -> bool:
    """Return whether `folder` contains this survey; refuse another one unless `replace` is set."""
    if not (folder / "survey.json").exists():
        return False
    description = read_description(folder)
    made = description["parameters"]
    if made == parameters and description.get("code") == code:
        return True
    if not replace:
        reason = "made by other code of the simulator; Survey.load opens it as it is"
        if made != parameters:
            reason = f"made with {made}, not with {parameters}"
        raise SurveyError(
            f"{folder} holds a survey {reason}: name another survey, or delete the folder"
        )
    return False


def _candidates(*task) -> pd.DataFrame:
    keep_memory()
    return candidates(*task)


def _render_block(partial: Path, start: int, rows, seed: int, instrument, options) -> int:
    SurveyWriter.put(partial, start, render(rows, seed, instrument=instrument, **options))
    SurveyWriter.note_done(partial, start)
    return len(rows)
