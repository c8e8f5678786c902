"""A workspace and a release of the first format come over whole; what is damaged or not older is refused."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.migrate import migrate
from seas_data.recipe import Recipe
from seas_data.release import publish_log
from seas_data.release.folder import checkout
from seas_data.store import Workspace, formats, open_workspace, takedown
from tests.program import called

FORMAT_1 = Path(__file__).parent / "format_1"
OLD = FORMAT_1 / "workspace"
OLD_RELEASE = FORMAT_1 / "release"
EXPECTED = json.loads((FORMAT_1 / "rows.json").read_text())


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace of format 1, migrated. Tests read it and change nothing."""
    return migrate(OLD, tmp_path_factory.mktemp("migrated") / "ws").workspace


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the workspace of format 1."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def old_manifest(version: str) -> dict[str, object]:
    return json.loads((OLD / "versions" / f"{version}.json").read_text())  # type: ignore[no-any-return]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_every_version_keeps_its_rows(migrated: Workspace) -> None:
    for name, counts in EXPECTED["rows"].items():
        version = sd.open(migrated.root).version(name)
        assert {table: version.table(table).height for table in counts} == counts
        labels = version.select("select type, label_source, count(*) as n from kept group by all order by all").rows()
        assert [list(row) for row in labels] == EXPECTED["kept_labels"][name]


def test_rows_are_the_same_but_for_the_settings_of_models(migrated: Workspace) -> None:
    manifest = old_manifest("v3")
    for table, shards in manifest["tables"].items():  # type: ignore[attr-defined]
        paths = [OLD / "shards" / table / f"{shard['sha256']}.parquet" for shard in shards]
        columns = tables.empty(table).columns  # those that a later format added are null
        before = pl.concat([tables.empty(table), *(tables.read(table, path, columns) for path in paths)])
        now = [tables.read(table, path, columns) for path in sd.open(migrated.root).version("v3").paths()[table]]
        if table != "settings":
            assert pl.concat([tables.empty(table), *now]).equals(before), table


def test_versions_verify_and_name_their_new_parents(migrated: Workspace) -> None:
    manifests = [migrated.manifest(name) for name in migrated.versions()]
    assert migrated.verify(*manifests) == []
    assert [each.format for each in manifests] == [formats.WORKSPACE] * 4
    assert [each.parent_digest for each in manifests] == [None, *(each.digest for each in manifests[:-1])]


def test_recipes_are_those_of_the_new_format(migrated: Workspace) -> None:
    recipe = migrated.manifest().recipe
    assert recipe == Recipe.model_validate(recipe).canonical()
    assert recipe["loop"]["attack"]["attacks_per_seed"] == 2
    assert recipe["curation"]["near"] == {"duplicate_threshold": 0.8, "group_threshold": 0.6}


def test_tags_runs_models_and_the_publish_log_come_over(migrated: Workspace) -> None:
    assert migrated.tags() == {"1.0.0": "v1"}
    assert sd.open(migrated.root).version("v1").table("runs")["stage"].len() > 0
    assert [path.name for path in sorted((migrated.root / "models").iterdir())] == ["R1", "T1"]
    assert (migrated.root / "models" / "T1" / "model.safetensors").read_bytes() == b"T1" * 8
    (entry,) = publish_log.read(migrated.root)
    assert (entry.repository, entry.tag, entry.version) == ("made/garden", "1.0.0", "v1")


def test_what_was_taken_down_stays_out(migrated: Workspace) -> None:
    before, now = sd.open(migrated.root).version("v2"), sd.open(migrated.root).version("v3")
    gone = before.table("prompts").join(now.table("prompts"), on="prompt_id", how="anti")
    assert now.table("tombstones")["prompt_id"].to_list() == gone["prompt_id"].to_list()
    again = gone.with_columns(prompt_id=pl.lit("0" * 24))
    allowed, refused = takedown.split_taken_down(again, takedown.load_takedowns(now))
    assert (allowed.height, refused["reason"].to_list()) == (0, ["forgotten"])
    assert (migrated.root / "forgotten.json").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_the_old_workspace_is_only_read_and_what_is_computed_again_is_not_copied(old: Path, tmp_path: Path) -> None:
    for name in ("vectors/model", "stages/key", "sandbox", "scans"):
        (old / name).mkdir(parents=True)
        (old / name / "file").write_text("x")
    (old / "thesis.txt").write_text("x")
    before = snapshot(old)
    result = migrate(old, tmp_path / "new")
    assert snapshot(old) == before
    assert result.recomputed == ["sandbox", "scans", "stages", "vectors"]
    assert result.left == ["thesis.txt"]
    assert not [name for name in (*result.recomputed, *result.left) if (tmp_path / "new" / name).exists()]
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_the_recipe_of_a_pulled_version_is_converted(old: Path, tmp_path: Path) -> None:
    (old / "recipes").mkdir()
    recipe = "# from elsewhere\n\nname: one\npulled: a/b@main\nrelease: {unparsed_share: 0.1}\n"
    (old / "recipes" / "one.yaml").write_text(recipe)
    migrate(old, tmp_path / "new")
    text = (tmp_path / "new" / "recipes" / "one.yaml").read_text()
    assert text == "# from elsewhere\nname: one\npulled_from: a/b@main\nrelease:\n  max_unparsed_proportion: 0.1\n"


