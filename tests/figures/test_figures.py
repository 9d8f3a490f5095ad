"""The figures draw the data that they are given, name it, and leave nothing behind."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn import SOURCE, all_texts, draw, make_data
from scipy.spatial.distance import pdist

from galcfm import figures, metrics
from galcfm.figures import planes, style
from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.stored_posteriors import samples_array

HISTORY = pd.DataFrame(
    [(m, epoch, 1 / epoch, 1.1 / epoch) for m in style.MODELS for epoch in range(1, 6)],
    columns=["model", "epoch", "train_loss", "validation_loss"],
)


def per_model(n):
    rng = np.random.default_rng(8)
    return {m: rng.normal(k, 1, n) for k, m in enumerate(style.MODELS)}


def paths_of(n):
    rng, steps = np.random.default_rng(9), np.linspace(0, 1, 11)[:, None, None]
    return {m: 1.3 + steps * rng.normal(size=(11, n, 2)) for m in style.MODELS}


def implied(catalogue):
    """Magnitudes that draws imply, and the check of them, as `check_photometry` gives both."""
    rng, n = np.random.default_rng(10), len(catalogue)
    observed = catalogue[[f"mag_{band}" for band in BANDS]].to_numpy()
    residuals = [f"residual_{band}" for band in BANDS]
    checked = pd.DataFrame(rng.normal(0, 0.1, (n, 5)), columns=residuals)
    checked = checked.assign(object_id=catalogue["object_id"], share_farther=0.5, is_doubtful=False)
    return {"replicated": observed[:, None] + rng.normal(0, 0.1, (n, 200, 5)), "checked": checked}


# How each figure is drawn of catalogue, posteriors and cutouts, and labels that it has.
FIGURES = {
    "calibration": (lambda c, p, i: {"measured": c, "posteriors": p}, ["Nominal coverage"]),
    "contact_sheet": (lambda c, p, i: {"catalogue": c[:6], "images": i[:6]}, ["$A_V$ [mag]"]),
    "dust_age": (lambda c, p, i: {"measured": c, "posteriors": p}, ["$D_n(4000)$", "$A_V$ [mag]"]),
    "galaxy_panels": (
        lambda c, p, i: {"measured": c, "posteriors": p, "images": i, "chosen": {"a galaxy": 0}},
        ["a galaxy", "$D_n(4000)$"],
    ),
    "galaxy_corner": (
        lambda c, p, i: {"measured": c, "posteriors": p, "images": i, "galaxy": 0},
        [style.LABELS["log_sfr"].replace(" [", "\n[")],
    ),
    "model_comparison": (
        lambda c, p, i: dict.fromkeys(("delta_log_p", "d_kl"), per_model(len(c))),
        [r"$\Delta \log p$, image model [nat]", r"$D_{\mathrm{KL}}$, photometry model [nat]"],
    ),
    "pathways": (
        lambda c, p, i: {
            "trajectories": paths_of(len(c)),
            "names": ("dn4000", "a_v"),
            "measured": (1.3, 0.5),
        },
        ["$D_n(4000)$", "Image model\n$A_V$ [mag]"],
    ),
    "population_quantiles": (
        lambda c, p, i: {"measured": c, "posteriors": p},
        ["Percentile of galaxies", "Image model,\ndraws"],
    ),
    "recovery": (
        lambda c, p, i: {"measured": c, "posteriors": p},
        [*style.LABELS.values(), "Image model,\nposterior mean"],
    ),
    "replicated_photometry": (
        lambda c, p, i: implied(c),
        ["Observed − implied [half-widths of 68 %]", "u−g"],
    ),
    "scaling_relations": (
        lambda c, p, i: {"measured": c, "posteriors": p, "images": i},
        [style.LABELS["log_stellar_mass"], style.LABELS["log_sfr"]],
    ),
    "survey_overview": (
        lambda c, p, i: {"catalogue": c, "images": i},
        ["$r$ [AB mag]", "$g - r$ [mag]", "Redshift", style.LABELS["log_sfr"]],
    ),
    "training_curves": (
        lambda c, p, i: {"history": HISTORY},
        ["Epoch", "Flow-matching loss [dimensionless]"],
    ),
}


@pytest.fixture(scope="module")
def data():
    return make_data(60)


def made(name, data, **changes):
    """Draw a figure of some galaxies."""
    arguments = FIGURES[name][0](*data) | changes
    return draw(lambda: getattr(figures, name)(**arguments, source=SOURCE))


def points(axes):
    """Where the dots of a panel are, `(n, 2)`, also the dots of filled contours."""
    dots = [c for c in axes.collections if isinstance(c, matplotlib.collections.PathCollection)]
    found = [np.asarray(c.get_offsets()) for c in dots]
    return np.concatenate([f for f in found if len(f)])


def pairs(array, *columns):
    """Rows of two columns of properties, in any order of rows."""
    return sorted_rows(np.asarray(array)[:, [PROPERTY_NAMES.index(name) for name in columns]])


def sorted_rows(array):
    return array[np.lexsort(np.asarray(array).T)]


def means(data):
    return {name: samples_array(posterior).mean(axis=1) for name, posterior in data[1].items()}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("n", [60, 1])
def test_each_names_axes_units_and_source(name, n):
    """One galaxy is enough."""
    texts = all_texts(made(name, make_data(n)))
    assert set(FIGURES[name][1]) <= set(texts)


@pytest.mark.parametrize("name", ["galaxy_corner", "scaling_relations"])
def test_cutouts_are_optional(name, data):
    assert [a.images[0].get_array().shape for a in made(name, data).axes if a.images]
    assert not [axes for axes in made(name, data, images=None).axes if axes.images]


def test_truth_may_be_an_array_and_a_model_alone(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    made("recovery", data, measured=truth)
    made("calibration", data, posteriors={"photometry": data[1]["photometry"]})


def test_recovery_shows_means_against_the_truth(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    axes = made("recovery", data).axes
    for row, mean in enumerate(means(data).values()):
        for k in range(5):
            drawn = points(axes[5 * row + k])
            np.testing.assert_allclose(drawn, np.stack([truth[:, k], mean[:, k]], 1))
            error = mean[:, k] - truth[:, k]
            text = f"σ = {error.std():.2f}\n$R^2$ = {1 - (error**2).mean() / truth[:, k].var():.2f}"
            assert text == axes[5 * row + k].get_title(loc="left")


def test_planes_show_truth_means_and_numbered_galaxies(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    figure = made("scaling_relations", data)
    shown = {"measured": truth} | means(data)
    chosen = planes.spread_galaxies(truth, 4)
    for k, plane in enumerate(metrics.PLANES):
        for axes, theta in zip(figure.axes[3 * k : 3 * k + 3], shown.values(), strict=True):
            np.testing.assert_allclose(sorted_rows(points(axes)), pairs(theta, *plane))
            numbers = [text for text in axes.texts if text.get_text().isdigit()]
            columns = [PROPERTY_NAMES.index(name) for name in plane]
            np.testing.assert_allclose([text.xy for text in numbers], theta[chosen][:, columns])
            unit = np.diff([axes.get_xlim(), axes.get_ylim()])[:, 0] / planes.PANEL
            places = np.array([text.get_position() for text in numbers]) / unit
            assert pdist(places).min() > 12  # no two numbers touch
    for axes, galaxy in zip(figure.axes[9:], chosen, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), data[2][galaxy])


def test_dust_and_age_show_means_one_draw_and_their_errors(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    grid = np.array(made("dust_age", data).axes).reshape(2, 3)
    one_draw = {name: samples_array(p)[:, 0] for name, p in data[1].items()}
    for axes_row, shown in zip(grid, (means(data), one_draw), strict=True):
        for axes, theta in zip(axes_row, shown.values(), strict=False):
            np.testing.assert_allclose(sorted_rows(points(axes)), pairs(theta, "dn4000", "a_v"))
        errors = np.stack(list(shown.values())) - truth
        kinds = [type(found).__name__ for found in axes_row[2].collections]
        # Filled and lined contours of photometry, lines of the image model.
        assert kinds.count("QuadContourSet") == 3
        low, high = axes_row[2].get_xlim()
        assert low < np.median(errors[..., 3]) < high


def test_quantiles_are_less_those_of_the_measured_values(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    axes = made("population_quantiles", data).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 46]
    levels, spread = lines[0].get_xdata(), truth[:, 0].std()
    drawn = []
    for posterior in data[1].values():
        draws = samples_array(posterior)[..., 0]
        drawn += [draws.ravel(), draws.mean(axis=1)]
    for line, values in zip(lines, drawn, strict=True):
        expected = (np.percentile(values, levels) - np.percentile(truth[:, 0], levels)) / spread
        np.testing.assert_allclose(line.get_ydata(), expected)


def test_calibration_shows_coverage_and_ranks(data):
    truth = data[0][list(PROPERTY_NAMES)].to_numpy()
    axes = made("calibration", data).axes
    levels = np.linspace(0, 1, 41)
    for line, posterior in enumerate(data[1].values()):
        covered = metrics.coverage(samples_array(posterior), truth, levels)
        for k in range(5):
            curve = [x for x in axes[5 + k].lines if len(x.get_xdata()) == 41][line]
            np.testing.assert_allclose(curve.get_ydata(), covered[:, k] - levels)


def test_calibrated_posteriors_stay_within_the_band():
    """The coverage of calibrated posteriors differs from nominal by no more than chance."""
    lower = made("calibration", make_data(400)).axes[5:]
    lines = [line.get_ydata() for axes in lower for line in axes.lines]
    curves = [line for line in lines if len(line) > 2]
    assert len(curves) == 10
    # 4 standard errors, plus the step of 100 draws.
    assert max(np.abs(c).max() for c in curves) < 4 * 0.5 / np.sqrt(400) + 0.01


def test_numbered_galaxies_are_distinct_and_ordered_by_mass():
    truth = make_data(100)[0][list(PROPERTY_NAMES)].to_numpy()
    rows = planes.spread_galaxies(truth, 6)
    assert len(set(rows.tolist())) == 6
    assert (np.diff(truth[rows, 0]) > 0).all()


def test_corner_plots_cross_at_the_measured_values_of_the_galaxy(data):
    figure = made("galaxy_corner", data, galaxy=7)
    at = data[0].loc[7, list(PROPERTY_NAMES)].to_numpy(dtype=float)
    grid = np.array(figure.axes[:25]).reshape(5, 5)
    for row in range(5):
        for column in range(row + 1):
            dashed = [line for line in grid[row, column].lines if line.get_linestyle() == "--"]
            assert dashed[0].get_xdata()[0] == at[column]
            assert len(dashed) == 1 or dashed[1].get_ydata()[0] == at[row]
    np.testing.assert_array_equal(figure.axes[25].images[0].get_array(), data[2][7])


def test_galaxies_are_shown_in_rows(data):
    axes = made("galaxy_panels", data, chosen={"one": 3, "other": 8}).axes
    for row, galaxy in enumerate((3, 8)):
        np.testing.assert_array_equal(axes[3 * row].images[0].get_array(), data[2][galaxy])
        mass = data[0]["log_stellar_mass"][galaxy]
        assert mass in [line.get_xdata()[0] for line in axes[3 * row + 2].lines]


def test_paths_end_at_the_draws(data):
    figure, paths = made("pathways", data), paths_of(60)
    for axes_row, path in zip(np.array(figure.axes).reshape(2, 4), paths.values(), strict=True):
        np.testing.assert_allclose(points(axes_row[0]), path[0])
        np.testing.assert_allclose(points(axes_row[-1]), path[-1])
    assert figure.axes[1].get_title() == "$t$ = 0.30"


def test_models_are_compared_galaxy_by_galaxy(data):
    figure, values = made("model_comparison", data), per_model(60)
    both = np.stack([values["photometry"], values["image"]], 1)
    np.testing.assert_allclose(sorted_rows(points(figure.axes[0])), sorted_rows(both))
    share = 100 * (both[:, 1] > both[:, 0]).mean()
    assert all_texts(figure).count(f"image higher: {share:.1f} %") == 2
    assert all_texts(figure).count(f"mean {values['image'].mean():.2f}") == 2


def test_curves_show_losses_and_the_epoch_that_is_kept(data):
    for axes, model in zip(made("training_curves", data).axes, style.MODELS, strict=True):
        of = HISTORY[HISTORY["model"] == model]
        training, validation, kept = (line.get_xydata() for line in axes.lines)
        np.testing.assert_allclose(training, of[["epoch", "train_loss"]])
        np.testing.assert_allclose(validation, of[["epoch", "validation_loss"]])
        np.testing.assert_allclose(kept, [[5, 1.1 / 5]])


def test_a_short_training_is_seen_beside_a_long_one():
    losses = {"photometry": [0.9] * 180, "image": [1.5, 1.3, 1.2, 1.15, 1.1]}
    history = pd.concat(
        pd.DataFrame({"model": name, "epoch": range(len(of)), "validation_loss": of})
        for name, of in losses.items()
    )
    history["train_loss"] = history["validation_loss"]
    low, high = figures.training_curves(history, source=SOURCE).axes[0].get_ylim()
    assert low < 0.9 < 1.3 < high


def test_a_survey_is_shown_whole(data):
    figure, (catalogue, _, images) = made("survey_overview", data), data
    hexagons = [c for axes in figure.axes for c in axes.collections if c.get_array() is not None]
    # The axes show 99.8 % of the galaxies.
    assert [c.get_array().sum() >= 0.95 * len(catalogue) for c in hexagons] == [True] * 3
    boxes = figure.findobj(matplotlib.offsetbox.AnnotationBbox)
    rows = planes.spread_galaxies(catalogue[list(PROPERTY_NAMES)].to_numpy(), 8)
    for box, row in zip(boxes, rows, strict=True):
        assert box.xy == tuple(catalogue.loc[row, ["log_stellar_mass", "log_sfr"]])
        np.testing.assert_array_equal(box.offsetbox.get_data(), images[row])


def test_cutouts_stand_above_their_numbers(data):
    catalogue = data[0][:6].assign(delta_log_p=np.arange(6) - 2.5)
    figure = made("contact_sheet", data, catalogue=catalogue)
    pictures = [axes for axes in figure.axes if axes.images]
    for axes, image in zip(pictures, data[2], strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    labels, first = ([text.get_text() for text in axes.texts] for axes in figure.axes[5:7])
    assert (labels[0], first[0]) == ("Redshift", f"{catalogue.loc[0, 'redshift']:.3f}")
    assert (labels[-1], first[-1]) == (r"$\Delta \log p$ [nat]", "−2.50")


def test_observed_magnitudes_stand_in_widths_of_the_implied_ones(data):
    given = implied(data[0])
    in_r = given["replicated"][:, :, BANDS.index("r")]
    low, high = np.percentile(in_r, [16, 84], axis=1)
    expected = given["checked"]["residual_r"] / ((high - low) / 2)
    for axes, value in zip(made("replicated_photometry", data).axes, expected, strict=False):
        first = next(line for line in axes.lines if line.get_marker() == "o")
        assert first.get_xydata().tolist() == [[0, pytest.approx(value)]]


@pytest.mark.parametrize(
    ("reason", "name", "changes"),
    [
        ("select the same ones", "dust_age", lambda c, p, i: {"measured": c[:7]}),
        (
            "different galaxies",
            "dust_age",
            lambda c, p, i: {"measured": c.assign(object_id=c["object_id"] + "x")},
        ),
        ("models are called", "dust_age", lambda c, p, i: {"posteriors": {"pixels": p["image"]}}),
        (r"expected \(n, 5\)", "dust_age", lambda c, p, i: {"measured": np.zeros((3, 4))}),
        ("images are uint8 and have shape", "scaling_relations", lambda c, p, i: {"images": i[:5]}),
        ("row number", "galaxy_corner", lambda c, p, i: {"galaxy": 60}),
        ("1 to 24 galaxies", "contact_sheet", lambda c, p, i: {"catalogue": c, "images": i}),
        (
            "one value for each",
            "model_comparison",
            lambda c, p, i: {"delta_log_p": {"photometry": np.zeros(3), "image": np.zeros(4)}},
        ),
        (
            "trajectories have shape",
            "pathways",
            lambda c, p, i: {"trajectories": {"image": np.zeros((5, 2))}},
        ),
    ],
)
def test_refusals_name_the_reason(reason, name, changes, data):
    arguments = FIGURES[name][0](*data) | changes(*data)
    with pytest.raises(ValueError, match=reason):
        getattr(figures, name)(**arguments, source=SOURCE)


def test_save_writes_pdf_and_png(tmp_path, data):
    figures.save(made("recovery", data), tmp_path / "figures" / "chart")
    written = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in written] == ["chart.pdf", "chart.png"]
    assert [path.read_bytes()[:4] for path in written] == [b"%PDF", b"\x89PNG"]
