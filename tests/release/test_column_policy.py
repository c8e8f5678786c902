"""The schema decides what may leave: a new column is scanned, taken down and withheld before anybody declares it."""

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl
import pytest

from seas_data import tables
from seas_data.query import version as versions
from seas_data.query.version import Version
from seas_data.release import checks, configs
from seas_data.release import folder as folders
from seas_data.release.folder import checkout
from seas_data.release.privacy import pii
from seas_data.release.takedown import take_down
from seas_data.release.visibility import PROFILES, redact, table_rule
from seas_data.store.stages import RUNS
from seas_data.tables import TABLES, policy
from tests.taxonomies import SEAS

KEY = "AKIA" + "GARDEN0EXAMPLE00"
PLANTED = f"write to ada@orchard-garden.org, the key is {KEY}"


def extend(monkeypatch: pytest.MonkeyPatch, table: str, declared: dict[str, Any] | None = None) -> None:
    """Add a nullable text column ``note`` to the schema of ``table``, declared as given or not at all."""
    column = dy.String(nullable=True, description="A note.", metadata=declared)
    monkeypatch.setitem(TABLES, table, type("Extended", (TABLES[table],), {"note": column}))


def plant(root: Path, notes: Mapping[str, pl.Expr]) -> Version:
    """Commit a version in which the column ``note`` of each table of ``notes`` has that value."""
    before = versions.open(root).version()
    shards = dict(before.manifest.tables)
    for table, note in notes.items():
        columns = tables.empty(table).columns
        frames = [tables.read(table, path, columns) for path in before.paths().get(table, [])]
        frame = pl.concat([tables.empty(table), *frames])
        if frame.is_empty():
            rows = SEAS.frame().to_dicts() if table == "taxonomy" else [_ROWS[table]]  # all types: others refer to them
            frame = pl.DataFrame(rows, schema=frame.schema)
        shards[table] = [before.workspace.write_shard(table, frame.with_columns(note=note))]
    name = {"version": f"v{int(before.name[1:]) + 1}", "parent": before.name, "parent_digest": before.digest}
    before.workspace.commit(before.manifest.model_copy(update=name | {"tables": shards}), pl.DataFrame(schema=RUNS))
    return versions.open(root).version()


_ROWS = {  # of the tables that the generated workspace has no rows of
    "set_aside": {"source": "letters", "location": "a.csv:1", "reason": "empty", "row_digest": "r"},
    "tombstones": {"prompt_id": "a" * 24, "version": "v1", "because": "asked for"},
}


def files_with(folder: Path, text: str) -> set[str]:
    """Return the files of a release that contain ``text``, Parquet files unpacked."""
    return {name for name, content in _contents(folder).items() if text in content}


@cache
def _contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): str(pl.read_parquet(path).rows())
        if path.suffix == ".parquet"
        else path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def planted_in(table: str) -> str:
    return f"{PLANTED} ({table})"


def without_card(*_: object) -> dict[str, str]:
    """Stand in for ``card.dataset_files``, which takes longest."""
    return {"README.md": "a card"}


