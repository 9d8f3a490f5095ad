"""The command `galcfm`: simulate a survey, train models, infer catalogues, show what there is.

It ends with 0 when all is done; 1 after an error, told in one sentence; 2 when it was called
wrongly; 3 when a catalogue was inferred but for partitions that could not be read, which are
named; 130 when it was interrupted. Whatever ended it, the same call goes on.
"""

import argparse
import ast
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import galcfm
from galcfm.paths import published_folder
from galcfm.properties import PROPERTIES

__all__ = ["main"]

DONE, FAILED, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130
CODES = """\
exit codes: 0 done; 1 an error, told in one sentence; 2 called wrongly; 3 no row could be used, or
partitions could not be read, which are named; 130 interrupted. The same call goes on."""
EXAMPLES = {
    "": """\
examples:
  galcfm simulate --out survey --galaxies 1000
  galcfm train survey --out models
  galcfm infer survey --model models/image --out posteriors
  galcfm show posteriors
  galcfm infer --help""",
    "infer": """\
examples:
  # a table of total, dereddened AB magnitudes, and a model that is kept in the repository
  galcfm infer galaxies.parquet --model photometry --out posteriors --unit AB --total --dereddened

  # fluxes under other names, from which the extinction is removed here; cutouts in a folder
  galcfm infer galaxies.fits --cutouts jpegs --pixel-scale 0.396 --model models/image \\
      --out posteriors --unit nanomaggy --total --reddened \\
      --column object_id=ID --column ebv=EBV --column mag_u='FLUX[0]' --column mag_g='FLUX[1]' \\
      --column mag_r='FLUX[2]' --column mag_i='FLUX[3]' --column mag_z='FLUX[4]'

  # a HATS catalogue, by four workers on this machine, or by a cluster that is there
  galcfm infer hats/des --workers 4 --model photometry --out hats/des_posteriors \\
      --unit AB --total --dereddened
  galcfm infer hats/des --scheduler tcp://node1:8786 --model photometry --out hats/des_posteriors \\
      --unit AB --total --dereddened""",
    "simulate": """\
examples:
  galcfm simulate --out survey --galaxies 1000
  galcfm simulate --out survey --galaxies 106800 --seed 7 --processes 16""",
    "train": """\
examples:
  galcfm train survey --out models
  galcfm train survey --out models --models photometry --recipe paper --set max_epochs=50""",
    "show": """\
examples:
  galcfm show survey
  galcfm show photometry
  galcfm show posteriors --object 1237648704043942144
  galcfm show posteriors --rejected""",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Arguments:
        arguments: instead of the command line's.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("galcfm: interrupted; the same call goes on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Of `galcfm show … | head`: nobody reads on.
        sys.stderr.close()
        return DONE
    # All that is raised with a remedy is one of these.
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"galcfm: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    def formatted(name: str) -> dict:
        raw = argparse.RawDescriptionHelpFormatter
        return {"epilog": f"{EXAMPLES[name]}\n\n{CODES}", "formatter_class": raw}

    parser = argparse.ArgumentParser(
        "galcfm",
        description="Galaxy properties from images and photometry by conditional flow matching.",
        **formatted(""),
    )
    parser.add_argument("--version", action="version", version=f"galcfm {galcfm.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add, run, text in (
        ("infer", _infer_options, _infer, "posteriors of the galaxies of a table or catalogue"),
        ("simulate", _simulate_options, _simulate, "make a simulated survey"),
        ("train", _train_options, _train, "train models on a survey"),
        ("show", _show_options, _show, "tell what a survey, a model or a result is"),
    ):
        one = commands.add_parser(name, help=text, description=_sentence(text), **formatted(name))
        add(one)
        one.set_defaults(run=run)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# infer


def _infer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "source",
        help="HATS catalogue; survey of galcfm; file (Parquet, FITS, CSV, ECSV, VOTable), folder "
        "of files, or a quoted pattern of paths",
    )
    add("--model", required=True, help="folder of a model, or the name of one that is kept")
    add("--out", required=True, type=Path, help="folder of the result")
    add("--cutouts", help="folder, Zarr, HDF5 or NumPy file, or name of a column")
    add("--pixel-scale", type=float, help="of the cutouts [arcsec/pixel]")
    told = parser.add_argument_group("what the magnitudes are (a survey of galcfm says so itself)")
    told.add_argument(
        "--unit",
        choices=("AB", "asinh", "Vega", "nanomaggy", "Jy"),
        help="of magnitudes, or fluxes",
    )
    told.add_argument("--total", action="store_true", default=None, help="of whole galaxies")
    state = told.add_mutually_exclusive_group()
    state.add_argument("--dereddened", action="store_true", default=None, dest="dereddened")
    state.add_argument(
        "--reddened", action="store_false", dest="dereddened", help="removed here, by column ebv"
    )
    told.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="galcfm's name = the source's; NAME= leaves one out; may be repeated",
    )
    drawn = parser.add_argument_group("what is drawn and kept")
    drawn.add_argument("--samples", type=int, default=1000, help="draws a galaxy (1000)")
    drawn.add_argument("--steps", type=int, help="Runge-Kutta steps (12; the paper's 100)")
    drawn.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    drawn.add_argument("--draws", type=int, default=0, help="kept beside the summaries (0)")
    where = parser.add_argument_group("where it is computed (by default on this machine's threads)")
    where.add_argument("--workers", type=int, help="processes on this machine, a thread each")
    where.add_argument("--scheduler", help="address, or JSON file, of a Dask cluster")
    add("--rows", type=int, default=20_000, help="rows a partition (20000)")
    add("--replace", action="store_true", help="replace a result of other settings")
    add("--quiet", action="store_true", help="no progress bar")


