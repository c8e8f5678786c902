"""Judges of conversations: guards that take turns get them, the others get the flat text."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.conversation import MESSAGES, render
from seas_data.judges.guards import GUARDS, to_turns
from seas_data.judges.run import judge_prompts, judge_responses
from seas_data.models import chat_template
from seas_data.recipe import Judge, JudgePatterns, JudgeRefusal, JudgeRules
from tests.judges.conftest import stand_in
from tests.judges.guards import test_llama_guard, test_qwen3guard
from tests.judges.test_run import Scripted, guard

SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [
    {"role": "user", "content": "What is in the box?"},
    {"role": "assistant", "content": "A red ball."},
    {"role": "user", "content": "And under it?"},
]
RESPONSE = "a violet hat"
CONVERSATIONS = [[SYSTEM, *TURNS], TURNS]
FLAT = [render(each) for each in CONVERSATIONS]


def prompts() -> pl.DataFrame:
    return pl.DataFrame(
        {"prompt_id": ["p0", "p1", "p2"], "text": [*FLAT, "what colour"], "messages": [*CONVERSATIONS, None]},
        schema_overrides={"messages": MESSAGES},
    )


def responses() -> pl.DataFrame:
    ids = ["p0", "p1", "p2"]
    return pl.DataFrame({"response_id": [f"r{each}" for each in ids], "prompt_id": ids, "text": RESPONSE})


def seen(judge: Judge, folder: Path, **given: Any) -> list[Any]:
    """Return the messages, or the texts, that the judge's model gets, without a particular order."""
    model = Scripted(lambda *_: ("safe", "stop", 0.1))
    generators: Any = {"m": model}
    if given:
        judge_prompts(prompts(), [judge], generators, folder)
    else:
        judge_responses(prompts(), responses(), [judge], generators, folder)
    ((requests, _, _),) = model.calls
    return [row["text"] if "text" in row else row["messages"] for row in requests.iter_rows(named=True)]


@pytest.mark.parametrize("name", ["llama-guard-3", "qwen3guard"])
def test_a_guard_that_takes_turns_gets_those_of_user_and_assistant(name: str, tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": RESPONSE}
    first = {"role": "user", "content": "[[system]]\nBe brief.\n\n[[user]]\nWhat is in the box?"}
    expected = [
        [first, *TURNS[1:], answer],
        [*TURNS, answer],
        [{"role": "user", "content": "what colour"}, answer],
    ]
    found = seen(guard(name), tmp_path)
    assert sorted(found, key=str) == sorted(expected, key=str)
    alone = seen(guard(name), tmp_path / "prompts", alone=True)
    assert sorted(alone, key=str) == sorted([each[:-1] for each in expected], key=str)


@pytest.mark.parametrize(
    ("name", "template"),
    [("llama-guard-3", test_llama_guard.template("llama-guard-3")), ("qwen3guard", test_qwen3guard.TEMPLATE)],
)
def test_their_templates_judge_the_last_turn_of_the_conversation(name: str, template: str) -> None:
    tokenizer, (question,) = stand_in(template), GUARDS.load(name).questions("response")
    for conversation in CONVERSATIONS:
        messages = to_turns(conversation, RESPONSE)
        assert chat_template.find_refusals(tokenizer, [messages], question.prompt_format) == [None]
        (text,) = chat_template.render_conversations(tokenizer, [messages], question.prompt_format)
        places = [text.index(each["content"]) for each in [*conversation, {"content": RESPONSE}]]
        assert places == sorted(places) and "ONLY THE LAST" in text
        assert ("Agent message" in text) is (name == "llama-guard-3")


@pytest.mark.parametrize("name", ["wildguard", "granite-guardian-3.3"])
def test_a_guard_that_takes_one_prompt_gets_the_flat_text(name: str, tmp_path: Path) -> None:
    found = seen(guard(name), tmp_path)
    texts = [each if isinstance(each, str) else each[0]["content"] for each in found]
    assert all(isinstance(each, str) or [turn["role"] for turn in each] == ["user", "assistant"] for each in found)
    for flat in (*FLAT, "what colour"):
        assert sum(flat in text for text in texts) == (2 if flat == FLAT[1] else 1)


def test_a_judge_of_refusals_gets_the_flat_text_and_rules_read_the_response(tmp_path: Path) -> None:
    found = seen(JudgeRefusal(by="refusal", model="m"), tmp_path)
    assert any(f"<question>\n{FLAT[0]}\n</question>" in each[0]["content"] for each in found)
    rules = JudgeRules(by="rules", unsafe=JudgePatterns(words=["violet"]))
    verdicts = judge_responses(prompts(), responses(), [rules], {}, tmp_path)
    assert set(verdicts["verdict"]) == {"unsafe"}
    rules = JudgeRules(by="rules", unsafe=JudgePatterns(words=["ball"]))
    assert set(judge_responses(prompts(), responses(), [rules], {}, tmp_path)["verdict"]) == {"safe"}
