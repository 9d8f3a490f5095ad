"""Downloads from a SkyServer that misbehaves, killed and resumed: not a byte differs."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from conftest import toy_survey
from skyserver import SkyServer, cutout, position

from galcfm.sdss import DownloadError, Ledger, download_cutouts, make_survey
from galcfm.survey import Survey, SurveyError
from galcfm.survey.images import decode_jpeg

QUICK = {"rate": 1e4, "backoff": 0.01, "progress": False}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def galaxies(n):
    catalogue = toy_survey(n, images=False).catalogue
    catalogue["ra"], catalogue["dec"] = zip(*map(position, range(n)), strict=True)
    return catalogue


def kept(path):
    with Ledger(path) as ledger:
        return tuple(ledger.counts().values())


def fetch(path, catalogue, server, **options):
    """Download, and return how many are good, failed and waiting, and the ledger's table."""
    with Ledger(path) as ledger:
        ledger.enrol(catalogue)
        counts = download_cutouts(ledger, service=server.address, **QUICK | options)
        assert counts == ledger.counts()
        return tuple(counts.values()), ledger.table().set_index("object_id")


# Killed and resumed

CONCURRENCY = 16
CHILD = """
import sys
import pandas as pd
import psutil
from galcfm.sdss import Ledger, download_cutouts, make_survey

table, path, service, folder = sys.argv[1:]
catalogue = pd.read_parquet(table)

def memory():
    return psutil.Process().memory_info().rss / 2**20

with Ledger(path) as ledger:
    used = []
    for n in (200, len(catalogue)):
        ledger.enrol(catalogue.head(n))
        download_cutouts(
            ledger, service=service, concurrency=%d, rate=1e4, timeout=3, backoff=0.01,
            max_attempts=8, progress=False,
        )
        used.append(memory())
    left_out = make_survey(catalogue, ledger, folder, {"kind": "sdss"})
    print(used[1] - used[0], len(left_out))
"""


def start(folder, name, server):
    arguments = folder / "catalogue.parquet", folder / f"{name}.db", server.address, folder / name
    command = [sys.executable, "-c", CHILD % CONCURRENCY, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )


def test_a_download_that_is_killed_gives_the_same_survey(tmp_path):
    n = 1000
    catalogue = galaxies(n)
    catalogue.to_parquet(tmp_path / "catalogue.parquet")
    with SkyServer() as server:
        calm = start(tmp_path, "calm", server)
        answer, errors = calm.communicate(timeout=200)
        assert calm.returncode == 0, errors
        growth, left_out = answer.split()
        # A fivefold download takes the same memory.
        assert float(growth) < 25
        assert left_out == "0"
        assert sorted(server.good()) == list(range(n))
        assert server.most_under_way <= CONCURRENCY

    moments = sorted(random.sample(range(50, n - 50), 3))
    names = dict(enumerate(catalogue["object_id"]))
    checks = []
    with SkyServer(share=0.2) as server:
        for moment in moments:
            child = start(tmp_path, "wild", server)
            deadline = time.monotonic() + 120
            while len(server.good()) < moment and child.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
            assert child.wait(20) == -signal.SIGKILL
            child.communicate()
            time.sleep(0.1)
            served, n_requests = server.good(), len(server.log)
            with Ledger(tmp_path / "wild.db") as ledger:
                table = ledger.table()
            recorded = set(table["object_id"][table["status"] == "good"])
            # What was answered but not recorded must be asked for again.
            assert len({names[k] for k in served} - recorded) <= CONCURRENCY
            assert recorded
            checks.append((n_requests, recorded))
        child = start(tmp_path, "wild", server)
        _, errors = child.communicate(timeout=200)
        assert child.returncode == 0, errors
        for n_requests, recorded in checks:
            assert not {names[k] for _, k, _ in server.log[n_requests:]} & recorded
        faulty = np.mean([what != "good" for _, _, what in server.log])
        assert 0.15 < faulty < 0.25
        assert server.most_under_way <= 4 * CONCURRENCY
    for name in ("catalogue.parquet", "images.npy", "survey.json"):
        assert (tmp_path / "calm" / name).read_bytes() == (tmp_path / "wild" / name).read_bytes()
    survey = Survey.load(tmp_path / "wild")
    np.testing.assert_array_equal(survey.images[678], decode_jpeg(cutout(678)))


# What fails


