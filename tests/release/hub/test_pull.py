"""Pulling what was pushed, and refusing what was tampered with."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seas_data.errors import SeasDataError
from seas_data.query import explain, summary
from seas_data.query import version as versions
from seas_data.release import publish_log
from seas_data.release.hub.pull import pull
from seas_data.release.hub.push import PushRequest, push
from seas_data.release.visibility import Profile
from seas_data.store import Manifest
from tests.conftest import quick
from tests.hub import Fault, Hub, Repository
from tests.hub.repository import File
from tests.release.conftest import Render

pytestmark = pytest.mark.usefixtures("quick")


def pushed(root: Path, name: str = "v0", tag: str = "1.0.0", profile: Profile = "public") -> None:
    push(versions.open(root).version(name), PushRequest("org/set", tag=tag), profile)


@pytest.mark.parametrize("profile", ["public", pytest.param("gated", marks=pytest.mark.slow)])
def test_a_pulled_version_has_the_digest_that_was_pushed(
    hub: Hub, mine: Path, tmp_path: Path, profile: Profile, rendered: Render
) -> None:
    version = versions.open(mine).version("v1")
    digest = rendered(version, tmp_path / "release", profile, None).digest
    pushed(mine, "v1", profile=profile)
    pulled = pull("org/set@1.0.0", tmp_path / "ws2")
    assert pulled.new
    assert pulled.version.digest == digest
    assert pulled.version.manifest.full_digest == version.digest
    assert pulled.version.workspace.verify(pulled.version.manifest) == []
    assert versions.open(tmp_path / "ws2").version("1.0.0").digest == digest
    assert not pull("org/set@1.0.0", tmp_path / "ws2").new
    assert not pull("org/set", tmp_path / "ws2").new
    assert [each.way for each in publish_log.read(tmp_path / "ws2")] == ["pull", "pull"]
    if profile == "gated":
        for table in version.manifest.tables:
            assert pulled.version.table(table).equals(version.table(table)), table


@pytest.mark.slow
def test_a_pulled_version_answers_as_any_other(hub: Hub, mine: Path, tmp_path: Path) -> None:
    pushed(mine, "v1")
    version = pull("org/set", tmp_path / "ws2").version
    told = summary.describe_version(version)
    assert told["tables"]["prompts"] == versions.open(mine).version("v1").table("prompts").height
    prompt_id = version.table("kept")["prompt_id"][0]
    assert explain.describe_prompt(version, prompt_id)
    assert version.sql("select count(*) as n from runs")["n"][0] == 0
    assert version.sql("select count(*) as n from kept")["n"][0] == version.table("kept").height


@pytest.mark.slow
def test_later_versions_of_the_same_repository_are_added(hub: Hub, mine: Path, tmp_path: Path) -> None:
    for number in range(2):
        pushed(mine, f"v{number}", f"1.{number}.0")
    root = tmp_path / "ws2"
    pull("org/set@1.0.0", root)
    asked = len(hub.log)
    version = pull("org/set@1.1.0", root).version
    assert versions.open(root).versions() == ["v0", "v1"]
    assert version.workspace.verify(version.manifest) == []
    fetched = {
        each.path.rsplit("/", 1)[1] for each in hub.log[asked:] if each.method == "GET" and "/store/" in each.path
    }
    known = versions.open(root).version("v0").manifest
    assert fetched.isdisjoint({shard.sha256 for shards in known.tables.values() for shard in shards})


@pytest.mark.slow
def test_a_pull_records_the_other_tags_of_the_repository(hub: Hub, mine: Path, tmp_path: Path) -> None:
    for number in range(2):
        pushed(mine, f"v{number}", f"1.{number}.0")
    pull("org/set@1.1.0", tmp_path / "ws2")
    pull("org/set@1.1.0", tmp_path / "ws2")
    known = publish_log.read(tmp_path / "ws2")
    tags = hub.repository("datasets", "org/set").tags
    assert [(each.way, each.tag, each.commit) for each in known] == [
        ("pull", "1.1.0", tags["1.1.0"]),
        ("seen", "1.0.0", tags["1.0.0"]),
    ]


@pytest.mark.slow
def test_a_workspace_with_other_versions_is_refused(hub: Hub, mine: Path, tmp_path: Path) -> None:
    pushed(mine)
    before = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    with pytest.raises(SeasDataError, match=r"holds v0, v1, v2, which did not come from org/set; pull into a"):
        pull("org/set@1.0.0", mine)
    assert {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == before
    pushed(mine, "v1", "1.1.0")
    root = tmp_path / "ws2"
    pull("org/set@1.1.0", root)
    held = hub.repository("datasets", "org/set")
    replace(held, lambda content: content | {"iteration": 7})
    with pytest.raises(SeasDataError, match=r"holds another v1 of org/set"):
        pull("org/set", root)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("x")
    with pytest.raises(SeasDataError, match="is not empty and not a workspace"):
        pull("org/set", tmp_path / "full")


@pytest.mark.slow
def test_an_interrupted_pull_is_resumed(hub: Hub, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed(mine)
    root = tmp_path / "ws2"
    hub.faults.append(Fault("GET", "^/store/", status=500, skip=6, times=99))
    with pytest.raises(SeasDataError, match="failed to answer"):
        pull("org/set@1.0.0", root)
    assert versions.open(root).versions() == [] and not (root / "shards").exists()
    hub.faults.clear()
    there = {path.stem for path in (root / "pull").rglob("*.parquet")}
    assert there
    asked = len(hub.log)
    assert pull("org/set@1.0.0", root).new
    fetched = [
        each.path.rsplit("/", 1)[1] for each in hub.log[asked:] if each.method == "GET" and "/store/" in each.path
    ]
    assert there.isdisjoint(fetched)
    assert not (root / "pull").exists()


@pytest.mark.slow
def test_a_dropped_download_is_resumed_within_the_pull(hub: Hub, mine: Path, tmp_path: Path) -> None:
    pushed(mine)
    hub.faults.append(Fault("GET", "^/store/", drop_after=700, skip=2, times=3))
    assert pull("org/set@1.0.0", tmp_path / "ws2").new


# What is not to be trusted ---------------------------------------------------------------------------------------


def replace(repository: Repository, change: Callable[[dict[str, Any]], dict[str, Any]], *, sign: bool = True) -> None:
    """Put a changed manifest into the repository; ``sign``: with the digest that its new content has."""
    content = change(json.loads(repository.content("manifest.json")))
    if sign:
        content["digest"] = Manifest.model_validate(content).computed_digest()
    repository.commit("main", "changed", "", "owner", files={"manifest.json": json.dumps(content).encode()})


def shard_of(content: dict[str, Any], table: str = "prompts") -> dict[str, Any]:
    return content["tables"][table][0]  # type: ignore[no-any-return]


def with_shard(table: str = "prompts", **fields: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(content: dict[str, Any]) -> dict[str, Any]:
        shard_of(content, table).update(fields)
        return content

    return change


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "a table that leads elsewhere": (
        lambda content: content | {"tables": content["tables"] | {"../../../tmp/out": content["tables"]["prompts"]}},
        "its tables are unknown to this version of seas-data",
    ),
    "a shard that leads elsewhere": (with_shard(sha256="../../../../tmp/out"), "the name of a shard is not a SHA-256"),
    "a shard of letters": (with_shard(sha256="A" * 64), "the name of a shard is not a SHA-256"),
    "a shard that is not there": (with_shard(sha256="0" * 64), "lacks tables/prompts/0000"),
    "a huge shard": (with_shard(bytes=10**18), "does not match its manifest"),
    "a negative size": (with_shard(bytes=-1), "a shard has no valid size"),
    "a size in words": (with_shard(bytes="many"), "is not a valid manifest"),
    "a version that leads elsewhere": (lambda content: content | {"version": "../v0"}, "its version is not v0"),
    "a parent that leads elsewhere": (lambda content: content | {"parent": "../../v0"}, "its parent is not v0"),
    "itself for a parent": (lambda content: content | {"parent": content["version"]}, "is not an earlier version"),
    "a later one for a parent": (lambda content: content | {"parent": "v7"}, "is not an earlier version"),
    "no profile": (lambda content: content | {"profile": None}, "profile is not public or gated"),
    "another format": (lambda content: content | {"format": 9}, "has format 9, which is newer"),
    "a recipe that leads elsewhere": (
        lambda content: content | {"recipe": content["recipe"] | {"name": "../../x"}},
        "its recipe has no name",
    ),
    "a recipe of keys that are none": (
        lambda content: content | {"recipe": content["recipe"] | {"sources": {"x": {"path": 7}}}},
        "its recipe is not valid for this version of seas-data",
    ),
    "a list": (lambda content: content | {"tables": []}, "is not a valid manifest"),
    "rows that are not there": (with_shard(rows=10**6), "does not hold rows of the table prompts"),
}


@pytest.mark.parametrize("name", quick(6, HOSTILE))
def test_a_hostile_manifest_writes_no_file(hub: Hub, mine: Path, tmp_path: Path, name: str) -> None:
    change, sentence = HOSTILE[name]
    pushed(mine)
    before = {path for path in tmp_path.rglob("*") if "ws2" not in path.parts}
    try:
        replace(hub.repository("datasets", "org/set"), change)
    except ValueError:
        replace(hub.repository("datasets", "org/set"), change, sign=False)
    with pytest.raises(SeasDataError, match=sentence):
        pull("org/set", tmp_path / "ws2")
    assert {path for path in tmp_path.rglob("*") if "ws2" not in path.parts} == before
    assert not list((tmp_path / "ws2").rglob("shards/*/*")) and not list((tmp_path / "ws2").rglob("versions/*"))


def test_a_repository_without_a_release_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["datasets", "org/other"] = Repository("datasets", "org/other")
    for name, sentence in (
        ("org/other", "has no manifest.json"),
        ("org/none", "the dataset org/none does not exist"),
        ("org/other@2.0.0", r"no tag, branch or commit 2\.0\.0; its newest tags: none"),
        ("org/other@", "write a tag, branch or commit"),
        ("../../etc", "is not a repository name"),
    ):
        with pytest.raises(SeasDataError, match=sentence):
            pull(name, tmp_path / "ws2")
    big = Repository("datasets", "org/big")
    big.commit("main", "x", "", "x", files={"manifest.json": b"{}"})
    big.branches["main"] = big.commit("main", "y", "", "x").id
    big.head().tree["manifest.json"] = File("0" * 40, 10**12)
    hub.repositories["datasets", "org/big"] = big
    with pytest.raises(SeasDataError, match="is too large to be one"):
        pull("org/big", tmp_path / "ws2")
    deep = Repository("datasets", "org/deep")
    deep.commit("main", "x", "", "x", files={"manifest.json": b"[" * 100_000})
    hub.repositories["datasets", "org/deep"] = deep
    with pytest.raises(SeasDataError, match="is not a valid manifest"):
        pull("org/deep", tmp_path / "ws2")
    assert not (tmp_path / "ws2").exists()


@pytest.mark.slow
def test_a_gated_repository_names_the_page_to_request_access(
    hub: Hub, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(versions.open(mine).version("v0"), PushRequest("org/set", tag="1.0.0", public=True), "gated")
    monkeypatch.setenv("HF_TOKEN", hub.reader)
    with pytest.raises(SeasDataError, match=r"org/set is gated .*request access at http.*/datasets/org/set"):
        pull("org/set@1.0.0", tmp_path / "ws2")
    hub.repository("datasets", "org/set").let_in.add("reader")
    assert pull("org/set@1.0.0", tmp_path / "ws2").new


def swap(
    repository: Repository, table: str, content: bytes, *, named: str | None = None, rows: int | None = None
) -> None:
    """Put another file in the place of a table's first shard; ``named``: under this SHA-256, in the manifest too."""
    manifest = json.loads(repository.content("manifest.json"))
    shard = shard_of(manifest, table)
    old = f"tables/{table}/{shard['sha256']}.parquet"
    if named is None:  # the storage itself gives other bytes than it says
        repository.large[shard["sha256"]] = content.ljust(shard["bytes"], b"x")[: shard["bytes"]]
        return
    shard |= {"sha256": named, "bytes": len(content), "rows": shard["rows"] if rows is None else rows}
    repository.large[named] = content
    manifest["digest"] = Manifest.model_validate(manifest).computed_digest()
    repository.commit(
        "main",
        "swapped",
        "",
        "owner",
        files={"manifest.json": json.dumps(manifest).encode()},
        large={f"tables/{table}/{named}.parquet": (named, len(content))},
        deleted=[old],
    )


