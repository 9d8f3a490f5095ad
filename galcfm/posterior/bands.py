"""Missing bands, and bands that give only an upper limit of the flux.

A NaN magnitude is missing. A magnitude with an infinite error is a limit: the galaxy was not
detected, and is fainter than this magnitude. A model with `missing_bands` accepts both, or only
missing bands if it uses no magnitude errors, because its training hid bands of galaxies at random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyvander

# Shares of galaxies that lose none, one, … four bands in training (four or more, if there are more
# than five bands), and share of lost bands that become limits.
LOST = (0.4, 0.3, 0.15, 0.1, 0.05)
LIMITS = 0.3
# A limit that is brighter than expected by this many standard deviations carries no information.
UNINFORMATIVE = 3.0
CENTRE = 17.5  # mag, the zero point of the fit of the errors


def is_seen(magnitudes: np.ndarray, errors: np.ndarray | None) -> np.ndarray:
    """Return whether a band is measured, neither missing nor a limit, `(n, 5)`."""
    seen = ~np.isnan(magnitudes)
    return seen if errors is None else seen & ~np.isposinf(errors)


@dataclass(frozen=True)
class BandStatistics:
    """Typical magnitudes and errors of a training split.

    Arguments:
        magnitude_mean: Mean magnitudes, shape `(5,)`.
        magnitude_covariance: Covariance of the magnitudes, shape `(5, 5)`.
        usual_errors: Coefficients of the decimal logarithm of the error of each band as a
            quadratic function of the magnitude, shape `(5, 3)`.
    """

    magnitude_mean: np.ndarray
    magnitude_covariance: np.ndarray
    usual_errors: np.ndarray

    @classmethod
    def fit(cls, magnitudes: np.ndarray, errors: np.ndarray | None) -> "BandStatistics":
        """Return the statistics of galaxies.

        A band that is missing for all galaxies is independent of the others, with mean 0 and
        variance 1.

        Arguments:
            magnitudes: AB magnitudes, shape `(n, 5)`, NaN where missing.
            errors: Errors of the magnitudes, shape `(n, 5)`, infinite for limits; None if they are
                not used.
        """
        known = is_seen(magnitudes, errors)
        n = known.T.astype(float) @ known
        mean = np.where(known, magnitudes, 0).sum(0) / np.maximum(n.diagonal(), 1)
        offset = np.where(known, magnitudes - mean, 0)
        covariance = offset.T @ offset / np.maximum(n, 1) + np.diag(n.diagonal() == 0)
        # Pairs of bands may come from different galaxies, so this matrix need not be a covariance.
        values, axes = np.linalg.eigh(covariance)
        coefficients = np.zeros((magnitudes.shape[1], 3))
        for k, here in enumerate(known.T):
            if errors is not None and here.sum() > 3:
                x, y = magnitudes[here, k] - CENTRE, np.log10(errors[here, k])
                coefficients[k] = np.linalg.lstsq(polyvander(x, 2), y, rcond=None)[0]
        return cls(mean, axes * np.maximum(values, 1e-6) @ axes.T, coefficients)

    def fill(
        self, magnitudes: np.ndarray, errors: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Replace magnitudes that are not measured by their expected values.

        Arguments:
            magnitudes: AB magnitudes, shape `(n, 5)`, NaN where missing.
            errors: Errors of the magnitudes, shape `(n, 5)`, infinite where the magnitude is a
                limit; None if there are no limits.

        Returns:
            Magnitudes `(n, 5)`, in which a band that is not measured has the mean of a normal
            distribution given the measured bands, or the limit if that is fainter; and the
            information in the limits, `(n, 5)`, from 0 (none, or no limit) to 2 (three standard
            deviations fainter than expected).
        """
        mean, covariance = self.magnitude_mean, self.magnitude_covariance
        seen = is_seen(magnitudes, errors)
        filled, limits = magnitudes.copy(), np.zeros_like(magnitudes)
        for pattern in np.unique(seen, axis=0):
            hidden, rows = ~pattern, (seen == pattern).all(1)
            if pattern.all():
                continue
            slope = np.linalg.solve(
                covariance[np.ix_(pattern, pattern)], covariance[np.ix_(pattern, hidden)]
            )
            left = covariance[np.ix_(hidden, hidden)] - covariance[np.ix_(hidden, pattern)] @ slope
            here = np.ix_(rows, hidden)
            expected = mean[hidden] + (magnitudes[np.ix_(rows, pattern)] - mean[pattern]) @ slope
            fainter = (magnitudes[here] - expected) / np.sqrt(left.diagonal())
            fainter = np.nan_to_num(fainter, nan=-np.inf).clip(-UNINFORMATIVE, UNINFORMATIVE)
            limits[here] = 1 + fainter / UNINFORMATIVE
            filled[here] = np.fmax(magnitudes[here], expected)
        return filled, limits

    def error_excess(self, magnitudes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return log10 of the ratio of the errors to typical errors at their magnitude, `(n, 5)`.

        Larger galaxies have larger errors, because there is more sky in their aperture. This
        information is small, and magnitude and error themselves would hide it. The excess is 0
        where a band is not measured.

        Arguments:
            magnitudes: AB magnitudes, shape `(n, 5)`, NaN where missing.
            errors: Errors of the magnitudes, shape `(n, 5)`, infinite for limits.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log10(np.where(errors > 0, errors, np.nan))
            excess = logs - (polyvander(magnitudes - CENTRE, 2) * self.usual_errors).sum(-1)
        return np.where(is_seen(magnitudes, errors), excess, 0.0)


def shares_lost(n_bands: int) -> np.ndarray:
    """Return the shares of galaxies that lose none, one, … all but one of the bands."""
    if n_bands < len(LOST):
        return np.array(LOST[:n_bands]) / sum(LOST[:n_bands])
    most = n_bands - len(LOST) + 1
    return np.array([*LOST[:-1], *[LOST[-1] / most] * most])


def hide_bands(
    magnitudes: np.ndarray, errors: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Hide bands of galaxies at random with the shares `LOST` and `LIMITS`; each galaxy keeps one.

    The depth of a limit is the magnitude of another galaxy, and galaxies brighter than the depth
    stay measured. The depth itself therefore carries no information about the galaxy.

    Arguments:
        magnitudes: AB magnitudes, shape `(n, 5)`, NaN where missing already.
        errors: Errors of the magnitudes, shape `(n, 5)`; without them no band becomes a limit.
        rng: Random number generator.

    Returns:
        Magnitudes and errors `(n, 5)`: NaN where missing, depth and infinity for a limit.
    """
    shape = magnitudes.shape
    n_lost = rng.choice(shape[1], len(magnitudes), p=shares_lost(shape[1]))
    lost = rng.random(shape).argsort(1).argsort(1) < n_lost[:, None]
    tried = lost & (rng.random(shape) < LIMITS) & (errors is not None)
    known = np.where(is_seen(magnitudes, errors), magnitudes, np.nan)
    depth = rng.permuted(known, axis=0)
    limit, missing = tried & (known > depth), lost & ~tried
    none_left = ~(is_seen(magnitudes, errors) & ~limit & ~missing).any(1)
    limit[none_left] = missing[none_left] = False
    hidden = np.where(limit, depth, np.where(missing, np.nan, magnitudes))
    if errors is None:
        return hidden, None
    return hidden, np.where(limit, np.inf, np.where(missing, np.nan, errors))
