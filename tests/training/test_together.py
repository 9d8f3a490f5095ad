"""Several processes train as one does."""

import os
import re
import subprocess
import sys

import pandas as pd
import pytest
import torch
from test_training import model, trained

from galcfm import Posterior, paths

SCRIPT = """
import os, signal, sys
import psutil
from conftest import toy_survey
from test_together import trained_alike
from galcfm.training import Loop, TrainingError

folder, part, kill = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if kill and os.environ["RANK"] == "1":
    real = Loop.train_epoch

    def killed(self):
        if self.epoch == 2:
            for other in psutil.Process(os.getppid()).children():
                if kill == "faster" and other.pid != os.getpid():
                    other.terminate()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self)

    Loop.train_epoch = killed
try:
    trained_alike(folder, toy_survey(120), part)
except TrainingError as error:
    sys.exit(f"galcfm: {error}")
"""


def trained_alike(folder, survey, part=12):
    options = {"encoder_batch": part, "average_decay": 0.9, "augment": True}
    return trained(folder, survey, model(image=True), **options)


def run_two(tmp_path, folder, part=12, kill=""):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    root = paths.repository_root()
    places = (root, root / "notebooks", root / "tests", root / "tests" / "training")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "OMP_NUM_THREADS": "1",
    }
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [sys.executable, *start, str(script), str(tmp_path / folder), str(part), kill],
        env=environment, capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip


def losses(folder):
    return pd.read_csv(folder / "training.csv")[["train_loss", "validation_loss"]]


@pytest.mark.parametrize("part", [12, 32], ids=["three parts", "one part"])
def test_two_processes_have_the_losses_of_one(survey, tmp_path, part):
    """Also where a batch of 32 is one part, and the second process has nothing to do."""
    one = trained_alike(tmp_path / "one", survey, part).state_dict()
    ended = run_two(tmp_path, "two", part)
    assert ended.returncode == 0, ended.stderr
    pd.testing.assert_frame_equal(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-6)
    two = Posterior.load(tmp_path / "two").state_dict()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)


SENTENCE = r"galcfm: another process of the training has ended in epoch [12]; run the same command"


def test_who_is_stopped_before_the_connection_breaks_says_so_too(tmp_path):
    """As `torchrun` does, now and then."""
    ended = run_two(tmp_path, "killed", kill="faster")
    assert re.search(SENTENCE, ended.stderr), ended.stderr[-2000:]


def test_a_killed_process_ends_all_in_a_sentence_and_training_resumes(survey, tmp_path):
    ended = run_two(tmp_path, "killed", kill="kill")
    assert ended.returncode != 0
    assert re.search(SENTENCE, ended.stderr), ended.stderr[-2000:]
    assert not (tmp_path / "killed" / "model.json").exists()
    # Also by another number of processes.
    for name in ("killed", "whole"):
        trained_alike(tmp_path / name, survey)
    pd.testing.assert_frame_equal(
        losses(tmp_path / "killed"), losses(tmp_path / "whole"), atol=1e-6
    )
