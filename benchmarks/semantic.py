"""Benchmark of semantic deduplication: seas-data, semhash and two functions of sentence-transformers on real rows.

    python benchmarks/semantic.py [--rows 10000 30000 69461] [--threshold 0.95] [--store DIR] [--generated 300000]
                                  [--cells 100000 300000 1000000]

All methods get the same unit vectors (all-MiniLM-L6-v2, each text of the sample once, every language, without texts
over 256 tokens) and run in a process of their own, so peak memory is measured per method; ``--store`` keeps the
vectors for the next run. The time covers the vectors in memory up to the list of dropped rows, without imports. Peers
run with their defaults except for the threshold (and communities of two). Compared with all pairs, in float64:

- *pairs*, and the proportion of true pairs *found*, for methods that return pairs;
- *dropped*; *false drops*: rows dropped without a kept neighbour over the threshold; *missed*: pairs over it both kept.

semhash (``pip install semhash==0.5.*``) is skipped if it is not installed. The real rows come from the folder in
$SEAS_DATA_REAL. Generated rows are random unit vectors, one in ten close to another one.

``--cells`` measures the search in cells, which large builds use instead of all pairs, on *planted* rows: vectors around
generated topics or around the real vectors, one in ten with a cosine of 0.95 to 0.99 to the row before. Printed are the
proportion of the planted pairs found and the recall that a build measures itself.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from near_duplicates import draw_sample, growth_exponent, load_real_rows, select_dropped

WORKERS = {
    "ours": "ours, bf16 where native",
    "ours32": "ours, fp32",
    "cells": "ours, in cells",
    "semhash": "semhash",
    "community": "community_detection",
    "mining": "paraphrase_mining_embeddings",
}


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        return run_worker(arguments.worker, Path(arguments.folder), arguments.threshold)
    names = [name for name in WORKERS if name != "semhash" or importlib.util.find_spec("semhash")]
    if "semhash" not in names:
        print("semhash skipped: it is not installed (pip install semhash==0.5.*).\n")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if rows := load_real_rows():
            compare_on_real_rows(
                rows, arguments.rows, arguments.threshold, names, Path(arguments.store or root / "store"), root
            )
        else:
            print("No real rows: set SEAS_DATA_REAL to their folder.\n")
        if arguments.generated:
            measure_generated_rows(arguments.generated, arguments.threshold, root)
        if arguments.cells:
            measure_cells(arguments.cells, arguments.threshold, Path(arguments.store or root / "store"))
    return None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Semantic-duplicate benchmark; prints Markdown.")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, 69_461])
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--store", help="a folder that keeps the vectors for the next run")
    parser.add_argument("--generated", type=int, default=300_000)
    parser.add_argument("--cells", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare_on_real_rows(
    rows: list[str], sizes: list[int], threshold: float, names: list[str], store: Path, root: Path
) -> None:
    print(f"## Time, memory and quality on real rows at {threshold}\n")
    print(
        "| rows | vectors | method | seconds | times ours | peak MB | pairs | found | dropped | false drops | missed |"
    )
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in sizes:
        texts, vectors = embed_rows(draw_sample(rows, size), store)
        true = all_pairs(vectors, threshold)
        ours = None
        for name in names:
            result = run_in_process(name, texts, vectors, threshold, root)
            if result is None:
                continue
            ours = ours or result["seconds"]
            cells = [WORKERS[name], f"{result['seconds']:.2f}", f"{result['seconds'] / ours:.2f}", result["peak"]]
            cells += measure_quality(result, true)
            print(f"| {size} | {len(texts)} | " + " | ".join(map(str, cells)) + " |", flush=True)
    print()


def measure_generated_rows(size: int, threshold: float, root: Path) -> None:
    print(f"## Generated rows, ours only, at {threshold}\n")
    print("| rows | seconds | peak MB | pairs |")
    print("|---:|---:|---:|---:|")
    curve: list[tuple[int, float]] = []
    for part in (size // 3, size):
        result = run_in_process("ours", [], generate_vectors(part), threshold, root)
        assert result is not None
        print(f"| {part} | {result['seconds']:.1f} | {result['peak']} | {len(result['pairs'])} |", flush=True)
        curve.append((part, result["seconds"]))
    print(f"\n- grows as n^{growth_exponent(curve):.2f}: every pair is multiplied")


def measure_cells(sizes: list[int], threshold: float, store: Path) -> None:
    """Run the search in cells on planted rows, one process per size."""
    print(f"\n## Planted rows in cells at {threshold}\n")
    print("| around | rows | processor s | of them recall | peak MB | pairs | planted found | measured recall |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    around = {"topics": None} | ({"real vectors": embed_rows(rows, store)[1]} if (rows := load_real_rows()) else {})
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, centres in around.items():
            curve: list[tuple[int, float]] = []
            for size in sizes:
                cells, seconds = pool.submit(search_planted, size, threshold, centres).result()
                curve.append((size, seconds))
                print(f"| {name} | {size} | " + " | ".join(cells) + " |", flush=True)
            print(f"\n- {name}: grows as n^{growth_exponent(curve):.2f}\n", flush=True)


def search_planted(size: int, threshold: float, centres: Any) -> tuple[list[str], float]:
    """Return the cells of one row of the table, and the processor seconds of the search."""
    from seas_data.metrics.intervals import effective_interval
    from seas_data.similarity import cosine_neighbours

    vectors, planted = plant_vectors(size, centres)
    started = time.process_time()
    found = cosine_neighbours.find_pairs(vectors, threshold, exact_rows=0)
    searched = time.process_time()
    recall = cosine_neighbours.measure_recall(vectors, found, threshold)
    measured = time.process_time() - searched
    pairs = set((found.left * size + found.right).tolist())
    low, high = effective_interval(recall.found, recall.row)
    kept = [row for row, cosine in planted if cosine >= threshold]
    hits = sum((row - 1) * size + row in pairs for row in kept)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
    return [
        f"{searched - started + measured:.0f}",
        f"{measured:.0f}",
        f"{peak:,}",
        f"{len(pairs):,}",
        f"{hits:,} of {len(kept):,}: {hits / len(kept):.5f}",
        f"{recall.found.mean():.4f} ({low:.4f} to {high:.4f}, n = {len(recall.found):,})",
    ], searched - started


def plant_vectors(size: int, centres: Any) -> tuple[Any, list[tuple[int, float]]]:
    """Return unit vectors, and the rows that are planted near the row before, with the cosine of the two.

    Rows have a cosine of 0.3 to 0.9 to one of 2,000 random topics, or of 0.55 to 0.9 to one of ``centres``.
    """
    import numpy as np

    random = np.random.default_rng(1)

    def turn(rows: Any, low: float, high: float) -> Any:
        aside = random.standard_normal(rows.shape, dtype=np.float32)
        aside -= (aside * rows).sum(1, keepdims=True) * rows
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        cosine = random.uniform(low, high, (len(rows), 1)).astype(np.float32)
        turned = cosine * rows + np.sqrt(1 - cosine**2) * aside
        return turned / np.linalg.norm(turned, axis=1, keepdims=True)

    least = 0.3 if centres is None else 0.55
    if centres is None:
        centres = random.standard_normal((2_000, 384), dtype=np.float32)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors, planted = np.empty((size, centres.shape[1]), np.float32), []
    for start in range(0, size, 20_000):
        part = vectors[start : start + 20_000]
        part[:] = turn(centres[random.integers(0, len(centres), len(part))], least, 0.9)
        close = np.arange(9, len(part), 10)
        part[close] = turn(part[close - 1], 0.95, 0.99)
        cosines = (part[close].astype(np.float64) * part[close - 1]).sum(1)
        planted += zip((close + start).tolist(), cosines.tolist(), strict=True)
    return vectors, planted


def measure_quality(result: dict[str, Any], true: set[tuple[int, int]]) -> list[object]:
    dropped = set(result["dropped"])
    witnessed = {row for pair in true for row, other in (pair, pair[::-1]) if row in dropped and other not in dropped}
    missed = sum(1 for left, right in true if left not in dropped and right not in dropped)
    cells: list[object] = ["", ""]
    if result["pairs"] is not None:
        pairs = {(left, right) for left, right in result["pairs"]}
        cells = [len(pairs), f"{len(pairs & true) / max(1, len(true)):.5f}"]
    return [*cells, len(dropped), len(dropped - witnessed), missed]


def embed_rows(rows: list[str], store: Path) -> tuple[list[str], Any]:
    """Return each text once, without those longer than the model reads, and their vectors."""
    import polars as pl

    from seas_data.recipe import Embedder
    from seas_data.similarity import embeddings

    texts = pl.DataFrame({"text": list(dict.fromkeys(rows)), "language": "any"})
    found = embeddings.embed_texts(texts, [Embedder(languages=["any"], max_unknown_proportion=1.0)], store)
    (matrix,) = found.matrices.values()
    seen = texts.hstack(found.lookup).filter(windows=1)
    return seen["text"].to_list(), matrix[seen["row"].to_numpy()]


def all_pairs(vectors: Any, threshold: float) -> set[tuple[int, int]]:
    import numpy as np

    exact = vectors.astype(np.float64)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(exact), 1_000):
        score = (exact[start : start + 1_000] @ exact[start:].T).astype(np.float32)
        one, other = np.nonzero(score.astype(np.float64) >= threshold)
        pairs |= {(a + start, b + start) for a, b in zip(one.tolist(), other.tolist(), strict=True) if a < b}
    return pairs


def generate_vectors(size: int) -> Any:
    import numpy as np

    random = np.random.default_rng(1)
    vectors = random.standard_normal((size, 384), dtype=np.float32)
    close = np.arange(9, size, 10)
    vectors[close] = vectors[close - 1] + 0.3 * vectors[close]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def run_in_process(name: str, texts: list[str], vectors: Any, threshold: float, root: Path) -> dict[str, Any] | None:
    import numpy as np

    with tempfile.TemporaryDirectory(dir=root) as folder:
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        np.save(Path(folder) / "vectors.npy", vectors)
        command = [sys.executable, __file__, "--worker", name, "--folder", folder, "--threshold", str(threshold)]
        stderr = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False).stderr
        target = Path(folder) / "result.json"
        if not target.exists():
            print(f"{name} skipped: {stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        result: dict[str, Any] = json.loads(target.read_text())
        return result


def run_worker(name: str, folder: Path, threshold: float) -> None:
    import numpy as np

    texts, vectors = json.loads((folder / "texts.json").read_text()), np.load(folder / "vectors.npy")
    workers = {
        "ours": ours,
        "ours32": ours32,
        "cells": cells,
        "semhash": semhash,
        "community": community,
        "mining": mining,
    }
    seconds, dropped, pairs = workers[name](texts, vectors, threshold)
    # Not the process' own ru_maxrss, which includes the memory of the parent at the fork.
    peak = round(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
    result = {"seconds": seconds, "peak": peak, "dropped": dropped, "pairs": pairs}
    (folder / "result.json").write_text(json.dumps(result))


Result = tuple[float, list[int], list[tuple[int, int]] | None]


def ours(texts: list[str], vectors: Any, threshold: float) -> Result:
    from seas_data.similarity import cosine_neighbours

    started = time.perf_counter()
    found = cosine_neighbours.find_pairs(vectors, threshold)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    dropped = select_dropped(pairs)
    return time.perf_counter() - started, dropped, pairs


def ours32(texts: list[str], vectors: Any, threshold: float) -> Result:
    from seas_data.similarity import vector_products

    vector_products.has_native_bf16 = lambda: False
    return ours(texts, vectors, threshold)


def cells(texts: list[str], vectors: Any, threshold: float) -> Result:
    from seas_data.similarity import cosine_neighbours

    started = time.perf_counter()
    found = cosine_neighbours.find_pairs(vectors, threshold, exact_rows=0)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    dropped = select_dropped(pairs)
    return time.perf_counter() - started, dropped, pairs


def semhash(texts: list[str], vectors: Any, threshold: float) -> Result:
    from semhash import SemHash

    rows = {text: row for row, text in enumerate(texts)}
    started = time.perf_counter()
    index = SemHash.from_embeddings(vectors, records=texts, model=None)  # the model would only encode further rows
    result = index.self_deduplicate(threshold=threshold)
    dropped = [rows[duplicate.record] for duplicate in result.filtered]
    return time.perf_counter() - started, dropped, None


def community(texts: list[str], vectors: Any, threshold: float) -> Result:
    from sentence_transformers.util import community_detection

    started = time.perf_counter()
    communities = community_detection(vectors, threshold=threshold, min_community_size=2)
    dropped = [int(row) for rows in communities for row in rows[1:]]
    return time.perf_counter() - started, dropped, None


def mining(texts: list[str], vectors: Any, threshold: float) -> Result:
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    started = time.perf_counter()
    mined = paraphrase_mining_embeddings(torch.from_numpy(vectors))
    pairs = sorted((min(a, b), max(a, b)) for score, a, b in mined if score >= threshold)
    dropped = select_dropped(pairs)
    return time.perf_counter() - started, dropped, pairs


if __name__ == "__main__":
    main()
