"""Cutouts of every frame, packing, unit and kind of array: taken rightly, or refused and why."""

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from galcfm.survey import Survey, SurveyError
from galcfm.survey.images import lupton_rgb
from galcfm.survey.sky import _middle, _turned

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
MIDDLE = (150.0, 2.0)

# Frame of astropy, CTYPE, and what else the header says of it.
FRAMES = {
    "icrs": ("icrs", ("RA", "DEC"), {"RADESYS": "ICRS"}),
    "fk5": ("fk5", ("RA", "DEC"), {"RADESYS": "FK5", "EQUINOX": 2000.0}),
    "fk4": ("fk4", ("RA", "DEC"), {"RADESYS": "FK4", "EQUINOX": 1950.0}),
    "galactic": ("galactic", ("GLON", "GLAT"), {}),
    "galactic with RADESYS": ("galactic", ("GLON", "GLAT"), {"RADESYS": "FK5"}),
}


def header_of(kind, middle, size, turn=0.0, mirrored=False, scale=0.396):
    """Header of `size` pixels a side around a position, ra and dec in ICRS.

    North of the header's own frame is so many degrees from the direction of the rows.
    """
    frame, names, more = FRAMES[kind]
    own = SkyCoord(*middle, unit="deg").transform_to(frame).spherical
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        rotation = rotation @ np.diag([-1, 1])
    cd = np.diag([-scale, scale]) / 3600 @ rotation
    header = fits.Header()
    for k in (0, 1):
        header[f"CTYPE{k + 1}"] = f"{names[k]:-<4}-TAN"
        header[f"CRPIX{k + 1}"] = (size + 1) / 2
        header[f"CRVAL{k + 1}"] = (own.lon, own.lat)[k].deg
        for j in (0, 1):
            header[f"CD{k + 1}_{j + 1}"] = cd[k, j]
    header.update(more)
    return header


def offsets(header, kind, middle, size):
    """How far each pixel is to the east and north of a position [arcsec], by astropy's frames."""
    row, column = np.mgrid[:size, :size]
    lon, lat = WCS(header, naxis=2).all_pix2world(column, row, 0)
    sky = SkyCoord(lon, lat, unit="deg", frame=FRAMES[kind][0])
    there = sky.transform_to(SkyCoord(*middle, unit="deg").skyoffset_frame())
    return there.lon.wrap_at("180d").arcsec, there.lat.arcsec


def light(east, north):
    """A galaxy that is round, and a red star 15 arcsec east and 10 north of it: i, r, g."""
    galaxy = np.exp(-(east**2 + north**2) / (2 * 4**2))
    star = np.exp(-((east - 15) ** 2 + (north - 10) ** 2) / (2 * 1.5**2))
    return [galaxy + star, galaxy + 0.5 * star, 0.6 * galaxy + 0.1 * star]


def straight():
    """That sky, north up and east left, without any WCS."""
    step = (63.5 - np.arange(128)) * 0.396
    return lupton_rgb(*light(step[None, :], step[:, None])).astype(int)


@pytest.fixture
def table(survey):
    frame = survey.catalogue.head(1).drop(columns="split")
    return frame.assign(object_id="a", ra=MIDDLE[0], dec=MIDDLE[1])


class Sky:
    """A folder with the three bands of one galaxy, and what becomes of it."""

    def __init__(self, folder, table):
        self.folder, self.table = folder, table

    def write(self, bands="irg", kind="icrs", middle=MIDDLE, size=200, **more):
        header = header_of(kind, middle, size, **more)
        planes = light(*offsets(header, kind, middle, size))
        self.hdus = {
            band: fits.PrimaryHDU(plane.astype(np.float32), header.copy())
            for band, plane in zip("irg", planes, strict=True)
            if band in bands
        }
        return self.store(self.hdus)

    def store(self, hdus, ending=".fits"):
        for band, hdu in hdus.items():
            hdu.writeto(self.folder / f"a_{band}{ending}", overwrite=True)
        return self

    def change(self, **cards):
        for hdu in self.hdus.values():
            hdu.header.update(cards)
        return self.store(self.hdus)

    def move(self, ra, dec):
        self.table = self.table.assign(ra=float(ra), dec=float(dec))
        return self

    def image(self, scale=0.396):
        survey = Survey.from_table(self.table, cutouts=self.folder, pixel_scale=scale, **DECLARED)
        return survey.images[0].astype(int)

    def refusal(self, scale=0.396):
        with pytest.raises(SurveyError) as refused:
            self.image(scale)
        message = str(refused.value)
        assert "\n" not in message
        return message.partition("cutout: ")[2].partition("; correct the rows")[0]


