"""A table of calls that are taken or refused."""

import re
from collections.abc import Callable, Mapping

import pandas as pd

__all__ = ["trials"]


def trials(cases: Mapping[str, Callable], show: Callable = str) -> pd.DataFrame:
    """Return what comes of some calls, one row per call: the result, or the error message.

    Arguments:
        cases: Functions by their description.
        show: Function that returns the words for a result.
    """
    rows = {}
    for name, call in cases.items():
        try:
            rows[name] = {"taken": show(call()), "refused": ""}
        except (ValueError, OSError, RuntimeError) as error:
            # Paths of the machine that made the page mean nothing to its readers.
            rows[name] = {"taken": "", "refused": re.sub(r"/\S*/", "…/", str(error))}
    return pd.DataFrame.from_dict(rows, orient="index")
