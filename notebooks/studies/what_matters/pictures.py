"""Surveys with altered images or fewer galaxies."""

import numpy as np
from scipy import ndimage

from galcfm.posterior import galaxy_seeds
from galcfm.survey import Survey
from galcfm.survey.images import PIXEL_SCALE

CHANNELS = {"only i": 0, "only r": 1, "only g": 2}
PICTURES = ("as they are", "grey", *CHANNELS, "blurred", "another galaxy's")
BLUR = 2.0  # arcsec, standard deviation: wider than any bar, ring or arm of most galaxies


def altered(survey: Survey, pictures: str) -> Survey:
    """Return a survey with altered images.

    Arguments:
        survey: Survey with images.
        pictures: One of `PICTURES`: `"grey"` puts the mean of the channels into each; `"only r"`
            puts one channel into each; `"blurred"` smooths by a Gaussian of `BLUR`, which leaves
            light and colours; `"another galaxy's"` gives each galaxy the image of another one of
            its split.

    Raises:
        ValueError: There are no such images.
    """
    if pictures not in PICTURES:
        known = ", ".join(PICTURES)
        raise ValueError(f"no altered images called {pictures!r}: choose from {known}")
    if pictures == "as they are":
        return survey
    if pictures == "another galaxy's":
        key, order = galaxy_seeds(survey.object_id, 0), np.arange(len(survey))
        for rows in survey.catalogue.groupby("split").indices.values():
            rows = rows[np.argsort(key[rows])]
            order[rows] = np.roll(rows, 1)
        images = np.asarray(survey.images)[order]
    else:
        images = np.empty(survey.images.shape, np.uint8)
        for start in range(0, len(images), 256):
            rows = slice(start, start + 256)
            images[rows] = np.rint(_altered(np.array(survey.images[rows]), pictures))
    return Survey(survey.catalogue, images, survey.parameters, survey.name)


def _altered(images: np.ndarray, pictures: str) -> np.ndarray:
    """Return images of three channels, or of one that is put into each, not rounded."""
    if pictures == "blurred":
        sigma = BLUR / PIXEL_SCALE
        # As floats: the filter rounds down after each axis.
        smooth = images.astype(np.float32)
        return ndimage.gaussian_filter(smooth, (0, sigma, sigma, 0), mode="nearest")
    if pictures == "grey":
        return images.mean(axis=-1, keepdims=True)
    return images[..., [CHANNELS[pictures]]]


def fewer(survey: Survey, n_train: int) -> Survey:
    """Return a survey with only the first galaxies of its training split; with all for 0."""
    train = np.flatnonzero(survey.catalogue["split"].to_numpy() == "train")
    if not n_train or n_train >= len(train):
        return survey
    kept = np.ones(len(survey), dtype=bool)
    kept[train[n_train:]] = False
    return survey.select(np.flatnonzero(kept))
