"""A survey: a catalogue of galaxies, their images, and where both came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.survey.disk import IMAGES_A_BLOCK, SurveyWriter, read_description, verify
from galcfm.survey.intake import take_in
from galcfm.survey.rules import SPLITS, check_survey


@dataclass
class Survey:
    """Galaxies with their photometry, images and properties.

    Arguments:
        catalogue: a row a galaxy, with the columns of `REQUIRED_COLUMNS`, the five properties
            and `split`.
        images: uint8 `(n, 128, 128, 3)`, channels i, r, g; may be memory-mapped. `None` for a
            catalogue without cutouts.
        parameters: how the survey was made; any JSON content.
        name: what error messages call it, e.g. its folder.
        rejected: rows that `from_table` could not use: `row`, `object_id` and `reason`.

    Raises:
        SurveyError: see `validate`.
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
        """Identifiers, strings, `(n,)`."""
        return self.catalogue["object_id"].to_numpy(dtype=object)

    @property
    def redshift(self) -> np.ndarray:
        """Spectroscopic redshifts, `(n,)`."""
        return self.catalogue["redshift"].to_numpy(dtype=np.float64)

    @property
    def magnitudes(self) -> np.ndarray:
        """AB magnitudes in u, g, r, i, z with Galactic extinction removed, `(n, 5)`.

        NaN where a band is missing, in a survey made with `missing_bands`.
        """
        return self.catalogue[list(MAGNITUDES)].to_numpy(dtype=np.float64)

    @property
    def measured_magnitudes(self) -> np.ndarray:
        """The magnitudes `(n, 5)`, NaN also where one is an upper limit of the flux alone."""
        if not set(MAGNITUDE_ERRORS) <= set(self.catalogue):
            return self.magnitudes
        errors = self.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(dtype=np.float64)
        return np.where(np.isposinf(errors), np.nan, self.magnitudes)

    @property
    def properties(self) -> np.ndarray:
        """The five properties in the order and units of `galcfm.properties`, `(n, 5)`.

        NaN where a galaxy has no label.
        """
        return self.catalogue.reindex(columns=PROPERTY_NAMES).to_numpy(dtype=np.float64)

    @property
    def source(self) -> str:
        """What its figures say it is: `simulated survey`, `SDSS`, or the name of your table."""
        kind = self.parameters.get("kind", "unknown")
        if kind == "table":
            return Path(self.parameters["source"]).name
        return {"simulated": "simulated survey", "sdss": "SDSS"}.get(kind, f"{kind} survey")

    def split(self, name: str) -> "Survey":
        """The galaxies of one split: `"train"`, `"validation"` or `"test"`."""
        if name not in SPLITS:
            raise ValueError(f"no split called {name!r}: choose from {', '.join(SPLITS)}")
        return self.select(np.flatnonzero(self.catalogue["split"].to_numpy() == name))

    def select(self, rows: np.ndarray) -> "Survey":
        """The galaxies of these row numbers. Images are copied from disk only for them."""
        rows = np.asarray(rows)
        rows = rows.astype(int) if rows.size == 0 else rows
        images = None if self.images is None else self.images[rows]
        return Survey(self.catalogue.iloc[rows], images, self.parameters, self.name)

    def validate(self) -> None:
        """Check that the survey can be used.

        Raises:
            SurveyError: see `galcfm.survey.rules.check_survey`.
        """
        missing_bands = self.parameters.get("missing_bands", False)
        check_survey(self.catalogue, self.images, self.name, missing_bands)

    def save(self, folder: Path | str) -> None:
        """Write the survey to `folder`, whole or not at all; an existing survey is replaced.

        Raises:
            SurveyError: the folder holds anything else.
            OSError: it cannot be written.
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
            SurveyError: a file is missing, altered or of another schema, or the content is not
                valid.
        """
        folder = Path(folder)
        description = read_description(folder)
        verify(folder, description)
        images = None
        if "images.npy" in description["files"]:
            images = np.load(folder / "images.npy", mmap_mode="r")
        catalogue, rejected = (
            pd.read_parquet(folder / name) if name in description["files"] else None
            for name in ("catalogue.parquet", "rejected.parquet")
        )
        return cls(catalogue, images, description["parameters"], str(folder), rejected)

    @classmethod
    def from_table(
        cls,
        table,
        columns: Mapping[str, str | None] | None = None,
        *,
        unit: str,
        total: bool,
        dereddened: bool,
        cutouts=None,
        pixel_scale: float | None = None,
        missing_bands: bool = False,
        strict: bool = False,
    ) -> "Survey":
        """Make a survey of your own galaxies.

        Rows that cannot be used are left out and listed in `.rejected` with the reason: values
        that are missing, coded as missing (-9999 and its kin) or not plausible, fluxes that are
        not positive, cutouts that are missing or wrong, and identifiers that occur twice.

        Example:
            ::

                survey = Survey.from_table(
                    "my_galaxies.fits",
                    {"object_id": "ID", "ebv": "EBV", "redshift": "Z"}
                    | {f"mag_{band}": f"FLUX_{band.upper()}" for band in "ugriz"},
                    unit="nanomaggy", total=True, dereddened=False,
                    cutouts="my_cutouts", pixel_scale=0.396,
                )
                print(survey.rejected)
                survey.save("data/surveys/mine")
                posteriors = Posterior.load("data/runs/quick/image").infer(survey)

        Arguments:
            table: path of a FITS, Parquet, CSV, ECSV or VOTable file, packed by gzip or not, or
                of an HDF5 file; a DataFrame, an astropy Table, a FITS extension or its records,
                an HDF5 group or dataset, an Arrow table, a structured array, or a dict of arrays.
                Units and gaps that it declares count.
            columns: name in the survey to name in the table; `"flux[2]"` is an element of a
                column of vectors. Columns not named here are taken if the table has them under
                the survey's own name; `None` leaves one out. `object_id` and `mag_u` … `mag_z`
                (magnitudes or fluxes) are needed. `ra`, `dec` [deg], `redshift`, `ebv`,
                `magerr_u` … `magerr_z` (in the unit of the fluxes) or in their place `ivar_u` …
                `ivar_z` (inverse variances of fluxes), the five properties, their
                `<property>_err`, `a_v_balmer` and `split` may be there; `split` is otherwise
                assigned. `galcfm.survey.propose_columns` proposes a mapping for tables as SDSS,
                the NASA-Sloan Atlas, the Legacy Surveys and GALEX publish them.
            unit: of magnitudes or fluxes: `"AB"`, `"nanomaggy"` or `"Jy"`, all on the AB system
                (SDSS's own zero points differ by -0.04 mag in u and 0.02 mag in z); `"asinh"`,
                AB as well, with the softening of SDSS; or `"Vega"`, with the m_AB - m_Vega of
                Blanton & Roweis (2007, AJ 133, 734). Other numbers: `{"asinh": {"u": 1.4e-10,
                …}}`, `{"Vega": {"u": 0.91, …}}`.
            total: declares that they measure whole galaxies: model, Petrosian or Sérsic, not
                aperture or fibre fluxes, which are refused.
            dereddened: whether the extinction by the Galaxy is already removed; if not, it is
                removed with `ebv`, E(B-V) on the scale of Schlegel et al. (1998), and the
                coefficients of Schlafly & Finkbeiner (2011, ApJ 737, 103).
            cutouts: uint8 `(n, height, width, 3)` with channels i, r, g, a row a galaxy; or a
                folder with ID.jpg, ID.png, or ID_i.fits, ID_r.fits and ID_g.fits, which may be
                packed (.fits.gz, .fits.fz): nanomaggies a pixel, or as BUNIT says; turned north up
                by their WCS, be it equatorial, galactic or ecliptic, and refused where its middle
                is not at `ra`, `dec`. Pictures are north up, east left. Characters that a file
                name cannot have are percent-encoded: a%2Fb.jpg is the cutout of a/b. Fluxes in
                bands that hold i, r and g may also be ID.fits with an extension a band or a cube,
                a .npy, .npz, HDF5 or FITS file of all galaxies, or an array; where they do not
                say their bands, `galcfm.survey.cutouts.Cutouts` does. Cutouts in g, r and z are
                refused: no model here is of these bands.
            pixel_scale: of the cutouts [arcsec/pixel], e.g. 0.262 for the Legacy Surveys; they may
                have any size, and their middle is resampled to 0.396.
            missing_bands: keep galaxies of which bands are missing (NaN, a code, or an inverse
                variance of 0) for a model with `missing_bands`; a band that the table lacks is
                mapped to None. A magnitude or flux whose error is infinite is an upper limit of
                the flux, and a flux that is not positive becomes one, at three times its error.
            strict: refuse the table if any row cannot be used.

        Raises:
            SurveyError: the table cannot be read, lacks a column or has one of a wrong kind, no
                row can be used, or, with `strict`, some cannot.
        """
        return cls(
            *take_in(
                table,
                columns,
                unit=unit,
                total=total,
                dereddened=dereddened,
                cutouts=cutouts,
                pixel_scale=pixel_scale,
                missing_bands=missing_bands,
                strict=strict,
            )
        )

    def to_datasets(self, folder: Path | str, *, layout: str = "parquet") -> None:
        """Write the survey in the layout of the Multimodal Universe, with a card as README.md.

        `datasets.load_dataset(folder)` reads it, and `hf upload owner/name folder --repo-type
        dataset` puts it on the Hugging Face Hub.

        Arguments:
            folder: where it goes; a data set that is there is replaced.
            layout: `"parquet"`, as on the Hub: a split a set of files; or `"healpix"`, for
                cross-matches: an HDF5 file for each of 3,072 pixels of the sky.

        Raises:
            SurveyError: the folder holds anything else, the layout is unknown, or a galaxy has no
                position.
            OSError: it cannot be written.
        """
        from galcfm.survey.datasets import to_datasets

        return to_datasets(self, folder, layout)

    @classmethod
    def from_datasets(cls, source, **options) -> "Survey":
        """Read a survey that `to_datasets` wrote, or a data set with the same columns.

        Galaxies come split by split, or pixel by pixel, as they lie there.

        Arguments:
            source: a folder, `"owner/name"` on the Hugging Face Hub, or a `datasets.Dataset` or
                `DatasetDict`. Others go through `from_table`: `dataset.to_pandas()`.
            options: of `huggingface_hub.snapshot_download`, e.g. `revision` or `token`.

        Raises:
            SurveyError: there is no such data set, or it is no survey.
        """
        from galcfm.survey.datasets import from_datasets

        return from_datasets(cls, source, options)
