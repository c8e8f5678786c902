"""Write a workspace with one version of generated rows, as large as you like, without building it.

    write_workspace(folder, rows=1_000_000)

The tables have what a build of sources without a loop writes: five sources of training rows, of which every twelfth is
a dropped near duplicate, and a holdout set; types and hazards for attacks; wrappers of about a hundred rows; splits;
vectors of 384 numbers around the centres of clusters, and a place on the map. Ids and digests are those of the rows,
which are sorted by id over all shards, as in a build. Texts are invented words, of about 250 characters. Nothing is
compared, so drops are not alike. Memory is that of a few shards.
"""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from seas_data import folding, tables
from seas_data.conversation import prompt_ids
from seas_data.recipe import Recipe
from seas_data.store import Manifest, open_workspace
from seas_data.store.stages import RUNS
from seas_data.store.workspace import ROWS_PER_SHARD, Shard
from seas_data.text import content_id, text_digest

DIMENSIONS, CLUSTERS, ROWS_PER_WRAPPER = 384, 200, 100
SOURCES = {
    "alpha": "MIT",
    "beta": "Apache-2.0",
    "gamma": "CC-BY-4.0",
    "delta": "CC0-1.0",
    "epsilon": "MIT",
    "outside": "MIT",
}
PLAIN = {"kind": "adversarial", "role": "training", "language": "en", "iteration": 0, "priority": 1}
ROWS_PER_PART = 100_000


