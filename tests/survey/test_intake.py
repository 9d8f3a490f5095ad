"""Anyone's tables and cutouts: what becomes a survey, and the reason for each row refused."""

import re
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from conftest import write_votable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import map_coordinates

from galcfm.properties import BANDS, EXTINCTION, MAGNITUDES, PROPERTY_NAMES
from galcfm.sdss import Ledger, make_survey
from galcfm.simulate import rendering
from galcfm.survey import Survey, SurveyError
from galcfm.survey.images import encode_jpeg, lupton_rgb

DECLARED = {"unit": "AB", "total": True, "dereddened": True}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def frame(survey):
    return survey.catalogue.head(8).drop(columns="split")


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 255, (8, 128, 128, 3), dtype=np.uint8)


def reasons(survey):
    return dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))


# Formats


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, content in (
        ("a.fits", b"SIMPLE  = no"),
        ("a.parquet", b"PAR1"),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.csv", b""),
        ("a.ecsv", b"# %ECSV 1.0\n# ---\n"),
        ("a.vot", b"<html>"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SurveyError, match=rf"{re.escape(name)} cannot be read"):
            Survey.from_table(tmp_path / name, **DECLARED)
    with pytest.raises(SurveyError, match="is missing"):
        Survey.from_table(tmp_path / "b.csv", **DECLARED)
    with pytest.raises(SurveyError, match="ending is unknown"):
        Survey.from_table(tmp_path / "b.pickle", **DECLARED)
    with pytest.raises(SurveyError, match="list is not a table"):
        Survey.from_table([1, 2], **DECLARED)


def test_a_votable_cannot_fetch_its_data_from_elsewhere(tmp_path):
    (tmp_path / "a.vot").write_text(
        '<VOTABLE version="1.3"><RESOURCE><TABLE><FIELD name="a" datatype="int"/><DATA><BINARY>'
        f'<STREAM href="file://{tmp_path}/b"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>',
        encoding="utf-8",
    )
    with pytest.raises(SurveyError, match="its data are in another file"):
        Survey.from_table(tmp_path / "a.vot", **DECLARED)


# Photometry


@pytest.mark.parametrize(("unit", "zero"), [("nanomaggy", 22.5), ("Jy", 8.9)])
def test_fluxes_become_magnitudes(frame, unit, zero):
    fluxes = 10 ** (0.4 * (zero - frame[list(MAGNITUDES)]))
    table = frame.assign(**{f"flux_{b}": fluxes[f"mag_{b}"] for b in BANDS}).drop(
        columns=list(MAGNITUDES)
    )
    table = table.assign(**{f"err_{b}": 0.01 * fluxes[f"mag_{b}"] for b in BANDS})
    columns = {f"mag_{b}": f"flux_{b}" for b in BANDS} | {f"magerr_{b}": f"err_{b}" for b in BANDS}
    declared = DECLARED | {"unit": unit}
    survey = Survey.from_table(table, columns, **declared)
    np.testing.assert_allclose(survey.magnitudes, frame[list(MAGNITUDES)], atol=1e-3)
    np.testing.assert_allclose(survey.catalogue["magerr_g"], 0.010857, atol=1e-6)
    table.loc[2, "flux_z"] = -0.3
    table.loc[5, "flux_u"] = 0.0
    survey = Survey.from_table(table, columns, **declared)
    assert reasons(survey) == {
        2: f"mag_z (column 'flux_z') is -0.3 {unit}: a flux must be positive and finite",
        5: f"mag_u (column 'flux_u') is 0 {unit}: a flux must be positive and finite",
    }
    assert survey.object_id.tolist() == frame["object_id"].drop([2, 5]).tolist()


def test_galactic_extinction_is_removed_where_it_is_not(frame):
    survey = Survey.from_table(frame, unit="AB", total=True, dereddened=False)
    expected = frame[list(MAGNITUDES)] - np.outer(frame["ebv"], list(EXTINCTION.values()))
    np.testing.assert_allclose(survey.magnitudes, expected)
    with pytest.raises(SurveyError, match="map a column to ebv"):
        Survey.from_table(frame.drop(columns="ebv"), unit="AB", total=True, dereddened=False)


def test_apertures_and_unknown_units_are_refused(frame):
    with pytest.raises(SurveyError, match="total fluxes"):
        Survey.from_table(frame, unit="AB", total=False, dereddened=True)
    with pytest.raises(SurveyError, match="choose from AB, nanomaggy, Jy, asinh, Vega"):
        Survey.from_table(frame, unit="ST", total=True, dereddened=True)
    few = frame.assign(**{f"mag_{b}": 10 ** (3.56 - 0.4 * frame[f"mag_{b}"]) for b in BANDS})
    few.loc[0, "mag_u"] = 1e9
    survey = Survey.from_table(few, unit="Jy", total=True, dereddened=True)
    assert "correct the value or the unit Jy" in reasons(survey)[0]


def test_units_of_the_table_itself_count(frame):
    table = QTable.from_pandas(frame)
    for name in MAGNITUDES:
        table[name] = 3631e3 * 10 ** (-0.4 * frame[name].to_numpy()) * u.mJy
    table["ra"] = frame["ra"].to_numpy() / 15 * u.hourangle
    survey = Survey.from_table(table, unit="Jy", total=True, dereddened=True)
    np.testing.assert_allclose(survey.magnitudes, frame[list(MAGNITUDES)], atol=1e-6)
    np.testing.assert_allclose(survey.catalogue["ra"], frame["ra"])
    with pytest.raises(SurveyError, match="'mag_u' for mag_u is in 'mJy', not in AB"):
        Survey.from_table(table, **DECLARED)
    for odd, unit in ((u.dex(u.one), "AB"), (u.STmag, "AB"), (u.ABmag, "Jy"), (u.dex, "AB")):
        table["mag_u"] = frame["mag_u"].to_numpy() * odd
        with pytest.raises(SurveyError, match=f"'mag_u' for mag_u is in .*, not in {unit}"):
            Survey.from_table(table, unit=unit, total=True, dereddened=True)
    for name in MAGNITUDES:
        table[name] = frame[name].to_numpy() * u.ABmag
    np.testing.assert_allclose(
        Survey.from_table(table, **DECLARED).magnitudes, frame[list(MAGNITUDES)]
    )


# Columns


def test_columns_of_vectors_have_elements(frame, tmp_path):
    table = Table.from_pandas(frame.drop(columns=list(MAGNITUDES)))
    table["flux"] = 10 ** (0.4 * (22.5 - frame[list(MAGNITUDES)].to_numpy())).astype(">f4")
    table.write(tmp_path / "a.fits")
    columns = {f"mag_{band}": f"flux[{k}]" for k, band in enumerate(BANDS)}
    declared = DECLARED | {"unit": "nanomaggy"}
    survey = Survey.from_table(tmp_path / "a.fits", columns, **declared)
    np.testing.assert_allclose(survey.magnitudes, frame[list(MAGNITUDES)], atol=1e-5)
    with pytest.raises(SurveyError, match=r"'flux\[5\]' has shape \(8, 5\)"):
        Survey.from_table(tmp_path / "a.fits", columns | {"mag_z": "flux[5]"}, **declared)
    with pytest.raises(SurveyError, match=r"shape \(8, 5\).*flux\[0\]"):
        Survey.from_table(tmp_path / "a.fits", columns | {"mag_z": "flux"}, **declared)


def test_wrong_columns_are_named_with_the_remedy(frame):
    def refused(message, table=frame, columns=None):
        with pytest.raises(SurveyError, match=message):
            Survey.from_table(table, columns, **DECLARED)

    refused("has no mag_u: map", frame.drop(columns="mag_u"))
    refused("has no column 'mag_y'", columns={"mag_u": "mag_y"})
    refused("do you mean 'redshift'", columns={"redshif": "z"})
    refused("but no a_v: give all of them or none", frame.drop(columns="a_v"))
    refused("but no magerr_g", frame.assign(magerr_u=0.1))
    refused("two columns are called 'mag_u'", pd.concat([frame, frame[["mag_u"]]], axis=1))
    refused("'mag_u' has type bool: give numbers", frame.assign(mag_u=True))
    refused("'ra' has type datetime64.*: give numbers", frame.assign(ra=pd.Timestamp("2020-01-01")))
    refused("lose digits", frame.assign(object_id=1.2376e18))
    refused("has no rows", frame.head(0))
    refused("columns is not a dict", columns=["mag_u"])


def test_only_magnitudes_and_names_are_needed(frame, tmp_path):
    table = frame[["object_id", *MAGNITUDES]]
    survey = Survey.from_table(table, **DECLARED)
    assert survey.images is None
    assert np.isnan(survey.redshift).all()
    assert set(survey.catalogue["split"]) <= {"train", "validation", "test"}
    survey.save(tmp_path / "bare")
    again = Survey.load(tmp_path / "bare")
    pd.testing.assert_frame_equal(again.catalogue, survey.catalogue)
    assert again.parameters == survey.parameters
    # A column that the table has is judged unless it is left out.
    table = frame.assign(redshift=50.0)
    with pytest.raises(SurveyError, match="redshift is 50, outside"):
        Survey.from_table(table, **DECLARED)
    assert len(Survey.from_table(table, {"redshift": None}, **DECLARED)) == 8


# Rows


def test_rows_that_cannot_be_used_are_listed_with_reasons(frame):
    table = frame.astype({"mag_g": object})
    table.loc[0, "mag_u"] = np.nan
    table.loc[1, "dn4000"] = -9999
    table.loc[2, "mag_g"] = "bright"
    table.loc[3, "object_id"] = ""
    table.loc[4, "object_id"] = table.loc[7, "object_id"] = table.loc[6, "object_id"]
    table.loc[4, "mag_r"] = 99.0
    table.loc[5, "a_v"] = np.inf
    survey = Survey.from_table(table, **DECLARED)
    # A label may be missing, but not wrong.
    assert survey.object_id.tolist() == frame["object_id"][[1, 6]].tolist()
    assert np.isnan(survey.properties[0]).tolist() == [False, False, False, True, False]
    assert reasons(survey) == {
        0: "mag_u has no value",
        2: "mag_g is 'bright', not a number",
        3: "no object_id (column 'object_id')",
        4: "mag_r is 99, a code for a missing value",
        5: "a_v is inf, outside [-3, 8]",
        7: f"object_id {frame['object_id'][6]!r} occurs twice: row 6 is used",
    }
    assert survey.parameters["rejected"] == 6
    with pytest.raises(SurveyError, match=r"1 of 1 rows.*row 0 .*mag_u has no value"):
        Survey.from_table(table.head(1), **DECLARED)


def test_identifiers_keep_all_digits_and_zeros(frame, tmp_path):
    table = frame.assign(object_id=[f"00{k}" for k in range(8)])
    table.to_csv(tmp_path / "a.csv", index=False)
    assert Survey.from_table(tmp_path / "a.csv", **DECLARED).object_id[3] == "003"
    ids = pd.array([1237648704043942146, None, *range(6)], dtype="Int64")
    frame.assign(object_id=ids).to_parquet(tmp_path / "a.parquet")
    survey = Survey.from_table(tmp_path / "a.parquet", **DECLARED)
    assert survey.object_id[0] == "1237648704043942146"
    assert list(reasons(survey)) == [1]


# Cutouts


def test_cutouts_of_the_right_scale_are_kept_as_they_are(frame, pictures, tmp_path):
    survey = Survey.from_table(frame, cutouts=pictures, pixel_scale=0.396127, **DECLARED)
    np.testing.assert_array_equal(survey.images, pictures)
    pictures[4] = 7
    frame.loc[1, "mag_u"] = -9999
    survey = Survey.from_table(frame, cutouts=pictures, pixel_scale=0.396, **DECLARED)
    np.testing.assert_array_equal(survey.images, pictures[[0, 2, 3, 5, 6, 7]])
    assert reasons(survey)[4] == "cutout: it is blank: the survey has no image at this position"
    survey.save(tmp_path / "mine")
    np.testing.assert_array_equal(Survey.load(tmp_path / "mine").images, survey.images)


def test_cutouts_of_another_scale_are_resampled(frame):
    y, x = np.mgrid[:256, :256] - 127.5
    # A galaxy of 5″ on pixels of half the size.
    profile = 200 * np.exp(-np.hypot(y, x) * 0.198 / 5)
    fine = np.repeat(profile[None, :, :, None], 8, 0).repeat(3, 3).astype(np.uint8)
    fine[..., 0] //= 2
    survey = Survey.from_table(frame, cutouts=fine, pixel_scale=0.198, **DECLARED)
    y, x = np.mgrid[:128, :128] - 63.5
    expected = 200 * np.exp(-np.hypot(y, x) * 0.396 / 5)
    assert np.abs(survey.images[0, :, :, 1] - expected).mean() < 1
    with pytest.raises(SurveyError, match=r"cover 25\.6 arcsec, but 50\.7 are needed"):
        Survey.from_table(frame, cutouts=fine, pixel_scale=0.1, **DECLARED)


def test_a_folder_of_jpeg_and_png(frame, pictures, tmp_path):
    ids = frame["object_id"].tolist()
    ids[3] = "NGC 1/2"
    frame["object_id"] = ids
    for name, picture in zip(ids[:3], pictures, strict=False):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "NGC%201%2F2.jpg").write_bytes(encode_jpeg(pictures[3]))
    (tmp_path / f"{ids[4]}.jpg").write_bytes(encode_jpeg(pictures[4])[:900])
    (tmp_path / f"{ids[5]}.jpg").write_bytes(b"<html>")
    Image.fromarray(pictures[6, :, :, 0]).save(tmp_path / f"{ids[6]}.png")
    survey = Survey.from_table(frame, cutouts=tmp_path, pixel_scale=0.396, **DECLARED)
    assert survey.object_id.tolist() == ids[:4]
    np.testing.assert_array_equal(survey.images[:3], pictures[:3])
    found = reasons(survey)
    assert "not a readable JPEG" in found[4]
    assert "not a readable JPEG" in found[5]
    assert "mode L" in found[6]
    assert f"has no {ids[7]}.jpg" in found[7]


