"""Surveys: galaxies with photometry, images and properties, on disk and from users' tables."""

from galcfm.survey.disk import SCHEMA_VERSION, SurveyWriter, read_description
from galcfm.survey.rules import SPLITS, SurveyError, assign_split, require_booleans
from galcfm.survey.survey import Survey

__all__ = [
    "SCHEMA_VERSION",
    "SPLITS",
    "Survey",
    "SurveyError",
    "SurveyWriter",
    "assign_split",
    "read_description",
    "require_booleans",
]
