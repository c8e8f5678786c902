"""Scan for personal data and secrets in what a release contains: offline, reported by id and kind, never shown.

    email            an address whose domain is not reserved for examples (RFC 2606)
    telephone        a number that is valid by ``phonenumbers``, with a country code or as written in its country
    ip-address       an address of the public internet
    postal-address   house number, street and postcode, as in the United States and the United Kingdom
    ...              keys and tokens, by the patterns of ``detect-secrets`` and of a few newer issuers

The findings of a shard are stored in the workspace's ``scans`` folder, by the hash of the shard and the id of the
scanner, so that a shard is scanned once; a damaged file is ignored, with a line that says so. Nothing is sent
anywhere: only the patterns of detect-secrets are used, not its verification, which asks the issuer whether a key works.
Polars' engine matches them in linear time on any text.
"""

import base64
import binascii
import importlib
import io
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version as installed
from typing import Any

import phonenumbers
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.redact import redact_recipe
from seas_data.release import pseudonyms
from seas_data.release.visibility import Profile, redact, table_rule
from seas_data.store import Shard, files
from seas_data.tables import TABLES, policy, read_parts, stored_schema
from seas_data.text import content_id

PERSONAL_KINDS = ("email", "telephone", "ip-address", "postal-address")
FINDINGS = {"id": pl.String(), "column": pl.String(), "kind": pl.String()}


def find_in_release(version: Version, profile: Profile) -> pl.DataFrame:
    """Return the personal data and secrets in what ``profile`` releases of ``version``, sorted.

    All columns of free text are scanned (``tables.policy``), and the recipe as ``redact`` leaves it.

    Output columns: table (``recipe`` for the recipe), id (of the row, or the recipe's key), column, kind.
    """
    parts = [_scan_recipe(version)]
    for table in TABLES:
        for shard in version.manifest.tables.get(table, []):
            found = _scan_shard(version, table, shard, profile)
            parts.append(found.select(pl.lit(table).alias("table"), *FINDINGS))
    return pl.concat(parts).unique().sort("table", "id", "column", "kind")


def scan(rows: pl.DataFrame) -> pl.DataFrame:
    """Return id and kind of each finding in ``rows`` (id, text), once each."""
    rows = rows.drop_nulls("text")
    return pl.concat([find(rows) for find in _FINDERS]).unique().sort("id", "kind")


def _scan_shard(version: Version, table: str, shard: Shard, profile: Profile) -> pl.DataFrame:
    """Return the findings in those cells of a shard that the profile releases."""
    schema = TABLES[table]
    path = version.workspace.shard_path(table, shard)
    types = stored_schema(path)
    columns = [column for column in policy.free_text(schema) if column in types]  # an older shard may lack one
    if not columns:
        return pl.DataFrame(schema=FINDINGS)
    rule = table_rule(table, profile, types)
    prefixes = dict(rule.names) if rule is not None else {}
    # Whether a cell is released does not depend on its text, so texts are not read here: an empty one replaces each.
    empty = [pl.lit([] if isinstance(types[name], pl.List) else "", dtype=types[name]).alias(name) for name in columns]
    rest = [name for name in types if name not in columns and not isinstance(types[name], pl.List)]
    shown: dict[str, list[pl.DataFrame]] = {column: [] for column in columns}
    for part in read_parts(table, path, rest):
        cells = redact(table, part.with_columns(empty), profile)
        for column in columns:
            ids = cells.filter(pl.col(column).is_not_null()).select(policy.row_id_expr(schema).alias("id"))
            shown[column] += [ids] if ids.height else []
    parts = [pl.DataFrame(schema=FINDINGS)]
    for column, released in shown.items():
        if released:
            found = _scan_column(version, table, shard, column, prefixes.get(column))
            parts.append(found.join(pl.concat(released), on="id", how="semi"))
    return pl.concat(parts)


