"""Models of other bands and embeddings: their conditions, and the inputs that they refuse."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from galcfm import Posterior, Survey
from galcfm.posterior import ModelError
from galcfm.posterior.bands import LOST, shares_lost
from galcfm.properties import SDSS, Declaration, Embedding, Property
from galcfm.training import Recipe

AION = Embedding("image", "AION-1", 6)
DECLARED = Declaration(
    [Property("log_m", "dex(Msun)", (5, 14)), Property("redshift", "1", (0, 3))],
    ("g", "r", "W1"),
    [AION, Embedding("spectrum", "AION-1", 2)],
)
N = 40


def survey_of(declared: Declaration = DECLARED, seed: int = 0) -> Survey:
    rng = np.random.default_rng(seed)
    names = [f"g{k}" for k in range(N)]
    columns = {"object_id": names, "ra": 1.0, "dec": 1.0, "ebv": 0.0, "redshift": 0.1}
    columns |= {name: rng.normal(18, 1, N) for name in declared.magnitudes}
    columns |= {p.name: rng.uniform(*p.plausible, N) for p in declared.properties}
    catalogue = pd.DataFrame(columns | {"split": "train"})
    embeddings = {e.name: rng.normal(3, 2, (N, e.length)).astype("f4") for e in declared.embeddings}
    parameters = {"declaration": declared.content}
    return Survey(catalogue, None, parameters, "s", embeddings=embeddings)


def model_of(declared: Declaration = DECLARED) -> Posterior:
    torch.manual_seed(0)
    network = {"width": 8, "depth": 1}
    model = Posterior("r_and_colours", network=network, declaration=declared)
    model.fit_standardisation(survey_of(declared))
    return model.eval()


def test_the_condition_is_the_standardised_embeddings_and_the_photometry():
    survey, model = survey_of(), model_of()
    condition = model.encode_survey(survey).double().numpy()
    raw = np.concatenate([*survey.embeddings.values()], axis=1).astype(float)
    expected = (raw - raw.mean(0)) / raw.std(0)
    assert condition.shape == (N, 6 + 2 + 3)
    assert np.allclose(condition[:, :8], expected, atol=1e-5)
    g, r, w1 = survey.magnitudes.T
    colours = np.stack([r, g - r, r - w1], axis=1)
    assert np.allclose(condition[:, 8:], (colours - colours.mean(0)) / colours.std(0), atol=1e-5)


def test_arrays_give_what_the_survey_gives(tmp_path):
    survey, model = survey_of(), model_of()
    given = {"embeddings": survey.embeddings, "object_id": survey.object_id}
    draws = model.sample(survey.magnitudes, **given, n_samples=8, steps=2)
    assert draws.shape == (N, 8, 2)
    model.save(tmp_path / "m")
    again = Posterior.load(tmp_path / "m")
    assert again.declaration == DECLARED
    posteriors = again.infer(survey, n_samples=8, steps=2, progress=False)
    assert list(posteriors) == ["log_m", "redshift"]
    found = np.stack([posteriors[name].values.reshape(8, N).T for name in posteriors], axis=2)
    assert np.array_equal(found, draws.numpy())
    given = {"embeddings": survey.embeddings, "steps": 2}
    assert again.log_prob(survey.properties, survey.magnitudes, **given).isfinite().all()


def test_a_survey_may_have_its_bands_in_another_order_and_more_of_them():
    model = model_of()
    wider = replace(DECLARED, bands=("W1", "u", "r", "g"))
    catalogue = survey_of().catalogue.assign(mag_u=19.0)
    parameters = {"declaration": wider.content}
    survey = Survey(catalogue, None, parameters, "s", embeddings=survey_of().embeddings)
    assert torch.equal(model.encode_survey(survey), model.encode_survey(survey_of()))


def without(part: str):
    return lambda given: {name: x for name, x in given.items() if name != part}


REFUSED = {
    "trained with the embedding spectrum of AION-1": without("spectrum"),
    "trained without the embedding dino": lambda given: given | {"dino": given["image"]},
    r"image has shape \(40, 5\): \(40, 6\) needed": lambda g: g | {"image": g["image"][:, :5]},
    r"image has shape \(39, 6\)": lambda given: given | {"image": given["image"][:39]},
    r"row 3: the embedding image is not finite \(1 such rows\)": lambda given: (
        given | {"image": np.where(np.arange(N)[:, None] == 3, np.nan, given["image"])}
    ),
    "give a dict of arrays by name": lambda given: given["image"],
}


@pytest.mark.parametrize("words", REFUSED)
def test_embeddings_that_do_not_fit_are_refused(words):
    survey, model = survey_of(), model_of()
    with pytest.raises(ModelError, match=words):
        model.encode(survey.magnitudes, embeddings=REFUSED[words](survey.embeddings))


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (replace(DECLARED, embeddings=()), "has no embedding image, with which"),
        (
            replace(DECLARED, embeddings=(replace(AION, model="DINOv2"), DECLARED.embeddings[1])),
            "of DINOv2 with 6 features, and this model was trained with 6 features of AION-1",
        ),
        (
            replace(DECLARED, embeddings=(replace(AION, length=7), DECLARED.embeddings[1])),
            "of AION-1 with 7 features, and this model was trained with 6 features",
        ),
        (replace(DECLARED, bands=("g", "r")), "has no W1, with which this model was trained"),
    ],
)
def test_a_survey_of_another_kind_is_refused(declared, words):
    with pytest.raises(ModelError, match=words):
        model_of().observe(survey_of(declared))


def test_the_redshift_is_a_property_or_an_input():
    with pytest.raises(ModelError, match="redshift is a property"):
        Posterior(declaration=DECLARED, use_redshift=True)


def test_a_recipe_makes_a_model_for_each_embedding():
    recipe = Recipe.of({"recipe": "rehearsal"})
    model = recipe.model("spectrum_embedding", DECLARED)
    assert model.declaration == replace(DECLARED, embeddings=DECLARED.embeddings[1:])
    assert recipe.settings("spectrum_embedding") == recipe.settings("photometry")
    assert recipe.model("photometry", DECLARED).declaration.embeddings == ()
    assert (
        recipe.model("photometry").architecture
        == Recipe().of({"recipe": "rehearsal"}).model("photometry", SDSS).architecture
    )
    assert "declaration" not in recipe.model("photometry").architecture


@pytest.mark.parametrize("n_bands", range(1, 12))
def test_each_number_of_bands_may_be_lost_but_all(n_bands):
    shares = shares_lost(n_bands)
    assert len(shares) == n_bands
    assert (shares > 0).all()
    assert shares.sum() == pytest.approx(1)
    if n_bands == len(LOST):
        assert shares.tolist() == list(LOST)
