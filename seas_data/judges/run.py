"""Judge: what each judge says of each response, and how far a judge can be trusted.

Several judges look at the same rows; each verdict is a row. Equal pairs of prompt and response are judged once. A
response without a text is not judged, and a verdict that does not parse, or that was cut off, is ``unparsed``: neither
safe nor unsafe, counted apart, in no rate.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.judges import check as check_guard
from seas_data.judges import guard_of, refusal, rules
from seas_data.judges.guard import UNPARSED, Guard, Of, Parsed, Question
from seas_data.models.protocol import Asking, Generator, greedy
from seas_data.recipe import Judge, JudgeGuard, JudgeRefusal, JudgeRules, ModelHttp, ModelInProcess
from seas_data.text import content_id

_SAID: Final[dict[str, pl.DataType]] = {
    "verdict": pl.String(),
    "categories": pl.List(pl.String()),
    "score": pl.Float64(),
    "refusal": pl.String(),
    "raw": pl.String(),
}


def check(judges: Sequence[Judge], models: Mapping[str, ModelInProcess | ModelHttp]) -> None:
    """Raise SeasDataError for the first judge that cannot judge: before anything is run.

    Its name must be its own, its model one of ``models`` with a backend that can serve it, its expressions valid.
    """
    labels = [judge.label for judge in judges]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise SeasDataError(f"two judges are called {twice}; give one of them another name")
    for judge in judges:
        if isinstance(judge, JudgeRules):
            rules.check(judge)
            continue
        if judge.model not in models:
            known = ", ".join(models) or "none"
            raise SeasDataError(f"the judge {judge.label} wants the model {judge.model}; models has {known}")
        if isinstance(judge, JudgeGuard):
            check_guard(guard_of(judge), models[judge.model])


def judge(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    judges: Sequence[Judge],
    generators: Mapping[str, Generator],
    folder: Path,
) -> pl.DataFrame:
    """Return the verdicts of ``judges`` on ``responses``: the table ``verdicts``, sorted by response and judge.

    Args:
        prompts: prompt_id and text, of at least all prompts that were answered.
        responses: response_id, prompt_id and text (null: not judged).
        judges: who judges, each with a name of its own.
        generators: the models that judges name, ready to answer.
        folder: where what was judged is kept, for a run that is killed and started again.

    Raises SeasDataError if a response answers a prompt that is not there, and if a judge answers nothing at all.
    """
    rows = responses.filter(pl.col("text").is_not_null()).join(
        prompts.select("prompt_id", prompt="text"), on="prompt_id", how="left"
    )
    if lost := rows["prompt"].null_count():
        raise SeasDataError(f"{lost} responses answer a prompt that is not among the prompts; pass all that were asked")
    asked = rows.select(id="response_id", prompt="prompt", response="text")
    parts = [_judged(asked, one, generators, folder, "response") for one in judges]
    verdicts = pl.concat([_nothing(), *parts]).rename({"id": "response_id"})
    return tables.cast("verdicts", verdicts.sort("response_id", "judge"))


def judge_prompts(
    prompts: pl.DataFrame, judges: Sequence[Judge], generators: Mapping[str, Generator], folder: Path
) -> pl.DataFrame:
    """Return what ``judges`` say of ``prompts`` (prompt_id, text) alone: whether to ask such a thing is harmful.

    Columns prompt_id, judge, verdict, categories, score and raw, sorted by prompt and judge. Judges of refusals have
    nothing to say of a prompt and are passed over.
    """
    asked = prompts.select(id="prompt_id", prompt="text", response=pl.lit(None, pl.String))
    able = [one for one in judges if not isinstance(one, JudgeRefusal)]
    parts = [_judged(asked, one, generators, folder, "prompt") for one in able]
    said = pl.concat([_nothing(), *parts]).rename({"id": "prompt_id"}).drop("refusal")
    return said.filter(pl.col("verdict").is_not_null()).sort("prompt_id", "judge")


def _judged(
    asked: pl.DataFrame, judge: Judge, generators: Mapping[str, Generator], folder: Path, of: Of
) -> pl.DataFrame:
    """Return the columns of ``_nothing`` for each row of ``asked`` (id, prompt, response)."""
    if isinstance(judge, JudgeRules):
        verdict, classes = rules.judged(pl.col("response" if of == "response" else "prompt"), judge)
        none = {name: pl.lit(None, kind) for name, kind in _SAID.items()}
        said = asked.with_columns(
            **(none | {"verdict": verdict, "refusal": classes if of == "response" else none["raw"]})
        )
        return _labelled(said, judge)
    keys = [content_id("judged", prompt, response) for prompt, response in asked.select("prompt", "response").rows()]
    asked = asked.with_columns(request_id=pl.Series(keys, dtype=pl.String))
    once = asked.unique("request_id", keep="first", maintain_order=True).sort("request_id")
    generator = generators[judge.model]
    if isinstance(judge, JudgeGuard):
        said = _by_guard(once, guard_of(judge), judge.label, generator, folder, of)
    else:
        said = _by_protocol(once, judge, generator, folder)
    return _labelled(asked.join(said, on="request_id", how="left", maintain_order="left"), judge)


def _by_guard(rows: pl.DataFrame, guard: Guard, label: str, generator: Generator, folder: Path, of: Of) -> pl.DataFrame:
    """Return request_id and what the guard says of each of ``rows`` (request_id, prompt, response)."""
    texts = [guard.ask(prompt, response) for prompt, response in rows.select("prompt", "response").rows()]
    column = "text" if guard.completes else "messages"
    requests = rows.select("request_id").with_columns(_column(column, texts))
    sampling = greedy(guard.max_new_tokens)
    answers = []
    for question in guard.questions(of):
        progress = " ".join([label, *question.categories])
        answered = generator.generate(requests, sampling, 1, folder, progress, question.asking)
        answers.append(_parsed(_some(answered, label), guard, question, of))
    return _combined(answers)


def _parsed(answered: pl.DataFrame, guard: Guard, question: Question, of: Of) -> pl.DataFrame:
    """Return request_id, verdict, categories, score, refusal and raw of the answers to one question."""
    read: dict[str | None, Parsed] = {
        text: UNPARSED if text is None else guard.parse(text, of) for text in answered["text"].unique().to_list()
    }
    rows = []
    for request_id, text, reason, score in answered.select("request_id", "text", "finish_reason", "score").rows():
        cut = reason == "length" and guard.max_new_tokens > 1
        parsed = UNPARSED if cut else read[text]
        categories = [*parsed.categories, *(question.categories if parsed.verdict == "unsafe" else ())]
        sure = score if parsed.verdict != "unparsed" else None
        rows.append((request_id, parsed.verdict, categories, sure, parsed.refusal, text))
    return pl.DataFrame(rows, {"request_id": pl.String(), **_SAID}, orient="row")


def _combined(answers: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row a request: unsafe by one question is unsafe, safe is what is safe by all."""
    if len(answers) == 1:
        return answers[0]
    return (
        pl.concat(answers)
        .group_by("request_id", maintain_order=True)
        .agg(
            verdict=pl.when((pl.col("verdict") == "unsafe").any())
            .then(pl.lit("unsafe"))
            .when((pl.col("verdict") == "safe").all())
            .then(pl.lit("safe"))
            .otherwise(pl.lit("unparsed")),
            categories=pl.col("categories").list.explode(),
            score=pl.when((pl.col("verdict") == "unparsed").any() & ~(pl.col("verdict") == "unsafe").any())
            .then(None)
            .otherwise(pl.col("score").max()),
            refusal=pl.col("refusal").first(),
            raw=pl.col("raw").str.join("\n"),
        )
        .select("request_id", *_SAID)
    )


