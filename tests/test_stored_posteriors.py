"""Posteriors and densities on disk, the tables made of them, and their agreement."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch

from galcfm import Posterior, metrics, stored_posteriors
from galcfm.figures import tables
from galcfm.properties import PROPERTY_NAMES

SMALL = {"width": 32, "depth": 2}


@pytest.fixture(scope="module")
def models(survey):
    result = {
        "prior": Posterior("none", network=SMALL),
        "photometry": Posterior("magnitudes", network=SMALL),
        "image": Posterior("r_and_colours", network=SMALL),
    }
    for model in result.values():
        model.fit_standardisation(survey.split("train"))
        model.eval()
    return result


@pytest.fixture(scope="module")
def densities(models, survey):
    return {
        name: stored_posteriors.exact_log_densities(
            models[name], models["prior"], survey, n_kl=70, n_kl_samples=3, steps=4, progress=False
        )
        for name in ("photometry", "image")
    }


def test_densities_are_those_of_the_models(models, survey, densities):
    found = densities["photometry"]
    model, prior = models["photometry"], models["prior"]
    condition, nothing = model.encode_survey(survey), prior.encode_survey(survey)
    np.testing.assert_allclose(
        found.posterior_truth, model.log_prob_from(survey.properties, condition, 4), rtol=1e-5
    )
    np.testing.assert_allclose(
        found.prior_truth, prior.log_prob_from(survey.properties, nothing, 4), rtol=1e-5
    )
    assert found.posterior_samples.shape == found.prior_samples.shape == (70, 3)
    # The draws are the first ones of the stored posteriors.
    samples = model.sample_from(condition[:70], survey.object_id[:70], 40, 4, 0)[:, :3]
    np.testing.assert_allclose(
        found.prior_samples, prior.log_prob_from(samples, nothing[:70], 4), atol=1e-3
    )


def test_densities_survive_the_disk(densities, tmp_path):
    stored_posteriors.save_densities(densities, tmp_path / "densities.npz")
    again = stored_posteriors.load_densities(tmp_path / "densities.npz")
    assert list(again) == list(densities)
    for name in densities:
        for mine, theirs in zip(densities[name], again[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_fewer_steps_come_near_many(models, survey):
    few = survey.select(np.arange(3))
    steep = deepcopy(models["image"])
    with torch.no_grad():
        for weights in steep.flow.parameters():
            weights.mul_(3)
    errors = [stored_posteriors.step_error(steep, few, 20, steps).max() for steps in (2, 8)]
    assert errors[1] < errors[0] / 30


def test_pathways_go_from_common_noise_to_the_samples(models, survey):
    one = survey.select(np.arange(1))
    paths = {
        name: stored_posteriors.pathways(models[name], one, 20, 6, seed=2)
        for name in ("photometry", "image")
    }
    np.testing.assert_allclose(paths["photometry"][0], paths["image"][0], rtol=1e-5)
    end = models["image"].sample_from(models["image"].encode_survey(one), one.object_id, 20, 6, 2)
    np.testing.assert_allclose(paths["image"][-1], end[0], rtol=1e-4)


def test_tables_show_the_metrics(models, survey, densities):
    results = {}
    train = survey.split("train").properties
    for name, exact in densities.items():
        posteriors = models[name].infer(survey, n_samples=40, steps=4, progress=False)
        samples = stored_posteriors.samples_array(posteriors)
        kde_prior = metrics.with_kde_prior(exact, samples, survey.properties, train)
        np.testing.assert_allclose(
            kde_prior.prior_samples[5], metrics.kde_log_density(train, samples[5, :3])
        )
        results[name] = metrics.evaluate(
            samples, survey.properties, train, {"exact": exact, "exact_kde_prior": kde_prior}
        )
    table = tables.information(results)
    assert len(table) == 6
    mean = results["image"]["delta_log_p"]["exact"]["mean"]
    assert table.loc[("exact", "image"), "Δlog p [nat]"].startswith(f"{mean:.1f}".replace("-", "−"))
    compared = metrics.compare(results["image"], results["photometry"])
    assert tables.comparison(compared).shape == (4, 3)
    distances = tables.wasserstein(results)
    assert len(distances) == len(PROPERTY_NAMES)
    expected = results["image"]["wasserstein"]["a_v"]["posterior_mean"]
    assert distances.loc["A_V [mag]", "image"] == f"{expected:.4f}"
    assert len(tables.scaling_relations(results)) == 3 * 5
    assert len(tables.dust_age(results, compared)) == 3
    assert isinstance(table, pd.DataFrame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"n_posteriors": 100}, "n_posteriors is 100, less than n_kl = 200"),
        # There are no more test galaxies to store.
        ({"n_posteriors": 100, "n_test": 90}, None),
        ({"n_samples": 40}, "n_samples is 40, less than n_kl_samples = 50"),
        ({"steps": 100}, "steps is 100 and density_steps 12: .* make them equal"),
    ],
)
def test_draws_with_densities_are_among_the_stored_ones(changes, message):
    plan = {
        "n_test": 1700,
        "n_posteriors": 500,
        "n_samples": 1000,
        "steps": 12,
        "n_kl": 200,
        "n_kl_samples": 50,
        "density_steps": 12,
    } | changes
    n_test = plan.pop("n_test")
    if message is None:
        stored_posteriors.check_plan(n_test, plan)
    else:
        with pytest.raises(ValueError, match=message):
            stored_posteriors.check_plan(n_test, plan)
