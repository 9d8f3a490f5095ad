"""Comparisons with real galaxies, on small samples that are made up."""

import json

import numpy as np
import pandas as pd
import pytest

from galcfm import figures
from galcfm.figures import tables
from galcfm.paths import published_folder
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import simulate_catalogue
from studies import morphology, picture_controls, realism


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_matched_samples_have_the_same_distribution(rng):
    real = np.c_[rng.normal(0, 1, 2000), rng.uniform(0, 1, 2000)]
    other = np.c_[rng.normal(0.7, 1, 6000), rng.uniform(0, 1, 6000) ** 2]
    a, b = realism.match(real, other, (6, 6))
    assert len(a) == len(b) > 1000
    assert len(set(a)) == len(a)
    assert len(set(b)) == len(b)
    np.testing.assert_allclose(real[a].mean(axis=0), other[b].mean(axis=0), atol=0.08)
    # Nobody comes from outside the real sample's range.
    assert (other[b].min(axis=0) >= real.min(axis=0)).all()
    assert (other[b].max(axis=0) <= real.max(axis=0)).all()


def test_a_classifier_sees_only_what_differs(rng):
    one, same, other = rng.normal(size=(3, 800, 3))
    result = realism.two_sample_auc(one, same)
    assert result["auc"] == pytest.approx(0.5, abs=0.06)
    assert result["n_real"] == 800
    other[:, 1] += 1.0
    # Unit normals a standard deviation apart: 0.76 at best.
    assert 0.65 < realism.two_sample_auc(one, other)["auc"] < 0.78


def test_zero_points_bring_medians_together(rng):
    real = rng.normal(size=(500, 4))
    np.testing.assert_allclose(
        realism.fit_zero_points(real, real + np.array([0.1, -0.2, 0, 0.3])),
        [-0.1, 0.2, 0, -0.3],
        atol=1e-12,
    )


def test_percentile_offsets_are_in_standard_deviations(rng):
    published = {
        p: float(np.percentile(np.arange(1001) / 1000, float(p))) for p in ("10", "50", "90")
    }
    values = np.append(np.arange(1001) / 1000 + 0.1, np.nan)
    offsets = realism.percentile_offsets(values, published)["offset"]
    np.testing.assert_allclose(offsets, 0.1 / (0.8 / 2.563), rtol=1e-6)


def blob(radius, *, sky=4.0, noise=2.0, colour=(1.2, 1.0, 0.8), q=0.5, seed=0):
    """An elliptical Gaussian on a noisy sky, uint8."""
    y, x = np.mgrid[:128, :128] - 63.5
    light = 120 * np.exp(-0.5 * (x**2 + (y / q) ** 2) / radius**2)
    rng = np.random.default_rng(seed)
    image = sky + light[..., None] * np.array(colour) + noise * rng.normal(size=(128, 128, 3))
    return image.clip(0, 255).round().astype(np.uint8)


def test_reasons_are_tried_one_at_a_time():
    parent = simulate_catalogue(300, 0, population="parent")
    tried = realism.try_explanations(parent, parent, parent)
    assert tried["dn4000"]["of the whole galaxy"] == tried["dn4000"]["as it is"]
    assert tried["a_v"]["errors of 0.4 mag"]["10"] < tried["a_v"]["as it is"]["10"]
    assert tried["a_v"]["both"]["90"] > tried["a_v"]["as it is"]["90"] + 0.3
    tried = tried["oxygen_abundance"]
    assert tried["whatever lines are seen"] == tried["as it is"]
    table = tables.explanations(tried)
    assert list(table.columns) == ["10 %", "25 %", "50 %", "75 %", "90 %"]


def test_cutout_statistics_of_a_known_picture():
    row = realism.cutout_statistics(np.stack([blob(8.0)])).iloc[0]
    assert row["sky"] == pytest.approx(4, abs=0.5)
    # The mean of three channels.
    assert row["noise"] == pytest.approx(2 / np.sqrt(3), abs=0.3)
    assert row["axis_ratio"] == pytest.approx(0.5, abs=0.05)
    assert row["red"] == pytest.approx(1.2, abs=0.05)
    assert row["blue"] == pytest.approx(0.8, abs=0.05)
    assert row["red_blue"] > 20


