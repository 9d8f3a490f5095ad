"""What a model may be given: taken rightly, or refused in a sentence that names it."""

import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units as u
from astropy.utils.masked import Masked
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from galcfm import Posterior, Survey
from galcfm.flow import GPU_BLOCK_ROWS, block_rows
from galcfm.posterior import ModelError, galaxy_seeds
from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import SurveyError
from galcfm.survey.values import MISSING_CODES

ENCODER = {"n_features": 4, "widths": [4], "bin_factor": 8}
SMALL = {"width": 16, "depth": 2}


@pytest.fixture(scope="module")
def few(survey):
    return survey.select(np.arange(6))


def fitted(survey, **options):
    torch.manual_seed(0)
    model = Posterior("r_and_colours", network=SMALL, **options)
    model.fit_standardisation(survey.split("train"))
    return model.eval()


@pytest.fixture(scope="module")
def photometry(survey):
    return fitted(survey)


@pytest.fixture(scope="module")
def image(survey):
    return fitted(survey, encoder=ENCODER)


def draw(model, magnitudes, images=None, **options):
    return model.sample(magnitudes, images, n_samples=3, steps=2, **options)


@pytest.mark.parametrize(
    "give",
    {
        "list": lambda m: m.tolist(),
        "float32": np.float32,
        "no unit": lambda m: m * u.dimensionless_unscaled,
        "tensor": lambda m: torch.from_numpy(m),
        "a gradient": lambda m: torch.from_numpy(m).requires_grad_(),
        "Fortran order": np.asfortranarray,
        "every second": lambda m: np.repeat(m, 2, axis=0)[::2],
        "big endian": lambda m: m.astype(">f8"),
        "table": lambda m: pd.DataFrame(m, columns=list(MAGNITUDES)),
        "table, other order": lambda m: pd.DataFrame(m, columns=list(MAGNITUDES))[
            ["mag_z", *MAGNITUDES[:4]]
        ].assign(other="x"),
        "AB magnitudes": lambda m: m * u.ABmag,
        "magnitudes": lambda m: u.Quantity(m, u.mag),
        "mask without a gap": lambda m: np.ma.MaskedArray(m, mask=np.zeros(m.shape, bool)),
    }.items(),
    ids=lambda item: item[0],
)
def test_magnitudes_of_any_library_are_the_same_numbers(photometry, few, give):
    expected = draw(photometry, few.magnitudes)
    torch.testing.assert_close(draw(photometry, give[1](few.magnitudes)), expected)


@settings(max_examples=200)
@given(
    cells=st.dictionaries(
        st.integers(0, 29),
        st.sampled_from([*MISSING_CODES, 0.0, np.nan, np.inf, -np.inf, 40.0])
        | st.floats(-100, 100),
        min_size=1,
        max_size=8,
    )
)
def test_both_doors_refuse_the_same_rows(photometry, few, cells):
    """`Survey.from_table` and arrays that are given to a model: one rule for what is measured."""
    magnitudes = few.magnitudes.copy()
    magnitudes.flat[list(cells)] = list(cells.values())
    table = few.catalogue[["object_id", "ra", "dec"]].copy()
    table[list(MAGNITUDES)] = magnitudes
    try:
        taken = Survey.from_table(table, unit="AB", total=True, dereddened=True).object_id
    except SurveyError as error:
        if "the numbers look like" in str(error):  # a guess that needs a whole table
            return
        taken = []
    refused = []
    for name, row in zip(few.object_id, magnitudes, strict=True):
        try:
            photometry.encode(row[None])
        except ModelError:
            refused.append(name)
    assert [name for name in few.object_id if name not in taken] == refused


@pytest.mark.parametrize("call", ["half", "double", "bfloat16"])
def test_another_precision_is_refused(photometry, few, call):
    with pytest.raises(ModelError, match="computes in float32: leave out"):
        getattr(photometry, call)()
    with pytest.raises(ModelError, match="computes in float32"):
        photometry.to(torch.float16)
    assert torch.isfinite(draw(photometry.to("cpu").float(), few.magnitudes)).all()


