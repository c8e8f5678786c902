"""A guard's score: the probability of unsafe at the token that gives its verdict.

In process all logits are available, so the probability of *unsafe* is exactly the proportion of its words among the
words of both verdicts. A server returns only the likeliest tokens; a verdict that is not among them counts as 0.
"""

import re
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seas_data.models.protocol import VerdictTokens

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
    """Return whether the verdict may be the token that follows the output ``before``."""
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
    tokenizer: "PreTrainedTokenizerBase",
    answers: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    token_ids: set[int],
) -> list[float | None]:
    """Return the probability of unsafe of each answer, None if no token of it gives a verdict.

    Args:
        verdict_tokens: the words of the verdicts, and where they are.
        tokenizer: the model's tokenizer.
        answers: generated token ids, of shape (rows, steps).
        probabilities: what ``ProbabilityRecorder`` recorded, of the same shape.
        token_ids: all ids of ``verdict_token_ids``.
    """
    if verdict_tokens.after is None:
        return [float(probability) for probability in probabilities[:, 0]]
    scores: list[float | None] = []
    candidates = np.isin(answers, sorted(token_ids))
    for tokens, possible, row in zip(answers, candidates, probabilities, strict=True):
        steps = (int(step) for step in np.flatnonzero(possible))
        first = next((s for s in steps if is_verdict_position(verdict_tokens, tokenizer.decode(tokens[:s]))), None)
        scores.append(None if first is None else float(row[first]))
    return scores


def compute_choice_score(verdict_tokens: VerdictTokens, choice: dict[str, Any]) -> float | None:
    """Return the probability of unsafe of a server's choice, None if it has no probabilities of a verdict token.

    A verdict with no word among the likeliest tokens counts as 0.
    """
    before = ""
    for token, likeliest in read_logprobs(choice):
        is_verdict = classify_token(verdict_tokens, token) != 0 and is_verdict_position(verdict_tokens, before)
        if verdict_tokens.after is None or is_verdict:
            totals = {1: 0.0, -1: 0.0, 0: 0.0}
            for word, logprob in likeliest.items():
                totals[classify_token(verdict_tokens, word)] += exp(logprob)
            both = totals[1] + totals[-1]
            return totals[1] / both if both > 0 else None
        before += token
    return None


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
