"""The cutouts of a large catalogue: a column of it, a folder, or an array on disk.

None is ever listed or read whole: a worker opens the picture of a row when that row's turn comes.
"""

import os
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np

from galcfm.catalogue.sources import Block, CatalogueError, Partition, stamp_of
from galcfm.survey.cutouts import STACKS, CutoutFolder, fitted_cutout, read_cutout

__all__ = ["Pictures", "open_pictures"]

LONGEST_NAME = 255  # bytes, of a file on disks of all kinds
ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


class Pictures:
    """Cutouts by the row of a block.

    Arguments:
        kind: `"column"`, `"folder"` or `"array"`.
        place: name of the column, or where folder or array are.
        pixel_scale: of the cutouts [arcsec/pixel].
    """

    def __init__(self, kind: str, place: str, pixel_scale: float):
        self.kind, self.place, self.pixel_scale = kind, place, pixel_scale
        if kind == "folder":
            self.folder = _Probed(place)
        elif kind == "array":
            self.images, self.object_id = _open_array(Path(place))

    @property
    def column(self) -> str | None:
        """Name of the column of cutouts, where they are one."""
        return self.place if self.kind == "column" else None

    def of(self, partition: Partition, block: Block, object_id, positions):
        """A function from the row of a block to its cutout, uint8 `(128, 128, 3)`.

        It raises `ValueError` with the reason where the row has none.
        """
        if self.kind == "folder":
            return lambda row: self.folder.cutout(
                row, object_id[row], self.pixel_scale, positions[row]
            )
        if self.kind == "column":
            return lambda row: _picture(block.pictures[row], self.pixel_scale)
        first = partition.first + block.first

        def read(row):
            number = first + row
            if self.object_id is not None:
                name = self.object_id[number]
                name = name.decode() if isinstance(name, bytes) else str(name)
                if name != object_id[row]:
                    raise ValueError(f"{self.place} has {name!r} in row {number}, not this galaxy")
            return fitted_cutout(np.asarray(self.images[number]), self.pixel_scale)

        return read


def open_pictures(cutouts, pixel_scale: float, source) -> tuple[str, str, float, str]:
    """What kind of cutouts these are, and where: the arguments of `Pictures`, and a stamp.

    Of a folder, files that come, go or are replaced are noticed; one that is written over is not.

    Arguments:
        cutouts: folder of files; a Zarr, HDF5 or NumPy file of uint8 `(n, height, width, 3)` in
            the order of the rows; or the name of a column.
        pixel_scale: of the cutouts [arcsec/pixel].
        source: the galaxies, a `Source`.

    Raises:
        CatalogueError: the array does not fit, or the order of the rows is not known.
    """
    path = Path(cutouts)
    if not path.exists():
        if os.sep in str(cutouts) or path.suffix:
            raise CatalogueError(f"{cutouts} is missing: check the path of the cutouts")
        return "column", str(cutouts), pixel_scale, ""
    path = path.resolve()
    zarr = [path / name for name in ZARR_FILES if (path / name).exists()]
    stamp = str([stamp_of(part) for part in (path, *zarr)])
    if path.is_dir() and not zarr:
        return "folder", str(path), pixel_scale, stamp
    if any(partition.first is None for partition in source.partitions):
        raise CatalogueError(
            f"{cutouts} holds cutouts in the order of the rows, and {source.name} has no such "
            "order: give them as a column of it or as a folder, or the rows as Parquet or FITS"
        )
    images, object_id = _open_array(path)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise CatalogueError(
            f"{cutouts} holds {images.dtype} {tuple(images.shape)}: uint8 (n, height, width, 3) "
            "with channels i, r, g is needed"
        )
    n = images.shape[0]
    lengths = {n, n if object_id is None else object_id.shape[0]}
    if source.rows is not None:
        lengths.add(source.rows)
    if len(lengths) > 1:
        raise CatalogueError(
            f"{cutouts} holds {n} cutouts for {source.rows} rows of {source.name}: one "
            "a row is needed"
        )
    return "array", str(path), pixel_scale, stamp


def _open_array(path: Path):
    """Images, and identifiers where the file has them; nothing is read."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r"), None
        if path.is_dir():
            import zarr

            opened = zarr.open(path, mode="r")
        else:
            import h5py

            opened = h5py.File(path, "r")
    except ImportError as error:
        raise CatalogueError(
            f'{path} needs Zarr or h5py: pip install "galcfm[catalogue]"'
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise CatalogueError(
            f"{path} cannot be read as Zarr, HDF5 or NumPy: check that it is whole"
        ) from error
    if hasattr(opened, "shape"):
        return opened, None
    name = next((name for name in STACKS if name in opened), None)
    if name is None:
        raise CatalogueError(f"{path} has no array called {' or '.join(STACKS)}: name it so")
    return opened[name], opened.get("object_id")


class _Probed(CutoutFolder):
    """A folder that is asked for one file after another: it may hold millions."""

    def __init__(self, folder):
        self.folder, self.bands, self.unit = Path(folder), None, "nanomaggy"
        self.inside = self.folder.resolve()

    def find(self, name: str, suffix: str, endings) -> Path | None:
        for ending in endings:
            for stem in dict.fromkeys((name, quote(name, safe=""))):
                for end in (ending, ending.upper()):
                    path = self.folder / f"{stem}{suffix}{end}"
                    if len(os.fsencode(path.name)) > LONGEST_NAME:
                        continue
                    # An identifier can lead out of the folder no more than a link can.
                    own = path.parent == self.folder and path.is_file()
                    if own and path.resolve().parent == self.inside:
                        return path
        return None


def _picture(value, pixel_scale: float) -> np.ndarray:
    """Cutout in a cell: JPEG or PNG, or the pixels themselves."""
    if hasattr(value, "as_py"):
        value = value.as_py()
    if value is None:
        raise ValueError("has no value")
    if isinstance(value, dict):  # as the data sets of the Hub have it
        value = value.get("bytes")
    if isinstance(value, bytes):
        return read_cutout(BytesIO(value), pixel_scale)
    if isinstance(value, list):  # of Arrow, which are whole numbers of any size
        try:
            pixels = np.array(value)
        except ValueError:  # rows of unequal length
            pixels = np.array(None)
        if pixels.dtype.kind in "iu" and pixels.size and 0 <= pixels.min() <= pixels.max() <= 255:
            pixels = pixels.astype(np.uint8)
    else:
        pixels = np.asarray(value)
    if pixels.dtype != np.uint8:
        raise ValueError("is no picture: JPEG, PNG or uint8 (height, width, 3) needed")
    if pixels.ndim == 1:
        return read_cutout(BytesIO(pixels.tobytes()), pixel_scale)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"has shape {pixels.shape}: (height, width, 3) is needed")
    return fitted_cutout(pixels, pixel_scale)