def test_enlarged_cutouts_have_the_wanted_radius():
    images = np.stack([blob(4.0, seed=k) for k in range(3)])
    before = morphology.light_and_radius(images)[:, 1]
    after = morphology.light_and_radius(morphology.enlarge(images, np.array([10.0])))[:, 1]
    assert (before < 5).all()
    np.testing.assert_allclose(after, 10, rtol=0.12)
    # Large ones are but a JPEG more.
    same = morphology.enlarge(images, np.array([1.0])).astype(float)
    assert np.abs(same - images).mean() < 2
    assert (morphology.resample_cutout(images[0], 1.0) == images[0]).all()


def test_partners_are_alike_and_of_one_galaxy_each(rng):
    real = rng.normal(size=(40, 2)) * [1, 10]
    others = np.concatenate([real + 0.01, real + 5])[rng.permutation(80)]
    partners = morphology.match_pairs(real, others)
    assert len(set(partners)) == 40
    np.testing.assert_allclose(others[partners], real + 0.01)


def test_statistics_of_known_pictures():
    quiet = {"noise": 1.5, "sky": 8.0, "colour": (1.2, 1.0, 0.8)}
    plain, lopsided, red_core = (blob(8.0, **quiet) for _ in range(3))
    y, x = np.mgrid[:128, :128] - 63.5

    def bump(x0, y0, height, width, image):
        light = height * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / width**2)
        return (image + light[..., None]).clip(0, 255).round().astype(np.uint8)

    lopsided = bump(10, 0, 90, 2.5, lopsided)
    crowded = bump(45, 40, 60, 2.5, bump(-45, 40, 60, 2.5, plain))
    core = 40 * np.exp(-0.5 * (x**2 + y**2) / 9)[..., None] * [1.0, 0.0, -1.0]
    red_core = (red_core + core).clip(0, 255).round().astype(np.uint8)
    table = morphology.measure(np.stack([plain, lopsided, crowded, red_core]))
    first = table.iloc[0]
    assert first["ellipticity"] == pytest.approx(0.5, abs=0.05)
    assert first["red"] == pytest.approx(np.log(1.2), abs=0.04)
    assert first["blue"] == pytest.approx(np.log(0.8), abs=0.04)
    assert first["gradient"] == pytest.approx(0, abs=0.12)
    assert first["sky"] == pytest.approx(8, abs=0.3)
    assert first["noise"] == pytest.approx(1.5 / np.sqrt(3), abs=0.15)
    assert first["correlation"] == pytest.approx(0, abs=0.1)
    # A Gaussian has half its light within 1.18 σ, here of pixels two wide; a round one C = 2.1.
    assert first["size"] == pytest.approx(1.18 * 8 / 2, rel=0.1)
    assert 2.1 < first["concentration"] < 2.5
    assert table["neighbours"].tolist() == [0, 0, 2, 0]
    assert table["asymmetry"][1] > first["asymmetry"] + 0.05
    assert table["m20"][1] > first["m20"] + 0.05
    assert table["gradient"][3] > first["gradient"] + 0.2


def test_correlated_noise_is_seen(rng):
    images = 20 + 4 * rng.normal(size=(2, 128, 128, 1)) + np.zeros(3)
    images[1] = 20 + 3 * (images[1] - 20 + np.roll(images[1] - 20, 1, axis=0)) / 2
    images[:, 60:68, 60:68] = 200
    images = images.clip(0, 255).round().astype(np.uint8)
    # Of two directions one is half correlated.
    found = morphology.measure(images)["correlation"]
    np.testing.assert_allclose(found, [0, 0.25], atol=0.05)


