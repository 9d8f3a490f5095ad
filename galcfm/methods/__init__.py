"""Other ways from galaxies to posteriors, all used alike, so that they can be compared.

Each is a class in a file of its own: its constructor takes settings, `fit(survey)` learns and
returns the method, `sample(galaxies, n)` draws and `log_prob(theta, galaxies)` weighs. What is
simplified against the paper that a method is from, its docstring says. Needs
`pip install "galcfm[methods]"`; each package is imported where it is used.

Example:
    A method of one's own is a class like this one; a row of `galcfm.studies.other_methods.ROWS`
    then puts it into the table::

        class Mean(PointMethod):
            def fit_point(self, survey, progress):
                self.mean = labelled(survey, "train").properties.mean(axis=0)
                self.training = {"seconds": 0.0}

            def predict(self, galaxies):
                return np.tile(self.mean, (len(galaxies), 1))
"""

from galcfm.methods.annuli import AnnulusFlow
from galcfm.methods.base import Method, PointMethod, labelled
from galcfm.methods.boosting import Boosting
from galcfm.methods.contrastive import AlignedFlow
from galcfm.methods.descent import Descent
from galcfm.methods.encoders import ENCODERS, make_encoder
from galcfm.methods.flow_variants import FlowVariant
from galcfm.methods.latents import LatentFlow
from galcfm.methods.morphology import MorphologyFlow
from galcfm.methods.ours import FlowMatching
from galcfm.methods.regression import PictureRegression
from galcfm.methods.sed_fitting import SedFitting
from galcfm.methods.spectral_diffusion import SpectralDiffusion
from galcfm.methods.spline_flow import SplineFlow

__all__ = [
    "ENCODERS",
    "AlignedFlow",
    "AnnulusFlow",
    "Boosting",
    "Descent",
    "FlowMatching",
    "FlowVariant",
    "LatentFlow",
    "Method",
    "MorphologyFlow",
    "PictureRegression",
    "PointMethod",
    "SedFitting",
    "SpectralDiffusion",
    "SplineFlow",
    "labelled",
    "make_encoder",
]
