"""Time every query of the library at the paper's scale for three iterations, on generated rows.

    python benchmarks/analysis.py [--workspace DIR] [--runs 3] [--prompts 20000] [--seeds 5000] [--dimensions 384]

15,000 seeds, 75,000 attacks on them and 375,000 responses, each judged by two judges, 20,000 prompts before the loop,
and the evaluations of four red teams and four targets; ``tests/made.py`` writes them (a minute) unless the folder
exists. All queries run in one process with ``Version.select``, which includes the closed reader and the views: once to
warm up, then ``--runs`` times, of which the median counts. Processor seconds are the sum over all threads; on a shared
machine they are more reliable than wall-clock seconds. The peak memory is that of the process. The script exits with an
error if a query misses the aim of half a second of wall-clock time.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import seas_data as sd
from benchmarks.made import generate
from seas_data.query import library
from seas_data.query.version import Version
from seas_data.resources import folder

AIM = 0.5  # seconds


def measure(version: Version, query: library.Query, runs: int) -> tuple[float, float, int]:
    """Return the median seconds and processor seconds of a warm query, and the number of rows of its result."""
    values = query.values([])
    rows = version.select(query.sql, values).height
    clock, processor = [], []
    for _ in range(runs):
        started, used = time.perf_counter(), time.process_time()
        version.select(query.sql, values)
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return statistics.median(clock), statistics.median(processor), rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workspace", type=Path)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--prompts", type=int, default=20_000)
    options.add_argument("--seeds", type=int, default=5_000)
    options.add_argument("--dimensions", type=int, default=384)
    options.add_argument("queries", nargs="*", help="Names of the queries to time; all by default.")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = given.workspace or Path(scratch) / "ws"
        generate(root, prompts=given.prompts, seeds=given.seeds, dimensions=given.dimensions)
        version = sd.open(root).version()
        counts = version.manifest.rows()
        print(
            ", ".join(f"{counts[name]:,} {name}" for name in ("prompts", "attacks", "responses", "verdicts", "pairs"))
        )
        print(f"load: {', '.join(f'{load:.1f}' for load in os.getloadavg())} on {os.cpu_count()} cores\n")
        print("| query | rows | seconds | processor seconds |\n|:--|--:|--:|--:|")
        found = {
            name: measure(version, query, given.runs)
            for name, query in library.load(folder("sql")).items()
            if not given.queries or name in given.queries
        }
        for name, (clock, processor, rows) in sorted(found.items(), key=lambda each: -each[1][1]):
            print(f"| {name} | {rows} | {clock:.2f} | {processor:.2f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak {peak:,.0f} MB; load: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    if missed := sorted(name for name, (clock, _, _) in found.items() if clock > AIM):
        raise SystemExit(f"over {AIM} s: {', '.join(missed)}")


if __name__ == "__main__":
    main()
