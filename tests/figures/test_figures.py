"""Each figure runs on small data, names its axes and source, and leaves nothing behind."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from drawn import SOURCE, all_texts, draw

from galcfm import figures
from galcfm.figures import models, style
from galcfm.properties import BANDS, PROPERTIES, PROPERTY_NAMES

CENTRE = np.array([10.2, 0.1, 8.85, 1.28, 0.6])
SPREAD = np.array([0.6, 0.6, 0.17, 0.11, 0.35])


def make_posterior(rng, truth, width):
    """Calibrated Gaussian posterior of truths around `CENTRE`, 4 chains of 25 draws."""
    shrink = 1 / (1 + width**2)
    noisy = truth + width * SPREAD * rng.normal(size=truth.shape)
    mean = CENTRE + shrink * (noisy - CENTRE)
    sigma = width * np.sqrt(shrink) * SPREAD
    draws = mean + sigma * rng.normal(size=(4, 25, *truth.shape))
    return xr.Dataset(
        {
            p.name: (("chain", "draw", "object_id"), draws[..., k], {"units": p.unit})
            for k, p in enumerate(PROPERTIES)
        },
        coords={"object_id": [f"galaxy-{i}" for i in range(len(truth))]},
    )


def make_data(n):
    """Catalogue, posteriors and cutouts of `n` galaxies with correlated properties."""
    rng = np.random.default_rng(7)
    common = rng.normal(size=(n, 1))
    truth = CENTRE + SPREAD * (0.7 * common + 0.7 * rng.normal(size=(n, 5)))
    catalogue = pd.DataFrame(truth, columns=list(PROPERTY_NAMES))
    catalogue["object_id"] = [f"galaxy-{i}" for i in range(n)]
    catalogue["redshift"] = rng.uniform(0.02, 0.2, n)
    for k, band in enumerate(BANDS):
        catalogue[f"mag_{band}"] = 18 - 0.5 * k + rng.normal(0, 0.3, n)
    posteriors = {
        "photometry": make_posterior(rng, truth, 1.0),
        "image": make_posterior(rng, truth, 0.5),
    }
    images = rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)
    return catalogue, posteriors, images


def make_figures(n, with_images=True):
    """Name and maker of each figure for `n` galaxies."""
    catalogue, posteriors, images = make_data(n)
    rng = np.random.default_rng(8)
    per_model = {m: rng.normal(k, 1, n) for k, m in enumerate(style.MODELS)}
    few, shown = slice(0, min(n, 6)), images if with_images else None
    history = pd.DataFrame(
        [(m, epoch, 1 / epoch, 1.1 / epoch) for m in style.MODELS for epoch in range(1, 6)],
        columns=["model", "epoch", "train_loss", "validation_loss"],
    )
    steps = np.linspace(0, 1, 11)[:, None, None]
    paths = {m: 1.3 + steps * rng.normal(size=(11, n, 2)) for m in style.MODELS}
    distances = pd.DataFrame(
        {"photometry": 0.2, "image": 0.1, "floor": 0.05}, index=list(PROPERTY_NAMES)
    )
    both = (catalogue, posteriors)
    spread = {"g−r": [0.4, 0.5, 0.6, 0.7, 0.8]}
    offsets = {"a_v": {"10": {"offset": -0.2}, "90": {"offset": 0.1}}}
    gains = {"shape": {"question": "true size", "gain": 0.2, "standard_error": 0.01}}
    spreads = {"sky": {"real": [2, 3, 5], "simulated": [4, 4.1, 5]}}
    masses = {"redshift known": rng.normal(10, 1, n), "photometry": rng.normal(10, 1, n)}
    replicated = catalogue[[f"mag_{b}" for b in BANDS]].to_numpy()[:, None]
    replicated = replicated + rng.normal(0, 0.1, (n, 200, 5))
    checked = pd.DataFrame(rng.normal(0, 0.1, (n, 5)), columns=[f"residual_{b}" for b in BANDS])
    checked = checked.assign(object_id=catalogue["object_id"], share_farther=0.5, is_doubtful=False)
    shares = {p: {"coverage_68": 0.7, "coverage_95": 0.94} for p in PROPERTY_NAMES}
    of_fits = {p: shares[p] for p in PROPERTY_NAMES[:2]}
    method_rows = {
        "flow": {
            "row": {"label": "flow", "beside": "image"},
            "over": {"photometry": {"gain": 0.2, "standard_error": 0.02}},
            "seeds": {"1": {"seconds_a_galaxy": 0.1, "properties": shares}},
        },
        "fit": {
            "row": {"label": "fit", "beside": "photometry_told"},
            "over": {},
            "seeds": {
                "1": {
                    "seconds_a_galaxy": 30.0,
                    "properties": of_fits,
                    "gain_of_fewer": {"gain": -1.0, "standard_error": 0.1},
                }
            },
        },
    }
    methods = {
        "flow": ("a flow", "image"),
        "npe": ("splines", "photometry"),
        "fit": ("SED fitting", "photometry_told"),
    }
    of_methods = pd.DataFrame(rng.normal(size=(360, 5)), columns=list(PROPERTY_NAMES))
    of_methods["row"] = np.repeat(list(methods), 120)
    of_methods["object_id"] = np.tile(list("ab"), 180)
    of_methods.loc[of_methods["row"] == "fit", "oxygen_abundance"] = np.nan
    labels = pd.DataFrame(np.zeros((2, 5)), index=list("ab"), columns=list(PROPERTY_NAMES))
    difference = {"mean": 0.01, "standard_error": 0.01}
    of_set = {"coverage": {p: [0.68, 0.94] for p in PROPERTY_NAMES}, "n_drawn": 100}
    missing = {
        "sets": {bands: {"any": of_set, "difference": difference} for bands in ("ugriz", "gri")},
        "exact": {"ugriz": {"difference": difference}},
    }
    return {
        "missing_bands": lambda: figures.missing_bands(missing, source=SOURCE),
        "replicated_photometry": lambda: figures.replicated_photometry(
            replicated, checked, source=SOURCE
        ),
        "method_costs": lambda: figures.method_costs(method_rows, source=SOURCE),
        "method_coverage": lambda: figures.method_coverage(method_rows, source=SOURCE),
        "method_intervals": lambda: figures.method_intervals(
            of_methods, methods, labels, source=SOURCE
        ),
        "method_corner": lambda: figures.method_corner(
            of_methods, methods, labels, galaxy="a", source=SOURCE
        ),
        "cutout_comparison": lambda: figures.cutout_comparison(spreads, source=SOURCE),
        "mass_differences": lambda: figures.mass_differences(
            masses, rng.normal(10, 1, n), source=SOURCE
        ),
        "outside_shares": lambda: figures.outside_shares(
            rng.uniform(size=n) < 0.2, {"colour": rng.normal(size=n)}, level=0.01, source=SOURCE
        ),
        "calibration": lambda: figures.calibration(*both, source=SOURCE),
        "colour_comparison": lambda: figures.colour_comparison(
            {"real": spread, "simulated": spread}, source=SOURCE
        ),
        "control_gains": lambda: figures.control_gains(gains, source=SOURCE),
        "contact_sheet": lambda: figures.contact_sheet(catalogue[few], images[few], source=SOURCE),
        "dust_age": lambda: figures.dust_age(*both, source=SOURCE),
        "galaxy_corner": lambda: figures.galaxy_corner(*both, shown, galaxy=0, source=SOURCE),
        "model_comparison": lambda: figures.model_comparison(per_model, per_model, source=SOURCE),
        "pathways": lambda: figures.pathways(
            paths, ("dn4000", "a_v"), truth=(1.3, 0.5), source=SOURCE
        ),
        "percentile_offsets": lambda: figures.percentile_offsets(
            offsets, allowed=0.15, source=SOURCE
        ),
        "posterior_mean_distributions": lambda: figures.posterior_mean_distributions(
            *both, source=SOURCE
        ),
        "scaling_relations": lambda: figures.scaling_relations(*both, shown, source=SOURCE),
        "survey_overview": lambda: figures.survey_overview(catalogue, source=SOURCE),
        "training_curves": lambda: figures.training_curves(history, source=SOURCE),
        "truth_recovery": lambda: figures.truth_recovery(*both, source=SOURCE),
        "wasserstein_chart": lambda: figures.wasserstein_chart(distances, source=SOURCE),
    }


# The labels that must appear on axes, with their units.
EXPECTED = {
    "method_costs": ["1,000 draws of a galaxy [s]", "fit", "the picture"],
    "method_coverage": ["share within 68 %", "flow"],
    "method_intervals": [*style.LABELS.values(), "a flow", "SED fitting"],
    "method_corner": [*style.LABELS.values(), "photometry", "the picture"],
    "replicated_photometry": ["Observed − implied [half-widths of 68 %]", "u−g"],
    "cutout_comparison": ["difference from the real median [real standard deviations]", "real"],
    "mass_differences": ["posterior median − kcorrect [dex]", "redshift known"],
    "outside_shares": ["share flagged as out of range", "colour"],
    "calibration": ["Nominal coverage", "Rank of truth [fraction]"],
    "colour_comparison": ["$g-r$ [mag]", "simulated"],
    "control_gains": ["gain over photometry [nat] ± 2 standard errors", "true size"],
    "contact_sheet": ["$A_V$ [mag]", "Redshift"],
    "dust_age": ["$D_n(4000)$", "$A_V$ [mag]"],
    "galaxy_corner": ["$A_V$ [mag]", style.LABELS["log_sfr"]],
    "model_comparison": [
        r"$\Delta \log p$, image model [nat]",
        r"$D_{\mathrm{KL}}$, photometry model [nat]",
    ],
    "pathways": ["$D_n(4000)$", "Image model\n$A_V$ [mag]"],
    "percentile_offsets": ["simulated − real [standard deviations]", "$A_V$"],
    "posterior_mean_distributions": list(style.LABELS.values()),
    "scaling_relations": [style.LABELS["log_stellar_mass"], style.LABELS["log_sfr"]],
    "missing_bands": ["labels inside the 95 % interval", "u g r i z", "the exact posterior"],
    "student_accuracy": ["velocities a draw", "accuracy of the classifier", "student, all at once"],
    "survey_overview": ["Magnitude [AB mag]", "$g - r$ [mag]", *style.LABELS.values()],
    "training_curves": ["Epoch", "Flow-matching loss [dimensionless]"],
    "truth_recovery": list(style.LABELS.values()),
    "wasserstein_chart": [
        "Wasserstein distance of posterior means [standard deviations of the truth]"
    ],
}


def test_every_figure_is_tested():
    # The last is of machines, not galaxies, and has a test of its own.
    assert set(EXPECTED) | {"COLOURS", "save"} == set(figures.__all__)


@pytest.mark.parametrize("name", EXPECTED)
def test_figure_names_axes_units_and_source(name):
    figure = draw(make_figures(60)[name])
    texts = all_texts(figure)
    for label in EXPECTED[name]:
        assert label in texts


@pytest.mark.parametrize("name", EXPECTED)
def test_one_galaxy_is_enough(name):
    draw(make_figures(1)[name])


@pytest.mark.parametrize("name", ["galaxy_corner", "scaling_relations"])
def test_cutouts_are_optional(name):
    figure = draw(make_figures(30, with_images=False)[name])
    assert not [axes for axes in figure.axes if axes.images]


def test_truth_may_be_an_array():
    catalogue, posteriors, _ = make_data(30)
    truth = catalogue[list(PROPERTY_NAMES)].to_numpy()
    draw(lambda: figures.truth_recovery(truth, posteriors, source=SOURCE))


def test_one_model_alone():
    catalogue, posteriors, _ = make_data(30)
    only = {"photometry": posteriors["photometry"]}
    draw(lambda: figures.calibration(catalogue, only, source=SOURCE))


def test_calibrated_posteriors_stay_within_the_band():
    """The coverage of calibrated posteriors differs from nominal by no more than chance."""
    catalogue, posteriors, _ = make_data(400)
    figure = draw(lambda: figures.calibration(catalogue, posteriors, source=SOURCE))
    lower = figure.axes[5:]
    lines = [line.get_ydata() for axes in lower for line in axes.lines]
    curves = [line for line in lines if len(line) > 2]
    assert len(curves) == 10
    # 4 standard errors, plus the step of 100 draws.
    assert max(np.abs(c).max() for c in curves) < 4 * 0.5 / np.sqrt(400) + 0.01


def test_numbered_galaxies_are_distinct_and_ordered_by_mass():
    catalogue, _, _ = make_data(100)
    truth = catalogue[list(PROPERTY_NAMES)].to_numpy()
    rows = models.spread_galaxies(truth, 6)
    assert len(set(rows.tolist())) == 6
    assert (np.diff(truth[rows, 0]) > 0).all()


def test_a_short_training_is_seen_beside_a_long_one():
    losses = {"photometry": [0.9] * 180, "image": [1.5, 1.3, 1.2, 1.15, 1.1]}
    history = pd.concat(
        pd.DataFrame({"model": name, "epoch": range(len(of)), "validation_loss": of})
        for name, of in losses.items()
    )
    history["train_loss"] = history["validation_loss"]
    low, high = figures.training_curves(history, source=SOURCE).axes[0].get_ylim()
    assert low < 0.9 < 1.3 < high


def test_win_rate_counts_galaxies():
    values = {"photometry": np.zeros(4), "image": np.array([1.0, 1, 1, -1])}
    figure = draw(lambda: figures.model_comparison(values, values, source=SOURCE))
    assert "image higher: 75.0 %" in all_texts(figure)


def test_refusals_name_the_reason():
    catalogue, posteriors, images = make_data(30)
    other = catalogue.assign(object_id=catalogue["object_id"] + "x")
    refused = {
        "select the same ones": lambda: figures.dust_age(catalogue[:7], posteriors, source=SOURCE),
        "different galaxies": lambda: figures.dust_age(other, posteriors, source=SOURCE),
        "models are called": lambda: figures.dust_age(
            catalogue, {"pixels": posteriors["image"]}, source=SOURCE
        ),
        "expected (n, 5)": lambda: figures.dust_age(np.zeros((3, 4)), posteriors, source=SOURCE),
        "images have shape": lambda: figures.scaling_relations(
            catalogue, posteriors, images[:5], source=SOURCE
        ),
        "row number": lambda: figures.galaxy_corner(
            catalogue, posteriors, galaxy=30, source=SOURCE
        ),
        "1 to 24 galaxies": lambda: figures.contact_sheet(catalogue, images, source=SOURCE),
        "one value for each": lambda: figures.model_comparison(
            {"photometry": np.zeros(3), "image": np.zeros(4)}, {}, source=SOURCE
        ),
        "trajectories have shape": lambda: figures.pathways(
            {"image": np.zeros((5, 2))}, ("dn4000", "a_v"), source=SOURCE
        ),
    }
    for reason, call in refused.items():
        with pytest.raises(ValueError, match=reason.replace("(", r"\(").replace(")", r"\)")):
            call()


def test_save_writes_pdf_and_png(tmp_path):
    figures.save(make_figures(1)["wasserstein_chart"](), tmp_path / "figures" / "chart")
    written = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in written] == ["chart.pdf", "chart.png"]
    assert [path.read_bytes()[:4] for path in written] == [b"%PDF", b"\x89PNG"]
