"""Cutouts of a large catalogue: a column, a folder of files, or the images of a survey.

They are never listed or read as a whole: a worker opens the cutout of a row when it needs it.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.sources import Partition, Source, stamp_of
from galcfm.paths import user_path
from galcfm.posterior import Posterior
from galcfm.properties import LinearCutouts, checked_bands
from galcfm.survey import Survey
from galcfm.survey.cutouts import CutoutFolder, Cutouts, fitted_cutout, linear_of, read_cutout
from galcfm.survey.images import PIXEL_SCALE
from galcfm.survey.sky import SAME_SCALE

# Largest numbers of rows per partition of a table with a column of cutouts; a linear cutout with
# its masks takes a megabyte.
ROWS_WITH_CUTOUTS, ROWS_WITH_FLUXES = 1000, 200


@dataclass(frozen=True)
class CatalogueCutouts:
    """Location of the cutouts of a catalogue.

    Arguments:
        kind: `"column"`, `"folder"`, or `"array"` for the images of a survey of galcfm.
        place: Name of the column, or path of the folder or array.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        stamp: Size and modification time of the folder or array. They change when files of a folder
            are added, removed or replaced, but not when a file is overwritten.
        linear: Linear cutouts that the model takes, `None` for colour images.
        unit: Unit of fluxes, if files do not state it.
        bands: Bands of the planes of a column of fluxes.
    """

    kind: str
    place: str
    pixel_scale: float
    stamp: list | None = None
    linear: LinearCutouts | None = None
    unit: str = "nanomaggy"
    bands: Sequence[str] = ()

    @property
    def column(self) -> str | None:
        """Name of the column of cutouts, or `None` if they are not a column."""
        return self.place if self.kind == "column" else None

    @property
    def fluxes(self) -> list:
        """Unit and bands of fluxes that differ from the defaults, as JSON content."""
        return [self.unit, *self.bands] if self.bands or self.unit != "nanomaggy" else []

    def reader(self, partition: Partition, values: dict, cells) -> Callable[[int], np.ndarray]:
        """Return a function from the row of a partition to its cutout, as the model takes it.

        The function raises `ValueError` with the reason if the row has no usable cutout.

        Arguments:
            partition: Partition of the rows.
            values: `object_id` and, if known, `ra` and `dec` [deg] of the rows.
            cells: Column of cutouts; ignored for other kinds.
        """
        object_id, scale, linear = values["object_id"], self.pixel_scale, self.linear
        wanted = (linear.bands, linear.size) if linear else ()
        if self.kind == "column" and linear:
            return lambda row: linear_of(cells[row], *wanted, scale, self.unit, self.bands)
        if self.kind == "column":
            return lambda row: _of_cell(cells[row], scale)
        if self.kind == "array":
            images = np.load(self.place, mmap_mode="r")
            if linear:
                return lambda row: images[partition.start + row]
            return lambda row: fitted_cutout(images[partition.start + row], scale)
        unknown = np.full(len(object_id), np.nan)
        positions = np.stack([values.get(name, unknown) for name in ("ra", "dec")], 1)
        folder = CutoutFolder(self.place, self.unit)
        return lambda row: folder.cutout(object_id[row], scale, positions[row], *wanted)


def given_cutouts(cutouts, model: Posterior, rows: int) -> tuple[Cutouts | None, int]:
    """Return the cutouts as `Cutouts`, and the number of rows per partition, at most `rows`.

    A column of cutouts is read together with the other columns, in smaller partitions.
    """
    if cutouts is None:
        return None, rows
    given = cutouts if isinstance(cutouts, Cutouts) else Cutouts(cutouts)
    if not user_path(given.source, "cutouts", CatalogueError).exists():
        rows = min(rows, ROWS_WITH_FLUXES if model.declaration.cutouts else ROWS_WITH_CUTOUTS)
    return given, rows


def find_cutouts(
    given: Cutouts | None, pixel_scale: float | None, source: Source, linear: LinearCutouts | None
) -> CatalogueCutouts:
    """Return the kind and location of the cutouts.

    Arguments:
        given: Cutouts with a folder of files, or the name of a column, as source; `None` for the
            images of a survey.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        source: Source of the galaxies.
        linear: Linear cutouts that the model takes, `None` for colour images.

    Raises:
        CatalogueError: No cutouts were found, or the model takes others.
    """
    if given is None:
        path = Path(source.name).resolve() / "images.npy"
        survey = Survey.load(path.parent) if source.is_survey else None
        if survey is None or survey.images is None:
            raise CatalogueError("this is an image model: give cutouts and their pixel_scale")
        if (theirs := survey.declaration.cutouts) != linear:
            raise CatalogueError(
                f"{source.name} has {theirs or 'colour images'}, and the model takes "
                f"{linear or 'colour images'}: use another model, or make the survey again"
            )
        return CatalogueCutouts("array", str(path), PIXEL_SCALE, stamp_of(path), linear)
    if linear and not abs(pixel_scale / linear.pixel_scale - 1) < SAME_SCALE:
        raise CatalogueError(
            f"pixel_scale is {pixel_scale:g}, and the model takes {linear}: give its scale"
        )
    if given.bands and not linear:
        raise CatalogueError("the model takes colour images: leave the bands of the cutouts out")
    cutouts, bands = given.source, checked_bands(given.bands or linear.bands) if linear else ()
    of_fluxes = linear, given.unit, bands
    path = user_path(cutouts, "cutouts", CatalogueError).resolve()
    if path.is_dir():
        return CatalogueCutouts("folder", str(path), pixel_scale, stamp_of(path), *of_fluxes)
    if path.exists() or path.suffix or os.sep in str(cutouts):
        raise CatalogueError(
            f"{cutouts} is not a folder of cutouts: give a folder or the name of a column; for an "
            "array or one file, make a survey with Survey.from_table, save it and infer it"
        )
    return CatalogueCutouts("column", str(cutouts), pixel_scale, None, *of_fluxes)


def _of_cell(value, pixel_scale: float) -> np.ndarray:
    """Return the cutout in a cell, which contains a JPEG, a PNG or an array of pixels."""
    value = value.as_py() if hasattr(value, "as_py") else value
    # Data sets of the Hub store an image as a dict.
    value = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(value, bytes):
        return read_cutout(BytesIO(value), pixel_scale)
    try:
        pixels = np.asarray(value)
    except ValueError:  # rows of unequal length
        pixels = np.empty(0)
    # Lists of Arrow contain integers of any size.
    if isinstance(value, list) and pixels.dtype.kind == "i" and pixels.size:
        pixels = pixels.astype(np.uint8 if 0 <= pixels.min() <= pixels.max() <= 255 else int)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("it is not an image: give JPEG, PNG or uint8 (height, width, 3)")
    return fitted_cutout(pixels, pixel_scale)
