"""Account of what was read: rows, set-aside rows, labels without a mapping, languages. A build prints it at its end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.prompts import SourceRows
from seas_data.text import printable

UNREAD_REASONS: Final = ("unreadable", "undecodable", "empty", "unknown_kind", "unknown_language")
"""The reasons that count towards ``max_unreadable_proportion``."""
DEFAULT_PROPORTION: Final = 0.01
"""The limit of a training source that sets none; one row is always allowed."""
NOT_EMBEDDABLE_NOTICE: Final = 0.1
"""If no embedder reads more than this proportion of the rows, the account says so as a warning."""
RECALL_NOTICE: Final = 0.99
"""If a lower proportion of the pairs similar by meaning was found, the account says so as a warning."""
_PLACES: Final = 5
_VALUES: Final = 10


@dataclass(frozen=True)
class SourceAccount:
    """What became of the rows of one source; counts of rows by reason, language or label."""

    rows: int
    prompts: int
    set_aside: dict[str, int]
    languages: dict[str, int]
    detected: int
    corrected: int
    unmapped: dict[str, dict[str, int]]
    shared: int = 0
    """Rows with the text of an earlier row, whose prompt they share."""
    answers: int = 0
    answers_without_text: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    """Numbers of verdicts by what they are: safe, unsafe, unparsed, or refusal class only."""

    def without(self, forgotten: int) -> "SourceAccount":
        """Return this account with ``forgotten`` of the prompts, which were taken down, as set-aside rows."""
        if not forgotten:
            return self
        return replace(self, prompts=self.prompts - forgotten, set_aside=self.set_aside | {"forgotten": forgotten})


@dataclass(frozen=True)
class Account:
    """The account of a build: its sources, and why rows have no vector (counts of rows; ``compared`` rows in all)."""

    sources: dict[str, SourceAccount] = field(default_factory=dict)
    compared: int = 0
    not_embeddable: dict[str, int] = field(default_factory=dict)
    semantic_recall: list[dict[str, Any]] = field(default_factory=list)
    """What proportion of the similar pairs was found, if not all were compared: ``threshold``, ``value``, ``low``,
    ``high`` (the interval) and ``n`` (pairs) of each model and threshold."""


def require_readable(name: str, source: Source, found: SourceRows) -> None:
    """Raise SeasDataError if a source gives no row, or more rows than allowed could not be read or mapped."""
    counts = _counts(found.set_aside["reason"])
    total = found.prompts.height + found.shared + found.set_aside.height
    reasons_unread = (*UNREAD_REASONS, *(["several_turns"] if source.role == "holdout" else []))
    unread = sum(counts.get(reason, 0) for reason in reasons_unread)
    where = source.path or f"{source.hub}@{source.revision}"
    if found.prompts.is_empty() and unread == total:
        reasons = f": {_join(counts)} ({_places(found.set_aside)})" if counts else ", and the file has none"
        raise SeasDataError(
            f"source {name}: no row of {where} became a prompt{reasons}; check path, format and columns.text"
        )
    proportion = source.max_unreadable_proportion
    if proportion is not None:
        allowed = int(proportion * total)
    else:
        allowed = 0 if source.role == "holdout" else max(1, int(DEFAULT_PROPORTION * total))
    if unread > allowed:
        counted: dict[str, int] = {reason: counts[reason] for reason in reasons_unread if reason in counts}
        role = "holdout " if source.role == "holdout" else ""
        places = _places(found.set_aside.filter(pl.col("reason").is_in(reasons_unread)))
        raise SeasDataError(
            f"source {name}: {unread:,} of {total:,} rows of {where} could not be read or mapped, and a {role}source "
            f"may have {allowed:,} such rows: {_join(counted)} ({places}); correct the file or the columns, or set "
            f"sources.{name}.max_unreadable_proportion"
        )


def describe_source(source: Source, found: SourceRows) -> SourceAccount:
    """Return what became of the rows of a source."""
    answers = found.answers
    return SourceAccount(
        rows=found.prompts.height + found.shared + found.set_aside.height,
        prompts=found.prompts.height,
        set_aside=_counts(found.set_aside["reason"]),
        languages=_counts(found.prompts["language"].fill_null("unknown")),
        detected=found.detected,
        corrected=found.corrected,
        unmapped=_unmapped(source, found.prompts) | ({"verdict": answers.unmapped} if answers.unmapped else {}),
        shared=found.shared,
        answers=answers.responses.height,
        answers_without_text=answers.responses["text"].null_count(),
        verdicts=_counts(answers.verdicts["verdict"].fill_null("refusal class only")),
    )


def account_lines(account: Account) -> list[str]:
    """Return the account as lines for a terminal."""
    parts = account.sources.values()
    rows, prompts = sum(each.rows for each in parts), sum(each.prompts for each in parts)
    noun = "source" if len(account.sources) == 1 else "sources"
    shared = sum(each.shared for each in parts)
    repeats = f" {shared:,} more {'row' if shared == 1 else 'rows'} to the same prompts," if shared else ""
    aside = rows - prompts - shared
    lines = [f"Read {rows:,} rows of {len(account.sources)} {noun}: {prompts:,} prompts,{repeats} {aside:,} set aside."]
    lines += [
        f"  {name}: set aside {_join(each.set_aside)} of {each.rows:,} rows"
        for name, each in account.sources.items()
        if each.set_aside
    ]
    lines += [_answers_line(name, each) for name, each in account.sources.items() if each.answers]
    for name, each in account.sources.items():
        lines += [
            f"  {name}: {sum(values.values()):,} rows have a {label} that maps to nothing: {_join(values, _VALUES)}"
            for label, values in each.unmapped.items()
        ]
    languages: dict[str, int] = {}
    for each in parts:
        for language, count in each.languages.items():
            languages[language] = languages.get(language, 0) + count
    if languages:
        detected = sum(each.detected for each in parts)
        corrected = sum(each.corrected for each in parts)
        more = f"; detected for {detected:,} rows that state none" if detected else ""
        more += f"; another one than stated for {corrected:,} rows" if corrected else ""
        ordered = dict(sorted(languages.items(), key=lambda item: (-item[1], item[0])))
        lines.append(f"Languages: {_join(ordered, _VALUES)}{more}.")
    if account.not_embeddable:
        unseen = sum(account.not_embeddable.values())
        proportion = unseen / max(1, account.compared)
        warning = "Warning: " if proportion > NOT_EMBEDDABLE_NOTICE else ""
        lines.append(
            f"{warning}{unseen:,} of {account.compared:,} rows ({proportion:.1%}) are compared by words only, because "
            f"no embedder reads them: {_join(account.not_embeddable, _VALUES)}."
        )
    return lines + [_recall_line(each) for each in account.semantic_recall if each["value"] is not None]


def _recall_line(row: Mapping[str, Any]) -> str:
    warning = "Warning: " if row["value"] < RECALL_NOTICE else ""
    advice = "; to compare all pairs, raise curation.semantic.exact_rows" if warning else ""
    return (
        f"{warning}{row['value']:.2%} of the pairs with a cosine of at least {row['threshold']} were found (interval "
        f"{row['low']:.2%} to {row['high']:.2%}; {row['n']:,} pairs of a sample){advice}."
    )


def _answers_line(name: str, each: SourceAccount) -> str:
    without = f" ({each.answers_without_text:,} without a text)" if each.answers_without_text else ""
    return f"  {name}: {each.answers:,} answers{without}; verdicts: {_join(each.verdicts) or 'none'}"


def not_embeddable_reasons(decisions: pl.DataFrame) -> dict[str, int]:
    """Return for each reason the number of prompts with a ``not_embeddable`` decision.

    Input columns: ``prompt_id``, ``reason``, ``detail``.
    """
    rows = decisions.filter(pl.col("reason") == "not_embeddable").unique("prompt_id", keep="first", maintain_order=True)
    return _counts(rows["detail"].fill_null("unknown"))


def semantic_recalls(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows ``semantic_recall`` of the table ``metrics`` with their facets as values."""
    rows = metrics.filter(pl.col("name") == "semantic_recall").select("value", "low", "high", "n", "facets")
    return [json.loads(row.pop("facets")) | row for row in rows.to_dicts()]


