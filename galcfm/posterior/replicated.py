"""Replicated photometry: the magnitudes that draws imply, to be compared with the observed ones.

A posterior is as good as its model, which also answers for a galaxy unlike all of the training set.
So we ask: which magnitudes would galaxies with the drawn properties have? Where the observed
magnitudes do not lie among these, the fit is not to be believed (Rubin 1984, Ann. Statist. 12,
1151; Gelman, Meng & Stern 1996, Statist. Sinica 6, 733).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from galcfm.posterior.inputs import ModelError, galaxy_seeds, plain_numbers, require_rows
from galcfm.properties import BANDS, MAGNITUDES, PROPERTIES
from galcfm.survey import Survey

# Draws of a narrow posterior share their neighbours, whose rests must still fill five dimensions.
N_NEIGHBOURS = 100
FEWEST_GALAXIES = 60
N_DRAWS = 200  # of each galaxy, whose photometry is replicated
# Galaxies in whose replicated magnitudes the observed ones lie farther out than all but this share.
LEVEL = 0.01


@dataclass(frozen=True)
class MagnitudeModel:
    r"""A regression of the magnitudes of a survey on the properties, with its residuals.

    The mean is a polynomial of second degree in the properties and, if so fitted, in
    :math:`\log_{10} z`. The residuals, noise of the photometry included, are those of one of the
    hundred galaxies of the survey that are nearest in these, drawn at random, in all five bands at
    once. Without the redshift, galaxies at all distances of the survey are meant.

    Arguments:
        uses_redshift: Whether magnitudes are predicted from the redshift, too.
        centre: Means of the properties (and log z), shape `(p,)`.
        spread: Their standard deviations, shape `(p,)`.
        coefficients: Coefficients of the polynomial, shape `(terms, 5)`.
        points: Standardised properties of the survey's galaxies, shape `(m, p)`.
        rest: Residuals of their magnitudes, shape `(m, 5)`.
    """

    uses_redshift: bool
    centre: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    points: np.ndarray
    rest: np.ndarray

    @classmethod
    def fit(cls, survey: Survey, *, use_redshift: bool = False) -> "MagnitudeModel":
        """Return the regression for galaxies with known properties, best those of the training.

        Arguments:
            survey: The galaxies; those without labels or all bands are left out.
            use_redshift: Whether the posterior has the redshift as an input.

        Raises:
            ModelError: Fewer than 60 galaxies can be used.
        """
        theta = _inputs(survey.properties, survey.redshift if use_redshift else None)
        magnitudes = survey.measured_magnitudes
        good = np.isfinite(theta).all(1) & np.isfinite(magnitudes).all(1)
        if good.sum() < FEWEST_GALAXIES:
            raise ModelError(
                f"{survey.name} has {good.sum()} galaxies with all bands and inputs, "
                f"{FEWEST_GALAXIES} are needed: give the training split of a larger survey"
            )
        theta, magnitudes = theta[good], magnitudes[good]
        centre, spread = theta.mean(0), theta.std(0)
        points = (theta - centre) / spread
        design = _polynomial(points)
        coefficients = np.linalg.lstsq(design, magnitudes, rcond=None)[0]
        rest = magnitudes - design @ coefficients
        return cls(use_redshift, centre, spread, coefficients, points, rest)

    def replicate(self, samples, redshift=None, *, object_id=None, seed: int = 0) -> np.ndarray:
        """Return a set of magnitudes for each posterior draw.

        Arguments:
            samples: Properties, shape `(n, S, 5)`.
            redshift: Redshifts, shape `(n,)`, if the regression uses them.
            object_id: Identifiers, shape `(n,)`; a galaxy's random numbers depend on
                (seed, object_id) alone.
            seed: Seed of the random numbers.

        Returns:
            AB magnitudes in u, g, r, i, z, `(n, S, 5)`.

        Raises:
            ModelError: An input is missing, or has another shape.
        """
        samples = plain_numbers("samples", samples, (None, None, len(PROPERTIES)))
        n, n_draws, _ = samples.shape
        if self.uses_redshift != (redshift is not None):
            remedy = "with redshift: give it" if self.uses_redshift else "without redshift: omit it"
            raise ModelError(f"this model of magnitudes was fitted {remedy}")
        if redshift is not None:
            redshift = np.repeat(plain_numbers("redshift", redshift, (n,)), n_draws)
        theta = _inputs(samples.reshape(-1, len(PROPERTIES)), redshift)
        good = np.isfinite(theta).reshape(n, n_draws, theta.shape[1]).all(axis=(1, 2))
        require_rows(good, "a property or redshift is not finite, or z not positive")
        points = (theta - self.centre) / self.spread
        k = min(N_NEIGHBOURS, len(self.points) // 2)
        _, near = cKDTree(self.points).query(points, k)
        seeds = galaxy_seeds(range(n) if object_id is None else object_id, seed)
        choice = np.concatenate([np.random.default_rng(s).integers(k, size=n_draws) for s in seeds])
        rest = self.rest[near.reshape(len(points), k)[np.arange(len(points)), choice]]
        return (_polynomial(points) @ self.coefficients + rest).reshape(n, n_draws, len(BANDS))


def _inputs(theta: np.ndarray, redshift) -> np.ndarray:
    """Return properties `(n, 5)`, and log z beside them; NaN where the redshift is not positive."""
    if redshift is None:
        return theta
    log_z = np.log10(np.where(redshift > 0, redshift, np.nan))
    return np.column_stack([theta, log_z])


def _polynomial(points: np.ndarray) -> np.ndarray:
    """Return all products of up to two of the columns, `(n, terms)`."""
    first = np.column_stack([np.ones(len(points)), points])
    i, j = np.triu_indices(first.shape[1])
    return first[:, i] * first[:, j]


def check_photometry(
    posteriors, survey: Survey, model: MagnitudeModel, *, seed: int = 0, reference=None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Compare the magnitudes that draws imply with the observed ones.

    Observed magnitudes that the posterior itself was made from fit better than others would: the
    shares are larger than those of galaxies at random, and hardly any is small by itself. With
    those of held-out galaxies as `reference`, a share is doubtful that is as small as the smallest
    hundredth of these. Replicated magnitudes have the noise of the training survey, not that of
    the galaxy.

    Arguments:
        posteriors: Dataset of `Posterior.infer`.
        survey: Galaxies that were inferred.
        model: Regression of the magnitudes of the training survey.
        seed: Seed of the random numbers.
        reference: Values of `share_farther` of at least 100 galaxies like those of the training set
            that were not trained on, as this function gives them for the validation or test split.

    Returns:
        Magnitudes `(n, S, 5)` replicated for at most 200 draws, evenly over all; and one row per
        galaxy: `object_id`; `residual_u` … `residual_z`, observed less the median of the replicated
        [mag], NaN where a band is not measured; `share_farther`, the share of the replicated that
        lie at least as far out in all measured bands, by their own covariance; `is_doubtful`,
        whether that is 0.01 at most, or at most what 1 % of the reference have.

    Raises:
        ModelError: Posteriors and survey hold different galaxies, or the draws are too few.
    """
    from galcfm.posterior.draws import draws_of

    samples = draws_of(posteriors, survey)
    n_draws = min(N_DRAWS, samples.shape[1])
    if n_draws < 1 / LEVEL:
        raise ModelError(
            f"{n_draws} draws per galaxy are too few to say that one in "
            f"{1 / LEVEL:.0f} lies farther out: infer with more n_samples"
        )
    chosen = np.linspace(0, samples.shape[1] - 1, n_draws).astype(int)
    redshift = survey.redshift if model.uses_redshift else None
    ids = survey.object_id.astype(str)
    replicated = model.replicate(samples[:, chosen], redshift, object_id=ids, seed=seed)
    observed = survey.measured_magnitudes
    residuals = observed - np.median(replicated, axis=1)
    table = pd.DataFrame({"object_id": ids})
    table[[name.replace("mag", "residual") for name in MAGNITUDES]] = residuals
    table["share_farther"] = list(map(_share_farther, observed, replicated))
    threshold = LEVEL
    if reference is not None:
        reference = plain_numbers("reference", reference, (None,))
        if len(reference) < 1 / LEVEL or not np.isfinite(reference).all():
            raise ModelError(
                f"reference has {len(reference)} shares: at least {1 / LEVEL:.0f} are needed, "
                "and none may be NaN"
            )
        threshold = np.quantile(reference, LEVEL, method="lower")
    table["is_doubtful"] = table["share_farther"] <= threshold
    return replicated, table


def _share_farther(observed: np.ndarray, replicated: np.ndarray) -> float:
    """Return the share, observed galaxy included, with as large a Mahalanobis distance."""
    both = np.vstack([observed, replicated])[:, np.isfinite(observed)]
    # Bands that always agree have a singular covariance: a millimagnitude is no difference.
    covariance = np.atleast_2d(np.cov(both[1:].T)) + 1e-6 * np.eye(both.shape[1])
    centre, inverse = both[1:].mean(0, keepdims=True), np.linalg.inv(covariance)
    distance = cdist(both, centre, "mahalanobis", VI=inverse)
    return float(np.mean(distance >= distance[0]))
