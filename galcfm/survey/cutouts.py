"""Cutouts from anywhere, on the pixels of a survey."""

import os
import re
import warnings
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from galcfm.images import IMAGE_SHAPE, PIXEL_SCALE, lupton_rgb
from galcfm.survey.rules import SurveyError

__all__ = ["collect_cutouts", "read_cutout", "warn_of_reversed_channels"]

# A picture may be this much too small: its scale is then off by as much.
SHORTFALL = 0.02
SAME_SCALE = 0.005
LARGEST_CUTOUT = 4096
FEWEST_COLOURS = 20  # galaxies whose colours are compared with those of their cutouts
SMALLEST_TURN = 0.02  # rad


def collect_cutouts(cutouts, pixel_scale, object_id, reasons, where) -> np.ndarray:
    """Cutouts of the rows without a reason so far; those that fail get one."""
    if isinstance(cutouts, str | os.PathLike):
        folder = _Folder(cutouts)

        def read(row):
            return folder.cutout(object_id[row], pixel_scale)
    else:
        try:
            stack = cutouts if isinstance(cutouts, np.ndarray) else np.asarray(cutouts)
        except (ValueError, TypeError) as error:
            raise SurveyError(
                "the cutouts are no array: give uint8 (n, height, width, 3), or a folder where "
                "their sizes differ"
            ) from error
        if stack.ndim != 4 or stack.shape[3] != 3 or stack.dtype != np.uint8:
            raise SurveyError(
                f"the cutouts are {stack.dtype} {stack.shape}: uint8 (n, height, width, 3) with "
                "channels i, r, g is needed"
            )
        if len(stack) != len(object_id):
            raise SurveyError(
                f"{len(stack)} cutouts for {len(object_id)} rows of {where}: one a row is needed"
            )

        def read(row):
            return _checked(_fitted(np.ascontiguousarray(stack[row]), pixel_scale))

    images = np.empty((sum(not reason for reason in reasons), *IMAGE_SHAPE), np.uint8)
    n = 0
    for row, reason in enumerate(reasons):
        if reason:
            continue
        try:
            images[n] = read(row)
            n += 1
        except ValueError as error:
            reasons[row].append(f"cutout: {error}")
    return images[:n]


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


def read_cutout(path: Path | str, pixel_scale: float) -> np.ndarray:
    """Cutout in a JPEG or PNG file, uint8 `(128, 128, 3)` at 0.396 arcsec a pixel.

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


class _Folder:
    """Cutouts by id: ID.jpg, ID.jpeg, ID.png, or ID_i.fits, ID_r.fits and ID_g.fits.

    Names are looked up in the list of the folder's own files, so that an id can never lead out of
    it. Where a file cannot have the name of an id, as with a/b, its percent-encoded form does.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SurveyError(f"{self.folder} is no folder: give the one that holds the cutouts")
        inside = self.folder.resolve()
        self.files = {}
        for entry in os.scandir(self.folder):
            # A link out of the folder is not followed.
            if entry.is_file() and Path(entry.path).resolve().is_relative_to(inside):
                name = Path(entry.name)
                self.files[name.stem + name.suffix.lower()] = Path(entry.path)

    def find(self, object_id: str, ending: str) -> Path | None:
        return self.files.get(object_id + ending) or self.files.get(
            quote(object_id, safe="") + ending
        )

    def cutout(self, object_id: str, pixel_scale: float) -> np.ndarray:
        for ending in (".jpg", ".jpeg", ".png"):
            path = self.find(object_id, ending)
            if path is not None:
                try:
                    return read_cutout(path, pixel_scale)
                except ValueError as error:
                    raise ValueError(f"{path.name}: {error}") from error
        bands = {band: self.find(object_id, f"_{band}.fits") for band in "irg"}
        absent = [band for band, path in bands.items() if path is None]
        if len(absent) == 3:
            cube = self.find(object_id, ".fits")
            raise ValueError(
                f"{self.folder} has no {object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
                + (f"; split {cube.name} into these" if cube else "")
            )
        if absent:
            raise ValueError(f"{self.folder} has no {object_id}_{absent[0]}.fits")
        # Interpolation keeps the surface brightness; the recipe wants the flux of an SDSS pixel.
        area = (PIXEL_SCALE / pixel_scale) ** 2
        planes = [
            area * _fitted(_fits_band(path, pixel_scale), pixel_scale) for path in bands.values()
        ]
        if not np.isfinite(planes).all():
            raise ValueError(f"{bands['i'].name} or its other bands have pixels without a value")
        return _checked(lupton_rgb(*planes))


def _fits_band(path: Path, pixel_scale: float) -> np.ndarray:
    """Image in the first extension that has one, nanomaggies a pixel, north up and east left.

    Without a celestial WCS the first row is taken to be in the south, the first column in the east.
    """
    from astropy import units as u
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            plane = next((h for h in file if h.is_image and h.header.get("NAXIS") == 2), None)
            if plane is None:
                raise ValueError(f"{path.name} holds no image of two dimensions")
            if max(plane.shape) > LARGEST_CUTOUT:
                raise ValueError(f"{path.name} is larger than {LARGEST_CUTOUT} pixels a side")
            data, header = np.asarray(plane.data, np.float32), plane.header
    except (OSError, TypeError, KeyError, fits.VerifyError) as error:
        raise ValueError(f"{path.name} is not readable FITS") from error
    unit = re.sub(r"\s*(/\s*pix(el)?|pix(el)?\^?-1)$", "", str(header.get("BUNIT", "")).strip())
    if unit.lower() not in ("", "nanomaggy", "nanomaggies", "nmgy"):
        try:
            data = data * np.float32(u.Unit(unit).to(u.Jy) / 3631e-9)
        except (u.UnitsError, ValueError, TypeError) as error:
            raise ValueError(
                f"{path.name} is in {unit!r}: nanomaggies or Jy a pixel are needed"
            ) from error
    try:
        data = _north_up(data, header, pixel_scale)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    # FITS counts rows from the bottom, pictures from the top.
    return np.ascontiguousarray(data[::-1])


def _north_up(data: np.ndarray, header, pixel_scale: float) -> np.ndarray:
    """The image turned, or mirrored, until rows run north and columns west; NaN outside it."""
    from astropy.wcs import WCS
    from scipy.ndimage import affine_transform

    with warnings.catch_warnings():
        # astropy about headers of older conventions, which it corrects.
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header)
        # Any header may come, and its parser raises what it likes.
        except Exception as error:
            raise ValueError("its world coordinates cannot be read") from error
    if not wcs.has_celestial:
        return data
    # Steps to the east and north for a step along columns and rows, in pixels of `pixel_scale`.
    steps = wcs.celestial.pixel_scale_matrix * 3600 / pixel_scale
    own_scales = np.linalg.svd(steps, compute_uv=False)
    if not (np.abs(own_scales - 1) < 0.02).all():
        raise ValueError(
            f"its header says {own_scales[0] * pixel_scale:.3f} × "
            f"{own_scales[1] * pixel_scale:.3f} arcsec a pixel, not {pixel_scale:g}"
        )
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
        raise ValueError("it has pixels without a value, and cannot be turned north up")
    return affine_transform(
        data, turn, centre - turn @ centre, order=3, mode="constant", cval=np.nan
    )