def _unmapped(source: Source, prompts: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return the labels of adversarial prompts that the source's map has no entry for, with their numbers of rows."""
    adversarial = prompts.filter(pl.col("kind") == "adversarial")
    found = {}
    for label, own, mapped, label_map in (
        ("risk label", "source_risk", "risk_category", source.risk_map),
        ("style label", "source_style", "attack_style", source.style_map),
    ):
        missing = adversarial.filter(pl.col(own).is_not_null() & pl.col(mapped).is_null())
        if source.columns.risk == source.columns.style:  # one column has labels of both axes
            missing = missing.filter(pl.col("risk_category").is_null() & pl.col("attack_style").is_null())
        if label_map is not None and missing.height:
            found[label] = _counts(missing[own])
    return found


def _counts(values: pl.Series) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    counted: dict[str, int] = dict(values.value_counts().rows())
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _join(counts: Mapping[str, Any], most: int | None = None) -> str:
    shown = [f"{printable(str(value)[:60])} {count:,}" for value, count in list(counts.items())[:most]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f", and {more:,} more values" if more else "")


def _places(set_aside: pl.DataFrame) -> str:
    rows = set_aside.select("location", "reason", "detail").head(_PLACES).rows()
    return "; ".join(f"{place} {detail or reason}" for place, reason, detail in rows)
