-- title: Attack validity
-- question: How many of a red team's evaluation attacks are attacks, and what is wrong with the others?
-- topic: safety
-- chart: bar x=value y=red_team color=outcome
with outcomes as (
    select model as red_team, coalesce(reason, invalid, 'valid') as outcome from attacks where split = 'test'
)
select
    red_team,
    outcome,
    count(*) as attacks,
    count(*) / sum(count(*)) over (partition by red_team) as value
from outcomes
group by red_team, outcome
order by length(red_team), red_team, attacks desc, outcome
