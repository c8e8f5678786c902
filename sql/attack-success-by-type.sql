-- title: Attack success by type
-- question: Which types of attack still get through to each target? Of the test split unless another set is named; each
--     cell of the evaluation has its own red team.
-- topic: safety
-- parameter: iteration integer -1 "Only this iteration; all of them if -1"
-- parameter: measured_on text test "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: target text '' "Only this target; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: bar x=value y=type color=target low=low high=high
with units as (
    select
        measured_on, iteration, red_team, target, judge, type, unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and type is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on) and ($target = '' or target = $target)
        and ($iteration = -1 or iteration = $iteration)
    group by all
)
select
    measured_on, iteration, red_team, target, judge, type,
    sum(successes) / sum(answers) as value,
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by measured_on, iteration, red_team, target, judge, type
order by measured_on, iteration, length(target), target, length(red_team), red_team, value desc, type
