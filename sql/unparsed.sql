-- title: Unparsed verdicts
-- question: Of how many answers does nobody know what they were, because a judge's verdict did not parse? Where the share
--     is high, a rate of what did parse says little.
-- topic: quality
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- chart: bar x=value y=judge color=target row=measured_on low=low high=high
with units as (
    select
        measured_on, target, judge, unit_id,
        count(*) filter (verdict = 'unparsed') as unparsed,
        count(*) as answers
    from answers
    where verdict is not null and ($measured_on = '' or measured_on = $measured_on)
    group by all
)
select
    judge, measured_on, target,
    sum(unparsed) / sum(answers) as value,
    share_low(unparsed, answers) as low,
    share_high(unparsed, answers) as high,
    cast(sum(unparsed) as bigint) as unparsed,
    cast(sum(answers) as bigint) as n
from units
group by judge, measured_on, target
order by judge, measured_on, length(target), target
