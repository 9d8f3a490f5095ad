"""Tables of whether to trust: calibration, exact posteriors, outliers, other priors."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import TESTS, mean_and_error, with_error
from galcfm.properties import PROPERTIES

__all__ = [
    "calibration_tests",
    "calibration_variants",
    "degeneracies",
    "exact_checks",
    "exact_gaps",
    "exact_information",
    "kernel_outliers",
    "label_errors",
    "masses",
    "other_priors",
    "outlier_shares",
    "trials",
]


def calibration_tests(departures: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Largest deviation of each calibration test in half-widths of the band, a row a model.

    Arguments:
        departures: a row of `calibration.departures` by model.
    """
    return pd.DataFrame(departures).T.rename(columns=TESTS).round(2)


def calibration_variants(compared: pd.DataFrame) -> pd.DataFrame:
    """Calibration tests, and gain in log p [nat] over the run's own model, a row a variant.

    Arguments:
        compared: of `calibration.compare_recipes`, the variants of one model.
    """
    tests = [name for name in TESTS if name in compared]
    table = compared[tests].rename(columns=TESTS).round(2)
    table["gain [nat]"] = [
        # In one line, however narrow the page.
        with_error(gain, error, 3, "+").replace(" ", "\N{NO-BREAK SPACE}")
        for gain, error in zip(compared["gain"], compared["error"], strict=True)
    ]
    return table


def exact_checks(result: Mapping) -> pd.DataFrame:
    """How far the exact posteriors agree with themselves and with the prior's own examples.

    Arguments:
        result: of `studies.exact.summarise`.
    """
    sampler, brute = result["sampler"], result["sampler"]["brute_force"]
    rows = {
        "galaxies": result["n_galaxies"],
        "effective particles a run, median": round(sampler["effective_size"]),
        "effective particles a run, smallest": round(sampler["smallest_effective_size"]),
        "both runs less one [nat]": mean_and_error(sampler["halving"], 3),
        "first run less second [nat]": mean_and_error(sampler["between_runs"], 3),
        "scatter of that difference [nat]": f"{sampler['scatter_between_runs']:.2f}",
        "galaxies with importance sampling": brute["n_galaxies"],
    }
    if brute["n_galaxies"]:
        rows |= {
            "effective galaxies there, median": round(brute["effective_size"]),
            "importance sampling less exact [nat]": mean_and_error(brute["log_density"], 3),
            "difference of means, in its errors": f"{brute['z_mean']:+.2f} ± {brute['z_std']:.2f}",
        }
    return pd.Series(rows, name="value").to_frame()


def exact_gaps(result: Mapping, names: Mapping[str, str]) -> pd.DataFrame:
    """Log-density, gap and classifier accuracy of each posterior, and the flows' widths.

    Arguments:
        result: of `studies.exact.summarise`.
        names: what the posteriors are called.
    """
    gaps = {"gap": "below the exact one [nat]", "extrapolated_gap": "extrapolated [nat]"}
    rows = {}
    for model, name in names.items():
        rows[name] = {
            "mean log p [nat]": mean_and_error(result["log_density"][model]),
            **{
                label: mean_and_error(result[gap][model]) if model in result[gap] else ""
                for gap, label in gaps.items()
            },
            "classifier accuracy": mean_and_error(result["c2st"][model], 3),
        }
        for p in PROPERTIES:
            ratio = result["properties"][p.name]["width_ratio"].get(model)
            width = "1" if ratio is None else f"{ratio['mean']:.2f}"
            rows[name][f"width of {p.paper_symbol}"] = width
    return pd.DataFrame.from_dict(rows, orient="index")


