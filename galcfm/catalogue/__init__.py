"""Catalogues of any size: posteriors of all their galaxies, on Dask, each row once.

`infer_catalogue` infers a HATS catalogue, what LSDB or Dask has open, or files of tables, on the
threads of one machine or on any cluster. Needs `pip install "galcfm[catalogue]"`.
"""

__all__ = ["CatalogueError", "InferredCatalogue", "infer_catalogue"]


class CatalogueError(ValueError):
    """A catalogue that cannot be inferred, with the file, row or column and the remedy."""


def __getattr__(name):
    # Imported on first use: the command helps, shows and simulates without torch.
    if name in ("InferredCatalogue", "infer_catalogue"):
        from galcfm.catalogue import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'galcfm.catalogue' has no attribute {name!r}")
