"""Training: it learns, it resumes to the same result, it refuses what does not fit."""

import ctypes
import subprocess
import sys

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


def trained(folder, survey, posterior=None, warm_start=None, weights=None, **changes):
    """A model, of photometry by default, that was trained quickly but for `changes`."""
    settings = TrainingSettings(**QUICK | changes)
    given = {"warm_start": warm_start, "weights": weights, "progress": False}
    return train(posterior or model(), survey, folder, settings, **given)


def assert_same_weights(*posteriors):
    one, other = (posterior.state_dict() for posterior in posteriors)
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def killed(*arguments):
    raise KeyboardInterrupt


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
    whole = trained(tmp_path / "whole", survey, model(**sees), **options)
    real = posterior_training.write_checkpoint

    def killed_after_two_epochs(folder, content):
        real(folder, content)
        if content["epoch"] == 2:
            killed()

    monkeypatch.setattr(posterior_training, "write_checkpoint", killed_after_two_epochs)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", survey, model(**sees), **options)
    monkeypatch.undo()
    assert not (tmp_path / "killed" / "model.json").exists()
    torch.randn(17)  # the state of the global generator must not matter
    assert_same_weights(trained(tmp_path / "killed", survey, model(**sees), **options), whole)
    histories = [pd.read_csv(tmp_path / k / "training.csv") for k in ("whole", "killed")]
    losses = [h[["epoch", "train_loss", "validation_loss"]] for h in histories]
    pd.testing.assert_frame_equal(*losses)


def test_training_killed_before_its_model_was_written_writes_it(survey, tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole", survey)
    monkeypatch.setattr(Posterior, "fit_range", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", survey)
    monkeypatch.undo()
    assert_same_weights(trained(tmp_path / "killed", survey), whole)
    files = [sorted(path.name for path in (tmp_path / k).iterdir()) for k in ("whole", "killed")]
    assert files[0] == files[1]


def test_the_seed_decides_and_finished_training_returns_at_once(survey, tmp_path, monkeypatch):
    first, same, other = (
        trained(tmp_path / str(k), survey, seed=seed) for k, seed in enumerate((0, 0, 1))
    )
    assert_same_weights(first, same)
    difference = first.flow.network.state_dict(), other.flow.network.state_dict()
    assert max((difference[0][k] - v).abs().max() for k, v in difference[1].items()) > 0.01
    monkeypatch.setattr(posterior_training, "FlowLoop", None)
    assert_same_weights(trained(tmp_path / "0", survey), first)


def test_only_training_and_validation_are_read(survey, tmp_path):
    clean = trained(tmp_path / "clean", survey, model(True))
    spoilt = toy_survey(len(survey))
    test = (spoilt.catalogue["split"] == "test").to_numpy()
    for column in ("mag_r", "a_v", "log_sfr"):
        spoilt.catalogue.loc[test, column] += 2.0
    spoilt.images[test] = 0
    assert_same_weights(trained(tmp_path / "spoilt", spoilt, model(True)), clean)


def test_best_epoch_is_kept_and_training_stops_early(survey, tmp_path):
    best = trained(tmp_path, survey, max_epochs=200, learning_rate=0.01, patience=3)
    history = pd.read_csv(tmp_path / "training.csv")
    assert len(history) < 200
    assert best.metadata["best_epoch"] == history["validation_loss"].idxmin()
    assert len(history) == history["validation_loss"].idxmin() + 1 + 3


def test_a_warm_start_begins_as_the_photometry_model(survey, tmp_path):
    photometry = trained(tmp_path, survey)
    image = model(image=True)
    posterior_training._initialise(image, survey.split("train"), photometry, 0)
    few = survey.select(np.arange(10))
    image.eval()
    torch.testing.assert_close(
        image.log_prob(few.properties, few.magnitudes, few.images, steps=5),
        photometry.log_prob(few.properties, few.magnitudes, steps=5),
    )
    other = Posterior("magnitudes", encoder=ENCODER, network={"width": 16, "depth": 2})
    with pytest.raises(ModelError, match="another network or other features"):
        posterior_training._initialise(other, survey.split("train"), photometry, 0)


LONGER = {"batch_size": 64, "max_epochs": 25, "schedule": "cosine"}


def test_both_models_learn_what_they_see(tmp_path):
    """A_V of the toy survey depends on the image: only the image model can narrow it."""
    survey = toy_survey(1500, seed=1)
    test = survey.split("test")
    prior = trained(tmp_path / "prior", survey, Posterior("none", network=SMALL), **LONGER)
    photometry = trained(tmp_path / "p", survey, **LONGER)
    image = trained(tmp_path / "i", survey, model(True), warm_start=photometry, **LONGER)
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
    test = survey.split("test")
    error = {}
    for known in (False, True):
        posterior = trained(tmp_path / str(known), survey, model(use_redshift=known), **LONGER)
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
    whole = trained(tmp_path / "whole", survey)
    trained(tmp_path / "raised", survey, max_epochs=3)
    assert_same_weights(trained(tmp_path / "raised", survey), whole)
    with pytest.raises(TrainingError, match="another max_epochs"):
        trained(tmp_path / "raised", survey, max_epochs=3)
    trained(tmp_path / "cosine", survey, schedule="cosine")
    with pytest.raises(TrainingError, match="another settings"):
        trained(tmp_path / "cosine", survey, schedule="cosine", max_epochs=5)


def test_other_settings_or_architectures_are_refused(survey, tmp_path):
    trained(tmp_path, survey)
    with pytest.raises(TrainingError, match="another settings"):
        trained(tmp_path, survey, seed=5)
    with pytest.raises(TrainingError, match="another architecture"):
        trained(tmp_path, survey, model(sigma=0.1))


def test_a_folder_knows_all_that_its_training_read(survey, tmp_path):
    """Sums of magnitudes and properties would be the same for most of these."""
    few = survey.select(np.arange(60))

    def run(images=few.images, name="", **columns):
        other = Survey(few.catalogue.assign(**columns), images, name=name)
        return trained(tmp_path, other, model(True, use_redshift=True), max_epochs=1)

    first, table = run(), few.catalogue
    swapped = np.where(np.arange(60) < 2, 1 - np.arange(60), np.arange(60))
    for change in (
        {"split": np.roll(table["split"], 1)},
        {"a_v": table["a_v"].to_numpy()[swapped]},
        {"redshift": table["redshift"] + 0.001},
        {"mag_r": table["mag_r"].to_numpy()[swapped]},
        {"images": few.images ^ 1},
        {"images": np.roll(few.images, 1, axis=0)},
    ):
        with pytest.raises(TrainingError, match="belongs to training with another data"):
            run(**change)
    assert_same_weights(run(few.images.copy(), "another name"), first)


def test_a_diverging_loss_is_reported(survey, tmp_path):
    with pytest.raises(TrainingError, match="lower learning_rate"):
        trained(tmp_path, survey, learning_rate=1e30)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"schedule": "linear"}, "give 'constant' or 'cosine'"),
        ({"average_decay": 1.0}, "average_decay is 1.0: give a number from 0 to below 1"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**setting)


