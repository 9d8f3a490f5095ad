"""Figures that tests draw: rendered without warnings, and their texts."""

import io
import warnings
from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

SOURCE = "simulated survey"


def all_texts(figure: Figure) -> list[str]:
    """Return every text in a figure, axes and subfigures included."""
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text)]


def draw(make: Callable[[], Figure]) -> Figure:
    """Make and render a figure, and return it; any warning is an error."""
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = make()
        figure.savefig(io.BytesIO(), dpi=50)
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
    assert SOURCE in all_texts(figure)
    assert min(t.get_fontsize() for t in figure.findobj(matplotlib.text.Text)) >= 9
    return figure
