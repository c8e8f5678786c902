"""Benchmark of whole builds: the public sets at several sizes, cold and with all vectors stored, and generated rows.

    python benchmarks/build.py --rows 10000 30000 69461
    python benchmarks/build.py --rows --generated 300000

Each build runs in a process of its own, so peak memory is measured per build. No other tool builds such a version; the
parts are compared in near_duplicates.py, semantic.py and embedding.py. Samples take the same proportion of every
file.
"""

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
RECIPE = CHECKOUT / "pipelines" / "public-prompts.yaml"
ALL_ROWS = 69_461
NOUNS = [
    "keeper",
    "vault",
    "door",
    "lantern",
    "harbour",
    "bell",
    "garden",
    "river",
    "letter",
    "kitchen",
    "clock",
    "tower",
]
WORDS = [*NOUNS, "colour", "stone", "market", "sailor", "bridge", "winter", "morning", "silver", "painted", "narrow"]
GENERATED = """name: generated
sources:
  generated: {{path: {path}, kind: adversarial, language: en, licence: Apache-2.0}}
"""


def sample_public_sets(rows: int, folder: Path) -> Path:
    if "SEAS_DATA_REAL" not in os.environ:
        raise SystemExit("set SEAS_DATA_REAL to the folder of the real prompt sets, or pass --rows without a number")
    for path in sorted(Path(os.environ["SEAS_DATA_REAL"]).glob("*.jsonl")):
        lines = path.read_bytes().split(b"\n")[:-1]
        chosen = random.Random(0).sample(range(len(lines)), round(len(lines) * rows / ALL_ROWS))
        (folder / path.name).write_bytes(b"".join(lines[index] + b"\n" for index in sorted(chosen)))
    return RECIPE


def generate_rows(rows: int, folder: Path) -> Path:
    chance = random.Random(0)
    with (folder / "generated.jsonl").open("w") as file:
        for _ in range(rows):
            file.write(json.dumps({"prompt": " ".join(chance.choices(WORDS, k=chance.randint(6, 16)))}) + "\n")
    (folder / "recipe.yaml").write_text(GENERATED.format(path=folder / "generated.jsonl"))
    return folder / "recipe.yaml"


def measure_build(recipe: Path, data: Path, workspace: Path) -> tuple[float, int]:
    """Return the seconds and peak megabytes of one build."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from seas_data import recipe\n"
        "from seas_data.run import build\n"
        "assert build(recipe.load(Path(sys.argv[1])), Path(sys.argv[2])).new\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    environment = {**os.environ, "SEAS_DATA_REAL": str(data), "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    command = [sys.executable, "-c", program, str(recipe), str(workspace)]
    peak = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - started, int(peak) // 1024


def copy_vectors(cold: Path, workspace: Path) -> Path:
    """Create a workspace that contains only the vectors of another one."""
    from seas_data.store import open_workspace

    open_workspace(workspace, create=True)
    shutil.copytree(cold / "vectors", workspace / "vectors")
    return workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, ALL_ROWS])
    parser.add_argument("--generated", type=int, nargs="*", default=[])
    chosen = parser.parse_args()
    print("| rows | build | seconds | peak MB | growth since the size before |\n|--:|---|--:|--:|--:|", flush=True)
    previous: dict[str, tuple[int, float]] = {}
    for make, sizes in ((sample_public_sets, chosen.rows), (generate_rows, chosen.generated)):
        for rows in sizes:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                recipe = make(rows, folder)
                for label in ("cold", "vectors stored"):
                    workspace = folder / label if label == "cold" else copy_vectors(folder / "cold", folder / "stored")
                    seconds, peak = measure_build(recipe, folder, workspace)
                    key = f"{make.__name__}, {label}"
                    growth = "" if key not in previous else f"n^{growth_exponent(previous[key], (rows, seconds)):.2f}"
                    previous[key] = rows, seconds
                    print(f"| {rows:,} | {key} | {seconds:.1f} | {peak:,} | {growth} |", flush=True)
    print()


def growth_exponent(small: tuple[int, float], large: tuple[int, float]) -> float:
    return math.log(large[1] / small[1]) / math.log(large[0] / small[0])


if __name__ == "__main__":
    main()
