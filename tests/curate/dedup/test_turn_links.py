"""Links between conversations: a turn that another prompt asks, by characters, by meaning and in disguise."""

import polars as pl
import pytest

from seas_data.conversation import MESSAGES, Message, render, stored_messages
from seas_data.curate.dedup.edges import find_edges
from seas_data.curate.dedup.items import collect_items, flag_not_embeddable
from seas_data.curate.turns import as_compared
from seas_data.folding import leak_digest
from seas_data.text import text_digest
from tests.curate.dedup.test_edges import BREAD, BREADS, LAMP, NEAR_ONLY, SEMANTIC_ONLY, pairs, seeing, wrapped

CLOCK = "who wound the clock of the town hall before the storm came"
ROSE = "when is the best time of the year to cut back climbing roses"
NOTHING = "nobody here knows that, I am afraid"


def frame(**prompts: str | list[Message]) -> pl.DataFrame:
    rows = []
    for name, given in prompts.items():
        turns = [Message("user", given)] if isinstance(given, str) else given
        text = render(turns)
        rows.append((name, text, stored_messages(turns), text_digest(text), leak_digest(text), "en", None))
    schema = {"prompt_id": pl.String, "text": pl.String, "messages": MESSAGES, "text_digest": pl.String}
    more = {"leak_digest": pl.String, "language": pl.String, "attack_style": pl.String}
    return as_compared(pl.DataFrame(rows, schema=schema | more, orient="row"))


def talk(first: str, last: str, answer: str = NOTHING, system: str | None = None) -> list[Message]:
    turns = [Message("user", first), Message("assistant", answer), Message("user", last)]
    return turns if system is None else [Message("system", system), *turns]


@pytest.mark.parametrize("form", [BREAD, BREAD.upper(), BREADS, BREAD.replace("a", "\u0430"), f"{BREAD}\u200b"])
@pytest.mark.parametrize(
    "turns", [lambda x: talk(x, CLOCK), lambda x: talk(ROSE, CLOCK, x), lambda x: talk(ROSE, CLOCK, system=x)]
)
def test_a_turn_that_a_prompt_asks_is_related_wherever_it_stands(form: str, turns) -> None:  # type: ignore[no-untyped-def]
    found = find_edges(collect_items(frame(a=BREAD, b=turns(form), c=LAMP), wrapped()), None, NEAR_ONLY)
    assert pairs(found.duplicates) == [("a", "b", "related")]


def test_without_measures_an_equal_turn_is_related() -> None:
    settings = NEAR_ONLY.model_copy(update={"near": None})
    found = find_edges(collect_items(frame(a=BREAD, b=talk(BREAD, CLOCK)), wrapped()), None, settings)
    assert pairs(found.duplicates) == [("a", "b", "related")]


def test_turns_that_nobody_asks_link_nothing() -> None:
    rows = frame(a=talk("hello there", CLOCK), b=talk("hello there", ROSE), c=talk(LAMP, BREAD, system=NOTHING * 3))
    assert pairs(find_edges(collect_items(rows, wrapped()), None, NEAR_ONLY).duplicates) == []


def test_a_turn_that_means_what_a_prompt_asks_is_related() -> None:
    compared = collect_items(frame(a=BREAD, b=talk(LAMP, CLOCK), c=ROSE), wrapped())
    whole = dict(zip("abc", compared.items["text"], strict=False))
    angles = {BREAD: 0.0, LAMP: 5.0, whole["b"]: 90.0, CLOCK: 130.0, NOTHING: 170.0, ROSE: 210.0}
    found = find_edges(compared, seeing(compared, angles), SEMANTIC_ONLY)
    assert pairs(found.duplicates) == [("a", "b", "related")]


def test_a_conversation_with_a_turn_without_a_vector_is_flagged() -> None:
    rows = frame(a=BREAD, b=talk(LAMP, CLOCK))
    compared = collect_items(rows, wrapped())
    angles = {text: 20.0 * number for number, text in enumerate(compared.items["text"]) if text != NOTHING}
    flags = flag_not_embeddable(rows, compared, seeing(compared, angles))
    assert flags.select("prompt_id", "detail").rows() == [("b", "a turn: truncated: 9 of 8 tokens")]


def test_many_conversations_with_one_turn_give_no_pair_each() -> None:
    rows = {f"c{number:03}": talk(BREAD, f"{CLOCK} in the year {number * 7919}") for number in range(60)}
    found = find_edges(collect_items(frame(**rows), wrapped()), None, NEAR_ONLY.model_copy(update={"near": None}))
    assert found.duplicates.height == 59
