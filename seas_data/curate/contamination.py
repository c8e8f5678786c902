"""Contamination: training prompts that come too close to what models are tested on.

A training prompt is held against every holdout prompt by two measures: how much of the holdout prompt it quotes
(``containment.find_quotes``: character 5-grams that stand together, the rare ones counting most) and the cosine of their
embeddings, where one embedder sees both. A copy with a few words around it is found by the first, a paraphrase by the
second. Both report their score, so that a person can judge.

A training prompt too close to a holdout prompt is dropped. If exactly one of the two is adversarial it is a contrast
rather than a copy: flagged and kept. Holdout prompts themselves are never dropped.
"""

import numpy as np
import polars as pl

from seas_data.curate.outcome import Outcome, decisions, no_decisions
from seas_data.recipe import Contamination
from seas_data.similarity import cosine_neighbours
from seas_data.similarity.containment import find_quotes
from seas_data.similarity.embeddings import Embedded

HIT_COLUMNS: dict[str, pl.DataType] = {
    "prompt_id": pl.String(),
    "witness_id": pl.String(),
    "same_side": pl.Boolean(),  # both adversarial, or neither
    "score": pl.Float64(),
    "threshold": pl.Float64(),
    "detail": pl.String(),  # the measure: ngram | semantic
}


def contamination(prompts: pl.DataFrame, embedded: Embedded | None, settings: Contamination) -> Outcome:
    """Drop the training rows of ``prompts`` (prompt_id, text, text_digest, kind, role) that are too close to a holdout.

    ``embedded``: what the embedders made of ``prompts``, row for row; None leaves meaning out. A training row has at
    most one decision, for its best witness: one of its own side before one of the other, by n-grams before by meaning,
    then the highest score, the longest witness (a copy before a part of it), the smallest id.
    """
    rows = prompts.select("prompt_id", "text", "text_digest", "role", adversarial=pl.col("kind") == "adversarial")
    hits = [ngram_hits(rows, settings.ngram)]
    if embedded is not None:
        hits.append(semantic_hits(rows, embedded, settings.semantic))
    quotable = rows.select(witness_id="prompt_id", length=pl.col("text").str.len_chars())
    best = (
        pl.concat(hits)
        .join(quotable, on="witness_id")
        .sort(
            "prompt_id",
            *("same_side", "detail", "score", "length", "witness_id"),
            descending=[False, True, False, True, True, False],
        )
        .unique("prompt_id", keep="first", maintain_order=True)
    )
    drops = decisions(best.filter("same_side"), step="contamination", decision="drop", reason="contaminated")
    flags = decisions(best.filter(~pl.col("same_side")), step="contamination", decision="flag", reason="contaminated")
    kept = prompts.filter(~pl.col("prompt_id").is_in(drops["prompt_id"].implode()))
    return Outcome(kept, pl.concat([no_decisions(), drops, flags]).sort("prompt_id"))


def ngram_hits(rows: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the pairs of a training and a holdout row of which the first quotes the second (HIT_COLUMNS)."""
    if rows["role"].n_unique() < 2:
        return pl.DataFrame(schema=HIT_COLUMNS)
    # Each text once, because the measure asks how many texts hold a shingle.
    texts = rows.unique("text_digest", keep="first", maintain_order=True).sort("text_digest")
    sides = {
        role: texts.join(rows.filter(pl.col("role") == role), on="text_digest", how="semi")
        for role in ("holdout", "training")
    }
    query, text, score = find_quotes(sides["holdout"]["text"].to_list(), sides["training"]["text"].to_list(), threshold)
    pairs = pl.DataFrame(
        {
            "text_digest": sides["training"]["text_digest"].gather(text),
            "witness_digest": sides["holdout"]["text_digest"].gather(query),
            "score": score,
        }
    )
    ends = rows.select("text_digest", "prompt_id", "adversarial", "role")
    return _hits(
        pairs.join(ends.filter(pl.col("role") == "training"), on="text_digest").join(
            ends.filter(pl.col("role") == "holdout").select(
                witness_digest="text_digest", witness_id="prompt_id", witness_adversarial="adversarial"
            ),
            on="witness_digest",
        ),
        threshold,
        "ngram",
    )


def semantic_hits(rows: pl.DataFrame, embedded: Embedded, threshold: float) -> pl.DataFrame:
    """Return each training row's nearest holdout row of either side, if its cosine reaches ``threshold``."""
    hits = [pl.DataFrame(schema=HIT_COLUMNS)]
    seen = pl.concat([rows, embedded.lookup.select("model", "row")], how="horizontal").sort("prompt_id")
    for model in sorted(embedded.matrices):
        vectors = embedded.matrices[model]
        training, holdout = (
            seen.filter(pl.col("role") == role, pl.col("model") == model) for role in ("training", "holdout")
        )
        for adversarial in (True, False):
            tests = holdout.filter(pl.col("adversarial") == adversarial)
            if tests.is_empty() or training.is_empty():
                continue
            nearest, score = cosine_neighbours.find_nearest(vectors[training["row"].to_numpy()], vectors[tests["row"].to_numpy()])
            near = np.flatnonzero(score.astype(np.float64) >= threshold)
            pairs = training[near].with_columns(
                score=pl.Series(score[near]),
                witness_id=tests["prompt_id"].gather(nearest[near]),
                witness_adversarial=pl.lit(adversarial),
            )
            hits.append(_hits(pairs, threshold, "semantic"))
    return pl.concat(hits)


def _hits(pairs: pl.DataFrame, threshold: float, measure: str) -> pl.DataFrame:
    return pairs.with_columns(
        same_side=pl.col("adversarial") == pl.col("witness_adversarial"),
        threshold=pl.lit(threshold),
        detail=pl.lit(measure),
    ).select(pl.col(name).cast(dtype) for name, dtype in HIT_COLUMNS.items())
