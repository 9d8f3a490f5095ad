"""The command `galcfm`: simulate a survey, train models, infer catalogues, describe results.

The exit code is 0 if everything is done; 1 after an error, which one sentence describes; 2 after a
wrong call; 3 if no row could be used or some partitions, which are named, could not be read; and
130 after an interruption. Repeat the call to resume.
"""

import ast
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

import click

import galcfm
from galcfm.catalogue.files import SCHEDULER
from galcfm.json_files import KINDS
from galcfm.paths import damage_in_a_sentence, user_path

DONE, FAILED, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130
EXIT_CODES = (
    "exit codes: 0 done; 1 error, described in one sentence; 2 wrong call; 3 no row could be used, "
    "or some partitions, which are named, could not be read; 130 interrupted. Repeat the call to "
    "resume."
)
# Files by which `show` recognises a folder, and the modules that define their schemas.
SHOWN = {
    "inference.json": "galcfm.catalogue.files",
    "model.json": "galcfm.posterior.files",
    "survey.json": "galcfm.survey.disk",
}
MODELS = ("prior", "photometry", "image")  # each may start from the previous one


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Arguments:
        arguments: Words that replace the arguments of the command line.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        return commands.main(arguments, "galcfm", standalone_mode=False) or DONE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("galcfm: interrupted: repeat the call to resume", file=sys.stderr)
        return INTERRUPTED
    # All exceptions with a remedy are of these kinds.
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        # The name of a file may contain line breaks.
        print("galcfm:", *str(error).splitlines(), file=sys.stderr)
        return FAILED


@click.group("galcfm", epilog=EXIT_CODES, context_settings={"show_default": True})
@click.version_option(galcfm.__version__)
def commands() -> None:
    """Properties of galaxies from images and photometry, by conditional flow matching.

    \b
    examples:
      galcfm simulate --out survey --galaxies 1000
      galcfm train survey --out models
      galcfm infer survey --model models/image --out posteriors
      galcfm show posteriors
      galcfm infer --help
    """


def _pairs(_, option: click.Option, entries: Sequence[str]) -> dict[str, str]:
    """Return a dictionary of values by name from words such as NAME=VALUE."""
    if wrong := [entry for entry in entries if "=" not in entry]:
        raise click.BadParameter(f"{wrong[0]!r} does not have the form {option.metavar}")
    pairs = [entry.split("=", 1) for entry in entries]
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise click.BadParameter(f"{', '.join(twice)} is given more than once: give it once")
    return dict(pairs)


def _of_pairs(argument: str, option: str, form: str, text: str):
    """Return an option that may be repeated and gives a dictionary of values by name."""
    about = {"metavar": form, "help": f"{text}; may be repeated"}
    return click.option(option, argument, multiple=True, callback=_pairs, **about)


