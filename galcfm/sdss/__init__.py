"""The real survey: SDSS galaxies and their SkyServer cutouts."""

from galcfm.sdss.catalogue import CatalogueError, fetch_catalogue, select_galaxies
from galcfm.sdss.cutouts import (
    CUTOUT_SERVICE,
    DownloadError,
    Ledger,
    download_cutouts,
    make_survey,
)

__all__ = [
    "CUTOUT_SERVICE",
    "CatalogueError",
    "DownloadError",
    "Ledger",
    "download_cutouts",
    "fetch_catalogue",
    "make_survey",
    "select_galaxies",
]
