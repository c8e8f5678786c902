-- title: Attack success, corrected
-- question: How often does each attack really get through, less what its judge gets wrong (Rogan and Gladen)? With the
--     judge's errors in the very same place where people judged it, else with those that it makes overall.
-- chart: point x=corrected y=target color=red_team column=measured_on low=corrected_low high=corrected_high
with figures as (
    select
        name, value, low, high, n,
        facets ->> 'gold' as gold,
        facets ->> 'judge' as judge,
        facets ->> 'set' as measured_on,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target
    from metrics
    where name in ('attack_success', 'attack_success_corrected', 'judge_sensitivity', 'judge_specificity')
        and facets ->> 'type' is null and facets ->> 'difficulty' is null
),
judges as (
    select
        gold, judge,
        max(value) filter (name = 'judge_sensitivity') as sensitivity,
        max(value) filter (name = 'judge_specificity') as specificity
    from figures
    where gold is not null
    group by gold, judge
)
select
    seen.measured_on, seen.red_team, seen.target, seen.judge, judges.gold,
    seen.value as seen, seen.low as seen_low, seen.high as seen_high, seen.n,
    here.value as corrected, here.low as corrected_low, here.high as corrected_high, here.n as gold_rows,
    rogan_gladen(seen.value, judges.sensitivity, judges.specificity) as corrected_overall
from figures as seen
join judges on judges.judge = seen.judge
left join figures as here
    on here.name = 'attack_success_corrected' and here.gold = judges.gold and here.judge = seen.judge
    and here.measured_on = seen.measured_on and here.target = seen.target
    and here.red_team is not distinct from seen.red_team
where seen.name = 'attack_success'
order by judges.gold, seen.judge, seen.measured_on, length(seen.target), seen.target, length(seen.red_team), seen.red_team
