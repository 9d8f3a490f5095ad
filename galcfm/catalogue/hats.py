"""Catalogues in the HATS format, which are cut by pixels of HEALPix: found, and completed."""

from collections.abc import Iterable
from pathlib import Path

from galcfm.catalogue import CatalogueError

__all__ = ["HATS_FILES", "find_hats", "is_hats", "pixel_folder", "write_hats"]

DESCRIPTIONS = ("hats.properties", "collection.properties", "properties")
# Files that make a folder of Parquet files a HATS catalogue.
HATS_FILES = (
    "hats.properties",
    "properties",
    "partition_info.csv",
    "dataset/_metadata",
    "dataset/_common_metadata",
)


def is_hats(folder: Path) -> bool:
    """Return whether a folder holds a HATS catalogue or collection."""
    return any((folder / name).is_file() for name in DESCRIPTIONS)


def pixel_folder(pixel) -> str:
    """Return the path of a pixel below the folder of the data."""
    return f"Norder={pixel.order}/Dir={pixel.dir}/Npix={pixel.pixel}"


def find_hats(folder: Path) -> tuple[dict[str, str], list[tuple]]:
    """Return the columns of positions, and name, file and pixel of each part of a catalogue.

    Arguments:
        folder: Folder of a HATS catalogue, or of a collection, whose main catalogue is meant.

    Raises:
        CatalogueError: LSDB is missing, or the catalogue cannot be read.
    """
    try:
        import hats
    except ImportError as error:
        raise CatalogueError(
            'HATS catalogues need LSDB: pip install "galcfm[catalogue]"'
        ) from error
    try:
        catalogue = hats.read_hats(folder)
        catalogue = getattr(catalogue, "main_catalog", catalogue)
        pixels, info = catalogue.get_healpix_pixels(), catalogue.catalog_info
    # A damaged catalogue can raise any error.
    except Exception as error:
        raise CatalogueError(
            f"{folder} cannot be read as a HATS catalogue ({' '.join(str(error).split())[:200]}): "
            "check that it is whole"
        ) from error
    found = []
    for pixel in pixels:
        name = pixel_folder(pixel)
        place = Path(str(catalogue.catalog_path)) / "dataset" / f"{name}{info.npix_suffix}"
        files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
        found += [(f"{name}/{file.stem}", file, (pixel.order, pixel.pixel)) for file in files]
    return {"ra": info.ra_column, "dec": info.dec_column}, found


def write_hats(folder: Path, pixels: Iterable[tuple[int, int]], rows: int, healpix: bool) -> None:
    """Write what makes the files of a result a HATS catalogue, `hats.properties` last.

    Arguments:
        folder: Folder of the result.
        pixels: HEALPix order and pixel of each file, which may repeat.
        rows: Number of rows.
        healpix: Whether the rows have a spatial index.
    """
    from hats.catalog import PartitionInfo, TableProperties
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.pixel_math import HealpixPixel

    info = PartitionInfo.from_healpix([HealpixPixel(*place) for place in dict.fromkeys(pixels)])
    info.write_to_file(catalog_path=folder)
    write_parquet_metadata(folder)
    index = {"healpix_column": "_healpix_29", "healpix_order": 29} if healpix else {}
    properties = TableProperties(
        catalog_name=folder.name,
        catalog_type="object",
        total_rows=rows,
        ra_column="ra",
        dec_column="dec",
        **index,
        npix_suffix="/",
        hats_order=str(info.get_highest_order()),
        hats_builder="galcfm",
    )
    properties.to_properties_file(folder)
