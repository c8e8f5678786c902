"""Pseudonyms for reviewers in the public profile: ``manual:reviewer-1a2b3c4d`` in place of ``manual:NAME``.

A pseudonym is a keyed hash (HMAC-SHA256) of the name. The key is the workspace's own: 32 random bytes in
``reviewers.json``, which only the owner of the workspace can read, and which is in no version and no release. Without
the key nobody can find a name by hashing a list of names. The same workspace gives the same pseudonym in every
release, so redacted shards keep their bytes.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import uuid
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.store import files

FILE = "reviewers.json"
_PSEUDONYM = re.compile(r"reviewer(-[0-9a-f]{8})?")


def load_key(root: Path) -> bytes:
    """Return the key of the workspace at ``root``; create it, readable only by the owner, if there is none.

    Raises SeasDataError when the file is damaged or cannot be written.
    """
    path = root / FILE
    try:
        if not path.exists():
            _create(path)
        return bytes.fromhex(json.loads(path.read_bytes())["key"])
    except OSError as problem:
        raise SeasDataError(
            f"{path} could not be read or created ({problem.strerror}); a public release needs it for the pseudonyms "
            "of reviewers, so give yourself access to the workspace"
        ) from problem
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SeasDataError(
            f"{path} is damaged; restore it from a copy, or remove it to give all reviewers new pseudonyms"
        ) from None


def replace_names(texts: pl.Series, prefix: str, key: bytes | None) -> pl.Series:
    """Return ``texts`` with a pseudonym for whatever follows ``prefix`` in those that start with it.

    Pseudonyms stay as they are. Without a ``key`` all names become ``reviewer``.
    """
    named = [text for text in texts.unique().drop_nulls() if text.startswith(prefix)]
    replaced = {text: prefix + _pseudonym(text.removeprefix(prefix), key) for text in named}
    return texts.replace(replaced) if replaced else texts


def _pseudonym(name: str, key: bytes | None) -> str:
    if _PSEUDONYM.fullmatch(name):
        return name
    return "reviewer" if key is None else f"reviewer-{hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:8]}"


def _create(path: Path) -> None:
    """Write a new key to ``path`` unless another process does so first."""
    temporary = path.with_name(f"{files.TEMPORARY}{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps({"key": secrets.token_hex(32)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
