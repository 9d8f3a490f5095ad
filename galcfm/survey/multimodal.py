"""A builder like those of the Multimodal Universe, for surveys in its layout on disk.

It has its own file, since `datasets` replaces functions of the module that a builder comes from.
"""

import numpy as np

from galcfm.survey.cards import library
from galcfm.survey.rules import SurveyError

__all__ = ["builder"]


def builder(folder):
    """Return the builder of a folder that `Survey.to_datasets(folder, layout="healpix")` wrote.

    `get_catalog` and `cross_match_datasets` of the Multimodal Universe take it in place of what
    `load_dataset_builder` returns: `cross_match_datasets(builder("mine"), theirs)`.

    Arguments:
        folder: Path of the folder.

    Raises:
        SurveyError: It holds no such files.
    """
    import pathlib

    datasets, h5py = library("datasets", SurveyError), library("h5py", SurveyError)
    folder = pathlib.Path(folder)
    files = [str(path) for path in sorted(folder.glob("healpix=*/*.hdf5"))]
    if not files:
        raise SurveyError(f"{folder} has no healpix=*/*.hdf5: write it with layout='healpix'")
    with h5py.File(files[0]) as first:
        features = datasets.Features(
            {
                name: datasets.Image()
                if name == "rgb_image"
                else datasets.Value("string" if data.dtype.kind == "S" else str(data.dtype))
                for name, data in first.items()
            }
        )

    class MultimodalSurvey(datasets.GeneratorBasedBuilder):
        def _info(self):
            return datasets.DatasetInfo(features=features, description=folder.name)

        def _split_generators(self, manager):
            return [
                datasets.SplitGenerator(name=split, gen_kwargs={"files": list(paths)})
                for split, paths in self.config.data_files.items()
            ]

        def _generate_examples(self, files, object_ids=None):
            for k, path in enumerate(files):
                yield from _examples(h5py, path, None if object_ids is None else object_ids[k])

    name = "".join(letter if letter.isalnum() else "_" for letter in folder.name)
    cache = str(folder / ".cache")
    return MultimodalSurvey(config_name=name, data_files={"train": files}, cache_dir=cache)


def _examples(h5py, path: str, wanted):
    """Yield key and columns of the galaxies of a file, in the order of the identifiers `wanted`."""
    with h5py.File(path) as data:
        known = data["object_id"][:]
        order = np.argsort(known)
        for name in known if wanted is None else wanted:
            name = name.encode() if isinstance(name, str) else name
            row = order[np.searchsorted(known, name, sorter=order)]
            # The key is the identifier as HDF5 has it: theirs are, and pairs are checked by it.
            yield (
                str(known[row]),
                {
                    column: values[row].decode() if values.dtype.kind == "S" else values[row]
                    for column, values in data.items()
                },
            )
