"""The tables of the book, one function a table; each returns a pandas DataFrame to show."""

from galcfm.figures.tables.results import (
    calibration_gap,
    comparison,
    dust_age,
    information,
    point_estimates,
    scaling_relations,
    wasserstein,
)
from galcfm.figures.tables.surveys import relations, ties
from galcfm.figures.tables.trials import trials

__all__ = [
    "calibration_gap",
    "comparison",
    "dust_age",
    "information",
    "point_estimates",
    "relations",
    "scaling_relations",
    "ties",
    "trials",
    "wasserstein",
]
