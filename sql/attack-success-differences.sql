-- title: Attack success differences
-- question: By how much does each cell of the attack success matrix differ from its neighbour: the same red team
--     against the previous target, or the previous red team against the same target? Paired by seed.
-- topic: safety
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: point x=value y=target color=red_team column=against low=low high=high
select
    facets ->> 'red_team' as red_team,
    facets ->> 'target' as target,
    facets ->> 'from_red_team' as from_red_team,
    facets ->> 'from_target' as from_target,
    if(facets ->> 'red_team' = facets ->> 'from_red_team', 'the previous target', 'the previous red team') as against,
    value, low, high,
    n as seeds
from metrics
where name = 'attack_success_difference' and facets ->> 'judge' = judge_of($judge)
order by against desc, length(red_team), red_team, length(target), target
