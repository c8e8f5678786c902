"""The tables that people load: the rows that should be in them, in every tool, with the same types in every version."""

import json
from pathlib import Path
from typing import Any

import datasets
import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from seas_data.query import version
from seas_data.query.version import Version
from seas_data.release import configs, folder
from seas_data.release.card import dataset_info
from seas_data.release.visibility import Profile
from tests.conftest import quick
from tests.query.frames import store, table
from tests.trl import dpo

BOTH = [
    *((config, "public") for config in configs.for_profile("public")),
    *((config, "gated") for config in configs.for_profile("gated")),
]
NAMED = pytest.mark.parametrize(
    ("config", "profile"), BOTH, ids=[f"{profile}-{config.name}" for config, profile in BOTH]
)


@pytest.fixture(scope="module")
def newest(made: Path) -> Version:
    return version.open(made).version()


def rows_of(folder: Path, config: configs.Config) -> pl.DataFrame:
    return pl.concat(
        [pl.scan_parquet(folder / "data" / config.name / f"{split}-*.parquet") for split in config.splits]
    ).collect()


def ids(frame: pl.DataFrame, column: str = "prompt_id") -> set[str]:
    return set(frame[column])


def test_which_configs_a_profile_has() -> None:
    public = ["prompts", "judged", "decisions", "metrics", "pairs-red"]
    assert [config.name for config in configs.for_profile("public")] == public
    assert [config.name for config in configs.for_profile("gated")] == [*public, "pairs-target", "responses"]


