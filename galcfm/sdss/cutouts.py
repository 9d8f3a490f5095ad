"""Cutouts from SkyServer: downloaded politely, verified, and never twice.

A ledger, one SQLite file, holds each cutout's status, attempts, SHA-256 and the JPEG as it came.
Each answer is committed before its worker asks for the next, so that a killed download repeats
at most one request a worker. A survey's images are derived from the ledger.
"""

import asyncio
import hashlib
import random
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from galcfm.paths import LOCK_WAIT, disk_errors_in_a_sentence, no_bar, require_disk_space, user_path
from galcfm.sdss.catalogue import DATA_RELEASE, SKYSERVER
from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, verify_jpeg

__all__ = ["CUTOUT_SERVICE", "DownloadError", "Ledger", "download_cutouts"]

# "Image Cutout" in https://skyserver.sdss.org/dr17/en/help/docs/api.aspx
CUTOUT_SERVICE = f"{SKYSERVER}/dr{DATA_RELEASE}/SkyServerWS/ImgCutout/getjpeg"
# What one galaxy takes: the JPEG with its ledger entry.
JPEG_BYTES = 10_000
LARGEST_ANSWER = 2_000_000
LONGEST_WAIT = 600.0  # s
# So many cutouts in a row that fail for good mean a wrong address rather than odd galaxies.
ROW_OF_FAILURES = 20
MOST_REFUSALS = 20
SCHEMA = """
CREATE TABLE IF NOT EXISTS cutouts (
    object_id TEXT PRIMARY KEY NOT NULL, ra REAL NOT NULL, dec REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT, bytes INTEGER, reason TEXT, service TEXT
);
CREATE TABLE IF NOT EXISTS jpegs (cutout INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TEMP TABLE wanted (object_id TEXT PRIMARY KEY NOT NULL);
"""
# What a larger survey left waiting is not this one's concern.
WANTED = "(object_id IN wanted OR NOT EXISTS (SELECT 1 FROM wanted))"


class DownloadError(RuntimeError):
    """A download that cannot go on, in one sentence; what is in the ledger stays usable."""


class _Fault(Exception):
    """One bad answer.

    Arguments:
        own: the galaxy's fault, not the server's.
        lasting: asking again will not help.
        busy: the server asks for patience; that is no attempt.
        retry_after: for how long [s].
    """

    def __init__(self, reason, *, own=False, lasting=False, busy=False, retry_after=0.0):
        super().__init__(reason)
        self.own, self.lasting, self.busy, self.retry_after = own, lasting, busy, retry_after