@pytest.fixture
def sky(tmp_path, table):
    return Sky(tmp_path, table)


# Frames ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("turn", "mirrored"), [(0, False), (90, True), (33, False), (217, True)])
@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_gives_the_same_picture(sky, kind, turn, mirrored):
    image = sky.write(kind=kind, turn=turn, mirrored=mirrored).image()
    assert np.abs(image - straight()).max() <= 2


@pytest.mark.parametrize("kind", ["icrs", "galactic"])
def test_axes_may_be_swapped(sky, kind):
    sky.write(kind=kind, turn=20)
    for hdu in sky.hdus.values():
        h = hdu.header
        for name in ("CTYPE{}", "CRVAL{}", "CD{}_1", "CD{}_2"):
            one, two = name.format(1), name.format(2)
            h[one], h[two] = h[two], h[one]
    assert np.abs(sky.store(sky.hdus).image() - straight()).max() <= 2


@pytest.mark.parametrize("turn", [0, 33, 90, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_cutouts_need_not_be_square(sky, turn, mirrored):
    sky.write(kind="galactic", turn=turn, mirrored=mirrored, size=260)
    for hdu in sky.hdus.values():
        hdu.data = hdu.data[:, 35:-35]
        hdu.header["CRPIX1"] -= 35
    assert np.abs(sky.store(sky.hdus).image() - straight()).max() <= 2


@settings(max_examples=200)
@given(
    kind=st.sampled_from(sorted(FRAMES)),
    ra=st.floats(0, 360) | st.sampled_from([0.0, 1e-6, 359.99999]),
    dec=st.floats(-89.999, 89.999) | st.sampled_from([-89.999, 0.0, 89.999]),
    turn=st.floats(0, 360),
    mirrored=st.booleans(),
)
@example(kind="galactic", ra=192.85948, dec=27.12825, turn=10.0, mirrored=False)  # its pole
@example(kind="galactic", ra=266.405, dec=-28.936, turn=0.0, mirrored=False)  # its longitude 0
def test_north_is_up_and_east_is_left(kind, ra, dec, turn, mirrored):
    size = 34
    header = header_of(kind, (ra, dec), size, turn, mirrored)

    def blob(east, north):
        return np.exp(-((east - 1.5) ** 2 + (north - 0.7) ** 2) / (2 * 2**2))

    data = blob(*offsets(header, kind, (ra, dec), size))
    wcs, middle = _middle(header, data.shape)
    assert SkyCoord(ra, dec, unit="deg").separation(middle).arcsec < 1e-3
    step = (np.arange(size) - 16.5) * 0.396
    # Rows run north, columns west; the corners may lie outside.
    expected = blob(-step[None, :], step[:, None])
    inner = np.s_[6:-6, 6:-6]
    turned = _turned(data, wcs, middle, 0.396, size)
    np.testing.assert_allclose(turned[inner], expected[inner], atol=0.01)


def test_pixels_that_need_no_turn_stay_as_they_are():
    data = np.random.default_rng(0).normal(size=(34, 34)).astype(np.float32)
    for turn, moved in ((0, data), (90, np.rot90(data, -1)), (180, data[::-1, ::-1])):
        header = header_of("icrs", MIDDLE, 34, turn)
        wcs, middle = _middle(header, data.shape)
        np.testing.assert_allclose(_turned(data, wcs, middle, 0.396, 34), moved, atol=1e-4)


@pytest.mark.parametrize("dec", [90, -90])
@pytest.mark.parametrize("kind", ["icrs", "galactic"])
def test_the_pole_itself_has_a_picture(sky, kind, dec):
    # Any direction is south there: the galaxy stays, whatever the turn.
    image = sky.write(kind=kind, middle=(10, dec)).move(200, dec).image()
    inner = np.s_[54:74, 54:74]
    assert np.abs(image - straight())[inner].max() <= 2


@pytest.mark.parametrize(
    ("cards", "named"),
    [
        ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, "HPLN-TAN and HPLT-TAN"),
        ({"CTYPE1": "RA", "CTYPE2": "DEC"}, "RA and DEC"),
        ({"CTYPE1": "TLON-TAN", "CTYPE2": "TLAT-TAN"}, "TLON-TAN and TLAT-TAN"),
        # astropy would take ecliptic coordinates for equatorial ones.
        ({"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN"}, "ELON-TAN and ELAT-TAN"),
    ],
)
def test_other_frames_are_refused(sky, cards, named):
    message = sky.write().change(**cards).refusal()
    assert message.startswith(f"a_i.fits: its world coordinates, {named}")
    assert message.endswith(
        "are not a projection of equatorial or galactic coordinates: correct its header"
    )


@pytest.mark.parametrize(
    "cards", [{"CD1_1": 0.0}, {"CTYPE1": "RA---ZZZ"}, {"CRVAL2": 123.0}, {"RADESYS": "GAPPT"}]
)
def test_world_coordinates_that_mean_nothing_are_refused(sky, cards):
    message = sky.write().change(**cards).refusal()
    assert message.startswith("a_i.fits: its world coordinates")
    assert message.endswith("correct its header")


# Distortions and scales --------------------------------------------------------------------------


def distorted(sky, law, size):
    """The sky through a distortion that moves the edge of the image by so many arcsec."""
    sky.write(turn=33)
    for hdu in sky.hdus.values():
        header = hdu.header
        if law == "SIP":
            header.update({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"})
            header.update({"A_ORDER": 2, "B_ORDER": 2, "A_2_0": size / 0.396 / 63.5**2})
        else:
            header.update({"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"})
            header.update({"PV1_1": 1.0, "PV2_1": 1.0, "PV1_4": size / 3600 / (25 / 3600) ** 2})
    planes = light(*offsets(header, "icrs", MIDDLE, 200))
    for hdu, plane in zip(sky.hdus.values(), planes, strict=True):
        hdu.data = plane.astype(np.float32)
    return sky.store(sky.hdus)


@pytest.mark.parametrize("law", ["SIP", "TPV"])
@pytest.mark.parametrize("size", [0.02, 1.0])
def test_distortions_are_undone(sky, law, size):
    assert np.abs(distorted(sky, law, size).image() - straight()).max() <= 2


@pytest.mark.parametrize("kind", ["icrs", "galactic"])
def test_another_scale_is_resampled_or_refused(sky, kind):
    sky.write(kind=kind, turn=33, scale=0.2, size=400)
    for hdu in sky.hdus.values():
        hdu.data *= (0.2 / 0.396) ** 2
    assert np.abs(sky.store(sky.hdus).image(0.2) - straight()).max() <= 3
    assert "a_i.fits: its header states 0.200 × 0.200 arcsec per pixel, not 0.396" in sky.refusal()


# Files -------------------------------------------------------------------------------------------


def in_extension(hdu, kind=fits.ImageHDU):
    return fits.HDUList([fits.PrimaryHDU(), kind(hdu.data, hdu.header)])


@pytest.mark.parametrize("ending", [".fits", ".fits.gz", ".fit", ".FITS", ".FITS.GZ"])
@pytest.mark.parametrize("kind", ["icrs", "galactic"])
def test_names_and_packings(sky, kind, ending):
    sky.write(kind=kind, turn=33)
    for path in sky.folder.glob("*.fits"):
        content = path.read_bytes()
        path.unlink()
        if ending.lower().endswith(".gz"):
            content = gzip.compress(content, 1)
        path.with_name(path.name.replace(".fits", ending)).write_bytes(content)
    assert np.abs(sky.image() - straight()).max() <= 2


@pytest.mark.parametrize("ending", [".fits", ".fits.fz"])
def test_compressed_images(sky, ending):
    sky.write(kind="galactic")
    for path in sky.folder.glob("*.fits"):
        path.unlink()
    packed = {band: in_extension(hdu, fits.CompImageHDU) for band, hdu in sky.hdus.items()}
    # Quantised on the way.
    assert np.abs(sky.store(packed, ending).image() - straight()).max() <= 4


@pytest.mark.parametrize("shape", [(1, 200, 200), (1, 1, 200, 200)])
@pytest.mark.parametrize("extension", [False, True])
def test_dimensions_of_length_one_and_later_extensions(sky, shape, extension):
    sky.write(kind="galactic")
    for hdu in sky.hdus.values():
        hdu.data = hdu.data.reshape(shape)
        for axis in range(3, 1 + len(shape)):
            hdu.header.update({f"CTYPE{axis}": "FREQ" if axis == 3 else "STOKES"})
            hdu.header.update({f"CRVAL{axis}": 1.0, f"CDELT{axis}": 1.0, f"CRPIX{axis}": 1.0})
    hdus = sky.hdus
    if extension:
        table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])])
        hdus = {b: in_extension(hdu) for b, hdu in hdus.items()}
        for lists in hdus.values():
            lists.insert(1, table)
    assert np.abs(sky.store(hdus).image() - straight()).max() <= 2


