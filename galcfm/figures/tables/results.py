"""Tables of the metrics of both models."""

from collections.abc import Mapping, Sequence

import pandas as pd

from galcfm.figures.tables.words import (
    DENSITIES,
    METRICS,
    SYMBOLS,
    mean_and_error,
    number,
    with_error,
)
from galcfm.properties import PROPERTIES, Property

__all__ = ["comparison", "dust_age", "information", "scaling_relations", "wasserstein"]


def information(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return Δlog p, D_KL and their difference [nat], one row per density and model.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
    """
    rows = {}
    for kind, label in DENSITIES.items():
        for model, result in results.items():
            gain, kl = result["delta_log_p"][kind], result["d_kl"][kind]
            gap = result["delta_log_p_minus_d_kl"][kind]
            rows[label, model] = {
                "Δlog p [nat]": mean_and_error(gain),
                "scatter [nat]": number(gain["std"]),
                "below 0 [%]": number(100 * gain["share_below_zero"], 1),
                "D_KL [nat]": mean_and_error(kl),
                "Δlog p − D_KL [nat]": with_error(
                    gap["difference"], gap["standard_error"], sign="+"
                ),
                "galaxies (Δlog p, D_KL)": f"{gain['n']:,}, {kl['n']:,}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def comparison(
    compared: Mapping[str, dict], models: tuple[str, str] = ("image", "photometry")
) -> pd.DataFrame:
    """Return the effect of the image: paired differences [nat] and win rates.

    Arguments:
        compared: Result of `metrics.compare` of the first with the second model.
        models: Names of the two models.
    """
    rows, (ours, theirs) = {}, [name.replace("_", " ") for name in models]
    for kind, label in DENSITIES.items():
        rows[label] = {}
        for metric, symbol in METRICS.items():
            change = compared[metric][kind]
            wins = change["wins"]
            rows[label][f"{symbol}: {ours} − {theirs} [nat]"] = with_error(
                change["difference"], change["standard_error"], sign="+"
            )
            rows[label][f"{symbol}: higher with the {ours} [%]"] = with_error(
                100 * wins["win_rate"], 100 * wins["standard_error"]
            )
    return pd.DataFrame(rows)


def dust_age(results: Mapping[str, dict], compared: Mapping[str, dict]) -> pd.DataFrame:
    """Return joint Δlog p of dust and age [nat] and their correlation, one row per model.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
        compared: Result of `metrics.compare` of the image with the photometry model.
    """
    joint = "Δlog p of Dₙ(4000) and A_V [nat]"
    rows = {}
    for model, result in results.items():
        gain = result["dust_age"]["delta_log_p"]
        rows[model] = {
            joint: mean_and_error(gain),
            "below 0 [%]": number(100 * gain["share_below_zero"], 1),
            "median correlation": number(result["dust_age"]["correlation"], 2, "+"),
        }
    change = compared["dust_age"]
    gain = with_error(change["difference"], change["standard_error"], sign="+")
    rows["image − photometry"] = {joint: gain, "below 0 [%]": "", "median correlation": ""}
    return pd.DataFrame.from_dict(rows, orient="index")


def wasserstein(
    results: Mapping[str, dict], properties: Sequence[Property] = PROPERTIES
) -> pd.DataFrame:
    """Return Wasserstein distances of posterior means to measured values, one row per property.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
        properties: Properties of the models, e.g. `posterior.declaration.properties`.
    """
    rows = {}
    for p in properties:
        row = rows[p.symbol_with_unit] = {}
        for model, result in results.items():
            distance = result["wasserstein"][p.name]
            row[model] = number(distance["posterior_mean"], 4)
            row[f"{model}, if perfect"] = with_error(
                distance["perfect"], distance["perfect_spread"], 4
            )
    return pd.DataFrame.from_dict(rows, orient="index")


def scaling_relations(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return slope and scatter of each plane, measured and of each model's means and draws.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name, on the same galaxies.
    """
    first = next(iter(results.values()))["scaling_relations"]
    rows = {}
    for plane in first:
        x, y = plane.split("/")
        populations = {"measured": first[plane]["truth"]}
        for model, result in results.items():
            populations[f"{model}, means"] = result["scaling_relations"][plane]["posterior_mean"]
            populations[f"{model}, draws"] = result["scaling_relations"][plane]["draws"]
        for population, found in populations.items():
            row = rows[f"{SYMBOLS[y]} against {SYMBOLS[x]}", population] = {}
            for name, value in found.items():
                row[name] = with_error(value["value"], value["standard_error"], 3)
                row[f"{name} − measured"] = (
                    ""
                    if population == "measured"
                    else with_error(value["minus_truth"], value["minus_truth_error"], 3, "+")
                )
    return pd.DataFrame.from_dict(rows, orient="index")
