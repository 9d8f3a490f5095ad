"""What goes out: a catalogue of summaries in formats of others, and replicated photometry."""

import warnings

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table

from galcfm.figures import replicated_photometry
from galcfm.posterior import ModelError
from galcfm.posterior.draws import Draws
from galcfm.posterior.replicated import MagnitudeModel, check_photometry
from galcfm.posterior.summaries import SUMMARY_FORMATS, save_summaries, summarise
from galcfm.properties import BANDS, MAGNITUDES, PROPERTY_NAMES
from galcfm.stored_posteriors import load_posteriors, save_posteriors
from galcfm.survey import Survey

# Redshifts of the galaxies below, from their mass and a distance that is drawn.
DISTANCES = (0.03, 0.2)


ATTRS = {"steps": 12, "seed": 3, "survey": "mine"}


@pytest.fixture(scope="module")
def galaxies(survey):
    return survey.select(np.arange(5))


@pytest.fixture(scope="module")
def posteriors(galaxies):
    rng = np.random.default_rng(4)
    mixing = np.eye(5) + 0.5 * np.tri(5)
    draws = galaxies.properties[:, None] + 0.1 * rng.normal(size=(5, 400, 5)) @ mixing
    outside = np.arange(5) == 2
    coords = {"photometry_p": np.where(outside, 0.001, 0.4), "photometry_outside": outside}
    return Draws.of(draws, galaxies.object_id, coords, ATTRS)


# Summaries


def test_summaries_are_those_of_the_draws(galaxies, posteriors):
    table = summarise(posteriors, galaxies)
    draws = np.stack([posteriors[p].to_numpy().reshape(400, 5).T for p in PROPERTY_NAMES], -1)
    np.testing.assert_allclose(table["log_sfr_mean"], draws[..., 1].mean(1))
    np.testing.assert_allclose(table["a_v_median"], np.median(draws[..., 4], 1))
    np.testing.assert_allclose(table["a_v_p16"], np.percentile(draws[..., 4], 16, axis=1))
    np.testing.assert_allclose(table["dn4000_p84"], np.percentile(draws[..., 3], 84, axis=1))
    covariance = np.cov(draws[1].T)
    std = np.array([table[f"{name}_std"][1] for name in PROPERTY_NAMES])
    for i, j in ((0, 1), (2, 4)):
        name = f"corr_{PROPERTY_NAMES[i]}_{PROPERTY_NAMES[j]}"
        assert table[name][1] * std[i] * std[j] == pytest.approx(covariance[i, j])
    assert table["outside_range"].tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(table["mag_r"], galaxies.magnitudes[:, 2])
    assert table.meta["N_DRAWS"] == 400
    alone = summarise(posteriors)
    assert "mag_r" not in alone.colnames
    with pytest.raises(ModelError, match="contain different galaxies"):
        summarise(posteriors, galaxies.select(np.arange(5)[::-1]))


def test_every_column_has_a_ucd_a_description_and_the_unit_that_it_needs(galaxies, posteriors):
    table = summarise(posteriors, galaxies)
    for name, column in table.columns.items():
        parse_ucd(column.meta["ucd"], check_controlled_vocabulary=True)
        assert column.description.isascii(), name
    assert table["log_stellar_mass_p16"].unit is None
    assert "(dex, log10 in Msun)" in table["log_stellar_mass_p16"].description
    assert table["a_v_std"].unit == u.mag
    assert table["dn4000_mean"].unit is None
    assert table["ra"].unit == u.deg


