"""The account of what a picture is worth: its photometry, its rows, and that it goes on."""

import json

import numpy as np
import pandas as pd
import pytest

from galcfm import figures
from galcfm.figures import tables
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import TIES, simulate_catalogue
from studies import account


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(600, 0)


def noise(catalogue, photometry):
    noiseless = catalogue[[f"{name}_noiseless" for name in MAGNITUDES]].to_numpy()
    return account.measured_photometry(catalogue, photometry) - noiseless


def test_noise_is_as_many_times_as_said(catalogue):
    # Quoted errors lack the calibration: 2 % in u, 1 % in the other bands.
    drawn = np.hypot(catalogue[list(MAGNITUDE_ERRORS)], [0.02, 0.01, 0.01, 0.01, 0.01]).to_numpy()
    for photometry, times in (("model", 1), ("twice", 2), ("four times", 4)):
        found = (noise(catalogue, photometry) / drawn).std(axis=0)
        np.testing.assert_allclose(found, times, rtol=0.12)


def test_apertures_lose_light(catalogue):
    fibre, petrosian = (noise(catalogue, kind) for kind in ("fibre", "Petrosian"))
    r = MAGNITUDES.index("mag_r")
    # Half of a galaxy of 3 arcsec and more is outside the fibre, hardly anything of a small one.
    large = (catalogue["disc_radius"] > 4).to_numpy()
    small = (catalogue["disc_radius"] < 1).to_numpy()
    assert np.median(fibre[large, r]) > 1.0
    assert np.median(fibre[small, r]) < 0.6
    # Petrosian magnitudes miss a tenth of a bulge, and are redder for nothing.
    assert 0 < np.median(petrosian[:, r]) < 0.05
    bulge = (catalogue["bulge_fraction_r"] > 0.3) & (catalogue["bulge_index"] == 4)
    assert np.median(petrosian[bulge, r]) > 0.05
    # What is seen of a large galaxy in a fibre is its redder middle.
    colours = -np.diff(fibre, axis=1)
    assert np.median(colours[large, 1]) > 0.005


def test_rows_differ_in_what_they_say():
    assert len({row.label for row in account.ROWS.values()}) == len(account.ROWS)
    assert set(account.LADDER) <= set(account.ROWS)
    for name in TIES:
        if name not in ("inclined_dust", "fibre"):
            row = account.ROWS[f"tie_{name}"]
            assert set(account.ROWS["old"].without) - set(row.without) == {name}


def test_rows_that_differ_in_labels_share_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    plan = account.SMALL
    old, fibre, leak, noisy, balmer = (
        account.survey_of(row, plan, progress=False)
        for row in (
            account.ROWS["old"],
            account.ROWS["old_fibre"],
            account.ROWS["leak"],
            account.ROWS["noise_4"],
            account.ROWS["balmer"],
        )
    )
    assert old.name == fibre.name
    assert len({old.name, leak.name, noisy.name, balmer.name}) == 4
    assert (old.magnitudes == fibre.magnitudes).all()
    assert not np.allclose(old.properties[:, 3], fibre.properties[:, 3])
    assert np.allclose(leak.magnitudes, balmer.magnitudes)
    assert balmer.properties[:, 4].mean() > 1.5 * leak.properties[:, 4].mean()
    assert set(noisy.catalogue["split"]) == {"train", "validation", "test"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("account")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GALCFM_DATA", str(folder / "data"))
        found = account.run(
            folder / "published", account.SMALL, ["leak", "old"], [1], progress=False
        )
    return folder, found


def test_stored_rows_are_not_made_again(results, monkeypatch):
    folder, found = results
    monkeypatch.setenv("GALCFM_DATA", str(folder / "data"))
    trained = []
    train = account.train
    monkeypatch.setattr(
        account, "train", lambda *a, **k: trained.append(a[2].name) or train(*a, **k)
    )
    again = account.run(
        folder / "published", account.SMALL, ["old", "leak"], [1, 2], progress=False
    )
    assert trained == ["old-2", "leak-2"]
    assert again["rows"]["old"]["seeds"]["1"] == found["rows"]["old"]["seeds"]["1"]
    # Rows whose catalogues are one share the photometry model.
    models = [path for path in (folder / "data").rglob("photometry-*") if path.is_dir()]
    assert len(models) == 4
    gains = pd.read_parquet(folder / "published" / "account.parquet")
    assert set(gains) == {"leak/1", "old/1", "old/2", "leak/2"}
    assert list(again["rows"]) == ["old", "leak"]
    row = again["rows"]["leak"]
    assert row["gain"] == pytest.approx(gains[["leak/1", "leak/2"]].to_numpy().mean(), abs=1e-6)
    assert row["trainings"] == 2
    stored = json.loads((folder / "published" / "account.json").read_text())
    assert stored == json.loads(json.dumps(again))


def test_tables_and_figure_show_the_rows(results):
    _, found = results
    rows = found["rows"]
    table = tables.account(rows)
    assert list(table.index) == [account.ROWS[name].label for name in rows]
    assert table["gain of the image"].str.contains("±").all()
    assert len(tables.account_explained(rows)) == 2 * len(rows)
    distances = tables.account_distances(rows["old"])
    assert distances.shape == (4, len(PROPERTY_NAMES))
    assert list(tables.account_kernels(rows).index) == ["first survey"]
    figure = figures.picture_worth(
        [("one", 0.1, 0.01), ("two", 0.3, 0.01)], 0.91, source="simulated survey"
    )
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["one: 0.10", "two: 0.30", "not accounted for: +0.61", "the paper: 0.91"]
