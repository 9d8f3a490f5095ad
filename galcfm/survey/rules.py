"""Rules of a survey: its columns, plausible values, splits and matching images."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from galcfm.properties import SDSS, Declaration
from galcfm.survey.images import IMAGE_SHAPE

ROWS_CHECKED = 4096  # rows of an embedding that are in memory at once
SPLITS = ("train", "validation", "test")
REQUIRED_COLUMNS = ("object_id", "ra", "dec", "redshift", "ebv")


class SurveyError(ValueError):
    """A survey cannot be used; the message names the file, row or column and the remedy."""


def require_booleans(error: type[Exception] = ValueError, **values) -> None:
    """Raise an error for a value that is neither True nor False, as "no" would count as true.

    Arguments:
        error: Kind of the exception.
        values: Values by the names of the arguments.
    """
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise error(f"{name} is {value!r}: give True or False, without quotes")


def assign_split(object_id, validation: float, test: float) -> np.ndarray:
    """Return the split of each galaxy, by a hash of its `object_id`.

    The split of a galaxy does not depend on the other galaxies, so that a larger survey never moves
    a test galaxy into the training split.

    Arguments:
        object_id: Identifiers, `(n,)`.
        validation: Fraction of galaxies for validation.
        test: Fraction of galaxies for the test split.

    Returns:
        Array `(n,)` of `"train"`, `"validation"` or `"test"`.

    >>> assign_split(["a", "b", "c", "d"], validation=0.1, test=0.1).tolist()
    ['train', 'train', 'validation', 'test']
    """
    if validation <= 0 or test <= 0 or validation + test >= 1:
        raise ValueError(
            f"validation = {validation} and test = {test}: give fractions that sum to less than 1"
        )
    digests = (hashlib.sha256(str(name).encode()).digest()[:8] for name in object_id)
    u = np.array([int.from_bytes(d, "big") / 2**64 for d in digests])
    return np.select([u < test, u < test + validation], ["test", "validation"], "train")


def image_kind(declaration: Declaration) -> tuple[tuple[int, int, int], type]:
    """Return shape and type of one image: a colour image, or linear cutouts if declared."""
    cutouts = declaration.cutouts
    if cutouts is None:
        return IMAGE_SHAPE, np.uint8
    return (cutouts.size, cutouts.size, len(cutouts.bands)), np.float32


def check_survey(
    table: pd.DataFrame,
    images: np.ndarray | None,
    name: str,
    missing_bands: bool = False,
    declaration: Declaration = SDSS,
    embeddings: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Check that catalogue, images and embeddings form a valid survey.

    Arguments:
        table: Table with one row per galaxy.
        images: Images, uint8 `(n, 128, 128, 3)` or as declared, or `None`.
        name: Name of the survey in messages.
        missing_bands: Whether magnitudes may be NaN, though not all magnitudes of one galaxy.
        declaration: What the survey has.
        embeddings: Embeddings by name, each `(n, length)`.

    Raises:
        SurveyError: Columns are missing, identifiers repeat, a magnitude is not finite or not
            plausible, a property is not plausible, a split is unknown, or images, embeddings and
            catalogue do not match.
    """
    where = f"{name}: catalogue"
    magnitudes, names = declaration.magnitudes, declaration.property_names
    properties = [p for p in declaration.properties if p.name in table]
    missing = [c for c in (*REQUIRED_COLUMNS, *magnitudes, "split") if c not in table]
    # The column of redshifts is there even if they are no property.
    if {p.name for p in properties} - {"redshift"} and len(properties) < len(names):
        missing += [name for name in names if name not in table]
    if missing:
        raise SurveyError(f"{where} lacks the columns {', '.join(missing)}: add them")
    repeated = table["object_id"].duplicated()
    if repeated.any():
        raise SurveyError(
            f"{where} row {repeated.idxmax()}: object_id "
            f"{table['object_id'][repeated.idxmax()]!r} occurs twice; drop one of the rows"
        )
    ranges = {name: (0.0, 40.0) for name in magnitudes} | {p.name: p.plausible for p in properties}
    for column, (low, high) in ranges.items():
        values = table[column].to_numpy(dtype=np.float64)
        # A galaxy without a label can still be inferred.
        may_lack = column in names or (missing_bands and column in magnitudes)
        unknown = np.isnan(values) & may_lack
        bad = ~((values >= low) & (values <= high) | unknown)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise SurveyError(
                f"{where} row {row} (object_id {table['object_id'][row]!r}): {column} is "
                f"{values[row]}, outside [{low:g}, {high:g}]; {bad.sum()} such rows: "
                "remove them or correct the column"
            )
    without = table[list(magnitudes)].isna().all(axis=1)
    if without.any():
        raise SurveyError(
            f"{where} row {int(without.argmax())}: no band is measured; {without.sum()} such rows: "
            "remove them"
        )
    unknown = set(table["split"]) - set(SPLITS)
    if unknown:
        raise SurveyError(f"{where}: split has the values {unknown}; use {', '.join(SPLITS)}")
    shape, dtype = image_kind(declaration)
    needed = (len(table), *shape)
    if images is not None and (images.shape != needed or images.dtype != dtype):
        raise SurveyError(
            f"{name}: images are {images.dtype} {images.shape} but the "
            f"catalogue has {len(table)} rows: give {np.dtype(dtype)} {needed}"
        )
    _check_embeddings(embeddings or {}, declaration, name, len(table))


def _check_embeddings(embeddings, declaration: Declaration, name: str, n: int) -> None:
    declared = {each.name: each for each in declaration.embeddings}
    if differing := set(declared) ^ set(embeddings):
        raise SurveyError(
            f"{name}: the embeddings {', '.join(sorted(differing))} are declared without values, "
            "or have values without a declaration: give both"
        )
    for key, values in embeddings.items():
        needed = (n, declared[key].length)
        if values.shape != needed or values.dtype != np.float32:
            raise SurveyError(
                f"{name}: the embedding {key} is {values.dtype} {values.shape}: give float32 "
                f"{needed}, one row per galaxy"
            )
        for start in range(0, n, ROWS_CHECKED):
            good = np.isfinite(values[start : start + ROWS_CHECKED]).all(axis=1)
            if not good.all():
                raise SurveyError(
                    f"{name}: the embedding {key} is not finite in row "
                    f"{start + int(np.argmin(good))}: remove this row"
                )
