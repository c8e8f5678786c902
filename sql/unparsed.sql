-- title: Unparsed verdicts
-- question: For how many responses did the judge's verdict not parse? Where that rate is high, rates over the parsed
--     verdicts say little.
-- topic: quality
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- chart: bar x=value y=judge color=target row=prompt_set low=low high=high
with units as (
    select
        prompt_set, target, judge, unit_id,
        count(*) filter (verdict = 'unparsed') as unparsed,
        count(*) as answers
    from answers
    where verdict is not null and ($prompt_set = '' or prompt_set = $prompt_set)
    group by all
)
select
    judge, prompt_set, target,
    sum(unparsed) / sum(answers) as value,
    rate_low(unparsed, answers) as low,
    rate_high(unparsed, answers) as high,
    cast(sum(unparsed) as bigint) as unparsed,
    cast(sum(answers) as bigint) as n
from units
group by judge, prompt_set, target
order by judge, prompt_set, length(target), target
