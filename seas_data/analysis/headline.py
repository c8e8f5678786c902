"""The few numbers of a version that matter most, by one name each, so that two versions can be compared.

Sizes, how safe the newest target is, what that costs, and how far the labels can be trusted. The report's first page
and ``show`` print these; each is a row of ``metrics`` or a count, and its interval is the one that stands there.
"""

from typing import Any

import polars as pl

from seas_data.analysis import sql
from seas_data.version import Version

SCHEMA = {
    "figure": pl.String(),
    "of": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "better": pl.String(),
}

_COUNTS = """
select
    (select count(*) from prompts) as "prompts",
    (select count(*) from kept) as "kept prompts",
    (select count(*) from kept where kind = 'adversarial') as "kept attacks",
    (select count(*) from kept where kind = 'harmless') as "kept harmless look-alikes",
    (select count(*) from set_aside) as "rows set aside",
    (select count(*) from pairs) as "preference pairs"
"""
# Every figure of the newest red team and target; the judge is the one that training listened to.
_MEASURED = """
with rates as (
    select
        name, value, low, high,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target,
        facets ->> 'set' as measured_on,
        facets ->> 'judge' as judge
    from metrics
    where facets ->> 'type' is null and facets ->> 'difficulty' is null
),
chosen as (
    select coalesce(
        (select judge from pairs where judge is not null group by judge order by count(*) desc, judge limit 1),
        (select min(judge) from rates)
    ) as judge
),
newest as (
    select model, role from checkpoints qualify row_number() over (partition by role order by iteration desc, model) = 1
)
select
    case
        when name = 'attack_success' and red_team is not null then 'attack success, newest models'
        when name = 'attack_success' then 'attack success, test prompts'
        when name = 'at_least_one_of_m' then 'at least one success of m, newest models'
        when name = 'over_refusal' then 'over-refusal, harmless prompts'
        when name = 'retention' then 'general questions answered'
    end as figure,
    concat_ws(' on ', red_team, target) as of,
    value, low, high,
    if(name = 'retention', 'higher', 'lower') as better
from rates, chosen
where (rates.judge is null or rates.judge = chosen.judge)
    and target = (select model from newest where role = 'target')
    and (red_team is null or red_team = (select model from newest where role = 'red'))
    and (name, coalesce(measured_on, ''), red_team is not null) in (
        ('attack_success', 'evaluation', true), ('at_least_one_of_m', 'evaluation', true),
        ('attack_success', 'test', false), ('over_refusal', 'harmless', false), ('retention', 'general', false)
    )
order by
    list_position(['attack_success', 'at_least_one_of_m', 'over_refusal', 'retention'], name), red_team is null
"""
_LABELS = """
select 'label accuracy, cross-validated' as figure, null as of, value, low, high, 'higher' as better
from metrics
where name = 'label_accuracy' and facets ->> 'validation' = 'group' and facets ->> 'source' is null
qualify row_number() over (order by cast(substr(version, 2) as integer) desc, facets) = 1
"""


def figures(version: Version) -> pl.DataFrame:
    """Return the figures of ``version``: figure, of (which models), value, low, high, better (lower, higher, null)."""
    counts, *rest = sql.read_all(version.paths(), [(query, {}) for query in (_COUNTS, _MEASURED, _LABELS)])
    sizes = [{"figure": name, "value": float(value)} for name, value in counts.row(0, named=True).items() if value]
    parts = [pl.DataFrame(sizes, schema=SCHEMA), *(part.cast(SCHEMA) for part in rest)]  # type: ignore[arg-type]
    return pl.concat(parts).unique("figure", keep="first", maintain_order=True)


def parent(version: Version) -> Version | None:
    """Return the version that ``version`` was built on, where this workspace has it: one that was pulled may not."""
    name = version.manifest.parent
    if name is None or name not in version.workspace.versions():
        return None
    return Version(version.workspace, version.workspace.manifest(name))


def compared(after: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """Return the figures ``after`` with those of another version, or nulls.

    New columns: before, before_low, before_high, of_before (its value, interval and models) and change.
    """
    other = pl.DataFrame(schema=SCHEMA) if before is None else before
    renamed = other.select("figure", before="value", before_low="low", before_high="high", of_before="of")
    return after.join(renamed, on="figure", how="left", maintain_order="left").with_columns(
        change=pl.col("value") - pl.col("before")
    )


def verdict(row: dict[str, Any]) -> str | None:
    """Say whether a row of ``compared`` went the right way: better, worse, or None where that is not clear.

    It is clear where each value lies outside the other's interval.
    """
    change, better = row["change"], row["better"]
    if not change or not better or row["low"] is None or row["before_low"] is None:
        return None
    if row["low"] <= row["before"] <= row["high"] or row["before_low"] <= row["value"] <= row["before_high"]:
        return None
    return "better" if (change < 0) == (better == "lower") else "worse"
