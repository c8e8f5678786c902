-- title: Utility in each task
-- question: How does each target score in the tasks of evaluation harnesses, and what changed since the first target
--     of the loop that was measured in the same way?
-- topic: safety
-- parameter: target text '' "Target; empty for all"
-- parameter: primary text 'true' "true for the figure of each task that the frontier takes; empty for all metrics"
-- chart: bar x=value y=task color=target low=low high=high row=metric
with figures as (
    select
        facets ->> 'target' as target,
        facets ->> 'task' as task,
        facets ->> 'metric' as metric,
        facets ->> 'filter' as filter,
        cast(facets ->> 'shots' as integer) as shots,
        facets ->> 'partial' as partial,
        value, low, high, n,
        facets ->> 'tool' as tool,
        facets ->> 'tool_version' as tool_version,
        facets ->> 'task_version' as task_version,
        coalesce(facets ->> 'primary', 'false') as is_primary
    from metrics
    where name = 'utility'
    qualify row_number() over (
        partition by target, task, metric, filter, shots, partial, tool, task_version
        order by cast(substr(version, 2) as integer) desc, facets
    ) = 1
),
changes as (
    select *, if(
        ordered,
        value - first(value) over (
            partition by ordered, task, metric, filter, shots, partial, tool, task_version
            order by length(target), target
        ),
        null
    ) as change
    from (select *, regexp_full_match(target, 'T[0-9]+') as ordered from figures)  -- targets of a log have no order
)
select
    target, task, metric, filter, shots, partial, value, low, high, n, change, tool, tool_version, task_version
from changes
where ($target = '' or target = $target) and ($primary = '' or is_primary = $primary)
order by task, metric, filter, shots, length(target), target
