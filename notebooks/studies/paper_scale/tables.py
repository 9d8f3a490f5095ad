"""Tables of trainings and posteriors at the paper's size."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from galcfm.figures.tables.words import METRICS
from galcfm.properties import PROPERTIES
from studies.figures import formatted
from studies.frame import rows_of
from studies.paper_scale import MODELS

TABLES = rows_of(dict, Path(__file__).with_name("tables.yaml"))
PAPER = TABLES["paper"]


def beside_the_paper(results: Mapping) -> pd.DataFrame:
    """Return the paper's table and ours by the same metrics, with kernel density estimates.

    Arguments:
        results: Content of `paper_scale.json`.
    """
    rows = {}
    for metric, symbol in METRICS.items():
        row = rows[f"mean {symbol} [nat] (spread)"] = {}
        for model in reversed(MODELS):
            mean, spread = PAPER[model][metric]
            row["Paper, SDSS", model] = f"{mean:.2f} ({spread:.2f})"
            found = results[model][metric]["kde"]
            row["simulated survey", model] = f"{found['mean']:.2f} ({found['std']:.2f})"
    for metric, symbol in METRICS.items():
        wins = results["comparison"][metric]["kde"]["wins"]
        rows[f"image wins {symbol} [%]"] = {
            ("Paper, SDSS", "image"): f"{PAPER['wins'][metric]:.1f}",
            ("simulated survey", "image"): f"{100 * wins['win_rate']:.1f}",
        }
    for k, p in enumerate(PROPERTIES):
        row = rows[f"W of {p.symbol_with_unit}"] = {}
        for model in reversed(MODELS):
            row["Paper, SDSS", model] = f"{PAPER[model]['wasserstein'][k]:.4f}"
            distance = results[model]["wasserstein"][p.name]["posterior_mean"]
            row["simulated survey", model] = f"{distance:.4f}"
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table[["Paper, SDSS", "simulated survey"]]


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


def costs(results: Mapping) -> pd.DataFrame:
    """Return the speed of training and of drawing.

    Arguments:
        results: Content of `paper_scale.json`.
    """
    column = {}
    for precision, rate in results["throughput"]["images_per_second"].items():
        column[f"training, image model, {precision} [images/s]"] = f"{rate:,.0f}"
    sampling = results["sampling"]
    plan = f"{sampling['n_samples']:,} draws, {sampling['steps']} steps"
    for model in MODELS:
        found = sampling[model]
        column[f"{model}, {plan} [galaxies/s]"] = f"{found['galaxies_per_second']:.2f}"
        column[f"{model}, one galaxy [s]"] = f"{found['one_galaxy_seconds']:.2f}"
    rate = sampling["image"]["encoding_galaxies_per_second"]
    column["encoding of pictures [galaxies/s]"] = f"{rate:,.0f}"
    column["device"] = f"{sampling['device']}, {sampling['product_tflops']:.2f} Tflop/s"
    return pd.Series(column).to_frame()