@pytest.mark.parametrize("redshift", [-9999, -99, 99, np.nan, np.inf, -0.02])
def test_redshifts_that_are_codes_are_refused(survey, few, redshift):
    model = fitted(survey, use_redshift=True)
    given_z = np.where(np.arange(6) == 2, redshift, few.redshift)
    for z in (given_z, np.stack([few.redshift, given_z], 1)):
        with pytest.raises(ModelError, match=r"row 2: the redshift is outside \[-0.01, 20\]"):
            model.encode(few.magnitudes, redshift=z)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["flow.network.hidden.0.weight", "feature_mean", "property_std"])
def test_weights_that_are_not_finite_are_refused(photometry, tmp_path, name, value):
    photometry.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights[name].view(-1)[0] = value
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(
        ModelError, match=f"model.safetensors: {name} contains values .* not finite"
    ):
        Posterior.load(tmp_path)


MASK = np.arange(30).reshape(6, 5) == 17


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda m: np.ma.MaskedArray(m, MASK), "magnitudes is masked in row 3"),
        (lambda m: Masked(m, MASK), "magnitudes is masked in row 3"),
        (lambda m: 10 ** (9 - 0.4 * m) * u.nJy, "magnitudes is in nJy: plain numbers"),
        (lambda m: m * u.STmag, r"magnitudes is in mag\(ST\): plain numbers"),
        (lambda m: pd.DataFrame(m), "magnitudes is a table without mag_u"),
        (
            lambda m: pd.DataFrame(m[:, 1:], columns=[*MAGNITUDES[1:]]),
            "a table without mag_u: give",
        ),
        (lambda m: pd.DataFrame(m, columns=list("ugriz")), "without mag_u, mag_g"),
        (lambda m: m.astype(str), "magnitudes contains <U"),
        (lambda m: m > 17, "magnitudes contains bool"),
        (lambda m: m[:, :4], r"magnitudes has shape \(6, 4\): \(n, 5\) in u, g, r, i, z needed"),
        (lambda m: m[0], r"magnitudes has shape \(5,\)"),
        (lambda m: [[1.0], [1.0, 2.0]], "magnitudes is no array"),
        (lambda m: np.where(MASK, np.inf, m), "row 3: mag_r is inf, outside"),
        (lambda m: np.where(MASK, 99.0, m), "row 3: mag_r is 99, a code for a missing value"),
        (lambda m: np.where(MASK, -9999, m), "row 3: mag_r is -9999, a code .* remove these"),
        (lambda m: np.where(MASK, 0.0, m), "row 3: mag_r is 0, outside"),
    ],
)
def test_magnitudes_that_mean_something_else_are_refused(
    photometry, few, give, message, monkeypatch
):
    monkeypatch.setattr(photometry, "ranges", {"photometry": None})
    for call in (photometry.encode, photometry.sample, photometry.out_of_range):
        with pytest.raises(ModelError, match=message):
            call(give(few.magnitudes))
    with pytest.raises(ModelError, match=message):
        photometry.log_prob(few.properties, give(few.magnitudes))


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda x: np.pad(x, ((0, 0), (64, 64), (64, 64), (0, 0))), r"\(6, 256, 256, 3\)"),
        (lambda x: x[:, 10:110, 10:110], r"uint8 \(6, 100, 100, 3\) .*cutouts=…, pixel_scale"),
        (lambda x: x[..., [0, 1, 2, 2]], r"\(6, 128, 128, 4\) .* channels i, r, g last"),
        (lambda x: x[..., :1], r"\(6, 128, 128, 1\) .* channels i, r, g last"),
        (lambda x: x.transpose(0, 3, 1, 2), r"\(6, 3, 128, 128\) .* channels i, r, g last"),
        (lambda x: x / 255, "images are float64 .* from 0 to 255"),
        (lambda x: x.astype(np.float32), "images are float32"),
        (lambda x: x.astype(int), "images are int64"),
        (lambda x: x[0], r"uint8 \(128, 128, 3\) for 6 galaxies"),
        (lambda x: x[:5], "one cutout per galaxy"),
        (lambda x: np.ma.MaskedArray(x, x > 250), "images is masked in row"),
        (lambda x: pd.DataFrame(x.reshape(6, -1)), "images is a table"),
        (lambda x: x[:0], r"uint8 \(0, 128, 128, 3\)"),
    ],
)
def test_cutouts_that_mean_something_else_are_refused(image, few, give, message):
    images = few.images.copy()
    images[2, 3] = 255
    with pytest.raises(ModelError, match=message):
        image.sample(few.magnitudes, give(images))


