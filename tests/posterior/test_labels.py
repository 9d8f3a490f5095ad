"""Missing labels: the chain of flows against closed forms of Gaussians, for any pattern."""

from dataclasses import replace
from itertools import pairwise
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import learned, toy_survey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from galcfm import Posterior, metrics
from galcfm.figures.explorer import METRICS
from galcfm.flow import ConditionalFlow
from galcfm.networks import VelocityField, VelocityNetwork
from galcfm.posterior import ModelError
from galcfm.posterior.hub import measure
from galcfm.posterior.labels import BlockFlow, blocks_of
from galcfm.properties import PROPERTY_NAMES, Declaration, Property
from galcfm.stored_posteriors import exact_log_densities, samples_array
from galcfm.survey import Survey
from galcfm.training import RECIPES, TrainingError, train, train_models
from galcfm.training.data import TrainingData, labelled_rows, path_draws
from galcfm.training.posterior_training import batch_loss

DTYPE = torch.float64


class GaussianVelocity(VelocityField):
    """The exact velocities of a Gaussian N(condition W, covariance), for any factor of a chain.

    `restricted` reads values and flags of a condition as a network learns to: it conditions on what
    is given and ignores the rest.
    """

    def __init__(self, covariance, weight, dimensions=None):
        self.dimensions = list(range(len(covariance))) if dimensions is None else dimensions
        super().__init__(len(self.dimensions))
        self.covariance, self.weight = covariance, weight

    def restricted(self, dimensions):
        return GaussianVelocity(self.covariance, self.weight, dimensions)

    def prepare(self, condition):
        d, asked, found = len(self.covariance), self.dimensions, []
        for row in condition:
            values, seen, flags = row[-3 * d :].view(3, d)
            assert flags.nonzero().flatten().tolist() == sorted(asked)
            mean, seen = row[: -3 * d] @ self.weight, seen.nonzero().flatten().tolist()
            gain = self.covariance[asked][:, seen] @ torch.linalg.inv(
                self.covariance[seen][:, seen]
            )
            centre = mean[asked] + gain @ (values - mean)[seen]
            spread = self.covariance[asked][:, asked] - gain @ self.covariance[seen][:, asked]
            found.append(torch.cat([centre, spread.flatten()]))
        return torch.stack(found)

    def evaluate(self, t, x, prepared):
        t, identity = t.reshape(()), torch.eye(self.dim, dtype=x.dtype)
        mean, covariance = prepared[..., : self.dim], prepared[..., self.dim :]
        covariance = covariance.unflatten(-1, (self.dim, self.dim))
        variance = (1 - t) ** 2 * identity + t**2 * covariance
        slope = (t * covariance - (1 - t) * identity) @ torch.linalg.inv(variance)
        return mean + (slope @ (x - t * mean).unsqueeze(-1)).squeeze(-1)


@st.composite
def chains(draw):
    """A Gaussian, blocks of its variables in some order, and which blocks some rows have."""
    order = draw(st.permutations(range(draw(st.integers(1, 4)))))
    cuts = draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=len(order) - 1))
    edges = [0, *sorted(cuts - {len(order)}), len(order)]
    blocks = [order[a:b] for a, b in pairwise(edges)]
    rows = st.lists(st.booleans(), min_size=len(blocks), max_size=len(blocks))
    return blocks, draw(st.lists(rows, min_size=1, max_size=5)), draw(st.integers(0, 99))


def gaussian(dim, seed):
    generator = torch.Generator().manual_seed(seed)
    factor, weight, condition = torch.randn(3, 6, 6, generator=generator, dtype=DTYPE)
    factor = factor[:dim, :dim]
    covariance = 0.3 * factor @ factor.T / dim + 0.1 * torch.eye(dim, dtype=DTYPE)
    return GaussianVelocity(covariance, weight[:3, :dim]), condition[:, :3]


