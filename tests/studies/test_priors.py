"""Another prior: a linear Gaussian model, where the posterior under it is known."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw

from galcfm.figures.style import LABELS
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.runs import parameter_defaults
from galcfm.survey import Survey
from galcfm.training import TrainingSettings, train
from studies import calibration, priors
from studies.priors import bursts, figures, weights

NOISE = 0.6
CENTRE = np.array([10.0, 0.0, 8.8, 1.3, 0.5])


def gaussian_posterior(data, prior_mean, prior_std):
    """Mean and spread of N(prior_mean, prior_std²) after data with noise `NOISE`, per column."""
    precision = 1 / prior_std**2 + 1 / NOISE**2
    return (prior_mean / prior_std**2 + data / NOISE**2) / precision, precision**-0.5


@pytest.fixture(scope="module")
def draws():
    """Posterior draws of 20 galaxies under the prior N(CENTRE, 1), and their data."""
    rng = np.random.default_rng(3)
    data = CENTRE + rng.normal(0, np.hypot(1, NOISE), (20, 5))
    mean, spread = gaussian_posterior(data, CENTRE, np.ones(5))
    return mean[:, None] + spread * rng.normal(size=(20, 40000, 5)), data


def new_prior():
    return CENTRE + np.array([0.5, 0, -0.3, 0, 0]), np.array([0.8, 1, 1, 1, 0.7])


def log_gaussian_ratio(theta):
    mean, std = new_prior()
    new = -0.5 * np.sum(((theta - mean) / std) ** 2, axis=-1) - np.log(std).sum()
    return new + 0.5 * np.sum((theta - CENTRE) ** 2, axis=-1)


def test_weights_give_the_posterior_under_the_new_prior(draws):
    samples, data = draws
    result = weights.reweight(samples, log_gaussian_ratio)
    mean, spread = gaussian_posterior(data, *new_prior())
    error = spread / np.sqrt(result.effective_sample_size[:, None])
    assert np.abs((result.mean - mean) / error).max() < 5
    np.testing.assert_allclose(result.std, np.broadcast_to(spread, (20, 5)), rtol=0.05)


def test_the_new_density_is_normalised(draws):
    samples, data = draws
    result = weights.reweight(samples, log_gaussian_ratio)
    (old_mean, old_std), (mean, std) = (
        gaussian_posterior(data, *prior) for prior in ((CENTRE, np.ones(5)), new_prior())
    )

    def log_density(theta, mean, std):
        return -0.5 * np.sum(((theta - mean) / std) ** 2 + np.log(2 * np.pi * std**2), axis=-1)

    theta = old_mean
    found = (
        log_density(theta, old_mean, np.broadcast_to(old_std, (20, 5)))
        + log_gaussian_ratio(theta)
        - result.log_mean_ratio
    )
    expected = log_density(theta, mean, np.broadcast_to(std, (20, 5)))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_effective_sample_size_of_a_tilt_is_the_closed_form():
    """exp(k x) of N(0, 1) draws: E[w]² / E[w²] = exp(-k²)."""
    x = np.random.default_rng(0).normal(size=(1, 400_000, 1))
    result = weights.reweight(x, lambda theta: 0.5 * theta[..., 0])
    share = result.effective_sample_size[0] / 400_000
    assert share == pytest.approx(np.exp(-0.25), rel=0.01)


def test_the_same_prior_changes_nothing(draws):
    samples, _ = draws
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = weights.reweight(samples, lambda theta: np.full(theta.shape[:-1], 7.0))
    np.testing.assert_allclose(result.mean, samples.mean(axis=1))
    np.testing.assert_allclose(result.effective_sample_size, samples.shape[1])
    np.testing.assert_allclose(result.log_mean_ratio, 7.0)


def test_collapsed_weights_warn(draws):
    samples, _ = draws

    def far(theta):
        return -0.5 * ((theta[..., 0] - 14) / 0.02) ** 2

    reason = "20 of 20 galaxies have fewer than 50"
    with pytest.warns(weights.CollapsedWeightsWarning, match=reason):
        weights.reweight(samples[:, :200], far)


@pytest.mark.parametrize(
    ("log_ratio", "message"),
    [
        (lambda theta: theta, r"log_ratio gave \(20, 40000, 5\), expected \(20, 40000\)"),
        (lambda theta: theta[..., 0] * np.nan, "NaN"),
        (
            lambda theta: np.full(theta.shape[:-1], -np.inf),
            "zero at all draws of the galaxy in row 0",
        ),
    ],
)
def test_bad_ratios_are_refused(draws, log_ratio, message):
    with pytest.raises(ValueError, match=message):
        weights.reweight(draws[0], log_ratio)


def test_ratios_are_those_of_normalised_densities():
    """A population drawn from the old prior and weighted is that of the new prior."""
    rng = np.random.default_rng(5)
    theta = CENTRE + rng.normal(size=(1, 200_000, 5)) * [0.5, 0.5, 0.2, 0.1, 0.3]
    mass, oh = (PROPERTY_NAMES.index(p) for p in ("log_stellar_mass", "oxygen_abundance"))
    theta[..., oh] = 8.8 + 0.3 * (theta[..., mass] - 10) + 0.1 * rng.normal(size=(1, 200_000))
    ratio = weights.relation_ratio(
        "oxygen_abundance",
        "log_stellar_mass",
        new=(lambda m: 8.75 + 0.2 * (m - 10), 0.09),
        old=(lambda m: 8.8 + 0.3 * (m - 10), 0.1),
    )
    found = weights.reweight(theta, ratio)
    assert found.log_mean_ratio[0] == pytest.approx(0, abs=0.02)
    x, y = theta[0, :, [mass, oh]]
    slope, level = np.polyfit(x - 10, y, 1, w=np.sqrt(found.weights[0]))
    assert slope == pytest.approx(0.2, abs=0.005)
    assert level == pytest.approx(8.75, abs=0.002)


def test_a_fitted_relation_is_the_one_it_was_drawn_from():
    rng = np.random.default_rng(2)
    theta = CENTRE + rng.normal(size=(20_000, 5))
    theta[:, 1] = 0.1 * (theta[:, 0] - 10) ** 2 + 0.3 * rng.normal(size=20_000)
    relation, scatter = weights.fitted_relation(theta, "log_sfr", "log_stellar_mass")
    np.testing.assert_allclose(relation([9, 10, 11]), [0.1, 0, 0.1], atol=0.01)
    assert scatter == pytest.approx(0.3, rel=0.02)
    ratio = weights.shifted_ratio(theta, "log_sfr", "log_stellar_mass", 0.6)
    at_new, at_old = CENTRE.copy(), CENTRE.copy()
    at_new[:2], at_old[:2] = (10, 0.6), (10, 0)
    np.testing.assert_allclose(ratio(np.array([at_new, at_old])), [2, -2], atol=0.2)


def test_the_reweighted_posterior_is_better_where_its_prior_holds():
    rng = np.random.default_rng(8)
    truth = CENTRE + rng.normal(size=(3000, 5))
    data = truth + NOISE * rng.normal(size=truth.shape)
    mean, spread = gaussian_posterior(data, CENTRE, np.ones(5))
    samples = mean[:, None] + spread * rng.normal(size=(3000, 500, 5))
    found = weights.reweighted_gain(samples, truth, log_gaussian_ratio)
    # The old posterior under the new prior is a Gaussian at a mean that is off by `shift`.
    new_mean, new_std = new_prior()
    _, new_spread = gaussian_posterior(data, new_mean, new_std)
    gap = gaussian_posterior(0, CENTRE, np.ones(5))[0] - gaussian_posterior(0, new_mean, new_std)[0]
    slope = 1 / NOISE**2 * (spread**2 - new_spread**2)
    at_mean = gap + slope * new_mean
    expected_bias = at_mean
    np.testing.assert_allclose(found["bias_old"], expected_bias, atol=0.08)
    assert np.abs(found["bias_new"] / found["bias_error"]).max() < 4
    variance = new_std**2 + NOISE**2
    square = at_mean**2 + slope**2 * variance  # of old minus new posterior mean
    divergence = np.sum(
        np.log(spread / new_spread) + (new_spread**2 + square) / (2 * spread**2) - 0.5
    )
    assert found["gain"] == pytest.approx(divergence, abs=4 * found["standard_error"])
    assert 0 < found["effective_share"] < 1
    assert found["effective_galaxies"] < 3000


def test_draws_of_two_posteriors_move_alike():
    rng = np.random.default_rng(5)
    tables = []
    for posterior, mean in (("exact", 10.0), ("book", 10.1)):
        values = np.tile(rng.normal(mean, 0.2, (20_000, 1)), 5)
        table = pd.DataFrame(values, columns=list(PROPERTY_NAMES))
        tables.append(table.assign(object_id="a", posterior=posterior))
    # A tilt by 2 a dex moves a Gaussian by 2 σ².
    moved = weights.shifted_means(pd.concat(tables), lambda x: 2 * x[..., 1], "log_sfr").loc["a"]
    for posterior, mean in (("exact", 10.0), ("book", 10.1)):
        assert moved[posterior, "old"] == pytest.approx(mean, abs=0.01)
        error = moved[posterior, "error"]
        assert moved[posterior, "new"] == pytest.approx(mean + 0.08, abs=5 * error)
        assert error == pytest.approx(0.2 / np.sqrt(20_000 * np.exp(-0.16)), rel=0.05)


def test_bursts_are_shifted():
    rng = np.random.default_rng(9)
    delta = 0.17 * rng.normal(size=100_000)
    catalogue = pd.DataFrame(
        {"log_sfr_true": delta, "log_sfr_history": 0.0, "sequence": rng.integers(0, 2, len(delta))}
    )
    found = bursts.burst_weights(catalogue, 0.1, 0.17)
    main = (catalogue["sequence"] == 0).to_numpy()
    assert (found[~main] == 1).all()
    assert np.average(delta[main], weights=found[main]) == pytest.approx(0.1, abs=0.005)
    assert found[main].mean() == pytest.approx(1, abs=0.01)


def test_fine_tuning_resumes_and_is_compared(survey, tmp_path, monkeypatch):
    table = survey.catalogue.assign(
        log_sfr_true=survey.catalogue["log_sfr"], log_sfr_history=0.0, sequence=0.0
    )
    survey = Survey(table)
    model = Posterior("r_and_colours", network={"width": 8})
    settings = TrainingSettings(max_epochs=1)
    train(model, survey, tmp_path / "run" / "photometry", settings, progress=False)
    monkeypatch.setattr(bursts, "survey_of_run", lambda run: survey)
    for name in ("prior", "image"):
        shutil.copytree(tmp_path / "run" / "photometry", tmp_path / "run" / name)
    plan, run = priors.Plan(max_epochs=2), tmp_path / "run"
    first = priors.STUDY.result("made", run, plan, progress=False)
    monkeypatch.setattr(bursts, "train", None)
    second = priors.STUDY.result("made", run, plan, progress=False)
    assert first == second
    assert first.content["shift"] == 0.15
    assert set(first.content["bias"]) == set(PROPERTY_NAMES)


def test_what_is_published_has_the_sizes_of_the_notebook():
    plan = priors.Plan.of(parameter_defaults(priors.STUDY.notebook))
    # Of the same run.
    models = calibration.STUDY.read().content["identity"]["models"]
    assert priors.STUDY.read().content["key"] == priors.STUDY.key(plan.settings, models)


def test_a_prior_is_tested_on_the_property_that_it_changes():
    found = {
        "gain": 0.1,
        "standard_error": 0.02,
        "bias_old": np.array([0.5, -0.3]),
        "bias_new": np.array([0.0, 0.01]),
        "bias_error": np.array([0.1, 0.02]),
        "effective_share": 0.8,
        "effective_galaxies": 99.6,
    }
    row = figures.gain_table({("poorer", "image"): found}, {"poorer": 1}).iloc[0]
    assert row["gain in mean log-density [nat]"] == "+0.100 ± 0.020"
    assert row["bias, old prior [dex]"] == "−0.300"
    assert row["bias, new prior [dex]"] == "+0.010 ± 0.020"
    assert row["effective test galaxies"] == "100"


@pytest.mark.parametrize("n", [1, 60])
def test_the_figure_names_axes_and_units(n):
    rng = np.random.default_rng(8)
    effective = {m: rng.uniform(10, 100, n) for m in ("photometry", "image")}
    masses = rng.normal(10, 0.5, n)
    figure = draw(
        lambda: figures.other_prior(
            masses, np.ones(n), effective, 100, names=("old", "new"), source=SOURCE
        )
    )
    assert {"effective share of the draws", LABELS["log_stellar_mass"]} <= set(all_texts(figure))
