"""Parquet files, folders written by `datasets`, and what their typed columns become."""

import contextlib
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.pairs import reference
from seas_data.recipe import Source
from seas_data.sources import parquet_size
from seas_data.sources.conversations import read_preferences
from seas_data.sources.parquet_size import require_bounded_parquet
from tests.conftest import quick

FRAME = pl.DataFrame(
    {
        "prompt": ["What colour?", None, "Which key?\nThe old one\u2028?"],
        "id": [7, 8, None],
        "tags": [["a", "b"], [], None],
        "answer": ["green", "red", "old"],
    }
)
COLUMNS = {"id": "id", "risk": "tags"}
EXPECTED = [("What colour?", "7", '["a", "b"]'), ("Which key?\nThe old one\u2028?", "3", None)]


def read(path: Path, **keys: object) -> sources.SourceRows:
    return sources.read_source("set", Source(path=str(path), **({"kind": "general", "columns": COLUMNS} | keys)))


def check(found: sources.SourceRows, place: str) -> None:
    assert found.prompts.select("text", "source_id", "source_risk").rows() == EXPECTED
    assert found.set_aside.select("location", "reason").rows() == [(f"{place}:2", "empty")]


def test_parquet(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "set.parquet")
    check(read(tmp_path / "set.parquet"), "set.parquet")


def test_a_folder_of_datasets(tmp_path: Path) -> None:
    datasets.Dataset.from_polars(FRAME).save_to_disk(tmp_path / "saved")
    check(read(tmp_path / "saved"), "saved")


def test_a_folder_keeps_the_order_of_a_selection(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"prompt": ["a", "b", "c"]}).select([2, 0]).save_to_disk(tmp_path / "saved")
    assert read(tmp_path / "saved", columns={}).prompts["text"].to_list() == ["c", "a"]


def test_a_folder_of_several_splits_needs_one_named(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_polars(FRAME)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "saved")
    check(read(tmp_path / "saved", split="test"), "saved/test")
    with pytest.raises(SeasDataError, match="source set: set split to one of its splits: test, train"):
        read(tmp_path / "saved")


def test_class_labels_are_read_by_name(tmp_path: Path) -> None:
    features = datasets.Features(
        {"prompt": datasets.Value("string"), "kind": datasets.ClassLabel(names=["safe", "unsafe"])}
    )
    rows = datasets.Dataset.from_dict({"prompt": ["a", "b", "c"], "kind": [1, 0, None]}, features=features)
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "saved")
    kinds = {"safe": "harmless", "unsafe": "adversarial"}
    found = read(tmp_path / "saved", kind=None, kind_map=kinds, columns={"kind": "kind"})
    assert found.prompts["kind"].to_list() == ["adversarial", "harmless"]
    assert found.set_aside["reason"].to_list() == ["unknown_kind"]


def test_a_damaged_name_of_a_column_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"prompt": ["a"], "zzchosen": ["b"], "rejected": ["c"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"zzchosen", b"z\xe5chosen"))
    with pytest.raises(SeasDataError, match=r"set\.parquet cannot be read as Parquet: 'utf-8' codec"):
        read(path)
    with pytest.raises(SeasDataError, match=r"set\.parquet cannot be read: 'utf-8' codec"):
        read_preferences(path)
    with pytest.raises(SeasDataError, match=r"set\.parquet is not a Parquet file: 'utf-8' codec"):
        reference.read(path, "target")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    FRAME.write_parquet(path)
    with pytest.raises(
        SeasDataError,
        match=r"there is no column text \(sources\.set\.columns\.text\); there are 'prompt', 'id', 'tags', 'answer'",
    ):
        read(path, columns={"text": "text"})
    with pytest.raises(SeasDataError, match=r"column 'tags' holds large_list<.*>, not text"):
        read(path, columns={"text": "tags"})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SeasDataError, match=r"source set: .*set\.parquet cannot be read as Parquet"):
        read(path)


