"""Cutouts from fluxes in bands, using their bands, units, masks and positions on the sky.

Fluxes are numbers per pixel, one plane per band, with the first row in the south, as in FITS. For
colour images the central 50.7 arcsec are resampled from the stated scale to 0.396 arcsec per pixel;
linear cutouts keep their fluxes and pixels. No band replaces another: planes in g, r and z cannot
be used for an image in i, r and g.
"""

import re
import threading
import warnings
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, lupton_rgb
from galcfm.survey.photometry import flux_unit

LARGEST_CUTOUT = 4096
# Tolerated fraction by which an image is too small; its scale is then wrong by this fraction.
SHORTFALL = 0.02
SAME_SCALE = 0.005
FIELD = IMAGE_SHAPE[0] * PIXEL_SCALE  # arcsec, width of a colour image
ONE_AT_A_TIME = threading.Lock()
# Largest distance of a galaxy from the centre of its cutout [arcsec]: catalogues differ by less,
# plus half a pixel of rounding. Simulated galaxies lie within half a pixel.
OFF_CENTRE = 3 * PIXEL_SCALE
BAND = re.compile(r"(?:.*[^A-Za-z])?([ugrizyY])")
# Pixels without a value are interpolated with a Gaussian of one pixel that ends at this distance
# from its centre [pixels].
REACH = 4
# Names of extensions that are not images, such as variances and masks.
NO_PICTURE = re.compile("(?i)ivar|invvar|var|err|sigma|rms|mask|nexp|wht|weight|psf|bkg|dq")


def bands_of(said, given=None, where: str = "the cutouts") -> list[str] | None:
    """Return the letters of the bands from a file or from the user, `None` if neither states them.

    Arguments:
        said: Bands that the file states, such as "griz", "g,r,i" or ["des-g", "des-r", "des-i"], or
            `None`.
        given: Bands that the user gives, in the same forms.
        where: Name of the file.

    Raises:
        ValueError: A name has no letter of ugrizy, the two differ, or i, r or g is missing.
    """
    letters = [_letters(bands) for bands in (said, given) if bands is not None]
    if not letters:
        return None
    if letters[0] != letters[-1]:
        raise ValueError(
            f"{where} states the bands {', '.join(letters[0])}, not {', '.join(letters[1])}: "
            "leave bands out, or correct the file"
        )
    if absent := [band for band in "irg" if band not in letters[0]]:
        raise ValueError(
            f"{where}: the bands {', '.join(letters[0])} do not include {', '.join(absent)}: image "
            "models need i, r and g; give these three, or leave the cutouts out and use photometry"
        )
    return letters[0]


def _letters(bands) -> list[str]:
    bands = bands.decode() if isinstance(bands, bytes) else bands
    if isinstance(bands, str):
        bands = list(bands) if bands.isalpha() else re.split(r"[\s,;]+", bands.strip(" ,;"))
    names = [b.decode() if isinstance(b, bytes) else str(b) for b in bands]
    found = [match[1] for name in names if (match := BAND.fullmatch(name.strip()))]
    if len(set(found)) < len(names):
        raise ValueError(f"the bands are {names}: give one letter of ugrizy each, such as 'griz'")
    return found


def fitted(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return the central part of an image on 128×128 pixels of 0.396 arcsec.

    Arguments:
        pixels: Colour image `(h, w, 3)` or band `(h, w)`.
        pixel_scale: Scale of the image [arcsec/pixel].

    Raises:
        ValueError: The image covers less than 50.7 arcsec.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    side = IMAGE_SHAPE[0]
    if abs(pixel_scale / PIXEL_SCALE - 1) < SAME_SCALE and min(height, width) >= side:
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
    needed = FIELD / pixel_scale
    _check_size(pixels, pixel_scale)
    box_w, box_h = min(needed, width), min(needed, height)
    left, top = (width - box_w) / 2, (height - box_h) / 2
    resized = Image.fromarray(pixels).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + box_w, top + box_h)
    )
    return np.array(resized)


