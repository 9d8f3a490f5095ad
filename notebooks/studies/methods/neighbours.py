"""The mean of the nearest galaxies, as an example of a method in one file."""

from sklearn.neighbors import KNeighborsRegressor

from studies.methods.base import PointMethod, labelled, photometry


class Neighbours(PointMethod):
    """The mean of the 30 nearest training galaxies in r and the colours."""

    def fit_point(self, survey, progress):
        """Keep the training galaxies."""
        train = labelled(survey, "train")
        self.neighbours = KNeighborsRegressor(min(30, len(train)))
        self.neighbours.fit(photometry(train), train.properties)
        self.training = {"seconds": 0.0}

    def predict(self, galaxies):
        """Return means of the nearest, `(n, 5)`."""
        return self.neighbours.predict(photometry(galaxies))