def exact_information(result: Mapping) -> pd.DataFrame:
    """Information on each property [nat], and how narrow the exact posterior is.

    Arguments:
        result: of `studies.exact.summarise`.
    """
    rows = {}
    for p in PROPERTIES:
        numbers = result["properties"][p.name]
        gain = numbers["information"]
        rows[p.symbol_with_unit] = {
            "spread of the prior": f"{numbers['prior_std']:.3f}",
            "of the exact posterior": f"{numbers['posterior_std']:.3f}",
            "true values about its mean, in its spreads": f"{numbers['scatter_of_truth']:.2f}",
            "variance explained": f"{numbers['explained']['mean']:.0%}",
            "information: exact": mean_and_error(gain["exact"]),
            "flow": mean_and_error(gain["book"]),
            "flow, many": mean_and_error(gain["many"]),
            "true value known": mean_and_error(gain["known"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def outlier_shares(gain: Mapping[str, np.ndarray], shares: Mapping[str, dict]) -> pd.DataFrame:
    """Galaxies with negative Δlog p beside the share to expect, a row a model.

    Arguments:
        gain: Δlog p of all galaxies by model, `(n,)` each.
        shares: `diagnostics.shares_below_zero` of each model by its name.
    """
    rows = {}
    for model, share in shares.items():
        below = gain[model] < 0
        rows[model] = {
            "truths below zero [%]": with_error(
                100 * below.mean(), 100 * below.std() / np.sqrt(len(below)), 1
            ),
            "expected from draws [%]": with_error(
                100 * share["expected"], 100 * share["expected_standard_error"], 1
            ),
            "truths": len(below),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def label_errors(size: np.ndarray, gain: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Median size of the label errors of all galaxies and of outliers, a row a model.

    Arguments:
        size: `diagnostics.label_error_size`, `(n,)`.
        gain: Δlog p of the same galaxies by model, `(n,)` each.
    """
    rows = {
        model: {
            "all galaxies": np.median(size),
            "negative Δlog p": np.median(size[values < 0]),
            "lowest 1 %": np.median(size[values <= np.quantile(values, 0.01)]),
        }
        for model, values in gain.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("median size of the label errors").round(2)


def kernel_outliers(results: Mapping[str, dict]) -> pd.DataFrame:
    """Galaxies with negative Δlog p by the exact density and by kernels, a row a model.

    Arguments:
        results: `metrics.evaluate` of each model by its name, with `galaxies`.
    """
    rows = {}
    for model, result in results.items():
        kde = np.array(result["galaxies"]["delta_log_p"]["kde"])
        exact = np.array(result["galaxies"]["delta_log_p"]["exact"])[: len(kde)]
        rows[model] = {"galaxies": len(kde)}
        for kind, values in (("exact", exact), ("KDE", kde)):
            rows[model] |= {
                f"below zero, {kind} [%]": f"{100 * np.mean(values < 0):.1f}",
                f"lowest, {kind} [nat]": f"{values.min():.1f}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def degeneracies(found: Mapping[str, Mapping[str, dict]]) -> pd.DataFrame:
    """Medians over galaxies of how two properties trade against each other, by plane and model.

    Arguments:
        found: `diagnostics.degeneracy` by plane and model.
    """
    rows = {
        (plane.replace("$", ""), model): {
            "median correlation": np.median(result["correlation"]),
            "median angle [deg]": np.median(result["angle"]),
            "median length": np.median(result["length"]),
            "median width": np.median(result["width"]),
        }
        for plane, by_model in found.items()
        for model, result in by_model.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").round(2)


def masses(compared: Mapping[tuple[str, str], dict]) -> pd.DataFrame:
    """Bias and scatter of stellar masses against another method's [dex], by model and galaxies.

    Arguments:
        compared: `sky.compare_masses` by model and group of galaxies.
    """
    rows = {
        names: {
            "bias [dex]": f"{found['bias']:+.3f}",
            "scatter [dex]": f"{found['scatter']:.3f}",
            "beyond 0.3 dex": f"{found['outliers']:.1%}",
            "galaxies": found["n"],
        }
        for names, found in compared.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def other_priors(judged: Mapping[tuple[str, str], dict], column: Mapping[str, int]) -> pd.DataFrame:
    """Posteriors under another prior, judged on the galaxies weighted to it, by prior and model.

    Arguments:
        judged: `priors.judge` by prior and model.
        column: by prior, the property whose prior has changed.
    """
    rows = {}
    for (prior, model), result in judged.items():
        k = column[prior]
        rows[prior, model] = {
            "gain in log p [nat]": with_error(result["gain"], result["standard_error"], 3, "+"),
            "bias, old prior [dex]": f"{result['bias_old'][k]:+.3f}",
            "bias, new prior [dex]": with_error(
                result["bias_new"][k], result["bias_error"][k], 3, "+"
            ),
            "effective share of draws": f"{result['effective_share']:.2f}",
            "effective galaxies": round(result["effective_galaxies"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


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