@pytest.mark.parametrize("unit", ["nanomaggy", "Jy", None])
def test_a_folder_of_fits_bands(frame, rng, tmp_path, unit):
    bands = {b: rng.normal(0.1, 0.05, (128, 128)).astype(np.float32) for b in "irg"}
    name = frame["object_id"][0]
    for band, plane in bands.items():
        stored = plane * (3631e-9 if unit == "Jy" else 1)
        hdu = fits.PrimaryHDU(stored)
        if unit:
            hdu.header["BUNIT"] = unit
        hdu.writeto(tmp_path / f"{name}_{band}.fits")
    fits.PrimaryHDU(stored).writeto(tmp_path / f"{frame['object_id'][1]}_i.fits")
    survey = Survey.from_table(frame, cutouts=tmp_path, pixel_scale=0.396, **DECLARED)
    expected = lupton_rgb(*(plane[::-1] for plane in bands.values()))
    assert np.abs(survey.images[0].astype(int) - expected).max() <= 1
    assert len(survey) == 1
    assert "has no" in reasons(survey)[1]


def test_fits_bands_keep_their_surface_brightness(frame, tmp_path):
    y, x = np.mgrid[:256, :256] - 127.5
    plane = np.exp(-np.hypot(y, x) * 0.198 / 5)
    for band in "irg":
        # A pixel of half the size holds a quarter of the flux.
        fits.PrimaryHDU(plane / 4).writeto(tmp_path / f"{frame['object_id'][0]}_{band}.fits")
    survey = Survey.from_table(frame, cutouts=tmp_path, pixel_scale=0.198, **DECLARED)
    y, x = np.mgrid[:128, :128] - 63.5
    expected = lupton_rgb(*3 * [np.exp(-np.hypot(y, x) * 0.396 / 5)])
    assert np.abs(survey.images[0].astype(int) - expected).mean() < 1


