"""Several people's sheets as one: what they agree on, what is to be settled, and everything that they said.

A row on which nobody contradicts another is decided: ``who`` has all names and ``because`` what each said. A row on
which they differ is left open, to be settled (``review --settle``). The column ``words`` of the merged sheet has what
each person said of a row, for the page and for the agreement of a gold set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.review.agreement import compare_pairs, measure_agreement
from seas_data.review.gold import REFUSALS, VERDICTS, with_interval
from seas_data.review.response_index import index_responses, judge_outputs
from seas_data.review.words import QUESTIONS, WORDS, Word, as_ratings, describe_words, disagree, write_words
from seas_data.sources.raw_rows import is_valid_unicode
from seas_data.sources.sheet_journal import ID_COLUMNS
from seas_data.sources.sheets import guard_cell, read_sheet, write_cells

VALUES: Final = {"decision": ("keep", "drop"), "verdict": VERDICTS, "refusal": REFUSALS}
"""The answers to the questions whose answers are a closed list."""


@dataclass(frozen=True)
class Merged:
    """A merged sheet.

    ``of_responses``: whether its rows are responses. ``header`` and ``rows``: its cells. ``ratings``: row_id, who,
    question, value and type of every answer. ``agreed``, ``open_rows`` and ``single``: numbers of rows on which several
    people agree, on which they differ, and that one person decided.
    """

    of_responses: bool
    header: list[str]
    rows: list[list[str]]
    ratings: pl.DataFrame
    agreed: int
    open_rows: int
    single: int

    def write(self, path: Path) -> None:
        """Write the sheet to ``path``, which must not exist."""
        if path.exists():
            raise SeasDataError(f"{path} exists, and may have settled rows; pass another file with -o, or remove it")
        write_cells(path, self.header, [[guard_cell(cell) for cell in row] for row in self.rows])


def merge_sheets(paths: Sequence[Path]) -> Merged:
    """Merge the filled-in sheets at ``paths``, which are all of prompts or all of responses.

    Raises SeasDataError if a sheet has faults, or if one person decided a row in two of them.
    """
    if len(paths) < 2:
        raise SeasDataError("review merge needs two or more sheets, one of each person")
    sheets = [_read(path) for path in paths]
    keys = {sheet.key for sheet in sheets}
    if len(keys) > 1:
        raise SeasDataError("some of the sheets are of prompts and some of responses; merge them separately")
    key = keys.pop()
    questions = QUESTIONS[key]
    context = [name for name in sheets[0].header if name not in (*questions, "who", "because", WORDS)]
    rows: dict[str, dict[str, str]] = {}
    words: dict[str, list[Word]] = {}
    for sheet in sheets:
        for row in sheet.rows:
            rows.setdefault(row[key], {name: row.get(name, "") for name in context})
            said = words.setdefault(row[key], [])
            for word in sheet.words(row):
                if any(word["who"] == earlier["who"] for earlier in said):
                    raise SeasDataError(
                        f"{sheet.path} has another decision of {word['who']} on {row[key]}; merge one of the two "
                        "sheets, or correct the names in the column who"
                    )
                said.append(word)
    types = pl.Series("type", [rows[each].get("type") or None for each in rows], pl.String)
    types_by_row = pl.DataFrame({"row_id": pl.Series(list(rows), dtype=pl.String)}).with_columns(types)
    ratings = as_ratings(words, questions).join(types_by_row, on="row_id", maintain_order="left")
    header = [*context, *questions, "who", "because", WORDS]
    cells = [[*rows[each].values(), *_merge_words(words[each], questions), write_words(words[each])] for each in rows]
    several = [each for each in words.values() if len(each) > 1]
    open_rows = sum(disagree(each, questions) for each in several)
    single = sum(len(each) == 1 for each in words.values())
    return Merged(key == "response_id", header, cells, ratings, len(several) - open_rows, open_rows, single)


def describe_agreement(merged: Merged, version: Version | None) -> dict[str, pl.DataFrame]:
    """Return the agreement of the people: ``all``, ``by_type`` and, of responses of ``version``, ``by_judge``.

    Output columns: as of ``agreement.measure_agreement``, with type in ``by_type``, and as of
    ``agreement.compare_pairs``. Types of responses are those of their prompts in ``version``.
    """
    ratings = merged.ratings
    tables = {"all": measure_agreement(ratings)}
    if version is not None:
        types = index_responses(version).select("type", row_id="response_id")
        ratings = ratings.drop("type").join(types, on="row_id", how="left", maintain_order="left")
    tables["by_type"] = measure_agreement(ratings.filter(pl.col("type").is_not_null()), ["type"])
    if version is not None:
        judges = judge_outputs(version).rename({"response_id": "row_id"})
        long = judges.unpivot(["verdict", "refusal"], index=["row_id", "judge"], variable_name="question")
        tables["by_judge"] = compare_pairs(ratings, long.drop_nulls("value"))
    return tables


def display(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the tables of ``describe_agreement`` for display by title, without empty ones."""
    measures = [with_interval(name).alias(name) for name in ("raw", "kappa", "alpha")]
    titles = {
        "Agreement": tables["all"].select("question", "n", "people", *measures),
        "By type": tables["by_type"].select("type", "question", "n", *measures),
    }
    if "by_judge" in tables:
        kappa = with_interval("kappa").alias("kappa")
        titles["Of people with judges"] = tables["by_judge"].select("judge", "who", "question", "n", "same", kappa)
    return {title: table for title, table in titles.items() if table.height}


