"""The configs: the tables that people load, ``data/CONFIG/SPLIT-*.parquet``, written again for each version.

A config is a query over the shards of a release, so it contains nothing that the profile withholds. Its columns have
the descriptions and the visibility of the schema columns that they come from; a column that the profile withholds in
all rows is left out. Names and types are the same in every version, even where all values are null or no row is left.
Rows are ordered by their ids, and every split has a file, even without rows.

Holdout prompts, and responses to them, are in no config. Neither are responses to a prompt that was dropped for another
reason than its likeness to a kept training prompt: by a person, as contaminated, or as linked to a test prompt.

A config without splits has the one split ``train``, as the Hub calls it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.query import sql
from seas_data.release.visibility import Profile, is_visible
from seas_data.tables import TABLES, policy
from seas_data.tables.policy import Policy

BYTES_PER_FILE = 500_000_000  # of the rows in memory; on disk they are a fraction of it
ROWS_PER_PART = 50_000


_UNSPLIT = ("train",)
_SPLITS = ("train", "test", "harmless")


@dataclass(frozen=True)
class Config:
    """One table to load: what a row is, the query, the order of its rows, its splits, its profiles.

    ``key``: the columns that identify a row. ``tables``: where its columns come from; each is the column of that name
    in the first table that has one. ``renamed``: columns of another name, or of several tables at once:
    ``TABLE.COLUMN`` each. ``computed``: columns that are in no table.
    """

    name: str
    about: str
    query: str
    order: str
    tables: tuple[str, ...]
    splits: tuple[str, ...] = _UNSPLIT
    key: tuple[str, ...] = ()
    profiles: tuple[Profile, ...] = ("public", "gated")
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    computed: Mapping[str, Policy] = field(default_factory=dict)


_PROMPTS = """
select kept.*, template_id, payload, request_id, split, group_id, cluster, clusters.label as cluster_label, x, y
from kept
left join templates using (prompt_id) left join splits using (prompt_id) left join clusters using (prompt_id)
where split <> 'holdout'
"""

_ASKED = """
with withdrawn as (
    select dropped.prompt_id
    from dropped left join splits as witness on witness.prompt_id = dropped.witness_id
    where dropped.reason not in ('exact_duplicate', 'disguised', 'near_duplicate', 'semantic_duplicate', 'template_cap')
        or witness.split <> 'train'
),
written as (
    select attacks.prompt_id, attacks.text, attacks.split, attacks.iteration, seed_id, attacks.model as red_team,
        'adversarial' as kind, 'red-team' as source, seeds.type
    from attacks left join seeds using (seed_id)
),
asked as (
    select prompt_id, coalesce(kept.text, written.text) as text, kept.messages,
        coalesce(written.split, splits.split) as split,
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
select response_id, judge, prompt_id, asked.text as prompt, asked.messages, split, kind, type, difficulty,
    asked.source, iteration, seed_id, red_team, responses.model, responses.sample, finish_reason, tokens,
    responses.settings_id, verdict, categories, score, refusal
from verdicts join responses using (response_id) join asked using (prompt_id)
"""

_RESPONSES = f"""
{_ASKED}
select response_id, prompt_id, asked.text as prompt, asked.messages, responses.text as response, split, kind, type,
    difficulty, asked.source, iteration, seed_id, red_team, responses.model, responses.sample, finish_reason, tokens,
    settings_id
from responses join asked using (prompt_id)
"""

_DECISIONS = """
select decisions.*, prompts.source, prompts.kind
from decisions join prompts using (prompt_id)
where prompts.role <> 'holdout'
"""

_PAIRS = f"""
{_ASKED}
select pairs.*
from pairs
where {{roles}} and not exists (
    from withdrawn where prompt_id in (pairs.prompt_id, pairs.chosen_id, pairs.rejected_id)
)
"""

_REQUEST: dict[str, Any] = {
    "renamed": {"prompt": ("prompts.text", "attacks.text"), "response": ("responses.text",)},
    "computed": {"red_team": Policy("public", "The model that wrote the attack; null for a prompt of a source.")},
}

CONFIGS = (
    Config(
        "prompts",
        "The dataset: a kept prompt, with its labels and where it came from.",
        _PROMPTS,
        "prompt_id",
        ("prompts", "templates", "splits", "clusters"),
        _SPLITS,
        key=("prompt_id",),
        renamed={"cluster_label": ("clusters.label",)},
    ),
    Config(
        "judged",
        "A judge's verdict on a response to a prompt or an attack, without the response.",
        _JUDGED,
        "prompt_id, response_id, judge",
        ("verdicts", "responses", "prompts", "splits"),
        _SPLITS,
        key=("response_id", "judge"),
        **_REQUEST,
    ),
    Config("decisions", "A drop, a flag or a manual keep, and why.", _DECISIONS, "all", ("decisions", "prompts")),
    Config("metrics", "A figure with its 95 % interval.", "from metrics", "all", ("metrics",)),
    Config(
        "pairs-red",
        "A preference pair for the red team: two attacks of one seed.",
        _PAIRS.format(roles="role = 'red'"),
        "pair_id",
        ("pairs",),
        key=("pair_id",),
    ),
    Config(
        "pairs-target",
        "A preference pair for the target: two responses to one prompt.",
        _PAIRS.format(roles="role <> 'red'"),
        "pair_id",
        ("pairs",),
        key=("pair_id",),
        profiles=("gated",),
    ),
    Config(
        "responses",
        "A model's response to a prompt or an attack.",
        _RESPONSES,
        "prompt_id, response_id",
        ("responses", "prompts", "splits"),
        _SPLITS,
        key=("response_id",),
        profiles=("gated",),
        **_REQUEST,
    ),
)


def for_profile(profile: Profile) -> list[Config]:
    """Return the configs of a profile; the first is the default."""
    return [config for config in CONFIGS if profile in config.profiles]


def columns(config: Config) -> dict[str, Policy]:
    """Return the policy of each column of ``config``. One that comes from no schema column is gated."""
    return {name: _policy(config, name) for name in _query_schemas(*TABLES.values())[config.name]}


def schema(config: Config, profile: Profile) -> pl.Schema:
    """Return the columns of ``config`` in ``profile`` and their types, which are the same in every version."""
    types = _query_schemas(*TABLES.values())[config.name]
    return pl.Schema({name: types[name] for name, each in columns(config).items() if is_visible(each, profile)})


def splits(shards: dict[str, list[Path]], config: Config, profile: Profile) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of ``config`` over the shards of a release in ``profile``, in order: a split and some of its rows.

    Each split comes at least once, if only without rows.
    """
    left = set(config.splits)
    for part in sql.stream_trusted(shards, f"{config.query} order by {config.order}", ROWS_PER_PART):
        rows = part.select(
            (pl.col(name) if name in part.columns else pl.lit(None, dtype=kind)).alias(name)  # older shards may lack it
            for name, kind in schema(config, profile).items()
        )
        for split in config.splits:
            held = rows if config.splits == _UNSPLIT else rows.filter(pl.col("split") == split)
            if held.height:
                left.discard(split)
                yield split, held
    for split in config.splits:
        if split in left:
            yield split, rows.clear()


def _policy(config: Config, name: str) -> Policy:
    if name in config.computed:
        return config.computed[name]
    tables = [table for table in config.tables if name in TABLES[table].column_names()]
    origins = config.renamed.get(name, tuple(f"{table}.{name}" for table in tables[:1]))
    found = [policy.of_schema(TABLES[table])[column] for table, column in (origin.split(".") for origin in origins)]
    # Of several columns the one that fewest people may see decides.
    return max(found, key=lambda each: _STRICTNESS.index(each.visibility), default=Policy())


_STRICTNESS = ("public", "gated", "never")


@cache
def _query_schemas(*_: object) -> dict[str, pl.Schema]:
    """Return the columns of each config's query over tables without rows. The tables' schemas are the cache's key."""
    frames = sql.run_all({}, [(config.query, {}) for config in CONFIGS])
    return {config.name: frame.schema for config, frame in zip(CONFIGS, frames, strict=True)}
