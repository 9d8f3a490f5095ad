"""A survey: a catalogue of galaxies, their images, and the parameters that made both."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import damage_in_a_sentence, user_path
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.survey.datasets import from_datasets, to_datasets
from galcfm.survey.disk import (
    HASHED_FILES,
    IMAGES_A_BLOCK,
    SURVEY,
    SurveyWriter,
    read_description,
    verify,
)
from galcfm.survey.intake import survey_of_table
from galcfm.survey.rules import SPLITS, SurveyError, check_survey


@dataclass
class Survey:
    """Galaxies with their photometry, images and properties.

    Arguments:
        catalogue: Table with one row per galaxy, the columns of `REQUIRED_COLUMNS`, the five
            properties and `split`.
        images: Images, uint8 `(n, 128, 128, 3)`, channels i, r, g, which may be memory-mapped;
            `None` for a catalogue without cutouts.
        parameters: Parameters that made the survey, any JSON content.
        name: Name in error messages, e.g. the folder.
        rejected: Rows that `from_table` could not use, with `row`, `object_id` and `reason`.

    Raises:
        SurveyError: The survey is not valid, see `validate`.
    """

    catalogue: pd.DataFrame
    images: np.ndarray | None = None
    parameters: dict = field(default_factory=dict)
    name: str = "survey"
    rejected: pd.DataFrame | None = None

    def __post_init__(self):
        self.catalogue = self.catalogue.reset_index(drop=True)
        self.validate()

    def __len__(self) -> int:
        return len(self.catalogue)

    @property
    def object_id(self) -> np.ndarray:
        """Identifiers as strings, `(n,)`."""
        return self.catalogue["object_id"].to_numpy(dtype=object)

    @property
    def redshift(self) -> np.ndarray:
        """Spectroscopic redshifts, `(n,)`."""
        return self.catalogue["redshift"].to_numpy(dtype=np.float64)

    @property
    def magnitudes(self) -> np.ndarray:
        """AB magnitudes in u, g, r, i, z with Galactic extinction removed, `(n, 5)`.

        They are NaN where a band is missing, in a survey made with `missing_bands`.
        """
        return self.catalogue[list(MAGNITUDES)].to_numpy(dtype=np.float64)

    @property
    def measured_magnitudes(self) -> np.ndarray:
        """Magnitudes `(n, 5)`, NaN where a band is missing or has only an upper limit."""
        if not set(MAGNITUDE_ERRORS) <= set(self.catalogue):
            return self.magnitudes
        errors = self.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(dtype=np.float64)
        return np.where(np.isposinf(errors), np.nan, self.magnitudes)

    @property
    def properties(self) -> np.ndarray:
        """Properties in the order and units of `galcfm.properties`, `(n, 5)`.

        They are NaN where a galaxy has no label.
        """
        return self.catalogue.reindex(columns=PROPERTY_NAMES).to_numpy(dtype=np.float64)

    @property
    def source(self) -> str:
        """Name in figures: `simulated survey`, `SDSS`, or the name of the table."""
        kind = self.parameters.get("kind", "unknown")
        if kind == "table":
            return Path(self.parameters.get("source", kind)).name
        return {"simulated": "simulated survey", "sdss": "SDSS"}.get(kind, f"{kind} survey")

    def split(self, name: str) -> "Survey":
        """Return the galaxies of one split: `"train"`, `"validation"` or `"test"`."""
        if name not in SPLITS:
            raise ValueError(f"no split called {name!r}: choose from {', '.join(SPLITS)}")
        return self.select(np.flatnonzero(self.catalogue["split"].to_numpy() == name))

    def select(self, rows: np.ndarray) -> "Survey":
        """Return the galaxies with these row numbers; only their images are copied from disk."""
        rows = np.asarray(rows)
        rows = rows.astype(int) if rows.size == 0 else rows
        images = None if self.images is None else self.images[rows]
        return Survey(self.catalogue.iloc[rows], images, self.parameters, self.name)

    def validate(self) -> None:
        """Check that the survey can be used.

        Raises:
            SurveyError: The survey cannot be used, see `galcfm.survey.rules.check_survey`.
        """
        missing_bands = self.parameters.get("missing_bands", False)
        check_survey(self.catalogue, self.images, self.name, missing_bands)

    def save(self, folder: Path | str) -> None:
        """Write the survey to `folder`, completely or not at all; an existing survey is replaced.

        Raises:
            SurveyError: The folder contains other files.
            OSError: The folder cannot be written.
        """
        writer = SurveyWriter(folder, len(self) if self.images is not None else 0)
        if self.images is not None:
            for start in range(0, len(self), IMAGES_A_BLOCK):
                writer.put(writer.partial, start, self.images[start : start + IMAGES_A_BLOCK])
        writer.finish(self.catalogue, self.parameters, rejected=self.rejected)

    @classmethod
    def load(cls, folder: Path | str) -> "Survey":
        """Open the survey in `folder`; images are memory-mapped.

        Raises:
            SurveyError: A file is missing, altered or has another schema, or the content is not
                valid.
        """
        folder = user_path(folder, "the folder of the survey", SurveyError)
        description = read_description(folder)
        verify(folder, description)
        found = dict.fromkeys(HASHED_FILES)
        for name in found.keys() & description["files"]:
            with damage_in_a_sentence(folder / name, SURVEY.remedy, SurveyError):
                if name == "images.npy":
                    found[name] = np.load(folder / name, mmap_mode="r")
                else:
                    found[name] = pd.read_parquet(folder / name)
        catalogue, images, rejected = found.values()
        return cls(catalogue, images, description["parameters"], str(folder), rejected)

    from_table = classmethod(survey_of_table)
    to_datasets = to_datasets
    from_datasets = classmethod(from_datasets)
