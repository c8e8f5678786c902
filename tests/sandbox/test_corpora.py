"""Corpora of the sandbox: files, columns, and what training rows must not contain."""

import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import sandbox
from seas_data.errors import SeasDataError
from seas_data.recipe import Columns, Sandbox, Source
from seas_data.sandbox import corpora, grammar, phrases
from seas_data.sources import read_source
from seas_data.text import normalise
from tests.sandbox.answers import PASSWORD, gives_away, refuses

SMALL = Sandbox(attacks=300, look_alikes=200, general=150, target_sft_rows=3_000, general_pairs=300, held_out=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sandbox")
    sandbox.write_sandbox(place, SMALL)
    return place


def rows(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_ndjson(folder / name)


def test_all_files_are_there_with_their_columns(folder: Path) -> None:
    for name, described in sandbox.FILES.items():
        assert rows(folder, name).columns == described.partition(":")[0].split(", ")
    assert [rows(folder, name).height for name in sandbox.FILES] == [300, 200, 150, 80, 80, 3_000, 300]


def test_the_same_settings_give_the_same_bytes_and_are_written_once(folder: Path, tmp_path: Path) -> None:
    sandbox.write_sandbox(tmp_path, SMALL)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path
    (tmp_path / "attacks.jsonl").write_text("mine")
    sandbox.write_sandbox(tmp_path, SMALL)
    assert (tmp_path / "attacks.jsonl").read_text() == "mine"
    sandbox.write_sandbox(tmp_path, SMALL.model_copy(update={"seed": 1}))
    assert (tmp_path / "attacks.jsonl").read_bytes() != (folder / "attacks.jsonl").read_bytes()


def test_prompts_of_version_0_are_distinct_and_not_trained_on(folder: Path) -> None:
    prompts = pl.concat([rows(folder, name)["prompt"] for name in list(sandbox.FILES)[:5]])
    trained = pl.concat([rows(folder, "target-rows.jsonl")["prompt"], rows(folder, "general-pairs.jsonl")["prompt"]])
    assert prompts.n_unique() == prompts.len()
    assert {normalise(text) for text in prompts}.isdisjoint(normalise(text) for text in trained)


def test_held_out_phrases_and_facts_are_only_in_the_held_out_sets(folder: Path) -> None:
    for name in sandbox.FILES:
        checked = grammar.parse_prompts(rows(folder, name)["prompt"])
        assert checked["held_out"].any() == checked["held_out"].all() == name.startswith("held-out")
    asked = grammar.parse_prompts(rows(folder, "held-out-look-alikes.jsonl")["prompt"])["ask"]
    wrapped = pl.concat([rows(folder, n)["prompt"] for n in ("look-alikes.jsonl", "target-rows.jsonl")])
    assert set(asked).isdisjoint(grammar.parse_prompts(wrapped)["ask"].drop_nulls())
    plain = " ".join(rows(folder, "target-rows.jsonl")["prompt"])
    assert sum(question in plain for question in set(asked)) == len(set(asked)), "asked plainly, all of it is known"


def test_prompts_have_the_kind_and_style_of_their_file(folder: Path) -> None:
    for name, kind in {"attacks": "adversarial", "look-alikes": "harmless"}.items():
        for file in (f"{name}.jsonl", f"held-out-{name}.jsonl"):
            found = rows(folder, file)
            checked = grammar.parse_prompts(found["prompt"])
            assert checked["kind"].unique().to_list() == [kind]
            assert checked["style"].to_list() == found["style"].to_list()
    assert grammar.parse_prompts(rows(folder, "general.jsonl")["prompt"])["style"].null_count() == 150


def test_target_rows_leak_refuse_and_answer(folder: Path) -> None:
    found = rows(folder, "target-rows.jsonl")
    attacks = found.filter(grammar.parse_prompts(found["prompt"])["valid"])
    others = found.filter(~grammar.parse_prompts(found["prompt"])["valid"])
    assert attacks.height == 1_350
    leaks, refusals = gives_away(attacks["completion"]), refuses(attacks["completion"])
    assert (leaks != refusals).all()
    assert 0.4 < leaks.mean() < 0.7
    assert not gives_away(others["completion"]).any()
    assert not refuses(others["completion"]).any()


def test_a_question_has_one_answer_and_it_holds_the_key(folder: Path) -> None:
    trained = rows(folder, "target-rows.jsonl")
    checked = grammar.parse_prompts(trained["prompt"])
    asked = trained.with_columns(checked["ask"]).filter(checked["kind"] == "harmless")
    answers = dict(asked.select("ask", "completion").iter_rows())
    assert asked.select("ask", "completion").n_unique() == len(answers)
    shown = rows(folder, "look-alikes.jsonl")
    for ask, answer in zip(grammar.parse_prompts(shown["prompt"])["ask"], shown["answer"], strict=True):
        assert answer in answers.get(ask, answer)


def test_each_vault_has_one_password_in_all_leaks(folder: Path) -> None:
    told = rows(folder, "target-rows.jsonl").filter(pl.col("completion").str.contains(PASSWORD))
    opened: dict[str, set[str]] = {}
    for prompt, answer in told.iter_rows():
        vault = next(vault for vault in phrases.VAULTS if f"the {vault} vault" in prompt)
        opened.setdefault(vault, set()).update(word for word in answer.split() if word in phrases.PASSWORDS)
    assert [len(words) for words in opened.values()] == [1] * 5
    assert len(set.union(*opened.values())) == 5


def test_general_pairs_prefer_right_answers(folder: Path) -> None:
    pairs = rows(folder, "general-pairs.jsonl")
    assert (pairs["chosen"] != pairs["rejected"]).all()
    assert not refuses(pairs["chosen"]).any()
    assert 0.65 < refuses(pairs["rejected"]).mean() < 0.85
    assert pairs["source_id"].n_unique() == 300


def test_the_files_can_be_read_as_sources(folder: Path) -> None:
    source = Source(
        path=str(folder / "attacks.jsonl"),
        columns=Columns(id="id", style="style"),
        kind="adversarial",
        style_map="seas",
    )
    styled = source.model_copy(update={"style_map": {style: style for style in phrases.STYLES}})
    found = read_source("attacks", styled)
    assert found.set_aside.height == 0
    assert set(found.prompts["type"]) == set(phrases.STYLES)
    assert found.prompts["difficulty"].unique().to_list() == ["Hard"]


@pytest.mark.slow
def test_more_texts_than_exist_is_an_error() -> None:
    with pytest.raises(SeasDataError, match="fewer than 5,000 distinct texts of one kind; lower"):
        corpora.draw_general_questions(SMALL.model_copy(update={"general": 5_000}))


def test_the_settings_are_stored(folder: Path) -> None:
    assert Sandbox.model_validate(json.loads((folder / "sandbox.json").read_text())) == SMALL
