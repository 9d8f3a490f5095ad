"""Draws and summaries of any declared properties and bands, written and read again."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from hypothesis import example, given, settings
from hypothesis import strategies as st

from galcfm.catalogue.summaries import covariances, result_schema
from galcfm.posterior import ModelError, Posterior
from galcfm.posterior.draws import Draws, draws_of
from galcfm.posterior.hub import model_card
from galcfm.posterior.replicated import MagnitudeModel, check_photometry
from galcfm.posterior.summaries import SUMMARY_FORMATS, save_summaries, summarise
from galcfm.properties import Declaration, DeclarationError, Embedding, Property
from galcfm.stored_posteriors import load_posteriors, samples_array, save_posteriors
from galcfm.survey import Survey

NAMES = ["property", "name", "A", "a", "dn4000", "redshift", "log_age", "x_mean", "N", "t" * 40]
UNITS = ["1", "mag", "dex", "dex(Gyr)", "Gyr", "km / s", "furlong", "dex(furlong/yr)"]
TEXTS = ["", "age ≥ 1 Å", "two\nlines | and 'quotes'", "ν, β and 100 %"]


@st.composite
def declarations(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True))
    bands = draw(
        st.lists(st.from_regex("[A-Za-z0-9]{1,3}", fullmatch=True), min_size=1, max_size=9)
    )
    properties = [
        Property(
            name, draw(st.sampled_from(UNITS)), (-9, 9), description=draw(st.sampled_from(TEXTS))
        )
        for name in names
    ]
    return Declaration(properties=properties, bands=tuple(dict.fromkeys(bands)))


def galaxies(declared: Declaration, n: int = 4, seed: int = 0) -> Survey:
    """Galaxies whose magnitudes are noisy sums of their properties."""
    rng = np.random.default_rng(seed)
    theta = 2 + 0.4 * rng.normal(size=(n, len(declared.properties)))
    shape = theta.shape[1], len(declared.bands)
    slopes = np.random.default_rng(9).uniform(0.2, 1, shape)
    magnitudes = 18 + theta @ slopes / 4 + 0.05 * rng.normal(size=(n, len(declared.bands)))
    columns = {"object_id": [f"g{seed}-{k}" for k in range(n)], "ra": 1.0, "dec": 2.0}
    columns |= {"redshift": 0.1, "ebv": 0.0, "split": "train"}
    columns |= dict(zip(declared.property_names, theta.T, strict=True))
    columns |= dict(zip(declared.magnitudes, magnitudes.T, strict=True))
    return Survey(pd.DataFrame(columns), None, {"declaration": declared.content}, "odd")


def drawn(survey: Survey, n_draws: int = 40) -> Draws:
    noise = np.random.default_rng(1).normal(size=(len(survey), n_draws, survey.properties.shape[1]))
    draws = survey.properties[:, None] + 0.1 * noise
    return Draws.of(draws, survey.object_id, {}, {"survey": "odd"}, survey.declaration)


@settings(max_examples=6)
@given(declared=declarations())
@example(declared=Declaration(properties=[Property("redshift", "1", (0, 9))], bands=["NUV"]))
def test_draws_and_summaries_come_back(declared):
    survey = galaxies(declared)
    posteriors = drawn(survey)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        # Units that no standard knows are kept as text.
        warnings.simplefilter("ignore", AstropyWarning)
        save_posteriors(posteriors, Path(folder) / "mine.nc")
        stored = load_posteriors(Path(folder) / "mine.nc")
        np.testing.assert_array_equal(draws_of(stored, survey), draws_of(posteriors))
        np.testing.assert_allclose(samples_array(stored).mean(1), draws_of(posteriors).mean(1))
        assert Declaration.of_posteriors(stored) == declared
        table = summarise(stored, survey)
        for ending, form in SUMMARY_FORMATS.items():
            path = Path(folder) / f"mine{ending}"
            save_summaries(summarise(stored), path)
            save_summaries(table, path)  # replaces its own without magnitudes
            quiet = {"unit_parse_strict": "silent"} if ending == ".fits" else {}
            again = Table.read(path, format=form, **quiet)
            assert again.colnames == table.colnames
            for name in table.colnames[1:]:
                np.testing.assert_allclose(again[name], table[name])
                assert again[name].meta["ucd"] == table[name].meta["ucd"]
                assert str(again[name].unit or "") == str(table[name].unit or "")
                assert " ".join(again[name].description.split()) == table[name].description
    for name, column in table.columns.items():
        parse_ucd(column.meta["ucd"], check_controlled_vocabulary=True)
        assert column.description.isascii()
        assert column.description.isprintable(), name
    for p, values in zip(declared.properties, survey.properties.T, strict=True):
        np.testing.assert_allclose(table[f"{p.name}_mean"], values, atol=0.1)
        scale = p.unit.split("(")[0]
        assert str(table[f"{p.name}_std"].unit or "1") == (scale if scale != "dex" else "1")


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@settings(max_examples=4)
@given(declared=declarations())
def test_catalogues_and_cards_name_what_is_declared(declared):
    model = Posterior("magnitudes", network={"width": 8, "depth": 1}, declaration=declared)
    plan = {"n_samples": 8, "steps": 2, "seed": 0, "n_draws": 2}
    schema = result_schema(model, ["ra"], plan)
    for p in declared.properties:
        assert f"{p.name}_mean" in schema.names
    assert {name for name, *_ in covariances(declared)} <= set(schema.names)
    assert [field.name for field in schema.field("draws").type] == list(declared.property_names)
    card = model_card(model, "mine")
    rows = [line for line in card.split("\n") if line.startswith("| `")]
    for p in declared.properties:
        assert sum(line.startswith(f"| `{p.name}` | {p.unit} |") for line in rows) == 1
    assert f"of whole galaxies in {', '.join(declared.bands)}, with" in card


def test_a_card_names_embeddings_and_numbers_of_labels():
    embedding = Embedding("image", "AION-1, base", 7)
    properties = [Property("age", "Gyr", (0, 14)), Property("mass", "1", (0, 1))]
    declared = Declaration(properties=properties, bands="gr", embeddings=[embedding])
    model = Posterior("magnitudes", network={"width": 8, "depth": 1}, declaration=declared)
    found = {
        "survey": "s",
        "n": 10,
        "levels": [0.5, 0.68, 0.95],
        "n_labels": {"age": 10, "mass": 4},
    }
    model.metadata["evaluation"] = found | {"coverage": dict.fromkeys(("age", "mass"), [0.5] * 3)}
    card = model_card(model, "mine")
    assert "of 2 galaxy properties given magnitudes in g, r and the embedding `image` by" in card
    assert 'sample(magnitudes, embeddings={"image": features})  # (n, 1000, 2)' in card
    assert "| `mass` (4 galaxies) | 50.0 % |" in card


def test_two_columns_of_one_name_are_refused():
    properties = [Property(name, "1", (-9, 9)) for name in ("a", "a_b", "b_c", "c")]
    declared = Declaration(properties=properties)
    sentence = "two columns would be called {}_a_b_c: rename"
    with pytest.raises(ModelError, match=sentence.format("corr")):
        summarise(drawn(galaxies(declared)))
    model = Posterior("magnitudes", network={"width": 8, "depth": 1}, declaration=declared)
    with pytest.raises(ModelError, match=sentence.format("cov")):
        result_schema(model, [], {"n_samples": 8, "steps": 2, "seed": 0, "n_draws": 0})


def test_posteriors_without_what_they_declare_are_refused():
    posteriors = drawn(galaxies(Declaration(properties=[Property("age", "Gyr", (-9, 14))])))
    with pytest.raises(DeclarationError, match=r"have no log_stellar_mass, .* only age: give"):
        summarise(posteriors.drop_attrs())
    with pytest.raises(DeclarationError, match=r"attribute declaration .* is damaged"):
        summarise(posteriors.assign_attrs(declaration="{"))


@pytest.mark.parametrize("bands", ["w", ("NUV", "g", "W1")])
def test_photometry_of_any_bands_is_replicated(bands):
    properties = [Property(name, "1", (-9, 9)) for name in ("age", "mass")]
    declared = Declaration(properties=properties, bands=bands)
    model, survey = MagnitudeModel.fit(galaxies(declared, 300, 1)), galaxies(declared, 30, 2)
    survey.catalogue["mag_" + bands[0]] += np.where(np.arange(30) < 10, 9.0, 0)
    replicated, checked = check_photometry(drawn(survey, 200), survey, model)
    assert replicated.shape == (30, 200, len(bands))
    assert [name for name in checked if name.startswith("residual_")] == [
        f"residual_{band}" for band in bands
    ]
    assert checked["is_doubtful"][:10].all()
    assert checked["is_doubtful"][10:].mean() < 0.2
    other = galaxies(Declaration(properties=properties[::-1], bands=bands), 30, 2)
    with pytest.raises(ModelError, match=r"fitted for age, mass, .*, not for mass, age"):
        check_photometry(drawn(other, 200), other, model)
