"""The simulated survey: its physics, its statistics, and that it can be made again."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import astropy.units as u
import galsim
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from scipy import stats
from speclite import filters

from galcfm.paths import repository_root
from galcfm.properties import BANDS, MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import (
    LATENTS,
    MAGNITUDE_LIMIT,
    RELATIONS,
    TIES,
    Instrument,
    frames,
    galaxies,
    histories,
    is_star_forming,
    labels,
    looks,
    render,
    rendering,
    simulate_catalogue,
    simulate_survey,
    spectra,
    structure,
)
from galcfm.simulate.relations import FIBRE, LABEL_ERRORS, MAIN_SEQUENCE, SIZES
from galcfm.simulate.spectra import load_templates
from galcfm.survey import Survey, SurveyError


@pytest.fixture(scope="module")
def templates():
    return load_templates()


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(1500, seed=0)


@pytest.fixture(scope="module")
def parent():
    return simulate_catalogue(1500, seed=0, population="parent")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def simulated(folder, n, seed=5, processes=1, **options):
    return simulate_survey(folder, n, seed, processes=processes, progress=False, **options)


# Spectra ---------------------------------------------------------------------------------------


COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


def history(templates, age):
    """A solar mass formed at `age` yr."""
    formed = np.zeros((1, len(templates.age_edges) - 1))
    formed[0, np.searchsorted(templates.age_edges, age, side="right") - 1] = 1
    return formed


@pytest.mark.parametrize("redshift", [0.021, 0.083, 0.297])
@pytest.mark.parametrize("age", [5e6, 3e8, 8e9])
def test_photometry_agrees_with_speclite(templates, redshift, age):
    formed = 1e10 * history(templates, age)
    spectrum = templates.stellar_spectrum(formed, np.array([-0.1]))
    spectrum = spectrum + templates.nebular_spectrum(
        formed[:, 0], np.array([-0.1]), np.array([-3.1])
    )
    ours = 22.5 - 2.5 * np.log10(templates.fluxes(spectrum[:, None], np.array([redshift]))[0, 0])
    distance = COSMOLOGY.luminosity_distance(redshift).to_value("cm")
    area = 4 * np.pi * distance**2 * (1 + redshift)
    magnitudes = filters.load_filters("sdss2010-*").get_ab_magnitudes(
        spectrum[0].astype(float) * spectra.L_SUN / area * u.Unit("erg / (s cm2 AA)"),
        templates.wavelength * (1 + redshift) * u.AA,
    )
    theirs = [float(magnitudes[f"sdss2010-{band}"][0]) for band in BANDS]
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_lines_keep_their_flux(templates):
    edges = templates.wavelength * np.exp(-templates.log_step / 2)
    edges = np.append(edges, edges[-1] * np.exp(templates.log_step))
    spectrum = spectra._add_lines(
        np.array([4861.3, 6562.8, 100.0]), np.array([1.0, 2.86, 9.0]), templates.wavelength, edges
    )
    assert (spectrum * np.diff(edges)).sum() == pytest.approx(3.86)


def test_halpha_is_as_bright_as_its_calibration(templates):
    # Kennicutt & Evans (2012, ARA&A 50, 531): log SFR = log L(Hα) − 41.27, with Starburst99.
    # These stars emit 0.16 dex more ionising photons, and no dust absorbs them.
    nebula = templates.nebular_spectrum(np.array([1e7]), np.array([0.0]), np.array([-3.0]))[0]
    near = np.abs(templates.wavelength - 6562.8) < 7.3
    continuum = np.median(nebula[np.abs(templates.wavelength - 6450) < 40])
    # [N II] lies 15 Å and more away; a line takes two pixels of 7.2 Å.
    width = templates.wavelength[near] * templates.log_step
    luminosity = ((nebula[near] - continuum) * width).sum() * spectra.L_SUN
    assert np.log10(luminosity) == pytest.approx(41.27 + 0.16, abs=0.03)


def test_age_bins_are_averages_over_time():
    ages = np.array([0.0, 1e6, 5e6, 2e7, 1e8])
    edges = np.array([0.0, 1e7, 1e8])
    weights = spectra._time_averages(ages, edges)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    # The mean of the age itself is the middle of the bin.
    np.testing.assert_allclose(weights @ ages, [5e6, 5.5e7])


def test_dn4000_of_known_spectra(templates):
    wavelength = templates.wavelength
    step = np.where(wavelength > 3975, 1.5, 1.0) / wavelength**2
    assert spectra.dn4000(wavelength, 1 / wavelength**2) == pytest.approx(1)
    assert spectra.dn4000(wavelength, step) == pytest.approx(1.5)
    # Only the two windows count.
    windows = (np.abs(wavelength - 3900) < 52) | (np.abs(wavelength - 4050) < 52)
    assert spectra.dn4000(wavelength, np.where(windows, step, 9)) == pytest.approx(1.5)
    # Young stars have almost no break, old metal-rich ones a break of about 2.
    solar = np.array([0.0])
    young = templates.stellar_spectrum(history(templates, 5e6), solar)
    old = templates.stellar_spectrum(history(templates, 1.2e10), solar)
    assert spectra.dn4000(wavelength, young)[0] == pytest.approx(1.0, abs=0.05)
    assert 1.9 < spectra.dn4000(wavelength, old)[0] < 2.3


def test_attenuation_curves_are_normalised_and_tilt():
    wavelength = np.array([3000.0, 5500.0, 9000.0])
    flat, steep = spectra.diffuse_curve(wavelength, np.array([0.0, -0.5]))
    assert flat[1] == steep[1] == 1
    assert steep[0] > flat[0] > 1 > flat[2] > steep[2]
    assert spectra.birth_cloud_curve(5500.0) == 1


def test_steepness_and_slope_of_the_curve_are_those_of_its_relation():
    for a_v in (0.2, 0.5, 1.5):
        slope = galaxies.curve_slope(np.array([a_v]))
        uv, visual = spectra.diffuse_curve(np.array([1500.0, 5500.0]), slope)[0]
        steepness = 10 ** (-0.68 * np.log10(a_v) + 0.396)
        # The bump is not tilted with the curve.
        assert uv / visual == pytest.approx(steepness, rel=0.03)


def test_discs_redden_from_face_on_to_edge_on_as_in_driver_et_al():
    edge_on, face_on = galaxies.inclination_factor(np.array([0.0, 1.0]), "disc")
    rise = galaxies.mean_attenuation(np.array([10.5])) * (edge_on - face_on)
    assert rise == pytest.approx(0.86 * 0.99, rel=2e-3)


def test_missing_grids_name_the_remedy_and_the_cached_table_is_enough(tmp_path, monkeypatch):
    templates = load_templates(0.6)
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    monkeypatch.setattr(spectra, "_grid_folder", lambda: None)
    with pytest.raises(FileNotFoundError, match=r'pip install "galcfm\[simulate\]"'):
        spectra._whole_templates.__wrapped__()
    (tmp_path / "cache").mkdir(exist_ok=True)
    np.savez(tmp_path / "cache" / f"templates-v{spectra.VERSION}-x.npz", **vars(templates))
    again = spectra._whole_templates.__wrapped__()
    assert (again.stellar == templates.stellar).all()


# Star formation histories ----------------------------------------------------------------------


def test_history_has_the_drawn_mass_and_rate(templates, rng):
    n = 300
    m = rng.uniform(8, 11.5, n)
    s = np.minimum(0.76 * m - 7.64 + 0.5 * rng.normal(size=n), m - 8.6)
    living = templates.living_fraction(rng.uniform(-1.5, 0.4, n))
    formed = histories.star_formation_history(
        templates.age_edges,
        living,
        10**m,
        10**s,
        smooth_sfr=10 ** (s - 0.2 * rng.normal(size=n)),
        start=rng.uniform(9e9, 1.3e10, n),
        recent_time=10 ** rng.uniform(8, 9, n),
        flicker=10 ** (0.15 * rng.normal(size=n)),
    )
    assert (formed >= 0).all()
    np.testing.assert_allclose((formed * living).sum(axis=1), 10**m, rtol=1e-6)
    recent = templates.age_edges[1:] <= 1.001e8
    np.testing.assert_allclose(formed[:, recent].sum(axis=1) / 1e8, 10**s, rtol=1e-6)


def test_delayed_exponential_has_the_wanted_rate():
    x = histories._delayed_exponent(np.array([0.1, 1.0, 2.0, 5.0]))
    time = np.linspace(0, 1, 20001)
    shape = time * np.exp(-x[:, None] * time)
    np.testing.assert_allclose(shape[:, -1] / shape.mean(axis=1), [0.1, 1.0, 2.0, 5.0], rtol=2e-3)


# Population ------------------------------------------------------------------------------------


def test_catalogue_has_the_columns_of_a_survey(catalogue):
    Survey(catalogue)
    extra = [f"{name}_{kind}" for name in PROPERTY_NAMES for kind in ("err", "true")]
    extra += [f"magerr_{band}" for band in BANDS]
    assert set(extra) | set(LATENTS) <= set(catalogue)
    numbers = catalogue.drop(columns="companion_magnitude").select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()).all()
    assert catalogue["object_id"][123] == "sim-0-000123"
    # The selection is on the observed magnitude.
    assert MAGNITUDE_LIMIT - 0.01 < catalogue["mag_r"].max() < MAGNITUDE_LIMIT
    assert catalogue["redshift"].between(0.02, 0.3).all()


def test_candidates_reach_below_the_selection(catalogue):
    # Galaxies of the lowest mass to light ratio must lie inside the range that is drawn.
    above = catalogue["log_stellar_mass_true"] - galaxies._mass_limit(catalogue["redshift"])
    assert (above < 0.1).mean() < 0.001


def assert_within(values, ranges):
    low, high = np.transpose(ranges)
    assert ((low < values) & (values < high)).all(), (values, ranges)


def test_population_looks_like_the_star_forming_sample(catalogue):
    """Ranges for 5, 50 and 95 %: MPA-JHU's star-forming galaxies, generously."""
    expected = {
        "log_stellar_mass": ((8.7, 9.3), (9.8, 10.4), (10.8, 11.2)),
        "log_sfr": ((-1.1, -0.3), (-0.1, 0.4), (0.7, 1.3)),
        "oxygen_abundance": ((8.3, 8.7), (8.8, 9.05), (9.1, 9.3)),
        "dn4000": ((1.1, 1.25), (1.25, 1.4), (1.45, 1.65)),
        "a_v": ((-0.2, 0.2), (0.3, 0.7), (0.9, 1.6)),
        "redshift": ((0.02, 0.035), (0.05, 0.09), (0.12, 0.18)),
    }
    for column, ranges in expected.items():
        assert_within(np.percentile(catalogue[column], [5, 50, 95]), ranges)
    colours = np.median(-np.diff(catalogue[list(MAGNITUDES)].to_numpy(), axis=1), axis=0)
    assert_within(colours, ((1.1, 1.5), (0.45, 0.7), (0.25, 0.45), (0.1, 0.3)))


