"""Rules of a survey: its columns, plausible values, splits and matching images."""

import hashlib

import numpy as np
import pandas as pd

from galcfm.properties import MAGNITUDES, PROPERTIES, PROPERTY_NAMES
from galcfm.survey.images import IMAGE_SHAPE

SPLITS = ("train", "validation", "test")
REQUIRED_COLUMNS = ("object_id", "ra", "dec", "redshift", "ebv", *MAGNITUDES)


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


def check_survey(
    table: pd.DataFrame, images: np.ndarray | None, name: str, missing_bands: bool = False
) -> None:
    """Check that catalogue and images form a valid survey.

    Arguments:
        table: Table with one row per galaxy.
        images: Images, uint8 `(n, 128, 128, 3)`, or `None`.
        name: Name of the survey in messages.
        missing_bands: Whether magnitudes may be NaN, though not all magnitudes of one galaxy.

    Raises:
        SurveyError: Columns are missing, identifiers repeat, a magnitude is not finite or not
            plausible, a property is not plausible, a split is unknown, or images and catalogue do
            not match.
    """
    where = f"{name}: catalogue"
    properties = [p for p in PROPERTIES if p.name in table]
    missing = [c for c in (*REQUIRED_COLUMNS, "split") if c not in table]
    if properties and len(properties) < len(PROPERTIES):
        missing += [name for name in PROPERTY_NAMES if name not in table]
    if missing:
        raise SurveyError(f"{where} lacks the columns {', '.join(missing)}: add them")
    repeated = table["object_id"].duplicated()
    if repeated.any():
        raise SurveyError(
            f"{where} row {repeated.idxmax()}: object_id "
            f"{table['object_id'][repeated.idxmax()]!r} occurs twice; drop one of the rows"
        )
    ranges = {name: (0.0, 40.0) for name in MAGNITUDES} | {p.name: p.plausible for p in properties}
    for column, (low, high) in ranges.items():
        values = table[column].to_numpy(dtype=np.float64)
        # A galaxy without a label can still be inferred.
        may_lack = column in PROPERTY_NAMES or (missing_bands and column in MAGNITUDES)
        unknown = np.isnan(values) & may_lack
        bad = ~((values >= low) & (values <= high) | unknown)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise SurveyError(
                f"{where} row {row} (object_id {table['object_id'][row]!r}): {column} is "
                f"{values[row]}, outside [{low:g}, {high:g}]; {bad.sum()} such rows: "
                "remove them or correct the column"
            )
    without = table[list(MAGNITUDES)].isna().all(axis=1)
    if without.any():
        raise SurveyError(
            f"{where} row {int(without.argmax())}: no band is measured; {without.sum()} such rows: "
            "remove them"
        )
    unknown = set(table["split"]) - set(SPLITS)
    if unknown:
        raise SurveyError(f"{where}: split has the values {unknown}; use {', '.join(SPLITS)}")
    needed = (len(table), *IMAGE_SHAPE)
    if images is not None and (images.shape != needed or images.dtype != np.uint8):
        raise SurveyError(
            f"{name}: images are {images.dtype} {images.shape} but the "
            f"catalogue has {len(table)} rows: give uint8 {needed}"
        )
