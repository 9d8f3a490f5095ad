"""How inference over catalogues grows: with the workers, and with the rows.

Run it as `python benchmarks/catalogue.py` on a machine that does nothing else; the results go to
data/published/catalogue.json. `--smoke` is small, and goes to the run `smoke`.

Workers: galaxies a second of one and of two processes of one thread each, in turn, on the same
rows; what counts is from the first record to the last, so that neither starting nor loading is
timed. Rows: seconds of a core and bytes a galaxy, and the highest memory of the process, each
number of rows in a process of its own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import Table, parquet

from galcfm import paths
from galcfm.catalogue import infer_catalogue
from galcfm.catalogue.planning import cost_of
from galcfm.properties import MAGNITUDES
from galcfm.provenance import processor, provenance

MODEL = paths.published_folder() / "models" / "photometry"
TYPICAL = (18.9, 17.6, 17.1, 16.8, 16.6)
TOLD = {"unit": "AB", "total": True, "dereddened": True, "progress": False}
# Few draws, so that a million rows take no days: what is looked for is what grows with the rows.
LIGHT = {"n_samples": 8, "steps": 1}
SIZES = {
    False: {"rows": (10**3, 10**4, 10**5, 10**6), "scaling_rows": 4000, "pairs": 3, "samples": 200},
    True: {"rows": (200, 800), "scaling_rows": 80, "pairs": 1, "samples": 20},
}


def write_table(path: Path, n: int) -> None:
    """A table of `n` galaxies, a block of rows at a time."""
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
    """Galaxies a second of one and of two workers, and what two are of twice one."""
    from distributed import Client, LocalCluster

    write_table(place / "scaling.parquet", n)
    rates = {1: [], 2: []}
    for pair in range(pairs):
        for workers in rates:
            out = place / f"scaling-{workers}-{pair}"
            options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = LocalCluster(**options)
            with cluster, Client(cluster) as client:
                infer_catalogue(
                    MODEL,
                    place / "scaling.parquet",
                    out,
                    client=client,
                    n_samples=n_samples,
                    rows_a_partition=max(1, n // 40),
                    **TOLD,
                )
            files = sorted((out / "records").glob("*.json"), key=lambda path: path.stat().st_mtime)
            ends = [path.stat().st_mtime for path in files]
            rows = sum(json.loads(path.read_text())["used"] for path in files[workers:])
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
    """What a galaxy costs in a catalogue of `n`, and the memory that it took."""
    write_table(place / "growth.parquet", n)
    command = [sys.executable, __file__, "--alone", str(place)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def alone(place: Path) -> None:
    """Infer one table and print what it took; memory is of this process alone."""
    out = Path(tempfile.mkdtemp(dir=place))
    started = time.perf_counter()
    made = infer_catalogue(MODEL, place / "growth.parquet", out / "made", **LIGHT, **TOLD)
    seconds = time.perf_counter() - started
    found = cost_of(made.folder) | {"wall_seconds": seconds}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_memory_mib": round(peak)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, to see that all runs")
    parser.add_argument("--alone", type=Path, help="used by the benchmark itself")
    options = parser.parse_args()
    if options.alone:
        return alone(options.alone)
    sizes = SIZES[options.smoke]
    folder = paths.run_folder("smoke") / "published" if options.smoke else paths.published_folder()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        result = {
            "command": "python benchmarks/catalogue.py" + " --smoke" * options.smoke,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": processor(),
            "made": provenance(),
            "scaling": scaling(place, sizes["scaling_rows"], sizes["pairs"], sizes["samples"]),
            "growth": [growth(place, n) for n in sizes["rows"]],
        }
    paths.write_json(folder / "catalogue.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
