# ruff: noqa: F401
"""Other ways from galaxies to posteriors, all used alike, so that they can be compared.

Each is a class in a file of its own: its constructor takes settings, `fit(survey)` learns and
returns the method, `sample(galaxies, n)` draws and `log_prob(theta, galaxies)` evaluates its
density. The docstring of each says what is simplified against the paper that it is from. Needs
`pip install "galcfm[methods]"`; each package is imported where it is used.

Example:
    A method of one's own is a class like this one; a row of `studies.other_methods.ROWS`
    then puts it into the table::

        class Mean(PointMethod):
            def fit_point(self, survey, progress):
                self.mean = labelled(survey, "train").properties.mean(axis=0)
                self.training = {"seconds": 0.0}

            def predict(self, galaxies):
                return np.tile(self.mean, (len(galaxies), 1))
"""

from studies.methods.annuli import AnnulusFlow
from studies.methods.autoencoder import LatentFlow
from studies.methods.base import Method, PointMethod, labelled
from studies.methods.boosting import Boosting
from studies.methods.contrastive import AlignedFlow
from studies.methods.encoders import ENCODERS, make_encoder
from studies.methods.flow_matching import FlowMatching
from studies.methods.flow_variants import FlowVariant
from studies.methods.gradient_descent import Descent
from studies.methods.image_regression import PictureRegression
from studies.methods.measured_morphology import MorphologyFlow
from studies.methods.neighbours import Neighbours
from studies.methods.sed_fitting import SedFitting
from studies.methods.spectral_diffusion import SpectralDiffusion
from studies.methods.spline_flow import SplineFlow
