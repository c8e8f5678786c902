import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.judges.guards import GUARDS
from seas_data.judges.run_guard import check
from seas_data.recipe import JudgeGuard, ModelHttp, ModelInProcess
from tests.conftest import examples


def http_model(**changes: Any) -> ModelHttp:
    return ModelHttp(**{"backend": "http", "model": "m", "url": "http://127.0.0.1:8000/v1"} | changes)


def judge(name: str, **changes: Any) -> JudgeGuard:
    policy = {"policy": "No cooking instructions."} if GUARDS.load(name).needs_policy else {}
    return JudgeGuard.model_validate({"by": "guard", "guard": name, "model": "m"} | policy | changes)


@pytest.mark.parametrize("name", [name for name in GUARDS.names() if name != "openai-moderation"])
def test_every_guard_but_a_moderation_endpoint_can_run_in_process(name: str) -> None:
    check(judge(name), ModelInProcess(model="m"))
    assert "transformers" in GUARDS.load(name).backends


def test_a_backend_that_cannot_run_a_guard_is_rejected_with_one_that_can() -> None:
    for endpoint in ("chat", "completions"):
        with pytest.raises(SeasDataError, match=r"logits.*backend: transformers"):
            check(judge("shieldgemma"), http_model(endpoint=endpoint))
    for name in ("wildguard", "harmbench"):
        with pytest.raises(SeasDataError, match="endpoint: completions"):
            check(judge(name), http_model())
        check(judge(name), http_model(endpoint="completions"))
    check(judge("openai-moderation"), http_model(endpoint="moderations"))
    for model in (http_model(), http_model(endpoint="completions"), ModelInProcess(model="m")):
        with pytest.raises(SeasDataError, match="openai-moderation asks an endpoint for moderations; set backend: ht"):
            check(judge("openai-moderation"), model)
    with pytest.raises(SeasDataError, match="llama-guard-3 needs a model that generates, and m has endpoint: mod"):
        check(judge("llama-guard-3"), http_model(endpoint="moderations"))
    with pytest.raises(SeasDataError, match="openai-moderation does not think; remove thinking_tokens"):
        check(judge("openai-moderation", thinking_tokens=9), http_model(endpoint="moderations"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gpt-oss-safeguard", {"policy": None}, "judges by a policy of yours; set policy to its text, or to a file"),
        ("gpt-oss-safeguard", {"thinking_tokens": 9}, "thinks as long as it needs; remove thinking_tokens"),
        ("gpt-oss-safeguard", {"options": {"reasoning": "deep"}}, r"options\.reasoning: Input should be 'low'"),
        ("gpt-oss-safeguard", {"options": {"policy": "x"}}, "policy is a key of the judge; move it out of options"),
        ("llama-guard-3", {"policy": "No cooking."}, "the guard llama-guard-3 takes no policy; remove policy"),
        ("wildguard", {"chat_template_kwargs": {"a": 1}}, "has no chat template; remove chat_template_kwargs"),
        ("harmbench", {"thinking_tokens": 9}, "answers with one token and cannot think; remove thinking_tokens"),
        ("strongreject", {"options": {"threshold": 0}}, r"options\.threshold: Input should be greater than 0"),
    ],
)
def test_settings_that_a_guard_cannot_follow_are_rejected(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SeasDataError, match=message):
        check(judge(name, **changes), http_model(endpoint="completions"))


OWN_FORM = ("shieldgemma", "wildguard", "harmbench", "openai-moderation")


@pytest.mark.parametrize("name", [name for name in GUARDS.names() if name not in OWN_FORM])
def test_all_other_guards_can_be_served_in_both_forms(name: str) -> None:
    check(judge(name), http_model())
    check(judge(name), http_model(endpoint="completions"))


FLAGS = [
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic"),
]
MODERATION = json.dumps(
    {"flagged": False, "categories": dict.fromkeys(FLAGS, False), "category_scores": dict.fromkeys(FLAGS, 0.01)}
)
SAFE = {
    **dict.fromkeys(("llama-guard-2", "llama-guard-3", "llama-guard-3-1b", "llama-guard-4"), "safe"),
    "wildguard": "Harmful request: no\nResponse refusal: no\nHarmful response: no",
    "qwen3guard": "Safety: Safe\nCategories: None\nRefusal: No",
    "shieldgemma": "No",
    "granite-guardian-3.2": "No\n<confidence> High </confidence>",
    "granite-guardian-3.3": "<score> no </score>",
    "gpt-oss-safeguard": "0",
    "nemotron-content-safety-3": "User Safety: unsafe\nResponse Safety: safe",
    "nemotron-safety-guard-v3": '{"User Safety": "safe", "Response Safety": "safe"}',
    "polyguard": "Harmful request: no\nRequest safety violations: None\nResponse refusal: no\nHarmful response: no\n"
    "Response safety violations: None",
    "harmbench": "no",
    "strongreject": "#overall_reasoning No.\n#scores\n1.a No.\n1.b 1\n2.a No.\n2.b 1\n3.a No.\n3.b 1",
    "openai-moderation": MODERATION,
    "granite-guardian-4.1": "<think>\n</think>\n<score> no </score>",
}


@pytest.mark.parametrize("name", GUARDS.names())
@examples(40)
@given(words=st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_a_safe_output_with_other_words_around_it_is_not_safe(name: str, words: str) -> None:
    assert name in SAFE, "add an output of the guard that says safe to SAFE"
    guard, safe = GUARDS.load(name), SAFE[name]
    assert guard.parse(safe, "response").verdict == "safe"
    for text in (words, words + safe, f"{words}\n{safe}", safe + words, f"{safe}\n{words}"):
        assert guard.parse(text, "response").verdict != "safe" or text.lower().split() == safe.lower().split()
