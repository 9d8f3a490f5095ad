"""The flow against closed forms and independent integrators."""

import copy
import math

import numpy as np
import pytest
import torch
from conftest import learned
from scipy import stats

from galcfm.flow import FAST_STEPS, ConditionalFlow, block_rows, standard_normal
from galcfm.networks import VelocityField, VelocityNetwork
from galcfm.paths import published_folder
from galcfm.posterior import Posterior


class LinearGaussianVelocity(VelocityField):
    r"""The velocity that flow matching would learn from data N(mean(c), covariance).

    For x_0 ~ N(0, I), x_1 ~ N(m, C) independent and x_t = (1-t) x_0 + t x_1 + σε, the regression of
    x_1 − x_0 on x_t is linear, with m = c W.
    """

    def __init__(self, covariance, weight, sigma=0.0):
        super().__init__(len(covariance))
        self.covariance, self.weight, self.sigma = covariance, weight, sigma

    def prepare(self, condition):
        return condition @ self.weight

    def evaluate(self, t, x, prepared):
        identity = torch.eye(self.dim, dtype=x.dtype)
        t = t.reshape(())
        variance = ((1 - t) ** 2 + self.sigma**2) * identity + t**2 * self.covariance
        slope = (t * self.covariance - (1 - t) * identity) @ torch.linalg.inv(variance)
        return prepared + (x - t * prepared) @ slope.T


