"""Cutouts from anywhere, on the pixels of a survey: pictures, or fluxes in bands i, r and g.

Pictures are uint8, with the first row in the north and channels last. Fluxes are numbers a pixel,
with the first row in the south, as FITS has it, and a plane a band. Of either, the middle 50.7
arcsec are taken, whatever the size, and resampled from the scale that is stated to 0.396 arcsec a
pixel. Nothing stands in for a band: of g, r and z no picture in i, r and g is made.
"""

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, lupton_rgb
from galcfm.survey.rules import SurveyError

__all__ = [
    "CutoutFolder",
    "Cutouts",
    "collect_cutouts",
    "fitted_cutout",
    "read_cutout",
    "warn_of_reversed_channels",
]

# A picture may be this much too small: its scale is then off by as much.
SHORTFALL = 0.02
SAME_SCALE = 0.005
LARGEST_CUTOUT = 4096
# Extensions that surveys put beside their images.
NO_PICTURE = re.compile(
    "(?:^|[^a-z])(?:ivar|invvar|var|variance|err|error|sigma|rms|maskbits|mask|nexp|wht|weight"
    "|psfsize|psf|bkg|dq)(?:$|[^a-z])",
    re.IGNORECASE,
)
FEWEST_COLOURS = 20  # galaxies whose colours are compared with those of their cutouts
SMALLEST_TURN = 0.02  # rad
# Names of a FITS file, the plainest first.
FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fit.fz")
# A galaxy may be this far from the middle of its cutout [arcsec]: catalogues differ by less, and
# the half pixels of rounding come on top. The simulated ones lie within half a pixel.
OFF_CENTRE = 3 * PIXEL_SCALE


# Names under which HDF5 files hold pictures; others are asked for.
STACKS = ("image_array", "images", "image", "cutouts", "cutout")


@dataclass(frozen=True)
class Cutouts:
    """Cutouts with what they cannot say themselves; give it to `Survey.from_table` as `cutouts`.

    Example:
        ::

            cutouts = Cutouts("legacy.h5", bands="griz")  # fluxes in nanomaggies a pixel
            survey = Survey.from_table(..., cutouts=cutouts, pixel_scale=0.262)

    Arguments:
        source: array of fluxes `(n, bands, height, width)` or of pictures uint8 `(n, height,
            width, 3)`, or a list of such whose sizes differ, a row a galaxy; a dict of them by
            `object_id`; or the path of a folder, of a .npy or .npz, of an HDF5 file with a stack
            (beside it `object_id`, else a row a galaxy) or with a dataset a galaxy, or of a FITS
            file with an extension a galaxy (EXTNAME its `object_id`, of planes) or a band of it
            (`ID_r`).
        bands: of planes or channels, in their order, such as `"griz"`, where the files do not say.
        unit: of fluxes a pixel, where the files do not say: nanomaggies, or a unit of flux.
        key: name of the dataset in an HDF5 file, where it is not plain.
    """

    source: object
    bands: str | Sequence[str] | None = None
    unit: str = "nanomaggy"
    key: str | None = None


def collect_cutouts(cutouts, pixel_scale, object_id, positions, reasons, where) -> np.ndarray:
    """Cutouts of the rows without a reason so far; those that fail get one.

    Positions are `(n, 2)`, ra and dec [deg], NaN where a row has none. `cutouts` may be a function
    of the row, which raises `ValueError` where it has none.
    """
    given = cutouts if isinstance(cutouts, Cutouts) else Cutouts(cutouts)
    bands = None if given.bands is None else _band_letters(given.bands)
    if bands is not None and (trouble := _missing_bands(bands)):
        raise SurveyError(f"the cutouts are {trouble}")
    images = np.empty((sum(not reason for reason in reasons), *IMAGE_SHAPE), np.uint8)
    n = 0
    with ExitStack() as files:
        source = _opened(given, bands, len(object_id), where, files)
        for row, reason in enumerate(reasons):
            if reason:
                continue
            try:
                images[n] = source.cutout(row, object_id[row], pixel_scale, positions[row])
                n += 1
            except ValueError as error:
                reasons[row].append(f"cutout: {error}")
    return images[:n]


