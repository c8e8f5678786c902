"""JSON Lines: a row ends at a line feed, a bad row costs itself, and no row is lost."""

import json
from codecs import BOM_UTF8
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.jsonl import read_jsonl_frame
from tests.conftest import examples


def read(tmp_path: Path, content: bytes, **keys: object) -> sources.SourceRows:
    path = tmp_path / "set.jsonl"
    path.write_bytes(content)
    return sources.read_source("set", Source(path=str(path), **({"kind": "general"} | keys)))


def rows(*prompts: object) -> bytes:
    return b"\n".join(json.dumps({"prompt": prompt}, ensure_ascii=False).encode() for prompt in prompts) + b"\n"


def faults(found: sources.SourceRows) -> list[tuple[str, str]]:
    return list(found.set_aside.select("location", "reason").iter_rows())


@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\u0085", "\r", "\v", "\f", "\x1c"])
def test_only_a_line_feed_ends_a_row(tmp_path: Path, break_: str) -> None:
    # JSON forbids raw control characters in a string, so those come escaped; U+2028 and its like come raw.
    text = f"What colour is{break_}the door?"
    found = read(tmp_path, rows(text, "And the key?"))
    assert found.prompts["text"].to_list() == [text, "And the key?"]
    assert found.set_aside.is_empty()


def test_byte_order_mark_crlf_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbf{"prompt": "one"}\r\n\r\n   \n{"prompt": "two"}')
    assert found.prompts["text"].to_list() == ["one", "two"]
    assert found.prompts["source_id"].to_list() == ["1", "2"]
    assert found.set_aside.is_empty()


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"prompt": "broken off', "unreadable", "invalid JSON at column 12"),
        (b'["a list"]', "unreadable", "a JSON list, not an object"),
        (b"null", "unreadable", "a JSON null, not an object"),
        (b'{"text": "x"}', "unreadable", "no key 'prompt'"),
        (b'{"prompt": 7}', "unreadable", "'prompt' is a JSON number, not text"),
        (b'{"prompt": ["a"]}', "unreadable", "prompt is a list of something else than messages (role, content)"),
        (b"<<<<<<< main", "unreadable", "a merge-conflict marker"),
        (b"=======", "unreadable", "a merge-conflict marker"),
        (b"[" * 100_000, "unreadable", "JSON with a number too long or nested too deep"),
        (b'{"prompt": "Gr\xfc\xdfe"}', "undecodable", "bytes that are invalid in the encoding of the file"),
        (b'{"prompt": "half \\ud83d"}', "undecodable", "an unpaired surrogate"),
        (b'{"prompt": "a", "prompt": "b"}', "unreadable", "the key 'prompt' has two values"),
        (b'{"prompt": "a", "\\u0070rompt": "b"}', "unreadable", "the key 'prompt' has two values"),
        (
            b'{"prompt": [{"role": "user", "content": "a", "content": "b"}]}',
            "unreadable",
            "the key 'content' has two values",
        ),
        (b'{"prompt": null}', "empty", None),
        (b'{"prompt": " \\n\\u00a0"}', "empty", None),
    ],
)
def test_a_bad_row_costs_itself_and_says_why(tmp_path: Path, line: bytes, reason: str, detail: str | None) -> None:
    found = read(tmp_path, rows("before") + line + b"\n" + rows("after"))
    assert found.prompts["text"].to_list() == ["before", "after"]
    assert found.set_aside.select("source", "location", "reason", "detail").rows() == [
        ("set", "set.jsonl:2", reason, detail)
    ]


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    assert read(tmp_path, b'{"prompt": "a key \\ud83d\\udd11"}').prompts["text"].to_list() == ["a key \U0001f511"]


def test_labels_that_are_not_text_become_it(tmp_path: Path) -> None:
    lines = [b'{"prompt": "a", "id": 7, "label": ["x", "y"]}', b'{"prompt": "b", "id": null, "label": true}']
    found = read(tmp_path, b"\n".join(lines), columns={"id": "id", "risk": "label"})
    assert found.prompts.select("source_id", "source_risk").rows() == [("7", '["x", "y"]'), ("2", "true")]


def test_a_column_that_no_row_has_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        SeasDataError,
        match=r"source set: there is no column topic \(sources\.set\.columns\.risk\); there are 'prompt', 'label'",
    ):
        read(tmp_path, b'{"prompt": "a"}\n{"prompt": "b", "label": "x"}', columns={"risk": "topic"})


