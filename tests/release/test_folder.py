"""The folder is what a profile holds and nothing else, the same bytes every time, and it verifies on its own."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from seas_data import tables
from seas_data.cli import app
from seas_data.errors import SeasDataError
from seas_data.query import version
from seas_data.query.version import Version
from seas_data.release import folder as folders
from seas_data.release.folder import checkout
from seas_data.store import Manifest, files, open_workspace
from seas_data.store import workspace as store
from seas_data.store.stages import RUNS
from tests import made as maker
from tests.conftest import quick
from tests.program import PROGRAM


def manifest_of(folder: Path) -> Manifest:
    return Manifest.model_validate_json((folder / "manifest.json").read_bytes())


def shards_of(folder: Path, table: str) -> pl.DataFrame:
    paths = [folder / "tables" / table / f"{shard.sha256}.parquet" for shard in manifest_of(folder).tables[table]]
    return pl.concat([pl.read_parquet(path) for path in paths])


def content(folder: Path) -> dict[str, str]:
    """Return the hash of every file."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in paths}


def placed(folder: Path, root: Path) -> Version:
    """Put a release into a workspace of its own, as a pull does."""
    workspace = open_workspace(root, create=True)
    manifest = manifest_of(folder)
    shutil.copytree(folder / "tables", root / "shards", dirs_exist_ok=True)
    workspace.commit(manifest, pl.DataFrame(schema=RUNS))
    return Version(workspace, workspace.manifest(manifest.version))