def test_what_fails_for_good_is_listed_and_left_out(tmp_path):
    catalogue = galaxies(30)
    faults = {3: "404", 5: "blank", 11: "size"}
    with SkyServer(faults=faults) as server:
        counts, table = fetch(tmp_path / "a.db", catalogue, server, max_attempts=3)
        assert counts == (27, 3, 0)
        requests = len(server.log)
        fetch(tmp_path / "a.db", catalogue, server)
        assert len(server.log) == requests
    assert table["attempts"].iloc[[3, 5, 11, 0]].tolist() == [1, 3, 3, 1]
    with Ledger(tmp_path / "a.db") as ledger:
        left_out = make_survey(catalogue, ledger, tmp_path / "survey", {})
    assert left_out["object_id"].tolist() == catalogue["object_id"][[3, 5, 11]].tolist()
    for reason, expected in zip(left_out["reason"], ("404", "is blank", "64×64"), strict=True):
        assert expected in reason
    survey = Survey.load(tmp_path / "survey")
    assert survey.object_id.tolist() == catalogue["object_id"].drop([3, 5, 11]).tolist()


@pytest.mark.parametrize("header", ["1", "date"])
def test_all_workers_wait_as_the_server_asks(tmp_path, header):
    if header == "date":
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    with SkyServer(retry_after=header) as server:
        asked = server._fault
        server._fault = lambda k: (asked(k), "429" if len(server.log) == 20 else "good")[1]
        counts, _ = fetch(tmp_path / "a.db", galaxies(60), server, concurrency=4)
    assert counts == (60, 0, 0)
    times = [at for at, _, _ in server.log]
    (busy,) = [row for row, (_, _, what) in enumerate(server.log) if what == "429"]
    # The other workers' requests were on their way.
    assert times[busy + 4] - times[busy] > 0.9


def test_the_rate_is_kept_and_progress_shows_it(tmp_path, capsys):
    with SkyServer() as server:
        began = time.monotonic()
        fetch(tmp_path / "a.db", galaxies(40), server, rate=50.0, progress=True)
    assert time.monotonic() - began > 39 / 50
    assert server.most_under_way <= 8
    shown = capsys.readouterr().err
    assert "40/40" in shown
    assert "cutout/s" in shown


def test_a_vanished_network_ends_in_a_sentence_and_goes_on_later(tmp_path):
    catalogue = galaxies(50)
    with SkyServer() as server:
        address = server.address
        fetch(tmp_path / "a.db", catalogue.head(20), server)
    gone = SkyServer()
    gone.port = server.port
    assert gone.address == address
    with pytest.raises(DownloadError, match=r"connection failed.*20 cutouts are kept.*30 are miss"):
        fetch(tmp_path / "a.db", catalogue, gone, max_attempts=3)
    with Ledger(tmp_path / "a.db") as ledger:
        assert tuple(ledger.counts().values()) == (20, 0, 30)
        with pytest.raises(DownloadError, match="30 cutouts are missing"):
            make_survey(catalogue, ledger, tmp_path / "survey", {})
    with SkyServer() as server:
        counts, _ = fetch(tmp_path / "a.db", catalogue, server)
        assert counts == (50, 0, 0)
        assert sorted(server.good()) == list(range(20, 50))


@pytest.mark.parametrize(
    ("fault", "n_good", "message"),
    [
        ("html", 0, "gives no good answers"),
        ("500", 0, "gives no good answers"),
        ("429", 0, "gives no good answers"),
        ("404", 0, r"in a row failed, .*check the address"),
        ("blank", 40, r"in a row failed, the last one with: .*is blank"),
    ],
)
def test_a_server_that_is_down_costs_no_cutout(tmp_path, fault, n_good, message, monkeypatch):
    monkeypatch.setattr("galcfm.sdss.cutouts.MOST_REFUSALS", 4)
    bad = dict.fromkeys(range(n_good, 160), fault)
    with (
        SkyServer(faults=bad, retry_after="0") as server,
        pytest.raises(DownloadError, match=message),
    ):
        fetch(tmp_path / "a.db", galaxies(160), server, max_attempts=2)
    assert kept(tmp_path / "a.db") == (n_good, 0, 160 - n_good)
    assert len({k for _, k, _ in server.log}) < n_good + 40, "it is noticed early"
    with SkyServer() as server:
        assert fetch(tmp_path / "a.db", galaxies(80), server)[0] == (80, 0, 0)


def test_a_refusal_that_passes_costs_no_cutout(tmp_path):
    with SkyServer(passing={7: "403"}) as server:
        counts, table = fetch(tmp_path / "a.db", galaxies(30), server)
    assert counts == (30, 0, 0)
    assert table["attempts"].iloc[7] == 2


# The ledger


def test_a_full_disk_ends_in_a_sentence_and_a_usable_ledger(tmp_path):
    catalogue = galaxies(60)
    with SkyServer() as server:
        with Ledger(tmp_path / "a.db") as ledger:
            ledger.enrol(catalogue)
            ledger.connection.execute("PRAGMA max_page_count = 20")
            with pytest.raises(DownloadError, match=r"full.*free some space.*continues"):
                download_cutouts(ledger, service=server.address, **QUICK)
            assert 0 < ledger.counts()["good"] < 60
        assert fetch(tmp_path / "a.db", catalogue, server)[0] == (60, 0, 0)
    assert 60 < len(server.good()) <= 60 + 8


