-- title: Attack success by iteration
-- question: How does attack success change from iteration to iteration, in the loop's own turns or on a set that stays
--     the same, and for which types or difficulties?
-- topic: safety
-- parameter: by text difficulty all|type|risk_category|attack_style|difficulty "What to tell apart"
-- parameter: measured_on text train "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: line x=iteration y=value color=label low=low high=high
with units as (
    select
        measured_on, iteration,
        case $by
            when 'type' then type
            when 'risk_category' then risk_category
            when 'attack_style' then attack_style
            when 'difficulty' then difficulty
            else 'all'
        end as label,
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on)
        -- Of the evaluation the models of one iteration alone: the matrix has the others.
        and (measured_on <> 'evaluation' or substr(red_team, 2) = substr(target, 2))
    group by all
)
select
    measured_on, iteration, label,
    sum(successes) / sum(answers) as value,
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by measured_on, iteration, label
order by measured_on, iteration, label
