"""Comparisons with real galaxies, on small samples that are made up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw

from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.runs import RunError
from galcfm.simulate import render, simulate_catalogue
from galcfm.survey.images import encode_jpeg
from studies.realism import catalogues, cutouts, image_controls, measurements, samples, shown

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_matched_samples_have_the_same_distribution(rng):
    real = np.c_[rng.normal(0, 1, 2000), rng.uniform(0, 1, 2000)]
    other = np.c_[rng.normal(0.7, 1, 6000), rng.uniform(0, 1, 6000) ** 2]
    a, b = samples.match(real, other, (6, 6))
    assert len(a) == len(b) > 1000
    assert len(set(a)) == len(a)
    assert len(set(b)) == len(b)
    np.testing.assert_allclose(real[a].mean(axis=0), other[b].mean(axis=0), atol=0.08)
    # No galaxy comes from outside the real sample's range.
    assert (other[b].min(axis=0) >= real.min(axis=0)).all()
    assert (other[b].max(axis=0) <= real.max(axis=0)).all()


def test_a_classifier_sees_only_what_differs(rng):
    one, same, other = rng.normal(size=(3, 800, 3))
    result = samples.two_sample_auc(one, same)
    assert result["auc"] == pytest.approx(0.5, abs=0.06)
    assert result["n_real"] == 800
    other[:, 1] += 1.0
    # Unit normals a standard deviation apart: 0.76 at best.
    assert 0.65 < samples.two_sample_auc(one, other)["auc"] < 0.78


def test_percentile_offsets_are_in_standard_deviations(rng):
    published = {
        p: float(np.percentile(np.arange(1001) / 1000, float(p))) for p in ("10", "50", "90")
    }
    values = np.append(np.arange(1001) / 1000 + 0.1, np.nan)
    offsets = catalogues.percentile_offsets(values, published)["offset"]
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
    tried = catalogues.try_explanations(parent, parent, parent)
    assert tried["dn4000"]["of the whole galaxy"] == tried["dn4000"]["as it is"]
    assert tried["a_v"]["errors of 0.4 mag"]["10"] < tried["a_v"]["as it is"]["10"]
    assert tried["a_v"]["both"]["90"] > tried["a_v"]["as it is"]["90"] + 0.3
    tried = tried["oxygen_abundance"]
    assert tried["whatever lines are seen"] == tried["as it is"]


def test_simple_measurements_of_a_known_image():
    row = image_controls.measure_images(np.stack([blob(8.0)])).iloc[0]
    assert row["axis_ratio"] == pytest.approx(0.5, abs=0.05)
    # Half of the light of this ellipse is within 0.83 of its long axis.
    assert row["radius"] == pytest.approx(0.83 * 8, rel=0.1)
    assert row["red_blue"] == pytest.approx(0.4 * 120, rel=0.4)
    # Differences of neighbours of the mean of three channels.
    assert row["texture"] == pytest.approx(2 * np.sqrt(2 / 3), rel=0.15)
    assert 0 < row["bright"] < 0.02
    assert 80 < row["centre"] < 124


def test_enlarged_cutouts_have_the_wanted_radius():
    images = np.stack([blob(4.0, seed=k) for k in range(3)])
    before = measurements.light_and_radius(images)[:, 1]
    after = measurements.light_and_radius(measurements.enlarge(images, np.array([10.0])))[:, 1]
    assert (before < 5).all()
    np.testing.assert_allclose(after, 10, rtol=0.12)
    # Large ones are but a JPEG more.
    same = measurements.enlarge(images, np.array([1.0])).astype(float)
    assert np.abs(same - images).mean() < 2
    assert (measurements.resample_cutout(images[0], 1.0) == images[0]).all()


def test_partners_are_alike_and_of_one_galaxy_each(rng):
    real = rng.normal(size=(40, 2)) * [1, 10]
    others = np.concatenate([real + 0.01, real + 5])[rng.permutation(80)]
    partners = samples.match_pairs(real, others)
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
    table = measurements.measure(np.stack([plain, lopsided, crowded, red_core]))
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
    found = measurements.measure(images)["correlation"]
    np.testing.assert_allclose(found, [0, 0.25], atol=0.05)


def test_the_half_that_judges_is_not_the_half_that_was_looked_at(monkeypatch):
    """Pictures all alike cannot be told apart; brighter skies are seen."""
    seen = []

    def measured(images):
        seen.append(images)
        sky = images[:, :8].mean(axis=(1, 2, 3))
        other = images[:, 64, 64].mean(axis=-1)
        names = [c for group in measurements.GROUPS.values() for c in group]
        return pd.DataFrame({c: sky if c == "sky" else other for c in names})

    monkeypatch.setattr(cutouts, "measure", measured)
    images = np.stack([blob(8.0 + 0.02 * k, noise=1.0, seed=k) for k in range(160)])
    result = cutouts.compare_cutouts(images[::2], images, measurements.GROUPS, 1)
    assert result["n_real"] == result["n_simulated"] == 40
    real = [{image.tobytes() for image in images} for images in (seen[0], seen[2])]
    assert len(real[0] | real[1]) == 80
    assert not real[0] & real[1]
    assert set(result["auc"]) == {"chosen", "judged"}
    assert set(result["auc"]["judged"]) == {"all", *measurements.GROUPS}
    brighter = images.copy()
    brighter[:, :16] += 20
    result = cutouts.compare_cutouts(images[::2], brighter, {"background": ["sky", "noise"]}, 1)
    assert list(result["auc"]["judged"]) == ["all", "background"]
    assert result["statistics"]["sky"]["auc"] > 0.9


def test_a_network_sees_what_differs():
    soft = np.stack([blob(8.0, noise=1.0, seed=k) for k in range(64)])
    noisy = np.stack([blob(8.0, noise=8.0, seed=k) for k in range(64, 128)])
    auc = cutouts.network_auc((soft[:32], noisy[:32]), (soft[32:], noisy[32:]), 6)
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
    result = catalogues.compare_catalogues(made_up(rng, 1200), made_up(rng, 2400, shift=0.05))
    assert result["colour_auc"]["judged"]["auc"] > 0.75
    assert result["colour_auc"]["judged, zero points fitted anew"]["auc"] < 0.6
    for value in result["zero_points"].values():
        assert value == pytest.approx(-0.05, abs=0.03)
    assert result["magnitude_errors"]["r"]["ratio"] == pytest.approx(1.5, abs=0.05)


# Cutouts of a folder ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder_of_cutouts(tmp_path_factory):
    """Simulated cutouts that replace real ones, which are not in the repository."""
    folder = tmp_path_factory.mktemp("cutouts")
    for k, image in enumerate(render(simulate_catalogue(24, 99), 99)):
        (folder / f"{k:02d}.jpg").write_bytes(encode_jpeg(image))
    return folder


def test_cutouts_of_a_folder_give_the_golden_numbers(folder_of_cutouts, place, monkeypatch):
    plan = cutouts.Plan(cutouts_folder=str(folder_of_cutouts), network_epochs=2)
    cutouts.make(plan, place)
    found = cutouts.STUDY.read(place.folder).content
    golden = json.loads((GOLDEN / "realism_cutouts.json").read_text(encoding="utf-8"))
    assert found["version"] == golden["version"]
    assert found["n_real"] == found["n_simulated"] == 12
    for name, medians in golden["medians"].items():
        found_medians = [found["statistics"][name][kind][1] for kind in ("real", "simulated")]
        assert found_medians == pytest.approx(medians, rel=golden["relative"], abs=1e-3), (
            "results of the study realism_cutouts have changed: raise its version, or say why"
        )
    # The same images in another place are the same result.
    elsewhere = folder_of_cutouts.rename(folder_of_cutouts.with_name("elsewhere"))
    monkeypatch.setattr(cutouts, "compare_cutouts", lambda *_: pytest.fail("made again"))
    cutouts.make(replace(plan, cutouts_folder=str(elsewhere)), place)


def test_too_few_cutouts_are_refused(tmp_path, place):
    with pytest.raises(RunError, match="contains 0 cutouts: name a folder of at least 20 JPEG"):
        cutouts.make(cutouts.Plan(cutouts_folder=str(tmp_path)), place)


def test_without_a_folder_cutouts_are_read(tmp_path):
    found = cutouts.find("made", tmp_path, cutouts.Plan())
    assert found.content == cutouts.STUDY.read().content


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
def test_a_telling_feature_gains_and_a_shuffled_one_does_not(rng, monkeypatch, shuffled, low, high):
    monkeypatch.setattr(image_controls, "WIDTH", 48)
    control = image_controls.Control("survey", ("cosine",), "hidden", ("a_v",), shuffled)
    plan = image_controls.Plan(trainings=2, n_steps=300)
    result = image_controls.gain(linear_table(rng, 3000), 500, control, plan, {})
    assert low < result["gain"] < high
    assert result["standard_error"] < 0.1


def test_the_book_is_judged_on_its_own_test_galaxies(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    survey = {"n_galaxies": 60, "seed": 4, "validation": 0.2, "test": 0.3}
    catalogue = simulate_catalogue(**survey)
    table, n_test = image_controls.features_of_book(survey)
    sizes = catalogue["split"].value_counts()
    assert n_test == sizes["test"]
    assert len(table) == 60
    in_order = pd.concat(
        [catalogue[catalogue["split"] == name] for name in ("train", "validation", "test")]
    )
    np.testing.assert_array_equal(table["mag_r"], in_order["mag_r"])
    np.testing.assert_allclose(table["cosine"], np.cos(np.radians(in_order["inclination"])))
    np.testing.assert_allclose(10 ** table["log_radius"], in_order["disc_radius"])


def test_controls_are_added_and_none_is_made_twice(place, rng, monkeypatch):
    monkeypatch.setattr(
        image_controls, "make_features", lambda sample, n, seed: linear_table(rng, n)
    )
    monkeypatch.setattr(
        image_controls, "features_of_book", lambda survey: (linear_table(rng, 60), 20)
    )
    controls = {
        name: image_controls.Control(sample, ("cosine",), name, ("a_v",))
        for name, sample in (("a", "survey"), ("b", "book"))
    }
    monkeypatch.setattr(image_controls, "CONTROLS", controls)
    asked = []

    def density(features, properties, n_test, n_steps, seed, start=None):
        asked.append((features.shape[1], start))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return np.zeros(n_test) + features.shape[1], "flow"

    monkeypatch.setattr(image_controls, "log_probabilities", density)
    plan = image_controls.Plan(controls=("a",), n_survey=50, n_test=10, trainings=1)
    image_controls.make(plan, place)
    both = replace(plan, controls=("a", "b"))
    with pytest.raises(KeyboardInterrupt):
        image_controls.make(both, place)
    image_controls.make(both, place)
    # Photometry twice and the feature for "a", the interrupted "b", then "b".
    first = [(5, None), (5, "flow"), (6, "flow")]
    assert asked == [*first, (5, None), *first]
    found = image_controls.STUDY.read(place.folder).content["experiments"].values()
    assert [result["gain"] for result in found] == [1, 1]
    assert [result["n_test"] for result in found] == [10, 20]
    # Other settings are another result.
    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        image_controls.make(replace(both, n_test=11), place)
    assert len(asked) == 4
    with pytest.raises(RunError, match="no c among the controls: choose from a, b"):
        image_controls.make(replace(plan, controls=("c",)), place)


# Stored results --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    studies = (catalogues.STUDY, cutouts.STUDY, image_controls.STUDY)
    return {study.name: study.read().content for study in studies}


def test_the_survey_is_as_real_as_the_book_says(published):
    found = published["realism"]["catalogues"]
    assert found["colour_auc"]["judged"]["auc"] <= 0.70
    for errors in found["magnitude_errors"].values():
        assert 0.8 < errors["ratio"] < 1.2
    gains = {
        k: (r["gain"], r["standard_error"]) for k, r in published["controls"]["experiments"].items()
    }
    assert gains["stamp_flux"][0] < 0.03
    assert gains["shuffled"][0] < 2 * gains["shuffled"][1]
    assert abs(gains["inclination_blind"][0]) < 3 * gains["inclination_blind"][1]
    assert gains["inclination"][0] > 5 * gains["inclination"][1]
    assert gains["shape"][0] > 0


def test_figures_name_axes_and_units(published):
    found = published["realism"]
    drawn = {
        "$g-r$ [mag]": lambda: shown.colour_comparison(
            found["catalogues"]["colours"], source=SOURCE
        ),
        "simulated − real [std. dev.]": lambda: shown.percentile_offsets(
            found["percentiles"], found["explanations"], allowed=0.15, source=SOURCE
        ),
    }
    for label, make in drawn.items():
        assert label in all_texts(draw(make))


def test_offsets_are_drawn_by_percentile_and_assumption(published):
    found = published["realism"]
    spread = {"g−r": [0.4, 0.5, 0.6, 0.7, 0.8]}
    draw(lambda: shown.colour_comparison({"real": spread, "simulated": spread}, source=SOURCE))
    figure = draw(
        lambda: shown.percentile_offsets(
            found["percentiles"], found["explanations"], allowed=0.15, source=SOURCE
        )
    )
    mass, dust = figure.axes[0], figure.axes[-1]
    offsets = [of["offset"] for of in found["percentiles"]["log_stellar_mass"].values()]
    assert mass.get_lines()[1].get_ydata().tolist() == offsets
    assert "dust of the emission lines" in {line.get_label() for line in dust.get_lines()}
    assert len(dust.get_lines()) == 6


def test_a_table_of_stored_results():
    row = {"real": [2, 3.123, 5], "simulated": [4, 4.1, 5], "auc": 0.7}
    table = shown.cutout_statistics({"m20": row})
    spreads = {"real": "3.12 (2.00 to 5.00)", "simulated": "4.10 (4.00 to 5.00)"}
    assert table.loc["M20"].to_dict() == spreads | {"AUC": "0.70"}
