"""Flags of quiescent galaxies by models of star-forming galaxies.

`python benchmarks/quiescent.py` simulates the quiescent galaxies with which each training compares
its own galaxies. It adds this comparison and the description of the training galaxies to the
published models, without a change of their weights, and writes the shares of flagged galaxies to
their `model.json`. Given a CSV file of real galaxies with dereddened fluxes `nmgy_u` … `nmgy_z`,
`redshift`, `log_stellar_mass_gswlc`, `log_sfr_gswlc` and four emission lines, it prints the shares
for these galaxies instead.
"""

import json
import sys

import numpy as np
import pandas as pd
import pooch

from galcfm.paths import published_folder, replacing
from galcfm.posterior import Posterior, published
from galcfm.posterior.files import MODEL, range_bytes
from galcfm.posterior.hub import write_card
from galcfm.posterior.training_range import (
    LEVEL,
    QUIESCENT,
    QUIET,
    QuiescentClass,
    known_galaxies,
    photometry_of,
)
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey import Survey

N_QUIESCENT, SEED = 2000, 91
# Corrections of real data to the AB system [mag].
ZERO_POINTS = {"u": -0.04, "z": 0.02}


def simulated(n: int, seed: int, population: str) -> pd.DataFrame:
    """Return the catalogue of simulated galaxies of a population."""
    from galcfm.simulate.population import simulate_catalogue

    return simulate_catalogue(n, seed, population=population)


def is_quiescent(table: pd.DataFrame) -> pd.Series:
    """Return which simulated galaxies have specific star formation rates below 1e-11 per year."""
    return table["log_sfr_true"] - table["log_stellar_mass_true"] < QUIET


def flagged(model: Posterior, table: pd.DataFrame) -> pd.DataFrame:
    """Return flags of galaxies by the range, by the range at twice its level, and by both tests."""
    features = photometry_of(model, table)
    of_range = model.ranges["photometry"].share_farther(features)
    of_class = model.ranges["quiescent"].share_farther(features)
    return pd.DataFrame(
        {
            "range": of_range <= LEVEL,
            "range at 0.02": of_range <= 2 * LEVEL,
            "both tests": (of_range <= LEVEL) | (of_class <= LEVEL),
        },
        index=table.index,
    )


def shares(model: Posterior, table: pd.DataFrame, groups: dict) -> dict:
    """Return the shares of flagged galaxies, by group and test."""
    flags = flagged(model, table)
    return {name: flags[rows].mean().round(3).to_dict() for name, rows in groups.items()}


def add_class(model: Posterior, known: pd.DataFrame) -> None:
    """Add the comparison with quiescent galaxies and the description of the training galaxies."""
    features = photometry_of(model, known)
    half = len(known) // 2
    quiescent = photometry_of(model, pd.read_parquet(QUIESCENT))
    model.ranges["quiescent"] = QuiescentClass.fit(features[:half], features[half:], quiescent)
    model.metadata["knows"] = known_galaxies(Survey(known, None, {"kind": "simulated"}, ""))


def real_galaxies(path: str) -> tuple[pd.DataFrame, dict]:
    """Return real galaxies with AB magnitudes, and which are quiescent or star-forming."""
    table = pd.read_csv(path)
    for band in BANDS:
        table[f"mag_{band}"] = 22.5 - 2.5 * np.log10(table[f"nmgy_{band}"])
        table[f"mag_{band}"] += ZERO_POINTS.get(band, 0)
    quiescent = table["log_sfr_gswlc"] - table["log_stellar_mass_gswlc"] < QUIET
    lines = table[["flux_nii", "flux_halpha", "flux_oiii", "flux_hbeta"]]
    nii, halpha, oiii, hbeta = np.log10(lines.where(lines > 0)).to_numpy().T
    # Kauffmann et al. (2003, MNRAS 346, 1055).
    below = oiii - hbeta < 0.61 / (nii - halpha - 0.05) + 1.3
    lines_of_stars = below & (nii - halpha < 0.05) & ~quiescent
    return table, {"quiescent": quiescent, "others": ~quiescent, "BPT": lines_of_stars}


def main(arguments: list[str]) -> None:
    """Write the published models' comparisons, or print the shares of real galaxies."""
    folders = sorted(path.parent for path in (published_folder() / "models").glob("*/model.json"))
    if arguments:
        table, groups = real_galaxies(arguments[0])
        for folder in folders:
            model = Posterior.load(folder, "cpu")
            if not model.use_magnitude_errors:
                print(folder.name, json.dumps(shares(model, table, groups), indent=1))
        return
    parent = simulated(10_000, SEED, "parent")
    columns = ["object_id", *MAGNITUDES, *MAGNITUDE_ERRORS, "redshift"]
    chosen = parent.loc[is_quiescent(parent), columns].iloc[:N_QUIESCENT]
    kinds = dict.fromkeys(columns[1:], np.float32)
    with replacing(QUIESCENT) as temporary:
        chosen.astype(kinds).to_parquet(temporary, index=False)
    known = simulated(5000, SEED + 1, "star-forming")
    tests = {
        "star-forming": simulated(5000, SEED + 2, "star-forming"),
        "quiescent": simulated(10_000, SEED + 3, "parent").loc[is_quiescent],
    }
    for folder in folders:
        model = Posterior.load(folder, "cpu")
        add_class(model, known)
        found = {
            name: shares(model, table, {name: slice(None)})[name] for name, table in tests.items()
        }
        model.metadata["flagged"] = found
        print(folder.name, json.dumps(found))
        with replacing(folder / "range.safetensors") as temporary:
            temporary.write_bytes(range_bytes(model.ranges))
        # Everything else, including commit and machine, describes the original training.
        description = MODEL.read(folder / "model.json")
        MODEL.write(folder / "model.json", description | {"metadata": model.metadata})
        write_card(model, folder, folder.name)
    pooch.make_registry(str(published_folder() / "models"), str(published.REGISTRY))


if __name__ == "__main__":
    main(sys.argv[1:])