@pytest.fixture(autouse=True)
def blank_card(public: Path, gated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card takes longer than all the rest, and has tests of its own: these two folders have it, others do not."""
    monkeypatch.setattr(folders.card, "dataset_files", lambda *_: {"README.md": "a card\n"})


@pytest.fixture
def newest(made: Path) -> Version:
    return version.open(made).version()


@pytest.mark.slow
def test_the_folder_may_be_the_current_directory(
    newest: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    monkeypatch.chdir(here)
    folders.checkout(newest, Path())
    assert (here / "README.md").exists() and list(tmp_path.iterdir()) == [here]


@pytest.mark.parametrize("profile", ["public", "gated"])
def test_a_release_can_be_verified_on_its_own_and_names_its_version(
    profile: str, newest: Version, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(profile)
    release = placed(folder, tmp_path / "ws")
    assert release.workspace.verify(release.manifest) == []
    assert release.manifest.profile == profile
    assert release.manifest.full_digest == newest.digest
    assert release.digest == manifest_of(folder).digest != newest.digest
    assert release.manifest.parent == newest.manifest.parent
    listed = {f"tables/{table}/{s.sha256}.parquet" for table, each in release.manifest.tables.items() for s in each}
    assert {name for name in content(folder) if name.startswith("tables/")} == listed
    redacted = ("text", "goal", "label_source", "detail")  # which the public profile withholds in some rows
    for table in ("kept", "decisions", "metrics"):
        rows, full_rows = (each.table(table).drop(redacted, strict=False) for each in (release, newest))
        assert rows.sort(rows.columns).equals(full_rows.sort(rows.columns))


def test_the_gated_release_has_the_shards_of_the_version(newest: Version, gated: Path) -> None:
    assert manifest_of(gated).tables == newest.manifest.tables
    assert manifest_of(gated).withheld == []


def test_the_public_manifest_lists_withheld_shards_with_reasons(newest: Version, public: Path) -> None:
    manifest = manifest_of(public)
    told = {(each.table, each.sha256): each for each in manifest.withheld}
    held = {(table, shard.sha256) for table, shards in manifest.tables.items() for shard in shards}
    for table, shards in newest.manifest.tables.items():
        for shard in shards:
            if (table, shard.sha256) in held:
                assert (table, shard.sha256) not in told
            else:
                entry = told.pop((table, shard.sha256))
                assert len(entry.because.split()) > 3
                assert entry.instead is None or (table, entry.instead) in held
    assert told == {}
    assert {each.table for each in manifest.withheld if each.instead is None} == {"expected"}


def test_no_response_and_no_holdout_text_is_anywhere_in_the_public_release(newest: Version, public: Path) -> None:
    """Searched in every file as bytes of its columns, not through the views."""
    responses = set(newest.table("responses")["text"].drop_nulls())
    holdout = set(newest.table("prompts").filter(role="holdout")["text"])
    assert len(responses) > 100 and len(holdout) > 5
    for path in public.rglob("*.parquet"):
        strings = set(_strings(pl.read_parquet(path)))
        assert not strings & responses, path
        assert not strings & holdout, path
    assert shards_of(public, "responses")["text"].null_count() == newest.table("responses").height
    assert newest.table("verdicts")["raw"].null_count() < newest.table("verdicts").height
    assert shards_of(public, "verdicts")["raw"].null_count() == newest.table("verdicts").height
    assert shards_of(public, "prompts").filter(role="holdout")["text"].null_count() == len(holdout)
    assert set(shards_of(public, "pairs")["role"]) == {"red"}
    assert not (public / "tables" / "expected").exists()
    for table, shards in manifest_of(public).tables.items():
        if shards:
            tables.cast(table, shards_of(public, table))


def _strings(frame: pl.DataFrame) -> list[str]:
    found: list[str] = []
    for column in frame.iter_columns():
        while isinstance(column.dtype, pl.List):
            column = column.explode()
        if isinstance(column.dtype, pl.Struct):
            found += _strings(column.struct.unnest())
        elif column.dtype == pl.String:
            found += column.drop_nulls().to_list()
    return found


@pytest.mark.slow
def test_two_checkouts_are_the_same_bytes_in_another_process_too(made: Path, public: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    command = [*PROGRAM, "checkout", "v2", str(again), "--workspace", str(made)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert content(again) == content(public)


@pytest.mark.slow
def test_a_shard_is_redacted_to_the_same_bytes_in_every_version(made: Path, public: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "v1"
    checkout(version.open(made).version("v1"), earlier)
    of_v1, of_v2 = ({each.sha256: each.instead for each in manifest_of(each).withheld} for each in (earlier, public))
    assert len(of_v1) == 7
    assert of_v1.items() <= of_v2.items()
    names = [{name for name in content(each) if name.startswith("tables/")} for each in (earlier, public)]
    assert names[0] < names[1], "of the tables only new shards travel"


@pytest.mark.slow
@pytest.mark.parametrize("profile", quick(1, ["public", "gated"]))
def test_a_release_of_a_pulled_release_is_the_same(
    profile: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(profile)
    release = placed(folder, tmp_path / "ws")
    checkout(release, tmp_path / "again", profile)
    first, second = content(folder), content(tmp_path / "again")
    # The card is of the full version, and says less of one that lacks texts.
    assert {name for name in first if first[name] != second.get(name)} == {
        name for name in first if name == "README.md" or name.startswith("assets/")
    }


def changed_shards(folder: Path, other: Path) -> list[str]:
    """Return the tables of which two releases have different shards."""
    return [table for table, shards in manifest_of(folder).tables.items() if shards != manifest_of(other).tables[table]]


@pytest.mark.slow
def test_the_public_release_can_be_made_of_the_gated_one_but_not_the_other_way(
    made: Path, public: Path, gated: Path, tmp_path: Path, without_card: None
) -> None:
    pulled = placed(gated, tmp_path / "gated")
    checkout(pulled, tmp_path / "other", "public")
    assert changed_shards(tmp_path / "other", public) == ["relabels"], "the reviewers' pseudonyms"
    shutil.copy(made / "reviewers.json", tmp_path / "gated" / "reviewers.json")
    checkout(pulled, tmp_path / "public", "public")
    assert manifest_of(tmp_path / "public").digest == manifest_of(public).digest
    with pytest.raises(SeasDataError, match="is a public release and lacks parts of"):
        checkout(placed(public, tmp_path / "ws"), tmp_path / "more", "gated")
    assert not (tmp_path / "more").exists()


@pytest.mark.slow
def test_a_release_may_stand_without_its_parent_but_not_beside_another_one(
    made: Path, public: Path, tmp_path: Path, without_card: None
) -> None:
    checkout(version.open(made).version("v1"), tmp_path / "v1")
    placed(tmp_path / "v1", tmp_path / "ws")
    both = placed(public, tmp_path / "ws")
    assert both.workspace.verify(both.manifest) == []
    assert both.workspace.lineage(both.manifest) == ["v1", "v2"]  # v1's own parent is not here
    other = open_workspace(Path(shutil.copytree(made, tmp_path / "other")))
    changed = other.manifest("v1").model_copy(update={"recipe": other.manifest("v1").recipe | {"description": "?"}})
    checkout(Version(other, other.commit(changed, pl.DataFrame(schema=RUNS))), tmp_path / "other-v1")
    placed(tmp_path / "other-v1", tmp_path / "mixed")
    mixed = placed(public, tmp_path / "mixed")
    assert mixed.workspace.verify(mixed.manifest) == ["versions/v1.json: this is not the parent that v2 was built on"]


def test_a_changed_manifest_of_a_release_does_not_verify(public: Path, tmp_path: Path) -> None:
    release = placed(public, tmp_path / "ws")
    path = tmp_path / "ws" / "versions" / "v2.json"
    for key, value in (("profile", "gated"), ("full_digest", "0" * 64), ("withheld", [])):
        forged = json.loads(path.read_text()) | {key: value}
        manifest = Manifest.model_validate(forged)
        assert "its digest does not match its content" in release.workspace.verify(manifest)[0], key


def test_a_version_s_own_manifest_is_written_and_digested_as_ever(newest: Version) -> None:
    written = json.loads((newest.workspace.root / "versions" / "v2.json").read_text())
    assert not {"profile", "full_digest", "withheld"} & written.keys()
    covered = {
        "format": written["format"],
        "folding": written["folding"],
        "iteration": written["iteration"],
        "parent": written["parent_digest"],
        "recipe": written["recipe"],
        "tables": {table: [shard["sha256"] for shard in shards] for table, shards in written["tables"].items()},
    }
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    assert written["digest"] == hashlib.sha256(text.encode()).hexdigest()


def test_nothing_is_built_on_a_release_that_withholds_texts(public: Path, tmp_path: Path) -> None:
    from seas_data.run import build

    placed(public, tmp_path / "ws")
    with pytest.raises(SeasDataError, match="v2 is a public release, which withholds texts"):
        build(maker.recipe(), tmp_path / "ws")


def test_the_story_of_a_prompt_whose_text_is_withheld_is_told_without_it(public: Path, tmp_path: Path) -> None:
    release = placed(public, tmp_path / "ws")
    chosen = release.select("select prompt_id from prompts where text is null order by 1 limit 1").item()
    for more in ([], ["--reveal"]):
        said = CliRunner().invoke(app, ["why", chosen, "--workspace", str(tmp_path / "ws"), *more])
        assert said.exception is None, said.exception
        assert "(withheld from this release)" in said.stdout


def test_an_existing_folder_is_kept_and_a_failed_checkout_leaves_no_files(
    newest: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    with pytest.raises(SeasDataError, match="already exists"):
        checkout(newest, tmp_path / "mine")
    monkeypatch.setattr(folders, "_write_splits", _full_disk)
    with pytest.raises(OSError, match="no space"):
        checkout(newest, tmp_path / "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def _full_disk(*_: object) -> None:
    raise OSError("no space left on device")


def test_a_damaged_version_is_not_released(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "ws"))
    newest = version.open(root).version()
    path = newest.paths()["responses"][0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SeasDataError, match="do not verify"):
        checkout(newest, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_a_release_contains_no_secrets_and_no_local_paths(made: Path, tmp_path: Path) -> None:
    """A recipe may hold both; every file of the release is searched, packed ones unpacked."""
    root = Path(shutil.copytree(made, tmp_path / "home" / "alice" / "ws"))
    workspace = open_workspace(root)
    old = workspace.manifest("v2")
    content = json.loads(json.dumps(old.recipe))
    content["description"] = "Built from /home/alice/prompts/set.jsonl with sk-abcdefghijklmnopqrstuvwx."
    content["models"]["guard"] = {
        "backend": "http",
        "model": "/srv/models/guard-8b",
        "url": "http://alice:pw@gpu7.corp.example:8000/v1?key=abc",
        "extra_body": {"api_key": "verysecret1", "extra_headers": {"X-Auth": "verysecret2"}, "user": "alice-7"},
    }
    content["models"]["red"]["chat_template"] = "/home/alice/templates/red.jinja"
    content["training"]["red"]["trl_options"] = {"deepspeed": "/home/alice/zero.json", "hub_token": "verysecret3"}
    changed = workspace.commit(old.model_copy(update={"recipe": content}), pl.DataFrame(schema=RUNS))
    hidden = ["alice", "verysecret", "corp.example", "/srv", "pw@", "sk-abc", str(tmp_path)]
    for profile in ("public", "gated"):
        folder = tmp_path / profile
        checkout(Version(workspace, changed), folder, profile)
        for path in folder.rglob("*"):
            if path.suffix == ".parquet":
                text = "\n".join(_strings(pl.read_parquet(path)))
            else:
                text = path.read_text() if path.is_file() else ""
            for secret in hidden:
                if not (secret == "alice" and path.suffix == ".parquet"):
                    assert secret not in text.replace("alice-7", ""), (path, secret)
        recipe = manifest_of(folder).recipe
        assert recipe["models"]["guard"]["model"] == "guard-8b"
        assert recipe["models"]["red"]["chat_template"] == "red.jinja"
        assert recipe["training"]["red"]["trl_options"] == {"deepspeed": "zero.json", "hub_token": "withheld"}
        assert store.Workspace(root).manifest("v2").recipe == content, "the workspace keeps its own"


def test_shards_contain_no_local_paths(example: Path, tmp_path: Path) -> None:
    """Of a real build, whose sources are files."""
    checkout(version.open(example).version(), tmp_path / "release", "gated")
    place = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|private|var)/\w+")
    for path in (tmp_path / "release").rglob("*.parquet"):
        for text in _strings(pl.read_parquet(path).drop("text", "payload", strict=False)):
            assert not place.search(text), (path, text)


@pytest.mark.slow
def test_the_command_prints_the_folder_and_what_is_withheld(made: Path, tmp_path: Path, without_card: None) -> None:
    at = ["--workspace", str(made)]
    said = CliRunner().invoke(app, ["checkout", "v1", str(tmp_path / "a"), *at])
    assert "Wrote v1 (public) to" in said.stdout and "withheld or redacted" in said.stdout
    told = json.loads(CliRunner().invoke(app, ["checkout", "v1", str(tmp_path / "b"), *at, "--json"]).stdout)
    assert told["profile"] == "public" and told["digest"] == manifest_of(tmp_path / "a").digest
    assert {each["table"] for each in told["withheld"]} >= {"responses", "verdicts", "pairs", "prompts"}
    wrong = CliRunner().invoke(app, ["checkout", "v1", str(tmp_path / "c"), *at, "--profile", "private"])
    assert wrong.exception is not None and "--profile is public or gated" in str(wrong.exception)
