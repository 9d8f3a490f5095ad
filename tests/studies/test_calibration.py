"""Ranks of posteriors that are known to be right, too narrow or shifted."""

import numpy as np
import pandas as pd
import pytest
import torch
from drawn import SOURCE, all_texts, draw
from scipy.stats import chi2

from galcfm import runs
from galcfm.metrics import rank_statistics
from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.training import TrainingSettings, train
from studies import calibration, frame
from studies.calibration import figures, ranking, ranks, variants
from studies.calibration.ranking import rank_galaxies
from studies.calibration.ranks import band, hpd_ranks, rank_shares, reference_points, tarp_ranks

N, S, D = 2000, 63, 3


def departure(places, n_draws: int) -> float:
    """Return the largest deviation of the rank shares from uniform, in half-widths of the band."""
    levels, found = rank_shares(places, n_draws)
    low, high = band(len(places), n_draws)
    allowed = np.where(found > levels, high - levels, levels - low)
    return float(np.max(np.abs(found - levels) / allowed))


def gaussian_ranks(narrower=1.0, shift=0.0):
    """Ranks of a linear Gaussian model, properties N(0, 1), noise 0.5, by all three tests."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(N, D))
    data = truth + 0.5 * rng.normal(size=(N, D))
    mean, std = data / 1.25 + shift, np.sqrt(0.2) * narrower
    draws = mean[:, None] + std * rng.normal(size=(N, S, D))

    def log_prob(x, mean):
        return -0.5 * np.sum(((x - mean) / std) ** 2, axis=-1)

    return {
        "hpd": hpd_ranks(log_prob(draws, mean[:, None]), log_prob(truth, mean)),
        "tarp": tarp_ranks(draws, truth, reference_points(truth)),
        "first": rank_statistics(draws, truth)[:, 0],
    }


def test_an_exact_posterior_is_inside_the_band():
    for name, places in gaussian_ranks().items():
        assert departure(places, S) < 1, name
        levels, found = rank_shares(places, S)
        np.testing.assert_allclose(found, levels, atol=0.05)


def test_too_narrow_a_posterior_fails_on_the_right_side():
    found = gaussian_ranks(narrower=0.8)
    for name, places in found.items():
        assert departure(places, S) > 1.5, name
    levels, shares = rank_shares(found["hpd"], S)
    assert (shares < levels).all(), "measured values lie outside the regions too often"
    levels, shares = rank_shares(found["first"], S)
    assert shares[5] > levels[5]
    assert shares[-6] < levels[-6]


def test_too_wide_a_posterior_fails_on_the_other_side():
    levels, shares = rank_shares(gaussian_ranks(narrower=1.25)["hpd"], S)
    assert (shares > levels).all()


def test_a_shifted_posterior_fails_in_its_property():
    levels, shares = rank_shares(gaussian_ranks(shift=0.15)["first"], S)
    assert (shares > levels).all(), "draws lie above the measured values"
    assert departure(gaussian_ranks(shift=0.15)["first"], S) > 2


def test_hpd_coverage_is_that_of_chi_squared():
    """A posterior narrower by f contains as many measured values as chi² says."""
    levels, shares = rank_shares(gaussian_ranks(narrower=0.8)["hpd"], S)
    expected = chi2.cdf(0.8**2 * chi2.ppf(levels, D), D)
    np.testing.assert_allclose(shares, expected, atol=0.04)


def test_tarp_is_that_of_its_authors():
    tarp = pytest.importorskip("tarp")
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(500, D))
    draws = 0.3 + 0.7 * rng.normal(size=(500, S, D))
    references = reference_points(truth)
    ranks = tarp_ranks(draws, truth, references)
    theirs, level = tarp.get_tarp_coverage(
        draws.transpose(1, 0, 2), truth, references=references, num_alpha_bins=S
    )
    # Theirs is a histogram between the lowest and the highest share.
    ours = [np.mean(ranks / S < edge) for edge in level[1:-1]]
    np.testing.assert_allclose(theirs[1:-1], ours, atol=1e-12)


def test_the_band_holds_95_percent_of_calibrated_models():
    rng = np.random.default_rng(4)
    outside = [departure(rng.integers(0, 32, 300), 31) > 1 for _ in range(1000)]
    assert np.mean(outside) == pytest.approx(0.05, abs=0.02)
    low, high = band(300, 31)
    assert (low < high).all()


def test_reference_points_never_are_the_galaxy_s_own():
    truth = np.arange(50.0)[:, None]
    points = reference_points(truth, seed=3)
    assert sorted(points[:, 0]) == sorted(truth[:, 0])
    for seed in range(50):
        assert (reference_points(truth, seed) != truth).all()


def test_shifts_are_found_in_the_bin_where_they_are():
    rng = np.random.default_rng(7)
    x = rng.uniform(size=2000)
    places = rng.integers(0, 16, 2000)
    places[x < 0.25] //= 2
    table = pd.DataFrame({"hpd": places})
    found = ranks.shifts_in_bins(table, 15, pd.DataFrame({"x": x}), n_bins=4)["hpd"]
    assert (found.abs() > 5).tolist() == [True, False, False, False]
    assert found.index.tolist() == [("x", 1), ("x", 2), ("x", 3), ("x", 4)]
    deviation = ranks.deviations(table, 15)["hpd"]
    assert deviation.index[0] == 1 / 16
    np.testing.assert_allclose(deviation + deviation.index, rank_shares(places, 15)[1])


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_shift_and_scatter_are_those_of_gaussians(shift):
    """A posterior that is too high by a share of its width w has its mean rank w/(2√π) lower."""
    table = pd.DataFrame(gaussian_ranks(shift=shift))
    found = ranks.shifts(table, S).loc["first"]
    expected = -100 * shift / np.sqrt(0.2) / (2 * np.sqrt(np.pi))
    assert abs(found["shift"] - expected) < 4 * found["error"]
    assert found["error"] == pytest.approx(100 * np.sqrt(1 / 12 / N), rel=0.1)
    assert ranks.shifts(pd.DataFrame(gaussian_ranks(0.8)), S).loc["first", "scatter"] > 1.1
    assert abs(ranks.shifts(pd.DataFrame(gaussian_ranks()), S).loc["first", "scatter"] - 1) < 0.1


def test_shares_inside_regions_are_those_of_chi_squared():
    found = ranks.region_shares(gaussian_ranks(narrower=0.8)["hpd"], S, [0.5, 0.9])
    assert found["nominal"].to_list() == [50, 100 * 58 / 64]
    expected = 100 * chi2.cdf(0.8**2 * chi2.ppf(found["nominal"] / 100, D), D)
    np.testing.assert_allclose(found["found"], expected, atol=4)
    assert found["error"].iloc[0] == pytest.approx(50 / np.sqrt(N))


def test_ranks_out_of_range_are_refused():
    with pytest.raises(ValueError, match="lie between 0 and 7"):
        rank_shares([8], n_draws=7)


def small_model(seed):
    torch.manual_seed(seed)
    return Posterior("magnitudes", network={"width": 16})


def ranked(models, survey):
    prior = Posterior("none", network={"width": 16})
    return rank_galaxies(models, prior, survey, n_draws=6, progress=False)


def test_an_ensemble_of_one_model_twice_has_its_density(survey):
    some, model = survey.select(range(8)), small_model(0)
    one, two = ranked([model], some), ranked([model, model], some)
    assert set(ranks.QUANTITIES) < set(one)
    np.testing.assert_allclose(one["log_prob"], two["log_prob"], atol=1e-5)


def test_a_draw_of_an_ensemble_is_of_a_member_drawn_for_it(survey):
    """Fixed counts of draws a member would be less scattered than draws of the mean density."""
    some, models = survey.select(range(40)), [small_model(0), small_model(1)]
    models[1].property_mean += 1000  # so that a draw tells its member
    conditions = [model.encode_survey(some) for model in models]
    draws, _ = ranking._draw(models, conditions, some.object_id, 64, 2, 0)
    of_second = (draws[..., 0] > 500).sum(axis=1)
    assert of_second.mean() == pytest.approx(32, abs=2)
    # Binomial: √(64/4) = 4.
    assert of_second.std() == pytest.approx(4, abs=1)
    again, _ = ranking._draw(models, [c[7:8] for c in conditions], some.object_id[7:8], 64, 2, 0)
    np.testing.assert_allclose(again[0], draws[7], atol=1e-4)


def test_an_ensemble_has_the_mean_density(survey):
    some, models = survey.select(range(8)), [small_model(0), small_model(1)]
    each = [m.log_prob(some.properties, some.magnitudes, steps=12).numpy() for m in models]
    found = ranked(models, some)["log_prob"]
    np.testing.assert_allclose(found, np.logaddexp(*each) - np.log(2), atol=1e-4)


def test_draws_are_held_against_the_prior(survey):
    """A model that ignores its data is its own prior."""
    model = Posterior("none", network={"width": 16})
    found = rank_galaxies([model], model, survey, n_draws=8, progress=False)
    np.testing.assert_allclose(found["log_prob"], found["log_prior"], atol=1e-5)
    # An untrained flow is close to N(0, 1): half as wide it is denser where r² < 10 ln 2 / 3.
    narrow = Posterior("none", network={"width": 16})
    narrow.load_state_dict(model.state_dict())
    narrow.property_std /= 2
    found = rank_galaxies([model], narrow, survey, n_draws=8, progress=False)["below_prior"]
    assert found.mean() == pytest.approx(chi2.cdf(10 * np.log(2) / 3, 5), abs=0.05)


@pytest.fixture
def trained(survey, tmp_path):
    folder = tmp_path / "run"
    settings = TrainingSettings(max_epochs=1, seed=3)
    pictures = {"widths": [4], "n_features": 4, "bin_factor": 8}
    for name, features, encoder in (
        ("prior", "none", None),
        ("photometry", "r_and_colours", None),
        ("image", "r_and_colours", pictures),
    ):
        model = Posterior(features, encoder=encoder, network={"width": 8})
        train(model, survey, folder / name, settings, progress=False)
    return folder


def test_variants_change_what_they_say(trained, survey):
    own = variants.Variant("own", "image")
    finer = variants.Variant("finer", "image", encoder={"bin_factor": 4})
    cold = variants.Variant("cold", "image", warm_start=False)
    (a,), (b,), (c,) = (
        variants.members_of(recipe, trained, survey, progress=False)
        for recipe in (own, finer, cold)
    )
    assert own.is_the_runs_own
    encoders = [model.architecture["encoder"] for model in (a, b)]
    assert encoders[1] == {**encoders[0], "bin_factor": 4}
    assert c.architecture == a.architecture
    # The image columns start from zero when, and only when, the photometry model is the start.
    weights = [m.flow.network.hidden[0].weight[:, 6:10].abs().max().item() for m in (b, c)]
    assert weights[0] < 0.01 < weights[1]
    again = variants.members_of(cold, trained, survey, progress=False)[0]
    assert again.metadata == c.metadata
    assert len(list((trained / "variants").iterdir())) == 2


def test_a_run_resumes_and_starts_anew_with_other_models(trained, survey, tmp_path):
    some, plan = survey.select(range(6)), calibration.Plan(n_galaxies=6, n_draws=7)
    recipes = {
        "photometry": variants.Variant("own", "photometry"),
        "image": variants.Variant("own", "image"),
        "two": variants.Variant("two", "image", {"batch_size": 32}, members=2),
    }

    def add(names):
        chosen = {name: recipes[name] for name in names}
        ranking.add_variants(tmp_path, trained, survey, some, chosen, plan, progress=False)
        return calibration.STUDY.read(tmp_path)

    first = add(["photometry"]).content
    result = add(recipes)
    second, table = result.content, result.table()
    assert second["recipes"]["photometry"] == first["recipes"]["photometry"]
    assert second["recipes"]["two"]["members"] == 2
    assert table["two/hpd"].between(0, 7).all()
    found = ranks.ranks_under("two", table)
    assert list(found) == list(ranks.QUANTITIES)
    assert (found["a_v"] == table["two/a_v"]).all()
    assert list(ranks.covariates_under("two", table)) == list(ranking.COVARIATES)
    compared = ranks.gains_of_variants(second["recipes"], table)
    assert compared.loc[("photometry", "own"), ["gain", "error"]].eq(0).all()
    gain = (table["two/log_prob"] - table["image/log_prob"]).mean()
    assert compared.loc[("image", "two"), "gain"] == pytest.approx(gain, abs=1e-5)
    assert len(list((trained / "variants").iterdir())) == 2
    (trained / "image" / "model.safetensors").write_bytes(b"another")
    assert list(add(["photometry"]).content["recipes"]) == ["photometry"]


def test_variants_are_made_beside_the_model_that_they_change():
    assert list(variants.chosen_variants(["image_longer"])) == ["image", "image_longer"]
    assert variants.chosen_variants() == variants.VARIANTS
    with pytest.raises(runs.RunError, match="no wider among the variants: choose from photometry"):
        variants.chosen_variants(["wider"])


def test_what_is_published_has_the_sizes_of_the_notebook():
    plan = calibration.Plan.of(runs.parameter_defaults(calibration.STUDY.notebook))
    published = calibration.STUDY.read()
    content, models = published.content, published.content["identity"]["models"]
    assert content["key"] == calibration.STUDY.key(plan.settings, models)
    assert set(content["recipes"]) == set(variants.VARIANTS)
    assert len(published.table()) == plan.n_galaxies


def test_more_draws_than_a_byte_holds_are_refused(tmp_path):
    plan = calibration.Plan(n_draws=256)
    with pytest.raises(runs.RunError, match="n_draws is 256"):
        calibration.STUDY.result("made", tmp_path, plan)


def test_a_chapter_makes_its_own_galaxies(trained, survey, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(ranking, "survey_of_run", lambda run: survey)
    plan = calibration.Plan(n_galaxies=5, n_draws=3)
    # Of toy images, magnitudes suffice.
    result = calibration.STUDY.result(
        "made", trained, plan, variants=["photometry"], progress=False
    )
    assert list(result.content["recipes"]) == ["photometry"]
    assert result.content["key"] == calibration.STUDY.key(
        plan.settings, frame.models_digest(trained)
    )
    assert len(result.table()) == 5


def test_figures_and_tables_name_axes_and_bins():
    rng = np.random.default_rng(8)
    tests, levels = ["hpd", "tarp", *PROPERTY_NAMES], np.linspace(0.1, 0.9, 9)
    models, lens = ("photometry", "image"), np.full(9, 0.02)
    shown = {m: pd.DataFrame(rng.normal(0, 0.01, (9, 7)), levels, tests) for m in models}
    figure = draw(lambda: figures.rank_bands(shown, (-lens, lens), source=SOURCE))
    assert {"Rank [fraction]", "all: density (HPD)", "$A_V$", "95 % band"} <= set(all_texts(figure))
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), 100 * shown[models[0]]["hpd"])
    bins = pd.MultiIndex.from_product([["log_stellar_mass", "redshift", "mag_r"], [1, 2, 3]])
    shown = {m: pd.DataFrame(rng.uniform(2, 3, (9, 7)) - 5, bins, tests) for m in models}
    texts = set(all_texts(draw(lambda: figures.shifts_in_bins(shown, source=SOURCE))))
    assert {"$z$, nearest", "$r$, 2 of 3", "$r$, faintest", "−3"} <= texts
    assert {"too narrow", "Rank [fraction]"} <= set(
        all_texts(draw(lambda: figures.rank_cartoon(source=SOURCE)))
    )
    found = {"image": ranks.shifts(pd.DataFrame(gaussian_ranks())[["hpd", "tarp"]], S)}
    assert "±" in figures.shift_table(found).loc["all: density"].iloc[0]
    regions = {"image model": ranks.region_shares(gaussian_ranks()["hpd"], S)}
    assert figures.region_table(regions).index[0].split() == ["68.75", "%"]
