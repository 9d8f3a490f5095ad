"""Each figure runs on small data, names its axes and source, and leaves nothing behind."""

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw, make_data

from galcfm import figures
from galcfm.figures import style
from galcfm.properties import BANDS, PROPERTY_NAMES


def make_figures(n):
    """Name and maker of each figure for `n` galaxies."""
    catalogue, *_ = make_data(n)
    rng = np.random.default_rng(8)
    replicated = catalogue[[f"mag_{b}" for b in BANDS]].to_numpy()[:, None]
    replicated = replicated + rng.normal(0, 0.1, (n, 200, 5))
    checked = pd.DataFrame(rng.normal(0, 0.1, (n, 5)), columns=[f"residual_{b}" for b in BANDS])
    checked = checked.assign(object_id=catalogue["object_id"], share_farther=0.5, is_doubtful=False)
    shares = {p: {"coverage_68": 0.7, "coverage_95": 0.94} for p in PROPERTY_NAMES}
    of_fits = {p: shares[p] for p in PROPERTY_NAMES[:2]}
    method_rows = {
        "flow": {
            "row": {"label": "flow", "beside": "image"},
            "over": {"photometry": {"gain": 0.2, "standard_error": 0.02}},
            "seeds": {"1": {"seconds_a_galaxy": 0.1, "properties": shares}},
        },
        "fit": {
            "row": {"label": "fit", "beside": "photometry_told"},
            "over": {},
            "seeds": {
                "1": {
                    "seconds_a_galaxy": 30.0,
                    "properties": of_fits,
                    "gain_of_fewer": {"gain": -1.0, "standard_error": 0.1},
                }
            },
        },
    }
    methods = {
        "flow": ("a flow", "image"),
        "npe": ("splines", "photometry"),
        "fit": ("SED fitting", "photometry_told"),
    }
    of_methods = pd.DataFrame(rng.normal(size=(360, 5)), columns=list(PROPERTY_NAMES))
    of_methods["row"] = np.repeat(list(methods), 120)
    of_methods["object_id"] = np.tile(list("ab"), 180)
    of_methods.loc[of_methods["row"] == "fit", "oxygen_abundance"] = np.nan
    labels = pd.DataFrame(np.zeros((2, 5)), index=list("ab"), columns=list(PROPERTY_NAMES))
    return {
        "replicated_photometry": lambda: figures.replicated_photometry(
            replicated, checked, source=SOURCE
        ),
        "method_costs": lambda: figures.method_costs(method_rows, source=SOURCE),
        "method_coverage": lambda: figures.method_coverage(method_rows, source=SOURCE),
        "method_intervals": lambda: figures.method_intervals(
            of_methods, methods, labels, source=SOURCE
        ),
        "method_corner": lambda: figures.method_corner(
            of_methods, methods, labels, galaxy="a", source=SOURCE
        ),
    }


# The labels that must appear on axes, with their units.
EXPECTED = {
    "method_costs": ["1,000 draws of a galaxy [s]", "fit", "the picture"],
    "method_coverage": ["share within 68 %", "flow"],
    "method_intervals": [*style.LABELS.values(), "a flow", "SED fitting"],
    "method_corner": [*style.LABELS.values(), "photometry", "the picture"],
    "replicated_photometry": ["Observed − implied [half-widths of 68 %]", "u−g"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_figure_names_axes_units_and_source(name):
    figure = draw(make_figures(60)[name])
    texts = all_texts(figure)
    for label in EXPECTED[name]:
        assert label in texts


@pytest.mark.parametrize("name", EXPECTED)
def test_one_galaxy_is_enough(name):
    draw(make_figures(1)[name])
