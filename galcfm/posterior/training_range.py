"""Test whether a galaxy is like the training galaxies of a model; results are p-values.

A flow returns a posterior for any input, including a galaxy unlike all training galaxies.
`TrainingRange` compares the input features of a galaxy with the training galaxies, and
held-out galaxies calibrate how unusual the result is. Some galaxies of another kind lie among the
training galaxies in these features. `QuiescentClass` therefore tests whether a galaxy looks more
like quiescent galaxies, for which a model of star-forming galaxies gives far too high a star
formation rate.

Share of galaxies flagged by the published photometry models: by `TrainingRange` at the level 0.01,
by `TrainingRange` at the level 0.02, and by both tests at 0.01 each, which has about the same rate
of false alarms as the second (`python benchmarks/quiescent.py`):

    ===================  ============  =====  =====  =====
    galaxies             model given   0.01   0.02   both
    ===================  ============  =====  =====  =====
    simulated quiescent  photometry     65 %   74 %   94 %
    simulated quiescent  redshift too   61 %   72 %   96 %
    simulated forming    photometry    0.8 %  2.0 %  1.5 %
    simulated forming    redshift too  0.9 %  2.0 %  1.8 %
    real quiescent       photometry     65 %   71 %   81 %
    real quiescent       redshift too   64 %   74 %   87 %
    real forming         photometry     21 %   25 %   22 %
    real forming         redshift too   23 %   28 %   25 %
    ===================  ============  =====  =====  =====

The real galaxies are 330 quiescent ones (specific star formation rates below 1e-11 per year) and
170 with emission lines of star formation, at z < 0.055, with fluxes of the NASA-Sloan Atlas and
rates of GSWLC-X2 (Salim et al. 2018, ApJ 859, 11).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from torch import Tensor

from galcfm.posterior.inputs import ModelError, Observation
from galcfm.properties import BANDS
from galcfm.survey import Survey

LEVEL = 0.01  # share of galaxies like the training galaxies that is flagged
N_NEIGHBOURS = 20
N_DIRECTIONS = 32
# Directions with less spread than this, relative to the widest one, contain rounding errors.
SMALLEST_SPREAD = 1e-5
# Magnitudes, errors and redshifts of 2,000 simulated galaxies, written by benchmarks/quiescent.py.
QUIESCENT = Path(__file__).with_name("quiescent.parquet")
QUIET = -11.0  # log10 of the specific star formation rate per year; quiescent galaxies lie below
RARE = 0.02  # largest share of quiescent galaxies in a training set of star-forming galaxies
OTHERS = "for other galaxies its posteriors mean nothing"
# Models trained by earlier versions lack this sentence.
UNKNOWN = f"Trained on galaxies that model.json does not describe: {OTHERS}."


@dataclass(frozen=True)
class TrainingRange:
    r"""Region and density of training galaxies in a space of features.

    Features are rotated to their principal directions, of which the widest 32 are kept, and scaled
    to unit variance. The measure is a local outlier factor (Breunig et al. 2000, Proc. ACM SIGMOD,
    93): the distance to the 20th nearest training galaxy, divided by the mean of the same distance
    of these 20 neighbours. It is about 1 inside, in dense as in sparse regions, and grows across an
    edge, such as a magnitude limit.

    Arguments:
        centre: Mean of the training features, `(f,)`.
        directions: Matrix from features to scaled principal directions, `(f, k)`.
        points: Training galaxies, `(m, k)`.
        spacing: Distance of each training galaxy to its 20th nearest neighbour, `(m,)`.
        held_out: Outlier factors of held-out galaxies, in ascending order, `(h,)`.
    """

    centre: np.ndarray
    directions: np.ndarray
    points: np.ndarray
    spacing: np.ndarray
    held_out: np.ndarray

    @classmethod
    def fit(cls, training: np.ndarray, held_out: np.ndarray) -> "TrainingRange":
        """Return the range of training features `(n, f)`, calibrated on held-out features `(h, f)`.

        Raises:
            ValueError: There are fewer than two training galaxies or no held-out galaxy.
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
        directions = axes[kept].T / spread[kept]
        points = (training - centre) @ directions
        # A training galaxy is its own nearest neighbour.
        spacing = _neighbours(points, points, 1 + N_NEIGHBOURS)[0]
        found = cls(*(np.float32(x) for x in (centre, directions, points, spacing, [])))
        return replace(found, held_out=np.float32(np.sort(found.outlier_factor(held_out))))

    def outlier_factor(self, features: np.ndarray) -> np.ndarray:
        """Return the local outlier factor of features `(n, f)`, shape `(n,)`: about 1 inside."""
        points = (np.asarray(features, np.float64) - self.centre) @ self.directions
        distance, neighbours = _neighbours(self.points, points, N_NEIGHBOURS)
        return distance / self.spacing[neighbours].mean(1).clip(1e-12)

    def share_farther(self, features: np.ndarray) -> np.ndarray:
        """Return the share of galaxies like the training set that lie at least as far out, `(n,)`.

        This is a conformal p-value (Bates et al. 2023, Ann. Statist. 51, 149): for galaxies like
        the training galaxies it is uniform between 0 and 1. The smallest possible value is
        1 / (h + 1).
        """
        n = len(self.held_out)
        nearer = np.searchsorted(self.held_out, np.float32(self.outlier_factor(features)))
        return (1 + n - nearer) / (1 + n)

    def is_outside(self, share_farther: np.ndarray, level: float = LEVEL) -> np.ndarray:
        """Return whether galaxies with these shares are flagged, `(n,)`.

        A share `level` of galaxies like the training galaxies is flagged. If there are too few
        held-out galaxies for this level, galaxies that lie farther out than all of them are
        flagged.
        """
        return share_farther <= max(level, 1 / (1 + len(self.held_out)))