def test_physics_ties_the_columns_together(catalogue, plain):
    def correlation(a, b, table=catalogue):
        return np.corrcoef(table[a], table[b])[0, 1]

    assert correlation("log_stellar_mass_true", "oxygen_abundance_true") > 0.7
    assert correlation("inclination", "a_v_true") > 0.3
    assert abs(correlation("inclination", "a_v_true", plain)) < 0.08
    # Bulges are redder than knots: shares change from g to i.
    assert (catalogue["bulge_fraction_i"] > catalogue["bulge_fraction_g"]).mean() > 0.8
    assert (catalogue["arm_fraction_i"] < catalogue["arm_fraction_g"]).mean() > 0.95


def test_errors_are_those_that_were_stated(catalogue):
    for name in PROPERTY_NAMES:
        pull = (catalogue[name] - catalogue[f"{name}_true"]) / catalogue[f"{name}_err"]
        assert pull.std() == pytest.approx(1, abs=0.06)
        assert pull.mean() == pytest.approx(0, abs=0.1)
    bright = catalogue["mag_r"].between(16.8, 17.2)
    medians = [catalogue.loc[bright, f"magerr_{band}"].median() for band in BANDS]
    others = ((0.004, 0.009), (0.003, 0.008), (0.003, 0.008), (0.01, 0.025))
    assert_within(medians, ((0.03, 0.06), *others))


def test_the_survey_is_the_star_forming_part_of_the_parent(catalogue, parent):
    kept = is_star_forming(
        parent["log_stellar_mass_true"], parent["log_sfr_recent"], parent["active"]
    ) & (parent["lines_seen"] == 1)
    assert (parent["oxygen_abundance"].isna() == ~kept).all()
    subset = parent[kept].reset_index(drop=True)
    columns = [c for c in catalogue if c not in ("object_id", "split")]
    assert catalogue.iloc[: len(subset)][columns].equals(subset[columns])
    assert 0.25 < kept.mean() < 0.45
    assert not set(parent["object_id"]) & set(catalogue["object_id"])


