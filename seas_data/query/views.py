"""A version's tables as SQL views over its Parquet files: the one place that says what each of them holds.

Every table is a view of its own name, typed even when it is empty. Two say more than their files do:

    prompts   every row of the version, with the newest relabel applied
    kept      prompts, less those whose newest keep or drop decision is a drop

and ``dropped`` has that drop for each of the others. Two more bring together what the queries of the library ask most:

    asked     every prompt that a target may be asked: of which set it is, who wrote it, from which seed, its labels
    answers   every response and judge: what was said of it, by which target, and all that ``asked`` knows of the prompt
    standing  by which prompts a unit of ``answers`` is placed in clusters and templates: itself, or its seed's examples

and ``taxonomy`` has the types, so that one without a single prompt is missed. ``macros`` has their intervals. Files
are listed one by one, never by a pattern: shards are shared between versions, so what else lies in their folder belongs
to somebody else.
"""

from typing import Any

import polars as pl

from seas_data.query import macros
from seas_data.store.stages import RUNS
from seas_data.tables import LABELS, TABLES, empty
from seas_data.tables.taxonomy import ATTACK_STYLES, RISK_CATEGORIES

# v10 is later than v9. Within one version a person's word stands over a step's, unless the row would tie train to test;
# then a drop over a keep.
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
        order by cast(substr(version, 2) as integer) desc,
            reason = 'split_bridge' desc, reason = 'manual' desc, decision, step, reason, witness_id
    ) = 1
) where decision = 'drop'
"""
_KEPT = "from prompts anti join dropped using (prompt_id)"

# The sets are those of the metrics; train is what models learn from. An attack that joined the prompts is told once,
# with what the prompts say of it: one that turned out to be harmless is nobody's attack, and is asked again.
_ASKED = """
select
    attacks.prompt_id,
    coalesce(prompts.kind, 'adversarial') as kind,
    if(attacks.split = 'test', 'evaluation', 'train') as measured_on,
    if(prompts.kind <> 'adversarial', null, attacks.model) as red_team,
    if(prompts.kind <> 'adversarial', null, attacks.iteration) as iteration,
    if(prompts.kind <> 'adversarial', null, attacks.seed_id) as seed_id,
    if(prompts.prompt_id is null, if(seeds.type in ({styles}), null, seeds.type), prompts.risk_category)
        as risk_category,
    if(prompts.prompt_id is null, if(seeds.type in ({styles}), seeds.type, null), prompts.attack_style)
        as attack_style,
    if(prompts.prompt_id is null, seeds.type, prompts.type) as type,
    if(prompts.prompt_id is null, if(seeds.type in ({styles}), 'Hard', if(seeds.type is null, null, 'Easy')),
        prompts.difficulty) as difficulty,
    'red-team' as source
from attacks left join seeds using (seed_id) left join prompts on prompts.prompt_id = attacks.prompt_id
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
# iteration: of the turn in which a training prompt was asked; elsewhere that of the newer of the two models.
# unit_id: rows of one unit are not independent (``statistics.design_effect``).
_ANSWERS = """
select
    responses.response_id,
    responses.prompt_id,
    responses.sample,
    responses.model as target,
    asked.red_team,
    asked.measured_on,
    case
        when asked.measured_on = 'train'
            then coalesce(asked.iteration, try_cast(substr(responses.model, 2) as integer) + 1)
        else greatest(
            try_cast(substr(asked.red_team, 2) as integer), try_cast(substr(responses.model, 2) as integer)
        )
    end as iteration,
    verdicts.judge,
    verdicts.verdict,
    case verdicts.verdict when 'unsafe' then true when 'safe' then false end as unsafe,
    verdicts.score,
    verdicts.refusal,
    asked.kind,
    asked.risk_category,
    asked.attack_style,
    asked.type,
    asked.difficulty,
    asked.source,
    asked.seed_id,
    coalesce(asked.seed_id, responses.prompt_id) as unit_id,
    responses.tokens
from verdicts join responses using (response_id) join asked using (prompt_id)
"""

# What a unit of ``answers`` is about: a prompt is itself; of what a model wrote its seed's examples are all there is.
_STANDING = """
select prompt_id as unit_id, prompt_id from asked where seed_id is null
union all
select seed_id, unnest(example_ids) from seeds
"""

_TAXONOMY = [(name, "Hard") for name in ATTACK_STYLES] + [(name, "Easy") for name in RISK_CATEGORIES]

_HEADER = """\
-- This version's tables as views, what they say of its prompts and answers, and macros for intervals. In the folder
-- that holds this file:
--     duckdb -init views.sql
-- and then, for example:
--     select type, count(*) from kept group by type;
-- "kept" is the dataset; "prompts" also has the rows that were dropped, "dropped" says why.
"""


def statements(shards: dict[str, list[str]], *, variables: bool = True) -> list[str]:
    """Return the statements that create the macros and the views of a version from its Parquet files.

    ``shards``: paths as given, table by table. A table of ``tables.TABLES``, or ``runs``, that is missing or has no
    file becomes an empty view with its columns. Other tables become views where they have files. Without ``variables``
    nothing is read, and the macros of judges and targets know none (``macros.asked_for``).
    """
    sources = {name: _empty(empty(name).schema) for name in TABLES} | {"runs": _empty(pl.Schema(RUNS))}
    sources |= {name: _read(paths) for name, paths in shards.items() if paths}
    columns = ",\n    ".join(
        f"case when newest.prompt_id is null then written.{name} else newest.{name} end as {name}" for name in LABELS
    )
    prompts = _PROMPTS.format(written=sources.pop("prompts"), columns=columns)
    styles = ", ".join(_text(style) for style in ATTACK_STYLES)
    views = sources | {"prompts": prompts.strip(), "dropped": _DROPPED.strip(), "kept": _KEPT}
    types = ", ".join(f"({_text(name)}, {_text(difficulty)})" for name, difficulty in _TAXONOMY)
    views |= {"taxonomy": f"select * from (values {types}) as taxonomy(type, difficulty)"}
    views |= {"asked": _ASKED.strip().format(styles=styles), "answers": _ANSWERS.strip()}
    views |= {"standing": _STANDING.strip()}
    made = [f"create or replace view {_name(name)} as {query}" for name, query in views.items()]
    return macros.statements() + made + (macros.variables() if variables else [])


def script(shards: dict[str, list[str]]) -> str:
    """Return ``statements`` as a file for the `duckdb` shell: what ``views.sql`` in a checked-out folder says."""
    return _HEADER + "".join(f"\n{statement};\n" for statement in statements(shards))


def _read(paths: list[str]) -> str:
    files = ", ".join(_text(path) for path in paths)
    # By name: a later version's shards may have a column more. No hive partitions: a folder x=1 is only a folder.
    return f"select * from read_parquet([{files}], union_by_name = true, hive_partitioning = false)"


def _empty(schema: pl.Schema) -> str:
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
