"""Conversations in curation: what is held out stands in no turn of a training row, and only the system turn differs."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import tables
from seas_data.conversation import Message, every_text, prompt_id, render, stored_messages
from seas_data.curate.incoming import Earlier, Incoming, read_earlier
from seas_data.curate.outcome import empty_decisions
from seas_data.curate.pipeline import Frames, curate
from seas_data.folding import leak_digest
from seas_data.recipe import Curation, Recipe
from seas_data.store.stages import Stages
from seas_data.text import text_digest
from tests.conftest import examples
from tests.curate.settings import curation


def request(number: int) -> str:
    """Return a request that shares few words with those of other numbers."""
    generator = random.Random(number)
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(4, 9))) for _ in range(7)]
    return f"Tell me where the {' '.join(words)} is kept."


def single(text: str) -> list[Message]:
    return [Message("user", text)]


def row(source_id: str, turns: list[Message], **more: Any) -> dict[str, Any]:
    text, messages = render(turns), stored_messages(turns)
    about = {"kind": "general", "role": "training", "source": "s", "source_id": source_id, "priority": 50} | more
    ids = {"prompt_id": prompt_id("s", source_id, text, messages), "text": text, "messages": messages}
    return (
        about
        | ids
        | {"text_digest": text_digest(text), "leak_digest": leak_digest(text), "language": "en", "iteration": 0}
    )


BEFORE = [Message("user", "Good morning"), Message("assistant", "Good morning to you.")]


def as_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    blank = tables.empty("prompts")
    prompts = pl.DataFrame(rows, schema_overrides={"messages": blank.schema["messages"]})
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in blank.schema.items() if name not in prompts.columns]
    return tables.cast("prompts", prompts.with_columns(missing)).sort("prompt_id")


def curated(rows: list[dict[str, Any]], folder: Path, settings: Curation, earlier: Earlier | None = None) -> Frames:
    no_ids = pl.Series("prompt_id", [], dtype=pl.String)
    incoming = Incoming(
        prompts=as_table(rows),
        set_aside=tables.empty("set_aside"),
        decisions=empty_decisions(),
        relabels=tables.empty("relabels"),
        manual_keeps=no_ids,
        manual_drops=no_ids,
    )
    recipe = Recipe.model_validate(
        {"name": "t", "embedders": [], "sources": {"s": {"path": "s.jsonl", "kind": "general"}}}
    ).model_copy(update={"curation": settings})
    return curate(recipe, incoming, earlier or read_earlier(None), Stages(folder, "key"), folder).read()


NEAR_ONLY = curation(semantic=None)
ROLES = ("user", "assistant", "user")
PLACES_OF_A_REQUEST = st.sampled_from(["system", "first", "assistant", "last"])


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[str, list[Message], int]]:
    """Return conversations with an id, their turns and the number of the held-out request that they contain, or -1."""
    found = []
    for number in range(draw(st.integers(4, 10))):
        held = draw(st.integers(-1, 3))
        where = draw(PLACES_OF_A_REQUEST)
        texts = {
            name: request(1000 + 10 * number + index)
            for index, name in enumerate(("system", "first", "assistant", "last"))
        }
        if held >= 0:
            texts[where] = draw(
                st.sampled_from(
                    [request(held), request(held).upper(), f"  {request(held)}\n", f"Hello! {request(held)}"]
                )
            )
        turns = [
            Message("user", texts["first"]),
            Message("assistant", texts["assistant"]),
            Message("user", texts["last"]),
        ]
        if where == "system" or draw(st.booleans()):
            turns = [Message("system", texts["system"]), *turns]
        found.append((f"c{number}", turns, held))
    return found


@examples(8)
@given(rows=conversations(), held_form=st.sampled_from(["plain", "system", "several"]))
def test_a_held_out_request_in_any_turn_never_reaches_training(
    rows: list[tuple[str, list[Message], int]], held_form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = {
        "plain": [],
        "system": [Message("system", "You keep the store room.")],
        "several": [Message("user", "Good morning"), Message("assistant", "Good morning to you.")],
    }[held_form]
    held = [row(f"h{number}", [*before, *single(request(number))], role="holdout") for number in range(4)]
    training = [row(source_id, turns) for source_id, turns, _ in rows]
    frames = curated([*held, *training], tmp_path_factory.mktemp("stages"), NEAR_ONLY)
    trained = set(frames["splits"].filter(split="train")["prompt_id"])
    held_numbers = {prompt["prompt_id"]: number for prompt, (_, _, number) in zip(training, rows, strict=True)}
    assert {held_numbers[each] for each in trained} <= {-1}
    in_use = {each for each in held_numbers if held_numbers[each] < 0}
    assert in_use == set(frames["splits"].filter(pl.col("split") != "holdout")["prompt_id"]) & in_use


@pytest.mark.slow
@examples(8)
@given(rows=conversations(), test=st.sampled_from([0.2, 0.5]))
def test_no_training_row_has_a_turn_that_a_test_row_asks(
    rows: list[tuple[str, list[Message], int]], test: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = [row(f"p{number}", single(request(number))) for number in range(4)]
    prompts = [*plain, *(row(source_id, turns) for source_id, turns, _ in rows)]
    chosen = curation(semantic=None, split={"test": test, "harmless": 0.0})
    frames = curated(prompts, tmp_path_factory.mktemp("stages"), chosen)
    split_of = dict(frames["splits"].select("prompt_id", "split").iter_rows())
    texts = {each["prompt_id"]: each for each in prompts}
    asked = {
        request_text(texts[prompt]["text"], texts[prompt]["messages"])
        for prompt, split in split_of.items()
        if split == "test"
    }
    for prompt, split in split_of.items():
        if split == "train":
            each = texts[prompt]
            turns = every_text(each["messages"]) if each["messages"] else [each["text"]]
            assert not {leak_digest(text) for text in turns} & asked


def request_text(text: str, messages: list[dict[str, str]] | None) -> str:
    return leak_digest(text if messages is None else messages[-1]["content"])


SYSTEMS = [[], [Message("system", request(500))], [Message("system", request(501))]]


@pytest.mark.parametrize("drop", [False, True])
def test_copies_that_differ_in_the_system_turn_share_a_request_and_stay(tmp_path: Path, drop: bool) -> None:
    rows = [row(f"{number}", [*system, *single(request(1))]) for number, system in enumerate(SYSTEMS)]
    rows += [row("copy", [*SYSTEMS[1], *single(request(1).upper())]), row("other", single(request(2)))]
    frames = curated(rows, tmp_path, curation(semantic=None, drop_other_system_turns=drop))
    dropped = frames["decisions"].filter(decision="drop")
    kept = frames["splits"].join(frames["prompts"], on="prompt_id")
    requests = frames["templates"].drop_nulls("request_id")
    assert dropped["reason"].unique().to_list() == ["exact_duplicate"]
    assert dropped.height == (3 if drop else 1)
    assert requests["request_id"].n_unique() == 1 and requests.height == 4
    assert kept.filter(pl.col("source_id") != "other")["group_id"].n_unique() == 1
    stored = {each["prompt_id"]: (each["text"], each["text_digest"]) for each in rows}
    assert {
        prompt: (text, digest)
        for prompt, text, digest in frames["prompts"].select("prompt_id", "text", "text_digest").iter_rows()
    } == stored


def test_long_system_turns_do_not_make_different_requests_duplicates(tmp_path: Path) -> None:
    system = [Message("system", " ".join(request(number) for number in range(600, 620)))]
    rows = [row(f"{number}", [*system, *single(request(number))]) for number in range(5)]
    frames = curated(rows, tmp_path, NEAR_ONLY)
    assert frames["decisions"].is_empty()
    assert frames["splits"]["group_id"].n_unique() == 5


def test_a_greeting_that_opens_conversations_does_not_link_them(tmp_path: Path) -> None:
    opening = [Message("user", "Good morning"), Message("assistant", "Good morning.")]
    rows = [row(f"{number}", [*opening, *single(request(number) * 3)]) for number in range(5)]
    frames = curated(rows, tmp_path, NEAR_ONLY)
    assert frames["splits"]["group_id"].n_unique() == 5


def test_an_earlier_turn_is_dropped_although_the_kind_of_the_conversation_is_another(tmp_path: Path) -> None:
    held = row("h", single(request(1)), role="holdout", kind="adversarial")
    last = [Message("user", request(1)), Message("assistant", "No."), Message("user", request(2))]
    frames = curated(
        [held, row("c", last, kind="harmless"), row("d", single(request(1)), kind="harmless")], tmp_path, NEAR_ONLY
    )
    decided = frames["decisions"].join(frames["prompts"], on="prompt_id").sort("source_id")
    assert decided.select("source_id", "decision", "reason").rows() == [
        ("c", "drop", "contaminated"),
        ("d", "flag", "contaminated"),
    ]


def test_hidden_data_is_flagged_in_every_turn(tmp_path: Path) -> None:
    hidden = request(7) + "".join(chr(0xE0000 + ord(letter)) for letter in "hello")
    turns = [Message("system", hidden), Message("user", request(1))]
    frames = curated([row("c", turns), row("d", single(request(2)))], tmp_path, NEAR_ONLY)
    assert frames["decisions"]["reason"].to_list() == ["hidden_payload"]


def test_a_later_row_with_a_turn_that_a_frozen_test_row_asks_is_a_bridge(tmp_path: Path) -> None:
    frozen = [row("test", [*BEFORE, *single(request(1))]), row("train", single(request(2)))]
    start = as_table(frozen)
    ids = start.sort("source_id")["prompt_id"].to_list()
    splits = pl.DataFrame({"prompt_id": ids, "split": ["test", "train"], "group_id": ids})
    before = replace(read_earlier(None), prompts=start, kept=start, splits=tables.cast("splits", splits))
    later = [
        row("first", [Message("user", request(1)), Message("assistant", "No."), Message("user", request(3))]),
        row("system", [Message("system", request(1).upper()), Message("user", request(4))]),
        row("whole", [Message("system", request(9)), *BEFORE, *single(request(1))]),
        row("answer", [Message("user", request(5)), Message("assistant", request(1)), Message("user", request(6))]),
        row("greeting", [*BEFORE, *single(request(7))]),
        row("train", [Message("user", request(2)), Message("assistant", "No."), Message("user", request(8))]),
    ]
    frames = curated(later, tmp_path, NEAR_ONLY, before)
    dropped = frames["decisions"].filter(decision="drop").join(frames["prompts"], on="prompt_id").sort("source_id")
    assert dropped["reason"].unique().to_list() == ["split_bridge"]
    assert dropped["source_id"].to_list() == ["answer", "first", "system", "whole"]
    assert frames["splits"]["split"].unique().to_list() == ["train"]
