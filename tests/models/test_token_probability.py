from math import log
from typing import Any

import pytest

from seas_data.models.protocol import VerdictTokens
from seas_data.models.token_probability import classify_token, compute_choice_score, is_verdict_position, read_logprobs

GUARD = VerdictTokens(unsafe=("unsafe",), safe=("safe",))
YES = VerdictTokens(unsafe=("yes",), safe=("no",), after=r"Harmful response:\s*")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        *(
            ("unsafe", 1),
            (" unsafe", 1),
            ("Ġunsafe", 1),
            ("▁uns", 1),
            ("un", 1),
            ("safe", -1),
            ("\nsafe", -1),
            ("sa", -1),
        ),
        *(("u", 0), ("s", 0), ("", 0), ("Unsafe", 0), ("safely", 0), ("unsafely", 0), ("\n\n", 0), ("S1", 0)),
    ],
)
def test_a_token_belongs_to_a_verdict_if_it_is_or_unambiguously_begins_its_word(token: str, expected: int) -> None:
    assert classify_token(GUARD, token) == expected


def test_a_beginning_of_both_verdicts_belongs_to_neither() -> None:
    assert classify_token(VerdictTokens(unsafe=("nothing",), safe=("none",)), "no") == 0


def test_exact_words_must_equal_the_token() -> None:
    exact = VerdictTokens(unsafe=("Yes",), safe=("No",), after=None, exact=True)
    assert [classify_token(exact, token) for token in ("Yes", "No", " Yes", "▁No", "Ye", "yes")] == [1, -1, 0, 0, 0, 0]


def test_the_verdict_position_depends_on_the_text_before() -> None:
    assert (
        is_verdict_position(GUARD, "")
        and is_verdict_position(GUARD, "\n\n")
        and not is_verdict_position(GUARD, "This is ")
    )
    assert is_verdict_position(YES, "Harmful request: yes\nHarmful response: ") and not is_verdict_position(
        YES, "Harmful request: "
    )


def step(token: str, **likeliest: float) -> dict[str, Any]:
    shown = [{"token": word, "logprob": log(share)} for word, share in likeliest.items()]
    return {"token": token, "logprob": log(likeliest.get(token, 0.01)), "top_logprobs": shown}


def chat_choice(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"logprobs": {"content": list(steps)}}


def test_scores_of_chats_and_completions() -> None:
    said = chat_choice(step("\n\n"), step("safe", safe=0.6, unsafe=0.2, maybe=0.1))
    assert compute_choice_score(GUARD, said) == pytest.approx(0.25)
    completion = {
        "logprobs": {
            "tokens": ["\n\n", "un", "safe"],
            "token_logprobs": [None, log(0.3), log(0.9)],
            "top_logprobs": [None, {"safe": log(0.1)}, {"safe": log(0.9)}],
        }
    }
    assert compute_choice_score(GUARD, completion) is None, "the first step has no probabilities in this form"
    completion["logprobs"]["top_logprobs"][0] = {}
    completion["logprobs"]["token_logprobs"][0] = 0.0
    assert compute_choice_score(GUARD, completion) == pytest.approx(0.75), "the first of the word's tokens decides"


def test_words_before_the_verdict_position_are_ignored() -> None:
    lines = chat_choice(
        step("Harmful request:"),
        step(" yes", yes=0.9),
        step("\nHarmful response:"),
        step(" no", **{" no": 0.5, " yes": 0.5}),
    )
    assert compute_choice_score(YES, lines) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": []}},
        {"logprobs": {"content": [{"token": "safe"}]}},
        {"logprobs": {"content": "safe"}},
        {"logprobs": ["safe"]},
        {"logprobs": {"top_logprobs": [{}]}},
        {"logprobs": {"tokens": ["safe"], "token_logprobs": [None], "top_logprobs": [{}]}},
        chat_choice(step("This"), step(" is"), step(" safe", safe=0.9)),
    ],
)
def test_without_probabilities_of_the_verdict_token_there_is_no_score(choice: dict[str, Any]) -> None:
    assert compute_choice_score(GUARD, choice) is None


def test_a_verdict_not_among_the_likeliest_tokens_counts_as_zero() -> None:
    assert compute_choice_score(GUARD, chat_choice(step("unsafe", unsafe=0.99))) == 1.0
    assert read_logprobs(chat_choice(step("unsafe", unsafe=0.5)))[0][1]["unsafe"] == pytest.approx(log(0.5))
