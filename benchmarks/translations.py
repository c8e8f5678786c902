"""Benchmark of embedders of several languages: translations found among MultiJail's parallel prompts.

    python benchmarks/translations.py [--model multilingual-e5-small-q4] [--prompt "query: "] [--every 1] [--write]

MultiJail has each prompt in ten languages, translated by people. Printed are, for cosine thresholds, the proportion of
the pairs of translations found, and the false pairs: different prompts, in two languages or in one. Then, for each
language, how often the nearest English prompt is the original. ``--every 4`` takes every fourth prompt. ``--write``
writes the tables to docs/curation.md. The file is in the folder in $SEAS_DATA_REAL.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seas_data.recipe import Embedder
from seas_data.similarity import encoder

PAGE = Path(__file__).parents[1] / "docs" / "curation.md"
START, END = "<!-- Written by benchmarks/translations.py. -->\n", "<!-- end of translations.py -->\n"
THRESHOLDS = (0.84, 0.86, 0.88, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96)


def main() -> None:
    parser = argparse.ArgumentParser(description="Translations found by an embedder; prints Markdown.")
    parser.add_argument("--model", default="multilingual-e5-small-q4")
    parser.add_argument("--revision")
    parser.add_argument("--prompt")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the tables to docs/curation.md")
    arguments = parser.parse_args()
    lines = (Path(os.environ["SEAS_DATA_REAL"]) / "multijail.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    number, language = np.array([row["id"].partition(":")[2].rsplit("-", 1) for row in rows]).T
    chosen = number.astype(int) % arguments.every == 0
    number, language = number[chosen], language[chosen]
    embedder = Embedder(model=arguments.model, revision=arguments.revision, prompt=arguments.prompt)
    vectors = embed([rows[each]["prompt"] for each in np.flatnonzero(chosen)], embedder)
    tables = "\n".join(format_tables(vectors, number, language)) + "\n"
    print(tables)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(before + START + tables + END + rest.partition(END)[2], encoding="utf-8")


def format_tables(vectors: NDArray[np.float32], number: NDArray[np.str_], language: NDArray[np.str_]) -> Iterator[str]:
    """Yield the lines of the tables: of prompts with these vectors, original prompts and languages."""
    cosine = vectors @ vectors.T
    upper = np.triu(np.ones_like(cosine, dtype=bool), 1)
    same, across = number[:, None] == number, language[:, None] != language
    true = upper & same
    yield f"{len(vectors):,} prompts in {len(set(language))} languages, {true.sum():,} pairs of translations:\n"
    yield "| cosine | translations found | different prompts in two languages | in one language |\n|--:|--:|--:|--:|"
    for threshold in THRESHOLDS:
        over = upper & (cosine >= threshold)
        false = [(over & ~same & each).sum() for each in (across, ~across)]
        yield f"| {threshold:.2f} | {(over & true).sum() / true.sum():.1%} | {false[0]:,} | {false[1]:,} |"
    yield "\n| language | median cosine to English | found at 0.90 | nearest English prompt is the original |"
    yield "|---|--:|--:|--:|"
    english = np.flatnonzero(language == "en")
    for each in sorted({*language} - {"en"}):
        cosines = cosine[np.ix_(np.flatnonzero(language == each), english)]
        own = number[language == each][:, None] == number[english]
        nearest = own[np.arange(len(own)), cosines.argmax(1)].mean()
        yield f"| {each} | {np.median(cosines[own]):.3f} | {(cosines[own] >= 0.9).mean():.1%} | {nearest:.1%} |"


def embed(texts: list[str], embedder: Embedder) -> NDArray[np.float32]:
    """Return the unit vectors of ``texts``, which the model reads whole."""
    loaded = encoder.load_encoder(encoder.locate_model(embedder))
    tokens = encoder.tokenise(loaded, texts)
    vectors = np.empty((len(texts), loaded.dimensions), np.float32)
    for rows, part in encoder.encode(loaded, tokens, np.arange(len(texts))):
        vectors[rows] = part
    return vectors


if __name__ == "__main__":
    main()