def _infer(options) -> int:
    from galcfm.catalogue.inference import infer_catalogue
    from galcfm.flow import FAST_STEPS

    columns = {}
    for entry in options.column:
        name, mark, column = entry.partition("=")
        if not mark:
            raise ValueError(f"--column is {entry!r}: give NAME=COLUMN, e.g. object_id=ID")
        columns[name] = column or None
    with _cluster(options) as client:
        made = infer_catalogue(
            _model_folder(options.model),
            options.source,
            options.out,
            client=client,
            columns=columns,
            unit=options.unit,
            total=options.total,
            dereddened=options.dereddened,
            cutouts=options.cutouts,
            pixel_scale=options.pixel_scale,
            n_samples=options.samples,
            steps=FAST_STEPS if options.steps is None else options.steps,
            seed=options.seed,
            n_draws=options.draws,
            rows_a_partition=options.rows,
            replace=options.replace,
            progress=not options.quiet,
        )
    print(f"{made.used} of {made.rows} galaxies inferred: {made.folder / 'dataset'}")
    if made.rejected:
        print(f"rows that could not be used, {made.rejected}: {made.folder / 'rejected'}")
    for reason in made.failed.values():
        print(f"galcfm: not read: {reason}", file=sys.stderr)
    return INCOMPLETE if made.failed or not made.used else DONE


@contextlib.contextmanager
def _cluster(options) -> Iterator:
    """A client of the cluster that the options name, or `None`."""
    if options.workers is not None and options.scheduler is not None:
        raise ValueError("--workers starts workers here, --scheduler finds them: give one of them")
    if options.workers is None and options.scheduler is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ModuleNotFoundError(
            'dask.distributed is missing: pip install "galcfm[catalogue]"'
        ) from error
    with contextlib.ExitStack() as stack:
        if options.workers is not None:
            if options.workers < 1:
                raise ValueError(f"--workers is {options.workers}: at least one is needed")
            place = LocalCluster(n_workers=options.workers, threads_per_worker=1)
            stack.enter_context(place)
        else:
            place = options.scheduler
        found = {"scheduler_file": place} if str(place).endswith(".json") else {"address": place}
        client = stack.enter_context(Client(**found))
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        yield client


def _model_folder(name: str) -> Path:
    """A folder, or one of the models that are kept in the repository, by its name."""
    kept = published_folder() / "models" / name
    return kept if not Path(name).exists() and kept.exists() else Path(name)


# simulate


def _simulate_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", required=True, type=Path, help="folder of the survey")
    add("--galaxies", type=int, default=1000, help="how many (1000); 50 kB each")
    add("--seed", type=int, default=1, help="of the survey (1)")
    add("--instrument", default="SDSS", help="SDSS, Legacy or LSST (SDSS)")
    add("--processes", type=int, help="how many; by default as many as cores")
    add("--replace", action="store_true", help="replace a survey of other parameters")
    add("--quiet", action="store_true", help="no progress bars")


def _simulate(options) -> int:
    from galcfm.simulate import simulate_survey

    survey = simulate_survey(
        options.out,
        options.galaxies,
        options.seed,
        instrument=options.instrument,
        processes=options.processes,
        replace=options.replace,
        progress=not options.quiet,
    )
    print(f"{len(survey)} galaxies: {options.out}")
    return DONE


# train


def _train_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    names = ("prior", "photometry", "image")
    add("survey", type=Path, help="folder of a survey")
    add("--out", required=True, type=Path, help="folder of the models, each in one of its name")
    add("--models", nargs="+", choices=names, default=list(names[1:]), help="which of them")
    add("--recipe", default="quick", help="quick, paper, tuned, tuned_cpu or rehearsal (quick)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of the recipe, as notebook 02 names them; may be repeated",
    )
    add("--quiet", action="store_true", help="no progress bars")


