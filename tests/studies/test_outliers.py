"""Shares, errors and axes that are known."""

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw
from scipy.stats import norm

from galcfm.metrics import LogDensities
from galcfm.properties import PROPERTY_NAMES
from studies.outliers import (
    degeneracy,
    figures,
    label_error_size,
    outliers_by_variant,
    shares_below_zero,
)


def gaussian_shares(truth, mean, std, samples):
    """Shares under the prior N(0, 1) of posteriors N(mean, std)."""
    return shares_below_zero(
        LogDensities(
            norm.logpdf(truth, mean, std),
            norm.logpdf(truth),
            norm.logpdf(samples, mean[:, None], std),
            norm.logpdf(samples),
        )
    )


def test_a_calibrated_posterior_has_the_share_it_expects():
    """Prior N(0, 1), data with noise 0.5, so that both shares have a closed form."""
    rng = np.random.default_rng(0)
    n, draws, std = 20_000, 20, np.sqrt(0.2)
    truth = rng.normal(size=n)
    mean = (truth + 0.5 * rng.normal(size=n)) / 1.25
    samples = mean[:, None] + std * rng.normal(size=(n, draws))
    found = gaussian_shares(truth, mean, std, samples)
    assert found["n"] == n
    error = np.hypot(found["standard_error"], found["expected_standard_error"])
    assert abs(found["observed"] - found["expected"]) < 4 * error
    assert 2 < found["expected"] < 50


def test_an_overconfident_posterior_has_more_than_it_expects():
    rng = np.random.default_rng(0)
    truth, std = rng.normal(size=5000), 0.3
    mean = truth + rng.normal(size=5000)
    samples = mean[:, None] + std * rng.normal(size=(5000, 20))
    found = gaussian_shares(truth, mean, std, samples)
    assert found["observed"] > 2 * found["expected"]


def test_label_errors_are_in_units_of_their_own():
    columns = {p: [1.0, 2.0] for p in PROPERTY_NAMES}
    columns |= {f"{p}_true": [1.1, 2.0] for p in PROPERTY_NAMES}
    columns |= {f"{p}_err": [0.05, 0.05] for p in PROPERTY_NAMES}
    np.testing.assert_allclose(label_error_size(pd.DataFrame(columns)), [2.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("angle", [-60.0, -20.0, 0.0, 35.0, 80.0])
def test_the_longest_axis_is_found(angle):
    rng = np.random.default_rng(1)
    turn = np.radians(angle)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    scale = np.array([0.1, 0.4])
    samples = (rng.normal(size=(2, 100_000, 2)) * [1.0, 0.25]) @ axes * scale + 5
    found = degeneracy(samples, scale)
    np.testing.assert_allclose(found["angle"], angle, atol=0.5)
    np.testing.assert_allclose(found["length"], 1.0, rtol=0.01)
    np.testing.assert_allclose(found["width"], 0.25, rtol=0.01)
    expected = np.corrcoef(samples[0].T)[0, 1]
    assert found["correlation"][0] == pytest.approx(expected)


def test_outliers_are_counted_by_recipe():
    galaxies = pd.DataFrame(
        {
            "one/log_prob": [-1.0, 2.0, 3.0, 0.0],
            "one/log_prior": 0.5,
            "one/below_prior": [0.25, 0.25, 0.5, 0.0],
        }
    )
    recipes = {"one": {"model": "image", "label": "as ever"}}
    row = outliers_by_variant(recipes, galaxies).loc[("image", "as ever")]
    assert row["below zero"] == 0.5
    assert row["expected"] == 0.25
    assert row["difference"] == 0.25
    assert row["mean"] == 0.5


def test_outliers_stand_beside_what_to_expect():
    truth, zero = np.array([-1.0, 1.0, 2.0, 3.0]), np.zeros(4)
    draws = np.array([[-1.0, 1.0], [1.0, 1.0]])
    found = shares_below_zero(LogDensities(truth, zero, draws, np.zeros_like(draws)))
    row = figures.share_table({"image": found}).loc["image"]
    assert row.to_list() == ["25.0 ± 25.0", "25.0 ± 25.0", "4"]
    sizes = figures.label_error_table(np.array([3.0, 1.0, 1.0, 2.0]), {"image": truth}).loc["image"]
    assert sizes.to_list() == [1.5, 3.0, 3.0]


@pytest.mark.parametrize("n", [1, 60])
def test_figures_name_axes_and_units(n):
    rng = np.random.default_rng(8)
    gain = {"photometry": rng.normal(0, 1, n), "image": rng.normal(1, 1, n)}
    axis = {"correlation": rng.uniform(-1, 1, n), "length": rng.uniform(0, 1, n)}
    planes = {"$A_V$, $D_n(4000)$": dict.fromkeys(gain, axis)}
    texts = all_texts(draw(lambda: figures.gain_tail(gain, gain, source=SOURCE)))
    assert {r"$\Delta \log p$ [nat]", "own draws"} <= set(texts)
    size = rng.uniform(0, 2, n)
    texts = all_texts(draw(lambda: figures.label_errors(size, gain, source=SOURCE)))
    assert "Size of the label errors [standard deviations]" in texts
    texts = all_texts(draw(lambda: figures.degeneracies(planes, source=SOURCE)))
    assert {"Correlation in the posterior", "Longest axis [population's spread]"} <= set(texts)


def test_galaxies_beyond_the_axes_are_marked():
    gain = np.r_[np.linspace(0, 4, 999), -20]
    figure = figures.label_errors(np.ones(1000), {"image": gain}, source=SOURCE)
    inside, beyond = (points.get_offsets() for points in figure.axes[0].collections)
    assert (len(inside), len(beyond)) == (999, 1)
    assert beyond[0, 1] == figure.axes[0].get_ylim()[0]
