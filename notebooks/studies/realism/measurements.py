"""Measurements on cutouts, and simulated cutouts made comparable with real ones.

The morphological statistics are those of the statmorph package (Rodriguez-Gomez et al. 2019, MNRAS
483, 4140): concentration, asymmetry and smoothness (Conselice 2003, ApJS 147, 1), Gini and M20
(Lotz, Primack & Madau 2004, AJ 128, 163). They are measured on the image as it is, stretch
included, for real and simulated cutouts alike.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from galcfm.survey.images import decode_jpeg, encode_jpeg
from studies.frame import rows_of

GROUPS = rows_of(dict, Path(__file__).with_suffix(".yaml"))
COLLECTION_QUALITY = 92  # of the JPEGs in which the real cutouts came
SMOOTHING = 2.0  # pixels, of the image in which objects are looked for
THRESHOLD = 5.0  # of an object above the sky, in standard deviations of the smoothed image


def resample_cutout(image: np.ndarray, zoom: float) -> np.ndarray:
    """Return the middle of a cutout, enlarged to the size of the cutout by cubics, as uint8.

    Arguments:
        image: Cutout, uint8 `(128, 128, 3)`.
        zoom: Enlargement, at least 1.
    """
    from PIL import Image

    size = len(image)
    start, end = size / 2 * (1 - 1 / zoom), size / 2 * (1 + 1 / zoom)
    return np.array(
        Image.fromarray(image).transform(
            (size, size), Image.Transform.EXTENT, (start, start, end, end), Image.Resampling.BICUBIC
        )
    )


def enlarge(images: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return cutouts enlarged to half-light radii drawn from `radii`, never reduced, as new JPEGs.

    SkyServer scales its images in this way when it is asked for the size of the galaxy; the look of
    noise and stars then depends on the enlargement. The real cutouts were saved twice, by SkyServer
    and again at quality 92, and so are these.

    Arguments:
        images: Cutouts, uint8 `(n, h, h, 3)`.
        radii: Half-light radii of the sample to be like, pixels, `(m,)`.
    """
    wanted = np.random.default_rng(0).choice(radii, len(images))
    zooms = np.maximum(wanted / light_and_radius(images)[:, 1].clip(1), 1)
    saved = (
        decode_jpeg(encode_jpeg(resample_cutout(*pair))) for pair in zip(images, zooms, strict=True)
    )
    return np.stack([decode_jpeg(encode_jpeg(image, COLLECTION_QUALITY)) for image in saved])


def light_and_radius(images: np.ndarray) -> np.ndarray:
    """Return the light of the galaxy in the middle and its half-light radius, `(n, 2)`.

    Arguments:
        images: Cutouts, uint8 `(n, h, h, 3)`.

    Returns:
        log10 of the sum above the sky in the mean of the channels, and pixels.
    """
    found = []
    for image in images:
        grey, galaxy, _, empty, distance = _segments(image)
        found.append(_light_and_radius(grey - np.median(grey[empty]), galaxy, distance))
    return np.array(found)


def measure(images: np.ndarray) -> pd.DataFrame:
    """Return the fourteen measurements of `GROUPS`, one row per cutout.

    Arguments:
        images: Cutouts, uint8 `(n, h, h, 3)`, channels i, r, g; `h` is even.

    Returns:
        Of the galaxy in the mean of the channels, binned by 2×2 pixels: `concentration`,
        `asymmetry`, `smoothness`, `gini`, `m20`, `size` (half-light radius along the major axis,
        in binned pixels) and `ellipticity`. Of its channels: `red` and `blue`, ln of the first and
        of the last over the middle channel, and `gradient`, ln of the first over the last channel
        within 0.6 half-light radii minus the same beyond 1.4. Of the rest of the cutout: `sky`, its
        mean, `noise`, its standard deviation, `correlation` of the noise in neighbouring pixels,
        and `neighbours`, the number of other objects.
    """
    rows = []
    for image in images:
        grey, galaxy, others, empty, distance = _segments(image)
        pixels = image.astype(float)
        channels = pixels - pixels[empty].mean(axis=0)
        sky = grey[empty].mean()
        light = grey - sky
        noise = light[empty].std()
        _, radius = _light_and_radius(light, galaxy, distance)
        regions = galaxy, galaxy & (distance < 0.6 * radius), galaxy & (distance > 1.4 * radius)
        whole, inner, outer = (
            np.log(np.maximum(channels[region].sum(axis=0), 1)) for region in regions
        )
        rows.append(
            {
                **_shape(light, galaxy, others, noise),
                "red": whole[0] - whole[1],
                "blue": whole[2] - whole[1],
                "gradient": (inner[0] - inner[2]) - (outer[0] - outer[2]),
                "sky": sky,
                "noise": noise,
                "correlation": _correlation(light, empty) / max(noise, 1e-9) ** 2,
                "neighbours": others.max(),
            }
        )
    return pd.DataFrame(rows)


def _shape(
    light: np.ndarray, galaxy: np.ndarray, others: np.ndarray, noise: float
) -> dict[str, float]:
    """Return statmorph's measurements of the galaxy, the group `shape`."""
    import statmorph

    # In half as many pixels statmorph is four times as fast, and enlarged cutouts lose nothing.
    masked = (_binned(others > 0) > 0) & (_binned(galaxy) < 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = statmorph.SourceMorphology(
            np.where(masked, 0, _binned(light)),
            (_binned(galaxy) >= 0.5).astype(int),
            1,
            mask=masked,
            weightmap=np.full(masked.shape, noise),
        )
    names = {name: name for name in GROUPS["shape"]}
    names |= {"size": "rhalf_ellip", "ellipticity": "ellipticity_asymmetry"}
    return {name: getattr(found, attribute) for name, attribute in names.items()}


def _segments(image: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the objects of a cutout, each array `(h, h)`.

    Returns:
        Mean of the channels; where the galaxy in the middle is; numbers of the other objects, from
        1; where nothing is, near the border; and distances from the middle in pixels.
    """
    grey = image.mean(axis=-1)
    size = len(grey)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(x, y)
    border = np.maximum(np.abs(x), np.abs(y)) > size * 5 / 16
    smooth = ndimage.gaussian_filter(grey, SMOOTHING)
    low, sky = np.percentile(smooth[border], [16, 50])
    objects, _ = ndimage.label(smooth > sky + THRESHOLD * max(sky - low, 0.5))
    middle = objects[size // 2, size // 2]
    galaxy = objects == middle if middle else distance < size / 16
    others, _ = ndimage.label((objects > 0) & ~galaxy)
    empty = border & ~ndimage.binary_dilation(objects > 0, iterations=4)
    if empty.sum() < 200:
        empty = border & ~galaxy if (border & ~galaxy).any() else border
    return grey, galaxy, others, empty, distance


def _light_and_radius(light, galaxy, distance) -> tuple[float, float]:
    """Return log10 of the light in the galaxy and its half-light radius in pixels."""
    order = np.argsort(distance[galaxy])
    growth = light[galaxy][order].cumsum()
    total = max(growth[-1], 1.0)
    return np.log10(total), float(np.interp(0.5 * total, growth, distance[galaxy][order]))


def _binned(image: np.ndarray) -> np.ndarray:
    """Return the means of 2×2 pixels."""
    size = len(image) // 2
    return image.reshape(size, 2, size, 2).mean(axis=(1, 3))


def _correlation(light: np.ndarray, empty: np.ndarray) -> float:
    """Return the mean product of neighbouring pixels where nothing is."""
    pairs = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))
    return float(np.mean([(light[a] * light[b])[empty[a] & empty[b]].mean() for a, b in pairs]))
