"""The frame of the studies: plans, what is found again, trainings that add up, gains."""

import json
import threading
from dataclasses import dataclass, make_dataclass, replace

import numpy as np
import pandas as pd
import pytest

from galcfm.runs import RunError, parameter_defaults
from studies import (
    other_instruments,
    other_populations,
    picture_worth,
    training_seeds,
    what_matters,
)
from studies.frame import (
    ModelPlan,
    Plan,
    Study,
    Trainings,
    chosen,
    origin_of,
    over_trainings,
    paired_gain,
    rows_of,
)

STUDY = Study("toy", "08_what_matters")


@dataclass(frozen=True)
class Toy(Plan):
    n_galaxies: int = 10
    processes: int = 2


def test_a_plan_takes_a_notebooks_parameters():
    plan = Toy.of({"n_galaxies": 20, "processes": 1, "In": ["other names"]})
    assert plan == Toy(20, 1)
    # The number of processes changes nothing, and results are found again with another.
    assert plan.settings == replace(plan, processes=4).settings == {"n_galaxies": 20}
    recipe = ModelPlan(recipe="rehearsal", image_bin=4, max_epochs=5).training(seed=3)
    assert (recipe.width, recipe.image_bin, recipe.max_epochs, recipe.seed) == (32, 4, 5, 3)
    # The recipe's own, where the plan has none.
    assert recipe.photometry_max_epochs == 2


@pytest.mark.parametrize(
    ("study", "plan", "parameter"),
    [
        (what_matters.STUDY, what_matters.Plan, None),
        (other_populations.STUDY, other_populations.Plan, "populations"),
        (other_instruments.STUDY, picture_worth.Plan, "instruments"),
        (picture_worth.STUDY, picture_worth.Plan, None),
        (training_seeds.STUDY, training_seeds.Plan, "training_seeds"),
    ],
)
def test_what_is_published_has_the_sizes_of_the_notebook(study, plan, parameter):
    defaults = parameter_defaults(study.notebook)
    plan = plan.of(defaults if parameter is None else defaults[parameter])
    assert study.read().content["key"] == study.key(plan.settings)


def test_rows_are_chosen_by_name():
    assert chosen([], ["a", "b"]) == ["a", "b"]
    assert chosen(["b", "a"], ["a", "b", "c"]) == ["a", "b"]
    with pytest.raises(RunError, match="no d among the axes: choose from a, b"):
        chosen(["d", "a"], ["a", "b"], "axes")


