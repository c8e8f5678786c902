"""What a reviewer is shown of a prompt or a response.

Of a prompt: its text or turns, where it comes from and what the version decided about it, its contrast partner, and the
most similar kept prompts. Of a response: the prompt and the response, and nothing that a judge or another person said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.review.page.marks import Folded, fold_long
from seas_data.review.page.neighbours import Neighbours
from seas_data.review.response_index import response_texts, response_turns

_ORDINARY = ("general", "harmless")
"""Kinds of prompts that are shown at once; the texts of others are hidden until the reviewer asks for them."""


@dataclass(frozen=True)
class Passage:
    """A text with its title, such as the role of a turn, and its language, if known."""

    title: str
    text: Folded
    language: str = ""


@dataclass(frozen=True)
class Related:
    """Another prompt and how it is related to the item."""

    relation: str
    prompt_id: str
    kind: str
    passages: list[Passage]


@dataclass(frozen=True)
class Item:
    """What is shown of a row. ``hidden``: whether its texts are hidden until the reviewer asks for them."""

    row_id: str
    passages: list[Passage]
    hidden: bool
    facts: list[tuple[str, str]] = field(default_factory=list)
    related: list[Related] = field(default_factory=list)


class PromptItems:
    """The items of a sheet of prompts: those ``ids`` of ``version``. Raises SeasDataError if it lacks one of them."""

    def __init__(self, version: Version, ids: Sequence[str], path: Path) -> None:
        self._prompts = version.table("prompts")
        self._at = {row_id: at for at, row_id in enumerate(self._prompts["prompt_id"])}
        _require(version, ids, self._at, "prompts", path)
        kept = set(version.table("kept", ["prompt_id"])["prompt_id"])
        decisions = version.table("decisions").filter(pl.col("reason") != "manual")
        of_sheet = pl.Series(list(ids), dtype=pl.String).implode()
        about = decisions.filter(pl.col("prompt_id").is_in(of_sheet) | pl.col("witness_id").is_in(of_sheet))
        self._decisions = about.filter(pl.col("prompt_id").is_in(of_sheet)).partition_by("prompt_id", as_dict=True)
        self._contrasts = _contrasts(about)
        self._dropped = {row_id for row_id in ids if row_id not in kept}
        self._splits = dict(version.table("splits", ["prompt_id", "split"]).iter_rows())
        self._topics = dict(version.table("clusters", ["prompt_id", "label"]).iter_rows())
        self._neighbours = Neighbours(version.table("embeddings"), kept, ids)
        self._texts = dict(self._prompts.select("prompt_id", "text").iter_rows())
        self._kinds = dict(self._prompts.select("prompt_id", "kind").iter_rows())

    def text(self, row_id: str) -> str:
        """Return the text that the search of the page looks at."""
        return self._texts[row_id] or ""

    def kind(self, row_id: str) -> str:
        """Return the kind of the prompt."""
        return str(self._kinds[row_id])

    def is_hidden(self, row_id: str) -> bool:
        """Return whether the texts of the row are hidden until the reviewer asks for them."""
        return self._kinds[row_id] not in _ORDINARY

    def show(self, row_id: str) -> Item:
        """Return the item of a row of the sheet."""
        row = self._row(row_id)
        names = ("kind", "type", "source", "language", "licence", "label_source", "source_risk", "source_style")
        facts = [(name.replace("_", " "), str(row[name])) for name in names if row[name] is not None]
        if row["label_source"] and row["label_source"].startswith("manual:"):
            facts = [fact for fact in facts if fact[0] != "label source"]
        if row["label_probability"] is not None:
            facts.append(("label probability", f"{row['label_probability']:.2f}"))
        if row_id in self._splits:
            facts.append(("split", self._splits[row_id]))
        if row_id in self._topics:
            facts.append(("topic", self._topics[row_id]))
        for decision in self._decisions.get((row_id,), pl.DataFrame()).iter_rows(named=True):
            score = "" if decision["score"] is None else f", score {decision['score']:.3f}"
            facts.append((decision["step"], f"{decision['decision']}: {decision['reason']}{score}"))
        if row_id in self._dropped:
            facts.append(("dataset", "dropped"))
        return Item(row_id, self._passages(row), self.is_hidden(row_id), facts, self._related(row_id))

    def close(self) -> None:
        """Stop what runs for the items."""
        self._neighbours.close()

    def _row(self, row_id: str) -> dict[str, Any]:
        return self._prompts.row(self._at[row_id], named=True)

    def _passages(self, row: dict[str, Any]) -> list[Passage]:
        language = row["language"] or ""
        if turns := row.get("messages"):
            return _turns(turns, language)
        if row["text"] is None:
            return [Passage("prompt", fold_long("This release withholds the text."))]
        return [Passage("prompt", fold_long(row["text"]), language)]

    def _related(self, row_id: str) -> list[Related]:
        found = [("contrast", other) for other in self._contrasts.get(row_id, [])]
        found += [(f"similarity {cosine:.3f}", other) for other, cosine in self._neighbours.of(row_id)]
        rows = [(relation, self._row(other)) for relation, other in found if other in self._at]
        return [Related(relation, row["prompt_id"], row["kind"], self._passages(row)) for relation, row in rows]


class ResponseItems:
    """The items of a sheet of responses: those ``ids`` of ``version``. Raises SeasDataError if it lacks one of them."""

    def __init__(self, version: Version, ids: Sequence[str], path: Path) -> None:
        series = pl.Series(list(ids), dtype=pl.String)
        self._texts, self._turns = response_texts(version, series), response_turns(version, series)
        self._at = {row_id: at for at, row_id in enumerate(self._texts["response_id"])}
        _require(version, ids, self._at, "responses", path)

    def text(self, row_id: str) -> str:
        """Return the text that the search of the page looks at."""
        _, prompt, response = self._texts.row(self._at[row_id])
        return f"{prompt}\n{response}"

    def kind(self, row_id: str) -> str:
        """Return an empty string: the page does not tell kinds of responses apart."""
        return ""

    def is_hidden(self, row_id: str) -> bool:
        """Return true: the texts of all responses are hidden until the reviewer asks for them."""
        return True

    def show(self, row_id: str) -> Item:
        """Return the item of a row of the sheet."""
        _, prompt, response = self._texts.row(self._at[row_id])
        turns = self._turns.get(row_id)
        asked = _turns(turns) if turns else [Passage("prompt", fold_long(prompt or ""))]
        return Item(row_id, [*asked, Passage("response", fold_long(response or ""))], hidden=self.is_hidden(row_id))

    def close(self) -> None:
        """Do nothing: nothing runs for the items."""


def _turns(turns: Sequence[Mapping[str, str]], language: str = "") -> list[Passage]:
    return [Passage(turn["role"], fold_long(turn["content"] or ""), language) for turn in turns]


def _require(version: Version, ids: Sequence[str], known: dict[str, int], noun: str, path: Path) -> None:
    missing = [row_id for row_id in ids if row_id not in known]
    if missing:
        raise SeasDataError(
            f"{path} has {len(missing)} {noun} that {version.name} does not have, such as {missing[0]}; name the "
            "version that the sheet was drawn from, or another sheet with -o"
        )


def _contrasts(decisions: pl.DataFrame) -> dict[str, list[str]]:
    """Return the contrast partners of each prompt. Input columns: prompt_id, witness_id, reason."""
    partners: dict[str, list[str]] = {}
    pairs = decisions.filter(reason="contrast_pair").drop_nulls("witness_id").select("prompt_id", "witness_id")
    for one, other in pairs.iter_rows():
        partners.setdefault(one, []).append(other)
        partners.setdefault(other, []).append(one)
    return {row_id: list(dict.fromkeys(others)) for row_id, others in partners.items()}
