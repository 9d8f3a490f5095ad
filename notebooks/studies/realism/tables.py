"""Tables of how real the simulated survey is."""

from collections.abc import Mapping

import pandas as pd

from galcfm.figures.tables.words import with_error

__all__ = ["control_gains", "cutout_statistics", "explanations", "magnitude_errors", "percentiles"]


def magnitude_errors(errors: Mapping[str, dict]) -> pd.DataFrame:
    """Return the median magnitude errors of real and simulated galaxies, one row per band.

    Arguments:
        errors: `real`, `simulated` and `ratio` by band.
    """
    return pd.DataFrame.from_dict(errors, orient="index").rename_axis("band").round(4)


def percentiles(columns: Mapping[str, dict]) -> pd.DataFrame:
    """Return percentiles of real and simulated galaxies, one row per property.

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
    """Return the offsets of the percentiles of one column, one row per reason.

    Arguments:
        reasons: Offsets by reason and percentile, of `try_explanations`.
    """
    table = pd.DataFrame(reasons).T.map("{:+.2f}".format)
    return table.rename(columns="{} %".format).rename_axis("offset in standard deviations")


def cutout_statistics(statistics: Mapping[str, dict]) -> pd.DataFrame:
    """Return medians of the measurements on real and simulated cutouts, one row per measurement.

    Arguments:
        statistics: 10th, 50th and 90th percentile of `real` and `simulated`, and the `auc`.
    """
    table = pd.DataFrame(statistics).T
    table[["real", "simulated"]] = table[["real", "simulated"]].map(lambda spread: spread[1])
    return table.rename(columns={"auc": "AUC"}).astype(float).round(2)


def control_gains(experiments: Mapping[str, dict]) -> pd.DataFrame:
    """Return the gain of each control over photometry alone [nat], one row per control.

    Arguments:
        experiments: Those of `controls.json`.
    """
    return pd.DataFrame(
        {
            "given beside the photometry": result["question"],
            "gain": with_error(result["gain"], result["standard_error"], 3, "+"),
            "galaxies": result["n_test"],
            "trainings": result["trainings"],
        }
        for result in experiments.values()
    ).set_index("given beside the photometry")
