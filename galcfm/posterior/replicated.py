"""Replicated photometry: the magnitudes that posterior draws imply, compared with observed ones.

A model returns a posterior for any galaxy, even if it is unlike all training galaxies. We therefore
ask: which magnitudes would galaxies with the drawn properties have? A posterior is doubtful if the
observed magnitudes do not lie among these replicated magnitudes (Rubin 1984, Ann. Statist. 12,
1151; Gelman, Meng & Stern 1996, Statist. Sinica 6, 733).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from galcfm.posterior.inputs import ModelError, galaxy_seeds, plain_numbers, require_rows
from galcfm.properties import SDSS, Declaration
from galcfm.survey import Survey

# Draws of a narrow posterior share their neighbours, which must still fill all bands with
# residuals.
N_NEIGHBOURS = 100
FEWEST_GALAXIES = 60
N_DRAWS = 200  # draws per galaxy with replicated photometry
# Largest share of replicated magnitudes farther out than the observed ones of a doubtful galaxy.
LEVEL = 0.01


@dataclass(frozen=True)
class MagnitudeModel:
    r"""A regression of the magnitudes of a survey on the properties, with its residuals.

    The mean is a polynomial of second degree in the properties and, optionally, in
    :math:`\log_{10} z`. The residuals, including noise of the photometry, come from one galaxy in
    all bands, drawn at random from the hundred galaxies of the survey that are nearest in
    these inputs. Without the redshift, the regression averages over all distances in the survey.

    Arguments:
        uses_redshift: Whether magnitudes are predicted from the redshift, too.
        centre: Means of the properties (and log z), shape `(p,)`.
        spread: Standard deviations of the properties (and log z), shape `(p,)`.
        coefficients: Coefficients of the polynomial, shape `(terms, bands)`.
        points: Standardised properties of the survey's galaxies, shape `(m, p)`.
        rest: Residuals of the magnitudes of these galaxies, shape `(m, bands)`.
        declaration: Properties and bands of the survey.
    """

    uses_redshift: bool
    centre: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    points: np.ndarray
    rest: np.ndarray
    declaration: Declaration = SDSS

    @classmethod
    def fit(cls, survey: Survey, *, use_redshift: bool = False) -> "MagnitudeModel":
        """Return the regression for galaxies with measured properties.

        Arguments:
            survey: The galaxies; galaxies without all properties and bands are left out.
            use_redshift: Whether the posterior has the redshift as an input.

        Raises:
            ModelError: Fewer galaxies can be used than 60 or twice the number of coefficients.
        """
        theta = _inputs(survey.properties, survey.redshift if use_redshift else None)
        magnitudes = survey.measured_magnitudes
        good = np.isfinite(theta).all(1) & np.isfinite(magnitudes).all(1)
        fewest = max(FEWEST_GALAXIES, 2 * _polynomial(theta[:0]).shape[1])
        if good.sum() < fewest:
            raise ModelError(
                f"{survey.name} has {good.sum()} galaxies with all bands and inputs, "
                f"{fewest} are needed: give the training split of a larger survey"
            )
        theta, magnitudes = theta[good], magnitudes[good]
        centre, spread = theta.mean(0), theta.std(0)
        points = (theta - centre) / spread
        design = _polynomial(points)
        coefficients = np.linalg.lstsq(design, magnitudes, rcond=None)[0]
        rest = magnitudes - design @ coefficients
        declared = survey.declaration
        return cls(use_redshift, centre, spread, coefficients, points, rest, declared)

    def replicate(self, samples, redshift=None, *, object_id=None, seed: int = 0) -> np.ndarray:
        """Return one set of magnitudes per posterior draw.

        Arguments:
            samples: Properties of the survey, shape `(n, S, d)`.
            redshift: Redshifts, shape `(n,)`, if the regression uses them.
            object_id: Identifiers, shape `(n,)`; a galaxy's random numbers depend only on (seed,
                object_id).
            seed: Seed of the random numbers.

        Returns:
            AB magnitudes in the bands of the survey, `(n, S, bands)`.

        Raises:
            ModelError: An input is missing, or has another shape.
        """
        d = len(self.declaration.properties)
        samples = plain_numbers("samples", samples, (None, None, d))
        n, n_draws, _ = samples.shape
        if self.uses_redshift != (redshift is not None):
            remedy = "with redshift: give it" if self.uses_redshift else "without redshift: omit it"
            raise ModelError(f"this model of magnitudes was fitted {remedy}")
        if redshift is not None:
            redshift = np.repeat(plain_numbers("redshift", redshift, (n,)), n_draws)
        theta = _inputs(samples.reshape(-1, d), redshift)
        good = np.isfinite(theta).reshape(n, n_draws, theta.shape[1]).all(axis=(1, 2))
        require_rows(good, "a property or redshift is not finite, or z not positive")
        points = (theta - self.centre) / self.spread
        k = min(N_NEIGHBOURS, len(self.points) // 2)
        _, near = cKDTree(self.points).query(points, k)
        seeds = galaxy_seeds(range(n) if object_id is None else object_id, seed)
        choice = np.concatenate([np.random.default_rng(s).integers(k, size=n_draws) for s in seeds])
        rest = self.rest[near.reshape(len(points), k)[np.arange(len(points)), choice]]
        return (_polynomial(points) @ self.coefficients + rest).reshape(n, n_draws, -1)


def _inputs(theta: np.ndarray, redshift) -> np.ndarray:
    """Return properties `(n, d)` and a column of log z, NaN where the redshift is not positive."""
    if redshift is None:
        return theta
    log_z = np.log10(np.where(redshift > 0, redshift, np.nan))
    return np.column_stack([theta, log_z])


def _polynomial(points: np.ndarray) -> np.ndarray:
    """Return all products of up to two columns, `(n, terms)`."""
    first = np.column_stack([np.ones(len(points)), points])
    i, j = np.triu_indices(first.shape[1])
    return first[:, i] * first[:, j]


def check_photometry(
    posteriors, survey: Survey, model: MagnitudeModel, *, seed: int = 0, reference=None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Compare the magnitudes that posterior draws imply with the observed magnitudes.

    If the posterior itself used the observed magnitudes, they fit better than other magnitudes
    would: the shares are then larger than uniform ones, and few are small. With shares of held-out
    galaxies as `reference`, a galaxy is doubtful if its share is at most the 1 % quantile of the
    reference. Replicated magnitudes have the noise of the training survey, not that of the galaxy.

    Arguments:
        posteriors: Dataset returned by `Posterior.infer`.
        survey: Galaxies that were inferred.
        model: Regression of the magnitudes of the training survey.
        seed: Seed of the random numbers.
        reference: Shares `share_farther` of at least 100 galaxies like the training galaxies that
            were not used for training, as returned by this function for the validation or test
            split.

    Returns:
        Magnitudes `(n, S, bands)` replicated for at most 200 draws, evenly spaced; and one row per
        galaxy: `object_id`; `residual_BAND`, observed magnitude minus median of the replicated
        magnitudes [mag], NaN where a band is not measured; `share_farther`, the share of
        replicated magnitudes that lie at least as far out in all measured bands, in the metric of
        their covariance; `is_doubtful`, whether this share is at most 0.01, or at most the 1 %
        quantile of the reference.

    Raises:
        ModelError: Posteriors and survey contain different galaxies, there are too few draws, or
            the model of magnitudes has other properties or bands.
    """
    from galcfm.posterior.draws import draws_of

    samples = draws_of(posteriors, survey)
    fitted, bands = model.declaration, survey.declaration.bands
    found = (*Declaration.of_posteriors(posteriors).property_names, *bands)
    if found != (expected := (*fitted.property_names, *fitted.bands)):
        raise ModelError(
            f"this model of magnitudes was fitted for {', '.join(expected)}, not for "
            f"{', '.join(found)}: fit another"
        )
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
    table[[f"residual_{band}" for band in bands]] = residuals
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
    # Bands without scatter have a singular covariance; differences below a millimagnitude are
    # ignored.
    covariance = np.atleast_2d(np.cov(both[1:].T)) + 1e-6 * np.eye(both.shape[1])
    centre, inverse = both[1:].mean(0, keepdims=True), np.linalg.inv(covariance)
    distance = cdist(both, centre, "mahalanobis", VI=inverse)
    return float(np.mean(distance >= distance[0]))