def test_text_that_is_not_utf_8_costs_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"a door", b"a \xff lamp", b"a key"], pa.binary()).view(pa.string())
    labels = pa.array([b"x", b"y", b"\xed\xa0\x80"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": texts, "tags": labels}), tmp_path / "set.parquet")
    found = read(tmp_path / "set.parquet", columns={"risk": "tags"})
    assert found.prompts["text"].to_list() == ["a door"]
    assert found.set_aside["reason"].to_list() == ["undecodable", "undecodable"]


@pytest.mark.parametrize("nested", [False, True])
def test_many_rows_that_share_one_long_text_are_refused_before_they_are_read(tmp_path: Path, nested: bool) -> None:
    """100 rows of 10 MB, which dictionary encoding stores once: a file of a kilobyte."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["a" * 10_000_000]))
    table = pa.table({"prompt": pa.array(["b"] * 100), "tags": texts})
    if nested:
        table = table.set_column(1, "tags", pa.ListArray.from_arrays(pa.array(range(101), pa.int32()), texts))
    path = tmp_path / "set.parquet"
    pq.write_table(table, path, store_schema=False, dictionary_pagesize_limit=1 << 30, compression="zstd")
    with pytest.raises(SeasDataError, match=r"has 100 rows of 1,0\d\d,.* decompression bomb; if it is none, save"):
        read(path, columns={"risk": "tags"})
    assert read(path, columns={}).prompts.height == 100, "a column that is not read does not count"


def test_twenty_million_equal_rows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    indices = pa.array(np.zeros(20_000_000, np.int32))
    texts = pa.DictionaryArray.from_arrays(indices, pa.array(["a door"]))
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"prompt": texts}), path, store_schema=False, compression="zstd")
    with pytest.raises(SeasDataError, match=r"has 20,000,000 rows of .* decompression bomb"):
        read(path, columns={})


@pytest.mark.parametrize("kind", quick(1, ["fixed length", "common prefix", "common prefix in a list"]))
def test_long_values_that_another_encoding_stores_once_are_refused_before_they_are_read(
    tmp_path: Path, kind: str
) -> None:
    text = "a" * 1_000_000
    values = pa.array([text.encode()] * 400, pa.binary(len(text))) if kind == "fixed length" else pa.array([text] * 400)
    if kind == "common prefix in a list":
        values = pa.ListArray.from_arrays(pa.array([0, *range(1, 401)], pa.int32()), values)
    encoded = {} if kind == "fixed length" else {"column_encoding": "DELTA_BYTE_ARRAY", "use_dictionary": False}
    path = tmp_path / "set.parquet"
    table = pa.table({"prompt": pa.array(["b"] * 400), "tags": values})
    pq.write_table(table, path, store_schema=False, compression="zstd", **encoded)
    assert path.stat().st_size < 10_000
    with pytest.raises(SeasDataError, match=r"has 400 rows of .* decompression bomb"):
        read(path, columns={"risk": "tags"})


def test_texts_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{number:06d} {'a door ' * 30}" for number in range(10_000)]  # 2.2 MB; the dictionary ends after 0.1
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"prompt": texts}), path, compression="none", dictionary_pagesize_limit=100_000)
    monkeypatch.setattr(parquet_size, "RATIO_FROM", 1_000)
    monkeypatch.setattr(parquet_size, "MAX_BYTES", 3_000_000)
    require_bounded_parquet(path)
    monkeypatch.setattr(parquet_size, "MAX_BYTES", 2_200_000)
    with pytest.raises(SeasDataError, match="at most 2,200,000 are read; split it"):
        require_bounded_parquet(path)


def test_texts_without_their_common_prefixes_are_read(tmp_path: Path) -> None:
    texts = [f"{'the same beginning ' * 9}{number}" for number in range(2_000)]
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"prompt": texts}), path, use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    assert read(path, columns={}).prompts["text"].to_list() == texts


def test_damaged_metadata_of_a_column_are_an_error(tmp_path: Path) -> None:
    """Arrow ends the process if they are looked at before a row is read."""
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"prompt": ["a door"]}), path, store_schema=False)
    content = path.read_bytes()
    for at in range(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), len(content) - 8):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        with contextlib.suppress(SeasDataError, OSError, pa.ArrowException):
            require_bounded_parquet(path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 10**70], pa.decimal256(76, 0)), ["1", "1" + "0" * 70]),
        (pa.array([1, 2], pa.decimal256(70, 1)).dictionary_encode(), ["1.0", "2.0"]),
        (pa.array([b"ab", b"\xff\xff"], pa.binary(2)), None),
        (pa.array([b"ab", b"\xff\xff"], pa.large_binary()), None),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", "["])), ["{}", "["]),
        (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())), None),
    ],
    ids=["decimal256", "dictionary", "fixed binary", "large binary", "json", "bool8"],
)
def test_ids_of_rare_types_are_texts(tmp_path: Path, values: pa.Array, expected: list[str] | None) -> None:
    pq.write_table(pa.table({"prompt": ["a door is open", "a lamp is on"], "key": values}), tmp_path / "set.parquet")
    found = read(tmp_path / "set.parquet", columns={"id": "key"})
    assert found.prompts.height + found.set_aside.height == 2
    if expected is not None:
        assert found.prompts["source_id"].to_list() == expected
