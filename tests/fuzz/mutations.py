"""Seeded mutations of valid inputs: bytes, texts and JSON values.

Everything is drawn from the ``random.Random`` that is passed, so an input is determined by its seed.
"""

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

TOKENS = (
    *('"', '""', "'", ",", ";", "\t", "\n", "\r\n", "\r", "\n\n", "\0", " ", "\\", '\\"', "[", "]", "{", "}", ":"),
    *("\ufeff", "\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\x1b[2J", "\u202e", "\u200b", "\ufe0f", "\U000e0041"),
    *("\\ud800", "\\udfff", "\\u0000", "null", "true", "NaN", "-Infinity", "1e999", "-0", "9" * 30, "9" * 5_000),
    *("[" * 3_000, '{"a":' * 3_000, "]" * 3_000, "<<<<<<< ours", "=======", ">>>>>>> theirs", "\n=======\n"),
    *("id", "prompt", "chosen", "role", "content", "ﬁ", "İ", "ß", "密码", "é", "e\u0301" * 40, "\U0001f600"),
)
"""Texts that formats give a meaning to, or that are rare."""
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 0.5, -1e308, float("inf"), float("nan"), "", " ", "a"),
    *("\ud800", "\udfff x", "\0", "\u200b", "a\nb", "[]", '["a"]', "x" * 10_000, [], {}, [[]], [None], [{}]),
    *({"": None}, ["a", 1], [["a"]], {"text": "a"}, {"role": "user", "content": "a"}, {"type": "text", "text": "a"}),
)
"""Values that stand where others are expected."""
_BYTES = (b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04")


def mutate_bytes(data: bytes, others: Sequence[bytes], rng: Random, tokens: Sequence[str] = TOKENS) -> bytes:
    """Return ``data`` after one to six changes; ``others`` are inputs to take parts from."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 1, 2, 4, 16, 64, 1 << 20)))
        match rng.randrange(9):
            case 0 if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = rng.choice(tokens).encode("utf-8", "surrogatepass")
            case 3:
                changed[at:end] = rng.choice(tokens).encode("utf-8", "surrogatepass")
            case 4:
                changed[at:at] = changed[at:end] * rng.choice((1, 2, 8))
            case 5:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                changed[at:end] = other[start : start + rng.choice((4, 32, 1 << 20))]
            case 6:
                changed[at:end] = rng.randbytes(end - at)[:64]
            case 7:
                changed[at:at] = rng.choice(_BYTES)
            case _:
                lines = changed.split(b"\n")
                rng.shuffle(lines)
                changed = bytearray(b"\n".join(lines))
    return bytes(changed[: 1 << 17])


def mutate_text(text: str, others: Sequence[str], rng: Random, tokens: Sequence[str] = TOKENS) -> str:
    """Return ``text`` after a few changes, as any text that a model or a server may send."""
    encoded = [each.encode("utf-8", "surrogatepass") for each in others]
    return mutate_bytes(text.encode("utf-8", "surrogatepass"), encoded, rng, tokens).decode("utf-8", "replace")


def mutate_json(value: Any, rng: Random) -> Any:
    """Return a copy of ``value`` with one to four parts replaced, removed, repeated, renamed or nested."""
    root = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(root))
        parent, key = rng.choice(places)
        match rng.randrange(7):
            case 0 | 1 | 2:
                parent[key] = copy.deepcopy(rng.choice(VALUES))
            case 3 if parent is not root:
                del parent[key]
            case 4 if isinstance(parent, dict):
                parent[rng.choice(("", "x", "error", "text", "role", "\ud800", "format", f"{key} "))] = parent[key]
            case 5 if isinstance(parent, list) and parent is not root:
                parent.append(copy.deepcopy(parent[key]))
            case _:
                parent[key] = [parent[key]] if rng.random() < 0.5 else {"a": parent[key]}
    return root[0]


def dump_json(value: Any, rng: Random) -> bytes:
    """Return ``value`` as JSON in one of its spellings; rarely nested too deep, or with invalid bytes."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1)))
    if rng.random() < 0.01:
        text = f'{{"a": {"[" * 100_000}{text}{"]" * 100_000}}}'
    return text.encode("utf-8", "surrogatepass")


def _places(parent: Any) -> Any:
    """Yield each container with each of its keys."""
    for key, value in list(parent.items() if isinstance(parent, dict) else enumerate(parent)):
        yield parent, key
        if isinstance(value, dict | list):
            yield from _places(value)
