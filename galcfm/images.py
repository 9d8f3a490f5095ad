"""Galaxy cutouts: SkyServer's colour recipe, JPEG, and what makes a cutout usable.

A cutout is a uint8 array `(128, 128, 3)` with channels i, r, g (shown as red, green, blue) at
0.396 arcsec/pixel.
"""

import io

import numpy as np

__all__ = [
    "IMAGE_SHAPE",
    "PIXEL_SCALE",
    "RGB_OFFSET",
    "RGB_Q",
    "RGB_SCALES",
    "RGB_STRETCH",
    "decode_jpeg",
    "encode_jpeg",
    "lupton_rgb",
    "verify_jpeg",
]

IMAGE_SHAPE = (128, 128, 3)
PIXEL_SCALE = 0.396  # arcsec

# SkyServer's constants: factors for i, r and g, and an offset in nanomaggies per pixel. The stretch
# is quoted as 0.2311; only divided by a pixel's area in arcsec² does it give the sky level (3 of
# 255), the noise and the central brightness of real cutouts, and so it is used.
RGB_SCALES = (1.0, 1.5, 2.5)
RGB_OFFSET = 0.02
RGB_STRETCH = 0.2311 / PIXEL_SCALE**2
RGB_Q = 4.6227
JPEG_QUALITY = 92


def lupton_rgb(i, r, g) -> np.ndarray:
    r"""Colour image of three bands by the recipe of SkyServer.

    The inputs :math:`i`, :math:`1.5 r` and :math:`2.5 g`, each plus 0.02 nanomaggies, share one
    asinh stretch of their mean, so that colour does not depend on brightness (Lupton et al.
    2004, PASP 116, 133); the result is that of `astropy.visualization.make_lupton_rgb` with
    `minimum=0, stretch=RGB_STRETCH, Q=RGB_Q`, for whole stacks of images.

    Arguments:
        i: sky-subtracted image in nanomaggies per pixel, :math:`(*, h, w)`.
        r: as `i`.
        g: as `i`.

    Returns:
        uint8 :math:`(*, h, w, 3)`, channels i, r, g.
    """
    rgb = np.stack([i, r, g], axis=-1) * np.asarray(RGB_SCALES, dtype=np.result_type(i))
    rgb += RGB_OFFSET
    intensity = rgb.mean(axis=-1, keepdims=True)
    slope = 0.1 * 255 / np.arcsinh(0.1 * RGB_Q)
    positive = np.maximum(intensity, 1e-12)
    rgb *= np.where(
        intensity > 0, np.arcsinh(positive * (RGB_Q / RGB_STRETCH)) * slope / positive, 0
    )
    np.maximum(rgb, 0, out=rgb)
    brightest = rgb.max(axis=-1, keepdims=True)
    # In this order a saturated channel is exactly 255.
    rgb /= np.maximum(brightest, 255)
    rgb *= 255
    return rgb.astype(np.uint8)


def encode_jpeg(image: np.ndarray) -> bytes:
    """JPEG of a uint8 `(h, w, 3)` image: quality 92, chroma halved (4:2:0), as SkyServer's."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Pixels of a JPEG, uint8 `(h, w, 3)`.

    Raises:
        ValueError: the bytes are not a JPEG, or not a whole one.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        found = "cut short or damaged" if data[:3] == b"\xff\xd8\xff" else f"{bytes(data[:4])!r}…"
        raise ValueError(f"not a readable JPEG ({found}): download the cutout again") from error


def verify_jpeg(data: bytes) -> None:
    """Check that the bytes are a whole 128×128 colour JPEG with something on it.

    Raises:
        ValueError: says what is wrong: no JPEG, cut short, of another size, grey, blank, or no sky.
    """
    from PIL import Image

    pixels = decode_jpeg(data)
    with Image.open(io.BytesIO(data)) as image:
        mode = image.mode
    if mode != "RGB":
        raise ValueError(f"the JPEG has mode {mode}, a colour (RGB) cutout is needed")
    if pixels.shape != IMAGE_SHAPE:
        height, width = pixels.shape[:2]
        raise ValueError(f"the JPEG is {width}×{height} pixels, a 128×128 cutout is needed")
    if np.ptp(pixels) < 8:
        raise ValueError("the JPEG is blank: the survey has no image at this position")
    if (pixels == pixels[:, :, :1]).all():
        raise ValueError("the JPEG has no colour at all, as pictures of error messages have")