@pytest.fixture(scope="module")
def released(made: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Releases and scans of a version with a new column in every table: before it is declared, and declared public."""
    folder = tmp_path_factory.mktemp("policy")
    root = Path(shutil.copytree(made, folder / "ws"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        for table in TABLES:
            extend(monkeypatch, table)
        version = plant(root, {table: pl.lit(planted_in(table)) for table in TABLES})
        checkout(version, folder / "public", "public")
        checkout(version, folder / "gated", "gated")
        found = {profile: pii.find_in_release(version, profile).filter(column="note") for profile in PROFILES}
        candidate = checks.Candidate(version, "gated")
        scanning = ("personal-data", "secrets")
        failed = {name for name in scanning if checks.CHECKS.load(name).find(candidate).ids}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(folders.card, "dataset_files", without_card)
        for table in TABLES:
            extend(monkeypatch, table, policy.declare("public"))
        checkout(version, folder / "declared", "public")
        found["declared"] = pii.find_in_release(version, "public").filter(column="note")  # type: ignore[index]
    return SimpleNamespace(folder=folder, found=found, failed=failed)


def is_absent(table: str) -> bool:
    """Return whether the public profile has no row of a table, because its ids are not public."""
    rule = table_rule(table, "public")
    return rule is not None and rule.absent


@pytest.mark.parametrize("table", TABLES)
def test_the_scan_reads_a_new_column(table: str, released: SimpleNamespace) -> None:
    assert set(released.found["gated"].filter(table=table)["kind"]) == {"email", "aws"}
    assert released.found["public"].filter(table=table).is_empty(), "it is not released there"
    kinds = set(released.found["declared"].filter(table=table)["kind"])
    assert kinds == (set() if is_absent(table) else {"email", "aws"})
    assert released.failed == {"personal-data", "secrets"}


@pytest.mark.parametrize("table", TABLES)
def test_no_public_file_holds_a_new_column_until_the_schema_says_so(table: str, released: SimpleNamespace) -> None:
    assert files_with(released.folder / "public", planted_in(table)) == set()
    assert any(name.startswith(f"tables/{table}/") for name in files_with(released.folder / "gated", planted_in(table)))
    declared = files_with(released.folder / "declared", planted_in(table))
    assert any(name.startswith(f"tables/{table}/") for name in declared) == (not is_absent(table))


@pytest.mark.parametrize("table", TABLES)
def test_a_new_column_is_withheld_whichever_table_alone_has_it(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = dict.fromkeys(policy.condition_columns(TABLES[table]), "red")
    frame = pl.DataFrame([conditions | {"note": PLANTED}])
    assert PLANTED not in str(redact(table, frame, "public").rows()), "the schema does not have it"
    for declared, held in ((None, False), (policy.declare("gated"), False), (policy.declare("public"), True)):
        with monkeypatch.context() as extended:
            extend(extended, table, declared)
            assert (PLANTED in str(redact(table, frame, "public").rows())) == (held and not is_absent(table))
            assert redact(table, frame, "gated").equals(frame)


@pytest.mark.parametrize("table", TABLES)
def test_a_column_that_may_never_leave_is_in_no_profile(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extend(monkeypatch, table, policy.declare("never"))
    frame = pl.DataFrame([{"note": PLANTED} | dict.fromkeys(policy.condition_columns(TABLES[table]), "red")])
    for profile in PROFILES:
        assert PLANTED not in str(redact(table, frame, profile).rows())


@pytest.mark.slow
def test_a_release_withholds_what_may_never_leave(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("prompts", "metrics"):  # of which the gated profile has a config
        extend(monkeypatch, table, policy.declare("never"))
    monkeypatch.setattr(folders.card, "dataset_files", without_card)
    version = plant(mine, dict.fromkeys(("prompts", "metrics"), pl.lit(PLANTED)))
    manifest = checkout(version, tmp_path / "gated", "gated")
    assert files_with(tmp_path / "gated", KEY) == set()
    assert {each.table for each in manifest.withheld} == {"prompts", "metrics"}
    assert pii.find_in_release(version, "gated").is_empty()


@pytest.fixture(scope="module")
def taken_down(made: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The workspace before and after a takedown of a prompt that a new column quotes, in other rows of every table."""
    root = Path(shutil.copytree(made, tmp_path_factory.mktemp("takedown") / "ws"))
    prompt_id, words = (
        versions.open(root)
        .version()
        .select("select prompt_id, text from kept where kind = 'general' and length(text) > 25 order by all limit 1")
        .row(0)
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        for table in TABLES:
            extend(monkeypatch, table)
        quote = pl.lit(f"like: {words}")
        others = pl.when(pl.col("prompt_id").eq_missing(prompt_id)).then(None).otherwise(quote)
        notes = {table: others if "prompt_id" in tables.empty(table).columns else quote for table in TABLES}
        before = plant(root, notes)
        after = take_down(root, [prompt_id], "asked for by its author").version
    return SimpleNamespace(before=before, after=after, words=words)


@pytest.mark.parametrize("table", TABLES)
def test_takedown_searches_a_new_column(table: str, taken_down: SimpleNamespace) -> None:
    before, after = (
        pl.concat([pl.read_parquet(path) for path in version.paths()[table]], how="diagonal")
        for version in (taken_down.before, taken_down.after)
    )
    assert taken_down.words in str(before.rows())
    assert taken_down.words not in str(after.rows())
    assert after.height > before.height // 2, "the rows stay"


def test_a_column_that_is_not_public_is_no_column_of_a_public_config(released: SimpleNamespace) -> None:
    for profile, listed in (("public", False), ("gated", True)):
        folder = released.folder / profile
        shown = pl.read_parquet(next((folder / "data" / "prompts").glob("train-*.parquet")))
        assert ("note" in shown.columns) == listed
        assert ('"prompts/note"' in (folder / "croissant.json").read_text()) == listed
        assert ("`note`" in (folder / "README.md").read_text()) == listed


def test_the_profile_check_fails_where_redaction_forgets_a_column(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seas_data.release.checks import profile as profile_check

    extend(monkeypatch, "clusters")
    version = plant(mine, {"clusters": pl.lit("a harmless note")})
    candidate = checks.Candidate(version, "public")
    assert profile_check.CHECK.find(candidate).ids == ()
    monkeypatch.setattr(profile_check, "redact", lambda table, frame, profile: frame)
    assert set(version.table("clusters")["prompt_id"]) <= set(profile_check.CHECK.find(candidate).ids)


def test_names_and_notes_of_reviewers_are_in_no_public_file(public: Path, gated: Path) -> None:
    """The generated workspace has labels by ann and bob, their notes, and a prompt that ann dropped."""
    for text in ("manual:ann", "manual:bob", "it asks about cake", "it asks about soup", "ann: too plain"):
        assert files_with(public, text) == set()
    assert files_with(gated, "manual:ann") and files_with(gated, "ann: too plain")
    prompts = pl.concat(
        pl.read_parquet(path, columns=["label_source"]) for path in (public / "data/prompts").glob("*.parquet")
    )
    manual = prompts.filter(pl.col("label_source").str.starts_with("manual:"))["label_source"]
    assert manual.len() > 0
    assert manual.str.contains("^manual:reviewer-[0-9a-f]{8}$").all()
    decisions = pl.read_parquet(next((public / "data/decisions").glob("*.parquet")))
    assert decisions.filter(reason="manual")["detail"].null_count() == decisions.filter(reason="manual").height > 0
    assert decisions.filter(pl.col("reason") != "manual")["detail"].drop_nulls().len() > 0


@pytest.mark.slow
def test_another_workspace_gives_other_pseudonyms_and_the_same_one_the_same(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.card, "dataset_files", without_card)
    monkeypatch.setattr(configs, "for_profile", lambda _: [])
    version = versions.open(mine).version()
    checkout(version, tmp_path / "one", "public")
    other = Path(shutil.copytree(mine, tmp_path / "other"))
    checkout(versions.open(other).version(), tmp_path / "two", "public")
    (other / "reviewers.json").unlink()
    checkout(versions.open(other).version(), tmp_path / "three", "public")
    digests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("one", "two", "three")]
    assert digests[0] == digests[1] != digests[2]
