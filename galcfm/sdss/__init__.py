"""The real survey: SDSS galaxies and their SkyServer cutouts."""

from galcfm.sdss.catalogue import SKYSERVER, CatalogueError, fetch_catalogue, select_galaxies
from galcfm.sdss.cutouts import CUTOUT_SERVICE, DownloadError, Ledger, download_cutouts
from galcfm.sdss.making import download_survey, make_survey

__all__ = [
    "CUTOUT_SERVICE",
    "SKYSERVER",
    "CatalogueError",
    "DownloadError",
    "Ledger",
    "download_cutouts",
    "download_survey",
    "fetch_catalogue",
    "make_survey",
    "select_galaxies",
]