def test_the_half_that_judges_is_not_the_half_that_was_looked_at(monkeypatch):
    """Pictures all alike cannot be told apart; brighter skies are seen."""
    seen = []

    def measured(images):
        seen.append(images)
        sky = images[:, :8].mean(axis=(1, 2, 3))
        other = images[:, 64, 64].mean(axis=-1)
        names = [c for group in morphology.GROUPS.values() for c in group]
        return pd.DataFrame({c: sky if c == "sky" else other for c in names})

    monkeypatch.setattr(realism, "measure", measured)
    images = np.stack([blob(8.0 + 0.02 * k, noise=1.0, seed=k) for k in range(160)])
    result = realism.compare_cutouts(images[::2], images, epochs=1)
    assert result["n_real"] == result["n_simulated"] == 40
    real = [{image.tobytes() for image in images} for images in (seen[0], seen[2])]
    assert len(real[0] | real[1]) == 80
    assert not real[0] & real[1]
    assert set(result["auc"]) == {"chosen", "judged"}
    assert set(result["auc"]["judged"]) == {"all", *morphology.GROUPS}
    brighter = images.copy()
    brighter[:, :16] += 20
    result = realism.compare_cutouts(images[::2], brighter, epochs=1)
    assert result["statistics"]["sky"]["auc"] > 0.9


def test_a_network_sees_what_differs():
    soft = np.stack([blob(8.0, noise=1.0, seed=k) for k in range(64)])
    noisy = np.stack([blob(8.0, noise=8.0, seed=k) for k in range(64, 128)])
    auc = realism.network_auc((soft[:32], noisy[:32]), (soft[32:], noisy[32:]), epochs=6)
    assert auc > 0.9


def made_up(rng, n, shift=0.0):
    r = rng.uniform(15, 16.3, n)
    colour = rng.normal([1.6, 0.8, 0.4, 0.3], [0.3, 0.15, 0.05, 0.05], (n, 4)) + shift
    magnitudes = np.c_[r + colour[:, 0] + colour[:, 1], r + colour[:, 1], r, r - colour[:, 2], r]
    magnitudes[:, 4] = magnitudes[:, 3] - colour[:, 3]
    table = pd.DataFrame(magnitudes, columns=list(MAGNITUDES))
    table[list(MAGNITUDE_ERRORS)] = 0.01 * rng.uniform(0.9, 1.1, (n, 5)) * (1 + 10 * abs(shift))
    return table.assign(redshift=rng.uniform(0.02, 0.2, n))


def test_zero_points_are_judged_on_the_other_half(rng):
    result = realism.compare_catalogues(made_up(rng, 1200), made_up(rng, 2400, shift=0.05))
    assert result["colour_auc"]["judged"]["auc"] > 0.75
    assert result["colour_auc"]["judged, zero points fitted anew"]["auc"] < 0.6
    for value in result["zero_points"].values():
        assert value == pytest.approx(-0.05, abs=0.03)
    assert result["magnitude_errors"]["r"]["ratio"] == pytest.approx(1.5, abs=0.05)


# Controls --------------------------------------------------------------------------------------


def linear_table(rng, n):
    """Properties that are linear in the photometry and, the last, in one more column."""
    magnitudes = rng.normal(17, 1, (n, 5))
    hidden = rng.normal(size=n)
    properties = magnitudes * 0.2 + 0.3 * rng.normal(size=(n, 5))
    properties[:, 4] += 0.6 * hidden
    table = pd.DataFrame(magnitudes, columns=list(MAGNITUDES))
    table[list(PROPERTY_NAMES)] = properties
    return table.assign(cosine=hidden)


@pytest.mark.parametrize(("shuffled", "low", "high"), [(False, 0.1, 1.0), (True, -0.02, 0.02)])
def test_a_telling_feature_gains_and_a_shuffled_one_does_not(rng, shuffled, low, high):
    experiment = picture_controls.Experiment("survey", ("cosine",), "hidden", ("a_v",), shuffled)
    result = picture_controls.gain(
        linear_table(rng, 3000), experiment, n_test=500, seeds=2, n_steps=300, width=48
    )
    assert low < result["gain"] < high
    assert result["standard_error"] < 0.1


