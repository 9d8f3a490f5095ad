"""What depends on what: doit runs the notebooks that are out of date and builds the book.

Use it through make (`make book PROFILE=quick`), or from the environment: `doit profile=quick book`.
"""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from doit import get_var
from doit.exceptions import TaskFailed
from doit.tools import config_changed

from book import build
from galcfm import paths, runs

ROOT = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
PROFILE = get_var("profile", "quick")
# Run by root, linkchecker becomes the user nobody, who cannot read a home folder.
LINKCHECKER = (
    "from linkcheck.command import linkchecker as l; l.drop_privileges = lambda: None;"
    "l.linkchecker()"
)
CHAPTERS = ROOT / "book" / "chapters"
OWN_CHAPTERS = [f"{notebook}.ipynb" for notebook in runs.NOTEBOOKS]
OWN_BUILD = [f"{part}/*" for part in ("html", ".doctrees", "jupyter_execute", ".jupyter_cache")]
INDEX = ROOT / "_build" / "html" / "index.html"
SPARE_BYTES = 100 << 20
PROSE = sorted(
    p
    for p in (ROOT / "book").rglob("*")
    if p.is_file() and not {"chapters", "__pycache__"} & {*p.relative_to(ROOT).parts}
)
DOIT_CONFIG = {"default_tasks": ["book"], "dep_file": str(ROOT / ".doit.db")}


try:
    PARAMETERS = build.profile_parameters(PROFILE)
except runs.RunError as error:
    sys.exit(f"galcfm: {error}")
RUN = paths.run_folder(PROFILE)


def execute(notebook: str, **changes) -> TaskFailed | None:
    """Run a notebook through Papermill into the run's chapters; a failure names the cell.

    Arguments:
        notebook: Name of the notebook, without ending.
        changes: Parameters that differ from the profile's; the notebook then goes to the run's
            folder `made`, as the book shows the profile's.
    """
    import papermill

    # What a notebook writes to stderr, its progress bars, comes as warnings of Papermill's logger.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    os.environ.setdefault("TQDM_MININTERVAL", "5")
    if notebook not in runs.PAPER and not changes:
        # Two are run at a time.
        os.environ["OMP_NUM_THREADS"] = "1"
    chapter = RUN / ("made" if changes else "chapters") / f"{notebook}.ipynb"
    parameters = PARAMETERS[notebook] | changes
    # The cell that Papermill adds shows the reader what differs from the notebook's own values.
    defaults = runs.parameter_defaults(notebook)
    changed = {k: v for k, v in parameters.items() if v != defaults[k]}
    try:
        with paths.replacing(chapter) as temporary:
            build.set_outdated_aside(notebook, parameters)
            # So that there is room for the notebook and for doit's own notes too.
            paths.require_disk_space(RUN, SPARE_BYTES)
            try:
                papermill.execute_notebook(
                    ROOT / "notebooks" / f"{notebook}.ipynb",
                    temporary,
                    changed,
                    cwd=ROOT / "notebooks",
                    log_output=True,
                    progress_bar=False,
                )
            except papermill.PapermillExecutionError:
                failed = RUN / "failed" / f"{notebook}.ipynb"
                with contextlib.suppress(OSError):  # of a full disk
                    failed.unlink(missing_ok=True)
                    failed.parent.mkdir(exist_ok=True)
                    shutil.copy(temporary, failed)
                raise
            build.drop_outdated(notebook, parameters)
    except papermill.PapermillExecutionError as error:
        kept = f"\nThe notebook with its traceback: {failed}" if failed.exists() else ""
        return TaskFailed(
            f"galcfm: notebooks/{notebook}.ipynb failed in cell [{error.exec_count}]: "
            f"{error.ename}: {error.evalue}{kept}"
        )
    # Another process is at it, or the disk is full.
    except (runs.RunError, OSError) as error:
        return TaskFailed(f"galcfm: notebooks/{notebook}.ipynb: {error}")
    return None


def run(*command, **options) -> bool:
    return subprocess.run([str(c) for c in command], cwd=ROOT, **options).returncode == 0


def remove(*folders) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def for_book(act) -> None:
    """Check or remove the built book and its copies of the chapters."""
    try:
        act(CHAPTERS, OWN_CHAPTERS, "the book")
        act(ROOT / "_build", OWN_BUILD, "the book")
    except OSError as error:
        raise SystemExit(f"galcfm: {error}") from None


def build_book() -> bool:
    """Copy this profile's chapters beside the prose, build the html, and check its links.

    The galaxies of the page that explores them go straight into the html.
    """
    from galcfm.figures.explorer import write_explorer_of_run

    for name in build.published_with_changes():
        print(f"Warning: data/published/{name} was made with uncommitted changes: make it again")
    for_book(paths.require_own_files)
    for_book(paths.remove_own)
    shutil.copytree(RUN / "chapters", CHAPTERS)
    # A warning is an error: a broken figure or number would otherwise go unseen.
    built = run(BIN / "jupyter-book", "build", ".", "-W", "-n", "--keep-going", "--quiet")
    if built:
        survey = paths.survey_folder(PARAMETERS["05_figures"]["survey"])
        write_explorer_of_run(RUN, survey, INDEX.parent / "_static" / "explorer")
    if built and run(sys.executable, "-c", LINKCHECKER, "--no-status", INDEX):
        print(f"The book: {INDEX}")
        return True
    # Without its index the book counts as not built, and the next call tries again.
    INDEX.unlink(missing_ok=True)
    return False


