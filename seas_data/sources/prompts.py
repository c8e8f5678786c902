"""Turn raw rows into prompts: map the source's labels to the taxonomy, assign ids, set aside rows that are not prompts.

The text is kept unchanged, except for a fixed wrapper that the recipe names. The source's own labels are kept beside
the mapped ones, so that another map can be tried without reading the source again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from seas_data import progress, tables
from seas_data.recipe import Source, Strip
from seas_data.sources.raw import FIELDS, RawRows
from seas_data.tables.taxonomy import RISK_MAPS, STYLE_MAPS, apply_map, type_of
from seas_data.text import content_id, printable, text_digest


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source in file order, as the tables ``prompts`` and ``set_aside``."""

    prompts: pl.DataFrame
    set_aside: pl.DataFrame


def build_prompts(name: str, source: Source, raw: RawRows, max_characters: int) -> SourceRows:
    """Turn each row of ``raw`` into a prompt, or set it aside as empty, too_long, unknown_kind or repeated."""
    rows = raw.rows.with_columns(
        _strip_wrapper(source.strip).alias("text"),
        pl.coalesce(pl.col("id").replace("", None), pl.col("ordinal").cast(pl.String)).alias("source_id"),
        _kinds(source, raw.rows).alias("prompt_kind"),
    )
    characters = pl.col("text").str.len_chars()
    reason = (
        pl.when(pl.col("text").is_null() | (pl.col("text").str.strip_chars() == ""))
        .then(pl.lit("empty"))
        .when(characters > max_characters)
        .then(pl.lit("too_long"))
        .when(pl.col("prompt_kind").is_null())
        .then(pl.lit("unknown_kind"))
    )
    detail = (
        pl.when(pl.col("reason") == "too_long")
        .then(pl.format("{} characters; at most {} are allowed", characters, pl.lit(max_characters)))
        .when(pl.col("reason") == "unknown_kind")
        .then(pl.format("kind_map has no entry for {}", _printable("kind")))
    )
    rows = rows.with_columns(reason.alias("reason")).with_columns(detail.alias("detail"))
    accepted = _with_ids(name, rows.filter(pl.col("reason").is_null()))
    first = pl.col("prompt_id").is_first_distinct()
    repeated = accepted.filter(~first).with_columns(
        pl.lit("repeated").alias("reason"),
        pl.format("id {} with the same text", _printable("source_id")).alias("detail"),
    )
    rejected = pl.concat([rows.filter(pl.col("reason").is_not_null()), repeated.select(rows.columns)])
    return SourceRows(
        prompts=tables.cast("prompts", _prompt_columns(name, source, accepted.filter(first))),
        set_aside=tables.cast("set_aside", _set_aside(name, raw, rejected)),
    )


def _strip_wrapper(wrapper: Strip | None) -> pl.Expr:
    if wrapper is None:
        return pl.col("text")
    return pl.col("text").str.strip_prefix(wrapper.prefix).str.strip_suffix(wrapper.suffix)


def _kinds(source: Source, rows: pl.DataFrame) -> pl.Series:
    if source.kind_map is None:
        return pl.repeat(source.kind, rows.height, dtype=pl.String, eager=True)
    mapping: dict[str, str] = dict(source.kind_map)
    return _map_values(rows["kind"], lambda value: apply_map(mapping, value))


def _with_ids(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``prompt_id`` and ``text_digest``."""
    ids: list[str] = []
    digests: list[str] = []
    with progress.bar(rows.height, f"reading {name}") as bar:
        for part in rows.select("source_id", "text").iter_slices(10_000):
            ids += [content_id("prompt", name, source_id, text) for source_id, text in part.iter_rows()]
            digests += [text_digest(text) for text in part["text"]]
            bar.update(part.height)
    return rows.with_columns(
        pl.Series("prompt_id", ids, dtype=pl.String), pl.Series("text_digest", digests, dtype=pl.String)
    )


def _prompt_columns(name: str, source: Source, rows: pl.DataFrame) -> pl.DataFrame:
    adversarial = pl.col("prompt_kind") == "adversarial"
    rows = rows.with_columns(
        pl.when(adversarial).then(_map_labels(source.risk_map, RISK_MAPS, rows["risk"])).alias("risk_category"),
        pl.when(adversarial).then(_map_labels(source.style_map, STYLE_MAPS, rows["style"])).alias("attack_style"),
    )
    types = [type_of(risk, style) for risk, style in rows.select("risk_category", "attack_style").iter_rows()]
    return rows.select(
        "prompt_id",
        "text",
        "text_digest",
        pl.col("prompt_kind").alias("kind"),
        "risk_category",
        "attack_style",
        pl.Series("type", [label for label, _ in types], dtype=pl.String),
        pl.Series("difficulty", [difficulty for _, difficulty in types], dtype=pl.String),
        pl.Series("label_source", ["source" if label else None for label, _ in types], dtype=pl.String),
        pl.lit(None, pl.Float64).alias("label_probability"),
        pl.lit(name).alias("source"),
        pl.col("risk").alias("source_risk"),
        pl.col("style").alias("source_style"),
        pl.lit(source.role).alias("role"),
        pl.lit(source.priority, pl.Int32).alias("priority"),
        pl.lit(source.repository or source.hub, pl.String).alias("repository"),
        "source_id",
        pl.lit(source.licence, pl.String).alias("licence"),
        _languages(source, rows).alias("language"),
        pl.lit(0, pl.Int32).alias("iteration"),
        pl.lit(None, pl.String).alias("seed_id"),
        pl.lit(None, pl.String).alias("model"),
    )


def _map_labels(
    label_map: str | dict[str, str] | None, maps: dict[str, dict[str, str]], labels: pl.Series
) -> pl.Series:
    mapping = maps[label_map] if isinstance(label_map, str) else label_map or {}
    return _map_values(labels, lambda label: apply_map(mapping, label))


def _languages(source: Source, rows: pl.DataFrame) -> pl.Series:
    languages = rows["language"]
    if source.language_pattern is not None:
        pattern = re.compile(source.language_pattern)
        languages = _map_values(languages, lambda value: match[1] if (match := pattern.search(value)) else None)
    return languages.fill_null(source.language) if source.language else languages


def _map_values(values: pl.Series, translate: Callable[[str], str | None]) -> pl.Series:
    """Apply ``translate`` once to each distinct value; keep nulls."""
    distinct = values.drop_nulls().unique()
    return values.replace_strict(
        distinct, pl.Series([translate(value) for value in distinct], dtype=pl.String), return_dtype=pl.String
    )


def _set_aside(name: str, raw: RawRows, rejected: pl.DataFrame) -> pl.DataFrame:
    digests = [content_id("row", *row) for row in rejected.select(FIELDS).iter_rows()]
    rows = rejected.select("ordinal", "line", "reason", "detail").with_columns(
        pl.Series("row_digest", digests, dtype=pl.String)
    )
    return (
        pl.concat([raw.faults, rows.select(raw.faults.columns)])
        .sort("ordinal")
        .with_columns(pl.lit(name).alias("source"), pl.format("{}:{}", pl.lit(raw.location), "line").alias("location"))
    )


def _printable(column: str) -> pl.Expr:
    """Return a value of the source shortened, on one line and without hidden characters."""
    return pl.col(column).fill_null("null").map_elements(lambda value: printable(value[:60]), return_dtype=pl.String)
