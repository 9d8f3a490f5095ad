"""Linear cutouts of any bands, size and scale: from a table through training to a catalogue."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from astropy.io import fits
from conftest import toy_survey
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from galcfm.catalogue import CatalogueError, infer_catalogue
from galcfm.catalogue.command import main
from galcfm.networks import ImageEncoder
from galcfm.posterior import ModelError, Posterior
from galcfm.properties import SDSS, LinearCutouts
from galcfm.survey import Survey
from galcfm.survey.cutouts import Cutouts
from galcfm.training import RECIPES, TrainingSettings, train, train_models
from galcfm.training.data import binned_images, turned, turned_each

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
DRAWS = {"n_samples": 8, "steps": 3}
BANDS, SIZE, SCALE = ("g", "r", "z", "Y"), 26, 0.262
TINY = replace(RECIPES["rehearsal"], image_crop=64, image_bin=3)


def fluxes(survey: Survey, bands: int, size: int) -> np.ndarray:
    """Noise, and a galaxy of which the brightness is that of the toy survey's image."""
    rng = np.random.default_rng(0)
    light = survey.images.mean((1, 2, 3)) / 50
    data = rng.normal(0, 0.1, (len(survey), bands, size, size))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    data += light[:, None, None, None] * np.exp(-np.hypot(x, y) / 3)
    return data.astype(np.float32)


@pytest.fixture(scope="module")
def galaxies() -> tuple[pd.DataFrame, np.ndarray]:
    survey = toy_survey(60)
    return survey.catalogue.assign(ra=150.0, dec=2.0), fluxes(survey, len(BANDS), SIZE)


@pytest.fixture(scope="module")
def made(galaxies, tmp_path_factory):
    """A survey of linear cutouts on disk, and its models."""
    place, (table, data) = tmp_path_factory.mktemp("linear"), galaxies
    cutouts = Cutouts(data, bands=BANDS, linear=True, size=SIZE - 2)
    survey = Survey.from_table(table, cutouts=cutouts, pixel_scale=SCALE, **DECLARED)
    survey.save(place / "survey")
    survey = Survey.load(place / "survey")
    models = train_models(survey, place, TINY, ["photometry", "image"], progress=False)
    return place, survey, models["image"]


def test_the_whole_way_gives_finite_posteriors(made):
    place, survey, model = made
    encoder = model.architecture["encoder"]
    assert encoder["channels"] == 4
    assert encoder["linear"]
    assert encoder["crop"] == 24  # the largest crop of at most 24 with 3 × 2² pixels per step
    loaded = Posterior.load(place / "image")
    assert loaded.declaration.cutouts == LinearCutouts(BANDS, SIZE - 2, SCALE)
    assert loaded.encoder.softening.min() > 0
    test = survey.split("test")
    draws = loaded.sample(test.magnitudes, test.images, object_id=test.object_id, **DRAWS)
    assert torch.isfinite(draws).all()
    inferred = loaded.infer(test, **DRAWS, progress=False)
    assert {"image_p", "image_outside"} <= set(inferred.coords)
    brighter = loaded.sample(test.magnitudes, 2 * test.images, object_id=test.object_id, **DRAWS)
    assert not torch.equal(draws, brighter)
    assert not Posterior.load(place / "photometry").uses_images


def doors(galaxies, place):
    """The same galaxies as a survey, with a folder of FITS files, and with columns of fluxes."""
    table, data = galaxies
    folder = place / "folder"
    folder.mkdir()
    for name, planes in zip(table["object_id"], data, strict=True):
        for band, plane in zip(BANDS, planes, strict=True):
            fits.PrimaryHDU(plane / 2).writeto(folder / f"{name}_{band}.fits")
    names = [f"des-{band}" for band in BANDS[::-1]]
    records = [
        {"band": names, "flux": planes[::-1].tolist(), "scale": [SCALE] * len(BANDS)}
        for planes in data
    ]
    for name, cells in (("records", records), ("arrays", data[:, ::-1].tolist())):
        columns = pa.Table.from_pandas(table).append_column("fluxes", pa.array(cells))
        pa.parquet.write_table(columns, place / f"{name}.parquet")
    return {
        "folder": ("records.parquet", Cutouts(folder, unit="2 nanomaggy"), SCALE),
        "records": ("records.parquet", "fluxes", SCALE),
        "arrays": ("arrays.parquet", Cutouts("fluxes", bands=BANDS[::-1]), SCALE),
        "survey": ("survey", None, None),
    }


def assert_as_inferred(result, model: Posterior, survey: Survey) -> None:
    """Compare all bits of the result with `infer`, as in a catalogue one galaxy at a time."""
    assert result.used == len(survey)
    found = pd.read_parquet(result.folder / "dataset").set_index("object_id")
    for k in range(0, len(survey), 9):
        one = model.infer(survey.select([k]), **DRAWS, progress=False)
        row = found.loc[survey.object_id[k]]
        for name in ("image_p", "photometry_p"):
            assert row[name] == np.float32(one[name].item())
        for name in SDSS.property_names:
            assert row["draws"][name].tolist() == one[name].to_numpy().ravel().tolist()