class Ledger:
    """The cutouts of a catalogue: what is there, what is missing and why, in one SQLite file.

    A context manager. While it is open no other process can open the file; the lock goes with the
    process, however it ends.

    Arguments:
        path: the file; made if it is not there.

    Raises:
        DownloadError: the file is in use, no ledger, or cannot be written.
    """

    def __init__(self, path: Path | str):
        self.path = user_path(path)
        with disk_errors_in_a_sentence(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._in_a_sentence():
            # Downloads in a notebook run in a thread of their own, one at a time.
            self.connection = sqlite3.connect(
                self.path, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False
            )
            try:
                tables = self.connection.execute("SELECT name FROM sqlite_master").fetchall()
                if tables and ("jpegs",) not in tables:
                    raise sqlite3.DatabaseError("not a database of cutouts")
                # Exclusive: two downloads never fetch the same cutouts; WAL: a kill at any
                # moment leaves the last commit.
                self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.execute("PRAGMA synchronous = NORMAL")
                self.connection.execute("PRAGMA temp_store = MEMORY")
                self.connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
            except BaseException:
                self.connection.close()
                raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exception) -> None:
        self.connection.close()

    @contextmanager
    def _in_a_sentence(self):
        try:
            yield
        except sqlite3.Error as error:
            what = str(error)
            if "locked" in what:
                advice = "another download is using it: wait for it, or stop it"
            elif "not a database" in what or "malformed" in what or "no such column" in what:
                advice = "it is no ledger of cutouts, or damaged: move it away and start again"
            else:
                advice = (
                    "free some space, or check that the folder can be written; what it holds is "
                    "kept, and running again continues"
                )
            raise DownloadError(f"the ledger {self.path} cannot be used ({what}): {advice}") from (
                error
            )

    @contextmanager
    def _transaction(self):
        with self._in_a_sentence():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # After a full disk SQLite has rolled back by itself.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def enrol(self, catalogue: pd.DataFrame) -> None:
        """Add the galaxies of `catalogue` (`object_id`, `ra`, `dec` [deg]) that are not there yet.

        From then on this object counts and downloads only what was enrolled through it.

        Raises:
            DownloadError: a galaxy is there at another position.
        """
        rows = list(
            zip(
                catalogue["object_id"].astype(str),
                catalogue["ra"].astype(float),
                catalogue["dec"].astype(float),
                strict=True,
            )
        )
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO cutouts (object_id, ra, dec) VALUES (?, ?, ?)", rows
            )
            connection.executemany(
                "INSERT OR IGNORE INTO wanted VALUES (?)", ((row[0],) for row in rows)
            )
            for row in rows:
                (known,) = connection.execute(
                    "SELECT ABS(ra - ?2) + ABS(dec - ?3) < 1e-6 FROM cutouts WHERE object_id = ?1",
                    row,
                )
                if not known[0]:
                    raise DownloadError(
                        f"the ledger {self.path} has {row[0]} at another position than the "
                        "catalogue: use another ledger for another catalogue"
                    )

    def counts(self) -> dict[str, int]:
        """Number of cutouts by status: `good`, `failed` and `waiting`."""
        with self._in_a_sentence():
            found = self.connection.execute(
                f"SELECT status, COUNT(*) FROM cutouts WHERE {WANTED} GROUP BY status"
            )
            return {"good": 0, "failed": 0, "waiting": 0} | dict(found.fetchall())

    def waiting(self) -> Iterator[tuple[int, float, float]]:
        """Row number and position of each cutout that is not there yet."""
        last = 0
        while True:
            with self._in_a_sentence():
                rows = self.connection.execute(
                    "SELECT rowid, ra, dec FROM cutouts WHERE status = 'waiting' AND rowid > ? "
                    f"AND {WANTED} ORDER BY rowid LIMIT 256",
                    (last,),
                ).fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][0]

    def record(self, row: int, status: str, reason: str | None, service: str, jpeg=None) -> int:
        """Commit the outcome of one attempt; returns the number of attempts so far."""
        with self._transaction() as connection:
            (attempts,) = connection.execute(
                "UPDATE cutouts SET status = ?, reason = ?, service = ?, sha256 = ?, bytes = ?, "
                "attempts = attempts + 1 WHERE rowid = ? RETURNING attempts",
                (
                    status,
                    reason,
                    service,
                    None if jpeg is None else hashlib.sha256(jpeg).hexdigest(),
                    None if jpeg is None else len(jpeg),
                    row,
                ),
            ).fetchone()
            if jpeg is not None:
                connection.execute("INSERT OR REPLACE INTO jpegs VALUES (?, ?)", (row, jpeg))
        return attempts

    def mark(self, rows: Sequence[int], status: str) -> None:
        """Give cutouts up, `"failed"`, for the reason of their last attempts, or let them wait."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE cutouts SET status = ? WHERE rowid = ?", [(status, row) for row in rows]
            )

    def table(self) -> pd.DataFrame:
        """A row a cutout: `object_id`, `status`, `attempts`, `sha256`, `bytes`, `reason`."""
        with self._in_a_sentence():
            found = self.connection.execute(
                "SELECT object_id, status, attempts, sha256, bytes, reason FROM cutouts "
                "ORDER BY rowid"
            )
            names = [column[0] for column in found.description]
            return pd.DataFrame(found.fetchall(), columns=names)

    def jpeg(self, object_id: str) -> bytes:
        """The JPEG of a galaxy as it came.

        Raises:
            DownloadError: there is none, or it is not what was recorded.
        """
        with self._in_a_sentence():
            found = self.connection.execute(
                "SELECT data, sha256 FROM cutouts JOIN jpegs ON jpegs.cutout = cutouts.rowid "
                "WHERE object_id = ? AND status = 'good'",
                (object_id,),
            ).fetchone()
        if found is None:
            raise DownloadError(f"the ledger {self.path} has no cutout of {object_id}: download it")
        if hashlib.sha256(found[0]).hexdigest() != found[1]:
            raise DownloadError(
                f"the cutout of {object_id} in {self.path} is not the one that was recorded: the "
                "file is damaged, move it away and start again"
            )
        return found[0]


def download_cutouts(
    ledger: Ledger,
    *,
    service: str = CUTOUT_SERVICE,
    concurrency: int = 8,
    rate: float = 10.0,
    timeout: float = 30.0,
    max_attempts: int = 6,
    backoff: float = 1.0,
    progress: bool = True,
) -> dict[str, int]:
    """Download every cutout that waits in the ledger.

    An answer counts once it is verified: a whole colour JPEG of 128×128 pixels that is not blank.
    Others are asked for again after `backoff`, twice that, and so on, with jitter, or as the
    server's Retry-After says, which all workers honour. What fails for good stays in the ledger
    with its reason.

    Arguments:
        ledger: with the galaxies enrolled.
        service: address of the cutout service; takes `ra`, `dec`, `scale`, `width`, `height`.
        concurrency: requests under way at once.
        rate: requests a second at most.
        timeout: of one request [s].
        max_attempts: attempts before a cutout is given up.
        backoff: wait after the first bad answer [s].
        progress: show a bar with rate and time left.

    Returns:
        Number of cutouts by status, as `Ledger.counts`.

    Raises:
        DownloadError: the network or the service is gone, the disk is full, or the ledger cannot
            be written. What was downloaded is kept, and calling again continues.
    """
    for name, value in (("concurrency", concurrency), ("rate", rate), ("timeout", timeout)):
        if not value > 0:
            raise ValueError(f"{name} is {value}: it must be positive")
    counts = ledger.counts()
    require_disk_space(ledger.path.parent, counts["waiting"] * JPEG_BYTES)
    if not counts["waiting"]:
        return counts
    stopping = threading.Event()
    with tqdm(
        desc="cutouts",
        unit="cutout",
        total=sum(counts.values()),
        initial=counts["good"] + counts["failed"],
        disable=no_bar(progress),
        smoothing=0.05,
    ) as bar:
        download = _Download(ledger, service, concurrency, rate, timeout, bar, stopping)
        download.max_attempts, download.backoff = max_attempts, backoff
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(download.run())
        else:
            # A notebook has a loop of its own: this one runs in a thread, which an interrupt stops.
            with ThreadPoolExecutor(1) as pool:
                try:
                    pool.submit(asyncio.run, download.run()).result()
                finally:
                    stopping.set()
    return ledger.counts()


class _Download:
    def __init__(self, ledger, service, concurrency, rate, timeout, bar, stopping):
        self.ledger, self.service, self.concurrency = ledger, service, concurrency
        self.interval, self.timeout, self.bar, self.stopping = 1 / rate, timeout, bar, stopping
        self.next_slot = self.paused_until = 0.0
        self.n_good, self.failed_in_a_row = 0, []

    async def run(self) -> None:
        import aiohttp

        queue = self.ledger.waiting()
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            connector=aiohttp.TCPConnector(limit=self.concurrency),
            headers={"User-Agent": "galcfm (https://arxiv.org/abs/2512.05078)"},
            trust_env=True,
        ) as self.session:
            workers = [asyncio.create_task(self._work(queue)) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, queue) -> None:
        for row, ra, dec in queue:
            await self._get(row, ra, dec)
            if self.stopping.is_set():
                return

    async def _get(self, row: int, ra: float, dec: float) -> None:
        """One cutout, until it is good or given up."""
        n_good, attempts, refusals = self.n_good, 0, 0
        while attempts < self.max_attempts and refusals < MOST_REFUSALS:
            await self._slot()
            try:
                jpeg = await self._ask(ra, dec)
            except _Fault as fault:
                last = fault
                total = self.ledger.record(row, "waiting", str(fault), self.service)
                attempts, refusals = attempts + (not fault.busy), refusals + fault.busy
                if fault.retry_after:
                    self._pause(fault.retry_after)
                if (fault.lasting and fault.own) or self.stopping.is_set():
                    break
                wait = self.backoff * 2 ** (attempts + refusals - 1) * random.uniform(0.5, 1)
                await asyncio.sleep(min(wait, LONGEST_WAIT))
            else:
                self.ledger.record(row, "good", None, self.service, jpeg)
                self.n_good += 1
                self.failed_in_a_row = []
                self.bar.update()
                return
        if self.stopping.is_set():
            return
        # When nothing came in meanwhile, the service is at fault rather than this galaxy; three
        # runs of that are enough.
        if not (last.own or self.n_good > n_good or total >= 3 * self.max_attempts):
            raise DownloadError(
                f"{self.service} gives no good answers ({last}): check the network, or wait; "
                f"{self._kept()}"
            )
        self.ledger.mark([row], "failed")
        self.bar.update()
        self.failed_in_a_row.append(row)
        if len(self.failed_in_a_row) >= ROW_OF_FAILURES:
            # So many are no fault of theirs.
            self.ledger.mark(self.failed_in_a_row, "waiting")
            raise DownloadError(
                f"{ROW_OF_FAILURES} cutouts in a row failed, the last one with: {last}; "
                f"check the address {self.service}; {self._kept()}"
            )

    def _kept(self) -> str:
        counts = self.ledger.counts()
        return (
            f"{counts['good']} cutouts are kept in {self.ledger.path}, {counts['waiting']} are "
            "missing, and running again continues"
        )

    async def _slot(self) -> None:
        """Wait for this request's turn."""
        loop = asyncio.get_running_loop()
        slot = max(self.next_slot, loop.time())
        self.next_slot = slot + self.interval
        await asyncio.sleep(slot - loop.time())
        while (wait := self.paused_until - loop.time()) > 0:
            # Not all at the same moment when the pause is over.
            await asyncio.sleep(wait + random.uniform(0, self.interval * self.concurrency))

    def _pause(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_WAIT)
        self.paused_until = max(self.paused_until, until)

    async def _ask(self, ra: float, dec: float) -> bytes:
        """A verified JPEG, or a `_Fault`."""
        import aiohttp

        height, width = IMAGE_SHAPE[:2]
        query = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}", "scale": str(PIXEL_SCALE)}
        query |= {"width": str(width), "height": str(height)}
        try:
            async with self.session.get(self.service, params=query) as answer:
                if answer.status != 200:
                    passing = answer.status in (408, 425, 429) or answer.status >= 500
                    raise _Fault(
                        f"HTTP {answer.status} {answer.reason}",
                        own=answer.status in (400, 404, 410, 422),
                        lasting=not passing,
                        busy=answer.status in (429, 503),
                        retry_after=_retry_after(answer.headers.get("Retry-After")),
                    )
                data = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    data += chunk
                    if len(data) > LARGEST_ANSWER:
                        raise _Fault(f"the answer is longer than {LARGEST_ANSWER} bytes")
        except TimeoutError as error:
            raise _Fault(f"no answer within {self.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            what = str(error) or type(error).__name__
            raise _Fault(f"the connection failed: {what}") from error
        try:
            verify_jpeg(bytes(data))
        except ValueError as error:
            # A picture that is whole but of no use is the galaxy's; anything else the server's.
            own = data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"
            raise _Fault(str(error), own=own) from error
        return bytes(data)


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for: a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return 0.0
    with suppress(ValueError):
        return max(0.0, float(value))
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
