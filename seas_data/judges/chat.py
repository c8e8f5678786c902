"""``by: chat``: verdicts of a chat model that is asked with the recipe's own prompt and read as the recipe says.

The prompt is a Jinja template of ``question``, ``goal``, ``response`` and ``policy``. Each is inserted between tags of
its name, and a tag inside a text gets a blank, so that no text ends its block. A reply that is not exactly what the
reader describes is unparsed: another word, two verdicts, an unknown category, broken JSON, a reply that was cut off.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from seas_data.errors import SeasDataError
from seas_data.judges.blocks import break_tags, has_tags
from seas_data.judges.frames import VERDICT_COLUMNS, answer_details, require_answers, to_requests
from seas_data.judges.guards import UNPARSED, Parsed
from seas_data.models.protocol import Generator, PromptFormat, VerdictTokens, greedy_sampling
from seas_data.models.thinking import read_final_answer
from seas_data.recipe import JudgeChat
from seas_data.sources.jsonl import parse_object
from seas_data.sources.raw_rows import InvalidLineError

NAMES: Final = ("question", "goal", "response", "policy")
FIELDS: Final = ("verdict", "refusal", "categories", "score")
_FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(?P<body>.*?)\n\s*```\s*", re.DOTALL)


def check(judge: JudgeChat) -> None:
    """Raise SeasDataError if the prompt cannot be rendered or hides what is judged, or the pattern cannot be used."""
    judged, response = ("question", None) if judge.only_prompts else ("response", "a response")
    shown = _render(judge, {"question": "a question", "goal": "a goal", "response": response})
    if f"a {judged}" not in shown:
        raise SeasDataError(f"the prompt of the judge {judge.label} does not show the {judged}; add {{{{ {judged} }}}}")
    _render(judge, {"question": "a question", "goal": None, "response": response})
    if judge.pattern is not None:
        groups = _group_names(judge.pattern, judge.label)
        unknown = [name for name in groups if name not in FIELDS]
        if "verdict" not in groups or unknown:
            raise SeasDataError(
                f"pattern of the judge {judge.label} has the groups {', '.join(groups) or '(none)'}; name one verdict, "
                "and others only refusal, categories or score"
            )


def judge_rows(rows: pl.DataFrame, judge: JudgeChat, generator: Generator, folder: Path) -> pl.DataFrame:
    """Return the verdict of each row.

    Input columns: ``request_id``, ``prompt``, ``response`` (null if prompts are judged), ``goal`` (null if unknown).
    Output columns: ``request_id`` and ``VERDICT_COLUMNS``.

    Raises SeasDataError if the prompt needs a text that a row lacks, or the model answers no request.
    """
    texts = [
        (key, {"question": question, "goal": goal, "response": response})
        for key, question, response, goal in rows.select("request_id", "prompt", "response", "goal").iter_rows()
    ]
    contents = [[{"role": "user", "content": _render(judge, each)}] for _, each in texts]
    changed = [key for key, each in texts if any(text and has_tags(text, NAMES) for text in each.values())]
    sampling = greedy_sampling(judge.max_new_tokens + judge.thinking_tokens)
    how = PromptFormat(contents_as_text=True, verdict_tokens=_verdict_tokens(judge))
    requests = to_requests(rows, "messages", contents)
    answers = require_answers(generator.generate(requests, sampling, 1, folder, judge.label, how), judge.label)
    replies = answers["text"].to_list()
    parsed = parse_replies([_reply(text) for text in replies], judge)
    found = []
    columns = answers.select("request_id", "text", "finish_reason", "score", answer_details(answers, changed)).rows()
    for (request_id, text, reason, token_score, detail), (read, score) in zip(columns, parsed, strict=True):
        verdict, score = (read, score) if reason == "stop" else (UNPARSED, None)
        if verdict.verdict != "unparsed" and score is None and not _reads(judge, "score"):
            score = token_score
        found.append((request_id, verdict.verdict, [*verdict.categories], score, verdict.refusal, text, detail))
    return pl.DataFrame(found, {"request_id": pl.String(), **VERDICT_COLUMNS}, orient="row")


def parse_replies(replies: list[str | None], judge: JudgeChat) -> list[tuple[Parsed, float | None]]:
    """Return the verdict and the score of each reply; a reply of None is unparsed."""
    return [(UNPARSED, None) if fields is None else _classify(fields, judge) for fields in _read(replies, judge)]


def _reply(text: str | None) -> str | None:
    return None if text is None else read_final_answer(text)


def _read(replies: list[str | None], judge: JudgeChat) -> Iterable[Mapping[str, Any] | None]:
    """Return the fields of each reply, None where it does not have the form that the judge asks for."""
    if judge.json_paths:
        return [None if reply is None else _read_json(reply, judge.json_paths) for reply in replies]
    if judge.pattern is not None:
        found = _match_whole(pl.Series(replies, dtype=pl.String), judge.pattern, judge.label)
        return [None if each is None or each["verdict"] is None else each for each in found.to_list()]
    return [None if reply is None else {"verdict": reply, "refusal": reply} for reply in replies]


def _read_json(reply: str, paths: Mapping[Any, str]) -> dict[str, Any] | None:
    fence = _FENCE.fullmatch(reply)
    try:
        whole = parse_object(fence["body"] if fence else reply)
    except InvalidLineError:
        return None
    return {field: _follow(whole, path) for field, path in paths.items()}


def _follow(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _match_whole(replies: pl.Series, pattern: str, label: str) -> pl.Series:
    """Return the named groups of ``pattern`` where it matches a whole reply, as structs; else their values are null."""
    try:
        return (
            replies.to_frame("reply")
            .select(pl.col("reply").str.extract_groups(rf"\A\s*(?:{pattern})\s*\z"))
            .to_series()
        )
    except pl.exceptions.ComputeError as problem:
        raise SeasDataError(
            f"pattern of the judge {label} cannot be used ({problem}); write it in Rust's syntax"
        ) from problem


def _classify(fields: Mapping[str, Any], judge: JudgeChat) -> tuple[Parsed, float | None]:
    """Return the verdict that ``fields`` give by the judge's words, and the score."""
    word = _word(fields.get("verdict"))
    verdict = next((name for name, words in judge.verdict_words.items() if word in map(_word, words)), None)
    categories = _categories(fields.get("categories"), judge)
    score = _score(fields.get("score"))
    if verdict is None or categories is None or (categories and verdict == "safe"):
        return UNPARSED, None
    if _reads(judge, "score") and score is None:
        return UNPARSED, None
    said = _word(fields.get("refusal"))
    refusal = next((name for name, words in judge.refusals.items() if said in map(_word, words)), None)
    return Parsed(verdict, categories, refusal), score


