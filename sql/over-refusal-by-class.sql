-- title: Over-refusal by class
-- question: Which classes or styles of harmless prompts (as named by their source) does a target refuse?
-- topic: safety
-- parameter: by text class class|style|cluster "Column to group by; class and style are the source's own labels"
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: target text '' "Target; empty for the newest"
-- parameter: judge text '' "Judge whose refusal classes count; empty for the one that training used, else the first"
-- chart: bar x=value y=label color=source low=low high=high
with units as (
    select
        answers.source,
        case $by
            when 'class' then prompts.source_risk
            when 'style' then prompts.source_style
            when 'cluster' then clusters.label
        end as label,
        answers.unit_id,
        count(*) filter (answers.refusal <> 'full_compliance') as refused,
        count(*) as answers
    from answers
    left join prompts using (prompt_id)
    left join clusters using (prompt_id)
    where answers.kind = 'harmless' and answers.refusal is not null and answers.judge = refusal_judge_of($judge)
        and ($prompt_set = '' or answers.prompt_set = $prompt_set) and answers.target = target_of($target)
    group by all
)
select
    source, label,
    sum(refused) / sum(answers) as value,
    rate_low(refused, answers) as low,
    rate_high(refused, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by source, label
order by source, value desc, label
