-- title: Attack success by type
-- question: Which types of attack succeed against each target? Measured on the test split unless another set is named;
--     on the evaluation set each row has its own red team.
-- topic: safety
-- parameter: iteration integer -1 "Iteration; -1 for all"
-- parameter: prompt_set text test "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: target text '' "Target; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: bar x=value y=type color=target low=low high=high
with units as (
    select
        prompt_set, iteration, red_team, target, judge, type, unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and type is not null and judge = judge_of($judge)
        and ($prompt_set = '' or prompt_set = $prompt_set) and ($target = '' or target = $target)
        and ($iteration = -1 or iteration = $iteration)
    group by all
)
select
    prompt_set, iteration, red_team, target, judge, type,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by prompt_set, iteration, red_team, target, judge, type
order by prompt_set, iteration, length(target), target, length(red_team), red_team, value desc, type