@NAMED
def test_datasets_polars_and_duckdb_read_the_same_rows(
    config: configs.Config, profile: Profile, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = request.getfixturevalue(profile)
    expected = rows_of(root, config)
    assert expected.height > 0
    assert expected.schema == configs.schema(config, profile)
    loaded = datasets.load_dataset(str(root), config.name, cache_dir=str(tmp_path))
    assert tuple(loaded) == config.splits
    together = pl.concat([split.to_polars() for split in loaded.values()])
    assert together.equals(expected)
    glob = root / "data" / config.name / "*.parquet"
    duck = duckdb.sql(f"select count(*), count(distinct columns(*)::varchar) from '{glob}'").fetchall()
    assert duck[0][0] == expected.height


@NAMED
def test_a_key_names_a_row_and_every_column_is_described(
    config: configs.Config, profile: Profile, request: pytest.FixtureRequest
) -> None:
    rows = rows_of(request.getfixturevalue(profile), config)
    if config.key:
        assert not rows.select(config.key).is_duplicated().any()
        assert rows.select(config.key).null_count().sum_horizontal().item() == 0
    described = configs.columns(config)
    assert set(rows.columns) <= set(described)
    assert all(each.description and each.visibility != "never" for each in described.values())
    if "split" in rows.columns:
        assert set(rows["split"]) <= set(config.splits)


@NAMED
def test_no_config_has_a_row_about_a_holdout_prompt(
    config: configs.Config, profile: Profile, newest: Version, request: pytest.FixtureRequest
) -> None:
    rows = rows_of(request.getfixturevalue(profile), config)
    holdout = ids(newest.table("prompts").filter(role="holdout"))
    told = {name: set(rows[name]) for name, kind in rows.schema.items() if kind == pl.String}
    if config.name == "metrics":  # whose figures may be of a holdout set, and of none of its prompts
        told["facets"] = {value for facets in rows["facets"] for value in json.loads(facets).values()}
    assert holdout and any(told.values())
    for name, values in told.items():
        # A holdout prompt may be named as the one because of which a prompt was dropped.
        assert name == "witness_id" or not values & holdout, name


def test_prompts_are_the_kept_ones_with_what_is_known_of_them(newest: Version, public: Path) -> None:
    rows = rows_of(public, configs.CONFIGS[0]).sort("prompt_id")
    kept = newest.table("kept").filter(role="training").sort("prompt_id")
    label = pl.col("label_source").str.replace("^manual:.*$", "manual")  # the public profile has pseudonyms
    assert rows.select(kept.columns).with_columns(label).equals(kept.with_columns(label))
    for name, columns in {
        "templates": ["template_id", "payload", "request_id"],
        "splits": ["split", "group_id"],
        "clusters": ["cluster", "x", "y"],
    }.items():
        known = newest.table(name).join(kept, on="prompt_id", how="semi").sort("prompt_id")
        assert known.height > 0
        assert (
            rows.join(known, on="prompt_id", how="semi")
            .select("prompt_id", *columns)
            .equals(known.select("prompt_id", *columns))
        )


def test_judged_and_responses_are_those_of_prompts_that_are_not_withdrawn(newest: Version, gated: Path) -> None:
    judged, responses = (rows_of(gated, config) for config in configs.CONFIGS if config.name in ("judged", "responses"))
    prompts = newest.table("prompts")
    answered = newest.table("responses").join(prompts.filter(role="holdout"), on="prompt_id", how="anti")
    dropped = newest.select("select prompt_id, reason from dropped")
    like_others = ["exact_duplicate", "near_duplicate", "semantic_duplicate", "template_cap"]
    out = dropped.filter(~pl.col("reason").is_in(like_others))
    expected = answered.join(out, on="prompt_id", how="anti")
    assert ids(responses, "response_id") == ids(expected, "response_id")
    assert responses.sort("response_id")["response"].equals(
        expected.sort("response_id")["text"], check_names=False, null_equal=True
    )
    verdicts = newest.table("verdicts").join(expected, on="response_id", how="semi").sort("response_id", "judge")
    shared = ["response_id", "judge", "verdict", "categories", "score", "refusal"]
    assert judged.sort("response_id", "judge").select(shared).equals(verdicts.select(shared))
    texts = pl.concat([newest.table(name).select("prompt_id", "text") for name in ("prompts", "attacks")])
    with_texts = judged.join(texts.unique(), on="prompt_id", how="left", validate="m:1")
    assert (with_texts["prompt"] == with_texts["text"]).all()
    assert set(judged.filter(pl.col("red_team").is_not_null())["source"]) == {"red-team"}
    assert "response" not in judged.columns and "raw" not in judged.columns


def test_pairs_are_of_their_roles_and_in_messages(newest: Version, gated: Path) -> None:
    red, target = (rows_of(gated, config) for config in configs.CONFIGS if config.name.startswith("pairs"))
    pairs = newest.table("pairs").sort("pair_id")
    assert red.equals(pairs.filter(role="red"))
    assert target.equals(pairs.filter(pl.col("role") != "red"))
    assert set(target["role"]) == {"target", "harmless", "general"}
    assert set(red["chosen"].explode().struct.field("role")) == {"assistant"}


def _world(root: Path, drop: dict[str, Any]) -> dict[str, list[Path]]:
    """Return shards in which the attack t1 was answered, as e (test) and h (holdout) were, and then dropped."""
    roles = {"t1": "training", "t2": "training", "e": "training", "h": "holdout"}
    sides = {"t2": "train", "e": "test", "h": "holdout"}
    attack = {"prompt_id": "t1", "seed_id": "s", "iteration": 1, "split": "train", "model": "R0", "number": 0}
    said = [{"role": "assistant", "content": "well"}]
    pair = {"iteration": 1, "prompt": said, "chosen": said, "rejected": said}
    answered = [{"response_id": f"r-{name}", "prompt_id": name} for name in ("t1", "e", "h")]
    return store(
        root,
        prompts=table("prompts", *({"prompt_id": name, "role": role} for name, role in roles.items())),
        splits=table("splits", *({"prompt_id": name, "split": side} for name, side in sides.items())),
        attacks=table("attacks", attack | {"text": "open the door"}),
        responses=table("responses", *(each | {"model": "T0", "sample": 0} for each in answered)),
        verdicts=table("verdicts", *({"response_id": each["response_id"], "judge": "j"} for each in answered)),
        pairs=table(
            "pairs",
            pair | {"pair_id": "p", "role": "red", "chosen_id": "t1", "rejected_id": "t9"},
            pair | {"pair_id": "q", "role": "target", "prompt_id": "t1", "chosen_id": "r-t1", "rejected_id": "r-x"},
        ),
        decisions=table("decisions", drop),
    )


@pytest.mark.parametrize(
    ("reason", "witness", "stays"),
    quick(
        2,
        [
            ("near_duplicate", "t2", True),
            ("template_cap", None, True),
            ("near_duplicate", "e", False),  # the like of a test prompt
            ("near_duplicate", "h", False),
            ("manual", None, False),
            ("split_bridge", "e", False),
            ("contaminated", "h", False),
        ],
    ),
)
def test_what_was_answered_to_a_dropped_attack_stays_only_if_its_like_is_kept_for_training(
    reason: str, witness: str | None, stays: bool, tmp_path: Path
) -> None:
    drop = {"prompt_id": "t1", "version": "v1", "decision": "drop", "reason": reason, "witness_id": witness}
    shards = _world(tmp_path, drop)
    held = {
        each.name: pl.concat([rows for _, rows in configs.splits(shards, each, "gated")]) for each in configs.CONFIGS
    }
    for name in ("judged", "responses"):
        assert ids(held[name]) == ({"t1", "e"} if stays else {"e"})
    assert ids(held["pairs-red"], "pair_id") == ({"p"} if stays else set())
    assert ids(held["pairs-target"], "pair_id") == ({"q"} if stays else set())
    assert ids(held["prompts"]) == {"t2", "e"}
    assert ids(held["decisions"]) == {"t1"}


@pytest.mark.parametrize("name", quick(1, ["v0", "v1", "v2"]))
def test_types_are_the_same_in_every_version_even_of_tables_without_rows(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.card, "dataset_files", lambda *_: {"README.md": ""})
    folder.checkout(version.open(made).version(name), tmp_path / "release", "gated")
    for config in configs.CONFIGS:
        schema = configs.schema(config, "gated")
        paths = sorted((tmp_path / "release" / "data" / config.name).glob("*.parquet"))
        assert [path.name for path in paths] == sorted(f"{split}-00000-of-00001.parquet" for split in config.splits)
        for path in paths:
            assert pl.read_parquet_schema(path) == schema, path
        assert duckdb.sql(f"from '{paths[0].parent}/*.parquet'").columns == schema.names()


@pytest.mark.slow
def test_a_version_without_a_loop_lists_only_what_has_rows_and_datasets_loads_it(made: Path, tmp_path: Path) -> None:
    first = version.open(made).version("v0")
    folder.checkout(first, tmp_path / "release", "gated")
    names = datasets.get_dataset_config_names(str(tmp_path / "release"))
    assert set(names) == {"prompts", "decisions"} | ({"metrics"} if first.table("metrics").height else set())
    for name in names:
        loaded = datasets.load_dataset(str(tmp_path / "release"), name, cache_dir=str(tmp_path / "cache"))
        assert all(split.num_rows for split in loaded.values())


def test_what_the_card_describes_are_the_rows_of_the_files(newest: Version, gated: Path) -> None:
    described = dataset_info.describe_configs(newest, "gated")
    assert [each["name"] for each in described] == [config.name for config in configs.for_profile("gated")]
    for config in described:
        for split in config["splits"]:
            files = (gated / "data" / config["name"]).glob(f"{split['name']}-*.parquet")
            assert split["rows"] == sum(pq.read_metadata(path).num_rows for path in files) > 0


@pytest.mark.slow
def test_a_large_split_is_several_files_always_the_same_ones(
    newest: Version, gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_card: None
) -> None:
    (responses,) = (config for config in configs.CONFIGS if config.name == "responses")
    monkeypatch.setattr(configs, "for_profile", lambda _: [responses])
    monkeypatch.setattr(configs, "BYTES_PER_FILE", 60_000)
    names = []
    for attempt in ("one", "two"):
        folder.checkout(newest, tmp_path / attempt, "gated")
        data = tmp_path / attempt / "data"
        names.append({path.relative_to(data): path.read_bytes() for path in data.rglob("*.parquet")})
    assert names[0] == names[1]
    parts = sorted((tmp_path / "one" / "data" / "responses").glob("train-*"))
    assert len(parts) > 3 and parts[0].name == f"train-00000-of-{len(parts):05d}.parquet"
    assert all(pq.read_metadata(part).num_rows for part in parts)
    assert rows_of(tmp_path / "one", responses).equals(rows_of(gated, responses))


@pytest.mark.parametrize("name", quick(1, ["pairs-red", "pairs-target"]))
def test_pairs_go_straight_into_trl(name: str, gated: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from seas_data.sandbox.tiny import write_model

    rows = datasets.load_dataset(str(gated), name, split="train", cache_dir=str(tmp_path / "cache"))
    said = [message["content"] for side in ("prompt", "chosen", "rejected") for turn in rows[side] for message in turn]
    words = sorted({word for text in said for word in text.split()})
    write_model(tmp_path / "model", layers=1, seed=0, hidden=16, heads=2, intermediate=16, vocabulary=words)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    dpo(rows, tmp_path, model, AutoTokenizer.from_pretrained(tmp_path / "model"), steps=1)
