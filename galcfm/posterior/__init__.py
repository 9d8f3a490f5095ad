"""A trained model, from magnitudes and images to posteriors, and what it may be given."""

from galcfm.posterior.inputs import ModelError, galaxy_seeds, redshift_quantiles
from galcfm.posterior.model import FEATURES, Posterior, default_device, require_own_model
from galcfm.posterior.training_range import LEVEL, TrainingRange

__all__ = [
    "FEATURES",
    "LEVEL",
    "ModelError",
    "Posterior",
    "TrainingRange",
    "default_device",
    "galaxy_seeds",
    "redshift_quantiles",
    "require_own_model",
]