def test_no_file_outside_the_folder_is_read(frame, pictures, tmp_path):
    outside = tmp_path / "secret.png"
    Image.fromarray(pictures[0]).save(outside)
    folder = tmp_path / "cutouts"
    folder.mkdir()
    (folder / "linked.png").symlink_to(outside)
    absolute = str(outside.with_suffix(""))
    names = ["../secret", absolute, "linked", "..", ".", "a\0b", "~", "x/../../secret"]
    frame["object_id"] = names
    with pytest.raises(SurveyError, match="8 of 8 rows cannot be used"):
        Survey.from_table(frame, cutouts=folder, pixel_scale=0.396, **DECLARED)


def test_of_two_rows_of_a_galaxy_the_one_with_a_cutout_is_used(frame, pictures):
    twice = frame.assign(object_id=["a", "a", "b", "b", *frame["object_id"][4:]])
    pictures = pictures.copy()
    pictures[0] = 0
    survey = Survey.from_table(twice, cutouts=pictures, pixel_scale=0.396, **DECLARED)
    found = reasons(survey)
    assert list(found) == [0, 3]
    assert "cutout" in found[0]
    assert "'b' occurs twice: row 2 is used" in found[3]
    np.testing.assert_array_equal(survey.images, pictures[[1, 2, 4, 5, 6, 7]])


