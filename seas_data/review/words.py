"""What each person said of a row: a cell of the column ``words`` of a merged sheet, as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

WORDS: Final = "words"
"""The column of a merged sheet that has what each person said."""
QUESTIONS: Final = {"prompt_id": ("decision", "label"), "response_id": ("verdict", "refusal")}
"""The columns in which people answer, by the column that identifies a row."""

Word = dict[str, str]
"""What one person said of a row: who, the answers, and because; without empty values."""


def read_words(cell: str) -> list[Word]:
    """Return what people said, from a cell of the column ``words``. Raises ValueError if it is not such a cell."""
    words = json.loads(cell) if cell else []
    if not isinstance(words, list) or not all(_is_word(word) for word in words):
        raise ValueError("not a list of words")
    return words


def write_words(words: Sequence[Word]) -> str:
    """Return a cell of the column ``words``."""
    return json.dumps(words, ensure_ascii=False, separators=(",", ":")) if words else ""


def disagree(words: Iterable[Word], questions: Sequence[str]) -> bool:
    """Return whether people gave different answers to one of the questions.

    Of prompts, a label that some gave and others did not is a difference, and so is a drop against anything else:
    to keep a prompt says nothing for a label that somebody else gave it.
    """
    words = list(words)
    if any(len({word[name] for word in words if name in word}) > 1 for name in questions):
        return True
    dropped = sum(word.get("decision") == "drop" for word in words)
    labels = {word.get("label") for word in words}
    return 0 < dropped < len(words) or (not dropped and "label" in questions and len(labels) > 1)


def describe_words(words: Iterable[Word], questions: Sequence[str]) -> str:
    """Return what people said as a text for the ledger: ``ada: drop (copied); ben: keep``."""
    return "; ".join(f"{word['who']}: {describe_word(word, questions)}" for word in words)


def describe_word(word: Word, questions: Sequence[str]) -> str:
    """Return what one person said, without the name."""
    answers = ", ".join(word[name] for name in questions if name in word)
    return answers + (f" ({word['because']})" if word.get("because") else "")


def as_ratings(words: Mapping[str, Sequence[Word]], questions: Sequence[str]) -> pl.DataFrame:
    """Return every answer to ``questions``. ``words``: by row. Output columns: row_id, who, question, value."""
    rows = [
        (row_id, word["who"], name, word[name])
        for row_id, said in words.items()
        for word in said
        for name in questions
        if name in word
    ]
    return pl.DataFrame(rows, dict.fromkeys(("row_id", "who", "question", "value"), pl.String), orient="row")


def _is_word(word: Any) -> bool:
    return isinstance(word, dict) and "who" in word and all(isinstance(value, str) for value in word.values())
