"""Held-out prompts: those of ``test``, ``harmless`` and ``holdout``, matched by id and by folded text.

Of a prompt with several turns, every turn may be what a held-out prompt asks (``conversation.mark_asking``).

Generated attacks have new ids, so ids alone are not enough: an attack with the text of a held-out prompt is held out
too, and so is every attack whose seed has a held-out example.
"""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from seas_data.conversation import Turn, asked_texts, every_text
from seas_data.folding import has_plain_digest, leak_digest, leak_digests_of_all_versions
from seas_data.text import text_digest


def select_held_out(prompts: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    """Return every prompt that is in a split other than ``train`` or has the role ``holdout``.

    ``prompts`` and ``splits`` are the tables of a version. A dropped prompt has no split; one of role ``holdout`` is
    held out even then, because dropping it as a duplicate does not make its text trainable.

    Output columns: prompt_id, text_digest, leak_digest (of ``folding``; where a release withholds the text, that of the
    table, if it has one). A conversation has more rows: for its turns without that of the system, and those that ask.
    """
    elsewhere = splits.filter(pl.col("split") != "train").select("prompt_id")
    rows = prompts.filter(pl.col("role") == "holdout").select("prompt_id")
    held_out = prompts.join(pl.concat([elsewhere, rows]), on="prompt_id", how="semi")
    texts = held_out.select("prompt_id", "text_digest", leak_digest=_leak_digests(held_out))
    return pl.concat([texts, _digest_turns(held_out, asked_texts)])


def find_held_out(prompts: pl.DataFrame, held_out: pl.DataFrame, seeds: pl.DataFrame | None = None) -> pl.Series:
    """Return the sorted prompt_id values of ``prompts`` that are held out.

    Args:
        prompts: Input columns: prompt_id, text (or text_digest) and, if there are conversations, messages; with
            ``seeds`` also seed_id.
        held_out: The result of ``select_held_out``.
        seeds: With it, prompts whose seed has a held-out example are held out too. Input columns: seed_id, example_ids.
    """
    if held_out.is_empty():
        return pl.Series("prompt_id", [], dtype=pl.String)
    if "text_digest" not in prompts.columns:
        prompts = prompts.with_columns(
            text_digest=pl.Series([text_digest(text) for text in prompts["text"]], dtype=pl.String)
        )
    prompts = _explode_leak_digests(prompts)
    keys = [key for key in ("prompt_id", "text_digest", "leak_digest") if key in held_out.columns]
    found = [prompts.join(held_out, on=key, how="semi") for key in keys]
    turns = _digest_turns(prompts, every_text)
    found += [turns.join(held_out, on=key, how="semi") for key in keys if key != "prompt_id"]
    if seeds is not None:
        examples = seeds.select("seed_id", pl.col("example_ids").alias("prompt_id")).explode("prompt_id")
        tainted = examples.join(held_out, on="prompt_id", how="semi")
        found.append(prompts.join(tainted, on="seed_id", how="semi"))
    return pl.concat([part.select("prompt_id") for part in found])["prompt_id"].unique().sort()


def _digest_turns(prompts: pl.DataFrame, list_texts: Callable[[Sequence[Turn]], list[str]]) -> pl.DataFrame:
    """Return prompt_id, text_digest and each leak_digest of the texts that ``list_texts`` gives for the turns."""
    rows = []
    if "messages" in prompts.columns:
        turns = prompts.select("prompt_id", "messages").filter(pl.col("messages").is_not_null())
        for prompt_id, messages in turns.iter_rows():
            for text in list_texts(messages):
                rows += [(prompt_id, text_digest(text), each) for each in sorted(leak_digests_of_all_versions(text))]
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("prompt_id", "text_digest", "leak_digest"), pl.String), orient="row"
    )


def _leak_digests(prompts: pl.DataFrame) -> pl.Series:
    digests = [given if text is None else leak_digest(text) for text, given in _texts_and_stored(prompts)]
    return pl.Series(digests, dtype=pl.String)


def _explode_leak_digests(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return ``prompts`` with a row for each leak digest: a test whose text is withheld may have an earlier version's.

    Of plain texts, which are most, it is the ``text_digest``.
    """
    if "text" not in prompts.columns:
        prompts = prompts.with_columns(text=pl.lit(None, pl.String))
    is_plain = has_plain_digest(pl.col("text")).fill_null(False)
    rest = prompts.filter(~is_plain)
    digests = [
        [given] if text is None else sorted(leak_digests_of_all_versions(text))
        for text, given in _texts_and_stored(rest)
    ]
    rest = rest.with_columns(leak_digest=pl.Series(digests, dtype=pl.List(pl.String))).explode("leak_digest")
    return pl.concat([prompts.filter(is_plain).with_columns(leak_digest=pl.col("text_digest")), rest])


def _texts_and_stored(prompts: pl.DataFrame) -> Iterator[tuple[str | None, str | None]]:
    stored = prompts["leak_digest"].to_list() if "leak_digest" in prompts.columns else [None] * prompts.height
    texts = prompts["text"].to_list() if "text" in prompts.columns else [None] * prompts.height
    return zip(texts, stored, strict=True)