def test_cubes_are_refused(sky):
    sky.write()
    sky.hdus["r"].data = np.stack([sky.hdus["r"].data] * 3)
    message = "a_r.fits: it is a cube: write only the plane of this band into the file"
    assert sky.store(sky.hdus).refusal() == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 5), np.float32), "its image has no pixels: cut it out again"),
        (
            np.ones((1, 1)),
            "1×1 pixels of 0.396 arcsec cover 0.4 arcsec, but 50.7 are needed: cut out a wider "
            "field, or correct pixel_scale",
        ),
        (np.ones(200), "it has no image with two dimensions: write an image into the file"),
        (
            np.ones((130, 4097), np.uint8),
            "it is larger than 4096 pixels per side: cut out a smaller field",
        ),
        (None, "it has no image with two dimensions: write an image into the file"),
    ],
)
@pytest.mark.parametrize("turn", [0, 33])
def test_files_without_a_picture_are_refused(sky, data, message, turn):
    sky.write(turn=turn)
    header = header_of("icrs", MIDDLE, 1, turn) if np.shape(data) == (1, 1) else None
    sky.hdus["g"] = fits.PrimaryHDU(data, header)
    assert sky.store(sky.hdus).refusal() == f"a_g.fits: {message}"


@pytest.mark.parametrize("ending", [".fits", ".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("part", [0.1, 0.6])
def test_damaged_files_are_refused(sky, ending, part):
    sky.write()
    hdu = sky.hdus["i"]
    (sky.folder / "a_i.fits").unlink()
    path = sky.folder / f"a_i{ending}"
    (in_extension(hdu, fits.CompImageHDU) if ending == ".fits.fz" else hdu).writeto(path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    message = sky.refusal()
    assert message.startswith(f"{path.name}: it ")
    assert message.endswith(("write or download it again", "write an image into the file"))


def test_no_fits_file_outside_the_folder_is_read(sky):
    inside = sky.folder / "inside"
    sky.write()
    inside.mkdir()
    sky.folder = inside
    for band in "irg":
        (inside / f"a_{band}.fits.gz").symlink_to(inside.parent / f"a_{band}.fits")
    assert "has no a.jpg" in sky.refusal()
    sky.table = sky.table.assign(object_id="../a")
    assert "has no ../a.jpg" in sky.refusal()


def test_a_name_may_hold_an_ending(sky):
    sky.write()
    for path in sky.folder.glob("*.fits"):
        path.rename(path.with_name(path.name.replace("a_", "NGC%201.fits%2Fb_") + ".gz"))
    for path in sky.folder.glob("*.gz"):
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    sky.table = sky.table.assign(object_id="NGC 1.fits/b")
    assert np.abs(sky.image() - straight()).max() <= 1


# Where on the sky --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["icrs", "fk4", "galactic"])
def test_a_cutout_of_another_place_is_refused(sky, kind):
    sky.write(kind=kind).move(MIDDLE[0], MIDDLE[1] + 1.1 / 3600).image()
    assert sky.move(MIDDLE[0], MIDDLE[1] + 1.3 / 3600).refusal() == (
        "a_i.fits: its centre is ra, dec = 150.00000, 2.00000, 1.3 arcsec from ra, dec "
        "= 150.00000, 2.00036 of the row: cut it out around the galaxy, or correct the row"
    )
    assert "36.0 arcsec from ra, dec = 150.00000, 1.99000" in sky.move(150, 1.99).refusal()


@pytest.mark.parametrize(
    ("middle", "near", "far"),
    [
        ((0, 20), (359.9999, 20), (359.999, 20)),
        ((0.0001, 20), (-0.0001, 20), (-0.001, 20)),
        ((359.9999, 0), (0.0001, 0), (0.001, 0)),
        ((120, 60), (120.0006, 60), (120.0008, 60)),  # half the arc that ra has
        ((10, 89.9999), (190, 89.9999), (190, 89.9997)),
        ((10, -89.9999), (100, -89.9999), (190, -89.9996)),
    ],
)
def test_distance_is_on_the_sphere(sky, middle, near, far):
    sky.write(middle=middle).move(*near).image()
    assert "arcsec from ra, dec" in sky.move(*far).refusal()


@pytest.mark.parametrize("missing", [["ra"], ["dec"], ["ra", "dec"]])
def test_rows_without_a_position_cannot_be_checked(sky, missing):
    sky.write(middle=(30, 40)).refusal()
    sky.table = sky.table.drop(columns=missing)
    assert np.abs(sky.image() - straight()).max() <= 1


@pytest.mark.parametrize("how", ["no WCS", "linear axes"])
def test_files_without_a_celestial_wcs_are_taken_as_they_are(sky, how):
    sky.write(middle=(30, 40))
    for hdu in sky.hdus.values():
        if how == "no WCS":
            hdu.header = fits.PrimaryHDU(hdu.data).header
        else:
            hdu.header.update({"CTYPE1": "X", "CTYPE2": "Y"})
    assert np.abs(sky.store(sky.hdus).image() - straight()).max() <= 1
    sky.write("g")
    assert sky.refusal().startswith("a_i.fits, a_r.fits has no celestial coordinates: give")


def test_the_pixel_of_a_coarse_image_is_allowed(sky):
    sky.write(size=40, scale=2.0).move(MIDDLE[0], MIDDLE[1] + 1.9 / 3600).image(2.0)
    assert "2.1 arcsec" in sky.move(MIDDLE[0], MIDDLE[1] + 2.1 / 3600).refusal(2.0)


def test_bands_of_different_places_are_refused(sky):
    sky.write("i").write("rg", middle=(MIDDLE[0], MIDDLE[1] + 0.7 / 3600)).image()
    sky.write("r", middle=(MIDDLE[0], MIDDLE[1] + 0.9 / 3600))
    assert sky.refusal() == (
        "the centre of a_r.fits is ra, dec = 150.00000, 2.00025, 0.9 arcsec from ra, dec = "
        "150.00000, 2.00000 of a_i.fits: cut out all bands around one position"
    )
    # Each within two pixels of the first.
    sky.write("r", middle=(MIDDLE[0], MIDDLE[1] - 0.3 / 3600))
    assert sky.refusal().startswith("the centre of a_g.fits is ra, dec")
    sky.table = sky.table.drop(columns=["ra", "dec"])
    assert sky.refusal().startswith("the centre of a_g.fits is ra, dec")


# Pixels ------------------------------------------------------------------------------------------


NANOMAGGIES = "nanomaggy|nanomaggies|Nanomaggies|nmgy|nMgy| nanomaggy/pixel|nmgy / pix"
NANOMAGGIES += "|nanomaggies per pixel|nanomaggy pix-1|nanomaggy.pixel^-1|nanomaggy pix**(-1)|"


@pytest.mark.parametrize("unit", NANOMAGGIES.split("|"))
def test_nanomaggies_by_other_names(sky, unit):
    assert np.abs(sky.write().change(BUNIT=unit).image() - straight()).max() <= 1


OF_NANOMAGGY = {"Jy": 3.631e-6, "Jy/pixel": 3.631e-6, "mJy": 3.631e-3, "uJy/pix": 3.631}
OF_NANOMAGGY |= {"maggy": 1e-9, "nJy": 3631.0, "Jy per pixel": 3.631e-6, "erg/s/cm2/Hz": 3.631e-29}


@pytest.mark.parametrize("unit", OF_NANOMAGGY)
@pytest.mark.parametrize("in_primary", [False, True])
def test_janskys_are_converted(sky, unit, in_primary):
    sky.write()
    for band, hdu in sky.hdus.items():
        hdu.data = hdu.data * np.float32(OF_NANOMAGGY[unit])
        if in_primary:
            sky.hdus[band] = in_extension(hdu)
            sky.hdus[band][0].header["BUNIT"] = unit
        else:
            hdu.header["BUNIT"] = unit
    assert np.abs(sky.store(sky.hdus).image() - straight()).max() <= 1


@pytest.mark.parametrize("unit", ["counts", "adu/s", "MJy/sr", "Jy/beam", "mag(AB)", "%", "5"])
def test_other_units_are_refused(sky, unit):
    assert sky.write().change(BUNIT=unit).refusal() == (
        f"a_i.fits: it is in {unit!r}: convert it to nanomaggies or Jy per pixel and set BUNIT"
    )


def integers(hdu, scale):
    """The same pixels as 16-bit integers."""
    zero = 32768 * scale
    stored = np.round((hdu.data - zero) / scale).astype(np.int16)
    made = fits.PrimaryHDU(stored, hdu.header.copy())
    made.header.update({"BSCALE": scale, "BZERO": zero})
    return made


def test_integers_with_bscale_and_bzero(sky):
    sky.write(kind="galactic")
    hdus = {band: integers(hdu, 1 / 16384) for band, hdu in sky.hdus.items()}
    for band, hdu in hdus.items():
        hdu.writeto(sky.folder / f"a_{band}.fits", overwrite=True)
        with fits.open(sky.folder / f"a_{band}.fits", do_not_scale_image_data=True) as stored:
            assert stored[0].header["BSCALE"] == 1 / 16384
            assert stored[0].data.dtype == np.dtype(">i2")
    assert np.abs(sky.image() - straight()).max() <= 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, "BLANK"])
def test_pixels_without_a_value(sky, bad):
    def spoil(row, column, **more):
        sky.write(**more)
        hdu = sky.hdus["r"]
        if bad == "BLANK":
            hdu = integers(hdu, 1 / 16384)
            hdu.data[row, column] = hdu.header["BLANK"] = 32767
        else:
            hdu.data[row, column] = bad
        sky.store({"r": hdu})

    spoil(5, 100)  # outside what is kept
    assert np.abs(sky.image() - straight()).max() <= 2
    spoil(100, 90)
    assert sky.refusal() == (
        "a_r.fits: the central 50.7 arcsec have pixels without a value: "
        "fill them, or cut out a wider field"
    )
    spoil(5, 100, turn=33)
    assert np.abs(sky.image() - straight()).max() <= 2
    spoil(100, 90, turn=33)
    assert "have pixels without a value" in sky.refusal()


def test_a_turned_cutout_needs_its_corners(sky):
    message = sky.write(turn=45, size=140).refusal()
    assert message.startswith("a_i.fits: the central 50.7 arcsec have pixels without a value")


# Arrays ------------------------------------------------------------------------------------------


@pytest.fixture
def pictures():
    return np.random.default_rng(3).integers(1, 255, (2, 130, 128, 3), dtype=np.uint8)


@pytest.fixture
def pair(survey):
    return survey.catalogue.head(2).drop(columns="split")


def taken(pair, cutouts):
    return Survey.from_table(pair, cutouts=cutouts, pixel_scale=0.396, **DECLARED)


@pytest.mark.parametrize(
    "given_as",
    [
        np.asarray,
        torch.from_numpy,
        list,
        np.ma.asarray,
        Masked,
        lambda p: p.astype("u1")[::-1][::-1],
    ],
)
def test_arrays_of_every_kind(pair, pictures, given_as):
    np.testing.assert_array_equal(taken(pair, given_as(pictures)).images, pictures[:, 1:-1])


@pytest.mark.parametrize("masked", [np.ma.array, Masked])
def test_a_masked_pixel_costs_its_row(pair, pictures, masked):
    mask = np.zeros(pictures.shape, bool)
    mask[1, 70, 70, 2] = True
    survey = taken(pair, masked(pictures, mask=mask))
    np.testing.assert_array_equal(survey.images, pictures[:1, 1:-1])
    assert survey.rejected["reason"].tolist() == [
        "cutout: it has masked pixels: fill them in the array given as cutouts"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p / 255,
        lambda p: torch.tensor(p / 255),
        lambda p: p.astype(int),
        lambda p: np.moveaxis(p, 3, 1),
        lambda p: p[..., [0, 1, 2, 2]],
        lambda p: p * np.nan,
        lambda p: p > 9,
        lambda p: p[..., 0],
        lambda p: pd.Series(["a.jpg", "b.jpg"]),
    ],
)
def test_arrays_that_are_not_pictures(pair, pictures, change):
    with pytest.raises(SurveyError) as refused:
        taken(pair, change(pictures))
    message = str(refused.value)
    assert "2 of 2 rows cannot be used, the first is row 0 (object_id 'toy-0-0'): " in message
    assert "give an image, uint8 (height, width, 3), with channels i, r, g" in message


