"""Answers and verdicts in columns of a plain file: long (a row for each answer or verdict) or wide (several columns).

Rows with the same text are answers to one prompt. Rows that differ only in the judge and its verdict are one answer;
the same judge again is the next answer. Wide columns are read as if each were a row.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Answers, Source
from seas_data.sources.answers import VERDICTS, AnswerRows
from seas_data.sources.raw_rows import RawRows, more_columns


class _Slot(NamedTuple):
    """The columns of one answer and one verdict on it. ``name``: the judge, if no column has its name."""

    place: int
    text: str
    name: str | None
    verdict: str | None
    score: str | None
    category: str | None
    refusal: str | None


def require_columns(source: Source, raw: RawRows) -> None:
    """Raise SeasDataError if the source names a goal or answers and its format cannot read them."""
    if (names := more_columns(source)) and raw.more is None and raw.rows.height:
        raise SeasDataError(
            f"the format of {raw.location} reads no column {names[0]}; save it as JSONL, CSV or Parquet to read a goal "
            "or answers"
        )


def read_answers(answers: Answers, source: Source, raw: RawRows, ordinals: pl.DataFrame) -> AnswerRows:
    """Return the answers and verdicts in the columns that ``answers`` names.

    Input columns of ``ordinals``: ordinal, prompt_id, source_id.
    """
    more = raw.more if raw.more is not None else pl.DataFrame(schema=dict.fromkeys(more_columns(source), pl.String()))
    own_id = pl.col("source_id") if source.columns.id is not None else pl.col("source_id").first().over("prompt_id")
    rows = (
        pl.concat([raw.rows.select("ordinal", "line"), more.select(pl.all().name.prefix("="))], how="horizontal")
        .join(ordinals, on="ordinal", maintain_order="left")
        .with_columns(attempt=own_id, location=pl.format("{}:{}", pl.lit(raw.location), "line"))
    )
    slots = _slots(answers)
    parts = [_select_slot(answers, rows, slot).with_columns(slot=pl.lit(at)) for at, slot in enumerate(slots)]
    found = (
        pl.concat(parts)
        .sort("ordinal", "slot")
        .filter(pl.any_horizontal(pl.col("text", "value", "class").is_not_null()))
    )
    found = _number_answers(found)
    distinct = found.unique("answer", keep="first", maintain_order=True)
    verdicts = _verdicts(answers, found)
    return AnswerRows(
        distinct.select(
            "ordinal",
            pl.col("answer").cast(pl.Int64),
            pl.format("{}/{}", "attempt", pl.int_range(pl.len()).over("attempt")).alias("source_id"),
            "location",
            "model",
            "text",
            finish_reason=pl.lit(None, pl.String),
            detail=pl.lit(None, pl.String),
        ),
        verdicts.select(VERDICTS.keys()),
        dict(sorted(verdicts.filter("is_unmapped").group_by("value").len().iter_rows())),
    )


def _slots(answers: Answers) -> list[_Slot]:
    texts = answers.response if isinstance(answers.response, list) else [answers.response]
    if not isinstance(answers.verdict, dict):
        name = _at(answers.verdict, 0) or answers.refusal
        verdict, score, category = answers.verdict, answers.score, answers.category
        return [
            _Slot(place, text, name, _at(verdict, place), _at(score, place), _at(category, place), answers.refusal)
            for place, text in enumerate(texts)
        ]
    found = [
        _Slot(0, texts[0], judge, column, _of(answers.score, judge), _of(answers.category, judge), None)
        for judge, column in answers.verdict.items()
    ]
    by_class = [_Slot(0, texts[0], answers.refusal, None, None, None, answers.refusal)]
    return found + (by_class if answers.refusal is not None else [])


def _at(columns: str | list[str] | dict[str, str] | None, place: int) -> str | None:
    return columns[place] if isinstance(columns, list) else columns if isinstance(columns, str) else None


def _of(columns: str | list[str] | dict[str, str] | None, judge: str) -> str | None:
    return columns.get(judge) if isinstance(columns, dict) else None


def _select_slot(answers: Answers, rows: pl.DataFrame, slot: _Slot) -> pl.DataFrame:
    def column(name: str | None) -> pl.Expr:
        return pl.lit(None, pl.String) if name is None else pl.col(f"={name}")

    return rows.select(
        "ordinal",
        "prompt_id",
        "attempt",
        "location",
        place=pl.lit(slot.place),
        text=column(slot.text),
        model=column(answers.model),
        sample=column(answers.sample),
        judge=column(answers.judge) if answers.judge is not None else pl.lit(slot.name, pl.String),
        value=column(slot.verdict),
        score=column(slot.score),
        category=column(slot.category),
        judges_harm=pl.lit(slot.verdict is not None),
        **{"class": column(slot.refusal)},
    )


def _number_answers(found: pl.DataFrame) -> pl.DataFrame:
    """Add ``answer``, the same for rows that are verdicts of different judges on one answer."""
    key = ["attempt", "prompt_id", "place", "model", "sample", "text"]
    again = pl.int_range(pl.len()).over([*key, "judge"]).alias("again")
    return (
        found.with_columns(again).with_row_index("row").with_columns(answer=pl.col("row").first().over([*key, "again"]))
    )


def _verdicts(answers: Answers, found: pl.DataFrame) -> pl.DataFrame:
    """Return ``VERDICTS`` and is_unmapped. A value that ``verdict_map`` lacks, or about no text, is ``unparsed``."""
    rows = found.filter(pl.col("judge").is_not_null())
    value, score = _normal("value"), pl.col("score").cast(pl.Float64, strict=False)
    mapped = value.replace_strict(_normal_keys(answers.verdict_map), default=None, return_dtype=pl.String)
    classes = _normal("class").replace_strict(_normal_keys(answers.refusal_map), default=None, return_dtype=pl.String)
    unreadable = pl.col("score").is_not_null() & ~score.is_between(0, 1).fill_null(False)
    return rows.select(
        pl.col("answer").cast(pl.Int64),
        "judge",
        "value",
        verdict=pl.when(pl.col("text").is_not_null() & mapped.is_not_null())
        .then(mapped)
        .when("judges_harm")
        .then(pl.lit("unparsed")),
        score=pl.when(score.is_between(0, 1)).then(score),
        categories=pl.col("category").map_elements(_categories, return_dtype=pl.List(pl.String)),
        refusal=classes,
        raw=pl.when(unreadable)
        .then(pl.format("{}; score {}", pl.col("value").fill_null(""), "score"))
        .otherwise("value"),
        is_unmapped=pl.col("value").is_not_null() & mapped.is_null(),
    ).filter(pl.col("verdict").is_not_null() | pl.col("refusal").is_not_null())


def _normal(column: str) -> pl.Expr:
    """Return a value in lower case without outer blanks; of a whole number such as 1.0 the integer."""
    return pl.col(column).str.strip_chars().str.to_lowercase().str.replace(r"^(\d+)\.0+$", "$1")


def _normal_keys(mapping: Mapping[str, str]) -> dict[str, str]:
    keys = pl.DataFrame({"key": list(mapping)}, schema={"key": pl.String}).select(_normal("key"))["key"]
    return dict(zip(keys, mapping.values(), strict=True))


def _categories(value: str) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            return [each if isinstance(each, str) else json.dumps(each) for each in json.loads(value)]
        except (ValueError, RecursionError):
            return [value]
    return [value] if value.strip() else []
