"""Time and memory of what people do with a large version: query it, report on it, check it and release it.

    python benchmarks/large.py WORKSPACE [--make ROWS] [--only NAME ...] [--scratch FOLDER] [--write]

WORKSPACE is one that ``benchmarks/scale.py --keep FOLDER`` built (FOLDER/ROWS/workspace), or is written without a build
(``--make``, ``made_large.py``). Each command is a process of
its own, imports included, on version v0 of a copy of hard links, so the workspace stays as it is: scans of an earlier
run are not reused. The copy gets a version v1 for ``diff``: 1 % more rows, and 1 % of the old ones dropped by hand.

Every query of the library runs once with its defaults; the table shows the slowest ones. ``push`` goes to the Hub that
the tests use, which keeps what it gets in memory, so it runs up to a million rows; above that only as a dry run.

The aims are those for ten million rows, in seconds of wall-clock time and 16 GB; the script exits with an error if one
is missed at the size of the workspace. With several sizes in ``benchmarks/large.json`` (``--write``) the last columns
say how processor time grows, and what that makes at ten million rows.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.made_large import write_workspace

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("large.json"), CHECKOUT / "docs" / "performance.md"
START, END = "<!-- Written by benchmarks/large.py from benchmarks/large.json. -->\n", "<!-- end of large.py -->\n"
MEGABYTES = 16_000
QUERY_SECONDS, LISTED_QUERIES = 10, 8
AIMS = {
    "report": 60,
    "report v1, with changes": 60,
    "explore": 600,
    "check, first": 600,
    "check, again": 600,
    "card": 600,
    "checkout": 600,
    "checkout, gated": 600,
    "diff v0 v1": 60,
    "log": 10,
    "show": 60,
    "why ID": 10,
    "verify": 600,
    "push --dry-run": 1_800,
    "push": 1_800,
    "pull": 600,
}
PUSHED_ROWS = 1_000_000
TARGET = 10_000_000
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--make", type=int, metavar="ROWS", help="write the workspace first, unless it is there")
    parser.add_argument("--only", nargs="+", help="names of commands of the table, or of queries")
    parser.add_argument("--scratch", type=Path, help="folder for the copy and the releases, on the same disk")
    parser.add_argument("--write", action="store_true", help="store the figures, and the table in docs/performance.md")
    chosen = parser.parse_args()
    if chosen.make and not chosen.workspace.exists():
        in_own_process(lambda: write_workspace(chosen.workspace, chosen.make))
    if chosen.scratch is not None:
        chosen.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.scratch or chosen.workspace.parent) as folder:
        root = Path(folder) / "workspace"
        rows, prompt_id = in_own_process(lambda: copy_workspace(chosen.workspace, root))
        found: dict[str, Figures] = {}
        for name, measured in measure_all(root, Path(folder), rows, prompt_id, chosen.only):
            found[name] = measured
            print(f"{name:<40}{format_figures(measured)}", flush=True)
    stored: dict[str, dict[str, Figures]] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    stored[str(rows)] = stored.get(str(rows), {}) | found
    print(f"\n{format_table(stored)}\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    if chosen.write:
        FIGURES.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(before + START + format_table(stored) + END + rest.partition(END)[2])
    if missed := [name for name, each in found.items() if misses(name, each)]:
        raise SystemExit(f"missed at {rows:,} rows: {', '.join(missed)}")


def misses(name: str, figures: Figures) -> bool:
    """Return whether a command failed, or took more time or memory than its aim."""
    seconds = AIMS.get(name, QUERY_SECONDS)
    return bool(figures["status"] or figures["seconds"] > seconds or figures["megabytes"] > MEGABYTES)


def measure_all(
    root: Path, folder: Path, rows: int, prompt_id: str, only: list[str] | None
) -> Iterator[tuple[str, Figures]]:
    from seas_data.query import library
    from seas_data.resources import folder as resource_folder

    allowed = ["--allow", "licences", "--because", "generated"]
    commands: dict[str, list[object]] = {
        "report": ["report", "v0", "-o", folder / "report.html"],
        "report v1, with changes": ["report", "v1", "-o", folder / "report.html"],
        "explore": ["explore", "v0", "-o", folder / "map"],
        "check, first": ["check", "v0"],
        "check, again": ["check", "v0"],
        "card": ["card", "v0", "-o", folder / "README.md"],
        "checkout": ["checkout", "v0", folder / "release"],
        "checkout, gated": ["checkout", "v0", folder / "release", "--profile", "gated"],
        "diff v0 v1": ["diff", "v0", "v1"],
        "log": ["log"],
        "show": ["show", "v0"],
        "why ID": ["why", prompt_id, "--version", "v0"],
        "verify": ["verify", "v0"],
        "push --dry-run": ["push", "v0", "org/large", "--dry-run", *allowed],
    }
    queries = library.load(resource_folder("sql"))
    for name in queries:
        commands[f"sql {name}"] = ["sql", name, "--version", "v0", "--format", "csv"]
    with local_hub(rows <= PUSHED_ROWS) as environment:
        if rows <= PUSHED_ROWS:
            commands["push"] = ["push", "v0", "org/large", *allowed]
            commands["pull"] = ["pull", "org/large", "--workspace", folder / "pulled"]
        for name, command in commands.items():
            if only and name not in only and name.removeprefix("sql ") not in only:
                continue
            workspace = [] if name == "pull" else ["--workspace", root]
            yield name, run([*command, *workspace], environment)
            remove(folder / "release")


def run(command: list[object], environment: dict[str, str]) -> Figures:
    """Run a command of seas-data; return its seconds, processor seconds, peak memory, and exit status."""
    program = [sys.executable, "-m", "seas_data", *map(str, command)]
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        program,
        os.environ | environment | {"PYTHONPATH": str(CHECKOUT)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(process, 0)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "megabytes": round(used.ru_maxrss / 1024),
        "status": os.waitstatus_to_exitcode(status),
    }


@contextmanager
def local_hub(wanted: bool) -> Iterator[dict[str, str]]:
    """Start the Hub of the tests and yield the variables that lead a client to it."""
    if not wanted:
        yield {"HF_ENDPOINT": "http://127.0.0.1:9"}
        return
    from tests.hub import Hub

    with Hub() as hub:
        yield hub.environment()


# --- the copy


def copy_workspace(source: Path, root: Path) -> tuple[int, str]:
    """Copy the newest version of ``source`` by hard links as v0 and add v1; return the rows of v0 and the id of one."""
    import polars as pl

    from seas_data import tables
    from seas_data.conversation import prompt_ids
    from seas_data.store import open_workspace
    from seas_data.store.files import link_or_copy
    from seas_data.store.stages import RUNS

    given, copy = open_workspace(source), open_workspace(root, create=True)
    manifest = given.manifest("v0")
    for table, shards in manifest.tables.items():
        for shard in shards:
            target = copy.shard_path(table, shard)
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(given.shard_path(table, shard), target)
    copy.commit(manifest, pl.read_parquet(source / "runs" / "v0.parquet", glob=False))
    rows = manifest.rows()["prompts"]
    first = tables.read(
        "prompts", copy.shard_path("prompts", manifest.tables["prompts"][0]), tables.empty("prompts").columns
    )
    first = first.head(max(1, rows // 100))
    added = first.with_columns(source_id=pl.col("source_id") + "-again")
    added = added.with_columns(prompt_id=prompt_ids(added)).sort("prompt_id")
    dropped = tables.empty("decisions").clear().join(first.select("prompt_id"), on="prompt_id", how="right")
    dropped = dropped.with_columns(
        version=pl.lit("v1"), step=pl.lit("manual"), decision=pl.lit("drop"), reason=pl.lit("manual")
    )
    new = {"prompts": added, "decisions": dropped}
    listed = {
        name: [*shards, *(copy.write_shards(name, new[name]) if name in new else [])]
        for name, shards in manifest.tables.items()
    }
    later = {"version": "v1", "parent": "v0", "parent_digest": copy.manifest("v0").digest, "tables": listed}
    copy.commit(manifest.model_copy(update=later), pl.DataFrame(schema=RUNS))
    return rows, str(first["prompt_id"][first.height // 2])


def in_own_process(work: Callable[[], Any]) -> Any:
    """Return the result of ``work``, done in another process: its memory is not what is measured."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(work()))
    process.start()
    theirs.close()
    result = ours.recv()
    process.join()
    return result


def remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


# --- the table


def format_figures(figures: Figures) -> str:
    failed = f", failed with {figures['status']}" * bool(figures["status"])
    return (
        f"{figures['seconds']:>8,.1f} s {figures['processor_seconds']:>8,.1f} s of processors "
        f"{figures['megabytes']:>8,} MB{failed}"
    )


def format_table(stored: dict[str, dict[str, Figures]]) -> str:
    """Return the commands and the slowest queries at each size, and where they lead."""
    sizes = sorted(stored, key=int)
    largest = stored[sizes[-1]]
    queries = sorted(
        (name for name in largest if name.startswith("sql ")), key=lambda name: -largest[name]["processor_seconds"]
    )
    names = [*(name for name in AIMS if any(name in stored[size] for size in sizes)), *queries[:LISTED_QUERIES]]
    lines = [
        "| command | aim | " + " | ".join(f"{int(size):,} rows" for size in sizes) + " | grows as | at ten million |",
        "|:--|--:|" + "--:|" * (len(sizes) + 2),
    ]
    for name in names:
        cells = [show_cell(stored[size].get(name)) for size in sizes]
        lines.append(
            f"| `{name}` | {AIMS.get(name, QUERY_SECONDS):,} s | "
            + " | ".join(cells)
            + f" | {show_growth(name, stored)} |"
        )
    rest = [largest[name] for name in queries[LISTED_QUERIES:]]
    if rest:
        slowest, most = max(each["processor_seconds"] for each in rest), max(each["megabytes"] for each in rest)
        lines.append(
            f"\nThe other {len(rest)} queries: at most {slowest:,.1f} s and {most:,} MB at {int(sizes[-1]):,} rows."
        )
    return "\n".join(lines) + "\n"


def show_cell(figures: Figures | None) -> str:
    if figures is None:
        return ""
    text = f"{figures['seconds']:,.1f} s ({figures['processor_seconds']:,.1f}), {figures['megabytes']:,} MB"
    return f"{text}, failed" if figures["status"] else text


def show_growth(name: str, stored: dict[str, dict[str, Figures]]) -> str:
    """Return the exponent of the processor time between the two largest sizes, and time and memory at ``TARGET``."""
    sizes = [size for size in sorted(stored, key=int) if name in stored[size]]
    if len(sizes) < 2 or int(sizes[-1]) >= TARGET:
        return " | "
    less, more = (stored[size][name] for size in sizes[-2:])
    small, large = (int(size) for size in sizes[-2:])
    exponent = math.log(max(more["processor_seconds"], 0.1) / max(less["processor_seconds"], 0.1)) / math.log(
        large / small
    )
    seconds = more["processor_seconds"] * (TARGET / large) ** max(exponent, 1.0)
    megabytes = more["megabytes"] + max(0.0, more["megabytes"] - less["megabytes"]) * (TARGET - large) / (large - small)
    return f"n^{exponent:.2f} | {seconds:,.0f} s of processors, {megabytes:,.0f} MB"


if __name__ == "__main__":
    main()
