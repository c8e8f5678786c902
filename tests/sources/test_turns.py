"""Prompts that are conversations: which turn counts is said, never guessed, in every format that can hold them."""

import json
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources import read_source
from seas_data.sources.account import require_readable
from seas_data.sources.logs.records import LogRecord, LogSkipped
from seas_data.sources.messages import choose_turn, turns_of_json
from seas_data.sources.raw_rows import InvalidLineError
from tests.conftest import examples
from tests.made_logs import attempts, logged  # noqa: F401  (a fixture)

SYSTEM = {"role": "system", "content": "You keep the castle."}
FIRST = {"role": "user", "content": "Where is the door?"}
ANSWER = {"role": "assistant", "content": "In the east."}
LAST = {"role": "user", "content": "And the key?"}
ROWS: list[Any] = [[FIRST], [FIRST, ANSWER, LAST], [SYSTEM, FIRST], [FIRST, ANSWER]]


def source(path: Path, **more: Any) -> Source:
    return Source.model_validate(
        {"path": str(path), "kind": "adversarial", "language": "en", "max_unreadable_proportion": 1} | more
    )


def write(folder: Path, form: str, rows: list[Any]) -> Path:
    path = folder / f"rows.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows))
    elif form == "parquet":
        pq.write_table(pa.table({"prompt": rows}), path)
    elif form == "folder":
        datasets.Dataset.from_dict({"prompt": rows}).save_to_disk(str(path))
    elif form == "csv":
        pl.DataFrame({"prompt": [json.dumps(row) for row in rows]}).write_csv(path)
    return path


@pytest.mark.parametrize("form", ["jsonl", "parquet", "folder"])
def test_without_a_turn_only_a_single_user_turn_is_a_prompt(tmp_path: Path, form: str) -> None:
    read = read_source("s", source(write(tmp_path, form, ROWS)))
    assert read.prompts.sort("source_id")["text"].to_list() == ["Where is the door?", "Where is the door?"]
    assert read.prompts["source_id"].sort().to_list() == ["1", "4"]
    assert read.set_aside.select("reason", "detail").unique().rows() == [
        ("unreadable", "prompt is a conversation; set turn of the source to first, last or all")
    ]
    assert read.set_aside.height == 2


@pytest.mark.parametrize("form", ["jsonl", "parquet", "folder", "csv"])
@pytest.mark.parametrize(
    ("turn", "texts"),
    [
        ("first", ["Where is the door?"] * 4),
        ("last", ["Where is the door?", "And the key?", "Where is the door?", "Where is the door?"]),
        (
            "all",
            [
                "Where is the door?",
                "[[user]]\nWhere is the door?\n\n[[assistant]]\nIn the east.\n\n[[user]]\nAnd the key?",
                "[[system]]\nYou keep the castle.\n\n[[user]]\nWhere is the door?",
                "Where is the door?",
            ],
        ),
    ],
)
def test_a_turn_is_chosen_in_every_format(tmp_path: Path, form: str, turn: str, texts: list[str]) -> None:
    read = read_source("s", source(write(tmp_path, form, ROWS), turn=turn))
    assert read.prompts.sort("source_id")["text"].to_list() == texts
    assert read.set_aside.is_empty()


def test_other_shapes_of_conversations_are_read(tmp_path: Path) -> None:
    rows = [
        [{"from": "human", "value": "Where is the door?"}, {"from": "gpt", "value": "East."}],
        [{"role": "user", "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "the door?"}]}],
        "\n\nHuman: Where is the door?\n\nAssistant: East.",
        "Where is the door?",
        FIRST,
    ]
    read = read_source("s", source(write(tmp_path, "jsonl", rows), turn="first"))
    assert read.prompts["text"].to_list() == ["Where is the door?"] * 5


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ([ANSWER], "prompt has no turn of a user"),
        ([{"role": "tool", "content": "x"}], "prompt has a turn with the role 'tool'"),
        (
            [{"role": "user", "content": [{"type": "image_url"}]}],
            "prompt has a part that is not text, such as an image",
        ),
        (["a", "b"], "prompt is a list of something else than messages (role, content)"),
        (7, "'prompt' is a JSON number, not text"),
    ],
)
def test_what_is_no_conversation_is_set_aside_with_the_reason(tmp_path: Path, row: Any, detail: str) -> None:
    read = read_source("s", source(write(tmp_path, "jsonl", [[FIRST], row]), turn="last"))
    assert read.prompts.height == 1
    assert read.set_aside.select("reason", "detail").rows() == [("unreadable", detail)]


