"""Tables of any bands and properties: read, saved and read back, or refused in a sentence."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from test_properties import declarations

from galcfm.properties import DeclarationError, Property
from galcfm.survey import Survey, SurveyError
from galcfm.survey.intake import columns_of
from galcfm.survey.photometry import EXTINCTIONS
from galcfm.survey.values import ranges_of

AB = {"unit": "AB", "total": True, "dereddened": True}
NANOMAGGIES = AB | {"unit": "nanomaggy"}
BANDS = [
    ("r",),
    ("g", "z"),
    ("W1", "F200W", "u"),
    ("FUV", "g", "r", "z", "W1", "F200W", "Ks"),
    ("z", "Z", "1", "_"),
]
AGE = Property("age", "Gyr", (0.0, 14.0))
MASS = Property("log_m", "dex(Msun)", (5.0, 13.0))
REDSHIFT = Property("redshift", "1", (0.0, 1.5))


def magnitudes(bands, n=6, seed=0) -> np.ndarray:
    """Galaxies that are red in any band."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (n, len(bands)))
    return 18.0 - 0.4 * np.arange(len(bands)) + noise


def table_of(bands, n=6, kind="mag", **columns) -> pd.DataFrame:
    given = magnitudes(bands, n)
    values = given if kind == "mag" else 10 ** (0.4 * (22.5 - given))
    found = {f"{kind}_{band}": values[:, k] for k, band in enumerate(bands)}
    return pd.DataFrame({"object_id": [f"g{k}" for k in range(n)]} | found | columns)


def reasons(survey) -> dict:
    return dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))


def read_again(survey, folder) -> Survey:
    survey.save(folder)
    again = Survey.load(folder)
    pd.testing.assert_frame_equal(again.catalogue, survey.catalogue)
    assert again.parameters == survey.parameters
    assert again.declaration == survey.declaration
    np.testing.assert_array_equal(again.magnitudes, survey.magnitudes)
    np.testing.assert_array_equal(again.properties, survey.properties)
    return again


# Bands


@pytest.mark.parametrize("bands", BANDS, ids=len)
def test_magnitudes_of_any_bands(bands, tmp_path):
    errors = {f"magerr_{band}": 0.01 * (k + 1) for k, band in enumerate(bands)}
    survey = Survey.from_table(table_of(bands, **errors), bands=bands, **AB)
    assert survey.declaration.bands == bands
    np.testing.assert_array_equal(survey.magnitudes, magnitudes(bands))
    read_again(survey, tmp_path / "survey")
    # Other columns keep the order of the bands, not that of the table.
    mixed = table_of(bands, **errors).iloc[:, ::-1]
    again = Survey.from_table(mixed, bands=list(bands), **AB)
    pd.testing.assert_frame_equal(again.catalogue, survey.catalogue)


@pytest.mark.parametrize("bands", BANDS, ids=len)
def test_fluxes_with_inverse_variances_of_any_bands(bands):
    fluxes = table_of(bands, kind="flux")
    for band in bands:
        fluxes[f"ivar_{band}"] = (0.02 * fluxes[f"flux_{band}"]) ** -2
    survey = Survey.from_table(fluxes, bands=bands, **NANOMAGGIES)
    np.testing.assert_allclose(survey.magnitudes, magnitudes(bands))
    errors = survey.catalogue[list(survey.declaration.magnitude_errors)]
    np.testing.assert_allclose(errors, 0.02 * 2.5 / np.log(10))
    microjansky = Table.from_pandas(fluxes.drop(columns=[f"ivar_{band}" for band in bands]))
    for band in bands:
        microjansky[f"flux_{band}"] = 3.631 * microjansky[f"flux_{band}"] * u.uJy
    survey = Survey.from_table(microjansky, bands=bands, **AB | {"unit": "Jy"})
    np.testing.assert_allclose(survey.magnitudes, magnitudes(bands), atol=1e-3)


