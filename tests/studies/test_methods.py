"""Other methods: density methods find a posterior that is known, point methods its mean."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import toy_survey

from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import render, simulate_catalogue
from galcfm.survey import Survey
from galcfm.survey.images import PIXEL_SCALE, lupton_rgb
from galcfm.training import RECIPES
from studies import methods
from studies.methods import annuli, boosting, contrastive, measured_morphology, sed_fitting
from studies.methods import simulated_spectra as spectra
from studies.methods.base import labelled, photometry
from studies.methods.flow_variants import CONDITIONINGS
from studies.methods.gradient_descent import LARGEST_GRADIENT, descend

zuko = pytest.importorskip("zuko")

# Far shorter than on galaxies: what is to be learned is linear.
QUICK = methods.Descent(max_epochs=10, batch_size=200, learning_rate=1e-2, average_decay=0.98)
SMALL = {"transforms": 1, "hidden": (32, 32)}
PIXELS = {"crop": 8, "bin_factor": 4, "width": 4}
# Few weights, as there are few pictures; it can be no other posterior than a normal one anyway.
SLIGHT = {"kind": "affine", "transforms": 1, "hidden": (16,)}
# Batches are large because the images are flat: normalisation by a small one is noise.
SEEING = replace(QUICK, max_epochs=50, batch_size=480, average_decay=0.97)


def with_pictures(survey: Survey, level: np.ndarray) -> Survey:
    """The survey with a disc of some brightness in the middle of each cutout."""
    y, x = np.indices((128, 128)) - 63.5
    disc = (np.hypot(x, y) < 30)[None, :, :, None]
    level = np.clip(np.rint(level), 0, 255).astype(np.uint8)[:, None, None, None]
    images = np.where(disc, level, np.uint8(8)) * np.ones(3, np.uint8)
    return Survey(survey.catalogue, images, survey.parameters, survey.name)


def known_log_prob(survey: Survey, told=None) -> np.ndarray:
    """Log-density of the labels of `toy_survey` under the posterior that they are drawn from.

    Given photometry, and `told`, the latent that A_V alone depends on, where it is seen.
    """
    latent = (survey.magnitudes - [18.5, 17.5, 17.0, 16.7, 16.5]) / 0.3
    mean = np.array([10.0, 0.0, 8.9, 1.4, 0.8]) + 0.2 * latent
    std = np.full(mean.shape, 0.1)
    if told is None:
        std[:, 4] = np.hypot(0.1, 0.4)
    else:
        mean[:, 4] += 0.4 * told
    z = (survey.properties - mean) / std
    return (-0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=1)


def shortfall(method, survey: Survey, told=None) -> float:
    """Mean log-density of the known posterior less that of the method, on the test split [nat]."""
    test = survey.split("test")
    if told is not None:
        told = pd.Series(told, index=survey.object_id)[test.object_id].to_numpy()
    return float((known_log_prob(test, told) - method.log_prob(test.properties, test)).mean())


@pytest.fixture(scope="module")
def linear() -> Survey:
    return toy_survey(20_000, 3, images=False)


@pytest.fixture(scope="module")
def pictured() -> tuple[Survey, np.ndarray]:
    """Galaxies whose A_V is linear in the brightness of their images, and this latent variable."""
    survey = toy_survey(8000, 4, images=False)
    latent = np.random.default_rng(5).standard_normal(len(survey)).clip(-3, 3)
    level = np.rint(120 + 40 * latent)
    latent = (level - 120) / 40
    # Without the latent of `toy_survey` itself.
    rng = np.random.default_rng(6)
    seen = (survey.catalogue["mag_z"].to_numpy() - 16.5) / 0.3
    survey.catalogue["a_v"] = 0.8 + 0.2 * seen + 0.1 * rng.standard_normal(len(survey))
    survey.catalogue["a_v"] += 0.4 * latent
    return with_pictures(survey, level), latent


# Gradient descent --------------------------------------------------------------------------------


def test_descent_clips_gradients_and_leaves_out_batches_of_one():
    sizes = []

    def loss(network, x, generator):
        sizes.append(len(x))
        return 1e3 * (network(x) - 1e3).square()[:, 0]

    network = torch.nn.Linear(1, 1)
    settings = methods.Descent(max_epochs=1, batch_size=4)
    found = descend(network, loss, (torch.ones(9, 1),), (torch.ones(3, 1),), settings)
    assert sizes == [4, 4, 3]
    gradient = torch.cat([p.grad.flatten() for p in network.parameters()])
    assert gradient.norm().item() == pytest.approx(LARGEST_GRADIENT, rel=1e-4)
    assert (found["epochs"], found["best_epoch"]) == (1, 0)


# Posteriors that are known -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        methods.SplineFlow(**SMALL, descent=replace(QUICK, max_epochs=16)),
        methods.SplineFlow(kind="affine", **SMALL, descent=QUICK),
        methods.FlowVariant(hidden_width=64, depth=2, sigma=0.02, descent=QUICK),
        methods.FlowMatching(
            "photometry",
            replace(
                RECIPES["quick"],
                width=64,
                depth=2,
                sigma=0.02,
                photometry_max_epochs=10,
                batch_size=200,
                learning_rate=1e-2,
                average_decay=0.98,
            ),
        ),
    ],
    ids=["splines", "affine", "variant", "ours"],
)
def test_photometric_posteriors_are_found(method, linear, tmp_path):
    method.fit(linear, folder=tmp_path)
    assert -0.02 < shortfall(method, linear) < 0.05
    # Draws are those of the density: log p at draws is that of a normal distribution.
    some = linear.split("test").select(np.arange(20))
    draws = method.sample(some, 200)
    assert draws.shape == (20, 200, 5)
    spread = draws.std(axis=1).mean(axis=0)
    np.testing.assert_allclose(spread, [0.1, 0.1, 0.1, 0.1, np.hypot(0.1, 0.4)], rtol=0.15)
    assert method.log_prob(draws, some).mean() == pytest.approx(
        -np.log(spread).sum() - 2.5 * np.log(2 * np.pi * np.e), abs=0.3
    )


@pytest.mark.parametrize(
    ("method", "allowed"),
    [
        (methods.SplineFlow(encoder="paper", **PIXELS, **SLIGHT, descent=SEEING), 0.05),
        # Flow matching needs more galaxies than there are pictures here: see above.
        (
            methods.FlowVariant(
                encoder="max_pooling",
                **PIXELS,
                hidden_width=64,
                depth=2,
                sigma=0.02,
                descent=replace(SEEING, batch_size=240),
            ),
            0.15,
        ),
    ],
    ids=["splines", "variant"],
)
def test_posteriors_from_pictures_are_found(method, allowed, pictured):
    survey, latent = pictured
    method.fit(survey)
    # Without the image it would be 1.4.
    assert -0.02 < shortfall(method, survey, latent) < allowed


class Linear(methods.SpectralDiffusion):
    """The detour by spectra that are linear in magnitudes and in a latent of their own."""

    def spectra(self, survey):
        latent = (survey.magnitudes - [18.5, 17.5, 17.0, 16.7, 16.5]) / 0.3
        own = survey.catalogue["ebv"].to_numpy()[:, None]
        return np.concatenate([latent, own], axis=1)


def test_the_detour_by_spectra_finds_the_posterior(linear):
    pytest.importorskip("diffusers")
    rng = np.random.default_rng(8)
    table = linear.catalogue.copy()
    seen = (table["mag_z"].to_numpy() - 16.5) / 0.3
    # A_V goes with what spectra show and magnitudes do not, but for some noise.
    table["ebv"] = 0.5 * rng.standard_normal(len(table))
    own = np.hypot(0.1, 0.4) * np.sqrt(0.5)
    table["a_v"] = 0.8 + 0.2 * seen + own * (2 * table["ebv"] + rng.standard_normal(len(table)))
    survey = Survey(table)
    options = {"noise": 0.0, "steps": 25, "hidden_width": 64}
    options |= {"kind": "affine", **SMALL, "epochs": 12}
    method = Linear(**options, descent=replace(QUICK, max_epochs=12)).fit(survey)
    test = survey.split("test").select(np.arange(500))
    std = np.array([0.1, 0.1, 0.1, 0.1, np.hypot(0.1, 0.4)])
    latent = (test.magnitudes - [18.5, 17.5, 17.0, 16.7, 16.5]) / 0.3
    z = (test.properties - np.array([10.0, 0.0, 8.9, 1.4, 0.8]) - 0.2 * latent) / std
    known = (-0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    # The number of threads decides the last digits of a training, which grow.
    assert -0.02 < np.mean(known - method.log_prob(test.properties, test)) < 0.06
    assert method.log_prob_of_true_spectra(test).mean() > known.mean()
    assert method.sample(test.select([0, 1]), 7).shape == (2, 7, 5)


class Level(methods.AnnulusFlow):
    """Sees one number of each galaxy, and counts how often it is measured."""

    asked = 0

    def measure(self, part):
        type(self).asked += len(part)
        return pd.DataFrame({"level": part.catalogue["ebv"]})


def test_what_is_measured_on_no_picture_is_refused(linear):
    class Blind(methods.AnnulusFlow):
        def measure(self, part):
            return pd.DataFrame({"level": np.full(len(part), np.nan)})

    with pytest.raises(ValueError, match="level could be measured on none of its images"):
        Blind(kind="affine", **SMALL, descent=QUICK).fit(linear)


def test_measured_features_condition_the_posterior_and_are_kept(linear, tmp_path):
    rng = np.random.default_rng(9)
    table = linear.catalogue.copy()
    latent = rng.standard_normal(len(table))
    seen = (table["mag_z"].to_numpy() - 16.5) / 0.3
    table["a_v"] = 0.8 + 0.2 * seen + 0.4 * latent + 0.1 * rng.standard_normal(len(table))
    table["ebv"] = 0.1 + 0.01 * latent
    survey = Survey(table)
    method = Level(kind="affine", **SMALL, descent=QUICK).fit(survey, folder=tmp_path)
    assert -0.02 < shortfall(method, survey, latent) < 0.05
    assert Level.asked == len(survey)
    again = Level(kind="affine", **SMALL, descent=replace(QUICK, max_epochs=1))
    again.fit(survey, folder=tmp_path)
    np.testing.assert_array_equal(again.features(survey), method.features(survey))
    assert Level.asked == len(survey)


def test_a_frozen_encoder_conditions_the_posterior(pictured):
    survey, latent = pictured
    encoder = methods.make_encoder("paper", **PIXELS)
    encoder.standardise(torch.from_numpy(survey.images[:500]))
    before = [p.clone() for p in encoder.parameters()]
    encoder.eval().requires_grad_(False)
    method = methods.SplineFlow(encoder=encoder, **SLIGHT, descent=SEEING).fit(survey)
    assert -0.02 < shortfall(method, survey, latent) < 0.1
    assert all((a == b).all() for a, b in zip(before, encoder.parameters(), strict=True))


# Point estimates ---------------------------------------------------------------------------------


def test_neighbours_are_averaged(linear):
    method, test = methods.Neighbours().fit(linear), labelled(linear, "test")
    error = method.predict(test) - test.properties
    assert (error.std(axis=0) < test.properties.std(axis=0)).all()
    train = labelled(linear, "train")
    nearest = ((photometry(train) - photometry(test)[0]) ** 2).sum(axis=1).argsort()[:30]
    assert method.predict(test)[0] == pytest.approx(train.properties[nearest].mean(axis=0))


def test_boosting_predicts_and_its_intervals_cover(linear):
    method = methods.Boosting(max_iter=150).fit(linear)
    test = linear.split("test")
    truth = test.properties
    rmse = np.sqrt(np.mean((method.predict(test) - truth) ** 2, axis=0))
    np.testing.assert_allclose(rmse, [0.1, 0.1, 0.1, 0.1, np.hypot(0.1, 0.4)], rtol=0.06)
    assert -0.02 < shortfall(method, linear) < 0.1
    for level in (0.68, 0.95):
        low, high = np.moveaxis(method.intervals(test, level), -1, 0)
        np.testing.assert_allclose(((low < truth) & (truth < high)).mean(axis=0), level, atol=0.03)


def test_regression_reads_pictures(pictured):
    pytest.importorskip("transformers")
    survey, _ = pictured
    descent = replace(QUICK, max_epochs=6, batch_size=100, learning_rate=3e-3)
    pixels = {"crop": 32, "bin_factor": 4, "width": 16}
    method = methods.PictureRegression(magnitudes=True, **pixels, descent=descent).fit(survey)
    test = survey.split("test")
    residual = method.predict(test)[:, 4] - test.properties[:, 4]
    # Photometry alone is off by 0.41, with the image by 0.1.
    assert residual.std() < 0.15
    draws = method.sample(test, 50)
    assert draws.shape == (len(test), 50, 5)
    assert (draws.mean(axis=1) - method.predict(test))[:, 4].std() < 0.05


def test_a_method_of_ones_own_takes_two_functions(linear):
    class Mean(methods.PointMethod):
        def fit_point(self, survey, progress):
            self.mean = methods.labelled(survey, "train").properties.mean(axis=0)

        def predict(self, galaxies):
            return np.tile(self.mean, (len(galaxies), 1))

    method, test = Mean().fit(linear), linear.split("test")
    spread = linear.split("train").properties.std(axis=0)
    found = method.sample(test.select(np.arange(3)), 4000)
    np.testing.assert_allclose(found.std(axis=1), np.tile(spread, (3, 1)), rtol=0.05)
    expected = -np.log(spread).sum() - 2.5 * np.log(2 * np.pi * np.e)
    assert method.log_prob(test.properties, test).mean() == pytest.approx(expected, abs=0.1)


def test_conformal_widths_are_order_statistics():
    residuals = np.linspace(-1, 1, 99)[:, None] * [1.0, 2.0]
    size = np.sort(np.abs(residuals), axis=0)
    np.testing.assert_allclose(boosting.conformal_width(residuals, 0.9), size[89])
    assert np.isinf(boosting.conformal_width(residuals[:9], 0.95)).all()


# Inputs ------------------------------------------------------------------------------------------


def test_photometric_features_are_those_of_this_book(linear):
    some = linear.select(np.arange(50))
    own = Posterior("r_and_colours", use_redshift=True)
    np.testing.assert_allclose(photometry(some, redshift=True), own.raw_features(own.observe(some)))


def test_cutouts_are_decoded_and_rings_hold_their_light():
    rng = np.random.default_rng(0)
    fluxes = rng.uniform(0.02, 0.25, (3, 64, 64)).astype(np.float32)
    image = lupton_rgb(*fluxes)
    unsaturated = (image < 255).all(axis=-1)
    found = annuli.decoded(image[None])[0]
    np.testing.assert_allclose(
        found[unsaturated], np.moveaxis(fluxes, 0, -1)[unsaturated], rtol=0.04, atol=0.002
    )
    # Light between 3 and 5 arcsec on a sky is in that ring alone, and the sky is gone.
    y, x = (np.indices((128, 128)) - 63.5) * 0.396
    ring = (np.hypot(x, y) > 3) & (np.hypot(x, y) < 5)
    light = annuli.annulus_fluxes((0.1 + ring)[None, ..., None] * np.ones(3))[0]
    expected = np.zeros(len(annuli.RADII))
    expected[annuli.RADII.index(5.0)] = ring.sum()
    np.testing.assert_allclose(light[:, 0], expected, atol=1e-6)


def test_stamps_are_what_the_cutouts_were_made_of():
    survey = Survey(simulate_catalogue(3, 0))
    seen = annuli.decoded(render(survey.catalogue, 0))
    stamps = annuli._stamps(survey)
    assert stamps.shape == seen.shape
    bright = seen.max(axis=-1) > 0.05
    assert np.corrcoef(stamps[bright].ravel(), seen[bright].ravel())[0, 1] > 0.9


def test_morphology_tells_shapes_apart():
    y, x = np.indices((128, 128)) - 63.5
    rng = np.random.default_rng(0)

    def galaxy(q, index, radius=6.0):
        r = np.hypot(x, y / q) / radius
        light = 0.3 * np.exp(-1.678 * r ** (1 / index)) + 0.004 * rng.normal(size=x.shape) + 0.02
        return lupton_rgb(*[light.astype(np.float32)] * 3)

    found = pd.DataFrame(
        [measured_morphology.morphology(galaxy(*of)) for of in ((1, 1), (0.4, 1), (1, 3))]
    )
    assert list(found) == list(measured_morphology.NAMES)
    assert found["ellipticity_asymmetry"][1] > found["ellipticity_asymmetry"][0] + 0.3
    assert found["concentration"][2] > found["concentration"][0]
    assert found["rhalf_ellip"][0] == pytest.approx(6 * PIXEL_SCALE, rel=0.25)


# Spectra -----------------------------------------------------------------------------------------


def test_spectra_are_those_of_the_catalogue(monkeypatch):
    monkeypatch.setattr(spectra, "ROUND", 10)
    monkeypatch.setattr(spectra, "kept_table", lambda name, key, make: make())
    survey = Survey(simulate_catalogue(20, 0))
    found = spectra.spectra_of(survey)
    assert np.isfinite(found).all()
    # The luminosity at 5000 Å goes with the observed magnitude in g once distance is taken out.
    wavelength = spectra.simulated_spectra(1, 0).columns[: found.shape[1]].astype(float)
    at = found[:, np.argmin(np.abs(wavelength - 5000))]
    modulus = 5 * np.log10(survey.redshift)
    assert np.corrcoef(at, survey.magnitudes[:, 1] - modulus)[0, 1] < -0.97
    # Stars, as Dn(4000) has them, and a chosen few in their own order.
    rows = np.array([7, 3, 11])
    np.testing.assert_array_equal(spectra.spectra_of(survey.select(rows)), found[rows])
    other = survey.catalogue.assign(mag_r=survey.catalogue["mag_r"] + 0.1)
    with pytest.raises(ValueError, match="other galaxies"):
        spectra.spectra_of(Survey(other))
    with pytest.raises(ValueError, match="no simulated survey"):
        spectra.spectra_of(toy_survey(10, images=False))


def test_components_hold_what_varies():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(30, 3)))[0].T
    values = rng.normal(size=(400, 3)) * [3, 2, 1]
    data = 5 + values @ basis
    found = spectra.Components.of(data, 3)
    np.testing.assert_allclose(found(data) @ found.basis + found.mean, data, atol=1e-9)
    first = spectra.Components.of(data, 1)
    assert np.abs(first(data) @ first.basis + first.mean - data).max() > 1


def test_alignment_finds_the_spectrum_of_a_picture(pictured):
    survey, latent = pictured
    encoder = methods.make_encoder("paper", **PIXELS)
    encoder.standardise(torch.from_numpy(survey.images[:500]))
    latent = pd.Series(latent, index=survey.object_id)
    of = {
        split: latent[labelled(survey, split).object_id].to_numpy()[:, None]
        for split in ("train", "validation")
    }
    found = contrastive.align(
        encoder, survey, of, methods.Descent(max_epochs=10, batch_size=128, learning_rate=3e-3)
    )
    # Chance finds one in 256; pictures of one brightness are alike.
    assert found["found"] > 5 / 256


def test_latents_of_an_autoencoder_redraw_pictures(pictured):
    survey, latent = pictured
    drawing = methods.Descent(max_epochs=15, batch_size=100, learning_rate=3e-3)
    pixels = {"crop": 64, "bin_factor": 8, "width": 16}
    method = methods.LatentFlow(n_latents=2, drawing=drawing, **pixels, **SLIGHT, descent=SEEING)
    method.fit(survey)
    encoder, test = method.encoder, survey.split("test")
    pictures = encoder.bin(torch.from_numpy(test.images))
    with torch.no_grad():
        drawn = encoder.decoder(encoder.encode(pictures))
        misfit = (drawn - encoder.pixels.prepare(pictures)).square().mean()
    assert misfit < 0.2  # of a variance of 1
    assert -0.02 < shortfall(method, survey, latent) < 0.3


# Encoders and conditioning -----------------------------------------------------------------------


@pytest.mark.parametrize("name", methods.ENCODERS)
def test_encoders_are_chosen_by_name(name, survey):
    if name in ("resnet", "vit"):
        pytest.importorskip("transformers")
    encoder = methods.make_encoder(name, crop=96, bin_factor=6, width=16)
    encoder.standardise(torch.from_numpy(survey.images[:20]))
    features = encoder(torch.from_numpy(survey.images[:4]))
    assert features.shape == (4, encoder.n_features) == (4, 16)
    features.square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_an_encoder_comes_from_a_folder(tmp_path, survey):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8,
    )  # fmt: skip
    network = transformers.ViTModel(config, add_pooling_layer=False)
    network.save_pretrained(tmp_path / "model")
    encoder = methods.make_encoder(str(tmp_path / "model"), crop=96, bin_factor=6)
    assert encoder(torch.from_numpy(survey.images[:2])).shape == (2, 16)
    own = network.state_dict()
    loaded = encoder.network.state_dict()
    assert all((loaded[k] == v).all() for k, v in own.items())
    with pytest.raises(ValueError, match="no encoder '/nowhere/model'"):
        methods.make_encoder("/nowhere/model")


@pytest.mark.parametrize("name", list(CONDITIONINGS))
def test_divergences_are_exact(name):
    network = CONDITIONINGS[name](5, 7, width=16, depth=2).double()
    x, condition = torch.randn(3, 4, 5).double(), torch.randn(3, 7).double()
    prepared, t = network.prepare(condition)[:, None], torch.tensor([0.3]).double()
    velocity, divergence = network.evaluate_with_divergence(t, x, prepared)
    step, found = 1e-5, 0.0
    for k in range(5):
        off = step * torch.eye(5)[k].double()
        up, down = (network.evaluate(t, x + s * off, prepared) for s in (1, -1))
        found = found + ((up - down) / (2 * step))[..., k]
    torch.testing.assert_close(divergence, found, rtol=1e-5, atol=1e-6)
    # Each galaxy's velocity is of its own condition.
    alone = network.evaluate(t, x[1:2], network.prepare(condition[1:2])[:, None])
    torch.testing.assert_close(velocity[1:2], alone)


# SED fitting -------------------------------------------------------------------------------------


def test_fits_are_kept_and_pushed_through_label_noise(tmp_path, monkeypatch):
    galaxies = Survey(simulate_catalogue(12, 1, validation=0.2, test=0.3))
    rng, asked = np.random.default_rng(0), []

    def fit_one(self, galaxy):
        asked.append(galaxy.object_id[0])
        return rng.normal([10, 0, 1.3, 1], 0.01, (500, 4)).astype("f4")

    monkeypatch.setattr(sed_fitting.SedFitting, "_fit_one", fit_one)
    method = methods.SedFitting().fit(galaxies, folder=tmp_path)
    some = galaxies.select(np.arange(3))
    draws = method.sample(some, 2000)
    assert method.properties == tuple(n for n in PROPERTY_NAMES if n != "oxygen_abundance")
    # Labels have errors of 0.1 dex and more, which fits do not know.
    assert (draws.std(axis=1) > 0.03).all()
    assert len(asked) == 3
    again = methods.SedFitting().fit(galaxies, folder=tmp_path)
    np.testing.assert_array_equal(again.sample(some, 2000), draws)
    assert len(asked) == 3
    # The density is that of the noisy draws.
    points = draws[:, :60]
    log_prob = method.log_prob(points, some)
    assert log_prob.shape == (3, 60)
    entropy = 0.5 * np.log(2 * np.pi * np.e) * 4 + np.log(draws.std(axis=1)).sum(axis=1)
    np.testing.assert_allclose(-log_prob.mean(axis=1), entropy, atol=0.4)


def test_model_galaxies_have_the_properties_of_the_survey():
    pytest.importorskip("bagpipes")
    pipes = sed_fitting._bagpipes()
    fluxes = np.array([20.0, 60, 100, 130, 150])
    galaxy = pipes.galaxy(
        "0",
        lambda _: np.c_[fluxes, 0.03 * fluxes],
        filt_list=sed_fitting._filters(),
        spectrum_exists=False,
        phot_units="mujy",
    )
    fitted = pipes.fitting.fitted_model(galaxy, sed_fitting._instructions(0.1, 12.0))
    by_name = dict(zip(fitted.params, range(fitted.ndim), strict=True))
    point = np.array([fitted.prior.transform(np.full(fitted.ndim, 0.5))])[0]

    def read(**changes):
        here = point.copy()
        for name, value in changes.items():
            here[by_name[name.replace("_", ":")]] = value
        return dict(
            zip(methods.SedFitting.properties, sed_fitting._read(fitted, here), strict=True)
        )

    plain, heavy = read(delayed_massformed=10.0), read(delayed_massformed=11.0)
    assert heavy["log_stellar_mass"] - plain["log_stellar_mass"] == pytest.approx(1)
    assert heavy["log_sfr"] - plain["log_sfr"] == pytest.approx(1)
    assert heavy["dn4000"] == pytest.approx(plain["dn4000"])
    clear, dusty = read(dust_Av=0.0), read(dust_Av=1.0)
    assert clear["a_v"] == pytest.approx(0, abs=1e-6)
    # Birth clouds add to it a little.
    assert 1.0 < dusty["a_v"] < 1.3
    assert read(delayed_age=8.0)["dn4000"] > read(delayed_age=1.0)["dn4000"] + 0.1
