"""Time, memory, recall and precision of whole builds of generated rows at several sizes, and how they grow.

    python benchmarks/scale.py --rows 100000 300000 [--vectors] [--jsonl] [--keep FOLDER] [--limit MB] [--write]
                               [--peer-python ENV/bin/python]

Each build is a process of its own. The table shows for each stage the processor time and the peak of memory since
the end of the stage before it: "read and embed" begins with the imports. Memory is what the process holds, looked at
five times a second; pages of files, such as that of many vectors, are counted beside it: the system drops them if
memory is short. ``--write`` stores the figures, one entry per size, in ``benchmarks/scale.json`` and the tables in
docs/performance.md, with all sizes that the file has. ``--limit`` stops a build that uses more memory than that, and
names the stage.

``benchmarks/scale_rows.py`` generates the rows and says what is planted in them. With ``--peer-python`` the libraries
of ``benchmarks/scale_peers.py`` get the same rows after each build.

Recall is the proportion of the planted pairs of which one row was dropped (of templates: of the planted rows that got a
template), precision the proportion of the drops whose witness is the planted partner (of templates: of the rows with a
template that are planted).
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import scale_peers
from benchmarks.scale_rows import KINDS, generate

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("scale.json"), CHECKOUT / "docs" / "performance.md"
START, END = "<!-- Written by benchmarks/scale.py from benchmarks/scale.json. -->\n", "<!-- end -->\n"
PROGRAM = """
import sys
from pathlib import Path
from seas_data import recipe
from seas_data.run import build
assert build(recipe.load(Path(sys.argv[1])), Path(sys.argv[2])).new
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000])
    parser.add_argument("--vectors", action="store_true", help="plant vectors and semantic duplicates")
    parser.add_argument("--jsonl", action="store_true", help="read JSON Lines; otherwise Parquet")
    parser.add_argument("--keep", type=Path, help="folder in which the workspaces stay; otherwise they are temporary")
    parser.add_argument("--limit", type=int, help="megabytes of memory above which a build is stopped")
    parser.add_argument("--peer-python", help="a Python with the libraries that benchmarks/scale_peers.py names")
    parser.add_argument("--write", action="store_true", help="store the figures, and the tables in docs/performance.md")
    chosen = parser.parse_args()
    measured = {}
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (chosen.keep or Path(temporary)) / str(rows)
            folder.mkdir(parents=True)
            result = measure(
                rows,
                folder,
                vectors=chosen.vectors,
                jsonl=chosen.jsonl,
                limit=chosen.limit,
                peer_python=chosen.peer_python,
            )
        print(json.dumps(result), flush=True)
        measured[result_key(result)] = result
    stored: dict[str, Any] = json.loads(FIGURES.read_text()) if chosen.write and FIGURES.exists() else {}
    stored |= measured
    print(format_tables(list(stored.values())))
    if chosen.write:
        FIGURES.write_text(json.dumps(stored, indent=1) + "\n")
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(before + START + format_tables(list(stored.values())) + END + rest.partition(END)[2])


def result_key(result: dict[str, Any]) -> str:
    return f"{result['format']}{', vectors planted' if result['vectors'] else ''}: {result['rows']}"


def measure(
    rows: int,
    folder: Path,
    *,
    vectors: bool,
    jsonl: bool = False,
    limit: int | None = None,
    peer_python: str | None = None,
) -> dict[str, Any]:
    """Generate ``rows`` rows in ``folder``, build them and return the figures."""
    kind, partner, characters = generate(rows, folder, vectors=vectors, jsonl=jsonl)
    started = time.perf_counter()
    stages, processor = run_build(folder, limit)
    seconds = time.perf_counter() - started
    peers = scale_peers.measure(folder, peer_python, kind, partner, vectors=vectors) if peer_python else {}
    return {
        "rows": rows,
        "format": "JSON Lines" if jsonl else "Parquet",
        "vectors": vectors,
        "megabytes_of_text": round(characters / 1e6),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "peak_megabytes": max(each["megabytes"] for each in stages.values()),
        "peak_megabytes_with_files": max(each["megabytes_with_files"] for each in stages.values()),
        "stages": stages,
        "quality": compare_with_plant(folder / "workspace", kind, partner),
        "digest": json.loads((folder / "workspace" / "versions" / "v0.json").read_text())["digest"],
        "peers": peers,
    }


# --- the build


