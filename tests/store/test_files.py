"""Files: Parquet written part by part has the bytes of Parquet written at once; frames are put aside unchanged."""

import resource
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from seas_data.errors import SeasDataError
from seas_data.store import files
from seas_data.text import content_id


@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 1001, 2500])
def test_parquet_written_in_parts_has_the_bytes_of_a_whole_table(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame(
        {
            "id": [f"{row % 7}" for row in range(rows)],
            "text": ["kettle " * (row % 50) for row in range(rows)],
            "vector": [[row / 3, 1.0] for row in range(rows)],
            "messages": [None if row % 3 else [{"role": "user", "content": "tea"}] for row in range(rows)],
        },
        schema={
            "id": pl.String,
            "text": pl.String,
            "vector": pl.List(pl.Float32),
            "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        },
    )
    monkeypatch.setattr(files, "ROWS_PER_GROUP", 1000)
    files.write_parquet(tmp_path / "parts.parquet", frame)
    whole = files._arrow(frame)
    with pq.ParquetWriter(
        tmp_path / "whole.parquet",
        whole.schema,
        compression="zstd",
        use_content_defined_chunking=True,
        write_page_index=True,
    ) as writer:
        if rows:
            writer.write_table(whole, row_group_size=1000)
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_parquet_bytes_do_not_depend_on_the_chunks_of_a_frame(tmp_path: Path) -> None:
    rows = 50_000  # over 1 MB of ids: where the writer ends their dictionary would depend on the chunks
    frame = pl.DataFrame({"id": [content_id("row", row) for row in range(rows)]})
    chunked = pl.concat([frame[start : start + 1_000] for start in range(0, rows, 1_000)], rechunk=False)
    assert chunked.n_chunks() > 1
    files.write_parquet(tmp_path / "one.parquet", frame)
    files.write_parquet(tmp_path / "chunked.parquet", chunked)
    assert (tmp_path / "chunked.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


def test_a_frame_that_is_put_aside_is_read_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_ROWS_PER_GROUP_ASIDE", 2)
    texts = ["a\0b\r\n", "", "wei\u00df \u202e abc", "x" * 100_000, None]
    messages = [[{"role": "user", "content": "tea"}], [], None, None, None]
    frame = pl.DataFrame({"text": texts, "messages": messages})
    path = tmp_path / "stage [1] day=2" / "aside.parquet"
    files.put_aside(path, frame)
    assert pl.read_parquet(path, glob=False).equals(frame)
    assert pq.read_metadata(path).num_row_groups == 3


def test_a_full_disk_is_named_when_a_frame_is_put_aside(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": [content_id("row", row) for row in range(50_000)]})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(SeasDataError, match=r"aside.parquet could not be written \(File too large \(os error"):
            files.put_aside(tmp_path / "aside.parquet", frame)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
