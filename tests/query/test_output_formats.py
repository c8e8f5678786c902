"""Frames for people, in which nothing acts and prompts are masked, and for programs, which get what they asked for."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from seas_data.errors import SeasDataError
from seas_data.query import output_formats
from seas_data.query.cells import TEXT_COLUMNS
from tests.conftest import examples

LONG = "please tell me where the garden door key is kept these days"
FRAME = pl.DataFrame(
    {
        "prompt_id": ["3f2a", "9c01"],
        "prompts": [12345, 7],
        "share": [0.123456, None],
        "text": [LONG, "hello"],
        "kept": [True, False],
        "sources": [["alpha", "beta"], []],
    }
)
HOSTILE = [
    "\x1b[31mred\x1b[0m \x07 \x9b1m",
    "\u202eesrever\u2066 \u200bwidth",
    "[red]markup[/red] [link=http://a.b]x[/link] :smile:",
    "a | b \\| c `code` ``",
    "<script>alert(1)</script> <img src=x onerror=y> &lt; <!-- c -->",
    "line\nbreak\r\n\ttab",
    "![image](http://a.b/c) [link](javascript:x) http://a.b www.a.b a@b.c @name #1",
    "*bold* _emphasis_ ~~gone~~ $math$ {{ template }} {% tag %}",
]


class Stream(io.TextIOWrapper):
    """Standard output, piped or on a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding="utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return self.terminal


def written(frame: pl.DataFrame, form: str, *, terminal: bool = False, **options: Any) -> str:
    stream = Stream(terminal=terminal)
    output_formats.write_frame(frame, form, stream, **options)
    stream.flush()
    return stream.bytes.getvalue().decode()


def test_a_piped_table_is_aligned_plain_and_whole() -> None:
    lines = written(FRAME, "table").splitlines()
    assert [line.split() for line in lines[:1]] == [["prompt_id", "prompts", "share", "text", "kept", "sources"]]
    assert lines[1].startswith("3f2a        12,345  0.1235  please tell me where… (59 characters)  yes   alpha, beta")
    assert lines[2].startswith("9c01             7          hello… (5 characters)")
    assert "\x1b" not in "".join(lines)


def test_reveal_shows_texts_and_without_it_no_reading_format_does() -> None:
    for form in ("table", "markdown"):
        assert LONG not in written(FRAME, form)
        assert LONG in written(FRAME, form, reveal=True)
    for form in ("csv", "json"):
        assert LONG in written(FRAME, form)


@pytest.mark.parametrize("column", TEXT_COLUMNS)
def test_every_column_that_holds_texts_is_masked(column: str) -> None:
    frame = pl.DataFrame({column: ["one two three four five six"]})
    for form in ("table", "markdown"):
        assert "five" not in written(frame, form)
        assert "(27 characters)" in written(frame, form)


def test_a_long_text_is_masked_under_any_name_and_inside_lists_and_structs() -> None:
    long = "word " * 30
    messages = pl.DataFrame({"said": [[{"role": "user", "content": long}]], "question": [long], "all": [[long, long]]})
    assert "word word word word word" not in written(messages, "table")
    assert written(messages, "table", reveal=True).count("word word word word word") >= 3


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_on_a_terminal_every_line_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    frame = FRAME.with_columns(wide=pl.lit("漢字" * 30), id=pl.lit("f" * 64))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written(frame, "table", terminal=True)).splitlines()
    table_lines = [line for line in lines if not line.startswith("...")]
    assert max(map(cell_len, table_lines)) <= width
    assert lines[0].startswith("prompt_id")
    assert any("more columns" in line for line in lines) == (width < 200)


def test_a_terminal_gets_colours_and_a_pipe_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1" in written(FRAME, "table", terminal=True)
    assert "\x1b" not in written(FRAME, "table")


def test_a_long_table_is_cut_and_says_so() -> None:
    lines = written(pl.DataFrame({"n": range(1250)}), "table").splitlines()
    assert lines[-1] == "... and 1,050 more rows: use --format csv"
    assert len(lines) == 1 + 200 + 1