def test_a_catalogue_has_the_numbers_of_infer(made, galaxies, tmp_path):
    place, survey, model = made
    for door, (source, cutouts, scale) in doors(galaxies, tmp_path).items():
        source = place / source if door == "survey" else tmp_path / source
        declared = {} if door == "survey" else DECLARED
        result = infer_catalogue(
            place / "image", source, tmp_path / f"{door} out", cutouts=cutouts, pixel_scale=scale,
            **DRAWS, **declared, n_draws=8, progress=False,
        )  # fmt: skip
        assert_as_inferred(result, model, survey)


def test_the_command_infers_fluxes(made, galaxies, tmp_path, capsys):
    place = made[0]
    doors(galaxies, tmp_path)
    words = ["infer", str(tmp_path / "arrays.parquet"), "--model", str(place / "image"), "--quiet"]
    words += ["--out", str(tmp_path / "out"), "--samples", "8", "--steps", "3", "--unit", "AB"]
    words += ["--total", "--dereddened", "--cutouts", "fluxes", "--pixel-scale", "0.262"]
    assert main([*words, "--cutout-bands", "Y,z,r,g", "--cutout-unit", "nanomaggy"]) == 0
    assert "60 of 60 galaxies inferred" in capsys.readouterr().out
    assert main([*words, "--cutout-bands", "Yz"]) == 1
    assert "out" in capsys.readouterr().err


def test_a_catalogue_refuses_other_cutouts(made, galaxies, tmp_path, survey):
    place, _, model = made
    photometry = tmp_path / "table.parquet"
    galaxies[0].to_parquet(photometry)
    survey.save(tmp_path / "colour")
    colour = Posterior(encoder={"crop": 64, "bin_factor": 4, "widths": [4]})
    for chosen, source, cutouts, scale, said in (
        (model, tmp_path / "colour", None, None, "has colour images, and the model takes linear"),
        (colour, place / "survey", None, None, "has linear cutouts in g, r, z, Y of 24×24 pixels"),
        (model, photometry, str(tmp_path), 0.396, "pixel_scale is 0.396, and the model takes"),
        (
            colour,
            photometry,
            Cutouts(str(tmp_path), "gri"),
            0.396,
            "leave the bands of the cutouts",
        ),
    ):
        with pytest.raises(CatalogueError, match=said):
            infer_catalogue(
                chosen, source, tmp_path / "out", cutouts=cutouts, pixel_scale=scale,
                **({} if scale is None else DECLARED), **DRAWS, progress=False,
            )  # fmt: skip


def test_wrong_images_are_refused_in_a_sentence(made, survey):
    _, mine, model = made
    images, magnitudes = np.array(mine.images[:3]), mine.magnitudes[:3]
    holes = images.copy()
    holes[1, 3, 4, 0] = np.nan
    for wrong, said in (
        (
            images[:2],
            r"images are float32 \(2, 24, 24, 4\) for 3 galaxies: float32 \(3, 24, 24, 4\)",
        ),
        (images[:, 1:-1, 1:-1], "is needed, linear cutouts in g, r, z, Y of 24×24 pixels of 0.262"),
        (images.astype(np.float64), "images are float64"),
        (np.zeros((3, 128, 128, 3), np.uint8), "images are uint8"),
        (holes, "row 1: the image is not finite"),
        (np.ma.MaskedArray(images, holes != holes), "images is masked in row 1"),
    ):
        with pytest.raises(ModelError, match=said):
            model.encode(magnitudes, wrong)
    with pytest.raises(ModelError, match="has colour images, and this model takes linear cutouts"):
        model.encode_survey(survey)
    with pytest.raises(ModelError, match="give images"):
        model.encode_survey(mine.without_images())
    narrower = replace(mine.declaration, cutouts=LinearCutouts(BANDS, SIZE - 2, 0.2))
    other = Survey(mine.catalogue, mine.images, {"declaration": narrower.content})
    with pytest.raises(ModelError, match=r"pixels of 0\.2 arcsec"):
        model.encode_survey(other)
    for encoder in ({"crop": 24}, {"crop": 24, "linear": True}, {"crop": 24, "channels": 4}):
        with pytest.raises(ModelError, match="but linear cutouts in g, r, z, Y"):
            Posterior(encoder=encoder, declaration=replace(SDSS, cutouts=mine.declaration.cutouts))
    with pytest.raises(ModelError, match="but colour images need"):
        Posterior(encoder={"linear": True})


def test_training_refuses_images_that_are_not_finite(made, tmp_path):
    _, mine, model = made
    images = np.array(mine.images)
    images[np.flatnonzero(mine.catalogue["split"] == "validation")[0]] = np.inf
    spoilt = Survey(mine.catalogue, images, mine.parameters)
    settings = TrainingSettings(max_epochs=1)
    with pytest.raises(ModelError, match="row 0: the image is not finite"):
        train(Posterior(**model.architecture), spoilt, tmp_path, settings, progress=False)