def test_limits_and_missing_bands_of_any_bands(tmp_path):
    bands = ("g", "W1", "F200W")
    fluxes = table_of(bands, kind="flux")
    for band in bands:
        fluxes[f"ivar_{band}"] = 4.0
    fluxes.loc[1, "flux_W1"] = -0.2
    fluxes.loc[2, "ivar_F200W"] = 0.0
    fluxes.loc[3, "flux_g"] = np.nan
    fluxes.loc[4, ["ivar_g", "ivar_W1", "ivar_F200W"]] = 0.0
    survey = Survey.from_table(fluxes, bands=bands, missing_bands=True, **NANOMAGGIES)
    assert reasons(survey) == {4: "no band is measured"}
    found = survey.catalogue.set_index("object_id")
    assert np.isposinf(found.loc["g1", "magerr_W1"])
    assert found.loc["g1", "mag_W1"] == pytest.approx(22.5 - 2.5 * np.log10(3 * 0.5))
    assert np.argwhere(np.isnan(survey.magnitudes)).tolist() == [[2, 2], [3, 0]]
    assert np.isnan(survey.measured_magnitudes[1, 1])
    read_again(survey, tmp_path / "survey")
    # A band that the table lacks, and with it its error.
    less = fluxes.drop(columns=["flux_F200W", "ivar_F200W"])
    survey = Survey.from_table(
        less, {"mag_F200W": None}, bands=bands, missing_bands=True, **NANOMAGGIES
    )
    assert np.isnan(survey.magnitudes[:, 2]).all()
    none = dict.fromkeys(["mag_g", "mag_W1", "mag_F200W"])
    with pytest.raises(SurveyError, match="leaves out all bands"):
        Survey.from_table(less, none, bands=bands, missing_bands=True, **NANOMAGGIES)


def test_extinction_of_each_band_is_that_of_its_name():
    bands = ("W2", "z", "g")
    survey = Survey.from_table(table_of(bands, ebv=0.1), bands=bands, **AB | {"dereddened": False})
    expected = magnitudes(bands) - 0.1 * np.array([EXTINCTIONS[band] for band in bands])
    np.testing.assert_allclose(survey.magnitudes, expected)


def test_the_unit_is_judged_by_the_bands_there_are():
    grz, infrared = ("g", "r", "z"), ("W1", "F200W")
    for bands in (grz, infrared):
        fluxes, stars = table_of(bands, kind="flux"), table_of(bands)
        Survey.from_table(fluxes, bands=bands, **NANOMAGGIES)
        stars[[f"mag_{band}" for band in bands]] -= 17
        with pytest.raises(SurveyError, match=r"median [rF]\S* is \d\.\d mag.*look like Jy"):
            Survey.from_table(stars, bands=bands, **AB)
    with pytest.raises(SurveyError, match=r"the median g − z is -0\.\d mag, .* look like AB"):
        Survey.from_table(table_of(grz), bands=grz, **NANOMAGGIES)
    fainter = table_of(grz, kind="flux")
    fainter[["flux_g", "flux_r", "flux_z"]] *= 0.25  # from 16 to 33 nanomaggies
    assert len(Survey.from_table(fainter, bands=grz, **NANOMAGGIES)) == 6
    # No colour says whether these are fluxes or magnitudes.
    assert len(Survey.from_table(table_of(infrared), bands=infrared, **NANOMAGGIES)) == 6


# Properties


def test_properties_of_other_names_with_errors_and_gaps(tmp_path):
    columns = {"age": [1.0, 2.0, np.nan, 15.0, 4.0, 5.0], "age_err": 0.3, "log_m": 10.0}
    table = table_of(["r"], **columns, redshift=0.1, dn4000="any")
    survey = Survey.from_table(table, bands="r", properties=[MASS, AGE], **AB)
    assert reasons(survey) == {3: "age is 15, outside [0, 14]"}
    assert survey.declaration.properties == (MASS, AGE)
    np.testing.assert_array_equal(survey.properties[:3], [[10, 1], [10, 2], [10, np.nan]])
    assert "dn4000" not in survey.catalogue
    np.testing.assert_array_equal(survey.catalogue["age_err"], 0.3)
    read_again(survey, tmp_path / "survey")


