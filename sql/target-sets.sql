-- title: Targets on every set
-- question: How does each target do on each named set: attacks that get through, harmless prompts refused,
--     questions answered?
-- topic: safety
-- parameter: target text '' "Only this target; all of them if empty"
-- chart: bar x=value y=measured_on color=target row=figure low=low high=high
select
    facets ->> 'target' as target,
    facets ->> 'set' as measured_on,
    facets ->> 'judge' as judge,
    name, value, low, high, n,
    concat_ws(', ', name, facets ->> 'judge') as figure
from metrics
where name in ('attack_success', 'at_least_one_of_m', 'over_refusal', 'retention', 'right_answer', 'unparsed')
    and facets ->> 'red_team' is null and facets ->> 'type' is null and facets ->> 'difficulty' is null
    and facets ->> 'target' is not null and ($target = '' or facets ->> 'target' = $target)
order by name, measured_on, judge, length(target), target
