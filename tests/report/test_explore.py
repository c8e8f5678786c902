"""The map for embedding-atlas: its file has the shape that tool reads, and the neighbours are those of brute force."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import seas_data as sd
from seas_data.report import explore
from seas_data.store import open_workspace
from seas_data.tables import TABLES
from tests import made as made_up
from tests.test_cli import refused, said


@pytest.fixture(scope="module")
def written(made: Path, tmp_path_factory: pytest.TempPathFactory) -> explore.AtlasFile:
    return explore.write_atlas(sd.open(made).version(), tmp_path_factory.mktemp("a map") / "of it")


def test_the_file_has_the_columns_that_embedding_atlas_reads(written: explore.AtlasFile) -> None:
    schema = pq.read_schema(written.path)
    assert {str(schema.field(name).type) for name in ("x", "y")} == {"float"}
    assert str(schema.field("text").type) == "string"
    kind = schema.field("neighbours").type
    assert [kind.field(place).name for place in range(kind.num_fields)] == ["ids", "distances"]
    assert (str(kind.field(0).type.value_type), str(kind.field(1).type.value_type)) == ("int64", "double")


def test_it_has_every_kept_prompt_with_a_place_and_no_response(written: explore.AtlasFile, made: Path) -> None:
    version = sd.open(made).version()
    rows = pl.read_parquet(written.path)
    kept = version.table("kept")
    placed = kept.join(version.table("clusters"), on="prompt_id", how="semi")
    assert rows["prompt_id"].to_list() == placed["prompt_id"].sort().to_list()
    assert (written.rows, written.without_coordinates) == (placed.height, kept.height - placed.height)
    assert dict(rows.select("prompt_id", "text").iter_rows()) == dict(placed.select("prompt_id", "text").iter_rows())
    content = written.path.read_bytes()
    assert not [text for text in version.table("responses")["text"].drop_nulls().unique() if text.encode() in content]


def test_neighbours_are_rows_of_the_file_nearest_first(written: explore.AtlasFile, made: Path) -> None:
    rows = pl.read_parquet(written.path)
    vectors = sd.open(made).version().table("embeddings")
    ordered = rows.select("prompt_id").join(vectors, on="prompt_id", how="left", maintain_order="left")["vector"]
    matrix = np.stack([np.array(vector, dtype=np.float64) for vector in ordered])
    cosine = np.minimum(matrix @ matrix.T, 1.0)
    np.fill_diagonal(cosine, -9)
    best = -np.sort(-cosine, axis=1)[:, : explore.NEIGHBOURS]
    told = rows["neighbours"].struct.unnest()
    ids, distances = np.stack(told["ids"].to_list()), np.stack(told["distances"].to_list())
    assert ids.shape == (rows.height, explore.NEIGHBOURS)
    np.testing.assert_allclose(1 - distances, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosine, ids, axis=1), best, atol=1e-6)
    assert (distances >= 0).all()
    assert (np.diff(distances, axis=1) >= 0).all()


def test_of_many_prompts_a_stated_sample_is_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "POINTS", 60)
    version = sd.open(made).version()
    some = explore.write_atlas(version, tmp_path / "some")
    clusters = version.table("clusters").join(version.table("kept"), on="prompt_id", how="semi")
    assert some.with_coordinates == clusters.height > 60 >= some.rows
    ids = pl.read_parquet(some.path)["prompt_id"]
    assert set(clusters.join(ids.to_frame(), on="prompt_id")["cluster"]) == set(clusters["cluster"])
    assert f"{some.rows} of {clusters.height:,} (the same proportion of each cluster) kept prompts" in said(
        "explore", "--workspace", made, "-o", tmp_path / "map"
    )


def test_the_same_version_gives_the_same_bytes(written: explore.AtlasFile, made: Path, tmp_path: Path) -> None:
    assert explore.write_atlas(sd.open(made).version(), tmp_path).path.read_bytes() == written.path.read_bytes()


def test_the_command_is_one_line_that_a_shell_reads_as_meant(written: explore.AtlasFile) -> None:
    assert "'" in written.command, "the folder's name has a blank"
    assert written.command.startswith("uvx embedding-atlas@")
    assert written.command.endswith("--text text --x x --y y --neighbors neighbours")


@pytest.mark.slow
def test_the_cli_prints_it_and_says_what_a_version_without_a_map_lacks(made: Path, tmp_path: Path) -> None:
    told = json.loads(said("explore", "--workspace", made, "-o", tmp_path / "map", "--json"))
    assert Path(told["path"]).exists()
    assert told["command"] in said("explore", "--workspace", made, "-o", tmp_path / "map")
    version = sd.open(made).version("v0")
    frames = {name: version.table(name).clear() if name == "clusters" else version.table(name) for name in TABLES}
    place = open_workspace(tmp_path / "ws", create=True)
    made_up._commit(place, made_up.recipe(), None, frames, ("write",))
    assert "no kept prompt of v0 has map coordinates" in refused(
        "explore", "--workspace", tmp_path / "ws", "-o", tmp_path / "b"
    )
