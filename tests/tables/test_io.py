"""Shards are read in parts of rows, and checked as a whole."""

from pathlib import Path

import polars as pl
import pytest

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.tables import io


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "ROWS_PER_PART", 2)


def write_splits(path: Path, *ids: str) -> Path:
    rows = pl.DataFrame({"prompt_id": ids, "split": "train", "group_id": ids}, schema=tables.empty("splits").schema)
    rows.write_parquet(path)
    return path


@pytest.mark.parametrize("ids", [(), ("a",), ("a", "b"), ("a", "b", "c", "d", "e")])
def test_parts_are_the_rows_of_the_shard_in_order(tmp_path: Path, ids: tuple[str, ...]) -> None:
    path = write_splits(tmp_path / "x.parquet", *ids)
    parts = list(tables.read_parts("splits", path, ["group_id", "prompt_id"]))
    assert [part.height for part in parts] == [len(ids[at : at + 2]) for at in range(0, max(1, len(ids)), 2)]
    assert pl.concat(parts).equals(tables.read("splits", path, ["group_id", "prompt_id"]))


def test_a_column_that_a_shard_lacks_is_null_in_each_part(tmp_path: Path) -> None:
    pl.DataFrame({"prompt_id": ["a", "b", "c"]}).write_parquet(tmp_path / "x.parquet")
    parts = list(tables.read_parts("splits", tmp_path / "x.parquet", ["split", "prompt_id"]))
    assert [part.rows() for part in parts] == [[(None, "a"), (None, "b")], [(None, "c")]]
    assert parts[0].schema == parts[1].schema == {"split": pl.String, "prompt_id": pl.String}


def test_a_key_that_is_repeated_in_another_part_is_found(tmp_path: Path) -> None:
    tables.check_shard("splits", write_splits(tmp_path / "x.parquet", "a", "b", "c"))
    with pytest.raises(SeasDataError, match="2 rows share their prompt_id"):
        tables.check_shard("splits", write_splits(tmp_path / "y.parquet", "a", "b", "a"))


def test_a_value_in_a_later_part_is_checked(tmp_path: Path) -> None:
    path = write_splits(tmp_path / "x.parquet", "a", "b", "c")
    odd = pl.col("prompt_id") == "c"
    pl.read_parquet(path).with_columns(split=pl.when(odd).then(pl.lit("odd")).otherwise("split")).write_parquet(path)
    with pytest.raises(SeasDataError, match="does not fit its schema"):
        tables.check_shard("splits", path)
