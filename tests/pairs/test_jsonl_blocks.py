import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.pairs import jsonl_blocks
from tests.conftest import examples

GOOD = b'{"a": "one", "b": "two", "note": "three"}'
BAD = {
    b"not json": "unreadable",
    b'{"a": "one"': "unreadable",
    b"[1, 2]": "unreadable",
    b'"text"': "unreadable",
    b"null": "unreadable",
    b"7": "unreadable",
    GOOD + b" more": "unreadable",
    GOOD + GOOD: "unreadable",
    GOOD + b"," + GOOD: "unreadable",
    b"[" * 100_000: "unreadable",
    b'{"a": "one", "b": "two\x01"}': "unreadable",
    b"{}": "no_text",
    b'{"a": "one"}': "no_text",
    b'{"a": "one", "b": null}': "no_text",
    b'{"a": "one", "b": 5}': "no_text",
    b'{"a": "one", "b": ["two"]}': "no_text",
    b'{"a": "one", "b": "\xff"}': "undecodable",
    b'{"a": "one", "b": "\xed\xa0\x80"}': "undecodable",
    b'{"a": "one", "b": "\\ud800"}': "undecodable",
}


def read(path: Path) -> tuple[list[tuple[str, ...]], list[int], list[tuple[int, str]], np.ndarray]:
    blocks = list(jsonl_blocks.read_blocks(path, ["a", "b"], "note"))
    rows = [row for block in blocks for row in block.frame.rows()]
    spans = np.concatenate([np.empty((0, 2), np.int64), *(block.spans for block in blocks)])
    numbers = [int(number) for block in blocks for number in block.lines]
    return rows, numbers, [found for block in blocks for found in block.set_aside], spans


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_line_that_is_not_right_is_set_aside_and_costs_no_other(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([GOOD, b"", bad, GOOD, b""]))
    rows, numbers, aside, _ = read(path)
    assert rows == [("one", "two", "three")] * 2
    assert numbers == [1, 4]
    assert aside == [(3, BAD[bad])]


def test_two_objects_on_a_line_are_not_made_up_for_by_a_blank_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + GOOD + b"\n     \n" + GOOD)
    assert read(path)[1:3] == ([3], [(1, "unreadable")])


def test_an_optional_text_that_is_none_is_null(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "1", "b": "2"}\n{"b": "2", "a": "1", "note": true, "more": {"a": [1]}}\n')
    assert read(path)[:2] == ([("1", "2", None)] * 2, [1, 2])


def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n  \r\n" + GOOD)
    rows, numbers, aside, spans = read(path)
    assert (len(rows), numbers, aside) == (2, [1, 4], [])
    assert jsonl_blocks.read_spans(path, spans, ["a", "b"], "note").rows() == rows


def test_a_json_array_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b"\n [" + GOOD + b"]")
    with pytest.raises(SeasDataError, match="one JSON array; write one object per line"):
        read(path)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
LINES = st.one_of(
    st.tuples(TEXTS, TEXTS, st.booleans(), st.sampled_from(["", " ", "\r"])).map(
        lambda row: json.dumps({"a": row[0], "b": row[1]}, ensure_ascii=row[2]).encode() + row[3].encode()
    ),
    st.sampled_from([b"", b"  ", b"x", *BAD]),
)


@examples(40)
@given(st.lists(LINES, max_size=12), st.sampled_from([1, 60, 1 << 20]), st.booleans())
def test_what_is_read_is_what_python_reads(
    tmp_path_factory: pytest.TempPathFactory, given_lines: list[bytes], size: int, ended: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_bytes(GOOD + b"\n" + b"\n".join(given_lines) + (b"\n" if ended else b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl_blocks, "_BLOCK", size)
        rows, numbers, aside, spans = read(path)
    expected = {1: ("one", "two", "three")}
    for number, line in enumerate(given_lines, 2):
        if line.strip() and line not in BAD and line != b"x":
            content = json.loads(line)
            expected[number] = (content["a"], content["b"], content.get("note"))
    assert dict(zip(numbers, rows, strict=True)) == expected
    assert [number for number, _ in aside] == [
        number for number, line in enumerate(given_lines, 2) if line in BAD or line == b"x"
    ]
    some = np.arange(0, len(rows), 2)
    assert jsonl_blocks.read_spans(path, spans[some], ["a", "b"], "note").rows() == rows[::2]
    assert jsonl_blocks.read_spans(path, spans[:0], ["a", "b"], "note").schema == dict.fromkeys(
        ["a", "b", "note"], pl.String
    )
