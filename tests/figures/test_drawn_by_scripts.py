"""Figures that scripts outside the package draw."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from drawn import SOURCE, all_texts, draw
from matplotlib.collections import LineCollection

ROOT = Path(__file__).resolve().parents[2]


def script(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_overview_shows_a_cutout_its_magnitudes_and_the_flow():
    overview = script("book/overview.py")
    image = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    magnitudes = np.array([18.9, 17.6, 17.1, 16.8, 16.6])
    figure = draw(lambda: overview.draw(image, magnitudes, SOURCE))
    (shown,) = (axes.images[0] for axes in figure.axes if axes.images)
    np.testing.assert_array_equal(shown.get_array(), image)
    (dots,) = (c for axes in figure.axes for c in axes.collections if len(c.get_offsets()) == 5)
    np.testing.assert_allclose(dots.get_offsets(), np.stack([range(5), magnitudes], 1))
    (paths,) = (
        c for axes in figure.axes for c in axes.collections if isinstance(c, LineCollection)
    )
    assert len(paths.get_segments()) == 60
    assert {"velocity network", "image\nencoder"} <= set(all_texts(figure))


def test_schematic_flow_ends_on_its_mixture():
    """The drawn trajectories are those of the exact velocity: their end has the right mean."""
    _, paths, (heights, _, posterior) = script("book/overview.py").schematic_flow(2000, 60)
    step = heights[1] - heights[0]
    assert paths[-1].mean() == pytest.approx((heights * posterior).sum() * step, abs=0.01)
    assert (np.diff(paths[-1]) > 0).all()


def test_how_fast_draws_what_the_benchmarks_write():
    solvers = [
        {"solver": name, "setting": "8", "seconds": 0.1, "max_error": 1e-5}
        for name in ("galcfm", "zuko")
    ]
    part = {"solvers": solvers, "tolerance": 1e-4, "galaxies": 1, "samples": 250}
    results = {
        "machine": {"processor": "a processor"},
        "sampling_image": part | {"samples": 1000},
        "density": part,
        "scaling": {"samples": 2, "rows": [{"galaxies": n, "seconds": n / 100} for n in (10, 100)]},
    }
    figure = script("benchmarks/figure.py")
    drawn = figure.errors(results)
    # Times of samples and of densities are those of as many draws.
    firsts = [axes.lines[0].get_xydata().tolist() for axes in drawn.axes]
    assert firsts == [[[0.1, 1e-5]], [[0.4, 1e-5]]]
    (axes,) = figure.scaling(results).axes
    assert axes.lines[0].get_xydata().tolist() == [[10, 0.1], [100, 1.0]]
