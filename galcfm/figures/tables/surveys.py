"""Tables of the simulated survey: its relations and its ties."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

__all__ = ["relations", "ties"]


def relations(all_relations: Sequence) -> pd.DataFrame:
    """Return the published relations of the simulated survey, one row per relation.

    Arguments:
        all_relations: Relations, `galcfm.simulate.RELATIONS`.
    """
    return (
        pd.DataFrame(
            {
                "gives": r.name,
                "relation": r.formula,
                "numbers": "; ".join(
                    f"{k} = {', '.join(f'{x:g}' for x in np.atleast_1d(v))}".replace("-", "−")
                    for k, v in r.coefficients.items()
                ),
                "scatter": r.scatter,
                "source": ", ".join(r.sources),
                "our choices": r.note,
            }
            for r in all_relations
        )
        .set_index("gives")
        .rename_axis(None)
    )


def ties(all_ties: Mapping[str, tuple[str, Sequence]], without: Sequence[str]) -> pd.DataFrame:
    """Return the ties of images and measurements to the properties, one row per tie.

    Arguments:
        all_ties: Ties, `galcfm.simulate.TIES`.
        without: Names of the ties that are not used in this survey.
    """
    return (
        pd.DataFrame(
            {
                "tie": name,
                "what it links": what,
                "relations": "; ".join(relation.name for relation in relations),
                "in this survey": "no" if name in without else "yes",
            }
            for name, (what, relations) in all_ties.items()
        )
        .set_index("tie")
        .rename_axis(None)
    )
