"""Turn raw rows into prompts: map the source's labels to the taxonomy, assign ids, set aside rows that are not prompts.

The text is kept unchanged, except for a fixed wrapper that the recipe names; of a prompt with several turns it is their
flat rendering (``conversation``). The source's own labels are kept beside
the mapped ones, so that another map can be tried without reading the source again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import dataframely as dy
import polars as pl

from seas_data import progress, tables
from seas_data.conversation import prompt_id, request_column, user_text_column
from seas_data.folding import leak_digests
from seas_data.recipe import Labelling, Source
from seas_data.recipe.languages import normalize_language
from seas_data.recipe.taxonomy import apply_map
from seas_data.sources.answers import AnswerTables, no_answers
from seas_data.sources.languages import SURE_PROBABILITY, detect_languages, is_language
from seas_data.sources.listed_labels import list_labels
from seas_data.sources.raw_rows import FIELDS, RawRows
from seas_data.sources.turns import read_turns
from seas_data.tables import schema
from seas_data.text import content_id, printable, text_digest

ORDINALS: Final = {"ordinal": pl.Int64(), "prompt_id": pl.String(), "source_id": pl.String()}


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source in file order, as the tables ``prompts`` and ``set_aside``."""

    prompts: dy.DataFrame[schema.Prompts]
    set_aside: dy.DataFrame[schema.SetAside]
    detected: int = 0
    """Number of prompts whose language was detected because the source states none."""
    corrected: int = 0
    """Number of prompts with another language than the source states (``check_language``)."""
    shared: int = 0
    """Number of rows with the text of an earlier row, whose prompt they share: they are more answers to it."""
    answers: AnswerTables = field(default_factory=no_answers)
    """The answers and verdicts that the source brings."""
    ordinals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ORDINALS))
    """The prompt of each row: ordinal, prompt_id, source_id (that of the row)."""


def build_prompts(name: str, source: Source, raw: RawRows, max_characters: int, labelling: Labelling) -> SourceRows:
    """Turn each row of ``raw`` into a prompt, or set it aside.

    Reasons: empty, too_long, unknown_kind, unknown_language, repeated. In a source that brings answers, rows with the
    same text share the prompt of the first.
    """
    raw = read_turns(source, raw)
    rows = raw.rows.with_columns(
        pl.coalesce(pl.col("id").replace("", None), pl.col("ordinal").cast(pl.String)).alias("source_id"),
        _goals(source, raw),
        _kinds(source, raw.rows).alias("prompt_kind"),
        _extract_languages(source, raw.rows["language"]).alias("stated_language"),
    )
    rows = rows.with_columns(_map_values(rows["stated_language"], _normalized).alias("stated_code"))
    characters = pl.col("text").str.len_chars()
    reason = (
        pl.when(pl.col("text").is_null() | (request_column().str.strip_chars() == ""))
        .then(pl.lit("empty"))
        .when(characters > max_characters)
        .then(pl.lit("too_long"))
        .when(pl.col("prompt_kind").is_null())
        .then(pl.lit("unknown_kind"))
        .when(pl.col("stated_code") == _UNKNOWN)
        .then(pl.lit("unknown_language"))
    )
    detail = (
        pl.when(pl.col("reason") == "too_long")
        .then(pl.format("{} characters; at most {} are allowed", characters, pl.lit(max_characters)))
        .when(pl.col("reason") == "unknown_kind")
        .then(pl.format("kind_map has no entry for {}", _printable("kind")))
        .when(pl.col("reason") == "unknown_language")
        .then(pl.format("{} is not a language; it should be a code such as en", _printable("stated_language")))
    )
    rows = rows.with_columns(reason.alias("reason")).with_columns(detail.alias("detail"))
    accepted = _with_ids(name, rows.filter(pl.col("reason").is_null()))
    if source.brings_answers:
        accepted = accepted.with_columns(pl.col("prompt_id").first().over("text"))
    first = pl.col("prompt_id").is_first_distinct()
    repeated = accepted.filter(~first & (not source.brings_answers)).with_columns(
        pl.lit("repeated").alias("reason"),
        pl.format("id {} with the same text", _printable("source_id")).alias("detail"),
    )
    rejected = pl.concat([rows.filter(pl.col("reason").is_not_null()), repeated.select(rows.columns)])
    distinct, detected, corrected = _with_languages(name, source, accepted.filter(first))
    return SourceRows(
        prompts=tables.cast("prompts", _prompt_columns(name, source, distinct, labelling)),
        set_aside=tables.cast("set_aside", _set_aside(name, raw, rejected)),
        detected=detected,
        corrected=corrected,
        shared=accepted.height - distinct.height - repeated.height,
        ordinals=accepted.select(ORDINALS.keys()),
    )


