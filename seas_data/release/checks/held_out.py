"""Check ``held-out``: models are not trained on the rows that they are tested on."""

from collections.abc import Iterator

import polars as pl

from seas_data.curate.turns import turn_texts
from seas_data.folding import leak_digests_of_all_versions
from seas_data.pairs.holdout import find_held_out, select_held_out
from seas_data.query import sql
from seas_data.release.checks.check import Candidate, Check, Finding, finding
from seas_data.text import text_digest


def find_leaks(candidate: Candidate) -> Finding:
    """Find training rows, seeds and pairs that contain a row of a test set."""
    sided = pl.concat(map(_digest_tests, _stream(candidate, _TESTS)))
    held_out = sided.drop("adversarial")
    examples = candidate.select(_EXAMPLES).join(held_out, on="prompt_id", how="semi")["id"]
    ids = [*_in_training(candidate, sided), *examples, *candidate.select(_ATTACKS_IN_TEST)["id"]]
    for query in (_PAIRS, _DEMONSTRATIONS):
        ids.extend(_in_pairs(candidate.select(query), held_out))
    failed = "training rows, seeds or pairs contain held-out rows; drop them and train the models again"
    return finding(ids, passed="no training data contains held-out rows", failed=failed)


_TEXTS = "prompt_id, text, messages, text_digest, leak_digest, kind = 'adversarial' as adversarial"
_TESTS = f"select {_TEXTS}, role, split from prompts left join splits using (prompt_id) " + (
    "where split <> 'train' or role = 'holdout'"
)
# A row that was dropped because a later test contains it keeps its split, but models are no longer trained on it.
_TRAINED = f"select {_TEXTS} from kept semi join (from splits where split = 'train') using (prompt_id)"
_HOLDOUTS_IN_TRAIN = (
    "select prompt_id as id from prompts join splits using (prompt_id) where role = 'holdout' and split = 'train'"
)
_EXAMPLES = "select seed_id as id, unnest(example_ids) as prompt_id from seeds where split is distinct from 'test'"
_ATTACKS_IN_TEST = "select prompt_id as id from attacks semi join prompts using (prompt_id) where split = 'test'"
_ROWS_PER_PART = 100_000


def _stream(candidate: Candidate, query: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of ``query`` with their texts, which are too large for all rows to be in memory."""
    return sql.stream_trusted(candidate.version.paths(), query, _ROWS_PER_PART)


def _digest_tests(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``select_held_out`` of rows of tests, with their side."""
    held_out = select_held_out(rows, rows.select("prompt_id", "split").drop_nulls("split"))
    return held_out.join(rows.select("prompt_id", "adversarial"), on="prompt_id")


def _in_training(candidate: Candidate, held_out: pl.DataFrame) -> pl.Series:
    """Return the rows of train that belong to a test set, or have the same folded text and side as a row of one.

    A text that is adversarial in one set and harmless in another is a contrast, which curation keeps on purpose; but
    the side of a conversation is that of its last turn, so an earlier turn may be in no test set.
    """
    same_side = {side: held_out.filter(adversarial=side).drop("adversarial") for side in (True, False)}
    digests = held_out.select("text_digest", "leak_digest")
    found = [candidate.select(_HOLDOUTS_IN_TRAIN)["id"].alias("prompt_id")]
    for kept in _stream(candidate, _TRAINED):
        found += [find_held_out(kept.filter(adversarial=side), same_side[side]) for side in (True, False)]
        earlier = turn_texts(kept).filter(~pl.col("last"))
        found.append(find_held_out(earlier.select("prompt_id", "text"), digests))
    return pl.concat(found)


def _trained_on(table: str, key: str, sides: tuple[str, ...]) -> str:
    """Return the query for the ids and texts in ``table`` that could be held out."""
    parts = [f"case when role = 'red' then {side}_id end as {side}_id" for side in sides]
    parts += [f"case when role = 'red' then [message.content for message in {side}] end as {side}" for side in sides]
    return f"""
        select {key} as id, prompt_id,
            case when role <> 'red' then [message.content for message in prompt] end as prompt, {", ".join(parts)},
            coalesce(seeds.split = 'test', false) as has_test_seed
        from {table} left join seeds using (seed_id)
    """


def _in_pairs(rows: pl.DataFrame, held_out: pl.DataFrame) -> Iterator[str]:
    """Yield the ids of ``rows`` that contain something held out."""
    yield from rows.filter("has_test_seed")["id"]
    if rows.is_empty():
        return
    forbidden = held_out["prompt_id"].implode()
    digests = {*held_out["text_digest"], *held_out["leak_digest"]}
    for column in rows.columns[1:-1]:
        if column.endswith("_id"):
            yield from rows.filter(pl.col(column).is_in(forbidden))["id"]
            continue
        for row, messages in rows.drop_nulls(column).select("id", column).iter_rows():
            if any(
                {text_digest(text), *leak_digests_of_all_versions(text)} & digests
                for text in messages
                if text is not None
            ):
                yield row


_PAIRS = _trained_on("pairs", "pair_id", ("chosen", "rejected"))
_DEMONSTRATIONS = _trained_on("demonstrations", "demonstration_id", ("completion",))

CHECK = Check(
    "No row of test, harmless or holdout is in training data or pairs, by id, by text, or as an example of a seed.",
    find_leaks,
    (_HOLDOUTS_IN_TRAIN, _EXAMPLES, _ATTACKS_IN_TEST, _PAIRS, _DEMONSTRATIONS),
    position=70,
)
