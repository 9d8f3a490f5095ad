"""Cutouts: colours as SDSS makes them, JPEG, and what is refused."""

import io
import math

import numpy as np
import pytest

from galcfm.survey.images import decode_jpeg, encode_jpeg, lupton_rgb, verify_jpeg


@pytest.fixture
def bands(rng):
    """i, r, g with sky noise, a bright source that saturates and negative pixels."""
    y, x = np.mgrid[-64:64, -64:64]
    source = np.exp(-(x**2 + y**2) / 50)
    noise = 0.02 * rng.normal(size=(3, 128, 128))
    return np.multiply.outer([30.0, 10.0, 3.0], source) + noise


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def picture(bands):
    return lupton_rgb(*bands)


def frame_colours(i, r, g):
    """The published recipe, pixel by pixel: floats, before they become bytes."""
    scaled = [max(0.0, 0.4 * factor * x) for factor, x in ((5, i), (6.5, r), (9, g))]
    radius = 2.25 * sum(scaled)
    if radius > 0:
        scaled = [x * math.asinh(radius) / radius for x in scaled]
    return [x / max(1.0, *scaled) for x in scaled]


def test_colours_are_those_of_sdss_frames(bands):
    ours = lupton_rgb(*bands)
    expected = np.array([frame_colours(*pixel) for pixel in bands.reshape(3, -1).T])
    expected = np.minimum(256 * expected, 255).reshape(128, 128, 3)
    # A value on the edge between two integers may fall on either side.
    assert (np.abs(ours + 0.5 - expected) <= 0.5 + 1e-6).all()
    assert ours.max() == 255
    assert (ours[bands[0] < 0, 0] == 0).all()


def test_stacks_of_images_are_converted_one_by_one(bands):
    stack = np.stack([bands, 2 * bands], axis=1).astype(np.float32)
    result = lupton_rgb(*stack)
    assert result.shape == (2, 128, 128, 3)
    assert result.dtype == np.uint8
    assert (result[1] == lupton_rgb(*(2 * bands).astype(np.float32))).all()


def test_colours_do_not_depend_on_brightness():
    faint, bright = (lupton_rgb(*(k * np.array([1.0, 0.7, 0.4])[:, None, None])) for k in (1, 2))
    faint, bright = faint.ravel().astype(float), bright.ravel().astype(float)
    assert bright[0] > faint[0]
    np.testing.assert_allclose(faint / faint[0], bright / bright[0], atol=0.02)


def test_jpeg_round_trip_keeps_the_picture(picture):
    data = encode_jpeg(picture)
    verify_jpeg(data)
    back = decode_jpeg(data)
    assert back.dtype == np.uint8
    assert back.shape == picture.shape
    # Luminance survives; chroma noise is averaged over 2 × 2 pixels.
    weights = [0.299, 0.587, 0.114]
    assert np.abs((back - picture.astype(float)) @ weights).mean() < 4


def test_jpeg_has_halved_chroma_and_quality_75(picture):
    from PIL import Image

    image = Image.open(io.BytesIO(encode_jpeg(picture)))
    assert image.layer[0][1:3] == (2, 2)
    # The first steps of the tables at which the coefficients of real cutouts stand.
    assert image.quantization[0][:4] == [8, 6, 5, 8]
    assert Image.open(io.BytesIO(encode_jpeg(picture, 92))).quantization[0][0] == 3


def _jpeg(image, **options):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda picture: b"<html>no such object</html>", "not a readable JPEG"),
        (lambda picture: b"", "not a readable JPEG"),
        (lambda picture: encode_jpeg(picture)[:1500], "cut short"),
        (lambda picture: encode_jpeg(picture)[:-2], "cut short"),
        (lambda picture: encode_jpeg(picture[:64]), "128×64"),
        (lambda picture: _jpeg(picture[:, :, 0]), "mode L"),
        (lambda picture: encode_jpeg(np.full_like(picture, 128)), "blank"),
        (lambda picture: encode_jpeg(picture[:, :, :1].repeat(3, 2)), "it is grey"),
    ],
)
def test_bad_cutouts_are_refused_with_the_reason(picture, spoil, reason):
    with pytest.raises(ValueError, match=reason):
        verify_jpeg(spoil(picture))
