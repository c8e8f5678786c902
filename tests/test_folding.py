import hashlib
import re
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import folding, unicode_tables
from seas_data.folding import (
    fold,
    fold_look_alikes,
    has_hidden_payload,
    is_blank,
    leak_digest,
    leak_digests,
    scripts_without_blanks,
    shows_nothing,
    version,
)
from seas_data.text import normalise, text_digest
from tests.conftest import examples

PLAIN = "what is in the box?"


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def bold(text: str) -> str:
    return "".join(chr(0x1D41A + ord(c) - ord("a")) if c.isalpha() else c for c in text)


@pytest.mark.parametrize(
    "text",
    [
        full_width(PLAIN),
        full_width(PLAIN).replace(" ", "\u3000"),
        bold(PLAIN),
        "\u200b".join(PLAIN),
        "\u00ad".join(PLAIN),
        "\u2060".join(PLAIN),
        "\ufe0f".join(PLAIN),
        "\U000e0041".join(PLAIN),
        "\u202e" + PLAIN + "\u202c",
        "\x00".join(PLAIN),
        PLAIN.upper().replace(" ", "\u00a0\n"),
        "\ufeff" + PLAIN,
        "\u3164" + PLAIN + "\u2800",
    ],
)
def test_disguised_text_folds_to_the_plain_one(text: str) -> None:
    assert fold(text) == fold_look_alikes(text) == PLAIN


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("wh\u0430t is in th\u0435 b\u043eх?", PLAIN),  # Cyrillic
        ("WHАT IS IN ТНЕ ВОХ?", PLAIN),
        ("w\u0336h\u0336a\u0336t is in the box?", PLAIN),
        ("ᴡʜᴀᴛ ɪꜱ ɪɴ ᴛʜᴇ ʙᴏx?", PLAIN),  # small capitals
        ("🅦🅗🅐🅣 🅘🅢 🅘🅝 🅣🅗🅔 🅑🅞🅧?", PLAIN),
        ("🆆🅷🅰🆃 🅸🆂 🅸🅽 🆃🅷🅴 🅱🅾🆇?", PLAIN),
        ("schӧne grüße", "schöne grüsse"),
        ("ѕсhӧnе grüβe", "schöne grüsse"),
    ],
)
def test_look_alikes_fold_to_latin_letters(text: str, plain: str) -> None:
    assert fold_look_alikes(text) == plain
    assert fold(text) != plain or "β" not in text


def test_plain_text_keeps_its_normal_form() -> None:
    for text in ("What  is\tit?", "Straße in Köln", "这是密码吗?", "что в коробке?", "rn 0O 1l", "❤ a", "a\u0301"):
        assert fold(text) == normalise(text)