@dataclass(frozen=True, eq=False)
class QuiescentClass:
    r"""Test how quiescent a galaxy looks, compared with star-forming training galaxies.

    Both classes are taken as normal distributions of the photometric features with the same
    covariance :math:`S`, the mean of both covariances. The logarithm of the ratio of their
    densities is then :math:`x^T S^{-1} (m_q - m_t)` plus a constant (Fisher 1936, Ann. Eugenics 7,
    179), for any subset of measured features. Normal classes with separate covariances find no more
    of the real quiescent galaxies.

    Arguments:
        offset: Mean of the quiescent galaxies minus mean of the training galaxies, `(f,)`.
        covariance: Mean covariance of the two classes, `(f, f)`.
        held_out: Features of held-out galaxies, `(h, f)`.
    """

    offset: np.ndarray
    covariance: np.ndarray
    held_out: np.ndarray

    @classmethod
    def fit(cls, training: np.ndarray, held_out: np.ndarray, quiescent: np.ndarray):
        """Return the test for training features `(n, f)` and features of quiescent galaxies."""
        training, quiescent = np.float64(training), np.float64(quiescent)
        covariance = (np.cov(training.T) + np.cov(quiescent.T)) / 2
        offset = quiescent.mean(0) - training.mean(0)
        return cls(np.float32(offset), np.float32(covariance), np.float32(held_out))

    def share_farther(self, features: np.ndarray) -> np.ndarray:
        """Return the share of held-out galaxies that look at least as quiescent, `(n,)`."""
        shares = np.zeros(len(features))
        for rows, pattern in _patterns(features):
            # Features without spread carry no information.
            covariance = self.covariance[np.ix_(pattern, pattern)] + 1e-6 * np.eye(len(pattern))
            weights = np.linalg.solve(covariance, self.offset[pattern])
            known = np.sort((self.held_out[:, pattern] * weights).sum(1))
            nearer = np.searchsorted(known, (features[rows][:, pattern] * weights).sum(1))
            shares[rows] = (1 + len(known) - nearer) / (1 + len(known))
        return shares

    is_outside = TrainingRange.is_outside


