"""Targets: source files of every format, preference and instruction rows, and sheets that people fill in.

Each check counts the records of the file without the reader: its lines that are not blank, the elements of its JSON
array, the rows of its Parquet metadata. The reader's rows and set-aside rows must be as many.
"""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seas_data.recipe import Source
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review.gold import read_gold
from seas_data.sources import read_source
from seas_data.sources.compression import decode_file, read_bytes
from seas_data.sources.conversations import ConversationRows, read_instructions, read_preferences
from seas_data.sources.csv import parse_csv
from seas_data.sources.formats import select_format
from seas_data.sources.overrides import read_overrides
from tests.fuzz.engine import Target
from tests.fuzz.mutations import TOKENS, dump_json, mutate_bytes, mutate_json

SOURCE = Source.model_validate(
    {
        "path": "rows",
        "columns": {"text": "prompt", "id": "id", "risk": "risk", "kind": "kind", "language": "language"},
        "kind_map": {"harmless": "harmless", "general": "general"},
        "language": "en",
        "licence": "Apache-2.0",
    }
)
ROWS: list[dict[str, Any]] = [
    {"id": 1, "prompt": "What colour is the door?", "risk": ["Kitchen"], "kind": "general", "language": "en"},
    {"id": "b", "prompt": 'A "quoted" text,\nof two lines', "risk": None, "kind": "harmless", "language": "English"},
    {"id": "c", "prompt": "这是厨房吗?", "risk": "Cellar", "kind": "general", "language": "zh"},
    {"id": 4.5, "prompt": "  Wie hoch ist der Turm\u2028im Garten? ", "risk": "", "kind": "general", "language": "deu"},
    *(
        {"id": f"n{number}", "prompt": f"Paint lamp {number} of the garden", "risk": "x", "kind": "general"}
        for number in range(8)
    ),
]
MESSAGES = [{"role": "user", "content": "What is on the shelf?"}, {"role": "assistant", "content": "Two blue cups."}]
PAIRS: list[dict[str, Any]] = [
    {"prompt": "Which lamp is on?", "chosen": "The green one.", "rejected": "None."},
    {"chosen": MESSAGES, "rejected": [MESSAGES[0], {"role": "assistant", "content": "Nothing."}]},
    {
        "prompt": [{"from": "human", "value": "Which door?"}],
        "chosen": [{"from": "gpt", "value": "The red door."}],
        "rejected": {"role": "assistant", "content": [{"type": "text", "text": "A door."}]},
        "source": "set",
        "source_id": 7,
    },
    {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello.", "rejected": "\n\nHuman: Hi\n\nAssistant: No."},
    {"conversations": MESSAGES[:1], "chosen": json.dumps(MESSAGES[1:]), "rejected": "A cup.", "source_id": "x"},
]
INSTRUCTIONS: list[dict[str, Any]] = [
    {"prompt": "Which lamp is on?", "completion": "The green one."},
    {"messages": MESSAGES},
    {"conversations": [{"from": "system", "value": "Be brief."}, *MESSAGES]},
]


def json_seeds(rows: Sequence[dict[str, Any]], key: str = "data") -> list[bytes]:
    """Return files of ``rows``: lines, arrays, pretty-printed objects, and one object that holds the list."""
    texts = [
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n",
        "\r\n\r\n".join(json.dumps(row) for row in rows),
        json.dumps(rows),
        json.dumps(rows, indent=1, ensure_ascii=False),
        "\n".join(json.dumps(row, indent=2) for row in rows),
        json.dumps({key: rows, "version": 1}),
    ]
    return [text.encode() for text in texts]


def csv_seeds(delimiter: str) -> list[bytes]:
    """Return files of the rows with ``delimiter``, one of them with labels only."""
    names = list(ROWS[0])

    def quote(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if re.search(f'["\r\n{delimiter}]', text) else text

    lines = [delimiter.join(quote(row.get(name)) for name in names) for row in ROWS]
    header = delimiter.join(names)
    return ["\n".join([header, *lines, ""]).encode(), "\r\n".join([header, *lines[4:]]).encode()]


def make_file(rng: Random, *, seeds: Sequence[bytes], json_rows: Sequence[dict[str, Any]] = ()) -> bytes:
    """Return a mutated file; of ``json_rows`` sometimes one whose values are mutated and whose syntax is whole."""
    if json_rows and rng.random() < 0.5:
        rows = [mutate_json(row, rng) if rng.random() < 0.5 else row for row in json_rows]
        if rng.random() < 0.2:
            return dump_json(rows, rng)
        return b"\n".join(dump_json(row, rng) for row in rows)
    return mutate_bytes(rng.choice(seeds), seeds, rng)


def encode_utf_16(rng: Random, make: Callable[[Random], bytes]) -> bytes:
    """Return a file in UTF-16 or UTF-32 with its mark, mutated before it is encoded or after."""
    text = make(rng).decode("utf-8", "replace")
    encoded = ("\ufeff" + text).encode(rng.choice(("utf-16-le", "utf-16-be", "utf-32-le")), "surrogatepass")
    return mutate_bytes(encoded, [encoded], rng) if rng.random() < 0.3 else encoded


def compress(rng: Random, make: Callable[[Random], bytes]) -> bytes:
    """Return a compressed file, mutated before it is compressed or after."""
    content = make(rng)
    if rng.random() < 0.02:
        content = content * 100
    packed = gzip.compress(content, 1, mtime=0) if rng.random() < 0.5 else _zstd(content)
    return mutate_bytes(packed, [packed], rng) if rng.random() < 0.4 else packed


def _zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def check_source(data: bytes, folder: Path, *, name: str) -> int:
    """Read ``data`` as a source file called ``name`` and account for its records."""
    path = folder / name
    path.write_bytes(data)
    source = SOURCE.model_copy(update={"path": str(path)})
    rows = read_source("rows", source, max_characters=5_000)
    raw = select_format(path, source).read(path, source)
    count = rows.prompts.height + rows.set_aside.height
    assert count == raw.rows.height + raw.faults.height, "a row is lost between the reader and the tables"
    ordinals = sorted([*raw.rows["ordinal"], *raw.faults["ordinal"]])
    assert ordinals == list(range(1, count + 1)), f"the ordinals of {count} rows have gaps"
    expected = _RECORDS[path.name.split(".")[1]](path)
    assert count in expected, f"{count} rows of {sorted(expected)} records"
    assert rows.prompts["prompt_id"].n_unique() == rows.prompts.height
    return count


def _json_records(path: Path) -> set[int]:
    """Return how many records the file may have, by its lines and, if it is JSON as a whole, by its value."""
    text = decode_file(path, "utf-8")
    # A mark alone on a line is where an empty file was appended.
    counts = {sum(bool(line.strip(" \t\r\ufeff")) for line in text.split("\n"))}
    if not counts - {0, 1} or text.lstrip(" \t\r\n").startswith(("[", "{")):
        values = _json_values(text)
        lists = [each for value in values if isinstance(value, dict) for each in value.values()]
        if len(values) == 1:
            counts |= {len(each) for each in [*values, *lists] if isinstance(each, list)}
        counts |= {len(values)} - {0}
    return counts


def _json_values(text: str) -> list[Any]:
    values, at = [], 0
    while text[at:].strip(" \t\r\n"):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        values.append(value)
    return values


def _csv_records(path: Path) -> set[int]:
    """Return the number of records, which cover the lines of the file that are not blank, each once."""
    delimiter = "\t" if path.suffix == ".tsv" else None
    text = decode_file(path, "utf-8")
    records = parse_csv(text, delimiter)[1]
    covered = [line for each in records for line in range(each.line, each.line + each.text.count("\n") + 1)]
    assert len(covered) == len(set(covered)), "a line is in two records"
    lines = {number for number, line in enumerate(text.split("\n"), start=1) if line.strip(" \t\r")}
    lost = sorted(lines - set(covered))
    assert len(lost) == 1, f"{len(lost)} lines beside the header are in no record: {lost[:5]}"
    return {len(records)}


def _parquet_records(path: Path) -> set[int]:
    return {pq.ParquetFile(path).metadata.num_rows}


def _workbook_records(path: Path) -> set[int]:
    sheets = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True).worksheets
    rows = []
    for sheet in sheets:
        sheet.reset_dimensions()
        filled = [row for row in sheet.iter_rows(values_only=True) if any(_shows(cell) for cell in row)]
        rows += [len(filled) - 1] if filled else []
    return set(rows)


def _shows(cell: Any) -> bool:
    return cell is not None and not (isinstance(cell, str) and not cell.strip())


_RECORDS: dict[str, Callable[[Path], set[int]]] = {
    "json": _json_records,
    "jsonl": _json_records,
    "csv": _csv_records,
    "tsv": _csv_records,
    "parquet": _parquet_records,
    "xlsx": _workbook_records,
}


def make_parquet(rng: Random, *, rows: Sequence[dict[str, Any]]) -> bytes:
    """Return a Parquet file of hostile types and values, or a mutated one."""
    arrays: dict[str, pa.Array] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        choice = rng.randrange(8)
        try:
            if choice < 3:
                raise pa.ArrowInvalid
            arrays[name] = _TYPES[rng.randrange(len(_TYPES))](values, rng) if choice < 6 else pa.array(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
            arrays[name] = pa.array(texts)
    sink = io.BytesIO()
    table = pa.table(arrays)
    compression = rng.choice(("zstd", "snappy", "none"))
    pq.write_table(table, sink, compression=compression, row_group_size=rng.choice((2, 100)))
    data = sink.getvalue()
    return mutate_bytes(data, [data], rng) if rng.random() < 0.4 else data


_TYPES: tuple[Callable[[list[Any], Random], pa.Array], ...] = (
    lambda values, rng: pa.array([str(value) for value in values]).dictionary_encode(),
    lambda values, rng: pa.array([str(value).encode()[: rng.randrange(9)] for value in values], pa.binary()),
    lambda values, rng: _invalid_utf8(values, rng),
    lambda values, rng: pa.array([rng.randrange(-(2**62), 2**62) for _ in values], pa.timestamp("us")),
    lambda values, rng: pa.array([rng.randrange(2**40) for _ in values], pa.timestamp("ns", tz="+05:37")),
    lambda values, rng: pa.array([rng.randrange(-(2**31), 2**31) for _ in values], pa.date32()),
    lambda values, rng: pa.array([rng.randrange(2**62) for _ in values], pa.duration("s")),
    lambda values, rng: pa.array([[str(value)] for value in values]),
    lambda values, rng: pa.array([{"role": str(value), "content": None} for value in values]),
    lambda values, rng: pa.array([rng.choice((0.5, float("nan"), float("inf"))) for _ in values]),
    lambda values, rng: pa.nulls(len(values)),
    lambda values, rng: pa.array([rng.random() < 0.5 for _ in values]),
    lambda values, rng: pa.array([str(value) for value in values], pa.large_string()),
)


def _invalid_utf8(values: list[Any], rng: Random) -> pa.Array:
    texts = [str(value).encode() + rng.choice((b"", b"", b"\xff", b"\xed\xa0\x80")) for value in values]
    return pa.array(texts, pa.binary()).view(pa.string())


@cache
def _workbook() -> dict[str, bytes]:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(ROWS[0]))
    for row in ROWS:
        sheet.append([value if isinstance(value, int | float) else str(value) for value in row.values()])
    sink = io.BytesIO()
    book.save(sink)
    with zipfile.ZipFile(sink) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def make_workbook(rng: Random) -> bytes:
    """Return a workbook with a mutated part, or with mutated bytes."""
    parts = dict(_workbook())
    for _ in range(rng.randrange(3)):
        name = rng.choice(("xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml", *parts))
        if rng.random() < 0.05:
            del parts[name]
            break
        parts[name] = mutate_bytes(parts[name], list(parts.values()), rng, _SHEET_TOKENS)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    data = sink.getvalue()
    return mutate_bytes(data, [data], rng) if rng.random() < 0.2 else data


_SHEET_TOKENS = (
    *TOKENS[:40],
    *('<c r="XFD2"><v>1</v></c>', '<row r="1048576"/>', '<c t="s"><v>99999</v></c>', '<c t="e"><v>#N/A</v></c>'),
    *('<c t="d"><v>2024-13-01</v></c>', '<c t="b"><v>x</v></c>', 'r="A0"', 's="99"', "</row>", "</sheetData>"),
    *('<!DOCTYPE a [<!ENTITY b "c">]>', "&b;", "&#0;", "<is><t>a</t></is>"),
)


def check_conversations(data: bytes, folder: Path, *, read: Callable[[Path], ConversationRows], name: str) -> int:
    """Read ``data`` as preference or instruction rows and account for its records."""
    path = folder / name
    path.write_bytes(data)
    found = read(path)
    count = found.rows.height + found.set_aside.height
    expected = _parquet_records(path) if data[:4] == b"PAR1" else _json_records(path)
    assert count in expected, f"{count} rows of {sorted(expected)} records"
    for name in ("prompt", "chosen", "rejected", "completion"):
        if name in found.rows.columns:
            contents = found.rows[name].explode().struct.field("content")
            assert contents.str.strip_chars().str.len_chars().gt(0).all(), f"{name} has a turn without text"
    found.print_set_aside()
    return count


def check_sheet(data: bytes, folder: Path, *, read: Callable[[Path], pl.DataFrame]) -> int:
    """Read ``data`` as a sheet that people filled in; each row is used, skipped or a fault that stops the reader."""
    path = folder / "sheet.csv"
    path.write_bytes(data)
    rows = read(path)
    records = parse_csv(read_bytes(path).decode("utf-8", "surrogateescape").removeprefix("\ufeff"), grammar_only=True)
    assert rows.height <= len(records[1])
    return rows.height


OVERRIDES = (
    b"prompt_id,decision,label,who,because\n0123456789abcdef01234567,drop,,kim,no question\n"
    b'0123456789abcdef01234568,keep,General,"kim, j","two\nlines"\n0123456789abcdef01234569,,,,\n'
)
GOLD = (
    b"response_id,prompt,response,verdict,refusal,who,because\n0123456789abcdef01234567,a,b,safe,full_refusal,kim,x\n"
    b'0123456789abcdef01234568,a,"b\nc",unsafe,,kim,\n'
)


def targets() -> list[Target]:
    """Return the targets of this module."""
    lines = partial(make_file, seeds=json_seeds(ROWS), json_rows=ROWS)
    pairs = partial(make_file, seeds=json_seeds(PAIRS), json_rows=PAIRS)
    instructions = partial(make_file, seeds=json_seeds(INSTRUCTIONS), json_rows=INSTRUCTIONS)
    commas = partial(make_file, seeds=[*csv_seeds(","), *csv_seeds(";")])
    tabs = partial(make_file, seeds=csv_seeds("\t"))
    return [
        Target("source jsonl", lines, partial(check_source, name="rows.jsonl"), 6),
        Target("source json", lines, partial(check_source, name="rows.json"), 6),
        Target("source csv", commas, partial(check_source, name="rows.csv"), 10),
        Target("source tsv", tabs, partial(check_source, name="rows.tsv"), 4),
        Target("source utf-16", partial(encode_utf_16, make=lines), partial(check_source, name="rows.jsonl"), 3),
        Target("source utf-16 csv", partial(encode_utf_16, make=commas), partial(check_source, name="rows.csv"), 3),
        Target("source gzip, zstd", partial(compress, make=lines), partial(check_source, name="rows.jsonl.gz"), 3),
        Target("source gzip, zstd csv", partial(compress, make=commas), partial(check_source, name="rows.csv.zst"), 3),
        Target("source parquet", partial(make_parquet, rows=ROWS), partial(check_source, name="rows.parquet"), 5),
        Target("source xlsx", make_workbook, partial(check_source, name="rows.xlsx"), 2),
        Target("preferences", pairs, partial(check_conversations, read=read_preferences, name="p.jsonl"), 20),
        Target(
            "preferences parquet",
            partial(make_parquet, rows=PAIRS),
            partial(check_conversations, read=read_preferences, name="p.parquet"),
            5,
        ),
        Target("instructions", instructions, partial(check_conversations, read=read_instructions, name="i.json"), 10),
        Target(
            "overrides",
            partial(make_file, seeds=[OVERRIDES, GOLD]),
            partial(check_sheet, read=partial(read_overrides, taxonomy=default_taxonomy())),
            5,
        ),
        Target("gold verdicts", partial(make_file, seeds=[GOLD]), partial(check_sheet, read=read_gold), 5),
    ]