def test_a_ledger_in_use_or_of_another_kind_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("galcfm.sdss.cutouts.LOCK_WAIT", 0.1)
    with (
        Ledger(tmp_path / "a.db"),
        pytest.raises(DownloadError, match="another download is using it"),
    ):
        Ledger(tmp_path / "a.db")
    (tmp_path / "b.db").write_bytes(b"no database" * 1000)
    with pytest.raises(DownloadError, match="it is no ledger"):
        Ledger(tmp_path / "b.db")
    (tmp_path / "c").mkdir()
    with pytest.raises(DownloadError, match="cannot be used"):
        Ledger(tmp_path / "c")


def test_another_catalogue_or_a_damaged_cutout_is_refused(tmp_path):
    catalogue = galaxies(3)
    with SkyServer() as server:
        fetch(tmp_path / "a.db", catalogue, server)
    with Ledger(tmp_path / "a.db") as ledger:
        with pytest.raises(DownloadError, match="at another position"):
            ledger.enrol(catalogue.assign(ra=catalogue["ra"] + 1))
        ledger.connection.execute("UPDATE jpegs SET data = X'00' WHERE cutout = 2")
        with pytest.raises(DownloadError, match="the file is damaged"):
            make_survey(catalogue, ledger, tmp_path / "survey", {})
        with pytest.raises(DownloadError, match="has no cutout of unknown"):
            ledger.jpeg("unknown")
    assert not (tmp_path / "survey").exists()


def test_no_cutout_at_all_is_no_survey(tmp_path):
    with SkyServer(faults={0: "404", 1: "404"}) as server:
        fetch(tmp_path / "a.db", galaxies(2), server)
    with Ledger(tmp_path / "a.db") as ledger, pytest.raises(SurveyError, match="has no cutout"):
        make_survey(galaxies(2), ledger, tmp_path / "survey", {})


def test_a_running_loop_as_in_a_notebook_fetches_what_this_survey_wants(tmp_path):
    with Ledger(tmp_path / "a.db") as ledger:
        ledger.enrol(galaxies(40))

    async def cell(server):
        return fetch(tmp_path / "a.db", galaxies(5), server)[0]

    with SkyServer() as server:
        assert asyncio.run(cell(server)) == (5, 0, 0)
        # What another survey left waiting was not fetched.
        assert sorted(server.good()) == list(range(5))


def test_settings_must_be_positive(tmp_path):
    with Ledger(tmp_path / "a.db") as ledger, pytest.raises(ValueError, match="rate is 0"):
        download_cutouts(ledger, rate=0)


# Disks and locks, in processes of their own

LIMITED = """
import resource
import sys
import pandas as pd
from galcfm.sdss import Ledger, make_survey

table, path, folder, limit = sys.argv[1:]
catalogue = pd.read_parquet(table)
with Ledger(path) as ledger:
    # Files larger than this cannot be written: as on a full disk, a write fails half-way.
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    make_survey(catalogue, ledger, folder, {"kind": "sdss"})
"""


@pytest.mark.parametrize("limit", [100_000, 1_000_000])
def test_a_disk_that_fills_while_images_are_derived(tmp_path, limit):
    catalogue, table = galaxies(100), tmp_path / "catalogue.parquet"
    catalogue.to_parquet(table)
    with SkyServer() as server:
        fetch(tmp_path / "a.db", catalogue, server)

    def make(limit):
        arguments = table, tmp_path / "a.db", tmp_path / "survey", limit
        command = [sys.executable, "-c", LIMITED, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100)

    ended = make(limit)
    assert ended.returncode == 1
    sentence = ended.stderr.strip().split("\n")[-1]
    assert sentence.startswith("OSError:")
    assert "survey cannot be written (File too large): free some space" in sentence
    assert not (tmp_path / "survey").exists()
    assert make(10**9).returncode == 0
    assert len(Survey.load(tmp_path / "survey")) == 100


def test_two_processes_do_not_write_one_survey(tmp_path, monkeypatch):
    monkeypatch.setattr("galcfm.paths.LOCK_WAIT", 0.1)
    survey = toy_survey(3)
    code = (
        "import sys; from galcfm.survey import SurveyWriter;"
        "writer = SurveyWriter(sys.argv[1], 2); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        with pytest.raises(SurveyError, match="another process or thread is making"):
            survey.save(tmp_path / "a")
        other.kill()
    survey.save(tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