def _opened(given: Cutouts, bands, n: int, where: str, files: ExitStack):
    """What reads the cutout of a row from whatever was given."""
    source = given.source
    if callable(source):
        return _ByCall(source)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        ending = path.suffix.lower()
        if not path.is_file():
            return CutoutFolder(path, bands, given.unit)
        try:
            if ending in (".npy", ".npz"):
                source = np.load(path, mmap_mode="r", allow_pickle=False)
                if ending == ".npz":
                    files.enter_context(source)
                    if len(source.files) == 1 and source[source.files[0]].ndim == 4:
                        source = source[source.files[0]]
            elif ending in (".h5", ".hdf5", ".hdf"):
                import h5py

                file = files.enter_context(h5py.File(path, "r"))
                return _hdf5_cutouts(file, given, bands, n, where)
            elif path.name.lower().endswith(FITS_ENDINGS):
                from astropy.io import fits

                return _FitsFile(files.enter_context(fits.open(path)), path, bands, given.unit)
            else:
                raise SurveyError(
                    f"{path}: cutouts in one file are .npy, .npz, .h5 or .fits; pictures lie in a "
                    "folder, one a galaxy"
                )
        except SurveyError:
            raise
        # Readers of damaged files raise half a dozen kinds.
        except Exception as error:
            raise SurveyError(
                f"{path} cannot be read as {ending[1:]}: check that the file is whole and its "
                "ending right"
            ) from error
    if isinstance(source, dict):
        source = {str(name): cutout for name, cutout in source.items()}
    if isinstance(source, Mapping):
        return _ById(source, bands, given.unit)
    if isinstance(source, list | tuple) and len({np.shape(cutout) for cutout in source}) > 1:
        if len(source) != n:
            raise SurveyError(f"{len(source)} cutouts for {n} rows of {where}: one a row is needed")
        return _ByRow(source, bands, given.unit)
    return _ByRow(_stack(source, n, where, bands), bands, given.unit)


def _stack(cutouts, n: int, where: str, bands) -> np.ndarray:
    """One array of pictures uint8 `(n, height, width, 3)` or fluxes `(n, bands, height, width)`."""
    try:
        stack = np.asarray(cutouts)
    # RuntimeError: tensors that are being trained.
    except (ValueError, TypeError, RuntimeError) as error:
        raise SurveyError(
            "the cutouts are no array: give uint8 (n, height, width, 3), or a folder of files"
        ) from error
    are_pictures = stack.ndim == 4 and stack.shape[3] == 3 and stack.dtype == np.uint8
    are_fluxes = stack.ndim == 4 and stack.dtype.kind in "iuf" and stack.dtype != np.uint8
    are_fluxes &= bands is not None and stack.shape[1] == len(bands or ())
    if not are_pictures and not are_fluxes:
        needed = "uint8 (n, height, width, 3) with channels i, r, g is needed"
        if bands is not None:
            needed = f"fluxes (n, {len(bands)}, height, width) in {', '.join(bands)}, or {needed}"
        raise SurveyError(
            f"the cutouts are {stack.dtype} {stack.shape}: {needed}: {_remedy(stack)}"
        )
    if len(stack) != n:
        raise SurveyError(f"{len(stack)} cutouts for {n} rows of {where}: one a row is needed")
    # Of numpy's and astropy's masked arrays, both of which asarray strips.
    mask = getattr(cutouts, "mask", False) if isinstance(cutouts, np.ndarray) else False
    return np.ma.MaskedArray(stack, np.broadcast_to(mask, stack.shape)) if np.any(mask) else stack


class _ByRow:
    """Cutouts of a sequence, a row a galaxy."""

    def __init__(self, cutouts, bands, unit: str):
        self.cutouts, self.bands, self.unit = cutouts, bands, unit

    def cutout(self, row: int, object_id: str, pixel_scale: float, position) -> np.ndarray:
        return _of_array(self.cutouts[row], self.bands, self.unit, pixel_scale)


class _ByCall:
    """Cutouts that a function of the row gives."""

    def __init__(self, read):
        self.read = read

    def cutout(self, row: int, object_id: str, pixel_scale: float, position) -> np.ndarray:
        return self.read(row)


class _ById:
    """Cutouts of a mapping from identifiers, or of a stack whose rows have identifiers."""

    def __init__(self, cutouts: Mapping, bands, unit: str):
        self.cutouts, self.bands, self.unit = cutouts, bands, unit

    def cutout(self, row: int, object_id: str, pixel_scale: float, position) -> np.ndarray:
        try:
            cutout = self.cutouts[object_id]
        except KeyError as error:
            raise ValueError(f"there is none of {object_id}") from error
        if isinstance(cutout, tuple):
            return _of_array(*cutout, pixel_scale)
        return _of_array(cutout, self.bands, self.unit, pixel_scale)


def _of_array(cutout, bands, unit: str, pixel_scale: float) -> np.ndarray:
    """Cutout of an array: a picture uint8 `(h, w, 3)`, or fluxes `(bands, h, w)`, south first."""
    try:
        array = np.asarray(cutout)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError("it is no array") from error
    if np.any(getattr(cutout, "mask", False)):
        raise ValueError("has masked pixels: fill them in the array given as cutouts")
    if array.ndim == 3 and max(array.shape) > LARGEST_CUTOUT:
        raise ValueError(f"it is larger than {LARGEST_CUTOUT} pixels a side: cut it smaller")
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        if bands is not None and len(bands) == 3:
            array = array[..., [bands.index(band) for band in "irg"]]
        return fitted_cutout(array, pixel_scale)
    shape = f"{array.dtype} {array.shape}"
    if array.ndim != 3 or array.dtype.kind not in "iuf" or not array.size:
        raise ValueError(f"is {shape}: a picture uint8 (h, w, 3) or fluxes (bands, h, w) is needed")
    if bands is None:
        raise ValueError(
            f"is {shape}, and nothing says in which bands: pass cutouts=Cutouts(…, bands='gri')"
        )
    if len(array) != len(bands):
        raise ValueError(f"is {shape}, where {', '.join(bands)} need {len(bands)} planes")
    planes = {
        band: ("", np.asarray(plane, np.float32), None, unit)
        for band, plane in zip(bands, array, strict=True)
    }
    return _picture(planes, pixel_scale, None)


