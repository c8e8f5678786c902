"""Views: what the tables of a version say, from its files alone."""

import shutil
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest

from seas_data import tables
from seas_data.query import views
from seas_data.recipe.taxonomy import default_taxonomy
from tests.query.frames import store, table


def ask(shards: dict[str, list[Path]], query: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect()
    for statement in views.create_statements({name: [str(path) for path in paths] for name, paths in shards.items()}):
        connection.execute(statement)
    return connection.execute(query).fetchall()


def test_every_table_without_rows_is_an_empty_view_with_the_columns_and_types_of_its_schema() -> None:
    connection = duckdb.connect()
    for statement in views.create_statements({"decisions": [], "runs": []}):
        connection.execute(statement)
    for name in tables.TABLES:
        answer = connection.sql(f"select * from {name}").pl()
        assert answer.schema == tables.empty(name).schema, name
        assert answer.height == 0 or name == "taxonomy"
    assert connection.sql("from taxonomy order by position").pl().equals(default_taxonomy().frame())
    assert connection.sql("select * from kept").pl().schema == tables.empty("prompts").schema


def test_prompts_are_joined_with_relabels_only_if_there_are_some(tmp_path: Path) -> None:
    prompts = table("prompts", *({"prompt_id": each, "source": "one"} for each in "ab"))
    relabels = table("relabels", {"prompt_id": "a", "version": "v1", "type": "relabelled", "because": "it is"})

    def plan(shards: dict[str, list[Path]]) -> str:
        return str(ask(shards, "explain select source, count(*) from prompts group by source"))

    without = store(tmp_path / "without", prompts=prompts)
    with_some = store(tmp_path / "with", prompts=prompts, relabels=relabels)
    assert "prompt_id" not in plan(without)
    assert "prompt_id" in plan(with_some)
    assert ask(with_some, "select prompt_id, type from prompts order by all") == [("a", "relabelled"), ("b", None)]


@pytest.mark.slow
def test_a_stored_table_has_the_types_of_an_empty_one(tmp_path: Path) -> None:
    shards = store(
        tmp_path,
        prompts=table("prompts", {"prompt_id": "a"}),
        embeddings=table("embeddings", {"prompt_id": "a"}),
        pairs=table(
            "pairs",
            {
                "pair_id": "p",
                "role": "red",
                "iteration": 1,
                "prompt": [{"role": "user", "content": "hello"}],
                "chosen": [],
                "rejected": [],
                "chosen_id": "c",
                "rejected_id": "r",
            },
        ),
    )
    for name in shards:
        types = "select column_name, column_type from (describe {})"
        assert ask(shards, types.format(name)) == ask({}, types.format(name))


def test_runs_is_a_view_with_or_without_files(tmp_path: Path) -> None:
    shards = store(tmp_path, runs=pl.DataFrame({"stage": ["read"], "seconds": [0.5]}))
    assert ask(shards, "select * from runs") == [("read", 0.5)]
    assert ask({"runs": []}, "select version, stage, seconds from runs") == []


ASKED = {
    # of each prompt: which set, by which red team, type, style, how hard; an attack that joined is told once
    "a1": ("evaluation", "R2", "Role Play", "Role Play", "Hard"),
    "a2": ("train", "R0", "Health Harm", None, "Easy"),
    "p1": ("test", None, "Word Play", "Word Play", "Hard"),
    "p2": ("general", None, None, None, None),
    "p3": ("harmless", None, None, None, None),
    "p4": ("alpha", None, None, None, None),
    "p5": ("train", None, None, None, None),
    # a look-alike that a red team wrote is nobody's attack, and what a person said of an attack is said of it here
    "a3": ("train", None, None, None, None),
    "a4": ("train", "R0", "Role Play", "Role Play", "Hard"),
}


@pytest.mark.slow
def test_asked_and_answers_say_of_which_set_and_iteration_each_answer_is(tmp_path: Path) -> None:
    def attack(prompt_id: str, seed_id: str, split: str, model: str, iteration: int) -> dict[str, object]:
        about = {"prompt_id": prompt_id, "seed_id": seed_id, "split": split, "model": model, "iteration": iteration}
        return about | {"number": 0, "text": "open"}

    splits = {"a2": "train", "p1": "test", "p2": "test", "p3": "harmless", "p4": "holdout", "p5": "train"}
    splits |= {"a3": "train", "a4": "train"}
    easy = {"type": "Health Harm", "risk_category": "Health Harm", "difficulty": "Easy"}
    hard = {"type": "Role Play", "attack_style": "Role Play", "difficulty": "Hard"}
    prompts = [
        {"prompt_id": "a3", "model": "R0", "seed_id": "s2", "source": "red-team", "kind": "harmless"},
        {"prompt_id": "a4", "model": "R0", "seed_id": "s2", "source": "red-team"} | easy,
        {"prompt_id": "a2", "model": "R0", "seed_id": "s2", "source": "red-team"} | easy,
        {"prompt_id": "p1", "type": "Word Play", "attack_style": "Word Play", "difficulty": "Hard"},
        {"prompt_id": "p2", "kind": "general"},
        *({"prompt_id": prompt_id, "kind": "harmless"} for prompt_id in ("p3", "p4", "p5")),
    ]
    answered = [("a1", "T1"), ("a1", "T3"), ("a2", "T0"), ("p1", "T1"), ("p3", "T2"), ("p5", "T1")]
    answered += [("a3", "T0"), ("a3", "T2")]
    shards = store(
        tmp_path,
        prompts=table("prompts", *prompts),
        splits=table("splits", *({"prompt_id": each, "split": split} for each, split in splits.items())),
        seeds=table(
            "seeds",
            {"seed_id": "s1", "iteration": 0, "type": "Role Play", "example_ids": ["p1"], "text": "t"},
            {"seed_id": "s2", "iteration": 1, "type": "Health Harm", "example_ids": ["p1"], "text": "t"},
        ),
        attacks=table(
            "attacks",
            attack("a1", "s1", "test", "R2", 2),
            *(attack(each, "s2", "train", "R0", 1) for each in ("a2", "a3", "a4")),
        ),
        relabels=table("relabels", {"prompt_id": "a4", "version": "v1"} | hard),
        responses=table(
            "responses",
            *(
                {"response_id": f"{prompt}{model}", "prompt_id": prompt, "model": model, "sample": 0}
                for prompt, model in answered
            ),
        ),
        verdicts=table(
            "verdicts",
            *(
                {"response_id": f"{prompt}{model}", "judge": judge, "verdict": verdict}
                for prompt, model in answered
                for judge, verdict in (("ann", "unsafe"), ("bob", "unparsed"))
            ),
        ),
    )
    query = "select prompt_id, prompt_set, red_team, type, attack_style, difficulty from target_prompts order by 1"
    assert ask(shards, query) == [(prompt_id, *about) for prompt_id, about in sorted(ASKED.items())]
    query = "select prompt_id, target, iteration, unit_id, unsafe from answers where judge = 'ann' order by all"
    assert ask(shards, query) == [
        ("a1", "T1", 2, "s1", True),  # R2 is the newer one
        ("a1", "T3", 3, "s1", True),
        ("a2", "T0", 1, "s2", True),  # asked in the first turn
        ("a3", "T0", 1, "a3", True),
        ("a3", "T2", 3, "a3", True),  # and in the third: over-refusal there, no attack of the first
        ("p1", "T1", 1, "p1", True),
        ("p3", "T2", 2, "p3", True),
        ("p5", "T1", 2, "p5", True),  # T1 plays in the second turn
    ]
    assert ask(shards, "select distinct unsafe from answers where judge = 'bob'") == [(None,)]


def test_the_newest_relabel_by_number_is_what_prompts_shows_and_rows_without_one_stay(tmp_path: Path) -> None:
    shards = store(
        tmp_path,
        prompts=[
            table("prompts", {"prompt_id": "a", "label_source": "classifier", "label_probability": 0.7}),
            table("prompts", {"prompt_id": "b", "type": "Role Play", "label_source": "source", "difficulty": "Hard"}),
        ],
        relabels=table(
            "relabels",
            {"prompt_id": "a", "version": "v9", "kind": "adversarial", "type": "Word Play", "difficulty": "Hard"},
            {"prompt_id": "a", "version": "v10", "kind": "harmless", "label_source": "manual:bob"},
        ),
    )
    query = "select prompt_id, kind, type, difficulty, label_source, label_probability from prompts order by 1"
    assert ask(shards, query) == [
        ("a", "harmless", None, None, "manual:bob", None),
        ("b", "adversarial", "Role Play", "Hard", "source", None),
    ]


def test_kept_follows_the_newest_keep_or_drop_by_number_and_flags_change_nothing(tmp_path: Path) -> None:
    decided = [
        ("again", "v9", "drop", "near_duplicate"),
        ("again", "v10", "keep", "manual"),
        ("gone", "v9", "keep", "manual"),
        ("gone", "v10", "drop", "manual"),
        ("flagged", "v0", "drop", "invalid"),
        ("flagged", "v1", "flag", "contrast_pair"),
        ("overruled", "v0", "drop", "near_duplicate"),
        ("overruled", "v0", "keep", "manual"),
        ("pair", "v0", "flag", "contrast_pair"),
        ("tied", "v0", "drop", "split_bridge"),
        ("tied", "v0", "keep", "manual"),
    ]
    names = ("prompt_id", "version", "decision", "reason")
    shards = store(
        tmp_path,
        prompts=table("prompts", *({"prompt_id": name} for name in sorted({row[0] for row in decided} | {"plain"}))),
        decisions=table("decisions", *(dict(zip(names, row, strict=True)) for row in decided)),
    )
    assert ask(shards, "select prompt_id from kept order by 1") == [("again",), ("overruled",), ("pair",), ("plain",)]
    assert ask(shards, "select prompt_id, version, reason from dropped order by 1") == [
        ("flagged", "v0", "invalid"),
        ("gone", "v10", "manual"),
        ("tied", "v0", "split_bridge"),  # nobody's keep ties train to test
    ]


def test_kept_has_the_columns_of_prompts_and_its_relabels(tmp_path: Path) -> None:
    shards = store(
        tmp_path,
        prompts=table("prompts", {"prompt_id": "a"}),
        relabels=table("relabels", {"prompt_id": "a", "version": "v1", "kind": "general"}),
    )
    assert ask(shards, "select * from kept") == ask(shards, "select * from prompts")
    assert ask(shards, "select kind from kept") == [("general",)]


def test_only_the_files_that_are_named_are_read_whatever_their_names_and_folders_hold(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s [1] "a" x=y * ?'
    shards = store(folder, prompts=[table("prompts", {"prompt_id": "a"}), table("prompts", {"prompt_id": "b"})])
    first = {"prompts": shards["prompts"][:1]}
    assert ask(first, "select prompt_id from prompts") == [("a",)]
    assert ask(first, "select count(*) from (describe prompts)") == ask({}, "select count(*) from (describe prompts)")


def test_shards_of_one_table_may_differ_by_a_column(tmp_path: Path) -> None:
    shards = store(tmp_path, runs=[pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [2], "a": [3]})])
    assert ask(shards, "select a, b from runs order by a") == [(1, None), (3, 2)]


def _checked_out(folder: Path) -> None:
    shards = store(
        folder / "tables",
        prompts=table("prompts", {"prompt_id": "a"}, {"prompt_id": "b"}),
        decisions=table("decisions", {"prompt_id": "b", "decision": "drop", "reason": "manual"}),
    )
    places = {name: [str(path.relative_to(folder)) for path in paths] for name, paths in shards.items()}
    (folder / "views.sql").write_text(views.duckdb_script(places), encoding="utf-8")


def test_the_script_makes_the_views_in_a_plain_connection_and_may_be_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checked_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    connection = duckdb.connect()
    for _ in range(2):
        connection.execute((tmp_path / "views.sql").read_text(encoding="utf-8"))
    assert connection.execute("select prompt_id from kept").fetchall() == [("a",)]


@pytest.mark.skipif(shutil.which("duckdb") is None, reason="needs the duckdb shell")
def test_the_script_runs_in_the_duckdb_shell(tmp_path: Path) -> None:
    _checked_out(tmp_path)
    command = ["duckdb", "-init", "views.sql", "-csv", "-noheader", "-c", "select prompt_id from kept"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.strip() == "a", ended.stderr