@settings(max_examples=15)
@given(chains())
def test_the_chain_is_exact_for_any_pattern(chain):
    blocks, patterns, seed = chain
    dim = sum(map(len, blocks))
    velocity, conditions = gaussian(dim, seed)
    flow, condition = BlockFlow(velocity, blocks), conditions[: len(patterns)]
    mean = (condition @ velocity.weight).numpy()
    theta = mean + 0.5 * np.random.default_rng(seed).normal(size=mean.shape)
    for row, pattern in zip(theta, patterns, strict=True):
        for block, known in zip(blocks, pattern, strict=True):
            row[block] = row[block] if known else np.nan
    expected = []
    for row, centre in zip(theta, mean, strict=True):
        seen = np.isfinite(row)
        covariance = velocity.covariance[np.ix_(seen, seen)]
        density = stats.multivariate_normal(centre[seen], covariance) if seen.any() else None
        expected.append(density.logpdf(row[seen]) if seen.any() else np.nan)
    found = flow.log_prob(torch.from_numpy(theta), condition, steps=25)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    both = torch.from_numpy(np.stack([theta, theta], 1))
    np.testing.assert_allclose(flow.log_prob(both, condition, 25)[:, 1], found, atol=1e-12)

    # The draws are an affine map of the noise, whose matrix is a root of the covariance.
    noise = torch.cat([torch.zeros(1, dim), torch.eye(dim)]).to(DTYPE).expand(len(mean), -1, -1)
    draws, density = flow.sample_with_log_prob(condition, dim + 1, 25, x_0=noise)
    np.testing.assert_allclose(draws[:, 0], mean, atol=1e-4)
    matrix = (draws[0, 1:] - draws[0, 0]).T
    torch.testing.assert_close(matrix @ matrix.T, velocity.covariance, atol=1e-4, rtol=0)
    torch.testing.assert_close(density, flow.log_prob(draws, condition, 25), atol=1e-4, rtol=0)
    torch.testing.assert_close(flow.sample(condition, dim + 1, 25, x_0=noise), draws)
    path = flow.trajectories(condition, noise, 25)
    torch.testing.assert_close(path[0], noise)
    torch.testing.assert_close(path[-1], draws)


def network(dim, blocks, n_conditions=1, width=64):
    torch.manual_seed(0)
    return VelocityNetwork(dim, n_conditions + 3 * dim * (len(blocks) > 1), width, 2)


def test_a_part_of_a_network_shares_its_weights():
    whole = network(3, [[0], [1, 2]])
    part, x, condition = whole.restricted([2, 0]), torch.randn(4, 3), torch.randn(4, 10)
    t = torch.full((4, 1), 0.3)
    with torch.no_grad():
        whole.hidden[0].weight[:, 2] = 0  # the column of the dimension that is left out
        expected = whole(t, x, condition)[:, [2, 0]]
        torch.testing.assert_close(part.restricted([0, 1])(t, x[:, [2, 0]], condition), expected)
        bound = torch.empty(4, 1, 2), torch.empty(4, 1)
        part.bind(part.prepare(condition)[:, None], 1)(0.3, x[:, None, [2, 0]], *bound)
        given = t, x[:, [2, 0]], part.prepare(condition)
        velocity, divergence = part.evaluate_with_divergence(*given)
        torch.testing.assert_close(bound[0][:, 0], velocity)
        torch.testing.assert_close(bound[1][:, 0], divergence)
    part(t, x[:, [2, 0]], condition).sum().backward()
    assert all(each.grad is not None for each in whole.parameters())
    assert whole.output.weight.grad[1].abs().max() == 0


# Galaxies of two classes: with a first label above 0 they have no second one. The third is missing
# at random. Blocks are in the order of the shares of galaxies that have them.
BLOCKS, MEASURED, SPREAD = [[0], [2], [1]], 0.7, 0.4


