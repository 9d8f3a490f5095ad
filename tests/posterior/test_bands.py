"""Missing bands and upper limits: posteriors that are known in closed form, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from conftest import toy_survey
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from galcfm.posterior import ModelError, Posterior, redshift_quantiles
from galcfm.posterior.bands import BandStatistics, hide_bands, is_seen
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey import Survey, SurveyError
from galcfm.training import TrainingSettings, train

MEAN = np.array([18.5, 17.5, 17.0, 16.7, 16.5])
SMALL = {"width": 128, "depth": 2}
TOLD = {"use_magnitude_errors": True, "missing_bands": True, "network": SMALL}


def with_errors(survey: Survey) -> Survey:
    errors = dict.fromkeys(MAGNITUDE_ERRORS, 0.0)
    rng = np.random.default_rng(0)
    errors = {name: 0.02 * np.exp(0.1 * rng.normal(size=len(survey))) for name in errors}
    return Survey(survey.catalogue.assign(**errors), None, survey.parameters, survey.name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Posterior, Survey]:
    """A model that has seen bands hidden, and galaxies that it has not seen."""
    survey = with_errors(toy_survey(20_000, 3, images=False))
    settings = TrainingSettings(
        learning_rate=5e-3,
        batch_size=200,
        max_epochs=40,
        schedule="cosine",
        draws_per_galaxy=4,
        average_decay=0.99,
        hide_bands=True,
        seed=1,
    )
    posterior = Posterior(sigma=0.02, **TOLD)
    folder = tmp_path_factory.mktemp("bands")
    made = train(posterior, survey, folder, settings, progress=False)
    return made, survey.split("test").select(np.arange(2000))


def known_log_prob(survey: Survey, missing=(), limits=None) -> float:
    """Mean log-density of the labels of `toy_survey`, with bands missing or limits `(5,)`.

    Each property knows of the band at its place: normal, or skew normal above a limit.
    """
    theta = (survey.properties - [10.0, 0.0, 8.9, 1.4, 0.8]) / 0.2
    latent = (survey.magnitudes - MEAN) / 0.3
    total = np.zeros(len(survey))
    for k in range(5):
        other = 4.0 if k == 4 else 0.0  # the image's part of A_V, which no model sees
        if k in missing:
            total += norm.logpdf(theta[:, k], 0, np.sqrt(1.25 + other))
        elif limits is not None and np.isfinite(limits[k]):
            low, variance = (limits[k] - MEAN[k]) / 0.3, 1.25 + other
            total += norm.logpdf(theta[:, k], 0, np.sqrt(variance)) - norm.logsf(low)
            total += norm.logcdf((theta[:, k] / variance - low) / np.sqrt(1 - 1 / variance))
        else:
            total += norm.logpdf(theta[:, k], latent[:, k], np.sqrt(0.25 + other))
    return float((total - 5 * np.log(0.2)).mean())


def without(survey: Survey, bands=(), limits=None) -> dict:
    """Magnitudes and errors with some bands missing, or as limits."""
    magnitudes = survey.magnitudes.copy()
    errors = survey.catalogue[list(MAGNITUDE_ERRORS)].to_numpy()
    magnitudes[:, list(bands)] = np.nan
    if limits is not None:
        magnitudes = np.where(np.isfinite(limits), limits, magnitudes)
        errors = np.where(np.isfinite(limits), np.inf, errors)
    return {"magnitudes": magnitudes, "magnitude_errors": errors}


# What is known -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [(), (0,), (1,), (2,), (3,), (4,), (0, 4)])
def test_posteriors_without_bands_are_found(trained, bands):
    model, test = trained
    found = model.log_prob(test.properties, **without(test, bands), steps=20).mean().item()
    assert -0.02 < known_log_prob(test, bands) - found < 0.05


@pytest.mark.parametrize("band", [0, 2])
def test_upper_limits_say_what_they_say(trained, band):
    model, test = trained
    limits = np.full(5, np.nan)
    limits[band] = MEAN[band] + 0.1
    fainter = test.select(np.flatnonzero(test.magnitudes[:, band] > limits[band]))
    given = without(fainter, limits=limits)
    found = model.log_prob(fainter.properties, **given, steps=20).mean().item()
    assert -0.02 < known_log_prob(fainter, limits=limits) - found < 0.05
    # And not what a missing band says.
    found = model.log_prob(fainter.properties, **without(fainter, [band]), steps=20).mean().item()
    assert known_log_prob(fainter, limits=limits) - found > 0.1


def test_a_missing_band_widens_its_property_alone(trained):
    model, test = trained
    some = test.select(np.arange(50))
    whole, part = (
        model.sample(**without(some, bands), n_samples=300, steps=12).std(1).mean(0).numpy()
        for bands in ((), (1,))
    )
    expected = np.array([1, np.sqrt(1.25 / 0.25), 1, 1, 1])
    np.testing.assert_allclose(part / whole, expected, rtol=0.08)


def normal_bands(covariance):
    return BandStatistics(MEAN, covariance, np.zeros((5, 3)))


def test_filling_is_the_mean_of_a_normal_distribution():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T
    magnitudes = rng.multivariate_normal(MEAN, covariance, 4)
    errors = np.full_like(magnitudes, 0.1)
    magnitudes[0, [1, 3]] = np.nan
    filled, limits = normal_bands(covariance).fill(magnitudes, errors)
    assert (limits == 0).all()
    np.testing.assert_array_equal(filled[1:], magnitudes[1:])
    # Where the density of the whole is highest.
    peak = multivariate_normal(MEAN, covariance)
    for band in (1, 3):
        for step in (-0.01, 0.01):
            moved = filled[0].copy()
            moved[band] += step
            assert peak.logpdf(moved) < peak.logpdf(filled[0])


def test_a_limit_counts_by_how_faint_it_is():
    covariance = np.eye(5)
    errors = np.full((4, 5), 0.1)
    errors[:, 0] = np.inf
    magnitudes = np.tile(MEAN, (4, 1))
    magnitudes[:, 0] += [-9, 0, 1.5, 9]
    filled, limits = normal_bands(covariance).fill(magnitudes, errors)
    np.testing.assert_allclose(limits[:, 0], [0, 1, 1.5, 2])
    np.testing.assert_allclose(filled[:, 0] - MEAN[0], [0, 0, 1.5, 9])
    magnitudes[:, 0] = np.nan
    filled, limits = normal_bands(covariance).fill(magnitudes, errors)
    assert (limits == 0).all()
    assert (filled == MEAN).all()


def test_the_covariance_leaves_gaps_out():
    rng = np.random.default_rng(2)
    magnitudes = rng.multivariate_normal(MEAN, np.eye(5) + 0.5, 4000)
    whole = BandStatistics.fit(magnitudes, None)
    np.testing.assert_allclose(whole.magnitude_mean, magnitudes.mean(0))
    np.testing.assert_allclose(
        whole.magnitude_covariance, np.cov(magnitudes.T, bias=True), rtol=1e-8
    )
    magnitudes[rng.random(magnitudes.shape) < 0.2] = np.nan
    gaps = BandStatistics.fit(magnitudes, None)
    np.testing.assert_allclose(gaps.magnitude_mean, whole.magnitude_mean, atol=0.05)
    np.testing.assert_allclose(gaps.magnitude_covariance, whole.magnitude_covariance, atol=0.1)
    magnitudes[:, 2] = np.nan
    none = BandStatistics.fit(magnitudes, None)
    assert none.magnitude_mean[2] == 0
    assert none.magnitude_covariance[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(none.magnitude_covariance[2, [0, 1, 3, 4]], 0, atol=1e-12)


@given(st.integers(0, 10_000))
def test_hiding_leaves_a_band_and_never_hides_a_galaxy_brighter_than_the_limit(seed):
    rng = np.random.default_rng(seed)
    magnitudes = MEAN + rng.normal(size=(60, 5))
    errors = np.full_like(magnitudes, 0.1)
    magnitudes[rng.random(magnitudes.shape) < 0.3] = np.nan
    magnitudes[~is_seen(magnitudes, errors).any(1)] = MEAN
    hidden, sizes = hide_bands(magnitudes, errors, np.random.default_rng(seed))
    seen = is_seen(hidden, sizes)
    assert seen.any(1).all()
    np.testing.assert_array_equal(hidden[seen], magnitudes[seen])
    limit = np.isposinf(sizes)
    assert (hidden[limit] < magnitudes[limit]).all()
    again = hide_bands(magnitudes, errors, np.random.default_rng(seed))
    np.testing.assert_array_equal(again[0], hidden)


# A redshift that is known as p(z) ----------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> Posterior:
    model = Posterior(use_redshift=True, network=SMALL)
    model.fit_standardisation(toy_survey(200, images=False).split("train"))
    return model.eval()


def test_samples_over_p_of_z_are_those_at_each_redshift(told):
    some = toy_survey(6, 1, images=False)
    redshift = redshift_quantiles(np.linspace(0, 0.3, 31), np.ones((6, 31)), 8)
    draws = told.sample(some.magnitudes, redshift=redshift, n_samples=8, steps=4)
    assert draws.shape == (6, 8, 5)
    one = told.sample(
        some.magnitudes[2:3], redshift=redshift[2:3, 5], object_id=["2/5"], n_samples=1, steps=4
    )
    np.testing.assert_allclose(draws[2, 5], one[0, 0], atol=1e-5)


def test_the_density_over_p_of_z_is_the_mean(told):
    some = toy_survey(6, 1, images=False)
    redshift = np.random.default_rng(0).uniform(0.02, 0.2, (6, 3))
    found = told.log_prob(some.properties, some.magnitudes, redshift=redshift, steps=4)
    each = [
        told.log_prob(some.properties, some.magnitudes, redshift=redshift[:, k], steps=4)
        for k in range(3)
    ]
    expected = np.log(np.exp(np.stack(each)).mean(0))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    several = np.repeat(some.properties[:, None], 2, 1)
    found = told.log_prob(several, some.magnitudes, redshift=redshift, steps=4)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 2, 1), atol=1e-4)


@pytest.mark.parametrize("images", [False, True])
def test_conditions_of_many_redshifts(images, told):
    some = toy_survey(4, 2, images=images)
    model = told
    if images:
        encoder = {"n_features": 4, "widths": [4, 4], "bin_factor": 8}
        model = Posterior(use_redshift=True, encoder=encoder, network=SMALL)
        model.fit_standardisation(toy_survey(40).split("train"))
    redshift = np.random.default_rng(0).uniform(0.02, 0.2, (4, 3))
    found = model.encode(some.magnitudes, some.images, redshift=redshift)
    one = model.encode(some.magnitudes, some.images, redshift=redshift[:, 1])
    assert found.shape == (4, 3, one.shape[1])
    np.testing.assert_array_equal(found[:, 1], one)


@pytest.mark.parametrize("grid", [np.linspace(0, 1, 11), np.r_[0, np.geomspace(1e-4, 1, 7)]])
def test_quantiles_of_a_triangle(grid):
    found = redshift_quantiles(grid, [grid, 1 - grid, np.ones(len(grid))], 50)
    wanted = (np.arange(50) + 0.5) / 50
    exact = [np.sqrt(wanted), 1 - np.sqrt(1 - wanted), wanted]
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_quantiles_of_a_peak_narrower_than_a_grid_is_wide():
    grid = np.geomspace(1e-3, 7, 300)
    peak = np.zeros(300)
    peak[150] = 1
    low, high = redshift_quantiles(grid, [peak], 2)[0]
    assert grid[149] < low < grid[150] < high < grid[151]


# Tables with gaps --------------------------------------------------------------------------------

TABLE = {"total": True, "dereddened": True, "missing_bands": True}


def fluxes(n: int = 8) -> pd.DataFrame:
    """Fluxes of galaxies and their errors [nanomaggies]."""
    survey = toy_survey(n, 5, images=False)
    table = survey.catalogue[["object_id", "ra", "dec"]].copy()
    for k, band in enumerate(BANDS):
        flux = 10 ** (0.4 * (22.5 - survey.magnitudes[:, k]))
        table[f"mag_{band}"], table[f"magerr_{band}"] = flux, 0.02 * flux
    return table


def test_gaps_of_a_table_are_kept_and_limits_made():
    table = fluxes()
    table.loc[0, ["mag_u", "magerr_u"]] = np.nan
    table.loc[1, ["mag_u", "magerr_u"]] = -9999.0
    table.loc[2, "mag_g"], table.loc[2, "magerr_g"] = -0.4, 0.5
    table.loc[3, "mag_g"], table.loc[3, "magerr_g"] = 1.5, np.inf
    survey = Survey.from_table(table, unit="nanomaggy", **TABLE)
    assert len(survey.rejected) == 0
    found = survey.magnitudes
    errors = survey.catalogue[list(MAGNITUDE_ERRORS)].to_numpy()
    assert np.isnan(found[:2, 0]).all()
    assert np.isnan(errors[:2, 0]).all()
    np.testing.assert_allclose(found[2:4, 1], 22.5 - 2.5 * np.log10(1.5))
    assert np.isposinf(errors[2:4, 1]).all()
    assert np.isfinite(np.delete(found.ravel(), [0, 5])).all()
    np.testing.assert_allclose(errors[4:], 0.02 * 2.5 / np.log(10))
    # Without the word, such rows are rejected as before.
    rejected = Survey.from_table(
        table, unit="nanomaggy", **TABLE | {"missing_bands": False}
    ).rejected
    assert list(rejected["row"]) == [0, 1, 2, 3]


def test_inverse_variances_of_zero_are_gaps():
    table = fluxes()
    for band in BANDS:
        table[f"ivar_{band}"] = table.pop(f"magerr_{band}") ** -2.0
    table.loc[0, ["mag_z", "ivar_z"]] = 0.0
    table.loc[1, "ivar_z"] = -1.0
    survey = Survey.from_table(table, unit="nanomaggy", **TABLE)
    assert list(survey.rejected["row"]) == [1]
    assert np.isnan(survey.magnitudes[0, 4])
    assert np.isnan(survey.catalogue["magerr_z"][0])
    assert np.isfinite(survey.magnitudes[1:]).all()


def test_a_luptitude_without_flux_is_a_limit():
    table = fluxes(4)
    for band in BANDS:
        table[f"magerr_{band}"] = 0.02
        table[f"mag_{band}"] = 22.5 - 2.5 * np.log10(table[f"mag_{band}"])
    table.loc[2, "mag_u"], table.loc[2, "magerr_u"] = 24.8, 0.9
    table.loc[3, list(MAGNITUDES)], table.loc[3, list(MAGNITUDE_ERRORS)] = 26.0, 0.9
    survey = Survey.from_table(table, unit="asinh", **TABLE)
    # Limits alone are no measurement.
    rejected = survey.rejected[["row", "reason"]].values.tolist()
    assert rejected == [[3, "no band is measured"]]
    # Of no flux at all, the error of the flux is 2 b ln 10 / 2.5 times that of the luptitude.
    about = -2.5 * np.log10(3 * 2 * 1.4e-10 * 0.9 * np.log(10) / 2.5)
    assert survey.magnitudes[2, 0] == pytest.approx(about, abs=0.05)
    assert np.isposinf(survey.catalogue["magerr_u"][2])


def test_a_band_that_a_table_lacks_is_said_so(tmp_path):
    table = fluxes().drop(columns=["mag_u", "magerr_u", "mag_i", "magerr_i"])
    lacking = {"mag_u": None, "mag_i": None}
    with pytest.raises(SurveyError, match="has no mag_u, mag_i"):
        Survey.from_table(table, unit="nanomaggy", **TABLE)
    with pytest.raises(SurveyError, match="has no mag_u, mag_i"):
        Survey.from_table(table, lacking, unit="nanomaggy", **TABLE | {"missing_bands": False})
    with pytest.raises(SurveyError, match="leaves out all bands"):
        Survey.from_table(table, dict.fromkeys(MAGNITUDES), unit="nanomaggy", **TABLE)
    with pytest.raises(SurveyError, match="the numbers look like nanomaggy"):
        Survey.from_table(table, lacking, unit="Jy", **TABLE)
    survey = Survey.from_table(table, lacking, unit="nanomaggy", **TABLE)
    assert np.isnan(survey.magnitudes).all(0).tolist() == [True, False, False, True, False]
    survey.save(tmp_path / "mine")
    again = Survey.load(tmp_path / "mine")
    np.testing.assert_array_equal(again.magnitudes, survey.magnitudes)


def test_rows_without_any_band_or_with_wrong_ones_are_rejected():
    table = fluxes().astype({f"mag_{band}": object for band in BANDS})
    table.loc[0, [f"mag_{band}" for band in BANDS]] = np.nan
    table.loc[1, "mag_r"] = "bright"
    table.loc[2, "magerr_i"] = np.nan
    rejected = Survey.from_table(table, unit="nanomaggy", **TABLE).rejected
    assert dict(zip(rejected["row"], rejected["reason"], strict=True)) == {
        0: "no band is measured",
        1: "mag_r is 'bright', not a number",
        2: "magerr_i has no value",
    }
    survey = Survey.from_table(fluxes(), unit="nanomaggy", **TABLE)
    survey.catalogue.loc[1, list(MAGNITUDES)] = np.nan
    with pytest.raises(SurveyError, match="row 1: no band is measured"):
        survey.validate()
    survey.catalogue.loc[1, "mag_u"] = 18.0
    survey.validate()
    survey.parameters.clear()
    with pytest.raises(SurveyError, match="mag_g is nan"):
        survey.validate()


def test_a_catalogue_with_gaps_is_inferred(trained, tmp_path):
    pytest.importorskip("dask")
    from galcfm.catalogue import infer_catalogue

    model, _ = trained
    table = fluxes(12)
    table.loc[3, ["mag_u", "magerr_u"]] = np.nan
    table.loc[4, list(MAGNITUDES)] = np.nan
    table.loc[5, [f"magerr_{band}" for band in BANDS]] = np.inf  # limits alone
    table.drop(columns=["mag_z", "magerr_z"]).to_parquet(tmp_path / "mine.parquet")
    made = infer_catalogue(
        model,
        tmp_path / "mine.parquet",
        tmp_path / "out",
        columns={"mag_z": None},
        unit="nanomaggy",
        total=True,
        dereddened=True,
        n_samples=40,
        steps=4,
        progress=False,
    )
    assert (made.used, made.rejected, made.failed) == (10, 2, {})
    found = made.table().set_index("object_id")
    survey = Survey.from_table(table, {"mag_z": None}, unit="nanomaggy", **TABLE)
    errors = survey.catalogue[list(MAGNITUDE_ERRORS)]
    draws = model.sample(
        survey.magnitudes,
        magnitude_errors=errors,
        object_id=survey.object_id,
        n_samples=40,
        steps=4,
    )
    expected = draws[..., 0].mean(1)
    np.testing.assert_allclose(
        found.loc[survey.object_id, "log_stellar_mass_mean"], expected, atol=1e-4
    )


# What is refused ---------------------------------------------------------------------------------


def test_gaps_are_refused_where_they_mean_nothing(trained, told):
    model, test = trained
    given = without(test.select(np.arange(5)), (0,))
    for broken, message in (
        (given | {"magnitudes": np.full((5, 5), np.nan)}, r"row 0: no band is measured \(5 such"),
        (given | {"magnitudes": np.full((5, 5), np.inf)}, "row 0: mag_u is inf, outside"),
        (given | {"magnitude_errors": np.full((5, 5), np.nan)}, "row 0: magerr_g has no value"),
        (given | {"magnitude_errors": np.full((5, 5), -1.0)}, "row 0: magerr_. is -1, outside"),
    ):
        with pytest.raises(ModelError, match=message):
            model.encode(**broken)
    with pytest.raises(ModelError, match="or use a model with missing_bands"):
        told.encode(given["magnitudes"], redshift=np.full(5, 0.1))
    with pytest.raises(ModelError, match="missing_bands needs magnitudes"):
        Posterior("none", missing_bands=True)
    with pytest.raises(ModelError, match="hide_bands needs a model with missing_bands"):
        train(Posterior(), test, "nowhere", TrainingSettings(hide_bands=True))


def test_masked_values_are_gaps(trained):
    model, test = trained
    some = test.select(np.arange(5))
    given = without(some, (3,))
    masked = np.ma.masked_array(some.magnitudes, np.isnan(given["magnitudes"]))
    found = model.encode(masked, magnitude_errors=given["magnitude_errors"])
    np.testing.assert_array_equal(found, model.encode(**given))


def test_a_saved_model_knows_its_bands(trained, tmp_path):
    model, test = trained
    given = without(test.select(np.arange(5)), (2,))
    model.save(tmp_path)
    again = Posterior.load(tmp_path)
    np.testing.assert_array_equal(again.encode(**given), model.encode(**given))
    np.testing.assert_array_equal(
        again.out_of_range(**given)["photometry_outside"], np.zeros(5, bool)
    )


@pytest.mark.parametrize("features", ["magnitudes", "r_and_colours"])
@pytest.mark.parametrize("told", [{}, {"use_magnitude_errors": True}, {"use_redshift": True}])
def test_galaxies_are_flagged_by_the_bands_that_they_have(features, told, tmp_path):
    """All patterns are equally frequent; the placeholder is unlike any galaxy's value."""
    survey = with_errors(toy_survey(9000, 6, images=False))
    # Colours on a curve, from which a linear guess is far away.
    rng = np.random.default_rng(0)
    along, r = rng.uniform(-1, 1, len(survey)), rng.uniform(15, 17, len(survey))
    magnitudes = r[:, None] + np.outer(along**2, [1.5, 0.5, 0, -0.4, -0.9])
    magnitudes += rng.normal(0, 0.02, magnitudes.shape)
    # Errors that tell of one size: that of a missing band is not what it says of others.
    size = rng.normal(size=(len(survey), 1))
    errors = 0.02 * np.exp(0.2 * size + 0.005 * rng.normal(size=magnitudes.shape))
    columns = zip([*MAGNITUDES, *MAGNITUDE_ERRORS], [*magnitudes.T, *errors.T], strict=True)
    catalogue = survey.catalogue.assign(**dict(columns))
    survey = Survey(catalogue, None, survey.parameters, survey.name)
    model = Posterior(features, missing_bands=True, network={"width": 8, "depth": 1}, **told)
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    model.save(tmp_path)
    model, test = Posterior.load(tmp_path), survey.split("test")

    def flagged(bands, fainter=0.0):
        given = without(test, bands)
        given["magnitudes"] = given["magnitudes"] + np.array([0, 0, 0, fainter, 0])
        errors = given.pop("magnitude_errors")
        given |= {"magnitude_errors": errors} if model.use_magnitude_errors else {}
        given |= {"redshift": test.redshift} if model.use_redshift else {}
        return model.out_of_range(**given)["photometry_outside"].mean()

    for bands in ((), (0,), (2,), (0, 4), (0, 1, 2)):
        assert flagged(bands) < 0.03, bands
        assert flagged(bands, fainter=1.0) > 0.5, bands


