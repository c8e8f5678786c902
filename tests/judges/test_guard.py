from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.judges import GUARDS, check
from seas_data.recipe import GuardName, ModelHttp, ModelInProcess


def served(**changes: Any) -> ModelHttp:
    return ModelHttp(**{"backend": "http", "model": "m", "url": "http://127.0.0.1:8000/v1"} | changes)


def test_every_guard_that_a_recipe_may_name_is_there_under_its_name() -> None:
    assert set(GUARDS) == set(get_args(GuardName))
    assert all(guard.name == name for name, guard in GUARDS.items())


def test_every_guard_can_run_in_process() -> None:
    for guard in GUARDS.values():
        check(guard, ModelInProcess(model="m"))


def test_a_backend_that_cannot_serve_a_guard_is_refused_with_one_that_can() -> None:
    for form in ("chat", "completion"):
        with pytest.raises(SeasDataError, match=r"logits.*backend: transformers"):
            check(GUARDS["shieldgemma"], served(form=form))
    with pytest.raises(SeasDataError, match="form: completion"):
        check(GUARDS["wildguard"], served())
    check(GUARDS["wildguard"], served(form="completion"))


@pytest.mark.parametrize("name", [name for name in GUARDS if name not in ("shieldgemma", "wildguard")])
def test_the_others_can_be_served_either_way(name: GuardName) -> None:
    check(GUARDS[name], served())
    check(GUARDS[name], served(form="completion"))


SAFE = {
    "wildguard": "Harmful request: no\nResponse refusal: no\nHarmful response: no",
    "qwen3guard": "Safety: Safe\nCategories: None\nRefusal: No",
    "shieldgemma": "No",
    "granite-guardian-3.2": "No\n<confidence> High </confidence>",
    "granite-guardian-3.3": "<score> no </score>",
    "granite-guardian-4.1": "<think>\n</think>\n<score> no </score>",
}


@pytest.mark.parametrize("name", GUARDS)
@settings(deadline=None, max_examples=40)
@given(words=st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_no_words_around_a_safe_answer_leave_it_safe(name: GuardName, words: str) -> None:
    guard, safe = GUARDS[name], SAFE.get(name, "safe")
    assert guard.parse(safe, "response").verdict == "safe"
    for text in (words, words + safe, f"{words}\n{safe}", safe + words, f"{safe}\n{words}"):
        assert guard.parse(text, "response").verdict != "safe" or text.split() == safe.split()
