"""Whether curation's promises hold: duplicates have their witness, groups stay together, tests stay out of training."""

from collections.abc import Iterator

import polars as pl

from seas_data.pairs.held import held_out as held
from seas_data.release.checks.check import Candidate, Check, result
from seas_data.text import text_digest

_DUPLICATES = "('exact_duplicate', 'near_duplicate', 'semantic_duplicate', 'contaminated')"
_TAKEN_OUT = "('manual', 'contaminated')"


def witnesses(candidate: Candidate) -> Check:
    """Every row that was dropped as a duplicate, or as too close to a test, has a kept witness."""
    # A witness may have gone later: a person took it out, or it turned out to be in a new test set. What was dropped
    # because of it then stays out for the same reason.
    gone = "select prompt_id from dropped where reason in " + _TAKEN_OUT
    if "tombstones" in candidate.version.paths():
        gone += " union all select prompt_id from tombstones"
    found = candidate.version.select(
        f"""
        select prompt_id from dropped where reason in {_DUPLICATES} and (
            witness_id is null
            or witness_id not in (select prompt_id from kept union all {gone})
        )
        """
    )
    ill = "rows were dropped as duplicates of rows that are not kept; keep one of each, or build the version again"
    return result("witnesses", found["prompt_id"], "every duplicate has a kept witness", ill)


def splits(candidate: Candidate) -> Check:
    """Every kept row has a split, and no group and no template lies in two of them."""
    found = candidate.version.select(
        """
        with placed as (
            select prompt_id, split, group_id, template_id
            from kept join splits using (prompt_id) left join templates using (prompt_id)
            where role = 'training' and split <> 'holdout'
        ),
        crossing as (select group_id from placed group by group_id having count(distinct split) > 1),
        shared as (
            select template_id from placed where template_id is not null
            group by template_id having count(distinct split) > 1
        )
        select prompt_id from placed where group_id in (from crossing) or template_id in (from shared)
        union all select prompt_id from kept anti join splits using (prompt_id)
        """
    )
    ill = "groups or templates lie in several splits, or rows in none; the split leaks: build the version again"
    return result("splits", found["prompt_id"], "no group and no template crosses the splits", ill)


def held_out(candidate: Candidate) -> Check:
    """No row of test, harmless or holdout is in training data or pairs: by id, by text, or as an example of a seed."""
    version = candidate.version
    rows = version.select(
        """
        select prompt_id, text_digest, kind = 'adversarial' as adversarial, role, split
        from prompts left join splits using (prompt_id)
        """
    )
    away = held(rows, rows.drop_nulls("split"))
    found = [_in_training(rows, away), _in_seeds(version.select(_SEEDS), away)]
    joined = version.select("select prompt_id from attacks semi join prompts using (prompt_id) where split = 'test'")
    ids = [*joined["prompt_id"], *(each for part in found for each in part)]
    for table, key in (("pairs", "pair_id"), ("demonstrations", "demonstration_id")):
        ids.extend(_in_rows(candidate, table, key, away))
    ill = (
        "rows that models are tested on are in the training split, in seeds or in pairs; take them out and train again"
    )
    return result("held-out", ids, "what models are tested on is in no training data", ill)


_SEEDS = "select seed_id, unnest(example_ids) as prompt_id from seeds where split is distinct from 'test'"


def _in_training(rows: pl.DataFrame, away: pl.DataFrame) -> pl.Series:
    """Return the rows of train that are of a test set, or have the text of a row of the same side in one.

    A text that is adversarial in one set and harmless in another is a contrast, which curation keeps on purpose.
    """
    train = rows.filter(split="train")
    sided = rows.join(away, on="prompt_id", how="semi").select("text_digest", "adversarial")
    same = train.join(sided, on=["text_digest", "adversarial"], how="semi")["prompt_id"]
    return pl.concat([train.filter(role="holdout")["prompt_id"], same])


def _in_seeds(examples: pl.DataFrame, away: pl.DataFrame) -> pl.Series:
    return examples.join(away, on="prompt_id", how="semi")["seed_id"]


def _in_rows(candidate: Candidate, table: str, key: str, away: pl.DataFrame) -> Iterator[str]:
    """Yield the ids of pairs (or demonstrations) that hold something held out."""
    sides = ("chosen", "rejected") if table == "pairs" else ("completion",)
    named = ", ".join(f"case when role = 'red' then {side}_id end as {side}_id" for side in sides)
    said = ", ".join(f"case when role = 'red' then {side}[-1].content end as {side}" for side in sides)
    rows = candidate.version.select(
        f"""
        select {key} as id, prompt_id, {named}, case when role <> 'red' then prompt[-1].content end as prompt, {said},
            coalesce(seeds.split = 'test', false) as of_test
        from {table} left join seeds using (seed_id)
        """
    )
    yield from rows.filter("of_test")["id"]
    forbidden = away["prompt_id"].implode()
    for column in ("prompt_id", *(f"{side}_id" for side in sides)):
        yield from rows.filter(pl.col(column).is_in(forbidden))["id"]
    digests = set(away["text_digest"])
    for column in ("prompt", *sides):
        texts = rows.drop_nulls(column).unique([column, "id"])
        for row, text in texts.select("id", column).iter_rows():
            if text_digest(text) in digests:
                yield row
