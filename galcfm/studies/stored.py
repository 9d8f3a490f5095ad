"""Results that took long, kept: found again by their settings and by the code that made them."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from galcfm.paths import (
    data_folder,
    published_folder,
    replacing,
    run_folder,
    survey_folder,
    write_json,
)
from galcfm.provenance import code_digest, digest, provenance
from galcfm.simulate import SDSS, Instrument, simulate_catalogue
from galcfm.simulate.making import render_into
from galcfm.survey import Survey, SurveyWriter

# The survey of the profile `quick`.
BOOK_SURVEY = {"n_galaxies": 12_000, "seed": 1, "validation": 0.10, "test": 0.15}

__all__ = [
    "BOOK_SURVEY",
    "KeptTrainings",
    "kept_catalogue",
    "kept_pictures",
    "kept_table",
    "key_of",
    "read_command",
    "store",
    "stored",
]


def key_of(settings, *modules: str) -> str:
    """Key of a result: a digest of its settings and of the code that it depends on.

    Arguments:
        settings: any JSON content.
        modules: names of the modules that make the result; what they import counts too.
    """
    return digest([settings, code_digest(*modules)])


def stored(path: Path, key: str) -> dict | None:
    """The JSON result at `path`, if it was made under this key.

    Raises:
        FileExistsError: what is there is no stored result, and would be replaced by one.
    """
    if not path.exists():
        return None
    try:
        result = json.loads(path.read_text())
        result["command"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FileExistsError(
            f"{path} is no stored result of galcfm: move it away, {path.name} would replace it"
        ) from error
    return result if result.get("key") == key else None


def store(path: Path, result: dict, key: str, command: str) -> dict:
    """Write a result with its key, command, date, commit and machine; returns what is written."""
    origin = {"command": command, "date": str(date.today()), "made": provenance()}
    write_json(path, result := result | {"key": key} | origin)
    return result


class KeptTrainings:
    """Rows of a study, each of some trainings, kept as they come; processes can share the work.

    `NAME.json` holds what is known by row and seed, `NAME.parquet` a number of each test galaxy, a
    column `ROW/SEED` a training.

    Arguments:
        folder: where both go.
        name: of the study's results.
        key: under which they are found again.
        command: that makes them.
        plan: with which they are made, any JSON content.
        group: what rows are called in the JSON.
        row_keys: by a row's name a digest of what this row alone depends on, without which it is
            not found again; a row that has none here, of another version, is left as it is.

    Raises:
        FileExistsError: a file is there that is no stored result.
        RuntimeError: at `keep`, that another process with other code has begun to write it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        key: str,
        command: str,
        plan: dict,
        *,
        group: str = "rows",
        row_keys: Mapping[str, str] | None = None,
    ):
        self.path, self.table = folder / f"{name}.json", folder / f"{name}.parquet"
        self.key, self.command, self.plan = key, command, plan
        # Of the code as it is now, whatever becomes of it before a row is made.
        self.group, self.row_keys = group, dict(row_keys or {})
        (data_folder() / "cache").mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(data_folder() / "cache" / f"{name}.lock")
        stored(self.path, key)
        self.replaces = self._key_on_disk()

    def _key_on_disk(self) -> str | None:
        return json.loads(self.path.read_text()).get("key") if self.path.exists() else None

    def results(self) -> dict:
        """What is stored, without rows that are outdated."""
        found = stored(self.path, self.key) or {self.group: {}, "plan": self.plan}
        rows = {
            name: row
            for name, row in found[self.group].items()
            if self.row_keys.get(name, row.get("row_key")) == row.get("row_key")
        }
        return found | {self.group: rows}

    def missing(self, names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
        """Rows and seeds that are not there when their turn comes, one seed after another."""
        for seed in seeds:
            for name in names:
                if str(seed) not in self.results()[self.group].get(name, {"seeds": {}})["seeds"]:
                    yield name, seed

    def keep(
        self,
        name: str,
        seed: int,
        numbers: dict,
        of_row: dict,
        of_galaxies: pd.Series,
        summary: Callable[[dict, pd.DataFrame], dict],
    ) -> None:
        """Add a training.

        Arguments:
            name, seed: whose.
            numbers: of this training, for the JSON.
            of_row: the same of the row.
            of_galaxies: a number a test galaxy, by galaxy; kept to three decimals.
            summary: what is made of the results and of the table of all trainings.
        """
        with self.lock:
            if self._key_on_disk() not in (None, self.key, self.replaces):
                raise RuntimeError(
                    f"{self.path} is being made by another process with other code: stop one of "
                    "the two"
                )
            results = self.results()
            rows = results[self.group]
            columns = [f"{row}/{seed}" for row, of in rows.items() for seed in of["seeds"]]
            table = pd.DataFrame(index=of_galaxies.index)
            if columns:
                table = pd.read_parquet(self.table, columns=columns)
            # A row may be of the first galaxies alone.
            table = table.reindex(max(table.index, of_galaxies.index, key=len))
            table[f"{name}/{seed}"] = of_galaxies.round(3).astype(np.float32)
            row = rows.setdefault(name, {"seeds": {}})
            row |= of_row
            if name in self.row_keys:
                row["row_key"] = self.row_keys[name]
            row["seeds"][str(seed)] = numbers
            with replacing(self.table) as temporary:
                table.to_parquet(temporary, compression="zstd")
            store(self.path, summary(results, table), self.key, self.command)


def kept_table(name: str, key: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table from the cache, made where it is not there under this key."""
    path = data_folder() / "cache" / f"{name}-{key}.parquet"
    if not path.exists():
        with replacing(path) as temporary:
            make().to_parquet(temporary)
    return pd.read_parquet(path)


def kept_catalogue(n_galaxies: int, seed: int, **options) -> Survey:
    """A simulated survey without images, made once and kept.

    Arguments:
        n_galaxies, seed, options: as `simulate_catalogue` takes them.
    """
    plain = {k: asdict(v) if isinstance(v, Instrument) else v for k, v in options.items()}
    key = key_of([n_galaxies, seed, plain], "galcfm.simulate.population")
    table = kept_table("catalogue", key, lambda: simulate_catalogue(n_galaxies, seed, **options))
    return Survey(table, name=f"simulate_catalogue({n_galaxies}, {seed})")


def kept_pictures(
    name: str,
    shown: pd.DataFrame,
    seed: int,
    key,
    *,
    instrument: Instrument = SDSS,
    without=(),
    processes: int = 1,
    progress=True,
) -> Survey:
    """A simulated survey with pictures, rendered once and kept; goes on where it was stopped.

    Arguments:
        name: its folder is called so, and by a digest.
        shown: rows of `simulate_catalogue`.
        seed: of the pictures.
        key: all that the rows depend on, any JSON content.
        instrument: with which they are observed.
        without: names of `TIES` that are switched off.
        processes: that render.
        progress: show a bar.
    """
    code = code_digest("galcfm.simulate.population", "galcfm.simulate.rendering")
    known = digest([key, seed, asdict(instrument), list(without), code])
    folder = survey_folder(f"{name}-{known}")
    lock = data_folder() / "cache" / f"{name}-{known}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not (folder / "survey.json").exists():
            writer = SurveyWriter(folder, len(shown), {"key": known})
            options = {"without": without, "processes": processes, "progress": progress}
            render_into(writer, shown, seed, instrument=instrument, **options)
            writer.finish(shown, {"kind": "simulated"}, code)
    return Survey.load(folder)


def read_command(name: str, document: str, arguments=None, **options: dict) -> argparse.Namespace:
    """Read the command line of `python -m galcfm.studies.NAME`.

    Arguments:
        name: of the study.
        document: its docstring, for `--help`.
        arguments: instead of the command line's.
        options: of `add_argument` by the name of the option; `run` is an option `--run`.

    Returns:
        The options; `smoke`; `command`, how it was called; and `folder`, where results go: only
        those that mean something are published.
    """
    prog = f"python -m galcfm.studies.{name}"
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog, description=document, formatter_class=raw)
    parser.add_argument("--smoke", action="store_true", help="small, to see that all runs")
    for option, settings in options.items():
        parser.add_argument(f"--{option.replace('_', '-')}", **settings)
    found = parser.parse_args(arguments)
    found.command = prog + " --smoke" * found.smoke
    found.folder = run_folder("smoke") / "published" if found.smoke else published_folder()
    return found
