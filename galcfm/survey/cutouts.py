"""Cutouts of users on the pixels of a survey: colour images, or fluxes in bands i, r and g.

Colour images are uint8, with the first row in the north and channels last; `galcfm.survey.sky`
converts fluxes to colour images. The middle 50.7 arcsec of an image of any size are resampled from
the given pixel scale to 0.396 arcsec per pixel.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from galcfm.paths import user_path
from galcfm.survey.images import IMAGE_SHAPE, picture_pixels, require_colours
from galcfm.survey.rules import SurveyError
from galcfm.survey.sky import bands_of, fits_plane, fitted, picture

# Endings of a FITS file, in order of preference.
FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fit.fz")
# Names under which HDF5 files usually contain cutouts; users must rename others.
STACKS = ("image_array", "images", "image", "cutouts", "cutout")


@dataclass(frozen=True)
class Cutouts:
    """Cutouts with information that they lack; pass it to `Survey.from_table` as `cutouts`.

    Example:
        ::

            cutouts = Cutouts("legacy.h5", bands="griz")  # fluxes in nanomaggies per pixel
            survey = Survey.from_table(..., cutouts=cutouts, pixel_scale=0.262)

    Arguments:
        source: Fluxes `(n, bands, height, width)` or colour images uint8 `(n, height, width, 3)`,
            one per row: an array, or a list if the sizes differ; a dict or HDF5 group of such
            arrays by `object_id`; or the path of an HDF5 file with such an array under one of the
            names in `STACKS`, and with `object_id` if its order differs from the rows.
        bands: Bands of planes or channels, in their order, such as `"griz"`, if the file does not
            give them.
        unit: Unit of fluxes per pixel, if the files do not give it: nanomaggies, or a unit of flux.
    """

    source: object
    bands: str | Sequence[str] | None = None
    unit: str = "nanomaggy"


def collect_cutouts(cutouts, pixel_scale, object_id, positions, reasons, where) -> np.ndarray:
    """Return the cutouts of rows without a reason so far; rows without a usable cutout get one.

    Arguments:
        cutouts: Cutouts, see `Survey.from_table`.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        object_id: Identifiers, `(n,)`.
        positions: Right ascension and declination [deg], `(n, 2)`, NaN if unknown.
        reasons: Reasons why each row cannot be used, one list per row.
        where: Name of the table.

    Returns:
        The cutouts, uint8 `(m, 128, 128, 3)`.

    Raises:
        SurveyError: The cutouts as a whole cannot be used.
    """
    given = cutouts if isinstance(cutouts, Cutouts) else Cutouts(cutouts)
    images = np.empty((sum(not reason for reason in reasons), *IMAGE_SHAPE), np.uint8)
    n = 0
    with ExitStack() as files:
        try:
            read = _reader(given, bands_of(given.bands), object_id, where, files)
        except (OSError, ValueError) as error:
            raise SurveyError(str(error)) from error
        for row, reason in enumerate(reasons):
            if reason:
                continue
            try:
                images[n] = read(row, pixel_scale, positions[row])
                n += 1
            except ValueError as error:
                reasons[row].append(f"cutout: {error}")
            except OSError as error:
                reasons[row].append(f"cutout: it is damaged ({error}): write it again")
    return images[:n]


def _reader(given: Cutouts, bands, object_id, where: str, files: ExitStack) -> Callable:
    """Return a function that reads a cutout by row, pixel scale and position."""
    source, unit, names = given.source, given.unit, None
    if isinstance(source, str | os.PathLike):
        path = user_path(source, "the path of the cutouts")
        if not path.is_file():
            if bands is not None:
                raise ValueError("the names of files in a folder say their bands: leave bands out")
            folder = CutoutFolder(path, unit)
            return lambda row, scale, position: folder.cutout(object_id[row], scale, position)
        source, names, bands, unit = _opened(path, given, bands, files)
    if isinstance(source, Mapping):
        # A survey stores numerical identifiers as text.
        key_of = {str(key): key for key in source}
    elif names is not None:
        key_of = {name: row for row, name in enumerate(names)}
    elif len(source) == len(object_id):
        source = getattr(source, "iloc", source)
        return lambda row, scale, _: _of_array(source[row], bands, unit, scale)
    else:
        raise ValueError(
            f"{len(source)} cutouts for {len(object_id)} rows of {where}: give one per row, or a "
            "dict of them by object_id"
        )

    def read(row, scale, position):
        if object_id[row] not in key_of:
            raise ValueError(f"there is none of {object_id[row]}: add it, or leave the row out")
        return _of_array(source[key_of[object_id[row]]], bands, unit, scale)

    return read


def _opened(path: Path, given: Cutouts, bands, files: ExitStack) -> tuple:
    """Return the cutouts in an HDF5 file, their identifiers or `None`, their bands, their unit."""
    import h5py

    try:
        file = files.enter_context(h5py.File(path, "r"))
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as HDF5: give an HDF5 file, an array (numpy.load reads .npy), "
            "or a folder with the images or FITS files of each galaxy"
        ) from error
    name = next((name for name in STACKS if name in file), None)
    if name is None:
        raise ValueError(
            f"{path} contains {', '.join(file)[:200]}: call the cutouts {STACKS[0]}, or give their "
            "dataset or group instead of the path"
        )
    bands = bands_of(file[name].attrs.get("bands"), bands, str(path))
    names = file.get("object_id")
    if names is not None:
        names = [k.decode() if isinstance(k, bytes) else str(k) for k in names[()].tolist()]
    return file[name], names, bands, file[name].attrs.get("unit", given.unit)


def _of_array(cutout, bands, unit: str, pixel_scale: float) -> np.ndarray:
    """Return the cutout in an array: an image uint8 `(h, w, 3)`, or fluxes `(bands, h, w)`."""
    # An image opened by Pillow may have another colour mode.
    cutout = picture_pixels(cutout) if hasattr(cutout, "getexif") else cutout
    try:
        array = np.asarray(cutout)
    # Tensors that require gradients raise RuntimeError.
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError("it is no array of numbers: give one of NumPy") from error
    if np.any(getattr(cutout, "mask", False)):
        raise ValueError("has masked pixels: fill them in the array given as cutouts")
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        if bands is not None and len(bands) == 3:
            array = array[..., [bands.index(band) for band in "irg"]]
        return fitted_cutout(array, pixel_scale)
    is_flux = array.ndim == 3 and array.dtype.kind in "iuf" and array.size
    if not is_flux or bands is None or len(array) != len(bands):
        raise ValueError(
            f"is {array.dtype} {array.shape}: an image uint8 (height, width, 3) with channels i, "
            "r, g is needed, e.g. np.round(255 * x).astype(np.uint8); or fluxes (bands, height, "
            "width) with cutouts=Cutouts(…, bands='gri')"
        )
    planes = {
        band: ("", np.asarray(plane, np.float32), None, unit)
        for band, plane in zip(bands, array, strict=True)
    }
    return require_colours(picture(planes, pixel_scale, None))


def fitted_cutout(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return the cutout of an image, uint8 `(128, 128, 3)` at 0.396 arcsec per pixel.

    Arguments:
        pixels: Image, uint8 `(h, w, 3)`.
        pixel_scale: Scale of the image [arcsec/pixel].

    Raises:
        ValueError: The image is blank or grey, or covers less than 50.7 arcsec.
    """
    return require_colours(fitted(np.ascontiguousarray(pixels), pixel_scale))