def gaussian_flow(dim, sigma=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    covariance = 0.1 * factor @ factor.T / dim + 0.1 * torch.eye(dim, dtype=torch.float64)
    weight = torch.randn(3, dim, generator=generator, dtype=torch.float64)
    return ConditionalFlow(LinearGaussianVelocity(covariance, weight, sigma), sigma)


def endpoint_map(flow, condition, steps):
    """Mean and matrix of the affine map that the flow is, from the images of 0 and of the axes."""
    dim = flow.dim
    x_0 = torch.cat([torch.zeros(1, dim), torch.eye(dim)]).double()[None]
    x_1 = flow.sample(condition, dim + 1, steps, x_0=x_0)[0]
    return x_1[0], (x_1[1:] - x_1[0]).T


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_a_gaussian_posterior_comes_out_exactly(dim):
    flow = gaussian_flow(dim)
    condition = torch.tensor([[0.3, -1.0, 0.5], [1.0, 0.0, -0.2]], dtype=torch.float64)
    mean = flow.network.prepare(condition)
    end, matrix = endpoint_map(flow, condition[:1], steps=100)
    torch.testing.assert_close(end, mean[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(matrix @ matrix.T, flow.network.covariance, atol=1e-6, rtol=0)

    theta = mean[:, None] + torch.randn(2, 7, dim, dtype=torch.float64)
    expected = [
        stats.multivariate_normal(m, flow.network.covariance).logpdf(x).reshape(-1)
        for m, x in zip(mean, theta, strict=True)
    ]
    found = flow.log_prob(theta, condition, steps=100)
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-6)
    np.testing.assert_allclose(flow.log_prob(theta[:, 0], condition, 100), found[:, 0], atol=1e-12)


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_convergence_is_of_fourth_order(dim):
    flow = gaussian_flow(dim)
    condition = torch.tensor([[0.3, -1.0, 0.5]], dtype=torch.float64)
    x_0 = torch.randn(1, 50, dim, dtype=torch.float64)
    exact = flow.sample(condition, 50, 1000, x_0=x_0)
    errors = [
        (flow.sample(condition, 50, n, x_0=x_0) - exact).abs().max().item() for n in (40, 80, 160)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 4) < 0.4), orders


def test_smoothing_lands_on_the_posterior_convolved_with_sigma():
    """From N(0, I) instead of N(0, (1 + σ²) I), the end is the smoothed posterior to order σ²."""
    flow = gaussian_flow(3, sigma=0.05)
    _, matrix = endpoint_map(flow, torch.zeros(1, 3).double(), steps=200)
    found = matrix @ matrix.T
    smoothed = flow.network.covariance + 0.05**2 * torch.eye(3).double()
    distance = (found - smoothed).abs().max()
    # The mismatch at the start is a factor 1/(1 + σ²) of the variance.
    torch.testing.assert_close(found * (1 + 0.05**2), smoothed, atol=1e-7, rtol=0)
    assert distance < 1.01 * 0.05**2 * smoothed.max()


def test_divergence_is_the_trace_of_the_jacobian():
    network = VelocityNetwork(dim=4, condition_dim=3, width=16).double()
    x, prepared = torch.randn(6, 4).double(), network.prepare(torch.randn(6, 3).double())
    t = torch.rand(6, 1).double()
    general = network.evaluate_with_divergence(t, x, prepared)
    bound = torch.empty(6, 1, 4).double(), torch.empty(6, 1).double()
    for k in range(6):
        out = [part[k : k + 1] for part in bound]
        with torch.no_grad():
            network.bind(prepared[k : k + 1, None], 1)(t[k].item(), x[k : k + 1, None], *out)
    jacobians = [
        torch.autograd.functional.jacobian(
            lambda x, k=k: network.evaluate(t[k], x, prepared[k]), x[k]
        )
        for k in range(6)
    ]
    trace = torch.stack([j.trace() for j in jacobians])
    for velocity, divergence in ([part[:, 0] for part in bound], general):
        torch.testing.assert_close(velocity, network.evaluate(t, x, prepared))
        torch.testing.assert_close(divergence, trace)


def test_samples_come_with_their_density(trained_flow):
    flow = copy.deepcopy(trained_flow).double()
    condition = torch.tensor([[0.7], [1.2], [0.9]]).double()
    x_1, log_prob = flow.sample_with_log_prob(condition, 50, 100, seeds=[1, 2, 3])
    torch.testing.assert_close(x_1, flow.sample(condition, 50, 100, seeds=[1, 2, 3]))
    torch.testing.assert_close(flow.log_prob(x_1, condition, 100), log_prob, atol=1e-6, rtol=0)


def test_noise_depends_on_the_seed_of_the_galaxy_alone():
    flow = ConditionalFlow(VelocityNetwork(dim=5, condition_dim=2))
    condition = torch.randn(40, 2)
    seeds = np.arange(40) + 7
    together = flow.sample(condition, 100, 3, seeds=seeds)
    alone = torch.cat(
        [flow.sample(condition[k : k + 1], 100, 3, seeds=seeds[k : k + 1]) for k in range(40)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    fewer = flow.sample(condition, 10, 3, seeds=seeds)
    torch.testing.assert_close(fewer, together[:, :10], atol=1e-5, rtol=1e-5)


def test_many_samples_of_one_galaxy_are_split_into_blocks():
    flow = ConditionalFlow(VelocityNetwork(dim=2, condition_dim=1))
    x_0 = torch.randn(1, 5000, 2)
    whole = flow.sample(torch.zeros(1, 1), 5000, 2, x_0=x_0)
    half = flow.sample(torch.zeros(1, 1), 2500, 2, x_0=x_0[:, 2500:])
    torch.testing.assert_close(whole[:, 2500:], half)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n", "n_samples"), [(1, 2000), (7, 200), (1500, 1), (0, 3)])
def test_blocks_side_by_side_are_the_blocks_in_turn(threads, n, n_samples):
    flow = ConditionalFlow(VelocityNetwork(dim=2, condition_dim=1, width=16))
    condition, seeds = torch.linspace(-1, 1, n)[:, None], np.arange(n)
    found = {}
    for n_threads in (1, 2, 3):
        threads(n_threads)
        x_1, log_prob = flow.sample_with_log_prob(condition, n_samples, 3, seeds=seeds)
        found[n_threads] = x_1, log_prob, flow.log_prob(x_1, condition, 3)
        assert torch.get_num_threads() == n_threads
    for n_threads in (2, 3):
        torch.testing.assert_close(found[n_threads], found[1], atol=1e-5, rtol=1e-5)


def test_each_block_has_threads_of_its_own(threads, monkeypatch):
    seen = []
    jump, rk4 = ConditionalFlow._jump, ConditionalFlow._rk4

    def watched(real):
        def watch(self, x, *rest):
            seen.append((len(x), torch.get_num_threads(), torch.is_grad_enabled()))
            return real(self, x, *rest)

        return watch

    monkeypatch.setattr(ConditionalFlow, "_jump", watched(jump))
    monkeypatch.setattr(ConditionalFlow, "_rk4", watched(rk4))
    network = VelocityNetwork(dim=2, condition_dim=1, width=16)
    threads(2)
    # 1,300 rows: two blocks at once, a thread each, then what is left by both threads.
    ConditionalFlow(network).sample(torch.zeros(1300, 1), 1, 2)
    assert seen == [(434, 1, False), (434, 1, False), (432, 2, False)]
    seen.clear()
    ConditionalFlow(network, jumps=1).sample(torch.zeros(1300, 1), 1)
    assert seen == [(650, 2, False), (650, 2, False)]


def test_inference_mode_holds_in_every_block(threads):
    flow = ConditionalFlow(VelocityNetwork(dim=2, condition_dim=1, width=16))
    condition = torch.zeros(1300, 1)
    threads(2)
    with torch.inference_mode():
        x_1, log_prob = flow.sample_with_log_prob(condition, 1, 2, seeds=range(1300))
        found = flow.log_prob(x_1, condition, 2)
    torch.testing.assert_close(x_1, flow.sample(condition, 1, 2, seeds=range(1300)))
    assert x_1.is_inference()
    assert log_prob.shape == found.shape == (1300, 1)


def test_an_error_in_a_block_is_raised(threads):
    class Broken(VelocityNetwork):
        def bind(self, prepared, n_samples, dtype=None):
            raise RuntimeError("no velocity")

    threads(2)
    with pytest.raises(RuntimeError, match="no velocity"):
        ConditionalFlow(Broken(dim=2, condition_dim=1)).sample(torch.zeros(1300, 1), 1, 2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("jumps", [0, 2])
@pytest.mark.parametrize("n", [1, 200])  # one block, and several
def test_autocast_is_of_the_products_alone(jumps, n):
    """Draws move by the rounding of bfloat16, densities not at all; all stay float32."""
    network = VelocityNetwork(dim=3, condition_dim=2, width=64)
    flow, condition = ConditionalFlow(network, jumps=jumps), torch.randn(n, 2)
    x_0, x_1 = torch.randn(2, n, 40, 3)
    exactly = flow.sample(condition, 40, 12, x_0=x_0)
    # Any network's default does the same.
    general = copy.copy(network)
    general.bind = lambda *given: VelocityField.bind(network, *given)
    with torch.autocast("cpu", torch.bfloat16):
        found = flow.sample(condition, 40, 12, x_0=x_0)
        of_general = ConditionalFlow(general, jumps=jumps).sample(condition, 40, 12, x_0=x_0)
    for draws in (found, of_general):
        assert draws.dtype == torch.float32
        assert 1e-6 < (draws - exactly).abs().max() < 5e-3
    if not jumps:

        def densities():
            both = flow.sample_with_log_prob(condition, 40, 8, x_0=x_0)
            return flow.log_prob(x_1, condition, 8), *both

        exactly = densities()
        with torch.autocast("cpu", torch.bfloat16):
            found = densities()
        torch.testing.assert_close(found, exactly, atol=0, rtol=0)


def test_trajectories_end_at_the_samples():
    flow = ConditionalFlow(VelocityNetwork(dim=2, condition_dim=1))
    x_0 = torch.randn(1, 6, 2)
    places = flow.trajectories(torch.zeros(1, 1), x_0, steps=10)
    assert places.shape == (11, 1, 6, 2)
    torch.testing.assert_close(places[0], x_0)
    torch.testing.assert_close(places[-1], flow.sample(torch.zeros(1, 1), 6, 10, x_0=x_0))


def test_training_reaches_the_smoothed_posterior():
    r"""A trained network lands within 0.02 nat of the posterior convolved with N(0, σ²).

    y = θ + noise with θ ~ N(0, 1): the posterior is N(y/(1+s²), s²/(1+s²)). σ is large here, so
    that the smoothed posterior is far (0.05 nat) from the posterior itself.
    """
    sigma, s = 0.2, 0.25
    posterior_std = s / math.sqrt(1 + s**2)
    smoothed_std = math.hypot(posterior_std, sigma)

    def measured():
        theta = torch.randn(256, 1)
        return theta, theta + s * torch.randn(256, 1)

    network = VelocityNetwork(dim=1, condition_dim=1, width=64, depth=2)
    flow = learned(ConditionalFlow(network, sigma), 800, measured).double()
    y = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    mean = y / (1 + s**2)
    z = torch.linspace(-6, 6, 801, dtype=torch.float64)
    grid = mean + smoothed_std * z[None]
    found = flow.log_prob(grid[..., None], y, steps=50)

    def divergence_from(std):
        log_p = -0.5 * ((grid - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
        return torch.trapezoid(log_p.exp() * (log_p - found), grid, dim=1).mean().item()

    assert divergence_from(smoothed_std) < 0.02
    assert divergence_from(smoothed_std) < 0.5 * divergence_from(posterior_std)


def test_errors_name_the_shapes():
    flow = ConditionalFlow(VelocityNetwork(dim=5, condition_dim=2))
    for given, message in (
        ({"x_0": torch.zeros(2, 4, 5)}, r"\(2, 3, 5\) is needed"),
        ({"seeds": [1]}, "1 seeds for 2 conditions"),
        ({"steps": 0}, "at least one Runge-Kutta step"),
    ):
        with pytest.raises(ValueError, match=message):
            flow.sample(torch.zeros(2, 2), 3, **given)
    with pytest.raises(ValueError, match="5 dimensions"):
        flow.log_prob(torch.zeros(2, 4), torch.zeros(2, 2))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_network_in_place_is_the_network(depth, dtype, tolerance):
    """What integrates, in memory allocated once, is the velocity that was trained."""
    network = VelocityNetwork(dim=5, condition_dim=7, width=32, depth=depth).to(dtype)
    prepared = network.prepare(torch.randn(3, 7, dtype=dtype)).unsqueeze(1)
    bound = network.bind(prepared, 11)
    general = VelocityField.bind(network, prepared, 11)
    for t in (0.0, 0.4, 1.0):
        x = torch.randn(3, 11, 5, dtype=dtype)
        found, expected = ((torch.empty_like(x), torch.empty(3, 11, dtype=dtype)) for _ in "ab")
        with torch.inference_mode():
            bound(t, x, *found)
            general(t, x, *expected)
            for ours, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)
            bound(t, x, found[0].zero_())
            torch.testing.assert_close(found[0], expected[0], atol=tolerance, rtol=tolerance)


@pytest.fixture(scope="module")
def trained_flow():
    """A flow with the sharp, curved velocities of a trained network: a ring of radius c."""

    def ring():
        radius, angle = 0.5 + torch.rand(256, 1), torch.rand(256, 1) * math.pi
        return radius * torch.cat([angle.cos(), angle.sin()], 1), radius

    torch.manual_seed(2)
    network = VelocityNetwork(dim=2, condition_dim=1, width=32, depth=3)
    return learned(ConditionalFlow(network), 300, ring)


def test_error_of_the_fast_setting(trained_flow):
    """Samples and log-densities of few float32 steps, against many in float64."""
    condition = torch.tensor([[0.7], [1.2]])
    x_0 = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(3))
    few = trained_flow.sample(condition, 200, FAST_STEPS, x_0=x_0)
    density = trained_flow.log_prob(few, condition, FAST_STEPS)
    _, alongside = trained_flow.sample_with_log_prob(condition, 200, FAST_STEPS, x_0=x_0)
    exact = copy.deepcopy(trained_flow).double()
    many = exact.sample(condition.double(), 200, 200, x_0=x_0.double())
    reference = exact.log_prob(few.double(), condition.double(), 200)
    assert (few - many).abs().max() < 1e-3
    assert (density - reference).abs().max() < 1e-2
    assert (alongside - reference).abs().max() < 1e-2


def classical_runge_kutta(flow, x, condition, steps):
    """The scheme of fourth order that textbooks call RK4."""
    h = 1 / steps

    def velocity(t, x):
        return flow.velocity(x.new_full((len(x), 1), t), x, condition)

    for t in np.arange(steps) * h:
        k_1 = velocity(t, x)
        k_2 = velocity(t + h / 2, x + h / 2 * k_1)
        k_3 = velocity(t + h / 2, x + h / 2 * k_2)
        k_4 = velocity(t + h, x + h * k_3)
        x = x + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return x


@torch.no_grad()
def test_steps_agree_with_the_classical_scheme_and_need_be_fewer():
    model = Posterior.load(published_folder() / "models" / "photometry", "cpu")
    flow = copy.deepcopy(model.flow).double()
    condition = model.encode(np.array([[18.9, 17.8, 17.3, 17.0, 16.8]])).double()
    x_0 = torch.randn(1, 400, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    wide = condition.expand(400, -1)
    exact = flow.sample(condition, 400, 200, x_0=x_0)[0]
    classical = classical_runge_kutta(flow, x_0[0], wide, 100)
    assert (flow.sample(condition, 400, 100, x_0=x_0)[0] - classical).abs().max() < 1e-8
    errors = [
        (end - exact).square().mean().sqrt()
        for end in (
            flow.sample(condition, 400, FAST_STEPS, x_0=x_0)[0],
            classical_runge_kutta(flow, x_0[0], wide, FAST_STEPS),
        )
    ]
    assert errors[0] < 0.75 * errors[1]


def test_memory_may_be_in_any_order():
    flow = ConditionalFlow(VelocityNetwork(dim=5, condition_dim=3, width=16))
    x, condition = torch.randn(5, 7, 2).permute(2, 1, 0), torch.randn(2, 3)
    for found, expected in (
        [flow.log_prob(y, condition, 4) for y in (x, x.contiguous())],
        [flow.sample(condition, 7, 4, x_0=y) for y in (x, x.contiguous())],
        [flow.trajectories(condition, y, 4) for y in (x, x.contiguous())],
    ):
        torch.testing.assert_close(found, expected)


def test_memory_does_not_grow_with_the_number_of_galaxies(monkeypatch):
    """No tensor but the results is larger than a block, and noise is drawn block by block."""
    rows = []
    bind = VelocityNetwork.bind

    def watched(self, prepared, n_samples, dtype):
        rows.append(len(prepared) * n_samples)
        return bind(self, prepared, n_samples, dtype)

    def noise(seeds, n_samples, dim):
        rows.append(len(seeds) * n_samples)
        return standard_normal(seeds, n_samples, dim)

    monkeypatch.setattr(VelocityNetwork, "bind", watched)
    monkeypatch.setattr("galcfm.flow.standard_normal", noise)
    flow = ConditionalFlow(VelocityNetwork(dim=5, condition_dim=2, width=8))
    flow.sample(torch.zeros(3000, 2), 10, 1, seeds=range(3000))
    assert max(rows) <= block_rows(torch.device("cpu"))
    assert sum(rows) == 2 * 30_000
