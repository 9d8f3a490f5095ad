"""What calls of one process share, and what they wait for, each over a registry of all of it."""

import ast
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_survey
from hypothesis import given, settings
from hypothesis import strategies as st

import galcfm
from galcfm.paths import hold, let_go
from galcfm.survey import SurveyError, sky

FILES = {
    path.relative_to(Path(galcfm.__file__).parent).as_posix(): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(Path(galcfm.__file__).parent.rglob("*.py"))
}
FUNCTIONS = [
    (path, node)
    for path, tree in FILES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]

# What galcfm keeps for a whole process, and why two calls do not disturb each other.
SHARED = {
    "paths.py _held": "holds each lock with its thread: see the test of all orders",
    "flow.py _threads": "counts overlapping calls: test_kinds.py lets two overlap",
    # Caches of what never changes while a program runs.
    "catalogue/plan.py key": "belongs to one plan",
    "figures/style.py labels": "belongs to one figure",
    "figures/style.py looks": "belongs to one figure",
    "posterior/training_range.py _range_in": "files of the wheel",
    "properties.py inverse_variances": "belongs to one declaration, which does not change",
    "properties.py magnitude_errors": "belongs to one declaration, which does not change",
    "properties.py magnitudes": "belongs to one declaration, which does not change",
    "properties.py property_names": "belongs to one declaration, which does not change",
    "provenance.py _imports": "files of code",
    "provenance.py _meaning": "files of code",
    "provenance.py _tree": "files of code",
    "simulate/frames.py _wings": "a function of numbers",
    "simulate/galaxies.py _redshift_and_mass_tables": "a function of numbers",
    "simulate/rendering.py _table": "a function of numbers",
    "simulate/spectra.py _whole_templates": "files of the wheel",
    "simulate/spectra.py load_templates": "files of the wheel",
    "survey/survey.py declaration": "belongs to one survey",
}
# Calls that set something for a whole process.
SETTERS = {
    "catalogue/command.py _cluster signal.signal": "the command has one thread",
    "catalogue/partitions.py infer_partition torch.set_num_threads": "see flow.py _threads",
    "flow.py _side_by_side torch.set_num_threads": "see flow.py _threads",
    "flow.py apart torch.set_num_threads": "see flow.py _threads",
    "flow.py threads_given_back torch.set_num_threads": "see flow.py _threads",
    "paths.py keep_memory mallopt": "changes no result",
    "sdss/catalogue.py _ask conf.set_temp": "one query after the other",
    "sdss/catalogue.py _ask warnings.catch_warnings": "one query after the other",
    "sdss/catalogue.py _ask warnings.simplefilter": "one query after the other",
    "survey/sky.py _north_up warnings.catch_warnings": "one thread at a time: see the test",
    "survey/sky.py _north_up warnings.simplefilter": "one thread at a time: see the test",
    "training/posterior_training.py _initialise torch.manual_seed": "one at a time: test_kinds.py",
    "training/processes.py others_in_a_sentence signal.signal": "in the main thread alone",
}
SETTING = {"manual_seed", "set_num_threads", "simplefilter", "filterwarnings", "catch_warnings"}
SETTING |= {"signal", "chdir", "seterr", "set_default_dtype", "set_default_device", "putenv"}
SETTING |= {"set_temp", "mallopt", "use_deterministic_algorithms", "setrecursionlimit"}
# Calls that wait, and what ends the wait.
WAITS = {
    "catalogue/command.py _cluster Client": "Dask's time to connect: test_kinds.py",
    "catalogue/inference.py _run completed": "WORKER_WAIT: test_kinds.py",
    "catalogue/inference.py _run future.result": "is completed",
    "catalogue/inference.py _run pool.shutdown": "each row asks whether to stop",
    "catalogue/inference.py _watch stop.wait": "1 s",
    "catalogue/sources.py _read partition.frame.compute": "computes in this thread",
    "paths.py hold lock.acquire": "LOCK_WAIT",
    "provenance.py git subprocess.run": "git reads its own files",
    "provenance.py provenance subprocess.run": "git reads its own files",
    "sdss/catalogue.py _ask SDSS.query_sql": "TIMEOUT",
    "sdss/cutouts.py _ask self.session.get": "its argument timeout",
    "sdss/cutouts.py download_cutouts asyncio.run": "its requests have limits",
    "sdss/cutouts.py download_cutouts download.run": "its requests have limits",
    "sdss/cutouts.py download_cutouts pool.submit(asyncio.run, download.run()).result": "as above",
    "training/posterior_training.py train fabric.barrier": "the time limit of torch.distributed",
    "training/posterior_training.py train loop.run": "max_epochs",
}
WAITING = {"result", "wait", "acquire", "communicate", "completed", "as_completed", "urlopen"}
WAITING |= {"Client", "shutdown", "barrier", "recv", "query_sql", "run", "Popen", "compute", "get"}
CHANGING = {"append", "add", "update", "pop", "setdefault", "clear", "extend", "insert", "remove"}


