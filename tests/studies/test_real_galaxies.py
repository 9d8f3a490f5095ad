"""Real galaxies of kcorrect, its masses, and the models that are published."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from drawn import SOURCE, all_texts, draw

from galcfm import Posterior, Survey
from galcfm.paths import published_folder
from galcfm.properties import BANDS, EXTINCTION
from galcfm.simulate import render, simulate_catalogue
from studies import photometry_models, real_galaxies
from studies.frame import kept_catalogue


@pytest.fixture(scope="module")
def galaxies() -> Survey:
    columns = {f"mag_{band}": f"flux_{band}" for band in BANDS}
    columns |= {f"magerr_{band}": f"error_{band}" for band in BANDS}
    table = real_galaxies.real_galaxies().iloc[:300]
    return Survey.from_table(table, columns, unit="nanomaggy", total=True, dereddened=False)


def test_real_galaxies_are_on_the_ab_system_and_dereddened(galaxies):
    table = real_galaxies.real_galaxies()
    assert len(table) == 10000
    first = table.iloc[0]
    assert galaxies.object_id[0] == first["object_id"]
    expected = [
        22.5 - 2.5 * np.log10(first[f"flux_{band}"]) - EXTINCTION[band] * first["ebv"]
        for band in BANDS
    ]
    np.testing.assert_allclose(galaxies.magnitudes[0], expected)
    # SDSS magnitudes differ from AB by -0.04 in u and 0.02 in z.
    from astropy.io import fits

    folder = importlib.util.find_spec("kcorrect").submodule_search_locations[0]
    raw = fits.getdata(f"{folder}/data/test/gst_tests_small.fits")["MODELFLUX"][0]
    ratios = [first[f"flux_{band}"] / raw[k] for k, band in enumerate(BANDS)]
    np.testing.assert_allclose(-2.5 * np.log10(ratios), [-0.04, 0, 0, 0, 0.02], atol=1e-6)
    assert 14 < np.median(galaxies.magnitudes[:, 2]) < 18
    assert np.median(table["ebv"]) == pytest.approx(0.026, abs=0.005)


def test_without_kcorrect_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="kcorrect, which brings the galaxies, is missing"):
        real_galaxies.real_galaxies()


def test_kcorrects_masses_follow_the_light(galaxies):
    """Ten times the flux at the same redshift is ten times the mass and the same colour."""
    found = real_galaxies.kcorrect_estimates(galaxies)
    brighter = galaxies.catalogue.assign(
        **{f"mag_{band}": galaxies.catalogue[f"mag_{band}"] - 2.5 for band in BANDS}
    )
    other = real_galaxies.kcorrect_estimates(Survey(brighter))
    difference = (other - found).median()
    expected = {"log_stellar_mass": 1.0, "absolute_r": -2.5, "g_r": 0.0}
    assert difference.to_dict() == pytest.approx(expected, abs=0.01)
    # A red galaxy at z = 0.1 with r = 17 holds about 10^10.8 solar masses.
    assert found["log_stellar_mass"].median() == pytest.approx(10.8, abs=0.3)
    assert 0.2 < real_galaxies.is_blue(found["absolute_r"], found["g_r"]).mean() < 0.5


def test_bias_and_scatter_are_robust():
    rng = np.random.default_rng(0)
    reference = rng.normal(10, 1, 20000)
    found = reference + 0.1 + 0.05 * rng.normal(size=20000)
    found[:200] += 5
    result = real_galaxies.compare_masses(found, reference)
    assert result["bias"] == pytest.approx(0.1, abs=0.005)
    assert result["scatter"] == pytest.approx(0.05, abs=0.003)


def test_values_in_the_middle_of_the_draws_are_inside():
    draws = np.tile(np.linspace(0, 1, 101), (4, 1))
    found = real_galaxies.share_within(draws, [0.1, 0.2, 0.5, 0.9], level=0.68)
    assert found.tolist() == [False, True, True, False]


@pytest.mark.parametrize("n", [1, 60])
def test_figures_name_axes_and_units(n):
    rng = np.random.default_rng(8)
    found = {name: rng.normal(10, 1, n) for name in real_galaxies.NAMES}
    masses = rng.normal(10, 1, n)
    figure = draw(lambda: real_galaxies.mass_differences(found, masses, source=SOURCE))
    assert {"posterior median − kcorrect [dex]", "photometry and redshift"} <= set(
        all_texts(figure)
    )
    flags, colour = rng.uniform(size=n) < 0.2, {"colour": rng.normal(size=n)}
    figure = draw(lambda: real_galaxies.outside_shares(flags, colour, level=0.01, source=SOURCE))
    assert {"share flagged as out of range", "colour"} <= set(all_texts(figure))


def test_training_resumes_and_adds_models(place, monkeypatch):
    trained, real = [], photometry_models.train

    def train(posterior, survey, folder, settings):
        trained.append(folder.name)
        return real(posterior, survey, folder, settings)

    monkeypatch.setattr(photometry_models, "train", train)
    plan = photometry_models.Plan(any_bands=False, n_galaxies=150, max_epochs=1)
    for one in (plan, plan, replace(plan, any_bands=True), replace(plan, max_epochs=2)):
        photometry_models.make(place, None, one)
        # Other settings are another training, not an error and not the old model.
        told = Posterior.load(place.folder / "models" / "photometry_redshift")
        assert told.metadata["settings"]["max_epochs"] == one.max_epochs
    of_all_bands, of_any_bands = (
        list(photometry_models.MODELS)[:2],
        list(photometry_models.MODELS)[2:],
    )
    assert trained == [*of_all_bands, *of_any_bands, *of_all_bands]
    assert told.use_redshift
    assert told.metadata["command"] == photometry_models.STUDY.command
    gaps = Posterior.load(place.folder / "models" / "any_bands")
    assert gaps.missing_bands
    assert gaps.metadata["settings"]["max_epochs"] == 25 // 3
    assert not Posterior.load(place.folder / "models" / "photometry").use_redshift
    survey = kept_catalogue(150, photometry_models.SEED)
    assert len(told.out_of_range(survey.magnitudes, redshift=survey.redshift)) == 150


def test_published_models_know_real_galaxies(galaxies):
    """Masses from five magnitudes and a redshift agree with kcorrect's where models are valid."""
    near = galaxies.select(np.flatnonzero((galaxies.redshift > 0.02) & (galaxies.redshift < 0.2)))
    reference = real_galaxies.kcorrect_estimates(near)
    model = Posterior.load(published_folder() / "models" / "photometry_redshift")
    outside = model.out_of_range(near.magnitudes, redshift=near.redshift)["photometry_outside"]
    blue = real_galaxies.is_blue(reference["absolute_r"], reference["g_r"])
    assert outside[blue].mean() < 0.2 < outside[~blue].mean()
    chosen = near.select(np.flatnonzero(blue & ~outside))
    samples = model.sample(chosen.magnitudes, redshift=chosen.redshift, n_samples=100, steps=12)[
        ..., 0
    ]
    masses = reference["log_stellar_mass"][blue & ~outside].to_numpy()
    result = real_galaxies.compare_masses(samples.median(1).values.numpy(), masses)
    assert abs(result["bias"]) < 0.15
    assert result["scatter"] < 0.15


def test_the_published_image_model_learns_from_pictures():
    """On galaxies that it has not seen; of other galaxies' pictures it makes less."""
    catalogue = simulate_catalogue(160, 4321)
    survey = Survey(catalogue, render(catalogue, 4321))
    other = Survey(catalogue, np.roll(survey.images, 1, axis=0))
    folder = published_folder() / "models"
    image, photometry = (Posterior.load(folder / name, "cpu") for name in ("image", "photometry"))

    def log_prob(model, of):
        return model.log_prob_from(of.properties, model.encode_survey(of), 12).double().numpy()

    gain = log_prob(image, survey) - log_prob(photometry, survey)
    assert gain.mean() > 0.15
    assert (log_prob(image, survey) - log_prob(image, other)).mean() > 0.5
    draws = image.sample(survey.magnitudes[:2], survey.images[:2], n_samples=50, steps=12)
    assert draws.shape == (2, 50, 5)
