"""The frame of all studies: where results are kept, when they are current, how trainings add up.

A study is a module (or package) here, with a notebook that shows it. The notebook's parameters say
how much of everything; its parameter `results` says whether the stored result is read
(`"published"`, the default), made now in the run's folder (`"made"`), or made in `data/published`
(`"publish"`, which is what `make published` does). The cells below it draw either.

A result is found again by its key: its settings, the digests of the data and weights that it read,
and the version of its study. The version is raised by hand when the code's results change; a test
compares a small run of each study with golden numbers, as a reminder.

The settings are a `Plan`, a dataclass whose fields the notebook's parameters fill. A study that
trains several models for several seeds keeps them with `Trainings`, whose rows another call
completes; `paired_gain` gives the gain of a row with its error over galaxies and trainings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, NotRequired

import msgspec
import numpy as np
import pandas as pd
import yaml
from filelock import FileLock, Timeout

from galcfm.json_files import JsonFile, object_of
from galcfm.paths import (
    damage_in_a_sentence,
    data_folder,
    published_folder,
    replacing,
    survey_folder,
)
from galcfm.provenance import digest, provenance
from galcfm.runs import OUTPUTS, RunError
from galcfm.simulate import SDSS, Instrument, simulate_catalogue
from galcfm.simulate.making import render_into
from galcfm.survey import Survey, SurveyWriter

RESULTS = ("published", "made", "publish")
# The survey of the profile `quick`.
BOOK_SURVEY = {"n_galaxies": 12_000, "seed": 1, "validation": 0.10, "test": 0.15}
# Raised by hand when the same settings give another simulated survey; part of the names of those
# that are kept.
SIMULATOR_VERSION = 1
# Where stored content comes from.
Made = object_of(commit=str | None, machine=str, dirty=NotRequired[bool | None])
RESULT = JsonFile(
    "data/published/*.json",
    object_of(version=NotRequired[int], command=str, date=str, made=Made),
    "Restore it from git, or delete it and make the result again.",
)
Trained = object_of(seeds=dict[str, dict[str, Any]], row_key=NotRequired[str])


@dataclass(frozen=True)
class Plan:
    """The settings of a study; a study's own plan adds its fields, with the published sizes."""

    @classmethod
    def of(cls, parameters: Mapping):
        """Return the plan that a notebook's parameters give.

        Arguments:
            parameters: Values by name, e.g. the notebook's `globals()`; other names are ignored.
        """
        named = {field.name for field in fields(cls)}
        return cls(**{k: v for k, v in parameters.items() if k in named})

    @property
    def settings(self) -> dict:
        """All that results depend on: every field except the number of processes."""
        return {name: value for name, value in asdict(self).items() if name != "processes"}


@dataclass(frozen=True)
class SurveyPlan(Plan):
    """The simulated survey of a study.

    The default has as many galaxies to train on as the survey `quick`.

    Arguments:
        n_galaxies: Number of galaxies.
        survey_seed: Seed of the galaxies and of their images.
        validation_fraction: Fraction of the galaxies in the validation split.
        test_fraction: Fraction of the galaxies in the test split.
        processes: Number of processes that render pictures.
    """

    n_galaxies: int = 15_500
    survey_seed: int = 1
    validation_fraction: float = 0.078
    test_fraction: float = 0.332
    processes: int = 2

    def catalogue(self, **options) -> Survey:
        """Return the survey without images.

        Arguments:
            options: Options of `galcfm.simulate.simulate_catalogue`.
        """
        splits = {"validation": self.validation_fraction, "test": self.test_fraction}
        return kept_catalogue(self.n_galaxies, self.survey_seed, **splits, **options)

    def pictures(self, name: str, shown: pd.DataFrame, key=None, **options) -> Survey:
        """Return the survey with images.

        Arguments:
            name: Beginning of the name of its folder.
            shown: Table of the catalogue, with the magnitudes that the images show.
            key: What the table depends on beside this plan, any JSON content.
            options: Options of `kept_pictures`.
        """
        splits = self.validation_fraction, self.test_fraction
        key = [self.n_galaxies, *splits, key]
        return kept_pictures(
            name, shown, self.survey_seed, key, processes=self.processes, **options
        )


