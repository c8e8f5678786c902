"""The strict reader of preferences and instructions: the shapes of public sets, and what is set aside."""

import codecs
import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.sources.conversations import ConversationRows, read_instructions, read_preferences
from tests.conftest import examples

Turn = dict[str, Any]


def system(text: str) -> Turn:
    return {"role": "system", "content": text}


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str) -> Turn:
    return {"role": "assistant", "content": text}


GOOD = {"prompt": "What is a door?", "chosen": "A way in.", "rejected": "No."}
EXPECTED = {
    "prompt": [user("What is a door?")],
    "chosen": [assistant("A way in.")],
    "rejected": [assistant("No.")],
}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbered(count: int) -> list[dict[str, Any]]:
    return [{**GOOD, "prompt": f"What is door {number}?"} for number in range(count)]


def messages(read: ConversationRows, row: int = 0) -> dict[str, Any]:
    return {
        name: value for name, value in read.rows.row(row, named=True).items() if name not in ("source", "source_id")
    }


EARLIER = [user("Is it red?"), assistant("It is.")]
QUESTION, CHOSEN, REJECTED = user("What is a door?"), assistant("A way in."), assistant("No.")
SHAPES: dict[str, tuple[dict[str, Any], list[Turn]]] = {
    "plain texts": (GOOD, [QUESTION]),
    "lists of messages": ({"prompt": [QUESTION], "chosen": [CHOSEN], "rejected": [REJECTED]}, [QUESTION]),
    "one message each": ({"prompt": QUESTION, "chosen": CHOSEN, "rejected": REJECTED}, [QUESTION]),
    "prompt text, sides as answers": ({**GOOD, "chosen": [CHOSEN], "rejected": [REJECTED]}, [QUESTION]),
    "UltraFeedback": ({**GOOD, "chosen": [QUESTION, CHOSEN], "rejected": [QUESTION, REJECTED]}, [QUESTION]),
    "ORPO-mix": ({"chosen": [QUESTION, CHOSEN], "rejected": [QUESTION, REJECTED]}, [QUESTION]),
    "ORPO-mix, several turns": (
        {"chosen": [*EARLIER, QUESTION, CHOSEN], "rejected": [*EARLIER, QUESTION, REJECTED]},
        [*EARLIER, QUESTION],
    ),
    "ORPO-mix, the first question as prompt": (
        {"prompt": "Is it red?", "chosen": [*EARLIER, QUESTION, CHOSEN], "rejected": [*EARLIER, QUESTION, REJECTED]},
        [*EARLIER, QUESTION],
    ),
    "system turn in the prompt alone": (
        {
            "prompt": [system("Be brief."), QUESTION],
            "chosen": [QUESTION, CHOSEN],
            "rejected": [QUESTION, REJECTED],
        },
        [system("Be brief."), QUESTION],
    ),
    "system turn in the sides alone": (
        {
            **GOOD,
            "chosen": [system("Be brief."), QUESTION, CHOSEN],
            "rejected": [system("Be brief."), QUESTION, REJECTED],
        },
        [system("Be brief."), QUESTION],
    ),
    "empty system turn": (
        {"chosen": [system(""), QUESTION, CHOSEN], "rejected": [system(""), QUESTION, REJECTED]},
        [QUESTION],
    ),
    "one side alone holds the conversation": ({**GOOD, "chosen": [QUESTION, CHOSEN]}, [QUESTION]),
    "HH-RLHF": (
        {
            "chosen": "\n\nHuman: What is a door?\n\nAssistant: A way in.",
            "rejected": "\n\nHuman: What is a door?\n\nAssistant: No.",
        },
        [QUESTION],
    ),
    "HH-RLHF, several turns": (
        {
            "chosen": "\n\nHuman: Is it red?\n\nAssistant: It is.\n\nHuman: What is a door?\n\nAssistant: A way in.",
            "rejected": "\n\nHuman: Is it red?\n\nAssistant: It is.\n\nHuman: What is a door?\n\nAssistant: No.",
        },
        [*EARLIER, QUESTION],
    ),
    "HH-RLHF with its prompt beside it": (
        {**GOOD, "prompt": "\n\nHuman: What is a door?\n\nAssistant:"},
        [QUESTION],
    ),
    "ShareGPT": (
        {
            "conversations": [{"from": "human", "value": "What is a door?"}],
            "chosen": {"from": "gpt", "value": "A way in."},
            "rejected": {"from": "gpt", "value": "No."},
        },
        [QUESTION],
    ),
    "ShareGPT in the sides": (
        {
            side: [{"from": "human", "value": "What is a door?"}, {"from": "gpt", "value": text}]
            for side, text in (("chosen", "A way in."), ("rejected", "No."))
        },
        [QUESTION],
    ),
    "roles human and gpt": (
        {
            side: [{"role": "Human", "content": "What is a door?"}, {"role": "gpt", "content": text}]
            for side, text in (("chosen", "A way in."), ("rejected", "No."))
        },
        [QUESTION],
    ),
    "content parts": (
        {**GOOD, "prompt": [{"role": "user", "content": [{"type": "text", "text": "What is a door?"}]}]},
        [QUESTION],
    ),
    "messages written as JSON text": (
        {**GOOD, "chosen": json.dumps([QUESTION, CHOSEN]), "rejected": json.dumps([QUESTION, REJECTED])},
        [QUESTION],
    ),
    "texts that begin with the prompt": (
        {**GOOD, "chosen": "What is a door? A way in.", "rejected": "What is a door? No."},
        [QUESTION],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_public_preference_sets_are_read_as_one(shape: str, tmp_path: Path) -> None:
    row, prompt = SHAPES[shape]
    read = read_preferences(write(tmp_path, row))
    assert messages(read) == {"prompt": prompt, "chosen": [CHOSEN], "rejected": [REJECTED]}
    assert read.set_aside.is_empty()


def test_shapes_may_differ_within_a_file(tmp_path: Path) -> None:
    read = read_preferences(write(tmp_path, *(row for row, _ in SHAPES.values())))
    assert read.rows.height + read.set_aside.height == len(SHAPES)
    assert set(read.set_aside["reason"]) == {"repeated"}, "rows that are the same once they are read"
    assert read.rows["prompt"].dtype == pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


UNUSABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "sides that share no prompt": (
        {"chosen": [QUESTION, CHOSEN], "rejected": [user("Other?"), REJECTED]},
        "unreadable",
        "chosen and rejected share no prompt",
    ),
    "another prompt than the sides": (
        {"prompt": "Other?", "chosen": [QUESTION, CHOSEN], "rejected": [QUESTION, REJECTED]},
        "unreadable",
        "the prompt is not the one that chosen and rejected begin with",
    ),
    "rejected of role user": ({**GOOD, "rejected": [user("No.")]}, "unreadable", "rejected is one user turn"),
    "chosen that goes on after the answer": (
        {**GOOD, "chosen": [CHOSEN, user("And?"), assistant("So.")]},
        "unreadable",
        "chosen is not one answer after the shared prompt: assistant, user, assistant",
    ),
    "sides that part in an earlier turn": (
        {
            "chosen": [*EARLIER, QUESTION, CHOSEN],
            "rejected": [EARLIER[0], assistant("No."), QUESTION, REJECTED],
        },
        "unreadable",
        "chosen is not one answer",
    ),
    "unknown role": ({**GOOD, "chosen": [{"role": "tool", "content": "x"}]}, "unreadable", "the role 'tool'"),
    "mixed list": ({**GOOD, "chosen": [CHOSEN, "A way in."]}, "unreadable", "something else than messages"),
    "image": (
        {**GOOD, "prompt": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        "unreadable",
        "a part that is not text",
    ),
    "number": ({**GOOD, "chosen": 7}, "unreadable", "chosen is a number, not a text or messages"),
    "content is a number": ({**GOOD, "chosen": [{"role": "gpt", "content": 7}]}, "unreadable", "content is a number"),
    "prompt that ends with an answer": ({**GOOD, "prompt": [QUESTION, CHOSEN]}, "unreadable", "end with a user turn"),
    "two user turns in a row": ({**GOOD, "prompt": [QUESTION, QUESTION]}, "unreadable", "do not alternate"),
    "system turn in the middle": ({**GOOD, "prompt": [QUESTION, system("x")]}, "unreadable", "not the first"),
    "half a surrogate pair": ({**GOOD, "chosen": "A way \ud83d in."}, "undecodable", "an unpaired surrogate"),
    "half a surrogate pair in the id": ({**GOOD, "source_id": "\ud83d"}, "undecodable", "an unpaired surrogate"),
    "no rejected": ({**GOOD, "rejected": None}, "empty", "there is no rejected"),
    "blank chosen": ({**GOOD, "chosen": " \n"}, "empty", "chosen has a turn without text"),
    "chosen that shows nothing": ({**GOOD, "chosen": "\u200b\u2060"}, "empty", "chosen has a turn without text"),
    "rendered conversation": (
        {**GOOD, "chosen": "<|im_start|>user\nWhat is a door?<|im_end|>\n<|im_start|>assistant\nA way in.<|im_end|>"},
        "unreadable",
        "chosen is a conversation in a chat template (<|im_start|>)",
    ),
    "blank turn": ({**GOOD, "prompt": [user(""), CHOSEN, QUESTION]}, "empty", "prompt has a turn without text"),
    "empty list": ({**GOOD, "chosen": []}, "empty", "chosen has no turns"),
    "no prompt": ({"chosen": "A way in.", "rejected": "No."}, "empty", "there is no prompt"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_rows_that_are_not_a_pair_are_set_aside_with_line_and_reason(case: str, tmp_path: Path) -> None:
    row, reason, detail = UNUSABLE[case]
    read = read_preferences(write(tmp_path, GOOD, row))
    assert read.rows.height == 1 and messages(read) == EXPECTED
    aside = read.set_aside.row(0, named=True)
    assert (aside["source"], aside["location"], aside["reason"]) == ("preferences", "rows.jsonl:2", reason)
    assert detail in aside["detail"]


def test_set_aside_rows_are_counted_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_preferences(write(tmp_path, GOOD, {**GOOD, "chosen": None})).print_set_aside()
    told = capsys.readouterr().err
    assert "1 of 2 rows of" in told and "empty 1 (rows.jsonl:2 there is no chosen)" in told


@pytest.mark.parametrize(("good", "bad", "stops"), [(10, 1, False), (10, 2, True), (297, 3, False), (296, 4, True)])
def test_more_unreadable_rows_than_one_or_one_percent_stop_the_build(
    good: int, bad: int, stops: bool, tmp_path: Path
) -> None:
    path = write(tmp_path, *numbered(good), *[{**GOOD, "chosen": None}] * bad)
    if stops:
        with pytest.raises(SeasDataError, match=rf"{bad} of {good + bad} rows of .* at most \d+ may be unusable"):
            read_preferences(path)
    else:
        assert read_preferences(path).set_aside.height == bad


def test_repeated_rows_do_not_count_as_unreadable(tmp_path: Path) -> None:
    read = read_preferences(write(tmp_path, GOOD, GOOD, GOOD))
    assert read.rows.height == 1 and read.set_aside["reason"].to_list() == ["repeated", "repeated"]


@pytest.mark.parametrize("content", ["", "\n\n", "[]", "{}", '{"text": "x"}\n', "prompt,chosen\na,b\n", "[1, 2]"])
def test_a_file_without_a_usable_row_stops_the_build(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    for read in (read_preferences, read_instructions):
        with pytest.raises(SeasDataError, match=r"no row|cannot be used"):
            read(path)


def test_the_columns_of_another_shape_are_named(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="its columns are 'question', 'response_a'"):
        read_preferences(write(tmp_path, {"question": "a", "response_a": "b"}))


JSON = json.dumps({**GOOD, "source_id": "1"})
FILES: dict[str, bytes] = {
    "JSON array": f"[{JSON},\n{JSON.replace('1', '2')}]".encode(),
    "pretty-printed array": json.dumps([json.loads(JSON), {**GOOD, "source_id": "2"}], indent=2).encode(),
    "object that holds the list": json.dumps({"data": [json.loads(JSON), {**GOOD, "source_id": "2"}]}).encode(),
    "UTF-8 with BOM": codecs.BOM_UTF8 + f"{JSON}\n{JSON.replace('1', '2')}".encode(),
    "UTF-16 with BOM": codecs.BOM_UTF16_LE + f"{JSON}\n{JSON.replace('1', '2')}".encode("utf-16-le"),
    "gzip": gzip.compress(f"{JSON}\n{JSON.replace('1', '2')}".encode()),
}


@pytest.mark.parametrize("form", FILES)
def test_forms_of_a_file_are_read_alike(form: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(FILES[form])
    read = read_preferences(path)
    assert read.rows["source_id"].to_list() == ["1", "2"] and messages(read) == EXPECTED


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in ("one side alone holds the conversation",)])
def test_parquet_files_are_read_like_lines(shape: str, tmp_path: Path) -> None:
    row, prompt = SHAPES[shape]
    pq.write_table(pa.Table.from_pylist([row | {"score": 1.5}]), tmp_path / "rows.parquet")
    read = read_preferences(tmp_path / "rows.parquet")
    assert messages(read) == {"prompt": prompt, "chosen": [CHOSEN], "rejected": [REJECTED]}


def test_damaged_parquet_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and nothing more PAR1")
    with pytest.raises(SeasDataError, match="cannot be read"):
        read_preferences(tmp_path / "rows.parquet")


def test_ids_and_sources_of_rows_are_kept(tmp_path: Path) -> None:
    rows = [{**GOOD, "source": "a", "source_id": 1}, {**GOOD, "source_id": 2}]
    assert read_preferences(write(tmp_path, *rows)).rows.select("source", "source_id").rows() == [
        ("a", 1),
        ("preferences", 2),
    ]
    mixed = read_preferences(write(tmp_path, *rows, {**GOOD, "source_id": 1 << 80})).rows["source_id"]
    assert mixed.to_list() == ["1", "2", str(1 << 80)]


INSTRUCTIONS: dict[str, dict[str, Any]] = {
    "plain texts": {"prompt": "What is a door?", "completion": "A way in."},
    "lists of messages": {"prompt": [QUESTION], "completion": [CHOSEN]},
    "the whole conversation as completion": {"prompt": "What is a door?", "completion": [QUESTION, CHOSEN]},
    "messages": {"messages": [QUESTION, CHOSEN]},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": "What is a door?"}, {"from": "gpt", "value": "A way in."}]
    },
    "Alpaca": {"instruction": "What is a door?", "input": "", "output": "A way in."},
    "question and answer": {"question": "What is a door?", "answer": "A way in.", "system": None},
}


def test_columns_of_a_system_message_and_of_an_input_are_read(tmp_path: Path) -> None:
    asked = {"instruction": "What is it?", "input": "A door.", "system": "Be brief."}
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?\n\nA door."}]
    pair = read_preferences(write(tmp_path, {**asked, "chosen": "A way in.", "rejected": "No."}))
    assert messages(pair)["prompt"] == prompt
    whole = {"system": "Be brief.", "chosen": [QUESTION, CHOSEN], "rejected": [QUESTION, CHOSEN]}
    assert messages(read_preferences(write(tmp_path, whole)))["prompt"] == [prompt[0], QUESTION]
    assert messages(read_instructions(write(tmp_path, {**asked, "output": "A way in."})))["prompt"] == prompt
    own = {"role": "system", "content": "Sing."}
    turns = {"system": "Be brief.", "messages": [own, QUESTION, CHOSEN]}
    assert messages(read_instructions(write(tmp_path, turns)))["prompt"] == [own, QUESTION]


@pytest.mark.parametrize("shape", INSTRUCTIONS)
def test_shapes_of_instructions_are_read_as_one(shape: str, tmp_path: Path) -> None:
    read = read_instructions(write(tmp_path, INSTRUCTIONS[shape]))
    assert messages(read) == {"prompt": [QUESTION], "completion": [CHOSEN]}


def test_instructions_without_an_answer_are_set_aside(tmp_path: Path) -> None:
    rows = [{"messages": [QUESTION, CHOSEN]}] * 200 + [{"messages": [QUESTION, CHOSEN, QUESTION]}, {"prompt": "x"}]
    read = read_instructions(write(tmp_path, *rows))
    assert read.set_aside["location"].to_list() == ["rows.jsonl:201", "rows.jsonl:202"]
    assert read.set_aside["source"].unique().to_list() == ["instructions"]


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["Human: a\n\nAssistant: b", "\ud83d", "[{}]", '[{"role": 1, "content": 2}]']
)
TURNS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "human", "gpt", "tool"]) | TEXTS | st.integers(),
        "from": st.sampled_from(["human", "gpt"]),
        "content": TEXTS | st.none() | st.lists(TEXTS | st.fixed_dictionaries({"type": TEXTS, "text": TEXTS})),
        "value": TEXTS,
    },
)
VALUES = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.lists(st.sampled_from([QUESTION, CHOSEN, system("x")]) | TURNS | TEXTS, max_size=4)
    | TURNS
    | st.recursive(st.integers(), st.lists, max_leaves=3)
)
NAMES = ("prompt", "chosen", "rejected", "completion", "messages", "conversations", "source", "source_id")
RECORDS = st.one_of(
    st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)).map(json.dumps),
    VALUES.map(json.dumps),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1).filter(
        lambda line: bool(line.strip(" \t\r"))
    ),
)


@pytest.mark.parametrize("read", [read_preferences, read_instructions])
@examples(8)
@given(records=st.lists(RECORDS, max_size=5))
def test_rows_and_set_aside_rows_are_the_records_of_the_file(
    read: Callable[[Path], ConversationRows], records: list[str]
) -> None:
    """Enough good rows are added that the bad ones stop nothing."""
    good = [json.dumps({**GOOD, "completion": "A way in.", "source_id": f"good {number}"}) for number in range(600)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes("\n".join([*good, *records]).encode("utf-8", "surrogatepass"))
        found = read(path)
    assert found.rows.height + found.set_aside.height == 600 + len(records)
    assert found.set_aside["location"].n_unique() == found.set_aside.height
    for name in ("prompt", "chosen", "rejected", "completion"):
        if name in found.rows.columns:
            assert all(turn["content"].strip() for turns in found.rows[name] for turn in turns)


@examples(60)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_rows_or_one_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(content)
        with pytest.raises(SeasDataError):
            read_preferences(path)
