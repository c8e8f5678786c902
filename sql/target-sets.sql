-- title: Targets on every set
-- question: How does each target score on each set: attack success, over-refusal, retention?
-- topic: safety
-- parameter: target text '' "Target; empty for all"
-- chart: bar x=value y=prompt_set color=target row=figure low=low high=high
select
    facets ->> 'target' as target,
    facets ->> 'set' as prompt_set,
    facets ->> 'judge' as judge,
    name, value, low, high, n,
    concat_ws(', ', name, facets ->> 'judge') as figure
from metrics
where name in ('attack_success', 'at_least_one_of_m', 'over_refusal', 'retention', 'right_answer', 'unparsed')
    and facets ->> 'red_team' is null and facets ->> 'type' is null and facets ->> 'difficulty' is null
    and facets ->> 'target' is not null and ($target = '' or facets ->> 'target' = $target)
order by name, prompt_set, judge, length(target), target