def test_a_file_with_another_hash_is_refused_before_any_is_moved(hub: Hub, mine: Path, tmp_path: Path) -> None:
    pushed(mine)
    repository = hub.repository("datasets", "org/set")
    kept = dict(repository.large)
    swap(repository, "prompts", b"PAR1 not what it was")
    with pytest.raises(SeasDataError, match=r"tables/prompts/.* does not match its SHA-256"):
        pull("org/set@1.0.0", tmp_path / "ws2")
    assert not list((tmp_path / "ws2").rglob("shards/*/*")) and versions.open(tmp_path / "ws2").versions() == []
    repository.large.update(kept)
    assert pull("org/set@1.0.0", tmp_path / "ws2").new


@pytest.mark.parametrize("what", quick(2, ["no parquet", "other columns", "other types", "other ids"]))
def test_a_file_of_other_rows_is_refused(hub: Hub, mine: Path, tmp_path: Path, what: str) -> None:
    pushed(mine)
    repository = hub.repository("datasets", "org/set")
    rows = pl.read_parquet(io.BytesIO(next(content for content in repository.large.values() if b"PAR1" in content)))
    output = io.BytesIO()
    if what == "other columns":
        pl.DataFrame({"answer": ["x"]}).write_parquet(output)
    elif what == "other types":
        prompts = json.loads(repository.content("manifest.json"))["tables"]["prompts"][0]["sha256"]
        rows = pl.read_parquet(io.BytesIO(repository.large[prompts]))
        rows.with_columns(priority=pl.lit("first")).write_parquet(output)
    elif what == "other ids":
        prompts = json.loads(repository.content("manifest.json"))["tables"]["prompts"][0]["sha256"]
        rows = pl.read_parquet(io.BytesIO(repository.large[prompts]))
        rows.with_columns(prompt_id=pl.col("prompt_id") + "\x1b[2J").write_parquet(output)
    else:
        output.write(b"PAR1" + b"x" * 100)
    content = output.getvalue()
    swap(repository, "prompts", content, named=hashlib.sha256(content).hexdigest())
    with pytest.raises(
        SeasDataError, match=r"is not a Parquet file|does not hold rows of the table prompts|has malformed ids"
    ):
        pull("org/set", tmp_path / "ws2")
    assert not list((tmp_path / "ws2").rglob("shards/*/*"))


