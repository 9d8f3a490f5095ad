"""Photometric features and their standardisation, shared by models and other methods."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from galcfm.posterior.bands import BandStatistics, is_seen
from galcfm.posterior.inputs import ModelError, Observation, plain_numbers, require_rows
from galcfm.properties import SDSS, Declaration
from galcfm.survey import require_booleans
from galcfm.survey.values import RANGES, checked_photometry

FEATURES = ("magnitudes", "r_and_colours", "none")


def photometric_features(
    magnitudes: np.ndarray,
    features: str = "r_and_colours",
    *,
    redshift=None,
    magnitude_errors=None,
    reference: int = SDSS.reference,
) -> np.ndarray:
    """Return the photometric features of each galaxy before standardisation, `(n, f)`.

    Arguments:
        magnitudes: AB magnitudes in u, g, r, i, z, shape `(n, 5)`.
        features: `"magnitudes"` (u, g, r, i, z), `"r_and_colours"` (r, u−g, g−r, r−i, i−z) or
            `"none"`.
        redshift: Redshifts, shape `(n,)`, as one further feature.
        magnitude_errors: Standard deviations of the magnitudes, shape `(n, 5)`. Their decimal
            logarithms are five further features, NaN where an error is not positive.
        reference: Number of the band that takes the place of r, if the bands are not u, g, r, i, z.
    """
    columns = {
        "magnitudes": [magnitudes],
        "r_and_colours": [magnitudes[:, [reference]], -np.diff(magnitudes)],
        "none": [magnitudes[:, :0]],
    }[features]
    if redshift is not None:
        columns.append(redshift[:, None])
    if magnitude_errors is not None:
        columns.append(np.log10(np.where(magnitude_errors > 0, magnitude_errors, np.nan)))
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class Standardisation:
    """A shift and scale of each column to zero mean and unit standard deviation.

    Arguments:
        mean: Means of the columns, shape `(k,)`, float64 on the CPU.
        std: Standard deviations of the columns, shape `(k,)`, float64 on the CPU.

    >>> scale = Standardisation.fit([[1.0, 5.0], [3.0, 5.0]])
    >>> scale.apply([[3.0, 6.0]])
    tensor([[1., 1.]])
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, values) -> "Standardisation":
        """Return the standardisation of values `(n, k)`; a constant column keeps its scale.

        Values may be NaN, e.g. labels that some galaxies lack; they do not count.
        """
        values = np.asarray(values, dtype=np.float64)
        known = np.isfinite(values)
        mean, std = values.mean(axis=0, where=known), values.std(axis=0, where=known)
        return cls(torch.from_numpy(mean), torch.from_numpy(np.where(std > 0, std, 1.0)))

    def apply(self, values) -> Tensor:
        """Return values `(..., k)` in units of the standard deviation, float32 on the CPU."""
        if not isinstance(values, Tensor):
            values = torch.from_numpy(np.array(values, dtype=np.float64))
        return ((values - self.mean) / self.std).float()

    def invert(self, standardised: Tensor) -> Tensor:
        """Return standardised values `(..., k)` in their original units, float32 on the CPU."""
        return (standardised.cpu().double() * self.std + self.mean).float()

    @property
    def log_volume(self) -> float:
        """Log-density per standardised unit minus log-density per original unit [nat]."""
        return float(self.std.log().sum())