def test_types_of_the_parent_population_differ_as_they_should(parent):
    types = main, _, quiescent = [parent[parent["sequence"] == k] for k in (0, 1, 2)]
    rates = [(t["log_sfr_true"] - t["log_stellar_mass_true"]).median() for t in types]
    assert_within(rates, ((-10.4, -9.6), (-11.4, -10.6), (-12.3, -11.6)))
    colour = [(t["mag_g"] - t["mag_r"]).median() for t in types]
    assert colour[0] + 0.15 < colour[1] < colour[2]
    assert main["dn4000_true"].median() + 0.4 < quiescent["dn4000_true"].median() < 2.0
    assert quiescent["bulge_mass_fraction"].median() > 2 * main["bulge_mass_fraction"].median()
    assert quiescent["a_v_true"].median() < 0.25


def test_percentiles_of_the_parent_are_those_of_the_main_galaxy_sample(parent):
    # MPA-JHU DR8, 10, 50 and 90 %; A_V is another quantity there.
    for column, expected in {
        "log_stellar_mass": (9.75, 10.70, 11.27),
        "log_sfr": (-1.44, -0.51, 0.58),
        "dn4000": (1.24, 1.63, 1.95),
    }.items():
        deviation = (expected[2] - expected[0]) / 2.563
        found = np.percentile(parent[column], [10, 50, 90])
        assert np.abs(found - expected).max() < 0.3 * deviation, column


def test_a_brighter_limit_makes_a_brighter_sample():
    bright = simulate_catalogue(200, 0, population="parent", instrument=Instrument(16.3))
    assert 15.5 < bright["mag_r"].median() < bright["mag_r"].max() < 16.3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_galaxies": 0}, "n_galaxies is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"without": ["moons", "bulges"]}, "without names moons: choose from inclined_dust, "),
        ({"without": "fibre"}, r"give a list of names, \['fibre'\]"),
        ({"instrument": "Euclid"}, "is 'Euclid': choose from SDSS, Legacy, LSST"),
    ],
)
def test_impossible_surveys_are_refused(tmp_path, options, reason):
    options = {"n_galaxies": 5, "seed": 0} | options
    with pytest.raises(ValueError, match=reason):
        simulate_catalogue(**options)
    with pytest.raises(ValueError, match=reason):
        simulate_survey(tmp_path / "s", **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="choose from star-forming, parent"):
        simulate_catalogue(5, 0, population="all")


