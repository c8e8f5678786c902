"""What Ray costs and saves: one build of generated rows in one process, and on local clusters of one and two nodes.

    python -m benchmarks.cluster --rows 100000

The rows are those of ``benchmarks/scale_rows.py`` with planted vectors, so no model runs. Every process has one thread,
and every node one CPU. The machine that builds has work of its own, so a cluster of one node shows what Ray costs, and
one of two nodes what it saves on two cores. Seconds of the clock mean something on free cores only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.scale_rows import generate

CHECKOUT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pathlib import Path
from seas_data import recipe
from seas_data.run import build
print(build(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]).version.digest)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2])
    chosen = parser.parse_args()
    results = {}
    for nodes in [0, *chosen.nodes]:
        with tempfile.TemporaryDirectory() as made:
            generate(chosen.rows, Path(made), vectors=True, jsonl=False)
            recipe = Path(made) / "recipe.yaml"  # without templates, whose payloads a model would embed
            recipe.write_text(recipe.read_text().replace("{labels:", "{templates: {detect: false}, labels:"))
            results[f"{nodes} nodes" if nodes else "one process"] = measure(Path(made), nodes)
        print(json.dumps(results), flush=True)
    assert len({result.pop("digest") for result in results.values()}) == 1, "another digest"
    print(f"| {chosen.rows:,} rows | processor time | clock | of which edges |\n|---|---|---|---|")
    for name, result in results.items():
        print(f"| {name} | {result['processor']:.0f} s | {result['clock']:.0f} s | {result['edges']:.0f} s |")


def measure(folder: Path, nodes: int) -> dict[str, float]:
    """Build the rows in ``folder`` on ``nodes`` nodes, or in one process; return seconds and the digest."""
    if not nodes:
        return build(folder, "local", "")
    from tests.ray_cluster import add_node, head_node

    with head_node() as cluster:
        for _ in range(nodes - 1):
            add_node(cluster)
        return build(folder, "ray", cluster.address)


def build(folder: Path, engine: str, address: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    environment |= {"POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(folder / "recipe.yaml"), str(folder / "workspace"), engine]
    used, started = processor_seconds(), time.perf_counter()
    run = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    clock = time.perf_counter() - started
    stages = pl.read_parquet(folder / "workspace" / "runs" / "v0.parquet")
    edges = stages.filter(stage="edges")["seconds"].item()
    return {
        "clock": clock,
        "edges": edges,
        "processor": processor_seconds() - used,
        "digest": run.stdout.split()[-1],  # type: ignore[dict-item]
    }


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it started, with what they waited for."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(path.parent.name)] = int(fields[1])
        used[int(path.parent.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    ours = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used[process] for process in ours)


if __name__ == "__main__":
    main()
