"""CSV and TSV: one broken quote costs one line, every line is accounted for, well-formed files come through whole."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.csv import parse_csv, split_record
from seas_data.sources.raw_rows import CONFLICT_MARKER
from tests.conftest import examples


def read(tmp_path: Path, content: str | bytes, name: str = "set.csv", **keys: object) -> sources.SourceRows:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return sources.read_source("set", Source(path=str(path), **({"kind": "general"} | keys)))


def records(text: str) -> list[tuple[int, list[str] | str]]:
    """Of each record its line, and its fields or what is wrong with it."""
    return [(record.line, record.fault if record.fields is None else record.fields) for record in parse_csv(text)[1]]


def test_quotes_breaks_and_delimiters_inside_fields(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,prompt\r\n1,"say ""jade"", please"\r\n2,"one\r\ntwo\nthree"\r\n3,a lone \r return\r\n')
    assert found.prompts["text"].to_list() == ['say "jade", please', "one\r\ntwo\nthree", "a lone \r return"]
    assert found.set_aside.is_empty()


def test_semicolons_and_tabs(tmp_path: Path) -> None:
    assert read(tmp_path, "id;prompt\n1;a, b").prompts["text"].to_list() == ["a, b"]
    assert read(tmp_path, "prompt, as it came\tid\na, b\t1", "x.tsv", columns={"text": "prompt, as it came"}).prompts[
        "text"
    ].to_list() == ["a, b"]


def test_no_field_is_too_long_for_it(tmp_path: Path) -> None:
    """`csv.reader` stops at 131,072 characters."""
    found = read(tmp_path, 'prompt\n"' + "door, " * 60_000 + '"\nshort\n')
    assert found.prompts["text"].to_list() == ["short"]
    assert found.set_aside["reason"].to_list() == ["too_long"]


def test_an_unclosed_quote_costs_its_line_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    lines = ["id,prompt,label", *(f"{n},question number {n},door" for n in range(1, 2001))]
    lines[5] = '5,"question number 5,door'
    found = read(tmp_path, "\n".join(lines), columns={"id": "id"})
    assert found.prompts.height == 1999
    assert found.set_aside.select("location", "reason").rows() == [("set.csv:6", "unreadable")]


def test_two_broken_quotes_do_not_swallow_the_rows_between_them() -> None:
    """From the first quote to the second all is one well-formed field; only the rows inside give it away."""
    lines = ["id,prompt,label", *(f"{n},question number {n},{'door' if n % 2 else 'key'}" for n in range(1, 31))]
    lines[5] = '5,"question number 5,door'
    lines[9] = '9,question number 9",key'
    found = records("\n".join(lines))
    assert [line for line, outcome in found if isinstance(outcome, str)] == [6, 10]
    assert len(found) == 30


def test_the_lines_of_a_broken_field_are_not_taken_for_rows() -> None:
    lines = ["id,prompt,label", *(f"{n},question number {n},door" for n in range(1, 31))]
    lines[5:6] = ['5,"one line,', "a poem, of sorts, in lines", 'and its end" oddly,door']
    faults = {line: outcome for line, outcome in records("\n".join(lines)) if isinstance(outcome, str)}
    assert faults == {
        6: "an unclosed quote",
        7: "possibly part of the field with the broken quote in line 6",
        8: "a quote inside a field",
    }


def test_a_field_of_several_lines_is_not_taken_for_swallowed_rows() -> None:
    """In a file without labels or ids nothing tells a line of prose with a comma from a row: the grammar decides."""
    poem = '"Dear door,\nyou are heavy, and old\nand yet, you open"'
    text = "prompt,answer\n" + "".join(f"{poem},{n} words or so\n" for n in range(9)) + "plain,row\n"
    assert [line for line, outcome in records(text) if isinstance(outcome, str)] == []
    labelled = "prompt,label\n" + "".join(f"question {n},door\n" for n in range(20)) + f"{poem},door\n"
    assert [line for line, outcome in records(labelled) if isinstance(outcome, str)] == []


def test_a_field_of_very_many_lines_is_taken_for_an_unclosed_quote() -> None:
    text = 'prompt\n"never closed\n' + "".join(f"row {n}\n" for n in range(600)) + 'closed by another"\nlast\n'
    found = records(text)
    assert len(found) == 603
    assert [line for line, outcome in found if isinstance(outcome, str)] == [2, 603]


@pytest.mark.slow
def test_many_broken_quotes_take_no_longer_than_few() -> None:
    text = "id,prompt\n" + "".join(f'{n},"broken {n}\n' for n in range(20_000))
    assert len(records(text)) == 20_000


def test_merge_conflict_markers_are_counted_and_both_sides_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "prompt,id\na,1\n<<<<<<< main\nb,2\n||||||| base\nc,3\n=======\nd,4\n>>>>>>> other branch\ne,5\n",
    )
    assert found.prompts["text"].to_list() == ["a", "b", "c", "d", "e"]
    assert found.set_aside["location"].to_list() == [f"set.csv:{line}" for line in (3, 5, 7, 9)]
    assert found.set_aside["detail"].unique().to_list() == ["a merge-conflict marker"]


def test_a_conflict_in_the_header_costs_its_lines(tmp_path: Path) -> None:
    found = read(tmp_path, "<<<<<<< main\nid,prompt\n=======\nid,prompt\n>>>>>>> other\n1,a\n", columns={"id": "id"})
    assert found.prompts["text"].to_list() == ["a"]
    assert found.set_aside["detail"].to_list()[2] == "a repeated header"
    assert found.set_aside.height == 4


def test_a_conflict_inside_a_field_is_not_read_as_text() -> None:
    found = records('prompt,id\n"one\n<<<<<<< main\ntwo",1\nthree,2\n')
    assert found[-1] == (5, ["three", "2"])
    assert [line for line, outcome in found if isinstance(outcome, str)] == [2, 3, 4]


def test_a_ruler_inside_a_field_is_text() -> None:
    assert records('prompt,id\n"Title\n=======\ntext",1\n') == [(2, ["Title\n=======\ntext", "1"])]


def test_wrong_column_counts_quotes_and_nul_bytes(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,prompt\n1\n2,a,b\n3,a "word"\n4,nul \0\n5,"nul\n\0"\n6,"a"b\n7,fine\n')
    assert found.prompts["text"].to_list() == ["fine"]
    assert found.set_aside.select("location", "detail").rows() == [
        ("set.csv:2", "1 fields, but the header has 2"),
        ("set.csv:3", "3 fields, but the header has 2"),
        ("set.csv:4", "a quote inside a field"),
        ("set.csv:5", "a NUL byte"),
        ("set.csv:6", "a NUL byte"),
        ("set.csv:8", "a quote inside a field"),
    ]


def test_bad_bytes_cost_their_row(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbfid,prompt\n1,Gr\xfc\xdfe\n2,fine\n")
    assert found.prompts["text"].to_list() == ["fine"]
    assert found.set_aside.select("location", "reason").rows() == [("set.csv:2", "undecodable")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no header"),
        ("\n\n", "has no header"),
        ("text,id\na,1", r"there is no column prompt \(sources\.set\.columns\.text\); there are 'text', 'id'"),
        ("prompt,prompt\na,b", "2 columns are called 'prompt'"),
        ('prompt,"id\na,b', "has a quote inside a field"),
    ],
)
def test_a_file_without_a_usable_header(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(SeasDataError, match=f"source set: .*{says}"):
        read(tmp_path, content)


cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@examples(60)
@given(st.lists(st.tuples(cell, cell, st.sampled_from(["door", "key"])), max_size=30))
def test_what_a_csv_writer_writes_comes_back(rows: list[tuple[str, str, str]]) -> None:
    text = written([("prompt", "id", "label"), *rows])
    _, found = parse_csv(text, grammar_only=True)
    assert [record.fields for record in found] == [list(row) for row in rows]
    assume(not any(CONFLICT_MARKER.fullmatch(line) for row in rows for field in row for line in field.split("\n")))
    for row in rows:  # a field all of whose lines are rows is taken for what it looks like
        inside = written([row]).removesuffix("\r\n").split("\n")[1:-1]
        assume(
            not inside or not all(len(split_record(line.removesuffix("\r"), ",") or ()) == len(row) for line in inside)
        )
    assert [outcome for _, outcome in records(text)] == [list(row) for row in rows]


def written(rows: list[tuple[str, ...]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


@examples(50)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from([b'1,"a', b'b",2', b'"', b"1,2", b'"a","b"', b"=======", b"<<<<<<< x", b"\0,\xff"]),
        ),
        max_size=25,
    )
)
def test_every_line_is_in_a_row_or_set_aside(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    text = b"\n".join([b"prompt,id", *lines]).decode("utf-8", "surrogateescape")
    physical = text.split("\n")
    covered: list[int] = []
    for record in parse_csv(text)[1]:
        covered += range(record.line, record.line + record.text.count("\n") + 1)
    assert covered == sorted(set(covered)), "no line twice"
    assert {at for at, line in enumerate(physical, 1) if line.strip(" \t\r")} - {1} <= set(covered)
    found = read(tmp_path_factory.mktemp("csv"), b"\n".join([b"prompt,id", *lines]))
    assert found.prompts.height + found.set_aside.height == len(parse_csv(text)[1])


def test_a_file_appended_with_its_byte_order_mark_and_header(tmp_path: Path) -> None:
    content = "\ufeffprompt,id\none,1\n\ufeffprompt,id\ntwo,2\n"
    header, records = parse_csv(content.removeprefix("\ufeff"))
    assert header == ["prompt", "id"]
    assert [(each.fields, each.fault) for each in records] == [
        (["one", "1"], ""),
        (None, "a repeated header"),
        (["two", "2"], ""),
    ]


def test_lines_that_end_with_a_carriage_return_only() -> None:
    header, records = parse_csv('prompt,id\rone,1\r"two, or three",2\r')
    assert (header, [each.fields for each in records]) == (["prompt", "id"], [["one", "1"], ["two, or three", "2"]])
