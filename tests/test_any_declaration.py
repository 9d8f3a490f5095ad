"""Surveys that declare other properties, bands and features, from a table to a catalogue."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("dask")

from galcfm import Posterior, Survey, metrics
from galcfm.catalogue import infer_catalogue
from galcfm.catalogue.command import main
from galcfm.properties import Declaration, Embedding, LinearCutouts, Property
from galcfm.stored_posteriors import (
    exact_log_densities,
    load_posteriors,
    samples_array,
    save_posteriors,
)
from galcfm.survey import assign_split
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.embeddings import Embeddings
from galcfm.training import Recipe, train_models

NAMES = ["log_m", "redshift", "sfr", "age_gyr", "Z", "met2"]
UNITS = ["1", "mag", "dex", "dex(Msun)", "Gyr", "km/s"]
BANDS = ["g", "r", "z", "W1", "F200W", "u", "NUV", "i_dec"]
TABLE = {"unit": "AB", "total": True, "dereddened": True}
FEW = {"n_samples": 16, "steps": 3}


@st.composite
def declarations(draw):
    """One to six properties and bands, up to two embeddings, and maybe linear cutouts."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    properties = [Property(name, draw(st.sampled_from(UNITS)), (-9.0, 30.0)) for name in names]
    bands = draw(st.lists(st.sampled_from(BANDS), min_size=1, max_size=6, unique=True))
    lengths = draw(
        st.dictionaries(st.sampled_from(["image", "sp"]), st.integers(1, 40), max_size=2)
    )
    embeddings = [Embedding(name, f"model of {name}", k) for name, k in lengths.items()]
    cutouts = None
    if draw(st.booleans()):
        channels = draw(st.lists(st.sampled_from(BANDS), min_size=1, max_size=4, unique=True))
        cutouts = LinearCutouts(tuple(channels), draw(st.sampled_from([32, 48, 64])), 0.262)
    return Declaration(properties, bands, embeddings, cutouts)


def galaxies(declared: Declaration, lost: list[bool], n: int = 120):
    """Return a table, embeddings and cutouts that know the properties, with noise.

    Some galaxies lack the properties that are lost: which ones depends on the first band.
    """
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(n, len(declared.properties)))
    names = [f"g{k}" for k in range(n)]
    table = pd.DataFrame({"object_id": names, "ra": rng.uniform(0, 360, n), "dec": 10.0})
    table["redshift"] = 0.1
    table["split"] = assign_split(names, validation=0.2, test=0.25)

    def seen(k):
        return theta @ rng.normal(size=(theta.shape[1], k)) + 0.3 * rng.normal(size=(n, k))

    table[list(declared.magnitudes)] = 18 + 0.3 * seen(len(declared.bands))
    table[list(declared.property_names)] = theta
    faint = table[declared.magnitudes[0]] > 18
    for name, is_lost in zip(declared.property_names, lost, strict=True):
        if is_lost:
            table.loc[faint, name] = np.nan
    embeddings = {e.name: np.float32(seen(e.length)) for e in declared.embeddings}
    images = None
    if declared.cutouts:
        size, channels = declared.cutouts.size, len(declared.cutouts.bands)
        noise = rng.normal(size=(n, channels, size, size))
        images = np.float32(np.exp(0.3 * seen(channels))[:, :, None, None] + 0.1 * noise)
    return table, embeddings, images


def survey_of(declared: Declaration, lost) -> Survey:
    table, embeddings, images = galaxies(declared, lost)
    given = {name: Embeddings(x, model=f"model of {name}") for name, x in embeddings.items()}
    options = {"embeddings": given} if given else {}
    if images is not None:
        cutouts = Cutouts(images, bands=declared.cutouts.bands, linear=True)
        options |= {"cutouts": cutouts, "pixel_scale": declared.cutouts.pixel_scale}
    return Survey.from_table(
        table, **TABLE, bands=declared.bands, properties=declared.properties, **options
    )


@settings(max_examples=8, phases=[Phase.generate])
@given(st.data(), declarations())
def test_any_declaration_goes_the_whole_way(tmp_path_factory, data, declared):
    n_properties = len(declared.properties)
    lost = data.draw(st.lists(st.booleans(), min_size=n_properties, max_size=n_properties))
    # At least one property is known for all galaxies; the redshift is always.
    lost[0] = False
    lost = [
        is_lost and p.name != "redshift"
        for is_lost, p in zip(lost, declared.properties, strict=True)
    ]
    folder = tmp_path_factory.mktemp("declared")
    survey_of(declared, lost).save(folder / "survey")
    survey = Survey.load(folder / "survey")
    assert survey.declaration == declared
    assert len(survey) == 120
    assert np.isnan(survey.properties).any(axis=0).tolist() == lost

    features = [f"{e.name}_embedding" for e in declared.embeddings]
    names = ["prior", "photometry", *features, *["image"] * (declared.cutouts is not None)]
    values = {"recipe": "rehearsal", "image_bin": 4, "image_crop": 32}
    trained = train_models(survey, folder, Recipe.of(values), names, progress=False)
    assert list(trained) == names
    test, results = survey.split("test"), {}
    truth, prior_theta = test.properties, survey.split("train").properties
    for name in names[1:]:
        model = Posterior.load(folder / name)
        posteriors = model.infer(test, **FEW, progress=False)
        save_posteriors(posteriors, folder / "posteriors.nc")
        samples = samples_array(load_posteriors(folder / "posteriors.nc"))
        assert samples.shape == (len(test), 16, n_properties)
        exact = exact_log_densities(
            model, trained["prior"], test, n_kl=4, n_kl_samples=4, steps=3, progress=False
        )
        results[name] = metrics.evaluate(
            samples, truth, prior_theta, {"exact": exact}, properties=declared.property_names
        )
        assert list(results[name]["wasserstein"]) == list(declared.property_names)
        made = infer_catalogue(
            model, folder / "survey", folder / f"of_{name}", **FEW, n_draws=16, progress=False
        )
        assert made.used == len(survey)
        table = made.table().set_index("object_id").loc[test.object_id]
        for k, p in enumerate(declared.properties):
            found = np.stack([draws[p.name] for draws in table["draws"]])
            assert np.abs(found - samples[..., k]).max() < 1e-4
        assert main(["show", str(folder / f"of_{name}")]) == 0
    comparison = metrics.compare(results[names[-1]], results["photometry"])
    assert set(comparison["wasserstein"]) == set(declared.property_names)
    assert main(["show", str(folder / "photometry")]) == 0
