"""Allowed settings of models and trainings: annotations with ranges and their descriptions."""

from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from galcfm.posterior.features import FEATURES

LARGEST = 1.7e308
Count = Annotated[int, Meta(ge=1, description="a whole number, at least 1")]
Whole = Annotated[int, Meta(ge=0, description="a whole number, at least 0")]
Positive = Annotated[float, Meta(gt=0, le=LARGEST, description="a positive number")]
NotNegative = Annotated[float, Meta(ge=0, le=LARGEST, description="a number, at least 0")]
Share = Annotated[float, Meta(ge=0, lt=1, description="a number from 0 to below 1")]
Switch = Annotated[bool, Meta(description="True or False, without quotes")]
Counts = Annotated[list[Count], Meta(min_length=1, description="a list of whole numbers")]
Schedule = Annotated[Literal["constant", "cosine"], Meta(description="'constant' or 'cosine'")]
Features = Annotated[Literal[FEATURES], Meta(description=f"one of {', '.join(FEATURES)}")]


def require_kinds(kinds, values: dict[str, Any], error: type[Exception] = ValueError) -> None:
    """Refuse values with a type or range other than in the annotations.

    Arguments:
        kinds: Class or function with annotations of the values.
        values: Values by name.
        error: Kind of the exception.
    """
    for name, kind in get_type_hints(kinds, include_extras=True).items():
        try:
            msgspec.convert(values[name], kind)
        except msgspec.ValidationError as wrong:
            words = kind.__metadata__[0].description
            raise error(f"{name} is {values[name]!r}: give {words}") from wrong
