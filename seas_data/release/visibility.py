"""The profiles of a release: what each holds of every table, derived from the policies of the columns.

    gated     everything that is not ``never``
    public    what the schema calls ``public``: prompts, labels, verdicts, decisions and metrics; no text of a response,
              no pair that holds one, no text of a holdout set, no name or note of a reviewer

Holdout sets are other people's tests. Publishing their texts beside training data spoils the test for everyone, and
their licences need not allow it. The public profile keeps their rows and text digests, so that every decision and
figure can be traced, and who has the set can match it (docs/release.md).

``redact`` is a pure function of a shard's rows and the workspace's key for pseudonyms, so an unchanged shard gives the
same redacted shard in every version and only new shards have to be uploaded. What the schema does not call public is
withheld: a new column is null, and a new table is absent, until somebody decides.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.release import pseudonyms
from seas_data.tables import TABLES, policy
from seas_data.tables.policy import Policy

Profile = Literal["public", "gated"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
_UNDECLARED = "the schema does not call it public"
_NEVER = "it is in no release"


@dataclass(frozen=True)
class Rule:
    """What a profile withholds of a table, and why.

    ``absent``: the whole table. ``where``: an SQL condition for the rows that stay; None for all. ``columns``: the
    withheld columns, each with an SQL condition for the rows in which it stays; None for no row. ``names``: the columns
    with names of people in them, and the prefix that stands before a name.
    """

    because: str
    absent: bool = False
    where: str | None = None
    columns: tuple[tuple[str, str | None], ...] = ()
    names: tuple[tuple[str, str], ...] = ()


def parse_profile(name: str) -> Profile:
    """Return the profile of that name. Raises SeasDataError if there is none."""
    for profile in PROFILES:
        if profile == name:
            return profile
    raise SeasDataError(f"there is no profile {name}; --profile is {' or '.join(PROFILES)}")


def is_visible(column: Policy, profile: Profile) -> bool:
    """Return whether ``profile`` holds the column, at least in some rows."""
    return column.visibility == "public" or (column.visibility == "gated" and profile == "gated")


def table_rule(table: str, profile: Profile, found: Iterable[str] = ()) -> Rule | None:
    """Return what ``profile`` withholds of ``table``; None if nothing.

    ``found``: the columns of a shard. Those that the schema does not have count as undeclared, which is gated.
    """
    schema = TABLES.get(table)
    if schema is None:
        return None if profile == "gated" else Rule(f"{table} is not a table of the schema", absent=True)
    columns = dict(policy.of_schema(schema))
    columns |= {name: Policy() for name in found if name not in columns}
    keys = policy.row_id(schema) + schema.primary_key()
    hidden = {name: each for name, each in columns.items() if not is_visible(each, profile)}
    if hidden.keys() == columns.keys() or any(key in hidden for key in keys):
        return Rule(_reasons(list(hidden.values()), profile), absent=True)
    partial: dict[str, Policy] = {}
    names: dict[str, Policy] = {}
    rows = None
    if profile == "public":
        partial = {name: each for name, each in columns.items() if each.where and name not in hidden}
        names = {name: each for name, each in columns.items() if each.name_prefix and name not in hidden}
        rows = policy.public_rows(schema)
    if not hidden and not partial and not names and rows is None:
        return None
    because = _reasons([*hidden.values(), *partial.values(), *names.values()], profile, rows.because if rows else "")
    return Rule(
        because,
        where=rows.where if rows else None,
        columns=tuple((name, columns[name].where if name in partial else None) for name in (*hidden, *partial)),
        names=tuple((name, str(each.name_prefix)) for name, each in names.items()),
    )


def withheld(profile: Profile) -> list[dict[str, str]]:
    """Return of each table that ``profile`` withholds something of: ``table``, ``what`` and ``because``."""
    rules = {table: table_rule(table, profile) for table in TABLES}
    return [
        {"table": table, "what": _describe(rule), "because": rule.because}
        for table, rule in rules.items()
        if rule is not None
    ]


def redact(
    table: str, frame: pl.DataFrame, profile: Profile, load_key: Callable[[], bytes] | None = None
) -> pl.DataFrame:
    """Return what ``profile`` holds of rows of ``table``: same columns, types and order.

    ``frame`` has any of the table's columns, and those that the conditions of its policies name. Columns that the
    schema does not have are null. ``load_key`` returns the key for pseudonyms, and is called only if there are names to
    replace; without it all reviewers have the same pseudonym.
    """
    rule = table_rule(table, profile, frame.columns)
    if rule is None:
        return frame
    if rule.absent:
        return frame.clear()
    if rule.where is not None:
        frame = frame.filter(policy.condition(rule.where))
    visible = {name: pl.lit(False) if where is None else policy.condition(where) for name, where in rule.columns}
    frame = frame.with_columns(
        pl.when(shown).then(pl.col(name)).otherwise(None).cast(frame.schema[name]).alias(name)
        for name, shown in visible.items()
        if name in frame.columns  # an older shard may lack it
    )
    for name, prefix in rule.names:
        if name in frame.columns:
            frame = frame.with_columns(_pseudonymise(frame[name], prefix, load_key))
    return frame


def redacted_tables(profile: Profile) -> str:
    """Return a WITH clause that names what ``profile`` holds of each table, for queries over a whole version.

    All pseudonyms are ``reviewer-00000000`` there: of the right length, which is what counts of bytes need.
    """
    rules = {table: table_rule(table, profile) for table in TABLES}
    rules["kept"] = rules["prompts"]
    parts = [f'"{table}" as ({_redacting_query(table, rule)})' for table, rule in rules.items() if rule is not None]
    return f"with {', '.join(parts)} " if parts else ""


def _redacting_query(table: str, rule: Rule) -> str:
    if rule.absent:
        return f'from "{table}" where false'
    replaced = [f'case when {where or "false"} then "{name}" end as "{name}"' for name, where in rule.columns]
    for name, prefix in rule.names:
        replaced.append(
            f"""if(starts_with("{name}", '{prefix}'), '{prefix}reviewer-00000000', "{name}") as "{name}\""""
        )
    columns = f"* replace ({', '.join(replaced)})" if replaced else "*"
    return f'select {columns} from "{table}" where {rule.where or "true"}'


def _pseudonymise(texts: pl.Series, prefix: str, load_key: Callable[[], bytes] | None) -> pl.Series:
    hidden = pseudonyms.replace_names(texts, prefix, None)
    if load_key is None or hidden.equals(texts):
        return hidden
    return pseudonyms.replace_names(texts, prefix, load_key())


def _reasons(columns: list[Policy], profile: Profile, first: str = "") -> str:
    undeclared = _UNDECLARED if profile == "public" else _NEVER
    reasons = [first, *(each.because or undeclared for each in columns)]
    return "; ".join(dict.fromkeys(each for each in reasons if each))


def _describe(rule: Rule) -> str:
    if rule.absent:
        return "all rows"
    parts = ["rows"] if rule.where else []
    parts += [name for name, _ in rule.columns]
    return ", ".join([*parts, *(f"names in {name}" for name, _ in rule.names)])
