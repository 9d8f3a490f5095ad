"""What the image adds to the photometry of deeper and sharper surveys.

A survey of each of the simulator's `INSTRUMENTS` is made, and both models are trained on it as in
`studies.picture_worth`.
"""

from collections.abc import Mapping
from functools import partial

import pandas as pd

from galcfm.figures.tables.words import SYMBOLS, with_error
from galcfm.simulate import INSTRUMENTS
from studies import picture_worth
from studies.figures import mean_over_seeds
from studies.frame import Study
from studies.picture_worth.rows import Row

STUDY = Study(
    "other_instruments", "08_what_matters", parameter="results_instruments", group="instruments"
)
ROWS = {name: Row(name, instrument=name) for name in INSTRUMENTS}

make = partial(picture_worth.make, rows=(), study=STUDY, known=ROWS)


def table(results: Mapping) -> pd.DataFrame:
    """Return what the image adds to each instrument's photometry, and what means explain.

    Arguments:
        results: Content of the result.
    """
    rows = {}
    for name, row in results["instruments"].items():
        of = INSTRUMENTS[row["row"]["instrument"]]
        shares = [mean_over_seeds(row, kind, "explained") for kind in ("photometry", "image")]
        rows[name] = {
            "limit in r": f"{of.magnitude_limit:g}",
            "redshifts": "–".join(f"{z:g}" for z in of.redshift_range),
            "pixels": f"{of.pixel_scale:g}″",
            "gain [nat]": with_error(row["gain"], row["standard_error"], 3, "+"),
        } | {
            f"{symbol} [%]": "→".join(f"{100 * share[p]:.0f}" for share in shares)
            for p, symbol in SYMBOLS.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")
