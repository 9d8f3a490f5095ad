"""The profile sdss against a local SkyServer: killed while it downloads, resumed, to posteriors."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from copied import copy_repository
from skyserver import Archive, SkyServer, spectra

from galcfm.properties import PROPERTY_NAMES
from galcfm.stored_posteriors import load_posteriors, samples_array
from galcfm.survey import Survey

N = 60


def galaxies():
    frame = spectra(N, placed=True)
    rng = np.random.default_rng(2)
    for name, spread in (("lgm_tot", 0.5), ("sfr_tot", 0.4), ("oh", 0.1)):
        shift = spread * rng.standard_normal(N)
        for percentile in (16, 50, 84):
            frame[f"{name}_p{percentile}"] += shift
    frame["d4000_n_sub"] += 0.1 * rng.standard_normal(N)
    return frame


@pytest.fixture
def copy(tmp_path):
    """The repository with a profile sdss of the smallest size."""
    return copy_repository(tmp_path / "galcfm")


def shrink(copy, server, **changes):
    """Give the profile sdss the sizes of smoke, and this server."""
    for path in (copy / "notebooks" / "parameters" / "smoke").glob("*.yaml"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.stem == "01_data_curation":
            values |= {"source": "sdss", "skyserver": server.base, "n_galaxies": 50}
            values |= {"plates": [266, 365], "validation_fraction": 0.25, "test_fraction": 0.35}
            values |= changes
        (copy / "notebooks" / "parameters" / "sdss" / path.name).write_text(
            yaml.safe_dump(values), encoding="utf-8"
        )


def doit(copy, *arguments):
    environment = os.environ | {"PYTHONPATH": str(copy), "NO_PROXY": "127.0.0.1"}
    environment.pop("GALCFM_DATA", None)
    return subprocess.Popen(
        [sys.executable, "-m", "doit", "profile=sdss", *arguments],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_a_download_that_is_killed_goes_on_to_posteriors(copy):
    frame = galaxies().assign(plate=300)
    with SkyServer(share=0.1, archive=Archive(frame)) as server:
        shrink(copy, server, cutouts_per_second=8.0)
        child = doit(copy, "book")
        deadline = time.monotonic() + 300
        while len(server.good()) < 15 and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait(20) == -signal.SIGKILL
        child.communicate()
        assert not (copy / "data" / "surveys" / "sdss" / "survey.json").exists()
        child = doit(copy, "notebook:sdss/03_posterior_sampling")
        output, errors = child.communicate(timeout=600)
        assert child.returncode == 0, output[-3000:] + errors[-6000:]
        good = server.good()
        # 50 of the 60; a kill repeats what was on its way.
        assert len(set(good)) == 50
        assert len(good) <= 50 + 8
        assert len(server.archive.queries) == 2

    survey = Survey.load(copy / "data" / "surveys" / "sdss")
    assert len(survey) == 50
    assert survey.source == "SDSS"
    assert survey.parameters["cuts"]["galaxies"][-1] == 106_800
    run = copy / "data" / "runs" / "sdss"
    samples = samples_array(load_posteriors(run / "posteriors_image.nc"))
    assert samples.shape[1:] == (200, len(PROPERTY_NAMES))
    assert np.isfinite(samples).all()


def test_trouble_ends_in_one_sentence(copy):
    frame = galaxies().assign(plate=300)
    with SkyServer(archive=Archive(frame)) as server:
        shrink(copy, server, plates=[300, 200])
        child = doit(copy, "book")
        output, errors = child.communicate(timeout=300)
    assert child.returncode != 0
    assert "CatalogueError: there are no plates from 300 to 200" in output + errors
    assert "Traceback" not in errors
