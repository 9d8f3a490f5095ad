"""Students draw what their teacher draws, in few jumps, and say what they cannot do."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import toy_survey

from galcfm.posterior import ModelError, Posterior
from galcfm.training import TrainingError, TrainingSettings, train
from studies import distillation as module
from studies.distillation import Distillation, distil

QUICK = Distillation(
    n_conditions=600,
    n_draws=16,
    n_steps=800,
    batch_size=512,
    learning_rate=5e-3,
    average_decay=0.98,
)


@pytest.fixture(scope="module")
def galaxies():
    return toy_survey(3000, 7, images=False)


@pytest.fixture(scope="module")
def teacher(galaxies, tmp_path_factory):
    settings = TrainingSettings(
        learning_rate=1e-2,
        batch_size=100,
        max_epochs=8,
        schedule="cosine",
        average_decay=0.98,
        seed=1,
    )
    model = Posterior("r_and_colours", network={"width": 32, "depth": 2})
    return train(model, galaxies, tmp_path_factory.mktemp("teacher"), settings, progress=False)


@pytest.mark.parametrize("jumps", [1, 3])
def test_a_student_lands_where_its_teacher_does(jumps, teacher, galaxies, tmp_path):
    student = distil(
        teacher, galaxies, tmp_path / "student", replace(QUICK, jumps=jumps), progress=False
    )
    test = galaxies.split("test").select(np.arange(100))
    theirs, ours = (
        model.sample(test.magnitudes, object_id=test.object_id, n_samples=50, steps=20).numpy()
        for model in (teacher, student)
    )
    deviation = np.sqrt(((ours - theirs) ** 2).mean((0, 1))) / theirs.std(1).mean(0)
    assert (deviation < 0.1).all()
    # The flow itself does not land there by so few jumps.
    naive = Posterior(**teacher.architecture | {"jumps": jumps})
    naive.load_state_dict(teacher.state_dict())
    naive = naive.sample(test.magnitudes, object_id=test.object_id, n_samples=50).numpy()
    off = np.sqrt(((naive - theirs) ** 2).mean((0, 1))) / theirs.std(1).mean(0)
    assert deviation.mean() < off.mean() / 2


def test_a_student_is_a_model_without_a_density(teacher, galaxies, tmp_path):
    student = distil(teacher, galaxies, tmp_path, replace(QUICK, n_steps=2), progress=False)
    again = Posterior.load(tmp_path)
    test = galaxies.split("test").select(np.arange(5))
    draws = student.infer(test, n_samples=8, progress=False)
    assert draws.equals(again.infer(test, n_samples=8, progress=False))
    assert draws.equals(student.infer(test, n_samples=8, steps=3, progress=False))
    known = teacher.out_of_range(test.magnitudes)
    assert known.equals(again.out_of_range(test.magnitudes))
    assert again.metadata["distillation"]["n_steps"] == 2
    with pytest.raises(ValueError, match="no known density: use the flow that"):
        again.log_prob(test.properties, test.magnitudes)
    condition = again.encode_survey(test)
    with pytest.raises(ValueError, match="no known density"):
        again.sample_with_log_prob(condition, test.object_id, 4, 4, 0)
    with pytest.raises(ModelError, match="the teacher is a student itself"):
        distil(again, galaxies, tmp_path / "other", QUICK)


def test_learning_goes_on_after_a_kill(teacher, galaxies, tmp_path, monkeypatch):
    plan = replace(QUICK, n_steps=30)
    whole = distil(teacher, galaxies, tmp_path / "whole", plan, progress=False)

    class Killed(Exception):
        pass

    save = module.torch.save

    def kill(content, path):
        save(content, path)
        if content["step"] == 20:
            raise Killed

    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 10)
    with monkeypatch.context() as patch:
        patch.setattr(module.torch, "save", kill)
        with pytest.raises(Killed):
            distil(teacher, galaxies, tmp_path / "part", plan, progress=False)
    part = distil(teacher, galaxies, tmp_path / "part", plan, progress=False)
    for name, value in whole.state_dict().items():
        assert value.equal(part.state_dict()[name]), name
    with pytest.raises(TrainingError, match="belongs to training with another settings"):
        distil(teacher, galaxies, tmp_path / "part", replace(plan, seed=5), progress=False)
