"""``by: guard``: verdicts of a safety classifier. The classifiers are in ``guards``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.judges.blocks import break_tags
from seas_data.judges.frames import (
    CLIPPED,
    NO_GOAL,
    NOT_CLIPPED,
    VERDICT_COLUMNS,
    answer_details,
    not_judged,
    rejoin_thinking,
    require_answers,
    to_requests,
)
from seas_data.judges.guards import UNPARSED, Guard, Parsed, Question, Subject, load_guard, to_turns
from seas_data.models.control_tokens import neutralise, report
from seas_data.models.protocol import Generator, greedy_sampling
from seas_data.models.thinking import read_final_answer
from seas_data.recipe import JudgeGuard, ModelHttp, ModelInProcess


def check(judge: JudgeGuard, model: ModelInProcess | ModelHttp) -> None:
    """Raise SeasDataError if the guard does not accept the judge's options or ``model`` cannot run it."""
    guard = load_guard(judge)
    if judge.thinking_tokens and guard.max_new_tokens == 1:
        raise SeasDataError(f"{judge.guard} answers with one token and cannot think; remove thinking_tokens")
    if judge.thinking_tokens and guard.moderates:
        raise SeasDataError(f"{judge.guard} does not think; remove thinking_tokens")
    if judge.thinking_tokens and guard.max_new_tokens is None:
        raise SeasDataError(f"{judge.guard} thinks as long as it needs; remove thinking_tokens")
    if judge.chat_template_kwargs and guard.bare_text:
        raise SeasDataError(f"{judge.guard} has no chat template; remove chat_template_kwargs")
    _check_model(judge, guard, model)


def _check_model(judge: JudgeGuard, guard: Guard, model: ModelInProcess | ModelHttp) -> None:
    moderates = isinstance(model, ModelHttp) and model.endpoint == "moderations"
    if guard.moderates and not moderates:
        raise SeasDataError(
            f"{judge.guard} asks an endpoint for moderations; set backend: http and endpoint: moderations for its model"
        )
    if moderates and not guard.moderates:
        raise SeasDataError(
            f"{judge.guard} needs a model that generates, and {judge.model} has endpoint: moderations; name another "
            "model"
        )
    if not isinstance(model, ModelHttp):
        return
    if guard.needs_logits:
        raise SeasDataError(
            f"{judge.guard} compares the logits of two tokens, which a server does not return; set backend: "
            "transformers for its model"
        )
    if guard.bare_text and model.endpoint == "chat":
        raise SeasDataError(
            f"{judge.guard} completes a bare text, which a chat server would wrap in a template; set "
            "endpoint: completions or backend: transformers for its model"
        )


def judge_rows(
    rows: pl.DataFrame, judge: JudgeGuard, generator: Generator, folder: Path, subject: Subject
) -> pl.DataFrame:
    """Return the guard's verdicts.

    Input columns: ``request_id``, ``prompt``, ``messages`` (the turns of a conversation, or null), ``response`` (null
    if prompts are judged), ``goal`` (null if unknown).
    Output columns: ``request_id`` and ``VERDICT_COLUMNS``. A row without a goal has no verdict if the guard needs one.

    Raises SeasDataError if the model answers no request.
    """
    guard = load_guard(judge)
    if guard.needs_goal:
        has_goal = pl.col("goal").cast(pl.String).str.contains(r"\S").fill_null(value=False)
        skipped = not_judged(rows.filter(~has_goal), NO_GOAL)
        rows = rows.filter(has_goal).with_columns(prompt="goal", messages=pl.lit(None, rows.schema["messages"]))
        if rows.is_empty():
            return skipped
        return pl.concat([_ask(rows, judge, guard, generator, folder, subject), skipped])
    return _ask(rows, judge, guard, generator, folder, subject)


def _ask(
    rows: pl.DataFrame, judge: JudgeGuard, guard: Guard, generator: Generator, folder: Path, subject: Subject
) -> pl.DataFrame:
    texts = rows.select("prompt", "response").rows()
    changed: list[str] = []
    one_text = guard.bare_text or guard.quotes is not None
    if one_text:  # the guard's own markers are in the same text, so the model cannot tell them apart
        tags = guard.quotes or ()
        neutral = [tuple(None if each is None else _quote(each, tags) for each in row) for row in texts]
        changed = [
            key for key, old, new in zip(rows["request_id"].to_list(), texts, neutral, strict=True) if old != new
        ]
        report(judge.label, len(changed), len(texts))
        texts = neutral
    notes: dict[str, str] = {}
    if guard.max_response_tokens is not None:
        responses, notes = _clip(rows["request_id"].to_list(), texts, judge, generator, guard.max_response_tokens)
        texts = [(prompt, response) for (prompt, _), response in zip(texts, responses, strict=True)]
    turns = rows["messages"].to_list() if guard.takes_turns else [None] * rows.height
    contents = [
        guard.to_input(prompt, response) if messages is None else to_turns(messages, response)
        for (prompt, response), messages in zip(texts, turns, strict=True)
    ]
    requests = to_requests(rows, "text" if guard.bare_text else "messages", contents)
    limit = guard.max_new_tokens
    sampling = greedy_sampling(None if limit is None else limit + judge.thinking_tokens)
    thinks = limit is None or judge.thinking_tokens > 0
    verdicts = []
    for question in guard.questions(subject):
        progress = " ".join([judge.label, *question.categories])
        kwargs: Mapping[str, Any] = {**question.prompt_format.template_kwargs, **judge.chat_template_kwargs}
        prompt_format = replace(question.prompt_format, contents_as_text=not one_text, template_kwargs=kwargs)
        answers = generator.generate(requests, sampling, 1, folder, progress, prompt_format)
        answers = require_answers(answers, judge.label)
        answers = answers if thinks else rejoin_thinking(answers)
        details = answer_details(answers, changed, one_token=limit == 1, notes=notes)
        verdicts.append(_parse(answers, details, guard, question, subject, thinks))
    return _combine(verdicts)


