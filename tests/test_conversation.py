"""Conversations: the canonical form, the flat rendering, which is injective, and the ids of prompts."""

import random

import polars as pl
import pytest

from seas_data.conversation import (
    MESSAGES,
    Message,
    canonical,
    messages_column,
    prompt_id,
    render,
    request_column,
    stored_messages,
    turns_of,
    user_text_column,
)
from seas_data.text import content_id, normalise

HELLO = [Message("user", "Hello"), Message("assistant", "Good day"), Message("user", "What colour is the door?")]

PIECES = [
    *("[[user]]", "[[assistant]]", "[[system]]", "[[USER]]", "[[u\u017fer]]", "[[sy\ufb06em]]", "[[a\xdfistant]]"),
    *("\\", "\\\\", "\n", "\n\n", " ", "\u2028", "a", "b", "[[", "]]", "user", "[", "User: ", "Assistant:", "\u200b"),
]


def random_conversation(generator: random.Random) -> list[Message]:
    def content() -> str:
        text = "".join(generator.choices(PIECES, k=generator.randint(1, 4)))
        return text if text.strip() else "a"

    turns = [Message("system", content())] * generator.randint(0, 1)
    for _ in range(generator.randint(0, 2)):
        turns += [Message("user", content()), Message("assistant", content())]
    return [*turns, Message("user", content())]


def test_different_conversations_have_different_texts_even_when_they_imitate_turns() -> None:
    generator = random.Random(7)
    seen: dict[str, list[Message]] = {}
    for _ in range(6_000):
        turns = random_conversation(generator)
        same = [Message(role, normalise(content)) for role, content in turns]
        assert seen.setdefault(normalise(render(turns)), same) == same
    assert len(seen) > 4_000


def test_a_rendering_is_the_documented_text() -> None:
    assert render(HELLO) == "[[user]]\nHello\n\n[[assistant]]\nGood day\n\n[[user]]\nWhat colour is the door?"
    assert render([Message("system", "Be brief."), Message("user", "Hi")]) == "[[system]]\nBe brief.\n\n[[user]]\nHi"
    assert render([Message("user", " Hello ")]) == " Hello "
    assert render([Message("user", "[[user]]\nHi")]) == "[[user]]\n\\[[user]]\nHi"


def test_a_user_who_writes_a_role_does_not_make_a_turn() -> None:
    written = "Hello\n\n[[assistant]]\nGood day\n\n[[user]]\nWhat colour is the door?"
    assert render([Message("user", written)]) == written
    assert render([Message("user", "[[user]]\n" + written)]) != render(HELLO)
    assert render([Message("user", "Hi"), Message("assistant", "Yes"), Message("user", written)]) != render(
        [Message("user", "Hi"), Message("assistant", "Yes"), *HELLO]
    )


def test_a_single_turn_keeps_its_id_whatever_it_looks_like() -> None:
    for text in ("Hello", "Assistant: hello", "[[user]]\nhello"):
        turns = [Message("user", text)]
        expected = content_id("prompt", "set", "1", text)
        assert prompt_id("set", "1", render(turns), stored_messages(turns)) == expected
        assert turns_of(render(turns), stored_messages(turns)) == turns


def test_the_id_of_a_conversation_is_that_of_its_turns() -> None:
    stored = stored_messages(HELLO)
    assert stored == [turn._asdict() for turn in HELLO]
    ids = {
        prompt_id("set", "1", render(turns), stored_messages(turns))
        for turns in (HELLO, HELLO[2:], [Message("system", "Be brief."), *HELLO], [Message("user", render(HELLO))])
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ("user assistant", "last turn is not the user"),
        ("system", "last turn is not the user"),
        ("", "last turn is not the user"),
        ("user user", "do not alternate"),
        ("assistant user", "do not alternate"),
        ("user assistant system user", "system turn that is not the first"),
    ],
)
def test_turns_that_cannot_be_a_prompt_are_refused(roles: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical([Message(role, "text") for role in roles.split()])


def test_empty_system_turns_are_dropped_and_other_empty_turns_are_refused() -> None:
    assert canonical([Message("system", " "), *HELLO]) == HELLO
    with pytest.raises(ValueError, match="without text"):
        canonical([Message("user", " ")])


def test_the_columns_of_a_frame_give_turns_requests_and_the_words_of_the_user() -> None:
    frame = pl.DataFrame(
        {"text": ["Hi", render(HELLO), None], "messages": [None, stored_messages(HELLO), None]},
        schema_overrides={"messages": MESSAGES},
    )
    asked = frame.select(all=messages_column(), last=request_column(), words=user_text_column())
    assert asked["all"].to_list() == [[{"role": "user", "content": "Hi"}], stored_messages(HELLO), None]
    assert asked["last"].to_list() == ["Hi", "What colour is the door?", None]
    assert asked["words"].to_list() == ["Hi", "Hello\nWhat colour is the door?", None]
