"""The card's own queries, each against a computation in Polars on the generated workspace; leaks are planted."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.query import library, sql, version
from seas_data.query.version import Version
from seas_data.resources import folder
from tests.query.frames import store, table

QUERIES = library.load(folder("sql"))


@pytest.fixture(scope="module")
def newest(made: Path) -> Version:
    return version.open(made).version()


@pytest.fixture(scope="module")
def tables(newest: Version) -> dict[str, pl.DataFrame]:
    names = ("prompts", "kept", "decisions", "splits", "verdicts", "responses", "pairs", "attacks", "checkpoints")
    return {name: newest.table(name) for name in names}


def ask(opened: Version, name: str) -> pl.DataFrame:
    return opened.select(QUERIES[name].sql, QUERIES[name].values([]))


def counts(frame: pl.DataFrame, *columns: str) -> dict[Any, int]:
    return {key if len(columns) > 1 else key[0]: rows.height for key, rows in frame.group_by(*columns)}


def test_overview(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    row = ask(newest, "overview").row(0, named=True)
    kept, prompts = tables["kept"], tables["prompts"]
    released = kept.filter(role="training")
    attacks = released.filter(kind="adversarial")
    assert 0 < released.height < kept.height
    manual = tables["decisions"].filter(reason="manual").height + newest.table("relabels").height
    assert row == {
        "prompts": prompts.height,
        "kept": kept.height,
        "dropped": prompts.height - kept.height,
        "set_aside": newest.table("set_aside").height,
        "released": released.height,
        "sources": released["source"].n_unique(),
        "types": attacks["type"].drop_nulls().n_unique(),
        "without_type": attacks["type"].null_count(),
        "languages": released["language"].drop_nulls().n_unique(),
        "written_by_models": kept.height - kept["model"].null_count(),
        "templates": newest.table("templates")["template_id"].drop_nulls().n_unique(),
        "responses": tables["responses"].height,
        "verdicts": tables["verdicts"].height,
        "pairs": tables["pairs"].height,
        "manual_decisions": manual,
    }


def test_rows_by_kind_and_split(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    placed = tables["kept"].join(tables["splits"], on="prompt_id", how="left")
    found = ask(newest, "rows-by-kind")
    assert {row[:2]: row[2] for row in found.rows()} == counts(placed, "kind", "difficulty")
    assert found.select("train", "test", "harmless", "holdout").sum().row(0) == tuple(
        counts(placed, "split").get(split, 0) for split in ("train", "test", "harmless", "holdout")
    )
    splits = ask(newest, "rows-by-split")
    assert dict(splits.select("split", "kept").iter_rows()) == counts(placed.drop_nulls("split"), "split")
    groups = placed.drop_nulls("split").group_by("split").agg(pl.col("group_id").n_unique())
    assert dict(splits.select("split", "groups").iter_rows()) == dict(groups.iter_rows())
    assert splits["groups_in_other_splits"].sum() == 0


def test_drop_reasons(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    gone = tables["prompts"].join(tables["kept"], on="prompt_id", how="anti")
    found = ask(newest, "drop-reasons")
    assert found["prompts"].sum() == gone.height
    assert found["proportion_of_all"].sum() == pytest.approx(gone.height / tables["prompts"].height)
    drops = tables["decisions"].filter(decision="drop").join(gone, on="prompt_id", how="semi")
    assert set(found["reason"]) <= set(drops["reason"])


def test_label_sources(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    attacks = tables["kept"].filter(kind="adversarial")
    named = attacks.with_columns(pl.col("label_source").fill_null("none").str.split(":").list.first())
    found = ask(newest, "label-sources")
    assert dict(found.select("label_source", "kept").iter_rows()) == counts(named, "label_source")
    assert found["proportion"].sum() == pytest.approx(1)


def test_judges(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    for row in ask(newest, "judges").iter_rows(named=True):
        said = tables["verdicts"].filter(judge=row["judge"])
        assert row["verdicts"] == said.height
        for verdict in ("safe", "unsafe", "unparsed"):
            assert row[verdict] == said.filter(verdict=verdict).height
        assert row["unparsed_proportion"] == pytest.approx(row["unparsed"] / said["verdict"].drop_nulls().len())
        for refusal in ("full_compliance", "partial_refusal", "full_refusal"):
            assert row[refusal] == said.filter(refusal=refusal).height


def test_models(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    found = ask(newest, "models")
    columns = ["model", "role", "iteration", "parent", "method", "rows", "statement", "digest"]
    assert found.select(columns).sort("model").equals(tables["checkpoints"].select(columns).sort("model"))


def test_iterations(newest: Version, tables: dict[str, pl.DataFrame]) -> None:
    for row in ask(newest, "iterations").iter_rows(named=True):
        wrote = tables["attacks"].filter(iteration=row["iteration"], split="train")
        assert row["attacks"] == wrote.height
        assert row["seeds"] == wrote["seed_id"].n_unique()
        assert row["sent"] == wrote["reason"].null_count()
        then = tables["responses"].filter(model=f"T{row['iteration'] - 1}")  # later targets may be asked it again
        assert row["responses"] == then.join(wrote, on="prompt_id", how="semi").height
        joined = tables["kept"].filter(iteration=row["iteration"]).drop_nulls("model")
        assert row["attacks_joined"] == joined.filter(kind="adversarial").height
        assert row["look_alikes_joined"] == joined.filter(kind="harmless").height
        roles = counts(tables["pairs"].filter(iteration=row["iteration"]), "role")
        assert {role: row[f"{role}_pairs"] for role in roles} == roles


def test_a_clean_version_has_no_leak(newest: Version) -> None:
    assert ask(newest, "leaks")["rows"].to_list() == [0, 0, 0, 0, 0]


def test_each_leak_is_counted_in_its_own_line(tmp_path: Path) -> None:
    message = [{"role": "user", "content": "a word"}]
    pair = {"role": "target", "iteration": 1, "prompt": message, "chosen": message, "rejected": message}
    ids = {"chosen_id": "c", "rejected_id": "r"}
    splits = {
        "a": ("train", "1"),
        "b": ("test", "1"),
        "c": ("test", "2"),
        "d": ("harmless", "3"),
        "e": ("holdout", "4"),
    }
    splits |= {"f": ("train", "5"), "g": ("test", "6"), "disguised": ("train", "7")}
    digests = {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "5", "g": "6", "disguised": "7"}
    leaks = {"disguised": "2", "b": "2"}  # rows of older workspaces have none
    shards = store(
        tmp_path,
        prompts=table(
            "prompts",
            *(
                {"prompt_id": each, "text_digest": digest, "leak_digest": leaks.get(each)}
                for each, digest in digests.items()
            ),
        ),
        splits=table("splits", *({"prompt_id": e, "split": s, "group_id": g} for e, (s, g) in splits.items())),
        pairs=table(
            "pairs",
            pair | ids | {"pair_id": "1", "prompt_id": "d"},
            pair | {"pair_id": "2", "role": "red", "chosen_id": "b", "rejected_id": "a"},
        ),
        # What the first red team learns to write is a prompt too.
        demonstrations=table(
            "demonstrations",
            {"demonstration_id": "d", "role": "red", "iteration": 0, "completion_id": "g"}
            | {"prompt": message, "completion": message},
        ),
        seeds=table(
            "seeds", {"seed_id": "s", "iteration": 1, "split": "train", "example_ids": ["c", "e"], "text": "t"}
        ),
    )
    assert sql.run_trusted(shards, QUERIES["leaks"].sql).rows() == [
        ("groups in more than one split", 1),
        ("train prompts with the text of a held-out prompt", 2),
        ("test prompts in pairs, demonstrations or training seeds", 3),
        ("over-refusal test prompts in pairs, demonstrations or training seeds", 1),
        ("prompts of held-out sources in pairs, demonstrations or training seeds", 1),
    ]
