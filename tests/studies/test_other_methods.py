"""Other methods: how they are evaluated, the rows of the study, its tables and figures."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import toy_survey

from galcfm.figures.style import LABELS
from galcfm.figures.tables.words import number
from galcfm.properties import PROPERTY_NAMES
from galcfm.runs import RunError
from galcfm.survey import Survey
from studies import methods
from studies.methods import evaluation
from studies.other_methods import LABEL, Plan, comparison, figures, tables
from studies.other_methods.comparison import Comparison, method_of, row_depends_on
from studies.other_methods.rows import FITTED, ROWS, described

pytest.importorskip("zuko")

TINY = Plan(
    n_galaxies=80,
    recipe="rehearsal",
    image_crop=96,
    image_bin=6,
    photometry_max_epochs=1,
    max_epochs=1,
    batch_size=32,
    network={"width": 16, "hidden": [16]},
    n_tries=2,
    n_means=20,
    n_draws=16,
    n_divergence=5,
    n_fits=2,
    n_exact=50,
    n_spectra=16,
    processes=1,
)
SOURCE = "simulated survey"


CENTRES = np.array([10.0, 0.0, 8.9, 1.4, 0.8])
WIDTH = 0.05


def middle(galaxies) -> np.ndarray:
    return CENTRES + 0.2 * (galaxies.magnitudes[:, 2:3] - 17)


class Exact(methods.Method):
    """The posterior of properties that are normal about r, regardless of the fit."""

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


def test_a_perfect_posterior_and_a_wide_one_are_told_apart(normal):
    (log_prob, right), (_, wide) = (
        evaluation.evaluate(
            kind(), normal, n_means=2000, n_draws=100, n_divergence=100, prior=Wide()
        )
        for kind in (Exact, Wide)
    )
    numbers = right["properties"]["dn4000"]
    assert numbers["coverage_68"] == pytest.approx(0.68, abs=0.03)
    assert numbers["coverage_95"] == pytest.approx(0.95, abs=0.015)
    assert numbers["rmse"] == pytest.approx(WIDTH, rel=0.05)
    assert numbers["miscalibration"] < 0.02
    assert wide["properties"]["dn4000"]["coverage_68"] > 0.9
    assert wide["properties"]["dn4000"]["miscalibration"] > 0.1
    entropy = 5 * np.log(WIDTH) + 2.5 * np.log(2 * np.pi * np.e)
    assert right["log_prob"]["mean"] == pytest.approx(log_prob.mean())
    assert right["log_prob"]["mean"] == pytest.approx(-entropy, abs=0.15)
    # D_KL of a normal distribution from one twice as wide: ln 2 − 3/8 a dimension.
    expected = 5 * (np.log(2) - 3 / 8)
    assert right["d_kl"]["mean"] == pytest.approx(expected, abs=0.15)
    # At labels, which are draws of the right one, the same.
    assert right["delta_log_p"]["mean"] == pytest.approx(expected, abs=0.15)
    assert wide["delta_log_p"]["mean"] == 0


def test_a_property_is_integrated_out(normal):
    some = normal.select(np.arange(50))
    four = [name for name in PROPERTY_NAMES if name != "oxygen_abundance"]
    found = evaluation.marginal_log_prob(Exact(), four, some)
    z = np.delete((some.properties - middle(some)) / WIDTH, 2, axis=1)
    expected = -0.5 * (z**2).sum(1) - 4 * np.log(WIDTH) - 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_time_of_many_draws_is_told_from_that_of_a_galaxy(normal, monkeypatch):
    clock = [0.0]

    class Slow(Exact):
        def sample(self, galaxies, n, seed=0):
            clock[0] += len(galaxies) * (0.5 + 0.001 * n)
            return super().sample(galaxies, n, seed)

    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: clock[0])
    _, found = evaluation.evaluate(Slow(), normal.select(np.arange(20)), n_means=20, n_draws=50)
    assert found["seconds_a_galaxy"] == pytest.approx(0.5 + 1)


def test_a_method_without_density_is_evaluated_by_its_draws(normal):
    class Sampler(Exact):
        has_density = False

    log_prob, numbers = evaluation.evaluate(
        Sampler(), normal.select(np.arange(20)), n_means=20, n_draws=50, prior=Wide()
    )
    assert log_prob is None
    assert set(numbers) == {"seconds_a_galaxy", "properties"}


# The rows ----------------------------------------------------------------------------------------


def test_every_row_can_be_made_and_is_tried_alike():
    assert len({row.label for row in ROWS.values()}) == len(ROWS)
    for name, row in ROWS.items():
        assert row.beside in ROWS, name
        kind = getattr(methods, row.method)
        assert len(row.tries) == (1 if kind.fits_each else 3), name
        for plan in (TINY, Plan()):
            for choice in row.tries:
                assert type(method_of(row, choice, plan, 3)) is kind
    rate = {"descent": {"learning_rate": 0.004}}
    descent = method_of(ROWS["npe_image"], rate, Plan(), 3).descent
    assert (descent.learning_rate, descent.max_epochs, descent.seed) == (0.004, 16, 3)
    smaller = replace(Plan(), max_epochs=5, batch_size=32, image_bin=6, network={"width": 16})
    method = method_of(ROWS["latents"], rate, smaller, 3)
    assert (method.descent.max_epochs, method.drawing.batch_size) == (5, 32)
    assert method.pixels == {"crop": 96, "bin_factor": 6, "width": 16}
    ours = method_of(ROWS["image"], {"recipe": {"learning_rate": 0.004}}, smaller, 3).recipe
    assert (ours.learning_rate, ours.max_epochs, ours.image_bin, ours.seed) == (0.004, 5, 6, 3)


def test_rows_outlive_new_labels_and_not_new_settings_or_versions(place, monkeypatch):
    before = row_depends_on("npe")
    row = ROWS["npe"]
    monkeypatch.setitem(ROWS, "npe", replace(row, label="other", note="words"))
    assert row_depends_on("npe") == before
    monkeypatch.setitem(ROWS, "npe", replace(row, options={"transforms": 2}))
    assert row_depends_on("npe") != before
    monkeypatch.setitem(ROWS, "npe", row)
    monkeypatch.setattr(methods.SplineFlow, "version", 2)
    assert row_depends_on("npe") != before
    key = Comparison(TINY, place).kept.key
    assert Comparison(replace(TINY, processes=2), place).kept.key == key
    assert Comparison(replace(TINY, n_galaxies=90), place).kept.key != key


def test_unknown_rows_are_refused(place):
    with pytest.raises(RunError, match="no boost among the rows: choose from photometry, image"):
        comparison.make(place, None, TINY, ["boost"], [1])


@pytest.fixture
def fitted(place, survey, monkeypatch):
    """A function that makes rows of a small survey, and the labels of the methods it fits."""
    monkeypatch.setattr(comparison, "survey_of", lambda *_: survey)
    original, labels = comparison.method_of, []

    def noted(row, *rest):
        labels.append(row.label)
        return original(row, *rest)

    monkeypatch.setattr(comparison, "method_of", noted)

    def make(names, seeds=(1,)):
        labels.clear()
        return Comparison(TINY, place).make(names, seeds), list(labels)

    return make


def test_the_table_is_made_and_goes_on(place, survey, fitted, texts_of):
    names = ["photometry", "npe", "boosting"]
    results, _ = fitted(names[:2])
    rows = results["rows"]
    assert list(rows) == names[:2]
    table, test = pd.read_parquet(place.folder / "methods.parquet"), survey.split("test")
    assert list(table.index) == list(test.object_id)
    over = rows["npe"]["over"]["photometry"]
    expected = (table["npe/1"] - table["photometry/1"]).astype(float)
    assert over["gain"] == pytest.approx(expected.mean())
    assert over["standard_error"] == pytest.approx(expected.sem())
    best = max(rows["npe"]["tries"], key=lambda tried: tried["log_prob"])
    assert rows["npe"]["chosen"] == best["options"]
    numbers = rows["npe"]["seeds"]["1"]
    assert set(numbers["properties"]) == set(PROPERTY_NAMES)
    assert numbers["n_test"] == len(test)
    shown = tables.every_method(rows)
    assert list(shown.index) == [ROWS["npe"].label]
    words = shown["gain [nat] ± 95 %"].item()
    assert words.startswith(number(over["gain"], 1, "+")[:2])
    assert tables.by_property(rows, "rmse").shape == (2, 5)
    assert len(tables.simplifications(rows)) == 2
    quoted = tables.numbers_in_text(rows, table)
    assert quoted["npe_photometry"] == words.removeprefix("+")
    assert quoted["npe_gap"] == "not known"
    draws = pd.read_parquet(place.folder / "methods_draws.parquet")
    truth = draws[draws["row"] == LABEL].set_index("object_id")
    np.testing.assert_array_equal(truth[list(PROPERTY_NAMES)], test.properties[: TINY.n_shown])
    counts = draws["row"].value_counts()
    assert (counts[names[:2]] == TINY.n_shown * TINY.n_shown_draws).all()
    assert list(dict.fromkeys(draws["object_id"])) == list(test.object_id[: TINY.n_shown])
    draws = draws[draws["row"] != LABEL]
    assert ROWS["npe"].label in texts_of(
        lambda: figures.intervals(draws, rows, truth, source=SOURCE)
    )
    # One more row; rows that are there are not made again.
    again, labels = fitted(names)
    assert list(again["rows"]) == names
    assert ROWS["npe"].label not in labels
    assert again["rows"]["npe"]["seeds"] == rows["npe"]["seeds"]
    # Another seed takes what the first has chosen.
    more, labels = fitted(["npe"], [2])
    assert list(more["rows"]["npe"]["seeds"]) == ["1", "2"]
    assert labels.count(ROWS["npe"].label) == 1
    stored = json.loads((place.folder / "methods.json").read_text(encoding="utf-8"))
    assert stored["rows"].keys() == set(names)


# Tables and figures ------------------------------------------------------------------------------


def row_of(name: str, beside: str, over: dict, **numbers) -> dict:
    """A stored row whose label is its name, unless it is a row of the book's models."""
    label = ROWS[name].label if name in ROWS else name
    method = "FlowMatching" if name in ROWS else name
    row = {"label": label, "beside": beside, "method": method, "source": "control", "note": ""}
    numbers |= {"training": {"seconds": 60.0}}
    return {"row": row, "over": over, "tries": [{}], "seeds": {"1": numbers}}


