"""Shares, errors and axes that are known."""

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw
from scipy.stats import norm

from galcfm.flow import FAST_STEPS
from galcfm.metrics import LogDensities
from galcfm.posterior import Posterior
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train
from studies.outliers import (
    figures,
    judge_again,
    label_error_size,
    nearest_in_colour,
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
    assert abs(found["observed"] - found["expected"]) < 5 * found["standard_error"]
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


def test_the_nearest_in_colour_share_colours_and_not_magnitudes(survey):
    galaxy = survey.select(np.arange(1))
    fainter = survey.catalogue.copy()
    fainter[list(MAGNITUDES)] += 3
    order = nearest_in_colour(galaxy, Survey(fainter, survey.images), n=5)
    assert order[0] == 0
    assert len(set(order)) == 5


def test_a_galaxy_is_judged_again_as_its_model_judges_all(survey, tmp_path):
    """Density and draws are those of the model, and a broken colour is out of its range."""
    model = Posterior("magnitudes", network={"width": 8, "depth": 1})
    train(model, survey, tmp_path / "m", TrainingSettings(max_epochs=1), progress=False)
    broken = survey.catalogue.iloc[:1].copy()
    broken["mag_u"] -= 5
    broken[[f"{p}_true" for p in PROPERTY_NAMES]] = broken[list(PROPERTY_NAMES)] + 0.1
    training, galaxy = survey.split("train"), Survey(broken, survey.images[:1])
    found = judge_again(galaxy, training, {"photometry": tmp_path / "m"}, n_draws=100)["photometry"]
    assert found["draws"].shape == (100, 5)
    log_prob = model.log_prob(galaxy.properties, galaxy.magnitudes, steps=FAST_STEPS)
    assert found["measured"] == pytest.approx(float(log_prob[0]), abs=1e-4)
    assert found["true"] != found["measured"]
    assert found["range_p"] < 0.05
    assert 0 < found["replicated_p"] <= 1
    own = {"redshift": found, "photometry": found}
    row = galaxy.catalogue.iloc[0]
    figure = draw(
        lambda: figures.one_galaxy(survey.images[0], training.catalogue, row, own, source=SOURCE)
    )
    assert {"photometry and redshift", "measured values"} <= set(all_texts(figure))


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


def test_shares_in_tables_have_what_to_expect():
    measured, zero = np.array([-1.0, 1.0, 2.0, 3.0]), np.zeros(4)
    draws = np.array([[-1.0, 1.0], [1.0, 1.0]])
    found = shares_below_zero(LogDensities(measured, zero, draws, np.zeros_like(draws)))
    assert found["observed"] == 25
    assert found["expected"] == 25
    row = {"below zero": 0.075, "expected": 0.062, "difference": 0.013, "error": 0.004}
    compared = pd.DataFrame.from_dict({("image", "own"): row}, orient="index")
    table = figures.variant_table(compared, {("image", "own"): "ours", ("image", "no"): "none"})
    assert table.loc["ours"].to_list() == ["7.5", "6.2", "+1.3 ± 0.4"]
    assert len(table) == 1


@pytest.mark.parametrize("n", [1, 60])
def test_figures_name_axes_and_what_lies_outside(n):
    rng = np.random.default_rng(8)
    gain = {"photometry": rng.normal(0, 1, n), "image": np.r_[rng.normal(1, 1, n - 1), -20.27]}
    own = {model: rng.normal(1, 1, (50, 100)) for model in gain}
    texts = all_texts(draw(lambda: figures.gain_tail(gain, own, source=SOURCE)))
    assert {r"$\Delta \log p$ [nat]", "the model's draws"} <= set(texts)
    assert n == 1 or "1 further left,\nlowest −20.3 nat" in texts
    images = np.zeros((min(n, 6), 128, 128, 3), dtype=np.uint8)
    gain["image"][:1], gain["photometry"][:1] = -20.27, -9.2
    texts = all_texts(draw(lambda: figures.lowest(images, gain, source=SOURCE)))
    assert "−20.3 with image\n−9.2 without" in texts