def test_wrong_stacks_of_cutouts_are_refused(frame, pictures):
    def refused(message, cutouts, scale=0.396):
        with pytest.raises(SurveyError, match=message):
            Survey.from_table(frame, cutouts=cutouts, pixel_scale=scale, **DECLARED)

    refused("7 cutouts for 8 rows", pictures[:7])
    refused(r"cutout: it is float64 \(128, 128, 3\): .*255 \* x", pictures / 255)
    refused("cutout: it is uint8", pictures[..., :2])
    for scale in (None, "fine", 0, np.nan, 0.4 * u.arcsec):
        refused("give pixel_scale, the arcsec", pictures, scale)
    refused("is not a folder", "nowhere")


# What surveys really publish


def real_catalogue(n=6):
    """Columns, types and missing values as the NASA-Sloan Atlas and MPA-JHU have them."""
    rng = np.random.default_rng(1)
    flux = 10 ** (0.4 * (22.5 - rng.uniform(15, 18, (n, 7)))).astype(">f4")
    return {
        "IAUNAME": np.array([f"J{k:06d}.00+000000.0" for k in range(n)], "S19"),
        "NSAID": np.arange(n, dtype=">i4"),
        "SDSS_OBJID": 1237648704043942146 + np.arange(n, dtype=">i8"),
        "RA": rng.uniform(0, 360, n),
        "DEC": rng.uniform(-5, 60, n),
        "Z": rng.uniform(0.02, 0.05, n).astype(">f4"),
        "NMGY": flux,
        "NMGY_IVAR": 1 / (0.02 * flux) ** 2,
        "MASS": np.full(n, 3e10, ">f4"),
        "DFLAGS": np.zeros((n, 5, 2), ">i2"),
    }


NSA = {"object_id": "NSAID", "ra": "RA", "dec": "DEC", "redshift": "Z"}
NSA |= {f"mag_{band}": f"NMGY[{k}]" for k, band in enumerate(BANDS, 2)}
NANOMAGGIES = {"unit": "nanomaggy", "total": True, "dereddened": True}


