"""The SDSS catalogue: the SQL runs, each cut cuts, and numbers are in the survey's units."""

import warnings

import numpy as np
import pandas as pd
import pytest
from skyserver import Archive, SkyServer, cutout, spectra

from galcfm.properties import EXTINCTION
from galcfm.sdss import catalogue as room
from galcfm.sdss import download_survey
from galcfm.sdss.catalogue import (
    CatalogueError,
    balmer_attenuation,
    fetch_catalogue,
    is_star_forming,
    select_galaxies,
)
from galcfm.survey import Survey, SurveyError
from galcfm.survey.images import decode_jpeg

FEW = (266, 600)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(room, "SECONDS_BETWEEN_QUERIES", 0.001)


def test_each_cut_of_the_server_cuts_and_is_counted(quick, tmp_path):
    frame = spectra(200)
    changes = {"legacy_target1": 32, "sciencePrimary": 0, "zWarning": 4, "reliable": 0}
    changes |= {"petroMag_r": 17.88, "z": 0.31}
    for row, (column, value) in enumerate(changes.items()):
        frame.loc[row, column] = value
    with SkyServer(archive=Archive(frame)) as server:
        rows, counts = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert counts == [200, 199, 198, 197, 196, 195, 194]
        assert len(rows) == 194
        assert sorted(rows["objID"]) == frame["objID"][6:].tolist()
        n = len(server.archive.queries)
        assert n == 2 * 4
        # Pieces that are there are not fetched again.
        again, _ = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert len(server.archive.queries) == n
        pd.testing.assert_frame_equal(rows, again)
    catalogue, cuts = select_galaxies(rows, counts)
    assert len(catalogue) == 194
    assert cuts["galaxies"].tolist()[-3:] == [194, 194, 106_800]


def test_a_server_in_trouble_is_asked_again(quick, tmp_path):
    with SkyServer(archive=Archive(spectra(50))) as server:
        server.archive.answers = [
            "<!DOCTYPE html><html><body>maintenance</body></html>",
            '[{"error_message": "Maximum 60 queries allowed per minute."}]',
        ]
        rows, _ = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert len(rows) == 50


@pytest.mark.parametrize("empty", ["Service Unavailable\n", "\n", "#Table1\n", "#Table1\nn_0\n"])
def test_an_empty_answer_is_no_empty_piece(quick, tmp_path, empty):
    with SkyServer(archive=Archive(spectra(50))) as server:
        server.archive.answers = [empty] * 2
        rows, _ = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert len(rows) == 50
        server.archive.answers = [empty] * 2
        with pytest.raises(CatalogueError, match="the answer has 0 rows, not one"):
            fetch_catalogue(tmp_path / "b", server=server.base, plates=FEW, attempts=2)
        # A piece that holds nothing is not believed for ever.
        for path in tmp_path.glob("*.json"):
            path.write_text(path.read_text(encoding="utf-8").replace("50", "0"), encoding="utf-8")
        rows, counts = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert (len(rows), counts[0]) == (50, 50)


def test_no_answer_ends_in_a_sentence_and_goes_on_later(quick, tmp_path):
    with SkyServer(archive=Archive(spectra(50))) as server:
        server.archive.answers = [None] * 4 + ["<html></html>"] * 2
        with pytest.raises(CatalogueError, match=r"gives no answer .*running again continues"):
            fetch_catalogue(tmp_path, server=server.base, plates=FEW, attempts=2, progress=False)
        n = len(server.archive.queries)
        rows, _ = fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)
        assert len(rows) == 50
        assert len(server.archive.queries) == n + 4
    with pytest.raises(CatalogueError, match="check the network"):
        fetch_catalogue(tmp_path / "b", server=server.base, plates=FEW, attempts=1, progress=False)


def test_an_answer_that_is_cut_off_is_noticed(quick, tmp_path):
    with SkyServer(archive=Archive(spectra(50))) as server:
        server.archive.answers = None
        with pytest.raises(CatalogueError, match="the answer was cut off"):
            fetch_catalogue(tmp_path, server=server.base, plates=FEW, progress=False)


def plain(frame):
    """Rows as they come from the server."""
    return pd.DataFrame(
        {name: frame[column.split(".")[1]] for name, column in room.COLUMNS.items()}
    )


def test_numbers_come_in_the_units_of_a_survey(tmp_path):
    frame = spectra(20)
    frame.loc[0, "tauv_cont"] = -0.1
    catalogue, _ = select_galaxies(plain(frame), [20] * len(room.SQL_CUTS))
    Survey(catalogue).save(tmp_path / "a")
    flux = frame["modelFlux_u"].to_numpy()
    for band, to_ab in (("u", -0.04), ("r", 0), ("z", 0.02)):
        magnitude = 22.5 - 2.5 * np.log10(frame[f"modelFlux_{band}"]) + to_ab
        np.testing.assert_allclose(catalogue[f"mag_{band}"], magnitude - 0.04 * EXTINCTION[band])
    np.testing.assert_allclose(catalogue["magerr_u"], 1.0857362 / (flux * 2), rtol=1e-6)
    np.testing.assert_allclose(catalogue["a_v"], 1.086 * frame["tauv_cont"])
    assert catalogue["a_v"][0] < 0
    constant = {"log_sfr": 0.1, "log_sfr_err": 0.09, "dn4000": 1.3, "dn4000_err": 0.02}
    for name, value in constant.items():
        np.testing.assert_allclose(catalogue[name], value)
    assert catalogue["object_id"][0] == "1237648704043942146"


