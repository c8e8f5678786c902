"""What a check of a whole release takes: the first one, which reads every text, and the next, which reads the scans.

    python benchmarks/check.py [--prompts 100000] [--iterations 3] [--workspace FOLDER]

The workspace is made without a model (tests/made.py), at the paper's scale: 5,000 seeds an iteration, 5 attacks to
each, 5 responses to each attack. ``--workspace`` measures one that is there instead, and writes scans into it. Each
check is a process of its own, imports included: seconds, seconds of processor time, and peak memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = """
import json, resource, sys, time
start = time.perf_counter()
from seas_data.release import checks
from seas_data.query.version import open as versions
version = versions(sys.argv[1]).version()
found = checks.run(version, sys.argv[2])
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "processor": time.process_time(),
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "failed": [each.name for each in found if not each.passed],
}))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--prompts", type=int, default=100_000)
    options.add_argument("--iterations", type=int, default=3)
    options.add_argument("--workspace", type=Path)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = wanted.workspace or _made(Path(folder) / "ws", wanted.prompts, wanted.iterations)
        print(f"rows: {_rows(root)}")
        print("| check | seconds | of processor time | peak MB | failed |\n|---|--:|--:|--:|---|")
        for profile in ("public", "gated"):
            for turn in ("first", "next"):
                told = _measured(root, profile)
                failed = ", ".join(told["failed"]) or "none"
                times = f"{told['seconds']:.1f} | {told['processor']:.1f}"
                print(f"| {profile}, {turn} | {times} | {told['megabytes']:.0f} | {failed} |", flush=True)


def _made(root: Path, prompts: int, iterations: int) -> Path:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests import made

    made.workspace(root, prompts=prompts, iterations=iterations, seeds=5_000, attacks=5, responses=5)
    return root


def _rows(root: Path) -> str:
    from seas_data.query.version import open as versions

    rows = versions(root).version().manifest.rows()
    return ", ".join(
        f"{rows.get(name, 0):,} {name}" for name in ("prompts", "attacks", "responses", "verdicts", "pairs")
    )


def _measured(root: Path, profile: str) -> dict[str, Any]:
    command = [sys.executable, "-c", PROGRAM, str(root), profile]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    main()