def _check_size(
    pixels: np.ndarray, pixel_scale: float, needed: float = FIELD, shortfall: float = SHORTFALL
) -> None:
    height, width = pixels.shape[:2]
    covered = min(height, width) * pixel_scale
    if covered < (1 - shortfall) * needed:
        raise ValueError(
            f"{width}×{height} pixels of {pixel_scale:g} arcsec cover {covered:.1f} arcsec, but "
            f"{needed:.1f} are needed: cut out a wider field, or correct pixel_scale"
        )


def picture(planes: Mapping[str, tuple], pixel_scale: float, position) -> np.ndarray:
    """Return the colour image of planes, uint8 `(128, 128, 3)`.

    Arguments:
        planes: Dictionary by band of its name in messages, its plane `(h, w)`, its header or
            `None`, and its unit.
        pixel_scale: Scale of the planes [arcsec/pixel].
        position: Right ascension and declination of the galaxy [deg], NaN where not known.

    Raises:
        ValueError: A plane cannot be used.
    """
    # Interpolation keeps the surface brightness; the recipe needs the flux in an SDSS pixel.
    area = (PIXEL_SCALE / pixel_scale) ** 2

    def resampled(data: np.ndarray) -> np.ndarray:
        made = area * fitted(data, pixel_scale)
        if not np.isfinite(made).all():
            raise ValueError(
                f"the central {FIELD:.1f} arcsec have pixels without a value: fill them, or cut "
                "out a wider field"
            )
        return made

    planes, side = {band: planes[band] for band in "irg"}, 2 * int(FIELD / pixel_scale / 2)
    return lupton_rgb(*_aligned(planes, pixel_scale, position, side, (FIELD, SHORTFALL), resampled))


def linear_cutout(
    planes: Mapping[str, tuple], size: int | None, pixel_scale: float, position
) -> np.ndarray:
    """Return the linear cutout of planes in nanomaggies per pixel, float32 `(size, size, bands)`.

    Pixels without a value are interpolated from pixels at most `REACH` rows and columns away.

    Arguments:
        planes: Planes by band as in `picture`, NaN where a pixel has no value.
        size: Number of central pixels per side, by default of the smallest plane.
        pixel_scale, position: Arguments of `picture`.

    Raises:
        ValueError: A plane cannot be used.
    """
    planes = {band: (name, filled(data), *rest) for band, (name, data, *rest) in planes.items()}
    side = size or min(min(data.shape) for _, data, *_ in planes.values())

    def central(data: np.ndarray) -> np.ndarray:
        top, left = ((length - side) // 2 for length in data.shape)
        data = data[top : top + side, left : left + side]
        if n := np.count_nonzero(~np.isfinite(data)):
            raise ValueError(
                f"{n} of its {side}×{side} pixels are masked or have no value, with no measured "
                f"pixel within {REACH} rows and columns: cut out a wider field, or leave it out"
            )
        return data

    field = side * pixel_scale, 1e-6
    return np.stack(_aligned(planes, pixel_scale, position, side, field, central), axis=-1)


def filled(data: np.ndarray) -> np.ndarray:
    """Return a plane in which pixels without a value are interpolated, NaN where none is near."""
    good = np.isfinite(data)
    if good.all():
        return data
    from scipy.ndimage import gaussian_filter

    kernel = {"sigma": 1, "radius": REACH, "mode": "constant"}
    weights = gaussian_filter(good.astype(np.float64), **kernel)
    values = gaussian_filter(np.where(good, data, np.float64(0)), **kernel)
    near = np.where(weights > 0, values / np.maximum(weights, 1e-300), np.nan)
    return np.where(good, data, np.float32(near))


def _aligned(planes: Mapping, pixel_scale: float, position, side: int, field, keep: Callable):
    """Return the planes in nanomaggies per pixel, north up, with the first row in the north.

    Arguments:
        planes, pixel_scale, position: Arguments of `picture`.
        side: Number of rows and columns that are needed.
        field: Needed width [arcsec], and the tolerated fraction by which it is smaller.
        keep: Function from a plane with north up to the part that is kept.

    Raises:
        ValueError: A plane cannot be used.
    """
    made, middles = [], {}
    for name, data, header, unit in planes.values():
        try:
            data = data * np.float32(_nanomaggies(unit))
            if header is not None:
                data, middles[name] = _north_up(data, header, pixel_scale, position, side, field)
            _check_size(data, pixel_scale, *field)
            # FITS counts rows from the bottom, cutouts from the top.
            made.append(keep(np.ascontiguousarray(data[::-1])))
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if name else str(error)) from error
    _check_same_place(middles, pixel_scale)
    return made