def _goals(source: Source, raw: RawRows) -> pl.Series:
    """Return the goal of each row."""
    if "goal" in raw.rows.columns:  # of a log
        return raw.rows["goal"]
    if source.columns.goal is None or raw.more is None:
        return pl.repeat(None, raw.rows.height, dtype=pl.String, eager=True).alias("goal")
    return raw.more[source.columns.goal].alias("goal")


def _kinds(source: Source, rows: pl.DataFrame) -> pl.Series:
    if source.kind_map is None:
        return pl.repeat(source.kind, rows.height, dtype=pl.String, eager=True)
    mapping: dict[str, str] = dict(source.kind_map)
    return _map_values(rows["kind"], lambda value: _apply(mapping, value))


def _with_ids(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``prompt_id``, ``text_digest`` and ``leak_digest``."""
    parts = [pl.DataFrame(schema=dict.fromkeys(("prompt_id", "text_digest", "leak_digest"), pl.String))]
    with progress.bar(rows.height, f"reading {name}") as bar:
        for part in rows.select("source_id", "text", "messages").iter_slices(10_000):
            ids = pl.Series("prompt_id", [prompt_id(name, *row) for row in part.iter_rows()], dtype=pl.String)
            digests = pl.Series("text_digest", [text_digest(text) for text in part["text"]], dtype=pl.String)
            parts.append(pl.DataFrame([ids, digests, leak_digests(part.with_columns(digests))]))
            bar.update(part.height)
    return rows.with_columns(pl.concat(parts))


def _prompt_columns(name: str, source: Source, rows: pl.DataFrame, labelling: Labelling) -> pl.DataFrame:
    adversarial = pl.col("prompt_kind") == "adversarial"
    rows = rows.with_columns(
        pl.when(adversarial).then(_map_labels(labelling.risk_map(source), rows["risk"])).alias("risk_category"),
        pl.when(adversarial).then(_map_labels(labelling.style_map(source), rows["style"])).alias("attack_style"),
        pl.when(adversarial).then(_map_labels(labelling.hazard_map(source), rows["risk"])).alias("hazard"),
    )
    type_of = labelling.taxonomy.type_of
    labels = rows.select("risk_category", "attack_style").unique(maintain_order=True)
    types = [type_of(risk, style) for risk, style in labels.iter_rows()]
    labels = labels.with_columns(
        pl.Series("type", [label for label, _ in types], dtype=pl.String),
        pl.Series("difficulty", [difficulty for _, difficulty in types], dtype=pl.String),
        pl.Series("label_source", ["source" if label else None for label, _ in types], dtype=pl.String),
    )
    rows = rows.join(labels, on=["risk_category", "attack_style"], how="left", nulls_equal=True, maintain_order="left")
    return rows.select(
        "prompt_id",
        "text",
        "messages",
        "text_digest",
        "leak_digest",
        "goal",
        pl.col("prompt_kind").alias("kind"),
        "risk_category",
        "attack_style",
        "hazard",
        "type",
        "difficulty",
        "label_source",
        pl.lit(None, pl.Float64).alias("label_probability"),
        pl.lit(name).alias("source"),
        pl.col("risk").alias("source_risk"),
        pl.col("style").alias("source_style"),
        pl.lit(source.role).alias("role"),
        pl.lit(source.priority, pl.Int32).alias("priority"),
        pl.lit(source.repository or source.hub, pl.String).alias("repository"),
        "source_id",
        pl.lit(source.licence, pl.String).alias("licence"),
        "language",
        pl.lit(0, pl.Int32).alias("iteration"),
        pl.lit(None, pl.String).alias("seed_id"),
        pl.lit(None, pl.String).alias("model"),
    )


def _map_labels(mapping: Mapping[str, str], labels: pl.Series) -> pl.Series:
    return _map_values(labels, lambda label: _apply(mapping, label))


def _apply(mapping: Mapping[str, str], label: str) -> str | None:
    """Return the value of ``label``; of several labels (``list_labels``) that of the first that has one."""
    values = (apply_map(mapping, each) for each in (label, label.strip(), *list_labels(label)))
    return next((value for value in values if value is not None), None)


_UNKNOWN = "?"
"""In place of the code of a stated language that is none."""


def _extract_languages(source: Source, languages: pl.Series) -> pl.Series:
    """Return the language that each row states, as the source writes it."""
    if source.language_pattern is None:
        return languages
    pattern = re.compile(source.language_pattern)
    return _map_values(languages, lambda value: match[1] if (match := pattern.search(value)) else None)


def _normalized(stated: str) -> str | None:
    return normalize_language(stated) if is_language(stated) else _UNKNOWN


def _with_languages(name: str, source: Source, rows: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
    """Add ``language``: the stated code, else the source's, else the detected one. Return how many were detected.

    With ``check_language`` a detected language that is almost certain replaces the stated one; also return how often.
    """
    stated = rows["stated_code"].fill_null(source.language) if source.language else rows["stated_code"]
    missing, words = stated.is_null(), rows.select(user_text_column()).to_series()
    detected = _where(missing, detect_languages(words.filter(missing), name))
    languages = stated.fill_null(detected)
    corrected = 0
    if source.check_language:
        sure = _where(~missing, detect_languages(words.filter(~missing), name, SURE_PROBABILITY))
        differs = (sure != stated).fill_null(False)
        languages, corrected = sure.zip_with(differs, languages), int(differs.sum())
    return rows.with_columns(languages.alias("language")), int(missing.sum()) - languages.null_count(), corrected


def _where(mask: pl.Series, values: pl.Series) -> pl.Series:
    """Return a series as long as ``mask`` with ``values`` where it is true and null elsewhere."""
    return pl.Series(values.rename("value")).gather((mask.cum_sum() - 1).set(~mask, None)).rename("language")


def _map_values(values: pl.Series, translate: Callable[[str], str | None]) -> pl.Series:
    """Apply ``translate`` once to each distinct value; keep nulls."""
    distinct = values.drop_nulls().unique()
    return values.replace_strict(
        distinct, pl.Series([translate(value) for value in distinct], dtype=pl.String), return_dtype=pl.String
    )


def _set_aside(name: str, raw: RawRows, rejected: pl.DataFrame) -> pl.DataFrame:
    digests = [content_id("row", *row) for row in rejected.select(FIELDS).iter_rows()]
    rows = rejected.with_columns(pl.Series("row_digest", digests, dtype=pl.String))
    both = pl.concat([raw.faults, rows.select(raw.faults.columns)]).sort("ordinal")
    if "location" not in both.columns:
        both = both.with_columns(location=pl.format("{}:{}", pl.lit(raw.location), "line"))
    return both.with_columns(source=pl.lit(name))


def _printable(column: str) -> pl.Expr:
    """Return a value of the source shortened, on one line and without hidden characters."""
    return pl.col(column).fill_null("null").map_elements(lambda value: printable(value[:60]), return_dtype=pl.String)