@pytest.mark.parametrize("as_what", ["fits", "records", "Table", "QTable"])
def test_an_atlas_with_vectors_of_fluxes(tmp_path, as_what):
    columns = real_catalogue()
    columns["NMGY"][1, 2] = -0.7
    columns["NMGY"][2, 4] = np.nan
    columns["Z"][3] = -9999
    table = Table(columns)
    if as_what == "fits":
        table["NMGY"].unit = "nanomaggies"
        table.write(tmp_path / "nsa.fits.gz")
        table = tmp_path / "nsa.fits.gz"
    elif as_what == "records":
        table.write(tmp_path / "nsa.fits")
        table = fits.getdata(tmp_path / "nsa.fits")
    elif as_what == "QTable":
        table = QTable(table)
        table["NMGY"] = Masked(table["NMGY"], mask=np.isnan(table["NMGY"])) * u.nmgy
    survey = Survey.from_table(table, NSA, **NANOMAGGIES)
    assert survey.object_id.tolist() == ["0", "3", "4", "5"]
    expected = 22.5 - 2.5 * np.log10(columns["NMGY"][[0, 3, 4, 5], 2:])
    np.testing.assert_allclose(survey.magnitudes, expected, rtol=1e-6)
    found = reasons(survey)
    assert "mag_u (column 'NMGY[2]') is -0.7 nanomaggy" in found[1]
    assert "mag_r (column 'NMGY[4]') has no value" in found[2]
    # As in a survey, the redshift may be missing.
    assert np.isnan(survey.redshift).tolist() == [False, True, False, False]
    for name, message in (
        ("DFLAGS", r"shape \(6, 5, 2\)"),
        ("nmgy[2]", r"do you mean 'NMGY'"),
        ("IAUNAME", "8 of 8|6 of 6 rows"),
    ):
        with pytest.raises(SurveyError, match=message):
            Survey.from_table(table, NSA | {"mag_u": name}, **NANOMAGGIES)


def test_vectors_in_parquet(tmp_path):
    columns = real_catalogue()
    frame = pd.DataFrame({"NSAID": columns["NSAID"].tolist(), "NMGY": columns["NMGY"].tolist()})
    frame.to_parquet(tmp_path / "nsa.parquet")
    wanted = {name: NSA[name] for name in ("object_id", *MAGNITUDES)}
    survey = Survey.from_table(tmp_path / "nsa.parquet", wanted, **NANOMAGGIES)
    expected = 22.5 - 2.5 * np.log10(columns["NMGY"][:, 2:])
    np.testing.assert_allclose(survey.magnitudes, expected, rtol=1e-6)  # float32
    # A row without its vector, or with a short one, is refused alone.
    frame.loc[2, "NMGY"], frame.loc[3, "NMGY"] = None, frame.loc[3, "NMGY"][:6]
    frame.to_parquet(tmp_path / "nsa.parquet")
    for table in (frame, tmp_path / "nsa.parquet"):
        found = reasons(Survey.from_table(table, wanted, **NANOMAGGIES))
        assert found.keys() == {2, 3}
        assert found[2].startswith("mag_u (column 'NMGY[2]') has no value; mag_g")
        assert found[3] == "mag_z (column 'NMGY[6]') has no value"


def test_a_linear_mass_is_recognised(frame):
    with pytest.raises(SurveyError, match=r"is 3e\+10, outside .*give the logarithm"):
        Survey.from_table(frame.assign(log_stellar_mass=3e10), **DECLARED)


def test_every_kind_of_identifier(frame):
    def ids(values):
        return Survey.from_table(frame.assign(object_id=values), **DECLARED)

    big = 1237648704043942146
    assert ids(np.arange(big, big + 8)).object_id[7] == str(big + 7)
    assert ids(np.arange(8, dtype=np.uint64) + np.uint64(2**63)).object_id[1] == str(2**63 + 1)
    assert ids(np.arange(8.0)).object_id[7] == "7"
    assert ids([f"é{k} 日本" for k in range(8)]).object_id[3] == "é3 日本"
    assert ids(pd.Categorical(list("abcdefgh"))).object_id[2] == "c"
    for lossy in (np.arange(big, big + 8).astype(float), [None, float(big), *range(6)]):
        with pytest.raises(SurveyError, match="lose digits"):
            ids(pd.Series(lossy, dtype=None if isinstance(lossy, np.ndarray) else object))
    assert ids(pd.Series([0.0, 1, "2", b"3", *range(4, 8)], dtype=object)).object_id[0] == "0"
    with pytest.raises(SurveyError, match="contains a ndarray: give text or integers"):
        ids(pd.Series([np.arange(3)] * 8))
    with pytest.raises(SurveyError, match="has type datetime64"):
        ids(pd.date_range("2020", periods=8))
    found = reasons(ids(["1.23765E+18", "a\nb", "a\0", " ", None, "x", "x", "y"]))
    assert "a spreadsheet has lost its digits" in found[0]
    assert "not valid text" in found[1]
    assert "not valid text" in found[2]
    assert "no object_id" in found[3]
    assert "no object_id" in found[4]
    assert "'x' occurs twice: row 5 is used" in found[6]


def test_rows_whose_identifier_is_no_text_survive_the_disk(tmp_path, frame):
    broken = pd.Series(["a\ud800", *"bcdefgh"], dtype=object)
    survey = Survey.from_table(frame.assign(object_id=broken), **DECLARED)
    survey.save(tmp_path / "survey")
    rejected = Survey.load(tmp_path / "survey").rejected
    assert rejected["object_id"].tolist() == ["a\\ud800"]
    assert "not valid text" in rejected["reason"][0]