@pytest.mark.parametrize("what", quick(1, ["one long text", "equal rows"]))
def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(
    hub: Hub, mine: Path, tmp_path: Path, what: str
) -> None:
    """Dictionary encoding stores equal values once: 100 texts of 10 MB, or five million rows, in a few kilobytes."""
    pushed(mine)
    repository = hub.repository("datasets", "org/set")
    stored = json.loads(repository.content("manifest.json"))["tables"]["prompts"][0]["sha256"]
    row = pq.read_table(io.BytesIO(repository.large[stored])).slice(0, 1)
    texts = pa.array(["a" * 10_000_000 if what == "one long text" else "a"])
    count = 100 if what == "one long text" else 5_000_000
    columns = {
        name: pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), texts)
        if name == "text"
        else pa.nulls(count, row.schema.field(name).type)
        for name in row.column_names
    }
    output = io.BytesIO()
    pq.write_table(pa.table(columns), output, store_schema=False, dictionary_pagesize_limit=1 << 30)
    content = output.getvalue()
    assert len(content) < 1_000_000
    swap(repository, "prompts", content, named=hashlib.sha256(content).hexdigest(), rows=count)
    with pytest.raises(SeasDataError, match=r"tables/prompts/.* unpacks to far more than its size, so nothing"):
        pull("org/set", tmp_path / "ws2")
    assert not list((tmp_path / "ws2").rglob("shards/*/*"))