def test_an_interrupted_training_ends_with_the_same_weights(made, tmp_path):
    _, mine, model = made
    options = {"learning_rate": 1e-3, "augment": True, "encoder_batch": 7, "half_precision": True}

    def trained(name, epochs):
        fresh = Posterior(**model.architecture)
        settings = TrainingSettings(max_epochs=epochs, **options)
        return train(fresh, mine, tmp_path / name, settings, progress=False)

    trained("resumed", 1)
    assert trained("resumed", 2).weights_digest == trained("whole", 2).weights_digest


# The encoder --------------------------------------------------------------------------------------


def encoder_of(**options) -> ImageEncoder:
    return ImageEncoder(4, (4, 4), **{"linear": True, "channels": 2, "crop": 16} | options).eval()


def test_bins_are_sums_and_the_stretch_is_asinh():
    images = torch.randn(3, 20, 20, 2)
    encoder = encoder_of(bin_factor=2)
    binned = encoder.bin(images)
    inner = images[:, 2:18, 2:18].reshape(3, 8, 2, 8, 2, 2).sum((2, 4))
    torch.testing.assert_close(binned, inner)
    # Fluxes add, and bins commute with the symmetries of the square.
    torch.testing.assert_close(
        encoder.bin(3 * images + images.flip(0)), 3 * binned + binned.flip(0)
    )
    for k in range(8):
        torch.testing.assert_close(encoder.bin(turned(images, k)), turned(binned, k))
    encoder.softening.copy_(torch.tensor([0.5, 2.0]))
    encoder.pixel_mean.copy_(torch.tensor([0.1, -0.2]))
    encoder.pixel_std.copy_(torch.tensor([1.5, 0.7]))
    x = (torch.asinh(binned / encoder.softening) - encoder.pixel_mean) / encoder.pixel_std
    torch.testing.assert_close(encoder.prepare(binned), x.permute(0, 3, 1, 2))


def test_the_softening_is_the_noise_of_a_bin():
    noise = torch.tensor([0.02, 5.0])
    images = noise * torch.randn(64, 16, 16, 2)
    images[:, 6:10, 6:10] += 1e4 * noise  # a galaxy in few pixels
    encoder = encoder_of(bin_factor=2)
    encoder.standardise(images)
    torch.testing.assert_close(encoder.softening, 2 * noise, rtol=0.15, atol=0)
    x = encoder.prepare(encoder.bin(images))
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)
    # The unit of the fluxes changes nothing.
    other = encoder_of(bin_factor=2)
    other.load_state_dict(encoder.state_dict())
    other.standardise(1000 * images)
    torch.testing.assert_close(other(1000 * images), encoder(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_images_without_noise_have_a_softening(level):
    images = torch.full((4, 16, 16, 2), level)
    images[:, 8, 8, 0] = 7
    encoder = encoder_of()
    encoder.standardise(images)
    assert (encoder.softening > 0).all()
    assert torch.isfinite(encoder(images)).all()


def test_images_are_binned_and_turned_as_floats():
    images = torch.randn(9, 16, 16, 2)
    binned = binned_images(encoder_of(), images.numpy(), torch.device("cpu"))
    assert torch.equal(binned, images)
    each = turned_each(binned, torch.Generator().manual_seed(0))
    assert each.dtype == torch.float32
    for one, found in zip(binned, each, strict=True):
        assert any(torch.equal(turned(one[None], k)[0], found) for k in range(8))


@pytest.mark.parametrize(
    ("size", "crop"), [(160, 128), (128, 128), (127, 96), (96, 96), (95, 64), (32, 32), (33, 32)]
)
def test_a_recipe_fits_its_crop_to_the_cutouts(size, crop):
    declared = replace(SDSS, cutouts=LinearCutouts("griz", size, 0.2))
    model = RECIPES["quick"].model("image", declared)
    assert model.architecture["encoder"]["crop"] == crop
    assert model.encoder(torch.zeros(2, size, size, 4)).shape == (2, 256)


def test_a_recipe_refuses_cutouts_that_are_too_small():
    declared = replace(SDSS, cutouts=LinearCutouts("g", 31, 0.2))
    with pytest.raises(
        ValueError, match="a crop of 31 pixels in bins of 2 is too small for 4 pool"
    ):
        RECIPES["quick"].model("image", declared)


@settings(max_examples=4, phases=[Phase.generate])
@given(st.integers(1, 5), st.integers(16, 30), st.floats(0.05, 2), st.integers(1, 2))
def test_any_bands_sizes_and_scales_are_trained(tmp_path_factory, bands, size, scale, bin_factor):
    place, toys = tmp_path_factory.mktemp("any"), toy_survey(40)
    names = [f"b{k}" for k in range(bands)]
    cutouts = Cutouts(fluxes(toys, bands, size), bands=names, linear=True)
    survey = Survey.from_table(toys.catalogue, cutouts=cutouts, pixel_scale=scale, **DECLARED)
    survey.save(place / "survey")
    recipe = replace(TINY, image_bin=bin_factor, warm_start=False)
    survey = Survey.load(place / "survey")
    train_models(survey, place, recipe, ["image"], progress=False)
    result = infer_catalogue(
        place / "image", place / "survey", place / "out", **DRAWS, n_draws=8, progress=False
    )
    assert_as_inferred(result, Posterior.load(place / "image"), survey)
