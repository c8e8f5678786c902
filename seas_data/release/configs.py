"""The tables that people load: ``data/CONFIG/SPLIT-*.parquet``, made anew for each version.

A config is a query over the shards that the profile holds, so it can show nothing that the profile leaves out. Its
columns are those of the query over empty tables: the same names and types in every version, in whatever is null or
empty there. Rows are ordered by their ids, and every split has a file even if it has no row.

Holdout prompts, and what was answered to them, are in no config. Nor is anything that was asked of a prompt that is out
for another reason than being like one that is kept for training: a person's word, contamination, a link to the test.

Tables that are not split have the one split ``train``, which is what the Hub calls it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from seas_data.query import sql
from seas_data.release.visibility import Profile

BYTES_PER_FILE = 500_000_000  # of the rows in memory; on disk they are a fraction of it


_UNSPLIT = ("train",)
_SPLITS = ("train", "test", "harmless")


@dataclass(frozen=True)
class Config:
    """One table to load: what a row of it is, the query, its splits, the columns that name a row, its profiles."""

    name: str
    about: str
    query: str
    splits: tuple[str, ...] = _UNSPLIT
    key: tuple[str, ...] = ()
    profiles: tuple[Profile, ...] = ("public", "gated")


_PROMPTS = """
select kept.*, template_id, payload, request_id, split, group_id, cluster, clusters.label as cluster_label, x, y
from kept
left join templates using (prompt_id) left join splits using (prompt_id) left join clusters using (prompt_id)
where split <> 'holdout'
order by prompt_id
"""

_ASKED = """
with withdrawn as (
    select dropped.prompt_id
    from dropped left join splits as witness on witness.prompt_id = dropped.witness_id
    where dropped.reason not in ('exact_duplicate', 'near_duplicate', 'semantic_duplicate', 'template_cap')
        or witness.split <> 'train'
),
written as (
    select attacks.prompt_id, attacks.text, attacks.split, attacks.iteration, seed_id, attacks.model as red_team,
        'adversarial' as kind, 'red-team' as source, seeds.type
    from attacks left join seeds using (seed_id)
),
asked as (
    select prompt_id, coalesce(kept.text, written.text) as text, coalesce(written.split, splits.split) as split,
        coalesce(kept.kind, written.kind) as kind, coalesce(kept.type, written.type) as type, kept.difficulty,
        coalesce(kept.source, written.source) as source, coalesce(written.iteration, kept.iteration) as iteration,
        coalesce(written.seed_id, kept.seed_id) as seed_id, coalesce(written.red_team, kept.model) as red_team
    from kept full join written using (prompt_id) left join splits using (prompt_id)
    where prompt_id not in (from withdrawn)
        and coalesce(written.split, splits.split) <> 'holdout' and splits.split is distinct from 'holdout'
)
"""

_JUDGED = f"""
{_ASKED}
select response_id, judge, prompt_id, asked.text as prompt, split, kind, type, difficulty, source, iteration, seed_id,
    red_team, responses.model, responses.sample, finish_reason, tokens, settings_id, verdict, categories, score, refusal
from verdicts join responses using (response_id) join asked using (prompt_id)
order by prompt_id, response_id, judge
"""

_RESPONSES = f"""
{_ASKED}
select response_id, prompt_id, asked.text as prompt, responses.text as response, split, kind, type, difficulty, source,
    iteration, seed_id, red_team, responses.model, responses.sample, finish_reason, tokens, settings_id
from responses join asked using (prompt_id)
order by prompt_id, response_id
"""

_DECISIONS = """
select decisions.*, prompts.source, prompts.kind
from decisions join prompts using (prompt_id)
where prompts.role <> 'holdout'
order by all
"""

_PAIRS = f"""
{_ASKED}
select pairs.*
from pairs
where {{roles}} and not exists (
    from withdrawn where prompt_id in (pairs.prompt_id, pairs.chosen_id, pairs.rejected_id)
)
order by pair_id
"""

CONFIGS = (
    Config(
        "prompts",
        "The dataset: a prompt that is kept, with its labels and where it came from.",
        _PROMPTS,
        _SPLITS,
        key=("prompt_id",),
    ),
    Config(
        "judged",
        "A judge's verdict on a response to a prompt or an attack, without the response.",
        _JUDGED,
        _SPLITS,
        key=("response_id", "judge"),
    ),
    Config("decisions", "A drop, a flag or a manual keep, and why.", _DECISIONS),
    Config("metrics", "A figure with its 95 % interval.", "from metrics order by all"),
    Config(
        "pairs-red",
        "A preference pair for the red team: two attacks of one seed.",
        _PAIRS.format(roles="role = 'red'"),
        key=("pair_id",),
    ),
    Config(
        "pairs-target",
        "A preference pair for the target: two responses to one prompt.",
        _PAIRS.format(roles="role <> 'red'"),
        key=("pair_id",),
        profiles=("gated",),
    ),
    Config(
        "responses",
        "A model's response to a prompt or an attack.",
        _RESPONSES,
        _SPLITS,
        key=("response_id",),
        profiles=("gated",),
    ),
)


def of(profile: Profile) -> list[Config]:
    """Return the configs of a profile; the first is the default."""
    return [config for config in CONFIGS if profile in config.profiles]


def splits(shards: dict[str, list[Path]], config: Config) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each split of ``config`` and its rows, over the shards that a profile holds."""
    rows = sql.read(shards, config.query)
    for split in config.splits:
        yield split, rows if config.splits == _UNSPLIT else rows.filter(pl.col("split") == split)


def schema(config: Config) -> pl.Schema:
    """Return the columns of ``config`` and their types, which are those of every version."""
    return _schemas()[config.name]


@cache
def _schemas() -> dict[str, pl.Schema]:
    frames = sql.read_all({}, [(config.query, {}) for config in CONFIGS])
    return {config.name: frame.schema for config, frame in zip(CONFIGS, frames, strict=True)}
