"""A table of calls that are taken or refused."""

import re
from collections.abc import Callable, Mapping

import pandas as pd

__all__ = ["trials"]


def trials(cases: Mapping[str, Callable], show: Callable = str) -> pd.DataFrame:
    """What comes of some calls, a row a call: what was taken, or the sentence that refuses it.

    Arguments:
        cases: by description, the call.
        show: what to say of a result.
    """
    rows = {}
    for name, call in cases.items():
        try:
            rows[name] = {"taken": show(call()), "refused": ""}
        except (ValueError, OSError, RuntimeError) as error:
            # Paths of the machine that made the page mean nothing to its readers.
            rows[name] = {"taken": "", "refused": re.sub(r"/\S*/", "…/", str(error))}
    return pd.DataFrame.from_dict(rows, orient="index")
