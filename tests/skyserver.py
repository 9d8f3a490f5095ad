"""A SkyServer on 127.0.0.1 that misbehaves on purpose, for the tests of the downloads."""

import asyncio
import random
import socket
import struct
import threading
import time
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

import numpy as np

from galcfm.images import encode_jpeg

FAULTS = ("429", "500", "reset", "stall", "cut", "damaged", "size", "html")
PAGE = b"<!DOCTYPE html><html><body>The service is under maintenance.</body></html>"


@lru_cache(None)
def cutout(k: int) -> bytes:
    """A small JPEG of its own for galaxy `k`."""
    blocks = np.random.default_rng(k).integers(0, 255, (4, 4, 3), np.uint8)
    return encode_jpeg(blocks.repeat(32, 0).repeat(32, 1))


def position(k: int) -> tuple[float, float]:
    """Right ascension and declination of galaxy `k` [deg]."""
    return k / 100, 1.0


class SkyServer:
    """Answers for galaxies by position, in a thread.

    Arguments:
        share: share of faulty requests; which ones depends on the galaxy and the count of its
            requests alone, and a galaxy has 4 faults at most.
        faults: galaxy to the fault that it always has.
        retry_after: what 429 asks for.

    Attributes:
        log: `(time, galaxy, fault or "good")` of each request, in order.
    """

    def __init__(self, share=0.0, faults=None, retry_after="0.05"):
        self.share, self.faults, self.retry_after = share, faults or {}, retry_after
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
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/dr17/SkyServerWS/ImgCutout/getjpeg"

    def good(self) -> list[int]:
        """Galaxies that got a good answer, in order."""
        return [k for _, k, what in self.log if what == "good"]

    def _fault(self, k: int) -> str:
        n = self.count[k] = self.count.get(k, 0) + 1
        if k in self.faults:
            return self.faults[k]
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
        query = {
            name: values[0]
            for name, values in parse_qs(urlsplit(head.split()[1].decode()).query).items()
        }
        assert (query["scale"], query["width"], query["height"]) == ("0.396", "128", "128")
        k = round(float(query["ra"]) * 100)
        what = self._fault(k)
        self.log.append((time.monotonic(), k, what))
        status, body, extra = "200 OK", cutout(k), ""
        if what == "429":
            status, body, extra = "429 Busy", PAGE, f"Retry-After: {self.retry_after}\r\n"
        elif what == "500":
            status, body = "500 Internal Server Error", PAGE
        elif what == "404":
            status, body = "404 Not Found", PAGE
        elif what == "html":
            body = PAGE
        elif what == "damaged":
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
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + (body[: len(body) // 3] if what == "cut" else body))
        if what == "cut":
            await writer.drain()
            raise ConnectionAbortedError
