"""Pictures that are drawn by scripts outside the package."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_overview_is_made_by_its_script(tmp_path, monkeypatch):
    overview = script("book/overview.py")
    monkeypatch.setattr(overview, "PICTURE", tmp_path / "overview.png")
    overview.main()
    # A few pixels' grey may differ between versions of fonts.
    made, kept = ((p / "overview.png").stat().st_size for p in (tmp_path, ROOT / "book/_static"))
    assert made == pytest.approx(kept, rel=0.2)


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
    part = {"solvers": solvers, "tolerance": 1e-4, "galaxies": 1, "samples": 1000}
    results = {
        "machine": {"processor": "a processor"},
        "sampling_image": part,
        "density": part,
        "scaling": {"rows": [{"galaxies": n, "seconds": n / 100} for n in (10, 100)]},
    }
    assert len(script("benchmarks/figure.py").how_fast(results).axes) == 3
