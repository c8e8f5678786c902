-- title: Attack success matrix
-- question: How often does each red team get through to each target, on the same evaluation seeds,
--     and how sure is that?
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: heatmap x=target y=red_team color=value low=low high=high
with cells as (
    select
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target,
        facets ->> 'judge' as judge,
        value, low, high, n
    from metrics
    where name = 'attack_success' and facets ->> 'set' = 'evaluation'
),
chosen as (
    select coalesce(
        nullif($judge, ''),
        (select judge from pairs where judge is not null group by judge order by count(*) desc, judge limit 1),
        (select min(judge) from cells)
    ) as judge
)
select cells.red_team, cells.target, cells.value, cells.low, cells.high, cells.n
from cells join chosen using (judge)
order by
    length(red_team), red_team, length(target), target
