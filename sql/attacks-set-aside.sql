-- title: Attacks sent and set aside
-- question: How many attacks of each red team were sent to a target, and why were the others set aside?
-- topic: safety
-- chart: bar x=attacks y=red_team color=outcome
with outcomes as (
    select model as red_team, split, coalesce(reason, 'sent to the target') as outcome from attacks
)
select red_team, split, outcome, count(*) as attacks
from outcomes
group by red_team, split, outcome
order by length(red_team), red_team, split, attacks desc, outcome
