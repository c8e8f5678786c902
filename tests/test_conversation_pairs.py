"""Answers to conversations become pairs, a release and exports that keep the turns."""

import json
from pathlib import Path
from typing import Any

import datasets
import duckdb
import polars as pl
import pytest

from seas_data.conversation import render
from seas_data.query.version import Version
from seas_data.recipe import TrainingDpo
from seas_data.release import folder
from seas_data.release.export import export
from seas_data.run import build
from seas_data.sandbox.tiny import write_model
from seas_data.train import rows as checks
from seas_data.train.version_rows import select_rows
from tests.made_logs import DISHES, attack, declined, given, recipe, write_rows

SYSTEM = "You work in a kitchen."


def turns(number: int) -> list[dict[str, str]]:
    """Return a conversation; one of three has a system turn."""
    said = [
        ("user", attack(number)),
        ("assistant", declined(number)),
        ("user", f"Then how long does {dish(number)} take?"),
    ]
    head = [("system", SYSTEM)] if number % 3 == 0 else []
    return [{"role": role, "content": content} for role, content in [*head, *said]]


def dish(number: int) -> str:
    return f"{DISHES[number % len(DISHES)]} number {number * 7919}"


def answered(messages: Any, number: int, kind: str) -> list[dict[str, Any]]:
    """Return two answers: unsafe and safe to an attack, a refusal and a full answer to a harmless prompt."""
    sides = [(given(number), "bad", "full_compliance"), (declined(number), "ok", "full_refusal")]
    return [
        {"q": messages, "r": text, "v": verdict if kind == "adversarial" else "ok", "c": refusal}
        for text, verdict, refusal in sides
    ]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("conversations")
    sources = {}
    for kind, first in (("adversarial", 0), ("harmless", 100)):
        rows = [row for at in range(first, first + 24) for row in answered(turns(at), at, kind)]
        rows += [row for at in range(first + 24, first + 30) for row in answered(f"Who eats {dish(at)}?", at, kind)]
        sources[kind] = {
            "path": str(write_rows(root / f"{kind}.jsonl", rows)),
            "columns": {"text": "q"},
            "turn": "all",
            "kind": kind,
            "target": "mild",
            "answers": {
                "response": "r",
                "verdict": "v",
                "verdict_map": {"bad": "unsafe", "ok": "safe"},
                "refusal": "c",
                "refusal_map": {"full_compliance": "full_compliance", "full_refusal": "full_refusal"},
            },
        }
    return build(recipe(sources, pairs={"harmless": {}}), root / "ws").version


def asked(version: Version) -> dict[str, list[dict[str, str]]]:
    """Return the turns of each kept prompt of train by its id."""
    rows = version.sql("select prompt_id, text, messages from kept join splits using (prompt_id) where split = 'train'")
    return {key: messages or [{"role": "user", "content": text}] for key, text, messages in rows.rows()}


def test_pairs_of_attacks_and_of_harmless_prompts_have_all_turns(version: Version) -> None:
    pairs, prompts = version.table("pairs"), asked(version)
    assert set(pairs["role"]) == {"target", "harmless"}
    assert {row["prompt_id"]: row["prompt"] for row in pairs.to_dicts()} == prompts
    roles = {tuple(turn["role"] for turn in messages) for messages in pairs["prompt"]}
    assert roles == {("user",), ("user", "assistant", "user"), ("system", "user", "assistant", "user")}
    for row in pairs.filter(role="target").to_dicts():
        assert row["chosen"][0]["content"].startswith("I do not give") and len(row["chosen"]) == 1