@examples(150)
@given(st.text())
def test_folding_is_stable_and_looks_alike_if_equal(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold_look_alikes(folded) == fold_look_alikes(text) == fold_look_alikes(fold_look_alikes(text))
    assert is_blank(text) == (folded == "")


@examples(80)
@given(st.text(st.characters(max_codepoint=127)))
def test_printable_ascii_folds_to_its_normal_form(text: str) -> None:
    folded = fold(text)
    assert folded.isascii() and (folded == normalise(text) or not normalise(text).isprintable())


def reference_fold(text: str) -> str:
    """``fold`` by its definition, whatever the text: each step over all of it until nothing changes."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    while True:
        composed = unicode_tables.compose_compatibly(text).translate(folding._fold_table())
        if (folded := unicode_tables.compose_compatibly(composed)) == text:
            return " ".join(folded.split())
        text = folded


def reference_look_alikes(text: str) -> str:
    return reference_fold(folding._LOOSE_MARKS.sub("", reference_fold(text).translate(folding._look_alike_table())))


ANY_TEXT = st.text(
    st.one_of(
        st.characters(max_codepoint=0x10FFFF, categories=None),
        st.characters(max_codepoint=0x2FF),
        st.sampled_from("aA\u0130\u0345\u0301\u0336\u200b\ufe0f\ud83d\U000e0041\U00010400\U0001d400\uff21\u0410\u3000"),
    ),
    max_size=40,
)


@examples(250)
@given(ANY_TEXT)
def test_short_cuts_give_the_folded_forms_of_the_definition(text: str) -> None:
    assert fold(text) == reference_fold(text)
    assert fold_look_alikes(text) == reference_look_alikes(text)
    composed = unicode_tables.compose(text).translate(
        {ord(character): folded for character, folded in unicode_tables.tables()["casefold"].items()}
    )
    assert normalise(text) == " ".join(composed.split())


@pytest.mark.slow
def test_short_cuts_replace_every_character_of_the_tables() -> None:
    tables = (folding._fold_table(), folding._look_alike_table(), folding._ignorable_table())
    every = "".join(map(chr, range(0x110000)))
    for table in tables:
        assert unicode_tables.replacer(table)(every) == every.translate(table)
        apart = "x".join(map(chr, table))
        assert unicode_tables.replacer(table)(apart) == apart.translate(table)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\u3164", "\u2800 \u00a0", "\U000e0041", "\ufe0f", "\x00\x1f"])
def test_text_that_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert pl.select(shows_nothing(pl.lit(text))).item()


@pytest.mark.parametrize("text", ["a", ".", "❤️", "\u200b.\u200b", "\ufffd", "吗"])
def test_text_that_shows_something_is_not_blank(text: str) -> None:
    assert not is_blank(text)
    assert not pl.select(shows_nothing(pl.lit(text))).item()


def test_runs_of_tags_and_variation_selectors_are_payloads() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "say it")
    assert has_hidden_payload(f"hello{hidden}")
    assert has_hidden_payload("a\ufe01\ufe02\ufe03")
    assert has_hidden_payload("a\U000e0101\U000e0102")
    for text in (
        "❤️ and 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "a\u200bb",
        "plain",
        "葛\U000e0100",
    ):
        assert not has_hidden_payload(text)


def test_unicode_tables_are_pinned() -> None:
    assert version() == "2 (Unicode 17.0, composition 18.0.0)"
    assert fold("\ua7da") == normalise("\ua7da") == "\ua7db", "a letter of Unicode 16"


def test_the_version_changes_with_the_tables() -> None:
    content = (Path(folding.__file__).with_name("folding.json")).read_bytes()
    found = (folding.VERSION, hashlib.sha256(content).hexdigest()[:16])
    assert found == ("2", "b160507d022953cc"), "folded forms have changed: raise folding.VERSION"


@pytest.mark.parametrize("letter", ["\u01c4", "\u1e9e", "\u0130", "\ufb03", "\u13a0", "\U0001e900", "\U00010400"])
def test_letters_fold_as_in_every_python_release(letter: str) -> None:
    assert unicode_tables.fold_case(f"a{letter}\ua7da") == f"a{letter.casefold()}\ua7db"


@pytest.mark.parametrize(
    "text", ["a plain\tquestion?\r\n\x0b\x1cNext", "\x00null", "\x7f", "Stra\xdfe", "", "\x1b[1mbold"]
)
def test_the_digest_of_plain_ascii_is_both(text: str) -> None:
    row = pl.DataFrame({"text": [text], "text_digest": [text_digest(text)]})
    assert leak_digests(row).to_list() == [leak_digest(text)]


def test_data_of_unicode_names_its_licence() -> None:
    tables, root = unicode_tables.tables(), Path(__file__).parent.parent
    assert tables["unicode"] == "17.0" and "Unicode-3.0" in tables["license"]
    assert "folding.json" in (root / "NOTICE").read_text()
    assert (root / "LICENSES/Unicode-3.0.txt").read_text().startswith("UNICODE LICENSE V3")


OLDER = {"store/takedown.py"}
"""Finds takedowns by the digests that an older release recorded."""


@pytest.mark.parametrize("package", ["curate", "similarity", "sources", "judges", "pairs", "store", "folding.py"])
def test_decisions_ask_no_tables_of_the_python_release(package: str) -> None:
    """Letters, digits and case of texts come from ``unicode_tables``, so that Python releases decide alike."""
    folder = Path(folding.__file__).parent
    path = folder / package
    for module in path.rglob("*.py") if path.is_dir() else [path]:
        if module.relative_to(folder).as_posix() in OLDER:
            continue
        code = module.read_text(encoding="utf-8")
        found = re.findall(r"import unicodedata\b|\.is(?:alpha|alnum|digit|numeric|upper|lower|title)\(", code)
        assert not found, (module.name, found)


def test_folding_is_fast() -> None:
    pl.select(pl.lit("").str.contains(f"[{scripts_without_blanks()}]"))
    start = time.process_time()
    for text in (PLAIN * 50, "这是密码吗?" * 100, "что в коробке? " * 60):
        for _ in range(200):
            fold_look_alikes(text)
    assert time.process_time() - start < 2