def test_half_precision_is_the_encoders_alone(survey):
    posterior = model(image=True).eval()
    data = TrainingData(posterior, survey, torch.device("cpu"))
    draws = torch.rand(2, len(survey), 1), *torch.randn(2, 2, len(survey), 5)
    given = posterior, data.theta, data.f_phot, data.images, *draws
    full, half = (batch_loss(*given, half_precision=chosen) for chosen in (False, True))
    assert half.dtype == torch.float32
    assert full != half
    torch.testing.assert_close(full, half, rtol=0.01, atol=0)


def test_weights_draw_the_galaxies_of_another_population(survey, tmp_path):
    """Galaxies of weight zero are never learned from: their properties may be anything."""
    weights = (survey.catalogue["mag_r"] < 17).to_numpy(float)
    start = trained(tmp_path / "start", survey, max_epochs=2)
    spoilt = survey.catalogue.copy()
    spoilt.loc[weights == 0, "log_sfr"] = 3.0
    tuning = {"warm_start": start, "max_epochs": 2}
    sound, other = (
        trained(tmp_path / name, Survey(table, survey.images), weights=weights, **tuning)
        for name, table in (("sound", survey.catalogue), ("spoilt", spoilt))
    )
    assert_same_weights(sound, other)
    before = start.state_dict()
    assert any(not torch.equal(before[key], value) for key, value in sound.state_dict().items())
    with pytest.raises(TrainingError, match="weights"):
        trained(tmp_path / "sound", survey, **tuning)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.ones(3), "one per galaxy is needed"), (-np.ones(120), "row 0 is -1.0 .120 such rows")],
)
def test_bad_weights_are_refused(survey, tmp_path, weights, message):
    with pytest.raises(TrainingError, match=message):
        trained(tmp_path, survey, weights=weights)


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
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8")
    before, after = map(int, found.stdout.split())
    assert after < before / 10