@pytest.mark.parametrize(
    "column",
    [
        SkyCoord(np.arange(8), np.arange(8), unit="deg"),
        Time(np.arange(8) + 2451545.0, format="jd"),
        np.array([[{"a": 1}]] * 8, dtype=object)[:, 0],
        MaskedColumn(np.arange(8.0), mask=[True] * 8),
        np.full(8, 1 + 2j),
    ],
    ids=["SkyCoord", "Time", "dicts", "masked", "complex"],
)
def test_columns_of_odd_kinds_are_refused_in_a_sentence(frame, column):
    table = QTable.from_pandas(frame)
    table["odd"] = column
    # Positions may be missing.
    for name in ("mag_u", "object_id", "ra")[: 2 if isinstance(column, MaskedColumn) else 3]:
        with pytest.raises(SurveyError):
            Survey.from_table(table, {name: "odd"}, **DECLARED)


def test_masked_magnitudes_with_units(frame):
    table = QTable.from_pandas(frame)
    for name in MAGNITUDES:
        values = frame[name].to_numpy() << u.mag
        table[name] = Masked(values, mask=np.arange(8) == 5)
    survey = Survey.from_table(table, **DECLARED)
    assert list(reasons(survey)) == [5]
    np.testing.assert_allclose(survey.magnitudes, frame[list(MAGNITUDES)].drop(5))


# What pictures people have


def test_pictures_of_every_mode(frame, pictures, tmp_path):
    ids = frame["object_id"].tolist()
    colour = Image.fromarray(pictures[0])
    colour.convert("RGBA").save(tmp_path / f"{ids[0]}.PNG")
    colour.convert("P").save(tmp_path / f"{ids[1]}.png")
    colour.save(tmp_path / f"{ids[2]}.JPEG")
    Image.fromarray(pictures[3, :, :, 0].astype(np.uint16) * 257).save(tmp_path / f"{ids[3]}.png")
    colour.convert("L").convert("RGB").save(tmp_path / f"{ids[4]}.png")
    colour.convert("CMYK").save(tmp_path / f"{ids[5]}.jpg")
    colour.resize((40, 40)).save(tmp_path / f"{ids[6]}.png")
    survey = Survey.from_table(frame, cutouts=tmp_path, pixel_scale=0.396, **DECLARED)
    assert survey.object_id.tolist() == ids[:3]
    np.testing.assert_array_equal(survey.images[0], pictures[0])
    found = reasons(survey)
    assert "16 bits per channel" in found[3]
    assert "with three equal channels" in found[4]
    assert "mode CMYK" in found[5]
    assert "40×40 pixels of 0.396 arcsec cover 15.8 arcsec, but 50.7 are needed" in found[6]
    assert "has no" in found[7]


def test_pictures_may_differ_in_size(frame, pictures):
    larger = np.pad(pictures[6], ((8, 8), (20, 20), (0, 0)))
    ragged = [*pictures[:6], larger, pictures[7, :100]]
    survey = Survey.from_table(frame, cutouts=ragged, pixel_scale=0.396, **DECLARED)
    np.testing.assert_array_equal(survey.images, pictures[:7])
    assert "128×100 pixels of 0.396 arcsec cover 39.6 arcsec" in reasons(survey)[7]
    by_id = dict(zip(frame["object_id"], ragged[:5], strict=False))
    survey = Survey.from_table(frame, cutouts=by_id, pixel_scale=0.396, **DECLARED)
    np.testing.assert_array_equal(survey.images, pictures[:5])
    assert f"there is none for {frame['object_id'][5]}" in reasons(survey)[5]