def _train(options) -> int:
    from galcfm.survey import Survey
    from galcfm.training import RECIPES, train_models

    if options.recipe not in RECIPES:
        raise ValueError(f"no recipe called {options.recipe!r}: choose from {', '.join(RECIPES)}")
    recipe = RECIPES[options.recipe]
    known = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    values = {}
    for entry in options.set:
        name, mark, text = entry.partition("=")
        if name not in known or not mark:
            raise ValueError(f"--set is {entry!r}: give NAME=VALUE, NAME one of {', '.join(known)}")
        values[name] = _as_the_other(name, text, known[name])
    survey = Survey.load(options.survey)
    # In the order in which one starts from the other.
    names = [name for name in ("prior", "photometry", "image") if name in options.models]
    models = train_models(
        survey, options.out, replace(recipe, **values), names, progress=not options.quiet
    )
    for name, model in models.items():
        loss = model.metadata["best_validation_loss"]
        print(f"{name}: validation loss {loss:.4f}: {options.out / name}")
    return DONE


def _as_the_other(name: str, text: str, other):
    """A value of the kind that the recipe has."""
    if isinstance(other, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    taken = (int, float) if isinstance(other, float) else type(other)
    if isinstance(other, tuple | list):
        taken = (tuple, list)
    if not isinstance(value, taken) or isinstance(value, bool) != isinstance(other, bool):
        raise ValueError(f"--set {name} is {text!r}: give something like {other}")
    return value


# show


def _show_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", help="of a survey, a model or a result, or the name of a model that is kept")
    add("--object", metavar="ID", help="the posterior of one galaxy of a result")
    add("--rejected", action="store_true", help="rows of a result that could not be used")


def _show(options) -> int:
    folder = _model_folder(options.folder)
    kinds = {"inference.json": _show_result, "model.json": _show_model, "survey.json": _show_survey}
    for name, show in kinds.items():
        if (folder / name).is_file():
            if (options.object or options.rejected) and show is not _show_result:
                raise ValueError(f"{folder} is no result of inference: leave --object out")
            show(folder, json.loads((folder / name).read_text()), options)
            return DONE
    raise ValueError(f"{folder} is no survey, model or result: it has none of {', '.join(kinds)}")


def _lines(**values) -> None:
    for name, value in values.items():
        print(f"{name.replace('_', ' '):>14}  {value}")


def _show_survey(folder: Path, description: dict, options) -> None:
    parameters = description["parameters"]
    _lines(
        survey=folder,
        galaxies=description["n_galaxies"],
        cutouts=description["image_shape"] or "none",
        kind=parameters.get("kind", "unknown"),
        parameters=", ".join(f"{k} = {v}" for k, v in parameters.items() if k != "kind"),
    )


def _show_model(folder: Path, description: dict, options) -> None:
    architecture, made = description["architecture"], description["metadata"]
    sees = [architecture["features"].replace("_", " ")]
    for name in ("use_redshift", "use_magnitude_errors"):
        sees += [name.removeprefix("use_").replace("_", " ")] * architecture[name]
    sees += ["missing bands"] * architecture.get("missing_bands", False)
    sees += ["cutouts"] * (architecture["encoder"] is not None)
    trained = f"on {made.get('n_train', '?')} galaxies of {made.get('survey', 'an unknown survey')}"
    loss = made.get("best_validation_loss")
    _lines(
        model=folder,
        sees=", ".join(sees),
        infers=", ".join(p.symbol_with_unit for p in PROPERTIES),
        trained=trained,
        loss="unknown" if loss is None else f"{loss:.4f} in epoch {made['best_epoch']}",
    )


def _show_result(folder: Path, description: dict, options) -> None:
    from pyarrow import compute, dataset

    if options.rejected:
        if not (folder / "rejected").is_dir():
            print("no row was rejected")
            return
        found = dataset.dataset(folder / "rejected").to_table().to_pylist()
        for row in found:
            print(f"{row['file']} row {row['row']} ({row['object_id']}): {row['reason']}")
    elif options.object is not None:
        columns = [f"{p.name}_{s}" for p in PROPERTIES for s in ("median", "p16", "p84")]
        rows = dataset.dataset(folder / "dataset")
        flags = [name for name in rows.schema.names if name.endswith("_outside")]
        wanted = compute.field("object_id") == options.object
        found = rows.to_table([*columns, *flags], filter=wanted).to_pylist()
        if not found:
            raise ValueError(f"{folder} has no galaxy {options.object!r}; is it in --rejected?")
        for row in found:
            for p in PROPERTIES:
                median, low, high = (row[f"{p.name}_{s}"] for s in ("median", "p16", "p84"))
                print(
                    f"{p.symbol_with_unit:>14}  {median:.3f}  +{high - median:.3f} "
                    f"−{median - low:.3f}"
                )
            for name in flags:
                if row[name]:
                    print(f"{'':>14}  {name.removesuffix('_outside')} outside the training range")
    else:
        settings = ", ".join(f"{k} = {v}" for k, v in description["settings"].items())
        _lines(
            result=folder,
            state=description["state"],
            inferred=f"{description.get('used', '?')} of {description.get('rows', '?')} rows",
            rejected=description.get("rejected", "?"),
            source=description["told"]["source"],
            settings=settings,
        )
        for reason in description.get("failed", {}).values():
            print(f"{'not read':>14}  {reason}")


if __name__ == "__main__":
    sys.exit(main())