def _band_letters(bands) -> list[str]:
    """Letters of bands: of "grz", of "g,r,z", or of ["des-g", "des-r", "des-z"]."""
    if isinstance(bands, str):
        found = list(bands) if bands.isalpha() else re.split(r"[\s,;]+", bands.strip(" ,;"))
    else:
        found = [b.decode() if isinstance(b, bytes) else str(b) for b in bands]
    letters = [re.fullmatch(r"(?:.*[^A-Za-z])?([ugrizyY])", name.strip()) for name in found]
    if not all(letters) or len({letter[1] for letter in letters}) < len(letters):
        raise SurveyError(
            f"the bands of the cutouts are {bands!r}: give one letter of ugrizy a plane, such as "
            "'griz'"
        )
    return [letter[1] for letter in letters]


def _missing_bands(bands) -> str:
    """Why no picture can be made of these bands; empty if it can."""
    absent = [band for band in "irg" if band not in bands]
    if not absent:
        return ""
    return (
        f"of {', '.join(bands)} without {', '.join(absent)}: image models are trained on i, r and "
        "g, and no other band stands in for one of them; take bands that hold these three (Legacy "
        "Surveys have i from DR10 on), or leave the cutouts out and use a model of photometry"
    )


def _hdf5_cutouts(file, given: Cutouts, bands, n: int, where: str):
    """Cutouts of an HDF5 file: a stack of them, or a dataset a galaxy."""
    import h5py

    found: dict[str, object] = {}
    file.visititems(lambda name, node: found.update({name: node}))
    found = {k: node for k, node in found.items() if isinstance(node, h5py.Dataset)}
    stacks = {name: node for name, node in found.items() if node.ndim == 4}
    if given.key is not None:
        stacks = {name: node for name, node in stacks.items() if name == given.key.strip("/")}
    named = [name for name in stacks if name.rpartition("/")[2] in STACKS]
    if len(stacks) > 1 and len(named) == 1:
        stacks = {named[0]: stacks[named[0]]}
    single = {name.rpartition("/")[2]: node for name, node in found.items() if node.ndim == 3}
    if not stacks and single and given.key is None:
        return _ById(_Hdf5ById(single, bands, given.unit), bands, given.unit)
    if len(stacks) != 1:
        what = ", ".join(stacks or found) or "nothing"
        raise SurveyError(
            f"{file.filename} holds {what[:200]}: one stack of four dimensions, or a dataset of "
            "three a galaxy, is needed; name it, e.g. Cutouts(path, key='images')"
        )
    ((name, stack),) = stacks.items()
    group, _, own = name.rpartition("/")
    beside = {k.rpartition("/")[2]: v for k, v in found.items() if k.rpartition("/")[0] == group}
    unit = _text(stack, "unit", "units", "BUNIT") or given.unit
    said = _hdf5_bands(stack, [beside.get(k) for k in (f"{own[:-6]}_band", "bands", "band")])
    if said is not None and bands is not None and said != bands:
        raise SurveyError(
            f"{file.filename} says that its cutouts are of {', '.join(said)}, not of "
            f"{', '.join(bands)}: leave bands out, or correct the file"
        )
    bands = said if bands is None else bands
    if bands is not None and (trouble := _missing_bands(bands)):
        raise SurveyError(f"{file.filename}: the cutouts are {trouble}")
    if "object_id" in beside:
        names = beside["object_id"][()].tolist()
        names = [k.decode().strip() if isinstance(k, bytes) else str(k).strip() for k in names]
        if len(names) != len(stack):
            raise SurveyError(
                f"{file.filename}: {len(names)} object_id for {len(stack)} cutouts: one each"
            )
        return _ById(_Rows(stack, {k: row for row, k in enumerate(names)}), bands, unit)
    if len(stack) != n:
        raise SurveyError(
            f"{len(stack)} cutouts in {file.filename} for {n} rows of {where}: one a row is "
            "needed, or a dataset object_id beside them"
        )
    return _ByRow(stack, bands, unit)


@dataclass
class _Rows(Mapping):
    """Rows of a dataset by identifier, read one at a time."""

    stack: object
    row_of: dict[str, int]

    def __getitem__(self, name):
        return self.stack[self.row_of[name]]

    def __iter__(self):
        return iter(self.row_of)

    def __len__(self):
        return len(self.row_of)


