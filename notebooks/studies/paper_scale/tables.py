"""Tables of trainings and posteriors at the paper's size."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd

from galcfm.figures.tables.words import METRICS, number
from studies.figures import formatted
from studies.frame import rows_of
from studies.paper_scale import MODELS

TABLES = rows_of(dict, Path(__file__).with_name("tables.yaml"))
PAPER = TABLES["paper"]


def beside_the_paper(results: Mapping) -> pd.DataFrame:
    """Return the paper's information and ours by the same metrics, with kernel densities.

    Arguments:
        results: Content of `paper_scale.json`.
    """
    rows = {}
    for model, (metric, symbol) in product(reversed(MODELS), METRICS.items()):
        found = results[model][metric]["kde"]
        of_paper = dict(zip(("mean", "std"), PAPER[model][metric], strict=True))
        for source, numbers in (("the paper, SDSS", of_paper), ("simulated survey", found)):
            shown = f"{number(numbers['mean'])} ({number(numbers['std'])})"
            rows.setdefault((source, model), {})[f"mean {symbol} [nat] (spread)"] = shown
    return pd.DataFrame.from_dict(rows, orient="index").sort_index(ascending=False)


def histories(results: Mapping) -> pd.DataFrame:
    """Return the losses of the trainings whose history is known, for `figures.training_curves`."""
    known = {model: results[model]["training"]["history"] for model in MODELS}
    tables = [pd.DataFrame(of).assign(model=model) for model, of in known.items() if of]
    return pd.concat(tables, ignore_index=True)


def trainings(results: Mapping) -> pd.DataFrame:
    """Return how both models were trained, one column per model."""
    columns = {}
    for model in MODELS:
        training = results[model]["training"]
        others = {"log_p": results[model]["log_p"], "hours": training["seconds"] / 3600}
        columns[model] = formatted(TABLES["training"], training | others)
    return pd.DataFrame(columns)