def _scan_column(version: Version, table: str, shard: Shard, column: str, prefix: str | None) -> pl.DataFrame:
    """Return the findings in a column of a shard, from an earlier scan if there was one.

    Names after ``prefix`` are not scanned: the profile has pseudonyms for them.
    """
    name = f"{shard.sha256}-{column}" + "-without-names" * (prefix is not None)
    path = version.workspace.root / "scans" / SCANNER_ID / table / f"{name}.scan"
    content = files.read_verified(path, "the texts are scanned again")
    if content is not None:
        return pl.read_ipc(io.BytesIO(content))
    shard_path = version.workspace.shard_path(table, shard)
    text = policy.as_text(column, stored_schema(shard_path)[column])
    id_columns = policy.row_id(TABLES[table])
    parts = []
    for part in read_parts(table, shard_path, list(dict.fromkeys([*id_columns, column]))):
        rows = part.select(policy.row_id_expr(TABLES[table]).alias("id"), text.alias("text"))
        if prefix is not None:
            rows = rows.with_columns(pseudonyms.replace_names(rows["text"], prefix, None))
        parts.append(_scan_distinct(rows))
    found = pl.concat(parts).unique().sort("id", "kind").select("id", pl.lit(column).alias("column"), "kind")
    buffer = io.BytesIO()
    found.write_ipc(buffer)
    with suppress(SeasDataError):  # the workspace may be read-only: then nothing is cached
        files.write_with_digest(path, buffer.getvalue())
    return found


def _scan_distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``scan`` of ``rows``, for which each distinct text is scanned once."""
    numbered = rows.select("text").drop_nulls().unique().with_row_index("number")
    found = scan(numbered.select(pl.col("number").cast(pl.String).alias("id"), "text"))
    texts = numbered.with_columns(pl.col("number").cast(pl.String)).join(found, left_on="number", right_on="id")
    return rows.join(texts, on="text").select("id", "kind").unique().sort("id", "kind")


def _scan_recipe(version: Version) -> pl.DataFrame:
    """Return the findings in the recipe's keys and texts, each under its path; a key with a finding reads ``...``."""
    texts = list(_walk(redact_recipe(version.manifest.recipe), ()))
    keys = pl.DataFrame({"id": [path[-1] for path, _ in texts if path]}, schema={"id": pl.String})
    found = set(scan(keys.unique().with_columns(text="id"))["id"])
    paths = [".".join("..." if part in found else part for part in path) for path, _ in texts]
    rows = pl.DataFrame({"id": paths, "text": [text for _, text in texts]}, schema={"id": pl.String, "text": pl.String})
    return scan(rows).select(pl.lit("recipe").alias("table"), "id", pl.lit("").alias("column"), "kind")


