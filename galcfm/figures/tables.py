"""The tables of the book, one function a table; each returns a pandas DataFrame to show."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from galcfm.metrics import wasserstein_gaussian
from galcfm.properties import PROPERTIES

__all__ = [
    "account",
    "account_distances",
    "account_explained",
    "account_kernels",
    "calibration_gap",
    "calibration_tests",
    "calibration_variants",
    "comparison",
    "control_gains",
    "cutout_statistics",
    "degeneracies",
    "dust_age",
    "exact_checks",
    "exact_gaps",
    "exact_information",
    "explanations",
    "information",
    "instruments",
    "kernel_outliers",
    "label_errors",
    "made_by",
    "magnitude_errors",
    "masses",
    "method_exact",
    "method_notes",
    "method_properties",
    "methods",
    "other_priors",
    "outlier_shares",
    "percentiles",
    "point_estimates",
    "relations",
    "scaling_relations",
    "ties",
    "training_seeds",
    "trials",
    "wasserstein",
    "what_matters",
]

# How a density is called in tables, by its name in the metrics.
DENSITIES = {
    "kde": "KDE (the paper's way)",
    "exact": "exact",
    "exact_kde_prior": "exact, KDE prior",
}
METRICS = {"delta_log_p": "Δlog p", "d_kl": "D_KL"}


def made_by(stored: Mapping) -> str:
    """Command, date, commit and machine of a stored result, in two lines.

    Arguments:
        stored: content of a JSON file in `data/published/`.
    """
    made = stored["made"]
    commit = (made["commit"] or "unknown")[:7]
    return f"{stored['command']}\n{stored['date']}, commit {commit}, {made['machine']}"


def information(results: Mapping[str, dict]) -> pd.DataFrame:
    """Mean, error, median and spread of Δlog p and D_KL [nat], a row a density and model.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
    """
    rows = {}
    for kind, label in DENSITIES.items():
        for model, result in results.items():
            gain, kl = result["delta_log_p"][kind], result["d_kl"][kind]
            rows[label, model] = {
                "mean Δlog p": _with_error(gain["mean"], gain["standard_error"]),
                "median": f"{gain['median']:.2f}",
                "spread": f"{gain['std']:.2f}",
                "below 0": f"{gain['share_below_zero']:.1%}",
                "galaxies": gain["n"],
                "mean D_KL": _with_error(kl["mean"], kl["standard_error"]),
                "spread ": f"{kl['std']:.2f}",
                "galaxies ": kl["n"],
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def calibration_gap(results: Mapping[str, dict]) -> pd.DataFrame:
    """Mean Δlog p − mean D_KL [nat], which is 0 for a perfect posterior, a row a density.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
    """
    return pd.DataFrame(
        {
            model: {
                label: _with_error(gap["difference"], gap["standard_error"], sign="+")
                for kind, label in DENSITIES.items()
                for gap in [result["delta_log_p_minus_d_kl"][kind]]
            }
            for model, result in results.items()
        }
    )


SYMBOLS = {p.name: p.paper_symbol for p in PROPERTIES}
# How the tests of `galcfm.studies.calibration` are called in tables.
TESTS = {"hpd": "density", "tarp": "distance", **SYMBOLS, "hpd_smoothed": "density, smoothed"}


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
        _with_error(gain, error, 3, "+").replace(" ", "\N{NO-BREAK SPACE}")
        for gain, error in zip(compared["gain"], compared["error"], strict=True)
    ]
    return table


def comparison(compared: Mapping[str, dict]) -> pd.DataFrame:
    """What the image adds, galaxy by galaxy: gain [nat] and share of galaxies where it wins.

    Arguments:
        compared: `metrics.compare` of the image with the photometry model.
    """
    rows = {}
    for kind, label in DENSITIES.items():
        rows[label] = {}
        for metric, symbol in METRICS.items():
            change = compared[metric][kind]
            wins = change["wins"]
            rows[label][f"{symbol}: image − photometry"] = _with_error(
                change["difference"], change["standard_error"], digits=3, sign="+"
            )
            rows[label][f"{symbol}: image wins [%]"] = _with_error(
                100 * wins["win_rate"], 100 * wins["standard_error"], digits=1
            )
    return pd.DataFrame(rows)


def dust_age(results: Mapping[str, dict], compared: Mapping[str, dict]) -> pd.DataFrame:
    """Δlog p of dust and age together [nat] and their correlation, a row a model and one for both.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
        compared: `metrics.compare` of the image with the photometry model.
    """
    rows = {}
    for model, result in results.items():
        gain = result["dust_age"]["delta_log_p"]
        rows[model] = {
            "mean Δlog p of A_V and Dn4000": _with_error(gain["mean"], gain["standard_error"], 3),
            "below 0": f"{gain['share_below_zero']:.1%}",
            "median correlation": f"{result['dust_age']['correlation']:+.2f}",
            "galaxies": gain["n"],
        }
    change = compared["dust_age"]
    rows["image − photometry"] = {
        "mean Δlog p of A_V and Dn4000": _with_error(
            change["difference"], change["standard_error"], 3, "+"
        ),
        "below 0": "",
        "median correlation": "",
        "galaxies": change["n"],
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def wasserstein(results: Mapping[str, dict]) -> pd.DataFrame:
    """Wasserstein distances to the truth in physical units, a row a property and model.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
    """
    rows = {}
    for p in PROPERTIES:
        for model, result in results.items():
            distance = result["wasserstein"][p.name]
            rows[p.symbol_with_unit, model] = {
                "posterior mean": f"{distance['posterior_mean']:.4f}",
                "a perfect posterior of this information": _with_error(
                    distance["perfect"], distance["perfect_spread"], 4
                ),
                "the same, if Gaussian": f"{distance['perfect_gaussian']:.4f}",
                "one draw": f"{distance['one_draw']:.4f}",
                "one draw, if calibrated": f"{distance['one_draw_calibrated']:.4f}",
                "two samples": f"{distance['floor']:.4f}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def scaling_relations(results: Mapping[str, dict]) -> pd.DataFrame:
    """Slope and scatter of each plane for the truth and each model's means and draws.

    Arguments:
        results: `metrics.evaluate` of each model by its name, on the same galaxies.
    """
    symbols = {p.name: p.paper_symbol for p in PROPERTIES}
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
                row[name] = _with_error(number["value"], number["standard_error"], 3)
                row[f"{name} less measured"] = (
                    ""
                    if population == "measured"
                    else _with_error(number["minus_truth"], number["minus_truth_error"], 3, "+")
                )
    return pd.DataFrame.from_dict(rows, orient="index")


def point_estimates(results: Mapping[str, dict]) -> pd.DataFrame:
    """Bias, scatter and R² of posterior means in physical units, a row a property.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
    """
    columns = {"bias": "bias", "scatter": "scatter", "nmad": "NMAD", "r2": "R²"}
    return _by_property(results, "point_estimates", columns).round(3)


def relations(all_relations: Sequence) -> pd.DataFrame:
    """Published relations of the simulated survey with formula, numbers, scatter and source.

    Arguments:
        all_relations: `galcfm.simulate.RELATIONS`.
    """
    return pd.DataFrame(
        {
            "gives": r.name,
            "relation": r.formula,
            "numbers": ", ".join(f"{k} = {v:g}" for k, v in r.coefficients.items()),
            "scatter": r.scatter,
            "source": ", ".join(r.sources),
            "ours": r.note,
        }
        for r in all_relations
    ).set_index("gives")


def ties(all_ties: Mapping[str, tuple[str, Sequence]], without: Sequence[str]) -> pd.DataFrame:
    """What ties pictures and measurements to the properties of simulated galaxies, a row a tie.

    Arguments:
        all_ties: `galcfm.simulate.TIES`.
        without: names of those that are switched off.
    """
    return pd.DataFrame(
        {
            "tie": name,
            "what": what,
            "relations": "; ".join(relation.name for relation in relations),
            "in this survey": "no" if name in without else "yes",
        }
        for name, (what, relations) in all_ties.items()
    ).set_index("tie")


def control_gains(experiments: Mapping[str, dict]) -> pd.DataFrame:
    """Gain of each control over photometry alone [nat], a row an experiment.

    Arguments:
        experiments: those of `controls.json`.
    """
    return pd.DataFrame(
        {
            "given beside the photometry": result["question"],
            "gain": _with_error(result["gain"], result["standard_error"], 3, "+"),
            "galaxies": result["n_test"],
            "trainings": result["trainings"],
        }
        for result in experiments.values()
    ).set_index("given beside the photometry")


def account(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What the picture adds to photometry in each row of the account [nat].

    Arguments:
        rows: of `account.json`.
    """
    return pd.DataFrame(
        {
            "survey and models": row["row"]["label"],
            "gain of the image": _with_error(row["gain"], row["standard_error"], 3, "+"),
            "log p of photometry": round(over_seeds(row, "photometry", "log_prob"), 2),
            "galaxies": row["n_test"],
            "trainings": row["trainings"],
        }
        for row in rows.values()
    ).set_index("survey and models")


