"""What Ray costs and saves: one build of generated rows in one process, and on local clusters of one and two nodes.

    python -m benchmarks.cluster --rows 20000 100000 [--embed] [--nodes 1 2] [--write]

The rows are those of ``benchmarks/scale_rows.py`` with planted vectors, so no model runs; with ``--embed`` the bundled
model embeds them. Every process has one thread, and every node one CPU. ``--write`` stores the figures, one entry per
size, in ``benchmarks/cluster.json`` and the table in docs/howto/use-a-cluster.md, with all sizes that the file has.

Processor time is that of every process, by its part: the build (what one process does, or the machine that builds), the
workers of each node, and Ray's own processes. Speed-up is the time of the one process by the clock divided by that of
the build, and means something on free cores only. The last column is computed, not measured: the processor time of the
one process, divided by that of the machine that builds and the busiest node together. It is what free cores would give
if nothing were waited for and Ray's own processes had a core of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.scale_rows import generate

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("cluster.json"), CHECKOUT / "docs" / "howto" / "use-a-cluster.md"
START, END = "<!-- Written by benchmarks/cluster.py from benchmarks/cluster.json. -->\n", "<!-- end -->\n"
PROGRAM = """
import sys
from pathlib import Path
from seas_data import recipe
from seas_data.run import build
print(build(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]).version.digest)
"""
TICKS = os.sysconf("SC_CLK_TCK")
FREE_LOAD = 6
"""Load, this benchmark's processes included, above which seconds of the clock say nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--embed", action="store_true", help="embed with the bundled model, without planted vectors")
    parser.add_argument("--write", action="store_true", help="store the figures, and the table in the docs")
    chosen = parser.parse_args()
    stored: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for rows in chosen.rows:
        stored[f"{rows} embedded" if chosen.embed else str(rows)] = compare(rows, chosen.nodes, embed=chosen.embed)
        if chosen.write:
            FIGURES.write_text(json.dumps(stored, indent=1) + "\n")
    print(format_table(stored))
    if chosen.write:
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(before + START + format_table(stored) + END + rest.partition(END)[2])


def compare(rows: int, numbers_of_nodes: list[int], *, embed: bool) -> dict[str, Any]:
    """Build ``rows`` rows in one process and on clusters; return the figures of each. Fails if digests differ."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        generate(rows, folder, vectors=True, jsonl=False)
        recipe = folder / "recipe.yaml"  # without templates, whose payloads a model would embed
        recipe.write_text(recipe.read_text().replace("{labels:", "{templates: {detect: false}, labels:"))
        for nodes in [0, *numbers_of_nodes]:
            workspace = folder / f"workspace-{nodes}"
            if not embed:
                shutil.copytree(folder / "workspace", workspace)
            results[str(nodes)] = measure(recipe, workspace, nodes)
            shutil.rmtree(workspace)
            print(rows, nodes, json.dumps(results[str(nodes)]), file=sys.stderr, flush=True)
    assert len({result["digest"] for result in results.values()}) == 1, "another digest"
    return results


def measure(recipe: Path, workspace: Path, nodes: int) -> dict[str, Any]:
    """Build on ``nodes`` nodes, or in one process; return seconds and the digest."""
    if not nodes:
        return build(recipe, workspace, "local", "")
    from tests.ray_cluster import add_node, head_node

    with head_node() as cluster:
        for _ in range(nodes - 1):
            add_node(cluster)
        return build(recipe, workspace, "ray", cluster.address)


def build(recipe: Path, workspace: Path, engine: str, address: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    environment |= {"POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(recipe), str(workspace), engine]
    started = time.perf_counter()
    run = subprocess.Popen(command, env=environment, cwd=workspace.parent, stdout=subprocess.PIPE, text=True)
    with count_processor_seconds(run.pid) as used:
        output, _ = run.communicate()
    clock = time.perf_counter() - started
    assert run.returncode == 0
    stages = pl.read_parquet(workspace / "runs" / "v0.parquet")
    workers = sorted((seconds for part, seconds in used.items() if part.startswith("workers")), reverse=True)
    return {
        "clock": round(clock, 1),
        "clock_edges": round(stages.filter(stage="edges")["seconds"].item(), 1),
        "build": round(used["build"], 1),
        "workers": [round(each, 1) for each in workers],
        "ray": round(used["ray"], 1),
        "load": round(os.getloadavg()[1], 1),
        "digest": output.split()[-1],
    }


@contextmanager
def count_processor_seconds(build: int) -> Iterator[dict[str, float]]:
    """Yield the processor seconds of the process ``build``, of the workers of each node and of Ray's own processes.

    They are complete after the block. Processes are looked at twice a second, because the workers of a build end with
    it, and count with the time they had then.
    """
    used: dict[str, float] = defaultdict(float)
    before = {process: seconds for process, (_, seconds) in look(build).items()}
    latest: dict[tuple[int, int], tuple[str, float]] = {}
    ended = threading.Event()

    def keep_looking() -> None:
        while not ended.wait(0.5):
            latest.update(look(build))

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield used
    finally:
        ended.set()
        thread.join()
        latest.update(look(build))
        for process, (part, seconds) in latest.items():
            used[part] += seconds - before.get(process, 0)


def look(build: int) -> dict[tuple[int, int], tuple[str, float]]:
    """Return the part and the processor seconds of each process below this one, by its id and start."""
    parents, found = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        parents[int(path.name)] = int(fields[1])
        found[int(path.name)] = (int(fields[19]), command, sum(map(int, fields[11:13])) / TICKS)
    result = {}
    for process, (start, command, seconds) in found.items():
        line = [process]
        while line[-1] in parents:
            line.append(parents[line[-1]])
        if os.getpid() not in line[1:]:
            continue
        raylet = next((each for each in line[1:] if each in found and "/raylet " in found[each][1][:300]), None)
        is_worker = raylet is not None and "agent" not in command.lower()
        part = "build" if build in line else f"workers of {raylet}" if is_worker else "ray"
        result[process, start] = (part, seconds)
    return result


def format_table(stored: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| rows | where | processor time | of the build | of the workers, by node | of Ray | clock (of which edges) | "
        "speed-up | computed |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for size, results in sorted(stored.items(), key=lambda entry: (" " in entry[0], int(entry[0].partition(" ")[0]))):
        rows, _, embedded = size.partition(" ")
        alone, alone_clock = results["0"]["build"], results["0"]["clock"]
        busy = max(each["load"] for each in results.values()) > FREE_LOAD
        for nodes, each in results.items():
            total = each["build"] + sum(each["workers"]) + each["ray"]
            lines.append(
                f"| {int(rows):,}{', embedded' * bool(embedded)} | "
                f"{'one process' if nodes == '0' else f'nodes: {nodes}'} | {total:.0f} s ({total / alone:.2f} x) | "
                f"{each['build']:.0f} s | "
                f"{', '.join(f'{seconds:.0f} s' for seconds in each['workers']) or '-'} | {each['ray']:.0f} s | "
                f"{each['clock']:.0f} s ({each['clock_edges']:.0f} s) | "
                f"{'' if busy else format(alone_clock / each['clock'], '.2f') + ' x'} | "
                f"{alone / (each['build'] + max(each['workers'], default=0)):.2f} x |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
