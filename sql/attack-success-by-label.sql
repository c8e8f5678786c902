-- title: Attack success by label
-- question: Which risk categories, attack styles, difficulties or sources still get through to each target?
-- topic: safety
-- parameter: by text risk_category type|risk_category|attack_style|difficulty|source "What to tell apart"
-- parameter: iteration integer -1 "Only this iteration; all of them if -1"
-- parameter: measured_on text test "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: target text '' "Only this target; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: bar x=value y=label color=target low=low high=high
with units as (
    select
        measured_on, iteration, red_team, target,
        case $by
            when 'type' then type
            when 'risk_category' then risk_category
            when 'attack_style' then attack_style
            when 'difficulty' then difficulty
            when 'source' then source
        end as label,
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on) and ($target = '' or target = $target)
        and ($iteration = -1 or iteration = $iteration)
    group by all
)
select
    measured_on, iteration, red_team, target, label,
    sum(successes) / sum(answers) as value,
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by measured_on, iteration, red_team, target, label
order by measured_on, iteration, length(target), target, length(red_team), red_team, value desc, label
