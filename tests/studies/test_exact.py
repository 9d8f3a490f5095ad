"""The exact posterior: against closed forms, the simulator itself, and a run that was killed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from galcfm.figures.style import LABELS
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.runs import parameter_defaults
from galcfm.simulate import galaxies, population
from studies import exact
from studies.exact import comparison, figures, latents, sampler, stages
from studies.exact.particles import ExactPosterior, log_likelihood
from studies.frame import BOOK_SURVEY, Place

PLAN = exact.Plan(
    n_galaxies=2,
    n_bank=3000,
    emulator_steps=60,
    n_particles=60,
    moves=2,
    last_moves=4,
    kept=2,
    n_rows=100,
    many_epochs=1,
    n_draws=60,
    simulated={**BOOK_SURVEY, "n_galaxies": 40},
    recipe={"photometry_max_epochs": 1, "width": 16},
)


class Recorder:
    """A random generator that notes its draws as standard normal numbers."""

    def __init__(self, seed):
        self.rng, self.columns = np.random.default_rng(seed), []

    def normal(self, size):
        values = self.rng.normal(size=size)
        self.columns += list(np.atleast_2d(values))
        return values

    def uniform(self, low=0.0, high=1.0, size=None):
        values = self.rng.uniform(size=size)
        self.columns += list(ndtri(np.atleast_2d(values)))
        return low + (high - low) * values


def test_replayed_latents_are_the_simulators_galaxies():
    recorder = Recorder([5, 1, 0])
    observed = galaxies.before_noise(recorder, population.BATCH_SIZE)
    g, seen = observed.galaxies, observed.photometry
    x = np.stack(recorder.columns, axis=1)
    assert x.shape[1] == latents.n_latents()
    light = latents.shine(x)
    np.testing.assert_allclose(light.magnitudes, seen.magnitudes, atol=1e-5)
    np.testing.assert_allclose(light.errors, seen.drawn, rtol=1e-5)
    np.testing.assert_allclose(light.properties[:, 4], observed.labels["a_v"], atol=1e-5)
    forming = latents.star_forming(x)[0]
    # The catalogue of the same seed is these galaxies with noise, where it is bright enough.
    table = population.candidates(5, 0)
    rows = [int(np.abs(g.m - m).argmin()) for m in table["log_stellar_mass_true"]]
    truth = table[[f"{name}_true" for name in PROPERTY_NAMES]].to_numpy()
    np.testing.assert_allclose(light.properties[rows], truth, atol=1e-5)
    assert len(rows) > 10
    assert forming[rows].all()
    noise = (table[list(MAGNITUDES)] - light.magnitudes[rows]) / light.errors[rows]
    assert 0.85 < noise.to_numpy().std() < 1.15


def test_galaxies_do_not_depend_on_their_block():
    x = np.random.default_rng(0).standard_normal((latents.BLOCK + 3, latents.n_latents()))
    whole, part = latents.shine(x), latents.shine(x[-5:])
    for values, others in zip(whole, part, strict=True):
        np.testing.assert_allclose(values[-5:], others, rtol=1e-4)


def test_a_missing_band_is_one_of_endless_error():
    rng = np.random.default_rng(4)
    light = latents.shine(rng.standard_normal((60, latents.n_latents())))
    seen = light.magnitudes[0].copy()
    blind = light._replace(errors=np.where(np.arange(5) == 1, 1e6, light.errors))
    expected = log_likelihood(blind, seen) + np.log(1e6)
    seen[1] = np.nan
    found = log_likelihood(light, seen)
    np.testing.assert_allclose(found[light.seen], expected[light.seen], rtol=1e-6)
    # Galaxies that are too faint are not in the survey, even if r is not measured.
    seen[2] = np.nan
    posterior = ExactPosterior.of(light, seen, np.zeros(60), rng)
    faint = light.magnitudes[:, 2] > galaxies.MAGNITUDE_LIMIT + 5 * light.errors[:, 2]
    bright = light.magnitudes[:, 2] < galaxies.MAGNITUDE_LIMIT - 5 * light.errors[:, 2]
    assert faint.any()
    assert bright.any()
    assert np.isneginf(posterior.log_weights[faint]).all()
    assert (posterior.log_weights[bright] == 0).all()
    assert np.isfinite(posterior.measured).all()


@pytest.fixture(scope="module")
def linear():
    """y = A x + noise with a normal prior on x: its posterior is normal, and known."""
    rng = np.random.default_rng(3)
    a, noise = rng.normal(size=(3, 6)), 0.1
    y = a @ rng.normal(size=6) + noise * rng.normal(size=3)
    covariance = np.linalg.inv(np.eye(6) + a.T @ a / noise**2)
    mean = covariance @ a.T @ y / noise**2

    def log_likelihood(x):
        return -0.5 * ((y - x @ a.T) ** 2).sum(axis=1) / noise**2

    return log_likelihood, mean, covariance


def test_particles_of_a_linear_simulator_have_its_closed_form(linear):
    log_likelihood, mean, covariance = linear
    x = sampler.temper(log_likelihood, 2000, 6, np.random.default_rng(0), kept=2)
    assert x.shape == (4000, 6)
    std = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((x.mean(axis=0) - mean) / std, 0, atol=0.12)
    np.testing.assert_allclose(x.std(axis=0) / std, 1, atol=0.06)
    # Blurred by a kernel, their density is a normal distribution too.
    widths = np.ones(6)
    points = np.random.default_rng(1).multivariate_normal(mean, covariance, 20)
    found = sampler.kernel_log_density(points, x, np.zeros(len(x)), widths)
    known = multivariate_normal(mean, covariance + np.eye(6)).logpdf(points)
    np.testing.assert_allclose(found, known, atol=0.1)


def test_weights_undo_a_wrong_likelihood(linear):
    log_likelihood, mean, covariance = linear

    def wrong(x):
        return 0.7 * log_likelihood(x)

    x = sampler.temper(wrong, 3000, 6, np.random.default_rng(0))
    log_weights = log_likelihood(x) - wrong(x)
    posterior = ExactPosterior(x, log_weights, x, np.zeros_like(x))
    assert 500 < posterior.effective_size < 3000
    found, std = posterior.moments()
    np.testing.assert_allclose((found - mean) / np.sqrt(np.diag(covariance)), 0, atol=0.15)
    np.testing.assert_allclose(std / np.sqrt(np.diag(covariance)), 1, atol=0.1)


def test_a_rule_of_the_prior_is_kept():
    x = sampler.temper(
        lambda x: np.where(x[:, 0] > 1, 0.0, -np.inf), 3000, 2, np.random.default_rng(0)
    )
    assert (x[:, 0] > 1).all()
    # The mean of a standard normal number above 1.
    assert x[:, 0].mean() == pytest.approx(1.525, abs=0.04)
    with pytest.raises(RuntimeError, match="no particle"):
        sampler.temper(lambda x: np.full(len(x), -np.inf), 10, 2, np.random.default_rng(0))


def test_classifier_tells_shifted_draws_and_not_equal_ones():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1000, 5))
    assert abs(comparison.classifier_accuracy(a, b) - 0.5) < 0.05
    # Two normal distributions d apart are separated with probability Φ(d/2).
    assert comparison.classifier_accuracy(a, b + np.eye(5)[0]) == pytest.approx(0.69, abs=0.03)
    assert comparison.classifier_accuracy(a, 1.5 * b) > 0.6


def test_joined_runs_weigh_the_same():
    runs = [
        ExactPosterior(place, np.full(len(place), level), place, np.ones_like(place))
        for place, level in ((np.zeros((10, 5)), 5.0), (np.ones((30, 5)), -80.0))
    ]
    mean, _ = ExactPosterior.joined(runs).moments()
    np.testing.assert_allclose(mean, 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GALCFM_DATA", str(folder / "data"))
        return folder, exact.STUDY.result("made", folder / "run", PLAN, progress=False)


def test_the_study_resumes_and_changes_nothing(made, monkeypatch):
    folder, first = made
    monkeypatch.setenv("GALCFM_DATA", str(folder / "data"))
    (cache,) = (folder / "data" / "cache").glob("exact-*")
    particles = sorted((cache / "particles").iterdir())
    assert len(particles) == PLAN.n_galaxies * PLAN.n_runs
    particles[1].unlink()
    drawn = []
    sample = ExactPosterior.sample
    monkeypatch.setattr(
        stages.ExactPosterior, "sample", lambda *a, **k: drawn.append(1) or sample(*a, **k)
    )
    monkeypatch.setattr(stages, "train_emulator", None)
    again = exact.STUDY.result("made", folder / "again", PLAN, progress=False)
    assert len(drawn) == 1
    pd.testing.assert_frame_equal(first.table(), again.table())


def test_numbers_are_those_of_the_table(made):
    _, result = made
    numbers, table = result.content, result.table()
    assert {"command", "date", "made", "plan", "trained_on"} <= set(numbers)
    assert len(table) == PLAN.n_galaxies
    gap = (table["exact"] - table["book"]).mean()
    assert numbers["gap"]["book"]["mean"] == pytest.approx(gap, abs=1e-5)
    draws = pd.read_parquet(result.path.with_name(exact.DRAWS))
    assert set(draws["posterior"]) == {"exact", "book", "many"}
    assert len(draws) == 3 * PLAN.n_galaxies * PLAN.n_draws


def test_another_plan_or_simulator_has_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    folder = stages.Stages(PLAN).folder
    assert stages.Stages(replace(PLAN, n_galaxies=9)).folder == folder
    assert stages.Stages(replace(PLAN, seed=8)).folder != folder
    monkeypatch.setattr(stages, "SIMULATOR_VERSION", 0)
    assert stages.Stages(PLAN).folder != folder


def test_what_is_published_has_the_sizes_of_the_notebook():
    plan = exact.Plan.of(parameter_defaults(exact.STUDY.notebook))
    assert exact.STUDY.read().content["key"] == exact.STUDY.key(plan.settings)


def test_one_run_is_not_compared(tmp_path):
    with pytest.raises(ValueError, match="n_runs is 1"):
        comparison.make(Place(tmp_path, tmp_path), tmp_path, replace(PLAN, n_runs=1))


def test_figures_and_tables_name_what_they_show(made):
    _, result = made
    numbers, table = result.content, result.table()
    draws = pd.read_parquet(result.path.with_name(exact.DRAWS))
    names = {"exact": "exact posterior", "book": "flow", "many": "flow, many"}
    texts = all_texts(draw(lambda: figures.marginals(draws, table, names, source=SOURCE)))
    assert {*LABELS.values(), "measured value"} <= set(texts)
    figure = draw(lambda: figures.information(table, numbers, "flow", source=SOURCE))
    assert {"information [nat]", "flow", "true value known"} <= set(all_texts(figure))
    assert len(figure.axes[0].patches) == len(PROPERTY_NAMES)
    (dust,) = [bar for bar in figure.axes[0].patches if bar.get_y() < -4]
    assert dust.get_width() == numbers["properties"]["a_v"]["information"]["exact"]["mean"]
    assert figures.check_table(numbers).loc["galaxies", "value"] == str(PLAN.n_galaxies)
    gaps = figures.gap_table(numbers, names)
    assert gaps.loc["exact posterior", "exact − flow [nat]"] == ""
    expected = f"{numbers['gap']['book']['mean']:.2f}".replace("-", "−")
    assert gaps.loc["flow", "exact − flow [nat]"].startswith(expected)
