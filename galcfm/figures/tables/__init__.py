"""The tables of the book, one function per table; each returns a pandas DataFrame to show."""

from galcfm.figures.tables.results import (
    comparison,
    dust_age,
    information,
    scaling_relations,
    wasserstein,
)
from galcfm.figures.tables.surveys import relations, ties

__all__ = [
    "comparison",
    "dust_age",
    "information",
    "relations",
    "scaling_relations",
    "ties",
    "wasserstein",
]