def task_notebook():
    """Run the notebooks that are out of date."""
    inputs: list[Path] = []
    earlier = None
    for notebook in runs.NOTEBOOKS:
        parameters = PARAMETERS[notebook]
        chapter = RUN / "chapters" / f"{notebook}.ipynb"
        outputs = build.output_files(notebook, parameters)
        # The survey comes first among what notebooks leave.
        read = inputs[:1] if notebook in runs.SURVEY_ALONE else inputs
        if "survey" not in parameters:
            read = []
        yield {
            "name": f"{PROFILE}/{notebook}",
            "actions": [(execute, [notebook])],
            "file_dep": [
                ROOT / "notebooks" / f"{notebook}.ipynb",
                *read,
                *build.rows_read(notebook),
                *build.published_read(notebook),
            ],
            # Not its files: comments and docstrings change nothing.
            "uptodate": [config_changed({"code": build.code_shown(notebook)} | parameters)],
            "targets": [chapter, *outputs],
            # Those of the paper in order, also where one does not read what the one before it
            # leaves; the others in any order after them.
            "task_dep": [f"notebook:{PROFILE}/{earlier}"] if earlier else [],
        }
        if notebook in runs.PAPER:
            earlier = notebook
            inputs += outputs


def task_book():
    """Build the book of the profile into _build/html."""
    return {
        "actions": [build_book],
        "file_dep": [
            *(RUN / "chapters" / f"{notebook}.ipynb" for notebook in runs.NOTEBOOKS),
            *PROSE,
            *(ROOT / "galcfm").rglob("*.py"),
            *paths.published_folder().glob("*.json"),
            ROOT / "_config.yml",
            ROOT / "_toc.yml",
        ],
        "targets": [INDEX],
        "uptodate": [config_changed(PROFILE)],
    }


def task_test():
    """Run the tests."""
    return {"actions": [(run, [BIN / "pytest"])], "uptodate": [False]}


PEERS = Path(sys.prefix) / "peers"


def install_peers() -> bool:
    """Install what the benchmarks compare with where only they look for it."""
    remove(PEERS)
    requirements = ROOT / "requirements-peers.txt"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    return run(*pip, "--target", PEERS, "--requirement", requirements)


def benchmark() -> bool:
    environment = os.environ | {"PYTHONPATH": str(PEERS)}
    script = ROOT / "benchmarks" / "run.py"
    return run(sys.executable, script, "--profile", PROFILE, env=environment)


def task_peers():
    """Install the libraries that the benchmarks compare with."""
    return {
        "actions": [install_peers],
        "file_dep": [ROOT / "requirements-peers.txt"],
        "targets": [PEERS / "sbi" / "__init__.py"],
    }


def task_bench():
    """Time the sampler, the densities and the training beside other libraries."""
    return {"actions": [benchmark], "task_dep": ["peers"], "uptodate": [False]}


def task_published():
    """Make the results again that the chapters read: hours; resumes.

    The same notebooks, with their own values, write to data/published. With the profile smoke all
    are small and go to that run's folder.
    """
    earlier = f"notebook:{PROFILE}/{runs.PAPER[-1]}"
    for notebook in runs.NOTEBOOKS:
        results = [name for name in PARAMETERS[notebook] if name.split("_")[0] == "results"]
        if results:
            how = "made" if PROFILE == "smoke" else "publish"
            yield {
                "name": notebook,
                "actions": [(execute, [notebook], dict.fromkeys(results, how))],
                # One may read what another makes.
                "task_dep": [earlier],
                "uptodate": [False],
            }
            earlier = f"published:{notebook}"


def task_lint():
    """Check style, workflows, and that notebooks are in step, clean and with stable cell ids."""
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    # The package does not find studies, which it knows nothing of.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "notebooks")}
    shell = ["-shellcheck", BIN / "shellcheck", "-config-file", ".github/actionlint.yaml"]
    return {
        "actions": [
            (run, [BIN / "ruff", "check", "."]),
            (run, [BIN / "ruff", "format", "--check", "."]),
            (run, [BIN / "lint-imports", "--no-cache"], {"env": environment}),
            (run, [BIN / "actionlint", *shell, *workflows]),
            (run, [BIN / "zizmor", "--offline", "--quiet", ".github"]),
            (run, [BIN / "hadolint", "Dockerfile"]),
            (run, [BIN / "shellcheck", "binder/postBuild"]),
            (run, [BIN / "pytest", "--quiet", "tests/test_notebooks.py", "tests/test_house.py"]),
        ],
        "uptodate": [False],
    }


def wipe() -> None:
    for_book(paths.require_own_files)
    try:
        build.wipe(PARAMETERS)
    except runs.RunError as error:
        raise SystemExit(f"galcfm: {error}") from None
    for_book(paths.remove_own)


def task_wipe():
    """Remove the run and the survey of the profile, and the built book."""
    return {"actions": [wipe], "uptodate": [False]}
