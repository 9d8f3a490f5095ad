"""Students beside their teacher, and the tables of the chapter on surveys past one machine."""

import numpy as np
import pytest
from conftest import toy_survey

from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.runs import RunError
from studies import past_one_machine, students
from studies.frame import Place

PLAN = students.Plan(
    jumps=(2, 1),
    teacher_steps=(1, 2),
    n_galaxies=60,
    n_conditions=50,
    n_pairs=8,
    n_steps=4,
    batch_size=64,
    n_compared=4,
    n_draws=60,
    n_covered=6,
    n_timed=2,
    rounds=1,
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders beside a published teacher that knows a toy survey."""
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    monkeypatch.setattr(students, "published_folder", lambda: tmp_path / "published")
    galaxies = toy_survey(60, 1, images=False)
    monkeypatch.setattr(students, "kept_catalogue", lambda n, seed: galaxies)
    teacher = Posterior("r_and_colours", network={"width": 8, "depth": 1})
    teacher.fit_standardisation(galaxies.split("train"))
    teacher.save(tmp_path / "published" / "models" / "photometry")
    return Place(tmp_path / "studies" / "one", tmp_path / "studies" / "one" / "work")


def test_the_pooled_test_finds_what_differs_and_nothing_else():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(20, 200, 3)) * [1, 2, 3] for _ in range(2))
    assert students.pooled_accuracy(a, b) == pytest.approx(0.5, abs=0.03)
    # No shift and no width: a shape.
    bent = b.copy()
    bent[..., 0] = np.sign(b[..., 0])
    assert students.pooled_accuracy(a, bent) > 0.58


def test_students_are_trained_and_compared_once(place, monkeypatch):
    found = students.make(place, place.folder, PLAN)
    assert {kind: list(found[kind]) for kind in ("student", "teacher")} == {
        "student": ["2", "1"],
        "teacher": ["1", "2"],
    }
    assert [row["velocities"] for row in found["teacher"].values()] == [4, 8]
    assert all(row["seconds"] > 0 for row in found["student"].values())
    published = Posterior.load(place.folder / "models" / "student")
    assert published.flow.jumps == 1, "the fewest jumps, not the first"
    # A second call trains and compares nothing; other numbers of draws train nothing.
    with monkeypatch.context() as patch:
        patch.setattr(students, "judge", lambda *_: pytest.fail("compared again"))
        again = students.make(place, place.folder, PLAN)
    for kind in ("student", "teacher"):
        for name, row in found[kind].items():
            assert again[kind][name] | {"seconds": row["seconds"]} == row
    checkpoints = list((place.folder.parent).glob("students-models-*/checkpoint.pt"))
    assert len(checkpoints) == 2
    before = [path.stat().st_mtime_ns for path in checkpoints]
    other = students.Plan(**PLAN.settings | {"n_draws": 40})
    assert students.make(place, place.folder, other)["key"] != found["key"]
    assert [path.stat().st_mtime_ns for path in checkpoints] == before


def test_students_need_a_number_of_jumps(place):
    with pytest.raises(RunError, match="jumps is empty"):
        students.make(place, place.folder, students.Plan(jumps=()))


def results() -> dict:
    coverage = {p: [0.68, 0.95] for p in PROPERTY_NAMES}
    coverage["a_v"] = [0.62, 0.95]
    of = {"c2st": 0.52, "c2st_error": 0.004, "c2st_pooled": 0.51, "coverage": coverage}
    of |= {"n_covered": 5000}
    teacher = {
        "1": of | {"velocities": 4, "seconds": 0.003},
        "12": of | {"velocities": 48, "seconds": 0.03},
    }
    return {"student": {"1": of | {"velocities": 1, "seconds": 0.001}}, "teacher": teacher}


def test_the_table_of_students():
    table = past_one_machine.students(results())
    assert list(table.index) == ["student, jumps: 1", "teacher, steps: 1", "teacher, steps: 12"]
    assert table["evaluations per draw"].tolist() == ["1", "4", "48"]
    assert table["speed-up"].tolist() == ["30.0×", "10.0×", "1.0×"]
    # 0.62 is nine standard errors from 0.68.
    assert (table["within two standard errors"] == "9 of 10").all()
    assert table.loc["student, jumps: 1", "coverage 68 %"] == "0.620–0.680"


def test_the_figure_of_students():
    figure = past_one_machine.student_accuracy(results(), allowed=0.53, source="simulated survey")
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    (pooled,) = (
        c for c in axes.containers if c.get_label().startswith("teacher, classifier of all")
    )
    assert pooled.lines[0].get_xydata().tolist() == [[4, 0.51], [48, 0.51]]
    assert lines["allowed: 0.53"].get_ydata()[0] == 0.53
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "4", "48"]
    assert "simulated survey" in {text.get_text() for text in figure.texts}


def test_the_table_of_growing_catalogues():
    grown = {"galaxies": 1000, "seconds": 2e-3, "bytes": 345.6}
    grown |= {"wall_seconds": 3.21, "peak_memory_mib": 1454}
    row = past_one_machine.catalogue_growth([grown]).loc["1,000"]
    assert row.tolist() == ["2.000", "346", "1,454", "3.2"]
