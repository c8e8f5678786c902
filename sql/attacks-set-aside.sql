-- title: Attacks, asked and set aside
-- question: How many of each red team's attacks was a target asked, and why were the others set aside?
-- topic: safety
-- chart: bar x=attacks y=red_team color=outcome
with outcomes as (
    select model as red_team, split, coalesce(reason, 'asked') as outcome from attacks
)
select red_team, split, outcome, count(*) as attacks
from outcomes
group by red_team, split, outcome
order by length(red_team), red_team, split, attacks desc, outcome
