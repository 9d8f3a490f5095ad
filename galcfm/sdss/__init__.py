"""The real survey: SDSS galaxies and their SkyServer cutouts."""

from galcfm.sdss.cutouts import (
    CUTOUT_SERVICE,
    DownloadError,
    Ledger,
    download_cutouts,
    make_survey,
)

__all__ = ["CUTOUT_SERVICE", "DownloadError", "Ledger", "download_cutouts", "make_survey"]