def gain(value: float) -> dict:
    return {"gain": value, "standard_error": 0.01}


def test_methods_are_compared_with_the_model_of_the_same_inputs():
    rows = {
        "image": row_of("image", "image", {}),
        "photometry": row_of("photometry", "photometry", {"image": gain(-0.3)}),
        "worse": row_of("worse", "image", {"image": gain(-0.2), "photometry": gain(0.1)}),
        "alike": row_of("alike", "photometry", {"photometry": gain(0.019)}),
        "better": row_of("better", "photometry", {}, gain_of_fewer=gain(0.021)),
        "alone": row_of("alone", "photometry", {}),
    }
    for name in ("worse", "alike"):
        rows[name]["seeds"]["2"] = rows[name]["seeds"]["1"]
    rows["better"]["row"]["method"] = FITTED[0]
    found = tables.every_method(rows)
    assert list(found.index) == ["better", "alike", "worse"]
    assert list(found["verdict"]) == ["ahead", "equal", "behind"]
    assert list(found["compared with the"]) == [
        f"{ROWS['photometry'].label} (four properties)",
        ROWS["photometry"].label,
        ROWS["image"].label,
    ]
    assert found["gain [nat] ± 95 %"].iloc[2] == "−0.200\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.020"
    del rows["worse"]["seeds"]["2"]
    assert tables.every_method(rows)["verdict"].iloc[2] == "one training"
    assert tables.every_method({"alone": rows["alone"]}).empty


