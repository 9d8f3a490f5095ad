"""Tables of surveys: the relations, and simulated galaxies beside real ones."""

from collections.abc import Mapping, Sequence

import pandas as pd

from galcfm.figures.tables.words import with_error

__all__ = [
    "control_gains",
    "cutout_statistics",
    "explanations",
    "magnitude_errors",
    "percentiles",
    "relations",
    "ties",
]


def relations(all_relations: Sequence) -> pd.DataFrame:
    """Return the published relations of the simulated survey, one row per relation.

    Arguments:
        all_relations: Relations, `galcfm.simulate.RELATIONS`.
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
    """Return what ties pictures and measurements to the properties, one row per tie.

    Arguments:
        all_ties: Ties, `galcfm.simulate.TIES`.
        without: Names of the ties that are switched off.
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
            "gain": with_error(result["gain"], result["standard_error"], 3, "+"),
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
            name: {"real": row["real"][1], "simulated": row["simulated"][1], "AUC": row["auc"]}
            for name, row in statistics.items()
        },
        orient="index",
    ).round(2)