@dataclass(frozen=True)
class ModelPlan(SurveyPlan):
    """The simulated survey of a study, and how the paper's two models are trained on it.

    By default pixels are 1.2″ wide, about the seeing, and show the central 38″: with these pixels a
    hundred trainings take hours and not days. A plan may have further fields of
    `galcfm.training.Recipe`.

    Arguments:
        recipe: Name of a recipe in `galcfm.training.RECIPES`.
        image_crop: Width of the central part of the cutouts that is used [pixels of 0.4″].
        image_bin: Number of pixels along each axis that are averaged into one.
        photometry_max_epochs: Largest number of epochs of the photometry model; None for the
            recipe's.
        max_epochs: The same of the image model.
    """

    recipe: str = "quick"
    image_crop: int = 96
    image_bin: int = 3
    photometry_max_epochs: int | None = None
    max_epochs: int | None = None

    def training(self, **changes):
        """Return the `galcfm.training.Recipe` of both models.

        Arguments:
            changes: Fields of the recipe with other values than the plan's.
        """
        from galcfm.training import Recipe

        return replace(Recipe.of(asdict(self)), **changes)


def chosen(names: Sequence[str], known: Sequence[str], what: str = "rows") -> list[str]:
    """Return the names that a notebook's parameter lists, in the order of those known.

    Arguments:
        names: Chosen names; none for all.
        known: All names.
        what: Name of the parameter, for the message.

    Raises:
        RunError: A name is unknown.
    """
    unknown = [str(name) for name in names if name not in known]
    if unknown:
        raise RunError(
            f"there is no {', '.join(unknown)} among the {what}: choose from {', '.join(known)}"
        )
    return [name for name in known if name in names or not names]


def rows_of(kind: type, path: Path) -> dict:
    """Return the rows of a study that a YAML file beside its module describes, by name.

    Arguments:
        kind: Dataclass of a row, or `dict`.
        path: Path of the file, e.g. `Path(__file__).with_name("rows.yaml")`: one mapping per row,
            whose keys are fields of `kind`. A list becomes a tuple. An entry whose name begins
            with a dot is no row but is shared by rows, e.g. `.shared: &shared {redshift: true}` for
            `options: {<<: *shared}`. Powers of ten are written with a point, as in `5.0e-4`.
    """
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        name: kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
        for name, row in described.items()
        if not name.startswith(".")
    }


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
        parameter: Parameter of the notebook that says whether the result is read or made.
        group: Name of the rows in the JSON file, for studies with `Trainings`.
        module: Name of the module whose function `make` makes the result, by default that of the
            study's name; it is imported only then, so that a chapter that reads imports neither
            torch nor other large packages.
    """

    name: str
    notebook: str
    version: int = 1
    parameter: str = "results"
    group: str = "rows"
    module: str = ""

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

    def result(self, results: str, run: Path, plan: Plan, **options) -> "Result":
        """Read the published result, or make one of this plan by the study's module; return it.

        Arguments:
            results: One of `RESULTS`, a parameter of the notebook.
            run: Folder of the run, of `galcfm.runs.open_run`.
            plan: Settings with which it is made.
            options: Further arguments of the module's `make(place, run, plan)`.
        """

        def make(place: Place) -> None:
            import_module(self.module or f"studies.{self.name}").make(place, run, plan, **options)

        return self.find(results, run, plan.settings, make)

    def read(self, folder: Path | None = None) -> "Result":
        """Return the result in a folder, by default the published one.

        Raises:
            RunError: There is none, with the command that makes it, or it is damaged.
        """
        path = self.path(folder or published_folder())
        if not path.exists():
            command = self.command
            if path.parent == published_folder():
                command = command.removesuffix("made") + "publish"
            raise RunError(f"{path} does not exist: run `{command}`, which makes it")
        return Result(self, path, RESULT.read(path, RunError))

    @property
    def command(self) -> str:
        """The command that makes the result."""
        return f"papermill notebooks/{self.notebook}.ipynb out.ipynb -p {self.parameter} made"

    def stored(self, folder: Path, key: str) -> dict | None:
        """Return the result in a folder if it was made under this key.

        Raises:
            FileExistsError: A file is there that is no stored result and would be replaced.
        """
        result = self.on_disk(folder)
        return result if result.get("key") == key else None

    def on_disk(self, folder: Path) -> dict:
        """Return the result in a folder, made under whatever key; empty where there is none.

        Raises:
            FileExistsError: As by `stored`.
        """
        path = self.path(folder)
        if not path.exists():
            return {}
        try:
            return RESULT.read(path)
        except (OSError, ValueError) as error:
            raise FileExistsError(
                f"{path} is no stored result of galcfm: move it away, {path.name} would replace it "
                f"({error})"
            ) from error

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
        RESULT.write(self.path(folder), result := result | origin)
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
        with damage_in_a_sentence(self.beside(ending), RESULT.remedy, RunError):
            return pd.read_parquet(self.beside(ending), **options)

    def beside(self, ending: str) -> Path:
        """Return the path of another file of the result; `ending` follows the study's name."""
        return self.path.with_name(self.study.name + ending)

    @property
    def origin(self) -> str:
        """Lines that say how, when, where and by which version the result was made."""
        study, version = self.study, self.content.get("version", 0)
        lines = [origin_of(self.content)]
        if self.content["command"] != study.command:
            # The command of that commit may be gone.
            lines.append(f"today's command: {study.command}")
        if version != study.version:
            lines.append(
                f"made by version {version} of the study {study.name}, which is now at version "
                f"{study.version}: `{study.command}` makes it again"
            )
        return "\n".join(lines)


