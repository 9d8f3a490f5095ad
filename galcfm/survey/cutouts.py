"""Cutouts from anywhere, on the pixels of a survey."""

import os
import re
import warnings
from itertools import combinations
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from galcfm.images import IMAGE_SHAPE, PIXEL_SCALE, lupton_rgb
from galcfm.survey.rules import SurveyError

__all__ = [
    "CutoutFolder",
    "collect_cutouts",
    "fitted_cutout",
    "read_cutout",
    "warn_of_reversed_channels",
]

# A picture may be this much too small: its scale is then off by as much.
SHORTFALL = 0.02
SAME_SCALE = 0.005
LARGEST_CUTOUT = 4096
FEWEST_COLOURS = 20  # galaxies whose colours are compared with those of their cutouts
SMALLEST_TURN = 0.02  # rad
# Names of a FITS file, the plainest first.
FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fit.fz")
# A galaxy may be this far from the middle of its cutout [arcsec]: catalogues differ by less, and
# the half pixels of rounding come on top. The simulated ones lie within half a pixel.
OFF_CENTRE = 3 * PIXEL_SCALE


def collect_cutouts(cutouts, pixel_scale, object_id, positions, reasons, where) -> np.ndarray:
    """Cutouts of the rows without a reason so far; those that fail get one.

    Positions are `(n, 2)`, ra and dec [deg], NaN where a row has none. `cutouts` may be a function
    of the row, which raises `ValueError` where it has none.
    """
    if callable(cutouts):
        read = cutouts
    elif isinstance(cutouts, str | os.PathLike):
        folder = CutoutFolder(cutouts)

        def read(row):
            return folder.cutout(object_id[row], pixel_scale, positions[row])
    else:
        stack, mask = _stack(cutouts, len(object_id), where)

        def read(row):
            if np.any(mask[row]):
                raise ValueError("has masked pixels: fill them in the array given as cutouts")
            return fitted_cutout(stack[row], pixel_scale)

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


