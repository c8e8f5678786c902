"""Disguised copies and hidden payloads are flagged, kept, and on one side of the split."""

import polars as pl
import pytest

from seas_data.curate.dedup.edges import find_edges, is_duplicate, must_stay_together
from seas_data.curate.dedup.items import collect_items
from seas_data.curate.disguise import flag_disguised
from seas_data.text import text_digest
from tests.curate.settings import curation

BREAD = "how should a baker store fresh rye bread over a long weekend"
NOBODY = pl.Series([], dtype=pl.String)
NEAR_ONLY = curation(semantic=None)


def prompts(**texts: str) -> pl.DataFrame:
    rows = [(name, text, text_digest(text), "en", None) for name, text in texts.items()]
    columns = ("prompt_id", "text", "text_digest", "language", "attack_style")
    return pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row")


def find(rows: pl.DataFrame) -> pl.DataFrame:
    templates = pl.DataFrame(schema=dict.fromkeys(("prompt_id", "template_id", "payload"), pl.String))
    return find_edges(collect_items(rows, templates), None, NEAR_ONLY).duplicates


def hidden(text: str) -> str:
    return "".join(chr(0xE0000 + ord(character)) for character in text)


DISGUISES = {
    "wide": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in BREAD),
    "cyrillic": BREAD.translate(str.maketrans("aeo", "\u0430\u0435\u043e")),
    "zero-width": "\u200b".join(BREAD),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_copy_is_flagged_and_related_to_the_plain_text(name: str) -> None:
    rows = prompts(a=DISGUISES[name], b=BREAD, c="which lamp is best for reading small print")
    flags = flag_disguised(rows, NOBODY)
    assert flags.select("prompt_id", "decision", "reason", "witness_id").rows() == [("a", "flag", "disguised", "b")]
    assert flag_disguised(rows, pl.Series(["a"])).is_empty(), "it was flagged in its own version"
    (edge,) = find(rows).with_columns(together=must_stay_together(NEAR_ONLY), drops=is_duplicate(NEAR_ONLY)).rows()
    assert edge == ("a", "b", "related", 1.0, True, False)


def test_both_widths_in_chinese_are_one_text() -> None:
    rows = prompts(a="\uff21\uff22\uff23\u8fd9\u662f\u4ec0\u4e48\uff1f", b="ABC\u8fd9\u662f\u4ec0\u4e48?")
    assert find(rows).rows() == [("a", "b", "near_duplicate", 1.0)]
    assert flag_disguised(rows, NOBODY).is_empty()


def test_hidden_payloads_are_flagged_and_never_merged() -> None:
    rows = prompts(a=BREAD + hidden("one"), b=BREAD + hidden("two"), c=BREAD + " ", d=BREAD + hidden("one").upper())
    flags = flag_disguised(rows, NOBODY).filter(reason="hidden_payload")
    assert flags["prompt_id"].to_list() == ["a", "b", "d"]
    edges = find(rows)
    assert edges.height and set(edges["reason"]) == {"related"}


def test_texts_without_disguise_have_no_flags() -> None:
    rows = prompts(
        a=BREAD,
        b=BREAD.upper(),
        c="\u0447\u0442\u043e \u0432 \u043a\u043e\u0440\u043e\u0431\u043a\u0435?",
        d="\u2764\ufe0f",
    )
    assert flag_disguised(rows, NOBODY).is_empty()
