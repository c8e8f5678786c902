-- title: What changed between two targets
-- question: On which sets and types did the later target get safer or worse than the earlier one, prompt by prompt (or
--     seed by seed)?
-- topic: safety
-- parameter: by text type all|type|risk_category|attack_style|difficulty|source "What to tell apart"
-- parameter: to_target text '' "The later target; the newest if empty"
-- parameter: from_target text '' "The earlier target; the one before it if empty"
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: point x=difference y=label color=measured_on low=low high=high
with rates as (
    select
        measured_on,
        case $by
            when 'type' then type
            when 'risk_category' then risk_category
            when 'attack_style' then attack_style
            when 'difficulty' then difficulty
            when 'source' then source
            else 'all'
        end as label,
        target, red_team, unit_id,
        count(*) filter (unsafe) / count(*) as rate
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on)
        and target in (target_of($to_target), target_before($from_target, target_of($to_target)))
    group by all
),
units as (
    -- A seed that several red teams grew is still one: its cells that both targets answered are averaged.
    select
        later.measured_on, later.label, later.unit_id,
        avg(earlier.rate order by earlier.rate) as before,
        avg(later.rate order by later.rate) as after,
        avg(later.rate - earlier.rate order by later.rate - earlier.rate) as change
    from rates as later
    join rates as earlier
        on later.unit_id = earlier.unit_id and later.measured_on = earlier.measured_on
        and later.red_team is not distinct from earlier.red_team
        and later.label is not distinct from earlier.label
        and earlier.target = target_before($from_target, target_of($to_target))
    where later.target = target_of($to_target)
    group by all
)
select
    measured_on, label,
    avg(before order by before) as before,
    avg(after order by after) as after,
    avg(change order by change) as difference,
    paired_low(change) as low,
    paired_high(change) as high,
    count(*) filter (change < 0) as safer,
    count(*) filter (change > 0) as worse,
    count(*) as units
from units
group by measured_on, label
order by measured_on, difference, label
