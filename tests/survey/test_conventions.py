"""Tables and cutouts as surveys publish them: HDF5, asinh and Vega, names, bands, pixels."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey import Survey, SurveyError
from galcfm.survey.conventions import CASJOBS, DESI, DESI_WISE, LEGACY, NSA, PHOTOOBJ
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.images import lupton_rgb
from galcfm.survey.photometry import SOFTENING, VEGA_OFFSET

h5py = pytest.importorskip("h5py")
DECLARED = {"unit": "AB", "total": True, "dereddened": True}
NANOMAGGIES = DECLARED | {"unit": "nanomaggy"}


@pytest.fixture
def frame(survey):
    columns = ["object_id", "ra", "dec", "redshift", "ebv", *MAGNITUDES]
    return survey.catalogue.loc[:7, columns]


def reasons(survey):
    return dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))


# HDF5


def columns_into(group, frame):
    for name in frame:
        values = frame[name].to_numpy()
        group[name] = values.astype("S") if name == "object_id" else values


def test_a_table_in_hdf5_by_every_way_to_write_one(frame, tmp_path):
    wanted = Survey.from_table(frame, **DECLARED).catalogue
    Table.from_pandas(frame).write(tmp_path / "astropy.h5", path="data", serialize_meta=True)
    Table.from_pandas(frame).write(tmp_path / "compound.hdf5", path="a/b/c")
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        columns_into(file, frame)
        # Pictures beside a catalogue are none of its columns.
        file["image_array"] = np.zeros((8, 3, 4, 4))
    with h5py.File(tmp_path / "group.hdf", "w") as file:
        columns_into(file.create_group("catalogue"), frame)
        file["catalogue/mag_u"].attrs["unit"] = "mag"
        file["version"] = [1, 2]
    for path in sorted(tmp_path.glob("*[s5]")):
        found = Survey.from_table(path, **DECLARED)
        pd.testing.assert_frame_equal(found.catalogue, wanted)
    with h5py.File(tmp_path / "group.hdf") as file:
        found = Survey.from_table(file["catalogue"], **DECLARED)
        pd.testing.assert_frame_equal(found.catalogue, wanted)
    with h5py.File(tmp_path / "compound.hdf5") as file:
        for node in (file, file["a"], file["a/b/c"]):
            pd.testing.assert_frame_equal(Survey.from_table(node, **DECLARED).catalogue, wanted)


def test_units_gaps_and_vectors_of_hdf5_count(frame, tmp_path):
    flux = 10 ** (0.4 * (22.5 - frame[list(MAGNITUDES)].to_numpy()))
    flux[3, 2] = -1e20
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["id"] = frame["object_id"].to_numpy().astype("S")
        file["flux"] = flux * 3.631
        file["flux"].attrs["units"] = "uJy"
        file["flux"].attrs["_FillValue"] = flux[3, 2] * 3.631
    columns = {f"mag_{b}": f"flux[{k}]" for k, b in enumerate(BANDS)} | {"object_id": "id"}
    survey = Survey.from_table(tmp_path / "a.h5", columns, **DECLARED | {"unit": "Jy"})
    expected = frame[list(MAGNITUDES)].drop(3)
    np.testing.assert_allclose(survey.magnitudes, expected, atol=1e-6)
    assert reasons(survey) == {3: "mag_r (column 'flux[2]') has no value"}


def test_hdf5_that_is_no_table_or_several_is_refused(frame, tmp_path):
    def refused(message, write):
        path = tmp_path / "a.h5"
        path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            write(file)
        with pytest.raises(SurveyError, match=message):
            Survey.from_table(path, **DECLARED)

    def two(file):
        Table.from_pandas(frame).write(file, path="a")
        Table.from_pandas(frame).write(file, path="b")

    def of_two_lengths(file):
        columns_into(file, frame)
        file["wavelength"] = np.arange(5)

    def linked(file):
        file["mag_u"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "x")

    refused("has no object_id", lambda file: None)
    refused(r"several tables, /a, /b: write the table you need", two)
    refused("cannot be read as hdf5 .*length", of_two_lengths)
    refused("has no object_id, mag_u", linked)
    (tmp_path / "a.h5").write_bytes(b"no")
    with pytest.raises(SurveyError, match=r"a\.h5 cannot be read as hdf5"):
        Survey.from_table(tmp_path / "a.h5", **DECLARED)


# Magnitudes of other kinds


def luptitudes(flux, error, b):
    """Asinh magnitudes by their definition, of fluxes in units of 3631 Jy."""
    pogson = 2.5 / np.log(10)
    return (
        -pogson * (np.arcsinh(flux / (2 * b)) + np.log(b)),
        pogson * error / np.sqrt(flux**2 + 4 * b**2),
    )


def test_asinh_magnitudes_and_their_errors(frame):
    table, wanted = frame.copy(), frame.copy()
    for band in BANDS:
        # Down to fluxes at which both kinds of magnitudes differ by tenths.
        wanted[f"mag_{band}"] = np.linspace(16, 24, len(frame))
        flux = 10 ** (-0.4 * wanted[f"mag_{band}"])
        wanted[f"magerr_{band}"] = 2.5 / np.log(10) * 0.1
        table[f"mag_{band}"], table[f"magerr_{band}"] = luptitudes(
            flux, 0.1 * flux, SOFTENING[band]
        )
    assert (table["mag_z"] - wanted["mag_z"]).abs().max() > 0.2
    table.loc[5, "mag_u"] = -2.5 * np.log10(SOFTENING["u"]) + 0.01
    survey = Survey.from_table(table, **DECLARED | {"unit": "asinh"})
    assert reasons(survey) == {
        5: f"mag_u is {table.loc[5, 'mag_u']:g} asinh mag: its flux is not positive"
    }
    for names in (MAGNITUDES, MAGNITUDE_ERRORS):
        found = survey.catalogue[list(names)].to_numpy()
        np.testing.assert_allclose(found, wanted[list(names)].drop(5), rtol=1e-9)
    # A luptitude of zero flux is -2.5 log10 b: 24.63 in u, as SDSS tabulates it.
    assert -2.5 * np.log10(SOFTENING["u"]) == pytest.approx(24.63, abs=0.01)


def test_vega_magnitudes_and_their_errors(frame):
    vega = frame.assign(**{f"mag_{b}": frame[f"mag_{b}"] - VEGA_OFFSET[b] for b in BANDS})
    vega = vega.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.03))
    survey = Survey.from_table(vega, **DECLARED | {"unit": "Vega"})
    np.testing.assert_allclose(survey.magnitudes, frame[list(MAGNITUDES)])
    np.testing.assert_allclose(survey.catalogue["magerr_z"], 0.03)
    # Vega is bright in u: its magnitudes there are smaller than those on the AB system.
    assert VEGA_OFFSET["u"] > 0 > VEGA_OFFSET["g"]


def test_units_of_the_table_speak_of_the_kind_of_magnitude(frame):
    table = Table.from_pandas(frame)
    for name in MAGNITUDES:
        table[name].unit = u.Unit("luptitude", parse_strict="silent")
    Survey.from_table(table, **DECLARED | {"unit": "asinh"})
    for unit in ("AB", "Vega", "nanomaggy"):
        with pytest.raises(SurveyError, match=f"is in 'luptitude', not in {unit}"):
            Survey.from_table(table, **DECLARED | {"unit": unit})


def test_inverse_variances_become_errors(frame):
    table = Table.from_pandas(frame)
    for band in BANDS:
        flux = 10 ** (0.4 * (22.5 - frame[f"mag_{band}"].to_numpy()))
        table[f"mag_{band}"] = flux
        table[f"ivar_{band}"] = MaskedColumn(1 / (0.02 * flux) ** 2)
        table[f"ivar_{band}"].unit = u.Unit("1/nanomaggy^2", parse_strict="silent")
    survey = Survey.from_table(table, **NANOMAGGIES)
    np.testing.assert_allclose(survey.catalogue["magerr_g"], 0.02 * 2.5 / np.log(10))
    table["ivar_r"][2] = 0
    assert "ivar_r is 0" in reasons(Survey.from_table(table, **NANOMAGGIES))[2]
    with pytest.raises(SurveyError, match="ivar_i, ivar_z are inverse variances of fluxes"):
        Survey.from_table(Table.from_pandas(frame.assign(**{f"ivar_{b}": 1.0 for b in BANDS})),
                          **DECLARED)  # fmt: skip
    table["ivar_z"].unit = "nanomaggy"
    with pytest.raises(SurveyError, match="'ivar_z' for ivar_z is in"):
        Survey.from_table(table, **NANOMAGGIES)


# Names


@pytest.mark.parametrize("told", [NSA, PHOTOOBJ, CASJOBS, LEGACY, DESI, DESI_WISE])
def test_tables_as_surveys_publish_them(frame, told):
    columns = told["columns"]
    frame = frame.assign(mag_W1=frame["mag_z"] - 0.1, mag_W2=frame["mag_z"] + 0.4)
    flux = 10 ** (0.4 * (22.5 - frame[list(MAGNITUDES)].to_numpy()))
    table = {columns[n]: frame[n].to_numpy() for n in ("ra", "dec", "redshift") if n in columns}
    table |= {"EBV": np.zeros(8), columns["object_id"]: np.arange(8)}
    seven = np.concatenate([np.full((8, 2), 9.0), flux], 1)
    for name, values in {"ELPETRO_NMGY": seven, "MODELFLUX": flux}.items():
        table |= {name: values, f"{name}_IVAR": (0.02 * values) ** -2}
    for k, band in enumerate(BANDS):
        f = flux[:, k]
        table |= {f"FLUX_{band.upper()}": f, f"FLUX_IVAR_{band.upper()}": (0.02 * f) ** -2}
        asinh, error = luptitudes(1e-9 * f, 0.02e-9 * f, SOFTENING[band])
        table |= {f"modelMag_{band}": asinh, f"modelMagErr_{band}": error}
    for band in ("W1", "W2"):
        f = 10 ** (0.4 * (22.5 - frame[f"mag_{band}"].to_numpy()))
        table |= {f"FLUX_{band}": f, f"FLUX_IVAR_{band}": (0.02 * f) ** -2}
    told = told | {"columns": {"ebv": "EBV"} | columns}
    bands = [band for band in told["bands"] if columns[f"mag_{band}"]]
    survey = Survey.from_table(table, missing_bands=len(bands) < len(told["bands"]), **told)
    assert len(survey) == 8
    assert survey.declaration.bands == told["bands"]
    for band in bands:
        found = survey.catalogue[f"mag_{band}"]
        np.testing.assert_allclose(found, frame[f"mag_{band}"], atol=1e-6)
        np.testing.assert_allclose(survey.catalogue[f"magerr_{band}"], 0.0217, atol=1e-4)


# Cutouts in bands


def planes(size=200, scale=0.262, seed=0):
    """Galaxy in g, r, i, z with a star in the north-east; nanomaggies a pixel, south first."""
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * scale
    galaxy = np.exp(-np.hypot(x, y) / 4)
    star = 3 * np.exp(-((x + 15) ** 2 + (y - 10) ** 2) / 2)
    area = (scale / 0.396) ** 2
    light = (0.6 * galaxy + 0.1 * star, galaxy + star, 1.2 * galaxy + 3 * star, 2 * galaxy)
    return area * np.stack(light).astype(np.float32)


def expected(scale=0.396):
    g, r, i, _ = planes(128, scale)
    return lupton_rgb(*(plane[::-1] for plane in (i, r, g)))


def close(image, tolerance=2.0):
    return np.abs(image.astype(int) - expected()).mean() < tolerance


def taken(frame, cutouts, scale=0.262):
    return Survey.from_table(frame, cutouts=cutouts, pixel_scale=scale, **DECLARED)


def refused(message, frame, cutouts, scale=0.262):
    with pytest.raises(SurveyError, match=message):
        taken(frame, cutouts, scale)


def test_fluxes_in_numpy_of_any_size_at_a_stated_scale(frame):
    fine = np.stack([planes(size=256, scale=0.2)] * 8)
    survey = taken(frame, Cutouts(fine, bands="griz"), 0.2)
    assert close(survey.images[0])
    in_jansky = Cutouts(fine[:, [2, 0, 1]] * 3.631e-6, bands=["des-i", "des-g", "des-r"], unit="Jy")
    assert np.abs(taken(frame, in_jansky, 0.2).images - survey.images.astype(int)).max() <= 1
    named = dict(zip(frame["object_id"][:3], fine, strict=False))
    named[frame["object_id"][3]] = planes(size=190, scale=0.2)
    numbered = frame.assign(object_id=range(8))
    again = taken(numbered, Cutouts(dict(enumerate(fine)), bands="griz"), 0.2)
    np.testing.assert_array_equal(again.images, survey.images)
    again = taken(frame, Cutouts(named, bands="griz"), 0.2)
    np.testing.assert_array_equal(again.images, survey.images[:3])
    assert "cover 38.0 arcsec, but 50.7 are needed" in reasons(again)[3]
    assert "there is none for" in reasons(again)[4]
    message = r"float32 \(4, 256, 256\).*with their bands, as cutouts=Cutouts"
    by_id = dict(zip(frame["object_id"], fine, strict=True))
    for cutouts in (fine, by_id, Cutouts(fine, bands="gri")):
        refused(message, frame, cutouts, 0.2)
    pictures = np.stack([expected()] * 8)
    turned = taken(frame, Cutouts(pictures[..., ::-1], bands="gri"), 0.396)
    np.testing.assert_array_equal(turned.images, pictures)
    gap = fine.copy()
    gap[0, 1, 100, 100] = np.nan
    assert "pixels without a value" in reasons(taken(frame, Cutouts(gap, bands="griz"), 0.2))[0]


def test_no_band_stands_in_for_another(frame, tmp_path):
    grz = np.stack([planes()[[0, 1, 3]]] * 8)
    message = (
        "the bands g, r, z do not include i: image models need i, r and g.*leave the cutouts out"
    )
    refused(message, frame, Cutouts(grz, bands="grz"))
    refused("give one letter of ugrizy each", frame, Cutouts(grz, bands="grw"))
    refused("give one letter of ugrizy each", frame, Cutouts(grz, bands="ggr"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = grz
        file["image_array"].attrs["bands"] = [b"des-g", b"des-r", b"des-z"]
    refused(message, frame, tmp_path / "a.h5")
    # A folder does not say what its images show.
    refused("leave bands out", frame, Cutouts(tmp_path, bands="irg"))
    # A file that says otherwise than you is not reinterpreted.
    message = r"a\.h5 states the bands g, r, z, not g, r, i: leave bands out"
    refused(message, frame, Cutouts(tmp_path / "a.h5", bands="gri"))


@pytest.mark.parametrize("with_ids", [False, True])
def test_a_stack_in_hdf5_says_its_bands_and_galaxies(frame, tmp_path, with_ids):
    order = np.arange(8)[::-1] if with_ids else np.arange(8)
    stack = np.stack([planes() * (1 + 0.2 * k) for k in range(8)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = stack[order]
        file["image_ivar"] = stack
        file["image_array"].attrs["bands"] = ["des-g", "des-r", "des-i", "des-z"]
        if with_ids:
            file["object_id"] = frame["object_id"].to_numpy()[order].astype("S")
    survey = taken(frame, tmp_path / "a.h5")
    assert close(survey.images[0])
    assert (np.diff([image.astype(float).mean() for image in survey.images]) > 0).all()
    if with_ids:
        frame.loc[2, "object_id"] = "another"
        assert "there is none for another" in reasons(taken(frame, tmp_path / "a.h5"))[2]
    else:
        refused("8 cutouts for 5 rows", frame.head(5), tmp_path / "a.h5")


def test_a_dataset_a_galaxy_in_hdf5(frame, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("cutouts")
        for k, name in enumerate(frame["object_id"]):
            group[name] = planes(size=200 + k)
        group.attrs["bands"], group.attrs["unit"] = "griz", "nanomaggy"
        del group[frame["object_id"][7]]
    survey = taken(frame, tmp_path / "a.h5")
    assert close(survey.images[0])
    assert "there is none for" in reasons(survey)[7]
    with h5py.File(tmp_path / "a.h5", "a") as file:
        again = taken(frame, Cutouts(file["cutouts"], bands="griz"))
        np.testing.assert_array_equal(again.images, survey.images)
        file["cutouts"].attrs["unit"] = "adu"
    refused("is in 'adu': convert it to nanomaggies or Jy per", frame, tmp_path / "a.h5")


def sky_header(scale):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150, 2], [100.5, 100.5]
    wcs.wcs.cd = np.diag([-scale, scale]) / 3600
    return wcs.to_header()


def test_errors_and_masks_beside_the_images_are_no_images(frame, tmp_path):
    frame = frame.head(2).assign(ra=150.0, dec=2.0)
    ids = frame["object_id"].tolist()
    for band, plane in zip("gri", planes(), strict=False):
        others = []
        for name in ("IVAR_R", "psf-i", "g mask", "WHT_G", "err_z"):
            others.append(fits.ImageHDU(np.full((200, 200), 9.0), sky_header(0.262), name=name))
            others[-1].header["EXTNAME"] = name
        hdus = [fits.PrimaryHDU(), *others]
        fits.HDUList(hdus).writeto(tmp_path / f"{ids[1]}_{band}.fits")
        hdus.append(fits.ImageHDU(plane, sky_header(0.262)))
        fits.HDUList(hdus).writeto(tmp_path / f"{ids[0]}_{band}.fits")
    survey = taken(frame, tmp_path)
    assert close(survey.images[0])
    assert "no image with two dimensions" in reasons(survey)[1]


def test_files_of_cutouts_that_are_none(frame, tmp_path):
    for name in ("a.npy", "a.h5", "a.fits", "a.jpg"):
        (tmp_path / name).write_bytes(b"no")
        refused("cannot be read as HDF5: give an HDF5 file, an array", frame, tmp_path / name)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["one"] = file["two"] = np.zeros((8, 3, 4, 4))
    refused("contains one, two: rename the cutouts to image_array", frame, tmp_path / "b.h5")
