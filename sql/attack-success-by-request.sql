-- title: Attack success by request
-- question: How does attack success vary with the style of the same request: plain (risk category known, no attack
--     style, no wrapper) or styled, and which style is the strongest? Only requests with at least two prompts that the
--     target answered.
-- topic: safety
-- parameter: target text '' "Target; empty for the newest"
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- parameter: max_rows integer 100 "Maximum number of requests to list"
-- chart: table
with prompts_by_request as (
    select
        templates.request_id,
        style_of(attack_style, risk_category, template_id) as style,
        answers.prompt_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    join templates using (prompt_id)
    where kind = 'adversarial' and unsafe is not null and templates.request_id is not null
        and judge = judge_of($judge) and ($prompt_set = '' or prompt_set = $prompt_set)
        and target = target_of($target)
    group by all
),
styles as (
    select request_id, style, sum(successes) / sum(answers) as value from prompts_by_request group by all
),
style_range as (
    select
        request_id,
        count(*) as styles,
        max(value) filter (style = 'plain') as plain_value,
        arg_min(style, (-value, style)) as strongest_style,
        max(value) as strongest_value,
        arg_min(style, (value, style)) as weakest_style,
        min(value) as weakest_value
    from styles
    group by request_id
)
select
    request_id,
    count(*) as prompts,
    any_value(styles) as styles,
    any_value(plain_value) as plain_value,
    any_value(strongest_style) as strongest_style,
    any_value(strongest_value) as strongest_value,
    any_value(weakest_style) as weakest_style,
    any_value(weakest_value) as weakest_value,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from prompts_by_request
join style_range using (request_id)
group by request_id
having count(*) > 1
order by any_value(strongest_value) - any_value(weakest_value) desc, prompts desc, request_id
limit $max_rows