def origin_of(content: Mapping) -> str:
    """Return lines that say how, when and where stored content was made.

    Arguments:
        content: Content of a JSON file in `data/published/`, or a part that has its own origin.
    """
    made = content["made"]
    lines = [
        content["command"],
        f"{content['date']}, commit {(made['commit'] or 'unknown')[:7]}, {made['machine']}",
    ]
    if made.get("dirty"):
        lines.append("made with uncommitted changes: the commit does not hold all of its code")
    return "\n".join(lines)


class Trainings:
    """Rows of a study, each with several trainings, kept one by one; processes can share the work.

    The study's JSON file contains the results by row and seed, its Parquet file one number per test
    galaxy, with one column `ROW/SEED` per training.

    Arguments:
        study: The study.
        place: Where it writes.
        settings: Settings that all rows depend on, any JSON content.
        rows: By name of each row, in the order of the file, what this row alone depends on, any
            JSON content. A stored row that was made with something else is made again; one whose
            name is not among them, of another version, is left as it is.
        of_row: Function of a row's name and of the table of all trainings that returns numbers of
            the row for the JSON file, e.g. of `paired_gain`.

    Raises:
        FileExistsError: A file is there that is no stored result.
    """

    def __init__(
        self, study: Study, place: Place, settings: Mapping, rows: Mapping, of_row: Callable
    ):
        self.study, self.place, self.settings, self.of_row = study, place, settings, of_row
        self.key, self.group = study.key(settings), study.group
        self.row_keys = {name: digest(content) for name, content in rows.items()}
        self.path = study.path(place.folder)
        self.table = self.path.with_suffix(".parquet")
        for folder in (data_folder() / "cache", place.work / "claims"):
            folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(data_folder() / "cache" / f"{study.name}.lock")
        self.replaces = study.on_disk(place.folder).get("key")

    def results(self) -> dict:
        """Return what is stored, without rows that are outdated."""
        found = self.study.stored(self.place.folder, self.key)
        found = found or {self.group: {}, "plan": self.settings}
        with damage_in_a_sentence(self.path, RESULT.remedy, RunError):
            msgspec.convert(found[self.group], dict[str, Trained])
        rows = {
            name: row
            for name, row in found[self.group].items()
            if self.row_keys.get(name, row.get("row_key")) == row.get("row_key")
        }
        return found | {self.group: rows}

    def make(self, names: Sequence[str], seeds: Sequence[int], train: Callable) -> dict:
        """Make the trainings that are missing, seed after seed, and return what is stored.

        Arguments:
            names: Names of the rows.
            seeds: Seeds of the trainings.
            train: Function of a name and a seed that returns what `keep` takes.
        """
        for name, seed in self.missing(names, seeds):
            self.keep(name, seed, *train(name, seed))
        return self.results()

    def missing(self, names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
        """Yield rows and seeds that are not there when their turn comes.

        What another process is making is left to it, and waited for in the end.
        """
        for timeout in (0, -1):
            for seed, name in product(seeds, names):
                claim = self.place.work / "claims" / f"{digest([self.key, name, seed])}.lock"
                try:
                    with FileLock(claim, timeout=timeout):
                        known = self.results()[self.group].get(name, {"seeds": {}})
                        if str(seed) not in known["seeds"]:
                            yield name, seed
                except Timeout:
                    continue

    def keep(
        self, name: str, seed: int, numbers: dict, of_row: dict, of_galaxies: pd.Series
    ) -> None:
        """Add a training.

        Arguments:
            name: Name of its row.
            seed: Its seed.
            numbers: Numbers of this training, for the JSON file.
            of_row: Numbers of the row, for the JSON file.
            of_galaxies: One number per test galaxy, by galaxy; kept to three decimals.

        Raises:
            RuntimeError: Another process with another key has begun to write the file.
        """
        with self.lock:
            key = self.study.on_disk(self.place.folder).get("key")
            if key not in (None, self.key, self.replaces):
                raise RuntimeError(
                    f"{self.path} is being made by another process with other settings: stop one "
                    "of the two"
                )
            results = self.results()
            rows = results[self.group]
            columns = [f"{row}/{seed}" for row, of in rows.items() for seed in of["seeds"]]
            table = pd.DataFrame(index=of_galaxies.index)
            if columns:
                with damage_in_a_sentence(self.table, RESULT.remedy, RunError):
                    table = pd.read_parquet(self.table, columns=columns)
            # A row may be of the first galaxies alone.
            table = table.reindex(max(table.index, of_galaxies.index, key=len))
            table[f"{name}/{seed}"] = of_galaxies.round(3).astype(np.float32)
            row = rows.setdefault(name, {"seeds": {}})
            row |= of_row | {"row_key": self.row_keys[name]}
            row["seeds"][str(seed)] = numbers
            order = [*self.row_keys, *rows]
            results[self.group] = {
                name: rows[name] | (self.of_row(name, table) if name in self.row_keys else {})
                for name in sorted(rows, key=order.index)
            }
            write_table(self.table, table)
            self.study.store(self.place.folder, results, self.key)


def over_trainings(differences) -> dict[str, float]:
    """Return the mean gain of some trainings over galaxies, and its standard error.

    Arguments:
        differences: Gain [nat] of each galaxy by training, `(trainings, n)`.

    Returns:
        `gain` and `standard_error` in nat; the latter includes the spread of the galaxies, whose
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


def paired_gain(table: pd.DataFrame, name: str, other: str | None = None) -> dict[str, float]:
    """Return the mean gain of a row with its error, paired galaxy by galaxy and seed by seed.

    Arguments:
        table: One row per test galaxy, one column `ROW/SEED` per training.
        name: Name of the row that gains.
        other: Name of the row that it is compared with; None where the table holds gains.

    Returns:
        The numbers of `over_trainings`, with galaxies and seeds that both rows have; empty where
        there is no such seed.
    """
    found = [column.rpartition("/") for column in table]
    differences = [
        table[f"{row}/{seed}"] - (table[f"{other}/{seed}"] if other else 0.0)
        for row, _, seed in found
        if row == name and (other is None or f"{other}/{seed}" in table)
    ]
    return over_trainings(np.array(differences, dtype=np.float64)) if differences else {}


def models_digest(run: Path) -> str:
    """Return the digest of the weights of a run's three models."""
    paths = [run / name / "model.safetensors" for name in OUTPUTS["02_training"]]
    return digest([path.read_bytes().hex() for path in paths])


def survey_of_run(run: Path) -> Survey:
    """Return the survey that the models of a run were trained on."""
    from galcfm.posterior.files import MODEL

    description = MODEL.read(run / "photometry" / "model.json", RunError)
    return Survey.load(survey_folder(description["metadata"]["survey"]))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table of a result as Parquet, whole or not at all.

    It is compressed as far as it goes without loss: the repository keeps it.

    Arguments:
        path: Path of the file.
        table: Table to write.
    """
    smallest = {"compression": "zstd", "compression_level": 22, "use_dictionary": False}
    with replacing(path) as temporary:
        table.to_parquet(temporary, **smallest)


def kept_table(name: str, key: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a table from the cache, made where it is not there under this key."""
    path = data_folder() / "cache" / f"{name}-{key}.parquet"
    if not path.exists():
        with replacing(path) as temporary:
            make().to_parquet(temporary)
    with damage_in_a_sentence(path, "Delete it: the next call makes it again."):
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
    name: str, shown: pd.DataFrame, seed: int, key, *, instrument=SDSS, without=(), processes=1
) -> Survey:
    """Return a simulated survey with images, rendered once and kept; resumes where it stopped.

    Arguments:
        name: Beginning of the name of its folder, which a digest ends.
        shown: Rows of `galcfm.simulate.simulate_catalogue`.
        seed: Seed of the images.
        key: All that the rows depend on, any JSON content.
        instrument: `galcfm.simulate.Instrument` that observes them.
        without: Names of `TIES` that are switched off.
        processes: Number of processes that render.
    """
    version = f"simulator {SIMULATOR_VERSION}"
    known = digest([version, key, seed, asdict(instrument), list(without)])
    folder = survey_folder(f"{name}-{known}")
    lock = data_folder() / "cache" / f"{name}-{known}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not (folder / "survey.json").exists():
            writer = SurveyWriter(folder, len(shown), {"key": known})
            options = {"instrument": instrument, "without": without, "processes": processes}
            render_into(writer, shown, seed, **options)
            writer.finish(shown, {"kind": "simulated"}, version)
    return Survey.load(folder)
