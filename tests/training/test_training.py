"""Training: it learns, it resumes to the same result, it refuses what does not fit."""

import ctypes
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import toy_survey

from galcfm import Posterior
from galcfm.posterior import ModelError
from galcfm.properties import MAGNITUDE_ERRORS
from galcfm.survey import Survey
from galcfm.training import TrainingError, TrainingSettings, posterior_training, train
from galcfm.training.data import TrainingData, turned_each
from galcfm.training.posterior_training import batch_loss

SMALL = {"width": 32, "depth": 2}
ENCODER = {"n_features": 8, "widths": [4, 8], "crop": 128, "bin_factor": 8}
QUICK = {"learning_rate": 3e-3, "batch_size": 32, "max_epochs": 4, "draws_per_galaxy": 4}


def model(image=False, **options):
    return Posterior("magnitudes", encoder=ENCODER if image else None, network=SMALL, **options)


def weights(posterior):
    return torch.cat([v.double().flatten() for v in posterior.state_dict().values()])


@pytest.mark.parametrize(
    ("sees", "options"),
    [
        ({}, {}),
        ({}, {"average_decay": 0.9, "schedule": "cosine", "augment": True}),
        ({"image": True}, {}),
        ({"image": True}, {"average_decay": 0.9, "schedule": "cosine", "augment": True}),
        ({"missing_bands": True}, {"hide_bands": True}),
        ({"missing_bands": True, "use_magnitude_errors": True}, {"hide_bands": True}),
    ],
)
def test_a_killed_training_resumes_to_the_same_result(survey, tmp_path, monkeypatch, sees, options):
    errors = 0.02 * np.exp(0.1 * np.random.default_rng(0).normal(size=(5, len(survey))))
    columns = dict(zip(MAGNITUDE_ERRORS, errors, strict=True))
    survey = Survey(survey.catalogue.assign(**columns), survey.images, {}, "with errors")
    settings = TrainingSettings(**QUICK, **options)
    whole = train(model(**sees), survey, tmp_path / "whole", settings, progress=False)

    real = posterior_training.write_checkpoint

    def killed_after_two_epochs(folder, content):
        real(folder, content)
        if content["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(posterior_training, "write_checkpoint", killed_after_two_epochs)
    with pytest.raises(KeyboardInterrupt):
        train(model(**sees), survey, tmp_path / "killed", settings, progress=False)
    monkeypatch.setattr(posterior_training, "write_checkpoint", real)
    assert not (tmp_path / "killed" / "model.json").exists()
    torch.randn(17)  # the state of the global generator must not matter
    resumed = train(model(**sees), survey, tmp_path / "killed", settings, progress=False)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    histories = [pd.read_csv(tmp_path / k / "training.csv") for k in ("whole", "killed")]
    losses = [h[["epoch", "train_loss", "validation_loss"]] for h in histories]
    pd.testing.assert_frame_equal(*losses)


def test_training_killed_before_its_model_was_written_writes_it(survey, tmp_path, monkeypatch):
    settings = TrainingSettings(**QUICK)
    whole = train(model(), survey, tmp_path / "whole", settings, progress=False)

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Posterior, "fit_range", killed)
    with pytest.raises(KeyboardInterrupt):
        train(model(), survey, tmp_path / "killed", settings, progress=False)
    monkeypatch.undo()
    resumed = train(model(), survey, tmp_path / "killed", settings, progress=False)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    files = [sorted(path.name for path in (tmp_path / k).iterdir()) for k in ("whole", "killed")]
    assert files[0] == files[1]


def test_finished_training_returns_at_once(survey, tmp_path, monkeypatch):
    settings = TrainingSettings(**QUICK)
    first = train(model(), survey, tmp_path, settings, progress=False)
    monkeypatch.setattr(posterior_training, "FlowLoop", None)
    again = train(model(), survey, tmp_path, settings, progress=False)
    torch.testing.assert_close(weights(again), weights(first), rtol=0, atol=0)


def test_the_seed_decides(survey, tmp_path):
    results = [
        weights(
            train(
                model(),
                survey,
                tmp_path / str(k),
                TrainingSettings(**QUICK, seed=s),
                progress=False,
            )
        )
        for k, s in enumerate((0, 0, 1))
    ]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assert (results[0] - results[2]).abs().max() > 0.01


def test_only_training_and_validation_are_read(survey, tmp_path):
    settings = TrainingSettings(**QUICK)
    clean = train(model(True), survey, tmp_path / "clean", settings, progress=False)
    spoilt = toy_survey(len(survey))
    test = (spoilt.catalogue["split"] == "test").to_numpy()
    for column in ("mag_r", "a_v", "log_sfr"):
        spoilt.catalogue.loc[test, column] += 2.0
    spoilt.images[test] = 0
    other = train(model(True), spoilt, tmp_path / "spoilt", settings, progress=False)
    torch.testing.assert_close(weights(other), weights(clean), rtol=0, atol=0)


