"""Is a galaxy like those that a model was trained on? A number between 0 and 1.

A flow answers whatever it is asked, also about a galaxy unlike all that it was trained on.
`TrainingRange` compares the features that a model sees of a galaxy with those of training
galaxies; held-out galaxies say how unusual the result is.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from torch import Tensor

from galcfm.posterior.inputs import ModelError, Observation
from galcfm.survey import Survey

LEVEL = 0.01  # share of galaxies like those of the training set that is flagged
N_NEIGHBOURS = 20
N_DIRECTIONS = 32
# Directions in which features vary less, relative to the widest one, hold rounding errors.
SMALLEST_SPREAD = 1e-5


@dataclass(frozen=True)
class TrainingRange:
    r"""Where training galaxies lie in a space of features, and how densely.

    Features are rotated to their principal directions, the widest 32 of them, and scaled to unit
    variance. The measure is a local outlier factor (Breunig et al. 2000, Proc. ACM SIGMOD, 93):
    the distance to the 20th nearest training galaxy over the mean of the same distance of these
    20 neighbours. It is about 1 inside, whether galaxies lie densely or sparsely there, and grows
    across an edge, such as that of a magnitude limit.

    Arguments:
        centre: mean of the training features, `(f,)`.
        directions: from features to scaled principal directions, `(f, k)`.
        points: training galaxies, `(m, k)`.
        spacing: distance of each to its 20th nearest neighbour, `(m,)`.
        held_out: the factor of held-out galaxies, in ascending order, `(h,)`.
    """

    centre: np.ndarray
    directions: np.ndarray
    points: np.ndarray
    spacing: np.ndarray
    held_out: np.ndarray

    @classmethod
    def fit(cls, training: np.ndarray, held_out: np.ndarray) -> "TrainingRange":
        """Describe training features `(n, f)`, calibrated on those of held-out galaxies `(h, f)`.

        Raises:
            ValueError: there are fewer than two training galaxies or none held out.
        """
        training, held_out = (np.asarray(x, np.float64) for x in (training, held_out))
        if len(training) < 2 or len(held_out) < 1:
            raise ValueError(
                f"{len(training)} training and {len(held_out)} held-out galaxies: at least two "
                "and one are needed"
            )
        centre = training.mean(0)
        _, spread, axes = np.linalg.svd(training - centre, full_matrices=False)
        spread = spread / np.sqrt(len(training))
        kept = np.flatnonzero(spread > SMALLEST_SPREAD * spread[0])[:N_DIRECTIONS]
        # In row order: safetensors writes the bytes as they lie.
        directions = np.ascontiguousarray(axes[kept].T / spread[kept])
        points = (training - centre) @ directions
        # A training galaxy is its own nearest neighbour.
        spacing = _neighbours(points, points, 1 + N_NEIGHBOURS)[0]
        found = cls(*(np.float32(x) for x in (centre, directions, points, spacing, [])))
        return replace(found, held_out=np.float32(np.sort(found.outlier_factor(held_out))))

    def outlier_factor(self, features: np.ndarray) -> np.ndarray:
        """Local outlier factor of features `(n, f)`, `(n,)`: about 1 inside, larger outside."""
        points = (np.asarray(features, np.float64) - self.centre) @ self.directions
        distance, neighbours = _neighbours(self.points, points, N_NEIGHBOURS)
        return distance / self.spacing[neighbours].mean(1).clip(1e-12)

    def share_farther(self, features: np.ndarray) -> np.ndarray:
        """Share of galaxies like those of the training set that lie at least as far out, `(n,)`.

        A conformal p-value (Bates et al. 2023, Ann. Statist. 51, 149): for galaxies like those of
        the training set, any value between 0 and 1 is equally likely. The smallest possible one
        is 1 / (h + 1).
        """
        n = len(self.held_out)
        nearer = np.searchsorted(self.held_out, np.float32(self.outlier_factor(features)))
        return (1 + n - nearer) / (1 + n)

    def is_outside(self, share_farther: np.ndarray, level: float = LEVEL) -> np.ndarray:
        """Whether galaxies of these shares are flagged, `(n,)`.

        So is a share `level` of galaxies like those of the training set. Where the held-out
        galaxies are too few for that, those are that lie farther out than all of them.
        """
        return share_farther <= max(level, 1 / (1 + len(self.held_out)))


@dataclass(frozen=True, eq=False)
class RangeOfBands:
    """Ranges of galaxies of which bands are missing: each is compared by what is measured of it.

    A galaxy without u is compared with the training galaxies as they are without u. So the share
    `LEVEL` of galaxies like those is flagged, whatever they lack.

    Arguments:
        training: Measured features of training galaxies, NaN where there is none, `(m, f)`.
        held_out: The same of held-out galaxies, `(h, f)`.
    """

    training: np.ndarray
    held_out: np.ndarray

    def share_farther(self, features: np.ndarray) -> np.ndarray:
        """As `TrainingRange.share_farther`; 0 where no training galaxies have the same bands."""
        shares = np.zeros(len(features))
        measured = ~np.isnan(features)
        for pattern in np.unique(measured, axis=0):
            rows, known = (measured == pattern).all(1), _range_in(self, tuple(pattern))
            if known is not None:
                shares[rows] = known.share_farther(features[rows][:, pattern])
        return shares

    is_outside = TrainingRange.is_outside


@lru_cache(maxsize=64)
def _range_in(known: RangeOfBands, measured: tuple[bool, ...]) -> TrainingRange | None:
    """Return the range in some features, unless too few training galaxies have all of them."""
    columns = np.flatnonzero(measured)
    training, held_out = (
        x[~np.isnan(x[:, columns]).any(1)][:, columns] for x in (known.training, known.held_out)
    )
    return TrainingRange.fit(training, held_out) if len(training) > 1 and len(held_out) else None


def reference_rows(n: int) -> np.ndarray:
    """Row numbers of those of `n` galaxies that a range is made of: at most 5,000, evenly."""
    return np.linspace(0, n - 1, min(n, 5000)).astype(int)


def _neighbours(tree: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the kth nearest of `tree (m, d)`, `(n,)`, and which the k are, `(n, k)`."""
    distances, rows = cKDTree(tree).query(points, range(1, 1 + min(k, len(tree))), workers=-1)
    return distances[:, -1], rows


