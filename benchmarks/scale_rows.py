"""The generated rows that ``benchmarks/scale.py`` builds.

The texts are invented words with a Zipf-like distribution; their number has a median of 25 and a tail of hundreds, more
than in the public sets (median 11, mean 21). Planted, in every size in the same proportions, and only once each:

- near duplicates: 5 % of the rows are an earlier row with some words replaced, with a Jaccard similarity of 5-grams of
  at least 0.8, and 2 % an earlier row in other case and spacing;
- templates: 5 % of the rows are one of many wrappers (each around 100 rows) and a request;
- semantic duplicates, with ``--vectors``: every row has a random unit vector of 384 numbers, and those of 3 % of the
  rows have a cosine of 0.97 to an earlier row. They are planted in the workspace's store of vectors, and so are random
  vectors of the requests inside of wrappers: no model runs.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
            for part, requests in texts:
                characters += sum(map(len, part))
                file.writelines(json.dumps({"prompt": text}) + "\n" for text in part)
                if store:
                    store.add(part, requests)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("prompt", pa.large_string())])
        with pq.ParquetWriter(source, schema) as writer:
            for part, requests in texts:
                characters += sum(map(len, part))
                writer.write_table(pa.table({"prompt": pa.array(part, pa.large_string())}, schema))
                if store:
                    store.add(part, requests)
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


def write_texts(
    kind: NDArray[np.int8], partner: NDArray[np.int64], chance: np.random.Generator
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the texts in parts, each with the requests in its wrappers.

    Only the texts that a later row repeats stay in memory.
    """
    words = invent_words(chance)
    odds = np.cumsum(1 / (np.arange(len(words)) + 3.0))

    def draw(count: int) -> NDArray[np.str_]:
        return words[np.searchsorted(odds, chance.random(count) * odds[-1])]

    names = list(KINDS)
    rows = len(kind)
    wrappers = [
        (" ".join(draw(int(chance.integers(12, 40)))), " ".join(draw(int(chance.choice([0, *range(5, 15)])))))
        for _ in range(max(1, round(KINDS["template"] * rows / ROWS_PER_WRAPPER)))
    ]
    repeated = np.zeros(rows, np.bool_)
    repeated[partner[(partner >= 0) & (kind != names.index("semantic"))]] = True
    kept: dict[int, list[str]] = {}
    wrapped = 0
    for start in range(0, rows, ROWS_PER_PART):
        part, requests = list[str](), list[str]()
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
                requests.append(" ".join(text[:40]))
                text = [each for each in (before, *text[:40], after) if each]
            part.append(" ".join(text))
        yield part, requests


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

    def add(self, texts: list[str], requests: list[str]) -> None:
        """Store vectors of the next ``texts``, and of the ``requests`` in their wrappers."""
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
        matrix = np.concatenate(
            [matrix, normalise(self.chance.standard_normal((len(requests), DIMENSIONS), np.float32))]
        )
        keys = vector_store.compute_text_keys(pl.Series([*texts, *requests]))
        counts = pl.DataFrame({"key": keys}).with_columns(
            tokens=pl.lit(30, pl.Int32), unknown=pl.lit(0.0), longest=pl.lit(256, pl.Int32), windows=pl.lit(1, pl.Int64)
        )
        vector_store.write_token_counts(self.folder, counts)
        vector_store.write_vectors(self.folder, keys, matrix)
        self.start = end


def normalise(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit
