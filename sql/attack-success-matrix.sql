-- title: Attack success matrix
-- question: How often does each red team get through to each target, on the same evaluation seeds,
--     and how sure is that?
-- topic: safety
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: heatmap x=target y=red_team color=value low=low high=high
select
    facets ->> 'red_team' as red_team,
    facets ->> 'target' as target,
    value, low, high, n
from metrics
where name = 'attack_success' and facets ->> 'set' = 'evaluation' and facets ->> 'judge' = judge_of($judge)
order by length(red_team), red_team, length(target), target