def names_kept(tree: ast.Module) -> set[str]:
    """Return the names that a module assigns once for all calls."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return set().union(*map(names_stored, assigned))


def names_stored(tree: ast.AST) -> set[str]:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def calls(names: set[str]) -> set[str]:
    """Return the calls of functions with these names, by file and function."""
    found = set()
    for path, function in FUNCTIONS:
        for node in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            called = ast.unparse(node.func)
            # `get` of anything but a session is that of a dict.
            generator = called.startswith("torch.Generator")
            if (
                called.split(".")[-1] in names
                and not generator
                and (names != WAITING or not is_of_a_dict(called))
            ):
                found.add(f"{path} {function.name} {called}")
    return found


def is_of_a_dict(called: str) -> bool:
    return called.endswith(".get") and "session" not in called


def test_the_registry_holds_all_that_is_kept_for_a_process():
    found = set()
    for path, function in FUNCTIONS:
        kept = names_kept(FILES[path]) - names_stored(function)
        if any("cache" in ast.unparse(each) for each in function.decorator_list):
            found.add(f"{path} {function.name}")
        for node in ast.walk(function):
            changed = None
            if isinstance(node, ast.Global):
                changed = node.names[0]
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                changed = ast.unparse(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                changed = ast.unparse(node.func.value) if node.func.attr in CHANGING else None
            if changed in kept:
                found.add(f"{path} {changed}")
    # Kinds of files join when their module is imported.
    assert found - {"json_files.py KINDS"} == set(SHARED)


def test_the_registry_holds_all_calls_that_set_something_for_a_process():
    assert calls(SETTING) == set(SETTERS)


def test_the_registry_holds_all_waits():
    assert calls(WAITING) == set(WAITS)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.booleans()), min_size=1, max_size=12
    )
)
def test_locks_in_any_order_belong_to_one_thread(tmp_path_factory, steps):
    """Three threads hold and let go of two folders in any order, against a table of owners."""
    folder, owners = tmp_path_factory.mktemp("locks"), {}
    pools = [ThreadPoolExecutor(1) for _ in range(3)]
    try:
        for thread, name, takes in steps:
            path = folder / name
            if takes:
                held = pools[thread].submit(hold, path, SurveyError("taken"))
                if owners.setdefault(name, thread) != thread:
                    with pytest.raises(SurveyError, match="taken"):
                        held.result()
                else:
                    held.result()
            elif owners.get(name) == thread:
                pools[thread].submit(let_go, path).result()
                del owners[name]
            assert {path.name for path in folder.iterdir()} == set(owners)
    finally:
        for name in owners:
            let_go(folder / name)
        for pool in pools:
            pool.shutdown()


def test_two_threads_write_one_data_set_after_each_other(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    from galcfm.survey import datasets

    survey, entered, go_on = toy_survey(3), threading.Event(), threading.Event()
    real = datasets._write
    monkeypatch.setattr(
        datasets, "_write", lambda *a: (entered.set(), go_on.wait(60), real(*a))[-1]
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(survey.to_datasets, tmp_path / "set")
        entered.wait(60)
        with pytest.raises(SurveyError, match="another process or thread is making"):
            survey.to_datasets(tmp_path / "set")
        go_on.set()
        first.result()
    survey.to_datasets(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_threads_that_read_headers_leave_the_filters_of_warnings(monkeypatch):
    waits = iter([0.1, 0.3])
    monkeypatch.setattr(sky, "_middle", lambda *a: (time.sleep(next(waits)), None))
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        of_one = np.zeros((2, 2)), {}, 1, None, 2, (2, 0)
        for data, place in pool.map(lambda _: sky._north_up(*of_one), "ab"):
            assert (data.shape, place) == ((2, 2), None)
    assert list(warnings.filters) == before