def test_a_survey_without_disk_or_renderer_ends_before_any_work(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="GB"):
        simulated(tmp_path / "s", 10**12)
    monkeypatch.setattr("galcfm.simulate.making.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "galcfm\[simulate\]"'):
        simulated(tmp_path / "s", 5)
    assert not list(tmp_path.iterdir())


def test_a_survey_remembers_its_ties(tmp_path):
    survey = simulated(tmp_path, 5, 0, without=["fibre"])
    whole = simulate_catalogue(5, 0, without=["fibre"])
    np.testing.assert_array_equal(survey.catalogue["dn4000_true"], whole["dn4000_true"])
    assert survey.parameters["without"] == ["fibre"]
    with pytest.raises(SurveyError, match="made with"):
        simulated(tmp_path, 5, 0)


@pytest.fixture(scope="module")
def plain():
    """The galaxies of `catalogue`, if all ties were switched off; some fall below the limit."""
    return simulate_catalogue(2000, 0, without=tuple(TIES))


def slope(x, y, *others):
    """Slope of y with x in a linear fit, with its standard error."""
    design = np.column_stack([x, *others, np.ones(len(x))])
    coefficients, squares, *_ = np.linalg.lstsq(design, y)
    variance = squares[0] / (len(x) - design.shape[1]) * np.linalg.inv(design.T @ design)[0, 0]
    return coefficients[0], np.sqrt(variance)


def drawn(without=(), n=6000):
    """Galaxies on the main sequence before noise and selection, and what is seen of them."""
    seen = galaxies.before_noise(np.random.default_rng(3), n, without=without)
    g = seen.galaxies
    shown = looks.draw_looks(np.random.default_rng(4), g, seen.light.band_dust, without)
    return g, seen, shown, g.sequence == 0


@pytest.fixture(scope="module")
def tied():
    return drawn()


@pytest.fixture(scope="module")
def untied():
    return drawn(tuple(TIES))


def test_the_main_sequence_rises_with_redshift(tied, untied):
    c = MAIN_SEQUENCE
    for (g, *_, main), power in ((tied, 3.0), (untied, 0.0)):
        off = (g.s_history - c["slope"] * g.m - c["intercept"])[main]
        found, error = slope(np.log10(1 + g.redshift[main]), off)
        assert abs(found - power) < 4 * error
        np.testing.assert_allclose(
            off[np.abs(g.redshift[main] - 0.06) < 0.005].mean(), 0, atol=0.05
        )


def test_size_goes_with_star_formation_and_metallicity(tied, untied):
    for (g, *_, main), curvature, expected in ((tied, -0.25, -0.2), (untied, 0, 0)):
        x = 10**g.m / SIZES["m0"]
        median = np.log10(0.14 * 10 ** (0.14 * g.m) * (1 + x) ** 0.25)
        residual = (np.log10(g.kpc) - median)[main]
        found, error = slope(g.distance[main] ** 2, residual)
        assert abs(found - curvature) < 4 * error
        light = main & (np.abs(g.m - 9.3) < 0.3)
        gas = g.oh - galaxies.mass_metallicity(g.m, g.s)
        found, error = slope((np.log10(g.kpc) - median)[light], gas[light])
        assert abs(found - expected) < 4 * error + 0.02
        # The scatter of O/H at one mass is what it was.
        assert gas[light].std() == pytest.approx(0.12, abs=0.02)


def test_bulges_grow_off_the_main_sequence(tied, untied):
    for (g, seen, shown, main), expected in ((tied, 0.5), (untied, 0.0)):
        # Where they are not cut at the largest that is allowed.
        free = main & (g.m < 10.3)
        found, error = slope(
            np.abs(g.distance[free]), np.log10(seen.stars.bulge_mass[free]), g.m[free]
        )
        assert abs(found - expected) < 4 * error + 0.02
        found, error = slope(np.abs(g.distance[main]), shown["bulge_index"][main] == 4)
        assert abs(found - expected) < 4 * error
        assert (shown["bulge_index"][main] == 4).mean() == pytest.approx(0.24, abs=0.03)


def test_compact_galaxies_formed_earlier(tied, untied):
    for (g, *_, main), by_bulge, by_size in ((tied, 0.40, -0.30), (untied, 0, 0)):
        n = main.sum()
        for other, expected in ((g.bulge_scatter, by_bulge), (g.size, by_size)):
            found = np.corrcoef(stats.rankdata(g.start[main]), other[main])[0, 1]
            assert abs(found - expected) < 4 / np.sqrt(n) + 0.02
        assert stats.kstest(g.start[main], "uniform", (0.80, 0.17)).pvalue > 1e-3


def test_discs_are_larger_in_blue_and_dustier_inside(tied, untied):
    _, seen, shown, main = tied
    ratio = np.log10(shown["disc_radius_i"] / shown["disc_radius_g"]) / np.log10(7625 / 4770)
    # Kelvin et al. (2012) for discs.
    assert np.median(ratio[main]) == pytest.approx(-0.189, abs=0.03)
    # An exponential through dust that falls outwards is an exponential.
    k = int(np.flatnonzero(main)[0])
    r = np.linspace(0, 3, 50)
    dust = (seen.light.band_dust[k] - seen.light.band_dust[k, 1]) * (
        1 + 0.35 * (2 / 1.678 - r[:, None])
    )
    profile = np.exp(-1.678 * r[:, None]) * 10 ** (-0.4 * dust)
    lengths = -1 / np.gradient(np.log(profile), r, axis=0)[0]
    stars = np.diff([np.log(shown[f"disc_radius_{b}"][k]) for b in "gri"])
    stars -= np.diff(np.log(lengths))
    np.testing.assert_allclose(stars[0] / np.log(6231 / 4770), stars[1] / np.log(7625 / 6231))
    # More dust inside than overall, most of all in large galaxies, of which a fibre sees less.
    large = main & (seen.photometry.radii["disc_radius"] > 4)
    within = seen.labels["a_v_balmer"] / (seen.light.a_disc + seen.light.a_clouds)
    assert (within[large] > 1.05).mean() > 0.9
    assert (untied[2]["disc_radius_g"] == untied[1].photometry.radii["disc_radius"]).all()


def test_lanes_are_of_edge_on_massive_discs(tied, untied):
    g, _, shown, _ = tied
    lane = shown["dust_lane"] > 0
    assert (g.m[lane] > 9.9).all()
    assert (shown["inclination"][lane] > 75).all()
    assert (
        shown["dust_lane"][(shown["inclination"] > 85) & (g.m > 10.3) & (g.sequence == 0)] > 0
    ).all()
    assert shown["dust_lane"].max() <= 0.4
    assert (untied[2]["dust_lane"] == 0).all()


def test_bars_rings_and_arms_have_their_frequencies(tied, untied):
    g, _, shown, main = tied
    barred = shown["bar_fraction"] > 0
    for low, high in ((8.5, 9.5), (9.5, 10.5), (10.5, 11.5)):
        part = main & (g.m > low) & (g.m < high)
        expected = looks.bar_share(g.m, g.distance)[part].mean()
        error = np.sqrt(expected * (1 - expected) / part.sum())
        assert abs(barred[part].mean() - expected) < 4 * error
    spirals = main & (g.m > 9.8)
    assert 0.35 < barred[spirals].mean() < 0.55  # strong ones 29 % in Masters et al. (2011)
    assert np.median(shown["bar_fraction"][barred]) == pytest.approx(0.12, abs=0.02)
    assert 0.1 < (shown["ring_radius"] > 0)[spirals].mean() < 0.3
    assert 0.35 < (shown["arm_width"] > 0.5)[spirals].mean() < 0.6
    found, error = slope(g.m, np.abs(shown["pitch_angle"]))
    assert abs(found + 4) < 4 * error + 0.4  # held between 6° and 45°
    assert (untied[2]["bar_fraction"] == 0).all()
    assert (untied[2]["ring_radius"] == 0).all()


def test_clumps_lopsidedness_and_companions_go_with_star_formation(tied, untied):
    g, _, shown, main = tied
    assert stats.spearmanr(shown["n_knots"], g.s)[0] > 0.95
    share = np.log10(structure.knot_share(g))[main]
    density = (g.s - np.log10(2 * np.pi * g.kpc**2))[main]
    assert slope(density, share)[0] == pytest.approx(0.24)
    assert np.median(density) == pytest.approx(-1.8, abs=0.5)
    found, error = slope(g.distance_today[main], np.log10(shown["lopsidedness"])[main], g.m[main])
    assert abs(found - 0.4) < 4 * error + 0.02
    has = np.isfinite(shown["companion_magnitude"])
    assert has.mean() == pytest.approx(0.03, abs=0.015)
    assert has[g.distance_today > 0.4].mean() > 3 * has[g.distance_today < 0].mean()
    assert (shown["companion_separation"] > 0).all()
    assert np.isnan(untied[2]["companion_magnitude"]).all()
    assert (untied[2]["lopsidedness"] == 0).all()


def test_a_fibre_larger_than_the_galaxy_sees_it_whole(monkeypatch):
    monkeypatch.setitem(FIBRE.coefficients, "radius", 1e3)
    inside, whole = (simulate_catalogue(50, 0, without=without) for without in ([], ["fibre"]))
    for name in ("dn4000_true", "a_v_true"):
        np.testing.assert_allclose(inside[name], whole[name], atol=2e-3)


def test_a_fibre_sees_the_middle(catalogue):
    whole = simulate_catalogue(400, 0, without=["fibre"])
    inside = catalogue.iloc[:400]
    told = ("dn4000", "oxygen_abundance", "a_v")
    same = [c for c in catalogue if not c.startswith(told)]
    same.remove("split")
    assert inside[same].equals(whole[same])
    # Bulges are old: the break is stronger in the middle, most of all in large galaxies.
    step = inside["dn4000_true"] - whole["dn4000_true"]
    assert step.median() > 0.005
    large = whole["disc_radius"] > whole["disc_radius"].median()
    assert step[large].median() > step[~large].median()
    oxygen = inside["oxygen_abundance_true"] - whole["oxygen_abundance_true"]
    assert oxygen.between(-0.07, 0.05).all()
    assert oxygen[large].median() > oxygen[~large].median() + 0.02
    assert abs(oxygen.median()) < 0.02
    # So is the dust, which lies more thickly inside.
    assert (inside["a_v_true"] - whole["a_v_true"])[large].median() > 0.02
    assert (inside["a_v_balmer_true"] > inside["a_v_true"]).mean() > 0.95


def test_galaxies_of_the_survey_have_lines(catalogue):
    all_of_them = simulate_catalogue(600, 0, without=["lines"])
    seen = all_of_them["lines_seen"] == 1
    assert (catalogue["lines_seen"] == 1).all()
    assert 0.7 < seen.mean() < 0.95
    kept = all_of_them[seen].drop(columns=["object_id", "split"]).reset_index(drop=True)
    assert catalogue.iloc[: len(kept)][list(kept)].equals(kept)
    # Where the gas is rich, [O III] is faint; far galaxies must form more stars.
    assert all_of_them["oxygen_abundance_true"][seen].median() < (
        all_of_them["oxygen_abundance_true"][~seen].median() - 0.05
    )


def test_a_line_is_as_bright_as_its_relations_say():
    # A galaxy of 1 Msun/yr at 12+log(O/H) = 8.69 without dust, all in the fibre: by hand.
    one = SimpleNamespace(redshift=np.array([0.1, 0.25]), oh=np.full(2, 8.69))
    distance = COSMOLOGY.luminosity_distance(one.redshift).to_value("cm")
    halpha = 10**41.27 / (4 * np.pi * distance**2)
    nitrogen, oxygen = halpha * 10**-0.7732, halpha / 2.86 * 10**0.1549
    faintest = np.minimum(nitrogen, oxygen)
    limit = 6e-17
    for share in (1.0, 0.01, 1e-3):
        found = labels._lines_seen(one, np.zeros(2), np.full(2, share), np.zeros(2), 17.77)
        assert (found == (share * faintest > limit)).all()


def test_rates_are_those_of_lines_in_the_fibre(catalogue):
    without = simulate_catalogue(400, 0, without=["line_rate"])
    np.testing.assert_array_equal(without["log_sfr_true"], without["log_sfr_recent"])
    with_lines = catalogue.iloc[:400]
    np.testing.assert_array_equal(with_lines["log_sfr_recent"], without["log_sfr_recent"])
    step = with_lines["log_sfr_true"] - with_lines["log_sfr_recent"]
    # The last 10 Myr scatter by 0.2 dex about the mean of 100 Myr; a fibre sees part of them.
    small = with_lines["disc_radius"] < 2.0
    assert 0.06 < step[small].std() < 0.2
    assert step[~small].std() < step[small].std()


def test_mass_errors_share_the_noise_of_the_magnitudes(catalogue, plain):
    for table, expected in ((catalogue, 1.0), (plain, 0.0)):
        noise = table[list(MAGNITUDES)].to_numpy()
        noise = noise - table[[f"{name}_noiseless" for name in MAGNITUDES]].to_numpy()
        shared = 0.70 * (noise[:, 1] - noise[:, 3]) - 0.40 * noise[:, 3]
        error = (table["log_stellar_mass"] - table["log_stellar_mass_true"]).to_numpy()
        found, uncertainty = slope(shared, error)
        assert abs(found - expected) < 4 * uncertainty
        assert error.std() == pytest.approx(0.10, abs=0.01)


def test_label_errors_differ_from_galaxy_to_galaxy(catalogue, plain):
    for name in PROPERTY_NAMES:
        sizes = catalogue[f"{name}_err"]
        assert np.log(sizes).std() == pytest.approx(0.35, abs=0.02)
        assert np.sqrt((sizes**2).mean()) == pytest.approx(LABEL_ERRORS[name], rel=0.06)
        assert plain[f"{name}_err"].nunique() == 1
    residual = (catalogue["dn4000"] - catalogue["dn4000_true"]).to_numpy()
    # A mixture of normal errors: it is normalised, and likelier than any one of them.
    grid = np.linspace(-1, 1, 4001)
    density = np.exp(labels.error_log_density("dn4000", grid))
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    normal = stats.norm.logpdf(residual, 0, LABEL_ERRORS["dn4000"]).mean()
    assert labels.error_log_density("dn4000", residual).mean() > normal


def test_light_within_a_radius_is_that_of_galsim():
    for index in (1.0, 2.0, 4.0):
        profile = galsim.Sersic(index, half_light_radius=1.0)
        radius = np.linspace(0, 0.6, 1001)[1:]
        light = np.array([profile.xValue(r, 0) for r in radius])
        expected = np.trapezoid(2 * np.pi * radius * light, radius)
        found = structure.fraction_within(np.array([0.6]), np.array([index]))[0]
        assert found == pytest.approx(expected, abs=0.01)


def test_label_errors_can_be_left_out(catalogue):
    exact = simulate_catalogue(20, seed=0, label_errors=False)
    for name in PROPERTY_NAMES:
        assert (exact[name] == exact[f"{name}_true"]).all()
        assert (exact[name] == catalogue[f"{name}_true"][:20]).all()
        assert (exact[f"{name}_err"] == 0).all()
    assert (exact["mag_r"] == catalogue["mag_r"][:20]).all()


def test_seed_decides_and_prefixes_agree(catalogue):
    again = simulate_catalogue(30, seed=0)
    assert again.equals(catalogue.iloc[:30])
    assert not np.isclose(simulate_catalogue(30, seed=1)["mag_r"], again["mag_r"]).any()


# Rendering -------------------------------------------------------------------------------------

Y, X = np.mgrid[:128, :128] - 64.0  # the middle of a stamp is the middle of a pixel


def test_stamp_holds_the_observed_flux_dimmed_by_the_galaxy(catalogue, rng):
    extinction = {"g": 3.303, "r": 2.285, "i": 1.698}
    for row in catalogue.iloc[::100].to_dict("records"):
        sums = rendering.draw_galaxy(row, rng).sum(axis=(1, 2), dtype=np.float64)
        for found, (band, coefficient) in zip(sums, extinction.items(), strict=True):
            magnitude = row[f"mag_{band}"] + coefficient * row["ebv"]
            assert found == pytest.approx(10 ** (0.4 * (22.5 - magnitude)), rel=1e-5)


def smooth(row, **changes):
    """`row` as a bare disc: no bulge, young stars, bar, lane or companion, the same in all bands.

    A change of `disc_radius` is one of all bands.
    """
    shares = {f"{part}_fraction_{band}": 0.0 for part in ("bulge", "arm", "knot") for band in "gri"}
    nothing = dict.fromkeys(("bar_fraction", "ring_radius", "lopsidedness", "dust_lane"), 0.0)
    plain = {"disc_ellipticity": 0.0, "n_knots": 40.0, "arm_width": 0.35, "position_angle": 0.0}
    angles = dict.fromkeys(("bar_length", "bar_angle", "lopsided_angle"), 0.0)
    row = row | shares | nothing | plain | angles | {"companion_magnitude": np.nan} | changes
    return row | {f"disc_radius_{band}": row["disc_radius"] for band in "gri"} | changes


def everything(part):
    """Shares with all light in one part."""
    return {f"{part}_fraction_{band}": 1.0 for band in "gri"}


def stamps_of(row, seed=0):
    """Stamps whose sum is 1 in each band."""
    stamps = rendering.draw_galaxy(row, np.random.default_rng(seed)).astype(float)
    return stamps / stamps.sum(axis=(1, 2), keepdims=True)


def centroid(stamp):
    return (stamp * X).sum(), (stamp * Y).sum()


def elongation(stamp):
    """Axis ratio and angle of the major axis, degrees, of the second moments."""
    x, y = X - (stamp * X).sum(), Y - (stamp * Y).sum()
    moments = np.array([[(stamp * a * b).sum() for a in (x, y)] for b in (x, y)])
    (small, large), axes = np.linalg.eigh(moments)
    return np.sqrt(small / large), np.degrees(np.arctan2(*axes[::-1, 1])) % 180


@pytest.fixture(scope="module")
def row(catalogue):
    return smooth(
        catalogue.iloc[0].to_dict(), inclination=0.0, disc_radius=5.0, disc_thickness=0.2,
        seeing=1.3,
    )  # fmt: skip


@pytest.mark.parametrize("part", ["disc", "bulge"])
def test_stamps_are_those_of_galsim(row, part):
    row = row | {"inclination": 60.0, "position_angle": 30.0}
    row |= {
        f"disc_radius_{band}": radius for band, radius in zip("gri", (3.3, 3, 2.8), strict=True)
    }
    row |= {"bulge_radius": 1.5, "bulge_axis_ratio": 0.6, "bulge_index": 2.0}
    row |= everything("bulge") if part == "bulge" else {}
    for stamp, radius, seeing in zip(
        stamps_of(row), (3.3, 3, 2.8), (1.3 * 1.44 / 1.32, 1.3, 1.3 * 1.26 / 1.32), strict=True
    ):
        # The centre is drawn within a pixel: take it from the stamp.
        x, y = centroid(stamp)
        profile = {
            "disc": galsim.InclinedExponential(
                60 * galsim.degrees, half_light_radius=radius, scale_h_over_r=0.2
            ),
            "bulge": galsim.Sersic(2, half_light_radius=1.5).shear(q=0.6, beta=0 * galsim.degrees),
        }[part].rotate(30 * galsim.degrees)
        expected = galsim.Convolve(profile, galsim.Kolmogorov(fwhm=seeing)).drawImage(
            nx=128, ny=128, scale=0.396, method="no_pixel", offset=(x + 0.5, y + 0.5)
        )
        np.testing.assert_allclose(
            stamp, expected.array / expected.array.sum(), atol=0.005 * expected.array.max()
        )


def test_a_lopsided_disc_is_off_centre(row):
    plain = centroid(stamps_of(row)[1])
    lopsided = row | {"lopsidedness": 0.2, "lopsided_angle": 30.0}
    shift = np.subtract(centroid(stamps_of(lopsided)[1]), plain) * 0.396
    # <x²> of an exponential disc is 3 h², and the amplitude A1 holds at 2 h.
    length = 0.2 / 2 * 3 * 5.0 / 1.678
    np.testing.assert_allclose(
        shift, [length * np.cos(np.pi / 6), length * np.sin(np.pi / 6)], atol=0.03
    )


def test_young_stars_are_more_on_one_side(row):
    row = row | everything("knot") | {"lopsided_angle": 90.0}
    shifts = []
    for lopsidedness in (0.0, 0.4):
        row["lopsidedness"] = lopsidedness
        shifts.append(np.mean([centroid(stamps_of(row, seed)[1]) for seed in range(30)], axis=0))
    assert shifts[1][1] > shifts[0][1] + 1
    assert abs(shifts[1][0] - shifts[0][0]) < 1


def test_a_bar_is_long_and_flat(row):
    barred = row | {"bar_fraction": 1.0, "bar_length": 12.0, "bar_angle": 40.0, "seeing": 0.3}
    stamp = stamps_of(barred)[1]
    ratio, angle = elongation(stamp)
    assert ratio == pytest.approx(0.35, abs=0.03)
    assert angle == pytest.approx(40, abs=1)
    # Of 1 − r² the mean of x² is a sixth of the square of the half length.
    along = np.cos(np.radians(40)) * X + np.sin(np.radians(40)) * Y
    spread = (stamp * along**2).sum() - (stamp * along).sum() ** 2
    assert np.sqrt(spread) * 0.396 == pytest.approx(12 / np.sqrt(6), rel=0.03)
    # A part of the disc's light, and none from elsewhere.
    mixed, disc = stamps_of(barred | {"bar_fraction": 0.2})[1], stamps_of(row | {"seeing": 0.3})[1]
    np.testing.assert_allclose(mixed, 0.2 * stamp + 0.8 * disc, atol=0.02 * mixed.max())


def test_a_dust_lane_darkens_the_middle_plane(row):
    row = smooth(row, inclination=90.0, disc_radius=8.0, seeing=0.6)
    clean, dusty = stamps_of(row), stamps_of(row | {"dust_lane": 0.15})
    middle, above = np.abs(Y) < 1.5, (np.abs(Y) > 4) & (np.abs(Y) < 10)
    darker = [
        stamp[middle].sum() / without[middle].sum()
        for stamp, without in zip(dusty, clean, strict=True)
    ]
    # In g more than in i, by the Galaxy's extinction.
    assert 0.6 < darker[0] < darker[1] < darker[2] < 0.95
    assert (1 - darker[0]) / (1 - darker[2]) == pytest.approx(3.303 / 1.698, rel=0.25)
    # The flux is that of the catalogue, so the rest is brighter.
    assert (dusty[:, above].sum(axis=1) > clean[:, above].sum(axis=1)).all()


def test_young_stars_stand_in_the_ring(row):
    ringed = row | everything("knot") | {"ring_radius": 2.0, "n_knots": 400.0, "seeing": 0.6}
    light = {}
    for name, each in {"ring": ringed, "none": ringed | {"ring_radius": 0.0}}.items():
        stamp = np.mean([stamps_of(each, seed)[1] for seed in range(5)], axis=0)
        radius = np.hypot(X, Y) * 0.396 / (5 / 1.678)
        light[name] = stamp[np.abs(radius - 2) < 0.4].sum()
    assert light["ring"] > light["none"] + 0.25


def test_arms_are_as_wide_as_they_are_drawn(row):
    """With no scatter all stars stand on the spirals."""
    tight = row | everything("knot") | {
        "arm_width": 1e-6, "n_arms": 2.0, "pitch_angle": 20.0, "n_knots": 50.0, "seeing": 0.5,
    }  # fmt: skip
    wide = tight | {"arm_width": 1.0}
    share = {}
    for name, each in {"tight": tight, "wide": wide}.items():
        stamp = stamps_of(each, 2)[1]
        x, y = X - 0.5, Y - 0.5
        radius = np.hypot(x, y) * 0.396
        far = (radius > 2.5) & (radius < 12)
        phase = np.arctan2(y, x) - np.log(radius.clip(0.1)) / np.tan(np.radians(20))
        share[name] = np.abs((stamp * np.exp(2j * phase))[far].sum()) / stamp[far].sum()
    assert share["tight"] > 0.8
    assert share["wide"] < 0.5


def test_the_companion_is_where_the_catalogue_says(row):
    row = row | {
        "companion_magnitude": 1.0, "companion_separation": 12.0, "companion_angle": 120.0,
    }  # fmt: skip
    spectra = rendering.draw_companion(row, np.random.default_rng(0))
    stamps = frames.to_stamps(spectra * frames.plain_frame(row).response).astype(float)
    sums = stamps.sum(axis=(1, 2))
    flux = rendering.catalogue_fluxes(row)
    assert sums[1] == pytest.approx(flux[1] * 10**-0.4, rel=0.02)
    # Of the galaxy's colours, about.
    np.testing.assert_allclose(sums / flux, 10**-0.4, rtol=0.5)
    place = np.array(centroid(stamps[1] / sums[1])) * 0.396
    np.testing.assert_allclose(place, [12 * np.cos(2.0944), 12 * np.sin(2.0944)], atol=0.1)


def test_neighbours_are_as_many_as_the_counts_say(row, rng):
    area = (128 * 0.396 / 3600) ** 2
    for kind, n22, slope, r_min in (("galaxies", 1.2e4, 0.45, 16), ("stars", 6.5e3, 0.20, 10)):
        found = [frames._counted(kind, rng) for _ in range(2000)]
        expected = area * n22 * (10 ** (slope * np.array([22.8, 20])) - 10 ** (slope * r_min))
        expected /= 10 ** (slope * 22)
        r = np.concatenate(found)
        assert len(r) / 2000 == pytest.approx(expected[0], rel=0.1)
        assert (r < 20).sum() / 2000 == pytest.approx(expected[1], rel=0.2)
        assert r_min < r.min() < r.max() < 22.8
    # Their light is on the stamp, and red.
    response = frames.plain_frame(row).response
    light = sum(
        frames.to_stamps(frames.draw_neighbours(np.random.default_rng(k)) * response)
        for k in range(20)
    ).sum(axis=(1, 2))
    assert 0 < light[0] < light[1] < light[2]


def test_knots_follow_the_inclined_disc(row):
    row = row | everything("knot") | {"inclination": 80.0}
    stamps = sum(stamps_of(row, seed)[1] for seed in range(20))
    widths = [np.sqrt((stamps * axis**2).sum() / stamps.sum()) for axis in (X, Y)]
    assert widths[0] > 2.5 * widths[1]


def test_neighbours_and_companion_are_blind_to_the_galaxys_noise(row, monkeypatch):
    seen = []
    monkeypatch.setattr(
        rendering, "draw_galaxy", lambda row, rng, frame: np.zeros((3, 128, 128), np.float32)
    )
    monkeypatch.setattr(
        rendering, "add_noise", lambda stamps, rng, frame: seen.append(stamps) or stamps
    )
    for each in (row, row | {"arm_width": 1.0, "n_knots": 80.0, "lopsidedness": 0.3}):
        rendering.render_galaxy(each, np.random.default_rng(5))
    np.testing.assert_array_equal(*seen)


def test_bands_stand_where_the_frame_says(row, rng):
    row = row | {"disc_radius_g": 5.0}
    shifts = []
    for _ in range(300):
        frame = frames.draw_frame(row, rng)
        # A displacement is the phase of the lowest wave numbers.
        phase = np.angle(frame.response[:, [0, 1], [1, 0]])
        shifts.append(-phase / frames.STEP / 0.396)
    g, r, i = np.transpose(shifts, (1, 0, 2))
    assert (r == 0).all()
    for band, width in ((g, 1.1), (i, 0.8)):
        assert np.abs(band).max() < width / 2
        np.testing.assert_allclose(band.std(axis=0), width / np.sqrt(12), rtol=0.12)
    plain = frames.plain_frame(row)
    assert np.isrealobj(plain.response)
    assert not plain.sky.any()
    # An eighth of a pixel is an eighth of a pixel on the stamp.
    moved = frames.Frame(
        plain.response * frames.displacement(np.array([0.3, 0, 0]), np.zeros(3)), plain.sky,
        plain.noise, plain.passes,
    )  # fmt: skip
    stamps = rendering.draw_galaxy(row, np.random.default_rng(0), moved).astype(float)
    places = [centroid(stamp / stamp.sum())[0] for stamp in stamps]
    assert places[0] - places[1] == pytest.approx(0.3 / 0.396, abs=0.01)
    assert places[2] == pytest.approx(places[1], abs=0.01)


def test_sky_is_left_as_the_relation_says(row, rng):
    skies = np.array([frames.draw_frame(row, rng).sky for _ in range(3000)])
    level = 10 ** (0.4 * (22.5 - np.array([27.8, 27.4, 26.8]))) * 0.396**2
    quartiles = np.percentile(skies, [25, 50, 75], axis=0)
    # Quartiles of √½ (x + y), where x and y are (e^(0.8 N) − 1) / 0.8.
    expected = np.array([-0.406, 0.256, 1.254])[:, None] * level
    offsets = [0.0017, 0.0014, 0.0047]
    np.testing.assert_allclose((quartiles[:, :, 0] - offsets - expected) / level, 0, atol=0.1)
    slopes = quartiles[:, :, 1:] - 0.5 * expected[:, :, None]
    np.testing.assert_allclose(slopes / level[:, None], 0, atol=0.05)
    # The bands share half of the variance.
    ranks = skies[:, :, 0].argsort(axis=0).argsort(axis=0)
    assert np.corrcoef(ranks.T)[0, 1:] == pytest.approx(0.47, abs=0.07)
    frame = frames.Frame(np.ones(1), skies[0], np.zeros(3), 1)
    left = frames.add_noise(np.zeros((3, 128, 128), np.float32), rng, frame)
    np.testing.assert_allclose(left.mean(axis=(1, 2)), skies[0, :, 0], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        left[:, :, -1].mean(axis=1) - left[:, :, 0].mean(axis=1), 2 * skies[0, :, 1], rtol=1e-3
    )


def test_sky_noise_is_that_of_sdss_frames(row, rng):
    empty = np.zeros((3, 128, 128), np.float32)
    noise = frames.add_noise(empty, rng)
    g, r, i = noise.std(axis=(1, 2))
    # Of 0.016, 0.027 and 0.043 nanomaggies on a frame, interpolation leaves half.
    np.testing.assert_allclose([g, r, i], [0.0081, 0.0135, 0.0216], rtol=0.05)
    assert np.abs(noise.mean()) < 1e-3
    steps = (noise[:, :, 1:] * noise[:, :, :-1]).mean(axis=(1, 2)) / noise.var(axis=(1, 2))
    np.testing.assert_allclose(steps, 4 / 9, atol=0.05)
    bright = frames.add_noise(np.full((3, 128, 128), 10, np.float32), rng)
    assert (bright.std(axis=(1, 2)) > [2 * g, 2 * r, 1.5 * i]).all()
    # A plain frame is no frame.
    plain = frames.add_noise(empty, np.random.default_rng(1), frames.plain_frame(row))
    np.testing.assert_allclose(plain, frames.add_noise(empty, np.random.default_rng(1)), rtol=1e-5)


def test_noise_varies_and_is_correlated(row, rng):
    amplitudes, steps = [], []
    for _ in range(60):
        frame = frames.draw_frame(row, rng)
        noise = frames.add_noise(np.zeros((3, 128, 128), np.float32), rng, frame)
        noise -= noise.mean(axis=(1, 2), keepdims=True)
        differences = np.diff(noise, axis=2)
        amplitudes.append(differences.std(axis=(1, 2)))
        steps.append(1 - differences.var(axis=(1, 2)) / (2 * noise.var(axis=(1, 2))))
    # Four passes of variance 1/3 are almost a Gaussian of variance 4/3: exp(−3/16).
    assert np.median(steps) == pytest.approx(0.83, abs=0.02)
    assert np.log(amplitudes)[:, 1].std() == pytest.approx(0.1, abs=0.03)


def test_half_light_radii_are_those_of_shen(parent):
    """Circular apertures on sharp stamps of main-sequence galaxies, median over inclinations."""
    main = parent[(parent["sequence"] == 0) & parent["redshift"].between(0.03, 0.12)].iloc[:150]
    y, x = np.mgrid[:128, :128] - 63.5
    ratios = []
    for number, row in enumerate(main.to_dict("records")):
        stamp = rendering.draw_galaxy(row | {"seeing": 0.4}, np.random.default_rng(number))[1]
        light = stamp.ravel() / stamp.sum(dtype=float)
        distance = np.hypot(x - light @ x.ravel(), y - light @ y.ravel()).ravel()
        order = distance.argsort()
        radius = np.interp(0.5, light[order].cumsum(), distance[order]) * 0.396
        # Shen et al. (2003), table 1, late types.
        mass = 10 ** row["log_stellar_mass_true"]
        kpc = 0.10 * mass**0.14 * (1 + mass / 3.98e10) ** 0.25
        scale = COSMOLOGY.kpc_proper_per_arcmin(row["redshift"]).value / 60
        ratios.append(radius * scale / kpc)
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert np.log(ratios).std() == pytest.approx(0.42, abs=0.1)


def test_pictures_are_sane(catalogue):
    images = render(catalogue.iloc[:12], seed=0)
    assert images.shape == (12, 128, 128, 3)
    assert images.dtype == np.uint8
    # The galaxy is in the middle, far above the sky, which real cutouts have at 2 to 4.
    assert (images[:, 60:68, 60:68].mean(axis=(1, 2, 3)) > 40).all()
    assert (np.median(images[:, :16].reshape(12, -1), axis=1) < 12).all()
    # A galaxy's picture depends on the seed and its row alone, wherever the row stands.
    assert (render(catalogue.iloc[[6, 5]].reset_index(), seed=0) == images[[6, 5]]).all()
    assert (render(catalogue.iloc[5:6], seed=1) != images[5]).any()
    twin = catalogue.iloc[[5]].assign(object_id="sim-0-000006")
    assert (render(twin, seed=0) != images[5]).any()
    # Without varied skies the galaxy is the same, and its background even.
    even = render(catalogue.iloc[:12], seed=0, varied_sky=False)
    backgrounds = [np.median(each[:, :16].reshape(12, -1, 3), axis=1) for each in (images, even)]
    assert np.std(backgrounds[0]) > np.std(backgrounds[1])
    assert np.abs(images.astype(float) - even)[:, 50:78, 50:78].mean() < 15


# Whole surveys ---------------------------------------------------------------------------------


def test_processes_and_size_do_not_change_the_survey(tmp_path):
    one = simulated(tmp_path / "one", 70)
    two = simulated(tmp_path / "two", 80, processes=2)
    assert one.catalogue.equals(two.catalogue.iloc[:70])
    assert (one.images == two.images[:70]).all()
    assert one.parameters["seed"] == 5
    stamp = (tmp_path / "one" / "survey.json").stat().st_mtime_ns
    assert simulated(tmp_path / "one", 70).catalogue.equals(one.catalogue)
    assert (tmp_path / "one" / "survey.json").stat().st_mtime_ns == stamp
    with pytest.raises(SurveyError, match="name another survey, or delete the folder"):
        simulated(tmp_path / "one", 71)


KILLED = """
import sys
from galcfm.simulate import making
render, made = making.render, []
def slow(rows, seed, **options):
    made.append(len(rows))
    if len(made) == 3:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return render(rows, seed, **options)
making.render = slow
making.simulate_survey(sys.argv[1], 140, 5, processes=1, progress=False)
"""


def test_an_interrupted_survey_goes_on_where_it_was(tmp_path, monkeypatch):
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not folder.exists()
    rendered = []

    def counting(rows, seed, **options):
        rendered.append(len(rows))
        return render(rows, seed, **options)

    monkeypatch.setattr("galcfm.simulate.making.render", counting)
    simulated(folder, 140)
    assert rendered == [12]
    simulated(whole, 140, processes=2)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())
    for name in ("catalogue.parquet", "images.npy"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_survey_of_other_code_is_not_opened_as_if_it_were_of_this(tmp_path, monkeypatch):
    made = simulated(tmp_path / "s", 3)
    monkeypatch.setattr("galcfm.simulate.making.code_digest", lambda *rooms: "other")
    with pytest.raises(SurveyError, match=r"made by other code of the simulator; Survey\.load"):
        simulated(tmp_path / "s", 3)
    assert len(Survey.load(tmp_path / "s")) == 3
    simulated(tmp_path / "s", 4, replace=True)
    again = simulated(tmp_path / "s", 4)
    assert again.object_id[:3].tolist() == made.object_id.tolist()


def test_what_another_seed_left_is_not_used(tmp_path, monkeypatch):
    def fail(rows, seed, **options):
        if rows.index[0] > 0:
            raise KeyboardInterrupt
        return np.full((len(rows), 128, 128, 3), 7, np.uint8)

    monkeypatch.setattr("galcfm.simulate.making.render", fail)
    with pytest.raises(KeyboardInterrupt):
        simulated(tmp_path / "s", 70)
    monkeypatch.undo()
    found = simulated(tmp_path / "s", 70, seed=6)
    assert not (found.images[:64] == 7).all(axis=(1, 2, 3)).any()


def test_relations_have_sources():
    bibliography = (repository_root() / "book" / "references.bib").read_text(encoding="utf-8")
    names = [relation.name for relation in RELATIONS]
    assert len(set(names)) == len(names)
    for relation in RELATIONS:
        assert relation.sources
        assert all(f"{{{key}," in bibliography for key in relation.sources)
