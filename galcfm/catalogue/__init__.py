"""Catalogues of any size: posteriors of all galaxies, computed once per row on Dask.

`infer_catalogue` takes a HATS catalogue, a catalogue opened by LSDB or Dask, or files of tables,
and uses the threads of one machine or a cluster. Install it with `pip install "galcfm[catalogue]"`.
"""

__all__ = ["CatalogueError", "InferredCatalogue", "infer_catalogue"]


class CatalogueError(ValueError):
    """A catalogue cannot be inferred; the message gives the file, row or column and the remedy."""


def __getattr__(name):
    # Imported on first use: `simulate`, `show` and `--help` of the command do not need torch.
    if name in ("InferredCatalogue", "infer_catalogue"):
        from galcfm.catalogue import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'galcfm.catalogue' has no attribute {name!r}")
