"""What a catalogue of some size costs, on paper: from what one galaxy costs here."""

import json
from pathlib import Path

import pandas as pd

__all__ = ["cost_of", "plan"]


def cost_of(folder: Path | str) -> dict[str, float]:
    """Seconds of one core, and bytes on disk, that a galaxy of a result has cost.

    Arguments:
        folder: of the result of `infer_catalogue`.

    Returns:
        `galaxies`, `seconds` and `bytes`, the latter two a galaxy.
    """
    records = [json.loads(path.read_text()) for path in Path(folder).glob("records/**/*.json")]
    galaxies = sum(record["used"] for record in records)
    totals = {
        "seconds": sum(record["core_seconds"] for record in records),
        "bytes": sum(sum(record["files"].values()) for record in records),
    }
    return {"galaxies": galaxies} | {k: v / max(galaxies, 1) for k, v in totals.items()}


def plan(
    n_galaxies: float,
    seconds: float,
    bytes_: float,
    *,
    price: float = 0.04,
    cores: int = 1000,
    rows_a_partition: int = 100_000,
) -> pd.Series:
    """What it takes to infer a catalogue: partitions know nothing of each other, so all adds up.

    Arguments:
        n_galaxies: of the catalogue.
        seconds: of one core a galaxy.
        bytes_: of the result a galaxy.
        price: of an hour of one core, in US dollars.
        cores: at work at once.
        rows_a_partition: galaxies of a partition.

    Returns:
        `core hours`, `hours` with so many cores, `US dollars`, `result [GB]`, `partitions`,
        `minutes a partition`: as much as a killed worker loses.
    """
    hours = n_galaxies * seconds / 3600
    partitions = -(-n_galaxies // rows_a_partition)
    return pd.Series(
        {
            "core hours": hours,
            "hours": hours / min(cores, partitions),
            "US dollars": hours * price,
            "result [GB]": n_galaxies * bytes_ / 1e9,
            "partitions": partitions,
            "minutes a partition": min(n_galaxies, rows_a_partition) * seconds / 60,
        }
    )
