"""Linear cutouts: the same fluxes from every kind of source, north up, or a reason."""

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from galcfm.properties import LinearCutouts
from galcfm.survey import Survey, SurveyError
from galcfm.survey.cutouts import Cutouts

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
SCALE, BANDS = 0.262, ("g", "r", "z")
NAMES = ["a", "b", "c"]


def table(n=3, **columns) -> pd.DataFrame:
    magnitudes = dict(zip("ugriz", [18.5, 17.4, 16.8, 16.4, 16.2], strict=True))
    values = {f"mag_{band}": [m] * n for band, m in magnitudes.items()}
    return pd.DataFrame({"object_id": NAMES[:n], "ra": 150.0, "dec": 2.0, **values, **columns})


def fluxes(size=12, n=3, bands=3, seed=0) -> np.ndarray:
    """Fluxes as in FITS, the first row in the south: `(n, bands, size, size)`."""
    return np.random.default_rng(seed).normal(0, 1, (n, bands, size, size)).astype(np.float32)


def take(source, *, scale=SCALE, rows=None, **options) -> Survey:
    options = {"bands": BANDS, "linear": True} | options
    rows = table() if rows is None else rows
    cutouts = Cutouts(source, **options)
    return Survey.from_table(rows, cutouts=cutouts, pixel_scale=scale, **DECLARED)


def reason(source, **options) -> str:
    """The reason why the second of three galaxies cannot be used."""
    rejected = take(source, **options).rejected
    assert rejected["object_id"].tolist() == ["b"]
    assert "\n" not in rejected["reason"][0]
    return rejected["reason"][0]


def stored(data: np.ndarray) -> np.ndarray:
    """What a survey stores: the first row in the north, bands last."""
    return np.moveaxis(data[:, :, ::-1], 1, -1)


def record(planes, bands=("des-g", "des-r", "des-z"), **parts) -> dict:
    """A record of the Multimodal Universe, whose parts are lists by band."""
    usual = {"psf_fwhm": [1.3] * len(bands), "scale": [np.float32(SCALE)] * len(bands)}
    return {"band": list(bands), "flux": planes, **usual, **parts}


def by_band(one: dict) -> list[dict]:
    """The same record as a list with one record for each band."""
    return [{name: part[k] for name, part in one.items()} for k in range(len(one["band"]))]


# The same fluxes from every kind of source --------------------------------------------------------


def folder(data, place, header=None, unit=None):
    place.mkdir()
    for name, planes in zip(NAMES, data, strict=True):
        for band, plane in zip(BANDS, planes, strict=True):
            hdu = fits.PrimaryHDU(plane, header)
            if unit:
                hdu.header["BUNIT"] = unit
            hdu.writeto(place / f"{name}_{band}.fits")
    return place


def hdf5(data, path, **attributes):
    with h5py.File(path, "w") as file:
        file["object_id"] = NAMES[::-1]
        file["cutouts"] = data[::-1]
        file["cutouts"].attrs.update(attributes)
    return path


def parquet(data, place, listed=False):
    """Records through a Parquet file, as arrays in arrays in objects."""
    found = [record(planes.tolist()) for planes in data]
    found = [by_band(one) for one in found] if listed else found
    pa.parquet.write_table(pa.table({"image": found}), place)
    return pd.read_parquet(place)["image"]


