"""Rows that were taken down stay out: when a source has them again, by id or by text, they are set aside.

The table ``tombstones`` holds ids and reasons only. To recognise the same text under another id, the workspace keeps a
digest of it in ``forgotten.json``, salted with a secret of the workspace. The file is in no version and no release, so
nobody can test there which text was taken down.
"""

import json
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.conversation import all_texts
from seas_data.errors import SeasDataError
from seas_data.folding import fold, leak_digest, leak_digests_of_all_versions
from seas_data.store import files
from seas_data.store.version import Version
from seas_data.text import content_id, text_digest


@dataclass(frozen=True)
class Takedowns:
    """What was taken down: the ids of tombstones, and the workspace's salt with the salted digests of texts."""

    ids: pl.Series
    response_ids: pl.Series
    salt: str
    digests: frozenset[str]


def no_takedowns() -> Takedowns:
    """Return the takedowns of a workspace without any."""
    return Takedowns(
        pl.Series("prompt_id", [], dtype=pl.String), pl.Series("response_id", [], dtype=pl.String), "", frozenset()
    )


def load_takedowns(version: Version) -> Takedowns:
    """Return the takedowns of ``version`` and its workspace. Raises SeasDataError if ``forgotten.json`` is damaged."""
    tombstones = version.table("tombstones", ["prompt_id", "response_id"])
    ids, response_ids = (tombstones[name].drop_nulls().sort() for name in ("prompt_id", "response_id"))
    salt, digests = _read_digests(version.workspace.root)
    return Takedowns(ids, response_ids, salt, frozenset(digests))


def split_taken_down(prompts: pl.DataFrame, takedowns: Takedowns) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of ``prompts`` that were not taken down, and rows of ``set_aside`` for those that were.

    Input columns: those of the ``prompts`` table.
    """
    taken_down = prompts["prompt_id"].is_in(takedowns.ids.implode())
    if takedowns.digests:
        forgotten = [
            any(
                _salted_digest(takedowns.salt, digest) in takedowns.digests
                for digest in {given, *_digests(text, messages)}
            )
            for given, text, messages in prompts.select("text_digest", "text", "messages").iter_rows()
        ]
        taken_down |= pl.Series(forgotten, dtype=pl.Boolean)
    return prompts.filter(~taken_down), build_set_aside(prompts.filter(taken_down))


def build_set_aside(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of ``set_aside`` for rows that were taken down, without their texts or digests of them.

    Input columns: prompt_id, source. Output columns: those of the ``set_aside`` table.
    """
    digests = [content_id("forgotten", prompt_id) for prompt_id in rows["prompt_id"]]
    aside = rows.select(
        "source",
        pl.col("source").alias("location"),
        pl.lit("forgotten").alias("reason"),
        pl.lit(None, pl.String).alias("detail"),
        pl.Series("row_digest", digests, dtype=pl.String),
    )
    return tables.cast("set_aside", pl.concat([tables.empty("set_aside"), aside], how="diagonal"))


def record_texts(root: Path, texts: Iterable[str]) -> None:
    """Add ``texts`` to those that the workspace at ``root`` sets aside from now on, also if they come in disguise.

    A text is recorded by its ``text_digest``, as every takedown has been, and by its ``leak_digest``.
    """
    salt, digests = _read_digests(root)
    new = {digest for text in texts for digest in (text_digest(text), leak_digest(text))}
    digests = sorted({*digests, *(_salted_digest(salt, digest) for digest in new)})
    files.write_text(root / "forgotten.json", json.dumps({"salt": salt, "digests": digests}) + "\n", private=True)


def _read_digests(root: Path) -> tuple[str, list[str]]:
    path = root / "forgotten.json"
    if not path.exists():
        return secrets.token_hex(16), []
    try:
        content = json.loads(path.read_bytes())
        salt, digests = str(content["salt"]), [str(digest) for digest in content["digests"]]
        if not all(re.fullmatch("[0-9a-f]+", each) for each in (salt, *digests)):
            raise ValueError
        return salt, digests
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SeasDataError(
            f"{path} is damaged; restore it from a copy, or texts that were taken down may be added again"
        ) from None


def _digests(text: str, messages: list[dict[str, str]] | None) -> set[str]:
    """Return every digest by which this or an earlier release may have recorded the takedown of a prompt, of one of its
    turns, or of all turns but the first (of the system).

    The folded form with its look-alikes recognises what was recorded by its ``text_digest`` only.
    """
    kinds = (text_digest, _unpinned_digest, lambda each: content_id("text", fold(each)))
    texts = all_texts(text, messages)
    earlier = {digest for each in texts for digest in leak_digests_of_all_versions(each)}
    return {digest(each) for each in texts for digest in kinds} | earlier


def _unpinned_digest(text: str) -> str:
    """Return the ``text_digest`` by the tables of the Python release, as it was before the tables were pinned."""
    return content_id("text", " ".join(unicodedata.normalize("NFC", text).casefold().split()))


def _salted_digest(salt: str, digest: str) -> str:
    return content_id("forgotten text", salt, digest)
