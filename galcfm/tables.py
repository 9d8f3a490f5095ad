"""The tables of the book, one function a table; each returns a pandas DataFrame to show."""

from collections.abc import Mapping, Sequence

import pandas as pd

from galcfm.properties import PROPERTIES

__all__ = [
    "calibration_gap",
    "comparison",
    "control_gains",
    "cutout_statistics",
    "explanations",
    "information",
    "magnitude_errors",
    "percentiles",
    "point_estimates",
    "relations",
    "training_seeds",
    "wasserstein",
]

# How a density is called in tables, by its name in the metrics.
DENSITIES = {
    "kde": "KDE (the paper's way)",
    "exact": "exact",
    "exact_kde_prior": "exact, KDE prior",
}
METRICS = {"delta_log_p": "Δlog p", "d_kl": "D_KL"}


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


def wasserstein(results: Mapping[str, dict]) -> pd.DataFrame:
    """Wasserstein distances to the truth in physical units, a row a property.

    Arguments:
        results: `metrics.evaluate` of each model by its name.
    """
    columns = {
        "posterior_mean": "posterior mean",
        "one_draw": "one draw",
        "one_draw_calibrated": "one draw, if calibrated",
        "floor": "two samples",
    }
    return _by_property(results, "wasserstein", columns).round(4)


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
            name: {
                "real": row["real"][1],
                "simulated": row["simulated"][1],
                "AUC": row["auc"],
            }
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
        results: `training_seeds.json`, of `galcfm.seeds`.
        experiments: those of `controls.json`, of `galcfm.controls`.
    """
    oracle = experiments["oracle"]["gain"]
    gains = {
        f"image model, seed {seed}": (gain, f"{gain:+.3f}")
        for seed, gain in results["gain_of_seeds"].items()
    }
    gains |= {
        name: (found["gain"], _with_error(found["gain"], found["standard_error"], 3, "+"))
        for name, found in {
            "image model, all seeds": results,
            "control: six measurements on the cutout": experiments["picture"],
            "control: true morphology": experiments["oracle"],
        }.items()
    }
    return pd.DataFrame(
        {
            name: {"gain [nat]": text, "of the true morphology's": f"{gain / oracle:.0%}"}
            for name, (gain, text) in gains.items()
        }
    ).T


def _with_error(value: float, error: float, digits: int = 2, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}"
