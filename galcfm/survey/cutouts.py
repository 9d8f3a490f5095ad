"""Users' cutouts on the pixels of a survey: colour images, or fluxes in bands.

Colour images are uint8, with the first row in the north and channels last; `galcfm.survey.sky`
makes colour images from fluxes in bands i, r and g. The central 50.7 arcsec are resampled from the
stated scale to 0.396 arcsec per pixel, regardless of the size of the cutout. Linear cutouts keep
the fluxes of any bands, float32, and their own pixels.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from urllib.parse import quote

import numpy as np

from galcfm.paths import user_path
from galcfm.properties import Declaration, LinearCutouts, checked_bands
from galcfm.survey.images import picture_pixels, require_colours
from galcfm.survey.rules import SurveyError, require_booleans
from galcfm.survey.sky import SAME_SCALE, bands_of, fits_plane, fitted, linear_cutout, picture

# Endings of a FITS file; uncompressed files are preferred.
FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fit.fz")
# Names of the cutouts in HDF5 files.
STACKS = ("image_array", "images", "image", "cutouts", "cutout")


@dataclass(frozen=True)
class Cutouts:
    """Cutouts with bands and unit that the files do not state, or linear cutouts.

    Linear cutouts keep fluxes in nanomaggies per pixel, any bands and their own pixels. Pixels that
    are masked, not finite, or have an inverse variance of 0 are interpolated from their neighbours;
    a cutout with pixels that have no measured pixel within 4 rows and columns is refused. The first
    row is in the south, as in FITS; the survey stores it last.

    Example:
        ::

            cutouts = Cutouts("legacy.h5", bands="griz")  # fluxes in nanomaggies per pixel
            survey = Survey.from_table(..., cutouts=cutouts, pixel_scale=0.262)

            rows = datasets.load_dataset("MultimodalUniverse/legacysurvey")["train"].to_pandas()
            cutouts = Cutouts(rows["image"], bands="grz", linear=True, size=96)
            survey = Survey.from_table(rows, ..., cutouts=cutouts, pixel_scale=0.262)

    Arguments:
        source: Fluxes `(n, bands, height, width)` or images, uint8 `(n, height, width, 3)`, one per
            row, as an array, or as a list if their sizes differ; a dict or HDF5 group of cutouts by
            `object_id`; or the path of an HDF5 file with such an array under one of the names in
            `STACKS`, and with `object_id` if it is ordered differently than the rows. Linear
            cutouts may also be records of the Multimodal Universe, with `band`, `flux` and, if
            known, `ivar`, `mask` (true where a pixel is usable) and `scale`; or the path of a
            folder with ID_BAND.fits.
        bands: Bands of planes or channels in their order, such as `"griz"`, if the file does not
            state them. For linear cutouts the bands to keep, which must be given; `"g"` is also the
            band that a record or file calls `"des-g"`.
        unit: Unit of the fluxes per pixel, nanomaggies or a unit of flux such as
            `"0.01585 nanomaggy"`, if the files do not state it.
        linear: Whether the survey keeps linear cutouts instead of colour images.
        size: Number of central pixels per side that linear cutouts keep, by default all pixels of
            the first usable cutout.
    """

    source: object
    bands: str | Sequence[str] | None = None
    unit: str = "nanomaggy"
    linear: bool = False
    size: int | None = None

    def __post_init__(self):
        require_booleans(SurveyError, linear=self.linear)
        whole = isinstance(self.size, Integral) and self.size > 0
        if self.size is not None and not (whole and self.linear):
            raise SurveyError(
                f"size is {self.size!r}: give a whole number of pixels, at least 1, of linear "
                "cutouts, or leave size out"
            )


def collect_cutouts(
    cutouts, pixel_scale, object_id, positions, reasons, where, declaration: Declaration
) -> tuple:
    """Return the cutouts of the rows that are usable so far; rows without a cutout get a reason.

    Arguments:
        cutouts: Cutouts as in `Survey.from_table`.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        object_id: Identifiers, `(n,)`.
        positions: Right ascension and declination [deg], `(n, 2)`, NaN where not known.
        reasons: Reasons why each row cannot be used, one list per row; new reasons are added.
        where: Name of the table.
        declaration: What the table has.

    Returns:
        Cutouts, uint8 `(m, 128, 128, 3)` or linear, and the declaration with linear cutouts.

    Raises:
        SurveyError: None of the cutouts can be used.
    """
    given = cutouts if isinstance(cutouts, Cutouts) else Cutouts(cutouts)
    images, n, n_rows = None, 0, sum(not reason for reason in reasons)
    with ExitStack() as files:
        try:
            bands = checked_bands(given.bands or (), "Cutouts") if given.linear else None
            read = _reader(given, bands, pixel_scale, object_id, where, files)
        except (OSError, ValueError) as error:
            raise SurveyError(str(error)) from error
        for row, reason in enumerate(reasons):
            if reason:
                continue
            try:
                size = given.size if images is None else images.shape[1]
                image = read(row, positions[row], size)
                if images is None:
                    images = np.empty((n_rows, *image.shape), image.dtype)
                images[n] = image
                n += 1
            except ValueError as error:
                reasons[row].append(f"cutout: {error}")
            except OSError as error:
                reasons[row].append(f"cutout: it is damaged ({error}): write it again")
    if images is None:
        return None, declaration
    if given.linear:
        linear = LinearCutouts(bands, images.shape[1], pixel_scale)
        declaration = replace(declaration, cutouts=linear)
    return images[:n], declaration


def _reader(given: Cutouts, bands, scale, object_id, where: str, files: ExitStack) -> Callable:
    """Return a function from row, position and size to a cutout, for any kind of source."""
    source, unit, names = given.source, given.unit, None
    stated = bands or bands_of(given.bands)
    if isinstance(source, str | os.PathLike):
        path = user_path(source, "the path of the cutouts")
        if not path.is_file():
            if stated != bands:
                raise ValueError("files in a folder state bands in their names: leave bands out")
            folder = CutoutFolder(path, unit)
            return lambda row, position, size: folder.cutout(
                object_id[row], scale, position, bands, size
            )
        source, names, stated, unit = _opened(path, given, stated, files)

    def cutout(key, size):
        if bands is not None:
            return linear_of(source[key], bands, size, scale, unit, stated)
        return _of_array(source[key], stated, unit, scale)

    if isinstance(source, Mapping):
        # A survey stores numeric identifiers as text.
        key_of = {str(key): key for key in source}
    elif names is not None:
        key_of = {name: row for row, name in enumerate(names)}
    elif len(source) == len(object_id):
        source = getattr(source, "iloc", source)
        return lambda row, _, size: cutout(row, size)
    else:
        raise ValueError(
            f"{len(source)} cutouts for {len(object_id)} rows of {where}: give one per row, or a "
            "dict of them by object_id"
        )

    def read(row, _, size):
        if object_id[row] not in key_of:
            raise ValueError(f"there is none for {object_id[row]}: add it, or leave the row out")
        return cutout(key_of[object_id[row]], size)

    return read


def _opened(path: Path, given: Cutouts, bands, files: ExitStack) -> tuple:
    """Return cutouts, identifiers or `None`, bands and unit from an HDF5 file."""
    import h5py

    try:
        file = files.enter_context(h5py.File(path, "r"))
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as HDF5: give an HDF5 file, an array (numpy.load reads .npy), "
            "or a folder with an image or FITS files for each galaxy"
        ) from error
    name = next((name for name in STACKS if name in file), None)
    if name is None:
        raise ValueError(
            f"{path} contains {', '.join(file)[:200]}: rename the cutouts to {STACKS[0]}, or give "
            "their dataset or group instead of the path"
        )
    stated = file[name].attrs.get("bands")
    if not given.linear:
        bands = bands_of(stated, bands, str(path))
    elif stated is not None:
        bands = list(stated.decode() if isinstance(stated, bytes) else stated)
    names = file.get("object_id")
    if names is not None:
        names = [k.decode() if isinstance(k, bytes) else str(k) for k in names[()].tolist()]
    return file[name], names, bands, file[name].attrs.get("unit", given.unit)


def linear_of(
    cell, bands: Sequence[str], size: int | None, pixel_scale: float, unit: str, stated
) -> np.ndarray:
    """Return the linear cutout of a record or of an array of fluxes, see `linear_cutout`.

    Arguments:
        cell: Record of the Multimodal Universe, a list of such records with one band each, or
            fluxes `(bands, height, width)`.
        bands, size: Bands of the cutout, and its number of pixels per side.
        pixel_scale: Scale of the pixels [arcsec/pixel].
        unit: Unit of the fluxes.
        stated: Bands of the planes of an array.

    Raises:
        ValueError: The cutout cannot be used.
    """
    record = cell.as_py() if hasattr(cell, "as_py") else cell
    try:
        if isinstance(record, list | np.ndarray) and len(record) and isinstance(record[0], Mapping):
            record = {part: [each[part] for each in record] for part in record[0]}
        if not isinstance(record, Mapping):
            mask = getattr(record, "mask", None)
            usable = None if mask is None else np.logical_not(mask)
            record = {"band": stated, "flux": record, "mask": usable}
        record = {part: values for part, values in record.items() if values is not None}
        names = [b.decode() if isinstance(b, bytes) else str(b) for b in record["band"]]
        # Some data sets of the Multimodal Universe call the fluxes "array".
        flux = _numbers(record["flux" if "flux" in record else "array"])
        usable = [_numbers(record[part]) for part in ("mask", "ivar") if part in record]
        scales = _numbers(record.get("scale", pixel_scale)).ravel()
        if flux.ndim != 3 or len(flux) != len(names) or not flux.size:
            raise ValueError(f"its fluxes are {flux.shape} for {len(names)} bands")
        for good in usable:
            flux = np.where(np.broadcast_to(good > 0, flux.shape), flux, np.float32(np.nan))
    # RuntimeError: tensors that require gradients.
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            "it is neither fluxes (bands, height, width), one plane per band, nor a record of the "
            f"Multimodal Universe with band and flux, and mask and ivar of the same shape ({error})"
        ) from error
    for scale in scales:
        if not abs(scale / pixel_scale - 1) < SAME_SCALE:
            raise ValueError(
                f"it states {scale:.3f} arcsec per pixel, not {pixel_scale:g}: correct "
                "pixel_scale, or leave the row out"
            )
    planes = {}
    for band in bands:
        # The Multimodal Universe calls g "des-g" or "HSC-G".
        ending = f"-{band}".lower()
        places = [k for k, name in enumerate(names) if f"-{name}".lower().endswith(ending)]
        places = [names.index(band)] if names.count(band) == 1 else places
        if len(places) != 1:
            raise ValueError(
                f"it has the bands {', '.join(names)}, of which {len(places)} are {band}: give "
                "one plane per band"
            )
        planes[band] = "", flux[places[0]], None, unit
    return linear_cutout(planes, size, pixel_scale, None)


def _numbers(values) -> np.ndarray:
    """Return an array of nested lists, or of arrays in arrays, as data sets store them."""
    array = np.asarray(values)
    if array.dtype == object and array.ndim:
        array = np.stack([_numbers(each) for each in array])
    return array.astype(np.float32)


def _of_array(cutout, bands, unit: str, pixel_scale: float) -> np.ndarray:
    """Return the cutout from an array: an image, uint8 `(h, w, 3)`, or fluxes `(bands, h, w)`."""
    # An image of Pillow may have another mode than RGB.
    cutout = picture_pixels(cutout) if hasattr(cutout, "getexif") else cutout
    try:
        array = np.asarray(cutout)
    # RuntimeError: tensors that require gradients.
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError("it is not an array of numbers: give a NumPy array") from error
    if np.any(getattr(cutout, "mask", False)):
        raise ValueError("it has masked pixels: fill them in the array given as cutouts")
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        if bands is not None and len(bands) == 3:
            array = array[..., [bands.index(band) for band in "irg"]]
        return fitted_cutout(array, pixel_scale)
    is_flux = array.ndim == 3 and array.dtype.kind in "iuf" and array.size
    if not is_flux or bands is None or len(array) != len(bands):
        raise ValueError(
            f"it is {array.dtype} {array.shape}: give an image, uint8 (height, width, 3), with "
            "channels i, r, g, e.g. np.round(255 * x).astype(np.uint8); or fluxes (bands, height, "
            "width) with their bands, as cutouts=Cutouts(…, bands='gri')"
        )
    planes = {
        band: ("", np.asarray(plane, np.float32), None, unit)
        for band, plane in zip(bands, array, strict=True)
    }
    return require_colours(picture(planes, pixel_scale, None))


def fitted_cutout(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return the cutout from a colour image, uint8 `(128, 128, 3)` at 0.396 arcsec per pixel.

    Arguments:
        pixels: Colour image, uint8 `(h, w, 3)`.
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
        ValueError: The file is not a colour image, is blank, or covers less than 50.7 arcsec.
    """
    return fitted_cutout(picture_pixels(path), pixel_scale)


