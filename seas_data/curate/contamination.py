"""Contamination: drop training prompts that are too similar to holdout prompts.

Each training prompt is compared with every holdout prompt by two measures: how much of the holdout prompt it quotes
(``containment.find_quotes``: character 5-grams in one stretch, weighted by rarity) and the cosine of their embeddings,
where the same embedder read both (of long texts, see ``similarity.windows``). The first finds a copy with a few words
around it, the second a paraphrase or, with an embedder of several languages, a translation. Both store their score in
the decision, so that a person can check it.

The first compares folded texts (``folding.fold_look_alikes``), so full-width letters, invisible characters and letters
of other scripts hide no copy.

Of a prompt with several turns every turn is compared by itself, too: a training prompt with each of its turns, a
holdout prompt with those that ask (``turns``).

A training prompt at or over a threshold is dropped. If exactly one of the two prompts is adversarial, the pair is a
contrast rather than a copy: the training prompt is flagged and kept. But the kind of a prompt is that of its last turn,
so the copy of a turn before the last one is always dropped. Holdout prompts are never dropped.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl

from seas_data.curate.outcome import build_decisions, empty_decisions
from seas_data.curate.turns import turn_texts
from seas_data.folding import fold_look_alikes
from seas_data.recipe import Contamination
from seas_data.similarity import cosine_neighbours
from seas_data.similarity.containment import find_quotes
from seas_data.similarity.embeddings import Embedded
from seas_data.similarity.windows import pair_texts
from seas_data.store.shared_matrix import choose_rows
from seas_data.text import text_digest

HIT_COLUMNS: dict[str, pl.DataType] = {
    "prompt_id": pl.String(),
    "witness_id": pl.String(),
    "same_side": pl.Boolean(),  # both adversarial, or neither
    "score": pl.Float64(),
    "threshold": pl.Float64(),
    "detail": pl.String(),  # the measure: ngram | semantic
}


def find_contaminated(
    prompts: pl.DataFrame, embedded: Embedded | None, settings: Contamination, across: Sequence[Embedded] = ()
) -> pl.DataFrame:
    """Return the decisions to drop or flag the training rows of ``prompts`` that are too similar to a holdout row.

    ``embedded``: the embeddings of ``compared_texts(prompts)``, row for row; None skips the semantic measure.
    ``across``: those by which texts of different models are compared (``embeddings.embed_across``). A training row has
    at most one decision, for its best witness: a witness of its own side before one of the other, n-grams before
    embeddings, then the highest score, the longest witness (a copy before a part of it), the lowest id.

    Input columns: ``prompt_id``, ``text``, ``text_digest``, ``kind``, ``role`` and, if there are conversations,
    ``messages``.
    Output columns: ``outcome.DECISION_COLUMNS`` (step ``contamination``).
    """
    rows = compared_texts(prompts)
    hits = [find_ngram_hits(rows, settings.ngram_threshold)]
    if embedded is not None:
        hits.append(find_semantic_hits(rows, embedded, settings.semantic_threshold))
        first = embedded.lookup["model"]
        hits += [find_semantic_hits(rows, each, settings.semantic_threshold, first) for each in across]
    lengths = prompts.select(witness_id="prompt_id", length=pl.col("text").str.len_chars())
    best = (
        pl.concat(hits)
        .join(lengths, on="witness_id")
        .sort(
            "prompt_id",
            *("same_side", "detail", "score", "length", "witness_id"),
            descending=[False, True, False, True, True, False],
        )
        .unique("prompt_id", keep="first", maintain_order=True)
    )
    drops = build_decisions(best.filter("same_side"), step="contamination", decision="drop", reason="contaminated")
    flags = build_decisions(
        best.filter(~pl.col("same_side")), step="contamination", decision="flag", reason="contaminated"
    )
    return pl.concat([empty_decisions(), drops, flags]).sort("prompt_id")


def compared_texts(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the texts that are compared: those of ``prompts``, row for row, then the turns of conversations.

    Output columns: ``prompt_id``, ``text``, ``text_digest``, ``role``, ``adversarial``, ``last`` (false for a turn
    before the last one), ``language`` (if given).
    """
    about = prompts.select(
        "prompt_id",
        "role",
        *(["language"] if "language" in prompts.columns else []),
        adversarial=pl.col("kind") == "adversarial",
    )
    whole = pl.concat([about, prompts.select("text", "text_digest", last=pl.lit(True))], how="horizontal")
    turns = turn_texts(prompts).rename({"role": "turn"}).join(about, on="prompt_id", maintain_order="left")
    turns = turns.filter((pl.col("role") == "training") | pl.col("asks"))
    digests = pl.Series("text_digest", [text_digest(text) for text in turns["text"]], dtype=pl.String)
    return pl.concat([whole, turns.with_columns(digests).select(whole.columns)])


