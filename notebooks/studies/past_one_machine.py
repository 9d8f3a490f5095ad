"""Figure, tables and costs of the chapter on surveys past one machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galcfm.catalogue.files import RECORD
from galcfm.figures.style import COLOURS, COLUMN, OTHER, new_figure, styled
from galcfm.json_files import JsonFile, object_of
from studies.figures import formatted
from studies.frame import Made, rows_of

CORES = 1000  # at work at once
PRICE = 0.04  # of an hour of one core, US dollars
PARTITION = 100_000  # galaxies
# What `benchmarks/catalogue.py` measures, by part.
Measured = object_of(command=str, date=str, machine=str, made=Made, found=Any)
MEASURED = JsonFile("catalogue.json", dict[str, Measured], "Restore it from git.")
TABLES = rows_of(dict, Path(__file__).with_suffix(".yaml"))


def cost_of(folder: Path | str) -> dict[str, float]:
    """Return how many galaxies a result holds, and what one of them has cost.

    Arguments:
        folder: Folder of the result of `infer_catalogue`.

    Returns:
        `galaxies`, and per galaxy `seconds` of one core and `bytes` on disk.
    """
    files = Path(folder).glob("records/**/*.json")
    records = [RECORD.read(path) for path in files]
    galaxies = sum(record["used"] for record in records)
    seconds = sum(record["core_seconds"] for record in records)
    size = sum(sum(record["files"].values()) for record in records)
    least = max(galaxies, 1)
    return {"galaxies": galaxies, "seconds": seconds / least, "bytes": size / least}


def costs(n_galaxies: float, seconds: float, bytes_: float) -> pd.Series:
    """Return what it takes to infer a catalogue, whose partitions are independent.

    A thousand cores are at work at once, and an hour of one costs 0.04 US dollars.

    Arguments:
        n_galaxies: Number of galaxies.
        seconds: Time of one core per galaxy.
        bytes_: Size of the result per galaxy.

    Returns:
        Core hours, hours with so many cores, US dollars, size of the result, number of
        partitions, and minutes per partition, which is what a killed worker loses.
    """
    hours = n_galaxies * seconds / 3600
    partitions = -(-n_galaxies // PARTITION)
    return pd.Series(
        {
            "core hours": hours,
            "hours": hours / min(CORES, partitions),
            "US dollars": hours * PRICE,
            "result [GB]": n_galaxies * bytes_ / 1e9,
            "partitions": partitions,
            "minutes per partition": min(n_galaxies, PARTITION) * seconds / 60,
        }
    )


def catalogue_growth(found: Sequence[Mapping]) -> pd.DataFrame:
    """Return what one galaxy costs in catalogues of increasing size.

    Arguments:
        found: Measurements of `growth` in `catalogue.json`.
    """
    texts = TABLES["growth"]
    rows = [formatted(texts, of | {"milliseconds": 1e3 * of["seconds"]}) for of in found]
    return pd.DataFrame(rows).set_index("galaxies")


def students(results: Mapping) -> pd.DataFrame:
    """Return how good the draws of students and of their teacher are, and what they cost.

    Coverage is inside the band where it is within two standard errors of the nominal share.

    Arguments:
        results: Content of `students.json`.
    """
    known = {f"student, jumps: {name}": of for name, of in results["student"].items()}
    known |= {f"teacher, steps: {name}": of for name, of in results["teacher"].items()}
    replaced = list(results["teacher"].values())[-1]["seconds"]
    rows = {}
    for name, of in known.items():
        shares = np.array(list(of["coverage"].values()))
        levels = np.array([0.68, 0.95])
        band = 2 * np.sqrt(levels * (1 - levels) / of["n_covered"])
        inside = np.abs(shares - levels) <= band
        shown = {"lowest": shares.min(axis=0), "highest": shares.max(axis=0)}
        shown |= {"inside": inside.sum(), "shares": inside.size}
        shown |= {"milliseconds": 1e3 * of["seconds"], "faster": replaced / of["seconds"]}
        rows[name] = formatted(TABLES["students"], of | shown)
    return pd.DataFrame.from_dict(rows, orient="index")


@styled
def student_accuracy(results: Mapping, *, allowed: float, source: str) -> Figure:
    """Draw how well a classifier tells draws in few evaluations from their teacher's in many steps.

    Arguments:
        results: Content of `students.json`.
        allowed: Accuracy up to which draws count as alike, marked by a line.
        source: Kind of the galaxies, printed in the corner.
    """
    figure = new_figure(COLUMN, 3.6, source)
    axes = figure.subplots()
    for kind, look in (("teacher", OTHER[0]), ("student", OTHER[1])):
        found = pd.DataFrame(results[kind].values())
        mark = {"color": look.colour, "marker": look.marker, "capsize": 3}
        each, pooled = (
            f"{kind}, classifier of {which}" for which in ("each galaxy", "all galaxies")
        )
        errors = 2 * found["c2st_error"]
        axes.errorbar(found["velocities"], found["c2st"], errors, **mark, label=each)
        mark |= {"ls": "--", "mfc": "white", "label": pooled}
        axes.errorbar(found["velocities"], found["c2st_pooled"], **mark)
    axes.axhline(allowed, color=COLOURS["line"], lw=1, ls=":", label=f"allowed: {allowed}")
    axes.axhline(0.5, color=COLOURS["line"], lw=1, label="indistinguishable: 0.5")
    both = [*results["student"].values(), *results["teacher"].values()]
    evaluations = sorted({of["velocities"] for of in both})
    axes.set_xscale("log")
    axes.set_xticks(evaluations, evaluations)
    axes.minorticks_off()
    axes.set(xlabel="evaluations of the velocity per draw", ylabel="accuracy of the classifier")
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