def read_cutout(path, pixel_scale: float) -> np.ndarray:
    """Return the cutout in a JPEG or PNG, uint8 `(128, 128, 3)` at 0.396 arcsec per pixel.

    Arguments:
        path: Path, or an open file.
        pixel_scale: Scale of the image [arcsec/pixel].

    Raises:
        ValueError: The file is no colour image, is blank, or covers less than 50.7 arcsec.
    """
    return fitted_cutout(picture_pixels(path), pixel_scale)


class CutoutFolder:
    """Cutouts by id: ID.jpg, ID.jpeg or ID.png, or ID_i.fits, ID_r.fits and ID_g.fits.

    FITS files may be compressed (.fits.gz, .fits.fz) or end in .fit.

    Files are looked up one by one, because a folder may contain millions. An id cannot lead out of
    the folder. If a file cannot have the name of an id, as a/b, its percent-encoded form is used.

    Arguments:
        folder: Path of the folder.
        unit: Unit of fluxes per pixel, if the header does not give it.

    Raises:
        SurveyError: There is no such folder.
    """

    def __init__(self, folder: Path | str, unit: str = "nanomaggy"):
        self.folder, self.unit = user_path(folder, "the folder of cutouts", SurveyError), unit
        if not self.folder.is_dir():
            raise SurveyError(f"{self.folder} is no folder: give the folder of the cutouts")
        self.inside = self.folder.resolve()

    def find(self, name: str, suffix: str, endings) -> Path | None:
        """Return the file of a galaxy, or `None`.

        Arguments:
            name: Identifier of the galaxy.
            suffix: Text after the identifier, such as "_i".
            endings: Endings of the file, the preferred one first.
        """
        for end in [case for ending in endings for case in (ending, ending.upper())]:
            for stem in dict.fromkeys((name, quote(name, safe=""))):
                path = self.folder / f"{stem}{suffix}{end}"
                # Neither an id nor a link may lead out of the folder; a name may be too long.
                inside = path.parent == self.folder and os.path.isfile(path)
                if inside and path.resolve().is_relative_to(self.inside):
                    return path
        return None

    def cutout(self, object_id: str, pixel_scale: float, position) -> np.ndarray:
        """Return the cutout of a galaxy, uint8 `(128, 128, 3)`.

        Arguments:
            object_id: Identifier of the galaxy.
            pixel_scale: Scale of the cutouts [arcsec/pixel].
            position: Right ascension and declination of the galaxy [deg], NaN if unknown.

        Raises:
            ValueError: There is no cutout, or it cannot be used.
        """
        path = self.find(object_id, "", (".jpg", ".jpeg", ".png"))
        if path is not None:
            try:
                return read_cutout(path, pixel_scale)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        paths = {band: self.find(object_id, f"_{band}", FITS_ENDINGS) for band in "irg"}
        if absent := [band for band, one in paths.items() if one is None]:
            names = f"{object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
            names = names if len(absent) == 3 else f"{object_id}_{absent[0]}.fits"
            raise ValueError(f"{self.folder} has no {names}: add it, or leave the row out")
        planes = {band: fits_plane(one, self.unit) for band, one in paths.items()}
        return require_colours(picture(planes, pixel_scale, position))
