"""What a cutout looks like, in numbers, and samples of cutouts made comparable.

The morphological statistics are those of the statmorph package (Rodriguez-Gomez et al. 2019, MNRAS
483, 4140): concentration, asymmetry and smoothness (Conselice 2003, ApJS 147, 1), Gini and M20
(Lotz, Primack & Madau 2004, AJ 128, 163). They are taken from the picture as it is, stretch and
all, for real and simulated cutouts alike.
"""

import warnings

import numpy as np
import pandas as pd
from scipy import ndimage, optimize

from galcfm.survey.images import decode_jpeg, encode_jpeg

__all__ = ["GROUPS", "enlarge", "light_and_radius", "match_pairs", "measure", "resample_cutout"]

GROUPS = {
    "shape": (
        "concentration", "asymmetry", "smoothness", "gini", "m20", "size", "ellipticity",
    ),
    "colour": ("red", "blue", "gradient"),
    "background": ("sky", "noise", "correlation", "neighbours"),
}  # fmt: skip
COLLECTION_QUALITY = 92  # of the JPEGs in which the real cutouts came
SMOOTHING = 2.0  # pixels, of the picture in which objects are looked for
THRESHOLD = 5.0  # of an object above the sky, in standard deviations of the smoothed picture


def resample_cutout(image: np.ndarray, zoom: float) -> np.ndarray:
    """The middle of a cutout, `zoom` times enlarged to its own size by cubics, as uint8.

    Arguments:
        image: uint8 `(128, 128, 3)`.
        zoom: enlargement, at least 1.
    """
    from PIL import Image

    size = len(image)
    start, end = size / 2 * (1 - 1 / zoom), size / 2 * (1 + 1 / zoom)
    return np.array(
        Image.fromarray(image).transform(
            (size, size), Image.Transform.EXTENT, (start, start, end, end), Image.Resampling.BICUBIC
        )
    )


def enlarge(images: np.ndarray, radii: np.ndarray, seed: int = 0) -> np.ndarray:
    """Cutouts enlarged to half-light radii drawn from `radii`, never made smaller, as new JPEGs.

    SkyServer scales its pictures so when it is asked for the size of the galaxy; what noise and
    stars look like then depends on the enlargement. The real cutouts were saved twice, by SkyServer
    and again at quality 92: so are these.

    Arguments:
        images: uint8 `(n, h, h, 3)`.
        radii: of the sample to be like, pixels, `(m,)`.
        seed: of the draw.
    """
    wanted = np.random.default_rng(seed).choice(radii, len(images))
    zooms = np.maximum(wanted / light_and_radius(images)[:, 1].clip(1), 1)
    return np.stack(
        [
            _saved_again(decode_jpeg(encode_jpeg(resample_cutout(*pair))))
            for pair in zip(images, zooms, strict=True)
        ]
    )


def _saved_again(image: np.ndarray) -> np.ndarray:
    return decode_jpeg(encode_jpeg(image, COLLECTION_QUALITY))


def light_and_radius(images: np.ndarray) -> np.ndarray:
    """Light of the galaxy in the middle and its half-light radius, `(n, 2)`.

    Arguments:
        images: uint8 `(n, h, h, 3)`.

    Returns:
        log10 of the sum above the sky in the mean of the channels, and pixels.
    """
    found = []
    for image in images:
        grey, galaxy, _, empty, distance = _segments(image)
        found.append(_light_and_radius(grey - np.median(grey[empty]), galaxy, distance))
    return np.array(found)


def match_pairs(real: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """For each real galaxy a simulated one of its own, such that all are as alike as can be.

    Arguments:
        real: what is to be matched, `(n, d)`, as of `light_and_radius`.
        simulated: the same of at least as many others, `(m, d)`.

    Returns:
        Row numbers of the simulated galaxies, `(n,)`.
    """
    distance = (real[:, None] - simulated[None]) / real.std(axis=0)
    return optimize.linear_sum_assignment((distance**2).sum(axis=-1))[1]


def measure(images: np.ndarray) -> pd.DataFrame:
    """Fourteen statistics of each cutout, a row a cutout: the columns of `GROUPS`.

    Arguments:
        images: uint8 `(n, h, h, 3)`, channels i, r, g; `h` is even.

    Returns:
        Of the galaxy in the mean of the channels, each 2×2 pixels one: `concentration`,
        `asymmetry`, `smoothness`, `gini`, `m20`, `size` (half-light radius along the major axis,
        in such pixels) and `ellipticity`; of its channels: `red` and `blue`, ln of the first and
        of the last over the middle one, and `gradient`, ln of the first over the last within
        0.6 half-light radii less that beyond 1.4; of the rest: `sky`, its mean, `noise`, its
        standard deviation, `correlation` of the noise in neighbouring pixels, and `neighbours`,
        the number of other objects.
    """
    import statmorph

    rows = []
    for image in images:
        grey, galaxy, others, empty, distance = _segments(image)
        pixels = image.astype(float)
        channels = pixels - pixels[empty].mean(axis=0)
        sky = grey[empty].mean()
        light = grey - sky
        noise = light[empty].std()
        # In half as many pixels statmorph is four times as fast, and enlarged cutouts lose nothing.
        stranger = (_binned(others > 0) > 0) & (_binned(galaxy) < 0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape = statmorph.SourceMorphology(
                np.where(stranger, 0, _binned(light)),
                (_binned(galaxy) >= 0.5).astype(int),
                1,
                mask=stranger,
                weightmap=np.full(stranger.shape, noise),
            )
        _, radius = _light_and_radius(light, galaxy, distance)
        whole, inner, outer = (
            np.log(np.maximum(channels[where].sum(axis=0), 1))
            for where in (
                galaxy,
                galaxy & (distance < 0.6 * radius),
                galaxy & (distance > 1.4 * radius),
            )
        )
        rows.append(
            {
                **{name: getattr(shape, name) for name in GROUPS["shape"][:5]},
                "size": shape.rhalf_ellip,
                "ellipticity": shape.ellipticity_asymmetry,
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


def _segments(image: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean of the channels; where the galaxy in the middle is; numbers of the other objects, from
    1; where nothing is, near the border; and distances from the middle. Each `(h, h)`."""
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
    """log10 of the light in the galaxy and its half-light radius in pixels."""
    order = np.argsort(distance[galaxy])
    growth = light[galaxy][order].cumsum()
    total = max(growth[-1], 1.0)
    return np.log10(total), float(np.interp(0.5 * total, growth, distance[galaxy][order]))


def _binned(image: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels."""
    size = len(image) // 2
    return image.reshape(size, 2, size, 2).mean(axis=(1, 3))


def _correlation(light: np.ndarray, empty: np.ndarray) -> float:
    """Mean product of neighbouring pixels where nothing is."""
    pairs = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))
    return float(np.mean([(light[a] * light[b])[empty[a] & empty[b]].mean() for a, b in pairs]))
