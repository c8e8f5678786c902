"""Values and streams that Python, JSON, Parquet or a terminal cannot take as they are."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.query import output_formats, sql
from seas_data.query.cells import to_json
from seas_data.text import escape_json, printable

FORMS = ("table", "csv", "json", "markdown", "parquet")


class Stream(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def content(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'infinity'::timestamp", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("timestamptz '0044-03-15 (BC) 12:00:00+00'", "0044-03-15 (BC) 12:00:00+00"),
        ("'infinity'::date", "infinity"),
        ("date '0044-03-15 (BC)'", "0044-03-15 (BC)"),
        ("date '12024-01-01'", "12024-01-01"),
        ("['infinity'::date]", "[infinity]"),
        ("{'a': 'infinity'::timestamp}", "{'a': infinity}"),
        ("map {'a': 'infinity'::date}", "{a=infinity}"),
        ("'infinity'::timestamp_ns", "infinity"),
    ],
)
def test_times_that_python_lacks_are_texts_in_every_format(expression: str, text: str) -> None:
    frame = sql.run_trusted({}, f"select {expression} as value")
    assert frame["value"].to_list() == [text]
    for form in FORMS:
        output_formats.write_frame(frame, form, Stream())


@pytest.mark.parametrize("expression", ["{}", "[{}]", "{'a': {}}", "null", "[]", "map {}"])
def test_values_without_fields_are_written_in_every_format(expression: str) -> None:
    try:
        frame = sql.run_trusted({}, f"select {expression} as value")
    except SeasDataError as problem:
        assert "\n" not in str(problem)
        return
    for form in FORMS:
        output_formats.write_frame(frame, form, Stream())


@pytest.mark.slow
def test_decimals_and_large_integers_are_exact_in_json() -> None:
    query = "select 0.1::decimal(38, 20) + 1e-20::decimal(38, 20) as d, 170141183460469231731687303715::hugeint as h"
    frame = sql.run_untrusted({}, query, exact=True)
    stream = Stream()
    output_formats.write_frame(frame, "json", stream)
    (row,) = json.loads(stream.content(), parse_float=Decimal)
    assert row == {"d": Decimal("0.10000000000000000001"), "h": 170141183460469231731687303715}
    for form in FORMS:
        output_formats.write_frame(frame, form, Stream())


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_json_is_the_same_data_without_characters_that_act_on_a_terminal(value: object) -> None:
    written = to_json(value)
    assert json.loads(written) == value
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp") for c in written)


@pytest.mark.parametrize("character", ["\x9b", "\x90", "\x7f", "\u202e", "\u200b", "\u2028", "\U000e0041", "\ue000"])
def test_controls_bidi_and_hidden_characters_are_escaped_in_json(character: str) -> None:
    written = escape_json(json.dumps({"text": f"a{character}b"}, ensure_ascii=False))
    assert character not in written
    assert json.loads(written) == {"text": f"a{character}b"}


def test_runs_of_combining_marks_are_bounded() -> None:
    text = "a" + "\u0301" * 500
    assert printable(text).count("\u0301") <= 8
    assert to_json(text).count("\u0301") <= 8
    assert json.loads(to_json(text)) == text
    assert printable("e\u0301\u0302") == "e\u0301\u0302"


def test_ascii_output_of_json_and_csv() -> None:
    frame = pl.DataFrame({"text": ["größe"]})
    stream = Stream("ascii")
    output_formats.write_frame(frame, "json", stream)
    assert json.loads(stream.content()) == [{"text": "größe"}]
    with pytest.raises(SeasDataError, match="PYTHONIOENCODING"):
        output_formats.write_frame(frame, "csv", Stream("ascii"))


def test_query_with_invalid_bytes_is_refused_in_one_sentence() -> None:
    with pytest.raises(SeasDataError, match="not UTF-8"):
        sql.run_untrusted({}, "select '\udcff'")
    with pytest.raises(SeasDataError, match="not UTF-8"):
        sql.run_untrusted({}, "select $a", {"a": "\udcff"})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is one of Linux")
def test_reader_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "from seas_data.query import sql\n"
        "run = subprocess.run\n"
        'sql.run_untrusted({}, "select count(*) from range(10000000) a, range(10000000) b '
        'where levenshtein(a.range::varchar, b.range::varchar) = 3")\n'
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    reader = None
    deadline = time.monotonic() + 60
    while reader is None and time.monotonic() < deadline:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        # the reader has set its limits once it has a limit of processor time
        reader = next((each for each in children if _has_processor_limit(each)), None)
        time.sleep(0.1)
    assert reader is not None
    os.kill(parent.pid, signal.SIGTERM)
    parent.wait(10)
    while _is_running(reader) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(reader)


def _has_processor_limit(process: str) -> bool:
    limits = Path(f"/proc/{process}/limits").read_text()
    return "unlimited" not in next(line for line in limits.splitlines() if line.startswith("Max cpu time"))


def _is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
