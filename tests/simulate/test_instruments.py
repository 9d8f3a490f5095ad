"""Surveys of other instruments: deeper, sharper and further than SDSS."""

from dataclasses import replace

import numpy as np
import pytest

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.simulate import (
    INSTRUMENTS,
    SDSS,
    Instrument,
    frames,
    render,
    rendering,
    simulate_catalogue,
    simulate_survey,
)
from galcfm.simulate.spectra import N_BLUE, load_templates
from galcfm.survey import Survey
from galcfm.survey.images import PIXEL_SCALE

LSST = INSTRUMENTS["LSST"]


@pytest.fixture(scope="module")
def deep():
    return simulate_catalogue(60, 4, instrument="LSST")


def test_a_deeper_survey_reaches_fainter_and_further(deep):
    assert 19.3 < deep["mag_r"].max() < 19.5
    assert deep["redshift"].max() > 0.35
    assert np.isfinite(deep[list(MAGNITUDES)]).all().all()
    near = simulate_catalogue(60, 4)
    assert near["mag_r"].max() < 17.77
    assert near["redshift"].max() < 0.3
    assert deep["seeing"].median() == pytest.approx(0.6 * near["seeing"].median(), rel=0.1)


def test_errors_fall_as_the_root_of_the_photons(deep):
    """Both instruments see the same galaxies, but for a few at the limit."""
    other = simulate_catalogue(60, 4, instrument=replace(LSST, depth=LSST.depth / 25))
    same = deep.merge(other, on=["ra", "redshift"], suffixes=("", "_other"))
    assert len(same) > 50
    for name in MAGNITUDE_ERRORS:
        np.testing.assert_allclose(same[f"{name}_other"] / same[name], 5, rtol=2e-2)


def test_magnitudes_of_a_flat_spectrum_are_the_same_in_all_bands():
    """To the redshift of 0.6, where u needs light of 1,860 Å."""
    templates = load_templates(0.6)
    spectrum = (1e10 / templates.wavelength**2)[None, None].astype(np.float32)
    for redshift in (0.05, 0.3, 0.6):
        flux = templates.fluxes(spectrum, np.array([redshift]))[0, 0]
        np.testing.assert_allclose(flux, flux[BANDS.index("r")], rtol=2e-3)


def test_near_galaxies_do_without_the_blue_pixels():
    whole, near = load_templates(0.6), load_templates()
    assert len(whole.wavelength) == len(near.wavelength) + N_BLUE
    spectrum = np.ones((1, 1, len(whole.wavelength)), np.float32)
    fluxes = [t.fluxes(spectrum[..., : len(t.wavelength)], np.array([0.3])) for t in (whole, near)]
    np.testing.assert_allclose(*fluxes, rtol=1e-6)


def test_smaller_pixels_show_the_same_galaxy_larger(deep):
    row = deep.sort_values("disc_radius").iloc[20].to_dict()

    def spread(pixel_scale):
        instrument = replace(SDSS, pixel_scale=pixel_scale)
        angles = {name: instrument.zoom * row[name] for name in rendering.ANGLES}
        scaled = row | angles
        stamp = rendering.draw_galaxy(
            scaled, np.random.default_rng(1), frames.plain_frame(scaled, instrument)
        )[1].astype(float)
        np.testing.assert_allclose(stamp.sum(), rendering.catalogue_fluxes(row)[1], rtol=1e-5)
        pixels = np.arange(128) - np.average(np.arange(128), weights=stamp.sum(1))
        return np.sqrt(np.average(pixels**2, weights=stamp.sum(1))) * pixel_scale

    assert spread(PIXEL_SCALE / 2) == pytest.approx(spread(PIXEL_SCALE), rel=0.08)


def test_sky_noise_follows_pixels_and_depth(deep):
    row = deep.iloc[0].to_dict()
    noise, empty = {}, np.zeros((3, 128, 128), np.float32)
    deeper = Instrument(depth=100, pixel_scale=0.198)
    for name, instrument in {"SDSS": SDSS, "deep": deeper}.items():
        frame = frames.plain_frame(row, instrument)
        stamps = frames.add_noise(empty, np.random.default_rng(2), frame)
        noise[name] = stamps.std(axis=(1, 2))
    # Pixels of half the width have a quarter of the sky, so half its noise.
    np.testing.assert_allclose(noise["SDSS"] / noise["deep"], 2 * 10, rtol=1e-3)


def test_pictures_of_the_same_sky_are_as_bright_whatever_the_pixels(deep):
    """But for the stretch: grey levels stand for surface brightness."""
    big, means = deep.nlargest(8, "disc_radius"), []
    for scale in (0.2, 0.4):
        instrument = replace(LSST, pixel_scale=scale, stretch=0.5)
        images = render(big, 4, instrument=instrument, varied_sky=False)
        half = round(1.6 / scale)
        means.append(images[:, 64 - half : 64 + half, 64 - half : 64 + half].mean())
    assert means[1] == pytest.approx(means[0], rel=0.1)


def test_deeper_pictures_show_more_neighbours():
    """As many as the counts say down to the same signal to noise."""

    def mean(instrument):
        rng = np.random.default_rng(0)
        return np.mean([len(frames._counted("galaxies", rng, instrument)) for _ in range(300)])

    ten_thousand = Instrument(depth=10_000)  # five magnitudes
    assert mean(ten_thousand) / mean(SDSS) == pytest.approx(10 ** (0.45 * 5), rel=0.1)
    assert mean(Instrument(pixel_scale=2 * PIXEL_SCALE)) / mean(SDSS) == pytest.approx(4, rel=0.1)


def test_a_survey_of_another_instrument_says_so(tmp_path):
    options = {"processes": 1, "progress": False}
    made = simulate_survey(tmp_path / "deep", 8, 1, instrument="Legacy", **options)
    assert made.parameters["instrument"]["pixel_scale"] == 0.262
    again = Survey.load(tmp_path / "deep")
    assert again.parameters["instrument"]["redshift_range"] == [0.02, 0.6]
    with pytest.raises(ValueError, match="holds a survey made with"):
        simulate_survey(tmp_path / "deep", 8, 1, **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"redshift_range": (0.0, 0.3)}, "within 0.02 to 0.6"),
        ({"redshift_range": (0.3, 0.1)}, "two numbers that rise"),
        ({"depth": 0.0}, "depth is 0.0: it must be positive"),
        ({"pixel_scale": float("nan")}, "pixel_scale is nan"),
    ],
)
def test_nonsense_is_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        Instrument(**options)
