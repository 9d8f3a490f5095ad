"""Published relations from which simulated galaxies, their light and their labels are drawn.

They are in `relations.yaml`, and each is a name of this module, such as `MASS_FUNCTION`. Together
with those of `picture_relations.py` they are `RELATIONS`, which the code computes with and the book
prints: each coefficient is written once.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from galcfm.properties import EXTINCTION


@dataclass(frozen=True)
class Relation:
    """One published relation.

    Arguments:
        name: What it gives.
        formula: The relation, in plain text.
        coefficients: Its numbers by name, in the units of the formula. Five numbers are for u, g,
            r, i, z, three for g, r, i; with an entry `m`, the others are values at these masses.
        sources: BibTeX keys.
        note: Our own choices: how a number was read, combined or extrapolated.
        scatter: Scatter about it, in words.
    """

    name: str
    formula: str
    coefficients: dict[str, float | tuple[float, ...]]
    sources: tuple[str, ...]
    note: str = ""
    scatter: str = "none"

    def __getitem__(self, coefficient: str):
        value = self.coefficients[coefficient]
        return np.array(value) if isinstance(value, tuple) else value

    def at(self, m: np.ndarray, name: str) -> np.ndarray:
        """Return a coefficient interpolated at log masses `m`."""
        return np.interp(m, self["m"], self[name])


def read_relations(path: Path) -> dict[str, Relation]:
    """Return the relations in a YAML file by name."""
    found = {}
    for name, given in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        coefficients = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in given["coefficients"].items()
        }
        fields = {"coefficients": coefficients, "sources": tuple(given["sources"])}
        found[name] = Relation(**given | fields)
    return found


RELATIONS_OF_GALAXIES = read_relations(Path(__file__).with_name("relations.yaml"))
_OF_SKY = RELATIONS_OF_GALAXIES["GALACTIC_EXTINCTION"]
RELATIONS_OF_GALAXIES["GALACTIC_EXTINCTION"] = replace(
    _OF_SKY, coefficients=EXTINCTION | _OF_SKY.coefficients
)
globals().update(RELATIONS_OF_GALAXIES)
