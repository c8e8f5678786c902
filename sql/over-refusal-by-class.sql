-- title: Over-refusal by class
-- question: Which classes, or styles, of harmless prompts does a target refuse, in the words of the set that they came
--     from?
-- topic: safety
-- parameter: by text class class|style|cluster "What to tell apart; class and style are the words of its set"
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: target text '' "Which target; the newest if empty"
-- parameter: judge text '' "Whose refusal classes; if empty those of the judge that training used, or the first"
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
        and ($measured_on = '' or answers.measured_on = $measured_on) and answers.target = target_of($target)
    group by all
)
select
    source, label,
    sum(refused) / sum(answers) as value,
    share_low(refused, answers) as low,
    share_high(refused, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by source, label
order by source, value desc, label
