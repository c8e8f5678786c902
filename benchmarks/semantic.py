"""Semantic duplicates side by side: ours, semhash, and sentence-transformers' two ways, on the vectors of real rows.

    python benchmarks/semantic.py [--rows 10000 30000 69461] [--threshold 0.95] [--store DIR] [--generated 300000]

All get the same unit vectors (all-MiniLM-L6-v2 on each text of the draw once, of every language, less those over 256
tokens) and run in a process of their own, so that their peak memory is their own; ``--store`` keeps the vectors for the
next run. The clock runs from the vectors in memory to the list of dropped rows and leaves imports out. Peers run with
their defaults but for the threshold (and communities of two). Against all pairs, in float64:

- *pairs*, and the share of the true ones among them that was *found*, where a tool gives pairs;
- *dropped*; *false drops*: rows dropped with no kept neighbour over the threshold; *left in*: pairs over it both kept.

semhash (``pip install semhash==0.5.*``) is left out where it is not installed. The real rows come from the folder in
$SEAS_DATA_REAL. Generated rows are random unit vectors, one in ten close to another one.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from near_duplicates import greedy, growth, real_rows, sample

WORKERS = {
    "ours": "ours, bf16 where native",
    "ours32": "ours, fp32",
    "semhash": "semhash",
    "community": "community_detection",
    "mining": "paraphrase_mining_embeddings",
}


def main() -> None:
    arguments = parse()
    if arguments.worker:
        return work(arguments.worker, Path(arguments.folder), arguments.threshold)
    names = [name for name in WORKERS if name != "semhash" or importlib.util.find_spec("semhash")]
    if "semhash" not in names:
        print("semhash left out: it is not installed (pip install semhash==0.5.*).\n")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if rows := real_rows():
            side_by_side(
                rows, arguments.rows, arguments.threshold, names, Path(arguments.store or place / "store"), place
            )
        else:
            print("No real rows: set SEAS_DATA_REAL to their folder.\n")
        if arguments.generated:
            alone(arguments.generated, arguments.threshold, place)
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Semantic-duplicate benchmark; prints Markdown.")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, 69_461])
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--store", help="a folder for the vectors, so that another run finds them")
    parser.add_argument("--generated", type=int, default=300_000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def side_by_side(
    rows: list[str], sizes: list[int], threshold: float, names: list[str], store: Path, place: Path
) -> None:
    print(f"## Time, memory and quality on real rows at {threshold}\n")
    print(
        "| rows | vectors | what | seconds | times ours | peak MB | pairs | found | dropped | false drops | left in |"
    )
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in sizes:
        texts, vectors = embedded(sample(rows, size), store)
        true = all_pairs(vectors, threshold)
        ours = None
        for name in names:
            result = run(name, texts, vectors, threshold, place)
            if result is None:
                continue
            ours = ours or result["seconds"]
            cells = [WORKERS[name], f"{result['seconds']:.2f}", f"{result['seconds'] / ours:.2f}", result["peak"]]
            cells += quality(result, true)
            print(f"| {size} | {len(texts)} | " + " | ".join(map(str, cells)) + " |", flush=True)
    print()


def alone(size: int, threshold: float, place: Path) -> None:
    print(f"## Ours alone on generated rows at {threshold}\n")
    print("| rows | seconds | peak MB | pairs |")
    print("|---:|---:|---:|---:|")
    curve: list[tuple[int, float]] = []
    for part in (size // 3, size):
        result = run("ours", [], generated_vectors(part), threshold, place)
        assert result is not None
        print(f"| {part} | {result['seconds']:.1f} | {result['peak']} | {len(result['pairs'])} |", flush=True)
        curve.append((part, result["seconds"]))
    print(f"\n- grows as n^{growth(curve):.2f}: every pair is multiplied")


def quality(result: dict[str, Any], true: set[tuple[int, int]]) -> list[object]:
    dropped = set(result["dropped"])
    witnessed = {row for pair in true for row, other in (pair, pair[::-1]) if row in dropped and other not in dropped}
    left_in = sum(1 for left, right in true if left not in dropped and right not in dropped)
    cells: list[object] = ["", ""]
    if result["pairs"] is not None:
        pairs = {(left, right) for left, right in result["pairs"]}
        cells = [len(pairs), f"{len(pairs & true) / max(1, len(true)):.5f}"]
    return [*cells, len(dropped), len(dropped - witnessed), left_in]


def embedded(rows: list[str], store: Path) -> tuple[list[str], Any]:
    """Return each text once, less those that the model does not read to the end, and their vectors."""
    import polars as pl

    from seas_data.recipe import Embedder
    from seas_data.similarity import embeddings

    asked = pl.DataFrame({"text": list(dict.fromkeys(rows)), "language": "any"})
    found = embeddings.embed_texts(asked, [Embedder(languages=["any"], max_unknown=1.0)], store)
    (matrix,) = found.matrices.values()
    seen = found.lookup.filter(pl.col("model").is_not_null())
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


def generated_vectors(size: int) -> Any:
    import numpy as np

    random = np.random.default_rng(1)
    vectors = random.standard_normal((size, 384), dtype=np.float32)
    close = np.arange(9, size, 10)
    vectors[close] = vectors[close - 1] + 0.3 * vectors[close]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def run(name: str, texts: list[str], vectors: Any, threshold: float, place: Path) -> dict[str, Any] | None:
    import numpy as np

    with tempfile.TemporaryDirectory(dir=place) as folder:
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        np.save(Path(folder) / "vectors.npy", vectors)
        command = [sys.executable, __file__, "--worker", name, "--folder", folder, "--threshold", str(threshold)]
        said = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False).stderr
        target = Path(folder) / "result.json"
        if not target.exists():
            print(f"{name} left out: {said.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        result: dict[str, Any] = json.loads(target.read_text())
        return result


def work(name: str, folder: Path, threshold: float) -> None:
    import numpy as np

    texts, vectors = json.loads((folder / "texts.json").read_text()), np.load(folder / "vectors.npy")
    workers = {"ours": ours, "ours32": ours32, "semhash": semhash, "community": community, "mining": mining}
    seconds, dropped, pairs = workers[name](texts, vectors, threshold)
    # Not the process' own ru_maxrss: that starts with what the parent had.
    peak = round(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
    result = {"seconds": seconds, "peak": peak, "dropped": dropped, "pairs": pairs}
    (folder / "result.json").write_text(json.dumps(result))


Result = tuple[float, list[int], list[tuple[int, int]] | None]


def ours(texts: list[str], vectors: Any, threshold: float) -> Result:
    from seas_data.similarity import cosine_neighbours

    began = time.perf_counter()
    found = cosine_neighbours.find_pairs(vectors, threshold)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    dropped = greedy(pairs)
    return time.perf_counter() - began, dropped, pairs


def ours32(texts: list[str], vectors: Any, threshold: float) -> Result:
    from seas_data.similarity import cosine_neighbours

    cosine_neighbours.has_native_bf16 = lambda: False
    return ours(texts, vectors, threshold)


def semhash(texts: list[str], vectors: Any, threshold: float) -> Result:
    from semhash import SemHash

    rows = {text: row for row, text in enumerate(texts)}
    began = time.perf_counter()
    index = SemHash.from_embeddings(vectors, records=texts, model=None)  # its model would only encode further rows
    result = index.self_deduplicate(threshold=threshold)
    dropped = [rows[duplicate.record] for duplicate in result.filtered]
    return time.perf_counter() - began, dropped, None


def community(texts: list[str], vectors: Any, threshold: float) -> Result:
    from sentence_transformers.util import community_detection

    began = time.perf_counter()
    communities = community_detection(vectors, threshold=threshold, min_community_size=2)
    dropped = [int(row) for rows in communities for row in rows[1:]]
    return time.perf_counter() - began, dropped, None


def mining(texts: list[str], vectors: Any, threshold: float) -> Result:
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    began = time.perf_counter()
    mined = paraphrase_mining_embeddings(torch.from_numpy(vectors))
    pairs = sorted((min(a, b), max(a, b)) for score, a, b in mined if score >= threshold)
    dropped = greedy(pairs)
    return time.perf_counter() - began, dropped, pairs


if __name__ == "__main__":
    main()
