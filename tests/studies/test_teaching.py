"""The figures that teach show what their pages say."""

import base64

import numpy as np
import pytest
from drawn import SOURCE, all_texts, draw, make_data

from studies import teaching


def test_learned_paths_end_at_both_hills_and_never_cross():
    panels = draw(lambda: teaching.flow_of_one_property(source=SOURCE)).axes
    straight, learned = (
        np.stack([line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 201], 1)
        for axes in panels
    )
    order = np.argsort(learned[0])
    assert (np.diff(learned[:, order], axis=1) > 0).all()
    assert not (np.diff(straight[:, order], axis=1) > 0).all()
    near = np.abs(learned[-1][:, None] - [-1.3, 1.1]).min(axis=1)
    assert near.max() < 0.9


def test_a_posterior_is_read_from_its_draws():
    catalogue, posteriors, _ = make_data(60)
    arguments = {"galaxy": 7, "source": SOURCE}
    figure = draw(lambda: teaching.how_to_read(catalogue, posteriors, **arguments))
    assert "central 68 % of the draws" in all_texts(figure)
    sfr = catalogue.loc[7, "log_sfr"]
    assert sfr in [line.get_xdata()[0] for line in figure.axes[0].lines]
    draws = posteriors["image"]["log_sfr"].values[..., 7]
    bar = next(line for line in figure.axes[0].lines if line.get_linewidth() == 3)
    assert bar.get_xdata().tolist() == pytest.approx(np.percentile(draws, [16, 84]))


def test_a_figure_for_another_page_has_its_words():
    found = teaching.embedded(teaching.flow_of_one_property(source=SOURCE), 'It says "flow".')
    head, data = found.removesuffix('">').split('src="data:image/svg+xml;base64,')
    assert head == '<img alt="It says &quot;flow&quot;." '
    assert b"<svg" in base64.b64decode(data)
