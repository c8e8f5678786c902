-- title: Attack success by request
-- question: The same request in different styles: how often does it get through plain (its risk known, no
--     style, no wrapper), and in which style most often? Requests of which the target answered at least two prompts.
-- topic: safety
-- parameter: target text '' "Which target; the newest if empty"
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- parameter: most integer 100 "How many requests to list"
-- chart: table
with prompts_of as (
    select
        templates.request_id,
        style_of(attack_style, risk_category, template_id) as style,
        answers.prompt_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    join templates using (prompt_id)
    where kind = 'adversarial' and unsafe is not null and templates.request_id is not null
        and judge = judge_of($judge) and ($measured_on = '' or measured_on = $measured_on)
        and target = target_of($target)
    group by all
),
styles as (
    select request_id, style, sum(successes) / sum(answers) as value from prompts_of group by all
),
best as (
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
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from prompts_of
join best using (request_id)
group by request_id
having count(*) > 1
order by any_value(strongest_value) - any_value(weakest_value) desc, prompts desc, request_id
limit $most
