"""Tables and figures of real galaxies of DESI."""

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import with_error
from studies.desi import MODELS, PROPERTIES, Found


def words(found: Found | None) -> str:
    """Return what this book says of its real galaxies, as Markdown."""
    if found is None:
        return (
            "*This book was built without the table: no real galaxies of DESI are shown here. "
            "`make book PROFILE=desi` builds it with them.*"
        )
    splits = found.survey.catalogue["split"].value_counts()
    rejected = 0 if found.survey.rejected is None else len(found.survey.rejected)
    without = int(found.survey.catalogue["log_sfr"].isna().sum())
    return (
        f"*Real galaxies of {found.source}:* {len(found.survey):,}, of which "
        f"{splits.get('train', 0):,} to train, {splits.get('validation', 0):,} to validate and "
        f"{splits.get('test', 0):,} to test; {without:,} have no star formation rate. "
        f"`Survey.from_table` refused {rejected:,} more."
    )


def gains(found: Found) -> pd.DataFrame:
    """Return what each embedding adds to photometry [nat], and the scatter of each property."""
    base = found.densities["photometry"].posterior_truth
    rows = {}
    for name in MODELS:
        gain = found.densities[name].posterior_truth - base
        cells = {"gain over photometry [nat]": ""}
        if name != "photometry":
            error = gain.std(ddof=1) / np.sqrt(len(gain))
            cells["gain over photometry [nat]"] = with_error(gain.mean(), error, sign="+")
        estimates = found.results[name]["point_estimates"]
        for p in PROPERTIES.values():
            cells[f"scatter of {p.symbol_with_unit}"] = f"{estimates[p.name]['scatter']:.3f}"
        rows[name.replace("_", " ")] = cells
    return pd.DataFrame.from_dict(rows, orient="index")


def typical(found: Found) -> int:
    """Return the row of the galaxy whose gain from the spectrum is nearest the median."""
    rows = slice(0, len(found.chosen))
    densities = (found.densities[name].posterior_truth[rows] for name in (MODELS[2], MODELS[0]))
    gain = np.subtract(*densities)
    return int(np.abs(gain - np.nanmedian(gain)).argmin())
