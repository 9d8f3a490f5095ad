"""A survey: a catalogue of galaxies, their images, and the parameters that made both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import damage_in_a_sentence, user_path
from galcfm.properties import Declaration
from galcfm.survey.datasets import from_datasets, to_datasets
from galcfm.survey.disk import (
    EMBEDDING_FILE,
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
        catalogue: Table with one row per galaxy, the columns of `REQUIRED_COLUMNS`, the magnitudes
            and properties that the survey declares, and `split`.
        images: Images, uint8 `(n, 128, 128, 3)`, channels i, r, g, or linear cutouts as declared,
            which may be memory-mapped; `None` for a catalogue without cutouts.
        parameters: Parameters that made the survey, any JSON content. As `declaration`, the content
            of a `galcfm.properties.Declaration`, if the survey has other properties and bands than
            SDSS, embeddings or linear cutouts.
        name: Name in error messages, e.g. the folder.
        rejected: Rows that `from_table` could not use, with `row`, `object_id` and `reason`.
        embeddings: Embeddings by name, float32 `(n, length)`, which may be memory-mapped.

    Raises:
        SurveyError: The survey is not valid, see `validate`.
        DeclarationError: The declaration is impossible.
    """

    catalogue: pd.DataFrame
    images: np.ndarray | None = None
    parameters: dict = field(default_factory=dict)
    name: str = "survey"
    rejected: pd.DataFrame | None = None
    embeddings: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        self.catalogue = self.catalogue.reset_index(drop=True)
        self.validate()

    def __len__(self) -> int:
        return len(self.catalogue)

    @cached_property
    def declaration(self) -> Declaration:
        """What the survey has: properties, bands, embeddings, linear cutouts."""
        return Declaration.of(self.parameters.get("declaration", {}))

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
        """AB magnitudes without Galactic extinction, `(n, 5)`, in u, g, r, i, z or as declared.

        They are NaN where a band is missing, in a survey made with `missing_bands`.
        """
        return self.catalogue[list(self.declaration.magnitudes)].to_numpy(dtype=np.float64)

    @property
    def measured_magnitudes(self) -> np.ndarray:
        """Magnitudes `(n, 5)`, NaN where a band is missing or has only an upper limit."""
        columns = list(self.declaration.magnitude_errors)
        if not set(columns) <= set(self.catalogue):
            return self.magnitudes
        errors = self.catalogue[columns].to_numpy(dtype=np.float64)
        return np.where(np.isposinf(errors), np.nan, self.magnitudes)

    @property
    def properties(self) -> np.ndarray:
        """Properties in the order and units of the declaration, `(n, 5)` by default.

        They are NaN where a galaxy has no label.
        """
        names = self.declaration.property_names
        return self.catalogue.reindex(columns=names).to_numpy(dtype=np.float64)

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
        embeddings = {name: values[rows] for name, values in self.embeddings.items()}
        return Survey(
            self.catalogue.iloc[rows], images, self.parameters, self.name, embeddings=embeddings
        )

    def without_images(self) -> "Survey":
        """Return the galaxies without their images, for a model that does not need them."""
        return Survey(self.catalogue, None, self.parameters, self.name, embeddings=self.embeddings)

    def validate(self) -> None:
        """Check that the survey can be used.

        Raises:
            SurveyError: The survey cannot be used, see `galcfm.survey.rules.check_survey`.
        """
        missing_bands = self.parameters.get("missing_bands", False)
        check_survey(
            self.catalogue, self.images, self.name, missing_bands, self.declaration, self.embeddings
        )

    def save(self, folder: Path | str) -> None:
        """Write the survey to `folder`, completely or not at all; an existing survey is replaced.

        Raises:
            SurveyError: The folder contains other files.
            OSError: The folder cannot be written.
        """
        n_images = len(self) if self.images is not None else 0
        writer = SurveyWriter(folder, n_images, declaration=self.declaration)
        if self.images is not None:
            for start in range(0, len(self), IMAGES_A_BLOCK):
                writer.put(writer.partial, start, self.images[start : start + IMAGES_A_BLOCK])
        writer.finish(
            self.catalogue, self.parameters, rejected=self.rejected, embeddings=self.embeddings
        )

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
        parameters = description["parameters"]
        embeddings = {}
        for each in Declaration.of(parameters.get("declaration", {})).embeddings:
            path = folder / EMBEDDING_FILE.format(each.name)
            if path.name not in description["files"]:
                raise SurveyError(
                    f"{folder / 'survey.json'} does not list {path.name}: {SURVEY.remedy}"
                )
            with damage_in_a_sentence(path, SURVEY.remedy, SurveyError):
                embeddings[each.name] = np.load(path, mmap_mode="r")
        return cls(catalogue, images, parameters, str(folder), rejected, embeddings)

    from_table = classmethod(survey_of_table)
    to_datasets = to_datasets
    from_datasets = classmethod(from_datasets)
