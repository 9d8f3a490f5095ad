"""The two networks: sizes of the paper, preprocessing, clear refusals."""

import pytest
import torch

from galcfm.networks import ImageEncoder, VelocityNetwork
from galcfm.posterior import Posterior


@pytest.mark.parametrize(("encoder", "width"), [(None, 11), ({}, 267)])
def test_input_widths_are_the_papers(encoder, width):
    network = Posterior(encoder=encoder).flow.network
    assert network.hidden[0].in_features == width
    assert [layer.out_features for layer in network.hidden] == [256, 256, 256]
    assert network.output.out_features == 5


def test_input_order_is_time_theta_condition():
    network = VelocityNetwork(dim=2, condition_dim=3, width=8, depth=1)
    t, x, c = torch.rand(4, 1), torch.randn(4, 2), torch.randn(4, 3)
    plain = torch.cat([t, x, c], 1) @ network.hidden[0].weight.T + network.hidden[0].bias
    expected = network.output(torch.nn.functional.silu(plain))
    torch.testing.assert_close(network(t, x, c), expected)


def test_encoder_is_the_papers_by_default():
    encoder = ImageEncoder()
    assert len(encoder.blocks) == 4
    convolutions = [b[0] for b in encoder.blocks]
    assert all(c.stride == (1, 1) for c in convolutions)
    assert all(isinstance(b[-1], torch.nn.AvgPool2d) for b in encoder.blocks)
    assert encoder(torch.zeros(2, 128, 128, 3, dtype=torch.uint8)).shape == (2, 256)


def test_crop_and_bin_keep_the_centre():
    images = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    images[:, 63:65, 63:65] = torch.tensor([200, 100, 50], dtype=torch.uint8)
    encoder = ImageEncoder(crop=64, bin_factor=2, widths=(4, 4))
    x = encoder.prepare(encoder.bin(images)) * 255
    assert x.shape == (1, 3, 32, 32)
    torch.testing.assert_close(x.sum((2, 3)), torch.tensor([[200.0, 100.0, 50.0]]))
    torch.testing.assert_close(x[0, :, 15:17, 15:17].sum((1, 2)), x.sum((2, 3))[0])


def test_standardised_pixels_have_unit_spread():
    images = torch.randint(0, 255, (8, 128, 128, 3), dtype=torch.uint8)
    encoder = ImageEncoder(crop=64, widths=(4, 4))
    encoder.standardise(images)
    x = encoder.prepare(encoder.bin(images))
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="is too small for 4 poolings"):
        ImageEncoder(crop=16, bin_factor=2)
    with pytest.raises(ValueError, match="at least one hidden layer"):
        VelocityNetwork(2, 2, depth=0)
    with pytest.raises(ValueError, match="smaller than the model's crop of 128"):
        ImageEncoder()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
