"""Names, and numbers with errors, shared by all tables."""

from collections.abc import Mapping

import numpy as np

from galcfm.properties import PROPERTIES

__all__ = ["DENSITIES", "METRICS", "SYMBOLS", "mean_and_error", "number", "with_error"]

# Names of the densities in tables, by their names in the metrics.
DENSITIES = {
    "kde": "kernel densities (KDE)",
    "exact": "exact",
    "exact_kde_prior": "exact, prior by KDE",
}

METRICS = {"delta_log_p": "Δlog p", "d_kl": "D_KL"}

SYMBOLS = {p.name: p.plain_symbol for p in PROPERTIES}


def number(value: float, digits: int = 2, sign: str = "") -> str:
    """Return a number as text, with a true minus sign and none on a zero.

    Arguments:
        value: The number.
        digits: Digits after the point.
        sign: `"+"` for a sign on positive numbers, too.

    >>> number(-0.256), number(-0.001), number(0.5, 1, "+"), number(134661, 0)
    ('−0.26', '0.00', '+0.5', '134,661')
    """
    return f"{round(float(value), digits) + 0.0:{sign}z,.{digits}f}".replace("-", "−")


def with_error(value: float, error: float, digits: int | None = None, sign: str = "") -> str:
    """Return a number with its error as text, e.g. `"+0.400 ± 0.012"` with the sign `"+"`.

    Arguments:
        value: The number.
        error: Standard error of the number.
        digits: Digits after the point; by default as many as show two digits of the error.
        sign: `"+"` for a sign on positive numbers, too.

    >>> with_error(-0.2461, 0.0184), with_error(12.3, 1.26), with_error(0.4, 0.0)
    ('−0.246 ± 0.018', '12.3 ± 1.3', '0.40 ± 0.00')
    """
    if digits is None:
        known = np.isfinite(error) and error > 0
        digits = max(0, 1 - int(np.floor(np.log10(error)))) if known else 2
    return f"{number(value, digits, sign)} ± {number(error, digits)}"


def mean_and_error(value: Mapping[str, float], digits: int | None = None) -> str:
    """Return the mean of a summary with its standard error as text."""
    return with_error(value["mean"], value["standard_error"], digits)
