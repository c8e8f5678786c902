"""Whether curation's promises hold: duplicates have their witness, groups stay together, tests stay out of training."""

from collections.abc import Iterator

import polars as pl

from seas_data.pairs.holdout import held_out as held
from seas_data.release.checks.check import Candidate, Told, asked, told
from seas_data.text import text_digest


def witnesses(candidate: Candidate) -> Told:
    """Every row that was dropped as a duplicate, or as too close to a test, has a kept witness."""
    ill = "rows were dropped as duplicates of rows that are not kept; keep one of each, or build the version again"
    return asked(candidate, "unwitnessed", "every duplicate has a kept witness", ill)


# A witness may have gone later: a person took it out, or it turned out to be in a new test set. What was dropped
# because of it then stays out for the same reason.
_UNWITNESSED = """
with standing as (
    select prompt_id as id from kept
    union all select prompt_id from dropped where reason in ('manual', 'contaminated')
    union all select prompt_id from tombstones
)
select prompt_id as id from dropped anti join standing on witness_id = standing.id
where reason in ('exact_duplicate', 'near_duplicate', 'semantic_duplicate', 'contaminated')
"""


def splits(candidate: Candidate) -> Told:
    """Every kept row has a split, and no group and no template lies in two of them."""
    ill = "groups or templates lie in several splits, or rows in none; the split leaks: build the version again"
    return asked(candidate, "crossing", "no group and no template crosses the splits", ill)


_CROSSING = """
with placed as (
    select prompt_id, split, group_id, template_id
    from kept join splits using (prompt_id) left join templates using (prompt_id)
    where role = 'training' and split <> 'holdout'
),
crossing as (select group_id from placed group by group_id having count(distinct split) > 1),
shared as (
    select template_id from placed where template_id is not null group by template_id having count(distinct split) > 1
)
select prompt_id as id from placed where group_id in (from crossing) or template_id in (from shared)
union all select prompt_id from kept anti join splits using (prompt_id)
"""


def held_out(candidate: Candidate) -> Told:
    """No row of test, harmless or holdout is in training data or pairs: by id, by text, or as an example of a seed."""
    rows = candidate.answer("placed")
    away = held(rows, rows.drop_nulls("split"))
    examples = candidate.answer("examples").join(away, on="prompt_id", how="semi")["id"]
    ids = [*_in_training(rows, away), *examples, *candidate.answer("joined")["id"]]
    for table in ("pairs", "demonstrations"):
        ids.extend(_in_rows(candidate.answer(table), away))
    ill = (
        "rows that models are tested on are in the training split, in seeds or in pairs; take them out and train again"
    )
    return told(ids, "what models are tested on is in no training data", ill)


_PLACED = """
select prompt_id, text_digest, kind = 'adversarial' as adversarial, role, split,
    prompt_id in (select prompt_id from kept) as kept
from prompts left join splits using (prompt_id)
"""
_EXAMPLES = "select seed_id as id, unnest(example_ids) as prompt_id from seeds where split is distinct from 'test'"
_JOINED = "select prompt_id as id from attacks semi join prompts using (prompt_id) where split = 'test'"


def _in_training(rows: pl.DataFrame, away: pl.DataFrame) -> pl.Series:
    """Return the rows of train that are of a test set, or have the text of a row of the same side in one.

    A text that is adversarial in one set and harmless in another is a contrast, which curation keeps on purpose. A row
    that is dropped, for coming too close to a test that was added later, is trained on no more and keeps its split.
    """
    train = rows.filter(split="train")
    sided = rows.join(away, on="prompt_id", how="semi").select("text_digest", "adversarial")
    same = train.filter("kept").join(sided, on=["text_digest", "adversarial"], how="semi")["prompt_id"]
    return pl.concat([train.filter(role="holdout")["prompt_id"], same])


def _trained_on(table: str, key: str, sides: tuple[str, ...]) -> str:
    """Return the query for what the rows of pairs (or demonstrations) hold that could be held out."""
    parts = [f"case when role = 'red' then {side}_id end as {side}_id" for side in sides]
    parts += [f"case when role = 'red' then [turn.content for turn in {side}] end as {side}" for side in sides]
    return f"""
        select {key} as id, prompt_id, case when role <> 'red' then [turn.content for turn in prompt] end as prompt,
            {", ".join(parts)}, coalesce(seeds.split = 'test', false) as of_test
        from {table} left join seeds using (seed_id)
    """


def _in_rows(rows: pl.DataFrame, away: pl.DataFrame) -> Iterator[str]:
    """Yield the ids of those ``rows`` that hold something held out."""
    yield from rows.filter("of_test")["id"]
    forbidden = away["prompt_id"].implode()
    digests = set(away["text_digest"])
    for column in rows.columns[1:-1]:
        if column.endswith("_id"):
            yield from rows.filter(pl.col(column).is_in(forbidden))["id"]
            continue
        for row, turns in rows.drop_nulls(column).select("id", column).iter_rows():
            if any(text_digest(turn) in digests for turn in turns if turn is not None):
                yield row


QUESTIONS = {
    "unwitnessed": _UNWITNESSED,
    "crossing": _CROSSING,
    "placed": _PLACED,
    "examples": _EXAMPLES,
    "joined": _JOINED,
    "pairs": _trained_on("pairs", "pair_id", ("chosen", "rejected")),
    "demonstrations": _trained_on("demonstrations", "demonstration_id", ("completion",)),
}