@pytest.fixture(scope="module")
def released(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "release"
    folder.checkout(version, path, "gated")
    return path


@pytest.mark.slow
def test_a_release_has_the_turns_in_every_tool(version: Version, released: Path, tmp_path: Path) -> None:
    prompts = version.table("prompts").filter(pl.col("messages").is_not_null())
    known = dict(prompts.select("prompt_id", "messages").iter_rows())
    for name in ("prompts", "judged", "responses"):
        loaded = datasets.load_dataset(str(released), name, cache_dir=str(tmp_path))
        frame = pl.concat([split.to_polars() for split in loaded.values()])
        glob = released / "data" / name / "*.parquet"
        assert frame.equals(pl.concat([pl.read_parquet(path) for path in sorted_like(loaded, released, name)]))
        found = frame.filter(pl.col("messages").is_not_null())
        assert set(found["prompt_id"]) <= set(known) and found.height > 20, name
        assert all(messages == known[key] for key, messages in found.select("prompt_id", "messages").iter_rows())
        counts = "select count(messages), count(list_extract(messages, -1).content) from"
        assert duckdb.sql(f"{counts} '{glob}'").fetchall() == [(found.height, found.height)]
    pairs = datasets.load_dataset(str(released), "pairs-target", split="train", cache_dir=str(tmp_path))
    assert pairs.to_polars()["prompt"].to_list() == version.table("pairs").sort("pair_id")["prompt"].to_list()


def sorted_like(loaded: Any, released: Path, name: str) -> list[Path]:
    return [path for split in loaded for path in sorted((released / "data" / name).glob(f"{split}-*.parquet"))]


@pytest.mark.slow
def test_pairs_are_trained_on_with_the_tokens_with_which_they_are_asked(version: Version, tmp_path: Path) -> None:
    from seas_data.models import chat_template
    from seas_data.models.protocol import PromptFormat
    from tests.train.test_rows import trl_tokens

    table, pairs = select_rows(version, "target")
    assert table == "pairs"
    texts = [turn["content"] for name in ("prompt", "chosen", "rejected") for each in pairs[name] for turn in each]
    words = sorted({word for text in texts for word in text.split()})
    base = tmp_path / "base"
    write_model(base, layers=1, seed=0, hidden=16, heads=2, intermediate=16, positions=256, vocabulary=words)
    settings = TrainingDpo(learning_rate=1e-3, max_length=200, device="cpu", gradient_checkpointing=False)
    own = checks.check_rows(pairs, "dpo", str(base), settings)
    assert own.rows.height == pairs.height and own.counts["too_long"] == 0
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    expected = trl_tokens("dpo", base, pairs, 200)
    assert own.tokens.to_dicts() == [{name: row[name] for name in names} for row in expected]
    tokenizer = chat_template.load_tokenizer(str(base))
    requests = chat_template.render_conversations(tokenizer, pairs["prompt"].to_list(), PromptFormat())
    sent = tokenizer(requests, add_special_tokens=False)["input_ids"]
    assert own.tokens["prompt_ids"].to_list() == sent
    # Half of the conversations have more tokens than this: their rows are left out and counted.
    shorter = settings.model_copy(update={"max_length": 40, "min_rows": 1})
    cut = checks.check_rows(pairs, "dpo", str(base), shorter)
    assert cut.counts["too_long"] == sum(len(ids) >= 40 for ids in sent) > 0
    assert cut.rows.height == pairs.height - cut.counts["too_long"]


@pytest.mark.slow
def test_exports_keep_the_turns_or_leave_the_row_out_and_count_it(version: Version, tmp_path: Path) -> None:
    prompts = asked(version)
    conversations = {key: messages for key, messages in prompts.items() if len(messages) > 1}
    for tool in ("pyrit", "inspect", "promptfoo", "harmbench", "garak"):
        made = export(version, tool, tmp_path / tool, "train")
        takes = tool in ("pyrit", "inspect")
        left_out = 0 if takes else len(conversations)
        assert (made.written, made.conversations) == (len(prompts) - left_out, left_out), tool
        content = (tmp_path / tool).read_text()
        assert ("Then how long does" in content) is takes and "[[user]]" not in content
    samples = [json.loads(line) for line in (tmp_path / "inspect").read_text().splitlines()]
    inputs = {each["id"]: each["input"] for each in samples}
    assert {key: inputs[key] for key in conversations} == conversations


def test_the_flat_text_is_the_rendering_of_the_turns(version: Version) -> None:
    rows = version.table("prompts").filter(pl.col("messages").is_not_null())
    assert [render(messages) for messages in rows["messages"]] == rows["text"].to_list()