def test_the_redshift_may_be_a_property(tmp_path):
    table = table_of(["r"], age=3.0, z=[0.1, np.nan, -0.005, 1.6, 0.3, 0.4], redshift_err=0.01)
    survey = Survey.from_table(
        table, {"redshift": "z"}, bands="r", properties=[AGE, REDSHIFT], **AB
    )
    assert reasons(survey) == {
        2: "redshift (column 'z') is -0.005, outside [0, 1.5]",
        3: "redshift (column 'z') is 1.6, outside [0, 1.5]",
    }
    np.testing.assert_array_equal(survey.properties[:, 1], survey.redshift)
    assert columns_of(survey.declaration).count("redshift") == 1
    assert "redshift_err" in survey.catalogue
    read_again(survey, tmp_path / "survey")


def test_the_default_declares_nothing():
    survey = Survey.from_table(table_of("ugriz"), **AB)
    assert "declaration" not in survey.parameters
    assert "declaration" not in Survey.from_table(table_of("ugriz"), bands="ugriz", **AB).parameters


def test_errors_may_be_as_large_as_their_property():
    assert ranges_of()["a_v_err"] == (0.0, 20.0)
    assert ranges_of([Property("sigma", "km/s", (0, 500))])["sigma_err"] == (0.0, 500.0)


# Refusals