@dataclass
class _Hdf5ById(Mapping):
    """Datasets by identifier, each with the bands and the unit that its attributes say."""

    datasets: dict[str, object]
    bands: list[str] | None
    unit: str

    def __getitem__(self, name):
        data = self.datasets[name]
        bands = _hdf5_bands(data, [])
        if bands is not None and self.bands not in (None, bands):
            raise ValueError(f"its file says that it is of {', '.join(bands)}")
        bands = self.bands if bands is None else bands
        return data[()], bands, _text(data, "unit", "units", "BUNIT") or self.unit

    def __iter__(self):
        return iter(self.datasets)

    def __len__(self):
        return len(self.datasets)


def _hdf5_bands(data, beside) -> list[str] | None:
    """Bands that a dataset's attributes say, or a dataset beside it, the same for all rows."""
    for name in ("bands", "band"):
        if name in data.attrs:
            value = data.attrs[name]
            return _band_letters(value.decode() if isinstance(value, bytes) else value)
    for other in beside:
        if other is None or other.dtype.kind not in "OS":
            continue
        values = np.atleast_2d(other[()])
        if (values != values[0]).any():
            raise SurveyError(
                f"{other.name}: the bands differ from row to row: make a stack of each kind"
            )
        return _band_letters(values[0].tolist())
    return None


def _text(data, *names: str) -> str:
    """The first of these attributes that a dataset has, as text."""
    value = next((data.attrs[name] for name in names if name in data.attrs), "")
    return value.decode() if isinstance(value, bytes) else str(value)


def _remedy(stack: np.ndarray) -> str:
    """What to do with an array that is not one of pictures."""
    kind = stack.dtype.kind
    if stack.size and isinstance(stack.flat[0], str):
        return "give the folder that holds the files"
    if stack.ndim == 1 and kind == "O":
        return "pass np.stack(list(cutouts)), or a folder where their sizes differ"
    if stack.ndim == 4 and kind == "f" and stack.shape[3] != 3 and 1 < stack.shape[1] < 7:
        remedy = "pass Cutouts(cutouts, bands='griz') if these are fluxes (n, bands, height, width)"
        moved = ", or np.moveaxis(np.asarray(cutouts), 1, 3) if they are pictures"
        return remedy + (moved if stack.shape[1] == 3 else "")
    if stack.ndim == 4 and stack.shape[3] != 3 and stack.shape[1] == 3:
        return "pass np.moveaxis(np.asarray(cutouts), 1, 3)"
    if stack.ndim == 4 and stack.shape[3] == 4:
        return "pass cutouts[..., :3] if the fourth channel is opacity"
    if stack.ndim != 4 or stack.shape[3] != 3 or kind not in "uif" or not stack.size:
        return "give such an array, or a folder of JPEG, PNG or FITS files"
    low, high = stack.min(), stack.max()
    if not (low >= 0 and high <= 255):
        return (
            "pass Cutouts(fluxes, bands='gri'), fluxes (n, bands, height, width), if they are that"
        )
    factor = "255 * " if kind == "f" and high <= 1 else ""
    return f"pass np.round({factor}np.asarray(cutouts)).astype(np.uint8)"


