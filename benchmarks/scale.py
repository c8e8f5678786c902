"""Time, memory, recall and precision of whole builds of generated rows at several sizes, and how they grow.

    python benchmarks/scale.py --rows 100000 300000 [--vectors] [--jsonl] [--keep FOLDER] [--write]

Each build is a process of its own. The table shows for each stage the processor time and the peak of memory since
the end of the stage before it: "read and embed" begins with the imports. ``--write`` stores the figures, one entry per
size, in ``benchmarks/scale.json`` and the tables in docs/performance.md, with all sizes that the file has.

The texts are invented words with a Zipf-like distribution; their number has a median of 25 and a tail of hundreds, more
than in the public sets (median 11, mean 21). Planted, in every size in the same proportions, and only once each:

- near duplicates: 5 % of the rows are an earlier row with some words replaced, with a Jaccard similarity of 5-grams of
  at least 0.8, and 2 % an earlier row in other case and spacing;
- templates: 5 % of the rows are one of many wrappers (each around 100 rows) and a request;
- semantic duplicates, with ``--vectors``: every row has a random unit vector of 384 numbers, and those of 3 % of the
  rows have a cosine of 0.97 to an earlier row. They are planted in the workspace's store of vectors: no model runs.

Recall is the proportion of the planted pairs of which one row was dropped (of templates: of the planted rows that got a
template), precision the proportion of the drops whose witness is the planted partner (of templates: of the rows with a
template that are planted).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("scale.json"), CHECKOUT / "docs" / "performance.md"
START, END = "<!-- Written by benchmarks/scale.py from benchmarks/scale.json. -->\n", "<!-- end -->\n"
DIMENSIONS = 384
ROWS_PER_PART = 100_000
ROWS_PER_WRAPPER = 100
KINDS = {"near": 0.05, "exact": 0.02, "template": 0.05, "semantic": 0.03}
RECIPE = """name: generated
sources:
  generated: {{path: {path}, kind: adversarial, language: en, licence: Apache-2.0}}
