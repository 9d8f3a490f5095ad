"""Tables of the metrics of both models."""

from collections.abc import Mapping

import pandas as pd

from galcfm.figures.tables.words import DENSITIES, METRICS, by_property, with_error
from galcfm.properties import PROPERTIES

__all__ = [
    "calibration_gap",
    "comparison",
    "dust_age",
    "information",
    "point_estimates",
    "scaling_relations",
    "wasserstein",
]


def information(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return mean, error, median and spread of Δlog p and D_KL [nat], per density and model.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
    """
    rows = {}
    for kind, label in DENSITIES.items():
        for model, result in results.items():
            gain, kl = result["delta_log_p"][kind], result["d_kl"][kind]
            rows[label, model] = {
                "mean Δlog p": with_error(gain["mean"], gain["standard_error"]),
                "median": f"{gain['median']:.2f}",
                "spread": f"{gain['std']:.2f}",
                "below 0": f"{gain['share_below_zero']:.1%}",
                "galaxies": gain["n"],
                "mean D_KL": with_error(kl["mean"], kl["standard_error"]),
                "spread ": f"{kl['std']:.2f}",
                "galaxies ": kl["n"],
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def calibration_gap(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return mean Δlog p − mean D_KL [nat], which is 0 for a perfect posterior, per density.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
    """
    return pd.DataFrame(
        {
            model: {
                label: with_error(gap["difference"], gap["standard_error"], sign="+")
                for kind, label in DENSITIES.items()
                for gap in [result["delta_log_p_minus_d_kl"][kind]]
            }
            for model, result in results.items()
        }
    )


def comparison(compared: Mapping[str, dict]) -> pd.DataFrame:
    """Return what the image adds: paired gain [nat] and share of galaxies where it wins.

    Arguments:
        compared: Result of `metrics.compare` of the image with the photometry model.
    """
    rows = {}
    for kind, label in DENSITIES.items():
        rows[label] = {}
        for metric, symbol in METRICS.items():
            change = compared[metric][kind]
            wins = change["wins"]
            rows[label][f"{symbol}: image − photometry"] = with_error(
                change["difference"], change["standard_error"], digits=3, sign="+"
            )
            rows[label][f"{symbol}: image wins [%]"] = with_error(
                100 * wins["win_rate"], 100 * wins["standard_error"], digits=1
            )
    return pd.DataFrame(rows)


def dust_age(results: Mapping[str, dict], compared: Mapping[str, dict]) -> pd.DataFrame:
    """Return Δlog p of dust and age together [nat] and their correlation, by model.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
        compared: Result of `metrics.compare` of the image with the photometry model.
    """
    rows = {}
    for model, result in results.items():
        gain = result["dust_age"]["delta_log_p"]
        rows[model] = {
            "mean Δlog p of A_V and Dn4000": with_error(gain["mean"], gain["standard_error"], 3),
            "below 0": f"{gain['share_below_zero']:.1%}",
            "median correlation": f"{result['dust_age']['correlation']:+.2f}",
            "galaxies": gain["n"],
        }
    change = compared["dust_age"]
    rows["image − photometry"] = {
        "mean Δlog p of A_V and Dn4000": with_error(
            change["difference"], change["standard_error"], 3, "+"
        ),
        "below 0": "",
        "median correlation": "",
        "galaxies": change["n"],
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def wasserstein(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return Wasserstein distances to the truth in physical units, per property and model.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
    """
    rows = {}
    for p in PROPERTIES:
        for model, result in results.items():
            distance = result["wasserstein"][p.name]
            rows[p.symbol_with_unit, model] = {
                "posterior mean": f"{distance['posterior_mean']:.4f}",
                "a perfect posterior of this information": with_error(
                    distance["perfect"], distance["perfect_spread"], 4
                ),
                "the same, if Gaussian": f"{distance['perfect_gaussian']:.4f}",
                "one draw": f"{distance['one_draw']:.4f}",
                "one draw, if calibrated": f"{distance['one_draw_calibrated']:.4f}",
                "two samples": f"{distance['floor']:.4f}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def scaling_relations(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return slope and scatter of each plane for the truth and each model's means and draws.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name, on the same galaxies.
    """
    symbols = {p.name: p.plain_symbol for p in PROPERTIES}
    first = next(iter(results.values()))["scaling_relations"]
    rows = {}
    for plane in first:
        x, y = plane.split("/")
        populations = {"measured": first[plane]["truth"]}
        for model, result in results.items():
            populations[f"{model}, means"] = result["scaling_relations"][plane]["posterior_mean"]
            populations[f"{model}, draws"] = result["scaling_relations"][plane]["draws"]
        for population, found in populations.items():
            row = rows[f"{symbols[y]} against {symbols[x]}", population] = {}
            for name, number in found.items():
                row[name] = with_error(number["value"], number["standard_error"], 3)
                row[f"{name} less measured"] = (
                    ""
                    if population == "measured"
                    else with_error(number["minus_truth"], number["minus_truth_error"], 3, "+")
                )
    return pd.DataFrame.from_dict(rows, orient="index")


def point_estimates(results: Mapping[str, dict]) -> pd.DataFrame:
    """Return bias, scatter and R² of posterior means in physical units, per property.

    Arguments:
        results: Result of `metrics.evaluate` of each model by its name.
    """
    columns = {"bias": "bias", "scatter": "scatter", "nmad": "NMAD", "r2": "R²"}
    return by_property(results, "point_estimates", columns).round(3)