def fit_range(posterior, training: Survey, held_out: Survey) -> None:
    """Remember where training galaxies lie, so that `out_of_range` can compare others.

    Arguments:
        training: Galaxies of the training split.
        held_out: Similar galaxies that were not trained on, usually the validation split.
    """
    known, others = (
        _parts(posterior, posterior.encode_survey(survey.select(reference_rows(len(survey)))))
        for survey in (training, held_out)
    )
    posterior.ranges = {
        part: RangeOfBands(known[part], others[part])
        if posterior.missing_bands and part == "photometry"
        else TrainingRange.fit(known[part], others[part])
        for part in known
    }


def out_of_range(
    posterior, magnitudes, images=None, *, redshift=None, magnitude_errors=None
) -> pd.DataFrame:
    """Return how unlike the training galaxies each galaxy is, in photometry and in its image.

    Photometry means all photometric features of the model, redshift and magnitude errors
    included where it uses them, and of bands those that are measured; an image is compared by
    what the encoder makes of it. Outside the range of its training a model extrapolates, and
    its posteriors mean little.

    Arguments:
        magnitudes, images, redshift, magnitude_errors: As `encode` takes them.
        level: Share of galaxies like those of the training set that may be flagged.

    Returns:
        One row per galaxy: `photometry_p`, the share of held-out galaxies that lie at least as
        far out; `photometry_outside`, the flag; for an image model also `image_p` and
        `image_outside`.

    Raises:
        ModelError: The input does not fit the model, or the model knows no range.
    """
    if np.ndim(redshift) == 2:
        raise ModelError("redshift has several values a galaxy: give one, e.g. the median")
    if not posterior.ranges:
        raise ModelError("this model does not know its training range: train it again")
    observation = Observation(magnitudes, images, redshift, magnitude_errors)
    return out_of_range_from(posterior, posterior.encode_observation(observation))


def out_of_range_from(posterior, condition: Tensor) -> pd.DataFrame:
    """Return what `out_of_range` does, for conditions `(n, c)`."""
    columns = {}
    for part, features in _parts(posterior, condition).items():
        if part in posterior.ranges:
            share = posterior.ranges[part].share_farther(features)
            outside = posterior.ranges[part].is_outside(share)
            columns |= {f"{part}_p": share, f"{part}_outside": outside}
    return pd.DataFrame(columns)


def _parts(posterior, condition: Tensor) -> dict[str, np.ndarray]:
    """The parts of the condition `[f_img, f_phot]` that are not empty."""
    n_image = condition.shape[1] - len(posterior.features)
    parts = {"photometry": condition[:, n_image:].numpy(), "image": condition[:, :n_image].numpy()}
    if posterior.missing_bands:
        raw = parts["photometry"] * posterior.feature_std.numpy() + posterior.feature_mean.numpy()
        parts["photometry"] = posterior.features.measured(raw)
    return {part: x for part, x in parts.items() if x.shape[1]}
