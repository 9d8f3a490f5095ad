"""Photometric redshifts of simulated galaxies, for the chapter on your own galaxies."""

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galcfm.properties import MAGNITUDE_ERRORS
from galcfm.survey import Survey


def _inputs(galaxies: Survey) -> np.ndarray:
    """Return r, four colours and the logarithms of the magnitude errors, shape `(n, 10)`."""
    magnitudes = galaxies.magnitudes
    errors = np.log(galaxies.catalogue[list(MAGNITUDE_ERRORS)].to_numpy())
    return np.column_stack([magnitudes[:, 2], -np.diff(magnitudes), errors])


def photometric_redshifts(survey: Survey, galaxies: Survey, grid: np.ndarray) -> np.ndarray:
    """Return log p(z) given magnitudes and their errors: log-normal, of one width for all galaxies.

    A small network trained on the training split predicts ln z; the width is the scatter of the
    validation split about the prediction.

    Arguments:
        survey: Survey with redshifts, in splits.
        galaxies: Galaxies whose redshifts are wanted.
        grid: Positive redshifts, shape `(m,)`.

    Returns:
        Log-densities on the grid, not normalised, shape `(n, m)`.
    """
    train, validation = survey.split("train"), survey.split("validation")
    options = {"hidden_layer_sizes": (64, 64), "alpha": 0.01, "max_iter": 150, "random_state": 0}
    network = make_pipeline(StandardScaler(), MLPRegressor(**options))
    network.fit(_inputs(train), np.log(train.redshift))
    missed = np.log(validation.redshift) - network.predict(_inputs(validation))
    distance = np.log(grid) - network.predict(_inputs(galaxies))[:, None]
    return -0.5 * (distance / missed.std()) ** 2 - np.log(grid)