def test_best_epoch_is_kept_and_training_stops_early(survey, tmp_path):
    settings = TrainingSettings(**QUICK | {"max_epochs": 200, "learning_rate": 0.01, "patience": 3})
    best = train(model(), survey, tmp_path, settings, progress=False)
    history = pd.read_csv(tmp_path / "training.csv")
    assert len(history) < 200
    assert best.metadata["best_epoch"] == history["validation_loss"].idxmin()
    assert len(history) == history["validation_loss"].idxmin() + 1 + 3


def test_a_warm_start_begins_as_the_photometry_model(survey, tmp_path):
    photometry = train(
        model(), survey, tmp_path / "photometry", TrainingSettings(**QUICK), progress=False
    )
    image = model(image=True)
    posterior_training._initialise(image, survey.split("train"), photometry)
    few = survey.select(np.arange(10))
    image.eval()
    torch.testing.assert_close(
        image.log_prob(few.properties, few.magnitudes, few.images, steps=5),
        photometry.log_prob(few.properties, few.magnitudes, steps=5),
    )
    with pytest.raises(ModelError, match="another network or other features"):
        posterior_training._initialise(
            Posterior("magnitudes", encoder=ENCODER, network={"width": 16, "depth": 2}),
            survey.split("train"),
            photometry,
        )


def test_both_models_learn_what_they_see(tmp_path):
    """A_V of the toy survey depends on the picture: only the image model can narrow it."""
    survey = toy_survey(1500, seed=1)
    settings = TrainingSettings(
        learning_rate=3e-3, batch_size=64, max_epochs=25, draws_per_galaxy=4, schedule="cosine"
    )
    test = survey.split("test")
    prior = train(
        Posterior("none", network=SMALL), survey, tmp_path / "prior", settings, progress=False
    )
    photometry = train(model(), survey, tmp_path / "p", settings, progress=False)
    image = train(
        model(image=True), survey, tmp_path / "i", settings, warm_start=photometry, progress=False
    )
    log_p = {
        name: m.log_prob_from(test.properties, m.encode_survey(test), 12).mean().item()
        for name, m in {"prior": prior, "photometry": photometry, "image": image}.items()
    }
    # Exact: 4 × ½ ln 5 + ½ ln(0.21/0.17) = 3.3 nat from magnitudes, ½ ln(0.17/0.01) = 1.4 more.
    assert 2.6 < log_p["photometry"] - log_p["prior"] < 3.6
    assert 0.7 < log_p["image"] - log_p["photometry"] < 1.7


def test_a_redshift_narrows_what_depends_on_it(tmp_path):
    """Mass of this toy is a magnitude plus ten times the redshift plus noise of 0.1."""
    survey = toy_survey(1500, seed=2, images=False)
    noise = np.random.default_rng(0).normal(size=len(survey))
    survey.catalogue["log_stellar_mass"] = (
        0.2 * survey.catalogue["mag_r"] + 10 * survey.catalogue["redshift"] + 5 + 0.1 * noise
    )
    settings = TrainingSettings(
        learning_rate=3e-3, batch_size=64, max_epochs=25, draws_per_galaxy=4, schedule="cosine"
    )
    test = survey.split("test")
    error = {}
    for known in (False, True):
        posterior = train(
            model(use_redshift=known), survey, tmp_path / str(known), settings, progress=False
        )
        given = {"redshift": test.redshift} if known else {}
        samples = posterior.sample(test.magnitudes, n_samples=100, steps=12, **given)
        error[known] = np.std((samples.mean(1).numpy() - test.properties)[:, 0])
    # Exact: the spread of 10 z is 0.52, and with z only the noise is left.
    assert error[False] > 0.4
    assert error[True] < 0.15


def test_augmentation_is_a_symmetry_of_the_square():
    images = torch.arange(16 * 9).reshape(16, 3, 3, 1).to(torch.uint8)
    turned = turned_each(images, torch.Generator().manual_seed(0))
    kinds = set()
    for before, after in zip(images, turned, strict=True):
        candidates = [
            f(torch.rot90(before, k)) for k in range(4) for f in (lambda x: x, lambda x: x.flip(1))
        ]
        matches = [j for j, c in enumerate(candidates) if torch.equal(c, after)]
        assert len(matches) == 1
        kinds.add(matches[0])
    assert len(kinds) > 4


def test_with_a_constant_schedule_more_epochs_go_on(survey, tmp_path):
    """A budget may be raised: the result is that of the larger one from the start."""
    settings = TrainingSettings(**QUICK)
    whole = train(model(), survey, tmp_path / "whole", settings, progress=False)
    fewer = replace(settings, max_epochs=settings.max_epochs - 1)
    train(model(), survey, tmp_path / "raised", fewer, progress=False)
    raised = train(model(), survey, tmp_path / "raised", settings, progress=False)
    torch.testing.assert_close(weights(raised), weights(whole), rtol=0, atol=0)
    with pytest.raises(TrainingError, match="another max_epochs"):
        train(model(), survey, tmp_path / "raised", fewer, progress=False)
    cosine = replace(settings, schedule="cosine")
    train(model(), survey, tmp_path / "cosine", cosine, progress=False)
    more = replace(cosine, max_epochs=settings.max_epochs + 1)
    with pytest.raises(TrainingError, match="another settings"):
        train(model(), survey, tmp_path / "cosine", more, progress=False)


