"""Rows to export: the kept prompts of a split with their labels, and what the file says about their version."""

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.store.version import Version
from seas_data.tables.schema import TABLES

SPLITS: Final = ("train", "test", "harmless")

_LABELS: Final = (
    *("kind", "type", "risk_category", "attack_style", "difficulty", "hazard"),
    *("language", "source", "licence"),
)


@dataclass(frozen=True)
class ExportRow:
    """A prompt.

    Attributes:
        prompt_id: its id in the version.
        text: the prompt; of a conversation its last turn.
        turns: the turns (role, content) of a conversation; None for a plain prompt.
        goal: the plain request, where the source gives it.
        labels: the labels that it has, by column; ``source`` and ``licence`` among them.
    """

    prompt_id: str
    text: str
    turns: tuple[tuple[str, str], ...] | None
    goal: str | None
    labels: dict[str, str]


@dataclass(frozen=True)
class About:
    """What a file says of its origin: the recipe's name, version, digest, split, and the licences of the rows."""

    recipe: str
    version: str
    digest: str
    split: str
    licences: str

    @property
    def title(self) -> str:
        """The recipe, version and split, such as ``garak-log v0 test``."""
        return f"{self.recipe} {self.version} {self.split}"

    @property
    def sentence(self) -> str:
        """One sentence with the origin and the licences."""
        origin = f"Split {self.split} of {self.recipe} {self.version} by seas-data (digest {self.digest})."
        return f"{origin} Licences: {self.licences}."

    def labels(self, row: ExportRow) -> dict[str, str]:
        """Return what a file says of a row: its id, labels, goal, split and version."""
        goal = {"goal": row.goal} if row.goal is not None else {}
        return {"prompt_id": row.prompt_id, **row.labels, **goal, "split": self.split, "version": self.title}


def select_rows(version: Version, split: str) -> tuple[list[ExportRow], About, int]:
    """Return the kept prompts of a split in the order of their ids, what is said of them, and how many have no text.

    Raises SeasDataError if the split is none of ``SPLITS``.
    """
    if split not in SPLITS:
        why = "holdout prompts are other people's tests" if split == "holdout" else f"there is no split {split!r}"
        raise SeasDataError(f"{why}; set --split to one of: {', '.join(SPLITS)}")
    columns = [name for name in ("text", "messages", "goal", *_LABELS) if name in TABLES["prompts"].column_names()]
    splits = version.table("splits").filter(pl.col("split") == split)
    kept = version.table("kept", ["prompt_id", "role", *columns]).join(splits, on="prompt_id", how="semi")
    kept = kept.filter(pl.col("role") != "holdout").sort("prompt_id")
    rows = [_row(each) for each in kept.filter(pl.col("text").is_not_null()).iter_rows(named=True)]
    licences = ", ".join(sorted({row.labels.get("licence", "none stated for some rows") for row in rows}))
    about = About(version.manifest.recipe["name"], version.name, version.digest, split, licences)
    return rows, about, kept["text"].null_count()


def _row(values: dict[str, Any]) -> ExportRow:
    messages = values.get("messages")
    turns = None if messages is None else tuple((each["role"], each["content"]) for each in messages)
    return ExportRow(
        prompt_id=values["prompt_id"],
        text=values["text"] if turns is None else turns[-1][1],
        turns=None if turns is None or len(turns) == 1 else turns,
        goal=values.get("goal"),
        labels={name: values[name] for name in _LABELS if values.get(name) is not None},
    )
