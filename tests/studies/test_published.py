"""The commands that make what is published, with the profile smoke, in a copy of the repository."""

import json

from copied import copy_repository, doit


def test_each_study_runs_small(tmp_path):
    """The same commands make the published results; small ones go to the run's folder."""
    copy = copy_repository(tmp_path / "galcfm")
    before = {path: path.stat().st_mtime for path in (copy / "data" / "published").rglob("*")}
    result = doit(copy, "profile=smoke", "published")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    made = copy / "data" / "runs" / "smoke" / "published"
    for name in ("calibration", "controls", "exact_posteriors", "priors", "realism"):
        stored = json.loads((made / f"{name}.json").read_text())
        assert stored["command"].startswith("python -m studies.")
        assert {"key", "date", "made"} <= set(stored)
    assert len(json.loads((made / "training_seeds.json").read_text())["seeds"]) == 3
    assert (made / "models" / "photometry_redshift" / "model.safetensors").exists()
    after = {path: path.stat().st_mtime for path in (copy / "data" / "published").rglob("*")}
    assert after == before