def test_cutouts_of_any_library_are_the_same_pixels(image, few):
    expected = image.encode(few.magnitudes, few.images)
    for images in (
        torch.from_numpy(few.images),
        few.images.tolist() and np.array(few.images, order="F"),
        np.repeat(few.images, 2, axis=0)[::2],
        np.ma.MaskedArray(few.images, mask=False),
        few.images[:, ::-1][:, ::-1],
    ):
        torch.testing.assert_close(image.encode(few.magnitudes, images), expected)


def test_no_galaxies_have_no_posteriors(photometry, image, few):
    assert draw(photometry, few.magnitudes[:0]).shape == (0, 3, 5)
    assert draw(image, few.magnitudes[:0], few.images[:0]).shape == (0, 3, 5)
    assert photometry.log_prob(few.properties[:0], few.magnitudes[:0]).shape == (0,)
    for nobody in ([], np.arange(0), np.array([])):
        none = few.select(nobody)
        assert len(none) == 0
        for model in (photometry, image):
            found = model.infer(none, n_samples=4, steps=2, progress=False)
            assert found.sizes["object_id"] == 0


@pytest.mark.parametrize("value", [0, -1, 10.0, "10", True, None])
def test_numbers_of_samples_and_steps_are_whole(photometry, few, value):
    for name in ("n_samples", "steps"):
        with pytest.raises(ModelError, match=f"{name} is {value!r}: give a whole number"):
            photometry.sample(few.magnitudes, **{name: value})
        with pytest.raises(ModelError, match=name):
            photometry.infer(few, **{name: value})
    with pytest.raises(ModelError, match="steps"):
        photometry.log_prob(few.properties, few.magnitudes, steps=value)
    assert photometry.sample(few.magnitudes, n_samples=np.int32(4), steps=2).shape[1] == 4


@pytest.mark.parametrize("seed", [None, -1, 1.0, "1"])
def test_seeds_are_whole_numbers(photometry, few, seed):
    for call in (draw, lambda model, m, **k: model.infer(few, n_samples=4, steps=2, **k)):
        with pytest.raises(ModelError, match="seed is"):
            call(photometry, few.magnitudes, seed=seed)


def test_an_identifier_is_the_same_as_text_or_number():
    assert galaxy_seeds([b"587", "a"], 0).tolist() == galaxy_seeds(["587", "a"], 0).tolist()
    assert galaxy_seeds([587], 0) == galaxy_seeds(["587"], 0) == galaxy_seeds(np.array([587]), 0)
    for bad in (587.0, None, np.nan, True, ("a",)):
        with pytest.raises(ModelError, match=r"object_id contains .*: text or whole numbers"):
            galaxy_seeds([bad], 0)