def _word(value: Any) -> str | None:
    """Return a value as the word that it is compared as: without case and blanks around it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return value.strip().casefold() if isinstance(value, str) else None


def _categories(value: Any, judge: JudgeChat) -> tuple[str, ...] | None:
    """Return the categories of a reply in the judge's spelling, None if one of them is not the judge's."""
    if not _reads(judge, "categories") or value is None:
        return ()
    listed = re.split(r"\s*,\s*", value) if isinstance(value, str) else value
    if not isinstance(listed, list):
        return None
    names = {_word(name): name for name in judge.categories}
    words = [word for word in map(_word, listed) if word not in ("", "none")]
    return tuple(dict.fromkeys(names[word] for word in words)) if all(word in names for word in words) else None


def _score(value: Any) -> float | None:
    """Return a score of 0 to 1, None for anything else."""
    try:
        score = None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return score if score is not None and 0 <= score <= 1 else None


def _reads(judge: JudgeChat, field: str) -> bool:
    return field in judge.json_paths or (
        judge.pattern is not None and field in _group_names(judge.pattern, judge.label)
    )


@cache
def _group_names(pattern: str, label: str) -> list[str]:
    return _match_whole(pl.Series([""]), pattern, label).struct.fields


def _verdict_tokens(judge: JudgeChat) -> VerdictTokens | None:
    """Return where the probability of the verdict is read: none behind a pattern, or where the reply has a score."""
    if judge.pattern is not None or _reads(judge, "score"):
        return None
    unsafe, safe = (
        tuple(
            dict.fromkeys(chain.from_iterable((word, word.lower(), word.capitalize(), word.upper()) for word in words))
        )
        for words in (judge.verdict_words["unsafe"], judge.verdict_words["safe"])
    )
    if not judge.json_paths:
        return VerdictTokens(unsafe, safe)
    key = re.escape(judge.json_paths["verdict"].rpartition(".")[2])
    return VerdictTokens(unsafe, safe, after=rf'"{key}"\s*:\s*"?\s*')


def _render(judge: JudgeChat, texts: Mapping[str, str | None]) -> str:
    """Return the prompt with ``texts``, each in a block of its own; an absent text is false in conditions."""
    blocks = {
        name: text if text is None else _block(name, text) for name, text in {**texts, "policy": judge.policy}.items()
    }
    try:
        return _template(judge.prompt).render(blocks)
    except TemplateError as problem:
        raise SeasDataError(
            f"the prompt of the judge {judge.label} cannot be rendered: {problem}; it may use {', '.join(NAMES)}, and "
            "what may be absent inside {% if %}"
        ) from problem


def _block(name: str, text: str) -> str:
    return f"<{name}>\n{break_tags(text, NAMES)}\n</{name}>"


@cache
def _template(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=_require, keep_trailing_newline=False
    )
    return environment.from_string(source)


def _require(value: Any) -> Any:
    if value is None:
        raise TemplateError("a text is absent")
    return value
