"""What to review: a cluster, the result of a query, a selection of a map, and what the steps were unsure of."""

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.report import explore
from seas_data.review import choice
from tests.program import called


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version("v2")


def test_a_cluster_is_its_kept_prompts(version: Version) -> None:
    clusters = version.table("clusters").join(version.table("kept"), on="prompt_id", how="semi")
    number = clusters["cluster"].mode()[0]
    expected = clusters.filter(cluster=number)["prompt_id"].sort().to_list()
    assert choice.choose_cluster(version, number)["prompt_id"].to_list() == expected
    with pytest.raises(SeasDataError, match="cluster 9999 of v2 has no prompts"):
        choice.choose_cluster(version, 9999)


@pytest.mark.slow
def test_a_query_may_return_any_prompts_and_change_nothing(version: Version, tmp_path: Path) -> None:
    path = tmp_path / "thin.sql"
    path.write_text("select distinct prompt_id, 1 as more from dropped order by 1 limit 5")
    assert choice.choose_query(version, path).height == 5
    for text, message in (
        ("select 'f' as prompt_id", "1 ids that no prompt of v2 has, such as 'f'"),
        ("select text from kept", "no column prompt_id"),
        ("copy kept to 'x.csv'", "."),
    ):
        path.write_text(text)
        with pytest.raises(SeasDataError, match=message):
            choice.choose_query(version, path)
    with pytest.raises(SeasDataError, match="there is no query"):
        choice.choose_query(version, tmp_path / "none.sql")


def test_a_selection_is_read_in_the_formats_that_maps_write(version: Version, tmp_path: Path) -> None:
    rows = version.table("kept").head(3).select("prompt_id", "text", "kind")
    ids = rows["prompt_id"].to_list()
    rows.write_csv(tmp_path / "picked.csv")
    rows.write_parquet(tmp_path / "picked.parquet")
    (tmp_path / "picked.json").write_text(json.dumps(rows.to_dicts()))
    rows.write_ndjson(tmp_path / "picked.jsonl")
    for ending in ("csv", "parquet", "json", "jsonl"):
        assert choice.choose_selection(version, tmp_path / f"picked.{ending}")["prompt_id"].to_list() == ids
    broken = {"a.csv": "text\nx\n", "b.json": "{}", "c.json": "[", "d.jsonl": "1\n", "e.parquet": "x", "f.txt": "x"}
    broken |= {"g.json": '[{"prompt_id": 1}]', "h.csv": ""}
    for name, content in broken.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(SeasDataError):
            choice.choose_selection(version, tmp_path / name)


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        ("json", "format json, array true"),
        ("jsonl", "format json"),
        ("csv", "format csv"),
        ("parquet", "format parquet"),
    ],
)
def test_a_selection_of_embedding_atlas_is_read(version: Version, tmp_path: Path, ending: str, form: str) -> None:
    """embedding-atlas 0.26 saves selection-TIME.FORMAT: all columns of our file and its own, by DuckDB's COPY."""
    rows = explore.atlas_frame(version).head(4)
    texts = ["two\nlines, and \u2028 more \x85 of them", '"quoted", with a comma', "=1+1", None]
    rows = rows.with_columns(text=pl.Series(texts, dtype=pl.String), __row_index__=pl.int_range(pl.len()))
    path = tmp_path / f"selection-1764432000000.{ending}"
    duckdb.sql(f"copy (select * from rows) to '{path}' ({form})")
    assert choice.choose_selection(version, path)["prompt_id"].to_list() == rows["prompt_id"].to_list()


def test_what_the_steps_were_unsure_of_comes_from_each_reason(made: Path, version: Version, tmp_path: Path) -> None:
    rows = choice.choose_uncertain(version)
    assert rows["prompt_id"].is_unique().all()
    near = version.table("decisions").filter(
        (pl.col("score") - pl.col("threshold")).abs() <= choice.NEAR_THRESHOLD, pl.col("reason") != "manual"
    )
    assert set(near["prompt_id"]) <= set(rows["prompt_id"])
    assert "judges disagree" in rows["why"].to_list()
    path = tmp_path / "unsure.csv"
    ended = called("review", "v2", "--uncertain", "--sample", 12, "-o", path, "--workspace", made)
    assert ended.returncode == 0, ended.stderr
    assert "Wrote 12 prompts" in ended.stdout
    for wrong in (("--responses", "--cluster", 1), ("--uncertain", "--cluster", 1)):
        ended = called("review", "v2", *wrong, "-o", path, "--workspace", made)
        assert ended.returncode == 2
        assert "drawn at random" in ended.stderr