@dataclass(frozen=True, eq=False)
class RangeOfBands:
    """Training range for galaxies with missing bands, compared in their measured features.

    A galaxy without u is compared with training galaxies without their u. The share `LEVEL` of
    galaxies like the training galaxies is therefore flagged for each set of measured bands.

    Arguments:
        training: Measured features of training galaxies, NaN where a band is missing, `(m, f)`.
        held_out: Measured features of held-out galaxies, `(h, f)`.
    """

    training: np.ndarray
    held_out: np.ndarray

    def share_farther(self, features: np.ndarray) -> np.ndarray:
        """Return shares as `TrainingRange` does; 0 if no training galaxies have the same bands."""
        shares = np.zeros(len(features))
        for rows, pattern in _patterns(features):
            known = _range_in(self, tuple(pattern))
            if known is not None:
                shares[rows] = known.share_farther(features[rows][:, pattern])
        return shares

    is_outside = TrainingRange.is_outside


def _patterns(features: np.ndarray):
    """Yield the galaxies with the same measured features, and the columns of these features."""
    measured = ~np.isnan(features)
    for pattern in np.unique(measured, axis=0):
        yield (measured == pattern).all(1), np.flatnonzero(pattern)


@lru_cache(maxsize=64)
def _range_in(known: RangeOfBands, columns: tuple[int, ...]) -> TrainingRange | None:
    """Return the range in some features, or None if too few training galaxies have all of them."""
    training, held_out = (
        x[~np.isnan(x[:, columns]).any(1)][:, columns] for x in (known.training, known.held_out)
    )
    return TrainingRange.fit(training, held_out) if len(training) > 1 and len(held_out) else None


def reference_rows(n: int) -> np.ndarray:
    """Return at most 5,000 evenly spaced row numbers of `n` galaxies, for a training range."""
    return np.linspace(0, n - 1, min(n, 5000)).astype(int)


