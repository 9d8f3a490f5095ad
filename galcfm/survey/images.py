"""Galaxy cutouts: the colour recipe of SDSS, JPEG files, and checks of cutouts.

A cutout is a uint8 array `(128, 128, 3)` with channels i, r, g (shown as red, green, blue) at
0.396 arcsec/pixel.
"""

import io

import numpy as np

IMAGE_SHAPE = (128, 128, 3)
PIXEL_SCALE = 0.396  # arcsec

# Constants of the colour images of SDSS frames (sdss_frame_jpg of the photoop pipeline, which calls
# djs_rgb_make of idlutils): factors for i, r and g in nanomaggies per pixel, and the nonlinearity.
RGB_SCALES = (2.0, 2.6, 3.6)
RGB_NONLINEARITY = 2.25
# Quality of SkyServer: the coefficients of 200 of its cutouts, although they were saved again at
# quality 92 by their collectors, are multiples of the quantisation tables of this quality.
JPEG_QUALITY = 75


def lupton_rgb(i, r, g) -> np.ndarray:
    r"""Return the colour image of three bands by the recipe of SDSS frames.

    The inputs :math:`i' = 2 i`, :math:`r' = 2.6 r` and :math:`g' = 3.6 g`, set to zero where they
    are negative, share one asinh stretch of their sum, so that the colour does not depend on
    brightness (Lupton et al. 2004, PASP 116, 133). With :math:`R = i' + r' + g'`, each is
    multiplied by :math:`\operatorname{asinh}(2.25 R) / (2.25 R)`. A pixel with a channel above 1
    is then divided by its largest channel.

    Arguments:
        i: Sky-subtracted image in i, nanomaggies per pixel of 0.396 arcsec, :math:`(*, h, w)`.
        r: Image in r, with the same unit and shape.
        g: Image in g, with the same unit and shape.

    Returns:
        Colour image, uint8 :math:`(*, h, w, 3)`, channels i, r, g.
    """
    rgb = np.stack([i, r, g])
    rgb *= np.asarray(RGB_SCALES, dtype=rgb.dtype).reshape(3, *[1] * (rgb.ndim - 1))
    np.maximum(rgb, 0, out=rgb)
    stretched = np.maximum(RGB_NONLINEARITY * (rgb[0] + rgb[1] + rgb[2]), 1e-12)
    rgb *= np.arcsinh(stretched) / stretched
    rgb *= 256 / np.maximum(np.maximum(np.maximum(rgb[0], rgb[1]), rgb[2]), 1)
    image = np.minimum(rgb, 255, out=rgb).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))


def encode_jpeg(image: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """Return the JPEG of an image, uint8 `(h, w, 3)`; subsampling is 4:2:0, as for SkyServer."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Return the pixels of a JPEG, uint8 `(h, w, 3)`.

    Raises:
        ValueError: The bytes are not a complete JPEG.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        found = "cut short or damaged" if data[:3] == b"\xff\xd8\xff" else f"{bytes(data[:4])!r}…"
        raise ValueError(f"it is not a readable JPEG ({found}): download it again") from error


def picture_pixels(picture) -> np.ndarray:
    """Return the pixels of a JPEG or PNG, uint8 `(height, width, 3)`, rotated as EXIF states.

    Arguments:
        picture: Path, open file, or image that Pillow has open.

    Raises:
        ValueError: The image is damaged, grey or transparent, or is not RGB with 8 bits.
    """
    from PIL import Image, ImageOps

    is_open = isinstance(picture, Image.Image)
    try:
        with picture if is_open else Image.open(picture, formats=["JPEG", "PNG"]) as opened:
            stored, turned = str(getattr(opened, "tile", "")), ImageOps.exif_transpose(opened)
    # Readers of damaged files raise several kinds of exceptions.
    except Exception as error:
        raise ValueError("it is not a readable JPEG or PNG: write or download it again") from error
    # Pillow keeps only the upper byte of RGB;16B and similar modes.
    if ";16" in stored:
        raise ValueError(
            "it has 16 bits per channel: write it with 8 bits, stretched from 0 to 255 for display"
        )
    # Mode P has a palette, which may contain colours.
    if turned.mode not in ("RGB", "RGBA", "P"):
        raise ValueError(f"it has mode {turned.mode}: write it in colour, mode RGB")
    if turned.has_transparency_data and turned.convert("RGBA").getextrema()[3][0] < 255:
        raise ValueError("it has transparent pixels: write it in mode RGB without transparency")
    return np.array(turned.convert("RGB"))


def verify_jpeg(data: bytes) -> None:
    """Check that the bytes are a complete 128×128 colour JPEG that is not blank.

    Raises:
        ValueError: The bytes are not a JPEG or incomplete, or the image has another size, is grey
            or blank.
    """
    decode_jpeg(data)  # Its message describes the damage.
    pixels = picture_pixels(io.BytesIO(data))
    if pixels.shape != IMAGE_SHAPE:
        height, width = pixels.shape[:2]
        raise ValueError(f"the JPEG has {width}×{height} pixels: give a cutout of 128×128")
    require_colours(pixels)


def require_colours(pixels: np.ndarray) -> np.ndarray:
    """Return the image after a check that it has colours.

    Raises:
        ValueError: The image is blank or grey, like the images with which servers report errors.
    """
    if np.ptp(pixels) < 8:
        raise ValueError("it is blank: the survey has no image at this position")
    if (pixels == pixels[:, :, :1]).all():
        raise ValueError("it is grey, with three equal channels: give a colour image")
    return pixels
