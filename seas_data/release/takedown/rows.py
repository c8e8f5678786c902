"""Which rows go when a row is forgotten: those that hold its words, and all that hangs on them.

*Forgotten* are the named prompts; prompts and attacks of the same text (in normal form), or that hold the named text
as a whole; and what was dropped as an exact or near duplicate of one of these. They get tombstones and never come back.

*Gone* with them is what cannot stand without them: what was dropped because of a row that is gone (it has no witness
any more; where a source holds it, the next build judges it anew), seeds that show a row that is gone, and the attacks
that answer such a seed, and so on, until nothing more hangs on anything that is gone. Then the responses to what is
gone, their verdicts, and the pairs, demonstrations and other rows that name or quote any of it.

A *response* that is named goes alone, with its verdicts and pairs: models say the same to many prompts, and who has one
stock refusal forgotten does not mean all. ``same_words`` says who else holds its words.

Where any other text quotes the words, such as the detail of a decision, the text goes and its row stays: without its
decision a dropped prompt would be kept. Which columns hold texts, and whether their rows go, is in their policies
(``tables.policy``): a new column of text is searched at once.

Texts of fewer than ``SHORTEST`` characters are not looked for inside others: "hello" is in everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.tables import TABLES, policy
from seas_data.text import text_digest

SHORTEST = 20
FORGOTTEN = "forgotten"
"""What replaces a text that is taken down in a column that cannot be null."""


@dataclass(frozen=True)
class Gone:
    """What a forgetting takes out: ids of prompts and responses to be forgotten, and of all rows that go with them."""

    forgotten: pl.Series
    """Prompts (and attacks) that hold the words: they get tombstones."""
    responses_forgotten: pl.Series
    prompts: pl.Series
    """Forgotten ones, and those that cannot stand without them."""
    seeds: pl.Series
    responses: pl.Series
    words: list[str]
    """The named texts that are looked for inside others."""


def find(version: Version, ids: list[str]) -> Gone:
    """Return what goes with ``ids`` (of prompts, attacks or responses). Raises SeasDataError for an id there is not."""
    named, named_responses = _named(version, ids)
    prompts = version.select(
        "select prompt_id, text from prompts where text is not null union select prompt_id, text from attacks"
    )
    texts = prompts.join(named.to_frame(), on="prompt_id", how="semi")["text"].unique(maintain_order=True)
    words = _long(texts)
    same = {text_digest(text) for text in texts}
    equal = prompts.filter(pl.Series([text_digest(text) in same for text in prompts["text"]], dtype=pl.Boolean))
    quoting = [_quoting(version, table, words) for table in ("prompts", "attacks")]
    holding = _ids([named, equal["prompt_id"], *quoting], "prompt_id")
    dropped = version.select("select prompt_id, reason, witness_id from dropped where witness_id is not null")
    doubles = dropped.filter(
        pl.col("reason").is_in(["exact_duplicate", "near_duplicate"]) & pl.col("witness_id").is_in(holding.implode())
    )
    forgotten = _ids([holding, doubles["prompt_id"]], "prompt_id")
    gone, seeds = _hanging(version, forgotten, dropped, words)
    theirs = version.select("select response_id, prompt_id from responses").filter(
        pl.col("prompt_id").is_in(gone.implode())
    )
    quoting = [_quoting(version, "responses", words)]
    responses = _ids([named_responses, *quoting, theirs["response_id"]], "response_id")
    return Gone(forgotten, _ids([named_responses], "response_id"), gone, seeds, responses, words)


def rules(gone: Gone) -> dict[str, pl.Expr]:
    """Return for each table an expression that is true for the rows to take out: by their ids or by their words."""
    prompts, seeds, responses = gone.prompts.implode(), gone.seeds.implode(), gone.responses.implode()
    bare = gone.prompts.filter(~gone.prompts.is_in(gone.forgotten.implode())).implode()
    both = pl.concat([gone.prompts.rename("id"), gone.responses.rename("id")]).implode()
    of_prompt, of_seed = pl.col("prompt_id").is_in(prompts), pl.col("seed_id").is_in(seeds)
    learned = of_prompt | of_seed
    by_id = {
        **dict.fromkeys(("prompts", "relabels", "templates", "splits", "clusters", "embeddings"), of_prompt),
        **dict.fromkeys(("attacks", "expected"), of_prompt),
        # The witness of a decision about a row that stays keeps its id where a tombstone stands for it.
        "decisions": of_prompt | pl.col("witness_id").is_in(bare),
        "seeds": of_seed,
        "responses": pl.col("response_id").is_in(responses),
        "verdicts": pl.col("response_id").is_in(responses),
        "unpaired": learned | pl.col("candidate_id").is_in(both),
        "pairs": learned | pl.col("chosen_id").is_in(both) | pl.col("rejected_id").is_in(both),
        "demonstrations": learned | pl.col("completion_id").is_in(both),
    }
    return {
        table: by_id.get(table, pl.lit(False)).fill_null(False) | _quotes_in(table, "row", gone.words)
        for table in TABLES
    }


def named_texts(version: Version, ids: list[str]) -> list[str]:
    """Return the texts of the prompts, attacks and responses ``ids``."""
    texts = version.select(
        "select text from prompts where prompt_id in (select unnest($ids)) "
        "union select text from attacks where prompt_id in (select unnest($ids)) "
        "union select text from responses where response_id in (select unnest($ids)) order by 1",
        {"ids": ids},
    )
    return texts["text"].drop_nulls().to_list()


def same_words(version: Version, gone: Gone) -> list[str]:
    """Return the responses and prompts that stay and hold the words of a response that is forgotten by itself."""
    words = _long(named_texts(version, gone.responses_forgotten.to_list()))
    if not words:
        return []
    texts = version.select(
        "select response_id as id, text from responses union all select prompt_id, text from prompts "
        "union select prompt_id, text from attacks"
    )
    out = pl.concat([gone.responses.rename("id"), gone.prompts.rename("id")])
    return (
        texts.filter(_contains(pl.col("text"), words), ~pl.col("id").is_in(out.implode()))["id"]
        .unique()
        .sort()
        .to_list()
    )


def without_quotes(table: str, frame: pl.DataFrame, words: list[str]) -> pl.DataFrame:
    """Return rows of ``table`` without the texts that quote ``words``, in columns whose rows stay.

    Such a text becomes null; where its column cannot be null, ``FORGOTTEN`` or an empty list.
    """
    schema = TABLES[table].columns()
    return frame.with_columns(
        pl.when(_contains(policy.as_text(name, schema[name].dtype), words))
        .then(pl.lit(None if schema[name].nullable else _replacement(schema[name]), schema[name].dtype))
        .otherwise(name)
        .alias(name)
        for name in _text_columns(table, "cell")
        if words
    )


def _replacement(column: dy.Column) -> Any:
    return [] if isinstance(column.dtype, pl.List) else FORGOTTEN


def _text_columns(table: str, takedown: str) -> list[str]:
    policies = policy.of_schema(TABLES[table])
    return [name for name, each in policies.items() if each.free_text and each.takedown == takedown]


def _long(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if len(text.strip()) >= SHORTEST]


def _contains(text: pl.Expr, words: list[str]) -> pl.Expr:
    """Return an expression that is true where ``text`` contains one of ``words``."""
    return text.str.contains_any(words).fill_null(False) if words else pl.lit(False)


def _quotes_in(table: str, takedown: str, words: list[str]) -> pl.Expr:
    """Return an expression that is true where a text of ``table`` with this effect of a takedown quotes ``words``."""
    types = tables.empty(table).schema
    found = [_contains(policy.as_text(name, types[name]), words) for name in _text_columns(table, takedown)]
    return pl.any_horizontal(found) if found else pl.lit(False)


def _quoting(version: Version, table: str, words: list[str]) -> pl.Series:
    """Return the ids of the rows of ``table`` that go because a text in them quotes ``words``."""
    schema = TABLES[table]
    rows = version.table(table, [*policy.row_id(schema), *_text_columns(table, "row")])
    return rows.filter(_quotes_in(table, "row", words)).select(policy.row_id_expr(schema)).to_series()


def _named(version: Version, ids: list[str]) -> tuple[pl.Series, pl.Series]:
    """Return the prompts (attacks too) and the responses that ``ids`` name."""
    asked = pl.Series("id", ids, dtype=pl.String).unique(maintain_order=True)
    query = (
        "select prompt_id as id, 'prompt' as kind from prompts union select prompt_id, 'prompt' from attacks "
        "union all select response_id, 'response' from responses"
    )
    found = version.select(query).filter(pl.col("id").is_in(asked.implode())).sort("id")
    if strangers := asked.filter(~asked.is_in(found["id"].implode())).to_list():
        graves = version.select("select coalesce(prompt_id, response_id) as id, version from tombstones")
        known = dict(graves.iter_rows())
        said = f"was forgotten in {known[strangers[0]]} already" if strangers[0] in known else "is in no table of it"
        raise SeasDataError(
            f"{strangers[0]} {said} ({version.name}; {len(strangers)} such ids): take whole ids from seas-data why TEXT"
        )
    of_kind = {kind: found.filter(kind=kind)["id"] for kind in ("prompt", "response")}
    return of_kind["prompt"].rename("prompt_id"), of_kind["response"].rename("response_id")


def _hanging(
    version: Version, forgotten: pl.Series, dropped: pl.DataFrame, words: list[str]
) -> tuple[pl.Series, pl.Series]:
    """Return the prompts and the seeds that go with ``forgotten``: one step after the other, until there is no more."""
    seeds = version.select("select seed_id, example_ids from seeds")
    shown = seeds.select("seed_id", prompt_id="example_ids").explode("prompt_id").drop_nulls()
    written = version.select(
        "select prompt_id, seed_id from attacks where seed_id is not null "
        "union select prompt_id, seed_id from prompts where seed_id is not null"
    )
    gone, gone_seeds = forgotten, _quoting(version, "seeds", words)
    while True:
        with_it = gone.implode()
        more_seeds = _ids([gone_seeds, shown.filter(pl.col("prompt_id").is_in(with_it))["seed_id"]], "seed_id")
        witnessed = dropped.filter(pl.col("witness_id").is_in(with_it))["prompt_id"]
        attacks = written.filter(pl.col("seed_id").is_in(more_seeds.implode()))["prompt_id"]
        more = _ids([gone, witnessed, attacks], "prompt_id")
        if len(more) == len(gone) and len(more_seeds) == len(gone_seeds):
            return more, more_seeds
        gone, gone_seeds = more, more_seeds


def _ids(parts: list[pl.Series], name: str) -> pl.Series:
    return pl.concat([part.rename(name) for part in parts]).unique().sort()
