"""Bands that are missing: sets of bands, limits, and that nothing is made twice."""

import numpy as np
import pytest
from conftest import toy_survey
from drawn import SOURCE, all_texts, draw

from galcfm.posterior import Posterior
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.runs import RunError
from galcfm.survey import Survey
from studies import missing_bands
from studies.redshifts import photometric_redshifts


@pytest.fixture
def galaxies() -> Survey:
    survey = toy_survey(60, 1, images=False)
    return Survey(survey.catalogue.assign(**dict.fromkeys(MAGNITUDE_ERRORS, 0.02)))


def test_sets_of_bands_and_limits(galaxies):
    left = missing_bands.without(galaxies, "gri")
    assert np.isnan(left.magnitudes).all(0).tolist() == [b not in "gri" for b in BANDS]
    assert left.catalogue[list(MAGNITUDE_ERRORS)].isna().all().tolist() == [
        b not in "gri" for b in BANDS
    ]
    limit, missing = missing_bands.limits_of(galaxies, "u")
    assert len(limit) == 30
    assert (limit.catalogue["mag_u"] == galaxies.catalogue["mag_u"].median()).all()
    assert np.isposinf(limit.catalogue["magerr_u"]).all()
    assert missing.catalogue["mag_u"].isna().all()
    assert list(missing.object_id) == list(limit.object_id)
    others = list(MAGNITUDES[1:])
    assert limit.catalogue[others].equals(missing.catalogue[others])


def test_sets_are_added_and_none_is_made_twice(galaxies, place, monkeypatch):
    trained, exactly = [], []

    def trained_model(posterior, survey, folder, settings):
        trained.append((folder.name, settings.max_epochs, posterior.use_magnitude_errors))
        posterior.fit_standardisation(survey.split("train"))
        return posterior

    def exact_log_probs(survey, smoothing, plan):
        exactly.append(np.isnan(survey.magnitudes).any(0).sum())
        return np.arange(len(survey), dtype=float)

    any_bands = Posterior("r_and_colours", **missing_bands.MODELS["any_bands"])
    any_bands.fit_standardisation(galaxies.split("train"))
    monkeypatch.setattr(missing_bands.Posterior, "load", lambda path: any_bands)
    monkeypatch.setattr(missing_bands, "kept_catalogue", lambda n, seed: galaxies)
    monkeypatch.setattr(missing_bands, "train", trained_model)
    monkeypatch.setattr(missing_bands, "exact_log_probs", exact_log_probs)
    sizes = {"max_epochs": 3, "n_draws": 8, "n_drawn": 5, "n_exact": 4}
    missing_bands.make(missing_bands.Plan(sets=("grz", "griz"), **sizes), place)
    # Only griz has exact posteriors.
    assert trained == [("own-griz", 3, True), ("own-grz", 3, True), ("any", 25, False)]
    assert exactly == [1]
    missing_bands.make(missing_bands.Plan(sets=("grz", "ugriz"), **sizes), place)
    assert [name for name, _, _ in trained[3:]] == ["own-ugriz", "any"]
    found = missing_bands.STUDY.read(place.folder).content
    assert set(found["sets"]) == {"griz", "grz", "ugriz"}
    assert set(found["exact"]) == {"griz", "ugriz"}
    assert found["sets"]["grz"]["any"]["n_drawn"] == 5
    assert set(found["sets"]["grz"]["any"]["coverage"]) == set(PROPERTY_NAMES)
    assert found["limit"]["n"] == len(galaxies.split("test")) // 2
    with pytest.raises(RunError, match="no xyz among the sets"):
        missing_bands.make(missing_bands.Plan(sets=("xyz",), **sizes), place)


@pytest.mark.parametrize("exact", [("ugriz",), ()])
def test_the_figure_shows_the_sets_that_there_are(exact):
    difference = {"mean": 0.01, "standard_error": 0.01}
    of_set = {"coverage": {p: [0.68, 0.94] for p in PROPERTY_NAMES}, "n_drawn": 100}
    results = {
        "sets": {bands: {"any": of_set, "difference": difference} for bands in ("ugriz", "gri")},
        "exact": {bands: {"difference": difference} for bands in exact},
    }
    figure = draw(lambda: missing_bands.draw(results, source=SOURCE))
    texts = all_texts(figure)
    assert {"share inside the 95 % interval", "u g r i z", "g r i"} <= set(texts)
    assert ("the exact posterior" in texts) == bool(exact)
    # The exact posterior minus the model is stored, the model minus the exact posterior is drawn.
    centres = [
        line.get_xdata().mean() for line in figure.axes[0].lines if len(line.get_xdata()) == 1
    ]
    assert all(centre == pytest.approx(-0.01) for centre in centres)


def test_photometric_redshifts_follow_the_magnitudes():
    galaxies = toy_survey(500, 1, images=False)
    catalogue = galaxies.catalogue
    catalogue[list(MAGNITUDE_ERRORS)] = 0.02
    catalogue["redshift"] = 10 ** (0.2 * (catalogue["mag_r"] - 22))
    grid = np.linspace(0.001, 1, 2000)
    log_density = photometric_redshifts(galaxies, galaxies, grid)
    assert log_density.shape == (len(galaxies), len(grid))
    most_likely = grid[log_density.argmax(axis=1)]
    assert np.corrcoef(np.log(most_likely), np.log(catalogue["redshift"]))[0, 1] > 0.8
