"""Ties: links between properties of simulated galaxies and their images or measurements, by name.

Each tie can be switched off: `without=("fibre", …)`. The same seed then gives the same galaxies
except for the effect of its relations.
"""

from collections.abc import Collection
from pathlib import Path

import yaml

from galcfm.simulate.picture_relations import RELATIONS_BY_NAME
from galcfm.simulate.relations import Relation

# Words and relations of each tie.
TIES: dict[str, tuple[str, tuple[Relation, ...]]] = {
    name: (tie["words"], tuple(RELATIONS_BY_NAME[key] for key in tie["relations"]))
    for name, tie in yaml.safe_load(
        Path(__file__).with_name("ties.yaml").read_text(encoding="utf-8")
    ).items()
}


def require_ties(without: Collection[str]) -> tuple[str, ...]:
    """Return the names of `TIES` that are switched off, sorted.

    Raises:
        ValueError: A name is not among `TIES`, or `without` is one word.
    """
    if isinstance(without, str):
        raise ValueError(f"without is {without!r}: give a list of names, [{without!r}]")
    unknown = sorted(set(without) - set(TIES))
    if unknown:
        raise ValueError(f"without names {', '.join(unknown)}: choose from {', '.join(TIES)}")
    return tuple(sorted(set(without)))
