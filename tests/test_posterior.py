"""The posterior: standardisation, determinism, disk format, refusals."""

import json

import arviz
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from galcfm import Posterior, sampling
from galcfm.posterior import ModelError, galaxy_seeds
from galcfm.properties import PROPERTIES, PROPERTY_NAMES

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
    theta = posterior.standardise_properties(train.properties)
    torch.testing.assert_close(theta.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(theta.std(0, correction=0), torch.ones(5), atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="fitted on the training split"):
        posterior.fit_standardisation(survey)


def test_features_are_r_and_four_colours(survey):
    raw = Posterior("r_and_colours").raw_features(survey.magnitudes)
    u, g, r, i, z = survey.magnitudes.T
    np.testing.assert_allclose(raw, np.stack([r, u - g, g - r, r - i, i - z], 1))
    assert Posterior("none").raw_features(survey.magnitudes).shape == (len(survey), 0)


def test_redshift_is_a_feature_when_asked_for(survey):
    model = Posterior(use_redshift=True, network=SMALL)
    model.fit_standardisation(survey.split("train"))
    assert model.encode(survey.magnitudes, redshift=survey.redshift).shape[1] == 6
    with pytest.raises(ModelError, match="trained with redshifts"):
        model.encode(survey.magnitudes)


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
        posterior.standardise_properties(theta), posterior.encode(magnitudes, images), 10
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
    sampling.save_posteriors(posteriors, tmp_path / "posteriors.nc")
    read = arviz.from_netcdf(tmp_path / "posteriors.nc")
    assert list(read.posterior.data_vars) == list(PROPERTY_NAMES)
    samples = sampling.samples_array(sampling.load_posteriors(tmp_path / "posteriors.nc"))
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
    description = json.loads(path.read_text())

    def expect(message, **changes):
        path.write_text(json.dumps(description | changes))
        with pytest.raises(ModelError, match=message):
            Posterior.load(tmp_path)

    expect("schema version 99", schema_version=99)
    expect("not of", properties=["age"])
    architecture = description["architecture"]
    expect("do not belong together", architecture=architecture | {"network": {"width": 64}})
    expect("do not belong together", architecture=architecture | {"attention": True})
    path.write_text(json.dumps(description))
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("flow.network.output.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="do not belong together"):
        Posterior.load(tmp_path)


def test_wrong_input_is_refused(posterior, survey):
    magnitudes, images = inputs(posterior, survey)
    with pytest.raises(ModelError, match=r"\(n, 5\) in u, g, r, i, z needed"):
        posterior.encode(magnitudes[:, :4], images)
    broken = magnitudes.copy()
    broken[7, 2] = np.nan
    with pytest.raises(ModelError, match=r"row 7: .* not finite"):
        posterior.encode(broken, images)
    if posterior.uses_images:
        with pytest.raises(ModelError, match="image model: give images"):
            posterior.encode(magnitudes)
        with pytest.raises(ModelError, match="uint8"):
            posterior.encode(magnitudes, images.astype(float))
        with pytest.raises(ModelError, match="for 120 galaxies"):
            posterior.encode(magnitudes, images[:5])
    else:
        with pytest.raises(ModelError, match="takes no images"):
            posterior.encode(magnitudes, survey.images)
    with pytest.raises(ModelError, match="choose from magnitudes"):
        Posterior("colours")


def test_galaxy_seeds_differ():
    seeds = galaxy_seeds([f"galaxy-{k}" for k in range(1000)], 0)
    assert len(set(seeds.tolist())) == 1000
    assert galaxy_seeds(["a"], 0) != galaxy_seeds(["a"], 1)
