-- title: Prompts by source
-- question: How many prompts does each source contribute, under which licence, and how many of them are kept?
-- topic: data
-- chart: bar x=kept y=source color=licence
with read as (
    select
        prompts.source,
        min(prompts.repository) as repository,
        string_agg(distinct prompts.licence, ', ' order by prompts.licence) as licence,
        min(prompts.role) as role,
        count(*) as prompts,
        count(*) filter (dropped.prompt_id is null) as kept
    from prompts
    left join dropped using (prompt_id)
    group by prompts.source
),
rejected as (
    select source, count(*) as set_aside from set_aside group by source
)
select
    source,
    repository,
    licence,
    role,
    coalesce(prompts, 0) as prompts,
    coalesce(kept, 0) as kept,
    round(kept / prompts, 4) as kept_proportion,
    coalesce(set_aside, 0) as set_aside
from read
full join rejected using (source)
order by prompts desc, source
