-- title: Judge agreement
-- question: How often do two judges agree on a response, and how much of that is beyond chance (Cohen's kappa)?
--     "unparsed" counts as a label; a response that a judge did not judge does not count. With by, the same for the
--     responses to prompts of each hazard, language, prompt set or target; "unknown" where a prompt has none.
-- topic: quality
-- parameter: label text verdict verdict|refusal "Which label to compare"
-- parameter: by text all all|hazard|language|prompt_set|target "How to group the responses"
-- chart: bar x=kappa y=judges low=low high=high
with labels as (
    select response_id, judge, if($label = 'refusal', refusal, verdict) as label from verdicts where label is not null
),
labelled as (
    select
        one.judge || ' and ' || other.judge as judges,
        case $by
            when 'hazard' then coalesce(prompts.hazard, 'unknown')
            when 'language' then coalesce(prompts.language, 'unknown')
            when 'prompt_set' then coalesce(target_prompts.prompt_set, 'unknown')
            when 'target' then responses.model
            else 'all'
        end as part,
        coalesce(target_prompts.seed_id, responses.prompt_id) as unit_id,
        one.label as one_label,
        other.label as other_label,
        count(*) as rows
    from (from labels where judge < (select max(judge) from labels)) as one
    join (from labels where judge > (select min(judge) from labels)) as other
        on one.response_id = other.response_id and one.judge < other.judge
    join responses on responses.response_id = one.response_id
    left join target_prompts on target_prompts.prompt_id = responses.prompt_id
    left join prompts on prompts.prompt_id = responses.prompt_id
    group by all
),
firsts as (select judges, part, one_label as label, sum(rows) as rows from labelled group by all),
seconds as (select judges, part, other_label as label, sum(rows) as rows from labelled group by all),
products as (
    select judges, part, sum(firsts.rows * seconds.rows) as product
    from firsts
    join seconds using (judges, part, label)
    group by all
),
units as (
    select
        judges, part, unit_id,
        coalesce(sum(rows) filter (one_label = other_label), 0) as agreements,
        sum(rows) as responses
    from labelled
    group by all
),
agreed as (
    select
        judges, part,
        sum(responses) as n,
        sum(agreements) / sum(responses) as agreement,
        rate_low(agreements, responses) as agreement_low,
        rate_high(agreements, responses) as agreement_high
    from units
    group by all
),
figures as (
    select
        judges, part, agreement, agreement_low, agreement_high,
        cast(n as bigint) as n,
        coalesce(product, 0) / (n * n) as chance
    from agreed
    left join products using (judges, part)
)
select
    judges, part, n, agreement, chance,
    (agreement - chance) / nullif(1 - chance, 0) as kappa,
    (agreement_low - chance) / nullif(1 - chance, 0) as low,
    (agreement_high - chance) / nullif(1 - chance, 0) as high
from figures
order by judges, part
