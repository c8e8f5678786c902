"""What was forgotten stays out: rows that come again, under their own id or with the same words, are set aside.

A version's table ``tombstones`` holds ids and reasons only. To know the same words under another id, the workspace
keeps a digest of them in ``forgotten.json``: salted with a secret that is drawn for this workspace, and in no version
and no release, so that nobody can look up there which text it was that somebody wanted gone.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.store import files
from seas_data.store.version import Version
from seas_data.text import content_id


@dataclass(frozen=True)
class Forgotten:
    """The ids of tombstones, and the guard: the workspace's salt and the salted digests of forgotten texts."""

    ids: pl.Series
    salt: str
    digests: frozenset[str]


def nothing() -> Forgotten:
    """Return that nothing was forgotten."""
    return Forgotten(pl.Series("prompt_id", [], dtype=pl.String), "", frozenset())


def known(version: Version) -> Forgotten:
    """Return what ``version`` and its workspace must not take in again."""
    ids = version.table("tombstones", ["prompt_id"])["prompt_id"].drop_nulls().sort()
    salt, digests = _guard(version.workspace.root)
    return Forgotten(ids, salt, frozenset(digests))


def refuse(new: pl.DataFrame, forgotten: Forgotten) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``new`` (rows of ``prompts``) less what was forgotten, and rows of ``set_aside`` for the others."""
    again = new["prompt_id"].is_in(forgotten.ids.implode())
    if forgotten.digests:
        digests = [_salted(forgotten.salt, digest) in forgotten.digests for digest in new["text_digest"]]
        again |= pl.Series(digests, dtype=pl.Boolean)
    return new.filter(~again), set_aside(new.filter(again))


def set_aside(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ``set_aside`` for forgotten ``rows`` (prompt_id, source): nothing in them tells the text."""
    digests = [content_id("forgotten", prompt_id) for prompt_id in rows["prompt_id"]]
    aside = rows.select(
        "source",
        pl.col("source").alias("location"),
        pl.lit("forgotten").alias("reason"),
        pl.lit(None, pl.String).alias("detail"),
        pl.Series("row_digest", digests, dtype=pl.String),
    )
    return tables.cast("set_aside", pl.concat([tables.empty("set_aside"), aside], how="diagonal"))


def guard(root: Path, text_digests: list[str]) -> None:
    """Remember, for the workspace at ``root``, texts (their ``text_digest``) that must not come in again."""
    salt, digests = _guard(root)
    digests = sorted({*digests, *(_salted(salt, digest) for digest in text_digests)})
    files.write_text(root / "forgotten.json", json.dumps({"salt": salt, "digests": digests}) + "\n")
    (root / "forgotten.json").chmod(0o600)


def _guard(root: Path) -> tuple[str, list[str]]:
    path = root / "forgotten.json"
    if not path.exists():
        return secrets.token_hex(16), []
    try:
        content = json.loads(path.read_bytes())
        return str(content["salt"]), [str(digest) for digest in content["digests"]]
    except (ValueError, KeyError, TypeError):
        raise SeasDataError(f"{path} is damaged; restore it from a copy, or what was forgotten may come back") from None


def _salted(salt: str, text_digest: str) -> str:
    return content_id("forgotten text", salt, text_digest)
