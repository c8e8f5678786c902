"""Benchmark of near-duplicate detection: seas-data, datatrove's MinHash and datasketch's on the same real rows.

    python benchmarks/near_duplicates.py --peer-python ENV/bin/python [--rows 10000 30000 69461] [--generated 300000]

Every method runs in a process of its own, so peak memory is measured per method (for datatrove that of the largest
worker; ours includes 200 MB of torch, which the package imports). Rows are drawn with a fixed seed, each normalised
text once. The time covers reading the file up to the list of dropped rows, without imports. Ours gets no templates,
which is its worst case. The peers run with their documented settings: datatrove 5-word shingles in 14 bands of 8, on
all cores, up to the list of rows to remove; datasketch the same 5-grams as ours and its index for 0.8. Neither
verifies its candidates.

``--exhaustive-rows`` compares with all pairs: pair recall and precision for ours, and for each method how many of its
drops have no near duplicate at all ("false drops") and how many near-duplicate pairs it keeps ("missed"). Near means a
Jaccard similarity of 5-grams here; datatrove uses another measure.

The peers need an environment of their own (without --peer-python they are skipped):
``pip install "datatrove[processing]==0.10.*" spacy "xxhash<4" orjson datasketch``.
The real rows come from the folder in $SEAS_DATA_REAL.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = {"ours": "ours, verified", "datatrove": "datatrove 14 x 8, 5 words", "datasketch": "datasketch, 5-grams"}


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        return run_worker(arguments.worker, Path(arguments.input), Path(arguments.output), arguments.threshold)
    if arguments.peer_python and not shutil.which(arguments.peer_python):
        sys.exit(f"--peer-python {arguments.peer_python} does not exist")
    if not arguments.peer_python:
        print("Peers skipped: set --peer-python to a Python with datatrove and datasketch.\n")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = load_real_rows()
        if rows:
            compare_on_real_rows(rows, arguments.rows, root, arguments.peer_python)
            if arguments.exhaustive_rows:
                compare_with_all_pairs(rows, arguments.exhaustive_rows, root, arguments.peer_python)
        else:
            print("No real rows: set SEAS_DATA_REAL to their folder.\n")
        if arguments.generated:
            measure_generated_rows(arguments.generated, root)
    return None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Near-duplicate benchmark; prints Markdown.")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, 69_461])
    parser.add_argument("--exhaustive-rows", type=int, default=15_000)
    parser.add_argument("--generated", type=int, default=300_000)
    parser.add_argument("--peer-python", help="a Python with datatrove and datasketch")
    for hidden in ("--worker", "--input", "--output"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--threshold", type=float, default=0.8, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the tables


def compare_on_real_rows(rows: list[str], sizes: list[int], root: Path, peer_python: str | None) -> None:
    print("## Time and memory on real rows\n")
    print("| rows | distinct | method | seconds | times ours at 0.8 | peak MB | dropped |")
    print("|---:|---:|---|---:|---:|---:|---:|")
    curves: dict[str, list[tuple[int, float]]] = {}
    for size in sizes:
        texts = distinct(draw_sample(rows, size))
        runs = [("ours", 0.8), ("ours", 0.6), ("datatrove", 0.8), ("datasketch", 0.8)]
        ours = math.nan
        for name, threshold in runs:
            result = run_in_process(name, texts, threshold, root, peer_python)
            if result is None:
                continue
            label = f"{WORKERS[name]}, {threshold}"
            if (name, threshold) == ("ours", 0.8):
                ours = result["seconds"]
            curves.setdefault(label, []).append((len(texts), result["seconds"]))
            ratio = result["seconds"] / ours
            cells = (
                len(texts),
                label,
                f"{result['seconds']:.2f}",
                f"{ratio:.2f}",
                result["peak"],
                len(result["dropped"]),
            )
            print(f"| {size} | " + " | ".join(map(str, cells)) + " |", flush=True)
    print()
    for label, curve in curves.items():
        if len(curve) > 1:
            print(f"- {label}: grows as n^{growth_exponent(curve):.2f} from {curve[0][0]} to {curve[-1][0]} texts")
    print()


def compare_with_all_pairs(rows: list[str], size: int, root: Path, peer_python: str | None) -> None:
    texts = distinct(draw_sample(rows, size))
    started = time.perf_counter()
    truth = all_pairs(texts, 0.6)
    print(f"## Against all pairs of {len(texts)} distinct real texts ({time.perf_counter() - started:.0f} s)\n")
    print(
        "| method | threshold | true pairs | found | recall | recall within 0.05 | precision | false drops | missed |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, threshold in [("ours", 0.8), ("ours", 0.6), ("datatrove", 0.8), ("datasketch", 0.8)]:
        result = run_in_process(name, texts, threshold, root, peer_python)
        if result is None:
            continue
        true = {pair for pair, score in truth.items() if score >= threshold}
        border = {pair for pair in true if truth[pair] < threshold + 0.05}
        dropped = set(result["dropped"])
        alike = {row for pair in true for row in pair}
        missed = sum(1 for left, right in true if left not in dropped and right not in dropped)
        cells: list[object] = [WORKERS[name], threshold, len(true)]
        if result["pairs"] is None:
            cells += ["", "", "", ""]
        else:
            found = {(left, right) for left, right in result["pairs"]}
            cells += [
                len(found),
                format_proportion(len(found & true), len(true)),
                format_proportion(len(found & border), len(border)),
            ]
            cells += [format_proportion(len(found & true), len(found))]
        cells += [len(dropped - alike), missed]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print()


def measure_generated_rows(size: int, root: Path) -> None:
    print("## Generated rows, ours only\n")
    print("| rows | threshold | seconds | peak MB | dropped |")
    print("|---:|---:|---:|---:|---:|")
    curves: dict[float, list[tuple[int, float]]] = {}
    texts = generate_rows(size)
    for part in (size // 9, size // 3, size):
        for threshold in (0.8, 0.6):
            result = run_in_process("ours", texts[:part], threshold, root, None)
            assert result is not None
            curves.setdefault(threshold, []).append((part, result["seconds"]))
            dropped = len(result["dropped"])
            print(f"| {part} | {threshold} | {result['seconds']:.2f} | {result['peak']} | {dropped} |", flush=True)
    print()
    for threshold, curve in curves.items():
        print(f"- at {threshold}: grows as n^{growth_exponent(curve):.2f} from {curve[0][0]} to {curve[-1][0]} texts")


def format_proportion(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


def growth_exponent(curve: list[tuple[int, float]]) -> float:
    (few, short), (many, long) = curve[0], curve[-1]
    return math.log(long / short) / math.log(many / few)


# --- the rows


def load_real_rows() -> list[str]:
    folder = os.environ.get("SEAS_DATA_REAL")
    files = sorted(Path(folder).glob("*.jsonl")) if folder else []
    lines = (line for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip())
    return [json.loads(line)["prompt"] for line in lines]


def draw_sample(rows: list[str], size: int) -> list[str]:
    return rows if size >= len(rows) else random.Random(size).sample(rows, size)


def distinct(rows: list[str]) -> list[str]:
    from seas_data.text import normalise

    return list({normalise(row): row for row in reversed(rows)}.values())[::-1]


def generate_rows(size: int) -> list[str]:
    """Return texts of 4 to 40 invented words with a Zipf-like skew; every tenth is an earlier one with a few new words.

    As in the real prompts, two of them share one in a hundred of their 5-grams on average, and one pair in two hundred
    shares a tenth, because half of the texts begin with one of 30 openings.
    """
    chance = random.Random(1)
    parts = ["".join(part) for part in itertools.product("bdfghklmnprstvw", "aeiou", ["", "n", "r", "s", "t"])]
    words = ["".join(chance.choices(parts, k=chance.choice((1, 1, 2, 2, 3, 4)))) for _ in range(30_000)]
    odds = [1 / (rank + 3) for rank in range(len(words))]
    reach = [0.0]
    for odd in odds:
        reach.append(reach[-1] + odd)
    openings = [chance.choices(words, k=chance.randint(3, 8)) for _ in range(30)]
    texts: list[list[str]] = []
    for number in range(size):
        if number % 10 == 9:
            text = list(chance.choice(texts))
            for _ in range(chance.randint(1, 3)):
                text[chance.randrange(len(text))] = chance.choice(words)
        else:
            opening = chance.choice(openings) if number % 2 else []
            text = opening + chance.choices(words, cum_weights=reach[1:], k=chance.randint(4, 40))
        texts.append(text)
    return [" ".join(text) for text in texts]


def all_pairs(texts: list[str], floor: float) -> dict[tuple[int, int], float]:
    """Return every pair with a Jaccard similarity of 5-grams over ``floor``, by sparse matrix products of all rows."""
    import numpy as np
    import scipy.sparse

    from seas_data.text import normalise

    numbers: dict[str, int] = {}
    columns: list[int] = []
    offsets = [0]
    for text in map(normalise, texts):
        grams = {text[at : at + 5] for at in range(max(1, len(text) - 4))}
        columns += [numbers.setdefault(gram, len(numbers)) for gram in grams]
        offsets.append(len(columns))
    held = scipy.sparse.csr_array((np.ones(len(columns), np.float32), columns, offsets), (len(texts), len(numbers)))
    sizes = np.diff(offsets)
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(texts), 500):
        common = (held[start : start + 500] @ held[start:].T).toarray()
        score = common / (sizes[start : start + 500, None] + sizes[None, start:] - common)
        for one, other in np.argwhere(score >= floor).tolist():
            if one < other:
                pairs[start + one, start + other] = float(score[one, other])
    return pairs


# --- the processes


def run_in_process(name: str, texts: list[str], threshold: float, root: Path, peer_python: str | None) -> dict | None:  # type: ignore[type-arg]
    python = sys.executable if name == "ours" else peer_python
    if python is None:
        return None
    source, target = root / "texts.jsonl", root / "result.json"
    source.write_text("".join(json.dumps({"text": text, "id": at}) + "\n" for at, text in enumerate(texts)))
    target.unlink(missing_ok=True)
    command = [python, __file__, "--worker", name, "--input", str(source), "--output", str(target)]
    stderr = subprocess.run([*command, "--threshold", str(threshold)], stderr=subprocess.PIPE, text=True).stderr
    if not target.exists():
        print(f"{name} skipped: {stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(target.read_text())  # type: ignore[no-any-return]


def run_worker(name: str, source: Path, target: Path, threshold: float) -> None:
    seconds, dropped, pairs = {"ours": ours, "datatrove": datatrove, "datasketch": datasketch}[name](source, threshold)
    # Not the process' own ru_maxrss, which includes the memory of the parent at the fork.
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    peak = round(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)
    target.write_text(json.dumps({"seconds": seconds, "peak": peak, "dropped": dropped, "pairs": pairs}))


Result = tuple[float, list[int], list[tuple[int, int]] | None]


def ours(source: Path, threshold: float) -> Result:
    from seas_data.similarity import near_duplicates

    started = time.perf_counter()
    found = near_duplicates.find_pairs(read_texts(source), threshold)
    left, right = found.left.tolist(), found.right.tolist()
    dropped = select_dropped(zip(left, right, strict=True))
    seconds = time.perf_counter() - started
    return seconds, dropped, list(zip(left, right, strict=True))


def datasketch(source: Path, threshold: float) -> Result:
    from datasketch import MinHash, MinHashLSH

    started = time.perf_counter()
    index = MinHashLSH(threshold=threshold, num_perm=128)
    pairs = []
    for row, text in enumerate(read_texts(source)):
        text = " ".join(text.casefold().split())
        signature = MinHash(num_perm=128)
        signature.update_batch({text[at : at + 5].encode() for at in range(max(1, len(text) - 4))})
        pairs += [(other, row) for other in sorted(index.query(signature))]
        index.insert(row, signature)
    pairs.sort()
    dropped = select_dropped(pairs)
    return time.perf_counter() - started, dropped, pairs


def datatrove(source: Path, threshold: float) -> Result:
    import struct

    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster
    from datatrove.pipeline.readers import JsonlReader

    cores = len(os.sched_getaffinity(0))
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        root = Path(folder)
        lines = source.read_text().splitlines(keepends=True)
        part = math.ceil(len(lines) / cores)
        (root / "in").mkdir()
        for task in range(cores):
            (root / "in" / f"{task:03d}.jsonl").write_text("".join(lines[task * part : (task + 1) * part]))
        started = time.perf_counter()
        steps = [
            ([JsonlReader(f"{root}/in"), MinhashDedupSignature(f"{root}/signatures", config)], cores),
            ([MinhashDedupBuckets(f"{root}/signatures", f"{root}/buckets", config=config)], config.num_buckets),
            ([MinhashDedupCluster(f"{root}/buckets", f"{root}/remove", config=config)], 1),
        ]
        for number, (pipeline, tasks) in enumerate(steps):
            logs = f"{root}/logs{number}"
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(cores, tasks), logging_dir=logs).run()
        dropped = []
        for task in range(cores):
            file = root / "remove" / f"{task:06d}.remove"
            if file.exists():
                dropped += [task * part + row for (row,) in struct.iter_unpack("<I", file.read_bytes())]
        return time.perf_counter() - started, dropped, None


def select_dropped(pairs) -> list[int]:  # type: ignore[no-untyped-def]
    """Return the rows with a kept earlier neighbour; ``pairs`` must be sorted."""
    dropped: set[int] = set()
    for left, right in pairs:
        if left not in dropped:
            dropped.add(right)
    return sorted(dropped)


def read_texts(source: Path) -> list[str]:
    return [json.loads(line)["text"] for line in source.read_text().splitlines()]


if __name__ == "__main__":
    main()
