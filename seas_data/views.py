"""A version's tables as SQL views over its Parquet files: the one place that says what each of them holds.

Every table is a view of its own name, typed even when it is empty. Two say more than their files do:

    prompts   every row of the version, with the newest relabel applied
    kept      prompts, less those whose newest keep or drop decision is a drop

and ``dropped`` has that drop for each of the others. Files are listed one by one, never by a pattern: shards are shared
between versions, so what else lies in their folder belongs to somebody else.
"""

from typing import Any

import polars as pl

from seas_data.tables import TABLES, empty

_RELABELLED = ("kind", "risk_category", "attack_style", "type", "difficulty", "label_source")

# v10 is later than v9. Within one version a person's word stands over a step's, then a drop over a keep.
_PROMPTS = """
with written as ({written}),
newest as (
    from relabels qualify row_number() over (
        partition by prompt_id order by cast(substr(version, 2) as integer) desc, because
    ) = 1
)
select written.* replace (
    {columns},
    -- the probability is of the classifier's label, which this is no longer
    case when newest.prompt_id is null then written.label_probability end as label_probability
)
from written left join newest using (prompt_id)
"""
_DROPPED = """
from (
    from decisions where decision in ('keep', 'drop') qualify row_number() over (
        partition by prompt_id
        order by cast(substr(version, 2) as integer) desc, reason = 'manual' desc, decision, step, reason, witness_id
    ) = 1
) where decision = 'drop'
"""
_KEPT = "from prompts anti join dropped using (prompt_id)"

_HEADER = """\
-- This version's tables, and what they say of its prompts, as views. In the folder that holds this file:
--     duckdb -init views.sql
-- and then, for example:
--     select type, count(*) from kept group by type;
-- "kept" is the dataset; "prompts" also has the rows that were dropped, "dropped" says why.
"""


def statements(shards: dict[str, list[str]]) -> list[str]:
    """Return the statements that create the views of a version from its Parquet files (paths as given, table by table).

    A table of ``tables.TABLES`` that is missing or has no file becomes an empty view with its columns. Other tables
    (``runs``) become views where they have files.
    """
    sources = {name: _empty(name) for name in TABLES}
    sources |= {name: _read(paths) for name, paths in shards.items() if paths}
    columns = ",\n    ".join(
        f"case when newest.prompt_id is null then written.{name} else newest.{name} end as {name}"
        for name in _RELABELLED
    )
    prompts = _PROMPTS.format(written=sources.pop("prompts"), columns=columns)
    views = sources | {"prompts": prompts.strip(), "dropped": _DROPPED.strip(), "kept": _KEPT}
    return [f"create or replace view {_name(name)} as {query}" for name, query in views.items()]


def script(shards: dict[str, list[str]]) -> str:
    """Return ``statements`` as a file for the `duckdb` shell: what ``views.sql`` in a checked-out folder says."""
    return _HEADER + "".join(f"\n{statement};\n" for statement in statements(shards))


def _read(paths: list[str]) -> str:
    files = ", ".join(_text(path) for path in paths)
    # By name: a later version's shards may have a column more. No hive partitions: a folder x=1 is only a folder.
    return f"select * from read_parquet([{files}], union_by_name = true, hive_partitioning = false)"


def _empty(table: str) -> str:
    schema = empty(table).schema
    columns = ", ".join(f"cast(null as {_type(kind)}) as {_name(name)}" for name, kind in schema.items())
    return f"select {columns} where false"


def _type(kind: Any) -> str:
    """Return DuckDB's name of a Polars type (an instance, or for the parts of a nested one also a class)."""
    if isinstance(kind, pl.List):
        return f"{_type(kind.inner)}[]"
    if isinstance(kind, pl.Struct):
        return f"struct({', '.join(f'{_name(field.name)} {_type(field.dtype)}' for field in kind.fields)})"
    return _TYPES[kind.base_type()]


_TYPES: dict[Any, str] = {
    pl.String: "varchar",
    pl.Float64: "double",
    pl.Float32: "float",
    pl.Int64: "bigint",
    pl.Int32: "integer",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp",
}


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