def two_classes(n, generator):
    """Return conditions `(n, 1)` and three labels `(n, 3)`, NaN where a galaxy lacks one."""
    y, *noise = torch.randn(4, n, generator=generator)
    is_above, is_measured = torch.rand(2, n, generator=generator)
    first = torch.where(is_above < 0.5, 1.0, -1.0) + 0.2 * y + SPREAD * noise[0]
    third = 0.5 * first - y + SPREAD * noise[1]
    second = first + 0.5 * y + 0.5 * third + SPREAD * noise[2]
    second[first > 0], third[is_measured > MEASURED] = torch.nan, torch.nan
    return y[:, None], torch.stack([first, second, third], 1)


def log_density_of_two_classes(y, theta):
    """Return the exact log-density of the labels that each galaxy has."""
    y, (first, second, third) = y[:, 0], theta.T
    classes = [stats.norm(centre + 0.2 * y, SPREAD).logpdf(first) for centre in (-1, 1)]
    found = np.logaddexp(*classes) - np.log(2)
    third_expected = 0.5 * first - y
    of_third = stats.norm(third_expected, SPREAD).logpdf(third)
    known = np.isfinite(third)
    best = np.where(known, third, third_expected)
    width = SPREAD * np.where(known, 1, np.sqrt(1 + 0.5**2))
    of_second = stats.norm(first + 0.5 * y + 0.5 * best, width).logpdf(second)
    return found + np.nan_to_num(of_third) + np.nan_to_num(of_second)


@pytest.fixture(scope="module")
def trained():
    """Return flows of the two classes: the chain, and two that ignore that labels are missing."""

    def learn(make, labels):
        generator, flow = torch.Generator().manual_seed(1), make()
        return learned(flow, 1000, lambda: labels(*two_classes(512, generator)))

    def plain():
        return ConditionalFlow(network(3, [[0, 1, 2]]), sigma=0)

    def complete(y, theta):
        rows = theta.isfinite().all(1)
        return theta[rows], y[rows]

    return {
        "chain": learn(lambda: BlockFlow(network(3, BLOCKS), BLOCKS, 0), lambda y, x: (x, y)),
        "complete": learn(plain, complete),
        "filled": learn(plain, lambda y, x: (x.nan_to_num(0), y)),
    }


def test_densities_of_a_trained_chain_are_exact_for_each_pattern(trained):
    y, theta = two_classes(4000, torch.Generator().manual_seed(2))
    found = trained["chain"].log_prob(theta, y, 20).numpy()
    error = found - log_density_of_two_classes(y.numpy(), theta.numpy())
    patterns = theta.isfinite().numpy()
    for pattern in np.unique(patterns, axis=0):
        of_pattern = error[(patterns == pattern).all(1)]
        assert len(of_pattern) > 500
        assert abs(of_pattern.mean()) < 0.1, pattern
        assert np.abs(of_pattern).mean() < 0.3, pattern
    whole = patterns.all(1)
    filled = trained["filled"].log_prob(theta[whole], y[whole], 20).numpy()
    assert np.mean(filled - found[whole]) < 0.8 * np.log(MEASURED)


def test_draws_of_a_trained_chain_are_those_of_all_galaxies(trained):
    y = torch.tensor([[-1.0], [0.5]])
    draws = {name: flow.sample(y, 4000, 20, seeds=[0, 1]).numpy() for name, flow in trained.items()}
    above = {name: np.mean(each[..., 0] > 0, axis=1) for name, each in draws.items()}
    np.testing.assert_allclose(above["chain"], 0.5, atol=0.04)
    assert np.all(above["complete"] < 0.02)  # of class with a second label alone
    for row, each in zip(y.numpy().ravel(), draws["chain"], strict=True):
        for sign in (-1, 1):
            first, second, third = each[each[:, 0] * sign > 0].T
            assert np.median(first) == pytest.approx(sign + 0.2 * row, abs=0.06)
            residual = third - (0.5 * first - row)
            assert residual.mean() == pytest.approx(0, abs=0.04)
            assert residual.std() == pytest.approx(SPREAD, abs=0.05)
            if sign < 0:
                residual = second - (first + 0.5 * row + 0.5 * third)
                assert residual.mean() == pytest.approx(0, abs=0.04)
                assert residual.std() == pytest.approx(SPREAD, abs=0.05)
    first, _, third = draws["filled"][0].T  # drawn towards the value of the filling
    assert np.mean(third - (0.5 * first - y[0].item())) < -0.2