@dataclass(frozen=True)
class ModelFeatures:
    """The photometric features of a model.

    Arguments:
        kind: One of `FEATURES`, see `photometric_features`.
        use_redshift: Whether the redshift is a further feature.
        use_magnitude_errors: Whether the logarithms of the magnitude errors are further features.
        missing_bands: Whether bands may be missing or be limits (`galcfm.posterior.bands`). Two
            further features per band then give whether it is measured, and the information in a
            limit.
        declaration: What the model uses; its bands count here.

    Raises:
        ModelError: The features are unknown, `missing_bands` is set for a model without
            magnitudes, or the redshift is a feature and a property.
    """

    kind: str
    use_redshift: bool
    use_magnitude_errors: bool
    missing_bands: bool
    declaration: Declaration = SDSS

    def __post_init__(self):
        switches = ("use_redshift", "use_magnitude_errors", "missing_bands")
        require_booleans(ModelError, **{name: getattr(self, name) for name in switches})
        if self.use_redshift and "redshift" in self.declaration.property_names:
            raise ModelError("the redshift is a property of this model: leave use_redshift out")
        if self.kind not in FEATURES:
            raise ModelError(f"no features called {self.kind!r}: choose from {', '.join(FEATURES)}")
        if self.missing_bands and self.kind == "none":
            raise ModelError("missing_bands needs magnitudes among the features")

    def __len__(self) -> int:
        """Return the number of features."""
        of_bands = (self.kind != "none") + self.use_magnitude_errors + 2 * self.missing_bands
        return len(self.declaration.bands) * of_bands + self.use_redshift

    def of(self, observation: Observation, bands: BandStatistics | None = None) -> np.ndarray:
        """Return the features of galaxies before standardisation, `(n, f)`, float64.

        Arguments:
            observation: The galaxies, with one redshift per galaxy.
            bands: Statistics of the training split, for a model with missing bands.

        Raises:
            ModelError: The input has a wrong shape, contains values that `Survey.from_table`
                rejects, has no measured band, or lacks redshifts or magnitude errors that the model
                needs.
        """
        gaps, declared = self.missing_bands, self.declaration
        shape = (None, len(declared.bands))
        magnitudes = plain_numbers(
            "magnitudes", observation.magnitudes, shape, declared.magnitudes, gaps=gaps
        )
        redshift = observation.used("redshift", self.use_redshift)
        redshift = plain_numbers("redshift", redshift, magnitudes.shape[:1])
        errors = observation.used("magnitude_errors", self.use_magnitude_errors)
        errors = plain_numbers(
            "magnitude_errors", errors, magnitudes.shape, declared.magnitude_errors, gaps=gaps
        )
        remedy = "remove these galaxies"
        if not self.missing_bands:
            remedy += ", or use a model with missing_bands if a band is missing"
        if self.kind != "none":
            magnitudes, errors, reasons = checked_photometry(
                magnitudes, errors, missing_bands=gaps, bands=declared.bands
            )
            good = ~np.isin(np.arange(len(magnitudes)), list(reasons))
            require_rows(good, reasons[min(reasons)] if reasons else "", remedy)
        if self.missing_bands:
            seen = is_seen(magnitudes, errors)
            filled, limits = bands.fill(magnitudes, errors)
            blocks = [
                photometric_features(
                    filled, self.kind, redshift=redshift, reference=declared.reference
                )
            ]
            blocks += [] if errors is None else [bands.error_excess(magnitudes, errors)]
            raw = np.concatenate([*blocks, seen, limits], axis=1)
        else:
            raw = photometric_features(
                magnitudes,
                self.kind,
                redshift=redshift,
                magnitude_errors=errors,
                reference=declared.reference,
            )
        if redshift is not None:
            low, high = RANGES["redshift"]
            wrong = f"the redshift is outside [{low:g}, {high:g}]"
            require_rows((redshift >= low) & (redshift <= high), wrong)
        require_rows(np.isfinite(raw).all(axis=1), "a feature is not finite", remedy)
        return raw

    def measured(self, raw: np.ndarray) -> np.ndarray:
        """Return the measured features of galaxies, for a model with missing bands.

        Arguments:
            raw: Features returned by `of`, shape `(n, f)`.

        Returns:
            Magnitudes, redshifts and error excesses, float32, shape `(n, f - 10)` for five bands,
            NaN where a band is not measured.
        """
        n, reference = len(self.declaration.bands), self.declaration.reference
        seen, measured = raw[:, -2 * n : -n] > 0.5, raw[:, : -2 * n].copy()
        if self.kind == "r_and_colours":
            # Differences from the reference magnitude, which comes first, are sums of colours.
            below_first = np.pad(-np.cumsum(raw[:, 1:n], axis=1), ((0, 0), (1, 0)))
            measured[:, :n] = raw[:, :1] + below_first - below_first[:, [reference]]
        measured[:, :n][~seen] = np.nan
        if self.use_magnitude_errors:
            measured[:, -n:][~seen] = np.nan
        return np.float32(measured)