def sky(east, north, size=160):
    """Galaxy in the middle and a red star so many arcsec to the east and north of it: i, r, g.

    Rows run north and columns west, as in FITS files of a survey.
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    galaxy = np.exp(-np.hypot(x, y) / 8)
    star = np.exp(-((x * 0.396 + east) ** 2 + (y * 0.396 - north) ** 2) / 2)
    return [galaxy + 3 * star, galaxy + star, 0.6 * galaxy + 0.1 * star]


def star_of(image):
    """Row and column where red most exceeds blue."""
    excess = image[..., 0].astype(int) - image[..., 2]
    return np.unravel_index(excess.argmax(), excess.shape)


def with_wcs(plane, turn, mirrored=False, scale=0.396):
    """The same sky in pixels turned by so many degrees, and perhaps mirrored."""
    size = len(plane)
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        rotation = rotation @ np.diag([-1, 1])
    # Pixel of the turned image to pixel of the plane, x and y.
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    x, y = rotation @ [x.ravel(), y.ravel()] + (size - 1) / 2
    turned = map_coordinates(plane, [y, x], order=3, mode="nearest").reshape(size, size)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150, 2], [(size + 1) / 2] * 2
    wcs.wcs.cd = np.diag([-scale, scale]) / 3600 @ rotation
    return fits.PrimaryHDU(turned.astype(np.float32), wcs.to_header())


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270, 33])
def test_fits_bands_are_turned_north_up(frame, tmp_path, turn, mirrored):
    frame = frame.assign(ra=150.0, dec=2.0)
    planes = sky(east=15, north=10, size=200)
    for band, plane in zip("irg", planes, strict=True):
        hdu = with_wcs(plane, turn, mirrored)
        hdu.writeto(tmp_path / f"{frame['object_id'][0]}_{band}.fits")
    survey = Survey.from_table(frame, cutouts=tmp_path, pixel_scale=0.396, **DECLARED)
    straight = lupton_rgb(*(plane[::-1][36:-36, 36:-36] for plane in planes))
    difference = np.abs(survey.images[0].astype(int) - straight)
    assert difference.max() <= (1 if turn != 33 else 12)
    # North-east is the upper left.
    row, column = star_of(survey.images[0])
    assert (row, column) == pytest.approx((63.5 - 10 / 0.396, 63.5 - 15 / 0.396), abs=2)


def test_fits_bands_that_cannot_be_turned_or_have_another_scale(frame, tmp_path):
    frame = frame.assign(ra=150.0, dec=2.0)

    def reason(hdus, scale=0.396):
        for band, hdu in zip("irg", hdus, strict=True):
            path = tmp_path / f"{frame['object_id'][0]}_{band}.fits"
            hdu.writeto(path, overwrite=True)
        with pytest.raises(SurveyError) as refusal:
            Survey.from_table(frame.head(1), cutouts=tmp_path, pixel_scale=scale, **DECLARED)
        return str(refusal.value)

    planes = sky(15, 10)
    assert "header states 0.396 × 0.396 arcsec per pixel, not 0.3" in reason(
        [with_wcs(p, 0) for p in planes], 0.3
    )
    small = [p[16:-16, 16:-16] for p in planes]
    assert "pixels without a value" in reason([with_wcs(p, 45) for p in small])
    broken = [with_wcs(p, 0) for p in planes]
    for hdu in broken:
        hdu.header["PC1_1"] = hdu.header["PC1_2"] = 0.0
    assert "cannot be used" in reason(broken)
    for hdu in (hdus := [with_wcs(p, 0) for p in planes]):
        hdu.header["BUNIT"] = "counts"
    assert "is in 'counts': convert it to nanomaggies or Jy" in reason(hdus)
    Path(tmp_path / f"{frame['object_id'][0]}_i.fits").rename(
        tmp_path / f"{frame['object_id'][0]}.fits"
    )
    with pytest.raises(SurveyError, match=r"has no .*_i\.fits"):
        Survey.from_table(frame.head(1), cutouts=tmp_path, pixel_scale=0.396, **DECLARED)


def test_real_and_simulated_cutouts_are_alike(frame, tmp_path, monkeypatch):
    """One sky through FITS bands, a JPEG on disk, SkyServer's ledger and the simulation."""
    frame = frame.assign(ra=150.0, dec=2.0)
    name = frame["object_id"][0]
    planes = [p[16:-16, 16:-16] for p in sky(east=15, north=10)]
    picture = lupton_rgb(*(p[::-1] for p in planes))
    images = {}
    folder = tmp_path / "jpeg"
    folder.mkdir()
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(picture))
    images["jpeg"] = Survey.from_table(
        frame.head(1), cutouts=folder, pixel_scale=0.396, **DECLARED
    ).images[0]
    for band, plane in zip("irg", planes, strict=True):
        with_wcs(plane, 0).writeto(tmp_path / f"{name}_{band}.fits")
    images["fits"] = Survey.from_table(
        frame.head(1), cutouts=tmp_path, pixel_scale=0.396, **DECLARED
    ).images[0]
    with Ledger(tmp_path / "a.db") as ledger:
        ledger.enrol(frame.head(1))
        ledger.record(1, "good", None, "here", encode_jpeg(picture))
        catalogue = frame.head(1).assign(split="test")
        make_survey(catalogue, ledger, tmp_path / "sdss", {"kind": "sdss"})
    images["sdss"] = Survey.load(tmp_path / "sdss").images[0]
    # The simulation draws g, r, i with the first row on top.
    stamps = np.stack([p[::-1] for p in planes[::-1]]).astype(np.float32)
    nothing = np.zeros((3, 1, 1), dtype=np.complex64)
    monkeypatch.setattr(rendering, "draw_galaxy", lambda row, rng, frame: stamps)
    monkeypatch.setattr(rendering, "draw_neighbours", lambda *of: nothing)
    row = {"seeing": 1.3, "companion_magnitude": np.nan}
    images["simulated"] = rendering.render_galaxy(row, np.random.default_rng(0), varied_sky=False)
    for name, image in images.items():
        assert image.dtype == np.uint8, name
        assert image.shape == (128, 128, 3), name
        row, column = star_of(image)
        assert (row, column) == pytest.approx((38.2, 25.6), abs=2), name
        assert image[row, column, 0] > image[row, column, 1] > image[row, column, 2], name
        assert np.abs(image.astype(int) - picture).mean() < 6, name


# Tables thrown at it