GRZ = ("g", "r", "z")
REFUSED = {
    "bands is 3 and properties is None: give a list of names": (table_of("r"), {"bands": 3}),
    "has the band 'g' 2 times": (table_of(GRZ), {"bands": "ggr"}),
    "'a b': give letters": (table_of(GRZ), {"bands": ["a b"]}),
    "has no mag_W1: map columns": (table_of(GRZ), {"bands": ["g", "r", "W1"]}),
    "has 'mag_w1', spelt differently .* columns={'mag_W1': 'mag_w1'}": (
        table_of(["g", "w1"]), {"bands": ["g", "W1"]}
    ),
    "maps 'mag_i', which is not a column .*; a survey has .*mag_g, mag_r, mag_z, magerr_g": (
        table_of(GRZ), {"bands": GRZ, "columns": {"mag_i": "mag_r"}}
    ),
    "has magerr_g but no magerr_r, magerr_z: give all of them": (
        table_of(GRZ, magerr_g=0.1), {"bands": GRZ}
    ),
    "ivar_r, ivar_z are inverse variances of fluxes.*the unit is AB": (
        table_of(GRZ, ivar_g=1.0, ivar_r=1.0, ivar_z=1.0), {"bands": GRZ}
    ),
    "ivar_r are inverse variances of fluxes, which replace errors": (
        table_of("r", kind="flux", ivar_r=1.0, magerr_r=1.0), {"bands": "r", "unit": "nmgy"}
    ),
    "column 'mag_g' is used for mag_g and for mag_r: map each": (
        table_of("g"), {"bands": "gr", "columns": {"mag_r": "mag_g"}}
    ),
    "dereddened=False is possible for the bands u, g, r, i, z, W1, W2, .*not for F200W, W3: ": (
        table_of(["r", "F200W", "W3"], ebv=0.1),
        {"bands": ["r", "F200W", "W3"], "dereddened": False},
    ),
    "unit='Vega' is possible for the bands u, g, r, i, z, whose constants .* not for Ks: ": (
        table_of(["r", "Ks"]), {"bands": ["r", "Ks"], "unit": "Vega"}
    ),
    "unit='asinh' is possible for the bands .* not for W1: ": (
        table_of(["W1"]), {"bands": ["W1"], "unit": "asinh"}
    ),
    "mag_W1 is -99, a code for a missing value": (
        table_of(["W1"]).assign(mag_W1=-99.0), {"bands": ["W1"]}
    ),
    "properties is 'age': give .* a list of galcfm.properties.Property": (
        table_of("r"), {"bands": "r", "properties": "age"}
    ),
    r"properties is \['age'\]: give .* a list of galcfm.properties.Property": (
        table_of("r"), {"properties": ["age"]}
    ),
    "properties has 'age' 2 times": (table_of("r"), {"properties": [AGE, AGE]}),
    "declares no property": (table_of("r"), {"properties": []}),
    "has no log_m: map columns.* the table has object_id, mag_r, age": (
        table_of("r", age=1.0), {"bands": "r", "properties": [AGE, MASS]}
    ),
    "has no redshift: map columns": (
        table_of("r", age=1.0), {"bands": "r", "properties": [AGE, REDSHIFT]}
    ),
    "has 'AGE', spelt differently": (table_of("r", AGE=1.0), {"bands": "r", "properties": [AGE]}),
    "has no age: map": (
        table_of("r", age=1.0), {"bands": "r", "properties": [AGE], "columns": {"age": None}}
    ),
    "maps 'ag', which is not a column of a survey: do you mean 'age'": (
        table_of("r", x=1.0), {"bands": "r", "properties": [AGE], "columns": {"ag": "x"}}
    ),
    "column 'x' is used for log_m and for age": (
        table_of("r", x=7.0),
        {"bands": "r", "properties": [MASS, AGE], "columns": {"log_m": "x", "age": "x"}},
    ),
    "two columns are called 'age'": (
        pd.concat([table_of("r", age=1.0), table_of("r", age=1.0)[["age"]]], axis=1),
        {"bands": "r", "properties": [AGE]},
    ),
    "log_m is 2e.10, outside .*: give the logarithm": (
        table_of("r", log_m=2e10), {"bands": "r", "properties": [MASS]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(words):
    table, declared = REFUSED[words]
    with pytest.raises((SurveyError, DeclarationError), match=words) as refusal:
        Survey.from_table(table, **AB | declared)
    assert not re.search(r"\bfive\b|mag_u", str(refusal.value))


# Any declaration


@settings(max_examples=60)
@given(
    declared=declarations(),
    seed=st.integers(0, 99),
    unit=st.sampled_from(["AB", "nanomaggy"]),
    gaps=st.booleans(),
)
def test_any_declaration_is_the_same_on_disk(tmp_path_factory, declared, seed, unit, gaps):
    declared = replace(declared, embeddings=(), cutouts=None)
    rng, n, bands = np.random.default_rng(seed), 8, declared.bands
    table = table_of(bands, n, "mag" if unit == "AB" else "flux")
    first = table.columns[1]
    for k, p in enumerate(declared.properties):
        table[p.name] = rng.uniform(*p.plausible, n)
        table.loc[k % n, p.name] = np.nan
        table[f"{p.name}_err"] = rng.uniform(0, 1, n)
    for band in bands:
        table[f"magerr_{band}"] = 0.01
    if gaps and len(bands) > 1:
        table.loc[3, first] = np.nan
    chosen = {"bands": bands, "properties": declared.properties, "missing_bands": gaps}
    survey = Survey.from_table(table, **AB | {"unit": unit} | chosen)
    assert len(survey) == n
    assert survey.declaration == declared
    expected = table[list(declared.property_names)].to_numpy()
    np.testing.assert_array_equal(survey.properties, expected)
    known = magnitudes(bands, n)
    if gaps and len(bands) > 1:
        known[3, 0] = np.nan
    np.testing.assert_allclose(survey.magnitudes, known)
    again = read_again(survey, tmp_path_factory.mktemp("declared") / "survey")
    # A saved catalogue is a table too.
    once_more = Survey.from_table(again.catalogue, **AB | chosen)
    np.testing.assert_array_equal(once_more.properties, survey.properties)
    np.testing.assert_array_equal(once_more.magnitudes, survey.magnitudes)
