"""A build from end to end: every row accounted for, versions frozen and growing, people's word over the program's."""

import csv
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

import seas_data as sd
from seas_data import build_version as pipeline
from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe import ModelHttp, ModelInProcess, Recipe
from seas_data.run import build
from seas_data.store.version import VIEWS
from seas_data.text import normalise
from tests.conftest import EXAMPLE


@pytest.fixture(scope="module")
def first(example: Path) -> Version:
    return sd.open(example).version("v0")


def recipe_with(folder: Path, *, rows: list[dict[str, object]] = (), overrides: list[dict[str, str]] = ()) -> Recipe:  # type: ignore[assignment]
    """The example's recipe, with one more source and other overrides."""
    content = yaml.safe_load(EXAMPLE.read_text())
    for source in content["sources"].values():
        source["path"] = str(EXAMPLE.parent / source["path"])
    content["overrides"] = str(EXAMPLE.parent / content["overrides"])
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        (folder / "later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        content["sources"]["later"] = {
            "path": str(folder / "later.jsonl"),
            "columns": {"kind": "kind", "id": "id"},
            "kind_map": {kind: kind for kind in ("adversarial", "harmless", "general")},
            "language": "en",
            "licence": "Apache-2.0",
            "priority": 5,
        }
    if overrides:
        with (folder / "overrides.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["prompt_id", "decision", "label", "who", "because"])
            writer.writeheader()
            writer.writerows(overrides)
        content["overrides"] = str(folder / "overrides.csv")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return recipes.load(folder / "recipe.yaml")


def test_every_row_of_the_sources_is_a_prompt_or_set_aside(first: Version) -> None:
    folder = EXAMPLE.parent / "example"
    lines = sum(sum(1 for line in path.read_bytes().split(b"\n") if line.strip()) for path in folder.glob("*.jsonl"))
    counts = first.select(
        "select (select count(*) from prompts where source <> 'lookalikes') as prompts, "
        "(select count(*) from set_aside where source <> 'lookalikes') as set_aside"
    ).row(0)
    assert sum(counts) == lines
    assert counts[1] > 0


def test_every_prompt_is_kept_in_one_split_or_dropped_for_a_reason(first: Version) -> None:
    prompts, kept, splits = (first.table(name) for name in ("prompts", "kept", "splits"))
    dropped = first.table("decisions").filter(pl.col("decision") == "drop")
    assert dropped["prompt_id"].is_unique().all()
    assert sorted([*kept["prompt_id"], *dropped["prompt_id"]]) == sorted(prompts["prompt_id"])
    assert sorted(splits["prompt_id"]) == sorted(kept["prompt_id"])


def test_every_duplicate_has_a_kept_witness_over_its_threshold(first: Version) -> None:
    drops = first.select("select * from decisions where decision = 'drop' and reason like '%duplicate'")
    assert set(drops["reason"]) == {"exact_duplicate", "near_duplicate", "semantic_duplicate"}
    kept = first.table("kept").select(pl.col("prompt_id").alias("witness_id"), "kind")
    witnessed = drops.join(kept, on="witness_id").join(first.table("prompts"), on="prompt_id", suffix="_dropped")
    assert witnessed.height == drops.height
    assert (witnessed["score"] >= witnessed["threshold"]).all()
    assert ((witnessed["kind"] == "adversarial") == (witnessed["kind_dropped"] == "adversarial")).all()


def test_the_example_exercises_every_step(first: Version) -> None:
    reasons = set(first.table("decisions")["reason"])
    expected = {
        "exact_duplicate", "near_duplicate", "semantic_duplicate", "contaminated", "template_cap", "contrast_pair",
        "label_conflict", "not_embeddable", "manual", "too_short", "invalid",
    }  # fmt: skip
    assert expected <= reasons
    assert set(first.table("splits")["split"]) == {"train", "test", "harmless", "holdout"}
    assert first.table("templates")["request_id"].drop_nulls().len() > 0
    assert first.select("select 1 from prompts where label_source = 'classifier'").height > 0


def test_holdout_rows_are_never_dropped_and_take_part_in_nothing_else(first: Version) -> None:
    holdout = first.select("select prompt_id from prompts where role = 'holdout'")
    assert first.select("select 1 from splits where split = 'holdout'").height == holdout.height
    for table in ("decisions", "templates", "clusters"):
        assert holdout.join(first.table(table), on="prompt_id").height == 0


def test_no_group_and_no_template_is_on_two_sides(first: Version) -> None:
    assert first.select("select group_id from splits group by 1 having count(distinct split) > 1").height == 0
    crossing = first.select(
        "select template_id from templates join splits using (prompt_id) where template_id is not null "
        "group by 1 having count(distinct split) > 1"
    )
    assert crossing.height == 0


@pytest.mark.slow
def test_a_later_source_makes_a_version_for_which_the_first_is_frozen(
    example: Path, first: Version, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(example, tmp_path / "ws"))
    test_row = first.select(
        "select text from kept join splits using (prompt_id) where split = 'test' and kind = 'general' "
        "order by prompt_id limit 1"
    ).item()
    kept_row = first.select(
        "select text from kept join splits using (prompt_id) where split = 'train' and kind = 'general' "
        "order by prompt_id limit 1"
    ).item()
    rows = [
        {"id": "n1", "kind": "general", "prompt": "Explain how a lighthouse keeper reads the weather from the clouds."},
        {"id": "n2", "kind": "general", "prompt": kept_row.upper()},
        {"id": "n3", "kind": "adversarial", "prompt": test_row},
    ]
    built = build(recipe_with(tmp_path / "more", rows=rows), root)
    assert built.new
    before, after = sd.open(root).version("v0"), sd.open(root).version("v1")
    assert after.manifest.parent_digest == before.digest == first.digest
    for table in ("prompts", "splits", "clusters", "templates", "decisions"):
        old, new = before.table(table), after.table(table)
        first_rows = new.filter(version="v0") if "version" in new.columns else new.join(old, on="prompt_id", how="semi")
        assert old.equals(first_rows), table
        shards = before.manifest.tables[table]
        assert after.manifest.tables[table][: len(shards)] == shards
    fate = {
        row["source_id"]: (row["split"], row["reason"], row["witness_id"] is not None)
        for row in after.select(
            "select source_id, split, reason, witness_id from prompts left join splits using (prompt_id) "
            "left join (from decisions where decision = 'drop') using (prompt_id) where source = 'later'"
        ).iter_rows(named=True)
    }
    assert fate["n1"] == ("train", None, False)
    assert fate["n2"] == (None, "exact_duplicate", True), "the earlier row stays, whatever the new source's priority"
    assert fate["n3"] == (None, "split_bridge", True), "the copy of a test row would leak it into training"
    assert not build(recipe_with(tmp_path / "more", rows=rows), root).new


def test_people_overrule_the_program_also_afterwards(example: Path, first: Version, tmp_path: Path) -> None:
    root = Path(shutil.copytree(example, tmp_path / "ws"))
    near = first.select("select prompt_id from decisions where reason = 'near_duplicate' order by 1 limit 1").item()
    general = first.select(
        "select prompt_id from kept join splits using (prompt_id) where kind = 'general' and split = 'train' "
        "order by 1 limit 1"
    ).item()
    attack = first.select(
        "select prompt_id from kept where type = 'Goal Hijacking' and label_source = 'source' order by 1 limit 1"
    ).item()
    overrides = [
        {"prompt_id": near, "decision": "keep", "who": "ann", "because": "it asks for another thing"},
        {"prompt_id": general, "decision": "drop", "who": "ann", "because": "not ours"},
        {"prompt_id": attack, "label": "Role Play", "who": "ben", "because": "it plays a part"},
    ]
    recipe = recipe_with(tmp_path / "said", overrides=overrides)
    assert build(recipe, root).new
    after = sd.open(root).version("v1")
    kept = set(after.table("kept")["prompt_id"])
    assert near in kept
    assert general not in kept
    row = after.table("prompts").row(by_predicate=pl.col("prompt_id") == attack, named=True)
    assert (row["type"], row["attack_style"], row["label_source"]) == ("Role Play", "Role Play", "manual:ben")
    manual = after.select(
        "select prompt_id, decision, detail from decisions where version = 'v1' and reason = 'manual'"
    )
    assert set(manual["decision"]) == {"keep", "drop", "flag"}
    assert "ben: it plays a part" in manual.filter(pl.col("prompt_id") == attack)["detail"].item()
    assert first.table("kept").equals(sd.open(root).version("v0").table("kept")), "v0 stands as it was"
    assert not build(recipe, root).new


def test_an_override_of_a_prompt_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = [{"prompt_id": "0" * 24, "decision": "drop", "who": "ann", "because": "no"}]
    with pytest.raises(SeasDataError, match="which is in no source of the recipe"):
        build(recipe_with(tmp_path / "said", overrides=said), tmp_path / "ws")


def test_changed_settings_alone_build_nothing_and_say_so(example: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(example, tmp_path / "ws"))
    changed = recipes.load(EXAMPLE, ["curation.near.duplicate_threshold=0.9"])
    built = build(changed, root)
    assert not built.new
    assert "build into a new workspace" in built.message


@pytest.mark.slow
@pytest.mark.parametrize("change", ["release.max_unparsed_proportion=0.1", "sources.general.licence=MIT"])
def test_a_licence_or_release_said_anew_makes_a_version_of_the_same_rows(
    change: str, example: Path, first: Version, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(example, tmp_path / "ws"))
    changed = recipes.load(EXAMPLE, [change])
    after = build(changed, root)
    assert after.new
    assert after.version.manifest.tables == first.manifest.tables
    assert after.version.manifest.recipe == changed.canonical()
    assert not build(changed, root).new


@pytest.mark.slow
def test_without_an_embedder_the_steps_that_need_none_still_run(tmp_path: Path) -> None:
    base = recipe_with(tmp_path / "base")
    built = build(base.model_copy(update={"embedders": []}), tmp_path / "ws").version
    assert built.table("clusters").height == 0
    assert set(built.table("decisions")["reason"]) >= {"exact_duplicate", "near_duplicate", "template_cap"}
    assert "not_embeddable" not in set(built.table("decisions")["reason"])


def test_equal_texts_have_equal_digests_in_the_table(first: Version) -> None:
    rows = first.table("prompts").with_columns(
        pl.col("text").map_elements(normalise, return_dtype=pl.String).alias("normal")
    )
    assert rows.group_by("text_digest").agg(pl.col("normal").n_unique())["normal"].max() == 1
    assert rows.group_by("normal").agg(pl.col("text_digest").n_unique())["text_digest"].max() == 1


def test_a_version_as_frames_datasets_and_sql_agree(first: Version) -> None:
    kept = first.table("kept")
    dataset = first.dataset("kept")
    assert dataset["prompt_id"][:] == kept["prompt_id"].to_list()
    assert first.sql("select count(*) from kept").item() == kept.height
    with pytest.raises(SeasDataError, match="there is no table nothing; choose one of: kept, prompts"):
        first.table("nothing")


@pytest.mark.parametrize("workspace", [pytest.param("example", marks=pytest.mark.slow), "made"])
def test_a_table_as_a_frame_is_what_sql_says_of_it(workspace: str, request: pytest.FixtureRequest) -> None:
    version = sd.open(request.getfixturevalue(workspace)).version()
    for name in VIEWS:
        assert version.table(name).equals(version.select(f'select * from "{name}" order by all')), name
    keys = version.table("decisions", ["reason", "prompt_id"])
    assert keys.equals(version.select("select reason, prompt_id from decisions order by all"))
    assert version.table("kept", ["kind"]).equals(version.select("select kind from kept order by all"))


def test_a_shard_that_is_damaged_is_named(example: Path, tmp_path: Path) -> None:
    shutil.copytree(example, tmp_path / "ws")
    version = sd.open(tmp_path / "ws").version()
    version.paths()["splits"][0].write_bytes(b"nothing")
    with pytest.raises(SeasDataError, match=r"could not be read .* seas-data verify"):
        version.table("splits")


@pytest.mark.slow
def test_a_resumed_build_reuses_finished_stages_only_if_the_same_code_computed_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_with(tmp_path / "base").model_copy(update={"embedders": []})
    expected = build(recipe, tmp_path / "undisturbed").version.digest

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def stages_reused(**changes: object) -> set[str]:
        capsys.readouterr()
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            for name, value in {"write_shards": interrupt, **changes}.items():
                patched.setattr(pipeline, name, value)
            build(recipe, tmp_path / "ws")
        return {line.split()[0] for line in capsys.readouterr().err.splitlines() if line.endswith("reused")}

    slow_stages = {"contamination", "templates", "edges", "labels", "clusters"}
    assert stages_reused() == set()
    assert stages_reused() == slow_stages
    assert stages_reused(code_digest=lambda room: f"other code of {room}") == set()
    assert stages_reused(code_digest=lambda room: f"other code of {room}") == slow_stages
    assert stages_reused() == set()
    assert build(recipe, tmp_path / "ws").version.digest == expected


def test_connection_keys_are_fields_of_models_behind_servers_only() -> None:
    fields, in_process = set(ModelHttp.model_fields), set(ModelInProcess.model_fields)
    assert fields >= pipeline.CONNECTION_KEYS
    assert not pipeline.CONNECTION_KEYS & in_process
    assert not pipeline.CONNECTION_KEYS & {"model", "revision", "endpoint", "chat_template", "extra_body", "thinking"}
