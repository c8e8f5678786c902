"""Which rows go when a row is forgotten: those that hold its words, and all that hangs on them.

*Forgotten* are the named prompts; prompts and attacks of the same text (in normal form), or that hold the named text
as a whole; and what was dropped as an exact or near duplicate of one of these. They get tombstones and never come back.

*Gone* with them is what cannot stand without them: what was dropped because of a row that is gone (it has no witness
any more; where a source holds it, the next build judges it anew), seeds that show a row that is gone, and the attacks
that answer such a seed, and so on, until nothing more hangs on anything that is gone. Then the responses to what is
gone, their verdicts, and the pairs, demonstrations and other rows that name or quote any of it.

A *response* that is named goes alone, with its verdicts and pairs: models say the same to many prompts, and who has one
stock refusal forgotten does not mean all. ``same_words`` says who else holds its words.

Where a row stays and a remark in it (``SAID``) quotes the words, the remark goes and the row does not: without its
decision a dropped prompt would be kept.

Texts of fewer than ``SHORTEST`` characters are not looked for inside others: "hello" is in everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.text import text_digest

SHORTEST = 20
SAID: dict[str, tuple[str, str | None]] = {
    "set_aside": ("detail", None),
    "decisions": ("detail", None),
    "relabels": ("because", "forgotten"),
    "clusters": ("label", "forgotten"),
    "tombstones": ("because", "forgotten"),
}
"""Of each table the column that may quote a text of another row, and what stands there once that is forgotten."""


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
    answers = version.select("select response_id, text from responses where text is not null")
    texts = prompts.join(named.to_frame(), on="prompt_id", how="semi")["text"].unique(maintain_order=True)
    words = _long(texts)
    same = {text_digest(text) for text in texts}
    equal = prompts.filter(pl.Series([text_digest(text) in same for text in prompts["text"]], dtype=pl.Boolean))
    holding = _ids([named, equal["prompt_id"], prompts.filter(quotes("text", words))["prompt_id"]], "prompt_id")
    dropped = version.select("select prompt_id, reason, witness_id from dropped where witness_id is not null")
    doubles = dropped.filter(
        pl.col("reason").is_in(["exact_duplicate", "near_duplicate"]) & pl.col("witness_id").is_in(holding.implode())
    )
    forgotten = _ids([holding, doubles["prompt_id"]], "prompt_id")
    gone, seeds = _hanging(version, forgotten, dropped, words)
    quoting = _ids([named_responses, answers.filter(quotes("text", words))["response_id"]], "response_id")
    theirs = version.select("select response_id, prompt_id from responses").filter(
        pl.col("prompt_id").is_in(gone.implode())
    )
    responses = _ids([quoting, theirs["response_id"]], "response_id")
    return Gone(forgotten, _ids([named_responses], "response_id"), gone, seeds, responses, words)


def rules(gone: Gone) -> dict[str, pl.Expr]:
    """Return for each table that can hold what is gone an expression that is true of the rows to take out."""
    prompts, seeds, responses = gone.prompts.implode(), gone.seeds.implode(), gone.responses.implode()
    bare = gone.prompts.filter(~gone.prompts.is_in(gone.forgotten.implode())).implode()
    both = pl.concat([gone.prompts.rename("id"), gone.responses.rename("id")]).implode()
    of_prompt, of_seed = pl.col("prompt_id").is_in(prompts), pl.col("seed_id").is_in(seeds)
    learned = of_prompt | of_seed
    return {
        **dict.fromkeys(("prompts", "relabels", "templates", "splits", "clusters", "embeddings"), of_prompt),
        **dict.fromkeys(("attacks", "expected"), of_prompt),
        # The witness of a decision about a row that stays keeps its id where a tombstone stands for it.
        "decisions": of_prompt | pl.col("witness_id").is_in(bare),
        "seeds": of_seed,
        "responses": pl.col("response_id").is_in(responses),
        "verdicts": pl.col("response_id").is_in(responses) | quotes("raw", gone.words),
        "unpaired": learned | pl.col("candidate_id").is_in(both),
        "pairs": learned
        | pl.col("chosen_id").is_in(both)
        | pl.col("rejected_id").is_in(both)
        | _quoted_in(("prompt", "chosen", "rejected"), gone.words),
        "demonstrations": learned
        | pl.col("completion_id").is_in(both)
        | _quoted_in(("prompt", "completion"), gone.words),
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
    return texts.filter(quotes("text", words), ~pl.col("id").is_in(out.implode()))["id"].unique().sort().to_list()


def unsaid(table: str, frame: pl.DataFrame, words: list[str]) -> pl.DataFrame:
    """Return rows of ``table`` without the remarks that quote ``words``."""
    if table not in SAID:
        return frame
    column, instead = SAID[table]
    said = pl.when(quotes(column, words)).then(pl.lit(instead, pl.String)).otherwise(column)
    return frame.with_columns(said.alias(column))


def _long(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if len(text.strip()) >= SHORTEST]


def quotes(column: str, words: list[str]) -> pl.Expr:
    """Return an expression that is true where ``column`` holds one of ``words`` as it is."""
    if not words:
        return pl.lit(False)
    return pl.col(column).str.contains_any(words).fill_null(False)


def _quoted_in(columns: tuple[str, ...], words: list[str]) -> pl.Expr:
    """The same for lists of messages."""
    if not words:
        return pl.lit(False)
    inside = pl.element().struct.field("content").str.contains_any(words)
    return pl.any_horizontal(pl.col(column).list.eval(inside).list.any().fill_null(False) for column in columns)


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
    seeds = version.select("select seed_id, example_ids, text from seeds")
    shown = seeds.select("seed_id", prompt_id="example_ids").explode("prompt_id").drop_nulls()
    written = version.select(
        "select prompt_id, seed_id from attacks where seed_id is not null "
        "union select prompt_id, seed_id from prompts where seed_id is not null"
    )
    gone, gone_seeds = forgotten, seeds.filter(quotes("text", words))["seed_id"]
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