def _walk(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path (of keys) and the text of every text and every key in the recipe."""
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, dict):
        for key, part in content.items():
            yield (*path, key), key
            yield from _walk(part, (*path, key))
    elif isinstance(content, list):
        for number, part in enumerate(content):
            yield from _walk(part, (*path, str(number)))


def _matches(rows: pl.DataFrame, pattern: str) -> pl.DataFrame:
    """Return id and match: a row for each match of ``pattern``."""
    return rows.select("id", match=pl.col("text").str.extract_all(pattern)).explode("match").drop_nulls("match")


def _filter_matches(matches: pl.DataFrame, kind: str, test: Callable[[str], bool]) -> pl.DataFrame:
    good = [test(match) for match in matches["match"]]
    return matches.filter(pl.Series(good, dtype=pl.Boolean)).select("id", kind=pl.lit(kind))


_EMAIL = r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b"
_RESERVED = r"(?i)@(?:.*\.)?(?:example\.(?:com|net|org)|example|test|invalid|localhost|local)$"


def _emails(rows: pl.DataFrame) -> pl.DataFrame:
    found = _matches(rows.filter(pl.col("text").str.contains("@", literal=True)), _EMAIL)
    return found.filter(~pl.col("match").str.contains(_RESERVED)).select("id", kind=pl.lit("email"))


_DIGITS = r"(?:^|.)[+(]?\d[\d \t().\-/–]{5,22}\d"  # with the character before it, which phonenumbers takes into account
_COUNTRIES = (None, "US", "GB", "CN")  # None: with a country code; else as written in that country


def _telephones(rows: pl.DataFrame) -> pl.DataFrame:
    return _filter_matches(_matches(rows, _DIGITS), "telephone", _is_telephone)


def _is_telephone(text: str) -> bool:
    if not 7 <= sum(map(str.isdigit, text)) <= 15 or _IN_FICTION.search(text):
        return False
    level = phonenumbers.Leniency.STRICT_GROUPING
    # The matcher checks the surroundings and the grouping of digits; it is slow, so it sees only valid numbers.
    return any(
        _is_valid(text, country) and phonenumbers.PhoneNumberMatcher(text, country, leniency=level).has_next()
        for country in (_COUNTRIES if any(c in " -.()" for c in text.strip()) else _COUNTRIES[:1])
    )


def _is_valid(text: str, country: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, country))
    except phonenumbers.NumberParseException:
        return False


_IN_FICTION = re.compile(r"555\D{0,2}01\d\d\D*$")  # numbers reserved for fiction in North America


_IPV4 = r"(?:^|[^\d.])\d{1,3}(?:\.\d{1,3}){3}(?:$|[^\d.]|\.(?:$|\D))"
_IPV6 = r"\b[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}\b"


def _ip_addresses(rows: pl.DataFrame) -> pl.DataFrame:
    found = pl.concat([_matches(rows, _IPV4), _matches(rows, _IPV6)])
    return _filter_matches(
        found.with_columns(pl.col("match").str.extract(r"([0-9A-Fa-f.:]+)")), "ip-address", _is_global
    )


def _is_global(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.strip(".")).is_global
    except ValueError:
        return False


_STREET = (
    r"\b\d{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?:[A-Z][A-Za-z'’.-]+ ){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Square|Close)\b"
)
_POSTCODE = r"(?:[A-Z]{2} \d{5}\b|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b)"


def _postal_addresses(rows: pl.DataFrame) -> pl.DataFrame:
    pattern = rf"{_STREET}[\s\S]{{0,60}}?{_POSTCODE}"
    numbered = rows.filter(pl.col("text").str.contains(_POSTCODE))
    return numbered.filter(pl.col("text").str.contains(pattern)).select("id", kind=pl.lit("postal-address"))


_DETECTORS = (
    "aws",
    "azure_storage_key",
    "basic_auth",
    "discord",
    "github_token",
    "gitlab_token",
    "jwt",
    "mailchimp",
    "npm",
    "openai",
    "private_key",
    "pypi_token",
    "sendgrid",
    "slack",
    "square_oauth",
    "stripe",
    "telegram_token",
    "twilio",
)
"""Detectors that recognise a key by its form. Detectors of high entropy, or of words such as "password", would flag
most encoded and many plain attacks."""
_LATER = {
    "anthropic": r"sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,}",
    "github_token": r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "google": r"\bAIza[A-Za-z0-9_-]{35}",
    "huggingface": r"\bhf_[A-Za-z0-9]{34}\b",
    "openai": r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}",
}
_LONG = r"[A-Za-z0-9_+/=.:~-]{20}|PRIVATE KEY|PuTTY-User-Key|://"  # every key has a long run, or one of these words


def _patterns() -> list[tuple[str, str]]:
    found = list(_LATER.items())
    for name in _DETECTORS:
        module = importlib.import_module(f"detect_secrets.plugins.{name}")
        own = [part for part in vars(module).values() if getattr(part, "__module__", "") == module.__name__]
        for expression in (each for part in own for each in getattr(part, "denylist", ())):
            flags = "i" * bool(expression.flags & re.IGNORECASE) + "x" * bool(expression.flags & re.VERBOSE)
            # The engine has no lookaround; without it, a pattern finds a little more.
            plain = re.sub(r"\(\?<?[=!][^()]*\)", "", expression.pattern)
            found.append((name, f"(?{flags})" * bool(flags) + plain))
    return found


SECRET_PATTERNS = _patterns()


def _secrets(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.filter(pl.col("text").str.contains(_LONG))
    parts = []
    for kind, pattern in SECRET_PATTERNS:
        test = _is_token if kind == "jwt" else lambda match: True
        parts.append(_filter_matches(_matches(rows, pattern), kind.replace("_", "-"), test))
    return pl.concat(parts)


def _is_token(text: str) -> bool:
    """Return whether the first part of what looks like a JSON web token is a JSON object."""
    head = text.split(".")[0]
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), dict)
    except (ValueError, binascii.Error):
        return False


_FINDERS = (_emails, _telephones, _ip_addresses, _postal_addresses, _secrets)
SCANNER_ID = content_id(
    "scanner",
    1,
    *(_EMAIL, _RESERVED, _DIGITS, _IPV4, _IPV6, _STREET, _POSTCODE, _LONG),
    *(part for pattern in SECRET_PATTERNS for part in pattern),
    *(f"{country}" for country in _COUNTRIES),
    _IN_FICTION.pattern,
    installed("phonenumbers"),
)
"""The id of the scanner, a hash of everything that decides what is found: scans of other scanners are not reused."""