CELLS = st.one_of(
    st.floats(width=32),
    st.sampled_from([-9999, -9999.0, -99, 99.0, 0, -1, 17.3, 18, np.nan, np.inf, 1e300, 2**70]),
    st.sampled_from([None, pd.NA, pd.NaT, "", "17.2", "NaN", "--", b"17.1", b"\xff", True, 1j, []]),
    st.text(max_size=5),
)
NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a/b", "../../x", "C:\\x", "日本語", "é", "é", "a\0", "\ud800", ".", ""]),
    st.sampled_from([None, np.nan, 5, 2**63, 1237648704043942146, 1.0, b"\xff", pd.NA]),
)
GOOD = {
    "redshift": st.floats(0.01, 0.3),
    "ebv": st.floats(0, 0.5),
    **dict.fromkeys(MAGNITUDES, st.floats(10, 25)),
    **dict(
        zip(
            PROPERTY_NAMES,
            [st.floats(8, 11), st.floats(-2, 2), st.floats(8, 9), st.floats(1, 2), st.floats(0, 2)],
            strict=True,
        )
    ),
}
CASTS = [
    None, ">f8", ">f4", "f2", "Float64", "float64[pyarrow]", "category", "string", "S12", "complex",
    "bool", ">i4", "Int32", "datetime64[s]", "timedelta64[s]",
]  # fmt: skip


@st.composite
def tables(draw):
    n = draw(st.integers(0, 6))
    frame = {"object_id": draw(st.lists(NAMES, min_size=n, max_size=n))}
    for name, good in GOOD.items():
        cells = draw(st.sampled_from([good, good, good, good, good | CELLS]))
        frame[name] = draw(st.lists(cells, min_size=n, max_size=n))
    frame = pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in frame.items()})
    for name in draw(st.sets(st.sampled_from(list(GOOD)), max_size=2)):
        cast = draw(st.sampled_from(CASTS))
        if cast is None:
            frame = frame.drop(columns=name)
            continue
        try:
            if cast in ("category", "string") or "Int" in cast or "Fl" in cast or "pya" in cast:
                frame[name] = frame[name].astype(cast)
            else:
                frame[name] = pd.Series(frame[name].to_numpy().astype(cast).tolist(), dtype=object)
                frame[name] = frame[name].to_numpy().astype(cast)
        except Exception:
            # Not every content can be cast; the column then stays as it was.
            pass
    return frame


def _is_usable(survey, n, folder):
    assert 0 < len(survey) <= n
    assert len(survey) + len(survey.rejected) == n
    assert survey.rejected["reason"].str.len().gt(0).all()
    survey.validate()
    survey.save(folder / "house" / "survey")
    assert len(Survey.load(folder / "house" / "survey")) == len(survey)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    frame=tables(),
    unit=st.sampled_from(["AB", "AB", "nanomaggy", "Jy"]),
    dereddened=st.booleans(),
    ending=st.sampled_from(["", "", "fits", "parquet", "csv", "ecsv", "vot"]),
    with_cutouts=st.booleans(),
    column_unit=st.sampled_from(
        [None, None, "mag", "mJy", "nanomaggies", "adu", "nonsense", "dex"]
    ),
)
def test_any_table_gives_a_survey_or_a_clear_error(
    tmp_path_factory, frame, unit, dereddened, ending, with_cutouts, column_unit
):
    folder = tmp_path_factory.mktemp("thrown")
    (folder / "house").mkdir()
    table = frame
    if ending:
        table = folder / f"mine.{ending}"
        try:
            if ending == "csv":
                frame.to_csv(table, index=False)
            elif ending == "parquet":
                frame.to_parquet(table)
            else:
                plain = frame.apply(pd.to_numeric, errors="coerce").astype(">f8")
                plain["object_id"] = [f"{k}é".encode()[:3].decode() for k in range(len(frame))]
                made = Table.from_pandas(plain)
                for name in {"mag_u", "ra", "ebv"} & set(made.colnames):
                    made[name].unit = column_unit
                if ending == "vot":
                    write_votable(made, table)
                else:
                    made.write(table, format={"fits": "fits", "ecsv": "ascii.ecsv"}[ending])
        except Exception:
            # Some content cannot be written in every format.
            table = frame
    cutouts = None
    if with_cutouts:
        cutouts = np.random.default_rng(0).integers(0, 255, (len(frame), 130, 131, 3), np.uint8)
    try:
        survey = Survey.from_table(
            table,
            unit=unit,
            total=True,
            dereddened=dereddened,
            cutouts=cutouts,
            pixel_scale=0.396 if with_cutouts else None,
        )
    except SurveyError:
        return
    _is_usable(survey, len(frame), folder)
    written = {p.name for p in folder.iterdir()}
    assert written <= {"house", f"mine.{ending}"}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(text=st.text(alphabet=string.printable + "é\0", max_size=200), lines=st.integers(0, 3))
def test_any_text_is_refused_with_the_file_named(tmp_path_factory, text, lines):
    path = tmp_path_factory.mktemp("text") / "mine.csv"
    header = ",".join(["object_id", *MAGNITUDES]) + "\n" + "a,18,17,16,15,14\n" * lines
    path.write_text(header + text, encoding="utf-8")
    try:
        survey = Survey.from_table(path, **DECLARED)
    except SurveyError as refusal:
        error = refusal
    else:
        assert survey.object_id[0] == "a" or lines == 0
        return
    assert "mine.csv" in str(error)
