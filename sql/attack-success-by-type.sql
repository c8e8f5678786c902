-- title: Attack success by type
-- question: Which types of attack from the test split still get through to each target?
-- parameter: target text '' "Only this target; all of them if empty"
-- chart: bar x=value y=type color=target low=low high=high
select
    facets ->> 'target' as target,
    facets ->> 'judge' as judge,
    facets ->> 'type' as type,
    value, low, high, n
from metrics
where name = 'attack_success' and facets ->> 'set' = 'test' and facets ->> 'type' is not null
    and $target in ('', facets ->> 'target')
order by judge, length(target), target, value desc, type
