"""Surveys that declare what they have: features of another model as input, and missing labels.

One part trains on the image features of the published image model, given as an embedding, and
compares the result with that model itself. The other removes the oxygen abundance of a third of the
training galaxies and compares training on all galaxies with training on the complete ones. Both are
scored with exact densities on simulated galaxies that no model has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from galcfm.figures.tables.words import with_error
from galcfm.properties import PROPERTIES
from studies import frame
from studies.frame import Study, rows_of

STUDY = Study("declared", "18_declared_surveys", module="studies.declared.making")
LACKING = "oxygen_abundance"
REFERENCE = "nothing_missing"


@dataclass(frozen=True)
class Row:
    """One training with missing labels.

    Arguments:
        words: Name in tables.
        missing: `"class"`, `"random"`, or empty where no label is missing.
        complete: Whether only galaxies with all labels are trained on.
    """

    words: str
    missing: str = ""
    complete: bool = False


ROWS: Mapping[str, Row] = rows_of(Row, Path(__file__).with_name("rows.yaml"))


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Galaxies and trainings.

    Arguments:
        n_embedded: Number of galaxies with image features, a twentieth each for validation and
            test.
        embedded_seed: Seed of these galaxies, other than that of the published image model's.
        n_new: Number of further galaxies with image features, for a test with a smaller error.
        new_seed: Seed of these galaxies.
        training_sizes: Numbers of these galaxies that are trained on, one training each.
        embedded_epochs: Largest number of epochs of these trainings.
        n_galaxies: Number of galaxies with missing labels, a tenth of them each for validation
            and test.
        galaxies_seed: Seed of these galaxies.
        share: Share of the galaxies that lack the oxygen abundance.
        max_epochs: Largest number of epochs of a training with missing labels.
        seeds: Seeds of these trainings.
        n_draws: Draws per test galaxy, for the bias of the posterior means.
        steps: Runge-Kutta steps of draws and densities.
        processes: Number of processes that render images.
    """

    n_embedded: int = 100_000
    embedded_seed: int = 81
    n_new: int = 10_000
    new_seed: int = 91
    training_sizes: Sequence[int] = (10_000, 30_000, 90_000)
    embedded_epochs: int = 20
    n_galaxies: int = 20_000
    galaxies_seed: int = 82
    share: float = 0.3
    max_epochs: int = 40
    seeds: Sequence[int] = (1,)
    n_draws: int = 50
    steps: int = 12
    processes: int = 2


def embedding_table(results: Mapping) -> pd.DataFrame:
    """Return the log-density of models with the embedding minus that of the image model [nat]."""
    rows = {
        f"{found['n_train']:,}": {
            f"{split} galaxies [nat]": with_error(
                found[split]["gain"], found[split]["standard_error"], sign="+"
            )
            for split in ("validation", "test", "new")
        }
        for found in results["embedding"].values()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trained on", axis=1)


def label_table(results: Mapping) -> pd.DataFrame:
    """Return the effect of missing labels by row: gain over the row without, and two biases."""
    table = {}
    for name, found in results["labels"].items():
        cells = {}
        for group, words in (("having", "with O/H"), ("lacking", "without")):
            of = found[group]
            gain = with_error(of["gain"]["gain"], of["gain"]["standard_error"], sign="+")
            cells[f"{words}: log-density [nat]"] = "" if name == REFERENCE else gain
            for p in PROPERTIES:
                if p.name in ("log_sfr", LACKING):
                    cells[f"{words}: bias of {p.symbol_with_unit}"] = with_error(
                        of["bias"][p.name], of["bias_error"][p.name], sign="+"
                    )
        table[ROWS[name].words] = cells
    return pd.DataFrame.from_dict(table, orient="index")
