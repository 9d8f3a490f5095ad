"""The cutouts of a large catalogue: a column of it, a folder, or an array on disk.

None of them is listed or read as a whole: a worker opens the cutout of a row when it needs it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.sources import Partition, Source, stamp_of
from galcfm.survey.cutouts import STACKS, CutoutFolder, fitted_cutout, read_cutout

__all__ = ["CatalogueCutouts", "find_cutouts"]

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True)
class CatalogueCutouts:
    """Where the cutouts of a catalogue are.

    Arguments:
        kind: `"column"`, `"folder"` or `"array"`.
        place: Name of the column, or path of the folder or array.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        stamp: Text that differs when there are others at the same place. It tells when files of a
            folder are added, removed or replaced, not when one is written over.
    """

    kind: str
    place: str
    pixel_scale: float
    stamp: str = ""

    @property
    def column(self) -> str | None:
        """Name of the column of cutouts, if they are one."""
        return self.place if self.kind == "column" else None

    def reader(self, partition: Partition, values: dict, cells) -> Callable[[int], np.ndarray]:
        """Return a function from the row of a partition to its cutout, uint8 `(128, 128, 3)`.

        It raises `ValueError` with the reason if the row has none.

        Arguments:
            partition: Partition of the rows.
            values: `object_id` and, if known, `ra` and `dec` [deg] of the rows.
            cells: Column of cutouts, if they are one.
        """
        object_id, scale = values["object_id"], self.pixel_scale
        if self.kind == "column":
            return lambda row: _of_cell(cells[row], scale)
        if self.kind == "folder":
            unknown = np.full(len(object_id), np.nan)
            positions = np.stack([values.get(name, unknown) for name in ("ra", "dec")], 1)
            folder = CutoutFolder(self.place)
            return lambda row: folder.cutout(object_id[row], scale, positions[row])
        images, names = _open_array(self.place, self.stamp)

        def read(row):
            number = partition.first + row
            try:
                name = object_id[row] if names is None else names[number]
                pixels = np.asarray(images[number])
            except OSError as error:
                raise CatalogueError(f"{self.place} cannot be read ({error})") from error
            name = name.decode() if isinstance(name, bytes) else str(name)
            if name != object_id[row]:
                raise ValueError(f"{self.place} has {name!r} in row {number}, not this galaxy")
            return fitted_cutout(pixels, scale)

        return read


def find_cutouts(cutouts, pixel_scale: float, source: Source) -> CatalogueCutouts:
    """Return what kind of cutouts these are, and where.

    Arguments:
        cutouts: Folder of files; a Zarr, HDF5 or NumPy file of uint8 `(n, height, width, 3)` in
            the order of the rows; or the name of a column.
        pixel_scale: Scale of the cutouts [arcsec/pixel].
        source: The galaxies.

    Raises:
        CatalogueError: The array does not fit, or the order of the rows is not known.
    """
    path = Path(cutouts).expanduser()
    if not path.exists():
        if os.sep in str(cutouts) or path.suffix:
            raise CatalogueError(f"{cutouts} is missing: check the path of the cutouts")
        return CatalogueCutouts("column", str(cutouts), pixel_scale)
    path = path.resolve()
    zarr = [path / name for name in ZARR_FILES if (path / name).exists()]
    stamp = str([stamp_of(part) for part in (path, *zarr)])
    if path.is_dir() and not zarr:
        return CatalogueCutouts("folder", str(path), pixel_scale, stamp)
    if any(partition.first is None for partition in source.partitions):
        raise CatalogueError(
            f"{cutouts} holds cutouts in the order of the rows, and {source.name} has no such "
            "order: give them as a column of it or as a folder, or the rows as Parquet or FITS"
        )
    images, _ = _open_array(str(path), stamp)
    shape, n = tuple(images.shape), source.rows
    if images.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or n not in (None, shape[0]):
        raise CatalogueError(
            f"{cutouts} holds {images.dtype} {shape}: uint8 ({n or 'n'}, height, width, 3) with "
            "channels i, r, g is needed, one cutout per row"
        )
    return CatalogueCutouts("array", str(path), pixel_scale, stamp)


@lru_cache(maxsize=8)
def _open_array(place: str, stamp: str):
    """Return images, and identifiers if the file has them; nothing is read."""
    path = Path(place)
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r"), None
        if path.is_dir():
            import zarr

            opened = zarr.open(path, mode="r")
        else:
            import h5py

            opened = h5py.File(path, "r")
        if hasattr(opened, "shape"):
            return opened, None
        name, *_ = [name for name in STACKS if name in opened]
        return opened[name], opened.get("object_id")
    except (OSError, ValueError, EOFError) as error:
        names = " or ".join(STACKS)
        raise CatalogueError(
            f"{path} cannot be read as NumPy, Zarr or HDF5 with an array called {names}"
        ) from error


def _of_cell(value, pixel_scale: float) -> np.ndarray:
    """Return the cutout in a cell: JPEG or PNG, or the pixels themselves."""
    value = value.as_py() if hasattr(value, "as_py") else value
    # Data sets of the Hub have a dict.
    value = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(value, bytes):
        return read_cutout(BytesIO(value), pixel_scale)
    try:
        pixels = np.asarray(value)
    except ValueError:  # rows of unequal length
        pixels = np.empty(0)
    # Lists of Arrow hold whole numbers of any size.
    if isinstance(value, list) and pixels.dtype.kind == "i" and pixels.size:
        pixels = pixels.astype(np.uint8 if 0 <= pixels.min() <= pixels.max() <= 255 else int)
    if pixels.dtype == np.uint8 and pixels.ndim == 1:
        return read_cutout(BytesIO(pixels.tobytes()), pixel_scale)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("is no picture: JPEG, PNG or uint8 (height, width, 3) needed")
    return fitted_cutout(pixels, pixel_scale)
