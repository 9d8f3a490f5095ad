"""The data of the page of single galaxies: what it reads is what the posteriors say."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from conftest import toy_survey
from drawn import make_posterior
from matplotlib.path import Path as MplPath

from galcfm.figures import explorer
from galcfm.paths import repository_root
from galcfm.properties import PROPERTIES

LIMIT = 4_500_000  # bytes of the page with all it loads
CUTOUT = 3_500  # bytes of a JPEG; simulated ones have 2,300 on average


def unpacked(text, *shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


@pytest.fixture(scope="module")
def galaxies():
    return toy_survey(520)


@pytest.fixture(scope="module")
def posteriors(galaxies):
    rng = np.random.default_rng(3)
    found = {
        name: make_posterior(rng, galaxies.properties, width)
        for name, width in (("photometry", 1.0), ("image", 0.5))
    }
    return {k: d.assign_coords(object_id=galaxies.object_id) for k, d in found.items()}


@pytest.fixture(scope="module")
def data(galaxies, posteriors):
    gains = {name: np.arange(len(galaxies)) / 8 for name in posteriors}
    return explorer.explorer_data(galaxies, posteriors, gains)


def test_each_galaxy_has_its_own_numbers(data, galaxies, posteriors):
    assert len(data["galaxies"]) == explorer.GALAXIES < len(galaxies) == data["n_galaxies"]
    for row in (0, 7, 499):
        found = data["galaxies"][row]
        assert found["id"] == galaxies.object_id[row]
        assert found["magnitudes"] == pytest.approx(galaxies.magnitudes[row], abs=6e-4)
        assert found["measured"] == pytest.approx(galaxies.properties[row], abs=6e-4)
        for name, model in found["models"].items():
            draws = posteriors[name].isel(object_id=row)
            for k, p in enumerate(PROPERTIES):
                values = draws[p.name].to_numpy()
                ends = [model["interval"][0][k], model["interval"][1][k]]
                assert model["median"][k] == pytest.approx(np.median(values), abs=6e-4)
                assert ends == pytest.approx(np.quantile(values, [0.16, 0.84]), abs=6e-4)
                assert model["mean"][k] == pytest.approx(values.mean(), abs=6e-4)
            assert model["delta_log_p"] == pytest.approx(row / 8, abs=6e-3)


def unpacked_contours(text):
    """Corners of each contour by plane and level, in steps from 0 to 255."""
    numbers = list(base64.b64decode(text))
    found = {}
    while numbers:
        place, n = numbers[:2]
        plane, level = divmod(place, len(explorer.LEVELS))
        corners = np.array(numbers[2 : 2 + 2 * n]).reshape(n, 2)
        found.setdefault((plane, level), []).append(corners)
        numbers = numbers[2 + 2 * n :]
    return found


def test_contours_and_histograms_come_back(data, posteriors):
    found = data["galaxies"][5]
    low, high = np.array(found["drawn"])
    for name, model in found["models"].items():
        contours = unpacked_contours(model["contours"])
        assert set(contours) == {(p, k) for p in range(10) for k in range(2)}
        draws = [posteriors[name][p.name].isel(object_id=5).to_numpy().ravel() for p in PROPERTIES]
        for (plane, level), parts in contours.items():
            x, y = explorer.planes_of([p.name for p in PROPERTIES])[plane]
            points = np.stack([draws[x], draws[y]], axis=1)
            within = np.zeros(len(points), dtype=bool)
            for corners in parts:
                ends = np.array([low[[x, y]], high[[x, y]]])
                within ^= MplPath(ends[0] + (ends[1] - ends[0]) * corners / 255).contains_points(
                    points
                )
            assert within.mean() == pytest.approx(explorer.LEVELS[level], abs=0.06), (plane, level)
        for k in range(5):
            heights = unpacked(model["marginals"], 5, explorer.BINS)[k]
            edges = np.linspace(*data["properties"][k]["range"], explorer.BINS + 1)
            middle = (heights * (edges[1:] + edges[:-1]) / 2).sum() / heights.sum()
            assert heights.max() == 255
            assert middle == pytest.approx(draws[k].mean(), abs=np.diff(edges)[0])


def test_the_page_opens_with_a_galaxy_of_large_gain(galaxies, posteriors):
    rng = np.random.default_rng(1)
    gains = {name: rng.normal(size=len(galaxies)) for name in posteriors}
    found = explorer.explorer_data(galaxies, posteriors, gains)
    gain = gains["image"][:500] - gains["photometry"][:500]
    assert (gain < gain[found["first"]]).mean() == pytest.approx(0.95, abs=0.002)


def test_a_figure_links_its_galaxies(galaxies):
    found = explorer.explorer_links(galaxies.object_id, [3, 510])
    name = galaxies.object_id[3]
    assert f'explorer: <a href="../explorer.html#galaxy-{name}">1</a>.' in found


def test_labels_are_plain_text(data):
    for entry in data["properties"]:
        assert not set(entry["label"]) & set("$\\_{}^"), entry["label"]


def test_galaxies_must_be_those_of_the_posteriors(galaxies, posteriors):
    with pytest.raises(ValueError, match="different galaxies"):
        explorer.explorer_data(galaxies.select(range(519, -1, -1)), posteriors)


def test_what_is_missing_is_said_so(galaxies, posteriors):
    """A galaxy without a density has none on the page: JSON knows no NaN."""
    few = galaxies.select(range(3))
    some = {name: d.isel(object_id=slice(3)) for name, d in posteriors.items()}
    gains = {name: [np.nan, 1.0, -np.inf] for name in some}
    found = explorer.explorer_data(few, some, gains)["galaxies"]
    assert [g["models"]["image"]["delta_log_p"] for g in found] == [None, 1.0, None]
    assert "magnitude_errors" not in found[0]


def test_the_page_with_all_it_loads_is_small(data, galaxies, posteriors, tmp_path):
    explorer.write_explorer(data, galaxies.images, posteriors, tmp_path)
    script = (tmp_path / "galaxies.js").read_text(encoding="utf-8")
    assert script.startswith("window.galcfmGalaxies = ")
    assert json.loads(script.removeprefix("window.galcfmGalaxies = ").rstrip(";\n")) == data
    assert len(list((tmp_path / "cutouts").glob("*.jpg"))) == explorer.GALAXIES
    draws = pd.read_csv(tmp_path / "draws" / "7.csv.gz")
    wanted = posteriors["image"]["a_v"].isel(object_id=7).to_numpy().ravel()
    assert draws["image_a_v"].to_numpy() == pytest.approx(wanted, abs=6e-5)
    static = repository_root() / "book" / "_static"
    scripts = [*static.glob("explorer.js"), *(static / "plot").glob("*.js")]
    own = [*scripts, *static.glob("explorer.css")]
    assert len(own) == 4
    rest = sum(p.stat().st_size for p in (*own, tmp_path / "galaxies.js"))
    assert rest + explorer.GALAXIES * CUTOUT < LIMIT