def test_as_many_identifiers_as_galaxies(photometry, few):
    with pytest.raises(ModelError, match="5 object_id for 6 galaxies"):
        draw(photometry, few.magnitudes, object_id=few.object_id[:5])


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda t: t[:, :4], r"theta has shape \(6, 4\): \(6, 5\) needed"),
        (lambda t: t[:3], r"theta has shape \(3, 5\)"),
        (lambda t: t[0], r"theta has shape \(5,\)"),
        (lambda t: t[:, None, :4], r"theta has shape \(6, 1, 4\): \(6, n, 5\)"),
        (lambda t: np.where(MASK, np.nan, t), "row 3: theta is not finite"),
        (lambda t: np.where(MASK, np.inf, t), "row 3: theta is not finite"),
        (lambda t: np.ma.MaskedArray(t, MASK), "theta is masked in row 3"),
        (lambda t: pd.DataFrame(t), "theta is a table without log_stellar_mass"),
    ],
)
def test_properties_that_are_none_are_refused(photometry, few, give, message):
    with pytest.raises(ModelError, match=message):
        photometry.log_prob(give(few.properties), few.magnitudes)


def test_properties_of_a_table_are_taken_by_name(photometry, few):
    table = pd.DataFrame(few.properties, columns=list(PROPERTY_NAMES))[[*PROPERTY_NAMES[::-1]]]
    expected = photometry.log_prob(few.properties, few.magnitudes, steps=2)
    torch.testing.assert_close(photometry.log_prob(table, few.magnitudes, steps=2), expected)


def test_what_a_model_was_not_trained_on_is_refused(survey, few, photometry):
    with pytest.raises(ModelError, match="trained without redshifts: leave redshift out"):
        photometry.sample(few.magnitudes, redshift=few.redshift)
    with pytest.raises(ModelError, match="trained without magnitude errors"):
        photometry.log_prob(few.properties, few.magnitudes, magnitude_errors=few.magnitudes)
    told = fitted(survey, use_redshift=True)
    z = np.ma.MaskedArray(few.redshift, np.arange(6) == 2)
    with pytest.raises(ModelError, match="redshift is masked in row 2"):
        told.sample(few.magnitudes, redshift=z)
    expected = draw(told, few.magnitudes, redshift=few.redshift)
    series = pd.Series(few.redshift, index=range(6, 12))
    torch.testing.assert_close(draw(told, few.magnitudes, redshift=series), expected)


def test_a_callers_arrays_stay_as_they_are(image, few):
    binned = image.encoder.bin(torch.from_numpy(few.images)).float()
    before = binned.clone()
    image.encoder.prepare(binned)
    torch.testing.assert_close(binned, before, rtol=0, atol=0)
    magnitudes, images = few.magnitudes, few.images.copy()
    draw(image, magnitudes, images)
    assert (magnitudes == few.magnitudes).all()
    assert (images == few.images).all()


def test_devices(photometry, tmp_path):
    photometry.save(tmp_path)
    for device in ("nonsense", "cuda:99", 7.5):
        with pytest.raises(ModelError, match=f"device is {device!r}.*give 'cpu'"):
            Posterior.load(tmp_path, device=device)
    assert Posterior.load(tmp_path, device="cpu").device.type == "cpu"
    assert block_rows(torch.device("mps")) == GPU_BLOCK_ROWS
    # Float64 numbers stay behind where the device has none.
    moved = Posterior.load(tmp_path).to("meta")
    assert moved.device.type == "meta"
    assert moved.property_mean.device.type == "cpu"


def test_a_gpu_gets_many_galaxies_at_once(photometry, few, monkeypatch):
    asked = []
    real = Posterior.sample_from
    monkeypatch.setattr(
        Posterior, "sample_from", lambda self, c, *a: asked.append(len(c)) or real(self, c, *a)
    )
    monkeypatch.setattr("galcfm.posterior.model.block_rows", lambda device: GPU_BLOCK_ROWS)
    many = few.select(np.arange(6).repeat(1))
    photometry.infer(many, n_samples=1000, steps=1, progress=False)
    assert asked == [6]
    assert GPU_BLOCK_ROWS // 1000 > 1000
