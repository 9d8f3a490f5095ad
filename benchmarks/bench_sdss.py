"""Throughput of the cutout download from a fault-free local server.

    python benchmarks/bench_sdss.py

Server and client share the machine; the pause between requests is switched off.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import pandas as pd
from skyserver import SkyServer, cutout, position

from galcfm.sdss import Ledger, download_cutouts

N = 2000


def main() -> None:
    rows = [(str(k), *position(k)) for k in range(N)]
    catalogue = pd.DataFrame(rows, columns=["object_id", "ra", "dec"])
    for k in range(N):
        cutout(k)
    for concurrency in (1, 8, 16, 32):
        with (
            SkyServer() as server,
            tempfile.TemporaryDirectory() as folder,
            Ledger(Path(folder) / "ledger.db") as ledger,
        ):
            ledger.enrol(catalogue)
            began = time.perf_counter()
            download_cutouts(
                ledger, service=server.address, concurrency=concurrency, rate=1e6, progress=False
            )
            seconds = time.perf_counter() - began
        print(f"concurrency {concurrency:2d}: {N / seconds:6.0f} cutouts/s")


if __name__ == "__main__":
    main()
