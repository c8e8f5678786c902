"""A guard's score: the probability of unsafe at the token that gives its verdict.

In process all logits are available, so the probability of *unsafe* is exactly the proportion of its words among the
words of both verdicts. A server returns only the likeliest tokens; a verdict that is not among them counts as 0. The
token is searched for in the final part of an output only: a guard that thinks weighs both verdicts before it gives one.
"""

import re
from collections.abc import Callable, Sequence
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seas_data.models.protocol import VerdictTokens
from seas_data.models.thinking import NO_FINAL, split_thinking

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

_BLANKS = "Ġ▁Ċ \n\t\r"  # as byte-level and SentencePiece vocabularies spell them, and literally


def classify_token(verdict_tokens: VerdictTokens, token: str) -> int:
    """Return 1 if ``token`` is a word of unsafe (or begins one, and none of safe), -1 if of safe, 0 otherwise."""
    word = token if verdict_tokens.exact else token.strip(_BLANKS)
    matches = [
        any(_matches(word, full, verdict_tokens.exact) for full in words)
        for words in (verdict_tokens.unsafe, verdict_tokens.safe)
    ]
    return matches[0] - matches[1]


def _matches(word: str, full: str, exact: bool) -> bool:
    return word == full or (not exact and len(word) >= 2 and full.startswith(word))


def is_verdict_position(verdict_tokens: VerdictTokens, before: str) -> bool:
    """Return whether the verdict may be the token that follows ``before``, a beginning of the output's final part."""
    return verdict_tokens.after is None or re.search(f"(?:{verdict_tokens.after})\\Z", before) is not None


class ProbabilityRecorder:
    """Logits processor that records the probability of unsafe at each step of one call of ``generate``.

    It changes nothing. Keeping the complete logits of a batch instead would take gigabytes.
    """

    def __init__(self, unsafe: "Tensor", safe: "Tensor") -> None:
        self.unsafe, self.safe = unsafe, safe
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Record the probability of unsafe of each row, and return ``scores`` unchanged."""
        unsafe, safe = (scores[:, words].float().logsumexp(1) for words in (self.unsafe, self.safe))
        self.steps.append((unsafe - safe).sigmoid())
        return scores


def verdict_token_ids(
    verdict_tokens: VerdictTokens, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[list[int], list[int]]:
    """Return the token ids of the words of unsafe and of safe, each in ascending order."""
    unsafe, safe = [], []
    for token, token_id in tokenizer.get_vocab().items():
        verdict = classify_token(verdict_tokens, token)
        if verdict == 1:
            unsafe.append(token_id)
        elif verdict == -1:
            safe.append(token_id)
    return sorted(unsafe), sorted(safe)


def compute_scores(
    verdict_tokens: VerdictTokens,
    decode: Callable[[NDArray[np.int64]], str],
    answers: NDArray[np.int64],
    starts: Sequence[int | None],
    probabilities: NDArray[np.float64],
    token_ids: set[int],
) -> list[float | None]:
    """Return the probability of unsafe of each answer, None if no token of its final part gives a verdict.

    Args:
        verdict_tokens: the words of the verdicts, and where they are.
        decode: returns the text of token ids.
        answers: generated token ids, of shape (rows, steps).
        starts: where the final part of each answer begins in its text, None without one.
        probabilities: what ``ProbabilityRecorder`` recorded, of the same shape as ``answers``.
        token_ids: all ids of ``verdict_token_ids``.
    """
    first_token = verdict_tokens.after is None
    candidates = np.full(answers.shape, True) if first_token else np.isin(answers, sorted(token_ids))
    scores: list[float | None] = []
    for tokens, start, possible, row in zip(answers, starts, candidates, probabilities, strict=True):
        steps = [] if start is None else [int(step) for step in np.flatnonzero(possible)]
        before = ((step, decode(tokens[:step]) if step else "") for step in steps)
        first = next((step for step, text in before if _is_final(verdict_tokens, text, start or 0)), None)
        scores.append(None if first is None else float(row[first]))
    return scores


def compute_choice_score(
    verdict_tokens: VerdictTokens,
    choice: dict[str, Any],
    answer: str | None = None,
    *,
    thought: bool = False,
    opened: bool = False,
) -> float | None:
    """Return the probability of unsafe of a server's choice, None if it has no probabilities of a verdict token.

    A verdict with no word among the likeliest tokens counts as 0. ``answer``, ``thought`` and ``opened``: see
    ``find_final_part``.
    """
    steps = read_logprobs(choice)
    start = find_final_part("".join(token for token, _ in steps), answer, thought=thought, opened=opened)
    before = ""
    for token, likeliest in steps:
        is_verdict = verdict_tokens.after is None or classify_token(verdict_tokens, token) != 0
        if is_verdict and start is not None and _is_final(verdict_tokens, before, start):
            totals = {1: 0.0, -1: 0.0, 0: 0.0}
            for word, logprob in likeliest.items():
                totals[classify_token(verdict_tokens, word)] += exp(logprob)
            both = totals[1] + totals[-1]
            return totals[1] / both if both > 0 else None
        before += token
    return None


def find_final_part(output: str, answer: str | None, *, thought: bool = False, opened: bool = False) -> int | None:
    """Return where the final part begins in ``output``, the tokens of a reply in one text; None if that is unclear.

    A server may split the thinking off the text and leave it among the tokens, with or without its tags.

    Args:
        output: the text of all tokens.
        answer: the text of the reply without thinking, if known.
        thought: whether the reply had thinking.
        opened: whether the prompt ended inside thinking.
    """
    split = split_thinking(output, opened=opened)
    if split.note == NO_FINAL or (answer is not None and not answer.strip()):
        return None
    text = output.rstrip()
    if answer is not None and text.endswith(answer.strip()):
        return len(text.removesuffix(answer.strip()).rstrip(_BLANKS))
    return None if thought and split.thinking is None else split.start


def _is_final(verdict_tokens: VerdictTokens, before: str, start: int) -> bool:
    """Return whether the verdict may follow the output ``before``, whose final part begins at ``start``."""
    return len(before) >= start and is_verdict_position(verdict_tokens, before[start:])


def read_logprobs(choice: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """Return each generated token with the likeliest tokens of its step (itself included) and their log-probabilities.

    Chats and completions have different formats; a choice with neither has no steps.
    """
    logprobs = choice.get("logprobs")
    try:
        if isinstance(logprobs, dict) and logprobs.get("content"):
            return [
                _check_step(step["token"], {top["token"]: top["logprob"] for top in (*step["top_logprobs"], step)})
                for step in logprobs["content"]
            ]
        if isinstance(logprobs, dict) and logprobs.get("top_logprobs"):
            steps = zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
            return [_check_step(token, dict(top) | ({} if own is None else {token: own})) for token, own, top in steps]
    except (KeyError, TypeError, ValueError, OverflowError):
        pass  # a format of the server's own
    return []


def _check_step(token: Any, likeliest: dict[Any, Any]) -> tuple[str, dict[str, float]]:
    """Return a step if its tokens are texts and its log-probabilities numbers up to 0; raise ValueError otherwise."""
    for word, logprob in [(token, 0.0), *likeliest.items()]:
        if not isinstance(word, str) or not isinstance(logprob, int | float) or not logprob < 1e-3:
            raise ValueError
    return token, {word: float(logprob) for word, logprob in likeliest.items()}