def test_other_settings_or_data_are_refused(survey, tmp_path):
    train(model(), survey, tmp_path, TrainingSettings(**QUICK), progress=False)
    with pytest.raises(TrainingError, match="another settings"):
        train(model(), survey, tmp_path, TrainingSettings(**QUICK, seed=5), progress=False)
    with pytest.raises(TrainingError, match="another architecture"):
        train(model(sigma=0.1), survey, tmp_path, TrainingSettings(**QUICK), progress=False)
    with pytest.raises(TrainingError, match="another data"):
        train(model(), toy_survey(120, 3), tmp_path, TrainingSettings(**QUICK), progress=False)


def without(survey, **columns):
    """The survey with other columns."""
    return Survey(survey.catalogue.assign(**columns), survey.images, name=survey.name)


@pytest.mark.parametrize(
    "change", ["splits", "one property", "redshifts", "pictures", "their order", "nothing"]
)
def test_a_folder_knows_all_that_its_training_read(survey, tmp_path, change):
    """Sums of magnitudes and properties would be the same for most of these."""
    settings = TrainingSettings(**QUICK | {"max_epochs": 1})
    few = survey.select(np.arange(60))

    def run(of):
        posterior = Posterior("magnitudes", True, ENCODER, SMALL)
        return train(posterior, of, tmp_path, settings, progress=False)

    first = run(few)
    table, order = few.catalogue, np.roll(np.arange(60), 1)
    swapped = np.where(np.arange(60) < 2, 1 - np.arange(60), np.arange(60))
    other = {
        "splits": lambda: without(few, split=np.roll(table["split"], 1)),
        "one property": lambda: without(few, a_v=table["a_v"].to_numpy()[swapped]),
        "redshifts": lambda: without(few, redshift=table["redshift"] + 0.001),
        "pictures": lambda: Survey(table, few.images ^ 1, name=few.name),
        "their order": lambda: Survey(table, few.images[order], name=few.name),
        "nothing": lambda: Survey(table.copy(), few.images.copy(), name="another name"),
    }[change]()
    if change == "nothing":
        torch.testing.assert_close(weights(run(other)), weights(first), rtol=0, atol=0)
    else:
        with pytest.raises(TrainingError, match="belongs to training with another data"):
            run(other)


def test_a_diverging_loss_is_reported(survey, tmp_path):
    settings = TrainingSettings(**QUICK | {"learning_rate": 1e30})
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(model(), survey, tmp_path, settings, progress=False)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        TrainingSettings(batch_size=0)
    with pytest.raises(ValueError, match="use 'constant' or 'cosine'"):
        TrainingSettings(schedule="linear")
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        TrainingSettings(average_decay=1.0)


def test_half_precision_is_the_encoders_alone(survey):
    posterior = model(image=True).eval()
    data = TrainingData(posterior, survey, torch.device("cpu"))
    draws = torch.rand(2, len(survey), 1), *torch.randn(2, 2, len(survey), 5)
    full, half = (
        batch_loss(
            posterior, data.theta, data.f_phot, data.images, *draws, half_precision=half_precision
        )
        for half_precision in (False, True)
    )
    assert half.dtype == torch.float32
    assert full != half
    torch.testing.assert_close(full, half, rtol=0.01, atol=0)


def test_weights_draw_the_galaxies_of_another_population(survey, tmp_path):
    """Galaxies of weight zero are never learned from: their properties may be anything."""
    weights = (survey.catalogue["mag_r"] < 17).to_numpy(float)
    settings = TrainingSettings(max_epochs=2, seed=5)
    start = train(model(), survey, tmp_path / "start", settings, progress=False)
    spoilt = survey.catalogue.copy()
    spoilt.loc[weights == 0, "log_sfr"] = 3.0
    tuned = [
        train(
            model(),
            Survey(table, survey.images),
            tmp_path / name,
            settings,
            warm_start=start,
            weights=weights,
            progress=False,
        ).state_dict()
        for name, table in (("sound", survey.catalogue), ("spoilt", spoilt))
    ]
    assert all(torch.equal(tuned[0][key], tuned[1][key]) for key in tuned[0])
    assert any(not torch.equal(tuned[0][key], value) for key, value in start.state_dict().items())
    with pytest.raises(TrainingError, match="weights"):
        train(model(), survey, tmp_path / "sound", settings, warm_start=start, progress=False)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.ones(3), "one a galaxy is needed"), (-np.ones(120), "row 0 is -1.0 .120 such rows")],
)
def test_bad_weights_are_refused(survey, tmp_path, weights, message):
    with pytest.raises(TrainingError, match=message):
        train(model(), survey, tmp_path, TrainingSettings(), weights=weights, progress=False)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone")
def test_memory_that_is_freed_stays():
    """Or a training on images spends a third of its time on pages."""
    script = (
        "import resource, torch\n"
        "from galcfm.paths import keep_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(5): [torch.ones(12 << 20) for _ in range(4)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "faults()\n"
        "before = faults()\n"
        "keep_memory()\n"
        "faults()\n"
        "print(before, faults())\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    before, after = map(int, found.stdout.split())
    assert after < before / 10
