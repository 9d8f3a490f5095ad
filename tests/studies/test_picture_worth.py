"""What a picture is worth: its photometry, its rows, that it goes on, and what it shows."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from galcfm import paths, training
from galcfm.metrics import wasserstein, wasserstein_gaussian
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.simulate import TIES, simulate_catalogue
from studies import picture_worth
from studies.key_numbers import WORDS, key_numbers, table
from studies.picture_worth import ROWS, Plan, survey_of
from studies.picture_worth import shown as of_study
from studies.picture_worth.by_property import Channel, by_density, chained, gaussian_gain
from studies.picture_worth.surveys import measured_photometry

SMALL = Plan(
    n_galaxies=120,
    validation_fraction=0.2,
    test_fraction=0.3,
    recipe="rehearsal",
    image_crop=128,
    image_bin=8,
    n_means=10,
    n_draws=8,
    n_kernels=10,
    kernel_draws=30,
    processes=1,
)


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(600, 0)


def noise(catalogue, photometry):
    noiseless = catalogue[[f"{name}_noiseless" for name in MAGNITUDES]].to_numpy()
    return measured_photometry(catalogue, photometry) - noiseless


def test_noise_is_as_many_times_as_said(catalogue):
    # Quoted errors lack the calibration: 2 % in u, 1 % in the other bands.
    drawn = np.hypot(catalogue[list(MAGNITUDE_ERRORS)], [0.02, 0.01, 0.01, 0.01, 0.01]).to_numpy()
    for photometry, times in (("model", 1), ("twice", 2), ("four times", 4)):
        found = (noise(catalogue, photometry) / drawn).std(axis=0)
        np.testing.assert_allclose(found, times, rtol=0.12)


def test_apertures_lose_light(catalogue):
    fibre, petrosian = (noise(catalogue, kind) for kind in ("fibre", "Petrosian"))
    r = MAGNITUDES.index("mag_r")
    # Half of a galaxy of 3 arcsec and more is outside the fibre, hardly anything of a small one.
    large = (catalogue["disc_radius"] > 4).to_numpy()
    small = (catalogue["disc_radius"] < 1).to_numpy()
    assert np.median(fibre[large, r]) > 1.0
    assert np.median(fibre[small, r]) < 0.6
    # Petrosian magnitudes miss a tenth of a bulge, and are redder for nothing.
    assert 0 < np.median(petrosian[:, r]) < 0.05
    bulge = (catalogue["bulge_fraction_r"] > 0.3) & (catalogue["bulge_index"] == 4)
    assert np.median(petrosian[bulge, r]) > 0.05
    # What is seen of a large galaxy in a fibre is its redder middle.
    colours = -np.diff(fibre, axis=1)
    assert np.median(colours[large, 1]) > 0.005


def test_rows_differ_in_what_they_say():
    assert len({row.label for row in ROWS.values()}) == len(ROWS)
    assert set(of_study.LADDER) <= set(ROWS)
    assert set(ROWS["old"].without) == {*TIES} - {"inclined_dust"}
    for name in TIES:
        if name not in ("inclined_dust", "fibre"):
            row = ROWS[f"tie_{name}"]
            assert set(ROWS["old"].without) - set(row.without) == {name}


def test_rows_that_differ_in_labels_share_pictures(place):
    old, fibre, leak, noisy, balmer = (
        survey_of(ROWS[name], SMALL) for name in ("old", "old_fibre", "leak", "noise_4", "balmer")
    )
    assert old.name == fibre.name
    assert len({old.name, leak.name, noisy.name, balmer.name}) == 4
    assert (old.magnitudes == fibre.magnitudes).all()
    assert not np.allclose(old.properties[:, 3], fibre.properties[:, 3])
    assert np.allclose(leak.magnitudes, balmer.magnitudes)
    # Pictures of observed and of true fluxes.
    assert not (leak.images == balmer.images).all()
    assert balmer.properties[:, 4].mean() > 1.5 * leak.properties[:, 4].mean()
    assert set(noisy.catalogue["split"]) == {"train", "validation", "test"}


def test_rows_are_made_once_added_and_shown(place, monkeypatch, texts_of):
    found = picture_worth.make(place, None, SMALL, ["leak", "old"], [1])
    trained, train_models = [], training.train_models
    monkeypatch.setattr(
        training, "train_models", lambda *a, **k: trained.append(a[1].name) or train_models(*a, **k)
    )
    again = picture_worth.make(place, None, SMALL, ["old", "leak"], [1, 2])
    assert trained == ["old-2", "leak-2"]
    assert again["rows"]["old"]["seeds"]["1"] == found["rows"]["old"]["seeds"]["1"]
    gains = pd.read_parquet(place.folder / "account.parquet")
    assert set(gains) == {"leak/1", "old/1", "old/2", "leak/2"}
    assert list(again["rows"]) == ["old", "leak"]
    row = again["rows"]["leak"]
    assert row["gain"] == pytest.approx(gains[["leak/1", "leak/2"]].to_numpy().mean(), abs=1e-6)
    assert row["trainings"] == 2
    numbers = row["seeds"]["1"]
    gain = numbers["image"]["log_prob"] - numbers["photometry"]["log_prob"]
    assert gains["leak/1"].mean() == pytest.approx(gain, abs=1e-4)
    stored = json.loads((place.folder / "account.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(again))
    rows = stored["rows"]
    texts = texts_of(lambda: of_study.all_gains(rows, source="simulated survey"))
    assert {"labels and magnitudes", "early survey", ROWS["leak"].label} <= set(texts)
    assert "training" not in texts
    steps = {ROWS[name].label: row for name, row in rows.items()}
    texts = texts_of(lambda: of_study.ladder(steps, 0.91, source="simulated survey"))
    assert f"early survey: {rows['old']['gain']:.2f}" in texts
    left = 0.91 - rows["leak"]["gain"]
    assert {f"not accounted for: {left:+.2f}", "the paper: 0.91", "simulated survey"} <= set(texts)


def test_each_row_has_its_place_in_the_figure():
    placed = [name for names in of_study.GROUPS.values() for name in names]
    assert sorted(placed) == sorted(ROWS)


def test_gaussian_values_have_the_curve_of_the_closed_form():
    values = stats.norm.ppf((np.arange(4000) + 0.5) / 4000, scale=0.3)
    curve = Channel(values, 4000).curve.query("0.05 < explained < 0.85")
    share = 1 / (1 + (curve["noise"] / 0.3) ** 2)
    np.testing.assert_allclose(curve["explained"], share, rtol=0.03)
    np.testing.assert_allclose(curve["distance"], wasserstein_gaussian(0.3, share), rtol=0.05)


def test_gains_are_found_from_distances_with_their_errors():
    rng = np.random.default_rng(3)
    values = rng.gamma(3.0, 0.2, 3000)
    channel = Channel(values, 500)
    found, shares = [], {"photometry": 0.5, "image": 0.7}
    for _ in range(20):
        # The noise of observations that explain as much, by another route than the inversion.
        distances = {}
        for model, share in shares.items():
            noise = np.interp(-share, -channel.curve["explained"], channel.curve["noise"])
            truth = rng.choice(values, 500)
            means = np.interp(
                truth + noise * rng.standard_normal(500), *channel._posterior_mean(noise)
            )
            distances[model] = wasserstein(means[:, None], truth[:, None])[0]
        found.append(channel.gain(distances))
    expected = gaussian_gain(shares)
    gains = np.array([of["gain"] for of in found])
    error = np.mean([of["standard_error"] for of in found])
    assert abs(gains.mean() - expected) < 3 * gains.std() / np.sqrt(20)
    # The two models saw different galaxies here, which the error does not hold.
    assert 0.3 * gains.std() < error < 1.5 * gains.std()


def test_chained_gains_of_gaussians_are_those_of_their_covariances():
    rng = np.random.default_rng(5)
    n, correlated = 1500, np.eye(5) + 0.6 * (np.ones((5, 5)) - np.eye(5))
    samples, factor = {}, np.linalg.cholesky(correlated)
    means = rng.standard_normal((n, 5))
    truth = means + 0.5 * rng.standard_normal((n, 5)) @ factor.T
    samples["image"] = means[:, None] + 0.5 * rng.standard_normal((n, 200, 5)) @ factor.T
    samples["photometry"] = means[:, None] + rng.standard_normal((n, 200, 5)) @ factor.T
    # A posterior of twice the width at the same place loses ln 2 − 3/8 nat in each property.
    expected = np.log(2) - 0.375
    found = chained(samples, truth)
    np.testing.assert_allclose(found["gain"], expected, atol=0.06)
    marginal = by_density({m: draws[:100] for m, draws in samples.items()}, truth[:100])
    assert marginal["gain"].between(0.1, 0.5).all()


def test_key_numbers_are_those_of_the_stored_results():
    numbers = key_numbers()
    assert list(numbers) == list(WORDS)
    stored = json.loads((paths.published_folder() / "account.json").read_text(encoding="utf-8"))
    assert numbers["gain_32px"]["gain"] == stored["rows"]["all"]["gain"]
    assert numbers["gain_paper"]["gain"] == pytest.approx(0.91)
    # The paper's 80 % of 106,800.
    assert numbers["gain_paper"]["trained_on"] == 0.8 * 106_800
    shown = table(numbers)
    assert shown.loc[WORDS["gain_paper"]["models"], "95 % interval"] == "not given"
    assert shown["gain [nat]"].str.contains("±").sum() == len(numbers) - 2