def run_build(folder: Path, limit: int | None = None) -> tuple[dict[str, dict[str, Any]], float]:
    """Run the build. Return seconds, rows and megabytes of each stage, and the seconds of processor time.

    Above ``limit`` megabytes of memory the build is stopped.
    """
    command = [sys.executable, "-c", PROGRAM, str(folder / "recipe.yaml"), str(folder / "workspace")]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment)
    assert process.stderr is not None
    watch = Watch(process.pid)
    peaks, used = {}, {"": 0.0}
    if limit is not None:
        threading.Thread(target=stop_above, args=(process, watch, limit), daemon=True).start()
    for line in process.stderr:
        if " rows " in line:
            name = line[:14].strip()
            peaks[name], used[name] = watch.take_peak(), watch.processor_seconds()
        else:
            print(line, end="", file=sys.stderr)
    if process.wait():
        stopped = f": it used more than {limit:,} MB" if process.returncode == -signal.SIGKILL and limit else ""
        raise SystemExit(f"the build failed in the stage after {list(used)[-1] or 'the start'}{stopped}")
    runs = pl.read_parquet(folder / "workspace" / "runs" / "v0.parquet")
    spent = dict(zip(list(used)[1:], np.diff(list(used.values())).round(2).tolist(), strict=True))
    stages = {
        row["stage"]: {
            "seconds": row["seconds"],
            "processor_seconds": spent[row["stage"]],
            "rows": row["rows"],
            "megabytes": peaks[row["stage"]][1],
            "megabytes_with_files": peaks[row["stage"]][0],
        }
        for row in runs.iter_rows(named=True)
    }
    return stages, list(used.values())[-1]


def stop_above(process: "subprocess.Popen[str]", watch: "Watch", megabytes: int) -> None:
    while process.poll() is None:
        if (watch.held() or 0) > megabytes:
            process.kill()
        time.sleep(0.2)


class Watch:
    """The peak memory of a process since it was last asked for; Linux resets its own count on request.

    Linux counts pages of files too, which it drops when memory is short. The memory that the process holds is looked at
    five times a second.
    """

    def __init__(self, process: int) -> None:
        self.folder = Path("/proc") / str(process)
        self.held_peak = 0
        threading.Thread(target=self._keep_looking, daemon=True).start()

    def _keep_looking(self) -> None:
        while (held := self.held()) is not None:
            self.held_peak = max(self.held_peak, held)
            time.sleep(0.2)

    def held(self) -> int | None:
        """Return the megabytes of memory that are not pages of files; None if the process has ended."""
        try:
            return _megabytes((self.folder / "status").read_text(), "RssAnon")
        except OSError:
            return None

    def take_peak(self) -> tuple[int, int]:
        """Return the peak of all memory, and of what the process held, since the last call."""
        held, self.held_peak = max(self.held_peak, self.held() or 0), 0
        try:
            status = (self.folder / "status").read_text()
            (self.folder / "clear_refs").write_text("5")
        except OSError:
            return 0, held
        return _megabytes(status, "VmHWM"), held

    def processor_seconds(self) -> float:
        ticks = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(status: str, name: str) -> int:
    return int(status.split(f"{name}:")[1].split()[0]) // 1024 if f"{name}:" in status else 0


# --- the figures