def _check_same_place(middles: dict, pixel_scale: float) -> None:
    """Check that the centres of the bands agree to two pixels.

    Bands that are cut out at whole pixels of three frames differ by up to √2 pixels.

    Raises:
        ValueError: The centres differ, or only some bands have coordinates.
    """
    without = [name for name, place in middles.items() if place is None]
    if 0 < len(without) < len(middles):
        raise ValueError(
            f"{', '.join(without)} has no celestial coordinates: give them for all bands or none"
        )
    for (one, place), (other, its_place) in combinations(middles.items(), 2):
        apart = 0 if place is None else place.separation(its_place).arcsec
        if apart > 2 * max(PIXEL_SCALE, pixel_scale):
            raise ValueError(
                f"the centre of {other} is {_degrees(its_place)}, {apart:.1f} arcsec from "
                f"{_degrees(place)} of {one}: cut out all bands around one position"
            )


def _degrees(place) -> str:
    return f"ra, dec = {place.ra.deg:.5f}, {place.dec.deg:.5f}"


def _nanomaggies(unit: str) -> float:
    """Return the value of a unit, which may be per pixel, in nanomaggies."""
    from astropy import units as u

    flux = re.sub(r"(?i)\s*(/|\bper\b)\s*pix(els?)?$|[\s*.]*\bpix(el)?[\s^*(]*-1\)?$", "", unit)
    try:
        return flux_unit(flux or "nmgy").to(u.nmgy, equivalencies=u.zero_point_flux(3631 * u.Jy))
    except (u.UnitsError, ValueError, TypeError) as error:
        raise ValueError(
            f"it is in {unit!r}: convert it to nanomaggies or Jy per pixel and set BUNIT"
        ) from error


def fits_plane(path: Path, unit: str) -> tuple:
    """Return name, plane, header and unit of the first image in a FITS file of one band.

    Arguments:
        path: Path of the file.
        unit: Unit of the pixels, if neither the header of the image nor the primary header has
            BUNIT.

    Raises:
        ValueError: The file cannot be read, or has no usable image.
    """
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            images = [hdu for hdu in file if hdu.is_image and len(hdu.shape) > 1]
            pictures = (hdu for hdu in images if not NO_PICTURE.search(hdu.name))
            hdu = next(pictures, fits.PrimaryHDU())
            header, fault = hdu.header, _fault(hdu.shape)
            said = str(header.get("BUNIT", file[0].header.get("BUNIT", ""))).strip()
            data = None if fault else np.asarray(hdu.data, np.float32).reshape(hdu.shape[-2:])
    # Readers of damaged and compressed files raise several kinds of exceptions.
    except Exception as error:
        fault = "it cannot be read as FITS: write or download it again"
        raise ValueError(f"{path.name}: {fault}") from error
    if fault:
        raise ValueError(f"{path.name}: {fault}")
    return path.name, data, header, said or unit


def _fault(shape) -> str | None:
    """Return why an array of this shape cannot be a cutout in one band, `None` if it can."""
    if len(shape) < 2:
        return "it has no image with two dimensions: write an image into the file"
    if 0 in shape:
        return "its image has no pixels: cut it out again"
    if max(shape) > LARGEST_CUTOUT:
        return f"it is larger than {LARGEST_CUTOUT} pixels per side: cut out a smaller field"
    if max(shape[:-2], default=1) > 1:
        return "it is a cube: write only the plane of this band into the file"
    return None


