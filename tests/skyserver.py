"""A SkyServer on 127.0.0.1 that misbehaves on purpose, for the tests of the downloads."""

import asyncio
import random
import socket
import sqlite3
import struct
import threading
import time
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd

from galcfm.properties import BANDS
from galcfm.sdss.catalogue import LINES
from galcfm.survey.images import encode_jpeg

FAULTS = ("429", "500", "reset", "stall", "cut", "damaged", "size", "html")
STATUS = {
    "429": "429 Busy", "500": "500 Internal Server Error", "404": "404 Not Found",
    "403": "403 Forbidden",
}  # fmt: skip
PAGE = b"<!DOCTYPE html><html><body>The service is under maintenance.</body></html>"


@lru_cache(None)
def cutout(k: int) -> bytes:
    """A small JPEG of its own for galaxy `k`."""
    blocks = np.random.default_rng(k).integers(0, 255, (4, 4, 3), np.uint8)
    return encode_jpeg(blocks.repeat(32, 0).repeat(32, 1))


def position(k: int) -> tuple[float, float]:
    """Right ascension and declination of galaxy `k` [deg]."""
    return k / 100, 1.0


def spectra(n, seed=0, placed=False):
    """Spectra that pass every cut, with the names of the server's tables.

    With `placed`, galaxies stand where the server has a cutout of their own.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "specObjID": 299489676975171584 + np.arange(n),
            "objID": 1237648704043942146 + np.arange(n),
            "plate": rng.integers(266, 600, n),
            "legacy_target1": rng.choice([64, 64 + 32, 128, 256 + 2], n),
            "sciencePrimary": 1,
            "zWarning": 0,
            "reliable": 1,
            "z": rng.uniform(0.03, 0.2, n),
            "petroMag_r": rng.uniform(15, 17.7, n),
            "extinction_r": 0.1,
            "ra": rng.uniform(0, 360, n),
            "dec": rng.uniform(-5, 60, n),
            "sn_median": rng.uniform(5, 30, n),
            "e_bv_sfd": 0.04,
            "bptclass": 1,
            # Emission lines fill the first pair; the survey takes the second.
            "d4000_n": 1.25,
            "d4000_n_err": 0.03,
            "d4000_n_sub": 1.3,
            "d4000_n_sub_err": 0.02,
            "tauv_cont": rng.uniform(-0.2, 1.5, n),
            "h_alpha_flux": 300.0,
            "h_beta_flux": 80.0,
            "oiii_5007_flux": 60.0,
            "nii_6584_flux": 90.0,
        }
    )
    for line in LINES:
        frame[f"{line}_flux_err"] = 3.0
    for band in BANDS:
        frame[f"modelFlux_{band}"] = rng.uniform(50, 500, n)
        frame[f"modelFluxIvar_{band}"] = 4.0
    for name, value in (("lgm_tot", 10.2), ("sfr_tot", 0.1), ("oh", 8.9)):
        for percentile, shift in ((16, -0.08), (50, 0), (84, 0.1)):
            frame[f"{name}_p{percentile}"] = value + shift
    if placed:
        frame["ra"], frame["dec"] = zip(*map(position, range(n)), strict=True)
    return frame


TABLES = {
    "SpecObjAll": "specObjID objID plate legacy_target1 sciencePrimary zWarning z",
    "PhotoObjAll": "objID ra dec petroMag_r extinction_r modelFlux modelFluxIvar",
    "galSpecInfo": "specObjID reliable sn_median e_bv_sfd",
    "galSpecIndx": "specObjID d4000_n tauv_cont",
    "galSpecLine": " ".join(["specObjID", *LINES]),
    "galSpecExtra": "specObjID bptclass lgm_tot sfr_tot oh",
}


class Archive:
    """Speaks the format of SkyServer's SQL search: #Table1, then CSV; runs the SQL in SQLite."""

    def __init__(self, frame):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        for table, names in TABLES.items():
            names = names.split()
            columns = [c for c in frame if any(c == n or c.startswith(f"{n}_") for n in names)]
            part = frame[columns].drop_duplicates(columns[0])
            if table == "SpecObjAll":
                part = part.rename(columns={"objID": "bestObjID"})
            part.to_sql(table, self.database, index=False)
        self.queries, self.answers = [], []

    def answer(self, sql):
        with self.lock:
            self.queries.append(sql)
            if self.answers:
                answer = self.answers.pop(0)
                if isinstance(answer, str):
                    return answer
            table = pd.read_sql(sql, self.database)
            if self.answers is None:
                table = table.head(1)
        return "#Table1\n" + table.to_csv(index=False, na_rep="null")


class SkyServer:
    """Answers for galaxies by position, in a thread.

    Arguments:
        share: share of faulty requests; which ones depends on the galaxy and the count of its
            requests alone, and a galaxy has 4 faults at most.
        faults: galaxy to the fault that it always has.
        passing: galaxy to the fault that its first request has.
        retry_after: what 429 asks for.
        archive: answers SQL.

    Attributes:
        log: `(time, galaxy, fault or "good")` of each request, in order.
    """

    def __init__(self, share=0.0, faults=None, retry_after="0.05", archive=None, passing=None):
        self.share, self.faults, self.retry_after = share, faults or {}, retry_after
        self.passing = passing or {}
        self.archive = archive
        self.log, self.count, self.under_way, self.most_under_way = [], {}, 0, 0

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        async def close():
            self.server.close()
            others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.base}/dr17/SkyServerWS/ImgCutout/getjpeg"

    def good(self) -> list[int]:
        """Galaxies that got a good answer, in order."""
        return [k for _, k, what in self.log if what == "good"]

    def _fault(self, k: int) -> str:
        n = self.count[k] = self.count.get(k, 0) + 1
        if k in self.faults or (n == 1 and k in self.passing):
            return (self.faults | self.passing)[k]
        dice = random.Random(f"{k} {n}")
        return dice.choice(FAULTS) if n <= 4 and dice.random() < self.share else "good"

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                try:
                    await self._answer(head, writer)
                    await writer.drain()
                finally:
                    self.under_way -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head, writer):
        where = urlsplit(head.split()[1].decode())
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        if "cmd" in query:
            assert where.path == "/dr17/en/tools/search/x_results.aspx"
            assert query["format"] == "csv"
            body = self.archive.answer(query["cmd"]).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        assert where.path == "/dr17/SkyServerWS/ImgCutout/getjpeg"
        assert (query["scale"], query["width"], query["height"]) == ("0.396", "128", "128")
        k = round(float(query["ra"]) * 100)
        what = self._fault(k)
        self.log.append((time.monotonic(), k, what))
        body = PAGE if what == "html" or what in STATUS else cutout(k)
        if what == "damaged":
            body = body[: len(body) // 2]
        elif what == "size":
            body = encode_jpeg(np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8))
        elif what == "blank":
            body = encode_jpeg(np.full((128, 128, 3), 2, np.uint8))
        elif what == "stall":
            await asyncio.sleep(600)
        elif what == "reset":
            handle = writer.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionResetError
        head = f"HTTP/1.1 {STATUS.get(what, '200 OK')}\r\nContent-Length: {len(body)}\r\n"
        head += f"Retry-After: {self.retry_after}\r\n\r\n" if what == "429" else "\r\n"
        writer.write(head.encode() + (body[: len(body) // 3] if what == "cut" else body))
        if what == "cut":
            await writer.drain()
            raise ConnectionAbortedError
