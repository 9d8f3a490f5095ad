"""Gradient boosting on magnitudes and colours: a baseline that any method should beat.

The intervals are split-conformal (Lei et al. 2018, JASA 113, 1094): as wide as the residuals of
galaxies that were not trained on, they cover as often as they say, whatever the model.
"""

import time

import numpy as np

from galcfm.survey import Survey
from studies.methods.base import PointMethod, labelled, photometry


def conformal_width(residuals: np.ndarray, level: float) -> np.ndarray:
    """Return the half width of split-conformal intervals.

    Arguments:
        residuals: Residuals of galaxies that were not trained on, `(m, d)`.
        level: Fraction of galaxies that are to be covered.

    Returns:
        The ⌈(m + 1) level⌉-th smallest of the absolute residuals, `(d,)`; infinite where m is too
        small for the level.
    """
    size = np.sort(np.abs(residuals), axis=0)
    place = int(np.ceil((len(size) + 1) * level))
    return size[place - 1] if place <= len(size) else np.full(size.shape[1], np.inf)


class Boosting(PointMethod):
    """Histogram gradient boosting of scikit-learn, one model per property.

    Arguments:
        learning_rate, max_iter: As `HistGradientBoostingRegressor` has them, which stops early by a
            tenth of the training split.
        seed: Seed that chooses this tenth.
    """

    def __init__(self, *, learning_rate: float = 0.1, max_iter: int = 500, seed: int = 1):
        self.options = {
            "learning_rate": learning_rate,
            "max_iter": max_iter,
            "early_stopping": True,
            "random_state": seed,
        }

    def _features(self, survey: Survey) -> np.ndarray:
        return np.concatenate([survey.magnitudes, photometry(survey)[:, 1:]], axis=1)

    def fit_point(self, survey: Survey, progress: bool) -> None:
        """Grow the trees."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        started, train = time.monotonic(), labelled(survey, "train")
        features = self._features(train)
        self.models = [
            HistGradientBoostingRegressor(**self.options).fit(features, values)
            for values in train.properties.T
        ]
        held_out = labelled(survey, "validation")
        self.residuals = held_out.properties - self.predict(held_out)
        self.training = {"seconds": round(time.monotonic() - started, 1)}
        # At most as many as there are values of leaves.
        self.n_parameters = sum(m.max_leaf_nodes * m.n_iter_ for m in self.models)

    def predict(self, galaxies: Survey) -> np.ndarray:
        """Return the values, physical units, `(n, 5)`."""
        features = self._features(galaxies)
        return np.stack([model.predict(features) for model in self.models], axis=1)

    def intervals(self, galaxies: Survey, level: float) -> np.ndarray:
        """Return conformal intervals of each property, lower and upper end, `(n, 5, 2)`."""
        width = conformal_width(self.residuals, level)
        return self.predict(galaxies)[..., None] + width[:, None] * np.array([-1.0, 1.0])