@dataclass(frozen=True)
class _Sheet:
    path: Path
    key: str
    header: list[str]
    rows: list[dict[str, str]]

    def words(self, row: dict[str, str]) -> list[Word]:
        """Return what was said of a row: one word, or none."""
        answers = {name: row[name] for name in QUESTIONS[self.key] if row.get(name)}
        if not answers:
            return []
        because = {"because": row["because"]} if row["because"] else {}
        return [{"who": row["who"] or self.path.stem} | answers | because]


def _read(path: Path) -> _Sheet:
    if not path.is_file():
        raise SeasDataError(f"there is no sheet at {path}; give filled-in sheets of: seas-data review")
    header, records = read_sheet(path, "review sheet")
    key = next((name for name in ID_COLUMNS if name in header), None)
    if key is None or not {QUESTIONS[key][0], "who", "because"} <= set(header):
        raise SeasDataError(f"{path} is no review sheet: it lacks prompt_id or response_id, a decision, who or because")
    if WORDS in header:
        raise SeasDataError(f"{path} is a merged sheet already; merge the sheets of the people themselves")
    rows = []
    for record in records:
        location = f"{path.name}:{record.line}"
        if record.fields is None or not is_valid_unicode("".join(record.fields)):
            raise SeasDataError(f"{location}: {record.fault or 'bytes that are not UTF-8'}; fix the line")
        row = dict(zip(header, record.fields, strict=True))
        for name in QUESTIONS[key]:
            value = row.get(name, "").casefold().replace(" ", "_") if name in VALUES else row.get(name, "")
            if name in VALUES and value and value not in VALUES[name]:
                raise SeasDataError(f"{location}: {name} should be {', '.join(VALUES[name])} or empty")
            row[name] = value
        rows.append(row)
    return _Sheet(path, key, header, rows)


def _merge_words(words: list[Word], questions: Sequence[str]) -> list[str]:
    """Return the answers, who and because of a row."""
    if not words or disagree(words, questions):
        return [""] * (len(questions) + 2)
    answers = [next((word[name] for word in words if name in word), "") for name in questions]
    if len(words) == 1:
        return [*answers, words[0]["who"], words[0].get("because", "")]
    return [*answers, ", ".join(word["who"] for word in words), describe_words(words, questions)]