def _neighbours(tree: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to the kth nearest of `tree (m, d)`, `(n,)`, and the k rows, `(n, k)`."""
    distances, rows = cKDTree(tree).query(points, range(1, 1 + min(k, len(tree))), workers=-1)
    return distances[:, -1], rows


def fit_range(posterior, training: Survey, held_out: Survey) -> None:
    """Store the range of the training galaxies, so that `out_of_range` can compare others with it.

    The metadata `knows` receive a sentence that describes the training galaxies. A model of
    star-forming galaxies with photometry in all bands is also compared with quiescent galaxies.

    Arguments:
        training: Galaxies of the training split.
        held_out: Similar galaxies that were not used for training, usually the validation split.
    """
    known, others = (
        _parts(posterior, posterior.encode_survey(survey.select(reference_rows(len(survey)))))
        for survey in (training, held_out)
    )
    posterior.metadata["knows"] = known_galaxies(training)
    posterior.ranges = {
        part: RangeOfBands(known[part], others[part])
        if posterior.missing_bands and part == "photometry"
        else TrainingRange.fit(known[part], others[part])
        for part in known
    }
    if (
        posterior.features.kind != "none"
        # The quiescent galaxies have the bands of SDSS.
        and posterior.declaration.bands == BANDS
        and are_star_forming(training.catalogue)
        and all(np.isfinite(x["photometry"]).all() for x in (known, others))
    ):
        every = 1 + len(others["photometry"]) // 2500
        quiescent = photometry_of(posterior, pd.read_parquet(QUIESCENT))
        posterior.ranges["quiescent"] = QuiescentClass.fit(
            known["photometry"], others["photometry"][::every], quiescent
        )


def photometry_of(posterior, table: pd.DataFrame) -> np.ndarray:
    """Return the photometric features `(n, f)` of a table with the inputs of the model."""
    redshift = table["redshift"] if posterior.use_redshift else None
    declared = posterior.declaration
    errors = table[list(declared.magnitude_errors)] if posterior.use_magnitude_errors else None
    observation = Observation(table[list(declared.magnitudes)], None, redshift, errors)
    raw = posterior.raw_features(observation)
    return _photometry(posterior, posterior.feature_scale.apply(raw))


def is_quiescent(table: pd.DataFrame) -> pd.Series:
    """Return which galaxies have measured specific star formation rates below 1e-11 per year."""
    return table["log_sfr"] - table["log_stellar_mass"] < QUIET


def are_star_forming(table: pd.DataFrame) -> bool:
    """Return whether nearly all galaxies form stars; false if their rates are not measured."""
    if not {"log_sfr", "log_stellar_mass"} <= set(table):
        return False
    rates = table["log_sfr"] - table["log_stellar_mass"]
    return not rates.isna().any() and bool(is_quiescent(table).mean() < RARE)


def known_galaxies(survey: Survey) -> str:
    """Return a sentence that describes the galaxies that a model was trained on.

    The redshift interval contains 99 % of the galaxies. Unknown limits are left out.
    """
    table = survey.catalogue
    kinds = ["simulated"] * (survey.parameters.get("kind") == "simulated")
    kinds += ["star-forming"] * are_star_forming(table)
    low, high = table["redshift"].astype(float).quantile([0.005, 0.995])
    band = survey.declaration.bands[survey.declaration.reference]
    faintest = table[f"mag_{band}"].astype(float).max()
    limits = {f"{band} < {faintest:.2f}": faintest, f"{low:.2f} < z < {high:.2f}": high}
    within = ", ".join(words for words, value in limits.items() if np.isfinite(value))
    return f"Trained on {' '.join([*kinds, 'galaxies'])} ({within}): {OTHERS}."


def out_of_range(
    posterior, magnitudes, images=None, *, redshift=None, magnitude_errors=None, embeddings=None
) -> pd.DataFrame:
    """Return how unlike the training galaxies each galaxy is, in photometry and in its image.

    Photometry means all measured photometric features of the model, including redshift and
    magnitude errors if it uses them. Images are compared in the features of the encoder. Outside
    its training range a model extrapolates, and its posteriors mean little.

    Arguments:
        magnitudes, images, redshift, magnitude_errors, embeddings: Inputs of `encode`.

    Returns:
        One row per galaxy: `photometry_p`, the share of held-out galaxies that lie at least as
        far out; `photometry_outside`, the flag; for an image model also `image_p` and
        `image_outside`; with embeddings `embedding_p` and `embedding_outside`; for a model of
        star-forming galaxies `quiescent_p`, the share of held-out galaxies that look at least as
        quiescent, and `quiescent_outside`; and `outside_range`, whether any of these flags is set.

    Raises:
        ModelError: The input does not fit the model, or the model has no training range.
    """
    if np.ndim(redshift) == 2:
        raise ModelError("redshift has several values per galaxy: give one, e.g. the median")
    if not posterior.ranges:
        raise ModelError("this model does not know its training range: train it again")
    observation = Observation(magnitudes, images, redshift, magnitude_errors, embeddings)
    return out_of_range_from(posterior, posterior.encode_observation(observation))


def out_of_range_from(posterior, condition: Tensor) -> pd.DataFrame:
    """Return flags as `out_of_range` does, for conditions `(n, c)`."""
    columns = {}
    parts = _parts(posterior, condition)
    parts["quiescent"] = parts.get("photometry")
    for part, features in parts.items():
        if part in posterior.ranges:
            share = posterior.ranges[part].share_farther(features)
            outside = posterior.ranges[part].is_outside(share)
            columns |= {f"{part}_p": share, f"{part}_outside": outside}
    flags = pd.DataFrame(columns)
    if columns:
        flags["outside_range"] = flags.filter(like="_outside").any(axis=1)
    return flags


def _parts(posterior, condition: Tensor) -> dict[str, np.ndarray]:
    """Return the parts of the condition `[f_img, f_emb, f_phot]` that are not empty."""
    start = condition.shape[1] - len(posterior.features)
    n_image = start - posterior.n_embedding
    photometry = _photometry(posterior, condition[:, start:])
    parts = {
        "photometry": photometry,
        "image": condition[:, :n_image].numpy(),
        "embedding": condition[:, n_image:start].numpy(),
    }
    return {part: x for part, x in parts.items() if x.shape[1]}


def _photometry(posterior, features: Tensor) -> np.ndarray:
    """Return measured features; for a model with missing bands in their original units."""
    if not posterior.missing_bands:
        return features.numpy()
    raw = features.numpy() * posterior.feature_std.numpy() + posterior.feature_mean.numpy()
    return posterior.features.measured(raw)
