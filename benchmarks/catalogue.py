"""Scaling of inference over catalogues with the number of workers and of rows.

Run `python benchmarks/catalogue.py` on an otherwise idle machine. Each part writes its results to
data/published/catalogue.json as soon as it is done; `--only` selects parts. `--smoke` is a small
test that writes to the run `smoke`.

Workers: galaxies per second of one and of two processes with one thread each, in turn, on the same
    rows, from the first record to the last, so that starting and loading are not timed. Rows: core
    seconds and bytes per galaxy, and the peak memory of the process, with a separate process for
    each number of rows. Faults: one catalogue with a full disk, a scheduler that is killed once and
    workers that are killed three times, compared with an undisturbed run.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import Table, parquet

from galcfm import paths, runs  # noqa: F401, since runs makes studies importable
from galcfm.catalogue import CatalogueError, infer_catalogue
from galcfm.catalogue.files import RECORD
from galcfm.properties import MAGNITUDES
from galcfm.provenance import processor, provenance
from studies.past_one_machine import MEASURED, cost_of

MODEL = paths.published_folder() / "models" / "photometry"
TYPICAL = (18.9, 17.6, 17.1, 16.8, 16.6)
TOLD = {"unit": "AB", "total": True, "dereddened": True, "progress": False}
# Few draws, so that a million rows do not take days; the scaling with rows does not depend on them.
LIGHT = {"n_samples": 8, "steps": 1}
SIZES = {
    False: {
        "rows": (10**3, 10**4, 10**5, 10**6),
        "scaling_rows": 4000,
        "pairs": 3,
        "samples": 200,
        "faults": 10**5,
    },
    True: {"rows": (200, 800), "scaling_rows": 80, "pairs": 1, "samples": 20, "faults": 1000},
}
PARTITIONS = 50


def write_table(path: Path, n: int) -> None:
    """Write a table of `n` galaxies, one block of rows at a time."""
    rng, writer = np.random.default_rng(0), None
    for start in range(0, n, 100_000):
        number = np.arange(start, min(start + 100_000, n))
        magnitudes = np.array(TYPICAL)[:, None] + 0.3 * rng.standard_normal((5, len(number)))
        frame = pd.DataFrame({"object_id": number} | dict(zip(MAGNITUDES, magnitudes, strict=True)))
        table = Table.from_pandas(frame, preserve_index=False)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def scaling(place: Path, n: int, pairs: int, n_samples: int) -> dict:
    """Return galaxies per second of one and two workers, and the ratio of two to twice one."""
    from distributed import Client, LocalCluster

    write_table(place / "scaling.parquet", n)
    rates = {1: [], 2: []}
    for pair in range(pairs):
        for workers in rates:
            out = place / f"scaling-{workers}-{pair}"
            options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = LocalCluster(**options)
            with cluster, Client(cluster):
                infer_catalogue(
                    MODEL,
                    place / "scaling.parquet",
                    out,
                    n_samples=n_samples,
                    rows_a_partition=max(1, n // 40),
                    **TOLD,
                )
            files = sorted((out / "records").glob("*.json"), key=lambda path: path.stat().st_mtime)
            ends = [path.stat().st_mtime for path in files]
            rows = sum(RECORD.read(path)["used"] for path in files[workers:])
            rates[workers].append(rows / (ends[-1] - ends[workers - 1]))
    share = [two / (2 * one) for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "rows": n,
        "n_samples": n_samples,
        "galaxies_a_second": {str(k): statistics.median(v) for k, v in rates.items()},
        "share_of_linear": statistics.median(share),
        "shares_of_linear": share,
    }


def growth(place: Path, n: int) -> dict:
    """Return the cost per galaxy in a catalogue of `n`, and the peak memory."""
    write_table(place / "growth.parquet", n)
    command = [sys.executable, __file__, "--alone", str(place)]
    answer = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return json.loads(answer.stdout.splitlines()[-1])


def alone(place: Path) -> None:
    """Infer one table and print its cost; the memory is of this process only."""
    out = Path(tempfile.mkdtemp(dir=place))
    started = time.perf_counter()
    made = infer_catalogue(MODEL, place / "growth.parquet", out / "made", **LIGHT, **TOLD)
    seconds = time.perf_counter() - started
    found = cost_of(made.folder) | {"wall_seconds": seconds}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_memory_mib": round(peak)}))


def faults(place: Path, n: int) -> dict:
    """Return whether each row of a catalogue of `n` is present once and unchanged after faults."""
    from distributed import Client, LocalCluster

    table, out, whole = place / "faults.parquet", place / "disturbed", place / "undisturbed"
    write_table(table, n)
    told = LIGHT | TOLD | {"rows_a_partition": n // PARTITIONS}
    infer_catalogue(MODEL, table, whole, **told)
    ended = [_full_disk(table, out, n), _lost_scheduler(table, out, told)]
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    cluster = LocalCluster(**options)
    with cluster, Client(cluster):
        killed: list[int] = []
        thread = threading.Thread(target=_kill_workers, args=(cluster, out, killed), daemon=True)
        thread.start()
        made = infer_catalogue(MODEL, table, out, **told)
        thread.join()
    found, expected = made.table(), pd.read_parquet(whole / "dataset")
    columns = [name for name in expected if name in found]
    found, expected = (
        t[columns].sort_values("object_id", ignore_index=True) for t in (found, expected)
    )
    return {
        "rows": n,
        "ended": ended,
        "workers_killed": len(killed),
        "rows_once": int(found["object_id"].nunique() == len(found) == n),
        "equal": bool(found.equals(expected)),
    }


def _records(out: Path) -> int:
    return len(list((out / "records").glob("*.json")))


def _full_disk(table: Path, out: Path, n: int) -> str:
    """Return the message when no file may grow beyond a few bytes per row."""
    words = ["--unit", "AB", "--total", "--dereddened", "--quiet", "--samples", "8", "--steps", "1"]
    words += ["--rows", str(n // PARTITIONS)]
    limit = 40 * n // PARTITIONS
    words += ["--model", MODEL, "--out", out]
    answer = subprocess.run(
        [sys.executable, "-m", "galcfm.catalogue.command", "infer", table, *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        encoding="utf-8",
    )
    return f"{answer.returncode}: {answer.stderr.strip().splitlines()[-1]}"


def _lost_scheduler(table: Path, out: Path, told: dict) -> str:
    """Return the message when the scheduler is killed after some partitions."""
    from distributed import Client

    address = out.with_name("scheduler.json")
    parts = {"scheduler": ["--port", "0"], "worker": ["--nthreads", "1", "--death-timeout", "5"]}
    processes = []
    for kind, words in parts.items():
        module = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        words = [*words, *["--no-nanny"] * (kind == "worker")]
        processes.append(
            subprocess.Popen([*module, "--scheduler-file", str(address), *words], **quiet)
        )

    def kill():
        before = _records(out)
        while _records(out) < before + 5:
            time.sleep(0.02)
        processes[0].kill()

    try:
        while not address.exists():
            time.sleep(0.1)
        with Client(scheduler_file=str(address), timeout=10):
            threading.Thread(target=kill, daemon=True).start()
            infer_catalogue(MODEL, table, out, **told)
    except CatalogueError as error:
        return str(error)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return "not noticed"


def _kill_workers(cluster, out: Path, killed: list[int]) -> None:
    """Kill a worker three times, each time after some more partitions."""
    before = _records(out)
    for number in (3, 8, 13):
        while _records(out) < before + number:
            time.sleep(0.02)
        fresh = [w.pid for w in cluster.workers.values() if w.pid not in {None, *killed}]
        if fresh:
            os.kill(fresh[0], signal.SIGKILL)
            killed.append(fresh[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small test of all parts")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--alone", type=Path, help="used by the benchmark itself")
    options = parser.parse_args()
    if options.alone:
        return alone(options.alone)
    folder = paths.run_folder("smoke") / "published" if options.smoke else paths.published_folder()
    path = folder / "catalogue.json"
    result = MEASURED.read(path) if path.exists() else {}
    for part in options.only:
        with tempfile.TemporaryDirectory() as name:
            result[part] = {
                "command": f"python benchmarks/catalogue.py --only {part}"
                + " --smoke" * options.smoke,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": processor(),
                "made": provenance(),
                "found": PARTS[part](Path(name), SIZES[options.smoke]),
            }
        MEASURED.write(path, result)
        print(part, json.dumps(result[part]["found"], indent=2))


PARTS = {
    "scaling": lambda place, sizes: scaling(
        place, sizes["scaling_rows"], sizes["pairs"], sizes["samples"]
    ),
    "faults": lambda place, sizes: faults(place, sizes["faults"]),
    "growth": lambda place, sizes: [growth(place, n) for n in sizes["rows"]],
}


if __name__ == "__main__":
    main()