def test_rows_are_described_in_a_file(tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text(
        ".shared: &shared {redshift: true}\n"
        "a: {label: first, options: {<<: *shared, n: 2}}\n"
        "b: {label: second, tries: [1.0e-3, 2]}\n",
        encoding="utf-8",
    )
    row = make_dataclass("Row", ["label", ("options", dict, None), ("tries", tuple, ())])
    assert rows_of(row, path) == {
        "a": row("first", {"redshift": True, "n": 2}),
        "b": row("second", None, (0.001, 2)),
    }


def test_results_are_made_once_for_the_same_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    made = []

    def find(n, results="made"):
        def make(place):
            key = STUDY.key(n)
            if STUDY.stored(place.folder, key) is None:
                made.append(n)
                STUDY.store(place.folder, {"n": n}, key)

        return STUDY.find(results, tmp_path / "run", n, make)

    assert [find(n).content["n"] for n in (1, 2, 1)] == [1, 2, 1]
    assert made == [1, 2]
    assert "08_what_matters.ipynb" in find(1).origin
    with pytest.raises(RunError, match="results is 'read': choose from published, made, publish"):
        find(1, "read")
    with pytest.raises(RunError, match=r"toy.json does not exist: run `papermill"):
        find(1, "published")
    assert "today's command" not in find(1).origin
    older = json.loads((path := find(1).path).read_text(encoding="utf-8"))
    older |= {"version": 0, "command": "python -m gone"}
    path.write_text(json.dumps(older), encoding="utf-8")
    assert "made by version 0 of the study toy, which is now at version 1" in find(1).origin
    assert f"today's command: {STUDY.command}" in find(1).origin


def opened(place, rows, settings="settings", of_row=lambda name, table: {}):
    return Trainings(STUDY, place, {"plan": settings}, rows, of_row)


def column(n: int) -> pd.Series:
    return pd.Series(np.arange(n) + 0.12345, index=[f"galaxy {k}" for k in range(n)])


def test_a_row_that_changed_is_made_again_and_no_other(place):
    rows, table = {"a": "1", "b": "1"}, place.folder / "toy.parquet"
    kept = opened(place, rows)
    kept.keep("b", 1, {"n": 3}, {}, column(3))  # of the first galaxies alone
    kept.keep("a", 1, {"n": 5}, {}, column(5))
    assert list(kept.results()["rows"]) == ["a", "b"]
    assert list(kept.missing(["a", "b"], [1, 2])) == [("a", 2), ("b", 2)] * 2
    found = pd.read_parquet(table)
    assert found["a/1"].tolist() == pytest.approx(np.arange(5) + 0.123, abs=1e-6)
    assert found["b/1"].isna().tolist() == [False] * 3 + [True] * 2
    kept = opened(place, rows | {"b": "2"})
    assert list(kept.results()["rows"]) == ["a"]
    kept.make(["a", "b"], [1], lambda *row: ({"row": row}, {}, column(4)))
    assert kept.results()["rows"]["b"]["seeds"]["1"] == {"row": ["b", 1]}
    assert kept.results()["rows"]["a"]["seeds"]["1"] == {"n": 5}
    # A process of another version does not know a row, and leaves it.
    kept = opened(place, {"b": "3"})
    kept.keep("b", 1, {"n": 5}, {}, column(5))
    assert list(kept.results()["rows"]) == ["b", "a"]
    assert set(pd.read_parquet(table)) == {"a/1", "b/1"}
    # Of two with different settings, the second to write ends.
    new = opened(place, rows, "other")
    new.keep("b", 1, {"n": 4}, {}, column(4))
    with pytest.raises(RuntimeError, match="another process with other settings"):
        kept.keep("b", 1, {"n": 5}, {}, column(5))
    assert list(opened(place, rows, "other").results()["rows"]) == ["b"]


def test_processes_share_trainings(place):
    started, go_on, made = threading.Event(), threading.Event(), []

    def slow(name, seed):
        made.append(("slow", name))
        started.set()
        go_on.wait(30)
        return {}, {}, column(3)

    def quick(name, seed):
        made.append(("quick", name))
        go_on.set()
        return {}, {}, column(3)

    rows = {"a": 1, "b": 1}
    first = threading.Thread(target=opened(place, rows).make, args=(["a", "b"], [1], slow))
    first.start()
    assert started.wait(30)
    # The second leaves the row that is being made, and has it in the end.
    assert list(opened(place, rows).make(["a", "b"], [1], quick)["rows"]) == ["a", "b"]
    first.join()
    assert sorted(made) == [("quick", "b"), ("slow", "a")]


def test_a_file_that_is_no_result_is_not_replaced(place):
    place.folder.mkdir()
    (place.folder / "toy.json").write_text("[]", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is no stored result of galcfm"):
        opened(place, {"a": 1})


def test_the_error_holds_galaxies_and_trainings():
    rng = np.random.default_rng(0)
    n, offsets = 4000, np.array([0.1, 0.2, 0.3])
    of_galaxies = rng.normal(size=n)
    found = over_trainings(of_galaxies - of_galaxies.mean() + offsets[:, None])
    assert found["gain"] == pytest.approx(0.2)
    # Galaxies: 1/√4000; trainings: standard deviation 0.1 over √3.
    expected = np.hypot(of_galaxies.std(ddof=1) / np.sqrt(n), 0.1 / np.sqrt(3))
    assert found["standard_error"] == pytest.approx(expected)


def test_gains_are_paired_by_galaxy_and_seed():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(3, 50))
    table = pd.DataFrame({f"base/{k}": base[k] for k in range(3)})
    table["row/x/1"], table["row/x/2"] = base[1] + 0.5, base[2] + 0.7
    table["row/x/9"] = np.inf  # a seed that the other row lacks
    found = paired_gain(table, "row/x", "base")
    assert found["gain"] == pytest.approx(0.6)
    # The scatter of the galaxies is in both rows, and goes.
    assert found["standard_error"] == pytest.approx(0.1)
    assert paired_gain(table, "base")["gain"] == pytest.approx(base.mean())
    assert paired_gain(table, "row") == {} == paired_gain(table, "base", "row")


def test_a_stored_result_says_where_it_comes_from():
    stored = {
        "command": "make bench",
        "date": "2026-01-02",
        "made": {"commit": "0123456789", "machine": "a processor, 2 cores"},
    }
    command, origin = origin_of(stored).splitlines()
    assert command == stored["command"]
    assert origin == "2026-01-02, commit 0123456, a processor, 2 cores"
    stored["made"]["commit"] = None
    assert "commit unknown" in origin_of(stored)
    stored["made"]["dirty"] = True
    assert "uncommitted changes" in origin_of(stored)