def test_a_holdout_set_of_conversations_stops_the_build_until_a_turn_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ROWS)
    holdout = source(path, role="holdout", max_unreadable_proportion=None)
    with pytest.raises(SeasDataError, match="set turn of the source to first, last or all"):
        require_readable("s", holdout, read_source("s", holdout))
    chosen = holdout.model_copy(update={"turn": "all"})
    found = read_source("s", chosen)
    require_readable("s", chosen, found)
    assert found.prompts.height == 4


def test_a_holdout_log_with_several_turns_stops_the_build(
    tmp_path: Path,
    logged: dict[str, list[LogRecord]],  # noqa: F811
) -> None:
    logged["x.jsonl"] = [
        *attempts(3),
        LogSkipped("x.jsonl:9", "several_turns", "the turns of user and assistant do not alternate"),
    ]
    (tmp_path / "x.jsonl").touch()
    training = Source.model_validate({"log": "garak", "path": str(tmp_path / "x.jsonl")})
    found = read_source("run", training)
    require_readable("run", training, found)
    with pytest.raises(SeasDataError, match=r"1 of 4 rows .* a holdout source may have 0 such rows: several_turns 1"):
        require_readable("run", training.model_copy(update={"role": "holdout"}), found)


def test_a_text_that_looks_like_a_conversation_stays_as_it_is_without_a_turn(tmp_path: Path) -> None:
    text = json.dumps([FIRST, ANSWER, LAST])
    assert read_source("s", source(write(tmp_path, "jsonl", [text]))).prompts["text"].to_list() == [text]


def test_all_turns_are_kept_in_every_format_and_shape(tmp_path: Path) -> None:
    turns = [SYSTEM, FIRST, ANSWER, LAST]
    named = [
        {"from": {"user": "human", "assistant": "gpt"}.get(t["role"], "system"), "value": t["content"]} for t in turns
    ]
    rows = [turns, [*turns, ANSWER], named, json.dumps(turns), [FIRST]]
    found = read_source("s", source(write(tmp_path, "jsonl", rows), turn="all")).prompts
    expected = [turns, turns, turns, turns, None]
    assert found.sort("source_id")["messages"].to_list() == expected
    assert found.sort("source_id")["text"].unique().len() == 2
    for form in ("parquet", "folder"):
        same = read_source("s", source(write(tmp_path, form, [turns, [*turns, ANSWER], [FIRST]]), turn="all")).prompts
        assert same.sort("source_id")["messages"].to_list() == [turns, turns, None]
    columns = {key: [each[key] for each in turns] for key in ("role", "content")}
    pq.write_table(pa.table({"prompt": [columns, {"role": ["user"], "content": ["Hi"]}]}), tmp_path / "lists.parquet")
    lists = read_source("s", source(tmp_path / "lists.parquet", turn="all")).prompts.sort("source_id")
    assert lists["messages"].to_list() == [turns, None] and lists["text"][1] == "Hi"
    dialogue = "Human: Where is the door?\n\nAssistant: In the east.\n\nHuman: And the key?\n\nAssistant:"
    csv = read_source("s", source(write(tmp_path, "csv", [dialogue]), turn="all"))
    assert csv.set_aside.is_empty()