def test_stored_rows_get_the_words_of_today():
    stored = {"npe": {"row": {"label": "of old"}, "seeds": {}}, "gone": {"row": {}}}
    found = described(stored)
    assert list(found) == ["npe"]
    assert found["npe"]["row"]["label"] == ROWS["npe"].label
    assert stored["npe"]["row"]["label"] == "of old"


@pytest.fixture
def drawn():
    """Three rows, one of fewer properties; draws of two galaxies by each; and measured values."""
    rng = np.random.default_rng(0)
    over, fewer = {"photometry": gain(0.2)}, gain(-1.0)
    rows = {
        "flow": row_of("flow", "image", over, seconds_a_galaxy=0.1),
        "npe": row_of("splines", "photometry", {}, seconds_a_galaxy=0.1),
        "photometry_told": row_of("photometry_told", "photometry_told", {}, seconds_a_galaxy=0.1),
        "fit": row_of("fit", "photometry_told", {}, seconds_a_galaxy=30.0, gain_of_fewer=fewer),
    }
    draws = pd.DataFrame(rng.normal(size=(480, 5)), columns=list(PROPERTY_NAMES))
    draws["row"], draws["object_id"] = np.repeat(list(rows), 120), np.tile(list("ab"), 240)
    draws.loc[draws["row"] == "fit", "oxygen_abundance"] = np.nan
    measured = pd.DataFrame(np.zeros((2, 5)), index=list("ab"), columns=list(PROPERTY_NAMES))
    return rows, draws, measured


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gains", ["1,000 draws", "30 s", "fit", "image and magnitudes"]),
        ("intervals", ["splines", "fit", "$D_n(4000)$", "image and magnitudes"]),
        ("contours", ["fit", LABELS["a_v"]]),
    ],
)
def test_figures_say_what_they_show(drawn, texts_of, name, says):
    rows, draws, measured = drawn
    arguments = {"contours": (draws, rows, measured, ["fit", "flow", "absent"])}
    arguments |= {"intervals": (draws, rows, measured), "gains": (rows,)}
    texts = texts_of(lambda: getattr(figures, name)(*arguments[name], source=SOURCE))
    assert {SOURCE, *says} <= set(texts)
    # Made without the photometry model, its gain is not known, nor what it is drawn over.
    assert ("splines" in texts) == (name == "intervals")
    assert ("flow" in texts) == (name != "contours")


def test_rows_without_the_model_beside_them_have_no_contours(drawn):
    rows, draws, measured = drawn
    assert figures.contours(draws, rows, measured, ["flow"], source=SOURCE) is None
