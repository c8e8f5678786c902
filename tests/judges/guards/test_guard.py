from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.judges.guards import GUARDS
from seas_data.judges.run_guard import check
from seas_data.recipe import JudgeGuard, ModelHttp, ModelInProcess


def http_model(**changes: Any) -> ModelHttp:
    return ModelHttp(**{"backend": "http", "model": "m", "url": "http://127.0.0.1:8000/v1"} | changes)


def judge(name: str, **changes: Any) -> JudgeGuard:
    return JudgeGuard.model_validate({"by": "guard", "guard": name, "model": "m"} | changes)


@pytest.mark.parametrize("name", GUARDS.names())
def test_every_guard_can_run_in_process(name: str) -> None:
    check(judge(name), ModelInProcess(model="m"))
    assert "transformers" in GUARDS.load(name).backends


def test_a_backend_that_cannot_run_a_guard_is_rejected_with_one_that_can() -> None:
    for endpoint in ("chat", "completions"):
        with pytest.raises(SeasDataError, match=r"logits.*backend: transformers"):
            check(judge("shieldgemma"), http_model(endpoint=endpoint))
    with pytest.raises(SeasDataError, match="endpoint: completions"):
        check(judge("wildguard"), http_model())
    check(judge("wildguard"), http_model(endpoint="completions"))


@pytest.mark.parametrize("name", [name for name in GUARDS.names() if name not in ("shieldgemma", "wildguard")])
def test_all_other_guards_can_be_served_in_both_forms(name: str) -> None:
    check(judge(name), http_model())
    check(judge(name), http_model(endpoint="completions"))


SAFE = {
    **dict.fromkeys(("llama-guard-2", "llama-guard-3", "llama-guard-3-1b", "llama-guard-4"), "safe"),
    "wildguard": "Harmful request: no\nResponse refusal: no\nHarmful response: no",
    "qwen3guard": "Safety: Safe\nCategories: None\nRefusal: No",
    "shieldgemma": "No",
    "granite-guardian-3.2": "No\n<confidence> High </confidence>",
    "granite-guardian-3.3": "<score> no </score>",
    "granite-guardian-4.1": "<think>\n</think>\n<score> no </score>",
}


@pytest.mark.parametrize("name", GUARDS.names())
@settings(deadline=None, max_examples=40)
@given(words=st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_a_safe_output_with_other_words_around_it_is_not_safe(name: str, words: str) -> None:
    assert name in SAFE, "add an output of the guard that says safe to SAFE"
    guard, safe = GUARDS.load(name), SAFE[name]
    assert guard.parse(safe, "response").verdict == "safe"
    for text in (words, words + safe, f"{words}\n{safe}", safe + words, f"{safe}\n{words}"):
        assert guard.parse(text, "response").verdict != "safe" or text.split() == safe.split()