def compare_with_plant(
    workspace: Path, kind: NDArray[np.int8], partner: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    shards = {table: sorted((workspace / "shards" / table).glob("*.parquet")) for table in ("prompts", "decisions")}
    row_of = pl.read_parquet(shards["prompts"], columns=["prompt_id", "source_id"]).select(
        "prompt_id", row=pl.col("source_id").cast(pl.Int64) - 1
    )
    drops = (
        pl.read_parquet(shards["decisions"], columns=["prompt_id", "decision", "reason", "witness_id"])
        .filter(decision="drop")
        .join(row_of, on="prompt_id")
        .join(row_of.rename({"prompt_id": "witness_id", "row": "witness"}), on="witness_id", how="left")
    )
    dropped, witness = drops["row"].to_numpy(), drops["witness"].fill_null(-1).to_numpy()
    is_dropped = np.zeros(len(kind), np.bool_)
    is_dropped[dropped] = True
    planted = (partner[dropped] == witness) | (partner[np.maximum(witness, 0)] == dropped)
    planted &= witness >= 0
    quality = {}
    for number, name in enumerate(KINDS):
        later = np.flatnonzero(kind == number)
        if not len(later):
            continue
        if name == "template":
            quality[name] = compare_templates(workspace, row_of, kind == number)
            continue
        of_reason = (drops["reason"] == f"{name}_duplicate").to_numpy()
        quality[name] = {
            "planted": len(later),
            "recall": float((is_dropped[later] | is_dropped[partner[later]]).mean()),
            "dropped": int(of_reason.sum()),
            "precision": float(planted[of_reason].mean()) if of_reason.any() else math.nan,
        }
    return quality


def compare_templates(workspace: Path, row_of: pl.DataFrame, planted: NDArray[np.bool_]) -> dict[str, float]:
    found = pl.concat(
        [
            pl.DataFrame(schema={"prompt_id": pl.String, "template_id": pl.String}),
            *(
                pl.read_parquet(path, columns=["prompt_id", "template_id"])
                for path in (workspace / "shards" / "templates").glob("*.parquet")
            ),
        ]
    )
    rows = found.drop_nulls("template_id").join(row_of, on="prompt_id")["row"].to_numpy()
    return {
        "planted": int(planted.sum()),
        "recall": float(planted[rows].sum() / planted.sum()),
        "dropped": len(rows),
        "precision": float(planted[rows].mean()) if len(rows) else math.nan,
    }


def format_tables(results: list[dict[str, Any]]) -> str:
    parts = []
    for name in dict.fromkeys(result_key(each).rpartition(":")[0] for each in results):
        series = sorted(
            (each for each in results if result_key(each).startswith(f"{name}:")), key=lambda each: each["rows"]
        )
        parts.append(
            f"{name}:\n\n{format_series(series)}\n{format_stages(series)}\n{format_quality(series)}\n{format_peers(series)}"
        )
    return "".join(parts)


def format_series(series: list[dict[str, Any]]) -> str:
    lines = [
        "| rows | text MB | seconds | processor seconds | peak MB | with pages of files | bytes a row | "
        "bytes a further row | time grows as |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for before, now in pairwise([None, *series]):
        assert now is not None
        further, grows = "", ""
        if before is not None:
            further = (
                f"{1e6 * (now['peak_megabytes'] - before['peak_megabytes']) / (now['rows'] - before['rows']):,.0f}"
            )
            grows = f"n^{exponent(before, now, 'processor_seconds'):.2f}"
        cells = (
            f"{now['rows']:,}",
            f"{now['megabytes_of_text']:,}",
            f"{now['seconds']:,.0f}" if now["seconds"] else "",  # none of a build that was stopped and resumed
            f"{now['processor_seconds']:,.0f}",
            f"{now['peak_megabytes']:,}",
            f"{now['peak_megabytes_with_files']:,}" if "peak_megabytes_with_files" in now else "",  # not in older runs
            f"{1e6 * now['peak_megabytes'] / now['rows']:,.0f}",
            further,
            grows,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def exponent(before: dict[str, Any], now: dict[str, Any], figure: str) -> float:
    return math.log(now[figure] / before[figure]) / math.log(now["rows"] / before["rows"])


def format_stages(series: list[dict[str, Any]]) -> str:
    lines = ["| stage | " + " | ".join(f"{each['rows']:,}" for each in series) + " | grows as |"]
    lines.append("|---|" + "--:|" * len(series) + "--:|")
    for stage in series[-1]["stages"]:
        cells = [each["stages"].get(stage) for each in series]
        shown = [f"{cell['processor_seconds']:,.1f} s, {cell['megabytes']:,} MB" if cell else "" for cell in cells]
        grows = ""
        if len(series) > 1 and cells[0] and cells[-1] and cells[0]["processor_seconds"] > 0.5:
            time_ratio = cells[-1]["processor_seconds"] / cells[0]["processor_seconds"]
            grows = f"n^{math.log(time_ratio) / math.log(series[-1]['rows'] / series[0]['rows']):.2f}"
        lines.append(f"| {'read and embed' if stage == 'embed' else stage} | " + " | ".join(shown) + f" | {grows} |")
    return "\n".join(lines) + "\n"


def format_quality(series: list[dict[str, Any]]) -> str:
    lines = ["| planted | " + " | ".join(f"{each['rows']:,}" for each in series) + " |", "|---|" + "--:|" * len(series)]
    for name in series[-1]["quality"]:
        cells = [each["quality"].get(name) for each in series]
        shown = [f"recall {cell['recall']:.4f}, precision {cell['precision']:.4f}" if cell else "" for cell in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def format_peers(series: list[dict[str, Any]]) -> str:
    """Return the table of builds that peers were measured beside, or nothing."""
    lines = [
        "| rows | | processor seconds | peak MB | planted found | drops that are planted |",
        "|--:|:--|--:|--:|--:|--:|",
    ]
    for each in series:
        if not each.get("peers"):
            continue
        found = ", ".join(
            f"{name} {quality['recall']:.4f}" for name, quality in each["quality"].items() if name != "template"
        )
        precise = ", ".join(
            f"{name} {quality['precision']:.4f}" for name, quality in each["quality"].items() if name != "template"
        )
        lines.append(
            f"| {each['rows']:,} | whole build of ours | {each['processor_seconds']:,.0f} | "
            f"{each['peak_megabytes']:,} | {found} | {precise} |"
        )
        for name, peer in each["peers"].items():
            finds = " and ".join(scale_peers.PEERS[name])
            lines.append(
                f"| {each['rows']:,} | {name} | {peer['processor_seconds']:,.0f} | {peer['peak_megabytes']:,} | "
                f"{finds} {peer['recall']:.4f} | {peer['precision']:.4f} |"
            )
    return "\n".join(lines) + "\n\n" if len(lines) > 2 else ""


if __name__ == "__main__":
    main()