def test_a_column_that_some_rows_lack_is_none(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"prompt": "a"}\n{"prompt": "b", "label": "x"}', columns={"risk": "label"})
    assert found.prompts["source_risk"].to_list() == [None, "x"]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    found = read(tmp_path, b"")
    assert (found.prompts.height, found.set_aside.height) == (0, 0)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "gb18030"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = "北边的门" if encoding == "gb18030" else "Grüße"
    found = read(tmp_path, rows(text, "two").decode().encode(encoding), encoding=encoding)
    assert found.prompts["text"].to_list() == [text, "two"]


@pytest.mark.parametrize(
    ("encoding", "says"), [("klingon", "is not a text encoding"), ("base64", "is not a text encoding")]
)
def test_an_encoding_that_is_none(tmp_path: Path, encoding: str, says: str) -> None:
    with pytest.raises(SeasDataError, match=says):
        read(tmp_path, rows("a"), encoding=encoding)


def test_a_file_that_is_not_of_its_encoding(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="set encoding to that of the file"):
        read(tmp_path, b"\x00\xd8a", encoding="utf-16-le")


@examples(30)
@given(st.lists(st.one_of(st.text(), st.none(), st.integers()), max_size=20), st.binary(max_size=200))
def test_every_row_is_in_one_of_the_two(tmp_path_factory: pytest.TempPathFactory, prompts: list, noise: bytes) -> None:
    content = (
        rows(*[p.encode("utf-8", "ignore").decode() if isinstance(p, str) else p for p in prompts], "last") + noise
    )
    found = read(tmp_path_factory.mktemp("noise"), content)
    expected = sum(bool(line.removeprefix(BOM_UTF8).strip(b" \t\r")) for line in content.split(b"\n"))
    assert found.prompts.height + found.set_aside.height == expected
    assert found.prompts["prompt_id"].is_unique().all()


@examples(30)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        found = read(tmp_path_factory.mktemp("bytes"), content)
    except SeasDataError as problem:
        assert "source set:" in str(problem)  # an object was there, without the column
    else:
        expected = sum(bool(line.strip(b" \t\r")) for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
        assert found.prompts.height + found.set_aside.height == expected


def test_a_file_of_objects_is_read_into_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('\ufeff{"a": "x\u2028y", "n": 1}\r\n\n{"a": null, "b": [{"role": "user"}]}\n', encoding="utf-8")
    assert read_jsonl_frame(path).rows() == [("x\u2028y", 1, None), (None, None, [{"role": "user"}])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n[1]\n{"a"', r"lines to fix: line 2: a JSON list, not an object; line 3: invalid JSON at column 5"),
        (b'{"a": "\\ud800"}', "line 1: an unpaired surrogate"),
        (b'{"a": "\xff"}', "line 1: bytes that are invalid"),
        (b'{"a": "x"}\n{"a": [{"b": 1}]}', "has a key whose values differ in type"),
        (b"\n", "has no rows; give one JSON object per line"),
    ],
)
def test_a_file_of_objects_is_read_whole_or_not_at_all(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(SeasDataError, match=message):
        read_jsonl_frame(path)


def test_half_a_surrogate_pair_in_a_wrapped_list_costs_its_row(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"data": [{"prompt": "a door"}, {"prompt": "a \\ud800 lamp"}]}')
    assert found.prompts["text"].to_list() == ["a door"]
    assert faults(found) == [("set.jsonl:2", "undecodable")]


def test_a_key_with_two_values_in_an_array_costs_its_element(tmp_path: Path) -> None:
    content = b'[{"prompt": "one"}, {"prompt": "two", "prompt": "three"}, {"prompt": "four", "prompt": "four"}]'
    found = read(tmp_path, content)
    assert found.prompts["text"].to_list() == ["one", "four"]
    assert found.set_aside["detail"].to_list() == ["the key 'prompt' has two values"]


def test_byte_order_marks_of_files_put_one_after_the_other_are_no_text(tmp_path: Path) -> None:
    mark = "\ufeff".encode()
    content = mark + mark + rows("one") + mark + rows("two", "\ufeffthree") + mark
    assert read(tmp_path, content).prompts["text"].to_list() == ["one", "two", "\ufeffthree"]
