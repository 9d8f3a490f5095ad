"""The studies of other methods and of what matters: their rows, and that they go on."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import toy_survey
from matplotlib.text import Text

from galcfm import figures
from galcfm.figures import tables
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from studies import judging, methods, other_methods

pytest.importorskip("zuko")

TINY = replace(
    other_methods.SMALL,
    n_tries=2,
    descent={"max_epochs": 1, "batch_size": 32},
    recipe=replace(other_methods.SMALL.recipe, prior_max_epochs=1, photometry_max_epochs=1),
)


CENTRES = np.array([10.0, 0.0, 8.9, 1.4, 0.8])
WIDTH = 0.05


def middle(galaxies) -> np.ndarray:
    return CENTRES + 0.2 * (galaxies.magnitudes[:, 2:3] - 17)


class Exact(methods.Method):
    """The posterior of properties that are normal about r, whatever is fitted."""

    times = 1

    def fit(self, survey, *, folder=None, progress=False):
        return self

    def sample(self, galaxies, n, seed=0):
        noise = np.random.default_rng(seed).standard_normal((len(galaxies), n, 5))
        return middle(galaxies)[:, None] + self.times * WIDTH * noise

    def log_prob(self, theta, galaxies):
        at = middle(galaxies) if np.ndim(theta) == 2 else middle(galaxies)[:, None]
        width = self.times * WIDTH
        z = (theta - at) / width
        return -0.5 * (z**2).sum(axis=-1) - 5 * np.log(width) - 2.5 * np.log(2 * np.pi)


class Wide(Exact):
    """As `Exact`, and twice as wide."""

    times = 2


@pytest.fixture(scope="module")
def normal() -> Survey:
    survey, rng = toy_survey(3000, 1, images=False), np.random.default_rng(2)
    labels = middle(survey) + WIDTH * rng.standard_normal((len(survey), 5))
    survey.catalogue[list(PROPERTY_NAMES)] = labels
    return survey


def test_judges_know_a_perfect_posterior_and_a_wide_one(normal):
    right, wide = (
        judging.judge(kind(), normal, n_means=2000, n_draws=100, n_divergence=100, prior=Wide())
        for kind in (Exact, Wide)
    )
    numbers = right["numbers"]["properties"]["dn4000"]
    assert numbers["coverage_68"] == pytest.approx(0.68, abs=0.03)
    assert numbers["coverage_95"] == pytest.approx(0.95, abs=0.015)
    assert numbers["rmse"] == pytest.approx(WIDTH, rel=0.05)
    assert numbers["miscalibration"] < 0.02
    assert wide["numbers"]["properties"]["dn4000"]["coverage_68"] > 0.9
    assert wide["numbers"]["properties"]["dn4000"]["miscalibration"] > 0.1
    entropy = 5 * np.log(WIDTH) + 2.5 * np.log(2 * np.pi * np.e)
    assert right["numbers"]["log_prob"]["mean"] == pytest.approx(-entropy, abs=0.15)
    # D_KL of a normal distribution from one twice as wide: ln 2 − 3/8 a dimension.
    expected = 5 * (np.log(2) - 3 / 8)
    assert right["numbers"]["d_kl"]["mean"] == pytest.approx(expected, abs=0.15)
    # At labels, which are draws of the right one, the same.
    assert right["numbers"]["delta_log_p"]["mean"] == pytest.approx(expected, abs=0.15)
    assert wide["numbers"]["delta_log_p"]["mean"] == 0


def test_a_property_is_integrated_out(normal):
    some = normal.select(np.arange(50))
    four = [name for name in PROPERTY_NAMES if name != "oxygen_abundance"]
    found = judging.of_fewer(Exact(), four, some)
    z = np.delete((some.properties - middle(some)) / WIDTH, 2, axis=1)
    expected = -0.5 * (z**2).sum(1) - 4 * np.log(WIDTH) - 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_time_of_many_draws_is_told_from_that_of_a_galaxy(normal, monkeypatch):
    clock = [0.0]

    class Slow(Exact):
        def sample(self, galaxies, n, seed=0):
            clock[0] += len(galaxies) * (0.5 + 0.001 * n)
            return super().sample(galaxies, n, seed)

    monkeypatch.setattr(judging.time, "perf_counter", lambda: clock[0])
    found = judging.judge(Slow(), normal.select(np.arange(20)), n_means=20, n_draws=50)
    assert found["numbers"]["seconds_a_galaxy"] == pytest.approx(0.5 + 1)


def test_every_row_can_be_made_and_is_tried_alike():
    rows = other_methods.ROWS
    assert len({row.label for row in rows.values()}) == len(rows)
    for name, row in rows.items():
        assert row.beside in rows, name
        assert len(row.tries) == (1 if name in other_methods.UNTRAINED else 3), name
        for plan in (other_methods.SMALL, other_methods.Plan()):
            for choice in row.tries:
                method = other_methods.made(row, choice, plan, 3)
                assert type(method) is getattr(methods, row.method)
    rate = {"descent": {"learning_rate": 0.004}}
    method = other_methods.made(rows["npe_image"], rate, other_methods.Plan(), 3)
    assert (method.descent.learning_rate, method.descent.max_epochs, method.descent.seed) == (
        0.004,
        16,
        3,
    )


def test_rows_outlive_new_labels_and_not_new_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    row, before = other_methods.ROWS["npe"], other_methods.key_of_row("npe")
    monkeypatch.setitem(other_methods.ROWS, "npe", replace(row, label="other", note="words"))
    assert other_methods.key_of_row("npe") == before
    monkeypatch.setitem(other_methods.ROWS, "npe", replace(row, options={"transforms": 2}))
    assert other_methods.key_of_row("npe") != before
    work = other_methods.Work(tmp_path, TINY)
    larger = replace(TINY, survey={**TINY.survey, "n_galaxies": 90})
    assert other_methods.Work(tmp_path, larger).kept.key != work.kept.key
    monkeypatch.setattr(work, "survey", lambda: toy_survey(40, 1, images=False))
    with pytest.raises(ValueError, match="chosen with seed 1, which is not there yet"):
        work.make("npe", 2)


def test_the_table_is_made_and_goes_on(survey, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    monkeypatch.setattr(other_methods.account, "survey_of", lambda *_: survey)
    names = ["photometry", "npe", "boosting"]
    results = other_methods.run(tmp_path, TINY, names[:2], [1], progress=False)
    assert list(results["rows"]) == names[:2]
    table = pd.read_parquet(tmp_path / "methods.parquet")
    test = survey.split("test")
    assert list(table.index) == list(test.object_id)
    over = results["rows"]["npe"]["over"]["photometry"]
    expected = (table["npe/1"] - table["photometry/1"]).astype(float)
    assert over["gain"] == pytest.approx(expected.mean())
    assert over["standard_error"] == pytest.approx(expected.sem())
    tries = results["rows"]["npe"]["tries"]
    best = max(tries, key=lambda tried: tried["log_prob"])
    assert results["rows"]["npe"]["chosen"] == best["options"]
    numbers = results["rows"]["npe"]["seeds"]["1"]
    assert set(numbers["properties"]) == set(PROPERTY_NAMES)
    assert numbers["n_test"] == len(test)
    shown = tables.methods(results["rows"])
    assert list(shown.index) == [other_methods.ROWS[name].label for name in names[:2]]
    assert shown["over photometry"].iloc[1].startswith(f"{over['gain']:+.3f}")
    rmse = tables.method_properties(results["rows"], "rmse")
    assert rmse.shape == (2, 5)
    assert len(tables.method_notes(results["rows"])) == 2
    draws = pd.read_parquet(tmp_path / "methods_draws.parquet")
    truth = draws[draws["row"] == other_methods.LABEL].set_index("object_id")
    np.testing.assert_array_equal(truth[list(PROPERTY_NAMES)], test.properties[: TINY.n_shown])
    counts = draws["row"].value_counts()
    assert (counts[names[:2]] == TINY.n_shown * TINY.n_shown_draws).all()
    assert list(dict.fromkeys(draws["object_id"])) == list(test.object_id[: TINY.n_shown])
    labels = {
        name: (row["row"]["label"], row["row"]["beside"]) for name, row in results["rows"].items()
    }
    draws.loc[draws["row"] == "npe", "oxygen_abundance"] = np.nan  # as of a method of fewer
    shown = {"source": "simulated survey"}
    for figure, says in (
        (figures.method_intervals(draws, labels, truth, **shown), labels["npe"][0]),
        (
            figures.method_corner(draws, labels, truth, galaxy=test.object_id[0], **shown),
            "photometry",
        ),
    ):
        figure.canvas.draw()
        assert says in {text.get_text() for text in figure.findobj(Text)}
    assert tables.method_exact(results["rows"]).empty
    # One more row; those that are there are not made again.
    made = []
    original = other_methods.made
    monkeypatch.setattr(
        other_methods, "made", lambda row, *rest: made.append(row.label) or original(row, *rest)
    )
    again = other_methods.run(tmp_path, TINY, names, [1], progress=False)
    assert list(again["rows"]) == names
    assert other_methods.ROWS["npe"].label not in made
    assert again["rows"]["npe"]["seeds"] == results["rows"]["npe"]["seeds"]
    # Another seed takes what the first has chosen.
    more = other_methods.run(tmp_path, TINY, ["npe"], [2], progress=False)
    assert list(more["rows"]["npe"]["seeds"]) == ["1", "2"]
    assert made.count(other_methods.ROWS["npe"].label) == 1
    assert json.loads((tmp_path / "methods.json").read_text())["rows"].keys() == set(names)