@pytest.mark.parametrize("ending", SUMMARY_FORMATS)
def test_every_format_keeps_numbers_units_and_ucds(
    galaxies, posteriors, tmp_path, monkeypatch, ending
):
    # This C code writes past the end of its memory.
    monkeypatch.setattr("astropy.io.votable.tablewriter.write_tabledata", None)
    table = summarise(posteriors, galaxies)
    path = tmp_path / f"mine{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_summaries(summarise(posteriors), path)
        save_summaries(table, path)  # its own is replaced, with positions and magnitudes or without
        again = Table.read(path, format=SUMMARY_FORMATS[ending])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert again.colnames == table.colnames
    for name in table.colnames:
        if table[name].dtype.kind == "f":
            np.testing.assert_allclose(again[name], table[name])
        else:
            assert again[name].tolist() == table[name].tolist()
        assert str(again[name].unit or "") == str(table[name].unit or "")
        assert again[name].meta["ucd"] == table[name].meta["ucd"]
        assert " ".join(again[name].description.split()) == table[name].description
    if ending == ".fits":
        header = fits.getheader(path, 1)
        k = table.colnames.index("log_sfr_mean") + 1
        assert f"TUNIT{k}" not in header
        assert header[f"TUNIT{table.colnames.index('a_v_mean') + 1}"] == "mag"
        assert header[f"TUCD{k}"] == "phys.SFR;stat.mean"
        assert header[f"TCOMM{k}"].startswith("posterior mean: star formation rate")
    if ending == ".parquet":
        assert pd.read_parquet(path)["outside_range"].sum() == 1
    # What goes out comes in by the same door.
    survey = Survey.from_table(path, unit="AB", total=True, dereddened=True)
    np.testing.assert_allclose(survey.magnitudes, galaxies.magnitudes)


def test_nobody_elses_file_is_replaced(galaxies, posteriors, tmp_path):
    table = summarise(posteriors, galaxies)
    more = table.copy()
    more["my_notes"] = "precious"
    more.write(tmp_path / "mine.ecsv")
    before = (tmp_path / "mine.ecsv").read_bytes()
    with pytest.raises(FileExistsError, match="galcfm did not write it"):
        save_summaries(table, tmp_path / "mine.ecsv")
    assert (tmp_path / "mine.ecsv").read_bytes() == before
    with pytest.raises(ModelError, match=r"use the ending \.fits, \.parquet, \.ecsv, \.vot"):
        save_summaries(table, tmp_path / "mine.csv")


def test_summaries_of_stored_posteriors(galaxies, posteriors, tmp_path):
    save_posteriors(posteriors, tmp_path / "mine.nc")
    stored = summarise(load_posteriors(tmp_path / "mine.nc"), galaxies)
    np.testing.assert_allclose(stored["a_v_mean"], summarise(posteriors)["a_v_mean"])


# Replicated photometry


def world(n, seed):
    """Galaxies whose magnitudes are their mass at their distance, colours of dust, and noise."""
    rng = np.random.default_rng(seed)
    theta = np.array([10.2, 0.1, 8.85, 1.28, 0.6]) + rng.uniform(-0.5, 0.5, (n, 5))
    z = rng.uniform(*DISTANCES, n)
    slope = np.array([1.6, 1.2, 0.9, 0.7, 0.5])
    magnitudes = 42 - 2.5 * theta[:, :1] + 5 * np.log10(z)[:, None] + theta[:, 4:] * slope
    magnitudes = magnitudes + 0.05 * rng.normal(size=(n, 5))
    columns = {"object_id": [f"g{seed}-{k}" for k in range(n)], "ra": 1.0, "dec": 2.0}
    columns |= {"redshift": z, "ebv": 0.0, "split": "train"}
    columns |= dict(zip(MAGNITUDES, magnitudes.T, strict=True))
    columns |= dict(zip(PROPERTY_NAMES, theta.T, strict=True))
    return Survey(pd.DataFrame(columns), name="world")


@pytest.fixture(scope="module")
def training():
    return world(3000, 1)


def around(survey, width=0.02, n_draws=200):
    rng = np.random.default_rng(5)
    draws = survey.properties[:, None] + width * rng.normal(size=(len(survey), n_draws, 5))
    return Draws.of(draws, survey.object_id, {}, ATTRS)


def test_replicated_magnitudes_are_those_of_the_relation(training):
    model = MagnitudeModel.fit(training, use_redshift=True)
    others = world(50, 2)
    samples = np.repeat(others.properties[:, None], 400, 1)
    replicated = model.replicate(samples, others.redshift)
    # Mean and noise of the relation, at the same properties and redshift.
    noiseless = others.magnitudes - replicated.mean(1)
    assert np.abs(noiseless).max() < 5 * 0.05
    assert replicated.std(1).mean() == pytest.approx(0.05, rel=0.2)
    # Without the redshift the distances of the survey are in the scatter, alike in all bands.
    wide = MagnitudeModel.fit(training).replicate(samples)
    assert wide.std(1).mean() > 0.5
    assert (wide[..., 0] - wide[..., 4]).std(1).mean() < 0.2


