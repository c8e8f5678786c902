"""Other libraries on the rows of ``benchmarks/scale.py``: datatrove's MinHash, and semhash on the planted vectors.

``measure`` runs each in a process of the environment that ``scale.py --peer-python`` names, which needs
``datatrove[processing]==0.10.*``, ``spacy``, ``xxhash<4``, ``orjson`` and ``semhash==0.5.*``. The figures are those of
the whole process: processor seconds, peak memory of its largest process, and its drops compared with the plant. Both
get only the texts or vectors that they compare; a build of ours also reads, detects templates, splits and writes.
"""

import contextlib
import json
import math
import os
import resource
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PEERS = {"datatrove": ("near", "exact"), "semhash": ("semantic",)}
"""What each is to find, as kinds of ``scale_rows``."""
THRESHOLD = 0.95


def measure(folder: Path, python: str, kind: Any, partner: Any, *, vectors: bool) -> dict[str, dict[str, Any]]:
    """Return the figures of each peer on the rows that ``scale_rows.generate`` wrote to ``folder`` as Parquet."""
    import polars as pl

    from benchmarks.scale_rows import KINDS

    texts = pl.read_parquet(folder / "texts.parquet")["prompt"]
    measured = {}
    for name, finds in PEERS.items():
        if name == "semhash" and not vectors:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as made:
            if name == "datatrove":
                write_jsonl(texts, Path(made))
            else:
                write_vectors(texts, folder / "workspace", Path(made))
            figures = run(python, name, Path(made))
            result = json.loads((Path(made) / "result.json").read_text())
        planted = [row for each in finds for row in (kind == list(KINDS).index(each)).nonzero()[0].tolist()]
        pairs = (partner >= 0).nonzero()[0].tolist()  # some rows of near duplicates have equal vectors, too
        ends, gone = {row for later in pairs for row in (later, int(partner[later]))}, set(result["dropped"])
        found = sum(row in gone or int(partner[row]) in gone for row in planted)
        measured[name] = figures | {
            "peak_megabytes": result["peak_megabytes"],
            "planted": len(planted),
            "recall": found / len(planted),
            "dropped": len(gone),
            "precision": len(gone & ends) / len(gone) if gone else math.nan,
        }
    return measured


def write_jsonl(texts: Any, folder: Path) -> None:
    """Write one file of texts for each processor, as datatrove reads them."""
    cores = len(os.sched_getaffinity(0))
    part = math.ceil(len(texts) / cores)
    (folder / "in").mkdir()
    for task in range(cores):
        with (folder / "in" / f"{task:03d}.jsonl").open("w", encoding="utf-8") as file:
            first = task * part
            for row, text in enumerate(texts.slice(first, part), first):
                file.write(json.dumps({"text": text, "id": row}) + "\n")


def write_vectors(texts: Any, workspace: Path, folder: Path) -> None:
    """Write the planted vectors in the order of the texts."""
    import numpy as np
    import polars as pl

    from seas_data.recipe import Embedder
    from seas_data.similarity import embeddings

    frame = pl.DataFrame({"text": texts, "language": "en"})
    found = embeddings.embed_texts(frame, [Embedder()], workspace / "vectors")
    (matrix,) = found.matrices.values()
    np.save(folder / "vectors.npy", matrix[found.lookup["row"].to_numpy()])


def run(python: str, name: str, folder: Path) -> dict[str, Any]:
    started = time.perf_counter()
    process = os.posix_spawn(python, [python, __file__, name, str(folder)], os.environ)
    _, status, used = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{name} failed")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
    }


# --- in the other environment


def datatrove(folder: Path) -> list[int]:
    """Return the rows that MinHash removes, with 5-word shingles in 14 bands of 8, the documented settings."""
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster
    from datatrove.pipeline.readers import JsonlReader

    files = sorted((folder / "in").iterdir())
    starts = [json.loads(file.open().readline())["id"] for file in files]
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    steps = [
        ([JsonlReader(str(folder / "in")), MinhashDedupSignature(f"{folder}/signatures", config)], len(files)),
        ([MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)], 1),
    ]
    with contextlib.redirect_stdout(sys.stderr):
        for number, (pipeline, tasks) in enumerate(steps):
            logs = f"{folder}/logs{number}"
            workers = min(len(files), tasks)  # forked, so that this process waits for them and gets their time
            LocalPipelineExecutor(pipeline, tasks, workers, logging_dir=logs, start_method="fork").run()
    dropped = []
    for task, start in enumerate(starts):
        file = folder / "remove" / f"{task:06d}.remove"
        if file.exists():
            dropped += [start + row for (row,) in struct.iter_unpack("<I", file.read_bytes())]
    return dropped


def semhash(folder: Path) -> list[int]:
    import numpy as np
    from semhash import SemHash

    vectors = np.load(folder / "vectors.npy")
    records = [str(row) for row in range(len(vectors))]
    index = SemHash.from_embeddings(vectors, records=records, model=None)  # the model would only encode further rows
    return [int(each.record) for each in index.self_deduplicate(threshold=THRESHOLD).filtered]


if __name__ == "__main__":
    rows = {"datatrove": datatrove, "semhash": semhash}[sys.argv[1]](Path(sys.argv[2]))
    # Not the process' own ru_maxrss, which includes the memory of the parent at the fork.
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024
    Path(sys.argv[2], "result.json").write_text(json.dumps({"dropped": rows, "peak_megabytes": peak}))
