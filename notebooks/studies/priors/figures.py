"""The figure and the table of other priors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.figures import style
from studies.figures import formatted
from studies.frame import rows_of

TABLES = rows_of(dict, Path(__file__).with_name("tables.yaml"))


@style.styled
def other_prior(
    masses, weights, effective: Mapping, n_draws: int, *, names: tuple[str, str], source: str
) -> Figure:
    """Draw a population of other masses, and how many draws still count under it.

    Arguments:
        masses: Masses of the training galaxies [dex, M☉], shape `(n,)`.
        weights: Weights of these galaxies in the new population, shape `(n,)`.
        effective: Effective sample sizes by model, each of shape `(m,)`.
        n_draws: Number of draws per galaxy.
        names: Names of the old and the new population.
        source: Words in the figure's corner that say what the galaxies are.
    """
    old, new = names
    figure = style.new_figure(style.COLUMN, 3.2, source)
    left, right = figure.subplots(1, 2)
    bins = np.linspace(*style.limits(masses, inside=99.9), 31)
    style.histogram(left, masses, bins, style.LIGHT, filled=True, alpha=0.5, label=old)
    of_new = {"weights": weights / np.sum(weights), "label": new}
    style.histogram(left, masses, bins, style.OTHER[0].colour, **of_new)
    left.set(xlabel=style.LABELS["log_stellar_mass"], ylabel="share of galaxies")
    for axes in (left, right):
        axes.margins(y=0.3)  # room for the legend
    left.legend(loc="upper left")
    models = style.posteriors_in_order(effective)
    for model in models:
        share = np.asarray(effective[model]) / n_draws
        style.histogram(right, share, np.linspace(0, 1, 31), style.COLOURS[model])
    right.set(xlabel="effective share of the draws", ylabel="share of galaxies", xlim=(0, 1))
    style.model_legend(right, models, loc="upper left")
    return figure


def gain_table(gains: Mapping[tuple[str, str], dict], column: Mapping[str, int]) -> pd.DataFrame:
    """Return gain and bias under another prior, for galaxies weighted to it, by prior and model.

    Arguments:
        gains: Results of `weights.reweighted_gain` by prior and model.
        column: Column of the property whose prior has changed, by prior.
    """
    rows = {}
    for (prior, model), result in gains.items():
        biases = (result[name][column[prior]] for name in ("bias_old", "bias_new", "bias_error"))
        shown = result | dict(zip(("old", "new", "error"), biases, strict=True))
        words = formatted(TABLES["gains"], shown)
        rows[prior, model] = {name: text.replace("-", "−") for name, text in words.items()}
    return pd.DataFrame.from_dict(rows, orient="index")
