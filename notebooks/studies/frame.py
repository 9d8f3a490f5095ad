"""The frame of all studies: where results are kept, when they are current, how trainings add up.

A study is a module (or package) here, with a notebook that shows it. The notebook's parameters say
how much of everything; its parameter `results` says whether the stored result is read
(`"published"`, the default), made now in the run's folder (`"made"`), or made in `data/published`
(`"publish"`, which is what `make published` does). The cells below it draw either.

A result is found again by its key: its settings, the digests of the data and weights that it read,
and the version of its study. The version is raised by hand when the code's results change; a test
compares a small run of each study with golden numbers, so that nobody forgets.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from galcfm.paths import (
    data_folder,
    published_folder,
    replacing,
    survey_folder,
    write_json,
)
from galcfm.provenance import digest, provenance
from galcfm.runs import RunError
from galcfm.simulate import SDSS, Instrument, simulate_catalogue
from galcfm.simulate.making import render_into
from galcfm.survey import Survey, SurveyWriter

__all__ = [
    "BOOK_SURVEY",
    "RESULTS",
    "Place",
    "Result",
    "Study",
    "Trainings",
    "kept_catalogue",
    "kept_pictures",
    "kept_table",
    "over_trainings",
]

RESULTS = ("published", "made", "publish")
# The survey of the profile `quick`.
BOOK_SURVEY = {"n_galaxies": 12_000, "seed": 1, "validation": 0.10, "test": 0.15}
# Raised by hand when the same settings give another simulated survey; part of the names of those
# that are kept.
SIMULATOR_VERSION = 1


@dataclass(frozen=True)
class Place:
    """Where a study writes.

    Arguments:
        folder: Folder of the result's own files.
        work: Folder of what a later call resumes from, such as trained models.
    """

    folder: Path
    work: Path

    def shared(self, name: str, settings) -> Path:
        """Return the folder of what depends on these settings alone, such as trained models.

        Results that differ in other settings share it.

        Arguments:
            name: Beginning of the name of the folder, which a digest ends.
            settings: All that the folder's content depends on, any JSON content.
        """
        return self.work.parents[1] / f"{name}-{digest(settings)}"


@dataclass(frozen=True)
class Study:
    """A study: the name of its results, its notebook and its version.

    Arguments:
        name: Stem of the study's files, e.g. `"what_matters"` for `what_matters.json`.
        notebook: Name of the notebook that makes and shows it, without ending.
        version: Raised by hand when the study's code gives other results for the same settings.
    """

    name: str
    notebook: str
    version: int = 1

    def key(self, settings, *read: str) -> str:
        """Return the key of a result.

        Arguments:
            settings: All that the result depends on, any JSON content.
            read: Digests of the data and weights that the study reads.
        """
        return digest([self.name, self.version, settings, list(read)])

    def path(self, folder: Path) -> Path:
        """Return the path of the JSON file of the result in a folder."""
        return folder / f"{self.name}.json"

    def find(self, results: str, run: Path, settings, make: Callable[[Place], object]) -> "Result":
        """Read the published result, or make one with these settings, and return it.

        Arguments:
            results: One of `RESULTS`, a parameter of the notebook.
            run: Folder of the run, of `galcfm.runs.open_run`.
            settings: Settings of `make`, any JSON content; results made with others stay beside.
            make: Function that makes the result in a place, or resumes.

        Raises:
            RunError: `results` is unknown, or nothing is published under this name.
        """
        if results not in RESULTS:
            raise RunError(f"results is {results!r}: choose from {', '.join(RESULTS)}")
        name = f"{self.name}-{digest([self.version, settings])}"
        place = Place(published_folder(), data_folder() / "runs" / "published" / name / "work")
        if results == "made":
            place = Place(run / "studies" / name, run / "studies" / name / "work")
        if results != "published":
            make(place)
        return self.read(place.folder)

    def read(self, folder: Path | None = None) -> "Result":
        """Return the result in a folder, by default the published one.

        Raises:
            RunError: There is none, with the command that makes it.
        """
        path = self.path(folder or published_folder())
        if not path.exists():
            raise RunError(f"{path} does not exist: run `{self.command}`, which makes it")
        return Result(self, path, json.loads(path.read_text(encoding="utf-8")))

    @property
    def command(self) -> str:
        """The command that makes the result."""
        return f"papermill notebooks/{self.notebook}.ipynb out.ipynb -p results made"

    def stored(self, folder: Path, key: str) -> dict | None:
        """Return the result in a folder if it was made under this key.

        Raises:
            FileExistsError: A file is there that is no stored result and would be replaced.
        """
        path = self.path(folder)
        if not path.exists():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            result["command"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FileExistsError(
                f"{path} is no stored result of galcfm: move it away, {path.name} would replace it"
            ) from error
        return result if result.get("key") == key else None

    def store(self, folder: Path, result: dict, key: str) -> dict:
        """Write a result with its key, version, command, date, commit and machine; return it."""
        origin = {
            "study": self.name,
            "version": self.version,
            "key": key,
            "command": self.command,
            "date": str(date.today()),
            "made": provenance(),
        }
        write_json(self.path(folder), result := result | origin)
        return result


@dataclass(frozen=True)
class Result:
    """A stored result.

    Arguments:
        study: The study that made it.
        path: Path of its JSON file; other files of the result lie beside it.
        content: Content of that file.
    """

    study: Study
    path: Path
    content: dict

    def table(self, ending: str = ".parquet", **options) -> pd.DataFrame:
        """Return a table of the result; `ending` follows the study's name, e.g. `_draws.parquet`.

        Arguments:
            ending: Ending of the file's name.
            options: Options of `pandas.read_parquet`.
        """
        return pd.read_parquet(self.path.with_name(self.study.name + ending), **options)

    @property
    def origin(self) -> str:
        """Lines that say how, when, where and by which version the result was made."""
        content, study = self.content, self.study
        made = content["made"]
        lines = [
            content["command"],
            f"{content['date']}, commit {(made['commit'] or 'unknown')[:7]}, {made['machine']}",
        ]
        if made["dirty"]:
            lines.append("made with uncommitted changes: the commit does not hold all of its code")
        if content.get("version") != study.version:
            lines.append(
                f"made by version {content.get('version', 0)} of the study {study.name}, which is "
                f"now at version {study.version}: `{study.command}` makes it again"
            )
        return "\n".join(lines)


class Trainings:
    """Rows of a study, each of some trainings, kept as they come; processes can share the work.

    The study's JSON file holds what is known by row and seed, its Parquet file one number per test
    galaxy, with one column `ROW/SEED` per training.

    Arguments:
        study: The study.
        folder: Folder of both files.
        key: Key under which they are found again.
        plan: Settings with which they are made, any JSON content.
        group: Name of the rows in the JSON file.
        row_keys: For each row a digest of what this row alone depends on, without which it is
            not found again; a row of another version, which has none here, is left as it is.

    Raises:
        FileExistsError: A file is there that is no stored result.
        RuntimeError: At `keep`, another process with another key has begun to write it.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        key: str,
        plan: dict,
        *,
        group: str = "rows",
        row_keys: Mapping[str, str] | None = None,
    ):
        self.study, self.folder, self.key, self.plan = study, folder, key, plan
        self.path, self.table = study.path(folder), folder / f"{study.name}.parquet"
        self.group, self.row_keys = group, dict(row_keys or {})
        (data_folder() / "cache").mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(data_folder() / "cache" / f"{study.name}.lock")
        study.stored(folder, key)
        self.replaces = self._key_on_disk()

    def _key_on_disk(self) -> str | None:
        if not self.path.exists():
            return None
        return json.loads(self.path.read_text(encoding="utf-8")).get("key")

    def results(self) -> dict:
        """Return what is stored, without rows that are outdated."""
        found = self.study.stored(self.folder, self.key) or {self.group: {}, "plan": self.plan}
        rows = {
            name: row
            for name, row in found[self.group].items()
            if self.row_keys.get(name, row.get("row_key")) == row.get("row_key")
        }
        return found | {self.group: rows}

    def missing(self, names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
        """Yield rows and seeds that are not there when their turn comes, seed after seed."""
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
            name: Name of its row.
            seed: Its seed.
            numbers: Numbers of this training, for the JSON file.
            of_row: Numbers of the row, for the JSON file.
            of_galaxies: One number per test galaxy, by galaxy; kept to three decimals.
            summary: Function of the results and of the table of all trainings that returns what is
                written.
        """
        with self.lock:
            if self._key_on_disk() not in (None, self.key, self.replaces):
                raise RuntimeError(
                    f"{self.path} is being made by another process with other settings: stop one "
                    "of the two"
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
            self.study.store(self.folder, summary(results, table), self.key)


def over_trainings(differences) -> dict[str, float]:
    """Return the mean gain of some trainings over galaxies, and its standard error.

    Arguments:
        differences: Gain [nat] of each galaxy by training, `(trainings, n)`.

    Returns:
        `gain` and `standard_error` in nat; the latter holds the spread of the galaxies, whose
        gains are averaged over the trainings first, and `spread_over_trainings`.
    """
    table = np.asarray(differences)
    means = table.mean(axis=1)
    over_galaxies = table.mean(axis=0).std(ddof=1) / np.sqrt(table.shape[1])
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return {
        "gain": float(means.mean()),
        "standard_error": float(np.hypot(over_galaxies, spread / np.sqrt(len(means)))),
        "spread_over_trainings": spread,
    }


def kept_table(name: str, key: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a table from the cache, made where it is not there under this key."""
    path = data_folder() / "cache" / f"{name}-{key}.parquet"
    if not path.exists():
        with replacing(path) as temporary:
            make().to_parquet(temporary)
    return pd.read_parquet(path)


def kept_catalogue(n_galaxies: int, seed: int, **options) -> Survey:
    """Return a simulated survey without images, made once and kept.

    Arguments:
        n_galaxies: Number of galaxies.
        seed: Seed of the random draws.
        options: Further options of `galcfm.simulate.simulate_catalogue`.
    """
    plain = {k: asdict(v) if isinstance(v, Instrument) else v for k, v in options.items()}
    key = digest([SIMULATOR_VERSION, n_galaxies, seed, plain])
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
    """Return a simulated survey with pictures, rendered once and kept; resumes where it stopped.

    Arguments:
        name: Beginning of the name of its folder, which a digest ends.
        shown: Rows of `galcfm.simulate.simulate_catalogue`.
        seed: Seed of the pictures.
        key: All that the rows depend on, any JSON content.
        instrument: Instrument that observes them.
        without: Names of `TIES` that are switched off.
        processes: Number of processes that render.
        progress: Whether a bar is shown.
    """
    version = f"simulator {SIMULATOR_VERSION}"
    known = digest([version, key, seed, asdict(instrument), list(without)])
    folder = survey_folder(f"{name}-{known}")
    lock = data_folder() / "cache" / f"{name}-{known}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not (folder / "survey.json").exists():
            writer = SurveyWriter(folder, len(shown), {"key": known})
            options = {"without": without, "processes": processes, "progress": progress}
            render_into(writer, shown, seed, instrument=instrument, **options)
            writer.finish(shown, {"kind": "simulated"}, version)
    return Survey.load(folder)
