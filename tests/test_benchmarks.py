"""The benchmarks run, at sizes that measure nothing: what they read of the package is there, and they print figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow

# What the last table or line of each says. Those that take real sets, models of a hub or minutes are not among them.
RUNS = {
    "analysis.py --runs 1 --prompts 200 --seeds 20 rows-by-type": "| rows-by-type | ",
    "build.py --rows --generated 300": "| 300 | generate",
    "check.py --prompts 200 --iterations 1": "| gated, next | ",
    "generation.py --requests 4 --samples 1 --tokens 4 --runs 1 --hidden 32": "| 32, 2 | ",
    "large.py large --make 1000 --only report diversity thin-types": "report ",
    "logs.py --gigabytes 0.001 --samples 100": " answers, ",
    "logs.py --log inspect_ai --gigabytes 0.001 --samples 100": " answers, ",
    "near_duplicates.py --rows --exhaustive-rows 0 --generated 300": "ours",
    "pairs.py --rows 300 --runs 1": "| target | ours | ",
    "release.py --prompts 200 --seeds 20": "| card gated | ",
    "report.py --prompts 200 --seeds 20": "report --with-text ",
    "review_page.py 200": "decide and next item: ",
    "scale.py --rows 1000": "| template | recall 1.0000, precision 1.0000 |",
    "scale.py --rows 1000 --vectors": "| semantic | recall 1.0000, precision 1.0000 |",
}


@pytest.mark.parametrize("command", RUNS)
def test_a_benchmark_runs(command: str, tmp_path: Path) -> None:
    script, *arguments = command.split()
    ended = subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / script), *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert RUNS[command] in ended.stdout