# Whole models: a survey with missing labels, from training to metrics

NAMES = PROPERTY_NAMES
BY_BLOCK = (("log_stellar_mass", "dn4000", "a_v"), ("log_sfr",), ("oxygen_abundance",))
SMOKE = replace(RECIPES["smoke"], width=32, prior_max_epochs=2, photometry_max_epochs=2)


def without_labels(survey, seed=3):
    """Return a survey whose star formation rates and abundances are missing, by class and chance.

    One galaxy has no label at all.
    """
    table, rng = survey.catalogue.copy(), np.random.default_rng(seed)
    table.loc[table["dn4000"] > 1.45, "oxygen_abundance"] = np.nan
    table.loc[rng.random(len(table)) < 0.2, "log_sfr"] = np.nan
    table.loc[5, list(NAMES)] = np.nan
    return Survey(table, survey.images, survey.parameters, survey.name)


@pytest.fixture(scope="module")
def gappy(survey):
    return without_labels(survey)


@pytest.fixture(scope="module")
def models(gappy, tmp_path_factory):
    names = ("prior", "photometry")
    return train_models(gappy, tmp_path_factory.mktemp("models"), SMOKE, names, progress=False)


def test_a_survey_with_missing_labels_goes_the_whole_way(gappy, models, tmp_path):
    assert blocks_of(gappy) == BY_BLOCK
    test = gappy.select(np.arange(40))
    densities = {}
    for name, model in models.items():
        assert isinstance(model.flow, BlockFlow)
        model.save(tmp_path / name)
        again = Posterior.load(tmp_path / name)
        assert again.label_columns == [[0, 3, 4], [1], [2]]
        densities[name] = model.log_prob_from(test.properties, model.encode_survey(test), 6)
        found = again.log_prob_from(test.properties, again.encode_survey(test), 6)
        torch.testing.assert_close(found, densities[name], rtol=0, atol=0, equal_nan=True)
    exact = exact_log_densities(
        models["photometry"],
        models["prior"],
        test,
        n_kl=10,
        n_kl_samples=4,
        steps=6,
        progress=False,
    )
    for name, values in zip(models, (exact.prior_truth, exact.posterior_truth), strict=True):
        np.testing.assert_allclose(values, densities[name], rtol=1e-4)
        np.testing.assert_array_equal(np.isnan(values), np.arange(40) == 5)
    draws = models["photometry"].infer(test, n_samples=40, steps=6, progress=False)
    samples = samples_array(draws)
    assert np.isfinite(samples).all()
    theta = gappy.split("train").properties
    kde_prior = metrics.with_kde_prior(exact, samples, test.properties, theta)
    exact = {"exact": exact, "exact_kde_prior": kde_prior}
    result = metrics.evaluate(samples, test.properties, theta, exact)
    both = dict.fromkeys(("photometry", "image"), result)
    METRICS.write(tmp_path / "metrics.json", both | {"comparison": metrics.compare(result, result)})
    card = measure(models["photometry"], test, steps=6)
    assert card["n"] == 39
    assert np.isfinite([card["log_prob"], *card["coverage"]["oxygen_abundance"]]).all()
    assert result["n_labels"]["log_sfr"] == np.isfinite(test.properties[:, 1]).sum()
    assert {each["n"] for each in result["delta_log_p"].values()} == {39}


