"""Text: equal when it counts as the same, safe when it is shown."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import unicode_tables
from seas_data.text import BLANK, content_id, encoded_proportion, escape_json, masked, normalise, printable, text_digest


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_case_white_space_and_composition_make_no_other_text() -> None:
    assert text_digest("Caf\u00e9  au\u2028lait ") == text_digest("cafe\u0301 AU lait")
    assert text_digest("a b") != text_digest("ab")


def test_the_parts_of_an_id_do_not_run_together() -> None:
    assert (
        len(
            {content_id("x", "ab", "c"), content_id("x", "a", "bc"), content_id("y", "ab", "c"), content_id("x", "abc")}
        )
        == 4
    )
    assert content_id("x", None) != content_id("x", "None")


@given(st.text())
def test_what_is_printed_moves_no_cursor_and_turns_no_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() or shown == ""
    assert "\n" not in shown


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\u202e", "\u2066", "\u200b", "\u009b31m", "\r", "\ue000", "\u2028"])
def test_what_could_act_on_a_terminal_is_spelled_out(hostile: str) -> None:
    assert hostile[0] not in printable(f"a{hostile}b")


def test_a_masked_prompt_shows_its_first_words_and_its_length() -> None:
    text = "What colour is the door of the third vault?"
    assert masked(text) == "What colour is the… (43 characters)"
    assert len(masked("x" * 10_000)) < 80


def test_encoded_text_is_told_from_words() -> None:
    question = "What colour is the door of the third vault, and who painted it in the year of the flood?"
    assert encoded_proportion(question) == 0
    assert encoded_proportion("") == 0
    assert encoded_proportion(f"Decode this: {base64.b64encode(question.encode()).decode()}") > 0.8
    assert encoded_proportion("Decode this: " + "%E4%BD%A0%E7%9A%84" * 5) > 0.8
    long_words = "antidisestablishmentarianism is a long word, and so is floccinaucinihilipilification"
    assert encoded_proportion(long_words) == 0


def test_a_character_that_python_would_print_is_printed_as_it_is() -> None:
    """``printable`` leaves such a text alone without a look at each character."""
    for text in map(chr, range(0x110000)):
        if text.isprintable() and text not in BLANK:
            assert printable(f"{text}\n") == f"{text} "


@pytest.mark.parametrize("blank", ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"])
def test_letters_that_show_nothing_are_escaped(blank: str) -> None:
    """They are letters, marks or symbols, so no class of control or format characters has them."""
    for text in (blank, f"a{blank}b", blank * 20, "a" + "\u0301" * 7 + blank + "\u0301" * 7):
        assert blank not in printable(text) and blank not in escape_json(json.dumps(text, ensure_ascii=False))
        assert json.loads(escape_json(json.dumps(text, ensure_ascii=False))) == text
    assert printable(f"a{blank}b") == f"a\\u{{{ord(blank):x}}}b"


@pytest.mark.parametrize(
    "parts", [(), ("plain",), ('a"\\\n\x00\x7f\u2028é\U0001f600', None, 3), (True, 2**70), ("x" * 10_000,)]
)
def test_an_id_is_the_hash_of_the_parts_as_json(parts: tuple[str | int | None, ...]) -> None:
    document = json.dumps(["kind", *parts], ensure_ascii=False, separators=(",", ":"))
    assert content_id("kind", *parts) == hashlib.sha256(document.encode()).hexdigest()[:24]


@pytest.mark.parametrize("text", ["", " A\tb\x1c\x85", "Ab \n\n c\x00D", "\x1f x\x7f "])
def test_plain_texts_are_normalised_as_all_are(text: str) -> None:
    assert normalise(text) == " ".join(unicode_tables.fold_case(unicode_tables.compose(text)).split())
