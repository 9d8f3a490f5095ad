"""Image features as an embedding, missing labels, and that nothing is made twice."""

import numpy as np
import pytest
from conftest import toy_survey

from galcfm.posterior import Posterior
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import render, simulate_catalogue
from galcfm.survey import Survey
from studies import declared
from studies.declared import ROWS, galaxies, making

PLAN = declared.Plan(share=0.25)
ENCODER = {"n_features": 4, "widths": [4, 8], "crop": 128, "bin_factor": 8}


@pytest.fixture
def model() -> Posterior:
    found = Posterior("r_and_colours", encoder=ENCODER, network={"width": 8, "depth": 1})
    found.fit_standardisation(toy_survey(40).split("train"))
    return found


def test_image_features_are_an_embedding_and_are_made_once(model, tmp_path, monkeypatch):
    monkeypatch.setattr(galaxies, "BLOCK", 3)
    table = simulate_catalogue(5, 1)
    catalogue = Survey(table, None, {"kind": "simulated"}, "five")
    survey = galaxies.with_image_features(catalogue, 1, model, tmp_path)
    f_img = model.encode(survey.magnitudes, render(table, 1))[:, :4].numpy()
    np.testing.assert_allclose(survey.embeddings["image"], f_img, rtol=1e-6)
    (embedding,) = survey.declaration.embeddings
    assert (embedding.name, embedding.length) == ("image", 4)
    assert model.weights_digest in embedding.model
    monkeypatch.setattr(galaxies, "render", lambda *_: pytest.fail("rendered again"))
    again = galaxies.with_image_features(catalogue, 1, model, tmp_path)
    np.testing.assert_array_equal(again.embeddings["image"], survey.embeddings["image"])


@pytest.mark.parametrize("name", ROWS)
def test_labels_are_missing_as_a_row_says(name):
    survey, row = toy_survey(200, images=False), ROWS[name]
    seen = making.with_labels_of(survey, row, PLAN)
    known = np.isfinite(seen.properties)
    np.testing.assert_array_equal(seen.properties[known], survey.properties[known])
    if not row.missing:
        assert known.all()
        return
    lacks = ~known[:, PROPERTY_NAMES.index("oxygen_abundance")]
    assert lacks.mean() == pytest.approx(0.25, abs=0.01)
    others = np.delete(known, PROPERTY_NAMES.index("oxygen_abundance"), axis=1)
    assert others.all(axis=1).tolist() == (~lacks if row.complete else lacks | True).tolist()
    rate = survey.catalogue["log_sfr"] - survey.catalogue["log_stellar_mass"]
    if row.missing == "class":
        assert rate[lacks].max() < rate[~lacks].min()
    else:
        assert abs(rate[lacks].mean() - rate[~lacks].mean()) < 0.3 * rate.std()
        both = making.lacking_of(survey, "random", PLAN)
        np.testing.assert_array_equal(both, lacks)


def test_the_bias_is_the_mean_difference():
    wrong = np.array([[1.0, 2, 3, 4, 5], [3, 2, 1, 0, 5]])
    found = making.bias_of(wrong)
    assert list(found["bias"].values()) == [2, 2, 2, 2, 5]
    assert found["bias_error"]["log_stellar_mass"] == pytest.approx(1.0)
    assert found["bias_error"]["a_v"] == 0


def results() -> dict:
    gain = {"gain": -0.5, "standard_error": 0.02, "spread_over_trainings": 0.01}
    of = {
        "n": 10,
        "gain": gain,
        "bias": dict.fromkeys(PROPERTY_NAMES, 0.1),
        "bias_error": dict.fromkeys(PROPERTY_NAMES, 0.01),
    }
    of_size = {"n_train": 10000, "test": gain, "validation": gain, "new": gain}
    labels = {name: {"having": of, "lacking": of} for name in ROWS}
    return {"embedding": {"10000": of_size}, "labels": labels}


def test_the_tables_have_a_row_for_each_training():
    table = declared.embedding_table(results())
    assert table.loc["10,000"].tolist() == ["−0.500 ± 0.020"] * 3
    table = declared.label_table(results())
    assert list(table.index) == [row.words for row in ROWS.values()]
    assert table.loc["nothing missing", "with O/H: log-density [nat]"] == ""
    column = "without: bias of 12+log(O/H) [dex]"
    assert (table[column] == "+0.100 ± 0.010").all()