def _north_up(data: np.ndarray, header, pixel_scale: float, position, side: int, field):
    """Return an image rotated to north up and east left, and the position of its centre.

    Rows run from south to north, columns from east to west; pixels outside the image are NaN.
    Without a celestial WCS the image is returned unchanged, with `None`. At least `side` rows and
    columns are returned if the image has them.

    Raises:
        ValueError: The position is invalid or differs from the galaxy, the pixel scale differs, or
            the image is smaller than `field`.
    """
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import proj_plane_pixel_scales

    # Height and width become even or odd like `side`, so that rotations by 90 degrees keep all
    # pixels on the grid.
    height, width = data.shape
    like = data[: height - (height - side) % 2, : width - (width - side) % 2]
    # All threads share the filters of warnings.
    with ONE_AT_A_TIME, warnings.catch_warnings():
        # astropy warns of headers with older conventions, which it corrects.
        warnings.simplefilter("ignore")
        wcs, middle = _middle(header, like.shape)
        if wcs is None:
            return data, None
        scales = 3600 * proj_plane_pixel_scales(wcs)
        if not (np.abs(scales / pixel_scale - 1) < 0.02).all():
            raise ValueError(
                f"its header states {scales[0]:.3f} × {scales[1]:.3f} arcsec per pixel, not "
                f"{pixel_scale:g}: correct pixel_scale, or the header"
            )
        place = SkyCoord(*position, unit="deg")
        # For large pixels, rounding to half a pixel exceeds `OFF_CENTRE`.
        if (apart := middle.separation(place).arcsec) > max(OFF_CENTRE, pixel_scale):
            raise ValueError(
                f"its centre is {_degrees(middle)}, {apart:.1f} arcsec from {_degrees(place)} of "
                "the row: cut it out around the galaxy, or correct the row"
            )
        _check_size(data, pixel_scale, *field)
        return _turned(like, wcs, middle, scales.mean(), min(*like.shape, side + 8)), middle


def _middle(header, shape):
    """Return the WCS of a header and the position of the centre; `None` without a celestial WCS.

    Raises:
        ValueError: The WCS cannot be read, or is not a projection of the sky.
    """
    from astropy.wcs import WCS

    height, width = shape
    try:
        wcs, sky = WCS(header, naxis=2), None
        if not wcs.has_celestial:
            return None, None
        axis = wcs.wcs.ctype[wcs.wcs.lng][:5]
        # astropy would convert ecliptic coordinates to equatorial coordinates.
        if axis in ("GLON-", "RA---"):
            sky = wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
    # The parser raises many kinds of exceptions for unusual headers.
    except Exception as error:
        raise ValueError("its world coordinates cannot be read: correct its header") from error
    if sky is None or not np.isfinite(sky.cartesian.xyz.value).all():
        raise ValueError(
            f"its world coordinates, {' and '.join(wcs.wcs.ctype)} {wcs.wcs.radesys}, are not a "
            "projection of equatorial or galactic coordinates: correct its header"
        )
    return wcs, sky


def _turned(data: np.ndarray, wcs, middle, scale: float, side: int) -> np.ndarray:
    """Return an image on pixels that run north and west around its centre, NaN outside the image.

    Arguments:
        data: Image `(h, w)`.
        wcs: WCS of the image.
        middle: Position of its centre.
        scale: Scale of the pixels [arcsec].
        side: Number of rows and columns of the result, even or odd like those of the image.
    """
    from astropy.wcs import WCS
    from astropy.wcs.utils import pixel_to_pixel
    from scipy.ndimage import map_coordinates, zoom

    straight = WCS(naxis=2)
    straight.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    straight.wcs.crval = [middle.ra.deg, middle.dec.deg]
    straight.wcs.crpix = [(side + 1) / 2] * 2
    straight.wcs.cdelt = [-scale / 3600, scale / 3600]
    # Positions vary smoothly: they are computed for every eighth pixel and interpolated, and
    # rounded so that positions on the edge count as within the image.
    row, column = np.meshgrid(*2 * [np.linspace(0, side - 1, 2 + side // 8)], indexing="ij")
    coarse = pixel_to_pixel(straight, wcs, column, row)[::-1]
    places = [np.round(zoom(x, side / len(x), order=1), 5) for x in coarse]
    gaps = ~np.isfinite(data)
    turned = map_coordinates(np.where(gaps, 0, data), places, order=3, cval=np.nan)
    if gaps.any():
        turned[map_coordinates(gaps.astype(np.float32), places, order=1) > 0] = np.nan
    return turned
