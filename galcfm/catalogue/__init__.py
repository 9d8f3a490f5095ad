"""Catalogues of any size: posteriors of all their galaxies, on Dask, nothing lost or doubled.

`infer_catalogue` infers a HATS catalogue or files of Parquet, FITS and CSV, on the threads of one
machine or on any cluster. Needs `pip install "galcfm[catalogue]"`.
"""

__all__ = ["CatalogueError", "InferredCatalogue", "infer_catalogue"]


def __getattr__(name):
    # Imported on first use: the command helps, shows and simulates without torch.
    if name == "CatalogueError":
        from galcfm.catalogue.sources import CatalogueError

        return CatalogueError
    if name in ("InferredCatalogue", "infer_catalogue"):
        from galcfm.catalogue.inference import InferredCatalogue, infer_catalogue

        return InferredCatalogue if name == "InferredCatalogue" else infer_catalogue
    raise AttributeError(f"module 'galcfm.catalogue' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
