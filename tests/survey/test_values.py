"""One rule for missing values: what a table may hold, and what a model may be given."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey import Survey, SurveyError
from galcfm.survey.values import MISSING_CODES, checked_photometry

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
ODD = [np.nan, np.inf, -np.inf, 0.0, 1e-320, 40.0, 40.5, 5e8, *sorted(MISSING_CODES)]


def numbers(low, high):
    return st.one_of(*3 * [st.floats(low, high)], st.sampled_from(ODD))


@settings(max_examples=300)
@given(
    magnitudes=arrays(float, (4, 5), elements=numbers(16.9, 17.1), fill=st.just(17.0)),
    errors=st.none() | arrays(float, (4, 5), elements=numbers(0.001, 0.3), fill=st.just(0.1)),
    missing_bands=st.booleans(),
)
def test_arrays_are_checked_as_tables_are(magnitudes, errors, missing_bands):
    frame = pd.DataFrame(magnitudes, columns=list(MAGNITUDES)).assign(object_id=list("abcd"))
    if errors is not None:
        frame[list(MAGNITUDE_ERRORS)] = errors
    found, sigma, reasons = checked_photometry(magnitudes, errors, missing_bands=missing_bands)
    try:
        survey = Survey.from_table(frame, missing_bands=missing_bands, **DECLARED)
    except SurveyError as error:
        said = str(error)
    else:
        said = ""
        assert dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True)) == reasons
    if "in the declared unit AB, the median r" in said:
        return
    if said:
        assert len(reasons) == 4
        assert reasons[0] in said
        return
    good = [row for row in range(4) if row not in reasons]
    np.testing.assert_array_equal(found[good], survey.magnitudes)
    if errors is not None:
        np.testing.assert_array_equal(sigma[good], survey.catalogue[list(MAGNITUDE_ERRORS)])


@pytest.mark.parametrize("code", sorted(MISSING_CODES))
def test_a_code_is_a_missing_band_or_names_its_row(code):
    magnitudes = np.full((3, 5), 17.0)
    magnitudes[1, 2] = code
    found, _, reasons = checked_photometry(magnitudes)
    assert reasons == {1: f"mag_r is {code:g}, a code for a missing value"}
    found, _, reasons = checked_photometry(magnitudes, missing_bands=True)
    assert reasons == {}
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 2]]


def test_a_code_stays_one_in_other_units():
    """-9999 microjansky is no upper limit."""
    columns = {name: np.full(2, 300.0) for name in MAGNITUDES}
    columns |= {name: np.full(2, 3.0) for name in MAGNITUDE_ERRORS}
    columns["mag_u"][0] = -9999.0
    table = Table(columns, units=dict.fromkeys(columns, u.uJy))
    table["object_id"] = ["a", "b"]
    survey = Survey.from_table(table, missing_bands=True, **DECLARED | {"unit": "Jy"})
    assert np.isnan(survey.catalogue["mag_u"][0])
    assert np.isnan(survey.catalogue["magerr_u"][0])
    with pytest.raises(SurveyError, match="mag_u is -9999, a code for a missing value"):
        Survey.from_table(table[:1], **DECLARED | {"unit": "Jy"})