def test_each_cut_made_here_cuts_and_is_counted():
    frame = spectra(30)
    # A second, noisier spectrum of the same galaxy.
    frame.loc[0, "objID"] = frame.loc[1, "objID"]
    frame.loc[[0, 1], "sn_median"] = [5, 6]
    frame.loc[2, "modelFlux_u"] = -1
    # 4 sigma by the formal errors, 2 by those of repeats.
    frame.loc[3, "nii_6584_flux"] = 12
    frame.loc[4, "oiii_5007_flux"] = 400
    frame.loc[5, "oh_p50"] = -9999
    frame.loc[6, "lgm_tot_p84"] = -9999
    frame.loc[7, "bptclass"] = 3
    catalogue, cuts = select_galaxies(plain(frame), [30] * len(room.SQL_CUTS))
    assert cuts["galaxies"].tolist()[len(room.SQL_CUTS) :] == [29, 28, 27, 26, 24, 23, 106_800]
    assert set(catalogue["object_id"]) == set(frame["objID"][[1, *range(7, 30)]].astype(str))
    assert {*catalogue["redshift"]} & {*frame["z"][:2]} == {frame["z"][1]}
    catalogue, cuts = select_galaxies(plain(frame).head(0), [0] * len(room.SQL_CUTS))
    assert len(catalogue) == sum(cuts["galaxies"][:-1]) == 0


def test_a_survey_from_nothing_but_an_address(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path))
    frame = spectra(40, placed=True)
    with SkyServer(faults={3: "404"}, archive=Archive(frame)) as server:

        def download(name, n_galaxies, **options):
            options = {"plates": FEW, "rate": 1e4, "server": f"{server.base}/"} | options
            return download_survey(tmp_path / name, n_galaxies, progress=False, **options)

        few = download("a", 10, validation=0.2, test=0.3)
        assert few.source == "SDSS"
        number = int(few.object_id[7]) - frame["objID"][0]
        np.testing.assert_array_equal(few.images[7], decode_jpeg(cutout(number)))
        np.testing.assert_allclose(few.catalogue["log_stellar_mass"], 10.2)
        assert len(server.log) == 10
        queries = len(server.archive.queries)
        download("a", 10, validation=0.2, test=0.3)
        more = download("b", 25)
        assert set(few.object_id) <= set(more.object_id)
        every = download("c", 0)
        assert len(every) == 39
        (left_out,) = every.parameters["left_out"]
        assert left_out["object_id"] == str(frame["objID"][3])
        assert "HTTP 404" in left_out["reason"]
        assert pd.DataFrame(every.parameters["cuts"])["galaxies"].tolist()[:2] == [40, 40]
        # Nothing was asked for twice.
        assert len(server.log) == 40
        assert len(server.archive.queries) == queries
        with pytest.raises(SurveyError, match="name another survey, or delete the folder"):
            download("a", 11, validation=0.2, test=0.3)
        with pytest.raises(SurveyError, match="no galaxy of plates 900 to 901"):
            download("d", 0, plates=[900, 901])
    with pytest.raises(ValueError, match="n_galaxies is -1"):
        download_survey(tmp_path / "e", -1)


def test_star_forming_galaxies_lie_below_the_line():
    nitrogen, oxygen = 10 ** np.array([[-0.5, -0.5, 0.2, -0.1, -1.5], [-0.2, 0.3, -1, -3, 0.8]])
    rows = pd.DataFrame({"nii_6584_flux": nitrogen, "oiii_5007_flux": oxygen})
    rows = rows.assign(h_alpha_flux=1.0, h_beta_flux=1.0)
    assert is_star_forming(rows).tolist() == [True, False, False, True, True]
    rows["h_beta_flux"] = [1.0, 0.0, -1.0, np.nan, 1.0]
    assert is_star_forming(rows).tolist() == [True, False, False, False, True]


def test_the_balmer_decrement_gives_an_attenuation():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a_v = balmer_attenuation([2.86, 3.86, 2.5], [1.0, 1.0, 1.0])
        np.testing.assert_allclose(a_v[:2], [0, 0.883], atol=0.01)
        assert a_v[2] < 0
        catalogue, _ = select_galaxies(plain(spectra(5)), [5] * len(room.SQL_CUTS))
    assert catalogue["a_v_balmer"].between(0.5, 1).all()
