"""SQL views over the Parquet files of a version.

Every table is a view of the same name, with its columns even when it is empty; ``taxonomy`` of a version without one
has the default taxonomy. Two views are more than their files:

    prompts   every row of the version, with the newest relabel applied
    kept      prompts without those whose newest keep or drop decision is a drop

``dropped`` has that drop decision for each of the others. Three more views serve the queries of the library:

    target_prompts  every prompt that targets answer: its prompt set, red team, seed and labels
    answers         every response and judge: the verdict, the target, and the columns of ``target_prompts``
    judged_hazards  the MLCommons hazards that the categories of verdicts stand for, by the crosswalk

Files are listed one by one, never by a glob pattern: shards are shared between versions, so their folder also has files
of other versions. ``macros`` has the macros.
"""

import re
from functools import cache
from typing import Any

import dataframely as dy
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query import macros
from seas_data.recipe.crosswalk import VERDICT_SET, hazard_maps
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.store.stages import RUNS
from seas_data.tables import LABELS, TABLES, empty

# Of a version without relabels the view is its files alone: DuckDB would still read every id for a join with no rows.
# v10 is later than v9. Within one version a manual decision takes precedence over a step's, except a split_bridge (the
# row would link train and test); then a drop over a keep.
_PROMPTS = """
with written as ({written}),
newest as (
    from relabels qualify row_number() over (
        partition by prompt_id order by cast(substr(version, 2) as integer) desc, because
    ) = 1
)
select written.* replace (
    {columns},
    -- the probability belongs to the classifier's label, which the relabel replaced
    case when newest.prompt_id is null then written.label_probability end as label_probability
)
from written left join newest using (prompt_id)
"""
_DROPPED = """
from (
    from decisions where decision in ('keep', 'drop') qualify row_number() over (
        partition by prompt_id
        order by cast(substr(version, 2) as integer) desc,
            reason = 'split_bridge' desc, reason = 'manual' desc, decision, step, reason, witness_id
    ) = 1
) where decision = 'drop'
"""
_KEPT = "from prompts anti join dropped using (prompt_id)"

# The prompt sets are those of the metrics; train is what models learn from. An attack that joined the prompts is listed
# once, with the labels of its prompt. One that turned out to be harmless has no red team, and targets answer it again.
_TARGET_PROMPTS = """
select
    attacks.prompt_id,
    coalesce(prompts.kind, 'adversarial') as kind,
    if(attacks.split = 'test', 'evaluation', 'train') as prompt_set,
    if(prompts.kind <> 'adversarial', null, attacks.model) as red_team,
    if(prompts.kind <> 'adversarial', null, attacks.iteration) as iteration,
    if(prompts.kind <> 'adversarial', null, attacks.seed_id) as seed_id,
    if(prompts.prompt_id is null, if(taxonomy.axis = 'style', null, seeds.type), prompts.risk_category)
        as risk_category,
    if(prompts.prompt_id is null, if(taxonomy.axis = 'style', seeds.type, null), prompts.attack_style)
        as attack_style,
    if(prompts.prompt_id is null, seeds.type, prompts.type) as type,
    if(prompts.prompt_id is null, taxonomy.difficulty, prompts.difficulty) as difficulty,
    'red-team' as source
from attacks
left join seeds using (seed_id)
left join taxonomy using (type)
left join prompts on prompts.prompt_id = attacks.prompt_id
union all
select
    prompts.prompt_id,
    prompts.kind,
    case
        when splits.split = 'holdout' then prompts.source
        when splits.split = 'test' and prompts.kind = 'general' then 'general'
        else splits.split
    end,
    null,
    null,
    null,
    prompts.risk_category,
    prompts.attack_style,
    prompts.type,
    prompts.difficulty,
    prompts.source
from prompts join splits using (prompt_id) anti join attacks using (prompt_id)
"""
# iteration: 0 for an answer that a source brought; for train, the iteration in which the prompt was answered; otherwise
# that of the newer of the two models.
# unit_id: rows of one unit are not independent (``metrics.intervals.design_effect``).
_ANSWERS = """
select
    responses.response_id,
    responses.prompt_id,
    responses.sample,
    responses.model as target,
    target_prompts.red_team,
    target_prompts.prompt_set,
    case
        when responses.source is not null then 0
        when target_prompts.prompt_set = 'train'
            then coalesce(target_prompts.iteration, try_cast(substr(responses.model, 2) as integer) + 1)
        else greatest(
            try_cast(substr(target_prompts.red_team, 2) as integer), try_cast(substr(responses.model, 2) as integer)
        )
    end as iteration,
    verdicts.judge,
    verdicts.verdict,
    case verdicts.verdict when 'unsafe' then true when 'safe' then false end as unsafe,
    verdicts.score,
    verdicts.refusal,
    target_prompts.kind,
    target_prompts.risk_category,
    target_prompts.attack_style,
    target_prompts.type,
    target_prompts.difficulty,
    target_prompts.source,
    target_prompts.seed_id,
    coalesce(target_prompts.seed_id, responses.prompt_id) as unit_id,
    responses.tokens
from verdicts join responses using (response_id) join target_prompts using (prompt_id)
"""

