"""The command `galcfm`: simulate a survey, train models, infer catalogues, show what there is.

It ends with 0 when everything is done; 1 after an error, which is told in one sentence; 2 when it
was called wrongly; 3 when no row could be used, or partitions could not be read, which are named;
130 when it was interrupted. Repeat the call to resume.
"""

import argparse
import ast
import contextlib
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import galcfm
from galcfm.paths import published_folder

__all__ = ["main"]

DONE, FAILED, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Arguments:
        arguments: Words that replace those of the command line.

    examples::

      galcfm simulate --out survey --galaxies 1000
      galcfm train survey --out models
      galcfm infer survey --model models/image --out posteriors
      galcfm show posteriors
      galcfm infer --help
    """
    options = vars(_parser().parse_args(arguments))
    try:
        return options.pop("run")(**options)
    except KeyboardInterrupt:
        print("galcfm: interrupted; the same call goes on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Of `galcfm show … | head`: nobody reads on.
        sys.stderr.close()
        return DONE
    # Everything that is raised with a remedy is one of these.
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"galcfm: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    about = _help(main) | {"description": galcfm.__doc__.splitlines()[0]}
    parser = argparse.ArgumentParser("galcfm", **about)
    parser.add_argument("--version", action="version", version=f"galcfm {galcfm.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, add_options in (
        (_infer, _infer_options),
        (_simulate, _simulate_options),
        (_train, _train_options),
        (_show, _show_options),
    ):
        about = _help(run)
        name = run.__name__.removeprefix("_")
        one = commands.add_parser(name, help=about["description"], **about)
        add_options(one)
        one.set_defaults(run=run)
    return parser


def _help(run) -> dict:
    """Return what argparse shows of a command: first line and examples of its docstring."""
    text = inspect.getdoc(run)
    examples = text[text.index("examples:") :].replace("::\n\n", ":\n")
    return {
        "description": text.splitlines()[0],
        "epilog": f"{examples}\n\nexit codes: 0 done; 1 an error, told in one sentence; 2 called "
        "wrongly; 3 no row could be\nused, or partitions could not be read, which are named; 130 "
        "interrupted. Repeat the call to resume.",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


# infer


def _infer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", help="HATS catalogue, survey of galcfm, table, folder or quoted pattern")
    add("--model", required=True, help="folder of a model, or the name of a published one")
    add("--out", required=True, type=Path, dest="destination", help="folder of the result")
    add("--cutouts", help="folder, Zarr, HDF5 or NumPy file, or name of a column")
    add("--pixel-scale", type=float, help="scale of the cutouts [arcsec/pixel]")
    group = parser.add_argument_group("photometry (a survey of galcfm describes it)")
    add, state = group.add_argument, group.add_mutually_exclusive_group().add_argument
    units = ("AB", "asinh", "Vega", "nanomaggy", "Jy")
    add("--unit", choices=units, help="unit of magnitudes or fluxes")
    add("--total", action="store_true", default=None, help="they are of whole galaxies")
    state("--dereddened", action="store_true", default=None, help="without Galactic extinction")
    state("--reddened", action="store_false", dest="dereddened", help="with it; ebv removes it")
    text = "galcfm's name = the source's; NAME= leaves one out; may be repeated"
    add("--column", action="append", default=[], metavar="NAME=COLUMN", help=text)
    add = parser.add_argument_group("draws").add_argument
    add("--samples", type=int, default=1000, dest="n_samples", help="draws per galaxy (1000)")
    steps = {"type": int, "default": argparse.SUPPRESS}
    add("--steps", **steps, help="Runge-Kutta steps (12; the paper's 100)")
    add("--seed", type=int, default=0, help="seed of the noise (0)")
    add("--draws", type=int, default=0, dest="n_draws", help="draws that are kept (0)")
    add = parser.add_argument_group("computing, by default on this machine's threads").add_argument
    add("--workers", type=int, help="number of processes on this machine, a thread each")
    add("--scheduler", help="address, or JSON file, of a Dask cluster")
    text = "rows per partition (20000)"
    add("--rows", type=int, default=20_000, dest="rows_a_partition", help=text)
    add("--quiet", action="store_false", dest="progress", help="no progress bar")


def _infer(model, source, destination, column, workers, scheduler, **options) -> int:
    """Infer the posteriors of the galaxies of a table or catalogue.

    examples:
      # a table of total, dereddened AB magnitudes, and a published model
      galcfm infer galaxies.parquet --model photometry --out posteriors --unit AB --total \\
          --dereddened

      # fluxes under other names, from which the extinction is removed here; cutouts in a folder
      galcfm infer galaxies.fits --cutouts jpegs --pixel-scale 0.396 --model models/image \\
          --out posteriors --unit nanomaggy --total --reddened \\
          --column object_id=ID --column ebv=EBV --column mag_u='FLUX[0]' \\
          --column mag_g='FLUX[1]' --column mag_r='FLUX[2]' --column mag_i='FLUX[3]' \\
          --column mag_z='FLUX[4]'

      # a HATS catalogue, by four workers on this machine, or by a running cluster
      galcfm infer hats/des --workers 4 --model photometry --out hats/des_posteriors \\
          --unit AB --total --dereddened
      galcfm infer hats/des --scheduler tcp://node1:8786 --model photometry \\
          --out hats/des_posteriors --unit AB --total --dereddened
    """
    from galcfm.catalogue import infer_catalogue

    options["columns"] = {}
    for entry in column:
        name, mark, given = entry.partition("=")
        if not mark:
            raise ValueError(f"--column is {entry!r}: give NAME=COLUMN, e.g. object_id=ID")
        options["columns"][name] = given or None
    with _cluster(workers, scheduler):
        made = infer_catalogue(_model_folder(model), source, destination, **options)
    print(f"{made.used} of {made.rows} galaxies inferred: {made.folder / 'dataset'}")
    if made.rejected:
        print(f"rows that could not be used, {made.rejected}: {made.folder / 'rejected'}")
    for reason in made.failed.values():
        print(f"galcfm: not read: {reason}", file=sys.stderr)
    return INCOMPLETE if made.failed or not made.used else DONE


@contextlib.contextmanager
def _cluster(workers: int | None, scheduler: str | None) -> Iterator[None]:
    """Open a client of the cluster that the options name, if any."""
    if workers is not None and scheduler is not None:
        raise ValueError("--workers starts workers here, --scheduler finds them: give one of them")
    if workers is None and scheduler is None:
        yield
        return
    from distributed import Client

    found = {"n_workers": workers, "threads_per_worker": 1}
    if scheduler is not None:
        is_file = scheduler.endswith(".json")
        if is_file and not Path(scheduler).is_file():
            raise ValueError(
                f"--scheduler {scheduler} is missing: start the scheduler, or check it"
            )
        found = {"scheduler_file" if is_file else "address": scheduler}
    elif workers < 1:
        raise ValueError(f"--workers is {workers}: at least one is needed")
    with Client(**found) as client:
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        yield


def _model_folder(name: str) -> Path:
    """Return a folder, or that of a published model with this name."""
    published = published_folder() / "models" / name
    return published if not Path(name).exists() and published.exists() else Path(name)


# simulate


def _simulate_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", required=True, type=Path, dest="folder", help="folder of the survey")
    text = "number of galaxies (1000); 50 kB each"
    add("--galaxies", type=int, default=1000, dest="n_galaxies", help=text)
    add("--seed", type=int, default=1, help="seed of the survey (1)")
    add("--instrument", default="SDSS", help="SDSS, Legacy or LSST (SDSS)")
    add("--processes", type=int, help="number of processes (as many as cores)")
    add("--replace", action="store_true", help="replace a survey of other parameters")
    add("--quiet", action="store_false", dest="progress", help="no progress bars")


def _simulate(folder, **options) -> int:
    """Make a simulated survey.

    examples:
      galcfm simulate --out survey --galaxies 1000
      galcfm simulate --out survey --galaxies 106800 --seed 7 --processes 16
    """
    from galcfm.simulate import simulate_survey

    survey = simulate_survey(folder, **options)
    print(f"{len(survey)} galaxies: {folder}")
    return DONE


# train


def _train_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    names = ("prior", "photometry", "image")
    add("survey", type=Path, help="folder of a survey")
    add("--out", required=True, type=Path, help="folder of the models, one folder each")
    add("--models", nargs="+", choices=names, default=names[1:], help="models to train")
    add("--recipe", default="quick", help="quick, paper, tuned, tuned_cpu or rehearsal (quick)")
    text = "another value of the recipe, as notebook 02 names them; may be repeated"
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    add("--quiet", action="store_true", help="no progress bars")


def _train(survey, out, models, recipe, set, quiet) -> int:
    """Train models on a survey.

    examples:
      galcfm train survey --out models
      galcfm train survey --out models --models image --recipe paper --set max_epochs=50
    """
    from galcfm.survey import Survey
    from galcfm.training import Recipe, train_models

    known = vars(Recipe.of({"recipe": recipe}))
    values = {}
    for entry in set:
        name, mark, text = entry.partition("=")
        if name not in known or not mark:
            raise ValueError(f"--set is {entry!r}: give NAME=VALUE, NAME one of {', '.join(known)}")
        values[name] = _like(known[name], text, name)
    # In the order in which one starts from the other.
    names = [name for name in ("prior", "photometry", "image") if name in models]
    chosen = Recipe.of({"recipe": recipe} | values)
    made = train_models(Survey.load(survey), out, chosen, names, progress=not quiet)
    for name, model in made.items():
        loss = model.metadata["best_validation_loss"]
        print(f"{name}: validation loss {loss:.4f}: {out / name}")
    return DONE


def _like(other, text: str, name: str):
    """Return a value of the kind that the recipe has."""
    if isinstance(other, str):
        return text
    kind = {float: (int, float), tuple: (tuple, list)}.get(type(other), type(other))
    with contextlib.suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
        if isinstance(value, kind) and isinstance(value, bool) == isinstance(other, bool):
            return value
    raise ValueError(f"--set {name} is {text!r}: give something like {other}")


# show


def _show_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", help="folder of a survey, model or result, or the name of a published model")
    add("--object", metavar="ID", help="posterior of one galaxy of a result")
    add("--rejected", action="store_true", help="rows of a result that could not be used")


def _show(folder, object, rejected) -> int:
    """Describe a survey, a model or a result.

    examples:
      galcfm show survey
      galcfm show photometry
      galcfm show posteriors --object 1237648704043942144
      galcfm show posteriors --rejected
    """
    folder = _model_folder(folder)
    names = ("inference.json", "model.json", "survey.json")
    name = next((name for name in names if (folder / name).is_file()), None)
    if name is None:
        raise ValueError(f"{folder} is no survey, model or result: it has no {', '.join(names)}")
    if (object or rejected) and name != "inference.json":
        raise ValueError(f"{folder} is no result of inference: leave --object out")
    if object:
        found = _rows(folder / "dataset", object)
        if found.empty:
            raise ValueError(f"{folder} has no galaxy {object!r}; is it in --rejected?")
        print(found.T.to_string(header=False))
    elif rejected:
        has_some = (folder / "rejected").is_dir()
        print(_rows(folder / "rejected").to_string() if has_some else "no row was rejected")
    else:
        _show_content(json.loads((folder / name).read_text(encoding="utf-8")))
    return DONE


def _show_content(description: dict, indent: str = "") -> None:
    for name, value in description.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _show_content(value, indent + "  ")
        else:
            print(f"{indent}{name}: {value}")


def _rows(folder: Path, object_id: str | None = None):
    from pyarrow import compute, dataset

    wanted = None if object_id is None else compute.field("object_id") == object_id
    return dataset.dataset(folder).to_table(filter=wanted).to_pandas()


if __name__ == "__main__":
    sys.exit(main())
