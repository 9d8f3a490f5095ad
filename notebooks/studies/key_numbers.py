"""What an image is worth: every gain that pages quote, by its key."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.figures.tables.words import number, with_error
from studies import paper_scale, picture_worth, training_seeds, what_matters
from studies.figures import half_width, mean_over_seeds
from studies.frame import paired_gain, rows_of
from studies.paper_scale.tables import PAPER

WORDS = rows_of(dict, Path(__file__).with_name("key_numbers.yaml"))
PAPERS = {"trained_on": 85_440, "tested_on": 1_000}  # galaxies


def key_numbers() -> dict[str, dict]:
    """Return the gains of the image model over the photometry model that pages quote, by key.

    All are read from the published results.

    Returns:
        `gain` [nat]; its `standard_error` [nat], not a number where it is unknown; `trained_on` and
        `tested_on`, numbers of galaxies; `models` and `density` in words.
    """
    studies = picture_worth, training_seeds, paper_scale, what_matters
    account, seeds, large, matters = (study.STUDY.read().content for study in studies)
    redshift = paper_scale.WITH_REDSHIFT.read().content["gain"]
    short, rows = what_matters.STUDY.read().table(), account["rows"]
    reference = next(iter(matters["points"]["reference"]["seeds"].values()))
    n_train = reference["training"]["n_train"]
    small = {"trained_on": n_train, "tested_on": len(short), "seeds": rows["all"]["seeds"]}
    size = {"trained_on": large["image"]["training"]["n_train"], "tested_on": redshift["n_test"]}
    of_all = [
        mean_over_seeds(rows["all"], m, "delta_log_p_kernels") for m in ("image", "photometry")
    ]
    kernels = large["comparison"]["delta_log_p"]["kde"]
    images, photometry = (PAPER[model]["delta_log_p"][0] for model in ("image", "photometry"))
    given = paired_gain(short, "inputs/told", "inputs/photometry_told")
    quick = {
        "trained_on": seeds["seeds"]["1"]["trainings"]["image"]["n_train"],
        "tested_on": seeds["n_test"],
    }
    found = {
        "gain_12_epochs": small | paired_gain(short, "reference", "inputs/photometry"),
        "gain_quick_exact": seeds | quick,
        "gain_32px": small | rows["all"],
        "gain_32px_kde": small
        | {"gain": of_all[0] - of_all[1], "tested_on": account["plan"]["n_kernels"]},
        "gain_paper_size": size | large["gain"],
        "gain_paper_size_kde": size
        | kernels
        | {"gain": kernels["difference"], "tested_on": kernels["n"]},
        "gain_paper": PAPERS | {"gain": images - photometry},
        "gain_redshift_12_epochs": small | given,
        "gain_redshift_32px": small | rows["all_told"],
        "gain_redshift_paper_size": size | redshift,
    }
    return {key: {"standard_error": np.nan} | of | WORDS[key] for key, of in found.items()}


def table(numbers: Mapping[str, Mapping]) -> pd.DataFrame:
    """Return the gains as a table, one row per key.

    Arguments:
        numbers: Result of `key_numbers`.
    """
    rows = {}
    for of in numbers.values():
        gain, error, known = of["gain"], of["standard_error"], np.isfinite(of["standard_error"])
        width = half_width(of)
        # Two rows may differ in the density alone. A phone shows the first columns.
        rows[of["models"], of["density"]] = {
            "gain [nat]": with_error(gain, error, 3) if known else number(gain),
            "95 % interval": f"{gain - width:.3f} to {gain + width:.3f}" if known else "not given",
            "density": of["density"],
            "trained on": f"{of['trained_on']:,}",
            "tested on": f"{of['tested_on']:,}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").droplevel(1)
