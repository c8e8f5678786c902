"""A release at scale: how long checkout and card take, and how much memory, on a generated version.

    python benchmarks/release.py [--prompts 100000] [--seeds 3900] [--runs 1] [--workspace DIR]

The version has three iterations of ``seeds`` seeds, five attacks on each and five responses to each attack, with the
paper's two judges; 3,900 seeds are about 375,000 responses of 500 characters. It is written to ``--workspace`` unless
that is there already. Each piece of work is a process of its own; figures are medians: seconds from the imported
program to the last byte, seconds of all processors together (which others at work on the machine hardly change), and
the peak of its memory. The files lie in the file system's cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

WORK = ("checkout public", "checkout gated", "card public", "card gated")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3_900)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = given.workspace or Path(folder) / "ws"
        if not root.exists():
            _own_process(
                "make", root, Path(folder) / "made", "--prompts", str(given.prompts), "--seeds", str(given.seeds)
            )
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print("| work | seconds | of processors | peak memory, MB |\n|---|---:|---:|---:|")
        for name in WORK:
            runs = [
                _own_process(name, root, Path(folder) / f"{name.replace(' ', '-')}-{run}") for run in range(given.runs)
            ]
            seconds, processor, peak = (statistics.median(figures) for figures in zip(*runs, strict=True))
            print(f"| {name} | {seconds:.1f} | {processor:.1f} | {peak:,.0f} |", flush=True)


def _own_process(name: str, root: Path, output: Path, *more: str) -> list[float]:
    command = [sys.executable, __file__, "--work", name, "--workspace", str(root), "--output", str(output), *more]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def work(given: argparse.Namespace) -> None:
    """Do one piece of work and print its figures."""
    from seas_data.query import version
    from seas_data.release import card
    from seas_data.release.folder import checkout
    from seas_data.release.visibility import parse_profile
    from tests import made

    began, busy = time.perf_counter(), time.process_time()
    what, _, profile = given.work.partition(" ")
    if what == "make":
        sizes = {"prompts": given.prompts, "seeds": given.seeds}
        made.workspace(given.workspace, iterations=3, attacks=5, responses=5, **sizes)
    elif what == "checkout":
        checkout(version.open(given.workspace).version(), given.output, parse_profile(profile))
    else:
        given.output.write_text(card.dataset_card(version.open(given.workspace).version(), parse_profile(profile), {}))
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps([seconds, processor, peak]))


if __name__ == "__main__":
    main()