@pytest.mark.slow
def test_the_same_workspace_gives_the_same_digests(migrated: Workspace, tmp_path: Path) -> None:
    again = migrate(OLD, tmp_path / "again").digests
    assert again == {
        name: (old_manifest(name)["digest"], migrated.manifest(name).digest) for name in migrated.versions()
    }


@pytest.mark.slow
def test_a_release_becomes_a_workspace_that_can_be_checked_out_again(tmp_path: Path) -> None:
    result = migrate(OLD_RELEASE, tmp_path / "ws")
    version = sd.open(tmp_path / "ws").version("v0")
    assert version.table("kept").height == EXPECTED["rows"]["v0"]["kept"]
    assert (version.manifest.profile, version.manifest.format) == ("public", formats.RELEASE)
    assert version.manifest.full_digest == old_manifest("v0")["digest"]
    assert result.digests["v0"][1] == version.digest
    release = checkout(version, tmp_path / "release", "public")
    assert release.format == formats.RELEASE
    assert (tmp_path / "release" / "README.md").is_file()


def test_a_failed_migration_leaves_nothing(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Workspace, "commit", fill_disk)
    with pytest.raises(OSError, match="No space"):
        migrate(old, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def damage_shard(old: Path) -> str:
    path = next(iter(sorted((old / "shards" / "prompts").iterdir())))
    path.write_bytes(path.read_bytes()[:-1])
    return "is damaged or missing; restore it from a copy"


def edit_manifest(old: Path) -> str:
    path = old / "versions" / "v1.json"
    path.write_text(path.read_text().replace('"name": "made"', '"name": "else"'))
    return "does not match its content"


def cut_manifest(old: Path) -> str:
    (old / "versions" / "v1.json").write_text("{")
    return "v1.json is damaged"


def set_format(number: object, message: str) -> object:
    def change(old: Path) -> str:
        (old / "workspace.json").write_text(json.dumps({"format": number}))
        return message

    return change


@pytest.mark.parametrize(
    "change",
    [
        damage_shard,
        edit_manifest,
        cut_manifest,
        set_format(formats.WORKSPACE, "there is nothing to migrate"),
        set_format(formats.WORKSPACE + 1, "newer than format"),
        set_format("1", "no valid format number"),
        lambda old: os.remove(old / "workspace.json") or "neither a workspace nor a release",  # noqa: PTH107
    ],
)
def test_what_cannot_be_migrated_is_refused_in_one_sentence(old: Path, tmp_path: Path, change: object) -> None:
    message = change(old)  # type: ignore[operator]
    with pytest.raises(SeasDataError) as caught:
        migrate(old, tmp_path / "new")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_new_folder_is_not_overwritten_and_lies_outside_the_old_one(old: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("mine")
    with pytest.raises(SeasDataError, match="exists already; name a new folder"):
        migrate(old, tmp_path / "new")
    with pytest.raises(SeasDataError, match="which is only read"):
        migrate(old, old / "new")
    (tmp_path / "empty").mkdir()
    assert migrate(old, tmp_path / "empty").workspace.versions() == ["v0", "v1", "v2", "v3"]


@pytest.mark.slow
def test_the_command_names_the_digests_and_an_older_workspace_names_the_command(old: Path, tmp_path: Path) -> None:
    refused = called("log", "--workspace", old)
    assert refused.returncode == 2
    assert refused.stderr.endswith("convert it with: seas-data migrate OLD NEW\n")
    ended = called("migrate", old, tmp_path / "new", "--json")
    assert ended.returncode == 0, ended.stderr
    content = json.loads(ended.stdout)
    workspace = open_workspace(tmp_path / "new")
    assert content["versions"] == [
        {"version": name, "old_digest": old_manifest(name)["digest"], "digest": workspace.manifest(name).digest}
        for name in workspace.versions()
    ]
    shown = called("migrate", old, tmp_path / "shown")
    assert "Also copied: forgotten.json, published.json, tags, models." in shown.stdout
