-- title: Attack success by label
-- question: Which risk categories, attack styles, difficulties or sources have the highest attack success against each
--     target?
-- topic: safety
-- parameter: by text risk_category type|risk_category|attack_style|difficulty|source "Column to group by"
-- parameter: iteration integer -1 "Iteration; -1 for all"
-- parameter: prompt_set text test "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: target text '' "Target; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: bar x=value y=label color=target low=low high=high
with units as (
    select
        prompt_set, iteration, red_team, target,
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
        and ($prompt_set = '' or prompt_set = $prompt_set) and ($target = '' or target = $target)
        and ($iteration = -1 or iteration = $iteration)
    group by all
)
select
    prompt_set, iteration, red_team, target, label,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by prompt_set, iteration, red_team, target, label
order by prompt_set, iteration, length(target), target, length(red_team), red_team, value desc, label