def test_bands_that_no_training_galaxy_had_are_out_of_range():
    survey = with_errors(toy_survey(300, 6, images=False))
    survey.catalogue[["mag_u", "magerr_u"]] = np.nan
    survey.parameters["missing_bands"] = True
    model = Posterior(**TOLD)
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    given = without(survey.split("test"))
    assert model.out_of_range(**given)["photometry_outside"].mean() <= 0.1
    given["magnitudes"][:, 0] = 18.0
    given["magnitude_errors"][:, 0] = 0.02
    found = model.out_of_range(**given)
    assert found["photometry_outside"].all()
    assert (found["photometry_p"] == 0).all()


@pytest.mark.parametrize(
    ("grid", "density", "message"),
    [
        ([0.1], [[1.0]], "redshift is no grid"),
        ([0.2, 0.1], [[1.0, 1.0]], "redshift is no grid"),
        ([0.1, 0.2], [[1.0, 1.0], [0.0, 0.0]], "row 1: a density is negative, not finite or zero"),
        ([0.1, 0.2], [[-1.0, 1.0]], "row 0: a density is negative"),
        ([0.1, 0.2], [[1.0]], r"density has shape \(1, 1\)"),
    ],
)
def test_wrong_densities_are_refused(grid, density, message):
    with pytest.raises(ModelError, match=message):
        redshift_quantiles(grid, density, 4)


def test_one_redshift_a_sample(told):
    some = toy_survey(6, 1, images=False)
    with pytest.raises(ModelError, match="3 redshifts per galaxy for 8 samples"):
        told.sample(some.magnitudes, redshift=np.full((6, 3), 0.1), n_samples=8)
    with pytest.raises(ModelError, match="several values per galaxy: give one"):
        told.out_of_range(some.magnitudes, redshift=np.full((6, 3), 0.1))
    with pytest.raises(ModelError, match="without redshifts"):
        Posterior().encode(some.magnitudes, redshift=np.full((6, 3), 0.1))
