-- title: Attack success matrix
-- question: How often does each red team succeed against each target on the same evaluation seeds, and how wide is the
--     interval?
-- topic: safety
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: heatmap x=target y=red_team color=value low=low high=high
select
    facets ->> 'red_team' as red_team,
    facets ->> 'target' as target,
    value, low, high, n
from metrics
where name = 'attack_success' and facets ->> 'set' = 'evaluation' and facets ->> 'judge' = judge_of($judge)
order by length(red_team), red_team, length(target), target
