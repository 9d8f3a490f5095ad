"""The posterior: standardisation, determinism, disk format, refusals."""

import copy
import json

import arviz
import numpy as np
import pytest
import torch
from conftest import toy_survey
from safetensors.torch import load_file, save_file
from scipy.stats import betabinom

from galcfm import Posterior, Survey, stored_posteriors
from galcfm.posterior import ModelError, Observation, galaxy_seeds
from galcfm.properties import MAGNITUDE_ERRORS, PROPERTIES, PROPERTY_NAMES

SMALL = {"width": 32, "depth": 2}
ENCODER = {"n_features": 8, "widths": [4, 8], "crop": 128, "bin_factor": 8}


@pytest.fixture(scope="module", params=["photometry", "image"])
def posterior(request, survey):
    encoder = ENCODER if request.param == "image" else None
    model = Posterior("r_and_colours", encoder=encoder, network=SMALL)
    model.fit_standardisation(survey.split("train"))
    return model.eval()


def inputs(posterior, survey):
    return survey.magnitudes, survey.images if posterior.uses_images else None


def test_standardisation_is_of_the_training_split_alone(posterior, survey):
    train = survey.split("train")
    theta = posterior.property_scale.apply(train.properties)
    torch.testing.assert_close(theta.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(theta.std(0, correction=0), torch.ones(5), atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="fitted on the training split"):
        posterior.fit_standardisation(survey)


def test_features_are_r_and_four_colours(survey):
    observation = Observation(survey.magnitudes)
    raw = Posterior("r_and_colours").raw_features(observation)
    u, g, r, i, z = survey.magnitudes.T
    np.testing.assert_allclose(raw, np.stack([r, u - g, g - r, r - i, i - z], 1))
    assert Posterior("none").raw_features(observation).shape == (len(survey), 0)


def with_errors(survey):
    errors = np.exp(np.random.default_rng(0).normal(size=(len(survey), 5)))
    catalogue = survey.catalogue.assign(**dict(zip(MAGNITUDE_ERRORS, errors.T, strict=True)))
    return Survey(catalogue, survey.images, name="with errors"), errors


def test_magnitude_errors_are_features_when_asked_for(survey, tmp_path):
    survey, errors = with_errors(survey)
    model = Posterior(use_redshift=True, use_magnitude_errors=True, network=SMALL)
    model.fit_standardisation(survey.split("train"))
    known = {"redshift": survey.redshift, "magnitude_errors": errors}
    condition = model.encode(survey.magnitudes, **known)
    torch.testing.assert_close(condition, model.encode_survey(survey))
    logs = np.log10(errors)
    train = (survey.catalogue["split"] == "train").to_numpy()
    expected = (logs - logs[train].mean(0)) / logs[train].std(0)
    np.testing.assert_allclose(condition[:, 6:], expected, rtol=1e-4, atol=1e-5)

    model.save(tmp_path)
    again = Posterior.load(tmp_path)
    for call in (
        lambda m, **k: m.sample(survey.magnitudes, n_samples=3, steps=2, **k),
        lambda m, **k: m.log_prob(survey.properties, survey.magnitudes, steps=2, **k),
    ):
        one = call(model, **known)
        torch.testing.assert_close(one, call(again, **known))
        other = call(model, **known | {"magnitude_errors": errors / 2})
        assert (one - other).abs().max() > 1e-4
        for lacking in known:
            with pytest.raises(ModelError, match=f"trained with {lacking.replace('_', ' ')}"):
                call(model, **{k: v for k, v in known.items() if k != lacking})
    assert again.infer(survey, n_samples=4, steps=2, progress=False).sizes["object_id"] == 120


def test_wrong_conditions_are_refused(survey):
    survey, errors = with_errors(survey)
    model = Posterior(use_redshift=True, use_magnitude_errors=True, network=SMALL)

    def encode(redshift=survey.redshift, errors=errors):
        model.encode(survey.magnitudes, redshift=redshift, magnitude_errors=errors)

    for value in (0.0, -1.0, np.nan, np.inf):
        broken = errors.copy()
        broken[5, 3] = value
        with pytest.raises(ModelError, match=r"row 5: magerr_"):
            encode(errors=broken)
    with pytest.raises(ModelError, match=r"magnitude_errors has shape \(120, 4\)"):
        encode(errors=errors[:, :4])
    with pytest.raises(ModelError, match=r"magnitude_errors has shape \(3, 5\): \(120, 5\)"):
        encode(errors=errors[:3])
    with pytest.raises(ModelError, match=r"redshift has shape \(119,\): \(120\)"):
        encode(redshift=survey.redshift[1:])
    bare = Survey(survey.catalogue.drop(columns="magerr_i"), name="bare")
    for call in (model.encode_survey, model.infer):
        with pytest.raises(ModelError, match="bare is a table without magerr_i"):
            call(bare)


def test_a_model_from_before_magnitude_errors_loads(posterior, survey, tmp_path):
    posterior.save(tmp_path)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    del description["architecture"]["use_magnitude_errors"]
    path.write_text(json.dumps(description), encoding="utf-8")
    (tmp_path / "range.safetensors").unlink()
    old = Posterior.load(tmp_path)
    magnitudes, images = inputs(posterior, survey)
    torch.testing.assert_close(old.encode(magnitudes, images), posterior.encode(magnitudes, images))
    with pytest.raises(ModelError, match="does not know its training range"):
        old.out_of_range(magnitudes, images)


@pytest.fixture(scope="module")
def ranged(posterior):
    """A model that knows its range, and the galaxies that it has not seen."""
    galaxies = toy_survey(1000, seed=5, images=posterior.uses_images)
    model = copy.deepcopy(posterior)
    model.fit_range(galaxies.split("train"), galaxies.split("validation"))
    return model, galaxies.split("test")


def test_out_of_range_fires_on_what_was_not_trained_on(ranged, tmp_path):
    model, test = ranged
    model.save(tmp_path)
    model = Posterior.load(tmp_path)
    magnitudes, images = inputs(model, test)
    found = model.out_of_range(magnitudes, images)
    parts = ["photometry", "image"] if images is not None else ["photometry"]
    tested = [*parts, "quiescent"]
    columns = [f"{part}_{what}" for part in tested for what in ("p", "outside")]
    assert list(found) == [*columns, "outside_range"]
    outside = found[[f"{part}_outside" for part in tested]].any(axis=1)
    assert (found["outside_range"] == outside).all()
    n_held_out = len(model.ranges["photometry"].held_out)
    for part in parts:
        expected = found[f"{part}_p"] <= max(0.01, 1 / (n_held_out + 1))
        assert (found[f"{part}_outside"] == expected).all()
        # Held-out galaxies are flagged no more often than stated, but for chance.
        rank = n_held_out + 1
        limit = betabinom.ppf(0.9999, len(test), 0.01 * rank, 0.99 * rank)
        assert found[f"{part}_outside"].sum() <= limit

    redder = magnitudes + np.array([2.0, 0, 0, 0, 0])
    assert model.out_of_range(redder, images)["photometry_outside"].mean() > 0.9
    if images is None:
        return
    # The toy's images are grey and nearly flat.
    noise = np.random.default_rng(0).integers(0, 255, images.shape, dtype=np.uint8)
    red = images.copy()
    red[..., 1:] = 0
    for strange in (noise, red):
        flags = model.out_of_range(magnitudes, strange)
        assert flags["image_outside"].mean() > 0.9
        assert flags["photometry_p"].equals(found["photometry_p"])


def test_infer_says_what_is_out_of_range(ranged, tmp_path):
    model, test = ranged
    posteriors = model.infer(test, n_samples=4, steps=2, progress=False)
    expected = model.out_of_range(*inputs(model, test))
    for name, column in expected.items():
        np.testing.assert_array_equal(posteriors[name], column)
        assert posteriors[name].dims == ("object_id",)
    stored_posteriors.save_posteriors(posteriors, tmp_path / "posteriors.nc")
    # Coordinates, so that ArviZ summarises the properties alone.
    read = arviz.from_netcdf(tmp_path / "posteriors.nc")
    assert list(read.posterior.data_vars) == list(PROPERTY_NAMES)
    assert (read.posterior["photometry_p"].to_numpy() == expected["photometry_p"]).all()
    assert len(arviz.summary(read)) == 5 * len(test)


def test_samples_do_not_depend_on_company(posterior, survey):
    magnitudes, images = inputs(posterior, survey)
    ids = survey.object_id
    samples = posterior.sample(magnitudes, images, object_id=ids, n_samples=8, steps=4, seed=3)
    order = np.random.default_rng(0).permutation(len(survey))[:10]
    again = posterior.sample(
        magnitudes[order],
        None if images is None else images[order],
        object_id=ids[order],
        n_samples=8,
        steps=4,
        seed=3,
    )
    assert samples.shape == (len(survey), 8, 5)
    assert samples.dtype == torch.float32
    assert not samples.requires_grad
    torch.testing.assert_close(samples[order], again, atol=1e-4, rtol=1e-5)
    other = posterior.sample(magnitudes, images, object_id=ids, n_samples=8, steps=4, seed=4)
    assert (samples - other).abs().max() > 0.01


def test_log_density_is_per_physical_unit(posterior, survey):
    magnitudes, images = inputs(posterior, survey)
    theta = survey.properties
    found = posterior.log_prob(theta, magnitudes, images, steps=10)
    standard = posterior.flow.log_prob(
        posterior.property_scale.apply(theta), posterior.encode(magnitudes, images), 10
    )
    expected = standard - posterior.property_std.log().sum().float()
    torch.testing.assert_close(found, expected)
    many = posterior.log_prob(theta[:, None], magnitudes, images, steps=10)
    torch.testing.assert_close(many[:, 0], found)


def test_samples_with_their_density(posterior, survey):
    condition = posterior.encode_survey(survey)[:5]
    samples, log_prob = posterior.sample_with_log_prob(condition, survey.object_id[:5], 6, 30, 1)
    found = posterior.log_prob_from(samples, condition, 30)
    torch.testing.assert_close(found, log_prob, atol=2e-3, rtol=0)


def test_infer_gives_what_arviz_reads(posterior, survey, tmp_path):
    few = survey.select(np.arange(3))
    posteriors = posterior.infer(few, n_samples=40, steps=4, progress=False)
    assert dict(posteriors.sizes) == {"chain": 4, "draw": 10, "object_id": 3}
    assert [posteriors[p.name].attrs["units"] for p in PROPERTIES] == [p.unit for p in PROPERTIES]
    stored_posteriors.save_posteriors(posteriors, tmp_path / "posteriors.nc")
    read = arviz.from_netcdf(tmp_path / "posteriors.nc")
    assert list(read.posterior.data_vars) == list(PROPERTY_NAMES)
    samples = stored_posteriors.samples_array(
        stored_posteriors.load_posteriors(tmp_path / "posteriors.nc")
    )
    direct = posterior.sample(
        *inputs(posterior, few), object_id=few.object_id, n_samples=40, steps=4
    )
    np.testing.assert_allclose(samples, direct, rtol=1e-5)
    with pytest.raises(ValueError, match="a multiple of 4"):
        posterior.infer(few, n_samples=41)


def test_a_model_survives_the_disk(posterior, survey, tmp_path):
    posterior.metadata = {"note": "kept"}
    posterior.save(tmp_path)
    again = Posterior.load(tmp_path)
    assert again.metadata == {"note": "kept"}
    magnitudes, images = inputs(posterior, survey)
    one, two = (
        p.sample(magnitudes[:3], None if images is None else images[:3], n_samples=4, steps=2)
        for p in (posterior, again)
    )
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_a_foreign_model_is_refused(posterior, tmp_path):
    with pytest.raises(ModelError, match=r"model\.json is missing"):
        Posterior.load(tmp_path)
    posterior.save(tmp_path)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))

    def expect(message, **changes):
        path.write_text(json.dumps(description | changes), encoding="utf-8")
        with pytest.raises(ModelError, match=message):
            Posterior.load(tmp_path)

    expect("'schema_version': 99", schema_version=99)
    expect(r"age.*, not of .*log_sfr", properties=["age"])
    architecture = description["architecture"]
    expect("or from another folder", architecture=architecture | {"network": {"width": 64}})
    expect("or from another folder", architecture=architecture | {"attention": True})
    path.write_text(json.dumps(description), encoding="utf-8")
    for text in ("[]", '{"schema_version": 1}', '{"schema'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(
            ModelError,
            match=r"model\.json is damaged, or not of this galcfm: .*(field|JSON|content)",
        ):
            Posterior.load(tmp_path)
    path.write_text(json.dumps(description), encoding="utf-8")
    for name in ("range.safetensors", "model.safetensors"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelError, match=r"safetensors is damaged, or from another folder"):
            Posterior.load(tmp_path)
        (tmp_path / name).write_bytes(whole)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("flow.network.output.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged, or from another folder"):
        Posterior.load(tmp_path)


def test_images_are_given_to_image_models_alone(posterior, survey):
    images = None if posterior.uses_images else survey.images
    with pytest.raises(
        ModelError, match=r"with images: give images|without images: leave images out"
    ):
        posterior.encode(survey.magnitudes, images)
    with pytest.raises(ModelError, match="choose from magnitudes"):
        Posterior("colours")


def test_galaxy_seeds_differ():
    seeds = galaxy_seeds([f"galaxy-{k}" for k in range(1000)], 0)
    assert len(set(seeds.tolist())) == 1000
    assert galaxy_seeds(["a"], 0) != galaxy_seeds(["a"], 1)