def warn_of_reversed_channels(catalogue: pd.DataFrame, images: np.ndarray, where: str) -> None:
    """Warn where the cutouts get bluer as the magnitudes get redder; a few galaxies cannot say."""
    if len(images) < FEWEST_COLOURS:
        return
    middle = np.s_[:, *(slice(side // 2 - 8, side // 2 + 8) for side in IMAGE_SHAPE[:2])]
    light = 1 + images[middle].mean(axis=(1, 2))
    pictured = pd.Series(np.log(light[:, 0] / light[:, 2]))
    if pictured.corr(catalogue["mag_g"] - catalogue["mag_i"], method="spearman") < -0.5:
        warnings.warn(
            f"{where}: galaxies that are red by g − i are blue in their cutouts: are the channels "
            "in the order g, r, i? They must be i, r, g",
            stacklevel=4,
        )


def fitted_cutout(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Cutout of a picture uint8 `(h, w, 3)`, uint8 `(128, 128, 3)` at 0.396 arcsec a pixel.

    Raises:
        ValueError: blank, grey, or covers less than 50.7 arcsec.
    """
    return _checked(_fitted(np.ascontiguousarray(pixels), pixel_scale))


def read_cutout(path, pixel_scale: float) -> np.ndarray:
    """Cutout in a JPEG or PNG, a path or an open file, uint8 `(128, 128, 3)` at 0.396 arcsec.

    Raises:
        ValueError: not a colour picture, blank, or covers less than 50.7 arcsec.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["JPEG", "PNG"]) as picture:
            if max(picture.size) > LARGEST_CUTOUT:
                raise ValueError(
                    f"{picture.size[0]}×{picture.size[1]} pixels are too many: "
                    f"{LARGEST_CUTOUT} a side at most"
                )
            # P: of a palette, which may hold colours.
            if picture.mode not in ("RGB", "RGBA", "P"):
                raise ValueError(f"has mode {picture.mode}, a colour (RGB) picture is needed")
            pixels = np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("not a readable JPEG or PNG") from error
    return _checked(_fitted(pixels, pixel_scale))


def _checked(pixels: np.ndarray) -> np.ndarray:
    if np.ptp(pixels) < 8:
        raise ValueError("blank")
    if (pixels == pixels[:, :, :1]).all():
        raise ValueError("grey: its three channels are the same, a colour picture is needed")
    return pixels


def _fitted(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """The middle of a picture `(h, w, 3)` or a band `(h, w)`, on 128×128 pixels of 0.396 arcsec."""
    from PIL import Image

    height, width = pixels.shape[:2]
    side = IMAGE_SHAPE[0]
    if abs(pixel_scale / PIXEL_SCALE - 1) < SAME_SCALE and min(height, width) >= side:
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
    needed = side * PIXEL_SCALE / pixel_scale
    if min(height, width) < (1 - SHORTFALL) * needed:
        raise ValueError(
            f"{width}×{height} pixels of {pixel_scale:g} arcsec cover "
            f"{min(height, width) * pixel_scale:.1f} arcsec, {side * PIXEL_SCALE:.1f} are needed"
        )
    box_w, box_h = min(needed, width), min(needed, height)
    left, top = (width - box_w) / 2, (height - box_h) / 2
    resized = Image.fromarray(pixels).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + box_w, top + box_h)
    )
    return np.array(resized)


class CutoutFolder:
    """Cutouts by id: ID.jpg, ID.jpeg, ID.png, ID_i.fits, ID_r.fits and ID_g.fits, or ID.fits.

    FITS files may be packed (.fits.gz, .fits.fz) or end in .fit. ID.fits holds an extension a band,
    or a cube.

    Names are looked up in the list of the folder's own files, so that an id can never lead out of
    it. Where a file cannot have the name of an id, as with a/b, its percent-encoded form does.
    """

    def __init__(self, folder: Path | str, bands=None, unit: str = "nanomaggy"):
        self.folder, self.bands, self.unit = Path(folder), bands, unit
        if not self.folder.is_dir():
            raise SurveyError(f"{self.folder} is no folder: give the one that holds the cutouts")
        inside = self.folder.resolve()
        self.files = {}
        for entry in sorted(os.scandir(self.folder), key=lambda entry: entry.name):
            # A link out of the folder is not followed.
            if entry.is_file() and Path(entry.path).resolve().is_relative_to(inside):
                ending = re.search(r"\.(fits?(\.[gf]z)?|[^.]*)$", entry.name, re.I)
                stem = entry.name[: ending.start()] if ending else entry.name
                self.files[stem + entry.name[len(stem) :].lower()] = Path(entry.path)

    def find(self, name: str, suffix: str, endings) -> Path | None:
        names = [id_ + suffix + end for end in endings for id_ in (name, quote(name, safe=""))]
        return next((self.files[n] for n in names if n in self.files), None)

    def cutout(self, row: int, object_id: str, pixel_scale: float, position) -> np.ndarray:
        path = self.find(object_id, "", (".jpg", ".jpeg", ".png"))
        if path is not None:
            try:
                if self.bands not in (None, ["i", "r", "g"]):
                    raise ValueError(
                        "a picture has i, r and g in red, green and blue: leave bands out, or give "
                        f"FITS files of {', '.join(self.bands)}"
                    )
                return read_cutout(path, pixel_scale)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        paths = {band: self.find(object_id, f"_{band}", FITS_ENDINGS) for band in "irg"}
        absent = [band for band, path in paths.items() if path is None]
        if len(absent) == 3 and (path := self.find(object_id, "", FITS_ENDINGS)):
            try:
                planes = _planes_of(_fits_images(path), self.bands, self.unit)
                return _picture(planes, pixel_scale, position)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        if len(absent) == 3:
            raise ValueError(
                f"{self.folder} has no {object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
            )
        if absent:
            raise ValueError(f"{self.folder} has no {object_id}_{absent[0]}.fits")
        planes = {}
        for band, path in paths.items():
            try:
                planes[band] = (path.name, *_first_plane(_fits_images(path), self.unit))
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        return _picture(planes, pixel_scale, position)


class _FitsFile:
    """Cutouts in the extensions of one FITS file: EXTNAME is ID, of a cube, or ID_i, ID_r, ID_g."""

    def __init__(self, hdus, path: Path, bands, unit: str):
        self.bands, self.unit, self.path = bands, unit, path
        self.named: dict[str, object] = {}
        for hdu in hdus:
            name = str(hdu.header.get("EXTNAME", "")).strip()
            if hdu.is_image and name:
                self.named.setdefault(name, hdu)
        # Writers of FITS put names in capitals.
        folded = Counter(name.upper() for name in self.named)
        self.folded = {n.upper(): h for n, h in self.named.items() if folded[n.upper()] == 1}
        self.common = hdus[0].header.get("BUNIT", ""), hdus[0].header.get("BANDS")

    def cutout(self, row: int, object_id: str, pixel_scale: float, position) -> np.ndarray:
        names = [object_id, *(f"{object_id}_{band}" for band in "ugrizyY")]
        hdus = {n: self.named.get(n, self.folded.get(n.upper())) for n in names}
        images = []
        for name, hdu in hdus.items():
            if hdu is not None and len(hdu.shape) >= 2 and max(hdu.shape) <= LARGEST_CUTOUT:
                header = hdu.header.copy()
                header.setdefault("BUNIT", self.common[0])
                if self.common[1]:
                    header.setdefault("BANDS", self.common[1])
                header["EXTNAME"] = name.removeprefix(object_id).strip("_")
                images.append((np.asarray(hdu.data, np.float32), header))
        if not images:
            raise ValueError(f"{self.path.name} has no extension called {object_id}, nor its bands")
        return _picture(_planes_of(images, self.bands, self.unit), pixel_scale, position)


def _planes_of(images, bands, unit: str) -> dict[str, tuple]:
    """Planes by band, each with its place in the file, header and unit, of images with headers.

    Raises:
        ValueError: nothing says in which band a plane is.
    """
    planes: dict[str, tuple] = {}
    flat = []
    for data, header in images:
        if NO_PICTURE.search(str(header.get("EXTNAME", ""))):
            continue
        data = data.reshape([n for n in data.shape[:-2] if n > 1] + [*data.shape[-2:]])
        own = _header_bands(header, data.shape)
        if data.ndim == 3:
            if own is not None and bands is not None and own != bands:
                raise ValueError(
                    f"its header says that it is of {', '.join(own)}, not of {', '.join(bands)}: "
                    "leave bands out, or correct the header"
                )
            own = bands if own is None else own
            if own is None or len(own) != len(data):
                size = "×".join(map(str, data.shape[::-1]))
                raise ValueError(
                    f"it is a cube of {size}, and nothing says in which bands: set BANDS in its "
                    "header, such as 'gri', or pass cutouts=Cutouts(…, bands='gri')"
                )
            flat += [(band, plane, header) for band, plane in zip(own, data, strict=True)]
        elif data.ndim == 2:
            flat.append((own[0] if own else None, data, header))
    if bands is not None and len(flat) == len(bands) and all(band is None for band, *_ in flat):
        flat = [(band, *rest) for band, (_, *rest) in zip(bands, flat, strict=True)]
    for band, plane, header in flat:
        if band is None:
            raise ValueError(
                "nothing says in which band an extension is: name it by EXTNAME or FILTER, such as "
                "'r', or pass cutouts=Cutouts(…, bands='gri')"
            )
        own_unit = str(header.get("BUNIT", "")).strip() or unit
        planes.setdefault(band, (f"band {band}", plane, header, own_unit))
    return planes


def _header_bands(header, shape) -> list[str] | None:
    """Bands that a header names: BANDS, or BAND0, BAND1 …, of a cube; BAND, FILTER or EXTNAME."""
    if len(shape) == 3:
        numbered = [header.get(f"BAND{k}") for k in range(shape[0])]
        said = header.get("BANDS") or (numbered if all(numbered) else None)
        try:
            return _band_letters(said) if said else None
        except SurveyError:
            return None
    for key in ("BAND", "FILTER", "EXTNAME"):
        name = str(header.get(key, "")).strip()
        # "r DECam SDSS c0002 6415.0 1480.0", as DECam's headers say, and "SDSS_r".
        match = re.match(r"([ugrizyY])(?:$|[\s.-])", name)
        match = match or re.search(r"(?:^|[^A-Za-z])([ugrizyY])$", name)
        if key == "EXTNAME":
            # Often in capitals; as filters, R and I would be others than r and i.
            match = match or re.search(r"(?:^|[^A-Za-z])([UGRIZ])$", name)
        if match:
            return [match[1] if match[1] == "Y" else match[1].lower()]
    return None


def _picture(planes: Mapping[str, tuple], pixel_scale: float, position) -> np.ndarray:
    """Colour picture of planes by band: (what messages call it, data, header or `None`, unit).

    Raises:
        ValueError: a band is missing, or a plane cannot be used.
    """
    if trouble := _missing_bands(planes):
        raise ValueError(f"it is {trouble}")
    # Interpolation keeps the surface brightness; the recipe wants the flux of an SDSS pixel.
    area = (PIXEL_SCALE / pixel_scale) ** 2
    made, places = [], {}
    for band in "irg":
        name, data, header, unit = planes[band]
        try:
            plane, places[name or band] = _placed(data, header, unit, pixel_scale, position)
            made.append(area * _fitted(plane, pixel_scale))
            if not np.isfinite(made[-1]).all():
                raise ValueError(
                    f"pixels without a value lie within the {IMAGE_SHAPE[0] * PIXEL_SCALE:.1f} "
                    "arcsec that are needed, north up: fill them, or cut out a wider field"
                )
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if name else str(error)) from error
    _check_same_place(places, pixel_scale)
    return _checked(lupton_rgb(*made))


def _check_same_place(places: dict, pixel_scale: float) -> None:
    """Refuse bands of which one lies more than two pixels beside another.

    Bands that are cut at whole pixels of three frames lie up to √2 pixels apart.
    """
    for (one, place), (other, its_place) in combinations(places.items(), 2):
        if (place is None) != (its_place is None):
            without, with_one = (one, other) if place is None else (other, one)
            raise ValueError(
                f"{without} has no celestial coordinates but {with_one} has: give all three bands "
                "theirs, or none"
            )
        if place is not None:
            apart = _separation(place, its_place)
            if apart > 2 * max(PIXEL_SCALE, pixel_scale):
                raise ValueError(
                    f"{other} has {_degrees(its_place)} in its middle, {apart:.1f} arcsec from the "
                    f"{_degrees(place)} of {one}: cut the bands out around one position"
                )


def _separation(one, other) -> float:
    """Distance of two positions, ra and dec [deg], on the sphere [arcsec]."""
    (ra, dec), (its_ra, its_dec) = np.radians(one), np.radians(other)
    # Haversines: cosines would lose the last arcsec, differences would break at ra = 0.
    haversine = np.sin((dec - its_dec) / 2) ** 2
    haversine += np.cos(dec) * np.cos(its_dec) * np.sin((ra - its_ra) / 2) ** 2
    return 3600 * np.degrees(2 * np.arcsin(np.sqrt(np.minimum(haversine, 1))))


def _degrees(position) -> str:
    return f"ra, dec = {position[0] % 360:.5f}, {position[1]:.5f}"


def _placed(data, header, unit: str, pixel_scale: float, position):
    """Image in nanomaggies a pixel, north up and east left, and ra, dec of its middle.

    Without a celestial WCS the first row is taken to be in the south, the first column in the
    east, and the place is `None`.

    Raises:
        ValueError: no such unit, or not the image of the galaxy at this position.
    """
    data = data * np.float32(_nanomaggies(unit))
    middle, steps = None, None
    if header is not None:
        middle, steps = _on_the_sky(header, data.shape, pixel_scale)
    if steps is not None:
        # Half a pixel of rounding is more than that where pixels are large.
        if (apart := _separation(middle, position)) > max(OFF_CENTRE, pixel_scale):
            raise ValueError(
                f"it has {_degrees(middle)} in its middle, {apart:.1f} arcsec from the "
                f"{_degrees(position)} of the row: cut it out around the galaxy, or correct the row"
            )
        data = _north_up(data, steps)
    # FITS counts rows from the bottom, pictures from the top.
    return np.ascontiguousarray(data[::-1]), middle


def _first_plane(images, unit: str) -> tuple[np.ndarray, object, str]:
    """The first image of two dimensions, with its header and its unit."""
    flat = [image for image in images if max(image[0].shape[:-2], default=1) == 1]
    if not flat:
        size = "×".join(map(str, images[0][0].shape[::-1]))
        raise ValueError(f"it is a cube of {size}: write the plane of this band alone into it")
    data, header = flat[0]
    own_unit = str(header.get("BUNIT", "")).strip() or unit
    return data.reshape(data.shape[-2:]), header, own_unit


def _fits_images(path: Path) -> list[tuple[np.ndarray, object]]:
    """Images of a FITS file of two dimensions and more, float32, with their headers.

    BUNIT and BANDS of the first header count for all.
    """
    from astropy.io import fits

    trouble, found = "it holds no image of two dimensions: write one into it", []
    try:
        with fits.open(path, memmap=False) as file:
            common = {key: file[0].header.get(key) for key in ("BUNIT", "BANDS")}
            for plane in file:
                shape = plane.shape if plane.is_image else ()
                if len(shape) < 2:
                    continue
                if 0 in shape:
                    trouble = "its image has no pixels: cut it out again"
                elif max(shape) > LARGEST_CUTOUT:
                    trouble = f"it is larger than {LARGEST_CUTOUT} pixels a side: cut it smaller"
                else:
                    header = plane.header
                    for key, value in common.items():
                        if value is not None:
                            header.setdefault(key, value)
                    found.append((np.asarray(plane.data, np.float32), header))
    # Readers of damaged and packed files raise half a dozen kinds.
    except Exception as error:
        raise ValueError("it is not readable FITS: write or download it again") from error
    if not found:
        raise ValueError(trouble)
    return found


def _nanomaggies(unit: str) -> float:
    """Nanomaggies in a BUNIT, which may be per pixel."""
    from astropy import units as u

    flux = re.sub(
        r"\s*(/|\bper\b)\s*pix(els?)?$|[\s*.]*\bpix(el)?\s*(\^|\*\*)?\s*\(?-1\)?$", "", unit
    )
    if flux.lower() in ("", "nanomaggy", "nanomaggies", "nmgy"):
        return 1.0
    try:
        known = u.Unit(flux)
        # Units of logarithms convert as well, but not by a factor.
        if not isinstance(known, u.UnitBase):
            raise u.UnitTypeError(f"{known} is no flux")
        return known.to(u.Jy) / 3631e-9
    except (u.UnitsError, ValueError, TypeError) as error:
        raise ValueError(
            f"it is in {unit!r}: nanomaggies or Jy a pixel are needed, convert it and set BUNIT"
        ) from error


def _on_the_sky(header, shape, pixel_scale: float):
    """Position of the middle of an image, and its steps to the east and north there, in ICRS.

    Whatever its own frame, the steps `(2, 2)` are (east, north) for a step along (columns, rows),
    in units of `pixel_scale`; the position is ra and dec [deg]. Both are `None` without a celestial
    WCS.

    Raises:
        ValueError: no place on the sky, another pixel scale, or distorted.
    """
    height, width = shape
    # Finite differences across what is kept, so that a distortion shows.
    reach = (min(height, width, IMAGE_SHAPE[0] * PIXEL_SCALE / pixel_scale) - 1) / 2
    row, column = np.mgrid[-1:2, -1:2].reshape(2, 9) * max(reach, 0.5)
    sky = _places(header, column + (width - 1) / 2, row + (height - 1) / 2)
    if sky is None:
        return None, None
    ra, dec = sky.ra.rad[4], sky.dec.rad[4]
    # Onto the plane that touches the sphere in the middle: it knows no poles.
    east = [-np.sin(ra), np.cos(ra), 0]
    north = [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)]
    plane = np.degrees(np.stack([east, north]) @ sky.cartesian.xyz.value) * 3600 / pixel_scale
    steps = np.stack([plane[:, 5] - plane[:, 3], plane[:, 7] - plane[:, 1]], 1)
    steps /= 2 * max(reach, 0.5)
    own_scales = np.linalg.svd(steps, compute_uv=False)
    if not (np.abs(own_scales - 1) < 0.02).all():
        raise ValueError(
            f"its header says {own_scales[0] * pixel_scale:.3f} × "
            f"{own_scales[1] * pixel_scale:.3f} arcsec a pixel, not {pixel_scale:g}"
        )
    bent = np.abs(plane - steps @ [column, row]).max() * pixel_scale
    if bent > PIXEL_SCALE:
        raise ValueError(
            f"its distortion moves pixels by {bent:.1f} arcsec: resample it to a plain projection"
        )
    return np.degrees([ra, dec]), steps