def account_explained(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Share of the variance of each measured property that posterior means explain, by model.

    Arguments:
        rows: of `account.json`.
    """
    table = {}
    for row in rows.values():
        for model in ("photometry", "image"):
            shares = over_seeds(row, model, "explained")
            table[row["row"]["label"], model] = {p: f"{x:.3f}" for p, x in shares.items()}
    return pd.DataFrame.from_dict(table, orient="index").rename(columns=SYMBOLS)


def account_distances(row: Mapping) -> pd.DataFrame:
    """Wasserstein distance of posterior means to labels, and of perfect posteriors as informed.

    Arguments:
        row: of `account.json`.
    """
    table = {}
    for model in ("photometry", "image"):
        found, explained, spread = (
            over_seeds(row, model, what) for what in ("wasserstein", "explained", "spread")
        )
        table[model] = {p: f"{x:.4f}" for p, x in found.items()}
        table[f"{model}, if perfect"] = {
            p: f"{float(wasserstein_gaussian(spread[p], max(explained[p], 0))):.4f}" for p in found
        }
    return pd.DataFrame.from_dict(table, orient="index").rename(columns=SYMBOLS)


def account_kernels(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Mean Δlog p by kernel densities, the paper's way [nat], for the rows that have it.

    Arguments:
        rows: of `account.json`.
    """
    table = {}
    for row in rows.values():
        if row["row"]["kernels"]:
            image, photometry = (
                over_seeds(row, model, "delta_log_p_kernels") for model in ("image", "photometry")
            )
            table[row["row"]["label"]] = {
                "image": f"{image:.2f}",
                "photometry": f"{photometry:.2f}",
                "difference": f"{image - photometry:+.2f}",
                "exact": f"{row['gain']:+.2f}",
            }
    return pd.DataFrame.from_dict(table, orient="index")


def over_seeds(row: Mapping, model: str, what: str):
    """Mean of a number, or of each number by property, over the trainings of a row.

    Arguments:
        row: of `account.json`.
        model: `"photometry"` or `"image"`.
        what: name of the number.
    """
    found = [numbers[model][what] for numbers in row["seeds"].values()]
    if isinstance(found[0], Mapping):
        return {name: np.mean([numbers[name] for numbers in found]) for name in found[0]}
    return float(np.mean(found))


def populations(results: Mapping, kind: str) -> pd.DataFrame:
    """How models do on each class of galaxies, in the mean of their trainings.

    Labels inside 95 % intervals are shown with a star where they lie outside what 95 % is by
    numbers, at two standard errors.

    Arguments:
        results: of `other_populations.json`.
        kind: `"photometry"` or `"image"`.
    """
    rows = {}
    for training, seeds in results["trainings"].items():
        for of_class, first in next(iter(seeds.values()))[kind].items():
            found = [of[kind][of_class] for of in seeds.values()]
            row = {"galaxies": first["n"]}
            row["flagged"] = f"{np.mean([one['outside'] for one in found]):.1%}"
            for name in first["properties"]:
                of_property = [one["properties"][name] for one in found]
                share = np.mean([one["coverage"][1] for one in of_property])
                allowed = 2 * np.sqrt(0.95 * 0.05 / of_property[0]["n"])
                row[name] = f"{share:.1%}" + "*" * bool(abs(share - 0.95) > allowed)
            rows[training, of_class] = row
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    return table.rename_axis(["trained on", "galaxies of"]).rename(columns=SYMBOLS)


def instruments(results: Mapping) -> pd.DataFrame:
    """What the picture adds to the photometry of each instrument [nat], and what means explain.

    Arguments:
        results: of `other_instruments.json`.
    """
    rows = {}
    for name, row in results["instruments"].items():
        of = row["instrument"]
        found = {
            "limit in r": f"{of['magnitude_limit']:g}",
            "redshifts": "–".join(f"{z:g}" for z in of["redshift_range"]),
            "pixels": f"{of['pixel_scale']:g}″",
            "gain [nat]": _with_error(row["gain"], row["standard_error"], 3, "+"),
            "trainings": len(row["seeds"]),
        }
        for p in PROPERTIES:
            shares = [
                np.mean([of_seed[model]["explained"][p.name] for of_seed in row["seeds"].values()])
                for model in ("photometry", "image")
            ]
            found[f"{SYMBOLS[p.name]} explained [%]"] = "→".join(f"{100 * s:.0f}" for s in shares)
        rows[name] = found
    return pd.DataFrame.from_dict(rows, orient="index")


def methods(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What each method gains in mean log-density over this paper's models [nat], and its cost.

    Arguments:
        rows: of `methods.json`.
    """
    table = {}
    for row in rows.values():
        numbers = list(row["seeds"].values())
        gains = {
            other: _with_error(over["gain"], over["standard_error"], 3, "+")
            for other, over in row["over"].items()
        }
        fewer = [of["gain_of_fewer"] for of in numbers if "gain_of_fewer" in of]
        if fewer:
            gain = _with_error(fewer[0]["gain"], fewer[0]["standard_error"], 3, "+")
            gains["photometry"] = f"{gain} (four properties)"
        mean = {
            key: float(np.mean([of[key] for of in numbers]))
            for key in ("seconds_a_galaxy", "n_parameters")
        }
        table[row["row"]["label"]] = {
            "from": row["row"]["source"],
            **{
                f"{symbol} [nat]": f"{np.mean([of[metric]['mean'] for of in numbers]):.2f}"
                if metric in numbers[0]
                else ""
                for metric, symbol in METRICS.items()
            },
            "over photometry": gains.get("photometry", ""),
            "over photometry and picture": gains.get("image", ""),
            "tries": len(row["tries"]),
            "trainings": len(numbers),
            "parameters": f"{mean['n_parameters']:,.0f}",
            "training [min]": round(np.mean([of["training"]["seconds"] for of in numbers]) / 60, 1),
            "1,000 draws [s]": f"{mean['seconds_a_galaxy']:.2g}",
            "galaxies": numbers[0]["n_test"],
        }
    return pd.DataFrame.from_dict(table, orient="index")


def method_properties(rows: Mapping[str, Mapping], metric: str, digits: int = 3) -> pd.DataFrame:
    """One metric of each property, a row a method, in the mean of its trainings.

    Arguments:
        rows: of `methods.json`.
        metric: of `galcfm.studies.judging.judge`, e.g. `"rmse"`.
        digits: after the point.
    """
    table = {}
    for row in rows.values():
        found = [of["properties"] for of in row["seeds"].values()]
        table[row["row"]["label"]] = {
            SYMBOLS[p]: f"{np.mean([of[p][metric] for of in found]):.{digits}f}"
            if p in found[0]
            else ""
            for p in SYMBOLS
        }
    return pd.DataFrame.from_dict(table, orient="index")


def method_exact(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Photometric methods beside the exact posterior: what they lack [nat], and how alike they are.

    Arguments:
        rows: of `methods.json`; those without the comparison are left out.
    """
    table = {}
    for row in rows.values():
        found = [of["against_exact"] for of in row["seeds"].values() if of.get("against_exact")]
        if found:
            error = np.mean([of["standard_error"] for of in found])
            accuracy = [of["c2st"] for of in found if of["c2st"] is not None]
            table[row["row"]["label"]] = {
                "exact less method": _with_error(
                    np.mean([of["gap"] for of in found]), error, 3, "+"
                ),
                "galaxies": found[0]["n_galaxies"],
                "told apart": f"{np.mean(accuracy):.1%}" if accuracy else "",
            }
    return pd.DataFrame.from_dict(table, orient="index")


def method_notes(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What each method simplifies against the paper that it is from.

    Arguments:
        rows: of `methods.json`.
    """
    notes = {row["row"]["label"]: row["row"]["note"] for row in rows.values() if row["row"]["note"]}
    return pd.DataFrame.from_dict(notes, orient="index", columns=["what is simplified"])


def what_matters(points: Mapping[str, Mapping]) -> pd.DataFrame:
    """Each variant's difference to the reference in mean log-density [nat].

    Arguments:
        points: of `what_matters.json`, without the reference.
    """
    return pd.DataFrame.from_dict(
        {
            point["point"]["label"]: {
                "over the reference": _with_error(point["gain"], point["standard_error"], 3, "+"),
                "trainings": len(point["seeds"]),
                "parameters": f"{next(iter(point['seeds'].values()))['n_parameters']:,}",
            }
            for point in points.values()
            if "gain" in point
        },
        orient="index",
    )


def exact_checks(result: Mapping) -> pd.DataFrame:
    """How far the exact posteriors agree with themselves and with the prior's own examples.

    Arguments:
        result: of `galcfm.studies.exact.summarise`.
    """
    sampler, brute = result["sampler"], result["sampler"]["brute_force"]
    rows = {
        "galaxies": result["n_galaxies"],
        "effective particles a run, median": round(sampler["effective_size"]),
        "effective particles a run, smallest": round(sampler["smallest_effective_size"]),
        "both runs less one [nat]": _mean_and_error(sampler["halving"], 3),
        "first run less second [nat]": _mean_and_error(sampler["between_runs"], 3),
        "scatter of that difference [nat]": f"{sampler['scatter_between_runs']:.2f}",
        "galaxies with importance sampling": brute["n_galaxies"],
    }
    if brute["n_galaxies"]:
        rows |= {
            "effective galaxies there, median": round(brute["effective_size"]),
            "importance sampling less exact [nat]": _mean_and_error(brute["log_density"], 3),
            "difference of means, in its errors": f"{brute['z_mean']:+.2f} ± {brute['z_std']:.2f}",
        }
    return pd.Series(rows, name="value").to_frame()


def exact_gaps(result: Mapping, names: Mapping[str, str]) -> pd.DataFrame:
    """Log-density, gap and classifier accuracy of each posterior, and the flows' widths.

    Arguments:
        result: of `galcfm.studies.exact.summarise`.
        names: what the posteriors are called.
    """
    gaps = {"gap": "below the exact one [nat]", "extrapolated_gap": "extrapolated [nat]"}
    rows = {}
    for model, name in names.items():
        rows[name] = {
            "mean log p [nat]": _mean_and_error(result["log_density"][model]),
            **{
                label: _mean_and_error(result[gap][model]) if model in result[gap] else ""
                for gap, label in gaps.items()
            },
            "classifier accuracy": _mean_and_error(result["c2st"][model], 3),
        }
        for p in PROPERTIES:
            ratio = result["properties"][p.name]["width_ratio"].get(model)
            width = "1" if ratio is None else f"{ratio['mean']:.2f}"
            rows[name][f"width of {p.paper_symbol}"] = width
    return pd.DataFrame.from_dict(rows, orient="index")


def exact_information(result: Mapping) -> pd.DataFrame:
    """Information on each property [nat], and how narrow the exact posterior is.

    Arguments:
        result: of `galcfm.studies.exact.summarise`.
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
            "information: exact": _mean_and_error(gain["exact"]),
            "flow": _mean_and_error(gain["book"]),
            "flow, many": _mean_and_error(gain["many"]),
            "true value known": _mean_and_error(gain["known"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _mean_and_error(value: Mapping[str, float], digits: int = 2) -> str:
    return _with_error(value["mean"], value["standard_error"], digits)


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
            "truths below zero [%]": _with_error(
                100 * below.mean(), 100 * below.std() / np.sqrt(len(below)), 1
            ),
            "expected from draws [%]": _with_error(
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
            "gain in log p [nat]": _with_error(result["gain"], result["standard_error"], 3, "+"),
            "bias, old prior [dex]": f"{result['bias_old'][k]:+.3f}",
            "bias, new prior [dex]": _with_error(
                result["bias_new"][k], result["bias_error"][k], 3, "+"
            ),
            "effective share of draws": f"{result['effective_share']:.2f}",
            "effective galaxies": round(result["effective_galaxies"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def magnitude_errors(errors: Mapping[str, dict]) -> pd.DataFrame:
    """Median quoted magnitude errors of real and simulated galaxies, a row a band.

    Arguments:
        errors: `real`, `simulated` and `ratio` by band.
    """
    return pd.DataFrame.from_dict(errors, orient="index").rename_axis("band").round(4)


def percentiles(columns: Mapping[str, dict]) -> pd.DataFrame:
    """Percentiles of real and simulated galaxies, a row a property, a column a percentile.

    Arguments:
        columns: `real` and `simulated` by property and percentile.
    """
    return pd.DataFrame(
        {
            column: {
                f"{percentile} %": f"{row['real']:.2f} / {row['simulated']:.2f}"
                for percentile, row in rows.items()
            }
            for column, rows in columns.items()
        }
    ).T.rename_axis("real / simulated")


def explanations(reasons: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Offsets of the percentiles of one column under each reason of `try_explanations`."""
    table = pd.DataFrame(reasons).T.map("{:+.2f}".format)
    return table.rename(columns="{} %".format).rename_axis("offset in standard deviations")


def cutout_statistics(statistics: Mapping[str, dict]) -> pd.DataFrame:
    """Medians of simple measurements on real and simulated cutouts, a row a measurement.

    Arguments:
        statistics: the 10, 50 and 90 % of `real` and `simulated`, and the `auc`.
    """
    return pd.DataFrame.from_dict(
        {
            name: {"real": row["real"][1], "simulated": row["simulated"][1], "AUC": row["auc"]}
            for name, row in statistics.items()
        },
        orient="index",
    ).round(2)


def _by_property(results, section: str, columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            (model, label): {p.symbol_with_unit: result[section][p.name][key] for p in PROPERTIES}
            for model, result in results.items()
            for key, label in columns.items()
        }
    )


def training_seeds(results: Mapping, experiments: Mapping) -> pd.DataFrame:
    """What the image adds over photometry [nat], training by training, beside two controls.

    Arguments:
        results: `training_seeds.json`, of `galcfm.studies.training_seeds`.
        experiments: those of `controls.json`, of `galcfm.studies.picture_controls`.
    """
    shape = experiments["shape"]["gain"]
    gains = {
        f"image model, seed {seed}": (gain, f"{gain:+.3f}")
        for seed, gain in results["gain_of_seeds"].items()
    }
    gains |= {
        name: (found["gain"], _with_error(found["gain"], found["standard_error"], 3, "+"))
        for name, found in {
            "image model, all seeds": results,
            "control: six measurements on the cutout": experiments["picture"],
            "control: three true numbers of the shape": experiments["shape"],
        }.items()
    }
    return pd.DataFrame(
        {
            name: {"gain [nat]": text, "of these three numbers'": f"{gain / shape:.0%}"}
            for name, (gain, text) in gains.items()
        }
    ).T


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


def _with_error(value: float, error: float, digits: int = 2, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}"