def _stack(cutouts, n: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures given as an array, uint8 `(n, height, width, 3)`, and which pixels are masked."""
    try:
        stack = np.asarray(cutouts)
    # RuntimeError: tensors that are being trained.
    except (ValueError, TypeError, RuntimeError) as error:
        raise SurveyError(
            "the cutouts are no array: give uint8 (n, height, width, 3), or a folder where "
            "their sizes differ"
        ) from error
    if stack.ndim != 4 or stack.shape[3] != 3 or stack.dtype != np.uint8:
        raise SurveyError(
            f"the cutouts are {stack.dtype} {stack.shape}: uint8 (n, height, width, 3) with "
            f"channels i, r, g is needed: {_remedy(stack)}"
        )
    if len(stack) != n:
        raise SurveyError(f"{len(stack)} cutouts for {n} rows of {where}: one a row is needed")
    # Of numpy's and astropy's masked arrays, both of which asarray strips.
    mask = getattr(cutouts, "mask", False) if isinstance(cutouts, np.ndarray) else False
    return stack, np.broadcast_to(mask, stack.shape)


def _remedy(stack: np.ndarray) -> str:
    """What to do with an array that is not one of pictures."""
    kind = stack.dtype.kind
    if stack.size and isinstance(stack.flat[0], str):
        return "give the folder that holds the files"
    if stack.ndim == 1 and kind == "O":
        return "pass np.stack(list(cutouts)), or a folder where their sizes differ"
    if stack.ndim == 4 and stack.shape[3] != 3 and stack.shape[1] == 3:
        return "pass np.moveaxis(np.asarray(cutouts), 1, 3)"
    if stack.ndim == 4 and stack.shape[3] == 4:
        return "pass cutouts[..., :3] if the fourth channel is opacity"
    if stack.ndim != 4 or stack.shape[3] != 3 or kind not in "uif" or not stack.size:
        return "give such an array, or a folder of JPEG, PNG or FITS files"
    low, high = stack.min(), stack.max()
    if not (low >= 0 and high <= 255):
        return "give a folder of FITS files in nanomaggies if these are fluxes"
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
    """Cutouts by id: ID.jpg, ID.jpeg, ID.png, or ID_i.fits, ID_r.fits and ID_g.fits.

    FITS files may be packed (.fits.gz, .fits.fz) or end in .fit.

    Names are looked up in the list of the folder's own files, so that an id can never lead out of
    it. Where a file cannot have the name of an id, as with a/b, its percent-encoded form does.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
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

    def cutout(self, object_id: str, pixel_scale: float, position) -> np.ndarray:
        path = self.find(object_id, "", (".jpg", ".jpeg", ".png"))
        if path is not None:
            try:
                return read_cutout(path, pixel_scale)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        bands = {band: self.find(object_id, f"_{band}", FITS_ENDINGS) for band in "irg"}
        absent = [band for band, path in bands.items() if path is None]
        if len(absent) == 3:
            cube = self.find(object_id, "", FITS_ENDINGS)
            raise ValueError(
                f"{self.folder} has no {object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
                + (f"; split {cube.name} into these" if cube else "")
            )
        if absent:
            raise ValueError(f"{self.folder} has no {object_id}_{absent[0]}.fits")
        # Interpolation keeps the surface brightness; the recipe wants the flux of an SDSS pixel.
        area = (PIXEL_SCALE / pixel_scale) ** 2
        planes, places = [], {}
        for path in bands.values():
            try:
                plane, places[path.name] = _fits_band(path, pixel_scale, position)
                planes.append(area * _fitted(plane, pixel_scale))
                if not np.isfinite(planes[-1]).all():
                    raise ValueError(
                        f"pixels without a value lie within the {IMAGE_SHAPE[0] * PIXEL_SCALE:.1f} "
                        "arcsec that are needed, north up: fill them, or cut out a wider field"
                    )
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        _check_same_place(places, pixel_scale)
        return _checked(lupton_rgb(*planes))


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


def _fits_band(path: Path, pixel_scale: float, position) -> tuple[np.ndarray, np.ndarray | None]:
    """Image of a file, nanomaggies a pixel, north up and east left, and ra, dec of its middle.

    Without a celestial WCS the first row is taken to be in the south, the first column in the
    east, and the place is `None`.

    Raises:
        ValueError: no such image, or not that of the galaxy at this position.
    """
    data, header, unit = _fits_plane(path)
    data = data * np.float32(_nanomaggies(unit))
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


def _fits_plane(path: Path) -> tuple[np.ndarray, object, str]:
    """The first image of two dimensions in a FITS file, float32, its header and its BUNIT.

    Further dimensions may have length 1.
    """
    from astropy.io import fits

    trouble, data = "it holds no image of two dimensions: write one into it", None
    try:
        with fits.open(path, memmap=False) as file:
            unit = file[0].header.get("BUNIT", "")
            for plane in file:
                shape = plane.shape if plane.is_image else ()
                if len(shape) < 2:
                    continue
                if 0 in shape:
                    trouble = "its image has no pixels: cut it out again"
                elif max(shape[:-2], default=1) > 1:
                    size = "×".join(map(str, shape[::-1]))
                    trouble = f"it is a cube of {size}: write the plane of this band alone into it"
                elif max(shape) > LARGEST_CUTOUT:
                    trouble = f"it is larger than {LARGEST_CUTOUT} pixels a side: cut it smaller"
                else:
                    data, header = np.asarray(plane.data, np.float32), plane.header
                    unit = header.get("BUNIT", unit)
                    break
    # Readers of damaged and packed files raise half a dozen kinds.
    except Exception as error:
        raise ValueError("it is not readable FITS: write or download it again") from error
    if data is None:
        raise ValueError(trouble)
    return data.reshape(data.shape[-2:]), header, str(unit).strip()


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