@commands.command(epilog=EXIT_CODES)
@click.argument("source")
@click.option("--model", required=True, help="folder of a model, or name of a published one")
@click.option("--out", "destination", required=True, help="folder of the result")
@click.option("--cutouts", help="folder of the cutouts, or name of a column")
@click.option("--pixel-scale", type=float, help="scale of the cutouts [arcsec/pixel]")
@click.option("--cutout-bands", help="bands of a column of fluxes, if not those of the model")
@click.option("--cutout-unit", help="unit of the fluxes of cutouts  [default: nanomaggy]")
@click.option("--unit", help="AB, asinh, Vega, nanomaggy or Jy")
@click.option("--total", is_flag=True, default=None, help="fluxes are total fluxes of galaxies")
@click.option("--dereddened/--reddened", default=None, help="Galactic extinction is removed")
@_of_pairs(
    "columns",
    "--column",
    "NAME=COLUMN",
    "galcfm's name = name in the source; NAME= leaves a column out",
)
@_of_pairs("sources", "--embedding", "NAME=SOURCE", "column of vectors, or file with object_id")
@_of_pairs("makers", "--embedding-model", "NAME=MODEL", "model that made the embedding")
@click.option("--samples", "n_samples", default=1000, help="draws per galaxy")
@click.option("--steps", default=12, help="Runge-Kutta steps; the paper uses 100")
@click.option("--seed", default=0, help="seed of the random draws")
@click.option("--draws", "n_draws", default=0, help="draws per galaxy to keep in the result")
@click.option("--workers", type=click.IntRange(1), help="local processes, instead of threads")
@click.option("--scheduler", help="address, or JSON file, of a Dask cluster")
@click.option("--rows", "rows_a_partition", default=20_000, help="rows per partition")
@click.option("--progress/--quiet", default=True, help="whether to show the progress")
def infer(
    model, workers, scheduler, columns, sources, makers, cutout_bands, cutout_unit, **options
) -> int:
    """Infer the posteriors of the galaxies of a table or catalogue.

    SOURCE is a HATS catalogue, a survey of galcfm (which declares its own units), a table, a folder
    or a quoted pattern. The command names the files that it leaves out. Put a name that begins with
    a dash last, after two dashes.

    \b
    examples:
      # a table of total, dereddened AB magnitudes, and a published model
      galcfm infer galaxies.parquet --model photometry --out posteriors --unit AB --total \\
          --dereddened

    \b
      # fluxes under other names, from which the extinction is removed here; cutouts in a folder
      galcfm infer galaxies.fits --cutouts jpegs --pixel-scale 0.396 --model models/image \\
          --out posteriors --unit nanomaggy --total --reddened \\
          --column object_id=ID --column ebv=EBV --column mag_u='FLUX[0]' \\
          --column mag_g='FLUX[1]' --column mag_r='FLUX[2]' --column mag_i='FLUX[3]' \\
          --column mag_z='FLUX[4]'

    \b
      # a model with embeddings that another model computed, in a column of vectors
      galcfm infer galaxies.parquet --model models/image_embedding --out posteriors \\
          --unit AB --total --dereddened --embedding image=aion_image \\
          --embedding-model image="AION-1 base"

    \b
      # a HATS catalogue, with four workers on this machine, or with a running cluster
      galcfm infer hats/des --workers 4 --model photometry --out posteriors \\
          --unit AB --total --dereddened
      galcfm infer hats/des --scheduler tcp://node1:8786 --model photometry \\
          --out posteriors --unit AB --total --dereddened
    """
    from galcfm.catalogue import infer_catalogue
    from galcfm.posterior.files import known_by
    from galcfm.survey.cutouts import Cutouts
    from galcfm.survey.embeddings import Embeddings

    options["columns"] = {name: column or None for name, column in columns.items()}
    if differing := sources.keys() ^ makers.keys():
        raise click.UsageError(
            f"give --embedding and --embedding-model, both for {', '.join(sorted(differing))}"
        )
    options["embeddings"] = {name: Embeddings(sources[name], makers[name]) for name in sources}
    if cutout_bands or cutout_unit:
        bands = cutout_bands.split(",") if "," in (cutout_bands or "") else cutout_bands
        options["cutouts"] = Cutouts(options["cutouts"], bands, cutout_unit or "nanomaggy")
    with _cluster(workers, scheduler):
        made = infer_catalogue(model, **options)
    print(f"{made.used} of {made.rows} galaxies inferred: {made.folder / 'dataset'}")
    print(f"{known_by(model)} The column outside_range flags galaxies unlike these.")
    if made.rejected:
        print(f"rows that could not be used, {made.rejected}: {made.folder / 'rejected'}")
    for sentence in made.left_out:
        print(f"galcfm: {sentence}", file=sys.stderr)
    for reason in made.failed.values():
        print(f"galcfm: not read: {reason}", file=sys.stderr)
    return INCOMPLETE if made.failed or not made.used else DONE


@contextlib.contextmanager
def _cluster(workers: int | None, scheduler: str | None):
    """Keep the cluster that the options name open and active; do nothing if they name none."""
    if workers and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other: give one of them")
    if not workers and scheduler is None:
        yield
        return
    from distributed import Client

    if scheduler is not None:
        client = Client(_address(scheduler), set_as_default=False)
    else:
        # Only this process reacts to Ctrl-C: workers inherit that it is ignored.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        options = {"threads_per_worker": 1, "silence_logs": logging.CRITICAL}
        client = Client(n_workers=workers, set_as_default=False, **options)
        signal.signal(signal.SIGINT, before)
    # Workers that this command started end with the client.
    with client, client.as_current():
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        yield


def _address(scheduler: str) -> str:
    """Return the address of a scheduler, read from its file if one is given."""
    path = user_path(scheduler, "the scheduler")
    if path.suffix != ".json":
        return scheduler
    # A client would wait for a file that is missing.
    if not path.is_file():
        raise ValueError(f"{path} is missing: start `dask scheduler --scheduler-file {path}` first")
    return SCHEDULER.read(path)["address"]


@commands.command(epilog=EXIT_CODES)
@click.option("--out", "folder", required=True, help="folder of the survey")
@click.option("--galaxies", "n_galaxies", default=1000, help="number of galaxies; 50 kB each")
@click.option("--seed", default=1, help="seed of the survey")
@click.option("--instrument", default="SDSS", help="SDSS, Legacy or LSST")
@click.option("--processes", type=int, help="number of processes  [default: as many as cores]")
@click.option("--replace", is_flag=True, help="replace a survey with other parameters")
@click.option("--progress/--quiet", default=True, help="whether to show the progress")
def simulate(folder, **options) -> None:
    """Make a simulated survey.

    \b
    examples:
      galcfm simulate --out survey --galaxies 1000
      galcfm simulate --out survey --galaxies 106800 --seed 7 --processes 16
    """
    from galcfm.simulate import simulate_survey

    survey = simulate_survey(folder, **options)
    print(f"{len(survey)} galaxies: {folder}")


