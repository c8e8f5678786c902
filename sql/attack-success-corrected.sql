-- title: Attack success, corrected
-- question: How often does each attack really get through, less what its judge gets wrong (Rogan and Gladen)? With the
--     judge's errors in the very same place, where people judged some of it; and as if the judge were as you say.
-- topic: safety
-- parameter: sensitivity number 1.0 "As if the judge found this share of unsafe answers"
-- parameter: specificity number 1.0 "As if the judge left this share of safe answers alone"
-- chart: point x=corrected y=target color=red_team row=place low=corrected_low high=corrected_high
with figures as (
    select
        name, value, low, high, n,
        facets ->> 'gold' as gold,
        facets ->> 'judge' as judge,
        facets ->> 'set' as measured_on,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target
    from metrics
    where name in ('attack_success', 'attack_success_corrected')
        and facets ->> 'type' is null and facets ->> 'difficulty' is null
)
select
    seen.measured_on, seen.red_team, seen.target, seen.judge,
    seen.value as seen, seen.low as seen_low, seen.high as seen_high, seen.n,
    here.gold,
    here.value as corrected, here.low as corrected_low, here.high as corrected_high, here.n as gold_rows,
    rogan_gladen(seen.value, $sensitivity, $specificity) as as_if,
    concat_ws(', ', seen.measured_on, seen.judge) as place
from figures as seen
left join figures as here
    on here.name = 'attack_success_corrected' and here.judge = seen.judge and here.measured_on = seen.measured_on
    and here.target = seen.target and here.red_team is not distinct from seen.red_team
where seen.name = 'attack_success'
order by seen.judge, seen.measured_on, length(seen.target), seen.target, length(seen.red_team), seen.red_team, here.gold
