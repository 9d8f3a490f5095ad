"""The metrics against closed forms of Gaussians, SciPy, and each other."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from galcfm import metrics
from galcfm.metrics import LogDensities
from galcfm.properties import PROPERTY_NAMES

D = 5
PRIOR = np.diag([0.5, 0.6, 0.2, 0.1, 0.4]) ** 2 + 0.002  # covariance of the properties
CENTRE = np.array([10.0, 0.3, 8.9, 1.3, 0.7])


class GaussianWorld:
    """Gaussian prior and noise: posterior, densities and information are known exactly."""

    def __init__(self, noise: float, n: int, n_samples: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        noise_covariance = noise**2 * np.diag(np.diag(PRIOR))
        gain = PRIOR @ np.linalg.inv(PRIOR + noise_covariance)
        self.covariance = PRIOR - gain @ PRIOR
        self.covariance = (self.covariance + self.covariance.T) / 2
        self.truth = rng.multivariate_normal(CENTRE, PRIOR, size=n)
        data = self.truth + rng.multivariate_normal(np.zeros(D), noise_covariance, size=n)
        self.mean = CENTRE + (data - CENTRE) @ gain.T
        residuals = rng.multivariate_normal(np.zeros(D), self.covariance, size=(n, n_samples))
        self.samples = self.mean[:, None] + residuals
        centred = stats.multivariate_normal(np.zeros(D), self.covariance)
        prior = stats.multivariate_normal(CENTRE, PRIOR)
        self.densities = LogDensities(
            centred.logpdf(self.truth - self.mean),
            prior.logpdf(self.truth),
            centred.logpdf(residuals),
            prior.logpdf(self.samples),
        )
        self.information = 0.5 * np.log(np.linalg.det(PRIOR) / np.linalg.det(self.covariance))
        self.prior_theta = rng.multivariate_normal(CENTRE, PRIOR, size=2000)


@pytest.fixture(scope="module")
def image():
    return GaussianWorld(noise=0.5, n=200, n_samples=1000)


@pytest.fixture(scope="module")
def photometry():
    return GaussianWorld(noise=1.0, n=200, n_samples=1000)  # same seed: same values


@pytest.fixture(scope="module")
def evaluations(image, photometry):
    return tuple(
        metrics.evaluate(w.samples, w.truth, w.prior_theta, {"exact": w.densities})
        for w in (image, photometry)
    )


# Densities and information


@pytest.mark.parametrize(("n", "d", "m"), [(50, 1, 7), (1000, 5, 100), (5000, 2, 70), (7, 5, 1)])
def test_kde_agrees_with_scipy(n, d, m):
    rng = np.random.default_rng(n)
    mixing = rng.normal(size=(d, d))
    samples = rng.normal(size=(n, d)) @ mixing + 100
    points = rng.normal(size=(m, d)) @ mixing * 3 + 100  # into the tails
    expected = stats.gaussian_kde(samples.T).logpdf(points.T)
    np.testing.assert_allclose(
        metrics.kde_log_density(samples, points), expected, rtol=1e-10, atol=1e-10
    )


def test_kde_far_from_every_sample_is_finite():
    samples = np.random.default_rng(0).normal(size=(500, 2))
    [value] = metrics.kde_log_density(samples, [[1e3, -1e3]])
    assert np.isfinite(value)
    assert value < -1e5


def test_exact_information_gain_is_the_mutual_information():
    world = GaussianWorld(noise=0.7, n=4000, n_samples=1)
    summary = metrics.summarise(metrics.information_gain(*world.densities[:2]))
    assert summary["mean"] == pytest.approx(world.information, abs=4 * summary["standard_error"])
    assert summary["standard_error"] < 0.04


def test_divergence_of_gaussians():
    world = GaussianWorld(noise=0.5, n=20, n_samples=4000)
    shift = world.mean - CENTRE
    inverse = np.linalg.inv(PRIOR)
    expected = world.information + 0.5 * (
        np.trace(inverse @ world.covariance) - D + np.einsum("ni,ij,nj->n", shift, inverse, shift)
    )
    integrand = world.densities.posterior_samples - world.densities.prior_samples
    error = integrand.std(axis=1) / np.sqrt(4000)
    result = metrics.kl_divergence(*world.densities[2:])
    assert np.all(np.abs(result - expected) < 4.5 * error)


def test_kde_bias_of_the_papers_setting(image):
    """1,000 draws in 5-D: smoothing lowers Δlog p, resubstitution raises the divergence."""
    exact = image.densities
    kde = metrics.kde_log_densities(image.samples, image.truth, image.prior_theta)
    assert np.mean(kde.posterior_truth - exact.posterior_truth) == pytest.approx(-0.15, abs=0.08)
    assert np.mean(kde.posterior_samples - exact.posterior_samples) == pytest.approx(0.58, abs=0.03)
    # A KDE prior is also too wide at the measured values, which inflates Δlog p.
    assert -0.3 < np.mean(kde.prior_truth - exact.prior_truth) < 0


def test_kde_log_densities_are_those_of_each_galaxy(photometry):
    samples, truth = photometry.samples[:3, :200], photometry.truth[:3]
    prior = stats.gaussian_kde(photometry.prior_theta.T)
    result = metrics.kde_log_densities(samples, truth, photometry.prior_theta)
    for i in range(3):
        posterior = stats.gaussian_kde(samples[i].T)
        np.testing.assert_allclose(result.posterior_truth[i], posterior.logpdf(truth[i]))
        np.testing.assert_allclose(result.prior_truth[i], prior.logpdf(truth[i]))
        np.testing.assert_allclose(result.posterior_samples[i], posterior.logpdf(samples[i].T))
        np.testing.assert_allclose(result.prior_samples[i], prior.logpdf(samples[i].T))


@pytest.mark.parametrize("correlation", [0.0, -0.9])
def test_a_pair_has_the_mutual_information_of_the_pair(correlation):
    """A posterior that knows how two properties go together tells more than of each alone."""
    rng = np.random.default_rng(0)
    n, scale = 1500, np.array([0.1, 0.4])
    covariance = 0.5 * np.array([[1, correlation], [correlation, 1]])
    mean = rng.multivariate_normal([0, 0], np.eye(2) - covariance, size=n)
    draws = mean[:, None] + rng.multivariate_normal([0, 0], covariance, size=(n, 1001))
    prior = rng.normal(size=(4000, 2))
    gain = metrics.kde_information_gain(draws[:, 1:] * scale, draws[:, 0] * scale, prior * scale)
    expected = -0.5 * np.log(np.linalg.det(covariance))
    assert gain.shape == (n,)
    assert gain.mean() == pytest.approx(expected, abs=0.03 + 4 * stats.sem(gain))
    assert stats.sem(gain) < 0.03


@settings(max_examples=20, deadline=None)
@given(
    scale=arrays(float, 3, elements=st.floats(1e-3, 1e3)),
    shift=arrays(float, 3, elements=st.floats(-100, 100)),
    mix=st.floats(-0.9, 0.9),
)
def test_information_does_not_depend_on_units(scale, shift, mix):
    rng = np.random.default_rng(0)
    samples, truth = rng.normal(size=(2, 80, 3)) * 0.5, rng.normal(size=(2, 3))
    prior = rng.normal(size=(100, 3))
    affine = np.array([[1, mix, 0], [0, 1, mix], [0, 0, 1]]) * scale

    def information(*data):
        posterior, prior, posterior_samples, prior_samples = metrics.kde_log_densities(*data)
        return np.append(
            metrics.information_gain(posterior, prior),
            metrics.kl_divergence(posterior_samples, prior_samples),
        )

    np.testing.assert_allclose(
        information(samples @ affine + shift, truth @ affine + shift, prior @ affine + shift),
        information(samples, truth, prior),
        rtol=1e-6,
        atol=1e-6,
    )


# Summaries and comparisons


def test_summarise():
    values = np.array([-2.0, 0.0, 1.0, 9.0])
    assert metrics.summarise(values) == {
        "mean": 2.0,
        "standard_error": pytest.approx(stats.sem(values)),
        "median": 0.5,
        "std": pytest.approx(np.std(values, ddof=1)),
        "share_below_zero": 0.25,
        "n": 4,
    }


def test_win_rate_of_shifted_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, size=20_000), rng.normal(0, 1, size=20_000)
    result = metrics.win_rate(a, b)
    expected = stats.norm.cdf(1 / np.sqrt(2))
    assert result["win_rate"] == pytest.approx(expected, abs=4 * result["standard_error"])
    assert result["standard_error"] == pytest.approx(
        np.sqrt(expected * (1 - expected) / 20_000), rel=0.02
    )
    low, high = result["interval"]
    assert high - low == pytest.approx(2 * 1.96 * result["standard_error"], rel=0.02)
    assert result["win_rate"] + metrics.win_rate(b, a)["win_rate"] == pytest.approx(1)
    assert metrics.win_rate(a, a)["win_rate"] == 0, "a tie is no win"


def test_paired_bootstrap_against_the_analytic_error():
    rng = np.random.default_rng(0)
    common = rng.normal(size=800) * 10
    a, b = common + rng.normal(0.3, 1, size=800), common
    result = metrics.paired_bootstrap(a, b)
    error = stats.sem(a - b)
    assert result["difference"] == pytest.approx(np.mean(a) - np.mean(b))
    assert result["standard_error"] == pytest.approx(error, rel=0.03)
    np.testing.assert_allclose(
        result["interval"], result["difference"] + error * np.array([-1.96, 1.96]), atol=0.1 * error
    )
    assert metrics.paired_bootstrap(a, b, seed=1) == metrics.paired_bootstrap(a, b, seed=1)
    assert metrics.paired_bootstrap(a, b, seed=1) != metrics.paired_bootstrap(a, b, seed=2)


# Populations


@given(arrays(float, (9, 4, 2), elements=st.floats(-10, 10)))
def test_distances_of_populations_and_draws_are_those_of_scipy(samples):
    def expected(a, b):
        return [stats.wasserstein_distance(*columns) for columns in zip(a.T, b.T, strict=True)]

    draws, truth = np.moveaxis(samples, 1, 0), samples[:, 0] ** 2
    close = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(
        metrics.wasserstein(draws[0], truth[:5]), expected(draws[0], truth[:5]), **close
    )
    to_truth, to_draw = metrics.wasserstein_draws(samples, truth)
    np.testing.assert_allclose(
        to_truth, np.mean([expected(draw, truth) for draw in draws], axis=0), **close
    )
    pairs = [expected(draws[s], draws[t]) for s, t in ((0, 1), (1, 2), (2, 3), (3, 0))]
    np.testing.assert_allclose(to_draw, np.mean(pairs, axis=0), **close)


def test_wasserstein_floor_of_a_gaussian():
    rng = np.random.default_rng(0)
    n = 400
    expected = np.mean([stats.wasserstein_distance(*rng.normal(size=(2, n))) for _ in range(500)])
    floors = [metrics.wasserstein_floor(rng.normal(size=(n, 1)), n_splits=50) for _ in range(20)]
    assert np.mean(floors) == pytest.approx(expected, rel=0.05)
    odd = rng.normal(size=(n + 1, 3))
    np.testing.assert_array_equal(
        metrics.wasserstein_floor(odd, seed=3), metrics.wasserstein_floor(odd, seed=3)
    )
    np.testing.assert_allclose(metrics.wasserstein_floor(odd), expected, rtol=0.2)


def test_one_draw_of_a_calibrated_posterior_meets_its_floor():
    distances = np.array(
        [
            metrics.wasserstein_draws(world.samples, world.truth)
            for world in (GaussianWorld(0.5, n=300, n_samples=20, seed=s) for s in range(40))
        ]
    )
    to_truth, to_draw = distances.mean(axis=0)
    np.testing.assert_allclose(to_truth, to_draw, rtol=0.1)
    world = GaussianWorld(0.5, n=300, n_samples=20)
    assert np.all(to_draw < metrics.wasserstein_floor(world.truth))  # the galaxies are the same
    biased, _ = metrics.wasserstein_draws(world.samples + 0.1, world.truth)
    np.testing.assert_allclose(biased, 0.1, rtol=0.5)


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_means_of_perfect_posteriors_are_as_far_as_their_information_says(noise):
    worlds = [GaussianWorld(noise, n=300, n_samples=100, seed=s) for s in range(40)]
    measured = np.mean([metrics.wasserstein(w.mean, w.truth) for w in worlds], axis=0)
    expected, spread = np.mean([metrics.wasserstein_perfect(w.samples) for w in worlds], axis=0)
    np.testing.assert_allclose(measured, expected, rtol=0.05)
    one_by_one = np.std([metrics.wasserstein(w.mean, w.truth) for w in worlds], axis=0)
    np.testing.assert_allclose(spread, one_by_one, rtol=0.4)

    large = GaussianWorld(noise, n=20_000, n_samples=100)
    explained = 1 - np.diag(large.covariance) / np.diag(PRIOR)
    closed_form = metrics.wasserstein_gaussian(np.sqrt(np.diag(PRIOR)), explained)
    np.testing.assert_allclose(
        metrics.wasserstein_perfect(large.samples)[0], closed_form, rtol=0.07
    )


def test_a_wrong_centre_is_an_excess():
    world = GaussianWorld(0.5, n=2000, n_samples=100)
    shifted = world.samples + np.sqrt(np.diag(PRIOR))
    expected, spread = metrics.wasserstein_perfect(shifted)
    np.testing.assert_allclose(expected, metrics.wasserstein_perfect(world.samples)[0])
    assert np.all(metrics.wasserstein(shifted.mean(axis=1), world.truth) > expected + 20 * spread)


# Scaling relations


def cloud(n, slope, scatter, seed=0):
    """A Gaussian cloud about a line, far from the origin, `(n, 2)`."""
    x, noise = np.random.default_rng(seed).normal(size=(2, n)) * [[0.5], [scatter]]
    return np.stack([10 + x, 8 + slope * x + noise], axis=1)


def test_a_relation_has_the_slope_and_scatter_of_its_cloud_and_their_errors():
    points = cloud(4000, 0.3, 0.1)
    result = metrics.scaling_relation(points[:, None], points)
    fit = stats.linregress(*points.T)
    assert result["slope"]["value"] == pytest.approx(fit.slope)
    assert result["slope"]["value"] == pytest.approx(0.3, abs=4 * fit.stderr)
    assert result["slope"]["standard_error"] == pytest.approx(0.1 / 0.5 / np.sqrt(4000), rel=0.1)
    assert result["scatter"]["value"] == pytest.approx(0.1, rel=0.05)
    assert result["scatter"]["standard_error"] == pytest.approx(0.1 / np.sqrt(8000), rel=0.1)
    assert all(r["minus_truth"] == r["minus_truth_error"] == 0 for r in result.values())


def test_what_the_galaxies_do_to_truth_and_draws_alike_cancels():
    truth = cloud(2000, 0.3, 0.1)
    other = truth[:, None] * [1, 2] + 0.01 * np.random.default_rng(1).normal(size=(2000, 7, 2))
    slope = metrics.scaling_relation(other, truth)["slope"]
    assert slope["minus_truth"] == pytest.approx(0.3, abs=4 * slope["minus_truth_error"] + 0.002)
    # Twice the values minus the values has the error of one set of values, not of three.
    assert slope["minus_truth_error"] == pytest.approx(0.2 / np.sqrt(2000), rel=0.1)
    assert slope["standard_error"] == pytest.approx(2 * slope["minus_truth_error"], rel=0.05)


def test_draws_of_perfect_posteriors_have_the_relation_and_their_means_do_not():
    world = GaussianWorld(1.0, n=20_000, n_samples=20)
    chosen = [0, 2]

    def relation(covariance):
        (xx, xy), (_, yy) = covariance[np.ix_(chosen, chosen)]
        return xy / xx, np.sqrt(yy - xy**2 / xx)

    for draws, covariance in (
        (world.samples, PRIOR),
        (world.samples[:, :1], PRIOR),
        (world.mean[:, None], PRIOR - world.covariance),
    ):
        result = metrics.scaling_relation(draws[..., chosen], world.truth[:, chosen])
        for found, expected in zip(result.values(), relation(covariance), strict=True):
            assert found["value"] == pytest.approx(expected, abs=4 * found["standard_error"])
    assert result["scatter"]["minus_truth"] < -20 * result["scatter"]["minus_truth_error"]


def test_galaxies_that_are_one_have_no_slope():
    points = np.array([[10.0, 8.0], [11.0, 8.5]])
    result = metrics.scaling_relation(points[:, None], points)
    assert result["slope"]["value"] == pytest.approx(0.5)
    assert np.isfinite(result["slope"]["standard_error"])
    with pytest.raises(ValueError, match="a relation is of two properties, not 3"):
        metrics.scaling_relation(np.zeros((4, 1, 3)), np.zeros((4, 3)))


# Calibration and point estimates


def test_coverage_and_ranks_of_calibrated_narrow_and_wide_posteriors():
    n, levels = 4000, np.array([0.1, 0.5, 0.68, 0.95])
    world = GaussianWorld(0.7, n=n, n_samples=200)
    error = np.sqrt(levels * (1 - levels) / n)[:, None] + 1 / 200
    shares = metrics.coverage(world.samples, world.truth, levels)
    assert shares.shape == (4, D)
    assert np.all(np.abs(shares - levels[:, None]) < 4 * error)
    ranks = metrics.rank_statistics(world.samples, world.truth)
    for column in ranks.T:
        assert stats.chisquare(np.bincount(column // 21, minlength=10)[:9]).pvalue > 1e-3

    for factor in (0.5, 2.0):
        scaled = world.mean[:, None] + factor * (world.samples - world.mean[:, None])
        expected = 2 * stats.norm.cdf(factor * stats.norm.ppf((1 + levels) / 2)) - 1
        shares = metrics.coverage(scaled, world.truth, levels)
        assert np.all(np.abs(shares - expected[:, None]) < 0.05)


def test_point_estimates_of_the_gaussian_posterior():
    world = GaussianWorld(0.7, n=20_000, n_samples=1)
    result = metrics.point_estimates(world.mean + 0.05, world.truth)
    scatter = np.sqrt(np.diag(world.covariance))
    np.testing.assert_allclose(result["bias"], 0.05, atol=4 * scatter.max() / np.sqrt(20_000))
    np.testing.assert_allclose(result["scatter"], scatter, rtol=0.03)
    np.testing.assert_allclose(result["nmad"], scatter, rtol=0.03)
    np.testing.assert_allclose(result["r2"], 1 - (scatter**2 + 0.05**2) / np.diag(PRIOR), atol=0.02)


# One model, two models


def test_evaluate_is_json_and_complete(image, evaluations):
    result, _ = evaluations
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    names = "n_galaxies n_samples n_prior delta_log_p d_kl delta_log_p_minus_d_kl dust_age "
    names += "wasserstein wasserstein_standardised scaling_relations point_estimates coverage "
    assert list(result) == [*names.split(), "galaxies"]
    for table in ("wasserstein", "wasserstein_standardised", "point_estimates"):
        assert tuple(result[table]) == PROPERTY_NAMES
    assert tuple(result["coverage"]) == ("levels", *PROPERTY_NAMES)
    for metric in ("delta_log_p", "d_kl", "delta_log_p_minus_d_kl"):
        assert list(result[metric]) == ["kde", "exact"]
    assert result["n_galaxies"] == 200

    gap = result["delta_log_p_minus_d_kl"]["exact"]
    assert abs(gap["difference"]) < 4 * gap["standard_error"]
    exact = result["delta_log_p"]["exact"]
    assert exact["mean"] == pytest.approx(image.information, abs=4 * exact["standard_error"])
    for j, name in enumerate(PROPERTY_NAMES):
        physical = result["wasserstein"][name]
        for key, distance in physical.items():
            ratio = distance / result["wasserstein_standardised"][name][key]
            assert ratio == pytest.approx(image.truth[:, j].std())
        assert physical["posterior_mean"] == pytest.approx(
            physical["perfect"], abs=4 * physical["perfect_spread"]
        )
    relations = result["scaling_relations"]
    assert list(relations) == ["/".join(plane) for plane in metrics.PLANES]
    assert relations["log_sfr/oxygen_abundance"]["draws"] == metrics.scaling_relation(
        image.samples[..., [1, 2]], image.truth[:, [1, 2]]
    )
    pair = metrics.kde_information_gain(
        image.samples[..., [3, 4]], image.truth[:, [3, 4]], image.prior_theta[:, [3, 4]]
    )
    assert result["dust_age"]["delta_log_p"] == metrics.summarise(pair)
    covariance = image.covariance[3:, 3:]
    assert result["dust_age"]["correlation"] == pytest.approx(
        covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]), abs=0.01
    )


def test_evaluate_takes_exact_densities_of_other_galaxies(image):
    more, fewer = GaussianWorld(0.5, 500, 10), GaussianWorld(0.5, 50, 100)
    exact = LogDensities(*more.densities[:2], *fewer.densities[2:])
    result = metrics.evaluate(
        image.samples[:20, :50], image.truth[:20], image.prior_theta, {"exact": exact}
    )
    assert result["delta_log_p"]["exact"]["n"] == 500
    assert result["d_kl"]["exact"]["n"] == 50
    assert result["delta_log_p"]["kde"]["n"] == 20


def test_compare_finds_the_better_model(image, photometry, evaluations):
    np.testing.assert_array_equal(image.truth, photometry.truth)
    result = metrics.compare(*evaluations)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    expected = image.information - photometry.information
    for metric in ("delta_log_p", "d_kl"):
        exact = result[metric]["exact"]
        assert exact["difference"] == pytest.approx(expected, abs=4 * exact["standard_error"])
        assert exact["interval"][0] > 0
        assert exact["wins"]["win_rate"] > 0.5
    blocks = [np.linalg.det(w.covariance[3:, 3:]) for w in (photometry, image)]
    pair = result["dust_age"]
    assert pair["difference"] == pytest.approx(
        0.5 * np.log(blocks[0] / blocks[1]), abs=4 * pair["standard_error"]
    )
    assert pair["wins"]["n"] == 200
    for name in PROPERTY_NAMES:
        of_image, of_photometry = (e["wasserstein"][name]["posterior_mean"] for e in evaluations)
        table = result["wasserstein"][name]
        assert table["improvement"] == pytest.approx(of_photometry - of_image)
        assert table["interval"][0] < table["improvement"] < table["interval"][1]
        assert table["improvement"] > 2 * table["standard_error"] > 0
    assert metrics.compare(*json.loads(json.dumps(evaluations))) == result


# Missing labels: two properties in any order, of which some galaxies have only one or none


@pytest.fixture(scope="module")
def with_gaps():
    """Return a world whose labels are missing by class and at random, and all of its labels."""
    whole, world = (GaussianWorld(0.5, n=300, n_samples=60) for _ in range(2))
    for theta in (world.truth, world.prior_theta):
        above = theta[:, 0] > CENTRE[0]
        theta[above, 2] = np.nan
        theta[::3, 1] = np.nan
    world.truth[7] = np.nan
    return world, whole


def chain_of_gaussians(points, known):
    """Return the log prior density of the labels that are known."""
    return [
        stats.multivariate_normal(CENTRE[seen], PRIOR[np.ix_(seen, seen)]).logpdf(point[some])
        for point, some in zip(points, known, strict=True)
        for seen in [np.flatnonzero(some)]
    ]


def test_a_kernel_prior_is_a_chain_over_labels():
    """Labels are missing for a reason that the first property gives: the prior is of all."""
    rng = np.random.default_rng(5)
    labels = rng.multivariate_normal(CENTRE, PRIOR, size=40_000)[:, :3]
    points = labels[:200].copy()
    labels[labels[:, 0] > CENTRE[0], 2] = np.nan
    points[:, 1] = np.where(rng.random(200) < 0.3, np.nan, points[:, 1])
    below = points[:, 0] < CENTRE[0] - 0.2
    found = metrics.kde_prior_log_density(labels, points)
    expected = np.array(chain_of_gaussians(points, np.isfinite(points)))
    assert np.mean((found - expected)[below]) == pytest.approx(0, abs=0.06)
    complete = labels[np.isfinite(labels).all(axis=1)]
    seen = np.isfinite(points).all(axis=1) & below
    naive = metrics.kde_log_density(complete, points[seen]) - expected[seen]
    assert naive.mean() > 0.5  # log 2 too high: half of the galaxies are left out


def test_metrics_are_those_of_the_galaxies_with_labels(with_gaps):
    world, whole = with_gaps
    known = np.isfinite(world.truth)
    result = metrics.evaluate(world.samples, world.truth, world.prior_theta)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["n_labels"].values()) == known.sum(axis=0).tolist()
    assert result["delta_log_p"]["kde"]["n"] == 299
    assert result["galaxies"]["delta_log_p"]["kde"][7] is None
    assert result["d_kl"]["kde"]["n"] == 300
    for j, name in enumerate(PROPERTY_NAMES):
        rows = known[:, j]
        draws, values = whole.samples[rows][..., [j]], whole.truth[rows][:, [j]]
        estimates = metrics.point_estimates(draws.mean(axis=1), values)
        assert result["point_estimates"][name] == pytest.approx(
            {key: value[0] for key, value in estimates.items()}
        )
        np.testing.assert_allclose(
            result["coverage"][name], metrics.coverage(draws, values)[:, 0], rtol=1e-12
        )
        distance = metrics.wasserstein(draws.mean(axis=1), values)[0]
        assert result["wasserstein"][name]["posterior_mean"] == pytest.approx(distance)
        scaled = result["wasserstein_standardised"][name]["posterior_mean"]
        assert scaled == pytest.approx(distance / values.std())
    rows = known[:, [0, 2]].all(axis=1)
    plane = metrics.scaling_relation(whole.samples[rows][..., [0, 2]], whole.truth[rows][:, [0, 2]])
    found = result["scaling_relations"]["log_stellar_mass/oxygen_abundance"]["draws"]
    assert found["slope"] == pytest.approx(plane["slope"])
    ranks = metrics.rank_statistics(world.samples, world.truth)
    np.testing.assert_array_equal(ranks < 0, ~known)
    both = metrics.compare(result, result)
    assert both["delta_log_p"]["kde"]["n"] == both["dust_age"]["n"] == 299
    assert both["wasserstein"]["oxygen_abundance"]["n"] == known[:, 2].sum()


def test_the_gain_is_that_of_the_labels_that_a_galaxy_has(with_gaps):
    """Kernels are narrow in two dimensions, so that the exact gain is found."""
    world, whole = with_gaps
    columns = [1, 0]
    draws, truth = world.samples[..., columns], world.truth[:, columns]
    result = metrics.evaluate(draws, truth, world.prior_theta[:, columns], None, ("b", "a"))
    assert "dust_age" not in result
    assert result["scaling_relations"] == {}
    known = np.isfinite(world.truth) & np.isin(np.arange(D), columns)
    expected = np.zeros(300)
    for row in np.flatnonzero(known.any(axis=1)):
        seen = known[row]
        posterior = stats.multivariate_normal(
            world.mean[row, seen], world.covariance[np.ix_(seen, seen)]
        )
        prior = stats.multivariate_normal(CENTRE[seen], PRIOR[np.ix_(seen, seen)])
        point = world.truth[row, seen]
        expected[row] = posterior.logpdf(point) - prior.logpdf(point)
    found = np.array(result["galaxies"]["delta_log_p"]["kde"], dtype=float)
    assert np.isnan(found[7])
    assert np.nanmean(found - expected) == pytest.approx(0, abs=0.05)
    assert np.nanstd(found - expected) < 0.6
    assert metrics.compare(result, result)["wasserstein"].keys() == {"a", "b"}
    apart = np.where(np.arange(300)[:, None] % 2 == [0, 1], whole.truth[:, columns], np.nan)
    planes = ("log_stellar_mass", "log_sfr")
    assert (
        metrics.evaluate(draws, apart, whole.prior_theta[:, columns], None, planes)[
            "scaling_relations"
        ]
        == {}
    )
    with pytest.raises(ValueError, match="prior_theta: only 0 galaxies have the labels"):
        metrics.evaluate(draws, apart, apart, None, planes)


# Refusals


@pytest.fixture
def small():
    world = GaussianWorld(0.5, n=6, n_samples=20)
    return {"samples": world.samples, "truth": world.truth, "prior_theta": world.prior_theta[:50]}


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("samples", (4, 7, 2), "samples .* row 4, oxygen_abundance"),
        ("truth", (3, 1), "row 3, log_sfr"),
        ("prior_theta", (40, 4), "prior_theta .* row 40, a_v"),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(small, name, place, reason, value):
    if np.isnan(value) and name != "samples":
        value = -np.inf  # NaN is a missing label
    small[name][place] = value
    with pytest.raises(ValueError, match=reason):
        metrics.evaluate(**small)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": np.zeros((6, 5))}, r"samples has shape \(6, 5\)"),
        ({"samples": np.ones((6, 20, 4)), "truth": np.ones((6, 4))}, "4 properties, expected 5"),
        ({"truth": np.zeros((5, 5))}, r"has shape \(5, 5\), expected \(6, 5\)"),
        ({"truth": np.zeros((6, 5))}, "differ in each property"),
        ({"truth": np.where(np.eye(6, 5), 1.0, np.nan)}, "1 galaxies have log_stellar_mass"),
        ({"prior_theta": np.zeros((50, 4))}, r"prior_theta has shape \(50, 4\)"),
        ({"prior_theta": np.zeros((50, 5))}, "prior_theta: all 50 samples have the same"),
        ({"exact": {"kde": None}}, "the name kde"),
        ({"exact": {"flow": LogDensities([0.0], [np.nan], [[0.0]], [[0.0]])}}, "flow: log_prior"),
    ],
)
def test_bad_input_is_refused(small, change, reason):
    with pytest.raises(ValueError, match=reason):
        metrics.evaluate(**{**small, **change})


def test_degenerate_posteriors_are_named(small):
    draws = small["samples"]
    same, dependent = draws.copy(), draws.copy()
    same[2, :, 3] = 1.5
    dependent[5, :, 3] = 2 * draws[5, :, 0] - draws[5, :, 1]
    for samples, reason in (
        (same, "row 2: all 20 samples have the same value in column 3"),
        (dependent, r"row 5: the 5 columns .* linearly dependent"),
        (draws[:, :5], r"row 0: .* needs more than 5 samples, not 5"),
    ):
        with pytest.raises(ValueError, match=reason):
            metrics.evaluate(**small | {"samples": samples})


def test_models_that_cannot_be_compared_are_refused(evaluations, small):
    image, _ = evaluations
    with pytest.raises(ValueError, match="different galaxies"):
        metrics.compare(image, metrics.evaluate(**small))
    galaxies = {**image["galaxies"], "d_kl": {"kde": image["galaxies"]["d_kl"]["kde"]}}
    with pytest.raises(ValueError, match="different kinds"):
        metrics.compare(image, {**image, "galaxies": galaxies})


@pytest.mark.parametrize(
    ("metric", "given", "reason"),
    [
        ("win_rate", ([1.0, 2.0], [1.0]), "b has shape"),
        ("information_gain", ([1.0, 2.0], [1.0]), "log_prior has shape"),
        ("summarise", ([1.0],), "at least two"),
        ("paired_bootstrap", ([1.0], [2.0]), "at least two"),
        ("wasserstein_floor", ([[1.0]],), "at least two"),
        ("wasserstein_draws", ([[[1.0]]], [[1.0]]), "at least two"),
        ("coverage", ([[[1.0]]], [[1.0]], [68.0]), "between 0 and 1"),
    ],
)
def test_lengths_and_levels_are_checked(metric, given, reason):
    with pytest.raises(ValueError, match=reason):
        getattr(metrics, metric)(*given)