def test_densities_are_those_of_the_labels_that_a_galaxy_has(gappy, models):
    model, rows = models["photometry"], gappy.select(np.arange(3))
    whole, condition = np.array([[10.0, 0.1, 8.9, 1.4, 0.8]] * 3), model.encode_survey(rows)
    theta = whole.copy()
    theta[1, 2] = theta[2, 1] = np.nan
    found = model.log_prob(theta, rows.magnitudes, steps=8)
    torch.testing.assert_close(found, model.log_prob_from(theta, condition, 8))
    # The density of a galaxy is per unit of the properties that it has.
    shift = model.flow.log_prob(model.property_scale.apply(theta), condition, 8) - found
    std = model.property_std.log()
    expected = [std.sum(), std.sum() - std[2], std.sum() - std[1]]
    np.testing.assert_allclose(shift, expected, rtol=1e-4)
    draws, density = model.sample_with_log_prob(condition, rows.object_id, 5, 12, 0)
    torch.testing.assert_close(draws, model.sample_from(condition, rows.object_id, 5, 12, 0))
    torch.testing.assert_close(
        density, model.log_prob_from(draws, condition, 12), atol=0.01, rtol=0
    )
    each = model.log_prob_from(draws[:, 0], condition, 12)
    torch.testing.assert_close(each, density[:, 0], atol=0.01, rtol=0)
    one = model.sample_from(condition[1:2], rows.object_id[1:2], 5, 12, 0)
    torch.testing.assert_close(one[0], draws[1], atol=1e-5, rtol=0)


def test_a_galaxy_trains_what_it_has(gappy):
    """The loss of a batch is the sum over the labels that are there, divided by all of them."""
    model = SMOKE.model("photometry", gappy.declaration, blocks_of(gappy))
    model.fit_standardisation(gappy.split("train"))
    np.testing.assert_allclose(
        model.property_mean, np.nanmean(gappy.split("train").properties, 0), rtol=1e-12
    )
    rows = labelled_rows(gappy, "train", model.label_columns)
    assert 5 not in rows
    assert len(rows) > len(labelled_rows(gappy, "train"))
    data = TrainingData(model, gappy.select(rows), torch.device("cpu"))
    draws = path_draws(4, len(data), 5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = batch_loss(model, data.theta, data.f_phot, None, *draws)
        parts = [
            batch_loss(model, data.theta[[k]], data.f_phot[[k]], None, *(x[:, [k]] for x in draws))
            for k in range(len(data))
        ]
        torch.testing.assert_close(loss, torch.stack(parts).mean(), rtol=1e-4, atol=1e-6)
        # A label that is missing changes nothing, whatever its noise is.
        k = int(torch.nonzero(data.theta[:, 2].isnan())[0])
        draws[1][:, k, 2] += 100
        again = batch_loss(
            model, data.theta[[k]], data.f_phot[[k]], None, *(x[:, [k]] for x in draws)
        )
        torch.testing.assert_close(again, parts[k], rtol=0, atol=0)


def test_a_complete_survey_has_one_block_and_the_same_flow(survey):
    assert blocks_of(survey) == ()
    table = survey.catalogue.copy()
    table.loc[[2, 7], list(NAMES)] = np.nan  # as before: a galaxy has all labels or none
    assert blocks_of(Survey(table, None, {}, "with unlabelled galaxies")) == ()
    model = SMOKE.model("photometry", survey.declaration, blocks_of(survey))
    assert type(model.flow) is ConditionalFlow
    assert "label_blocks" not in model.architecture


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([["a_v"]], "give each of log_stellar_mass"),
        ([NAMES, ["a_v"]], "once"),
        ([NAMES, []], "once"),
        ([NAMES[:4], ["mass"]], "once"),
    ],
)
def test_blocks_contain_each_property_once(blocks, reason):
    with pytest.raises(ModelError, match=f"label_blocks are .* {reason}"):
        Posterior("magnitudes", label_blocks=blocks)