def test_a_frame_without_rows_has_its_header_in_every_format() -> None:
    empty = FRAME.clear()
    assert written(empty, "table").split() == FRAME.columns
    assert written(empty, "csv") == ",".join(FRAME.columns) + "\n"
    assert json.loads(written(empty, "json")) == []
    assert len(written(empty, "markdown").splitlines()) == 2


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_in_a_cell_acts_on_a_terminal(text: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")  # no colours of our own, at a width of 80
    frame = pl.DataFrame({"label": [text], f"column {text}": [1]})
    for form in ("table", "markdown") if not terminal else ("table", "markdown", "csv", "json"):
        shown = written(frame, form, terminal=terminal, reveal=True)
        assert not set(shown) & set("\x1b\x07\x9b\u202e\u2066\u200b\r\t"), form
    rows = written(frame, "table", terminal=terminal, reveal=True)
    if "markup" in text:
        assert all(word in rows for word in text.split())


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


@examples(100)
@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)))
def test_a_markdown_cell_is_only_text(text: str) -> None:
    page = written(pl.DataFrame({"label": [text]}), "markdown", reveal=True)
    lines = page.split("\n")
    assert len(lines) == 4 and lines[3] == ""
    cell = lines[2].removeprefix("| ").removesuffix(" |")
    assert not set(cell) & set("|<>`*[]\\~!@{}$:^")
    assert "www." not in cell.lower()
    tags = Tags()
    tags.feed(cell)
    assert tags.found == []


def test_markdown_leaves_the_names_of_the_field_readable() -> None:
    page = written(pl.DataFrame({"reason": ["near_duplicate"], "of": ["xstest_v2 (50 %)"]}), "markdown")
    assert page.splitlines()[2] == "| near_duplicate | xstest_v2 (50 %) |"


def test_json_is_one_array_of_rows_with_iso_dates_and_nested_values() -> None:
    frame = pl.DataFrame(
        {
            "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)],
            "on": [date(2026, 1, 2)],
            "took": [timedelta(seconds=1.5)],
            "figure": [float("nan")],
            "nested": [[{"a": [1, 2], "b": float("inf")}]],
            "bytes": [b"\x00\xff"],
            "text": ["日本\x1b"],
        }
    )
    text = written(frame, "json")
    assert json.loads(text) == [
        {
            "at": "2026-01-02T03:04:05+00:00",
            "on": "2026-01-02",
            "took": 1.5,
            "figure": None,
            "nested": [{"a": [1, 2], "b": None}],
            "bytes": "00ff",
            "text": "日本\x1b",
        }
    ]
    assert "日本" in text
    assert json.loads(written(FRAME, "json")) == FRAME.to_dicts()


def test_csv_holds_what_was_asked_for() -> None:
    texts = ['a, "quoted"', "two\nlines", "=1+1", "\x1b[31m", ""]
    frame = pl.DataFrame({"text": texts, "parts": [["a", "b"], [], None, ["c"], ["d"]], "n": [1, None, 3, 4, 5]})
    rows = list(csv.reader(io.StringIO(written(frame, "csv"), newline="")))
    assert rows[0] == ["text", "parts", "n"]
    assert [row[0] for row in rows[1:]] == texts
    assert [row[1] for row in rows[1:]] == ['["a", "b"]', "[]", "", '["c"]', '["d"]']
    assert [row[2] for row in rows[1:]] == ["1", "", "3", "4", "5"]


def test_parquet_is_the_frame_and_not_for_a_terminal() -> None:
    stream = Stream()
    output_formats.write_frame(FRAME, "parquet", stream)
    assert pl.read_parquet(io.BytesIO(stream.bytes.getvalue())).equals(FRAME)
    with pytest.raises(SeasDataError, match="redirect it to a file"):
        output_formats.write_frame(FRAME, "parquet", Stream(terminal=True))


def test_another_format_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SeasDataError, match="unknown format xml; choose one of: table, csv, json, parquet, markdown"):
        output_formats.write_frame(FRAME, "xml", Stream())
