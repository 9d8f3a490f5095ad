"""Names, and numbers with errors, which all tables share."""

from collections.abc import Mapping

import pandas as pd

from galcfm.properties import PROPERTIES

__all__ = ["DENSITIES", "METRICS", "SYMBOLS", "by_property", "mean_and_error", "with_error"]

# How a density is called in tables, by its name in the metrics.
DENSITIES = {
    "kde": "KDE (the paper's way)",
    "exact": "exact",
    "exact_kde_prior": "exact, KDE prior",
}

METRICS = {"delta_log_p": "Δlog p", "d_kl": "D_KL"}

SYMBOLS = {p.name: p.paper_symbol for p in PROPERTIES}


def with_error(value: float, error: float, digits: int = 2, sign: str = "") -> str:
    """Return a number with its error as text, e.g. `"+0.40 ± 0.01"` with the sign `"+"`."""
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}"


def mean_and_error(value: Mapping[str, float], digits: int = 2) -> str:
    """Return the mean of a summary with its standard error as text."""
    return with_error(value["mean"], value["standard_error"], digits)


def by_property(results, section: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return numbers of each property, one column per model and number.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
        section: Name of the part of the result that has them by property.
        columns: Label of each number by its name.
    """
    return pd.DataFrame(
        {
            (model, label): {p.symbol_with_unit: result[section][p.name][key] for p in PROPERTIES}
            for model, result in results.items()
            for key, label in columns.items()
        }
    )
