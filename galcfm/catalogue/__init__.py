"""Catalogues of any size: posteriors of all galaxies, computed with Dask, each row once.

`infer_catalogue` infers a HATS catalogue, a catalogue that LSDB or Dask has open, or files of
tables, on the threads of one machine or on a cluster. It needs `pip install "galcfm[catalogue]"`.
"""

__all__ = ["CatalogueError", "InferredCatalogue", "infer_catalogue"]


class CatalogueError(ValueError):
    """A catalogue cannot be inferred; the message names the file, row or column and the remedy."""


def __getattr__(name):
    # Imported on first use, so that the command gives help, shows and simulates without torch.
    if name in ("InferredCatalogue", "infer_catalogue"):
        from galcfm.catalogue import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'galcfm.catalogue' has no attribute {name!r}")
