-- title: Differences of attack success
-- question: By how much does each cell of the matrix differ from its neighbour: the same red team against the target
--     before, or the red team before against the same target? Seed by seed, on the same seeds.
-- topic: safety
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: point x=value y=target color=red_team column=against low=low high=high
select
    facets ->> 'red_team' as red_team,
    facets ->> 'target' as target,
    facets ->> 'from_red_team' as from_red_team,
    facets ->> 'from_target' as from_target,
    if(facets ->> 'red_team' = facets ->> 'from_red_team', 'the target before', 'the red team before') as against,
    value, low, high,
    n as seeds
from metrics
where name = 'attack_success_difference' and facets ->> 'judge' = judge_of($judge)
order by against desc, length(red_team), red_team, length(target), target
