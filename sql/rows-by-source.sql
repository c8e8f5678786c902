-- title: Prompts by source
-- question: What came from each source, under which licence, and how much of it is kept?
-- topic: data
-- chart: bar x=kept y=source color=licence
with read as (
    select
        prompts.source,
        min(prompts.repository) as repository,
        string_agg(distinct prompts.licence, ', ' order by prompts.licence) as licence,
        min(prompts.role) as role,
        count(*) as prompts,
        count(kept.prompt_id) as kept
    from prompts
    left join kept using (prompt_id)
    group by prompts.source
),
aside as (
    select source, count(*) as set_aside from set_aside group by source
)
select
    source,
    repository,
    licence,
    role,
    coalesce(prompts, 0) as prompts,
    coalesce(kept, 0) as kept,
    round(kept / prompts, 4) as kept_share,
    coalesce(set_aside, 0) as set_aside
from read
full join aside using (source)
order by prompts desc, source
