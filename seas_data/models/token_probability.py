"""How sure a guard is: the probabilities of the token that decides, wherever a backend shows them.

In process all logits are there, so the probability of *unsafe* is the share of its words among both sides' words,
exactly. A server shows the likeliest tokens alone; a side that is not among them counts as 0.
"""

import re
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seas_data.models.protocol import Decision

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

_BLANKS = "Ġ▁Ċ \n\t\r"  # as byte-level and SentencePiece vocabularies spell them, and as they are


def side(decision: Decision, token: str) -> int:
    """Return 1 if ``token`` is a word of unsafe (or begins one, and none of safe), -1 if of safe, 0 otherwise."""
    word = token if decision.exact else token.strip(_BLANKS)
    matches = [any(_is(word, full, decision.exact) for full in words) for words in (decision.unsafe, decision.safe)]
    return matches[0] - matches[1]


def _is(word: str, full: str, exact: bool) -> bool:
    return word == full or (not exact and len(word) >= 2 and full.startswith(word))


def decided(decision: Decision, before: str) -> bool:
    """Return whether what was written ``before`` a token makes it the one that decides."""
    return decision.after is None or re.search(f"(?:{decision.after})\\Z", before) is not None


class Watch:
    """Notes at each step of generation how probable either side is. One for each call of ``generate``.

    It is a logits processor that changes nothing: whole logits of a batch would be gigabytes.
    """

    def __init__(self, unsafe: "Tensor", safe: "Tensor") -> None:
        self.unsafe, self.safe = unsafe, safe
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Note the probability of unsafe of each row, and return ``scores`` as they are."""
        unsafe, safe = (scores[:, words].float().logsumexp(1) for words in (self.unsafe, self.safe))
        gap = unsafe - safe
        self.steps.append(gap.sigmoid())
        return scores


def sides(decision: Decision, tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int]]:
    """Return the token ids of either side's words, unsafe first, in ascending order."""
    ids: tuple[list[int], list[int]] = ([], [])
    for token, number in tokenizer.get_vocab().items():
        if found := side(decision, token):
            ids[found < 0].append(number)
    return sorted(ids[0]), sorted(ids[1])


def scores(
    decision: Decision,
    tokenizer: "PreTrainedTokenizerBase",
    answers: NDArray[np.int64],
    shares: NDArray[np.float64],
    words: set[int],
) -> list[float | None]:
    """Return the probability of unsafe of each answer, None where none of its tokens decides.

    ``answers`` are token ids and ``shares`` what ``Watch`` noted, both (rows, steps); ``words`` the ids of ``sides``.
    """
    if decision.after is None:
        return [float(share) for share in shares[:, 0]]
    found: list[float | None] = []
    candidates = np.isin(answers, sorted(words))
    for tokens, possible, row in zip(answers, candidates, shares, strict=True):
        steps = (int(step) for step in np.flatnonzero(possible))
        first = next((s for s in steps if decided(decision, tokenizer.decode(tokens[:s]))), None)
        found.append(None if first is None else float(row[first]))
    return found


def score_of_choice(decision: Decision, choice: dict[str, Any]) -> float | None:
    """Return the probability of unsafe of a server's choice; None where it shows none, or not of the token that counts.

    A side whose words are not among the likeliest tokens counts as 0.
    """
    before = ""
    for token, likeliest in logprobs_of(choice):
        if decision.after is None or (side(decision, token) and decided(decision, before)):
            shares = {1: 0.0, -1: 0.0, 0: 0.0}
            for word, logprob in likeliest.items():
                shares[side(decision, word)] += exp(logprob)
            total = shares[1] + shares[-1]
            return shares[1] / total if total > 0 else None
        before += token
    return None


def logprobs_of(choice: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """Return what was written step by step, each with the likeliest tokens (itself among them) and log-probabilities.

    Chats and completions have a form each; a server that shows neither gives no steps.
    """
    shown = choice.get("logprobs")
    try:
        if isinstance(shown, dict) and shown.get("content"):
            return [
                (step["token"], {top["token"]: top["logprob"] for top in (*step["top_logprobs"], step)})
                for step in shown["content"]
            ]
        if isinstance(shown, dict) and shown.get("top_logprobs"):
            steps = zip(shown["tokens"], shown["token_logprobs"], shown["top_logprobs"], strict=True)
            return [(token, dict(top) | ({} if own is None else {token: own})) for token, own, top in steps]
    except (KeyError, TypeError, ValueError):
        pass  # some form of its own
    return []