def test_the_book_is_judged_on_its_own_test_galaxies(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    survey = {"n_galaxies": 60, "seed": 4, "validation": 0.2, "test": 0.3}
    catalogue = simulate_catalogue(**survey)
    table, n_test = picture_controls.features_of_book(survey)
    sizes = catalogue["split"].value_counts()
    assert n_test == sizes["test"]
    assert len(table) == 60
    in_order = pd.concat(
        [catalogue[catalogue["split"] == name] for name in ("train", "validation", "test")]
    )
    np.testing.assert_array_equal(table["mag_r"], in_order["mag_r"])
    np.testing.assert_allclose(table["cosine"], np.cos(np.radians(in_order["inclination"])))
    np.testing.assert_allclose(10 ** table["log_radius"], in_order["disc_radius"])


def test_finished_experiments_are_not_repeated(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(
        picture_controls, "make_features", lambda sample, n, seed: linear_table(rng, n)
    )
    monkeypatch.setattr(
        picture_controls, "features_of_book", lambda survey: (linear_table(rng, 60), 20)
    )
    monkeypatch.setattr(
        picture_controls,
        "EXPERIMENTS",
        {
            name: picture_controls.Experiment(sample, ("cosine",), name, ("a_v",))
            for name, sample in (("a", "survey"), ("b", "book"))
        },
    )
    asked = []

    def density(features, properties, *, start, **settings):
        asked.append((features.shape[1], start))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return np.zeros(settings["n_test"]) + features.shape[1], "flow"

    monkeypatch.setattr(picture_controls, "log_probabilities", density)
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    arguments = tmp_path / "controls.json", {"survey": 50}
    with pytest.raises(KeyboardInterrupt):
        picture_controls.run(*arguments, n_test=10, seeds=1)
    results = picture_controls.run(*arguments, n_test=10, seeds=1)
    # Photometry twice and the feature for "a", the interrupted "b", then "b".
    first = [(5, None), (5, "flow"), (6, "flow")]
    assert asked == [*first, (5, None), *first]
    assert [r["gain"] for r in results["experiments"].values()] == [1, 1]
    assert [r["n_test"] for r in results["experiments"].values()] == [10, 20]
    # Other settings are another result.
    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        picture_controls.run(*arguments, n_test=11, seeds=1)
    assert len(asked) == 4


# Stored results --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    return {
        name: json.loads((published_folder() / f"{name}.json").read_text())
        for name in ("realism", "realism_cutouts", "controls")
    }


def test_stored_results_say_how_they_were_made(published):
    for result in published.values():
        assert {"command", "date", "made"} <= set(result)
        assert result["made"]["commit"]


def test_the_survey_is_as_real_as_the_book_says(published):
    catalogues = published["realism"]["catalogues"]
    assert catalogues["colour_auc"]["judged"]["auc"] <= 0.70
    for errors in catalogues["magnitude_errors"].values():
        assert 0.8 < errors["ratio"] < 1.2
    gains = {
        k: (r["gain"], r["standard_error"]) for k, r in published["controls"]["experiments"].items()
    }
    assert gains["stamp_flux"][0] < 0.03
    assert gains["shuffled"][0] < 2 * gains["shuffled"][1]
    assert abs(gains["inclination_blind"][0]) < 3 * gains["inclination_blind"][1]
    assert gains["inclination"][0] > 5 * gains["inclination"][1]
    assert gains["shape"][0] > 0


def test_stored_results_can_be_shown(published):
    realism_results, experiments = published["realism"], published["controls"]["experiments"]
    source = "made up"
    for figure in (
        figures.colour_comparison(realism_results["catalogues"]["colours"], source=source),
        figures.percentile_offsets(realism_results["percentiles"], allowed=0.15, source=source),
        figures.control_gains(experiments, source=source),
    ):
        figure.canvas.draw()
        assert source in [text.get_text() for text in figure.texts]
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
    assert len(tables.control_gains(experiments)) == len(experiments)
    assert list(tables.percentiles(realism_results["percentiles"])) == [
        f"{p} %" for p in realism.PERCENTILES
    ]
    errors = tables.magnitude_errors(realism_results["catalogues"]["magnitude_errors"])
    assert list(errors.index) == list("ugriz")
    assert "noise" in tables.cutout_statistics(published["realism_cutouts"]["statistics"]).index
