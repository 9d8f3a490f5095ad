"""Pictures of every kind by every door: their pixels as they are seen, or one sentence."""

import ast
import io
import struct
import zlib
from pathlib import Path

import datasets
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from galcfm.catalogue.cutouts import CatalogueCutouts
from galcfm.properties import MAGNITUDES
from galcfm.survey import Survey, SurveyError

DECLARED = {"unit": "AB", "total": True, "dereddened": True, "pixel_scale": 0.396}
# What each orientation of EXIF does to the pixels as they are stored.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}
COLOURS = np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)
UNREADABLE = "not a readable JPEG or PNG: write or download it again"


def png(array, interlaced=False, transparent=None) -> bytes:
    """PNG of 8 or 16 bits, which Pillow writes neither with 16 bits in colour nor interlaced."""
    height, width, channels = array.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = b"".join(
        b"\0" + line.astype(f">u{array.itemsize}").tobytes()
        for y, x, down, across in passes
        for line in array[y::down, x::across]
    )
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, kind, 0, 0, interlaced)
    chunks = {b"IHDR": header}
    chunks |= {} if transparent is None else {b"tRNS": struct.pack(">HHH", *transparent)}
    chunks |= {b"IDAT": zlib.compress(lines), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


def saved(picture, form="PNG", **options) -> bytes:
    picture.save(content := io.BytesIO(), form, **options)
    return content.getvalue()


def with_alpha(lowest) -> Image.Image:
    picture = Image.fromarray(COLOURS).convert("RGBA")
    picture.putalpha(Image.fromarray(np.maximum(COLOURS[..., 0], lowest)))
    return picture


def palette() -> Image.Image:
    return Image.fromarray(COLOURS).quantize(64)


YCBCR = saved(Image.fromarray(COLOURS).convert("YCbCr"), "JPEG")
# Bytes of a file, and its pixels or what is said of it.
FILES = {
    "RGB": (saved(Image.fromarray(COLOURS)), COLOURS),
    "RGB interlaced": (png(COLOURS, interlaced=True), COLOURS),
    "RGBA opaque": (saved(with_alpha(255)), COLOURS),
    "P": (saved(palette()), np.array(palette().convert("RGB"))),
    "YCbCr": (YCBCR, np.array(Image.open(io.BytesIO(YCBCR)))),
    "RGBA": (saved(with_alpha(0)), "it has transparent pixels"),
    "RGB with a transparent colour": (png(COLOURS, transparent=COLOURS[0, 0]), "it has transp"),
    "P with a transparent colour": (saved(palette(), transparency=3), "it has transparent pixels"),
    "1": (saved(Image.fromarray(COLOURS).convert("1")), "it has mode 1: write it in colour"),
    "L": (saved(Image.fromarray(COLOURS).convert("L")), "it has mode L: write it in colour"),
    "L in JPEG": (saved(Image.fromarray(COLOURS).convert("L"), "JPEG"), "it has mode L"),
    "L as RGB": (saved(Image.fromarray(COLOURS).convert("L").convert("RGB")), "it is grey"),
    "LA": (saved(Image.fromarray(COLOURS).convert("LA")), "it has mode LA"),
    "CMYK": (saved(Image.fromarray(COLOURS).convert("CMYK"), "JPEG"), "it has mode CMYK"),
    "blank": (saved(Image.new("RGB", (128, 128))), "it is blank"),
    "16 bits, RGB": (png(COLOURS.astype(np.uint16) * 16), "it has 16 bits per channel"),
    "16 bits, RGBA": (png(np.full((128, 128, 4), 4095, np.uint16)), "it has 16 bits"),
    "I;16": (png(COLOURS[..., :1].astype(np.uint16)), "it has 16 bits per channel"),
    "GIF": (saved(palette(), "GIF"), UNREADABLE),
    "TIFF": (saved(Image.fromarray(COLOURS), "TIFF"), UNREADABLE),
    "not an image": (b"<html>no such object</html>", UNREADABLE),
    "empty": (b"", UNREADABLE),
}
# Pictures that a program has open may have modes that no JPEG or PNG has.
IN_MEMORY = ["CMYK", "F", "HSV", "I", "LAB", "La", "RGBX", "RGBa", "YCbCr", "PA", "1", "L", "LA"]
IN_MEMORY += ["I;16", "I;16B", "I;16L", "I;16N"]

NAMES = {"a": 0}
FRAME = pd.DataFrame({"object_id": ["a", "b"]} | dict.fromkeys(MAGNITUDES, 18.0))
PLAIN = saved(Image.fromarray(COLOURS[::-1]))


def from_table(cutouts):
    """The cutout of the first of two galaxies, or the reason why it has none."""
    survey = Survey.from_table(FRAME, cutouts=cutouts, **DECLARED)
    if len(survey) == 2:
        return survey.images[0]
    (reason,) = survey.rejected["reason"]
    return reason


def by_folder(content: bytes, folder: Path):
    for name, data in {"a": content, "b": PLAIN}.items():
        (folder / f"{name}.png").write_bytes(data)
    return from_table(folder)


def by_column(content: bytes, folder: Path):
    column = CatalogueCutouts("column", "picture", 0.396)
    try:
        return column.reader(None, {"object_id": ["a"]}, [{"bytes": content, "path": None}])(0)
    except ValueError as error:
        return f"cutout: {error}"


def by_dataset(content: bytes, folder: Path):
    frame = FRAME.assign(ra=1.0, dec=1.0, redshift=0.1, ebv=0.0, split="test")
    cells = [{"bytes": data, "path": None} for data in (content, PLAIN)]
    rows = datasets.Dataset.from_pandas(frame)
    rows = rows.add_column("rgb_image", cells, feature=datasets.Image(decode=False))
    try:
        return Survey.from_datasets(rows).images[0]
    except SurveyError as error:
        return str(error).replace("data set, row 0 (object_id 'a'): rgb_image", "cutout")


def by_open_picture(content: bytes, folder: Path):
    try:
        return from_table({"a": Image.open(io.BytesIO(content)), "b": COLOURS})
    except OSError:  # Pillow itself cannot open it.
        return f"cutout: {UNREADABLE}"


def by_array(content: bytes, folder: Path):
    """Files of arrays hold pixels, or bytes that are no pixels."""
    with h5py.File(folder / "a.h5", "w") as file:
        file["images/a"] = np.frombuffer(content or b"\0", np.uint8)
        file["images/b"] = COLOURS
    found = from_table(folder / "a.h5")
    assert "give an image, uint8 (height, width, 3), with channels i, r, g" in found
    return None


# All doors that take image files.
DOORS = {
    "folder": by_folder,
    "column of bytes": by_column,
    "data set": by_dataset,
    "open picture": by_open_picture,
    "HDF5 of bytes": by_array,
}


def check(found, wanted):
    if isinstance(wanted, str):
        assert isinstance(found, str), wanted
        assert wanted in found
        assert "\n" not in found
    else:
        assert not isinstance(found, str), found
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", FILES)
def test_every_kind_by_every_door(kind, door, tmp_path):
    content, wanted = FILES[kind]
    found = DOORS[door](content, tmp_path)
    if door == "open picture" and kind in ("GIF", "TIFF"):
        wanted = np.array(Image.open(io.BytesIO(content)).convert("RGB"))
    if found is not None:
        check(found, wanted)


@settings(max_examples=250)
@given(
    kind=st.sampled_from(list(FILES)),
    door=st.sampled_from(["folder", "column of bytes", "data set"]),
    orientation=st.sampled_from(list(TURNS)),
    kept=st.sampled_from([1.0, 1.0]) | st.floats(0, 0.9),
)
def test_turned_and_cut_pictures(tmp_path_factory, kind, door, orientation, kept):
    content, wanted = FILES[kind]
    if not isinstance(wanted, str):
        picture = Image.open(io.BytesIO(content))
        exif = Image.Exif()
        exif[0x0112] = orientation
        form, quality = picture.format, {"quality": "keep"} if picture.format == "JPEG" else {}
        content = saved(picture, form, exif=exif, **quality)
        if form == "JPEG":
            wanted = np.array(Image.open(io.BytesIO(content)))
        wanted = TURNS[orientation](wanted)
    if kept < 1:
        # Whether a damaged picture is called damaged or grey, its row is not used.
        content, wanted = content[: int(kept * len(content))], "cutout: "
    check(DOORS[door](content, tmp_path_factory.mktemp("picture")), wanted)


@pytest.mark.parametrize("mode", IN_MEMORY)
def test_pictures_in_memory_of_other_modes(mode):
    reason = from_table({"a": Image.new(mode, (128, 128)), "b": COLOURS})
    assert reason == f"cutout: it has mode {mode}: write it in colour, mode RGB"


def test_the_registry_holds_all_modes_and_doors():
    """Add every new way in to `DOORS`."""
    assert {"RGB", "RGBA", "P", *IN_MEMORY} >= set(Image.MODES)
    package = Path(Survey.__module__.replace(".", "/")).parent.parent
    package = Path(__file__).resolve().parents[2] / package
    readers = {}
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                words = {getattr(n, "attr", getattr(n, "id", None)) for n in ast.walk(node)}
                if words & {"picture_pixels", "read_cutout"} or {"Image", "open"} <= words:
                    readers.setdefault(path.stem, set()).add(node.name)
    assert readers == {
        "cutouts": {"read_cutout", "_of_array", "cutout", "_of_cell"},
        "datasets": {"_pixels"},
        # SkyServer's, which are JPEG of 128×128 pixels.
        "images": {"picture_pixels", "decode_jpeg", "verify_jpeg"},
    }


# Data sets of others ------------------------------------------------------------------------------


def a_dataset(**columns):
    frame = FRAME.assign(ra=1.0, dec=1.0, redshift=0.1, ebv=0.0, split="test")
    rows = datasets.Dataset.from_pandas(frame)
    for name, (cells, feature) in columns.items():
        rows = rows.add_column(name, cells, feature=feature)
    return rows


PICTURES = ([{"bytes": PLAIN, "path": None}] * 2, datasets.Image(decode=False))


def test_fluxes_of_the_multimodal_universe_are_refused_with_the_remedy():
    plane = {"flux": [[1.0, 2.0]], "ivar": [[1.0, 1.0]], "mask": [[0.0, 0.0]], "scale": 0.262}
    with pytest.raises(SurveyError, match="column 'image' contains a dict per row: remove it"):
        Survey.from_datasets(a_dataset(image=([plane] * 2, None)))
    with pytest.raises(SurveyError, match=r"'image' contains .*For fluxes per pixel use .*Cut"):
        Survey.from_datasets(a_dataset(image=([[plane] * 3] * 2, None)))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"rgb_image": PICTURES, "rgb_pixel_scale": ([0.396, 0.262], None)},
            r"row 1 \(object_id 'b'\): rgb_image: it has 128×128 pixels of 0\.262 arcsec",
        ),
        (
            {"rgb_image": ([PICTURES[0][0], None], PICTURES[1])},
            r"row 1 .*: rgb_image: there is no image: remove the row",
        ),
        ({"rgb_image": ([[[1]], [[2]]], None)}, "row 0 .*: rgb_image: there is no image"),
    ],
)
def test_pictures_of_data_sets_that_are_none(columns, message):
    with pytest.raises(SurveyError, match=message):
        Survey.from_datasets(a_dataset(**columns))


def test_what_is_no_data_set_is_named():
    with pytest.raises(SurveyError, match="of type int is not a data set: give a folder"):
        Survey.from_datasets(5)
    assert len(Survey.from_datasets(a_dataset().to_iterable_dataset())) == 2
