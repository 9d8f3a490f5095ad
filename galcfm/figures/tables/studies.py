"""Tables of what a picture is worth, of other methods, and of what matters."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import METRICS, SYMBOLS, with_error
from galcfm.metrics import wasserstein_gaussian
from galcfm.properties import PROPERTIES, PROPERTY_NAMES

__all__ = [
    "account",
    "account_distances",
    "account_explained",
    "account_kernels",
    "class_means",
    "instruments",
    "made_of_rows",
    "method_exact",
    "method_metrics",
    "method_notes",
    "method_properties",
    "method_verdicts",
    "methods",
    "over_seeds",
    "populations",
    "what_matters",
]

FEWEST = 20  # labels that a share is made of


def account(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What the picture adds to photometry in each row of the account [nat].

    Arguments:
        rows: of `account.json`.
    """
    return pd.DataFrame(
        {
            "survey and models": row["row"]["label"],
            "gain of the image": with_error(row["gain"], row["standard_error"], 3, "+"),
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


def class_means(results: Mapping, kind: str) -> pd.DataFrame:
    """How models do on each class of galaxies, in the mean of their trainings.

    Arguments:
        results: of `other_populations.json`.
        kind: `"photometry"` or `"image"`.

    Returns:
        A row a training and class: `galaxies`, the share `flagged` as outside the range, and of
        each property `n` labels, the share `inside` 95 % intervals, and the `bias` of posterior
        means [unit of the property], in columns `(property, what)`.
    """
    rows = {}
    for training, seeds in results["trainings"].items():
        for of_class, first in next(iter(seeds.values()))[kind].items():
            found = [of[kind][of_class] for of in seeds.values()]
            row = rows[training, of_class] = {
                ("galaxies", ""): first["n"],
                ("flagged", ""): np.mean([one["outside"] for one in found]),
            }
            for name in first["properties"]:
                of_property = [one["properties"][name] for one in found]
                row[name, "n"] = of_property[0]["n"]
                row[name, "inside"] = np.mean([one["coverage"][1] for one in of_property])
                row[name, "bias"] = np.mean([one["bias"] for one in of_property])
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(["trained on", "galaxies of"])


def populations(results: Mapping, kind: str) -> pd.DataFrame:
    """Labels inside 95 % intervals by class of galaxies, in the mean of all trainings.

    Shares have a star where they lie outside what 95 % is by numbers, at two standard errors;
    those of fewer than `FEWEST` galaxies are not shown.

    Arguments:
        results: of `other_populations.json`.
        kind: `"photometry"` or `"image"`.
    """
    means = class_means(results, kind)
    table = pd.DataFrame(index=means.index)
    table["galaxies"] = means["galaxies"]
    table["flagged"] = means["flagged"].map("{:.1%}".format)
    for name in PROPERTY_NAMES:
        n, inside = means[name, "n"], means[name, "inside"]
        off = (inside - 0.95).abs() > 2 * np.sqrt(0.95 * 0.05 / n)
        shown = inside.map("{:.1%}".format) + off.map({True: "*", False: ""})
        table[SYMBOLS[name]] = shown.where(n >= FEWEST, "")
    return table


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
            "gain [nat]": with_error(row["gain"], row["standard_error"], 3, "+"),
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
            other: with_error(over["gain"], over["standard_error"], 3, "+")
            for other, over in row["over"].items()
        }
        fewer = [of["gain_of_fewer"] for of in numbers if "gain_of_fewer" in of]
        if fewer:
            gain = with_error(fewer[0]["gain"], fewer[0]["standard_error"], 3, "+")
            told = ", told redshift and errors" * row["row"]["beside"].endswith("told")
            gains["photometry"] = f"{gain} (four properties{told})"
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


def method_metrics(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Every metric of every property by every method, tidy: one number a row.

    Arguments:
        rows: of `methods.json`.

    Returns:
        `method`, `property`, `metric` of `studies.judging.judge`, its mean `value` over
        `trainings`, and their number.
    """
    found = []
    for row in rows.values():
        of_seeds = [of["properties"] for of in row["seeds"].values()]
        for name in (p for p in SYMBOLS if p in of_seeds[0]):
            values = pd.DataFrame([of[name] for of in of_seeds]).mean()
            numbers = values.rename_axis("metric").reset_index(name="value")
            found.append(
                numbers.assign(method=row["row"]["label"], property=name, trainings=len(of_seeds))
            )
    columns = ["method", "property", "metric", "value", "trainings"]
    return pd.concat(found, ignore_index=True)[columns]


def method_properties(rows: Mapping[str, Mapping], metric: str, digits: int = 3) -> pd.DataFrame:
    """One metric of each property, a row a method, in the mean of its trainings.

    Arguments:
        rows: of `methods.json`.
        metric: of `studies.judging.judge`, e.g. `"rmse"`.
        digits: after the point.
    """
    numbers = method_metrics(rows).query("metric == @metric")
    table = numbers.pivot(index="method", columns="property", values="value")
    table = table.reindex([row["row"]["label"] for row in rows.values()])[[*SYMBOLS]]
    table = table.map(lambda value: "" if np.isnan(value) else f"{value:.{digits}f}")
    return table.rename(columns=SYMBOLS).rename_axis(index=None, columns=None)


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
                "exact less method": with_error(
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


def method_verdicts(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Each method beside this paper's model that sees the same [nat], those ahead at the top.

    Arguments:
        rows: of `methods.json`; those of this paper's own recipe are left out.

    Returns:
        What a method gains, and `ahead` or `behind` where that is more than two standard errors.
    """
    found = {}
    for row in rows.values():
        other = row["row"]["beside"]
        over = row["over"].get(other) or next(iter(row["seeds"].values())).get("gain_of_fewer")
        if over is None or row["row"]["method"] == "FlowMatching":
            continue
        gain, error = over["gain"], over["standard_error"]
        found[row["row"]["label"]] = {
            "beside": rows[other]["row"]["label"],
            "gain [nat]": with_error(gain, error, 3, "+"),
            "": "equal" if abs(gain) < 2 * error else ("ahead" if gain > 0 else "behind"),
            "sort": -gain,
        }
    return pd.DataFrame.from_dict(found, orient="index").sort_values("sort").drop(columns="sort")


def made_of_rows(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Commit, machine and time of each row's trainings.

    Arguments:
        rows: by label, of a stored result whose trainings say with what they were made.
    """
    table = {}
    for label, row in rows.items():
        seeds = list(row["seeds"].values())
        table[label] = {
            "trainings": len(seeds),
            "commits": ", ".join(dict.fromkeys(of["made"]["commit"][:7] for of in seeds)),
            "machines": ", ".join(dict.fromkeys(of["made"]["machine"] for of in seeds)),
            "training [min]": ", ".join(f"{of['training']['seconds'] / 60:.1f}" for of in seeds),
        }
    return pd.DataFrame.from_dict(table, orient="index")


def what_matters(results: Mapping) -> pd.DataFrame:
    """Each variant's difference to the reference in mean log-density [nat], by what is exchanged.

    Arguments:
        results: of `what_matters.json`.
    """
    rows = {}
    for name, point in results["points"].items():
        if "gain" in point:
            rows[results["axes"][name.split("/")[0]], point["point"]["label"]] = {
                "over the reference": with_error(point["gain"], point["standard_error"], 3, "+"),
                "trainings": len(point["seeds"]),
                "parameters": f"{next(iter(point['seeds'].values()))['n_parameters']:,}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")