DOORS = {
    "array": lambda data, place: data,
    "big-endian doubles": lambda data, place: data.astype(">f8"),
    "list": lambda data, place: list(data),
    "dict": lambda data, place: dict(zip(NAMES, data, strict=True)),
    "folder": lambda data, place: folder(data, place),
    "folder in Jy": lambda data, place: folder(data * np.float32(3.631e-6), place, unit="Jy"),
    "HDF5": hdf5,
    "HDF5 with bands": lambda data, place: hdf5(data[:, ::-1], place, bands=["z", "r", "g"]),
    "records": lambda data, place: [record(planes) for planes in data],
    "HDF5 with bands in one word": lambda data, place: hdf5(data, place, bands=np.bytes_("grz")),
    "records without a scale": lambda data, place: [record(p, scale=None) for p in data],
    "records by band": lambda data, place: [by_band(record(planes)) for planes in data],
    "records in another order": lambda data, place: [
        record(planes[[1, 0, 2]], ("HSC-R", "HSC-G", "HSC-Z"), mask=np.ones((12, 12), bool))
        for planes in data
    ],
    "records of Arrow": lambda data, place: pa.array([record(p.tolist()) for p in data]),
    "records of Parquet": parquet,
    "records by band of Parquet": lambda data, place: parquet(data, place, listed=True),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_source_gives_the_same_fluxes(door, tmp_path):
    data = fluxes()
    survey = take(DOORS[door](data, tmp_path / "cutouts.h5"))
    assert survey.declaration.cutouts == LinearCutouts(BANDS, 12, SCALE)
    assert survey.images.dtype == np.float32
    exact = {} if "Jy" not in door else {"rtol": 1e-6}
    np.testing.assert_allclose(survey.images, stored(data), **{"rtol": 0, "atol": 0} | exact)


def test_a_survey_keeps_them_on_disk(tmp_path):
    survey = take(fluxes())
    survey.save(tmp_path / "survey")
    loaded = Survey.load(tmp_path / "survey")
    assert loaded.declaration == survey.declaration
    np.testing.assert_array_equal(loaded.images, survey.images)
    np.testing.assert_array_equal(loaded.select([2]).images, survey.images[2:])


@pytest.mark.parametrize("size", [12, 11, 8, 7, 1])
def test_the_central_pixels_are_kept(size):
    data = fluxes(12)
    images = take(data, size=size).images
    top = (12 - size) // 2
    np.testing.assert_array_equal(images, stored(data)[:, top : top + size, top : top + size])


def test_bands_are_chosen_by_name_and_order():
    data = fluxes(bands=3)
    records = [record(planes) for planes in data]
    np.testing.assert_array_equal(take(records, bands=["z", "g"]).images, stored(data)[..., [2, 0]])


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [12, 11])
def test_fits_files_are_turned_to_north_up(turn, size, tmp_path):
    data, angle = fluxes(size), np.radians(turn)
    header = fits.Header(
        {
            **{"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0},
            **{"CRPIX1": (size + 1) / 2, "CRPIX2": (size + 1) / 2},
            **{"CD1_1": -SCALE / 3600 * np.cos(angle), "CD1_2": SCALE / 3600 * np.sin(angle)},
            **{"CD2_1": SCALE / 3600 * np.sin(angle), "CD2_2": SCALE / 3600 * np.cos(angle)},
        }
    )
    images = take(folder(data, tmp_path / "cutouts", header)).images
    expected = np.rot90(data, -turn // 90, (2, 3))
    np.testing.assert_allclose(images, stored(expected), atol=1e-4)


def test_any_angle_keeps_the_light_in_place(tmp_path):
    """A star 5 arcsec north and 8 east of the galaxy, in frames with any angle."""
    size = 121
    for turn in (20, 130):
        angle = np.radians(turn)
        y, x = (np.mgrid[:size, :size] - 60) * SCALE
        east, north = -x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        star = np.exp(-((east - 8) ** 2 + (north - 5) ** 2) / 2).astype(np.float32)
        header = fits.Header(
            {
                **{"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0},
                **{"CRPIX1": 61.0, "CRPIX2": 61.0, "CDELT1": SCALE / 3600, "CDELT2": SCALE / 3600},
                **{"CD1_1": -SCALE / 3600 * np.cos(angle), "CD1_2": SCALE / 3600 * np.sin(angle)},
                **{"CD2_1": SCALE / 3600 * np.sin(angle), "CD2_2": SCALE / 3600 * np.cos(angle)},
            }
        )
        del header["CDELT1"], header["CDELT2"]
        data = np.broadcast_to(star, (3, 3, size, size))
        image = take(folder(data, tmp_path / f"{turn}", header), size=80).images[0, :, :, 0]
        row, column = np.unravel_index(image.argmax(), image.shape)
        # Rows run south and columns west from the corner in the north-east.
        np.testing.assert_allclose(
            [(39.5 - row) * SCALE, (39.5 - column) * SCALE], [5, 8], atol=0.3
        )
        assert image.max() == pytest.approx(1, abs=0.02)


# Masked pixels, sizes, scales and units -----------------------------------------------------------

HOLES = {
    "NaN": lambda data, bad: np.where(bad, np.nan, data),
    "infinite": lambda data, bad: np.where(bad, np.inf, data),
    "masked": lambda data, bad: np.ma.MaskedArray(data, bad),
}


def holes(rows, columns, size=24) -> np.ndarray:
    bad = np.zeros((3, 3, size, size), bool)
    bad[1, 0, rows, columns] = True
    return bad


@pytest.mark.parametrize("kind", [*HOLES, "mask", "mask of all bands", "ivar"])
def test_small_gaps_are_interpolated_and_large_ones_refused(kind):
    y, x = np.mgrid[:24, :24]
    data = np.broadcast_to((3 * x - y + 100).astype(np.float32), (3, 3, 24, 24)).copy()

    def holed(bad):
        spoilt = np.where(bad, np.float32(1e6), data)
        if kind in HOLES:
            return HOLES[kind](spoilt, bad)
        usable = {"mask": ~bad, "mask of all bands": ~bad[:, 0], "ivar": np.where(bad, 0, 2.0)}
        part = kind.split()[0]
        return [record(p, **{part: u}) for p, u in zip(spoilt, usable[kind], strict=True)]

    # The weights are symmetric, so that one pixel of a plane is interpolated exactly.
    row, column, corner = slice(8, 9), slice(12, 13), slice(0, 2)
    for place, tolerance in (
        ((row, column), 1e-3),
        ((slice(8, 11), column), 0.5),
        ((corner, corner), 5),
    ):
        small = take(holed(holes(*place))).images
        np.testing.assert_allclose(small, stored(data), rtol=0, atol=tolerance)
        assert small.dtype == np.float32
    said = reason(holed(holes(slice(4, 16), slice(6, 18))))
    assert said.startswith("cutout: 16 of its 24×24 pixels are masked or have no value")
    # Outside the part that is kept, nothing is needed.
    assert len(take(holed(holes(slice(0, 24), slice(0, 6))), size=8)) == 3


REFUSALS = {
    "smaller": (
        lambda data: [data[0], data[1][:, 1:], data[2]],
        "12×11 pixels of 0.262 arcsec cover 2.9 arcsec, but 3.1 are needed: cut out a wider field",
    ),
    "a band less": (
        lambda data: [data[0], data[1][:2], data[2]],
        "it is neither fluxes (bands, height, width), one plane per band, nor a record of the "
        "Multimodal Universe with band and flux, and mask and ivar of the same shape (its fluxes "
        "are (2, 12, 12) for 3 bands)",
    ),
    "an image": (
        lambda data: [data[0], np.zeros((12, 12, 3), np.uint8), data[2]],
        "its fluxes are (12, 12, 3) for 3 bands",
    ),
    "text": (lambda data: [data[0], "b.jpg", data[2]], "it is neither fluxes"),
    "nothing": (lambda data: [data[0], None, data[2]], "it is neither fluxes"),
    "no pixels": (lambda data: [data[0], data[1][:, :0], data[2]], "it is neither fluxes"),
    "none": (lambda data: {"a": data[0], "c": data[2]}, "there is none for b: add it"),
    "another band": (
        lambda data: [
            record(data[0]),
            record(data[1], ("des-g", "des-r", "des-i")),
            record(data[2]),
        ],
        "it has the bands des-g, des-r, des-i, of which 0 are z: give one plane per band",
    ),
    "a band twice": (
        lambda data: [
            record(data[0]),
            record(data[1], ("des-g", "hsc-g", "des-z")),
            record(data[2]),
        ],
        "of which 2 are g",
    ),
    "another scale": (
        lambda data: [record(data[0]), record(data[1], scale=[0.262, 0.262, 0.3]), record(data[2])],
        "it states 0.300 arcsec per pixel, not 0.262: correct pixel_scale, or leave the row out",
    ),
    "another mask": (
        lambda data: [record(data[0]), record(data[1], mask=np.ones((5, 5))), record(data[2])],
        "it is neither fluxes",
    ),
    "no band": (
        lambda data: [record(data[0]), record(data[1]) | {"band": None}, record(data[2])],
        "it is neither fluxes",
    ),
    "a part less": (
        lambda data: [record(data[0]), [{"band": "g", "flux": data[1, 0]}, {"band": "r"}], data[2]],
        "it is neither fluxes",
    ),
    "no scale": (
        lambda data: [record(data[0]), record(data[1], scale=[None] * 3), record(data[2])],
        "it states nan arcsec per pixel, not 0.262",
    ),
    "no flux": (
        lambda data: [record(data[0]), {"band": ["g", "r", "z"]}, record(data[2])],
        "it is neither fluxes",
    ),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_cutouts_that_differ_are_refused(fault):
    source, said = REFUSALS[fault]
    assert said in reason(source(fluxes()))


def test_the_whole_call_is_refused_in_one_sentence(tmp_path):
    data = fluxes()
    for options, said in (
        ({"bands": None}, "Cutouts has no band: give at least one"),
        ({"bands": "grg"}, "Cutouts has the band 'g' 2 times: give it once"),
        ({"size": 0}, "size is 0: give a whole number of pixels, at least 1"),
        ({"size": 96.0}, "size is 96.0: give a whole number"),
        ({"size": 8, "linear": False}, "of linear cutouts, or leave size out"),
        ({"linear": "no"}, "linear is 'no': give True or False"),
        ({"unit": "erg/s"}, "it is in 'erg/s': convert it to nanomaggies or Jy"),
        ({"source": data[:2]}, "2 cutouts for 3 rows"),
        ({"source": folder(data[:, :, :4], tmp_path / "flat"), "size": 8}, "cover 1.0 arcsec"),
        ({"source": folder(data, tmp_path / "three"), "bands": "gri"}, "has no a_i.fits"),
    ):
        with pytest.raises(SurveyError) as refused:
            take(**{"source": data} | options)
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from("ugrizyYJHK"), min_size=1, max_size=6, unique=True),
    st.integers(1, 20),
    st.integers(0, 3),
    st.floats(0.02, 5),
)
def test_any_bands_sizes_and_scales(bands, size, margin, scale):
    data = fluxes(size + 2 * margin, bands=len(bands))
    survey = take(data, bands=bands, size=size, scale=scale)
    assert survey.declaration.cutouts == LinearCutouts(tuple(bands), size, scale)
    inner = slice(margin, margin + size)
    np.testing.assert_array_equal(survey.images, stored(data)[:, inner, inner])
