"""Which rows a takedown removes: those that contain the text of a named row, and those that depend on them.

*Taken down* are the named prompts; prompts and attacks with the same text (in normal form), also in one turn of a
conversation or under another system turn, or that contain the whole named text; and what was dropped as an exact or
near duplicate of one of these. They get tombstones and never come back.

*Removed* with them is what depends on them: rows that were dropped because of a removed row (they have no witness any
more; the next build judges them again if a source still has them), seeds that show a removed row, and attacks that
answer such a seed, repeatedly until nothing else depends on a removed row. Then the responses to removed rows, their
verdicts, and the pairs, demonstrations and other rows that name or quote any of them.

A named *response* is removed alone, with its verdicts and pairs: models give the same response to many prompts, and one
stock refusal is not all of them. ``find_same_text`` returns the rows that stay and contain the same text.

Where another text quotes the words, such as the detail of a decision, the text is cleared and its row stays: without
its decision a dropped prompt would be kept. Which columns hold text, and whether their rows go, is in their policies
(``tables.policy``), so a new column of text is searched at once.

Texts with fewer than ``MIN_QUOTE_CHARACTERS`` characters are not searched inside others: "hello" is everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.conversation import all_texts, asked_texts, whole_texts
from seas_data.errors import SeasDataError
from seas_data.folding import leak_digest
from seas_data.query.version import Version
from seas_data.tables import TABLES, policy

MIN_QUOTE_CHARACTERS = 20
REPLACEMENT = "forgotten"
"""The value of a cleared text in a column that cannot be null."""


@dataclass(frozen=True)
class Removal:
    """The ids of what a takedown removes."""

    prompts_taken_down: pl.Series
    """Prompts (and attacks) that contain the named texts; they get tombstones."""
    responses_taken_down: pl.Series
    """The named responses; they get tombstones."""
    prompts: pl.Series
    """Prompts that are taken down, and those that depend on them."""
    seeds: pl.Series
    responses: pl.Series
    quotes: list[str]
    """The named texts that are searched inside others."""


def find_removal(version: Version, ids: list[str]) -> Removal:
    """Return what a takedown of ``ids`` (of prompts, attacks or responses) removes.

    Raises SeasDataError for an id that is not in the version.
    """
    named, named_responses = _resolve_ids(version, ids)
    prompts = version.select(
        "select prompt_id, text, messages from prompts where text is not null "
        "union all select prompt_id, text, null from attacks"
    )
    named_prompts = prompts.join(named.to_frame(), on="prompt_id", how="semi").select("text", "messages")
    texts = list(dict.fromkeys(text for row in named_prompts.iter_rows() for text in whole_texts(*row)))
    quotes = _long(texts)
    same = {leak_digest(text) for text in texts}
    rows = prompts.select("text", "messages").iter_rows()
    is_equal = [any(leak_digest(text) in same for text in all_texts(*row)) for row in rows]
    equal = prompts.filter(pl.Series(is_equal, dtype=pl.Boolean))
    quoting = [_quoting_ids(version, table, quotes) for table in ("prompts", "attacks")]
    containing = _ids([named, equal["prompt_id"], *quoting], "prompt_id")
    dropped = version.select("select prompt_id, reason, witness_id from dropped where witness_id is not null")
    duplicates = dropped.filter(
        pl.col("reason").is_in(["exact_duplicate", "near_duplicate"]) & pl.col("witness_id").is_in(containing.implode())
    )
    taken_down = _ids([containing, duplicates["prompt_id"]], "prompt_id")
    removed, seeds = _add_dependents(version, taken_down, dropped, quotes)
    answers = version.select("select response_id, prompt_id from responses").filter(
        pl.col("prompt_id").is_in(removed.implode())
    )
    quoting = [_quoting_ids(version, "responses", quotes)]
    responses = _ids([named_responses, *quoting, answers["response_id"]], "response_id")
    return Removal(taken_down, _ids([named_responses], "response_id"), removed, seeds, responses, quotes)


def removal_conditions(removal: Removal) -> dict[str, pl.Expr]:
    """Return for each table an expression that is true for the rows to remove: by their ids, or by what they quote."""
    prompts, seeds, responses = removal.prompts.implode(), removal.seeds.implode(), removal.responses.implode()
    dependent = removal.prompts.filter(~removal.prompts.is_in(removal.prompts_taken_down.implode())).implode()
    both = pl.concat([removal.prompts.rename("id"), removal.responses.rename("id")]).implode()
    of_prompt, of_seed = pl.col("prompt_id").is_in(prompts), pl.col("seed_id").is_in(seeds)
    of_either = of_prompt | of_seed
    by_id = {
        **dict.fromkeys(("prompts", "relabels", "templates", "splits", "clusters", "embeddings"), of_prompt),
        **dict.fromkeys(("attacks", "expected"), of_prompt),
        # A decision about a row that stays keeps the id of a witness that has a tombstone.
        "decisions": of_prompt | pl.col("witness_id").is_in(dependent),
        "seeds": of_seed,
        "responses": pl.col("response_id").is_in(responses),
        "verdicts": pl.col("response_id").is_in(responses),
        "unpaired": of_either | pl.col("candidate_id").is_in(both),
        "pairs": of_either | pl.col("chosen_id").is_in(both) | pl.col("rejected_id").is_in(both),
        "demonstrations": of_either | pl.col("completion_id").is_in(both),
    }
    return {
        table: by_id.get(table, pl.lit(False)).fill_null(False) | _quotes_in(table, "row", removal.quotes)
        for table in TABLES
    }


def select_texts(version: Version, ids: list[str]) -> list[str]:
    """Return the texts of the prompts, of their turns, and of the attacks and responses ``ids``."""
    texts = version.select(
        "select text from prompts where prompt_id in (select unnest($ids)) "
        "union select turn.content from (select unnest(messages) as turn from prompts "
        "where prompt_id in (select unnest($ids))) "
        "union select text from attacks where prompt_id in (select unnest($ids)) "
        "union select text from responses where response_id in (select unnest($ids)) order by 1",
        {"ids": ids},
    )
    return texts["text"].drop_nulls().to_list()


def find_same_text(version: Version, removal: Removal) -> list[str]:
    """Return the ids of responses and prompts that stay and contain the text of a response that is taken down."""
    quotes = _long(select_texts(version, removal.responses_taken_down.to_list()))
    if not quotes:
        return []
    texts = version.select(
        "select response_id as id, text from responses union all select prompt_id, text from prompts "
        "union select prompt_id, text from attacks"
    )
    removed = pl.concat([removal.responses.rename("id"), removal.prompts.rename("id")])
    return (
        texts.filter(_contains(pl.col("text"), quotes), ~pl.col("id").is_in(removed.implode()))["id"]
        .unique()
        .sort()
        .to_list()
    )


def find_shared_turns(version: Version, removal: Removal) -> list[str]:
    """Return the ids of prompts that stay and have, as a turn or as their text, what a removed conversation asks."""
    prompts = version.select("select prompt_id, text, messages from prompts where text is not null")
    is_taken_down = pl.col("prompt_id").is_in(removal.prompts_taken_down.implode())
    conversations = prompts.filter(is_taken_down, pl.col("messages").is_not_null())["messages"]
    asked = {leak_digest(text) for messages in conversations for text in asked_texts(messages)}
    if not asked:
        return []
    staying = prompts.filter(~pl.col("prompt_id").is_in(removal.prompts.implode())).sort("prompt_id")
    return [
        prompt_id
        for prompt_id, *prompt in staying.iter_rows()
        if any(leak_digest(text) in asked for text in all_texts(*prompt))
    ]


def clear_quotes(table: str, frame: pl.DataFrame, quotes: list[str]) -> pl.DataFrame:
    """Return rows of ``table`` with texts cleared that contain one of ``quotes``, in columns whose rows stay.

    A cleared text is null; where its column cannot be null, ``REPLACEMENT``, or an empty list.
    """
    schema = TABLES[table].columns()
    return frame.with_columns(
        pl.when(_contains(policy.as_text(name, schema[name].dtype), quotes))
        .then(pl.lit(None if schema[name].nullable else _replacement(schema[name]), schema[name].dtype))
        .otherwise(name)
        .alias(name)
        for name in _text_columns(table, "cell")
        if quotes
    )


def _replacement(column: dy.Column) -> Any:
    return [] if isinstance(column.dtype, pl.List) else REPLACEMENT


def _text_columns(table: str, takedown: str) -> list[str]:
    policies = policy.of_schema(TABLES[table])
    return [name for name, each in policies.items() if each.free_text and each.takedown == takedown]


def _long(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if len(text.strip()) >= MIN_QUOTE_CHARACTERS]


def _contains(text: pl.Expr, quotes: list[str]) -> pl.Expr:
    """Return an expression that is true where ``text`` contains one of ``quotes``."""
    return text.str.contains_any(quotes).fill_null(False) if quotes else pl.lit(False)


def _quotes_in(table: str, takedown: str, quotes: list[str]) -> pl.Expr:
    """Return an expression that is true where a column of ``table`` with this ``takedown`` contains a quote."""
    types = tables.empty(table).schema
    found = [_contains(policy.as_text(name, types[name]), quotes) for name in _text_columns(table, takedown)]
    return pl.any_horizontal(found) if found else pl.lit(False)


def _quoting_ids(version: Version, table: str, quotes: list[str]) -> pl.Series:
    """Return the ids of the rows of ``table`` that are removed because of what they quote."""
    schema = TABLES[table]
    rows = version.table(table, [*policy.row_id(schema), *_text_columns(table, "row")])
    return rows.filter(_quotes_in(table, "row", quotes)).select(policy.row_id_expr(schema)).to_series()


def _resolve_ids(version: Version, ids: list[str]) -> tuple[pl.Series, pl.Series]:
    """Return the prompts (and attacks) and the responses that ``ids`` name."""
    named = pl.Series("id", ids, dtype=pl.String).unique(maintain_order=True)
    query = (
        "select prompt_id as id, 'prompt' as kind from prompts union select prompt_id, 'prompt' from attacks "
        "union all select response_id, 'response' from responses"
    )
    found = version.select(query).filter(pl.col("id").is_in(named.implode())).sort("id")
    if unknown := named.filter(~named.is_in(found["id"].implode())).to_list():
        tombstones = version.select("select coalesce(prompt_id, response_id) as id, version from tombstones")
        taken_down = dict(tombstones.iter_rows())
        problem = (
            f"was already taken down in {taken_down[unknown[0]]}" if unknown[0] in taken_down else "is in no table"
        )
        raise SeasDataError(
            f"{version.name}: {unknown[0]} {problem} ({len(unknown)} such ids); use whole ids, as seas-data why TEXT "
            "prints them"
        )
    by_kind = {kind: found.filter(kind=kind)["id"] for kind in ("prompt", "response")}
    return by_kind["prompt"].rename("prompt_id"), by_kind["response"].rename("response_id")


def _add_dependents(
    version: Version, taken_down: pl.Series, dropped: pl.DataFrame, quotes: list[str]
) -> tuple[pl.Series, pl.Series]:
    """Return the prompts and the seeds to remove: ``taken_down`` and, step by step, all that depends on them."""
    seeds = version.select("select seed_id, example_ids from seeds")
    examples = seeds.select("seed_id", prompt_id="example_ids").explode("prompt_id").drop_nulls()
    written = version.select(
        "select prompt_id, seed_id from attacks where seed_id is not null "
        "union select prompt_id, seed_id from prompts where seed_id is not null"
    )
    removed, removed_seeds = taken_down, _quoting_ids(version, "seeds", quotes)
    while True:
        ids = removed.implode()
        more_seeds = _ids([removed_seeds, examples.filter(pl.col("prompt_id").is_in(ids))["seed_id"]], "seed_id")
        witnessed = dropped.filter(pl.col("witness_id").is_in(ids))["prompt_id"]
        attacks = written.filter(pl.col("seed_id").is_in(more_seeds.implode()))["prompt_id"]
        more = _ids([removed, witnessed, attacks], "prompt_id")
        if len(more) == len(removed) and len(more_seeds) == len(removed_seeds):
            return more, more_seeds
        removed, removed_seeds = more, more_seeds


def _ids(parts: list[pl.Series], name: str) -> pl.Series:
    return pl.concat([part.rename(name) for part in parts]).unique().sort()