embedders: {embedders}
curation: {{labels: {{infer: false}}}}
"""
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
    parser.add_argument("--write", action="store_true", help="store the figures, and the tables in docs/performance.md")
    chosen = parser.parse_args()
    measured = {}
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (chosen.keep or Path(temporary)) / str(rows)
            folder.mkdir(parents=True)
            result = measure(rows, folder, vectors=chosen.vectors, jsonl=chosen.jsonl)
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


def measure(rows: int, folder: Path, *, vectors: bool, jsonl: bool) -> dict[str, Any]:
    """Generate ``rows`` rows in ``folder``, build them and return the figures."""
    kind, partner, characters = generate(rows, folder, vectors=vectors, jsonl=jsonl)
    started = time.perf_counter()
    stages, processor = run_build(folder)
    seconds = time.perf_counter() - started
    return {
        "rows": rows,
        "format": "JSON Lines" if jsonl else "Parquet",
        "vectors": vectors,
        "megabytes_of_text": round(characters / 1e6),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "peak_megabytes": max(each["megabytes"] for each in stages.values()),
        "stages": stages,
        "quality": compare_with_plant(folder / "workspace", kind, partner),
        "digest": json.loads((folder / "workspace" / "versions" / "v0.json").read_text())["digest"],
    }


# --- the rows


def generate(rows: int, folder: Path, *, vectors: bool, jsonl: bool) -> tuple[NDArray[np.int8], NDArray[np.int64], int]:
    """Write the source, the recipe and, with ``vectors``, a workspace with them.

    Returns for each row what it is (an index into ``KINDS``, or -1) and its planted partner, an earlier row, or -1; and
    the number of characters of all rows.
    """
    chance = np.random.default_rng(0)
    kind, partner = plan(rows, chance, vectors=vectors)
    texts, characters = write_texts(kind, partner, chance), 0
    source = folder / ("texts.jsonl" if jsonl else "texts.parquet")
    store = VectorStore(folder / "workspace", chance, partner, kind) if vectors else None
    if jsonl:
        with source.open("w", encoding="utf-8") as file:
            for part in texts:
                characters += sum(map(len, part))
                file.writelines(json.dumps({"prompt": text}) + "\n" for text in part)
                if store:
                    store.add(part)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("prompt", pa.large_string())])
        with pq.ParquetWriter(source, schema) as writer:
            for part in texts:
                characters += sum(map(len, part))
                writer.write_table(pa.table({"prompt": pa.array(part, pa.large_string())}, schema))
                if store:
                    store.add(part)
    recipe = RECIPE.format(path=source, embedders="[{}]" if vectors else "[]")
    (folder / "recipe.yaml").write_text(recipe if vectors else recipe.replace("{{labels", "{{semantic: null, labels"))
    return kind, partner, characters


def plan(rows: int, chance: np.random.Generator, *, vectors: bool) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    kind = np.full(rows, -1, np.int8)
    partner = np.full(rows, -1, np.int64)
    order = chance.permutation(rows)
    at = 0
    for number, (name, proportion) in enumerate(KINDS.items()):
        count = round(proportion * rows)
        if name == "semantic" and not vectors:
            continue
        if name == "template":
            kind[order[at : at + count]] = number
            at += count
            continue
        ends = order[at : at + 2 * count].reshape(-1, 2)
        later, earlier = ends.max(axis=1), ends.min(axis=1)
        kind[later], partner[later] = number, earlier
        at += 2 * count
    return kind, partner


def write_texts(kind: NDArray[np.int8], partner: NDArray[np.int64], chance: np.random.Generator) -> Iterator[list[str]]:
    """Yield the texts in parts. Only the texts that a later row repeats stay in memory."""
    words = invent_words(chance)
    odds = np.cumsum(1 / (np.arange(len(words)) + 3.0))

    def draw(count: int) -> NDArray[np.str_]:
        return words[np.searchsorted(odds, chance.random(count) * odds[-1])]

    names = list(KINDS)
    rows = len(kind)
    wrappers = [
        (" ".join(draw(int(chance.integers(12, 40)))), " ".join(draw(int(chance.integers(0, 15)))))
        for _ in range(max(1, round(KINDS["template"] * rows / ROWS_PER_WRAPPER)))
    ]
    repeated = np.zeros(rows, np.bool_)
    repeated[partner[(partner >= 0) & (kind != names.index("semantic"))]] = True
    kept: dict[int, list[str]] = {}
    wrapped = 0
    for start in range(0, rows, ROWS_PER_PART):
        part = []
        lengths = np.clip(chance.lognormal(math.log(25), 0.9, ROWS_PER_PART), 4, 3_000).astype(np.int64)
        ends = np.cumsum(lengths)
        drawn = draw(int(ends[-1]))
        for row in range(start, min(rows, start + ROWS_PER_PART)):
            at = row - start
            text = drawn[ends[at] - lengths[at] : ends[at]].tolist()
            if repeated[row]:
                text = text if len(text) >= 12 else text + draw(12).tolist()
                kept[row] = text
            name = names[kind[row]] if kind[row] >= 0 else ""
            if name == "near":
                text = change_words(kept.pop(int(partner[row])), words, chance)
            if name == "exact":
                text = ["", *(word.upper() for word in kept.pop(int(partner[row])))]
            if name == "template":
                before, after = wrappers[wrapped % len(wrappers)]
                wrapped += 1
                text = [before, *text[:40], after]
            part.append(" ".join(text))
        yield part


def change_words(text: list[str], words: NDArray[np.str_], chance: np.random.Generator) -> list[str]:
    """Return ``text`` with as many words replaced as keep the Jaccard similarity of 5-grams at 0.8 or more."""
    before, changed = shingles(text), list(text)
    for place in chance.permutation(len(text))[: max(1, len(text) // 20)].tolist():
        trial = list(changed)
        trial[place] = str(words[chance.integers(len(words))])
        after = shingles(trial)
        if len(before & after) >= 0.82 * len(before | after):
            changed = trial
    return changed


def shingles(text: list[str]) -> set[str]:
    joined = " ".join(text)
    return {joined[at : at + 5] for at in range(max(1, len(joined) - 4))}


def invent_words(chance: np.random.Generator) -> NDArray[np.str_]:
    syllables = np.array([a + b + c for a in "bdfghklmnprstvw" for b in "aeiou" for c in ("", "n", "r", "s", "t")])
    lengths = chance.choice([1, 1, 2, 2, 3, 4], 30_000)
    words = ["".join(chance.choice(syllables, length)) for length in lengths]
    return np.array([word for word in words if not word.startswith("no")])  # no negations


class VectorStore:
    """Vectors of the rows, in the store of a workspace as if the bundled model had made them."""

    def __init__(
        self, workspace: Path, chance: np.random.Generator, partner: NDArray[np.int64], kind: NDArray[np.int8]
    ) -> None:
        from seas_data.recipe.curation import Embedder
        from seas_data.similarity.encoder import locate_model
        from seas_data.store import open_workspace

        open_workspace(workspace, create=True)
        self.folder = workspace / "vectors" / locate_model(Embedder()).key
        self.chance = np.random.default_rng(chance.integers(1 << 32))
        self.semantic = np.flatnonzero(kind == list(KINDS).index("semantic"))
        self.partner = partner
        self.needed = set(partner[self.semantic].tolist())
        self.vectors: dict[int, NDArray[np.float32]] = {}
        self.start = 0

    def add(self, texts: list[str]) -> None:
        from seas_data.similarity import vector_store

        matrix = normalise(self.chance.standard_normal((len(texts), DIMENSIONS), np.float32))
        end = self.start + len(texts)
        for row in range(self.start, end):
            if row in self.needed:
                self.vectors[row] = matrix[row - self.start].copy()
        for row in self.semantic[np.searchsorted(self.semantic, self.start) : np.searchsorted(self.semantic, end)]:
            near = self.vectors.pop(int(self.partner[row]))
            other = matrix[row - self.start]
            other = normalise((other - (other @ near) * near)[None])[0]
            matrix[row - self.start] = 0.97 * near + math.sqrt(1 - 0.97**2) * other
        keys = vector_store.compute_text_keys(pl.Series(texts))
        counts = pl.DataFrame({"key": keys}).with_columns(
            tokens=pl.lit(30, pl.Int32), unknown=pl.lit(0.0), longest=pl.lit(256, pl.Int32)
        )
        vector_store.write_token_counts(self.folder, counts)
        vector_store.write_vectors(self.folder, keys, matrix)
        self.start = end


def normalise(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


# --- the build


def run_build(folder: Path) -> tuple[dict[str, dict[str, Any]], float]:
    """Run the build. Return seconds, rows and megabytes of each stage, and the seconds of processor time."""
    command = [sys.executable, "-c", PROGRAM, str(folder / "recipe.yaml"), str(folder / "workspace")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
    assert process.stderr is not None
    watch = Watch(process.pid)
    peaks, used = {}, {"": 0.0}
    for line in process.stderr:
        if " rows " in line:
            name = line[:14].strip()
            peaks[name], used[name] = watch.take_peak(), watch.processor_seconds()
        else:
            print(line, end="", file=sys.stderr)
    if process.wait():
        raise SystemExit("the build failed")
    runs = pl.read_parquet(folder / "workspace" / "runs" / "v0.parquet")
    spent = dict(zip(list(used)[1:], np.diff(list(used.values())).round(2).tolist(), strict=True))
    stages = {
        row["stage"]: {
            "seconds": row["seconds"],
            "processor_seconds": spent[row["stage"]],
            "rows": row["rows"],
            "megabytes": peaks[row["stage"]],
        }
        for row in runs.iter_rows(named=True)
    }
    return stages, list(used.values())[-1]


class Watch:
    """The peak memory of a process since it was last asked for; Linux resets its own count on request."""

    def __init__(self, process: int) -> None:
        self.folder = Path("/proc") / str(process)

    def take_peak(self) -> int:
        try:
            status = (self.folder / "status").read_text()
            (self.folder / "clear_refs").write_text("5")
        except OSError:
            return 0
        return int(status.split("VmHWM:")[1].split()[0]) // 1024 if "VmHWM:" in status else 0

    def processor_seconds(self) -> float:
        ticks = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


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
        parts.append(f"{name}:\n\n{format_series(series)}\n{format_stages(series)}\n{format_quality(series)}\n")
    return "".join(parts)


def format_series(series: list[dict[str, Any]]) -> str:
    lines = [
        "| rows | text MB | seconds | processor seconds | peak MB | bytes a row | bytes a further row | time grows as |"
    ]
    lines.append("|--:|--:|--:|--:|--:|--:|--:|--:|")
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
            f"{now['seconds']:,.0f}",
            f"{now['processor_seconds']:,.0f}",
            f"{now['peak_megabytes']:,}",
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


if __name__ == "__main__":
    main()