def _models(_, option: click.Option, names: Sequence[str]) -> Sequence[str]:
    """Return the names of models after a check of their form."""
    for name in names:
        if name not in MODELS and not name.endswith("_embedding"):
            raise click.BadParameter(f"{name!r} is none of {', '.join(MODELS)}, NAME_embedding")
    return names


@commands.command(epilog=EXIT_CODES)
@click.argument("survey")
@click.option("--out", required=True, help="folder of the models, with one folder per model")
@click.option(
    "--models",
    multiple=True,
    callback=_models,
    help="prior, photometry, image, or NAME_embedding for an embedding of the survey; may be "
    "repeated  [default: all but the prior for which the survey has data]",
)
@click.option("--recipe", default="quick", help="quick, paper, tuned, tuned_cpu or rehearsal")
@_of_pairs(
    "values", "--set", "NAME=VALUE", "replace a value of the recipe; notebook 02 lists the names"
)
@click.option("--progress/--quiet", default=True, help="whether to show the progress")
def train(survey, out, models, recipe, values, progress) -> None:
    """Train models on a survey.

    \b
    examples:
      galcfm train survey --out models
      galcfm train survey --out models --recipe paper --set max_epochs=50
      galcfm train survey --out models --models photometry --set photometry_max_epochs=50
      galcfm train desi --out models --models photometry --models image_embedding
    """
    from galcfm.survey import Survey
    from galcfm.training import Recipe, train_models

    known = vars(Recipe.of({"recipe": recipe}))
    if unknown := set(values) - set(known):
        raise ValueError(f"--set {', '.join(unknown)} is unknown: give one of {', '.join(known)}")
    names = sorted({*models} or MODELS[1:], key=(*MODELS, *models).index)
    Recipe.require_effect(values, names)
    values = {name: _like(known[name], text, name) for name, text in values.items()}
    chosen = Recipe.of({"recipe": recipe} | values)
    out, galaxies = user_path(out), Survey.load(survey)
    embeddings = [f"{each.name}_embedding" for each in galaxies.declaration.embeddings]
    if not models:
        names = ["photometry", *["image"] * (galaxies.images is not None), *embeddings]
    if unknown := [name for name in names if name not in (*MODELS, *embeddings)]:
        known = f"give {', '.join(embeddings)}" if embeddings else "leave it out"
        raise ValueError(f"{survey} has no embedding for --models {unknown[0]}: {known}")
    made = train_models(galaxies, out, chosen, names, progress=progress)
    for name, model in made.items():
        loss = model.metadata["best_validation_loss"]
        print(f"{name}: validation loss {loss:.4f}: {out / name}")


def _like(other, text: str, name: str):
    """Return the value in a text, of the same type as the value in the recipe."""
    if isinstance(other, str):
        return text
    kinds = {float: (int, float), tuple: (tuple, list)}.get(type(other), (type(other),))
    with contextlib.suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
        if type(value) in kinds:
            return value
    raise ValueError(f"--set {name} is {text!r}: give a value such as {other}")


@commands.command(epilog=EXIT_CODES)
@click.argument("folder")
@click.option("--object", "object_id", metavar="ID", help="one galaxy of a result")
@click.option("--rejected", is_flag=True, help="show the rows that could not be used")
def show(folder, object_id, rejected) -> None:
    """Describe a survey, a model or a result.

    FOLDER is the folder of a survey, model or result, or the name of a published model.

    \b
    examples:
      galcfm show survey
      galcfm show photometry
      galcfm show posteriors --object 1237648704043942144
      galcfm show posteriors --rejected
    """
    import pandas as pd

    folder = user_path(folder)
    if not folder.exists():
        from galcfm.posterior.published import model_folder

        folder = model_folder(folder)
    name = next((name for name in SHOWN if (folder / name).is_file()), None)
    if name is None:
        raise ValueError(f"{folder} has no {' or '.join(SHOWN)}: give a survey, model or result")
    # Only the module for models imports torch.
    importlib.import_module(SHOWN[name])
    content = KINDS[name]
    content.read(folder / name)
    if object_id is not None:
        with damage_in_a_sentence(folder / "dataset", content.remedy):
            found = pd.read_parquet(folder / "dataset", filters=[("object_id", "==", object_id)])
        if found.empty:
            raise ValueError(f"{folder} has no galaxy {object_id!r}; is it in --rejected?")
        print(found.T.to_string(header=False))
    elif rejected:
        with damage_in_a_sentence(folder / "rejected", content.remedy):
            print(pd.read_parquet(folder / "rejected").to_string())
    else:
        print((folder / name).read_text(encoding="utf-8"))
        if name == "model.json":
            print(sys.modules[SHOWN[name]].known_by(folder), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
