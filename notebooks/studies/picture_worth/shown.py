"""The tables and the figure of the study."""

import textwrap
from collections.abc import Collection, Mapping
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures.style import COLOURS, LIGHT, new_figure, styled
from galcfm.figures.tables.words import SYMBOLS, with_error
from galcfm.metrics import wasserstein_gaussian
from studies.figures import gain_bar, label_bars, mean_over_seeds, present

MODELS = ("photometry", "image")
# From the book's first survey towards the paper: each step keeps those before it.
LADDER = ("old", "old_fibre", "all", "balmer", "balmer_petrosian")


@styled
def ladder(rows: Collection[Mapping], paper: float, *, source: str) -> Figure:
    """Draw what the image adds to photometry, step by step towards the paper's number.

    Arguments:
        rows: Rows of the study, each of which keeps the changes of those before it.
        paper: Gain of the paper [nat].
        source: What the galaxies are, for the corner of the figure.
    """
    figure = new_figure(7, 1.0 + 0.42 * (len(rows) + 2), source)
    axes = figure.subplots()
    before, labels = 0.0, []
    for place, row in enumerate(rows):
        gain = gain_bar(axes, -place, row, before)
        axes.plot([gain, gain], [-place - 0.3, -place - 1], color=LIGHT, lw=0.8)
        text = textwrap.fill(f"{row['row']['label']}: {gain:.2f}", 46)
        labels.append(text.replace("A_V", "$A_V$"))
        before = gain
    last = len(rows)
    axes.barh(-last, paper - before, left=before, color="none", edgecolor=LIGHT, hatch="///")
    labels.append(f"not accounted for: {paper - before:+.2f}")
    axes.barh(-last - 1, paper, color=COLOURS["line"], alpha=0.75, height=0.6)
    labels.append(f"the paper: {paper:.2f}")
    axes.axvline(0, color=COLOURS["line"], lw=1)
    label_bars(axes, labels, "gain of the image model over photometry [nat]")
    return figure


def gains(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return what the image adds to photometry in each row [nat].

    Arguments:
        rows: Rows of the study by name.
    """
    columns = {
        row["row"]["label"]: {
            "gain of the image": with_error(row["gain"], row["standard_error"], 3, "+"),
            "log p of photometry": round(mean_over_seeds(row, "photometry", "log_prob"), 2),
            "galaxies": row["n_test"],
            "trainings": row["trainings"],
        }
        for row in rows.values()
    }
    return pd.DataFrame.from_dict(columns, orient="index").rename_axis("survey and models")


def explained(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return the share of each measured property's variance that posterior means explain.

    Arguments:
        rows: Rows of the study by name.
    """
    table = {
        (row["row"]["label"], model): mean_over_seeds(row, model, "explained")
        for row in rows.values()
        for model in MODELS
    }
    shares = pd.DataFrame.from_dict(table, orient="index")
    return shares.map("{:.3f}".format).rename(columns=SYMBOLS)


def distances(rows: Mapping[str, Mapping], name: str) -> pd.DataFrame:
    """Return Wasserstein distances of posterior means to labels, and those of perfect posteriors.

    Arguments:
        rows: Rows of the study by name.
        name: Name of the row to show; the table is empty if it was not made.
    """
    table = {}
    for row, model in product(present(rows, [name]).values(), MODELS):
        found, shares, spread = (
            mean_over_seeds(row, model, what) for what in ("wasserstein", "explained", "spread")
        )
        table[model] = found
        table[f"{model}, if perfect"] = {
            p: float(wasserstein_gaussian(spread[p], max(shares[p], 0))) for p in found
        }
    table = pd.DataFrame.from_dict(table, orient="index")
    return table.map("{:.4f}".format).rename(columns=SYMBOLS)


def kernel_gains(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return the mean Δlog p by kernel densities, as in the paper [nat], of rows that have it.

    Arguments:
        rows: Rows of the study by name.
    """
    table = {}
    for row in rows.values():
        if row["row"]["kernels"]:
            image, photometry = (
                mean_over_seeds(row, model, "delta_log_p_kernels") for model in reversed(MODELS)
            )
            table[row["row"]["label"]] = {
                "image": f"{image:.2f}",
                "photometry": f"{photometry:.2f}",
                "difference": f"{image - photometry:+.2f}",
                "exact": f"{row['gain']:+.2f}",
            }
    return pd.DataFrame.from_dict(table, orient="index")
