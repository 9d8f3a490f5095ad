"""The data of the page of single galaxies: what it reads is what the posteriors say."""

import base64
import json

import numpy as np
import pytest
from conftest import toy_survey
from drawn import make_posterior

from galcfm.figures import explorer
from galcfm.paths import repository_root
from galcfm.properties import PROPERTIES

LIMIT = 3_000_000  # bytes of the page with all it loads
CUTOUT = 3_500  # bytes of a JPEG; simulated ones have 2,300 in the mean


def unpacked(text, *shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


@pytest.fixture(scope="module")
def galaxies():
    return toy_survey(450)


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
    for row in (0, 7, 399):
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


def test_draws_and_histograms_come_back(data, posteriors):
    found = data["galaxies"][5]
    low, high = np.array(found["drawn"])
    for name, model in found["models"].items():
        steps = unpacked(model["draws"], explorer.DRAWS, 5)
        back = low + (high - low) * steps / 255
        for k, p in enumerate(PROPERTIES):
            values = posteriors[name][p.name].isel(object_id=5).to_numpy().ravel()
            assert back[:, k] == pytest.approx(values[: explorer.DRAWS], abs=(high - low)[k] / 255)
            heights = unpacked(model["marginals"], 5, explorer.BINS)[k]
            edges = np.linspace(*data["properties"][k]["range"], explorer.BINS + 1)
            middle = (heights * (edges[1:] + edges[:-1]) / 2).sum() / heights.sum()
            assert heights.max() == 255
            assert middle == pytest.approx(values.mean(), abs=np.diff(edges)[0])


def test_labels_are_plain_text(data):
    for entry in data["properties"]:
        assert not set(entry["label"]) & set("$\\_{}^"), entry["label"]


def test_galaxies_must_be_those_of_the_posteriors(galaxies, posteriors):
    with pytest.raises(ValueError, match="different galaxies"):
        explorer.explorer_data(galaxies.select(range(449, -1, -1)), posteriors)


def test_what_is_missing_is_said_so(galaxies, posteriors):
    """A galaxy without a density has none on the page: JSON knows no NaN."""
    few = galaxies.select(range(3))
    some = {name: d.isel(object_id=slice(3)) for name, d in posteriors.items()}
    gains = {name: [np.nan, 1.0, -np.inf] for name in some}
    found = explorer.explorer_data(few, some, gains)["galaxies"]
    assert [g["models"]["image"]["delta_log_p"] for g in found] == [None, 1.0, None]
    assert "magnitude_errors" not in found[0]


def test_the_page_with_all_it_loads_is_small(data, galaxies, tmp_path):
    explorer.write_explorer(data, galaxies.images, tmp_path)
    script = (tmp_path / "galaxies.js").read_text(encoding="utf-8")
    assert script.startswith("window.galcfmGalaxies = ")
    assert json.loads(script.removeprefix("window.galcfmGalaxies = ").rstrip(";\n")) == data
    assert len(list((tmp_path / "cutouts").glob("*.jpg"))) == explorer.GALAXIES
    static = repository_root() / "book" / "_static"
    scripts = [*static.glob("explorer.js"), *(static / "plot").glob("*.js")]
    own = [*scripts, *static.glob("explorer.css")]
    assert len(own) == 4
    rest = sum(p.stat().st_size for p in (*own, tmp_path / "galaxies.js"))
    assert rest + explorer.GALAXIES * CUTOUT < LIMIT
