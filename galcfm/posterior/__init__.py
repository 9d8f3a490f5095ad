"""A trained model, from magnitudes and images to posteriors, and its possible inputs."""

from galcfm.posterior.features import Standardisation, photometric_features
from galcfm.posterior.files import require_own_model
from galcfm.posterior.inputs import (
    ModelError,
    Observation,
    default_device,
    galaxy_seeds,
    redshift_quantiles,
)
from galcfm.posterior.model import Posterior
from galcfm.posterior.training_range import LEVEL

__all__ = [
    "LEVEL",
    "ModelError",
    "Observation",
    "Posterior",
    "Standardisation",
    "default_device",
    "galaxy_seeds",
    "photometric_features",
    "redshift_quantiles",
    "require_own_model",
]
