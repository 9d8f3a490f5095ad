"""Figures and tables that several studies share."""

import pytest

from studies.figures import by_model, mean_over_seeds, point_gains, present

ROW = {
    "seeds": {
        "1": {"training": {"seconds": 90.0}, "rmse": {"a_v": 0.2}},
        "2": {"training": {"seconds": 120.0}, "rmse": {"a_v": 0.4}},
    }
}


def test_numbers_are_means_over_seeds():
    assert mean_over_seeds(ROW, "training", "seconds") == 105
    assert mean_over_seeds(ROW, "rmse") == pytest.approx({"a_v": 0.3})


def test_rows_that_were_not_made_are_named(capsys):
    assert present({"a": 1, "b": 2}, ["b", "c", "d"]) == {"b": 2}
    assert capsys.readouterr().out == "not made: c, d\n"


def test_the_figure_of_gains(texts_of):
    found = {
        "grey": {"gain": 0.01, "standard_error": 0.01},
        "blurred": {"gain": -0.1, "standard_error": 0.02},
    }
    texts = texts_of(lambda: point_gains(found, source="simulated survey"))
    assert {"grey", "blurred", "simulated survey"} <= set(texts)
    assert "gain over the reference [nat], 95 % interval" in texts
    assert point_gains({}, source="simulated survey") is None


def test_each_model_has_a_panel():
    figure, panels = by_model(["image", "photometry", "image"], 6, 3, "simulated survey")
    assert list(panels) == ["photometry", "image"]
    assert [axes.get_title() for axes in figure.axes] == ["Photometry model", "Image model"]
    with pytest.raises(ValueError, match="expected photometry and image"):
        by_model(["spectra"], 6, 3, "simulated survey")