def test_a_tensor_in_training_is_no_array(pair, pictures):
    with pytest.raises(SurveyError, match="cutout: it is not an array"):
        taken(pair, torch.tensor(pictures / 255, requires_grad=True))
    with pytest.raises(SurveyError, match="130 cutouts for 2 rows"):
        taken(pair, pictures[0])
    np.testing.assert_array_equal(
        taken(pair, pd.Series(list(pictures), [5, 7])).images, pictures[:, 1:-1]
    )


@pytest.mark.parametrize("shape", [(2, 0, 0, 3), (2, 1, 1, 3), (2, 1, 128, 3)])
def test_pictures_too_small(pair, shape):
    with pytest.raises(SurveyError, match=r"cover 0\.[04] arcsec, but 50\.7 are needed"):
        taken(pair, np.ones(shape, np.uint8))


@pytest.mark.parametrize("named", [False, True])
def test_a_damaged_part_of_an_hdf5_file_costs_its_row(pair, pictures, tmp_path, named):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        options = {"chunks": (1, *pictures.shape[1:]), "compression": "gzip"}
        stack = file.create_dataset("images", data=pictures, **options)
        if named:
            file["object_id"] = pair["object_id"].tolist()
        place = stack.id.get_chunk_info(1).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 1000)
    survey = taken(pair, path)
    np.testing.assert_array_equal(survey.images, pictures[:1, 1:-1])
    assert survey.rejected["row"].tolist() == [1]
    assert survey.rejected["reason"][0].startswith("cutout: it is damaged (")