def test_chance_is_a_galaxys_own(training):
    model = MagnitudeModel.fit(training)
    samples = np.repeat(training.properties[:4, None], 20, 1)
    ids = training.object_id[:4]
    all_four = model.replicate(samples, object_id=ids, seed=1)
    np.testing.assert_array_equal(
        model.replicate(samples[2:3], object_id=ids[2:3], seed=1)[0], all_four[2]
    )
    assert not np.array_equal(model.replicate(samples, object_id=ids, seed=2), all_four)


def test_impossible_colours_are_doubtful_and_usual_ones_are_not(training):
    model = MagnitudeModel.fit(training, use_redshift=True)
    others = world(200, 3)
    replicated, usual = check_photometry(around(others), others, model)
    assert replicated.shape == (200, 200, 5)
    assert usual["is_doubtful"].mean() <= 0.03
    wrong = others.select(np.arange(20))
    wrong.catalogue["mag_u"] += 0.5
    _, checked = check_photometry(around(wrong), wrong, model)
    assert checked["is_doubtful"].all()
    np.testing.assert_allclose(checked["residual_u"], usual["residual_u"][:20] + 0.5, atol=0.02)
    # As small as the smallest hundredth of galaxies that are known to be as they should.
    reference = usual["share_farther"] / 2 + 0.3
    _, held = check_photometry(around(others), others, model, reference=reference)
    lowest = np.sort(reference)[1]
    assert held["is_doubtful"].tolist() == (usual["share_farther"] <= lowest).tolist()
    assert held["is_doubtful"].any()
    figure = replicated_photometry(replicated, usual, source="world")
    assert len(figure.axes) == 6
    with pytest.raises(ValueError, match="both results of check_photometry"):
        replicated_photometry(replicated[:3], usual, source="world")


def test_bands_that_are_not_measured_count_for_nothing(training):
    model = MagnitudeModel.fit(training)
    survey = world(120, 4)
    catalogue = survey.catalogue.copy()
    catalogue[[f"magerr_{band}" for band in BANDS]] = 0.02
    catalogue.loc[:19, "mag_u"] = np.nan
    catalogue.loc[20:39, ["mag_z", "magerr_z"]] = 5.0, np.inf
    lacking = Survey(catalogue, None, {"missing_bands": True}, "gaps")
    _, table = check_photometry(around(survey), lacking, model)
    assert np.isnan(table["residual_u"][:20]).all()
    assert np.isnan(table["residual_z"][20:40]).all()
    assert table[["residual_u", "residual_z"]].notna().sum().tolist() == [100, 100]
    _, whole = check_photometry(around(survey), survey, model)
    assert table["share_farther"][40:].equals(whole["share_farther"][40:])
    assert table["is_doubtful"].mean() < 0.1
    # Nor is a model fitted to them.
    fitted = MagnitudeModel.fit(lacking)
    assert len(fitted.points) == 80
    assert np.isfinite(fitted.coefficients).all()


def test_what_cannot_be_replicated_is_refused(training):
    few = world(59, 4)
    with pytest.raises(ModelError, match="has 59 galaxies with all bands and inputs, 60 are"):
        MagnitudeModel.fit(few)
    model = MagnitudeModel.fit(training)
    samples = np.repeat(few.properties[:, None], 3, 1)
    with pytest.raises(ModelError, match="fitted without redshift: omit it"):
        model.replicate(samples, few.redshift)
    told = MagnitudeModel.fit(training, use_redshift=True)
    with pytest.raises(ModelError, match="fitted with redshift: give it"):
        told.replicate(samples)
    with pytest.raises(ModelError, match="row 1: a property or redshift is not finite"):
        told.replicate(samples, np.where(np.arange(59) == 1, -0.1, 0.1))
    with pytest.raises(ModelError, match="60 draws per galaxy are too few"):
        check_photometry(around(few, n_draws=60), few, model)
    with pytest.raises(ModelError, match="contain different galaxies"):
        check_photometry(around(few), few.select(np.arange(50)), model)
    with pytest.raises(ModelError, match="reference has 3 shares"):
        check_photometry(around(few), few, model, reference=[0.1, 0.2, 0.3])