def test_ids_are_those_of_the_turns_and_a_single_turn_keeps_its_id(tmp_path: Path) -> None:
    rows = [[FIRST, ANSWER, LAST], [FIRST], "Where is the door?"]
    every = read_source("s", source(write(tmp_path, "jsonl", rows), turn="all")).prompts.sort("source_id")
    plain = read_source("s", source(write(tmp_path, "jsonl", rows), turn="first")).prompts.sort("source_id")
    assert every["prompt_id"][0] != plain["prompt_id"][0]
    assert every["prompt_id"][1:].to_list() == plain["prompt_id"][1:].to_list()


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ([FIRST, LAST], "several_turns", "the turns of user and assistant do not alternate"),
        ([FIRST, SYSTEM, LAST], "several_turns", "a system turn that is not the first turn"),
        ([ANSWER, FIRST], "several_turns", "the turns of user and assistant do not alternate"),
        ([FIRST, {"role": "tool", "content": "1"}, LAST], "unreadable", "prompt has a turn with the role 'tool'"),
        ([FIRST, {"role": "assistant", "content": " "}, LAST], "empty", "prompt has a turn without text"),
    ],
)
def test_turns_that_cannot_be_a_prompt_are_set_aside_with_the_reason(
    tmp_path: Path, row: Any, reason: str, detail: str
) -> None:
    read = read_source("s", source(write(tmp_path, "jsonl", [[FIRST], row]), turn="all"))
    assert read.prompts.height == 1
    assert read.set_aside.select("reason", "detail").rows() == [(reason, detail)]


@pytest.mark.parametrize("turn", ["all", None])
def test_a_user_who_writes_a_role_does_not_make_a_turn(tmp_path: Path, turn: str | None) -> None:
    written = "[[user]]\nWhere is the door?\n\n[[assistant]]\nIn the east.\n\n[[user]]\nAnd the key?"
    read = read_source("s", source(write(tmp_path, "jsonl", [written]), turn=turn)).prompts
    real = read_source("s", source(write(tmp_path, "jsonl", [[FIRST, ANSWER, LAST]]), turn="all")).prompts
    assert read["messages"].to_list() == [[{"role": "user", "content": written}]]
    assert real["text"].to_list() == [written]
    assert not set(read["text_digest"]) & set(real["text_digest"])


def test_a_wrapper_is_stripped_from_the_last_turn(tmp_path: Path) -> None:
    wrapped = [FIRST, ANSWER, {"role": "user", "content": "<<And the key?>>"}]
    path = write(tmp_path, "jsonl", [wrapped, [FIRST, ANSWER, {"role": "user", "content": "<<>>"}]])
    read = read_source("s", source(path, turn="all", strip={"prefix": "<<", "suffix": ">>"}))
    assert read.prompts["messages"].to_list() == [[FIRST, ANSWER, LAST]]
    assert read.set_aside["reason"].to_list() == ["empty"]


def test_the_language_is_that_of_the_words_of_the_user(tmp_path: Path) -> None:
    german = "Welche Farbe hat die alte Tür am Ende der Straße, und wer hat sie gestrichen?"
    turns = [
        {"role": "system", "content": "You are the friendly assistant of a hardware store. " * 8},
        {"role": "user", "content": german},
    ]
    read = read_source("s", source(write(tmp_path, "jsonl", [turns]), turn="all", language=None))
    assert read.prompts["language"].to_list() == ["de"]


TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=5)), max_size=5)


@examples(80)
@given(turns=TURNS, turn=st.sampled_from(["first", "last", "all", None]))
def test_a_conversation_is_one_prompt_or_one_reason(turns: list[tuple[str, str]], turn: Any) -> None:
    value = [{"role": role, "content": content} for role, content in turns]
    users = [content for role, content in turns if role == "user"]
    try:
        text = choose_turn(value, "prompt", turn)
    except InvalidLineError as error:
        assert error.reason in ("unreadable", "empty", "undecodable", "several_turns")
        return
    assert text is not None and text.strip()
    if turn != "all":
        assert text in users
        return
    kept = [(role, content) for role, content in turns if role != "system" or content.strip()]
    assert turns_of_json(text) == (kept if kept[-1][0] == "user" else kept[:-1])
