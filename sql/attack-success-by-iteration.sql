-- title: Attack success by iteration
-- question: How does attack success change from iteration to iteration, on the loop's own attacks or on a fixed set,
--     by type or difficulty?
-- topic: safety
-- parameter: by text difficulty all|type|risk_category|attack_style|difficulty "Column to group by"
-- parameter: prompt_set text train "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: line x=iteration y=value color=label low=low high=high
with units as (
    select
        prompt_set, iteration,
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
        and ($prompt_set = '' or prompt_set = $prompt_set)
        -- On the evaluation set only models of the same iteration; attack-success-matrix has the other pairs.
        and (prompt_set <> 'evaluation' or substr(red_team, 2) = substr(target, 2))
    group by all
)
select
    prompt_set, iteration, label,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by prompt_set, iteration, label
order by prompt_set, iteration, label
