"""Ids and digests that are functions of their row, computed again: they tell rows that changed after they were read.

A shard is named by its SHA-256, so a file that changes later is found by ``Workspace.verify``. A row that was damaged
before its shard was written, for example in memory or in a file of an unfinished build, is in a shard whose name fits;
there only the row's own id and digest still say what it was.
"""

from dataclasses import dataclass

import polars as pl

from seas_data import tables
from seas_data.conversation import prompt_ids, render
from seas_data.store.workspace import Manifest, Shard, Workspace
from seas_data.tables.ids import row_ids
from seas_data.text import text_digest


@dataclass(frozen=True)
class Mismatch:
    """The rows of a shard whose ids or digests are not those of their content."""

    table: str
    shard: Shard
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"shards/{self.table}/{self.shard.sha256}.parquet: {len(self.ids)} rows differ from their own ids or "
            f"digests (first {self.ids[0]}), so they were damaged before they were stored"
        )


def find_mismatches(workspace: Workspace, *manifests: Manifest) -> list[Mismatch]:
    """Return the shards of the versions with rows whose ids or digests are not those of their content.

    Covers ``text_digest``, ``prompt_id`` and, of conversations, ``text`` of prompts, and the ids of attacks, responses,
    pairs and demonstrations.
    """
    shards = {(table, shard): None for each in manifests for table, them in each.tables.items() for shard in them}
    found = []
    for table, shard in shards:
        if table in _IDS:
            columns = dict.fromkeys((*(["text_digest"] * (table == "prompts")), *_columns(table)))
            parts = tables.read_parts(table, workspace.shard_path(table, shard), list(columns))
            if ids := {row_id for rows in parts for row_id in _mismatching(table, rows)}:
                found.append(Mismatch(table, shard, tuple(sorted(ids))))
    return found


_IS_OF_A_SOURCE = pl.col("model").is_null() & (pl.col("source_id") != "forgotten")
"""Other prompts are attacks; the id of a row at its source is cleared if it quotes a text that was taken down."""
_PAIR = ("role", "iteration", "seed_id", "prompt_id", "chosen_id", "rejected_id")
_DEMONSTRATION = ("role", "iteration", "seed_id", "prompt_id", "completion_id")
_IS_LOGGED = pl.col("source").is_not_null() & pl.col("source_id").is_not_null() & pl.col("text").is_not_null()
"""Of other responses of a source, the id covers a text that was taken down or withheld."""
_IDS: dict[str, tuple[str, str, list[tuple[tuple[str, ...], pl.Expr]]]] = {
    "prompts": ("prompt_id", "prompt", [(("source", "source_id", "text", "messages"), _IS_OF_A_SOURCE)]),
    "attacks": ("prompt_id", "attack", [(("seed_id", "settings_id", "number", "text"), pl.lit(True))]),
    "responses": (
        "response_id",
        "response",
        [
            (("prompt_id", "settings_id", "sample"), pl.col("source").is_null()),
            (("prompt_id", "source", "source_id", "model", "text"), _IS_LOGGED),
        ],
    ),
    "pairs": ("pair_id", "pair", [(_PAIR, pl.col("source").is_null())]),
    "demonstrations": ("demonstration_id", "demonstration", [(_DEMONSTRATION, pl.lit(True))]),
}
"""For each table its id, the id's kind, and the columns of the id for the rows that have one of these columns."""


def _columns(table: str) -> dict[str, None]:
    key, _, ids = _IDS[table]
    return dict.fromkeys((key, *(name for parts, has_id in ids for name in (*parts, *has_id.meta.root_names()))))


def _mismatching(table: str, rows: pl.DataFrame) -> set[str]:
    key, kind, ids = _IDS[table]
    if table in ("prompts", "attacks"):
        rows = rows.drop_nulls("text")  # a release withholds some texts
    wrong: set[str] = set()
    for parts, has_id in ids:
        identified = rows.filter(has_id)
        ids_again = prompt_ids(identified) if table == "prompts" else row_ids(kind, identified, *parts)
        wrong |= set(identified.filter(identified[key] != ids_again)[key])
    if "text_digest" in rows.columns:
        turns = rows.drop_nulls("messages").select(key, "text", "messages")
        wrong |= {row_id for row_id, text, messages in turns.iter_rows() if render(messages) != text}
        digests = pl.Series([text_digest(text) for text in rows["text"]], dtype=pl.String)
        wrong |= set(rows.filter(rows["text_digest"] != digests)[key])
    return wrong
