"""Draw what the image adds to photometry, in total and property by property.

`python book/findings.py` makes `book/_static/findings.svg`, the figure of the index and of the
README, from the results in `data/published`.
"""

import json
from pathlib import Path

import numpy as np

import galcfm.runs  # so that studies can be imported  # noqa: F401
from galcfm.figures.style import COLOURS, LABELS, LIGHT, OTHER, new_figure, styled
from galcfm.paths import replacing
from galcfm.properties import PROPERTY_NAMES
from studies import exact, key_numbers, paper_scale, what_matters
from studies.frame import paired_gain
from studies.paper_scale.tables import PAPER
from studies.picture_worth import by_property

PICTURE = Path(__file__).parent / "_static" / "findings.svg"
PAPERS, OURS = OTHER[:2]


def numbers() -> dict:
    """Return what the figure shows: gains and standard errors [nat] by label.

    `missing` is the paper's gain minus this book's, in oxygen abundance and in mass.
    """
    found = key_numbers.key_numbers()
    table = what_matters.STUDY.read().table()
    redshift = paired_gain(table, "inputs/photometry_told", "inputs/photometry")
    total = {
        f"simulated, {found[key]['trained_on']:,} galaxies": found[key]
        for key in ("gain_quick_exact", "gain_paper_size")
    }
    total["the paper (SDSS)"] = found["gain_paper"]
    total["simulated: the redshift\nin place of the image"] = redshift
    large = paper_scale.STUDY.read()
    test, *_ = paper_scale.load_draws(large)
    measured = test[list(PROPERTY_NAMES)].to_numpy()
    models = by_property.MODELS
    theirs = {m: PAPER[m]["wasserstein"] for m in models}
    ours = {
        m: [of["posterior_mean"] for of in large.content[m]["wasserstein"].values()] for m in models
    }
    paper = by_property.by_distance(measured, theirs, 1000)
    book = by_property.by_distance(measured, ours, len(measured))
    missing = paper["gain"] - book["gain"]
    error = np.hypot(paper["standard_error"], book["standard_error"])
    return {
        "missing": [[missing[p], error[p]] for p in ("oxygen_abundance", "log_stellar_mass")],
        "total": {k: [of["gain"], of["standard_error"]] for k, of in total.items()},
        "paper": paper[["gain", "standard_error"]].to_numpy().tolist(),
        "book": book[["gain", "standard_error"]].to_numpy().tolist(),
    }


def exact_gap() -> tuple[float, float]:
    """Return how far photometry is from the exact posterior, with its standard error [nat]."""
    gap = exact.STUDY.read().content["extrapolated_gap"]["book"]
    return gap["mean"], gap["standard_error"]


@styled
def draw(shown: dict):
    """Return the figure.

    Arguments:
        shown: Result of `numbers`.
    """
    figure = new_figure(7.0, 2.9, "SDSS (the paper) and simulated (this book)")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    colours = (OURS.colour, OURS.colour, PAPERS.colour, LIGHT)
    for place, (row, colour) in enumerate(zip(shown["total"].values(), colours, strict=True)):
        gain, error = row
        left.barh(-place, gain, color=colour, height=0.6, alpha=0.85)
        if error == error:
            left.errorbar(gain, -place, xerr=error, color=COLOURS["line"], capsize=3)
        left.text(gain + 0.05, -place, f"{gain:.2f}", va="center", fontsize=10)
    left.set_yticks([-k for k in range(4)], shown["total"])
    left.set_xlim(0, 1.15)
    left.set_xlabel("gain over photometry [nat]")
    for shift, (name, look) in zip((0.13, -0.13), (("paper", PAPERS), ("book", OURS)), strict=True):
        for place, (gain, error) in enumerate(shown[name]):
            label = {"paper": "the paper", "book": "this book"}[name] if not place else None
            point = {"fmt": look.marker, "color": look.colour, "ms": 7, "capsize": 3}
            right.errorbar(gain, shift - place, xerr=error, label=label, **point)
    right.axvline(0, color=COLOURS["line"], lw=1)
    right.set_yticks([-k for k in range(5)], [LABELS[p].split(" [")[0] for p in PROPERTY_NAMES])
    right.set_xlabel("gain in one property [nat]")
    right.set_xlim(-0.03, 0.64)
    right.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    shown = numbers()
    with replacing(PICTURE) as temporary:
        # The numbers go with the figure, so that a test can compare them with the results.
        metadata = {"Description": json.dumps(shown), "Date": None}
        draw(shown).savefig(temporary, metadata=metadata)
    print(PICTURE)