def _places(header, column, row):
    """Positions of pixels in ICRS, or `None` without a celestial WCS."""
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        # astropy about headers of older conventions, which it corrects.
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header, naxis=2)
            if not wcs.has_celestial:
                return None
            world = wcs.all_pix2world(column, row, 0)
            longitude, latitude = world[wcs.wcs.lng], world[wcs.wcs.lat]
            frame, sky = _frame(wcs), None
            if frame is not None:
                sky = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
        # Any header may come, and its parser raises what it likes.
        except Exception as error:
            raise ValueError("its world coordinates cannot be read: correct its header") from error
    if sky is None or not np.isfinite(sky.cartesian.xyz.value).all():
        raise ValueError(
            f"its world coordinates, {' and '.join(wcs.wcs.ctype)} {wcs.wcs.radesys}, are no "
            "projection of equatorial, galactic or ecliptic coordinates: correct its header"
        )
    return sky


def _frame(wcs):
    """Celestial frame of a WCS, or `None`."""
    from astropy.coordinates import BarycentricMeanEcliptic
    from astropy.time import Time
    from astropy.wcs.utils import wcs_to_celestial_frame

    axis = wcs.wcs.ctype[wcs.wcs.lng][:4]
    # astropy takes ecliptic coordinates for equatorial. Mean places: no map follows the nutation.
    if axis == "ELON":
        equinox = wcs.wcs.equinox if np.isfinite(wcs.wcs.equinox) else 2000
        return BarycentricMeanEcliptic(equinox=Time(equinox, format="jyear"))
    try:
        return wcs_to_celestial_frame(wcs) if axis in ("RA--", "GLON") else None
    except ValueError:
        return None


def _north_up(data: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The image turned, or mirrored, until rows run north and columns west; NaN outside it."""
    from scipy.ndimage import affine_transform

    # Rows and columns of the image for a step north and a step west.
    turn = np.linalg.inv(steps)[::-1] @ [[0, -1], [1, 0]]
    nearest = np.round(turn)
    centre = (np.array(data.shape) - 1) / 2
    if np.abs(turn - nearest).max() < SMALLEST_TURN:
        # By quarters of a turn no pixel is touched.
        if nearest[0, 0] == 0:
            data, nearest = data.T, nearest[::-1]
        return data[:: int(nearest[0, 0]), :: int(nearest[1, 1])]
    if not np.isfinite(data).all():
        raise ValueError("it has pixels without a value, and cannot be turned north up: fill them")
    return affine_transform(
        data, turn, centre - turn @ centre, order=3, mode="constant", cval=np.nan
    )