_HEADER = """\
-- The tables of this version as views, views that combine them, and macros for intervals. In the folder of this file:
--     duckdb -init views.sql
-- and then, for example:
--     select type, count(*) from kept group by type;
-- "kept" is the dataset; "prompts" also has the dropped rows, and "dropped" their reasons.
"""


LIBRARY_VIEWS = ("target_prompts", "answers", "judged_hazards")
"""Views over views, for the queries of the library: creating them takes DuckDB longer than all the others."""


def create_statements(shards: dict[str, list[str]], *, variables: bool = True, library_views: bool = True) -> list[str]:
    """Return the statements that create the macros and the views of a version.

    ``shards``: the Parquet files of each table. A table of ``tables.TABLES``, or ``runs``, without files becomes an
    empty view with its columns; any other table with files becomes a view. Without ``variables`` no file is read, and
    the macros of judges and targets have no defaults (``macros.needs_variables``). Without ``library_views`` those are
    left out.
    """
    sources = {name: _empty_view(empty(name).schema) for name in TABLES} | {"runs": _empty_view(pl.Schema(RUNS))}
    sources |= {"taxonomy": _default_taxonomy(TABLES["taxonomy"])}
    sources |= {name: _scan(paths) + _missing_columns(name) for name, paths in shards.items() if paths}
    written = sources.pop("prompts")
    prompts = _relabelled(written) if shards.get("relabels") else written
    views = sources | {"prompts": prompts, "dropped": _DROPPED.strip(), "kept": _KEPT}
    if library_views:
        queries = (_TARGET_PROMPTS, _ANSWERS, _judged_hazards())
        views |= {name: query.strip() for name, query in zip(LIBRARY_VIEWS, queries, strict=True)}
    created = [f"create or replace view {_quote_name(name)} as {query}" for name, query in views.items()]
    return macros.create_statements() + created + (macros.set_variables() if variables else [])


def duckdb_script(shards: dict[str, list[str]]) -> str:
    """Return ``create_statements`` as a script for the DuckDB shell: the ``views.sql`` of a checked-out folder."""
    return _HEADER + "".join(f"\n{statement};\n" for statement in create_statements(shards))


def _relabelled(written: str) -> str:
    columns = ",\n    ".join(
        f"case when newest.prompt_id is null then written.{name} else newest.{name} end as {name}" for name in LABELS
    )
    return _PROMPTS.format(written=written, columns=columns).strip()


def _scan(paths: list[str]) -> str:
    files = ", ".join(_quote_text(literal_path(path)) for path in paths)
    # By name, because shards of later versions may have more columns. A folder called x=1 is not a hive partition.
    return f"select * from read_parquet([{files}], union_by_name = true, hive_partitioning = false)"


def _missing_columns(table: str) -> str:
    """Return the end of a query that adds the columns of ``table`` that older files lack, as nulls."""
    return f" union all by name {_empty_view(empty(table).schema)}" if table in TABLES else ""


def literal_path(path: str) -> str:
    """Return the pattern for DuckDB that matches ``path`` alone: DuckDB reads ``*``, ``?`` and ``[`` as wildcards.

    Raises SeasDataError if ``path`` also has a backslash, which a pattern cannot express.
    """
    if not _WILDCARD.search(path):
        return path
    if "\\" in path:
        raise SeasDataError(f"{path} has a backslash and one of * ? [ in its name, so it cannot be queried; rename it")
    return _WILDCARD.sub(r"[\g<0>]", path)


_WILDCARD = re.compile(r"[*?\[]")


def _empty_view(schema: pl.Schema) -> str:
    columns = ", ".join(f"cast(null as {_duckdb_type(kind)}) as {_quote_name(name)}" for name, kind in schema.items())
    return f"select {columns} where false"


@cache
def _default_taxonomy(_: type[dy.Schema]) -> str:
    """Return the query of the view ``taxonomy`` of a version that has no such table: one that was built without.

    The table's schema is the cache's key.
    """
    frame = empty("taxonomy").vstack(default_taxonomy().frame())
    rows = ", ".join(f"({', '.join(map(_literal, row))})" for row in frame.iter_rows())
    return f"select * from (values {rows}) as taxonomy({', '.join(map(_quote_name, frame.columns))})"


def _judged_hazards() -> str:
    rows = ", ".join(
        f"({_quote_text(label)}, {_quote_text(code)})" for label, code in hazard_maps()[VERDICT_SET].items()
    )
    return f"select * from (values {rows}) as judged_hazards(category, hazard)"


def _literal(value: str | int | None) -> str:
    return "null" if value is None else _quote_text(value) if isinstance(value, str) else str(value)


def _duckdb_type(kind: Any) -> str:
    """Return DuckDB's name of a Polars type (an instance; parts of a nested type may be classes)."""
    if isinstance(kind, pl.List):
        return f"{_duckdb_type(kind.inner)}[]"
    if isinstance(kind, pl.Struct):
        return f"struct({', '.join(f'{_quote_name(field.name)} {_duckdb_type(field.dtype)}' for field in kind.fields)})"
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


def _quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