def _clip(
    request_ids: Sequence[str],
    texts: Sequence[tuple[str, str | None]],
    judge: JudgeGuard,
    generator: Generator,
    max_tokens: int,
) -> tuple[list[str | None], dict[str, str]]:
    """Return the responses of ``texts`` cut after ``max_tokens`` tokens, and a note for each that is too long.

    Without the model's tokenizer nothing is cut, and a response is too long if it has more bytes than ``max_tokens``.
    """
    responses = [response for _, response in texts]
    clipped = generator.clip([response or "" for response in responses], max_tokens)
    if clipped is None:
        note = NOT_CLIPPED.format(max_tokens)
        long = [len((response or "").encode()) > max_tokens for response in responses]
        advice = f"; set tokenizer of the model {judge.model}" if any(long) else ""
    else:
        note, advice = CLIPPED.format(max_tokens), ""
        long = [new != (old or "") for new, old in zip(clipped, responses, strict=True)]
        responses = [old if old is None else new for old, new in zip(responses, clipped, strict=True)]
    if any(long):
        say(f"{judge.label}: of {sum(long)} of {len(long)} responses, {note}{advice}.")
    return responses, {key: note for key, is_long in zip(request_ids, long, strict=True) if is_long}


def _quote(text: str, tags: Sequence[str]) -> str:
    return break_tags(neutralise(text), tags) if tags else neutralise(text)


def _parse(
    answers: pl.DataFrame, details: pl.Series, guard: Guard, question: Question, subject: Subject, thinks: bool
) -> pl.DataFrame:
    """Return the verdict of each answer to one question; of a guard that ``thinks`` only the final answer is read."""

    def parse(text: str | None) -> Parsed:
        answer = read_final_answer(text) if thinks and text is not None else text
        return UNPARSED if answer is None else guard.parse(answer, subject)

    parsed_texts = {text: parse(text) for text in answers["text"].unique().to_list()}
    rows = []
    columns = answers.select("request_id", "text", "finish_reason", "score", details)
    for request_id, text, reason, score, detail in columns.rows():
        cut_off = reason != "stop" and not (reason == "length" and guard.max_new_tokens == 1)
        parsed = UNPARSED if cut_off else parsed_texts[text]
        categories = [*parsed.categories, *(question.categories if parsed.verdict == "unsafe" else ())]
        parsed_score = score if parsed.score is None else parsed.score
        parsed_score = None if parsed.verdict == "unparsed" else parsed_score
        rows.append((request_id, parsed.verdict, categories, parsed_score, parsed.refusal, text, detail))
    return pl.DataFrame(rows, {"request_id": pl.String(), **VERDICT_COLUMNS}, orient="row")


def _combine(verdicts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one verdict per request: unsafe if one question says unsafe, safe if all say safe, else unparsed."""
    if len(verdicts) == 1:
        return verdicts[0]
    any_unsafe = (pl.col("verdict") == "unsafe").any()
    return (
        pl.concat(verdicts)
        .group_by("request_id", maintain_order=True)
        .agg(
            verdict=pl.when(any_unsafe)
            .then(pl.lit("unsafe"))
            .when((pl.col("verdict") == "safe").all())
            .then(pl.lit("safe"))
            .otherwise(pl.lit("unparsed")),
            categories=pl.col("categories").list.explode(),
            score=pl.when((pl.col("verdict") == "unparsed").any() & ~any_unsafe)
            .then(None)
            .otherwise(pl.col("score").max()),
            refusal=pl.col("refusal").first(),
            raw=pl.col("raw").str.join("\n"),
            detail=pl.col("detail").drop_nulls().unique(maintain_order=True).str.join("; "),
        )
        .select("request_id", *VERDICT_COLUMNS)
        .with_columns(detail=pl.when(pl.col("detail") != "").then("detail"))
    )
