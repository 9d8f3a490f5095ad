"""The rows of the study: one method each, with its settings and what it simplifies of its paper."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
        beside: Name of the row of the book's model with the same inputs, which it is compared with.
        note: What is simplified compared with the source.
    """

    label: str
    source: str
    method: str
    options: dict = field(default_factory=dict)
    tries: tuple[dict, ...] = RATES
    beside: str = "image"
    note: str = ""


# Methods that are fitted galaxy by galaxy and learn nothing from the survey.
FITTED = ("SedFitting",)
ROWS = rows_of(Row, Path(__file__).with_name("rows.yaml"))


def described(stored: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """Return stored rows with the words that the study has for them today."""
    return {name: of | {"row": asdict(ROWS[name])} for name, of in stored.items() if name in ROWS}
