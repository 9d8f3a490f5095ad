"""Each figure runs on small data, names its axes and source, and leaves nothing behind."""

import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw, make_data

from galcfm import figures
from galcfm.properties import BANDS


def make_figures(n):
    """Name and maker of each figure for `n` galaxies."""
    catalogue, *_ = make_data(n)
    rng = np.random.default_rng(8)
    replicated = catalogue[[f"mag_{b}" for b in BANDS]].to_numpy()[:, None]
    replicated = replicated + rng.normal(0, 0.1, (n, 200, 5))
    checked = pd.DataFrame(rng.normal(0, 0.1, (n, 5)), columns=[f"residual_{b}" for b in BANDS])
    checked = checked.assign(object_id=catalogue["object_id"], share_farther=0.5, is_doubtful=False)
    return {
        "replicated_photometry": lambda: figures.replicated_photometry(
            replicated, checked, source=SOURCE
        )
    }


# The labels that must appear on axes, with their units.
EXPECTED = {"replicated_photometry": ["Observed − implied [half-widths of 68 %]", "u−g"]}


@pytest.mark.parametrize("name", EXPECTED)
def test_figure_names_axes_units_and_source(name):
    figure = draw(make_figures(60)[name])
    texts = all_texts(figure)
    for label in EXPECTED[name]:
        assert label in texts


@pytest.mark.parametrize("name", EXPECTED)
def test_one_galaxy_is_enough(name):
    draw(make_figures(1)[name])
