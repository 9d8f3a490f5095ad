"""The tables of the book: their numbers from results small enough to compute by hand."""

from galcfm.figures import tables
from galcfm.properties import PROPERTIES


def test_dust_and_age_stand_together_and_the_models_beside_each_other():
    gain = {"mean": 0.5, "standard_error": 0.02, "share_below_zero": 0.25, "n": 8}
    results = {"image": {"dust_age": {"delta_log_p": gain, "correlation": -0.3}}}
    compared = {"dust_age": {"difference": 0.125, "standard_error": 0.01, "n": 8}}
    table = tables.dust_age(results, compared)
    assert table.loc["image"].to_list() == ["0.500 ± 0.020", "25.0", "−0.30"]
    assert table.iloc[1].to_list() == ["+0.125 ± 0.010", "", ""]


def test_a_distance_is_compared_with_a_perfect_posterior():
    distance = {"posterior_mean": 0.01, "perfect": 0.02, "perfect_spread": 0.003}
    by_property = {p.name: distance for p in PROPERTIES}
    table = tables.wasserstein({"image": {"wasserstein": by_property}})
    assert len(table) == 5
    assert table.loc["A_V [mag]"].to_list() == ["0.0100", "0.0200 ± 0.0030"]


def test_relations_have_their_difference_to_the_measured_one():
    def found(slope, difference):
        number = {"standard_error": 0.02, "minus_truth_error": 0.01}
        return {
            "slope": number | {"value": slope, "minus_truth": difference},
            "scatter": number | {"value": 0.1, "minus_truth": 0.0},
        }

    plane = {"truth": found(0.3, 0), "posterior_mean": found(0.4, 0.1), "draws": found(0.31, 0.01)}
    results = {"image": {"scaling_relations": {"log_stellar_mass/log_sfr": plane}}}
    table = tables.scaling_relations(results).loc["log SFR against log M⋆"]
    assert list(table.index) == ["measured", "image, means", "image, draws"]
    assert table["slope"].to_list() == ["0.300 ± 0.020", "0.400 ± 0.020", "0.310 ± 0.020"]
    assert table["slope − measured"].to_list() == ["", "+0.100 ± 0.010", "+0.010 ± 0.010"]
    assert table["scatter"].to_list() == ["0.100 ± 0.020"] * 3
