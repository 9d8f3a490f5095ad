"""What tables share: names, numbers with errors, and where a result comes from."""

from collections.abc import Mapping

import pandas as pd

from galcfm.properties import PROPERTIES

__all__ = [
    "DENSITIES",
    "METRICS",
    "SYMBOLS",
    "by_property",
    "made_by",
    "mean_and_error",
    "with_error",
]

# How a density is called in tables, by its name in the metrics.
DENSITIES = {
    "kde": "KDE (the paper's way)",
    "exact": "exact",
    "exact_kde_prior": "exact, KDE prior",
}

METRICS = {"delta_log_p": "Δlog p", "d_kl": "D_KL"}

SYMBOLS = {p.name: p.paper_symbol for p in PROPERTIES}


def made_by(stored: Mapping) -> str:
    """Command, date, commit and machine of a stored result, in two lines.

    Arguments:
        stored: content of a JSON file in `data/published/`.
    """
    made = stored["made"]
    commit = (made["commit"] or "unknown")[:7]
    return f"{stored['command']}\n{stored['date']}, commit {commit}, {made['machine']}"


def with_error(value: float, error: float, digits: int = 2, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}"


def mean_and_error(value: Mapping[str, float], digits: int = 2) -> str:
    return with_error(value["mean"], value["standard_error"], digits)


def by_property(results, section: str, columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            (model, label): {p.symbol_with_unit: result[section][p.name][key] for p in PROPERTIES}
            for model, result in results.items()
            for key, label in columns.items()
        }
    )
