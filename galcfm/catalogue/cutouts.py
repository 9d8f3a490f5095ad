"""Cutouts of a large catalogue: a column, a folder of files, or the images of a survey.

They are never listed or read as a whole: a worker opens the cutout of a row when it needs it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.sources import Partition, Source, stamp_of
from galcfm.paths import user_path
from galcfm.survey import Survey
from galcfm.survey.cutouts import CutoutFolder, fitted_cutout, read_cutout
from galcfm.survey.images import PIXEL_SCALE


@dataclass(frozen=True)
class CatalogueCutouts:
    """Location of the cutouts of a catalogue.

    Arguments:
        kind: `"column"`, `"folder"`, or `"array"` for the images of a survey of galcfm.
        place: Name of the column, or path of the folder or array.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        stamp: Size and modification time of the folder or array. They change when files of a folder
            are added, removed or replaced, but not when a file is overwritten.
    """

    kind: str
    place: str
    pixel_scale: float
    stamp: list | None = None

    @property
    def column(self) -> str | None:
        """Name of the column of cutouts, or `None` if they are not a column."""
        return self.place if self.kind == "column" else None

    def reader(self, partition: Partition, values: dict, cells) -> Callable[[int], np.ndarray]:
        """Return a function from the row of a partition to its cutout, uint8 `(128, 128, 3)`.

        The function raises `ValueError` with the reason if the row has no usable cutout.

        Arguments:
            partition: Partition of the rows.
            values: `object_id` and, if known, `ra` and `dec` [deg] of the rows.
            cells: Column of cutouts; ignored for other kinds.
        """
        object_id, scale = values["object_id"], self.pixel_scale
        if self.kind == "column":
            return lambda row: _of_cell(cells[row], scale)
        if self.kind == "array":
            images = np.load(self.place, mmap_mode="r")
            return lambda row: fitted_cutout(images[partition.start + row], scale)
        unknown = np.full(len(object_id), np.nan)
        positions = np.stack([values.get(name, unknown) for name in ("ra", "dec")], 1)
        folder = CutoutFolder(self.place)
        return lambda row: folder.cutout(object_id[row], scale, positions[row])


def find_cutouts(cutouts, pixel_scale: float | None, source: Source) -> CatalogueCutouts:
    """Return the kind and location of the cutouts.

    Arguments:
        cutouts: Folder of files, or name of a column; `None` for the images of a survey.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        source: Source of the galaxies.

    Raises:
        CatalogueError: No cutouts were found.
    """
    if cutouts is None:
        path = Path(source.name).resolve() / "images.npy"
        if not source.is_survey or Survey.load(path.parent).images is None:
            raise CatalogueError("this is an image model: give cutouts and their pixel_scale")
        return CatalogueCutouts("array", str(path), PIXEL_SCALE, stamp_of(path))
    path = user_path(cutouts, "cutouts", CatalogueError).resolve()
    if path.is_dir():
        return CatalogueCutouts("folder", str(path), pixel_scale, stamp_of(path))
    if path.exists() or path.suffix or os.sep in str(cutouts):
        raise CatalogueError(
            f"{cutouts} is not a folder of cutouts: give a folder or the name of a column; for an "
            "array or one file, make a survey with Survey.from_table, save it and infer it"
        )
    return CatalogueCutouts("column", str(cutouts), pixel_scale)


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
