"""Catalogues of any size: posteriors of all their galaxies, on Dask, nothing lost or doubled.

`infer_catalogue` infers a HATS catalogue or files of Parquet, FITS and CSV, on the threads of one
machine or on any cluster. Needs `pip install "galcfm[catalogue]"`.
"""

from galcfm.catalogue.inference import InferredCatalogue, infer_catalogue
from galcfm.catalogue.sources import CatalogueError

__all__ = ["CatalogueError", "InferredCatalogue", "infer_catalogue"]
