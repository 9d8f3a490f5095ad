"""Embeddings of a large catalogue: columns of its tables, files, or those of a survey."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.sources import Source
from galcfm.paths import user_path
from galcfm.survey import Survey
from galcfm.survey.disk import EMBEDDING_FILE
from galcfm.survey.embeddings import Embeddings, read_embedding, require_embeddings
from galcfm.survey.tables import SourceTable


def find_embeddings(
    given: Mapping[str, Embeddings], used, source: Source, table: SourceTable, object_id
) -> dict[str, Embeddings]:
    """Return the embeddings that a model needs, with paths that all workers find.

    Arguments:
        given: Embeddings by name, as in `infer_catalogue`; a survey has its own.
        used: Embeddings with which the model was trained, as `galcfm.properties.Embedding`.
        source: Source of the galaxies.
        table, object_id: First rows of the source, and their identifiers.

    Raises:
        CatalogueError: An embedding is missing, not used, made by another model, an array, or of
            another length.
    """
    require_embeddings(given)
    is_own, names = source.is_survey and not given, [each.name for each in used]
    if is_own and used:
        folder = Path(source.name).resolve()
        given = {
            each.name: Embeddings(folder / EMBEDDING_FILE.format(each.name), each.model)
            for each in Survey.load(folder).declaration.embeddings
            if each.name in names
        }
    if unused := given.keys() - names:
        raise CatalogueError(f"this model uses no embedding {', '.join(unused)}: leave it out")
    found = {}
    for each in used:
        one = given.get(each.name)
        if one is None or one.model != each.model:
            raise CatalogueError(
                f"the embedding {each.name} is {f'of {one.model}' if one else 'missing'}, and this "
                f"model was trained with the one of {each.model}: give that one"
            )
        is_array = not isinstance(one.source, str | os.PathLike) or one.object_id is not None
        if not is_own and (is_array or str(one.source).endswith(".npy")):
            raise CatalogueError(
                f"the embedding {each.name} is neither a column nor a file with object_id: for an "
                "array, make a survey with Survey.from_table, save it and infer it"
            )
        if one.source not in table.names:
            path = user_path(one.source, "the embeddings", CatalogueError)
            one = replace(one, source=Path(os.path.abspath(path)))
        reasons = [[] for _ in object_id]
        length = read_some(one, each.name, table, object_id, reasons, 0).shape[1]
        if length != each.length and not all(reasons):
            raise CatalogueError(
                f"the embedding {each.name} has {length} numbers per galaxy, and this model was "
                f"trained with {each.length}: give those of {each.model}"
            )
        found[each.name] = one
    return found


def read_some(
    given: Embeddings, name: str, table: SourceTable, object_id, reasons, first: int, length=None
) -> np.ndarray:
    """Return an embedding as `read_embedding`; `first` is the row with which the table begins."""
    if str(given.source).endswith(".npy"):  # of a survey, in the order of its rows
        array = np.load(given.source, mmap_mode="r")[first : first + len(table)]
        given = replace(given, source=array)
    return read_embedding(given, name, table, object_id, reasons, length)