class CutoutFolder:
    """Folder of cutouts by identifier.

    A cutout is ID.jpg, ID.jpeg or ID.png, or the three files ID_i.fits, ID_r.fits and ID_g.fits,
    which may be compressed (.fits.gz, .fits.fz) or end in .fit. Files are looked up one by one,
    since a folder may contain millions. An identifier never leads out of the folder. If a file
    cannot be named by an identifier, such as a/b, it is named by the percent-encoded form.

    Arguments:
        folder: Path of the folder.
        unit: Unit of the fluxes per pixel, if the header does not state it.

    Raises:
        SurveyError: The folder does not exist.
    """

    def __init__(self, folder: Path | str, unit: str = "nanomaggy"):
        self.folder, self.unit = user_path(folder, "the folder of cutouts", SurveyError), unit
        if not self.folder.is_dir():
            raise SurveyError(f"{self.folder} is not a folder: give the folder of the cutouts")
        self.inside = self.folder.resolve()

    def find(self, name: str, suffix: str, endings) -> Path | None:
        """Return the file of a galaxy, or `None`.

        Arguments:
            name: Identifier of the galaxy.
            suffix: Text after the identifier, such as "_i".
            endings: Endings of the file in the order of preference.
        """
        for end in [case for ending in endings for case in (ending, ending.upper())]:
            for stem in dict.fromkeys((name, quote(name, safe=""))):
                path = self.folder / f"{stem}{suffix}{end}"
                # Neither an identifier nor a link may lead out of the folder; `isfile` is false for
                # names that are too long.
                inside = path.parent == self.folder and os.path.isfile(path)
                if inside and path.resolve().is_relative_to(self.inside):
                    return path
        return None

    def cutout(
        self, object_id: str, pixel_scale: float, position, bands=None, size: int | None = None
    ) -> np.ndarray:
        """Return the cutout of a galaxy, uint8 `(128, 128, 3)` or linear.

        Arguments:
            object_id: Identifier of the galaxy.
            pixel_scale: Scale of the cutouts [arcsec/pixel].
            position: Right ascension and declination of the galaxy [deg], NaN where not known.
            bands, size: Bands of a linear cutout, and its number of pixels per side.

        Raises:
            ValueError: The cutout is missing or cannot be used.
        """
        path = None if bands else self.find(object_id, "", (".jpg", ".jpeg", ".png"))
        if path is not None:
            try:
                return read_cutout(path, pixel_scale)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        paths = {band: self.find(object_id, f"_{band}", FITS_ENDINGS) for band in bands or "irg"}
        if absent := [band for band, one in paths.items() if one is None]:
            names = f"{object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
            names = names if not bands and len(absent) == 3 else f"{object_id}_{absent[0]}.fits"
            raise ValueError(f"{self.folder} has no {names}: add it, or leave the row out")
        planes = {band: fits_plane(one, self.unit) for band, one in paths.items()}
        if bands:
            return linear_cutout(planes, size, pixel_scale, position)
        return require_colours(picture(planes, pixel_scale, position))
