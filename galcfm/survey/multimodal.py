"""What cross-matches of the Multimodal Universe ask of a data set, for surveys in its layout."""

from pathlib import Path

import numpy as np

from galcfm.survey.cards import library
from galcfm.survey.rules import SurveyError

__all__ = ["builder"]


def builder(folder: Path | str):
    """Return the builder of a folder that `Survey.to_datasets(folder, layout="healpix")` wrote.

    `get_catalog` and `cross_match_datasets` of the Multimodal Universe take it in place of what
    `load_dataset_builder` returns, which cannot pick galaxies by their identifiers:
    `cross_match_datasets(builder("mine"), theirs)`.

    Arguments:
        folder: Path of the folder.

    Raises:
        SurveyError: It holds no such files.
    """
    folder = Path(folder)
    if not list(folder.glob("healpix=*/*.hdf5")):
        raise SurveyError(f"{folder} has no healpix=*/*.hdf5: write it with layout='healpix'")
    datasets = library("datasets", SurveyError)
    found = datasets.load_dataset_builder(str(folder), cache_dir=str(folder / ".cache"))
    found._generate_examples = _examples
    return found


def _examples(files, object_ids):
    """Yield key and columns of the galaxies of files, in the order of the identifiers of each."""
    import h5py

    for path, wanted in zip(files, object_ids, strict=True):
        with h5py.File(path) as data:
            known = data["object_id"][:]
            order = np.argsort(known)
            for name in wanted:
                name = name.encode() if isinstance(name, str) else name
                row = order[np.searchsorted(known, name, sorter=order)]
                values = {column: cells[row] for column, cells in data.items()}
                # The key is the identifier as HDF5 has it: theirs are, and pairs are checked by it.
                yield (
                    str(known[row]),
                    {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()},
                )