def test_what_does_not_fit_the_blocks_is_refused(gappy, survey, models, tmp_path):
    model, rows = models["photometry"], survey.select(np.arange(3))
    theta = rows.properties
    for row, column, value, reason in (
        (1, 3, np.nan, "row 1: dn4000 is missing, .* together with log_stellar_mass, a_v"),
        (2, slice(None), np.nan, "row 2: theta is not finite"),
        (0, 1, np.inf, "row 0: theta is not finite"),
    ):
        bad = theta.copy()
        bad[row, column] = value
        with pytest.raises(ModelError, match=reason):
            model.log_prob(bad, rows.magnitudes)
    whole = SMOKE.model("photometry")
    whole.fit_standardisation(survey.split("train"))
    few = gappy.select(np.flatnonzero(np.isnan(gappy.properties[:, 2]))[1:4])
    given = {"n_kl": 1, "n_kl_samples": 1, "steps": 2, "progress": False}
    with pytest.raises(ModelError, match=r"oxygen_abundance is missing, .* only together with"):
        exact_log_densities(whole, whole, few, **given)
    with pytest.raises(ModelError, match="other label_blocks"):
        train(
            SMOKE.model("photometry", gappy.declaration, blocks_of(gappy)),
            gappy,
            tmp_path / "warm",
            SMOKE.settings("photometry"),
            warm_start=whole,
            progress=False,
        )
    table = gappy.catalogue.copy()
    table.loc[table["split"] == "validation", "log_sfr"] = np.nan
    without = Survey(table, None, {}, "a survey")
    with pytest.raises(TrainingError, match="no galaxies with log_sfr in its validation split"):
        train_models(without, tmp_path / "none", SMOKE, ("prior",), progress=False)
    table["log_sfr"] = np.where(table["oxygen_abundance"].isna(), 0.1, np.nan)
    table.loc[5, list(NAMES)] = np.nan
    apart = Survey(table, None, {}, "a survey")
    with pytest.raises(TrainingError, match=r"with .* and .* in its train split: add some"):
        train_models(apart, tmp_path / "apart", SMOKE, ("prior",), progress=False)


@st.composite
def surveys(draw):
    """A survey with some properties of its own, each missing in a share of the galaxies."""
    shares = draw(st.lists(st.sampled_from([0.0, 0.3, 0.6]), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    catalogue = toy_survey(60, images=False).catalogue.drop(columns=list(PROPERTY_NAMES))
    latent = catalogue["mag_r"].to_numpy()[:, None] - 17
    theta = latent + rng.normal(0, 0.3, (60, len(shares)))
    # Some properties are missing in the same galaxies.
    theta[np.array(shares) > rng.choice(2, 60)[:, None] * rng.random((60, 1))] = np.nan
    properties = [Property(f"p{k}", "1", (-9, 9)) for k in range(len(shares))]
    content = {"declaration": Declaration(properties).content}
    names = [p.name for p in properties]
    return Survey(catalogue.join(pd.DataFrame(theta, columns=names)), None, content)


@settings(max_examples=6)
@given(surveys())
def test_any_labels_go_the_whole_way(survey):
    names, known = survey.declaration.property_names, np.isfinite(survey.properties)
    with TemporaryDirectory() as folder:
        models = train_models(survey, folder, SMOKE, ("prior", "photometry"), progress=False)
    columns = models["photometry"].label_columns
    assert sorted(k for block in columns for k in block) == list(range(len(names)))
    shares = [known[:, block].mean(0) for block in columns]
    assert all(np.ptp(share) == 0 for share in shares)
    assert sorted(shares, key=lambda share: -share[0]) == shares
    given = {"n_kl": 9, "n_kl_samples": 2, "steps": 4, "progress": False}
    exact = exact_log_densities(models["photometry"], models["prior"], survey, **given)
    samples = samples_array(
        models["photometry"].infer(survey, n_samples=40, steps=4, progress=False)
    )
    result = metrics.evaluate(samples, survey.properties, survey.properties, {"e": exact}, names)
    assert {each["n"] for each in result["delta_log_p"].values()} == {known.any(1).sum()}
    assert metrics.compare(result, result)["wasserstein"].keys() == set(names)
