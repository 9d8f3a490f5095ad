"""The rows of the study: one method each, with its settings and what is simplified of its paper."""

from dataclasses import dataclass, field
from pathlib import Path

from studies.frame import rows_of

RATES = tuple({"descent": {"learning_rate": rate}} for rate in (5e-4, 1.5e-3, 4e-3))


@dataclass(frozen=True)
class Row:
    """One method of the table.

    Arguments:
        label: The method in words.
        source: The paper that it is from.
        method: Name of a class in `studies.methods`.
        options: Options of that class; `descent` and `recipe` hold changes of the plan's training.
        tries: Further options, of which those with the best density on validation are taken.
        beside: Name of the row of this paper that sees the same, over which its gain is taken.
        note: What is simplified against the source.
    """

    label: str
    source: str
    method: str
    options: dict = field(default_factory=dict)
    tries: tuple[dict, ...] = RATES
    beside: str = "image"
    note: str = ""


ROWS = rows_of(Row, Path(__file__).with_name("rows.yaml"))