def write_workspace(root: Path, rows: int) -> None:
    """Write the workspace ``root`` with a version v0 of ``rows`` prompts."""
    workspace = open_workspace(root, create=True)
    sources = {
        name: {"path": f"{name}.jsonl", "kind": "adversarial", "licence": licence} for name, licence in SOURCES.items()
    }
    recipe = Recipe.model_validate({"name": "large", "sources": sources})
    taxonomy = recipe.taxonomy.frame()
    shards: dict[str, list[Shard]] = {name: [] for name in tables.TABLES}
    shards["taxonomy"] = workspace.write_shards("taxonomy", taxonomy)
    count = max(1, rows // 20 // ROWS_PER_WRAPPER)
    wrappers = pl.DataFrame(
        {
            "template_id": [content_id("wrapper", number) for number in range(count)],
            "segments": [[f"please answer as the gardener number {number} would"] for number in range(count)],
        }
    ).sort("template_id")
    shards["wrappers"] = workspace.write_shards("wrappers", wrappers)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        for number, start in enumerate(range(0, rows, ROWS_PER_PART)):
            part = make_prompts(start, min(rows, start + ROWS_PER_PART), taxonomy)
            part.write_parquet(Path(folder) / f"{number:05d}.parquet")
        ranges = -(-rows // (ROWS_PER_SHARD * 9 // 10))
        bounds = [f"{16**6 * number // ranges:06x}" for number in range(ranges)] + ["g"]
        for number in range(ranges):
            some = pl.scan_parquet(Path(folder) / "*.parquet").filter(
                pl.col("prompt_id") >= bounds[number], pl.col("prompt_id") < bounds[number + 1]
            )
            prompts = some.collect().sort("prompt_id")
            for name, frame in make_tables(prompts, wrappers["template_id"], np.random.default_rng(number)).items():
                shards[name] += workspace.write_shards(name, frame)
    manifest = Manifest(
        version="v0",
        iteration=0,
        parent=None,
        parent_digest=None,
        recipe=recipe.canonical(),
        recipe_digest=recipe.digest(),
        tables=shards,
        folding=folding.version(),
    )
    workspace.commit(manifest, pl.DataFrame(schema=RUNS))


def make_prompts(start: int, end: int, taxonomy: pl.DataFrame) -> pl.DataFrame:
    """Return the prompts of the numbers from ``start`` to ``end``."""
    chance = np.random.default_rng(start)
    syllables = np.array([a + b + c for a in "bdfghklmprstvw" for b in "aeiou" for c in ("", "n", "r", "s")])
    words = np.array(["".join(chance.choice(syllables, 1 + number % 3)) for number in range(5_000)])
    lengths = np.clip(chance.lognormal(np.log(35), 0.8, end - start), 4, 1_000).astype(np.int64)
    drawn = words[(chance.random(int(lengths.sum())) ** 2 * len(words)).astype(np.int64)].tolist()
    ends = np.cumsum(lengths)
    texts = [" ".join(drawn[e - n : e]) for e, n in zip(ends.tolist(), lengths.tolist(), strict=True)]
    number = np.arange(start, end)
    source = np.where(number % 50 == 0, len(SOURCES) - 1, number % (len(SOURCES) - 1))
    row = chance.integers(0, taxonomy.height, end - start)
    kind = np.where(number % 10 == 0, 1, np.where(number % 20 == 1, 2, 0))
    digests = [text_digest(text) for text in texts]
    names = list(SOURCES)
    label = taxonomy[row.tolist()]
    frame = pl.DataFrame(
        {
            "text": texts,
            "text_digest": digests,
            "leak_digest": digests,
            "kind": np.array(["adversarial", "harmless", "general"])[kind],
            "source": [names[at] for at in source.tolist()],
            "licence": [SOURCES[names[at]] for at in source.tolist()],
            "source_id": [str(each) for each in number.tolist()],
            "role": np.where(source == len(SOURCES) - 1, "holdout", "training"),
            "type": label["type"],
            "difficulty": label["difficulty"],
            "axis": label["axis"],
            "label_source": ["source"] * (end - start),
        }
    )
    is_attack = pl.col("kind") == "adversarial"
    frame = frame.with_columns(
        *(pl.when(is_attack).then(pl.col(name)).alias(name) for name in ("type", "difficulty", "label_source")),
        risk_category=pl.when(is_attack, pl.col("axis") == "risk").then("type"),
        attack_style=pl.when(is_attack, pl.col("axis") == "style").then("type"),
    )
    schema = tables.empty("prompts").schema
    rest = [pl.lit(PLAIN.get(name), kind).alias(name) for name, kind in schema.items() if name not in frame.columns]
    frame = frame.with_columns(rest)
    return frame.with_columns(prompt_id=prompt_ids(frame)).select(list(schema))


def make_tables(prompts: pl.DataFrame, wrappers: pl.Series, chance: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Return the rows of every table for some prompts, sorted by id."""
    number = pl.col("source_id").cast(pl.Int64)
    is_dropped = (number % 12 == 5) & (pl.col("role") == "training")
    kept = prompts.filter(~is_dropped)
    witness = kept["prompt_id"].gather(chance.integers(0, kept.height, prompts.height))
    decisions = prompts.with_columns(witness_id=witness).filter(is_dropped)
    decisions = decisions.select(
        "prompt_id",
        "witness_id",
        version=pl.lit("v0"),
        step=pl.lit("select"),
        decision=pl.lit("drop"),
        reason=pl.lit("near_duplicate"),
        score=pl.lit(0.9),
        threshold=pl.lit(0.8),
        detail=pl.lit(None, pl.String),
    )
    split = (
        pl.when(pl.col("role") == "holdout")
        .then(pl.lit("holdout"))
        .when((pl.col("kind") == "harmless") & (number % 100 == 10))
        .then(pl.lit("harmless"))
        .when(number % 10 == 7)
        .then(pl.lit("test"))
        .otherwise(pl.lit("train"))
    )
    splits = kept.select("prompt_id", split=split, group_id=pl.col("prompt_id"))
    wrapped = kept.filter(number % 20 == 3, pl.col("role") == "training")
    templates = wrapped.select(
        "prompt_id",
        template_id=wrappers.gather(chance.integers(0, len(wrappers), wrapped.height)),
        payload=pl.col("text").str.head(80),
        request_id=pl.col("text_digest"),
    )
    cluster = chance.integers(0, CLUSTERS, kept.height)
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    vectors = centres[cluster] + chance.standard_normal((kept.height, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    clusters = kept.select(
        "prompt_id",
        cluster=pl.Series(cluster, dtype=pl.Int32),
        label=pl.Series([f"garden {each}, doors, boxes" for each in cluster.tolist()]),
        x=pl.Series(vectors[:, 0]),
        y=pl.Series(vectors[:, 1]),
    )
    embeddings = kept.select(
        "prompt_id",
        model=pl.lit("generated"),
        vector=pl.Series(vectors, dtype=pl.Array(pl.Float32, DIMENSIONS)).arr.to_list(),
    )
    return {
        "prompts": prompts,
        "decisions": decisions,
        "splits": splits,
        "templates": templates,
        "clusters": clusters,
        "embeddings": embeddings,
    }
