"""The policy of each column: what it holds, who may see it, what it refers to. Declared in ``schema.py``, read here.

Everything that protects a release is derived from it: profiles and redaction, the scan for personal data and secrets,
takedown, the reference check, Croissant, the card and docs/tables.md. A column that declares nothing is **gated** and,
if it holds text, **free text**: it is in no public file, it is scanned, and takedown searches it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import dataframely as dy
import polars as pl

Visibility = Literal["public", "gated", "never"]
"""``public``: in every profile; ``gated``: in the gated profile only; ``never``: in no release."""


@dataclass(frozen=True)
class Reference:
    """The columns (``TABLE.COLUMN``) that a column refers to: each value is in one of them.

    ``where``: the rows that this holds for, as an SQL condition; all rows without it.
    """

    columns: tuple[str, ...]
    where: str = "true"


@dataclass(frozen=True)
class Policy:
    """The policy of one column. Without arguments: the policy of a column that declares none."""

    visibility: Visibility = "gated"
    description: str = ""
    free_text: bool = True
    """Whether people, sources or models write what they like in it. Only columns that hold strings can."""
    where: str | None = None
    """An SQL condition over the table's columns. In the public profile the column is null in all other rows."""
    because: str = ""
    """Why the public profile withholds the column, or what it withholds of it."""
    name_prefix: str | None = None
    """What stands before the name of a person, for which the public profile has a pseudonym."""
    references: tuple[Reference, ...] = ()
    row_id: bool = False
    """Whether the column identifies a row, in a table without a primary key. Of several columns one is not null."""
    takedown: Literal["cell", "row"] = "cell"
    """What goes when a text quotes the words of a row that is taken down: the text alone, or its whole row."""
    may_be_missing: bool = False
    """Whether rows written by hand, by other programs or by earlier releases may lack it; it is null in them."""


@dataclass(frozen=True)
class Rows:
    """The rows of a table that are public: an SQL condition over its columns, and why the others are not."""

    where: str
    because: str


def declare(visibility: Visibility, **options: Any) -> dict[str, Any]:
    """Return the ``metadata`` of a column with this policy; ``options`` are the other fields of ``Policy``."""
    return {"policy": Policy(visibility, **options)}


def of_column(column: dy.Column) -> Policy:
    """Return the policy of a column of a schema. ``free_text`` is false for a column that holds no strings."""
    declared = (column.metadata or {}).get("policy", Policy())
    return Policy(
        **vars(declared)
        | {
            "description": column.description or "",
            "free_text": declared.free_text and _holds_strings(column.dtype),
        }
    )


def of_schema(schema: type[dy.Schema]) -> Mapping[str, Policy]:
    """Return the policy of each column of a schema, in the schema's order."""
    return _of_schema(schema)


@cache
def _of_schema(schema: type[dy.Schema]) -> Mapping[str, Policy]:
    return MappingProxyType({name: of_column(column) for name, column in schema.columns().items()})


def public_rows(schema: type[dy.Schema]) -> Rows | None:
    """Return which rows of a table are public; None if all are."""
    return getattr(schema, "__public_rows__", None)


def free_text(schema: type[dy.Schema]) -> list[str]:
    """Return the columns of free text."""
    return [name for name, each in of_schema(schema).items() if each.free_text]


def row_id(schema: type[dy.Schema]) -> list[str]:
    """Return the columns that identify a row in reports: the first of the primary key, or those declared ``row_id``.

    Of several columns each row has one that is not null.
    """
    return schema.primary_key()[:1] or [name for name, each in of_schema(schema).items() if each.row_id]


def row_id_expr(schema: type[dy.Schema]) -> pl.Expr:
    """Return the id of a row as an expression."""
    return pl.coalesce(row_id(schema))


def condition(where: str) -> pl.Expr:
    """Return an SQL condition of a policy as an expression that is false where the condition is null."""
    return pl.sql_expr(where).fill_null(False)


def condition_columns(schema: type[dy.Schema]) -> set[str]:
    """Return the columns that decide which rows and cells are public."""
    rows = public_rows(schema)
    conditions = [each.where for each in of_schema(schema).values() if each.where] + ([rows.where] if rows else [])
    return {name for where in conditions for name in pl.sql_expr(where).meta.root_names()}


def messages_text(column: str) -> pl.Expr:
    """Return the contents of the messages in ``column`` as one string, one message a line."""
    return pl.col(column).list.eval(pl.element().struct.field("content")).list.join("\n")


def as_text(column: str, kind: Any) -> pl.Expr:
    """Return a column of the type ``kind`` as strings: of lists and of messages all parts, one a line."""
    if not isinstance(kind, pl.List):
        return pl.col(column)
    return messages_text(column) if isinstance(kind.inner, pl.Struct) else pl.col(column).list.join("\n")


def markdown(tables: Iterable[tuple[str, type[dy.Schema]]]) -> str:
    """Return the schemas as Markdown, one section a table: docs/tables.md."""
    return "\n".join(_section(name, schema) for name, schema in tables)


def _section(name: str, schema: type[dy.Schema]) -> str:
    rows = public_rows(schema)
    lines = [f"## {name}", "", " ".join((schema.__doc__ or "").split()), ""]
    if rows is not None:
        lines += [f"Public rows: `{rows.where}` ({rows.because}).", ""]
    lines += ["| column | what it is | type | visibility | free text | refers to |", "|---|---|---|---|---|---|"]
    for column, kind in schema.columns().items():
        each = of_column(kind)
        refers = "; ".join(_describe_reference(reference) for reference in each.references)
        cells = [f"`{column}`", each.description, _describe_type(kind), _describe_visibility(each)]
        cells += ["yes" if each.free_text else "", refers]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _describe_reference(reference: Reference) -> str:
    columns = " or ".join(f"`{column}`" for column in reference.columns)
    return columns if reference.where == "true" else f"{columns} where `{reference.where}`"


def _describe_visibility(each: Policy) -> str:
    if each.visibility != "public":
        return each.visibility
    where = f" where `{each.where}`" if each.where else ""
    return "public" + where + ", names as pseudonyms" * bool(each.name_prefix)


def _describe_type(column: dy.Column) -> str:
    kind = "messages" if _is_messages(column.dtype) else re.sub(r"\W+", " of ", f"{column.dtype}".lower()).strip()
    return kind.removesuffix(" of") + " or null" * column.nullable


def _is_messages(kind: Any) -> bool:
    return isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)


def _holds_strings(kind: Any) -> bool:
    if isinstance(kind, pl.List):
        return _holds_strings(kind.inner)
    if isinstance(kind, pl.Struct):
        return any(_holds_strings(field.dtype) for field in kind.fields)
    return kind.base_type() not in _NUMBERS


_NUMBERS = {pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Boolean, pl.Date, pl.Datetime}