def find_ngram_hits(rows: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the pairs in which a training row quotes a holdout row with a score of at least ``threshold``.

    Input columns: ``prompt_id``, ``text``, ``text_digest``, ``role``, ``adversarial``, ``last``.
    Output columns: ``HIT_COLUMNS``.
    """
    if rows["role"].n_unique() < 2:
        return pl.DataFrame(schema=HIT_COLUMNS)
    # Each text once, because the measure counts how many texts contain a shingle.
    texts = rows.unique("text_digest", keep="first", maintain_order=True).sort("text_digest")
    sides = {
        role: texts.join(rows.filter(pl.col("role") == role), on="text_digest", how="semi")
        for role in ("holdout", "training")
    }
    folded = {role: [fold_look_alikes(text) for text in side["text"]] for role, side in sides.items()}
    query, text, score = find_quotes(folded["holdout"], folded["training"], threshold)
    pairs = pl.DataFrame(
        {
            "text_digest": sides["training"]["text_digest"].gather(text),
            "witness_digest": sides["holdout"]["text_digest"].gather(query),
            "score": score,
        }
    )
    ends = rows.select("text_digest", "prompt_id", "adversarial", "role", "last")
    return _build_hits(
        pairs.join(ends.filter(pl.col("role") == "training"), on="text_digest").join(
            ends.filter(pl.col("role") == "holdout").select(
                witness_digest="text_digest",
                witness_id="prompt_id",
                witness_adversarial="adversarial",
                witness_last="last",
            ),
            on="witness_digest",
        ),
        threshold,
        "ngram",
    )


def find_semantic_hits(
    rows: pl.DataFrame, embedded: Embedded, threshold: float, first: pl.Series | None = None
) -> pl.DataFrame:
    """Return each training row's nearest holdout row of each side, if its cosine reaches ``threshold``.

    Turns before the last one are a side of their own. ``first``: a model for each row; rows with the same one are not
    compared.

    Input columns: ``prompt_id``, ``role``, ``adversarial``, ``last``; ``embedded`` is aligned with the rows.
    Output columns: ``HIT_COLUMNS``.
    """
    hits = [pl.DataFrame(schema=HIT_COLUMNS)]
    embedded_rows = pl.concat([rows, embedded.lookup.select("model", "row", "windows")], how="horizontal")
    embedded_rows = embedded_rows.with_columns(first=pl.lit(None, pl.String) if first is None else first)
    short_rows = embedded_rows.filter(pl.col("windows") == 1).sort("prompt_id", maintain_order=True)
    for model in sorted(embedded.matrices):
        vectors = embedded.matrices[model]
        training, holdout = (
            short_rows.filter(pl.col("role") == role, pl.col("model") == model) for role in ("training", "holdout")
        )
        for model_of, adversarial, last in product(training["first"].unique().sort(), (True, False), (True, False)):
            compared = training.filter(pl.col("first").eq_missing(model_of))
            tests = holdout.filter(
                pl.lit(model_of is None) | (pl.col("first") != pl.lit(model_of, pl.String)),
                pl.col("adversarial") == adversarial,
                pl.col("last") == last,
            )
            if tests.is_empty() or compared.is_empty():
                continue
            nearest, score = cosine_neighbours.find_nearest(
                choose_rows(vectors, compared["row"].to_numpy()), vectors[tests["row"].to_numpy()]
            )
            near = np.flatnonzero(score.astype(np.float64) >= threshold)
            pairs = compared[near].with_columns(
                score=pl.Series(score[near]),
                witness_id=tests["prompt_id"].gather(nearest[near]),
                witness_adversarial=pl.lit(adversarial),
                witness_last=pl.lit(last),
            )
            hits.append(_build_hits(pairs, threshold, "semantic"))
        hits.append(_build_hits(_pair_long_texts(embedded_rows, embedded, model, threshold), threshold, "semantic"))
    return pl.concat(hits)


def _pair_long_texts(rows: pl.DataFrame, embedded: Embedded, model: str, threshold: float) -> pl.DataFrame:
    """Return each training row's nearest holdout row of each side over ``threshold``, if either has several windows."""
    is_holdout = (rows["role"] == "holdout").to_numpy()
    is_long = ((rows["windows"] > 1) & (rows["model"] == model)).fill_null(False).to_numpy()
    compared = np.full(rows.height, (is_holdout & is_long).any()) | ((is_holdout | is_long) & is_long.any())
    owner, vectors = embedded.windows_of(model, compared)
    # Neither two training rows nor two holdout rows are compared.
    found = pair_texts(
        cosine_neighbours.find_pairs(
            vectors, threshold, blocks=np.where(is_holdout[owner], 0, -1), earlier=~is_holdout[owner]
        ),
        owner,
    )
    turned = is_holdout[found.left]
    training, witness = np.where(turned, found.right, found.left), np.where(turned, found.left, found.right)
    same_model = (rows["first"].gather(training) == rows["first"].gather(witness)).fill_null(False).to_numpy()
    with_long = (is_long[training] | is_long[witness]) & ~same_model
    witnesses = rows[witness[with_long]]
    pairs: pl.DataFrame = rows[training[with_long]].with_columns(
        text=pl.Series(training[with_long]),
        score=pl.Series(found.score[with_long]),
        witness_id=witnesses["prompt_id"],
        witness_adversarial=witnesses["adversarial"],
        witness_last=witnesses["last"],
    )
    ordered = pairs.sort("score", "witness_id", descending=[True, False])
    return ordered.unique(["text", "witness_adversarial", "witness_last"], keep="first", maintain_order=True)


def _build_hits(pairs: pl.DataFrame, threshold: float, measure: str) -> pl.DataFrame:
    return pairs.with_columns(
        same_side=(pl.col("adversarial") == pl.col("witness_adversarial")) | ~pl.col("last") | ~pl.col("witness_last"),
        threshold=pl.lit(threshold),
        detail=pl.lit(measure),
    ).select(pl.col(name).cast(dtype) for name, dtype in HIT_COLUMNS.items())
