"""Files as people have them: JSON arrays, compressed files, byte-order marks, workbooks; and the limits of a build."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources import compression
from seas_data.sources.account import require_readable
from tests.conftest import examples, quick
from tests.taxonomies import RISK_CATEGORIES

OBJECTS = [{"prompt": f"Which key opens door {number}?", "id": number} for number in range(4)]
TEXTS = [each["prompt"] for each in OBJECTS]
LINES = "".join(json.dumps(each) + "\n" for each in OBJECTS)
CSV = "prompt,id\n" + "".join(f"{each['prompt']},{each['id']}\n" for each in OBJECTS)


def read(tmp_path: Path, name: str, content: bytes | str, **keys: object) -> sources.SourceRows:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return sources.read_source("set", Source(path=str(path), **({"kind": "general"} | keys)))


def zstd(content: bytes) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as compressed:
        compressed.write(content)
    return stream.getvalue().to_pybytes()


def tar(content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as members:
        member = tarfile.TarInfo("set.jsonl")
        member.size = len(content)
        members.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.mark.parametrize(
    "content",
    quick(
        6,
        [
            json.dumps(OBJECTS),
            json.dumps(OBJECTS, indent=2),
            json.dumps(OBJECTS, indent=2).replace("\n", "\r\n"),
            "\ufeff\n " + json.dumps(OBJECTS) + "\n\n",
            "[\n" + ",\n".join(json.dumps(each) for each in OBJECTS) + "\n]",
            "\n".join(json.dumps(each, indent=2) for each in OBJECTS),
            json.dumps({"version": 1, "data": OBJECTS}),
            json.dumps({"data": OBJECTS}, indent=1),
            LINES,
        ],
    ),
)
@pytest.mark.parametrize("name", ["set.json", "set.jsonl"])
def test_source_that_is_a_json_array_is_read_like_lines(tmp_path: Path, name: str, content: str) -> None:
    found = read(tmp_path, name, content)
    assert found.prompts["text"].to_list() == TEXTS
    assert found.set_aside.is_empty()


def test_elements_of_a_json_array_that_are_not_rows_are_set_aside_with_their_line(tmp_path: Path) -> None:
    found = read(tmp_path, "set.json", '[\n{"prompt": "a"},\n7,\n{"text": "b"},\n{"prompt": "\\ud800"}\n]')
    assert found.prompts["text"].to_list() == ["a"]
    assert found.set_aside.select("location", "reason").rows() == [
        ("set.json:3", "unreadable"),
        ("set.json:4", "unreadable"),
        ("set.json:5", "undecodable"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OBJECTS)[:-20],
        json.dumps(OBJECTS, indent=2)[:-5],
        json.dumps(OBJECTS, indent=2).replace("},", "}", 1),
        json.dumps(OBJECTS) + "\n]",
        "[" * 100_000,
        "[" + "9" * 5_000 + "]",
    ],
)
def test_json_array_that_breaks_off_is_refused_as_a_whole(tmp_path: Path, content: str) -> None:
    with pytest.raises(SeasDataError, match=r"source set: set.json is a JSON array that cannot be read: .*correct the"):
        read(tmp_path, "set.json", content)


@pytest.mark.parametrize("compress", quick(6, [gzip.compress, zstd, bz2.compress, lzma.compress]))
@pytest.mark.parametrize(
    ("name", "content"),
    [("set.jsonl", LINES), ("set.jsonl.gz", LINES), ("set.csv", CSV), ("set.CSV.zst", CSV), ("set.json.gz", LINES)],
)
def test_compressed_source_is_unpacked_by_its_first_bytes(
    tmp_path: Path, compress: object, name: str, content: str
) -> None:
    assert read(tmp_path, name, compress(content.encode())).prompts["text"].to_list() == TEXTS
    several = compress(content[:30].encode()) + compress(content[30:].encode())
    assert read(tmp_path, name, several).prompts["text"].to_list() == TEXTS


@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_damaged_or_cut_off_compressed_source_is_refused(tmp_path: Path, compress: object) -> None:
    content = compress(LINES.encode() * 50)
    for broken in (content[:-9], content[: len(content) // 2], content[:6]):
        with pytest.raises(SeasDataError, match="damaged or cut off"):
            read(tmp_path, "set.jsonl", broken)


@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_what_follows_a_compressed_stream_is_another_one_or_refused(tmp_path: Path, compress: object) -> None:
    first, second = compress(LINES[:30].encode()), compress(LINES[30:].encode())
    assert read(tmp_path, "set.jsonl", first + second).prompts["text"].to_list() == TEXTS
    for rest in (bytes([second[0] ^ 1]) + second[1:], b"garbage", second[:-6]):
        with pytest.raises(SeasDataError, match="damaged or cut off"):
            read(tmp_path, "set.jsonl", first + rest)


@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_decompression_bomb_is_refused(tmp_path: Path, compress: object) -> None:
    with pytest.raises(SeasDataError, match="looks like a decompression bomb"):
        read(tmp_path, "set.jsonl", compress(b" " * (30 << 20)))


def test_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MAX_BYTES", 100)
    with pytest.raises(SeasDataError, match="at most 100 are read"):
        read(tmp_path, "set.jsonl", LINES)
    with pytest.raises(SeasDataError, match="looks like a decompression bomb"):
        read(tmp_path, "set.jsonl", gzip.compress(b"a" * 1_000))


@pytest.mark.parametrize("encoding", quick(5, ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"]))
@pytest.mark.parametrize(
    ("name", "content"), [("set.jsonl", LINES), ("set.csv", CSV), ("set.json", json.dumps(OBJECTS))]
)
def test_byte_order_mark_decides_the_encoding(tmp_path: Path, encoding: str, name: str, content: str) -> None:
    mark = "\ufeff" if encoding.endswith("-be") else ""
    encoded = (mark + content).encode(encoding)
    assert read(tmp_path, name, encoded).prompts["text"].to_list() == TEXTS
    assert read(tmp_path, name, gzip.compress(encoded)).prompts["text"].to_list() == TEXTS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("name", "content"), [("set.jsonl", LINES), ("set.csv", CSV)])
def test_utf_16_without_a_byte_order_mark_says_what_to_set(
    tmp_path: Path, encoding: str, name: str, content: str
) -> None:
    with pytest.raises(SeasDataError, match="looks like UTF-16 without a byte-order mark; set encoding to utf-16-le"):
        read(tmp_path, name, content.encode(encoding))
    assert read(tmp_path, name, content.encode(encoding), encoding=encoding).prompts["text"].to_list() == TEXTS


def test_tab_separated_source(tmp_path: Path) -> None:
    for name in ("set.tsv", "set.tab", "set.tsv.gz"):
        content = CSV.replace(",", "\t").encode()
        assert read(tmp_path, name, gzip.compress(content) if "gz" in name else content).prompts.height == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....", "is a Parquet file; set format: parquet"),
        (b"PK\x03\x04..", "is a zip archive or a workbook; set format: xlsx"),
        (b"\xd0\xcf\x11\xe0..", "old Excel workbook"),
        (b"7z\xbc\xaf\x27\x1c..", "is a 7z archive; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (gzip.compress(gzip.compress(LINES.encode())), "is a compressed file inside a compressed file"),
        (tar(LINES.encode() * 100), "is a tar archive; unpack it"),
        (gzip.compress(tar(LINES.encode() * 100)), "is a tar archive; unpack it"),
    ],
)
def test_file_of_another_kind_says_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SeasDataError, match=message):
        read(tmp_path, "set.jsonl", content)


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_workbook(tmp_path: Path) -> None:
    rows = [["prompt", "id", "label"], ["Which door?", 7, "Kitchen"], [None, None], [42, 8], ["Two\nlines", None, True]]
    workbook(tmp_path / "set.xlsx", Data=rows, Notes=[])
    columns = {"id": "id", "risk": "label"}
    found = sources.read_source("set", Source(path=str(tmp_path / "set.xlsx"), kind="general", columns=columns))
    assert found.prompts.select("text", "source_id", "source_risk").rows() == [
        ("Which door?", "7", "Kitchen"),
        ("Two\nlines", "3", "True"),
    ]
    assert found.set_aside.select("location", "reason").rows() == [("set.xlsx:4", "unreadable")]


def test_workbook_of_several_sheets_needs_one_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "set.xlsx", One=[["prompt"], ["a"]], Two=[["prompt"], ["b"]])
    with pytest.raises(SeasDataError, match="2 sheets have rows \\('One', 'Two'\\); set split"):
        sources.read_source("set", Source(path=str(path), kind="general"))
    found = sources.read_source("set", Source(path=str(path), kind="general", split="Two"))
    assert found.prompts["text"].to_list() == ["b"]
    with pytest.raises(SeasDataError, match="there is no sheet 'Three'"):
        sources.read_source("set", Source(path=str(path), kind="general", split="Three"))


def test_workbook_that_is_damaged_or_a_bomb_is_refused(tmp_path: Path) -> None:
    content = workbook(tmp_path / "good.xlsx", One=[["prompt"], ["a"]]).read_bytes()
    for broken in (b"", b"prompt,id", content[: len(content) // 2]):
        with pytest.raises(SeasDataError, match=r"source set: .*(workbook|damaged)"):
            read(tmp_path, "set.xlsx", broken)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (40 << 20))
    with pytest.raises(SeasDataError, match="looks like a decompression bomb"):
        read(tmp_path, "set.xlsx", bomb.getvalue())


def check(tmp_path: Path, content: bytes | str, name: str = "set.jsonl", **keys: object) -> None:
    source = Source(path=str(tmp_path / name), **({"kind": "general"} | keys))
    require_readable("set", source, read(tmp_path, name, content, **keys))


@pytest.mark.parametrize("role", ["training", "holdout"])
@pytest.mark.parametrize(
    ("name", "content"), [("set.jsonl", ""), ("set.csv", "prompt,id\n"), ("set.json", "[]"), ("set.jsonl", "\n \n")]
)
def test_source_without_a_row_stops_the_build(tmp_path: Path, name: str, content: str, role: str) -> None:
    with pytest.raises(SeasDataError, match=r"no row of .* became a prompt, and the file has none"):
        check(tmp_path, content, name, role=role)


CHAT = (
    json.dumps({"prompt": [{"role": "user", "content": "Which door?"}, {"role": "user", "content": "Which key?"}]})
    + "\n"
)


@pytest.mark.parametrize(
    ("bad", "keys", "counts"),
    [
        ("not JSON\n", {}, "unreadable"),
        (CHAT, {}, "unreadable"),
        ('{"prompt": ""}\n', {}, "empty"),
        ('{"prompt": "\\ud800"}\n', {}, "undecodable"),
        (
            '{"prompt": "x", "id": "y"}\n',
            {"kind": None, "kind_map": {str(n): "general" for n in range(4)}},
            "unknown_kind",
        ),
        ('{"prompt": "x", "id": "no such tongue"}\n', {"columns": {"language": "id"}}, "unknown_language"),
    ],
)
def test_rows_that_cannot_be_read_or_mapped_stop_the_build(tmp_path: Path, bad: str, keys: dict, counts: str) -> None:
    if counts == "unknown_kind":
        keys = keys | {"columns": {"kind": "id"}}
    lines = LINES.replace('"id": ', '"nr": ') if counts == "unknown_language" else LINES
    check(tmp_path, lines + bad, **keys)  # one row of a training source
    with pytest.raises(SeasDataError, match=rf"2 of 6 rows .* may have 1 such rows: {counts} 2 \(set.jsonl:5"):
        check(tmp_path, lines + bad + bad, **keys)
    with pytest.raises(SeasDataError, match=rf"1 of 5 rows .* holdout source may have 0 such rows: {counts} 1"):
        check(tmp_path, lines + bad, role="holdout", **keys)
    check(tmp_path, lines + bad + bad, role="holdout", max_unreadable_proportion=0.34, **keys)


def test_one_percent_of_a_training_source_may_be_unreadable(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"prompt": f"Which key opens door {n}?"}) + "\n" for n in range(297))
    check(tmp_path, rows + "{\n" * 3)
    with pytest.raises(SeasDataError, match="4 of 300 rows"):
        check(tmp_path, rows[: rows.rstrip().rfind("\n") + 1] + "{\n" * 4)


def test_repeated_and_too_long_rows_do_not_count_towards_the_limit(tmp_path: Path) -> None:
    row = '{"prompt": "a", "id": 1}\n'
    long = json.dumps({"prompt": "x" * 100_001}) + "\n"
    check(tmp_path, row * 5 + long * 5, role="holdout", columns={"id": "id"})


def test_parquet_reads_only_the_columns_that_are_named(tmp_path: Path) -> None:
    table = pa.table(
        {
            "prompt": ["a", "b", "c"],
            "when": pa.array([0, 1, 2], pa.timestamp("us", tz="Mars/Olympus")),
            "day": pa.array([2**31 - 1, 3, None], pa.date32()),
        }
    )
    pq.write_table(table, tmp_path / "set.parquet")

    def load(**columns: str) -> sources.SourceRows:
        return sources.read_source("set", Source(path=str(tmp_path / "set.parquet"), kind="general", columns=columns))

    assert load().prompts["text"].to_list() == ["a", "b", "c"]
    found = load(id="day", risk="when")
    assert found.prompts.select("text", "source_id").rows() == [("b", "1970-01-04"), ("c", "3")]
    assert found.prompts["source_risk"].str.starts_with("1970-01-01").all()
    assert found.set_aside.select("location", "reason").rows() == [("set.parquet:1", "unreadable")]


def test_id_that_is_nested_too_deep_is_a_set_aside_row(tmp_path: Path) -> None:
    for depth in (900, 50_000):
        deep = '{"prompt": "b", "id": ' + "[" * depth + "]" * depth + "}\n"
        found = read(tmp_path, "set.jsonl", LINES + deep, columns={"id": "id"})
        assert found.prompts.height + found.set_aside.height == 5


def test_label_that_is_a_list_maps_by_its_first_element_with_a_mapping(tmp_path: Path) -> None:
    row = json.dumps({"prompt": "a", "label": ["Nothing", "Kitchen", "Garden"]})
    keys = {"kind": "adversarial", "columns": {"risk": "label"}, "risk_map": {"Kitchen": RISK_CATEGORIES[0]}}
    found = read(tmp_path, "set.jsonl", row, **keys)
    assert found.prompts["risk_category"][0] == RISK_CATEGORIES[0]
    assert found.prompts["source_risk"][0] == '["Nothing", "Kitchen", "Garden"]'


@pytest.mark.parametrize(
    "label",
    [
        ["Kitchen"],
        '["Kitchen"]',
        "['Nothing', 'Kitchen']",
        "[\"it's\", 'Kitchen']",
        {"Nothing": False, "Kitchen": True},
        {"Nothing": 0, "Kitchen": 1},
        "{'Garden': False, 'Kitchen': True}",
        {"label": "Kitchen"},
        [{"label": "Kitchen"}],
        [["Kitchen"]],
        " Kitchen\n",
    ],
)
def test_label_in_a_list_or_an_object_is_found(label: object, tmp_path: Path) -> None:
    keys = {"kind": "adversarial", "columns": {"risk": "label"}}
    risk_map = {"Kitchen": RISK_CATEGORIES[0], "Garden": RISK_CATEGORIES[1]}
    found = read(tmp_path, "set.jsonl", json.dumps({"prompt": "a", "label": label}), **keys, risk_map=risk_map)
    assert found.prompts["risk_category"].to_list() == [RISK_CATEGORIES[0]]


@pytest.mark.parametrize(
    "label", ["[", "{'", "['Nothing'", "[" * 20_000, "['" * 4_000, "\\'" * 4_000, {"Kitchen": False}]
)
def test_label_in_a_broken_or_overlong_list_maps_to_nothing(label: object, tmp_path: Path) -> None:
    keys = {"kind": "adversarial", "columns": {"risk": "label"}, "risk_map": {"Kitchen": RISK_CATEGORIES[0]}}
    found = read(tmp_path, "set.jsonl", json.dumps({"prompt": "a", "label": label}), **keys)
    assert found.prompts["risk_category"].to_list() == [None]


values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.none(), st.integers(), st.booleans()
)


@examples(25)
@given(
    prompts=st.lists(values, min_size=1, max_size=12),
    form=st.sampled_from(["lines", "array", "pretty", "parquet", "xlsx", "csv"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    compress=st.sampled_from([bytes, gzip.compress, zstd]),
)
def test_every_record_of_a_file_is_a_prompt_or_a_set_aside_row(
    tmp_path_factory: pytest.TempPathFactory, prompts: list, form: str, encoding: str, compress: object
) -> None:
    folder = tmp_path_factory.mktemp("any")
    objects = [{"prompt": each, "id": number} for number, each in enumerate(prompts)]
    if form == "parquet":
        texts = [each if each is None else str(each) for each in prompts]
        pl.DataFrame({"prompt": texts}, schema={"prompt": pl.String}).write_parquet(folder / "set.parquet")
        found = sources.read_source("set", Source(path=str(folder / "set.parquet"), kind="general"))
    elif form == "xlsx":
        cells = [
            "".join(c for c in each if c.isprintable()).lstrip("=") if isinstance(each, str) else each
            for each in prompts
        ]
        path = workbook(folder / "set.xlsx", S=[["id", "prompt"], *[[n, each] for n, each in enumerate(cells)]])
        found = sources.read_source("set", Source(path=str(path), kind="general"))
    elif form == "csv":
        quoted = ['"' + str(each).replace('"', '""').replace("\0", "").replace("\n", " ") + '"' for each in prompts]
        content = "id,prompt\n" + "".join(f"{n},{each}\n" for n, each in enumerate(quoted))
        found = read(folder, "set.csv", compress(content.encode(encoding)))
    else:
        content = {
            "lines": "\n".join(map(json.dumps, objects)),
            "array": json.dumps(objects),
            "pretty": json.dumps(objects, indent=1, ensure_ascii=False),
        }[form]
        found = read(folder, "set.jsonl", compress(content.encode(encoding)))
    assert found.prompts.height + found.set_aside.height == len(prompts)
    assert found.prompts["prompt_id"].is_unique().all()