def _by_protocol(rows: pl.DataFrame, judge: JudgeRefusal, generator: Generator, folder: Path) -> pl.DataFrame:
    """Return request_id and the refusal class that a model names for each of ``rows``."""
    texts = [refusal.ask(prompt, response) for prompt, response in rows.select("prompt", "response").rows()]
    requests = rows.select("request_id").with_columns(_column("messages", texts))
    sampling = greedy(refusal.MAX_NEW_TOKENS)
    answered = _some(generator.generate(requests, sampling, 1, folder, judge.label, Asking()), judge.label)
    classes = [None if text is None else refusal.parse(text) for text in answered["text"]]
    return answered.select(
        "request_id",
        verdict=pl.lit(None, pl.String),
        categories=pl.lit(None, pl.List(pl.String)),
        score=pl.lit(None, pl.Float64),
        refusal=pl.Series(classes, dtype=pl.String),
        raw="text",
    )


def _some(answered: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return ``answered``; raise SeasDataError if every request failed: then it is the settings that are wrong."""
    if answered.height and answered["text"].null_count() == answered.height:
        raise SeasDataError(f"the judge {label} answered none of {answered.height} requests: {answered['error'][0]}")
    return answered


def _column(name: str, texts: Sequence[object]) -> pl.Series:
    messages = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    return pl.Series(name, texts, pl.String if name == "text" else messages)


def _labelled(said: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    return said.with_columns(judge=pl.lit(judge.label)).select("id", "judge", *_SAID)


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema={"id": pl.String(), "judge": pl.String(), **_SAID})
