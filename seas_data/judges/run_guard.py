"""``by: guard``: verdicts of a safety classifier. The classifiers are in ``guards``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.judges.frames import VERDICT_COLUMNS, answer_details, require_answers, to_requests
from seas_data.judges.guards import UNPARSED, Guard, Parsed, Question, Subject, load_guard, to_turns
from seas_data.models.control_tokens import neutralise, report
from seas_data.models.protocol import Generator, greedy_sampling
from seas_data.models.thinking import read_final_answer
from seas_data.recipe import JudgeGuard, ModelHttp, ModelInProcess


def check(judge: JudgeGuard, model: ModelInProcess | ModelHttp) -> None:
    """Raise SeasDataError if the guard does not accept the judge's options or ``model`` cannot run it."""
    guard = load_guard(judge)
    if guard.needs_logits and judge.thinking_tokens:
        raise SeasDataError(f"{judge.guard} answers with one token and cannot think; remove thinking_tokens")
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
    if prompts are judged).
    Output columns: ``request_id`` and ``VERDICT_COLUMNS``.

    Raises SeasDataError if the model answers no request.
    """
    guard = load_guard(judge)
    texts = rows.select("prompt", "response").rows()
    changed: list[str] = []
    if guard.bare_text:  # the guard's own markers are in the same text, so the model cannot tell them apart
        neutral = [tuple(None if each is None else neutralise(each) for each in row) for row in texts]
        changed = [
            key for key, old, new in zip(rows["request_id"].to_list(), texts, neutral, strict=True) if old != new
        ]
        report(judge.label, len(changed), len(texts))
        texts = neutral
    turns = rows["messages"].to_list() if guard.takes_turns else [None] * rows.height
    contents = [
        guard.to_input(prompt, response) if messages is None else to_turns(messages, response)
        for (prompt, response), messages in zip(texts, turns, strict=True)
    ]
    requests = to_requests(rows, "text" if guard.bare_text else "messages", contents)
    sampling = greedy_sampling(guard.max_new_tokens + judge.thinking_tokens)
    verdicts = []
    for question in guard.questions(subject):
        progress = " ".join([judge.label, *question.categories])
        prompt_format = replace(question.prompt_format, contents_as_text=not guard.bare_text)
        answers = generator.generate(requests, sampling, 1, folder, progress, prompt_format)
        answers = require_answers(answers, judge.label)
        details = answer_details(answers, changed)
        verdicts.append(_parse(answers, details, guard, question, subject, judge.thinking_tokens > 0))
    return _combine(verdicts)


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
        parsed_score = score if parsed.verdict != "unparsed" else None
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
