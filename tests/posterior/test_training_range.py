"""Out of range: fires where it should, and on no more held-out galaxies than it says."""

import numpy as np
import pytest
from conftest import toy_survey
from scipy import stats
from sklearn.neighbors import LocalOutlierFactor

from galcfm.posterior import Posterior
from galcfm.posterior.training_range import TrainingRange, reference_rows


def normal(n, seed, dim=4):
    """Correlated Gaussian features of unequal spreads."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)) @ np.tril(np.ones((dim, dim))) * 3.0 ** np.arange(dim)


@pytest.fixture(scope="module")
def known() -> TrainingRange:
    return TrainingRange.fit(normal(3000, 1), normal(1000, 2))


def test_features_are_whitened(known):
    np.testing.assert_allclose(known.points.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(known.points.T), np.eye(4), atol=2e-3)


def test_the_factor_is_one_inside_and_grows_along_the_distance_outside(known):
    """Far out, all neighbours are as far as the centre is: the factor is distance over spacing."""
    step = np.array([[1.0, 0, 0, 0]]) @ np.linalg.pinv(known.directions)
    far = known.outlier_factor(known.centre + np.outer([100, 200, 400], step))
    np.testing.assert_allclose(far[1:] / far[:-1], 2, rtol=0.05)
    assert known.outlier_factor(normal(500, 3)).mean() == pytest.approx(1.1, abs=0.1)
    # In a uniform cube the density is that of the volume of a ball: r^d = k / (n V_d).
    cube = TrainingRange.fit(np.random.default_rng(0).uniform(size=(4000, 3)), normal(1, 0, 3))
    inner = np.abs(cube.points).max(1) < 1
    expected = np.cbrt(20 / 4000 * np.sqrt(12) ** 3 / (4 / 3 * np.pi))
    assert cube.spacing[inner].mean() == pytest.approx(expected, rel=0.02)


def test_it_ranks_galaxies_as_sklearn_does(known):
    """The simplified factor keeps the order of the full one outside."""
    others = normal(300, 4) * np.random.default_rng(0).uniform(1, 4, (300, 1))
    full = LocalOutlierFactor(20, novelty=True).fit(known.points)
    theirs = -full.score_samples((others - known.centre) @ known.directions)
    ours = known.outlier_factor(others)
    assert stats.spearmanr(ours, theirs).statistic > 0.97


def test_shares_are_uniform_and_flags_keep_their_rate(known):
    share = known.share_farther(normal(4000, 5))
    assert 0 < share.min() <= share.max() <= 1
    # Calibrated on 1,000: the empirical distribution itself is off by 1.36 / sqrt(1000).
    assert stats.kstest(share, "uniform").statistic < 0.07
    for level in (0.01, 0.05):
        # The rate given the 1,000 held out is a beta variable; the flags are binomial with it.
        limit = stats.betabinom.ppf(0.9999, 4000, level * 1001, (1 - level) * 1001)
        assert known.is_outside(share, level).sum() <= limit


def test_it_fires_outside(known):
    for shift in (np.eye(4) * 6, -np.eye(4) * 6):
        moved = known.centre + shift @ np.linalg.pinv(known.directions)
        assert known.is_outside(known.share_farther(moved)).all()


def test_it_fires_across_a_sharp_edge():
    """Half a standard deviation beyond the faintest of a flux-limited sample."""
    rng = np.random.default_rng(0)

    def limited(n, offset=0.0):
        return np.c_[17.77 - rng.exponential(0.7, n) + offset, rng.normal(size=(n, 2))]

    known = TrainingRange.fit(limited(5000), limited(2000))
    faint = limited(2000, 0.5)
    assert known.is_outside(known.share_farther(faint[faint[:, 0] > 18.1])).mean() > 0.3
    assert known.is_outside(known.share_farther(limited(2000))).mean() < 0.02


def test_few_held_out_galaxies_still_flag_the_extreme():
    known = TrainingRange.fit(normal(50, 1), normal(9, 2))
    share = known.share_farther(normal(1, 3) * 100)
    assert share == pytest.approx(0.1)
    assert known.is_outside(share)


def test_features_without_spread_do_not_count():
    flat = np.c_[normal(500, 1), np.ones(500)]
    known = TrainingRange.fit(flat, flat[:100])
    assert known.points.shape == (500, 4)


def test_too_few_galaxies_are_refused():
    with pytest.raises(ValueError, match="1 training and 5 held-out"):
        TrainingRange.fit(normal(1, 0), normal(5, 0))


def test_reference_rows_spread_over_all():
    assert reference_rows(3).tolist() == [0, 1, 2]
    rows = reference_rows(20001)
    assert len(rows) == 5000
    assert rows[[0, -1]].tolist() == [0, 20000]


def test_a_large_validation_split_has_a_range():
    """At most 5,000 galaxies are kept, however many are held out."""
    survey = toy_survey(5200, images=False)
    model = Posterior("r_and_colours", network={"width": 8, "depth": 1})
    few = survey.select(np.arange(200))
    model.fit_standardisation(few.split("train"))
    model.fit_range(few.split("train"), survey)
    assert {"photometry", "quiescent"} <= set(model.ranges)
